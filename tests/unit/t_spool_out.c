/*
 * t_spool_out.c - submitd-spool from the side of submitd-send, over its real
 * sockets, and across crashes: what it tells, lends, and keeps of results.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/spares_here.h"
#include "tests/unit/spool_fake.h"

/* A report in one part. */
static void
bounce(const char *id, const char *text, size_t len, spoolq_bounce_fn *fn,
    void *ctx)
{
	const struct spoolq_part all = { (uint32_t)len, 0, text, len };

	assert_int_equal(spoolq_bounce(sender, id, &all, fn, ctx), 0);
}

/* What is told, read, and given results for, and a crash between. */
static void
test_way_out(void **state)
{
	static const char *const rcpts[] = { "b@example.com", "postmaster",
		"\"c d\"@example.com" };
	struct put p = { .body = BODY, .rcpts = rcpts, .n_rcpts = 2 };
	char buf[2000], want[600];
	ssize_t n;

	(void)state;
	spool_begin_journal();
	client_begin();
	put_one(&p);
	assert_int_equal(p.verdict, SPOOLC_OK);
	sender_begin(1);
	assert_string_equal(told[0]->id, p.id);
	assert_string_equal(told[0]->sender, "a@example.org");
	assert_string_equal(told[0]->user, "u@example.org");
	assert_int_equal(told[0]->n_rcpts, 2);
	assert_string_equal(told[0]->rcpts[1].address, "postmaster");
	spoolq_open(sender, p.id, false, on_open, NULL);
	wait_for(1);
	assert_true(open_fd >= 0);
	/* Whatever it is, it cannot change a message. */
	assert_int_equal(pwrite(open_fd, "x", 1, 0), -1);
	n = pread(open_fd, buf, sizeof(buf) - 1, (off_t)open_offset);
	assert_int_equal(n, told[0]->octets);
	buf[n] = '\0';
	snprintf(want, sizeof(want), "id %s (authenticated as u@example.org)",
	    p.id);
	assert_non_null(strstr(buf, want));
	assert_non_null(strstr(buf, "from client.example.net ([192.0.2.7])"));
	assert_null(strstr(buf, "for <"));
	assert_string_equal(buf + n - strlen(BODY), BODY);
	close(open_fd);

	/* One done, one put off; then the process dies. */
	spoolq_done(sender, p.id, 0, "250 2.0.0 taken");
	spoolq_defer(sender, p.id, 1, 1900000000, true, "451 4.0.0 later");
	spoolq_open(sender, "aaaaaaaaaaaaaaaa", false, on_open, NULL);
	wait_for(1);
	assert_int_equal(open_fd, -1);
	forget_told();
	spool_end();
	spool_begin();
	client_begin();
	sender_begin(1);
	assert_int_equal(told[0]->rcpts[0].state, SPOOLQ_DONE);
	assert_int_equal(told[0]->rcpts[1].state, SPOOLQ_PENDING);
	assert_int_equal(told[0]->rcpts[1].tries, 1);
	assert_true(told[0]->rcpts[1].told);
	assert_int_equal(told[0]->rcpts[1].next_try_s, 1900000000);
	assert_string_equal(queue_find(sp->queue, p.id)->rcpts[1].last,
	    "451 4.0.0 later");
	forget_told();

	/* The administrator wants it tried now. */
	waiting = 1;
	queue_try_now(queue_find(sp->queue, p.id));
	loop_run(loop);
	assert_int_equal(told[0]->rcpts[1].next_try_s, 0);
	forget_told();

	/* It fails for good: a bounce first, then the result. */
	bool ok = false;
	bounce(p.id, BODY, strlen(BODY), on_bounce, &ok);
	wait_for(2);		/* the answer, and the bounce's own entry */
	assert_true(ok);
	assert_int_equal(n_told, 1);
	assert_string_equal(told[0]->sender, "");
	assert_string_equal(told[0]->user, "u@example.org");
	assert_string_equal(told[0]->rcpts[0].address, "a@example.org");
	assert_int_equal(told[0]->octets, strlen(BODY));
	bounce(told[0]->id, BODY, 3, on_bounce, &ok);
	wait_for(1);
	assert_false(ok);	/* none for a bounce */
	spoolq_fail(sender, p.id, 1, "550 5.1.1 no");
	spoolq_done(sender, told[0]->id, 0, "250");
	spoolq_open(sender, p.id, false, on_open, NULL);
	wait_for(1);
	assert_int_equal(open_fd, -1);
	forget_told();
	spool_end();
	assert_int_equal(files_in("spool/queue"), 0);
}

