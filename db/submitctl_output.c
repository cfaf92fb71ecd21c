/*
 * submitctl_output.c - tables, records and sentences of submitctl, or JSON.
 */
#include "config.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "db/submitctl.h"
#include "lib/str.h"

#define CTL_CELL_SIZE	512

const char *
ctl_str(const json_t *record, const char *key)
{
	const char *s = json_string_value(json_object_get(record, key));

	return s != NULL ? s : "";
}

json_int_t
ctl_int(const json_t *record, const char *key)
{
	return json_integer_value(json_object_get(record, key));
}

/* C0, DEL, and C1 (U+0080 to U+009F), which UTF-8 writes as 0xc2 0x80 to
 * 0xc2 0x9f. A stray octet of C1 is no UTF-8: str_mend_utf8() has it. */
static void
ctl_mask(char *s, bool lines)
{
	str_mend_utf8(s);
	for (; *s != '\0'; s++) {
		unsigned char ch = (unsigned char)*s;

		if (ch == '\n' && lines)
			continue;
		if (ch == '\t')	/* as folded headers begin */
			*s = ' ';
		else if (ch < 0x20 || ch == 0x7f)
			*s = '?';
		else if (ch == 0xc2 && (unsigned char)s[1] < 0xa0)
			s[0] = s[1] = '?';
	}
}

const char *
ctl_safe(const char *s, char *dst, size_t size)
{
	size_t n = strnlen(s, size - 1);

	memcpy(dst, s, n);
	dst[n] = '\0';
	ctl_mask(dst, false);
	return dst;
}

void
ctl_put_safe(FILE *to, const char *fmt, va_list ap)
{
	char *text;

	if (vasprintf(&text, fmt, ap) < 0) {
		fputs("no memory", to);
		return;
	}
	ctl_mask(text, true);
	fputs(text, to);
	explicit_bzero(text, strlen(text));	/* a new password, perhaps */
	free(text);
}

void
ctl_print(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	ctl_put_safe(stdout, fmt, ap);
	va_end(ap);
}

void
ctl_put_json(const json_t *record)
{
	/* JSON writes C0 as \uXXXX by itself. */
	(void)json_dumpf(record, stdout, JSON_COMPACT |
	    (isatty(STDOUT_FILENO) ? JSON_ENSURE_ASCII : 0));
	putchar('\n');
}

static void
ctl_time_text(json_int_t s, char *dst, size_t size)
{
	time_t t = (time_t)s;
	struct tm tm;

	if (s == 0 || localtime_r(&t, &tm) == NULL ||
	    strftime(dst, size, "%Y-%m-%d %H:%M:%S", &tm) == 0)
		(void)str_copy(dst, size, "-");
}

void
ctl_span_text(json_int_t s, char *dst, size_t size)
{
	static const struct { json_int_t s; char unit; } units[] = {
		{ 86400, 'd' }, { 3600, 'h' }, { 60, 'm' }, { 1, 's' },
	};
	size_t i = 0;

	if (s <= 0) {
		(void)str_copy(dst, size, "0s");
		return;
	}
	while (s < units[i].s)
		i++;
	if (i == 3 || s % units[i].s / units[i + 1].s == 0)
		(void)snprintf(dst, size, "%" PRId64 "%c",
		    (int64_t)(s / units[i].s), units[i].unit);
	else
		(void)snprintf(dst, size, "%" PRId64 "%c%" PRId64 "%c",
		    (int64_t)(s / units[i].s), units[i].unit,
		    (int64_t)(s % units[i].s / units[i + 1].s),
		    units[i + 1].unit);
}

static void
ctl_octets_text(json_int_t n, char *dst, size_t size)
{
	static const char units[] = "KMGT";
	double v = (double)n;
	size_t i = 0;

	if (n < 1024) {
		(void)snprintf(dst, size, "%" PRId64, (int64_t)n);
		return;
	}
	for (v /= 1024; v >= 1024 && i < 3; i++)
		v /= 1024;
	(void)snprintf(dst, size, "%.1f%c", v, units[i]);
}

/* A list of strings stands with commas in between. */
static void
ctl_list_text(const json_t *list, char *dst, size_t size)
{
	size_t i, len = 0;
	json_t *v;
	int n;

	(void)str_copy(dst, size, "-");
	json_array_foreach(list, i, v) {
		n = snprintf(dst + len, size - len, "%s%s",
		    i > 0 ? ", " : "", json_is_string(v) ?
		    json_string_value(v) : "?");
		if (n < 0 || (size_t)n >= size - len)
			break;
		len += (size_t)n;
	}
}

