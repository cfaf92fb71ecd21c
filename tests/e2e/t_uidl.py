"""UIDLs of another server, taken over: with a real Dovecot that serves POP3 and
IMAP on the same Maildirs, before and after."""

import grp
import imaplib
import json
import os
import poplib
import pwd
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import unittest

from submitd_instance import (ANNA, BOB, CARL, Instance, Refused, free_port,
                              letter, wait_until)

DOVECOT = shutil.which("dovecot", path=os.environ["PATH"] + ":/usr/sbin")
HAVE = DOVECOT and all(os.path.exists("/usr/lib/dovecot/" + p)
                       for p in ("pop3", "imap"))
PASSWORD = "dove-word"

CONF = """
protocols = pop3 imap
listen = 127.0.0.1
base_dir = %(root)s/run
state_dir = %(root)s/state
log_path = %(root)s/log
ssl = no
disable_plaintext_auth = no
default_login_user = %(login)s
default_internal_user = %(internal)s
default_internal_group = %(group)s
first_valid_uid = 1
first_valid_gid = 1
mail_location = maildir:%(mail)s/%%d/%%n
passdb {
  driver = static
  args = password=%(password)s
}
userdb {
  driver = static
  args = uid=%(uid)d gid=%(gid)d home=%(root)s/home/%%u
}
service anvil {
  chroot =
}
service pop3-login {
  chroot =
  inet_listener pop3 {
    port = %(pop)d
  }
  inet_listener pop3s {
    port = 0
  }
}
service imap-login {
  chroot =
  inet_listener imap {
    port = %(imap)d
  }
  inet_listener imaps {
    port = 0
  }
}
%(extra)s
"""


class Dovecot:
    """Serves the Maildirs of an instance as their owner."""

    def __init__(self, inst):
        self.root = tempfile.mkdtemp(prefix="submitd-dovecot-", dir="/tmp")
        os.chmod(self.root, 0o755)
        self.inst = inst
        self.ports = {"pop": free_port(), "imap": free_port()}
        self.owner = os.stat(inst.maildir(ANNA))
        os.mkdir(self.root + "/home")
        os.chown(self.root + "/home", self.owner.st_uid, self.owner.st_gid)
        self.process = None
        try:
            self.start()
        except BaseException:
            self.close()
            raise

    def start(self, extra=""):
        me = pwd.getpwuid(os.getuid()).pw_name
        root = os.getuid() == 0
        with open(self.root + "/dovecot.conf", "w", encoding="ascii") as f:
            f.write(CONF % dict(
                self.ports, root=self.root, extra=extra, password=PASSWORD,
                mail=self.inst.conf["mail_root"],
                login="dovenull" if root else me,
                internal="dovecot" if root else me,
                group="dovecot" if root else grp.getgrgid(os.getgid()).gr_name,
                uid=self.owner.st_uid, gid=self.owner.st_gid))
        self.process = subprocess.Popen(
            [DOVECOT, "-F", "-c", self.root + "/dovecot.conf"],
            stdin=subprocess.DEVNULL, start_new_session=True)
        wait_until(self.answers, what="Dovecot")

    def answers(self):
        try:
            self.pop(ANNA).quit()
            return True
        except (OSError, EOFError):
            return False

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)

    def restart(self, extra=""):
        self.stop()
        self.start(extra)

    def close(self):
        self.stop()
        shutil.rmtree(self.root, ignore_errors=True)

    def pop(self, user):
        p = poplib.POP3("127.0.0.1", self.ports["pop"], timeout=60)
        p.user(user)
        p.pass_(PASSWORD)
        return p

    def imap(self, user):
        i = imaplib.IMAP4("127.0.0.1", self.ports["imap"], timeout=60)
        i.login(user, PASSWORD)
        i.select("INBOX")
        return i

    def uidls(self, user):
        """{what the message is: its UIDL}"""
        p = self.pop(user)
        found = {}
        for line in p.uidl()[1]:
            n, uidl = line.decode().split()
            found[mark(b"\r\n".join(p.retr(int(n))[1]))] = uidl
        p.quit()
        return found


def mark(message):
    """What a test's message is known by."""
    for line in message.splitlines():
        if line.startswith(b"Subject: "):
            return line[9:].decode()
    raise AssertionError(message)