/* What a client asked for comes to the sender, after a crash as well; and who
 * has his message stays until the report is given. */
static void
test_asked(void **state)
{
	static const char *const rcpts[] = { "\xc3\xa4@example.com",
	    "b@example.com" };
	static char orcpt[] = "rfc822;b+2B@example.com";
	static const struct spool_dsn dsn[] = {
	    { 0, NULL }, { SPOOL_NOTIFY_SUCCESS, orcpt } };
	struct put p = { .body = "TLS-Required: No\r\n" BODY,
	    .rcpts = rcpts, .n_rcpts = 2,
	    .smtputf8 = true, .ret = SPOOL_RET_HDRS, .envid = "Q+2B",
	    .dsn = dsn, .wishes = { .priority = 3, .by_mode = SPOOL_BY_RETURN,
	    .by_s = 1900000000 } };
	bool ok = false;

	(void)state;
	spool_begin_journal();
	client_begin();
	put_one(&p);
	assert_int_equal(p.verdict, SPOOLC_OK);
	for (int crash = 0; crash < 2; crash++) {
		sender_begin(1);
		assert_true(told[0]->smtputf8);
		assert_int_equal(told[0]->ret, SPOOL_RET_HDRS);
		assert_string_equal(told[0]->envid, "Q+2B");
		assert_int_equal(told[0]->wishes.priority, 3);
		assert_int_equal(told[0]->wishes.by_mode, SPOOL_BY_RETURN);
		assert_int_equal(told[0]->wishes.by_s, 1900000000);
		assert_true(told[0]->wishes.tls_optional);
		assert_int_equal(told[0]->rcpts[0].dsn.notify, 0);
		assert_null(told[0]->rcpts[0].dsn.orcpt);
		assert_int_equal(told[0]->rcpts[1].dsn.notify,
		    SPOOL_NOTIFY_SUCCESS);
		assert_string_equal(told[0]->rcpts[1].dsn.orcpt, orcpt);
		assert_int_equal(told[0]->rcpts[1].state, crash ?
		    SPOOLQ_DELIVERED : SPOOLQ_PENDING);
		if (crash)
			break;
		spoolq_delivered(sender, p.id, 1, "250 taken");
		spoolq_done(sender, p.id, 0, "250 taken");
		spoolq_open(sender, "aaaaaaaaaaaaaaaa", false, on_open, NULL);
		wait_for(1);
		forget_told();
		spool_end();
		spool_begin();
		client_begin();
	}
	forget_told();
	bounce(p.id, BODY, strlen(BODY), on_bounce, &ok);
	wait_for(2);
	assert_true(ok);
	/* It can only become done. */
	spoolq_fail(sender, p.id, 1, "550 no");
	spoolq_open(sender, p.id, false, on_open, NULL);
	wait_for(1);
	assert_true(open_fd >= 0);
	close(open_fd);
	spoolq_done(sender, p.id, 1, "250 taken");
	spoolq_done(sender, told[0]->id, 0, "250");
	spoolq_open(sender, p.id, false, on_open, NULL);
	wait_for(1);
	assert_int_equal(open_fd, -1);
	forget_told();
	spool_end();
	assert_int_equal(files_in("spool/queue"), 0);
}

