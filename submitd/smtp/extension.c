/*
 * extension.c - see extension.h. Pure: runs in submitd-smtp on what anybody may
 * have sent, and allocates nothing.
 */
#include "config.h"
#include "submitd/smtp/extension.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lib/err.h"
#include "lib/str.h"

#define EXTENSION_DIGITS_MAX	9u	/* of RFC 4865 and RFC 2852 */

static const struct extension_row {
	enum smtp_extension	 bit;
	bool			 on;	/* spool and delivery obey it */
	const char		*keyword;
	size_t			 octets;	/* that the line of MAIL grows by */
} smtp_extensions[] = {
	{ SMTP_EXT_FUTURERELEASE, true, "FUTURERELEASE", 34 },
	{ SMTP_EXT_DELIVERBY, true, "DELIVERBY", 17 },
	{ SMTP_EXT_MT_PRIORITY, true, "MT-PRIORITY", 15 },
	{ SMTP_EXT_REQUIRETLS, true, "REQUIRETLS", 11 },
};
#define EXTENSIONS (sizeof(smtp_extensions) / sizeof(smtp_extensions[0]))

unsigned int
smtp_extensions_on(void)
{
	unsigned int set = 0;

	for (size_t i = 0; i < EXTENSIONS; i++)
		if (smtp_extensions[i].on)
			set |= smtp_extensions[i].bit;
	return set;
}

size_t
smtp_extensions_octets(unsigned int set)
{
	size_t octets = 0;

	for (size_t i = 0; i < EXTENSIONS; i++)
		if (set & smtp_extensions[i].bit)
			octets += smtp_extensions[i].octets;
	return octets;
}

/* RFC 4865 section 4: how long a message may be held at most, and until when. */
static int
extension_release_text(int64_t now_s, char *dst, size_t size)
{
	time_t end = (time_t)now_s + SMTP_HOLD_MAX_S;
	char until[32];
	struct tm tm;

	if (gmtime_r(&end, &tm) == NULL ||
	    strftime(until, sizeof(until), "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		return ERR_LIMIT;
	return str_format(dst, size, " %u %s", SMTP_HOLD_MAX_S, until);
}

int
smtp_extensions_text(unsigned int set, int64_t now_s, char *dst, size_t size)
{
	size_t at = 0;
	int r;

	*dst = '\0';
	for (size_t i = 0; i < EXTENSIONS; i++) {
		char values[64] = "";

		if (!(set & smtp_extensions[i].bit))
			continue;
		if (smtp_extensions[i].bit == SMTP_EXT_FUTURERELEASE &&
		    (r = extension_release_text(now_s, values,
		    sizeof(values))) != 0)
			return r;
		if (smtp_extensions[i].bit == SMTP_EXT_DELIVERBY)
			(void)str_format(values, sizeof(values), " %u",
			    SMTP_BY_MIN_S);
		if ((r = str_format(dst + at, size - at, "250-%s%s\r\n",
		    smtp_extensions[i].keyword, values)) != 0)
			return r;
		at += strlen(dst + at);
	}
	return 0;
}

/* ------------------------------------------------------- FUTURERELEASE -- */

static enum smtp_reply
extension_hold(struct spool_wishes *w, int64_t until_s, int64_t now_s)
{
	/* HOLDFOR and HOLDUNTIL are one wish. */
	if (w->hold_until_s != 0)
		return SMTP_R_PARAM_TWICE;
	if (until_s > now_s + SMTP_HOLD_MAX_S)
		return SMTP_R_HOLD_TOO_LONG;
	w->hold_until_s = until_s;
	return SMTP_R_NONE;
}

/* 1*9DIGIT, the first of them no 0. */
enum smtp_reply
smtp_extension_holdfor(const char *value, size_t len, int64_t now_s,
    struct spool_wishes *w)
{
	uint64_t n;

	if (len == 0 || len > EXTENSION_DIGITS_MAX || value[0] == '0' ||
	    str_u64_n(value, len, 1, UINT32_MAX, &n) != 0)
		return SMTP_R_PARAM_VALUE;
	return extension_hold(w, now_s + (int64_t)n, now_s);
}

/* `n` digits at `s`, none of them anything else; -1. */
static int
extension_digits(const char *s, size_t n)
{
	int v = 0;

	for (size_t i = 0; i < n; i++) {
		if (s[i] < '0' || s[i] > '9')
			return -1;
		v = 10 * v + (s[i] - '0');
	}
	return v;
}

static int
extension_days(int month, int year)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31,
	    30, 31 };
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[month - 1] + (month == 2 && leap);
}

/* "Z" or "+01:00"; ERR_FORMAT. */
static int
extension_zone(const char *s, size_t len, int *ret_s)
{
	int hours, minutes;

	*ret_s = 0;
	if (len == 1 && (s[0] | 0x20) == 'z')
		return 0;
	if (len != 6 || (s[0] != '+' && s[0] != '-') || s[3] != ':')
		return ERR_FORMAT;
	hours = extension_digits(s + 1, 2);
	minutes = extension_digits(s + 4, 2);
	if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59)
		return ERR_FORMAT;
	*ret_s = (s[0] == '-' ? -60 : 60) * (60 * hours + minutes);
	return 0;
}

