/*
 * journal.c - small messages, many to a flush. See journal.h, and
 * journal_record.h for what is on the disk.
 *
 * Runs in submitd-spool, the only process that writes here. Several batches run
 * at a time, so that who comes while the disk flushes waits for a flush of his
 * own, and not for the rest of that one before it; see journal_write.c for their
 * threads. Invariants, beside those of store.c:
 *
 * J1  A commit is OK only after its record was written, fdatasync() of its
 *     segment succeeded, and all earlier batches are OK: they end in the order
 *     in which they were begun. Segments are whole and zeroed, and their names on
 *     stable storage, before they are appended to: neither takes new blocks.
 * J2  Nothing counts behind a batch that failed: all that run behind it fail,
 *     whatever became of them, and nothing is begun before they are over. The
 *     segment is closed in front of it, and the next one's first record names
 *     that end. What failed therefore never comes back.
 * J3  Every record names the oldest segment in which something lives. Only when
 *     a batch that says so is on stable storage a segment before that may be
 *     overwritten or removed, whatever becomes of the GONE of its messages.
 * J4  A message that moves to a file is in that file, on stable storage, before
 *     its GONE is written; found in both, the file is right. The file goes only
 *     after the GONE is on stable storage.
 * J5  A GONE waits a moment for a batch to go with. A crash before repeats a
 *     delivery, and loses none.
 * J6  Nobody outside has a descriptor of a segment: it will hold others' mail.
 * J7  All batches that run are of one segment, and its first one runs alone:
 *     what it says of other segments is on stable storage before anything else
 *     is in this one.
 * J8  The file .head names the last segment that has a message. It is written
 *     after the first batch of a segment and flushed with it, once in 16 MiB,
 *     and says at the start that a segment which should be the last is not
 *     there. It stops nothing: without it only the warning is missing.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "submitd/spool/journal_private.h"

#include "lib/crc32c.h"
#include "lib/fio.h"

struct journal *
journal_new(const struct store *st)
{
	struct journal *j = calloc(1, sizeof(*j));

	if (j == NULL)
		return NULL;
	if (pthread_mutex_init(&j->lock, NULL) != 0 ||
	    pthread_cond_init(&j->turn, NULL) != 0) {
		free(j);
		return NULL;
	}
	j->st = st;
	j->n_lanes = 1;
	j->size = JOURNAL_SIZE;
	j->head = -1;
	j->next_seq = j->next_name = 1;
	TAILQ_INIT(&j->used);
	TAILQ_INIT(&j->dying);
	TAILQ_INIT(&j->ready);
	TAILQ_INIT(&j->excess);
	return j;
}

void
journal_set_size(struct journal *j, uint32_t size)
{
	j->size = size;
}

static void
journal_segment_free(struct journal_segment *s)
{
	if (s == NULL)
		return;
	if (s->fd >= 0)
		close(s->fd);
	free(s);
}

void
journal_free(struct journal *j)
{
	struct journal_segments *lists[] = { &j->used, &j->dying, &j->ready,
	    &j->excess };
	struct journal_segment *s;

	if (j == NULL)
		return;
	journal_lanes_close(j);
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		while ((s = TAILQ_FIRST(lists[i])) != NULL) {
			TAILQ_REMOVE(lists[i], s, link);
			journal_segment_free(s);
		}
	if (j->head >= 0)
		close(j->head);
	pthread_cond_destroy(&j->turn);
	pthread_mutex_destroy(&j->lock);
	free(j);
}

struct journal_segment *
journal_segment_new(uint32_t number, uint32_t key, int fd)
{
	struct journal_segment *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	snprintf(s->name, sizeof(s->name), "%08u-%08x", number % 100000000u,
	    key);
	s->key = key;
	s->fd = fd;
	TAILQ_INIT(&s->places);
	return s;
}

/* --------------------------------------------------------------- segments -- */

uint32_t
journal_oldest(const struct journal *j)
{
	const struct journal_segment *s = TAILQ_FIRST(&j->used);

	return s != NULL ? s->seq : j->next_seq;
}

