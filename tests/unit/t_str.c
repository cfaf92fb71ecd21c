/*
 * t_str.c - numbers, units, base64, UTF-8 and identifiers.
 */
#include "lib/str.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/err.h"
#include "tests/unit/unit.h"

static void
test_copy(void **state)
{
	char dst[4];

	(void)state;
	assert_int_equal(str_copy(dst, sizeof(dst), "abc"), 0);
	assert_string_equal(dst, "abc");
	assert_int_equal(str_copy(dst, sizeof(dst), "abcd"), ERR_LIMIT);
	assert_string_equal(dst, "");
	assert_int_equal(str_format(dst, sizeof(dst), "%d", 123), 0);
	assert_int_equal(str_format(dst, sizeof(dst), "%d", 1234), ERR_LIMIT);
	assert_string_equal(dst, "");
}

static void
test_u64(void **state)
{
	static const struct {
		const char *s;
		uint64_t min, max;
		int r;
		uint64_t value;
	} rows[] = {
		{ "0", 0, 9, 0, 0 },
		{ "007", 0, 9, 0, 7 },
		{ "10", 0, 9, ERR_LIMIT, 0 },
		{ "1", 2, 9, ERR_LIMIT, 0 },
		{ "18446744073709551615", 0, UINT64_MAX, 0, UINT64_MAX },
		{ "18446744073709551616", 0, UINT64_MAX, ERR_LIMIT, 0 },
		{ "99999999999999999999", 0, UINT64_MAX, ERR_LIMIT, 0 },
		{ "000000000000000000001", 0, 9, ERR_FORMAT, 0 },
		{ "", 0, 9, ERR_FORMAT, 0 },
		{ "+1", 0, 9, ERR_FORMAT, 0 },
		{ "-1", 0, 9, ERR_FORMAT, 0 },
		{ " 1", 0, 9, ERR_FORMAT, 0 },
		{ "1 ", 0, 9, ERR_FORMAT, 0 },
		{ "0x1", 0, 9, ERR_FORMAT, 0 },
	};
	uint64_t v;
	size_t i;

	(void)state;
	for (i = 0; i < ROWS(rows); i++) {
		ROW_EQ(rows[i].s, str_u64(rows[i].s, rows[i].min, rows[i].max,
		    &v), rows[i].r);
		ROW_EQ(rows[i].s, v, rows[i].value);
	}
}

static void
test_units(void **state)
{
	static const struct {
		const char *s;
		int duration;
		uint64_t seconds;
		int size;
		uint64_t octets;
	} rows[] = {
		{ "90", 0, 90, 0, 90 },
		{ "90s", 0, 90, ERR_FORMAT, 0 },
		{ "5m", 0, 300, 0, 5 << 20 },
		{ "1h", 0, 3600, ERR_FORMAT, 0 },
		{ "5d", 0, 432000, ERR_FORMAT, 0 },
		{ "2w", 0, 1209600, ERR_FORMAT, 0 },
		{ "64K", ERR_FORMAT, 0, 0, 65536 },
		{ "50M", ERR_FORMAT, 0, 0, 52428800 },
		{ "1G", ERR_FORMAT, 0, 0, 1u << 30 },
		{ "", ERR_FORMAT, 0, ERR_FORMAT, 0 },
		{ "m", ERR_FORMAT, 0, ERR_FORMAT, 0 },
		{ "1 m", ERR_FORMAT, 0, ERR_FORMAT, 0 },
		{ "-1m", ERR_FORMAT, 0, ERR_FORMAT, 0 },
		{ "1.5", ERR_FORMAT, 0, ERR_FORMAT, 0 },
		{ "18446744073709551615m", ERR_LIMIT, 0, ERR_LIMIT, 0 },
	};
	uint64_t v;
	size_t i;

	(void)state;
	for (i = 0; i < ROWS(rows); i++) {
		ROW_EQ(rows[i].s, str_duration_s(rows[i].s, &v),
		    rows[i].duration);
		ROW_EQ(rows[i].s, v, rows[i].seconds);
		ROW_EQ(rows[i].s, str_size(rows[i].s, &v), rows[i].size);
		ROW_EQ(rows[i].s, v, rows[i].octets);
	}
}

