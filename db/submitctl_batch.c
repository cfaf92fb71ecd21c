/*
 * submitctl_batch.c - batches of users, several under way at once. Runs in
 * submitctl. A batch that was answered is on stable storage.
 */
#include "config.h"

#include "db/submitctl_batch.h"

#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "lib/control.h"
#include "lib/str.h"

#define BATCH_USERS	200u
#define BATCH_WINDOW	4u		/* requests under way */
#define BATCH_COST	8u		/* users that a derivation outweighs */
#define BATCH_WAIT_S	120
#define BATCH_TRIES	300		/* of 0.1 s, while authd-core is busy */

const char *const batch_counts[BATCH__COUNT] = {
	[BATCH_ADDED] = "added", [BATCH_UPDATED] = "updated",
	[BATCH_UNCHANGED] = "unchanged", [BATCH_EXISTS] = "exists",
	[BATCH_FAILED] = "failed", [BATCH_UNVERIFIABLE] = "unverifiable",
	[BATCH_SECRETS] = "secrets",
};

struct batch {
	int		 sock;			/* -1: not under way */
	size_t		 len;
	unsigned int	 n, cost;
	uint64_t	 lines[BATCH_USERS];
	char		 text[CONTROL_REQUEST_MAX];
};

struct batches {
	struct ctl	*ctl;
	char		 path[4096];
	char		 head[96];		/* how each request begins */
	batch_told_fn	*told;
	void		*ctx;
	uint64_t	 counts[BATCH__COUNT];
	bool		 answered;		/* the first one was */
	unsigned int	 next;			/* the one being filled */
	struct batch	 ring[BATCH_WINDOW];
};

static const char batch_tail[] = "]}";
#define BATCH_SPARE (1 + sizeof(batch_tail))

const uint64_t *
batches_counted(const struct batches *b)
{
	return b->counts;
}

static void
batch_reset(const struct batches *b, struct batch *k)
{
	explicit_bzero(k->text, k->len);
	k->n = k->cost = 0;
	k->len = strlen(b->head);
	memcpy(k->text, b->head, k->len);
}

struct batches *
batches_new(struct ctl *c, const char *mode, bool check, batch_told_fn *told,
    void *ctx)
{
	struct batches *b = calloc(1, sizeof(*b));

	if (b == NULL) {
		(void)ctl_fail(0, "no memory");
		return NULL;
	}
	b->ctl = c;
	b->told = told;
	b->ctx = ctx;
	if (str_format(b->path, sizeof(b->path), "%s/control/users",
	    c->conf->run_dir) != 0 ||
	    str_format(b->head, sizeof(b->head), "{\"verb\":\"user.import\","
	    "\"mode\":\"%s\",\"check\":%s,\"users\":[", mode,
	    check ? "true" : "false") != 0) {
		(void)ctl_fail(0, "run_dir is too long");
		free(b);
		return NULL;
	}
	for (unsigned int i = 0; i < BATCH_WINDOW; i++) {
		b->ring[i].sock = -1;
		batch_reset(b, &b->ring[i]);
	}
	return b;
}

void
batches_free(struct batches *b)
{
	if (b == NULL)
		return;
	for (unsigned int i = 0; i < BATCH_WINDOW; i++) {
		if (b->ring[i].sock != -1)
			close(b->ring[i].sock);
		explicit_bzero(b->ring[i].text, sizeof(b->ring[i].text));
	}
	free(b);
}

struct batch_answer {
	struct batches		*batches;
	const struct batch	*batch;
};

/* Lists of [index, user, text]. */
static void
batch_tell(struct batch_answer *a, const json_t *list, enum batch_what what)
{
	json_t *p;
	size_t i, n;

	json_array_foreach(list, i, p) {
		n = (size_t)json_integer_value(json_array_get(p, 0));
		if (n < a->batch->n)
			a->batches->told(a->batches->ctx, a->batch->lines[n],
			    json_string_value(json_array_get(p, 1)),
			    json_string_value(json_array_get(p, 2)), what);
	}
}

