/*
 * authd.c - the parent of authd-core.
 *
 * Reads the configuration, makes the sockets that workers ask on, starts
 * authd-core and starts it again when it dies. It parses no octet from
 * outside and opens neither the database nor Cyrus SASL. With --recover it
 * serves nobody and mends the database: see authd_recover.c.
 */
#include <string.h>

#include "auth/authd_recover.h"
#include "lib/parent.h"

static const struct parent_child authd_children[] = {
	{ .role = ROLE_AUTHD_CORE, .serves_unix = 1 },
};

/* A role is the socket it came in by: each one's lies in its own folder. */
static const struct parent_socket authd_sockets[] = {
	{ "auth",  ROLE_AUTHD_CORE, ROLE_SMTP },
	{ "auth",  ROLE_AUTHD_CORE, ROLE_SPOOL },
	{ "auth",  ROLE_AUTHD_CORE, ROLE_LOCAL },
	{ "auth",  ROLE_AUTHD_CORE, ROLE_POP },
	{ "auth",  ROLE_AUTHD_CORE, ROLE_MBOX },
	{ "users", ROLE_AUTHD_CORE, -1 },
};

static const struct parent_program authd_program = {
	.name = "authd",
	.serves = PARENT_NOTIFY,
	.children = authd_children,
	.n_children = sizeof(authd_children) / sizeof(*authd_children),
	.sockets = authd_sockets,
	.n_sockets = sizeof(authd_sockets) / sizeof(*authd_sockets),
};

int
main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "--recover") == 0)
			return authd_recover(argc, argv);
	return parent_main(&authd_program, argc, argv);
}
