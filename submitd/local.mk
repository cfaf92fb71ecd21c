# what submitd/ makes
include submitd/spool/local.mk
