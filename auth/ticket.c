/*
 * ticket.c - session handles and tickets.
 *
 * Runs in authd-core, on the loop. The body is a message of lib/msg.h (its
 * type tells a handle from a ticket), the MAC stands behind it. Nothing is
 * read from a body before its MAC was found right.
 */
#include "auth/ticket.h"

#include <string.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include "lib/err.h"
#include "lib/msg.h"
#include "lib/str.h"

#define TICKET_MAC 32u
#define TICKET_SKEW_S 300	/* a clock set back by less does no harm */

enum { TICKET_TYPE_HANDLE = 1, TICKET_TYPE_TICKET };

/* Eight are made for each session: HMAC() spends most of its time on finding
 * the algorithm and on the key, which stay the same. */
static struct {
	uint8_t		 key[TICKET_KEY_SIZE];
	EVP_MAC_CTX	*ctx;
} ticket_keyed;

static EVP_MAC_CTX *
ticket_make_keyed(const uint8_t *key)
{
	char digest[] = "SHA256";
	const OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest,
		    0),
		OSSL_PARAM_construct_end(),
	};
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	EVP_MAC_CTX *ctx = mac == NULL ? NULL : EVP_MAC_CTX_new(mac);

	EVP_MAC_free(mac);
	if (ctx != NULL && EVP_MAC_init(ctx, key, TICKET_KEY_SIZE,
	    params) == 1)
		return ctx;
	EVP_MAC_CTX_free(ctx);
	return NULL;
}

static int
ticket_mac(const uint8_t *key, const void *p, size_t len,
    uint8_t ret[TICKET_MAC])
{
	EVP_MAC_CTX *ctx = ticket_keyed.ctx;
	size_t n = 0;

	if (ctx == NULL || CRYPTO_memcmp(key, ticket_keyed.key,
	    TICKET_KEY_SIZE) != 0) {
		EVP_MAC_CTX_free(ctx);
		ctx = ticket_keyed.ctx = ticket_make_keyed(key);
		memcpy(ticket_keyed.key, key, TICKET_KEY_SIZE);
	}
	if (ctx == NULL || EVP_MAC_init(ctx, NULL, 0, NULL) != 1 ||
	    EVP_MAC_update(ctx, p, len) != 1 ||
	    EVP_MAC_final(ctx, ret, &n, TICKET_MAC) != 1 || n != TICKET_MAC)
		return ERR_NOMEM;
	return 0;
}

static int
ticket_finish(const uint8_t *key, const struct msg_out *m, uint8_t *dst,
    size_t size)
{
	if (m->error != 0 || m->len + TICKET_MAC > size)
		return ERR_LIMIT;
	memcpy(dst, m->data, m->len);
	if (ticket_mac(key, dst, m->len, dst + m->len) != 0)
		return ERR_NOMEM;
	return (int)(m->len + TICKET_MAC);
}

static int
ticket_check(const uint8_t *key, const void *p, size_t len, uint16_t type,
    struct msg_in *m)
{
	uint8_t mac[TICKET_MAC];
	const uint8_t *octets = p;

	if (len <= TICKET_MAC)
		return ERR_DENIED;
	len -= TICKET_MAC;
	if (ticket_mac(key, p, len, mac) != 0)
		return ERR_NOMEM;
	if (CRYPTO_memcmp(mac, octets + len, TICKET_MAC) != 0)
		return ERR_DENIED;
	if (msg_open(m, p, len) != 0)
		return ERR_FORMAT;
	return m->type == type ? 0 : ERR_DENIED;
}

static int
ticket_check_age(int64_t issued_s, int64_t now_s, uint64_t max_age_s)
{
	if (issued_s > now_s)
		return issued_s - now_s > TICKET_SKEW_S ? ERR_LIMIT : 0;
	return (uint64_t)(now_s - issued_s) > max_age_s ? ERR_LIMIT : 0;
}

static void
ticket_put_addr(struct msg_out *m, const struct addr *a)
{
	msg_put_blob(m, a->ip, sizeof(a->ip));
	msg_put_u16(m, a->port);
}

static void
ticket_get_addr(struct msg_in *m, struct addr *ret)
{
	const void *ip;
	size_t len;

	memset(ret, 0, sizeof(*ret));
	if (msg_get_blob(m, &ip, &len, sizeof(ret->ip)) != 0)
		return;
	if (len != sizeof(ret->ip))
		m->error = ERR_FORMAT;
	else
		memcpy(ret->ip, ip, len);
	msg_get_u16(m, &ret->port);
}

