# Tests of authd-core's own parts.
if HAVE_CMOCKA
AUTH_TESTS = tests/unit/t_policy tests/unit/t_ticket
check_PROGRAMS += $(AUTH_TESTS)
TESTS += $(AUTH_TESTS)
tests_unit_t_policy_SOURCES = tests/unit/t_policy.c auth/policy.c
tests_unit_t_policy_LDADD = lib/librun.a $(CMOCKA_LIBS)
tests_unit_t_ticket_SOURCES = tests/unit/t_ticket.c auth/ticket.c
tests_unit_t_ticket_LDADD = lib/librun.a $(OPENSSL_LIBS) $(CMOCKA_LIBS)
endif

# authd and authd-core as they run, asked over their sockets.
if HAVE_PYTHON3
TESTS += tests/unit/authd_wire.py
endif
EXTRA_DIST += tests/unit/authd_wire.py tests/unit/authd_wire_base.py \
	tests/unit/authd_wire_sasl.py tests/unit/authd_wire_mechanisms.py \
	tests/unit/authd_wire_rule.py tests/unit/authd_wire_roles.py \
	tests/unit/authd_wire_claims.py tests/unit/authd_wire_lmtp.py
