"""etc/quickstart, without sanitizers, as somebody new would run it."""

import os
import poplib
import shutil
import signal
import smtplib
import socket
import ssl
import subprocess
import tempfile
import unittest

from submitd_instance import IPV6, letter, wait_until

SOURCE = os.environ.get("SUBMITD_SOURCE", os.path.dirname(os.path.dirname(
    os.path.dirname(os.path.abspath(__file__)))))
QUICKSTART = os.path.join(SOURCE, "etc", "quickstart")


def setUpModule():
    global top, first
    top = tempfile.mkdtemp(prefix="submitd-quick-")
    os.chmod(top, 0o755)
    first = Quick("one", "--domain", "quick.test", "--set", "grant_ttl=2m",
                  "--set", "help_text=", "--set", "message_size_limit=2M",
                  "--next-hop", "127.0.0.1:9")


def tearDownModule():
    first.run("remove")
    left = pids_of(first.dir)
    shutil.rmtree(top, ignore_errors=True)
    assert not left, left
    assert not os.path.exists(first.dir)


def pids_of(directory):
    out = []
    for pid in os.listdir("/proc"):
        if pid.isdigit():
            try:
                with open("/proc/%s/cmdline" % pid, "rb") as f:
                    if f.read().startswith(directory.encode() + b"/usr/"):
                        out.append(int(pid))
            except OSError:
                pass
    return out


class Quick:
    def __init__(self, name, *args):
        self.dir = os.path.join(top, name)
        self.out = self.run(*args)
        self.env = self.read_env()

    def run(self, *args, ok=True, timeout=900):
        r = subprocess.run([QUICKSTART, "--root", self.dir, *args], text=True,
                           capture_output=True, timeout=timeout,
                           stdin=subprocess.DEVNULL)
        if ok and r.returncode:
            raise AssertionError("quickstart %s: %d\n%s\n%s" % (
                args, r.returncode, r.stdout[-3000:], r.stderr[-3000:]))
        return r.stdout if ok else r

    def read_env(self):
        """As a shell has it after reading the file."""
        out = subprocess.run(
            ["sh", "-c", '. "$1"; for v in SMTP_HOST SMTP_PORT SMTPS_PORT '
             'POP_HOST POP_PORT POPS_PORT USER PASS CAFILE LOCAL_DOMAIN '
             'KILL_CMD RESTART_CMD; do eval "printf \'%s\\0\' \\"\\$$v\\""; done',
             "sh", os.path.join(self.dir, "instance.env")],
            check=True, capture_output=True).stdout.decode().split("\0")
        names = ("SMTP_HOST SMTP_PORT SMTPS_PORT POP_HOST POP_PORT POPS_PORT "
                 "USER PASS CAFILE LOCAL_DOMAIN KILL_CMD RESTART_CMD").split()
        return dict(zip(names, out))

    def context(self):
        return ssl.create_default_context(cafile=self.env["CAFILE"])

    def round_trip(self):
        e = self.env
        m = letter("round", sender=e["USER"], to=e["USER"])
        with smtplib.SMTP(e["SMTP_HOST"], int(e["SMTP_PORT"]), timeout=60) as s:
            s.starttls(context=self.context())
            s.login(e["USER"], e["PASS"])
            s.sendmail(e["USER"], [e["USER"]], m)

        def fetched():
            p = poplib.POP3_SSL(e["POP_HOST"], int(e["POPS_PORT"]),
                                context=self.context(), timeout=60)
            p.user(e["USER"])
            p.pass_(e["PASS"])
            got = [b"\r\n".join(p.retr(i + 1)[1]) + b"\r\n"
                   for i in range(p.stat()[0])]
            for i in range(len(got)):
                p.dele(i + 1)
            p.quit()
            return got
        got = wait_until(fetched, what="the message")
        assert len(got) == 1 and got[0].endswith(m), got


