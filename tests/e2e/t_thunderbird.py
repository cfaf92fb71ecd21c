"""A real Thunderbird, without a screen: it fetches by POP3, sends with a login
and by POP-before-SMTP, and does what its users do wrong."""

import email
import email.policy
import mailbox
import os
import re
import shutil
import tempfile
import unittest

import submitd_instance
from submitd_instance import (ANNA, BOB, CARL, Instance, letter, need,
                              wait_until)
from thunderbird_client import (CLEAR, CRAM_MD5, NO_LOGIN, PASSWORD, STARTTLS,
                                TLS, Thunderbird)

PASSWORDS = dict(submitd_instance.PASSWORDS)
PASSWORDS[CARL] = "Gr\u00fc\u00dfe \u20ac 1"
HOST = "mail.example.test"
BODIES = {
    "dots": b".\r\n..\r\n.leading\r\nmiddle . dot\r\n\r\n.\r\n",
    "from": b"From here\r\n>From there\r\n\r\nFrom - Sun Nov 22\r\n",
    "eight": "Gr\u00fc\u00dfe \u65e5\u672c\r\n".encode() * 500,
    "long": b"z" * 998 + b"\r\n",
}


def setUpModule():
    global inst, tmp, bird
    need("thunderbird")
    tmp = tempfile.mkdtemp(prefix="submitd-thunderbird-")
    inst = bird = None
    try:
        inst = Instance(users=PASSWORDS, conf={
            "help_text": "Ask Bob, room 12.",
            # It is not exempt from the count.
            "guessing_exempt": ["127.0.99.0/24"]})
        bird = Thunderbird(tmp)
        for user in PASSWORDS:
            bird.account(HOST, user, "T\u00e9st of " + user.split("@")[0])
    except BaseException:
        end()
        raise


def end():
    try:
        if bird:
            bird.close()
    finally:
        shutil.rmtree(tmp, ignore_errors=True)
        if inst:
            inst.close()


def tearDownModule():
    end()


class Case(unittest.TestCase):
    def setUp(self):
        self.at = {n: inst.log_size(n) for n in ("authd", "submitd", "popd")}
        inst.ctl("grant", "revoke", "127.0.0.1", check=False)
        bird.dialogs()
        bird.trust(HOST, [inst.port(s) for s in (
            "pop3", "pop3s", "submission", "submissions")], inst.cert)

    def log(self, name):
        return inst.log(name, self.at[name])

    def logged(self, name, regex):
        try:
            return inst.wait_log(name, regex, self.at[name])
        except TimeoutError:
            self.fail("%s: no %s\n%s" % (name, regex, bird.said()))

    def closed(self):
        """How the POP3 session ended; the next one begins after it."""
        sid = self.logged("popd", r"ev=pop3\.open (sid=\S+)").group(1)
        m = self.logged("popd", r"ev=pop3\.close %s .*" % sid)
        self.at["popd"] = inst.log_size("popd")
        return dict(x.split("=", 1) for x in m.group(0).split())

    def told(self, *texts):
        """What its dialogs showed."""
        seen = []

        def shown():
            seen.extend(bird.dialogs())
            return all(any(t in s for s in seen) for t in texts)
        try:
            wait_until(shown, what="dialog")
        except TimeoutError:
            self.fail("%s in %s\n%s" % (texts, seen, bird.said()))

    def get(self, user):
        self.assertEqual(bird.get_mail(user), 0, bird.said())
        return self.closed()

    def deliver(self, user, kinds=BODIES):
        have = inst.drop_size(user)
        with inst.smtp_as(user) as w:
            for kind in kinds:
                w.send_mail(user, [user], letter(kind, user, user,
                                                 body=BODIES[kind]))
        wait_until(lambda: inst.drop_size(user) == have + len(kinds),
                   what="delivery")

    def stored(self, user):
        """The bodies in its Inbox by subject."""
        box = mailbox.mbox(bird.inbox_file(user), create=False)
        out = {}
        for m in map(box.get_bytes, box.keys()):
            head, _, body = m.replace(b"\r\n", b"\n").partition(b"\n\n")
            subject = email.message_from_bytes(head)["Subject"]
            self.assertNotIn(subject, out)
            out[subject] = re.sub(rb"(?m)^>(>*From )", rb"\1",
                                  body).rstrip(b"\n")
        return out


