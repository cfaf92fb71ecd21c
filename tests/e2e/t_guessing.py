"""Guessing passwords: what it costs, and whom it does not cost."""

import concurrent.futures
import json
import os
import re
import signal
import time
import unittest

from submitd_instance import ANNA, BOB, Instance, Refused, wait_until

PAIR = 20		# failures that a user may have at a network
NETWORK = 100		# and a network


def setUpModule():
    global inst
    inst = Instance(conf={"guessing_exempt": ["127.0.99.0/24"]})


def tearDownModule():
    inst.close()


def attempt(source, user, password):
    """(code, seconds from the AUTH command to its reply)"""
    with inst.smtp(source=source) as w:
        began = time.monotonic()
        code, _ = w.auth_plain(user, password, 235, 535)
        return code, time.monotonic() - began


def logs_in(source, user=ANNA):
    return attempt(source, user, inst.users[user])[0] == 235


def hammer(sources, n, user=ANNA, password="wrong %d"):
    """n wrong attempts at once; the source, user and password of each may
    hold its number."""
    def one(i):
        def filled(x):
            return x % i if "%d" in x else x
        return attempt(sources[i % len(sources)], filled(user),
                       filled(password))
    with concurrent.futures.ThreadPoolExecutor(60) as pool:
        got = list(pool.map(one, range(n)))
    assert {code for code, _ in got} == {535}, got


def blocks(*what):
    """Without what is left of them, which moves."""
    out = inst.ctl("-j", "blocked", "list", *what).stdout
    found = [json.loads(line) for line in out.splitlines()]
    for b in found:
        assert 0 <= b.pop("left_s") <= b["expires_s"] - b["since_s"], b
    return found


def fails(source, why):
    return len(re.findall(r"ev=auth\.fail .*rip=%s .*why=%s" % (
        re.escape(source), why), inst.log("authd")))


def delays(source):
    """For how long the answers to it were held back, as logged."""
    return [int(n) for n in re.findall(
        r"ev=auth\.fail .*rip=%s .*delay_ms=(\d+)" % re.escape(source),
        inst.log("authd"))]