void
journal_retire(struct journal *j)
{
	struct journal_segment *s;

	while (!j->finding && (s = TAILQ_FIRST(&j->used)) != NULL &&
	    s != j->active &&
	    s->n_places == 0 && s->readers == 0) {
		TAILQ_REMOVE(&j->used, s, link);
		TAILQ_INSERT_TAIL(&j->dying, s, link);
		j->n_used--;
		j->n_dying++;
	}
}

void
journal_add_ready(struct journal *j, struct journal_segment *s)
{
	TAILQ_INSERT_TAIL(s->odd ? &j->excess : &j->ready, s, link);
	if (!s->odd)
		j->n_ready++;
}

/* A batch that named `oldest` is on stable storage (J3). */
static void
journal_bury(struct journal *j, uint32_t oldest)
{
	struct journal_segment *s;

	while ((s = TAILQ_FIRST(&j->dying)) != NULL && s->seq < oldest) {
		TAILQ_REMOVE(&j->dying, s, link);
		j->n_dying--;
		journal_add_ready(j, s);
	}
}

void
journal_enter(struct journal *j, struct journal_segment *s,
    struct store_place *p, uint32_t offset, uint32_t len)
{
	p->segment = s;
	p->offset = offset;
	p->len = len;
	p->moving = false;
	TAILQ_INSERT_TAIL(&s->places, p, link);
	s->n_places++;
	s->live += len;
	j->live += len;
}

void
journal_leave(struct journal *j, struct store_place *p)
{
	struct journal_segment *s = p->segment;

	if (s == NULL)
		return;
	TAILQ_REMOVE(&s->places, p, link);
	s->n_places--;
	s->live -= p->len;
	j->live -= p->len;
	p->segment = NULL;
	p->moving = false;
	journal_retire(j);
}

void
journal_close_seq(struct journal *j, uint32_t seq, uint32_t end)
{
	/* More than fit are all of segments without anything in them: the
	 * oldest of those has been given up long ago. */
	if (j->n_closed == sizeof(j->closed) / sizeof(j->closed[0]))
		memmove(j->closed, j->closed + 1,
		    --j->n_closed * sizeof(j->closed[0]));
	j->closed[j->n_closed++] = (struct journal_closed){ seq, end };
}

/* Nothing is appended to it any more; who opens the next one says so. */
void
journal_close(struct journal *j, struct journal_segment *s)
{
	if (j->active == s)
		j->active = NULL;
	journal_close_seq(j, s->seq, s->end);
	journal_retire(j);
}

/* Begins a segment, while nothing runs; false: none is ready. */
static bool
journal_open(struct journal *j)
{
	struct journal_segment *s = TAILQ_FIRST(&j->ready);

	if (s == NULL || j->next_seq == UINT32_MAX ||
	    getrandom(&s->salt, sizeof(s->salt), 0) != sizeof(s->salt))
		return false;
	TAILQ_REMOVE(&j->ready, s, link);
	j->n_ready--;
	journal_lanes_close(j);
	s->seq = j->next_seq++;
	s->end = 0;
	TAILQ_INSERT_TAIL(&j->used, s, link);
	j->n_used++;
	j->active = s;
	return true;
}

/* ------------------------------------------------- a batch, on the loop -- */

static uint32_t
journal_batch_first(const struct journal *j)
{
	return journal_record_octets(j->n_closed * JOURNAL_END);
}

/* The one that was begun `n` after the oldest that runs. */
static struct journal_batch *
journal_batch_at(struct journal *j, unsigned int n)
{
	return &j->batches[(j->first + n) % j->n_lanes];
}

/* Behind all that runs. */
static uint32_t
journal_batch_offset(struct journal *j)
{
	const struct journal_batch *newest;

	if (j->n_running == 0)
		return j->active->end;
	newest = journal_batch_at(j, j->n_running - 1);
	return newest->offset + newest->len;
}

