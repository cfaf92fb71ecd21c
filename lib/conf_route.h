/*
 * conf_route.h - where mail for a domain goes: the sections route NAME { … } in
 * the order of the file, then local_domains, then next_hop, which is a route by
 * that name with the defaults of all keys.
 */
#ifndef SUBMITD_CONF_ROUTE_H
#define SUBMITD_CONF_ROUTE_H

#include "lib/conf.h"

enum conf_via {
	CONF_VIA_MX, CONF_VIA_SMTP, CONF_VIA_LMTP, CONF_VIA_LOCAL, CONF_VIA_NONE
};
enum conf_family { CONF_FAMILY_ANY, CONF_FAMILY_IPV4, CONF_FAMILY_IPV6 };
enum conf_tls_level {
	CONF_TLS_NONE, CONF_TLS_MAY, CONF_TLS_ENCRYPT, CONF_TLS_VERIFY,
	CONF_TLS_DANE
};
enum conf_auth {
	CONF_AUTH_NONE, CONF_AUTH_PLAIN, CONF_AUTH_LOGIN, CONF_AUTH_XOAUTH2
};

struct conf_route {		/* route NAME { … } */
	struct conf_item	 item;
	/* "example.org"; ".example.org": all below it; "*": all but
	 * local_domains. Lower case, A-labels. */
	struct conf_list	 domains;
	enum conf_via		 via;
	char			*host;		/* conf_route_host(); or NULL */
	uint64_t		 port;		/* of hosts found by MX */
	enum conf_family	 address_family;
	uint64_t		 connections;	/* to one destination */
	uint64_t		 messages_per_minute;	/* the same; 0: no limit */
	enum conf_tls_level	 tls;
	char			*tls_name;	/* or NULL: the host's */
	char			*tls_ca;	/* file, or NULL: the system's */
	enum conf_auth		 auth;
	char			*auth_user;
	char			*auth_secret_file;
	bool			 bdat;
	bool			 tls_from_start;
	/* By conf_load_routes(); only submitd-send gets them. */
	char			*tls_ca_pem;	/* of tls_ca, or NULL */
	char			*auth_secret;	/* of auth_secret_file, or NULL */
};

/* The route of a domain in lower case with A-labels, or of an address literal
 * as it stands behind the @. Never NULL. */
const struct conf_route *conf_route_find(const struct conf *c,
	    const char *domain);
/* The section by that name, or "next_hop", "local_domains"; or NULL. */
const struct conf_route *conf_route_named(const struct conf *c,
	    const char *name);
/* Mail goes by either in the same way; the domains are not looked at. */
bool	conf_route_eq(const struct conf_route *a, const struct conf_route *b);
/* The route's host and port, for smtp and lmtp; the port by default 25, 24 for
 * lmtp, 465 with tls_from_start. ERR_NOTFOUND: there is none (unix:). */
int	conf_route_host(const struct conf_route *r, char *host, size_t size,
	    uint16_t *ret_port);
/* The path of host = "unix:/path", or NULL. */
const char *conf_route_unix(const struct conf_route *r);
/* "next_hop [192.0.2.1]:25", "route NAME by MX", …: for people. */
int	conf_route_text(const struct conf_route *r, char *dst, size_t size);

/* Reads what the routes name: tls_ca and the first line of auth_secret_file. In
 * parents, and to check. ERR_CONFIG with "FILE:LINE: …". */
int	conf_load_routes(struct conf *c, struct err *reterr);
/* The same of one route; after an error it has what it had. */
int	conf_route_load(struct conf_route *r, struct err *reterr);
void	conf_route_unload(struct conf_route *r);	/* zeroes the secret */

/* Makes those that are no sections, local_domains' and next_hop's, anew;
 * conf_check() does. ERR_NOMEM. */
int	conf_routes_make(struct conf *c);
void	conf_routes_free(struct conf *c);

#endif
