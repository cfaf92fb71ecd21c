/*
 * resolve.c - questions to the DNS, by libunbound's event interface.
 *
 * Runs in submitd-send. Nothing here blocks: never getaddrinfo(). A question
 * lives until libunbound has answered it, for ub_cancel() does not work with the
 * event interface; its owner is answered or cancelled earlier. The same question
 * asked twice goes out once: libunbound sees to that.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include <unbound.h>
#include <unbound-event.h>

#include "submitd/send/resolve.h"

#include "lib/str.h"

#define RESOLVE_ANCHOR	"/usr/share/dns/root.key"	/* dns-root-data */

enum resolve_stage {
	RESOLVE_WAITING,	/* for one of the others to be answered */
	RESOLVE_OPEN,		/* libunbound has it */
	RESOLVE_ANSWERED,	/* the timer tells the owner */
};

TAILQ_HEAD(resolve_list, resolve_ask);

struct resolve {
	struct loop		*loop;
	struct ub_ctx		*plain;
	struct ub_ctx		*strict;	/* validates; NULL: no anchor */
	struct resolve_list	 waiting;
	struct resolve_list	 others;
	size_t			 n_open;
	bool			 starting;
};

struct resolve_ask {
	TAILQ_ENTRY(resolve_ask) link;
	struct resolve		*resolve;
	enum resolve_stage	 stage;
	bool			 validate;
	char			 name[DNS_NAME_SIZE];
	unsigned int		 type;
	resolve_reply_fn	*fn;		/* NULL: told or cancelled */
	void			*ctx;
	struct timer		 timer;
	struct resolve_reply	 reply;
	uint8_t			*packet;
};

/* --------------------------------------------------------------- contexts -- */

static void
resolve_nothing(void *ctx, int rcode, void *packet, int len, int sec,
    char *why, int limited)
{
	(void)ctx;
	(void)rcode;
	(void)packet;
	(void)len;
	(void)sec;
	(void)why;
	(void)limited;
}

/* What a test build is told by its environment, or NULL. */
static const char *
resolve_test(const char *name)
{
#ifdef SUBMITD_TEST_BUILD
	return getenv(name);
#else
	(void)name;
	return NULL;
#endif
}

static void
resolve_options(struct ub_ctx *ub)
{
	static const char *const options[][2] = {
		{ "do-not-query-localhost:", "no" },
		{ "outgoing-range:", "512" },
		{ "num-queries-per-thread:", "512" },
		/* It blames the name server of the site for what that one cannot
		 * find out: after a few dead domains it would not ask it at all,
		 * about any domain, for as long as it remembers. */
		{ "infra-host-ttl:", "1" },
		{ "msg-cache-size:", "256k" },
		{ "rrset-cache-size:", "512k" },
		{ "key-cache-size:", "256k" },
		{ "neg-cache-size:", "128k" },
		/* libunbound would deny these itself; a site's own name servers
		 * may know hosts there. */
		{ "local-zone:", "test. transparent" },
		{ "local-zone:", "home.arpa. transparent" },
	};

	/* An option that this libunbound lacks is no reason not to start. */
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		(void)ub_ctx_set_option(ub, options[i][0], options[i][1]);
}

/* The first question makes libunbound open all that it needs: before chroot. */
static struct ub_ctx *
resolve_context(struct loop *l, const char *anchor, struct err *reterr)
{
	const char *dns = resolve_test("SUBMITD_TEST_DNS");	/* "127.0.0.1@5353" */
	struct ub_ctx *ub = ub_ctx_create_event(loop_base(l));

	if (ub == NULL) {
		err_set(reterr, ERR_NOMEM, "libunbound: no context");
		return NULL;
	}
	ub_ctx_debugout(ub, NULL);	/* its words have no place in our log */
	resolve_options(ub);
	/* Without these files libunbound asks the root servers itself. */
	(void)ub_ctx_hosts(ub, NULL);
	(void)(dns != NULL ? ub_ctx_set_fwd(ub, dns) :
	    ub_ctx_resolvconf(ub, NULL));
	if ((anchor != NULL && ub_ctx_add_ta_file(ub, anchor) != 0) ||
	    ub_resolve_event(ub, "localhost", DNS_TYPE_A, 1, NULL,
	    resolve_nothing, NULL) != 0) {
		err_set(reterr, ERR_SYSTEM, "libunbound does not start");
		ub_ctx_delete(ub);
		return NULL;
	}
	return ub;
}

struct resolve *
resolve_new(struct loop *l, struct err *reterr)
{
	const char *anchor = resolve_test("SUBMITD_TEST_ANCHOR");
	struct resolve *r = calloc(1, sizeof(*r));

	if (r == NULL) {
		err_set(reterr, ERR_NOMEM, "no memory");
		return NULL;
	}
	r->loop = l;
	TAILQ_INIT(&r->waiting);
	TAILQ_INIT(&r->others);
	if (anchor == NULL)
		anchor = RESOLVE_ANCHOR;
	r->plain = resolve_context(l, NULL, reterr);
	if (r->plain != NULL && access(anchor, R_OK) == 0)
		r->strict = resolve_context(l, anchor, NULL);
	if (r->plain == NULL) {
		free(r);
		return NULL;
	}
	return r;
}

bool
resolve_validates(const struct resolve *r)
{
	return r->strict != NULL;
}

struct loop *
resolve_loop(struct resolve *r)
{
	return r->loop;
}

/* -------------------------------------------------------------- questions -- */

