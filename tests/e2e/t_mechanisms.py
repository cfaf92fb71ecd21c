"""Every way to log in, by mail programs that nobody here wrote and by a client
that lies where it should not."""

import base64
import hashlib
import hmac
import os
import poplib
import re
import shutil
import smtplib
import ssl
import subprocess
import tempfile
import unittest

from sasl_client import Exchange, Scram, b64
from submitd_instance import (
    ANNA, BOB, CARL, PATIENCE_S, Instance, Refused, letter, make_cert,
    wait_until, need)

PW = "bob-secret"
SECRET = "bob's second secret"
MECHS = ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256",
         "SCRAM-SHA-1", "EXTERNAL", "PLAIN", "CRAM-MD5", "APOP", "LOGIN"]
OFFERED = [m for m in MECHS if m not in ("EXTERNAL", "APOP")]
TLS12 = dict(maximum_version=ssl.TLSVersion.TLSv1_2)


def setUpModule():
    global inst, tmp, laptop, stranger
    tmp = tempfile.mkdtemp(prefix="submitd-mechanisms-")
    inst = Instance(conf={"mechanisms": MECHS, "scram_sha1": "yes"})
    laptop = make_cert(tmp, "laptop", "laptop.example.test")
    stranger = make_cert(tmp, "stranger", "stranger.example.test")
    inst.ctl("user", "secret", "add", BOB, "--stdin", input=SECRET + "\n")
    inst.ctl("user", "certificate", "add", BOB, "laptop", laptop[0])
    inst.ctl("user", "allow-as", "add", BOB, ANNA)


def tearDownModule():
    shutil.rmtree(tmp, ignore_errors=True)
    inst.close()


def run(cmd, input=b"", ok=(0,), env=None):
    r = subprocess.run(cmd, input=input, capture_output=True,
                       env=dict(os.environ, HOME=tmp, **(env or {})),
                       timeout=120)
    if ok is not None and r.returncode not in ok:
        raise AssertionError("%s: exit %d\n%s\n%s" % (
            cmd, r.returncode, r.stdout[-3000:].decode("latin-1"),
            r.stderr[-3000:].decode("latin-1")))
    return r


def path(name, text):
    p = os.path.join(tmp, name)
    with open(p, "w", encoding="utf-8") as f:
        f.write(text)
    os.chmod(p, 0o600)
    return p


def context(pair=None, **kw):
    ctx = inst.tls_context(**kw)
    if pair:
        ctx.load_cert_chain(*pair)
    return ctx


def wires(services=("submission", "submissions", "pop3", "pop3s"), **kw):
    """An open connection by each listener, under TLS."""
    for service in services:
        begin = inst.pop if service.startswith("pop") else inst.smtp
        yield service, begin(service, context=context(**kw))


def end_point(sock):
    return hashlib.sha256(sock.getpeercert(binary_form=True)).digest()


def unique(sock):
    return sock.get_channel_binding("tls-unique")


def mechanism_of_last_login():
    return re.findall(r"ev=auth\.ok .*method=(\S+)", inst.log("authd"))[-1]


