/*
 * t_submitctl.c - submitctl against the verbs of auth/control*.c and against
 * daemons that answer as told: what it prints, its exit codes, and what its
 * changes do. The serving side is a process of its own.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>

#include <cmocka.h>

#include "auth/control.h"
#include "auth/core.h"
#include "auth/census.h"
#include "auth/guess.h"
#include "auth/quota.h"
#include "auth/ops.h"
#include "auth/verify.h"
#include "lib/clock.h"
#include "lib/ipc.h"
#include "tests/unit/db_scratch.h"

#define ALICE "alice@example.org"

static pid_t server_pid;

/* ---------------------------------------------------------------- serving -- */

static struct core core;

static void
answer(void *ctx, struct control_call *call, const json_t *args)
{
	const char *verb = control_arg(args, "verb");
	json_t *unknown = json_array(), *id;
	size_t i, n = 0;

	(void)ctx;
	json_array_foreach(json_object_get(args, "ids"), i, id) {
		n++;
		if (strcmp(json_string_value(id), "aaaabbbbccccdddd") != 0)
			json_array_append(unknown, id);
	}
	if (strcmp(verb, "queue.list") == 0) {
		control_record(call, json_pack("{s:s, s:s, s:s, s:I, s:I, s:i,"
		    " s:i, s:[{s:s, s:s, s:s, s:i, s:i, s:s}]}",
		    "id", "aaaabbbbccccdddd", "sender", ALICE, "user", ALICE,
		    "octets", (json_int_t)3 * 1024 * 1024, "arrived_s",
		    (json_int_t)1700000000, "n_recipients", 1, "n_pending", 1,
		    "recipients", "address", "bob@example.net", "state",
		    "pending", "why", "deferred", "tries", 2, "next_try_s", 1700000300,
		    "last", "451 \033[31mlater \302\2332J\177"));
		control_done(call);
		json_decref(unknown);
		return;
	}
	if (strcmp(verb, "queue.count") == 0)
		control_done_with(call, json_pack("{s:i}", "messages", 3));
	else if (strcmp(verb, "queue.delete") == 0)
		control_done_with(call, json_pack("{s:i, s:O}", "deleted",
		    (int)(n - json_array_size(unknown)), "unknown", unknown));
	else
		control_done_with(call, json_pack("{s:i, s:i, s:b, s:b, s:b}",
		    "messages", 1, "recipients_pending", 1, "nospace", 0,
		    "authd", 1, "send", 1));
	json_decref(unknown);
}

/* More than a caller may let wait. */
static void
answer_much(void *ctx, struct control_call *call, const json_t *args)
{
	static char text[100000];

	(void)ctx;
	(void)args;
	memset(text, 'x', sizeof(text) - 1);
	for (int i = 0; i < 700; i++)
		control_record(call, json_pack("{s:s}", "text", text));
	control_done(call);
}

static const struct control_verb queue_verbs[] = {
	{ "much", answer_much, false },
	{ "queue.list", answer, false },
	{ "queue.count", answer, false },
	{ "queue.delete", answer, false },
	{ "status", answer, false },
	{ NULL, NULL, false },
};

static void
parent_answer(void *ctx, struct control_call *call, const json_t *args)
{
	const char *name = ctx;

	if (strcmp(control_arg(args, "verb"), "reload") == 0) {
		if (strcmp(name, "popd") == 0)
			control_fail(call, EX_CONFIG, "port is taken");
		else
			control_done(call);
		return;
	}
	control_record(call, json_pack("{s:s, s:i, s:s, s:i, s:i}",
	    "process", "some-child", "pid", 7, "state", "ready", "restarts",
	    0, "since_s", 1700000000));
	control_done_with(call, json_pack("{s:s, s:i, s:b, s:b, s:i, s:i, "
	    "s:[{s:s, s:s, s:s, s:i, s:s}]}",
	    "daemon", name, "pid", 6, "ready", 1, "roles_are_walls", 0,
	    "since_s", 1700000000, "tls_days_left", 60, "certificates",
	    "file", "/cert.pem", "names", "a.example", "kind", "RSA",
	    "days_left", 60, "warning", ""));
}

