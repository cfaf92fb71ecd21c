/*
 * submitctl_maildrop.c - the commands on mailboxes: popd-mbox's, behind the
 * control socket "maildrop". Where a user's Maildir is authd-core says.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <time.h>

#include "db/submitctl.h"

#define CTL_MAILDROP "maildrop"
#define CTL_MAILDROP_EACH 30u		/* users in a request: it is one packet */
#define CTL_MAILDROP_WAIT_S 600		/* for one Maildir */

static const struct ctl_column ctl_import_columns[] = {
	{ "USER", "user", CTL_TEXT }, { "FROM", "server", CTL_TEXT },
	{ "LISTED", "listed", CTL_NUMBER }, { "TAKEN", "taken", CTL_NUMBER },
	{ "HAD", "same", CTL_NUMBER }, { "KEPT", "kept", CTL_NUMBER },
	{ "UNFIT", "not_taken", CTL_NUMBER },
	{ "MESSAGES", "messages", CTL_NUMBER },
	{ "WITHOUT", "own", CTL_NUMBER },
	{ NULL, NULL, CTL_TEXT },
};

static const struct ctl_column ctl_diff_columns[] = {
	{ "STATE", "state", CTL_TEXT }, { "UIDL", "uidl", CTL_TEXT },
	{ "ARRIVED", "time_s", CTL_TIME }, { NULL, NULL, CTL_TEXT },
};

/* The Maildir of a user's record, as popd-mbox names it: below mail_root. */
static const char *
ctl_maildrop_path(const struct ctl *c, const json_t *user)
{
	const char *path = ctl_str(user, "maildir");
	size_t len = strlen(c->conf->mail_root);

	if (strncmp(path, c->conf->mail_root, len) != 0)
		return path;
	path += len;
	return path + strspn(path, "/");
}

/* ------------------------------------------------------------ import-uidl -- */

struct ctl_uidl_import {
	struct ctl	*ctl;
	json_t		*part;		/* users of the next request */
	json_t		*page;		/* records to be printed */
	int		 width[CTL_COLUMNS_MAX];
	json_int_t	 users, found, taken;
	int		 code;
};

static void
ctl_import_fail(struct ctl_uidl_import *im, int code)
{
	im->code = im->code != 0 ? im->code : code;
}

static void
ctl_import_told(void *ctx, const json_t *record, int fd)
{
	struct ctl_uidl_import *im = ctx;
	const char *user = ctl_str(record, "user");
	json_t *copy;

	(void)fd;
	if (json_object_get(record, "failed") != NULL)
		ctl_import_fail(im, ctl_fail(EX_DATAERR, "%s: %s", user,
		    ctl_str(record, "failed")));
	if (json_object_get(record, "server") == NULL)
		return;
	ctl_warnings(record);
	if (ctl_str(record, "server")[0] == '\0') {
		if ((im->ctl->given & CTL_ALL) == 0)
			ctl_import_fail(im, ctl_fail(EX_NOINPUT, "%s: there is "
			    "no dovecot-uidlist or courierpop3dsizelist in his "
			    "Maildir", user));
		return;
	}
	im->found++;
	im->taken += ctl_int(record, "taken");
	copy = json_deep_copy(record);
	(void)json_object_set_new(copy, "kept", json_integer(
	    ctl_int(record, "differ") + ctl_int(record, "shown")));
	(void)json_object_set_new(copy, "not_taken", json_integer(
	    ctl_int(record, "unfit") + ctl_int(record, "twice")));
	(void)json_array_append_new(im->page, copy);
}

/* Asks about the users that are in the part. */
static void
ctl_import_part(struct ctl_uidl_import *im)
{
	struct ctl *c = im->ctl;
	json_t *request;
	int code;

	if (json_array_size(im->part) == 0)
		return;
	request = json_pack("{s:s, s:O, s:b, s:b, s:s*}", "verb",
	    "maildrop.import-uidl", "users", im->part,
	    "check", (c->given & CTL_CHECK) != 0,
	    "force", (c->given & CTL_FORCE) != 0, "format", c->format);
	code = ctl_ask_each(c, CTL_MAILDROP, request, CTL_MAILDROP_WAIT_S,
	    ctl_import_told, im);
	if (code != 0)
		ctl_import_fail(im, code);
	if (json_array_size(im->page) > 0)
		ctl_table_page(c, ctl_import_columns, im->page, im->width);
	(void)json_array_clear(im->page);
	(void)json_array_clear(im->part);
}