static void
batch_answered(void *ctx, const json_t *record, int fd)
{
	struct batch_answer *a = ctx;

	(void)fd;
	for (size_t i = 0; i < BATCH__COUNT; i++)
		a->batches->counts[i] += (uint64_t)ctl_int(record,
		    batch_counts[i]);
	batch_tell(a, json_object_get(record, "problems"),
	    BATCH_IS_PROBLEM);
	batch_tell(a, json_object_get(record, "notices"), BATCH_IS_WARNING);
	batch_tell(a, json_object_get(record, "kept"), BATCH_IS_KEPT);
}

static int
batch_failed(int code, const struct err *e)
{
	if (code == EX_UNAVAILABLE)
		return ctl_fail(code, "authd does not answer: %s\nIs it "
		    "running? See \"submitctl status\" and its log (journalctl "
		    "-u authd).\nWhat was imported stays; run it again.",
		    e->text);
	return ctl_fail(code, "%s", e->text);
}

/* Waits for the answer of one; a busy authd-core is asked again. */
static int
batch_collect(struct batches *b, struct batch *k)
{
	const struct timespec pause = { .tv_nsec = 100 * 1000 * 1000 };
	struct batch_answer a = { b, k };
	struct err e = { 0 };
	int code;

	if (k->sock == -1)
		return 0;
	code = control_ask_end(k->sock, batch_answered, &a, &e);
	for (int i = 0; code == EX_TEMPFAIL && i < BATCH_TRIES; i++) {
		(void)nanosleep(&pause, NULL);
		code = control_ask_begin(b->path, k->text, k->len,
		    BATCH_WAIT_S, &k->sock, &e);
		if (code == 0)
			code = control_ask_end(k->sock, batch_answered, &a,
			    &e);
	}
	k->sock = -1;
	b->answered = true;
	batch_reset(b, k);
	return code == 0 ? 0 : batch_failed(code, &e);
}

/* Sends the one that was filled, and makes the next one free. The first goes
 * alone: its first user is then the first of all, who gets the postmaster's
 * mail. */
static int
batch_send(struct batches *b)
{
	struct batch *k = &b->ring[b->next];
	struct err e = { 0 };
	int code;

	if (k->n == 0)
		return 0;
	memcpy(k->text + k->len, batch_tail, sizeof(batch_tail) - 1);
	k->len += sizeof(batch_tail) - 1;
	code = control_ask_begin(b->path, k->text, k->len, BATCH_WAIT_S,
	    &k->sock, &e);
	if (code != 0)
		return batch_failed(code, &e);
	if (!b->answered && (code = batch_collect(b, k)) != 0)
		return code;
	b->next = (b->next + 1) % BATCH_WINDOW;
	return batch_collect(b, &b->ring[b->next]);
}

int
batches_add(struct batches *b, const json_t *user, uint64_t line, bool costly)
{
	struct batch *k = &b->ring[b->next];
	unsigned int cost = costly ? BATCH_COST : 1;
	size_t len, room;
	int code;

	for (int i = 0; i < 2; i++, k = &b->ring[b->next]) {
		/* A comma, the user, and the tail must fit. */
		room = sizeof(k->text) - k->len;
		room = room > BATCH_SPARE ? room - BATCH_SPARE : 0;
		len = json_dumpb(user, k->text + k->len + (k->n > 0), room,
		    JSON_COMPACT);
		if (len > 0 && len <= room && k->n < BATCH_USERS &&
		    k->cost + cost <= BATCH_USERS)
			break;
		explicit_bzero(k->text + k->len, room);
		if (i > 0 || len == 0) {
			b->counts[BATCH_FAILED]++;
			b->told(b->ctx, line, ctl_str(user, "user"), "what "
			    "stands there is too much for one user",
			    BATCH_IS_PROBLEM);
			return 0;
		}
		if ((code = batch_send(b)) != 0)
			return code;
	}
	if (k->n > 0)
		k->text[k->len++] = ',';
	k->len += len;
	k->lines[k->n++] = line;
	k->cost += cost;
	return 0;
}

int
batches_finish(struct batches *b)
{
	int code = batch_send(b);

	for (unsigned int i = 1; i <= BATCH_WINDOW; i++)
		if (code == 0)
			code = batch_collect(b, &b->ring[(b->next + i) %
			    BATCH_WINDOW]);
	return code;
}
