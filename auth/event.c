/*
 * event.c - see event.h. Runs in submitd-smtp and popd-pop, on the loop.
 */
#include "config.h"
#include "auth/event.h"

#include <stdlib.h>
#include <string.h>

#include "lib/str.h"

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
event_put(struct msg_out *m, uint32_t id, const struct authc_event *e)
{
	char ip[ADDR_STRLEN];

	msg_begin(m, AUTHP_EVENT, id);
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
event_queue_init(struct event_queue *q)
{
	TAILQ_INIT(&q->owners);
	TAILQ_INIT(&q->others);
	q->n = 0;
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
	struct event_waiting *w;

	if (!owner && q->n >= EVENT_WAITING_MAX && TAILQ_EMPTY(&q->others))
		return;
	event_make_room(q);
	if ((w = malloc(sizeof(*w) + m->len)) == NULL)
		return;			/* a session less to look up */
	w->len = m->len;
	memcpy(w->data, m->data, m->len);
	if (owner)
		TAILQ_INSERT_TAIL(&q->owners, w, link);
	else
		TAILQ_INSERT_TAIL(&q->others, w, link);
	q->n++;
}

static bool
event_may_send(struct ipc_client *ipc)
{
	return ipc_client_is_up(ipc) && !ipc_client_full(ipc);
}

void
event_send(struct event_queue *q, struct ipc_client *ipc,
    const struct authc_event *e)
{
	struct msg_out m;

	event_put(&m, ipc_client_id(ipc), e);
	if (m.error != 0)
		return;
	if (q->n > 0 || !event_may_send(ipc) ||
	    ipc_client_send(ipc, &m, -1) != 0)
		event_keep(q, &m, e->kind != 0);
}

void
event_drain(struct event_queue *q, struct ipc_client *ipc)
{
	struct event_list *list;
	struct event_waiting *w;
	struct msg_out m;

	while (q->n > 0 && event_may_send(ipc)) {
		list = TAILQ_EMPTY(&q->owners) ? &q->others : &q->owners;
		w = TAILQ_FIRST(list);
		m.error = 0;
		m.len = w->len;
		memcpy(m.data, w->data, w->len);
		if (ipc_client_send(ipc, &m, -1) != 0)
			return;
		event_drop(q, list, w);
	}
}
