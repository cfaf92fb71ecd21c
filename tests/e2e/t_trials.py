"""What happens to a mail server's machine: its file system turns read-only, its
clock jumps, its administrator reloads while everybody sends, and old files of
the spool are found."""

import os
import pwd
import re
import socket
import subprocess
import tempfile
import threading
import time
import unittest

from next_hop import NextHop
from spool_files import put, queue_file, queue_id
from submitd_instance import (ANNA, BOB, IS_ROOT, Instance, Refused, letter,
                              wait_until)


@unittest.skipUnless(IS_ROOT, "mounting takes root")
class ReadOnly(unittest.TestCase):
    """As ext4 does it with errors=remount-ro."""

    def setUp(self):
        self.root = tempfile.mkdtemp(prefix="submitd-ro-")
        os.chmod(self.root, 0o755)
        self.spool = os.path.join(self.root, "spool")
        os.mkdir(self.spool)
        # A mount point of its own: remounting it changes nothing else.
        for args in (["-t", "tmpfs", "-o", "size=64m,mode=0700", "submitd-ro",
                      self.spool],):
            if subprocess.run(["mount", *args], capture_output=True).returncode:
                self.skipTest("no tmpfs here")
        u = pwd.getpwnam("_submitq")
        os.chown(self.spool, u.pw_uid, u.pw_gid)

    def tearDown(self):
        subprocess.run(["umount", "-l", self.spool], check=False)
        subprocess.run(["rm", "-rf", self.root], check=False)

    def remount(self, how):
        """A descriptor that is open for writing keeps a file system from it, so
        the errors come by a full disk's way where it is refused: then skip."""
        return subprocess.run(["mount", "-o", "remount," + how, self.spool],
                              capture_output=True).returncode == 0

    def test_read_only(self):
        with NextHop() as hop, Instance(root=self.root, conf={
                "next_hop": "127.0.0.1:%d" % hop.port, "spool_min_free": "1",
                "retry_min": "1s", "retry_max": "2s"}) as i:
            hop.rule("RCPT", "450 4.2.0 later")
            sent = []
            with i.smtp_as(ANNA) as w:
                for n in range(5):
                    sent.append(letter("before %d" % n))
                    w.send_mail(ANNA, ["x@far.test"], sent[-1])
            if not self.remount("ro"):
                # It is open for writing: the journal's segments. A crash is
                # what lets it go; nothing of it starts on such a disk.
                i.stop()
                self.assertTrue(self.remount("ro"))
                with self.assertRaises(Exception):
                    i.start()
                self.assertRegex(i.log("submitd"), r"ev=start\.fail process="
                                 r"submitd-spool .*[Rr]ead-only")
                i.stop()
                self.assertTrue(self.remount("rw"))
                hop.clear()
                i.start()
            else:
                with self.assertRaises(Refused) as e:
                    with i.smtp_as(ANNA) as w:
                        w.send_mail(ANNA, ["x@far.test"], letter("no"))
                self.assertEqual(e.exception.reply[0] // 100, 4)
                self.assertTrue(self.remount("rw"))
                hop.clear()
            hop.wait_messages(5, 60)
            wait_until(i.queue_empty, what="an empty queue")
            self.assertEqual(
                sorted(re.search(rb"before \d", m.data).group()
                       for m in hop.messages),
                [b"before %d" % n for n in range(5)])


class Clock(unittest.TestCase):
    def test_back_and_forward(self):
        """What waits a minute waits a minute; what comes is taken and goes
        out; and what the journal holds is found again at any time."""
        with NextHop() as hop, Instance(conf={
                "next_hop": "127.0.0.1:%d" % hop.port, "retry_min": "60s",
                "retry_max": "60s", "queue_lifetime": "5d"}) as i:
            ids = 0
            for jump in (0, -86400, 86400, 3600, -2 * 86400, 0):
                with self.subTest(jump):
                    i.clock(jump)
                    hop.rule("RCPT", "450 4.2.0 later")
                    since = i.log_size("submitd")
                    with i.smtp_as(ANNA) as w:
                        w.send_mail(ANNA, ["x@far.test"], letter("waits"))
                    i.wait_log("submitd", r"ev=msg\.deferred", since)
                    hop.clear()
                    with i.smtp_as(ANNA) as w:
                        w.send_mail(ANNA, ["y@far.test"], letter("goes"))
                    ids += 1
                    wait_until(lambda: sum("y@far.test" in m.recipients
                                           for m in hop.messages) == ids,
                               what="the one that goes")
                    i.stop()
                    i.start()
            # One whose minute has just passed may be gone by then.
            for line in i.ctl("queue", "list", "-j").stdout.splitlines():
                i.ctl("queue", "flush",
                      re.search(r'"id": ?"([^"]+)"', line).group(1),
                      check=False)
            wait_until(i.queue_empty, 60, "an empty queue")
            got = [m.recipients[0] for m in hop.messages]
            self.assertEqual((got.count("x@far.test"), got.count("y@far.test")),
                             (ids, ids))
            self.assertNotIn("ev=spool.bad", i.log("submitd"))


class Reload(unittest.TestCase):
    THREADS, EACH, TIMES = 8, 15, 12

    def run_one(self, i, k, done, faults):
        try:
            for n in range(self.EACH):
                with i.smtp_as(ANNA, source="127.0.0.%d" % (50 + k)) as w:
                    w.send_mail(ANNA, ["x@far.test"],
                                letter("load %d-%d." % (k, n)))
                    done.append(b"load %d-%d." % (k, n))
        except Exception as e:              # noqa: BLE001
            faults.append(repr(e))

    def test_sighup_under_load(self):
        """Nobody notices, and every message arrives once."""
        with NextHop() as hop, Instance(conf={
                "next_hop": "127.0.0.1:%d" % hop.port}) as i:
            done, faults = [], []
            threads = [threading.Thread(target=self.run_one,
                                        args=(i, k, done, faults))
                       for k in range(self.THREADS)]
            for t in threads:
                t.start()
            for _ in range(self.TIMES):
                self.assertIn("ev=reload.done", i.reload("submitd"))
                i.reload("authd")
            for t in threads:
                t.join()
            self.assertEqual(faults, [])
            hop.wait_messages(len(done), 60)
            wait_until(i.queue_empty, what="an empty queue")
            got = sorted(re.search(rb"load \d+-\d+\.", m.data).group()
                         for m in hop.messages)
            self.assertEqual(got, sorted(done))
            self.assertEqual(len(done), self.THREADS * self.EACH)
            self.assertNotIn("ev=child.died", i.log("submitd"))


def cpu_s(pid):
    with open("/proc/%d/stat" % pid, encoding="ascii") as f:
        ticks = f.read().rsplit(")", 1)[1].split()[11:13]
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


def owner():
    u = pwd.getpwnam("_submitq")
    return (u.pw_uid, u.pw_gid) if IS_ROOT else None


class Found(unittest.TestCase):
    """A spool that is there when submitd starts."""

    def test_of_earlier_versions(self):
        with NextHop() as hop, Instance(conf={
                "next_hop": "127.0.0.1:%d" % hop.port}) as i:
            i.stop()
            want = {}
            for version in 1, 2, 3, 4:
                m = letter("version %d" % version)
                rcpts = ["v%d-%d@far.test" % (version, n) for n in range(3)]
                want[rcpts[0]] = m
                qid = queue_id(version)
                put(i.conf["spool_dir"], qid, queue_file(
                    qid, ANNA, rcpts, m, ANNA, version), owner())
            i.start()
            hop.wait_messages(4)
            wait_until(i.queue_empty, what="an empty queue")
            for m in hop.messages:
                self.assertEqual(len(m.recipients), 3)
                self.assertEqual(m.sender, ANNA)
                self.assertTrue(m.data.endswith(want.pop(m.recipients[0])))
            self.assertEqual(want, {})

    def test_100000(self):
        """Ready in seconds, answering, and all of it is there."""
        n, message = 100000, letter("one of many")
        with Instance(conf={"next_hop": "127.0.0.1:9", "retry_min": "1h",
                            "retry_max": "1h", "send_connections": 1,
                            "spool_user_messages": 1000000}) as i:
            i.stop()
            for k in range(n):
                qid = queue_id(k)
                put(i.conf["spool_dir"], qid, queue_file(
                    qid, ANNA, ["x@far.test"], message, ANNA), owner())
            since, began = i.log_size("submitd"), time.monotonic()
            i.start()
            took = time.monotonic() - began
            log = i.log("submitd", since)
            self.assertIn("ev=spool.recovered messages=%d" % n, log)
            # 5 s is what is asked for; a sanitizer takes three times that. By
            # the process's own clock, whatever else the machine does.
            self.assertLess(cpu_s(i.pid("submitd-spool")), 30)
            with i.smtp_as(ANNA) as w:
                w.send_mail(ANNA, [BOB], letter("goes past them"))
            i.fetch(BOB, n=1)
            print("100,000 queued: ready in %.1f s" % took)


class LmtpClient(unittest.TestCase):
    """Whoever is let to the socket, and is no MX."""

    def test_hostile(self):
        folder = tempfile.mkdtemp(prefix="submitd-hostile-")
        path = folder + "/lmtp"
        with Instance(conf={"lmtp_listen": "unix:" + path}) as i:
            wait_until(lambda: os.path.exists(path), what="the socket")
            def say(*parts):
                """Each part when the one before was answered by 354."""
                s = socket.socket(socket.AF_UNIX)
                s.settimeout(3)
                s.connect(path)
                got = b""
                for n, p in enumerate(parts):
                    try:
                        s.sendall(p)
                    except OSError:
                        pass                # it reads no more, or not now
                    if n + 1 == len(parts):
                        try:
                            s.shutdown(socket.SHUT_WR)
                        except OSError:
                            pass
                    s.settimeout(30)
                    while b"\r\n354 " not in got or n + 1 == len(parts):
                        try:
                            more = s.recv(65536)
                        except ConnectionError:
                            break
                        if not more:
                            break
                        got += more
                s.close()
                return got

            begin = b"LHLO x.test\r\nMAIL FROM:<a@x.test>\r\n"
            rcpt = b"RCPT TO:<" + BOB.encode() + b">\r\n"
            for name, out in {
                "nothing": b"", "octets": os.urandom(20000),
                "zeros": b"\0" * 200000, "a line without end": b"x" * 500000,
                "HTTP": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
                "EHLO": b"EHLO x.test\r\n", "no LHLO": b"MAIL FROM:<a@x>\r\n",
                "relay": begin + b"RCPT TO:<x@far.test>\r\nDATA\r\n",
                "login": b"LHLO x\r\nAUTH PLAIN AGEAYg==\r\n",
                "many recipients": begin + rcpt * 20000,
                "cut in the message": (begin + rcpt + b"DATA\r\n", b"Subject: x\r\n"),
                "smuggled": (begin + rcpt + b"DATA\r\n", b"x\n.\nMAIL FROM:<b@x>\r\n"),
                "bare CR": (begin + rcpt + b"DATA\r\n", b"x\ry\r\n.\r\n"),
                "BDAT": begin + rcpt + b"BDAT 99999999999\r\n",
                "XCLIENT": b"LHLO x\r\nXCLIENT ADDR=127.0.0.1\r\n",
            }.items():
                with self.subTest(name):
                    got = say(*out) if isinstance(out, tuple) else say(out)
                    if name not in ("nothing",):
                        self.assertRegex(got[:4], rb"^(220|421|5)")
                    for line in got.split(b"\r\n"):
                        self.assertRegex(line, rb"^$|^\d\d\d[ -][ -~]*$")
                    if name == "relay":
                        self.assertIn(b"\r\n550 ", got)
            self.assertEqual(i.drop_size(BOB), 0)
            got = say(begin + rcpt + b"DATA\r\n",
                      b"Subject: y\r\n\r\ny\r\n.\r\nQUIT\r\n")
            self.assertIn(b"\r\n250 2.", got[got.index(b"\r\n354 "):])
            i.fetch(BOB, n=1)
            self.assertNotIn("ev=child.died", i.log("submitd"))
        subprocess.run(["rm", "-rf", folder], check=True)


if __name__ == "__main__":
    unittest.main()
