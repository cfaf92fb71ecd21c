/*
 * transfer.c - see transfer.h. Runs in popd-pop. It reads only from descriptors
 * that popd-mbox has opened read-only.
 */
#include "config.h"
#include "popd/pop/transfer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/log.h"
#include "popd/pop/drop.h"
#include "popd/pop/reply.h"
#include "popd/pop/session.h"
#include "popd/wire.h"

#define POP_READ_SIZE	(32u * 1024)
#define POP_LISTING_EACH 400u		/* lines a piece */
#define POP_LISTING_LINE 100u		/* index, space, UIDL or size, CR LF */

enum pop_piece { POP_PIECE_MORE, POP_PIECE_LAST, POP_PIECE_BROKEN };

struct pop_transfer {
	enum pop_piece	(*next)(struct pop_session *s);
	enum pop_listing what;		/* listing */
	size_t		 index;
	int		 fd;		/* message; -1: a listing */
	struct pop_head	 head;		/* goes before the file */
	unsigned int	 ends;		/* LFs that have ended head.ascii: 2 */
	uint64_t	 octets_left;	/* of the file */
	struct wire	 wire;
};

/* One loop, one thread: one pair of buffers for all sessions. */
static uint8_t pop_transfer_in[POP_READ_SIZE];
static uint8_t pop_transfer_out[WIRE_OUT_SIZE(POP_READ_SIZE)];

void
pop_transfer_free(struct pop_session *s)
{
	if (s->transfer == NULL)
		return;
	if (s->transfer->fd >= 0)
		close(s->transfer->fd);
	buf_free(&s->transfer->head.octets);
	free(s->transfer);
	s->transfer = NULL;
}

/* Sends pieces until the client's side is full or all is out. */
static void
pop_transfer_run(struct pop_session *s)
{
	enum pop_piece p = POP_PIECE_MORE;

	while (p == POP_PIECE_MORE && s->state == POP_ST_TRANS &&
	    conn_pending(s->conn) < CONN_OUT_HIGH)
		p = s->transfer->next(s);
	if (s->state != POP_ST_TRANS)
		return;
	pop_session_alive(s);
	conn_more(s->conn, p == POP_PIECE_MORE);	/* whole records */
	if (p == POP_PIECE_MORE)
		return;
	pop_transfer_free(s);
	if (p == POP_PIECE_BROKEN) {
		/* Ended with a dot it would look whole, and be deleted. */
		pop_session_close(s, "message.broken", true);
		return;
	}
	pop_line(s, ".");
	pop_session_go_on(s);
}

static struct pop_transfer *
pop_transfer_new(struct pop_session *s,
    enum pop_piece (*next)(struct pop_session *s))
{
	struct pop_transfer *t;

	if (s->state == POP_ST_CLOSED)	/* its first line could not be sent */
		return NULL;
	if ((t = calloc(1, sizeof(*t))) == NULL) {
		pop_session_close(s, "nomem", false);
		return NULL;
	}
	t->next = next;
	t->fd = -1;
	s->transfer = t;
	return t;
}

void
pop_transfer_drained(struct pop_session *s)
{
	if (s->transfer != NULL)
		pop_transfer_run(s);
}

/* -------------------------------------------------------------- listings -- */

static size_t
pop_listing_line(struct pop_session *s, size_t i, enum pop_listing what,
    char dst[POP_LISTING_LINE])
{
	const struct mboxc_message *m = mboxc_message(s->drop, i);
	int n;

	if (what == POP_LISTING_UIDLS)
		n = snprintf(dst, POP_LISTING_LINE, "%zu %s\r\n", i + 1,
		    m->uidl);
	else
		n = snprintf(dst, POP_LISTING_LINE, "%zu %llu\r\n", i + 1,
		    (unsigned long long)m->octets);
	return (size_t)n;
}