/* date-time of RFC 3339 section 5.6. */
static int
extension_time(const char *s, size_t len, int64_t *ret_s)
{
	static const char form[] = "dddd-dd-ddTdd:dd:dd";
	size_t at = sizeof(form) - 1;
	struct tm tm = { 0 };
	int zone;

	if (len < at + 1)
		return ERR_FORMAT;
	for (size_t i = 0; i < at; i++)
		if (form[i] == 'd' ? s[i] < '0' || s[i] > '9' :
		    form[i] == 'T' ? (s[i] | 0x20) != 't' : s[i] != form[i])
			return ERR_FORMAT;
	tm.tm_year = extension_digits(s, 4);
	tm.tm_mon = extension_digits(s + 5, 2);
	tm.tm_mday = extension_digits(s + 8, 2);
	tm.tm_hour = extension_digits(s + 11, 2);
	tm.tm_min = extension_digits(s + 14, 2);
	tm.tm_sec = extension_digits(s + 17, 2);
	if (s[at] == '.') {		/* a fraction of a second */
		size_t first = ++at;

		while (at < len && s[at] >= '0' && s[at] <= '9')
			at++;
		if (at == first)
			return ERR_FORMAT;
	}
	if (tm.tm_year < 1970 || tm.tm_mon < 1 || tm.tm_mon > 12 ||
	    tm.tm_mday < 1 ||
	    tm.tm_mday > extension_days(tm.tm_mon, tm.tm_year) ||
	    tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 60 ||
	    extension_zone(s + at, len - at, &zone) != 0)
		return ERR_FORMAT;
	tm.tm_year -= 1900;
	tm.tm_mon--;
	*ret_s = (int64_t)timegm(&tm) - zone;
	return 0;
}

/* A time that is past releases the message at once. */
enum smtp_reply
smtp_extension_holduntil(const char *value, size_t len, int64_t now_s,
    struct spool_wishes *w)
{
	int64_t until_s;

	if (extension_time(value, len, &until_s) != 0)
		return SMTP_R_PARAM_VALUE;
	return extension_hold(w, until_s > now_s ? until_s : now_s, now_s);
}

/* ----------------------------------------------- DELIVERBY, MT-PRIORITY -- */

/* RFC 2852 section 4: [-/+] 1*9DIGIT ";" ("N" / "R") ["T"]. */
enum smtp_reply
smtp_extension_by(const char *value, size_t len, int64_t now_s,
    struct spool_wishes *w)
{
	const char *semi = memchr(value, ';', len);
	size_t mode = semi == NULL ? 0 : len - (size_t)(semi - value) - 1;
	bool sign = len > 0 && (value[0] == '-' || value[0] == '+');
	size_t digits = semi == NULL ? 0 : (size_t)(semi - value) - sign;
	int64_t by;
	uint64_t n;

	if (mode < 1 || mode > 2 || digits < 1 ||
	    digits > EXTENSION_DIGITS_MAX ||
	    str_u64_n(value + sign, digits, 0, UINT32_MAX, &n) != 0 ||
	    (mode == 2 && (semi[2] | 0x20) != 't'))
		return SMTP_R_PARAM_VALUE;
	by = value[0] == '-' ? -(int64_t)n : (int64_t)n;
	if ((semi[1] | 0x20) == 'r')
		w->by_mode = SPOOL_BY_RETURN;
	else if ((semi[1] | 0x20) == 'n')
		w->by_mode = SPOOL_BY_NOTIFY;
	else
		return SMTP_R_PARAM_VALUE;
	/* What has to be returned by now can never have been delivered. */
	if (w->by_mode == SPOOL_BY_RETURN && by <= 0)
		return SMTP_R_PARAM_VALUE;
	/* Section 3: the least that EHLO told; it counts for this mode alone. */
	if (w->by_mode == SPOOL_BY_RETURN && by < (int64_t)SMTP_BY_MIN_S)
		return SMTP_R_BY_TOO_SOON;
	w->by_trace = mode == 2;
	w->by_s = now_s + by > 0 ? now_s + by : 0;
	return SMTP_R_NONE;
}

/* RFC 6710 section 4.1: "0", or one digit with or without "-". */
enum smtp_reply
smtp_extension_priority(const char *value, size_t len, struct spool_wishes *w)
{
	bool minus = len == 2 && value[0] == '-';
	char digit = len == 1 || minus ? value[minus] : 'x';

	if (digit < (minus ? '1' : '0') || digit > '9')
		return SMTP_R_PARAM_VALUE;
	w->priority = (int8_t)(minus ? '0' - digit : digit - '0');
	return SMTP_R_NONE;
}
