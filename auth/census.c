/*
 * census.c - counting the users by the cost of their passwords.
 *
 * Runs in authd-core: the walk on the upkeep thread, changes on the pool's,
 * picks anywhere. Holds no names and no keys. Numbers may be off by one for a
 * user who changes just when the walk passes; shares of 1/64 do not show it.
 */
#include "auth/census.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/fio.h"
#include "lib/str.h"

#define CENSUS_MAX	32u		/* classes; more are not counted */
#define CENSUS_SLOTS	64u
#define CENSUS_FILE	"census"
#define CENSUS_FILE_NEW	"census.new"
#define CENSUS_LINE	(HASH_CLASS_SIZE + 24)

struct census_entry {
	char		name[HASH_CLASS_SIZE];	/* "SCRAM/10000,16" or a hash's */
	uint64_t	n;
};

struct census_table {			/* sorted by name; n > 0 */
	struct census_entry	e[CENSUS_MAX];
	unsigned int		n;
};

struct census_shares {
	struct census_class	slot[CENSUS_SLOTS];
	unsigned int		n;	/* 0: nobody; else CENSUS_SLOTS */
};

struct census {
	pthread_mutex_t		lock;
	uint32_t		iterations;	/* of new keys */
	struct census_table	now;		/* what answers */
	struct census_table	next;		/* being counted */
	char			at[MAILBOX_SIZE];	/* the walk: last seen */
	bool			walking;
	bool			unsaved;
	struct census_shares	plain, scram;
};

/* Classes and their names */

static void
census_name(const struct census_class *k, char dst[HASH_CLASS_SIZE])
{
	if (k->hash[0] != '\0')
		str_copy(dst, HASH_CLASS_SIZE, k->hash);
	else
		str_format(dst, HASH_CLASS_SIZE, "SCRAM/%u,%u", k->iterations,
		    k->salt_len);
}

/* ERR_FORMAT: no name of a class (the file is damaged). */
static int
census_parse(const char *name, struct census_class *ret)
{
	const char *comma = strchr(name, ',');
	uint64_t iterations, salt_len;

	memset(ret, 0, sizeof(*ret));
	if (strncmp(name, "SCRAM/", 6) != 0) {
		if (!hash_class_is_valid(name))
			return ERR_FORMAT;
		return str_copy(ret->hash, sizeof(ret->hash), name);
	}
	if (comma == NULL || str_u64_n(name + 6, (size_t)(comma - name - 6),
	    RECORD_ITERATIONS_MIN, RECORD_ITERATIONS_MAX, &iterations) != 0 ||
	    str_u64(comma + 1, 1, RECORD_SALT_MAX, &salt_len) != 0)
		return ERR_FORMAT;
	ret->iterations = (uint32_t)iterations;
	ret->salt_len = (uint8_t)salt_len;
	return 0;
}

bool
census_class_of(const struct user_record *r, struct census_class *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (r->hash[0] != '\0')
		return hash_class(r->hash, ret->hash) == 0;
	for (unsigned int i = 0; i < r->n_credentials; i++) {
		const struct user_credential *c = &r->credentials[i];

		if (c->kind != CREDENTIAL_PASSWORD || c->keys == 0)
			continue;
		ret->iterations = c->iterations;
		ret->salt_len = r->salt_len;
		return r->salt_len > 0;
	}
	return false;
}

/* Counting; the lock is held */

static void
census_count(struct census_table *t, const char *name, uint64_t add, bool up)
{
	unsigned int i = 0;

	while (i < t->n && strcmp(t->e[i].name, name) < 0)
		i++;
	if (i == t->n || strcmp(t->e[i].name, name) != 0) {
		if (!up || t->n == CENSUS_MAX)
			return;
		memmove(&t->e[i + 1], &t->e[i], (t->n - i) * sizeof(t->e[0]));
		memset(&t->e[i], 0, sizeof(t->e[i]));
		str_copy(t->e[i].name, sizeof(t->e[i].name), name);
		t->n++;
	}
	t->e[i].n = up ? t->e[i].n + add : t->e[i].n - add;
	if (t->e[i].n > 0)
		return;
	t->n--;
	memmove(&t->e[i], &t->e[i + 1], (t->n - i) * sizeof(t->e[0]));
}

/* Every class has a slot, what is left goes by numbers (the largest remainder
 * would move slots to and fro; the running sum does not). */
static void
census_share(const struct census_table *t, bool only_keys,
    struct census_shares *ret)
{
	uint64_t sum = 0, seen = 0;
	unsigned int classes = 0, given = 0;

	for (unsigned int i = 0; i < t->n; i++)
		if (!only_keys || strncmp(t->e[i].name, "SCRAM/", 6) == 0) {
			sum += t->e[i].n;
			classes++;
		}
	ret->n = 0;
	for (unsigned int i = 0; i < t->n && sum > 0; i++) {
		struct census_class k;
		unsigned int upto;

		if ((only_keys && strncmp(t->e[i].name, "SCRAM/", 6) != 0) ||
		    census_parse(t->e[i].name, &k) != 0)
			continue;
		seen += t->e[i].n;
		given++;
		upto = given + (unsigned int)((double)seen / (double)sum *
		    (CENSUS_SLOTS - classes));
		while (ret->n < upto && ret->n < CENSUS_SLOTS)
			ret->slot[ret->n++] = k;
	}
	while (ret->n > 0 && ret->n < CENSUS_SLOTS) {	/* rounding */
		ret->slot[ret->n] = ret->slot[ret->n - 1];
		ret->n++;
	}
}

static void
census_publish(struct census *c)
{
	census_share(&c->now, false, &c->plain);
	census_share(&c->now, true, &c->scram);
	c->unsaved = true;
}

/* From outside */

