"""Maildirs as Postfix, Exim, Dovecot and we write them, with odd files in them,
large ones, and messages that change while they are sent."""

import grp
import os
import pwd
import shutil
import smtplib
import subprocess
import tempfile
import threading
import time
import unittest

import t_lmtp_receive
from submitd_instance import (ANNA, BOB, CARL, IS_ROOT, PATIENCE_S, Instance,
                              letter, wait_until)

EXIM = os.environ.get("SUBMITD_EXIM") or shutil.which(
    "exim4", path=os.environ["PATH"] + ":/usr/sbin")
LDA = "/usr/lib/dovecot/dovecot-lda"
# What line ends, dots and missing ends may do to a size.
BODIES = (b"", b"one\n", b".\n..\n.x\n", b"no end", b"\n\n\n",
          b"long " * 10000 + b"\n", b"8-bit \xe4\xf6\xfc\n", b"x\r\ny\n")


def setUpModule():
    global inst
    inst = Instance()


def tearDownModule():
    inst.close()


def restart_popd():
    p = inst.procs["popd"]
    pids = [p.pid] + inst.children(p.pid)
    p.terminate()
    p.wait(PATIENCE_S)
    inst.gone(pids)
    inst.start("popd")


def make_maildir(user):
    path = inst.maildir(user)
    if not os.path.isdir(path):
        inst.smtp_as(ANNA).send_mail(ANNA, [user], letter("first"))
        inst.fetch(user, n=1)
    return path


def put(path, name, text=b"Subject: x\n\nx\n", mode=0o660):
    """A file as submitd-local would make it."""
    full = os.path.join(path, name)
    with open(full, "wb") as f:
        f.write(text)
    os.chmod(full, mode)
    if IS_ROOT:
        shutil.chown(full, "_submitmail", "_submitmbx")
    return full


def content(i):
    return b"Subject: number %d\nX-Test: .\n\n" % i + BODIES[i]


