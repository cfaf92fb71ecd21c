/*
 * sender_private.h - what sender.c and sender_report.c share of the connection
 * to submitd-send.
 */
#ifndef SUBMITD_SPOOL_SENDER_PRIVATE_H
#define SUBMITD_SPOOL_SENDER_PRIVATE_H

#include "submitd/spool/spool.h"

struct sender_report;

struct sender {
	struct spool		*sp;
	struct ipc		*ipc;
	struct queue_msg	*telling;	/* partly told, or NULL */
	size_t			 told;		/* its recipients so far */
	TAILQ_HEAD(, sender_report) reports;	/* more of them is to come */
	unsigned int		 n_reports;	/* these, and whole ones on
						 * their way to the disk */
	unsigned int		 holds;		/* reports, fetches, the reaper */
	bool			 closed;	/* freed after the last of them */
};

/* Once nothing holds it any more. */
void	sender_free(struct sender *s);
/* A part of a report came. */
int	sender_on_report(struct sender *s, struct msg_in *in);
/* No more comes of a report of the message; of any, where id is NULL. Does not
 * free `s`. */
void	sender_report_gone(struct sender *s, const char *id);

#endif