class Fetch(Case):
    def same(self, user, kinds=BODIES):
        got = self.stored(user)
        self.assertEqual(sorted(got), sorted(kinds))
        for kind in kinds:
            self.assertEqual(got[kind], BODIES[kind].replace(
                b"\r\n", b"\n").rstrip(b"\n"), kind)

    def test_starttls(self):
        """Each message once, however often it asks; then all are removed."""
        self.deliver(BOB)
        bird.server(BOB, inst.port("pop3"), STARTTLS, PASSWORDS[BOB])
        s = self.get(BOB)
        self.assertEqual((s["why"], s["retr"], s["dele"], s["bad"]),
                         ("quit", "4", "0", "0"))
        self.same(BOB)
        self.assertEqual(sorted(h[0] for h in bird.inbox(BOB)),
                         sorted(BODIES))
        s = self.get(BOB)
        self.assertEqual((s["retr"], s["top"], s["dele"]), ("0", "0", "0"))
        with inst.smtp_as(BOB) as w:
            w.send_mail(BOB, [BOB], letter("later", BOB, BOB))
        wait_until(lambda: inst.drop_size(BOB) == 5, what="delivery")
        self.assertEqual(self.get(BOB)["retr"], "1")
        self.assertEqual(len(bird.inbox(BOB)), 5)
        bird.server(BOB, inst.port("pop3"), STARTTLS, PASSWORDS[BOB],
                    leave=False)
        s = self.get(BOB)
        self.assertEqual((s["retr"], s["dele"]), ("0", "5"))
        self.assertEqual(inst.drop_size(BOB), 0)
        self.assertEqual(len(bird.inbox(BOB)), 5)
        self.assertEqual(self.get(BOB)["retr"], "0")
        self.assertEqual(bird.dialogs(), [])

    def test_tls(self):
        """Fetched and removed in one session."""
        self.deliver(CARL)
        bird.server(CARL, inst.port("pop3s"), TLS, PASSWORDS[CARL],
                    leave=False)
        s = self.get(CARL)
        self.assertEqual((s["why"], s["retr"], s["dele"], s["bad"]),
                         ("quit", "4", "4", "0"))
        self.assertEqual(inst.drop_size(CARL), 0)
        self.same(CARL)
        self.assertRegex(inst.log("popd"), r"ev=pop3\.auth .*user=%s "
                         r"mech=PLAIN" % re.escape(CARL))

    def test_headers_then_removed_here(self):
        """TOP, and what is deleted in its Inbox goes from the server."""
        self.deliver(ANNA, ("dots", "long"))
        bird.server(ANNA, inst.port("pop3"), STARTTLS, PASSWORDS[ANNA],
                    headers=True, delete_with=True)
        s = self.get(ANNA)
        self.assertEqual((s["top"], s["retr"], s["dele"]), ("2", "0", "0"))
        self.assertEqual(sorted(h[0] for h in bird.inbox(ANNA)),
                         ["dots", "long"])
        bird.delete(ANNA, "long")
        s = self.get(ANNA)
        self.assertEqual((s["top"], s["retr"], s["dele"]), ("0", "0", "1"))
        self.assertEqual(inst.drop_size(ANNA), 1)


