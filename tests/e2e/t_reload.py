"""Reload: SIGHUP, submitctl reload, and certificates renewed as certbot does."""

import os
import shutil
import signal
import ssl
import subprocess
import unittest

from next_hop import NextHop
from submitd_instance import (ANNA, BOB, IS_ROOT, PROGRAMS, Instance, free_port,
                              frozen, letter, make_cert, wait_until)


class Case(unittest.TestCase):
    def setUp(self):
        self.inst = Instance()

    def tearDown(self):
        self.inst.close()

    def served(self, service="submissions"):
        """The certificate that is served, PEM."""
        return ssl.get_server_certificate(
            ("127.0.0.1", self.inst.port(service)), timeout=20)

    def hup(self, *names):
        """SIGHUP to each; waits until each said what came of it."""
        out = {}
        for name in names or PROGRAMS:
            out[name] = self.inst.reload(name)
        return out


class Names(unittest.TestCase):
    def test_what_submitd_send_reads_once(self):
        """Another file of trusted certificates: it alone is started anew, and
        what waits goes out."""
        with Instance(start=False) as i, NextHop() as hop:
            trusted = os.path.join(i.root, "trusted.pem")
            shutil.copy(ssl.get_default_verify_paths().openssl_cafile
                        if os.path.exists(ssl.get_default_verify_paths()
                                          .openssl_cafile)
                        else "/etc/ssl/certs/ca-certificates.crt", trusted)
            os.chmod(trusted, 0o644)
            i.env["SSL_CERT_FILE"] = trusted
            i.write_conf(next_hop="127.0.0.1:%d" % hop.port)
            i.start()
            i.add_user(ANNA, i.users[ANNA])
            self.assertNotIn("ev=child.renewed", i.reload("submitd"))
            with i.smtp_as(ANNA) as w:
                for n in range(3):
                    w.send_mail(ANNA, ["x@far.test"], letter("one %d" % n))
                with open(trusted, "a") as f:
                    f.write("\n")
                i.reload("submitd")
                i.wait_log("submitd", r"ev=child\.renewed process=submitd-send")
                for n in range(3):
                    w.send_mail(ANNA, ["x@far.test"], letter("two %d" % n))
            hop.wait_messages(6)
            wait_until(i.queue_empty, what="an empty queue")
            self.assertEqual(len(hop.messages), 6)
            self.assertNotIn("ev=child.died", i.log("submitd"))
            self.assertEqual(i.log("submitd").count("ev=child.renewed"), 1)


class Deaths(unittest.TestCase):
    def test_a_worker_that_dies_meanwhile(self):
        """What is started anew while the others are still asked has the new
        configuration all the same."""
        with Instance(conf={"workers": 1}) as i:
            since = i.log_size("submitd")
            [old] = i.pids("submitd-smtp")
            i.write_conf(message_size_limit="2M")
            with frozen(i.pids("submitd-send")):
                os.kill(i.procs["submitd"].pid, signal.SIGHUP)
                os.kill(old, signal.SIGKILL)
                i.wait_log("submitd", r"ev=child\.died process=submitd-smtp",
                           since)
                try:
                    wait_until(lambda: i.pids("submitd-smtp"), 2)
                except TimeoutError:
                    pass        # it may wait for the reload
            i.wait_log("submitd", r"ev=reload\.done", since)
            wait_until(lambda: i.pids("submitd-smtp") not in ([], [old]),
                       what="another submitd-smtp")
            with i.smtp() as w:
                self.assertIn("\nSIZE 2097152\n",
                              w.cmd("EHLO x.test", 250)[1] + "\n")


