/*
 * store.c - the files of the spool, and what makes them durable.
 *
 * Runs in submitd-spool, the only process that writes here. Invariants:
 *
 * S1  A message is one record of the journal, or one file in one folder: tmp/
 *     (coming in, or gone; belongs to nobody after a crash), queue/ (queued), bad/
 *     (damaged, for the administrator). While it moves from the journal to
 *     queue/ it may be both: the file is right (J4 of journal.c).
 * S2  A commit is OK only after: all octets and the header written, fsync(file),
 *     close checked, rename to queue/, fsync(queue/), in this order; or J1.
 * S3  A commit that is not OK leaves no file in queue/: when the flush of the
 *     folder fails, what was renamed is removed again. In the journal: J2.
 * S4  Once queued envelope and content never change. Records are appended
 *     behind them in the file, at an offset that grows only when a flush
 *     succeeded; one that failed is written again, whole, at the same place. A
 *     record counts only when its CRC fits, and nothing behind one that does
 *     not. The journal has no records: a message that gets its first moves.
 * S5  A message is removed only when no recipient is pending, or when the
 *     administrator deletes it. A crash before that is durable repeats results,
 *     and loses none; a removal that nobody waits for goes with the next flush
 *     of the folder, or begins one after some 10 ms (FLUSH_LAZY_MS).
 *     The file of a message that is gone is written again for another one only
 *     after that is durable, when nobody has it open any more and submitd-local
 *     never had; and it is cut before the flush of S2, so that no record of the
 *     former counts.
 * S6  One process holds the lock of the folder, one flush of queue/ runs at a
 *     time, and there is one operation a message in all flushes: two of one
 *     message never cross.
 *
 * Files or journal, as measured here (two cores that others used as well, ext4
 * on virtio; t_spool files|journal, 4 KiB a message, medians of three; CPU of
 * client, spool and kernel for one message):
 *
 *	at a time	    1		   20		  100
 *	files		135 /s 1.4 ms	  369 /s 0.80 ms  393 /s 0.76 ms
 *	journal		587 /s 0.31 ms	4,692 /s 0.07 ms 3,170 /s 0.08 ms
 *
 * On the same machine to itself files made 5,500 /s at best. A file costs a
 * block, an inode, two folders and two commits of the file system's journal;
 * a record overwrites blocks that are there, and 20 of them are one flush. In
 * whole sessions (smtpload, 20 clients, delivered on) submitd-spool takes 0.15 ms
 * of CPU a message instead of 0.50. So all that is small and delivered soon is
 * in the journal, and what is large or stays is a file: it streams, and does not
 * keep a segment.
 *
 * The flush of files is shared as well: write-out of several is started before
 * the first is waited for, so that their journal commits are one, and the folder
 * is flushed once for all; four threads, for the kernel merges the cache flushes
 * that they ask for at the same time.
 *
 * A start with 100,000 queued messages of 4 KiB (t_spool_start, on the same
 * machine with ten others at work): from the journal 1.4 s, or 3.2 s when the
 * disk has to be asked for all of it; from files 4.2 s. 630 octets of memory each.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "submitd/spool/store.h"

#include "lib/fio.h"
#include "submitd/spool/journal.h"
#include "submitd/spool/spares.h"

#define STORE_LOCK_WAIT_MS 10000
#define STORE_FREE_MAX (1024ull * 1024 * 1024)	/* of the default reserve */
#define STORE_FREE_SHARE 20u			/* 5 % */
#define STORE_INODES_MIN 64u			/* kept free for others */

static int
store_lock(int fd, const char *path, struct err *reterr)
{
	int r = fio_lock(fd, STORE_LOCK_WAIT_MS);

	if (r == ERR_EXISTS)
		return err_set(reterr, ERR_EXISTS,
		    "%s is in use by another submitd-spool", path);
	return r == 0 ? 0 : err_sys(reterr, "cannot lock %s", path);
}

/* Opens a folder below `dir`, making it where it is missing. */
static int
store_folder(int dir, const char *name, uid_t uid, gid_t gid,
    struct err *reterr)
{
	int fd;

