"""Mail from an MTA on the same machine, by LMTP over a UNIX socket: RFC 2033 on
the wire, and a real Postfix with the settings of etc/examples."""

import json
import os
import pwd
import re
import shutil
import signal
import smtplib
import socket
import stat
import subprocess
import tempfile
import unittest

from next_hop import NextHop
from submitd_instance import (ANNA, BOB, PATIENCE_S, Instance, Refused, Wire,
                              free_port, letter, stuff, wait_until)

SOURCE = os.environ.get("SUBMITD_SOURCE") or os.path.dirname(
    os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FAR = "eve@far.example"
ALIAS = "info@example.test"


class Lmtp(Wire):
    def __init__(self, path, lhlo="mx.example.test"):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(PATIENCE_S)
        self.sock.connect(path)
        self.buffer = b""
        if lhlo:
            self.expect(220)
            self.cmd("LHLO " + lhlo, 250)

    def deliver(self, sender, rcpts, message):
        """The replies to the recipients, and then to the message."""
        self.cmd("MAIL FROM:<%s>" % sender, 250)
        taken = [self.cmd("RCPT TO:<%s>" % r)[0] for r in rcpts]
        self.cmd("DATA", 354)
        self.send(stuff(message) + b".\r\n")
        return taken, [self.reply() for code in taken if code == 250]


def is_served(where):
    try:
        Lmtp(where).close()
        return True
    except (OSError, Refused):
        return False


def setUpModule():
    global inst, path
    folder = tempfile.mkdtemp(prefix="submitd-lmtp-")
    path = folder + "/lmtp"
    inst = Instance(conf={"lmtp_listen": "unix:" + path})
    inst.ctl("user", "alias", "add", BOB, ALIAS)


def tearDownModule():
    inst.close()
    shutil.rmtree(os.path.dirname(path))


class Session(unittest.TestCase):
    def test_rfc2033_4_1_lhlo(self):
        with Lmtp(path, lhlo=None) as w:
            self.assertRegex(w.expect(220)[1], "^mail.example.test LMTP ")
            for line, code in (("EHLO x.test", 500), ("HELO x.test", 500),
                               ("STARTTLS", 500), ("AUTH PLAIN AAAA", 500),
                               ("XCLIENT ADDR=192.0.2.1", 500),
                               ("MAIL FROM:<>", 503), ("NOOP", 250)):
                self.assertEqual(w.cmd(line)[0], code, line)
            text = w.cmd("LHLO x.test", 250)[1].split("\n")
            self.assertEqual(text[0], "mail.example.test")
            self.assertEqual({t.split()[0] for t in text[1:]},
                             {"PIPELINING", "SIZE", "8BITMIME", "SMTPUTF8",
                              "ENHANCEDSTATUSCODES"})
            w.cmd("BDAT 4 LAST", 500)
            w.cmd("HELP LHLO", 214)
            w.quit()
        with inst.smtp() as w:
            w.cmd("LHLO x.test", 500)

    def test_rfc2033_4_2_a_reply_for_each_recipient(self):
        m = letter("for three", FAR, ANNA)
        with Lmtp(path) as w:
            taken, replies = w.deliver(FAR, [
                ANNA, "nobody@example.test", ALIAS, "anna+x@example.test",
                "someone@far.example", ANNA], m)
            self.assertEqual(taken, [250, 550, 250, 250, 550, 250])
            self.assertEqual({r[0] for r in replies}, {250})
            self.assertEqual(len({r[1] for r in replies}), 1)
            self.assertRegex(replies[0][1], r"^2\.0\.0 queued as \S{16}$")
            # Each in its turn, and the next message is one of its own.
            w.cmd("NOOP", 250)
            self.assertEqual(w.deliver("", [BOB], m)[1][0][0], 250)
            w.quit()
        self.assertEqual(len(inst.fetch(ANNA, n=2)), 2)
        got = inst.fetch(BOB, n=2)
        front = (rb"Return-Path: <%s>\r\nDelivered-To: %s\r\nReceived: from "
                 rb"mx\.example\.test by mail\.example\.test with LMTP id\s+"
                 rb"\S{16};\s[^\r]*\r\n" % tuple(
                     re.escape(a.encode()) for a in (FAR, ALIAS)))
        self.assertTrue(any(re.fullmatch(front + re.escape(m), g) for g in got),
                        got)

    def test_no_recipient_is_503(self):
        with Lmtp(path) as w:
            w.cmd("MAIL FROM:<%s>" % FAR, 250)
            self.assertRegex(w.cmd("RCPT TO:<nobody@example.test>", 550)[1],
                             r"^5\.1\.1 ")
            w.cmd("DATA", 503)

    def test_refused_once_for_each(self):
        with Lmtp(path) as w:
            w.cmd("MAIL FROM:<%s>" % FAR, 250)
            for r in (ANNA, BOB):
                w.cmd("RCPT TO:<%s>" % r, 250)
            w.cmd("DATA", 354)
            w.send(b"Subject: x\r\n\r\nbare\nline\r\n.\r\n")
            self.assertEqual([w.reply()[0] for _ in range(2)], [550, 550])
            w.cmd("NOOP", 250)
            loop = b"Received: a\r\n" * 101 + letter("loops", FAR)
            _, replies = w.deliver(FAR, [ANNA, BOB], loop)
            self.assertEqual([(r[0], r[1][:5]) for r in replies],
                             [(554, "5.4.6")] * 2)
            w.quit()
        inst.wait_log("submitd", r"ev=smtp\.smuggling .*in=content")

    def test_what_others_wrote_is_not_mended(self):
        m = (b"Subject: no From, no Date\r\nSubject: twice\r\n"
             b"Bcc: <x@far.example>\r\nReturn-Path: <old@far.example>\r\n\r\n"
             + b"x" * 3000 + b"\r\n")
        with Lmtp(path) as w:
            self.assertEqual(w.deliver(FAR, [ANNA], m)[1][0][0], 250)
            w.quit()
        self.assertTrue(inst.fetch(ANNA, n=1)[0].endswith(b"\r\n" + m))

    def test_size_utf8_and_pipelining(self):
        with Lmtp(path) as w:
            w.cmd("MAIL FROM:<%s> SIZE=99999999999" % FAR, 552)
            w.cmd("MAIL FROM:<\u00e9ve@far.example>", 553)
            w.send("MAIL FROM:<\u00e9ve@far.example> SMTPUTF8 BODY=8BITMIME\r\n"
                   "RCPT TO:<%s>\r\nRCPT TO:<nobody@example.test>\r\n" % ANNA)
            self.assertEqual([w.reply()[0] for _ in range(3)], [250, 250, 550])
            w.cmd("DATA", 354)
            w.send(stuff(letter("utf8", FAR)) + b".\r\n")
            w.expect(250)
            w.quit()
        self.assertIn(b"with UTF8LMTP", inst.fetch(ANNA, n=1)[0])

    def test_rfc5321_4_1_1_11_parameters_that_are_not_offered(self):
        """There is neither DSN nor AUTH in the answer to LHLO."""
        with Lmtp(path) as w:
            for p in ("RET=FULL", "ENVID=x", "AUTH=<>", "REQUIRETLS",
                      "BY=100;R", "HOLDFOR=10"):
                self.assertIn(p.split("=")[0], w.cmd(
                    "MAIL FROM:<%s> %s" % (FAR, p), 555)[1])
            w.cmd("MAIL FROM:<%s>" % FAR, 250)
            for p in ("NOTIFY=SUCCESS", "ORCPT=rfc822;x", "SIZE=1"):
                self.assertIn(p.split("=")[0], w.cmd(
                    "RCPT TO:<%s> %s" % (ANNA, p), 555)[1])
            w.cmd("RCPT TO:<%s>  " % ANNA, 250)

    def test_told(self):
        at = inst.log_size("submitd")
        with Lmtp(path) as w:
            text = w.deliver("known@far.example", [ANNA],
                             letter("told", FAR))[1][0][1]
            w.quit()
        queue_id = text.split()[-1]
        inst.wait_log("submitd", r"ev=lmtp\.open uid=0 pid=%d$" % os.getpid(),
                      at)
        inst.wait_log("submitd", r"ev=msg\.queued .*qid=%s .*"
                      r"from=known@far\.example nrcpt=1" % queue_id, at)
        inst.wait_log("submitd", r"ev=msg\.delivered .*qid=%s " % queue_id, at)
        for what in (queue_id, "known@far.example"):
            r = wait_until(lambda: inst.ctl("recent", what).stdout
                           .partition("no session is remembered")[0], what=what)
            self.assertIn("lmtp", r)
        inst.fetch(ANNA, n=1)

    def test_shown_while_it_is_queued(self):
        local = inst.pid("submitd-local")
        os.kill(local, signal.SIGSTOP)
        try:
            with Lmtp(path) as w:
                text = w.deliver("known@far.example", [ANNA],
                                 letter("shown", FAR))[1][0][1]
                w.quit()
            shown = inst.ctl("queue", "show", "-j", text.split()[-1])
        finally:
            os.kill(local, signal.SIGCONT)
        self.assertEqual(json.loads(shown.stdout)["kind"], "receive")
        inst.fetch(ANNA, n=1)

    def test_a_full_session_table_of_strangers_is_no_matter(self):
        inst.write_conf(sessions_per_address=1, sessions_per_network=1)
        inst.reload("submitd")
        try:
            ws = [Lmtp(path) for _ in range(3)]
            for w in ws:
                w.cmd("NOOP", 250)
                w.close()
        finally:
            inst.write_conf(sessions_per_address=None,
                            sessions_per_network=None)
            inst.reload("submitd")


class Undeliverable(unittest.TestCase):
    def test_returned_to_the_sender(self):
        """Who is gone when it is delivered; the report goes by the routes."""
        with NextHop() as hop:
            where = path + "3"
            with Instance(conf={"lmtp_listen": "unix:" + where, "next_hop":
                                "127.0.0.1:%d" % hop.port}) as i:
                pid = i.pid("submitd-send")
                os.kill(pid, signal.SIGSTOP)
                try:
                    with Lmtp(where) as w:
                        for sender in (FAR, ""):
                            w.deliver(sender, [BOB], letter("too late", FAR))
                        w.quit()
                    i.ctl("user", "delete", BOB)
                finally:
                    os.kill(pid, signal.SIGCONT)
                report = hop.wait_messages(1)[0]
                wait_until(i.queue_empty, what="an empty queue")
                self.assertEqual(len(hop.messages), 1)
        self.assertEqual((report.sender, report.recipients), ("", [FAR]))
        self.assertIn(b"Final-Recipient: rfc822; " + BOB.encode(), report.data)


class Door(unittest.TestCase):
    def test_who_may_connect(self):
        st = os.stat(path)
        self.assertTrue(stat.S_ISSOCK(st.st_mode))
        self.assertEqual(stat.S_IMODE(st.st_mode), 0o600)
        # root is among the peers, others are not, whatever the file's mode.
        os.chmod(path, 0o666)
        os.chmod(os.path.dirname(path), 0o755)
        try:
            code = ("import socket,sys;s=socket.socket(socket.AF_UNIX);"
                    "s.connect(sys.argv[1]);print(len(s.recv(100)))")
            at = inst.log_size("submitd")
            nobody = pwd.getpwnam("nobody").pw_uid
            r = subprocess.run(["python3", "-c", code, path], text=True,
                               capture_output=True, check=False, user=nobody)
            self.assertNotEqual(r.stdout.strip(), "", r.stderr)
            self.assertEqual(r.stdout.strip(), "0")
            inst.wait_log("submitd", r"ev=lmtp\.refused uid=%d " % nobody, at)
        finally:
            os.chmod(path, 0o600)

    def test_reload(self):
        other = path + "2"
        inst.write_conf(lmtp_listen="unix:" + other)
        inst.reload("submitd")
        inst.reload("authd")
        try:
            with Lmtp(other) as w:
                self.assertEqual(w.deliver(FAR, [ANNA], letter("x", FAR))[1]
                                 [0][0], 250)
                w.quit()
            inst.fetch(ANNA, n=1)
            wait_until(lambda: not is_served(path), what="the old one's end")
            inst.write_conf(lmtp_listen=None)
            inst.reload("submitd")
            wait_until(lambda: not is_served(other), what="its end")
        finally:
            inst.write_conf(lmtp_listen="unix:" + path)
            inst.reload("submitd")
            inst.reload("authd")
        self.assertTrue(is_served(path))

    def test_config(self):
        for value, more, want in (
                ("/tmp/x", {}, "expected unix:/path"),
                ("unix:x", {}, "expected unix:/path"),
                ("unix:/" + "x" * 120, {}, "expected unix:/path"),
                ("unix:/tmp/x", {"lmtp_peers": ["no-such-user"]},
                 "there is no user no-such-user")):
            with self.subTest(value=value):
                before = dict(inst.conf)
                inst.write_conf(lmtp_listen=value, **more)
                try:
                    r = inst.ctl("config", "check", check=False)
                    self.assertNotEqual(r.returncode, 0)
                    self.assertIn(want, r.stdout + r.stderr)
                finally:
                    inst.conf = before
                    inst.write_conf()


MASTER = """
127.0.0.1:%d inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""
MAIN = """
compatibility_level = 3.6
queue_directory = %(root)s/queue
data_directory = %(root)s/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
maillog_file = %(root)s/log
maillog_file_prefixes = %(root)s
myhostname = mx.example.test
mydestination =
mynetworks =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
alias_database =
local_recipient_maps =
smtp_dns_support_level = disabled
smtpd_peername_lookup = no
address_verify_poll_delay = 1s
# However long the answer takes: after three Postfix would put the client off.
address_verify_poll_count = 60
%(example)s
"""


class Postfix:
    def __init__(self, domain):
        self.root = tempfile.mkdtemp(prefix="submitd-postfix-")
        os.chmod(self.root, 0o755)
        self.port = free_port()
        with open(os.path.join(SOURCE, "etc/examples/postfix-main.cf"),
                  encoding="ascii") as f:
            example = f.read().replace("example.org", domain)
        for name in ("etc", "queue", "data"):
            os.mkdir(os.path.join(self.root, name))
        shutil.chown(self.root + "/data", "postfix")
        for name, text in (("main.cf", MAIN % {"root": self.root,
                                               "example": example}),
                           ("master.cf", MASTER % self.port)):
            with open(os.path.join(self.root, "etc", name), "w",
                      encoding="ascii") as f:
                f.write(text)

    def run(self, verb):
        return subprocess.run(
            ["postfix", "-c", self.root + "/etc", verb], check=False,
            capture_output=True, text=True, timeout=PATIENCE_S)

    def socket(self):
        """Where submitd is to listen; the folders are Postfix's."""
        r = self.run("check")
        assert r.returncode == 0, r.stderr
        return os.path.join(self.root, "queue/private/submitd")

    def start(self):
        r = self.run("start")
        assert r.returncode == 0, r.stderr + self.log()

    def log(self):
        with open(self.root + "/log", encoding="ascii") as f:
            return f.read()

    def stop(self):
        self.run("abort")
        wait_until(lambda: self.run("status").returncode != 0, what="its end")
        shutil.rmtree(self.root)


class RealPostfix(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if shutil.which("postfix") is None:
            raise unittest.SkipTest("no Postfix here")
        cls.postfix = Postfix("example.test")
        cls.inst = Instance(conf={
            "lmtp_listen": "unix:" + cls.postfix.socket(),
            "lmtp_group": "postfix", "lmtp_peers": ["postfix"]})
        cls.inst.ctl("user", "alias", "add", BOB, ALIAS)
        cls.postfix.start()

    @classmethod
    def tearDownClass(cls):
        cls.inst.close()
        cls.postfix.stop()

    def send(self, rcpts, message):
        with smtplib.SMTP("127.0.0.1", self.postfix.port, "far.example",
                          PATIENCE_S) as s:
            return s.sendmail(FAR, rcpts, message)

    def setUp(self):
        for user in (ANNA, BOB):
            self.inst.fetch(user)

    def test_from_the_internet_to_a_mailbox(self):
        m = letter("from far away", FAR, ANNA)
        refused = self.send([ANNA, ALIAS, "nobody@example.test"], m)
        self.assertEqual(list(refused), ["nobody@example.test"])
        code, text = refused["nobody@example.test"]
        self.assertEqual(code, 550, self.postfix.log())
        self.assertIn(b"no such user here", text)
        for user in (ANNA, BOB):
            got = self.inst.fetch(user, n=1)[0]
            self.assertTrue(got.endswith(m.split(b"\r\n\r\n", 1)[1]), got)
            self.assertTrue(got.startswith(b"Return-Path: <%s>\r\n"
                                           % FAR.encode()), got)
            self.assertRegex(got, rb"with LMTP\s+id")
        wait_until(lambda: len(re.findall(
            r"relay=mx\.example\.test\[private/submitd\].*status=sent "
            r"\(250 2\.0\.0 queued as", self.postfix.log())) == 2,
            what="two recipients sent")

    def test_never_a_relay(self):
        with smtplib.SMTP("127.0.0.1", self.postfix.port, "far.example",
                          PATIENCE_S) as s:
            with self.assertRaises(smtplib.SMTPRecipientsRefused):
                s.sendmail(FAR, ["someone@far.example"], letter("x", FAR))

    def test_large_and_many(self):
        big = letter("large", FAR, ANNA, body=(b"x" * 70 + b"\r\n") * 100000)
        self.assertEqual(self.send([ANNA], big), {})
        self.assertTrue(self.inst.fetch(ANNA, n=1)[0].endswith(
            big.split(b"\r\n\r\n", 1)[1]))
        for n in range(20):
            self.send([ANNA, BOB], letter("no. %d" % n, FAR))
        for user in (ANNA, BOB):
            self.inst.fetch(user, n=20)


if __name__ == "__main__":
    unittest.main()