@unittest.skipUnless(HAVE, "no Dovecot with POP3 and IMAP")
class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.inst = Instance()
        cls.addClassCleanup(cls.inst.close)
        cls.deliver(ANNA, "first")
        cls.dovecot = Dovecot(cls.inst)
        cls.addClassCleanup(cls.dovecot.close)

    @classmethod
    def deliver(cls, user, *subjects):
        """By submitd."""
        have = cls.inst.drop_size(user)
        with cls.inst.smtp_as(ANNA) as w:
            for s in subjects:
                w.send_mail(ANNA, [user], letter(s))
        wait_until(lambda: cls.inst.drop_size(user) >= have + len(subjects),
                   what="delivery")

    def put(self, user, name, subject, sub="new"):
        """As another program delivers."""
        path = os.path.join(self.inst.maildir(user), sub, name)
        with open(path, "wb") as f:
            f.write(b"Subject: " + subject.encode() + b"\n\nbody\n")
        owner = self.dovecot.owner
        os.chown(path, owner.st_uid, owner.st_gid)
        os.chmod(path, 0o660)

    def uidls(self, user):
        """As popd gives them; with TOP, which marks nothing."""
        with self.inst.pop_as(user) as p:
            p.cmd("UIDL")
            lines = p.multiline().decode().splitlines()
            found = {}
            for line in lines:
                n, uidl = line.split()
                p.cmd("TOP %s 0" % n)
                found[mark(p.multiline())] = uidl
            p.cmd("QUIT")
        self.assertEqual(len(set(found.values())), len(lines))
        return found

    def ours(self, user):
        return os.path.join(self.inst.maildir(user), "submitd-uidl")

    def imported(self, user):
        with open(self.ours(user), "rb") as f:
            return os.fstat(f.fileno()).st_ino, f.read()

    def run_import(self, *args, **kw):
        return self.inst.ctl("maildrop", "import-uidl", *args, **kw)

    def records(self, *args, **kw):
        out = self.run_import("-j", *args, **kw).stdout
        return {r["user"]: r for r in map(json.loads, out.splitlines())}

    def saw(self, uidls):
        """A file with the answer to UIDL."""
        path = os.path.join(self.inst.root, "old-list")
        with open(path, "w", encoding="ascii") as f:
            f.write("+OK\r\n" + "".join(
                "%d %s\r\n" % (n, u) for n, u in enumerate(uidls, 1)) +
                ".\r\n")
        return path

    def diff(self, path, user, check=True):
        return self.inst.ctl("maildrop", "uidl-diff", path, user, check=check)


