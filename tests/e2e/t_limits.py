"""Sending limits: messages and recipients an hour and a day, by user and by
class, counted over all sessions, over grants, restarts and crashes."""

import os
import re
import signal
import struct
import threading
import time
import unittest

from submitd_instance import ANNA, BOB, CARL, Instance, letter, wait_until

CLASSES = """
class few { messages_hour = 5 action = defer }
class none_left { recipients_day = 6 action = reject }
class watched { messages_hour = 1 action = log }
class free { }
"""


def setUpModule():
    global inst
    inst = Instance(conf={"grant_exclude": []}, extra=CLASSES)


def tearDownModule():
    inst.close()


def limits(user):
    return {r["limit"]: r for r in inst.control_list(
        "users", verb="limits.list", user=user)}


def used(user, limit="messages_hour"):
    return limits(user)[limit]["used"]


class Case(unittest.TestCase):
    def setUp(self):
        inst.clock(0)
        for user in (ANNA, BOB, CARL):
            inst.ctl("user", "set", user, "class=", "messages_hour=none",
                     "messages_day=none", "recipients_hour=none",
                     "recipients_day=none")
            inst.ctl("limits", "reset", user)

    def send(self, w, rcpts=(BOB,), sender=ANNA, said=""):
        """A whole message: where it was refused, with what. A small one is
        judged when it is there, one that is announced as large before."""
        reply = w.cmd("MAIL FROM:<%s>%s" % (sender, said))
        if reply[0] != 250:
            return ("MAIL",) + reply
        for r in rcpts:
            w.cmd("RCPT TO:<%s>" % r, 250)
        reply = w.cmd("DATA")
        if reply[0] != 354:
            return ("DATA",) + reply
        w.send(letter("limited", sender=sender).replace(b"\n.", b"\n..") +
               b".\r\n")
        return ("END",) + w.reply()