/* Once around: whatever was sent before has been dealt with. */
static void
barrier(void)
{
	while (spoolq_open(sender, "aaaaaaaaaaaaaaaa", false, on_open, NULL) != 0)
		wait_ms(5);	/* it connects yet */
	wait_for(1);
}

/* Restarts as after a crash; the sender is told `n` messages. */
static void
crash(unsigned int n)
{
	forget_told();
	spool_end();
	spool_begin();
	client_begin();
	sender_begin(n);
	barrier();
	assert_int_equal(n_told, n);
}

/* A hold takes a message from the sender, survives a crash, takes results, and
 * gives it back. */
static void
test_hold(void **state)
{
	static const char *const rcpts[] = { "b@example.com", "c@example.com" };
	struct put p = { .body = BODY, .rcpts = rcpts, .n_rcpts = 2 }, other = {
		.body = BODY };
	struct queue_msg *m;

	(void)state;
	spool_begin();
	client_begin();
	put_one(&p);
	put_one(&other);
	sender_begin(2);
	m = queue_find(sp->queue, p.id);
	assert_true(queue_hold(m, ENVELOPE_HOLD_ADMIN, 0, "uid 7"));
	assert_false(queue_hold(m, ENVELOPE_HOLD_ADMIN, 0, "uid 7"));
	wait_for(1);
	assert_string_equal(held_id, p.id);
	/* What was on its way then still counts. */
	spoolq_done(sender, p.id, 0, "250 taken");
	barrier();
	queue_try_now(m);
	barrier();
	assert_int_equal(n_told, 2);

	crash(1);
	assert_string_equal(told[0]->id, other.id);
	m = queue_find(sp->queue, p.id);
	assert_int_equal(m->held, ENVELOPE_HOLD_ADMIN);
	assert_string_equal(m->held_by, "uid 7");
	assert_true(m->held_s > 0);
	assert_int_equal(m->rcpts[0].state, ENVELOPE_DONE);
	assert_true(queue_hold(m, 0, ENVELOPE_HOLD__ALL, "uid 7"));
	wait_for(1);
	assert_string_equal(told[1]->id, p.id);
	assert_int_equal(told[1]->rcpts[0].state, SPOOLQ_DONE);
	crash(2);
	assert_int_equal(queue_find(sp->queue, p.id)->held, 0);
	forget_told();
	spool_end();
}

/* A disabled user's mail waits: told while it runs, or asked at the start. */
static void
test_disabled(void **state)
{
	struct put p = { .body = BODY };
	struct queue_msg *m;

	(void)state;
	spool_begin();
	client_begin();
	put_one(&p);
	sender_begin(1);
	auth_says("x@example.org", AUTHP_USER_DISABLED);
	auth_says("u@example.org", AUTHP_USER_DISABLED);
	wait_for(1);
	assert_string_equal(held_id, p.id);
	m = queue_find(sp->queue, p.id);
	assert_int_equal(m->held, ENVELOPE_HOLD_USER);
	assert_int_equal(m->owner->messages, 1);
	/* The administrator's hold is not authd's to end. */
	assert_true(queue_hold(m, ENVELOPE_HOLD_ADMIN, 0, "uid 0"));
	auth_says("u@example.org", AUTHP_USER_MAY);
	for (int i = 0; m->held != ENVELOPE_HOLD_ADMIN && i < 1000; i++)
		barrier();
	assert_int_equal(m->held, ENVELOPE_HOLD_ADMIN);
	assert_int_equal(n_told, 1);
	assert_true(queue_hold(m, 0, ENVELOPE_HOLD_ADMIN, "uid 0"));
	wait_for(1);

	/* He was disabled while the spool was down. */
	user_state = AUTHP_USER_DISABLED;
	crash(0);
	m = queue_find(sp->queue, p.id);
	for (int i = 0; m->held == 0 && i < 1000; i++)
		barrier();
	assert_int_equal(m->held, ENVELOPE_HOLD_USER);
	assert_int_equal(n_told, 0);
	/* Deleted since: held all the same. */
	user_state = AUTHP_USER_NONE;
	crash(0);
	assert_int_equal(queue_find(sp->queue, p.id)->held,
	    ENVELOPE_HOLD_USER);
	user_state = AUTHP_USER_MAY;
	crash(1);
	assert_int_equal(queue_find(sp->queue, p.id)->held, 0);
	forget_told();
	spool_end();
}

