/*
 * parent_unix.c - the UNIX sockets of lmtp_listen and notify_socket. Runs in the
 * parents submitd and authd, as root: the folder may be another program's
 * (Postfix's queue), so nothing in it is changed by name but a socket of ours
 * that is no more.
 */
#include "config.h"
#include "lib/parent_private.h"

#include <errno.h>
#include <grp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "lib/priv.h"
#include "lib/str.h"

#define UNIX_BACKLOG	128
#define UNIX_TRIES	40	/* of 50 ms: an orphan may still hold it */

/* Whose a socket is, and who may connect. */
struct unix_rights {
	mode_t			 umask;
	const struct group	*gr;	/* or NULL */
};

static int
unix_socket(void)
{
	return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

/* Nobody listens on it any more. */
static bool
unix_is_stale(const struct sockaddr_un *sun)
{
	struct stat st;
	int fd, r;

	if (lstat(sun->sun_path, &st) < 0 || !S_ISSOCK(st.st_mode) ||
	    (fd = unix_socket()) < 0)
		return false;
	r = connect(fd, (const struct sockaddr *)sun, sizeof(*sun));
	r = r < 0 ? errno : 0;
	close(fd);
	return r == ECONNREFUSED;
}

/* Made with its rights, for to change them later by name would be to trust who
 * owns the folder. */
static int
unix_bind(int fd, const struct sockaddr_un *sun, const struct unix_rights *who)
{
	mode_t mask = umask(who->umask);
	gid_t own = getegid();
	bool changes = who->gr != NULL && priv_is_root();
	int r = changes ? setegid(who->gr->gr_gid) : 0, error;

	if (r == 0)
		r = bind(fd, (const struct sockaddr *)sun, sizeof(*sun));
	error = errno;
	if (changes)
		r |= setegid(own);
	umask(mask);
	errno = error;
	return r;
}

static int
unix_listen(int fd, const struct sockaddr_un *sun,
    const struct unix_rights *who)
{
	const struct timespec pause = { 0, 50 * 1000 * 1000 };
	int r, tries = 0;

	do {
		if (tries > 0)
			nanosleep(&pause, NULL);
		if (unix_is_stale(sun))
			(void)unlink(sun->sun_path);
		r = unix_bind(fd, sun, who);
	} while (r < 0 && errno == EADDRINUSE && ++tries < UNIX_TRIES);
	return r < 0 ? r : listen(fd, UNIX_BACKLOG);
}

/* Who may connect to notify_socket the kernel tells when he does. */
static int
unix_rights_of(const struct conf *conf, const struct parent_listener *l,
    struct unix_rights *ret, struct err *reterr)
{
	*ret = (struct unix_rights){ .umask = 0111 };
	if (strcmp(l->name, CONF_NOTIFY_NAME) == 0)
		return 0;
	if (conf->lmtp_group != NULL &&
	    (ret->gr = getgrnam(conf->lmtp_group)) == NULL)
		return err_set(reterr, ERR_CONFIG, "lmtp_group: there is no "
		    "group %s", conf->lmtp_group);
	ret->umask = ret->gr != NULL ? 0117 : 0177;
	return 0;
}

int
parent_bind_unix(const struct conf *conf, const struct parent_listener *l,
    struct err *reterr)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct unix_rights who;
	int fd, r;

	if (str_copy(sun.sun_path, sizeof(sun.sun_path), l->path) != 0)
		return err_set(reterr, ERR_CONFIG, "%s: too long", l->path);
	if ((r = unix_rights_of(conf, l, &who, reterr)) != 0)
		return r;
	if ((fd = unix_socket()) < 0)
		return err_sys(reterr, "%s", l->path);
	if (unix_listen(fd, &sun, &who) < 0) {
		err_sys(reterr, "cannot listen on %s", sun.sun_path);
		close(fd);
		return ERR_SYSTEM;
	}
	return fd;
}
