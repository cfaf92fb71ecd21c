/*
 * main.c - authd-core: checks passwords, owns users and grants, issues tickets.
 *
 * Started by authd. Everything from the file system outside db_dir (plugins of
 * Cyrus SASL, user ids) is fetched before the doors close; db_dir is then the
 * current folder and, as root, the root. It never opens a network socket.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "auth/brownout.h"
#include "auth/census.h"
#include "auth/control.h"
#include "auth/core.h"
#include "auth/fair.h"
#include "auth/guess.h"
#include "auth/hint.h"
#include "auth/keys.h"
#include "auth/notice.h"
#include "auth/notify.h"
#include "auth/ops.h"
#include "auth/origin.h"
#include "auth/quota.h"
#include "auth/recent.h"
#include "auth/recent_rate.h"
#include "auth/recover.h"
#include "auth/rekey.h"
#include "auth/sasl.h"
#include "auth/shared.h"
#include "auth/usage.h"
#include "auth/verify.h"
#include "lib/child.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/proc.h"

#define CORE_QUEUE_MAX		512u	/* password checks that wait */
#define CORE_UPKEEP_MAX		64u
#define CORE_CARE_MAX		4u	/* long commands that wait */
#define CORE_TICK_MS		5000
#define CORE_CENSUS_BUDGET	20000u
#define CORE_CENSUS_S		(6 * 3600)
#define CORE_SWEEP_BUDGET	20000u	/* 4,000 grants a second */
#define CORE_PLACES_BUDGET	256u
#define CORE_FAIR_MS		250

struct core_main {
	struct core		 core;
	struct child		*child;
	bool			 upkeep_runs;
	bool			 db_full;	/* it was logged */
	bool			 places_fail;	/* it was logged */
	bool			 origin_fail;	/* it was logged */
	struct timer		 fair;
	bool			 count_runs;
	int			 count_result;
	int64_t			 count_due_ms;
	struct timer		 tick;
	struct notify		*notify;
	uid_t			 uids[ROLE__COUNT];
};

static void	core_count_start(struct core_main *c);

static void
core_load_guess(void *ctx, const struct placesdb_guess *v)
{
	struct core *core = ctx;

	guess_load(core->guess, v, clock_now_s());
	shared_load(core->shared, v, clock_now_s());
}

/* Notes that may wait, and do while they cannot be written. */
static void
core_save_places(struct core_main *c, bool ends)
{
	struct err e = { 0 };
	bool fail;

	if (!dbenv_has_space(c->core.dbenv))
		return;		/* that was logged */
	fail = placesdb_flush(c->core.places, &e) != 0 ||
	    guess_write(c->core.guess, c->core.places, &e) != 0 ||
	    shared_write(c->core.shared, c->core.places, clock_now_s(),
	    &e) != 0 ||
	    quota_write(c->core.quota, clock_now_s(), &e) != 0 ||
	    usage_write(c->core.usage, ends, &e) != 0;
	if (fail && !c->places_fail)
		LOG_EV(LOG_ERR, "db.places.fail", NULL, KV_T("why", e.text));
	c->places_fail = fail;
}

/* Keys of tokens in Received are made and removed in time. */
static void
core_keep_origin(struct core_main *c)
{
	struct err e = { 0 };
	bool fail;

	fail = origin_upkeep(c->core.origin, clock_now_s(),
	    atomic_load(&c->core.token_keep_s), &e) != 0;
	if (fail && !c->origin_fail)
		LOG_EV(LOG_ERR, "db.origin.fail", NULL, KV_T("why", e.text));
	c->origin_fail = fail;
}

/* Sweeping, notes and checkpoints, on the upkeep thread. */

