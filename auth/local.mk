# what auth/ makes

# asking authd: linked by every child of submitd and popd
noinst_LIBRARIES += auth/libauthc.a
auth_libauthc_a_SOURCES = auth/authc.c auth/authc.h auth/authc_limit.c \
	auth/authp.h \
	auth/event.c auth/event.h \
	auth/exchange.c auth/exchange.h auth/mechs.c auth/mechs.h \
	auth/roll.c auth/roll.h
EXTRA_DIST += auth/PROTOCOL

# the parent
sbin_PROGRAMS += auth/authd
auth_authd_SOURCES = auth/authd.c auth/authd_recover.c auth/authd_recover.h \
	auth/authd_restore.c
auth_authd_LDADD = $(PARENT_LIBS)

# the only program that links Cyrus SASL and Berkeley DB; what its unit tests
# need of it is a library of its own
noinst_LIBRARIES += auth/libcore.a
auth_libcore_a_SOURCES = \
	auth/address.c auth/census.c auth/census.h auth/core.h auth/fair.c \
	auth/fair.h auth/guess.c auth/guess.h auth/hash.c \
	auth/hash.h auth/hash_crypt.c auth/hash_digest.c auth/hash_private.h \
	auth/hint.c auth/hint.h auth/grant.c auth/grant.h auth/shared.c auth/shared.h auth/keys.c auth/keys.h auth/login.c auth/login_end.c \
	auth/login_mech.c auth/login_private.h auth/mail.c auth/mail_find.c auth/mail_private.h \
	auth/mail_from.c auth/mail_limit.c auth/quota.c auth/quota.h auth/quota_window.c \
	auth/quota_window.h auth/mail_ticket.c auth/notice.c \
	auth/notice.h auth/notify.c auth/notify.h \
	auth/notify_line.c auth/notify_line.h auth/ops.c auth/ops.h auth/origin.c auth/origin.h \
	auth/recent.c auth/recent.h auth/recent_rate.c auth/recent_rate.h \
	auth/recent_tell.c auth/recent_tell.h auth/brownout.c auth/brownout.h \
	auth/usage.c auth/usage.h auth/paths.c auth/paths.h \
	auth/pace.c auth/pace.h auth/policy.c auth/policy.h auth/rekey.c auth/rekey.h auth/sasl.c \
	auth/sasl.h auth/sasl_setup.c auth/sasl_user.c auth/apop.c \
	auth/apop.h auth/names.c \
	auth/names.h auth/scram.c auth/scram.h auth/seal.c auth/seal.h \
	auth/ticket.c auth/ticket.h auth/trace.c auth/trace.h auth/verify.c auth/verify.h
auth_libcore_a_CFLAGS = $(AM_CFLAGS) $(SASL_CFLAGS) $(IDN_CFLAGS) \
	$(ARGON2_CFLAGS) $(CRYPT_CFLAGS)
CORE_LIBS = auth/libcore.a auth/libauthc.a db/libimport.a $(STORE_LIBS) \
	$(RUN_LIBS) $(SASL_LIBS) $(IDN_LIBS) $(ARGON2_LIBS) $(CRYPT_LIBS)

pkglibexec_PROGRAMS += auth/authd-core
CONTROL_SOURCES = auth/control.c auth/control.h auth/control_args.c \
	auth/control_credential.c auth/control_db.c auth/control_grant.c \
	auth/control_blocked.c auth/control_private.h auth/control_session.c \
	auth/control_limits.c auth/control_settings.c auth/control_test.c auth/control_trace.c auth/why.c auth/control_user.c \
	auth/control_import.c auth/control_recent.c auth/control_report.c \
	auth/import.c auth/import.h
auth_authd_core_SOURCES = auth/main.c auth/recover.c auth/recover.h \
	$(CONTROL_SOURCES)
auth_authd_core_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS) $(SASL_CFLAGS) \
	$(IDN_CFLAGS)
auth_authd_core_LDADD = auth/libcore.a lib/libcontrol.a $(CORE_LIBS) \
	$(JANSSON_LIBS)

dist_man_MANS += auth/authd.8
