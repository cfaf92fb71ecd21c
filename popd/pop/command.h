/*
 * command.h - the table of POP3's commands; private to popd/pop/.
 */
#ifndef SUBMITD_POP_COMMAND_H
#define SUBMITD_POP_COMMAND_H

#include <stddef.h>

#include "popd/pop/session.h"

#define POP_BIT(st)	(1u << (st))
#define POP_IN(st)	POP_BIT(POP_ST_##st)
#define POP_IN_LOGIN	(POP_IN(AUTH) | POP_IN(USER))
#define POP_IN_ANY	(POP_IN(CLEAR) | POP_IN_LOGIN | POP_IN(TRANS))

#define POP_CMD_NOARG	1u	/* an argument is an error */
#define POP_CMD_REST	2u	/* all of the rest of the line is the argument,
				 * spaces too (a password may hold them) */

struct pop_command {
	const char	*verb;
	unsigned int	 states;	/* it may run in */
	unsigned int	 flags;
	void		(*run)(struct pop_session *s, char *arg); /* "": none */
};

/* Runs one line, without CR LF, that is no response to a challenge. */
void	pop_command_line(struct pop_session *s, char *line);

/* The row for this verb in any case, or NULL. Pure. */
const struct pop_command *pop_command_find(const char *verb, size_t len);
/* The i-th row, or NULL at the end. */
const struct pop_command *pop_command_row(size_t i);
/* Why a known command may not run now; NULL when it may. Pure. */
const char *pop_command_refusal(const struct pop_command *c, enum pop_state st);

/* login.c */
void	pop_cmd_user(struct pop_session *s, char *arg);
void	pop_cmd_pass(struct pop_session *s, char *arg);
void	pop_cmd_auth(struct pop_session *s, char *arg);
void	pop_cmd_apop(struct pop_session *s, char *arg);
void	pop_login_response(struct pop_session *s, const char *line, size_t len);
/* The line was no response at all: the exchange is over. */
void	pop_login_abort(struct pop_session *s, const char *why);

/* utf8.c */
void	pop_cmd_utf8(struct pop_session *s, char *arg);
void	pop_cmd_lang(struct pop_session *s, char *arg);

/* drop.c */
void	pop_cmd_stat(struct pop_session *s, char *arg);
void	pop_cmd_list(struct pop_session *s, char *arg);
void	pop_cmd_uidl(struct pop_session *s, char *arg);
void	pop_cmd_retr(struct pop_session *s, char *arg);
void	pop_cmd_top(struct pop_session *s, char *arg);
void	pop_cmd_dele(struct pop_session *s, char *arg);
void	pop_cmd_rset(struct pop_session *s, char *arg);
void	pop_drop_lost(void *ctx);	/* popd-mbox went away */
void	pop_drop_wanted(void *ctx);	/* another session asks for it */
bool	pop_drop_opened(struct pop_session *s);	/* false: no memory */
void	pop_drop_quit(struct pop_session *s);	/* QUIT in TRANSACTION */

#endif
