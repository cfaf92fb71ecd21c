/*
 * submitctl.c - the administrator's command: options, the table of commands,
 * help, and asking the daemons. Runs as whoever called it. It must never take
 * a password from its arguments.
 */
#include "config.h"

#include "db/submitctl.h"

#include <errno.h>
#include <getopt.h>
#include <locale.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "lib/clock.h"
#include "lib/control.h"
#include "lib/str.h"

#define CTL_OVERRIDES_MAX	64
#define CTL_WAIT_S		30
#define CTL_ARGS_MAX		100000
#define CTL_QUEUE_WHICH		(CTL_USER | CTL_MAIL_FROM | CTL_MAIL_TO | \
				CTL_SINCE | CTL_HELD)

const struct ctl_cmd ctl_cmds[] = {
	{ "user add", "USER [KEY=VALUE]...",
	  "add a user; asks for the password", 1, 13, CTL_STDIN,
	  ctl_user_add },
	{ "user passwd", "USER", "set another password; ends his grants",
	  1, 1, CTL_STDIN, ctl_user_passwd },
	{ "user list", "[PATTERN]", "all users, or those like *@example.org",
	  0, 1, CTL_WITHOUT_SCRAM, ctl_user_list },
	{ "user show", "USER", "one user, with his addresses and Maildir",
	  1, 1, 0, ctl_user_show },
	{ "user set", "USER KEY=VALUE...",
	  "set rights, limits, quota, note, home: see submitctl(8)", 2, 13, 0,
	  ctl_user_set },
	{ "user disable", "USER",
	  "no login and no sending from now on; --sending: no sending",
	  1, 1, CTL_SENDING, ctl_user_disable },
	{ "user enable", "USER", "the opposite of user disable, of either kind",
	  1, 1, 0, ctl_user_enable },
	{ "user delete", "USER",
	  "remove the user and his addresses; the Maildir stays", 1, 1, 0,
	  ctl_user_delete },
	{ "user import", "[FILE|-]",
	  "add users from a passwd-file, htpasswd, sasldb2 or an export",
	  0, 1, CTL_CHECK | CTL_UPDATE | CTL_REPLACE | CTL_MAX_MISSING |
	  CTL_FORMAT | CTL_DOMAIN, ctl_user_import },
	{ "user export", "[USER]...",
	  "all that is stored of these users, or of all, as lines of JSON",
	  0, 64, CTL_FORCE, ctl_user_export },
	{ "user hash", "", "make a line of SCRAM keys that user import takes",
	  0, 0, CTL_STDIN | CTL_SCHEME, ctl_user_hash },
	{ "user alias add", "USER ADDRESS",
	  "one more address that reaches the user, and that he may send as",
	  2, 2, 0, ctl_alias_add },
	{ "user alias delete", "ADDRESS", "remove such an address", 1, 1, 0,
	  ctl_alias_delete },
	{ "user alias list", "[USER]", "aliases of one user, or of all",
	  0, 1, 0, ctl_alias_list },
	{ "user credential add", "USER LABEL",
	  "one more password, for one device or program", 2, 2,
	  CTL_STDIN | CTL_ASK | CTL_SCOPE | CTL_EXPIRES, ctl_credential_add },
	{ "user credential delete", "USER LABEL",
	  "end such a password; the others stay", 2, 2, 0,
	  ctl_credential_delete },
	{ "user credential list", "USER", "his passwords, but not what they are",
	  1, 1, 0, ctl_credential_list },
	{ "user certificate add", "USER LABEL FILE",
	  "let him log in by this certificate (PEM; EXTERNAL)", 3, 3,
	  CTL_SCOPE | CTL_EXPIRES, ctl_certificate_add },
	{ "user certificate delete", "USER LABEL", "no longer", 2, 2, 0,
	  ctl_certificate_delete },
	{ "user certificate list", "USER", "his certificates", 1, 1, 0,
	  ctl_certificate_list },
	{ "user allow-as add", "USER OTHER",
	  "USER may log in as himself and act for OTHER", 2, 2, 0,
	  ctl_allow_as_add },
	{ "user allow-as delete", "USER OTHER", "no longer", 2, 2, 0,
	  ctl_allow_as_delete },
	{ "user allow-as list", "USER", "for whom he may act", 1, 1, 0,
	  ctl_allow_as_list },
	{ "user secret add", "USER",
	  "a secret for CRAM-MD5 and APOP alone; authd can read it", 1, 1,
	  CTL_STDIN, ctl_secret_add },
	{ "user secret delete", "USER", "remove it", 1, 1, 0,
	  ctl_secret_delete },
	{ "user secret list", "USER", "has he one, and since when?", 1, 1, 0,
	  ctl_secret_list },
	{ "auth test", "USER",
	  "what a login with this password would get, and why; exits 0 or 1",
	  1, 1, CTL_STDIN | CTL_MECH | CTL_FROM, ctl_auth_test },
	{ "why", "--ip ADDRESS [--user USER] [--from SENDER] [--to RECIPIENT]",
	  "would mail from there be taken, and which key or fact decides? exits "
	  "0 or 1", 0, 0, CTL_IP | CTL_USER | CTL_MAIL_FROM | CTL_MAIL_TO, ctl_why },
	{ "trace-origin", "'RECEIVED LINE'|TOKEN",
	  "who sent the message with this line in its header, and from where",
	  1, 1, 0, ctl_trace_origin },
	{ "who", "[USER] [ADDRESS|NETWORK]", "who is logged in now; -1: names",
	  0, 2, CTL_ONE, ctl_who },
	{ "kick", "USER|ALL [ADDRESS|NETWORK]", "end these sessions", 1, 2, 0,
	  ctl_kick },
	{ "recent", "[USER|ADDRESS|NETWORK|SENDER|@DOMAIN|ID]",
	  "past sessions: what failed, and what to tell who calls", 0, 1,
	  CTL_SINCE, ctl_recent },
	{ "grant list", "[ADDRESS|NETWORK|USER]",
	  "who may send by POP-before-SMTP now; --all: expired ones too",
	  0, 1, CTL_ALL | CTL_USER, ctl_grant_list },
	{ "grant query", "ADDRESS|NETWORK|USER",
	  "may anybody send from there, or this user? exits 0 if so, 1 if not",
	  1, 1, CTL_USER, ctl_grant_query },
	{ "grant add", "USER ADDRESS [max_messages=N] [max_recipients=N]",
	  "let a user send from an address; --expires: until then",
	  2, 4, CTL_EXPIRES, ctl_grant_add },
	{ "grant revoke", "[ADDRESS|NETWORK|USER|ALL]",
	  "end grants at once", 0, 1, CTL_USER, ctl_grant_revoke },
	{ "grant report", "[users|addresses|brownouts]",
	  "how users send, which clients are too old, what brown-outs brought",
	  0, 1, CTL_CSV | CTL_USER, ctl_grant_report },
	{ "grant purge", "", "remove the expired ones", 0, 0, 0,
	  ctl_grant_purge },
	{ "blocked list", "[ADDRESS|NETWORK|USER]",
	  "where and whose logins are refused for now, for guessing",
	  0, 1, 0, ctl_blocked_list },
	{ "blocked clear", "ADDRESS|NETWORK|USER|ALL",
	  "end these blocks at once", 1, 1, 0, ctl_blocked_clear },
	{ "limits reset", "USER", "forget what he has sent; his limits stay",
	  1, 1, 0, ctl_limits_reset },
	{ "limits", "USER", "what he may send, what he has, and what is left",
	  1, 1, 0, ctl_limits },
	{ "queue list", "[ID]...", "messages that wait for delivery, and why",
	  0, CTL_ARGS_MAX, CTL_QUEUE_WHICH, ctl_queue_list },
	{ "queue show", "ID...", "a message: recipients, tries, last answers",
	  0, CTL_ARGS_MAX, CTL_QUEUE_WHICH, ctl_queue_show },
	{ "queue hold", "ID...|ALL", "keep messages, and try them no more for "
	  "now", 0, CTL_ARGS_MAX, CTL_QUEUE_WHICH | CTL_ALL, ctl_queue_hold },
	{ "queue release", "ID...|ALL", "let held messages go on",
	  0, CTL_ARGS_MAX, CTL_QUEUE_WHICH | CTL_ALL, ctl_queue_release },
	{ "queue flush", "[ID]...", "try these, or all, now",
	  0, CTL_ARGS_MAX, CTL_QUEUE_WHICH | CTL_ALL, ctl_queue_flush },
	{ "queue delete", "ID...|ALL", "remove messages, without a bounce",
	  0, CTL_ARGS_MAX, CTL_QUEUE_WHICH | CTL_ALL, ctl_queue_delete },
	{ "maildrop import-uidl", "USER...|--all",
	  "take over the UIDLs of Dovecot or Courier, so that nothing is fetched "
	  "twice", 0, CTL_ARGS_MAX, CTL_ALL | CTL_CHECK | CTL_FORMAT | CTL_FORCE,
	  ctl_maildrop_import_uidl },
	{ "maildrop uidl-diff", "OLD-LIST USER",
	  "has a mailbox the UIDLs that this list has? exits 0 or 1", 2, 2, 0,
	  ctl_maildrop_uidl_diff },
	{ "db check", "", "verify the database, while it is in use; exits 0 "
	  "or 1", 0, 0, 0, ctl_db_check },
	{ "db backup", "FOLDER", "a copy of the database and its keys, while "
	  "it is in use", 1, 1, 0, ctl_db_backup },
	{ "db compact", "", "give unused room in the database back", 0, 0, 0,
	  ctl_db_compact },
	{ "db recover", "", "how to recover or restore the database", 0, 0, 0,
	  ctl_db_recover },
	{ "config check", "", "is the configuration right? exits 0 or 78",
	  0, 0, 0, ctl_config_check },
	{ "config show", "[KEY]",
	  "the values; -n: what differs from the defaults, -d: the defaults",
	  0, 1, CTL_CHANGED | CTL_DEFAULTS,
	  ctl_config_show },
	{ "reload", "", "check the configuration and have all daemons take it",
	  0, 0, 0, ctl_reload },
	{ "status", "", "is all running? exits 0 healthy, 1 degraded, 2 down",
	  0, 0, 0, ctl_status },
	{ "help", "[WORD]", "this list, or what it says about a word", 0, 3, 0,
	  ctl_help },
	{ NULL, NULL, NULL, 0, 0, 0, NULL },
};

