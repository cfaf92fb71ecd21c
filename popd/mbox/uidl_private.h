/*
 * uidl_private.h - a map of UIDLs in memory; private to popd/mbox/uidl*.c.
 */
#ifndef SUBMITD_MBOX_UIDL_PRIVATE_H
#define SUBMITD_MBOX_UIDL_PRIVATE_H

#include "lib/siphash.h"
#include "popd/mbox/uidl.h"

enum uidl_by { UIDL_BY_NAME, UIDL_BY_UIDL };

struct uidl_entry {
	const char	*name;		/* no NUL behind it */
	const char	*uidl;		/* with a NUL */
	uint16_t	 name_len;
	uint16_t	 uidl_len;
};

struct uidl_chunk {			/* of strings that were added */
	struct uidl_chunk	*next;
	size_t			 used;
	char			 mem[];
};

struct uidl_map {
	uint8_t			 key[SIPHASH_KEY];
	struct uidl_entry	*entries;
	size_t			 n, n_room;
	uint32_t		*slots[2];	/* 1 + index; 0: free */
	size_t			 n_slots;	/* a power of two, half full */
	char			*text;		/* what was read */
	size_t			 text_len;
	struct uidl_chunk	*chunks;
	size_t			 chunk_octets;
};

/* The file's octets, malloc'ed. ERR_LIMIT, ERR_NOMEM. */
int	uidl_format(const struct uidl_map *m, char **ret, size_t *ret_len);

/* Reads a regular file, one of its own (one link), of the Maildir at `path`;
 * *ret is malloc'ed with room for a NUL. ERR_NOTFOUND, ERR_DENIED, ERR_LIMIT,
 * ERR_SYSTEM, ERR_NOMEM. *ret_mtime_s may be NULL. */
int	uidl_read(int root_fd, const char *path, const char *name, char **ret,
	    size_t *ret_len, int64_t *ret_mtime_s, struct err *reterr);

#endif
