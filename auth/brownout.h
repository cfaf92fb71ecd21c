/*
 * brownout.h - rehearsals for the day on which grants end: between the times of
 * a section grant_brownout mail that only a grant lets in is refused, with its
 * text. The clock begins and ends it; nothing is kept.
 */
#ifndef SUBMITD_AUTH_BROWNOUT_H
#define SUBMITD_AUTH_BROWNOUT_H

#include "auth/mail_private.h"

/* Behind the rule, at MAIL: what only a grant let in becomes BROWNOUT, with
 * m->brownout. A message that is under way goes through. */
void	brownout_judge(struct mail *m);
/* What the person reads, with the URL. */
const char *brownout_text(const struct conf_brownout *b,
	    char dst[AUTHP_BROWNOUT_MAX + 1]);
/* To be called every few seconds, and after a reload: logs when one begins and
 * ends. */
void	brownout_tick(struct core *core, int64_t now_s);

#endif
