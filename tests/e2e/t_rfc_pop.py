"""What the RFCs ask of a POP3 server, section by section, on the wire."""

import base64
import hashlib
import os
import re
import shutil
import signal
import socket
import ssl
import tempfile
import time
import unittest

from submitd_instance import (ANNA, BOB, PATIENCE_S, Instance, PopWire,
                              Refused, letter, make_cert, wait_until)

SECRET = "bob's second secret"
LONG = "p" * 255
UTF8_USER = "j\u00fcrgen@example.test"
UTF8_PASS = "p\u00e4ssw\u00f6rd"
NAMES = ["TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "EXPIRE",
         "LOGIN-DELAY", "UTF8", "LANG", "IMPLEMENTATION"]


def b64(text):
    return base64.b64encode(text.encode()).decode()


def plain(user, password, authzid=""):
    return b64("\0".join((authzid, user, password)))


def setUpModule():
    global inst, tmp, laptop
    tmp = tempfile.mkdtemp(prefix="submitd-rfc-pop-")
    laptop = make_cert(tmp, "laptop", "laptop.example.test")
    inst = Instance(conf={
        "help_text": "https://help.example.test", "error_limit": "100",
        "mechanisms": ["SCRAM-SHA-256", "EXTERNAL", "PLAIN", "APOP", "LOGIN"]})
    inst.ctl("user", "secret", "add", BOB, "--stdin", input=SECRET + "\n")
    inst.ctl("user", "certificate", "add", BOB, "laptop", laptop[0])


def tearDownModule():
    shutil.rmtree(tmp, ignore_errors=True)
    inst.close()


def capa(p):
    p.cmd("CAPA")
    return p.multiline().decode().splitlines()


def capa_text(p):
    """The next answer to a CAPA that was sent."""
    p.expect_ok()
    return p.multiline()


def names(p):
    return [x.split()[0] for x in capa(p)]


def put(user, *messages, instance=None):
    """Delivers, and waits until all of it is in the Maildir."""
    i = instance or inst
    have = i.drop_size(user)
    with i.smtp_as(ANNA) as w:
        for m in messages:
            w.send_mail(ANNA, [user], m)
    wait_until(lambda: i.drop_size(user) >= have + len(messages),
               what="delivery")


def place(user, text, name=None, instance=None):
    """Into the Maildir, as another MTA would: nothing is added. The folder is
    there."""
    d = (instance or inst).maildir(user)
    name = name or "%d.%s.host" % (time.time(), os.urandom(6).hex())
    path = os.path.join(d, "new", name)
    with open(path + ".part", "wb") as f:
        f.write(text)
    os.chmod(path + ".part", 0o660)
    if os.geteuid() == 0:
        st = os.stat(os.path.join(d, "new"))
        os.chown(path + ".part", st.st_uid, st.st_gid)
    os.rename(path + ".part", path)
    return path


class Case(unittest.TestCase):
    def setUp(self):
        inst.fetch(ANNA)

    def code(self, reply):
        """The response code of a reply, or None."""
        m = re.match(r"-ERR \[([A-Z0-9/-]+)\] ", reply)
        return m and m.group(1)

    def uidls(self, p):
        p.cmd("UIDL")
        return [x.split()[1] for x in p.multiline().decode().splitlines()]

    def can_log_in(self, user=ANNA):
        try:
            inst.grant(user)
            return True
        except Refused:
            return False