class Send(Case):
    TEXT = ".\n..\nGr\u00fc\u00dfe, \u65e5\u672c\n.\nFrom here\n" + "y" * 900

    def send(self, subject, to, **kw):
        status = bird.send(ANNA, to, subject, self.TEXT, **kw)
        self.assertEqual(status, 0, (bird.dialogs(), bird.said()))

    def arrived(self, subject, user=BOB):
        got = [m for m in inst.fetch(user, n=1) if subject.encode() in m]
        self.assertEqual(len(got), 1)
        m = email.message_from_bytes(got[0], policy=email.policy.default)
        self.assertEqual(m["Subject"], subject)
        self.assertIn("Thunderbird", m["User-Agent"])
        self.assertEqual(m["From"].addresses[0].display_name,
                         "T\u00e9st of anna")
        self.assertEqual(m.get_content().replace("\r\n", "\n").rstrip(),
                         self.TEXT)
        return got[0].partition(b"\r\n\r\n")[0].decode()

    def test_with_a_login(self):
        for service, security in (("submission", STARTTLS),
                                  ("submissions", TLS)):
            with self.subTest(service):
                self.setUp()
                bird.outgoing(ANNA, inst.port(service), security,
                              PASSWORDS[ANNA])
                self.send("by " + service, [BOB, CARL])
                self.logged("submitd", r"ev=smtp\.auth .*result=ok .*"
                            r"method=PLAIN user=" + re.escape(ANNA))
                for user in (BOB, CARL):
                    self.assertRegex(self.arrived("by " + service, user),
                                     r"with\s+(UTF8)?E?SMTPSA\b")
        # A second one goes by the same connection; it asks for a receipt.
        self.setUp()
        self.send("once more", [BOB], dsn=True)
        self.arrived("once more")
        self.assertNotIn("ev=smtp.open", self.log("submitd"))
        self.assertEqual(bird.dialogs(), [])

    def test_after_a_pop3_login(self):
        """POP-before-SMTP: "No authentication", as such users have it."""
        bird.outgoing(ANNA, inst.port("submission"), STARTTLS, "",
                      auth=NO_LOGIN)
        self.assertNotEqual(bird.send(ANNA, [BOB], "too early", "x"), 0)
        self.told("switch on authentication (SMTP AUTH)")
        self.logged("submitd", r"ev=smtp\.refused ")
        bird.server(ANNA, inst.port("pop3"), STARTTLS, PASSWORDS[ANNA])
        self.get(ANNA)
        self.send("under a grant", [BOB])
        head = self.arrived("under a grant")
        self.assertRegex(head, r"with\s+ESMTPS\b")
        self.assertIn(ANNA, head)
        self.logged("submitd", r"ev=smtp\.granted .*user=" + re.escape(ANNA))
        self.assertEqual(bird.dialogs(), [])


class Certificate(Case):
    def setUp(self):
        self.at = {n: inst.log_size(n) for n in ("submitd", "popd")}

    def test_unknown(self):
        """Before anybody has made an exception for it."""
        bird.server(BOB, inst.port("pop3"), STARTTLS, PASSWORDS[BOB])
        self.assertNotEqual(bird.get_mail(BOB), 0)
        bird.outgoing(BOB, inst.port("submissions"), TLS, PASSWORDS[BOB])
        self.assertNotEqual(bird.send(BOB, [BOB], "no", "x"), 0)
        for name in self.at:
            self.assertIn("our certificate", self.logged(
                name, r"ev=tls\.failed .*why=bad_certificate hint=(.*)")
                .group(1))