int
ctl_fail(int code, const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	fputs("submitctl: ", stderr);
	va_start(ap, fmt);
	ctl_put_safe(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return code;
}

/* ------------------------------------------------------------------ help -- */

static void
ctl_help_row(const struct ctl_cmd *cmd, FILE *to)
{
	fprintf(to, "  %s%s%s\n\t%s\n", cmd->words,
	    cmd->usage[0] != '\0' ? " " : "", cmd->usage, cmd->help);
}

/* Options, and of which commands they are; 0: of all. */
static const struct {
	unsigned int	 of;		/* CTL_ALL, … */
	const char	*text;
} ctl_help_opts[] = {
	{ 0, "  -c FILE           the configuration file\n"
	    "  -o KEY=VALUE      overrides a value, may be repeated\n"
	    "  --root DIR        an instance below DIR\n"
	    "  -j, --json        JSON, one object a line\n" },
	{ CTL_CSV, "  --csv             of grant report: for a spreadsheet\n" },
	{ CTL_STDIN,
	    "  --stdin           the password is the first line of the input\n" },
	{ CTL_USER,
	    "  --user USER       only this user's grants, or messages\n" },
	{ CTL_HELD, "  --from, --to ADDRESS|@DOMAIN, --held\n"
	    "                    of mail that waits: only what fits; ids may "
	    "be \"-\":\n"
	    "                    on the standard input, one a line\n" },
	{ CTL_ALL, "  --all             expired grants too; of import-uidl: "
	    "all users\n" },
	{ CTL_IP, "  --ip, --from, --to ADDRESS\n"
	    "                    of why: the client's, a sender, a recipient\n" },
	{ CTL_SCOPE,
	    "  --scope SCOPE     what a credential is for: all, smtp, pop, or\n"
	    "                    no-relay: all, but its logins give no grant\n" },
	{ CTL_SINCE,
	    "  --since DURATION  how far back recent looks: 12h, 2d (the default);\n"
	    "                    of mail that waits: what arrived since\n" },
	{ CTL_EXPIRES,
	    "  --expires WHEN    30d, 2027-01-31 or 2027-01-31T12:00\n" },
	{ CTL_ASK,
	    "  --ask             of credential add: asks for the password\n" },
	{ CTL_SENDING,
	    "  --sending         of user disable: he may still fetch mail\n" },
	{ CTL_WITHOUT_SCRAM,
	    "  --without-scram   users whose password has no SCRAM keys\n" },
	{ CTL_ONE, "  -1                of who: a name a line, each once\n" },
	{ CTL_MECH,
	    "  -A MECHANISM      of auth test: PLAIN, SCRAM-SHA-256, ...\n" },
	{ CTL_FROM,
	    "  -x rip=ADDRESS    of auth test: where the login comes from\n" },
	{ CTL_CHANGED | CTL_DEFAULTS,
	    "  -n, -d            of config show: what was changed, the defaults\n" },
	{ CTL_CHECK,
	    "  --check           of imports: only say what would be done\n" },
	{ CTL_UPDATE, "  --update          change users who are there and differ\n" },
	{ CTL_REPLACE,
	    "  --replace         also disable users who are not in the file,\n"
	    "  --max-missing N   but not more than N, or N% of all (5%)\n" },
	{ CTL_FORMAT,
	    "  --format F        passwd-file, json, htpasswd or sasldb2; of UIDLs\n"
	    "                    dovecot, dovecot:POP3_UIDL_FORMAT or courier\n" },
	{ CTL_DOMAIN, "  --domain DOMAIN   of names that have none\n" },
	{ CTL_FORCE, "  --force           of user export: to a terminal too; of "
	    "import-uidl: also\n"
	    "                    what popd has shown under other UIDLs\n" },
	{ CTL_SCHEME,
	    "  --scheme S        of user hash: SCRAM-SHA-256, SCRAM-SHA-1\n" },
	{ 0, "  --version         which submitd this belongs to\n"
	    "USER is a full address; a bare name is one in default_domain, or in "
	    "the first\nlocal domain. See submitctl(8).\n" },
};

/* Those of the commands that were told. */
static void
ctl_help_options(unsigned int given)
{
	puts("\nOptions:");
	for (size_t i = 0; i < sizeof(ctl_help_opts) / sizeof(ctl_help_opts[0]);
	    i++)
		if (ctl_help_opts[i].of == 0 ||
		    (ctl_help_opts[i].of & given) != 0)
			fputs(ctl_help_opts[i].text, stdout);
}

/* Is it one of the words of the command, or in its help? */
static bool
ctl_help_fits(const struct ctl_cmd *cmd, int argc, char **argv)
{
	size_t len;
	const char *p;

	for (int i = 0; i < argc; i++) {
		len = strlen(argv[i]);
		for (p = cmd->words; p != NULL && len > 0; ) {
			if (strncmp(p, argv[i], len) == 0 &&
			    (p[len] == ' ' || p[len] == '\0'))
				break;
			p = strchr(p, ' ');
			p = p != NULL ? p + 1 : NULL;
		}
		if (p == NULL || len == 0)
			return false;
	}
	return true;
}

int
ctl_help(struct ctl *c)
{
	unsigned int options = 0;
	bool found = false;

	for (const struct ctl_cmd *cmd = ctl_cmds; cmd->words != NULL; cmd++) {
		if (!ctl_help_fits(cmd, c->argc, c->argv))
			continue;
		if (!found)
			puts("usage: submitctl [OPTION]... COMMAND\n");
		found = true;
		options |= cmd->options;
		ctl_help_row(cmd, stdout);
	}
	if (!found)
		return ctl_fail(EX_USAGE, "no command has the word \"%s\"; "
		    "\"submitctl help\" lists them all", c->argv[0]);
	ctl_help_options(options);
	return EX_OK;
}

/* ---------------------------------------------------- configuration, asking -- */

const char *
ctl_conf_file(struct ctl *c, char *dst, size_t size)
{
	if (c->args.file != NULL)
		return c->args.file;
	if (conf_default_file(c->args.root, dst, size) != 0)
		return "(path too long)";
	return dst;
}

int
ctl_conf(struct ctl *c)
{
	struct err e = { 0 };
	int r;

	if (c->conf != NULL)
		return 0;
	if ((r = conf_load(&c->args, &c->conf, &e)) == 0)
		return 0;
	c->conf = NULL;
	if (e.sys_errno == ENOENT && c->args.file == NULL)
		return ctl_fail(EX_CONFIG, "%s\nName the configuration with "
		    "-c FILE, or the instance with --root DIR.", e.text);
	return ctl_fail(r == ERR_NOMEM ? EX_OSERR : EX_CONFIG, "%s", e.text);
}

static void
ctl_append(void *ctx, const json_t *record, int fd)
{
	(void)fd;
	(void)json_array_append_new(ctx, json_deep_copy(record));
}

static int
ctl_ask_silent(struct ctl *c, const char *sock, json_t *request,
    int timeout_s, control_each_fn *each, void *ctx, struct err *reterr)
{
	char path[4096];
	int code;

	if (request == NULL)
		return err_set(reterr, ERR_NOMEM, "the request cannot be made "
		    "(no memory, or an argument is not UTF-8)"), EX_DATAERR;
	if (str_format(path, sizeof(path), "%s/control/%s", c->conf->run_dir,
	    sock) != 0) {
		json_decref(request);
		return err_set(reterr, ERR_LIMIT, "run_dir is too long"),
		    EX_CONFIG;
	}
	code = control_ask(path, request, timeout_s, each, ctx, reterr);
	json_decref(request);
	return code;
}

int
ctl_ask_quiet(struct ctl *c, const char *sock, json_t *request, int timeout_s,
    json_t *records, struct err *reterr)
{
	return ctl_ask_silent(c, sock, request, timeout_s, ctl_append,
	    records, reterr);
}

int
ctl_ask_each(struct ctl *c, const char *sock, json_t *request, int timeout_s,
    control_each_fn *each, void *ctx)
{
	const char *daemon = strcmp(sock, "queue") == 0 ? "submitd" :
	    strcmp(sock, "maildrop") == 0 ? "popd" : "authd";
	struct err e = { 0 };
	int code;

	if ((code = ctl_conf(c)) != 0) {
		json_decref(request);
		return code;
	}
	code = ctl_ask_silent(c, sock, request, timeout_s, each, ctx, &e);
	if (code == EX_UNAVAILABLE)
		return ctl_fail(code, "%s does not answer: %s\n"
		    "Is it running? See \"submitctl status\" and its log "
		    "(journalctl -u %s).", daemon, e.text, daemon);
	return code == 0 ? 0 : ctl_fail(code, "%s", e.text);
}

int
ctl_ask_long(struct ctl *c, const char *sock, json_t *request, int timeout_s,
    json_t *records)
{
	return ctl_ask_each(c, sock, request, timeout_s, ctl_append, records);
}

int
ctl_ask(struct ctl *c, const char *sock, json_t *request, json_t *records)
{
	return ctl_ask_long(c, sock, request, CTL_WAIT_S, records);
}

/* ------------------------------------------------------------------- main -- */

/* How many of the words at argv are this command's; 0: it is another one. */
static int
ctl_words(const struct ctl_cmd *cmd, int argc, char **argv)
{
	const char *p = cmd->words;
	size_t len;
	int n = 0;

	while (*p != '\0') {
		len = strcspn(p, " ");
		if (n >= argc || strlen(argv[n]) != len ||
		    strncmp(argv[n], p, len) != 0)
			return 0;
		n++;
		p += len + (p[len] == ' ');
	}
	return n;
}

static const struct ctl_cmd *
ctl_find(int argc, char **argv, int *ret_words)
{
	for (const struct ctl_cmd *cmd = ctl_cmds; cmd->words != NULL; cmd++)
		if ((*ret_words = ctl_words(cmd, argc, argv)) > 0)
			return cmd;
	return NULL;
}

static int
ctl_usage(const struct ctl_cmd *cmd, const char *why)
{
	return ctl_fail(EX_USAGE, "%s\nusage: submitctl %s%s%s", why,
	    cmd->words, cmd->usage[0] != '\0' ? " " : "", cmd->usage);
}

static int
ctl_dispatch(struct ctl *c, int argc, char **argv)
{
	const struct ctl_cmd *cmd;
	char *words[] = { argc > 0 ? argv[0] : NULL };
	int n;

	if (argc == 0) {
		fputs("usage: submitctl [OPTION]... COMMAND\n", stderr);
		return ctl_fail(EX_USAGE,
		    "which command? \"submitctl help\" lists them");
	}
	if ((cmd = ctl_find(argc, argv, &n)) == NULL) {
		(void)ctl_fail(0, "no such command: %s%s%s", argv[0],
		    argc > 1 ? " " : "", argc > 1 ? argv[1] : "");
		for (cmd = ctl_cmds; cmd->words != NULL; cmd++)
			if (ctl_help_fits(cmd, 1, words))
				ctl_help_row(cmd, stderr);
		fputs("\"submitctl help\" lists all commands.\n", stderr);
		return EX_USAGE;
	}
	c->argc = argc - n;
	c->argv = argv + n;
	if ((c->given & ~cmd->options) != 0)
		return ctl_usage(cmd, "an option that this command has not");
	if (c->argc < cmd->min)
		return ctl_usage(cmd, "an argument is missing");
	if (c->argc > cmd->max)
		return ctl_usage(cmd, "too many arguments");
	return cmd->run(c);
}

/* What getopt_long() says of an option without a letter: its CTL_ above all
 * letters. */
#define CTL_LONG 256

static const struct option ctl_longs[] = {
	{ "root", required_argument, NULL, 'R' },
	{ "json", no_argument, NULL, 'j' },
	{ "stdin", no_argument, NULL, 'S' },
	{ "all", no_argument, NULL, 'L' },
	{ "user", required_argument, NULL, 'U' },
	{ "check", no_argument, NULL, CTL_LONG + CTL_CHECK },
	{ "update", no_argument, NULL, CTL_LONG + CTL_UPDATE },
	{ "replace", no_argument, NULL, CTL_LONG + CTL_REPLACE },
	{ "max-missing", required_argument, NULL, CTL_LONG + CTL_MAX_MISSING },
	{ "format", required_argument, NULL, CTL_LONG + CTL_FORMAT },
	{ "domain", required_argument, NULL, CTL_LONG + CTL_DOMAIN },
	{ "force", no_argument, NULL, CTL_LONG + CTL_FORCE },
	{ "scheme", required_argument, NULL, CTL_LONG + CTL_SCHEME },
	{ "scope", required_argument, NULL, CTL_LONG + CTL_SCOPE },
	{ "expires", required_argument, NULL, CTL_LONG + CTL_EXPIRES },
	{ "sending", no_argument, NULL, CTL_LONG + CTL_SENDING },
	{ "without-scram", no_argument, NULL, CTL_LONG + CTL_WITHOUT_SCRAM },
	{ "ip", required_argument, NULL, CTL_LONG + CTL_IP },
	{ "from", required_argument, NULL, CTL_LONG + CTL_MAIL_FROM },
	{ "to", required_argument, NULL, CTL_LONG + CTL_MAIL_TO },
	{ "since", required_argument, NULL, CTL_LONG + CTL_SINCE },
	{ "csv", no_argument, NULL, CTL_LONG + CTL_CSV },
	{ "held", no_argument, NULL, CTL_LONG + CTL_HELD },
	{ "ask", no_argument, NULL, CTL_LONG + CTL_ASK },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ NULL, 0, NULL, 0 },
};

