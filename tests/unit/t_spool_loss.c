/*
 * t_spool_loss.c - power loss: a spool works, with batches of its journal under
 * way side by side, everything that it does to the disk is noted, and at each
 * point of that the power goes. What was acknowledged is there after it, whole and
 * once, and nothing is called damaged. Some calls fail meanwhile; and the next
 * generation begins with what the loss has left.
 *
 *	t_spool_loss SEED ...
 * runs these seeds instead of the usual ones.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/fio.h"
#include "lib/log.h"
#include "submitd/spool/journal.h"
#include "submitd/spool/spool.h"
#include "tests/unit/loss_disk.h"
#include "tests/unit/spares_here.h"
#include "tests/unit/unit.h"

#define MSGS_MAX 1000
#define SEGMENT (64u * 1024)
#define STEPS 50u		/* of a generation */
#define GENERATIONS 2
#define TRIES_MAX 16
#define FAILS_MAX 100u
#define SEEDS 2
#define OVERLAPS_MIN 20u
#define NEVER SIZE_MAX

struct letter {
	char		 id[STR_ID_SIZE];
	size_t		 len;		/* of its body */
	uint8_t		 fill;
	uint8_t		*body;
	struct queue_msg *msg;		/* in the running spool's queue */
	size_t		 taken_at;	/* the commit was OK */
	size_t		 ended_at;	/* its removal was asked for */
	size_t		 gone_at;	/* it is removed, and was flushed */
	uint32_t	 asked, tries;	/* results given, and safe */
	size_t		 tried_at[TRIES_MAX];
	struct store_op	 op;
};

static char root[sizeof("/var/tmp/t_loss.XXXXXX")] = "/dev/shm/t_loss.XXXXXX";
static struct letter *letters[MSGS_MAX];
static size_t n_letters;
static struct loop *loop;
static struct spool spool;
static unsigned int committing;
static unsigned int n_crowded, n_failed;	/* it did happen */

/* ------------------------------------------------------------------ work -- */

static void
letter_committed(struct store_op *op)
{
	struct letter *l = op->ctx;

	committing--;
	free(l->body);
	l->body = NULL;
	if (op->r != 0) {
		n_failed++;
		queue_msg_free(l->msg);
		l->msg = NULL;
		return;
	}
	l->taken_at = loss_now();
	queue_add(spool.queue, l->msg, op->content_offset, op->content_len,
	    op->content_offset + op->content_len);
}

static void
letter_envelope(const struct letter *l, struct envelope *e)
{
	char **const empty[] = { &e->peer, &e->tls, &e->mech, &e->sid,
	    &e->helo, &e->envid };

	memset(e, 0, sizeof(*e));
	memcpy(e->id, l->id, sizeof(e->id));
	e->arrived_s = 1;
	e->sender = strdup("a@example.org");
	e->user = strdup("u@example.org");
	for (size_t i = 0; i < ROWS(empty); i++)
		*empty[i] = strdup("");
	e->n_rcpts = 2;
	e->rcpts = calloc(2, sizeof(*e->rcpts));
	e->rcpts[0] = strdup("b@example.com");
	e->rcpts[1] = strdup("c@example.com");
}

static void
work_commit(void)
{
	struct letter *l = calloc(1, sizeof(*l));
	struct envelope e;

	assert_true(n_letters < MSGS_MAX);
	letters[n_letters++] = l;
	str_id(l->id);
	l->taken_at = l->ended_at = l->gone_at = NEVER;
	l->len = loss_random(12) == 0 ? 70000 : 20 + loss_random(6000);
	l->fill = (uint8_t)('a' + loss_random(26));
	l->body = malloc(l->len);
	memset(l->body, l->fill, l->len);
	letter_envelope(l, &e);
	l->op.kind = STORE_COMMIT;
	memcpy(l->op.id, l->id, sizeof(l->op.id));
	assert_int_equal(store_file_new(&e, "", 0, &l->op.file), 0);
	l->msg = queue_msg_new(&e);
	envelope_free(&e);
	l->op.place = &l->msg->place;
	l->op.data = l->body;
	l->op.len = l->len;
	l->op.done = letter_committed;
	l->op.ctx = l;
	committing++;
	flush_add(spool.flush, &l->op);
}

static void
work_result(struct letter *l, uint32_t rcpt, uint8_t state)
{
	struct envelope_result r = { .rcpt = rcpt, .state = state,
		.tries = l->asked + 1, .text = "451 later" };

	l->asked += state == ENVELOPE_PENDING;
	/* The first may be done since before the loss. */
	assert_true(queue_result(l->msg, &r) || rcpt == 0);
}

static void
letter_gone(void *ctx, const char *id, int r)
{
	struct letter *l = ctx;

	assert_string_equal(l->id, id);
	if (r == 0)
		l->gone_at = loss_now();
}

