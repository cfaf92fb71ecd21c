/*
 * conf_kind.c - the kinds of sections: the keys of each, and what must fit
 * together within one. Linked into every process, like conf_key.c.
 */
#include "lib/conf_section.h"

#include <string.h>

#include "lib/conf_route.h"
#include "lib/str.h"

#define AT(s, field)	offsetof(struct s, field)
#define KIND(s, array, count) \
	.size = sizeof(struct s), .items = AT(conf, array), .n = AT(conf, count)

static const char *const kind_services[] = {
	[CONF_SUBMISSION] = "submission", [CONF_SUBMISSIONS] = "submissions",
	[CONF_POP3] = "pop3", [CONF_POP3S] = "pop3s", NULL
};

static const char *const kind_actions[] = {
	[CONF_DEFER] = "defer", [CONF_REJECT] = "reject", [CONF_LOG] = "log",
	NULL
};

static const char *const kind_inherits[] = {
	[CONF_INHERIT] = "inherit", [CONF_NO] = "no", [CONF_YES] = "yes", NULL
};

static const struct conf_key kind_listener[] = {
	{ .name = "service", .type = &conf_word, .words = kind_services,
	  .offset = AT(conf_listen, service),
	  .help = "what it serves" },
	{ .name = "listen", .type = &conf_addrs,
	  .offset = AT(conf_listen, listen),
	  .help = "its addresses with ports" },
	{ .name = "proxy_from", .type = &conf_nets,
	  .offset = AT(conf_listen, proxy_from), .dflt = "",
	  .help = "who must send a PROXY header; nobody else is served" },
	{ .name = "xclient_from", .type = &conf_nets,
	  .offset = AT(conf_listen, xclient_from), .dflt = "",
	  .help = "who may say XCLIENT" },
	{ .name = "mechanisms", .type = &conf_mechs,
	  .offset = AT(conf_listen, mechanisms), .dflt = "",
	  .help = "the ways to log in here" },
	{ .name = "tls_cert", .type = &conf_paths,
	  .offset = AT(conf_listen, tls_cert), .dflt = "",
	  .help = "certificate chains of its own" },
	{ .name = "tls_key", .type = &conf_paths,
	  .offset = AT(conf_listen, tls_key), .dflt = "",
	  .help = "their private keys, in the same order" },
	{ .name = "tls_legacy", .type = &conf_word, .words = kind_inherits,
	  .offset = AT(conf_listen, tls_legacy), .dflt = "inherit",
	  .help = "as the key tls_legacy, here alone" },
	{ .name = NULL },
};

static const struct conf_key kind_trusted[] = {
	{ .name = "senders", .type = &conf_senders,
	  .offset = AT(conf_trusted, senders), .dflt = "",
	  .help = "the addresses it may send as" },
	{ .name = "owner", .type = &conf_user,
	  .offset = AT(conf_trusted, owner), .dflt = "",
	  .help = "the user whose mail it is" },
	{ .name = NULL },
};

static const struct conf_key kind_grant[] = {
	{ .name = "users_per_address", .type = &conf_number,
	  .offset = AT(conf_grant, users_per_address), .dflt = "0",
	  .max = 10000, .help = "as grant_users_per_address, there alone" },
	{ .name = "may_open_relay", .type = &conf_word,
	  .words = kind_inherits, .offset = AT(conf_grant, may_open_relay),
	  .dflt = "inherit", .help = "whether logins from there give grants" },
	{ .name = NULL },
};

#define LIMIT(field, text) \
	{ .name = #field, .type = &conf_number, \
	  .offset = AT(conf_class, field), .dflt = "0", .max = 1000000000, \
	  .help = text }

static const struct conf_key kind_class[] = {
	LIMIT(messages_hour, "messages that a user may send in an hour"),
	LIMIT(messages_day, "messages that a user may send in a day"),
	LIMIT(recipients_hour, "recipients that a user may write to in an hour"),
	LIMIT(recipients_day, "recipients that a user may write to in a day"),
	{ .name = "action", .type = &conf_word, .words = kind_actions,
	  .offset = AT(conf_class, action), .dflt = "defer",
	  .help = "what becomes of a message over a limit" },
	{ .name = NULL },
};

static const struct conf_key kind_brownout[] = {
	{ .name = "begin", .type = &conf_when,
	  .offset = AT(conf_brownout, begin_s), .help = "when it begins" },
	{ .name = "end", .type = &conf_when,
	  .offset = AT(conf_brownout, end_s), .help = "when it ends" },
	{ .name = "text", .type = &conf_text,
	  .offset = AT(conf_brownout, text), .dflt = "",
	  .help = "what the refusal says" },
	{ .name = "url", .type = &conf_text,
	  .offset = AT(conf_brownout, url), .dflt = "",
	  .help = "where it says more" },
	{ .name = NULL },
};

