/*
 * control.h - control sockets: verbs in, JSON records out.
 *
 * A request is one packet holding a JSON object with "verb" and its arguments;
 * the answer is a stream of packets, one JSON object each, the last one with
 * "done": true and, on failure, "error" (a sentence) and "code" (sysexits).
 * A record may carry a descriptor (SCM_RIGHTS), so that who may open a file
 * can hand it to who may not.
 */
#ifndef SUBMITD_CONTROL_H
#define SUBMITD_CONTROL_H

#include <stdbool.h>
#include <sys/types.h>

#include <jansson.h>

#include "lib/err.h"
#include "lib/loop.h"

#define CONTROL_REQUEST_MAX	65536u	/* octets of a request */

struct control;			/* a listening control socket */
struct control_call;		/* one request that is being answered */

struct control_verb {
	const char	*name;
	/* Answers by control_record() and one control_done()/control_fail(),
	 * now or later. `args` is borrowed for this call only. */
	void		(*run)(void *ctx, struct control_call *call,
			    const json_t *args);
	bool		 changes;	/* logged with the caller's uid */
};

/* Serves on the listening socket `fd` (as root any caller in its group may
 * connect: the file mode decides; without root only our own uid, and root's).
 * The table ends with a NULL name. */
struct control *control_new(struct loop *l, int fd, const char *name,
	    const struct control_verb *verbs, void *ctx);

/* Steals `record`. Records wait in memory until they are read, up to 64 MiB:
 * then the call fails. */
void	control_record(struct control_call *c, json_t *record);
/* The same with a descriptor, which is taken over: it is closed once it is
 * sent, or when the call ends before. */
void	control_record_fd(struct control_call *c, json_t *record, int fd);
void	control_done(struct control_call *c);
/* `code` is of sysexits.h. */
void	control_fail(struct control_call *c, int code, const char *fmt, ...)
	    __attribute__((format(printf, 3, 4)));
/* As control_done(), with a record of its own in the last packet (stolen). */
void	control_done_with(struct control_call *c, json_t *record);
uid_t	control_uid(const struct control_call *c);
/* Octets that wait to be read; 0 when the caller is gone. Who has much to say
 * goes on when it is little. */
size_t	control_backlog(const struct control_call *c);

/* A string argument, or NULL when it is missing or no string. */
const char *control_arg(const json_t *args, const char *name);

/* From now on JSON values are zeroed as they are freed: a password may be among
 * them. control_new() does it; a caller does it first of all. */
void	control_zero_json(void);

/*
 * The caller's side, blocking: used by submitctl.
 * Sends `request` (borrowed) to the socket `path`; each(ctx, record, fd) for
 * every record, with the descriptor that came with it, or -1: it is closed
 * when `each` returns. Returns 0 and fills nothing, or the code (sysexits) with
 * its text in *reterr; EX_UNAVAILABLE when nobody answers. `timeout_s` bounds
 * the wait for each packet. The last packet (without done, code, error) is passed to `each`
 * too when it has members left.
 */
typedef void control_each_fn(void *ctx, const json_t *record, int fd);
int	control_ask(const char *path, const json_t *request, int timeout_s,
	    control_each_fn *each, void *ctx, struct err *reterr);
/* The same in two halves, so that several requests are under way at once:
 * sends the text of a request of at most CONTROL_REQUEST_MAX octets; then reads
 * its answer and closes *ret_sock (-1 on failure). */
int	control_ask_begin(const char *path, const char *text, size_t len,
	    int timeout_s, int *ret_sock, struct err *reterr);
int	control_ask_end(int sock, control_each_fn *each, void *ctx,
	    struct err *reterr);

#endif
