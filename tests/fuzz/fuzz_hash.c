/*
 * fuzz_hash.c - hashes as a hostile file may hold them: the first line is the
 * hash, the rest the password. What is called supported can be checked, and
 * its class too. Only cheap ones are computed.
 */
#include "config.h"

#include <string.h>

#include "auth/hash.h"
#include "tests/fuzz/fuzz.h"

/* The most of the first number of its class that is computed here. */
static bool
fuzz_is_cheap(const char *name)
{
	static const struct { const char *prefix; unsigned long max; } costs[] = {
		{ "BLF-CRYPT/", 4 }, { "YESCRYPT/", 5 }, { "ARGON2", 64 },
		{ "PBKDF2", 2000 }, { "SHA256-CRYPT/", 1100 },
		{ "SHA512-CRYPT/", 1100 },
	};
	const char *n = strchr(name, '/');

	for (size_t i = 0; n != NULL && i < sizeof(costs) / sizeof(*costs); i++)
		if (strncmp(name, costs[i].prefix,
		    strlen(costs[i].prefix)) == 0)
			return strtoul(n + 1, NULL, 10) <= costs[i].max;
	return true;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *nl = memchr(data, '\n', size);
	size_t len = nl == NULL ? size : (size_t)(nl - data);
	const char *password = nl == NULL ? "" : (const char *)nl + 1;
	size_t password_len = nl == NULL ? 0 : size - len - 1;
	uint8_t seed[HASH_SEED] = { 0 };
	char name[HASH_CLASS_SIZE];
	struct hash_scram keys;
	struct err e = { 0 };
	char *text = malloc(len + 1);
	int r;

	FUZZ_CHECK(text != NULL);
	memcpy(text, data, len);
	text[len] = '\0';
	(void)hash_plain(text);
	if (hash_scram_parse(text, &keys, &e) == 0)
		FUZZ_CHECK(hash_is_scram(text) && keys.salt_len > 0);
	r = hash_is_supported(text, &e);
	FUZZ_CHECK((r == 0) == (hash_class(text, name) == 0));
	FUZZ_CHECK(r == 0 || e.text[0] != '\0');
	if (r == 0 && fuzz_is_cheap(name) && password_len <= 255) {
		r = hash_check(text, password, password_len);
		FUZZ_CHECK(r == 0 || r == ERR_DENIED || r == ERR_FORMAT);
		FUZZ_CHECK(hash_check_fake(name, seed, password,
		    password_len) == ERR_DENIED);
	}
	free(text);
	return 0;
}
