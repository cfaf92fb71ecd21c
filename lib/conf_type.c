/*
 * conf_type.c - the kinds of values that keys have: how each is read, and what
 * is said when it cannot be. Linked into every process, like conf_key.c.
 */
#include "lib/conf_private.h"

#include <stdlib.h>
#include <string.h>

#include "lib/mailbox.h"
#include "lib/maildir.h"
#include "lib/str.h"

#define CONF_HELP_MAX 200
#define CONF_SENDERS_MAX 256

static int
conf_put_str(void *field, const char *s)
{
	char **p = field;

	*p = strdup(s);
	return *p == NULL ? ERR_NOMEM : 0;
}

static void
conf_clear_str(void *field)
{
	char **p = field;

	free(*p);
	*p = NULL;
}

static void
conf_clear_list(void *field)
{
	struct conf_list *l = field;
	size_t i;

	for (i = 0; i < l->n; i++)
		free(l->v[i]);
	free(l->v);
	l->v = NULL;
	l->n = 0;
}

static void
conf_clear_addrs(void *field)
{
	struct conf_addrs *a = field;

	free(a->v);
	a->v = NULL;
	a->n = 0;
}

static void
conf_clear_nets(void *field)
{
	struct conf_nets *a = field;

	free(a->v);
	a->v = NULL;
	a->n = 0;
}

static void
conf_clear_number(void *field)
{
	uint64_t *p = field;

	*p = 0;
}

static void
conf_clear_policy(void *field)
{
	enum conf_sender_policy *p = field;

	*p = SENDER_REJECT;
}

/* A name that a mailbox may have behind its @, and no address literal; with its
 * U-labels, if any, as A-labels. */
static int
conf_domain_canon(const char *s, char dst[MAILBOX_SIZE])
{
	char text[MAILBOX_SIZE];
	struct mailbox mb;

	if (str_format(text, sizeof(text), "x@%s", s) != 0 ||
	    mailbox_parse(text, strlen(text), &mb) != 0 || mb.literal)
		return ERR_FORMAT;
	return str_copy(dst, MAILBOX_SIZE, mailbox_domain(mb.canon));
}

static bool
conf_is_fqdn(const char *s)
{
	char canon[MAILBOX_SIZE];

	return mailbox_is_domain(s, strlen(s)) &&
	    conf_domain_canon(s, canon) == 0;
}

static bool
conf_is_text(const char *s, size_t max)
{
	size_t i;

	for (i = 0; s[i] != '\0'; i++) {
		if (s[i] < ' ' || s[i] > '~')
			return false;
	}
	return i <= max;
}

static int
conf_parse_hostname(void *field, const struct conf_key *k, char *const *v,
    size_t n)
{
	(void)k;
	return n == 1 && conf_is_fqdn(v[0]) ? conf_put_str(field, v[0]) :
	    ERR_FORMAT;
}

/* Appends to the list; a value that stands there already is left out. */
static int
conf_list_add(struct conf_list *l, const char *s)
{
	char **v;
	size_t i;

	for (i = 0; i < l->n; i++) {
		if (strcmp(l->v[i], s) == 0)
			return 0;
	}
	v = reallocarray(l->v, l->n + 1, sizeof(*v));
	if (v == NULL)
		return ERR_NOMEM;
	l->v = v;
	l->v[l->n] = strdup(s);
	if (l->v[l->n] == NULL)
		return ERR_NOMEM;
	l->n++;
	return 0;
}

static int
conf_parse_domains(void *field, const struct conf_key *k, char *const *v,
    size_t n)
{
	char domain[MAILBOX_SIZE];
	size_t i;
	int r;

	(void)k;
	for (i = 0; i < n; i++) {
		if (conf_domain_canon(v[i], domain) != 0)
			return ERR_FORMAT;
		if ((r = conf_list_add(field, domain)) != 0)
			return r;
	}
	return 0;
}

static int
conf_parse_hostport(void *field, const struct conf_key *k, char *const *v,
    size_t n)
{
	char host[MAILBOX_DOMAIN_MAX + 1], text[MAILBOX_DOMAIN_MAX + 16];
	struct addr a;
	uint16_t port;
	bool ip;

	(void)k;
	if (n == 0 || (n == 1 && (v[0][0] == '\0' || str_ieq(v[0], "none"))))
		return 0;
	if (n == 1 && str_ieq(v[0], "mx"))
		return conf_put_str(field, "mx");
	if (n != 1 || addr_split_hostport(v[0], 25, host, sizeof(host),
	    &port) != 0 || port == 0)
		return ERR_FORMAT;
	ip = addr_parse_ip(host, &a) == 0;
	if (!ip && (v[0][0] == '[' || !mailbox_is_domain(host, strlen(host))))
		return ERR_FORMAT;
	if (str_format(text, sizeof(text), ip ? "[%s]:%u" : "%s:%u", host,
	    port) != 0)
		return ERR_LIMIT;
	return conf_put_str(field, text);
}

