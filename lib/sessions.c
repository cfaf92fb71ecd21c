/*
 * sessions.c - the table of all sessions of a service. See sessions.h. Runs in
 * the parents submitd and popd, and in their workers.
 */
#include "lib/sessions_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/clock.h"

#define SESSIONS_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

/* Bits of limits, in the order of enum sessions_list. */
static const struct {
	const char	*name;
	size_t		 offset;
} sessions_limits[] = {
	{ "sessions_per_address", offsetof(struct conf, sessions_per_address) },
	{ "sessions_per_network", offsetof(struct conf, sessions_per_network) },
	{ "sessions_per_user", offsetof(struct conf, sessions_per_user) },
};

static size_t
sessions_limit_row(unsigned int limit)
{
	return limit & SESSIONS_PER_ADDRESS ? LIST_ADDRESS :
	    limit & SESSIONS_PER_NETWORK ? LIST_NETWORK : LIST_USER;
}

const char *
sessions_limit_name(unsigned int limit)
{
	return sessions_limits[sessions_limit_row(limit)].name;
}

uint64_t
sessions_limit_of(const struct conf *conf, unsigned int limit)
{
	return *(const uint64_t *)((const char *)conf +
	    sessions_limits[sessions_limit_row(limit)].offset);
}

/* ---------------------------------------------------------------- making -- */

/* Of the head, on which the rest is aligned. */
static size_t
sessions_head_octets(void)
{
	return (sizeof(struct sessions_head) + 63) & ~(size_t)63;
}

/* A stranger is in two groups, and each has an index 0 that is nobody. */
static size_t
sessions_octets(size_t n)
{
	return sessions_head_octets() +
	    (n + 1) * sizeof(struct sessions_slot) +
	    (2 * n + 1) * sizeof(struct sessions_group) +
	    2 * n * sizeof(uint32_t);
}

