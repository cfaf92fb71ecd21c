/*
 * t_conf.c - the configuration: values, messages with file and line, defaults,
 * and the way to the children.
 */
#include "lib/conf.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/conf_private.h"
#include "lib/conf_route.h"
#include "lib/str.h"
#include "tests/unit/unit.h"

#define HOST "hostname = mail.example.org\n"

static char dir[] = "/tmp/t_conf.XXXXXX";

static void
put(const char *name, const char *text)
{
	char path[64];
	FILE *fp;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fp = fopen(path, "w");
	assert_non_null(fp);
	fputs(text, fp);
	fclose(fp);
}

static int
setup(void **state)
{
	char path[64];

	(void)state;
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/etc", dir);
	return mkdir(path, 0700);
}

static int
teardown(void **state)
{
	static const char *const names[] = { "c", "inc", "loop",
	    "etc/submitd.conf" };
	char path[64];
	size_t i;

	(void)state;
	for (i = 0; i < ROWS(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		unlink(path);
	}
	snprintf(path, sizeof(path), "%s/etc", dir);
	rmdir(path);
	return rmdir(dir);
}

static int
load(const char *text, const char *override, struct conf **ret,
    struct err *reterr)
{
	char path[64];
	struct conf_args args = { .file = path, .overrides = &override,
	    .n_overrides = override != NULL };

	put("c", text);
	snprintf(path, sizeof(path), "%s/c", dir);
	return conf_load(&args, ret, reterr);
}

/* Each is an error; the text begins with "DIR/c" where the row has a colon. */
#define ROUTE(keys) "route r {\n" keys "\n}\n"
#define STAR "domains = \"*\"\n"

static void
test_errors(void **state)
{
	static const struct {
		const char *name, *text, *override, *expected;
	} rows[] = {
		{ "short host", "hostname = box\n", NULL,
		  ":1: hostname: expected a fully qualified name" },
		{ "unknown", "\n\nhostnam = a.b\n", NULL,
		  ":3: hostnam: unknown key; did you mean hostname?" },
		{ "unknown, far", "zzz = a\n", NULL, ":1: zzz: unknown key" },
		{ "twice", HOST "retry_min = 1s\nretry_min = 1s\n", NULL,
		  ":3: retry_min: expected once, but it is set already at" },
		{ "appended", HOST "tls_cert += a\n", NULL,
		  ":2: tls_cert: expected = and one value" },
		{ "list for one", HOST "retry_min = {1s}\n", NULL,
		  ":2: retry_min: expected one value, no list" },
		{ "after comment", "/*\n*/ grant_ttl = x\n", NULL,
		  ":2: grant_ttl: expected a duration from 1s to 30d (units "
		  "s m h d w), not \"x\"" },
		{ "too small", HOST "retry_min = 0s\n", NULL,
		  ":2: retry_min: expected a duration from 1s to 7d" },
		{ "size", HOST "message_size_limit = 50MB\n", NULL,
		  ":2: message_size_limit: expected a size from 1K to 4G" },
		{ "number", HOST "grant_ipv6_prefix = 48\n", NULL,
		  ":2: grant_ipv6_prefix: expected a number from 56 to 128, "
		  "not \"48\"" },
		{ "listener", HOST "listen_pop3 = {1.2.3.4}\n", NULL,
		  ":2: listen_pop3: expected addresses with ports" },
		{ "net", HOST "grant_exclude = 10.1.0.0/8\n", NULL,
		  ":2: grant_exclude: expected networks" },
		{ "domain", HOST "local_domains = \"a b.c\"\n", NULL,
		  ":2: local_domains: expected domains" },
		{ "next hop", HOST "next_hop = \"a:b\"\n", NULL,
		  ":2: next_hop: expected mx, none, host:port" },
		{ "route without via", HOST ROUTE("domains = \"a.b\""), NULL,
		  ":2: route r: expected via = mx, smtp" },
		{ "route without domains", HOST ROUTE("via = mx"), NULL,
		  ":2: route r: expected domains" },
		{ "route's domains", HOST ROUTE("domains = {\"a b.c\", \"..\"}"),
		  NULL, ":3: domains: expected domains such as" },
		{ "route without host", HOST ROUTE(STAR "via = smtp"), NULL,
		  ":2: route r: expected host" },
		{ "route by MX with a host", HOST ROUTE(STAR
		  "via = mx\nhost = \"a.b\""), NULL,
		  ":2: route r: host: expected only with" },
		{ "route's host", HOST ROUTE("host = \"a b\""), NULL,
		  ":3: host: expected host:port, [address]" },
		{ "SMTP over a UNIX socket", HOST ROUTE(STAR
		  "via = smtp\nhost = \"unix:/s\""), NULL,
		  ":2: route r: host: expected unix: only with" },
		{ "TLS over a UNIX socket", HOST ROUTE(STAR "via = lmtp\n"
		  "host = \"unix:/s\"\ntls = encrypt"), NULL,
		  ":2: route r: tls: expected none or may" },
		{ "port beside host", HOST ROUTE(STAR "via = smtp\n"
		  "host = \"a.b\"\nport = 26"), NULL,
		  ":2: route r: port: expected only with via = mx" },
		{ "credentials in clear", HOST ROUTE(STAR "via = smtp\n"
		  "host = \"a.b\"\nauth = plain\nauth_user = u\n"
		  "auth_secret_file = \"/s\"\ntls = encrypt"), NULL,
		  ":2: route r: auth: expected tls = verify" },
		{ "credentials without a secret", HOST ROUTE(STAR "via = smtp\n"
		  "host = \"a.b\"\nauth = plain\nauth_user = u\n"
		  "tls = verify"), NULL,
		  ":2: route r: auth: expected auth_user and" },
		{ "credentials to anybody", HOST ROUTE(STAR "via = mx\n"
		  "auth = plain\ntls = dane"), NULL,
		  ":2: route r: auth: expected only with via" },
		{ "local for others' domains", HOST
		  ROUTE(STAR "via = local"), NULL,
		  ":2: route r: domains: expected domains of local_domains" },
		{ "route called next_hop", HOST "route next_hop {\n" STAR
		  "via = mx\n}\n", NULL,
		  ":2: route next_hop: expected another name" },
		{ "template", HOST "maildir = \"../%n\"\n", NULL,
		  ":2: maildir: expected a path below mail_root" },
		{ "template for all", HOST "maildir = \"%d\"\n", NULL,
		  ":2: maildir: expected a path below mail_root" },
		{ "policy", HOST "sender_policy = warn\n", NULL,
		  ":2: sender_policy: expected reject, add-sender or log, not \"warn\"" },
		{ "field with a colon", HOST "drop_headers = {\"Bcc:\"}\n", NULL,
		  ":2: drop_headers: expected names of header fields" },
		{ "header policy", HOST "header_policy = enforce\n", NULL,
		  ":2: header_policy: expected reject or log, not" },
		{ "line limit", HOST "line_limit = 998\n", NULL,
		  ":2: line_limit: expected a size from 1000 to 1G" },
		{ "postmaster", HOST "postmaster = anna\n", NULL,
		  ":2: postmaster: expected a full address" },
		{ "help", HOST "help_text = \"a\\nb\"\n", NULL,
		  ":2: help_text: expected at most 200 printable" },
		{ "no mechanism", HOST "mechanisms = {PLAIN, DIGEST-MD5, "
		  "LOGIN}\n", NULL, ":2: mechanisms: expected mechanisms among "
		  "SCRAM-SHA-256-PLUS, SCRAM-SHA-1-PLUS, SCRAM-SHA-256, "
		  "SCRAM-SHA-1, EXTERNAL, PLAIN, CRAM-MD5, APOP, LOGIN, not "
		  "\"DIGEST-MD5\"" },
		{ "SCRAM-SHA-1 of a listener", HOST "mechanisms_pop3 = "
		  "{PLAIN, SCRAM-SHA-1}\n", NULL,
		  ":2: mechanisms_pop3: SCRAM-SHA-1 needs scram_sha1" },
		{ "open string", HOST "help_text = \"abc\n", NULL,
		  ":2: the string that begins here is never closed" },
		{ "open comment", HOST "/* x\n\n", NULL,
		  ":2: the comment that begins here is never closed" },
		{ "open list", HOST "tls_cert = { a,\n b\n", NULL,
		  ":2: the list that begins here is never closed" },
		{ "open section", HOST "trusted_networks 10.0.0.0/8 {\n"
		  "owner = \"a@b.example\"\n", NULL,
		  ":2: trusted_networks: the section that begins here is "
		  "never closed" },
		{ "section in section", "trusted_networks 10.0.0.0/8 {\n"
		  "trusted_networks 11.0.0.0/8 {\n}\n}\n", NULL,
		  ":1: trusted_networks: this section is not closed" },
		{ "closed twice", HOST "}\n", NULL, ":2: a } that closes" },
		{ "no value", "hostname =\n", NULL,
		  ":1: hostname: expected a value behind the =" },
		{ "no equal sign", "hostname mail.example.org\n", NULL,
		  ":1: hostname: expected = and one value" },
		{ "whole net", "\ntrusted_networks 0.0.0.0/0 "
		  "{ owner = \"a@b.example\" }\n", NULL,
		  ":2: trusted_networks: expected a network, not the whole" },
		{ "whole net 6", "trusted_networks ::/0 "
		  "{ owner = \"a@b.example\" }\n", NULL,
		  ":1: trusted_networks: expected a network, not the whole" },
		{ "both", "trusted_networks 10.0.0.0/8 { owner = a@b.example\n"
		  "senders = {a@b.example} }\n", NULL,
		  ":1: trusted_networks 10.0.0.0/8: expected either" },
		{ "owner", "trusted_networks 10.0.0.0/8 { owner = anna }\n",
		  NULL, ":1: owner: expected a full address" },
		{ "second section", "trusted_networks 10.0.0.0/8 { owner = "
		  "a@b.example }\ntrusted_networks 11.0.0.0/8 { senders = x }",
		  NULL, ":2: senders: expected at most 256 addresses" },
		{ "key in section", "trusted_networks 10.0.0.0/8 {\n"
		  "hostname = a.b }\n", NULL,
		  ":2: hostname: unknown key; expected senders or owner" },
		{ "network twice", HOST "trusted_networks 10.0.0.0/8 { }\n"
		  "trusted_networks \"::ffff:10.0.0.0/104\" { }\n", NULL,
		  ":3: trusted_networks: expected each NETWORK once" },
		{ "key near one in section", "listener a {\n servise = pop3 }\n",
		  NULL, ":2: servise: unknown key; did you mean service?" },
		{ "section without name", "listener {\n}\n", NULL,
		  ":1: listener: expected listener NAME {" },
		{ "name of a section", "listener \"a b\" {\n}\n", NULL,
		  ":1: listener: expected a name of at most 31 letters" },
		{ "key in section twice", "class a {\nmessages_day = 1\n"
		  "messages_day = 1 }\n", NULL,
		  ":3: messages_day: expected once, but it is set already" },
		{ "word", "class a {\n action = drop }\n", NULL,
		  ":2: action: expected defer, reject or log, not \"drop\"" },
		{ "number in section", "class a {\n\n messages_day = x }\n",
		  NULL, ":3: messages_day: expected a number from 0" },
		{ "listener without service", HOST "listener a {\n"
		  "listen = 127.0.0.1:1 }\n", NULL,
		  ":2: listener a: expected service = submission" },
		{ "listener without address", HOST "listener a {\n"
		  "service = pop3 }\n", NULL,
		  ":2: listener a: expected listen = {" },
		{ "XCLIENT of POP3", HOST "listener a { service = pop3\n"
		  "listen = 1.2.3.4:5\n xclient_from = 10.0.0.0/8 }\n", NULL,
		  ":2: listener a: xclient_from: expected only" },
		{ "listener's address twice", HOST "listen_pop3 = 1.2.3.4:5\n"
		  "listener a { service = pop3 listen = 1.2.3.4:5\n}\n", NULL,
		  ":2: listen_pop3: expected each address and port once" },
		{ "listener called as a service", HOST "listener pop3 {\n"
		  "service = pop3 listen = 1.2.3.4:5 }\n", NULL,
		  ":2: listener pop3: expected another name" },
		{ "TLS listener in a section", HOST "listener a {\n"
		  "service = pop3s listen = 1.2.3.4:5 }\n", NULL,
		  ":2: listener a: expected tls_cert and tls_key" },
		{ "trusted balancer", HOST "listener a { service = submission\n"
		  "listen = 1.2.3.4:5 proxy_from = 10.1.2.3 }\n\n"
		  "trusted_networks 10.1.0.0/16 { }\n", NULL, ":5: trusted_"
		  "networks 10.1.0.0/16: expected no network with 10.1.2.3/32, "
		  "a peer in proxy_from of listener a" },
		{ "trusted within the balancers", HOST "listener a { service = "
		  "submission\nlisten = 1.2.3.4:5 xclient_from = 10.0.0.0/8 }\n"
		  "trusted_networks 10.1.0.0/16 { }\n", NULL,
		  ":4: trusted_networks 10.1.0.0/16: expected no network" },
		{ "all are balancers", HOST "listener a { service = submission\n"
		  "listen = 1.2.3.4:5 proxy_from = 0.0.0.0/0 }\n", NULL,
		  ":2: listener a: proxy_from: expected networks, not" },
		{ "SHA-1 of a listener", HOST "listener a { service = submission\n"
		  "listen = 1.2.3.4:5 mechanisms = SCRAM-SHA-1 }\n", NULL,
		  ":2: listener a: mechanisms: SCRAM-SHA-1 needs" },
		{ "time", "grant_sunset = 2026-02-31\n", NULL, ":1: "
		  "grant_sunset: expected a time such as 2026-12-01 10:00, "
		  "not \"2026-02-31\"" },
		{ "time of a brown-out", "grant_brownout a {\nbegin = soon }\n",
		  NULL, ":2: begin: expected a time such as" },
		{ "brown-out without begin", HOST "grant_brownout a {\n"
		  "end = 2026-12-01 }\n", NULL, ":2: grant_brownout a: expected "
		  "begin = a time" },
		{ "brown-out without end", HOST "grant_brownout a {\n"
		  "begin = 2026-12-01 }\n", NULL, ":2: grant_brownout a: "
		  "expected an end behind its begin" },
		{ "no list", "class a { action = {defer} }\n", NULL,
		  ":1: action: expected one value, no list" },
		{ "as a value", "trusted_networks = 10.0.0.0/8\n", NULL,
		  ":1: trusted_networks: expected a section" },
		{ "include", "include(\"none\")\n", NULL,
		  ":1: include: cannot open" },
		{ "include circle", "include(\"c\")\n", NULL,
		  ":1: include: files include each other too deeply" },
		{ "keys", HOST "tls_cert = {a, b}\ntls_key = a\n", NULL,
		  ":3: tls_key: expected one key for each tls_cert (2), "
		  "not 1" },
		{ "TLS listener", HOST "listen_pop3s = 0.0.0.0:995\n", NULL,
		  ":2: listen_pop3s: expected tls_cert and tls_key" },
		{ "listener twice", HOST "listen_pop3 = 1.2.3.4:5\n"
		  "listen_submission = 1.2.3.4:5\n", NULL,
		  ":3: listen_submission: expected each address and port" },
		{ "retry", HOST "retry_min = 2h\n", NULL,
		  ":2: retry_min: expected at most retry_max" },
		{ "-o value", HOST, "retry_min=x",
		  "-o retry_min: expected a duration" },
		{ "-o unknown", HOST, "retrymin=1",
		  "-o retrymin: unknown key; did you mean retry_min?" },
		{ "-o no value", HOST, "retry_min",
		  "-o retry_min: expected key=value" },
		{ "-o section", HOST, "trusted_networks=1.2.3.4",
		  "-o trusted_networks: expected a section" },
	};
	char where[400];
	struct conf *c;
	struct err e;
	size_t i;

	(void)state;
	for (i = 0; i < ROWS(rows); i++) {
		ROW_EQ(rows[i].name, load(rows[i].text, rows[i].override, &c,
		    &e), ERR_CONFIG);
		snprintf(where, sizeof(where), "%s%s%s",
		    rows[i].expected[0] == ':' ? dir : "",
		    rows[i].expected[0] == ':' ? "/c" : "", rows[i].expected);
		e.text[strlen(e.text) < strlen(where) ? strlen(e.text) :
		    strlen(where)] = '\0';
		ROW_STR(rows[i].name, e.text, where);
	}
}

static const char full[] = "# all kinds of values\n"
    "hostname = 'mail.example.org'\n"
    "local_domains = {Example.ORG, \"b.example, c.example\"}\n"
    "next_hop = \"[2001:db8::1]\" // port 25\n"
    "listen_submissions = \"\"\n"
    "grant_exclude = {}\n"
    "grant_ttl = 90\n"
    "message_size_limit = 1M\n"
    "postmaster = Anna@example.org\n"
    "tls_cert = cert.pem\n"
    "tls_key = {\"/my keys/key, new.pem\"}\n"
    "include(\"inc\")\n"
    "trusted_networks 192.0.2.0/24 {\n"
    "\tsenders = {\"a@b.example c@d.example\", \"@E.example\"}\n"
    "}\n"
    "trusted_networks \"192.0.2.128/25\" { owner = \"X+y@example.org\" }\n"
    "listener behind {\n"
    "\tservice = submission\n"
    "\tlisten = {\"127.0.0.1:2587\", \"[::1]:2587\"}\n"
    "\tproxy_from = {\"10.1.0.0/16\"}\n"
    "\tmechanisms = PLAIN\n"
    "}\n"
    "class small { messages_day = 100 recipients_hour = 7\n"
    "\taction = reject }\n"
    "class other {\n}\n";

static void
check_full(const struct conf *c)
{
	char text[ADDR_STRLEN];
	const struct conf_trusted *t;
	struct addr a;

	assert_string_equal(c->hostname, "mail.example.org");
	assert_int_equal(c->local_domains.n, 3);
	assert_string_equal(c->local_domains.v[0], "example.org");
	assert_true(conf_is_local_domain(c, "c.example"));
	assert_false(conf_is_local_domain(c, "d.example"));
	assert_string_equal(c->next_hop, "[2001:db8::1]:25");
	assert_int_equal(c->listen_submission.n, 2);
	assert_string_equal(addr_text(&c->listen_submission.v[1], text),
	    "[::]:587");
	assert_int_equal(c->listen_submissions.n, 0);
	assert_int_equal(c->listen_pop3s.n, 2);
	assert_int_equal(c->grant_exclude.n, 0);
	assert_int_equal(c->grant_ttl_s, 90);
	assert_int_equal(c->message_size_limit, 1 << 20);
	assert_string_equal(c->postmaster, "anna@example.org");
	assert_int_equal(c->tls_key.n, 1);
	assert_string_equal(c->tls_key.v[0], "/my keys/key, new.pem");
	assert_true(strncmp(c->tls_cert.v[0], dir, strlen(dir)) == 0);
	assert_int_equal(c->retry_min_s, 7);
	assert_int_equal(c->retry_max_s, 8);
	assert_null(c->help_text);
	assert_int_equal(c->n_trusted, 2);
	addr_parse_ip("192.0.2.1", &a);
	t = conf_trusted_for(c, &a);
	assert_non_null(t);
	assert_int_equal(t->senders.n, 3);
	assert_string_equal(t->senders.v[2], "@e.example");
	addr_parse_ip("192.0.2.129", &a);
	t = conf_trusted_for(c, &a);
	assert_non_null(t);
	assert_string_equal(t->owner, "x+y@example.org");
	addr_parse_ip("192.0.3.1", &a);
	assert_null(conf_trusted_for(c, &a));
	assert_int_equal(c->n_listeners, 1);
	assert_string_equal(c->listeners[0].item.name, "behind");
	assert_int_equal(c->listeners[0].service, CONF_SUBMISSION);
	assert_int_equal(c->listeners[0].listen.n, 2);
	assert_int_equal(c->listeners[0].proxy_from.n, 1);
	assert_int_equal(c->listeners[0].xclient_from.n, 0);
	assert_int_equal(c->listeners[0].mechanisms, CONF_MECH_BIT(CONF_PLAIN));
	assert_int_equal(c->n_classes, 2);
	assert_int_equal(conf_class_find(c, "small")->messages_day, 100);
	assert_int_equal(conf_class_find(c, "small")->recipients_hour, 7);
	assert_int_equal(conf_class_find(c, "small")->messages_hour, 0);
	assert_int_equal(conf_class_find(c, "small")->action, CONF_REJECT);
	assert_int_equal(conf_class_find(c, "other")->action, CONF_DEFER);
	assert_null(conf_class_find(c, "none"));
}

static const char times[] = HOST
    "grant_sunset = 2027-06-30\n"
    "grant_brownout first {\n"
    "\tbegin = '2026-12-01 10:00'\n\tend = 2026-12-01T12:30\n"
    "\turl = \"https://help.example.org/\"\n}\n"
    "grant_brownout utc { begin = 2026-07-01T10:00Z\n"
    "\tend = '2026-07-01 10:00:01Z' }\n";

static void
check_times(const struct conf *c)
{
	static const struct {
		int64_t		 at_s;
		const char	*name;		/* of the brown-out, or NULL */
	} rows[] = {
		{ 1782899999, NULL }, { 1782900000, "utc" },
		{ 1782900001, NULL }, { 1796115599, NULL },
		{ 1796115600, "first" }, { 1796124599, "first" },
		{ 1796124600, NULL },
	};
	const struct conf_brownout *b;

	for (size_t i = 0; i < ROWS(rows); i++) {
		b = conf_brownout_at(c, rows[i].at_s);
		if ((b == NULL) != (rows[i].name == NULL))
			fail_msg("row %zu", i);
		if (b != NULL)
			assert_string_equal(b->item.name, rows[i].name);
	}
	b = conf_brownout_at(c, 1796115600);
	assert_string_equal(b->url, "https://help.example.org/");
	assert_null(b->text);
	assert_false(conf_grants_ended(c, 1814306399));
	assert_true(conf_grants_ended(c, 1814306400));
}

/* The file has local time; the children have no zone. */
static void
test_times(void **state)
{
	struct conf *c, *copy;
	struct buf b;
	struct err e;

	(void)state;
	setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
	tzset();
	if (load(times, NULL, &c, &e) != 0)
		fail_msg("%s", e.text);
	setenv("TZ", "UTC", 1);
	tzset();
	check_times(c);
	buf_init(&b, 1 << 20);
	assert_int_equal(conf_pack(c, CONF_WITH_NONE, &b, &e), 0);
	assert_int_equal(conf_unpack(buf_data(&b), buf_len(&b), &copy, &e), 0);
	check_times(copy);
	conf_unref(copy);
	conf_unref(c);
	buf_free(&b);
	if (load(HOST, NULL, &c, &e) != 0)
		fail_msg("%s", e.text);
	assert_null(conf_brownout_at(c, 1796115600));
	assert_false(conf_grants_ended(c, INT64_MAX));
	conf_unref(c);
}

static void
test_values(void **state)
{
	struct conf *c, *copy, *other;
	struct buf b;
	struct err e;
	uint8_t *cut;
	size_t len;

	(void)state;
	put("inc", "retry_min = 7s\n");
	if (load(full, "retry_max=8", &c, &e) != 0)
		fail_msg("%s", e.text);
	check_full(c);
	buf_init(&b, 1 << 20);
	assert_int_equal(conf_pack(c, CONF_WITH_PAIRS | CONF_WITH_LOGINS, &b, &e), 0);
	assert_int_equal(conf_unpack(buf_data(&b), buf_len(&b), &copy, &e), 0);
	check_full(copy);
	for (len = 0; len < buf_len(&b); len++) {
		cut = malloc(len + 1);
		memcpy(cut, buf_data(&b), len);
		assert_int_not_equal(conf_unpack(cut, len, &other, &e), 0);
		free(cut);
	}
	assert_int_equal(conf_ref(copy)->refs, 2);
	conf_unref(copy);
	conf_unref(copy);
	conf_unref(c);
	conf_unref(NULL);
	buf_free(&b);
}

static void
test_listeners(void **state)
{
	static const char text[] = HOST "listen_submission = 0.0.0.0:587\n"
	    "tls_cert = a tls_key = a\n"
	    "listen_pop3 = {\"127.0.0.1:110\"}\n"
	    "listener one { service = submission listen = 127.0.0.1:587\n"
	    "mechanisms = PLAIN proxy_from = 10.0.0.0/8 }\n"
	    "listener two { service = pop3s listen = {\"[::]:1995\"}\n"
	    "xclient_from = {} }\n"
	    "listener three { service = submissions listen = 127.0.0.1:1465\n"
	    "xclient_from = 10.1.0.0/16 }\n";
	static const struct {
		const char	*local;
		bool		 pop;
		const char	*want;
	} rows[] = {
		{ "127.0.0.1:587", false, "one" },	/* before 0.0.0.0 */
		{ "127.0.0.2:587", false, "submission" },
		{ "[2001:db8::1]:587", false, "submission" },
		{ "127.0.0.1:1465", false, "three" },
		{ "127.0.0.2:1465", false, "submission" },
		{ "127.0.0.1:1465", true, "pop3" },
		{ "[2001:db8::1]:1995", true, "two" },
		{ "192.0.2.1:1995", true, "pop3" },
		{ "127.0.0.1:110", true, "pop3" },
	};
	struct addr in, out;
	struct conf *c;
	struct err e;
	size_t l;

	(void)state;
	if (load(text, NULL, &c, &e) != 0)
		fail_msg("%s", e.text);
	for (size_t i = 0; i < ROWS(rows); i++) {
		assert_int_equal(addr_parse(rows[i].local, &in), 0);
		ROW_STR(rows[i].local, conf_listener_name(c,
		    conf_listener_of(c, rows[i].pop, &in)), rows[i].want);
	}
	l = conf_listener_find(c, "one");
	addr_parse_ip("10.1.2.3", &in);
	addr_parse_ip("11.1.2.3", &out);
	assert_true(conf_listener_is_proxied(c, l));
	assert_true(conf_listener_takes_proxy(c, l, &in));
	assert_false(conf_listener_takes_proxy(c, l, &out));
	assert_false(conf_listener_takes_xclient(c, l, &in));
	assert_int_equal(conf_mechanisms(c, l), CONF_MECH_BIT(CONF_PLAIN));
	l = conf_listener_find(c, "three");
	assert_false(conf_listener_is_proxied(c, l));
	assert_true(conf_listener_takes_xclient(c, l, &in));
	assert_int_equal(conf_mechanisms(c, l), conf_mechanisms(c, 0));
	assert_true(conf_listener_is_tls(c, l));
	assert_false(conf_listener_is_proxied(c, CONF_SUBMISSION));
	assert_int_equal(conf_listener_find(c, "none"), conf_listener_count(c));
	conf_unref(c);
}

static void
test_root(void **state)
{
	struct conf_args args = { .root = dir };
	char path[128], real[64];
	char *resolved = realpath(dir, NULL);
	struct conf *c;
	struct err e;

	(void)state;
	assert_non_null(resolved);
	assert_int_equal(str_copy(real, sizeof(real), resolved), 0);
	free(resolved);
	assert_int_equal(conf_load(&args, &c, &e), ERR_CONFIG);
	snprintf(path, sizeof(path), "cannot open %s/etc/submitd.conf: No such "
	    "file or directory", real);
	assert_string_equal(e.text, path);
	put("etc/submitd.conf", HOST "log_to = \"my.log\"\n");
	assert_int_equal(conf_load(&args, &c, &e), 0);
	snprintf(path, sizeof(path), "%s/spool", real);
	assert_string_equal(c->spool_dir, path);
	snprintf(path, sizeof(path), "%s/my.log", real);
	assert_string_equal(c->log_to, path);
	/* no certificate: what needs one is left out */
	assert_int_equal(c->listen_submissions.n, 0);
	assert_int_equal(c->listen_submission.n, 2);
	assert_true(c->auth_threads >= 2);
	conf_unref(c);
}

static char *
shown(const struct conf *c, enum conf_show what, const char *only)
{
	char *text = NULL;
	size_t len;
	FILE *fp = open_memstream(&text, &len);

	assert_non_null(fp);
	assert_int_equal(conf_show(c, fp, what, only), 0);
	fclose(fp);
	return text;
}

/* What is shown is a file that means the same. */
static void
test_show(void **state)
{
	struct conf *c, *again;
	char *text, *text2;
	struct err e;

	(void)state;
	put("inc", "retry_min = 7s\nhelp_text = \"see \\\"x\\\" \\${y} \\\\\"");
	assert_int_equal(load(full, "retry_max=8s", &c, &e), 0);
	text = shown(c, CONF_ALL, NULL);
	if (load(text, NULL, &again, &e) != 0)
		fail_msg("%s", e.text);
	text2 = shown(again, CONF_ALL, NULL);
	assert_string_equal(text, text2);
	assert_string_equal(again->help_text, "see \"x\" ${y} \\");
	free(text);
	free(text2);
	text = shown(c, CONF_CHANGED, NULL);
	assert_null(strstr(text, "spool_dir"));
	assert_non_null(strstr(text, "grant_exclude = {}\n"));
	free(text);
	text = shown(c, CONF_ALL, "retry_max");
	assert_string_equal(text, "retry_max = 8s\n");
	free(text);
	text = shown(c, CONF_DEFAULTS, "retry_max");
	assert_string_equal(text, "retry_max = 1h\n");
	free(text);
	assert_int_equal(conf_show(c, stdout, CONF_ALL, "none"), ERR_NOTFOUND);
	conf_unref(c);
	conf_unref(again);
}

/* Every default but the machine's name is a valid value, and bounded rows say
 * their bounds. */
static void
test_table(void **state)
{
	struct conf *c;
	struct err e;
	size_t i;

	(void)state;
	assert_int_equal(load(HOST, NULL, &c, &e), 0);
	for (i = 0; conf_key_name(i) != NULL; i++) {
		ROW_EQ(conf_key_name(i), conf_key_find(conf_key_name(i)), i);
		ROW_EQ(conf_key_name(i), conf_keys[i].help != NULL, true);
		ROW_EQ(conf_key_name(i), conf_keys[i].type->expected != NULL ||
		    conf_keys[i].max > conf_keys[i].min, true);
	}
	assert_int_equal(i, conf_key_count());
	assert_int_equal(c->grant_ttl_s, 1800);
	assert_int_equal(c->grant_exclude.n, 5);
	assert_int_equal(c->grant_ipv6_prefix, 128);
	assert_int_equal(c->message_size_limit, 50 << 20);
	assert_int_equal(c->recipient_limit, 1000);
	assert_int_equal(c->queue_lifetime_s, 432000);
	assert_int_equal(c->session_max_s, 86400);
	assert_int_equal(c->spool_min_free, 0);
	assert_int_equal(c->sender_policy, SENDER_REJECT);
	conf_unref(c);
}

/* ---------------------------------------------------------------- routes -- */

static struct conf *
load_text(const char *text)
{
	struct conf *c;
	struct err e;

	if (load(text, NULL, &c, &e) != 0)
		fail_msg("%s", e.text);
	return c;
}

static const char routes_text[] = HOST
    "local_domains = {\"here.test\", \"there.test\"}\n"
    "next_hop = none\n"
    "route first {\ndomains = {\"a.test\", \".b.test\", \"b\303\274.test\"}\n"
    "via = smtp\nhost = \"hop.test\"\n}\n"
    "route second {\ndomains = {\"a.test\", \"there.test\"}\n"
    "via = lmtp\nhost = \"unix:/run/lmtp\"\n}\n"
    "route x.here {\ndomains = \"x.here.test\"\nvia = mx\n}\n"
    "route below {\ndomains = \".test\"\nvia = none\n}\n"
    "route rest {\ndomains = {\"*\"}\nvia = lmtp\n"
    "host = \"[2001:db8::1]\"\n}\n";

static void
test_routes(void **state)
{
	static const struct {
		const char *domain, *route, *text;
	} rows[] = {
		{ "a.test", "first", "route first hop.test" },
		{ "b.test", "below", "route below none" },
		{ "x.b.test", "first", "route first hop.test" },
		{ "x.y.b.test", "first", "route first hop.test" },
		{ "xn--b-eha.test", "first", "route first hop.test" },
		{ "ab.test", "below", "route below none" },
		{ "here.test", "below", "route below none" },
		{ "there.test", "second",
		  "route second LMTP unix:/run/lmtp" },
		{ "x.here.test", "x.here", "route x.here by MX" },
		{ "far.example", "rest", "route rest LMTP [2001:db8::1]" },
		{ "[192.0.2.1]", "rest", "route rest LMTP [2001:db8::1]" },
	};
	struct conf *c = load_text(routes_text);
	const struct conf_route *r;
	char text[256], host[256];
	uint16_t port;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		r = conf_route_find(c, rows[i].domain);
		assert_string_equal(r->item.name, rows[i].route);
		assert_int_equal(conf_route_text(r, text, sizeof(text)), 0);
		assert_string_equal(text, rows[i].text);
	}
	r = conf_route_find(c, "a.test");
	assert_int_equal(conf_route_host(r, host, sizeof(host), &port), 0);
	assert_string_equal(host, "hop.test");
	assert_int_equal(port, 25);
	r = conf_route_find(c, "far.example");
	assert_int_equal(conf_route_host(r, host, sizeof(host), &port), 0);
	assert_string_equal(host, "2001:db8::1");
	assert_int_equal(port, 24);
	r = conf_route_find(c, "there.test");
	assert_int_equal(conf_route_host(r, host, sizeof(host), &port),
	    ERR_NOTFOUND);
	assert_string_equal(conf_route_unix(r), "/run/lmtp");
	conf_unref(c);
}

