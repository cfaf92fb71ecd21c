/*
 * submitctl_source.c - reads what is imported line by line. Runs in submitctl.
 * It must never leave a copy with passwords on a disk.
 */
#include "config.h"

#include "db/submitctl_source.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "db/submitctl.h"
#include "lib/fio.h"
#include "lib/str.h"

#define SOURCE_LINE_MAX	(60u * 1024)	/* a request has 64 KiB */
#define SOURCE_SIZE	(256u * 1024)
#define SOURCE_READER	"submitctl-sasldb"	/* in libexec_dir */

/* Reads until at least `want` octets are there, or the end. */
static int
source_fill(struct source *s, size_t want)
{
	ssize_t n;

	if (s->off > 0 && s->off + want > SOURCE_SIZE) {
		memmove(s->mem, s->mem + s->off, s->len - s->off);
		s->len -= s->off;
		s->off = 0;
	}
	while (!s->ended && s->len - s->off < want) {
		n = read(s->fd, s->mem + s->len, SOURCE_SIZE - s->len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -2;
		s->ended = n == 0;
		s->len += (size_t)n;
	}
	return 0;
}

/* Whose output is read instead of the file. */
static int
source_spawn(struct source *s)
{
	char path[4096], *argv[] = { path, NULL, NULL }, *none[] = { NULL };
	posix_spawn_file_actions_t fa;
	int pipes[2], r;

	if (str_format(path, sizeof(path), "%s/" SOURCE_READER,
	    s->libexec_dir) != 0 || (argv[1] = strdup(s->file)) == NULL ||
	    pipe2(pipes, O_CLOEXEC) == -1) {
		free(argv[1]);
		return ctl_fail(EX_OSERR, "no memory, or no descriptors");
	}
	(void)posix_spawn_file_actions_init(&fa);
	(void)posix_spawn_file_actions_adddup2(&fa, pipes[1], STDOUT_FILENO);
	r = posix_spawn(&s->reader, path, &fa, NULL, argv, none);
	(void)posix_spawn_file_actions_destroy(&fa);
	free(argv[1]);
	close(pipes[1]);
	s->fd = pipes[0];
	if (r == 0)
		return 0;
	s->reader = 0;
	return ctl_fail(EX_OSFILE, "%s: %s", path, strerror(r));
}

/* Memory that can be read twice, for a pipe that cannot. */
static int
source_copy(struct source *s)
{
	char part[16384];
	struct err e = { 0 };
	ssize_t n;
	int fd;

	if (lseek(s->fd, 0, SEEK_CUR) != -1)
		return 0;
	if ((fd = memfd_create("import", MFD_CLOEXEC)) == -1)
		return ctl_fail(EX_OSERR, "no memory");
	while ((n = read(s->fd, part, sizeof(part))) != 0)
		if (n == -1 && errno != EINTR)
			break;
		else if (n > 0 && fio_write_all(fd, part, (size_t)n,
		    "the copy", &e) != 0)
			break;
	explicit_bzero(part, sizeof(part));
	if (n != 0) {
		close(fd);
		return ctl_fail(EX_IOERR, "%s: %s", s->name, n == -1 ?
		    strerror(errno) : e.text);
	}
	(void)lseek(fd, 0, SEEK_SET);
	if (s->fd != STDIN_FILENO)
		close(s->fd);
	s->fd = fd;
	return 0;
}

static void
source_end(struct source *s)
{
	if (s->fd > STDIN_FILENO)
		close(s->fd);
	s->fd = -1;
}

/* The format is known: a sasldb2 file goes through its reader. */
static int
source_begin(struct source *s)
{
	if (s->format != IMPORT_SASLDB)
		return 0;
	if (strcmp(s->file, "-") == 0)
		return ctl_fail(EX_USAGE, "sasldb2 cannot come from standard "
		    "input: give its file, such as /etc/sasldb2");
	source_end(s);
	s->off = s->len = 0;
	s->ended = false;
	return source_spawn(s);
}

int
source_open(struct source *s, const char *file, enum import_format f,
    const char *libexec_dir, bool twice)
{
	bool in = strcmp(file, "-") == 0;
	int code = 0;

	*s = (struct source){ .file = file, .format = f, .fd = -1,
	    .name = in ? "standard input" : file,
	    .libexec_dir = libexec_dir };
	s->mem = malloc(SOURCE_SIZE);
	if (s->mem == NULL)
		return ctl_fail(EX_OSERR, "no memory");
	s->fd = in ? STDIN_FILENO : open(file, O_RDONLY | O_CLOEXEC);
	if (s->fd == -1)
		return ctl_fail(EX_NOINPUT, "%s: %s", file, strerror(errno));
	if (in && isatty(STDIN_FILENO))
		return ctl_fail(EX_USAGE, "give a file, or the lines on "
		    "standard input");
	if (twice && (code = source_copy(s)) != 0)
		return code;
	if (source_fill(s, IMPORT_HEAD) != 0)
		return ctl_fail(EX_NOINPUT, "%s: %s", file, strerror(errno));
	if (f == IMPORT_AUTO)
		s->format = import_detect(s->mem, s->len);
	return source_begin(s);
}

int
source_rewind(struct source *s)
{
	int code = 0;

	s->line = 0;
	if (s->format == IMPORT_SASLDB) {
		code = source_close(s);
		s->mem = malloc(SOURCE_SIZE);
		if (code == 0 && s->mem == NULL)
			code = ctl_fail(EX_OSERR, "no memory");
		return code != 0 ? code : source_begin(s);
	}
	s->off = s->len = 0;
	s->ended = false;
	if (lseek(s->fd, 0, SEEK_SET) == -1)
		code = ctl_fail(EX_NOINPUT, "%s: %s", s->name,
		    strerror(errno));
	return code;
}

/* Up to the line's end, which may be far away. */
static int
source_skip(struct source *s)
{
	const char *eol;

	for (;;) {
		eol = memchr(s->mem + s->off, '\n', s->len - s->off);
		if (eol != NULL) {
			s->off = (size_t)(eol + 1 - s->mem);
			return -1;
		}
		s->off = s->len;
		if (s->ended)
			return -1;
		if (source_fill(s, 1) != 0)
			return -2;
	}
}

int
source_next(struct source *s, const char **ret, size_t *ret_len)
{
	const char *eol;
	size_t have;

	have = s->len - s->off;
	eol = memchr(s->mem + s->off, '\n', have);
	if (eol == NULL) {
		if (source_fill(s, SOURCE_LINE_MAX + 1) != 0)
			return -2;
		have = s->len - s->off;
		eol = memchr(s->mem + s->off, '\n', have);
	}
	if (have == 0)
		return 0;
	s->line++;
	*ret = s->mem + s->off;
	*ret_len = eol != NULL ? (size_t)(eol - *ret) : have;
	if (*ret_len > SOURCE_LINE_MAX)
		return source_skip(s);
	s->off += *ret_len + (eol != NULL);
	return 1;
}

int
source_close(struct source *s)
{
	int status = 0;

	source_end(s);
	if (s->mem != NULL)
		explicit_bzero(s->mem, SOURCE_SIZE);
	free(s->mem);
	s->mem = NULL;
	if (s->reader == 0)
		return 0;
	while (waitpid(s->reader, &status, 0) == -1 && errno == EINTR)
		;
	s->reader = 0;
	/* Its message stands on our standard error already; SIGPIPE: we had
	 * enough of it. */
	if (status == 0 || (WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE))
		return 0;
	return ctl_fail(EX_DATAERR, "%s cannot be read to its end as a sasldb2 "
	    "file (%s)", s->name, WIFSIGNALED(status) ?
	    strsignal(WTERMSIG(status)) : "see above");
}
