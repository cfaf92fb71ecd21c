/*
 * control_ask.c - the calling side of a control socket, blocking. Used by
 * submitctl. See control.h.
 */
#include "lib/control.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#include "lib/str.h"

#define CONTROL_REPLY_MAX (256u * 1024)

/* Through the folder's descriptor, so that a long path never exceeds what a
 * socket address can hold. */
static int
control_connect(const char *path, int timeout_s)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct timeval tv = { .tv_sec = timeout_s };
	char folder[4096];
	const char *slash = strrchr(path, '/');
	int dir, fd, r;

	if (slash == NULL || str_copy_n(folder, sizeof folder, path,
	    (size_t)(slash - path)) != 0) {
		errno = ENAMETOOLONG;
		return -1;
	}
	if ((dir = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0)
		return -1;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	r = fd < 0 ? -1 : str_format(sun.sun_path, sizeof sun.sun_path,
	    "/proc/self/fd/%d/%s", dir, slash + 1);
	if (r == 0)
		r = connect(fd, (struct sockaddr *)&sun, sizeof sun);
	close(dir);
	if (r != 0) {
		r = errno;
		if (fd >= 0)
			close(fd);
		errno = r;
		return -1;
	}
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv);
	return fd;
}

/* 1: more to come; 0: done; < 0: failed; > 1 never. */
static int
control_one_reply(json_t *record, int fd, control_each_fn *each, void *ctx,
    int *ret_code, struct err *reterr)
{
	const char *error = control_arg(record, "error");

	if (!json_is_object(record))
		return -1;
	if (error != NULL) {
		*ret_code = (int)json_integer_value(json_object_get(record,
		    "code"));
		err_set(reterr, ERR_DENIED, "%s", error);
		if (*ret_code == 0)
			*ret_code = EX_SOFTWARE;
		return 0;
	}
	if (!json_is_true(json_object_get(record, "done"))) {
		each(ctx, record, fd);
		return 1;
	}
	json_object_del(record, "done");
	if (json_object_size(record) > 0)
		each(ctx, record, fd);
	return 0;
}

/* As recv(2), with the one descriptor that may come along, or -1. */
static ssize_t
control_recv(int sock, char *packet, int *ret_fd)
{
	struct iovec iov = { .iov_base = packet, .iov_len = CONTROL_REPLY_MAX };
	union {
		struct cmsghdr h;
		char space[CMSG_SPACE(sizeof(int))];
	} ctl;
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &ctl, .msg_controllen = sizeof ctl.space };
	struct cmsghdr *h;
	ssize_t n = recvmsg(sock, &mh, MSG_CMSG_CLOEXEC);

	*ret_fd = -1;
	h = n > 0 ? CMSG_FIRSTHDR(&mh) : NULL;
	if (h != NULL && h->cmsg_level == SOL_SOCKET &&
	    h->cmsg_type == SCM_RIGHTS && h->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(ret_fd, CMSG_DATA(h), sizeof *ret_fd);
	return n;
}

static int
control_read_replies(int sock, control_each_fn *each, void *ctx,
    struct err *reterr)
{
	char *packet = malloc(CONTROL_REPLY_MAX);
	int code = 0, more = 1;
	bool late = false;

	while (packet != NULL && more == 1) {
		int fd;
		ssize_t n = control_recv(sock, packet, &fd);
		json_t *record;

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			late = n < 0 && errno == EAGAIN;
			more = -1;
			break;
		}
		record = json_loadb(packet, (size_t)n, 0, NULL);
		more = control_one_reply(record, fd, each, ctx, &code, reterr);
		json_decref(record);
		if (fd >= 0)
			close(fd);
	}
	free(packet);
	if (more < 0) {
		err_set(reterr, ERR_AWAY, late ? "it did not answer in time" :
		    "it ended before it had answered");
		return EX_UNAVAILABLE;
	}
	return code;
}

int
control_ask_begin(const char *path, const char *text, size_t len,
    int timeout_s, int *ret_sock, struct err *reterr)
{
	int sock = control_connect(path, timeout_s);
	int code = 0;

	if (sock < 0 || send(sock, text, len, MSG_NOSIGNAL) < 0) {
		code = errno == EACCES ? EX_NOPERM : EX_UNAVAILABLE;
		if (code == EX_NOPERM)
			err_set(reterr, ERR_DENIED, "%s: permission denied "
			    "(run it as root or as a member of _submitadm)",
			    path);
		else
			err_sys(reterr, "%s", path);
		if (sock >= 0)
			close(sock);
		sock = -1;
	}
	*ret_sock = sock;
	return code;
}

int
control_ask_end(int sock, control_each_fn *each, void *ctx,
    struct err *reterr)
{
	int code = control_read_replies(sock, each, ctx, reterr);

	close(sock);
	return code;
}

int
control_ask(const char *path, const json_t *request, int timeout_s,
    control_each_fn *each, void *ctx, struct err *reterr)
{
	char *text = json_dumps(request, JSON_COMPACT);
	int code, sock;

	if (text == NULL) {
		err_set(reterr, ERR_NOMEM, "no memory");
		return EX_UNAVAILABLE;
	}
	code = control_ask_begin(path, text, strlen(text), timeout_s, &sock,
	    reterr);
	explicit_bzero(text, strlen(text));
	free(text);
	return code != 0 ? code : control_ask_end(sock, each, ctx, reterr);
}
