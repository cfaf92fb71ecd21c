/*
 * import.c - the lines of other servers' password files. Runs in submitctl and
 * authd-core, on files that other people wrote. It must never put a secret
 * into an error's text.
 */
#include "config.h"

#include "db/import.h"

#include <string.h>

#include "lib/str.h"

#define IMPORT_FIELDS 8		/* of a passwd-file; the last has the rest */

struct import_field {
	const char	*p;
	size_t		 len;
};

static const char *const import_names[IMPORT_FORMAT__END] = {
	"auto", "passwd-file", "json", "htpasswd", "sasldb2",
};

const char *
import_format_name(enum import_format f)
{
	return f < IMPORT_FORMAT__END ? import_names[f] : "?";
}

enum import_format
import_format_of(const char *name)
{
	enum import_format f = IMPORT_AUTO;

	while (f < IMPORT_FORMAT__END && strcmp(import_names[f], name) != 0)
		f++;
	return f;
}

/* Berkeley DB's magic number stands at octet 12, in the order of octets of the
 * machine that made it: hash and btree. */
static bool
import_is_bdb(const uint8_t *p, size_t len)
{
	static const uint8_t magics[][4] = {
		{ 0x00, 0x06, 0x15, 0x61 }, { 0x61, 0x15, 0x06, 0x00 },
		{ 0x00, 0x05, 0x31, 0x62 }, { 0x62, 0x31, 0x05, 0x00 },
	};

	for (size_t i = 0; i < sizeof(magics) / 4 && len >= 16; i++)
		if (memcmp(p + 12, magics[i], 4) == 0)
			return true;
	return false;
}

static bool
import_is_blank(char ch)
{
	return ch == ' ' || ch == '\t' || ch == '\r';
}

enum import_format
import_detect(const void *head, size_t len)
{
	const char *p = head, *end = p + len, *eol;
	size_t colons = 0;
	bool scheme = false;

	if (import_is_bdb(head, len))
		return IMPORT_SASLDB;
	/* The first line that says something. */
	for (; p < end; p = eol + 1) {
		if ((eol = memchr(p, '\n', (size_t)(end - p))) == NULL)
			eol = end;
		while (p < eol && import_is_blank(*p))
			p++;
		if (p < eol && *p != '#')
			break;
		if (eol == end)
			return IMPORT_PASSWD;
	}
	if (p >= end)
		return IMPORT_PASSWD;
	if (*p == '{')
		return IMPORT_JSON;
	for (; p < eol; p++)
		if (*p == ':' && ++colons == 1 && eol - p > 1)
			scheme = p[1] == '{';
	/* Dovecot's may have short lines too, but names the schemes. */
	return colons == 1 && !scheme ? IMPORT_HTPASSWD : IMPORT_PASSWD;
}

void
import_line_clear(struct import_line *l)
{
	explicit_bzero(l, sizeof(*l));
}

int
import_user(const char *name, const char *domain, char dst[MAILBOX_SIZE],
    struct err *reterr)
{
	char full[MAILBOX_SIZE];
	struct mailbox mb;

	dst[0] = '\0';
	if (strchr(name, '@') == NULL) {
		if (domain == NULL)
			return err_set(reterr, ERR_FORMAT, "the name has no "
			    "domain: give --domain, or set local_domains");
		if (str_format(full, sizeof(full), "%s@%s", name, domain) != 0)
			return err_set(reterr, ERR_FORMAT,
			    "the name is too long");
		name = full;
	}
	if (mailbox_parse(name, strlen(name), &mb) != 0 || mb.literal)
		return err_set(reterr, ERR_FORMAT, "the user is no address of "
		    "the form NAME@DOMAIN: rename it there, or leave it out");
	return str_copy(dst, MAILBOX_SIZE, mb.canon);
}

/* ----------------------------------------------------------- the secret -- */

static int
import_hex(const char *s, size_t len, char *dst, size_t size)
{
	static const char digits[] = "0123456789abcdef";
	const char *hi, *lo;

	if (len % 2 != 0 || len / 2 >= size)
		return ERR_FORMAT;
	for (size_t i = 0; i < len; i += 2) {
		hi = memchr(digits, s[i] | 0x20, 16);
		lo = memchr(digits, s[i + 1] | 0x20, 16);
		if (hi == NULL || lo == NULL)
			return ERR_FORMAT;
		dst[i / 2] = (char)((hi - digits) << 4 | (lo - digits));
	}
	return (int)(len / 2);
}

enum import_encoding { IMPORT_NO_PLAIN, IMPORT_RAW, IMPORT_B64, IMPORT_HEX };

