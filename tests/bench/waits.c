/*
 * waits.c - the calls to the system that Berkeley DB makes, timed by thread:
 * linked into a measuring program they stand before the C library's.
 */
#include "config.h"

#include "tests/bench/waits.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#define WAITS_TOLD_US	2000.0	/* of others, at least */
#define WAITS_OTHERS	64u

static const char *const waits_names[WAITS__COUNT] = {
	[WAITS_SYNC] = "fdatasync", [WAITS_WRITE] = "pwrite",
	[WAITS_READ] = "pread", [WAITS_NAMES] = "files",
	[WAITS_CPU] = "processor", [WAITS_WORK] = "work",
	[WAITS_THREAD] = "other_thread",
};

static _Thread_local double waits_us[WAITS__COUNT];
static _Thread_local double waits_from_us;
static _Thread_local int waits_stat;	/* not 0: this thread is measured */

/* Slow calls of threads that are not measured. */
static struct waits_other {
	enum waits_for	kind;
	double		from_us;
	double		to_us;
} waits_others[WAITS_OTHERS];
static unsigned int waits_others_n;
static pthread_mutex_t waits_mutex = PTHREAD_MUTEX_INITIALIZER;

double
waits_now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* ------------------------------------------------------------- the calls -- */

static void
waits_note(enum waits_for kind, double from_us)
{
	double to_us = waits_now_us();

	waits_us[kind] += to_us - from_us;
	if (waits_stat != 0 || to_us - from_us < WAITS_TOLD_US)
		return;
	pthread_mutex_lock(&waits_mutex);
	waits_others[waits_others_n++ % WAITS_OTHERS] =
	    (struct waits_other){ kind, from_us, to_us };
	pthread_mutex_unlock(&waits_mutex);
}

int
fdatasync(int fd)
{
	double at = waits_now_us();
	int (*real)(int);
	int r;

	*(void **)&real = dlsym(RTLD_NEXT, "fdatasync");
	r = real(fd);
	waits_note(WAITS_SYNC, at);
	return r;
}

ssize_t
pwrite(int fd, const void *p, size_t n, off_t off)
{
	ssize_t (*real)(int, const void *, size_t, off_t);
	double at = waits_now_us();
	ssize_t r;

	*(void **)&real = dlsym(RTLD_NEXT, "pwrite");
	r = real(fd, p, n, off);
	waits_note(WAITS_WRITE, at);
	return r;
}

ssize_t
pread(int fd, void *p, size_t n, off_t off)
{
	ssize_t (*real)(int, void *, size_t, off_t);
	double at = waits_now_us();
	ssize_t r;

	*(void **)&real = dlsym(RTLD_NEXT, "pread");
	r = real(fd, p, n, off);
	waits_note(WAITS_READ, at);
	return r;
}

int
unlink(const char *path)
{
	double at = waits_now_us();
	int (*real)(const char *);
	int r;

	*(void **)&real = dlsym(RTLD_NEXT, "unlink");
	r = real(path);
	waits_note(WAITS_NAMES, at);
	return r;
}

int
open(const char *path, int flags, ...)
{
	double at = waits_now_us();
	int (*real)(const char *, int, ...);
	mode_t mode = 0;
	va_list ap;
	int r;

	va_start(ap, flags);
	if (flags & O_CREAT)
		mode = (mode_t)va_arg(ap, unsigned int);
	va_end(ap);
	*(void **)&real = dlsym(RTLD_NEXT, "open");
	r = real(path, flags, mode);
	waits_note(WAITS_NAMES, at);
	return r;
}

/* ------------------------------------------------------------- measuring -- */

/* How long this thread ran, and how long it waited for a processor. */
static void
waits_scheduled(double *ret_run_us, double *ret_wait_us)
{
	unsigned long long run = 0, wait = 0;
	char s[80];
	long n;

	if (waits_stat == 0)
		waits_stat = open("/proc/thread-self/schedstat",
		    O_RDONLY | O_CLOEXEC);
	n = syscall(SYS_pread64, waits_stat, s, sizeof(s) - 1, 0L);
	s[n > 0 ? n : 0] = '\0';
	(void)sscanf(s, "%llu %llu", &run, &wait);
	*ret_run_us = (double)run / 1e3;
	*ret_wait_us = (double)wait / 1e3;
}

void
waits_begin(void)
{
	double run, wait;

	waits_scheduled(&run, &wait);
	memset(waits_us, 0, sizeof(waits_us));
	waits_us[WAITS_WORK] = -run;
	waits_us[WAITS_CPU] = -wait;
	waits_from_us = waits_now_us();
}

static void
waits_describe_others(double from_us, double to_us, char dst[160])
{
	const struct waits_other *o;
	size_t len = 0;

	dst[0] = '\0';
	pthread_mutex_lock(&waits_mutex);
	for (unsigned int i = 0; i < WAITS_OTHERS && len < 120; i++) {
		o = &waits_others[i];
		if (o->to_us > from_us && o->from_us < to_us)
			len += (size_t)snprintf(dst + len, 160 - len,
			    " %s=%.1f", waits_names[o->kind],
			    (o->to_us - o->from_us) / 1e3);
	}
	pthread_mutex_unlock(&waits_mutex);
}

void
waits_end(struct waits *w)
{
	double to_us = waits_now_us(), took = to_us - waits_from_us, run, wait;
	double known = 0;
	unsigned int step = 0, most = 0;

	waits_scheduled(&run, &wait);
	waits_us[WAITS_WORK] += run;
	waits_us[WAITS_CPU] += wait;
	for (unsigned int i = 0; i < WAITS_THREAD; i++)
		known += waits_us[i];
	waits_us[WAITS_THREAD] = took > known ? took - known : 0;
	w->n++;
	w->total_us += took;
	for (double us = took; us >= 2 && step + 1 < WAITS_STEPS; us /= 2)
		step++;
	w->steps[step]++;
	if (took > WAITS_SLOW_US) {
		for (unsigned int i = 1; i < WAITS__COUNT; i++)
			if (waits_us[i] > waits_us[most])
				most = i;
		w->slow++;
		w->slow_by[most]++;
	}
	if (took <= w->longest_us)
		return;
	w->longest_us = took;
	memcpy(w->of_longest_us, waits_us, sizeof(waits_us));
	waits_describe_others(waits_from_us, to_us, w->beside);
}

/* The step that so many of all are not beyond, in ms. */
static double
waits_quantile(const struct waits *w, double share)
{
	uint64_t seen = 0;
	unsigned int i;

	for (i = 0; i + 1 < WAITS_STEPS; i++)
		if ((double)(seen += w->steps[i]) >= share * (double)w->n)
			break;
	return (double)(2ull << i) / 1e3;
}

void
waits_print(const char *what, const struct waits *w)
{
	printf("%s: n=%llu us=%.1f p999_ms=%.1f longest_ms=%.1f (", what,
	    (unsigned long long)w->n, w->total_us / (double)(w->n + 1),
	    waits_quantile(w, .999), w->longest_us / 1e3);
	for (unsigned int i = 0; i < WAITS__COUNT; i++)
		if (w->of_longest_us[i] >= w->longest_us / 20)
			printf(" %s=%.1f", waits_names[i],
			    w->of_longest_us[i] / 1e3);
	printf(" )%s%s over_20ms=%llu (", w->beside[0] != '\0' ?
	    " beside" : "", w->beside, (unsigned long long)w->slow);
	for (unsigned int i = 0; i < WAITS__COUNT; i++)
		if (w->slow_by[i] > 0)
			printf(" %s=%llu", waits_names[i],
			    (unsigned long long)w->slow_by[i]);
	printf(" )\n");
}
