/*
 * control.c - the verbs of the control socket "maildrop" (submitctl maildrop):
 * taking over UIDLs of another server, and what UIDLs a mailbox has.
 *
 * Runs on the loop of popd-mbox, and its work on one thread of its own: no
 * login waits for it, and no two imports write at the same time. The caller is
 * an administrator; the paths he names lie below mail_root all the same, for
 * all is opened beneath it.
 */
#include "config.h"

#include "popd/mbox/control.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include <jansson.h>

#include "lib/control.h"
#include "lib/log.h"
#include "lib/str.h"
#include "popd/mbox/uidl_import.h"

#define MBOX_JOBS_MAX	64u		/* requests that wait for the thread */
#define MBOX_UIDLS_EACH	250u		/* in one record: it is one packet */

struct mbox_job {
	struct mbox		*mbox;
	struct control_call	*call;
	json_t			*args;		/* referenced */
	const json_t		*users;		/* in it */
	size_t			 next;		/* of the users */
	size_t			 n_failed;
	struct uidl_wish	 wish;
	/* The one that the thread works on. */
	const char		*user, *path;
	struct uidl_result	 result;
	struct maildrop		*maildrop;
	int			 rc;
	struct err		 err;
};

static void
mbox_job_free(struct mbox_job *j)
{
	maildrop_free(j->maildrop);
	json_decref(j->args);
	free(j);
}

static void
mbox_job_fail(struct mbox_job *j, int code, const char *why)
{
	control_fail(j->call, code, "%s", why);
	mbox_job_free(j);
}

static struct mbox_job *
mbox_job_new(void *ctx, struct control_call *call, const json_t *args)
{
	struct mbox_job *j = calloc(1, sizeof(*j));

	if (j == NULL) {
		control_fail(call, EX_OSERR, "no memory");
		return NULL;
	}
	j->mbox = ctx;
	j->call = call;
	if ((j->args = json_deep_copy(args)) != NULL)
		return j;
	mbox_job_fail(j, EX_OSERR, "no memory");
	return NULL;
}

/* False, and j is gone, when the thread has too much to do. */
static bool
mbox_job_submit(struct mbox_job *j, void (*work)(void *), loop_fn *done)
{
	j->rc = 0;
	j->err = (struct err){ 0 };
	if (pool_submit(j->mbox->control_pool, work, done, j) == 0)
		return true;
	mbox_job_fail(j, EX_TEMPFAIL, "too many requests are under way; try "
	    "again");
	return false;
}

/* ------------------------------------------------------------ import-uidl -- */

static void mbox_import_next(struct mbox_job *j);

static void
mbox_import_work(void *ctx)
{
	struct mbox_job *j = ctx;

	j->rc = uidl_import(j->mbox->root.fd, j->path, &j->wish,
	    &j->result, &j->err);
}

static json_t *
mbox_import_record(const struct mbox_job *j)
{
	const struct uidl_result *r = &j->result;
	json_t *o, *warnings = json_array();

	if (r->cut)
		(void)json_array_append_new(warnings, json_sprintf("%s: the "
		    "old list had an unfinished line; import once more",
		    j->user));
	if (r->both)
		(void)json_array_append_new(warnings, json_sprintf("%s: there "
		    "are lists of Dovecot and of Courier; %s's is the later "
		    "one (--format chooses)", j->user, r->server));
	if (r->shown > 0 || r->differ > 0)
		(void)json_array_append_new(warnings, json_sprintf("%s: %"
		    PRIu64 " messages keep the UIDL that popd has shown%s",
		    j->user, r->shown + r->differ, r->shown > 0 ?
		    " (--force takes the old one where none was imported)" :
		    ""));
	o = json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
	    "user", j->user, "server", r->server != NULL ? r->server : "",
	    "listed", (json_int_t)r->listed, "taken", (json_int_t)r->taken,
	    "same", (json_int_t)r->same, "differ", (json_int_t)r->differ,
	    "shown", (json_int_t)r->shown, "twice", (json_int_t)r->twice,
	    "unfit", (json_int_t)r->unfit, "messages",
	    (json_int_t)r->messages, "own", (json_int_t)r->own);
	if (o != NULL && json_array_size(warnings) > 0)
		(void)json_object_set(o, "warnings", warnings);
	json_decref(warnings);
	return o;
}

