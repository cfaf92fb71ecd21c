/*
 * conf_route_load.c - the files that routes name: CAs, and the secrets of our
 * logins at next hops.
 *
 * Runs in the parent of submitd-send, as root, so that a secret can lie where
 * nobody else may read it, and in submitctl config check. The secret goes to
 * submitd-send with the configuration and nowhere else.
 */
#include "lib/conf_route.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#include "lib/fio.h"

#define ROUTE_CA_MAX		(1024u * 1024)
#define ROUTE_SECRET_MAX	4096u	/* of the file; a token may be long */

static int
route_load_ca(const char *file, char **ret, struct err *reterr)
{
	X509 *x = NULL;
	BIO *bio;
	size_t len;
	int r = fio_read_file(AT_FDCWD, file, ROUTE_CA_MAX, ret, &len, reterr);

	if (r != 0)
		return r;
	bio = BIO_new_mem_buf(*ret, (int)len);
	if (bio != NULL)
		x = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	BIO_free(bio);
	X509_free(x);
	ERR_clear_error();
	if (x != NULL)
		return 0;
	free(*ret);
	*ret = NULL;
	return err_set(reterr, ERR_CONFIG, "%s: no certificate (PEM) is in it",
	    file);
}

static int
route_load_secret(const char *file, char **ret, struct err *reterr)
{
	size_t len, line;
	int r = fio_read_file(AT_FDCWD, file, ROUTE_SECRET_MAX, ret, &len,
	    reterr);

	if (r != 0)
		return r;
	line = strcspn(*ret, "\r\n");
	if (line > 0 && (line < len || strlen(*ret) == len)) {
		explicit_bzero(*ret + line, len - line);
		return 0;
	}
	explicit_bzero(*ret, len);
	free(*ret);
	*ret = NULL;
	return err_set(reterr, ERR_CONFIG, "%s: expected the password or token "
	    "in its first line", file);
}

int
conf_route_load(struct conf_route *r, struct err *reterr)
{
	struct conf_route next = { 0 };
	int e = 0;

	if (r->tls_ca != NULL)
		e = route_load_ca(r->tls_ca, &next.tls_ca_pem, reterr);
	if (e == 0 && r->auth_secret_file != NULL)
		e = route_load_secret(r->auth_secret_file, &next.auth_secret,
		    reterr);
	if (e != 0) {
		conf_route_unload(&next);
		return e;
	}
	conf_route_unload(r);
	r->tls_ca_pem = next.tls_ca_pem;
	r->auth_secret = next.auth_secret;
	return 0;
}

int
conf_load_routes(struct conf *c, struct err *reterr)
{
	struct err e = { 0 };
	int sys_errno;

	for (size_t i = 0; i < c->n_routes; i++) {
		if (conf_route_load(&c->routes[i], &e) == 0)
			continue;
		sys_errno = e.sys_errno;
		err_set(reterr, ERR_CONFIG, "%s: route %s: %s",
		    c->routes[i].item.origin, c->routes[i].item.name, e.text);
		if (reterr != NULL)
			reterr->sys_errno = sys_errno;
		return ERR_CONFIG;
	}
	return 0;
}
