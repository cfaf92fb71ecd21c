/*
 * conf_key.c - the table of configuration keys and how each kind of value is
 * read. Linked into every process: parents read text from the file by it, and
 * children what they are sent. A new key is one row here, one field in
 * conf.h, one paragraph in submitd.conf.5.
 */
#include "lib/conf_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/mailbox.h"
#include "lib/maildir.h"
#include "lib/str.h"

#define CONF_HELP_MAX 200

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
	else if (n == 1 && strcmp(v[0], "log") == 0)
		*p = SENDER_LOG;
	else
		return ERR_FORMAT;
	return 0;
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

static const struct conf_type
conf_hostname = { conf_parse_hostname, conf_clear_str, false, false,
	"a fully qualified name such as mail.example.org" },
conf_domains = { conf_parse_domains, conf_clear_list, true, false,
	"domains such as example.org" },
conf_hostport = { conf_parse_hostport, conf_clear_str, false, false,
	"host:port, [address]:port, or none" },
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
	"reject or log" },
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
conf_section = { NULL, NULL, false, false,
	"a section: trusted_networks NETWORK { senders = {…} }" };

#define AT(field) offsetof(struct conf, field)

const struct conf_key conf_keys[] = {
	{ .name = "hostname", .type = &conf_hostname, .offset = AT(hostname),
	  .help = "this server's own name, in greetings and Received" },
	{ .name = "local_domains", .type = &conf_domains,
	  .offset = AT(local_domains), .dflt = "",
	  .help = "domains whose mail goes to users' Maildirs" },
	{ .name = "next_hop", .type = &conf_hostport, .offset = AT(next_hop),
	  .dflt = "", .help = "the mail server that takes all other mail" },
	{ .name = "listen_submission", .type = &conf_addrs,
	  .offset = AT(listen_submission), .dflt = "0.0.0.0:587, [::]:587",
	  .help = "where submission with STARTTLS listens" },
	{ .name = "listen_submissions", .type = &conf_addrs,
	  .offset = AT(listen_submissions), .dflt = "0.0.0.0:465, [::]:465",
	  .help = "where submission under implicit TLS listens" },
	{ .name = "listen_pop3", .type = &conf_addrs,
	  .offset = AT(listen_pop3), .dflt = "0.0.0.0:110, [::]:110",
	  .help = "where POP3 with STLS listens" },
	{ .name = "listen_pop3s", .type = &conf_addrs,
	  .offset = AT(listen_pop3s), .dflt = "0.0.0.0:995, [::]:995",
	  .help = "where POP3 under implicit TLS listens" },
	{ .name = "tls_cert", .type = &conf_paths, .offset = AT(tls_cert),
	  .dflt = "", .help = "certificate chains, PEM, own certificate first" },
	{ .name = "tls_key", .type = &conf_paths, .offset = AT(tls_key),
	  .dflt = "", .help = "their private keys, in the same order" },
	{ .name = "maildir", .type = &conf_template, .offset = AT(maildir),
	  .dflt = "%d/%n",
	  .help = "a user's Maildir: %d domain, %n local part, %u user" },
	{ .name = "mail_root", .type = &conf_path, .offset = AT(mail_root),
	  .dflt = LOCALSTATEDIR "/lib/submitd/mail", .root_dflt = "mail",
	  .help = "the folder that holds all Maildirs" },
	{ .name = "spool_dir", .type = &conf_path, .offset = AT(spool_dir),
	  .dflt = LOCALSTATEDIR "/spool/submitd", .root_dflt = "spool",
	  .help = "the folder of messages on their way" },
	{ .name = "db_dir", .type = &conf_path, .offset = AT(db_dir),
	  .dflt = LOCALSTATEDIR "/lib/submitd/db", .root_dflt = "db",
	  .help = "the folder of users and the relay cache" },
	{ .name = "run_dir", .type = &conf_path, .offset = AT(run_dir),
	  .dflt = RUNSTATEDIR "/submitd", .root_dflt = "run",
	  .help = "the folder of the daemons' sockets" },
	{ .name = "libexec_dir", .type = &conf_path, .offset = AT(libexec_dir),
	  .dflt = PKGLIBEXECDIR,
	  .help = "the folder of the programs that the daemons start" },
	{ .name = "log_to", .type = &conf_log, .offset = AT(log_to),
	  .dflt = "stderr", .help = "stderr, syslog or a file" },
	{ .name = "grant_ttl", .type = &conf_duration, .offset = AT(grant_ttl_s),
	  .dflt = "30m", .min = 1, .max = 30 * 86400, .unit = "s",
	  .help = "how long a POP3 login lets its address send" },
	{ .name = "grant_exclude", .type = &conf_nets,
	  .offset = AT(grant_exclude), .dflt =
	  "127.0.0.0/8, ::1/128, 169.254.0.0/16, fe80::/10, 100.64.0.0/10",
	  .help = "networks that never get a grant" },
	{ .name = "grant_ipv6_prefix", .type = &conf_number,
	  .offset = AT(grant_ipv6_prefix), .dflt = "128", .min = 56,
	  .max = 128, .unit = "bits",
	  .help = "how much of an IPv6 address a grant compares" },
	{ .name = "trusted_networks", .type = &conf_section, .dflt = "",
	  .help = "networks that may send without login (a section each)" },
	{ .name = "sender_policy", .type = &conf_policy,
	  .offset = AT(sender_policy), .dflt = "reject",
	  .help = "what a sender that is not the user's own gets" },
	{ .name = "guessing_exempt", .type = &conf_nets,
	  .offset = AT(guessing_exempt), .dflt = "",
	  .help = "networks that no guessing defence blocks" },
	{ .name = "mechanisms", .type = &conf_mechs, .offset = AT(mechanisms),
	  .dflt = "SCRAM-SHA-256, PLAIN, LOGIN",
	  .help = "the ways to log in that are offered" },
	{ .name = "mechanisms_submission", .type = &conf_mechs,
	  .offset = AT(mechanisms_by[CONF_SUBMISSION]), .dflt = "",
	  .help = "the same for listen_submission alone" },
	{ .name = "mechanisms_submissions", .type = &conf_mechs,
	  .offset = AT(mechanisms_by[CONF_SUBMISSIONS]), .dflt = "",
	  .help = "the same for listen_submissions alone" },
	{ .name = "mechanisms_pop3", .type = &conf_mechs,
	  .offset = AT(mechanisms_by[CONF_POP3]), .dflt = "",
	  .help = "the same for listen_pop3 alone" },
	{ .name = "mechanisms_pop3s", .type = &conf_mechs,
	  .offset = AT(mechanisms_by[CONF_POP3S]), .dflt = "",
	  .help = "the same for listen_pop3s alone" },
	{ .name = "scram_sha1", .type = &conf_bool, .offset = AT(scram_sha1),
	  .dflt = "no", .help =
	  "keep SCRAM-SHA-1 keys too, and let the mechanism be offered" },
	{ .name = "scram_iterations", .type = &conf_number,
	  .offset = AT(scram_iterations), .dflt = "10000", .min = 4096,
	  .max = 65536, .help = "the cost of a password's keys" },
	{ .name = "scram_transition", .type = &conf_bool,
	  .offset = AT(scram_transition), .dflt = "no", .help =
	  "432 to SCRAM before keys exist; tells which names exist" },
	{ .name = "default_domain", .type = &conf_domain,
	  .offset = AT(default_domain), .dflt = "",
	  .help = "the domain of logins by local part alone" },
	{ .name = "login_separators", .type = &conf_separators,
	  .offset = AT(login_separators), .dflt = "",
	  .help = "what may stand for the @ in a login" },
	{ .name = "auth_wait", .type = &conf_duration,
	  .offset = AT(auth_wait_s), .dflt = "20s", .min = 1, .max = 300,
	  .unit = "s", .help = "how long a password check may have to wait" },
	{ .name = "message_size_limit", .type = &conf_size,
	  .offset = AT(message_size_limit), .dflt = "50M", .min = 1024,
	  .max = 4ull << 30, .unit = "octets",
	  .help = "the largest message taken, advertised with SIZE" },
	{ .name = "recipient_limit", .type = &conf_number,
	  .offset = AT(recipient_limit), .dflt = "1000", .min = 1,
	  .max = 10000, .help = "recipients of one message" },
	{ .name = "retry_min", .type = &conf_duration, .offset = AT(retry_min_s),
	  .dflt = "5m", .min = 1, .max = 7 * 86400, .unit = "s",
	  .help = "the wait before the first retry" },
	{ .name = "retry_max", .type = &conf_duration, .offset = AT(retry_max_s),
	  .dflt = "1h", .min = 1, .max = 7 * 86400, .unit = "s",
	  .help = "the longest wait between retries" },
	{ .name = "queue_lifetime", .type = &conf_duration,
	  .offset = AT(queue_lifetime_s), .dflt = "5d", .min = 1,
	  .max = 60 * 86400, .unit = "s",
	  .help = "after this a message goes back to its sender" },
	{ .name = "spool_min_free", .type = &conf_size,
	  .offset = AT(spool_min_free), .dflt = "", .min = 0, .max = 1ull << 50,
	  .unit = "octets",
	  .help = "space kept free on the spool's disk (empty: 1G or 5 %)" },
	{ .name = "session_max", .type = &conf_duration,
	  .offset = AT(session_max_s), .dflt = "24h", .min = 1,
	  .max = 30 * 86400, .unit = "s",
	  .help = "how long one login holds" },
	{ .name = "auth_threads", .type = &conf_number,
	  .offset = AT(auth_threads), .min = 1, .max = 256,
	  .help = "threads that check passwords" },
	{ .name = "postmaster", .type = &conf_user, .offset = AT(postmaster),
	  .dflt = "", .help = "the user who gets postmaster's mail" },
	{ .name = "help_text", .type = &conf_text, .offset = AT(help_text),
	  .dflt = "", .help = "a URL or telephone number behind refusals" },
	{ .name = NULL },
};

