noinst_LIBRARIES += lib/librun.a
lib_librun_a_SOURCES = \
	lib/err.c lib/err.h lib/str.c lib/str.h lib/buf.c lib/buf.h \
	lib/addr.c lib/addr.h lib/line.c lib/line.h lib/msg.c lib/msg.h \
	lib/clock.c lib/clock.h lib/fio.c lib/fio.h lib/log.c lib/log.h \
	lib/mailbox.c lib/mailbox.h lib/xtext.c lib/xtext.h lib/maildir.c lib/maildir.h \
	lib/loop.c lib/loop.h lib/tls.c lib/tls_alert.c lib/tls_alert.h lib/tls_pair.c lib/tls_server.c lib/tls_private.h lib/tls_binding.c lib/tls.h lib/conn.c lib/conn_out.c lib/conn_tls.c lib/conn_private.h lib/conn.h lib/hint.c lib/hint.h \
	lib/proxy.c lib/proxy.h lib/proxy_wait.c lib/proxy_wait.h lib/listen_tls.c lib/listen_tls.h lib/acceptor.c lib/acceptor.h lib/greet_wait.c lib/greet_wait.h lib/beneath.c lib/beneath.h lib/ipc.c lib/ipc_client.c lib/ipc.h lib/pool.c lib/pool.h \
	lib/priv.c lib/priv.h lib/child.c lib/child.h lib/proc.h \
	lib/conf.c lib/conf_key.c lib/conf_type.c lib/conf_mech.c lib/conf_private.h lib/conf.h \
	lib/conf_value.c lib/conf_when.c lib/conf_pack.c lib/conf_show.c \
	lib/conf_section.c lib/conf_kind.c lib/conf_listen.c lib/conf_lmtp.c lib/conf_check.c lib/conf_route.c lib/conf_route.h lib/conf_section.h \
	lib/siphash.c lib/siphash.h lib/crc32c.c lib/crc32c.h \
	lib/sessions.c lib/sessions_index.c lib/sessions_lock.c lib/sessions_hello.c lib/sessions_watch.c lib/sessions_log.c \
	lib/sessions.h lib/sessions_private.h

# What only parents and submitctl link: libconfuse, jansson, libsystemd.
noinst_LIBRARIES += lib/libparent.a
lib_libparent_a_SOURCES = \
	lib/conf_file.c lib/conf_scan.c lib/conf_scan.h lib/parent.c lib/parent_dirs.c lib/parent_kids.c lib/parent_names.c lib/parent_table.c lib/parent_tls.c lib/parent_unix.c lib/cert_watch.c lib/cert_watch.h lib/conf_route_load.c \
	lib/parent.h lib/parent_private.h
lib_libparent_a_CFLAGS = $(AM_CFLAGS) $(CONFUSE_CFLAGS) $(SYSTEMD_CFLAGS) \
	$(JANSSON_CFLAGS)
noinst_LIBRARIES += lib/libcontrol.a
lib_libcontrol_a_SOURCES = lib/control.c lib/control_ask.c lib/control_json.c \
	lib/control.h lib/manifest.c lib/manifest.h
lib_libcontrol_a_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)

PARENT_LIBS = lib/libparent.a lib/libcontrol.a $(RUN_LIBS) \
	$(CONFUSE_LIBS) $(SYSTEMD_LIBS) $(JANSSON_LIBS)
CONTROL_LIBS = lib/libcontrol.a $(RUN_LIBS) $(JANSSON_LIBS)
