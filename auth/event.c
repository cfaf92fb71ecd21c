/*
 * event.c - see event.h. Runs in submitd-smtp and popd-pop, on the loop.
 */
#include "config.h"
#include "auth/event.h"

#include <stdlib.h>
#include <string.h>

#include "lib/str.h"

#define EVENT_HEAD 8u			/* of a packet, before the fields */

struct event_waiting {
	TAILQ_ENTRY(event_waiting)	 link;
	size_t				 len;
	uint8_t				 data[];
};

/* What came from outside, cut and without controls: it is looked at on
 * terminals. NULL counts as "". */
static void
event_put_str(struct msg_out *m, const char *s, size_t max)
{
	char text[512];
	size_t len = s == NULL ? 0 : strnlen(s, max);

	for (size_t i = 0; i < len; i++)
		text[i] = (unsigned char)s[i] < ' ' || s[i] == 0x7f ? '?' :
		    s[i];
	text[len] = '\0';
	str_mend_utf8(text);
	msg_put_str(m, text);
}

void
event_put(struct msg_out *m, const struct authc_event *e)
{
	char ip[ADDR_STRLEN];

	msg_put_str(m, e->sid);
	msg_put_u8(m, (uint8_t)e->service);
	msg_put_str(m, addr_ip_text(e->peer, ip));
	msg_put_u16(m, e->port);
	event_put_str(m, e->tls, AUTHP_TLS_MAX);
	event_put_str(m, e->user, AUTHP_USER_MAX);
	event_put_str(m, e->login, AUTHP_USER_MAX);
	msg_put_u8(m, e->kind);
	event_put_str(m, e->sender, AUTHP_SENDER_MAX);
	event_put_str(m, e->helo, AUTHP_HELO_MAX);
	msg_put_u64(m, (uint64_t)e->began_s);
	msg_put_u32(m, e->ms);
	msg_put_u32(m, e->messages);
	msg_put_u32(m, e->flags);
	msg_put_u16(m, e->code);
	event_put_str(m, e->status, AUTHP_STATUS_MAX);
	event_put_str(m, e->text, AUTHP_TEXT_MAX);
	event_put_str(m, e->why, AUTHP_WHY_MAX);
	msg_put_blob(m, e->sent, e->sent_len);
}

void
event_queue_init(struct event_queue *q, struct loop *l, struct ipc_client *ipc)
{
	memset(q, 0, sizeof(*q));
	q->loop = l;
	q->ipc = ipc;
	TAILQ_INIT(&q->owners);
	TAILQ_INIT(&q->others);
}

static void
event_drop(struct event_queue *q, struct event_list *list,
    struct event_waiting *w)
{
	TAILQ_REMOVE(list, w, link);
	q->n--;
	free(w);
}

/* Room for one more: the oldest stranger goes first. */
static void
event_make_room(struct event_queue *q)
{
	struct event_list *list = TAILQ_EMPTY(&q->others) ? &q->owners :
	    &q->others;

	if (q->n >= EVENT_WAITING_MAX)
		event_drop(q, list, TAILQ_FIRST(list));
}

static void
event_keep(struct event_queue *q, const struct msg_out *m, bool owner)
{
	size_t head = m->len < EVENT_HEAD ? m->len : EVENT_HEAD;
	struct event_waiting *w;

	if (!owner && q->n >= EVENT_WAITING_MAX && TAILQ_EMPTY(&q->others))
		return;
	event_make_room(q);
	if ((w = malloc(sizeof(*w) + m->len - head)) == NULL)
		return;			/* a session less to look up */
	w->len = m->len - head;
	memcpy(w->data, m->data + head, w->len);
	if (owner)
		TAILQ_INSERT_TAIL(&q->owners, w, link);
	else
		TAILQ_INSERT_TAIL(&q->others, w, link);
	q->n++;
}

static bool
event_may_send(const struct event_queue *q)
{
	return ipc_client_is_up(q->ipc) && !ipc_client_full(q->ipc);
}

/* Fills a packet with those of one list, from the oldest on; returns how many. */
static unsigned int
event_fill(const struct event_list *list, struct msg_out *m)
{
	const struct event_waiting *w;
	unsigned int n = 0;

	TAILQ_FOREACH(w, list, link) {
		if (msg_room(m) < w->len)
			break;
		memcpy(m->data + m->len, w->data, w->len);
		m->len += w->len;
		n++;
	}
	return n;
}

void
event_drain(struct event_queue *q)
{
	struct event_list *list;
	struct msg_out m;
	unsigned int n;

	while (q->n > 0 && event_may_send(q)) {
		list = TAILQ_EMPTY(&q->owners) ? &q->others : &q->owners;
		msg_begin(&m, AUTHP_EVENT, ipc_client_id(q->ipc));
		n = event_fill(list, &m);
		if (ipc_client_send(q->ipc, &m, -1) != 0)
			return;
		while (n-- > 0)
			event_drop(q, list, TAILQ_FIRST(list));
	}
}

static void
event_waited(void *ctx)
{
	struct event_queue *q = ctx;

	q->armed = false;
	event_drain(q);
}

/* Others may come to go with it. */
static void
event_wait(struct event_queue *q)
{
	if (q->n >= EVENT_TOGETHER || (q->timer.ev == NULL &&
	    timer_init(&q->timer, q->loop, event_waited, q) != 0)) {
		event_drain(q);
	} else if (!q->armed) {
		q->armed = true;
		timer_arm(&q->timer, EVENT_WAIT_MS);
	}
}

void
event_send(struct event_queue *q, const struct authc_event *e)
{
	struct msg_out m;

	msg_begin(&m, AUTHP_EVENT, 0);
	event_put(&m, e);
	if (m.error != 0)
		return;
	event_keep(q, &m, e->kind != 0);
	event_wait(q);
}
