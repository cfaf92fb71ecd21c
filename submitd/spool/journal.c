/*
 * journal.c - small messages, many to a flush. See journal.h, and
 * journal_record.h for what is on the disk.
 *
 * Runs in submitd-spool, the only process that writes here: one batch at a
 * time, so that a batch is written only when the one before is on stable
 * storage or has failed. Invariants, beside those of store.c:
 *
 * J1  A commit is OK only after its record was written and fdatasync() of its
 *     segment succeeded. Segments are whole and zeroed, and their names on
 *     stable storage, before they are appended to: neither takes new blocks.
 * J2  Nothing is written behind a batch that failed: its segment is closed in
 *     front of it, and the next one's first record names that end, behind
 *     which nothing counts. What failed therefore never comes back.
 * J3  Every record names the oldest segment in which something lives. Only when
 *     a batch that says so is on stable storage a segment before that may be
 *     overwritten or removed, whatever becomes of the GONE of its messages.
 * J4  A message that moves to a file is in that file, on stable storage, before
 *     its GONE is written; found in both, the file is right. The file goes only
 *     after the GONE is on stable storage.
 * J5  A GONE waits a moment for a batch to go with. A crash before repeats a
 *     delivery, and loses none.
 * J6  Nobody outside has a descriptor of a segment: it will hold others' mail.
 * J7  The file .head names the last segment that has a message. It is written
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

static const uint8_t journal_zeros[JOURNAL_PAGE];

struct journal *
journal_new(const struct store *st)
{
	struct journal *j = calloc(1, sizeof(*j));

	if (j == NULL)
		return NULL;
	j->st = st;
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

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		while ((s = TAILQ_FIRST(lists[i])) != NULL) {
			TAILQ_REMOVE(lists[i], s, link);
			journal_segment_free(s);
		}
	if (j->head >= 0)
		close(j->head);
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

/* Begins a segment; false: none is ready. */
static bool
journal_open(struct journal *j)
{
	struct journal_segment *s = TAILQ_FIRST(&j->ready);

	if (s == NULL || j->next_seq == UINT32_MAX ||
	    getrandom(&s->salt, sizeof(s->salt), 0) != sizeof(s->salt))
		return false;
	TAILQ_REMOVE(&j->ready, s, link);
	j->n_ready--;
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

/* A segment to append to, and the batch at its end. */
static bool
journal_batch_open(struct journal *j)
{
	struct journal_batch *b = &j->batch;

	if (j->active == NULL && !journal_open(j))
		return false;
	b->segment = j->active;
	b->offset = j->active->end;
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
journal_batch_fits(const struct journal *j, const struct store_op *op)
{
	const struct journal_batch *b = &j->batch;
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
journal_batch_place(struct journal *j)
{
	struct journal_batch *b = &j->batch;
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
journal_batch_fill(struct journal *j, struct store_ops *ops,
    struct store_ops *files)
{
	struct journal_batch *b = &j->batch;
	bool open = journal_batch_open(j);
	struct store_op *op;

	while ((op = TAILQ_FIRST(ops)) != NULL) {
		if (open && journal_batch_full(b, op))
			break;
		if (open && !journal_batch_fits(j, op)) {
			if (!TAILQ_EMPTY(&b->ops) && j->n_ready > 0)
				break;
			/* The rest of the segment is left. */
			if (j->n_ready > 0) {
				journal_close(j, j->active);
				open = journal_batch_open(j);
				continue;
			}
		}
		TAILQ_REMOVE(ops, op, link);
		if (open && journal_batch_fits(j, op))
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

bool
journal_begin(struct journal *j, struct store_ops *ops,
    struct store_ops *files)
{
	struct journal_batch *b = &j->batch;

	TAILQ_INIT(&b->ops);
	TAILQ_INIT(&b->refused);
	b->segment = NULL;
	b->n_messages = b->n_gone = 0;
	b->len = 0;
	b->r = 0;
	if (TAILQ_EMPTY(ops) && !journal_is_due(j))
		return false;
	journal_batch_fill(j, ops, files);
	b->oldest = journal_oldest(j);
	for (unsigned int i = 0; i < b->n_closed; i++) {
		journal_put32(b->closed + JOURNAL_END * i, j->closed[i].seq);
		journal_put32(b->closed + JOURNAL_END * i + 4,
		    j->closed[i].end);
	}
	journal_batch_place(j);
	return b->segment != NULL || !TAILQ_EMPTY(&b->refused);
}

/* An operation of a batch that was written. */
static void
journal_end_op(struct journal *j, struct store_op *op)
{
	struct journal_batch *b = &j->batch;

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
journal_fail(struct journal *j)
{
	j->failed = true;
	journal_close(j, j->batch.segment);
}

static void
journal_succeed(struct journal *j)
{
	struct journal_batch *b = &j->batch;

	b->segment->end += b->len;
	if (b->begins) {
		j->failed = false;
		j->n_closed -= b->n_closed;
		memmove(j->closed, j->closed + b->n_closed,
		    j->n_closed * sizeof(j->closed[0]));
	}
	journal_bury(j, b->oldest);
}

void
journal_end(struct journal *j, struct store_ops *done)
{
	struct journal_batch *b = &j->batch;
	struct store_op *op;

	TAILQ_FOREACH(op, &b->ops, link)
		journal_end_op(j, op);
	if (b->segment != NULL) {
		if (b->r != 0)
			journal_fail(j);
		else
			journal_succeed(j);
	}
	TAILQ_CONCAT(done, &b->ops, link);
	TAILQ_CONCAT(done, &b->refused, link);
}

/* --------------------------------------------------- a batch, on a thread -- */

void
journal_head_text(uint32_t seq, char text[JOURNAL_HEAD_TEXT + 1])
{
	snprintf(text, JOURNAL_HEAD_TEXT + 1, "%010u", seq);
	snprintf(text + 10, JOURNAL_HEAD_TEXT + 1 - 10, " %08x\n",
	    crc32c(0, text, 10));
}

static void
journal_write_piece(struct journal_batch *b, const void *p, size_t len)
{
	if (len > 0)
		b->iov[b->n_iov++] = (struct iovec){ (void *)(uintptr_t)p,
			len };
}

static void
journal_write_record(struct journal_batch *b, uint8_t *head,
    struct journal_record *r, const struct iovec *payload, int n)
{
	r->seq = b->segment->seq;
	r->salt = b->segment->salt;
	r->oldest = b->oldest;
	r->batch = b->offset;
	journal_write_piece(b, head, JOURNAL_HEAD);
	for (int i = 0; i < n; i++) {
		r->len += (uint32_t)payload[i].iov_len;
		r->crc = crc32c(r->crc, payload[i].iov_base,
		    payload[i].iov_len);
		journal_write_piece(b, payload[i].iov_base,
		    payload[i].iov_len);
	}
	journal_record_pack(r, b->segment->key, head);
	journal_write_piece(b, journal_zeros, -r->len & 7u);
}

static void
journal_write_batch(struct journal_batch *b, uint32_t size)
{
	struct journal_record first = { .type = JOURNAL_SEGMENT },
	    gone = { .type = JOURNAL_GONE };
	struct store_op *op;
	unsigned int n = 2;
	uint32_t end = b->offset + b->len;

	b->n_iov = 0;
	if (b->begins)
		journal_write_record(b, b->heads[0], &first,
		    &(struct iovec){ b->closed, b->n_closed * JOURNAL_END }, 1);
	if (b->n_gone > 0)
		journal_write_record(b, b->heads[1], &gone,
		    &(struct iovec){ b->gone, b->n_gone * JOURNAL_ID }, 1);
	TAILQ_FOREACH(op, &b->ops, link) {
		struct journal_record r = { .type = JOURNAL_MESSAGE };

		if (op->kind != STORE_COMMIT)
			continue;
		memcpy(r.id, op->id, sizeof(r.id));
		store_file_seal(op->file, op->len);
		journal_write_record(b, b->heads[n++], &r, (struct iovec[]){
		    { op->file->front, op->file->front_len },
		    { (void *)(uintptr_t)op->data, op->len } }, 2);
	}
	/* Whole pages: the kernel has not to read what is behind. */
	if (end < size)
		journal_write_piece(b, journal_zeros,
		    -end & (JOURNAL_PAGE - 1));
}

/* J7 */
static void
journal_write_head(const struct journal *j, uint32_t seq)
{
	char text[JOURNAL_HEAD_TEXT + 1];
	struct err err;

	journal_head_text(seq, text);
	if (j->head >= 0 && fio_pwrite_all(j->head, text, JOURNAL_HEAD_TEXT, 0,
	    JOURNAL_HEAD_NAME, &err) == 0)
		(void)fio_datasync(j->head, JOURNAL_HEAD_NAME, &err);
}

void
journal_write(struct journal *j)
{
	struct journal_batch *b = &j->batch;

	if (b->segment == NULL)
		return;
	journal_write_batch(b, j->size);
	b->r = fio_pwritev_all(b->segment->fd, b->iov, b->n_iov,
	    (off_t)b->offset, "the journal", &b->err);
	if (b->r == 0)
		b->r = fio_datasync(b->segment->fd, "the journal", &b->err);
	if (b->r == 0 && b->begins)
		journal_write_head(j, b->segment->seq);
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
	 * will do until something is written. */
	if ((j->active != NULL ? j->n_ready + j->n_dying >= JOURNAL_READY_MIN :
	    j->n_ready > 0) ||
	    j->n_used + j->n_ready + j->n_dying >= JOURNAL_SEGMENTS_MAX)
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
journal_make(const struct journal *j, struct journal_segment *s,
    struct err *reterr)
{
	const struct store *st = j->st;
	char name[JOURNAL_NAME_SIZE + sizeof(JOURNAL_NEW)];
	int r;

	/* The reserve is not ours: without it small messages are files. */
	if ((r = store_space(st, 0, j->size, 1, reterr)) != 0)
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
		u->r = journal_make(j, u->made, &u->err);
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