class Advertised(unittest.TestCase):
    def mechs(self, w):
        if hasattr(w, "multiline"):
            w.cmd("CAPA")
            lines = w.multiline().decode().split("\r\n")
            found = [x for x in lines if x.startswith("SASL")]
        else:
            lines = w.cmd("EHLO c.test", 250)[1].split("\n")
            found = [x for x in lines if x.startswith("AUTH")]
        self.assertLessEqual(len(found), 1)
        return found[0].split()[1:] if found else []

    def test_strongest_first(self):
        for service, w in wires():
            with self.subTest(service), w:
                self.assertEqual(self.mechs(w), OFFERED)

    def test_external_for_who_has_a_certificate(self):
        for version in ({}, TLS12):
            for service, w in wires(pair=stranger, **version):
                with self.subTest(service), w:
                    self.assertEqual(self.mechs(w),
                                     [m for m in MECHS if m != "APOP"])

    def test_nothing_in_clear(self):
        with inst.smtp(tls=False) as w:
            self.assertEqual(self.mechs(w), [])
            for m in MECHS:
                w.cmd("AUTH " + m, 530)
        with inst.pop(tls=False) as p:
            self.assertEqual(self.mechs(p), [])
            for m in MECHS:
                p.cmd("AUTH " + m, ok=False)
            p.cmd("APOP bob " + "0" * 32, ok=False)

    def test_by_listener(self):
        with Instance(conf={
                "mechanisms": ["SCRAM-SHA-256", "PLAIN"],
                "mechanisms_submissions": ["LOGIN"],
                "mechanisms_pop3": ["SCRAM-SHA-256", "APOP", "CRAM-MD5"],
                "mechanisms_pop3s": ["EXTERNAL"]}) as i:
            want = {"submission": ["SCRAM-SHA-256", "PLAIN"],
                    "submissions": ["LOGIN"], "pop3": ["SCRAM-SHA-256"],
                    "pop3s": []}
            cert = make_cert(tmp, "any")
            for pair in (None, cert):
                for s in want:
                    ctx = i.tls_context()
                    if pair:
                        ctx.load_cert_chain(*pair)
                        want["pop3s"] = ["EXTERNAL"]
                    with (i.pop if s.startswith("pop") else i.smtp)(
                            s, context=ctx) as w, self.subTest(s):
                        self.assertEqual(self.mechs(w), want[s])
            with i.smtp("submissions") as w:
                w.auth_plain(BOB, PW, 504)
            with i.pop("pop3") as p:
                p.cmd("USER " + BOB, ok=False)
                p.cmd("AUTH LOGIN", ok=False)
            # A secret, and what needs one, come and go without a restart.
            i.ctl("user", "secret", "add", BOB, "--stdin",
                  input=SECRET + "\n")

            def offered():
                with i.pop("pop3") as p:
                    return self.mechs(p)
            wait_until(lambda: offered() == ["SCRAM-SHA-256", "CRAM-MD5"],
                       what="CRAM-MD5 is offered")
            i.ctl("user", "secret", "delete", BOB)
            wait_until(lambda: offered() == ["SCRAM-SHA-256"],
                       what="CRAM-MD5 is offered no more")
            # A listener that gets other mechanisms asks for no certificate.
            i.write_conf(mechanisms_pop3s=None)
            i.reload("authd")
            i.reload("popd")
            ctx = i.tls_context()
            ctx.load_cert_chain(*cert)
            with i.pop("pop3s", context=ctx) as p:
                self.assertEqual(self.mechs(p), ["SCRAM-SHA-256", "PLAIN"])


