/*
 * control.h - the administrator's verbs for users and grants (submitctl).
 */
#ifndef SUBMITD_AUTH_CONTROL_H
#define SUBMITD_AUTH_CONTROL_H

#include "lib/control.h"

/* For control_new(): the ctx is the struct core. Ends with a NULL name. */
extern const struct control_verb core_verbs[];

#endif
