/*
 * uidl_dovecot.c - reads dovecot-uidlist, version 3. Pure; runs on a thread of
 * popd-mbox. The file is hostile: a user may own it.
 *
 *	3 V<uidvalidity> N<next uid> G<guid of the folder> ...
 *	<uid> [<key><value> ...] :<name of the file>
 *
 * with ascending uids. A record's key P has the UIDL that Dovecot shows, where
 * it is not formed by pop3_uidl_format; an empty one is the file's name. G is
 * the message's GUID, without it the file's name.
 */
#include "config.h"

#include <string.h>

#include "lib/maildir.h"
#include "lib/str.h"
#include "popd/mbox/uidl_import.h"

struct uidl_record {
	uint64_t	 uid;
	const char	*name;
	const char	*uidl, *guid;	/* NULL: not given */
	size_t		 uidl_len, guid_len;
};

char *
uidl_list_line(struct uidl_list *l, size_t *at, size_t *ret_len)
{
	char *line = l->text + *at, *end;

	if (*at >= l->len)
		return NULL;
	if ((end = memchr(line, '\n', l->len - *at)) == NULL) {
		l->cut = true;		/* it is being written just now */
		return NULL;
	}
	*end = '\0';
	*ret_len = (size_t)(end - line);
	*at += *ret_len + 1;
	return line;
}

/* A decimal number at *p, which goes behind it; false without one. */
static bool
uidl_dovecot_number(const char **p, uint64_t *ret)
{
	size_t len = strspn(*p, "0123456789");

	if (str_u64_n(*p, len, 1, UINT32_MAX - 1, ret) != 0)
		return false;
	*p += len;
	return true;
}

static bool
uidl_dovecot_head(const char *line, uint64_t *ret_uidvalidity)
{
	uint64_t next;
	bool has_next = false;

	*ret_uidvalidity = 0;
	if (strncmp(line, "3 ", 2) != 0)
		return false;
	for (line += 2; *line != '\0'; line += strspn(line, " ")) {
		const char *value = line + 1;

		if (*line == 'V' && !uidl_dovecot_number(&value,
		    ret_uidvalidity))
			return false;
		if (*line == 'N' && !(has_next = uidl_dovecot_number(&value,
		    &next)))
			return false;
		if ((*line == 'V' || *line == 'N') && *value != ' ' &&
		    *value != '\0')
			return false;
		line += strcspn(line, " ");
	}
	return *ret_uidvalidity != 0 && has_next;
}

/* "P<uidl>" and the like, up to the ':' before the name. */
static bool
uidl_dovecot_fields(const char *p, struct uidl_record *rec)
{
	for (; *p != '\0' && *p != ':'; p += strspn(p, " ")) {
		size_t len = strcspn(p, " ");

		if (*p == 'P') {
			rec->uidl = p + 1;
			rec->uidl_len = len - 1;
		} else if (*p == 'G' && len > 1) {
			rec->guid = p + 1;
			rec->guid_len = len - 1;
		}
		p += len;
	}
	if (*p != ':')
		return false;
	rec->name = p + 1;
	return rec->name[0] != '\0' && strchr(rec->name, '/') == NULL;
}

static bool
uidl_dovecot_record(const char *line, uint64_t last_uid,
    struct uidl_record *rec)
{
	*rec = (struct uidl_record){ 0 };
	if (!uidl_dovecot_number(&line, &rec->uid) || *line != ' ' ||
	    rec->uid <= last_uid)
		return false;
	return uidl_dovecot_fields(line + strspn(line, " "), rec);
}

/* The UIDL that Dovecot shows, given to the row. */
static int
uidl_dovecot_row(const struct uidl_list *l, const struct uidl_record *rec,
    uint32_t uidvalidity)
{
	struct uidl_values v = { .uid = (uint32_t)rec->uid,
		.uidvalidity = uidvalidity, .file = rec->name,
		.file_len = maildir_base_len(rec->name),
		.guid = rec->guid, .guid_len = rec->guid_len };
	char text[UIDL_VALUE_MAX];
	int len;

	if (rec->uidl != NULL && rec->uidl_len > 0)
		return l->row(l->ctx, rec->name, rec->uidl, rec->uidl_len);
	if (rec->uidl != NULL)
		return l->row(l->ctx, rec->name, v.file, v.file_len);
	if (v.guid == NULL) {
		v.guid = v.file;
		v.guid_len = v.file_len;
	}
	len = uidl_template(l->format != NULL ? l->format :
	    UIDL_DOVECOT_DEFAULT, &v, text, sizeof(text), NULL);
	if (len < 0 && len != ERR_LIMIT)
		return len;
	return l->row(l->ctx, rec->name, text, len < 0 ? 0 : (size_t)len);
}

int
uidl_dovecot_read(struct uidl_list *l, struct err *reterr)
{
	uint64_t uidvalidity, last = 0;
	size_t at = 0, len, n = 1;
	struct uidl_record rec;
	char *line;
	int r;

	if (memchr(l->text, '\0', l->len) != NULL)
		return err_set(reterr, ERR_FORMAT, "there is a NUL in it");
	line = uidl_list_line(l, &at, &len);
	if (line == NULL || !uidl_dovecot_head(line, &uidvalidity))
		return err_set(reterr, ERR_FORMAT, "its first line is not that "
		    "of version 3 (Dovecot 1.1 and later)");
	while ((line = uidl_list_line(l, &at, &len)) != NULL) {
		n++;
		if (!uidl_dovecot_record(line, last, &rec))
			return err_set(reterr, ERR_FORMAT, "line %zu is not as "
			    "Dovecot writes it", n);
		last = rec.uid;
		l->n++;
		if ((r = uidl_dovecot_row(l, &rec, (uint32_t)uidvalidity)) != 0)
			return err_set(reterr, r, "line %zu: %s", n,
			    err_name(r));
	}
	return 0;
}
