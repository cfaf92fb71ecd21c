/*
 * sessions_lock.c - the lock of the table of sessions: a futex that names its
 * holder. Runs in parents (as root) and in workers, which may have been taken
 * over: a robust mutex of libpthread would have kept pointers of its holder's
 * address space in the shared memory, for everybody to write.
 */
#include "lib/sessions_private.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "lib/clock.h"

#define LOCK_WAITED	0x80000000u	/* somebody sleeps until it is free */
#define LOCK_SPINS	200
#define LOCK_SLEEP_MS	20
#define LOCK_PATIENCE_MS 500		/* a holder that died is long noticed */
#define LOCK_AGAIN_MS	5000		/* then it is not tried for a while */

static uint32_t
lock_mine(const struct sessions *t)
{
	return t->worker + 1;
}

static bool
lock_change(struct sessions *t, uint32_t from, uint32_t to)
{
	return __atomic_compare_exchange_n(&t->head->lock, &from, to, false,
	    __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

static void
lock_sleep(struct sessions *t, uint32_t seen)
{
	struct timespec ts = { .tv_nsec = LOCK_SLEEP_MS * 1000000L };

	syscall(SYS_futex, &t->head->lock, FUTEX_WAIT, seen, &ts, NULL, 0);
}

static bool
lock_wait(struct sessions *t)
{
	int64_t until_ms = clock_mono_ms() + LOCK_PATIENCE_MS;
	uint32_t seen;

	do {
		seen = __atomic_load_n(&t->head->lock, __ATOMIC_RELAXED);
		if (seen == 0) {
			/* Others may sleep still: our unlock wakes one. */
			if (lock_change(t, 0, lock_mine(t) | LOCK_WAITED))
				return true;
			continue;
		}
		if ((seen & LOCK_WAITED) ||
		    lock_change(t, seen, seen | LOCK_WAITED))
			lock_sleep(t, seen | LOCK_WAITED);
	} while (clock_mono_ms() < until_ms);
	return false;
}

bool
sessions_lock(struct sessions *t)
{
	int64_t given_up_ms;

	for (int i = 0; i < LOCK_SPINS; i++)
		if (__atomic_load_n(&t->head->lock, __ATOMIC_RELAXED) == 0 &&
		    lock_change(t, 0, lock_mine(t)))
			return true;
	given_up_ms = __atomic_load_n(&t->given_up_ms, __ATOMIC_RELAXED);
	if (given_up_ms != 0 && clock_mono_ms() - given_up_ms < LOCK_AGAIN_MS)
		return false;
	if (lock_wait(t))
		return true;
	__atomic_store_n(&t->given_up_ms, clock_mono_ms(), __ATOMIC_RELAXED);
	return false;
}

void
sessions_unlock(struct sessions *t)
{
	if (__atomic_exchange_n(&t->head->lock, 0, __ATOMIC_RELEASE) &
	    LOCK_WAITED)
		syscall(SYS_futex, &t->head->lock, FUTEX_WAKE, 1, NULL, NULL,
		    0);
}

bool
sessions_lock_from(struct sessions *t, unsigned int dead)
{
	uint32_t seen = __atomic_load_n(&t->head->lock, __ATOMIC_RELAXED);

	while ((seen & ~LOCK_WAITED) == dead + 1) {
		if (lock_change(t, seen, lock_mine(t) | LOCK_WAITED))
			return true;
		seen = __atomic_load_n(&t->head->lock, __ATOMIC_RELAXED);
	}
	return sessions_lock(t);
}