static const struct control_verb parent_verbs[] = {
	{ "status", parent_answer, false },
	{ "reload", parent_answer, false },
	{ NULL, NULL, false },
};

static void
serve(int dir, const char *name, const struct control_verb *verbs, void *ctx)
{
	struct err e = { 0 };
	int fd = ipc_bind(dir, name, 0600, getuid(), getgid(), &e);

	if (fd < 0 || control_new(core.loop, fd, name, verbs, ctx) == NULL) {
		fprintf(stderr, "%s: %s\n", name, e.text);
		_exit(1);
	}
}

/* SIGUSR1: alice logged in by POP3 at two places. */
static void
grant_now(void *ctx)
{
	const char *where[] = { "192.0.2.1", "2001:db8::1" };
	struct relay_grant_args args = { .ttl_s = 1800, .protocol =
	    GRANT_PROTO_POP3, .source = GRANT_POP, .tls = true };
	struct user_record rec;
	struct addr a;
	struct err e;

	(void)ctx;
	if (userdb_get(core.userdb, ALICE, &rec, &e) != 0)
		_exit(1);
	args.generation = rec.credentials[0].generation;
	for (size_t i = 0; i < 2; i++)
		if (addr_parse_ip(where[i], &a) != 0 ||
		    relay_cache_grant(core.relay, &a, ALICE, &args,
		    clock_now_s(), NULL, &e) != 0)
			_exit(1);
}

static void
server_stop(void *ctx)
{
	loop_stop(ctx);
}

static void
server(int ready, const char *conf_file)
{
	static char authd[] = "authd", submitd[] = "submitd", popd[] = "popd";
	const struct conf_args args = { .file = conf_file };
	struct err e = { 0 };
	char path[64];
	int dir;

	(void)snprintf(path, sizeof(path), "%s/db", scratch_dir);
	core.loop = loop_new();
	core.pool = pool_new(core.loop, 2, 16);
	if (conf_load(&args, &core.conf, &e) != 0 ||
	    dbenv_open(path, &core.dbenv, &e) != 0 ||
	    userdb_open(core.dbenv, &core.userdb, &e) != 0 ||
	    placesdb_open(core.dbenv, &core.places, &e) != 0 ||
	    quotadb_open(core.dbenv, &core.quotadb, &e) != 0 ||
	    usagedb_open(core.dbenv, &core.usage, &e) != 0 ||
	    (core.quota = quota_new(core.quotadb)) == NULL ||
	    (core.ops = ops_new(&core)) == NULL ||
	    (core.guess = guess_new(core.keys.guess)) == NULL ||
	    (core.census = census_new(4096)) == NULL ||
	    (core.verify = verify_new(core.keys.fake, core.census)) == NULL ||
	    relay_cache_open(core.dbenv, 128, &core.relay, &e) != 0) {
		fprintf(stderr, "%s\n", e.text);
		_exit(1);
	}
	(void)snprintf(path, sizeof(path), "%s/run/control", scratch_dir);
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	serve(dir, "users", core_verbs, &core);
	serve(dir, "queue", queue_verbs, NULL);
	serve(dir, authd, parent_verbs, authd);
	serve(dir, submitd, parent_verbs, submitd);
	serve(dir, popd, parent_verbs, popd);
	loop_signal(core.loop, SIGTERM, server_stop, core.loop);
	loop_signal(core.loop, SIGUSR1, grant_now, NULL);
	if (write(ready, "", 1) != 1)
		_exit(1);
	loop_run(core.loop);
	pool_free(core.pool);
	relay_cache_close(core.relay);
	quota_free(core.quota);
	quotadb_close(core.quotadb);
	usagedb_close(core.usage);
	placesdb_close(core.places);
	userdb_close(core.userdb);
	dbenv_close(core.dbenv);
	_exit(0);
}

/* ----------------------------------------------------------------- asking -- */

static char out[65536];

