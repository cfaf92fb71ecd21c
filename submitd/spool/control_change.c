/*
 * control_change.c - the verbs that change what is queued: flush, hold, release,
 * delete.
 *
 * Runs in submitd-spool, on the loop. Each message is in the log with the
 * caller's uid; what is said to be deleted is off the disk.
 */
#include "config.h"

#include <sysexits.h>

#include "submitd/spool/control_private.h"

#include "lib/log.h"

static void
change_log(const struct walk *w, const char *event, const char *id)
{
	LOG_EV(LOG_NOTICE, event, NULL, KV_A("qid", id),
	    KV_U("uid", control_uid(w->call)));
}

/* Something is on the disk now, or could not be written. */
static void
change_kept(void *ctx, const char *id, int r)
{
	struct walk *w = ctx;

	(void)id;
	w->waiting--;
	w->failed += r != 0;
	w->work->end(w);
}

/* What is said to be held is so after a crash too. */
static void
change_await(struct walk *w, struct queue_msg *m)
{
	if (queue_await(m, change_kept, w))
		w->waiting++;
}

/* The answer, once nothing is on its way any more. */
static void
change_answer(struct walk *w, const char *counted)
{
	if (!w->over || w->waiting > 0)
		return;
	if (w->failed == 0) {
		walk_done(w, counted);
		return;
	}
	control_fail(w->call, EX_TEMPFAIL, "%zu %s, but of %zu that is not on "
	    "the disk yet: see the log; it is tried again", w->done, counted,
	    w->failed);
	walk_free(w);
}

/* Who did it, as it stands on the disk. */
static const char *
change_by(const struct walk *w)
{
	static char text[32];

	(void)str_format(text, sizeof(text), "uid %u",
	    (unsigned int)control_uid(w->call));
	return text;
}

/* ------------------------------------------------------------------ flush -- */

static void
change_flush(struct walk *w, struct queue_msg *m)
{
	if (m->held != 0)
		return;
	queue_try_now(m);
	w->done++;
	/* All of them are one line of lib/control.c. */
	if (w->ids != NULL)
		change_log(w, "msg.flushed", m->id);
}

static void
change_flushed(struct walk *w)
{
	walk_done(w, "flushed");
}

void
control_flush_verb(void *ctx, struct control_call *call, const json_t *args)
{
	static const struct walk_work work = {
		.each = change_flush, .end = change_flushed,
	};

	walk_begin(ctx, call, args, &work);
}

/* --------------------------------------------------------- hold, release -- */

static void
change_hold(struct walk *w, struct queue_msg *m)
{
	if (!queue_hold(m, ENVELOPE_HOLD_ADMIN, 0, change_by(w)))
		return;
	w->done++;
	change_log(w, "msg.held", m->id);
	change_await(w, m);
}

static void
change_held(struct walk *w)
{
	change_answer(w, "held");
}

void
control_hold_verb(void *ctx, struct control_call *call, const json_t *args)
{
	static const struct walk_work work = {
		.must_choose = true, .each = change_hold, .end = change_held,
	};

	walk_begin(ctx, call, args, &work);
}

/* What a user's state holds is only released here when he is not disabled, or
 * not there any more. */
static void
change_release(struct walk *w, struct queue_msg *m)
{
	bool disabled = m->owner != NULL && m->owner->disabled;

	if (disabled && (m->held & ENVELOPE_HOLD_USER))
		w->refused++;
	if (!queue_hold(m, 0, disabled ? ENVELOPE_HOLD_ADMIN :
	    ENVELOPE_HOLD__ALL, change_by(w)) || m->held != 0)
		return;
	w->done++;
	change_log(w, "msg.released", m->id);
	change_await(w, m);
}

static void
change_released(struct walk *w)
{
	if (w->refused == 0 || w->done > 0) {
		change_answer(w, "released");
		return;
	}
	control_fail(w->call, EX_TEMPFAIL, "%zu stay held, for their user is "
	    "disabled: see \"submitctl user enable\"", w->refused);
	walk_free(w);
}

void
control_release_verb(void *ctx, struct control_call *call, const json_t *args)
{
	static const struct walk_work work = {
		.must_choose = true, .each = change_release,
		.end = change_released,
	};

	walk_begin(ctx, call, args, &work);
}

/* ----------------------------------------------------------------- delete -- */

/* One of those that it waits for is over. */
static void
change_delete_step(struct walk *w)
{
	if (!w->over || w->waiting > 0)
		return;
	if (w->failed > 0) {
		control_fail(w->call, EX_IOERR, "%zu could not be removed, see "
		    "the log; it is tried again", w->failed);
		walk_free(w);
		return;
	}
	walk_done(w, "deleted");
}

static void
change_gone(void *ctx, const char *id, int r)
{
	struct walk *w = ctx;

	w->waiting--;
	if (r == 0) {
		w->done++;
		change_log(w, "msg.deleted", id);
	} else {
		w->failed++;
	}
	change_delete_step(w);
}

static void
change_delete(struct walk *w, struct queue_msg *m)
{
	w->waiting++;
	sender_say_gone(w->sp, m->id);
	queue_delete(m, change_gone, w);
}

void
control_delete_verb(void *ctx, struct control_call *call, const json_t *args)
{
	static const struct walk_work work = {
		.must_choose = true, .each = change_delete,
		.end = change_delete_step,
	};

	walk_begin(ctx, call, args, &work);
}