enum file_end { DONE, CRASH, DELETE };

/* One message, opened twice; so many files are kept after its end. */
static void
end_file(const bool lent[2], enum file_end end, size_t files)
{
	static char body[80000];
	struct put p = { .body = body, .len = sizeof(body),
		.rcpts = one_rcpt, .n_rcpts = 1 };

	memset(body, 'a', sizeof(body));
	put_one(&p);
	assert_int_equal(p.verdict, SPOOLC_OK);
	sender_begin(1);
	for (int i = 0; i < 2; i++) {
		spoolq_open(sender, p.id, lent[i], on_open, NULL);
		wait_for(1);
		close(open_fd);
	}
	if (end == CRASH)
		crash(1);
	if (end == DELETE)
		queue_delete(queue_find(sp->queue, p.id), NULL, NULL);
	else
		spoolq_done(sender, p.id, 0, "250 2.0.0 taken");
	while (files_in("spool/queue") > 0)
		wait_ms(1);
	assert_int_equal(files_in("spool/tmp"), files);
	forget_told();
	spoolq_free(sender);
	sender = NULL;
}

/* Whose descriptor went to submitd-local is not written again, nor who was
 * deleted, nor who may have been lent before a crash. */
static void
test_spares(void **state)
{
	(void)state;
	if (!spares_here("."))
		skip();
	spool_begin();
	client_begin();
	end_file((const bool[]){ true, false }, DONE, 0);
	end_file((const bool[]){ false, true }, DONE, 0);
	end_file((const bool[]){ false, false }, DELETE, 0);
	end_file((const bool[]){ false, false }, CRASH, 0);
	end_file((const bool[]){ false, false }, DONE, 1);
	spool_end();
	assert_int_equal(files_in("spool/tmp"), 0);
}

/* More recipients than a packet holds, and more octets than a window. */
static void
test_large(void **state)
{
	enum { RCPTS = 2000, OCTETS = 5000000 };
	char **rcpts = calloc(RCPTS, sizeof(*rcpts));
	char *body = malloc(OCTETS), *back = malloc(OCTETS);
	struct put p = { .body = body, .len = OCTETS, .n_rcpts = RCPTS };

	(void)state;
	for (size_t i = 0; i < OCTETS; i++)
		body[i] = (char)('a' + (i * 7 + i / 1000) % 26);
	for (size_t i = 0; i < RCPTS; i++) {
		rcpts[i] = malloc(300);
		snprintf(rcpts[i], 300, "%zu@%0*d.example.com", i, 60, 1);
	}
	p.rcpts = (const char *const *)rcpts;
	spool_begin();
	client_begin();
	put_one(&p);
	assert_int_equal(p.verdict, SPOOLC_OK);
	sender_begin(1);
	assert_int_equal(told[0]->n_rcpts, RCPTS);
	for (size_t i = 0; i < RCPTS; i++)
		assert_string_equal(told[0]->rcpts[i].address, rcpts[i]);
	spoolq_open(sender, p.id, false, on_open, NULL);
	wait_for(1);
	assert_int_equal(pread(open_fd, back, OCTETS, (off_t)(open_offset +
	    told[0]->octets - OCTETS)), OCTETS);
	assert_memory_equal(body, back, OCTETS);
	close(open_fd);
	queue_delete(queue_find(sp->queue, p.id), NULL, NULL);
	forget_told();
	spool_end();
	assert_int_equal(files_in("spool/queue"), 0);
	for (size_t i = 0; i < RCPTS; i++)
		free(rcpts[i]);
	free(rcpts);
	free(body);
	free(back);
}

