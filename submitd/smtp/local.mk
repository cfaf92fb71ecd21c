# submitd-smtp; its pure parsers alone, for tests and fuzzers
noinst_LIBRARIES += submitd/smtp/libsmtpparse.a
submitd_smtp_libsmtpparse_a_SOURCES = \
	submitd/smtp/address.c submitd/smtp/address.h \
	submitd/smtp/xclient_params.c submitd/smtp/xclient_params.h \
	submitd/smtp/params.c submitd/smtp/params.h \
	submitd/smtp/extension.c submitd/smtp/extension.h \
	submitd/smtp/reader.c submitd/smtp/reader.h \
	submitd/smtp/from.c submitd/smtp/from.h \
	submitd/smtp/header.c submitd/smtp/header_field.c \
	submitd/smtp/header.h \
	submitd/smtp/reply.c submitd/smtp/reply.h

# the sessions, which tests drive without a network
noinst_LIBRARIES += submitd/smtp/libsmtp.a
submitd_smtp_libsmtp_a_SOURCES = \
	submitd/smtp/begin.c submitd/smtp/hint.c submitd/smtp/session.c submitd/smtp/session.h \
	submitd/smtp/command.c submitd/smtp/command.h \
	submitd/smtp/ehlo.c submitd/smtp/xclient.c submitd/smtp/auth.c submitd/smtp/mail.c \
	submitd/smtp/data.c submitd/smtp/misc.c \
	submitd/smtp/limits.c submitd/smtp/limits.h \
	submitd/smtp/past.c submitd/smtp/past.h

pkglibexec_PROGRAMS += submitd/smtp/submitd-smtp
submitd_smtp_submitd_smtp_SOURCES = submitd/smtp/main.c \
	submitd/smtp/worker.c submitd/smtp/worker.h
submitd_smtp_submitd_smtp_LDADD = submitd/smtp/libsmtp.a \
	submitd/smtp/libsmtpparse.a submitd/spool/libspoolc.a \
	auth/libauthc.a $(RUN_LIBS)