class Rfc1939(Case):
    def test_rfc1939_3_status_in_capitals_and_512_octets(self):
        with inst.pop() as p:
            for line in ("CAPA", "USER " + "x" * 240, "PASS " + "y" * 240,
                         "FOO" * 60, "AUTH PLAIN " + plain("a" * 255, LONG)):
                p.send(line + "\r\n")
                reply = p.line()
                self.assertRegex(reply, rb"^(\+OK|-ERR)( |\r\n$)")
                self.assertLessEqual(len(reply), 512)
                if line == "CAPA":
                    p.multiline()

    def test_rfc1939_3_dots_are_stuffed(self):
        put(ANNA, letter("dots", body=".\r\n..\r\n.a\r\nb.\r\n"))
        with inst.pop_as(ANNA) as p:
            for line in ("RETR 1", "TOP 1 100"):
                p.cmd(line)
                end = p.buffer_until_dot()
                self.assertTrue(p.buffer[:end].endswith(
                    b"\r\n\r\n..\r\n...\r\n..a\r\nb.\r\n"))
                p.buffer = p.buffer[end + 3:]
            p.cmd("QUIT")

    def test_rfc1939_3_unknown_and_wrong_state(self):
        with inst.pop() as p:
            for line in ("", "FOO", "STAT", "RETR 1", "NOOP", "PASS x",
                         "LAST", "XTND XMIT"):
                p.cmd(line, ok=False)
            p.login(ANNA, inst.users[ANNA])
            for line in ("FOO", "USER a", "PASS a", "APOP a b", "UTF8",
                         "STLS", "LAST"):
                p.cmd(line, ok=False)
            p.cmd("QUIT")

    def test_rfc1939_3_idle_timer_is_ten_minutes_at_least(self):
        # Whatever idle_timeout says (t_pop_session.c has the ten minutes).
        with Instance(conf={"idle_timeout": "10s",
                            "stranger_timeout": "10s"}) as i:
            with i.pop_as(ANNA) as p, i.pop() as stranger:
                self.assertTrue(stranger.is_closed())
                i.wait_log("popd", r"ev=pop3\.close .*why=timeout")
                p.cmd("NOOP")
                p.cmd("QUIT")

    def test_rfc1939_4_exclusive_lock_before_transaction(self):
        with inst.pop_as(ANNA) as p:
            with inst.pop() as q:
                q.cmd("USER " + ANNA)
                self.assertEqual(self.code(
                    q.cmd("PASS " + inst.users[ANNA], ok=False)), "IN-USE")
                # Still in AUTHORIZATION, and the lock is not lost by it.
                q.cmd("STAT", ok=False)
                p.cmd("QUIT")
                self.assertTrue(p.is_closed())
                wait_until(lambda: q.cmd("USER " + ANNA) and q.cmd(
                    "PASS " + inst.users[ANNA], ok=None).startswith("+OK"),
                    what="the lock")
                q.cmd("STAT")
                q.cmd("QUIT")

    def test_rfc1939_6_only_quit_deletes(self):
        put(ANNA, letter("a"))
        for how in ("close", "reset", "notify"):
            p = inst.pop_as(ANNA)
            p.cmd("DELE 1")
            if how == "reset":
                p.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                  b"\1\0\0\0\0\0\0\0")
            elif how == "notify":
                p.sock.unwrap()
            p.close()
            wait_until(self.can_log_in, what="the lock")
            self.assertEqual(inst.drop_size(ANNA), 1, how)
        with inst.pop_as(ANNA) as p:
            p.cmd("DELE 1")
            p.cmd("QUIT")
            # Removed before QUIT was answered.
            self.assertEqual(inst.drop_size(ANNA), 0)

    def test_rfc1939_7_uidl(self):
        put(ANNA, letter("a"), letter("b"), letter("b"))
        with inst.pop_as(ANNA) as p:
            ids = self.uidls(p)
            self.assertEqual(len(set(ids)), 3)
            for x in ids:
                self.assertRegex(x, r"^[!-~]{1,70}$")
            p.cmd("DELE 2")
            self.assertEqual(self.uidls(p), [ids[0], ids[2]])
            p.cmd("UIDL 2", ok=False)
            p.cmd("QUIT")
        # The same in other sessions, after moves and after a restart.
        d = inst.maildir(ANNA)
        for f in os.listdir(os.path.join(d, "new")):
            os.rename(os.path.join(d, "new", f),
                      os.path.join(d, "cur", f + ":2,S"))
        with inst.pop_as(ANNA) as p:
            self.assertEqual(self.uidls(p), [ids[0], ids[2]])
            p.cmd("QUIT")
        for role in ("popd-mbox", "popd-pop"):
            pid = inst.pid(role)
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda: inst.pid(role) not in (None, pid), what=role)
        wait_until(self.serves, what="popd")
        with inst.pop_as(ANNA) as p:
            self.assertEqual(self.uidls(p), [ids[0], ids[2]])
            p.cmd("DELE 1")
            p.cmd("QUIT")
        put(ANNA, letter("c"))
        with inst.pop_as(ANNA) as p:
            now = self.uidls(p)
            self.assertEqual(now[0], ids[2])
            self.assertNotIn(now[1], ids)
            p.cmd("QUIT")

    @staticmethod
    def serves():
        try:
            inst.grant(ANNA)
            return True
        except (OSError, AssertionError):
            return False

    def test_rfc1939_7_apop(self):
        stamps = set()
        for service in ("pop3", "pop3s", "pop3", "pop3s"):
            with self.subTest(service):
                p = self.greeted(service)
                stamp = re.search(r"<[^<>@ ]+@[^<>@ ]+>$", p.greeting).group()
                self.assertNotIn(stamp, stamps)
                stamps.add(stamp)
                if service == "pop3":
                    p.cmd("STLS")
                    p.start_tls(inst.tls_context())
                p.cmd("APOP %s %s" % (BOB, hashlib.md5(
                    (stamp + SECRET).encode()).hexdigest()))
                p.cmd("STAT")
                p.cmd("QUIT")
                p.close()

    def greeted(self, service, instance=None):
        i = instance or inst
        p = PopWire(("127.0.0.1", i.port(service)))
        if service == "pop3s":
            p.start_tls(i.tls_context())
        p.greeting = p.expect_ok()
        return p

    def test_rfc1939_7_no_stamp_without_apop(self):
        """No user has a secret; or it is not offered here."""
        with Instance(conf={"mechanisms_pop3s": ["PLAIN"],
                            "mechanisms": ["PLAIN", "APOP"]}) as i:
            def stamps():
                out = []
                for service in ("pop3", "pop3s"):
                    p = self.greeted(service, i)
                    out.append("<" in p.greeting)
                    p.close()
                return out
            self.assertEqual(stamps(), [False, False])
            i.ctl("user", "secret", "add", BOB, "--stdin", input=SECRET + "\n")
            wait_until(lambda: stamps() == [True, False], what="the stamp")
            i.ctl("user", "secret", "delete", BOB)
            wait_until(lambda: stamps() == [False, False], what="its end")

    def test_rfc1939_11_sizes(self):
        put(ANNA, letter("make the folder"))
        inst.fetch(ANNA)
        for text, octets in ((b"S: a\n\n.\n..\nx\n", 18),
                             (b"S: a\r\n\r\n.\r\n..\r\nx\r\n", 18),
                             (b"S: a\n\nno end", 16)):
            with self.subTest(text):
                place(ANNA, text)
                with inst.pop_as(ANNA) as p:
                    self.assertEqual(p.cmd("STAT").split()[1:3],
                                     ["1", str(octets)])
                    self.assertEqual(p.cmd("LIST 1").split()[1:3],
                                     ["1", str(octets)])
                    p.cmd("RETR 1")
                    self.assertEqual(len(p.multiline()), octets)
                    p.cmd("DELE 1")
                    p.cmd("QUIT")

    def test_rfc1939_13_apop_and_pass_not_with_one_secret(self):
        """A secret that MD5 is made of is never a password, nor the other way
        round: who breaks the one has not got the other."""
        with inst.pop() as p:
            p.cmd("USER " + BOB)
            self.assertEqual(self.code(p.cmd("PASS " + SECRET, ok=False)),
                             "AUTH")
        p = self.greeted("pop3s")
        stamp = p.greeting.split()[-1]
        self.assertEqual(self.code(p.cmd("APOP %s %s" % (BOB, hashlib.md5(
            (stamp + inst.users[BOB]).encode()).hexdigest()), ok=False)),
            "AUTH")
        p.close()

    def test_rfc1939_13_user_gives_no_hint(self):
        said = []
        for user in (ANNA, "nobody@example.test"):
            with inst.pop() as p:
                said.append((p.cmd("USER " + user),
                             p.cmd("PASS wrong", ok=False).rpartition(" [")[0]))
        self.assertEqual(said[0], said[1])