size_t
conf_key_count(void)
{
	return sizeof(conf_keys) / sizeof(conf_keys[0]) - 1;
}

size_t
conf_key_find(const char *name)
{
	size_t i;

	for (i = 0; conf_keys[i].name != NULL; i++) {
		if (strcmp(conf_keys[i].name, name) == 0)
			return i;
	}
	return CONF_NO_KEY;
}

const char *
conf_key_name(size_t i)
{
	return i < conf_key_count() ? conf_keys[i].name : NULL;
}

/* Levenshtein's distance, for names of keys (shorter than 32). */
static size_t
conf_key_distance(const char *a, const char *b)
{
	size_t row[33], n = strlen(b), i, j, diag, up, best;

	if (n > 32)
		return 32;
	for (j = 0; j <= n; j++)
		row[j] = j;
	for (i = 1; *a != '\0'; a++, i++) {
		diag = row[0];
		row[0] = i;
		for (j = 1; j <= n; j++) {
			up = row[j];
			best = diag + (*a != b[j - 1]);
			if (up + 1 < best)
				best = up + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
			diag = up;
		}
	}
	return row[n];
}

const char *
conf_key_nearest(const char *name)
{
	size_t i, d, best = strlen(name) / 3 + 2;
	const char *ret = NULL;

	for (i = 0; conf_keys[i].name != NULL; i++) {
		d = conf_key_distance(name, conf_keys[i].name);
		if (d < best) {
			best = d;
			ret = conf_keys[i].name;
		}
	}
	return ret;
}