/* Of a route: a host, its port left to conf_route_host() when there is none, or
 * unix:/path. */
static int
conf_parse_route_host(void *field, const struct conf_key *k, char *const *v,
    size_t n)
{
	char host[MAILBOX_DOMAIN_MAX + 1];
	struct addr a;
	uint16_t port;

	(void)k;
	if (n != 1 || strlen(v[0]) > MAILBOX_DOMAIN_MAX)
		return ERR_FORMAT;
	if (strncmp(v[0], "unix:", 5) == 0)
		return v[0][5] == '/' && strlen(v[0] + 5) < 108 ?
		    conf_put_str(field, v[0]) : ERR_FORMAT;
	if (addr_split_hostport(v[0], 25, host, sizeof(host), &port) != 0 ||
	    port == 0 || (addr_parse_ip(host, &a) != 0 && (v[0][0] == '[' ||
	    !mailbox_is_domain(host, strlen(host)))))
		return ERR_FORMAT;
	return conf_put_str(field, v[0]);
}

/* example.org, .example.org for all below it, or * for all. */
static int
conf_parse_route_domains(void *field, const struct conf_key *k,
    char *const *v, size_t n)
{
	char text[MAILBOX_SIZE + 1], domain[MAILBOX_SIZE];
	int r = 0;

	(void)k;
	for (size_t i = 0; i < n && r == 0; i++) {
		bool below = v[i][0] == '.';

		if (strcmp(v[i], "*") == 0)
			r = conf_list_add(field, v[i]);
		else if ((r = str_format(text, sizeof(text), "%s%s", below ?
		    "x" : "", v[i])) == 0 &&
		    (r = conf_domain_canon(text, domain)) == 0)
			r = conf_list_add(field, domain + below);
	}
	return r;
}

static int
conf_parse_addrs(void *field, const struct conf_key *k, char *const *v,
    size_t n)
{
	struct conf_addrs *a = field;
	size_t i;

	(void)k;
	if (n > 64)
		return ERR_LIMIT;
	a->v = calloc(n + 1, sizeof(*a->v));
	if (a->v == NULL)
		return ERR_NOMEM;
	a->n = n;
	for (i = 0; i < n; i++) {
		if (addr_parse(v[i], &a->v[i]) != 0)
			return ERR_FORMAT;
	}
	return 0;
}

static int
conf_parse_nets(void *field, const struct conf_key *k, char *const *v,
    size_t n)
{
	struct conf_nets *a = field;
	size_t i;

	(void)k;
	a->v = calloc(n + 1, sizeof(*a->v));
	if (a->v == NULL)
		return ERR_NOMEM;
	a->n = n;
	for (i = 0; i < n; i++) {
		if (net_parse(v[i], &a->v[i]) != 0)
			return ERR_FORMAT;
	}
	return 0;
}

static int
conf_parse_path(void *field, const struct conf_key *k, char *const *v,
    size_t n)
{
	(void)k;
	if (n != 1 || v[0][0] != '/' || strlen(v[0]) > 1023)
		return ERR_FORMAT;
	return conf_put_str(field, v[0]);
}

static int
conf_parse_paths(void *field, const struct conf_key *k, char *const *v,
    size_t n)
{
	struct conf_list *l = field;
	size_t i;

	(void)k;
	if (n > TLS_PAIRS_MAX)
		return ERR_LIMIT;
	l->v = calloc(n + 1, sizeof(*l->v));
	if (l->v == NULL)
		return ERR_NOMEM;
	for (i = 0; i < n; i++) {
		if (v[i][0] != '/' || strlen(v[i]) > 1023)
			return ERR_FORMAT;
		l->v[i] = strdup(v[i]);
		if (l->v[i] == NULL)
			return ERR_NOMEM;
		l->n++;
	}
	return 0;
}

static int
conf_parse_template(void *field, const struct conf_key *k, char *const *v,
    size_t n)
{
	char path[MAILDIR_PATH_MAX];

	(void)k;
	if (n != 1 || maildir_expand(v[0], "u@d.example", path,
	    sizeof(path)) != 0 || strlen(v[0]) > 200 ||
	    (strstr(v[0], "%n") == NULL && strstr(v[0], "%u") == NULL))
		return ERR_FORMAT;
	return conf_put_str(field, v[0]);
}

static int
conf_parse_log(void *field, const struct conf_key *k, char *const *v, size_t n)
{
	if (n == 1 && (strcmp(v[0], "stderr") == 0 ||
	    strcmp(v[0], "syslog") == 0))
		return conf_put_str(field, v[0]);
	return conf_parse_path(field, k, v, n);
}