static int
sessions_make_table(uint32_t capacity, int *ret_fd)
{
	uint8_t key[SIPHASH_KEY];
	int fd = memfd_create("sessions", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return ERR_SYSTEM;
	if (getrandom(key, sizeof(key), 0) != sizeof(key) ||
	    ftruncate(fd, (off_t)sessions_octets(capacity)) < 0 ||
	    pwrite(fd, key, sizeof(key),
	    offsetof(struct sessions_head, key)) != sizeof(key) ||
	    fcntl(fd, F_ADD_SEALS, SESSIONS_SEALS) < 0) {
		close(fd);
		return ERR_SYSTEM;
	}
	*ret_fd = fd;
	return 0;
}

int
sessions_make(struct sessions_fds *fds, unsigned int n_workers,
    uint32_t capacity, struct err *reterr)
{
	if (n_workers > SESSIONS_WORKERS_MAX)
		n_workers = SESSIONS_WORKERS_MAX;
	fds->n_workers = n_workers;
	fds->worker = n_workers;	/* no worker: the parent */
	if (sessions_make_table(capacity == 0 ? 1 : capacity, &fds->table) != 0)
		return err_sys(reterr, "table of sessions");
	for (unsigned int i = 0; i < n_workers; i++) {
		fds->wake[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		if (fds->wake[i] < 0)
			return err_sys(reterr, "table of sessions");
	}
	return 0;
}

static int
sessions_map(struct sessions *t, int fd)
{
	struct stat st;
	size_t n, each = sizeof(struct sessions_slot) +
	    2 * sizeof(struct sessions_group) + 2 * sizeof(uint32_t);
	uint8_t *p;

	if (fd < 0 || fstat(fd, &st) < 0 ||
	    (size_t)st.st_size < sessions_octets(1))
		return ERR_FORMAT;
	n = ((size_t)st.st_size - sessions_octets(0)) / each;
	if (n > UINT32_MAX / 4 || sessions_octets(n) != (size_t)st.st_size)
		return ERR_FORMAT;
	p = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED,
	    fd, 0);
	if (p == MAP_FAILED)
		return ERR_SYSTEM;
	t->octets = (size_t)st.st_size;
	t->n_slots = (uint32_t)n;
	t->n_groups = t->n_buckets = 2 * t->n_slots;
	t->head = (struct sessions_head *)p;
	t->slots = (struct sessions_slot *)(p + sessions_head_octets());
	t->groups = (struct sessions_group *)(t->slots + n + 1);
	t->buckets = (uint32_t *)(t->groups + 2 * n + 1);
	memcpy(t->key, t->head->key, sizeof(t->key));
	return 0;
}

int
sessions_open(const struct sessions_fds *fds, struct sessions **ret)
{
	struct sessions *t = calloc(1, sizeof(*t));
	int r;

	if (t == NULL)
		return ERR_NOMEM;
	if ((r = sessions_map(t, fds->table)) != 0) {
		free(t);
		return r;
	}
	t->worker = fds->worker;
	t->strays = true;
	t->n_workers = fds->n_workers < SESSIONS_WORKERS_MAX ?
	    fds->n_workers : SESSIONS_WORKERS_MAX;
	memcpy(t->wake, fds->wake, sizeof(t->wake));
	t->owners = calloc(t->n_slots + 1, sizeof(*t->owners));
	if (t->owners == NULL) {
		munmap(t->head, t->octets);
		free(t);
		return ERR_NOMEM;
	}
	*ret = t;
	return 0;
}

/* ---------------------------------------------------------------- counts -- */

static void
sessions_add(uint64_t *count, int64_t n)
{
	__atomic_fetch_add(count, (uint64_t)n, __ATOMIC_RELAXED);
}

void
sessions_count(const struct sessions *t, struct sessions_counts *ret)
{
	const struct sessions_counts *c = &t->head->counts;

	ret->open = __atomic_load_n(&c->open, __ATOMIC_RELAXED);
	ret->strangers = __atomic_load_n(&c->strangers, __ATOMIC_RELAXED);
	ret->ended[0] = __atomic_load_n(&c->ended[0], __ATOMIC_RELAXED);
	ret->ended[1] = __atomic_load_n(&c->ended[1], __ATOMIC_RELAXED);
	ret->refused = __atomic_load_n(&c->refused, __ATOMIC_RELAXED);
	ret->uncounted = __atomic_load_n(&c->uncounted, __ATOMIC_RELAXED);
}

void
sessions_clear(struct sessions *t, unsigned int worker)
{
	if (t == NULL || !sessions_lock_from(t, worker))
		return;
	sessions_rebuild(t, worker);
	sessions_unlock(t);
}

/* ---------------------------------------------------------------- ending -- */

/* One of the group makes room. Returns whose worker is to be woken, or -1. */
static int
sessions_ask_one(struct sessions *t, enum sessions_list kind,
    const struct sessions_slot *newcomer)
{
	uint32_t i = sessions_group_silent(t, kind, newcomer);
	struct sessions_slot *s = sessions_slot(t, i);
	uint16_t worker;

	if (s == NULL)
		return -1;
	sessions_unlink(t, i);
	s->limit = 1u << kind;
	s->state = SLOT_ASKED;
	sessions_link(t, i);
	sessions_add(&t->head->counts.ended[kind], 1);
	worker = __atomic_load_n(&s->worker, __ATOMIC_RELAXED);
	return worker < t->n_workers ? worker : -1;
}

static void
sessions_wake(struct sessions *t, int worker)
{
	uint64_t one = 1;

	if (worker >= 0)
		(void)!write(t->wake[worker], &one, sizeof(one));
}

/* -------------------------------------------------------------- sessions -- */

static unsigned int
sessions_place(struct sessions *t, uint32_t i, const struct conf *conf,
    int wake[2])
{
	struct sessions_slot *s = sessions_slot(t, i);
	unsigned int over = 0;

	for (enum sessions_list kind = LIST_ADDRESS;
	    kind <= LIST_NETWORK && !s->placeless; kind++) {
		if (sessions_group_size(t, kind, s) <
		    sessions_limit_of(conf, 1u << kind))
			continue;
		over |= 1u << kind;
		if (conf->sessions_policy == SHADOW_ENFORCE)
			wake[kind] = sessions_ask_one(t, kind, s);
	}
	s->state = SLOT_STRANGER;
	sessions_link(t, i);
	sessions_add(&t->head->counts.open, 1);
	sessions_add(&t->head->counts.strangers, 1);
	return over;
}

/* With the lock held. */
static void
sessions_free_slot(struct sessions *t, uint32_t i)
{
	struct sessions_slot *s = sessions_slot(t, i);

	sessions_unlink(t, i);
	if (s->state != SLOT_KNOWN)
		sessions_add(&t->head->counts.strangers, -1);
	sessions_give_slot(t, i);
	sessions_add(&t->head->counts.open, -1);
}

/* What this worker left while it could not have the lock, or what one before it
 * had when the parent could not. With the lock held. */
static void
sessions_free_strays(struct sessions *t)
{
	uint32_t high = t->head->high;

	if (!t->strays)
		return;
	t->strays = false;
	for (uint32_t i = 1; i <= high && i <= t->n_slots; i++)
		if (t->slots[i].state != SLOT_FREE && t->owners[i] == NULL &&
		    t->slots[i].worker == t->worker)
			sessions_free_slot(t, i);
}

unsigned int
sessions_enter(struct sessions *t, struct sessions_entry *e, void *session,
    const struct addr *peer, const struct conf *conf)
{
	int wake[2] = { -1, -1 };
	struct sessions_slot *s;
	unsigned int over = 0;

	if (t == NULL || e->slot != 0)
		return 0;
	if (sessions_lock(t)) {
		sessions_free_strays(t);
		e->slot = sessions_take_slot(t);
		if ((s = sessions_slot(t, e->slot)) != NULL) {
			s->worker = (uint16_t)t->worker;
			s->placeless = peer == NULL;
			if (peer != NULL)
				memcpy(s->ip, peer->ip, sizeof(s->ip));
			/* Whoever has one IPv6 address has its /64. */
			if (peer != NULL && !addr_is_v4(peer))
				addr_mask(s->ip, 64);
			s->heard_ms = clock_mono_ms();
			t->owners[e->slot] = session;
			over = sessions_place(t, e->slot, conf, wake);
		}
		sessions_unlock(t);
	}
	if (e->slot == 0)
		sessions_add(&t->head->counts.uncounted, 1);
	sessions_wake(t, wake[0]);
	if (wake[1] != wake[0])
		sessions_wake(t, wake[1]);
	return over;
}

/* With the lock held. */
static bool
sessions_user_is_over(struct sessions *t, const struct sessions_slot *s,
    uint64_t user, const struct conf *conf)
{
	struct sessions_slot asked = { .user = user };

	return user != 0 && (s->state != SLOT_KNOWN || s->user != user) &&
	    sessions_group_size(t, LIST_USER, &asked) >=
	    conf->sessions_per_user;
}

static void
sessions_become(struct sessions *t, struct sessions_entry *e,
    struct sessions_slot *s, uint64_t user)
{
	sessions_unlink(t, e->slot);
	if (s->state != SLOT_KNOWN)
		sessions_add(&t->head->counts.strangers, -1);
	s->state = SLOT_KNOWN;
	s->user = user;
	sessions_link(t, e->slot);
	e->authorised = true;
	e->user = user;
}

unsigned int
sessions_authorise(struct sessions *t, struct sessions_entry *e,
    const char *user, const struct conf *conf, bool *ret_refused)
{
	struct sessions_slot *s = t == NULL ? NULL :
	    sessions_slot(t, e->slot);
	uint64_t hash = 0;
	bool over;

	*ret_refused = false;
	if (s == NULL)
		return 0;
	if (user != NULL && *user != '\0')
		hash = siphash(t->key, user, strlen(user)) | 1;
	if (e->authorised && e->user == hash)
		return 0;
	if (!sessions_lock(t))
		return 0;
	over = sessions_user_is_over(t, s, hash, conf);
	*ret_refused = over && conf->sessions_policy == SHADOW_ENFORCE;
	if (*ret_refused)
		sessions_add(&t->head->counts.refused, 1);
	else
		sessions_become(t, e, s, hash);
	sessions_unlock(t);
	return over ? SESSIONS_PER_USER : 0;
}

void
sessions_heard(struct sessions *t, const struct sessions_entry *e,
    int64_t when_ms)
{
	struct sessions_slot *s = t == NULL || e->authorised ? NULL :
	    sessions_slot(t, e->slot);

	if (s != NULL)
		__atomic_store_n(&s->heard_ms, when_ms, __ATOMIC_RELAXED);
}

void
sessions_leave(struct sessions *t, struct sessions_entry *e)
{
	if (t == NULL || sessions_slot(t, e->slot) == NULL)
		return;
	t->owners[e->slot] = NULL;
	/* Without the lock its place stays taken until it is free again. */
	if (sessions_lock(t)) {
		sessions_free_slot(t, e->slot);
		sessions_free_strays(t);
		sessions_unlock(t);
	} else {
		t->strays = true;
	}
	*e = (struct sessions_entry){ 0 };
}
