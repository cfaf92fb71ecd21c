/*
 * parent_dirs.c - the folders and sockets that a parent makes for its
 * children. Runs in the parents, as root or without.
 */
#include "lib/parent_private.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/fio.h"
#include "lib/log.h"
#include "lib/str.h"

#define BIND_TRIES	100		/* of 50 ms: an orphan may still hold it */
#define LISTEN_BACKLOG	1024

/* Owner and mode are set only on a folder that we made ourselves: the path may
 * be the administrator's own. */
static int
parent_dir(const char *path, mode_t mode, uid_t uid, gid_t gid,
    struct err *reterr)
{
	struct stat st;
	int r;

	if (stat(path, &st) == 0)
		return S_ISDIR(st.st_mode) ? 0 : err_set(reterr, ERR_CONFIG,
		    "%s: expected a folder", path);
	if ((r = fio_mkdir(path, mode & 0755, reterr)) != 0)
		return r;
	if (priv_is_root() && chown(path, uid, gid) < 0)
		return err_sys(reterr, "%s: chown", path);
	if (chmod(path, mode) < 0)
		return err_sys(reterr, "%s: chmod", path);
	return 0;
}

/* Below run_dir everything is ours, and made right at each start. */
static int
parent_run_dir(struct parent *p, const char *name, gid_t gid,
    struct err *reterr)
{
	char path[4096];
	int r;

	if (str_format(path, sizeof path, "%s/%s", p->conf->run_dir, name) != 0)
		return err_set(reterr, ERR_CONFIG,
		    "run_dir: the path is too long");
	if ((r = parent_dir(path, 0750, 0, gid, reterr)) != 0)
		return r;
	if (priv_is_root() &&
	    (chown(path, 0, gid) < 0 || chmod(path, 0750) < 0))
		return err_sys(reterr, "%s", path);
	return 0;
}

static int
parent_role_dir(struct parent *p, enum priv_role role, struct err *reterr)
{
	uid_t uid;
	gid_t gid;
	int r = priv_ids(role, &uid, &gid, reterr);

	return r != 0 ? r :
	    parent_run_dir(p, priv_role_name(role), gid, reterr);
}

/* The folder that `key` names; one that cannot be used is a wrong value. */
static int
parent_conf_dir(struct parent *p, const char *key, const char *path,
    mode_t mode, uid_t uid, gid_t gid, struct err *reterr)
{
	if (parent_dir(path, mode, uid, gid, reterr) == 0)
		return 0;
	return conf_unusable(p->conf, key, "a folder, or a place for one",
	    reterr);
}

/* What a role keeps its data in. */
static int
parent_data_dir(struct parent *p, enum priv_role role, struct err *reterr)
{
	uid_t uid;
	gid_t gid;
	int r;

	if ((r = priv_ids(role, &uid, &gid, reterr)) != 0)
		return r;
	switch (role) {
	case ROLE_AUTHD_CORE:
		return parent_conf_dir(p, "db_dir", p->conf->db_dir, 0700, uid,
		    gid, reterr);
	case ROLE_SPOOL:
		return parent_conf_dir(p, "spool_dir", p->conf->spool_dir,
		    0700, uid, gid, reterr);
	case ROLE_LOCAL:
	case ROLE_MBOX:
		if ((r = priv_group(PRIV_GROUP_MBOX, &gid, reterr)) != 0)
			return r;
		return parent_conf_dir(p, "mail_root", p->conf->mail_root,
		    02770, 0, gid, reterr);
	default:
		return 0;
	}
}

int
parent_make_dirs(struct parent *p, struct err *reterr)
{
	const struct parent_program *prog = p->prog;
	gid_t admin;
	int r;

	if ((r = priv_group(PRIV_GROUP_ADMIN, &admin, reterr)) != 0 ||
	    (r = parent_conf_dir(p, "run_dir", p->conf->run_dir, 0755, 0, 0,
	    reterr)) != 0 ||
	    (r = parent_run_dir(p, "control", admin, reterr)) != 0)
		return r;
	for (size_t i = 0; i < prog->n_children; i++) {
		enum priv_role role = prog->children[i].role;

		if ((r = parent_role_dir(p, role, reterr)) != 0 ||
		    (r = parent_data_dir(p, role, reterr)) != 0)
			return r;
	}
	for (size_t i = 0; i < prog->n_sockets; i++)
		if (prog->sockets[i].client >= 0 &&
		    (r = parent_role_dir(p,
		    (enum priv_role)prog->sockets[i].client, reterr)) != 0)
			return r;
	return 0;
}

