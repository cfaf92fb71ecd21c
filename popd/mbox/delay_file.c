/*
 * delay_file.c - LOGIN-DELAY over a restart: see delay.h. Runs on the threads of
 * popd-mbox.
 */
#include "config.h"
#include "popd/mbox/delay.h"
#include "popd/mbox/ownfile.h"

bool
delay_file_is_over(int root_fd, const char *path, int64_t now_s,
    uint64_t delay_s)
{
	int64_t at_s;

	return delay_s == 0 || ownfile_get_time(root_fd, path, DELAY_FILE,
	    &at_s, NULL) != 0 || delay_has_passed(at_s, now_s, delay_s);
}

void
delay_file_note(int root_fd, const char *path, int64_t now_s,
    uint64_t delay_s)
{
	if (delay_s > 0)
		(void)ownfile_set_time(root_fd, path, DELAY_FILE, now_s, false,
		    NULL);
}