class Rfc2449(Case):
    def test_rfc2449_4_commands_of_255_octets(self):
        with inst.pop() as p:
            p.cmd("USER " + "u" * 248)		# 255 with CR LF
            self.assertIn("too long", p.cmd("USER " + "u" * 249, ok=False))
            # What a long line held does not run.
            self.assertIn("too long", p.cmd("QUIT" + " " * 5000, ok=False))
            capa(p)

    def test_rfc2449_5_capabilities_in_both_states(self):
        with inst.pop(tls=False) as p:
            clear = names(p)
            p.cmd("STLS")
            p.start_tls(inst.tls_context())
            before = names(p)
            p.login(ANNA, inst.users[ANNA])
            after = names(p)
            p.cmd("QUIT")
        for n in NAMES:
            for got in (clear, before, after):
                self.assertEqual(got.count(n), 1, (n, got))
        self.assertEqual(before, after)
        self.assertIn("STLS", clear)
        for n in ("USER", "SASL"):
            self.assertNotIn(n, clear)
            self.assertIn(n, after)

    def test_rfc2449_6_4_resp_codes_only_where_announced(self):
        # A text of -ERR begins with "[" only for a code.
        with inst.pop() as p:
            self.assertIn("RESP-CODES", names(p))
            for line in ("FOO", "PASS x", "USER", "STAT"):
                self.assertNotIn("-ERR [", p.cmd(line, ok=False))

    def test_rfc2449_6_5_login_delay(self):
        with Instance(conf={"login_delay": "10m"}) as i:
            # Without a Maildir there is none to keep it over a restart.
            with i.smtp_as(ANNA) as w:
                w.send_mail(ANNA, [ANNA], letter("first"))
            wait_until(lambda: os.path.isdir(i.maildir(ANNA) + "/new"),
                       what="delivery")
            with i.pop(tls=False) as p:
                self.assertIn("LOGIN-DELAY 600", capa(p))
            with i.pop_as(ANNA) as p:
                self.assertIn("LOGIN-DELAY 600", capa(p))
                p.cmd("QUIT")
            with i.pop() as p:
                for ways in (("USER " + ANNA, "PASS " + i.users[ANNA]),
                             ("AUTH PLAIN " + plain(ANNA, i.users[ANNA]),)):
                    for line in ways[:-1]:
                        p.cmd(line)
                    self.assertEqual(self.code(p.cmd(ways[-1], ok=False)),
                                     "LOGIN-DELAY")
                # Another user, and a wrong password, are not concerned.
                p.cmd("USER " + ANNA)
                self.assertEqual(self.code(p.cmd("PASS x", ok=False)), "AUTH")
                p.login(BOB, i.users[BOB])
                p.cmd("QUIT")
            i.clock(300)
            with self.assertRaises(Refused):
                i.pop_as(ANNA)
            self.restart_popd(i)
            with self.assertRaisesRegex(Refused, "LOGIN-DELAY"):
                i.pop_as(ANNA)
            i.clock(601)
            i.grant(ANNA)
            i.write_conf(login_delay="0s")
            i.reload("popd")
            wait_until(lambda: self.let_in(i), what="no delay")

    @staticmethod
    def restart_popd(i):
        p = i.procs["popd"]
        pids = [p.pid] + i.children(p.pid)
        p.terminate()
        p.wait(PATIENCE_S)
        i.gone(pids)
        i.start("popd")

    @staticmethod
    def let_in(i):
        try:
            i.grant(ANNA)
            return True
        except Refused:
            return False

    def test_rfc2449_6_6_pipelining(self):
        put(ANNA, letter("a"), letter("b"))
        with inst.pop() as p:
            p.send("USER %s\r\nPASS %s\r\nSTAT\r\nLIST\r\nRETR 1\r\nRETR 2\r\n"
                   "DELE 1\r\nFOO\r\nUIDL 2\r\nQUIT\r\n"
                   % (ANNA, inst.users[ANNA]))
            for _ in range(3):
                p.expect_ok()
            for _ in range(3):
                p.expect_ok()
                p.multiline()
            self.assertEqual(p.expect_ok(), "+OK Deleted")
            self.assertTrue(p.line().startswith(b"-ERR"))
            self.assertTrue(p.expect_ok().startswith("+OK 2 "))
            p.expect_ok()
            self.assertTrue(p.is_closed())
        self.assertEqual(inst.drop_size(ANNA), 1)

    def test_rfc2449_6_7_expire(self):
        with inst.pop() as p:
            self.assertIn("EXPIRE NEVER", capa(p))
        with Instance(conf={"pop_expire": "30"}) as i:
            with i.pop(tls=False) as p:
                self.assertIn("EXPIRE 30", capa(p))
            with i.pop_as(ANNA) as p:
                self.assertIn("EXPIRE 30", capa(p))
                p.cmd("QUIT")

    def test_rfc2449_8_1_2_in_use_only_with_the_right_password(self):
        with inst.pop_as(ANNA) as p, inst.pop() as q:
            q.cmd("USER " + ANNA)
            self.assertEqual(self.code(q.cmd("PASS wrong", ok=False)), "AUTH")
            q.cmd("USER " + ANNA)
            self.assertEqual(self.code(
                q.cmd("PASS " + inst.users[ANNA], ok=False)), "IN-USE")
            p.cmd("QUIT")


