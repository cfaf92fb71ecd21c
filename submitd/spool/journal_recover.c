/*
 * journal_recover.c - what the journal finds at its start.
 *
 * Runs in submitd-spool before it serves anybody. Reads each segment whole, one
 * at a time, and checks every record. No segment is appended to again: what a
 * crash left at its end is never mistaken for something that was written later.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "submitd/spool/journal_private.h"

#include "lib/fio.h"

#define JOURNAL_PIECE (1024u * 1024)
#define JOURNAL_ENDS_MAX (64u * 1024)

struct journal_find {
	struct journal		*j;
	const struct journal_finder *f;
	void			*ctx;
	struct journal_segment	**found;	/* by sequence */
	size_t			 n;
	struct journal_closed	*ends;		/* what segments say of others */
	size_t			 n_ends;
	uint32_t		 oldest;
	uint8_t			*buf;		/* a segment */
	uint32_t		 len;
	struct journal_segment	*now;		/* in buf */
};

/* Reads `len` octets; what the disk will not give is zeros. */
static void
journal_find_read(int fd, uint8_t *p, uint32_t len)
{
	uint32_t at = 0, step = JOURNAL_PIECE;

	memset(p, 0, len);
	while (at < len) {
		uint32_t want = len - at < step ? len - at : step;
		ssize_t n = pread(fd, p + at, want, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0)
			return;
		if (n < 0 && step > JOURNAL_PAGE)
			step = JOURNAL_PAGE;
		else
			at += n < 0 ? want : (uint32_t)n;
	}
}

static void
journal_find_load(struct journal_find *s, struct journal_segment *seg)
{
	struct stat sb;

	s->len = 0;
	s->now = seg;
	if (fstat(seg->fd, &sb) != 0 || sb.st_size <= 0)
		return;
	s->len = sb.st_size > s->j->size ? s->j->size : (uint32_t)sb.st_size;
	s->len &= ~7u;
	journal_find_read(seg->fd, s->buf, s->len);
}

/* Notes the ends that a segment's first record names. */
static int
journal_find_ends(struct journal_find *s, const struct journal_record *r,
    const uint8_t *payload)
{
	size_t n = r->len / JOURNAL_END;
	struct journal_closed *grown;

	if (r->type != JOURNAL_SEGMENT || n == 0)
		return 0;
	if (s->n_ends + n > JOURNAL_ENDS_MAX)
		return 0;
	grown = realloc(s->ends, (s->n_ends + n) * sizeof(*grown));
	if (grown == NULL)
		return ERR_NOMEM;
	s->ends = grown;
	for (size_t i = 0; i < n; i++, payload += JOURNAL_END)
		grown[s->n_ends++] = (struct journal_closed){
			journal_get32(payload), journal_get32(payload + 4) };
	return 0;
}

static uint32_t
journal_find_end(const struct journal_find *s, uint32_t seq)
{
	for (size_t i = 0; i < s->n_ends; i++)
		if (s->ends[i].seq == seq)
			return s->ends[i].end;
	return UINT32_MAX;
}

static int
journal_find_nomem(struct err *reterr)
{
	return err_set(reterr, ERR_NOMEM, "no memory for the journal");
}

struct journal_first {
	struct journal_find *s;
	int r;
};

static bool
journal_find_first(void *ctx, const struct journal_record *r, uint32_t offset,
    const uint8_t *payload)
{
	struct journal_first *first = ctx;

	(void)offset;
	if (r->oldest > first->s->oldest)
		first->s->oldest = r->oldest;
	first->r = journal_find_ends(first->s, r, payload);
	return false;
}

/* Which segment it is, and what its first record says of others. */
static int
journal_find_know(struct journal_find *s, struct journal_segment *seg,
    struct err *reterr)
{
	struct journal_first first = { .s = s };
	struct journal_scan scan;

	s->now = seg;
	s->len = JOURNAL_HEAD + sizeof(s->j->batches[0].closed);
	if (s->len > s->j->size)
		s->len = s->j->size;
	journal_find_read(seg->fd, s->buf, s->len);
	if (journal_scan_begin(s->buf, JOURNAL_HEAD, seg->key, &scan) != 0) {
		journal_find_load(s, seg);
		if (journal_scan_begin(s->buf, s->len, seg->key, &scan) != 0) {
			journal_add_ready(s->j, seg);
			return 0;
		}
	}
	journal_scan_run(&scan, s->buf, s->len, UINT32_MAX,
	    journal_find_first, &first);
	seg->seq = scan.seq;
	seg->salt = scan.salt;
	if (seg->seq >= s->j->next_seq)
		s->j->next_seq = seg->seq + 1;
	s->found[s->n++] = seg;
	return first.r == 0 ? 0 : journal_find_nomem(reterr);
}

static int
journal_find_file(struct journal_find *s, const char *name,
    struct err *reterr)
{
	struct journal_segment *seg;
	struct stat sb;
	struct err err;
	uint32_t number, key;
	int fd;

