/*
 * pool.c - a bounded pool of threads. See pool.h.
 */
#include "lib/pool.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/err.h"

struct job {
	void		(*work)(void *);
	loop_fn		*done;
	void		*ctx;
	struct job	*next;
};

struct job_list {
	struct job	*first, **last;
};

struct pool {
	pthread_mutex_t	 lock;
	pthread_cond_t	 wake;
	struct job_list	 todo, finished;
	size_t		 queued, queue_max;
	bool		 ending;
	int		 event_fd;
	struct watch	*watch;
	unsigned int	 n_threads;
	pthread_t	 threads[];
};

static void
job_append(struct job_list *list, struct job *j)
{
	j->next = NULL;
	*list->last = j;
	list->last = &j->next;
}

static struct job *
job_take(struct job_list *list)
{
	struct job *j = list->first;

	if (j != NULL && (list->first = j->next) == NULL)
		list->last = &list->first;
	return j;
}

static void
pool_signal(struct pool *p)
{
	uint64_t one = 1;

	/* A full counter already wakes the loop. */
	while (write(p->event_fd, &one, sizeof one) < 0 && errno == EINTR)
		;
}

static void *
pool_thread(void *arg)
{
	struct pool *p = arg;

	pthread_mutex_lock(&p->lock);
	for (;;) {
		struct job *j = job_take(&p->todo);

		if (j == NULL) {
			if (p->ending)
				break;
			pthread_cond_wait(&p->wake, &p->lock);
			continue;
		}
		p->queued--;
		pthread_mutex_unlock(&p->lock);
		j->work(j->ctx);
		pthread_mutex_lock(&p->lock);
		bool first = p->finished.first == NULL;
		job_append(&p->finished, j);
		if (!first)
			continue;
		/* Whoever is woken wants the lock: it is free by then. */
		pthread_mutex_unlock(&p->lock);
		pool_signal(p);
		pthread_mutex_lock(&p->lock);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

static void
pool_collect(void *ctx, int what)
{
	struct pool *p = ctx;
	struct job *j;
	uint64_t n;

	(void)what;
	while (read(p->event_fd, &n, sizeof n) < 0 && errno == EINTR)
		;
	pthread_mutex_lock(&p->lock);
	j = p->finished.first;
	p->finished.first = NULL;
	p->finished.last = &p->finished.first;
	pthread_mutex_unlock(&p->lock);
	while (j != NULL) {
		struct job *next = j->next;

		j->done(j->ctx);
		free(j);
		j = next;
	}
}

/* Threads take no signals: those belong to the loop. */
static unsigned int
pool_start(struct pool *p, unsigned int threads)
{
	sigset_t all, old;
	unsigned int n = 0;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	while (n < threads &&
	    pthread_create(&p->threads[n], NULL, pool_thread, p) == 0)
		n++;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return n;
}

struct pool *
pool_new(struct loop *l, unsigned int threads, size_t queue_max)
{
	struct pool *p = calloc(1, sizeof *p + threads * sizeof *p->threads);

	if (p == NULL)
		return NULL;
	p->queue_max = queue_max;
	p->todo.last = &p->todo.first;
	p->finished.last = &p->finished.first;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->wake, NULL);
	p->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (p->event_fd >= 0)
		p->watch = watch_new(l, p->event_fd, pool_collect, p);
	if (p->watch != NULL) {
		watch_set(p->watch, WATCH_READ);
		p->n_threads = pool_start(p, threads);
	}
	if (p->n_threads < threads) {
		pool_free(p);
		return NULL;
	}
	return p;
}

int
pool_submit(struct pool *p, void (*work)(void *), loop_fn *done, void *ctx)
{
	struct job *j = malloc(sizeof *j);

	if (j == NULL)
		return ERR_NOMEM;
	*j = (struct job){ .work = work, .done = done, .ctx = ctx };
	pthread_mutex_lock(&p->lock);
	if (p->queued >= p->queue_max) {
		pthread_mutex_unlock(&p->lock);
		free(j);
		return ERR_LIMIT;
	}
	p->queued++;
	job_append(&p->todo, j);
	pthread_mutex_unlock(&p->lock);
	pthread_cond_signal(&p->wake);
	return 0;
}

void
pool_free(struct pool *p)
{
	if (p == NULL)
		return;
	pthread_mutex_lock(&p->lock);
	p->ending = true;
	pthread_cond_broadcast(&p->wake);
	pthread_mutex_unlock(&p->lock);
	for (unsigned int i = 0; i < p->n_threads; i++)
		pthread_join(p->threads[i], NULL);
	if (p->watch != NULL)
		pool_collect(p, WATCH_READ);
	watch_free(p->watch);
	if (p->event_fd >= 0)
		close(p->event_fd);
	pthread_cond_destroy(&p->wake);
	pthread_mutex_destroy(&p->lock);
	free(p);
}