/* Is it a scheme whose text is the password? With Dovecot's suffixes. */
static enum import_encoding
import_scheme(const char *s, size_t len)
{
	static const char *const plain[] = { "PLAIN", "CLEARTEXT", "CLEAR" };
	static const struct { const char *name; enum import_encoding e; }
	    suffixes[] = { { "", IMPORT_RAW }, { ".B64", IMPORT_B64 },
		{ ".BASE64", IMPORT_B64 }, { ".HEX", IMPORT_HEX } };
	char name[24];

	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
		for (size_t k = 0; k < sizeof(suffixes) / sizeof(suffixes[0]);
		    k++) {
			(void)str_format(name, sizeof(name), "%s%s", plain[i],
			    suffixes[k].name);
			if (str_ieq_n(name, s, len))
				return suffixes[k].e;
		}
	return IMPORT_NO_PLAIN;
}

static int
import_plain(const char *s, size_t len, enum import_encoding e, char *dst,
    struct err *reterr)
{
	int n = ERR_FORMAT;

	if (e == IMPORT_RAW && len < IMPORT_SECRET_SIZE) {
		memcpy(dst, s, len);
		n = (int)len;
	} else if (e == IMPORT_B64) {
		n = str_b64_decode(dst, IMPORT_SECRET_SIZE - 1, s, len);
	} else if (e == IMPORT_HEX) {
		n = import_hex(s, len, dst, IMPORT_SECRET_SIZE);
	}
	if (n < 0)
		return err_set(reterr, ERR_FORMAT,
		    "the password is too long, or its encoding is wrong");
	dst[n] = '\0';
	if (n == 0)
		return err_set(reterr, ERR_FORMAT,
		    "the password is empty: nobody could log in with it");
	if (strlen(dst) != (size_t)n || !str_is_utf8(dst, (size_t)n))
		return err_set(reterr, ERR_FORMAT, "the password is not valid "
		    "UTF-8: set another one for this user");
	return 0;
}

/* crypt(3): "$id$…", traditional DES (13 characters), or "_" and 19 of BSDi. */
static bool
import_is_crypt(const char *s, size_t len)
{
	static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789./";

	if (len > 3 && s[0] == '$')
		return true;
	if (len == 20 && s[0] == '_') {
		s++;
		len--;
	} else if (len != 13) {
		return false;
	}
	for (size_t i = 0; i < len; i++)
		if (s[i] == '\0' || strchr(alphabet, s[i]) == NULL)
			return false;
	return true;
}

static int
import_hash(const char *scheme, const char *s, size_t len, char *dst,
    struct err *reterr)
{
	size_t n = strlen(scheme);

	while (len > 0 && import_is_blank(s[len - 1]))
		len--;
	if (n + len > IMPORT_HASH_MAX)
		return err_set(reterr, ERR_LIMIT,
		    "the hash is longer than %d octets", IMPORT_HASH_MAX);
	for (size_t i = 0; i < len; i++)
		if (s[i] <= ' ' || s[i] > '~')
			return err_set(reterr, ERR_FORMAT, "the hash has a "
			    "character that no hash has");
	memcpy(dst, scheme, n);
	memcpy(dst + n, s, len);
	dst[n + len] = '\0';
	return 0;
}

static int
import_secret_take(const char *text, size_t len, char *dst, bool *ret_plain,
    struct err *reterr)
{
	const char *close;
	enum import_encoding e;

	if (len == 0)
		return err_set(reterr, ERR_FORMAT, "there is no password: set "
		    "one there, or leave the user out");
	if (text[0] != '{') {
		if (!import_is_crypt(text, len))
			return err_set(reterr, ERR_FORMAT, "the password is "
			    "neither {SCHEME}… nor what crypt(3) makes");
		return import_hash("{CRYPT}", text, len, dst, reterr);
	}
	close = memchr(text, '}', len);
	if (close == NULL || close - text < 2 || close - text > 32)
		return err_set(reterr, ERR_FORMAT,
		    "the password begins with no {SCHEME}");
	e = import_scheme(text + 1, (size_t)(close - text) - 1);
	len -= (size_t)(close + 1 - text);
	if (e != IMPORT_NO_PLAIN) {
		*ret_plain = true;
		return import_plain(close + 1, len, e, dst, reterr);
	}
	if (len == 0)
		return err_set(reterr, ERR_FORMAT,
		    "nothing stands behind the {SCHEME}");
	return import_hash("", text, len + (size_t)(close + 1 - text), dst,
	    reterr);
}

int
import_secret(const char *text, size_t len, char *dst, bool *ret_plain,
    struct err *reterr)
{
	int r;

	*ret_plain = false;
	dst[0] = '\0';
	/* Blanks at the end belong to a password, and to nothing else. */
	r = import_secret_take(text, len, dst, ret_plain, reterr);
	if (r != 0)
		explicit_bzero(dst, IMPORT_SECRET_SIZE);
	return r;
}

