/*
 * conf.h - the configuration: one table of keys for all programs.
 *
 * conf_load() reads the file (libconfuse, include()) and -o arguments in a
 * parent or in submitctl; conf_pack()/conf_unpack() carry the values to the
 * children, who parse them by the same table. A struct conf is read-only once
 * loaded and is counted: conf_ref(), conf_unref().
 */
#ifndef SUBMITD_CONF_H
#define SUBMITD_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "lib/addr.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/tls.h"

struct conf_list {
	char	**v;		/* each its own string */
	size_t	  n;
};

struct conf_addrs {
	struct addr	*v;
	size_t		 n;
};

struct conf_nets {
	struct net	*v;
	size_t		 n;
};

/* What each section begins with: KIND TITLE { … }. */
struct conf_item {
	char			*name;		/* its title, canonical */
	char			*origin;	/* "FILE:LINE" */
	struct conf_value	*values;	/* private to conf*.c */
};

struct conf_trusted {		/* trusted_networks NET { … } */
	struct conf_item	 item;
	struct net		 net;
	struct conf_list	 senders;	/* canonical addresses, or @domain */
	char			*owner;		/* canonical user, or NULL */
};

enum conf_listener {
	CONF_SUBMISSION, CONF_SUBMISSIONS, CONF_POP3, CONF_POP3S,
	CONF_LISTENER__COUNT
};

/* Ways to log in, in the order of advertisement: the strongest first. APOP is
 * POP3's own command (RFC 1939 section 7). */
enum conf_mech {
	CONF_SCRAM_SHA_256_PLUS, CONF_SCRAM_SHA_1_PLUS,
	CONF_SCRAM_SHA_256, CONF_SCRAM_SHA_1,
	CONF_EXTERNAL, CONF_PLAIN, CONF_CRAM_MD5, CONF_APOP, CONF_LOGIN,
	CONF_MECH__COUNT
};
#define CONF_MECH_BIT(m) (1u << (m))

enum conf_received_address { RECEIVED_YES, RECEIVED_TOKEN };
enum conf_sender_policy { SENDER_REJECT, SENDER_ADD, SENDER_LOG };

#define CONF_SECTIONS_MAX	32u	/* listeners that are sections */
#define CONF_LISTENERS_MAX	(CONF_LISTENER__COUNT + CONF_SECTIONS_MAX)

#define CONF_LMTP_NAME		"lmtp"	/* of lmtp_listen among listeners */
#define CONF_NOTIFY_NAME	"notify"	/* of notify_socket, authd's only */
#define CONF_UID_NAMED		UINT32_MAX	/* not looked up yet */

struct conf_uids {
	uint32_t	*v;
	size_t		 n;
};

enum conf_inherit { CONF_INHERIT, CONF_NO, CONF_YES };

struct conf_listen {		/* listener NAME { … } */
	struct conf_item	 item;
	enum conf_listener	 service;
	struct conf_addrs	 listen;
	struct conf_nets	 proxy_from;	/* PROXY header from these only */
	struct conf_nets	 xclient_from;
	uint64_t		 mechanisms;	/* 0: as the plain listener */
	struct conf_list	 tls_cert;	/* none: the global ones */
	struct conf_list	 tls_key;
	enum conf_inherit	 tls_legacy;
	struct tls_pair		 tls[TLS_PAIRS_MAX];	/* by conf_load_tls() */
	size_t			 n_tls;
};

enum conf_action { CONF_DEFER, CONF_REJECT, CONF_LOG };

struct conf_class {		/* class NAME { … }: of users */
	struct conf_item	 item;
	uint64_t		 messages_hour;		/* each 0: no limit */
	uint64_t		 messages_day;
	uint64_t		 recipients_hour;
	uint64_t		 recipients_day;
	enum conf_action	 action;		/* over a limit */
};

struct conf_grant {		/* grant_network NET { … } */
	struct conf_item	 item;
	struct net		 net;
	uint64_t		 users_per_address;	/* 0: as everywhere */
	enum conf_inherit	 may_open_relay;	/* CONF_NO: none there */
};

struct conf_brownout {		/* grant_brownout NAME { … } */
	struct conf_item	 item;
	int64_t			 begin_s;
	int64_t			 end_s;		/* later than begin_s */
	char			*text;		/* or NULL */
	char			*url;		/* or NULL */
};

#define CONF_ROUTE_CONNECTIONS	20u	/* to a destination, if nobody says */

enum conf_shadow { SHADOW_ENFORCE, SHADOW_LOG };	/* of a limit */