	if (mkdirat(dir, name, 0700) == 0) {
		if (fchownat(dir, name, uid, gid, AT_SYMLINK_NOFOLLOW) != 0)
			return err_sys(reterr, "cannot give away %s", name);
	} else if (errno != EEXIST) {
		return err_sys(reterr, "cannot make folder %s", name);
	}
	fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? err_sys(reterr, "cannot open folder %s", name) : fd;
}

static int
store_open_dir(struct store *st, const char *path, uid_t uid, gid_t gid,
    struct err *reterr)
{
	struct stat sb;
	int r;

	if (stat(path, &sb) != 0) {
		if ((r = fio_mkdir(path, 0700, reterr)) != 0)
			return r;
		if (chown(path, uid, gid) != 0)
			return err_sys(reterr, "cannot give away %s", path);
	}
	st->dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (st->dir < 0)
		return err_sys(reterr, "cannot open spool_dir %s", path);
	return 0;
}

int
store_open(struct store *st, const char *path, uid_t uid, gid_t gid,
    struct err *reterr)
{
	int r;

	st->dir = st->tmp = st->queue = st->bad = st->segments = -1;
	st->spares = NULL;
	if ((st->journal = journal_new(st)) == NULL)
		return err_set(reterr, ERR_NOMEM, "no memory for the journal");
	if ((r = store_open_dir(st, path, uid, gid, reterr)) != 0 ||
	    (r = store_lock(st->dir, path, reterr)) != 0 ||
	    (r = st->tmp = store_folder(st->dir, "tmp", uid, gid,
	    reterr)) < 0 ||
	    (r = st->queue = store_folder(st->dir, "queue", uid, gid,
	    reterr)) < 0 ||
	    (r = st->bad = store_folder(st->dir, "bad", uid, gid,
	    reterr)) < 0 ||
	    (r = st->segments = store_folder(st->dir, "journal", uid, gid,
	    reterr)) < 0 ||
	    (r = fio_sync(st->dir, "spool_dir", reterr)) != 0) {
		store_close(st);
		return r;
	}
	if ((st->spares = spares_new(st->tmp)) == NULL) {
		store_close(st);
		return err_set(reterr, ERR_NOMEM, "no memory for the spool");
	}
	return 0;
}

int
store_check_access(const struct store *st, struct err *reterr)
{
	const int fds[] = { st->tmp, st->queue, st->bad, st->segments };

	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (faccessat(fds[i], ".", R_OK | W_OK | X_OK, AT_EACCESS) != 0)
			return err_sys(reterr, "spool_dir: its folders are to "
			    "belong to the user of submitd-spool");
	return 0;
}

void
store_close(struct store *st)
{
	int *const fds[] = { &st->tmp, &st->queue, &st->bad, &st->segments,
	    &st->dir };

	journal_free(st->journal);
	st->journal = NULL;
	spares_free(st->spares);
	st->spares = NULL;
	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		if (*fds[i] >= 0)
			close(*fds[i]);
		*fds[i] = -1;
	}
}

static uint64_t
store_default_free(const struct statvfs *v)
{
	uint64_t min_free = v->f_blocks * (v->f_frsize != 0 ? v->f_frsize :
	    v->f_bsize) / STORE_FREE_SHARE;

	return min_free > STORE_FREE_MAX ? STORE_FREE_MAX : min_free;
}

uint64_t
store_min_free(const struct store *st, uint64_t min_free)
{
	struct statvfs v;

	if (min_free == 0 && fstatvfs(st->queue, &v) == 0)
		min_free = store_default_free(&v);
	return min_free;
}

uint64_t
store_free(const struct store *st, uint64_t min_free)
{
	struct statvfs v;
	uint64_t avail;

	if (fstatvfs(st->queue, &v) != 0)
		return UINT64_MAX;
	avail = v.f_bavail * (v.f_frsize != 0 ? v.f_frsize : v.f_bsize);
	if (min_free == 0)
		min_free = store_default_free(&v);
	return avail > min_free ? avail - min_free : 0;
}

