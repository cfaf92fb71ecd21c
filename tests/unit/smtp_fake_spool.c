/*
 * smtp_fake_spool.c - see smtp_fake.h. What submitd-spool answers.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/smtp_fake_private.h"

struct spoolc_txn {
	struct buf	 data;
	char		*rcpts;
	spoolc_fn	*begun;
	loop_fn		*drained;
	void		*ctx;
	bool		 full;
	bool		 gone;		/* begin's callback is not wanted */
};

static void
txn_free(struct spoolc_txn *t)
{
	buf_free(&t->data);
	free(t->rcpts);
	free(t);
	fake->txns--;
}

static void
run_begun(struct fake *f, struct fake_call *c)
{
	struct spoolc_txn *t = c->ctx;

	(void)f;
	if (t->gone) {
		txn_free(t);
		return;
	}
	/* When it has begun the session may give it up at once. */
	t->begun(t->ctx, c->verdict, "aaaaaaaaaaaaaaaa");
	if (c->verdict != SPOOLC_OK)
		txn_free(t);
}

static void
fake_note_wishes(struct fake *f, const struct spool_wishes *w)
{
	size_t at = strlen(f->asked);

	if (w->hold_until_s != 0 || w->by_mode != 0 || w->priority != 0 ||
	    w->requiretls)
		snprintf(f->asked + at, sizeof(f->asked) - at,
		    " hold=%d by=%u%s priority=%d%s", w->hold_until_s != 0,
		    w->by_mode, w->by_trace ? "t" : "", w->priority,
		    w->requiretls ? " requiretls" : "");
}

/* "utf8 ret=1 envid=X 4,rfc822;a 0," and the wishes, if there are any */
static void
fake_note_asked(struct fake *f, const struct spoolc_envelope *env)
{
	size_t at = (size_t)snprintf(f->asked, sizeof(f->asked),
	    "%sret=%u envid=%s", env->smtputf8 ? "utf8 " : "", env->ret,
	    env->envid);

	for (size_t i = 0; env->dsn != NULL && i < env->n_rcpts; i++) {
		const struct spool_dsn *d = &env->dsn[i];

		if (at < sizeof(f->asked))
			at += (size_t)snprintf(f->asked + at,
			    sizeof(f->asked) - at, " %u,%s", d->notify,
			    d->orcpt == NULL ? "" : d->orcpt);
	}
}

uint64_t
spoolc_room(const struct spoolc *s)
{
	(void)s;
	return fake->spool_room == 0 ? UINT64_MAX : fake->spool_room;
}

struct spoolc_txn *
spoolc_begin(struct spoolc *s, const struct spoolc_envelope *env,
    spoolc_fn *begun, loop_fn *drained, void *ctx)
{
	struct spoolc_txn *t = calloc(1, sizeof(*t));
	struct fake_call *c;
	size_t room = 1;

	(void)s;
	/* No message without a ticket, and none in clear. */
	if (t == NULL || env->ticket_len == 0 ||
	    (!fake->conn->tls && !fake->lmtp) ||
	    env->n_rcpts == 0 || env->n_rcpts > fake->conf.recipient_limit)
		abort();
	for (size_t i = 0; i < env->n_rcpts; i++)
		room += strlen(env->rcpts[i]) + 1;
	if ((t->rcpts = calloc(1, room)) == NULL)
		abort();
	for (size_t i = 0; i < env->n_rcpts; i++) {
		strcat(t->rcpts, i > 0 ? "," : "");
		strcat(t->rcpts, env->rcpts[i]);
	}
	fake_note_asked(fake, env);
	fake_note_wishes(fake, &env->wishes);
	buf_init(&t->data, 1 << 24);
	t->begun = begun;
	t->drained = drained;
	t->ctx = ctx;
	fake->txns++;
	c = fake_later(run_begun);
	c->ctx = t;
	c->verdict = fake->spool_begin;
	return t;
}

static void
run_drained(struct fake *f, struct fake_call *c)
{
	struct spoolc_txn *t = c->ctx;

	(void)f;
	t->full = false;
	if (t->gone)
		txn_free(t);
	else
		t->drained(t->ctx);
}

void
spoolc_data(struct spoolc_txn *t, const void *p, size_t len)
{
	if (buf_append(&t->data, p, len) != 0)
		abort();
	if (fake->slow_spool && !t->full) {
		t->full = true;
		fake_later(run_drained)->ctx = t;
	}
}

/* All are asked for. */
bool
spoolc_is_begun(const struct spoolc_txn *t)
{
	(void)t;
	return false;
}

bool
spoolc_full(const struct spoolc_txn *t)
{
	return t->full;
}

static void
run_committed(struct fake *f, struct fake_call *c)
{
	struct spoolc_txn *t = c->ctx;

	if (c->verdict == SPOOLC_OK) {
		f->commits++;
		free(f->message);
		free(f->rcpts);
		f->message = strndup(buf_len(&t->data) == 0 ? "" :
		    (char *)buf_data(&t->data), buf_len(&t->data));
		f->rcpts = strdup(t->rcpts);
	}
	if (!t->gone)
		c->spooled(t->ctx, c->verdict, "aaaaaaaaaaaaaaaa");
	txn_free(t);
}

void
spoolc_commit(struct spoolc_txn *t, spoolc_fn *committed)
{
	struct fake_call *c = fake_later(run_committed);

	c->ctx = t;
	c->spooled = committed;
	c->verdict = fake->spool_commit;
}

void
spoolc_abort(struct spoolc_txn *t)
{
	bool waited_for = false;

	if (t == NULL)
		return;
	t->gone = true;
	for (size_t i = 0; i < fake->n_calls; i++)
		waited_for |= fake->calls[i].ctx == t;
	if (!waited_for)
		txn_free(t);
}