struct conf {
	unsigned int	 refs;
	char		*hostname;
	enum conf_received_address received_address;
	uint64_t	 token_keep_s;
	struct conf_list local_domains;		/* lower case */
	char		*next_hop;		/* "mx", "host:port", NULL: none */
	/* conf_route.h: the sections, and what comes behind them */
	struct conf_route *routes;
	size_t		 n_routes;
	struct conf_route *route_local;
	struct conf_route *route_next_hop;
	struct conf_nets mx_allow_networks;
	uint64_t	 send_connections;
	struct conf_addrs listen_submission;
	struct conf_addrs listen_submissions;
	struct conf_addrs listen_pop3;
	struct conf_addrs listen_pop3s;
	struct conf_listen *listeners;		/* the sections */
	size_t		 n_listeners;
	char		*lmtp_listen;		/* path of a socket, or NULL */
	char		*lmtp_group;		/* or NULL */
	struct conf_uids lmtp_peers;
	struct conf_list tls_cert;		/* files, one key each */
	struct conf_list tls_key;
	bool		 tls_legacy;		/* ECDHE with CBC too */
	bool		 tls_tickets;
	uint64_t	 tls_watch_s;		/* between looks at the files */
	char		*maildir;		/* template below mail_root */
	char		*mail_root;
	char		*spool_dir;
	char		*db_dir;
	char		*run_dir;
	char		*libexec_dir;
	char		*log_to;
	uint64_t	 grant_ttl_s;
	struct conf_nets grant_exclude;
	uint64_t	 grant_ipv6_prefix;	/* bits, 56 to 128 */
	uint64_t	 grant_users_per_address;	/* 0: no limit */
	enum conf_shadow grant_shared;		/* no new users there, or so */
	uint64_t	 grant_max_messages;	/* of each login; 0: no limit */
	uint64_t	 grant_max_recipients;
	struct conf_grant *grants;
	size_t		 n_grants;
	char		*notify_socket;		/* its path, or NULL */
	struct conf_uids notify_uids;
	int64_t		 grant_sunset_s;	/* 0: grants go on */
	struct conf_brownout *brownouts;
	size_t		 n_brownouts;
	struct conf_trusted *trusted;
	size_t		 n_trusted;
	struct conf_class *classes;
	size_t		 n_classes;
	enum conf_sender_policy sender_policy;
	char		*default_class;		/* or NULL */
	struct conf_nets guessing_exempt;
	uint64_t	 mechanisms;		/* bits of enum conf_mech */
	uint64_t	 mechanisms_by[CONF_LISTENER__COUNT];	/* 0: the same */
	bool		 scram_sha1;
	bool		 scram_transition;
	uint64_t	 scram_iterations;	/* of new keys */
	char		*default_domain;	/* lower case, or NULL */
	char		*login_separators;	/* or NULL */
	uint64_t	 auth_wait_s;
	uint64_t	 message_size_limit;	/* octets */
	uint64_t	 recipient_limit;
	uint64_t	 line_limit;		/* octets, with CR LF */
	uint64_t	 header_size_limit;	/* octets */
	uint64_t	 header_count_limit;	/* fields */
	uint64_t	 received_limit;
	struct conf_list drop_headers;
	enum conf_shadow header_policy;
	uint64_t	 data_min_rate;		/* octets a second; 0: none */
	uint64_t	 retry_min_s;
	uint64_t	 retry_max_s;
	uint64_t	 queue_lifetime_s;
	uint64_t	 delay_warning_s;	/* 0: none */
	uint64_t	 spool_min_free;	/* octets; 0: 1G or 5 %, the less */
	uint64_t	 spool_user_limit;	/* octets; 0: a tenth of the disk */
	uint64_t	 spool_user_messages;
	uint64_t	 session_max_s;
	uint64_t	 workers;		/* 0: one a core */
	enum conf_shadow sessions_policy;
	uint64_t	 sessions_per_address;
	uint64_t	 sessions_per_network;
	uint64_t	 sessions_per_user;
	uint64_t	 error_limit;
	uint64_t	 login_limit;
	uint64_t	 command_limit;
	uint64_t	 idle_timeout_s;
	uint64_t	 maildrop_cache;	/* octets; 0: none */
	uint64_t	 login_delay_s;		/* 0: none */
	uint64_t	 pop_takeover_s;	/* 0: never */
	uint64_t	 pop_expire_days;	/* 0: never */
	uint64_t	 stranger_timeout_s;
	uint64_t	 output_limit;		/* octets */
	uint64_t	 auth_threads;
	uint64_t	 recent_keep_s;
	uint64_t	 recent_max;		/* past sessions */
	char		*postmaster;		/* a user, or NULL: the first one */
	char		*help_text;		/* or NULL */

	struct tls_pair	 tls[TLS_PAIRS_MAX];	/* read by conf_load_tls() */
	size_t		 n_tls;
	uint8_t		 ticket_seed[TLS_TICKET_SEED];	/* the parent's */
	struct conf_values *values;		/* as text; private to conf*.c */
};

struct conf_args {		/* what a program was started with */
	const char	 *file;		/* -c, or NULL: the default */
	const char	 *root;		/* --root, or NULL */
	const char	**overrides;	/* -o key=value, in their order */
	size_t		  n_overrides;
};

/* Reads, checks, fills in defaults. On failure ERR_CONFIG (or ERR_SYSTEM) and
 * a text "FILE:LINE: key: what was expected". Relative paths lie below --root
 * (or the folder of the file). *ret is the caller's: conf_unref(). */
int	conf_load(const struct conf_args *args, struct conf **ret,
	    struct err *reterr);