/* `submitctl -c CONF ARGS` with `input`; its output (both) is in `out`. */
static int
run(const char *args, const char *input)
{
	char cmd[1024];
	size_t n;
	FILE *p;
	int status;

	(void)snprintf(cmd, sizeof(cmd),
	    "printf '%%s' '%s' | db/submitctl -c %s/submitd.conf %s 2>&1",
	    input, scratch_dir, args);
	assert_non_null(p = popen(cmd, "r"));
	n = fread(out, 1, sizeof(out) - 1, p);
	out[n] = '\0';
	status = pclose(p);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

struct row {
	const char	*args, *input;
	int		 code;
	const char	*want;		/* in the output */
	const char	*never;		/* not in it, or NULL */
};

static void
try_rows(const struct row *rows, size_t n)
{
	int code;

	for (size_t i = 0; i < n; i++) {
		code = run(rows[i].args, rows[i].input);
		if (code != rows[i].code || strstr(out, rows[i].want) == NULL ||
		    (rows[i].never != NULL &&
		    strstr(out, rows[i].never) != NULL))
			fail_msg("%s: exit %d\n%s", rows[i].args, code, out);
	}
}
#define TRY(rows) try_rows(rows, sizeof(rows) / sizeof(rows[0]))

static void
t_usage(void **state)
{
	static const struct row rows[] = {
		{ "", "", EX_USAGE, "which command", NULL },
		{ "fly", "", EX_USAGE, "no such command: fly", NULL },
		{ "user", "", EX_USAGE, "user alias list", "queue" },
		{ "user show", "", EX_USAGE, "usage: submitctl user show",
		    NULL },
		{ "user list x y", "", EX_USAGE, "too many", NULL },
		{ "user list --stdin", "", EX_USAGE, "option", NULL },
		{ "--fly", "", EX_USAGE, "help", NULL },
		{ "help", "", 0, "queue delete ID...|ALL", NULL },
		{ "help grant", "", 0, "grant purge", "queue" },
		{ "help fly", "", EX_USAGE, "no command", NULL },
		{ "--version", "", 0, PACKAGE_VERSION, NULL },
	};

	(void)state;
	TRY(rows);
}

static void
t_users(void **state)
{
	static const struct row rows[] = {
		{ "user list", "", 0, "USER", "@" },
		{ "user add alice --stdin", "secret one\n", 0,
		    "user " ALICE " added; his Maildir will be", "secret" },
		{ "user add Alice@Example.ORG --stdin", "x\n", EX_DATAERR,
		    "there is a user " ALICE, NULL },
		{ "user add bob@elsewhere.example --stdin note=hello may_pop=no",
		    "secret two", 0, "warning: domain elsewhere.example", NULL },
		{ "user add a@b@c --stdin", "x\n", EX_DATAERR, "NAME@DOMAIN",
		    NULL },
		{ "user add x --stdin", "", EX_DATAERR, "line", NULL },
		{ "user add x --stdin", "\n", EX_DATAERR, "empty", NULL },
		{ "user add x --stdin", "a\001b\n", EX_DATAERR, "SASLprep",
		    NULL },
		{ "user add x --stdin may_submit=maybe", "x\n", EX_USAGE,
		    "yes or no", NULL },
		{ "user add x --stdin note=", "x\n", 0, "added", NULL },
		{ "user delete x", "", 0, "his Maildir stays: /", NULL },
		{ "user delete x", "", EX_NOUSER, "there is no user", NULL },
		{ "user list", "", 0, "bob@elsewhere.example", NULL },
		{ "user list -j", "", 0, "\"user\":\"" ALICE "\"", "USER" },
		{ "user show bob@elsewhere.example", "", 0, "hello", NULL },
		{ "user set alice may_submit=no note=\"a b\"", "", 0,
		    "may_submit=no note=a b", NULL },
		{ "user set alice may_submit=yes", "", 0, "may_submit=yes", NULL },
		{ "user set alice fly=yes", "", EX_USAGE, "may_open_relay=",
		    NULL },
		{ "user set alice messages_day=200 message_size=50M quota=1G "
		    "may_open_relay=no", "", 0, "quota=1G", NULL },
		{ "user show alice", "", 0, "messages/day:       200", NULL },
		{ "user show alice", "", 0, "quota:              1.0G", NULL },
		{ "user show alice -j", "", 0, "\"message_octets\":52428800",
		    NULL },
		{ "user set alice messages_day=none", "", 0, "none", NULL },
		{ "user set alice quota=-1", "", EX_USAGE, "octets", NULL },
		{ "user set alice messages_hour=x", "", EX_USAGE, "a number",
		    NULL },
		{ "user set alice home=a/../b", "", EX_DATAERR, "mail_root",
		    NULL },
		{ "user set alice home=/etc", "", EX_DATAERR, "mail_root",
		    NULL },
		{ "user set alice home=big/100%/alice", "", 0, "not moved",
		    NULL },
		{ "user show alice", "", 0, "/big/100%/alice", NULL },
		{ "user list al*", "", 0, ALICE, "bob@" },
		{ "user list *@Elsewhere.example", "", 0, "bob@", ALICE },
		{ "user list x*", "", 0, "USER", "@" },
		{ "user list --without-scram", "", 0, "USER", "@" },
		{ "user add a#b --stdin", "x\n", EX_DATAERR, "app password",
		    NULL },
		{ "user disable alice --sending", "", 0, "sending disabled",
		    NULL },
		{ "user disable alice", "", 0, "is disabled", NULL },
		{ "user disable alice", "", 0, "3 of his messages wait", NULL },
		{ "user enable alice", "", 0, "is enabled", NULL },
		{ "user alias add alice sales@example.org", "", 0,
		    "sales@example.org now reaches " ALICE, NULL },
		{ "user alias add alice sales@example.org", "", EX_DATAERR,
		    "already", NULL },
		{ "user show alice", "", 0, "sales@example.org", NULL },
		{ "user show sales", "", EX_NOUSER,
		    "sales@example.org is no user, but an address of user "
		    ALICE, NULL },
		{ "user show nobody", "", EX_NOUSER, "no user nobody@", "but" },
		{ "user alias list alice", "", 0, "sales@example.org", NULL },
		{ "user alias list -j", "", 0, "sales@example.org", NULL },
		{ "user alias delete " ALICE, "", EX_DATAERR, "own address",
		    NULL },
		{ "user alias delete sales@example.org", "", 0, "no longer",
		    NULL },
		{ "user passwd nobody --stdin", "x\n", EX_NOUSER, "no user",
		    NULL },
	};

	(void)state;
	TRY(rows);
}

static void
t_credentials(void **state)
{
	static const struct row rows[] = {
		{ "user add alice --stdin", "one\n", 0, "added", NULL },
		{ "user credential add alice phone", "", 0,
		    "shown only now:\n", NULL },
		{ "user credential add alice phone", "", EX_DATAERR,
		    "already", NULL },
		{ "user credential add alice tablet --stdin --scope pop",
		    "two\n", 0, ALICE "#tablet", "two" },
		{ "user credential add alice x --expires 0s", "", EX_DATAERR,
		    "time is over", NULL },
		{ "user credential add alice x --expires 2001-02-03", "",
		    EX_DATAERR, "time is over", NULL },
		{ "user credential add alice x --expires soon", "", EX_USAGE,
		    "30d", NULL },
		{ "user credential add alice x --scope imap", "", EX_DATAERR,
		    "all, smtp, pop or no-relay", NULL },
		{ "user credential add alice \"a b\"", "", EX_DATAERR,
		    "not a label", NULL },
		{ "user credential add alice "
		    "aaaaaaaaaabbbbbbbbbbccccccccccddd", "", EX_DATAERR,
		    "not a label", NULL },
		{ "user credential add alice year --expires 365d -j", "", 0,
		    "\"password\":\"", NULL },
		{ "user credential list alice", "", 0, "tablet  pop", NULL },
		{ "user credential list alice -j", "", 0, "\"expires_s\":",
		    "key" },
		{ "user show alice", "", 0, "passwords:          4", NULL },
		{ "user credential delete alice phone", "", 0, "deleted",
		    NULL },
		{ "user credential delete alice phone", "", EX_NOUSER,
		    "no credential", NULL },
		{ "user certificate add alice tablet "
		    "/dev/null", "", EX_DATAERR, "PEM", NULL },
		{ "user certificate add alice tablet cert.pem", "",
		    EX_NOINPUT, "cert.pem", NULL },
		{ "user certificate delete alice tablet", "", EX_NOUSER,
		    "no certificate", NULL },
		{ "user certificate list alice", "", 0, "SHA-256", "tablet" },
		{ "user secret add alice --stdin", "three\n", 0,
		    "secret of " ALICE " set", "three" },
		{ "user secret list alice", "", 0, ALICE, NULL },
		{ "user secret delete alice", "", 0, "deleted", NULL },
		{ "user secret delete alice", "", EX_NOUSER, "no secret",
		    NULL },
		{ "user add bob --stdin", "x\n", 0, "added", NULL },
		{ "user allow-as add alice bob", "", 0,
		    ALICE " may act for bob@example.org", NULL },
		{ "user allow-as add alice nobody", "", EX_NOUSER, "no user",
		    NULL },
		{ "user allow-as list alice", "", 0, "bob@example.org", NULL },
		{ "user show alice", "", 0, "may act for:        bob@", NULL },
		{ "user allow-as delete alice bob", "", 0, "no longer", NULL },
		{ "user allow-as delete alice bob", "", EX_NOUSER,
		    "may not act", NULL },
		{ "user alias add alice @Sales.example", "", 0,
		    "@sales.example now reaches", NULL },
		{ "auth test alice --stdin", "one\n", 0, "main password",
		    "one" },
		{ "auth test ALICE#tablet --stdin", "two\n", 0, "tablet",
		    "two" },
		{ "auth test alice --stdin", "four\n", 1, "wrong password",
		    "four" },
		{ "auth test nobody --stdin", "four\n", 1, "no such user",
		    NULL },
		{ "auth test -A SCRAM-SHA-256 alice --stdin", "one\n", 0,
		    "right", NULL },
		{ "auth test -A SCRAM-SHA-256 alice --stdin", "two\n", 1,
		    "wrong", NULL },
		{ "auth test -A EXTERNAL alice --stdin", "one\n", EX_DATAERR,
		    "takes a password", NULL },
		{ "auth test -x 192.0.2.1 alice --stdin", "one\n", EX_USAGE,
		    "rip=", NULL },
		{ "auth test -x rip=192.0.2.1 alice --stdin", "one\n", 0,
		    "right", NULL },
		{ "who", "", 0, "SESSION", "@" },
		{ "who alice 192.0.2.0/24", "", 0, "SESSION", "@" },
		{ "who -1", "", 0, "", "S" },
		{ "kick alice", "", 0, "end now", NULL },
		{ "kick", "", EX_USAGE, "missing", NULL },
		{ "kick ALL 192.0.2.0/24", "", 0, "end now", NULL },
	};

	(void)state;
	TRY(rows);
	/* A full house. */
	for (int i = 0; i < 22; i++) {
		char cmd[64];

		(void)snprintf(cmd, sizeof(cmd),
		    "user credential add alice n%d", i);
		if (run(cmd, "") != (i < 21 ? 0 : EX_DATAERR))
			fail_msg("%s: %s", cmd, out);
	}
	assert_non_null(strstr(out, "24 credentials"));
}

/* What ends grants. */
static void
t_grants(void **state)
{
	static const struct row before[] = {
		{ "user add alice --stdin", "one\n", 0, "added", NULL },
		{ "grant list", "", 0, "ADDRESS", "@" },
		{ "grant query 192.0.2.1", "", 1, "not allowed", NULL },
		{ "grant query 192.0.2.0/24", "", 1, "not allowed", NULL },
		{ "grant query elsewhere", "", 1, "not allowed", NULL },
		{ "grant query 192.0.2.300", "", EX_DATAERR, "not an IP",
		    NULL },
		{ "grant revoke", "", EX_USAGE, "ALL", NULL },
	};
	static const struct row live[] = {
		{ "grant list", "", 0, ALICE, NULL },
		{ "grant list 192.0.2.0/24", "", 0, "192.0.2.1", "2001" },
		{ "grant list --user bob@example.org", "", 0, "ADDRESS", "@" },
		{ "grant list -j", "", 0, "\"live\":true", "ADDRESS" },
		{ "grant query 192.0.2.1", "", 0,
		    ALICE " at 192.0.2.1/32 (may send)", NULL },
		{ "grant query 192.0.2.2", "", 1, "not allowed", NULL },
		{ "grant query 192.0.2.1 --user bob", "", 1, "not allowed",
		    NULL },
		{ "grant purge", "", 0, "0 removed", NULL },
	};
	static const struct row ends[] = {
		{ "grant revoke 192.0.2.1", "", 0, "1 revoked", NULL },
		{ "grant revoke 192.0.2.0/24", "", 0, "1 revoked", NULL },
		{ "grant revoke " ALICE, "", 0, "2 revoked", NULL },
		{ "grant revoke --user " ALICE, "", 0, "2 revoked", NULL },
		{ "grant revoke ALL", "", 0, "2 revoked", NULL },
		{ "user passwd alice --stdin", "two\n", 0, "revoked", NULL },
		{ "user disable alice", "", 0, "disabled", NULL },
		{ "user set alice may_submit=no", "", 0, "may_submit=no", NULL },
		{ "user delete alice", "", 0, "stays", NULL },
	};
	static const struct row gone = { "grant query 192.0.2.1", "", 1,
	    "not allowed", NULL };

	(void)state;
	TRY(before);
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		kill(server_pid, SIGUSR1);
		for (int k = 0; k < 200 && run("grant query 192.0.2.1 "
		    "--user alice -j", "") > 1; k++)
			usleep(10000);
		if (i < 6)
			TRY(live);
		try_rows(&ends[i], 1);
		try_rows(&gone, 1);
	}
}