static void
test_case(void **state)
{
	char s[] = "A-Z\xc4z";

	(void)state;
	str_lower(s);
	assert_string_equal(s, "a-z\xc4z");
	assert_true(str_ieq("QuIt", "quit"));
	assert_false(str_ieq("quit", "quits"));
	assert_false(str_ieq("quits", "quit"));
	assert_true(str_ieq_n("quit", "QUIT now", 4));
	assert_false(str_ieq_n("qui", "QUIT", 4));
	assert_false(str_ieq_n("quits", "QUIT", 4));
	assert_true(str_istarts("SIZE=10", "size="));
	assert_false(str_istarts("SIZ", "size="));
	/* no Kelvin sign, no bit games: '@' and '`' differ */
	assert_false(str_ieq("@", "`"));
	assert_false(str_ieq("[", "{"));
}

static void
test_utf8(void **state)
{
	static const struct {
		const char *s;
		bool valid;
	} rows[] = {
		{ "", true },
		{ "abc", true },
		{ "\xc3\xa4", true },
		{ "\xe2\x82\xac", true },
		{ "\xf0\x9f\x98\x80", true },
		{ "\xf4\x8f\xbf\xbf", true },
		{ "\xc3", false },
		{ "\xa4", false },
		{ "\xc0\xaf", false },
		{ "\xc1\xbf", false },
		{ "\xe0\x9f\xbf", false },
		{ "\xed\xa0\x80", false },
		{ "\xf0\x8f\xbf\xbf", false },
		{ "\xf4\x90\x80\x80", false },
		{ "\xf5\x80\x80\x80", false },
		{ "\xe2\x82", false },
		{ "\xe2\x28\xa1", false },
		{ "\xff", false },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ROWS(rows); i++)
		ROW_EQ(rows[i].s, str_is_utf8(rows[i].s, strlen(rows[i].s)),
		    rows[i].valid);
}

static void
test_print(void **state)
{
	static const struct {
		const char	*s;
		bool		 print;
	} rows[] = {
		{ "", true }, { " ~", true }, { "a b@c#d", true },
		{ "a\x1f", false }, { "\x7f", false }, { "a\tb", false },
		{ "\xc2\xad" "a", false },	/* SASLprep leaves it out */
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++)
		ROW_EQ(rows[i].s, str_is_print(rows[i].s, strlen(rows[i].s)),
		    rows[i].print);
}

static void
test_mend_utf8(void **state)
{
	static const struct {
		const char	*in, *want;
	} mend[] = {
		{ "", "" }, { "abc", "abc" },
		{ "a\xc3\xa9", "a\xc3\xa9" },
		{ "a\xc3", "a?" },			/* cut in two */
		{ "a\xe2\x82 b", "a?? b" },
		{ "\xff\xc3\xa9\x80", "?\xc3\xa9?" },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(mend); i++) {
		char s[16];

		strcpy(s, mend[i].in);
		str_mend_utf8(s);
		ROW_STR(mend[i].want, s, mend[i].want);
	}
}

static void
test_b64_rows(void **state)
{
	static const struct {
		const char *name, *s;
		int r;
		const char *plain;
	} rows[] = {
		{ "empty", "", 0, "" },
		{ "one", "Zg==", 1, "f" },
		{ "two", "Zm8=", 2, "fo" },
		{ "three", "Zm9v", 3, "foo" },
		{ "six", "Zm9vYmFy", 6, "foobar" },
		{ "no padding", "Zg", ERR_FORMAT, "" },
		{ "short padding", "Zg=", ERR_FORMAT, "" },
		{ "only padding", "====", ERR_FORMAT, "" },
		{ "three padding", "Z===", ERR_FORMAT, "" },
		{ "padding inside", "Zg==Zg==", ERR_FORMAT, "" },
		{ "trailing bits 1", "Zh==", ERR_FORMAT, "" },
		{ "trailing bits 2", "Zm9=", ERR_FORMAT, "" },
		{ "space", "Zm 9", ERR_FORMAT, "" },
		{ "newline", "Zm9v\n", ERR_FORMAT, "" },
		{ "url alphabet", "-_-_", ERR_FORMAT, "" },
		{ "one char", "=", ERR_FORMAT, "" },
		{ "star", "*", ERR_FORMAT, "" },
		{ "too long", "Zm9vYmFyZm9v", ERR_LIMIT, "" },
	};
	char out[8];
	size_t i;

	(void)state;
	for (i = 0; i < ROWS(rows); i++) {
		memset(out, 0, sizeof(out));
		ROW_EQ(rows[i].name, str_b64_decode(out, 6, rows[i].s,
		    strlen(rows[i].s)), rows[i].r);
		if (rows[i].r >= 0)
			ROW_STR(rows[i].name, out, rows[i].plain);
	}
}

