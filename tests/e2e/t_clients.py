"""Mail programs that nobody here wrote send, and others fetch; the message is
compared octet by octet."""

import email
import email.policy
import os
import poplib
import random
import re
import shutil
import smtplib
import ssl
import subprocess
import tempfile
import unittest

import submitd_instance
from submitd_instance import ANNA, BOB, PATIENCE_S, Instance, need

PW = "bob-secret"


def letter(subject, **kw):
    """What BOB sends."""
    return submitd_instance.letter(subject, BOB, **kw)


def setUpModule():
    global inst, tmp
    tmp = tempfile.mkdtemp(prefix="submitd-clients-")
    inst = Instance()


def tearDownModule():
    shutil.rmtree(tmp, ignore_errors=True)
    inst.close()


def crlf(n_octets):
    """8-bit text in lines, about this long, always the same."""
    rnd = random.Random(n_octets)
    out, size = [], 0
    while size < n_octets:
        line = bytes(rnd.choices(
            b"abcdefghijklmnopqrstuvwxyz .\xe4\xf6\xfc\xff\x80", k=rnd.randrange(0, 990)))
        out.append(line)
        size += len(line) + 2
    return b"\r\n".join(out) + b"\r\n"


DOTS = (b".\r\n..\r\n.leading\r\n...\r\nmiddle . dot\r\n\r\n.\r\n"
        b"..x\r\nlast line is a dot\r\n.\r\n")
EIGHT = bytes(range(0x80, 0x100)) + b"\r\n" + "Grüße, 日本\r\n".encode()
LONG = letter("long lines").replace(
    b"Subject:", b"X-Long: " + b"x" * 980 + b"\r\nX-Folded: " + b"\r\n ".join(
        [b"y" * 900] * 5) + b"\r\nSubject:") + b"z" * 998 + b"\r\n"
BODIES = {
    "dots": letter("dots", body=DOTS),
    "eight bit": letter("eight", body=EIGHT),
    "long lines": LONG,
    "empty body": letter("empty", body=b""),
    "blank lines": letter("blank", body=b"\r\n\r\n\r\nx\r\n\r\n"),
}
BIG = letter("big", body=crlf(20 << 20))


def run(cmd, input=None, env=None, ok=(0,), cwd=None):
    e = dict(os.environ, HOME=tmp, **(env or {}))
    r = subprocess.run(cmd, input=input, capture_output=True, env=e,
                       timeout=120, cwd=cwd)
    if r.returncode not in ok:
        raise AssertionError("%s: exit %d\n%s\n%s" % (
            cmd, r.returncode, r.stdout[-2000:].decode("latin-1"),
            r.stderr[-3000:].decode("latin-1")))
    return r


def path(name, data, mode=0o600):
    p = os.path.join(tmp, name)
    with open(p, "wb") as f:
        f.write(data if isinstance(data, bytes) else data.encode())
    os.chmod(p, mode)
    return p


