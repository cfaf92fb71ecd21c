/*
 * t_spool_hostile.c - what a submitd-smtp that was taken over may say to
 * submitd-spool: what is against the rules costs it its connection, and nothing
 * stays behind. Both packets of a row are there before the first is read.
 */
#include "config.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "submitd/spool/wishes.h"
#include "tests/unit/spool_fake.h"

struct hostile_case {
	const char	*name;
	uint16_t	 type[2];	/* 0: none */
	uint32_t	 slot[2];
	uint32_t	 id[2];
	uint32_t	 n_rcpts;	/* announced; one comes */
	size_t		 octets;
	bool		 dropped;
	size_t		 queued;	/* messages, in the end */
};

static const struct hostile_case hostile_cases[] = {
	{ "whole", { SPOOL_WHOLE }, { 0 }, { 1 }, 1, 9, false, 1 },
	{ "two wholes", { SPOOL_WHOLE, SPOOL_WHOLE }, { 0, 2047 }, { 1, 2 }, 1,
	    9, false, 2 },
	{ "given up while authd is asked", { SPOOL_WHOLE, SPOOL_ABORT },
	    { 0, 0 }, { 1, 0 }, 1, 9, false, 0 },
	{ "its slot is taken", { SPOOL_WHOLE, SPOOL_WHOLE }, { 7, 7 },
	    { 1, 2 }, 1, 9, true, 0 },
	{ "a begun one's slot", { SPOOL_BEGIN, SPOOL_WHOLE }, { 7, 7 },
	    { 1, 2 }, 1, 9, true, 0 },
	{ "more behind the whole", { SPOOL_WHOLE, SPOOL_DATA }, { 0, 0 },
	    { 1, 0 }, 1, 9, true, 0 },
	{ "a commit behind the whole", { SPOOL_WHOLE, SPOOL_COMMIT }, { 0, 0 },
	    { 1, 2 }, 1, 9, true, 0 },
	{ "recipients missing", { SPOOL_WHOLE }, { 0 }, { 1 }, 2, 9, true, 0 },
	{ "no such slot", { SPOOL_WHOLE }, { 2048 }, { 1 }, 1, 9, true, 0 },
	{ "no call", { SPOOL_WHOLE }, { 0 }, { 0 }, 1, 9, true, 0 },
	{ "too large", { SPOOL_WHOLE }, { 0 }, { 1 }, 1, SPOOL_CHUNK + 1, true,
	    0 },
};

static const char *hostile_ticket = "00";

static void
hostile_send(int fd, const struct hostile_case *c, int i)
{
	static const uint8_t octets[SPOOL_CHUNK + 1] = "Subject: ";
	const struct spool_wishes none = { .priority = 0 };
	uint16_t type = c->type[i];
	struct msg_out m;

	msg_begin(&m, type, c->id[i]);
	msg_put_u32(&m, c->slot[i]);
	if (type == SPOOL_WHOLE || type == SPOOL_BEGIN) {
		msg_put_blob(&m, hostile_ticket, 2);
		msg_put_str(&m, "a@example.org");
		msg_put_str(&m, "helo");
		msg_put_u64(&m, 0);
		msg_put_u8(&m, 0);
		msg_put_u8(&m, 0);
		msg_put_u8(&m, 0);
		msg_put_str(&m, "");
		spool_wishes_put(&m, &none);
		msg_put_u32(&m, c->n_rcpts);
		msg_put_u16(&m, 1);
		msg_put_str(&m, "b@example.com");
		msg_put_u8(&m, 0);
		msg_put_str(&m, "");
	}
	if (type != SPOOL_BEGIN && type != SPOOL_ABORT)
		msg_put_blob(&m, octets, c->octets);
	assert_int_equal(m.error, 0);
	assert_int_equal(send(fd, m.data, m.len, 0), m.len);
}

/* True: the end of the connection was there. */
static bool
hostile_is_dropped(int fd)
{
	uint8_t packet[MSG_MAX];
	ssize_t n;

	while ((n = recv(fd, packet, sizeof(packet), MSG_DONTWAIT)) > 0)
		;
	return n == 0;
}

static int
hostile_connect(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX, .sun_path = "smtp" };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	return fd;
}

/* What is said of the next whole message of this worker. */
static enum spoolc_verdict
hostile_verdict(int fd, const struct hostile_case *c)
{
	static uint8_t packet[MSG_MAX];
	struct msg_in m;
	uint8_t verdict = SPOOLC_VERDICT__COUNT;
	ssize_t n;

	hostile_send(fd, c, 0);
	for (int k = 0; k < 1000; k++) {
		wait_ms(1);
		n = recv(fd, packet, sizeof(packet), MSG_DONTWAIT);
		if (n > 0 && msg_open(&m, packet, (size_t)n) == 0 &&
		    m.type == (SPOOL_WHOLE | SPOOL_REPLY)) {
			(void)msg_get_u8(&m, &verdict);
			break;
		}
	}
	return verdict;
}

/* authd is slow, and a worker gives up what it has begun, again and again: that
 * fills its own place, and nobody else's. */
static void
test_given_up(void **state)
{
	static const struct hostile_case c = { "given up", { SPOOL_WHOLE,
	    SPOOL_ABORT }, { 0, 0 }, { 1, 0 }, 1, 9, false, 0 };
	int taken_over, good;

	(void)state;
	spool_begin();
	client_begin();
	taken_over = hostile_connect();
	good = hostile_connect();
	hostile_ticket = "-0";
	for (size_t i = 0; i < SPOOL_SLOTS; i++) {
		hostile_send(taken_over, &c, 0);
		hostile_send(taken_over, &c, 1);
		if (i % 16 == 0)
			wait_ms(1);
	}
	hostile_ticket = "00";
	assert_int_equal(hostile_verdict(taken_over, &c), SPOOLC_TEMP);
	assert_int_equal(sp->n_txns, SPOOL_SLOTS);
	assert_int_equal(hostile_verdict(good, &c), SPOOLC_OK);
	/* They outlive their worker. */
	close(taken_over);
	wait_ms(5);
	assert_int_equal(sp->n_txns, SPOOL_SLOTS);
	close(good);
	spool_end();
}

static void
test_hostile(void **state)
{
	int fd;

	(void)state;
	spool_begin();
	client_begin();
	for (size_t i = 0; i < ROWS(hostile_cases); i++) {
		const struct hostile_case *c = &hostile_cases[i];
		size_t before = queue_count(sp->queue);

		fd = hostile_connect();
		for (int k = 0; k < 2 && c->type[k] != 0; k++)
			hostile_send(fd, c, k);
		wait_ms(20);
		for (int k = 0; k < 1000 && sp->n_txns > 0; k++)
			wait_ms(10);
		if (hostile_is_dropped(fd) != c->dropped || sp->n_txns != 0 ||
		    sp->reserved != 0 ||
		    queue_count(sp->queue) - before != c->queued)
			fail_msg("%s: %s, %zu open, %zu queued", c->name,
			    c->dropped ? "it was not dropped?" : "dropped?",
			    sp->n_txns, queue_count(sp->queue) - before);
		close(fd);
	}
	spool_end();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_hostile, fake_setup,
		    fake_clean),
		cmocka_unit_test_setup_teardown(test_given_up, fake_setup,
		    fake_clean),
	};
	int r;

	if (fake_enter("/tmp") != 0)
		return 1;
	r = cmocka_run_group_tests(tests, NULL, NULL);
	return fake_leave() != 0 ? 1 : r;
}
