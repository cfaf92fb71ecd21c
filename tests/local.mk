# what tests/ makes
include tests/unit/db.mk
