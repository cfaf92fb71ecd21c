"""What people are told: first failures, log lines, filters of fail2ban."""

import re
import unittest

from submitd_instance import ANNA, BOB, IPV6, Instance

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


if __name__ == "__main__":
    unittest.main()