class Moving(Case):
    """One user's way from Dovecot to popd, with IMAP staying there."""

    def test_the_whole_way(self):
        self.deliver(ANNA, "second", "third", "fourth")
        # As Postfix, Exim and others name files.
        self.put(ANNA, "1600000000.V801I2bM333.old.example", "postfix")
        self.put(ANNA, "1600000001.H1P2.old.example,S=20:2,S", "exim", "cur")
        self.put(ANNA, "1600000002.M%dP7V0000000000000801I%s.%s" % (
            999999, "0" * 16, "long." * 14), "long name")
        seen = self.dovecot.uidls(ANNA)
        self.assertEqual(len(seen), 7)
        before = self.uidls(ANNA)
        self.assertEqual(set(before), set(seen))
        self.assertFalse(set(before.values()) & set(seen.values()))
        old_list = self.saw(seen.values())
        r = self.diff(old_list, ANNA, check=False)
        self.assertEqual(r.returncode, 1, r.stdout + r.stderr)
        self.assertIn("7 unknown to the old list", r.stdout)

        # --check changes nothing.
        r = self.records(ANNA, "--check")[ANNA]
        self.assertEqual((r["server"], r["listed"], r["taken"], r["own"]),
                         ("dovecot", 7, 7, 0))
        self.assertFalse(os.path.exists(self.ours(ANNA)))
        self.assertEqual(self.uidls(ANNA), before)

        r = self.run_import(ANNA)
        self.assertIn("taken over: 7", r.stdout)
        self.assertEqual(self.uidls(ANNA), seen)
        self.assertEqual(self.dovecot.uidls(ANNA), seen)
        r = self.diff(old_list, ANNA)
        self.assertIn("7 alike, 0 new since, 0 gone since, 0 unknown",
                      r.stdout)

        # Once more is not even a new file.
        file = self.imported(ANNA)
        r = self.records(ANNA)[ANNA]
        self.assertEqual((r["taken"], r["same"]), (0, 7))
        self.assertEqual(self.imported(ANNA), file)

        self.life_goes_on(seen, old_list)

    def life_goes_on(self, seen, old_list):
        # The names of what comes now have a later second than the list.
        os.utime(old_list, (time.time() - 2,) * 2)
        # What comes later has a UIDL of popd's, and keeps it whatever Dovecot
        # does, and whatever it lists.
        self.deliver(ANNA, "fifth", "sixth")
        now = self.uidls(ANNA)
        self.assertEqual({k: now[k] for k in seen}, seen)
        i = self.dovecot.imap(ANNA)
        numbers = i.search(None, "ALL")[1][0].split()
        self.assertEqual(len(numbers), 9)
        i.store(b"1:9", "+FLAGS", r"(\Seen \Flagged)")
        n = i.search(None, "SUBJECT", "second")[1][0].split()[0]
        i.store(n, "+FLAGS", r"(\Deleted)")
        i.expunge()
        i.logout()
        del now["second"]
        self.assertEqual(self.uidls(ANNA), now)
        self.assertFalse(os.listdir(os.path.join(self.inst.maildir(ANNA),
                                                 "new")))
        r = self.records(ANNA)[ANNA]
        self.assertEqual((r["taken"], r["shown"]), (0, 2))
        self.assertEqual(self.uidls(ANNA), now)
        r = self.diff(old_list, ANNA)
        self.assertIn("6 alike, 2 new since, 1 gone since, 0 unknown",
                      r.stdout)

        self.dovecot.restart()
        self.dovecot.imap(ANNA).logout()
        self.inst.stop()
        self.inst.start()
        self.assertEqual(self.uidls(ANNA), now)

        # What popd has not shown yet may still be Dovecot's.
        self.deliver(ANNA, "seventh")
        theirs = self.dovecot.uidls(ANNA)
        self.assertEqual(self.records(ANNA)[ANNA]["taken"], 1)
        now["seventh"] = theirs["seventh"]
        self.assertEqual(self.uidls(ANNA), now)

        # Whoever wants the old server's after all gets them.
        r = self.records(ANNA, "--force")[ANNA]
        self.assertEqual(r["taken"], 2)
        self.assertEqual(self.uidls(ANNA), theirs)

    def test_removed_by_popd(self):
        self.deliver(BOB, "one", "two", "three")
        seen = self.dovecot.uidls(BOB)
        self.run_import(BOB)
        with self.inst.pop_as(BOB) as p:
            p.cmd("DELE 2")
            p.cmd("QUIT")
        left = self.uidls(BOB)
        self.assertEqual(len(left), 2)
        self.assertEqual({k: seen[k] for k in left}, left)
        self.assertEqual(self.dovecot.uidls(BOB), left)


