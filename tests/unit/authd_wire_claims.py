"""Whom a worker says that a session belongs to (PROXY, XCLIENT): believed from
listed peers of the listener alone.

Run by authd_wire.py.
"""

import socket

from authd_wire_base import Base, PASSWORD, SMTP, POP


def free_port():
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


PROXIED, RELAY, POPPED = free_port(), free_port(), free_port()
LISTED, UNLISTED = "127.0.20.1", "127.0.21.1"


class Claims(Base):
    more = """
listener proxied { service = submission listen = "127.0.0.1:%d"
	proxy_from = {"127.0.20.0/24"} }
listener relay { service = submission listen = "127.0.0.1:%d"
	xclient_from = {"127.0.20.0/24"} mechanisms = {"LOGIN"} }
listener popped { service = pop3 listen = "127.0.0.1:%d"
	proxy_from = {"127.0.20.0/24"} }
trusted_networks 192.0.2.0/24 { owner = "bob@example.org" }
""" % (PROXIED, RELAY, POPPED)

    def verdict(self, sender, **kw):
        h = self.smtp.session(SMTP, **kw)
        return self.smtp.mail(h, sender).verdict

    def test_who_is_believed(self):
        for port, client, claim, verdict in (
                (PROXIED, LISTED, "192.0.2.1", "OK"),
                (PROXIED, LISTED, "2001:db8::1", "OK"),
                (PROXIED, LISTED, "unknown", "OK"),
                (PROXIED, LISTED, "", "VOID"),
                (PROXIED, UNLISTED, "192.0.2.1", "VOID"),
                (PROXIED, UNLISTED, "unknown", "VOID"),
                (PROXIED, UNLISTED, "", "VOID"),
                (RELAY, LISTED, "192.0.2.1", "OK"),
                (RELAY, LISTED, "", "OK"),
                (RELAY, UNLISTED, "192.0.2.1", "VOID"),
                (RELAY, UNLISTED, "", "OK"),
                (0, LISTED, "192.0.2.1", "VOID"),
                (0, LISTED, LISTED, "VOID"),
                (0, LISTED, "", "OK"),
                # another service's listener is none of its own
                (POPPED, LISTED, "192.0.2.1", "VOID")):
            with self.subTest(port=port, client=client, claim=claim):
                self.smtp.session(SMTP, client, port=port, claim=claim,
                                  verdict=verdict)
        self.assert_log("ev=auth.badclaim")

    def test_network_by_the_claim(self):
        for port in (PROXIED, RELAY):
            kw = dict(client=LISTED, port=port)
            self.assertEqual(self.verdict("bob@example.org",
                                          claim="192.0.2.1", **kw), "OK")
            for other in ("192.0.3.1", "unknown", "0.0.0.0", "::"):
                self.assertEqual(self.verdict("bob@example.org", claim=other,
                                              **kw), "NOAUTH")

    def test_grant_by_the_claim(self):
        def login(claim):
            h = self.pop.session(POP, LISTED, port=POPPED, claim=claim)
            self.ok(self.pop.plain(h, "alice@example.org", PASSWORD))
        kw = dict(client=LISTED, port=PROXIED)
        login("unknown")
        self.assertEqual(self.verdict("alice@example.org", claim="unknown",
                                      **kw), "NOAUTH")
        login("203.0.113.9")
        self.assertEqual(self.verdict("alice@example.org",
                                      claim="203.0.113.9", **kw), "OK")
        for other in ("203.0.113.8", "unknown"):
            self.assertEqual(self.verdict("alice@example.org", claim=other,
                                          **kw), "NOAUTH")
        self.assertEqual(self.verdict("alice@example.org", client=LISTED),
                         "NOAUTH")

    def test_mechanisms_of_the_listener(self):
        h = self.smtp.session(SMTP, LISTED, port=RELAY)
        self.assertEqual(self.smtp.plain(h, "alice", "x").verdict, "BADMECH")
        self.assertEqual(self.smtp.start(h, "LOGIN").verdict, "CONTINUE")
