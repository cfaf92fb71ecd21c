/*
 * drop.c - the commands of the TRANSACTION state, and UPDATE (RFC 1939
 * sections 5 to 7). Runs in popd-pop.
 *
 * DELE marks here; popd-mbox removes at QUIT, and only then.
 */
#include "config.h"
#include "popd/pop/drop.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/err.h"
#include "lib/log.h"
#include "popd/pop/command.h"
#include "popd/pop/reply.h"
#include "popd/pop/transfer.h"

/* ------------------------------------------------------------ the marks -- */

bool
pop_drop_is_deleted(const struct pop_session *s, size_t i)
{
	return s->deleted[i / 8] & 1u << i % 8;
}

static void
pop_drop_unmark_all(struct pop_session *s)
{
	size_t n = mboxc_count(s->drop);

	memset(s->deleted, 0, (n + 7) / 8);
	s->n_left = n;
	s->octets_left = mboxc_octets(s->drop);
}

bool
pop_drop_opened(struct pop_session *s)
{
	s->deleted = malloc((mboxc_count(s->drop) + 7) / 8 + 1);
	if (s->deleted == NULL)
		return false;
	pop_drop_unmark_all(s);
	return true;
}

void
pop_drop_lost(void *ctx)
{
	/* The lock is gone, so the session is too; nothing was deleted. */
	pop_session_close(ctx, "mbox.lost", false);
}

/* Who takes a reply of many lines slowly is not silent as long as his kernel
 * acknowledges some of it. What we have still to do counts for us. */
static int64_t
pop_drop_silent_ms(const struct pop_session *s)
{
	int64_t silent_ms = clock_mono_ms() - s->alive_ms, unheard_ms;

	if (!s->waiting)
		return silent_ms;
	unheard_ms = s->transfer == NULL ? 0 : conn_unheard_ms(s->conn);
	return silent_ms < unheard_ms ? silent_ms : unheard_ms;
}

/* A client that went to sleep with its session open, or has lost its network in
 * the middle of a message (RFC 1939 knows no other way to end one early), has its
 * user locked out of his own mailbox. As at a time-out there is no reply, and
 * nothing is removed. */
void
pop_drop_wanted(void *ctx)
{
	struct pop_session *s = ctx;
	int64_t silent_ms = pop_drop_silent_ms(s);

	if (s->state != POP_ST_TRANS || s->conf->pop_takeover_s == 0 ||
	    silent_ms < (int64_t)s->conf->pop_takeover_s * 1000)
		return;
	LOG_EV(LOG_NOTICE, "pop3.takeover", s->id, KV_S("user", s->user),
	    KV_I("silent_s", silent_ms / 1000));
	pop_session_close(s, "takeover", !s->waiting);
}

/* A message number from the front of *arg, which moves behind it. Otherwise
 * the reply was sent. */
static bool
pop_drop_number(struct pop_session *s, char **arg, size_t *ret)
{
	size_t len = strcspn(*arg, " ");
	uint64_t n = 0;

	if (str_u64_n(*arg, len, 0, UINT64_MAX, &n) == ERR_FORMAT) {
		pop_err(s, POP_CODE_NONE, "A message number is expected");
		pop_session_bad(s);
		return false;
	}
	if (n < 1 || n > mboxc_count(s->drop)) {
		pop_err(s, POP_CODE_NONE, "No such message");
		return false;
	}
	if (pop_drop_is_deleted(s, (size_t)n - 1)) {
		pop_err(s, POP_CODE_NONE, "That message is deleted");
		return false;
	}
	*arg += len;
	*arg += strspn(*arg, " ");
	*ret = (size_t)n - 1;
	return true;
}

/* The number is all there is. */
static bool
pop_drop_only_number(struct pop_session *s, char *arg, size_t *ret)
{
	if (strchr(arg, ' ') != NULL) {
		pop_err(s, POP_CODE_NONE, "One message number is expected");
		pop_session_bad(s);
		return false;
	}
	return pop_drop_number(s, &arg, ret);
}

/* ---------------------------------------------------------- the commands -- */

void
pop_cmd_stat(struct pop_session *s, char *arg)
{
	(void)arg;
	pop_ok(s, "%zu %llu", s->n_left, (unsigned long long)s->octets_left);
}

