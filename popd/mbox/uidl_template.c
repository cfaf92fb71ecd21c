/*
 * uidl_template.c - Dovecot's pop3_uidl_format, as far as it can be formed from
 * a Maildir. Pure. Runs on a thread of popd-mbox; the format is the
 * administrator's, the values are hostile.
 */
#include "config.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#include "lib/str.h"
#include "popd/mbox/uidl_import.h"

#define UIDL_WIDTH_MAX 20

/* One "%…", taken apart. */
struct uidl_item {
	char		what;		/* u, v, f, g */
	bool		hex;
	unsigned int	width;		/* of a number, filled up with 0 */
};

static const struct uidl_name {
	const char	*name;
	char		 what;
} uidl_names[] = {
	{ "uid", 'u' }, { "uidvalidity", 'v' }, { "filename", 'f' },
	{ "guid", 'g' },
};

static unsigned int
uidl_digits(const char **p)
{
	unsigned int n = 0;

	for (; isdigit((unsigned char)**p); (*p)++)
		if (n <= UIDL_WIDTH_MAX)
			n = n * 10 + (unsigned int)(**p - '0');
	return n;
}

static void
uidl_skip_blanks(const char **p)
{
	*p += strspn(*p, " ");
}

/* "uid | hex(8)}", behind "%{" (Dovecot 2.4). */
static bool
uidl_item_long(const char **p, struct uidl_item *item)
{
	size_t len;

	uidl_skip_blanks(p);
	len = strspn(*p, "abcdefghijklmnopqrstuvwxyz");
	for (size_t i = 0; i < sizeof(uidl_names) / sizeof(uidl_names[0]); i++)
		if (strlen(uidl_names[i].name) == len &&
		    memcmp(uidl_names[i].name, *p, len) == 0)
			item->what = uidl_names[i].what;
	*p += len;
	uidl_skip_blanks(p);
	if (**p == '|') {
		(*p)++;
		uidl_skip_blanks(p);
		if (strncmp(*p, "hex(", 4) != 0)
			return false;
		*p += 4;
		item->hex = true;
		item->width = uidl_digits(p);
		if (*(*p)++ != ')')
			return false;
		uidl_skip_blanks(p);
	}
	return *(*p)++ == '}';
}

/* "08Xu", behind "%" (Dovecot 2.3). */
static bool
uidl_item_short(const char **p, struct uidl_item *item)
{
	bool zero = **p == '0';

	item->width = uidl_digits(p);
	if (item->width > 0 && !zero)
		return false;		/* there it cuts: nobody means that */
	if (**p == 'X') {
		item->hex = true;
		(*p)++;
	}
	if (**p == '\0' || strchr("uvfg", **p) == NULL)
		return false;
	item->what = *(*p)++;
	return true;
}

static bool
uidl_item_parse(const char **p, struct uidl_item *item)
{
	bool ok, number;

	*item = (struct uidl_item){ 0 };
	if (**p == '{') {
		(*p)++;
		ok = uidl_item_long(p, item);
	} else
		ok = uidl_item_short(p, item);
	number = item->what == 'u' || item->what == 'v';
	return ok && item->what != '\0' && item->width <= UIDL_WIDTH_MAX &&
	    (number || (!item->hex && item->width == 0));
}

/* Its text; ERR_LIMIT. */
static int
uidl_item_put(const struct uidl_item *item, const struct uidl_values *v,
    char *dst, size_t size)
{
	uint32_t n = item->what == 'u' ? v->uid : v->uidvalidity;

	if (item->what == 'f')
		return str_copy_n(dst, size, v->file, v->file_len);
	if (item->what == 'g')
		return str_copy_n(dst, size, v->guid, v->guid_len);
	if (item->hex)
		return str_format(dst, size, "%0*" PRIx32, (int)item->width, n);
	return str_format(dst, size, "%0*" PRIu32, (int)item->width, n);
}

int
uidl_template(const char *format, const struct uidl_values *v, char *dst,
    size_t size, struct err *reterr)
{
	const char *p = format;
	struct uidl_item item;
	bool varies = false;
	size_t len = 0;

	while (*p != '\0') {
		if (*p != '%' || p[1] == '%') {
			if (len + 1 >= size)
				return ERR_LIMIT;
			dst[len++] = *p;
			p += *p == '%' ? 2 : 1;
			continue;
		}
		p++;
		if (!uidl_item_parse(&p, &item))
			return err_set(reterr, ERR_FORMAT, "%s: of Dovecot's "
			    "pop3_uidl_format only %%u, %%v, %%f and %%g are "
			    "known, as numbers with 0, a width and X", format);
		varies |= item.what != 'v';
		if (v == NULL)
			continue;
		if (uidl_item_put(&item, v, dst + len, size - len) != 0)
			return ERR_LIMIT;
		len += strlen(dst + len);
	}
	if (!varies)
		return err_set(reterr, ERR_FORMAT, "%s: it gives all messages "
		    "the same UIDL", format);
	return (int)len;
}
