"""Guessing, the rule of MAIL and TICKET, addresses, and what stops a start.

Run by authd_wire.py.
"""

import os
import re
import shutil
import signal
import tempfile
import time
import unittest

from authd_wire_base import (Authd, blob, text, a_sid, Peer, scram, Base,
    BUILD, START, RCPT, MAILDROP, DELIVER, TLS, SID, SASL, GRANT, NETWORK,
    SMTP, POP, PASSWORD, SASL_PLUGINS, NO_TLS_PROOF, CONF)


class Guesser(Base):
    more = 'guessing_exempt = {"127.0.9.0/24"}\n'

    def test_block(self):
        """Many guesses at once from one network; then it gets no check."""
        peers = [self.peer("submitd-smtp") for _ in range(4)]
        self.login("bob@example.org", "bob's", "127.0.5.1")	# a known place
        for n, p in enumerate(peers):
            handles = [p.session(SMTP, "127.0.5.1", a_sid(i))
                       for i in range(25)]
            for i, h in enumerate(handles):
                p.send(START, blob(h) + text(TLS) + text("PLAIN") + b"\1" +
                       blob(b"\0user%d\0x%d" % (i, n)) + NO_TLS_PROOF)
            self.authd.wait_for("ev=auth.fail", 25 * n + 25)
        self.assertFalse("why=blocked" in self.authd.lines())
        self.assertFalse("ev=auth.block" in self.authd.lines())
        p = self.peer("submitd-smtp")	# more, for some leak away meanwhile
        handles = [p.session(SMTP, "127.0.5.1", a_sid(100 + i))
                   for i in range(40)]
        for i, h in enumerate(handles):
            p.send(START, blob(h) + text(TLS) + text("PLAIN") + b"\1" +
                   blob(b"\0more%d\0x" % i) + NO_TLS_PROOF)
        self.authd.wait_for("ev=auth.block")
        h = self.smtp.session(SMTP, "127.0.5.1")
        self.assertEqual(self.smtp.plain(h, "alice", PASSWORD).verdict,
                         "BADCRED")
        self.assertTrue("why=blocked" in self.authd.lines())
        r, _ = scram(self.smtp, h, "alice", PASSWORD)
        self.assertEqual(r.verdict, "BADCRED")
        for p in peers:
            p.verdicts(25, {"BADCRED"})
        self.login("bob@example.org", "bob's", "127.0.5.1")
        self.login(client="127.0.5.2")
        self.authd.clock("+400")
        self.login(client="127.0.5.1")

    def test_flood(self):
        """One network's flood takes its turns, and keeps nobody else."""
        p = self.peer("submitd-smtp")
        handles = [p.session(SMTP, "127.0.5.9", a_sid(i))
                   for i in range(400)]
        for i, h in enumerate(handles):
            p.send(START, blob(h) + text(TLS) + text("PLAIN") + b"\1" +
                   blob(b"\0user%d\0x" % i) + NO_TLS_PROOF)
        self.login(client="127.0.5.8")
        p.verdicts(400, {"BADCRED"})
        lines = self.authd.lines()
        checked = lines.count("rip=127.0.5.9 service=smtp why=nouser")
        self.assertTrue(100 < checked < 110, checked)
        self.assertEqual(lines.count("rip=127.0.5.9 service=smtp why=blocked"),
                         400 - checked)
        blocks = re.findall(r"ev=auth.block .*network=127\.0\.5\.9.*", lines)
        self.assertEqual(len(blocks), 1, lines[-3000:])
        self.assertRegex(blocks[0], "why=network count=10[0-9] until=[0-9]+$")

    def test_exempt(self):
        peers = [self.peer("submitd-smtp") for _ in range(4)]
        for p in peers:
            handles = [p.session(SMTP, "127.0.9.1", a_sid(i))
                       for i in range(30)]
            for i, h in enumerate(handles):
                p.send(START, blob(h) + text(TLS) + text("PLAIN") + b"\1" +
                       blob(b"\0user%d\0x" % i) + NO_TLS_PROOF)
        for p in peers:
            p.verdicts(30, {"BADCRED"})
        began = time.monotonic()
        h = self.smtp.session(SMTP, "127.0.9.1")
        self.assertEqual(self.smtp.plain(h, "alice", "x").verdict, "BADCRED")
        self.assertLess(time.monotonic() - began, 4)	# else it were 8
        self.login(client="127.0.9.1")


