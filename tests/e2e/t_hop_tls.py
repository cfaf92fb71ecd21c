"""TLS to next hops and our logins there, route by route."""

import base64
import hashlib
import os
import subprocess
import unittest

from dns_server import DnsServer
from next_hop import NextHop
from submitd_instance import (ANNA, PASSWORDS, Instance, free_port, letter,
                              make_cert, wait_until)

SECRET = "the-secret-of-the-route"


def run(*argv):
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)


def make_ca(directory):
    """A CA, and a certificate of it for hop.test; the paths."""
    at = os.path.join(directory, "%s").__mod__
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
        "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30", "-subj",
        "/CN=a CA", "-keyout", at("ca.key"), "-out", at("ca.pem"))
    run("openssl", "req", "-new", "-newkey", "ec", "-pkeyopt",
        "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=hop.test",
        "-keyout", at("hop.key"), "-out", at("hop.csr"))
    with open(at("hop.ext"), "w", encoding="ascii") as f:
        f.write("subjectAltName=DNS:hop.test\n")
    run("openssl", "x509", "-req", "-in", at("hop.csr"), "-CA", at("ca.pem"),
        "-CAkey", at("ca.key"), "-days", "30", "-extfile", at("hop.ext"),
        "-out", at("hop.pem"))
    return at("ca.pem"), (at("hop.pem"), at("hop.key"))


def route(name, hop, **keys):
    keys = {"via": "smtp", "host": "127.0.0.1:%d" % hop.port, **keys}
    return "route %s {\n\tdomains = \"%s.test\"\n%s}\n" % (
        name, name, "".join("\t%s = \"%s\"\n" % kv for kv in keys.items()))


class Routes(unittest.TestCase):
    """One instance, one next hop and many routes to it."""

    hop_args = {}
    routes = {}             # name: keys of the route

    @classmethod
    def setUpClass(cls):
        cls.inst = Instance(start=False)
        etc = os.path.join(cls.inst.root, "etc")
        cls.ca, cls.pair = make_ca(etc)
        cls.secret_file = os.path.join(etc, "secret")
        cls.set_secret(SECRET)
        cls.hop = NextHop(tls=cls.pair, **cls.hop_args)
        cls.hop.up()
        keys = {"CA": cls.ca, "SECRET": cls.secret_file}
        cls.inst.extra = "".join(route(name, cls.hop, **{
            k: keys.get(v, v) for k, v in r.items()})
            for name, r in cls.routes.items())
        cls.inst.write_conf(tls_watch="1s", retry_min="1s", retry_max="1s")
        cls.inst.start()
        for user, password in PASSWORDS.items():
            cls.inst.add_user(user, password)

    @classmethod
    def set_secret(cls, text):
        with open(cls.secret_file + ".new", "w", encoding="ascii") as f:
            f.write(text + "\n")
        os.chmod(cls.secret_file + ".new", 0o600)
        os.rename(cls.secret_file + ".new", cls.secret_file)

    @classmethod
    def tearDownClass(cls):
        log = cls.inst.log()
        cls.inst.close()
        cls.hop.down()
        assert SECRET not in log

    def setUp(self):
        self.inst.ctl("queue", "delete", "ALL", check=False)
        self.hop.clear()
        wait_until(lambda: self.hop.open_now == 0, what="QUIT when idle")
        with self.hop.changed:
            self.hop.messages.clear()
            self.hop.events.clear()

    def send(self, name, text="a letter"):
        self.since = self.inst.log_size("submitd")
        with self.inst.smtp_as(ANNA) as w:
            w.send_mail(ANNA, ["x@%s.test" % name], letter(text))

    def arrives(self, name, tls):
        self.send(name)
        m = self.hop.wait_messages(1)[0]
        self.assertEqual(bool(m.tls), tls)
        return m

    def waits(self, name, why):
        """It is deferred, and the next hop has seen nothing of it."""
        self.send(name)
        self.inst.ctl("queue", "flush")     # it may be known to be down
        self.inst.wait_log("submitd", r"ev=msg\.deferred .*" + why.replace(
            " ", "%20"), self.since)
        self.assertEqual(self.hop.count("MAIL"), 0)


