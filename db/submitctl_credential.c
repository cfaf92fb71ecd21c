/*
 * submitctl_credential.c - the commands on what a user may log in with besides
 * his main password, and for whom he may act. A certificate is read here; only
 * its fingerprint is sent.
 */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <sysexits.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "db/submitctl.h"
#include "lib/clock.h"
#include "lib/str.h"

static const struct ctl_column ctl_credential_columns[] = {
	{ "LABEL", "label", CTL_TEXT }, { "SCOPE", "scope", CTL_TEXT },
	{ "SCRAM", "scram", CTL_YES_NO },
	{ "CREATED", "created_s", CTL_TIME },
	{ "EXPIRES", "expires_s", CTL_TIME },
	{ "LAST USE", "last_use_s", CTL_TIME },
	{ "FROM", "last_use_from", CTL_TEXT },
	{ NULL, NULL, CTL_TEXT },
};

static const struct ctl_column ctl_certificate_columns[] = {
	{ "LABEL", "label", CTL_TEXT }, { "SCOPE", "scope", CTL_TEXT },
	{ "CREATED", "created_s", CTL_TIME },
	{ "EXPIRES", "expires_s", CTL_TIME },
	{ "LAST USE", "last_use_s", CTL_TIME },
	{ "FROM", "last_use_from", CTL_TEXT },
	{ "SHA-256", "sha256", CTL_TEXT }, { NULL, NULL, CTL_TEXT },
};

static const struct ctl_column ctl_secret_columns[] = {
	{ "USER", "user", CTL_TEXT }, { "SET", "set_s", CTL_TIME },
	{ NULL, NULL, CTL_TEXT },
};

static const struct ctl_column ctl_allow_as_columns[] = {
	{ "USER", "user", CTL_TEXT }, { "MAY ACT FOR", "other", CTL_TEXT },
	{ NULL, NULL, CTL_TEXT },
};

/* ---------------------------------------------------------------- expiry -- */

int
ctl_put_expires(const struct ctl *c, json_t *request)
{
	int64_t at_s = 0;
	uint64_t span_s;

	if (c->expires == NULL)
		return 0;
	if (clock_parse(c->expires, &at_s) != 0) {
		if (str_duration_s(c->expires, &span_s) != 0 ||
		    span_s > INT32_MAX)
			return ctl_fail(EX_USAGE, "--expires %s: a time such "
			    "as 30d, 2027-01-31 or 2027-01-31T12:00 is wanted",
			    c->expires);
		at_s = clock_now_s() + (int64_t)span_s;
	}
	(void)json_object_set_new(request, "expires_s", json_integer(at_s));
	return 0;
}

/* --scope and --expires into the request. 0, or the exit code. */
static int
ctl_put_limits(struct ctl *c, json_t *request)
{
	if (request == NULL)
		return ctl_fail(EX_DATAERR, "an argument is not valid UTF-8");
	if (c->scope != NULL && json_object_set_new(request, "scope",
	    json_string(c->scope)) != 0)
		return ctl_fail(EX_USAGE, "--scope: all, smtp, pop or no-relay");
	return ctl_put_expires(c, request);
}

/* ---------------------------------------------------------- app passwords -- */

static json_t *
ctl_label_request(const struct ctl *c, const char *verb)
{
	return json_pack("{s:s, s:s, s:s}", "verb", verb, "user", c->argv[0],
	    "label", c->argv[1]);
}

static void
ctl_said_credential(const struct ctl *c, const json_t *r)
{
	const char *user = ctl_str(r, "user"), *label = ctl_str(r, "label");

	if (ctl_str(r, "password")[0] == '\0')
		ctl_say(c, r, "credential %s of %s added", label, user);
	else
		ctl_say(c, r, "credential %s of %s added; its password, which "
		    "is shown only now:\n%s", label, user,
		    ctl_str(r, "password"));
	if (!c->json)
		ctl_print("(a client that uses SCRAM logs in as %s#%s)\n", user,
		    label);
}

int
ctl_credential_add(struct ctl *c)
{
	json_t *request = ctl_label_request(c, "user.credential.add");
	int code;

	if ((code = ctl_put_limits(c, request)) != 0) {
		json_decref(request);
		return code;
	}
	if ((c->given & (CTL_ASK | CTL_STDIN)) != 0)
		return ctl_with_password(c, request, false,
		    ctl_said_credential);
	return ctl_change(c, request, ctl_said_credential);
}

static void
ctl_said_no_credential(const struct ctl *c, const json_t *r)
{
	ctl_say(c, r, "%s of %s deleted", ctl_str(r, "label"),
	    ctl_str(r, "user"));
}

int
ctl_credential_delete(struct ctl *c)
{
	return ctl_change(c, ctl_label_request(c, "user.credential.delete"),
	    ctl_said_no_credential);
}

