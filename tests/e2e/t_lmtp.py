"""Delivery by LMTP: to a scripted server and to a real Dovecot."""

import glob
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import unittest

from next_hop import NextHop
from submitd_instance import (ANNA, Instance, free_port, letter, wait_until)


class Dovecot:
    """An LMTP server of its own, by TCP and on a UNIX socket."""

    def __init__(self):
        self.root = tempfile.mkdtemp(prefix="submitd-dovecot-", dir="/tmp")
        os.chmod(self.root, 0o755)
        self.port = free_port()
        self.path = self.root + "/lmtp"
        me = pwd.getpwuid(os.getuid()).pw_name
        # Dovecot keeps mail under no root's name.
        owner = "mail" if os.getuid() == 0 else me
        entry = pwd.getpwnam(owner)
        os.mkdir(self.root + "/mail")
        os.chown(self.root + "/mail", entry.pw_uid, entry.pw_gid)
        with open(self.root + "/users", "w", encoding="ascii") as f:
            for user, more in (("x", ""), ("y", ""),
                               ("full", "userdb_quota_rule=*:bytes=1")):
                f.write("%s@dove.test:{PLAIN}x:%d:%d::%s/mail/%s::%s\n" % (
                    user, entry.pw_uid, entry.pw_gid, self.root, user, more))
        with open(self.root + "/dovecot.conf", "w", encoding="ascii") as f:
            f.write(CONF % {"root": self.root, "port": self.port,
                            "path": self.path, "login": "dovenull"
                            if os.getuid() == 0 else me,
                            "internal": "dovecot" if os.getuid() == 0 else me,
                            "uid": entry.pw_uid, "gid": entry.pw_gid})
        self.process = subprocess.Popen(
            [shutil.which("dovecot", path=os.environ["PATH"] + ":/usr/sbin"),
             "-F", "-c", self.root + "/dovecot.conf"],
            stdin=subprocess.DEVNULL, start_new_session=True)
        wait_until(lambda: os.path.exists(self.path), what="Dovecot")

    def letters(self, user):
        found = []
        for path in glob.glob(self.root + "/mail/%s/Maildir/new/*" % user):
            with open(path, "rb") as f:
                found.append(f.read())
        return found

    def close(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)
        shutil.rmtree(self.root, ignore_errors=True)


CONF = """
protocols = lmtp
listen = 127.0.0.1
base_dir = %(root)s/run
state_dir = %(root)s/state
log_path = %(root)s/log
ssl = no
default_login_user = %(login)s
default_internal_user = %(internal)s
default_internal_group = %(internal)s
first_valid_uid = %(uid)d
first_valid_gid = %(gid)d
auth_username_format = %%Lu
mail_location = maildir:~/Maildir
passdb {
  driver = passwd-file
  args = %(root)s/users
}
userdb {
  driver = passwd-file
  args = %(root)s/users
}
mail_plugins = quota
plugin {
  quota = maildir:all
  quota_rule = *:storage=1G
  quota_grace = 0
}
service anvil {
  chroot =
}
service lmtp {
  unix_listener %(path)s {
    mode = 0666
  }
  inet_listener lmtp {
    port = %(port)d
  }
}
"""


