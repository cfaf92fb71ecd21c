# what submitd/ makes
include submitd/send/local.mk
include submitd/spool/local.mk