static void
core_upkeep(void *ctx)
{
	struct core_main *c = ctx;
	struct err e = { 0 };
	uint64_t removed;

	if (dbenv_has_space(c->core.dbenv) && relay_cache_sweep(c->core.relay,
	    clock_now_s(), CORE_SWEEP_BUDGET, &removed, &e) != 0)
		LOG_EV(LOG_ERR, "db.sweep.fail", NULL, KV_T("why", e.text));
	core_save_places(c, false);
	core_keep_origin(c);
	if (!c->places_fail && dbenv_has_space(c->core.dbenv) &&
	    (placesdb_sweep(c->core.places, clock_now_s(),
	    CORE_PLACES_BUDGET, &removed, &e) != 0 ||
	    quotadb_sweep(c->core.quotadb, clock_now_s(),
	    CORE_PLACES_BUDGET, &removed, &e) != 0 ||
	    usagedb_sweep(c->core.usage, clock_now_s(), CORE_PLACES_BUDGET,
	    &e) != 0))
		LOG_EV(LOG_ERR, "db.sweep.fail", NULL, KV_T("why", e.text));
	if (dbenv_has_space(c->core.dbenv) &&
	    census_save(c->core.census, &e) != 0)
		LOG_EV(LOG_WARNING, "census.fail", NULL, KV_T("why", e.text));
	if (dbenv_checkpoint(c->core.dbenv, &e) != 0)
		LOG_EV(LOG_ERR, "db.checkpoint.fail", NULL,
		    KV_T("why", e.text));
}

static void
core_upkeep_done(void *ctx)
{
	struct core_main *c = ctx;

	c->upkeep_runs = false;
}

/* The users are counted at the start, and anew a few times a day: a part at a
 * time, so that other upkeep goes on. Between, changes are. */

static void
core_count(void *ctx)
{
	struct core_main *c = ctx;
	struct err e = { 0 };
	int r = census_walk(c->core.census, c->core.userdb,
	    CORE_CENSUS_BUDGET, &e);

	c->count_result = r;
	if (r != 0 && r != ERR_NOTFOUND)
		LOG_EV(LOG_ERR, "census.fail", NULL, KV_T("why", e.text));
}

static void
core_count_done(void *ctx)
{
	struct core_main *c = ctx;

	c->count_runs = false;
	if (c->count_result == ERR_NOTFOUND)
		c->count_due_ms = clock_mono_ms() + CORE_CENSUS_S * 1000;
	if (c->count_result == 0)
		core_count_start(c);
}

static void
core_count_start(struct core_main *c)
{
	if (!c->count_runs && clock_mono_ms() >= c->count_due_ms &&
	    pool_submit(c->core.upkeep, core_count, core_count_done, c) == 0)
		c->count_runs = true;
}

/* Once when it starts and once when it ends. */
static void
core_watch_space(struct core_main *c)
{
	bool full = !dbenv_has_space(c->core.dbenv);

	if (full == c->db_full)
		return;
	c->db_full = full;
	if (full)
		LOG_EV(LOG_ERR, "db.full", NULL, KV_T("why",
		    "the disk of db_dir is full: logins go on, nothing can be "
		    "changed"));
	else
		LOG_EV(LOG_NOTICE, "db.space", NULL);
}

static void
core_tick(void *ctx)
{
	struct core_main *c = ctx;

	core_watch_space(c);
	if (dbenv_is_broken(c->core.dbenv)) {
		LOG_EV(LOG_ERR, "db.broken", NULL,
		    KV_T("why", "the database gave up; starting anew"));
		exit(EX_OSERR);	/* the next one recovers as it opens */
	}
	ops_tick(c->core.ops);
	quota_tick(c->core.quota, clock_now_s());
	recent_tick(c->core.recent);
	brownout_tick(&c->core, clock_now_s());
	core_count_start(c);		/* when it is time, or it failed */
	if (!c->upkeep_runs && pool_submit(c->core.upkeep, core_upkeep,
	    core_upkeep_done, c) == 0)
		c->upkeep_runs = true;
	timer_arm(&c->tick, clock_timer_ms(CORE_TICK_MS));
}

static void
core_fair(void *ctx)
{
	struct core_main *c = ctx;

	fair_tick(c->core.fair);
	timer_arm(&c->fair, CORE_FAIR_MS);
}

/* Reload */

static int
core_prepare(void *ctx, struct conf *next, struct err *reterr)
{
	(void)ctx;
	return saslx_probe(next, reterr);
}

/* The socket of notify_socket, if there is one: the parent's, so that feeders
 * find it while we are started anew. */
static int
core_notify_fd(struct core_main *c)
{
	return child_socket(c->child, CONF_NOTIFY_NAME, PROC_TCP);
}

