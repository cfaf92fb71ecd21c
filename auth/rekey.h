/*
 * rekey.h - after a right password: keys as they should be today.
 *
 * Only a login shows the password in the clear (PLAIN), so only then can an
 * imported hash become SCRAM keys, missing keys be added, and the iterations
 * be raised to scram_iterations. The login does not wait for it; if it cannot
 * be done now, the next one tries again. All functions are for the loop.
 */
#ifndef SUBMITD_AUTH_REKEY_H
#define SUBMITD_AUTH_REKEY_H

#include "auth/core.h"
#include "auth/verify.h"

struct rekey;

struct rekey *rekey_new(struct core *core);	/* NULL: no memory */
/* Waits for what runs; core's userdb and census must still be there. */
void	rekey_free(struct rekey *k);		/* NULL is fine */

/* `password` (prepared) was right for the credential `found` of rec, by way of
 * verify_password(). Does nothing where nothing is due. */
void	rekey_start(struct rekey *k, const struct conf *conf,
	    const char *user, const struct user_record *rec,
	    const struct verify_found *found, const char *password);

#endif
