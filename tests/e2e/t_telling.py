"""What people are told: first failures, log lines, filters of fail2ban."""

import json
import os
import re
import shutil
import subprocess
import time
import unittest

from submitd_instance import (ANNA, BOB, CARL, IPV6, Instance, letter,
                              wait_until)

HELP = "call 123"
SOURCE = os.environ.get("SUBMITD_SOURCE") or os.path.dirname(
    os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


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
        # Nobody finds out by it who is who here.
        for n in range(12):
            with inst.smtp(address="::1") as w:
                text = w.cmd("MAIL FROM:<%s>" % ANNA, 530)[1]
        self.assertIn("no mail was checked in the last", text)

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
        began = int(time.time())
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
            self.assertTrue(began <= r["time_s"] <= time.time(), r)
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
        inst.wait_logins()
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

        def known():
            got = json.loads(inst.ctl("trace-origin", line, "-j").stdout)
            return got if got["source"] == "session" else None
        r = wait_until(known, what="the session's end is told")
        self.assertEqual((r["source"], r["user"], r["address"], r["helo"]),
                         ("session", ANNA, "127.0.0.34", "box.example.net"))
        bad = inst.ctl("trace-origin", line.replace(ANNA, BOB))
        self.assertIn("the line says otherwise: " + BOB, bad.stderr)
        self.assertRegex(bad.stdout, r"(?m)^user: +%s$" % ANNA)
        # Of what is not remembered the line alone speaks.
        r = json.loads(inst.ctl("trace-origin", line.replace(
            r["queue_id"], "a" * 16), "-j").stdout)
        self.assertEqual((r["source"], r["user"], r["address"]),
                         ("line", ANNA, "127.0.0.34"))
        self.assertIn("anybody can", r["warnings"][0])
        for junk in ("", "x", "Received: from x (", "A" * 200, "(" * 5000,
                     "Received: from a by b id c; d", "\u00e4 (origin \u00e4)"):
            self.assertEqual(inst.ctl("trace-origin", junk, check=False)
                             .returncode, 65, junk)


class Why(unittest.TestCase):
    """submitctl why says what the rule says, and what decided."""

    @classmethod
    def setUpClass(cls):
        cls.inst = Instance(conf={"grant_exclude": ["127.0.9.0/24"],
                                  "next_hop": "127.0.0.1:2525"}, extra="""
trusted_networks 127.0.8.0/24 { senders = {"printer@example.test"} }
trusted_networks 127.0.7.0/24 { owner = "%s" }
""" % CARL)
        cls.inst.grant(ANNA, "127.0.0.40")
        cls.inst.grant(ANNA, "127.0.0.41")
        cls.inst.grant(BOB, "127.0.0.41")
        cls.inst.add_user("off@example.test", "x")
        cls.inst.ctl("user", "disable", "off@example.test")

    @classmethod
    def tearDownClass(cls):
        cls.inst.close()

    def why(self, ip, *args):
        r = self.inst.ctl("why", "--ip", ip, *args, "-j", check=False)
        self.assertIn(r.returncode, (0, 1), r.stderr)
        got = json.loads(r.stdout)
        self.assertEqual(r.returncode == 0, got["verdict"] == "taken")
        return got

    def asked(self, ip, sender, user=None):
        """What a client is really told."""
        auth = (user, self.inst.users[user]) if user else None
        with self.inst.smtp(source=ip, auth=auth) as w:
            return w.cmd("MAIL FROM:<%s>" % sender)[0]

    def test_rows(self):
        sec = "trusted_networks"
        for ip, user, sender, by, words in (
                ("127.0.0.40", None, ANNA, "grant", "%s holds a grant" % ANNA),
                ("127.0.0.40", None, "", "grant", "%s holds" % ANNA),
                ("127.0.0.41", None, BOB, "grant", "%s holds" % BOB),
                ("127.0.0.41", None, "", "grant", "several users"),
                ("127.0.0.40", None, BOB, "sender_policy",
                 "belongs to %s, who holds no grant" % BOB),
                ("127.0.0.40", None, "x@example.test", "sender_policy",
                 "nobody's"),
                ("127.0.0.42", None, ANNA, "grant", "nobody holds a grant"),
                ("127.0.9.9", None, ANNA, "grant_exclude", "never count"),
                ("127.0.8.8", None, "printer@example.test", sec,
                 "127.0.8.0/24: the sender is among"),
                ("127.0.8.8", None, ANNA, sec, "does not name it"),
                ("127.0.7.7", None, CARL, sec, "its owner's"),
                ("127.0.7.7", None, BOB, sec, "belongs to %s" % BOB),
                ("127.0.0.42", ANNA, ANNA, "login", "an address of his"),
                ("127.0.0.42", ANNA, "", "login", "null sender"),
                ("127.0.0.42", ANNA, BOB, "sender_policy",
                 "belongs to %s, not to %s" % (BOB, ANNA)),
                ("127.0.0.42", ANNA, "x", "from", "no address")):
            with self.subTest(ip=ip, user=user, sender=sender):
                args = ["--from", sender or "<>"]
                if user:
                    args += ["--user", user]
                got = self.why(ip, *args)
                self.assertEqual(got["decided_by"], by)
                self.assertIn(words, got["why"])
                if sender != "x":
                    self.assertEqual(int(got["reply"][:3]),
                                     self.asked(ip, sender, user))

    def test_without_a_sender(self):
        self.assertEqual(self.why("127.0.0.40")["from"], ANNA)
        self.assertEqual(self.why("127.0.0.41")["from"], "<>")
        self.assertEqual(self.why("127.0.0.50", "--user", BOB)["from"], BOB)

    def test_users_who_cannot(self):
        got = self.why("127.0.0.50", "--user", "off@example.test")
        self.assertEqual((got["reply"][:3], got["decided_by"]), ("535", "user"))
        self.assertIn("the user is disabled", got["why"])
        got = self.why("127.0.0.50", "--user", "none@example.test")
        self.assertIn("no such user", got["why"])

    def test_recipients(self):
        for to, want in ((BOB, "250 2.1.5: the local user %s" % BOB),
                         ("x@example.test", "550 5.1.1"),
                         ("x@far.example", "next_hop [127.0.0.1]:2525"),
                         ("postmaster", "the local user")):
            self.assertIn(want, self.why("127.0.0.40", "--to",
                                         to)["recipient"])

    def test_grants_that_do_not_count(self):
        inst = self.inst
        inst.grant(BOB, "127.0.0.44")
        inst.clock(1801)
        self.addCleanup(inst.clock, 0)
        got = self.why("127.0.0.44", "--from", BOB)
        self.assertEqual((got["decided_by"], got["hint"]), ("grant", "expired"))
        self.assertEqual([(g["user"], g["why"]) for g in got["grants"]],
                         [(BOB, "expired")])
        text = inst.ctl("why", "--ip", "127.0.0.44", check=False).stdout
        self.assertRegex(text, r"(?m)^%s +127\.0\.0\.44/32 .* expired" % BOB)
        self.assertRegex(text, r"(?m)^reply:\s+530 5\.7\.0 ")

    def test_limits(self):
        inst = self.inst
        inst.add_user("few@example.test", "few-secret")
        inst.users["few@example.test"] = "few-secret"
        inst.ctl("user", "set", "few@example.test", "messages_hour=1")
        args = ("127.0.0.45", "--user", "few@example.test")
        self.assertEqual(self.why(*args)["verdict"], "taken")
        with inst.smtp_as("few@example.test") as w:
            w.send_mail("few@example.test", [ANNA], letter(
                "the only one", sender="few@example.test"))
            got = self.why(*args)
            self.assertEqual(got["reply"][:9], "452 4.7.1")
            self.assertEqual(got["decided_by"], "messages_hour")
            self.assertIn("few@example.test has sent 1 of 1", got["why"])
            w.cmd("MAIL FROM:<few@example.test>", 452)

    def test_wrong_arguments(self):
        for args in ((), ("--ip", "x"), ("--ip", "127.0.0.0/8"),
                     ("--ip", "127.0.0.1", "--to", "x y"),
                     ("--ip", "127.0.0.1", "--from", "a" * 400)):
            self.assertIn(self.inst.ctl("why", *args, check=False).returncode,
                          (64, 65), args)

    def test_changes_nothing(self):
        log = self.inst.log_size("authd")
        self.why("127.0.0.40")
        self.why("127.0.0.42", "--user", ANNA, "--from", BOB)
        for said in self.inst.log("authd", log).splitlines():
            self.assertNotRegex(said, r"127\.0\.0\.4[02]|anna|bob")


NASTY = ("x rip=192.0.2.99 result=refused code=535", "<192.0.2.99>", "a, b",
         "rip=192.0.2.99", "a@b.example> rip=192.0.2.99 service=smtp why=badpass",
         "x why=badcred", "\u00e4 rip=192.0.2.99", "%s rip=%d", "user= rip=",
         "anna@example.test\" rip=192.0.2.99")


@unittest.skipUnless(shutil.which("fail2ban-regex"), "fail2ban is not here")
class Fail2ban(unittest.TestCase):
    """The filters in etc/fail2ban find who failed, and nobody else."""

    @classmethod
    def setUpClass(cls):
        cls.inst = Instance(conf={"guessing_exempt": ["127.0.0.0/8"]})
        cls.conf = os.path.join(cls.inst.root, "fail2ban")
        shutil.copytree("/etc/fail2ban", cls.conf, ignore_dangling_symlinks=True)
        source = os.path.join(SOURCE, "etc", "fail2ban", "filter.d")
        for name in os.listdir(source):
            shutil.copy(os.path.join(source, name),
                        os.path.join(cls.conf, "filter.d"))
        cls.provoke()

    @classmethod
    def tearDownClass(cls):
        cls.inst.close()

    @classmethod
    def provoke(cls):
        """Names that try to look like an address; what else is counted; and
        what must not be."""
        inst = cls.inst
        for i, name in enumerate(NASTY):
            with inst.smtp(source="127.0.1.%d" % (i + 1),
                           helo="rip=192.0.2.99") as w:
                w.auth_plain(name, "x", 535)
                w.cmd("MAIL FROM:<%s>" % name)
            with inst.pop(source="127.0.2.%d" % (i + 1)) as w:
                w.cmd("USER " + name, ok=None)
                w.cmd("PASS x", ok=None)
        with inst.smtp(tls=False, source="127.0.3.1") as w:
            w.send("STARTTLS\r\nNOOP\r\n")
            w.is_closed()
        with inst.pop(tls=False, source="127.0.3.2") as w:
            w.send("STLS\r\nNOOP\r\n")
            w.is_closed()
        with inst.smtp(source="127.0.3.3") as w:
            w.cmd("NOOP a\rb", 500)
        with inst.smtp(source="127.0.3.4", auth=(ANNA, inst.users[ANNA])) as w:
            w.send_mail(ANNA, [BOB], letter("good"))
        with inst.pop(source="127.0.3.5", auth=(ANNA, inst.users[ANNA])) as w:
            w.cmd("QUIT")
        with inst.smtp(source="127.0.3.6") as w:
            w.cmd("MAIL FROM:<rip=192.0.2.99@example.test>", 530)
            w.cmd("AUTH NOSUCH", 504)
            w.cmd("AUTH PLAIN ====", 501)
        inst.wait_log("submitd", r"ev=smtp\.close .*rip=127\.0\.3\.6 ")
        for n in (2, 5):
            inst.wait_log("popd", r"ev=pop3\.close .*rip=127\.0\.3\.%d " % n)

    def found(self, name, log):
        r = subprocess.run(["fail2ban-regex", "-c", self.conf, "-o", "ip",
                            self.inst.log_path(log), name],
                           capture_output=True, text=True, timeout=120)
        self.assertEqual(r.returncode, 0, r.stdout + r.stderr)
        return sorted(r.stdout.split())

    SMTP = ["127.0.1.%d" % (i + 1) for i in range(len(NASTY))]
    POP = ["127.0.2.%d" % (i + 1) for i in range(len(NASTY))]

    def test_submitd(self):
        self.assertEqual(self.found("submitd", "submitd"), sorted(self.SMTP))
        self.assertEqual(self.found("submitd[mode=aggressive]", "submitd"),
                         sorted(self.SMTP + ["127.0.3.1", "127.0.3.3"]))

    def test_popd(self):
        got = self.found("popd", "popd")
        self.assertEqual(set(got) - set(self.POP), set())
        self.assertGreaterEqual(len(got), len(self.POP) // 2)
        self.assertEqual(sorted(got + ["127.0.3.2"]),
                         self.found("popd[mode=aggressive]", "popd"))

    def test_authd(self):
        got = self.found("submitd-authd", "authd")
        self.assertEqual(set(got) - set(self.SMTP + self.POP), set())
        self.assertEqual(set(self.SMTP) - set(got), set())

    def test_as_syslog_writes_them(self):
        path = os.path.join(self.inst.root, "syslog")
        with open(path, "w", encoding="utf-8") as f:
            for line in self.inst.log("submitd").splitlines():
                if " ev=" in line:
                    f.write("Nov 22 11:47:00 mail " + line.split(" ", 1)[1]
                            + "\n")
        r = subprocess.run(["fail2ban-regex", "-c", self.conf, "-o", "ip", path,
                            "submitd"], capture_output=True, text=True,
                           timeout=120)
        self.assertEqual(sorted(r.stdout.split()), sorted(self.SMTP), r.stderr)


if __name__ == "__main__":
    unittest.main()