class Rule(Base):
    more = """
trusted_networks 127.0.7.0/24 { owner = "bob@example.org" }
trusted_networks 127.0.8.0/24 { senders = {"news@example.com", "@lists.example"} }
"""

    def verdict(self, *args, **kw):
        return self.smtp.mail(*args, **kw).verdict

    def test_after_auth(self):
        h, t = self.login()
        for sender in ("alice@example.org", "Alice@EXAMPLE.org",
                       "sales@example.org", ""):
            r = self.smtp.mail(h, sender, t)
            self.assertEqual(r.verdict, "OK")
            self.assertEqual((r.blob(), r.text(), r.u8(), r.rest),
                             (t, "alice@example.org", SASL, bytes(9)))
        for sender in ("bob@example.org", "x@example.com", "alice"):
            self.assertEqual(self.verdict(h, sender, t), "NOTSENDER")
        r = self.spool.ticket(t, "alice@example.org")
        self.assertEqual((r.verdict, r.text(), r.u8(), r.text(), r.text(),
                          r.text(), r.text(), r.text(), r.u32(),
                          r.rest),
                         ("OK", "alice@example.org", SASL, "127.0.0.1", TLS,
                          "PLAIN", SID, "", 0, bytes(9)))
        self.assertEqual(self.spool.ticket(t, "bob@example.org").verdict,
                         "NOTSENDER")

    def test_nothing(self):
        h = self.smtp.session(SMTP, "127.0.6.1")
        for sender in ("alice@example.org", "", "x@example.com"):
            self.assertEqual(self.verdict(h, sender), "NOAUTH")
            self.assertEqual(self.verdict(h, sender, tls=""), "NOAUTH")

    def test_grant(self):
        where = "127.0.6.2"
        h = self.smtp.session(SMTP, where)
        self.assertEqual(self.verdict(h, "alice@example.org"), "NOAUTH")
        self.pop_login(client=where)
        self.assert_log("ev=grant.new")
        r = self.smtp.mail(h, "alice@example.org")
        self.assertEqual(r.verdict, "OK")
        t = r.blob()
        self.assertEqual((r.text(), r.u8()), ("alice@example.org", GRANT))
        self.assertEqual(self.verdict(h, ""), "OK")
        self.assertEqual(self.smtp.header(t, "alice@example.org",
                                          "bob@example.org"), [1, 0])
        self.assertEqual(self.verdict(h, "bob@example.org"), "NOTSENDER")
        self.assertEqual(self.verdict(h, "alice@example.org", tls=""),
                         "NOAUTH")
        for other in ("127.0.6.3", "127.0.6.1"):
            self.assertEqual(self.verdict(self.smtp.session(SMTP, other),
                                          "alice@example.org"), "NOAUTH")
        # A second owner at the address: the sender picks, <> does not.
        self.pop_login("bob@example.org", "bob's", where)
        self.assertEqual(self.smtp.mail(h, "bob@example.org").verdict, "OK")
        self.assertEqual(self.verdict(h, "alice@example.org"), "OK")
        self.assertEqual(self.verdict(h, ""), "NOTSENDER")
        self.assertEqual(self.verdict(h, "eve@example.net"), "NOTSENDER")
        r = self.spool.ticket(t, "alice@example.org")
        self.assertEqual((r.verdict, r.text(), r.u8(), r.text()),
                         ("OK", "alice@example.org", GRANT, where))
        self.assertEqual(self.spool.ticket(t, "bob@example.org").verdict,
                         "NOTSENDER")
        self.authd.ask("grant.revoke", user="alice@example.org")
        self.assertEqual(self.verdict(h, "alice@example.org"), "NOTSENDER")
        for phase in (0, 1):
            self.assertEqual(
                self.spool.ticket(t, "alice@example.org", phase).verdict,
                "VOID")

    def test_grant_expires(self):
        where = "127.0.6.4"
        self.pop_login("eve@example.net", client=where)
        h = self.smtp.session(SMTP, where)
        t = self.smtp.mail(h, "eve@example.net").blob()
        self.authd.clock("+1790")
        self.assertEqual(self.verdict(h, "eve@example.net"), "OK")
        self.authd.clock("+1810")
        self.assertEqual(self.verdict(h, "eve@example.net"), "NOAUTH")
        # Expiry counts at MAIL: what was taken there may go on.
        for phase in (0, 1):
            self.assertEqual(
                self.spool.ticket(t, "eve@example.net", phase).verdict, "OK")
        self.authd.clock("-100000")
        self.assertEqual(self.verdict(h, "eve@example.net"), "VOID")
        self.authd.clock("+100000")	# session_max
        self.assertEqual(self.spool.ticket(t, "eve@example.net", 1).verdict,
                         "VOID")

    def test_grant_user_changes(self):
        where = "127.0.6.5"
        name = "temp@example.org"
        self.authd.user(name)
        h = self.smtp.session(SMTP, where)
        for change in (dict(verb="user.disable"),
                       dict(verb="user.passwd", password=PASSWORD),
                       dict(verb="user.set", may_submit=False)):
            self.authd.ask("user.enable", user=name)
            self.pop_login(name, client=where)
            t = self.smtp.mail(h, name).blob()
            self.assertEqual(self.spool.ticket(t, name, 1).verdict, "OK")
            self.authd.ask(change.pop("verb"), user=name, **change)
            self.assertEqual(self.verdict(h, name), "NOAUTH")
            for phase in (0, 1):
                self.assertEqual(self.spool.ticket(t, name, phase).verdict,
                                 "VOID")

    def test_sasl_user_changes(self):
        name = "temp2@example.org"
        self.authd.user(name)
        for verb, args in (("user.disable", {}),
                           ("user.passwd", dict(password=PASSWORD)),
                           ("user.delete", {})):
            h, t = self.login(name)
            self.assertEqual(self.verdict(h, name, t), "OK")
            self.authd.ask(verb, user=name, **args)
            self.assertEqual(self.verdict(h, name, t), "VOID")
            self.assertEqual(self.spool.ticket(t, name, 1).verdict, "VOID")
            self.authd.ask("user.enable", user=name)
        self.authd.user(name)	# a namesake gets nothing of it
        self.assertEqual(self.verdict(h, name, t), "VOID")

    def test_no_grant_for_smtp(self):
        where = "127.0.6.6"
        self.login(client=where)
        self.assertEqual(self.verdict(self.smtp.session(SMTP, where),
                                      "alice@example.org"), "NOAUTH")

    def test_failed_pop_login(self):
        where = "127.0.6.7"
        h = self.pop.session(POP, where)
        self.assertEqual(self.pop.plain(h, "alice", "x").verdict, "BADCRED")
        self.assertEqual(self.verdict(self.smtp.session(SMTP, where),
                                      "alice@example.org"), "NOAUTH")

    def test_networks(self):
        h = self.smtp.session(SMTP, "127.0.7.9")
        r = self.smtp.mail(h, "bob@example.org")
        self.assertEqual(r.verdict, "OK")
        t = r.blob()
        self.assertEqual((r.text(), r.u8()), ("bob@example.org", NETWORK))
        self.assertEqual(self.verdict(h, ""), "OK")
        self.assertEqual(self.verdict(h, "alice@example.org"), "NOTSENDER")
        self.assertEqual(self.verdict(h, "bob@example.org", tls=""), "NOAUTH")
        self.assertEqual(self.spool.ticket(t, "bob@example.org", 1).verdict,
                         "OK")
        self.authd.ask("user.disable", user="bob@example.org")
        self.assertEqual(self.verdict(h, "bob@example.org"), "NOAUTH")
        self.assertEqual(self.spool.ticket(t, "bob@example.org", 1).verdict,
                         "VOID")
        self.authd.ask("user.enable", user="bob@example.org")
        h = self.smtp.session(SMTP, "127.0.8.9")
        for sender, want in (("news@example.com", "OK"), ("", "NOTSENDER"),
                             ("x@lists.example", "OK"),
                             ("x@sub.lists.example", "NOTSENDER"),
                             ("alice@example.org", "NOTSENDER")):
            self.assertEqual(self.verdict(h, sender), want, sender)
        r = self.smtp.mail(h, "news@example.com")
        t = r.blob()
        self.assertEqual((r.text(), r.u8()), ("", NETWORK))
        r = self.spool.ticket(t, "news@example.com", 1)
        self.assertEqual((r.verdict, r.text()), ("OK", ""))

    def test_stolen(self):
        """A ticket is good for its session, its kind of service, unchanged."""
        h, t = self.login(client="127.0.6.8")
        other = self.smtp.session(SMTP, "127.0.6.8", sid="abcdefghij234566")
        self.assertEqual(self.verdict(other, "alice@example.org", t), "VOID")
        other = self.smtp.session(SMTP, "127.0.6.9")
        self.assertEqual(self.verdict(other, "alice@example.org", t), "VOID")
        forged = t[:-1] + bytes([t[-1] ^ 1])
        self.assertEqual(self.verdict(h, "alice@example.org", forged), "VOID")
        self.assertEqual(self.verdict(h[:-1] + b"x", "alice@example.org", t),
                         "VOID")
        pop = self.pop_login(client="127.0.6.10")
        self.assertEqual(self.spool.ticket(pop, "alice@example.org").verdict,
                         "VOID")
        self.assertEqual(self.mbox.call(MAILDROP, blob(t)).verdict, "VOID")
        pop_handle = self.pop.session(POP)
        self.assertEqual(self.verdict(pop_handle, "alice@example.org"), "VOID")
        self.assertEqual(self.spool.ticket(b"", "").verdict, "VOID")

    def test_header(self):
        """The addresses of a header are judged as the sender is."""
        h, t = self.login()
        self.assertEqual(self.smtp.header(
            t, "alice@example.org", "ALICE+x@Example.org", "bob@example.org",
            '"alice"@example.org', "nobody@localhost", "\u00e4@example.org"),
            [1, 1, 0, 1, 0, 0])
        self.assertEqual(self.smtp.header(b"x" * 60, "alice@example.org"),
                         "VOID")
        self.authd.ask("user.disable", user="alice@example.org")
        self.assertEqual(self.smtp.header(t, "alice@example.org"), "VOID")
        self.authd.ask("user.enable", user="alice@example.org")

    def test_reload(self):
        h, t = self.login()
        try:
            self.authd.reload('sender_policy = log\n')
            self.assertEqual(self.smtp.header(t, "alice@example.org",
                                              "x@example.com"), [1, 2])
            self.assert_log("ev=sender.foreign")
            self.assert_log("in=header")
            r = self.smtp.mail(h, "x@example.com", t)
            self.assertEqual(r.verdict, "OK")
            self.assert_log("ev=sender.foreign")
            n = self.smtp.session(SMTP, "127.0.7.9")
            self.assertEqual(self.verdict(n, "bob@example.org"), "NOAUTH")
        finally:
            self.authd.reload(self.more)
        self.assertEqual(self.verdict(h, "x@example.com", t), "NOTSENDER")
        self.assertEqual(self.verdict(n, "bob@example.org"), "OK")