class Rfc3206(Case):
    def test_rfc3206_4_sys_temp(self):
        with Instance() as i:
            with i.pop() as p:
                core = i.pid("authd-core")
                os.kill(i.procs["authd"].pid, signal.SIGSTOP)
                try:
                    os.kill(core, signal.SIGKILL)
                    wait_until(lambda: self.is_temp(p), what="SYS/TEMP")
                finally:
                    os.kill(i.procs["authd"].pid, signal.SIGCONT)
                wait_until(lambda: p.cmd("USER " + ANNA) and p.cmd(
                    "PASS " + i.users[ANNA], ok=None).startswith("+OK"),
                    what="authd")
                p.cmd("QUIT")

    def is_temp(self, p):
        p.cmd("USER " + ANNA)
        return self.code(p.cmd("PASS wrong", ok=False)) == "SYS/TEMP"

    def test_rfc3206_4_sys_perm(self):
        """What only the administrator can mend."""
        inst.add_user("broken@example.test", "pw-broken-1")
        put("broken@example.test", letter("x"))
        d = inst.maildir("broken@example.test")
        os.rename(os.path.join(d, "cur"), d + ".cur")
        os.symlink("/etc", os.path.join(d, "cur"))
        with inst.pop() as p:
            p.cmd("USER broken@example.test")
            self.assertEqual(self.code(p.cmd("PASS pw-broken-1", ok=False)),
                             "SYS/PERM")

    def test_rfc3206_5_auth(self):
        with inst.pop() as p:
            self.assertIn("AUTH-RESP-CODE", names(p))
            p.cmd("USER " + ANNA)
            self.assertEqual(self.code(p.cmd("PASS wrong", ok=False)), "AUTH")
            self.assertEqual(self.code(p.cmd(
                "AUTH PLAIN " + plain(ANNA, "wrong"), ok=False)), "AUTH")

    def test_rfc3206_6_no_auth_code_on_user(self):
        with inst.pop() as p:
            for line in ("USER", "USER nobody", "USER " + ANNA):
                self.assertNotIn("[AUTH]", p.cmd(line, ok=None))
            # Nor for what is no wrong password.
            for line in ("AUTH FOO", "AUTH PLAIN !", "AUTH LOGIN =x"):
                self.assertIsNone(self.code(p.cmd(line, ok=False)))


