/*
 * client.c - asking popd-mbox: see client.h and protocol.h. Runs in popd-pop.
 * It never sees a path or a name of a file.
 */
#include "config.h"
#include "popd/mbox/client.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "auth/authp.h"
#include "lib/err.h"
#include "lib/ipc.h"
#include "lib/msg.h"
#include "lib/str.h"
#include "popd/mbox/client_private.h"
#include "popd/mbox/listing.h"
#include "popd/mbox/protocol.h"

#define MBOXC_BUCKETS 1024u

struct mboxc {
	struct loop		*loop;
	struct ipc_client	*ipc;
	loop_fn			*on_yield;
	struct mboxc_drop	*drops[MBOXC_BUCKETS];	/* by id */
};

static struct mboxc_drop **
mboxc_slot(struct mboxc *m, uint32_t id)
{
	struct mboxc_drop **d = &m->drops[id % MBOXC_BUCKETS];

	while (*d != NULL && (*d)->id != id)
		d = &(*d)->next;
	return d;
}

static void
mboxc_drop_free(void *ctx)
{
	struct mboxc_drop *d = ctx;

	mboxc_list_free(d);
	free(d);
}

/* No packet and no loss reaches it any more. */
static void
mboxc_drop_unlink(struct mboxc_drop *d)
{
	struct mboxc_drop **slot = mboxc_slot(d->mboxc, d->id);

	if (*slot == d)
		*slot = d->next;
	d->next = NULL;
}

/* ---------------------------------------------------------- the packets -- */

/* Another session waits for its lock. */
static int
mboxc_yield(struct mboxc *m, struct msg_in *in)
{
	struct mboxc_drop *d;
	uint32_t drop;

	msg_get_u32(in, &drop);
	if (msg_get_end(in) != 0)
		return ERR_FORMAT;
	d = *mboxc_slot(m, drop);
	if (d != NULL && d->call == 0 && m->on_yield != NULL)
		m->on_yield(d->ctx);
	return 0;
}

static int
mboxc_packet(void *ctx, struct msg_in *in, int fd)
{
	if (fd >= 0) {
		close(fd);
		return ERR_FORMAT;
	}
	return in->type == MBOX_YIELD ? mboxc_yield(ctx, in) : ERR_FORMAT;
}

static int
mboxc_read_verdict(struct msg_in *in, unsigned int type,
    enum mboxc_verdict *ret)
{
	uint8_t v;

	if (in->type != (type | MBOX_REPLY) || msg_get_u8(in, &v) != 0 ||
	    v >= MBOXC_VERDICT__COUNT)
		return ERR_FORMAT;
	*ret = (enum mboxc_verdict)v;
	return 0;
}

/* The rest of a reply to OPEN that is OK; fd is only looked at. */
static int
mboxc_read_list(struct mboxc_drop *d, struct msg_in *in, int fd)
{
	const void *listing;
	size_t len;

	if (msg_get_blob(in, &listing, &len, LISTING_INLINE_MAX) != 0 ||
	    msg_get_end(in) != 0 || (len > 0 && fd >= 0))
		return ERR_FORMAT;
	return fd >= 0 ? mboxc_list_map(d, fd) :
	    mboxc_list_copy(d, listing, len);
}

static int
mboxc_opened(void *ctx, int rc, struct msg_in *in, int fd)
{
	struct mboxc_drop *d = ctx;
	enum mboxc_verdict v = MBOXC_TEMP;

	if (rc == 0)
		rc = mboxc_read_verdict(in, MBOX_OPEN, &v);
	if (rc == 0 && v == MBOXC_OK && (rc = mboxc_read_list(d, in, fd)) != 0)
		v = MBOXC_TEMP;
	if (fd >= 0)
		close(fd);
	d->call = 0;
	d->fn(d->ctx, v);
	return rc == ERR_FORMAT ? rc : 0;
}

static int
mboxc_fetch_done(void *ctx, int rc, struct msg_in *in, int fd)
{
	struct mboxc_drop *d = ctx;
	enum mboxc_verdict v = MBOXC_TEMP;

	if (rc == 0 && (mboxc_read_verdict(in, MBOX_FETCH, &v) != 0 ||
	    msg_get_end(in) != 0 || (v == MBOXC_OK) != (fd >= 0))) {
		rc = ERR_FORMAT;
		v = MBOXC_TEMP;
	}
	if (v != MBOXC_OK && fd >= 0)
		close(fd);
	d->call = 0;
	d->fetched(d->ctx, v, v == MBOXC_OK ? fd : -1);
	return rc == ERR_FORMAT ? rc : 0;
}