class ScramByHand(unittest.TestCase):
    """The client of sasl_client.py."""

    @staticmethod
    def each(kinds, initial=(True, False), **kw):
        """What a test needs of each way to bind: a name, the connection, ..."""
        for mech, hash in (("SCRAM-SHA-256", "sha256"), ("SCRAM-SHA-1", "sha1")):
            for gs2, get, version in kinds:
                for first in initial:
                    for service, w in wires(**version, **kw):
                        with w:
                            yield ((mech, gs2, first, service,
                                    w.sock.version()), w, mech, hash, gs2, get,
                                   first)

    def test_rfc9266_4_rfc5929_right(self):
        for name, w, mech, hash, gs2, get, first in self.each((
                ("p=tls-server-end-point,,", end_point, {}),
                ("p=tls-server-end-point,,", end_point, TLS12),
                ("p=tls-unique,,", unique, TLS12),
                ("n,,", None, {}))):
            with self.subTest(name):
                plus = "-PLUS" if get else ""
                what, text = Exchange(w, mech + plus).scram(Scram(
                    BOB, PW, hash, gs2, get(w.sock) if get else b""), first)
                self.assertEqual(what, "ok", text)
                self.assertEqual(mechanism_of_last_login(), mech + plus)
                if not hasattr(w, "multiline"):
                    w.cmd("MAIL FROM:<%s>" % BOB, 250)

    def refused(self, text):
        self.assertRegex(text, r"^(535 5\.7\.8|-ERR \[AUTH\]) ")

    def test_rfc9266_4_another_connections_binding(self):
        """Somebody in between has a connection to each side."""
        for name, w, mech, hash, gs2, get, first in self.each((
                ("p=tls-server-end-point,,", end_point, {}),
                ("p=tls-unique,,", unique, TLS12)), (True,),
                services=("submissions", "pop3")):
            with self.subTest(name):
                right = get(w.sock)
                for wrong in (right[:-1] + bytes([right[-1] ^ 1]), b"",
                              right + b"x"):
                    x = Scram(BOB, PW, hash, gs2, wrong)
                    what, text = Exchange(w, mech + "-PLUS").scram(x)
                    self.assertEqual(what, "no")
                    self.refused(text)
                what, text = Exchange(w, mech + "-PLUS").scram(
                    Scram(BOB, PW, hash, gs2, right))
                self.assertEqual(what, "ok", text)

    def test_bindings_that_are_none(self):
        for gs2, version in (("p=tls-unique,,", {}), ("p=tls-none,,", {}),
                             ("p=,,", {}), ("p=" + "x" * 200 + ",,", {})):
            for first in (True, False):
                for service, w in wires(("submission", "pop3s"), **version):
                    with self.subTest((gs2, first, service)), w:
                        what, text = Exchange(w, "SCRAM-SHA-256-PLUS").scram(
                            Scram(BOB, PW, "sha256", gs2, b"x" * 12), first)
                        self.assertEqual(what, "no")

    def test_downgrade(self):
        """'y': the client could bind and believes that we cannot, for somebody
        took -PLUS out of the list."""
        for service, w in wires():
            with self.subTest(service), w:
                what, text = Exchange(w, "SCRAM-SHA-256").scram(
                    Scram(BOB, PW, gs2="y,,"))
                self.assertEqual(what, "no")
                what, text = Exchange(w, "SCRAM-SHA-256").scram(
                    Scram(BOB, PW))
                self.assertEqual(what, "ok", text)

    def test_y_is_right_where_there_is_no_plus(self):
        with Instance(conf={"mechanisms": ["SCRAM-SHA-256"]}) as i:
            with i.smtp() as w:
                what, text = Exchange(w, "SCRAM-SHA-256").scram(
                    Scram(BOB, PW, gs2="y,,"))
                self.assertEqual(what, "ok", text)
            with i.smtp() as w:
                w.cmd("AUTH SCRAM-SHA-256-PLUS", 504)

    def test_plus_by_name_only(self):
        for gs2 in ("n,,", "y,,"):
            for first in (True, False):
                for service, w in wires():
                    with self.subTest((gs2, first, service)), w:
                        what, text = Exchange(w, "SCRAM-SHA-256-PLUS").scram(
                            Scram(BOB, PW, gs2=gs2), first)
                        self.assertEqual(what, "no")

    def test_binding_without_plus(self):
        for service, w in wires():
            with self.subTest(service), w:
                what, text = Exchange(w, "SCRAM-SHA-256").scram(Scram(
                    BOB, PW, gs2="p=tls-server-end-point,,",
                    binding=end_point(w.sock)))
                self.assertEqual(what, "no")

    def test_wrong_password(self):
        for name, w, mech, hash, gs2, get, first in self.each((
                ("p=tls-server-end-point,,", end_point, {}),), (True,)):
            with self.subTest(name):
                for user, password in ((BOB, "wrong"),
                                       ("nobody@example.test", PW)):
                    what, text = Exchange(w, mech + "-PLUS").scram(
                        Scram(user, password, hash, gs2, get(w.sock)))
                    self.assertEqual(what, "no")
                    self.refused(text)


class Protocol(unittest.TestCase):
    """RFC 4954 section 4, to the letter."""

    def test_rfc4954_4_names(self):
        with inst.smtp() as w:
            for m in ("PLAIN-PLUS", "LOGIN-PLUS", "CRAM-MD5-PLUS", "ANONYMOUS",
                      "DIGEST-MD5", "GSSAPI", "SCRAM-SHA-512", "APOP", "-PLUS"):
                self.assertEqual(w.cmd("AUTH " + m, 504)[1][:5], "5.5.4")
        for m in ("PLAIN-PLUS", "ANONYMOUS", "APOP", "DIGEST-MD5"):
            with inst.pop() as p:
                p.cmd("AUTH " + m, ok=False)

    def test_rfc4954_4_server_first(self):
        with inst.smtp() as w:
            for ir in ("=", b64("x")):
                self.assertEqual(w.cmd("AUTH CRAM-MD5 " + ir, 501)[1][:5],
                                 "5.7.0")
            w.cmd("AUTH CRAM-MD5", 334)
            w.cmd("*", 501)
        with inst.pop() as p:
            p.cmd("AUTH CRAM-MD5 =", ok=False)

    def test_rfc4954_4_first_messages(self):
        with inst.smtp() as w:
            w.cmd("AUTH SCRAM-SHA-256-PLUS =", 501, 535)
            self.assertEqual(w.cmd("AUTH SCRAM-SHA-256-PLUS", 334)[1], "")
            w.cmd("*", 501)
            w.cmd("AUTH SCRAM-SHA-256-PLUS", 334)
            self.assertEqual(w.cmd("!!!!", 501)[1][:5], "5.5.2")
            w.cmd("AUTH SCRAM-SHA-256-PLUS", 334)
            self.assertEqual(w.cmd("A" * 12287, 500)[1][:5], "5.5.6")
            w.cmd("AUTH SCRAM-SHA-256-PLUS", 334)
            w.cmd("A" * 12284, 501, 535)
            w.auth_plain(BOB, PW)
            self.assertEqual(w.cmd("AUTH SCRAM-SHA-256-PLUS", 503)[1][:5],
                             "5.5.1")

    def test_rfc4954_4_in_a_transaction(self):
        with inst.smtp(auth=(BOB, PW)) as w:
            w.cmd("MAIL FROM:<%s>" % BOB, 250)
            w.cmd("AUTH EXTERNAL =", 503)