class Sending(unittest.TestCase):
    """Each sends as bob to anna; we read what arrived by raw POP3."""

    def arrived(self, message):
        got = inst.fetch(ANNA, n=1)
        self.assertEqual(len(got), 1)
        if not got[0].endswith(message):
            at = next((i for i in range(1, len(message) + 1)
                       if got[0][-i] != message[-i]), None)
            self.fail("differs %s octets before the end: ...%r, sent ...%r" % (
                at, got[0][-at - 40:][:120], message[-at - 40:][:120]))
        head = got[0][:-len(message)] if message else got[0]
        self.assertRegex(head, rb"(?s)^Return-Path: <bob@example\.test>\r\n")
        self.assertRegex(head, rb"with ESMTPSA")
        # Only trace lines came in front.
        for line in head.decode().split("\r\n"):
            self.assertRegex(line, r"^(Return-Path:|Delivered-To:|Received:|\s|$)")

    def test_smtplib(self):
        for name, message in BODIES.items():
            with self.subTest(name):
                with smtplib.SMTP("localhost", inst.port("submission")) as s:
                    s.starttls(context=inst.tls_context())
                    s.login(BOB, PW)
                    s.sendmail(BOB, [ANNA], message,
                               ["BODY=8BITMIME"] if b"\xff" in message else [])
                self.arrived(message)

    def test_smtplib_implicit_tls(self):
        with smtplib.SMTP_SSL("localhost", inst.port("submissions"),
                              context=inst.tls_context()) as s:
            s.login(BOB, PW)
            s.sendmail(BOB, [ANNA], BODIES["dots"])
        self.arrived(BODIES["dots"])

    def test_smtplib_login_mechanism(self):
        with smtplib.SMTP("localhost", inst.port("submission")) as s:
            s.starttls(context=inst.tls_context())
            s.ehlo()
            s.user, s.password = BOB, PW
            s.auth("LOGIN", s.auth_login, initial_response_ok=False)
            s.sendmail(BOB, [ANNA], BODIES["dots"])
        self.arrived(BODIES["dots"])

    def test_smtplib_20_mib(self):
        with smtplib.SMTP_SSL("localhost", inst.port("submissions"),
                              context=inst.tls_context()) as s:
            s.login(BOB, PW)
            s.sendmail(BOB, [ANNA], BIG)
        self.arrived(BIG)

    def test_curl_smtp(self):
        need("curl")
        for name, message in BODIES.items():
            with self.subTest(name):
                f = path("m.eml", message)
                run(["curl", "-sv", "--ssl-reqd", "--cacert", inst.cert,
                     "--mail-from", BOB, "--mail-rcpt", ANNA, "-u",
                     BOB + ":" + PW, "-T", f,
                     "smtp://localhost:%d" % inst.port("submission")])
                self.arrived(message)

    def test_curl_smtp_mechanisms(self):
        need("curl")
        message = BODIES["dots"]
        for mech in ("PLAIN", "LOGIN"):
            with self.subTest(mech):
                f = path("m.eml", message)
                run(["curl", "-sv", "--ssl-reqd", "--cacert", inst.cert,
                     "--login-options", "AUTH=" + mech,
                     "--mail-from", BOB, "--mail-rcpt", ANNA, "-u",
                     BOB + ":" + PW, "-T", f,
                     "smtp://localhost:%d" % inst.port("submission")])
                self.arrived(message)

    def test_curl_smtps(self):
        need("curl")
        f = path("m.eml", BODIES["eight bit"])
        run(["curl", "-sv", "--cacert", inst.cert, "--mail-from", BOB,
             "--mail-rcpt", ANNA, "-u", BOB + ":" + PW, "-T", f,
             "smtps://localhost:%d" % inst.port("submissions")])
        self.arrived(BODIES["eight bit"])

    def test_curl_20_mib(self):
        need("curl")
        f = path("big.eml", BIG)
        run(["curl", "-s", "--ssl-reqd", "--cacert", inst.cert,
             "--mail-from", BOB, "--mail-rcpt", ANNA, "-u",
             BOB + ":" + PW, "-T", f,
             "smtp://localhost:%d" % inst.port("submission")])
        self.arrived(BIG)

    def swaks(self, message, *args, ok=(0,)):
        f = path("swaks.eml", message)
        return run(["swaks", "--server", "localhost", "--from", BOB,
                    "--to", ANNA, "--auth-user", BOB, "--auth-password", PW,
                    "--data", "@" + f, "--no-data-fixup",
                    "--tls-verify", "--tls-ca-path", inst.cert, *args], ok=ok)

    def test_swaks(self):
        need("swaks")
        # Without its fix-up swaks sends the file as it is, the final dot too.
        for args in (("--tls", "--auth", "PLAIN", "-p", str(inst.port("submission"))),
                     ("--tls", "--auth", "LOGIN", "-p", str(inst.port("submission"))),
                     ("--tls-on-connect", "-p", str(inst.port("submissions"))),
                     ("--tls", "--pipeline", "-p", str(inst.port("submission")))):
            with self.subTest(args):
                message = BODIES["dots"]
                stuffed = (b"\r\n" + message).replace(b"\r\n.", b"\r\n..")[2:]
                r = self.swaks(stuffed + b".", *args)
                self.assertIn(b"250 2.", r.stdout)
                self.arrived(message)

    def test_swaks_tls_protocols(self):
        need("swaks")
        for proto in ("tlsv1_2", "tlsv1_3"):
            with self.subTest(proto):
                self.swaks(letter("x") + b".", "--tls", "--tls-protocol", proto,
                           "-p", str(inst.port("submission")))
                self.assertEqual(len(inst.fetch(ANNA, n=1)), 1)

    def msmtp(self, message, port, *lines):
        rc = path("msmtprc", "\n".join((
            "account a", "host localhost", "port %d" % port, "tls on",
            "tls_trust_file " + inst.cert, "auth on", "user " + BOB,
            "password " + PW, "from " + BOB, "add_missing_from_header off",
            "add_missing_date_header off", "logfile -", "account default : a",
            *lines)) + "\n")
        run(["msmtp", "-C", rc, "-a", "a", "--", ANNA], input=message)

    def test_msmtp(self):
        need("msmtp")
        for name, message in BODIES.items():
            if name == "long lines":
                continue        # msmtp's own buffer breaks lines over 500
            with self.subTest(name):
                self.msmtp(message.replace(b"\r\n", b"\n"), inst.port("submission"))
                self.arrived(message)

    def test_msmtp_scram_and_others(self):
        need("msmtp")
        message = BODIES["dots"]
        for mech in ("plain", "login", "scram-sha-256"):
            with self.subTest(mech):
                rc = path("msmtprc2", "\n".join((
                    "account a", "host localhost",
                    "port %d" % inst.port("submissions"), "tls on",
                    "tls_starttls off", "tls_trust_file " + inst.cert,
                    "auth " + mech, "user " + BOB, "password " + PW,
                    "from " + BOB, "add_missing_from_header off",
                    "add_missing_date_header off")) + "\n")
                r = run(["msmtp", "-C", rc, "-a", "a", "--", ANNA],
                        input=message.replace(b"\r\n", b"\n"), ok=(0, 69, 70, 78))
                if r.returncode and b"not supported" in r.stderr + r.stdout:
                    continue    # this msmtp was built without it
                self.assertEqual(r.returncode, 0, r.stderr)
                self.arrived(message)

    def test_s_nail(self):
        need("s-nail")
        data = EIGHT * 50 + os.urandom(2000)
        f = path("attachment.bin", data)
        for url in ("smtp://%s:%s@localhost:%d" % (
                        BOB.replace("@", "%40"), PW, inst.port("submission")),
                    "smtps://%s:%s@localhost:%d" % (
                        BOB.replace("@", "%40"), PW, inst.port("submissions"))):
            with self.subTest(url.split(":")[0]):
                run(["s-nail", "-:/", "-S", "v15-compat=yes",
                     "-S", "tls-ca-file=" + inst.cert,
                     "-S", "tls-ca-no-defaults", "-S", "tls-verify=strict",
                     "-S", "smtp-use-starttls", "-S", "smtp-auth=plain",
                     "-S", "sendwait", "-S", "from=" + BOB,
                     "-S", "mta=" + url, "-S", "hostname=client.example.test",
                     "-s", "from s-nail", "-a", f, ANNA],
                    input=".dot\n..\nGrüße\n".encode(),
                    env={"LC_ALL": "C.UTF-8"})
                m = email.message_from_bytes(inst.fetch(ANNA, n=1)[0],
                                             policy=email.policy.default)
                parts = list(m.walk())
                self.assertEqual(
                    parts[-1].get_payload(decode=True), data)
                self.assertIn("\n..\n", m.get_body().get_content()
                              .replace("\r\n", "\n"))

    def test_git_send_email(self):
        need("git")
        if run(["git", "send-email", "--help"], ok=(0, 1, 128)).returncode:
            raise unittest.SkipTest("git send-email is not installed")
        repo = tempfile.mkdtemp(dir=tmp)
        env = {"GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C.UTF-8", "TERM": "dumb",
               "GIT_TERMINAL_PROMPT": "0"}
        for name in ("AUTHOR", "COMMITTER"):
            env.update({"GIT_%s_NAME" % name: "B\u00f6b",
                        "GIT_%s_EMAIL" % name: BOB})

        def git(*args):
            return run(["git", *args], env=env, cwd=repo).stdout
        git("init", "-q")
        for n in range(3):
            with open(os.path.join(repo, "f"), "ab") as f:
                f.write(b".\n..\nFrom \xc3\xa4 %d\n" % n)
            git("add", "f")
            git("commit", "-q", "-m", "Gr\u00fc\u00dfe %d\n\n.\n..\nText." % n)
        patches = git("format-patch", "-3", "--root").decode().split()
        for service, encryption in (("submission", "tls"), ("submissions", "ssl")):
            with self.subTest(service):
                git("send-email", "--smtp-server=localhost",
                    "--smtp-server-port=%d" % inst.port(service),
                    "--smtp-encryption=" + encryption,
                    "--smtp-ssl-cert-path=" + inst.cert, "--smtp-auth=PLAIN",
                    "--smtp-user=" + BOB, "--smtp-pass=" + PW,
                    "--from=B\u00f6b <%s>" % BOB, "--to=" + ANNA,
                    "--suppress-cc=all", "--confirm=never", *patches)
                got = inst.fetch(ANNA, n=3)
                for name in patches:
                    with open(os.path.join(repo, name), "rb") as f:
                        body = f.read().split(b"\n\n", 1)[1]
                    self.assertEqual(1, sum(m.replace(b"\r\n", b"\n").endswith(
                        b"\n\n" + body) for m in got), name)

    def test_mutt(self):
        need("mutt")
        data = EIGHT * 50 + bytes(range(256))
        f = path("mutt.bin", data)
        for url in ("smtp://bob%%40example.test@localhost:%d" % inst.port("submission"),
                    "smtps://bob%%40example.test@localhost:%d" % inst.port("submissions")):
            with self.subTest(url):
                rc = path("muttrc", "\n".join((
                    'set smtp_url="%s"' % url, 'set smtp_pass="%s"' % PW,
                    'set from="%s"' % BOB, "set use_from=yes",
                    "set use_envelope_from=yes",
                    "set ssl_starttls=yes", "set ssl_force_tls=yes",
                    'set certificate_file="%s"' % inst.cert,
                    'set ssl_ca_certificates_file="%s"' % inst.cert,
                    "unset ssl_usesystemcerts", "unset record",
                    "set copy=no", 'set hostname="client.example.test"')) + "\n")
                run(["mutt", "-n", "-F", rc, "-s", "from mutt", "-a", f, "--",
                     ANNA], input=b".dot\n..\n.\n",
                    env={"LC_ALL": "C.UTF-8", "TERM": "dumb"})
                m = email.message_from_bytes(inst.fetch(ANNA, n=1)[0],
                                             policy=email.policy.default)
                self.assertEqual(
                    list(m.walk())[-1].get_payload(decode=True), data)
                self.assertEqual(
                    m.get_body().get_content().replace("\r\n", "\n"),
                    ".dot\n..\n.\n")


