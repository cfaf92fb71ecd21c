/*
 * recent.c - see recent.h. In authd-core: on the loop, but for the functions
 * named recent_job_…, which are its thread's.
 *
 * A worker is believed here: what it tells is shown to the administrator and
 * decides nothing.
 */
#include "config.h"
#include "auth/recent.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include <openssl/rand.h>

#include "auth/ops.h"
#include "auth/recent_rate.h"
#include "auth/usage.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/siphash.h"
#include "lib/str.h"

#define RECENT_WRITE_MS		250	/* records wait so long for others */
#define RECENT_AGAIN_MS		5000	/* after a failure */
#define RECENT_QUEUE_MAX	16u	/* jobs that wait */
#define RECENT_UNSORTED_MAX	2048u
#define RECENT_LOGINS		1024u	/* failed ones, a power of two */
#define RECENT_SAME		2048u	/* sessions in a row, likewise */
#define RECENT_SAME_S		3600
#define RECENT_SWEEP		1000u
#define RECENT_PATHS_S		86400	/* counted anew at the start */

struct recent_unsorted {		/* not authorised: whose is it? */
	TAILQ_ENTRY(recent_unsorted)	link;
	struct recent_record		r;
};

TAILQ_HEAD(recent_list, recent_unsorted);

struct recent_login {			/* a failed one, by its session */
	char	sid[RECENT_SID_SIZE];
	char	name[MAILBOX_SIZE];
	char	why[RECENT_REASON_SIZE];
};

struct recent_same {			/* a session like it was kept */
	uint64_t	hash;		/* 0: free */
	uint64_t	serial;
	int64_t		began_s;
	uint32_t	n;
};

struct recent {
	struct core		*core;
	struct recentdb		*db;
	struct pool		*pool;		/* one thread */
	struct rate		*rate;
	uint8_t			 key[SIPHASH_KEY];
	_Atomic uint64_t	 keep_s;
	int64_t			 began_s;	/* this process */
	struct timer		 write;
	bool			 armed;		/* write is */
	bool			 runs;		/* recent_job_write() */
	bool			 again;		/* more came meanwhile */
	bool			 sweeps;
	bool			 stopping;
	struct recent_login	 logins[RECENT_LOGINS];
	struct recent_same	 same[RECENT_SAME];
	/* The last write did; that was logged. Far from the loop's own flags,
	 * which a compiler may read as one word. */
	atomic_bool		 failed;
	pthread_mutex_t		 lock;		/* of what is below */
	struct paths		*paths;
	struct recent_list	 unsorted;
	unsigned int		 n_unsorted;
};

/* ------------------------------------------------------- the thread's work -- */

/* A name as it was claimed: a user's? */
static bool
recent_job_is_user(struct recent *r, const char *name, char user[MAILBOX_SIZE])
{
	struct mailbox mb;

	return mailbox_parse(name, strlen(name), &mb) == 0 &&
	    userdb_resolve(r->core->userdb, mb.canon, user, NULL) == 0;
}

/* Whom does it name? His place in `user`, which an unauthorised one has free. */
static enum recent_share
recent_job_share(struct recent *r, struct recent_record *rec)
{
	struct addr a = { .port = 0 };

	if (!recent_job_is_user(r, rec->login, rec->user) &&
	    !recent_job_is_user(r, rec->sender, rec->user)) {
		rec->user[0] = '\0';
		return RECENT_STRANGERS;
	}
	memcpy(a.ip, rec->ip, sizeof(a.ip));
	return rec->bits == 128 && placesdb_is_known(r->core->places,
	    rec->user, &a, INT64_MIN, rec->at_s) ? RECENT_OWNERS :
	    RECENT_NAMED;
}

static struct recent_unsorted *
recent_job_next(struct recent *r)
{
	struct recent_unsorted *u;

	pthread_mutex_lock(&r->lock);
	if ((u = TAILQ_FIRST(&r->unsorted)) != NULL) {
		TAILQ_REMOVE(&r->unsorted, u, link);
		r->n_unsorted--;
	}
	pthread_mutex_unlock(&r->lock);
	return u;
}

