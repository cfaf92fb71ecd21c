/*
 * parent.c - the life of a parent: arguments, start, signals, end. See
 * parent.h. Runs as root (or wholly without); it parses no octet that comes
 * from outside, and from the administrator's control socket only the two verbs
 * below, which take no arguments.
 */
#include "lib/parent_private.h"

#include "config.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>

#include "lib/clock.h"
#include "lib/log.h"

#define STOP_MS 10000		/* then what still runs is killed */

static const char *const kid_state_names[] = {
	[KID_DOWN] = "down", [KID_STARTING] = "starting", [KID_READY] = "ready",
};

/* --------------------------------------------------------------- control -- */

static void
parent_verb_status(void *ctx, struct control_call *call, const json_t *args)
{
	struct parent *p = ctx;
	json_t *own;

	(void)args;
	for (size_t i = 0; i < p->n_kids; i++) {
		const struct kid *k = &p->kids[i];

		control_record(call, json_pack("{s:s, s:i, s:s, s:i, s:I}",
		    "process", priv_role_name(k->kind->role), "pid", (int)k->pid,
		    "state", kid_state_names[k->state], "restarts",
		    (int)k->restarts, "since_s", (json_int_t)k->since_s));
	}
	own = json_pack("{s:s, s:i, s:b, s:b, s:I}", "daemon", p->prog->name,
	    "pid", (int)getpid(), "ready", p->ready, "roles_are_walls",
	    priv_is_root(), "since_s", (json_int_t)p->started_s);
	parent_tls_status(p, own);
	parent_table_status(p, own);
	control_done_with(call, own);
}

static void
parent_verb_reload(void *ctx, struct control_call *call, const json_t *args)
{
	(void)args;
	parent_reload(ctx, call);
}

static const struct control_verb parent_verbs[] = {
	{ "status", parent_verb_status, false },
	{ "reload", parent_verb_reload, true },
	{ NULL, NULL, false },
};

/* --------------------------------------------------------- start and end -- */

void
parent_kid_ready(struct parent *p)
{
	for (size_t i = 0; i < p->n_kids; i++)
		if (p->kids[i].state != KID_READY)
			return;
	if (p->ready || p->stopping)
		return;
	p->ready = true;
	LOG_EV(LOG_NOTICE, "ready", NULL);
	sd_notify(0, "READY=1");
}

static void
parent_stop_late(void *ctx)
{
	struct parent *p = ctx;

	for (size_t i = 0; i < p->n_kids; i++)
		if (p->kids[i].pid > 0)
			kill(p->kids[i].pid, SIGKILL);
}

void
parent_stop(struct parent *p, int exit_code)
{
	if (p->stopping)
		return;
	p->stopping = true;
	p->exit_code = exit_code;
	sd_notify(0, "STOPPING=1");
	for (size_t i = 0; i < p->n_kids; i++)
		if (p->kids[i].pid > 0)
			kill(p->kids[i].pid, SIGTERM);
	timer_arm(&p->stop_timer, STOP_MS);
	if (parent_kids_alive(p) == 0)
		loop_stop(p->loop);
}

static void
parent_sigterm(void *ctx)
{
	parent_stop(ctx, 0);
}

static void
parent_sighup(void *ctx)
{
	parent_reload(ctx, NULL);
}

static void
parent_sigchld(void *ctx)
{
	struct parent *p = ctx;

	parent_reap(p);
	if (p->stopping && parent_kids_alive(p) == 0)
		loop_stop(p->loop);
}

static void
parent_usage(const struct parent_program *prog, FILE *to)
{
	fprintf(to, "usage: %s [-c FILE] [-o key=value]... [--root DIR]\n"
	    "Runs in the foreground. See %s(8) and submitd.conf(5).\n",
	    prog->name, prog->name);
}

