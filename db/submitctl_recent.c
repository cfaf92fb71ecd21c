/*
 * submitctl_recent.c - the command that looks past sessions up, for who answers
 * the telephone.
 */
#include "config.h"

#include <inttypes.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#include "db/submitctl.h"
#include "lib/str.h"

#define CTL_RECENT_WAIT_S 120

static void
ctl_recent_put(const char *lead, const json_t *r, const char *key)
{
	char text[1024];

	if (ctl_str(r, key)[0] != '\0')
		printf("%s%s", lead, ctl_safe(ctl_str(r, key), text,
		    sizeof(text)));
}

/* "  submission port 587, TLSv1.3, user anna@example.org": who and how. */
static void
ctl_recent_head(const json_t *r)
{
	bool in = strcmp(ctl_str(r, "authorised"), "yes") == 0;
	char when[32] = "-", tls[96];
	time_t t = (time_t)ctl_int(r, "time_s");
	struct tm tm;

	if (localtime_r(&t, &tm) != NULL)
		(void)strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &tm);
	(void)str_copy(tls, sizeof(tls), ctl_str(r, "tls"));
	tls[strcspn(tls, ":")] = '\0';
	fputs(when, stdout);
	ctl_recent_put("  ", r, "address");
	ctl_recent_put("  ", r, "service");
	if (ctl_int(r, "port") != 0)
		printf(" port %" PRId64, (int64_t)ctl_int(r, "port"));
	if (ctl_str(r, "service")[0] != '\0')
		ctl_print("  %s", tls[0] != '\0' ? tls : "no TLS");
	ctl_recent_put(in ? "  user " : "  named ", r, "user");
	if (strcmp(ctl_str(r, "login"), ctl_str(r, "user")) != 0)
		ctl_recent_put(in ? "  login " : "  claimed ", r, "login");
	ctl_recent_put("  by ", r, "by");
	if (ctl_int(r, "sessions") > 1)
		printf("  %" PRId64 " sessions", (int64_t)ctl_int(r,
		    "sessions"));
	putchar('\n');
}

static void
ctl_recent_messages(const json_t *r)
{
	const json_t *list = json_object_get(r, "queued"), *m;
	char text[320];
	size_t i;

	json_array_foreach(list, i, m) {
		printf("    queued: %s", ctl_safe(ctl_str(m, "id"), text,
		    sizeof(text)));
		ctl_recent_put(" from ", m, "sender");
		putchar('\n');
	}
}

static void
ctl_recent_one(const json_t *r)
{
	ctl_recent_head(r);
	ctl_recent_put("    session ", r, "session");
	ctl_recent_put("  from ", r, "sender");
	ctl_recent_put("  says it is ", r, "helo");
	ctl_recent_put("  ended: ", r, "ended");
	putchar('\n');
	ctl_recent_messages(r);
	if (ctl_str(r, "failed")[0] != '\0') {
		ctl_recent_put("    failed: ", r, "failed");
		putchar('\n');
	}
	if (ctl_str(r, "tell")[0] != '\0') {
		ctl_recent_put("    tell: ", r, "tell");
		putchar('\n');
	}
}

/* An id as it stands in an answer, "[ID]", is taken without its brackets. */
static json_t *
ctl_recent_request(const struct ctl *c)
{
	const char *what = c->argc > 0 ? c->argv[0] : "";
	size_t len = strlen(what);

	if (len > 2 && what[0] == '[' && what[len - 1] == ']') {
		what++;
		len -= 2;
	}
	return json_pack("{s:s, s:s%}", "verb", "recent", "what", what, len);
}

int
ctl_recent(struct ctl *c)
{
	json_t *records = json_array(), *request = ctl_recent_request(c), *r;
	uint64_t since_s;
	size_t i;
	int code;

	if (c->since != NULL && str_duration_s(c->since, &since_s) != 0) {
		json_decref(request);
		json_decref(records);
		return ctl_fail(EX_USAGE, "--since %s: a duration such as 12h "
		    "or 2d is wanted", c->since);
	}
	if (request != NULL && c->since != NULL)
		(void)json_object_set_new(request, "since_s",
		    json_integer((json_int_t)since_s));
	code = ctl_ask_long(c, CTL_USERS, request, CTL_RECENT_WAIT_S, records);
	r = json_array_get(records, json_array_size(records) - 1);
	if (code == 0 && json_object_get(r, "warnings") != NULL) {
		ctl_warnings(r);
		(void)json_array_remove(records, json_array_size(records) - 1);
	}
	if (code == 0 && c->json)
		ctl_table(c, NULL, records);
	else if (code == 0 && json_array_size(records) == 0)
		puts("no session is remembered that fits; --since looks "
		    "further back");
	else if (code == 0)
		json_array_foreach(records, i, r)
			ctl_recent_one(r);
	json_decref(records);
	return code;
}
