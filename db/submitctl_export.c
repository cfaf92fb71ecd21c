/*
 * submitctl_export.c - "user export" and "user hash". Runs as whoever called
 * it. What it prints is as secret as the database.
 */
#include "config.h"

#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "db/submitctl.h"
#include "lib/control.h"
#include "lib/mailbox.h"
#include "lib/str.h"

#define EXPORT_PAGE	200
#define EXPORT_WAIT_S	60

struct export_page {
	uint64_t	n;
	char		next[MAILBOX_SIZE];
};

static void
export_each(void *ctx, const json_t *record, int fd)
{
	struct export_page *p = ctx;

	(void)fd;
	if (json_object_get(record, "user") != NULL) {
		ctl_put_json(record);
		p->n++;
	} else {
		(void)str_copy(p->next, sizeof(p->next), ctl_str(record,
		    "next"));
	}
}

static int
export_ask(struct ctl *c, const char *user, struct export_page *p)
{
	char path[4096];
	struct err e = { 0 };
	json_t *request;
	int code;

	if (str_format(path, sizeof(path), "%s/control/users",
	    c->conf->run_dir) != 0)
		return ctl_fail(EX_CONFIG, "run_dir is too long");
	request = json_pack("{s:s, s:s*, s:s, s:i}", "verb", "user.export",
	    "user", user, "after", p->next, "limit", EXPORT_PAGE);
	if (request == NULL)
		return ctl_fail(EX_DATAERR, "the user is not valid UTF-8");
	p->next[0] = '\0';
	code = control_ask(path, request, EXPORT_WAIT_S, export_each, p, &e);
	json_decref(request);
	if (code == EX_UNAVAILABLE)
		return ctl_fail(code, "authd does not answer: %s\nIs it "
		    "running? See \"submitctl status\" and its log (journalctl "
		    "-u authd).", e.text);
	return code == 0 ? 0 : ctl_fail(code, "%s", e.text);
}

int
ctl_user_export(struct ctl *c)
{
	struct export_page p = { 0 };
	int code;

	if (isatty(STDOUT_FILENO) && (c->given & CTL_FORCE) == 0)
		return ctl_fail(EX_USAGE, "an export has the keys of all "
		    "passwords: write it to a file that nobody else can "
		    "read\n(umask 077; submitctl user export > FILE), or give "
		    "--force to see it here");
	if ((code = ctl_conf(c)) != 0)
		return code;
	puts("{\"submitd_users\":1,\"note\":\"as secret as the database; "
	    "sealed secrets need the same secret.key\"}");
	for (int i = 0; i < c->argc && code == 0; i++)
		code = export_ask(c, c->argv[i], &p);
	if (c->argc > 0 || code != 0)
		return code;
	do
		code = export_ask(c, NULL, &p);
	while (code == 0 && p.next[0] != '\0' && !ferror(stdout));
	return code;
}

int
ctl_user_hash(struct ctl *c)
{
	json_t *request, *records;
	char *password = NULL;
	const json_t *last;
	int code;

	/* authd-core makes it: preparing a password takes libidn. */
	if ((code = ctl_conf(c)) != 0 ||
	    (code = ctl_password(c, "the hash", &password)) != 0)
		return code;
	request = json_pack("{s:s, s:s, s:s*}", "verb", "user.hash",
	    "password", password, "scheme", c->scheme);
	ctl_password_free(password);
	records = json_array();
	if ((code = ctl_ask(c, "users", request, records)) == 0) {
		last = json_array_get(records, json_array_size(records) - 1);
		ctl_say(c, last, "%s", ctl_str(last, "hash"));
	}
	json_decref(records);
	return code;
}
