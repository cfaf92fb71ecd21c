/*
 * submitctl_report.c - the command that tells who sends how, so that
 * POP-before-SMTP can be left behind: as tables, CSV or JSON.
 */
#include "config.h"

#include <string.h>
#include <sysexits.h>

#include "db/submitctl.h"
#include "lib/str.h"

static void ctl_report_fix_user(json_t *r);

/* "shown_…" are made by ctl_report_fix_user(). */
static const struct ctl_column ctl_report_users[] = {
	{ "USER", "user", CTL_TEXT }, { "CLASS", "class", CTL_TEXT },
	{ "LOGIN", "auth_30d", CTL_NUMBER },
	{ "GRANT", "grant_30d", CTL_NUMBER },
	{ "REFUSED", "refused_30d", CTL_NUMBER },
	{ "LAST BY LOGIN", "auth_last_s", CTL_TIME },
	{ "LAST BY GRANT", "grant_last_s", CTL_TIME },
	{ "TLS", "shown_tls", CTL_TEXT }, { "FROM", "shown_from", CTL_TEXT },
	{ "CLIENT", "shown_client", CTL_TEXT },
	{ NULL, NULL, CTL_TEXT },
};

static const struct ctl_column ctl_report_users_csv[] = {
	{ "", "user", CTL_TEXT }, { "", "class", CTL_TEXT },
	{ "", "enabled", CTL_YES_NO },
	{ "", "auth_30d", CTL_NUMBER }, { "", "grant_30d", CTL_NUMBER },
	{ "", "refused_30d", CTL_NUMBER },
	{ "", "auth_last_s", CTL_TIME }, { "", "auth_tls", CTL_TEXT },
	{ "", "auth_address", CTL_TEXT }, { "", "auth_client", CTL_TEXT },
	{ "", "grant_last_s", CTL_TIME }, { "", "grant_tls", CTL_TEXT },
	{ "", "grant_address", CTL_TEXT }, { "", "grant_client", CTL_TEXT },
	{ NULL, NULL, CTL_TEXT },
};

static const struct ctl_column ctl_report_addresses[] = {
	{ "ADDRESS", "address", CTL_TEXT },
	{ "TOO OLD", "handshakes_30d", CTL_NUMBER },
	{ "LAST", "last_s", CTL_TIME }, { "SERVICE", "service", CTL_TEXT },
	{ "PORT", "port", CTL_NUMBER }, { "WHY", "why", CTL_TEXT },
	{ "GRANTS THERE", "users", CTL_TEXT },
	{ NULL, NULL, CTL_TEXT },
};

static const struct ctl_column ctl_report_addresses_csv[] = {
	{ "", "address", CTL_TEXT }, { "", "handshakes_30d", CTL_NUMBER },
	{ "", "first_s", CTL_TIME }, { "", "last_s", CTL_TIME },
	{ "", "service", CTL_TEXT }, { "", "port", CTL_NUMBER },
	{ "", "why", CTL_TEXT }, { "", "hint", CTL_TEXT },
	{ "", "users", CTL_TEXT },
	{ NULL, NULL, CTL_TEXT },
};

static const struct ctl_column ctl_report_brownouts[] = {
	{ "BROWN-OUT", "name", CTL_TEXT }, { "STATE", "state", CTL_TEXT },
	{ "BEGIN", "begin_s", CTL_TIME }, { "END", "end_s", CTL_TIME },
	{ "LOGIN BEFORE", "before_auth", CTL_NUMBER },
	{ "DURING", "during_auth", CTL_NUMBER },
	{ "AFTER", "after_auth", CTL_NUMBER },
	{ "GRANT BEFORE", "before_grant", CTL_NUMBER },
	{ "DURING", "during_grant", CTL_NUMBER },
	{ "AFTER", "after_grant", CTL_NUMBER },
	{ "REFUSED", "refused", CTL_NUMBER },
	{ "USERS", "users_refused", CTL_NUMBER },
	{ "MOVED", "users_moved", CTL_NUMBER },
	{ NULL, NULL, CTL_TEXT },
};

