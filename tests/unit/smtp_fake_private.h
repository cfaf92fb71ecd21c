/*
 * smtp_fake_private.h - what the parts of smtp_fake*.c share.
 */
#ifndef SUBMITD_TESTS_SMTP_FAKE_PRIVATE_H
#define SUBMITD_TESTS_SMTP_FAKE_PRIVATE_H

#include "auth/authc.h"
#include "lib/conf_route.h"
#include "lib/conn.h"
#include "submitd/smtp/worker.h"
#include "tests/unit/smtp_fake.h"

#define FAKE_CALLS	64u

struct fake_call {			/* what the loop will do */
	void	(*run)(struct fake *f, struct fake_call *c);
	loop_fn	*fn;
	void	*ctx;
	authc_fn *answer;
	struct authc_reply reply;
	char	*text;
	spoolc_fn *spooled;
	enum spoolc_verdict verdict;
	uint32_t id;
	bool	cancelled;
};

struct conn {
	struct buf		 in;
	const struct conn_ops	*ops;
	void			*ctx;
	bool			 paused, closed, tls, handshake;
	struct addr		 local;
};

struct fake {
	struct conf		 conf;
	struct conf_route	 route_local, route_next_hop;
	char			*local_domain;
	struct smtp_settings	 settings;
	struct smtp_worker	 worker;
	const struct authc_notices *notices;
	void			*notices_ctx;
	bool			 has_secrets;
	struct conn		*conn;
	struct buf		 out;
	struct buf		 text;		/* of fake_output() and the like */
	struct buf		 told;		/* to authd, who asked WHO */
	struct fake_call	 calls[FAKE_CALLS];
	size_t			 n_calls;
	uint32_t		 next_call;
	enum authp_verdict	 authd;
	bool			 granted;
	uint64_t		 size_limit;	/* alice's */
	unsigned int		 exchanges;
	enum spoolc_verdict	 spool_begin, spool_commit;
	bool			 slow_spool;
	bool			 lmtp;
	uint64_t		 spool_room;	/* 0: not known */
	unsigned int		 commits, txns, left;
	char			*message, *rcpts;
	char			 asked[2048];
	char			 event[2048];	/* EVENT, in few words */
};

extern struct fake *fake;		/* the one that runs */

/* One more thing for the loop to do. */
struct fake_call *fake_later(void (*run)(struct fake *, struct fake_call *));

#endif