class Writers(unittest.TestCase):
    def uidls(self, p):
        p.cmd("UIDL")
        return [x.split()[1] for x in p.multiline().decode().splitlines()]

    def listed(self):
        with inst.pop_as(ANNA) as p:
            p.cmd("LIST")
            sizes = [int(x.split()[1]) for x in p.multiline().splitlines()]
            uidls = self.uidls(p)
            p.cmd("QUIT")
        return sizes, uidls

    def check(self, deliver):
        """All that is delivered comes out as it went in, and stays the same
        message wherever another program moves it."""
        path = make_maildir(ANNA)
        before = set(os.listdir(path + "/new"))
        for i in range(len(BODIES)):
            deliver(content(i))
        wait_until(lambda: inst.drop_size(ANNA) == len(BODIES),
                   what="delivery")
        sizes, uidls = self.listed()
        self.assertEqual(len(set(uidls)), len(BODIES))
        seen = set()
        with inst.pop_as(ANNA) as p:
            self.assertEqual(p.cmd("STAT").split()[1:3],
                             [str(len(BODIES)), str(sum(sizes))])
            for k, size in enumerate(sizes, 1):
                p.cmd("RETR %d" % k)
                got = p.multiline()
                self.assertEqual(len(got), size)
                at = got.index(b"Subject: number ")
                i = int(got[at + 16:].split(b"\r\n")[0])
                self.same_text(got[at:], content(i))
                seen.add(i)
            p.cmd("QUIT")
        self.assertEqual(seen, set(range(len(BODIES))))
        for name in set(os.listdir(path + "/new")) - before:
            os.rename(path + "/new/" + name, path + "/cur/" + name + ":2,S")
        self.assertEqual(self.listed(), (sizes, uidls))
        restart_popd()
        self.assertEqual(self.listed(), (sizes, uidls))
        self.assertEqual(len(inst.fetch(ANNA)), len(BODIES))
        self.assertEqual(inst.drop_size(ANNA), 0)
        self.assertNotIn("ev=mbox.skipped", inst.log("popd", self.at))

    def same_text(self, got, sent):
        """Lines as they were; one without an end has got one. Header fields may
        have been added."""
        def parts(text):
            text = text.replace(b"\r\n", b"\n")
            if not text.endswith(b"\n"):
                text += b"\n"
            return text.split(b"\n\n", 1)
        self.assertEqual(parts(got)[1], parts(sent)[1])
        for line in parts(sent)[0].split(b"\n"):
            self.assertIn(line, parts(got)[0].split(b"\n"))

    def setUp(self):
        make_maildir(ANNA)
        inst.fetch(ANNA)
        self.at = inst.log_size("popd")

    def test_ours(self):
        def deliver(m):
            with inst.smtp_as(ANNA) as w:
                body = m.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
                w.send_mail(ANNA, [ANNA], body if body.endswith(b"\r\n")
                            else body + b"\r\n")
        self.check(deliver)

    @unittest.skipUnless(IS_ROOT and shutil.which("postfix"), "no Postfix")
    def test_postfix(self):
        mbox = pwd.getpwnam("_popmbox")
        main = t_lmtp_receive.MAIN % {"root": "%(root)s", "example": """
virtual_mailbox_domains = example.test
virtual_mailbox_maps = inline:{%s=anna/}
virtual_mailbox_base = %s
virtual_mailbox_limit = 0
message_size_limit = 10000000
virtual_transport = virtual
virtual_uid_maps = static:%d
virtual_gid_maps = static:%d
virtual_minimum_uid = 1
smtpd_relay_restrictions = reject_unauth_destination
smtpd_recipient_restrictions = reject_unlisted_recipient
""" % (ANNA, os.path.dirname(inst.maildir(ANNA)), mbox.pw_uid,
            grp.getgrnam("_submitmbx").gr_gid)}
        postfix = t_lmtp_receive.Postfix("example.test")
        with open(postfix.root + "/etc/main.cf", "w", encoding="ascii") as f:
            f.write(main % {"root": postfix.root})
        with open(postfix.root + "/etc/master.cf", "a", encoding="ascii") as f:
            f.write("virtual unix - n n - - virtual\n")
        self.assertEqual(postfix.run("check").returncode, 0)
        postfix.start()

        def deliver(m):
            with smtplib.SMTP("127.0.0.1", postfix.port, "far.example",
                              PATIENCE_S) as s:
                s.sendmail("a@far.example", [ANNA],
                           m.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))
        try:
            self.check(deliver)
        except TimeoutError:
            print(postfix.log())
            raise
        finally:
            postfix.stop()

    @unittest.skipUnless(IS_ROOT and EXIM, "no Exim")
    def test_exim(self):
        root = tempfile.mkdtemp(prefix="submitd-exim-", dir="/tmp")
        os.chmod(root, 0o755)
        # Its user and its configuration, which must be where it was built for
        # (else it gives root away): in a view of /etc that only it has.
        os.makedirs(root + "/etc/exim4")
        for name, line in (("passwd", "Debian-exim:x:60101:60101::/:/bin/sh"),
                           ("group", "Debian-exim:x:60101:")):
            with open("/etc/" + name, encoding="utf-8") as f:
                text = f.read()
            if "Debian-exim:" not in text:
                text += line + "\n"
            with open(root + "/etc/" + name, "w", encoding="utf-8") as f:
                f.write(text)
        for name in ("spool", "log"):
            os.mkdir(root + "/" + name)
            os.chmod(root + "/" + name, 0o777)
        with open(root + "/etc/exim4/exim4.conf", "w", encoding="ascii") as f:
            f.write(EXIM_CONF % {"root": root, "exim": EXIM,
                                 "maildir": inst.maildir(ANNA)})

        def deliver(m):
            r = subprocess.run(
                ["unshare", "-m", "sh", "-c",
                 "mount -t overlay none -o lowerdir=$0/etc:/etc /etc && "
                 "exec $1 -odf -oi -f a@far.example $2", root, EXIM, ANNA],
                input=m, capture_output=True, check=False, timeout=PATIENCE_S)
            self.assertEqual((r.returncode, r.stdout, r.stderr), (0, b"", b""))
        try:
            self.check(deliver)
        finally:
            shutil.rmtree(root)

    @unittest.skipUnless(IS_ROOT and os.path.exists(LDA), "no dovecot-lda")
    def test_dovecot_lda(self):
        root = tempfile.mkdtemp(prefix="submitd-lda-", dir="/tmp")
        os.chmod(root, 0o755)
        with open(root + "/conf", "w", encoding="ascii") as f:
            f.write(LDA_CONF % {"root": root, "maildir": inst.maildir(ANNA)})
        os.mkdir(root + "/home")
        shutil.chown(root + "/home", "_submitmail", "_submitmbx")

        def deliver(m):
            r = subprocess.run([LDA, "-c", root + "/conf", "-f",
                                "a@far.example"], input=m, check=False,
                               capture_output=True, timeout=PATIENCE_S,
                               user="_submitmail", group="_submitmbx",
                               extra_groups=[], umask=0o007,
                               env={"HOME": root + "/home",
                                    "USER": "_submitmail"})
            self.assertEqual(r.returncode, 0, r.stderr + r.stdout)
        try:
            self.check(deliver)
        finally:
            shutil.rmtree(root)
            for name in os.listdir(inst.maildir(ANNA)):
                if name.startswith("dovecot"):
                    os.unlink(os.path.join(inst.maildir(ANNA), name))


