/*
 * conn_private.h - what conn.c (states, reading, time-outs), conn_out.c (writing)
 * and conn_tls.c (TLS) share.
 */
#ifndef SUBMITD_CONN_PRIVATE_H
#define SUBMITD_CONN_PRIVATE_H

#include "lib/conn.h"

enum conn_state {
	CONN_CONNECTING,
	CONN_CLEAR,
	CONN_FLUSH_THEN_TLS,
	CONN_HANDSHAKE,
	CONN_TLS,
	CONN_CLOSING,		/* sending the rest of the output */
	CONN_LINGER,		/* sent all; throwing away what still comes */
	CONN_CLOSED
};

struct conn {
	struct loop		*loop;
	int			 fd;
	enum conn_state		 state;
	const struct conn_ops	*ops;
	void			*ctx;
	SSL			*ssl;
	struct buf		 in, out;
	size_t			 out_high;
	struct watch		*watch;
	struct timer		 idle, deadline;
	int64_t			 idle_ms;	/* 0: off */
	int64_t			 heard_ms;	/* last octets from the peer */
	struct addr		 local;
	uint64_t		 octets_in, octets_out;
	unsigned int		 refs;		/* the owner's, and deferred calls' */
	bool			 paused;
	bool			 eof;		/* told once the input is used up */
	bool			 kicked;	/* conn_run_input() is deferred */
	bool			 flushing;	/* conn_run_flush() is deferred */
	bool			 flush_waited;	/* once, for conn_run_input() */
	bool			 more;		/* conn_more() */
	bool			 wants_write;	/* TLS needs the socket writable */
	bool			 watches_read;
	bool			 gone;		/* told */
	bool			 can_tell;	/* gone, but it can still be told why */
	bool			 server;	/* of TLS */
	uint8_t			 first[CONN_FIRST];	/* of the handshake */
	size_t			 n_first;
	unsigned int		 n_asides;	/* conn_count_asides() */
};

/* conn.c */
extern size_t conn_n_closing;	/* of the process; all are on its loop */

void	conn_unref(struct conn *c);
/* Defers fn(c) with a reference of its own. */
void	conn_defer(struct conn *c, loop_fn *fn, bool *flag);
/* It takes octets now. */
bool	conn_reads(const struct conn *c);
/* Watches the socket for what is wanted now. */
void	conn_update(struct conn *c);
/* The end, without further callbacks. */
void	conn_shut(struct conn *c);
/* Tells the owner of the end, once. */
void	conn_gone(struct conn *c, const char *why);
void	conn_run_input(void *ctx);

/* conn_out.c */
bool	conn_keeps(const struct conn *c);
void	conn_flush(struct conn *c);
void	conn_run_flush(void *ctx);

/* conn_tls.c */
void	conn_close_notify(struct conn *c);
void	conn_handshake(struct conn *c);
/* Back to clear text, for a client that has not begun TLS: to be told why. */
void	conn_leave_tls(struct conn *c);
/* What OpenSSL has against it is told as the end. */
void	conn_tls_failed(struct conn *c);

#endif