int
ctl_credential_list(struct ctl *c)
{
	return ctl_list(c, CTL_USERS, ctl_user_request("user.credential.list",
	    c->argv[0]), ctl_credential_columns);
}

/* ----------------------------------------------------------- certificates -- */

/* The SHA-256 of the first certificate in the file. 0, or the exit code. */
static int
ctl_fingerprint(const char *file, char hex[2 * EVP_MAX_MD_SIZE + 1])
{
	unsigned char md[EVP_MAX_MD_SIZE];
	unsigned int len = 0;
	X509 *cert;
	FILE *f;
	int ok;

	if ((f = fopen(file, "re")) == NULL)
		return ctl_fail(EX_NOINPUT, "%s: %s", file, strerror(errno));
	cert = PEM_read_X509(f, NULL, NULL, NULL);
	fclose(f);
	if (cert == NULL)
		return ctl_fail(EX_DATAERR, "%s: a certificate in PEM is "
		    "wanted (-----BEGIN CERTIFICATE-----)", file);
	ok = X509_digest(cert, EVP_sha256(), md, &len);
	X509_free(cert);
	if (ok != 1)
		return ctl_fail(EX_OSERR, "no memory");
	str_hex(hex, md, len);
	return 0;
}

static void
ctl_said_certificate(const struct ctl *c, const json_t *r)
{
	ctl_say(c, r, "certificate %s of %s added; SHA-256 %s",
	    ctl_str(r, "label"), ctl_str(r, "user"), ctl_str(r, "sha256"));
}

int
ctl_certificate_add(struct ctl *c)
{
	json_t *request = ctl_label_request(c, "user.certificate.add");
	char hex[2 * EVP_MAX_MD_SIZE + 1];
	int code;

	if ((code = ctl_put_limits(c, request)) != 0 ||
	    (code = ctl_fingerprint(c->argv[2], hex)) != 0) {
		json_decref(request);
		return code;
	}
	(void)json_object_set_new(request, "sha256", json_string(hex));
	return ctl_change(c, request, ctl_said_certificate);
}

int
ctl_certificate_delete(struct ctl *c)
{
	return ctl_change(c, ctl_label_request(c, "user.certificate.delete"),
	    ctl_said_no_credential);
}

int
ctl_certificate_list(struct ctl *c)
{
	return ctl_list(c, CTL_USERS, ctl_user_request("user.certificate.list",
	    c->argv[0]), ctl_certificate_columns);
}

/* ---------------------------------------------------------------- secrets -- */

static void
ctl_said_secret(const struct ctl *c, const json_t *r)
{
	ctl_say(c, r, "secret of %s set", ctl_str(r, "user"));
}

int
ctl_secret_add(struct ctl *c)
{
	if (!c->json)
		fputs("This secret is for CRAM-MD5 and APOP alone. They need "
		    "it itself, so authd keeps\nit in a form that it can read "
		    "(sealed under secret.key): take none that is used\n"
		    "elsewhere, the user's password least of all.\n", stderr);
	return ctl_with_password(c, ctl_user_request("user.secret.add",
	    c->argv[0]), false, ctl_said_secret);
}

static void
ctl_said_no_secret(const struct ctl *c, const json_t *r)
{
	ctl_say(c, r, "secret of %s deleted", ctl_str(r, "user"));
}

int
ctl_secret_delete(struct ctl *c)
{
	return ctl_change(c, ctl_user_request("user.secret.delete",
	    c->argv[0]), ctl_said_no_secret);
}

int
ctl_secret_list(struct ctl *c)
{
	return ctl_list(c, CTL_USERS, ctl_user_request("user.secret.list",
	    c->argv[0]), ctl_secret_columns);
}

/* ------------------------------------------------------ acting for others -- */

static json_t *
ctl_other_request(const struct ctl *c, const char *verb)
{
	return json_pack("{s:s, s:s, s:s}", "verb", verb, "user", c->argv[0],
	    "other", c->argv[1]);
}

static void
ctl_said_allow_as(const struct ctl *c, const json_t *r)
{
	ctl_say(c, r, "%s may act for %s", ctl_str(r, "user"),
	    ctl_str(r, "other"));
}

int
ctl_allow_as_add(struct ctl *c)
{
	return ctl_change(c, ctl_other_request(c, "user.allow-as.add"),
	    ctl_said_allow_as);
}

static void
ctl_said_no_allow_as(const struct ctl *c, const json_t *r)
{
	ctl_say(c, r, "%s may no longer act for %s", ctl_str(r, "user"),
	    ctl_str(r, "other"));
}

int
ctl_allow_as_delete(struct ctl *c)
{
	return ctl_change(c, ctl_other_request(c, "user.allow-as.delete"),
	    ctl_said_no_allow_as);
}

int
ctl_allow_as_list(struct ctl *c)
{
	return ctl_list(c, CTL_USERS, ctl_user_request("user.allow-as.list",
	    c->argv[0]), ctl_allow_as_columns);
}