static void
recent_job_write(void *ctx)
{
	struct recent *r = ctx;
	struct recent_unsorted *u;
	struct err e = { 0 };
	uint64_t serial;
	bool failed;

	while ((u = recent_job_next(r)) != NULL) {
		serial = 0;
		recentdb_put(r->db, recent_job_share(r, &u->r), &u->r,
		    &serial);
		free(u);
	}
	if (!dbenv_has_space(r->core->dbenv))
		return;			/* that was logged */
	failed = recentdb_flush(r->db, &e) != 0;
	if (failed && !r->failed)
		LOG_EV(LOG_ERR, "db.recent.fail", NULL, KV_T("why", e.text));
	r->failed = failed;
}

void
recent_write_now(struct recent *r)
{
	recent_job_write(r);
}

static void
recent_job_sweep(void *ctx)
{
	struct recent *r = ctx;
	struct err e = { 0 };

	if (dbenv_has_space(r->core->dbenv) && recentdb_sweep(r->db,
	    clock_now_s() - (int64_t)atomic_load(&r->keep_s), RECENT_SWEEP, &e) != 0)
		LOG_EV(LOG_ERR, "db.sweep.fail", NULL, KV_T("why", e.text));
}

static bool
recent_job_path(void *ctx, enum recent_share share,
    const struct recent_record *rec)
{
	struct recent *r = ctx;
	struct addr a = { .port = 0 };
	struct path path;

	(void)share;
	if (rec->service != AUTHP_SMTP || rec->bits != 128 ||
	    rec->at_s > r->began_s)
		return true;
	memcpy(a.ip, rec->ip, sizeof(a.ip));
	pthread_mutex_lock(&r->lock);
	(void)paths_note(r->paths, &a, rec->flags, rec->at_s, &path);
	pthread_mutex_unlock(&r->lock);
	return true;
}

/* What was known before the start; events may come meanwhile. */
static void
recent_job_paths(void *ctx)
{
	struct recent *r = ctx;
	struct err e = { 0 };

	if (recentdb_each(r->db, clock_now_s() - RECENT_PATHS_S,
	    recent_job_path, r, &e) != 0)
		LOG_EV(LOG_ERR, "db.recent.fail", NULL, KV_T("why", e.text));
}

static void
recent_job_done(void *ctx)
{
	(void)ctx;
}

/* ---------------------------------------------------------------- writing -- */

static void
recent_arm(struct recent *r, int64_t ms)
{
	if (r->armed || r->stopping)
		return;
	r->armed = true;
	timer_arm(&r->write, ms);
}

static void
recent_written(void *ctx)
{
	struct recent *r = ctx;

	r->runs = false;
	if (r->failed || r->again)
		recent_arm(r, r->failed ? RECENT_AGAIN_MS : RECENT_WRITE_MS);
}

static void
recent_write(void *ctx)
{
	struct recent *r = ctx;

	r->armed = false;
	r->again = r->runs;
	if (r->runs)
		return;
	if (pool_submit(r->pool, recent_job_write, recent_written, r) == 0)
		r->runs = true;
	else
		recent_arm(r, RECENT_WRITE_MS);
}

/* ----------------------------------------------------------------- keeping -- */

/* Like many before it: nothing was sent and nothing went wrong. */
static bool
recent_is_dull(const struct recent_record *rec)
{
	return rec->kind != 0 && rec->code == 0 && rec->status[0] == '\0' &&
	    rec->text[0] == '\0' && rec->messages == 0 &&
	    !(rec->flags & (AUTHP_PAST_LOGIN_FAILED | AUTHP_PAST_PART));
}