class Limits(Case):
    def test_over_it_later_is_fine(self):
        inst.ctl("user", "set", ANNA, "class=few")
        with inst.smtp_as(ANNA) as w:
            for _ in range(5):
                self.assertEqual(self.send(w)[1], 250)
            where, code, text = self.send(w)
            self.assertEqual((where, code), ("MAIL", 452))
            self.assertRegex(text, r"^4\.7\.1 Sending limit reached: "
                             r"5 messages an hour; send again in 1 hour|"
                             r"in \d+ minutes")
            # The session goes on, and nobody else pays for it.
            self.assertEqual(w.cmd("NOOP")[0], 250)
        with inst.smtp_as(BOB) as w:
            self.assertEqual(self.send(w, sender=BOB)[1], 250)
        self.assertRegex(inst.log("authd"), r"ev=limit\.over .*user=%s .*"
                         r"limit=messages_hour max=5 used=5 .*action=defer"
                         % re.escape(ANNA))
        inst.clock(3540)
        with inst.smtp_as(ANNA) as w:
            self.assertEqual(self.send(w)[1], 452)
        inst.clock(3665)
        with inst.smtp_as(ANNA) as w:
            self.assertEqual(self.send(w)[1], 250)

    def test_recipients_and_reject(self):
        inst.ctl("user", "set", ANNA, "class=none_left")
        with inst.smtp_as(ANNA) as w:
            self.assertEqual(self.send(w, (BOB, CARL, ANNA, "postmaster"))[1],
                             250)
            for said, at in (("", "END"), (" SIZE=40000", "DATA")):
                where, code, text = self.send(w, (BOB, CARL, ANNA), said=said)
                self.assertEqual((where, code), (at, 550))
                self.assertRegex(text, r"^5\.7\.1 Sending limit reached: "
                                 r"6 recipients a day; send again in ")
            self.assertEqual(self.send(w, (BOB, CARL))[1], 250)
            self.assertEqual(self.send(w)[:2], ("MAIL", 550))

    def test_what_never_fits(self):
        inst.ctl("user", "set", ANNA, "recipients_hour=2")
        with inst.smtp_as(ANNA) as w:
            for said, at in (("", "END"), (" SIZE=40000", "DATA")):
                where, code, text = self.send(w, (BOB, CARL, ANNA), said=said)
                self.assertEqual((where, code), (at, 550))
                self.assertIn("2 recipients an hour, and this message alone "
                              "has more", text)
            self.assertEqual(self.send(w)[1], 250)

    def test_own_beats_class(self):
        inst.ctl("user", "set", ANNA, "class=few", "messages_hour=1")
        with inst.smtp_as(ANNA) as w:
            self.assertEqual(self.send(w)[1], 250)
            self.assertIn("1 messages an hour", self.send(w)[2])

    def test_log_mode_takes_it(self):
        inst.ctl("user", "set", ANNA, "class=watched")
        since = inst.log_size("authd")
        with inst.smtp_as(ANNA) as w:
            for _ in range(3):
                self.assertEqual(self.send(w)[1], 250)
        self.assertEqual(len(re.findall(
            r"ev=limit\.over .*action=log", inst.log("authd", since))), 2)

    def test_limit_counts_what_was_sent_before_it_was_set(self):
        with inst.smtp_as(ANNA) as w:
            for _ in range(3):
                self.assertEqual(self.send(w)[1], 250)
            inst.ctl("user", "set", ANNA, "messages_day=3")
            self.assertEqual(self.send(w)[1], 452)

    def test_what_is_given_up_does_not_count(self):
        inst.ctl("user", "set", ANNA, "messages_hour=1")
        with inst.smtp_as(ANNA) as w:
            w.cmd("MAIL FROM:<%s> SIZE=40000" % ANNA, 250)
            w.cmd("RCPT TO:<%s>" % BOB, 250)
            w.cmd("DATA", 354)
            self.assertEqual(used(ANNA), 1)
            w.send(b"Subject: x\r\n\r\nbare\nLF\r\n.\r\n")
            self.assertEqual(w.reply()[0], 550)
            wait_until(lambda: used(ANNA) == 0)
            w.cmd("MAIL FROM:<%s> SIZE=40000" % ANNA, 250)
            w.cmd("RCPT TO:<%s>" % BOB, 250)
            w.cmd("DATA", 354)
        # The client went away in the middle.
        wait_until(lambda: used(ANNA) == 0)
        with inst.smtp_as(ANNA) as w:
            self.assertEqual(self.send(w)[1], 250)
            self.assertEqual(self.send(w)[1], 452)

    def test_bdat(self):
        inst.ctl("user", "set", ANNA, "messages_hour=1")
        m = letter("chunked")
        got = []
        with inst.smtp_as(ANNA) as w, inst.smtp_as(ANNA) as v:
            for x in (w, v):
                x.cmd("MAIL FROM:<%s>" % ANNA, 250)
                x.cmd("RCPT TO:<%s>" % BOB, 250)
            for x in (w, v):
                x.send(b"BDAT %d LAST\r\n" % len(m) + m)
                got.append(x.reply()[0])
                self.assertEqual(x.cmd("NOOP")[0], 250)
        self.assertEqual(got, [250, 452])

    def test_parallel_sessions_reach_exactly_the_limit(self):
        inst.ctl("user", "set", ANNA, "messages_hour=10")
        gate, lock, results = threading.Barrier(20), threading.Lock(), []

        def one():
            with inst.smtp_as(ANNA) as w:
                gate.wait(60)
                for _ in range(2):
                    r = self.send(w)
                    with lock:
                        results.append(r[1])

        threads = [threading.Thread(target=one) for _ in range(20)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(len(results), 40)
        self.assertEqual(results.count(250), 10, results)
        self.assertEqual(results.count(452), 30, results)
        self.assertEqual(used(ANNA), 10)


class Rights(Case):
    def test_a_grant_counts_for_its_owner(self):
        here = "127.0.0.77"
        inst.ctl("user", "set", ANNA, "messages_hour=2")
        inst.grant(ANNA, here)
        with inst.smtp(source=here) as w:
            self.assertEqual(self.send(w)[1], 250)
        with inst.smtp_as(ANNA) as w:
            self.assertEqual(self.send(w)[1], 250)
        with inst.smtp(source=here) as w:
            self.assertEqual(self.send(w)[:2], ("MAIL", 452))

    def test_default_class(self):
        inst.write_conf(default_class="few")
        inst.reload("authd")
        try:
            self.assertEqual(limits(ANNA)["messages_hour"]["max"], 5)
            inst.ctl("user", "set", ANNA, "class=free")
            self.assertEqual(limits(ANNA)["messages_hour"]["max"], 0)
            r = inst.ctl("-o", "default_class=nosuch", "config", "check",
                         check=False)
            self.assertEqual(r.returncode, 78)
            self.assertIn("default_class: expected the name of a section",
                          r.stdout + r.stderr)
        finally:
            inst.write_conf()
            inst.reload("authd")

    def test_a_class_that_is_gone(self):
        inst.ctl("user", "set", ANNA, "class=gone")
        r = inst.ctl("limits", ANNA)
        self.assertIn("the class gone is not in the configuration",
                      r.stdout + r.stderr)
        r = inst.ctl("user", "set", ANNA, "class=a b", check=False)
        self.assertNotEqual(r.returncode, 0)


class Command(Case):
    def test_shown(self):
        inst.ctl("user", "set", ANNA, "class=few", "recipients_day=4")
        with inst.smtp_as(ANNA) as w:
            self.assertEqual(self.send(w, (BOB, CARL))[1], 250)
            self.assertEqual(self.send(w, (BOB, CARL))[1], 250)
        got = limits(ANNA)
        hour, day = got["messages_hour"], got["recipients_day"]
        self.assertEqual((hour["max"], hour["used"], hour["left"], hour["by"]),
                         (5, 2, 3, "class"))
        self.assertEqual((day["max"], day["used"], day["left"], day["by"]),
                         (4, 4, 0, "user"))
        self.assertTrue(86000 < day["eases_in_s"] <= 86400 + 900, day)
        self.assertNotIn("eases_s", hour)
        text = inst.ctl("limits", ANNA).stdout
        self.assertRegex(text, r"class: +few")
        self.assertRegex(text, r"messages_hour +5 +2 +3 +- +class")
        text = inst.ctl("user", "show", ANNA).stdout
        self.assertRegex(text, r"sent in an hour: +2")
        self.assertIn("counts no more", inst.ctl("limits", "reset",
                                                 ANNA).stdout)
        self.assertEqual(used(ANNA), 0)
        self.assertEqual(inst.ctl("limits", "nobody@example.test",
                                  check=False).returncode, 67)

    def test_why(self):
        def why():
            r = inst.ctl("why", "--ip", "127.0.0.1", "--user", ANNA,
                         check=False)
            return r.returncode, r.stdout + r.stderr
        inst.ctl("user", "set", ANNA, "class=few")
        self.assertEqual(why()[0], 0)
        since = inst.log_size("authd")
        with inst.smtp_as(ANNA) as w:
            for _ in range(5):
                self.assertEqual(self.send(w)[1], 250)
        code, text = why()
        self.assertEqual(code, 1, text)
        self.assertIn("452 4.7.1", text)
        self.assertIn("%s has sent 5 of 5 by the limit messages_hour" % ANNA,
                      text)
        inst.ctl("user", "set", ANNA, "class=watched")
        code, text = why()
        self.assertEqual(code, 0, text)
        self.assertIn("over his limit messages_hour", text)
        self.assertNotIn("limit.over", inst.log("authd", since))

    def test_export_and_import(self):
        inst.ctl("user", "set", ANNA, "class=few", "messages_day=9")
        line = inst.ctl("user", "export", ANNA).stdout
        self.assertIn('"class":"few"', line.replace(" ", ""))
        inst.ctl("user", "set", ANNA, "class=", "messages_day=none")
        inst.ctl("user", "import", "--update", "-", input=line)
        self.assertEqual(limits(ANNA)["messages_day"]["max"], 9)
        self.assertEqual(limits(ANNA)["messages_hour"]["max"], 5)


class Restart(Case):
    def fill(self, n):
        with inst.smtp_as(ANNA) as w:
            for _ in range(n):
                self.assertEqual(self.send(w)[1], 250)

    def test_good_order(self):
        inst.ctl("user", "set", ANNA, "messages_day=4")
        self.fill(3)
        inst.stop()
        inst.start()
        self.assertEqual(used(ANNA, "messages_day"), 3)
        with inst.smtp_as(ANNA) as w:
            self.assertEqual(self.send(w)[1], 250)
            self.assertEqual(self.send(w)[1], 452)

    def test_killed(self):
        """What was counted a few seconds ago is there; a message that had begun
        is booked when it ends, if there is room for it then."""
        inst.ctl("user", "set", ANNA, "recipients_day=6")
        with inst.smtp_as(ANNA) as w:
            self.assertEqual(self.send(w, (BOB, CARL, ANNA, "anna+a@example."
                                           "test", "postmaster"))[1], 250)
        wait_until(lambda: self.is_written(1, 5))
        with inst.smtp_as(ANNA) as w:
            w.cmd("MAIL FROM:<%s> SIZE=40000" % ANNA, 250)
            w.cmd("RCPT TO:<%s>" % BOB, 250)
            w.cmd("DATA", 354)
            pid = inst.pid("authd-core")
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda: inst.pids("authd-core") not in ([], [pid]))
            wait_until(lambda: inst.ctl("limits", ANNA,
                                        check=False).returncode == 0)
            self.assertEqual(used(ANNA, "recipients_day"), 5)
            w.send(letter("it goes on") + b".\r\n")
            code = w.reply()[0]
            self.assertIn(code, (250, 451))
        with inst.smtp_as(ANNA) as w:
            if code != 250:
                self.assertEqual(self.send(w)[1], 250)
            self.assertEqual(self.send(w)[1], 452)
        self.assertEqual(used(ANNA, "recipients_day"), 6)

    @staticmethod
    def is_written(messages, recipients):
        """The log of the database has a slot of this or the last minutes with
        that in it."""
        now_min = int(time.time()) // 60
        want = [struct.pack(">III", now_min - i, messages, recipients)
                for i in range(-1, 3)]
        for name in os.listdir(inst.root + "/db"):
            if name.startswith("log."):
                with open(inst.root + "/db/" + name, "rb") as f:
                    data = f.read()
                if any(w in data for w in want):
                    return True
        return False


if __name__ == "__main__":
    unittest.main()