class Forms(Case):
    """How else a UIDL may look."""

    def test_formats(self):
        for form in ("%f", "%g", "%v-%u", "%v.%08Xu", "%Xu", "UID%u-%v"):
            with self.subTest(form):
                self.inst.fetch(CARL)
                if os.path.exists(self.ours(CARL)):
                    os.unlink(self.ours(CARL))
                self.dovecot.restart("protocol pop3 {\n  pop3_uidl_format = "
                                     "%s\n}" % form)
                self.deliver(CARL, "a", "b", "c")
                seen = self.dovecot.uidls(CARL)
                self.run_import(CARL, "--format", "dovecot:" + form)
                self.assertEqual(self.uidls(CARL), seen)

    def test_saved_by_dovecot(self):
        """pop3_save_uidl: they are in the list, and no format is to be known."""
        self.inst.fetch(CARL)
        self.deliver(CARL, "x", "y")
        self.dovecot.restart("protocol pop3 {\n  pop3_save_uidl = yes\n"
                             "  pop3_uidl_format = save-%v-%u\n}")
        seen = self.dovecot.uidls(CARL)
        with open(os.path.join(self.inst.maildir(CARL), "dovecot-uidlist"),
                  encoding="ascii") as f:
            self.assertIn(" Psave-", f.read())
        if os.path.exists(self.ours(CARL)):
            os.unlink(self.ours(CARL))
        self.run_import(CARL)
        self.assertEqual(self.uidls(CARL), seen)

    def test_wrong_format(self):
        for form in ("exim", "dovecot:%m", "dovecot:", "courier:%u"):
            with self.subTest(form):
                r = self.run_import(ANNA, "--format", form, check=False)
                self.assertEqual(r.returncode, 64, r.stderr)
        r = self.run_import(check=False)
        self.assertEqual(r.returncode, 64)
        r = self.run_import("nobody@example.test", check=False)
        self.assertEqual(r.returncode, 67)

    def test_courier(self):
        """A list as Courier 1.0.16 wrote it, and the UIDLs that it gave."""
        self.inst.fetch(BOB)
        self.deliver(BOB, "by submitd")
        names = ("1700000000.M1P2V3I4.host,S=25:2,S",
                 "1700000001.M1P2.host:2,", "1700000002.M'1+P2.host:2,",
                 "1700000003.x:2,")
        for n, name in enumerate(names):
            self.put(BOB, name, "c%d" % n, "cur")
        path = os.path.join(self.inst.maildir(BOB), "courierpop3dsizelist")
        with open(path, "w", encoding="ascii") as f:
            f.write("/3 5 1795370047\n"
                    "1700000000.M1P2V3I4.host,S=25:2,S 28 0:0:0\n"
                    "1700000001.M1P2.host:2, 28 2:0:0\n"
                    "1700000002.M'1+P2.host:2, 30 0:0:0\n"
                    "1700000003.x:2, 8 4:1795370047:0\n")
        os.chmod(path, 0o644)
        own = self.uidls(BOB)["by submitd"]
        r = self.records(BOB, "--format", "courier")[BOB]
        self.assertEqual((r["server"], r["taken"], r["own"]),
                         ("courier", 4, 1))
        self.assertEqual(self.uidls(BOB), {
            "by submitd": own, "c0": "1700000000.M1P2V3I4.host,S=25",
            "c1": "UID2", "c2": "1700000002.M+271+2BP2.host",
            "c3": "UID4-1795370047"})
        os.unlink(path)