/* ------------------------------------------------------------ the lines -- */

static size_t
import_split(const char *line, size_t len, struct import_field *fields,
    size_t max)
{
	const char *end = line + len, *p;
	size_t n = 0;

	for (; n + 1 < max; line = p + 1) {
		if ((p = memchr(line, ':', (size_t)(end - line))) == NULL)
			break;
		fields[n++] = (struct import_field){ line,
		    (size_t)(p - line) };
	}
	fields[n++] = (struct import_field){ line, (size_t)(end - line) };
	return n;
}

static int
import_name(const struct import_field *f, struct import_line *ret,
    struct err *reterr)
{
	if (f->len == 0)
		return err_set(reterr, ERR_FORMAT, "the user has no name");
	for (size_t i = 0; i < f->len; i++)
		if ((unsigned char)f->p[i] < ' ' || f->p[i] == 0x7f)
			return err_set(reterr, ERR_FORMAT,
			    "the name has a control character");
	if (str_copy_n(ret->name, sizeof(ret->name), f->p, f->len) != 0)
		return err_set(reterr, ERR_FORMAT,
		    "the name is longer than %d octets", MAILBOX_MAX);
	return 0;
}

/* "!HASH" is how usermod -L locks; "*", "!" or "x" alone is no password. */
static int
import_password(struct import_field f, struct import_line *ret,
    struct err *reterr)
{
	while (f.len > 1 && (f.p[0] == '!' || f.p[0] == '*')) {
		ret->disabled = true;
		f.p++;
		f.len--;
	}
	if (f.len == 1 && strchr("!*x", f.p[0]) != NULL)
		return err_set(reterr, ERR_FORMAT, "the user is locked and "
		    "has no password there; leave him out, or set one");
	return import_secret(f.p, f.len, ret->secret, &ret->plain, reterr);
}

/* GECOS: the full name stands up to the first comma. One that is no good note
 * is left out: it is for people. */
static void
import_gecos(struct import_field f, struct import_line *ret)
{
	const char *comma = memchr(f.p, ',', f.len);

	if (comma != NULL)
		f.len = (size_t)(comma - f.p);
	if (f.len >= sizeof(ret->note) || !str_is_utf8(f.p, f.len))
		return;
	for (size_t i = 0; i < f.len; i++)
		if ((unsigned char)f.p[i] < ' ' || f.p[i] == 0x7f)
			return;
	(void)str_copy_n(ret->note, sizeof(ret->note), f.p, f.len);
}

static bool
import_value(struct import_field f, const char *key,
    struct import_field *ret)
{
	size_t n = strlen(key);

	if (f.len < n || memcmp(f.p, key, n) != 0)
		return false;
	*ret = (struct import_field){ f.p + n, f.len - n };
	return true;
}

/* userdb_quota_rule=*:storage=1G (or bytes=): Dovecot's first rule. */
static void
import_quota(struct import_field v, struct import_line *ret)
{
	char text[24];
	struct import_field n;
	uint64_t octets;

	if ((!import_value(v, "*:storage=", &n) &&
	    !import_value(v, "*:bytes=", &n)) ||
	    str_copy_n(text, sizeof(text), n.p, n.len) != 0)
		return;
	/* storage without a unit counts KiB. */
	if (v.p[2] == 's' && n.len > 0 && n.p[n.len - 1] >= '0' &&
	    n.p[n.len - 1] <= '9' && str_format(text, sizeof(text), "%.*sK",
	    (int)n.len, n.p) != 0)
		return;
	if (str_size(text, &octets) == 0) {
		ret->has_quota = true;
		ret->quota_octets = octets;
	}
}

/* userdb_mail=maildir:PATH; ~ and %h are the home. */
static void
import_mail(struct import_field v, struct import_field home,
    struct import_line *ret)
{
	struct import_field p;
	const char *colon;

	if (!import_value(v, "maildir:", &p))
		return;
	if ((colon = memchr(p.p, ':', p.len)) != NULL)
		p.len = (size_t)(colon - p.p);
	if (p.len > 0 && p.p[0] == '~') {
		p.p++;
		p.len--;
	} else if (p.len > 1 && memcmp(p.p, "%h", 2) == 0) {
		p.p += 2;
		p.len -= 2;
	} else {
		home.len = 0;
	}
	if (memchr(p.p, '\0', p.len) != NULL ||
	    memchr(home.p, '\0', home.len) != NULL ||
	    memchr(p.p, '%', p.len) != NULL ||
	    str_format(ret->maildir, sizeof(ret->maildir), "%.*s%.*s",
	    (int)home.len, home.p, (int)p.len, p.p) != 0 ||
	    ret->maildir[0] != '/')
		ret->maildir[0] = '\0';
}

