/*
 * t_event.c - EVENT on its way to authd: what is sent, what waits while authd is
 * away, and who goes first when too many wait.
 */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "auth/event.h"
#include "lib/str.h"

static bool up, full;
static unsigned int sent, sent_owners, packets;
static uint32_t ids;

bool
ipc_client_is_up(const struct ipc_client *c)
{
	(void)c;
	return up;
}

bool
ipc_client_full(const struct ipc_client *c)
{
	(void)c;
	return full;
}

uint32_t
ipc_client_id(struct ipc_client *c)
{
	(void)c;
	return ++ids;
}

static void
read_event(struct msg_in *in)
{
	const char *s, *user;
	const void *p;
	uint64_t u64;
	uint32_t u32;
	uint16_t u16;
	uint8_t kind, u8;
	size_t len;

	msg_get_str(in, &s, AUTHP_SID_MAX);
	msg_get_u8(in, &u8);
	msg_get_str(in, &s, AUTHP_ADDRESS_MAX);
	msg_get_u16(in, &u16);
	msg_get_str(in, &s, AUTHP_TLS_MAX);
	msg_get_str(in, &user, AUTHP_USER_MAX);
	msg_get_str(in, &s, AUTHP_USER_MAX);
	msg_get_u8(in, &kind);
	msg_get_str(in, &s, AUTHP_SENDER_MAX);
	msg_get_str(in, &s, AUTHP_HELO_MAX);
	assert_true(str_is_utf8(s, strlen(s)));
	assert_null(strpbrk(s, "\r\n\t\033"));
	msg_get_u64(in, &u64);
	msg_get_u32(in, &u32);
	msg_get_u32(in, &u32);
	msg_get_u32(in, &u32);
	msg_get_u16(in, &u16);
	msg_get_str(in, &s, AUTHP_STATUS_MAX);
	msg_get_str(in, &s, AUTHP_TEXT_MAX);
	msg_get_str(in, &s, AUTHP_WHY_MAX);
	msg_get_blob(in, &p, &len, AUTHP_SENT_MAX);
	assert_int_equal(in->error, 0);
	sent++;
	sent_owners += kind != 0;
}

int
ipc_client_send(struct ipc_client *c, const struct msg_out *m, int fd)
{
	struct msg_in in;

	(void)c;
	assert_int_equal(fd, -1);
	assert_int_equal(m->error, 0);
	assert_int_equal(msg_open(&in, m->data, m->len), 0);
	assert_int_equal(in.type, AUTHP_EVENT);
	do
		read_event(&in);
	while (in.left > 0);
	packets++;
	return 0;
}

static void
send_one(struct event_queue *q, uint8_t kind)
{
	static const struct addr none;
	static char helo[600];
	struct authc_event e = { .sid = "aaaaaaaaaaaaaaaa",
	    .service = AUTHP_SMTP, .kind = kind, .helo = helo, .peer = &none,
	    .user = kind != 0 ? "anna@example.org" : NULL };

	/* Longer than what is kept; controls, and octets that are no UTF-8. */
	memset(helo, 'x', sizeof(helo) - 1);
	memcpy(helo, "\033[2J\r\n\xff\xc3", 8);
	helo[AUTHP_HELO_MAX - 1] = '\xc3';
	event_send(q, &e);
}

static struct loop *loop;

static void
enough(void *ctx)
{
	(void)ctx;
	loop_stop(loop);
}

static void
begin(struct event_queue *q)
{
	if (loop == NULL)
		loop = loop_new();
	event_queue_init(q, loop, NULL);
	sent = sent_owners = packets = 0;
	up = true;
	full = false;
}

static void
test_sent(void **state)
{
	struct event_queue q;
	struct timer t;

	(void)state;
	begin(&q);
	assert_int_equal(timer_init(&t, loop, enough, NULL), 0);
	send_one(&q, 0);
	send_one(&q, AUTHP_KIND_SASL);
	send_one(&q, AUTHP_KIND_SASL);
	assert_int_equal(sent, 0);
	timer_arm(&t, 2 * EVENT_WAIT_MS);
	loop_run(loop);
	assert_int_equal(sent, 3);
	assert_int_equal(packets, 2);	/* owners' are not mixed with others' */
	assert_int_equal(q.n, 0);
	for (unsigned int i = 0; i < EVENT_TOGETHER; i++)
		send_one(&q, 0);
	assert_int_equal(sent, 3 + EVENT_TOGETHER);
	assert_int_equal(packets, 3);
	timer_free(&t);
	timer_free(&q.timer);
}

static void
test_waits(void **state)
{
	struct event_queue q;

	(void)state;
	begin(&q);
	up = false;
	for (unsigned int i = 0; i < 10; i++)
		send_one(&q, 0);
	for (unsigned int i = 0; i < EVENT_WAITING_MAX; i++)
		send_one(&q, i < 100);
	assert_int_equal(q.n, EVENT_WAITING_MAX);
	/* Strangers do not push owners out, nor each other's new ones in. */
	for (unsigned int i = 0; i < 2 * EVENT_WAITING_MAX; i++)
		send_one(&q, AUTHP_KIND_GRANT);
	send_one(&q, 0);
	assert_int_equal(q.n, EVENT_WAITING_MAX);
	event_drain(&q);
	assert_int_equal(sent, 0);
	up = full = true;
	event_drain(&q);
	assert_int_equal(sent, 0);
	full = false;
	event_drain(&q);
	assert_int_equal(sent, EVENT_WAITING_MAX);
	assert_int_equal(sent_owners, EVENT_WAITING_MAX);
	assert_int_equal(q.n, 0);
	timer_free(&q.timer);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sent),
		cmocka_unit_test(test_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
