/*
 * accept.c - from a listener to a session; where the listener has balancers,
 * their PROXY header comes first. Runs in popd-pop.
 */
#include "config.h"
#include "popd/pop/session.h"

#include <unistd.h>

#include "lib/proxy_wait.h"

/* The header of a balancer's client has come, or will not. */
static void
pop_accept_proxied(void *ctx, int fd, const struct addr *via,
    const struct addr *client, const char *name)
{
	struct pop_server *srv = ctx;
	struct pop_client c = { .via = *via, .claimed = true,
	    .listener = conf_listener_find(srv->conf, name) };

	if (client != NULL)
		c.peer = *client;
	/* It may be gone since, by a reload. */
	if (client != NULL && c.listener < conf_listener_count(srv->conf) &&
	    conf_listener_takes_proxy(srv->conf, c.listener, via) &&
	    pop_session_begin(srv, fd, &c) == 0)
		return;
	if (client != NULL)
		close(fd);
	acceptor_left(srv->acceptor);
}

int
pop_accept(void *ctx, int fd, const struct addr *peer,
    const struct child_fd *service)
{
	struct pop_server *srv = ctx;
	struct pop_client c = { .peer = *peer, .via = *peer,
	    .listener = conf_listener_find(srv->conf, service->name) };

	if (c.listener == conf_listener_count(srv->conf))
		return ERR_CONFIG;
	if (!conf_listener_is_proxied(srv->conf, c.listener))
		return pop_session_begin(srv, fd, &c);
	if (conf_listener_takes_proxy(srv->conf, c.listener, peer))
		return proxy_wait(srv->loop, fd, peer, service->name,
		    pop_accept_proxied, srv);
	proxy_log_refused(peer, service->name, "peer");
	return ERR_DENIED;
}
