"""notify_socket: what other servers' feeders tell of logins, and may not."""

import json
import os
import random
import re
import signal
import socket
import threading
import time
import unittest

from submitd_instance import (ANNA, BOB, CARL, IS_ROOT, PATIENCE_S, Instance,
                              letter, wait_until)

_next = iter(range(10, 250))


def setUpModule():
    global inst
    inst = Instance(conf={"grant_ttl": "10m",
                          "grant_exclude": ["127.0.9.0/24"],
                          "notify_uids": [str(os.geteuid())]}, start=False)
    inst.write_conf(notify_socket=inst.root + "/notify")
    inst.start()
    for user, password in list(inst.users.items()):
        inst.add_user(user, password)


def tearDownModule():
    inst.close()


class Feed:
    """A feeder's connection."""

    def __init__(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(PATIENCE_S)
        self.sock.connect(inst.conf["notify_socket"])
        self.file = self.sock.makefile("rb")

    def send(self, data):
        self.sock.sendall(data.encode() if isinstance(data, str) else data)

    def answer(self):
        return self.file.readline().decode()

    def tell(self, line):
        self.send(line + "\n")
        return self.answer().rstrip("\n")

    def close(self):
        self.file.close()
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Case(unittest.TestCase):
    def setUp(self):
        inst.clock(0)
        self.here = "127.0.0.%d" % next(_next)
        self.feed = Feed()
        self.addCleanup(self.feed.close)

    def say(self, line, answer):
        got = self.feed.tell(line)
        self.assertEqual(got, answer, line)

    def mail(self, sender=ANNA):
        with inst.smtp(source=self.here) as w:
            return w.cmd("MAIL FROM:<%s>" % sender)

    def allowed(self, sender=ANNA):
        code, text = self.mail(sender)
        self.assertEqual(code, 250, text)

    def refused(self, sender=ANNA):
        code, text = self.mail(sender)
        self.assertIn(code, (530, 553), text)

    def grants(self, *args):
        out = inst.ctl("grant", "list", self.here, "-j", *args).stdout
        return [json.loads(x) for x in out.splitlines()]


class Lines(Case):
    def test_login_grants_and_says_whence(self):
        self.refused()
        self.say("login %s %s proto=imap tls=yes" % (ANNA, self.here),
                 "ok new")
        self.allowed()
        self.refused(BOB)
        g, = self.grants()
        self.assertEqual((g["user"], g["source"], g["protocol"], g["tls"]),
                         (ANNA, "notify", "imap", True))
        self.assertIn("notify", inst.ctl("grant", "list", self.here).stdout)
        self.say("login %s %s" % (ANNA, self.here), "ok renewed")
        inst.wait_log("authd", r"ev=grant\.new user=%s rip=%s source=notify "
                      r"protocol=imap feed=%d ttl=600"
                      % (ANNA, self.here, os.geteuid()))

    def test_mail_goes_out_under_it(self):
        self.say("login ANNA@Example.TEST ::ffff:%s\r" % self.here, "ok new")
        m = letter("told of by a feeder")
        with inst.smtp(source=self.here) as w:
            w.send_mail(ANNA, [CARL], m)
        self.assertTrue(inst.fetch(CARL, n=1)[0].endswith(m))

    def test_the_rules_of_a_login(self):
        inst.clock(30)          # a time of its own for what is logged
        for line, answer in (
                ("login nobody@example.test %s", "no unknown"),
                ("login ! %s", "no unknown"),
                ("login anna@example.test#none %s", "no unknown"),
                ("login anna@example.test %s tls=no", "no clear")):
            self.say(line % self.here, answer)
        self.say("login %s 127.0.9.3" % ANNA, "no excluded")
        self.say("login %s 224.0.0.1" % ANNA, "no excluded")
        self.say("login %s 2002:7f00::1" % ANNA, "no excluded")
        for change, back in ((("disable", BOB), ("enable", BOB)),
                             (("set", BOB, "may_open_relay=no"),
                              ("set", BOB, "may_open_relay=yes")),
                             (("set", BOB, "may_submit=no"),
                              ("set", BOB, "may_submit=yes"))):
            inst.ctl("user", *change)
            self.say("login %s %s" % (BOB, self.here), "no user")
            self.refused(BOB)
            inst.ctl("user", *back)
        self.assertEqual(self.grants(), [])
        inst.wait_log("authd", r"ev=notify\.no user=bob@\S+ rip=%s uid=%d "
                      r"why=user" % (self.here, os.geteuid()))

    def test_user_disabled_afterwards(self):
        self.say("login %s %s" % (BOB, self.here), "ok new")
        self.allowed(BOB)
        inst.ctl("user", "disable", BOB)
        self.refused(BOB)
        self.say("alive %s %s" % (BOB, self.here), "no user")
        inst.ctl("user", "enable", BOB)

    def test_an_address_that_looks_shared(self):
        inst.write_conf(grant_users_per_address="1", grant_shared="refuse")
        self.assertIn("reload.done", inst.reload("authd"))
        try:
            self.say("login %s %s" % (ANNA, self.here), "ok new")
            self.say("login %s %s" % (BOB, self.here), "no shared")
            self.say("login %s %s" % (ANNA, self.here), "ok renewed")
            self.say("alive %s %s" % (ANNA, self.here), "ok renewed")
            self.refused(BOB)
        finally:
            inst.write_conf(grant_users_per_address=None, grant_shared=None)
            inst.reload("authd")

    def test_the_sunset(self):
        self.say("login %s %s" % (ANNA, self.here), "ok new")
        inst.write_conf(grant_sunset="2026-01-01")
        self.assertIn("reload.done", inst.reload("authd"))
        try:
            for verb in ("login", "alive"):
                got = self.feed.tell("%s %s %s" % (verb, ANNA, self.here))
                self.assertEqual(got, "no ended")
            self.refused()
        finally:
            inst.write_conf(grant_sunset=None)
            inst.reload("authd")

    def test_app_password(self):
        inst.ctl("user", "credential", "add", ANNA, "box", "--stdin",
                 input="box password of anna\n")
        inst.ctl("user", "credential", "add", ANNA, "fetch", "--scope", "pop",
                 "--stdin", input="another one of anna's\n")
        self.say("login %s#fetch %s" % (ANNA, self.here), "no unknown")
        inst.ctl("user", "credential", "add", ANNA, "reader", "--scope",
                 "no-relay", "--stdin", input="a third one of anna's\n")
        self.say("login %s#reader %s" % (ANNA, self.here), "no unknown")
        self.say("login %s#box %s" % (ANNA, self.here), "ok new")
        self.allowed()
        inst.ctl("user", "credential", "delete", ANNA, "box")
        self.refused()
        inst.ctl("user", "credential", "delete", ANNA, "fetch")


class Alive(Case):
    def test_renews(self):
        """An IMAP session rests in IDLE for longer than grant_ttl."""
        self.say("login %s %s proto=imap" % (ANNA, self.here), "ok new")
        for now in range(500, 2500, 500):
            inst.clock(now)
            self.say("alive %s %s" % (ANNA, self.here), "ok renewed")
        inst.clock(2590)
        self.allowed()
        self.assertEqual(self.grants()[0]["protocol"], "imap")
        inst.clock(2601)
        self.refused()

    def test_makes_none(self):
        self.say("alive %s %s" % (ANNA, self.here), "no none")
        self.say("login %s %s" % (ANNA, self.here), "ok new")
        inst.clock(601)
        self.say("alive %s %s" % (ANNA, self.here), "no none")
        self.refused()
        self.say("login %s %s" % (ANNA, self.here), "ok new")
        self.allowed()
        inst.ctl("grant", "revoke", self.here)
        self.say("alive %s %s" % (ANNA, self.here), "no none")
        self.refused()

    def test_not_after_a_change_of_the_password(self):
        self.say("login %s %s" % (CARL, self.here), "ok new")
        self.allowed(CARL)
        inst.ctl("user", "passwd", CARL, "--stdin", input="carl's new one\n")
        inst.users[CARL] = "carl's new one"
        self.say("alive %s %s" % (CARL, self.here), "no none")
        self.refused(CARL)

    def test_a_login_at_popd_stays_one(self):
        inst.grant(ANNA, self.here)
        inst.clock(500)
        self.say("alive %s %s" % (ANNA, self.here), "ok renewed")
        self.assertEqual(self.grants()[0]["source"], "pop")
        self.say("logout %s %s" % (ANNA, self.here), "no none")
        inst.clock(1000)
        self.allowed()


class Logout(Case):
    def test_ends_the_grant(self):
        self.say("login %s %s" % (ANNA, self.here), "ok new")
        self.say("login %s %s" % (BOB, self.here), "ok new")
        self.say("logout %s %s" % (ANNA, self.here), "ok ended")
        self.refused()
        self.allowed(BOB)
        self.say("logout %s %s" % (ANNA, self.here), "no none")
        self.say("alive %s %s" % (ANNA, self.here), "no none")
        self.say("logout nobody@example.test %s" % self.here, "no unknown")
        self.assertRegex(inst.log("authd"), r"ev=grant\.end user=%s rip=%s"
                         % (ANNA, self.here))
        self.say("login %s %s" % (ANNA, self.here), "ok new")
        self.allowed()


class Hostile(Case):
    def test_lines(self):
        for line in (b"", b"   ", b"login", b"login anna@example.test",
                     b"login anna@example.test here", b"LOGIN a 127.0.0.1",
                     b"login \0 127.0.0.1", b"\xff\xfe\x80 a 127.0.0.1",
                     b"login a\tb 127.0.0.1", b"login a 127.0.0.1\r\r",
                     b"login a 127.0.0.1 tls=yes tls=yes",
                     b"x" * 511, b"x" * 512, b"x" * 513, b"x" * 40000,
                     b"login " + b"a" * 600 + b" 127.0.0.1",
                     b"GET / HTTP/1.1", b'{"verb": "user.list"}'):
            self.feed.send(line + b"\n")
            self.assertRegex(self.feed.answer(), r"\Abad [ -~]+\n\Z", line)
        self.say("login %s %s" % (ANNA, self.here), "ok new")

    def test_a_long_line_is_one(self):
        self.feed.send(b"login " + b"a" * (1 << 20))
        self.feed.send(b"\nlogin anna@example.test %s\n" % self.here.encode())
        self.assertEqual(self.feed.answer(), "bad too long\n")
        self.assertEqual(self.feed.answer(), "ok new\n")

    def test_octet_by_octet(self):
        for c in "login %s %s\n" % (ANNA, self.here):
            self.feed.send(c)
        self.assertEqual(self.feed.answer(), "ok new\n")

    def test_half_a_line_is_nothing(self):
        with Feed() as f:
            f.send("login %s %s" % (ANNA, self.here))
            f.sock.shutdown(socket.SHUT_WR)
            self.assertEqual(f.answer(), "")
        self.assertEqual(self.grants(), [])

    def test_all_answers_come_before_the_end(self):
        with Feed() as f:
            f.send("alive %s %s\n" % (ANNA, self.here) * 3000)
            f.sock.shutdown(socket.SHUT_WR)
            n = sum(1 for line in f.file if line == b"no none\n")
        self.assertEqual(n, 3000)

    def test_random_octets(self):
        rnd = random.Random(6)
        for _ in range(20):
            with Feed() as f:
                data = bytes(rnd.choice(b"login alive out 127.0.0.1@\0\r\n\xff")
                             for _ in range(4000))
                f.send(data + b"\n")
                f.sock.shutdown(socket.SHUT_WR)
                self.assertEqual(len(f.file.readlines()),
                                 data.count(b"\n") + 1)

    def test_one_who_does_not_read(self):
        """His lines wait in his own socket; others are served."""
        core = inst.pid("authd-core")
        before = rss(core)
        with Feed() as f:
            f.sock.settimeout(2)
            line = b"alive anna@example.test 127.0.0.1\n" * 1000
            sent = 0
            try:
                while sent < 64 << 20:
                    sent += f.sock.send(line)
            except TimeoutError:
                pass
            self.assertLess(sent, 4 << 20)
            self.say("login %s %s" % (ANNA, self.here), "ok new")
            self.assertLess(rss(core) - before, 32 << 20)
            self.assertEqual(inst.pid("authd-core"), core)

    def test_complaints_are_bounded(self):
        since, began = inst.log_size("authd"), time.monotonic()
        for n in range(300):
            self.say("login x%d@example.test %s" % (n, self.here),
                     "no unknown")
        n = len(re.findall(r"ev=notify\.no ", inst.log("authd", since)))
        self.assertLessEqual(n, most_lines(began))

    def test_connections_are_bounded(self):
        inst.clock(30)
        # Who was there before is known to be gone when this is answered.
        self.say("alive %s %s" % (ANNA, self.here), "no none")
        feeds = []
        try:
            while len(feeds) < 40:
                feeds.append(Feed())
            served = 0
            for f in feeds:
                try:
                    served += f.tell("alive %s %s" % (ANNA, self.here)) != ""
                except (BrokenPipeError, ConnectionResetError):
                    pass
            self.assertEqual(served, 31)        # and the one of setUp
        finally:
            for f in feeds:
                f.close()
        inst.wait_log("authd", r"ev=notify\.refused .*too many")
        wait_until(lambda: reconnect("alive %s %s" % (ANNA, self.here)))


def reconnect(line):
    """As a feeder does whose connection is gone: the answer, or None."""
    try:
        with Feed() as f:
            return f.tell(line) or None
    except OSError:
        return None


def most_lines(began):
    """20 in 10 s are logged, of one kind."""
    return 20 * (2 + int((time.monotonic() - began) / 10))


def rss(pid):
    with open("/proc/%d/statm" % pid, encoding="ascii") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGESIZE")


class Who(Case):
    def as_nobody(self):
        """How often, of 50 times, a process of "nobody" got an answer."""
        pid = os.fork()
        if pid != 0:
            return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        n = 255
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            n = sum(reconnect("login %s 127.0.0.5" % ANNA) is not None
                    for _ in range(50))
        finally:
            os._exit(n)

    @unittest.skipUnless(IS_ROOT, "needs a second user")
    def test_a_user_who_is_not_listed(self):
        inst.clock(60)
        inst.ctl("grant", "revoke", "127.0.0.5", check=False)
        since, began = inst.log_size("authd"), time.monotonic()
        self.assertEqual(self.as_nobody(), 0)
        inst.wait_log("authd", r"ev=notify\.refused uid=65534 pid=\d+ ", since)
        self.assertLessEqual(inst.log("authd", since).count(
            "ev=notify.refused"), most_lines(began))
        self.assertEqual(inst.ctl("grant", "query", "127.0.0.5",
                                  check=False).returncode, 1)

    @unittest.skipUnless(IS_ROOT, "needs a second user")
    def test_a_user_who_is(self):
        inst.write_conf(notify_uids=["nobody", "0"])
        self.assertIn("reload.done", inst.reload("authd"))
        try:
            self.say("alive %s %s" % (ANNA, self.here), "no none")
            self.assertEqual(self.as_nobody(), 50)
            inst.wait_log("authd", r"ev=grant\.new user=%s rip=127\.0\.0\.5 "
                          r".*feed=65534" % ANNA)
        finally:
            inst.write_conf(notify_uids=[str(os.geteuid())])
            inst.reload("authd")

    def test_who_is_taken_from_the_list_is_gone(self):
        self.say("alive %s %s" % (ANNA, self.here), "no none")
        inst.write_conf(notify_uids=["4294967294"])
        self.assertIn("reload.done", inst.reload("authd"))
        try:
            self.assertEqual(self.feed.answer(), "")
            self.assertIsNone(reconnect("alive %s %s" % (ANNA, self.here)))
        finally:
            inst.write_conf(notify_uids=[str(os.geteuid())])
            inst.reload("authd")
        self.assertEqual(reconnect("alive %s %s" % (ANNA, self.here)),
                         "no none")


class Restart(Case):
    def test_authd_core_dies(self):
        """The socket stays: who connects meanwhile is served later."""
        self.say("login %s %s" % (ANNA, self.here), "ok new")
        before = os.stat(inst.conf["notify_socket"]).st_ino
        core = inst.pid("authd-core")
        os.kill(core, signal.SIGKILL)
        wait_until(lambda: inst.pid("authd-core") not in (core,))
        self.assertEqual(self.feed.answer(), "")
        with Feed() as f:
            self.assertEqual(f.tell("alive %s %s" % (ANNA, self.here)),
                             "ok renewed")
            self.assertEqual(f.tell("login %s %s" % (BOB, self.here)),
                             "ok new")
        self.assertEqual(os.stat(inst.conf["notify_socket"]).st_ino, before)
        wait_until(lambda: inst.smtp(source=self.here).cmd(
            "MAIL FROM:<%s>" % BOB)[0] == 250)

    def test_again_and_again_under_load(self):
        """No line that was answered ok is lost."""
        granted, stop = [], threading.Event()

        def run():
            n = 0
            while not stop.is_set():
                try:
                    with Feed() as f:
                        while not stop.is_set():
                            a = "127.1.%d.%d" % (n // 200, n % 200 + 1)
                            if f.tell("login %s %s" % (ANNA, a))[:2] == "ok":
                                granted.append(a)
                            n += 1
                except OSError:
                    pass
        t = threading.Thread(target=run)
        t.start()
        for _ in range(3):
            n = len(granted)
            wait_until(lambda: len(granted) > n + 50)
            core = inst.pid("authd-core")
            os.kill(core, signal.SIGKILL)
            wait_until(lambda: inst.pid("authd-core") not in (None, core))
        n = len(granted)
        wait_until(lambda: len(granted) > n + 50)
        stop.set()
        t.join()
        records = inst.control_list("users", verb="grant.list",
                                    network="127.1.0.0/16")
        self.assertLessEqual(set(granted), {r["address"].partition("/")[0]
                                           for r in records})
        inst.ctl("grant", "revoke", "127.1.0.0/16")

    def test_authd_is_started_anew(self):
        self.say("login %s %s" % (ANNA, self.here), "ok new")
        parent = inst.procs["authd"]
        core = inst.pid("authd-core")
        parent.kill()
        parent.wait()
        inst.gone([core])
        self.assertTrue(os.path.exists(inst.conf["notify_socket"]))
        inst.start("authd")
        self.assertEqual(reconnect("alive %s %s" % (ANNA, self.here)),
                         "ok renewed")

    def test_reload_moves_it(self):
        old = inst.conf["notify_socket"]
        self.say("alive %s %s" % (ANNA, self.here), "no none")
        self.assertIn("reload.done", inst.reload("authd"))
        self.say("alive %s %s" % (ANNA, self.here), "no none")
        inst.write_conf(notify_socket=inst.root + "/notify2")
        self.assertIn("reload.done", inst.reload("authd"))
        self.say("alive %s %s" % (ANNA, self.here), "no none")
        self.assertEqual(reconnect("alive %s %s" % (ANNA, self.here)),
                         "no none")
        inst.write_conf(notify_socket="")
        self.assertIn("reload.done", inst.reload("authd"))
        self.assertEqual(self.feed.answer(), "")
        self.assertIsNone(reconnect("alive %s %s" % (ANNA, self.here)))
        inst.write_conf(notify_socket=old)
        self.assertIn("reload.done", inst.reload("authd"))
        self.assertEqual(reconnect("alive %s %s" % (ANNA, self.here)),
                         "no none")

    def test_wrong_values(self):
        for key, value in (("notify_socket", "notify"),
                           ("notify_socket", "/" + "x" * 107),
                           ("notify_uids", ["no such user"]),
                           ("notify_uids", ["nosuchuser.x"])):
            was = inst.conf[key]
            inst.write_conf(**{key: value})
            r = inst.ctl("config", "check", check=False)
            inst.write_conf(**{key: was})
            self.assertNotEqual(r.returncode, 0, value)
            self.assertIn(key, r.stdout + r.stderr)


if __name__ == "__main__":
    unittest.main()