/* A segment to append to, and the batch at its end. */
static bool
journal_batch_open(struct journal *j, struct journal_batch *b)
{
	if (j->active == NULL && !journal_open(j))
		return false;
	b->segment = j->active;
	b->offset = journal_batch_offset(j);
	b->begins = b->offset == 0;
	b->n_closed = b->begins ? j->n_closed : 0;
	b->len = b->begins ? journal_batch_first(j) : 0;
	return true;
}

/* Octets that `op` adds to the batch. */
static uint32_t
journal_batch_need(const struct journal_batch *b, const struct store_op *op)
{
	if (op->kind == STORE_COMMIT)
		return journal_record_octets((uint32_t)(op->file->front_len +
		    op->len));
	return JOURNAL_ID + (b->n_gone == 0 ? JOURNAL_HEAD : 0);
}

static bool
journal_batch_fits(const struct journal *j, const struct journal_batch *b,
    const struct store_op *op)
{
	uint32_t need = journal_batch_need(b, op);

	if (op->kind == STORE_COMMIT && j->n_ready == 0)
		need += j->size / JOURNAL_RESERVE;
	return b->offset + b->len + need <= j->size;
}

/* Whether the batch has room for one more of its kind. */
static bool
journal_batch_full(const struct journal_batch *b, const struct store_op *op)
{
	return op->kind == STORE_COMMIT ?
	    b->n_messages == JOURNAL_BATCH_MESSAGES :
	    b->n_gone == JOURNAL_BATCH_GONE;
}

static void
journal_batch_add(struct journal_batch *b, struct store_op *op)
{
	b->len += journal_batch_need(b, op);
	if (op->kind == STORE_COMMIT)
		b->n_messages++;
	else
		memcpy(b->gone + JOURNAL_ID * b->n_gone++, op->id, JOURNAL_ID);
	TAILQ_INSERT_TAIL(&b->ops, op, link);
}

/* No segment has room for it. */
static void
journal_batch_refuse(struct journal_batch *b, struct store_op *op,
    struct store_ops *files)
{
	if (op->kind == STORE_COMMIT) {
		op->apart = true;
		TAILQ_INSERT_TAIL(files, op, link);
		return;
	}
	op->r = err_set(&op->err, ERR_NOSPACE, "the journal is full");
	TAILQ_INSERT_TAIL(&b->refused, op, link);
}

/* Where in the segment each message will be; what names GONE comes first. */
static void
journal_batch_place(const struct journal *j, struct journal_batch *b)
{
	uint32_t at = b->offset;
	struct store_op *op;

	if (b->begins)
		at += journal_batch_first(j);
	if (b->n_gone > 0)
		at += journal_record_octets(b->n_gone * JOURNAL_ID);
	TAILQ_FOREACH(op, &b->ops, link)
		if (op->kind == STORE_COMMIT) {
			op->at = at;
			at += journal_record_octets((uint32_t)(
			    op->file->front_len + op->len));
		}
}

static void
journal_batch_fill(struct journal *j, struct journal_batch *b,
    struct store_ops *ops, struct store_ops *files)
{
	bool open = journal_batch_open(j, b);
	struct store_op *op;

	while ((op = TAILQ_FIRST(ops)) != NULL) {
		if (open && journal_batch_full(b, op))
			break;
		if (open && !journal_batch_fits(j, b, op)) {
			/* What runs may make room, and goes before. */
			if (j->n_running > 0) {
				j->alone = true;
				break;
			}
			if (!TAILQ_EMPTY(&b->ops) && j->n_ready > 0)
				break;
			/* The rest of the segment is left. */
			if (j->n_ready > 0) {
				journal_close(j, j->active);
				open = journal_batch_open(j, b);
				continue;
			}
		}
		TAILQ_REMOVE(ops, op, link);
		if (open && journal_batch_fits(j, b, op))
			journal_batch_add(b, op);
		else
			journal_batch_refuse(b, op, files);
	}
	if (!open)
		b->segment = NULL;
}

