"""The database cared for: check, backup while it is written, restore, recover.
"""

import hashlib
import os
import re
import shutil
import subprocess
import threading
import unittest

from submitd_instance import (ANNA, BOB, IS_ROOT, PATIENCE_S, Instance, letter,
                              program, wait_until)

HERE = "127.0.0.77"


def recover(inst, *args):
    r = subprocess.run(
        [program("authd"), "--recover", "-c", inst.conf_file, *args],
        stdin=subprocess.DEVNULL, text=True, capture_output=True,
        env=inst.env, timeout=PATIENCE_S, cwd="/")
    assert not re.search("Sanitizer|runtime error:", r.stderr), r.stderr
    return r


def files(folder):
    """Name and content of each file."""
    out = {}
    for name in os.listdir(folder):
        with open(os.path.join(folder, name), "rb") as f:
            out[name] = f.read()
    return out


def keys(inst):
    return {n: c for n, c in files(inst.conf["db_dir"]).items()
            if n.endswith(".key")}


class Writer(threading.Thread):
    """Adds users until told to stop; what was acknowledged it remembers."""

    def __init__(self, inst):
        super().__init__(daemon=True)
        self.inst, self.stop, self.added = inst, threading.Event(), []

    def run(self):
        n = 0
        while not self.stop.is_set():
            n += 1
            user = "w%d@example.test" % n
            self.inst.ctl("user", "add", user, "--stdin", input="secret-%d\n" % n)
            self.added.append(user)


class Backup(unittest.TestCase):
    def test_restored_on_an_empty_root(self):
        """Made while users are added; on another machine all is as it was."""
        with Instance() as inst:
            inst.ctl("user", "alias", "add", ANNA, "sales@example.test")
            inst.grant(ANNA, HERE)
            writer = Writer(inst)
            writer.start()
            wait_until(lambda: len(writer.added) >= 3, what="users")
            before = list(writer.added)
            copy = os.path.join(inst.root, "copy")
            said = inst.ctl("db", "backup", copy)
            self.assertIn("checked", said.stdout)
            after = len(writer.added)
            wait_until(lambda: len(writer.added) > after, what="one more user")
            writer.stop.set()
            writer.join(PATIENCE_S)
            self.whole(inst, copy)
            with Instance(start=False) as other:
                self.restore(inst, other, copy, before)

    def whole(self, inst, copy):
        """Modes, keys, sums; nothing left in db_dir."""
        got = files(copy)
        self.assertEqual(os.stat(copy).st_mode & 0o7777, 0o700)
        for name in got:
            mode = os.stat(os.path.join(copy, name)).st_mode & 0o7777
            self.assertEqual(mode, 0o600, name)
        self.assertTrue(keys(inst))
        for name, content in keys(inst).items():
            self.assertEqual(got[name], content, name)
        listed = re.findall(r"(?m)^file (\S+) (\d+) (\S+)$",
                            got["MANIFEST"].decode())
        self.assertEqual({n for n, _, _ in listed}, set(got) - {"MANIFEST"})
        for name, octets, sha in listed:
            self.assertEqual(len(got[name]), int(octets), name)
            self.assertEqual(hashlib.sha256(got[name]).hexdigest(), sha, name)
        self.assertNotIn("scratch", os.listdir(inst.conf["db_dir"]))
        self.assertEqual([n for n in os.listdir(inst.root)
                          if "partial" in n], [])

    def restore(self, inst, other, copy, users):
        self.assertFalse(os.path.exists(other.conf["db_dir"]))
        r = recover(other, "--from", copy)
        self.assertEqual(r.returncode, 0, r.stdout + r.stderr)
        self.assertRegex(r.stdout, r"(?m)^\d+ users, .*: all in order$")
        self.assertEqual(keys(other), keys(inst))
        db = other.conf["db_dir"]
        for name in os.listdir(db):
            st = os.stat(os.path.join(db, name))
            self.assertEqual(st.st_mode & 0o7777, 0o600, name)
            self.assertEqual(st.st_uid, os.stat(inst.conf["db_dir"]).st_uid)
        self.assertEqual([n for n in os.listdir(db) if "restor" in n], [])
        other.start()
        other.users = dict(inst.users)
        # Logins, of those added just before the copy too.
        with other.smtp_as(ANNA), other.smtp_as(BOB):
            pass
        with other.smtp(auth=(users[-1], "secret-%d" % len(users))):
            pass
        # The grant lives: mail without AUTH, from there only, aliases too.
        for source, code in ((HERE, 250), ("127.0.0.78", 530)):
            with other.smtp(source=source) as w:
                self.assertEqual(
                    w.cmd("MAIL FROM:<sales@example.test>")[0], code)
        with other.smtp(source=HERE) as w:
            w.send_mail(ANNA, [BOB], letter("after the restore"))
        other.fetch(BOB, n=1)
        self.assertEqual(other.ctl("db", "check").returncode, 0)

    def test_refusals(self):
        with Instance() as inst:
            full = os.path.join(inst.root, "full")
            os.mkdir(full)
            open(os.path.join(full, "x"), "wb").close()
            r = inst.ctl("db", "backup", full, check=False)
            self.assertEqual(r.returncode, 73, r.stderr)
            self.assertEqual(os.listdir(full), ["x"])
            r = inst.ctl("db", "backup", inst.root + "/no/folder", check=False)
            self.assertEqual(r.returncode, 73, r.stderr)
            # An empty folder is fine, and a trailing slash.
            os.mkdir(inst.root + "/empty")
            inst.ctl("db", "backup", inst.root + "/empty/")
            self.assertIn("MANIFEST", os.listdir(inst.root + "/empty"))
            # Two at once take turns.
            both = [threading.Thread(target=inst.ctl, args=(
                "db", "backup", "%s/both%d" % (inst.root, i))) for i in (1, 2)]
            for t in both:
                t.start()
            for t in both:
                t.join(PATIENCE_S)
            for i in (1, 2):
                self.whole(inst, "%s/both%d" % (inst.root, i))
            r = inst.ctl("db", "recover", check=False)
            self.assertEqual(r.returncode, 69)
            self.assertIn("authd --recover --from", r.stderr)

    def test_scratch_of_a_killed_one(self):
        with Instance() as inst:
            scratch = os.path.join(inst.conf["db_dir"], "scratch")
            os.mkdir(scratch)
            open(os.path.join(scratch, "users.db"), "wb").close()
            if IS_ROOT:
                shutil.chown(scratch, "_submitauth", "_submitauth")
            os.kill(inst.pid("authd-core"), 9)
            wait_until(lambda: not os.path.exists(scratch),
                       what="the scratch folder going")