class External(unittest.TestCase):
    def login(self, w, ir):
        """With an initial response, or (False) asked for it."""
        x = Exchange(w, "EXTERNAL")
        if ir is not False:
            return x.say(ir, first=True)
        what, r = x.ask()
        self.assertEqual((what, r), ("continue", b""))
        return x.say("")

    def test_right(self):
        for version in ({}, TLS12):
            for ir in ("", BOB, False):
                for service, w in wires(pair=laptop, **version):
                    with self.subTest((service, ir, version)), w:
                        what, text = self.login(w, ir)
                        self.assertEqual(what, "ok", text)
                        self.assertEqual(mechanism_of_last_login(), "EXTERNAL")

    def test_for_another(self):
        with inst.smtp(context=context(laptop)) as w:
            self.assertEqual(self.login(w, ANNA)[0], "ok")
            w.cmd("MAIL FROM:<%s>" % ANNA, 250)
        for who in (CARL, "nobody@example.test", "\ud800".encode(
                "utf-8", "surrogatepass").decode("latin-1")):
            with inst.smtp(context=context(laptop)) as w, self.subTest(who):
                self.assertEqual(self.login(w, who)[0], "no")

    def test_strangers(self):
        for pair in (stranger, None):
            for service, w in wires(pair=pair):
                with self.subTest((service, pair)), w:
                    what, text = self.login(w, BOB)
                    self.assertEqual(what, "no")
                    self.assertRegex(text, r"^(535|-ERR \[AUTH\]) ")

    def test_a_certificate_and_a_password(self):
        """A certificate that nobody knows is no harm."""
        for service, w in wires(pair=stranger):
            with self.subTest(service), w:
                what, text = Exchange(w, "PLAIN").say(
                    "\0%s\0%s" % (BOB, PW), first=True)
                self.assertEqual(what, "ok", text)


class Secrets(unittest.TestCase):
    """CRAM-MD5 and APOP."""

    def cram(self, user, secret):
        def answer(challenge):
            return "%s %s" % (user, hmac.new(secret.encode(), challenge,
                                             "md5").hexdigest())
        return answer

    def test_cram_md5(self):
        seen = set()
        for service, w in wires():
            with self.subTest(service), w:
                for user, secret, want in ((BOB, "wrong", "no"),
                                           (BOB, PW, "no"),
                                           (ANNA, SECRET, "no"),
                                           (BOB, SECRET, "ok")):
                    x = Exchange(w, "CRAM-MD5")
                    what, challenge = x.ask()
                    self.assertEqual(what, "continue")
                    self.assertNotIn(challenge, seen)
                    seen.add(challenge)
                    what, text = x.say(self.cram(user, secret)(challenge))
                    self.assertEqual(what, want, text)

    def test_smtplib(self):
        with smtplib.SMTP("localhost", inst.port("submission")) as s:
            s.starttls(context=inst.tls_context())
            s.ehlo()
            s.user, s.password = BOB, SECRET
            s.auth("CRAM-MD5", s.auth_cram_md5)
            s.sendmail(BOB, [ANNA], letter("cram", BOB))
        inst.fetch(ANNA, n=1)

    def poplib(self, kind):
        if kind == "pop3s":
            return poplib.POP3_SSL("localhost", inst.port("pop3s"),
                                   context=inst.tls_context(),
                                   timeout=PATIENCE_S)
        p = poplib.POP3("localhost", inst.port("pop3"), timeout=PATIENCE_S)
        p.stls(context=inst.tls_context())
        return p

    def test_apop(self):
        stamps = set()
        for kind in ("pop3", "pop3s"):
            with self.subTest(kind):
                p = self.poplib(kind)
                stamp = re.search(rb"<[^>]+>$", p.welcome).group()
                self.assertNotIn(stamp, stamps)
                stamps.add(stamp)
                for user, secret in ((BOB, "wrong"), (ANNA, SECRET),
                                     ("nobody@example.test", SECRET)):
                    with self.assertRaisesRegex(poplib.error_proto,
                                                r"\[AUTH\]"):
                        p.apop(user, secret)
                p.apop(BOB, SECRET)
                p.stat()
                p.quit()
                self.assertEqual(mechanism_of_last_login(), "APOP")

    def test_apop_of_another_session(self):
        """A digest that was overheard is of no use later."""
        with inst.pop("pop3s") as a, inst.pop("pop3s") as b:
            a.close()
            b.cmd("APOP %s %s" % (BOB, hashlib.md5(
                b"<x.1@mail.example.test>" + SECRET.encode()).hexdigest()),
                ok=False)