class Levels(Routes):
    routes = {
        "clear": {"tls": "none"},
        "may": {"tls": "may"},
        "encrypt": {"tls": "encrypt"},
        "verify": {"tls": "verify", "tls_name": "hop.test", "tls_ca": "CA"},
        "othername": {"tls": "verify", "tls_name": "other.test",
                      "tls_ca": "CA"},
        "itsaddress": {"tls": "verify", "tls_ca": "CA"},
        "systemcas": {"tls": "verify", "tls_name": "hop.test"},
    }

    def test_none(self):
        self.arrives("clear", False)
        self.assertEqual(self.hop.count("STARTTLS"), 0)

    def test_may(self):
        self.arrives("may", True)

    def test_may_falls_back(self):
        self.hop.rule("HANDSHAKE", "drop")
        self.arrives("may", False)
        self.assertIn("ev=hop.tls", self.inst.log("submitd", self.since))

    def test_encrypt(self):
        self.arrives("encrypt", True)

    def test_encrypt_never_falls_back(self):
        for verb, action, why in (
                ("EHLO", "reply 250 hop.test", "4.7.4 "),
                ("EHLO", "reply 500 what", "500"),
                ("STARTTLS", "reply 454 4.7.0 no", "454"),
                ("STARTTLS", "reply 502 no", "502"),
                ("STARTTLS", "inject 250 ok", "4.4.2"),
                ("HANDSHAKE", "drop", "4.4.2"),
                ("HANDSHAKE", "plain", "4.4.2")):
            with self.subTest(verb=verb, action=action):
                self.setUp()
                self.hop.rule(verb, action)
                self.waits("encrypt", why)

    def test_verify(self):
        self.arrives("verify", True)
        self.inst.wait_log("submitd", r"ev=msg\.sent .*tls=TLSv1\.3",
                           self.since)

    def test_verify_refuses(self):
        for name, why in (("othername", "4.7.5 .*hostname"),
                          ("itsaddress", "4.7.5 .*IP address"),
                          ("systemcas", "4.7.5 .*issuer")):
            with self.subTest(name):
                self.waits(name, why)

    def test_injected_behind_starttls(self):
        self.hop.rule("STARTTLS", "inject 250 ok")
        self.waits("may", "unexpected octets")