static const char *const kind_vias[] = {
	[CONF_VIA_MX] = "mx", [CONF_VIA_SMTP] = "smtp",
	[CONF_VIA_LMTP] = "lmtp", [CONF_VIA_LOCAL] = "local",
	[CONF_VIA_NONE] = "none", NULL
};
static const char *const kind_families[] = {
	[CONF_FAMILY_ANY] = "any", [CONF_FAMILY_IPV4] = "ipv4",
	[CONF_FAMILY_IPV6] = "ipv6", NULL
};
static const char *const kind_tls_levels[] = {
	[CONF_TLS_NONE] = "none", [CONF_TLS_MAY] = "may",
	[CONF_TLS_ENCRYPT] = "encrypt", [CONF_TLS_VERIFY] = "verify",
	[CONF_TLS_DANE] = "dane", NULL
};
static const char *const kind_auths[] = {
	[CONF_AUTH_NONE] = "none", [CONF_AUTH_PLAIN] = "plain",
	[CONF_AUTH_LOGIN] = "login", [CONF_AUTH_XOAUTH2] = "xoauth2", NULL
};

#define ROUTE(field, kind, text, ...) \
	{ .name = #field, .type = &kind, .offset = AT(conf_route, field), \
	  .help = text, __VA_ARGS__ }

enum { ROUTE_DOMAINS, ROUTE_VIA, ROUTE_HOST, ROUTE_PORT };

static const struct conf_key kind_route[] = {
	ROUTE(domains, conf_route_domains, "the domains of recipients",
	    .dflt = ""),
	ROUTE(via, conf_word, "how their mail goes", .words = kind_vias),
	ROUTE(host, conf_route_hosts, "the mail server, for smtp and lmtp"),
	ROUTE(port, conf_number, "the port of hosts found by MX",
	    .dflt = "25", .min = 1, .max = 65535),
	ROUTE(address_family, conf_word, "which addresses are used",
	    .dflt = "any", .words = kind_families),
	ROUTE(connections, conf_number, "connections to one destination",
	    .dflt = "20", .min = 1, .max = 1000),
	ROUTE(messages_per_minute, conf_number,
	    "messages to one destination; 0: no limit", .dflt = "0",
	    .max = 1000000),
	ROUTE(tls, conf_word, "how much TLS must be", .dflt = "may",
	    .words = kind_tls_levels),
	ROUTE(tls_name, conf_domain, "the name its certificate must have"),
	ROUTE(tls_ca, conf_path, "who must have signed it, PEM"),
	ROUTE(auth, conf_word, "how to log in there", .dflt = "none",
	    .words = kind_auths),
	ROUTE(auth_user, conf_text, "as whom"),
	ROUTE(auth_secret_file, conf_path,
	    "the file with the password or token"),
	ROUTE(bdat, conf_bool, "content by BDAT where it is offered",
	    .dflt = "no"),
	ROUTE(tls_from_start, conf_bool, "TLS without STARTTLS, as on port 465",
	    .dflt = "no"),
	{ .name = NULL },
};

/* 0.0.0.0/0 and ::/0: that would be an open relay. */
static int
kind_trusted_title(void *item, const char *text, char *dst, size_t size,
    struct err *reterr)
{
	struct conf_trusted *t = item;
	char net[ADDR_STRLEN];

	if (net_parse(text, &t->net) != 0)
		return err_set(reterr, ERR_CONFIG, "trusted_networks: expected "
		    "a network such as 192.0.2.0/24, not \"%.80s\"", text);
	if (t->net.bits == 0 || (t->net.bits == 96 &&
	    net_has(&t->net, &(struct addr){ .ip = { [10] = 255, 255 } })))
		return err_set(reterr, ERR_CONFIG, "trusted_networks: expected "
		    "a network, not the whole Internet (%.80s)", text);
	return str_copy(dst, size, net_text(&t->net, net));
}

static int
kind_grant_title(void *item, const char *text, char *dst, size_t size,
    struct err *reterr)
{
	struct conf_grant *g = item;
	char net[ADDR_STRLEN];

	if (net_parse(text, &g->net) != 0)
		return err_set(reterr, ERR_CONFIG, "grant_network: expected "
		    "a network such as 192.0.2.0/24, not \"%.80s\"", text);
	return str_copy(dst, size, net_text(&g->net, net));
}

/* Without either it may send nothing. */
static int
kind_trusted_check(const void *item, struct err *reterr)
{
	const struct conf_trusted *t = item;

	return t->senders.n == 0 || t->owner == NULL ? 0 :
	    conf_section_error(conf_kind_find("trusted_networks"), item,
	    reterr, "expected either senders or an owner");
}

static int
kind_brownout_check(const void *item, struct err *reterr)
{
	const struct conf_brownout *b = item;

	return b->begin_s > 0 && b->end_s > b->begin_s ? 0 :
	    conf_section_error(conf_kind_find("grant_brownout"), item, reterr,
	    b->begin_s == 0 ? "expected begin = a time such as 2026-12-01 "
	    "10:00" : "expected an end behind its begin");
}

