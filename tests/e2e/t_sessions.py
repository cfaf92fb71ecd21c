"""How many sessions there may be, over four workers, and what one may do."""

import contextlib
import os
import re
import select
import signal
import socket
import ssl
import time
import unittest

from submitd_instance import (ANNA, BOB, CARL, PASSWORDS, PATIENCE_S, Instance,
                              PopWire, Wire, frozen, heard, letter, wait_until)

WORKERS = 4
CROWDED = (r"421 4\.7\.0 Too many sessions of your %s have not logged in, and "
           r"this one was silent for longest: %s = %d\b")


def raw(inst, service="submission", source="127.0.0.1", cls=Wire):
    return cls(("127.0.0.1", inst.port(service)), source)


def a_millisecond_later():
    """Who was heard in the same millisecond was heard at the same time. The
    servers' clock is ours."""
    then = time.monotonic_ns() // 1000000
    while time.monotonic_ns() // 1000000 == then:
        pass


def last_words(w):
    """Everything until the server closes."""
    while w.fill():
        pass
    return w.buffer.decode("latin-1")


class Case(unittest.TestCase):
    conf = {}

    @classmethod
    def setUpClass(cls):
        cls.inst = Instance(dict({"workers": WORKERS}, **cls.conf))

    @classmethod
    def tearDownClass(cls):
        cls.inst.close()

    def setUp(self):
        self.open = contextlib.ExitStack()
        self.addCleanup(self.all_left)

    def all_left(self):
        self.open.close()
        for d in ("submitd", "popd"):
            wait_until(lambda: self.counts(d)["open"] == 0,
                       what="the end of all sessions of " + d)

    def take(self, w):
        return self.open.enter_context(w)

    def counts(self, daemon="submitd"):
        return self.inst.control(daemon, verb="status")["sessions"]

    def idle(self, n, source="127.0.0.1", service="submission"):
        """Sessions that have had their greeting and say nothing."""
        out = []
        for _ in range(n):
            w = self.take(raw(self.inst, service, source))
            w.expect(220)
            out.append(w)
            a_millisecond_later()
        return out

    def workers(self, role="submitd-smtp"):
        pids = wait_until(lambda: (lambda p: p if len(p) == WORKERS else None)(
            self.inst.pids(role)), what="%d workers" % WORKERS)
        return sorted(pids)