static void
core_commit(void *ctx)
{
	struct core_main *c = ctx;

	conf_unref(c->core.conf);
	c->core.conf = conf_ref(child_conf(c->child));
	relay_cache_set_prefix(c->core.relay,
	    (unsigned int)c->core.conf->grant_ipv6_prefix);
	fair_set_wait(c->core.fair, (int64_t)c->core.conf->auth_wait_s * 1000);
	census_set_default(c->core.census,
	    (uint32_t)c->core.conf->scram_iterations);
	atomic_store(&c->core.token_keep_s, c->core.conf->token_keep_s);
	recent_set_conf(c->core.recent, c->core.conf);
	brownout_tick(&c->core, clock_now_s());
	if (notify_listen(c->notify, core_notify_fd(c)) != 0)
		LOG_EV(LOG_ERR, "notify.fail", NULL, KV_T("why", "no memory"));
}

static void
core_abandon(void *ctx)
{
	(void)ctx;
}

static void
core_stop(void *ctx)
{
	struct core_main *c = ctx;

	loop_stop(c->core.loop);
}

static const struct child_ops core_child_ops = {
	.prepare = core_prepare, .commit = core_commit,
	.abandon = core_abandon, .stop = core_stop,
};

/* Start */

/* What a peer's SO_PEERCRED must show; asked before chroot. */
static void
core_find_uids(struct core_main *c)
{
	struct err e = { 0 };
	gid_t gid;

	for (int role = 0; role < ROLE__COUNT; role++)
		if (priv_ids((enum priv_role)role, &c->uids[role], &gid,
		    &e) != 0)
			child_fail(c->child, &e);
}

/* On any thread. */
static void
core_tell_grant(void *ctx, const char *key)
{
	(void)ctx;
	LOG_EV(LOG_ERR, "db.grant.unreadable", NULL, KV_T("key", key),
	    KV_T("why", "passed over; submitctl grant purge removes it"));
}

static int
core_open_store(struct core *core, struct err *reterr)
{
	int r;

	if ((r = dbenv_open(".", &core->dbenv, reterr)) != 0 ||
	    (r = userdb_open(core->dbenv, &core->userdb, reterr)) != 0 ||
	    (r = relay_cache_open(core->dbenv,
	    (unsigned int)core->conf->grant_ipv6_prefix, &core->relay,
	    reterr)) != 0 ||
	    (r = placesdb_open(core->dbenv, &core->places, reterr)) != 0 ||
	    (r = origindb_open(core->dbenv, &core->origindb, reterr)) != 0 ||
	    (r = origin_new(core->origindb, &core->origin, reterr)) != 0 ||
	    (r = quotadb_open(core->dbenv, &core->quotadb, reterr)) != 0 ||
	    (r = usagedb_open(core->dbenv, &core->usage, reterr)) != 0)
		return r;
	relay_cache_on_flaw(core->relay, core_tell_grant, NULL);
	dbenv_scratch_remove(".");	/* of one who was killed */
	/* Behind the environment's lock: nobody else makes keys meanwhile. */
	return keys_open(&core->keys, reterr);
}

static int
core_start(struct core_main *c, struct err *reterr)
{
	struct core *core = &c->core;
	int r;

	core->pool = pool_new(core->loop, (unsigned int)core->conf->auth_threads,
	    CORE_QUEUE_MAX);
	core->upkeep = pool_new(core->loop, 1, CORE_UPKEEP_MAX);
	core->care = pool_new(core->loop, 1, CORE_CARE_MAX);
	core->census = census_new((uint32_t)core->conf->scram_iterations);
	core->verify = core->census == NULL ? NULL :
	    verify_new(core->keys.fake, core->census);
	core->rekey = rekey_new(core);
	core->guess = guess_new(core->keys.guess);
	core->shared = shared_new();
	core->fair = fair_new(core->pool, (unsigned int)
	    core->conf->auth_threads, pool_submit, clock_mono_ms);
	core->quota = quota_new(core->quotadb);
	core->ops = ops_new(core);
	if (core->pool == NULL || core->upkeep == NULL ||
	    core->care == NULL || core->verify == NULL ||
	    core->rekey == NULL || core->guess == NULL ||
	    core->shared == NULL ||
	    core->fair == NULL || core->quota == NULL || core->ops == NULL ||
	    timer_init(&c->tick, core->loop, core_tick, c) != 0 ||
	    timer_init(&c->fair, core->loop, core_fair, c) != 0)
		return err_set(reterr, ERR_NOMEM, "no memory");
	fair_set_wait(core->fair, (int64_t)core->conf->auth_wait_s * 1000);
	atomic_store(&core->token_keep_s, core->conf->token_keep_s);
	core_keep_origin(c);	/* the first message needs a key */
	census_load(core->census);
	userdb_set_watch(core->userdb, census_changed, core->census);
	if ((r = recent_open(core, &core->recent, reterr)) != 0)
		return r;
	if ((core->hints = hint_rate_new()) == NULL)
		return err_set(reterr, ERR_NOMEM, "no memory");
	return placesdb_guess_each(core->places, core_load_guess, core,
	    reterr);
}

