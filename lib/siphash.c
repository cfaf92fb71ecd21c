/*
 * siphash.c - SipHash-2-4 (Aumasson and Bernstein, 2012). Pure, linked into
 * every process that keeps a table whose keys come from outside.
 */
#include "lib/siphash.h"

struct sip {
	uint64_t v0, v1, v2, v3;
};

static uint64_t
sip_rotl(uint64_t x, unsigned int n)
{
	return x << n | x >> (64 - n);
}

static uint64_t
sip_le64(const uint8_t *p)
{
	uint64_t v = 0;

	for (unsigned int i = 0; i < 8; i++)
		v |= (uint64_t)p[i] << (8 * i);
	return v;
}

static void
sip_rounds(struct sip *s, unsigned int n)
{
	while (n-- > 0) {
		s->v0 += s->v1;
		s->v1 = sip_rotl(s->v1, 13) ^ s->v0;
		s->v0 = sip_rotl(s->v0, 32);
		s->v2 += s->v3;
		s->v3 = sip_rotl(s->v3, 16) ^ s->v2;
		s->v0 += s->v3;
		s->v3 = sip_rotl(s->v3, 21) ^ s->v0;
		s->v2 += s->v1;
		s->v1 = sip_rotl(s->v1, 17) ^ s->v2;
		s->v2 = sip_rotl(s->v2, 32);
	}
}

static void
sip_word(struct sip *s, uint64_t m)
{
	s->v3 ^= m;
	sip_rounds(s, 2);
	s->v0 ^= m;
}

uint64_t
siphash(const uint8_t key[SIPHASH_KEY], const void *p, size_t len)
{
	uint64_t k0 = sip_le64(key), k1 = sip_le64(key + 8);
	struct sip s = {
		.v0 = k0 ^ 0x736f6d6570736575, .v1 = k1 ^ 0x646f72616e646f6d,
		.v2 = k0 ^ 0x6c7967656e657261, .v3 = k1 ^ 0x7465646279746573,
	};
	const uint8_t *in = p;
	uint64_t last = (uint64_t)len << 56;
	size_t left = len;

	for (; left >= 8; left -= 8, in += 8)
		sip_word(&s, sip_le64(in));
	for (size_t i = 0; i < left; i++)
		last |= (uint64_t)in[i] << (8 * i);
	sip_word(&s, last);
	s.v2 ^= 0xff;
	sip_rounds(&s, 4);
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}
