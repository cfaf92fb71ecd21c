/*
 * parent_lmtp.c - the UNIX socket of lmtp_listen. Runs in the parent submitd, as
 * root: the folder may be another program's (Postfix's queue), so nothing in it
 * is changed by name but a socket of ours that is no more.
 */
#include "config.h"
#include "lib/parent_private.h"

#include <errno.h>
#include <grp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/priv.h"
#include "lib/str.h"

#define LMTP_BACKLOG 128

static int
lmtp_socket(void)
{
	return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

/* Nobody listens on it any more. */
static bool
lmtp_is_stale(const struct sockaddr_un *sun)
{
	struct stat st;
	int fd, r;

	if (lstat(sun->sun_path, &st) < 0 || !S_ISSOCK(st.st_mode) ||
	    (fd = lmtp_socket()) < 0)
		return false;
	r = connect(fd, (const struct sockaddr *)sun, sizeof(*sun));
	r = r < 0 ? errno : 0;
	close(fd);
	return r == ECONNREFUSED;
}

/* Made with its rights, for to change them later by name would be to trust who
 * owns the folder. */
static int
lmtp_bind(int fd, const struct sockaddr_un *sun, const struct group *gr)
{
	mode_t mask = umask(gr != NULL ? 0117 : 0177);
	gid_t own = getegid();
	bool changes = gr != NULL && priv_is_root();
	int r = changes ? setegid(gr->gr_gid) : 0, error;

	if (r == 0)
		r = bind(fd, (const struct sockaddr *)sun, sizeof(*sun));
	error = errno;
	if (changes)
		r |= setegid(own);
	umask(mask);
	errno = error;
	return r;
}

int
parent_bind_lmtp(const struct conf *conf, struct err *reterr)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	const struct group *gr = NULL;
	int fd;

	if (str_copy(sun.sun_path, sizeof(sun.sun_path), conf->lmtp_listen) !=
	    0)
		return err_set(reterr, ERR_CONFIG, "lmtp_listen: too long");
	if (conf->lmtp_group != NULL &&
	    (gr = getgrnam(conf->lmtp_group)) == NULL)
		return err_set(reterr, ERR_CONFIG, "lmtp_group: there is no "
		    "group %s", conf->lmtp_group);
	if ((fd = lmtp_socket()) < 0)
		return err_sys(reterr, "lmtp_listen");
	if (lmtp_is_stale(&sun))
		(void)unlink(sun.sun_path);
	if (lmtp_bind(fd, &sun, gr) < 0 ||
	    listen(fd, LMTP_BACKLOG) < 0) {
		err_sys(reterr, "cannot listen on %s", sun.sun_path);
		close(fd);
		return ERR_SYSTEM;
	}
	return fd;
}