/* Reads the tls_cert/tls_key pairs into the conf. *ret_not_after is the
 * earliest end of life among them. No pair configured: 0 and n_tls 0. */
int	conf_load_tls(struct conf *c, int64_t *ret_not_after,
	    struct err *reterr);

/* Certificates with their keys that belong together: the global ones first, then
 * those of each listener section. */
struct conf_pairs {
	const struct conf_list	*cert, *key;	/* files, as many */
	struct tls_pair		*tls;
	size_t			*n;		/* of tls, once loaded */
	const char		*origin;	/* "FILE:LINE", NULL: the keys */
};
/* The i-th; false: there are no more. */
bool	conf_pairs_at(struct conf *c, size_t i, struct conf_pairs *ret);

/* "FILE:LINE: KEY: expected EXPECTED: " before the text in *reterr, which then
 * is ERR_CONFIG, its sys_errno kept: a file that cannot be used is a wrong
 * value. */
int	conf_unusable(const struct conf *c, const char *key,
	    const char *expected, struct err *reterr);

struct conf *conf_ref(struct conf *c);
void	conf_unref(struct conf *c);		/* NULL is fine; zeroes keys */

/* All values as octets for a memfd, and back; `with` says what of the secrets
 * goes along: the pairs of TLS and the seed of tickets, and the routes' logins
 * and CAs. */
enum { CONF_WITH_NONE = 0, CONF_WITH_PAIRS = 1, CONF_WITH_LOGINS = 2 };
int	conf_pack(const struct conf *c, unsigned int with, struct buf *ret,
	    struct err *reterr);
int	conf_unpack(const void *p, size_t len, struct conf **ret,
	    struct err *reterr);

/* Prints "key = value" lines: all, only what differs from the defaults, or the
 * defaults. `only` (or NULL) names one key: ERR_NOTFOUND if there is none. */
enum conf_show { CONF_ALL, CONF_CHANGED, CONF_DEFAULTS };
int	conf_show(const struct conf *c, FILE *to, enum conf_show what,
	    const char *only);

/* For the test that the manual has every key: the i-th key or NULL. */
const char *conf_key_name(size_t i);

/* The domain is one of local_domains (both in lower case). */
bool	conf_is_local_domain(const struct conf *c, const char *domain);
/* The trusted network that holds `a` (the longest prefix), or NULL. */
const struct conf_trusted *conf_trusted_for(const struct conf *c,
	    const struct addr *a);

/* The section grant_network that holds `a` (the longest prefix), or NULL. */
const struct conf_grant *conf_grant_for(const struct conf *c,
	    const struct addr *a);

/* The class by that name, or NULL. */
const struct conf_class *conf_class_find(const struct conf *c,
	    const char *name);

/* The brown-out in which `now_s` falls, or NULL. */
const struct conf_brownout *conf_brownout_at(const struct conf *c,
	    int64_t now_s);
/* grant_sunset is over: no grant counts any more. */
bool	conf_grants_ended(const struct conf *c, int64_t now_s);

/* Listeners by number: enum conf_listener those of the keys listen_*, then the
 * sections. */
size_t	conf_listener_count(const struct conf *c);
/* NULL: one of the keys', with no settings of its own. */
const struct conf_listen *conf_listener_section(const struct conf *c, size_t l);
enum conf_listener conf_listener_service(const struct conf *c, size_t l);
/* The section's name, or the service's. */
const char *conf_listener_name(const struct conf *c, size_t l);
const struct conf_addrs *conf_listener_addrs(const struct conf *c, size_t l);
bool	conf_listener_is_pop(const struct conf *c, size_t l);
bool	conf_listener_is_tls(const struct conf *c, size_t l);	/* from the start */
/* The listener by that name, or conf_listener_count(). */
size_t	conf_listener_find(const struct conf *c, const char *name);
/* The listener of the service (POP3's or submission's) that a session came in
 * by at this local address; the clear one of listen_* when none fits. */
size_t	conf_listener_of(const struct conf *c, bool pop,
	    const struct addr *local);
/* Each client must begin with a PROXY header / this peer's is believed / so is
 * its XCLIENT. */
bool	conf_listener_is_proxied(const struct conf *c, size_t l);
bool	conf_listener_takes_proxy(const struct conf *c, size_t l,
	    const struct addr *peer);
bool	conf_listener_takes_xclient(const struct conf *c, size_t l,
	    const struct addr *peer);

/* A process of this user may hand in mail for local users by LMTP. */
bool	conf_lmtp_takes(const struct conf *c, uint32_t uid);
/* A process of this user may tell of logins. */
bool	conf_notify_takes(const struct conf *c, uint32_t uid);
/* What may be used to log in at a listener: bits of enum conf_mech. */
uint32_t conf_mechanisms(const struct conf *c, size_t l);
/* "SCRAM-SHA-256" and so on. */
const char *conf_mech_name(enum conf_mech m);
/* The mechanism by that name in any case, or -1. */
int	conf_mech_find(const char *name);
/* Paths below run_dir etc. */
int	conf_default_file(const char *root, char *dst, size_t size);

#endif
