/*
 * parent_tls.c - a parent's certificates: told about, watched, renewed without a
 * signal; and the seed of session tickets. See parent.h.
 *
 * A renewal takes nothing of the configuration anew but the pairs whose files
 * have changed. What cannot be used is left out, with a line in the log: the
 * pair that is served stays.
 */
#include "lib/parent_private.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "lib/clock.h"
#include "lib/conf_route.h"
#include "lib/log.h"
#include "lib/str.h"

#define CERT_SETTLE_MS		1000	/* between certificate and key */
#define CERT_REMIND_S		86400	/* of what is wrong */
#define TICKET_LIFE_MS		(12 * 3600 * 1000)

/* ------------------------------------------------------------------- told -- */

static void
parent_tls_tell_pair(const struct parent *p, const char *file,
    const struct tls_pair *pair, bool all, bool *covers)
{
	char warning[TLS_FACTS_TEXT * 2];
	struct tls_facts f;

	if (tls_pair_facts(pair, p->conf->hostname, &f) != 0)
		return;
	*covers |= f.covers;
	if (all)
		LOG_EV(LOG_INFO, "tls.cert", NULL, KV_T("file", file),
		    KV_T("names", f.names), KV_T("kind", f.kind),
		    KV_I("days", (f.not_after - clock_now_s()) / 86400));
	tls_facts_warning(&f, clock_now_s(), warning);
	if (warning[0] != '\0')
		LOG_EV(LOG_WARNING, f.not_after < clock_now_s() ?
		    "tls.expired" : "tls.warning", NULL, KV_T("file", file),
		    KV_T("why", warning));
}

/* With `all` false only what is wrong. */
static void
parent_tls_tell(struct parent *p, bool all)
{
	struct conf_pairs set;
	bool covers = false;

	p->tls_told_s = clock_now_s();
	for (size_t i = 0; conf_pairs_at(p->conf, i, &set); i++)
		for (size_t k = 0; k < *set.n; k++)
			parent_tls_tell_pair(p, set.cert->v[k], &set.tls[k],
			    all, &covers);
	if (p->conf->n_tls == 0)
		LOG_EV(LOG_WARNING, "tls.none", NULL, KV_T("why",
		    "tls_cert is not set: TLS is not offered, so nobody can "
		    "log in"));
	else if (!covers)
		LOG_EV(LOG_WARNING, "tls.warning", NULL, KV_T("why",
		    "no certificate in tls_cert has the name of hostname: "
		    "clients that use it refuse the certificate"));
}

/* What the files hold now cannot be used, and something older is served. */
static bool
parent_tls_is_stale(const char *cert, const char *key, char *why, size_t size)
{
	struct tls_pair next = { 0 };
	struct err e = { 0 };
	int64_t end;

	if (tls_pair_read(cert, key, &next, &end, &e) == 0) {
		tls_pair_free(&next);
		return false;
	}
	(void)str_format(why, size, "its renewal cannot be used, the one before "
	    "is served: %.300s", e.text);
	return true;
}

static void
parent_tls_status_pair(const struct parent *p, const char *cert,
    const char *key, const struct tls_pair *pair, json_t *list)
{
	char warning[TLS_FACTS_TEXT * 2 + 400];
	int64_t now = clock_now_s();
	struct tls_facts f;

	if (tls_pair_facts(pair, p->conf->hostname, &f) != 0)
		return;
	if (!parent_tls_is_stale(cert, key, warning, sizeof(warning)))
		tls_facts_warning(&f, now, warning);
	json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:I, s:s}",
	    "file", cert, "names", f.names, "kind", f.kind, "days_left",
	    (json_int_t)((f.not_after - now) / 86400), "warning", warning));
}

static void
parent_tls_status_least(json_t *own, const json_t *list)
{
	json_int_t least = INT64_MAX, days;
	const json_t *one;
	size_t i;

	json_array_foreach(list, i, one) {
		days = json_integer_value(json_object_get(one, "days_left"));
		least = days < least ? days : least;
	}
	if (i > 0)
		json_object_set_new(own, "tls_days_left", json_integer(least));
}

void
parent_tls_status(const struct parent *p, json_t *own)
{
	json_t *list = json_array();
	struct conf_pairs set;

	for (size_t i = 0; p->prog->needs_tls &&
	    conf_pairs_at(p->conf, i, &set); i++)
		for (size_t k = 0; k < *set.n; k++)
			parent_tls_status_pair(p, set.cert->v[k],
			    set.key->v[k], &set.tls[k], list);
	parent_tls_status_least(own, list);
	if (json_array_size(list) > 0)
		json_object_set(own, "certificates", list);
	json_decref(list);
}

/* ---------------------------------------------------------------- renewal -- */

/* The same configuration once more, for new pairs. */
static struct conf *
parent_tls_copy(const struct conf *c)
{
	struct conf *copy = NULL;
	struct err e = { 0 };
	struct buf b;

	buf_init(&b, 16u * 1024 * 1024);
	if (conf_pack(c, CONF_WITH_PAIRS | CONF_WITH_LOGINS, &b, &e) != 0 ||
	    conf_unpack(buf_data(&b), buf_len(&b), &copy, &e) != 0)
		LOG_EV(LOG_ERR, "conf.pack", NULL, KV_T("why", e.text));
	if (buf_len(&b) > 0)
		explicit_bzero(buf_data(&b), buf_len(&b));
	buf_free(&b);
	return copy;
}