class Keys(Case):
    def test_changed_keys_and_no_session_dropped(self):
        i = self.inst
        smtp, pop = i.smtp_as(ANNA), i.pop_as(BOB)
        smtp.cmd("MAIL FROM:<%s>" % ANNA, 250)
        i.write_conf(message_size_limit="2M", help_text="call 123")
        i.ctl("reload")
        # A running session keeps what it began with, and goes on.
        smtp.cmd("RCPT TO:<%s>" % BOB, 250)
        smtp.cmd("DATA", 354)
        smtp.send(letter("over a reload") + b".\r\n")
        self.assertEqual(smtp.reply()[0], 250)
        self.assertIn("SIZE 52428800", smtp.cmd("EHLO x.test", 250)[1])
        pop.cmd("STAT")
        pop.cmd("QUIT")
        with i.smtp(source="127.0.0.200") as new:
            self.assertIn("SIZE 2097152", new.cmd("EHLO x.test", 250)[1])
            self.assertIn("call 123", new.cmd("MAIL FROM:<%s>" % ANNA, 530)[1])
        smtp.quit()
        i.fetch(BOB, n=1)

    def test_sighup_does_the_same(self):
        i = self.inst
        w = i.smtp_as(ANNA)
        i.write_conf(message_size_limit="3M")
        self.hup()
        with i.smtp() as new:
            self.assertIn("SIZE 3145728", new.cmd("EHLO x.test", 250)[1])
        w.cmd("MAIL FROM:<%s>" % ANNA, 250)
        w.quit()

    def test_grant_ttl_and_domains(self):
        i = self.inst
        i.write_conf(grant_ttl="5s", local_domains=["example.test", "other.test",
                                                    "third.test"])
        i.ctl("reload")
        i.add_user("new@third.test", "third-secret")
        m = letter("new domain")
        with i.smtp_as(ANNA) as w:
            w.send_mail(ANNA, ["new@third.test"], m)
        self.assertTrue(i.fetch("new@third.test", n=1)[0].endswith(m))
        i.grant(ANNA, "127.0.0.77")
        i.clock(6)
        with i.smtp(source="127.0.0.77") as w:
            self.assertEqual(w.cmd("MAIL FROM:<%s>" % ANNA)[0], 530)
        i.clock(0)

    def test_a_wrong_configuration_is_refused_and_all_keep_the_old(self):
        i = self.inst
        good = dict(i.conf)
        for change in ({"message_size_limit": "many"}, {"hostname": "nodot"},
                       {"no_such_key": "1"}, {"tls_cert": ["/nonexistent.pem"]},
                       {"retry_min": "-1"}, {"log_to": "/nonexistent/log"}):
            with self.subTest(change):
                i.conf = dict(good, **change)
                i.write_conf()
                r = i.ctl("reload", check=False)
                self.assertNotEqual(r.returncode, 0)
                self.assertIn(next(iter(change)), r.stdout + r.stderr)
                said = self.hup()
                for name in PROGRAMS:
                    # The certificate is no matter of authd's.
                    if not (name == "authd" and "tls_cert" in change):
                        self.assertRegex(said[name], r"(?m)ev=reload\.(fail|refused|error)")
                with i.smtp_as(ANNA) as w:
                    self.assertIn("SIZE 52428800", w.cmd("EHLO x.test", 250)[1])
                i.pop_as(ANNA).cmd("QUIT")
        i.conf = good
        i.write_conf()
        i.ctl("reload")

    def test_listeners_change(self):
        i = self.inst
        w = i.smtp_as(ANNA)
        old = i.port("submission")
        new = free_port()
        i.write_conf(listen_submission=["127.0.0.1:%d" % new])
        r = i.ctl("reload", check=False)
        if r.returncode == 0:
            i.smtp_as(ANNA).quit()
            w.cmd("NOOP", 250)
        else:
            # Then it must say so, and the old one is served on.
            self.assertIn("listen", r.stdout + r.stderr)
            i.write_conf(listen_submission=["127.0.0.1:%d" % old])
            i.smtp_as(ANNA).quit()
        w.quit()

    def test_many_reloads_under_load(self):
        i = self.inst
        for n in range(15):
            i.write_conf(message_size_limit="%dM" % (n + 1))
            for p in i.procs.values():
                os.kill(p.pid, signal.SIGHUP)
            with i.smtp_as(ANNA) as w:
                w.send_mail(ANNA, [BOB], letter("n%d" % n))

        def newest():
            with i.smtp() as w:
                return "SIZE %d" % (15 << 20) in w.cmd("EHLO x.test", 250)[1]
        # The last signal's reload may still run; then another is refused.
        wait_until(lambda: i.ctl("reload", check=False).returncode == 0)
        wait_until(newest, what="the newest configuration")
        got = []
        wait_until(lambda: got.extend(i.fetch(BOB)) or len(got) == 15, 60,
                   "15 messages")

    @staticmethod
    def has_open(pid, path):
        """Where we may look."""
        at = "/proc/%d/fd" % pid
        try:
            return any(os.readlink(os.path.join(at, fd)) == path
                       for fd in os.listdir(at))
        except OSError:
            return False

    def test_log_file_is_opened_again(self):
        i = self.inst
        f = os.path.join(i.root, "log", "file.log")
        i.write_conf(log_to=f)
        i.stop()
        i.start("authd", "submitd", "popd", wait=False)
        wait_until(lambda: os.path.exists(f) and
                   open(f, encoding="utf-8").read().count("ev=ready") >= 3,
                   what="three times ready in the file")
        os.rename(f, f + ".1")
        for p in i.procs.values():
            os.kill(p.pid, signal.SIGHUP)
        wait_until(lambda: os.path.exists(f) and
                   open(f, encoding="utf-8").read().count("ev=reload.done")
                   == 3, what="three reloads in the new file")
        wait_until(lambda: not any(self.has_open(pid, f + ".1")
                                   for pid in i.all_pids()),
                   what="the old file being closed")
        before = os.path.getsize(f + ".1")
        i.smtp_as(ANNA).quit()
        wait_until(lambda: ANNA in open(f, encoding="utf-8").read(),
                   what="a line in the new file")
        self.assertEqual(os.path.getsize(f + ".1"), before)
        i.write_conf(log_to="stderr")


