/*
 * worker.h - what belongs to the process and not to one session.
 */
#ifndef SUBMITD_SMTP_WORKER_H
#define SUBMITD_SMTP_WORKER_H

#include <stdbool.h>
#include <stddef.h>

#include "auth/authc.h"
#include "auth/roll.h"
#include "lib/acceptor.h"
#include "lib/child.h"
#include "lib/conf.h"
#include "lib/err.h"
#include "lib/loop.h"
#include "lib/listen_tls.h"
#include "lib/sessions.h"
#include "submitd/spool/client.h"

/* The configuration that a session began with, and what was made of it. A
 * reload makes a new one; the old lives as long as a session has it. */
struct smtp_settings {
	unsigned int	 refs;
	struct conf	*conf;			/* referenced */
	struct listen_tls tls;
	unsigned int	 extensions;		/* spoken: smtp/extension.h */
};

struct smtp_session;

struct smtp_worker {
	struct loop		*loop;
	struct roll		*roll;		/* who is logged in */
	struct authc		*authc;		/* the roll's */
	struct spoolc		*spoolc;
	struct acceptor		*acceptor;
	struct sessions		*table;		/* NULL: none is counted */
	struct smtp_settings	*settings;	/* for new sessions */
	struct smtp_settings	*next;		/* between prepare and commit */
	struct smtp_session	*sessions;	/* all, doubly linked */
	bool			 stopping;
	int64_t			 rate_window_ms;	/* of data_min_rate */
	struct timer		 stop;
};

struct smtp_settings *smtp_settings_new(struct conf *conf,
	    struct err *reterr);
struct smtp_settings *smtp_settings_ref(struct smtp_settings *st);
void	smtp_settings_unref(struct smtp_settings *st);	/* NULL is fine */

/* Connects and listens; after child_drop(). w->settings is set. */
int	smtp_worker_open(struct smtp_worker *w, struct child *ch);
extern const struct child_ops smtp_worker_ops;

/* The last session has gone while the worker stops. */
void	smtp_worker_idle(struct smtp_worker *w);

#endif
