/*
 * recover.c - authd-core in its mode --recover: opens the database once,
 * recovers and checks it, says what is there, and ends. Executed by authd
 * --recover, or by hand; as root it goes into the folder and becomes
 * _submitauth before it looks at a file there. It serves nobody.
 */
#include "config.h"

#include "auth/recover.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "db/dbenv.h"
#include "lib/clock.h"
#include "lib/priv.h"

static void
recover_flaw(void *ctx, const char *text)
{
	(void)ctx;
	fputs("authd: ", stderr);
	for (; *text != '\0'; text++)
		fputc(*text >= 0x20 && *text < 0x7f ? *text : '?', stderr);
	fputc('\n', stderr);
}

static int
recover_enter(const char *folder, struct err *reterr)
{
	int fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC), r;

	if (fd < 0)
		return err_sys(reterr, "%s", folder);
	r = priv_drop(ROLE_AUTHD_CORE, fd, reterr);
	close(fd);
	return r;
}

static int
recover_code(int r)
{
	switch (r) {
	case ERR_EXISTS:
	case ERR_NOSPACE:
		return EX_TEMPFAIL;
	case ERR_CONFIG:
		return EX_CONFIG;
	case ERR_CORRUPT:
		return EX_DATAERR;
	default:
		return EX_OSERR;
	}
}

static int
recover_report(const struct dbenv_counts *n)
{
	printf("%llu users, %llu addresses, %llu grants, %llu other records "
	    "in %llu databases of %llu octets: ",
	    (unsigned long long)n->users, (unsigned long long)n->addresses,
	    (unsigned long long)n->grants, (unsigned long long)n->others,
	    (unsigned long long)n->databases, (unsigned long long)n->octets);
	if (n->flaws == 0) {
		puts("all in order");
		return EX_OK;
	}
	printf("%llu flaws\n", (unsigned long long)n->flaws);
	fputs("authd: restore a backup with authd --recover --from FOLDER\n",
	    stderr);
	return EX_DATAERR;
}

int
recover_main(int argc, char **argv)
{
	bool fatal = argc == 4 && strcmp(argv[3], "--fatal") == 0;
	struct dbenv_counts n = { 0 };
	struct err e = { 0 };
	int r;

	if (argc < 3 || argc > 4 || (argc == 4 && !fatal)) {
		fputs("authd-core is started by authd, see authd(8)\n",
		    stderr);
		return EX_USAGE;
	}
	clock_init();
	if ((r = recover_enter(argv[2], &e)) == 0) {
		dbenv_scratch_remove(".");
		r = dbenv_check(".", fatal, recover_flaw, NULL, &n, &e);
		if (r == ERR_CORRUPT && !fatal) {
			fprintf(stderr, "authd: %s\nauthd: running all of the "
			    "log again\n", e.text);
			r = dbenv_check(".", true, recover_flaw, NULL, &n, &e);
		}
	}
	if (r != 0) {
		fprintf(stderr, "authd: %s\n", e.text);
		return recover_code(r);
	}
	r = recover_report(&n);
	return fflush(stdout) != 0 ? EX_IOERR : r;
}