bool
journal_is_due(const struct journal *j)
{
	return j->failed && j->n_ready > 0;
}

unsigned int
journal_running(const struct journal *j)
{
	return j->n_running;
}

bool
journal_may_begin(const struct journal *j)
{
	return !j->alone && j->n_running < j->n_lanes;
}

static void
journal_batch_clear(struct journal_batch *b, uint64_t number)
{
	TAILQ_INIT(&b->ops);
	TAILQ_INIT(&b->refused);
	b->number = number;
	b->segment = NULL;
	b->offset = b->len = 0;
	b->begins = b->over = false;
	b->n_closed = b->n_messages = b->n_gone = 0;
	b->r = 0;
}

/* What its records say of others. */
static void
journal_batch_say(struct journal *j, struct journal_batch *b)
{
	b->stable = j->n_running > 0 ? journal_batch_at(j, 0)->offset :
	    b->offset;
	b->oldest = journal_oldest(j);
	for (unsigned int i = 0; i < b->n_closed; i++) {
		journal_put32(b->closed + JOURNAL_END * i, j->closed[i].seq);
		journal_put32(b->closed + JOURNAL_END * i + 4,
		    j->closed[i].end);
	}
}

int
journal_begin(struct journal *j, struct store_ops *ops,
    struct store_ops *files)
{
	struct journal_batch *b = journal_batch_at(j, j->n_running);

	if (!journal_may_begin(j) ||
	    (TAILQ_EMPTY(ops) && !journal_is_due(j)))
		return -1;
	journal_batch_clear(b, j->n_begun + 1);
	journal_batch_fill(j, b, ops, files);
	if ((j->n_running > 0 || b->segment == NULL) &&
	    TAILQ_EMPTY(&b->ops) && TAILQ_EMPTY(&b->refused))
		return -1;
	journal_batch_say(j, b);
	journal_batch_place(j, b);
	j->alone = j->alone || b->begins || b->segment == NULL;	/* J7 */
	j->n_begun++;
	j->n_running++;
	return (int)(b - j->batches);
}

/* An operation of a batch that was written. */
static void
journal_end_op(struct journal *j, const struct journal_batch *b,
    struct store_op *op)
{
	op->r = b->r;
	if (b->r != 0)
		op->err = b->err;
	else if (op->kind == STORE_COMMIT)
		journal_enter(j, b->segment, op->place, op->at + JOURNAL_HEAD,
		    (uint32_t)(op->file->front_len + op->len));
	else
		journal_leave(j, op->place);
	if (op->kind == STORE_COMMIT)
		store_commit_end(op);
}

/* J2. */
static void
journal_fail(struct journal *j, const struct journal_batch *b)
{
	j->failed = j->broken = j->alone = true;
	j->why = b->err;
	journal_close(j, b->segment);
}

static void
journal_succeed(struct journal *j, const struct journal_batch *b)
{
	b->segment->end += b->len;
	if (b->begins) {
		j->failed = false;
		j->n_closed -= b->n_closed;
		memmove(j->closed, j->closed + b->n_closed,
		    j->n_closed * sizeof(j->closed[0]));
	}
	/* One whose messages all went to files has no record that says so. */
	if (b->len > 0)
		journal_bury(j, b->oldest);
}

/* All that were begun before it have ended. */
static void
journal_end_batch(struct journal *j, struct journal_batch *b,
    struct store_ops *done)
{
	struct store_op *op;

	if (j->broken) {
		b->r = j->why.code;
		b->err = j->why;
	}
	TAILQ_FOREACH(op, &b->ops, link)
		journal_end_op(j, b, op);
	if (b->segment != NULL && b->r == 0)
		journal_succeed(j, b);
	else if (b->segment != NULL && !j->broken)
		journal_fail(j, b);
	TAILQ_CONCAT(done, &b->ops, link);
	TAILQ_CONCAT(done, &b->refused, link);
}