class Wrong(Case):
    def wrong(self, name, event, why):
        self.logged(name, r"ev=%s\.wrongmode .*why=%s hint=" % (event, why))

    def test_tls_on_starttls_ports(self):
        bird.server(BOB, inst.port("pop3"), TLS, PASSWORDS[BOB])
        self.assertNotEqual(bird.get_mail(BOB), 0)
        self.wrong("popd", "pop3", "tls_on_starttls_port")
        bird.outgoing(BOB, inst.port("submission"), TLS, PASSWORDS[BOB])
        self.assertNotEqual(bird.send(BOB, [BOB], "no", "x"), 0)
        self.wrong("submitd", "smtp", "tls_on_starttls_port")
        self.told("Sending of the message failed")

    def test_starttls_on_tls_ports(self):
        """It waits for a greeting, for 30 s, and is then told what to set."""
        bird.server(BOB, inst.port("pop3s"), STARTTLS, PASSWORDS[BOB])
        bird.outgoing(BOB, inst.port("submissions"), STARTTLS, PASSWORDS[BOB])
        self.assertNotIn(0, bird.get_and_send(BOB))
        self.wrong("popd", "pop3", "silent_on_tls_port")
        self.wrong("submitd", "smtp", "silent_on_tls_port")
        self.told("port 110 with STARTTLS. Ask Bob, room 12.",
                  "port 587 with STARTTLS; Ask Bob, room 12.")

    def test_clear(self):
        bird.server(BOB, inst.port("pop3"), CLEAR, PASSWORDS[BOB])
        self.assertNotEqual(bird.get_mail(BOB), 0)
        bird.outgoing(BOB, inst.port("submission"), CLEAR, PASSWORDS[BOB])
        self.assertNotEqual(bird.send(BOB, [BOB], "no", "x"), 0)
        self.told("set your mail program to use STARTTLS (STLS) or SSL/TLS",
                  "choose STARTTLS as the connection security")

    def test_encrypted_password(self):
        """It begins CRAM-MD5 in POP3 without asking whether we have that."""
        bird.server(BOB, inst.port("pop3"), STARTTLS, PASSWORDS[BOB],
                    auth=CRAM_MD5)
        self.assertNotEqual(bird.get_mail(BOB), 0)
        bird.outgoing(BOB, inst.port("submission"), STARTTLS, PASSWORDS[BOB],
                      auth=CRAM_MD5)
        self.assertNotEqual(bird.send(BOB, [BOB], "no", "x"), 0)
        self.told('as a rule "normal password". Ask Bob, room 12.',
                  "does not seem to support encrypted passwords")

    def test_in_use(self):
        """It takes that for a wrong password; we do not, and grant."""
        bird.server(BOB, inst.port("pop3"), STARTTLS, PASSWORDS[BOB])
        bird.outgoing(BOB, inst.port("submission"), STARTTLS, "",
                      auth=NO_LOGIN)
        with inst.pop_as(BOB) as p:
            inst.ctl("grant", "revoke", "127.0.0.1")
            self.assertNotEqual(bird.get_mail(BOB), 0)
            p.cmd("QUIT")
        self.told("Login to server mail.example.test with username " + BOB)
        self.logged("popd", r"ev=pop3\.open\.fail .*why=inuse")
        self.assertNotIn("ev=auth.fail", self.log("authd"))
        self.assertEqual(bird.send(BOB, [CARL], "yes", "x"), 0)
        self.logged("submitd", r"ev=smtp\.granted .*user=" + re.escape(BOB))
        self.assertEqual(len(inst.fetch(CARL, n=1)), 1)
        self.assertEqual(bird.get_mail(BOB), 0)

    def test_password(self):
        """It tries a wrong one by every mechanism: that counts once."""
        bird.server(BOB, inst.port("pop3"), STARTTLS, "wrong")
        bird.outgoing(BOB, inst.port("submission"), STARTTLS, "wrong")
        self.assertNotEqual(bird.get_mail(BOB), 0)
        self.assertNotEqual(bird.send(BOB, [BOB], "no", "x"), 0)
        self.told("Login to server mail.example.test with username " + BOB,
                  "check the password")
        fails = re.findall(r"ev=auth\.fail .*method=(\S+) .*delay_ms=(\d+)",
                           self.log("authd"))
        self.assertGreaterEqual(len(fails), 4)
        self.assertEqual(set(fails), {("PLAIN", "300"), ("LOGIN", "300")})
        bird.server(BOB, inst.port("pop3"), STARTTLS, PASSWORDS[BOB])
        self.assertEqual(bird.get_mail(BOB), 0)


class Wizard(Case):
    """Its account wizard asks for what a server offers."""

    def test_finds(self):
        for pop, smtp, security in (("pop3", "submission", STARTTLS),
                                    ("pop3s", "submissions", TLS)):
            with self.subTest(pop):
                ports = [inst.port(pop), inst.port(smtp)]
                self.assertEqual(bird.guess(HOST, *ports),
                                 [[p, security, PASSWORD] for p in ports])
