/*
 * maildir.h - names in a Maildir, and where a user's Maildir is.
 */
#ifndef SUBMITD_MAILDIR_H
#define SUBMITD_MAILDIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MAILDIR_NAME_MAX 255
#define MAILDIR_PATH_MAX 512

/* Expands %d (domain), %n (local part), %u (user), %% in `template` for the
 * canonical `user` into a path relative to mail_root. ERR_FORMAT when the
 * result would be absolute or have an empty, "." or ".." component (a '/' in
 * the user is %-encoded), ERR_LIMIT. */
int	maildir_expand(const char *template, const char *user, char *dst,
	    size_t size);

/* A unique name for a new message: seconds.MmicrosecondsPpidQcounter.host.
 * `host` has '/' and ':' encoded as \057 and \072. */
int	maildir_name(const char *host, char *dst, size_t size);
/* Appends ",S=<octets>,W=<octets with CRLF>". */
int	maildir_name_sizes(char *name, size_t size, uint64_t octets,
	    uint64_t crlf_octets);

/* Takes ",S=" and ",W=" from a name; false where it is missing. */
bool	maildir_get_size(const char *name, uint64_t *ret_octets);
bool	maildir_get_wire_size(const char *name, uint64_t *ret_octets);
/* Length of the part before the flags (":2,..."): what is unique. */
size_t	maildir_base_len(const char *name);

#endif