void
pop_cmd_list(struct pop_session *s, char *arg)
{
	size_t i;

	if (*arg == '\0') {
		pop_session_wait(s);
		pop_ok(s, "%zu messages (%llu octets)", s->n_left,
		    (unsigned long long)s->octets_left);
		pop_transfer_listing(s, POP_LISTING_SIZES);
	} else if (pop_drop_only_number(s, arg, &i)) {
		pop_ok(s, "%zu %llu", i + 1, (unsigned long long)
		    mboxc_message(s->drop, i)->octets);
	}
}

void
pop_cmd_uidl(struct pop_session *s, char *arg)
{
	size_t i;

	if (*arg == '\0') {
		pop_session_wait(s);
		pop_ok(s, "%zu messages", s->n_left);
		pop_transfer_listing(s, POP_LISTING_UIDLS);
	} else if (pop_drop_only_number(s, arg, &i)) {
		pop_ok(s, "%zu %s", i + 1, mboxc_message(s->drop, i)->uidl);
	}
}

/* What a fetch answered, when it was not OK. */
static void
pop_drop_not_fetched(struct pop_session *s, enum mboxc_verdict v)
{
	if (v == MBOXC_GONE)
		pop_err(s, POP_CODE_NONE, "That message is not there any more");
	else
		pop_err_help(s, POP_CODE_SYS_TEMP, "The message cannot be read at "
		    "the moment, try again later");
	pop_session_go_on(s);
}

static void
pop_drop_fetched(void *ctx, enum mboxc_verdict v, int fd)
{
	struct pop_session *s = ctx;
	struct pop_head head;

	if (v != MBOXC_OK) {
		pop_drop_not_fetched(s, v);
		return;
	}
	pop_utf8_head(s, fd, &head);
	if (s->fetch_lines < 0)
		s->n_retr++;
	else
		s->n_top++;
	pop_ok(s, s->fetch_lines < 0 ? "Message follows" : "Top follows");
	pop_transfer_message(s, fd, &head, s->fetch_lines);
}

static void
pop_drop_fetch(struct pop_session *s, size_t i, int64_t lines)
{
	s->fetch_lines = lines;
	pop_session_wait(s);
	if (mboxc_fetch(s->drop, i, pop_drop_fetched) != 0 &&
	    s->state != POP_ST_CLOSED)
		pop_drop_not_fetched(s, MBOXC_TEMP);
}

void
pop_cmd_retr(struct pop_session *s, char *arg)
{
	size_t i;

	if (pop_drop_only_number(s, arg, &i))
		pop_drop_fetch(s, i, -1);
}

void
pop_cmd_top(struct pop_session *s, char *arg)
{
	uint64_t lines;
	size_t i;

	if (!pop_drop_number(s, &arg, &i))
		return;
	if (str_u64(arg, 0, INT64_MAX, &lines) != 0) {
		pop_err(s, POP_CODE_NONE, "TOP needs a number of lines");
		pop_session_bad(s);
		return;
	}
	pop_drop_fetch(s, i, (int64_t)lines);
}

void
pop_cmd_dele(struct pop_session *s, char *arg)
{
	size_t i;

	if (!pop_drop_only_number(s, arg, &i))
		return;
	s->deleted[i / 8] = (uint8_t)(s->deleted[i / 8] | 1u << i % 8);
	s->n_left--;
	s->octets_left -= mboxc_message(s->drop, i)->octets;
	pop_ok(s, "Deleted");
}

void
pop_cmd_rset(struct pop_session *s, char *arg)
{
	(void)arg;
	pop_drop_unmark_all(s);
	pop_ok(s, "%zu messages (%llu octets)", s->n_left,
	    (unsigned long long)s->octets_left);
}

/* ---------------------------------------------------------------- UPDATE -- */

static void
pop_drop_updated(void *ctx, enum mboxc_verdict v)
{
	struct pop_session *s = ctx;

	if (v == MBOXC_OK) {
		s->n_removed = mboxc_count(s->drop) - s->n_left;
		pop_ok(s, "Bye");
	} else {
		pop_err_help(s, POP_CODE_SYS_TEMP,
		    "Some deleted messages were not removed");
	}
	pop_session_close(s, v == MBOXC_OK ? "quit" : "update.failed", true);
}

void
pop_drop_quit(struct pop_session *s)
{
	if (s->n_left == mboxc_count(s->drop)) {
		pop_ok(s, "Bye");
		pop_session_close(s, "quit", true);
		return;
	}
	pop_session_wait(s);
	pop_session_enter(s, POP_ST_UPDATE);
	if (mboxc_update(s->drop, s->deleted, pop_drop_updated) != 0 &&
	    s->state != POP_ST_CLOSED)
		pop_drop_updated(s, MBOXC_TEMP);
}
