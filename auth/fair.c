/*
 * fair.c - the bounded, fair queue in front of the pool that checks passwords.
 *
 * Runs in authd-core, on the loop only. A network has two queues, of known
 * pairs and of others, and stands in up to three sets of lists:
 *
 *	ready[KNOWN], ready[OTHER]	it may start a check: by failures
 *	shed				something of OTHER waits: by who is shed
 *
 * A set has 64 lists and a word with a bit for each that is not empty, so that
 * the best and the worst network are found at once. It must never walk over
 * what waits.
 */
#include "auth/fair.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/rand.h>

#include "lib/siphash.h"

#define FAIR_LEVELS	64u
#define FAIR_BUCKETS	8192u		/* a power of two */

enum fair_class { FAIR_KNOWN, FAIR_OTHER, FAIR_CLASS__COUNT };
enum { FAIR_SHEDS = FAIR_CLASS__COUNT, FAIR_SET__COUNT };

struct fair_queue {
	struct fair_job	*first, *last;
	unsigned int	 n;
};

struct fair_link {			/* of a network in a set */
	struct fair_net	*next, *prev;
	unsigned int	 level;
	bool		 in;
};

struct fair_net {
	uint8_t			 ip[16];	/* masked */
	struct fair_net		*same;		/* bucket, or free list */
	struct fair_queue	 q[FAIR_CLASS__COUNT];
	struct fair_link	 link[FAIR_SET__COUNT];
	unsigned int		 failures;
	unsigned int		 running;
	bool			 exempt;
	bool			 held;		/* fair_submit() needs it */
};

struct fair_set {
	struct fair_net	*first[FAIR_LEVELS], *last[FAIR_LEVELS];
	uint64_t	 some;			/* lists that are not empty */
};

struct fair {
	struct pool		*pool;
	fair_submit_fn		*submit;
	int64_t			(*now_ms)(void);
	int64_t			 wait_ms;
	unsigned int		 threads, running;
	unsigned int		 waiting, waiting_other;
	unsigned int		 turn;
	struct fair_job		*oldest, *youngest;	/* all that wait */
	struct fair_set		 set[FAIR_SET__COUNT];
	uint8_t			 key[SIPHASH_KEY];
	struct fair_net		*bucket[FAIR_BUCKETS];
	struct fair_net		*free;
	struct fair_net		 nets[];	/* one for each that can be */
};

struct fair *
fair_new(struct pool *pool, unsigned int threads, fair_submit_fn *submit,
    int64_t (*now_ms)(void))
{
	size_t n = FAIR_PLACES + threads + 1;
	struct fair *f = calloc(1, sizeof(*f) + n * sizeof(f->nets[0]));

	if (f == NULL || RAND_bytes(f->key, sizeof(f->key)) != 1) {
		free(f);
		return NULL;
	}
	f->pool = pool;
	f->threads = threads;
	f->submit = submit;
	f->now_ms = now_ms;
	f->wait_ms = INT64_MAX;
	for (size_t i = 0; i < n; i++) {
		f->nets[i].same = f->free;
		f->free = &f->nets[i];
	}
	return f;
}

void
fair_free(struct fair *f)
{
	free(f);
}

void
fair_stop(struct fair *f)
{
	f->threads = 0;
}

void
fair_set_wait(struct fair *f, int64_t wait_ms)
{
	f->wait_ms = wait_ms;
}

unsigned int
fair_waiting(const struct fair *f)
{
	return f->waiting;
}

/* Sets of networks */

static void
fair_leave(struct fair *f, struct fair_net *n, unsigned int which)
{
	struct fair_set *s = &f->set[which];
	struct fair_link *l = &n->link[which];

	if (!l->in)
		return;
	if (l->prev != NULL)
		l->prev->link[which].next = l->next;
	else
		s->first[l->level] = l->next;
	if (l->next != NULL)
		l->next->link[which].prev = l->prev;
	else
		s->last[l->level] = l->prev;
	if (s->first[l->level] == NULL)
		s->some &= ~(UINT64_C(1) << l->level);
	*l = (struct fair_link){ 0 };
}

/* At the end of its list, so that networks take turns; where it stands rightly
 * it stays. */
