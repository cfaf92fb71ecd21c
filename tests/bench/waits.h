/*
 * waits.h - what a call waited for: the library's calls to the system are timed
 * by thread, so that a slow one can be told from a wait for another thread.
 */
#ifndef SUBMITD_BENCH_WAITS_H
#define SUBMITD_BENCH_WAITS_H

#include <stdint.h>

enum waits_for {
	WAITS_SYNC,		/* fdatasync */
	WAITS_WRITE,
	WAITS_READ,
	WAITS_NAMES,		/* open, unlink */
	WAITS_CPU,		/* ready to run, and not run */
	WAITS_WORK,		/* running */
	WAITS_THREAD,		/* what is left: for another thread */
	WAITS__COUNT
};

#define WAITS_SLOW_US	20000.0
#define WAITS_STEPS	32u	/* powers of two of microseconds */

struct waits {
	double		longest_us;
	double		of_longest_us[WAITS__COUNT];
	char		beside[160];	/* what others did meanwhile */
	double		total_us;
	uint64_t	n;
	uint64_t	slow;
	uint64_t	slow_by[WAITS__COUNT];	/* what took most of it */
	uint64_t	steps[WAITS_STEPS];
};

double	waits_now_us(void);
/* Around each call, in the thread that makes it. */
void	waits_begin(void);
void	waits_end(struct waits *w);
/* "WHAT: n=… us=… longest_ms=… (…) over_20ms=… (…)" */
void	waits_print(const char *what, const struct waits *w);

#endif
