# POP3
EXTRA_DIST += tests/e2e/t_rfc_pop.py tests/e2e/t_pop_clients.py \
	tests/e2e/t_kill_pop.py