struct reported {
	unsigned int	 left, ok;
};

static void
on_reported(void *ctx, bool ok)
{
	struct reported *r = ctx;

	r->ok += ok;
	if (--r->left == 0)
		loop_stop(loop);
}

/* So many of them at once; how many were taken. */
static unsigned int
reports(const char *id, const char *text, size_t len, unsigned int n)
{
	struct reported r = { n, 0 };

	for (unsigned int i = 0; i < n; i++)
		bounce(id, text, len, on_reported, &r);
	waiting = 1u << 20;		/* and their entries, some of them later */
	loop_run(loop);
	forget_told();
	return r.ok;
}

/* Whatever submitd-send says, it fills nobody's mailbox and no disk. */
static void
test_report_limits(void **state)
{
	enum { OCTETS = 50000, ROOM = 1024 * 1024 };
	static const char *const two[] = { "b@example.com", "c@example.com" };
	char *text = calloc(1, OCTETS), ids[30][STR_ID_SIZE];
	struct queue_user *u;
	unsigned int n = 0;

	(void)state;
	memset(text, 'x', OCTETS);
	spool_begin();
	client_begin();
	for (size_t i = 0; i < ROWS(ids); i++) {
		struct put p = { .body = BODY, .rcpts = two, .n_rcpts = 2 };

		put_one(&p);
		(void)str_copy(ids[i], sizeof(ids[i]), p.id);
	}
	sender_begin(ROWS(ids));
	/* One at a time; two a recipient and 8 in all. */
	assert_int_equal(reports(ids[0], "x", 1, 5), 1);
	while (n < 100 && reports(ids[0], "x", 1, 1) == 1)
		n++;
	assert_int_equal(1 + n, 2 * 2 + 8);
	/* They are the user's, and so many octets of them. */
	u = queue_user_find(sp->queue, "u@example.org");
	assert_non_null(u);
	assert_int_equal(u->messages, ROWS(ids) + 1 + n);
	conf.spool_user_limit = 1000;	/* yet at least 1 MiB */
	for (n = 0; reports(ids[n + 1], text, OCTETS, 1) == 1; n++)
		;
	assert_int_equal(n, (ROOM - 100) / OCTETS);
	assert_true(u->reports <= ROOM && u->reports_full);
	/* What has left makes room. */
	while (u->reports > ROOM - OCTETS) {
		struct queue_msg *m = queue_first(sp->queue);

		while (!m->is_report || m->octets != OCTETS)
			m = queue_next(m);
		queue_delete(m, NULL, NULL);
	}
	assert_int_equal(reports(ids[n + 1], text, OCTETS, 1), 1);
	/* And there is to be room on the disk. */
	conf.spool_user_limit = 0;
	conf.spool_min_free = 1ull << 60;
	assert_int_equal(reports(ids[29], "x", 1, 1), 0);
	conf.spool_min_free = 1;
	assert_int_equal(reports(ids[29], "x", 1, 1), 1);
	free(text);
	spool_end();
}

/* A part of a report; whether the spool took it. */
static bool
part(const char *id, const char *text, uint32_t octets, uint32_t offset,
    size_t len)
{
	unsigned int last = offset + len == octets;	/* its entry as well */
	const struct spoolq_part p = { octets, offset, text + offset, len };
	bool ok = false;

	assert_int_equal(spoolq_bounce(sender, id, &p, on_bounce, &ok), 0);
	wait_for(1 + last);
	return ok;
}

/* One of many parts is one message, durable at the last of them; one that does
 * not go on leaves nothing. */