void
journal_end(struct journal *j, unsigned int lane, struct store_ops *done)
{
	j->batches[lane].over = true;
	while (j->n_running > 0 && journal_batch_at(j, 0)->over) {
		journal_end_batch(j, journal_batch_at(j, 0), done);
		j->first = (j->first + 1) % j->n_lanes;
		j->n_running--;
	}
	if (j->n_running > 0)
		return;
	if (j->active == NULL)
		journal_lanes_close(j);
	j->first = 0;
	j->n_lanes = 1 + j->n_fds;
	j->alone = j->broken = j->unwritten = false;
}

/* ---------------------------------------------------------------- upkeep -- */

bool
journal_upkeep_begin(struct journal *j)
{
	struct journal_upkeep *u = &j->upkeep;
	uint32_t key;

	u->made = u->drop = NULL;
	u->r = 0;
	if (j->size == 0)
		return false;
	if (j->n_ready > JOURNAL_READY_MAX) {
		u->drop = TAILQ_FIRST(&j->ready);
		TAILQ_REMOVE(&j->ready, u->drop, link);
		TAILQ_INSERT_TAIL(&j->excess, u->drop, link);
		j->n_ready--;
	}
	if ((u->drop = TAILQ_FIRST(&j->excess)) != NULL) {
		TAILQ_REMOVE(&j->excess, u->drop, link);
		return true;
	}
	/* Those that die are ready after the next batch, if there is one. One
	 * will do until something is written. Without any, after a failure or a
	 * start, nothing could be said to be gone, and none would ever die: that
	 * one may be above the number, and of one half of the reserve. */
	u->must = j->active == NULL && j->n_used + j->n_dying > 0;
	if ((j->active != NULL ? j->n_ready + j->n_dying >= JOURNAL_READY_MIN :
	    j->n_ready > 0) || j->n_used + j->n_ready + j->n_dying >=
	    (u->must ? JOURNAL_SEGMENTS_TOP : JOURNAL_SEGMENTS_MAX))
		return false;
	if (getrandom(&key, sizeof(key), 0) == sizeof(key))
		u->made = journal_segment_new(j->next_name++, key, -1);
	return u->made != NULL;
}

/* Zeros, so that appending takes no blocks. In pieces, so that others who wait
 * for the disk do not wait for all of it. */
static int
journal_make_zeros(int fd, uint32_t size, struct err *reterr)
{
	enum { PIECE = 256 * 1024 };
	uint8_t *p = calloc(1, PIECE);
	int r = 0;

	if (p == NULL)
		return err_set(reterr, ERR_NOMEM, "no memory");
	for (uint32_t at = 0; r == 0 && at < size; at += PIECE) {
		uint32_t n = size - at < PIECE ? size - at : PIECE;

		r = fio_pwrite_all(fd, p, n, at, "the journal", reterr);
		(void)sync_file_range(fd, at, n, SYNC_FILE_RANGE_WRITE |
		    SYNC_FILE_RANGE_WAIT_AFTER);
	}
	free(p);
	return r != 0 ? r : fio_sync(fd, "the journal", reterr);
}

static int
journal_make(const struct journal *j, struct journal_segment *s, bool must,
    struct err *reterr)
{
	const struct store *st = j->st;
	char name[JOURNAL_NAME_SIZE + sizeof(JOURNAL_NEW)];
	int r;

	/* The reserve is not ours: without it small messages are files. */
	if ((r = store_space(st, must ? store_min_free(st, 0) / 2 : 0,
	    j->size, 1, reterr)) != 0)
		return r;
	snprintf(name, sizeof(name), "%s%s", s->name, JOURNAL_NEW);
	if ((s->fd = fio_openat(st->segments, name,
	    O_RDWR | O_CREAT | O_TRUNC, 0600, reterr)) < 0)
		return s->fd;
	if ((r = journal_make_zeros(s->fd, j->size, reterr)) != 0 ||
	    (r = fio_renameat(st->segments, name, st->segments, s->name,
	    reterr)) != 0) {
		fio_forget(st->segments, name);
		return r;
	}
	if ((r = fio_sync(st->segments, "journal", reterr)) != 0)
		fio_forget(st->segments, s->name);
	return r;
}

