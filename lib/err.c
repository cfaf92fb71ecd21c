/*
 * err.c - error codes with a text. Pure, linked into every process; it never
 * logs and never exits.
 */
#include "lib/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/str.h"

/* Texts go into JSON and logs, which take no half of a character. */
__attribute__((format(printf, 2, 0)))
static void
err_text(struct err *e, const char *fmt, va_list ap)
{
	(void)vsnprintf(e->text, sizeof(e->text), fmt, ap);
	str_mend_utf8(e->text);
}

int
err_set(struct err *e, int code, const char *fmt, ...)
{
	va_list ap;

	if (e == NULL)
		return code;
	e->code = code;
	e->sys_errno = 0;
	va_start(ap, fmt);
	err_text(e, fmt, ap);
	va_end(ap);
	return code;
}

static int
err_code_of_errno(int error)
{
	switch (error) {
	case ENOSPC:
	case EDQUOT:
		return ERR_NOSPACE;
	case ENOMEM:
		return ERR_NOMEM;
	default:
		return ERR_SYSTEM;
	}
}

int
err_sys(struct err *e, const char *fmt, ...)
{
	int error = errno, code = err_code_of_errno(error);
	char buf[128];
	va_list ap;
	size_t len;

	if (e == NULL)
		return code;
	e->code = code;
	e->sys_errno = error;
	va_start(ap, fmt);
	err_text(e, fmt, ap);
	va_end(ap);
	len = strlen(e->text);
	snprintf(e->text + len, sizeof(e->text) - len, ": %s",
	    strerror_r(error, buf, sizeof(buf)));
	errno = error;
	return code;
}

const char *
err_name(int code)
{
	switch (code) {
	case 0:
		return "ok";
	case ERR_SYSTEM:
		return "system";
	case ERR_NOMEM:
		return "nomem";
	case ERR_FORMAT:
		return "format";
	case ERR_LIMIT:
		return "limit";
	case ERR_NOTFOUND:
		return "notfound";
	case ERR_EXISTS:
		return "exists";
	case ERR_DENIED:
		return "denied";
	case ERR_AWAY:
		return "away";
	case ERR_CONFIG:
		return "config";
	case ERR_CORRUPT:
		return "corrupt";
	case ERR_NOSPACE:
		return "nospace";
	default:
		return "unknown";
	}
}
