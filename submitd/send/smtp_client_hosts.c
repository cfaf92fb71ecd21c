/*
 * smtp_client_hosts.c - the hosts of a next hop and their addresses, one after
 * the other, and the connection to the one whose turn it is.
 *
 * Runs in submitd-send, which is chrooted: to a UNIX socket the parent connects
 * for us, by the name of the route.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "submitd/send/smtp_client_private.h"

#include "lib/child.h"
#include "lib/fio.h"
#include "lib/log.h"
#include "lib/str.h"

#define SMTP_CLIENT_IN_MAX	8192u
#define SMTP_CLIENT_UNIX	"unix:"

/* ------------------------------------------------------------- the target -- */

static char *
smtp_client_dup(const char *s, bool *bad)
{
	char *copy = s == NULL ? NULL : strdup(s);

	*bad |= s != NULL && copy == NULL;
	return copy;
}

static int
smtp_client_take_route(struct smtp_client_way *w, const struct conf_route *r)
{
	bool bad = false;

	w->tls = CONF_TLS_MAY;
	if (r == NULL)
		return 0;
	w->tls = r->tls;
	w->lmtp = r->via == CONF_VIA_LMTP;
	w->fixed = r->via != CONF_VIA_MX;
	w->bdat = r->bdat;
	w->tls_from_start = r->tls_from_start;
	w->auth = r->auth;
	w->tls_ca = smtp_client_dup(r->tls_ca_pem, &bad);
	w->user = smtp_client_dup(r->auth_user, &bad);
	w->secret = smtp_client_dup(r->auth_secret, &bad);
	if (bad || str_copy(w->name, sizeof(w->name), r->item.name) != 0 ||
	    (r->tls_name != NULL && str_copy(w->tls_name, sizeof(w->tls_name),
	    r->tls_name) != 0))
		return ERR_NOMEM;
	return 0;
}

static void
smtp_client_add_place(struct smtp_client *c, size_t host, const struct addr *a)
{
	struct smtp_client_place *p = &c->places[c->n_places];

	if (c->n_places == SMTP_CLIENT_PLACES_MAX)
		return;
	c->n_places++;
	p->host = host;
	p->is_unix = a == NULL;
	if (a != NULL)
		p->addr = *a;
}

/* The address that worked last comes first among those of its host. */
static void
smtp_client_add_host(struct smtp_client *c, size_t host,
    const struct addr *last_good)
{
	const struct hosts_host *h = &c->hosts->host[host];

	if (h->n_addrs == 0) {
		if (strncmp(h->name, SMTP_CLIENT_UNIX,
		    strlen(SMTP_CLIENT_UNIX)) == 0)
			smtp_client_add_place(c, host, NULL);
		return;
	}
	for (size_t i = 0; i < h->n_addrs; i++)
		if (last_good->port != 0 &&
		    addr_ip_eq(&h->addrs[i], last_good))
			smtp_client_add_place(c, host, &h->addrs[i]);
	for (size_t i = 0; i < h->n_addrs; i++)
		if (last_good->port == 0 ||
		    !addr_ip_eq(&h->addrs[i], last_good))
			smtp_client_add_place(c, host, &h->addrs[i]);
}

int
smtp_client_hosts_take(struct smtp_client *c,
    const struct smtp_client_target *to)
{
	c->hosts = to->hosts;
	c->child = to->child;
	c->tls_optional = to->tls_optional;
	for (size_t i = 0; i < c->hosts->n; i++)
		smtp_client_add_host(c, i, &to->last_good);
	if (c->n_places == 0 || smtp_client_take_route(&c->way,
	    to->route) != 0 || str_copy(c->hostname, sizeof(c->hostname),
	    to->hostname) != 0)
		return ERR_NOMEM;
	if (to->tls != NULL && SSL_CTX_up_ref(to->tls) == 1)
		c->tls_ctx = to->tls;
	return 0;
}

void
smtp_client_hosts_free(struct smtp_client *c)
{
	if (c->child_call != 0)
		child_connect_cancel(c->child, c->child_call);
	c->child_call = 0;
	hosts_free(c->hosts);
	c->hosts = NULL;
	SSL_CTX_free(c->tls_ctx);
	c->tls_ctx = NULL;
	free(c->way.tls_ca);
	c->way.tls_ca = NULL;
	smtp_client_auth_free(&c->way);
}

const struct hosts_host *
smtp_client_host(const struct smtp_client *c)
{
	return &c->hosts->host[c->places[c->place].host];
}