class Gsasl(unittest.TestCase):
    def gsasl(self, mech, *args, password=PW, ok=(0,), user=BOB):
        need("gsasl")
        return run(["gsasl", "--smtp", "--verbose",
                    "--connect=localhost:%d" % inst.port("submission"),
                    "--starttls", "--x509-ca-file=" + inst.cert,
                    "-m", mech, "-a", user, "-p", password,
                    "--hostname=localhost", "--service=smtp", *args], ok=ok)

    def test_scram(self):
        for mech in ("SCRAM-SHA-256", "SCRAM-SHA-1"):
            with self.subTest(mech):
                self.gsasl(mech, "--no-cb")
                self.assertEqual(mechanism_of_last_login(), mech)

    def test_scram_plus(self):
        for mech in ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS"):
            for priority in ("NORMAL", "NORMAL:-VERS-TLS1.3"):
                for first in ((), ("--no-client-first",)):
                    with self.subTest((mech, priority, first)):
                        self.gsasl(mech, "--priority=" + priority, *first)
                        self.assertEqual(mechanism_of_last_login(), mech)

    def test_others(self):
        for mech, password in (("PLAIN", PW), ("LOGIN", PW),
                               ("CRAM-MD5", SECRET)):
            with self.subTest(mech):
                self.gsasl(mech, password=password)
                self.assertEqual(mechanism_of_last_login(), mech)

    def test_external(self):
        for priority in ("NORMAL", "NORMAL:-VERS-TLS1.3"):
            with self.subTest(priority):
                self.gsasl("EXTERNAL", "--x509-cert-file=" + laptop[0],
                           "--x509-key-file=" + laptop[1],
                           "--priority=" + priority, "-z", "")
                self.assertEqual(mechanism_of_last_login(), "EXTERNAL")

    def test_wrong(self):
        for mech, args in (("SCRAM-SHA-256-PLUS", ()), ("PLAIN", ()),
                           ("SCRAM-SHA-1", ("--no-cb",))):
            with self.subTest(mech):
                n = inst.log("authd").count("ev=auth.ok")
                r = self.gsasl(mech, *args, password="wrong", ok=None)
                self.assertNotEqual(r.returncode, 0)
                self.assertEqual(inst.log("authd").count("ev=auth.ok"), n)