class Broken(Case):
    """Lists that nobody wrote well, and files that are none."""

    def setUp(self):
        self.deliver(ANNA, self.id())
        self.dovecot.uidls(ANNA)
        for name in ("submitd-uidl", "submitd-uidl-shown"):
            path = os.path.join(self.inst.maildir(ANNA), name)
            if os.path.lexists(path):
                os.unlink(path)
        self.list = os.path.join(self.inst.maildir(ANNA), "dovecot-uidlist")
        with open(self.list, "rb") as f:
            self.good = f.read()

    def tearDown(self):
        if os.path.lexists(self.list):
            os.unlink(self.list)
        with open(self.list, "wb") as f:
            f.write(self.good)
        os.chown(self.list, self.dovecot.owner.st_uid,
                 self.dovecot.owner.st_gid)

    def write(self, data):
        os.unlink(self.list)
        with open(self.list, "wb") as f:
            f.write(data)
        os.chmod(self.list, 0o644)

    def test_lists(self):
        before = self.uidls(ANNA)
        lines = self.good.splitlines(True)
        for what, data in (("empty", b""), ("another version", b"1 2 3\n"),
                           ("NUL", self.good + b"\0"),
                           ("a line", self.good + b"x\n"),
                           ("order", self.good + lines[1]),
                           ("path", self.good + b"999 :../../x\n")):
            with self.subTest(what):
                self.write(data)
                r = self.run_import(ANNA, check=False)
                self.assertEqual(r.returncode, 65, r.stdout + r.stderr)
                self.assertIn("dovecot-uidlist", r.stderr)
                self.assertFalse(os.path.exists(self.ours(ANNA)))
                self.assertEqual(self.uidls(ANNA), before)
        with self.subTest("unfinished"):
            self.write(self.good[:-1])
            r = self.run_import(ANNA)
            self.assertIn("unfinished", r.stderr)

    def test_the_uidl_of_another(self):
        """Whatever a list says, no two messages get the same UIDL."""
        self.deliver(ANNA, "p", "q")
        own = self.uidls(ANNA)
        self.write(b"3 V5 N9\n1 P%s :%s\n2 Psame :2.x\n3 Psame :%s\n" % (
            own["q"].encode(), own["p"].encode(), own["p"].encode()))
        r = self.records(ANNA)[ANNA]
        self.assertEqual((r["taken"], r["differ"]), (2, 1))
        now = self.uidls(ANNA)
        self.assertEqual(now["p"], own["q"])
        self.assertRegex(now["q"], "^[0-9a-f]{64}$")

    def test_links(self):
        secret = os.path.join(self.inst.root, "secret")
        with open(secret, "wb") as f:
            f.write(self.good)
        for make in (os.symlink, os.link):
            with self.subTest(make.__name__):
                os.unlink(self.list)
                make(secret, self.list)
                r = self.run_import(ANNA, check=False)
                self.assertEqual(r.returncode, 65, r.stdout + r.stderr)
        with self.subTest("FIFO"):
            os.unlink(self.list)
            os.mkfifo(self.list)
            r = self.run_import(ANNA, check=False)
            self.assertEqual(r.returncode, 65, r.stdout + r.stderr)

    @unittest.skipUnless(os.geteuid() == 0, "as root")
    def test_not_writable(self):
        """--check says what the import would say."""
        maildir = self.inst.maildir(ANNA)
        mode = os.stat(maildir).st_mode & 0o7777
        os.chmod(maildir, 0o550)
        try:
            for how in (), ("--check",):
                r = self.run_import(ANNA, *how, check=False)
                self.assertNotEqual(r.returncode, 0, r.stdout)
                self.assertIn("denied", r.stderr)
        finally:
            os.chmod(maildir, mode)
        self.run_import(ANNA, "--check")
        self.assertFalse(os.path.exists(self.ours(ANNA)))

    def test_ours(self):
        """A broken file of ours is not taken for an empty one."""
        self.run_import(ANNA)
        with open(self.ours(ANNA), "r+b") as f:
            f.truncate(os.fstat(f.fileno()).st_size - 1)
        with self.assertRaisesRegex(Refused, "SYS/PERM"):
            self.inst.pop_as(ANNA)
        self.inst.wait_log("popd", r"ev=mbox\.open\.fail .*submitd-uidl")
        r = self.run_import(ANNA, check=False)
        self.assertEqual(r.returncode, 65, r.stdout + r.stderr)
        os.unlink(self.ours(ANNA))
        self.run_import(ANNA)
        self.uidls(ANNA)


class Everybody(Case):
    def test_all_while_both_serve(self):
        users = ["u%02d@example.test" % n for n in range(70)]
        with_mail = users[::5]
        for u in users:
            self.inst.add_user(u, PASSWORD)
        for u in with_mail:
            self.deliver(u, "one", "two")
        seen = {u: self.dovecot.uidls(u) for u in with_mail}
        stop, wrong = threading.Event(), []
        native = {u: self.uidls(u) for u in with_mail}

        def look():
            # All of one server or all of the other's, at any moment.
            while not stop.is_set():
                for u in with_mail:
                    try:
                        got = self.uidls(u)
                        if got not in (native[u], seen[u]):
                            wrong.append(got)
                        if self.dovecot.uidls(u) != seen[u]:
                            wrong.append(u)
                    except Exception as e:      # told by the test
                        wrong.append(repr(e))
                        return
        thread = threading.Thread(target=look)
        thread.start()
        try:
            r = self.run_import("--all", "--check")
            self.assertIn("%d of %d users" % (
                len(with_mail) + 1, len(users) + 3), r.stdout)
            r = self.run_import("--all")
            for _ in range(3):
                r = self.run_import("--all")
                self.assertIn("taken over: 0", r.stdout)
        finally:
            stop.set()
            thread.join(120)
        self.assertFalse(wrong)
        for u in with_mail:
            self.assertEqual(self.uidls(u), seen[u])
        # One without a list is only an error when he is named.
        r = self.run_import(users[1], check=False)
        self.assertEqual(r.returncode, 66, r.stderr)


del Case

if __name__ == "__main__":
    unittest.main()
