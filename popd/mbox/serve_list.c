/*
 * serve_list.c - OPEN once the lock is taken: a thread reads the folders, and the
 * list goes to popd-pop, inside the reply or as a memfd (listing.h). Runs on the
 * loop of popd-mbox and on its threads.
 *
 * What takes long goes to threads of its own, so that no other user's login
 * waits for it.
 */
#include "config.h"

#include "lib/clock.h"
#include "lib/log.h"
#include "popd/mbox/delay.h"
#include "popd/mbox/protocol.h"
#include "popd/mbox/serve.h"

#define MBOX_TOO_SOON (-101)	/* beside MAILDROP_BIG */

void
mbox_reply_open(struct mbox_peer *p, uint32_t call, enum mboxc_verdict v)
{
	struct msg_out out;

	msg_begin(&out, MBOX_OPEN | MBOX_REPLY, call);
	msg_put_u8(&out, (uint8_t)v);
	msg_put_blob(&out, NULL, 0);
	(void)ipc_send(p->ipc, &out, -1);
}

static void
mbox_send_list(struct mbox_drop *d)
{
	const void *listing;
	struct msg_out out;
	size_t len;
	int fd;

	maildrop_listing(d->maildrop, &listing, &len, &fd);
	msg_begin(&out, MBOX_OPEN | MBOX_REPLY, d->call);
	msg_put_u8(&out, MBOXC_OK);
	msg_put_blob(&out, listing, fd < 0 ? len : 0);
	d->state = MBOX_ST_OPEN;
	(void)ipc_send(d->peer->ipc, &out, fd);
}

/* Only what this login has found: a list that was kept has been told of. */
static void
mbox_log_skipped(const struct mbox_drop *d)
{
	const struct maildrop_skipped *v;
	size_t n = maildrop_skips(d->maildrop, &v);

	for (size_t i = 0; i < n; i++)
		LOG_EV(LOG_NOTICE, "mbox.skipped", NULL,
		    KV_S("user", d->user), KV_S("file", v[i].file),
		    KV_T("why", v[i].why));
	if (maildrop_skipped(d->maildrop) > n)
		LOG_EV(LOG_NOTICE, "mbox.skipped.more", NULL,
		    KV_S("user", d->user),
		    KV_U("shown", maildrop_count(d->maildrop)),
		    KV_U("skipped", maildrop_skipped(d->maildrop)));
}

static void
mbox_read_work(void *ctx)
{
	struct mbox_drop *d = ctx;
	int root_fd = d->mbox->root.fd;

	if (!delay_file_is_over(root_fd, d->path, clock_now_s(), d->delay_s)) {
		d->rc = MBOX_TOO_SOON;
		return;
	}
	d->rc = maildrop_open(&d->mbox->root, d->path, !d->big, &d->maildrop,
	    &d->err);
	if (d->rc != 0)
		return;
	maildrop_shown(d->maildrop);
	delay_file_note(root_fd, d->path, clock_now_s(), d->delay_s);
}

static void mbox_read_done(void *ctx);

static void
mbox_read_in(struct mbox_drop *d, bool big)
{
	d->state = MBOX_ST_READING;
	d->delay_s = d->mbox->login_delay_s;
	if (mbox_work(d, big, mbox_read_work, mbox_read_done) == 0)
		return;
	d->state = MBOX_ST_OPENING;
	mbox_refuse_open(d, MBOXC_TEMP);
}

static void
mbox_opened(struct mbox_drop *d)
{
	delay_note(d->mbox->delays, d->user, clock_now_s(),
	    d->mbox->login_delay_s);
	mbox_send_list(d);
}

static void
mbox_read_done(void *ctx)
{
	struct mbox_drop *d = ctx;

	if (d->rc == MAILDROP_BIG && d->peer != NULL) {
		mbox_read_in(d, true);
		return;
	}
	if (d->rc == 0)
		mbox_log_skipped(d);
	else if (d->rc != MAILDROP_BIG && d->rc != MBOX_TOO_SOON)
		mbox_log_failure(d, "mbox.open.fail");
	if (d->peer == NULL) {
		mbox_drop_free(d);
		return;
	}
	d->state = MBOX_ST_OPENING;
	if (d->rc != 0) {
		mbox_refuse_open(d, d->rc == MBOX_TOO_SOON ? MBOXC_DELAY :
		    d->rc == ERR_DENIED || d->rc == ERR_FORMAT ? MBOXC_PERM :
		    MBOXC_TEMP);
		return;
	}
	mbox_opened(d);
}

/* What has not changed needs no thread: that would be two wake-ups. But
 * LOGIN-DELAY has a file. */
void
mbox_read(struct mbox_drop *d)
{
	if (d->mbox->login_delay_s == 0 &&
	    maildrop_open_warm(&d->mbox->root, d->path, &d->maildrop) == 0)
		mbox_opened(d);
	else
		mbox_read_in(d, false);
}
