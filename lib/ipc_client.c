/*
 * ipc_client.c - calls to another process over a connection that heals itself.
 * See ipc.h.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/ipc.h"
#include "lib/log.h"
#include "lib/str.h"

#define IPC_CALL_MS	60000
#define IPC_RETRY_MIN_MS 10
#define IPC_RETRY_MAX_MS 1000
#define IPC_BUCKETS	1024u		/* a power of two */

struct ipc_call {
	TAILQ_ENTRY(ipc_call)	 age;		/* the oldest first */
	LIST_ENTRY(ipc_call)	 same;		/* in its bucket */
	uint32_t		 id;
	int64_t			 until_ms;
	ipc_reply_fn		*fn;
	void			*ctx;
};

TAILQ_HEAD(ipc_calls, ipc_call);
LIST_HEAD(ipc_bucket, ipc_call);

struct ipc_client {
	struct loop			*loop;
	char				 path[64];
	const char			*name;
	const struct ipc_client_ops	*ops;
	void				*ctx;
	struct ipc			*ipc;		/* NULL: not connected */
	struct timer			 retry, sweep;
	int64_t				 retry_ms;
	uint32_t			 last_id;
	size_t				 queue_max;
	struct ipc_calls		 calls;
	struct ipc_bucket		 buckets[IPC_BUCKETS];
};

static void ipc_client_connect(void *ctx);

static struct ipc_call *
ipc_client_find(struct ipc_client *c, uint32_t id)
{
	struct ipc_call *k;

	LIST_FOREACH(k, &c->buckets[id % IPC_BUCKETS], same)
		if (k->id == id)
			return k;
	return NULL;
}

static void
ipc_client_forget(struct ipc_client *c, struct ipc_call *k)
{
	TAILQ_REMOVE(&c->calls, k, age);
	LIST_REMOVE(k, same);
	free(k);
}

static void
ipc_client_fail_call(struct ipc_client *c, struct ipc_call *k)
{
	ipc_reply_fn *fn = k->fn;
	void *ctx = k->ctx;

	ipc_client_forget(c, k);
	fn(ctx, ERR_AWAY, NULL, -1);
}

static void
ipc_client_gone(void *ctx, struct ipc *p)
{
	struct ipc_client *c = ctx;
	struct ipc_call *k;

	ipc_close(p);
	c->ipc = NULL;
	/* A callback may call anew; such a call is refused while ipc is NULL,
	 * so the list only shrinks. */
	while ((k = TAILQ_FIRST(&c->calls)) != NULL)
		ipc_client_fail_call(c, k);
	if (c->ops->down != NULL)
		c->ops->down(c->ctx);
	timer_arm(&c->retry, c->retry_ms);
}

static int
ipc_client_packet(void *ctx, struct ipc *p, struct msg_in *m, int fd)
{
	struct ipc_client *c = ctx;
	struct ipc_call *k = m->id == 0 ? NULL : ipc_client_find(c, m->id);

	(void)p;
	if (k != NULL) {
		ipc_reply_fn *fn = k->fn;
		void *call_ctx = k->ctx;

		ipc_client_forget(c, k);
		return fn(call_ctx, 0, m, fd);
	}
	if (m->id == 0 && c->ops->packet != NULL)
		return c->ops->packet(c->ctx, m, fd);
	if (fd >= 0)
		close(fd);
	/* The reply to a cancelled call. */
	return m->id != 0 ? 0 : ERR_FORMAT;
}

static void
ipc_client_drained(void *ctx, struct ipc *p)
{
	struct ipc_client *c = ctx;

	(void)p;
	if (c->ops->drained != NULL)
		c->ops->drained(c->ctx);
}

static const struct ipc_ops ipc_client_ipc_ops = {
	.packet = ipc_client_packet,
	.gone = ipc_client_gone,
	.drained = ipc_client_drained,
};

static void
ipc_client_again(struct ipc_client *c)
{
	timer_arm(&c->retry, c->retry_ms);
	c->retry_ms *= 2;
	if (c->retry_ms > IPC_RETRY_MAX_MS)
		c->retry_ms = IPC_RETRY_MAX_MS;
}