/* 3600 as "1h", 1024 as "1K": the largest unit that divides it. */
static void
conf_unit_text(uint64_t n, const struct conf_key *k, char *dst, size_t size)
{
	static const struct { uint64_t factor; char letter; } units[2][4] = {
		{ { 86400, 'd' }, { 3600, 'h' }, { 60, 'm' }, { 1, 's' } },
		{ { 1ull << 40, 'T' }, { 1ull << 30, 'G' },
		  { 1ull << 20, 'M' }, { 1ull << 10, 'K' } },
	};
	size_t i, kind = k->type == &conf_size;

	for (i = 0; i < 4 && k->type != &conf_number && n > 0; i++) {
		if (n % units[kind][i].factor == 0) {
			str_format(dst, size, "%llu%c", (unsigned long long)
			    (n / units[kind][i].factor), units[kind][i].letter);
			return;
		}
	}
	str_format(dst, size, "%llu", (unsigned long long)n);
}

static void
conf_key_expected(const struct conf_key *k, char *dst, size_t size)
{
	char min[32], max[32];

	if (k->type->expected != NULL) {
		str_copy(dst, size, k->type->expected);
		return;
	}
	conf_unit_text(k->min, k, min, sizeof(min));
	conf_unit_text(k->max, k, max, sizeof(max));
	str_format(dst, size, "%s from %s to %s%s",
	    k->type == &conf_duration ? "a duration" :
	    k->type == &conf_size ? "a size" : "a number", min, max,
	    k->type == &conf_duration ? " (units s m h d w)" :
	    k->type == &conf_size ? " (units K M G T)" : "");
}

