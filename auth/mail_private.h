/*
 * mail_private.h - one question to the rule (auth/policy.h), for mail*.c only.
 */
#ifndef SUBMITD_AUTH_MAIL_PRIVATE_H
#define SUBMITD_AUTH_MAIL_PRIVATE_H

#include "auth/ops.h"
#include "auth/policy.h"
#include "auth/quota.h"
#include "lib/mailbox.h"

/* The question, and what was found out on the way. */
struct mail {
	struct core		*core;
	int64_t			 now_s;
	struct addr		 peer;
	const char		*sid;
	const char		*tls;
	const char		*sender;		/* as given, "": null */
	char			 canon[MAILBOX_SIZE];	/* or "" */
	char			 owner[MAILBOX_SIZE];	/* whose it is, or "" */
	const struct ticket	*ticket;		/* or NULL */
	const struct conf_trusted *net;			/* or NULL */
	struct grant_record	 grant;		/* a live one at the address */
	bool			 after_mail;	/* begin or commit asks */
	bool			 in_header;	/* sender is From's or Sender's */
	bool			 receives;	/* without ticket: by LMTP */
	/* Of whose mail it is (mail_user(), when he has a record), known once
	 * it is allowed. */
	bool			 has_user;
	int64_t			 created_s;
	struct user_limits	 limits;	/* his own */
	bool			 may_prioritise;
	char			 class[RECORD_CLASS_SIZE];	/* or "" */
	/* Sending limits (mail_limit.c). */
	uint32_t		 recipients;	/* of the message; TICKET */
	uint64_t		 octets;
	uint32_t		 reservation;	/* in at commit, out at begin */
	struct quota_over	 over;		/* LIMIT: why */
	const struct conf_brownout *brownout;	/* BROWNOUT: which */
	struct policy_in	 in;
	struct policy_out	 out;
};

/* mail_find.c: finds out what the rule wants to know, asks it and fills
 * m->out; a database that failed: TEMP. */
void	mail_judge(struct mail *m);
/* Reads the record of whose mail it is, if that was not done. ERR_AWAY: it could
 * not be. */
int	mail_learn_user(struct mail *m);

/* mail_limit.c: what was judged OK becomes LIMIT when whose mail it is has sent
 * too much (and TEMP when that cannot be known). At MAIL one more message must
 * be left; at begin the message is held; at commit it is booked. */
void	mail_limit_check(struct mail *m);
/* The same for the administrator: nothing is logged, and m->over tells also what
 * would only be logged. */
void	mail_limit_look(struct mail *m);
bool	mail_limit_is_permanent(const struct quota_over *o);
void	mail_limit_begin(struct mail *m, const struct peer *p);
void	mail_limit_commit(struct mail *m, const struct peer *p);
/* What follows the verdict LIMIT. */
void	mail_limit_put(const struct mail *m, struct msg_out *out);

/* mail.c */
/* Whose mail it is: "" for a network with senders only. */
const char *mail_user(const struct mail *m);
void	mail_log(const struct mail *m);
/* The ticket is this session's (any one's: `h` is NULL), and has not ended:
 * 0, or an error (logged if it is forged). */
int	mail_open_ticket(struct peer *p, const void *blob, size_t len,
	    const struct ticket_handle *h, struct ticket *ret);

#endif
