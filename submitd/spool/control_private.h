/*
 * control_private.h - what control*.c share: which messages a request is about,
 * and going over them in many turns of the loop.
 */
#ifndef SUBMITD_SPOOL_CONTROL_PRIVATE_H
#define SUBMITD_SPOOL_CONTROL_PRIVATE_H

#include <jansson.h>

#include "lib/control.h"
#include "lib/mailbox.h"
#include "submitd/spool/spool.h"

struct walk;

/* What is done with each message of a walk, and at its end. */
struct walk_work {
	/* The request must say which: ids, a filter, or "all". */
	bool	 must_choose;
	void	(*each)(struct walk *w, struct queue_msg *m);
	/* All were met: answers the request, and frees by walk_free(). What
	 * waits for the disk calls it again. */
	void	(*end)(struct walk *w);
};

struct walk_address {
	const char	*given;			/* NULL: any */
	char		 canon[MAILBOX_SIZE];	/* it, or "": it is none */
};

struct walk {
	struct spool		*sp;
	struct control_call	*call;
	const struct walk_work	*work;
	json_t			*args;		/* referenced; strings below are its */
	const char		*user, *after;
	struct walk_address	 from, to;
	char			 full_name[MAILBOX_SIZE]; /* user, perhaps */
	int64_t			 since_s;	/* 0: any time */
	bool			 held;		/* only those */
	json_t			*ids;		/* array of strings, or NULL */
	size_t			 next_id;
	json_t			*unknown;	/* ids that are not there */
	bool			 on_cursor;
	struct queue_cursor	 cursor;
	size_t			 limit;
	size_t			 n;		/* that `each` was called for */
	size_t			 done;		/* of them, what each counts */
	size_t			 pending, n_held;	/* count */
	size_t			 waiting, failed;	/* for the disk */
	size_t			 refused;		/* release */
	bool			 over;
	const char		*next;		/* id, when the limit ended it */
	char			 last[STR_ID_SIZE];
	struct timer		 turn;
};

/* Reads the request, and goes over what it is about: now and in later turns. */
void	walk_begin(struct spool *sp, struct control_call *call,
	    const json_t *args, const struct walk_work *work);
void	walk_free(struct walk *w);
/* The last packet: `counted` is how many, with what was not there. */
void	walk_done(struct walk *w, const char *counted);

/* control.c: a message as a record. */
json_t	*control_message(const struct queue_msg *m);

/* control_change.c: the verbs that change something. */
void	control_flush_verb(void *ctx, struct control_call *call,
	    const json_t *args);
void	control_hold_verb(void *ctx, struct control_call *call,
	    const json_t *args);
void	control_release_verb(void *ctx, struct control_call *call,
	    const json_t *args);
void	control_delete_verb(void *ctx, struct control_call *call,
	    const json_t *args);

#endif
