# submitd-spool, and the client side that submitd-smtp and submitd-send link
noinst_LIBRARIES += submitd/spool/libspoolc.a
submitd_spool_libspoolc_a_SOURCES = \
	submitd/spool/client.c submitd/spool/client_queue.c \
	submitd/spool/client.h submitd/spool/protocol.h
