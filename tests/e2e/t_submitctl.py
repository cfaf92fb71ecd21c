"""submitctl: what it does to running daemons, and how it answers."""

import json
import os
import pty
import select
import signal
import socket
import subprocess
import unittest

from submitd_instance import (ANNA, BOB, IS_ROOT, PATIENCE_S, Instance, letter,
                              program, wait_until)

EX_USAGE, EX_DATAERR, EX_NOUSER, EX_UNAVAILABLE = 64, 65, 67, 69


def setUpModule():
    global inst
    inst = Instance()


def tearDownModule():
    inst.close()


class Case(unittest.TestCase):
    def ctl(self, *args, code=0, input=None):
        r = inst.ctl(*args, input=input, check=False)
        self.assertEqual(r.returncode, code, "submitctl %s: %s%s" % (
            " ".join(args), r.stdout, r.stderr))
        return r.stdout + r.stderr if code else r.stdout

    def login(self, user, password, code=235):
        with inst.smtp() as w:
            w.auth_plain(user, password, code)

    def records(self, text):
        return [json.loads(x) for x in text.splitlines() if x.strip()]


class Users(Case):
    U = "tess@example.test"

    def setUp(self):
        self.ctl("user", "add", self.U, "--stdin", input="tess-secret\n")

    def tearDown(self):
        inst.ctl("user", "delete", self.U, check=False)

    def test_add_is_seen_at_once(self):
        self.login(self.U, "tess-secret")
        self.assertIn(self.U, self.ctl("user", "list"))
        self.assertIn(self.U, self.ctl("user", "show", self.U))
        self.ctl("user", "show", "TESS@example.test")

    def test_add_twice_changes_nothing(self):
        r = inst.ctl("user", "add", self.U, "--stdin", input="other\n", check=False)
        self.assertNotEqual(r.returncode, 0)
        self.login(self.U, "tess-secret")

    def test_wrong_names(self):
        for name in ("@example.test", "tess@", "te ss@example.test",
                     "../x@example.test", "a\nb@example.test"):
            with self.subTest(name):
                r = inst.ctl("user", "add", name, "--stdin", input="pw-123456\n",
                             check=False)
                self.assertNotEqual(r.returncode, 0, r.stdout)
                self.assertTrue(r.stderr.strip())

    def test_wrong_passwords(self):
        for pw in ("\n", "", "a\0b\n"):
            with self.subTest(pw):
                r = inst.ctl("user", "add", "new@example.test", "--stdin",
                             input=pw, check=False)
                self.assertNotEqual(r.returncode, 0)

    def test_disable_enable(self):
        self.ctl("user", "disable", self.U)
        self.login(self.U, "tess-secret", 535)
        p = inst.pop()
        p.cmd("USER " + self.U)
        p.cmd("PASS tess-secret", ok=False)
        p.close()
        self.assertRegex(self.ctl("user", "list"), r"(?m)%s.*disabled" % self.U)
        self.ctl("user", "enable", self.U)
        self.login(self.U, "tess-secret")

    def test_disable_ends_what_a_session_may_do(self):
        with inst.smtp(auth=(self.U, "tess-secret")) as w:
            self.ctl("user", "disable", self.U)
            self.assertEqual(w.cmd("MAIL FROM:<%s>" % self.U)[0], 421)
            self.assertTrue(w.is_closed())

    def test_delete_keeps_the_maildir_and_says_where(self):
        n = inst.drop_size(self.U) + 1
        with inst.smtp_as(ANNA) as w:
            w.send_mail(ANNA, [self.U], letter("kept"))
        wait_until(lambda: inst.drop_size(self.U) == n, what="delivery")
        out = self.ctl("user", "delete", self.U)
        self.assertIn(inst.maildir(self.U), out)
        self.assertEqual(inst.drop_size(self.U), n)
        self.login(self.U, "tess-secret", 535)
        with inst.smtp_as(ANNA) as w:
            w.cmd("MAIL FROM:<%s>" % ANNA, 250)
            w.cmd("RCPT TO:<%s>" % self.U, 550)

    def test_aliases(self):
        self.ctl("user", "alias", "add", self.U, "info@example.test")
        self.assertIn("info@example.test", self.ctl("user", "show", self.U))
        m = letter("to the alias", self.U)
        n = inst.drop_size(self.U) + 1
        with inst.smtp(auth=(self.U, "tess-secret")) as w:
            w.cmd("MAIL FROM:<info@example.test>", 250)
            w.cmd("RSET", 250)
            w.send_mail(self.U, ["info@example.test"], m)
        wait_until(lambda: inst.drop_size(self.U) == n, what="delivery")
        r = inst.ctl("user", "alias", "add", ANNA, "info@example.test", check=False)
        self.assertNotEqual(r.returncode, 0)
        r = inst.ctl("user", "add", "info@example.test", "--stdin",
                     input="pw-123456\n", check=False)
        self.assertNotEqual(r.returncode, 0)
        self.ctl("user", "alias", "delete", "info@example.test")
        with inst.smtp(auth=(self.U, "tess-secret")) as w:
            self.assertEqual(w.cmd("MAIL FROM:<info@example.test>")[0], 553)

    def test_set(self):
        self.ctl("user", "set", self.U, code=EX_USAGE)

    def test_unknown_user(self):
        for verb in ("show", "disable", "enable", "delete"):
            with self.subTest(verb):
                self.ctl("user", verb, "nobody@example.test", code=EX_NOUSER)

    def test_json(self):
        users = self.records(self.ctl("user", "list", "-j"))
        self.assertIn(self.U, [u.get("user") or u.get("name") for u in users])
        self.assertNotIn("StoredKey", json.dumps(users))
        self.assertNotIn("tess-secret", json.dumps(users))

    def test_password_by_prompt(self):
        """Asked for on the terminal, twice, without an echo."""
        out = self.by_terminal(["user", "passwd", self.U],
                               [b"new-secret\n", b"new-secret\n"])
        self.assertNotIn(b"new-secret", out)
        self.login(self.U, "new-secret")
        self.login(self.U, "tess-secret", 535)

    def test_prompts_that_differ(self):
        self.by_terminal(["user", "passwd", self.U], [b"one-1234\n", b"two-1234\n"],
                         code_is_0=False)
        self.login(self.U, "tess-secret")

    def by_terminal(self, args, answers, code_is_0=True):
        pid, fd = pty.fork()
        if pid == 0:
            os.execve(program("submitctl"),
                      ["submitctl", "-c", inst.conf_file, *args], inst.env)
        out = b""
        try:
            for a in answers:
                before = len(out)
                while b":" not in out[before:]:
                    if not select.select([fd], [], [], PATIENCE_S)[0]:
                        self.fail("no prompt: %r" % out)
                    out += os.read(fd, 1000)
                os.write(fd, a)
            while True:
                out += os.read(fd, 1000)
        except OSError:
            pass
        _, status = os.waitpid(pid, 0)
        os.close(fd)
        self.assertEqual(os.waitstatus_to_exitcode(status) == 0, code_is_0, out)
        return out

    def test_no_password_on_the_command_line(self):
        r = inst.ctl("user", "passwd", self.U, "on-the-line", check=False)
        self.assertEqual(r.returncode, EX_USAGE)
        self.login(self.U, "tess-secret")

    def test_changes_are_logged_with_the_uid(self):
        since = inst.log_size("authd")
        self.ctl("user", "disable", self.U)
        inst.wait_log("authd", r"uid=%d\b" % os.getuid(), since)