/* Makes run_dir/FOLDER/NAME; the descriptor, or an error code. */
static int
parent_unix_socket(struct parent *p, const char *folder, const char *name,
    mode_t mode, uid_t uid, gid_t gid, struct err *reterr)
{
	char path[4096];
	int dir, fd;

	if (str_format(path, sizeof path, "%s/%s", p->conf->run_dir, folder) !=
	    0)
		return err_set(reterr, ERR_CONFIG,
		    "run_dir: the path is too long");
	dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return err_sys(reterr, "%s", path);
	fd = ipc_bind(dir, name, mode, uid, gid, reterr);
	close(dir);
	return fd;
}

static int
parent_one_socket(struct parent *p, const struct parent_socket *s,
    struct err *reterr)
{
	uid_t uid = 0;
	gid_t gid;
	int r;

	if (s->client < 0) {
		if ((r = priv_group(PRIV_GROUP_ADMIN, &gid, reterr)) != 0)
			return r;
		return parent_unix_socket(p, "control", s->name, 0660, 0, gid,
		    reterr);
	}
	if ((r = priv_ids((enum priv_role)s->client, &uid, &gid, reterr)) != 0)
		return r;
	return parent_unix_socket(p, priv_role_name((enum priv_role)s->client),
	    s->name, 0600, uid, gid, reterr);
}

int
parent_make_sockets(struct parent *p, struct err *reterr)
{
	for (size_t i = 0; i < p->prog->n_sockets; i++) {
		int fd = parent_one_socket(p, &p->prog->sockets[i], reterr);

		if (fd < 0)
			return fd;
		p->sockets[i] = fd;
	}
	return 0;
}

int
parent_control_socket(struct parent *p, struct err *reterr)
{
	const struct parent_socket own = { p->prog->name, 0, -1 };

	return parent_one_socket(p, &own, reterr);
}

