/*
 * priv.c - the role table, and how a process gives up what it had. See priv.h.
 */
#include "lib/priv.h"

#include "config.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

struct priv_row {
	const char	*name;
	const char	*user;
	bool		 shares_maildirs;
};

static const struct priv_row priv_rows[ROLE__COUNT] = {
	[ROLE_AUTHD_CORE] = { "authd-core", "_submitauth", false },
	[ROLE_SMTP] = { "submitd-smtp", "_submitd", false },
	[ROLE_SPOOL] = { "submitd-spool", "_submitq", false },
	[ROLE_SEND] = { "submitd-send", "_submits", false },
	[ROLE_LOCAL] = { "submitd-local", "_submitmail", true },
	[ROLE_POP] = { "popd-pop", "_popd", false },
	[ROLE_MBOX] = { "popd-mbox", "_popmbox", true },
};

const char *
priv_role_name(enum priv_role role)
{
	return priv_rows[role].name;
}

static bool priv_dropped;

bool
priv_is_root(void)
{
	return priv_dropped || geteuid() == 0;
}

int
priv_ids(enum priv_role role, uid_t *ret_uid, gid_t *ret_gid,
    struct err *reterr)
{
	const struct passwd *pw;

	if (!priv_is_root()) {
		*ret_uid = getuid();
		*ret_gid = getgid();
		return 0;
	}
	pw = getpwnam(priv_rows[role].user);
	if (pw == NULL)
		return err_set(reterr, ERR_CONFIG,
		    "user %s is missing: run systemd-sysusers with the "
		    "sysusers.d file that came with submitd",
		    priv_rows[role].user);
	*ret_uid = pw->pw_uid;
	*ret_gid = pw->pw_gid;
	return 0;
}

int
priv_group(const char *name, gid_t *ret, struct err *reterr)
{
	const struct group *gr;

	if (!priv_is_root()) {
		*ret = getgid();
		return 0;
	}
	gr = getgrnam(name);
	if (gr == NULL)
		return err_set(reterr, ERR_CONFIG,
		    "group %s is missing: run systemd-sysusers with the "
		    "sysusers.d file that came with submitd", name);
	*ret = gr->gr_gid;
	return 0;
}

/* A child holds passwords or other people's mail: no core dump, no tracing. */
static void
priv_seal(void)
{
	const struct rlimit none = { 0, 0 };

	setrlimit(RLIMIT_CORE, &none);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
#ifndef SUBMITD_SANITIZED		/* the leak checker traces us */
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
}

int
priv_drop(enum priv_role role, int dir_fd, struct err *reterr)
{
	const struct priv_row *row = &priv_rows[role];
	gid_t gid, groups[1];
	uid_t uid;
	int r;

	if (fchdir(dir_fd) < 0)
		return err_sys(reterr, "%s: its folder", row->name);
	/* Without root roles are not walls; `status` says so. */
	if (!priv_is_root()) {
		priv_seal();
		return 0;
	}
	if ((r = priv_ids(role, &uid, &gid, reterr)) != 0)
		return r;
	if (row->shares_maildirs &&
	    (r = priv_group(PRIV_GROUP_MBOX, &groups[0], reterr)) != 0)
		return r;
	if (chroot(".") < 0 || chdir("/") < 0)
		return err_sys(reterr, "%s: chroot", row->name);
	if (setgroups(row->shares_maildirs ? 1 : 0, groups) < 0 ||
	    setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
		return err_sys(reterr, "%s: cannot become %s", row->name,
		    row->user);
	if (setuid(0) == 0 || setgid(0) == 0)
		return err_set(reterr, ERR_SYSTEM, "%s: could become root again",
		    row->name);
	priv_dropped = true;
	priv_seal();
	return 0;
}
