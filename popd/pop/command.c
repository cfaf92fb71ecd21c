/*
 * command.c - which command may run when, and those that need no maildrop.
 * Runs in popd-pop. Nothing else dispatches.
 */
#include "config.h"
#include "popd/pop/command.h"

#include <inttypes.h>
#include <string.h>

#include "lib/log.h"
#include "popd/pop/past.h"
#include "popd/pop/reply.h"

/* Listed after login too (RFC 2449 section 5). */
static void
pop_cmd_capa_login(struct pop_session *s)
{
	char mechs[MECHS_TEXT_SIZE];

	if (pop_session_may_try(s, CONF_PLAIN))
		pop_line(s, "USER");
	if (pop_session_mechs(s, mechs) > 0) {
		pop_write(s, "SASL ", 5);
		pop_line(s, mechs);
	}
}

/* The same for all users and in all states: no "USER" behind it (RFC 2449
 * sections 6.5 and 6.7). */
static void
pop_cmd_capa_policy(struct pop_session *s)
{
	char line[64];

	if (s->conf->pop_expire_days == 0)
		pop_line(s, "EXPIRE NEVER");
	else if (str_format(line, sizeof(line), "EXPIRE %" PRIu64,
	    s->conf->pop_expire_days) == 0)
		pop_line(s, line);
	if (str_format(line, sizeof(line), "LOGIN-DELAY %" PRIu64,
	    s->conf->login_delay_s) == 0)
		pop_line(s, line);
}

static void
pop_cmd_capa(struct pop_session *s, char *arg)
{
	(void)arg;
	pop_ok(s, "Capability list follows");
	pop_line(s, "TOP");
	pop_line(s, "UIDL");
	pop_line(s, "RESP-CODES");
	pop_line(s, "AUTH-RESP-CODE");
	pop_line(s, "PIPELINING");
	/* Only what this state permits (RFC 2595 section 4). */
	if (s->state != POP_ST_CLEAR) {
		pop_cmd_capa_login(s);
	} else if (s->tls_ctx != NULL) {
		pop_line(s, "STLS");
	}
	pop_cmd_capa_policy(s);
	pop_line(s, "UTF8 USER");
	pop_line(s, "LANG");
	pop_line(s, "IMPLEMENTATION submitd");
	pop_line(s, ".");
}

static void
pop_cmd_stls(struct pop_session *s, char *arg)
{
	char ip[ADDR_STRLEN];

	(void)arg;
	if (s->tls_ctx == NULL) {
		pop_err_help(s, POP_CODE_SYS_TEMP,
		    "TLS is not available at the moment");
		return;
	}
	/* What was sent behind STLS came in clear, from whomever: RFC 2595
	 * section 4 has it dropped, and who sends it is not trusted at all. */
	if (buf_len(conn_input(s->conn)) > 0) {
		LOG_EV(LOG_WARNING, "stls.injection", s->id,
		    KV_A("rip", addr_ip_text(&s->peer, ip)),
		    KV_U("octets", buf_len(conn_input(s->conn))));
		pop_err(s, POP_CODE_NONE, "Commands behind STLS");
		pop_session_close(s, "stls.injection", true);
		return;
	}
	pop_ok(s, "Begin TLS negotiation");
	pop_session_start_tls(s);
}

static void
pop_cmd_noop(struct pop_session *s, char *arg)
{
	(void)arg;
	pop_ok(s, "Done");
}

static void
pop_cmd_quit(struct pop_session *s, char *arg)
{
	(void)arg;
	if (s->state == POP_ST_TRANS) {
		pop_drop_quit(s);
		return;
	}
	pop_ok(s, "Bye");
	pop_session_close(s, "quit", true);
}