class Fetching(unittest.TestCase):
    """We put messages in by smtplib; each client fetches them exactly."""

    @classmethod
    def setUpClass(cls):
        cls.messages = list(BODIES.values())

    def setUp(self):
        inst.fetch(ANNA)
        with smtplib.SMTP_SSL("localhost", inst.port("submissions"),
                              context=inst.tls_context()) as s:
            s.login(BOB, PW)
            for m in self.messages:
                s.sendmail(BOB, [ANNA], m, ["BODY=8BITMIME"])
        raw = inst.fetch(ANNA, delete=False, n=len(self.messages))
        self.expected = sorted(raw)
        for m in self.messages:
            self.assertTrue(any(r.endswith(m) for r in raw))

    def tearDown(self):
        inst.fetch(ANNA)

    def compare(self, got, unix=False):
        expected = self.expected
        if unix:
            expected = sorted(e.replace(b"\r\n", b"\n") for e in expected)
        self.assertEqual(len(got), len(expected))
        for g, e in zip(sorted(got), expected):
            self.assertEqual(g, e)

    def poplib_session(self, kind):
        if kind == "pop3":
            p = poplib.POP3("localhost", inst.port("pop3"), timeout=PATIENCE_S)
            p.stls(context=inst.tls_context())
        else:
            p = poplib.POP3_SSL("localhost", inst.port("pop3s"),
                                context=inst.tls_context(), timeout=PATIENCE_S)
        p.user(ANNA)
        p.pass_(inst.users[ANNA])
        return p

    def test_poplib(self):
        poplib._MAXLINE = 16384
        for kind in ("pop3", "pop3s"):
            with self.subTest(kind):
                p = self.poplib_session(kind)
                n, size = p.stat()
                got = [b"\r\n".join(p.retr(i + 1)[1]) + b"\r\n"
                       for i in range(n)]
                self.assertEqual(size, sum(len(g) for g in got))
                self.assertEqual([int(x.split()[1]) for x in p.list()[1]],
                                 [len(g) for g in got])
                self.assertEqual(len({x.split()[1] for x in p.uidl()[1]}), n)
                p.quit()
                self.compare(got)

    def test_curl(self):
        need("curl")
        for url, more in (("pop3://localhost:%d/" % inst.port("pop3"), ["--ssl-reqd"]),
                          ("pop3s://localhost:%d/" % inst.port("pop3s"), [])):
            with self.subTest(url):
                base = ["curl", "-s", "--cacert", inst.cert, "-u",
                        ANNA + ":" + inst.users[ANNA], *more]
                listing = run(base + [url]).stdout
                got = [run(base + [url + line.split()[0].decode()]).stdout
                       for line in listing.splitlines()]
                self.compare(got)

    def test_fetchmail(self):
        need("fetchmail")
        box = os.path.join(tmp, "fetched")
        os.makedirs(box, exist_ok=True)
        mda = path("mda", '#!/bin/sh\nexec cat >"%s/$$.eml"\n' % box, 0o700)
        for port, more in ((inst.port("pop3"), "sslproto 'TLS1.2+'"),
                           (inst.port("pop3s"), "ssl")):
            with self.subTest(more):
                rc = path("fetchmailrc", (
                    'poll localhost service %d protocol pop3 user "%s" '
                    'password "%s" %s sslcertck sslcertfile "%s" keep '
                    'fetchall no rewrite no dropstatus mda "%s"\n')
                    % (port, ANNA, inst.users[ANNA], more, inst.cert, mda))
                for f in os.listdir(box):
                    os.unlink(os.path.join(box, f))
                run(["fetchmail", "--nosyslog", "--nodetach", "-vv",
                     "--invisible", "-f", rc, "-i", os.path.join(tmp, "ids"),
                     "--pidfile", os.path.join(tmp, "fm.pid")])
                got = []
                for f in os.listdir(box):
                    with open(os.path.join(box, f), "rb") as h:
                        got.append(h.read())
                # fetchmail hands the message to its MDA with LF, ends it
                # with one and takes Return-Path and trailing blanks of
                # headers for itself: the bodies are what must be equal.
                def bodies(ms):
                    return sorted(m.replace(b"\r\n", b"\n").split(b"\n\n", 1)[1]
                                  .rstrip(b"\n") for m in ms)
                self.assertEqual(bodies(got), bodies(self.expected))

    def test_mpop(self):
        need("mpop")
        for port, starttls in ((inst.port("pop3"), "on"),
                               (inst.port("pop3s"), "off")):
            with self.subTest(starttls):
                box = tempfile.mkdtemp(dir=tmp)
                for d in ("cur", "new", "tmp"):
                    os.mkdir(os.path.join(box, d))
                rc = path("mpoprc", "\n".join((
                    "account a", "host localhost", "port %d" % port,
                    "tls on", "tls_starttls " + starttls,
                    "tls_trust_file " + inst.cert, "user " + ANNA,
                    'password "%s"' % inst.users[ANNA], "keep on",
                    "delivery maildir " + box, "received_header off",
                    "uidls_file " + os.path.join(box, "uidls"))) + "\n")
                run(["mpop", "-C", rc, "a"])
                got = []
                for f in os.listdir(os.path.join(box, "new")):
                    with open(os.path.join(box, "new", f), "rb") as h:
                        got.append(h.read())
                self.compare(got, unix=True)

    def test_mpop_deletes(self):
        need("mpop")
        box = tempfile.mkdtemp(dir=tmp)
        for d in ("cur", "new", "tmp"):
            os.mkdir(os.path.join(box, d))
        rc = path("mpoprc", "\n".join((
            "account a", "host localhost", "port %d" % inst.port("pop3s"),
            "tls on", "tls_starttls off", "tls_trust_file " + inst.cert,
            "user " + ANNA, 'password "%s"' % inst.users[ANNA], "keep off",
            "delivery maildir " + box,
            "uidls_file " + os.path.join(box, "uidls"))) + "\n")
        run(["mpop", "-C", rc, "a"])
        self.assertEqual(inst.fetch(ANNA), [])


