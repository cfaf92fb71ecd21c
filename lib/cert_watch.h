/*
 * cert_watch.h - whether the files of certificates and keys have changed.
 *
 * By what stat(2) tells, through symbolic links: a file that is written anew,
 * one that is renamed into place and a link that points elsewhere (certbot) all
 * count. Runs in parents.
 */
#ifndef SUBMITD_CERT_WATCH_H
#define SUBMITD_CERT_WATCH_H

#include <stdint.h>

#include "lib/conf.h"

struct cert_watch {
	uint64_t	taken;		/* what is served */
	uint64_t	seen;		/* at the last look */
};

enum cert_look {
	CERT_SAME,
	CERT_CHANGING,		/* look again soon: certificate and key change
				 * one after the other */
	CERT_CHANGED		/* two looks alike; told once */
};

/* What is there now is what is served. */
void	cert_watch_take(struct cert_watch *w, struct conf *c);
enum cert_look cert_watch_look(struct cert_watch *w, struct conf *c);

#endif