class Address(Case):
    conf = {"sessions_per_address": 10, "sessions_per_network": 15,
            "help_text": "call 555"}

    def test_four_workers(self):
        self.workers()
        self.workers("popd-pop")
        self.assertEqual(self.counts()["workers"], WORKERS)

    def test_the_longest_silent_of_all_workers_makes_room(self):
        first, *others = self.workers()
        before = self.counts()["ended_per_address"]
        with frozen(others):
            mine = self.idle(4)
        with frozen([first]):
            theirs = self.idle(6)
        mine[0].cmd("NOOP", 250)
        at = self.inst.log_size("submitd")
        # Its worker stands still: the newcomer is served all the same.
        with frozen([first]):
            new = self.idle(1)[0]
            new.cmd("EHLO x.test", 250)
            self.assertEqual(self.counts()["ended_per_address"],
                             before + 1)
        text = last_words(mine[1])
        self.assertRegex(text, CROWDED % (
            "address", "sessions_per_address", 10))
        self.assertIn("call 555", text)
        self.inst.wait_log("submitd", r"ev=sessions\.limit .*rip=127\.0\.0\.1 "
                           r"limit=sessions_per_address max=10 .*action=end",
                           at)
        self.inst.wait_log("submitd", r"ev=smtp\.close .*why=crowded", at)
        # The others live, in all workers.
        for w in [mine[0], mine[2], mine[3], new] + theirs:
            w.cmd("NOOP", 250)
        r = self.inst.ctl("status", check=False).stdout
        self.assertRegex(r, r"sessions of submitd: 10, 10 of them not "
                         r"authorised; ended to make room: \d+;")

    def test_before_tls_it_is_closed(self):
        ws = [self.take(raw(self.inst, "submissions")) for _ in range(10)]
        wait_until(lambda: self.counts()["open"] == 10, what="ten sessions")
        with self.inst.smtp("submissions"):
            self.assertEqual(last_words(ws[0]), "")
            self.assertEqual(self.counts()["open"], 10)

    def test_who_waits_for_long_makes_room_too(self):
        """Guesses are answered late; they hold no places meanwhile."""
        core = self.inst.pid("authd-core")
        for service, kind, words in (
                ("submission", self.inst.smtp, "AUTH PLAIN AGEAYg=="),
                ("pop3", self.inst.pop, "USER a\r\nPASS b")):
            daemon = "popd" if service == "pop3" else "submitd"
            ws = [self.take(kind()) for _ in range(10)]
            with frozen([core]):
                for w in ws:
                    w.send(words + "\r\n")
                wait_until(lambda: all(heard(w.sock) for w in ws), what="reading")
                for _ in range(10):
                    self.take(raw(self.inst, service, cls=type(ws[0])))
                wait_until(lambda: self.counts(daemon)["open"] == 10,
                           what="room")
            for w in ws:
                self.assertIn("sessions_per_address = 10", last_words(w))
            self.open.close()

    def test_who_has_logged_in_is_not_counted(self):
        users = [self.take(self.inst.smtp_as(ANNA)) for _ in range(12)]
        strangers = self.idle(10)
        c = self.counts()
        self.assertEqual((c["open"], c["strangers"]), (22, 10))
        self.idle(1)
        self.assertIn("421 ", last_words(strangers[0]))
        for w in users + strangers[1:]:
            w.cmd("NOOP", 250)

    def test_a_grant_is_as_good(self):
        self.inst.grant(ANNA)
        ws = self.idle(10)
        w = self.take(self.inst.smtp())
        self.assertIn("421 ", last_words(ws[0]))
        w.cmd("MAIL FROM:<%s>" % ANNA, 250)
        self.assertEqual(self.counts()["strangers"], 9)
        self.idle(3)
        w.cmd("RCPT TO:<%s>" % BOB, 250)
        self.inst.ctl("grant", "revoke", "--all", check=False)

    def test_a_network(self):
        ws = [self.idle(1, "127.0.0.%d" % (n + 10))[0] for n in range(15)]
        self.idle(1, "127.0.1.10")
        for w in ws:
            w.cmd("NOOP", 250)
        self.idle(1, "127.0.0.200")
        self.assertRegex(last_words(ws[0]), CROWDED % (
            "network", "sessions_per_network", 15))
        for w in ws[1:]:
            w.cmd("NOOP", 250)

    def test_a_killed_worker_frees_its_places(self):
        first, *others = self.workers()
        with frozen(others):
            self.idle(5)
        with frozen([first]):
            theirs = self.idle(5)
        self.assertEqual(self.counts()["open"], 10)
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: self.counts()["open"] == 5, what="five sessions")
        wait_until(lambda: first not in self.workers(), what="a new worker")
        self.idle(5)
        for w in theirs:
            w.cmd("NOOP", 250)
        self.assertEqual(self.counts()["strangers"], 10)

    def test_pop3(self):
        ws = []
        for _ in range(10):
            ws.append(self.take(raw(self.inst, "pop3", cls=PopWire)))
            ws[-1].expect_ok()
            a_millisecond_later()
        self.assertEqual(self.counts("popd")["open"], 10)
        # Who was heard in the same millisecond was heard at the same time.
        began = time.monotonic()
        while time.monotonic() < began + 0.003:
            ws[0].cmd("CAPA")
            ws[0].multiline()
        self.take(self.inst.pop_as(BOB))
        self.assertRegex(last_words(ws[1]), r"-ERR \[SYS/TEMP\] .*silent for "
                         r"longest: sessions_per_address = 10\. call 555 \[\S{16}\]\r\n$")
        c = self.counts("popd")
        self.assertEqual((c["open"], c["strangers"]), (10, 9))
        # The two services count apart.
        self.assertEqual(self.counts()["open"], 0)


class User(Case):
    conf = {"sessions_per_user": 3}

    def test_a_login_too_many(self):
        ws = [self.take(self.inst.smtp_as(ANNA)) for _ in range(3)]
        at = self.inst.log_size("submitd")
        w = self.take(self.inst.smtp())
        self.assertRegex(w.auth_plain(ANNA, PASSWORDS[ANNA], 421)[1],
                         r"4\.7\.0 .*sessions_per_user = 3\b")
        self.assertTrue(w.is_closed())
        self.inst.wait_log("submitd", r"ev=sessions\.limit .*limit=sessions_per"
                           r"_user max=3 user=anna@example\.test action=refuse",
                           at)
        self.take(self.inst.smtp_as(BOB)).cmd("NOOP", 250)
        ws[0].quit()
        wait_until(lambda: self.counts()["open"] == 3, what="one gone")
        self.take(self.inst.smtp_as(ANNA)).cmd("NOOP", 250)
        self.assertEqual(self.counts()["refused_per_user"], 1)

    def test_mail_by_a_grant_counts_for_its_owner(self):
        self.inst.grant(CARL)
        for _ in range(3):
            w = self.take(self.inst.smtp())
            w.cmd("MAIL FROM:<%s>" % CARL, 250)
            w.cmd("RSET", 250)
            w.cmd("MAIL FROM:<%s>" % CARL, 250)
        w = self.take(self.inst.smtp())
        self.assertRegex(w.cmd("MAIL FROM:<%s>" % CARL, 421)[1],
                         r"sessions_per_user = 3\b")
        w = self.take(self.inst.smtp())
        self.assertRegex(w.auth_plain(CARL, PASSWORDS[CARL], 421)[1],
                         r"sessions_per_user = 3\b")