/* The keys that stand for routes. */
static void
test_routes_implicit(void **state)
{
	static const struct {
		const char *text, *local, *other;
	} rows[] = {
		{ HOST, "next_hop by MX", "next_hop by MX" },
		{ HOST "local_domains = here.test\nnext_hop = none\n",
		  "local_domains into a Maildir here", "next_hop none" },
		{ HOST "local_domains = here.test\nnext_hop = \"hop.test\"\n"
		  "route all {\ndomains = \"*\"\nvia = mx\n}\n",
		  "local_domains into a Maildir here", "route all by MX" },
		{ HOST "next_hop = \"hop.test\"\n", "next_hop hop.test:25",
		  "next_hop hop.test:25" },
	};
	char text[256];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct conf *c = load_text(rows[i].text);

		conf_route_text(conf_route_find(c, "here.test"), text,
		    sizeof(text));
		assert_string_equal(text, rows[i].local);
		conf_route_text(conf_route_find(c, "far.test"), text,
		    sizeof(text));
		assert_string_equal(text, rows[i].other);
		conf_unref(c);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_listeners),
		cmocka_unit_test(test_routes),
		cmocka_unit_test(test_routes_implicit),
		cmocka_unit_test(test_root),
		cmocka_unit_test(test_show),
		cmocka_unit_test(test_table),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
