/*
 * delay.h - when each user logged in last, for LOGIN-DELAY (RFC 2449 sections
 * 6.5 and 8.1.1). In memory, and pure but for that; a restart is outlived by the
 * time of a file in the Maildir, which whoever may write there can remove. Times
 * are the caller's.
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
/* Since at_s. A clock that was set back lets everybody in. */
bool	delay_has_passed(int64_t at_s, int64_t now_s, uint64_t delay_s);
size_t	delays_count(const struct delays *t);

/* delay_file.c: the same of a Maildir, from a thread. One that cannot be written
 * to, or is not there, lets in. */
#define DELAY_FILE	"submitd-login"
bool	delay_file_is_over(int root_fd, const char *path, int64_t now_s,
	    uint64_t delay_s);
void	delay_file_note(int root_fd, const char *path, int64_t now_s,
	    uint64_t delay_s);

#endif
