/*
 * serve_list.c - OPEN once the lock is taken: a thread reads the folders, and the
 * list goes to popd-pop. Runs on the loop of popd-mbox and on its threads.
 */
#include "config.h"

#include "lib/clock.h"
#include "lib/log.h"
#include "popd/mbox/delay.h"
#include "popd/mbox/protocol.h"
#include "popd/mbox/serve.h"

static void
mbox_put_entries(const struct mbox_drop *d, struct msg_out *out, size_t n)
{
	char uidl[MBOXC_UIDL_MAX + 1];

	msg_begin(out, MBOX_ENTRIES, 0);
	msg_put_u32(out, d->id);
	msg_put_u32(out, (uint32_t)d->sent);
	msg_put_u16(out, (uint16_t)n);
	for (size_t i = d->sent; i < d->sent + n; i++) {
		maildrop_uidl(d->maildrop, i, uidl);
		msg_put_u64(out, maildrop_octets(d->maildrop, i));
		msg_put_str(out, uidl);
	}
}

void
mbox_send_list(struct mbox_drop *d)
{
	size_t count = maildrop_count(d->maildrop), n;
	struct msg_out out;

	while (d->sent < count) {
		if (ipc_full(d->peer->ipc))
			return;
		n = count - d->sent;
		if (n > MBOX_ENTRIES_EACH)
			n = MBOX_ENTRIES_EACH;
		mbox_put_entries(d, &out, n);
		if (ipc_send(d->peer->ipc, &out, -1) != 0)
			return;		/* dropped: gone() comes */
		d->sent += n;
	}
	d->state = MBOX_ST_OPEN;
	mbox_reply_open(d->peer, d->call, MBOXC_OK, count);
}

static void
mbox_read_work(void *ctx)
{
	struct mbox_drop *d = ctx;

	d->rc = maildrop_open(&d->mbox->root, d->path, &d->maildrop, &d->err);
}

static void
mbox_read_done(void *ctx)
{
	struct mbox_drop *d = ctx;

	if (d->rc != 0)
		mbox_log_failure(d, "mbox.open.fail");
	else if (maildrop_skipped(d->maildrop) > 0)
		LOG_EV(LOG_NOTICE, "mbox.skipped", NULL,
		    KV_S("user", d->user),
		    KV_U("shown", maildrop_count(d->maildrop)),
		    KV_U("skipped", maildrop_skipped(d->maildrop)));
	if (d->peer == NULL) {
		mbox_drop_free(d);
		return;
	}
	d->state = MBOX_ST_SENDING;
	if (d->rc != 0) {
		mbox_refuse_open(d, d->rc == ERR_DENIED ? MBOXC_PERM :
		    MBOXC_TEMP);
		return;
	}
	delay_note(d->mbox->delays, d->user, clock_now_s(),
	    d->mbox->login_delay_s);
	mbox_send_list(d);
}

void
mbox_read(struct mbox_drop *d)
{
	d->state = MBOX_ST_READING;
	if (pool_submit(d->mbox->pool, mbox_read_work, mbox_read_done, d) ==
	    0)
		return;
	LOG_EV(LOG_ERR, "mbox.busy", NULL, KV_S("user", d->user));
	d->state = MBOX_ST_SENDING;
	mbox_refuse_open(d, MBOXC_TEMP);
}
