/*
 * conf_listen.c - the listeners: four that the keys listen_* make, and behind
 * them those of sections, each known by its number. Linked into every process,
 * for authd-core too wants to know by which one a client came.
 */
#include "lib/conf.h"

#include <string.h>

static const struct {
	const char	*name;
	size_t		 addrs;		/* offset in struct conf */
} conf_listen_plain[CONF_LISTENER__COUNT] = {
	[CONF_SUBMISSION] = { "submission",
	    offsetof(struct conf, listen_submission) },
	[CONF_SUBMISSIONS] = { "submissions",
	    offsetof(struct conf, listen_submissions) },
	[CONF_POP3] = { "pop3", offsetof(struct conf, listen_pop3) },
	[CONF_POP3S] = { "pop3s", offsetof(struct conf, listen_pop3s) },
};

size_t
conf_listener_count(const struct conf *c)
{
	return CONF_LISTENER__COUNT + c->n_listeners;
}

const struct conf_listen *
conf_listener_section(const struct conf *c, size_t l)
{
	return l < CONF_LISTENER__COUNT ? NULL :
	    &c->listeners[l - CONF_LISTENER__COUNT];
}

enum conf_listener
conf_listener_service(const struct conf *c, size_t l)
{
	return l < CONF_LISTENER__COUNT ? (enum conf_listener)l :
	    conf_listener_section(c, l)->service;
}

const char *
conf_listener_name(const struct conf *c, size_t l)
{
	return l < CONF_LISTENER__COUNT ? conf_listen_plain[l].name :
	    conf_listener_section(c, l)->item.name;
}

const struct conf_addrs *
conf_listener_addrs(const struct conf *c, size_t l)
{
	const void *plain = (const char *)c + (l < CONF_LISTENER__COUNT ?
	    conf_listen_plain[l].addrs : 0);

	return l < CONF_LISTENER__COUNT ? plain :
	    &conf_listener_section(c, l)->listen;
}

bool
conf_listener_is_pop(const struct conf *c, size_t l)
{
	enum conf_listener service = conf_listener_service(c, l);

	return service == CONF_POP3 || service == CONF_POP3S;
}

bool
conf_listener_is_tls(const struct conf *c, size_t l)
{
	enum conf_listener service = conf_listener_service(c, l);

	return service == CONF_SUBMISSIONS || service == CONF_POP3S;
}

size_t
conf_listener_find(const struct conf *c, const char *name)
{
	size_t l, n = conf_listener_count(c);

	for (l = 0; l < n && strcmp(conf_listener_name(c, l), name) != 0; l++)
		;
	return l;
}

/* How well the address fits: 2 the very same, 1 among all of the port. */
static int
conf_listen_fits(const struct conf_addrs *list, const struct addr *local)
{
	int best = 0;

	for (size_t i = 0; i < list->n; i++) {
		if (list->v[i].port != local->port)
			continue;
		if (addr_ip_eq(&list->v[i], local))
			best = 2;
		else if (best == 0 && addr_is_none(&list->v[i]) &&
		    addr_is_v4(&list->v[i]) == addr_is_v4(local))
			best = 1;
	}
	return best;
}

size_t
conf_listener_of(const struct conf *c, bool pop, const struct addr *local)
{
	size_t l, ret = pop ? CONF_POP3 : CONF_SUBMISSION;
	int fits, best = 0;

	for (l = 0; l < conf_listener_count(c); l++) {
		if (conf_listener_is_pop(c, l) != pop)
			continue;
		fits = conf_listen_fits(conf_listener_addrs(c, l), local);
		if (fits > best) {
			best = fits;
			ret = l;
		}
	}
	return ret;
}

static bool
conf_nets_have(const struct conf_nets *nets, const struct addr *a)
{
	for (size_t i = 0; i < nets->n; i++)
		if (net_has(&nets->v[i], a))
			return true;
	return false;
}

bool
conf_listener_is_proxied(const struct conf *c, size_t l)
{
	const struct conf_listen *sec = conf_listener_section(c, l);

	return sec != NULL && sec->proxy_from.n > 0;
}

bool
conf_listener_takes_proxy(const struct conf *c, size_t l,
    const struct addr *peer)
{
	const struct conf_listen *sec = conf_listener_section(c, l);

	return sec != NULL && conf_nets_have(&sec->proxy_from, peer);
}

bool
conf_listener_takes_xclient(const struct conf *c, size_t l,
    const struct addr *peer)
{
	const struct conf_listen *sec = conf_listener_section(c, l);

	return sec != NULL && conf_nets_have(&sec->xclient_from, peer);
}
