# what tests/ makes
include tests/unit/ipc_conn.mk
include tests/unit/db.mk
include tests/unit/dbenv.mk
include tests/unit/smtp.mk
include tests/fuzz/local.mk
include tests/unit/lib.mk
include tests/unit/auth.mk
include tests/unit/authc.mk
include tests/unit/sasl.mk
include tests/e2e/local.mk
include tests/unit/send.mk
include tests/unit/pop.mk
include tests/unit/spool.mk
include tests/unit/verify.mk
include tests/unit/import.mk
include tests/bench/local.mk
include tests/unit/guess.mk
