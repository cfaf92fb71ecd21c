"""kill -9 of authd-core during logins and while users are changed.

Each time the next one must open the database clean and serve; what was
acknowledged must be there, the other daemons must come back to it, and nobody
may wait for ever. SUBMITD_TEST_AUTH_KILLS says how many.
"""

import collections
import os
import random
import ssl
import threading
import time
import unittest

from submitd_instance import (ANNA, BOB, PATIENCE_S, Instance, Refused,
                              wait_until)

KILLS = int(os.environ.get("SUBMITD_TEST_AUTH_KILLS", "25"))
BURST = 4               # then it may live: the parent restarts at once again
STEADY_S = 3.1
WAIT_MAX_S = PATIENCE_S
LOGINS_CHECKED = 40
TROUBLE = (OSError, ssl.SSLError, Refused, ValueError)


class Worker(threading.Thread):
    """Does once() until told to stop, and knows how long the longest took."""

    def __init__(self, inst, number, stop):
        super().__init__(daemon=True)
        self.inst, self.number, self.stop = inst, number, stop
        self.done = collections.Counter()
        self.longest = 0.0
        self.broken = None

    def run(self):
        try:
            while not self.stop.is_set():
                began = time.monotonic()
                try:
                    self.done[self.once()] += 1
                except TROUBLE as e:
                    self.done[type(e).__name__] += 1
                self.longest = max(self.longest, time.monotonic() - began)
        except BaseException as e:      # the test must see it
            self.broken = e
            raise


class Sender(Worker):
    """SMTP logins: right ones succeed or are put off, never refused."""

    def once(self):
        user, password = random.choice(((ANNA, "anna's secret"),
                                        (BOB, "bob-secret")))
        with self.inst.smtp() as w:
            code, text = w.auth_plain(user, password, 235, 454, 421)
            if code != 235:
                return "put off"
            code, text = w.cmd("MAIL FROM:<%s>" % user)
            assert code in (250, 421, 451, 454), (code, text)
            return "ok"


