/*
 * fuzz_authc.c - what authd says, read by the workers' side of auth/PROTOCOL:
 * replies to every kind of question, and notices. The first octet of each
 * packet says which question is open. Whatever comes, each question is answered
 * once, and all that a callback is given lies in the packet.
 */
#include "tests/fuzz/fuzz.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "auth/authc.h"
#include "lib/err.h"
#include "lib/ipc.h"
#include "lib/msg.h"

#define QUESTIONS 10

static struct {
	const struct ipc_client_ops	*ops;
	void				*ctx;
	ipc_reply_fn			*fn;
	void				*fn_ctx;
	uint32_t			 last_id;
	unsigned int			 answers;
	size_t				 touched;
} fake;

struct ipc_client *
ipc_client_new(struct loop *l, const char *path, const char *name,
    const struct ipc_client_ops *ops, void *ctx)
{
	(void)l, (void)path, (void)name;
	fake.ops = ops;
	fake.ctx = ctx;
	return (struct ipc_client *)&fake;
}

bool
ipc_client_is_up(const struct ipc_client *c)
{
	(void)c;
	return true;
}

bool
ipc_client_full(const struct ipc_client *c)
{
	(void)c;
	return false;
}

uint32_t
ipc_client_id(struct ipc_client *c)
{
	(void)c;
	return ++fake.last_id;
}

int
ipc_client_call(struct ipc_client *c, const struct msg_out *m, int fd,
    ipc_reply_fn *fn, void *ctx)
{
	(void)c, (void)m, (void)fd;
	fake.fn = fn;
	fake.fn_ctx = ctx;
	return 0;
}

int
ipc_client_send(struct ipc_client *c, const struct msg_out *m, int fd)
{
	(void)c, (void)fd;
	FUZZ_CHECK(m->error == 0);
	return 0;
}

static void
touch(const void *p, size_t len)
{
	const uint8_t *q = p;

	while (len-- > 0)
		fake.touched += *q++;
}

static void
answered(void *ctx, const struct authc_reply *r)
{
	(void)ctx;
	fake.answers++;
	FUZZ_CHECK(r->verdict < AUTHP_VERDICT__COUNT);
	FUZZ_CHECK(r->rc == 0 || r->verdict == AUTHP_TEMP);
	touch(r->blob, r->blob_len);
	touch(r->user, strlen(r->user));
	touch(r->path, strlen(r->path));
	touch(r->peer, strlen(r->peer));
	touch(r->tls, strlen(r->tls));
	touch(r->mech, strlen(r->mech));
	touch(r->sid, strlen(r->sid));
}

static int
ask(struct authc *a, uint8_t which)
{
	static const struct authc_handle handle = { .len = 3, .data = "abc" };
	static const struct authc_start start = { .tls = "TLS",
	    .mech = "PLAIN", .binding = "" };
	static const struct authc_message message = { .ticket = "x",
	    .ticket_len = 1, .sender = "a@b", .recipients = 1 };
	static const uint8_t digest[AUTHP_DIGEST_SIZE];
	static const char *const users[] = { "a@b", "c@d" };

	switch (which % QUESTIONS) {
	case 0:
		return authc_session(a, 0, AUTHP_SMTP, "sid", NULL, answered, a,
		    NULL);
	case 1:
		return authc_sasl_start(a, &handle, &start, answered, a, NULL);
	case 2:
		return authc_sasl_step(a, 1, "x", 1, answered, a, NULL);
	case 3:
		return authc_mail(a, &handle, NULL, "TLS", "a@b", answered, a,
		    NULL);
	case 4:
		return authc_rcpt(a, "a@b", answered, a, NULL);
	case 5:
		return authc_ticket(a, &message, AUTHP_BEGIN, answered, a,
		    NULL);
	case 6:
		return authc_maildrop(a, "x", 1, answered, a, NULL);
	case 7:
		return authc_deliver(a, "a@b", answered, a, NULL);
	case 8:
		return authc_apop(a, &handle, "TLS", "a", "<b>", digest,
		    answered, a, NULL);
	default:
		return authc_users(a, users, 2, answered, a, NULL);
	}
}

static void
noticed_state(void *ctx)
{
	(void)ctx;
}

static void
noticed_kick(void *ctx, const char *user, const struct net *net,
    int64_t before_s)
{
	(void)ctx;
	touch(user, strlen(user));
	FUZZ_CHECK(net->bits <= 128);
	FUZZ_CHECK(before_s >= 0);
}

static void
noticed_who(void *ctx, uint32_t serial)
{
	(void)ctx, (void)serial;
}

static const struct authc_notices notices = {
	.state = noticed_state, .kick = noticed_kick, .who = noticed_who,
};

/* `packet` is a copy of just this size, so that nothing behind it is read. */
static void
packet_read(struct authc *a, uint8_t which, const uint8_t *packet, size_t len)
{
	struct msg_in m;
	unsigned int before = fake.answers;
	int r;

	if (msg_open(&m, packet, len) != 0)
		return;
	if (m.id == 0) {
		r = fake.ops->packet(fake.ctx, &m, -1);
		FUZZ_CHECK(r <= 0 && fake.answers == before);
		return;
	}
	FUZZ_CHECK(ask(a, which) == 0);
	r = fake.fn(fake.fn_ctx, 0, &m, -1);
	FUZZ_CHECK(r <= 0 && fake.answers == before + 1);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct authc *a = authc_new_with(NULL, "auth", &notices, NULL);
	size_t n;

	FUZZ_CHECK(a != NULL);
	while (size >= 2) {
		uint8_t which = data[0];
		uint8_t *copy;

		n = data[1] < size - 2 ? data[1] : size - 2;
		copy = malloc(n + 1);
		FUZZ_CHECK(copy != NULL);
		memcpy(copy, data + 2, n);
		packet_read(a, which, copy, n);
		free(copy);
		data += 2 + n;
		size -= 2 + n;
	}
	fake.ops->down(fake.ctx);
	free(a);
	return 0;
}