static enum pop_piece
pop_listing_next(struct pop_session *s)
{
	struct pop_transfer *t = s->transfer;
	size_t count = mboxc_count(s->drop), n;
	char line[POP_LISTING_LINE];

	for (n = 0; n < POP_LISTING_EACH && t->index < count; t->index++) {
		if (pop_drop_is_deleted(s, t->index))
			continue;
		pop_write(s, line, pop_listing_line(s, t->index, t->what,
		    line));
		if (s->state == POP_ST_CLOSED)
			return POP_PIECE_BROKEN;
		n++;
	}
	return t->index < count ? POP_PIECE_MORE : POP_PIECE_LAST;
}

void
pop_transfer_listing(struct pop_session *s, enum pop_listing what)
{
	struct pop_transfer *t = pop_transfer_new(s, pop_listing_next);

	if (t == NULL)
		return;
	t->what = what;
	pop_transfer_run(s);
}

/* -------------------------------------------------------------- messages -- */

static enum pop_piece
pop_head_next(struct pop_session *s)
{
	struct pop_transfer *t = s->transfer;
	struct buf *head = &t->head.octets;
	size_t n = buf_len(head) < POP_READ_SIZE ? buf_len(head) :
	    POP_READ_SIZE, len;
	bool last;

	len = wire_put(&t->wire, buf_data(head), n, pop_transfer_out);
	buf_consume(head, n);
	last = t->wire.done;
	pop_write(s, pop_transfer_out, len);	/* a failure frees t */
	return last ? POP_PIECE_LAST : POP_PIECE_MORE;
}

/* Up to the empty line. */
static void
pop_head_make_ascii(struct pop_transfer *t, uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n && t->ends < 2; i++) {
		if (p[i] == '\n')
			t->ends++;
		else if (p[i] != '\r')
			t->ends = 0;
		if (p[i] >= 0x80)
			p[i] = '?';
	}
}

static enum pop_piece
pop_message_next(struct pop_session *s)
{
	struct pop_transfer *t = s->transfer;
	ssize_t n;
	size_t len;
	bool last;

	if (buf_len(&t->head.octets) > 0)
		return pop_head_next(s);
	do
		n = read(t->fd, pop_transfer_in, sizeof(pop_transfer_in));
	while (n < 0 && errno == EINTR);
	if (n < 0 || (n == 0 && t->octets_left > 0) ||
	    (uint64_t)n > t->octets_left) {
		LOG_EV(LOG_ERR, "pop3.message.broken", s->id,
		    KV_S("user", s->user), KV_I("errno", n < 0 ? errno : 0),
		    KV_U("octets_left", t->octets_left));
		return POP_PIECE_BROKEN;
	}
	t->octets_left -= (uint64_t)n;
	if (t->head.ascii)
		pop_head_make_ascii(t, pop_transfer_in, (size_t)n);
	if (n > 0)
		len = wire_put(&t->wire, pop_transfer_in, (size_t)n,
		    pop_transfer_out);
	else
		len = wire_end(&t->wire, pop_transfer_out);
	last = n == 0 || t->wire.done;
	pop_write(s, pop_transfer_out, len);	/* a failure frees t */
	return last ? POP_PIECE_LAST : POP_PIECE_MORE;
}

void
pop_transfer_message(struct pop_session *s, int fd, struct pop_head *head,
    int64_t lines)
{
	struct pop_transfer *t = pop_transfer_new(s, pop_message_next);
	struct stat st;

	if (t == NULL) {
		close(fd);
		buf_free(&head->octets);
		return;
	}
	t->fd = fd;
	t->head = *head;
	t->ends = 1;		/* the empty line may be the first */
	if (fstat(fd, &st) != 0 || (uint64_t)st.st_size < head->replaces ||
	    lseek(fd, (off_t)head->replaces, SEEK_SET) < 0) {
		pop_session_close(s, "message.broken", true);
		return;
	}
	t->octets_left = (uint64_t)st.st_size - head->replaces;
	if (lines < 0)
		wire_init(&t->wire);
	else
		wire_init_top(&t->wire, (uint64_t)lines);
	pop_transfer_run(s);
}
