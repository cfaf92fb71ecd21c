"""Certificates: by server name and kind of key, renewed without a signal, kept
when the new ones are broken, told about; old clients; tickets."""

import json
import os
import socket
import ssl
import subprocess
import unittest

from submitd_instance import (ANNA, PASSWORDS, PATIENCE_S, Instance,
                              free_port, make_cert, wait_until)


def openssl(*args):
    subprocess.run(["openssl", *args], check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)


def pair(directory, name, names, rsa=False):
    """A self-signed one by that CN for these names alone."""
    cert, key = (os.path.join(directory, name + e) for e in (".pem", ".key"))
    openssl("req", "-x509", "-newkey", *(["rsa:2048"] if rsa else
            ["ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]), "-nodes",
            "-days", "40", "-subj", "/CN=" + name, "-addext",
            "subjectAltName=" + ",".join("DNS:" + n for n in names),
            "-keyout", key, "-out", cert)
    os.chmod(key, 0o600)
    return cert, key


def context(rsa=False, maximum=None, ciphers=None):
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    c.check_hostname = False
    c.verify_mode = ssl.CERT_NONE
    if rsa:         # TLS 1.2's suites choose the key
        c.maximum_version = ssl.TLSVersion.TLSv1_2
        c.set_ciphers("ECDHE-RSA-AES128-GCM-SHA256")
    if maximum:
        c.maximum_version = maximum
    if ciphers:
        c.set_ciphers(ciphers)
    return c


def shake(port, ctx, sni=None, session=None):
    """The connection, which is the caller's."""
    s = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
    return ctx.wrap_socket(s, server_hostname=sni, session=session)


def common_name(der):
    out = subprocess.run(["openssl", "x509", "-inform", "DER", "-noout",
                          "-subject", "-nameopt", "multiline"], input=der,
                         check=True, capture_output=True).stdout.decode()
    return out.split("commonName")[1].split("=")[1].split()[0]


def served(port, sni=None, rsa=False):
    with shake(port, context(rsa), sni) as t:
        return common_name(t.getpeercert(True))


class Names(unittest.TestCase):
    def test_names_and_kinds(self):
        with Instance(start=False) as i:
            etc = i.root + "/etc"
            pairs = [pair(etc, "first-ec", ["mail.example.test"]),
                     pair(etc, "first-rsa", ["mail.example.test"], True),
                     pair(etc, "two-ec", ["mx.two.test", "smtp.two.test"]),
                     pair(etc, "wild-rsa", ["*.two.test"], True),
                     pair(etc, "alone-rsa", ["mail.three.test"], True)]
            own = pair(etc, "own-ec", ["own.example.test"])
            legacy = free_port()
            i.write_conf(tls_cert=[p[0] for p in pairs],
                         tls_key=[p[1] for p in pairs])
            i.extra = ("listener old {\n service = submissions\n"
                       " listen = {127.0.0.1:%d}\n tls_legacy = yes\n"
                       " tls_cert = {%s}\n tls_key = {%s}\n}\n" % (
                           legacy, own[0], own[1]))
            i.write_conf()
            i.start()
            for service in ("submissions", "pop3s"):
                port = i.port(service)
                for sni, ec, rsa in (
                        (None, "first-ec", "first-rsa"),
                        ("mail.example.test", "first-ec", "first-rsa"),
                        ("MX.two.test", "two-ec", "wild-rsa"),
                        ("smtp.two.test", "two-ec", "wild-rsa"),
                        ("pop.two.test", "wild-rsa", "wild-rsa"),
                        ("mail.three.test", "alone-rsa", "alone-rsa"),
                        ("two.test", "first-ec", "first-rsa")):
                    with self.subTest(service=service, sni=sni):
                        self.assertEqual(served(port, sni), ec)
                        self.assertEqual(served(port, sni, True), rsa)
            # A listener of its own: other certificates, and CBC.
            self.assertEqual(served(legacy, "mail.example.test"), "own-ec")
            cbc = context(maximum=ssl.TLSVersion.TLSv1_2,
                          ciphers="ECDHE-ECDSA-AES128-SHA")
            with shake(legacy, cbc) as t:
                self.assertEqual(t.cipher()[0], "ECDHE-ECDSA-AES128-SHA")
            with self.assertRaises(ssl.SSLError):
                shake(i.port("submissions"), cbc)
            i.wait_log("submitd", "why=no_shared_cipher")
            # status names them all.
            out = i.ctl("status").stdout
            for name in ("mx.two.test smtp.two.test", "*.two.test",
                         "own.example.test"):
                self.assertIn("days left (" + name, out)

    def test_never_used(self):
        """A pair that no client could ever get is a mistake."""
        with Instance(start=False) as i:
            a = pair(i.root + "/etc", "a", ["mail.example.test"])
            b = pair(i.root + "/etc", "b", ["mail.example.test"])
            i.write_conf(tls_cert=[a[0], b[0]], tls_key=[a[1], b[1]])
            i.spawn("submitd")
            self.assertEqual(i.procs["submitd"].wait(PATIENCE_S), 78)
            self.assertIn("certificate 2 is never used", i.log("submitd"))
            i.procs = {}


class Renewal(unittest.TestCase):
    """As certbot does it: live/ holds links into archive/."""

    def link(self, name, n):
        for f in ("cert.pem", "key.pem"):
            p = os.path.join(self.live, f)
            os.symlink("../archive/%s-%d.%s" % (name, n, f), p + ".new")
            os.rename(p + ".new", p)

    def make(self, name, n, cn, broken=None):
        cert, key = make_cert(self.archive, "tmp", host=cn)
        os.rename(cert, self.archive + "/%s-%d.cert.pem" % (name, n))
        os.rename(key, self.archive + "/%s-%d.key.pem" % (name, n))
        if broken:
            broken(self.archive + "/%s-%d." % (name, n))

    def test_renewal(self):
        with Instance(start=False, conf={"tls_watch": "1s"}) as i:
            self.archive = i.root + "/archive"
            self.live = i.root + "/live"
            os.mkdir(self.archive)
            os.mkdir(self.live)
            self.make("m", 1, "one.example.test")
            self.link("m", 1)
            i.write_conf(tls_cert=[self.live + "/cert.pem"],
                         tls_key=[self.live + "/key.pem"])
            i.start()
            for u, p in PASSWORDS.items():
                i.add_user(u, p)
            ports = [i.port("submissions"), i.port("pop3s")]
            self.assertEqual([served(p) for p in ports],
                             ["one.example.test"] * 2)
            # The name of hostname is not in it: said.
            i.wait_log("submitd", "ev=tls.warning .*hostname")
            session = i.smtp(auth=(ANNA, PASSWORDS[ANNA]),
                             context=context())
            self.make("m", 2, "two.example.test")
            self.link("m", 2)
            wait_until(lambda: [served(p) for p in ports] ==
                       ["two.example.test"] * 2, what="the renewal")
            for name in ("submitd", "popd"):
                i.wait_log(name, "ev=tls.renewed")
                self.assertNotIn("ev=reload", i.log(name))
            self.assertIn("two.example.test", i.ctl("status").stdout)
            # Who is there stays.
            session.send_mail(ANNA, [ANNA], b"Subject: x\r\n\r\nstill\r\n")
            session.quit()

            # Broken ones change nothing, and are logged once each.
            def other_key(base):
                make_cert(self.archive, "x")
                os.rename(self.archive + "/x.key", base + "key.pem")

            def junk(base):
                with open(base + "cert.pem", "w", encoding="ascii") as f:
                    f.write("no PEM\n")

            def gone(base):
                os.unlink(base + "key.pem")

            for n, (broken, why) in enumerate((
                    (other_key, "does not belong to the certificate"),
                    (junk, "no start line"),
                    (gone, "No such file")), 3):
                with self.subTest(why=why):
                    at = {x: i.log_size(x) for x in ("submitd", "popd")}
                    self.make("m", n, "broken.example.test", broken)
                    self.link("m", n)
                    for name in ("submitd", "popd"):
                        i.wait_log(name, "ev=tls.refused .*" + why, at[name])
                    self.assertEqual([served(p) for p in ports],
                                     ["two.example.test"] * 2)
                    self.assertRegex(i.ctl("status", check=False).stdout,
                                     "its renewal cannot be used.*" + why)
            # And a good one behind them is taken.
            self.make("m", 9, "mail.example.test")
            self.link("m", 9)
            wait_until(lambda: [served(p) for p in ports] ==
                       ["mail.example.test"] * 2, what="the renewal")
            # Written over in place, too.
            cert, key = make_cert(self.archive, "over", "over.example.test")
            for a, b in ((key, "key"), (cert, "cert")):
                with open(a, encoding="ascii") as f:
                    text = f.read()
                with open("%s/m-9.%s.pem" % (self.archive, b), "w",
                          encoding="ascii") as f:
                    f.write(text)
            wait_until(lambda: [served(p) for p in ports] ==
                       ["over.example.test"] * 2, what="the renewal")
            # A process that is started anew has it as well.
            for role in ("submitd-smtp", "popd-pop"):
                for pid in i.pids(role):
                    os.kill(pid, 9)
            wait_until(lambda: self.try_served(ports) ==
                       ["over.example.test"] * 2, what="the restart")
            for n in ("submitd", "popd"):
                self.assertEqual(i.log(n).count("ev=tls.renewed"), 3)

    @staticmethod
    def try_served(ports):
        try:
            return [served(p) for p in ports]
        except OSError:
            return None

    def test_one_of_two(self):
        """A broken pair does not keep the others from being renewed, and a
        reload by signal may come meanwhile."""
        with Instance(start=False, conf={"tls_watch": "1s"}) as i:
            etc = i.root + "/etc"
            a = pair(etc, "a", ["a.example.test"])
            b = pair(etc, "b", ["b.example.test"])
            i.write_conf(tls_cert=[a[0], b[0]], tls_key=[a[1], b[1]])
            i.start()
            port = i.port("submissions")
            with open(a[0], "w", encoding="ascii") as f:
                f.write("junk\n")
            new = pair(etc, "c", ["b.example.test"])
            os.rename(new[0], b[0])
            os.rename(new[1], b[1])
            wait_until(lambda: served(port, "b.example.test") == "c",
                       what="the renewal")
            self.assertEqual(served(port, "a.example.test"), "a")
            i.wait_log("submitd", "ev=tls.refused .*a.pem")
            # The signal is strict: it reads all.
            r = i.ctl("reload", check=False)
            self.assertNotEqual(r.returncode, 0)
            self.assertEqual(served(port, "a.example.test"), "a")

    def test_told(self):
        with Instance(start=False) as i:
            i.write_conf(hostname="other.example.test")
            soon = make_cert(i.root + "/etc", "soon", days=3)
            i.write_conf(tls_cert=[soon[0]], tls_key=[soon[1]])
            i.start()
            r = i.ctl("config", "check")
            self.assertRegex(r.stderr, "expires in [23] days")
            self.assertIn("has the name other.example.test", r.stderr)
            out = i.ctl("status", check=False).stdout
            self.assertRegex(out, "certificate: [23] days left")
            self.assertIn("! certificate", out)
            lines = [json.loads(x) for x in
                     i.ctl("-j", "status", check=False).stdout.splitlines()]
            certs = [c for x in lines for c in x.get("certificates", [])]
            self.assertEqual({c["file"] for c in certs}, {soon[0]})
            self.assertIn(certs[0]["days_left"], (2, 3))


class Tickets(unittest.TestCase):
    def resumed(self, first, second):
        ctx = context(maximum=ssl.TLSVersion.TLSv1_2)
        with shake(first, ctx) as t:
            session = t.session
            t.recv(1)
        with shake(second, ctx, session=session) as t:
            return t.session_reused

    def test_tickets(self):
        for on in ("no", "yes"):
            with self.subTest(tickets=on), Instance(
                    conf={"tls_tickets": on, "workers": "4"}) as i:
                smtps, pops = i.port("submissions"), i.port("pop3s")
                for port in (smtps, pops):
                    self.assertEqual(
                        [self.resumed(port, port) for _ in range(5)],
                        [on == "yes"] * 5)
                self.assertFalse(self.resumed(smtps, pops))
                self.assertFalse(self.resumed(pops, smtps))
                # A SIGHUP keeps the keys.
                ctx = context(maximum=ssl.TLSVersion.TLSv1_2)
                with shake(smtps, ctx) as t:
                    session = t.session
                i.reload("submitd")
                with shake(smtps, ctx, session=session) as t:
                    self.assertEqual(t.session_reused, on == "yes")


if __name__ == "__main__":
    unittest.main()
