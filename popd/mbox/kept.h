/*
 * kept.h - the file "submitd-list" of a Maildir: what a scan found there, so
 * that the first login after a restart need not look at every message again;
 * private to popd/mbox/.
 *
 * Only a cache: it may be removed at any time and is never flushed. It counts
 * only when popd-mbox itself owns it, and whoever may write to the Maildir may
 * all the same have put an old one in its place: at worst its messages get
 * wrong sizes, or cannot be fetched. Nothing that it names is opened or removed
 * but below new/ and cur/, as list.h's entries are.
 *
 * A head, an entry a message in the order of list_compare(), then the names,
 * each with a NUL; numbers are as this machine has them, the first one tells
 * the version, and a CRC-32C is over all behind it.
 */
#ifndef SUBMITD_MBOX_KEPT_H
#define SUBMITD_MBOX_KEPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "popd/mbox/list.h"

#define KEPT_NAME	"submitd-list"
#define KEPT_NAME_NEW	"submitd-list.new"
#define KEPT_OCTETS_MAX	(32u * 1024 * 1024)	/* 100,000 of the longest */
#define KEPT_SMALL	(512u * 1024)	/* more is too much for the small lane */

#define KEPT_MAGIC	0x315453494c4d4253u	/* "SBMLIST1" */

struct kept_head {
	uint64_t	magic;
	uint32_t	crc;
	uint32_t	n;			/* entries */
	uint64_t	names_octets;
	uint64_t	n_skipped[LIST__SUBS];
	struct kept_stamp {
		uint64_t	dev, ino;
		int64_t		mtime_s, mtime_ns, ctime_s, ctime_ns;
	}		stamp[LIST__SUBS];
	uint8_t		settled[LIST__SUBS];
	uint8_t		complete;
	uint8_t		zero[5];
};

struct kept_entry {
	uint64_t	ino, size, octets;
	uint8_t		sub, name_len;
	uint8_t		zero[6];
};

#define KEPT_CRC_FROM	(offsetof(struct kept_head, crc) + sizeof(uint32_t))

/* A list without listing from the octets of the file. ERR_FORMAT: any of it is
 * not as above, or there are more than `max` messages; ERR_NOMEM. Pure; fuzzed
 * (with the CRC-32C put right). */
int	kept_parse(const void *mem, size_t len, size_t max, struct list **ret);
/* The octets of the file, malloc'ed. ERR_NOMEM. Pure. */
int	kept_format(const struct list *l, void **ret, size_t *ret_len);

/* Whether the file is to be written, or removed, for this list: when much has
 * changed since it was, never for little. Pure. */
bool	kept_is_due(const struct list *l);
bool	kept_is_void(const struct list *l);

/* kept_file.c: the file in the Maildir at dir_fd. Blocking. 0 with *ret NULL:
 * there is none that is of use. MAILDROP_BIG with `small`. */
int	kept_load(int dir_fd, size_t max, bool small, struct list **ret);
/* Replaces it. False: the one before, if any, is still there. */
bool	kept_store(int dir_fd, const struct list *l);
void	kept_forget(int dir_fd);

#endif
