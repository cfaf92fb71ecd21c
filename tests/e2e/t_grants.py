"""POP-before-SMTP: who may send without AUTH, as whom, and until when."""

import base64
import os
import signal
import ssl
import time
import unittest

from submitd_instance import (ANNA, BOB, CARL, IPV6, Instance, letter,
                              wait_until)

# Each test has an address of its own, so that no grant leaks into another.
_next = iter(range(10, 250))


def setUpModule():
    global inst
    inst = Instance(conf={"grant_ttl": "10m",
                          "grant_exclude": ["127.0.9.0/24"]})


def tearDownModule():
    inst.close()


class Case(unittest.TestCase):
    def setUp(self):
        inst.clock(0)
        self.here = "127.0.0.%d" % next(_next)
        self.other = "127.0.0.%d" % next(_next)
        inst.ctl("grant", "purge", check=False)

    def mail(self, sender, source=None, **kw):
        """The reply to MAIL in a fresh session without AUTH."""
        with inst.smtp(source=source or self.here, **kw) as w:
            return w.cmd("MAIL FROM:<%s>" % sender)

    def allowed(self, sender, **kw):
        code, text = self.mail(sender, **kw)
        self.assertEqual(code, 250, text)

    def refused(self, sender, code=530, **kw):
        got, text = self.mail(sender, **kw)
        self.assertEqual(got, code, text)
        self.assertTrue(text.startswith("5.7.0" if code == 530 else "5.7.1"), text)


class Grants(Case):
    def test_own_sender_is_taken_and_delivered(self):
        inst.grant(ANNA, self.here)
        m = letter("under a grant")
        with inst.smtp(source=self.here) as w:
            w.send_mail(ANNA, [BOB], m)
        got = inst.fetch(BOB, n=1)[0]
        self.assertTrue(got.endswith(m))
        head = got[:-len(m)].decode()
        # Not authenticated: ESMTPS, and whose grant it was is said.
        self.assertRegex(head, r"with\s+ESMTPS\b")
        self.assertNotIn("ESMTPSA", head)
        self.assertIn(ANNA, head)
        self.assertIn("[%s]" % self.here, head)
        self.assertRegex(inst.log(), r"(?m)ev=\S+ .*user=anna@example\.test")

    def test_only_the_owners_addresses(self):
        inst.grant(ANNA, self.here)
        self.refused(BOB, 553)
        self.refused("nobody@example.test", 553)
        self.refused("x@elsewhere.test", 553)
        self.refused("anna@other.test", 553)
        self.allowed(ANNA)
        self.allowed("Anna@EXAMPLE.test")

    def test_aliases_are_the_owners(self):
        inst.ctl("user", "alias", "add", ANNA, "sales@example.test")
        inst.grant(ANNA, self.here)
        self.allowed("sales@example.test")
        inst.ctl("user", "alias", "delete", "sales@example.test")
        self.refused("sales@example.test", 553)

    def test_without_tls_a_grant_is_worth_nothing(self):
        inst.grant(ANNA, self.here)
        with inst.smtp(tls=False, source=self.here) as w:
            self.assertEqual(w.cmd("MAIL FROM:<%s>" % ANNA)[0], 530)

    def test_null_sender_with_one_grant(self):
        inst.grant(ANNA, self.here)
        self.allowed("")

    def test_two_owners_of_one_address(self):
        inst.grant(ANNA, self.here)
        inst.grant(BOB, self.here)
        self.allowed(ANNA)
        self.allowed(BOB)
        self.refused(CARL, 553)
        code, text = self.mail("")
        self.assertEqual(code, 553)
        self.assertIn("SMTP AUTH", text)
        self.assertIn("your own sender address", text)

    def test_expiry(self):
        inst.grant(ANNA, self.here)
        inst.clock(500)
        self.allowed(ANNA)
        inst.clock(601)
        self.refused(ANNA)
        inst.clock(0)

    def test_expiry_in_a_session_that_is_open(self):
        inst.grant(ANNA, self.here)
        with inst.smtp(source=self.here) as w:
            w.send_mail(ANNA, [BOB], letter("first"))
            inst.clock(601)
            self.assertEqual(w.cmd("MAIL FROM:<%s>" % ANNA)[0], 530)
        inst.clock(0)
        inst.fetch(BOB, n=1)

    def test_expiry_counts_at_mail(self):
        inst.grant(ANNA, self.here)
        with inst.smtp(source=self.here) as w:
            w.cmd("MAIL FROM:<%s>" % ANNA, 250)
            w.cmd("RCPT TO:<%s>" % BOB, 250)
            inst.clock(700)
            w.cmd("DATA", 354)
            w.send(letter("begun in time") + b".\r\n")
            code, text = w.reply()
            self.assertEqual(code, 250, text)
        inst.clock(0)
        inst.fetch(BOB, n=1)

    def test_a_clock_that_runs_back_prolongs_nothing(self):
        inst.clock(5000)
        inst.grant(ANNA, self.here)
        self.allowed(ANNA)
        inst.clock(-5000)
        self.refused(ANNA)
        inst.clock(0)

    def test_a_login_refreshes(self):
        inst.grant(ANNA, self.here)
        inst.clock(500)
        inst.grant(ANNA, self.here)
        inst.clock(1000)
        self.allowed(ANNA)
        inst.clock(0)

    def test_sending_does_not_refresh(self):
        inst.grant(ANNA, self.here)
        inst.clock(500)
        with inst.smtp(source=self.here) as w:
            w.send_mail(ANNA, [BOB], letter("x"))
        inst.fetch(BOB, n=1)
        inst.clock(700)
        self.refused(ANNA)
        inst.clock(0)

    def test_smtp_auth_grants_nothing(self):
        with inst.smtp_as(ANNA, source=self.here) as w:
            w.send_mail(ANNA, [BOB], letter("x"))
        inst.fetch(BOB, n=1)
        self.refused(ANNA)

    def test_a_failed_login_grants_nothing(self):
        p = inst.pop(source=self.here)
        p.cmd("USER " + ANNA)
        p.cmd("PASS wrong", ok=False)
        p.close()
        self.refused(ANNA)

    def test_a_busy_maildrop_still_grants(self):
        with inst.pop_as(ANNA, source=self.other) as p:
            q = inst.pop(source=self.here)
            q.cmd("USER " + ANNA)
            q.cmd("PASS " + inst.users[ANNA], ok=False)
            q.close()
            self.allowed(ANNA)
            p.cmd("QUIT")

    def test_auth_wins_over_a_grant(self):
        """After AUTH grants are not looked at."""
        inst.grant(ANNA, self.here)
        with inst.smtp_as(BOB, source=self.here) as w:
            self.assertEqual(w.cmd("MAIL FROM:<%s>" % ANNA)[0], 553)
            w.cmd("MAIL FROM:<%s>" % BOB, 250)

    def test_every_way_to_log_in_grants(self):
        for service in ("pop3", "pop3s"):
            for how in ("user", "plain"):
                with self.subTest((service, how)):
                    source = "127.0.0.%d" % next(_next)
                    p = inst.pop(service, source=source)
                    if how == "user":
                        p.login(ANNA, inst.users[ANNA])
                    else:
                        p.cmd("AUTH PLAIN " + base64.b64encode(
                            ("\0%s\0%s" % (ANNA, inst.users[ANNA])).encode()).decode())
                    p.close()
                    self.allowed(ANNA, source=source)
                    self.allowed(ANNA, source=source, service="submissions")


