"""SIGTERM while messages are on their way: what a next hop is just taking is
waited for, for some seconds, and so nobody gets it twice."""

import fcntl
import os
import shutil
import tempfile
import time
import unittest

from next_hop import NextHop
from submitd_instance import (ANNA, BOB, PATIENCE_S, Instance, letter,
                              wait_until)

OUT = "friend@elsewhere.test"


class Stop(unittest.TestCase):
    def setUp(self):
        self.hop = NextHop()
        self.hop.up()
        self.addCleanup(self.hop.down)
        self.inst = Instance(conf={
            "next_hop": "127.0.0.1:%d" % self.hop.port})
        self.addCleanup(self.inst.close)

    def send(self, n):
        with self.inst.smtp_as(ANNA) as w:
            for i in range(n):
                w.send_mail(ANNA, [OUT], letter("m%d" % i, to=OUT))

    def restart(self):
        codes = self.inst.stop()
        self.assertEqual(set(codes.values()), {0})
        self.inst.start()

    def test_the_answer_to_the_dot_is_waited_for(self):
        self.hop.rule("EOD", "slow 2", times=5)
        self.send(5)
        self.hop.wait(lambda: self.hop.count("EOD") >= 5)
        self.restart()
        wait_until(self.inst.queue_empty, what="the queue being empty")
        self.assertEqual(len(self.hop.messages), 5)

    def test_but_not_for_ever(self):
        self.hop.rule("EOD", "hang", times=1)
        self.send(1)
        self.hop.wait(lambda: self.hop.count("EOD") >= 1)
        at = time.monotonic()
        self.restart()
        self.assertLess(time.monotonic() - at, PATIENCE_S)
        self.hop.wait_messages(1)

    def test_nor_for_what_has_not_come_so_far(self):
        def at_once():
            """The 5 s of SCHED_STOP_MS did not pass; once is enough, for the
            machine may be slow."""
            self.hop.begin_anew()
            self.hop.rule("RCPT", "hang", times=1)
            self.send(1)
            self.hop.wait(lambda: self.hop.count("RCPT") >= 1)
            at = time.monotonic()
            self.inst.stop()
            took = time.monotonic() - at
            self.inst.start()
            self.hop.wait_messages(1)
            wait_until(self.inst.queue_empty, what="the queue being empty")
            return took < 4
        wait_until(at_once, what="a stop that does not wait")

    def test_a_report_is_queued_once(self):
        self.hop.rule("RCPT", "reply 550 5.1.1 nobody")
        for _ in range(3):
            self.send(3)
            self.restart()
        wait_until(self.inst.queue_empty, what="the queue being empty")
        self.assertEqual(len(self.inst.fetch(ANNA, n=9)), 9)
        self.assertEqual(self.inst.drop_size(BOB), 0)

    def test_nothing_is_left_of_what_is_gone(self):
        """The file of a large message is kept to be written again, but not one
        that submitd-local had; and none after the end."""
        tmp = os.path.join(self.inst.root, "spool/tmp")
        if shutil.disk_usage(tmp).free < 2 << 30:
            self.skipTest("less than 2 GiB are free")
        with tempfile.NamedTemporaryFile(dir=self.inst.root) as f:
            try:
                fcntl.fcntl(f, fcntl.F_SETLEASE, fcntl.F_WRLCK)
            except OSError as e:
                self.skipTest("no leases here: %s" % e)
        queue = os.path.join(self.inst.root, "spool/queue")
        body = (b"x" * 70 + b"\r\n") * 2000
        for to, files in ((BOB, 0), (OUT, 1)):
            with self.inst.smtp_as(ANNA) as w:
                w.send_mail(ANNA, [to], letter("large", to=to, body=body))
            wait_until(self.inst.queue_empty, what="the queue being empty")
            wait_until(lambda: not os.listdir(queue), what="no file in queue/")
            self.assertEqual(len(os.listdir(tmp)), files)
        self.assertEqual(set(self.inst.stop().values()), {0})
        self.assertEqual(os.listdir(tmp), [])
        self.inst.start()


if __name__ == "__main__":
    unittest.main()