static void
ipc_client_connect(void *ctx)
{
	struct ipc_client *c = ctx;
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK,
	    0);

	memcpy(sun.sun_path, c->path, sizeof c->path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&sun, sizeof sun) < 0 ||
	    (c->ipc = ipc_new(c->loop, fd, c->name, &ipc_client_ipc_ops, c)) ==
	    NULL) {
		if (fd >= 0)
			close(fd);
		ipc_client_again(c);
		return;
	}
	c->retry_ms = IPC_RETRY_MIN_MS;
	ipc_set_queue_max(c->ipc, c->queue_max);
	if (c->ops->up != NULL)
		c->ops->up(c->ctx);
}

static void
ipc_client_sweep(void *ctx)
{
	struct ipc_client *c = ctx;
	int64_t now_ms = clock_mono_ms();
	struct ipc_call *k;

	while ((k = TAILQ_FIRST(&c->calls)) != NULL && k->until_ms <= now_ms) {
		LOG_EV(LOG_WARNING, "ipc.slow", NULL, KV_A("peer", c->name));
		ipc_client_fail_call(c, k);
	}
	timer_arm(&c->sweep, 1000);
}

struct ipc_client *
ipc_client_new(struct loop *l, const char *path, const char *name,
    const struct ipc_client_ops *ops, void *ctx)
{
	struct ipc_client *c = calloc(1, sizeof *c);

	if (c == NULL)
		return NULL;
	c->queue_max = IPC_QUEUE_MAX;
	c->loop = l;
	c->name = name;
	c->ops = ops;
	c->ctx = ctx;
	c->retry_ms = IPC_RETRY_MIN_MS;
	TAILQ_INIT(&c->calls);
	if (str_copy(c->path, sizeof c->path, path) != 0 ||
	    timer_init(&c->retry, l, ipc_client_connect, c) != 0 ||
	    timer_init(&c->sweep, l, ipc_client_sweep, c) != 0) {
		timer_free(&c->retry);
		free(c);
		return NULL;
	}
	timer_arm(&c->sweep, 1000);
	timer_arm(&c->retry, 0);
	return c;
}

void
ipc_client_free(struct ipc_client *c)
{
	struct ipc_call *k;

	if (c == NULL)
		return;
	while ((k = TAILQ_FIRST(&c->calls)) != NULL)
		ipc_client_forget(c, k);
	ipc_close(c->ipc);
	timer_free(&c->retry);
	timer_free(&c->sweep);
	free(c);
}

bool
ipc_client_is_up(const struct ipc_client *c)
{
	return c->ipc != NULL;
}

void
ipc_client_set_queue_max(struct ipc_client *c, size_t octets)
{
	c->queue_max = octets;
	if (c->ipc != NULL)
		ipc_set_queue_max(c->ipc, octets);
}

bool
ipc_client_full(const struct ipc_client *c)
{
	return c->ipc != NULL && ipc_full(c->ipc);
}

uint32_t
ipc_client_id(struct ipc_client *c)
{
	do
		c->last_id++;
	while (c->last_id == 0 || ipc_client_find(c, c->last_id) != NULL);
	return c->last_id;
}

static uint32_t
ipc_client_msg_id(const struct msg_out *m)
{
	return (uint32_t)m->data[4] << 24 | (uint32_t)m->data[5] << 16 |
	    (uint32_t)m->data[6] << 8 | m->data[7];
}

int
ipc_client_call(struct ipc_client *c, const struct msg_out *m, int fd,
    ipc_reply_fn *fn, void *ctx)
{
	struct ipc_call *k;
	int r;

	if (c->ipc == NULL)
		return ERR_AWAY;
	if ((k = malloc(sizeof *k)) == NULL)
		return ERR_NOMEM;
	if ((r = ipc_send(c->ipc, m, fd)) != 0) {
		free(k);
		return r;
	}
	k->id = ipc_client_msg_id(m);
	k->until_ms = clock_mono_ms() + IPC_CALL_MS;
	k->fn = fn;
	k->ctx = ctx;
	TAILQ_INSERT_TAIL(&c->calls, k, age);
	LIST_INSERT_HEAD(&c->buckets[k->id % IPC_BUCKETS], k, same);
	return 0;
}

int
ipc_client_send(struct ipc_client *c, const struct msg_out *m, int fd)
{
	return c->ipc == NULL ? ERR_AWAY : ipc_send(c->ipc, m, fd);
}

void
ipc_client_cancel(struct ipc_client *c, uint32_t id)
{
	struct ipc_call *k = ipc_client_find(c, id);

	if (k != NULL)
		ipc_client_forget(c, k);
}
