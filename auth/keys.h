/*
 * keys.h - the secrets that authd-core keeps in its own folder.
 */
#ifndef SUBMITD_AUTH_KEYS_H
#define SUBMITD_AUTH_KEYS_H

#include "auth/core.h"

/* Reads ticket.key, fake.key, secret.key and guess.key from the current
 * folder; makes, once and durably, what is missing. ERR_CORRUPT: one has the
 * wrong size. */
int	keys_open(struct core_keys *ret, struct err *reterr);

#endif
