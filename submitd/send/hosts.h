/*
 * hosts.h - the hosts that mail for a domain goes to, in the order to try.
 *
 * For a route by MX: RFC 5321 section 5.1 (MX records by preference, equal ones
 * in random order, the domain's own addresses where there are none), RFC 7505
 * (null MX) and, with tls = dane, the TLSA records of RFC 7672. For a route to a
 * host: that one, without a question of what addresses are allowed.
 *
 * Runs in submitd-send, on its loop; nothing blocks.
 */
#ifndef SUBMITD_SEND_HOSTS_H
#define SUBMITD_SEND_HOSTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/ssl.h>

#include "lib/addr.h"

#define HOSTS_ADDRS_MAX		8u	/* of one host */
#define HOSTS_MX_MAX		10u
#define HOSTS_ADDRS_ALL_MAX	32u	/* of all hosts together */
#define HOSTS_TLSA_MAX		16u	/* of one host */
#define HOSTS_TEXT_MAX		512u	/* of hosts_fn's text */

struct conf;
struct conf_route;
struct resolve;
struct hosts_query;		/* one question under way */

struct tlsa {			/* one usable record (RFC 7672 section 3.1) */
	uint8_t		 usage;		/* 2 DANE-TA, 3 DANE-EE */
	uint8_t		 selector;	/* 0 Cert, 1 SPKI */
	uint8_t		 matching;	/* 0 Full, 1 SHA2-256, 2 SHA2-512 */
	uint16_t	 len;
	uint8_t		*data;
};

struct hosts_host {
	char		 name[256];	/* of the MX or the configured host,
					 * ASCII; an address without brackets;
					 * "unix:/path" */
	struct addr	 addrs[HOSTS_ADDRS_MAX];	/* with ports, IPv6
					 * first unless address_family;
					 * forbidden ones left out */
	size_t		 n_addrs;	/* more than 0, but for unix: */
	bool		 secure;	/* MX and address records are
					 * DNSSEC-secure; only with tls = dane */
	/* dane: only with tls = dane, where the TLSA records are secure. TLS
	 * must be used, even if none of them is usable (n_tlsa 0: then without
	 * authentication, RFC 7672 section 2.2). */
	bool		 dane;
	struct tlsa	*tlsa;
	size_t		 n_tlsa;
	char		 tlsa_base[256];	/* the name that has them: SNI, and
					 * a name to match with usage 2 */
	char		 domain[256];	/* the recipients', which may match too;
					 * "" for a route to a host */
};

struct hosts {
	struct hosts_host	*host;
	size_t			 n;		/* more than 0 */
	bool			 mx_secure;	/* the MX records are */
};

enum hosts_verdict {
	HOSTS_OK,
	HOSTS_TEMP,		/* try again later */
	HOSTS_FAIL,		/* for good */
};

/* `h` is the callee's (hosts_free()), NULL unless HOSTS_OK. `text` is good for
 * the call and begins with an enhanced status code. */
typedef void hosts_fn(void *ctx, enum hosts_verdict v, struct hosts *h,
	    const char *text);

/*
 * fn is called once, from the loop, never from within this call, and not after
 * hosts_cancel(). `domain`: of the recipient, ASCII lower case, or an address
 * literal in brackets; not looked at for a route to a host. conf and route are
 * borrowed for the call only. NULL: no memory, no call.
 */
struct hosts_query *hosts_find(struct resolve *r, const struct conf *conf,
	    const struct conf_route *route, const char *domain, hosts_fn *fn,
	    void *ctx);
void	hosts_cancel(struct hosts_query *q);	/* NULL is fine */
void	hosts_free(struct hosts *h);		/* NULL is fine */

/*
 * The host's TLSA records go into `ssl`, of a context on which
 * SSL_CTX_dane_enable() was called, before the handshake; sets its SNI and
 * names, and SSL_VERIFY_PEER. 1: records are in, the handshake fails unless the
 * certificate matches one of them; 0: none is usable: TLS without
 * authentication (h->dane) or none at all; ERR_NOMEM or ERR_FORMAT.
 */
int	hosts_dane_setup(const struct hosts_host *h, SSL *ssl);

#endif
