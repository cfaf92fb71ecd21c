/*
 * dbenv_sweep.c - one walk for all databases out of which old records go a few
 * at a time. In authd-core, on threads that may wait for the disk.
 */
#include "config.h"

#include "db/dbenv_private.h"

/* One that is repeated begins again at the place: it is moved at the end. */
struct dbenv_sweep_part {
	const struct dbenv_sweep	*s;
	struct dbenv_place		 reached;
	uint64_t			 removed;
	bool				 ended;
};

static int
dbenv_sweep_txn(void *ctx, DB_TXN *txn, struct err *reterr)
{
	struct dbenv_sweep_part *out = ctx, p = { .s = out->s,
	    .reached = *out->s->place };
	const struct dbenv_sweep *s = p.s;
	struct dbenv_item k = { .p = p.reached.at, .len = p.reached.len,
	    .size = sizeof(p.reached.at) };
	struct dbenv_item v = s->value;
	enum dbenv_fate fate;
	int r;

	(void)reterr;
	for (unsigned int i = 0; i < s->budget && !p.ended; i++) {
		r = dbenv_next(s->db, txn, &k, &v, s->flags);
		if (r != 0 && r != DB_NOTFOUND)
			return r;
		fate = r != 0 ? DBENV_END : s->fate(s->ctx, &k, &v);
		p.ended = fate == DBENV_END;
		if (p.ended || fate == DBENV_KEEP)
			continue;
		if ((r = dbenv_del(s->db, txn, k.p, k.len)) != 0)
			return r;
		p.removed += fate == DBENV_REMOVE;
	}
	p.reached.len = p.ended ? 0 : k.len;
	*out = p;
	return 0;
}

int
dbenv_sweep(struct dbenv *e, struct dbenv_sweep *s, struct err *reterr)
{
	struct dbenv_sweep_part p = { .s = s };
	int r = dbenv_txn(e, DBENV_UPKEEP, dbenv_sweep_txn, &p, s->what,
	    reterr);

	if (r != 0)
		p = (struct dbenv_sweep_part){ .s = s };
	*s->place = p.reached;
	s->removed = p.removed;
	s->ended = p.ended;
	return r;
}