/* 0, or the exit code plus one. */
static int
parent_args(struct parent *p, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "root", required_argument, NULL, 'R' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	int o;

	p->args.overrides = calloc((size_t)argc, sizeof *p->args.overrides);
	while ((o = getopt_long(argc, argv, "c:o:hV", longs, NULL)) != -1) {
		switch (o) {
		case 'c':
			p->args.file = optarg;
			break;
		case 'o':
			p->args.overrides[p->args.n_overrides++] = optarg;
			break;
		case 'R':
			p->args.root = optarg;
			break;
		case 'h':
			parent_usage(p->prog, stdout);
			return EX_OK + 1;
		case 'V':
			printf("%s %s\n", p->prog->name, PACKAGE_VERSION);
			return EX_OK + 1;
		default:
			parent_usage(p->prog, stderr);
			return EX_USAGE + 1;
		}
	}
	if (optind != argc) {
		parent_usage(p->prog, stderr);
		return EX_USAGE + 1;
	}
	return 0;
}

int
parent_open_log(const struct parent *p, const struct conf *conf,
    struct err *reterr)
{
	if (log_open(p->prog->name, p->prog->name, conf->log_to) == 0)
		return 0;
	err_sys(reterr, "%s", conf->log_to);
	return conf_unusable(conf, "log_to", "stderr, syslog or a file to "
	    "write to", reterr);
}

static int
parent_load(struct parent *p, struct err *reterr)
{
	int r = conf_load(&p->args, &p->conf, reterr);
	int64_t end;

	if (r == 0 && p->prog->needs_tls) {
		cert_watch_take(&p->tls_watch, p->conf);
		r = conf_load_tls(p->conf, &end, reterr);
		if (r == 0)
			r = parent_tls_load_routes(p, p->conf, reterr);
		parent_tls_seed(p, p->conf);
	}
	return r == 0 ? parent_open_log(p, p->conf, reterr) : r;
}

static int
parent_control(struct parent *p, struct err *reterr)
{
	int fd = parent_control_socket(p, reterr);

	if (fd < 0)
		return fd;
	if (control_new(p->loop, fd, p->prog->name, parent_verbs, p) == NULL)
		return err_set(reterr, ERR_NOMEM, "no memory");
	return 0;
}

static int
parent_begin(struct parent *p, struct err *reterr)
{
	int r;

	if ((r = parent_load(p, reterr)) != 0 ||
	    (r = parent_make_dirs(p, reterr)) != 0 ||
	    (r = parent_bind(p, p->conf, NULL, &p->listeners, reterr)) != 0 ||
	    (r = parent_make_sockets(p, reterr)) != 0)
		return r;
	p->loop = loop_new();
	if (p->loop == NULL ||
	    timer_init(&p->stop_timer, p->loop, parent_stop_late, p) != 0)
		return err_set(reterr, ERR_NOMEM, "no memory");
	if ((r = parent_make_table(p, reterr)) != 0)
		return r;
	return parent_control(p, reterr);
}

static int
parent_signals(struct parent *p)
{
	signal(SIGPIPE, SIG_IGN);
	return loop_signal(p->loop, SIGTERM, parent_sigterm, p) |
	    loop_signal(p->loop, SIGINT, parent_sigterm, p) |
	    loop_signal(p->loop, SIGHUP, parent_sighup, p) |
	    loop_signal(p->loop, SIGCHLD, parent_sigchld, p);
}

int
parent_main(const struct parent_program *prog, int argc, char **argv)
{
	static struct parent parent;	/* too large for a stack */
	struct parent *p = &parent;
	struct err e = { 0 };
	int r;

	p->prog = prog;
	if ((r = parent_args(p, argc, argv)) != 0)
		return r - 1;
	clock_init();
	p->started_s = clock_now_s();
	if (parent_begin(p, &e) != 0 || parent_signals(p) != 0) {
		fprintf(stderr, "%s: %s\n", prog->name, e.text);
		return e.code == ERR_SYSTEM || e.code == ERR_NOMEM ? EX_OSERR :
		    EX_CONFIG;
	}
	parent_log_listeners(&p->listeners, false);
	for (size_t i = 0; i < p->listeners.n; i++)
		p->listeners.v[i].is_new = false;
	parent_tls_taken(p);
	parent_add_kids(p);
	for (size_t i = 0; i < p->n_kids && !p->stopping; i++)
		kid_start(&p->kids[i]);
	loop_run(p->loop);
	conf_unref(p->conf);
	return p->exit_code;
}
