/*
 * clock.h - the time of day and monotonic time.
 *
 * Everything that expires asks clock_now_s(). In test builds the time of day
 * comes from the file named in SUBMITD_TEST_CLOCK: "+90" or "-90" is added to
 * the real time, a plain number is seconds since the epoch. Release builds do
 * not contain that.
 */
#ifndef SUBMITD_CLOCK_H
#define SUBMITD_CLOCK_H

#include <stdint.h>

void	clock_init(void);	/* before chroot: a test build opens its file */
int64_t	clock_now_s(void);	/* seconds since the epoch */
int64_t	clock_now_us(void);	/* real time, microseconds; never the test's */
int64_t	clock_mono_ms(void);	/* monotonic milliseconds */
int64_t	clock_mono_us(void);	/* the same in microseconds */

#define CLOCK_DATE_SIZE 64
/* "Sun, 22 Nov 2026 05:13:48 +0000" (RFC 5322 section 3.3), in UTC, so that
 * neither chroot nor a zone file matters. */
void	clock_date(int64_t when_s, char dst[CLOCK_DATE_SIZE]);

/* "2027-01-31", "2027-01-31 12:00" or with a T between, with seconds or without:
 * local time, or UTC with a Z behind it. ERR_FORMAT: that is no time. Local time
 * is known where the system's zone can be read, so not behind chroot. */
int	clock_parse(const char *s, int64_t *ret_s);
/* "2027-01-31T11:00Z", which clock_parse() reads; UTC. */
void	clock_utc(int64_t when_s, char dst[CLOCK_DATE_SIZE]);

/* How long a timer may sleep at most before it must look at clock_now_s()
 * again: `ms` itself, and at most 100 in test builds that move the clock. */
int64_t	clock_timer_ms(int64_t ms);

#endif
