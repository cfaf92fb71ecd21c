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
static unsigned int sent, sent_owners;
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
read_event(const struct msg_out *out)
{
	const char *s, *user;
	const void *p;
	struct msg_in m;
	uint64_t u64;
	uint32_t u32;
	uint16_t u16;
	uint8_t kind, u8;
	size_t len;

	assert_int_equal(msg_open(&m, out->data, out->len), 0);
	assert_int_equal(m.type, AUTHP_EVENT);
	msg_get_str(&m, &s, AUTHP_SID_MAX);
	msg_get_u8(&m, &u8);
	msg_get_str(&m, &s, AUTHP_ADDRESS_MAX);
	msg_get_u16(&m, &u16);
	msg_get_str(&m, &s, AUTHP_TLS_MAX);
	msg_get_str(&m, &user, AUTHP_USER_MAX);
	msg_get_str(&m, &s, AUTHP_USER_MAX);
	msg_get_u8(&m, &kind);
	msg_get_str(&m, &s, AUTHP_SENDER_MAX);
	msg_get_str(&m, &s, AUTHP_HELO_MAX);
	assert_true(str_is_utf8(s, strlen(s)));
	assert_null(strpbrk(s, "\r\n\t\033"));
	msg_get_u64(&m, &u64);
	msg_get_u32(&m, &u32);
	msg_get_u32(&m, &u32);
	msg_get_u32(&m, &u32);
	msg_get_u16(&m, &u16);
	msg_get_str(&m, &s, AUTHP_STATUS_MAX);
	msg_get_str(&m, &s, AUTHP_TEXT_MAX);
	msg_get_str(&m, &s, AUTHP_WHY_MAX);
	msg_get_blob(&m, &p, &len, AUTHP_SENT_MAX);
	assert_int_equal(msg_get_end(&m), 0);
	sent_owners += kind != 0;
}

int
ipc_client_send(struct ipc_client *c, const struct msg_out *m, int fd)
{
	(void)c;
	assert_int_equal(fd, -1);
	read_event(m);
	sent++;
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
	event_send(q, NULL, &e);
}

static void
begin(struct event_queue *q)
{
	event_queue_init(q);
	sent = sent_owners = 0;
	up = true;
	full = false;
}

static void
test_sent(void **state)
{
	struct event_queue q;

	(void)state;
	begin(&q);
	send_one(&q, 0);
	send_one(&q, AUTHP_KIND_SASL);
	assert_int_equal(sent, 2);
	assert_int_equal(q.n, 0);
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
	event_drain(&q, NULL);
	assert_int_equal(sent, 0);
	up = full = true;
	event_drain(&q, NULL);
	assert_int_equal(sent, 0);
	full = false;
	event_drain(&q, NULL);
	assert_int_equal(sent, EVENT_WAITING_MAX);
	assert_int_equal(sent_owners, EVENT_WAITING_MAX);
	assert_int_equal(q.n, 0);
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