class Addresses(Base):
    def test_rcpt(self):
        for address, want in (
                ("alice@example.org", "OK"), ("SALES@Example.Org", "OK"),
                ('"alice"@example.org', "OK"), ("nobody@example.org", "NOUSER"),
                ("postmaster", "OK"), ("PostMaster", "OK"),
                ("postmaster@example.net", "OK"), ("alice", "NOUSER"),
                ("postmaster@example.com", "NOUSER"), ("", "NOUSER"),
                ("alice@example.com", "NOUSER"), ("alice@[127.0.0.1]", "NOUSER")):
            r = self.smtp.call(RCPT, text(address))
            self.assertEqual((r.verdict, r.rest), (want, b""), address)

    def test_deliver(self):
        for address in ("alice@example.org", "sales@example.org",
                        "postmaster", "postmaster@example.net"):
            r = self.local.call(DELIVER, text(address))
            self.assertEqual((r.verdict, r.text(), r.text(), r.rest),
                             ("OK", "alice@example.org",
                              "example.org/alice", bytes(8)), address)
        self.authd.ask("user.disable", user="eve@example.net")
        r = self.local.call(DELIVER, text("eve@example.net"))
        self.assertEqual((r.verdict, r.text()), ("OK", "eve@example.net"))
        self.authd.ask("user.enable", user="eve@example.net")
        r = self.local.call(DELIVER, text("x@example.org"))
        self.assertEqual((r.verdict, r.rest), ("NOUSER", b""))

    def test_maildrop(self):
        t = self.pop_login()
        r = self.mbox.call(MAILDROP, blob(t))
        self.assertEqual((r.verdict, r.text(), r.text(), r.rest),
                         ("OK", "alice@example.org", "example.org/alice", b""))
        self.assertEqual(self.mbox.call(MAILDROP, blob(t[:-1])).verdict,
                         "VOID")
        name = "drop@example.org"
        self.authd.user(name)
        t = self.pop_login(name)
        self.authd.ask("user.set", user=name, may_pop=False)
        self.assertEqual(self.mbox.call(MAILDROP, blob(t)).verdict, "VOID")


