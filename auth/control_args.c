/*
 * control_args.c - what a verb of the administrator's is given: names, networks,
 * labels, passwords, pages. On the loop of authd-core. It must never put a
 * password into an error's text.
 */
#include "config.h"

#include <string.h>

#include "auth/control_private.h"
#include "auth/scram.h"
#include "lib/str.h"

static int
control_bad(struct control_job *j, int code, const char *what,
    const char *given)
{
	return err_set(&j->err, code, "%s: %s", what, given);
}

/* A name without a domain gets the default one, or the first local one. */
static int
control_full_name(struct control_job *j, const char *s,
    char full[MAILBOX_SIZE])
{
	const char *domain = j->conf->default_domain;

	if (domain == NULL && j->conf->local_domains.n > 0)
		domain = j->conf->local_domains.v[0];
	if (domain == NULL)
		return control_bad(j, ERR_FORMAT, "local_domains is empty: "
		    "give a full address, NAME@DOMAIN", s);
	if (strchr(s, '#') != NULL)
		return control_bad(j, ERR_FORMAT, "in a login name without a "
		    "domain '#' parts the user from the label of an app "
		    "password: give a full address, NAME@DOMAIN", s);
	if (!mailbox_is_local(s, strlen(s)) || str_format(full, MAILBOX_SIZE,
	    "%s@%s", s, domain) != 0)
		return control_bad(j, ERR_FORMAT, "not a name: letters, digits"
		    " and -._+ are wanted, or NAME@DOMAIN", s);
	return 0;
}

static int
control_take_user(struct control_job *j, const char *s,
    char ret[MAILBOX_SIZE])
{
	char full[MAILBOX_SIZE];
	struct mailbox mb;
	int r;

	if (strchr(s, '@') == NULL) {
		if ((r = control_full_name(j, s, full)) != 0)
			return r;
		s = full;
	}
	if (mailbox_parse(s, strlen(s), &mb) != 0 || mb.literal)
		return control_bad(j, ERR_FORMAT,
		    "not an address of the form NAME@DOMAIN", s);
	return str_copy(ret, MAILBOX_SIZE, mb.canon);
}

/* A mailbox, or all of a domain's. */
static int
control_take_address(struct control_job *j, const char *s)
{
	struct mailbox mb;

	if (s[0] == '@' && mailbox_is_domain(s + 1, strlen(s + 1)) &&
	    strchr(s, '.') != NULL &&
	    str_copy(j->address, sizeof(j->address), s) == 0) {
		str_lower(j->address);
		return 0;
	}
	if (mailbox_parse(s, strlen(s), &mb) != 0 || mb.literal)
		return control_bad(j, ERR_FORMAT, "not an address of the form "
		    "NAME@DOMAIN, or @DOMAIN for a whole domain", s);
	return str_copy(j->address, sizeof(j->address), mb.canon);
}

static int
control_take_label(struct control_job *j, const char *s)
{
	if (!user_label_is_valid(s) ||
	    str_copy(j->label, sizeof(j->label), s) != 0)
		return control_bad(j, ERR_FORMAT, "not a label: 1 to 32 "
		    "letters, digits, '.', '_' and '-' are wanted", s);
	return 0;
}

static int
control_take_network(struct control_job *j, const char *s)
{
	if (net_parse(s, &j->net) != 0)
		return control_bad(j, ERR_FORMAT, "not an IP address or "
		    "network such as 192.0.2.1 or 2001:db8::/32", s);
	j->has_net = true;
	return 0;
}

static int
control_take_password(struct control_job *j)
{
	const json_t *v = json_object_get(j->args, "password");

	if (v == NULL && (j->work->flags & JOB_MAY_PASSWORD))
		return 0;
	if (!json_is_string(v))
		return err_set(&j->err, ERR_FORMAT, "a password is wanted");
	return scram_prepare(json_string_value(v), json_string_length(v),
	    true, &j->password, &j->err);
}

int
control_take_number(struct control_job *j, const char *key, uint64_t max,
    uint64_t *ret)
{
	const json_t *v = json_object_get(j->args, key);

	if (v == NULL)
		return 0;
	if (!json_is_integer(v) || json_integer_value(v) < 0 ||
	    (uint64_t)json_integer_value(v) > max)
		return err_set(&j->err, ERR_FORMAT, "%s: a number from 0 to "
		    "%llu is wanted", key, (unsigned long long)max);
	*ret = (uint64_t)json_integer_value(v);
	return 0;
}

static int
control_take_page(struct control_job *j)
{
	const char *after = control_arg(j->args, "after");
	uint64_t limit = CONTROL_LIMIT;

	if (after != NULL && str_copy(j->after, sizeof(j->after), after) != 0)
		return err_set(&j->err, ERR_FORMAT,
		    "after: not what \"next\" said");
	if (control_take_number(j, "limit", CONTROL_LIMIT, &limit) != 0)
		return ERR_FORMAT;
	j->limit = limit > 0 ? (size_t)limit : 1;
	return 0;
}

static int
control_take_user_arg(struct control_job *j, const char *s)
{
	return control_take_user(j, s, j->user);
}

static int
control_take_other_arg(struct control_job *j, const char *s)
{
	return control_take_user(j, s, j->other);
}

static const struct control_arg_row {
	const char	*key;
	unsigned int	 must, may;
	int		(*take)(struct control_job *j, const char *s);
} control_arg_rows[] = {
	{ "user", JOB_USER, JOB_MAY_USER, control_take_user_arg },
	{ "other", JOB_OTHER, 0, control_take_other_arg },
	{ "address", JOB_ADDRESS, 0, control_take_address },
	{ "network", JOB_NETWORK, JOB_MAY_NETWORK, control_take_network },
	{ "label", JOB_LABEL, 0, control_take_label },
};

int
control_take(struct control_job *j)
{
	unsigned int f = j->work->flags;
	const struct control_arg_row *row;
	const char *s;
	int r = 0;

	for (size_t i = 0; r == 0 && i < sizeof(control_arg_rows) /
	    sizeof(control_arg_rows[0]); i++) {
		row = &control_arg_rows[i];
		s = control_arg(j->args, row->key);
		if (s == NULL && (f & row->must))
			r = err_set(&j->err, ERR_FORMAT, "%s: %s is missing",
			    j->work->verb, row->key);
		else if (s != NULL && (f & (row->must | row->may)))
			r = row->take(j, s);
	}
	if (r == 0 && (f & JOB_SETTINGS))
		r = control_take_settings(j);
	if (r == 0 && (f & (JOB_PASSWORD | JOB_MAY_PASSWORD)))
		r = control_take_password(j);
	if (r == 0 && (f & JOB_PAGED))
		r = control_take_page(j);
	if (!(f & JOB_PAGED))
		j->limit = CONTROL_LIMIT;
	j->all = json_is_true(json_object_get(j->args, "all"));
	if (r == 0 && (f & JOB_FILTER) && j->user[0] == '\0' && !j->has_net &&
	    !j->all)
		r = err_set(&j->err, ERR_FORMAT,
		    "say which: an address or network, a user, or all");
	return r;
}
