/*
 * proxy_wait.c - see proxy_wait.h. Runs in submitd-smtp and popd-pop.
 */
#include "config.h"
#include "lib/proxy_wait.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/proxy.h"
#include "lib/str.h"

struct proxy_waiting {
	int		 fd;
	struct watch	*watch;
	struct timer	 timer;
	struct addr	 via;
	char		 name[32];
	proxy_wait_fn	*fn;
	void		*ctx;
	size_t		 len;
	uint8_t		 data[PROXY_MAX];
};

void
proxy_log_refused(const struct addr *via, const char *name, const char *why)
{
	char ip[ADDR_STRLEN];

	LOG_EV(LOG_WARNING, "proxy.refused", NULL,
	    KV_A("rip", addr_ip_text(via, ip)), KV_A("service", name),
	    KV_A("why", why));
}

/* Over, one way or the other. */
static void
proxy_wait_end(struct proxy_waiting *w, const struct addr *client)
{
	watch_free(w->watch);
	timer_free(&w->timer);
	if (client == NULL)
		close(w->fd);
	w->fn(w->ctx, w->fd, &w->via, client, w->name);
	free(w);
}

static void
proxy_wait_refuse(struct proxy_waiting *w, const char *why)
{
	proxy_log_refused(&w->via, w->name, why);
	proxy_wait_end(w, NULL);
}

static void
proxy_wait_over(void *ctx)
{
	struct proxy_waiting *w = ctx;

	proxy_wait_refuse(w, w->len == 0 ? "silent" : "slow");
}

/* Looks first, and then takes what is the header's. */
static void
proxy_wait_ready(void *ctx, int what)
{
	struct proxy_waiting *w = ctx;
	struct proxy_header h;
	size_t used = 0, take;
	ssize_t n = recv(w->fd, w->data + w->len, sizeof(w->data) - w->len,
	    MSG_PEEK);
	int r;

	(void)what;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		proxy_wait_refuse(w, n == 0 ? "eof" : "reset");
		return;
	}
	r = proxy_parse(w->data, w->len + (size_t)n, &h, &used);
	if (r < 0) {
		proxy_wait_refuse(w, "format");
		return;
	}
	take = used - w->len;
	if (recv(w->fd, w->data + w->len, take, 0) != (ssize_t)take) {
		proxy_wait_refuse(w, "reset");
		return;
	}
	w->len = used;
	if (r == 0)
		proxy_wait_end(w, &h.client);
}

int
proxy_wait(struct loop *l, int fd, const struct addr *via, const char *name,
    proxy_wait_fn *fn, void *ctx)
{
	struct proxy_waiting *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return ERR_NOMEM;
	w->fd = fd;
	w->via = *via;
	str_copy(w->name, sizeof(w->name), name);
	w->fn = fn;
	w->ctx = ctx;
	if (timer_init(&w->timer, l, proxy_wait_over, w) != 0) {
		free(w);
		return ERR_NOMEM;
	}
	if ((w->watch = watch_new(l, fd, proxy_wait_ready, w)) == NULL) {
		timer_free(&w->timer);
		free(w);
		return ERR_NOMEM;
	}
	watch_set(w->watch, WATCH_READ);
	timer_arm(&w->timer, PROXY_WAIT_MS);
	return 0;
}
