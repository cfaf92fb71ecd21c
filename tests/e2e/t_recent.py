"""Past sessions: looked up by who answers the telephone (submitctl recent), and
networks whose path removes STARTTLS (submitctl status)."""

import glob
import json
import os
import re
import signal
import socket
import ssl
import unittest

from submitd_instance import ANNA, BOB, PASSWORDS, Instance, wait_until


def setUpModule():
    global inst
    inst = Instance()


def tearDownModule():
    inst.close()


def recent(*what, inst_=None):
    out = (inst_ or inst).ctl("-j", "recent", *what).stdout
    return [json.loads(line) for line in out.splitlines()]


def found(test, *what, inst_=None):
    """The first record that passes the test, as soon as it is there."""
    return wait_until(lambda: next((r for r in recent(*what, inst_=inst_)
                                    if test(r)), None), what="a record")


def port(service):
    return int(inst.conf["listen_" + service][0].rsplit(":", 1)[1])


def raw(service, source):
    return socket.create_connection(("127.0.0.1", port(service)), 20,
                                    source_address=(source, 0))


def clear_dialogue(source, *lines):
    with raw("submission", source) as s:
        f = s.makefile("rb")
        f.readline()
        for line in lines:
            s.sendall(line.encode() + b"\r\n")
            while f.readline()[3:4] == b"-":
                pass


def core_killed(i):
    pid = i.pid("authd-core")
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: i.pid("authd-core") not in (None, pid),
               what="another authd-core")
    wait_until(lambda: i.ctl("user", "list", check=False).returncode == 0)


