/*
 * conf_route.c - finds the route of a domain. Linked into every process: the
 * session asks at RCPT, submitd-send at delivery, submitctl why in between; they
 * must agree.
 */
#include "lib/conf_route.h"

#include <stdlib.h>
#include <string.h>

#include "lib/str.h"

#define CONF_UNIX "unix:"

static bool
conf_route_has(const struct conf_route *r, const char *domain, bool local)
{
	size_t len = strlen(domain), below;

	for (size_t i = 0; i < r->domains.n; i++) {
		const char *d = r->domains.v[i];

		if (d[0] == '*') {
			if (!local)
				return true;
			continue;
		}
		below = strlen(d);
		if (d[0] != '.' ? strcmp(d, domain) == 0 : len > below &&
		    strcmp(domain + len - below, d) == 0)
			return true;
	}
	return false;
}

const struct conf_route *
conf_route_find(const struct conf *c, const char *domain)
{
	bool local = conf_is_local_domain(c, domain);

	for (size_t i = 0; i < c->n_routes; i++)
		if (conf_route_has(&c->routes[i], domain, local))
			return &c->routes[i];
	return local ? c->route_local : c->route_next_hop;
}

const struct conf_route *
conf_route_named(const struct conf *c, const char *name)
{
	for (size_t i = 0; i < c->n_routes; i++)
		if (strcmp(c->routes[i].item.name, name) == 0)
			return &c->routes[i];
	if (strcmp(c->route_next_hop->item.name, name) == 0)
		return c->route_next_hop;
	return strcmp(c->route_local->item.name, name) == 0 ? c->route_local :
	    NULL;
}

static bool
conf_route_str_eq(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

bool
conf_route_eq(const struct conf_route *a, const struct conf_route *b)
{
	return a->via == b->via && a->port == b->port && a->tls == b->tls &&
	    a->address_family == b->address_family && a->auth == b->auth &&
	    a->connections == b->connections && a->bdat == b->bdat &&
	    a->messages_per_minute == b->messages_per_minute &&
	    a->tls_from_start == b->tls_from_start &&
	    conf_route_str_eq(a->host, b->host) &&
	    conf_route_str_eq(a->tls_name, b->tls_name) &&
	    conf_route_str_eq(a->tls_ca, b->tls_ca) &&
	    conf_route_str_eq(a->auth_user, b->auth_user) &&
	    conf_route_str_eq(a->auth_secret_file, b->auth_secret_file) &&
	    conf_route_str_eq(a->tls_ca_pem, b->tls_ca_pem) &&
	    conf_route_str_eq(a->auth_secret, b->auth_secret);
}

const char *
conf_route_unix(const struct conf_route *r)
{
	return r->host != NULL && strncmp(r->host, CONF_UNIX, strlen(CONF_UNIX)) == 0 ?
	    r->host + strlen(CONF_UNIX) : NULL;
}

int
conf_route_host(const struct conf_route *r, char *host, size_t size,
    uint16_t *ret_port)
{
	uint16_t port = r->via == CONF_VIA_LMTP ? 24 :
	    r->tls_from_start ? 465 : 25;

	if (r->host == NULL || conf_route_unix(r) != NULL)
		return ERR_NOTFOUND;
	return addr_split_hostport(r->host, port, host, size, ret_port);
}

int
conf_route_text(const struct conf_route *r, char *dst, size_t size)
{
	static const char *const words[] = {
		[CONF_VIA_MX] = "by MX", [CONF_VIA_LOCAL] = "into a Maildir "
		    "here", [CONF_VIA_NONE] = "none",
	};
	const char *kind = r->domains.n > 0 ? "route " : "";

	if (r->host == NULL)
		return str_format(dst, size, "%s%s %s", kind, r->item.name,
		    words[r->via]);
	return str_format(dst, size, "%s%s %s%s", kind, r->item.name,
	    r->via == CONF_VIA_LMTP ? "LMTP " : "", r->host);
}

void
conf_route_unload(struct conf_route *r)
{
	if (r->auth_secret != NULL)
		explicit_bzero(r->auth_secret, strlen(r->auth_secret));
	free(r->auth_secret);
	free(r->tls_ca_pem);
	r->auth_secret = r->tls_ca_pem = NULL;
}

/* --------------------------------------------------- those without a section -- */

static struct conf_route *
conf_route_new(const char *name, enum conf_via via, const char *host)
{
	struct conf_route *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	r->via = via;
	r->port = 25;
	r->connections = CONF_ROUTE_CONNECTIONS;
	r->tls = CONF_TLS_MAY;
	r->item.name = strdup(name);
	r->host = host == NULL ? NULL : strdup(host);
	if (r->item.name == NULL || (host != NULL && r->host == NULL)) {
		free(r->item.name);
		free(r->host);
		free(r);
		return NULL;
	}
	return r;
}

static void
conf_route_free(struct conf_route *r)
{
	if (r == NULL)
		return;
	free(r->item.name);
	free(r->host);
	free(r);
}

void
conf_routes_free(struct conf *c)
{
	conf_route_free(c->route_local);
	conf_route_free(c->route_next_hop);
	c->route_local = c->route_next_hop = NULL;
}

int
conf_routes_make(struct conf *c)
{
	bool mx = c->next_hop != NULL && strcmp(c->next_hop, "mx") == 0;

	conf_routes_free(c);
	c->route_local = conf_route_new("local_domains", CONF_VIA_LOCAL, NULL);
	c->route_next_hop = conf_route_new("next_hop", mx ? CONF_VIA_MX :
	    c->next_hop == NULL ? CONF_VIA_NONE : CONF_VIA_SMTP,
	    mx ? NULL : c->next_hop);
	if (c->route_local != NULL && c->route_next_hop != NULL)
		return 0;
	conf_routes_free(c);
	return ERR_NOMEM;
}