static int
mboxc_updated(void *ctx, int rc, struct msg_in *in, int fd)
{
	struct mboxc_drop *d = ctx;
	enum mboxc_verdict v = MBOXC_TEMP;

	if (fd >= 0)
		close(fd);
	if (rc == 0 && (mboxc_read_verdict(in, MBOX_UPDATE, &v) != 0 ||
	    msg_get_end(in) != 0 || fd >= 0)) {
		rc = ERR_FORMAT;
		v = MBOXC_TEMP;
	}
	d->call = 0;
	d->fn(d->ctx, v);
	return rc == ERR_FORMAT ? rc : 0;
}

/* All drops of that connection are gone with it. Calls have failed by now, and
 * what their callbacks closed is not here any more. */
static void
mboxc_down(void *ctx)
{
	struct mboxc *m = ctx;
	struct mboxc_drop *d;

	for (size_t i = 0; i < MBOXC_BUCKETS; i++) {
		while ((d = m->drops[i]) != NULL) {
			mboxc_drop_unlink(d);
			d->lost = true;
			d->on_lost(d->ctx);
		}
	}
}

static const struct ipc_client_ops mboxc_ipc_ops = {
	.down = mboxc_down,
	.packet = mboxc_packet,
};

/* -------------------------------------------------------- what is asked -- */

struct mboxc *
mboxc_new(struct loop *l, const char *path)
{
	struct mboxc *m = calloc(1, sizeof(*m));

	if (m == NULL)
		return NULL;
	m->loop = l;
	m->ipc = ipc_client_new(l, path, "popd-mbox", &mboxc_ipc_ops, m);
	if (m->ipc == NULL) {
		free(m);
		return NULL;
	}
	return m;
}

void
mboxc_on_yield(struct mboxc *m, loop_fn *fn)
{
	m->on_yield = fn;
}

struct mboxc_drop *
mboxc_open(struct mboxc *m, const void *ticket, size_t ticket_len,
    mboxc_open_fn *fn, loop_fn *lost, void *ctx)
{
	struct mboxc_drop *d;
	struct msg_out out;
	uint32_t id = ipc_client_id(m->ipc);

	if (ticket_len > AUTHP_TICKET_MAX ||
	    (d = calloc(1, sizeof(*d))) == NULL)
		return NULL;
	msg_begin(&out, MBOX_OPEN, id);
	msg_put_blob(&out, ticket, ticket_len);
	if (ipc_client_call(m->ipc, &out, -1, mboxc_opened, d) != 0) {
		free(d);
		return NULL;
	}
	d->mboxc = m;
	d->id = d->call = id;
	d->fn = fn;
	d->on_lost = lost;
	d->ctx = ctx;
	*mboxc_slot(m, id) = d;
	return d;
}

/* Starts a request about `d`; one at a time. */
static int
mboxc_begin(struct mboxc_drop *d, struct msg_out *out, uint16_t type,
    uint32_t *ret_id)
{
	if (d->lost)
		return ERR_AWAY;
	if (d->call != 0)
		return ERR_EXISTS;
	*ret_id = ipc_client_id(d->mboxc->ipc);
	msg_begin(out, type, *ret_id);
	msg_put_u32(out, d->id);
	return 0;
}

static int
mboxc_call(struct mboxc_drop *d, const struct msg_out *out, uint32_t id,
    ipc_reply_fn *fn)
{
	int r = ipc_client_call(d->mboxc->ipc, out, -1, fn, d);

	if (r == 0)
		d->call = id;
	return r;
}

int
mboxc_fetch(struct mboxc_drop *d, size_t i, mboxc_fetch_fn *fn)
{
	struct msg_out out;
	uint32_t id;
	int r;

	if ((r = mboxc_begin(d, &out, MBOX_FETCH, &id)) != 0)
		return r;
	msg_put_u32(&out, (uint32_t)i);
	d->fetched = fn;
	return mboxc_call(d, &out, id, mboxc_fetch_done);
}

int
mboxc_update(struct mboxc_drop *d, const uint8_t *bits, mboxc_open_fn *fn)
{
	struct msg_out out;
	uint32_t id;
	int r;

	if ((r = mboxc_begin(d, &out, MBOX_UPDATE, &id)) != 0)
		return r;
	msg_put_blob(&out, bits, (d->count + 7) / 8);
	d->fn = fn;
	return mboxc_call(d, &out, id, mboxc_updated);
}

void
mboxc_close(struct mboxc_drop *d)
{
	struct msg_out out;

	if (d == NULL)
		return;
	if (d->call != 0)
		ipc_client_cancel(d->mboxc->ipc, d->call);
	if (!d->lost) {
		mboxc_drop_unlink(d);
		msg_begin(&out, MBOX_CLOSE, ipc_client_id(d->mboxc->ipc));
		msg_put_u32(&out, d->id);
		/* When it is lost, so is the connection with the drop. */
		(void)ipc_client_send(d->mboxc->ipc, &out, -1);
	}
	/* The caller may stand in one of our callbacks. */
	if (loop_defer(d->mboxc->loop, mboxc_drop_free, d) != 0)
		return;		/* no memory for the reaper: leaked */
}
