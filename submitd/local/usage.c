/*
 * usage.c - what a Maildir holds, for its owner's quota.
 *
 * Runs in submitd-local, on pool threads. The sizes are counted anew for each
 * delivery to a user with a quota, by the names where they tell it: whatever has
 * deleted messages meanwhile, there is no account that could be wrong.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "submitd/local/usage.h"

#include "lib/maildir.h"

static uint64_t
usage_of(int dir, const char *name)
{
	uint64_t octets;
	struct stat sb;

	if (maildir_get_size(name, &octets))
		return octets;
	/* One that has gone meanwhile takes no room. */
	if (fstatat(dir, name, &sb, AT_SYMLINK_NOFOLLOW) != 0 ||
	    !S_ISREG(sb.st_mode))
		return 0;
	return (uint64_t)sb.st_size;
}

int
usage_add(int dir, uint64_t *sum, struct err *reterr)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *de;

	if (d == NULL) {
		r = err_sys(reterr, "cannot list the Maildir");
		if (fd >= 0)
			close(fd);
		return r;
	}
	while ((errno = 0, de = readdir(d)) != NULL)
		if (de->d_name[0] != '.')
			*sum += usage_of(dir, de->d_name);
	if (errno != 0)
		r = err_sys(reterr, "cannot list the Maildir");
	closedir(d);
	return r;
}
