/*
 * control_private.h - one request of the administrator on its way through
 * authd-core: taken on the loop, worked on by a thread, answered on the loop.
 */
#ifndef SUBMITD_AUTH_CONTROL_PRIVATE_H
#define SUBMITD_AUTH_CONTROL_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "auth/core.h"
#include "db/record.h"
#include "lib/addr.h"
#include "lib/control.h"
#include "lib/err.h"
#include "lib/mailbox.h"

#define CONTROL_LIMIT		1000u	/* records of one answer */
#define CONTROL_BUDGET		20000u	/* looked at for one answer */
#define CONTROL_CURSOR_SIZE	(2 * MAILBOX_SIZE + ADDR_STRLEN)

enum {				/* what a verb needs, or may have */
	JOB_USER	= 1 << 0,	/* "user": a full address, or a name in
					 * the default or first local domain */
	JOB_MAY_USER	= 1 << 1,
	JOB_ADDRESS	= 1 << 2,	/* "address": a mailbox or "@domain" */
	JOB_PASSWORD	= 1 << 3,
	JOB_NETWORK	= 1 << 4,	/* "network": an address or network */
	JOB_MAY_NETWORK	= 1 << 5,
	JOB_SETTINGS	= 1 << 6,	/* see control_settings.c */
	JOB_FILTER	= 1 << 7,	/* a user, a network, or "all" */
	JOB_CHANGES	= 1 << 8,	/* logged, with the caller */
	JOB_LABEL	= 1 << 9,	/* "label": a credential's */
	JOB_OTHER	= 1 << 10,	/* "other": one more user */
	JOB_PAGED	= 1 << 11,	/* "after", "limit" */
	JOB_MAY_PASSWORD = 1 << 12,	/* "password", or it is made up */
	JOB_LOOP	= 1 << 13,	/* runs on the loop, and ends by
					 * control_job_end() */
	JOB_LONG	= 1 << 14,	/* on core->care, one at a time */
	JOB_PAST	= 1 << 20	/* on the thread of core->recent */
};

/* What "user set" can change. */
struct control_settings {
	struct user_record	 rec;		/* the new values */
	uint32_t		 flags_given;	/* USER_MAY_… of rec.flags */
	unsigned int		 given;		/* bits of the table's rows */
};

#define CONTROL_FDS_MAX 256

struct control_job {
	struct core		*core;
	struct control_call	*call;
	struct conf		*conf;		/* referenced */
	const struct control_work *work;
	json_t			*args;		/* a copy; zeroed at the end */

	char			 user[MAILBOX_SIZE];	/* canonical, or "" */
	char			 other[MAILBOX_SIZE];	/* the same */
	char			 address[MAILBOX_SIZE];
	char			 label[RECORD_LABEL_SIZE];
	char			*password;	/* prepared; zeroed at the end */
	struct user_credential	 keys;		/* its, under this salt */
	uint8_t			 keys_salt[RECORD_SALT_MAX];
	uint8_t			 keys_salt_len;	/* 0: not made yet */
	struct net		 net;
	bool			 has_net;
	bool			 all;
	struct control_settings	 settings;
	int64_t			 now_s;

	char			 after[CONTROL_CURSOR_SIZE];	/* JOB_PAGED */
	char			 last_cursor[CONTROL_CURSOR_SIZE];
	size_t			 limit;
	size_t			 looked_at;

	bool			 kick;		/* once it is done, sessions
						 * of `user` end */
	json_t			*kicks;		/* and of these; or NULL */
	size_t			 n_changed;	/* users, of an import */
	bool			 quiet;		/* nothing to log, if it went
						 * well */
	int			 code;		/* of sysexits.h; 0: done */
	struct err		 err;
	json_t			*records;	/* array */
	int			 fds[CONTROL_FDS_MAX];	/* go with the first
						 * n_fds records */
	size_t			 n_fds;
	json_t			*last;		/* object */
};

struct control_work {
	const char	*verb;
	unsigned int	 flags;		/* JOB_ */
	/* On a thread (but JOB_LOOP). 0, or an error code with j->err. */
	int		(*run)(struct control_job *j);
};

/* Fills in what the last packet says. */
void	control_job_set(struct control_job *j, const char *key, json_t *value);
/* Adds a sentence to "warnings". */
void	control_job_warn(struct control_job *j, const char *fmt, ...)
	    __attribute__((format(printf, 2, 3)));

/* Ends a JOB_LOOP job with what its run() would have returned. */
void	control_job_end(struct control_job *j, int r);

/* A page: each record (stolen) with the cursor that a later call begins behind.
 * False: the page ends here, and "next" says so; go no further. */
