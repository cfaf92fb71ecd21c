/*
 * loss_disk.c - see loss_disk.h.
 *
 * The rules: what was written to a file, or cut off it, is safe after a flush of
 * it that began later, but not when one failed between on the descriptor that it
 * was written by; a name is safe after the next flush of its folder. The rest is
 * there or not, each sector of 512 octets for itself.
 */
#include "config.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/fio.h"
#include "tests/unit/loss_disk.h"
#include "tests/unit/unit.h"

#define SECTOR 512u
#define NODES_MAX 4096u
#define NAMES_MAX 4096u
#define NONE SIZE_MAX
#define SLOW_STEPS 9u		/* of a flush, at most */
#define SLOW_STEP_NS 500000

#define FOLDER_TMP 0
static const char *const folders[] = { "tmp", "queue", "bad", "journal" };

struct node {			/* a file */
	ino_t		 ino;
	uint8_t		*base;		/* what was in it at the beginning */
	size_t		 base_len;
};

struct name {
	int		 folder;
	char		 name[40];
	int		 node;		/* -1: no more */
};

struct event {
	enum fio_kind	 kind;
	int		 node;		/* -1: of a folder */
	struct name	 from, to;
	int		 folder;	/* of a folder's SYNC */
	uint8_t		*data;
	size_t		 len;
	off_t		 off;
	int		 fd;		/* of a WRITE */
	size_t		 safe_at;	/* the flush that made it safe */
	bool		 limbo;		/* a flush of it failed */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct node nodes[NODES_MAX];
static int n_nodes;
static struct name base[NAMES_MAX], names[NAMES_MAX];
static size_t n_base, n_names;
static struct event *events;
static size_t n_events, events_room, n_overlaps, n_reused;
static bool slow;
static _Thread_local size_t flush_began = NONE;	/* of a thread's flush */
static ino_t folder_ino[ROWS(folders)];
static uint64_t random_state = 1;

void
loss_seed(uint64_t seed)
{
	random_state = seed * 2 + 1;
}

uint32_t
loss_random(uint32_t below)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(random_state >> 33) % below;
}

/* ----------------------------------------------------------------- flush -- */

static int
flush(void)
{
	struct timespec t = { 0 };

	pthread_mutex_lock(&lock);
	flush_began = n_events;
	if (slow)
		t.tv_nsec = SLOW_STEP_NS * (long)((n_events * 2654435761u >>
		    7) % SLOW_STEPS);
	pthread_mutex_unlock(&lock);
	if (t.tv_nsec > 0)
		nanosleep(&t, NULL);
	return 0;
}

/* Instead of the C library's: nothing here outlives the test. */
int
fdatasync(int fd)
{
	(void)fd;
	return flush();
}

int
fsync(int fd)
{
	(void)fd;
	return flush();
}

/* ---------------------------------------------------------------- noting -- */

static ino_t
ino_of(int fd)
{
	struct stat sb;

	assert_int_equal(fstat(fd, &sb), 0);
	return sb.st_ino;
}

static int
folder_of(int fd)
{
	ino_t ino = ino_of(fd);

	for (size_t i = 0; i < ROWS(folders); i++)
		if (folder_ino[i] == ino)
			return (int)i;
	return -1;
}

/* The newest file of that number: the numbers are used again. */
static int
node_of(int fd)
{
	ino_t ino = ino_of(fd);

	for (int i = n_nodes - 1; i >= 0; i--)
		if (nodes[i].ino == ino)
			return i;
	return -1;
}

static struct name *
name_find(struct name *list, size_t n, int folder, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (list[i].folder == folder && list[i].node >= 0 &&
		    strcmp(list[i].name, name) == 0)
			return &list[i];
	return NULL;
}

static void
name_set(struct name *list, size_t *n, int folder, const char *name, int node)
{
	struct name *to = name_find(list, *n, folder, name);

	if (to == NULL) {
		for (to = list; to < list + *n && to->node >= 0; to++)
			;
		if (to == list + *n)
			(*n)++;
		assert_true(*n < NAMES_MAX);
		to->folder = folder;
		snprintf(to->name, sizeof(to->name), "%s", name);
	}
	to->node = node;
}

static int
node_new(ino_t ino)
{
	assert_true(n_nodes < (int)NODES_MAX);
	nodes[n_nodes] = (struct node){ .ino = ino };
	return n_nodes++;
}

/* It changes a file, not a folder. */
static bool
is_in_file(const struct event *e)
{
	return e->kind == FIO_WRITE || e->kind == FIO_TRUNCATE;
}

