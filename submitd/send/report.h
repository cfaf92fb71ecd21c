/*
 * report.h - the reports of one message to its sender, and results whose turn
 * comes only when a report is durable.
 *
 * What the destinations of a message have to tell is gathered until all of them
 * that are tried at this time have answered, at most REPORT_GATHER_MS; so one
 * try gives one report. One report of a message is on its way at a time. What
 * was not reported when the process ends was not noted either: it is tried and
 * told again.
 */
#ifndef SUBMITD_SEND_REPORT_H
#define SUBMITD_SEND_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "submitd/send/outcome.h"

#define REPORT_GATHER_MS	(5 * 60 * 1000)

struct report;
struct sched;
struct sched_entry;

/* Takes over those of the n outcomes that have a kind (enum dsn_kind) to be
 * told; the others move to the front, *n is how many. Recipients that were taken
 * stay busy until they were told. ERR_NOMEM: all are still there. */
int	report_add(struct sched *s, struct sched_entry *e,
	    struct outcome_rcpt *rcpts, size_t *n);
/* An attempt of its message is over: perhaps it is time. NULL is fine. */
void	report_look(struct report *r);
/* For the timer sched->reports. */
void	report_run(void *sched);
/* The message is gone. NULL is fine. */
void	report_cancel(struct report *r);

/* The sender wants to hear of this (RFC 3461 section 4.1); nobody hears of a
 * report's fate (RFC 5321 section 6.1). */
bool	report_is_wanted(const struct spoolq_msg *m,
	    const struct outcome_rcpt *r, uint8_t of);
void	report_log(const struct spoolq_msg *m, int level, const char *ev,
	    const struct outcome_rcpt *r, const char *word);
/* Results for the spool: failed for good; failed for now, and `told` of it. */
void	report_put_fail(struct sched *s, struct sched_entry *e,
	    const struct outcome_rcpt *r);
void	report_put_defer(struct sched *s, struct sched_entry *e,
	    const struct outcome_rcpt *r, bool told);

#endif
