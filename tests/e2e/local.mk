# What proves the design, and the end-to-end tests (tests/run).
EXTRA_DIST += tests/deps tests/run tests/coverage \
	tests/e2e/dkim_verify.py \
	tests/e2e/log_lines.py \
	tests/e2e/next_hop.py \
	tests/e2e/rfc_instance.py \
	tests/e2e/run.py \
	tests/e2e/sasl_client.py \
	tests/e2e/submitd_instance.py \
	tests/e2e/thunderbird_client.py \
	tests/e2e/t_allow_as.py \
	tests/e2e/t_auth.py \
	tests/e2e/t_certs.py \
	tests/e2e/t_clients.py \
	tests/e2e/t_dbcare.py \
	tests/e2e/t_dbdisk.py \
	tests/e2e/t_delivery.py \
	tests/e2e/t_disk.py tests/e2e/t_trials.py tests/e2e/spool_files.py \
	tests/e2e/t_extensions.py \
	tests/e2e/t_grant_owner.py \
	tests/e2e/t_grant_report.py \
	tests/e2e/t_grants.py \
	tests/e2e/t_guessing.py \
	tests/e2e/t_headers.py \
	tests/e2e/t_import.py \
	tests/e2e/t_kill.py \
	tests/e2e/t_kill_auth.py \
	tests/e2e/t_limits.py \
	tests/e2e/t_maildirs.py \
	tests/e2e/t_mechanisms.py \
	tests/e2e/t_networks.py \
	tests/e2e/t_next_hop.py \
	tests/e2e/t_nodemailer.py \
	tests/e2e/t_pop.py \
	tests/e2e/t_quickstart.py \
	tests/e2e/t_recent.py \
	tests/e2e/t_reload.py \
	tests/e2e/t_rfc_smtp.py \
	tests/e2e/t_routes.py \
	tests/e2e/t_rule.py \
	tests/e2e/t_scan.py \
	tests/e2e/t_sessions.py \
	tests/e2e/t_start.py \
	tests/e2e/t_stop.py \
	tests/e2e/t_submission.py \
	tests/e2e/t_submitctl.py \
	tests/e2e/t_telling.py \
	tests/e2e/t_thunderbird.py \
	tests/e2e/t_transcripts.py \
	tests/e2e/t_tsan.py \
	tests/e2e/t_wrongmode.py \
	tests/e2e/t_users.py

include tests/e2e/pop.mk

# The whole folder: a transcript that is added is a test.
EXTRA_DIST += tests/session
TESTS += tests/deps
check-deps: all
	srcdir=$(srcdir) $(srcdir)/tests/deps
# Each header stands alone.
check-headers:
	@bad=0; for h in $(srcdir)/lib/*.h $(srcdir)/db/*.h $(srcdir)/auth/*.h \
	    $(srcdir)/submitd/*/*.h $(srcdir)/popd/*/*.h; do \
		$(COMPILE) -fsyntax-only -x c $$h || bad=1; done; exit $$bad
check-local: check-headers
.PHONY: check-deps check-headers
dist_man_MANS += submitd/submitd.conf.5
