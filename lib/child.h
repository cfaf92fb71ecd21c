/*
 * child.h - what the children of a parent do alike: they are fed over the
 * socket that is descriptor 3, and end when it does.
 */
#ifndef SUBMITD_CHILD_H
#define SUBMITD_CHILD_H

#include "lib/conf.h"
#include "lib/loop.h"
#include "lib/priv.h"
#include "lib/sessions.h"

#define CHILD_FDS_MAX 128

struct child_fd {
	char	name[32];	/* a service ("submission") or a socket's name */
	int	client_role;	/* enum priv_role, -1: control, -2: TCP listener */
	int	implicit_tls;
	int	fd;
};

struct child;

struct child_ops {
	/* A new configuration came: check it and make ready what it needs (an
	 * SSL_CTX). 0, or an error with its text: then all keep the old. */
	int	(*prepare)(void *ctx, struct conf *next, struct err *reterr);
	/* Take over what prepare() made / forget it. The listeners may have
	 * changed: child_fds(). */
	void	(*commit)(void *ctx);
	void	(*abandon)(void *ctx);
	/* SIGTERM, or the parent is gone: end in good order, soon. May be NULL:
	 * then the process exits at once. */
	void	(*stop)(void *ctx);
};

/* Reads the first configuration (blocking), opens the log, and returns. On
 * failure it tells the parent why and exits. */
struct child *child_begin(enum priv_role role, int argc, char **argv);
struct conf *child_conf(struct child *c);	/* the current one; borrowed */
const struct child_fd *child_fds(struct child *c, size_t *ret_n);
/* The table of sessions; its `table` is -1 where the child serves none. */
const struct sessions_fds *child_table(const struct child *c);
/* The first socket by that name, or -1. */
int	child_socket(struct child *c, const char *name, int client_role);

/* Opens what the role may keep before the doors close: run_dir/ROLE, for
 * priv_drop(). Exits with a message to the parent on failure. */
void	child_drop(struct child *c, enum priv_role role);
/* As child_drop(), but with `dir` as the new root (authd-core: db_dir). */
void	child_drop_into(struct child *c, enum priv_role role, const char *dir);

/* Reports a failure at start to the parent and exits with 78 or 71. */
void	child_fail(struct child *c, const struct err *e)
	    __attribute__((noreturn));

/* Asks the parent to connect to the UNIX socket of the route of that name, which
 * a chroot hides from us (submitd-send only). fn gets the descriptor, its own,
 * or -1 with the reason; it is called once, from the loop, and not after
 * child_connect_cancel(). Returns the call's number; 0: too many are under
 * way. */
typedef void child_connect_fn(void *ctx, int fd, const char *why);
uint32_t child_connect(struct child *c, const char *route,
	    child_connect_fn *fn, void *ctx);
void	child_connect_cancel(struct child *c, uint32_t call);

/* Tells the parent that clients are served now, and watches it. */
void	child_ready(struct child *c, struct loop *l,
	    const struct child_ops *ops, void *ctx);

#endif
