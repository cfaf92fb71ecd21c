/*
 * recover.c - what the spool finds at its start.
 *
 * Runs in submitd-spool before it serves anybody. Reads files that a crash may
 * have cut anywhere: one that is damaged goes to bad/ with a line in the log,
 * and never keeps the rest from being delivered.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "submitd/spool/spool.h"

#include "lib/fio.h"
#include "lib/log.h"
#include "submitd/spool/journal.h"

#define RECOVER_THREADS 7u	/* beside our own */
#define RECOVER_SOME 2048u	/* files, before the next are read */

static void
recover_list_free(char **names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(names[i]);
	free(names);
}

/* The names in a folder, sorted: queue ids sort by age. *ret is the caller's,
 * each name and the array. */
static int
recover_list(int dir, char ***ret, size_t *ret_n, struct err *reterr)
{
	struct dirent **found;
	int n = scandirat(dir, ".", &found, NULL, alphasort);
	char **names;
	int r = 0;

	if (n < 0)
		return err_sys(reterr, "cannot read the spool's folders");
	if ((names = calloc((size_t)n + 1, sizeof(*names))) == NULL)
		return err_set(reterr, ERR_NOMEM, "no memory");
	*ret_n = 0;
	for (int i = 0; i < n; i++) {
		const char *name = found[i]->d_name;

		if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0) {
			names[*ret_n] = strdup(name);
			r |= names[(*ret_n)++] == NULL;
		}
		free(found[i]);
	}
	free(found);
	if (r != 0) {
		recover_list_free(names, *ret_n);
		return err_set(reterr, ERR_NOMEM, "no memory");
	}
	*ret = names;
	return 0;
}

/* S1: what is in tmp/ belongs to nobody. */
static int
recover_empty_tmp(struct spool *sp, struct err *reterr)
{
	struct err err;
	char **names;
	size_t n;
	int r;

	if ((r = recover_list(sp->store.tmp, &names, &n, reterr)) != 0)
		return r;
	for (size_t i = 0; i < n; i++)
		if (fio_unlinkat(sp->store.tmp, names[i], &err) != 0)
			LOG_EV(LOG_WARNING, "spool.fault", NULL,
			    KV_S("file", names[i]), KV_A("op", "clean"),
			    KV_T("why", err.text));
	recover_list_free(names, n);
	return 0;
}

static void
recover_apply(void *ctx, const struct envelope_result *r)
{
	(void)queue_msg_apply(ctx, r);
}

/* What was found in one file; threads read many at a time. */
struct recover_one {
	const char		*name;
	struct queue_msg	*msg;
	uint64_t		 offset, octets, end;
	int			 r;
	struct err		 err;
};

static int
recover_read(int fd, struct recover_one *o)
{
	struct envelope_header h;
	struct envelope e;
	struct stat sb;
	int r;

	if (fstat(fd, &sb) != 0)
		return err_sys(&o->err, "cannot look at it");
	if (!S_ISREG(sb.st_mode))
		return err_set(&o->err, ERR_CORRUPT, "not a file");
	if ((r = store_read_envelope(fd, &h, &e, &o->err)) != 0)
		return r;
	if (strcmp(e.id, o->name) != 0)
		r = err_set(&o->err, ERR_CORRUPT, "it is named %s inside",
		    e.id);
	else if ((o->msg = queue_msg_new(&e)) == NULL)
		r = err_set(&o->err, ERR_NOMEM, "no memory");
	envelope_free(&e);
	if (r == 0) {
		o->msg->no_spare = true;	/* it may have been lent */
		r = store_read_results(fd, &h, recover_apply, o->msg, &o->end,
		    &o->err);
	}
	if (r != 0) {
		queue_msg_free(o->msg);
		o->msg = NULL;
		return r;
	}
	o->offset = h.content_offset;
	o->octets = h.content_len;
	o->msg->place.filed = true;
	return 0;
}

