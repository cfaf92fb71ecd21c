"""kill -9 of each process at random moments while clients send.

Clients send again only what got no 250. Afterwards each acknowledged message
must be there at least once; how many came twice is printed.
"""

import collections
import os
import random
import re
import signal
import ssl
import threading
import time
import unittest

from next_hop import NextHop
from submitd_instance import (ANNA, BOB, CHILDREN, PROGRAMS, Instance, Refused,
                              letter, wait_until)

KILLS = int(os.environ.get("SUBMITD_TEST_KILLS", "10"))
CLIENTS = 4
OUT = "friend@elsewhere.test"
ROLES = [*PROGRAMS, *(c for p in PROGRAMS for c in CHILDREN[p])]
TROUBLE = (OSError, ssl.SSLError, Refused, AssertionError, ValueError)


class Sender(threading.Thread):
    """One client: unique messages, one after the other, until told to stop."""

    def __init__(self, inst, number, stop):
        super().__init__(daemon=True)
        self.inst, self.number, self.stop = inst, number, stop
        self.acknowledged = []
        self.tries = 0
        self.why = collections.Counter()

    def run(self):
        w, n, ident = None, 0, None
        while not self.stop.is_set() or ident:
            if ident is None:
                n += 1
                ident = "m-%d-%d-%08x" % (self.number, n, random.getrandbits(32))
            self.tries += 1
            try:
                if w is None:
                    w = self.inst.smtp_as(ANNA if self.number % 2 else BOB)
                w.sock.settimeout(30)
                self.transact(w, ident)
                self.acknowledged.append(ident)
                ident = None
                if n % 5 == 0:
                    w.close()
                    w = None
            except TROUBLE as e:
                self.why[type(e).__name__ + (
                    " %d" % e.reply[0] if isinstance(e, Refused) and
                    isinstance(e.reply, tuple) else "")] += 1
                if w is not None:
                    w.close()
                w = None
                time.sleep(random.uniform(0.01, 0.1))
                if self.stop.is_set() and self.stop.at + 40 < time.monotonic():
                    return

    def transact(self, w, ident):
        me = ANNA if self.number % 2 else BOB
        rcpts = [[ANNA], [OUT], [ANNA, OUT]][self.number % 3]
        m = letter(ident, sender=me, body=("x" * 70 + "\r\n")
                   * random.choice((1, 20, 500)))
        w.send_mail(me, rcpts, m)


class Fetcher(threading.Thread):
    """Takes anna's messages away by POP3 while everything is being killed."""

    def __init__(self, inst, stop):
        super().__init__(daemon=True)
        self.inst, self.stop = inst, stop
        self.got = collections.Counter()
        self.sure = collections.Counter()
        self.unsure = 0

    def run(self):
        while not self.stop.is_set():
            self.once()
            time.sleep(0.3)

    def once(self):
        p = None
        found = []
        try:
            p = self.inst.pop_as(ANNA)
            for i in range(int(p.cmd("STAT").split()[1])):
                p.cmd("RETR %d" % (i + 1))
                found.append(subject(p.multiline()))
                p.cmd("DELE %d" % (i + 1))
            p.cmd("QUIT")
            self.sure.update(found)
        except TROUBLE:
            # Without an answer to QUIT they may be there still, or not.
            self.unsure += len(found)
        finally:
            self.got.update(found)
            if p is not None:
                p.close()


def subject(message):
    return re.search(rb"Subject: (\S+)", message).group(1).decode()