static struct event *
event_new(enum fio_kind kind)
{
	if (n_events == events_room) {
		events_room = events_room * 2 + 1024;
		events = realloc(events, events_room * sizeof(*events));
		assert_non_null(events);
	}
	events[n_events] = (struct event){ .kind = kind, .node = -1,
		.folder = -1, .safe_at = NONE };
	return &events[n_events++];
}

/* Of a flush that began when there were `began` events. */
static void
note_synced(int folder, int node, int fd, bool failed, size_t began)
{
	for (size_t i = 0; i < began; i++) {
		struct event *e = &events[i];

		if (e->safe_at != NONE || e->limbo)
			continue;
		if (is_in_file(e) && node >= 0 && e->node == node) {
			e->limbo = failed && e->fd == fd;
			if (!failed)
				e->safe_at = n_events;
		} else if (!is_in_file(e) && folder >= 0 && !failed &&
		    (e->from.folder == folder || (e->kind == FIO_RENAME &&
		    e->to.folder == folder))) {
			e->safe_at = n_events;
		}
	}
}

static void
note_open(const struct fio_event *f)
{
	int folder = folder_of(f->fd);
	struct event *e;

	if (folder < 0 || name_find(names, n_names, folder, f->name) != NULL)
		return;
	e = event_new(FIO_OPEN);
	e->node = node_new(ino_of(f->got));
	e->from.folder = folder;
	snprintf(e->from.name, sizeof(e->from.name), "%s", f->name);
	name_set(names, &n_names, folder, f->name, e->node);
}

static void
note_names(const struct fio_event *f)
{
	int folder = folder_of(f->fd);
	struct name *from;
	struct event *e;

	if (folder < 0)
		return;
	from = name_find(names, n_names, folder, f->name);
	assert_non_null(from);
	e = event_new(f->kind);
	e->from = *from;
	e->node = from->node;
	from->node = -1;
	if (f->kind != FIO_RENAME)
		return;
	e->to.folder = folder_of(f->to_dir);
	n_reused += e->from.folder == FOLDER_TMP &&
	    e->to.folder == FOLDER_TMP;
	snprintf(e->to.name, sizeof(e->to.name), "%s", f->to);
	name_set(names, &n_names, e->to.folder, f->to, e->node);
}

static void
note_overlap(int node)
{
	for (size_t i = n_events; i-- > 0;)
		if (events[i].kind == FIO_WRITE && events[i].node == node) {
			n_overlaps += events[i].safe_at == NONE &&
			    !events[i].limbo;
			return;
		}
}

static void
note(const struct fio_event *f)
{
	struct event *e;
	int node;

	pthread_mutex_lock(&lock);
	switch (f->kind) {
	case FIO_OPEN:
		note_open(f);
		break;
	case FIO_WRITE:
		if ((node = node_of(f->fd)) < 0)
			break;
		note_overlap(node);
		e = event_new(FIO_WRITE);
		e->fd = f->fd;
		e->node = node;
		e->data = malloc(f->len);
		memcpy(e->data, f->data, f->len);
		e->len = f->len;
		e->off = f->off;
		break;
	case FIO_TRUNCATE:
		if ((node = node_of(f->fd)) < 0)
			break;
		e = event_new(FIO_TRUNCATE);
		e->fd = f->fd;
		e->node = node;
		e->off = f->off;
		break;
	case FIO_SYNC:
	case FIO_UNSYNC:
		note_synced(folder_of(f->fd), node_of(f->fd), f->fd,
		    f->kind == FIO_UNSYNC, flush_began < n_events ?
		    flush_began : n_events);
		flush_began = NONE;
		(void)event_new(f->kind);
		break;
	case FIO_RENAME:
	case FIO_UNLINK:
		note_names(f);
		break;
	}
	pthread_mutex_unlock(&lock);
}

static void
load_file(int dir, int folder, const char *name)
{
	int fd = openat(dir, name, O_RDONLY), node;
	struct stat sb;

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &sb), 0);
	node = node_new(sb.st_ino);
	nodes[node].base_len = (size_t)sb.st_size;
	nodes[node].base = malloc((size_t)sb.st_size + 1);
	assert_int_equal(read(fd, nodes[node].base, (size_t)sb.st_size),
	    sb.st_size);
	close(fd);
	name_set(base, &n_base, folder, name, node);
}

void
loss_begin(const char *path)
{
	loss_end();
	for (size_t i = 0; i < ROWS(folders); i++) {
		struct dirent *e;
		char dir[300];
		DIR *d;

		snprintf(dir, sizeof(dir), "%s/%s", path, folders[i]);
		d = opendir(dir);
		assert_non_null(d);
		folder_ino[i] = ino_of(dirfd(d));
		while ((e = readdir(d)) != NULL)
			if (e->d_name[0] != '.')
				load_file(dirfd(d), (int)i, e->d_name);
		closedir(d);
	}
	memcpy(names, base, sizeof(names));
	n_names = n_base;
	slow = true;
	fio_watch(note);
}

