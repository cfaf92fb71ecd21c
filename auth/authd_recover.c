/*
 * authd_recover.c - authd --recover: arguments, the lock, then authd-core in
 * its mode of the same name, for authd itself links no Berkeley DB. Runs as
 * root, as the administrator called it. The folder belongs to authd-core's
 * user, so nothing in it is trusted: no link is followed, no file but new ones
 * is written.
 */
#include "config.h"

#include "auth/authd_recover.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/fio.h"
#include "lib/priv.h"
#include "lib/str.h"

struct recover_args {
	struct conf_args	 conf;
	const char		*from;		/* NULL: nothing is restored */
	bool			 fatal;
};

static int
recover_fail(int code, const char *text)
{
	fflush(stdout);
	fprintf(stderr, "authd: %s\n", text);
	return code;
}

static int
recover_usage(void)
{
	fputs("usage: authd --recover [--fatal | --from FOLDER] [-c FILE] "
	    "[-o key=value]... [--root DIR]\nSee authd(8).\n", stderr);
	return EX_USAGE;
}

static int
recover_parse(struct recover_args *a, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "recover", no_argument, NULL, 'r' },
		{ "fatal", no_argument, NULL, 'f' },
		{ "from", required_argument, NULL, 'F' },
		{ "root", required_argument, NULL, 'R' },
		{ NULL, 0, NULL, 0 },
	};
	int o;

	a->conf.overrides = calloc((size_t)argc, sizeof *a->conf.overrides);
	if (a->conf.overrides == NULL)
		return EX_OSERR;
	while ((o = getopt_long(argc, argv, "c:o:", longs, NULL)) != -1) {
		if (o == 'c')
			a->conf.file = optarg;
		else if (o == 'o')
			a->conf.overrides[a->conf.n_overrides++] = optarg;
		else if (o == 'R')
			a->conf.root = optarg;
		else if (o == 'F')
			a->from = optarg;
		else if (o == 'f')
			a->fatal = true;
		else if (o != 'r')
			return recover_usage();
	}
	return optind != argc || (a->fatal && a->from != NULL) ?
	    recover_usage() : 0;
}

/* A restore may begin with no folder at all: a new machine. */
static int
recover_open_folder(const struct conf *conf, bool make, struct err *reterr)
{
	struct stat st;
	uid_t uid;
	gid_t gid;
	int fd, r;

	if (make && stat(conf->db_dir, &st) != 0 && errno == ENOENT) {
		if ((r = priv_ids(ROLE_AUTHD_CORE, &uid, &gid, reterr)) != 0 ||
		    (r = fio_mkdir(conf->db_dir, 0700, reterr)) != 0)
			return r;
		if (priv_is_root() && chown(conf->db_dir, uid, gid) != 0)
			return err_sys(reterr, "%s", conf->db_dir);
	}
	fd = open(conf->db_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd >= 0 ? fd : err_sys(reterr, "%s", conf->db_dir);
}

/* Held until authd-core is executed, which takes it for itself. */
static int
recover_lock(const struct conf *conf, int dir, struct err *reterr)
{
	char pid[24] = "?";
	struct stat st;
	uid_t uid;
	gid_t gid;
	ssize_t n;
	int fd, r;

	if ((r = priv_ids(ROLE_AUTHD_CORE, &uid, &gid, reterr)) != 0)
		return r;
	fd = fio_openat(dir, "lock", O_RDWR | O_CREAT | O_NOFOLLOW |
	    O_NONBLOCK, 0600, reterr);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_nlink != 1)
		return err_set(reterr, ERR_CORRUPT,
		    "%s/lock is no plain file", conf->db_dir);
	if (priv_is_root() && fchown(fd, uid, gid) != 0)
		return err_sys(reterr, "%s/lock", conf->db_dir);
	if ((r = fio_lock(fd, 0)) == 0)
		return 0;
	if (r != ERR_EXISTS)
		return err_sys(reterr, "%s/lock", conf->db_dir);
	if ((n = pread(fd, pid, sizeof(pid) - 1, 0)) > 0)
		pid[strspn(pid, "0123456789")] = '\0';
	return err_set(reterr, ERR_EXISTS, "%s: the database is in use by "
	    "authd-core (process %s): stop authd first", conf->db_dir, pid);
}

static int
recover_exec(const struct conf *conf, bool fatal, struct err *reterr)
{
	char path[4096], *dir = strdup(conf->db_dir);
	char *argv[] = { path, strdup("--recover"), dir,
	    fatal ? strdup("--fatal") : NULL, NULL };

	if (dir == NULL || argv[1] == NULL || str_format(path, sizeof(path),
	    "%s/%s", conf->libexec_dir, priv_role_name(ROLE_AUTHD_CORE)) != 0)
		return err_set(reterr, ERR_LIMIT, "libexec_dir is too long");
	fflush(stdout);
	execv(path, argv);
	return err_sys(reterr, "%s", path);
}

int
authd_recover(int argc, char **argv)
{
	struct recover_args a = { .from = NULL };
	struct err e = { 0 };
	struct conf *conf;
	int dir, r;

	if ((r = recover_parse(&a, argc, argv)) != 0)
		return r;
	clock_init();
	if (conf_load(&a.conf, &conf, &e) != 0)
		return recover_fail(EX_CONFIG, e.text);
	dir = recover_open_folder(conf, a.from != NULL, &e);
	if (dir < 0)
		return recover_fail(EX_NOINPUT, e.text);
	if ((r = recover_lock(conf, dir, &e)) != 0)
		return recover_fail(r == ERR_EXISTS ? EX_TEMPFAIL : EX_OSERR,
		    e.text);
	if (a.from != NULL && (r = authd_restore(conf, dir, a.from, &e)) != 0)
		return recover_fail(r == ERR_FORMAT || r == ERR_CORRUPT ?
		    EX_DATAERR : EX_IOERR, e.text);
	(void)recover_exec(conf, a.fatal, &e);
	return recover_fail(EX_OSERR, e.text);
}
