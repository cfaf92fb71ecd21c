/*
 * proxy.c - see proxy.h. Runs in submitd-smtp and popd-pop, on the first octets
 * of clients of listed peers only.
 */
#include "lib/proxy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "lib/str.h"

#define PROXY_V2_HEAD	16u

static const uint8_t proxy_v2_signature[12] = {
	0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a
};
static const char proxy_v1_signature[] = "PROXY ";

/* family 4 or 6; in their own notation only, such as getpeername() would give
 * them; made canonical like those. */
static int
proxy_set_client(struct proxy_header *h, int family, const void *ip,
    uint16_t port)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
	    .sin_port = htons(port) };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6,
	    .sin6_port = htons(port) };
	struct sockaddr_storage ss = { 0 };

	if (family == 4) {
		memcpy(&in.sin_addr, ip, 4);
		memcpy(&ss, &in, sizeof(in));
	} else {
		memcpy(&in6.sin6_addr, ip, 16);
		memcpy(&ss, &in6, sizeof(in6));
	}
	return addr_from_sockaddr((const struct sockaddr *)&ss, &h->client);
}

/* The next word of a line, which single spaces part; NULL: there is none. */
static char *
proxy_word(char **line)
{
	char *word = *line, *space;

	if (word == NULL || *word == '\0' || *word == ' ')
		return NULL;
	if ((space = strchr(word, ' ')) != NULL)
		*space++ = '\0';
	*line = space;
	return word;
}

static int
proxy_port(const char *s, uint16_t *ret)
{
	uint64_t n;

	if (s == NULL || (s[0] == '0' && s[1] != '\0') ||
	    str_u64(s, 0, UINT16_MAX, &n) != 0)
		return ERR_FORMAT;
	*ret = (uint16_t)n;
	return 0;
}

/* What stands behind "PROXY ", without CR LF. */
static int
proxy_v1_line(char *line, struct proxy_header *ret)
{
	const char *proto = proxy_word(&line), *src, *dst, *src_port, *dst_port;
	uint8_t ip[16], other[16];
	uint16_t port, other_port;
	int af;

	if (proto != NULL && strcmp(proto, "UNKNOWN") == 0)
		return 0;	/* the rest is to be ignored (section 2.1) */
	if (proto == NULL || (strcmp(proto, "TCP4") != 0 &&
	    strcmp(proto, "TCP6") != 0))
		return ERR_FORMAT;
	af = proto[3] == '4' ? AF_INET : AF_INET6;
	src = proxy_word(&line);
	dst = proxy_word(&line);
	src_port = proxy_word(&line);
	dst_port = proxy_word(&line);
	if (src == NULL || dst == NULL || line != NULL ||
	    inet_pton(af, src, ip) != 1 || inet_pton(af, dst, other) != 1 ||
	    proxy_port(src_port, &port) != 0 ||
	    proxy_port(dst_port, &other_port) != 0)
		return ERR_FORMAT;
	return proxy_set_client(ret, af == AF_INET ? 4 : 6, ip, port);
}

static int
proxy_v1(const uint8_t *p, size_t len, struct proxy_header *ret,
    size_t *ret_used)
{
	const size_t head = sizeof(proxy_v1_signature) - 1;
	const uint8_t *end;
	char line[PROXY_V1_MAX + 1];
	size_t n, i;

	n = len < PROXY_V1_MAX ? len : PROXY_V1_MAX;
	if ((end = memchr(p, '\n', n)) == NULL) {
		*ret_used = len;
		return len < PROXY_V1_MAX ? PROXY_MORE : ERR_FORMAT;
	}
	n = (size_t)(end - p) + 1;
	if (n < head + 2 || p[n - 2] != '\r')
		return ERR_FORMAT;
	for (i = 0; i < n - 2; i++) {
		if (p[i] < ' ' || p[i] > '~')
			return ERR_FORMAT;
	}
	memcpy(line, p + head, n - 2 - head);
	line[n - 2 - head] = '\0';
	ret->version = 1;
	*ret_used = n;
	return proxy_v1_line(line, ret);
}

/* Version and command, family and protocol; `n` octets stand behind them. */
static int
proxy_v2_address(const uint8_t *head, const uint8_t *p, size_t n,
    struct proxy_header *ret)
{
	const bool local = (head[12] & 0x0f) == 0;
	uint16_t port;

	if ((head[12] & 0xf0) != 0x20 || (head[12] & 0x0f) > 1)
		return ERR_FORMAT;
	if ((head[13] >> 4) > 3 || (head[13] & 0x0f) > 2)
		return ERR_FORMAT;
	if (local || (head[13] != 0x11 && head[13] != 0x21))
		return 0;		/* nobody's that we could name */
	if (n < (head[13] == 0x11 ? 12u : 36u))
		return ERR_FORMAT;
	if (head[13] == 0x11) {
		port = (uint16_t)(p[8] << 8 | p[9]);
		return proxy_set_client(ret, 4, p, port);
	}
	port = (uint16_t)(p[32] << 8 | p[33]);
	return proxy_set_client(ret, 6, p, port);
}

static int
proxy_v2(const uint8_t *p, size_t len, struct proxy_header *ret,
    size_t *ret_used)
{
	size_t n;

	*ret_used = len;
	if (len < PROXY_V2_HEAD)
		return PROXY_MORE;
	n = (size_t)p[14] << 8 | p[15];
	if (PROXY_V2_HEAD + n > PROXY_MAX)
		return ERR_FORMAT;
	if (len < PROXY_V2_HEAD + n)
		return PROXY_MORE;
	ret->version = 2;
	*ret_used = PROXY_V2_HEAD + n;
	return proxy_v2_address(p, p + PROXY_V2_HEAD, n, ret);
}

/* The first octets, as far as they have come, are those. */
static bool
proxy_begins(const uint8_t *p, size_t len, const void *signature, size_t size)
{
	return memcmp(p, signature, len < size ? len : size) == 0;
}

int
proxy_parse(const uint8_t *p, size_t len, struct proxy_header *ret,
    size_t *ret_used)
{
	memset(ret, 0, sizeof(*ret));
	*ret_used = 0;
	if (len == 0)
		return PROXY_MORE;
	if (proxy_begins(p, len, proxy_v2_signature,
	    sizeof(proxy_v2_signature)))
		return proxy_v2(p, len, ret, ret_used);
	if (proxy_begins(p, len, proxy_v1_signature,
	    sizeof(proxy_v1_signature) - 1))
		return proxy_v1(p, len, ret, ret_used);
	return ERR_FORMAT;
}
