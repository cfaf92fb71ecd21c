# What etc/ makes: units, users, folders, the example configuration. Paths are
# known to make only, so they are put in here and not by configure.
etc_edit = $(SED) -e 's|@sbindir[@]|$(sbindir)|g' \
	-e 's|@sysconfdir[@]|$(sysconfdir)|g' \
	-e 's|@localstatedir[@]|$(localstatedir)|g' \
	-e 's|@runstatedir[@]|$(runstatedir)|g'
etc_made = etc/systemd/authd.service etc/systemd/submitd.service \
	etc/systemd/popd.service etc/tmpfiles.d/submitd.conf

etc/systemd/authd.service: $(srcdir)/etc/systemd/authd.service.in Makefile
	$(AM_V_GEN)$(MKDIR_P) etc/systemd && \
	$(etc_edit) $(srcdir)/etc/systemd/authd.service.in >$@
etc/systemd/submitd.service: $(srcdir)/etc/systemd/submitd.service.in Makefile
	$(AM_V_GEN)$(MKDIR_P) etc/systemd && \
	$(etc_edit) $(srcdir)/etc/systemd/submitd.service.in >$@
etc/systemd/popd.service: $(srcdir)/etc/systemd/popd.service.in Makefile
	$(AM_V_GEN)$(MKDIR_P) etc/systemd && \
	$(etc_edit) $(srcdir)/etc/systemd/popd.service.in >$@
etc/tmpfiles.d/submitd.conf: $(srcdir)/etc/tmpfiles.d/submitd.conf.in Makefile
	$(AM_V_GEN)$(MKDIR_P) etc/tmpfiles.d && \
	$(etc_edit) $(srcdir)/etc/tmpfiles.d/submitd.conf.in >$@

systemdsystemunit_DATA = etc/systemd/authd.service \
	etc/systemd/submitd.service etc/systemd/popd.service \
	etc/systemd/submitd.target
sysusers_DATA = etc/sysusers.d/submitd.conf
tmpfiles_DATA = etc/tmpfiles.d/submitd.conf
# Filters for fail2ban, to be copied into its folders.
fail2banfilterdir = $(pkgdatadir)/fail2ban/filter.d
fail2banjaildir = $(pkgdatadir)/fail2ban/jail.d
dist_fail2banfilter_DATA = etc/fail2ban/filter.d/submitd.conf \
	etc/fail2ban/filter.d/popd.conf \
	etc/fail2ban/filter.d/submitd-authd.conf
dist_fail2banjail_DATA = etc/fail2ban/jail.d/submitd.conf
# An example only: a configuration is the administrator's own.
dist_doc_DATA = etc/submitd.conf
examplesdir = $(docdir)/examples
dist_examples_DATA = etc/examples/postfix-main.cf etc/examples/opensmtpd.conf \
	etc/examples/dovecot-submitd.conf etc/examples/dovecot-feeder.service
dist_examples_SCRIPTS = etc/examples/dovecot-feeder \
	etc/examples/dovecot-postlogin
CLEANFILES += $(etc_made)
EXTRA_DIST += etc/quickstart etc/common.sh etc/systemd/submitd.target \
	etc/systemd/authd.service.in etc/systemd/submitd.service.in \
	etc/systemd/popd.service.in etc/tmpfiles.d/submitd.conf.in \
	etc/sysusers.d/submitd.conf .ci/run .clang-format
