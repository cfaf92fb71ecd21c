# What submitctl prints of how mail is sent.
db_submitctl_SOURCES += db/submitctl_csv.c db/submitctl_report.c
