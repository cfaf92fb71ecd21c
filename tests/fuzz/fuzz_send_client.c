/*
 * fuzz_send_client.c - whole sessions of the SMTP and LMTP client with a server
 * that says anything: each recipient has one outcome in the end, its text is
 * printable, the owner is told once that it is over.
 *
 * The first octet chooses LMTP, BDAT, wishes and the message; what follows are
 * the server's words, 0xff between those that come one after the other.
 */
#include "config.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/conf_route.h"
#include "lib/log.h"
#include "submitd/send/smtp_client.h"
#include "tests/fuzz/fuzz.h"

#define FUZZ_RCPTS 3u

struct fuzz_run {
	struct loop		*loop;
	int			 fd;
	unsigned int		 turns;		/* since the end */
	const uint8_t		*at, *end;
	struct smtp_client	*client;
	struct smtp_client_txn	 txn;
	struct outcome_rcpt	 rcpts[FUZZ_RCPTS];
	bool			 begun, sent, closed;
};

static void
fuzz_ready(void *ctx)
{
	struct fuzz_run *r = ctx;

	if (r->closed)
		abort();
	if (r->begun)
		smtp_client_quit(r->client);
	else
		smtp_client_send(r->client, &r->txn);
	r->begun = true;
}

static void
fuzz_sent(void *ctx)
{
	struct fuzz_run *r = ctx;

	if (r->sent || r->closed || !r->begun)
		abort();
	r->sent = true;
	for (size_t i = 0; i < FUZZ_RCPTS; i++) {
		const struct outcome_rcpt *o = &r->rcpts[i];

		if (o->outcome == OUTCOME_ACCEPTED)
			abort();
		for (const char *p = o->text; p != NULL && *p != '\0'; p++)
			if (*p < 0x20 || *p > 0x7e)
				abort();
	}
}

static void
fuzz_closed(void *ctx, bool was_ready, bool remote, const char *why)
{
	struct fuzz_run *r = ctx;

	(void)remote;
	if (r->closed || why[0] == '\0' || (r->begun && !r->sent) ||
	    (r->begun && !was_ready))
		abort();
	r->closed = true;
}

static void
fuzz_busy(void *ctx)
{
	if (((struct fuzz_run *)ctx)->closed)
		abort();
}

static struct sockaddr_un fuzz_at = { .sun_family = AF_UNIX };
static int fuzz_listener;

static const struct smtp_client_ops fuzz_ops = {
	.ready = fuzz_ready, .sent = fuzz_sent, .closed = fuzz_closed,
	.busy = fuzz_busy,
};

/* One turn of the server: reads what is there, says what comes next. */
static void
fuzz_serve(void *ctx)
{
	struct fuzz_run *r = ctx;
	uint8_t waste[16384];
	const uint8_t *stop;

	/* What is freed in another turn is to be freed here too. */
	if (r->closed && ++r->turns > 4) {
		loop_stop(r->loop);
		return;
	}
	if (r->fd < 0)
		r->fd = accept4(fuzz_listener, NULL, NULL, SOCK_NONBLOCK);
	if (r->fd >= 0) {
		while (recv(r->fd, waste, sizeof(waste), 0) > 0)
			;
		stop = r->at == r->end ? NULL :
		    memchr(r->at, 0xff, (size_t)(r->end - r->at));
		if (stop == NULL)
			stop = r->end;
		(void)!send(r->fd, r->at, (size_t)(stop - r->at), MSG_NOSIGNAL);
		if (stop == r->end)
			shutdown(r->fd, SHUT_WR);
		r->at = stop == r->end ? stop : stop + 1;
	}
	if (loop_defer(r->loop, fuzz_serve, r) != 0)
		abort();
}

static struct hosts *
fuzz_hosts(void)
{
	struct hosts *h = calloc(1, sizeof(*h));

	if (h == NULL || (h->host = calloc(1, sizeof(*h->host))) == NULL)
		abort();
	h->n = 1;
	snprintf(h->host->name, sizeof(h->host->name), "unix:%s",
	    fuzz_at.sun_path);
	return h;
}

static void
fuzz_end(void)
{
	unlink(fuzz_at.sun_path);
}

static void
fuzz_begin(void)
{
	clock_init();
	log_open("fuzz", "fuzz", "/dev/null");
	snprintf(fuzz_at.sun_path, sizeof(fuzz_at.sun_path),
	    "/tmp/fuzz-send-%d", (int)getpid());
	fuzz_listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	unlink(fuzz_at.sun_path);
	if (bind(fuzz_listener, (struct sockaddr *)&fuzz_at,
	    sizeof(fuzz_at)) < 0 || listen(fuzz_listener, 4) < 0 ||
	    atexit(fuzz_end) != 0)
		abort();
}

static void
fuzz_session(uint8_t how, const uint8_t *data, size_t len)
{
	static const char *const messages[] = { "", "Subject: x\r\n\r\n.\r\n",
	    "Subject: \xc3\xa4\r\n\r\n\xc3\xa4\r\n", ".\r\n..\r\n" };
	static const struct spool_wishes wishes = { .priority = 3,
		.by_mode = SPOOL_BY_NOTIFY, .by_s = INT32_MAX };
	const char *m = messages[how >> 6];
	struct conf_route route = { .item.name = (char *)(uintptr_t)"r",
		.via = (how & 1) != 0 ? CONF_VIA_LMTP : CONF_VIA_SMTP,
		.tls = CONF_TLS_MAY, .bdat = (how & 2) != 0 };
	struct fuzz_run r = { .fd = -1, .at = data, .end = data + len };
	struct smtp_client_target to = { .hostname = "fuzz.test",
		.route = &route };

	r.loop = loop_new();
	to.hosts = fuzz_hosts();
	for (uint32_t i = 0; i < FUZZ_RCPTS; i++)
		r.rcpts[i] = (struct outcome_rcpt){ .index = i,
			.address = (how & 4) != 0 ? "\xc3\xa4@x.test" :
			"x@x.test" };
	r.txn = (struct smtp_client_txn){ .sender = "a@x.test",
		.rcpts = r.rcpts, .n_rcpts = FUZZ_RCPTS, .fd = -1,
		.content = (const uint8_t *)m, .octets = strlen(m),
		.eightbit = (how & 8) != 0, .smtputf8 = (how & 4) != 0,
		.wishes = (how & 16) != 0 ? &wishes : NULL };
	r.client = smtp_client_new(r.loop, &to, &fuzz_ops, &r);
	if (r.client == NULL || loop_defer(r.loop, fuzz_serve, &r) != 0)
		abort();
	loop_run(r.loop);
	if (!r.closed)
		abort();
	loop_free(r.loop);
	if (r.fd >= 0)
		close(r.fd);
	for (size_t i = 0; i < FUZZ_RCPTS; i++)
		free(r.rcpts[i].text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static bool ready;

	if (!ready) {
		fuzz_begin();
		ready = true;
	}
	if (len > 0 && len < 1 << 16)
		fuzz_session(data[0], data + 1, len - 1);
	return 0;
}