class Rfc2595(Case):
    def test_rfc2595_2_3_no_password_in_clear(self):
        with inst.pop(tls=False) as p:
            for line in ("USER " + ANNA, "PASS " + inst.users[ANNA],
                         "AUTH PLAIN " + plain(ANNA, inst.users[ANNA]),
                         "AUTH LOGIN", "AUTH",
                         "APOP %s %s" % (BOB, "0" * 32)):
                self.assertIn("over TLS only", p.cmd(line, ok=False))

    def test_rfc2595_2_3_per_user(self):
        """A user who may not use POP3 at all hears what a stranger hears."""
        inst.add_user("nopop@example.test", "pw-nopop-1")
        inst.ctl("user", "set", "nopop@example.test", "may_pop=no")
        with inst.pop() as p:
            p.cmd("USER nopop@example.test")
            self.assertEqual(self.code(p.cmd("PASS pw-nopop-1", ok=False)),
                             "AUTH")

    def test_rfc2595_4_capa_and_stls(self):
        with inst.pop(tls=False) as p:
            self.assertIn("STLS", names(p))
            p.cmd("STLS now", ok=False)
            p.cmd("STLS")
            p.start_tls(inst.tls_context())
            # It stays in AUTHORIZATION, and nothing is left of before.
            self.assertNotIn("STLS", names(p))
            p.cmd("STAT", ok=False)
            p.cmd("STLS", ok=False)
            p.login(ANNA, inst.users[ANNA])
            p.cmd("STLS", ok=False)
            self.assertNotIn("STLS", names(p))
            p.cmd("QUIT")
        with inst.pop("pop3s") as p:
            self.assertNotIn("STLS", names(p))
            p.cmd("STLS", ok=False)

    def test_rfc2595_4_user_before_stls_is_forgotten(self):
        with inst.pop(tls=False) as p:
            p.cmd("USER " + ANNA, ok=False)
            p.cmd("UTF8")
            p.cmd("STLS")
            p.start_tls(inst.tls_context())
            p.cmd("PASS " + inst.users[ANNA], ok=False)

    def test_rfc2595_4_octets_behind_stls(self):
        for more in ("CAPA\r\n", "USER %s\r\nPASS x\r\n" % ANNA, "C"):
            with self.subTest(more), inst.pop(tls=False) as p:
                p.send("STLS\r\n" + more)
                self.assertTrue(p.is_closed())
                self.assertNotIn(b"+OK", p.buffer)

    def test_rfc2595_6_fields_of_255_octets(self):
        inst.add_user("long@example.test", LONG)
        with inst.pop() as p:
            p.cmd("AUTH PLAIN " + plain("long@example.test", LONG))
            p.cmd("QUIT")
        with inst.pop() as p:
            # Nobody has such names: the fields are read, and found wrong.
            self.assertEqual(self.code(p.cmd("AUTH PLAIN " + plain(
                "u" * 243 + "@example.tes", LONG, "z" * 255), ok=False)),
                "AUTH")