static int
conf_parse_bounded(void *field, const struct conf_key *k, uint64_t n)
{
	uint64_t *p = field;

	if (n < k->min || n > k->max)
		return ERR_LIMIT;
	*p = n;
	return 0;
}

static int
conf_parse_duration(void *field, const struct conf_key *k, char *const *v,
    size_t n)
{
	uint64_t s;

	if (n != 1 || str_duration_s(v[0], &s) != 0)
		return ERR_FORMAT;
	return conf_parse_bounded(field, k, s);
}

static int
conf_parse_size(void *field, const struct conf_key *k, char *const *v,
    size_t n)
{
	uint64_t octets;

	if (n == 1 && v[0][0] == '\0' && k->min == 0)
		return 0;
	if (n != 1 || str_size(v[0], &octets) != 0)
		return ERR_FORMAT;
	return conf_parse_bounded(field, k, octets);
}

static int
conf_parse_number(void *field, const struct conf_key *k, char *const *v,
    size_t n)
{
	uint64_t u;

	if (n != 1 || str_u64(v[0], 0, UINT64_MAX, &u) != 0)
		return ERR_FORMAT;
	return conf_parse_bounded(field, k, u);
}

static int
conf_parse_policy(void *field, const struct conf_key *k, char *const *v,
    size_t n)
{
	enum conf_sender_policy *p = field;

	(void)k;
	if (n == 1 && strcmp(v[0], "reject") == 0)
		*p = SENDER_REJECT;
	else if (n == 1 && strcmp(v[0], "add-sender") == 0)
		*p = SENDER_ADD;
	else if (n == 1 && strcmp(v[0], "log") == 0)
		*p = SENDER_LOG;
	else
		return ERR_FORMAT;
	return 0;
}

/* A sender of a trusted network: an address, or @domain for all of it. */
static int
conf_sender_canon(const char *s, char *dst, size_t size)
{
	char text[MAILBOX_SIZE];
	struct mailbox mb;
	bool all = s[0] == '@';

	if (str_format(text, sizeof(text), "%s%s", all ? "x" : "", s) != 0 ||
	    mailbox_parse(text, strlen(text), &mb) != 0)
		return ERR_FORMAT;
	return str_copy(dst, size, all ? mb.canon + 1 : mb.canon);
}

static int
conf_parse_senders(void *field, const struct conf_key *k, char *const *v,
    size_t n)
{
	char canon[MAILBOX_SIZE];
	size_t i;
	int r = n > CONF_SENDERS_MAX ? ERR_LIMIT : 0;

	(void)k;
	for (i = 0; i < n && r == 0; i++) {
		r = conf_sender_canon(v[i], canon, sizeof(canon));
		if (r == 0)
			r = conf_list_add(field, canon);
	}
	return r;
}

/* One of the key's words; the field is an enum in their order. */
static int
conf_parse_word(void *field, const struct conf_key *k, char *const *v, size_t n)
{
	int *p = field, i;

	for (i = 0; n == 1 && k->words[i] != NULL; i++) {
		if (strcmp(v[0], k->words[i]) == 0) {
			*p = i;
			return 0;
		}
	}
	return ERR_FORMAT;
}

static void
conf_clear_word(void *field)
{
	int *p = field;

	*p = 0;
}

static int
conf_parse_mechs(void *field, const struct conf_key *k, char *const *v,
    size_t n)
{
	uint64_t *bits = field;
	int m;

	(void)k;
	for (size_t i = 0; i < n; i++) {
		if ((m = conf_mech_find(v[i])) < 0)
			return ERR_FORMAT;
		*bits |= CONF_MECH_BIT(m);
	}
	return 0;
}

static int
conf_parse_bool(void *field, const struct conf_key *k, char *const *v,
    size_t n)
{
	bool *p = field;

	(void)k;
	if (n != 1 || (strcmp(v[0], "yes") != 0 && strcmp(v[0], "no") != 0))
		return ERR_FORMAT;
	*p = v[0][0] == 'y';
	return 0;
}

static void
conf_clear_bool(void *field)
{
	bool *p = field;

	*p = false;
}

/* Names of header fields (RFC 5322 section 2.2). */
static int
conf_parse_fields(void *field, const struct conf_key *k, char *const *v,
    size_t n)
{
	int r;

	(void)k;
	for (size_t i = 0; i < n; i++) {
		if (v[i][0] == '\0' || !conf_is_text(v[i], 76) ||
		    strpbrk(v[i], " :") != NULL)
			return ERR_FORMAT;
		if ((r = conf_list_add(field, v[i])) != 0)
			return r;
	}
	return 0;
}

