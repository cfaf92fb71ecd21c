/*
 * t_brownout.c - brown-outs behind the rule: what only a grant lets in is refused
 * between the times, and nothing else; and the words.
 */
#include "unit.h"

#include <string.h>

#include "auth/brownout.h"

#define BEGIN	1796115600
#define END	(BEGIN + 3600)
#define OK_GRANT	(100 + AUTHP_KIND_GRANT)
#define OK_NETWORK	(100 + AUTHP_KIND_NETWORK)
#define OK_SASL		(100 + AUTHP_KIND_SASL)

static char first[] = "first", second[] = "second", text[] = "It ends",
    url[] = "https://help.example.org/";
static struct conf_brownout windows[] = {
	{ .item = { .name = first }, .begin_s = BEGIN, .end_s = END,
	  .text = text, .url = url },
	{ .item = { .name = second }, .begin_s = END + 60,
	  .end_s = END + 120 },
};
static struct conf conf = { .brownouts = windows, .n_brownouts = 2 };
static struct core core = { .conf = &conf };

static const struct policy_in by_grant = { .tls = true,
    .grants = POLICY_GRANTS_ONE, .owner_granted = true };

static int
judge(struct mail *m)
{
	m->core = &core;
	policy_decide(&m->in, &m->out);
	brownout_judge(m);
	return m->out.verdict == AUTHP_OK ? 100 + (int)m->out.kind :
	    (int)m->out.verdict;
}

static void
t_times(void **state)
{
	static const struct {
		const char	*name;
		int64_t		 now_s;
		const char	*window;	/* or NULL */
	} rows[] = {
		{ "a second before", BEGIN - 1, NULL },
		{ "the first second", BEGIN, "first" },
		{ "the last", END - 1, "first" },
		{ "behind it", END, NULL },
		{ "another one", END + 60, "second" },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct mail m = { .in = by_grant, .now_s = rows[i].now_s };

		ROW_EQ(rows[i].name, judge(&m), rows[i].window == NULL ?
		    OK_GRANT : (int)AUTHP_BROWNOUT);
		if (rows[i].window != NULL)
			ROW_STR(rows[i].name, m.brownout->item.name,
			    rows[i].window);
	}
}

static void
t_whom(void **state)
{
	static const struct {
		const char	*name;
		struct mail	 m;
		int		 want;
	} rows[] = {
		{ "a grant", { .in = { .tls = true, .grants = POLICY_GRANTS_ONE,
		  .owner_granted = true } }, AUTHP_BROWNOUT },
		{ "several grants", { .in = { .tls = true,
		  .grants = POLICY_GRANTS_SEVERAL, .owner_granted = true } },
		  AUTHP_BROWNOUT },
		{ "<> under a grant", { .in = { .tls = true, .null_sender = true,
		  .grants = POLICY_GRANTS_ONE } }, AUTHP_BROWNOUT },
		{ "a foreign sender that is only logged", { .in = {
		  .tls = true, .log_foreign = true,
		  .grants = POLICY_GRANTS_ONE } }, AUTHP_BROWNOUT },
		{ "the next message under a grant", { .in = { .tls = true,
		  .ticket = POLICY_TICKET_GRANT, .user_enabled = true,
		  .generation_equal = true, .grant_there = true,
		  .grant_unexpired = true, .owned = true } },
		  AUTHP_BROWNOUT },
		{ "a message that is under way", { .after_mail = true, .in = {
		  .tls = true, .ticket = POLICY_TICKET_GRANT,
		  .user_enabled = true, .generation_equal = true,
		  .grant_there = true, .grant_unexpired = true,
		  .owned = true } }, OK_GRANT },
		{ "its header", { .in_header = true, .in = {
		  .tls = true, .ticket = POLICY_TICKET_GRANT,
		  .user_enabled = true, .generation_equal = true,
		  .grant_there = true, .grant_unexpired = true,
		  .owned = true } }, OK_GRANT },
		{ "a login", { .in = { .tls = true,
		  .ticket = POLICY_TICKET_SASL, .user_enabled = true,
		  .generation_equal = true, .owned = true } }, OK_SASL },
		{ "a trusted network", { .in = { .tls = true, .listed = true,
		  .network = POLICY_NETWORK_SENDERS } }, OK_NETWORK },
		{ "a grant in a trusted network", { .in = { .tls = true,
		  .grants = POLICY_GRANTS_ONE, .owner_granted = true,
		  .network = POLICY_NETWORK_SENDERS, .listed = true } },
		  OK_NETWORK },
		{ "a grant in one that is another's", { .in = { .tls = true,
		  .grants = POLICY_GRANTS_ONE, .owner_granted = true,
		  .network = POLICY_NETWORK_OWNER } }, AUTHP_BROWNOUT },
		{ "nobody", { .in = { .tls = true } }, AUTHP_NOAUTH },
		{ "not his sender", { .in = { .tls = true,
		  .grants = POLICY_GRANTS_ONE } }, AUTHP_NOTSENDER },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct mail m = rows[i].m;

		m.now_s = BEGIN;
		ROW_EQ(rows[i].name, judge(&m), rows[i].want);
		if ((m.brownout != NULL) != (rows[i].want == AUTHP_BROWNOUT))
			fail_msg("%s: brownout", rows[i].name);
	}
}

static void
t_text(void **state)
{
	char dst[AUTHP_BROWNOUT_MAX + 1], most[201];
	struct conf_brownout longest = { .text = most, .url = most };

	(void)state;
	assert_string_equal(brownout_text(&windows[0], dst),
	    "It ends; see https://help.example.org/");
	assert_non_null(strstr(brownout_text(&windows[1], dst), "SMTP AUTH"));
	memset(most, 'x', sizeof(most) - 1);
	most[sizeof(most) - 1] = '\0';
	assert_int_equal(strlen(brownout_text(&longest, dst)), 406);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(t_times),
		cmocka_unit_test(t_whom),
		cmocka_unit_test(t_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
