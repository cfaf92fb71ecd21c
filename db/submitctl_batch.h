/*
 * submitctl_batch.h - users on their way to authd-core: many in one request,
 * which is one transaction there, and several requests under way at once.
 */
#ifndef SUBMITD_DB_SUBMITCTL_BATCH_H
#define SUBMITD_DB_SUBMITCTL_BATCH_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "db/submitctl.h"

enum batch_count {
	BATCH_ADDED, BATCH_UPDATED, BATCH_UNCHANGED, BATCH_EXISTS,
	BATCH_FAILED, BATCH_UNVERIFIABLE, BATCH_SECRETS, BATCH__COUNT
};

/* The members of the answer, in that order. */
extern const char *const batch_counts[BATCH__COUNT];

struct batches;

enum batch_what { BATCH_IS_PROBLEM, BATCH_IS_WARNING, BATCH_IS_KEPT };

/* `told` hears of each user with whom something is wrong, by the line that was
 * given for him; and of one for whom more was to come, but who was left as he
 * is (text NULL). NULL after a message. */
typedef void batch_told_fn(void *ctx, uint64_t line, const char *user,
	    const char *text, enum batch_what what);
struct batches *batches_new(struct ctl *c, const char *mode, bool check,
	    batch_told_fn *told, void *ctx);
void	batches_free(struct batches *b);	/* NULL is fine */

/* `user` is borrowed. `costly`: authd-core will have to derive keys. 0, or the
 * exit code after a message. */
int	batches_add(struct batches *b, const json_t *user, uint64_t line,
	    bool costly);
/* Sends what is left and waits for every answer. */
int	batches_finish(struct batches *b);

const uint64_t *batches_counted(const struct batches *b);

#endif
