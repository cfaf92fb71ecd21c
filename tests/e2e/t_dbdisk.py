"""A full disk under the database: logins and grants go on, changes are refused,
it comes up after kill -9, and writes again when there is space.
"""

import os
import pwd
import shutil
import subprocess
import tempfile
import threading
import unittest

from submitd_instance import (ANNA, BOB, IS_ROOT, Instance, letter, wait_until)

HERE = "127.0.0.81"
THERE = "127.0.0.83"
CARL = "carl@example.test"
DISK = "72m"
ALIASES = 700


@unittest.skipUnless(IS_ROOT, "mounting a tmpfs takes root")
class Full(unittest.TestCase):
    def setUp(self):
        self.root = tempfile.mkdtemp(prefix="submitd-dbdisk-")
        self.db = os.path.join(self.root, "db")
        os.mkdir(self.db)
        r = subprocess.run(["mount", "-t", "tmpfs", "-o",
                            "size=%s,mode=0700" % DISK, "submitd-test",
                            self.db], capture_output=True)
        if r.returncode:
            shutil.rmtree(self.root)
            self.skipTest("no tmpfs here: %r" % r.stderr)
        u = pwd.getpwnam("_submitauth")
        os.chown(self.db, u.pw_uid, u.pw_gid)
        self.ballasts = []

    def tearDown(self):
        subprocess.run(["umount", "-l", self.db], check=False)
        subprocess.run(["rm", "-rf", self.root], check=False)

    def fill(self):
        """To the last octet, as if by somebody else."""
        path = os.path.join(self.db, "ballast%d" % len(self.ballasts))
        self.ballasts.append(path)
        for chunk in (65536, 512, 1):
            with open(path, "ab", buffering=0) as f:
                try:
                    while True:
                        f.write(b"\0" * chunk)
                except OSError:
                    pass

    def free(self):
        v = os.statvfs(self.db)
        return v.f_bavail * v.f_frsize

    def serves(self, inst):
        """All that a user sees."""
        with inst.smtp_as(ANNA) as w:
            w.send_mail(ANNA, [BOB], letter("at a full disk"))
        inst.fetch(BOB, n=1)
        with inst.smtp(source=HERE) as w:
            w.send_mail(ANNA, [BOB], letter("by an old grant"))
        inst.fetch(BOB, n=1)

    def refuses(self, inst, user="new@example.test"):
        r = inst.ctl("user", "add", user, "--stdin", input="secret\n",
                     check=False)
        self.assertEqual(r.returncode, 75, r.stderr)
        self.assertIn("disk that holds the database is full", r.stderr)

    def test_filled_and_killed(self):
        with Instance(root=self.root) as inst:
            inst.add_user(CARL, "secret")
            inst.grant(ANNA, HERE)
            inst.grant(ANNA, THERE)
            wait_until(lambda: os.path.exists(self.db + "/reserve") and
                       os.path.getsize(self.db + "/reserve") == 16 << 20,
                       what="the reserve")
            core = inst.pid("authd-core")
            # Pages that are only in memory and the log: after the kill they
            # have to go to the files, and these to grow, on a full disk.
            for n in range(ALIASES):
                self.assertNotIn("error", inst.control(
                    "users", verb="user.alias.add", user=ANNA,
                    address="alias%d@example.test" % n))
            self.fill()
            self.refuses(inst)
            inst.wait_log("authd", r"ev=db\.full\b")
            with inst.smtp_as(BOB) as running:
                self.serves(inst)
                running.send_mail(BOB, [BOB], letter("in a session that ran", BOB))
                inst.fetch(BOB, n=1)
            self.refuses(inst)
            self.takes_away(inst)
            self.assertEqual(inst.pid("authd-core"), core)
            for _ in range(3):
                self.killed(inst)
            r = inst.ctl("status", check=False)
            self.assertEqual(r.returncode, 1, r.stdout)
            self.assertIn("the disk of db_dir is full", r.stdout + r.stderr)
            r = inst.ctl("db", "check", check=False)
            self.assertEqual(r.returncode, 75, r.stderr)
            self.space_again(inst)
        self.judge(inst)

    def takes_away(self, inst):
        """Rights can be taken from people however full the disk is."""
        inst.ctl("user", "disable", CARL)
        with self.assertRaises(AssertionError):
            with inst.smtp_as(CARL):
                pass
        inst.ctl("user", "alias", "delete", "alias0@example.test")
        inst.ctl("grant", "revoke", THERE)
        with inst.smtp(source=THERE) as w:
            w.cmd("MAIL FROM:<%s>" % ANNA, 530)
        self.refuses(inst)

    def killed(self, inst):
        """It comes up by what was reserved; then others fill that too."""
        pid = inst.pid("authd-core")
        os.kill(pid, 9)
        wait_until(lambda: inst.pid("authd-core") not in (None, pid),
                   what="another authd-core")
        wait_until(lambda: inst.ctl("user", "list", check=False).returncode
                   == 0, what="authd-core serving")
        self.serves(inst)
        self.refuses(inst)
        self.assertEqual(len(inst.ctl("user", "alias", "list").stdout
                             .splitlines()), ALIASES)
        # What is free now it takes back, but for a little.
        wait_until(lambda: self.free() <= 2 << 20, what="the reserve again")
        self.fill()
        self.serves(inst)

    def space_again(self, inst):
        since = inst.log_size("authd")
        for path in self.ballasts:
            os.unlink(path)
        inst.add_user("new@example.test", "secret")
        inst.wait_log("authd", r"ev=db\.space\b", since)
        with inst.smtp_as("new@example.test"):
            pass
        inst.grant(ANNA, "127.0.0.82")
        with inst.smtp(source="127.0.0.82") as w:
            w.cmd("MAIL FROM:<%s>" % ANNA, 250)
        self.assertEqual(inst.ctl("db", "check").returncode, 0)
        inst.stop()
        inst.start()
        self.serves(inst)

    def judge(self, inst):
        log = inst.log("authd")
        self.assertNotIn("ev=db.broken", log)
        self.assertNotIn("ev=db.sweep.fail", log)
        self.assertNotIn("ev=db.checkpoint.fail", log)
        # Once for each process that found it so.
        self.assertEqual(log.count("ev=db.full "), 4, log)
        self.assertEqual(log.count("ev=db.space"), 1)

    def test_filled_while_it_is_written(self):
        """Whatever was acknowledged is there, and nothing gave up."""
        with Instance(root=self.root) as inst:
            added, refused, stop = [], [], threading.Event()

            def write(k):
                n = 0
                while not stop.is_set():
                    n += 1
                    user = "w%d-%d@example.test" % (k, n)
                    r = inst.ctl("user", "add", user, "--stdin",
                                 input="secret\n", check=False)
                    (refused if r.returncode else added).append(user)
                    if r.returncode:
                        self.assertIn("full", r.stderr)

            threads = [threading.Thread(target=write, args=(k,), daemon=True)
                       for k in range(3)]
            for t in threads:
                t.start()
            wait_until(lambda: len(added) > 5, what="users")
            for _ in range(3):
                n = len(refused)
                self.fill()
                wait_until(lambda: len(refused) > n + 3, what="refusals")
                self.serves_logins(inst)
                for path in self.ballasts:
                    os.unlink(path)
                self.ballasts.clear()
                n = len(added)
                wait_until(lambda: len(added) > n + 3, what="more users")
            stop.set()
            for t in threads:
                t.join(60)
            inst.kill_all()
            inst.start()
            listed = set(inst.ctl("user", "list").stdout.split())
            self.assertEqual([u for u in added if u not in listed], [])
            self.assertEqual([u for u in refused if u in listed], [])
            self.assertEqual(inst.ctl("db", "check").returncode, 0)
        self.assertNotIn("ev=db.broken", inst.log("authd"))

    def serves_logins(self, inst):
        with inst.smtp_as(ANNA), inst.pop_as(BOB):
            pass


if __name__ == "__main__":
    unittest.main()
