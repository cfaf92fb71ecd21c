/*
 * deliver.h - writes one message into a Maildir. Blocks: pool threads only.
 */
#ifndef SUBMITD_LOCAL_DELIVER_H
#define SUBMITD_LOCAL_DELIVER_H

#include <stdint.h>
#include <sys/types.h>

#include "lib/err.h"
#include "lib/maildir.h"

struct deliver_place {		/* the same for all messages */
	int		 root;		/* mail_root */
	gid_t		 gid;		/* of what is made: popd-mbox is in it */
	const char	*host;		/* in file names */
};

struct deliver_message {
	int		 fd;		/* the queue file */
	uint64_t	 offset;
	uint64_t	 octets;
	const char	*sender;	/* "" for <>; checked */
	const char	*address;	/* checked */
	const char	*path;		/* of the Maildir, relative to the root */
	uint64_t	 quota;		/* octets; 0: none */
};

/* The message is in new/, durable, when it returns 0: its name and its octets
 * in *ret_name and *ret_octets. Makes the Maildir where there is none. ERR_LIMIT:
 * it would go over the quota. */
int	deliver(const struct deliver_place *p, const struct deliver_message *m,
	    char ret_name[MAILDIR_NAME_MAX + 1], uint64_t *ret_octets,
	    struct err *reterr);

#endif
