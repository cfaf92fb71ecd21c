/*
 * placesdb.c - notes that wait in memory, and look-ups. Runs in authd-core, on
 * the loop and its threads; nothing here writes to the database
 * (placesdb_write.c does), and nothing here may keep a caller waiting.
 */
#include "config.h"

#include "db/placesdb.h"

#include <stdlib.h>
#include <string.h>

#include "db/placesdb_private.h"

void
placesdb_close(struct placesdb *p)
{
	if (p == NULL)
		return;
	waiting_free(p->waiting);
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

	if (p == NULL || (p->waiting = waiting_new(PLACESDB_WAITING_MAX,
	    sizeof(struct placesdb_note))) == NULL) {
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

static size_t
placesdb_wait_key(enum placesdb_kind kind, const uint8_t *key, size_t len,
    uint8_t dst[1 + PLACESDB_KEY_MAX])
{
	dst[0] = (uint8_t)kind;
	memcpy(dst + 1, key, len);
	return 1 + len;
}

struct placesdb_note *
placesdb_note_of(struct waiting_note *n)
{
	return n == NULL ? NULL : (struct placesdb_note *)n->data;
}

struct waiting_note *
placesdb_find(const struct placesdb *p, enum placesdb_kind kind,
    const uint8_t *key, size_t len)
{
	uint8_t k[1 + PLACESDB_KEY_MAX];

	return waiting_find(p->waiting, k, placesdb_wait_key(kind, key, len,
	    k));
}

static void
placesdb_put(struct placesdb *p, enum placesdb_kind kind, const uint8_t *key,
    size_t len, const struct placesdb_login *login)
{
	uint8_t k[1 + PLACESDB_KEY_MAX];
	struct placesdb_note *n = placesdb_note_of(waiting_put(p->waiting, k,
	    placesdb_wait_key(kind, key, len, k)));

	if (n != NULL)		/* no memory: a note less */
		*n = (struct placesdb_note){ .kind = kind, .login = *login };
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
	n = placesdb_note_of(placesdb_find(p, PLACESDB_LOGIN, key, len));
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

/* The place, as the database or what waits has it. */
static bool
placesdb_place_get(struct placesdb *p, const char *user, const struct addr *a,
    struct placesdb_place *ret)
{
	uint8_t key[PLACESDB_KEY_MAX], v[PLACESDB_PLACE_SIZE];
	struct dbenv_item it = { .p = v, .size = sizeof(v) };
	size_t len = placesdb_place_key(user, a, key);
	struct placesdb_note *n;

	pthread_mutex_lock(&p->lock);
	n = placesdb_note_of(placesdb_find(p, PLACESDB_PLACE, key, len));
	if (n != NULL)
		*ret = placesdb_place_of(&n->login);
	pthread_mutex_unlock(&p->lock);
	return n != NULL || (dbenv_get(p->places, NULL, key, len, &it, 0) ==
	    0 && placesdb_place_decode(v, it.len, ret) == 0);
}

static bool
placesdb_is_kept(const struct placesdb_place *place, int64_t since_s,
    int64_t now_s)
{
	return place->last_s >= since_s &&
	    place->last_s > now_s - PLACESDB_KEEP_S;
}

bool
placesdb_is_known(struct placesdb *p, const char *user, const struct addr *a,
    int64_t since_s, int64_t now_s)
{
	struct placesdb_place place;

	return placesdb_place_get(p, user, a, &place) &&
	    placesdb_is_kept(&place, since_s, now_s);
}

bool
placesdb_was_there(struct placesdb *p, const char *user, const struct addr *a,
    int64_t since_s, int64_t now_s)
{
	struct placesdb_place place;

	return placesdb_place_get(p, user, a, &place) && place.first_s != 0 &&
	    placesdb_is_kept(&place, since_s, now_s);
}
