/*
 * delay.h - when each user logged in last, for LOGIN-DELAY (RFC 2449 sections
 * 6.5 and 8.1.1). In memory: a restart forgets it, and nobody waits longer for
 * that. Times are the caller's. Pure but for memory.
 */
#ifndef SUBMITD_DELAY_H
#define SUBMITD_DELAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DELAYS_MAX 65536u	/* users; beyond, who came first is forgotten */

struct delays;

struct delays *delays_new(void);
void	delays_free(struct delays *t);
/* Whether `user` may log in again at now_s; delay_s 0: always. */
bool	delay_is_over(const struct delays *t, const char *user, int64_t now_s,
	    uint64_t delay_s);
/* He has logged in. Forgets whom delay_s does not concern any more. */
void	delay_note(struct delays *t, const char *user, int64_t now_s,
	    uint64_t delay_s);
size_t	delays_count(const struct delays *t);

#endif
