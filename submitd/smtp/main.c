/*
 * main.c - submitd-smtp: SMTP submission sessions of clients anywhere.
 *
 * One process a core, started by submitd. It holds listeners and sessions, and
 * two sockets: to authd, who says what a session may do, and to submitd-spool,
 * who keeps the messages. It has no files, no database, no SASL, no resolver.
 */
#include "config.h"

#include "lib/child.h"
#include "submitd/smtp/worker.h"

int
main(int argc, char **argv)
{
	struct child *ch = child_begin(ROLE_SMTP, argc, argv);
	struct smtp_worker w = { 0 };
	struct err e = { 0 };

	w.settings = smtp_settings_new(child_conf(ch), &e);
	if (w.settings == NULL)
		child_fail(ch, &e);
	child_drop(ch, ROLE_SMTP);
	if (smtp_worker_open(&w, ch) != 0) {
		err_set(&e, ERR_NOMEM, "no memory");
		child_fail(ch, &e);
	}
	child_ready(ch, w.loop, &smtp_worker_ops, &w);
	loop_run(w.loop);
	return 0;
}
