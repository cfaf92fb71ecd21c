/*
 * parent.h - what the three parents authd, submitd and popd do alike.
 *
 * A parent reads the configuration and the certificates, binds the listeners,
 * starts and feeds its children, restarts a dead one at once and then with
 * back-off to 5 s, reloads on SIGHUP in two steps (every child checks, then
 * every child takes over, or all keep the old), and ends them at SIGTERM. It
 * parses no octet from outside.
 */
#ifndef SUBMITD_PARENT_H
#define SUBMITD_PARENT_H

#include <stddef.h>

#include "lib/conf.h"
#include "lib/priv.h"

struct parent_socket {		/* a UNIX socket made for a child to serve */
	const char	*name;		/* file name, e.g. "auth" */
	enum priv_role	 server;	/* the child that gets it */
	int		 client;	/* enum priv_role whose folder holds it,
					 * or -1: a control socket */
};

struct parent_child {
	enum priv_role	 role;
	int		 one_a_core;	/* else a single one */
	int		 serves_tcp;	/* gets the listeners' descriptors */
	int		 serves_unix;	/* gets them, and no table of sessions */
};

enum { PARENT_NOTIFY, PARENT_SUBMISSION, PARENT_POP };

struct parent_program {
	const char	*name;		/* "authd", "submitd", "popd" */
	const struct parent_child *children;
	size_t		 n_children;
	int		 serves;	/* PARENT_NOTIFY, PARENT_SUBMISSION,
					 * PARENT_POP: whose listeners it
					 * binds */
	const struct parent_socket *sockets;
	size_t		 n_sockets;
	int		 needs_tls;	/* its children get certificates */
};

/* The whole life of a parent; returns its exit code (sysexits). */
int	parent_main(const struct parent_program *prog, int argc, char **argv);

#endif
