/*
 * submitctl.h - what the parts of submitctl share. It links lib/ alone: all it
 * knows of the service comes through the control sockets.
 */
#ifndef SUBMITD_DB_SUBMITCTL_H
#define SUBMITD_DB_SUBMITCTL_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

#include <jansson.h>

#include "lib/conf.h"
#include "lib/control.h"

enum {				/* options; each row says which it takes */
	CTL_STDIN	= 1 << 0,	/* --stdin */
	CTL_ALL		= 1 << 1,	/* --all */
	CTL_USER	= 1 << 2,	/* --user USER */
	CTL_CHANGED	= 1 << 3,	/* -n */
	CTL_DEFAULTS	= 1 << 4,	/* -d */
	CTL_CHECK	= 1 << 5,	/* --check */
	CTL_UPDATE	= 1 << 6,	/* --update */
	CTL_REPLACE	= 1 << 7,	/* --replace */
	CTL_MAX_MISSING	= 1 << 8,	/* --max-missing N|N% */
	CTL_FORMAT	= 1 << 9,	/* --format FORMAT */
	CTL_DOMAIN	= 1 << 10,	/* --domain DOMAIN */
	CTL_FORCE	= 1 << 11,	/* --force */
	CTL_SCHEME	= 1 << 12,	/* --scheme SCHEME */

	CTL_IP		= 1 << 13,	/* --ip ADDRESS */
	CTL_MAIL_FROM	= 1 << 14,	/* --from SENDER */
	CTL_MAIL_TO	= 1 << 15,	/* --to RECIPIENT */
	CTL_SCOPE	= 1 << 16,	/* --scope all|smtp|pop|… */
	CTL_EXPIRES	= 1 << 17,	/* --expires TIME|DURATION */
	CTL_SENDING	= 1 << 18,	/* --sending */
	CTL_WITHOUT_SCRAM = 1 << 19,	/* --without-scram */
	CTL_ASK		= 1 << 20,	/* --ask */
	CTL_ONE		= 1 << 21,	/* -1 */
	CTL_MECH	= 1 << 22,	/* -A MECHANISM */
	CTL_FROM	= 1 << 23,	/* -x rip=ADDRESS */
	CTL_SINCE	= 1 << 24,	/* --since DURATION */
	CTL_HELD	= 1 << 25,	/* --held */
	CTL_CSV		= 1 << 30	/* --csv */
};

struct ctl {
	struct conf_args	 args;
	struct conf		*conf;		/* ctl_conf() */
	bool			 json, help;	/* -j, --help */
	unsigned int		 given;		/* CTL_ */
	const char		*user;		/* --user */
	const char		*max_missing;	/* --max-missing */
	const char		*format;	/* --format */
	const char		*domain;	/* --domain */
	const char		*scheme;	/* --scheme */
	const char		*scope, *expires, *mech, *from;
	const char		*ip, *mail_from, *mail_to;
	const char		*since;		/* --since */
	char			**argv;		/* behind the command's words */
	int			 argc;
};

struct ctl_cmd {
	const char	*words;		/* "user alias add" */
	const char	*usage;		/* its arguments */
	const char	*help;		/* one line */
	int		 min, max;	/* arguments */
	unsigned int	 options;	/* CTL_ that it takes */
	int		(*run)(struct ctl *c);	/* the exit code */
};

/* The one table of commands, which also prints the help; NULL words end it. */
extern const struct ctl_cmd ctl_cmds[];

/* Loads the configuration once. 0, or the exit code after a message. */
int	ctl_conf(struct ctl *c);
/* The configuration's file, as named or by default. */
const char *ctl_conf_file(struct ctl *c, char *dst, size_t size);

/* Asks run_dir/control/SOCKET. `request` is stolen; the records are appended
 * to `records`, the last packet's too where it says something. 0, or the exit
 * code after a message that says what to do. */
int	ctl_ask(struct ctl *c, const char *sock, json_t *request,
	    json_t *records);
