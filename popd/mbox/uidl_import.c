/*
 * uidl_import.c - see uidl_import.h. Runs on a thread of popd-mbox, beside the
 * other server and beside sessions of popd: each of them sees the map of before
 * or that of after. It must never change the old server's files, nor a UIDL that
 * popd has shown.
 */
#include "config.h"
#include "popd/mbox/uidl_import.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/beneath.h"
#include "lib/maildir.h"
#include "lib/str.h"
#include "popd/mbox/maildrop.h"
#include "popd/mbox/uidl_private.h"

#define UIDL_FORMAT_MARK ':'	/* "dovecot:%f" */

static const struct uidl_server {
	const char	*name;
	const char	*file;
	int		(*read)(struct uidl_list *l, struct err *reterr);
	bool		 formats;	/* its UIDLs can be told to be others */
} uidl_servers[] = {
	{ "dovecot", "dovecot-uidlist", uidl_dovecot_read, true },
	{ "courier", "courierpop3dsizelist", uidl_courier_read, false },
};

#define UIDL_SERVERS (sizeof(uidl_servers) / sizeof(uidl_servers[0]))

struct uidl_job {
	const struct uidl_wish		*wish;
	const struct uidl_server	*server;
	struct uidl_list		 list;
	struct uidl_map			*map;
	int64_t				 shown_s;
	struct uidl_result		*result;
};

/* ------------------------------------------------------------- what is there -- */

/* The server that a format names; *ret_template is behind its mark, or NULL. */
static const struct uidl_server *
uidl_server_find(const char *format, const char **ret_template)
{
	size_t len = strcspn(format, (char[]){ UIDL_FORMAT_MARK, '\0' });

	*ret_template = format[len] == '\0' ? NULL : format + len + 1;
	for (size_t i = 0; i < UIDL_SERVERS; i++)
		if (strlen(uidl_servers[i].name) == len &&
		    memcmp(uidl_servers[i].name, format, len) == 0)
			return &uidl_servers[i];
	return NULL;
}

int
uidl_check_format(const char *format, struct err *reterr)
{
	char text[UIDL_VALUE_MAX];
	const struct uidl_server *s;
	const char *template;
	int r;

	if (*format == '\0')
		return 0;
	s = uidl_server_find(format, &template);
	if (s == NULL || (template != NULL && !s->formats))
		return err_set(reterr, ERR_FORMAT, "%.64s: dovecot, "
		    "dovecot:FORMAT (its pop3_uidl_format) or courier is "
		    "wanted", format);
	if (template == NULL)
		return 0;
	r = uidl_template(template, NULL, text, sizeof(text), reterr);
	if (r == ERR_LIMIT)
		return err_set(reterr, ERR_FORMAT, "the format is too long");
	return r < 0 ? r : 0;
}

/* Reads the list that is asked for, or the one that is there; of two the one
 * that was written last. `server` stays NULL when there is none. */
static int
uidl_job_read(struct uidl_job *j, int root_fd, const char *path,
    struct err *reterr)
{
	const struct uidl_server *only = uidl_server_find(j->wish->format,
	    &j->list.format);
	int64_t best_s = 0, mtime_s;
	size_t len = 0;
	char *text;
	int r;

	for (size_t i = 0; i < UIDL_SERVERS; i++) {
		if (only != NULL && only != &uidl_servers[i])
			continue;
		r = uidl_read(root_fd, path, uidl_servers[i].file, &text, &len,
		    &mtime_s, reterr);
		if (r == ERR_NOTFOUND)
			continue;
		if (r != 0)
			return r;
		j->result->both = j->server != NULL;
		if (j->server != NULL && mtime_s <= best_s) {
			free(text);
			continue;
		}
		free(j->list.text);
		j->list.text = text;
		j->list.len = len;
		j->server = &uidl_servers[i];
		best_s = mtime_s;
	}
	return 0;
}

/* ---------------------------------------------------------------- merging -- */

/* One message of the old list. What the map has stays. */
static int
uidl_job_row(void *ctx, const char *name, const char *uidl, size_t uidl_len)
{
	struct uidl_job *j = ctx;
	size_t unique = maildrop_name_unique(name);
	const char *has = uidl_find(j->map, name, unique);
	struct uidl_result *res = j->result;
	int r;

	if (has != NULL) {
		if (strlen(has) == uidl_len && memcmp(has, uidl, uidl_len) == 0)
			res->same++;
		else
			res->differ++;
		return 0;
	}
	if (!j->wish->force && j->shown_s != 0 &&
	    maildrop_name_time(name) <= (uint64_t)j->shown_s) {
		res->shown++;
		return 0;
	}
	r = uidl_add(&j->map, name, unique, uidl, uidl_len);
	res->taken += r == 0;
	res->twice += r == ERR_EXISTS;
	res->unfit += r == ERR_FORMAT;
	return r == ERR_EXISTS || r == ERR_FORMAT ? 0 : r;
}

/* How many messages are there, and how many the map knows. Only for the one
 * who asks: files may come and go meanwhile. */
static void
uidl_job_count(struct uidl_job *j, int root_fd, const char *path,
    const char *sub)
{
	char dir_path[MAILDIR_PATH_MAX + 8];
	struct dirent *de;
	DIR *dir = NULL;
	int fd = -1;

	if (str_format(dir_path, sizeof(dir_path), "%s/%s", path, sub) == 0)
		fd = beneath_open(root_fd, dir_path, O_RDONLY | O_DIRECTORY, 0,
		    NULL);
	if (fd < 0 || (dir = fdopendir(fd)) == NULL) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((de = readdir(dir)) != NULL) {
		if (de->d_name[0] == '.' ||
		    (de->d_type != DT_REG && de->d_type != DT_UNKNOWN))
			continue;
		j->result->messages++;
		if (uidl_find(j->map, de->d_name, maildrop_name_unique(
		    de->d_name)) == NULL)
			j->result->own++;
	}
	closedir(dir);
}

static int
uidl_job_run(struct uidl_job *j, int root_fd, const char *path,
    struct err *reterr)
{
	struct err why = { 0 };
	int r = uidl_job_read(j, root_fd, path, reterr);

	if (r != 0 || j->server == NULL)
		return r;
	j->result->server = j->server->name;
	if ((r = uidl_load(root_fd, path, &j->map, reterr)) != 0)
		return r;
	/* Before the first import it is not known what popd has shown. */
	if (j->map != NULL && (r = uidl_get_shown(root_fd, path, &j->shown_s,
	    reterr)) != 0)
		return r;
	j->list.row = uidl_job_row;
	j->list.ctx = j;
	if ((r = j->server->read(&j->list, &why)) != 0)
		return err_set(reterr, r, "%s: %s", j->server->file, why.text);
	j->result->listed = j->list.n;
	j->result->cut = j->list.cut;
	uidl_job_count(j, root_fd, path, "new");
	uidl_job_count(j, root_fd, path, "cur");
	if (j->result->taken == 0)
		return 0;
	return j->wish->check ? uidl_check_store(root_fd, path, reterr) :
	    uidl_store(root_fd, path, j->map, reterr);
}

int
uidl_import(int root_fd, const char *path, const struct uidl_wish *wish,
    struct uidl_result *ret, struct err *reterr)
{
	struct uidl_job j = { .wish = wish, .result = ret };
	int r = uidl_check_format(wish->format, reterr);

	*ret = (struct uidl_result){ 0 };
	if (r == 0)
		r = uidl_job_run(&j, root_fd, path, reterr);
	free(j.list.text);
	uidl_free(j.map);
	return r;
}