static void
recover_open(int dir, struct recover_one *o)
{
	int fd;

	if (!str_is_id(o->name)) {
		o->r = err_set(&o->err, ERR_CORRUPT,
		    "its name is no queue id");
		return;
	}
	/* O_NONBLOCK: somebody may have put a FIFO there. */
	fd = openat(dir, o->name,
	    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 && (errno == ELOOP || errno == ENXIO))
		o->r = err_set(&o->err, ERR_CORRUPT, "not a file");
	else if (fd < 0)
		o->r = err_sys(&o->err, "cannot open it");
	else
		o->r = recover_read(fd, o);
	if (fd >= 0)
		close(fd);
}

static void
recover_set_aside(struct spool *sp, const char *name, const char *why)
{
	struct err err = { .text = "" };
	int r = store_set_aside(&sp->store, name, &err);

	LOG_EV(LOG_ERR, "spool.bad", NULL, KV_S("file", name),
	    KV_A("moved", r == 0 ? "bad" : "no"), KV_T("why", why),
	    KV_T("fault", r == 0 ? NULL : err.text));
}

/* Queues what was read. */
static int
recover_one(struct spool *sp, struct recover_one *o, struct err *reterr)
{
	if (o->r == 0)
		queue_add(sp->queue, o->msg, o->offset, o->octets, o->end);
	else if (o->r == ERR_NOMEM)
		return err_set(reterr, ERR_NOMEM, "no memory for the queue");
	else if (o->r == ERR_CORRUPT)
		recover_set_aside(sp, o->name, o->err.text);
	else
		/* Perhaps it can be read another time: it stays. */
		LOG_EV(LOG_ERR, "spool.fault", NULL, KV_A("qid", o->name),
		    KV_A("op", "recover"), KV_T("why", o->err.text));
	return 0;
}

struct recover_share {
	int			 dir;
	struct recover_one	*ones;
	size_t			 n;
	atomic_size_t		 next;
};

static void *
recover_thread(void *arg)
{
	struct recover_share *s = arg;
	size_t i;

	while ((i = atomic_fetch_add(&s->next, 1)) < s->n)
		recover_open(s->dir, &s->ones[i]);
	return NULL;
}

/* Reads some files on threads: a disk that has to fetch them serves several at
 * a time better than one. */
static void
recover_some(int dir, struct recover_one *ones, size_t n)
{
	struct recover_share s = { .dir = dir, .ones = ones, .n = n };
	pthread_t threads[RECOVER_THREADS];
	unsigned int started = 0;

	while (started < RECOVER_THREADS && started + 1 < n &&
	    pthread_create(&threads[started], NULL, recover_thread, &s) == 0)
		started++;
	(void)recover_thread(&s);
	while (started > 0)
		pthread_join(threads[--started], NULL);
}

static int
recover_files(struct spool *sp, struct err *reterr)
{
	struct recover_one *ones = calloc(RECOVER_SOME, sizeof(*ones));
	char **names;
	size_t n, at, k;
	int r;

	if (ones == NULL)
		return err_set(reterr, ERR_NOMEM, "no memory");
	if ((r = recover_list(sp->store.queue, &names, &n, reterr)) != 0) {
		free(ones);
		return r;
	}
	for (at = 0; r == 0 && at < n; at += k) {
		k = n - at < RECOVER_SOME ? n - at : RECOVER_SOME;
		memset(ones, 0, k * sizeof(*ones));
		for (size_t i = 0; i < k; i++)
			ones[i].name = names[at + i];
		recover_some(sp->store.queue, ones, k);
		for (size_t i = 0; i < k && r == 0; i++)
			r = recover_one(sp, &ones[i], reterr);
	}
	recover_list_free(names, n);
	free(ones);
	return r;
}

/* --------------------------------------------------------------- journal -- */

struct recover {
	struct spool	*sp;
	bool		 nomem;
};

/* Octets that are kept for the administrator, once. */
static void
recover_keep(struct spool *sp, const char *name, const void *p, size_t len,
    const char *why)
{
	struct err err = { .text = "" };
	int r = store_keep_bad(&sp->store, name, p, len, &err);

	if (r != ERR_EXISTS)
		LOG_EV(LOG_ERR, "spool.bad", NULL, KV_S("file", name),
		    KV_A("moved", r == 0 ? "bad" : "no"), KV_T("why", why),
		    KV_T("fault", r == 0 ? NULL : err.text));
}