static void
ticket_get_str(struct msg_in *m, char *dst, size_t size)
{
	const char *s;

	dst[0] = '\0';
	if (msg_get_str(m, &s, size - 1) == 0 &&
	    str_copy(dst, size, s) != 0)
		m->error = ERR_FORMAT;
}

static void
ticket_get_i64(struct msg_in *m, int64_t *ret)
{
	uint64_t v = 0;

	msg_get_u64(m, &v);
	*ret = (int64_t)v;
}

int
ticket_handle_seal(const uint8_t key[TICKET_KEY_SIZE],
    const struct ticket_handle *h, uint8_t *dst)
{
	struct msg_out m;

	msg_begin(&m, TICKET_TYPE_HANDLE, 0);
	msg_put_str(&m, h->sid);
	ticket_put_addr(&m, &h->peer);
	ticket_put_addr(&m, &h->local);
	msg_put_u8(&m, h->service);
	msg_put_u8(&m, h->receives);
	msg_put_u64(&m, (uint64_t)h->issued_s);
	return ticket_finish(key, &m, dst, AUTHP_HANDLE_MAX);
}

int
ticket_handle_open(const uint8_t key[TICKET_KEY_SIZE], const void *p,
    size_t len, int64_t now_s, uint64_t max_age_s, struct ticket_handle *ret)
{
	struct msg_in m;
	int r;

	if ((r = ticket_check(key, p, len, TICKET_TYPE_HANDLE, &m)) != 0)
		return r;
	ticket_get_str(&m, ret->sid, sizeof(ret->sid));
	ticket_get_addr(&m, &ret->peer);
	ticket_get_addr(&m, &ret->local);
	msg_get_u8(&m, &ret->service);
	msg_get_u8(&m, &ret->receives);
	ticket_get_i64(&m, &ret->issued_s);
	if (msg_get_end(&m) != 0)
		return ERR_FORMAT;
	return ticket_check_age(ret->issued_s, now_s, max_age_s);
}

int
ticket_seal(const uint8_t key[TICKET_KEY_SIZE], const struct ticket *t,
    uint8_t *dst)
{
	struct msg_out m;

	msg_begin(&m, TICKET_TYPE_TICKET, 0);
	msg_put_u8(&m, t->kind);
	msg_put_u8(&m, t->service);
	msg_put_str(&m, t->user);
	msg_put_str(&m, t->login);
	ticket_put_addr(&m, &t->peer);
	msg_put_str(&m, t->tls);
	msg_put_str(&m, t->mech);
	msg_put_str(&m, t->sid);
	msg_put_u64(&m, (uint64_t)t->issued_s);
	msg_put_u64(&m, t->generation);
	msg_put_u64(&m, (uint64_t)t->created_s);
	msg_put_u64(&m, (uint64_t)t->granted_s);
	return ticket_finish(key, &m, dst, AUTHP_TICKET_MAX);
}

int
ticket_open(const uint8_t key[TICKET_KEY_SIZE], const void *p, size_t len,
    int64_t now_s, uint64_t max_age_s, struct ticket *ret)
{
	struct msg_in m;
	int r;

	if ((r = ticket_check(key, p, len, TICKET_TYPE_TICKET, &m)) != 0)
		return r;
	msg_get_u8(&m, &ret->kind);
	msg_get_u8(&m, &ret->service);
	ticket_get_str(&m, ret->user, sizeof(ret->user));
	ticket_get_str(&m, ret->login, sizeof(ret->login));
	ticket_get_addr(&m, &ret->peer);
	ticket_get_str(&m, ret->tls, sizeof(ret->tls));
	ticket_get_str(&m, ret->mech, sizeof(ret->mech));
	ticket_get_str(&m, ret->sid, sizeof(ret->sid));
	ticket_get_i64(&m, &ret->issued_s);
	msg_get_u64(&m, &ret->generation);
	ticket_get_i64(&m, &ret->created_s);
	ticket_get_i64(&m, &ret->granted_s);
	if (msg_get_end(&m) != 0)
		return ERR_FORMAT;
	return ticket_check_age(ret->issued_s, now_s, max_age_s);
}
