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

enum {				/* what a verb needs, or may have */
	JOB_USER	= 1 << 0,	/* "user": a full address, or a name in
					 * the first local domain */
	JOB_MAY_USER	= 1 << 1,
	JOB_ADDRESS	= 1 << 2,	/* "address": a mailbox */
	JOB_PASSWORD	= 1 << 3,
	JOB_NETWORK	= 1 << 4,	/* "network": an address or network */
	JOB_MAY_NETWORK	= 1 << 5,
	JOB_SETTINGS	= 1 << 6,	/* "note", "may_submit", "may_pop" */
	JOB_FILTER	= 1 << 7,	/* a user, a network, or "all" */
	JOB_CHANGES	= 1 << 8	/* logged, with the caller */
};

struct control_job {
	struct core		*core;
	struct control_call	*call;
	struct conf		*conf;		/* referenced */
	const struct control_work *work;

	char			 user[MAILBOX_SIZE];	/* canonical, or "" */
	char			 address[MAILBOX_SIZE];
	char			*password;	/* prepared; zeroed at the end */
	struct net		 net;
	bool			 has_net;
	bool			 all;
	char			 note[RECORD_NOTE_SIZE];
	bool			 has_note;
	int			 may_submit;	/* -1: not given */
	int			 may_pop;
	int64_t			 now_s;

	int			 code;		/* of sysexits.h; 0: done */
	struct err		 err;
	json_t			*records;	/* array */
	json_t			*last;		/* object */
};

struct control_work {
	const char	*verb;
	unsigned int	 flags;		/* JOB_ */
	/* On a thread. Returns 0 or an error code with j->err. */
	int		(*run)(struct control_job *j);
};

/* Fills in what the last packet says. */
void	control_job_set(struct control_job *j, const char *key, json_t *value);
/* Adds a sentence to "warnings". */
void	control_job_warn(struct control_job *j, const char *fmt, ...)
	    __attribute__((format(printf, 2, 3)));

int	control_user_add(struct control_job *j);
int	control_user_passwd(struct control_job *j);
int	control_user_list(struct control_job *j);
int	control_user_show(struct control_job *j);
int	control_user_set(struct control_job *j);
int	control_user_disable(struct control_job *j);
int	control_user_enable(struct control_job *j);
int	control_user_delete(struct control_job *j);
int	control_alias_add(struct control_job *j);
int	control_alias_delete(struct control_job *j);
int	control_alias_list(struct control_job *j);
int	control_grant_list(struct control_job *j);
int	control_grant_query(struct control_job *j);
int	control_grant_revoke(struct control_job *j);
int	control_grant_purge(struct control_job *j);
int	control_status(struct control_job *j);

#endif