/* By the administrator, who waits for it; or because it is delivered. */
static void
work_remove(struct letter *l)
{
	l->ended_at = loss_now();
	if (loss_random(4) == 0) {
		queue_delete(l->msg, letter_gone, l);
	} else {
		work_result(l, 0, ENVELOPE_DONE);
		work_result(l, 1, ENVELOPE_DONE);
	}
	l->msg = NULL;
}

static void
work_some(void)
{
	unsigned int n = loss_random(8);

	if (loss_random(12) == 0)
		fio_fail_at(1 + loss_random(4), loss_random(2) ? EIO : ENOSPC);
	while (n-- > 0)
		work_commit();
	for (size_t i = 0; i < n_letters; i++) {
		struct letter *l = letters[i];

		if (l->msg == NULL || l->taken_at == NEVER)
			continue;
		/* A few stay, and keep their segments. */
		if (i % 9 != 0 && loss_random(6) == 0)
			work_remove(l);
		else if (i % 7 == 0 && l->asked < TRIES_MAX &&
		    loss_random(10) == 0)
			work_result(l, 1, ENVELOPE_PENDING);
	}
}

/* Which results are on stable storage now. */
static void
note_results(void)
{
	for (size_t i = 0; i < n_letters; i++) {
		struct letter *l = letters[i];

		if (l->msg == NULL || l->taken_at == NEVER || l->msg->busy ||
		    l->msg->stuck || buf_len(&l->msg->records) > 0)
			continue;
		while (l->tries < l->asked)
			l->tried_at[l->tries++] = loss_now();
		n_crowded += l->msg->place.filed && l->asked == 0 &&
		    l->len < 10000;
	}
}

static void
turn_over(void *ctx)
{
	(void)ctx;
	loop_stop(loop);
}

static void
run_ms(int64_t ms)
{
	struct timer t = { 0 };

	assert_int_equal(timer_init(&t, loop, turn_over, NULL), 0);
	timer_arm(&t, ms);
	loop_run(loop);
	timer_free(&t);
	note_results();
}

/* -------------------------------------------------------------- recovery -- */

static void
told(void *ctx)
{
	(void)ctx;
}

static void
left(void *ctx, struct queue_msg *m)
{
	(void)ctx;
	(void)m;
}

static size_t
files_but(const char *path, const char *folder, const char *prefix)
{
	char dir[300];
	DIR *d;
	struct dirent *e;
	size_t n = 0;

	snprintf(dir, sizeof(dir), "%s/%s", path, folder);
	d = opendir(dir);
	while ((e = readdir(d)) != NULL)
		n += e->d_name[0] != '.' &&
		    strncmp(e->d_name, prefix, strlen(prefix)) != 0;
	closedir(d);
	return n;
}

/* Its octets, wherever they are. */
static void
check_whole(struct store *st, struct queue_msg *m, const struct letter *l)
{
	static uint8_t buf[100000];
	struct err err;
	int fd;

	assert_int_equal(m->octets, l->len);
	if (!m->place.filed) {
		assert_non_null(m->place.segment);
		assert_int_equal(journal_read(&m->place, buf, &err), 0);
		memmove(buf, buf + m->content_offset, l->len);
	} else {
		fd = store_read_fd(st, m->id, &err);
		assert_true(fd >= 0);
		assert_int_equal(pread(fd, buf, l->len,
		    (off_t)m->content_offset), l->len);
		close(fd);
	}
	for (size_t i = 0; i < l->len; i++)
		if (buf[i] != l->fill)
			fail_msg("%s: octet %zu is %02x", l->id, i, buf[i]);
}

static void
check_letter(struct spool *sp, struct letter *l, size_t n, const char *what)
{
	struct queue_msg *m = queue_find(sp->queue, l->id);

	if (m == NULL) {
		if (l->taken_at <= n && l->ended_at >= n)
			fail_msg("%s: %s is lost", what, l->id);
		return;
	}
	if (l->gone_at <= n)
		fail_msg("%s: %s has come back", what, l->id);
	check_whole(&sp->store, m, l);
	for (uint32_t i = 0; i < l->tries; i++)
		if (l->tried_at[i] <= n && l->ended_at >= n &&
		    m->rcpts[1].tries < i + 1)
			fail_msg("%s: a result of %s is lost", what, l->id);
}

/* The spool of a new process at `path`. */
static void
recover_at(struct spool *sp, const char *path, const char *what)
{
	static const struct queue_hooks hooks = { .told = told,
		.left = left };
	struct err err;

	memset(sp, 0, sizeof(*sp));
	sp->loop = loop;
	if (store_open(&sp->store, path, getuid(), getgid(), &err) != 0)
		fail_msg("%s: %s", what, err.text);
	journal_set_size(sp->store.journal, SEGMENT);
	sp->flush = flush_new(loop, &sp->store);
	sp->queue = queue_new(loop, sp->flush, &hooks, sp);
	if (recover_run(sp, &err) != 0)
		fail_msg("%s: %s", what, err.text);
}

static void
recover_end(struct spool *sp)
{
	flush_free(sp->flush);
	queue_free(sp->queue);
	store_close(&sp->store);
}