static void
fair_enter(struct fair *f, struct fair_net *n, unsigned int which,
    unsigned int level)
{
	struct fair_set *s = &f->set[which];
	struct fair_link *l = &n->link[which];

	if (l->in && l->level == level)
		return;
	fair_leave(f, n, which);
	*l = (struct fair_link){ .prev = s->last[level], .level = level,
	    .in = true };
	if (l->prev != NULL)
		l->prev->link[which].next = n;
	else
		s->first[level] = n;
	s->last[level] = n;
	s->some |= UINT64_C(1) << level;
}

/* 0, 1, 2-3, 4-7, … and 64 and more. */
static unsigned int
fair_scale(unsigned int v)
{
	unsigned int bits = v == 0 ? 0 :
	    32 - (unsigned int)__builtin_clz(v);

	return bits > 7 ? 7 : bits;
}

/* Who is shed first: failures decide, then what waits. */
static unsigned int
fair_blame(const struct fair_net *n)
{
	return fair_scale(n->failures) * 8 + fair_scale(n->q[FAIR_OTHER].n / 8);
}

/* Puts the network into the sets where it belongs by now. */
static void
fair_place(struct fair *f, struct fair_net *n)
{
	unsigned int level = n->failures < FAIR_LEVELS ? n->failures :
	    FAIR_LEVELS - 1;
	bool may = n->exempt || n->running == 0;

	for (unsigned int c = 0; c < FAIR_CLASS__COUNT; c++)
		if (may && n->q[c].n > 0)
			fair_enter(f, n, c, c == FAIR_KNOWN ? 0 : level);
		else
			fair_leave(f, n, c);
	if (n->q[FAIR_OTHER].n > 0)
		fair_enter(f, n, FAIR_SHEDS, fair_blame(n));
	else
		fair_leave(f, n, FAIR_SHEDS);
}

/* Networks */

static struct fair_net **
fair_bucket(struct fair *f, const uint8_t ip[16])
{
	return &f->bucket[siphash(f->key, ip, 16) % FAIR_BUCKETS];
}

static struct fair_net *
fair_net_take(struct fair *f, const struct addr *a)
{
	struct fair_net *n, **head;
	uint8_t ip[16];

	memcpy(ip, a->ip, sizeof(ip));
	if (!addr_is_v4(a))
		addr_mask(ip, 64);
	head = fair_bucket(f, ip);
	for (n = *head; n != NULL; n = n->same)
		if (memcmp(n->ip, ip, sizeof(ip)) == 0)
			return n;
	/* There is one for each check that waits or runs. */
	n = f->free;
	f->free = n->same;
	*n = (struct fair_net){ .same = *head };
	memcpy(n->ip, ip, sizeof(ip));
	*head = n;
	return n;
}

static void
fair_net_drop(struct fair *f, struct fair_net *n)
{
	struct fair_net **at = fair_bucket(f, n->ip);

	if (n->held || n->running > 0 || n->q[FAIR_KNOWN].n > 0 ||
	    n->q[FAIR_OTHER].n > 0)
		return;
	while (*at != n)
		at = &(*at)->same;
	*at = n->same;
	n->same = f->free;
	f->free = n;
}

/* Checks that wait */

static void
fair_append(struct fair *f, struct fair_job *j)
{
	struct fair_queue *q = &j->net->q[j->known ? FAIR_KNOWN : FAIR_OTHER];

	j->next = NULL;
	j->prev = q->last;
	*(q->last != NULL ? &q->last->next : &q->first) = j;
	q->last = j;
	q->n++;
	j->younger = NULL;
	j->older = f->youngest;
	*(f->youngest != NULL ? &f->youngest->younger : &f->oldest) = j;
	f->youngest = j;
	f->waiting++;
	f->waiting_other += !j->known;
}

static void
fair_remove(struct fair *f, struct fair_job *j)
{
	struct fair_queue *q = &j->net->q[j->known ? FAIR_KNOWN : FAIR_OTHER];

	*(j->prev != NULL ? &j->prev->next : &q->first) = j->next;
	*(j->next != NULL ? &j->next->prev : &q->last) = j->prev;
	q->n--;
	*(j->older != NULL ? &j->older->younger : &f->oldest) = j->younger;
	*(j->younger != NULL ? &j->younger->older : &f->youngest) = j->older;
	f->waiting--;
	f->waiting_other -= !j->known;
	fair_place(f, j->net);
}

