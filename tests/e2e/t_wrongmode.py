"""Clients that begin in the wrong mode, and handshakes that fail: what they
are told, what the log says, and that none of it is a failed login."""

import re
import socket
import ssl
import struct
import subprocess
import sys
import time
import unittest

from submitd_instance import (ANNA, PASSWORDS, PATIENCE_S, Instance,
                              client_hello, frozen, wait_until)


def raw(i, service, source="127.0.0.1"):
    s = socket.create_connection(("127.0.0.1", i.port(service)), PATIENCE_S,
                                 (source, 0))
    s.settimeout(PATIENCE_S)
    return s


def read_all(s):
    out = b""
    try:
        while True:
            got = s.recv(4096)
            if not got:
                return out
            out += got
    except ConnectionResetError:
        return out


ALERT = b"\x15\x03\x01\x00\x02\x02\x0a"


class WrongMode(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.i = Instance(conf={"help_text": "Ask Bob, room 12."}, start=False)
        # So that a slow machine's ClientHello comes in time, and a greeting
        # that nobody waits for is seen to come sooner.
        cls.i.env["SUBMITD_TEST_GREET_MS"] = "2000"
        cls.i.start()
        for user, password in PASSWORDS.items():
            cls.i.add_user(user, password)

    @classmethod
    def tearDownClass(cls):
        i = cls.i
        try:
            # Anna can log in after all of it: nothing was counted.
            with i.pop(auth=(ANNA, PASSWORDS[ANNA])) as p:
                p.cmd("QUIT")
            assert "result=fail" not in i.log()
            assert "guess" not in i.log("authd"), i.log("authd")
        finally:
            i.close()

    def logged(self, name, event, why):
        m = self.i.wait_log(name, r"ev=%s .*why=%s hint=\"([^\"]+)\"" %
                            (re.escape(event), why), self.at[name])
        return m.group(1)

    def setUp(self):
        self.at = {n: self.i.log_size(n) for n in ("submitd", "popd")}

    def test_clear_on_tls_ports(self):
        for service, name, event, send, want in (
                ("submissions", "submitd", "smtp", b"EHLO me\r\n",
                 rb"554 5\.7\.0 This port begins with TLS.*Ask Bob"),
                ("submissions", "submitd", "smtp", b"QUIT\r\n",
                 rb"554 5\.7\.0 "),
                ("pop3s", "popd", "pop3", b"CAPA\r\n",
                 rb"-ERR This port begins with TLS.*Ask Bob"),
                ("pop3s", "popd", "pop3", b"USER anna\r\nPASS x\r\n",
                 rb"-ERR This port")):
            with self.subTest(service=service, send=send):
                self.setUp()
                with raw(self.i, service) as s:
                    s.sendall(send)
                    got = read_all(s)
                self.assertRegex(got.replace(b"\r\n", b" "), want)
                hint = self.logged(name, event + ".wrongmode",
                                   "clear_on_tls_port")
                self.assertIn("STARTTLS", hint)

    def test_tls_on_clear_ports(self):
        for service, name, event in (("submission", "submitd", "smtp"),
                                     ("pop3", "popd", "pop3")):
            with self.subTest(service=service):
                with raw(self.i, service) as s:
                    s.recv(1)       # the greeting has begun
                    s.sendall(client_hello())
                    got = read_all(s)
                self.assertTrue(got.endswith(b"\r\n" + ALERT), got)
                self.assertIn("port 465", self.logged(
                    name, event + ".wrongmode", "tls_on_starttls_port"))

    def test_before_the_greeting(self):
        """What is there when the connection is accepted."""
        for service, name, event, send, want, why in (
                ("submission", "submitd", "smtp.wrongmode", b"EHLO x\r\n",
                 rb"554 5\.5\.1 Wait for the greeting[^\r]*\r\n",
                 "talked_before_greeting"),
                ("submission", "submitd", "smtp.wrongmode", client_hello(),
                 re.escape(ALERT), "tls_on_starttls_port"),
                ("submission", "submitd", "smtp.http",
                 b"GET / HTTP/1.0\r\n\r\n", b"", None),
                ("pop3", "popd", "pop3.wrongmode", b"CAPA\r\n",
                 rb"-ERR Wait for the greeting[^\r]*\r\n",
                 "talked_before_greeting"),
                ("pop3", "popd", "pop3.wrongmode", client_hello(),
                 re.escape(ALERT), "tls_on_starttls_port"),
                ("pop3", "popd", "pop3.http", b"POST / HTTP/1.0\r\n\r\n", b"",
                 None)):
            with self.subTest(service=service, send=send[:5]):
                self.setUp()
                with frozen(self.i.pids({"submitd": "submitd-smtp",
                                         "popd": "popd-pop"}[name])):
                    s = raw(self.i, service)
                    s.sendall(send)
                with s:
                    got = read_all(s)
                self.assertRegex(got, rb"\A" + want + rb"\Z")
                if why is None:
                    self.i.wait_log(name, "ev=" + re.escape(event),
                                    self.at[name])
                else:
                    self.logged(name, event, why)

    def told(self, service, source):
        """What OpenSSL makes of what it gets where no TLS begins."""
        ctx = ssl.create_default_context()
        try:
            with raw(self.i, service, source) as s:
                ctx.wrap_socket(s, server_hostname="mail.example.test")
        except ssl.SSLError as e:
            return e.reason
        return None

    def beginners(self, service, source):
        """Programs that begin with TLS at once, each from an address of its
        own: none of them is known there."""
        at = "127.0.0.1:%d" % self.i.port(service)
        url = "smtps" if service == "submission" else "pop3s"
        python = ("import smtplib, poplib, sys\n"
                  "a = '127.0.0.1', int(sys.argv[1])\n"
                  "s = sys.argv[2], 0\n")
        if service == "submission":
            python += "smtplib.SMTP_SSL(*a, source_address=s)\n"
        else:
            python += ("import socket\n"
                       "f = socket.create_connection\n"
                       "socket.create_connection = (lambda to, *more, **kw:\n"
                       "    f(to, source_address=s))\n"
                       "poplib.POP3_SSL(*a)\n")
        return (
            ["openssl", "s_client", "-connect", at, "-bind", source + "1:0"],
            ["curl", "-sSk", "--interface", source + "2", url + "://%s/" % at],
            [sys.executable, "-c", python, str(self.i.port(service)),
             source + "3"])

    def test_the_first_try_is_told(self):
        """In TLS's own words, not by a greeting that no TLS library can
        read."""
        def first_try(argv):
            return subprocess.run(argv, stdin=subprocess.DEVNULL,
                                  capture_output=True, text=True, check=False,
                                  timeout=PATIENCE_S).stderr.lower()
        told = r"alert unexpected[_ ]message"
        for service, name, event, source in (
                ("submission", "submitd", "smtp", "127.0.5%d."),
                ("pop3", "popd", "pop3", "127.0.6%d.")):
            # On a busy machine a program may be slower than the greeting:
            # again from where it is not known.
            for tries in zip(*(self.beginners(service, source % n)
                               for n in range(5))):
                with self.subTest(service=service, program=tries[0][0]):
                    self.setUp()
                    self.assertTrue(any(re.search(told, first_try(argv))
                                        for argv in tries))
                    self.logged(name, event + ".wrongmode",
                                "tls_on_starttls_port")

    def test_who_waits_is_greeted(self):
        """At once where commands have come from before; but where a
        ClientHello has come too, the next one is told again."""
        for service, command, source in (
                ("submission", b"EHLO x\r\n", "127.0.7.1"),
                ("pop3", b"CAPA\r\n", "127.0.8.1")):
            with self.subTest(service=service):
                waited = []
                for _ in range(3):
                    began = time.monotonic()
                    with raw(self.i, service, source) as s:
                        self.assertRegex(s.recv(100), rb"^(220|\+OK) ")
                        waited.append(time.monotonic() - began)
                        s.sendall(command)
                        self.assertRegex(s.recv(100), rb"^(250|\+OK)")
                self.assertGreater(waited[0], 1.9)
                self.assertLess(min(waited[1:]), 1.5)
                with raw(self.i, service, source) as s:
                    s.recv(1)
                    s.sendall(client_hello())
                    self.assertTrue(read_all(s).endswith(ALERT))
                self.assertEqual(self.told(service, source),
                                 "SSLV3_ALERT_UNEXPECTED_MESSAGE")
                with raw(self.i, service, source) as s:
                    self.assertRegex(s.recv(100), rb"^(220|\+OK) ")
                    s.sendall(command)
                    self.assertRegex(s.recv(100), rb"^(250|\+OK)")
                self.assertEqual(self.told(service, source),
                                 "SSLV3_ALERT_UNEXPECTED_MESSAGE")
                # While one waits, others from there do not.
                name = "popd" if service == "pop3" else "submitd"
                at = self.i.log_size(name)
                with raw(self.i, service, source), \
                        raw(self.i, service, source) as s:
                    self.assertRegex(s.recv(100), rb"^(220|\+OK) ")
                wait_until(lambda: len(re.findall(
                    r"ev=\S+\.close .*rip=%s " % source,
                    self.i.log(name, at))) >= 2, what="the end of both")
                with raw(self.i, service, source) as s:
                    s.sendall(command)
                    self.assertRegex(read_all(s), rb"^(554|-ERR) .*greeting")

    def test_http(self):
        for service, name, event, verb in (
                ("submission", "submitd", "smtp", b"POST"),
                ("submissions", "submitd", "smtp", b"GET"),
                ("pop3", "popd", "pop3", b"HEAD"),
                ("pop3s", "popd", "pop3", b"PUT")):
            with self.subTest(service=service):
                self.setUp()
                with raw(self.i, service) as s:
                    if not service.endswith("s"):
                        s.recv(1024)
                    s.sendall(verb + b" / HTTP/1.1\r\nHost: x\r\n\r\n")
                    self.assertEqual(read_all(s), b"")
                self.i.wait_log(name, r"ev=%s\.http " % event, self.at[name])

    def test_nobody_there(self):
        """A look whether the port is open says nothing about TLS."""
        for service, name, event in (("submissions", "submitd", "smtp"),
                                     ("pop3s", "popd", "pop3")):
            with self.subTest(service=service):
                raw(self.i, service).close()
                self.i.wait_log(name, r"ev=%s\.close " % event, self.at[name])
                self.assertNotIn("tls.failed", self.i.log(name, self.at[name]))
                self.assertNotIn("wrongmode", self.i.log(name, self.at[name]))

    def test_behind_starttls(self):
        """Clear text behind 220 is answered by nothing."""
        with raw(self.i, "submission") as s:
            f = s.makefile("rb")
            f.readline()
            s.sendall(b"EHLO x\r\n")
            while f.readline()[3:4] == b"-":
                pass
            s.sendall(b"STARTTLS\r\n")
            self.assertTrue(f.readline().startswith(b"220 "))
            s.sendall(b"MAIL FROM:<>\r\n")
            self.assertEqual(f.read(), b"")
        self.assertIn("no TLS", self.logged("submitd", "tls.failed",
                                            "not_tls"))

    def shake(self, service, ctx, **kw):
        with raw(self.i, service) as s:
            try:
                with ctx.wrap_socket(s, server_hostname="mail.example.test",
                                     **kw) as t:
                    t.recv(1)
                return None
            except (ssl.SSLError, OSError) as e:
                return e

    def test_alerts(self):
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.check_hostname = False
        old.verify_mode = ssl.CERT_NONE
        old.minimum_version = ssl.TLSVersion.TLSv1
        old.maximum_version = ssl.TLSVersion.TLSv1_1
        old.set_ciphers("ALL:@SECLEVEL=0")
        cbc = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        cbc.check_hostname = False
        cbc.verify_mode = ssl.CERT_NONE
        cbc.maximum_version = ssl.TLSVersion.TLSv1_2
        cbc.set_ciphers("AES128-SHA:ECDHE-ECDSA-AES128-SHA")
        web = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        web.check_hostname = False
        web.verify_mode = ssl.CERT_NONE
        web.set_alpn_protocols(["h2", "http/1.1"])
        for service, name in (("submissions", "submitd"), ("pop3s", "popd")):
            for ctx, why, text in (
                    (ssl.create_default_context(), "unknown_ca",
                     "does not know the authority"),
                    (old, "old_protocol", "no TLS 1.2"),
                    (cbc, "no_shared_cipher", "tls_legacy"),
                    (web, "no_application_protocol", "ALPN")):
                with self.subTest(service=service, why=why):
                    self.setUp()
                    self.assertIsNotNone(self.shake(service, ctx))
                    self.assertIn(text, self.logged(name, "tls.failed", why))
            mine = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            mine.check_hostname = False
            mine.verify_mode = ssl.CERT_NONE
            mine.set_alpn_protocols(["h2", "smtp", "pop3"])
            self.assertIsNone(self.shake(service, mine))

    def test_any_alert(self):
        """Alerts in clear, before the handshake: each has its name."""
        for number, why in ((42, "bad_certificate"),
                            (45, "certificate_expired"),
                            (70, "protocol_version"),
                            (40, "handshake_failure")):
            with self.subTest(why=why):
                with raw(self.i, "submissions") as s:
                    s.sendall(client_hello())
                    s.recv(1)
                    s.sendall(b"\x15\x03\x03" + struct.pack("!HBB", 2, 2,
                                                             number))
                    read_all(s)
                self.logged("submitd", "tls.failed", why)


class Silent(unittest.TestCase):
    def test_silent_on_tls_ports(self):
        """30 s, shown once for both by one wait."""
        with Instance() as i:
            a, b = raw(i, "submissions"), raw(i, "pop3s")
            c = raw(i, "submissions")
            c.sendall(client_hello()[:40])      # slow, but in TLS
            with a, b, c:
                self.assertRegex(read_all(a), rb"^554 5\.7\.0 This port")
                self.assertRegex(read_all(b), rb"^-ERR This port")
                self.assertEqual(read_all(c), b"")
            i.wait_log("submitd",
                       r"ev=smtp.wrongmode .*why=silent_on_tls_port hint=")
            i.wait_log("popd",
                       r"ev=pop3.wrongmode .*why=silent_on_tls_port hint=")
            i.wait_log("submitd", r"ev=tls.failed .*why=handshake_timeout")


if __name__ == "__main__":
    unittest.main()
