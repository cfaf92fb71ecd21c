/*
 * t_import_record.c - db/import_record.c: a user as JSON, there and back, and
 * what is refused.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "db/import_record.h"

static struct user_record
sample(void)
{
	struct user_record r = { .flags = USER_MAY_POP | USER_SENDING_DISABLED,
	    .seq = 7, .created_s = 1700000000, .changed_s = 1700000001,
	    .salt_len = 16, .note = "Ann\xc3\xa4 \"x\"",
	    .maildir = "example.org/anna", .quota_octets = UINT64_C(5) << 40,
	    .secret_len = 3, .secret_generation = 9, .n_credentials = 3 };

	memset(r.salt, 1, 16);
	memset(r.import_id, 2, sizeof(r.import_id));
	memset(r.secret, 3, 3);
	memcpy(r.class, "staff", 6);
	r.limits.messages_day = UINT32_MAX;
	r.limits.message_octets = UINT64_C(1) << 40;
	r.credentials[0] = (struct user_credential){
	    .kind = CREDENTIAL_PASSWORD, .scope = CREDENTIAL_SCOPE_ALL,
	    .keys = CREDENTIAL_SHA256 | CREDENTIAL_SHA1, .created_s = 4,
	    .generation = UINT64_C(1795336108819284), .iterations = 10000 };
	memset(r.credentials[0].stored_key, 5, RECORD_KEY);
	memset(r.credentials[0].server_key, 6, RECORD_KEY);
	memset(r.credentials[0].stored_key1, 7, RECORD_KEY1);
	memset(r.credentials[0].server_key1, 8, RECORD_KEY1);
	r.credentials[1] = (struct user_credential){
	    .kind = CREDENTIAL_PASSWORD, .scope = CREDENTIAL_POP,
	    .label = "phone", .keys = CREDENTIAL_SHA256, .expires_s = 99,
	    .generation = 2, .iterations = 4096 };
	r.credentials[2] = (struct user_credential){
	    .kind = CREDENTIAL_CERTIFICATE, .scope = CREDENTIAL_SMTP,
	    .label = "laptop", .generation = 3 };
	memset(r.credentials[2].stored_key, 9, RECORD_KEY);
	return r;
}

static void
t_round(void **state)
{
	struct user_record r = sample();
	struct import_record got;
	uint8_t a[RECORD_MAX], b[RECORD_MAX];
	struct err e = { 0 };
	json_t *line, *again;
	char *text;
	int n;

	(void)state;
	line = import_record_encode("anna@example.org", &r,
	    json_pack("[s, s]", "a@example.org", "@example.net"),
	    json_pack("[s]", "bob@example.org"));
	text = json_dumps(line, JSON_COMPACT);
	json_decref(line);
	again = json_loads(text, 0, NULL);
	if (import_record_decode(again, &got, &e) != 0)
		fail_msg("%s: %s", text, e.text);
	assert_string_equal(got.user, "anna@example.org");
	assert_int_equal(json_array_size(got.aliases), 2);
	assert_int_equal(json_array_size(got.allow_as), 1);
	assert_true((got.given & IMPORT_WHOLE) != 0);
	n = record_user_encode(&r, a, sizeof(a));
	assert_true(n > 0);
	assert_int_equal(record_user_encode(&got.rec, b, sizeof(b)), n);
	assert_memory_equal(a, b, (size_t)n);
	json_decref(again);
	free(text);
}

static const struct {
	const char	*name;
	const char	*line;
	const char	*says;		/* NULL: it is taken */
} rows[] = {
	{ "least", "{\"user\":\"a@b.org\"}", NULL },
	{ "password", "{\"user\":\"a@b.org\",\"password\":\"x\"}", NULL },
	{ "hash", "{\"user\":\"a@b.org\",\"hash\":\"{SHA}x\"}", NULL },
	{ "both", "{\"user\":\"a@b.org\",\"hash\":\"x\",\"password\":\"y\"}",
	  "a password or a hash" },
	{ "no object", "[1]", "no JSON object" },
	{ "no user", "{\"note\":\"x\"}", "user" },
	{ "upper case", "{\"user\":\"A@b.org\"}", "lower case" },
	{ "literal", "{\"user\":\"a@[127.0.0.1]\"}", "user" },
	{ "unknown", "{\"user\":\"a@b.org\",\"pasword\":\"x\"}",
	  "\"pasword\" is no member" },
	{ "wrong type", "{\"user\":\"a@b.org\",\"may_pop\":1}", "may_pop" },
	{ "negative", "{\"user\":\"a@b.org\",\"quota_octets\":-1}", "quota" },
	{ "real", "{\"user\":\"a@b.org\",\"quota_octets\":1.5}", "quota" },
	{ "too large", "{\"user\":\"a@b.org\",\"limits\":"
	  "{\"messages_day\":4294967296}}", "messages_day" },
	{ "unknown limit", "{\"user\":\"a@b.org\",\"limits\":{\"x\":1}}",
	  "limits" },
	{ "limits no object", "{\"user\":\"a@b.org\",\"limits\":5}",
	  "limits" },
	{ "control in a note", "{\"user\":\"a@b.org\",\"note\":\"a\\u0007\"}",
	  "without controls" },
	{ "absolute maildir", "{\"user\":\"a@b.org\",\"maildir\":\"/x\"}",
	  "mail_root" },
	{ "dots", "{\"user\":\"a@b.org\",\"maildir\":\"x/../y\"}",
	  "mail_root" },
	{ "alias", "{\"user\":\"a@b.org\",\"aliases\":[\"@c.org\"]}", NULL },
	{ "alias no address", "{\"user\":\"a@b.org\",\"aliases\":[\"c\"]}",
	  "entry 1" },
	{ "allow-as of a domain", "{\"user\":\"a@b.org\",\"allow_as\":"
	  "[\"@c.org\"]}", "entry 1" },
	{ "salt no base64", "{\"user\":\"a@b.org\",\"salt\":\"!\"}", "salt" },
	{ "a key alone", "{\"user\":\"a@b.org\",\"credentials\":[{"
	  "\"generation\":1,\"stored_key\":"
	  "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"}]}", "both keys" },
	{ "short key", "{\"user\":\"a@b.org\",\"credentials\":[{"
	  "\"stored_key\":\"AAAA\",\"server_key\":\"AAAA\"}]}", "stored_key" },
	{ "a label twice", "{\"user\":\"a@b.org\",\"credentials\":["
	  "{\"label\":\"x\"},{\"label\":\"x\"}]}", "each label once" },
	{ "a label nobody could name", "{\"user\":\"a@b.org\",\"credentials\":["
	  "{},{\"generation\":1,\"label\":\"a b\"}]}", "label" },
	{ "a certificate as the main password", "{\"user\":\"a@b.org\","
	  "\"credentials\":[{\"kind\":\"certificate\",\"stored_key\":"
	  "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"}]}", "label" },
	{ "generations", "{\"user\":\"a@b.org\",\"secret\":\"AAAA\","
	  "\"secret_generation\":3,\"credentials\":[{\"generation\":1},"
	  "{\"generation\":2,\"label\":\"x\"}]}", NULL },
	{ "a generation twice", "{\"user\":\"a@b.org\",\"credentials\":["
	  "{\"generation\":1},{\"generation\":1,\"label\":\"x\"}]}",
	  "generation" },
	{ "the secret's too", "{\"user\":\"a@b.org\",\"secret\":\"AAAA\","
	  "\"secret_generation\":1,\"credentials\":[{\"generation\":1}]}",
	  "generation" },
	{ "none behind it", "{\"user\":\"a@b.org\",\"credentials\":["
	  "{\"generation\":9223372036854775807}]}", "generation" },
	{ "unknown in a credential", "{\"user\":\"a@b.org\",\"credentials\":["
	  "{\"labl\":\"x\"}]}", "not known" },
	{ "scope", "{\"user\":\"a@b.org\",\"credentials\":["
	  "{\"scope\":\"imap\"}]}", "scope" },
	{ "25 credentials", "{\"user\":\"a@b.org\",\"credentials\":[{},{},{},"
	  "{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{}]}",
	  "at most 24" },
};

static void
t_rows(void **state)
{
	struct import_record r;
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		json_t *line = json_loads(rows[i].line, 0, NULL);
		int code;

		if (line == NULL)
			fail_msg("%s: no JSON", rows[i].name);
		e = (struct err){ 0 };
		code = import_record_decode(line, &r, &e);
		if (rows[i].says == NULL ? code != 0 : code != ERR_FORMAT ||
		    strstr(e.text, rows[i].says) == NULL)
			fail_msg("%s: %d \"%s\"", rows[i].name, code, e.text);
		json_decref(line);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t_round), cmocka_unit_test(t_rows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