	if (strspn(name, "0123456789") != 8 || name[8] != '-' ||
	    strspn(name + 9, "0123456789abcdef") != 8) {
		if (name[0] != '.') {
			err_set(&err, ERR_CORRUPT, "its name is no segment's");
			s->f->unreadable(s->ctx, name, &err);
		}
		return 0;
	}
	if (strcmp(name + JOURNAL_NAME_SIZE - 1, JOURNAL_NEW) == 0)
		fio_forget(s->j->st->segments, name);
	if (name[JOURNAL_NAME_SIZE - 1] != '\0')
		return 0;
	number = (uint32_t)strtoul(name, NULL, 10);
	key = (uint32_t)strtoul(name + 9, NULL, 16);
	if (number >= s->j->next_name)
		s->j->next_name = number + 1;
	fd = fio_openat(s->j->st->segments, name,
	    O_RDWR | O_NOFOLLOW | O_NONBLOCK, 0, &err);
	/* Without it nobody knows what is dead, and it would be taken for dead
	 * when it can be opened again. */
	if (fd < 0 && errno != ELOOP && errno != ENXIO) {
		*reterr = err;
		return fd;
	}
	if (fd < 0 || fstat(fd, &sb) != 0 || !S_ISREG(sb.st_mode)) {
		if (fd >= 0)
			close(fd);
		err_set(&err, ERR_CORRUPT, "not a file");
		s->f->unreadable(s->ctx, name, &err);
		return 0;
	}
	if (sb.st_size < s->j->size) {
		err_set(&err, ERR_CORRUPT, "it is cut: %lld of %u octets; what "
		    "was behind them is lost", (long long)sb.st_size,
		    s->j->size);
		s->f->unreadable(s->ctx, name, &err);
	}
	if ((seg = journal_segment_new(number, key, fd)) == NULL) {
		close(fd);
		return journal_find_nomem(reterr);
	}
	seg->odd = sb.st_size != s->j->size;
	return journal_find_know(s, seg, reterr);
}

static int
journal_find_files(struct journal_find *s, struct err *reterr)
{
	struct dirent **names;
	int n = scandirat(s->j->st->segments, ".", &names, NULL, alphasort);
	int r = 0;

	if (n < 0)
		return err_sys(reterr, "cannot read the journal's folder");
	s->buf = malloc(s->j->size);
	s->found = calloc((size_t)n + 1, sizeof(struct journal_segment *));
	if (s->buf == NULL || s->found == NULL)
		r = journal_find_nomem(reterr);
	for (int i = 0; i < n; i++) {
		if (r == 0)
			r = journal_find_file(s, names[i]->d_name, reterr);
		free(names[i]);
	}
	free(names);
	return r;
}

static int
journal_find_cmp(const void *a, const void *b)
{
	const struct journal_segment *x = *(struct journal_segment *const *)a,
	    *y = *(struct journal_segment *const *)b;

	return x->seq < y->seq ? -1 : x->seq > y->seq;
}

/* A record, in the order in which all of them were written. */
static bool
journal_find_record(void *ctx, const struct journal_record *r,
    uint32_t offset, const uint8_t *payload)
{
	struct journal_find *s = ctx;
	char id[STR_ID_SIZE] = "";
	struct store_place *p;

	if (r->type == JOURNAL_MESSAGE &&
	    (p = s->f->message(s->ctx, r->id, payload, r->len)) != NULL)
		journal_enter(s->j, s->now, p, offset + JOURNAL_HEAD, r->len);
	if (r->type != JOURNAL_GONE)
		return true;
	for (uint32_t at = 0; at + JOURNAL_ID <= r->len; at += JOURNAL_ID) {
		memcpy(id, payload + at, JOURNAL_ID);
		s->f->gone(s->ctx, id);
	}
	return true;
}

static void
journal_find_scan(struct journal_find *s, struct journal_segment *seg)
{
	struct journal_scan scan = { .key = seg->key, .seq = seg->seq,
		.salt = seg->salt };
	uint32_t limit = journal_find_end(s, seg->seq);

	TAILQ_INSERT_TAIL(&s->j->used, seg, link);
	s->j->n_used++;
	journal_find_load(s, seg);
	journal_scan_run(&scan, s->buf, s->len, limit, journal_find_record, s);
	for (size_t i = 0; i < scan.n_gaps; i++)
		s->f->damaged(s->ctx, seg->name, scan.gaps[i].from,
		    scan.gaps[i].id, s->buf + scan.gaps[i].from,
		    scan.gaps[i].to - scan.gaps[i].from,
		    scan.gaps[i].last);
	if (scan.torn > 0)
		s->f->torn(s->ctx, seg->name, scan.torn);
	if (scan.oldest > s->oldest)
		s->oldest = scan.oldest;
	seg->end = scan.end | (scan.holes ? JOURNAL_TORN : 0);
}

/* What later records say is dead is so (J3). */
static void
journal_find_dead(struct journal_find *s)
{
	struct journal_segment *seg;
	struct store_place *p;

	TAILQ_FOREACH(seg, &s->j->used, link) {
		if (seg->seq >= s->oldest)
			break;
		while ((p = TAILQ_FIRST(&seg->places)) != NULL)
			s->f->dead(s->ctx, p);
	}
}