static void
t_queue(void **state)
{
	static const struct row rows[] = {
		{ "queue list", "", 0, "bob@example.net", "\033" },
		{ "queue list", "", 0, "451 ?[31mlater ??2J?", "\302\233" },
		{ "queue list", "", 0, "3.0M", "\177" },
		{ "queue list -j", "", 0, "\"recipients\":[", NULL },
		{ "queue delete aaaabbbbccccdddd", "", 0, "1 deleted", NULL },
		{ "queue delete zzz aaaabbbbccccdddd", "", EX_NOUSER,
		    "1 deleted", NULL },
		{ "queue delete -", "zzz 1\n\n", EX_NOUSER,
		    "no message zzz is queued", NULL },
		{ "queue delete -", "aaaabbbbccccdddd 3.0M\n"
		    "{\"id\": \"aaaabbbbccccdddd\"}\n{\"id\": 1}\n{\n", 0,
		    "2 deleted", NULL },
		{ "queue delete -", "", 0, "0 deleted", NULL },
		{ "queue delete --user alice@example.org", "", 0, "0 deleted",
		    NULL },
		{ "queue list --since soon", "", EX_USAGE, "duration", NULL },
		{ "queue list", "", 0, "deferred", NULL },
		{ "queue hold", "", EX_USAGE, "missing", NULL },
		{ "queue release -j", "", EX_USAGE, "missing", NULL },
		{ "queue show", "", EX_USAGE, "which messages", NULL },
		{ "queue delete", "", EX_USAGE, "missing", NULL },
		{ "queue flush", "", EX_USAGE, "no such verb", NULL },
	};

	(void)state;
	TRY(rows);
}

