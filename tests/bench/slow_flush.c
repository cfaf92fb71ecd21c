/*
 * slow_flush.c - a library to be preloaded: each call that waits for the disk
 * takes 5 ms longer. It stands for a slow disk in tests/bench/submission.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <time.h>
#include <unistd.h>

#include <sys/types.h>

static int
slow_call(const char *name, int fd)
{
	const struct timespec wait = { .tv_nsec = 5000000 };
	int (*real)(int);

	*(void **)&real = dlsym(RTLD_NEXT, name);
	nanosleep(&wait, NULL);
	return real(fd);
}

int
fsync(int fd)
{
	return slow_call("fsync", fd);
}

int
fdatasync(int fd)
{
	return slow_call("fdatasync", fd);
}
