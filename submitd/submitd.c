/*
 * submitd.c - the parent of the submission service.
 *
 * Runs as root: binds 587 and 465, reads the certificates, starts, feeds and
 * restarts the children. It parses no octet that a client sent and never opens
 * a message. What it does is lib/parent.h's; here is only who its children are.
 */
#include "config.h"

#include <stddef.h>

#include "lib/conf.h"
#include "lib/parent.h"
#include "lib/priv.h"

static const struct parent_child submitd_children[] = {
	/* the spool first: the others ask it as soon as they run */
	{ .role = ROLE_SPOOL },
	{ .role = ROLE_LOCAL },
	{ .role = ROLE_SEND },
	{ .role = ROLE_SMTP, .one_a_core = 1, .serves_tcp = 1 },
};

static const struct parent_socket submitd_sockets[] = {
	{ .name = "spool", .server = ROLE_SPOOL, .client = ROLE_SMTP },
	{ .name = "spool", .server = ROLE_SPOOL, .client = ROLE_SEND },
	{ .name = "local", .server = ROLE_LOCAL, .client = ROLE_SEND },
	{ .name = "queue", .server = ROLE_SPOOL, .client = -1 },
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct parent_program submitd_program = {
	.name = "submitd",
	.children = submitd_children,
	.n_children = COUNT(submitd_children),
	.serves = PARENT_SUBMISSION,
	.sockets = submitd_sockets,
	.n_sockets = COUNT(submitd_sockets),
	.needs_tls = 1,
};

int
main(int argc, char **argv)
{
	return parent_main(&submitd_program, argc, argv);
}