static void
count_record(void *ctx, const json_t *record, int fd)
{
	int *n = ctx;

	(void)record;
	assert_int_equal(fd, -1);
	++*n;
}

static void
t_much(void **state)
{
	json_t *request = json_pack("{s:s}", "verb", "much");
	struct err e = { 0 };
	char path[64];
	int n = 0;

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/run/control/queue", scratch_dir);
	assert_int_equal(control_ask(path, request, 30, count_record, &n, &e),
	    EX_TEMPFAIL);
	assert_non_null(strstr(e.text, "too long"));
	assert_true(n > 600 && n < 700);
	json_decref(request);
}

static void
t_service(void **state)
{
	static const struct row rows[] = {
		{ "status", "", 0, "some-child", NULL },
		{ "status", "", 0, "healthy", "!" },
		{ "status", "", 0, "roles are not walls", NULL },
		{ "status", "", 0, "60 days left", NULL },
		{ "status -j", "", 0, "\"status\":\"healthy\"", NULL },
		{ "reload", "", EX_CONFIG, "popd: refused", NULL },
		{ "reload", "", EX_CONFIG, "authd: reloaded", NULL },
		{ "config check", "", 0, "is fine", NULL },
		{ "config show hostname", "", 0, "mail.example.org\n", "=" },
		{ "config show -n", "", 0, "local_domains = ", "retry_min" },
		{ "config show -d", "", 0, "retry_min = ", NULL },
		{ "config show fly", "", EX_USAGE, "no key fly", NULL },
		{ "config check -o hostname=nodot", "", EX_CONFIG, "hostname",
		    NULL },
		{ "reload -o hostname=nodot", "", EX_CONFIG, "hostname",
		    "reloaded" },
	};

	(void)state;
	TRY(rows);
}