class Sessions(unittest.TestCase):
    def test_message(self):
        """By user, address, network, sender, queue id and session id."""
        with inst.smtp(auth=(ANNA, PASSWORDS[ANNA]), source="127.1.0.1") as w:
            w.send_mail(ANNA, [BOB], b"Subject: x\r\n\r\nhi\r\n")
            w.cmd("QUIT")
        r = found(lambda r: r.get("queued"), "127.1.0.1")
        self.assertEqual(
            (r["address"], r["port"], r["service"], r["user"], r["by"],
             r["messages"], r["authorised"], r["ended"]),
            ("127.1.0.1", port("submission"), "smtp", ANNA, "login", 1, "yes",
             "quit"))
        self.assertRegex(r["tls"], r"^TLSv1\.[23]:")
        self.assertNotIn("failed", r)
        queued = r["queued"][0]
        self.assertEqual(queued["sender"], ANNA)
        for what in (ANNA, "anna", "ANNA@Example.Test", "127.1.0.0/24",
                     "@example.test", queued["id"], r["session"],
                     "[%s]" % r["session"]):
            self.assertIn(r["session"],
                          [x["session"] for x in recent(what)], what)
        for what in (BOB, "127.1.0.2", "aaaaaaaaaaaaaaaa", "@other.test"):
            self.assertNotIn(r["session"],
                             [x["session"] for x in recent(what)], what)
        text = inst.ctl("recent", queued["id"]).stdout
        self.assertIn("user " + ANNA, text)
        self.assertIn("queued: " + queued["id"], text)

    def test_wrong_password(self):
        """authd knows more than it answers."""
        for user, password, failed, tell in (
                (ANNA, "wrong", "wrong password (535", "type it anew"),
                ("nobody@example.test", "x", "no such user",
                 "whole mail address")):
            with inst.smtp(source="127.1.0.3") as w:
                w.auth_plain(user, password, 535)
            r = found(lambda r: r.get("login") == user, "127.1.0.3")
            self.assertIn(failed, r["failed"])
            self.assertIn(tell, r["tell"])
            self.assertEqual((r["authorised"], r["code"]), ("no", 535))
            self.assertIn(r["session"],
                          [x["session"] for x in recent(user)])

    def test_sender(self):
        """Who did not log in is found by the sender, and by whose that is."""
        inst.ctl("user", "alias", "add", ANNA, "office@example.test")
        with inst.smtp(source="127.1.0.4") as w:
            w.cmd("MAIL FROM:<office@example.test>", 530)
        for what in ("office@example.test", ANNA):
            r = found(lambda r: r.get("sender") == "office@example.test", what)
            self.assertEqual((r["address"], r["user"], r["authorised"]),
                             ("127.1.0.4", ANNA, "no"))
            self.assertIn("without having logged in", r["failed"])
            self.assertIn("fetch mail first", r["tell"])

    def test_in_clear(self):
        """Who was told to set STARTTLS is found by the sender, too, and by the
        id that he reads out."""
        with inst.smtp(tls=False, source="127.1.0.44") as w:
            text = w.cmd("MAIL FROM:<%s>" % BOB, 530)[1]
        sid = text.rsplit("[", 1)[1].rstrip("]")
        for what in (BOB, "[%s]" % sid):
            r = found(lambda r: r["session"] == sid, what)
            self.assertEqual((r["address"], r["sender"], r["code"]),
                             ("127.1.0.44", BOB, 530))
            self.assertIn("without encryption", r["failed"])

    def test_a_limit_is_named(self):
        with inst.smtp(source="127.1.0.45") as w:
            w.send(b"NOOP\r\n" * 1001)
            w.is_closed()
        r = found(lambda r: r["code"] == 421, "127.1.0.45")
        self.assertIn("command_limit = 1000", r["failed"])

    def test_not_his(self):
        with inst.smtp(auth=(ANNA, PASSWORDS[ANNA]), source="127.1.0.5") as w:
            w.cmd("MAIL FROM:<%s>" % BOB, 553)
        r = found(lambda r: r.get("sender") == BOB, "127.1.0.5")
        self.assertEqual((r["user"], r["authorised"], r["code"]),
                         (ANNA, "yes", 553))
        self.assertIn("alias add", r["tell"])

    def test_grant(self):
        """A message by POP-before-SMTP is its grant's owner's."""
        p = inst.pop(source="127.1.0.6")
        p.cmd("USER " + ANNA)
        p.cmd("PASS " + PASSWORDS[ANNA])
        p.cmd("QUIT")
        with inst.smtp(source="127.1.0.6") as w:
            w.send_mail(ANNA, [BOB], b"Subject: x\r\n\r\nhi\r\n")
            w.cmd("QUIT")
        r = found(lambda r: r["service"] == "smtp", "127.1.0.6")
        self.assertEqual((r["user"], r["by"]), (ANNA, "grant"))
        r = found(lambda r: r["service"] == "pop3", "127.1.0.6")
        self.assertEqual((r["user"], r["by"], r["authorised"]),
                         (ANNA, "login", "yes"))

    def test_pop(self):
        p = inst.pop(source="127.1.0.7")
        p.cmd("USER " + ANNA)
        p.cmd("PASS wrong", ok=None)
        p.cmd("QUIT")
        r = found(lambda r: r["service"] == "pop3", "127.1.0.7")
        self.assertEqual((r["login"], r["status"]), (ANNA, "AUTH"))
        self.assertIn("wrong password", r["failed"])
        with inst.pop(source="127.1.0.7") as first:
            first.cmd("USER " + ANNA)
            first.cmd("PASS " + PASSWORDS[ANNA])
            p = inst.pop(source="127.1.0.8")
            p.cmd("USER " + ANNA)
            p.cmd("PASS " + PASSWORDS[ANNA], ok=None)
            p.cmd("QUIT")
        r = found(lambda r: r.get("status") == "IN-USE", "127.1.0.8")
        self.assertEqual(r["login"], ANNA)
        self.assertIn("same moment", r["tell"])

    def test_polls_are_one(self):
        for _ in range(6):
            p = inst.pop(source="127.1.0.9")
            p.cmd("USER " + BOB)
            p.cmd("PASS " + PASSWORDS[BOB])
            p.cmd("QUIT")
        r = found(lambda r: r["sessions"] == 6, "127.1.0.9")
        self.assertEqual(len(recent("127.1.0.9")), 1, r)

    def test_handshake(self):
        """A client that does not trust us; one that only looks."""
        context = ssl.create_default_context()
        for service in ("submissions", "pop3s"):
            with raw(service, "127.1.0.10") as s:
                with self.assertRaises(ssl.SSLError):
                    context.wrap_socket(s, server_hostname="mail.example.test")
            r = found(lambda r: r["port"] == port(service) and "failed" in r,
                      "127.1.0.10")
            self.assertIn("unknown_ca", r["failed"])
            self.assertIn("does not trust", r["tell"])
            self.assertNotIn("tls", r)

    def test_scan(self):
        """A connection in which nothing is said is one record, too; of a
        network that goes on the rest is counted."""
        for i, service in enumerate(("submission", "submissions", "pop3",
                                     "pop3s")):
            source = "127.1.%d.1" % (i + 1)
            raw(service, source).close()
            r = found(lambda r: True, source)
            self.assertEqual((r["authorised"], r["messages"]), ("no", 0))
            self.assertRegex(r["failed"], "before it logged in or sent")
        for i in range(40):
            raw("submission", "127.1.1.%d" % (i % 20 + 1)).close()
        wait_until(lambda: len(re.findall(r"ev=smtp.close .*rip=127\.1\.1\.",
                                          inst.log("submitd"))) >= 41)
        self.assertLessEqual(len(recent("127.1.1.0/24")), 10)

    def test_trace_origin(self):
        """The queue id in a Received line leads to who sent it, whatever else
        the line claims."""
        with inst.smtp(auth=(ANNA, PASSWORDS[ANNA]), source="127.1.0.11") as w:
            w.send_mail(ANNA, [BOB], b"Subject: x\r\n\r\nhi\r\n")
            w.cmd("QUIT")
        r = found(lambda r: r.get("queued"), "127.1.0.11")
        line = ("Received: from x (x [192.0.2.1]) (authenticated as %s) by "
                "mail.example.test with ESMTPSA id %s; Sun, 22 Nov 2026 "
                "05:13:48 +0000" % (BOB, r["queued"][0]["id"]))
        got = json.loads(inst.ctl("-j", "trace-origin", line).stdout)
        self.assertEqual((got["source"], got["user"], got["address"],
                          got["session"]),
                         ("session", ANNA, "127.1.0.11", r["session"]))

    def test_arguments(self):
        for args, code in ((("--since", "soon"), 64), (("a", "b"), 64)):
            r = inst.ctl("recent", *args, check=False)
            self.assertEqual(r.returncode, code, r.stderr)
        r = inst.ctl("recent", "nobody-has-this-name")
        self.assertIn("no session is remembered", r.stdout)
        self.assertEqual(recent("\u00e4@example.test"), [])