class Big(unittest.TestCase):
    def test_20_mib_by_pop3(self):
        with smtplib.SMTP_SSL("localhost", inst.port("submissions"),
                              context=inst.tls_context()) as s:
            s.login(BOB, PW)
            s.sendmail(BOB, [ANNA], BIG)
        inst.fetch(ANNA, delete=False, n=1)
        got = run(["curl", "-s", "--cacert", inst.cert, "-u",
                   ANNA + ":" + inst.users[ANNA],
                   "pop3s://localhost:%d/1" % inst.port("pop3s")]).stdout
        inst.fetch(ANNA)
        self.assertTrue(got.endswith(BIG))


class Resumption(unittest.TestCase):
    def test_python_ssl_of_both_versions(self):
        for v in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            with self.subTest(v.name):
                ctx = inst.tls_context(minimum_version=v, maximum_version=v)
                s = inst.smtp(context=ctx, auth=(BOB, PW))
                self.assertTrue(re.match("TLSv1.[23]", s.sock.version()))
                s.quit()

    def test_old_tls_is_refused(self):
        ctx = inst.tls_context()
        ctx.minimum_version = ssl.TLSVersion.TLSv1
        ctx.maximum_version = ssl.TLSVersion.TLSv1_1
        ctx.set_ciphers("ALL:@SECLEVEL=0")
        with self.assertRaises((ssl.SSLError, ConnectionError, OSError)):
            inst.smtp("submissions", context=ctx)
