/*
 * pop_fake_peers.c - authd and popd-mbox of pop_fake.h, as the session asks
 * them. Linked in front of auth/ and popd/mbox/, whose functions of the same
 * names are then left out.
 */
#include "config.h"
#include "tests/unit/pop_fake_private.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

const struct fake_message fake_messages[FAKE_MESSAGES] = {
	{ "Subject: one\n\nhello\n.\n..x\n",
	    "Subject: one\r\n\r\nhello\r\n..\r\n...x\r\n", 31 },
	{ "Subject: two\r\n\r\nb1\r\nb2", "Subject: two\r\n\r\nb1\r\nb2\r\n",
	    24 },
	{ "", "", 0 },
};

/* ----------------------------------------------------------------- authd -- */

static struct fake_call *
fake_ask(uint16_t type, authc_fn *fn, void *ctx, uint32_t *ret_call)
{
	struct fake_call *c = fake_call(FAKE_AUTH, (void (*)(void))fn, ctx);

	c->type = type;
	if (ret_call != NULL)
		*ret_call = c->id;
	return c;
}

int
authc_session(struct authc *a, int sock_fd, enum authp_service service,
    const char *sid, const struct addr *claim, authc_fn *fn, void *ctx,
    uint32_t *ret_call)
{
	(void)claim;
	(void)a;
	fake_must(sock_fd >= 0 && service == AUTHP_POP && strlen(sid) == 16,
	    "SESSION is wrong");
	fake_ask(AUTHP_SESSION, fn, ctx, ret_call);
	return 0;
}

int
authc_sasl_start(struct authc *a, const struct authc_handle *handle,
    const struct authc_start *st, authc_fn *fn, void *ctx, uint32_t *ret_call)
{
	struct fake_call *c;

	(void)a;
	fake_must(st->tls[0] != '\0', "START before TLS");
	fake_must(handle->len == 6 || (st->sock_fd >= 0 &&
	    st->service == AUTHP_POP && strlen(st->sid) == 16),
	    "SESSION is wrong");
	c = fake_ask(AUTHP_SASL_START, fn, ctx, ret_call);
	c->has_ir = st->ir != NULL;
	c->is_start = strcmp(st->mech, "PLAIN") == 0;
	c->len = st->ir_len < sizeof(c->text) ? st->ir_len : 0;
	memcpy(c->text, st->ir == NULL ? "" : st->ir, c->len);
	return 0;
}

int
authc_sasl_step(struct authc *a, uint32_t exchange, const void *resp,
    size_t len, authc_fn *fn, void *ctx, uint32_t *ret_call)
{
	struct fake_call *c = fake_ask(AUTHP_SASL_STEP, fn, ctx, ret_call);

	(void)a;
	fake_must(exchange == 7 && fake.exchanges == 1, "STEP of no exchange");
	c->len = len < sizeof(c->text) ? len : 0;
	memcpy(c->text, resp, c->len);
	return 0;
}

int
authc_apop(struct authc *a, const struct authc_handle *handle, const char *tls,
    const char *name, const char *challenge,
    const uint8_t digest[AUTHP_DIGEST_SIZE], authc_fn *fn, void *ctx,
    uint32_t *ret_call)
{
	static const uint8_t right[AUTHP_DIGEST_SIZE] = { 0xab, 0xcd };
	struct fake_call *c;

	(void)a;
	fake_must(handle->len == 6 && tls[0] != '\0' && challenge[0] == '<' &&
	    strstr(challenge, "@pop.example.org>") != NULL, "APOP is wrong");
	c = fake_ask(AUTHP_APOP, fn, ctx, ret_call);
	c->is_start = strcmp(name, "alice@example.org") == 0 &&
	    memcmp(digest, right, sizeof(right)) == 0;
	return 0;
}

struct authc *
authc_new_with(struct loop *l, const char *path,
    const struct authc_notices *n, void *ctx)
{
	(void)l;
	(void)path;
	fake.notices = n;
	fake.notices_ctx = ctx;
	return (struct authc *)&fake;
}

bool
authc_has_secrets(const struct authc *a)
{
	(void)a;
	return fake.has_secrets;
}

int
authc_who_entry(struct authc *a, uint32_t serial,
    const struct authc_session_info *s)
{
	(void)a;
	(void)serial;
	fake_must(s->service == AUTHP_POP && s->mech[0] != '\0' &&
	    s->tls[0] != '\0', "WHO_ENTRY is wrong");
	fake_must(buf_append(&fake.output, s->user, strlen(s->user)) == 0,
	    "memory");
	return 0;
}

void
authc_event(struct authc *a, const struct authc_event *e)
{
	(void)a;
	fake_must(e->service == AUTHP_POP && e->sid[0] != '\0',
	    "EVENT is wrong");
}

int
authc_who_end(struct authc *a, uint32_t serial)
{
	(void)a;
	(void)serial;
	fake_must(buf_append(&fake.output, ".", 1) == 0, "memory");
	return 0;
}

void
authc_sasl_cancel(struct authc *a, uint32_t exchange)
{
	(void)a;
	fake_must(exchange == 7 && fake.exchanges == 1,
	    "CANCEL of no exchange");
	fake.exchanges--;
}