class Ends(Case):
    def granted(self):
        inst.grant(ANNA, self.here)
        self.allowed(ANNA)

    def test_revoke_by_address(self):
        self.granted()
        inst.ctl("grant", "revoke", self.here)
        self.refused(ANNA)

    def test_revoke_by_user(self):
        self.granted()
        inst.grant(BOB, self.here)
        inst.ctl("grant", "revoke", "--user", ANNA)
        self.assertEqual(self.mail(ANNA)[0], 553)
        self.allowed(BOB)

    def test_purge(self):
        """Purging takes away what has ended, and only that."""
        self.granted()
        inst.ctl("grant", "purge")
        self.allowed(ANNA)

    def test_disable(self):
        self.granted()
        inst.ctl("user", "disable", ANNA)
        try:
            self.refused(ANNA)
        finally:
            inst.ctl("user", "enable", ANNA)

    def test_password_change(self):
        self.granted()
        inst.ctl("user", "passwd", ANNA, "--stdin", input="another one\n")
        try:
            self.refused(ANNA)
        finally:
            inst.ctl("user", "passwd", ANNA, "--stdin",
                     input=inst.users[ANNA] + "\n")

    def test_user_deleted(self):
        inst.add_user("gone@example.test", "gone-secret")
        inst.grant("gone@example.test", self.here)
        self.allowed("gone@example.test")
        inst.ctl("user", "delete", "gone@example.test")
        self.refused("gone@example.test")
        # A new user by that name does not inherit it.
        inst.add_user("gone@example.test", "gone-secret")
        self.refused("gone@example.test")
        inst.ctl("user", "delete", "gone@example.test")

    def between_mail_and_end(self, act):
        inst.grant(ANNA, self.here)
        with inst.smtp(source=self.here) as w:
            w.cmd("MAIL FROM:<%s>" % ANNA, 250)
            w.cmd("RCPT TO:<%s>" % BOB, 250)
            w.cmd("DATA", 354)
            w.send(letter("too late"))
            act()
            w.send(b".\r\n")
            code, text = w.reply()
            self.assertIn(code, (421, 451, 530, 554), text)
            self.assertNotEqual(code, 250)
        wait_until(lambda: not inst.ctl("queue", "list", "-j").stdout.strip(),
                   what="an empty queue")
        self.assertEqual(inst.drop_size(BOB), 0)

    def test_revoke_counts_at_the_end_of_data_too(self):
        self.between_mail_and_end(lambda: inst.ctl("grant", "revoke", self.here))

    def test_disable_counts_at_the_end_of_data_too(self):
        try:
            self.between_mail_and_end(lambda: inst.ctl("user", "disable", ANNA))
        finally:
            inst.ctl("user", "enable", ANNA)

    def test_password_change_counts_at_the_end_of_data_too(self):
        try:
            self.between_mail_and_end(lambda: inst.ctl(
                "user", "passwd", ANNA, "--stdin", input="another one\n"))
        finally:
            inst.ctl("user", "passwd", ANNA, "--stdin",
                     input=inst.users[ANNA] + "\n")


