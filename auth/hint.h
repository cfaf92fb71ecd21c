/*
 * hint.h - what to tell the person whose mail was refused for want of any leave
 * to send.
 */
#ifndef SUBMITD_AUTH_HINT_H
#define SUBMITD_AUTH_HINT_H

#include "auth/mail_private.h"

/* From what mail_judge() has found out, and from where the sender's owner has
 * last fetched mail. On the loop; a few look-ups. */
enum authp_hint hint_find(const struct mail *m);
/* The same for the stranger himself: what shows that the sender is somebody's,
 * and is told anywhere, is told to a network only a few times. */
enum authp_hint hint_tell(const struct mail *m);
/* What core.hints counts by; NULL: no memory. rate_free() it. */
struct rate *hint_rate_new(void);

#endif