/* As ctl_ask(), with another bound on the wait for each packet. */
int	ctl_ask_long(struct ctl *c, const char *sock, json_t *request,
	    int timeout_s, json_t *records);
/* As ctl_ask_long(), with a function for each record. */
int	ctl_ask_each(struct ctl *c, const char *sock, json_t *request,
	    int timeout_s, control_each_fn *each, void *ctx);
/* As ctl_ask(), but silent: why it failed is in *reterr. */
int	ctl_ask_quiet(struct ctl *c, const char *sock, json_t *request,
	    int timeout_s, json_t *records, struct err *reterr);

/* "submitctl: …" on stderr; returns `code`. */
int	ctl_fail(int code, const char *fmt, ...)
	    __attribute__((format(printf, 2, 3)));

/* ---------------------------------------------------------------- output -- */

enum ctl_format {
	CTL_TEXT,
	CTL_NUMBER,
	CTL_TIME,		/* seconds since the epoch */
	CTL_SPAN,		/* seconds */
	CTL_YES_NO,
	CTL_OCTETS,
	CTL_LIMIT,		/* a number; 0: none */
	CTL_LIMIT_OCTETS
};

struct ctl_column {
	const char	*title;
	const char	*key;
	enum ctl_format	 format;
};

/* The records as an aligned table, or as JSON lines. Columns end with a NULL
 * title. */
void	ctl_table(const struct ctl *c, const struct ctl_column *cols,
	    const json_t *records);
/* The same page by page: `width` begins zeroed, and is kept between them. */
#define CTL_COLUMNS_MAX	16
void	ctl_table_page(const struct ctl *c, const struct ctl_column *cols,
	    const json_t *records, int width[CTL_COLUMNS_MAX]);
/* The same as CSV (RFC 4180): keys above, times in UTC, and what a spreadsheet
 * would take for a formula behind an apostrophe. */
void	ctl_csv_page(const struct ctl_column *cols, const json_t *records,
	    bool first);
/* One record as "title: value" lines, or as a JSON line. */
void	ctl_record(const struct ctl *c, const struct ctl_column *cols,
	    const json_t *record);
/* The two largest units: "2d3h", "5m20s". */
void	ctl_span_text(json_int_t s, char *dst, size_t size);
/* With -j the record alone, else the sentence; and its "warnings" (stderr). */
void	ctl_say(const struct ctl *c, const json_t *record, const char *fmt, ...)
	    __attribute__((format(printf, 3, 4)));
/* The "warnings" of a record, on stderr. */
void	ctl_warnings(const json_t *record);
/* A text from outside as a terminal may see it: controls, C1 too, and what is
 * no UTF-8 become '?'. */
const char *ctl_safe(const char *s, char *dst, size_t size);
/* The same of a sentence, which may have lines. */
void	ctl_put_safe(FILE *to, const char *fmt, va_list ap)
	    __attribute__((format(printf, 2, 0)));
void	ctl_print(const char *fmt, ...)
	    __attribute__((format(printf, 1, 2)));
/* One line of JSON; on a terminal in ASCII alone. */
void	ctl_put_json(const json_t *record);
const char *ctl_str(const json_t *record, const char *key);
json_int_t ctl_int(const json_t *record, const char *key);

/* -------------------------------------------------------------- passwords -- */

/* A new password: asked for twice without echo, or with --stdin its first
 * line. *ret is malloc'ed: ctl_password_free(). 0, or the exit code. */
int	ctl_password(struct ctl *c, const char *user, char **ret);
/* One that is there already: asked for once. */
int	ctl_password_once(struct ctl *c, const char *user, char **ret);
void	ctl_password_free(char *password);

/* ------------------------------------------------- asking authd-core (users) -- */

#define CTL_USERS "users"

json_t	*ctl_user_request(const char *verb, const char *user);
/* Asks (the request is stolen), and gives the last record to `say`; with -j it
 * is printed alone by ctl_say(). */