static void
resolve_ask_free(struct resolve_ask *a)
{
	struct resolve *r = a->resolve;

	TAILQ_REMOVE(a->stage == RESOLVE_WAITING ? &r->waiting : &r->others, a,
	    link);
	timer_free(&a->timer);
	free(a->packet);
	free(a);
}

static void
resolve_list_free(struct resolve_list *list)
{
	while (!TAILQ_EMPTY(list))
		resolve_ask_free(TAILQ_FIRST(list));
}

void
resolve_free(struct resolve *r)
{
	if (r == NULL)
		return;
	r->starting = true;	/* libunbound answers what is open: no more */
	resolve_list_free(&r->waiting);
	ub_ctx_delete(r->plain);
	if (r->strict != NULL)
		ub_ctx_delete(r->strict);
	resolve_list_free(&r->others);
	free(r);
}

static void
resolve_take(struct resolve_reply *reply, struct resolve_ask *a, int rcode,
    const void *packet, int len)
{
	reply->failed = true;
	if (rcode == DNS_RCODE_NXDOMAIN && packet == NULL) {
		reply->rcode = DNS_RCODE_NXDOMAIN;
		reply->failed = false;
		return;
	}
	if ((rcode != DNS_RCODE_NOERROR && rcode != DNS_RCODE_NXDOMAIN) ||
	    packet == NULL || len < 4 ||
	    (a->packet = malloc((size_t)len)) == NULL)
		return;
	memcpy(a->packet, packet, (size_t)len);
	reply->packet = a->packet;
	reply->len = (size_t)len;
	reply->rcode = a->packet[3] & 15u;
	reply->failed = reply->rcode != DNS_RCODE_NOERROR &&
	    reply->rcode != DNS_RCODE_NXDOMAIN;
}

static void resolve_start(struct resolve *r);

/* sec: 1 bogus, 2 secure; a bogus answer may also be a failure with a reason. */
static void
resolve_packet(void *ctx, int rcode, void *packet, int len, int sec,
    char *why, int limited)
{
	struct resolve_ask *a = ctx;
	struct resolve *r = a->resolve;

	(void)limited;
	r->n_open--;
	a->stage = RESOLVE_ANSWERED;
	if (a->fn == NULL) {
		resolve_ask_free(a);
	} else {
		resolve_take(&a->reply, a, rcode, packet, len);
		a->reply.bogus = sec == 1 ||
		    (why != NULL && a->reply.failed && a->validate);
		a->reply.secure = sec == 2 && !a->reply.failed;
		if (a->reply.bogus)
			a->reply.failed = true;
		/* By the timer: what is in the cache comes at once, within
		 * resolve_ask(). */
		timer_arm(&a->timer, 0);
	}
	resolve_start(r);
}

static void
resolve_open(struct resolve_ask *a)
{
	struct resolve *r = a->resolve;
	struct ub_ctx *ub = a->validate ? r->strict : r->plain;

	TAILQ_REMOVE(&r->waiting, a, link);
	TAILQ_INSERT_TAIL(&r->others, a, link);
	a->stage = RESOLVE_OPEN;
	r->n_open++;
	if (ub == NULL)
		resolve_packet(a, DNS_RCODE_SERVFAIL, NULL, 0, 1, NULL, 0);
	else if (ub_resolve_event(ub, a->name, (int)a->type, 1, a,
	    resolve_packet, NULL) != 0)
		resolve_packet(a, DNS_RCODE_SERVFAIL, NULL, 0, 0, NULL, 0);
}

static void
resolve_start(struct resolve *r)
{
	if (r->starting)
		return;
	r->starting = true;
	while (r->n_open < RESOLVE_OPEN_MAX && !TAILQ_EMPTY(&r->waiting))
		resolve_open(TAILQ_FIRST(&r->waiting));
	r->starting = false;
}

/* The answer is there, or the time is over. */
static void
resolve_tell(void *ctx)
{
	struct resolve_ask *a = ctx;
	struct resolve_reply none = { .failed = true };
	resolve_reply_fn *fn = a->fn;
	void *fn_ctx = a->ctx;

	a->fn = NULL;
	if (a->stage == RESOLVE_ANSWERED) {
		fn(fn_ctx, &a->reply);
		resolve_ask_free(a);
		return;
	}
	if (a->stage == RESOLVE_WAITING)
		resolve_ask_free(a);
	fn(fn_ctx, &none);
}

struct resolve_ask *
resolve_ask(struct resolve *r, bool validate, const char *name,
    unsigned int type, resolve_reply_fn *fn, void *ctx)
{
	struct resolve_ask *a = calloc(1, sizeof(*a));

	if (a == NULL || timer_init(&a->timer, r->loop, resolve_tell, a) != 0) {
		free(a);
		return NULL;
	}
	a->resolve = r;
	a->validate = validate;
	a->type = type;
	a->fn = fn;
	a->ctx = ctx;
	timer_arm(&a->timer, RESOLVE_WAIT_MS);
	TAILQ_INSERT_TAIL(&r->waiting, a, link);
	if (str_copy(a->name, sizeof(a->name), name) == 0) {
		resolve_start(r);
		return a;
	}
	a->reply.failed = true;			/* no such name can be */
	TAILQ_REMOVE(&r->waiting, a, link);
	TAILQ_INSERT_TAIL(&r->others, a, link);
	a->stage = RESOLVE_ANSWERED;
	timer_arm(&a->timer, 0);
	return a;
}

void
resolve_ask_cancel(struct resolve_ask *a)
{
	if (a == NULL || a->fn == NULL)
		return;
	a->fn = NULL;
	timer_stop(&a->timer);
	if (a->stage != RESOLVE_OPEN)
		resolve_ask_free(a);
}