static void
import_extra(struct import_field f, struct import_field home,
    struct import_line *ret)
{
	/* They keep somebody out; their loss must be told. */
	static const char *const rules[] = { "allow_nets=", "allow_real_nets=",
	    "userdb_acl", "deny", "expire" };
	struct import_field v;

	if (import_value(f, "userdb_quota_rule=", &v))
		import_quota(v, ret);
	else if (import_value(f, "userdb_mail=", &v))
		import_mail(v, home, ret);
	else if (import_value(f, "nologin", &v))
		ret->disabled = true;
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
		if (import_value(f, rules[i], &v))
			(void)str_copy(ret->lost, sizeof(ret->lost), rules[i]);
	if (ret->lost[0] != '\0' && ret->lost[strlen(ret->lost) - 1] == '=')
		ret->lost[strlen(ret->lost) - 1] = '\0';
}

static int
import_passwd(const char *line, size_t len, struct import_line *ret,
    struct err *reterr)
{
	struct import_field f[IMPORT_FIELDS], word;
	const char *p, *end;
	size_t n;
	int r;

	n = import_split(line, len, f, IMPORT_FIELDS);
	if (n < 2)
		return err_set(reterr, ERR_FORMAT, "this is not USER:HASH with "
		    "more fields behind it");
	if ((r = import_name(&f[0], ret, reterr)) != 0 ||
	    (r = import_password(f[1], ret, reterr)) != 0)
		return r;
	if (n > 4)
		import_gecos(f[4], ret);
	if (n < 8)
		return 0;
	end = f[7].p + f[7].len;
	for (p = f[7].p; p < end; p = word.p + word.len) {
		while (p < end && import_is_blank(*p))
			p++;
		word = (struct import_field){ p, 0 };
		while (p + word.len < end && !import_is_blank(p[word.len]))
			word.len++;
		import_extra(word, f[5], ret);
	}
	return 0;
}

static int
import_htpasswd(const char *line, size_t len, struct import_line *ret,
    struct err *reterr)
{
	struct import_field f[2];
	int r;

	if (import_split(line, len, f, 2) != 2)
		return err_set(reterr, ERR_FORMAT, "this is not USER:HASH");
	if ((r = import_name(&f[0], ret, reterr)) != 0)
		return r;
	r = import_password(f[1], ret, reterr);
	if (r == 0 && !ret->plain && memchr(f[1].p, ':', f[1].len) != NULL)
		return err_set(reterr, ERR_FORMAT, "there are more fields than "
		    "htpasswd has: give --format passwd-file");
	return r;
}

/* What the reader of sasldb2 prints: user, realm and password in base64, with
 * a blank in between. */
static int
import_sasldb(const char *line, size_t len, struct import_line *ret,
    struct err *reterr)
{
	char *const dst[3] = { ret->name, ret->realm, ret->secret };
	const size_t size[3] = { sizeof(ret->name), sizeof(ret->realm),
	    sizeof(ret->secret) };
	const char *end = line + len, *p;
	int n;

	for (size_t i = 0; i < 3; i++, line = p + (p < end)) {
		p = memchr(line, ' ', (size_t)(end - line));
		if (p == NULL || i == 2)
			p = end;
		n = str_b64_decode(dst[i], size[i] - 1, line,
		    (size_t)(p - line));
		if (n < 0)
			return err_set(reterr, ERR_FORMAT, "the record is "
			    "malformed, or its name or password is too long");
		dst[i][n] = '\0';
		if (strlen(dst[i]) != (size_t)n || !str_is_utf8(dst[i],
		    (size_t)n))
			return err_set(reterr, ERR_FORMAT, "a name or password "
			    "is not valid UTF-8: set another one there");
	}
	ret->plain = true;
	if (ret->name[0] == '\0' || ret->secret[0] == '\0')
		return err_set(reterr, ERR_FORMAT,
		    "the name or the password is empty");
	return 0;
}

int
import_line_parse(enum import_format f, const char *line, size_t len,
    struct import_line *ret, struct err *reterr)
{
	size_t i = 0;
	int r;

	memset(ret, 0, sizeof(*ret));
	if (len > 0 && line[len - 1] == '\r')
		len--;
	while (i < len && import_is_blank(line[i]))
		i++;
	if (i == len || line[i] == '#')
		return 1;
	if (f == IMPORT_PASSWD)
		r = import_passwd(line, len, ret, reterr);
	else if (f == IMPORT_HTPASSWD)
		r = import_htpasswd(line, len, ret, reterr);
	else
		r = import_sasldb(line, len, ret, reterr);
	if (r == 0 || ret->name[0] == '\0') {
		if (r != 0)
			import_line_clear(ret);
		return r;
	}
	/* The name stays: the caller names whom it could not take. */
	explicit_bzero(ret->secret, sizeof(ret->secret));
	return r;
}
