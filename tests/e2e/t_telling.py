"""What people are told: first failures, log lines, filters of fail2ban."""

import json
import re
import time
import unittest

from submitd_instance import ANNA, BOB, IPV6, Instance, letter, wait_until

HELP = "call 123"


def setUpModule():
    global inst
    inst = Instance(conf={"help_text": HELP, "grant_ttl": "10m",
                          "grant_exclude": ["127.0.9.0/24"]})


def tearDownModule():
    inst.close()


class FirstFailure(unittest.TestCase):
    """A text says what the person should do, chosen from facts."""

    def setUp(self):
        inst.clock(0)
        inst.ctl("grant", "purge", check=False)

    def told(self, sender, *wanted, code=530, **kw):
        with inst.smtp(**kw) as w:
            got, text = w.cmd("MAIL FROM:<%s>" % sender)
            self.assertEqual(got, code, text)
            for want in wanted:
                self.assertIn(want, text)
            self.assertRegex(text, r"; %s \[[a-z2-7]{16}\]$" % HELP)
            sid = re.search(r"\[(.*)\]$", text).group(1)
        self.assertRegex(inst.log("submitd"), r"ev=smtp\.refused sid=%s " % sid)
        return text

    def test_no_mail_check(self):
        text = self.told(ANNA, "check for new mail and then send again",
                         "no mail was checked in the last 10 minutes",
                         source="127.0.0.20")
        self.assertNotIn(ANNA, text)
        # Whether there is such a user makes no difference.
        other = self.told("nobody@example.test", source="127.0.0.20")
        self.assertEqual(re.sub(r"\[.*\]$", "", text),
                         re.sub(r"\[.*\]$", "", other))

    def test_mail_check_too_long_ago(self):
        inst.grant(ANNA, "127.0.0.21")
        inst.clock(605)
        self.told(ANNA, "check for new mail and then send again",
                  "lasts no more, it counts for 10 minutes",
                  source="127.0.0.21")

    @unittest.skipUnless(IPV6, "no IPv6 here")
    def test_other_family(self):
        inst.grant(ANNA, "127.0.0.22")
        self.told(ANNA, "mail may have been fetched over IPv4, and this comes "
                  "over IPv6", address="::1")
        self.told(BOB, "no mail was checked in the last", address="::1")

    def test_where_no_check_helps(self):
        text = self.told(ANNA, "switch on authentication", source="127.0.9.1")
        self.assertNotIn("check", text)

    def test_starttls(self):
        with inst.smtp(tls=False) as w:
            code, text = w.cmd("MAIL FROM:<%s>" % ANNA)
        self.assertEqual(code, 530)
        self.assertRegex(text, r"^5\.7\.0 Must issue a STARTTLS command first: "
                         r"choose STARTTLS .*; %s \[[a-z2-7]{16}\]$" % HELP)

    def test_own_address_only_after_auth(self):
        with inst.smtp(auth=(ANNA, inst.users[ANNA])) as w:
            code, text = w.cmd("MAIL FROM:<%s>" % BOB)
            self.assertEqual(code, 553)
            self.assertIn("%s; you may send as %s; %s [" % (BOB, ANNA, HELP),
                          text)
        inst.grant(ANNA, "127.0.0.23")
        text = self.told(BOB, code=553, source="127.0.0.23")
        self.assertNotIn(ANNA, text)

    def test_wrong_password(self):
        with inst.smtp() as w:
            text = w.auth_plain(ANNA, "wrong", 535)[1]
        self.assertRegex(text, r"; %s \[[a-z2-7]{16}\]$" % HELP)

    def test_queued_as(self):
        with inst.smtp(auth=(ANNA, inst.users[ANNA])) as w:
            text = w.send_mail(ANNA, [BOB], b"Subject: x\r\n\r\nx\r\n")
        self.assertRegex(text, r"^2\.0\.0 queued as [a-z2-7]{16}$")
        inst.fetch(BOB, n=1)