void
journal_upkeep(struct journal *j)
{
	struct journal_upkeep *u = &j->upkeep;

	if (u->made != NULL)
		u->r = journal_make(j, u->made, u->must, &u->err);
	else
		u->r = fio_unlinkat(j->st->segments, u->drop->name, &u->err);
}

int
journal_upkeep_end(struct journal *j, struct err *reterr)
{
	struct journal_upkeep *u = &j->upkeep;

	if (u->made != NULL && u->r == 0) {
		TAILQ_INSERT_TAIL(&j->ready, u->made, link);
		j->n_ready++;
	} else {
		journal_segment_free(u->made);
	}
	journal_segment_free(u->drop);
	if (u->r != 0)
		*reterr = u->err;
	return u->r;
}

struct store_place *
journal_crowded(struct journal *j)
{
	struct journal_segment *s = TAILQ_FIRST(&j->used);
	struct store_place *p;

	if (j->n_used <= JOURNAL_CROWD || s == j->active ||
	    j->live * 2 >= (uint64_t)j->n_used * j->size)
		return NULL;
	p = TAILQ_FIRST(&s->places);
	if (p == NULL || p->moving)
		return NULL;
	p->moving = true;
	/* Those that have been told are behind those that have not. */
	TAILQ_REMOVE(&s->places, p, link);
	TAILQ_INSERT_TAIL(&s->places, p, link);
	return p;
}

void
journal_status(const struct journal *j, struct journal_status *ret)
{
	const struct journal_segment *s;

	*ret = (struct journal_status){ .segments = j->n_used,
		.ready = j->n_ready + j->n_dying, .live = j->live };
	TAILQ_FOREACH(s, &j->used, link)
		ret->messages += s->n_places;
}

/* --------------------------------------------------------------- reading -- */

static int
journal_check(const struct store_place *p, const uint8_t head[JOURNAL_HEAD],
    const uint8_t *payload, struct err *reterr)
{
	struct journal_record r;

	if (journal_record_unpack(head, p->segment->key, &r) != 0 ||
	    r.seq != p->segment->seq || r.salt != p->segment->salt ||
	    r.len != p->len || r.crc != crc32c(0, payload, r.len))
		return err_set(reterr, ERR_CORRUPT, "it is damaged in segment "
		    "%s of the journal", p->segment->name);
	return 0;
}

static int
journal_read_flags(const struct store_place *p, uint8_t *dst, int flags,
    struct err *reterr)
{
	uint8_t head[JOURNAL_HEAD];
	struct iovec iov[] = { { head, sizeof(head) }, { dst, p->len } };
	ssize_t n;

	do {
		n = preadv2(p->segment->fd, iov, 2,
		    (off_t)(p->offset - JOURNAL_HEAD), flags);
	} while (n < 0 && errno == EINTR);
	if (flags != 0 && n != (ssize_t)(sizeof(head) + p->len))
		return ERR_AWAY;
	if (n < 0)
		return err_sys(reterr, "cannot read the journal");
	if (n != (ssize_t)(sizeof(head) + p->len))
		return err_set(reterr, ERR_CORRUPT, "a segment is cut");
	return journal_check(p, head, dst, reterr);
}

int
journal_read(const struct store_place *p, uint8_t *dst, struct err *reterr)
{
	return journal_read_flags(p, dst, 0, reterr);
}

int
journal_read_now(const struct store_place *p, uint8_t *dst,
    struct err *reterr)
{
	return journal_read_flags(p, dst, RWF_NOWAIT, reterr);
}

void
journal_hold(struct store_place *p)
{
	p->segment->readers++;
}

void
journal_release(struct journal *j, const struct store_place *p)
{
	p->segment->readers--;
	journal_retire(j);
}