EXIM_CONF = """
exim_path = %(exim)s
spool_directory = %(root)s/spool
log_file_path = %(root)s/log/%%slog
primary_hostname = mx.example.test
keep_environment =
never_users =
begin routers
all:
  driver = accept
  transport = maildir
begin transports
maildir:
  driver = appendfile
  maildir_format
  directory = %(maildir)s
  mode = 0660
  user = _submitmail
  group = _submitmbx
  delivery_date_add
  envelope_to_add
  return_path_add
"""
LDA_CONF = """
base_dir = %(root)s
log_path = /dev/stderr
mail_location = maildir:%(maildir)s
first_valid_uid = 1
first_valid_gid = 1
postmaster_address = postmaster@example.test
"""


class Odd(unittest.TestCase):
    def setUp(self):
        self.path = make_maildir(BOB)
        self.at = inst.log_size("popd")

    def tearDown(self):
        for sub in ("/new/", "/cur/"):
            for name in os.listdir(self.path + sub):
                os.unlink(self.path + sub + name)

    def skipped(self, name, why):
        inst.wait_log("popd", r'ev=mbox\.skipped user=%s file=%s why="%s"' % (
            BOB, name.replace("/", "(/|%2F)"), why), self.at)

    def test_passed_over_and_told(self):
        put(self.path, "new/1.good")
        os.symlink("/etc/passwd", self.path + "/new/2.link")
        os.link(put(self.path, "cur/3.hard"), self.path + "/hard")
        os.mkfifo(self.path + "/cur/4.fifo")
        want = [("new/2.link", "a symbolic link"),
                ("cur/3.hard", "it has another hard link"),
                ("cur/4.fifo", "no regular file")]
        if IS_ROOT:
            shutil.chown(put(self.path, "new/5.owner"), "nobody")
            want.append(("new/5.owner", "a foreign owner"))
        try:
            with inst.pop_as(BOB) as p:
                self.assertEqual(p.cmd("STAT").split()[1], "1")
                p.cmd("UIDL")
                self.assertEqual(p.multiline(), b"1 1.good\r\n")
                p.cmd("QUIT")
            for name, why in want:
                self.skipped(name, why)
        finally:
            os.unlink(self.path + "/hard")
        # The other link is gone, and no folder has changed with it.
        with inst.pop_as(BOB) as p:
            self.assertEqual(p.cmd("STAT").split()[1], "2")
            p.cmd("QUIT")

    def test_many_are_told_of_in_few_lines(self):
        for i in range(30):
            os.symlink("/etc/passwd", self.path + "/new/%d.link" % i)
        with inst.pop_as(BOB) as p:
            p.cmd("QUIT")
        inst.wait_log("popd", r"ev=mbox\.skipped\.more user=%s shown=0 "
                      "skipped=30" % BOB, self.at)
        self.assertEqual(inst.log("popd", self.at).count("ev=mbox.skipped "),
                         8)

    def fetch_changing(self, change):
        """What comes of a message that changes while it is sent."""
        full = put(self.path, "new/1.large",
                   b"Subject: x\n\n" + b"0123456789abcde\n" * (1 << 20))
        with inst.pop_as(BOB) as p:
            p.cmd("RETR 1")
            change(full)
            data = b""
            try:
                while True:
                    piece = p.sock.recv(1 << 16)
                    if not piece:
                        break
                    data = data[-10:] + piece
            except OSError:
                pass
        self.assertFalse(data.endswith(b"\r\n.\r\n"))
        inst.wait_log("popd", r"ev=pop3\.message\.broken .*user=" + BOB,
                      self.at)
        inst.wait_log("popd", r"ev=pop3\.close .*why=message\.broken", self.at)

    def test_shrinks_while_it_is_sent(self):
        self.fetch_changing(lambda full: os.truncate(full, 1 << 23))

    def test_grows_while_it_is_sent(self):
        def grow(full):
            with open(full, "ab") as f:
                f.write(b"more\n" * 100000)
        self.fetch_changing(grow)

    def test_changed_since_it_was_listed(self):
        put(self.path, "new/1.x")
        with inst.pop_as(BOB) as p:
            put(self.path, "new/1.x", b"Subject: another\n\nand longer\n")
            p.cmd("RETR 1", ok=False)
            p.cmd("QUIT")
        with inst.pop_as(BOB) as p:
            p.cmd("RETR 1")
            self.assertIn(b"and longer", p.multiline())
            p.cmd("QUIT")


