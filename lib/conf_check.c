/*
 * conf_check.c - what must fit together between keys and sections. Linked into
 * every process: a child checks what its parent sends once more.
 */
#include "lib/conf_section.h"

#include <string.h>

#include "lib/conf_route.h"
#include "lib/str.h"

static const struct conf_value *
conf_value_of(const struct conf *c, const char *name)
{
	return &c->values->key[conf_key_find(name)];
}

/* Without a certificate the listeners that begin with TLS are left out, but
 * not when somebody asked for them. */
static int
conf_check_tls(struct conf *c, struct err *reterr)
{
	struct {
		const char *name;
		struct conf_addrs *addrs;
	} implicit[] = {
		{ "listen_submissions", &c->listen_submissions },
		{ "listen_pop3s", &c->listen_pop3s },
	};
	size_t i;

	if (c->tls_cert.n != c->tls_key.n)
		return err_set(reterr, ERR_CONFIG, "tls_key: expected one key "
		    "for each tls_cert (%zu), not %zu", c->tls_cert.n,
		    c->tls_key.n);
	for (i = 0; i < 2 && c->tls_cert.n == 0; i++) {
		if (implicit[i].addrs->n == 0)
			continue;
		if (conf_value_of(c, implicit[i].name)->set)
			return err_set(reterr, ERR_CONFIG, "%s: expected "
			    "tls_cert and tls_key to be set too",
			    implicit[i].name);
		implicit[i].addrs->n = 0;
	}
	return 0;
}

/* ------------------------------------------------------------- listeners -- */

/* Text that is about listener `l`, such that its place is found. */
static int
conf_listen_error(const struct conf *c, size_t l, struct err *reterr,
    const char *what)
{
	if (l >= CONF_LISTENER__COUNT)
		return conf_section_error(conf_kind_find("listener"),
		    conf_listener_section(c, l), reterr, "%s", what);
	return err_set(reterr, ERR_CONFIG, "listen_%s: %s",
	    conf_listener_name(c, l), what);
}

static size_t
conf_listen_count(const struct conf_addrs *list, const struct addr *a)
{
	size_t i, n = 0;

	for (i = 0; i < list->n; i++)
		n += list->v[i].port == a->port && addr_ip_eq(&list->v[i], a);
	return n;
}

/* Port 0 is the kernel's choice, a new one each time. */
static int
conf_check_addrs(const struct conf *c, size_t l, struct err *reterr)
{
	const struct conf_addrs *list = conf_listener_addrs(c, l);
	char text[ADDR_STRLEN], what[200];
	size_t i, j, n;

	for (i = 0; i < list->n; i++) {
		for (n = 0, j = 0; j < conf_listener_count(c); j++)
			n += conf_listen_count(conf_listener_addrs(c, j),
			    &list->v[i]);
		if (n == 1 || list->v[i].port == 0)
			continue;
		str_format(what, sizeof(what), "expected each address and port "
		    "once, %s is repeated", addr_text(&list->v[i], text));
		return conf_listen_error(c, l, reterr, what);
	}
	return 0;
}

/* What a client may claim to be must not be what may send without a login, or
 * whoever reaches the balancer's own port could. */
static int
conf_check_peers(const struct conf *c, const struct conf_listen *sec,
    const struct conf_nets *nets, const char *key, struct err *reterr)
{
	char net[ADDR_STRLEN];

	for (size_t i = 0; i < nets->n; i++) {
		if (nets->v[i].bits == 0 || (nets->v[i].bits == 96 &&
		    net_has(&nets->v[i], &(struct addr){ .ip =
		    { [10] = 255, 255 } })))
			return conf_section_error(conf_kind_find("listener"),
			    sec, reterr, "%s: expected networks, not the whole "
			    "Internet (%s)", key, net_text(&nets->v[i], net));
		for (size_t t = 0; t < c->n_trusted; t++)
			if (net_overlaps(&c->trusted[t].net, &nets->v[i]))
				return conf_section_error(conf_kind_find(
				    "trusted_networks"), &c->trusted[t],
				    reterr, "expected no network with %s, a "
				    "peer in %s of listener %s: it speaks for "
				    "others", net_text(&nets->v[i], net), key,
				    sec->item.name);
	}
	return 0;
}

static int
conf_check_section(const struct conf *c, size_t l, struct err *reterr)
{
	const struct conf_listen *sec = conf_listener_section(c, l);
	int r = conf_check_peers(c, sec, &sec->proxy_from, "proxy_from",
	    reterr);

	if (r == 0)
		r = conf_check_peers(c, sec, &sec->xclient_from,
		    "xclient_from", reterr);
	if (r == 0 && conf_listener_is_tls(c, l) && c->tls_cert.n == 0 &&
	    sec->tls_cert.n == 0)
		r = conf_listen_error(c, l, reterr,
		    "expected tls_cert and tls_key to be set too");
	return r;
}