static void
mbox_import_done(void *ctx)
{
	struct mbox_job *j = ctx;

	if (j->rc != 0) {
		LOG_EV(LOG_ERR, "mbox.uidl.fail", NULL, KV_S("user", j->user),
		    KV_S("path", j->path), KV_T("why", j->err.text));
		control_record(j->call, json_pack("{s:s, s:s}", "user",
		    j->user, "failed", j->err.text));
		j->n_failed++;
	} else {
		if (j->result.taken > 0 && !j->wish.check)
			LOG_EV(LOG_NOTICE, "mbox.uidl.import", NULL,
			    KV_S("user", j->user),
			    KV_S("server", j->result.server),
			    KV_U("taken", j->result.taken),
			    KV_U("listed", j->result.listed));
		control_record(j->call, mbox_import_record(j));
	}
	mbox_import_next(j);
}

/* The users one by one, so that other requests have their turns. */
static void
mbox_import_next(struct mbox_job *j)
{
	const json_t *u = json_array_get(j->users, j->next++);

	if (u == NULL) {
		control_done_with(j->call, json_pack("{s:I}", "n_failed",
		    (json_int_t)j->n_failed));
		mbox_job_free(j);
		return;
	}
	j->user = control_arg(u, "user");
	j->path = control_arg(u, "path");
	if (j->user == NULL || j->path == NULL || *j->path == '\0')
		mbox_job_fail(j, EX_USAGE, "each of the users needs \"user\" "
		    "and \"path\"");
	else
		(void)mbox_job_submit(j, mbox_import_work, mbox_import_done);
}

static void
mbox_import(void *ctx, struct control_call *call, const json_t *args)
{
	struct mbox_job *j = mbox_job_new(ctx, call, args);
	const char *format;

	if (j == NULL)
		return;
	format = control_arg(j->args, "format");
	j->wish.format = format != NULL ? format : "";
	j->wish.check = json_is_true(json_object_get(j->args, "check"));
	j->wish.force = json_is_true(json_object_get(j->args, "force"));
	j->users = json_object_get(j->args, "users");
	if (uidl_check_format(j->wish.format, &j->err) != 0)
		mbox_job_fail(j, EX_USAGE, j->err.text);
	else
		mbox_import_next(j);
}

/* ------------------------------------------------------------------ uidls -- */

static void
mbox_uidls_work(void *ctx)
{
	struct mbox_job *j = ctx;

	j->rc = maildrop_open(&j->mbox->root, j->path, false,
	    &j->maildrop, &j->err);
}

static void
mbox_uidls_done(void *ctx)
{
	struct mbox_job *j = ctx;
	char uidl[MBOXC_UIDL_MAX + 1];
	json_t *part = json_array();
	size_t n = 0;

	if (j->rc == 0)
		n = maildrop_count(j->maildrop);
	for (size_t i = 0; i < n; i++) {
		if ((j->rc = maildrop_uidl(j->maildrop, i, uidl)) != 0)
			break;
		(void)json_array_append_new(part, json_pack("{s:s, s:I}",
		    "uidl", uidl, "time_s",
		    (json_int_t)maildrop_time(j->maildrop, i)));
		if (json_array_size(part) < MBOX_UIDLS_EACH && i + 1 < n)
			continue;
		control_record(j->call, json_pack("{s:o}", "uidls", part));
		part = json_array();
	}
	json_decref(part);
	if (j->rc != 0) {
		mbox_job_fail(j, EX_IOERR, j->err.code != 0 ? j->err.text :
		    "no memory");
		return;
	}
	control_done(j->call);
	mbox_job_free(j);
}

static void
mbox_uidls(void *ctx, struct control_call *call, const json_t *args)
{
	struct mbox_job *j = mbox_job_new(ctx, call, args);

	if (j == NULL)
		return;
	j->path = control_arg(j->args, "path");
	if (j->path == NULL || *j->path == '\0')
		mbox_job_fail(j, EX_USAGE, "\"path\" is missing");
	else
		(void)mbox_job_submit(j, mbox_uidls_work, mbox_uidls_done);
}

/* ---------------------------------------------------------------- serving -- */

static const struct control_verb mbox_verbs[] = {
	{ "maildrop.import-uidl", mbox_import, true },
	{ "maildrop.uidls", mbox_uidls, false },
	{ NULL, NULL, false },
};

int
mbox_control_start(struct mbox *m, int fd, struct err *reterr)
{
	if (fd < 0)
		return err_set(reterr, ERR_CONFIG, "the control socket is "
		    "missing");
	m->control_pool = pool_new(m->loop, 1, MBOX_JOBS_MAX);
	if (m->control_pool == NULL || control_new(m->loop, fd, "maildrop",
	    mbox_verbs, m) == NULL)
		return err_set(reterr, ERR_NOMEM, "no memory");
	return 0;
}