static void
test_report_parts(void **state)
{
	enum { OCTETS = 3000000, PART = 60000 };
	char *text = malloc(OCTETS), *back = malloc(OCTETS);
	struct put p = { .body = BODY };
	struct queue_user *u;
	size_t files;

	(void)state;
	for (size_t i = 0; i < OCTETS; i++)
		text[i] = (char)('a' + (i * 7 + i / 1000) % 26);
	spool_begin();
	client_begin();
	put_one(&p);
	sender_begin(1);
	files = files_in("spool/queue");
	conf.spool_user_limit = 1000;
	/* Given up, begun anew, and not where it was: however often, for nobody
	 * has been told of anything yet. */
	for (unsigned int n = 0; n < 20; n++)
		assert_true(part(p.id, text, OCTETS, 0, PART));
	assert_true(part(p.id, text, OCTETS, PART, PART));
	assert_true(part(p.id, text, OCTETS, 0, PART));
	assert_false(part(p.id, text, OCTETS, 2 * PART, PART));
	assert_false(part(p.id, text, OCTETS, PART, PART));
	assert_int_equal(sp->reporting, 0);
	/* A crash in the midst of it. */
	assert_true(part(p.id, text, OCTETS, 0, PART));
	crash(1);
	assert_int_equal(files_in("spool/tmp"), 0);
	assert_int_equal(files_in("spool/queue"), files);
	for (uint32_t at = 0; at + PART < OCTETS; at += PART)
		assert_true(part(p.id, text, OCTETS, at, PART));
	assert_int_equal(n_told, 1);
	assert_true(part(p.id, text, OCTETS, OCTETS - PART, PART));
	assert_int_equal(n_told, 2);
	assert_int_equal(told[1]->octets, OCTETS);
	spoolq_open(sender, told[1]->id, false, on_open, NULL);
	wait_for(1);
	assert_int_equal(pread(open_fd, back, OCTETS, (off_t)open_offset),
	    OCTETS);
	assert_memory_equal(text, back, OCTETS);
	close(open_fd);
	/* His next has to wait for room; when the message goes so does what
	 * has come of it. */
	u = queue_user_find(sp->queue, "u@example.org");
	assert_int_equal(u->reports, OCTETS);
	assert_false(part(p.id, text, OCTETS, 0, PART));
	queue_delete(queue_find(sp->queue, told[1]->id), NULL, NULL);
	while (u->reports > 0)
		barrier();
	assert_true(part(p.id, text, OCTETS, 0, PART));
	sender_say_gone(sp, p.id);
	assert_int_equal(sp->reporting, 0);
	conf.spool_user_limit = 0;
	forget_told();
	free(text);
	free(back);
	spool_end();
	assert_int_equal(files_in("spool/tmp"), 0);
}

/* The same with files alone. */
static int
setup_files(void **state)
{
	segment_octets = 0;
	return fake_setup(state);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_way_out,
		    fake_setup, fake_clean),
		cmocka_unit_test_setup_teardown(test_asked,
		    fake_setup, fake_clean),
		cmocka_unit_test_setup_teardown(test_hold,
		    fake_setup, fake_clean),
		cmocka_unit_test_setup_teardown(test_disabled,
		    fake_setup, fake_clean),
		cmocka_unit_test_setup_teardown(test_hold,
		    setup_files, fake_clean),
		cmocka_unit_test_setup_teardown(test_report_limits,
		    fake_setup, fake_clean),
		cmocka_unit_test_setup_teardown(test_report_parts,
		    fake_setup, fake_clean),
		cmocka_unit_test_setup_teardown(test_report_limits,
		    setup_files, fake_clean),
		cmocka_unit_test_setup_teardown(test_report_parts,
		    setup_files, fake_clean),
		cmocka_unit_test_setup_teardown(test_way_out,
		    setup_files, fake_clean),
		cmocka_unit_test_setup_teardown(test_asked,
		    setup_files, fake_clean),
		cmocka_unit_test_setup_teardown(test_spares,
		    fake_setup, fake_clean),
		cmocka_unit_test_setup_teardown(test_large,
		    fake_setup, fake_clean),
	};
	int r;

	if (fake_enter("/tmp") != 0)
		return 1;
	r = cmocka_run_group_tests(tests, NULL, NULL);
	return fake_leave() != 0 ? 1 : r;
}
