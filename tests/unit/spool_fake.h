/*
 * spool_fake.h - submitd-spool in a test: everything but the process, on its real
 * sockets in a folder of its own, with an authd that answers what the ticket says
 * ("BEGIN/COMMIT": the verdicts of the two phases as digits, "-" for none), and a
 * client of each side.
 */
#ifndef SUBMITD_TESTS_SPOOL_FAKE_H
#define SUBMITD_TESTS_SPOOL_FAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/conf.h"
#include "submitd/spool/client.h"
#include "submitd/spool/protocol.h"
#include "submitd/spool/spool.h"
#include "tests/unit/unit.h"

/* Of who has a third digit on his ticket; an "r" there: mail by LMTP. */
#define USER_LIMIT 100000u

#define BODY "Subject: hello\r\n\r\n.text\r\n"

extern struct conf conf;
extern struct loop *loop;
extern struct spool *sp;
extern struct spoolc *client;
extern struct spoolq *sender;
extern unsigned int waiting;		/* callbacks that are still to come */

/* What authd answers about any user; and a notice of it. */
extern enum authp_user user_state;
void	auth_says(const char *user, enum authp_user state);

void	spool_begin(void);
extern uint32_t segment_octets;	/* of the journal; 0: files only */
/* The same, and the journal takes messages from the first on. */
void	spool_begin_journal(void);
void	wait_ms(int64_t ms);
void	spool_end(void);		/* as a crash would */
size_t	in_journal(void);		/* messages */
int	bind_here(const char *name);	/* a socket in the folder */
void	client_begin(void);
/* A callback came; wait_for(n) returns after n of them. */
void	called(void);
void	wait_for(unsigned int n);

struct put {			/* one message on its way in */
	const char	*ticket, *body;
	const char	*const *rcpts;
	size_t		 n_rcpts, len, sent;
	uint64_t	 size;
	bool		 smtputf8;
	uint8_t		 ret;
	const char	*envid;
	const struct spool_dsn *dsn;
	struct spool_wishes wishes;
	struct spoolc_txn *txn;
	enum spoolc_verdict verdict;
	bool		 committed;	/* the verdict is commit's */
	char		 id[SPOOLC_TEXT_MAX + 1];
	void		(*then)(struct put *p);
};

extern int n_booked;		/* messages, by the fake authd */
extern const char *const one_rcpt[1];
void	put(struct put *p);
void	put_one(struct put *p);		/* and waits for its end */

/* submitd-send: the entries that it was told, and the answers it got. */
extern struct spoolq_msg *told[64];
extern size_t n_told;
extern char gone_id[STR_ID_SIZE];
extern char held_id[STR_ID_SIZE];
extern int open_fd;
extern uint64_t open_offset;
void	sender_begin(unsigned int n);	/* and waits for n entries */
void	forget_told(void);
void	on_open(void *ctx, int fd, uint64_t offset, const void *content,
	    size_t len);
void	on_bounce(void *ctx, bool ok);

size_t	files_in(const char *dir);

/* The folder, around all tests and around each. */
int	fake_enter(const char *parent);
int	fake_leave(void);
int	fake_setup(void **state);
int	fake_clean(void **state);

#endif