class Real(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dovecot = Dovecot()
        cls.inst = Instance()

    @classmethod
    def tearDownClass(cls):
        cls.inst.close()
        cls.dovecot.close()

    def send(self, rcpts, message):
        with self.inst.smtp_as(ANNA) as w:
            w.send_mail(ANNA, ["%s@dove.test" % r for r in rcpts], message)

    def use(self, host):
        self.inst.extra = """
route dove {
	domains = "dove.test"
	via = lmtp
	host = "%s"
}
""" % host
        self.inst.write_conf()
        self.assertIn("ev=reload.done", self.inst.reload("submitd"))

    def deliver_all(self):
        m = letter("by LMTP") + b".a dot\r\n.\r\n" + b"x" * 900 + b"\r\n"
        self.send(["x", "nobody", "full", "y"], m)
        as_kept = m.replace(b"\r\n", b"\n")
        for user in "xy":
            wait_until(lambda u=user: any(
                got.replace(b"\r\n", b"\n").endswith(as_kept)
                for got in self.dovecot.letters(u)), what="one to " + user)
        # Two reports in one: who is unknown, and whose mailbox is full.
        report = self.inst.fetch(ANNA, n=1)[0]
        self.assertIn(b"nobody@dove.test", report)
        self.assertIn(b"full@dove.test", report)
        self.assertNotIn(b"Final-Recipient: rfc822; x@dove.test", report)
        wait_until(self.inst.queue_empty, what="an empty queue")

    def test_tcp(self):
        self.use("127.0.0.1:%d" % self.dovecot.port)
        self.deliver_all()

    def test_unix(self):
        self.use("unix:" + self.dovecot.path)
        self.deliver_all()
        self.assertIn("relay=unix:", self.inst.log("submitd"))

    def test_a_large_one(self):
        self.use("unix:" + self.dovecot.path)
        before = len(self.dovecot.letters("x"))
        m = letter("large") + (b"y" * 70 + b"\r\n") * 40000
        self.send(["x"], m)
        wait_until(lambda: len(self.dovecot.letters("x")) > before)
        wait_until(lambda: max(map(len, self.dovecot.letters("x")))
                   > 71 * 40000)


class Scripted(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.inst = Instance(start=False)
        cls.path = cls.inst.root + "/lmtp"
        cls.hop = NextHop(lmtp=True, path=cls.path)
        cls.inst.extra = """
route away {
	domains = "away.test"
	via = lmtp
	host = "unix:%s.none"
}
route path {
	domains = "*"
	via = lmtp
	host = "unix:%s"
	bdat = yes
}
""" % (cls.path, cls.path)
        cls.inst.write_conf()
        cls.inst.start()
        cls.inst.add_user(ANNA, cls.inst.users[ANNA])

    @classmethod
    def tearDownClass(cls):
        cls.inst.close()
        cls.hop.down()

    def setUp(self):
        self.hop.clear()
        self.hop.up()
        with self.hop.changed:
            self.hop.messages.clear()
            self.hop.events.clear()

    def tearDown(self):
        self.inst.ctl("queue", "delete", "ALL", check=False)

    def send(self, *rcpts):
        m = letter("by LMTP")
        with self.inst.smtp_as(ANNA) as w:
            w.send_mail(ANNA, ["%s.test" % r for r in rcpts], m)
        return m

    def test_each_recipient_has_its_answer(self):
        """Only the one who was deferred is sent to again."""
        self.hop.rule("LMTP", "reply 451 4.2.1 later", match="late@",
                      times=1)
        self.hop.rule("LMTP", "reply 550 5.2.0 never", match="never@")
        self.send("a@path", "late@path", "never@path")
        first, second = self.hop.wait_messages(2)
        self.assertEqual(len(first.recipients), 3)
        self.assertEqual(second.recipients, ["late@path.test"])
        report = self.inst.fetch(ANNA, n=1)[0]
        self.assertIn(b"never@path.test", report)
        self.assertNotIn(self.path.encode(), report)

    def test_requiretls(self):
        """RFC 8689 is about networks: a socket of this machine is none, and is
        asked for it only where it knows the word."""
        was = self.hop.extensions
        for more in [], ["REQUIRETLS"]:
            self.hop.begin_anew([*was, *more])
            with self.inst.smtp_as(ANNA) as w:
                w.send_mail(ANNA, ["a@path.test"], letter("x"), " REQUIRETLS")
            asked = self.hop.wait_messages(1)[0].parameters.split()
            self.assertEqual("REQUIRETLS" in asked, bool(more))
        self.hop.begin_anew(was)

    def test_nobody_listens(self):
        self.send("a@away")
        self.inst.wait_log("submitd", r"ev=msg\.deferred .*lmtp\.none")
        self.inst.wait_log("submitd", r"ev=hop\.down .*the next server: no "
                           r"connection: No such file")

    def test_it_comes_back(self):
        self.hop.down()
        os.unlink(self.path)
        self.send("a@path")
        self.inst.wait_log("submitd", r"ev=msg\.deferred .*relay=unix:")
        self.hop.up()
        self.hop.wait_messages(1)

    def test_bdat(self):
        was = self.hop.extensions
        self.hop.extensions = was + ["CHUNKING"]
        try:
            wait_until(lambda: self.hop.open_now == 0, what="QUIT")
            sent = self.send("a@path", "b@path")
            m = self.hop.wait_messages(1)[0]
        finally:
            self.hop.extensions = was
        self.assertEqual(self.hop.count("BDAT"), 1)
        self.assertTrue(m.data.endswith(sent))


if __name__ == "__main__":
    unittest.main()