/* The power goes after `n`. */
static void
check_loss(const char *path, size_t n, enum loss_policy policy)
{
	struct queue_msg *m, *next;
	struct spool sp;
	char what[60];

	snprintf(what, sizeof(what), "after %zu, policy %d", n, policy);
	loss_make(path, n, policy);
	recover_at(&sp, path, what);
	for (size_t i = 0; i < n_letters; i++)
		check_letter(&sp, letters[i], n, what);
	for (m = queue_first(sp.queue); m != NULL; m = next)
		if ((next = queue_next(m)) != NULL &&
		    strcmp(m->id, next->id) == 0)
			fail_msg("%s: %s is there twice", what, m->id);
	if (files_but(path, "bad", "cut-") != 0)
		fail_msg("%s: something is called damaged", what);
	recover_end(&sp);
}

/* ----------------------------------------------------------- generations -- */

/* What the loss left is the beginning of the next one. */
static void
take_over(void)
{
	size_t kept = 0;

	for (size_t i = 0; i < n_letters; i++) {
		struct letter *l = letters[i];

		l->msg = queue_find(spool.queue, l->id);
		if (l->msg == NULL) {
			free(l);
			continue;
		}
		l->taken_at = 0;
		l->ended_at = l->gone_at = NEVER;
		l->asked = l->tries = l->msg->rcpts[1].tries;
		memset(l->tried_at, 0, sizeof(l->tried_at));
		letters[kept++] = l;
	}
	n_letters = kept;
}

/* Those of work_some() hit whatever comes: at least one is to hit a commit. */
static void
fail_a_commit(void)
{
	unsigned int before;

	while (committing > 0)
		run_ms(1);
	before = n_failed;
	for (unsigned int i = 0; n_failed == before && i < FAILS_MAX; i++) {
		fio_fail_at(1, EIO);
		work_commit();
		while (committing > 0)
			run_ms(1);
	}
	assert_true(n_failed > before);
}

static void
generation(const char *path)
{
	loss_begin(path);
	recover_at(&spool, path, "the next one");
	take_over();
	for (unsigned int i = 0; i < STEPS; i++) {
		if (i == STEPS / 2)
			fail_a_commit();
		work_some();
		run_ms(loss_random(8) == 0 ? 20 : 1);
	}
	fio_fail_at(0, 0);
	while (committing > 0)
		run_ms(5);
	for (size_t i = 0; i < n_letters; i++)
		letters[i]->msg = NULL;
	recover_end(&spool);
	loss_stop();
}

/* Each step of it for what was flushed, and a part of them for the rest. */
static void
losses(const char *path)
{
	for (size_t n = 0; n <= loss_now(); n++) {
		if (n % 4 == 0 || n == loss_now())
			check_loss(path, n, LOSS_NOTHING_MORE);
		if (n % 16 == 0)
			check_loss(path, n, LOSS_ALL);
		if (n % 3 == 1)
			check_loss(path, n, LOSS_SOME);
		if (n % 3 == 2)
			check_loss(path, n, LOSS_WHOLE);
	}
}

static void
run_seed(uint64_t seed)
{
	char work[100], after[100];

	loss_seed(seed);
	snprintf(work, sizeof(work), "%s/work", root);
	snprintf(after, sizeof(after), "%s/after", root);
	recover_at(&spool, work, "the first");	/* makes the folders */
	recover_end(&spool);
	for (int i = 0; i < GENERATIONS; i++) {
		generation(work);
		losses(after);
		loss_make(work, loss_now() / 2 + loss_random((uint32_t)(
		    loss_now() / 2)), LOSS_SOME);
		loss_end();
	}
	while (n_letters > 0)
		free(letters[--n_letters]);
}

static void
test_losses(void **state)
{
	(void)state;
#ifndef SUBMITD_TEST_BUILD
	skip();		/* only there fio.c tells what is written */
#endif
	for (uint64_t seed = 1; seed <= SEEDS; seed++)
		run_seed(seed);
	assert_true(n_crowded > 0);
	assert_true(loss_reused() > 0 || !spares_here(root));
	assert_true(loss_overlaps() > OVERLAPS_MIN);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_losses),
	};
	char cmd[100];
	int r = 0;

	umask(077);
	if (mkdtemp(root) == NULL) {	/* no memory for files: a disk will do */
		memcpy(root, "/var/tmp/t_loss.XXXXXX", sizeof(root));
		if (mkdtemp(root) == NULL)
			return 1;
	}
	loop = loop_new();
	snprintf(cmd, sizeof(cmd), "%s/log", root);
	log_open("t_spool_loss", "t_spool_loss", cmd);
	if (argc < 2)
		r = cmocka_run_group_tests(tests, NULL, NULL);
	for (int i = 1; i < argc; i++)
		run_seed(strtoull(argv[i], NULL, 10));
	n_letters = 0;
	run_ms(1);		/* what was deferred ends */
	loop_free(loop);
	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", root);
	return system(cmd) == 0 ? r : 1;
}