class One(unittest.TestCase):
    def test_0_what_it_prints(self):
        out = first.out
        self.assertRegex(out, r"(?m)^Packages: .*libevent-dev")
        self.assertIn("530 5.7.0", out)
        self.assertIn("POP-before-SMTP", out)
        last = out.rstrip().split("\n")[-14:]
        self.assertTrue(any("self-signed" in x for x in last), last)
        self.assertRegex(last[-1], r"submitctl")
        self.assertIn(first.env["PASS"], out)

    def test_1_instance_env(self):
        e = first.env
        self.assertEqual(e["USER"], "user@quick.test")
        self.assertGreaterEqual(len(e["PASS"]), 12)
        self.assertEqual(e["LOCAL_DOMAIN"], "quick.test")
        self.assertEqual((e["SMTP_HOST"], e["POP_HOST"]), ("localhost", "localhost"))
        self.assertTrue(os.path.isabs(e["CAFILE"]))
        ports = [int(e[k]) for k in ("SMTP_PORT", "SMTPS_PORT", "POP_PORT", "POPS_PORT")]
        self.assertEqual(len(set(ports)), 4)
        for p in ports:
            self.assertGreater(p, 1024)
            for a in ["127.0.0.1"] + (["::1"] if IPV6 else []):
                socket.create_connection((a, p), 10).close()
        with open(os.path.join(first.dir, "etc/submitd.conf"), encoding="utf-8") as f:
            text = f.read()
        self.assertIn(e["SMTP_PORT"], text)
        r = subprocess.run(["openssl", "x509", "-noout", "-text", "-in", e["CAFILE"]],
                           capture_output=True, text=True, check=True).stdout
        for name in ("DNS:localhost", "IP Address:127.0.0.1",
                     "IP Address:0:0:0:0:0:0:0:1", "DNS:mail.quick.test", "id-ecPublicKey"):
            self.assertIn(name, r)

    def test_2_round_trip(self):
        first.round_trip()

    def test_3_settings(self):
        ctl = [os.path.join(first.dir, "usr/sbin/submitctl"), "-c",
               os.path.join(first.dir, "etc/submitd.conf")]
        show = subprocess.run(ctl + ["config", "show"], capture_output=True,
                              text=True, check=True).stdout
        self.assertRegex(show, r"grant_ttl.*2m")
        self.assertRegex(show, r"next_hop.*127\.0\.0\.1:9")
        users = subprocess.run(ctl + ["user", "list"], capture_output=True,
                               text=True, check=True).stdout
        self.assertIn("user@quick.test", users)

    def test_4_the_last_line_is_a_command_for_this_instance(self):
        cmd = first.out.rstrip().split("\n")[-1].strip()
        r = subprocess.run(["sh", "-c", cmd], capture_output=True, text=True)
        self.assertEqual(r.returncode, 0, r.stderr)

    def test_5_again_changes_nothing(self):
        before = dict(first.env)
        pids = set(pids_of(first.dir))
        first.run()
        self.assertEqual(first.read_env(), before)
        self.assertTrue(pids & set(pids_of(first.dir)))
        first.round_trip()
        # More users may come, and nobody's password changes.
        more = ["--user", "user:not this one", "--user", "ann:s3cret 'x\"$y",
                "--user", "ben@quick.test:bens"]
        first.run(*more)
        self.assertEqual(first.read_env(), before)
        for user, password in (("ann@quick.test", "s3cret 'x\"$y"),
                               ("ben@quick.test", "bens"),
                               (before["USER"], before["PASS"])):
            with smtplib.SMTP_SSL("localhost", int(before["SMTPS_PORT"]),
                                  context=first.context(), timeout=60) as s:
                s.login(user, password)

    def test_6_kill_and_restart(self):
        for _ in range(3):
            self.assertTrue(pids_of(first.dir))
            subprocess.run(["sh", "-c", first.env["KILL_CMD"]], check=True, timeout=60)
            self.assertEqual(pids_of(first.dir), [])
            # Its output is read to the end: nobody started holds it.
            r = subprocess.run(["sh", "-c", first.env["RESTART_CMD"]],
                               capture_output=True, timeout=60)
            self.assertEqual(r.returncode, 0, r.stderr)
            for k in ("SMTP_PORT", "SMTPS_PORT", "POP_PORT", "POPS_PORT"):
                socket.create_connection(("127.0.0.1", int(first.env[k])), 60).close()
        first.round_trip()
        pids = sorted(pids_of(first.dir))
        subprocess.run(["sh", "-c", first.env["RESTART_CMD"]], check=True, timeout=60)
        self.assertEqual(sorted(pids_of(first.dir)), pids)

    def test_7_restart_of_a_part(self):
        for name in ("authd", "submitd", "popd"):
            pid = next(p for p in pids_of(first.dir) if cmdline(p).endswith("/sbin/" + name))
            os.kill(pid, signal.SIGKILL)
            subprocess.run(["sh", "-c", first.env["RESTART_CMD"]], check=True, timeout=60)
        first.round_trip()

    def test_8_sessions_and_descriptors(self):
        mine = os.getsid(0)
        for pid in pids_of(first.dir):
            self.assertNotEqual(os.getsid(pid), mine)
            try:
                fds = os.listdir("/proc/%d/fd" % pid)
            except PermissionError:
                continue
            for fd in fds:
                try:
                    target = os.readlink("/proc/%d/fd/%s" % (pid, fd))
                except OSError:
                    continue
                self.assertFalse(target.startswith("/dev/pts"), target)
                self.assertFalse(target.startswith(top) and
                                 not target.startswith(first.dir), target)

    def test_9_status_and_stop(self):
        out = first.run("status")
        self.assertIn("submitd-smtp", out)
        first.run("stop")
        self.assertEqual(pids_of(first.dir), [])
        self.assertNotEqual(first.run("status", ok=False).returncode, 0)
        subprocess.run(["sh", "-c", first.env["RESTART_CMD"]], check=True, timeout=60)
        first.round_trip()


