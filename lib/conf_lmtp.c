/*
 * conf_lmtp.c - the keys lmtp_* and notify_*: the UNIX sockets on which mail for
 * local users and word of logins are taken, and who may connect to them. Linked
 * into every process.
 */
#include "lib/conf_private.h"

#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "lib/str.h"

#define CONF_PEERS_MAX	16u
#define CONF_UNIX	"unix:"

static int
conf_take_socket(void *field, const char *path)
{
	char **p = field;

	if (path[0] != '/' ||
	    strlen(path) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
		return ERR_FORMAT;
	*p = strdup(path);
	return *p == NULL ? ERR_NOMEM : 0;
}

static int
conf_parse_socket(void *field, const struct conf_key *k, char *const *v,
    size_t n)
{
	(void)k;
	if (n == 1 && v[0][0] == '\0')
		return 0;
	return n == 1 ? conf_take_socket(field, v[0]) : ERR_FORMAT;
}

static int
conf_parse_unix(void *field, const struct conf_key *k, char *const *v,
    size_t n)
{
	(void)k;
	if (n == 1 && v[0][0] == '\0')
		return 0;
	if (n != 1 || strncmp(v[0], CONF_UNIX, strlen(CONF_UNIX)) != 0)
		return ERR_FORMAT;
	return conf_take_socket(field, v[0] + strlen(CONF_UNIX));
}

static void
conf_clear_unix(void *field)
{
	char **p = field;

	free(*p);
	*p = NULL;
}

/* Names are looked up by who reads the file, for the others may stand in a
 * chroot. */
static int
conf_parse_uids(void *field, const struct conf_key *k, char *const *v,
    size_t n)
{
	struct conf_uids *u = field;
	uint64_t id;

	(void)k;
	if (n > CONF_PEERS_MAX)
		return ERR_LIMIT;
	if ((u->v = calloc(n + 1, sizeof(*u->v))) == NULL)
		return ERR_NOMEM;
	for (u->n = 0; u->n < n; u->n++) {
		const char *name = v[u->n];

		if (str_u64(name, 0, UINT32_MAX - 1, &id) == 0)
			u->v[u->n] = (uint32_t)id;
		else if (name[0] == '\0' || strlen(name) > 32 || name[strspn(
		    name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
		    "0123456789_.-")] != '\0')
			return ERR_FORMAT;
		else
			u->v[u->n] = strcmp(name, "root") == 0 ? 0 :
			    CONF_UID_NAMED;
	}
	return 0;
}

static void
conf_clear_uids(void *field)
{
	struct conf_uids *u = field;

	free(u->v);
	*u = (struct conf_uids){ 0 };
}

const struct conf_type conf_unix = { conf_parse_unix, conf_clear_unix, false,
	false, "unix:/path of at most 107 octets" },
conf_socket = { conf_parse_socket, conf_clear_unix, false, false,
	"/path of at most 107 octets" },
conf_uids = { conf_parse_uids, conf_clear_uids, true, false,
	"at most 16 users or their numbers" };

static bool
conf_uids_have(const struct conf_uids *u, uint32_t uid)
{
	for (size_t i = 0; i < u->n; i++)
		if (u->v[i] == uid && uid != CONF_UID_NAMED)
			return true;
	return false;
}

bool
conf_lmtp_takes(const struct conf *c, uint32_t uid)
{
	return conf_uids_have(&c->lmtp_peers, uid);
}

bool
conf_notify_takes(const struct conf *c, uint32_t uid)
{
	return conf_uids_have(&c->notify_uids, uid);
}