class Large(unittest.TestCase):
    N = 30000

    def test_nobody_waits_for_a_giant(self):
        path = make_maildir(CARL)
        make_maildir(ANNA)
        for i in range(self.N):
            with open("%s/cur/%d.m%d.host:2,S" % (path, 1700000000 + i, i),
                      "wb") as f:
                f.write(b"Subject: %d\n\nx\n" % i)
        if IS_ROOT:
            subprocess.run(["chown", "-R", "_submitmail:_submitmbx",
                            path + "/cur"], check=True)
            subprocess.run(["chmod", "-R", "ug=rwX", path + "/cur"],
                           check=True)
        took = {}

        def giant():
            began = time.monotonic()
            with inst.pop_as(CARL) as p:
                took["first"] = time.monotonic() - began
                self.assertEqual(p.cmd("STAT").split()[1], str(self.N))
                p.cmd("UIDL")
                uidls = p.multiline().split()[1::2]
                self.assertEqual(len(set(uidls)), self.N)
                self.assertEqual(uidls[-1], b"%d.m%d.host" % (
                    1700000000 + self.N - 1, self.N - 1))
                p.cmd("RETR %d" % self.N)
                self.assertIn(b"Subject: %d\r\n" % (self.N - 1), p.multiline())
                p.cmd("QUIT")
        t = threading.Thread(target=giant)
        t.start()
        others = 0
        while t.is_alive():
            inst.grant(ANNA)
            others += "first" not in took
        t.join()
        self.assertGreater(others, 0)
        self.assertTrue(os.path.exists(path + "/submitd-list"))
        began = time.monotonic()
        inst.grant(CARL)
        took["again"] = time.monotonic() - began
        restart_popd()
        began = time.monotonic()
        inst.grant(CARL)
        took["restarted"] = time.monotonic() - began
        print("a login to %d messages, in seconds: %s; %d others meanwhile"
              % (self.N, took, others))
        with inst.pop_as(CARL) as p:
            for i in range(1, 1001):
                p.send("DELE %d\r\n" % i)
            for i in range(1, 1001):
                p.expect_ok()
            p.cmd("QUIT")
        self.assertEqual(len(os.listdir(path + "/cur")), self.N - 1000)
        with inst.pop_as(CARL) as p:
            self.assertEqual(p.cmd("STAT").split()[1], str(self.N - 1000))
            p.cmd("QUIT")