class Grants(Case):
    def test_list_query_revoke_purge(self):
        inst.grant(ANNA, "127.0.0.61")
        inst.grant(BOB, "127.0.0.61")
        out = self.ctl("grant", "list")
        for x in ("127.0.0.61", ANNA, BOB):
            self.assertIn(x, out)
        got = self.records(self.ctl("grant", "list", "-j"))
        self.assertEqual(len([g for g in got if "127.0.0.61" in json.dumps(g)]), 2)
        self.ctl("grant", "query", "127.0.0.61")
        self.ctl("grant", "query", "127.0.0.62", code=1)
        self.assertIn(inst.ctl("grant", "query", "no address",
                               check=False).returncode, (EX_USAGE, EX_DATAERR))
        self.ctl("grant", "revoke", "--user", BOB)
        self.assertNotIn(BOB, self.ctl("grant", "list"))
        self.ctl("grant", "revoke", "127.0.0.61")
        self.ctl("grant", "query", "127.0.0.61", code=1)
        self.ctl("grant", "purge")
        self.assertNotIn("127.0.0.6", self.ctl("grant", "list"))


class Configuration(Case):
    def test_check(self):
        self.ctl("config", "check")

    def test_show(self):
        everything = self.ctl("config", "show")
        changed = self.ctl("config", "show", "-n")
        self.assertIn("grant_ttl", everything)
        self.assertNotIn("grant_ttl", changed)
        self.assertIn("hostname", changed)
        self.assertIn("30m", self.ctl("config", "show", "grant_ttl"))
        self.assertNotEqual(
            inst.ctl("config", "show", "no_such_key", check=False).returncode, 0)
        self.assertIn("587", self.ctl("config", "show", "-d"))

    def test_show_is_a_configuration(self):
        f = os.path.join(inst.root, "shown.conf")
        with open(f, "w", encoding="utf-8") as h:
            h.write(self.ctl("config", "show"))
        r = subprocess.run([program("submitctl"), "-c", f, "config", "check"],
                           capture_output=True, text=True, env=inst.env)
        self.assertEqual(r.returncode, 0, r.stderr)


