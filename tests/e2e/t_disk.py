"""A full disk under the spool: 452, nothing lost, and it recovers. Segments of the
journal that cannot be read."""

import glob
import os
import pwd
import subprocess
import tempfile
import unittest

from next_hop import NextHop
from submitd_instance import (ANNA, BOB, IS_ROOT, Instance, Refused, letter,
                              wait_until)


@unittest.skipUnless(IS_ROOT, "mounting a tmpfs takes root")
class Full(unittest.TestCase):
    def setUp(self):
        self.root = tempfile.mkdtemp(prefix="submitd-disk-")
        self.spool = os.path.join(self.root, "spool")
        os.mkdir(self.spool)
        r = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m,mode=0700",
                            "submitd-test", self.spool], capture_output=True)
        if r.returncode:
            self.skipTest("no tmpfs here: %r" % r.stderr)

        u = pwd.getpwnam("_submitq")
        os.chown(self.spool, u.pw_uid, u.pw_gid)

    def tearDown(self):
        subprocess.run(["umount", "-l", self.spool], check=False)
        subprocess.run(["rm", "-rf", self.root], check=False)

    def fill(self):
        """All but nothing of the disk, as if by somebody else."""
        path = os.path.join(self.spool, "ballast")
        with open(path, "ab", buffering=0) as f:
            try:
                while True:
                    f.write(b"\0" * 65536)
            except OSError:
                pass
        return path

    def refusal(self, inst, message):
        try:
            with inst.smtp_as(ANNA) as w:
                w.send_mail(ANNA, [BOB], message)
            return None
        except Refused as e:
            return e.reply

    def test_no_space(self):
        with Instance(root=self.root, conf={"spool_min_free": "0"}) as inst:
            ok = letter("before")
            with inst.smtp_as(ANNA) as w:
                w.send_mail(ANNA, [BOB], ok)
            self.assertTrue(inst.fetch(BOB, n=1)[0].endswith(ok))
            ballast = self.fill()
            code, text = self.refusal(inst, letter("none", body=("x" * 70 + "\r\n") * 3000))
            self.assertEqual(code, 452, text)
            self.assertTrue(text.startswith("4.3.1 "), text)
            # It goes on serving, and recovers when space returns.
            self.assertEqual(self.refusal(inst, letter("none again", body=(
                "x" * 70 + "\r\n") * 3000))[0], 452)
            inst.fetch(BOB)
            os.unlink(ballast)
            after = letter("after")
            with inst.smtp_as(ANNA) as w:
                w.send_mail(ANNA, [BOB], after)
            self.assertTrue(inst.fetch(BOB, n=1)[0].endswith(after))

    def test_the_reserve(self):
        with Instance(root=self.root, conf={"spool_min_free": "4M"}) as inst:
            with inst.smtp_as(ANNA) as w:
                w.send_mail(ANNA, [BOB], letter("fits"))
            inst.fetch(BOB, n=1)
            ballast = os.path.join(self.spool, "ballast")
            with open(ballast, "wb") as f:
                f.write(b"\0" * (5 << 20))
            code, text = self.refusal(inst, letter("no"))
            self.assertEqual(code, 452, text)

            def at_mail():
                """What announces its size hears of it before it is sent."""
                with inst.smtp_as(ANNA) as w:
                    return w.cmd("MAIL FROM:<%s> SIZE=100000" % ANNA)[0]
            wait_until(lambda: at_mail() == 452, what="452 to MAIL")
            os.unlink(ballast)
            wait_until(lambda: at_mail() == 250, what="250 to MAIL")
            wait_until(lambda: self.refusal(inst, letter("yes")) is None,
                       what="mail being taken again")
            inst.fetch(BOB, n=1)

    def test_many_at_once_while_it_fills(self):
        """What got its 250 is there, whatever the disk did in between."""
        with Instance(root=self.root, conf={
                "spool_min_free": "0", "next_hop": "127.0.0.1:9",
                "retry_min": "1h", "retry_max": "1h"}) as inst:
            taken, refused = [], 0
            for n in range(60):
                m = letter("fill %d" % n, body=("x" * 98 + "\r\n") * 5000)
                with inst.smtp_as(ANNA) as w:
                    try:
                        w.send_mail(ANNA, ["x@elsewhere.test"], m)
                        taken.append(n)
                    except Refused as e:
                        self.assertEqual(e.reply[0], 452, e.reply)
                        refused += 1
                        if refused > 3:
                            break
            self.assertTrue(taken and refused)
            self.assertEqual(
                len(inst.ctl("queue", "list", "-j").stdout.splitlines()), len(taken))
            # All of it survives a restart on the full disk.
            inst.stop()
            inst.start()
            self.assertEqual(
                len(inst.ctl("queue", "list", "-j").stdout.splitlines()), len(taken))
            inst.kill_all()
            inst.start()
            self.assertEqual(
                len(inst.ctl("queue", "list", "-j").stdout.splitlines()), len(taken))


@unittest.skipUnless(IS_ROOT, "root alone has users that may not open a file")
class Segment(unittest.TestCase):
    """Something is wrong with a segment of the journal at the start."""

    def queue(self, inst, hop):
        hop.rule("MAIL", "wait")
        with inst.smtp_as(ANNA) as w:
            for i in range(5):
                w.send_mail(ANNA, ["friend%d@elsewhere.test" % i], letter("s"))
        inst.kill_all()
        hop.clear()
        return next(p for p in glob.glob(inst.conf["spool_dir"] + "/journal/*")
                    if open(p, "rb").read(1) != b"\0")

    def test_may_not_be_opened(self):
        """It waits for the administrator; nothing is lost."""
        with NextHop() as hop, Instance(
                conf={"next_hop": "127.0.0.1:%d" % hop.port}) as inst:
            segment = self.queue(inst, hop)
            os.chmod(segment, 0)
            since = inst.log_size("submitd")
            inst.start(wait=False)
            inst.wait_log("submitd", "ev=start.fail.*" + os.path.basename(
                segment) + ".*Permission denied", since)
            inst.kill_all()
            os.chmod(segment, 0o600)
            inst.start()
            hop.wait_messages(5, 60)
            wait_until(inst.queue_empty, what="an empty queue")

    def test_is_cut(self):
        """Told in the log; what is left of it is sent."""
        with NextHop() as hop, Instance(
                conf={"next_hop": "127.0.0.1:%d" % hop.port}) as inst:
            os.truncate(self.queue(inst, hop), 2000)
            since = inst.log_size("submitd")
            inst.start()
            inst.wait_log("submitd", "ev=spool.fault.*is cut", since)
            wait_until(inst.queue_empty, what="an empty queue")
            self.assertLess(len(hop.messages), 5)