static const struct ctl_report {
	const char		*name;
	const char		*verb;
	const struct ctl_column	*cols, *csv;
	void			(*fix)(json_t *r);
	const char		*none;
} ctl_reports[] = {
	{ "users", "grant.report.users", ctl_report_users,
	  ctl_report_users_csv, ctl_report_fix_user, "there are no users" },
	{ "addresses", "grant.report.addresses", ctl_report_addresses,
	  ctl_report_addresses_csv, NULL, "no handshake was too old in 30 "
	  "days" },
	{ "brownouts", "grant.report.brownouts", ctl_report_brownouts,
	  ctl_report_brownouts, NULL, "no grant_brownout is set" },
};
#define CTL_REPORTS (sizeof(ctl_reports) / sizeof(ctl_reports[0]))

/* How many users each class has, of all pages. */
static struct ctl_report_class {
	const char	*name;
	unsigned int	 n;
} ctl_report_classes[] = {
	{ "ready", 0 }, { "mixed", 0 }, { "grant-only", 0 }, { "silent", 0 },
};
#define CTL_CLASSES (sizeof(ctl_report_classes) / \
	sizeof(ctl_report_classes[0]))

/* The way that is to end is shown, where there is such mail. */
static void
ctl_report_fix_user(json_t *r)
{
	bool grant = json_object_get(r, "grant_last_s") != NULL;
	char tls[32] = "";

	(void)str_copy_n(tls, sizeof(tls), ctl_str(r, grant ? "grant_tls" :
	    "auth_tls"), strcspn(ctl_str(r, grant ? "grant_tls" : "auth_tls"),
	    ":"));
	(void)json_object_set_new(r, "shown_tls", json_string(tls));
	(void)json_object_set(r, "shown_from", json_object_get(r,
	    grant ? "grant_address" : "auth_address"));
	(void)json_object_set(r, "shown_client", json_object_get(r,
	    grant ? "grant_client" : "auth_client"));
	for (size_t i = 0; i < CTL_CLASSES; i++)
		if (strcmp(ctl_str(r, "class"), ctl_report_classes[i].name) ==
		    0)
			ctl_report_classes[i].n++;
}

static int
ctl_report_print(struct ctl *c, const struct ctl_report *w)
{
	bool csv = (c->given & CTL_CSV) != 0;
	int code;

	code = ctl_list_with(c, CTL_USERS, json_pack("{s:s, s:s*}", "verb",
	    w->verb, "user", w->fix != NULL ? c->user : NULL),
	    csv ? w->csv : w->cols, w->fix, csv ? NULL : w->none);
	if (code == 0 && w->fix != NULL && !csv && !c->json)
		for (size_t i = 0; i < CTL_CLASSES; i++)
			printf("%s%u %s", i == 0 ? "" : ", ",
			    ctl_report_classes[i].n,
			    ctl_report_classes[i].name);
	if (code == 0 && w->fix != NULL && !csv && !c->json)
		puts(" (messages of 30 days)");
	return code;
}

/* All of them one behind the other; as CSV one, for each has its columns. */
int
ctl_grant_report(struct ctl *c)
{
	const char *which = c->argc > 0 ? c->argv[0] : NULL;
	int code = EX_USAGE;

	if (which == NULL && (c->user != NULL || (c->given & CTL_CSV)))
		which = ctl_reports[0].name;
	for (size_t i = 0; i < CTL_REPORTS; i++) {
		if (which != NULL && strcmp(which, ctl_reports[i].name) != 0)
			continue;
		if (which == NULL && i > 0 && !c->json)
			putchar('\n');
		if ((code = ctl_report_print(c, &ctl_reports[i])) != 0)
			return code;
	}
	return code != EX_USAGE ? code : ctl_fail(code, "grant report %s: users, "
	    "addresses or brownouts is wanted", which);
}
