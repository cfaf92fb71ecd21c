/*
 * sessions_private.h - the layout of the table (lib/sessions.h), for
 * sessions*.c only.
 *
 * The slots are the truth; groups, chains and the list of those asked to end
 * follow from them and are made anew when a worker died with the lock. Index
 * 0 stands for none everywhere, so that fresh memory is an empty table.
 */
#ifndef SUBMITD_SESSIONS_PRIVATE_H
#define SUBMITD_SESSIONS_PRIVATE_H

#include "lib/sessions.h"
#include "lib/siphash.h"

enum sessions_list { LIST_ADDRESS, LIST_NETWORK, LIST_USER, LIST_ASKED,
	LIST__COUNT };
#define LIST_GROUPS LIST_ASKED		/* the lists that belong to a group */

enum sessions_state {
	SLOT_FREE,
	SLOT_STRANGER,		/* in the groups of its address and network */
	SLOT_ASKED,		/* to end: in its worker's list */
	SLOT_TOLD,		/* its worker knows: in no list */
	SLOT_KNOWN,		/* authorised: in its user's group */
};

struct sessions_link {
	uint32_t	prev, next;
};

struct sessions_slot {
	uint8_t		 ip[16];
	uint64_t	 user;			/* 0: nobody */
	int64_t		 heard_ms;		/* stored by its worker alone */
	uint16_t	 worker;
	uint8_t		 state;
	uint8_t		 placeless;		/* no address known */
	uint32_t	 limit;			/* why it was asked */
	struct sessions_link link[LIST__COUNT];	/* [0].next: of free ones */
	uint32_t	 group[LIST_GROUPS];
};

struct sessions_group {			/* sessions of one address, … */
	uint8_t		 key[16];
	uint32_t	 kind;
	uint32_t	 next;			/* in its bucket, or free */
	uint32_t	 head;			/* the newest of its slots */
	uint32_t	 n;
};

struct sessions_head {
	uint32_t	 lock;			/* worker + 1, SESSIONS_WAITED */
	uint32_t	 high, free;		/* slots */
	uint32_t	 group_high, group_free;
	uint32_t	 asked[SESSIONS_WORKERS_MAX];
	uint8_t		 key[SIPHASH_KEY];
	struct sessions_counts counts;
	uint64_t	 hello[SESSIONS_HELLOS];	/* sessions_hello.c */
};

/* This process's view. Sizes are its own: the table cannot change them. */
struct sessions {
	struct sessions_head	*head;
	struct sessions_slot	*slots;		/* 1 to n_slots */
	struct sessions_group	*groups;	/* 1 to n_groups */
	uint32_t		*buckets;
	uint32_t		 n_slots, n_groups, n_buckets;
	size_t			 octets;
	unsigned int		 worker, n_workers;
	int			 wake[SESSIONS_WORKERS_MAX];
	uint8_t			 key[SIPHASH_KEY];
	int64_t			 given_up_ms;	/* the lock; 0: not */
	void			**owners;	/* sessions by slot */
	bool			 strays;	/* slots of ours without one */
	struct watch		*watch;
	sessions_end_fn		*end;
};

/* sessions_lock.c: the lock is a futex that names its holder, so that the
 * parent can take it from one that is dead. False: it did not come free. */
bool	sessions_lock(struct sessions *t);
void	sessions_unlock(struct sessions *t);
/* As the parent, from a worker that has ended. */
bool	sessions_lock_from(struct sessions *t, unsigned int dead);

/* sessions_index.c: all with the lock held. */
struct sessions_slot *sessions_slot(struct sessions *t, uint32_t i);
uint32_t sessions_take_slot(struct sessions *t);	/* 0: all are taken */
void	sessions_give_slot(struct sessions *t, uint32_t i);
/* Into the lists that go with its state, and out of them. */
void	sessions_link(struct sessions *t, uint32_t i);
void	sessions_unlink(struct sessions *t, uint32_t i);
/* How many share this slot's address, network or user; which of them has been
 * silent for longest (0: none). */
uint32_t sessions_group_size(struct sessions *t, enum sessions_list kind,
	    const struct sessions_slot *s);
uint32_t sessions_group_silent(struct sessions *t, enum sessions_list kind,
	    const struct sessions_slot *s);
/* All lists anew, from the slots; those of `dead` become free. */
void	sessions_rebuild(struct sessions *t, unsigned int dead);

#endif