class Paths(unittest.TestCase):
    def test_masked(self):
        """A firewall writes XXXX over STARTTLS."""
        clear_dialogue("127.2.1.1", "EHLO pc", "XXXXXXXX", "QUIT")
        r = found(lambda r: True, "127.2.1.1")
        self.assertIn("STARTTLS came as XXXX", r["failed"])
        self.assertIn("fixup protocol smtp", r["tell"])
        out = inst.ctl("status").stdout
        self.assertIn("the path from 127.2.1.0/24 removes STARTTLS", out)
        inst.wait_log("authd", r"ev=path\.damage .*network=127\.2\.1\.0/24 "
                               r"masked=1 never=0")
        # It is known after a restart, too.
        core_killed(inst)
        wait_until(lambda: "from 127.2.1.0/24 removes STARTTLS" in
                   inst.ctl("status", check=False).stdout)

    def test_never(self):
        """Nobody of a network gets to STARTTLS: not for guessers."""
        for i in range(1, 7):
            clear_dialogue("127.2.2.%d" % i, "EHLO pc", "QUIT")
            clear_dialogue("127.2.3.%d" % i, "EHLO pc", "AUTH PLAIN AAAA",
                           "QUIT")
        wait_until(lambda: "from 127.2.2.0/24 may remove STARTTLS" in
                   inst.ctl("status").stdout)
        self.assertNotIn("127.2.3.0/24", inst.ctl("status").stdout)
        wait_until(lambda: ("127.2.2.0/24", 6) in [
            (p["network"], p["never"]) for p in inst.control(
                "users", verb="status")["paths_without_starttls"]],
            what="all six")


class Kept(unittest.TestCase):
    """In an instance of its own: it is killed, restarted, moved in time."""

    def test_survives(self):
        with Instance(conf={"recent_keep": "2d"}) as i:
            def send(source):
                with i.smtp(auth=(ANNA, PASSWORDS[ANNA]), source=source) as w:
                    w.send_mail(ANNA, [BOB], b"Subject: x\r\n\r\nhi\r\n")
                    w.cmd("QUIT")
                return i.wait_log("submitd", r"ev=smtp\.close sid=(\S+) "
                                  r"rip=%s " % re.escape(source)).group(1)

            def is_written(sid):
                logs = glob.glob(os.path.join(i.root, "db", "log.*"))
                return any(sid.encode() in open(f, "rb").read() for f in logs)
            sid = send("127.1.0.1")
            # Within seconds; what was written is kept.
            wait_until(lambda: is_written(sid), what="the database's log")
            core_killed(i)
            found(lambda r: r["messages"] == 1, "127.1.0.1", inst_=i)
            # authd is away: what happens meanwhile is told when it is back.
            since = i.log_size("authd")
            os.kill(i.pid("authd-core"), signal.SIGKILL)
            i.wait_log("authd", r"ev=child\.died", since)
            with socket.create_connection(
                    ("127.0.0.1", int(i.conf["listen_submission"][0]
                                      .rsplit(":", 1)[1])),
                    source_address=("127.1.0.2", 0)):
                pass
            found(lambda r: True, "127.1.0.2", inst_=i)
            i.stop()
            i.start()
            for source in ("127.1.0.1", "127.1.0.2"):
                found(lambda r: True, source, inst_=i)
            # Time goes by.
            i.clock(1 * 86400)
            self.assertEqual(recent("127.1.0.1", "--since", "12h", inst_=i),
                             [])
            self.assertTrue(recent("127.1.0.1", inst_=i))
            i.clock(3 * 86400)
            wait_until(lambda: recent("--since", "30d", inst_=i) == [],
                       what="the end of recent_keep")


if __name__ == "__main__":
    unittest.main()
