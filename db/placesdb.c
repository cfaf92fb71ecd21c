/*
 * placesdb.c - notes that wait in memory, and look-ups. Runs in authd-core, on
 * the loop and its threads; nothing here writes to the database
 * (placesdb_write.c does), and nothing here may keep a caller waiting.
 */
#include "config.h"

#include "db/placesdb.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/rand.h>

#include "db/placesdb_private.h"

void
placesdb_close(struct placesdb *p)
{
	if (p == NULL)
		return;
	while (p->oldest != NULL)
		placesdb_drop(p, p->oldest);
	if (p->logins != NULL)
		(void)p->logins->close(p->logins, 0);
	if (p->places != NULL)
		(void)p->places->close(p->places, 0);
	if (p->guess != NULL)
		(void)p->guess->close(p->guess, 0);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

int
placesdb_open(struct dbenv *env, struct placesdb **ret, struct err *reterr)
{
	struct placesdb *p = calloc(1, sizeof(*p));
	int r;

	if (p == NULL || RAND_bytes(p->key, sizeof(p->key)) != 1) {
		free(p);
		return err_set(reterr, ERR_NOMEM, "no memory");
	}
	p->env = env;
	pthread_mutex_init(&p->lock, NULL);
	if ((r = dbenv_open_db(env, "logins.db", &p->logins, reterr)) != 0 ||
	    (r = dbenv_open_db(env, "places.db", &p->places, reterr)) != 0 ||
	    (r = dbenv_open_db(env, "guess.db", &p->guess, reterr)) != 0) {
		placesdb_close(p);
		return r;
	}
	*ret = p;
	return 0;
}

/* Keys. A user has no NUL in him, so one user's keys stand together. */

size_t
placesdb_login_key(const char *user, const char *label,
    uint8_t dst[PLACESDB_KEY_MAX])
{
	size_t len = strnlen(user, MAILBOX_SIZE - 1);
	size_t more = strnlen(label, PLACESDB_LABEL_SIZE - 1);

	memcpy(dst, user, len);
	if (more > 0) {
		dst[len++] = '\0';
		memcpy(dst + len, label, more);
	}
	return len + more;
}

size_t
placesdb_place_key(const char *user, const struct addr *a,
    uint8_t dst[PLACESDB_KEY_MAX])
{
	size_t len = strnlen(user, MAILBOX_SIZE - 1);

	memcpy(dst, user, len);
	dst[len++] = '\0';
	memcpy(dst + len, a->ip, sizeof(a->ip));
	if (!addr_is_v4(a))
		addr_mask(dst + len, 64);
	return len + sizeof(a->ip);
}

/* What waits */

static struct placesdb_note **
placesdb_bucket(struct placesdb *p, const uint8_t *key, size_t len)
{
	return &p->bucket[siphash(p->key, key, len) % PLACESDB_BUCKETS];
}

struct placesdb_note *
placesdb_find(struct placesdb *p, enum placesdb_kind kind,
    const uint8_t *key, size_t len)
{
	struct placesdb_note *n = *placesdb_bucket(p, key, len);

	while (n != NULL && (n->kind != kind || n->len != len ||
	    memcmp(n->key, key, len) != 0))
		n = n->same;
	return n;
}

static void
placesdb_unlink(struct placesdb *p, struct placesdb_note *n)
{
	*(n->prev != NULL ? &n->prev->next : &p->oldest) = n->next;
	*(n->next != NULL ? &n->next->prev : &p->youngest) = n->prev;
}

static void
placesdb_link(struct placesdb *p, struct placesdb_note *n)
{
	n->next = NULL;
	n->prev = p->youngest;
	*(n->prev != NULL ? &n->prev->next : &p->oldest) = n;
	p->youngest = n;
}

void
placesdb_drop(struct placesdb *p, struct placesdb_note *n)
{
	struct placesdb_note **at = placesdb_bucket(p, n->key, n->len);

	while (*at != n)
		at = &(*at)->same;
	*at = n->same;
	placesdb_unlink(p, n);
	p->n--;
	free(n);
}

static struct placesdb_note *
placesdb_add(struct placesdb *p, enum placesdb_kind kind, const uint8_t *key,
    size_t len)
{
	struct placesdb_note **at, *n;

	if (p->n >= PLACESDB_WAITING_MAX)
		placesdb_drop(p, p->oldest);
	if ((n = calloc(1, sizeof(*n))) == NULL)
		return NULL;
	at = placesdb_bucket(p, key, len);
	n->kind = kind;
	memcpy(n->key, key, len);
	n->len = len;
	n->same = *at;
	*at = n;
	placesdb_link(p, n);
	p->n++;
	return n;
}

static void
placesdb_put(struct placesdb *p, enum placesdb_kind kind, const uint8_t *key,
    size_t len, const struct placesdb_login *login)
{
	struct placesdb_note *n = placesdb_find(p, kind, key, len);

	if (n == NULL && (n = placesdb_add(p, kind, key, len)) == NULL)
		return;		/* no memory: a note less */
	placesdb_unlink(p, n);
	placesdb_link(p, n);
	n->login = *login;
	n->serial = ++p->serial;
}

void
placesdb_note(struct placesdb *p, const char *user, const char *label,
    const struct placesdb_login *login)
{
	uint8_t key[PLACESDB_KEY_MAX];
	struct addr a = { 0 };

	memcpy(a.ip, login->ip, sizeof(a.ip));
	pthread_mutex_lock(&p->lock);
	placesdb_put(p, PLACESDB_LOGIN, key,
	    placesdb_login_key(user, "", key), login);
	if (label[0] != '\0')
		placesdb_put(p, PLACESDB_LOGIN, key,
		    placesdb_login_key(user, label, key), login);
	placesdb_put(p, PLACESDB_PLACE, key,
	    placesdb_place_key(user, &a, key), login);
	pthread_mutex_unlock(&p->lock);
}

/* Look-ups */

int
placesdb_login_get(struct placesdb *p, const char *user, const char *label,
    struct placesdb_login *ret, struct err *reterr)
{
	uint8_t key[PLACESDB_KEY_MAX], v[PLACESDB_RECORD_MAX];
	struct dbenv_item it = { .p = v, .size = sizeof(v) };
	size_t len = placesdb_login_key(user, label, key);
	struct placesdb_note *n;
	int r;

	pthread_mutex_lock(&p->lock);
	n = placesdb_find(p, PLACESDB_LOGIN, key, len);
	if (n != NULL)
		*ret = n->login;
	pthread_mutex_unlock(&p->lock);
	if (n != NULL)
		return 0;
	r = dbenv_get(p->logins, NULL, key, len, &it, 0);
	if (r == 0)
		r = placesdb_login_decode(v, it.len, ret);
	return dbenv_result(p->env, r, "last login", reterr);
}

bool
placesdb_is_known(struct placesdb *p, const char *user, const struct addr *a,
    int64_t since_s, int64_t now_s)
{
	uint8_t key[PLACESDB_KEY_MAX], v[PLACESDB_PLACE_SIZE];
	struct dbenv_item it = { .p = v, .size = sizeof(v) };
	size_t len = placesdb_place_key(user, a, key);
	struct placesdb_place place;
	struct placesdb_note *n;
	int64_t last_s = INT64_MIN;

	pthread_mutex_lock(&p->lock);
	n = placesdb_find(p, PLACESDB_PLACE, key, len);
	if (n != NULL)
		last_s = n->login.at_s;
	pthread_mutex_unlock(&p->lock);
	if (n == NULL && dbenv_get(p->places, NULL, key, len, &it, 0) == 0 &&
	    placesdb_place_decode(v, it.len, &place) == 0)
		last_s = place.last_s;
	return last_s >= since_s && last_s > now_s - PLACESDB_KEEP_S;
}
