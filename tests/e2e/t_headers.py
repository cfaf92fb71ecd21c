"""The header of a message: whose it must be, what is refused, what is mended;
and that nothing else is touched, shown with real signatures."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

from next_hop import NextHop
from submitd_instance import (ANNA, BOB, IS_ROOT, Instance, letter,
                              stuff, wait_until)

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = "friend@elsewhere.test"
ALIAS = "sales@example.test"
FOREIGN = "ceo@bank.test"
REST = "Date: Sun, 22 Nov 2026 05:00:00 +0000\r\nMessage-ID: <x@y.test>\r\n"


def setUpModule():
    global inst, hop, tmp
    tmp = tempfile.mkdtemp(prefix="submitd-headers-")
    hop = NextHop()
    hop.up()
    inst = Instance(conf={"next_hop": "127.0.0.1:%d" % hop.port})
    inst.ctl("user", "alias", "add", ANNA, ALIAS)


def tearDownModule():
    inst.close()
    hop.down()
    shutil.rmtree(tmp, ignore_errors=True)


def path(name, data=None):
    p = os.path.join(tmp, name)
    if data is not None:
        with open(p, "wb") as f:
            f.write(data)
    return p


def run(*args, data=b"", check=True, env=None):
    r = subprocess.run(args, input=data, capture_output=True,
                       env=dict(os.environ, **(env or {})))
    if check and r.returncode != 0:
        raise AssertionError("%s: exit %d\n%s\n%s" % (
            args, r.returncode, r.stdout, r.stderr))
    return r


class Case(unittest.TestCase):
    def setUp(self):
        hop.begin_anew()

    def configure(self, **changes):
        """Until the end of the test."""
        old = {k: inst.conf.get(k) for k in changes}

        def put(conf):
            inst.write_conf(**conf)
            for name in ("authd", "submitd"):
                self.assertIn("ev=reload.done", inst.reload(name))
        self.addCleanup(put, old)
        put(changes)

    def send(self, message, sender=ANNA, params="", user=ANNA):
        """The code, the text, and what submitd logged."""
        since = inst.log_size("submitd")
        with inst.smtp_as(user) as w:
            w.cmd("MAIL FROM:<%s>%s" % (sender, params), 250)
            w.cmd("RCPT TO:<%s>" % OUT, 250)
            w.cmd("DATA", 354)
            w.send(stuff(message.encode() if isinstance(message, str)
                         else message) + b".\r\n")
            code, text = w.reply()
            w.cmd("QUIT", 221)
        return code, text, inst.log("submitd", since)

    def refused(self, message, code, status, *words, field=None, **kw):
        got, text, log = self.send(message, **kw)
        self.assertEqual(got, code, text)
        self.assertTrue(text.startswith(status + " "), text)
        for w in words:
            self.assertIn(w, text)
        if field:
            self.assertRegex(log, r"ev=smtp\.refused .*cmd=DATA code=%d "
                             r".*header=%s" % (code, field))
        self.assertEqual(hop.messages, [])

    def taken(self, message, **kw):
        """What arrived at the next hop, behind our Received."""
        code, text, _ = self.send(message, **kw)
        self.assertEqual(code, 250, text)
        data = hop.wait_messages(1)[0].data
        hop.begin_anew()
        self.assertTrue(data.startswith(b"Received: "), data)
        return re.sub(rb"\AReceived: .*\r\n([ \t].*\r\n)*", b"",
                      data).decode("utf-8", "surrogateescape")


class Owner(Case):
    """Who may stand in From and Sender."""

    def test_own_addresses(self):
        for address in (ANNA, "Anna@Example.TEST", ALIAS,
                        "anna+news@example.test", '"anna"@example.test',
                        "anna @ example . test", "(x) <%s>" % ANNA,
                        "%s, A <%s>" % (ANNA, ALIAS)):
            with self.subTest(address):
                m = "From: %s\r\n%s\r\nhi\r\n" % (address, REST)
                self.assertEqual(self.taken(m), m)
                m = "From: %s\r\nSender: %s\r\n%s\r\nhi\r\n" % (
                    ANNA, ALIAS, REST)
                self.assertEqual(self.taken(m), m)

    def test_others(self):
        for address in (BOB, FOREIGN, "%s, %s" % (ANNA, FOREIGN),
                        '"%s" <%s>' % (ANNA, FOREIGN),
                        "%s <%s>" % (FOREIGN, ANNA), "root@localhost",
                        "=?utf-8?q?anna=40example.test?= <%s>" % FOREIGN,
                        "Anna\r\n <%s>" % FOREIGN):
            with self.subTest(address):
                self.refused("From: %s\r\n%s\r\nhi\r\n" % (address, REST), 550,
                             "5.7.1", "From: ", "you may send as " + ANNA,
                             field="From")
        self.refused("From: %s\r\nSender: %s\r\n\r\nhi\r\n" % (ANNA, BOB),
                     550, "5.7.1", "Sender: " + BOB, field="Sender")

    def test_null_sender(self):
        m = "From: %s\r\n%s\r\nhi\r\n" % (ANNA, REST)
        self.assertEqual(self.taken(m, sender=""), m)
        self.refused("From: %s\r\n\r\nhi\r\n" % BOB, 550, "5.7.1", sender="")
        self.refused("Subject: x\r\n\r\nhi\r\n", 550, "5.6.0", sender="",
                     field="From")

    def test_grant(self):
        inst.grant(BOB)
        try:
            with inst.smtp() as w:
                w.send_mail(BOB, [ANNA], letter("x", BOB))
                w.cmd("MAIL FROM:<%s>" % BOB, 250)
                w.cmd("RCPT TO:<%s>" % ANNA, 250)
                w.cmd("DATA", 354)
                w.send(stuff(letter("x", ANNA)) + b".\r\n")
                code, text = w.reply()
                self.assertEqual((code, text[:6]), (550, "5.7.1 "))
                w.quit()
        finally:
            inst.ctl("grant", "revoke", "--user", BOB, check=False)
            inst.fetch(ANNA)

    def test_resent(self):
        m = ("Resent-From: %s\r\nResent-To: %s\r\nFrom: %s\r\n%s\r\nhi\r\n"
             % (ANNA, OUT, FOREIGN, REST))
        self.assertEqual(self.taken(m), m)
        self.refused("Resent-From: %s\r\nFrom: %s\r\n\r\nhi\r\n"
                     % (BOB, ANNA), 550, "5.7.1", field="Resent-From")
        # In the name of another user here nobody sends on either.
        for other in (BOB, "nobody@" + BOB.split("@")[1]):
            self.refused("Resent-From: %s\r\nFrom: %s\r\n\r\nhi\r\n"
                         % (ANNA, other), 550, "5.7.1", field="From")

    def test_rfc6409_8_1_add_sender(self):
        self.configure(sender_policy="add-sender")
        m = "From: %s\r\n%s" % (FOREIGN, REST)
        added = m + "Sender: %s\r\n\r\nhi\r\n" % ANNA
        since = inst.log_size("submitd")
        self.assertEqual(self.taken(m + "\r\nhi\r\n"), added)
        inst.wait_log("submitd", r"ev=smtp\.header .*user=%s from=%s "
                      r"header=From why=foreign address=%s action=add-sender$"
                      % (ANNA, ANNA, FOREIGN), since)
        self.assertEqual(self.taken(m + "\r\nhi\r\n", sender=""), added)
        self.assertEqual(self.taken("Sender: Eve\r\n\t<%s>\r\n%s\r\nhi\r\n"
                                    % (BOB, m)), added)
        own = "%sSender: %s\r\n\r\nhi\r\n" % (m, ALIAS)
        self.assertEqual(self.taken(own), own)
        with inst.smtp_as(ANNA) as w:
            w.cmd("MAIL FROM:<%s>" % FOREIGN, 553)

    def test_log(self):
        self.configure(sender_policy="log")
        m = "From: %s\r\n%s\r\nhi\r\n" % (FOREIGN, REST)
        since = inst.log_size("authd")
        self.assertEqual(self.taken(m), m)
        self.assertRegex(inst.log("authd", since),
                         r"ev=sender\.foreign .*from=%s in=header" % FOREIGN)


class Rules(Case):
    def test_twice(self):
        for name in ("From", "Sender", "Date", "Message-ID", "To", "Cc",
                     "Subject"):
            with self.subTest(name):
                m = "%s: %s\r\n" % (name, ANNA)
                self.refused("From: %s\r\n" % ANNA * (name != "From") + m +
                             "X: y\r\n" + m.upper().replace(
                                 ANNA.upper(), ANNA) + "\r\nhi\r\n",
                             550, "5.6.0", name, field=name)

    def test_names(self):
        head = "From: %s\r\n" % ANNA
        for line, field in (("Subject : x", "Subject"),
                            ("X-Y\t: x", "X-Y"), ("Gr\u00fc\u00dfe: x", None),
                            ("X\x01: y", None)):
            with self.subTest(line):
                self.refused("%s%s\r\n\r\nhi\r\n" % (head, line), 550,
                             "5.6.0", field=field)
        self.refused("From : %s\r\n\r\nhi\r\n" % ANNA, 550, "5.6.0",
                     "space before its colon", field="From")

    def test_unreadable(self):
        for value in ("", "Anna", "anna@", "team: %s;" % ANNA, "<>",
                      "<@x.test:%s>" % ANNA, '"Anna <%s>' % ANNA,
                      ",".join(["a@example.test"] * 101)):
            with self.subTest(value):
                self.refused("From: %s\r\n\r\nhi\r\n" % value, 550, "5.6.0",
                             field="From")

    def test_in_chunks(self):
        for m, code in (("From: %s\r\nFrom: %s\r\n\r\nhi\r\n" % (ANNA, ANNA),
                         550),
                        ("From: %s\r\n%s\r\nhi\r\n" % (ALIAS, REST), 250)):
            for n in (1, 7, len(m)):
                with inst.smtp_as(ANNA) as w:
                    w.cmd("MAIL FROM:<%s>" % ANNA, 250)
                    w.cmd("RCPT TO:<%s>" % OUT, 250)
                    codes = []
                    for at in range(0, len(m), n):
                        codes.append(self.chunk(w, m[at:at + n],
                                                at + n >= len(m)))
                        if codes[-1] != 250:
                            break
                    self.assertEqual(codes[-1], code)
                    w.quit()
        wait_until(inst.queue_empty, what="the queue being empty")

    @staticmethod
    def chunk(w, piece, last):
        w.send("BDAT %d%s\r\n%s" % (len(piece), " LAST" if last else "",
                                    piece))
        return w.reply()[0]

    def test_shadow(self):
        self.configure(header_policy="log")
        m = "From: %s\r\nFrom: %s\r\n%s\r\nhi\r\n" % (ANNA, ANNA, REST)
        since = inst.log_size("submitd")
        self.assertEqual(self.taken(m), m)
        self.assertRegex(inst.log("submitd", since), r"ev=smtp\.header .*"
                         r"header=From why=twice action=log")


class FixUps(Case):
    def test_from_date_message_id(self):
        got = self.taken("Subject: x\r\n\r\nhi\r\n")
        self.assertRegex(got, r"\ASubject: x\r\nFrom: %s\r\nDate: \w{3}, .*"
                         r"\r\nMessage-ID: <[a-z2-7]{16}@mail\.example\.test>"
                         r"\r\n\r\nhi\r\n\Z" % ANNA)

    def test_no_header(self):
        got = self.taken("hello there\r\nFrom: %s\r\n" % FOREIGN)
        self.assertTrue(got.startswith("From: %s\r\n" % ANNA), got)
        self.assertTrue(got.endswith(
            ">\r\n\r\nhello there\r\nFrom: %s\r\n" % FOREIGN), got)
        got = self.taken("From: %s\r\n%shello\r\nFrom: %s\r\n\r\nhi\r\n"
                         % (ANNA, REST, FOREIGN))
        self.assertEqual(got, "From: %s\r\n%s\r\nhello\r\nFrom: %s\r\n\r\nhi"
                         "\r\n" % (ANNA, REST, FOREIGN))

    def test_dropped(self):
        keep = "From: %s\r\n%sTo: x\r\n" % (ANNA, REST)
        m = ("Return-Path: <x>\r\nBcc: a@b.test,\r\n c@d.test\r\n" + keep +
             "BCC: y\r\nResent-Bcc: z\r\n\r\nBcc: body\r\n")
        self.assertEqual(self.taken(m), keep + "\r\nBcc: body\r\n")
        self.configure(drop_headers=["X-Mailer"])
        m = "X-Mailer: x\r\n\ty\r\n" + keep + "\r\nhi\r\n"
        self.assertEqual(self.taken("Bcc: x\r\n" + m),
                         "Bcc: x\r\n" + keep + "\r\nhi\r\n")
        self.configure(drop_headers=[])
        self.assertEqual(self.taken("Bcc: x\r\n" + m), "Bcc: x\r\n" + m)


class Limits(Case):
    def test_lines(self):
        for n, code in ((65534, 250), (65535, 550)):
            with inst.smtp_as(ANNA) as w:
                w.cmd("MAIL FROM:<%s>" % ANNA, 250)
                w.cmd("RCPT TO:<%s>" % ANNA, 250)
                w.cmd("DATA", 354)
                w.send(letter(body=b"x" * n + b"\r\n") + b".\r\n")
                got, text = w.reply()
                self.assertEqual(got, code, text)
                if code == 550:
                    self.assertIn("line_limit, in octets: 65536", text)
        inst.fetch(ANNA, n=1)

    def test_header(self):
        head = "From: %s\r\n" % ANNA
        self.refused(head + "X: y\r\n" * 1000 + "\r\nhi\r\n", 554, "5.6.0",
                     "header_count_limit: 1000")
        self.refused(head + ("X: " + "y" * 990 + "\r\n") * 270 + "\r\nhi\r\n",
                     554, "5.6.0", "header_size_limit, in octets: 262144")

    def test_received(self):
        m = letter().decode()
        self.taken("Received: x\r\n" * 100 + m)
        wait_until(inst.queue_empty, what="the queue being empty")
        hop.begin_anew()
        self.refused("Received: x\r\n" * 101 + m, 554, "5.4.6",
                     "received_limit is 100")
        self.configure(received_limit=10)
        self.refused("Received: x\r\n" * 11 + m, 554, "5.4.6",
                     "received_limit is 10")

    def test_size_of_a_user(self):
        inst.ctl("user", "set", ANNA, "message_size=4K")
        try:
            with inst.smtp_as(ANNA) as w:
                code, text = w.cmd("MAIL FROM:<%s> SIZE=4097" % ANNA)
                self.assertEqual(code, 552)
                self.assertTrue(text.startswith("5.3.4 "), text)
                self.assertIn("you may send, in octets: 4096", text)
                w.cmd("MAIL FROM:<%s> SIZE=4096" % ANNA, 250)
            self.refused(letter(body=b"x\r\n" * 1400), 552, "5.3.4", "4096")
            with inst.smtp_as(BOB) as w:
                w.cmd("MAIL FROM:<%s> SIZE=4097" % BOB, 250)
        finally:
            inst.ctl("user", "set", ANNA, "message_size=none")

    def test_rate(self):
        """The window is 1.5 s here: 300 octets."""
        i = Instance(start=False)
        i.env["SUBMITD_TEST_RATE_MS"] = "1500"
        with i:
            i.start()
            i.add_user(ANNA, i.users[ANNA])
            self.too_slow(i)
            wait_until(lambda: self.fast(i), what="a second without a pause")

    def too_slow(self, inst):
        with inst.smtp_as(ANNA) as w:
            w.cmd("MAIL FROM:<%s>" % ANNA, 250)
            w.cmd("RCPT TO:<%s>" % ANNA, 250)
            w.cmd("DATA", 354)
            end = time.monotonic() + 30
            w.sock.settimeout(0.02)
            while time.monotonic() < end and not w.buffer:
                w.send("x\r\n")
                try:
                    w.fill()
                except TimeoutError:
                    pass
            w.sock.settimeout(30)
            code, text = w.reply()
            self.assertEqual(code, 421, text)
            self.assertTrue(text.startswith("4.4.2 "), text)
            self.assertTrue(w.is_closed())
        # Nor do chunks that are whole when they come last for ever.
        with inst.smtp_as(ANNA) as w:
            w.cmd("MAIL FROM:<%s>" % ANNA, 250)
            w.cmd("RCPT TO:<%s>" % ANNA, 250)
            end, code = time.monotonic() + 30, 250
            while time.monotonic() < end and code == 250:
                time.sleep(0.02)
                w.send("BDAT 1\r\nx")
                code, text = w.reply()
            self.assertEqual((code, text[:6]), (421, "4.4.2 "))
            self.assertTrue(w.is_closed())

    def fast(self, inst):
        """A fast one has no end of time. False: this machine stood still, and
        so the client was none."""
        with inst.smtp_as(ANNA) as w:
            w.cmd("MAIL FROM:<%s>" % ANNA, 250)
            w.cmd("RCPT TO:<%s>" % ANNA, 250)
            w.cmd("DATA", 354)
            at, longest = time.monotonic(), 0.0
            end = at + 4
            while at < end:
                w.send(b"x" * 98 + b"\r\n")
                time.sleep(0.02)
                at, before = time.monotonic(), at
                longest = max(longest, at - before)
            if longest > 0.5:
                return False
            w.send(".\r\n")
            self.assertEqual(w.reply()[0], 250)
            return True


BODY = ("Gr\u00fc\u00dfe,\r\n.\r\n..dots\r\nFrom the start of a line\r\n"
        "trailing space \r\n\ttab\r\n\r\n" + "x" * 900 + "\r\n\r\n")


class Signed(Case):
    """What was signed verifies in the Maildir and at the next hop, with a header
    that lacks fields, has Bcc, and an own From that must be asked about."""

    def through(self, message):
        hop.begin_anew()
        inst.fetch(ANNA)
        with inst.smtp_as(ANNA) as w:
            w.send_mail(ANNA, [ANNA, OUT], message, " BODY=8BITMIME")
        away = hop.wait_messages(1)[0].data
        here = inst.fetch(ANNA, n=1)[0]
        wait_until(inst.queue_empty, what="the queue being empty")
        for got in (away, here):
            self.assertNotIn(b"\r\nBcc:", got)
            self.assertTrue(got.endswith(
                message.split(b"\r\n\r\n", 1)[1]), got)
        return away, here

    def test_smime(self):
        cert, key = path("smime.pem"), path("smime.key")
        run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes",
            "-subj", "/CN=Anna/emailAddress=" + ANNA, "-days", "2", "-addext",
            "keyUsage=digitalSignature", "-addext",
            "extendedKeyUsage=emailProtection", "-keyout", key, "-out", cert)
        text = path("smime.txt", ("Content-Type: text/plain; charset=utf-8\r\n"
                                  "Content-Transfer-Encoding: 8bit\r\n\r\n" +
                                  BODY).encode())
        for opts in ((), ("-nodetach",)):
            signed = run("openssl", "cms", "-sign", "-binary", "-crlfeol",
                         "-in", text, "-signer", cert, "-inkey", key,
                         *opts).stdout.replace(b"\r\n", b"\n").replace(
                             b"\n", b"\r\n")
            message = (b"From: Anna <%s>\r\nBcc: %s\r\nSubject: signed\r\n" % (
                ALIAS.encode(), BOB.encode())) + signed
            for got in self.through(message):
                run("openssl", "cms", "-verify", "-binary",
                    "-crlfeol", "-CAfile", cert,
                    "-in", path("smime.eml", got), "-out",
                    path("smime.out"))
            # The test sees what breaks it.
            bad = message.replace(b"trailing space \r", b"trailing space\r")
            if not opts:
                self.assertNotEqual(bad, message)
                self.assertNotEqual(run(
                    "openssl", "cms", "-verify", "-binary",
                    "-crlfeol", "-CAfile", cert,
                    "-in", path("bad.eml", bad), "-out", path("bad.out"),
                    check=False).returncode, 0)

    def test_pgp(self):
        home = path("gnupg")
        os.makedirs(home, mode=0o700)
        env = {"GNUPGHOME": home}
        self.addCleanup(run, "gpgconf", "--kill", "all", env=env)
        run("gpg", "--batch", "--passphrase", "", "--quick-generate-key",
            ANNA, "ed25519", "sign", env=env)
        part = ("Content-Type: text/plain; charset=utf-8\r\n"
                "Content-Transfer-Encoding: 8bit\r\n\r\n" + BODY).encode()
        # RFC 3156 section 5: the CR LF before the boundary is not signed.
        sig = run("gpg", "--batch", "--armor", "--detach-sign", data=part,
                  env=env).stdout.replace(b"\n", b"\r\n")
        message = (
            b"From: Anna <%s>\r\nBcc: %s\r\nMIME-Version: 1.0\r\nContent-Type: "
            b"multipart/signed; micalg=pgp-sha512;\r\n\tprotocol=\"application/"
            b"pgp-signature\"; boundary=\"b\"\r\n\r\n--b\r\n%s\r\n--b\r\n"
            b"Content-Type: application/pgp-signature\r\n\r\n%s\r\n--b--\r\n"
            % (ANNA.encode(), BOB.encode(), part, sig))
        for got in self.through(message):
            parts = got.split(b"\r\n--b\r\n")
            s = path("pgp.sig", parts[2].split(b"\r\n\r\n", 1)[1].split(
                b"\r\n--b--")[0])
            run("gpg", "--batch", "--verify", s, path("pgp.part", parts[1]),
                env=env)

    @unittest.skipUnless(IS_ROOT, "name servers of our own need root")
    def test_dkim(self):
        run("opendkim-genkey", "-D", tmp, "-d", "example.test", "-s", "sel",
            "-b", "2048")
        with open(path("sel.txt"), encoding="ascii") as f:
            txt = "".join(re.findall(r'"([^"]*)"', f.read()))
        # What opendkim-testmsg makes is rsa-sha1.
        txt = txt.replace("h=sha256; ", "")
        self.assertIn("p=MII", txt)
        for to in (OUT, "%s,\r\n %s" % (OUT, ANNA)):
            message = ("From: Anna <%s>\r\n%sSubject: signed\r\nTo:  %s\r\n"
                       "\r\n%s" % (ANNA, REST, to, BODY)).encode()
            # The lines that it adds end with LF.
            signed = run("opendkim-testmsg", "-C", "-d", "example.test", "-s",
                         "sel", "-k", path("sel.private"), data=message).stdout
            signed = signed.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
            self.assertIn(b"DKIM-Signature:", signed)
            signed = b"Bcc: " + BOB.encode() + b"\r\n" + signed
            away, here = self.through(signed)
            for got in (away, here):
                self.verify(got, txt, 0)
            self.verify(away.replace(b"..dots", b".dots"), txt, None)

    def verify(self, message, txt, want):
        r = run("unshare", "-nm", sys.executable, "-B",
                os.path.join(HERE, "dkim_verify.py"),
                "sel._domainkey.example.test", txt, data=message, check=False)
        if want is None:
            self.assertNotEqual(r.returncode, 0)
        else:
            self.assertEqual(r.returncode, want, (r.stdout, r.stderr))

