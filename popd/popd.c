/*
 * popd.c - the parent of popd-pop and popd-mbox: a table for lib/parent.h.
 * Runs as root (or wholly without); it parses no octet of a client.
 */
#include "config.h"

#include <stddef.h>

#include "lib/parent.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct parent_child popd_children[] = {
	{ .role = ROLE_MBOX },
	{ .role = ROLE_POP, .one_a_core = 1, .serves_tcp = 1 },
};

static const struct parent_socket popd_sockets[] = {
	{ "mbox", ROLE_MBOX, ROLE_POP },
	{ "maildrop", ROLE_MBOX, -1 },
};

static const struct parent_program popd_program = {
	.name = "popd",
	.children = popd_children,
	.n_children = COUNT(popd_children),
	.serves = PARENT_POP,
	.sockets = popd_sockets,
	.n_sockets = COUNT(popd_sockets),
	.needs_tls = 1,
};

int
main(int argc, char **argv)
{
	return parent_main(&popd_program, argc, argv);
}