class Killed(unittest.TestCase):
    def test_each_process(self):
        with NextHop() as hop, Instance(
                conf={"next_hop": "127.0.0.1:%d" % hop.port,
                      "retry_min": "1s", "retry_max": "1s"}) as inst:
            stop = threading.Event()
            stop.at = 0
            senders = [Sender(inst, i, stop) for i in range(CLIENTS)]
            fetcher = Fetcher(inst, stop)
            for t in senders + [fetcher]:
                t.start()
            wait_until(lambda: all(s.acknowledged for s in senders),
                       what="a message of each")
            kills = self.kill_all_kinds(inst, senders)
            time.sleep(1)
            stop.at = time.monotonic()
            stop.set()
            for t in senders:
                t.join(90)
                self.assertFalse(t.is_alive(), "a client hangs")
            fetcher.join(90)
            self.settle(inst)
            wait_until(lambda: fetcher.once() or inst.drop_size(ANNA) == 0,
                       what="all being fetched")
            self.judge(kills, senders, fetcher, hop)
            wait_until(lambda: inst.ctl("status", check=False).returncode == 0,
                       what="status 0")

    def kill_all_kinds(self, inst, senders):
        """KILLS of each, in random order; a parent is started again, as
        systemd would. Between them some messages get through, however slow the
        machine."""
        order = ROLES * KILLS
        random.shuffle(order)
        done = collections.Counter()
        for n, role in enumerate(order):
            time.sleep(random.uniform(0.02, 0.25))
            if n % len(ROLES) == 0:
                wait_until(lambda at=self.sent(senders): self.sent(senders)
                           >= at + 60 // KILLS, what="messages")
            if role in PROGRAMS:
                p = inst.procs[role]
                p.kill()
                p.wait()
                inst.start(role)
                done[role] += 1
                continue
            pids = wait_until(lambda: inst.pids(role), 60, role)
            os.kill(random.choice(pids), signal.SIGKILL)
            done[role] += 1
        for role in ROLES:
            wait_until(lambda: inst.pids(role), what=role + " after the kills")
        return done

    @staticmethod
    def sent(senders):
        return sum(len(s.acknowledged) for s in senders)

    def settle(self, inst):
        wait_until(lambda: inst.ctl("status", check=False).returncode == 0, 60,
                   "status 0")
        wait_until(lambda: not inst.ctl("queue", "list", "-j",
                                        check=False).stdout.strip()
                   and inst.ctl("queue", "list", check=False).returncode == 0,
                   120, "the queue being empty")

    def judge(self, kills, senders, fetcher, hop):
        out = collections.Counter(subject(m.data) for m in hop.messages)
        lost = []
        n = 0
        for s in senders:
            n += len(s.acknowledged)
            for ident in s.acknowledged:
                if s.number % 3 in (0, 2) and not fetcher.got[ident]:
                    lost.append(ident + " (Maildir)")
                if s.number % 3 in (1, 2) and not out[ident]:
                    lost.append(ident + " (next hop)")
        twice = sum(1 for v in out.values() if v > 1)
        twice_here = sum(1 for v in fetcher.sure.values() if v > 1)
        print("    %d kills; %d messages acknowledged in %d tries; %d lost; "
              "twice: %d at the next hop, %d in Maildirs; %d fetched without "
              "an answer to QUIT" % (
                  sum(kills.values()), n, sum(s.tries for s in senders),
                  len(lost), twice, twice_here, fetcher.unsure))
        print("    what clients met: %s" % dict(
            sum((s.why for s in senders), collections.Counter())))
        self.assertEqual(lost, [])
        self.assertGreater(n, 50)
        for role in ROLES:
            self.assertGreaterEqual(kills[role], KILLS)


class Orphans(unittest.TestCase):
    def test_children_end_with_their_parent(self):
        with Instance() as inst:
            for name in PROGRAMS:
                with self.subTest(name):
                    kids = inst.children(inst.procs[name].pid)
                    self.assertTrue(kids)
                    inst.procs[name].kill()
                    inst.procs[name].wait()
                    inst.gone(kids)
                    inst.start(name)
            inst.smtp_as(ANNA).quit()

    def test_a_child_that_dies_again_and_again(self):
        """Started at once, then with back-off to 5 s, and never given up."""
        with Instance() as inst:
            for _ in range(6):
                pid = wait_until(lambda: inst.pid("submitd-local"))
                os.kill(pid, signal.SIGKILL)
                wait_until(lambda: inst.pid("submitd-local") != pid)
            wait_until(lambda: inst.pid("submitd-local"))
            m = letter("after all")
            with inst.smtp_as(ANNA) as w:
                w.send_mail(ANNA, [ANNA], m)
            self.assertTrue(inst.fetch(ANNA, n=1)[0].endswith(m))
