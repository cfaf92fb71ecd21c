/*
 * log.h - one event, one line, key=value, one non-blocking write(2).
 *
 *	LOG_EV(LOG_INFO, "auth.fail", s->id, KV_S("mech", mech),
 *	    KV_U("tries", n));
 * gives
 *	ev=auth.fail sid=k3v9q0 mech=PLAIN tries=2
 *
 * KV_S is for anything that came from outside: all but A-Za-z0-9.@_+- stands
 * as %XX there. KV_A is for what we made ourselves (addresses, names of keys):
 * only controls, space and % are encoded. KV_T is a sentence of ours and comes
 * last, in double quotes. A line has at most 2,048 octets; the rest is cut.
 * Never give it a secret.
 */
#ifndef SUBMITD_LOG_H
#define SUBMITD_LOG_H

#include <stdint.h>
#include <syslog.h>		/* LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG */

enum log_kv_kind { LOG_KV_S = 1, LOG_KV_A, LOG_KV_T, LOG_KV_U, LOG_KV_I };

struct log_kv {
	const char		*key;	/* NULL ends the list */
	enum log_kv_kind	 kind;
	const char		*s;	/* NULL: the pair is left out */
	uint64_t		 u;
};

#define KV_S(k, v) ((struct log_kv){ .key = (k), .kind = LOG_KV_S, .s = (v) })
#define KV_A(k, v) ((struct log_kv){ .key = (k), .kind = LOG_KV_A, .s = (v) })
#define KV_T(k, v) ((struct log_kv){ .key = (k), .kind = LOG_KV_T, .s = (v) })
#define KV_U(k, v) ((struct log_kv){ .key = (k), .kind = LOG_KV_U, .u = (v) })
#define KV_I(k, v) \
	((struct log_kv){ .key = (k), .kind = LOG_KV_I, .u = (uint64_t)(v) })

/* `id` (a session or queue id) may be NULL. */
#define LOG_EV(level, ev, id, ...) \
	log_event((level), (ev), (id), \
	    (const struct log_kv[]){ __VA_ARGS__ __VA_OPT__(,) { 0 } })

void	log_event(int level, const char *ev, const char *id,
	    const struct log_kv *kv);

/* `ident` is the program's name in each line (borrowed for ever); `target` is
 * "stderr", "syslog" or the path of a file. Until it is called, lines go to
 * stderr. 0, or ERR_SYSTEM when the file cannot be opened. Called again it
 * opens the file anew. syslog is connected at once, so that it survives
 * chroot. `facility_ident` is what syslog shows (submitd, popd, authd). */
int	log_open(const char *ident, const char *facility_ident,
	    const char *target);
/* A child is given the descriptor of the file its parent opened. */
void	log_use_fd(const char *ident, int fd);
int	log_fd(void);			/* the file's descriptor, or -1 */
void	log_set_debug(int on);		/* LOG_DEBUG lines, off by default */

#endif
