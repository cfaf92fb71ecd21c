/*
 * drop.h - the opened maildrop of a session, as popd/pop/ sees it.
 */
#ifndef SUBMITD_POP_DROP_H
#define SUBMITD_POP_DROP_H

#include <stdbool.h>
#include <stddef.h>

struct pop_session;

bool	pop_drop_is_deleted(const struct pop_session *s, size_t i);

#endif