class Rfc5034(Case):
    def begin(self, p, line):
        p.send(line + "\r\n")
        return p.line()

    def test_rfc5034_4_empty_challenge(self):
        with inst.pop() as p:
            self.assertEqual(self.begin(p, "AUTH PLAIN"), b"+ \r\n")
            p.cmd(plain(ANNA, inst.users[ANNA]))
            p.cmd("QUIT")

    def test_rfc5034_4_initial_response(self):
        with inst.pop() as p:
            p.cmd("AUTH plain " + plain(ANNA, inst.users[ANNA]))
            p.cmd("QUIT")
        with inst.pop() as p:
            # "=" is one of no octets: no challenge comes.
            p.cmd("AUTH PLAIN =", ok=False)
            p.cmd("STAT", ok=False)

    def test_rfc5034_4_cancel(self):
        with inst.pop() as p:
            for mech in ("PLAIN", "LOGIN", "SCRAM-SHA-256"):
                self.assertTrue(self.begin(p, "AUTH " + mech).startswith(b"+ "))
                p.cmd("*", ok=False)
            p.login(ANNA, inst.users[ANNA])
            p.cmd("QUIT")

    def test_rfc5034_4_strict_base64(self):
        good = plain(ANNA, inst.users[ANNA])
        for bad in (good + "=", good[:-2] + "!!", " " + good, good[:8] + "=" +
                    good[9:], good + "A", good[:-1] + "\t", "====", "A"):
            with self.subTest(bad), inst.pop() as p:
                self.assertEqual(self.begin(p, "AUTH PLAIN"), b"+ \r\n")
                p.cmd(bad, ok=False)
                p.cmd("STAT", ok=False)

    def test_rfc5034_4_no_second_auth(self):
        with inst.pop() as p:
            p.cmd("AUTH PLAIN " + plain(ANNA, inst.users[ANNA]))
            for line in ("AUTH PLAIN " + plain(BOB, inst.users[BOB]), "AUTH",
                         "AUTH PLAIN"):
                p.cmd(line, ok=False)
            p.cmd("STAT")
            p.cmd("QUIT")

    def test_rfc5034_4_lines_of_12288_octets(self):
        for n, said in ((12288, "-ERR"), (12289, "too long")):
            with self.subTest(n), inst.pop() as p:
                line = "AUTH PLAIN "
                p.send(line + "A" * (n - len(line) - 2) + "\r\n")
                self.assertIn(said, p.line().decode())
                capa(p)
        with inst.pop() as p:
            self.assertEqual(self.begin(p, "AUTH PLAIN"), b"+ \r\n")
            p.send("A" * 20000 + "\r\n")
            self.assertIn("too long", p.line().decode())
            capa(p)

    def test_rfc5034_4_no_plaintext_mechanism_before_stls(self):
        with inst.pop(tls=False) as p:
            self.assertNotIn("SASL", names(p))
            p.cmd("AUTH PLAIN", ok=False)

    def test_rfc5034_4_failed_auth_leaves_no_state(self):
        with inst.pop() as p:
            p.cmd("USER " + ANNA)
            p.cmd("AUTH PLAIN " + plain(BOB, "wrong"), ok=False)
            # Neither bob nor the anna of before.
            p.cmd("PASS " + inst.users[ANNA], ok=False)
            p.cmd("STAT", ok=False)
            p.login(ANNA, inst.users[ANNA])
            p.cmd("QUIT")

    def test_rfc5034_6_mechanisms_are_listed(self):
        with inst.pop() as p:
            sasl = next(x.split()[1:] for x in capa(p)
                        if x.startswith("SASL "))
            self.assertEqual(sasl, ["SCRAM-SHA-256", "PLAIN", "LOGIN"])