/* --------------------------------------------------------------- the walk -- */

bool
smtp_client_next_place(struct smtp_client *c, const char *why)
{
	/* RFC 7435: opportunistic TLS that fails is better than none. */
	if (c->state == SMTP_CLIENT_HANDSHAKE && !c->no_tls &&
	    !c->way.tls_from_start &&
	    smtp_client_level(c) <= CONF_TLS_MAY) {
		LOG_EV(LOG_WARNING, "hop.tls", NULL, KV_A("relay", c->relay),
		    KV_T("why", why));
		c->no_tls = true;
		return true;
	}
	c->no_tls = false;
	while (c->place + 1 < c->n_places) {
		c->place++;
		if (!c->only_ipv4 || !smtp_client_is_ipv6(c))
			return true;
	}
	return false;
}

bool
smtp_client_is_ipv6(const struct smtp_client *c)
{
	const struct smtp_client_place *p = &c->places[c->place];

	return !p->is_unix && !addr_is_v4(&p->addr);
}

bool
smtp_client_to_ipv4(struct smtp_client *c)
{
	size_t i;

	for (i = 0; i < c->n_places; i++)
		if (!c->places[i].is_unix && addr_is_v4(&c->places[i].addr))
			break;
	if (i == c->n_places || c->only_ipv4)
		return false;
	c->place = i;
	c->only_ipv4 = true;
	return true;
}

bool
smtp_client_to_next_host(struct smtp_client *c)
{
	size_t host = c->places[c->place].host;

	for (size_t i = c->place + 1; i < c->n_places; i++) {
		const struct smtp_client_place *p = &c->places[i];

		if (p->host == host || (c->only_ipv4 && !p->is_unix &&
		    !addr_is_v4(&p->addr)))
			continue;
		c->place = i;
		c->no_tls = false;
		return true;
	}
	return false;
}

/* ------------------------------------------------------------- connecting -- */

static void
smtp_client_unix_done(struct smtp_client *c, int fd, const char *why)
{
	if (fd >= 0 && (c->conn = conn_new(c->loop, fd, SMTP_CLIENT_IN_MAX,
	    &smtp_client_conn_ops, c)) != NULL) {
		smtp_client_enter(c, SMTP_CLIENT_GREETING);
		return;
	}
	if (fd >= 0)
		close(fd);
	smtp_client_lost_here(c, fd >= 0 ? "no memory" : why);
}

static void
smtp_client_parent_did(void *ctx, int fd, const char *why)
{
	struct smtp_client *c = ctx;

	c->child_call = 0;
	smtp_client_unix_done(c, fd, why);
}

static void
smtp_client_connect_unix(struct smtp_client *c, const char *path)
{
	struct err e = { 0 };
	int fd;

	if (c->child == NULL) {
		fd = fio_connect_unix(path, &e);
		smtp_client_unix_done(c, fd, e.text);
		return;
	}
	c->child_call = child_connect(c->child, c->way.name,
	    smtp_client_parent_did, c);
	if (c->child_call == 0)
		smtp_client_lost_here(c, "no memory");
}

/* What was learnt of another connection does not hold for this one. */
static void
smtp_client_forget(struct smtp_client *c)
{
	c->greeted = c->verified = c->lowered = c->pix = false;
	c->told_busy = false;
	c->auth_step = 0;
	c->ext = 0;
	c->n_txns = c->txn != NULL ? 1 : 0;
	c->tls[0] = '\0';
}

void
smtp_client_connect(struct smtp_client *c)
{
	const struct smtp_client_place *p = &c->places[c->place];
	const char *name = smtp_client_host(c)->name;
	char ip[ADDR_STRLEN];
	struct err e;

	smtp_client_forget(c);
	smtp_client_enter(c, SMTP_CLIENT_CONNECT);
	if (p->is_unix) {
		(void)str_format(c->relay, sizeof(c->relay), "%s", name);
		smtp_client_connect_unix(c, name + strlen(SMTP_CLIENT_UNIX));
		return;
	}
	(void)str_format(c->relay, sizeof(c->relay), "%s[%s]:%u", name,
	    addr_ip_text(&p->addr, ip), p->addr.port);
	c->conn = conn_connect(c->loop, &p->addr, SMTP_CLIENT_IN_MAX,
	    &smtp_client_conn_ops, c, &e);
	if (c->conn == NULL)
		smtp_client_lost_here(c, e.text);
	else
		smtp_client_rearm(c);
}
