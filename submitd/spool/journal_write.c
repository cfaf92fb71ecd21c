/*
 * journal_write.c - a batch of the journal on its thread: its records, their
 * write, its flush. See journal.h, and journal.c for the invariants.
 *
 * Runs on threads of submitd-spool. Batches are written in the order in which
 * they were begun, for each is filled up to a page with zeros, and the next one
 * begins on that page; none is written behind one that could not be. Flushes run
 * side by side.
 *
 * Each lane has a file description of its own: Linux tells of a page that could
 * not be written once to each of them. Of two threads with one description one
 * would be told that all is well although its pages are lost. A lane has one batch
 * at a time, so what its flush is told covers the batch's pages.
 */
#include "config.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "submitd/spool/journal_private.h"

#include "lib/crc32c.h"
#include "lib/fio.h"

static const uint8_t journal_zeros[JOURNAL_PAGE];

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
	r->stable = b->stable;
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

/* J8 */
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

/* ----------------------------------------------------------------- lanes -- */

/* Another description of the segment. By its name, but only if that is still its
 * own: what is written to another file is lost. */
static int
journal_lane_open(const struct journal *j, const struct journal_segment *s)
{
	struct stat own, sb;
	struct err err;
	int fd = fio_openat(j->st->segments, s->name,
	    O_WRONLY | O_NOFOLLOW | O_NONBLOCK, 0, &err);

	if (fd >= 0 && (fstat(s->fd, &own) != 0 || fstat(fd, &sb) != 0 ||
	    own.st_dev != sb.st_dev || own.st_ino != sb.st_ino)) {
		close(fd);
		return -1;
	}
	return fd;
}

/* With fewer of them fewer batches run at a time. */
static void
journal_lanes_open(struct journal *j, const struct journal_segment *s)
{
	int fd;

	while (j->n_fds + 1 < JOURNAL_LANES &&
	    (fd = journal_lane_open(j, s)) >= 0)
		j->fds[++j->n_fds] = fd;
}

void
journal_lanes_close(struct journal *j)
{
	while (j->n_fds > 0)
		close(j->fds[j->n_fds--]);
}

/* Waits for its turn; false: one before it was not written, and with a hole in
 * front of it it would be worth nothing. */
static bool
journal_turn_await(struct journal *j, const struct journal_batch *b)
{
	bool ok;

	pthread_mutex_lock(&j->lock);
	while (j->n_written != b->number - 1)
		pthread_cond_wait(&j->turn, &j->lock);
	ok = !j->unwritten;
	pthread_mutex_unlock(&j->lock);
	return ok;
}

static void
journal_turn_end(struct journal *j, const struct journal_batch *b)
{
	pthread_mutex_lock(&j->lock);
	j->n_written = b->number;
	j->unwritten = j->unwritten || b->r != 0;
	pthread_cond_broadcast(&j->turn);
	pthread_mutex_unlock(&j->lock);
}

void
journal_write(struct journal *j, unsigned int lane)
{
	struct journal_batch *b = &j->batches[lane];
	int fd = -1;

	if (b->segment != NULL) {
		fd = lane == 0 ? b->segment->fd : j->fds[lane];
		journal_write_batch(b, j->size);
	}
	if (!journal_turn_await(j, b))
		b->r = err_set(&b->err, ERR_SYSTEM, "the journal could not be "
		    "written in front of it");
	else if (fd >= 0)
		b->r = fio_pwritev_all(fd, b->iov, b->n_iov, (off_t)b->offset,
		    "the journal", &b->err);
	journal_turn_end(j, b);
	if (b->r == 0 && fd >= 0)
		b->r = fio_datasync(fd, "the journal", &b->err);
	if (b->r == 0 && b->begins) {
		journal_write_head(j, b->segment->seq);
		journal_lanes_open(j, b->segment);
	}
}
