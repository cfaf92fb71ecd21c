EXTRA_DIST += tests/e2e/next_hop.py