class Shadow(Case):
    conf = {"sessions_policy": "log", "sessions_per_address": 3,
            "sessions_per_user": 1}

    def test_it_only_logs(self):
        at = self.inst.log_size("submitd")
        ws = self.idle(6)
        users = [self.take(self.inst.smtp_as(ANNA)) for _ in range(3)]
        for w in ws + users:
            w.cmd("NOOP", 250)
        for limit, n in (("address", 3), ("user", 2)):
            wait_until(lambda: len(re.findall(
                r"ev=sessions\.limit .*limit=sessions_per_%s .*action=log"
                % limit, self.inst.log("submitd", at))) >= n, what=limit)
        c = self.counts()
        self.assertEqual((c["ended_per_address"], c["refused_per_user"]),
                         (0, 0))


class Crowd(Case):
    conf = {"sessions_per_network": 100000}

    def test_500_idle_and_others_are_served(self):
        """As many as one address may have, from five of them."""
        ws = []
        for n in range(5):
            ws += self.idle(100, "127.0.0.%d" % (n + 10))
        self.assertEqual(self.counts()["strangers"], 500)
        with self.inst.smtp_as(ANNA, source="127.0.0.100") as w:
            w.send_mail(ANNA, [BOB], letter("through a crowd"))
        # And nobody had to make room for it.
        self.assertEqual(self.counts()["ended_per_address"], 0)
        self.assertEqual(self.counts()["strangers"], 500)
        for w in ws:
            w.cmd("NOOP", 250)

    def test_500_of_one_address_and_others_are_served(self):
        ws = self.idle(500, "127.0.0.10")
        self.assertEqual(self.counts()["strangers"], 100)
        for w in ws[:400]:
            self.assertIn("421 4.7.0", last_words(w))
        for source in ("127.0.0.10", "127.0.0.11"):
            with self.inst.smtp_as(ANNA, source=source) as w:
                w.send_mail(ANNA, [BOB], letter("through a crowd"))


class Reload(Case):
    def test_limits_change_and_workers_need_a_restart(self):
        self.inst.write_conf(sessions_per_address=2)
        self.inst.reload("submitd")
        ws = self.idle(3)
        self.assertIn("sessions_per_address = 2", last_words(ws[0]))
        self.inst.write_conf(workers=3)
        self.assertIn("workers: a change needs a restart",
                      self.inst.reload("submitd"))


class Session(Case):
    """What one session may do."""
    conf = {"error_limit": 3, "login_limit": 3, "command_limit": 10,
            "idle_timeout": "10s", "stranger_timeout": "12s"}

    def test_errors(self):
        w = self.take(self.inst.smtp(tls=False))
        for _ in range(3):
            w.cmd("XYZZY", 500)
        self.assertRegex(last_words(w), r"421 4\.7\.0 .*error_limit = 3\b")

    def test_logins(self):
        w = self.take(self.inst.smtp())
        for _ in range(3):
            w.auth_plain(ANNA, "wrong", 535)
        self.assertRegex(last_words(w), r"421 4\.7\.0 .*login_limit = 3\b")

    def test_commands(self):
        w = self.take(self.inst.smtp())
        w.send("NOOP\r\n" * 20)
        self.assertRegex(last_words(w), r"421 4\.7\.0 .*command_limit = 10\b")

    def test_pop3(self):
        w = self.take(self.inst.pop())
        for _ in range(3):
            w.cmd("XYZZY", ok=False)
        self.assertRegex(last_words(w), "-ERR .*error_limit = 3")
        w = self.take(self.inst.pop())
        for _ in range(3):
            w.cmd("USER " + ANNA)
            w.cmd("PASS wrong", ok=False)
        self.assertTrue(w.is_closed())

    def test_time(self):
        """Silent for too long; a stranger for too long, however much he says;
        and who has logged in may stay as long as he is heard."""
        silent = self.take(self.inst.smtp(tls=False))
        user = self.take(self.inst.smtp_as(ANNA))
        began, ended = time.monotonic(), None
        talker = self.take(self.inst.smtp(tls=False))
        pop = self.take(self.inst.pop())
        talker.sock.settimeout(1)
        while ended is None and time.monotonic() - began < PATIENCE_S:
            talker.send("N")
            try:
                if not talker.fill():
                    ended = time.monotonic() - began
            except (TimeoutError, socket.timeout):
                user.send_mail(ANNA, [BOB], letter("still here"))
        self.assertIn("stranger_timeout = 12s", talker.buffer.decode())
        self.assertGreater(ended, 11.5)
        wait_until(lambda: time.monotonic() - began > 14, what="14 s")
        self.assertRegex(last_words(silent),
                         r"421 4\.4\.2 .*idle_timeout = 10s\b")
        self.assertTrue(pop.is_closed())
        user.cmd("QUIT", 221)


