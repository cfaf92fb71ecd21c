/*
 * parent_names.c - what submitd-send reads once, before it is locked in:
 * /etc/resolv.conf, /etc/hosts and the certificates that the system trusts.
 *
 * Runs in submitd's parent, which sees the files when they change: it then asks
 * submitd-send to end, as at a stop, and starts it anew. What is queued waits for
 * that moment; nothing else notices.
 */
#include "config.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <openssl/x509.h>

#include "lib/parent_private.h"

#include "lib/log.h"

static uint64_t
parent_names_mix(uint64_t h, uint64_t v)
{
	return (h ^ v) * 1099511628211u;
}

static uint64_t
parent_names_file(uint64_t h, const char *path)
{
	struct stat sb;

	if (path == NULL || stat(path, &sb) != 0)
		return parent_names_mix(h, 1);
	h = parent_names_mix(h, (uint64_t)sb.st_ino);
	h = parent_names_mix(h, (uint64_t)sb.st_dev);
	h = parent_names_mix(h, (uint64_t)sb.st_size);
	h = parent_names_mix(h, (uint64_t)sb.st_mtim.tv_sec);
	return parent_names_mix(h, (uint64_t)sb.st_mtim.tv_nsec);
}

/* As OpenSSL finds it. */
static const char *
parent_names_default(const char *env, const char *path)
{
	const char *set = secure_getenv(env);

	return set != NULL ? set : path;
}

static uint64_t
parent_names_stamp(void)
{
	uint64_t h = 14695981039346656037u;

	h = parent_names_file(h, "/etc/resolv.conf");
	h = parent_names_file(h, "/etc/hosts");
	h = parent_names_file(h, parent_names_default(
	    X509_get_default_cert_file_env(), X509_get_default_cert_file()));
	return parent_names_file(h, parent_names_default(
	    X509_get_default_cert_dir_env(), X509_get_default_cert_dir()));
}

void
parent_names_taken(struct kid *k)
{
	if (k->kind->role == ROLE_SEND)
		k->names = k->names_seen = parent_names_stamp();
}

void
parent_names_look(struct parent *p, bool now)
{
	uint64_t stamp = parent_names_stamp(), seen;

	for (size_t i = 0; i < p->n_kids; i++) {
		struct kid *k = &p->kids[i];

		if (k->kind->role != ROLE_SEND || k->state != KID_READY ||
		    k->renewing || p->stopping)
			continue;
		seen = k->names_seen;
		k->names_seen = stamp;
		/* Two looks alike: it is not being written just now. */
		if (stamp == k->names || (!now && stamp != seen))
			continue;
		LOG_EV(LOG_NOTICE, "child.renewed", NULL,
		    KV_A("process", priv_role_name(ROLE_SEND)),
		    KV_T("why", "resolv.conf, hosts or the trusted "
		    "certificates have changed"));
		k->renewing = true;
		(void)kill(k->pid, SIGTERM);
	}
}
