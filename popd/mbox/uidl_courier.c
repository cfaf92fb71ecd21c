/*
 * uidl_courier.c - reads courierpop3dsizelist, versions 2 and 3. Pure; runs on a
 * thread of popd-mbox. The file is hostile: a user may own it.
 *
 *	/3 <next number> <uidvalidity>
 *	<name of the file> <size> <number>:<uidvalidity>:<utf8>
 *
 * Version 2 has no <utf8>. The UIDL is "UID<number>-<uidvalidity>", or
 * "UID<number>" where the uidvalidity is 0 (of version 1), or where the number is
 * 0 (of the time before) the file's name, with '+' and two hexadecimal digits
 * for what a UIDL may not hold.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/maildir.h"
#include "lib/str.h"
#include "popd/mbox/uidl_import.h"

struct uidl_size_line {
	const char	*name;
	uint64_t	 number, uidvalidity;
};

static bool
uidl_courier_number(const char **p, uint64_t *ret)
{
	size_t len = strspn(*p, "0123456789");

	if (str_u64_n(*p, len, 0, UINT64_MAX, ret) != 0)
		return false;
	*p += len;
	return true;
}

/* The same, and `mark` behind it. */
static bool
uidl_courier_field(const char **p, uint64_t *ret, char mark)
{
	if (!uidl_courier_number(p, ret) || **p != mark)
		return false;
	if (mark != '\0')
		(*p)++;
	return true;
}

/* 2 or 3; 0: neither. */
static unsigned int
uidl_courier_head(const char *line)
{
	unsigned int version = line[0] != '/' ? 0 : line[1] == '3' ? 3 :
	    line[1] == '2' ? 2 : 0;
	const char *p = line + 3;
	uint64_t next, uidvalidity;

	if (version == 0 || line[2] != ' ' ||
	    !uidl_courier_field(&p, &next, ' ') ||
	    !uidl_courier_field(&p, &uidvalidity, '\0'))
		return 0;
	return version;
}

/* A name may hold blanks: the last two of the line end it. */
static bool
uidl_courier_record(char *line, unsigned int version, struct uidl_size_line *r)
{
	char *size, *uid = strrchr(line, ' ');
	const char *p;
	uint64_t n;

	if (uid == NULL)
		return false;
	*uid++ = '\0';
	if ((size = strrchr(line, ' ')) == NULL || size == line)
		return false;
	*size++ = '\0';
	r->name = line;
	p = size;
	if (!uidl_courier_field(&p, &n, '\0') || strchr(line, '/') != NULL)
		return false;
	p = uid;
	return uidl_courier_field(&p, &r->number, ':') &&
	    uidl_courier_field(&p, &r->uidvalidity, version == 3 ? ':' : '\0') &&
	    (version == 2 || uidl_courier_field(&p, &n, '\0'));
}

/* 0 when it is too long for any UIDL. */
static size_t
uidl_courier_escape(const char *name, char *dst, size_t size)
{
	size_t n = maildir_base_len(name), len = 0;

	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)name[i];

		if (len + 4 > size)
			return 0;
		if (c < 0x21 || c > 0x7E || c == '\'' || c == '"' || c == '+')
			len += (size_t)snprintf(dst + len, size - len, "+%02X",
			    (unsigned int)c);
		else
			dst[len++] = (char)c;
	}
	return len;
}

static int
uidl_courier_row(const struct uidl_list *l, const struct uidl_size_line *r)
{
	char text[UIDL_VALUE_MAX];

	if (r->number == 0)
		return l->row(l->ctx, r->name, text, uidl_courier_escape(
		    r->name, text, sizeof(text)));
	if (r->uidvalidity == 0)
		(void)str_format(text, sizeof(text), "UID%" PRIu64, r->number);
	else
		(void)str_format(text, sizeof(text), "UID%" PRIu64 "-%" PRIu64,
		    r->number, r->uidvalidity);
	return l->row(l->ctx, r->name, text, strlen(text));
}

int
uidl_courier_read(struct uidl_list *l, struct err *reterr)
{
	size_t at = 0, len, n = 1;
	struct uidl_size_line rec;
	unsigned int version = 0;
	char *line;
	int r;

	if (memchr(l->text, '\0', l->len) != NULL)
		return err_set(reterr, ERR_FORMAT, "there is a NUL in it");
	if ((line = uidl_list_line(l, &at, &len)) != NULL)
		version = uidl_courier_head(line);
	if (version == 0)
		return err_set(reterr, ERR_FORMAT, "its first line is not that "
		    "of version 2 or 3 (Courier 0.43 and later)");
	while ((line = uidl_list_line(l, &at, &len)) != NULL) {
		n++;
		if (!uidl_courier_record(line, version, &rec))
			return err_set(reterr, ERR_FORMAT, "line %zu is not as "
			    "Courier writes it", n);
		l->n++;
		if ((r = uidl_courier_row(l, &rec)) != 0)
			return err_set(reterr, r, "line %zu: %s", n,
			    err_name(r));
	}
	return 0;
}