static int
conf_check_listeners(const struct conf *c, struct err *reterr)
{
	int r = 0;

	for (size_t l = 0; l < conf_listener_count(c) && r == 0; l++) {
		r = conf_check_addrs(c, l, reterr);
		if (r == 0 && l >= CONF_LISTENER__COUNT)
			r = conf_check_section(c, l, reterr);
	}
	return r;
}

/* ------------------------------------------------------------ mechanisms -- */

/* What is wrong with the mechanisms that the listener has of its own. */
static int
conf_mechs_error(const struct conf *c, size_t l, const char *what,
    struct err *reterr)
{
	const struct conf_listen *sec = conf_listener_section(c, l);

	if (sec != NULL)
		return conf_section_error(conf_kind_find("listener"), sec,
		    reterr, "mechanisms: %s", what);
	return err_set(reterr, ERR_CONFIG, "mechanisms_%s: %s",
	    conf_listener_name(c, l), what);
}

/* The bits that a listener has of its own; 0: none. */
static uint64_t
conf_mechs_own(const struct conf *c, size_t l)
{
	const struct conf_listen *sec = conf_listener_section(c, l);

	return sec == NULL ? c->mechanisms_by[l] : sec->mechanisms;
}

static int
conf_check_mechs(const struct conf *c, struct err *reterr)
{
	static const char no_sha1[] = "SCRAM-SHA-1 needs scram_sha1 = yes, and "
	    "then works for passwords set from then on";
	const uint32_t sha1 = CONF_MECH_BIT(CONF_SCRAM_SHA_1) |
	    CONF_MECH_BIT(CONF_SCRAM_SHA_1_PLUS);

	if (c->mechanisms == 0)
		return err_set(reterr, ERR_CONFIG,
		    "mechanisms: nobody could log in; name at least PLAIN");
	for (size_t l = 0; l < conf_listener_count(c); l++) {
		if (conf_mechs_own(c, l) != 0 && conf_mechanisms(c, l) == 0)
			return conf_mechs_error(c, l, "APOP is of POP3 alone",
			    reterr);
		if ((conf_mechs_own(c, l) & sha1) && !c->scram_sha1)
			return conf_mechs_error(c, l, no_sha1, reterr);
	}
	if ((c->mechanisms & sha1) && !c->scram_sha1)
		return err_set(reterr, ERR_CONFIG, "mechanisms: %s", no_sha1);
	return 0;
}

/* ---------------------------------------------------------------- routes -- */

static int
conf_check_route(const struct conf *c, const struct conf_route *r,
    struct err *reterr)
{
	const struct conf_kind *kind = conf_kind_find("route");

	if (strcmp(r->item.name, c->route_next_hop->item.name) == 0 ||
	    strcmp(r->item.name, c->route_local->item.name) == 0 ||
	    strcmp(r->item.name, "local") == 0 ||
	    strcmp(r->item.name, "none") == 0)
		return conf_section_error(kind, r, reterr, "expected another "
		    "name, a destination is called so already");
	for (size_t i = 0; i < r->domains.n && r->via == CONF_VIA_LOCAL; i++)
		if (!conf_is_local_domain(c, r->domains.v[i]))
			return conf_section_error(kind, r, reterr, "domains: "
			    "expected domains of local_domains with via = "
			    "local, not \"%s\"", r->domains.v[i]);
	return 0;
}

static int
conf_check_routes(struct conf *c, struct err *reterr)
{
	int r = conf_routes_make(c);

	if (r != 0)
		return err_set(reterr, r, "route: no memory");
	for (size_t i = 0; i < c->n_routes && r == 0; i++) {
		r = conf_check_route(c, &c->routes[i], reterr);
		for (size_t j = 0; j < i && r == 0; j++)
			if (strcmp(c->routes[i].item.name,
			    c->routes[j].item.name) == 0)
				r = conf_section_error(conf_kind_find("route"),
				    &c->routes[i], reterr,
				    "expected each name once");
	}
	return r;
}

int
conf_check(struct conf *c, struct err *reterr)
{
	int r = conf_check_tls(c, reterr);

	if (r == 0)
		r = conf_check_listeners(c, reterr);
	if (r == 0)
		r = conf_check_mechs(c, reterr);
	if (r == 0)
		r = conf_check_routes(c, reterr);
	if (r == 0 && c->default_class != NULL &&
	    conf_class_find(c, c->default_class) == NULL)
		r = err_set(reterr, ERR_CONFIG, "default_class: expected the "
		    "name of a section class, not \"%s\"", c->default_class);
	if (r == 0 && c->retry_min_s > c->retry_max_s)
		r = err_set(reterr, ERR_CONFIG,
		    "retry_min: expected at most retry_max");
	return r;
}