class Programs(unittest.TestCase):
    def arrived(self, mech):
        self.assertEqual(len(inst.fetch(ANNA, n=1)), 1)
        self.assertIn("method=%s " % mech, [
            x for x in inst.log("authd").splitlines()
            if "ev=auth.ok" in x and "service=smtp" in x][-1])

    def msmtp(self, mech, password, *lines):
        need("msmtp")
        rc = path("msmtprc", "\n".join((
            "account a", "host localhost", "port %d" % inst.port("submission"),
            "tls on", "tls_trust_file " + inst.cert, "auth " + mech,
            "user " + BOB, "password " + password, "from " + BOB, *lines,
            "account default : a")) + "\n")
        return run(["msmtp", "-C", rc, "-a", "a", "--", ANNA],
                   input=b"Subject: x\n\nHello.\n")

    def test_msmtp(self):
        for mech, password in (("scram-sha-256", PW), ("scram-sha-1", PW),
                               ("plain", PW), ("login", PW),
                               ("cram-md5", SECRET)):
            with self.subTest(mech):
                self.msmtp(mech, password)
                self.arrived(mech.upper())

    def test_msmtp_external(self):
        self.msmtp("external", PW, "tls_cert_file " + laptop[0],
                   "tls_key_file " + laptop[1])
        self.arrived("EXTERNAL")

    def test_msmtp_chooses(self):
        self.msmtp("on", PW)
        self.assertEqual(len(inst.fetch(ANNA, n=1)), 1)

    def test_mpop(self):
        need("mpop")
        for mech, password in (("scram-sha-256", PW), ("scram-sha-1", PW),
                               ("plain", PW), ("login", PW), ("user", PW),
                               ("cram-md5", SECRET), ("apop", SECRET)):
            with self.subTest(mech):
                rc = path("mpoprc", "\n".join((
                    "account a", "host localhost",
                    "port %d" % inst.port("pop3s"), "tls on",
                    "tls_starttls off", "tls_trust_file " + inst.cert,
                    "auth " + mech, "user " + BOB, "password " + password,
                    "uidls_file " + os.path.join(tmp, "uidls"),
                    "delivery mbox " + os.path.join(tmp, "mbox"),
                    "account default : a")) + "\n")
                run(["mpop", "-C", rc, "-a"])
                self.assertEqual(
                    mechanism_of_last_login(),
                    {"user": "PLAIN"}.get(mech, mech.upper()))

    def test_mutt(self):
        """Mutt with GNU SASL chooses -PLUS and then has no binding, so it is
        told not to (submitd.conf(5), mechanisms)."""
        need("mutt")
        for mech in ("SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN"):
            with self.subTest(mech):
                rc = path("muttrc", "\n".join((
                    'set smtp_url="smtp://%s@localhost:%d"' % (
                        BOB.replace("@", "%40"), inst.port("submission")),
                    'set smtp_pass="%s"' % PW, 'set from="%s"' % BOB,
                    "set use_from=yes", "set use_envelope_from=yes",
                    'set smtp_authenticators="%s"' % mech.lower(),
                    "set ssl_starttls=yes", "set ssl_force_tls=yes",
                    'set certificate_file="%s"' % inst.cert,
                    'set ssl_ca_certificates_file="%s"' % inst.cert,
                    "unset record", "set copy=no",
                    'set hostname="client.example.test"')) + "\n")
                run(["mutt", "-n", "-F", rc, "-s", "from mutt", "--", ANNA],
                    input=b"Hello.\n", env={"LC_ALL": "C.UTF-8",
                                            "TERM": "dumb"})
                self.arrived(mech)

    def curl(self, url, *args):
        need("curl")
        return run(["curl", "-sv", "--ssl-reqd", "--cacert", inst.cert, *args,
                    url])

    def test_curl(self):
        f = path("m.eml", "Subject: x\r\n\r\nHello.\r\n")
        mail = ("--mail-from", BOB, "--mail-rcpt", ANNA, "-T", f)
        url = "smtp://localhost:%d" % inst.port("submission")
        for mech, password in (("PLAIN", PW), ("LOGIN", PW),
                               ("CRAM-MD5", SECRET)):
            with self.subTest(mech):
                self.curl(url, "--login-options", "AUTH=" + mech, "-u",
                          BOB + ":" + password, *mail)
                self.arrived(mech)
        for version in ((), ("--tls-max", "1.2")):
            with self.subTest(("EXTERNAL", version)):
                self.curl(url, "--login-options", "AUTH=EXTERNAL", "-u",
                          BOB + ":", "--cert", laptop[0], "--key", laptop[1],
                          *version, *mail)
                self.arrived("EXTERNAL")

    def test_curl_pop3(self):
        url = "pop3s://localhost:%d/" % inst.port("pop3s")
        for mech, password in (("PLAIN", PW), ("LOGIN", PW),
                               ("CRAM-MD5", SECRET), ("+APOP", SECRET)):
            with self.subTest(mech):
                self.curl(url, "--login-options", "AUTH=" + mech, "-u",
                          BOB + ":" + password)
                self.assertEqual(mechanism_of_last_login(), mech.lstrip("+"))
        self.curl(url, "--login-options", "AUTH=EXTERNAL", "-u", BOB + ":",
                  "--cert", laptop[0], "--key", laptop[1])
        self.assertEqual(mechanism_of_last_login(), "EXTERNAL")

    def test_swaks(self):
        need("swaks")
        for mech, password in (("PLAIN", PW), ("LOGIN", PW),
                               ("CRAM-MD5", SECRET)):
            with self.subTest(mech):
                run(["swaks", "--server", "localhost", "-p",
                     str(inst.port("submission")), "--from", BOB, "--to", ANNA,
                     "--tls", "--tls-verify", "--tls-ca-path", inst.cert,
                     "--auth", mech, "--auth-user", BOB, "--auth-password",
                     password])
                self.arrived(mech)

    def test_fetchmail_apop(self):
        need("fetchmail")
        with inst.smtp(auth=(ANNA, inst.users[ANNA])) as w:
            w.send_mail(ANNA, [BOB], letter("for fetchmail"))
        wait_until(lambda: inst.drop_size(BOB) == 1, what="the message")
        out = os.path.join(tmp, "fetched")
        rc = path("fetchmailrc", (
            'poll localhost service %d proto APOP timeout 20\n'
            'user "%s" password "%s" ssl sslproto tls1.2+ sslcertck '
            'sslcertfile "%s" mda "cat >>%s" fetchall\n') % (
                inst.port("pop3s"), BOB, SECRET, inst.cert, out))
        r = run(["fetchmail", "-f", rc, "--nosyslog", "-v",
                 "--pidfile", os.path.join(tmp, "fetchmail.pid")], ok=None)
        self.assertEqual(r.returncode, 0, r.stdout + r.stderr)
        self.assertEqual(mechanism_of_last_login(), "APOP")
        with open(out, "rb") as f:
            self.assertIn(b"for fetchmail", f.read())