static void
ctl_cell(const struct ctl_column *col, const json_t *record, char *dst,
    size_t size)
{
	char text[CTL_CELL_SIZE];
	const json_t *v = json_object_get(record, col->key);

	text[0] = '\0';
	if (v == NULL || json_is_null(v))
		(void)str_copy(text, sizeof(text), "-");
	else if (json_is_array(v))
		ctl_list_text(v, text, sizeof(text));
	else if (json_is_boolean(v))
		(void)str_copy(text, sizeof(text),
		    json_is_true(v) ? "yes" : "no");
	else if (json_is_string(v))
		(void)snprintf(text, sizeof(text), "%s",
		    json_string_length(v) > 0 ? json_string_value(v) : "-");
	else if (col->format == CTL_TIME)
		ctl_time_text(json_integer_value(v), text, sizeof(text));
	else if (col->format == CTL_SPAN)
		ctl_span_text(json_integer_value(v), text, sizeof(text));
	else if ((col->format == CTL_LIMIT ||
	    col->format == CTL_LIMIT_OCTETS) && json_integer_value(v) == 0)
		(void)str_copy(text, sizeof(text), "none");
	else if (col->format == CTL_OCTETS || col->format == CTL_LIMIT_OCTETS)
		ctl_octets_text(json_integer_value(v), text, sizeof(text));
	else
		(void)snprintf(text, sizeof(text), "%" PRId64,
		    (int64_t)json_integer_value(v));
	(void)ctl_safe(text, dst, size);
}

/* Columns on a terminal: code points, near enough. */
static int
ctl_width(const char *s)
{
	int n = 0;

	for (; *s != '\0'; s++)
		n += (*s & 0xc0) != 0x80;
	return n;
}

static bool
ctl_is_number(const struct ctl_column *col)
{
	return col->format == CTL_NUMBER || col->format == CTL_OCTETS ||
	    col->format == CTL_SPAN;
}

static void
ctl_put_cell(const struct ctl_column *col, const char *text, int width)
{
	int pad = width - ctl_width(text);
	bool last = col[1].title == NULL;

	if (ctl_is_number(col))
		printf("%*s%s", pad > 0 ? pad : 0, "", text);
	else
		printf("%s%*s", text, pad > 0 && !last ? pad : 0, "");
	fputs(last ? "\n" : "  ", stdout);
}

static void
ctl_json_lines(const json_t *records)
{
	json_t *record;
	size_t i;

	json_array_foreach(records, i, record)
		ctl_put_json(record);
}

void
ctl_table_page(const struct ctl *c, const struct ctl_column *cols,
    const json_t *records, int width[CTL_COLUMNS_MAX])
{
	char text[CTL_CELL_SIZE];
	const struct ctl_column *col;
	bool first = width[0] == 0;
	json_t *record;
	size_t i;
	int w;

	if (c->json) {
		ctl_json_lines(records);
		return;
	}
	if (c->given & CTL_CSV) {
		ctl_csv_page(cols, records, first);
		width[0] = 1;
		return;
	}
	for (col = cols; first && col->title != NULL; col++)
		width[col - cols] = ctl_width(col->title);
	json_array_foreach(records, i, record)
		for (col = cols; col->title != NULL; col++) {
			ctl_cell(col, record, text, sizeof(text));
			w = ctl_width(text);
			if (w > width[col - cols])
				width[col - cols] = w;
		}
	for (col = cols; first && col->title != NULL; col++)
		ctl_put_cell(col, col->title, width[col - cols]);
	json_array_foreach(records, i, record)
		for (col = cols; col->title != NULL; col++) {
			ctl_cell(col, record, text, sizeof(text));
			ctl_put_cell(col, text, width[col - cols]);
		}
}

void
ctl_table(const struct ctl *c, const struct ctl_column *cols,
    const json_t *records)
{
	int width[CTL_COLUMNS_MAX] = { 0 };

	ctl_table_page(c, cols, records, width);
}

void
ctl_warnings(const json_t *record)
{
	const json_t *list = json_object_get(record, "warnings");
	char text[CTL_CELL_SIZE];
	json_t *v;
	size_t i;

	fflush(stdout);
	json_array_foreach(list, i, v)
		if (json_is_string(v))
			fprintf(stderr, "submitctl: warning: %s\n",
			    ctl_safe(json_string_value(v), text,
			    sizeof(text)));
}

void
ctl_record(const struct ctl *c, const struct ctl_column *cols,
    const json_t *record)
{
	char text[CTL_CELL_SIZE];
	int width = 0;

	if (c->json) {
		ctl_put_json(record);
		return;
	}
	for (const struct ctl_column *col = cols; col->title != NULL; col++)
		if (ctl_width(col->title) > width)
			width = ctl_width(col->title);
	for (const struct ctl_column *col = cols; col->title != NULL; col++) {
		ctl_cell(col, record, text, sizeof(text));
		printf("%s:%*s %s\n", col->title,
		    width - ctl_width(col->title), "", text);
	}
	ctl_warnings(record);
}

void
ctl_say(const struct ctl *c, const json_t *record, const char *fmt, ...)
{
	va_list ap;

	if (c->json) {
		ctl_put_json(record);
		return;
	}
	va_start(ap, fmt);
	ctl_put_safe(stdout, fmt, ap);
	va_end(ap);
	putchar('\n');
	ctl_warnings(record);
}
