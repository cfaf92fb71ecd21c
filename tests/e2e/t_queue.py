"""The queue and its commands: why mail waits, hold, release, flush, delete, by
id, filter and standard input; a disabled user's mail; a user's share; a spool
that is full."""

import json
import os
import pwd
import subprocess
import tempfile
import unittest

from next_hop import NextHop
from submitd_instance import (ANNA, BOB, IS_ROOT, Instance, Refused, letter,
                              wait_until)

FRIEND = "friend@elsewhere.test"


class Commands(unittest.TestCase):
    """A next hop that says 451 until it is told not to."""

    def setUp(self):
        self.hop = NextHop()
        self.hop.up()
        self.addCleanup(self.hop.down)
        self.hop.rule("RCPT", "reply 451 4.7.1 come back later")
        self.inst = Instance(conf={
            "next_hop": "127.0.0.1:%d" % self.hop.port,
            "retry_min": "1h", "retry_max": "1h"})
        self.addCleanup(self.inst.close)

    def send(self, sender, *rcpts):
        with self.inst.smtp_as(sender) as w:
            w.send_mail(sender, list(rcpts), letter("a message", sender=sender))

    def queue(self, *args):
        return [json.loads(x) for x in self.inst.ctl(
            "queue", "list", "-j", *args).stdout.splitlines()]

    def deferred(self, n):
        wait_until(lambda: [m["recipients"][0]["why"] for m in self.queue()]
                   == n * ["deferred"], what="%d tries" % n)

    def test_all(self):
        inst = self.inst
        self.assertEqual(inst.ctl("queue", "list").stdout,
                         "the queue is empty\n")
        self.send(ANNA, FRIEND)
        self.send(ANNA, "other@third.test")
        self.send(BOB, FRIEND)
        self.deferred(3)
        # Why, when next, and what it was told; for people and for programs.
        m = self.queue("--from", ANNA, "--to", FRIEND)
        self.assertEqual(len(m), 1)
        r = m[0]["recipients"][0]
        self.assertEqual((r["address"], r["state"], r["why"], r["tries"]),
                         (FRIEND, "pending", "deferred", 1))
        self.assertIn("451 4.7.1 come back later", r["last"])
        self.assertGreater(r["next_try_s"], m[0]["arrived_s"])
        self.assertEqual(m[0]["held"], [])
        text = inst.ctl("queue", "list").stdout
        self.assertIn("WHY", text.splitlines()[0])
        self.assertEqual(text.count(" deferred "), 3)
        self.assertIn("come back later", text)
        # Filters.
        for args, n in ((("--user", BOB), 1), (("--user", BOB.split("@")[0]), 1),
                        (("--from", "@example.test"), 3),
                        (("--to", "@third.test"), 1), (("--to", "@x.test"), 0),
                        (("--since", "1h"), 3), (("--held",), 0),
                        (("--user", ANNA, "--to", FRIEND), 1),
                        ((m[0]["id"],), 1), ((m[0]["id"], "--user", BOB), 0)):
            self.assertEqual(len(self.queue(*args)), n, args)
        self.assertEqual(inst.ctl("queue", "list", "--held").stdout,
                         "no message that waits fits\n")
        r = inst.ctl("queue", "list", "nosuchid", check=False)
        self.assertEqual(r.returncode, 67)
        self.assertIn("no message nosuchid is queued", r.stderr)
        # Shown, by id and by filter.
        shown = json.loads(inst.ctl("queue", "show", m[0]["id"], "-j").stdout)
        self.assertEqual(shown["kind"], "sasl")
        self.assertIn("Subject: a message", shown["headers"])
        self.assertIn("deferred", inst.ctl("queue", "show", m[0]["id"]).stdout)
        self.assertEqual(len(inst.ctl("queue", "show", "--user", ANNA,
                                      "-j").stdout.splitlines()), 2)

        self.hold_and_release(m[0]["id"])
        # Deleted by what a list printed.
        listed = inst.ctl("queue", "list", "--user", ANNA, "-j").stdout
        out = inst.ctl("queue", "delete", "-", input=listed).stdout
        self.assertEqual(out, "2 deleted\n")
        self.assertEqual([x["user"] for x in self.queue()], [BOB])
        self.assertEqual(json.loads(inst.ctl(
            "queue", "delete", "--from", BOB, "-j").stdout), {"deleted": 1})
        self.assertTrue(inst.queue_empty())
        inst.wait_log("submitd", r"ev=msg\.deleted qid=\w+ uid=")

    def hold_and_release(self, qid):
        inst, tries = self.inst, self.hop.count("RCPT")
        self.assertEqual(inst.ctl("queue", "hold", qid).stdout, "1 held\n")
        self.assertEqual(inst.ctl("queue", "hold", qid).stdout, "0 held\n")
        # What was answered is on the disk.
        for end in (inst.kill_all, inst.stop):
            end()
            inst.start()
            held = self.queue("--held")
            self.assertEqual([x["id"] for x in held], [qid])
            self.assertEqual(held[0]["held"], ["admin"])
            self.assertEqual(held[0]["held_by"], "uid %d" % os.getuid())
            self.assertEqual(held[0]["recipients"][0]["why"], "held")
        self.assertIn(" held ", inst.ctl("queue", "list").stdout)
        # What is held is not tried, not even when all are to be.
        self.assertEqual(inst.ctl("queue", "flush").stdout, "2 flushed\n")
        wait_until(lambda: self.hop.count("RCPT") >= tries + 2,
                   what="the other two")
        self.assertEqual(inst.ctl("queue", "flush", qid).stdout, "0 flushed\n")
        self.assertEqual(self.queue(qid)[0]["recipients"][0]["tries"], 1)
        self.assertEqual(json.loads(inst.ctl(
            "queue", "release", "--held", "-j").stdout), {"released": 1})
        self.assertEqual(self.queue("--held"), [])
        inst.ctl("queue", "flush", qid)
        wait_until(lambda: self.queue(qid)[0]["recipients"][0]["tries"] == 2,
                   what="its try")
        for event in ("held", "released", "flushed"):
            inst.wait_log("submitd", r"ev=msg\.%s qid=%s uid=" % (event, qid))

    def test_the_last_of_many_recipients(self):
        """Of many the list and show have those first who still wait."""
        inst, hop = self.inst, self.hop
        hop.begin_anew()
        hop.rule("RCPT", "reply 451 4.7.1 come back later", match="r59[89]@")
        self.send(ANNA, *["r%d@elsewhere.test" % n for n in range(600)])
        m, = wait_until(lambda: [m for m in self.queue()
                                 if m["n_pending"] == 2], what="a try")
        self.assertEqual([r["address"] for r in m["recipients"][:3]],
                         ["r%d@elsewhere.test" % n for n in (598, 599, 0)])
        row = inst.ctl("queue", "list").stdout.splitlines()[1]
        self.assertRegex(row, r" r598@elsewhere\.test +2 +deferred +1 .* "
                         r"451 4\.7\.1 come back later$")
        shown = inst.ctl("queue", "show", m["id"]).stdout
        self.assertIn("\nr599@elsewhere.test ", shown)
        self.assertIn("\nand 100 more\n", shown)
        # A folded header is shown as one.
        self.assertRegex(shown, r"\nReceived: .*\n with ESMTPSA ")

    def test_domains_in_either_form(self):
        inst, hop = self.inst, self.hop
        hop.extensions.append("SMTPUTF8")
        with inst.smtp_as(ANNA) as w:
            w.send_mail(ANNA, ["b\u00fcro@b\u00fccher.test",
                               "x@xn--bcher-kva.test"], letter("x"),
                        " SMTPUTF8")
        self.deferred(1)
        for to in ("@b\u00fccher.test", "@B\u00dcCHER.test",
                   "@xn--bcher-kva.test", "b\u00fcro@xn--bcher-kva.test",
                   "X@b\u00fccher.test", "b\u00fcro@b\u00fccher.test"):
            self.assertEqual(len(self.queue("--to", to)), 1, to)
        for to in ("@bucher.test", "y@b\u00fccher.test", "\u00fc", "@",
                   "x@x@xn--bcher-kva.test", "@" + "\u00fc" * 300):
            self.assertEqual(len(self.queue("--to", to)), 0, to)

    def test_of_a_user_who_is_deleted(self):
        inst = self.inst
        inst.add_user("dora@example.test", "dora's secret")
        self.send("dora@example.test", FRIEND)
        self.deferred(1)
        out = inst.ctl("user", "delete", "dora@example.test").stdout
        self.assertIn("1 of his messages wait for delivery; they are not "
                      "deleted: submitctl queue list --user dora@", out)
        inst.ctl("queue", "delete", "--user", "dora@example.test")
        self.assertTrue(inst.queue_empty())

    def test_what_is_asked_for_by_mistake(self):
        """A script's variable that is empty deletes nothing; a table's first
        line names no message."""
        inst = self.inst
        self.send(ANNA, FRIEND)
        with inst.smtp_as(BOB) as w:
            w.send_mail("", [FRIEND], letter("of nobody", sender=BOB))
        self.deferred(2)
        for option in ("--user", "--from", "--to"):
            r = inst.ctl("queue", "delete", "--since", "1h", option, "",
                         check=False)
            self.assertEqual((r.returncode, r.stdout), (64, ""), option)
            self.assertIn("%s is empty" % option, r.stderr)
        self.assertEqual(len(self.queue()), 2)
        self.assertEqual(inst.ctl("queue", "delete", "--from", "<>").stdout,
                         "1 deleted\n")
        table = inst.ctl("queue", "list").stdout
        self.assertEqual(inst.ctl("queue", "delete", "-", input=table).stdout,
                         "1 deleted\n")

    def test_a_filter_of_a_wrong_type(self):
        """A panel's mistake is no filter that is not there."""
        inst = self.inst
        self.send(ANNA, FRIEND)
        for name, value in (("to", 7), ("user", ["x"]), ("from", False),
                            ("since_s", "1h"), ("since_s", -1), ("held", 1),
                            ("held", "yes"), ("limit", 1.5), ("after", {})):
            with self.subTest((name, value)):
                last = inst.control("queue", verb="queue.delete", all=True,
                                    **{name: value})
                self.assertEqual(last["code"], 64)
                self.assertIn('"%s"' % name, last["error"])
        self.assertEqual(len(self.queue()), 1)
        self.assertEqual(inst.control(
            "queue", verb="queue.delete", all=True, to=None, held=False,
            since_s=0, limit=0)["deleted"], 1)

    def test_disabled(self):
        inst = self.inst
        self.send(ANNA, FRIEND)
        self.send(BOB, FRIEND)
        self.deferred(2)
        out = inst.ctl("user", "disable", ANNA).stdout
        self.assertIn("1 of his messages wait for delivery; they are held", out)
        wait_until(lambda: self.queue("--held"), what="the hold")
        m = self.queue("--held")[0]
        self.assertEqual((m["user"], m["held"], m["recipients"][0]["why"]),
                         (ANNA, ["user"], "user disabled"))
        r = inst.ctl("queue", "release", m["id"], check=False)
        self.assertEqual(r.returncode, 75)
        self.assertIn("their user is disabled", r.stderr)
        inst.kill_all()
        inst.start()
        wait_until(lambda: len(self.queue("--held")) == 1, what="the hold")
        # Enabled and disabled while submitd is away.
        inst.ctl("user", "enable", ANNA)
        wait_until(lambda: not self.queue("--held"), what="the release")
        submitd = inst.procs.pop("submitd")
        submitd.terminate()
        self.assertEqual(submitd.wait(60), 0)
        inst.ctl("user", "disable", BOB, "--sending")
        inst.start("submitd")
        wait_until(lambda: [x["user"] for x in self.queue("--held")] == [BOB],
                   what="the hold of the other")
        self.hop.clear()
        inst.ctl("queue", "flush")
        wait_until(lambda: [x["user"] for x in self.queue()] == [BOB],
                   what="delivery of what is not held")
        inst.ctl("user", "enable", BOB)
        wait_until(lambda: not self.queue("--held"), what="the release")
        inst.ctl("queue", "flush")
        wait_until(inst.queue_empty, what="the end")
        inst.wait_log("submitd", r"ev=user\.held user=" + ANNA)

    def test_share(self):
        """One user may not fill the spool: 452 4.3.1 that names the limit."""
        inst = self.inst
        inst.write_conf(spool_user_messages="2", spool_user_limit="1M")
        inst.reload("submitd")
        self.send(ANNA, FRIEND)
        self.send(ANNA, FRIEND)
        with self.assertRaises(Refused) as e:
            self.send(ANNA, FRIEND)
        self.assertEqual(e.exception.reply[0], 452)
        self.assertTrue(e.exception.reply[1].startswith(
            "4.3.1 Too much of your mail waits: 2 messages wait for delivery "
            "at most (spool_user_messages) ["), e.exception.reply)
        self.send(BOB, FRIEND)
        inst.ctl("queue", "delete", "--user", ANNA)
        body = "x" * 70 + "\r\n"
        with inst.smtp_as(ANNA) as w, self.assertRaises(Refused) as e:
            w.send_mail(ANNA, [FRIEND], letter("much", body=body * 20000))
        self.assertEqual(e.exception.reply[0], 452)
        self.assertTrue(e.exception.reply[1].startswith(
            "4.3.1 Too much of your mail waits: 1024 KiB wait for delivery at "
            "most (spool_user_limit) ["), e.exception.reply)
        inst.wait_log("submitd", r"ev=spool\.limit user=" + ANNA)
        self.assertEqual([m["user"] for m in self.queue()], [BOB])


