/*
 * control.h - the control socket "maildrop" of popd-mbox.
 */
#ifndef SUBMITD_MBOX_CONTROL_H
#define SUBMITD_MBOX_CONTROL_H

#include "lib/err.h"
#include "popd/mbox/mbox.h"

/* Serves on `fd`, for the process's life. ERR_NOMEM. */
int	mbox_control_start(struct mbox *m, int fd, struct err *reterr);

#endif