class Poller(Worker):
    """POP3 logins, each from an address of its own: each makes a grant."""

    def __init__(self, *args):
        super().__init__(*args)
        self.granted = []

    def once(self):
        n = sum(self.done.values())
        source = "127.%d.%d.%d" % (100 + self.number, n // 250 + 1, n % 250 + 1)
        p = self.inst.pop(source=source)
        try:
            p.cmd("USER " + ANNA)
            reply = p.cmd("PASS anna's secret", ok=None)
            if reply.startswith("+OK"):
                self.granted.append(source)
                return "ok"
            assert reply.startswith("-ERR [SYS/TEMP]") or not reply, reply
            return "put off"
        finally:
            p.close()


class Writer(Worker):
    """Users added, given another password, an alias, deleted; what may be
    found of each afterwards: a password, or None."""

    def __init__(self, *args):
        super().__init__(*args)
        self.users = {}
        self.aliases = {}

    def change(self, known, key, value, **request):
        """`known` says what may be there for `key`."""
        try:
            answer = self.inst.control("users", **request)
        except TROUBLE:
            known[key] = known.get(key, {None}) | {value}
            raise
        if "error" in answer:
            assert answer["code"] == 75, answer
            return "put off"
        known[key] = {value}
        return "ok"

    def once(self):
        n = sum(self.done.values())
        user = "w%d-%d@example.test" % (self.number, n)
        said = self.change(self.users, user, "first-%d" % n, verb="user.add",
                           user=user, password="first-%d" % n)
        if said != "ok":
            return said
        if n % 3 == 0:
            said = self.change(self.users, user, "second-%d" % n,
                               verb="user.passwd", user=user,
                               password="second-%d" % n)
        if n % 4 == 0:
            alias = "also-" + user
            said = self.change(self.aliases, alias, user,
                               verb="user.alias.add", user=user, address=alias)
        elif n % 5 == 0:
            said = self.change(self.users, user, None, verb="user.delete",
                               user=user)
        return said


class Carer(Worker):
    """What takes long, and writes beside."""

    def once(self):
        n = sum(self.done.values())
        answer = self.inst.control(
            "users", verb=("db.check", "db.compact")[n % 2])
        assert "error" not in answer and not answer.get("flaws"), answer
        self.stop.wait(0.1)             # it leaves room for the others
        return "ok"


class Killed(unittest.TestCase):
    def test_authd_core(self):
        with Instance(conf={"grant_ttl": "10h"}) as inst:
            stop = threading.Event()
            workers = [kind(inst, n, stop) for n, kind in enumerate(
                (Sender, Sender, Poller, Poller, Writer, Writer, Carer))]
            for w in workers:
                w.start()
            try:
                slowest = self.kill(inst, workers)
            finally:
                stop.set()
                for w in workers:
                    w.join(2 * WAIT_MAX_S)
            self.judge_workers(workers, slowest)
            self.judge_daemons(inst)
            self.judge_data(inst, workers)
            # And from what a last kill of everything leaves.
            inst.kill_all()
            inst.start()
            self.judge_data(inst, workers)
            self.assertEqual(inst.ctl("db", "check").stderr, "")
            self.assertNotIn("scratch", os.listdir(inst.conf["db_dir"]))

    @staticmethod
    def all_succeed(workers):
        """Each of them, once more, however slow the machine."""
        at = [(w, w.done["ok"]) for w in workers]
        wait_until(lambda: all(w.done["ok"] > n for w, n in at),
                   what="a success of each")

    def kill(self, inst, workers):
        slowest = 0.0
        for n in range(KILLS):
            if n % BURST == 0:
                time.sleep(STEADY_S)
                self.all_succeed(workers)
            else:
                time.sleep(random.uniform(0, 0.4))
            pid = inst.pid("authd-core")
            os.kill(pid, 9)
            began = time.monotonic()
            wait_until(lambda p=pid: inst.pid("authd-core") not in (None, p),
                       WAIT_MAX_S, "another authd-core")
            self.assertNotIn("error", inst.control("users", verb="status"))
            slowest = max(slowest, time.monotonic() - began)
        return slowest

    def judge_workers(self, workers, slowest):
        print("%d kills, serving again after at most %.1f s; %s" % (
            KILLS, slowest, "; ".join(
                "%s %s, longest %.1f s" % (type(w).__name__, dict(w.done),
                                           w.longest) for w in workers)))
        for w in workers:
            self.assertFalse(w.is_alive(), "%s hangs" % type(w).__name__)
            self.assertIsNone(w.broken)
            self.assertLess(w.longest, WAIT_MAX_S, type(w).__name__)
            self.assertGreater(w.done["ok"], KILLS // 4, type(w).__name__)

    def judge_daemons(self, inst):
        log = inst.log("authd")
        self.assertEqual(log.count("ev=child.died process=authd-core"), KILLS)
        for event in ("start.fail", "db.broken", "db.sweep.fail",
                      "db.checkpoint.fail", "auth.malformed"):
            self.assertNotIn("ev=%s " % event, log)
        wait_until(lambda: inst.ctl("status", check=False).returncode == 0,
                   what="status 0")

    def judge_data(self, inst, workers):
        listed = {r["user"] for r in inst.control_list(
            "users", verb="user.list")}
        aliases = {r["address"]: r["user"] for r in inst.control_list(
            "users", verb="user.alias.list")}
        logins = []
        for w in (w for w in workers if isinstance(w, Writer)):
            for user, may_be in w.users.items():
                self.assertTrue(None in may_be or user in listed, user)
                self.assertTrue(may_be != {None} or user not in listed, user)
                if user in listed:
                    logins.append((user, may_be - {None}))
            for alias, may_be in w.aliases.items():
                self.assertIn(aliases.get(alias), may_be, alias)
        for user, passwords in random.sample(
                logins, min(LOGINS_CHECKED, len(logins))):
            self.assertTrue(any(self.logs_in(inst, user, p)
                                for p in passwords), user)
        grants = {r["address"].split("/")[0] for r in inst.control_list(
            "users", verb="grant.list")}
        for w in (w for w in workers if isinstance(w, Poller)):
            for source in w.granted:
                self.assertIn(source, grants)

    @staticmethod
    def logs_in(inst, user, password):
        with inst.smtp() as w:
            return w.auth_plain(user, password, 235, 535)[0] == 235


if __name__ == "__main__":
    unittest.main()
