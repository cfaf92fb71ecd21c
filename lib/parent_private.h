/*
 * parent_private.h - shared by parent.c (life), parent_dirs.c (folders and
 * sockets), parent_tls.c (certificates) and parent_kids.c (children and reload).
 * For these files only.
 */
#ifndef SUBMITD_PARENT_PRIVATE_H
#define SUBMITD_PARENT_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/cert_watch.h"
#include "lib/control.h"
#include "lib/ipc.h"
#include "lib/loop.h"
#include "lib/parent.h"
#include "lib/sessions.h"

#define PARENT_LISTENERS_MAX	64
#define PARENT_KIDS_MAX		80
#define PARENT_SOCKETS_MAX	16
#define PARENT_CORES_MAX	64

struct parent_listener {
	char				 name[32];	/* conf_listener_name() */
	bool				 implicit_tls;
	struct addr			 wanted;	/* as configured */
	char				 path[108];	/* instead, or "" */
	int				 fd;
	bool				 is_new;	/* bound by this reload */
};

struct parent_listeners {
	struct parent_listener	v[PARENT_LISTENERS_MAX];
	size_t			n;
};

enum kid_state { KID_DOWN, KID_STARTING, KID_READY };

struct kid {
	struct parent			*parent;
	const struct parent_child	*kind;
	enum kid_state			 state;
	pid_t				 pid;		/* 0: none */
	struct ipc			*ipc;
	struct timer			 restart;
	int64_t				 backoff_ms;
	int64_t				 ready_ms;	/* monotonic */
	int64_t				 since_s;	/* of state, epoch */
	unsigned int			 restarts;
	bool				 asked;		/* owes an answer to GO */
	int				 worker;	/* in the table; -1: none */
	uint64_t			 names, names_seen; /* parent_names.c */
	bool				 renewing;	/* asked to end, for that */
};

struct parent {
	const struct parent_program	*prog;
	struct conf_args		 args;
	struct conf			*conf;
	struct cert_watch		 tls_watch;
	struct timer			 tls_timer;
	int64_t				 tls_told_s;	/* what is wrong */
	int64_t				 seeded_ms;	/* tickets */
	struct loop			*loop;
	struct parent_listeners		 listeners;
	int				 sockets[PARENT_SOCKETS_MAX];
	struct kid			 kids[PARENT_KIDS_MAX];
	size_t				 n_kids;
	bool				 ready;		/* all kids were, once */
	bool				 stopping;
	int				 exit_code;
	struct timer			 stop_timer;
	int64_t				 started_s;
	struct sessions_fds		 table_fds;
	struct sessions			*table;	/* NULL: serves no clients */

	/* A reload on its way. */
	struct conf			*next;
	struct conf			*renewed;	/* not read anew, taken */
	struct cert_watch		 next_watch;
	struct parent_listeners		 next_listeners;
	struct control_call		*reload_call;	/* NULL: by SIGHUP */
	struct timer			 reload_timer;
	int				 reload_waits;	/* tries to begin */
	bool				 reloading;
	bool				 renewing;	/* of parent_take() */
	bool				 again;	/* a reload waits for that */
	struct control_call		*again_call;
};

/* parent_dirs.c: 0 or an error code with its text. */
int	parent_make_dirs(struct parent *p, struct err *reterr);
int	parent_make_sockets(struct parent *p, struct err *reterr);
int	parent_control_socket(struct parent *p, struct err *reterr);
/* Binds what `conf` wants into *ret; descriptors of `have` (or NULL) that fit
 * are taken over as they are. On failure closes what is new. */
int	parent_bind(struct parent *p, const struct conf *conf,
	    const struct parent_listeners *have, struct parent_listeners *ret,
	    struct err *reterr);
void	parent_log_listeners(const struct parent_listeners *l, bool only_new);

/* parent_unix.c: a listener that has a path. The descriptor, or an error code
 * with its text; what lies there of an earlier one is replaced. */
int	parent_bind_unix(const struct conf *conf,
	    const struct parent_listener *l, struct err *reterr);

/* parent_table.c */
unsigned int parent_workers(const struct parent *p);
int	parent_make_table(struct parent *p, struct err *reterr);
void	parent_tell_table(struct kid *k);
void	parent_clear_table(struct kid *k);
void	parent_table_status(const struct parent *p, json_t *own);

/* parent_kids.c */
void	parent_add_kids(struct parent *p);
void	kid_start(struct kid *k);
void	parent_reap(struct parent *p);
int	parent_open_log(const struct parent *p, const struct conf *conf,
	    struct err *reterr);
void	parent_reload(struct parent *p, struct control_call *call);
/* As a reload, but of this configuration instead of what the file holds. Takes
 * it over. */
void	parent_take(struct parent *p, struct conf *next);
size_t	parent_kids_alive(const struct parent *p);

/* parent_tls.c */
/* A configuration was taken: what its certificates are is logged, and their
 * files are watched. */
void	parent_tls_taken(struct parent *p);
/* Gives the configuration to come its seed of tickets. */
void	parent_tls_seed(struct parent *p, struct conf *next);
/* What submitd's routes name in files. */
int	parent_tls_load_routes(const struct parent *p, struct conf *c,
	    struct err *reterr);
void	parent_tls_status(const struct parent *p, json_t *own);

/* parent_names.c: submitd-send is being started; and is what it has read still
 * what there is? `now`: without waiting for a second look. */
void	parent_names_taken(struct kid *k);
void	parent_names_look(struct parent *p, bool now);

/* parent.c */
void	parent_kid_ready(struct parent *p);
void	parent_stop(struct parent *p, int exit_code);

#endif
