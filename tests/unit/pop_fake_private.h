/*
 * pop_fake_private.h - what pop_fake.c (the connection, the loop, the test's own
 * calls) and pop_fake_peers.c (authd and popd-mbox) share.
 */
#ifndef SUBMITD_TESTS_POP_FAKE_PRIVATE_H
#define SUBMITD_TESTS_POP_FAKE_PRIVATE_H

#include "lib/buf.h"
#include "lib/conf.h"
#include "lib/conn.h"
#include "popd/pop/session.h"
#include "tests/unit/pop_fake.h"

#define FAKE_CALLS_MAX	64u

enum fake_kind { FAKE_DEFER, FAKE_AUTH, FAKE_OPEN, FAKE_FETCH };

struct fake_call {
	enum fake_kind	 kind;
	void		(*fn)(void);
	void		*ctx;
	uint32_t	 id;
	uint16_t	 type;			/* FAKE_AUTH */
	uint32_t	 exchange;
	char		 text[512];
	size_t		 len;
	bool		 is_start;
	bool		 has_ir;
};

struct conn {
	const struct conn_ops	*ops;
	void			*ctx;
	struct buf		 in;
	struct buf		 out;
	bool			 paused;
	bool			 tls;
	bool			 closed;
	int64_t			 deadline;	/* ms; 0: none */
	uint64_t		 in_octets;
};

struct mboxc_drop {
	bool		 open;
	bool		 closed;
	mboxc_open_fn	*fn;
	mboxc_fetch_fn	*fetched;
	loop_fn		*lost;
	void		*ctx;
	size_t		 index;
	struct mboxc_message messages[FAKE_MESSAGES];
	char		 removed[FAKE_MESSAGES + 1];
};

extern struct fake {
	struct pop_server	 server;
	const struct authc_notices *notices;
	void			*notices_ctx;
	bool			 has_secrets;
	struct conf		 conf;
	struct conn		 conn;
	struct mboxc_drop	 drop;
	struct buf		 output;
	struct fake_call	 calls[FAKE_CALLS_MAX];
	size_t			 n_calls;
	uint32_t		 last_id;
	unsigned int		 exchanges;
	size_t			 sessions;
	enum authp_verdict	 authd;
	enum mboxc_verdict	 on_open, on_fetch, on_update;
	const char		*file;
	char			 removed[FAKE_MESSAGES + 1];
	char			*text;
	bool			 named;		/* a session's id was in it */
} fake;

void	fake_must(bool ok, const char *what);

/* What is still to be answered, in the order of asking. `id` 0: all of them. */
struct fake_call *fake_call(enum fake_kind kind, void (*fn)(void), void *ctx);
void	fake_cancel(enum fake_kind kind, uint32_t id);

/* The answers of the peers. */
void	fake_authd(struct fake_call *c);
void	fake_mbox(struct fake_call *c);
void	fake_fetch(struct fake_call *c);

#endif
