/*
 * journal_private.h - what journal.c, journal_write.c and journal_recover.c
 * share.
 */
#ifndef SUBMITD_SPOOL_JOURNAL_PRIVATE_H
#define SUBMITD_SPOOL_JOURNAL_PRIVATE_H

#include <pthread.h>
#include <sys/queue.h>
#include <sys/uio.h>

#include "submitd/spool/journal.h"

#define JOURNAL_SEGMENTS_MAX 128u	/* 2 GiB; more go to files */
#define JOURNAL_SEGMENTS_TOP (2u * JOURNAL_SEGMENTS_MAX)	/* for GONE */
#define JOURNAL_READY_MIN 2u
#define JOURNAL_READY_MAX 4u
#define JOURNAL_CROWD 4u	/* so many in use are never too many */
#define JOURNAL_PAGE 4096u
#define JOURNAL_RESERVE 64u	/* this part of the last one for GONE alone */
#define JOURNAL_BATCH_MESSAGES 128u
#define JOURNAL_BATCH_GONE 1024u
#define JOURNAL_NAME_SIZE 18u	/* "NUMBER-KEY": 8 digits, 8 of hex */
#define JOURNAL_NEW ".new"	/* behind the name of one not yet whole */
#define JOURNAL_HEAD_NAME ".head"
#define JOURNAL_HEAD_TEXT 20u	/* sequence in 10 digits, space, CRC, LF */

TAILQ_HEAD(store_places, store_place);

struct journal_segment {
	TAILQ_ENTRY(journal_segment) link;
	char		 name[JOURNAL_NAME_SIZE];	/* of its file */
	int		 fd;
	uint32_t	 key;		/* of its records, in its name */
	uint32_t	 seq, salt;
	uint32_t	 end;		/* behind the last batch that ended */
	struct store_places places;	/* the messages that live in it */
	size_t		 n_places;
	uint64_t	 live;		/* their octets */
	unsigned int	 readers;
	bool		 odd;		/* of another size: not used again */
};
TAILQ_HEAD(journal_segments, journal_segment);

struct journal_closed {		/* the end of one that is not appended to */
	uint32_t	 seq, end;
};

struct journal_batch {
	struct store_ops ops;
	struct store_ops refused;	/* no room, even for these */
	struct journal_segment *segment;
	uint32_t	 offset, len;
	uint32_t	 stable, oldest;	/* for its records */
	uint64_t	 number;	/* the first is 1 */
	bool		 over;		/* one before it still runs */
	bool		 begins;	/* with the segment's first record */
	unsigned int	 n_closed;	/* ends that it names */
	unsigned int	 n_messages, n_gone;
	int		 r;
	struct err	 err;
	/* The thread's */
	uint8_t		 heads[JOURNAL_BATCH_MESSAGES + 2][JOURNAL_HEAD];
	uint8_t		 gone[JOURNAL_BATCH_GONE * JOURNAL_ID];
	uint8_t		 closed[JOURNAL_SEGMENTS_TOP * JOURNAL_END];
	struct iovec	 iov[4 * JOURNAL_BATCH_MESSAGES + 8];
	int		 n_iov;
};

struct journal_upkeep {
	struct journal_segment *made, *drop;
	bool		 must;		/* of the reserve, too */
	int		 r;
	struct err	 err;
};

struct journal {
	const struct store *st;
	int		 head;		/* the file .head, or -1 */
	uint32_t	 size;
	uint32_t	 next_seq, next_name;
	struct journal_segments used;	/* by sequence; active is the last */
	struct journal_segments dying;	/* until a batch has said so */
	struct journal_segments ready;	/* the oldest first */
	struct journal_segments excess;	/* to be removed */
	struct journal_segment *active;
	unsigned int	 n_used, n_dying, n_ready;
	uint64_t	 live;
	struct journal_closed closed[JOURNAL_SEGMENTS_TOP];
	unsigned int	 n_closed;	/* not said yet */
	bool		 failed;	/* they are to be said soon */
	bool		 finding;	/* at the start: a segment in which
					 * nothing lives may not be read to
					 * its end yet */
	/* Those that run, in the order in which they were begun: a ring of
	 * the lanes that have a descriptor. All are of one segment. */
	struct journal_batch batches[JOURNAL_LANES];
	unsigned int	 first, n_running, n_lanes;
	uint64_t	 n_begun;	/* ever */
	bool		 alone;		/* all that run end before the next */
	bool		 broken;	/* one has failed, the later ones do */
	struct err	 why;
	/* Their threads'. Lane 0 has the segment's own descriptor, the others
	 * these, of the active segment; the thread of its first batch opens
	 * them, and no other runs meanwhile. */
	int		 fds[JOURNAL_LANES];
	unsigned int	 n_fds;		/* from 1 on */
	pthread_mutex_t	 lock;
	pthread_cond_t	 turn;
	uint64_t	 n_written;	/* it may be the next one's turn */
	bool		 unwritten;	/* one of those that run was not */
	struct journal_upkeep upkeep;
};

struct journal_segment *journal_segment_new(uint32_t number, uint32_t key,
	    int fd);
/* Puts a message into its segment. */
void	journal_enter(struct journal *j, struct journal_segment *s,
	    struct store_place *p, uint32_t offset, uint32_t len);
/* To be appended to again, or to be removed. */
void	journal_add_ready(struct journal *j, struct journal_segment *s);
/* What nothing lives in at the old end is not in use any more. */
void	journal_retire(struct journal *j);
uint32_t journal_oldest(const struct journal *j);
void	journal_close(struct journal *j, struct journal_segment *s);
/* The same of one that has no file any more. */
void	journal_close_seq(struct journal *j, uint32_t seq, uint32_t end);
void	journal_lanes_close(struct journal *j);
/* What .head holds. */
void	journal_head_text(uint32_t seq, char text[JOURNAL_HEAD_TEXT + 1]);

#endif
