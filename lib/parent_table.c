/*
 * parent_table.c - the table of sessions (lib/sessions.h) of a parent whose
 * children serve clients: made at start, passed to each worker, cleared of one
 * that died. Runs as root; it writes to memory that workers write to as well.
 */
#include "lib/parent_private.h"

#include <unistd.h>

#include "lib/log.h"
#include "lib/proc.h"

unsigned int
parent_workers(const struct parent *p)
{
	long n = (long)p->conf->workers;

	if (n == 0)
		n = sysconf(_SC_NPROCESSORS_ONLN);
	if (n < 1)
		n = 1;
	return n > PARENT_CORES_MAX ? PARENT_CORES_MAX : (unsigned int)n;
}

int
parent_make_table(struct parent *p, struct err *reterr)
{
	bool serves = false;

	p->table_fds.table = -1;
	for (size_t i = 0; i < p->prog->n_children; i++)
		serves |= p->prog->children[i].serves_tcp;
	if (!serves)
		return 0;
	if (sessions_make(&p->table_fds, parent_workers(p), SESSIONS_MAX,
	    reterr) != 0)
		return reterr->code;
	if (sessions_open(&p->table_fds, &p->table) != 0)
		return err_set(reterr, ERR_NOMEM, "no memory");
	return 0;
}

void
parent_tell_table(struct kid *k)
{
	const struct sessions_fds *fds = &k->parent->table_fds;
	struct msg_out m;

	if (k->worker < 0 || fds->table < 0)
		return;
	msg_begin(&m, PROC_TABLE, 0);
	msg_put_u32(&m, (uint32_t)k->worker);
	ipc_send(k->ipc, &m, fds->table);
	for (unsigned int i = 0; i < fds->n_workers; i++) {
		msg_begin(&m, PROC_WAKE, 0);
		ipc_send(k->ipc, &m, fds->wake[i]);
	}
}

void
parent_clear_table(struct kid *k)
{
	if (k->worker >= 0)
		sessions_clear(k->parent->table, (unsigned int)k->worker);
}

void
parent_table_status(const struct parent *p, json_t *own)
{
	struct sessions_counts c;

	if (p->table == NULL)
		return;
	sessions_count(p->table, &c);
	json_object_set_new(own, "sessions", json_pack("{s:i, s:I, s:I, s:I, "
	    "s:I, s:I, s:I}", "workers", (int)p->table_fds.n_workers,
	    "open", (json_int_t)c.open,
	    "strangers", (json_int_t)c.strangers,
	    "ended_per_address", (json_int_t)c.ended[0],
	    "ended_per_network", (json_int_t)c.ended[1],
	    "refused_per_user", (json_int_t)c.refused,
	    "uncounted", (json_int_t)c.uncounted));
}