@unittest.skipUnless(IS_ROOT, "mounting a tmpfs takes root")
class Full(unittest.TestCase):
    """A spool without any room: what is there is put off and deleted."""

    def setUp(self):
        self.root = tempfile.mkdtemp(prefix="submitd-full-")
        self.spool = os.path.join(self.root, "spool")
        os.mkdir(self.spool)
        r = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96m,mode=0700",
                            "submitd-test", self.spool], capture_output=True)
        if r.returncode:
            self.skipTest("no tmpfs here: %r" % r.stderr)
        u = pwd.getpwnam("_submitq")
        os.chown(self.spool, u.pw_uid, u.pw_gid)
        self.addCleanup(self.clean)

    def clean(self):
        subprocess.run(["umount", "-l", self.spool], check=False)
        subprocess.run(["rm", "-rf", self.root], check=False)

    def fill(self):
        path = os.path.join(self.spool, "ballast")
        with open(path, "ab", buffering=0) as f:
            for size in (1 << 20, 4096, 1):
                try:
                    while True:
                        f.write(bytes(size))
                except OSError:
                    pass
        return path

    def test_full(self):
        with NextHop() as hop, Instance(root=self.root, conf={
                "next_hop": "127.0.0.1:%d" % hop.port, "spool_min_free": "1M",
                "retry_min": "1s", "retry_max": "1s"}) as inst:
            hop.rule("RCPT", "reply 451 4.7.1 come back later")

            def queue():
                return {m["id"]: m for m in (json.loads(x) for x in inst.ctl(
                    "queue", "list", "-j").stdout.splitlines())}

            def send(subject):
                with inst.smtp_as(ANNA) as w:
                    w.send_mail(ANNA, [FRIEND], letter(subject))

            for n in range(4):
                send("n %d" % n)
            wait_until(lambda: [m["recipients"][0]["tries"] > 0 for m in
                                queue().values()] == 4 * [True], what="tries")
            ballast = self.fill()
            with self.assertRaises(Refused) as e:
                send("no room")
            self.assertEqual(e.exception.reply[0], 452)
            # Tries go on, and are remembered.
            before = {k: m["recipients"][0]["tries"] for k, m in queue().items()}
            wait_until(lambda: all(m["recipients"][0]["tries"] > before[k] + 1
                                   for k, m in queue().items()), what="tries")
            ids = sorted(queue())
            self.assertEqual(inst.ctl("queue", "hold", ids[3]).stdout,
                             "1 held\n")
            self.assertEqual(inst.ctl("queue", "delete", ids[0]).stdout,
                             "1 deleted\n")
            hop.clear()
            inst.ctl("queue", "flush")
            hop.wait_messages(2)
            wait_until(lambda: list(queue()) == [ids[3]], what="the held one")
            os.unlink(ballast)
            wait_until(lambda: not self.refused(send), what="room")
            self.assertEqual(list(queue())[0], ids[3])

    @staticmethod
    def refused(send):
        try:
            send("room")
        except Refused:
            return True
        return False


if __name__ == "__main__":
    unittest.main()