class Elsewhere(Case):
    def test_another_address(self):
        inst.grant(ANNA, self.here)
        self.refused(ANNA, source=self.other)

    def test_neighbouring_addresses(self):
        inst.grant(ANNA, "127.0.1.100")
        self.allowed(ANNA, source="127.0.1.100")
        for a in ("127.0.1.99", "127.0.1.101", "127.0.1.10", "127.0.1.1",
                  "127.1.1.100", "127.0.0.100", "127.0.1.228"):
            with self.subTest(a):
                self.refused(ANNA, source=a)

    def test_ipv6_is_another_address(self):
        if not IPV6:
            self.skipTest("no IPv6 here")
        inst.grant(ANNA, "127.0.0.1")
        with inst.smtp(address="::1") as w:
            self.assertEqual(w.cmd("MAIL FROM:<%s>" % ANNA)[0], 530)
        inst.ctl("grant", "revoke", "127.0.0.1")
        inst.grant(ANNA, address="::1")
        with inst.smtp(address="::1") as w:
            w.cmd("MAIL FROM:<%s>" % ANNA, 250)
        self.refused(ANNA, source="127.0.0.1")
        inst.ctl("grant", "revoke", "::1")
        with inst.smtp(address="::1") as w:
            self.assertEqual(w.cmd("MAIL FROM:<%s>" % ANNA)[0], 530)

    def test_ipv4_mapped_is_the_address_inside(self):
        if not IPV6:
            self.skipTest("no IPv6 here")
        inst.grant(ANNA, self.here)
        for query, code in (("::ffff:" + self.here, 0), (self.here, 0),
                            ("64:ff9b::" + self.here, 0),
                            ("::ffff:" + self.other, 1),
                            ("::" + self.here, 1), ("2002:7f00:1::", 1)):
            with self.subTest(query):
                r = inst.ctl("grant", "query", query, check=False)
                self.assertEqual(r.returncode, code, r.stdout + r.stderr)

    def test_a_connection_by_an_ipv4_mapped_address(self):
        if not IPV6:
            self.skipTest("no IPv6 here")
        inst.grant(ANNA, self.here)
        for source, sender, code in ((self.here, ANNA, 250), (self.here, BOB, 553),
                                     (self.other, ANNA, 530)):
            with self.subTest((source, sender)), \
                    inst.smtp(address="::ffff:127.0.0.1",
                              source="::ffff:" + source) as w:
                self.assertEqual(w.cmd("MAIL FROM:<%s>" % sender)[0], code)

    def test_excluded_networks_get_none(self):
        inst.grant(ANNA, "127.0.9.5")
        self.refused(ANNA, source="127.0.9.5")

    def test_claims_change_nothing(self):
        inst.grant(ANNA, self.here)
        for claim in ("XCLIENT ADDR=" + self.here, "XFORWARD ADDR=" + self.here,
                      "EHLO [%s]" % self.here, "HELO [%s]" % self.here,
                      "PROXY TCP4 %s 127.0.0.1 1234 587" % self.here):
            with self.subTest(claim), inst.smtp(source=self.other) as w:
                w.cmd(claim)
                w.cmd("EHLO c.example.test")
                self.assertEqual(w.cmd("MAIL FROM:<%s>" % ANNA)[0], 530)
        # The same in front of everything, as a balancer would do it.
        for first in (b"PROXY TCP4 %s 127.0.0.1 1234 587\r\n" % self.here.encode(),
                      b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x7f\0\0\x0a\x7f\0\0\1\0\1\0\2"):
            with self.subTest(first):
                w = inst.smtp(tls=False, helo=None, source=self.other)
                w.send(first)
                code = 530
                try:
                    # Several lines may be answered, or the session ends.
                    time.sleep(0.5)
                    w.sock.settimeout(1)
                    w.fill()
                    w.sock.settimeout(20)
                    w.buffer = b""
                    w.cmd("EHLO c.example.test")
                    if w.cmd("STARTTLS")[0] == 220:
                        w.start_tls(inst.tls_context())
                        w.cmd("EHLO c.example.test")
                        code = w.cmd("MAIL FROM:<%s>" % ANNA)[0]
                except OSError:
                    pass
                self.assertEqual(code, 530)
                w.close()

    def test_auth_parameter_of_mail_changes_nothing(self):
        for param in (" AUTH=" + ANNA, " AUTH=<>", " AUTH=anna+40example.test"):
            with self.subTest(param), inst.smtp(source=self.here) as w:
                self.assertEqual(w.cmd("MAIL FROM:<%s>%s" % (ANNA, param))[0], 530)
        inst.grant(BOB, self.here)
        with inst.smtp(source=self.here) as w:
            self.assertEqual(
                w.cmd("MAIL FROM:<%s> AUTH=%s" % (ANNA, ANNA))[0], 553)

    def test_resumed_tls_carries_no_authorisation(self):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            with self.subTest(version.name):
                ctx = inst.tls_context(maximum_version=version)
                with inst.smtp_as(ANNA, source=self.here, context=ctx) as w:
                    w.cmd("MAIL FROM:<%s>" % ANNA, 250)
                    w.cmd("RSET", 250)
                    session = w.sock.session
                    w.quit()
                w = inst.smtp(source=self.other, context=ctx, session=session)
                self.assertEqual(w.cmd("MAIL FROM:<%s>" % ANNA)[0], 530)
                w.close()

    def test_a_pop3_tls_session_resumed_elsewhere(self):
        ctx = inst.tls_context()
        p = inst.pop_as(ANNA, service="pop3s", source=self.here, context=ctx)
        session = p.sock.session
        p.close()
        w = inst.smtp("submissions", source=self.other, context=ctx,
                      session=session)
        self.assertEqual(w.cmd("MAIL FROM:<%s>" % ANNA)[0], 530)
        w.close()

    def test_source_routes_and_the_percent_hack(self):
        inst.grant(ANNA, self.here)
        for sender in ("@evil.test:" + BOB, "@example.test,@x.test:" + BOB,
                       "bob%example.test@example.test", "example.test!bob@x.test",
                       '"anna@example.test"@evil.test', "anna@example.test@evil.test",
                       "anna@example.test.evil.test", "anna@example.test\\0"):
            with self.subTest(sender):
                code, text = self.mail(sender)
                self.assertIn(code, (501, 553), text)
        with inst.smtp(source=self.here) as w:
            w.cmd("MAIL FROM:<%s>" % ANNA, 250)
            for to in ("@evil.test:x@elsewhere.test", "x%elsewhere.test@example.test",
                       "elsewhere.test!x@example.test", '"x@elsewhere.test"@example.test',
                       "x%elsewhere.test"):
                with self.subTest(to):
                    code, text = w.cmd("RCPT TO:<%s>" % to)
                    self.assertIn(code, (501, 550, 553), text)


class Survives(Case):
    def test_a_restart_of_authd(self):
        inst.grant(ANNA, self.here)
        old = inst.pid("authd-core")
        os.kill(old, signal.SIGKILL)
        wait_until(lambda: inst.pid("authd-core") not in (None, old),
                   what="the new authd-core")
        wait_until(lambda: self.mail(ANNA)[0] == 250, what="the grant")

    def test_authd_away(self):
        inst.procs["authd"].terminate()
        inst.procs["authd"].wait()
        try:
            with inst.smtp(source=self.here) as w:
                code, text = w.cmd("MAIL FROM:<%s>" % ANNA)
                self.assertIn(code, (451, 454), text)
                code, text = w.cmd("AUTH PLAIN " + base64.b64encode(
                    ("\0%s\0%s" % (ANNA, inst.users[ANNA])).encode()).decode())
                self.assertEqual(code, 454, text)
                self.assertTrue(text.startswith("4.7.0"), text)
                p = inst.pop()
                p.cmd("USER anna")
                self.assertIn("[SYS/TEMP]",
                              p.cmd("PASS " + inst.users[ANNA], ok=False))
                r = inst.ctl("status", check=False)
                self.assertIn(r.returncode, (1, 2))
                inst.start("authd")
                # The sessions stay and may try again.

                def again():
                    return w.cmd("AUTH PLAIN " + base64.b64encode(
                        ("\0%s\0%s" % (ANNA, inst.users[ANNA])).encode()
                    ).decode())[0] == 235
                wait_until(again, what="AUTH after authd came back")
                inst.wait_logins()
                p.login(ANNA, inst.users[ANNA])
                p.cmd("QUIT")
        finally:
            if inst.procs["authd"].poll() is not None:
                inst.start("authd")
