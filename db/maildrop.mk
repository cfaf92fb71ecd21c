# Mailboxes.
db_submitctl_SOURCES += db/submitctl_maildrop.c