class Guessing(unittest.TestCase):
    """While nothing is forgotten: the clock stands still."""

    def setUp(self):
        self.now = int(time.time())
        inst.freeze(self.now)

    def tearDown(self):
        inst.clock(0)
        inst.ctl("blocked", "clear", "ALL")

    def test_slower_then_refused(self):
        me = "127.0.1.1"
        times = [attempt(me, ANNA, "wrong x%d" % i)[1] for i in range(4)]
        self.assertEqual(delays(me), [300, 600, 1200, 2400])
        # Timers may fire a little early, and answers come as late as may be.
        for want, got in zip(delays(me), times):
            self.assertLessEqual(want / 1000 - 0.01, got)
        hammer([me], PAIR - 3)
        self.assertEqual(fails(me, "blocked"), 0)
        self.assertFalse(logs_in(me))
        self.assertEqual(fails(me, "blocked"), 1)
        # Not from elsewhere, and nobody else there.
        self.assertTrue(logs_in("127.0.1.2"))
        self.assertTrue(logs_in(me, BOB))
        block, = blocks()
        self.assertEqual(
            (block["network"], block["user"], block["reason"],
             block["refused"]), (me + "/32", ANNA, "user", 1))
        self.assertTrue(PAIR < block["count"] <= PAIR + 2, block)
        self.assertEqual(block["expires_s"] - block["since_s"], 300)
        self.assertEqual(blocks(BOB), [])
        self.assertEqual(blocks("127.0.0.0/8"), blocks(ANNA))
        self.assertIn("127.0.1.1/32  " + ANNA,
                      inst.ctl("blocked", "list").stdout)
        self.assertRegex(inst.log("authd"), r"ev=auth\.block sid=\S+ user=%s "
                         r"network=127\.0\.1\.1/32 why=user count=2[12] "
                         r"until=\d+" % ANNA)
        # Cleared: at once.
        self.assertIn("1 block ended",
                      inst.ctl("blocked", "clear", me).stdout)
        self.assertTrue(logs_in(me))
        self.assertEqual(blocks(), [])

    def test_a_block_ends(self):
        me = "127.0.2.1"
        hammer([me], PAIR + 1)
        self.assertFalse(logs_in(me))
        inst.freeze(self.now + 301)
        self.assertTrue(logs_in(me))

    def test_owner_at_home(self):
        home = "127.0.3.1"
        self.assertTrue(logs_in(home))
        hammer([home], NETWORK + 20, user="user%d@example.test")
        # The others there are blocked …
        self.assertFalse(logs_in(home, BOB))
        self.assertEqual({b["reason"] for b in blocks()}, {"network"})
        # … and he is not.
        self.assertTrue(logs_in(home))
        # Not even by what a neighbour does with his name: one try in a while
        # is looked at.
        hammer([home], PAIR + 4)
        self.assertFalse(logs_in(home))
        inst.freeze(self.now + 11)
        self.assertTrue(logs_in(home))

    def test_same_wrong_password(self):
        me = "127.0.4.1"
        hammer([me], 3 * PAIR, password="an old one")
        self.assertEqual(delays(me), [300] * 3 * PAIR)
        self.assertEqual(blocks(), [])
        self.assertTrue(logs_in(me))
        self.assertEqual(attempt(me, BOB, "x")[0], 535)

    def test_exempt(self):
        me = "127.0.99.7"
        hammer([me], NETWORK + 20)
        self.assertEqual(delays(me), [300] * (NETWORK + 20))
        self.assertEqual(blocks(), [])
        self.assertTrue(logs_in(me))

    def test_neighbours(self):
        sources = ["127.0.5.%d" % i for i in range(1, 13)]
        hammer(sources, 216, user="u%d@example.test")
        self.assertEqual([(b["network"], b["reason"]) for b in blocks()],
                         [("127.0.5.0/28", "neighbours")])
        self.assertFalse(logs_in("127.0.5.15"))
        self.assertTrue(logs_in("127.0.5.16"))

    def test_scram_and_pop_count_too(self):
        me = "127.0.6.1"
        hammer([me], PAIR + 1)
        pop = inst.pop(source=me)
        pop.cmd("USER " + ANNA)
        with self.assertRaises(Refused):
            pop.cmd("PASS " + inst.users[ANNA])
        pop.close()

    def test_state_survives(self):
        me, logs = "127.0.7.1", os.path.join(inst.root, "db")

        def written():
            return {f: os.stat(os.path.join(logs, f)).st_mtime_ns
                    for f in os.listdir(logs) if f.startswith("log.")}
        before = written()
        hammer([me], PAIR + 1)
        # At the next tick it is in the database's log, and all quiet.
        wait_until(lambda: written() != before)
        state = {"at": None, "since": 0}

        def quiet():
            now = written()
            if now != state["at"]:
                state.update(at=now, since=time.monotonic())
            return time.monotonic() - state["since"] > 0.5
        wait_until(quiet)
        want = blocks()
        self.assertEqual(len(want), 1)
        self.assertTrue(logs_in("127.0.7.2"))
        old = inst.pid("authd-core")
        os.kill(old, signal.SIGKILL)
        wait_until(lambda: inst.pid("authd-core") not in (None, old),
                   what="the new authd-core")
        wait_until(lambda: inst.ctl("blocked", "list",
                                    check=False).returncode == 0)
        self.assertEqual(blocks(), want)
        self.assertFalse(logs_in(me))
        inst.stop()
        inst.start()
        got = blocks()
        self.assertEqual((got[0]["network"], got[0]["refused"]),
                         (me + "/32", 1))
        self.assertFalse(logs_in(me))

    def test_clear_what_is_not_there(self):
        self.assertIn("nothing was blocked",
                      inst.ctl("blocked", "clear", "192.0.2.1").stdout)
        self.assertNotEqual(inst.ctl("blocked", "clear", check=False)
                            .returncode, 0)
        self.assertEqual(
            json.loads(inst.ctl("-j", "blocked", "clear", "ALL").stdout),
            {"cleared": 0})