int
conf_key_error(const struct conf_key *k, char *const *v, size_t n,
    struct err *reterr)
{
	char expected[160], given[81];
	size_t i, len = 0;

	conf_key_expected(k, expected, sizeof(expected));
	/* Of a list of mechanisms the one that is none is named. */
	for (; k->type == &conf_mechs && n > 1 && conf_mech_find(*v) >= 0; n--)
		v++;
	n = k->type == &conf_mechs && n > 1 ? 1 : n;
	for (i = 0; i < n; i++) {
		if (str_format(given + len, sizeof(given) - len, "%s%s",
		    i > 0 ? ", " : "", v[i]) != 0)
			break;
		len += strlen(given + len);
	}
	given[len] = '\0';
	for (len = 0; given[len] != '\0'; len++) {
		if (given[len] < ' ' || given[len] > '~')
			given[len] = '?';
	}
	return err_set(reterr, ERR_CONFIG, "%s: expected %s, not \"%s%s\"",
	    k->name, expected, given, i < n ? "…" : "");
}

static int
conf_default_found(const struct conf_key *k, char *dst, size_t size)
{
	long cores;

	if (k->type == &conf_hostname) {
		if (gethostname(dst, size) < 0)
			dst[0] = '\0';
		dst[size - 1] = '\0';
		return 0;
	}
	cores = sysconf(_SC_NPROCESSORS_ONLN);
	if (cores < 2)
		cores = 2;
	if (cores > (long)k->max)
		cores = (long)k->max;
	return str_format(dst, size, "%ld", cores);
}

/* A machine may have no IPv6 at all; nobody asked for [::] then. */
static bool
conf_has_ipv6(void)
{
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return errno != EAFNOSUPPORT;
	close(fd);
	return true;
}

char *
conf_default(const struct conf_values *vals, const struct conf_key *k)
{
	char text[256], *path;

	if (vals->root != NULL && k->root_dflt != NULL)
		return asprintf(&path, "%s/%s", vals->root, k->root_dflt) < 0 ?
		    NULL : path;
	if (k->type == &conf_addrs && !conf_has_ipv6())
		return strndup(k->dflt, strcspn(k->dflt, ","));
	if (k->dflt != NULL)
		return strdup(k->dflt);
	return conf_default_found(k, text, sizeof(text)) != 0 ? NULL :
	    strdup(text);
}
