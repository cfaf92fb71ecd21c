/*
 * reply.c - see reply.h. Runs in popd-pop.
 */
#include "config.h"
#include "popd/pop/reply.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "popd/pop/past.h"
#include "popd/pop/session.h"

static const char *const pop_code_names[POP_CODE__COUNT] = {
	[POP_CODE_AUTH] = "AUTH",
	[POP_CODE_IN_USE] = "IN-USE",
	[POP_CODE_SYS_TEMP] = "SYS/TEMP",
	[POP_CODE_SYS_PERM] = "SYS/PERM",
	[POP_CODE_LOGIN_DELAY] = "LOGIN-DELAY",
};

const char *
pop_code_name(enum pop_code code)
{
	return pop_code_names[code];
}

size_t
pop_reply_format(char dst[], size_t size, const char *status,
    enum pop_code code, const char *text, const char *help, const char *sid)
{
	const char *name = pop_code_name(code);
	size_t tail = sid == NULL ? 0 : strlen(sid) + 3;
	size_t used = strlen(status) + (name == NULL ? 0 : strlen(name) + 3) +
	    1 + strlen(text) + tail + 2;
	int n;

	if (help != NULL && used + 2 + strlen(help) >= size)
		help = NULL;
	n = snprintf(dst, size - tail - 2, "%s%s%s%s %s%s%s", status,
	    name == NULL ? "" : " [", name == NULL ? "" : name,
	    name == NULL ? "" : "]", text, help == NULL ? "" : ". ",
	    help == NULL ? "" : help);
	used = (size_t)n < size - tail - 2 ? (size_t)n : size - tail - 3;
	if (sid != NULL)
		used += (size_t)snprintf(dst + used, tail + 1, " [%s]", sid);
	memcpy(dst + used, "\r\n", 3);
	return used + 2;
}

void
pop_write(struct pop_session *s, const void *p, size_t len)
{
	if (s->state != POP_ST_CLOSED && conn_write(s->conn, p, len) != 0)
		pop_session_close(s, "nomem", false);
}

void
pop_line(struct pop_session *s, const char *text)
{
	pop_write(s, text, strlen(text));
	pop_write(s, "\r\n", 2);
}

/* `person`: he reads it, and may ask about it. */
static void __attribute__((format(printf, 5, 0)))
pop_reply(struct pop_session *s, const char *status, enum pop_code code,
    bool person, const char *fmt, va_list ap)
{
	char text[POP_REPLY_MAX], line[POP_REPLY_MAX + 1];
	const char *help = person ? s->conf->help_text : NULL;
	size_t len;

	vsnprintf(text, sizeof(text), fmt, ap);
	if (status[0] == '-')
		pop_past_reply(s, code, person, text);
	len = pop_reply_format(line, sizeof(line), status, code, text, help,
	    person ? s->id : NULL);
	pop_write(s, line, len);
}

void
pop_ok(struct pop_session *s, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	pop_reply(s, "+OK", POP_CODE_NONE, false, fmt, ap);
	va_end(ap);
}

void
pop_err(struct pop_session *s, enum pop_code code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	pop_reply(s, "-ERR", code, false, fmt, ap);
	va_end(ap);
}

void
pop_err_help(struct pop_session *s, enum pop_code code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	pop_reply(s, "-ERR", code, true, fmt, ap);
	va_end(ap);
}