/* True when `pair` is another one now. */
static bool
parent_tls_renew_pair(const char *cert, const char *key, struct tls_pair *pair)
{
	struct tls_pair next;
	struct err e = { 0 };
	int64_t end;

	if (tls_pair_read(cert, key, &next, &end, &e) == 0 &&
	    end < clock_now_s()) {
		err_set(&e, ERR_CONFIG, "%s: it has expired", cert);
		tls_pair_free(&next);
	}
	if (next.cert == NULL) {
		LOG_EV(LOG_ERR, "tls.refused", NULL, KV_T("file", cert),
		    KV_T("why", e.text));
		return false;
	}
	if (strcmp(next.cert, pair->cert) == 0 &&
	    strcmp(next.key, pair->key) == 0) {
		tls_pair_free(&next);
		return false;
	}
	tls_pair_free(pair);
	*pair = next;
	return true;
}

static bool
parent_tls_same(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* The same for what a route names: its secret may be a token of an hour. */
static bool
parent_tls_renew_route(const struct conf_route *old, struct conf_route *next)
{
	struct err e = { 0 };

	if (conf_route_load(next, &e) == 0)
		return !parent_tls_same(old->tls_ca_pem, next->tls_ca_pem) ||
		    !parent_tls_same(old->auth_secret, next->auth_secret);
	LOG_EV(LOG_ERR, "route.refused", NULL, KV_A("route", next->item.name),
	    KV_T("why", e.text));
	return false;
}

static bool
parent_tls_renew_routes(const struct parent *p, struct conf *next)
{
	bool any = false;

	if (p->prog->serves != PARENT_SUBMISSION)
		return false;
	for (size_t i = 0; i < next->n_routes; i++)
		any |= parent_tls_renew_route(&p->conf->routes[i],
		    &next->routes[i]);
	return any;
}

static void
parent_tls_renew(struct parent *p)
{
	struct conf *next = parent_tls_copy(p->conf);
	struct conf_pairs set;
	bool any = false;

	if (next == NULL)
		return;
	for (size_t i = 0; conf_pairs_at(next, i, &set); i++)
		for (size_t k = 0; k < *set.n; k++)
			any |= parent_tls_renew_pair(set.cert->v[k],
			    set.key->v[k], &set.tls[k]);
	any |= parent_tls_renew_routes(p, next);
	if (any)
		parent_take(p, next);
	else
		conf_unref(next);
}

int
parent_tls_load_routes(const struct parent *p, struct conf *c,
    struct err *reterr)
{
	return p->prog->serves == PARENT_SUBMISSION ?
	    conf_load_routes(c, reterr) : 0;
}

/* ---------------------------------------------------------------- tickets -- */

void
parent_tls_seed(struct parent *p, struct conf *next)
{
	bool fresh = p->conf == NULL || p->conf == next ||
	    !p->conf->tls_tickets ||
	    clock_mono_ms() - p->seeded_ms >= TICKET_LIFE_MS;

	if (!next->tls_tickets)
		return;
	if (!fresh) {
		memcpy(next->ticket_seed, p->conf->ticket_seed,
		    sizeof(next->ticket_seed));
		return;
	}
	p->seeded_ms = clock_mono_ms();
	/* Without random octets there are no tickets. */
	if (getrandom(next->ticket_seed, sizeof(next->ticket_seed), 0) !=
	    sizeof(next->ticket_seed))
		next->tls_tickets = false;
}

static void
parent_tls_rotate(struct parent *p)
{
	struct conf *next;

	if (!p->conf->tls_tickets ||
	    clock_mono_ms() - p->seeded_ms < TICKET_LIFE_MS)
		return;
	if ((next = parent_tls_copy(p->conf)) != NULL)
		parent_take(p, next);
}

/* ------------------------------------------------------------------ watch -- */

static void
parent_tls_tick(void *ctx)
{
	struct parent *p = ctx;
	int64_t ms = (int64_t)p->conf->tls_watch_s * 1000;

	if (p->reloading) {
		timer_arm(&p->tls_timer, CERT_SETTLE_MS);
		return;
	}
	switch (cert_watch_look(&p->tls_watch, p->conf)) {
	case CERT_SAME:
		break;
	case CERT_CHANGING:
		ms = CERT_SETTLE_MS;
		break;
	case CERT_CHANGED:
		parent_tls_renew(p);
		break;
	}
	if (!p->reloading)
		parent_tls_rotate(p);
	parent_names_look(p, false);
	if (clock_now_s() - p->tls_told_s >= CERT_REMIND_S)
		parent_tls_tell(p, false);
	timer_arm(&p->tls_timer, ms);
}

void
parent_tls_taken(struct parent *p)
{
	if (!p->prog->needs_tls || p->stopping)
		return;
	parent_tls_tell(p, true);
	if (p->tls_timer.ev == NULL && timer_init(&p->tls_timer, p->loop,
	    parent_tls_tick, p) != 0)
		return;
	timer_arm(&p->tls_timer, (int64_t)p->conf->tls_watch_s * 1000);
}
