/*
 * accept.c - from a listener to a session; where the listener has balancers,
 * their PROXY header comes first. Runs in submitd-smtp.
 */
#include "config.h"
#include "submitd/smtp/session.h"

#include <unistd.h>

#include "lib/proxy_wait.h"

/* The session of a client whose header has come. */
static void
accept_proxied(void *ctx, int fd, const struct addr *via,
    const struct addr *client, const char *name)
{
	struct smtp_worker *w = ctx;
	const struct conf *conf = w->settings->conf;
	struct smtp_client c = { .via = *via, .claimed = true,
	    .listener = conf_listener_find(conf, name) };

	if (client != NULL)
		c.peer = *client;
	/* It may be gone since, by a reload. */
	if (client != NULL && !w->stopping &&
	    c.listener < conf_listener_count(conf) &&
	    conf_listener_takes_proxy(conf, c.listener, via) &&
	    smtp_session_new(w, fd, &c) == 0)
		return;
	if (client != NULL)
		close(fd);
	acceptor_left(w->acceptor);
}

int
smtp_accept(struct smtp_worker *w, int fd, const struct addr *peer,
    const char *listener)
{
	const struct conf *conf = w->settings->conf;
	struct smtp_client c = { .peer = *peer, .via = *peer,
	    .listener = conf_listener_find(conf, listener) };

	if (c.listener == conf_listener_count(conf))
		return ERR_CONFIG;
	if (!conf_listener_is_proxied(conf, c.listener))
		return smtp_session_new(w, fd, &c);
	if (conf_listener_takes_proxy(conf, c.listener, peer))
		return proxy_wait(w->loop, fd, peer, listener, accept_proxied,
		    w);
	proxy_log_refused(peer, listener, "peer");
	return ERR_DENIED;
}