/* clang-format off */
static const struct pop_command pop_commands[] = {
	/* verb	  runs in	 flags		 function */
	{ "CAPA", POP_IN_ANY,	 POP_CMD_NOARG,	 pop_cmd_capa },
	{ "STLS", POP_IN(CLEAR), POP_CMD_NOARG,	 pop_cmd_stls },
	{ "USER", POP_IN_LOGIN,	 POP_CMD_REST,	 pop_cmd_user },
	{ "PASS", POP_IN(USER),	 POP_CMD_REST,	 pop_cmd_pass },
	{ "AUTH", POP_IN_LOGIN,	 0,		 pop_cmd_auth },
	{ "APOP", POP_IN_LOGIN,	 POP_CMD_REST,	 pop_cmd_apop },
	{ "UTF8", POP_IN(CLEAR) | POP_IN_LOGIN, POP_CMD_NOARG, pop_cmd_utf8 },
	{ "LANG", POP_IN_ANY,	 0,		 pop_cmd_lang },
	{ "STAT", POP_IN(TRANS), POP_CMD_NOARG,	 pop_cmd_stat },
	{ "LIST", POP_IN(TRANS), 0,		 pop_cmd_list },
	{ "UIDL", POP_IN(TRANS), 0,		 pop_cmd_uidl },
	{ "TOP",  POP_IN(TRANS), 0,		 pop_cmd_top },
	{ "RETR", POP_IN(TRANS), 0,		 pop_cmd_retr },
	{ "DELE", POP_IN(TRANS), 0,		 pop_cmd_dele },
	{ "RSET", POP_IN(TRANS), POP_CMD_NOARG,	 pop_cmd_rset },
	{ "NOOP", POP_IN(TRANS), POP_CMD_NOARG,	 pop_cmd_noop },
	{ "QUIT", POP_IN_ANY,	 POP_CMD_NOARG,	 pop_cmd_quit },
};
/* clang-format on */

#define POP_COMMANDS (sizeof(pop_commands) / sizeof(pop_commands[0]))

const struct pop_command *
pop_command_row(size_t i)
{
	return i < POP_COMMANDS ? &pop_commands[i] : NULL;
}

const struct pop_command *
pop_command_find(const char *verb, size_t len)
{
	for (size_t i = 0; i < POP_COMMANDS; i++)
		if (str_ieq_n(pop_commands[i].verb, verb, len))
			return &pop_commands[i];
	return NULL;
}

const char *
pop_command_refusal(const struct pop_command *c, enum pop_state st)
{
	if (c->states & POP_BIT(st))
		return NULL;
	if (c->states == POP_IN(CLEAR))
		return st == POP_ST_TRANS ?
		    "Only before login" : "TLS is active already";
	if (st == POP_ST_CLEAR && (c->states & POP_IN_LOGIN))
		return "This server takes passwords over TLS only: set your "
		    "mail program to use STARTTLS (STLS) or SSL/TLS";
	if (st == POP_ST_TRANS)
		return "You are logged in already";
	if (c->states == POP_IN(USER))
		return "USER comes first";
	return "Log in first";
}

static void
pop_command_refuse(struct pop_session *s, const char *why)
{
	if (s->state == POP_ST_CLEAR)
		pop_err_help(s, POP_CODE_NONE, "%s", why);
	else
		pop_err(s, POP_CODE_NONE, "%s", why);
	pop_session_bad(s);
}

/* The argument behind the verb: all of it, or without spaces around it. */
static char *
pop_command_arg(char *line, size_t verb_len, unsigned int flags)
{
	char *arg = line + verb_len, *end;

	if (*arg == ' ')
		arg++;
	if (flags & POP_CMD_REST)
		return arg;
	while (*arg == ' ')
		arg++;
	for (end = arg + strlen(arg); end > arg && end[-1] == ' '; end--)
		end[-1] = '\0';
	return arg;
}

void
pop_command_line(struct pop_session *s, char *line)
{
	size_t len = strcspn(line, " ");
	const struct pop_command *c = pop_command_find(line, len);
	const char *why;
	char *arg;

	if (c == NULL && s->state == POP_ST_CLEAR &&
	    tls_first_is_http(line, len)) {
		pop_hint_http(s);
		return;
	}
	if (c == NULL) {
		pop_err(s, POP_CODE_NONE, "Unknown command");
		pop_session_bad(s);
		return;
	}
	if (s->state == POP_ST_CLEAR && s->n_commands == 0)
		sessions_note_plain(s->server->table,
		    addr_place(&s->peer, &s->via));
	if ((why = pop_command_refusal(c, s->state)) != NULL) {
		if (s->state == POP_ST_CLEAR && (c->states & POP_IN_LOGIN))
			pop_past_clear(s);
		pop_command_refuse(s, why);
		return;
	}
	arg = pop_command_arg(line, len, c->flags);
	if ((c->flags & POP_CMD_NOARG) && *arg != '\0') {
		pop_err(s, POP_CODE_NONE, "%s takes no argument", c->verb);
		pop_session_bad(s);
		return;
	}
	s->n_commands++;
	c->run(s, arg);
}
