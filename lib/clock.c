/*
 * clock.c - the time of day and monotonic time. Linked into every process.
 * Only test builds can be told another time of day.
 */
#include "config.h"

#include "lib/clock.h"

#include <string.h>
#include <time.h>

#include "lib/err.h"

#ifdef SUBMITD_TEST_BUILD
#include <fcntl.h>
#include <libgen.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>
#endif

static int64_t
clock_us(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t
clock_now_us(void)
{
	return clock_us(CLOCK_REALTIME);
}

int64_t
clock_mono_ms(void)
{
	return clock_us(CLOCK_MONOTONIC) / 1000;
}

int64_t
clock_mono_us(void)
{
	return clock_us(CLOCK_MONOTONIC);
}

void
clock_date(int64_t when_s, char dst[CLOCK_DATE_SIZE])
{
	time_t t = (time_t)when_s;
	struct tm tm = { 0 };

	/* No program of ours leaves the C locale. */
	gmtime_r(&t, &tm);
	if (strftime(dst, CLOCK_DATE_SIZE, "%a, %d %b %Y %H:%M:%S +0000",
	    &tm) == 0)
		dst[0] = '\0';
}

int
clock_parse(const char *s, int64_t *ret_s)
{
	static const char *const formats[] = { "%Y-%m-%d", "%Y-%m-%dT%H:%M",
	    "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S" };
	struct tm tm, back;
	const char *end;
	time_t t;

	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		tm = (struct tm){ .tm_isdst = -1 };
		end = strptime(s, formats[i], &tm);
		if (end == NULL || (*end != '\0' && strcmp(end, "Z") != 0))
			continue;
		back = tm;
		t = *end == 'Z' ? timegm(&back) : mktime(&back);
		/* There is no 31 February. */
		if (t <= 0 || back.tm_mday != tm.tm_mday)
			return ERR_FORMAT;
		*ret_s = (int64_t)t;
		return 0;
	}
	return ERR_FORMAT;
}

void
clock_utc(int64_t when_s, char dst[CLOCK_DATE_SIZE])
{
	time_t t = (time_t)when_s;
	struct tm tm = { 0 };

	gmtime_r(&t, &tm);
	if (strftime(dst, CLOCK_DATE_SIZE, tm.tm_sec == 0 ?
	    "%Y-%m-%dT%H:%MZ" : "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		dst[0] = '\0';
}

#ifdef SUBMITD_TEST_BUILD

static pthread_once_t clock_test_once = PTHREAD_ONCE_INIT;
static int clock_test_fd = -1, clock_test_dir = -1;
static const char *clock_test_name;
static _Atomic int64_t clock_test_value;
static atomic_bool clock_test_absolute;

static void
clock_test_open(void)
{
	const char *path = getenv("SUBMITD_TEST_CLOCK");
	char *copy;

	if (path == NULL || *path == '\0' || (copy = strdup(path)) == NULL)
		return;
	clock_test_fd = open(path, O_RDONLY | O_CLOEXEC);
	clock_test_dir = open(dirname(copy), O_PATH | O_DIRECTORY | O_CLOEXEC);
	free(copy);
	clock_test_name = strrchr(path, '/');
	clock_test_name = clock_test_name == NULL ? path : clock_test_name + 1;
}

/* The file as it is named now, for it may have been replaced; where the role
 * may not open it, the one that was there at the start. An empty one is being
 * written just now: the old value stays. What this thread has read counts for
 * it, whatever another, slower one stores meanwhile. */
static int64_t
clock_test_shift(int64_t now)
{
	char text[32];
	int fd = openat(clock_test_dir, clock_test_name, O_RDONLY | O_CLOEXEC);
	ssize_t n = pread(fd >= 0 ? fd : clock_test_fd, text,
	    sizeof(text) - 1, 0);
	int64_t value = atomic_load(&clock_test_value);
	bool absolute = atomic_load(&clock_test_absolute);

	if (fd >= 0)
		close(fd);
	if (n > 0) {
		text[n] = '\0';
		absolute = *text != '+' && *text != '-';
		value = strtoll(text, NULL, 10);
		atomic_store(&clock_test_absolute, absolute);
		atomic_store(&clock_test_value, value);
	}
	return absolute ? value : now + value;
}

void
clock_init(void)
{
	pthread_once(&clock_test_once, clock_test_open);
}

int64_t
clock_now_s(void)
{
	int64_t now = clock_now_us() / 1000000;

	clock_init();
	if (clock_test_dir < 0)
		return now;
	return clock_test_shift(now);
}

int64_t
clock_timer_ms(int64_t ms)
{
	clock_init();
	return clock_test_dir >= 0 && ms > 100 ? 100 : ms;
}

#else

void
clock_init(void)
{
}

int64_t
clock_now_s(void)
{
	return clock_now_us() / 1000000;
}

int64_t
clock_timer_ms(int64_t ms)
{
	return ms;
}

#endif