def cmdline(pid):
    try:
        with open("/proc/%d/cmdline" % pid, "rb") as f:
            return f.read().split(b"\0")[0].decode()
    except OSError:
        return ""


class Another(unittest.TestCase):
    """Beside the first one, below a name that shells, make and configuration
    files could trip over, with the user that quickstart makes up, a log of its
    own, and listeners whose ports somebody has to choose."""

    def test_odd_name_and_no_user(self):
        log = os.path.join(top, "another.log")
        q = Quick("it's a \"d$ir\", \u00fc\\;&", "--set", "log_to=" + log,
                  "--set", "listen_submissions=127.0.0.2:0,127.0.0.1:0",
                  "--set", "mechanisms_pop3s=PLAIN,LOGIN",
                  "--set", "drop_headers=Bcc,X-Mine")
        try:
            with open(log, encoding="utf-8") as f:
                self.assertIn("ev=listen service=submissions listen=127.0.0.2:%s\n"
                              % q.env["SMTPS_PORT"], f.read())
            self.assertTrue(pids_of(first.dir))
            self.assertEqual(q.env["USER"], "user@example.test")
            self.assertRegex(q.env["PASS"], "^[a-z2-9]{16}$")
            self.assertIn(q.env["PASS"], q.out)
            q.round_trip()
            subprocess.run(["sh", "-c", q.env["KILL_CMD"]], check=True, timeout=60)
            self.assertEqual(pids_of(q.dir), [])
            subprocess.run(["sh", "-c", q.env["RESTART_CMD"]], check=True, timeout=60)
            for a in ("127.0.0.1", "127.0.0.2"):
                socket.create_connection((a, int(q.env["SMTPS_PORT"])), 60).close()
            q.round_trip()
            before = q.env["SMTPS_PORT"]
            q.run("--set", "listen_submissions=127.0.0.1:0")
            q.env = q.read_env()
            self.assertNotEqual(q.env["SMTPS_PORT"], before)
            q.round_trip()
            cmd = q.out.rstrip().split("\n")[-1].strip()
            subprocess.run(["sh", "-c", cmd], check=True, capture_output=True)
        finally:
            q.run("remove")
        self.assertFalse(os.path.exists(q.dir))
        self.assertTrue(pids_of(first.dir))


class Refusing(unittest.TestCase):
    def test_wrong_options(self):
        for args in (["--nonsense"], ["--set", "novalue"], ["--user"], ["status", "stop"],
                     ["--user", "ann:"], ["--user", ":x"], ["--root", "/tmp/a\nb"]):
            r = subprocess.run([QUICKSTART, "--root", os.path.join(top, "x"), *args],
                               capture_output=True)
            self.assertEqual(r.returncode, 64, args)
            self.assertFalse(os.path.exists(os.path.join(top, "x")), args)

    def test_a_folder_of_somebody_elses(self):
        d = os.path.join(top, "mine")
        os.makedirs(d)
        with open(os.path.join(d, "thesis.txt"), "w", encoding="ascii"):
            pass
        for args in ([], ["remove"]):
            r = subprocess.run([QUICKSTART, "--root", d, *args], capture_output=True)
            self.assertNotEqual(r.returncode, 0)
            self.assertEqual(os.listdir(d), ["thesis.txt"])