class NeverReads(Case):
    conf = {"command_limit": 1000000, "workers": 1, "sessions_per_address": 500,
            "output_limit": "16K"}
    N = 40

    @classmethod
    def setUpClass(cls):
        # What a sanitizer keeps of freed memory is not the program's.
        cls.inst = Instance(cls.conf, start=False)
        cls.inst.env["ASAN_OPTIONS"] += (
            ":quarantine_size_mb=1:thread_local_quarantine_size_kb=64")
        cls.inst.start()
        for user, password in PASSWORDS.items():
            cls.inst.add_user(user, password)

    def rss(self):
        with open("/proc/%d/status" % self.inst.pids("submitd-smtp")[0],
                  encoding="ascii") as f:
            return int(re.search(r"VmRSS:\s+(\d+)", f.read())[1]) * 1024

    def takes_more(self, w):
        """False: the worker sleeps, and the socket is full still."""
        pid = self.inst.pids("submitd-smtp")[0]
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            if select.select([], [w.sock], [], 0.01)[1]:
                return True
            with open("/proc/%d/stat" % pid, encoding="ascii") as f:
                asleep = f.read().rsplit(")", 1)[1].split()[0] == "S"
            if asleep and not select.select([], [w.sock], [], 0.01)[1]:
                return False
        self.fail("it is never at rest")

    def push(self, w, data):
        """As much as is taken."""
        w.sock.setblocking(False)
        sent = 0
        while sent < len(data) and self.takes_more(w):
            sent += w.sock.send(data[sent:sent + 65536])
        w.sock.setblocking(True)
        w.sock.settimeout(60)
        return sent

    def test_memory_stays_bounded(self):
        """Whoever asks for megabytes of answers and reads none."""
        line = b"NOOP " + b"x" * 400 + b"\r\nEHLO x.test\r\n"
        data = line * 40000
        ws = []
        for _ in range(self.N):
            w = self.take(raw(self.inst))
            w.expect(220)
            ws.append(w)
        before = self.rss()
        sent = [self.push(w, data) for w in ws]
        # It does not take more than its buffers and the kernel's hold.
        self.assertLess(max(sent), len(data))
        grown = self.rss() - before
        self.assertLess(grown, self.N * 256 * 1024)
        # Others are served, and who begins to read gets each answer in order.
        with self.inst.smtp_as(ANNA) as u:
            u.send_mail(ANNA, [BOB], letter("beside them"))
        w, whole = ws[0], sent[0] // len(line)
        for n in range(whole):
            self.assertEqual(w.reply(), (250, "2.0.0 OK"), n)
            self.assertEqual(w.reply()[0], 250, n)

    def test_under_tls_nothing_is_forgotten(self):
        """What waits inside of OpenSSL goes on as well, once it is read. All
        in one thread: an SSL object is not made for two."""
        w = self.take(self.inst.smtp("submissions"))
        n, got, reads = 20000, b"", False
        out = b"EHLO x.test\r\n" * n
        w.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        w.sock.setblocking(False)
        while out or got.count(b"\r\n250 ") < n:
            if not reads:
                reads = not out or not self.takes_more(w)
                ready = [], [w.sock] if not reads else []
            else:
                ready = select.select([w.sock], [w.sock] if out else [], [],
                                      PATIENCE_S)
                self.assertTrue(ready[0] or ready[1], len(out))
            try:
                if ready[1]:
                    out = out[w.sock.send(out[:16384]):]
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                pass
            try:
                while reads:
                    more = w.sock.recv(65536)
                    self.assertTrue(more, "it hung up")
                    got += more
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                pass
        self.assertEqual(got.count(b"\r\n250 "), n)
        w.sock.settimeout(PATIENCE_S)
        w.cmd("QUIT", 221)

    def test_half_closed_gets_what_it_asked_for(self):
        w = self.take(self.inst.smtp(tls=False))
        n = 3000
        w.send("EHLO x.test\r\n" * n + "QUIT\r\n")
        w.sock.shutdown(socket.SHUT_WR)
        for i in range(n):
            self.assertEqual(w.reply()[0], 250, i)
        self.assertEqual(w.reply()[0], 221)