void
authc_cancel(struct authc *a, uint32_t call)
{
	(void)a;
	fake_cancel(FAKE_AUTH, call);
}

void
fake_authd(struct fake_call *c)
{
	static const char right[] = "\0alice@example.org\0pass word";
	struct authc_reply r = { .verdict = fake.authd };

	if (c->type == AUTHP_SASL_STEP)
		fake.exchanges--;
	if (r.verdict != AUTHP_TEMP && c->type == AUTHP_SESSION) {
		r.verdict = AUTHP_OK;
		r.blob = "HANDLE";
		r.blob_len = 6;
	} else if (r.verdict == AUTHP_OK && c->type == AUTHP_APOP &&
	    c->is_start) {
		r.blob = "TICKET";
		r.blob_len = 6;
		r.user = "alice@example.org";
	} else if (r.verdict == AUTHP_OK && c->type == AUTHP_SASL_START &&
	    !c->is_start) {
		r.verdict = AUTHP_BADMECH;
	} else if (r.verdict == AUTHP_OK && c->type == AUTHP_SASL_START &&
	    !c->has_ir) {
		r.verdict = AUTHP_CONTINUE;
		r.exchange = 7;
		fake.exchanges++;
	} else if (r.verdict == AUTHP_OK && c->len == sizeof(right) - 1 &&
	    memcmp(c->text, right, c->len) == 0) {
		r.blob = "TICKET";
		r.blob_len = 6;
		r.user = "alice@example.org";
	} else if (r.verdict == AUTHP_OK) {
		r.verdict = AUTHP_BADCRED;
	}
	((authc_fn *)c->fn)(c->ctx, &r);
}

/* ------------------------------------------------------------ the maildrop */

struct mboxc_drop *
mboxc_open(struct mboxc *m, const void *ticket, size_t ticket_len,
    mboxc_open_fn *fn, loop_fn *lost, void *ctx)
{
	struct mboxc_drop *d = &fake.drop;

	(void)m;
	fake_must(ticket_len == 6 && memcmp(ticket, "TICKET", 6) == 0,
	    "another ticket");
	fake_must(!d->open, "two maildrops are open");
	if (fake.on_open == MBOXC_VERDICT__COUNT)
		return NULL;
	*d = (struct mboxc_drop){ .open = true, .lost = lost, .ctx = ctx };
	for (int i = 0; i < FAKE_MESSAGES; i++) {
		d->messages[i].octets = fake_messages[i].octets;
		snprintf(d->messages[i].uidl, sizeof(d->messages[i].uidl),
		    "uid%d", i + 1);
	}
	fake_call(FAKE_OPEN, (void (*)(void))fn, ctx)->type = 0;
	return d;
}

size_t
mboxc_count(const struct mboxc_drop *d)
{
	(void)d;
	return FAKE_MESSAGES;
}

uint64_t
mboxc_octets(const struct mboxc_drop *d)
{
	uint64_t all = 0;

	for (size_t i = 0; i < FAKE_MESSAGES; i++)
		all += d->messages[i].octets;
	return all;
}

const struct mboxc_message *
mboxc_message(const struct mboxc_drop *d, size_t i)
{
	fake_must(d->open && i < FAKE_MESSAGES, "no such message");
	return &d->messages[i];
}

int
mboxc_fetch(struct mboxc_drop *d, size_t i, mboxc_fetch_fn *fn)
{
	fake_must(d->open && i < FAKE_MESSAGES, "FETCH of no message");
	d->index = i;
	fake_call(FAKE_FETCH, (void (*)(void))fn, d->ctx);
	return 0;
}

int
mboxc_update(struct mboxc_drop *d, const uint8_t *bits, mboxc_open_fn *fn)
{
	size_t n = 0;

	fake_must(d->open && fake.removed[0] == '\0', "UPDATE twice");
	for (int i = 0; i < FAKE_MESSAGES; i++)
		if (bits[i / 8] & 1u << i % 8)
			d->removed[n++] = (char)('1' + i);
	fake_call(FAKE_OPEN, (void (*)(void))fn, d->ctx)->type = 1;
	return 0;
}

void
mboxc_close(struct mboxc_drop *d)
{
	if (d == NULL)
		return;
	fake_must(d->open, "a maildrop is closed twice");
	d->open = false;
	fake_cancel(FAKE_OPEN, 0);
	fake_cancel(FAKE_FETCH, 0);
}

void
fake_mbox(struct fake_call *c)
{
	enum mboxc_verdict v = c->type == 0 ? fake.on_open : fake.on_update;

	if (c->type == 1 && v == MBOXC_OK)
		strcpy(fake.removed, fake.drop.removed);
	((mboxc_open_fn *)c->fn)(c->ctx, v);
}

void
fake_fetch(struct fake_call *c)
{
	const char *text = fake.file != NULL ? fake.file :
	    fake_messages[fake.drop.index].stored;
	int fd = -1;

	if (fake.on_fetch == MBOXC_OK) {
		fd = memfd_create("message", MFD_CLOEXEC);
		fake_must(fd >= 0 && write(fd, text, strlen(text)) ==
		    (ssize_t)strlen(text) && lseek(fd, 0, SEEK_SET) == 0,
		    "memfd");
	}
	((mboxc_fetch_fn *)c->fn)(c->ctx, fake.on_fetch, fd);
}