static uint64_t
recent_hash(const struct recent *r, const struct recent_record *rec)
{
	const char *texts[] = { rec->user, rec->login, rec->tls };
	uint8_t v[2 * MAILBOX_SIZE + RECENT_TLS_SIZE + 20];
	size_t n = 20, len;
	uint64_t h;

	memcpy(v, rec->ip, 16);
	v[16] = rec->service;
	v[17] = (uint8_t)(rec->port >> 8);
	v[18] = (uint8_t)rec->port;
	v[19] = rec->kind;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		len = strlen(texts[i]) + 1;
		memcpy(v + n, texts[i], len);
		n += len;
	}
	h = siphash(r->key, v, n);
	return h != 0 ? h : 1;
}

/* Also what makes it one with those before it. */
static void
recent_keep_owner(struct recent *r, struct recent_record *rec)
{
	uint64_t hash = recent_hash(r, rec), serial = 0;
	struct recent_same *s = &r->same[hash % RECENT_SAME];

	if (!recent_is_dull(rec)) {
		recentdb_put(r->db, RECENT_OWNERS, rec, &serial);
		return;
	}
	if (s->hash != hash || rec->at_s - s->began_s >= RECENT_SAME_S ||
	    rec->at_s < s->began_s)
		*s = (struct recent_same){ .hash = hash,
		    .began_s = rec->began_s };
	rec->n = ++s->n;
	rec->began_s = s->began_s;
	recentdb_put(r->db, RECENT_OWNERS, rec, &s->serial);
}

static void
recent_keep_other(struct recent *r, const struct recent_record *rec)
{
	struct recent_unsorted *u = malloc(sizeof(*u)), *old = NULL;

	if (u == NULL)
		return;			/* a record less */
	u->r = *rec;
	pthread_mutex_lock(&r->lock);
	if (r->n_unsorted >= RECENT_UNSORTED_MAX) {
		old = TAILQ_FIRST(&r->unsorted);
		TAILQ_REMOVE(&r->unsorted, old, link);
		r->n_unsorted--;
	}
	TAILQ_INSERT_TAIL(&r->unsorted, u, link);
	r->n_unsorted++;
	pthread_mutex_unlock(&r->lock);
	free(old);
}

/* What recent_rate.c left out, as one record. */
static void
recent_left(void *ctx, const struct rate_left *left)
{
	struct recent *r = ctx;
	struct recent_record rec = { .began_s = left->since_s,
	    .at_s = clock_now_s(), .n = left->n, .bits = left->net.bits };
	uint64_t serial = 0;

	memcpy(rec.ip, left->net.ip, sizeof(rec.ip));
	str_id(rec.sid);
	recentdb_put(r->db, RECENT_STRANGERS, &rec, &serial);
}

static void
recent_note_path(struct recent *r, const struct recent_record *rec,
    const struct addr *a)
{
	char net[ADDR_STRLEN];
	struct path path;
	bool begins;

	if (rec->service != AUTHP_SMTP || rec->bits == 0)
		return;
	pthread_mutex_lock(&r->lock);
	begins = paths_note(r->paths, a, rec->flags, rec->at_s, &path);
	pthread_mutex_unlock(&r->lock);
	if (begins)
		LOG_EV(LOG_WARNING, "path.damage", rec->sid,
		    KV_A("network", net_text(&path.net, net)),
		    KV_U("masked", path.masked), KV_U("never", path.never),
		    KV_U("tls", path.tls), KV_T("why",
		    "sessions from there do not get to STARTTLS: something on "
		    "the way may remove it (Cisco: fixup protocol smtp, "
		    "inspect esmtp)"));
}

/* ------------------------------------------------------------ failed logins -- */

static struct recent_login *
recent_login_of(struct recent *r, const char *sid)
{
	return &r->logins[siphash(r->key, sid, strlen(sid)) % RECENT_LOGINS];
}