static void
ctl_import_user(struct ctl_uidl_import *im, const json_t *user)
{
	(void)json_array_append_new(im->part, json_pack("{s:s, s:s}",
	    "user", ctl_str(user, "user"),
	    "path", ctl_maildrop_path(im->ctl, user)));
	im->users++;
	if (json_array_size(im->part) >= CTL_MAILDROP_EACH)
		ctl_import_part(im);
}

/* authd-core's record of one user; NULL after a message. */
static json_t *
ctl_maildrop_user(struct ctl *c, const char *name, int *ret_code)
{
	json_t *records = json_array(), *user;

	*ret_code = ctl_ask(c, CTL_USERS, ctl_user_request("user.show", name),
	    records);
	user = json_incref(json_array_get(records, 0));
	json_decref(records);
	if (*ret_code == 0 && user == NULL)
		*ret_code = ctl_fail(EX_PROTOCOL, "%s: authd says nothing",
		    name);
	if (*ret_code == 0)
		return user;
	json_decref(user);
	return NULL;
}

static void
ctl_import_named(struct ctl_uidl_import *im)
{
	struct ctl *c = im->ctl;
	json_t *user;
	int code;

	for (int i = 0; i < c->argc; i++) {
		user = ctl_maildrop_user(c, c->argv[i], &code);
		if (user != NULL)
			ctl_import_user(im, user);
		else
			ctl_import_fail(im, code);
		json_decref(user);
	}
}

/* Page by page, however many there are. */
static void
ctl_import_everybody(struct ctl_uidl_import *im)
{
	json_t *request = json_pack("{s:s}", "verb", "user.list");
	json_t *records, *next, *user;
	size_t i;
	int code;

	do {
		records = json_array();
		next = NULL;
		code = ctl_ask(im->ctl, CTL_USERS, json_deep_copy(request),
		    records);
		if (code != 0)
			ctl_import_fail(im, code);
		json_array_foreach(records, i, user)
			if (json_object_get(user, "next") != NULL)
				next = json_incref(json_object_get(user,
				    "next"));
			else if (json_object_get(user, "maildir") != NULL)
				ctl_import_user(im, user);
		if (next != NULL)
			(void)json_object_set_new(request, "after", next);
		json_decref(records);
	} while (next != NULL && im->code != EX_UNAVAILABLE);
	json_decref(request);
}

int
ctl_maildrop_import_uidl(struct ctl *c)
{
	struct ctl_uidl_import im = { .ctl = c };
	bool all = (c->given & CTL_ALL) != 0;

	if (all == (c->argc > 0))
		return ctl_fail(EX_USAGE, "whose? give users, or --all");
	im.part = json_array();
	im.page = json_array();
	if (all)
		ctl_import_everybody(&im);
	else
		ctl_import_named(&im);
	ctl_import_part(&im);
	if (!c->json && im.users > 0)
		printf("%lld of %lld users have a list; UIDLs %s: %lld\n",
		    (long long)im.found, (long long)im.users,
		    c->given & CTL_CHECK ? "that would be taken over" :
		    "taken over", (long long)im.taken);
	json_decref(im.part);
	json_decref(im.page);
	return im.code;
}

/* -------------------------------------------------------------- uidl-diff -- */

#define CTL_DIFF_LINE	512u	/* a number and a UIDL have less */

struct ctl_uidl_diff {
	json_t		*old;		/* UIDL: true, or false once it is met */
	time_t		 as_of;		/* of the old list */
	json_t		*rows;		/* what is not alike */
	json_int_t	 alike, added, unknown, gone;
};

/* The UIDL of "1 UIDL", as the server answered, or of "UIDL"; NULL: none. */
static const char *
ctl_diff_line(char *line)
{
	char *save = NULL, *first = strtok_r(line, " \t\r\n", &save);
	char *second = strtok_r(NULL, " \t\r\n", &save);

	if (first == NULL || first[0] == '+' || first[0] == '-' ||
	    strcmp(first, ".") == 0)
		return NULL;
	return second != NULL ? second : first;
}