bool	control_page_put(struct control_job *j, json_t *record,
	    const char *cursor);
/* The same for what was looked at and is not part of the answer. */
bool	control_page_skip(struct control_job *j, const char *cursor);

/* control_args.c: takes what the verb's flags say from j->args. 0, or an error
 * code with j->err. */
int	control_take(struct control_job *j);
int	control_take_number(struct control_job *j, const char *key,
	    uint64_t max, uint64_t *ret);	/* missing: *ret stays */

/* control_settings.c */
int	control_take_settings(struct control_job *j);
int	control_apply(struct control_job *j, struct user_record *r);
void	control_put_settings(json_t *o, const struct user_record *r);

/* control_user.c: what the verbs on users share. */
int	control_edit(struct control_job *j, userdb_edit_fn *edit,
	    bool drop_grants, struct user_record *ret);
json_t	*control_user_json(const struct control_job *j, const char *user,
	    const struct user_record *r);
/* The last login of the user (label ""), or with a credential, since `since_s`:
 * members PREFIX_s, PREFIX_from and so on; none if there was none. */
void	control_put_login(struct control_job *j, json_t *o, const char *label,
	    int64_t since_s, const char *prefix);
/* control_limits.c: members messages_hour_used and so on. */
void	control_put_used(struct control_job *j, json_t *o);
/* Makes the keys of j->password before the transaction that stores them, for
 * that takes milliseconds. ERR_NOTFOUND: no such user. */
int	control_make_keys(struct control_job *j);
/* The keys of j->password, with a new generation. */
int	control_set_keys(struct control_job *j, struct user_record *r,
	    struct user_credential *c);
/* Never used before for this user. */
uint64_t control_generation(const struct user_record *r);

/* control_grant.c: the records of all grants at j->net, of j->user if there is
 * one; with j->all also of those that give no right. Counts the others. */
int	control_grant_each(struct control_job *j, uint64_t *ret_live);
/* control_test.c: a block that refuses this user's logins from there, as text;
 * looked at without being counted as an attempt. He has logged in there before:
 * `known`. */
#define CONTROL_BLOCK_SIZE 256
bool	control_find_block(struct control_job *j, const char *user,
	    const struct addr *a, bool known, char dst[CONTROL_BLOCK_SIZE]);

int	control_user_add(struct control_job *j);
int	control_user_passwd(struct control_job *j);
int	control_user_list(struct control_job *j);
int	control_user_show(struct control_job *j);
int	control_user_set(struct control_job *j);
int	control_user_disable(struct control_job *j);
int	control_user_enable(struct control_job *j);
int	control_user_delete(struct control_job *j);
int	control_user_import(struct control_job *j);
int	control_user_export(struct control_job *j);
int	control_user_hash(struct control_job *j);
int	control_credential_add(struct control_job *j);
int	control_credential_delete(struct control_job *j);
int	control_credential_list(struct control_job *j);
int	control_certificate_add(struct control_job *j);
int	control_certificate_delete(struct control_job *j);
int	control_certificate_list(struct control_job *j);
int	control_secret_add(struct control_job *j);
int	control_secret_delete(struct control_job *j);
int	control_secret_list(struct control_job *j);
int	control_allow_as_add(struct control_job *j);
int	control_allow_as_delete(struct control_job *j);
int	control_allow_as_list(struct control_job *j);
int	control_alias_add(struct control_job *j);
int	control_alias_delete(struct control_job *j);
int	control_alias_list(struct control_job *j);
int	control_blocked_list(struct control_job *j);
int	control_blocked_clear(struct control_job *j);
int	control_grant_list(struct control_job *j);
int	control_grant_query(struct control_job *j);
int	control_grant_add(struct control_job *j);
int	control_grant_revoke(struct control_job *j);
int	control_grant_purge(struct control_job *j);
/* A brown-out that is on becomes a warning. */
void	control_warn_brownout(struct control_job *j);
int	control_report_users(struct control_job *j);
int	control_report_addresses(struct control_job *j);
int	control_report_brownouts(struct control_job *j);
int	control_auth_test(struct control_job *j);
int	control_who(struct control_job *j);
int	control_kick(struct control_job *j);
int	control_trace(struct control_job *j);
int	control_why(struct control_job *j);
int	control_recent(struct control_job *j);
/* The networks whose path removes STARTTLS. */
void	control_put_paths(struct control_job *j);
int	control_limits_list(struct control_job *j);
int	control_limits_reset(struct control_job *j);
int	control_status(struct control_job *j);
int	control_db_check(struct control_job *j);
int	control_db_backup(struct control_job *j);
int	control_db_compact(struct control_job *j);

#endif