class Origin(unittest.TestCase):
    """received_address = token: the address is known to us alone."""

    @classmethod
    def setUpClass(cls):
        cls.inst = Instance(conf={"received_address": "token",
                                  "token_keep": "400d"})

    @classmethod
    def tearDownClass(cls):
        cls.inst.close()

    def setUp(self):
        self.inst.clock(0)

    def received(self, source, **kw):
        """The Received field of a message, as it was delivered."""
        with self.inst.smtp_as(ANNA, source=source, helo="secret.example.net",
                               **kw) as w:
            w.send_mail(ANNA, [BOB], letter("where from?"))
        got = self.inst.fetch(BOB, n=1)[0].decode()
        return re.search(r"^Received: .*?\r\n(?![ \t])", got,
                         re.M | re.S).group(0)

    def trace(self, text, code=0):
        r = self.inst.ctl("trace-origin", text, "-j", check=False)
        self.assertEqual(r.returncode, code, r.stderr)
        return json.loads(r.stdout) if code == 0 else r.stderr

    def test_token(self):
        line = self.received("127.0.0.31")
        for hidden in ("127.0.0.31", "secret", ANNA):
            self.assertNotIn(hidden, line)
        self.assertRegex(line, r"^Received: from unknown \(origin\s[^)]*\)"
                         r"\s+by\s+mail\.example\.test\s+with ESMTPSA\s+id\s")
        self.assertTrue(all(len(x) < 79 for x in line.split("\r\n")))
        token = re.sub(r"\s", "", re.search(r"\(origin([^)]*)\)",
                                           line).group(1))
        for text in (line, token, line.replace("\r\n\t", " ")):
            r = self.trace(text)
            self.assertEqual((r["source"], r["user"], r["address"]),
                             ("token", ANNA, "127.0.0.31"))
            self.assertRegex(self.inst.log("submitd"), r"ev=smtp\.open sid=%s "
                             % r["session"])
            self.assertLess(abs(r["time_s"] - time.time()), 60)
        self.inst.wait_log("authd", r"ev=trace-origin user=%s .*uid=\d+ "
                           r"result=ok" % ANNA)
        self.assertIn("forged or damaged", self.trace(
            token[:50] + ("A" if token[50] != "A" else "B") + token[51:], 65))

    def test_keys_come_and_go(self):
        inst = self.inst
        day = 86400
        first = self.received("127.0.0.32")
        inst.clock(31 * day)
        self.assertEqual(self.trace(first)["address"], "127.0.0.32")
        inst.procs["authd"].terminate()
        inst.procs["authd"].wait()
        inst.start("authd")
        second = self.received("127.0.0.33")
        self.assertEqual(self.trace(first)["address"], "127.0.0.32")
        inst.clock(420 * day)
        self.assertIn("token_keep", self.trace(first, 67))
        self.assertEqual(self.trace(second)["address"], "127.0.0.33")
        inst.clock(470 * day)
        self.assertIn("token_keep", self.trace(second, 67))
        # Gone is gone, also for a clock that was set back.
        wait_until(lambda: "removed after token_keep" in self.trace(first, 67),
                   what="the removal of a key")
        inst.clock(0)
        self.assertIn("removed after token_keep", self.trace(first, 67))

    def test_plain_line(self):
        inst.clock(0)
        with inst.smtp_as(ANNA, source="127.0.0.34", helo="box.example.net") as w:
            w.send_mail(ANNA, [BOB], letter("in clear"))
        got = inst.fetch(BOB, n=1)[0].decode()
        line = re.search(r"^Received: .*?\r\n(?![ \t])", got,
                         re.M | re.S).group(0)
        r = json.loads(inst.ctl("trace-origin", line, "-j").stdout)
        self.assertEqual((r["user"], r["address"]), (ANNA, "127.0.0.34"))
        for junk in ("", "x", "Received: from x (", "A" * 200, "(" * 5000,
                     "Received: from a by b id c; d", "\u00e4 (origin \u00e4)"):
            self.assertEqual(inst.ctl("trace-origin", junk, check=False)
                             .returncode, 65, junk)


if __name__ == "__main__":
    unittest.main()