static int
conf_parse_domain(void *field, const struct conf_key *k, char *const *v,
    size_t n)
{
	char **domain = field;
	int r;

	(void)k;
	if (n == 1 && v[0][0] == '\0')
		return 0;
	if (n != 1 || !conf_is_fqdn(v[0]))
		return ERR_FORMAT;
	if ((r = conf_put_str(field, v[0])) == 0)
		str_lower(*domain);
	return r;
}

/* '#' parts a user and the label of his credential; '.', '_', '-' and letters
 * stand in names. */
static int
conf_parse_separators(void *field, const struct conf_key *k, char *const *v,
    size_t n)
{
	(void)k;
	if (n == 1 && v[0][0] == '\0')
		return 0;
	if (n != 1 || strlen(v[0]) > 4 ||
	    strspn(v[0], "%/!:+=") != strlen(v[0]))
		return ERR_FORMAT;
	return conf_put_str(field, v[0]);
}

static int
conf_parse_mailbox(void *field, const struct conf_key *k, char *const *v,
    size_t n)
{
	struct mailbox mb;

	(void)k;
	if (n == 1 && v[0][0] == '\0')
		return 0;
	if (n != 1 || mailbox_parse(v[0], strlen(v[0]), &mb) != 0)
		return ERR_FORMAT;
	return conf_put_str(field, mb.canon);
}

static int
conf_parse_text(void *field, const struct conf_key *k, char *const *v,
    size_t n)
{
	(void)k;
	if (n == 1 && v[0][0] == '\0')
		return 0;
	if (n != 1 || !conf_is_text(v[0], CONF_HELP_MAX))
		return ERR_FORMAT;
	return conf_put_str(field, v[0]);
}

const struct conf_type
conf_hostname = { conf_parse_hostname, conf_clear_str, false, false,
	"a fully qualified name such as mail.example.org" },
conf_domains = { conf_parse_domains, conf_clear_list, true, false,
	"domains such as example.org" },
conf_hostport = { conf_parse_hostport, conf_clear_str, false, false,
	"mx, none, host:port or [address]:port" },
conf_addrs = { conf_parse_addrs, conf_clear_addrs, true, false,
	"addresses with ports such as 0.0.0.0:587 or [::]:587" },
conf_nets = { conf_parse_nets, conf_clear_nets, true, false,
	"networks such as 192.0.2.0/24 or 2001:db8::/32" },
conf_path = { conf_parse_path, conf_clear_str, false, true,
	"a path of at most 1023 octets" },
conf_paths = { conf_parse_paths, conf_clear_list, true, true,
	"at most 8 paths of files" },
conf_template = { conf_parse_template, conf_clear_str, false, false,
	"a path below mail_root with %n or %u, such as %d/%n" },
conf_log = { conf_parse_log, conf_clear_str, false, true,
	"stderr, syslog or the path of a file" },
conf_duration = { conf_parse_duration, conf_clear_number, false, false, NULL },
conf_size = { conf_parse_size, conf_clear_number, false, false, NULL },
conf_number = { conf_parse_number, conf_clear_number, false, false, NULL },
conf_policy = { conf_parse_policy, conf_clear_policy, false, false,
	"reject, add-sender or log" },
conf_user = { conf_parse_mailbox, conf_clear_str, false, false,
	"a full address such as anna@example.org" },
conf_text = { conf_parse_text, conf_clear_str, false, false,
	"at most 200 printable ASCII characters" },
conf_mechs = { conf_parse_mechs, conf_clear_number, true, false,
	"mechanisms among SCRAM-SHA-256-PLUS, SCRAM-SHA-1-PLUS, SCRAM-SHA-256, "
	"SCRAM-SHA-1, EXTERNAL, PLAIN, CRAM-MD5, APOP, LOGIN" },
conf_bool = { conf_parse_bool, conf_clear_bool, false, false, "yes or no" },
conf_domain = { conf_parse_domain, conf_clear_str, false, false,
	"a domain such as example.org" },
conf_separators = { conf_parse_separators, conf_clear_str, false, false,
	"up to 4 of the characters % / ! : + =" },
conf_fields = { conf_parse_fields, conf_clear_list, true, false,
	"names of header fields such as Bcc" },
conf_senders = { conf_parse_senders, conf_clear_list, true, false,
	"at most 256 addresses, or @domain" },
conf_route_domains = { conf_parse_route_domains, conf_clear_list, true, false,
	"domains such as example.org, .example.org for all below it, or *" },
conf_route_hosts = { conf_parse_route_host, conf_clear_str, false, false,
	"host:port, [address]:port or unix:/path" },
conf_word = { conf_parse_word, conf_clear_word, false, false, "a word" },
conf_section = { NULL, NULL, false, false, "a section" };
