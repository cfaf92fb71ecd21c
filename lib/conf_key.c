/*
 * conf_key.c - the table of configuration keys. Linked into every process: parents read text from the file by it, and
 * children what they are sent. A new key is one row here, one field in
 * conf.h, one paragraph in submitd.conf.5.
 */
#include "lib/conf_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/conf_section.h"
#include "lib/str.h"

#define AT(field) offsetof(struct conf, field)

/* In the order of enum conf_shadow. */
static const char *const key_header_words[] = { "reject", "log", NULL };
static const char *const key_received_words[] = { "yes", "token", NULL };
static const char *const key_shared_words[] = { "refuse", "log", NULL };
static const char *const key_shadow_words[] = { "enforce", "log", NULL };

const struct conf_key conf_keys[] = {
	{ .name = "hostname", .type = &conf_hostname, .offset = AT(hostname),
	  .help = "this server's own name, in greetings and Received" },
	{ .name = "received_address", .type = &conf_word,
	  .words = key_received_words, .offset = AT(received_address),
	  .dflt = "yes",
	  .help = "whether Received shows the client's address, or a token" },
	{ .name = "token_keep", .type = &conf_duration,
	  .offset = AT(token_keep_s), .dflt = "400d", .min = 86400,
	  .max = (uint64_t)3650 * 86400, .unit = "s",
	  .help = "how long such a token can be opened" },
	{ .name = "local_domains", .type = &conf_domains,
	  .offset = AT(local_domains), .dflt = "",
	  .help = "domains whose mail goes to users' Maildirs" },
	{ .name = "next_hop", .type = &conf_hostport, .offset = AT(next_hop),
	  .dflt = "mx", .help =
	  "where all other mail goes: mx, none, or a mail server" },
	{ .name = "route", .type = &conf_section, .dflt = "",
	  .help = "where mail for some domains goes (a section each)" },
	{ .name = "mx_allow_networks", .type = &conf_nets,
	  .offset = AT(mx_allow_networks), .dflt = "",
	  .help = "networks that hosts found by MX may be in all the same" },
	{ .name = "send_connections", .type = &conf_number,
	  .offset = AT(send_connections), .dflt = "200", .min = 1,
	  .max = 10000, .help = "connections to all next hops together" },
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
	{ .name = "listener", .type = &conf_section, .dflt = "",
	  .help = "a listener with settings of its own (a section each)" },
	{ .name = "lmtp_listen", .type = &conf_unix, .offset = AT(lmtp_listen),
	  .dflt = "",
	  .help = "where an MTA here hands in mail for local users by LMTP" },
	{ .name = "lmtp_group", .type = &conf_text, .offset = AT(lmtp_group),
	  .dflt = "", .help = "the group that may connect to lmtp_listen" },
	{ .name = "lmtp_peers", .type = &conf_uids, .offset = AT(lmtp_peers),
	  .dflt = "root",
	  .help = "the users whose processes are taken at lmtp_listen" },
	{ .name = "tls_cert", .type = &conf_paths, .offset = AT(tls_cert),
	  .dflt = "", .help = "certificate chains, PEM, own certificate first" },
	{ .name = "tls_key", .type = &conf_paths, .offset = AT(tls_key),
	  .dflt = "", .help = "their private keys, in the same order" },
	{ .name = "tls_legacy", .type = &conf_bool, .offset = AT(tls_legacy),
	  .dflt = "no", .help =
	  "whether old clients get TLS 1.2 with ECDHE and CBC too" },
	{ .name = "tls_tickets", .type = &conf_bool, .offset = AT(tls_tickets),
	  .dflt = "no", .help = "whether clients may resume TLS sessions" },
	{ .name = "tls_watch", .type = &conf_duration, .offset = AT(tls_watch_s),
	  .dflt = "60s", .min = 1, .max = 86400, .unit = "s",
	  .help = "how often the files of certificates are looked at" },
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
	{ .name = "grant_users_per_address", .type = &conf_number,
	  .offset = AT(grant_users_per_address), .dflt = "50", .max = 10000,
	  .unit = "users", .help = "with grants there an address looks shared "
	  "(0: never)" },
	{ .name = "grant_shared", .type = &conf_word,
	  .offset = AT(grant_shared), .dflt = "log", .words = key_shared_words,
	  .help = "new users at an address that looks shared: told of, or "
	  "refused a grant" },
	{ .name = "grant_max_messages", .type = &conf_number,
	  .offset = AT(grant_max_messages), .dflt = "0", .max = UINT32_MAX,
	  .unit = "messages",
	  .help = "that a login lets its address send (0: no limit)" },
	{ .name = "grant_max_recipients", .type = &conf_number,
	  .offset = AT(grant_max_recipients), .dflt = "0", .max = UINT32_MAX,
	  .unit = "recipients", .help = "of them all (0: no limit)" },
	{ .name = "grant_network", .type = &conf_section, .dflt = "",
	  .help = "networks with other rules for grants (a section each)" },
	{ .name = "notify_socket", .type = &conf_socket,
	  .offset = AT(notify_socket), .dflt = "",
	  .help = "where other servers tell of logins, for grants" },
	{ .name = "notify_uids", .type = &conf_uids, .offset = AT(notify_uids),
	  .dflt = "root",
	  .help = "the users whose processes are believed there" },
	{ .name = "grant_sunset", .type = &conf_when,
	  .offset = AT(grant_sunset_s), .dflt = "",
	  .help = "when grants end for good" },
	{ .name = "grant_brownout", .type = &conf_section, .dflt = "",
	  .help = "a time in which grants are refused (a section each)" },
	{ .name = "trusted_networks", .type = &conf_section, .dflt = "",
	  .help = "networks that may send without login (a section each)" },
	{ .name = "class", .type = &conf_section, .dflt = "",
	  .help = "a class of users with its sending limits (a section each)" },
	{ .name = "sender_policy", .type = &conf_policy,
	  .offset = AT(sender_policy), .dflt = "reject",
	  .help = "what a sender that is not the user's own gets" },
	{ .name = "default_class", .type = &conf_text,
	  .offset = AT(default_class), .dflt = "",
	  .help = "the class of users who are in none" },
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
	{ .name = "line_limit", .type = &conf_size, .offset = AT(line_limit),
	  .dflt = "64K", .min = 1000, .max = 1ull << 30, .unit = "octets",
	  .help = "the longest line of a message, with its CR LF" },
	{ .name = "header_size_limit", .type = &conf_size,
	  .offset = AT(header_size_limit), .dflt = "256K", .min = 16 << 10,
	  .max = 16 << 20, .unit = "octets",
	  .help = "the largest header of a message" },
	{ .name = "header_count_limit", .type = &conf_number,
	  .offset = AT(header_count_limit), .dflt = "1000", .min = 100,
	  .max = 100000, .help = "fields in a message's header" },
	{ .name = "received_limit", .type = &conf_number,
	  .offset = AT(received_limit), .dflt = "100", .min = 10, .max = 1000,
	  .help = "Received fields; more of them are a loop" },
	{ .name = "drop_headers", .type = &conf_fields,
	  .offset = AT(drop_headers), .dflt = "Bcc, Return-Path",
	  .help = "fields that are taken out of a header" },
	{ .name = "header_policy", .type = &conf_word,
	  .words = key_header_words, .offset = AT(header_policy),
	  .dflt = "reject",
	  .help = "what a header against the rules gets" },
	{ .name = "data_min_rate", .type = &conf_number,
	  .offset = AT(data_min_rate), .dflt = "500", .min = 0,
	  .max = 1000000, .unit = "octets/s",
	  .help = "slower content, over a minute, ends the session (0: never)" },
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
	{ .name = "delay_warning", .type = &conf_duration,
	  .offset = AT(delay_warning_s), .dflt = "4h", .min = 0,
	  .max = 60 * 86400, .unit = "s",
	  .help = "when a sender hears that his message waits (0: never)" },
	{ .name = "spool_min_free", .type = &conf_size,
	  .offset = AT(spool_min_free), .dflt = "", .min = 0, .max = 1ull << 50,
	  .unit = "octets",
	  .help = "space kept free on the spool's disk (empty: 1G or 5 %)" },
	{ .name = "spool_user_limit", .type = &conf_size,
	  .offset = AT(spool_user_limit), .dflt = "", .min = 0,
	  .max = 1ull << 50, .unit = "octets",
	  .help = "what one user may have waiting (empty: a tenth of the disk)" },
	{ .name = "spool_user_messages", .type = &conf_number,
	  .offset = AT(spool_user_messages), .dflt = "10000", .min = 1,
	  .max = 100000000,
	  .help = "messages that one user may have waiting" },
	{ .name = "session_max", .type = &conf_duration,
	  .offset = AT(session_max_s), .dflt = "24h", .min = 1,
	  .max = 30 * 86400, .unit = "s",
	  .help = "how long one login holds" },
	{ .name = "workers", .type = &conf_number, .offset = AT(workers),
	  .dflt = "0", .min = 0, .max = 64, .help =
	  "processes that serve sessions, of each service; 0: one a core" },
	{ .name = "sessions_policy", .type = &conf_word,
	  .words = key_shadow_words, .offset = AT(sessions_policy),
	  .dflt = "enforce",
	  .help = "what goes over the sessions_per_ limits: ended, or logged" },
	{ .name = "sessions_per_address", .type = &conf_number,
	  .offset = AT(sessions_per_address), .dflt = "100", .min = 1,
	  .max = 1000000, .help =
	  "sessions of an address (IPv6: /64) that are not authorised" },
	{ .name = "sessions_per_network", .type = &conf_number,
	  .offset = AT(sessions_per_network), .dflt = "1000", .min = 1,
	  .max = 1000000, .help =
	  "the same of a network (IPv4: /24, IPv6: /48)" },
	{ .name = "sessions_per_user", .type = &conf_number,
	  .offset = AT(sessions_per_user), .dflt = "250", .min = 1,
	  .max = 1000000, .help = "sessions that act for one user" },
	{ .name = "error_limit", .type = &conf_number,
	  .offset = AT(error_limit), .dflt = "10", .min = 1, .max = 10000,
	  .help = "wrong commands in a session" },
	{ .name = "login_limit", .type = &conf_number,
	  .offset = AT(login_limit), .dflt = "5", .min = 3, .max = 100,
	  .help = "failed logins in a session" },
	{ .name = "command_limit", .type = &conf_number,
	  .offset = AT(command_limit), .dflt = "1000", .min = 10,
	  .max = 1000000, .help =
	  "commands that get nothing done, since the last message" },
	{ .name = "idle_timeout", .type = &conf_duration,
	  .offset = AT(idle_timeout_s), .dflt = "5m", .min = 10, .max = 86400,
	  .unit = "s", .help = "how long a client may be silent" },
	{ .name = "maildrop_cache", .type = &conf_size,
	  .offset = AT(maildrop_cache), .dflt = "64M", .min = 0,
	  .max = (uint64_t)64 << 30, .unit = "octets",
	  .help = "memory for the lists of mailboxes that POP3 showed last" },
	{ .name = "login_delay", .type = &conf_duration,
	  .offset = AT(login_delay_s), .dflt = "0s", .min = 0, .max = 86400,
	  .unit = "s", .help = "the time between a user's POP3 logins" },
	{ .name = "pop_takeover", .type = &conf_duration,
	  .offset = AT(pop_takeover_s), .dflt = "1m", .min = 0, .max = 86400,
	  .unit = "s",
	  .help = "a session silent for this long gives its mailbox up" },
	{ .name = "pop_expire", .type = &conf_number,
	  .offset = AT(pop_expire_days), .dflt = "0", .min = 0, .max = 36500,
	  .help = "days that mail is kept, as CAPA tells (0: always)" },
	{ .name = "stranger_timeout", .type = &conf_duration,
	  .offset = AT(stranger_timeout_s), .dflt = "20m", .min = 10,
	  .max = 86400, .unit = "s",
	  .help = "how long a session may take to be authorised" },
	{ .name = "output_limit", .type = &conf_size,
	  .offset = AT(output_limit), .dflt = "32K", .min = 4096,
	  .max = 512 * 1024, .unit = "octets",
	  .help = "output kept for a client that does not read" },
	{ .name = "auth_threads", .type = &conf_number,
	  .offset = AT(auth_threads), .min = 1, .max = 256,
	  .help = "threads that check passwords" },
	{ .name = "postmaster", .type = &conf_user, .offset = AT(postmaster),
	  .dflt = "", .help = "the user who gets postmaster's mail" },
	{ .name = "recent_keep", .type = &conf_duration,
	  .offset = AT(recent_keep_s), .dflt = "14d", .min = 60,
	  .max = 400ull * 86400, .unit = "s",
	  .help = "how long past sessions can be looked up" },
	{ .name = "recent_max", .type = &conf_number,
	  .offset = AT(recent_max), .dflt = "200000", .min = 100,
	  .max = 100000000, .help = "how many past sessions are kept" },
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
conf_key_nearest(const struct conf_key *keys, const char *name)
{
	size_t i, d, best = strlen(name) / 3 + 2;
	const char *ret = NULL;

	for (i = 0; keys[i].name != NULL; i++) {
		d = conf_key_distance(name, keys[i].name);
		if (d < best) {
			best = d;
			ret = keys[i].name;
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

/* "a, b or c" */
static void
conf_words_text(const char *const *words, char *dst, size_t size)
{
	size_t i, len = 0;

	dst[0] = '\0';
	for (i = 0; words[i] != NULL; i++) {
		if (str_format(dst + len, size - len, "%s%s", i == 0 ? "" :
		    words[i + 1] == NULL ? " or " : ", ", words[i]) != 0)
			break;
		len += strlen(dst + len);
	}
}

static void
conf_key_expected(const struct conf_key *k, char *dst, size_t size)
{
	char min[32], max[32];

	if (k->words != NULL) {
		conf_words_text(k->words, dst, size);
		return;
	}
	if (k->type->parse == NULL) {
		str_format(dst, size, "a section: %s %s { … }", k->name,
		    conf_kind_find(k->name)->title);
		return;
	}
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