void
recent_login_failed(struct recent *r, const char *sid, const char *name,
    const char *why)
{
	struct recent_login *l = recent_login_of(r, sid);

	(void)str_copy(l->sid, sizeof(l->sid), sid);
	(void)str_copy_n(l->name, sizeof(l->name), name,
	    strnlen(name, sizeof(l->name) - 1));
	str_mend_utf8(l->name);
	(void)str_copy(l->why, sizeof(l->why), why);
}

static void
recent_add_login(struct recent *r, struct recent_record *rec)
{
	struct recent_login *l = recent_login_of(r, rec->sid);

	if (strcmp(l->sid, rec->sid) != 0)
		return;
	memcpy(rec->reason, l->why, sizeof(rec->reason));
	if (rec->kind == 0 && l->name[0] != '\0')
		memcpy(rec->login, l->name, sizeof(rec->login));
	if (!(rec->flags & AUTHP_PAST_PART))
		l->sid[0] = '\0';
}

/* ------------------------------------------------------------------ EVENT -- */

/* Takes a text of the packet. */
static int
recent_take(struct msg_in *m, char *dst, size_t size)
{
	const char *s;

	if (msg_get_str(m, &s, size - 1) != 0)
		return ERR_FORMAT;
	if (!str_is_utf8(s, strlen(s)))
		m->error = ERR_FORMAT;
	return str_copy(dst, size, s);
}

static void
recent_take_all(struct msg_in *m, struct recent_record *rec,
    char peer[ADDR_STRLEN])
{
	uint64_t began_s;
	const void *sent;
	size_t len;

	recent_take(m, rec->sid, sizeof(rec->sid));
	msg_get_u8(m, &rec->service);
	recent_take(m, peer, ADDR_STRLEN);
	msg_get_u16(m, &rec->port);
	recent_take(m, rec->tls, sizeof(rec->tls));
	recent_take(m, rec->user, sizeof(rec->user));
	recent_take(m, rec->login, sizeof(rec->login));
	msg_get_u8(m, &rec->kind);
	recent_take(m, rec->sender, sizeof(rec->sender));
	recent_take(m, rec->helo, sizeof(rec->helo));
	msg_get_u64(m, &began_s);
	msg_get_u32(m, &rec->ms);
	msg_get_u32(m, &rec->messages);
	msg_get_u32(m, &rec->flags);
	msg_get_u16(m, &rec->code);
	recent_take(m, rec->status, sizeof(rec->status));
	recent_take(m, rec->text, sizeof(rec->text));
	recent_take(m, rec->why, sizeof(rec->why));
	if (msg_get_blob(m, &sent, &len, RECENT_SENT_MAX) == 0 && len > 0)
		memcpy(rec->sent, sent, len);
	rec->sent_len = (uint16_t)len;
	rec->began_s = (int64_t)(began_s & INT64_MAX);
}

/* Each message in it is told of as it should be. */
static bool
recent_sent_is_right(const struct recent_record *rec)
{
	struct recent_message msg;
	size_t at = 0;

	while (recent_next_message(rec, &at, &msg))
		if (!str_is_id(msg.qid) ||
		    !str_is_utf8(msg.sender, strlen(msg.sender)))
			return false;
	return at == rec->sent_len;
}

static int
recent_take_event(struct peer *p, struct msg_in *m)
{
	struct recent *r = p->core->recent;
	struct recent_record rec = { .n = 1, .at_s = clock_now_s() };
	struct addr a = { .port = 0 };
	char peer[ADDR_STRLEN];

	recent_take_all(m, &rec, peer);
	if (m->error != 0 || !str_is_id(rec.sid) ||
	    rec.service != (p->role == ROLE_POP ? AUTHP_POP : AUTHP_SMTP) ||
	    addr_parse_peer(peer, &a) != 0 ||
	    rec.kind >= AUTHP_KIND__COUNT || !ops_is_tls_text(rec.tls) ||
	    (rec.flags & ~(uint32_t)AUTHP_PAST__ALL) != 0 ||
	    !recent_sent_is_right(&rec))
		return ERR_FORMAT;
	if (r->stopping)
		return 0;
	memcpy(rec.ip, a.ip, sizeof(rec.ip));
	rec.bits = addr_is_none(&a) ? 0 : 128;
	recent_add_login(r, &rec);
	recent_note_path(r, &rec, &a);
	usage_event(p->core, &rec);
	if (rec.kind != 0 && rec.kind != AUTHP_KIND_RECEIVE)
		recent_keep_owner(r, &rec);
	else if (rec.kind != 0 || rate_take(r->rate, &a, rec.login[0] != '\0' ||
	    rec.sender[0] != '\0', rec.at_s))
		recent_keep_other(r, &rec);
	return 0;
}