class Ended(unittest.TestCase):
    """Sessions that authd wants ended."""

    def setUp(self):
        self.i = Instance()

    def tearDown(self):
        self.i.close()

    def sessions(self, user=BOB):
        return (self.i.smtp_as(user), self.i.smtp_as(user, service="submissions"),
                self.i.pop_as(user))

    def assert_ended(self, smtp, pop):
        for w in smtp:
            code, text = w.reply()
            self.assertEqual((code, text[:5]), (421, "4.7.0"))
            self.assertTrue(w.is_closed())
        self.assertEqual(pop.line(), b"")

    def test_disable_and_passwd(self):
        others = self.sessions(ANNA)
        with self.i.smtp_as(CARL) as w:
            w.send_mail(CARL, [BOB], letter("keep me", CARL))
        wait_until(lambda: self.i.drop_size(BOB) == 1, what="the message")
        for what in ("passwd", "disable"):
            with self.subTest(what):
                *smtp, pop = self.sessions()
                smtp[0].cmd("MAIL FROM:<%s>" % BOB, 250)
                pop.cmd("DELE 1")
                if what == "disable":
                    self.i.ctl("user", "disable", BOB)
                else:
                    self.i.ctl("user", "passwd", BOB, "--stdin",
                               input="another secret\n")
                    self.i.users[BOB] = "another secret"
                self.assert_ended(smtp, pop)
        for w in others[:2]:
            w.cmd("NOOP", 250)
        others[2].cmd("NOOP")
        self.assertEqual(self.i.drop_size(BOB), 1)	# DELE was not done
        for name, event, n in (("submitd", r"ev=smtp\.close .*why=kicked", 4),
                               ("popd", r"ev=pop3\.close .*why=kicked", 2)):
            wait_until(lambda: len(re.findall(event, self.i.log(name))) >= n,
                       what=event)
            self.assertEqual(len(re.findall(event, self.i.log(name))), n)

    def test_who_and_kick(self):
        *smtp, pop = self.sessions()
        anna = self.i.smtp_as(ANNA)
        def who():
            text = self.i.ctl("who").stdout
            return text.count(BOB), text.count(ANNA)
        wait_until(lambda: who() == (3, 1), what="the four")
        self.i.ctl("kick", BOB)
        self.assert_ended(smtp, pop)
        anna.cmd("NOOP", 250)
        wait_until(lambda: who() == (0, 1), what="their end")

    def test_many(self):
        """All of a user's sessions end, however many there are."""
        users = [ANNA, BOB] * 100
        wires = [self.i.smtp_as(u) for u in users]
        self.i.ctl("kick", BOB)
        for u, w in zip(users, wires):
            if u == BOB:
                self.assertEqual(w.reply()[0], 421)
            else:
                w.cmd("NOOP", 250)
            w.close()


if __name__ == "__main__":
    unittest.main()