static void
test_b64_round(void **state)
{
	uint8_t in[64], out[64];
	char text[STR_B64_SIZE(64)];
	size_t n, i;
	int len;

	(void)state;
	for (n = 0; n <= sizeof(in); n++) {
		for (i = 0; i < n; i++)
			in[i] = (uint8_t)(i * 37 + n);
		len = str_b64_encode(text, sizeof(text), in, n);
		assert_int_equal(len, STR_B64_SIZE(n) - 1);
		assert_int_equal(str_b64_decode(out, n, text, (size_t)len), n);
		assert_memory_equal(in, out, n);
		assert_int_equal(str_b64_encode(text, STR_B64_SIZE(n) - 1, in,
		    n), ERR_LIMIT);
	}
}

static void
test_id(void **state)
{
	uint8_t raw[4];
	char a[STR_ID_SIZE], b[STR_ID_SIZE], hex[9];

	(void)state;
	str_id(a);
	usleep(40000);
	str_id(b);
	assert_true(str_is_id(a));
	assert_true(str_is_id(b));
	assert_true(strcmp(a, b) < 0);
	assert_false(str_is_id(""));
	assert_false(str_is_id("aaaaaaaaaaaaaaa"));
	assert_false(str_is_id("aaaaaaaaaaaaaaaaa"));
	assert_false(str_is_id("aaaaaaaaaaaaaaa/"));
	assert_false(str_is_id("aaaaaaaaaaaaaaaA"));
	/* The published values of FNV-1a. */
	assert_int_equal(str_hash("", 0), 0x811c9dc5);
	assert_int_equal(str_hash("foobar", 6), 0xbf9cf968);
	str_hex(hex, "\x00\xff\x1a\x20", 4);
	assert_string_equal(hex, "00ff1a20");
	assert_int_equal(str_hex_decode(raw, 4, "00fF1a20"), 0);
	assert_memory_equal(raw, "\x00\xff\x1a\x20", 4);
	assert_int_equal(str_hex_decode(raw, 4, "00ff1a2"), ERR_FORMAT);
	assert_int_equal(str_hex_decode(raw, 4, "00ff1a200"), ERR_FORMAT);
	assert_int_equal(str_hex_decode(raw, 4, "00ff1a2g"), ERR_FORMAT);
	assert_int_equal(str_hex_decode(raw, 4, "00ff1a/0"), ERR_FORMAT);
}

/* Test builds take the time from a file; others must not. */
static void
test_clock(void **state)
{
	char path[] = "/tmp/t_clock.XXXXXX";
	int fd = mkstemp(path);
	int64_t now = clock_now_us() / 1000000;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "+1000\n", 6), 6);
	setenv("SUBMITD_TEST_CLOCK", path, 1);
	clock_init();
	if (clock_timer_ms(5000) == 5000) {
		assert_in_range(clock_now_s(), now, now + 60);
	} else {
		assert_in_range(clock_now_s(), now + 1000, now + 1060);
		assert_int_equal(clock_timer_ms(7), 7);
		assert_int_equal(ftruncate(fd, 0), 0);
		assert_in_range(clock_now_s(), now + 1000, now + 1060);
		assert_int_equal(pwrite(fd, "123", 3, 0), 3);
		assert_int_equal(clock_now_s(), 123);
	}
	close(fd);
	unlink(path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_copy),
		cmocka_unit_test(test_u64),
		cmocka_unit_test(test_units),
		cmocka_unit_test(test_case),
		cmocka_unit_test(test_utf8),
		cmocka_unit_test(test_print),
		cmocka_unit_test(test_mend_utf8),
		cmocka_unit_test(test_b64_rows),
		cmocka_unit_test(test_b64_round),
		cmocka_unit_test(test_id),
		cmocka_unit_test(test_clock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