struct census *
census_new(uint32_t iterations)
{
	struct census *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	pthread_mutex_init(&c->lock, NULL);
	c->iterations = iterations;
	return c;
}

void
census_free(struct census *c)
{
	if (c == NULL)
		return;
	pthread_mutex_destroy(&c->lock);
	free(c);
}

void
census_set_default(struct census *c, uint32_t iterations)
{
	pthread_mutex_lock(&c->lock);
	c->iterations = iterations;
	pthread_mutex_unlock(&c->lock);
}

void
census_changed(void *ctx, const char *user,
    const struct user_record *before, const struct user_record *after)
{
	struct census *c = ctx;
	struct census_class k;
	char was[HASH_CLASS_SIZE] = "", is[HASH_CLASS_SIZE] = "";
	bool seen;

	if (before != NULL && census_class_of(before, &k))
		census_name(&k, was);
	if (after != NULL && census_class_of(after, &k))
		census_name(&k, is);
	if (strcmp(was, is) == 0)
		return;
	pthread_mutex_lock(&c->lock);
	/* Whom the walk has not come to yet it will see as he is now. */
	seen = c->walking && strcmp(user, c->at) <= 0;
	if (was[0] != '\0') {
		census_count(&c->now, was, 1, false);
		if (seen)
			census_count(&c->next, was, 1, false);
	}
	if (is[0] != '\0') {
		census_count(&c->now, is, 1, true);
		if (seen)
			census_count(&c->next, is, 1, true);
	}
	census_publish(c);
	pthread_mutex_unlock(&c->lock);
}

int
census_walk(struct census *c, struct userdb *db, unsigned int budget,
    struct err *reterr)
{
	char at[MAILBOX_SIZE], name[HASH_CLASS_SIZE];
	struct user_record rec;
	struct census_class k;
	int r = 0;

	if (!c->walking) {
		memset(&c->next, 0, sizeof(c->next));
		c->at[0] = '\0';
	}
	str_copy(at, sizeof(at), c->at);
	for (unsigned int i = 0; i < budget && r == 0; i++) {
		r = userdb_next(db, at, &rec, reterr);
		pthread_mutex_lock(&c->lock);
		c->walking = r == 0;
		if (r == 0) {
			str_copy(c->at, sizeof(c->at), at);
			if (census_class_of(&rec, &k)) {
				census_name(&k, name);
				census_count(&c->next, name, 1, true);
			}
		} else if (r == ERR_CORRUPT) {	/* is no reason to stop */
			str_copy(c->at, sizeof(c->at), at);
			c->walking = true;
			r = 0;
		} else if (r == ERR_NOTFOUND) {
			c->now = c->next;
			census_publish(c);
		}
		pthread_mutex_unlock(&c->lock);
	}
	record_user_clear(&rec);
	return r;
}

void
census_pick(struct census *c, const uint8_t draw[2],
    struct census_class *ret_plain, struct census_class *ret_scram)
{
	struct census_class none = { .salt_len = RECORD_SALT };

	pthread_mutex_lock(&c->lock);
	none.iterations = c->iterations;
	*ret_plain = c->plain.n == 0 ? none : c->plain.slot[draw[0] %
	    CENSUS_SLOTS];
	if (ret_plain->hash[0] == '\0')
		*ret_scram = *ret_plain;
	else
		*ret_scram = c->scram.n == 0 ? none : c->scram.slot[draw[1] %
		    CENSUS_SLOTS];
	pthread_mutex_unlock(&c->lock);
}

/* The file: a line "NUMBER NAME" for each class. */

static void
census_load_line(struct census *c, const char *line)
{
	const char *space = strchr(line, ' ');
	struct census_class k;
	uint64_t n;

	if (space != NULL && str_u64_n(line, (size_t)(space - line), 1,
	    UINT32_MAX, &n) == 0 && census_parse(space + 1, &k) == 0)
		census_count(&c->now, space + 1, n, true);
}

void
census_load(struct census *c)
{
	char *text, *line, *next;
	size_t len;

	if (fio_read_file(AT_FDCWD, CENSUS_FILE, CENSUS_MAX * CENSUS_LINE,
	    &text, &len, NULL) != 0)
		return;			/* none yet, or not worth a word */
	pthread_mutex_lock(&c->lock);
	for (line = text; (next = strchr(line, '\n')) != NULL;
	    line = next + 1) {
		*next = '\0';
		census_load_line(c, line);
	}
	census_publish(c);
	c->unsaved = false;
	pthread_mutex_unlock(&c->lock);
	free(text);
}

int
census_save(struct census *c, struct err *reterr)
{
	char text[CENSUS_MAX * CENSUS_LINE];
	size_t len = 0;
	bool due;
	int fd, r, rc;

	pthread_mutex_lock(&c->lock);
	due = c->unsaved && !c->walking;
	for (unsigned int i = 0; i < c->now.n; i++) {
		str_format(text + len, sizeof(text) - len, "%llu %s\n",
		    (unsigned long long)c->now.e[i].n, c->now.e[i].name);
		len += strlen(text + len);
	}
	if (due)
		c->unsaved = false;
	pthread_mutex_unlock(&c->lock);
	if (!due)
		return 0;
	fd = fio_openat(AT_FDCWD, CENSUS_FILE_NEW,
	    O_WRONLY | O_CREAT | O_TRUNC, 0600, reterr);
	if (fd < 0)
		return fd;
	r = fio_write_all(fd, text, len, CENSUS_FILE, reterr);
	rc = fio_close(fd, CENSUS_FILE, r == 0 ? reterr : NULL);
	if (r == 0)
		r = rc;
	if (r == 0)
		r = fio_renameat(AT_FDCWD, CENSUS_FILE_NEW, AT_FDCWD,
		    CENSUS_FILE, reterr);
	return r;
}