typedef void ctl_say_fn(const struct ctl *c, const json_t *record);
int	ctl_change(struct ctl *c, json_t *request, ctl_say_fn *say);
/* The same with a new password in it; `once`: with one that is there. */
int	ctl_with_password(struct ctl *c, json_t *request, bool once,
	    ctl_say_fn *say);
/* A table, page by page, however long it is. */
int	ctl_list(struct ctl *c, const char *sock, json_t *request,
	    const struct ctl_column *cols);
/* The same: `fix` is given each record before it is printed (not with -j), and
 * `none` is printed instead of an empty table. */
int	ctl_list_with(struct ctl *c, const char *sock, json_t *request,
	    const struct ctl_column *cols, void (*fix)(json_t *record),
	    const char *none);

/* --------------------------------------------------------------- commands -- */

int	ctl_user_add(struct ctl *c);
int	ctl_user_passwd(struct ctl *c);
int	ctl_user_list(struct ctl *c);
int	ctl_user_show(struct ctl *c);
int	ctl_user_set(struct ctl *c);
int	ctl_user_disable(struct ctl *c);
int	ctl_user_enable(struct ctl *c);
int	ctl_user_delete(struct ctl *c);
int	ctl_user_import(struct ctl *c);
int	ctl_user_export(struct ctl *c);
int	ctl_user_hash(struct ctl *c);
int	ctl_alias_add(struct ctl *c);
int	ctl_alias_delete(struct ctl *c);
int	ctl_alias_list(struct ctl *c);
int	ctl_credential_add(struct ctl *c);
int	ctl_credential_delete(struct ctl *c);
int	ctl_credential_list(struct ctl *c);
int	ctl_certificate_add(struct ctl *c);
int	ctl_certificate_delete(struct ctl *c);
int	ctl_certificate_list(struct ctl *c);
int	ctl_secret_add(struct ctl *c);
int	ctl_secret_delete(struct ctl *c);
int	ctl_secret_list(struct ctl *c);
int	ctl_allow_as_add(struct ctl *c);
int	ctl_allow_as_delete(struct ctl *c);
int	ctl_allow_as_list(struct ctl *c);
int	ctl_auth_test(struct ctl *c);
int	ctl_why(struct ctl *c);
int	ctl_trace_origin(struct ctl *c);
int	ctl_who(struct ctl *c);
int	ctl_kick(struct ctl *c);
int	ctl_recent(struct ctl *c);
/* --expires, where it was given, into the request. 0, or the exit code. */
int	ctl_put_expires(const struct ctl *c, json_t *request);
int	ctl_grant_add(struct ctl *c);
int	ctl_grant_list(struct ctl *c);
int	ctl_grant_query(struct ctl *c);
int	ctl_grant_revoke(struct ctl *c);
int	ctl_grant_purge(struct ctl *c);
int	ctl_grant_report(struct ctl *c);
int	ctl_limits(struct ctl *c);
int	ctl_limits_reset(struct ctl *c);
int	ctl_blocked_list(struct ctl *c);
int	ctl_blocked_clear(struct ctl *c);
int	ctl_queue_list(struct ctl *c);
int	ctl_queue_show(struct ctl *c);
int	ctl_queue_hold(struct ctl *c);
int	ctl_queue_release(struct ctl *c);
int	ctl_queue_flush(struct ctl *c);
int	ctl_queue_delete(struct ctl *c);
int	ctl_maildrop_import_uidl(struct ctl *c);
int	ctl_maildrop_uidl_diff(struct ctl *c);
int	ctl_db_check(struct ctl *c);
int	ctl_db_backup(struct ctl *c);
int	ctl_db_compact(struct ctl *c);
int	ctl_db_recover(struct ctl *c);
int	ctl_config_check(struct ctl *c);
int	ctl_config_show(struct ctl *c);
int	ctl_reload(struct ctl *c);
int	ctl_status(struct ctl *c);
int	ctl_help(struct ctl *c);

#endif