static void
t_away(void **state)
{
	static const struct row rows[] = {
		{ "status -o run_dir=nowhere", "", 2, "down", NULL },
		{ "user list -o run_dir=nowhere", "", EX_UNAVAILABLE,
		    "Is it running?", NULL },
		{ "queue list -o run_dir=nowhere", "", EX_UNAVAILABLE,
		    "submitd does not answer", NULL },
		{ "reload -o run_dir=nowhere", "", EX_UNAVAILABLE,
		    "authd: not running", NULL },
	};

	(void)state;
	TRY(rows);
}

/* ------------------------------------------------------------------ frame -- */

static int
t_setup(void **state)
{
	char path[64];
	int fds[2];
	char ch;
	FILE *f;

	(void)state;
	if (scratch_make() != 0 || pipe(fds) != 0)
		return -1;
	for (size_t i = 0; i < 3; i++) {
		static const char *dirs[] = { "db", "run", "run/control" };

		(void)snprintf(path, sizeof(path), "%s/%s", scratch_dir,
		    dirs[i]);
		if (mkdir(path, 0700) != 0)
			return -1;
	}
	(void)snprintf(path, sizeof(path), "%s/submitd.conf", scratch_dir);
	if ((f = fopen(path, "w")) == NULL)
		return -1;
	fputs("hostname = mail.example.org\n"
	    "local_domains = { example.org }\n"
	    "run_dir = run\ndb_dir = db\n", f);
	if (fclose(f) != 0 || (server_pid = fork()) < 0)
		return -1;
	if (server_pid == 0) {
		close(fds[0]);
		server(fds[1], path);
	}
	close(fds[1]);
	if (read(fds[0], &ch, 1) != 1)
		return -1;
	close(fds[0]);
	return 0;
}

static int
t_teardown(void **state)
{
	char cmd[64];
	int status = -1;

	(void)state;
	kill(server_pid, SIGTERM);
	waitpid(server_pid, &status, 0);
	(void)snprintf(cmd, sizeof(cmd), "rm -rf %s", scratch_dir);
	return status != 0 || system(cmd) != 0 ? -1 : 0;
}

int
main(void)
{
#define ROW(f) cmocka_unit_test_setup_teardown(f, t_setup, t_teardown)
	static const struct CMUnitTest tests[] = {
		ROW(t_usage),
		ROW(t_users),
		ROW(t_credentials),
		ROW(t_grants),
		ROW(t_queue),
		ROW(t_much),
		ROW(t_service),
		ROW(t_away),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