void
loss_stop(void)
{
	fio_watch(NULL);
	pthread_mutex_lock(&lock);
	slow = false;
	pthread_mutex_unlock(&lock);
}

void
loss_end(void)
{
	loss_stop();
	for (size_t i = 0; i < n_events; i++)
		free(events[i].data);
	for (int i = 0; i < n_nodes; i++)
		free(nodes[i].base);
	free(events);
	events = NULL;
	n_nodes = 0;
	n_base = n_names = n_events = events_room = 0;
}

size_t
loss_now(void)
{
	size_t n;

	pthread_mutex_lock(&lock);
	n = n_events;
	pthread_mutex_unlock(&lock);
	return n;
}

size_t
loss_overlaps(void)
{
	return n_overlaps;
}

size_t
loss_reused(void)
{
	return n_reused;
}

/* ---------------------------------------------------------------- making -- */

/* Of what was not flushed: all of one, nothing, or half of its sectors. */
static bool
is_there(const struct event *e, size_t n, enum loss_policy policy)
{
	if (e->safe_at < n || policy == LOSS_ALL)
		return true;
	return policy != LOSS_NOTHING_MORE && loss_random(2) == 0;
}

static void
make_write(int fd, const struct event *e, size_t n, enum loss_policy policy)
{
	bool torn = policy == LOSS_SOME && e->safe_at >= n &&
	    loss_random(2) == 0;
	size_t at = 0;

	if (!torn) {
		if (is_there(e, n, policy))
			assert_int_equal(pwrite(fd, e->data, e->len, e->off),
			    e->len);
		return;
	}
	while (at < e->len) {
		size_t part = SECTOR - (size_t)(e->off + (off_t)at) % SECTOR;

		if (part > e->len - at)
			part = e->len - at;
		if (is_there(e, n, policy))
			assert_int_equal(pwrite(fd, e->data + at, part,
			    e->off + (off_t)at), part);
		at += part;
	}
}

static void
make_file(const char *path, const struct name *name, size_t n,
    enum loss_policy policy)
{
	const struct node *node = &nodes[name->node];
	char file[400];
	int fd;

	snprintf(file, sizeof(file), "%s/%s/%s", path, folders[name->folder],
	    name->name);
	fd = open(file, O_RDWR | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, node->base, node->base_len),
	    node->base_len);
	for (size_t i = 0; i < n; i++) {
		const struct event *e = &events[i];

		if (e->kind == FIO_WRITE && e->node == name->node)
			make_write(fd, e, n, policy);
		else if (e->kind == FIO_TRUNCATE && e->node == name->node &&
		    is_there(e, n, policy))
			assert_int_equal(ftruncate(fd, e->off), 0);
	}
	close(fd);
}

static void
make_empty(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;

	assert_non_null(d);
	while ((e = readdir(d)) != NULL)
		if (e->d_name[0] != '.')
			assert_int_equal(unlinkat(dirfd(d), e->d_name, 0), 0);
	closedir(d);
}

static void
make_folders(const char *path)
{
	char dir[300];

	(void)mkdir(path, 0700);
	for (size_t i = 0; i < ROWS(folders); i++) {
		snprintf(dir, sizeof(dir), "%s/%s", path, folders[i]);
		if (mkdir(dir, 0700) != 0)
			make_empty(dir);
	}
}

void
loss_make(const char *path, size_t n, enum loss_policy policy)
{
	static struct name now[NAMES_MAX];
	size_t n_now = n_base;

	make_folders(path);
	memcpy(now, base, sizeof(now));
	for (size_t i = 0; i < n; i++) {
		const struct event *e = &events[i];
		struct name *from;

		if ((e->kind != FIO_OPEN && e->kind != FIO_RENAME &&
		    e->kind != FIO_UNLINK) || !is_there(e, n, policy))
			continue;
		from = name_find(now, n_now, e->from.folder, e->from.name);
		if (e->kind == FIO_OPEN)
			name_set(now, &n_now, e->from.folder, e->from.name,
			    e->node);
		else if (from != NULL && from->node == e->node)
			from->node = -1;
		if (e->kind == FIO_RENAME)
			name_set(now, &n_now, e->to.folder, e->to.name,
			    e->node);
	}
	for (size_t i = 0; i < n_now; i++)
		if (now[i].node >= 0)
			make_file(path, &now[i], n, policy);
}
