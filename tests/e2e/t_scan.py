"""What scanners find: sslscan about TLS, nmap's scripts about
relaying and commands."""

import re
import shutil
import subprocess
import unittest
import xml.etree.ElementTree as ET

from submitd_instance import Instance, make_cert

# TLS 1.2's; of TLS 1.3 there are no others.
MODERN = re.compile(r"ECDHE-(ECDSA|RSA)-(AES(128|256)-GCM-SHA(256|384)|"
                    r"CHACHA20-POLY1305)$|TLS_")
LEGACY = {"ECDHE-%s-AES%s-SHA" % (k, b) for k in ("ECDSA", "RSA")
          for b in ("128", "256")}


@unittest.skipUnless(shutil.which("sslscan"), "no sslscan")
class Tls(unittest.TestCase):
    def scan(self, port, *args):
        r = subprocess.run(["sslscan", "--xml=-", *args,
                            "127.0.0.1:%d" % port],
                           capture_output=True, timeout=300, check=True)
        return ET.fromstring(r.stdout).find("ssltest")

    def check(self, found, legacy):
        on = {(p.get("type"), p.get("version")) for p in
              found.iter("protocol") if p.get("enabled") == "1"}
        self.assertEqual(on, {("tls", "1.2"), ("tls", "1.3")})
        ciphers = {c.get("cipher") for c in found.iter("cipher")}
        old = {c for c in ciphers if not MODERN.match(c)}
        self.assertEqual(old, LEGACY if legacy else set())
        for c in found.iter("cipher"):
            if not c.get("cipher").startswith("TLS_"):
                self.assertIn(c.get("curve"), ("25519", "P-256", "P-384"))
        # RSA beside ECDSA.
        self.assertTrue({"ECDHE-ECDSA-AES256-GCM-SHA384",
                         "ECDHE-RSA-AES256-GCM-SHA384",
                         "TLS_AES_256_GCM_SHA384"} <= ciphers, ciphers)
        for h in found.iter("heartbleed"):
            self.assertEqual(h.get("vulnerable"), "0")
        self.assertEqual(found.find("renegotiation").get("supported"), "0")
        for c in found.iter("compression"):
            self.assertEqual(c.get("supported"), "0")

    def test_sslscan(self):
        with Instance(start=False) as i:
            rsa = make_cert(i.root + "/etc", "rsa", rsa=True)
            for legacy in ("no", "yes"):
                i.write_conf(tls_cert=[i.cert, rsa[0]],
                             tls_key=[i.key, rsa[1]], tls_legacy=legacy)
                if legacy == "no":
                    i.start()
                else:
                    i.reload("submitd")
                    i.reload("popd")
                for service, args in (("submission", ["--starttls-smtp"]),
                                      ("submissions", []),
                                      ("pop3", ["--starttls-pop3"]),
                                      ("pop3s", [])):
                    with self.subTest(service=service, legacy=legacy):
                        self.check(self.scan(i.port(service), *args),
                                   legacy == "yes")


@unittest.skipUnless(shutil.which("nmap"), "no nmap")
class Nmap(unittest.TestCase):
    def script(self, port, name, args=""):
        r = subprocess.run(
            ["nmap", "-Pn", "-n", "-p", str(port), "--script", "+" + name,
             *(["--script-args", args] if args else []), "127.0.0.1"],
            capture_output=True, text=True, timeout=300, check=True)
        return r.stdout

    def test_open_relay_and_commands(self):
        with Instance() as i:
            for service in ("submission", "submissions"):
                with self.subTest(service=service):
                    out = self.script(
                        i.port(service), "smtp-open-relay",
                        "smtp-open-relay.domain=example.test,"
                        "smtp-open-relay.ip=127.0.0.1")
                    self.assertIn("isn't an open relay", out)
            out = self.script(i.port("submission"), "smtp-commands")
            self.assertRegex(out, r"mail\.example\.test, PIPELINING")
            for verb in ("ETRN", "ATRN", "BINARYMIME", "TURN"):
                self.assertNotIn(verb, out)
            self.assertNotIn("ev=msg.queued", i.log("submitd"))


if __name__ == "__main__":
    unittest.main()
