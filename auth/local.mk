# what auth/ makes

# asking authd: linked by every child of submitd and popd
noinst_LIBRARIES += auth/libauthc.a
auth_libauthc_a_SOURCES = auth/authc.c auth/authc.h auth/authp.h \
	auth/exchange.c auth/exchange.h
EXTRA_DIST += auth/PROTOCOL
