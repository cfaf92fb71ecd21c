# Fuzz targets. With --enable-fuzz they are libFuzzer programs; else each is
# linked with replay.c, and make check runs its corpus once.
if FUZZ
FUZZ_MAIN = $(LIB_FUZZING_ENGINE)
else
FUZZ_MAIN = tests/fuzz/libreplay.a
check_LIBRARIES = tests/fuzz/libreplay.a
tests_fuzz_libreplay_a_SOURCES = tests/fuzz/replay.c
endif

include tests/fuzz/smtp.mk
include tests/fuzz/header.mk
include tests/fuzz/pop.mk
include tests/fuzz/pop_list.mk
include tests/fuzz/uidl.mk
include tests/fuzz/record.mk
include tests/fuzz/places.mk
include tests/fuzz/quota.mk
include tests/fuzz/usage.mk
include tests/fuzz/recent.mk
include tests/fuzz/trace.mk
include tests/fuzz/send.mk
include tests/fuzz/authc.mk
include tests/fuzz/lib.mk
include tests/fuzz/networks.mk
include tests/fuzz/manifest.mk
include tests/fuzz/spool.mk
include tests/fuzz/verify.mk
include tests/fuzz/import.mk
include tests/fuzz/notify.mk