class Asides(unittest.TestCase):
    def test_tickets_without_end(self):
        """A next hop that says nothing but TLS has no more of us than one that
        says nothing."""
        with Instance(start=False) as inst, NextHop() as quick:
            port = free_port()
            flood = subprocess.Popen(
                ["openssl", "s_server", "-accept", "127.0.0.1:%d" % port,
                 "-cert", inst.cert, "-key", inst.key, "-quiet",
                 "-num_tickets", "100000000"], stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                inst.extra = """
route flood {
	domains = "flood.test"
	via = smtp
	host = "127.0.0.1:%d"
	tls = encrypt
	tls_from_start = yes
}
""" % port
                inst.write_conf(next_hop="127.0.0.1:%d" % quick.port)
                inst.start()
                inst.add_user(ANNA, PASSWORDS[ANNA])
                with inst.smtp_as(ANNA) as w:
                    w.send_mail(ANNA, ["x@flood.test"], letter("flood"))
                inst.wait_log("submitd", r"ev=hop\.down dest=flood .*closed")
                with inst.smtp_as(ANNA) as w:
                    w.send_mail(ANNA, ["x@quick.test"], letter("quick"))
                quick.wait_messages(1, 20)
            finally:
                flood.kill()
                flood.communicate()


class Required(Routes):
    """RFC 8689 to next hops that offer REQUIRETLS, and by TLS-Required: No."""

    hop_args = {"extensions": NextHop.EXTENSIONS + ("REQUIRETLS",)}
    routes = {
        "may": {"tls": "may"},
        "verify": {"tls": "verify", "tls_name": "hop.test", "tls_ca": "CA"},
        "othername": {"tls": "verify", "tls_name": "other.test",
                      "tls_ca": "CA"},
    }

    def send_with(self, name, mail="", head=b""):
        self.since = self.inst.log_size("submitd")
        with self.inst.smtp_as(ANNA) as w:
            w.send_mail(ANNA, ["x@%s.test" % name], head + letter("x"), mail)

    def test_rfc8689_4_2_1_it_goes_where_all_is_verified(self):
        self.send_with("verify", " REQUIRETLS")
        m = self.hop.wait_messages(1)[0]
        self.assertIn("REQUIRETLS", m.parameters.split())
        self.assertTrue(m.tls)

    def test_rfc8689_4_2_1_not_where_nobody_knows_who_it_is(self):
        self.send_with("may", " REQUIRETLS")
        self.inst.wait_log("submitd", r"ev=msg\.bounced .*why=5\.7\.30",
                           self.since)
        self.assertEqual(self.hop.count("MAIL"), 0)

    def test_rfc8689_4_3_no_lets_it_go_to_whom_it_is_not(self):
        self.send_with("othername", head=b"TLS-Required: No\r\n")
        self.assertNotIn("REQUIRETLS",
                         self.hop.wait_messages(1)[0].parameters)

    def test_rfc8689_4_3_requiretls_wins_over_no(self):
        self.send_with("othername", " REQUIRETLS", b"TLS-Required: No\r\n")
        self.inst.wait_log("submitd", r"ev=(msg\.deferred|hop\.down) ",
                           self.since)
        self.assertEqual(self.hop.count("MAIL"), 0)


class FromStart(Routes):
    hop_args = {"tls_from_start": True}
    routes = {"smtps": {"tls": "verify", "tls_name": "hop.test",
                        "tls_ca": "CA", "tls_from_start": "yes"}}

    def test_tls_from_start(self):
        self.arrives("smtps", True)
        self.assertEqual(self.hop.count("STARTTLS"), 0)


LOGIN = {"tls": "verify", "tls_name": "hop.test", "tls_ca": "CA",
         "auth_user": "us@hop.test", "auth_secret_file": "SECRET"}


class Logins(Routes):
    hop_args = {"logins": {"us@hop.test": SECRET}}
    routes = {mech: {**LOGIN, "auth": mech}
              for mech in ("plain", "login", "xoauth2")}
    routes["stranger"] = {**LOGIN, "auth": "plain", "tls_name": "other.test"}
    routes["anonymous"] = {"tls": "may"}

    def logins(self):
        with self.hop.changed:
            return [e for e in self.hop.events if e["verb"] == "LOGIN"]

    def test_mechanisms(self):
        for mech in ("plain", "login", "xoauth2"):
            with self.subTest(mech):
                self.setUp()
                self.arrives(mech, True)
                self.assertEqual([(e["mech"], e["good"], bool(e["tls"]))
                                  for e in self.logins()],
                                 [(mech.upper(), True, True)])

    def test_not_to_a_stranger(self):
        self.waits("stranger", "4.7.5")
        self.assertEqual(self.logins(), [])

    def test_only_where_the_route_says_so(self):
        self.arrives("anonymous", True)
        self.assertEqual(self.logins(), [])

    def test_a_new_secret_is_taken(self):
        """An old one is refused and waits; the new one is found in the file
        without a reload."""
        since = self.inst.log_size("submitd")
        self.set_secret("an old token")
        self.inst.wait_log("submitd", r"ev=tls\.renewed", since)
        try:
            for mech in ("plain", "login", "xoauth2"):
                self.setUp()
                self.waits(mech, "4.7.8 .*535")
                self.assertIn("ev=hop.auth",
                              self.inst.log("submitd", self.since))
        finally:
            since = self.inst.log_size("submitd")
            self.set_secret(SECRET)
            self.inst.wait_log("submitd", r"ev=tls\.renewed", since)
        self.arrives("xoauth2", True)

    def test_an_answer_that_repeats_the_secret(self):
        """Its codes are told and never its words, to nobody."""
        told = base64.b64encode(("\0us@hop.test\0" + SECRET).encode()).decode()
        for answer, why in (("501 5.5.2 what is AUTH PLAIN %s", "501 5.5.2"),
                            ("535 %s", "535"),
                            ("454 4.7.0 not %s now", "454 4.7.0"),
                            ("334 %s", "334")):
            with self.subTest(answer):
                self.setUp()
                self.hop.rule("AUTH", "reply " + answer % told)
                self.waits("plain", why)
                for shown in (self.inst.log("submitd"), self.inst.ctl(
                        "queue", "list", "-j").stdout):
                    self.assertNotIn(told[:24], shown)

    def test_no_secret_is_shown(self):
        shown = self.inst.ctl("config", "show").stdout
        self.assertIn(self.secret_file, shown)
        self.assertNotIn(SECRET, shown)

    def test_the_file_must_be_there(self):
        os.rename(self.secret_file, self.secret_file + ".away")
        try:
            self.assertRegex(self.inst.reload("submitd"),
                             r"ev=reload\.refused .*" + self.secret_file)
        finally:
            os.rename(self.secret_file + ".away", self.secret_file)


class Dane(unittest.TestCase):
    """By MX and TLSA records of a signed zone; all hosts are one server."""

    def setUp(self):
        self.dns = DnsServer().__enter__()
        self.inst = Instance(start=False)
        etc = os.path.join(self.inst.root, "etc")
        self.pair = make_cert(etc, "dane", "whatever.test")
        self.hop = NextHop(tls=self.pair)
        self.hop.up()
        self.dns.zone("signed.test", self.zone(), signed=True)
        self.dns.zone("plain.test", "@ MX 10 mx\nmx A 127.0.0.1\n")
        anchor = self.inst.root + "/anchor.key"
        self.dns.anchor(anchor)
        self.inst.env.update(SUBMITD_TEST_DNS=self.dns.where,
                             SUBMITD_TEST_ANCHOR=anchor)
        self.inst.extra = """
route mx {
	domains = "*"
	via = mx
	port = %d
	tls = dane
}
""" % self.hop.port
        self.inst.write_conf(mx_allow_networks=["127.0.0.0/8"])
        self.inst.start()
        self.inst.add_user(ANNA, PASSWORDS[ANNA])

    def tearDown(self):
        self.inst.close()
        self.hop.down()
        self.dns.__exit__(None, None, None)

    def zone(self):
        key = subprocess.run(
            ["openssl", "x509", "-in", self.pair[0], "-noout", "-pubkey"],
            check=True, capture_output=True).stdout
        der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "DER"],
                             input=key, check=True, capture_output=True).stdout
        good = hashlib.sha256(der).hexdigest()
        text = ""
        for host, tlsa in (("good", good), ("bad", "00" * 32), ("none", "")):
            text += "%s MX 10 mx.%s\nmx.%s A 127.0.0.1\n" % ((host,) * 3)
            if tlsa:
                text += "_%d._tcp.mx.%s TLSA 3 1 1 %s\n" % (
                    self.hop.port, host, tlsa)
        return text

    def send(self, domain):
        with self.inst.smtp_as(ANNA) as w:
            w.send_mail(ANNA, ["x@" + domain], letter("by DANE"))

    def test_records_decide(self):
        self.send("good.signed.test")
        self.assertTrue(self.hop.wait_messages(1)[0].tls)
        self.send("bad.signed.test")
        self.inst.wait_log("submitd", r"ev=msg\.deferred .*bad\.signed.*4\.7\.5")
        # Without records and without signatures it is tls = may.
        self.send("none.signed.test")
        self.send("plain.test")
        self.hop.wait_messages(3)
        # What must be under TLS never falls back.
        wait_until(lambda: self.hop.open_now == 0, what="QUIT when idle")
        self.hop.rule("HANDSHAKE", "drop")
        self.send("good.signed.test")
        self.inst.wait_log("submitd", r"ev=msg\.deferred .*good\.signed")
        self.assertEqual(len(self.hop.messages), 3)


if __name__ == "__main__":
    unittest.main()
