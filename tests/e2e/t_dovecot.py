"""A real Dovecot beside us: who logs in there by IMAP may send here.

With what is in etc/examples: dovecot-submitd.conf, dovecot-postlogin and
dovecot-feeder, but for paths and ports.
"""

import imaplib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import unittest

from submitd_instance import (ANNA, BOB, CARL, IS_ROOT, PASSWORDS, PATIENCE_S,
                              Instance, free_port, letter, wait_until)

EXAMPLES = os.path.join(os.environ.get("SUBMITD_SOURCE", os.path.dirname(
    os.path.dirname(os.path.dirname(os.path.abspath(__file__))))),
    "etc/examples")
DOVECOT = shutil.which("dovecot", path="/usr/sbin:/usr/local/sbin")
DOVEADM = shutil.which("doveadm", path="/usr/bin:/usr/local/bin:/bin")
POLL_S = 0.5

CONF = """
base_dir = {root}/run
state_dir = {root}/run
instance_name = submitd-test-{port}
log_path = {root}/dovecot.log
listen = 127.0.0.1
protocols = imap pop3
ssl_cert = <{cert}
ssl_key = <{key}
first_valid_uid = 0
mail_location = maildir:{root}/mail/%u
mail_uid = {mail_user}
mail_gid = {mail_user}
auth_mechanisms = plain
auth_username_format = %Lu
service imap-login {{
  inet_listener imap {{
    port = 0
  }}
  inet_listener imaps {{
    port = {port}
    ssl = yes
  }}
}}
service pop3-login {{
  inet_listener pop3 {{
    port = 0
  }}
  inet_listener pop3s {{
    port = {pop_port}
    ssl = yes
  }}
}}
passdb {{
  driver = passwd-file
  args = {root}/passwd
}}
userdb {{
  driver = static
  args = uid={mail_user} gid={mail_user} home={root}/mail/%u
}}
{example}
"""


class Imap(imaplib.IMAP4_SSL):
    def __init__(self, port, source, context):
        self.source = source
        super().__init__("127.0.0.1", port, ssl_context=context,
                         timeout=PATIENCE_S)

    def _create_socket(self, timeout=None):
        sock = socket.create_connection(
            (self.host, self.port), PATIENCE_S, (self.source, 0))
        return self.ssl_context.wrap_socket(sock, server_hostname="localhost")

    def idle(self):
        """IDLE (RFC 2177), which imaplib does not know."""
        self.send(b"z IDLE\r\n")
        assert self.readline().startswith(b"+")


class Dovecot:
    """In a folder of its own; the feeder too."""

    def __init__(self, inst):
        self.inst = inst
        self.root = os.path.join(inst.root, "dovecot")
        os.makedirs(self.root + "/mail", mode=0o755)
        os.chmod(self.root, 0o755)
        shutil.chown(self.root + "/mail", "nobody")
        self.fifo = inst.root + "/feeder/logins"
        self.port, self.pop_port = free_port(), free_port()
        self.conf = self.root + "/dovecot.conf"
        with open(self.root + "/passwd", "w", encoding="utf-8") as f:
            for user, password in PASSWORDS.items():
                f.write("%s:{PLAIN}%s\n" % (user, password))
        with open(self.conf, "w", encoding="utf-8") as f:
            f.write(CONF.format(
                root=self.root, port=self.port, pop_port=self.pop_port,
                cert=inst.cert, key=inst.key, mail_user=65534,
                example=self.example("dovecot-submitd.conf").replace(
                    "/usr/local/lib/submitd/", self.root + "/")))
        with open(self.root + "/dovecot-postlogin", "w",
                  encoding="utf-8") as f:
            f.write(self.example("dovecot-postlogin").replace(
                "/run/submitd-feeder/logins", self.fifo))
        os.chmod(self.root + "/dovecot-postlogin", 0o755)
        self.feeder = None
        self.feeder_log = open(self.root + "/feeder.log", "ab")
        self.begin_feeder()
        self.process = subprocess.Popen(
            [DOVECOT, "-F", "-c", self.conf], stdin=subprocess.DEVNULL,
            stdout=self.feeder_log, stderr=self.feeder_log,
            start_new_session=True)
        wait_until(self.listens, what="Dovecot")

    @staticmethod
    def example(name):
        with open(os.path.join(EXAMPLES, name), encoding="utf-8") as f:
            return f.read()

    def listens(self):
        if self.process.poll() is not None:
            raise RuntimeError(self.logs())
        try:
            socket.create_connection(("127.0.0.1", self.port)).close()
            return True
        except OSError:
            return False

    def connections(self):
        with open(self.root + "/feeder.log", encoding="utf-8",
                  errors="replace") as f:
            return f.read().count("connected to")

    def begin_feeder(self, *more):
        before = self.connections()
        self.feeder = subprocess.Popen(
            [sys.executable, os.path.join(EXAMPLES, "dovecot-feeder"),
             "--socket", self.inst.conf["notify_socket"],
             "--fifo", self.fifo, "--owner", "dovecot",
             "--doveadm", "%s -c %s" % (DOVEADM, self.conf),
             "--interval", str(POLL_S), *more], stdin=subprocess.DEVNULL,
            stdout=self.feeder_log, stderr=self.feeder_log)
        wait_until(lambda: self.connections() > before)

    def end_feeder(self):
        self.feeder.terminate()
        self.feeder.wait(PATIENCE_S)

    def logs(self):
        out = ""
        for name in ("feeder.log", "dovecot.log"):
            try:
                with open(os.path.join(self.root, name), "rb") as f:
                    out += f.read().decode("utf-8", "replace")[-4000:]
            except FileNotFoundError:
                pass
        return out

    def imap(self, user, source):
        m = Imap(self.port, source, self.inst.tls_context())
        m.login(user, PASSWORDS[user])
        return m

    def close(self):
        self.end_feeder()
        self.process.terminate()
        self.process.wait(PATIENCE_S)
        self.feeder_log.close()


