/*
 * xclient_params.h - the argument of XCLIENT, as Postfix's XCLIENT_README
 * defines it. Pure; fuzzed.
 */
#ifndef SUBMITD_SMTP_XCLIENT_PARAMS_H
#define SUBMITD_SMTP_XCLIENT_PARAMS_H

#include <stdbool.h>

#include "lib/addr.h"
#include "submitd/smtp/reply.h"

#define SMTP_XCLIENT_TEXT 256u

struct smtp_xclient {
	bool		has_addr;
	struct addr	addr;		/* none: [UNAVAILABLE]; with PORT */
	char		name[SMTP_XCLIENT_TEXT];	/* "": not said */
	char		helo[SMTP_XCLIENT_TEXT];
	char		proto[8];	/* SMTP or ESMTP */
};

/* Cuts `arg` into pieces. SMTP_R_NONE, or what is to be answered. */
enum smtp_reply smtp_xclient_parse(char *arg, struct smtp_xclient *ret);

#endif
