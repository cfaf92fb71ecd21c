# what submitd/ makes
sbin_PROGRAMS += submitd/submitd
submitd_submitd_SOURCES = submitd/submitd.c
submitd_submitd_LDADD = $(PARENT_LIBS)
dist_man_MANS += submitd/submitd.8

include submitd/send/local.mk
include submitd/spool/local.mk
include submitd/smtp/local.mk
include submitd/local/local.mk
