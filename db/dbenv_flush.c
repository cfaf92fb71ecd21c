/*
 * dbenv_flush.c - a thread of the environment that flushes its log behind those
 * who write it, and what else keeps their waits short. Runs in authd-core only.
 * It changes nothing, and nobody waits for it but who closes the environment.
 *
 * Commits of the relay cache are written and not flushed (E3). But a page that
 * goes out of the cache, and a file of the log that is full, ask that the log is
 * flushed up to there; whoever meets that waits for the disk, and everybody who
 * wants his locks waits with him: a login for a login, or for the sweep. What
 * is flushed some thousand commits before asks for nothing.
 */
#include "config.h"

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "db/dbenv_private.h"
#include "lib/str.h"

#define DBENV_FLUSH_COMMITS	256u	/* some 100 KiB of log */

/* Linux notes with a read that it took place (relatime: behind each write), in
 * the journal of the file system, so that a read of a page that is in memory
 * waits for a flush of others. Nobody asks when these files were read. */
static int
dbenv_open_file(const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list ap;
	int fd;

	va_start(ap, flags);
	if (flags & O_CREAT)
		mode = (mode_t)va_arg(ap, unsigned int);
	va_end(ap);
	fd = open(path, flags | O_NOATIME, mode);
	return fd >= 0 ? fd : open(path, flags, mode);	/* not ours: EPERM */
}

/* Berkeley DB locks a part of the log while it flushes: what is long about that
 * is done before, from outside. */
static void
dbenv_flush_ahead(struct dbenv *e)
{
	DB_LOG_STAT *st = NULL;
	char name[32];
	int fd;

	if (e->env->log_stat(e->env, &st, 0) != 0)
		return;
	(void)str_format(name, sizeof(name), "log.%010u", st->st_cur_file);
	free(st);
	fd = openat(e->home_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return;
	(void)fdatasync(fd);	/* as below */
	close(fd);
}

static void *
dbenv_flusher(void *ctx)
{
	struct dbenv *e = ctx;
	struct dbenv_flush *f = &e->flush;

	pthread_mutex_lock(&f->mutex);
	while (!f->stop) {
		if (atomic_load(&f->commits) < DBENV_FLUSH_COMMITS) {
			pthread_cond_wait(&f->due, &f->mutex);
			continue;
		}
		atomic_store(&f->commits, 0);
		f->busy = true;
		pthread_mutex_unlock(&f->mutex);
		dbenv_flush_ahead(e);
		/* If it fails, who needs it flushed will be told. */
		(void)e->env->log_flush(e->env, NULL);
		pthread_mutex_lock(&f->mutex);
		f->busy = false;
		pthread_cond_broadcast(&f->done);
	}
	pthread_mutex_unlock(&f->mutex);
	return NULL;
}

int
dbenv_flush_start(struct dbenv *e)
{
	struct dbenv_flush *f = &e->flush;
	sigset_t all, old;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	f->runs = pthread_create(&f->thread, NULL, dbenv_flusher, e) == 0;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return f->runs ? 0 : ERR_NOMEM;
}

void
dbenv_flush_stop(struct dbenv *e)
{
	struct dbenv_flush *f = &e->flush;

	if (!f->runs)
		return;
	pthread_mutex_lock(&f->mutex);
	f->stop = true;
	pthread_cond_signal(&f->due);
	pthread_mutex_unlock(&f->mutex);
	pthread_join(f->thread, NULL);
	f->runs = false;
}

void
dbenv_flush_soon(struct dbenv *e)
{
	struct dbenv_flush *f = &e->flush;

	if (atomic_fetch_add(&f->commits, 1) + 1 != DBENV_FLUSH_COMMITS)
		return;
	pthread_mutex_lock(&f->mutex);
	pthread_cond_signal(&f->due);
	pthread_mutex_unlock(&f->mutex);
}

void
dbenv_flush_wait(struct dbenv *e)
{
	struct dbenv_flush *f = &e->flush;

	pthread_mutex_lock(&f->mutex);
	while (f->busy)
		pthread_cond_wait(&f->done, &f->mutex);
	pthread_mutex_unlock(&f->mutex);
}

void
dbenv_flush_init(struct dbenv *e)
{
	pthread_mutex_init(&e->flush.mutex, NULL);
	pthread_cond_init(&e->flush.due, NULL);
	pthread_cond_init(&e->flush.done, NULL);
	(void)db_env_set_func_open(dbenv_open_file);
}

void
dbenv_flush_end(struct dbenv *e)
{
	pthread_mutex_destroy(&e->flush.mutex);
	pthread_cond_destroy(&e->flush.due);
	pthread_cond_destroy(&e->flush.done);
}