class Certificates(Case):
    def setUp(self):
        super().setUp()
        # As certbot has it: live/NAME/*.pem are links into archive/NAME.
        i = self.inst
        self.top = os.path.join(i.root, "letsencrypt")
        self.archive = os.path.join(self.top, "archive")
        self.live = os.path.join(self.top, "live")
        os.makedirs(self.archive)
        os.makedirs(self.live)
        os.chmod(self.top, 0o700)
        self.n = 0
        self.make()
        self.link("cert")
        self.link("key")
        i.write_conf(tls_cert=[self.live + "/cert.pem"],
                     tls_key=[self.live + "/key.pem"])
        i.ctl("reload")
        self.trust()

    def make(self, **kw):
        self.n += 1
        cert, key = make_cert(self.archive, "n%d" % self.n, **kw)
        os.chmod(key, 0o600)
        return cert, key

    def link(self, what):
        end = {"cert": ".pem", "key": ".key"}[what]
        new = os.path.join(self.live, ".new")
        os.symlink(os.path.join("..", "archive", "n%d%s" % (self.n, end)), new)
        os.rename(new, os.path.join(self.live, what + ".pem"))

    def trust(self):
        """What the instance's clients trust from here on: the newest."""
        shutil.copy(os.path.join(self.archive, "n%d.pem" % self.n), self.inst.cert)

    def pem(self, n):
        with open(os.path.join(self.archive, "n%d.pem" % n), encoding="ascii") as f:
            return ssl.PEM_cert_to_DER_cert(f.read())

    def serves(self, n):
        for service in ("submissions", "pop3s"):
            self.assertEqual(ssl.PEM_cert_to_DER_cert(self.served(service)),
                             self.pem(n), "served by " + service)

    def test_renewal(self):
        i = self.inst
        self.serves(1)
        w = i.smtp_as(ANNA)
        self.make()
        self.link("cert")               # one file after the other
        said = self.hup("submitd", "popd")
        self.assertNotIn("ev=reload.done", said["submitd"])
        self.serves(1)                  # the old pair until the new one matches
        self.link("key")
        i.ctl("reload")
        self.serves(2)
        w.cmd("MAIL FROM:<%s>" % ANNA, 250)     # not dropped
        w.quit()
        self.trust()
        with i.smtp_as(ANNA) as w:
            w.cmd("NOOP", 250)

    def test_broken_files_keep_the_old_pair(self):
        cert = os.path.join(self.live, "cert.pem")
        for text in ("", "nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n"
                     "-----END CERTIFICATE-----\n"):
            os.unlink(cert)
            with open(cert, "w", encoding="ascii") as f:
                f.write(text)
            self.assertNotEqual(self.inst.ctl("reload", check=False).returncode, 0)
            self.serves(1)
        os.unlink(cert)
        self.assertNotEqual(self.inst.ctl("reload", check=False).returncode, 0)
        self.serves(1)
        self.inst.smtp_as(ANNA).quit()
        self.link("cert")
        self.inst.ctl("reload")

    def test_two_kinds_of_key(self):
        i = self.inst
        ec = os.path.join(self.live, "cert.pem"), os.path.join(self.live, "key.pem")
        rsa = make_cert(self.archive, "rsa", rsa=True)
        i.write_conf(tls_cert=[ec[0], rsa[0]], tls_key=[ec[1], rsa[1]])
        i.ctl("reload")

        def kind(ciphers):
            ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            ctx.check_hostname = False
            ctx.verify_mode = ssl.CERT_NONE
            ctx.maximum_version = ssl.TLSVersion.TLSv1_2
            ctx.set_ciphers(ciphers)
            w = i.smtp("submissions", context=ctx)
            der = w.sock.getpeercert(True)
            w.close()
            return der
        with open(rsa[0], encoding="ascii") as f:
            self.assertEqual(kind("ECDHE-RSA-AES128-GCM-SHA256"),
                             ssl.PEM_cert_to_DER_cert(f.read()))
        self.assertEqual(kind("ECDHE-ECDSA-AES128-GCM-SHA256"), self.pem(1))

    @unittest.skipUnless(IS_ROOT, "as root only")
    def test_the_folder_is_closed_to_the_children(self):
        self.assertEqual(os.stat(self.top).st_mode & 0o777, 0o700)
        self.assertEqual(os.stat(self.top).st_uid, 0)
        r = subprocess.run(["setpriv", "--reuid=_submitd", "--regid=_submitd",
                            "--clear-groups", "cat", self.live + "/key.pem"],
                           capture_output=True, cwd="/")
        self.assertNotEqual(r.returncode, 0)
        self.serves(1)


class WithoutCertificate(unittest.TestCase):
    def test_starttls_is_not_advertised(self):
        with Instance(conf={"tls_cert": [], "tls_key": [],
                            "listen_submissions": [], "listen_pop3s": []},
                      users={}) as i:
            with i.smtp(tls=False) as w:
                text = w.cmd("EHLO x.test", 250)[1].upper()
                self.assertNotIn("STARTTLS", text)
                self.assertNotIn("AUTH", text)
                self.assertIn(w.cmd("STARTTLS")[0], (454, 502))
                self.assertEqual(w.cmd("MAIL FROM:<%s>" % ANNA)[0], 530)
            with i.pop(tls=False) as p:
                p.cmd("CAPA")
                self.assertNotIn(b"STLS", p.multiline().upper())
                p.cmd("STLS", ok=False)
                p.cmd("USER anna", ok=False)
