/*
 * spares_here.h - whether the files of gone messages are kept where a test runs.
 */
#ifndef SUBMITD_TEST_SPARES_HERE_H
#define SUBMITD_TEST_SPARES_HERE_H

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "submitd/spool/spares.h"

/* In the file system of the folder `dir` there is room for them, and there are
 * leases. */
static inline bool
spares_here(const char *dir)
{
	struct statvfs v;
	char path[300];
	bool is;
	int fd;

	(void)snprintf(path, sizeof(path), "%s/.lease", dir);
	if ((fd = open(path, O_RDWR | O_CREAT, 0600)) < 0)
		return false;
	is = statvfs(dir, &v) == 0 && (uint64_t)v.f_bavail *
	    (v.f_frsize != 0 ? v.f_frsize : v.f_bsize) >= SPARES_FREE_MIN &&
	    fcntl(fd, F_SETLEASE, F_WRLCK) == 0;
	close(fd);
	unlink(path);
	return is;
}

#endif