class Rfc6856(Case):
    def test_rfc6856_2_1_utf8_only_before_login(self):
        with inst.pop(tls=False) as p:
            p.cmd("UTF8")
            p.cmd("UTF8 x", ok=False)
            p.cmd("STLS")
            p.start_tls(inst.tls_context())
            p.cmd("UTF8")
            p.login(ANNA, inst.users[ANNA])
            p.cmd("UTF8", ok=False)
            p.cmd("QUIT")

    def test_rfc6856_2_1_messages(self):
        """As it is with UTF8, a surrogate without; others never change."""
        put(ANNA, letter("make the folder"))
        inst.fetch(ANNA)
        kinds = (
            ("From: J\u00fcrgen <j\u00fcrgen@b\u00fccher.test>\r\n"
             "Subject: caf\u00e9\r\n\r\nna\u00efve\r\n".encode(),
             b"From: =?utf-8?Q?J=C3=BCrgen?=\r\n =?utf-8?Q?_j=C3=BCrgen"
             b"=40b=C3=BCcher=2Etest?= <address-in-utf-8@utf8.invalid>\r\n"
             b"Subject: =?utf-8?Q?caf=C3=A9?=\r\n\r\nna\xc3\xafve\r\n"),
            (b"Subject: a\r\n\r\n\xc3\xa9 \xff\r\n", None),
            (b"Subject: caf\xe9\r\n\r\nx\r\n", None))
        for text, surrogate in kinds:
            with self.subTest(text):
                place(ANNA, text)
                for utf8 in (True, False):
                    with inst.pop() as p:
                        if utf8:
                            p.cmd("UTF8")
                        p.login(ANNA, inst.users[ANNA])
                        self.assertEqual(p.cmd("LIST 1").split()[2],
                                         str(len(text)))
                        want = text if utf8 or not surrogate else surrogate
                        p.cmd("RETR 1")
                        got = p.multiline()
                        self.assertEqual(
                            got.replace(b"\r\n =?", b" =?"),
                            want.replace(b"\r\n =?", b" =?"))
                        p.cmd("TOP 1 0")
                        self.assertEqual(
                            p.multiline().replace(b"\r\n =?", b" =?"),
                            want.replace(b"\r\n =?", b" =?").split(
                                b"\r\n\r\n")[0] + b"\r\n\r\n")
                        if not utf8:
                            p.cmd("DELE 1")
                        p.cmd("QUIT")

    def test_rfc6856_2_2_users_in_utf8(self):
        """UTF8 need not be said for it; SASLprep is done."""
        inst.add_user(UTF8_USER, UTF8_PASS)
        with inst.pop() as p:
            self.assertIn("UTF8 USER", capa(p))
        decomposed = "pa\u0308sswo\u0308rd"
        for password in (UTF8_PASS, decomposed):
            for utf8 in (False, True):
                with self.subTest((password, utf8)), inst.pop() as p:
                    if utf8:
                        p.cmd("UTF8")
                    p.login(UTF8_USER, password)
                    p.cmd("QUIT")
                with inst.pop() as p:
                    p.cmd("AUTH PLAIN " + plain(UTF8_USER, password))
                    p.cmd("QUIT")

    def test_rfc6856_2_2_apop(self):
        """The digest is made of what SASLprep makes of the secret."""
        user, secret = "b\u00e4r@example.test", "se\u0301same"
        inst.add_user(user, "pw-baer-1")
        inst.ctl("user", "secret", "add", user, "--stdin",
                 input=secret + "\n")
        for name in (user, "ba\u0308r@example.test"):
            with PopWire(("127.0.0.1", inst.port("pop3s"))) as p:
                p.start_tls(inst.tls_context())
                stamp = p.expect_ok().split()[-1]
                p.cmd("APOP %s %s" % (name, hashlib.md5(
                    (stamp + "s\u00e9same").encode()).hexdigest()))
                p.cmd("QUIT")

    def test_rfc6856_2_2_what_is_no_utf8_or_prohibited(self):
        with inst.pop() as p:
            for user, password in ((b"j\xfcrgen@example.test", b"x"),
                                   (UTF8_USER.encode(), b"p\xe4ss"),
                                   (UTF8_USER.encode(),
                                    "p\u0007ss".encode()),
                                   (UTF8_USER.encode(),
                                    "p\ufdd0ss".encode())):
                p.cmd(b"USER " + user, ok=None)
                p.cmd(b"PASS " + password, ok=False)

    def test_rfc6856_3_lang(self):
        with inst.pop(tls=False) as p:
            self.assertIn("LANG", capa(p))
            p.cmd("LANG")
            tags = [x.split()[0] for x in
                    p.multiline().decode().splitlines()]
            self.assertEqual(tags, ["en", "i-default"])
            for ask, tag in (("en", "en"), ("EN-gb", "en"),
                             ("i-default", "i-default"), ("*", "i-default")):
                self.assertEqual(p.cmd("LANG " + ask).split()[1], tag)
            for ask in ("de", "x", "en de", "\u65e5\u672c", "-"):
                p.cmd("LANG " + ask, ok=False)
        with inst.pop_as(ANNA) as p:
            p.cmd("LANG en")
            p.cmd("LANG")
            p.multiline()
            p.cmd("QUIT")

    def test_rfc6856_5_too_large_for_surrogates(self):
        """No [UTF8]: whoever sends such a message would keep programs that
        know no UTF8 from all behind it."""
        put(ANNA, letter("make the folder"))
        inst.fetch(ANNA)
        place(ANNA, ("Subject: \u00e9\r\n" + ("X: %s\r\n" % ("y" * 900))
                     * 400 + "\r\nbody\r\n").encode())
        with inst.pop_as(ANNA) as p:
            for line in ("RETR 1", "TOP 1 0"):
                p.cmd(line)
                self.assertTrue(p.multiline().startswith(b"Subject: ??\r\n"))
            p.cmd("NOOP")
            p.cmd("QUIT")
        with inst.pop() as p:
            p.cmd("UTF8")
            p.login(ANNA, inst.users[ANNA])
            p.cmd("RETR 1")
            self.assertIn("\u00e9".encode(), p.multiline())
            p.cmd("DELE 1")
            p.cmd("QUIT")


class Rfc8314(Case):
    def test_rfc8314_3_1_pop3s_begins_in_authorization(self):
        """With a certificate too, which EXTERNAL then takes."""
        ctx = inst.tls_context()
        ctx.load_cert_chain(*laptop)
        with inst.pop("pop3s", context=ctx) as p:
            p.cmd("STAT", ok=False)
            self.assertIn("EXTERNAL", " ".join(capa(p)))
            p.cmd("AUTH EXTERNAL =")
            p.cmd("STAT")
            p.cmd("QUIT")

    def test_rfc8314_3_4_close_alert(self):
        for end in ("QUIT", "FOO"):
            with self.subTest(end):
                p = inst.pop("pop3s")
                p.sock.suppress_ragged_eofs = False
                p.send((end + "\r\n") * (1 if end == "QUIT" else 200))
                try:
                    while p.sock.recv(65536):
                        pass
                except (ssl.SSLZeroReturnError, ConnectionResetError):
                    pass
                p.close()

    def test_rfc8314_4_1_clear_logins_get_one_answer(self):
        said = set()
        for password in (inst.users[ANNA], "wrong"):
            with inst.pop(tls=False) as p:
                said.add((p.cmd("USER " + ANNA, ok=False).rpartition(" [")[0],
                          p.cmd("PASS " + password, ok=False)
                          .rpartition(" [")[0]))
        self.assertEqual(len(said), 1)

    def test_rfc8314_4_tls_1_2(self):
        for v in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            ctx = inst.tls_context(minimum_version=v, maximum_version=v)
            with inst.pop_as(ANNA, service="pop3s", context=ctx) as p:
                p.cmd("QUIT")