class Recover(unittest.TestCase):
    def test_running_and_stopped(self):
        with Instance() as inst:
            r = recover(inst)
            self.assertEqual(r.returncode, 75, r.stdout + r.stderr)
            self.assertIn("process %d" % inst.pid("authd-core"), r.stderr)
            r = recover(inst, "--from", inst.root)
            self.assertEqual(r.returncode, 75, r.stdout + r.stderr)
            inst.stop()
            for args in ([], ["--fatal"]):
                r = recover(inst, *args)
                self.assertEqual(r.returncode, 0, r.stdout + r.stderr)
                self.assertRegex(r.stdout, "^3 users, 3 addresses, .* in order")
            self.assertEqual(recover(inst, "--fatal", "--from", "x").returncode, 64)
            inst.start()
            with inst.smtp_as(ANNA):
                pass

    def test_after_kill(self):
        with Instance() as inst:
            inst.kill_all()
            r = recover(inst)
            self.assertEqual(r.returncode, 0, r.stdout + r.stderr)
            self.assertRegex(r.stdout, "^3 users")

    def test_back_to_an_older_state(self):
        with Instance() as inst:
            copy = inst.root + "/copy"
            inst.ctl("db", "backup", copy)
            inst.ctl("user", "delete", ANNA)
            inst.stop()
            db = inst.conf["db_dir"]
            was = files(db)
            # A damaged backup changes nothing.
            bad = inst.root + "/bad"
            shutil.copytree(copy, bad)
            with open(bad + "/users.db", "r+b") as f:
                f.seek(5000)
                f.write(b"rot")
            r = recover(inst, "--from", bad)
            self.assertEqual(r.returncode, 65, r.stderr)
            self.assertIn("users.db in the backup is not what its manifest "
                          "says", r.stderr)
            os.unlink(bad + "/MANIFEST")
            r = recover(inst, "--from", bad)
            self.assertEqual(r.returncode, 65, r.stderr)
            self.assertEqual(files(db), was)
            # A newer one neither.
            newer = inst.root + "/newer"
            shutil.copytree(copy, newer)
            with open(newer + "/MANIFEST", "r+", encoding="ascii") as f:
                text = re.sub(r"\nformat \d+\n", "\nformat 99\n",
                              f.read())
                f.seek(0)
                f.write(text)
            r = recover(inst, "--from", newer)
            self.assertEqual(r.returncode, 65, r.stderr)
            self.assertIn("newer version (format 99", r.stderr)
            # The good one does; what was there is kept.
            r = recover(inst, "--from", copy)
            self.assertEqual(r.returncode, 0, r.stdout + r.stderr)
            self.assertIn("before-restore.1", r.stdout)
            kept = files(db + "/before-restore.1")
            self.assertEqual(kept["users.db"], was["users.db"])
            inst.start()
            with inst.smtp_as(ANNA):
                pass
            inst.stop()
            r = recover(inst, "--from", copy)
            self.assertEqual(r.returncode, 0, r.stdout + r.stderr)
            self.assertIn("before-restore.2", r.stdout)

    def test_interrupted(self):
        """What is half the one and half the other is not opened."""
        with Instance() as inst:
            copy = inst.root + "/copy"
            inst.ctl("db", "backup", copy)
            inst.stop()
            db = inst.conf["db_dir"]
            open(db + "/restoring", "wb").close()
            os.unlink(db + "/order.db")
            os.mkdir(db + "/restore.new")
            open(db + "/restore.new/users.db", "wb").close()
            p = inst.spawn("authd")
            self.assertNotEqual(p.wait(PATIENCE_S), 0)
            self.assertRegex(inst.log("authd"), "interrupted")
            inst.procs = {}
            r = recover(inst, "--from", copy)
            self.assertEqual(r.returncode, 0, r.stdout + r.stderr)
            inst.start()
            with inst.smtp_as(ANNA):
                pass

    def test_damage_is_found(self):
        with Instance() as inst:
            inst.stop()
            with open(inst.conf["db_dir"] + "/users.db", "r+b") as f:
                f.seek(4096 + 26)
                f.write(b"\x55" * 1000)
            r = recover(inst)
            self.assertEqual(r.returncode, 65, r.stdout + r.stderr)
            self.assertIn("users.db: ", r.stderr)
            self.assertIn("authd --recover --from", r.stderr)