static int
parent_bind_one(const struct addr *a, struct err *reterr)
{
	const struct timespec pause = { 0, 50 * 1000 * 1000 };
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(a, &sa);
	char text[ADDR_STRLEN];
	int one = 1, tries = 0;
	int fd = socket(sa.ss_family,
	    SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return err_sys(reterr, "%s", addr_text(a, text));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (sa.ss_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
	while (bind(fd, (struct sockaddr *)&sa, len) < 0 ||
	    listen(fd, LISTEN_BACKLOG) < 0) {
		if (errno == EADDRINUSE && ++tries < BIND_TRIES) {
			nanosleep(&pause, NULL);
			continue;
		}
		err_sys(reterr, "cannot listen on %s", addr_text(a, text));
		close(fd);
		return ERR_SYSTEM;
	}
	return fd;
}

static int
parent_find_listener(const struct parent_listeners *have,
    const struct parent_listener *l)
{
	for (size_t i = 0; have != NULL && i < have->n; i++)
		if (have->v[i].wanted.port == l->wanted.port &&
		    addr_ip_eq(&have->v[i].wanted, &l->wanted) &&
		    strcmp(have->v[i].path, l->path) == 0)
			return have->v[i].fd;
	return -1;
}

/* One that is not there is bound. */
static int
parent_take_listener(const struct conf *conf, const char *name,
    const struct parent_listeners *have, struct parent_listeners *ret,
    struct err *reterr)
{
	struct parent_listener *l = &ret->v[ret->n];

	str_copy(l->name, sizeof l->name, name);
	l->fd = parent_find_listener(have, l);
	l->is_new = l->fd < 0;
	if (l->is_new)
		l->fd = l->path[0] != '\0' ? parent_bind_unix(conf, l, reterr) :
		    parent_bind_one(&l->wanted, reterr);
	if (l->fd < 0)
		return l->fd;
	ret->n++;
	return 0;
}

static int
parent_bind_listener(const struct conf *conf, size_t number,
    const struct parent_listeners *have, struct parent_listeners *ret,
    struct err *reterr)
{
	const struct conf_addrs *addrs = conf_listener_addrs(conf, number);

	for (size_t i = 0; i < addrs->n; i++) {
		struct parent_listener *l = &ret->v[ret->n];
		int r;

		if (ret->n >= PARENT_LISTENERS_MAX)
			return err_set(reterr, ERR_CONFIG,
			    "more than %d listeners", PARENT_LISTENERS_MAX);
		*l = (struct parent_listener){ .wanted = addrs->v[i],
		    .implicit_tls = conf_listener_is_tls(conf, number) };
		if ((r = parent_take_listener(conf, conf_listener_name(conf,
		    number), have, ret, reterr)) != 0)
			return r;
	}
	return 0;
}

/* `path` NULL: it is not configured. */
static int
parent_bind_path(const struct conf *conf, const char *name, const char *path,
    const struct parent_listeners *have, struct parent_listeners *ret,
    struct err *reterr)
{
	if (path == NULL)
		return 0;
	if (ret->n >= PARENT_LISTENERS_MAX)
		return err_set(reterr, ERR_CONFIG, "more than %d listeners",
		    PARENT_LISTENERS_MAX);
	ret->v[ret->n] = (struct parent_listener){ .is_new = false };
	str_copy(ret->v[ret->n].path, sizeof ret->v[0].path, path);
	return parent_take_listener(conf, name, have, ret, reterr);
}

static int
parent_bind_all(struct parent *p, const struct conf *conf,
    const struct parent_listeners *have, struct parent_listeners *ret,
    struct err *reterr)
{
	int r = 0;

	if (p->prog->serves == PARENT_NOTIFY)
		return parent_bind_path(conf, CONF_NOTIFY_NAME,
		    conf->notify_socket, have, ret, reterr);
	for (size_t l = 0; l < conf_listener_count(conf) && r == 0; l++)
		if (conf_listener_is_pop(conf, l) ==
		    (p->prog->serves == PARENT_POP))
			r = parent_bind_listener(conf, l, have, ret, reterr);
	if (r == 0 && p->prog->serves == PARENT_SUBMISSION)
		r = parent_bind_path(conf, CONF_LMTP_NAME, conf->lmtp_listen,
		    have, ret, reterr);
	return r;
}

int
parent_bind(struct parent *p, const struct conf *conf,
    const struct parent_listeners *have, struct parent_listeners *ret,
    struct err *reterr)
{
	int r;

	ret->n = 0;
	r = parent_bind_all(p, conf, have, ret, reterr);
	for (size_t k = 0; k < ret->n && r != 0; k++)
		if (ret->v[k].is_new)
			close(ret->v[k].fd);
	if (r != 0)
		ret->n = 0;
	return r;
}

void
parent_log_listeners(const struct parent_listeners *ls, bool only_new)
{
	for (size_t i = 0; i < ls->n; i++) {
		const struct parent_listener *l = &ls->v[i];
		struct sockaddr_storage sa;
		socklen_t len = sizeof sa;
		char text[ADDR_STRLEN];
		struct addr a;

		if (only_new && !l->is_new)
			continue;
		if (l->path[0] != '\0')
			LOG_EV(LOG_INFO, "listen", NULL,
			    KV_A("service", l->name), KV_S("listen", l->path));
		if (l->path[0] != '\0' ||
		    getsockname(l->fd, (struct sockaddr *)&sa, &len) < 0 ||
		    addr_from_sockaddr((struct sockaddr *)&sa, &a) != 0)
			continue;
		LOG_EV(LOG_INFO, "listen", NULL,
		    KV_A("service", l->name),
		    KV_A("listen", addr_text(&a, text)));
	}
}
