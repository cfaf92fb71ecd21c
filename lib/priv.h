/*
 * priv.h - who each process runs as, and how it gives up what it had.
 */
#ifndef SUBMITD_PRIV_H
#define SUBMITD_PRIV_H

#include <stdbool.h>
#include <sys/types.h>

#include "lib/err.h"

enum priv_role {
	ROLE_AUTHD_CORE,
	ROLE_SMTP,
	ROLE_SPOOL,
	ROLE_SEND,
	ROLE_LOCAL,
	ROLE_POP,
	ROLE_MBOX,
	ROLE__COUNT
};

#define PRIV_GROUP_ADMIN "_submitadm"	/* control sockets */
#define PRIV_GROUP_MBOX	 "_submitmbx"	/* Maildirs: submitd-local, popd-mbox */

/* "authd-core", "submitd-smtp" …: the program, and its folder below run_dir. */
const char *priv_role_name(enum priv_role role);

/* True when roles are walls: we run as root, or did before priv_drop(), and
 * each role has its user. */
bool	priv_is_root(void);

/* The uid and gid of the role: as root from the user database (ERR_CONFIG:
 * "user _submitd is missing: systemd-sysusers …"), else our own. */
int	priv_ids(enum priv_role role, uid_t *ret_uid, gid_t *ret_gid,
	    struct err *reterr);
/* The gid of one of the two groups above; without root our own. */
int	priv_group(const char *name, gid_t *ret, struct err *reterr);

/* chdir (and as root chroot) into `dir_fd`, drop to the role's user (local and
 * mbox keep PRIV_GROUP_MBOX), no new privileges, no core dumps. Once. */
int	priv_drop(enum priv_role role, int dir_fd, struct err *reterr);

#endif