/* What was read may only be in memory yet, after a crash of this process. */
static int
journal_find_sync(struct journal_find *s, struct err *reterr)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < s->n; i++)
		r = fio_datasync(s->found[i]->fd, "the journal", reterr);
	return r;
}

static bool
journal_find_nothing(void *ctx, const struct journal_record *r,
    uint32_t offset, const uint8_t *payload)
{
	(void)ctx;
	(void)r;
	(void)offset;
	(void)payload;
	return true;
}

/* The last records tell what is dead; of that nothing is told, whatever a crash
 * has left that was just overwriting it. */
static void
journal_find_oldest(struct journal_find *s, struct journal_segment *seg)
{
	struct journal_scan scan = { .key = seg->key, .seq = seg->seq,
		.salt = seg->salt };

	journal_find_load(s, seg);
	journal_scan_run(&scan, s->buf, s->len,
	    journal_find_end(s, seg->seq), journal_find_nothing, NULL);
	if (scan.oldest > s->oldest)
		s->oldest = scan.oldest;
}

static void
journal_find_tell(struct journal_find *s, uint32_t seq, uint32_t n,
    const char *which)
{
	struct err err;
	char name[24];

	(void)str_format(name, sizeof(name), "sequence-%u", seq);
	err_set(&err, ERR_CORRUPT, "%u segments of the journal%s are missing: "
	    "what was in them is lost, and what they said was delivered may be "
	    "delivered again", n, which);
	s->f->unreadable(s->ctx, name, &err);
}

/* Segments that somebody has removed: one that failed at its first batch, and
 * was given up for that, has no messages in it. */
static void
journal_find_missing(struct journal_find *s, size_t first)
{
	uint32_t seq = s->oldest;

	for (size_t i = first; i < s->n; i++) {
		while (seq < s->found[i]->seq &&
		    (journal_find_end(s, seq) & ~JOURNAL_TORN) == 0)
			seq++;
		if (seq > 0 && seq < s->found[i]->seq)
			journal_find_tell(s, seq, s->found[i]->seq - seq, "");
		seq = s->found[i]->seq + 1;
	}
}

/* The last segment that had a message, as .head has it; 0: not known. */
static uint32_t
journal_find_head(struct journal *j)
{
	char text[JOURNAL_HEAD_TEXT + 1] = "", want[JOURNAL_HEAD_TEXT + 1];
	struct err err;
	uint32_t seq;

	j->head = fio_openat(j->st->segments, JOURNAL_HEAD_NAME,
	    O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0600, &err);
	if (j->head < 0 || fio_sync(j->st->segments, "journal", &err) != 0 ||
	    pread(j->head, text, JOURNAL_HEAD_TEXT, 0) != JOURNAL_HEAD_TEXT)
		return 0;
	seq = (uint32_t)strtoul(text, NULL, 10);
	journal_head_text(seq, want);
	return strcmp(text, want) == 0 ? seq : 0;
}

/* Those that should be the last (J8). It is told once: the next segment says
 * that they have nothing in them. */
static void
journal_find_last(struct journal_find *s, uint32_t head)
{
	struct journal *j = s->j;
	uint32_t seq = j->next_seq;

	if (head < seq || head == UINT32_MAX)
		return;
	journal_find_tell(s, seq, head - seq + 1, ", the newest,");
	j->next_seq = head + 1;
	if (head - seq >= JOURNAL_SEGMENTS_MAX)
		seq = head - JOURNAL_SEGMENTS_MAX + 1;
	for (; seq <= head; seq++)
		journal_close_seq(j, seq, 0);
}

static void
journal_find_run(struct journal_find *s)
{
	struct journal *j = s->j;
	size_t first = 0;

	j->finding = true;
	qsort(s->found, s->n, sizeof(struct journal_segment *),
	    journal_find_cmp);
	for (size_t i = s->n; i > 0 && i + 2 > s->n; i--)
		journal_find_oldest(s, s->found[i - 1]);
	while (first < s->n && s->found[first]->seq < s->oldest)
		journal_add_ready(j, s->found[first++]);
	for (size_t i = first; i < s->n; i++)
		journal_find_scan(s, s->found[i]);
	journal_find_missing(s, first);
	journal_find_dead(s);
	for (size_t i = first; i < s->n; i++)
		if (journal_find_end(s, s->found[i]->seq) == UINT32_MAX)
			journal_close(j, s->found[i]);
	j->finding = false;
	journal_retire(j);
}

int
journal_recover(struct journal *j, const struct journal_finder *f, void *ctx,
    struct err *reterr)
{
	struct journal_find s = { .j = j, .f = f, .ctx = ctx };
	uint32_t head;
	int r;

	if (j->size == 0)
		return 0;
	head = journal_find_head(j);
	if ((r = journal_find_files(&s, reterr)) == 0 &&
	    (r = journal_find_sync(&s, reterr)) == 0) {
		journal_find_run(&s);
		journal_find_last(&s, head);
	}
	free(s.found);
	free(s.ends);
	free(s.buf);
	return r;
}