int
store_space(const struct store *st, uint64_t min_free, uint64_t need,
    uint64_t files, struct err *reterr)
{
	struct statvfs v;
	uint64_t avail, unit;

	if (fstatvfs(st->queue, &v) != 0)
		return err_sys(reterr, "cannot ask for free space");
	unit = v.f_frsize != 0 ? v.f_frsize : v.f_bsize;
	avail = v.f_bavail * unit;
	if (min_free == 0)
		min_free = store_default_free(&v);
	if (avail < min_free || avail - min_free < need)
		return err_set(reterr, ERR_NOSPACE, "%llu octets are free, "
		    "%llu are asked for and %llu kept in reserve",
		    (unsigned long long)avail, (unsigned long long)need,
		    (unsigned long long)min_free);
	/* No count at all: a file system that makes inodes as it needs them. */
	if (v.f_files != 0 && v.f_favail < STORE_INODES_MIN + files)
		return err_set(reterr, ERR_NOSPACE, "%llu inodes are free",
		    (unsigned long long)v.f_favail);
	return 0;
}

int
store_file_new(const struct envelope *e, const char *top, size_t top_len,
    struct store_file **ret)
{
	struct store_file *f;
	uint8_t *env;
	size_t len;
	int r;

	if ((r = envelope_pack(e, &env, &len)) != 0)
		return r;
	f = calloc(1, sizeof(*f));
	if (f != NULL)
		f->front = malloc(ENVELOPE_HEADER_SIZE + len + top_len);
	if (f == NULL || f->front == NULL) {
		free(f);
		free(env);
		return ERR_NOMEM;
	}
	memcpy(f->id, e->id, sizeof(f->id));
	f->fd = -1;
	f->front_len = ENVELOPE_HEADER_SIZE + len + top_len;
	memset(f->front, 0, ENVELOPE_HEADER_SIZE);
	memcpy(f->front + ENVELOPE_HEADER_SIZE, env, len);
	memcpy(f->front + ENVELOPE_HEADER_SIZE + len, top, top_len);
	f->h.envelope_len = (uint32_t)len;
	f->h.envelope_crc = envelope_crc(env, len);
	f->h.content_offset = ENVELOPE_HEADER_SIZE + len;
	f->h.content_len = top_len;
	free(env);
	*ret = f;
	return 0;
}

static int
store_file_create(const struct store *st, struct store_file *f,
    struct err *reterr)
{
	off_t stale = 0;
	int r;

	f->fd = spares_take(st->spares, f->id, &stale);
	f->stale = (uint64_t)stale;
	if (f->fd < 0 && (f->fd = fio_openat(st->tmp, f->id,
	    O_RDWR | O_CREAT | O_EXCL, 0600, reterr)) < 0)
		return f->fd;
	r = fio_write_all(f->fd, f->front, f->front_len, f->id, reterr);
	if (r == 0)
		f->written = f->front_len;
	return r;
}

int
store_file_write(const struct store *st, struct store_file *f, const void *p,
    size_t len, struct err *reterr)
{
	int r;

	if (f->fd < 0 && (r = store_file_create(st, f, reterr)) != 0)
		return r;
	if (len == 0)
		return 0;
	if ((r = fio_write_all(f->fd, p, len, f->id, reterr)) != 0)
		return r;
	f->h.content_len += len;
	f->written += len;
	return 0;
}

void
store_file_seal(struct store_file *f, size_t len)
{
	f->h.content_len += len;
	envelope_header_pack(&f->h, f->front);
}