class Outside(Case):
    """As submission has it: help_text, recent, limits, takeover."""

    def test_help_text_and_id_for_a_person(self):
        with inst.pop() as p:
            p.cmd("USER " + ANNA)
            reply = p.cmd("PASS wrong", ok=False)
            self.assertIn("https://help.example.test [", reply)
            # What only a program reads has neither.
            self.assertNotIn("help.example", p.cmd("FOO", ok=False))
        sid = re.search(r"\[([0-9a-z]{16})\]$", reply).group(1)
        inst.wait_log("popd", "ev=pop3.close sid=%s" % sid)

        def told():
            r = inst.ctl("recent", sid, check=False)
            return r.stdout if sid in r.stdout else ""
        text = wait_until(told, what="recent " + sid)
        for word in (sid, "AUTH", "pop3", ANNA):
            self.assertIn(word, text)

    def test_takeover_of_a_silent_session(self):
        with Instance(conf={"pop_takeover": "1s"}) as i:
            put(ANNA, letter("keep me"), instance=i)
            with i.pop_as(ANNA) as old:
                old.cmd("DELE 1")
                new = wait_until(lambda: self.try_login(i), what="takeover")
                self.assertTrue(old.is_closed())
                self.assertEqual(old.buffer, b"")
                self.assertEqual(new.cmd("STAT").split()[1], "1")
                # A wrong password takes nothing over, nor another's.
                new.cmd("NOOP")
                with i.pop() as q:
                    q.cmd("USER " + ANNA)
                    q.cmd("PASS wrong", ok=False)
                    q.login(BOB, i.users[BOB])
                    q.cmd("QUIT")
                new.cmd("DELE 1")
                new.cmd("QUIT")
                new.close()
            self.assertEqual(i.drop_size(ANNA), 0)
            self.assertRegex(i.log("popd"),
                             r"ev=pop3\.takeover .*silent_s=[1-9]")
            sid = re.search(r"ev=pop3\.takeover sid=(\S+)",
                            i.log("popd")).group(1)
            i.wait_log("popd", "ev=pop3.close sid=%s .*why=takeover" % sid)
            wait_until(lambda: "newer session" in i.ctl(
                "recent", sid, check=False).stdout, what="recent of it")

    def test_takeover_in_the_middle_of_a_message(self):
        """Of a telephone that is in a tunnel, and takes nothing."""
        with Instance(conf={"pop_takeover": "1s",
                            "message_size_limit": "40M"}) as i:
            put(ANNA, letter("long", body=("x" * 70 + "\r\n") * 400000),
                instance=i)
            with i.pop_as(ANNA) as old:
                old.cmd("DELE 1")
                old.cmd("RSET")
                old.send(b"RETR 1\r\n")
                new = wait_until(lambda: self.try_login(i), what="takeover")
                self.assertEqual(new.cmd("STAT").split()[1], "1")
                new.cmd("QUIT")
                new.close()
            self.assertEqual(i.drop_size(ANNA), 1)
            self.assertIn("ev=pop3.takeover", i.log("popd"))

    def test_no_takeover_of_one_that_talks_or_is_switched_off(self):
        for conf in ({"pop_takeover": "1h"}, {"pop_takeover": "0s"}):
            with self.subTest(conf), Instance(conf=conf) as i:
                with i.pop_as(ANNA) as old:
                    self.assertIsNone(self.try_login(i))
                    old.cmd("NOOP")
                    old.cmd("QUIT")

    def test_answers_nobody_reads_are_not_made(self):
        """Megabytes of them are asked for."""
        ask, n = b"CAPA\r\n" * 2000000, 10
        i = Instance(conf={"output_limit": "16K", "workers": "1"}, start=False)
        # What a sanitizer keeps of freed memory is not the program's.
        i.env["ASAN_OPTIONS"] += (
            ":quarantine_size_mb=1:thread_local_quarantine_size_kb=64")
        with i:
            i.start()
            i.add_user(ANNA, i.users[ANNA])
            wires = [i.pop(tls=False) for _ in range(n)]
            before = self.rss(i)
            for w in wires:
                w.sock.settimeout(0.5)
                with self.assertRaises(TimeoutError):
                    w.sock.sendall(ask)
            self.assertLess(self.rss(i) - before, n * 256 * 1024)
            i.grant(ANNA)		# others are served
            w = wires[0]
            w.sock.settimeout(60)
            first = capa_text(w)
            for _ in range(2000):
                self.assertEqual(capa_text(w), first)
            for w in wires:
                w.close()

    @staticmethod
    def rss(i):
        with open("/proc/%d/status" % i.pid("popd-pop"),
                  encoding="ascii") as f:
            return int(re.search(r"VmRSS:\s+(\d+)", f.read())[1]) * 1024

    @staticmethod
    def try_login(i):
        try:
            return i.pop_as(ANNA)
        except Refused as e:
            assert "[IN-USE]" in str(e), e
            return None
