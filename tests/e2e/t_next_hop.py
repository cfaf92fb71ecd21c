"""How submitd-send treats its next hop: connections, names, TLS, back-off."""

import email
import os
import re
import socket
import struct
import threading
import time
import unittest

from next_hop import NextHop
from submitd_instance import (ANNA, BOB, PASSWORDS, Instance, letter,
                              make_cert, wait_until)

OUT = "friend@elsewhere.test"


def send(inst, message, rcpts=(OUT,), n=1):
    with inst.smtp_as(ANNA) as w:
        for _ in range(n):
            w.send_mail(ANNA, rcpts, message)


class NameServer:
    """Answers A queries from a table; a name with None is NXDOMAIN."""

    TTL_S = 1

    def __init__(self, names):
        self.names = names
        self.answered = 0.0
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.where = "127.0.0.1@%d" % self.sock.getsockname()[1]
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while True:
            try:
                q, peer = self.sock.recvfrom(1024)
            except OSError:
                return
            self.sock.sendto(self._answer(q), peer)
            self.answered = time.monotonic()

    def is_forgotten(self):
        """Nobody knows the last answer any more; caches count whole
        seconds."""
        return time.monotonic() - self.answered > self.TTL_S + 1.1

    def _answer(self, q):
        labels, at = [], 12
        while q[at]:
            labels.append(q[at + 1:at + 1 + q[at]].decode("latin-1").lower())
            at += q[at] + 1
        kind = struct.unpack(">H", q[at + 1:at + 3])[0]
        question = q[12:at + 5]
        ips = self.names.get(".".join(labels))
        records = b""
        if kind == 1 and ips:
            records = b"".join(struct.pack(">HHHIH", 0xc00c, 1, 1, self.TTL_S,
                                           4) + socket.inet_aton(ip)
                               for ip in ips)
        return (q[:2] + struct.pack(
            ">BBHHHH", 0x85, 0x80 | (3 if ips is None else 0), 1,
            len(records) // 16, 0, 0) + question + records)

    def close(self):
        self.sock.close()


class Connections(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.hop = NextHop()
        cls.hop.up()
        cls.inst = Instance(conf={"next_hop": "127.0.0.1:%d" % cls.hop.port})

    @classmethod
    def tearDownClass(cls):
        cls.inst.close()
        cls.hop.down()

    def setUp(self):
        self.hop.up()
        self.hop.clear()
        wait_until(lambda: self.hop.open_now == 0, what="QUIT when idle")
        with self.hop.changed:
            self.hop.messages.clear()
            self.hop.events.clear()
            self.hop.connections = self.hop.open_most = 0

    def tearDown(self):
        self.hop.clear()
        wait_until(self.inst.queue_empty, what="an empty queue")
        self.inst.fetch(ANNA)

    def test_several_messages_a_connection(self):
        send(self.inst, letter("one of many"), n=120)
        self.hop.wait_messages(120, 60)
        self.assertLessEqual(self.hop.open_most, 20)
        self.assertLess(self.hop.connections, 60)
        wait_until(lambda: self.hop.open_now == 0, what="QUIT when idle")
        self.assertGreater(self.hop.count("QUIT"), 0)

    def test_a_slow_next_hop_holds_up_nobody_else(self):
        self.hop.rule("GREETING", "wait")
        send(self.inst, letter("slow"), n=30)
        m = letter("for bob")
        send(self.inst, m, [BOB])
        self.assertTrue(self.inst.fetch(BOB, n=1)[0].endswith(m))
        self.assertEqual(self.hop.count("DATA"), 0)
        self.hop.clear()
        self.hop.wait_messages(30, 120)

    def test_down_then_all_at_once(self):
        """While it is down there is a probe now and then; what waits goes out
        with the first success, not each at its own time."""
        self.inst.write_conf(retry_min="1h", retry_max="1h")
        self.assertIn("ev=reload.done", self.inst.reload("submitd"))
        try:
            self.hop.rule("GREETING", "close 421 4.3.2 down")
            since = self.inst.log_size("submitd")
            send(self.inst, letter("waits"), n=40)
            wait_until(lambda: self.inst.log("submitd", since).count(
                "ev=msg.deferred") >= 40, what="40 deferrals")
            self.assertLess(self.hop.connections, 20)
            self.hop.clear()
            send(self.inst, letter("the first that gets through"))
            self.hop.wait_messages(41)
        finally:
            self.inst.write_conf(retry_min="1s", retry_max="4s")
            self.inst.reload("submitd")

    def test_one_client_at_a_time(self):
        """A next hop that greets one client, and others only afterwards."""
        self.hop.rule("GREETING", "close 421 4.7.0 too many connections",
                      times=3)
        send(self.inst, letter("few"), n=25)
        self.hop.wait_messages(25, 60)

    def test_many_refused_recipients(self):
        """More than one report holds: each recipient is in exactly one."""
        self.hop.rule("RCPT", "reply 550 5.1.1 nobody of that name here")
        rcpts = ["nobody%d@elsewhere.test" % i for i in range(300)]
        send(self.inst, letter("to many"), rcpts)
        wait_until(self.inst.queue_empty, what="an empty queue")
        told = []
        for raw in self.inst.fetch(ANNA, n=1):
            report = email.message_from_bytes(raw)
            self.assertEqual(report.get_content_type(), "multipart/report")
            status = report.get_payload()[1].get_payload()
            told += [str(p["Final-Recipient"]).split("; ")[1]
                     for p in status[1:]]
        self.assertEqual(sorted(told), sorted(rcpts))

    def test_too_many_recipients_at_a_time(self):
        self.hop.rule("RCPT", "reply 452 4.5.3 too many",
                      match="[1-9][0-9]@", times=60)
        rcpts = ["r%d@elsewhere.test" % i for i in range(100)]
        m = letter("in parts")
        send(self.inst, m, rcpts)
        wait_until(self.inst.queue_empty, what="an empty queue")
        got = [r for x in self.hop.messages for r in x.recipients]
        self.assertEqual(sorted(got), sorted(rcpts))
        self.assertNotIn("ev=msg.deferred", self.inst.log("submitd").split(
            "r99@elsewhere.test")[0][-2000:])

    def test_clock_set_back(self):
        """Who was deferred in what is now the future does not wait for it."""
        self.hop.rule("RCPT", "reply 451 4.2.1 not yet")
        self.inst.clock(86400)
        try:
            send(self.inst, letter("from the future"))
            wait_until(lambda: self.hop.count("RCPT") >= 2, what="two tries")
        finally:
            self.inst.clock(0)
        self.hop.clear()
        self.hop.wait_messages(1)

    def test_killed_in_the_middle(self):
        self.hop.rule("EOD", "slow 1")
        send(self.inst, letter("survives"), n=10)
        wait_until(lambda: self.hop.count("DATA") > 0, what="DATA")
        os.kill(self.inst.pid("submitd-send"), 9)
        wait_until(self.inst.queue_empty, what="an empty queue")
        self.assertGreaterEqual(len(self.hop.messages), 10)

    def test_reload_moves_to_the_new_next_hop(self):
        old = self.inst.conf["next_hop"]
        self.hop.rule("RCPT", "reply 451 4.2.1 not here")
        send(self.inst, letter("moves"))
        wait_until(lambda: self.hop.count("RCPT") > 0, what="a try")
        with NextHop() as other:
            self.inst.write_conf(next_hop="127.0.0.1:%d" % other.port)
            self.inst.reload("submitd")
            other.wait_messages(1)
            self.inst.write_conf(next_hop="none")
            self.inst.reload("submitd")
        self.inst.write_conf(next_hop=old)
        self.inst.reload("submitd")

    def test_one_that_never_reads(self):
        """The message waits in its file, not in memory."""
        self.hop.rule("CONTENT", "wait")
        body = b"x" * 76 + b"\r\n"
        m = letter("big", body=body * 500000)      # 37 MiB

        proc = "/proc/%d/" % self.inst.pid("submitd-send")

        def rss():
            with open(proc + "statm", encoding="ascii") as f:
                return int(f.read().split()[1]) * 4096
        seen = []

        def at_rest():
            """It has done nothing for the last ten looks."""
            with open(proc + "stat", encoding="ascii") as f:
                ran = f.read().rsplit(")", 1)[1].split()[11:13]
            with open(proc + "io", encoding="ascii") as f:
                seen.append((ran, f.read()))
            return len(seen) > 10 and seen[-10:] == seen[-1:] * 10
        before = rss()
        send(self.inst, m)
        wait_until(lambda: self.hop.count("DATA") > 0, what="DATA")
        wait_until(at_rest, what="the end of what the other end takes")
        self.assertLess(rss() - before, 18 << 20)
        self.assertEqual(self.hop.messages, [])
        self.hop.clear()
        self.assertTrue(self.hop.wait_messages(1, 60)[0].data.endswith(m))


class Tls(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.inst = Instance(start=False)
        pair = make_cert(os.path.join(cls.inst.root, "etc"), "hop", "hop.test")
        cls.hop = NextHop(tls=pair)
        cls.hop.up()
        cls.inst.write_conf(next_hop="127.0.0.1:%d" % cls.hop.port)
        cls.inst.start()
        cls.inst.add_user(ANNA, PASSWORDS[ANNA])

    @classmethod
    def tearDownClass(cls):
        cls.inst.close()
        cls.hop.down()

    def setUp(self):
        self.hop.clear()
        with self.hop.changed:
            self.hop.messages.clear()
            self.hop.events.clear()

    def one(self, m):
        send(self.inst, m)
        got = self.hop.wait_messages(1, 60)[0]
        self.assertTrue(got.data.endswith(m))
        # The next one gets a connection of its own.
        wait_until(lambda: self.hop.open_now == 0, what="the end of it")
        return got

    def test_big_and_dotted_under_tls(self):
        lines = b"".join(b"." * (i % 5) + b"line %d \xc3\xa4\r\n" % i
                         for i in range(300000))
        got = self.one(letter("dots", body=lines))
        self.assertRegex(got.tls, r"^TLSv1\.[23]$")
        self.assertIn("tls=TLSv1", self.inst.log("submitd"))

    def test_a_handshake_that_fails_is_followed_by_clear_text(self):
        for action in ("plain", "drop", "garbage"):
            with self.subTest(action):
                self.setUp()
                self.hop.rule("HANDSHAKE", action, times=1)
                got = self.one(letter(action))
                self.assertIsNone(got.tls)
                self.assertNotIn("ev=msg.deferred", self.inst.log("submitd"))

    def test_starttls_refused(self):
        self.hop.rule("STARTTLS", "reply 454 4.7.0 not now", times=1)
        self.assertIsNone(self.one(letter("in clear, then")).tls)

    def test_octets_behind_the_220(self):
        """They end the try; none of them is taken for a reply under TLS."""
        self.hop.rule("STARTTLS", "inject 250 evil", times=1)
        got = self.one(letter("later"))
        self.assertIsNotNone(got.tls)
        self.assertEqual(self.hop.count("STARTTLS"), 2)
        self.assertIn("unexpected", self.inst.log("submitd"))
        self.assertIn("ev=msg.deferred", self.inst.log("submitd"))

    def test_what_was_said_in_clear_is_forgotten(self):
        """8BITMIME before TLS only does not count under TLS."""
        usual = list(self.hop.extensions)
        self.hop.rule("EHLO", "reply 250 hop.test|SIZE 1|STARTTLS", times=1)
        try:
            self.one(letter("not larger than 1 after all"))
        finally:
            self.hop.extensions = usual


class Names(unittest.TestCase):
    def test_by_name_and_by_turns(self):
        """A name with a dead address first; then it is gone, then back."""
        ns = NameServer({"hop.test": ["127.0.0.2", "127.0.0.1"]})
        with NextHop() as hop:
            i = Instance(conf={"next_hop": "hop.test:%d" % hop.port},
                         start=False)
            i.env["SUBMITD_TEST_DNS"] = ns.where
            with i:
                i.start()
                i.add_user(ANNA, PASSWORDS[ANNA])
                send(i, letter("by name"))
                hop.wait_messages(1, 60)
                i.wait_log("submitd", r"ev=msg\.sent .*relay="
                           r"hop\.test\[127\.0\.0\.1\]:%d" % hop.port)
                wait_until(lambda: hop.open_now == 0, what="QUIT")
                wait_until(ns.is_forgotten, what="the end of its TTL")
                ns.names["hop.test"] = None
                send(i, letter("no such name"))
                i.wait_log("submitd", r"ev=msg\.deferred .*there(%20|\s)is"
                           r"(%20|\s)no(%20|\s)host")
                ns.names["hop.test"] = ["127.0.0.1"]
                hop.wait_messages(2, 60)
        ns.close()

    def test_next_hop_taken_away(self):
        """What is queued for it then has no way to go: 5.4.4, reported."""
        with NextHop() as hop:
            hop.rule("RCPT", "reply 451 4.2.1 no")
            with Instance(conf={"next_hop": "127.0.0.1:%d" % hop.port}) as i:
                send(i, letter("stranded"))
                wait_until(lambda: hop.count("RCPT") > 0, what="a try")
                i.write_conf(next_hop="none")
                i.reload("submitd")
                raw = i.fetch(ANNA, n=1)[0]
                self.assertIn(b"Status: 5.4.4", raw)
                self.assertTrue(re.search(rb"no next_hop is set", raw))


if __name__ == "__main__":
    unittest.main()