static struct store_place *
recover_message(void *ctx, const char *id, const uint8_t *octets,
    uint32_t len)
{
	struct recover *rc = ctx;
	struct queue_msg *m = queue_find(rc->sp->queue, id);
	struct envelope_header h;
	struct envelope e;
	struct err err;
	int r;

	/* Its file is right (J4 of journal.c). */
	if (m != NULL)
		return m->place.segment == NULL ? &m->place : NULL;
	if ((r = store_parse_envelope(octets, len, &h, &e, &err)) == 0) {
		if (strcmp(e.id, id) != 0)
			r = err_set(&err, ERR_CORRUPT, "it is named %s inside",
			    e.id);
		else if ((m = queue_msg_new(&e)) == NULL)
			r = ERR_NOMEM;
		envelope_free(&e);
	}
	if (r == ERR_CORRUPT)
		recover_keep(rc->sp, id, octets, len, err.text);
	else if (r != 0)
		rc->nomem = true;
	if (r != 0)
		return NULL;
	queue_add(rc->sp->queue, m, h.content_offset, h.content_len, len);
	return &m->place;
}

/* Nothing was found of it, or only its file. */
static void
recover_dead(void *ctx, struct store_place *p)
{
	struct recover *rc = ctx;

	journal_leave(rc->sp->store.journal, p);
	if (!p->filed)
		queue_forget(queue_of_place(p));
}

static void
recover_gone(void *ctx, const char *id)
{
	struct recover *rc = ctx;
	struct queue_msg *m = queue_find(rc->sp->queue, id);

	if (m != NULL && m->place.segment != NULL)
		recover_dead(ctx, &m->place);
}

static void
recover_damaged(void *ctx, const char *name, uint32_t at, const char *id,
    const uint8_t *octets, uint32_t len, bool last)
{
	struct recover *rc = ctx;
	char file[40];

	if (last)
		snprintf(file, sizeof(file), "cut-%s-%u", name, at);
	else if (id[0] != '\0')
		(void)str_copy(file, sizeof(file), id);
	else
		snprintf(file, sizeof(file), "journal-%s-%u", name, at);
	recover_keep(rc->sp, file, octets, len,
	    last ? "the last record of the journal is damaged, or was cut by "
	    "a crash before its sender was told that it was taken" :
	    "a record of the journal is damaged");
}

static void
recover_torn(void *ctx, const char *name, uint32_t octets)
{
	(void)ctx;
	LOG_EV(LOG_NOTICE, "spool.torn", NULL, KV_S("file", name),
	    KV_U("octets", octets));
}

static void
recover_unreadable(void *ctx, const char *name, const struct err *why)
{
	(void)ctx;
	LOG_EV(LOG_ERR, "spool.fault", NULL, KV_S("file", name),
	    KV_A("op", "recover"), KV_T("why", why->text));
}

static const struct journal_finder recover_finder = {
	.message = recover_message,
	.gone = recover_gone,
	.dead = recover_dead,
	.damaged = recover_damaged,
	.torn = recover_torn,
	.unreadable = recover_unreadable,
};

static int
recover_journal(struct spool *sp, struct err *reterr)
{
	struct recover rc = { .sp = sp };
	int r = journal_recover(sp->store.journal, &recover_finder, &rc,
	    reterr);

	if (r == 0 && (rc.nomem || queue_sort(sp->queue) != 0))
		return err_set(reterr, ERR_NOMEM, "no memory for the queue");
	return r;
}

int
recover_run(struct spool *sp, struct err *reterr)
{
	struct queue_msg *m;
	int r;

	if ((r = recover_empty_tmp(sp, reterr)) != 0 ||
	    (r = recover_files(sp, reterr)) != 0 ||
	    (r = recover_journal(sp, reterr)) != 0)
		return r;
	/* A crash was between the file and the end of its copy. */
	for (m = queue_first(sp->queue); m != NULL; m = queue_next(m))
		if (m->place.filed && m->place.segment != NULL)
			queue_move(m);
	flush_start(sp->flush);
	if (queue_count(sp->queue) > 0)
		LOG_EV(LOG_INFO, "spool.recovered", NULL,
		    KV_U("messages", queue_count(sp->queue)));
	return r;
}