static int
kind_listener_check(const void *item, struct err *reterr)
{
	const struct conf_listen *l = item;
	const struct conf_kind *kind = conf_kind_find("listener");

	for (size_t i = 0; kind_services[i] != NULL; i++) {
		if (strcmp(l->item.name, kind_services[i]) == 0)
			return conf_section_error(kind, item, reterr, "expected "
			    "another name, listen_%s is called so", l->item.name);
	}
	if (strcmp(l->item.name, CONF_LMTP_NAME) == 0)
		return conf_section_error(kind, item, reterr, "expected "
		    "another name, that is lmtp_listen's");
	if (!l->item.values[0].set)
		return conf_section_error(kind, item, reterr,
		    "expected service = submission, submissions, pop3 or "
		    "pop3s");
	if (l->listen.n == 0)
		return conf_section_error(kind, item, reterr,
		    "expected listen = {…}, addresses with ports");
	if (l->tls_cert.n != l->tls_key.n)
		return conf_section_error(kind, item, reterr,
		    "tls_key: expected one key for each tls_cert (%zu), not "
		    "%zu", l->tls_cert.n, l->tls_key.n);
	if (l->xclient_from.n > 0 && (l->service == CONF_POP3 ||
	    l->service == CONF_POP3S))
		return conf_section_error(kind, item, reterr,
		    "xclient_from: expected only where submission is served");
	if (l->xclient_from.n > 0 && l->proxy_from.n > 0)
		return conf_section_error(kind, item, reterr,
		    "expected proxy_from or xclient_from, not both");
	return 0;
}

/* What a route may not have; NULL: nothing is wrong. */
static const char *
kind_route_flaw(const struct conf_route *r)
{
	bool hosted = r->via == CONF_VIA_SMTP || r->via == CONF_VIA_LMTP;
	bool local = conf_route_unix(r) != NULL;

	if (!r->item.values[ROUTE_VIA].set)
		return "expected via = mx, smtp, lmtp, local or none";
	if (r->domains.n == 0)
		return "expected domains = {…}";
	if (hosted != (r->host != NULL))
		return hosted ? "expected host = HOST:PORT, the server that "
		    "takes the mail" : "host: expected only with via = smtp or "
		    "lmtp";
	if (local && r->via != CONF_VIA_LMTP)
		return "host: expected unix: only with via = lmtp";
	if (local && r->tls > CONF_TLS_MAY)
		return "tls: expected none or may, there is no TLS over a UNIX "
		    "socket";
	if (r->item.values[ROUTE_PORT].set && r->via != CONF_VIA_MX)
		return "port: expected only with via = mx; else it stands in "
		    "host";
	if (r->tls_from_start && (!hosted || local || r->tls == CONF_TLS_NONE))
		return "tls_from_start: expected a host, and tls other than "
		    "none";
	if (r->auth == CONF_AUTH_NONE)
		return NULL;
	if (!hosted)
		return "auth: expected only with via = smtp or lmtp";
	if (r->auth_user == NULL || r->auth_secret_file == NULL)
		return "auth: expected auth_user and auth_secret_file too";
	return r->tls >= CONF_TLS_VERIFY ? NULL :
	    "auth: expected tls = verify or dane, credentials go to nobody "
	    "else";
}

static int
kind_route_check(const void *item, struct err *reterr)
{
	const char *flaw = kind_route_flaw(item);

	return flaw == NULL ? 0 : conf_section_error(conf_kind_find("route"),
	    item, reterr, "%s", flaw);
}

static void
kind_listener_clear(void *item)
{
	struct conf_listen *l = item;

	for (; l->n_tls > 0; l->n_tls--)
		tls_pair_free(&l->tls[l->n_tls - 1]);
}

static void
kind_route_clear(void *item)
{
	conf_route_unload(item);
}

const struct conf_kind conf_kinds[] = {
	{ .name = "listener", .title = "NAME", .keys = kind_listener,
	  KIND(conf_listen, listeners, n_listeners), .max = CONF_SECTIONS_MAX,
	  .check = kind_listener_check, .clear = kind_listener_clear },
	{ .name = "trusted_networks", .title = "NETWORK", .keys = kind_trusted,
	  KIND(conf_trusted, trusted, n_trusted), .max = 4096,
	  .read_title = kind_trusted_title, .check = kind_trusted_check },
	{ .name = "grant_network", .title = "NETWORK", .keys = kind_grant,
	  KIND(conf_grant, grants, n_grants), .max = 4096,
	  .read_title = kind_grant_title },
	{ .name = "class", .title = "NAME", .keys = kind_class,
	  KIND(conf_class, classes, n_classes), .max = 256 },
	{ .name = "grant_brownout", .title = "NAME", .keys = kind_brownout,
	  KIND(conf_brownout, brownouts, n_brownouts), .max = 64,
	  .check = kind_brownout_check },
	{ .name = "route", .title = "NAME", .keys = kind_route,
	  KIND(conf_route, routes, n_routes), .max = 4096,
	  .check = kind_route_check, .clear = kind_route_clear },
	{ .name = NULL },
};

const struct conf_class *
conf_class_find(const struct conf *c, const char *name)
{
	const struct conf_class *k;

	for (k = c->classes; k < c->classes + c->n_classes; k++) {
		if (strcmp(k->item.name, name) == 0)
			return k;
	}
	return NULL;
}
