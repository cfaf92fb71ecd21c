/*
 * keys.c - the secrets that authd-core keeps in its own folder.
 *
 * A key that changed would void every ticket (ticket.key), show who exists
 * (fake.key, if its salts changed and real ones did not), make every sealed
 * secret unreadable (secret.key), or forget which wrong passwords were tried
 * (guess.key); so each is made once: written under another name, flushed, then
 * renamed to its own.
 */
#include "auth/keys.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/rand.h>

#include "lib/fio.h"

static int
keys_read(const char *name, uint8_t *key, struct err *reterr)
{
	size_t len = 0;
	char *text;
	int r = fio_read_file(AT_FDCWD, name, CORE_KEY_SIZE + 1, &text, &len,
	    reterr);

	if (r != 0 && r != ERR_LIMIT)
		return r;
	if (r == 0 && len == CORE_KEY_SIZE)
		memcpy(key, text, CORE_KEY_SIZE);
	else
		r = err_set(reterr, ERR_CORRUPT, "%s: not a key of %d octets; "
		    "remove it to have a new one made", name, CORE_KEY_SIZE);
	if (r == 0 || len > 0) {
		explicit_bzero(text, len);
		free(text);
	}
	return r;
}

static int
keys_make(const char *name, struct err *reterr)
{
	static const char tmp[] = "key.new";
	uint8_t key[CORE_KEY_SIZE];
	int fd, dir, r;

	if (RAND_bytes(key, sizeof(key)) != 1)
		return err_set(reterr, ERR_SYSTEM, "%s: no randomness", name);
	(void)unlink(tmp);
	fd = fio_openat(AT_FDCWD, tmp, O_WRONLY | O_CREAT | O_EXCL, 0600,
	    reterr);
	if (fd < 0)
		return fd;
	r = fio_write_all(fd, key, sizeof(key), name, reterr);
	explicit_bzero(key, sizeof(key));
	if (r == 0)
		r = fio_sync(fd, name, reterr);
	if (r != 0) {
		close(fd);
		return r;
	}
	if ((r = fio_close(fd, name, reterr)) != 0 ||
	    (r = fio_renameat(AT_FDCWD, tmp, AT_FDCWD, name, reterr)) != 0)
		return r;
	dir = fio_openat(AT_FDCWD, ".", O_RDONLY | O_DIRECTORY, 0, reterr);
	if (dir < 0)
		return dir;
	r = fio_sync(dir, "the database folder", reterr);
	close(dir);
	return r;
}

static int
keys_open_one(const char *name, uint8_t *key, struct err *reterr)
{
	int r;

	if (access(name, F_OK) != 0 && (r = keys_make(name, reterr)) != 0)
		return r;
	return keys_read(name, key, reterr);
}

int
keys_open(struct core_keys *ret, struct err *reterr)
{
	struct { const char *name; uint8_t *key; } files[] = {
		{ "ticket.key", ret->ticket }, { "fake.key", ret->fake },
		{ "secret.key", ret->secret }, { "guess.key", ret->guess },
	};
	int r = 0;

	for (size_t i = 0; i < sizeof(files) / sizeof(*files) && r == 0; i++)
		r = keys_open_one(files[i].name, files[i].key, reterr);
	return r;
}