/* Reads the old list. 0, or the exit code after a message. */
static int
ctl_diff_read(struct ctl_uidl_diff *d, const char *file)
{
	bool from_input = strcmp(file, "-") == 0;
	FILE *f = from_input ? stdin : fopen(file, "r");
	const char *uidl;
	char line[CTL_DIFF_LINE];
	struct stat st;
	int r = 0;

	if (f == NULL || fstat(fileno(f), &st) != 0) {
		r = ctl_fail(EX_NOINPUT, "%s: %s", file, strerror(errno));
		if (f != NULL && !from_input)
			fclose(f);
		return r;
	}
	d->as_of = from_input ? time(NULL) : st.st_mtime;
	while (r == 0 && fgets(line, sizeof(line), f) != NULL)
		if ((strchr(line, '\n') == NULL && !feof(f)) ||
		    ((uidl = ctl_diff_line(line)) != NULL &&
		    json_object_set_new(d->old, uidl, json_true()) != 0))
			r = ctl_fail(EX_DATAERR, "%s: there is a line that "
			    "has no UIDL", file);
	if (!from_input)
		fclose(f);
	return r;
}

static void
ctl_diff_row(struct ctl_uidl_diff *d, const char *state, const char *uidl,
    json_int_t time_s)
{
	(void)json_array_append_new(d->rows, json_pack("{s:s, s:s, s:I}",
	    "state", state, "uidl", uidl, "time_s", time_s));
}

static void
ctl_diff_told(void *ctx, const json_t *record, int fd)
{
	struct ctl_uidl_diff *d = ctx;
	const json_t *m;
	size_t i;

	(void)fd;
	json_array_foreach(json_object_get(record, "uidls"), i, m) {
		const char *uidl = ctl_str(m, "uidl");
		json_int_t time_s = ctl_int(m, "time_s");

		if (json_object_get(d->old, uidl) != NULL) {
			(void)json_object_set_new(d->old, uidl, json_false());
			d->alike++;
		} else if (time_s > (json_int_t)d->as_of) {
			d->added++;
			ctl_diff_row(d, "new", uidl, time_s);
		} else {
			d->unknown++;
			ctl_diff_row(d, "unknown", uidl, time_s);
		}
	}
}

/* What nobody has met is not there any more. */
static void
ctl_diff_gone(struct ctl_uidl_diff *d)
{
	const char *uidl;
	json_t *unmet;

	json_object_foreach(d->old, uidl, unmet)
		if (json_is_true(unmet)) {
			d->gone++;
			ctl_diff_row(d, "gone", uidl, 0);
		}
}

static void
ctl_diff_print(const struct ctl *c, const struct ctl_uidl_diff *d)
{
	json_t *sum = json_pack("{s:I, s:I, s:I, s:I}", "alike", d->alike,
	    "new", d->added, "unknown", d->unknown, "gone", d->gone);

	if (json_array_size(d->rows) > 0)
		ctl_table(c, ctl_diff_columns, d->rows);
	ctl_say(c, sum, "%lld alike, %lld new since, %lld gone since, %lld "
	    "unknown to the old list%s", (long long)d->alike,
	    (long long)d->added, (long long)d->gone, (long long)d->unknown,
	    d->unknown > 0 ? ": these would be fetched again" : "");
	json_decref(sum);
}

int
ctl_maildrop_uidl_diff(struct ctl *c)
{
	struct ctl_uidl_diff d = { .old = json_object(),
		.rows = json_array() };
	json_t *user = NULL;
	int code = ctl_diff_read(&d, c->argv[0]);

	if (code == 0)
		user = ctl_maildrop_user(c, c->argv[1], &code);
	if (code == 0)
		code = ctl_ask_each(c, CTL_MAILDROP, json_pack("{s:s, s:s}",
		    "verb", "maildrop.uidls", "path",
		    ctl_maildrop_path(c, user)), CTL_MAILDROP_WAIT_S,
		    ctl_diff_told, &d);
	if (code == 0) {
		ctl_diff_gone(&d);
		ctl_diff_print(c, &d);
		code = d.unknown > 0 ? 1 : 0;
	}
	json_decref(user);
	json_decref(d.old);
	json_decref(d.rows);
	return code;
}