class Queue(Case):
    def test_empty(self):
        self.ctl("queue", "list")
        self.assertEqual(self.ctl("queue", "list", "-j").strip(), "")
        for verb in ("show", "delete", "flush"):
            self.assertNotEqual(inst.ctl(
                "queue", verb, "AAAAAAAAAAAAAAAA", check=False).returncode, 0)


class Whole(Case):
    def test_status(self):
        out = self.ctl("status")
        for name in ("authd", "submitd", "popd"):
            self.assertIn(name, out)
        if not IS_ROOT:
            self.assertRegex(out, r"(?i)wall|one user|without root")

    def test_status_down(self):
        other = Instance(start=False)
        try:
            r = other.ctl("status", check=False)
            self.assertEqual(r.returncode, 2, r.stdout + r.stderr)
        finally:
            other.close()

    def test_status_degraded(self):
        inst.procs["popd"].terminate()
        inst.procs["popd"].wait()
        try:
            self.ctl("status", code=1)
        finally:
            inst.start("popd")
        wait_until(lambda: inst.ctl("status", check=False).returncode == 0,
                   what="status 0")

    def test_daemons_away(self):
        other = Instance(start=False)
        try:
            for args in (("user", "list"), ("grant", "list"), ("queue", "list")):
                with self.subTest(args):
                    r = other.ctl(*args, check=False)
                    self.assertEqual(r.returncode, EX_UNAVAILABLE, r.stderr)
        finally:
            other.close()

    def test_an_old_list_without_lines(self):
        r = self.ctl("maildrop", "uidl-diff", "/dev/zero", ANNA,
                     code=EX_DATAERR)
        self.assertIn("/dev/zero: there is a line that has no UIDL", r)

    def test_usage(self):
        for args in ((), ("nonsense",), ("user",), ("user", "nonsense"),
                     ("queue", "show"), ("--nonsense",)):
            with self.subTest(args):
                r = inst.ctl(*args, check=False)
                self.assertEqual(r.returncode, EX_USAGE, r.stdout)

    def test_help(self):
        self.assertIn("user", self.ctl("help"))
        for word in ("user", "grant", "queue", "config", "reload", "status"):
            with self.subTest(word):
                self.assertIn(word, self.ctl("help", word))

    def test_ctl_with_a_child_frozen_does_not_hang(self):
        pid = inst.pid("authd-core")
        os.kill(pid, signal.SIGSTOP)
        try:
            # It ends within PATIENCE_S.
            r = inst.ctl("user", "list", check=False)
            self.assertNotEqual(r.returncode, 0)
        finally:
            os.kill(pid, signal.SIGCONT)
        wait_until(lambda: inst.ctl("user", "list", check=False).returncode == 0,
                   what="authd again")

    def test_garbage_on_the_control_sockets(self):
        d = os.path.join(inst.conf["run_dir"], "control")
        names = os.listdir(d)
        self.assertTrue({"users", "queue"} <= set(names), names)
        for name in names:
            for data in (b"\0" * 100, b"{", b"[]", b'{"verb":5}', b"x" * 60000,
                         b'{"verb":"user.add"}', b'{"verb":"nonsense"}',
                         b'{"verb":"user.list","x":' + b"[" * 5000 + b"]" * 5000 + b"}"):
                with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
                    s.settimeout(5)
                    s.connect(os.path.join(d, name))
                    s.send(data)
                    try:
                        s.recv(65536)
                    except (OSError, TimeoutError):
                        pass
        self.ctl("status")
        self.ctl("user", "list")

    @unittest.skipUnless(IS_ROOT, "as root only")
    def test_others_may_not(self):
        for name in os.listdir(os.path.join(inst.conf["run_dir"], "control")):
            path = os.path.join(inst.conf["run_dir"], "control", name)
            r = subprocess.run(
                ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
                 "python3", "-c", "import socket,sys;"
                 "s=socket.socket(socket.AF_UNIX,socket.SOCK_SEQPACKET);"
                 "s.connect(sys.argv[1])", path], capture_output=True, cwd="/")
            self.assertNotEqual(r.returncode, 0, name)
            self.assertIn(b"PermissionError", r.stderr)

    @unittest.skipUnless(IS_ROOT, "as root only")
    def test_members_of_the_group_may(self):
        """The key is root's alone; that hinders no reload."""
        os.chmod(inst.key, 0o600)
        for args, code, said in ((["status"], 0, "healthy"),
                                 (["user", "list"], 0, ANNA),
                                 (["reload"], 0, "submitd: reloaded"),
                                 (["config", "check"], 77, "")):
            with self.subTest(args):
                r = subprocess.run(
                    ["setpriv", "--reuid=65534", "--regid=65534",
                     "--groups=_submitadm", program("submitctl"), "-c",
                     inst.conf_file, *args], capture_output=True, text=True,
                    env=inst.env, cwd="/")
                self.assertEqual(r.returncode, code, r.stdout + r.stderr)
                self.assertIn(said, r.stdout)
