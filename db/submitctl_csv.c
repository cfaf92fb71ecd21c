/*
 * submitctl_csv.c - records as CSV (RFC 4180), for a spreadsheet. What clients
 * call themselves stands among them: no cell may be taken for a formula.
 */
#include "config.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "db/submitctl.h"
#include "lib/clock.h"

static void
ctl_csv_text(const char *s)
{
	size_t size = strlen(s) + 1;
	char *safe = malloc(size);

	putchar('"');
	if (*s != '\0' && strchr("=+-@\t\r", *s) != NULL)
		putchar('\'');
	if (safe != NULL)
		ctl_safe(s, safe, size);
	for (const char *p = safe; p != NULL && *p != '\0'; p++) {
		if (*p == '"')
			putchar('"');
		putchar(*p);
	}
	putchar('"');
	free(safe);
}

/* Several strings stand in one cell, with spaces in between. */
static void
ctl_csv_list(const json_t *list)
{
	char text[2048] = "";
	size_t i, len = 0;
	json_t *v;
	int n;

	json_array_foreach(list, i, v) {
		n = snprintf(text + len, sizeof(text) - len, "%s%s",
		    i > 0 ? " " : "", json_is_string(v) ?
		    json_string_value(v) : "?");
		if (n < 0 || (size_t)n >= sizeof(text) - len)
			break;
		len += (size_t)n;
	}
	ctl_csv_text(text);
}

static void
ctl_csv_cell(const struct ctl_column *col, const json_t *v)
{
	char when[CLOCK_DATE_SIZE];

	if (json_is_string(v)) {
		ctl_csv_text(json_string_value(v));
	} else if (json_is_array(v)) {
		ctl_csv_list(v);
	} else if (json_is_boolean(v)) {
		fputs(json_is_true(v) ? "yes" : "no", stdout);
	} else if (json_is_integer(v) && col->format == CTL_TIME) {
		clock_utc(json_integer_value(v), when);
		fputs(when, stdout);
	} else if (json_is_integer(v)) {
		printf("%" PRId64, (int64_t)json_integer_value(v));
	}
}

void
ctl_csv_page(const struct ctl_column *cols, const json_t *records, bool first)
{
	const struct ctl_column *col;
	json_t *r;
	size_t i;

	for (col = cols; first && col->title != NULL; col++)
		printf("%s%s", col->key, col[1].title != NULL ? "," : "\r\n");
	json_array_foreach(records, i, r)
		for (col = cols; col->title != NULL; col++) {
			ctl_csv_cell(col, json_object_get(r, col->key));
			fputs(col[1].title != NULL ? "," : "\r\n", stdout);
		}
}