def setUpModule():
    global inst, dovecot
    if not (DOVECOT and DOVEADM and IS_ROOT):
        raise unittest.SkipTest("needs Dovecot, and root for its users")
    inst = Instance(conf={"grant_ttl": "10m"}, start=False)
    inst.write_conf(notify_socket=inst.root + "/notify")
    inst.start()
    for user, password in list(inst.users.items()):
        inst.add_user(user, password)
    dovecot = Dovecot(inst)


def tearDownModule():
    dovecot.close()
    inst.close()


_next = iter(range(10, 250))


class Dove(unittest.TestCase):
    def setUp(self):
        inst.clock(0)
        self.here = "127.0.0.%d" % next(_next)

    def tearDown(self):
        inst.clock(0)

    def code(self, sender):
        with inst.smtp(source=self.here) as w:
            return w.cmd("MAIL FROM:<%s>" % sender)[0]

    def becomes(self, code, sender=ANNA):
        try:
            wait_until(lambda: self.code(sender) == code)
        except TimeoutError:
            self.fail("%s: %s\n%s" % (sender, self.code(sender),
                                      dovecot.logs()))

    def grant(self):
        records = inst.control_list("users", verb="grant.list",
                                    network=self.here)
        return records[0] if records else {}

    def test_a_login_lets_its_user_send_from_there(self):
        self.assertEqual(self.code(ANNA), 530)
        m = dovecot.imap(ANNA, self.here)
        self.becomes(250)
        self.assertEqual(self.code(BOB), 553)
        g = self.grant()
        self.assertEqual((g["user"], g["source"], g["protocol"], g["tls"]),
                         (ANNA, "notify", "imap", True))
        mail = letter("by IMAP before SMTP")
        with inst.smtp(source=self.here) as w:
            w.send_mail(ANNA, [BOB], mail)
        self.assertTrue(inst.fetch(BOB, n=1)[0].endswith(mail))
        m.select("INBOX")
        m.logout()
        self.assertEqual(self.code(ANNA), 250)

    def test_a_wrong_password_does_not(self):
        since = inst.log_size("authd")
        m = Imap(dovecot.port, self.here, inst.tls_context())
        with self.assertRaises(imaplib.IMAP4.error):
            m.login(ANNA, "wrong")
        m.shutdown()
        self.assertEqual(self.code(ANNA), 530)
        self.assertNotIn("ev=grant.new", inst.log("authd", since))

    def test_a_user_who_is_disabled_here(self):
        m = dovecot.imap(CARL, self.here)
        self.becomes(250, CARL)
        inst.ctl("user", "disable", CARL)
        self.assertEqual(self.code(CARL), 530)
        m.logout()
        since = inst.log_size("authd")
        m = dovecot.imap(CARL, self.here)
        inst.wait_log("authd", r"ev=notify\.no user=%s rip=%s .*why=user"
                      % (CARL, self.here), since)
        self.assertEqual(self.code(CARL), 530)
        m.logout()
        inst.ctl("user", "enable", CARL)

    def test_idle_keeps_the_grant(self):
        m = dovecot.imap(ANNA, self.here)
        self.becomes(250)
        m.select("INBOX")
        m.idle()
        for now in range(400, 2000, 400):
            inst.clock(now)
            # doveadm who is asked, and the feeder tells of the session.
            since = int(time.time()) + now
            wait_until(lambda: self.grant()["refreshed_s"] >= since)
        self.assertEqual(self.code(ANNA), 250)
        self.assertEqual(self.grant()["protocol"], "imap")
        m.send(b"DONE\r\n")
        m.readline()
        m.logout()
        wait_until(lambda: ANNA + " " + self.here not in self.who())
        inst.clock(2000 + 601)
        self.becomes(530)

    @staticmethod
    def who():
        out = subprocess.run([DOVEADM, "-c", dovecot.conf, "-f", "tab", "who",
                              "-1"], capture_output=True, text=True)
        return re.sub(r"(?m)^(\S+)\t.*\t(127\S+)$", r"\1 \2", out.stdout)

    def test_pop3(self):
        import poplib
        s = socket.create_connection(("127.0.0.1", dovecot.pop_port),
                                     PATIENCE_S, (self.here, 0))
        s.close()

        class Pop(poplib.POP3_SSL):
            def _create_socket(pop, timeout):
                sock = socket.create_connection(
                    (pop.host, pop.port), timeout, (self.here, 0))
                return pop.context.wrap_socket(sock,
                                               server_hostname="localhost")
        p = Pop("127.0.0.1", dovecot.pop_port, timeout=PATIENCE_S,
                context=inst.tls_context())
        p.user(BOB)
        p.pass_(PASSWORDS[BOB])
        self.becomes(250, BOB)
        self.assertEqual(self.grant()["protocol"], "pop3")
        p.quit()

    def test_revoked_is_revoked_while_the_session_goes_on(self):
        m = dovecot.imap(ANNA, self.here)
        self.becomes(250)
        inst.ctl("grant", "revoke", self.here)
        other = dovecot.imap(BOB, self.here)    # a poll later
        self.becomes(250, BOB)
        self.renewed()
        self.assertEqual(self.code(ANNA), 553)
        m.logout()
        other.logout()

    def renewed(self):
        first = self.grant()["refreshed_s"]
        wait_until(lambda: self.grant()["refreshed_s"] > first)

    def test_authd_core_dies(self):
        """What was not answered is told again."""
        core = inst.pid("authd-core")
        os.kill(core, signal.SIGKILL)
        m = dovecot.imap(ANNA, self.here)
        self.becomes(250)
        m.logout()

    def test_authd_is_away_for_a_while(self):
        inst.procs["authd"].terminate()
        inst.procs["authd"].wait(PATIENCE_S)
        m = dovecot.imap(ANNA, self.here)
        inst.start("authd")
        wait_until(lambda: self.grant())
        inst.wait_logins()
        self.becomes(250)
        m.logout()

    def test_the_feeder_is_away(self):
        """Nobody waits for it."""
        dovecot.end_feeder()
        m = dovecot.imap(BOB, self.here)
        m.select("INBOX")
        dovecot.begin_feeder()
        self.assertEqual(self.code(BOB), 530)   # not told of
        again = dovecot.imap(BOB, self.here)
        self.becomes(250, BOB)
        m.logout()
        again.logout()

    def test_logout_ends_it_if_so_wished(self):
        dovecot.end_feeder()
        dovecot.begin_feeder("--logout")
        try:
            one = dovecot.imap(ANNA, self.here)
            two = dovecot.imap(ANNA, self.here)
            self.becomes(250)
            self.renewed()
            one.logout()
            self.assertEqual(self.code(ANNA), 250)
            two.logout()
            self.becomes(530)
        finally:
            dovecot.end_feeder()
            dovecot.begin_feeder()

    def test_nobody_writes_to_the_fifo(self):
        st = os.stat(dovecot.fifo)
        self.assertEqual(st.st_mode & 0o777, 0o600)


if __name__ == "__main__":
    unittest.main()