/* The rest of the content and the header; write-out is started. */
static int
store_file_finish(const struct store *st, struct store_file *f, const void *p,
    size_t len, struct err *reterr)
{
	uint8_t header[ENVELOPE_HEADER_SIZE];
	struct envelope_header h = f->h;
	int r;

	h.content_len += len;
	envelope_header_pack(&h, header);
	if (f->fd < 0) {
		/* All of it is here: the header is right at once. */
		memcpy(f->front, header, sizeof(header));
		if ((r = store_file_write(st, f, p, len, reterr)) != 0)
			return r;
	} else if ((r = store_file_write(st, f, p, len, reterr)) != 0 ||
	    (r = fio_pwrite_all(f->fd, header, sizeof(header), 0, f->id,
	    reterr)) != 0) {
		return r;
	}
	if (f->stale > f->written && (r = fio_truncate(f->fd,
	    (off_t)f->written, f->id, reterr)) != 0)
		return r;
	/* A hint only: fsync decides. */
	(void)sync_file_range(f->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
	return 0;
}

static void
store_file_free(struct store_file *f)
{
	free(f->front);
	free(f);
}

void
store_file_discard(const struct store *st, struct store_file *f)
{
	if (f == NULL)
		return;
	if (f->fd >= 0) {
		close(f->fd);
		/* What cannot be removed now is at the next start (S1). */
		fio_forget(st->tmp, f->id);
	}
	store_file_free(f);
}

/* ------------------------------------------------------------- operations -- */

enum store_lane
store_op_next(const struct store_op *op)
{
	const struct store_place *p = op->place;

	switch (op->kind) {
	case STORE_COMMIT:
		if (op->file == NULL)
			return STORE_DONE;
		return op->apart || op->file->fd >= 0 || op->file->front_len +
		    op->len > JOURNAL_MESSAGE_MAX ? STORE_FILES : STORE_JOURNAL;
	case STORE_RESULTS:
		if (!op->written)
			return STORE_FILES;
		return p->segment != NULL ? STORE_JOURNAL : STORE_DONE;
	case STORE_MOVE:
		if (!p->filed)
			return STORE_FILES;
		return p->segment != NULL ? STORE_JOURNAL : STORE_DONE;
	case STORE_REMOVE:
		/* The journal first: what it has alone knows no results. */
		if (p->segment != NULL)
			return STORE_JOURNAL;
		return p->filed ? STORE_FILES : STORE_DONE;
	}
	return STORE_DONE;
}

/* Whether it makes the file of a message that the journal has. */
static bool
store_op_moves(const struct store_op *op)
{
	return (op->kind == STORE_RESULTS || op->kind == STORE_MOVE) &&
	    !op->place->filed;
}

/* The message out of the journal, and its records, as a file of tmp/. */
static int
store_move_write(const struct store *st, struct store_op *op)
{
	uint32_t len = op->place->len;
	uint8_t *p = malloc(len);
	int r;

	if (p == NULL)
		return err_set(&op->err, ERR_NOMEM, "no memory");
	if ((r = journal_read(op->place, p, &op->err)) == 0)
		r = op->fd = fio_openat(st->tmp, op->id,
		    O_WRONLY | O_CREAT | O_TRUNC, 0600, &op->err);
	if (r >= 0 && (r = fio_write_all(op->fd, p, len, op->id,
	    &op->err)) == 0 && op->len > 0)
		r = fio_pwrite_all(op->fd, op->data, op->len,
		    (off_t)op->offset, op->id, &op->err);
	free(p);
	return r;
}

static int
store_results_write(const struct store *st, struct store_op *op)
{
	int r;

	if (store_op_moves(op))
		return store_move_write(st, op);
	op->fd = fio_openat(st->queue, op->id, O_WRONLY, 0, &op->err);
	if (op->fd < 0)
		return op->fd;
	r = fio_pwrite_all(op->fd, op->data, op->len, (off_t)op->offset,
	    op->id, &op->err);
	if (r == 0)
		(void)sync_file_range(op->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
	return r;
}

/* What needs no waiting. */
static void
store_op_start(const struct store *st, struct store_op *op)
{
	op->fd = -1;
	op->r = 0;
	switch (op->kind) {
	case STORE_COMMIT:
		op->r = store_file_finish(st, op->file, op->data, op->len,
		    &op->err);
		break;
	case STORE_RESULTS:
	case STORE_MOVE:
		op->r = store_results_write(st, op);
		break;
	case STORE_REMOVE:
		break;
	}
}

/* Waits until the file itself is on stable storage. */
static void
store_op_sync(struct store_op *op)
{
	int *fd = op->kind == STORE_COMMIT ? &op->file->fd : &op->fd;

	if (op->kind == STORE_REMOVE || *fd < 0)
		return;
	if (op->r == 0)
		op->r = op->kind == STORE_COMMIT || store_op_moves(op) ?
		    fio_sync(*fd, op->id, &op->err) :
		    fio_datasync(*fd, op->id, &op->err);
	if (op->r == 0)
		op->r = fio_close(*fd, op->id, &op->err);
	else
		close(*fd);
	*fd = -1;
}

/* Takes a message out of queue/; its file is kept in tmp/ where that is of use. */
static int
store_op_take_out(const struct store *st, struct store_op *op)
{
	int r;

	/* A full file system may have no room for another name. */
	op->spared = !op->no_spare &&
	    spares_want(st->spares, st->queue, op->id, &op->size) &&
	    fio_renameat(st->queue, op->id, st->tmp, op->id, &op->err) == 0;
	if (op->spared)
		return 0;
	r = fio_unlinkat(st->queue, op->id, &op->err);
	/* A second try, after the flush had failed? */
	return r != 0 && errno == ENOENT ? 0 : r;
}

/* Changes the folder; returns whether it is to be flushed. */
static bool
store_op_move(const struct store *st, struct store_op *op)
{
	op->moved = op->spared = false;
	if (op->r != 0 || (op->kind == STORE_RESULTS && op->place->filed))
		return false;
	if (op->kind != STORE_REMOVE)
		op->r = fio_renameat(st->tmp, op->id, st->queue, op->id,
		    &op->err);
	else
		op->r = store_op_take_out(st, op);
	op->moved = op->r == 0;
	return op->moved;
}

/* The folder's flush failed: nothing of it was done (S3). */
static void
store_op_undo(const struct store *st, struct store_op *op,
    const struct err *why)
{
	if (!op->moved)
		return;
	op->r = why->code;
	op->err = *why;
	if (op->kind != STORE_REMOVE)
		fio_forget(st->queue, op->id);
}

void
store_commit_end(struct store_op *op)
{
	op->content_offset = op->file->h.content_offset;
	op->content_len = op->file->h.content_len;
	store_file_free(op->file);
	op->file = NULL;
}

static void
store_op_end(const struct store *st, struct store_op *op)
{
	/* What was not moved is still in tmp/. */
	if (op->r != 0 && !op->moved &&
	    (op->kind == STORE_COMMIT || store_op_moves(op)))
		fio_forget(st->tmp, op->id);
	if (op->spared && op->moved && (op->r != 0 ||
	    !spares_give(st->spares, op->id, op->size)))
		fio_forget(st->tmp, op->id);
	if (op->r == 0) {
		op->written = true;
		op->place->filed = op->kind != STORE_REMOVE;
	}
	if (op->kind == STORE_COMMIT)
		store_commit_end(op);
}

void
store_flush_files(const struct store *st, struct store_ops *ops)
{
	struct store_op *op;

	TAILQ_FOREACH(op, ops, link)
		store_op_start(st, op);
	TAILQ_FOREACH(op, ops, link)
		store_op_sync(op);
}

void
store_flush_folder(const struct store *st, struct store_ops *ops)
{
	struct store_op *op;
	struct err err;
	bool moved = false;

	TAILQ_FOREACH(op, ops, link)
		if (store_op_move(st, op))
			moved = true;
	if (moved && fio_sync(st->queue, "queue", &err) != 0)
		TAILQ_FOREACH(op, ops, link)
			store_op_undo(st, op, &err);
	TAILQ_FOREACH(op, ops, link)
		store_op_end(st, op);
}

int
store_read_fd(const struct store *st, const char *id, struct err *reterr)
{
	return fio_openat(st->queue, id, O_RDONLY | O_NOFOLLOW, 0, reterr);
}

/* ERR_CORRUPT where the file is shorter. */
static int
store_pread_all(int fd, void *p, size_t len, uint64_t offset,
    struct err *reterr)
{
	uint8_t *q = p;

	while (len > 0) {
		ssize_t n = pread(fd, q, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(reterr, "cannot read");
		if (n == 0)
			return err_set(reterr, ERR_CORRUPT, "the file is cut");
		q += n;
		len -= (size_t)n;
		offset += (uint64_t)n;
	}
	return 0;
}

/* Behind the header, which is right. */
static int
store_take_envelope(const struct envelope_header *h, const uint8_t *env,
    struct envelope *ret_e, struct err *reterr)
{
	int r;

	if (envelope_crc(env, h->envelope_len) != h->envelope_crc)
		return err_set(reterr, ERR_CORRUPT, "the envelope is damaged");
	if ((r = envelope_unpack(env, h->envelope_len, ret_e)) != 0)
		return err_set(reterr, r == ERR_NOMEM ? r : ERR_CORRUPT,
		    "the envelope cannot be read");
	ret_e->wishes.tls_optional = h->tls_optional;
	return 0;
}

int
store_parse_envelope(const uint8_t *p, size_t len,
    struct envelope_header *ret_h, struct envelope *ret_e, struct err *reterr)
{
	if (len < ENVELOPE_HEADER_SIZE ||
	    envelope_header_unpack(p, ret_h) != 0 ||
	    ret_h->content_offset > len ||
	    ret_h->content_len != len - ret_h->content_offset)
		return err_set(reterr, ERR_CORRUPT, "the header is damaged");
	return store_take_envelope(ret_h, p + ENVELOPE_HEADER_SIZE, ret_e,
	    reterr);
}

int
store_read_envelope(int fd, struct envelope_header *ret_h,
    struct envelope *ret_e, struct err *reterr)
{
	uint8_t header[ENVELOPE_HEADER_SIZE], *env;
	int r;

	r = store_pread_all(fd, header, sizeof(header), 0, reterr);
	if (r != 0)
		return r;
	if (envelope_header_unpack(header, ret_h) != 0)
		return err_set(reterr, ERR_CORRUPT, "the header is damaged");
	if ((env = malloc(ret_h->envelope_len + 1)) == NULL)
		return err_set(reterr, ERR_NOMEM, "no memory");
	r = store_pread_all(fd, env, ret_h->envelope_len,
	    ENVELOPE_HEADER_SIZE, reterr);
	if (r == 0)
		r = store_take_envelope(ret_h, env, ret_e, reterr);
	free(env);
	return r;
}

int
store_read_results(int fd, const struct envelope_header *h,
    store_result_fn *each, void *ctx, uint64_t *ret_end, struct err *reterr)
{
	struct envelope_result *res;
	uint8_t buf[8 * ENVELOPE_RESULT_MAX];
	uint64_t at = h->content_offset + h->content_len;
	struct stat sb;
	int n = 0;

	if (fstat(fd, &sb) != 0)
		return err_sys(reterr, "cannot look at the file");
	if ((uint64_t)sb.st_size < at)
		return err_set(reterr, ERR_CORRUPT, "the message is cut");
	if ((res = malloc(sizeof(*res))) == NULL)
		return err_set(reterr, ERR_NOMEM, "no memory");
	while (n >= 0) {
		ssize_t got = pread(fd, buf, sizeof(buf), (off_t)at);
		size_t used = 0;

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			free(res);
			return err_sys(reterr, "cannot read results");
		}
		while ((n = envelope_result_unpack(buf + used,
		    (size_t)got - used, res)) > 0) {
			each(ctx, res);
			used += (size_t)n;
		}
		/* The last one may only have been cut by our buffer. */
		if (used > 0 && (size_t)got == sizeof(buf))
			n = 0;
		at += used;
	}
	free(res);
	*ret_end = at;
	return 0;
}

int
store_set_aside(const struct store *st, const char *name, struct err *reterr)
{
	if (renameat(st->queue, name, st->bad, name) != 0)
		return err_sys(reterr, "cannot move it to bad");
	return 0;
}

int
store_keep_bad(const struct store *st, const char *name, const void *p,
    size_t len, struct err *reterr)
{
	int fd = fio_openat(st->bad, name, O_WRONLY | O_CREAT | O_EXCL, 0600,
	    reterr);
	int r;

	if (fd < 0)
		return errno == EEXIST ? ERR_EXISTS : fd;
	r = fio_write_all(fd, p, len, name, reterr);
	if (r == 0)
		r = fio_sync(fd, name, reterr);
	if (r == 0)
		r = fio_close(fd, name, reterr);
	else
		close(fd);
	if (r == 0)
		r = fio_sync(st->bad, "bad", reterr);
	if (r != 0)
		fio_forget(st->bad, name);
	return r;
}
