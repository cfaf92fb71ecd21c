/*
 * db_scratch.h - a fresh folder for a test of the database, removed afterwards.
 */
#ifndef SUBMITD_TESTS_DB_SCRATCH_H
#define SUBMITD_TESTS_DB_SCRATCH_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char scratch_dir[32];

static inline int
scratch_make(void)
{
	(void)snprintf(scratch_dir, sizeof(scratch_dir), "scratch.XXXXXX");
	return mkdtemp(scratch_dir) == NULL ? -1 : 0;
}

static inline int
scratch_remove(void)
{
	char path[512];
	struct dirent *de;
	DIR *d = opendir(scratch_dir);

	if (d == NULL)
		return 0;
	while ((de = readdir(d)) != NULL) {
		if (de->d_name[0] == '.')
			continue;
		(void)snprintf(path, sizeof(path), "%s/%s", scratch_dir,
		    de->d_name);
		(void)remove(path);
	}
	closedir(d);
	return rmdir(scratch_dir);
}

#endif
