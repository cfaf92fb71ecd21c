# the spool and the Maildir writer
if HAVE_CMOCKA
SPOOL_TESTS = tests/unit/t_envelope tests/unit/t_store tests/unit/t_spool \
	tests/unit/t_spool_out \
	tests/unit/t_spool_faults tests/unit/t_spool_loss \
	tests/unit/t_spool_start tests/unit/t_spool_queue \
	tests/unit/t_spool_hostile tests/unit/t_journal tests/unit/t_flush
SPOOL_FAKE = tests/unit/spool_fake.c tests/unit/spool_fake.h
check_PROGRAMS += $(SPOOL_TESTS)
TESTS += $(SPOOL_TESTS)
tests_unit_t_envelope_SOURCES = tests/unit/t_envelope.c
tests_unit_t_envelope_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_t_envelope_LDADD = submitd/spool/libstore.a $(RUN_LIBS) \
	$(CMOCKA_LIBS)
tests_unit_t_store_SOURCES = tests/unit/t_store.c \
	tests/unit/spares_here.h
tests_unit_t_store_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_t_store_LDADD = submitd/spool/libstore.a \
	submitd/local/libdeliver.a $(RUN_LIBS) $(CMOCKA_LIBS)
tests_unit_t_journal_SOURCES = tests/unit/t_journal.c
tests_unit_t_journal_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_t_journal_LDADD = submitd/spool/libstore.a $(RUN_LIBS) \
	$(CMOCKA_LIBS)
SPOOL_LIBS = submitd/spool/libspool.a \
	submitd/spool/libspoolc.a submitd/spool/libstore.a auth/libauthc.a \
	$(CONTROL_LIBS) $(CMOCKA_LIBS)
tests_unit_t_spool_SOURCES = tests/unit/t_spool.c $(SPOOL_FAKE)
tests_unit_t_spool_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS) $(JANSSON_CFLAGS)
tests_unit_t_spool_LDADD = $(SPOOL_LIBS)
tests_unit_t_spool_out_SOURCES = tests/unit/t_spool_out.c $(SPOOL_FAKE)
tests_unit_t_spool_out_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS) $(JANSSON_CFLAGS)
tests_unit_t_spool_out_LDADD = $(SPOOL_LIBS)
tests_unit_t_spool_queue_SOURCES = tests/unit/t_spool_queue.c $(SPOOL_FAKE)
tests_unit_t_spool_queue_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS) $(JANSSON_CFLAGS)
tests_unit_t_spool_queue_LDADD = $(SPOOL_LIBS)
tests_unit_t_spool_faults_SOURCES = tests/unit/t_spool_faults.c $(SPOOL_FAKE)
tests_unit_t_spool_faults_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS) $(JANSSON_CFLAGS)
tests_unit_t_spool_faults_LDADD = $(SPOOL_LIBS)
tests_unit_t_spool_hostile_SOURCES = tests/unit/t_spool_hostile.c $(SPOOL_FAKE)
tests_unit_t_spool_hostile_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS) $(JANSSON_CFLAGS)
tests_unit_t_spool_hostile_LDADD = $(SPOOL_LIBS)
tests_unit_t_spool_start_SOURCES = tests/unit/t_spool_start.c
tests_unit_t_spool_start_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS) $(JANSSON_CFLAGS)
tests_unit_t_spool_start_LDADD = $(SPOOL_LIBS)
tests_unit_t_flush_SOURCES = tests/unit/t_flush.c
tests_unit_t_flush_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS) $(JANSSON_CFLAGS)
tests_unit_t_flush_LDADD = $(SPOOL_LIBS)
tests_unit_t_spool_loss_SOURCES = tests/unit/t_spool_loss.c \
	tests/unit/loss_disk.c tests/unit/loss_disk.h
tests_unit_t_spool_loss_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS) $(JANSSON_CFLAGS)
tests_unit_t_spool_loss_LDADD = $(SPOOL_LIBS)
endif
