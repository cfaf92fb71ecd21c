# submitd-send: what is queued goes out
noinst_LIBRARIES += submitd/send/libsend.a
submitd_send_libsend_a_SOURCES = \
	submitd/send/address_policy.c submitd/send/address_policy.h \
	submitd/send/attempt.c submitd/send/attempt.h \
	submitd/send/content.c submitd/send/content.h \
	submitd/send/deadline.c \
	submitd/send/dns_answer.c submitd/send/dns_answer.h \
	submitd/send/dsn.c submitd/send/dsn.h \
	submitd/send/dest.c submitd/send/dest.h \
	submitd/send/hop.c submitd/send/hop.h \
	submitd/send/hop_link.c submitd/send/hop_private.h \
	submitd/send/hosts.c submitd/send/hosts.h \
	submitd/send/hop_reply.c submitd/send/hop_reply.h \
	submitd/send/job_heap.c submitd/send/job_heap.h \
	submitd/send/local_client.c submitd/send/local_client.h \
	submitd/send/mx.c submitd/send/mx.h \
	submitd/send/outcome.c submitd/send/outcome.h \
	submitd/send/report.c submitd/send/report.h \
	submitd/send/resolve.c submitd/send/resolve.h \
	submitd/send/resolve_host.c \
	submitd/send/retry.c submitd/send/retry.h \
	submitd/send/route.c submitd/send/route.h \
	submitd/send/schedule.c submitd/send/schedule.h \
	submitd/send/schedule_private.h \
	submitd/send/smtp_client.c submitd/send/smtp_client.h \
	submitd/send/stop.c \
	submitd/send/smtp_client_auth.c submitd/send/smtp_client_check.c \
	submitd/send/smtp_client_content.c \
	submitd/send/smtp_client_envelope.c submitd/send/smtp_client_hello.c \
	submitd/send/smtp_client_hosts.c submitd/send/smtp_client_tls.c \
	submitd/send/smtp_client_private.h submitd/send/smtp_client_txn.c \
	submitd/send/tlsa.c submitd/send/tlsa.h
submitd_send_libsend_a_CFLAGS = $(AM_CFLAGS) $(UNBOUND_CFLAGS)

pkglibexec_PROGRAMS += submitd/send/submitd-send
submitd_send_submitd_send_SOURCES = submitd/send/main.c
submitd_send_submitd_send_LDADD = submitd/send/libsend.a \
	submitd/spool/libspoolc.a $(RUN_LIBS) $(UNBOUND_LIBS)

EXTRA_DIST += tests/e2e/next_hop.py tests/e2e/t_next_hop.py \
	tests/e2e/t_hop_postfix.py tests/e2e/t_hop_tls.py \
	tests/e2e/t_hop_wishes.py tests/e2e/t_lmtp.py