int
recent_op_event(struct peer *p, struct msg_in *m, int fd)
{
	int r;

	(void)fd;
	do
		r = recent_take_event(p, m);
	while (r == 0 && m->left > 0);
	if (!p->core->recent->stopping)
		recent_arm(p->core->recent, RECENT_WRITE_MS);
	return r;
}

/* ------------------------------------------------------------------- life -- */

static void
recent_swept(void *ctx)
{
	struct recent *r = ctx;

	r->sweeps = false;
}

void
recent_tick(struct recent *r)
{
	rate_tick(r->rate, clock_now_s());
	recent_arm(r, RECENT_WRITE_MS);
	if (!r->sweeps && pool_submit(r->pool, recent_job_sweep, recent_swept,
	    r) == 0)
		r->sweeps = true;
}

void
recent_set_conf(struct recent *r, const struct conf *conf)
{
	atomic_store(&r->keep_s, conf->recent_keep_s);
	recentdb_set_max(r->db, conf->recent_max);
}

struct recentdb *
recent_db(struct recent *r)
{
	return r->db;
}

struct pool *
recent_pool(struct recent *r)
{
	return r->pool;
}

bool
recent_next_path(struct recent *r, unsigned int *pos, struct path *ret)
{
	bool found;

	pthread_mutex_lock(&r->lock);
	found = paths_next(r->paths, pos, clock_now_s(), ret);
	pthread_mutex_unlock(&r->lock);
	return found;
}

int
recent_open(struct core *core, struct recent **ret, struct err *reterr)
{
	struct recent *r = calloc(1, sizeof(*r));
	int e;

	if (r == NULL)
		return err_set(reterr, ERR_NOMEM, "no memory");
	r->core = core;
	r->began_s = clock_now_s();
	pthread_mutex_init(&r->lock, NULL);
	TAILQ_INIT(&r->unsorted);
	if ((e = recentdb_open(core->dbenv, &r->db, reterr)) != 0) {
		recent_free(r);
		return e;
	}
	r->rate = rate_new(recent_left, r);
	r->paths = paths_new();
	r->pool = pool_new(core->loop, 1, RECENT_QUEUE_MAX);
	if (r->rate == NULL || r->paths == NULL || r->pool == NULL ||
	    RAND_bytes(r->key, sizeof(r->key)) != 1 ||
	    timer_init(&r->write, core->loop, recent_write, r) != 0 ||
	    pool_submit(r->pool, recent_job_paths, recent_job_done, r) != 0) {
		recent_free(r);
		return err_set(reterr, ERR_NOMEM, "no memory");
	}
	recent_set_conf(r, core->conf);
	*ret = r;
	return 0;
}

void
recent_stop(struct recent *r)
{
	r->stopping = true;
	timer_free(&r->write);
	pool_free(r->pool);
	r->pool = NULL;
	rate_free(r->rate);	/* what it left out is told */
	r->rate = NULL;
	recent_job_write(r);
}

void
recent_free(struct recent *r)
{
	if (r == NULL)
		return;
	if (r->pool != NULL)
		pool_free(r->pool);
	paths_free(r->paths);
	if (r->rate != NULL)
		rate_free(r->rate);
	recentdb_close(r->db);
	pthread_mutex_destroy(&r->lock);
	free(r);
}