static int
core_serve(struct core_main *c, struct err *reterr)
{
	size_t n;
	const struct child_fd *fds = child_fds(c->child, &n);

	for (size_t i = 0; i < n; i++) {
		int role = fds[i].client_role;

		if (strcmp(fds[i].name, "auth") == 0 && role >= 0 &&
		    role < ROLE__COUNT) {
			if (ops_listen(c->core.ops, fds[i].fd,
			    (enum priv_role)role, c->uids[role]) != 0)
				return err_set(reterr, ERR_NOMEM, "no memory");
		} else if (role == -1 && strcmp(fds[i].name, "users") == 0) {
			if (control_new(c->core.loop, fds[i].fd, "users",
			    core_verbs, &c->core) == NULL)
				return err_set(reterr, ERR_NOMEM, "no memory");
		}
	}
	c->notify = notify_new(&c->core);
	if (c->notify == NULL ||
	    notify_listen(c->notify, core_notify_fd(c)) != 0)
		return err_set(reterr, ERR_NOMEM, "no memory");
	return 0;
}

/* In good order: threads first, then what they use. */
static void
core_end(struct core_main *c)
{
	struct core *core = &c->core;

	timer_free(&c->tick);
	timer_free(&c->fair);
	notify_free(c->notify);
	fair_stop(core->fair);
	pool_free(core->pool);
	rekey_free(core->rekey);
	pool_free(core->upkeep);
	pool_free(core->care);
	core_save_places(c, true);
	quotadb_close(core->quotadb);
	usagedb_close(core->usage);
	recent_stop(core->recent);
	recent_free(core->recent);
	rate_free(core->hints);
	placesdb_close(core->places);
	origin_free(core->origin);
	origindb_close(core->origindb);
	relay_cache_close(core->relay);
	userdb_close(core->userdb);
	dbenv_close(core->dbenv);
	verify_free(core->verify);
	census_free(core->census);
	guess_free(core->guess);
	shared_free(core->shared);
	quota_free(core->quota);
	fair_free(core->fair);
	conf_unref(core->conf);
	saslx_end();
	explicit_bzero(&core->keys, sizeof(core->keys));
	LOG_EV(LOG_INFO, "stop", NULL);
}

int
main(int argc, char **argv)
{
	static struct core_main c;
	struct err e = { 0 };

	if (argc > 1 && strcmp(argv[1], "--recover") == 0)
		return recover_main(argc, argv);
	c.child = child_begin(ROLE_AUTHD_CORE, argc, argv);
	c.core.conf = conf_ref(child_conf(c.child));
	core_find_uids(&c);
	if (saslx_setup(&e) != 0 || saslx_probe(c.core.conf, &e) != 0)
		child_fail(c.child, &e);
	child_drop_into(c.child, ROLE_AUTHD_CORE, c.core.conf->db_dir);
	if (core_open_store(&c.core, &e) != 0)
		child_fail(c.child, &e);
	if ((c.core.loop = loop_new()) == NULL)
		err_set(&e, ERR_NOMEM, "no memory");
	if (e.code != 0 || core_start(&c, &e) != 0 || core_serve(&c, &e) != 0)
		child_fail(c.child, &e);
	timer_arm(&c.tick, clock_timer_ms(CORE_TICK_MS));
	timer_arm(&c.fair, CORE_FAIR_MS);
	core_secrets_changed(&c.core);
	child_ready(c.child, c.core.loop, &core_child_ops, &c);
	loop_run(c.core.loop);
	core_end(&c);
	return 0;
}
