/*
 * usage.h - what a Maildir holds. Blocks: pool threads only.
 */
#ifndef SUBMITD_LOCAL_USAGE_H
#define SUBMITD_LOCAL_USAGE_H

#include <stdint.h>

#include "lib/err.h"

/* Adds the sizes of the messages in the open folder (new or cur) to *sum. */
int	usage_add(int dir, uint64_t *sum, struct err *reterr);

#endif
