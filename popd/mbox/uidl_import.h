/*
 * uidl_import.h - what other POP3 servers noted about UIDLs in a Maildir, and
 * taking it over into uidl.h's file. Blocking; runs on a thread of popd-mbox.
 * The parsers are pure.
 */
#ifndef SUBMITD_MBOX_UIDL_IMPORT_H
#define SUBMITD_MBOX_UIDL_IMPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "popd/mbox/uidl.h"

#define UIDL_VALUE_MAX 512	/* octets of what a template gives */

/* ------------------------------------------------- how a UIDL was formed -- */

/* What Dovecot's pop3_uidl_format may name. */
struct uidl_values {
	uint32_t	 uid;
	uint32_t	 uidvalidity;
	const char	*file;		/* the name without flags */
	size_t		 file_len;
	const char	*guid;
	size_t		 guid_len;
};

#define UIDL_DOVECOT_DEFAULT "%08Xu%08Xv"

/* Writes what `format` (of Dovecot 2.3: %08Xu, %v, %f, %g; or of 2.4:
 * %{uid | hex(8)}) gives into dst. Returns its length or ERR_FORMAT (it says
 * something else), ERR_LIMIT. With v NULL it only looks at the format. */
int	uidl_template(const char *format, const struct uidl_values *v,
	    char *dst, size_t size, struct err *reterr);

/* --------------------------------------------------------- the old lists -- */

struct uidl_list {
	char		*text;		/* has room for a NUL behind it; changed */
	size_t		 len;
	const char	*format;	/* of the UIDLs; NULL: the default */
	/* Called for each message: the file's name, with a NUL behind it, and
	 * its UIDL, whatever it holds. Not 0 ends it. */
	int		(*row)(void *ctx, const char *name, const char *uidl,
			    size_t uidl_len);
	void		*ctx;
	size_t		 n;		/* messages in it */
	bool		 cut;		/* its last line had no end yet */
};

/* dovecot-uidlist, version 3; courierpop3dsizelist, versions 2 and 3.
 * ERR_FORMAT: what is not as that server writes it; rows may have come. */
int	uidl_dovecot_read(struct uidl_list *l, struct err *reterr);
int	uidl_courier_read(struct uidl_list *l, struct err *reterr);

/* The next line of a list, with a NUL for its LF; NULL at the end. *at begins
 * as 0. For the parsers. */
char	*uidl_list_line(struct uidl_list *l, size_t *at, size_t *ret_len);

/* ------------------------------------------------------------- taking over -- */

struct uidl_wish {
	const char	*format;	/* "dovecot", "dovecot:%f", "courier";
					 * "" as it is found */
	bool		 check;		/* only say what would be done */
	bool		 force;		/* also what popd has shown */
};

struct uidl_result {
	const char	*server;	/* "dovecot", "courier"; NULL: none */
	bool		 both;		/* there is a list of either */
	bool		 cut;
	uint64_t	 listed;	/* messages in the old list */
	uint64_t	 taken;		/* new in ours */
	uint64_t	 same;		/* were in ours */
	uint64_t	 differ;	/* ours have another UIDL, and keep it */
	uint64_t	 shown;		/* popd showed them under its own */
	uint64_t	 twice;		/* another message has that UIDL */
	uint64_t	 unfit;		/* RFC 1939 has no such UIDL */
	uint64_t	 messages;	/* files that are there now */
	uint64_t	 own;		/* of them, with a UIDL of popd's */
};

/* Is it a format that an import knows? ERR_FORMAT. */
int	uidl_check_format(const char *format, struct err *reterr);
/* ERR_FORMAT: a list, or our file, is broken, and nothing was changed. */
int	uidl_import(int root_fd, const char *path, const struct uidl_wish *wish,
	    struct uidl_result *ret, struct err *reterr);

#endif