static void
fair_give_up(struct fair *f, struct fair_job *j, enum fair_end how)
{
	struct fair_net *n = j->net;

	fair_remove(f, j);
	fair_net_drop(f, n);
	j->end(j->ctx, how);
}

bool
fair_cancel(struct fair_job *j)
{
	struct fair_net *n = j->net;

	if (j->running)
		return false;
	fair_remove(j->fair, j);
	fair_net_drop(j->fair, n);
	return true;
}

void
fair_tick(struct fair *f)
{
	int64_t now = f->now_ms();

	while (f->oldest != NULL && now - f->oldest->since_ms > f->wait_ms)
		fair_give_up(f, f->oldest, FAIR_LATE);
}

/* Checks that run */

static struct fair_net *
fair_best(const struct fair *f, unsigned int which)
{
	const struct fair_set *s = &f->set[which];

	return s->some == 0 ? NULL : s->first[__builtin_ctzll(s->some)];
}

static struct fair_job *
fair_pick(struct fair *f)
{
	unsigned int first = f->turn % FAIR_TURN == FAIR_TURN - 1 ?
	    FAIR_OTHER : FAIR_KNOWN;
	struct fair_net *n = fair_best(f, first);
	unsigned int which = first;

	if (n == NULL) {
		which = FAIR_CLASS__COUNT - 1 - first;
		n = fair_best(f, which);
	}
	if (n == NULL)
		return NULL;
	f->turn++;
	/* Whoever had his turn stands behind the others. */
	fair_leave(f, n, which);
	return n->q[which].first;
}

static void fair_done(void *ctx);

/* The pool passes one context to both of its calls: the job. */
static void
fair_work(void *ctx)
{
	struct fair_job *j = ctx;

	j->work(j->ctx);
}

static void
fair_pump(struct fair *f)
{
	struct fair_job *j;

	fair_tick(f);
	while (f->running < f->threads && (j = fair_pick(f)) != NULL) {
		struct fair_net *n = j->net;

		if (j->start != NULL && !j->start(j->ctx)) {
			fair_give_up(f, j, FAIR_REFUSED);
			continue;
		}
		j->running = true;
		f->running++;
		n->running++;
		fair_remove(f, j);
		if (f->submit(f->pool, fair_work, fair_done, j) == 0)
			continue;
		f->running--;
		n->running--;
		fair_place(f, n);
		fair_net_drop(f, n);
		j->end(j->ctx, FAIR_AWAY);
	}
}

static void
fair_done(void *ctx)
{
	struct fair_job *j = ctx;
	struct fair *f = j->fair;
	struct fair_net *n = j->net;

	f->running--;
	n->running--;
	fair_place(f, n);
	fair_net_drop(f, n);
	fair_pump(f);		/* first: a thread waits */
	j->end(j->ctx, FAIR_CHECKED);
}

/* Room for one more. ERR_LIMIT: it is the one to go. */
static int
fair_make_room(struct fair *f, const struct fair_job *j)
{
	const struct fair_set *s = &f->set[FAIR_SHEDS];
	unsigned int level;

	if (j->known && j->net->q[FAIR_KNOWN].n >= FAIR_NET_KNOWN)
		return ERR_LIMIT;
	if (f->waiting < FAIR_PLACES &&
	    (j->known || f->waiting_other < FAIR_PLACES - FAIR_KEPT))
		return 0;
	if (s->some == 0)
		return ERR_LIMIT;
	level = FAIR_LEVELS - 1 - (unsigned int)__builtin_clzll(s->some);
	if (!j->known && fair_blame(j->net) >= level)
		return ERR_LIMIT;
	fair_give_up(f, s->first[level]->q[FAIR_OTHER].last, FAIR_SHED);
	return 0;
}

int
fair_submit(struct fair *f, struct fair_job *j)
{
	struct fair_net *n = fair_net_take(f, &j->addr);
	int r;

	j->fair = f;
	j->net = n;
	j->running = false;
	j->since_ms = f->now_ms();
	n->failures = j->failures;
	n->exempt = j->exempt;
	/* The one shed may be the last that waited there. */
	n->held = true;
	r = fair_make_room(f, j);
	n->held = false;
	if (r != 0) {
		fair_place(f, n);
		fair_net_drop(f, n);
		return ERR_LIMIT;
	}
	fair_append(f, j);
	fair_place(f, n);
	fair_pump(f);
	return 0;
}
