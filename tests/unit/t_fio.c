/*
 * t_fio.c - files: whole reads and writes, sealed memfds, injected faults.
 */
#include "config.h"

#include "lib/fio.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/unit.h"

static char dir[] = "/tmp/t_fio.XXXXXX";
static int dir_fd = -1;

static int
setup(void **state)
{
	(void)state;
	if (mkdtemp(dir) == NULL)
		return -1;
	dir_fd = open(dir, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	return dir_fd < 0 ? -1 : 0;
}

static int
teardown(void **state)
{
	(void)state;
	close(dir_fd);
	return rmdir(dir);
}

static void
test_files(void **state)
{
	struct err e;
	char *text;
	size_t len;
	int fd;

	(void)state;
	fd = fio_openat(dir_fd, "a", O_WRONLY | O_CREAT | O_EXCL, 0600, &e);
	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	assert_int_equal(fio_write_all(fd, "hello", 5, "a", &e), 0);
	assert_int_equal(fio_pwrite_all(fd, "J", 1, 0, "a", &e), 0);
	assert_int_equal(fio_datasync(fd, "a", &e), 0);
	assert_int_equal(fio_sync(fd, "a", &e), 0);
	assert_int_equal(fio_close(fd, "a", &e), 0);
	assert_int_equal(fio_renameat(dir_fd, "a", dir_fd, "c", &e), 0);
	assert_int_equal(fio_read_file(dir_fd, "c", 5, &text, &len, &e), 0);
	assert_int_equal(len, 5);
	assert_string_equal(text, "Jello");
	free(text);
	assert_int_equal(fio_read_file(dir_fd, "c", 4, &text, &len, &e),
	    ERR_LIMIT);
	assert_null(text);
	assert_int_equal(fio_unlinkat(dir_fd, "c", &e), 0);
	assert_int_equal(fio_unlinkat(dir_fd, "c", &e), ERR_SYSTEM);
	assert_int_equal(e.sys_errno, ENOENT);
	assert_string_equal(e.text,
	    "cannot remove c: No such file or directory");
}

static void
test_mkdir(void **state)
{
	char path[64];
	struct err e;

	(void)state;
	snprintf(path, sizeof(path), "%s/x/y", dir);
	assert_int_equal(fio_mkdir(path, 0700, &e), 0);
	assert_int_equal(fio_mkdir(path, 0700, &e), 0);
	snprintf(path, sizeof(path), "%s/p/q/r", dir);
	assert_int_equal(fio_mkdir(path, 0700, &e), ERR_SYSTEM);
	assert_int_equal(unlinkat(dir_fd, "x/y", AT_REMOVEDIR), 0);
	assert_int_equal(unlinkat(dir_fd, "x", AT_REMOVEDIR), 0);
}

static void
test_memfd(void **state)
{
	int fd = fio_memfd("conf", "secret", 6);
	char got[8];

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(read(fd, got, sizeof(got)), 6);
	assert_memory_equal(got, "secret", 6);
	assert_int_equal(write(fd, "x", 1), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(ftruncate(fd, 0), -1);
	close(fd);
}

static void
test_faults(void **state)
{
	struct err e;
	int fd;

	(void)state;
#ifndef SUBMITD_TEST_BUILD
	skip();
#endif
	fio_fail_at(2, ENOSPC);
	fd = fio_openat(dir_fd, "f", O_WRONLY | O_CREAT, 0600, &e);
	assert_true(fd >= 0);
	assert_int_equal(fio_write_all(fd, "x", 1, "f", &e), ERR_NOSPACE);
	assert_int_equal(e.sys_errno, ENOSPC);
	assert_int_equal(fio_write_all(fd, "x", 1, "f", &e), 0);
	fio_fail_at(1, EIO);
	assert_int_equal(fio_close(fd, "f", &e), ERR_SYSTEM);
	assert_int_equal(e.sys_errno, EIO);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	fio_fail_at(0, 0);
	assert_int_equal(fio_unlinkat(dir_fd, "f", &e), 0);
}

static void
test_err(void **state)
{
	struct err e;
	char big[400];

	(void)state;
	memset(big, 'x', sizeof(big));
	big[sizeof(big) - 1] = '\0';
	assert_int_equal(err_set(&e, ERR_LIMIT, "%s", big), ERR_LIMIT);
	assert_int_equal(strlen(e.text), sizeof(e.text) - 1);
	errno = ENOMEM;
	assert_int_equal(err_sys(&e, "%s", big), ERR_NOMEM);
	errno = EDQUOT;
	assert_int_equal(err_sys(NULL, "x"), ERR_NOSPACE);
	assert_string_equal(err_name(ERR_AWAY), "away");
	assert_string_equal(err_name(-99), "unknown");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_mkdir),
		cmocka_unit_test(test_memfd),
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_err),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
