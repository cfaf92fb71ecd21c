"""SASL exchanges: PLAIN, LOGIN, SCRAM-SHA-256, and what breaks them.

Run by authd_wire.py.
"""

import concurrent.futures
import socket
import struct
import time

from authd_wire_base import (blob, text, a_sid, Peer, scram, Base, START,
    CANCEL, TLS, SID, SMTP, POP, PASSWORD, NO_TLS_PROOF)


class Sasl(Base):
    more = 'guessing_exempt = {"127.0.0.0/24"}\n'

    def test_plain(self):
        h = self.smtp.session(SMTP)
        for name in ("alice@example.org", "Alice@Example.ORG", "alice",
                     "ALICE"):
            self.ok(self.smtp.plain(h, name, PASSWORD))
        r = self.smtp.start(h, "plain")
        self.assertEqual(r.verdict, "CONTINUE")
        exchange = r.u32()
        self.assertEqual(r.blob(), b"")
        self.ok(self.smtp.step(exchange, b"\0alice\0" + PASSWORD.encode()))

    def test_session_along(self):
        right = b"\0alice\0" + PASSWORD.encode()
        handle, ticket = self.ok(self.smtp.start_new(SMTP, "PLAIN", right),
                                 new=True)
        for mail in (self.smtp.mail(handle, "alice@example.org", ticket),
                     self.smtp.mail(self.smtp.session(SMTP),
                                    "alice@example.org", ticket)):
            self.assertEqual(mail.verdict, "OK")
        self.assertEqual(self.smtp.mail(handle, "alice@example.org").verdict,
                         "NOAUTH")
        r = self.smtp.start_new(SMTP, "PLAIN")
        self.assertEqual(r.verdict, "CONTINUE")
        self.ok(self.smtp.step(r.u32(), right), new=True)
        r = self.smtp.start_new(SMTP, "PLAIN", b"\0alice\0wrong",
                                client="127.0.0.4")
        self.assertEqual((r.verdict, r.rest), ("BADCRED", b""))
        for verdict, more in (("VOID", {"claim": "192.0.2.1"}),
                              ("TEMP", {"gone": True})):
            r = self.smtp.start_new(SMTP, "PLAIN", right, **more)
            self.assertEqual((r.verdict, r.rest), (verdict, b""))
        self.assertEqual(self.pop.start_new(POP, "PLAIN", right).verdict, "OK")

    def test_session_along_is_whole(self):
        begin = text(TLS) + text("PLAIN") + b"\0" + blob(b"") + text("") + \
            blob(b"") + blob(b"")
        along = text(SID) + bytes([SMTP]) + text("")
        handle = blob(self.smtp.session(SMTP))
        a, b = socket.socketpair()
        for fields, fd in ((blob(b"") + begin + along, None),
                           (blob(b"") + begin + along, a.fileno()),
                           (blob(b"") + begin, a.fileno()),
                           (handle + begin + along, None),
                           (handle + begin, a.fileno())):
            with self.subTest(fields=fields, fd=fd):
                self.assertTrue(self.peer("submitd-smtp").dropped(
                    START, fields, fd))
        a.close()
        b.close()

    def test_plain_refused(self):
        h = self.smtp.session(SMTP, "127.0.0.2")
        for user, password in (
                ("alice@example.org", "wrong"), ("alice@example.org", ""),
                ("alice@example.org", PASSWORD + " "),
                ("alice@example.org", PASSWORD[:-1]),
                ("alice@example.org", PASSWORD.upper()),
                ("nobody@example.org", PASSWORD), ("", PASSWORD),
                ("sales@example.org", PASSWORD), ("bob", PASSWORD),
                ("\u00e4\u00f6", "x"), ("a" * 900, "x"), ("!x", "x"),
                ("alice@example.org", "x" * 2000)):
            with self.subTest(user=user[:20], password=password[:20]):
                r = self.smtp.plain(h, user, password)
                self.assertEqual((r.verdict, r.rest), ("BADCRED", b""))

    def test_saslprep(self):
        self.authd.user("prep@example.org", "IX\u00e9")
        h = self.smtp.session(SMTP)
        for password in ("\u2168\u00e9", "I\u00adXe\u0301"):
            self.ok(self.smtp.plain(h, "prep", password), "prep@example.org")
        r = self.smtp.start(h, "PLAIN", b"\0prep\0IX\xe9")
        self.assertEqual(r.verdict, "BADCRED")

    def test_plain_malformed(self):
        h = self.smtp.session(SMTP)
        for ir in (b"", b"alice", b"\0alice", b"\0alice\0x\0y", b"\0\0\0\0"):
            self.assertEqual(self.smtp.start(h, "PLAIN", ir).verdict,
                             "MALFORMED")

    def test_authzid(self):
        h = self.smtp.session(SMTP, "127.0.0.3")
        for authzid in ("alice@example.org", "alice", "ALICE@example.org"):
            self.ok(self.smtp.plain(h, "alice", PASSWORD, authzid))
        for authzid in ("bob@example.org", "bob", "root"):
            r = self.smtp.plain(h, "alice", PASSWORD, authzid)
            self.assertEqual(r.verdict, "BADCRED")
        r, _ = scram(self.smtp, h, "alice", PASSWORD, authzid="bob")
        self.assertEqual(r.verdict, "BADCRED")
        r, _ = scram(self.smtp, h, "alice", PASSWORD,
                     authzid="alice@example.org")
        self.ok(r)

    def test_login(self):
        h = self.smtp.session(SMTP)
        for ir in (None, b"alice"):
            r = self.smtp.start(h, "LOGIN", ir)
            if ir is None:
                self.assertEqual(r.verdict, "CONTINUE")
                exchange = r.u32()
                self.assertEqual(r.blob(), b"Username:")
                r = self.smtp.step(exchange, b"alice@example.org")
            self.assertEqual(r.verdict, "CONTINUE")
            exchange = r.u32()
            self.assertEqual(r.blob(), b"Password:")
            self.ok(self.smtp.step(exchange, PASSWORD.encode()))
        r = self.smtp.start(h, "LOGIN", b"alice")
        r = self.smtp.step(r.u32(), b"a\0b")
        self.assertEqual(r.verdict, "MALFORMED")
        r = self.smtp.start(h, "LOGIN", b"alice")
        r = self.smtp.step(r.u32(), b"")
        self.assertEqual(r.verdict, "BADCRED")

    def test_scram(self):
        h = self.smtp.session(SMTP)
        for ir in (True, False):
            for user in ("alice", "Alice@example.org"):
                r, _ = scram(self, h, user, PASSWORD, ir)
                self.ok(r)

    # scram() speaks through these two, so that it can leave the id behind.
    def start(self, handle, mech, ir):
        r = self.smtp.start(handle, mech, ir)
        if ir is None:
            self.assertEqual(r.verdict, "CONTINUE")
            r.exchange = struct.unpack(">I", r.rest[:4])[0]
        return r

    def step(self, exchange, response):
        return self.smtp.step(exchange, response)

    def test_scram_refused(self):
        h = self.smtp.session(SMTP, "127.0.0.4")
        self.authd.user("gone@example.org")
        self.authd.ask("user.disable", user="gone@example.org")
        salts = set()
        for user in ("alice", "nobody@example.org", "gone", "x" * 300):
            for _ in range(2):
                r, facts = scram(self.smtp, h, user, "wrong")
                self.assertEqual(r.verdict, "BADCRED", user)
                salts.add(facts)
        self.assertEqual(len(salts), 4)	# each name has its own, for ever
        self.assertEqual(len({i for _, i in salts}), 1)
        r, _ = scram(self.smtp, h, "gone", PASSWORD)
        self.assertEqual(r.verdict, "BADCRED")

    def test_bare_name_tells_nothing(self):
        """Its salt is that of a full address, whether he is there or not."""
        h = self.smtp.session(SMTP, "127.0.0.4")
        domains = ("example.org", "example.net")
        for domain in domains:
            self.authd.user("twice@" + domain)
        for name in ("nosuch", "twice", "alice"):
            bare = scram(self.smtp, h, name, "wrong")[1]
            full = [scram(self.smtp, h, name + "@" + domain, "wrong")[1]
                    for domain in domains]
            self.assertIn(bare, full, name)
        for name in ("twice", "twice#"):
            r = self.smtp.plain(h, name, PASSWORD)
            self.assertEqual(r.verdict, "BADCRED", name)

    def test_scram_malformed(self):
        h = self.smtp.session(SMTP, "127.0.0.5")
        for ir in (b"", b"x", b"n,,", b"n,,n=alice", b"n,,n=,x",
                   b"p=tls-unique,,n=alice,r=abcdefghijklm", b"\0\0\0",
                   b"n,,n=al=zz,r=abcdefghijk",
                   b"n,,r=abcdefgh,n=alice", b"n" * 9000):
            with self.subTest(ir=ir[:30]):
                r = self.smtp.start(h, "SCRAM-SHA-256", ir)
                self.assertIn(r.verdict, ("MALFORMED", "BADCRED"))
        for final in (b"", b"c=biws", b"c=biws,r=x,p=AAAA", b"=" * 50):
            r = self.smtp.start(h, "SCRAM-SHA-256",
                                b"n,,n=alice,r=abcdefghijklmnop")
            self.assertEqual(r.verdict, "CONTINUE")
            r = self.smtp.step(r.u32(), final)
            self.assertIn(r.verdict, ("MALFORMED", "BADCRED"))

    def test_mechanism(self):
        h = self.smtp.session(SMTP)
        for mech in ("PLAIN-PLUS", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-1",
                     "CRAM-MD5", "DIGEST-MD5", "ANONYMOUS", "EXTERNAL", "",
                     "PLAIN ", "GSSAPI", "APOP", "LOGIN-PLUS",
                     "CRAM-MD5-PLUS"):
            self.assertEqual(self.smtp.start(h, mech, b"x").verdict,
                             "BADMECH", mech)
        for mech in ("PLAIN", "LOGIN", "SCRAM-SHA-256"):
            self.assertEqual(self.smtp.start(h, mech, tls="").verdict,
                             "BADMECH", mech)

    def test_disabled_and_password_changed(self):
        name = "change@example.org"
        self.authd.user(name)
        h = self.smtp.session(SMTP, "127.0.0.6")
        self.ok(self.smtp.plain(h, name, PASSWORD), name)	# now cached
        self.authd.ask("user.disable", user=name)
        self.assertEqual(self.smtp.plain(h, name, PASSWORD).verdict, "BADCRED")
        self.authd.ask("user.enable", user=name)
        self.ok(self.smtp.plain(h, name, PASSWORD), name)
        self.authd.ask("user.passwd", user=name, password="new one")
        self.assertEqual(self.smtp.plain(h, name, PASSWORD).verdict, "BADCRED")
        self.ok(self.smtp.plain(h, name, "new one"), name)
        self.authd.ask("user.set", user=name, may_submit=False)
        self.assertEqual(self.smtp.plain(h, name, "new one").verdict,
                         "BADCRED")
        self.pop_login(name, "new one")
        self.assert_log("why=notpermitted")

    def test_cache_is_fast(self):
        h = self.smtp.session(SMTP)
        self.smtp.plain(h, "alice", PASSWORD)
        began = time.monotonic()
        for _ in range(50):
            self.ok(self.smtp.plain(h, "alice", PASSWORD))
        self.assertLess(time.monotonic() - began, 2)

    def test_ambiguous_local_part(self):
        self.authd.user("twin@example.org")
        self.authd.user("twin@example.net")
        h = self.smtp.session(SMTP, "127.0.0.7")
        self.assertEqual(self.smtp.plain(h, "twin", PASSWORD).verdict,
                         "BADCRED")
        self.ok(self.smtp.plain(h, "twin@example.net", PASSWORD),
                "twin@example.net")

    def test_exchanges(self):
        h = self.smtp.session(SMTP)
        r = self.smtp.start(h, "LOGIN")
        first = r.u32()
        self.smtp.send(CANCEL, struct.pack(">I", first))
        self.assertEqual(self.smtp.step(first, b"x").verdict, "TEMP")
        self.assertEqual(self.smtp.step(12345678, b"x").verdict, "TEMP")
        ids = [self.smtp.start(self.smtp.session(SMTP, sid=a_sid(n // 4)), "LOGIN").u32() for n in range(4096)]
        self.assertEqual(len(set(ids)), 4096)
        # Hundreds that wait shut nobody out: the oldest makes room.
        self.ok(self.smtp.plain(h, "alice", PASSWORD))
        self.assertEqual(self.smtp.step(ids[0], b"x").verdict, "TEMP")
        self.assertEqual(self.smtp.step(ids[1], b"x").verdict, "CONTINUE")
        # One session is not many.
        other = self.smtp.session(SMTP, sid="another" + SID[:9])
        for _ in range(4):
            self.assertEqual(self.smtp.start(other, "LOGIN").verdict,
                             "CONTINUE")
        self.assertEqual(self.smtp.start(other, "LOGIN").verdict, "TEMP")
        # An exchange belongs to the connection that began it.
        other = self.peer("submitd-smtp")
        self.assertEqual(other.step(ids[2], b"x").verdict, "TEMP")

    def test_many_at_once(self):
        """Several workers, right and wrong passwords, threads and cache."""
        def worker(n):
            p = Peer(self.authd, "submitd-smtp")
            h = p.session(SMTP, "127.0.1.%d" % (n + 1))
            out = []
            for i in range(12):
                if i % 4 == 3:
                    r, _ = scram(p, h, "alice", PASSWORD)
                    out.append(r.verdict == "OK")
                elif (n + i) % 6 == 0:
                    out.append(p.plain(h, "bob", "w%d" % i).verdict ==
                               "BADCRED")
                else:
                    name, password = (("alice", PASSWORD), ("bob", "bob's"),
                                      ("eve", PASSWORD))[i % 3]
                    out.append(p.plain(h, name, password).verdict == "OK")
            p.close()
            return out
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            for out in pool.map(worker, range(8)):
                self.assertEqual(out, [True] * 12)

    def test_leaving_meanwhile(self):
        """The peer goes while its password is checked, or a reply waits."""
        for i in range(20):
            p = Peer(self.authd, "submitd-smtp")
            h = p.session(SMTP, "127.0.2.%d" % (i + 1))
            p.send(START, blob(h) + text(TLS) + text("PLAIN") + b"\1" +
                   blob(b"\0alice\0" + (b"wrong" if i % 2 else b"right%d" % i)) +
                   NO_TLS_PROOF)
            p.close()
        self.login()

    def test_guessing(self):
        h = self.smtp.session(SMTP, "127.0.3.1")
        times = []
        for i in range(3):
            began = time.monotonic()
            r = self.smtp.plain(h, "bob", "guess %d" % i)
            times.append(time.monotonic() - began)
            self.assertEqual(r.verdict, "BADCRED")
        for got, want in zip(times, (0.3, 0.6, 1.2)):
            self.assertGreater(got, want * 0.9)
        # Others are not slowed, nor is he himself with the right one.
        for client in ("127.0.3.2", "127.0.3.1"):
            began = time.monotonic()
            self.login("bob@example.org", "bob's", client)
            self.assertLess(time.monotonic() - began, 0.25)

    def test_fake_key_survives(self):
        h = self.smtp.session(SMTP, "127.0.4.1")
        _, before = scram(self.smtp, h, "nobody@example.org", "x")
        ticket = self.login()[1]
        self.authd.stop()
        self.authd.start()
        self.setUp()
        h = self.smtp.session(SMTP, "127.0.4.1")
        _, after = scram(self.smtp, h, "nobody@example.org", "x")
        self.assertEqual(before, after)
        self.assertEqual(self.spool.ticket(ticket, "").verdict, "OK")