class Faults(unittest.TestCase):
    """One file operation after the other fails, in a test build."""

    STEP = int(os.environ.get("SUBMITD_TEST_FAULT_STEP", "7"))
    EIO, ENOSPC = 5, 28

    def failing(self, inst, run):
        """Each result of run() with the n-th operation failing, until there
        are no more."""
        n = 1
        while True:
            inst.env["SUBMITD_TEST_FAIL"] = "%d:%d" % (
                n, (self.EIO, self.ENOSPC)[n % 2])
            r = run()
            del inst.env["SUBMITD_TEST_FAIL"]
            if r.returncode == 0:
                if n == 1:
                    self.skipTest("no test build")
                self.assertGreater(n, 50)
                return
            yield n, r
            n += self.STEP if n > 8 else 1

    def test_backup(self):
        with Instance() as inst:
            copy = inst.root + "/copy"
            for n, r in self.failing(inst, lambda: inst.ctl(
                    "db", "backup", copy, check=False)):
                self.assertIn("submitctl: ", r.stderr, n)
                # The last flush of all comes behind the rename.
                if os.path.exists(copy):
                    self.assertIn("MANIFEST", os.listdir(copy), n)
                    shutil.rmtree(copy)
                self.assertEqual([x for x in os.listdir(inst.root)
                                  if "partial" in x], [], n)
            self.assertIn("MANIFEST", os.listdir(copy))

    def test_restore(self):
        """What was there, or nothing is opened, or what was to be there."""
        with Instance() as inst:
            copy = inst.root + "/copy"
            inst.ctl("db", "backup", copy)
            inst.ctl("user", "delete", BOB)
            inst.stop()
            db = inst.conf["db_dir"]
            for n, r in self.failing(inst, lambda: recover(
                    inst, "--from", copy)):
                self.assertIn("authd: ", r.stderr, n)
                half = os.path.exists(db + "/restoring")
                r = recover(inst)
                if half:
                    self.assertEqual(r.returncode, 65, (n, r))
                    self.assertIn("interrupted", r.stderr)
                else:
                    self.assertEqual(r.returncode, 0, (n, r))
                    self.assertRegex(r.stdout, "^[23] users", n)
            r = recover(inst)
            self.assertRegex(r.stdout, "^3 users, .* in order")
            inst.start()
            with inst.smtp_as(BOB):
                pass


class Check(unittest.TestCase):
    def test_check_and_compact(self):
        with Instance() as inst:
            r = inst.ctl("-j", "db", "check")
            self.assertRegex(r.stdout, r'"users": ?3\b')
            self.assertRegex(r.stdout, r'"flaws": ?0\b')
            self.assertEqual(r.stderr, "")
            r = inst.ctl("db", "compact")
            self.assertRegex(r.stdout, r"(?m)^users\.db +8\.0K +8\.0K")
            with inst.smtp_as(ANNA):
                pass


if __name__ == "__main__":
    unittest.main()