class Plugins(unittest.TestCase):
    """A mechanism that is configured and not there is refused by its name."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="plugins.")
        self.addCleanup(shutil.rmtree, self.folder)
        os.environ["SASL_PATH"] = self.folder
        self.addCleanup(os.environ.pop, "SASL_PATH")

    def test_none(self):
        for word, name in (("SCRAM-SHA-256", "SCRAM-SHA-256"),
                           ("PLAIN", "PLAIN"), ("LOGIN", "LOGIN"),
                           ("CRAM-MD5", "CRAM-MD5"),
                           ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256-PLUS")):
            with self.assertRaises(RuntimeError) as caught:
                Authd("mechanisms = {EXTERNAL, %s}\n" % word).remove()
            self.assertIn("mechanisms: %s: Cyrus SASL has no plugin for it "
                          "(install libsasl2-modules)" % name,
                          str(caught.exception))

    def test_reload(self):
        for name in os.listdir(SASL_PLUGINS):
            if name.startswith("libplain."):
                os.symlink(SASL_PLUGINS + "/" + name,
                           self.folder + "/" + name)
        authd = Authd("mechanisms = {PLAIN, LOGIN}\n")
        try:
            with open(authd.root + "/etc/submitd.conf", "w") as f:
                f.write(CONF % BUILD + "mechanisms = {PLAIN, CRAM-MD5}\n")
            authd.process.send_signal(signal.SIGHUP)
            authd.wait_for("ev=reload.refused")
            self.assertIn("CRAM-MD5: Cyrus SASL has no plugin", authd.lines())
            authd.reload("mechanisms = {PLAIN}\n")
            authd.stop()
        finally:
            authd.remove()


class Empty(unittest.TestCase):
    def test_no_user(self):
        authd = Authd()
        try:
            p = Peer(authd, "submitd-smtp")
            self.assertEqual(p.call(RCPT, text("postmaster")).verdict, "TEMP")
            self.assertEqual(p.call(RCPT, text("x@example.org")).verdict,
                             "NOUSER")
            p.close()
            authd.stop()
        finally:
            authd.remove()