/* Where the argument of such an option goes; NULL: it has none. */
static const char **
ctl_long_argument(struct ctl *c, unsigned int option)
{
	switch (option) {
	case CTL_MAX_MISSING:
		return &c->max_missing;
	case CTL_FORMAT:
		return &c->format;
	case CTL_DOMAIN:
		return &c->domain;
	case CTL_SCHEME:
		return &c->scheme;
	case CTL_SCOPE:
		return &c->scope;
	case CTL_EXPIRES:
		return &c->expires;
	case CTL_MECH:
		return &c->mech;
	case CTL_SINCE:
		return &c->since;
	case CTL_FROM:
		return &c->from;
	case CTL_IP:
		return &c->ip;
	case CTL_MAIL_FROM:
		return &c->mail_from;
	case CTL_MAIL_TO:
		return &c->mail_to;
	default:
		return NULL;
	}
}

static void
ctl_long(struct ctl *c, unsigned int option)
{
	const char **argument = ctl_long_argument(c, option);

	c->given |= option;
	if (argument != NULL)
		*argument = optarg;
}

/* -1: go on; else the exit code. */
static int
ctl_option(struct ctl *c, int o, const char **overrides)
{
	switch (o) {
	case 'c':
		c->args.file = optarg;
		break;
	case 'o':
		if (c->args.n_overrides == CTL_OVERRIDES_MAX)
			return ctl_fail(EX_USAGE, "too many -o");
		overrides[c->args.n_overrides++] = optarg;
		break;
	case 'R':
		c->args.root = optarg;
		break;
	case 'j':
		c->json = true;
		break;
	case 'n':
		c->given |= CTL_CHANGED;
		break;
	case 'd':
		c->given |= CTL_DEFAULTS;
		break;
	case '1':
		c->given |= CTL_ONE;
		break;
	case 'A':
		ctl_long(c, CTL_MECH);
		break;
	case 'x':
		ctl_long(c, CTL_FROM);
		break;
	case 'S':
		c->given |= CTL_STDIN;
		break;
	case 'L':
		c->given |= CTL_ALL;
		break;
	case 'U':
		c->given |= CTL_USER;
		c->user = optarg;
		break;
	case 'h':
		c->help = true;
		break;
	case 'V':
		puts("submitctl " PACKAGE_VERSION);
		return EX_OK;
	default:
		if (o >= CTL_LONG) {
			ctl_long(c, (unsigned int)(o - CTL_LONG));
			break;
		}
		fputs("\"submitctl help\" lists commands and options.\n",
		    stderr);
		return EX_USAGE;
	}
	return -1;
}

int
main(int argc, char **argv)
{
	static const char *overrides[CTL_OVERRIDES_MAX];
	struct ctl c = { .args.overrides = overrides };
	int code, o;

	setlocale(LC_CTYPE, "");
	control_zero_json();
	clock_init();
	while ((o = getopt_long(argc, argv, "c:o:jnd1A:x:hV", ctl_longs,
	    NULL)) != -1)
		if ((code = ctl_option(&c, o, overrides)) != -1)
			return code;
	if (c.help) {
		c.argc = argc - optind;
		c.argv = argv + optind;
	}
	code = c.help ? ctl_help(&c) :
	    ctl_dispatch(&c, argc - optind, argv + optind);
	conf_unref(c.conf);
	if (fflush(stdout) != 0 || ferror(stdout))
		return code != 0 ? code : ctl_fail(EX_IOERR,
		    "the output could not be written");
	return code;
}
