"""What the RFCs ask of a submission server, section by section, on the wire.

ROWS are transcripts: each becomes a test named after its section. A row begins
in one of the states of BEGIN; each step is what is sent (a line, or octets as
they are) and what must come: codes, or (codes, a regular expression that each
line of the reply's text, or the whole of it, must match). None: the connection
ends. What a transcript cannot show is a method below.
"""

import email
import os
import re
import ssl
import subprocess
import time
import unittest

from next_hop import NextHop
from submitd_instance import (ANNA, BOB, Instance, Refused, letter, stuff,
                              wait_until)

SOURCE = os.environ.get("SUBMITD_SOURCE", os.path.dirname(os.path.dirname(
    os.path.dirname(os.path.abspath(__file__)))))
OUT = "friend@elsewhere.test"
MAIL = "MAIL FROM:<%s>" % ANNA
TO_BOB = "RCPT TO:<%s>" % BOB
TX = [(MAIL, 250), (TO_BOB, 250)]
TLS_FIRST = (530, r"^5\.7\.0 Must issue a STARTTLS command first")
LONG_DOMAIN = ".".join(["d" * 60] * 4) + ".test"        # 248 octets

BEGIN = {
    "banner": dict(tls=False, helo=None),   # nothing was said
    "clear": dict(tls=False),               # EHLO in clear
    "tls": dict(service="submissions", helo=None),
    "ehlo": {},                             # EHLO under TLS, no AUTH
    "auth": None,                           # and AUTH, as anna
}

ROWS = [
    # -- RFC 6409: submission
    ("6409 4.3", "MAIL needs authorisation", "ehlo",
     [(MAIL, (530, r"^5\.7\.0 ")), ("MAIL FROM:<>", 530), (TO_BOB, 503),
      ("DATA", 503)]),
    ("6409 4.2", "domains are fully qualified, or 554", "auth",
     [("MAIL FROM:<anna@localhost>", 554), ("MAIL FROM:<anna@mail>", 554),
      (MAIL, 250), ("RCPT TO:<bob@localhost>", 554)]),
    ("6409 3.2", "the null return path is no cause to refuse", "auth",
     [("MAIL FROM:<>", 250), (TO_BOB, 250)]),
    ("6409 4.1", "554 where nothing more exact fits", "auth",
     [(MAIL, 250), ("RCPT TO:<nobody@example.test>", 550),
      ("DATA", (554, r"^5\.5\.1 "))]),
    ("6409 5.1", "501 for bad syntax of an address", "auth",
     [("MAIL FROM:<anna@@example.test>", (501, r"^5\.1\.7 ")), (MAIL, 250),
      ("RCPT TO:<bob", (501, r"^5\.1\.3 "))]),
    ("6409 6.1", "a sender that is not this user's", "auth",
     [("MAIL FROM:<%s>" % BOB, (553, r"^5\.7\.1 ")),
      ("MAIL FROM:<x@elsewhere.test>", (553, r"^5\.7\.1 ")), (MAIL, 250)]),
    ("6409 6.2", "a recipient that nobody is", "auth",
     [(MAIL, 250), ("RCPT TO:<nobody@example.test>", (550, r"^5\.1\.1 "))]),
    ("6409 7", "ETRN, ATRN and 521 are not here", "auth",
     [("ETRN example.test", 502), ("ATRN example.test", 502), ("TURN", 502)]),
    # -- RFC 4954, what is MAIL's
    ("4954 5", "AUTH= on MAIL is taken, and believed of nobody", "auth",
     [(MAIL + " AUTH=<>", 250), ("RSET", 250),
      (MAIL + " AUTH=bob+2Bx@example.test", 250), ("RSET", 250),
      (MAIL + " AUTH=a+2", 501)]),
    ("4954 6", "without AUTH only some commands, not 530", "ehlo",
     [("NOOP", 250), ("RSET", 250), ("EHLO b.test", 250), ("AUTH", 501),
      ("QUIT", 221)]),
    # -- RFC 3207: STARTTLS
    ("3207 4", "STARTTLS takes no argument", "clear",
     [("STARTTLS now", 501), ("NOOP", 250)]),
    ("3207 4", "before TLS all but NOOP EHLO STARTTLS QUIT is 530", "clear",
     [("NOOP", 250), ("EHLO b.test", 250), (MAIL, TLS_FIRST),
      (TO_BOB, TLS_FIRST), ("DATA", TLS_FIRST), ("VRFY a", TLS_FIRST),
      ("EXPN a", TLS_FIRST), ("HELP", TLS_FIRST), ("RSET", TLS_FIRST)]),
    ("3207 4", "before TLS AUTH is 530, and QUIT works", "clear",
     [("AUTH PLAIN AGFubmEAYQ==", TLS_FIRST), ("BDAT 0 LAST", TLS_FIRST),
      ("QUIT", 221)]),
    ("3207 4", "STARTTLS is the last of its group", "clear",
     [(b"STARTTLS\r\nNOOP\r\n", 503), None]),
    ("3207 4.2", "no STARTTLS under TLS", "ehlo",
     [("STARTTLS", 503), ("NOOP", 250)]),
    ("8314 3.3", "nor where TLS came first", "tls",
     [("EHLO b.test", (250, r"(?s)^(?!.*STARTTLS)")), ("STARTTLS", 503)]),
    # -- RFC 5321: SMTP
    ("5321 4.5.1", "the commands that must be there", "auth",
     [("EHLO b.test", 250), ("HELO b.test", 250), ("NOOP", 250),
      ("NOOP with a string", 250), ("RSET", 250), ("VRFY bob", 252),
      ("HELP", 214), (MAIL, 250), (TO_BOB, 250), ("RSET", 250),
      ("QUIT", 221), None]),
    ("5321 4.5.1", "postmaster has no domain", "auth",
     [(MAIL, 250), ("RCPT TO:<postmaster>", 250),
      ("RCPT TO:<PostMaster@example.test>", 250)]),
    ("5321 7.3", "VRFY and EXPN are 252, whoever it is", "auth",
     [("VRFY bob@example.test", (252, r"^2\.0\.0 Cannot say")),
      ("VRFY nobody@example.test", (252, r"^2\.0\.0 Cannot say")),
      ("EXPN staff", (252, r"^2\.0\.0 Cannot say")), ("EXPN", 501)]),
    ("5321 2.4", "commands in any case", "auth",
     [("mAiL fRoM:<%s> sIzE=1" % ANNA, 250), ("rcpt to:<%s>" % BOB, 250),
      ("rset", 250)]),
    ("5321 2.3.8", "a line ends with CR LF and nothing else", "auth",
     [(b"MAIL FROM:<anna@example.test>\rRCPT TO:<bob@example.test>\r\n", 500),
      (TO_BOB, 503)]),
    ("5321 4.1.1", "arguments where none belong, and none where they do",
     "auth",
     [("DATA x", 501), ("RSET x", 501), ("QUIT x", 501), ("EHLO", 501),
      ("HELO", 501), ("VRFY", 501)]),
    ("5321 4.1.1.1", "an EHLO name of any kind", "tls",
     [("EHLO my own pc", 250), ("EHLO [127.0.0.1]", 250),
      ("EHLO [IPv6:::1]", 250), ("EHLO 1.2.3.4", 250), ("EHLO _", 250),
      ("EHLO b\u00fcro".encode("latin-1"), 250), ("EHLO " + "x" * 255, 250),
      ("EHLO " + "x" * 256, 501), (b"EHLO a\x01b", 501),
      (b"EHLO a\tb", 501), ("HELO my own pc", 250)]),
    ("5321 4.1.1.5", "RSET and its transaction", "auth",
     [*TX, ("RSET", 250), ("DATA", 503), ("RCPT TO:<%s>" % BOB, 503)]),
    ("5321 4.1.4", "EHLO resets, whatever it is called", "auth",
     [*TX, ("EHLO another.test", 250), ("DATA", 503), (MAIL, 250)]),
    ("5321 4.1.4", "order of commands", "auth",
     [(TO_BOB, 503), ("DATA", 503), ("BDAT 0 LAST", 503), (MAIL, 250),
      (MAIL, 503), ("DATA", 503)]),
    ("5321 3.3", "no MAIL before EHLO", "tls", [(MAIL, 503)]),
    ("5321 4.1.2", "paths: quoted, literal, routes, spaces", "auth",
     [("MAIL FROM: <%s> " % ANNA, 250), ("RSET", 250),
      ("MAIL FROM:<@a.test,@b.test:%s>" % ANNA, 250),
      ('RCPT TO:<"bob"@example.test>', 250),
      ('RCPT TO:<"b\\ob"@EXAMPLE.test>', 250), ("RCPT TO:  <%s>  " % BOB, 250),
      ("RCPT TO:<%s>x" % BOB, 501), ("RCPT TO:<bob @example.test>", 501),
      ("RCPT TO:bob@example.test", 501), ("RCPT TO:<>", 501),
      ("RCPT TO:<bob@[127.0.0.1>", 501),
      ("RCPT TO:<bob@[999.0.0.1]>", 501)]),
    ("5321 7.7", "no percent hack, no bang path", "auth",
     [(MAIL, 250), ("RCPT TO:<friend%elsewhere.test@example.test>", 550),
      ("RCPT TO:<elsewhere.test!friend@example.test>", 550)]),
    ("5321 4.5.3.1.1", "a local part of 64 octets and no more", "auth",
     [(MAIL, 250), ("RCPT TO:<%s@elsewhere.test>" % ("a" * 64), 250),
      ("RCPT TO:<%s@elsewhere.test>" % ("a" * 65), 501)]),
    ("5321 4.5.3.1.3", "a path of 256 octets and no more", "auth",
     [(MAIL, 250), ("RCPT TO:<abcde@%s>" % LONG_DOMAIN, 250),
      ("RCPT TO:<abcdef@%s>" % LONG_DOMAIN, 501)]),
    ("5321 4.5.3.1.4", "a command line of 512 octets", "auth",
     [("NOOP " + "x" * 505, 250), ("NOOP " + "x" * 506, 500),
      ("NOOP", 250)]),
    ("5321 4.1.1.11", "unknown and doubled parameters", "auth",
     [(MAIL + " FOO=1", 555), (MAIL + " BODY=7BIT BODY=7BIT", 501),
      (MAIL, 250), (TO_BOB + " FOO", 555)]),
    ("1870 6.1", "SIZE over the limit is 552", "auth",
     [(MAIL + " SIZE=1048576", 250), ("RSET", 250),
      (MAIL + " SIZE=1048577", (552, r"^5\.3\.4 ")),
      (MAIL + " SIZE=99999999999999999999", 552), (MAIL + " SIZE=-1", 501)]),
    ("6152 2", "BODY", "auth",
     [(MAIL + " BODY=8BITMIME", 250), ("RSET", 250), (MAIL + " BODY=7BIT", 250),
      ("RSET", 250), (MAIL + " BODY=BINARYMIME", 501)]),
    ("2920 3.1", "a group of commands is answered in order", "auth",
     [(b"NOOP\r\nVRFY a\r\nRSET\r\nBDAT 4\r\nQUITNOOP\r\nHELP\r\nFOO\r\n", 250),
      (b"", 252), (b"", 250), (b"", 503), (b"", 250), (b"", 214), (b"", 500)]),
    ("2920 3.1", "DATA is the last of its group", "auth",
     [*TX, (b"DATA\r\nSubject: x\r\n\r\n.\r\n", (503, r"Wait for 354")), None]),
    ("2034 4", "enhanced codes of the reply's class", "auth",
     [("NOOP", (250, r"^2\.\d+\.\d+ ")), ("FOO", (500, r"^5\.\d+\.\d+ ")),
      (MAIL, (250, r"^2\.\d+\.\d+ ")), ("VRFY a", (252, r"^2\.\d+\.\d+ "))]),
    # -- RFC 3030: BDAT
    ("3030 2", "chunks", "auth",
     [*TX, (b"BDAT 12\r\nSubject: a\r\n", (250, r"^2\.0\.0 .*\b12\b")),
      (b"BDAT 5 LAST\r\n\r\n.\r\n", (250, r"^2\.0\.0 queued as "))]),
    ("3030 2", "BDAT 0 LAST, and no DATA between chunks", "auth",
     [*TX, (b"BDAT 3\r\na\r\n", 250), ("DATA", 503), (MAIL, 503), (TO_BOB, 503),
      ("BDAT 0 LAST", 250)]),
    ("3030 2", "RSET within", "auth",
     [*TX, (b"BDAT 3\r\na\r\n", 250), ("RSET", 250),
      (b"BDAT 4 LAST\r\nQUIT", 503), ("NOOP", 250)]),
    ("3030 2", "octets of a refused chunk never run", "auth",
     [(b"BDAT 18 LAST\r\nQUIT\r\nQUIT\r\nQUIT\r\n", 503), ("NOOP", 250)]),
    ("3030 2", "no chunk without a number", "auth",
     [*TX, ("BDAT LAST", 501), None]),
    ("3030 2", "no chunk that overflows", "auth",
     [*TX, ("BDAT 18446744073709551616 LAST", 501), None]),
    ("3030 3", "BINARYMIME is not here: bare CR, LF, NUL are refused", "auth",
     [*TX, (b"BDAT 4\r\na\nb\0", (550, r"^5\.6\.0 ")), ("BDAT 0 LAST", 503),
      *TX, (b"BDAT 3 LAST\r\na\rb", 550)]),
    ("3030 2", "a CR LF cut by two chunks is one", "auth",
     [*TX, (b"BDAT 2\r\na\r", 250), (b"BDAT 1 LAST\r\n\n", 250)]),
    # -- RFC 3461: DSN
    ("3461 4.1", "NOTIFY", "auth",
     [(MAIL, 250), (TO_BOB + " NOTIFY=NEVER", 250),
      (TO_BOB + " NOTIFY=success,Failure,DELAY", 250),
      (TO_BOB + " NOTIFY=NEVER,DELAY", 501), (TO_BOB + " NOTIFY=", 501),
      (TO_BOB + " NOTIFY=MAYBE", 501)]),
    ("3461 4.2", "ORCPT", "auth",
     [(MAIL, 250), (TO_BOB + " ORCPT=rfc822;b+2Bob@example.test", 250),
      (TO_BOB + " ORCPT=rfc822;bob+0D+0A", 501),
      (TO_BOB + " ORCPT=rfc822;b+", 501), (TO_BOB + " ORCPT=bob", 501),
      (TO_BOB + " ORCPT=rfc822;" + "a" * 493, 250),
      (TO_BOB + " ORCPT=rfc822;" + "a" * 494, 501)]),
    ("3461 4.3", "RET", "auth",
     [(MAIL + " RET=HDRS", 250), ("RSET", 250), (MAIL + " RET=full", 250),
      ("RSET", 250), (MAIL + " RET=BODY", 501), (MAIL + " RET", 501)]),
    ("3461 4.4", "ENVID", "auth",
     [(MAIL + " ENVID=QQ+3D314159", 250), ("RSET", 250),
      (MAIL + " ENVID=", 501), (MAIL + " ENVID=a+00", 501),
      (MAIL + " ENVID=a=b", 501), (MAIL + " ENVID=" + "a" * 100, 250),
      ("RSET", 250), (MAIL + " ENVID=" + "a" * 101, 501)]),
    # -- RFC 6531: SMTPUTF8
    ("6531 3.4", "SMTPUTF8 takes no value", "auth",
     [(MAIL + " SMTPUTF8", 250), ("RSET", 250), (MAIL + " SMTPUTF8=1", 501)]),
    ("6531 3.5", "UTF-8 without SMTPUTF8 is 553 5.6.7", "auth",
     [("MAIL FROM:<\u00e4nne@example.test>", (553, r"^5\.6\.7 ")), (MAIL, 250),
      ("RCPT TO:<\u00e4nne@example.test>", (553, r"^5\.6\.7 ")),
      ("RCPT TO:<bob@\u00e4.test>", (553, r"^5\.6\.7 "))]),
    ("6531 3.3", "UTF-8 in local part and domain", "auth",
     [(MAIL + " SMTPUTF8", 250), ("RCPT TO:<fr\u00e9d\u00e9@elsewhere.test>", 250),
      ("RCPT TO:<friend@b\u00fccherei.test>", 250),
      ('RCPT TO:<"fr\u00e9 d"@elsewhere.test>', 250),
      (b"RCPT TO:<fr\xe9d@elsewhere.test>", 501),
      ("RCPT TO:<a\u0085b@elsewhere.test>", 501),
      ("RCPT TO:<a@\u200b.test>", 501)]),
    ("6531 3.3", "U-label and A-label are one domain", "auth",
     [("MAIL FROM:<anna@b\u00dccher.test> SMTPUTF8", 250), ("RSET", 250),
      ("MAIL FROM:<anna@xn--bcher-kva.test>", 250),
      ("RCPT TO:<bob@XN--bcher-kva.test>", 250), ("RSET", 250),
      ("MAIL FROM:<bob@b\u00fccher.test> SMTPUTF8", (553, r"^5\.7\.1 "))]),
    # -- not offered
    ("8689 2", "REQUIRETLS is not offered before delivery obeys it", "auth",
     [(MAIL + " REQUIRETLS", 555)]),
    ("4865 4", "nor FUTURERELEASE, DELIVERBY, MT-PRIORITY", "auth",
     [(MAIL + " HOLDFOR=60", 555), (MAIL + " BY=60;R", 555),
      (MAIL + " MT-PRIORITY=3", 555)]),
]


def setUpModule():
    global inst, hop
    hop = NextHop()
    hop.up()
    inst = Instance(conf={
        "next_hop": "127.0.0.1:%d" % hop.port, "message_size_limit": "1M",
        "local_domains": ["example.test", "other.test", "b\u00fccher.test"],
        "recipient_limit": "150",
        "grant_exclude": ["127.0.0.0/8", "::1/128"]})
    for user in (ANNA, BOB):
        inst.ctl("user", "alias", "add", user,
                 user.split("@")[0] + "@b\u00fccher.test")


def tearDownModule():
    inst.close()
    hop.down()


def begin(state):
    if state == "auth":
        return inst.smtp_as(ANNA)
    return inst.smtp(**BEGIN[state])


class Transcripts(unittest.TestCase):
    maxDiff = None

    def step(self, w, sent, want):
        codes, words = want if isinstance(want, tuple) and isinstance(
            want[-1], str) else (want, r"^")
        if isinstance(sent, bytes):
            w.send(sent if sent == b"" or sent.endswith(b"\n") or
                   sent.startswith(b"BDAT") else sent + b"\r\n")
            code, text = w.reply()
        else:
            code, text = w.cmd(sent)
        self.assertEqual(code, codes, "%r got %d %s" % (sent, code, text))
        self.assertRegex(text, words, "%r got %d %s" % (sent, code, text))

    def transcript(self, state, steps):
        with begin(state) as w:
            for s in steps:
                if s is None:
                    self.assertTrue(w.is_closed())
                else:
                    self.step(w, *s)


def add_rows():
    for n, (section, title, state, steps) in enumerate(ROWS):
        def test(self, state=state, steps=steps):
            self.transcript(state, steps)
        test.__doc__ = "RFC %s: %s" % (section, title)
        name = re.sub(r"\W+", "_", "test_rfc%s_%s" % (section, title))
        setattr(Transcripts, "%s_%02d" % (name, n), test)


add_rows()


class Sections(unittest.TestCase):
    """What a transcript cannot show."""

    def setUp(self):
        hop.clear()
        hop.messages.clear()

    def sent(self, message, rcpts=(BOB,), params="", **kw):
        with inst.smtp_as(ANNA, **kw) as w:
            w.send_mail(ANNA, rcpts, message, params)

    def got(self, message, **kw):
        self.sent(message, **kw)
        return inst.fetch(BOB, n=1)[0]

    # -- RFC 6409

    def test_rfc6409_5_2_misconfiguration_is_logged_within_limits(self):
        since = inst.log_size("submitd")
        with inst.smtp() as w:
            for _ in range(300):
                w.send(MAIL + "\r\n")
                if w.reply()[0] in (0, 421):
                    break
            self.assertTrue(w.is_closed())
        lines = re.findall(r"ev=smtp\.refused .*code=530",
                           inst.log("submitd", since))
        self.assertTrue(0 < len(lines) <= 20, len(lines))

    def test_rfc6409_5_3_every_reply_in_two_minutes(self):
        with inst.smtp_as(ANNA) as w:
            for line in (MAIL, TO_BOB, "VRFY a", "HELP", "NOOP", "RSET"):
                at = time.monotonic()
                w.cmd(line)
                self.assertLess(time.monotonic() - at, 120)
            at = time.monotonic()
            w.send_mail(ANNA, [BOB], letter("x", body="y" * 998 + "\r\n"))
            self.assertLess(time.monotonic() - at, 120)
        inst.fetch(BOB, n=1)

    def test_rfc6409_7_extensions(self):
        with inst.smtp() as w:
            words = w.cmd("EHLO c.test", 250)[1].split("\n")[1:]
        names = {x.split()[0] for x in words}
        for k in ("AUTH", "PIPELINING", "ENHANCEDSTATUSCODES", "DSN",
                  "8BITMIME", "SIZE", "SMTPUTF8", "CHUNKING"):
            self.assertIn(k, names)
        self.assertFalse(names & {"ETRN", "ATRN", "BINARYMIME", "STARTTLS",
                                  "REQUIRETLS", "FUTURERELEASE", "EXPN"})

    def test_rfc9422_2_limits(self):
        with inst.smtp() as w:
            words = w.cmd("EHLO c.test", 250)[1].split("\n")
        self.assertIn("LIMITS RCPTMAX=150", words)

    def test_rfc6409_8_2_and_8_3_date_and_message_id_are_added(self):
        head = self.got(b"From: <%s>\r\nSubject: x\r\n\r\nbody\r\n"
                        % ANNA.encode())
        m = email.message_from_bytes(head)
        self.assertRegex(m["Date"], r"^\w{3}, \d\d? \w{3} \d{4} .* [+-]\d{4}$")
        self.assertRegex(m["Message-ID"], r"^<[^<>@\s]+@mail\.example\.test>$")

    def test_rfc6409_8_and_8_8_nothing_else_is_changed(self):
        m = (b"From: Anna <%s>\r\nTo: BoB <BoB@Example.TEST>\r\n"
             b"Date: Sun, 22 Nov 2026 05:00:00 +0000\r\n"
             b"Message-ID: <x@y>\r\nX-Odd:  two  spaces \r\n\tand a fold\r\n"
             b"\r\n.\r\n..\r\n trailing \r\n" % ANNA.encode())
        self.assertTrue(self.got(m).endswith(m))
        self.sent(m, rcpts=["FrIeNd@elsewhere.test"])
        got = hop.wait_messages(1)[0]
        self.assertEqual(got.recipients, ["FrIeNd@elsewhere.test"])
        self.assertTrue(got.data.endswith(m))

    # -- RFC 4954, 3207, 8314

    def test_rfc4954_7_received_says_esmtpsa(self):
        self.assertIn(b"with ESMTPSA", self.got(letter("x")))

    def test_rfc3207_4_2_all_is_forgotten(self):
        with inst.smtp(tls=False) as w:
            w.cmd("STARTTLS", 220)
            w.start_tls(inst.tls_context())
            w.cmd(MAIL, 503)
            self.assertNotIn("STARTTLS", w.cmd("EHLO c.test", 250)[1])

    def test_rfc3207_4_1_8314_4_nothing_below_tls_1_2(self):
        ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        ctx.check_hostname, ctx.verify_mode = False, ssl.CERT_NONE
        ctx.set_ciphers("ALL:@SECLEVEL=0")
        ctx.minimum_version = ssl.TLSVersion.TLSv1
        ctx.maximum_version = ssl.TLSVersion.TLSv1_1
        with self.assertRaises((ssl.SSLError, OSError)):
            inst.smtp("submissions", context=ctx)

    def test_rfc8314_3_3_both_ports(self):
        for service in ("submission", "submissions"):
            with self.subTest(service), inst.smtp_as(
                    ANNA, service=service) as w:
                w.cmd(MAIL, 250)

    def test_rfc8314_4_1_clear_text_tells_nothing_of_a_password(self):
        replies = set()
        for password in (inst.users[ANNA], "wrong"):
            with inst.smtp(tls=False) as w:
                code, text = w.auth_plain(ANNA, password, 530)
                replies.add(re.sub(r" \[[a-z2-7]{16}\]$", "", text))
        self.assertEqual(len(replies), 1)

    def test_rfc8314_4_2_no_certificate_is_asked_for(self):
        r = subprocess.run(
            ["openssl", "s_client", "-connect",
             "127.0.0.1:%d" % inst.port("submissions"), "-tls1_2"],
            input="QUIT\r\n", text=True, capture_output=True, timeout=60,
            check=False)
        self.assertIn("No client certificate CA names sent", r.stdout)
        self.assertNotIn("Client Certificate Types", r.stdout)

    def test_rfc8314_4_3_the_cipher_stands_in_received_and_in_the_log(self):
        since = inst.log_size("submitd")
        head = re.sub(rb"\r\n\s+", b" ", self.got(letter("x")))
        m = re.search(rb" tls (TLS_\w+)", head)
        self.assertTrue(m, head)
        self.assertRegex(inst.log("submitd", since),
                         r"ev=smtp\.tls .*tls=TLSv1\.3:" + m[1].decode())

    def test_rfc8314_3_4_a_close_alert_is_sent(self):
        with inst.smtp_as(ANNA) as w:
            w.cmd("QUIT", 221)
            self.assertEqual(w.sock.recv(10), b"")

    def test_rfc7301_3_2_alpn_without_smtp_ends_the_handshake(self):
        ctx = inst.tls_context()
        ctx.set_alpn_protocols(["http/1.1", "h2"])
        with self.assertRaises(ssl.SSLError) as e:
            inst.smtp("submissions", context=ctx)
        self.assertRegex(str(e.exception), r"(?i)no.application.protocol")
        ctx = inst.tls_context()
        ctx.set_alpn_protocols(["http/1.1", "smtp"])
        with inst.smtp("submissions", context=ctx) as w:
            self.assertEqual(w.sock.selected_alpn_protocol(), "smtp")

    def test_rfc5321_4_1_1_http_is_closed_without_a_word(self):
        for state in ("banner", "tls"):
            for verb in ("GET / HTTP/1.1", "POST /x HTTP/1.0",
                         "CONNECT a.test:25 HTTP/1.1", "PRI * HTTP/2.0"):
                with self.subTest((state, verb)), begin(state) as w:
                    since = inst.log_size("submitd")
                    w.send(verb + "\r\nHost: a.test\r\n\r\nEHLO x.test\r\n")
                    self.assertTrue(w.is_closed())
                    self.assertEqual(w.buffer, b"")
                    inst.wait_log("submitd", r"ev=smtp\.http ", since)

    # -- RFC 5321

    def test_rfc5321_4_5_2_dots_and_ends_of_data(self):
        body = b".\r\n..\r\n...x\r\n\r\n.\r\n"
        self.assertTrue(self.got(letter("dots", body=body)).endswith(body))
        for end in (b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r\n.\r\r\n"):
            with self.subTest(end), inst.smtp_as(ANNA) as w:
                since = inst.log_size("submitd")
                for line, code in TX + [("DATA", 354)]:
                    w.cmd(line, code)
                w.send(b"x: y\r\n\r\na" + end + b"MAIL FROM:<>\r\n\r\n.\r\n")
                self.assertEqual(w.reply()[0], 550)
                w.cmd("NOOP", 250)
                inst.wait_log("submitd", r"ev=smtp\.smuggling .*in=content",
                              since)
        self.assertEqual(inst.drop_size(BOB), 0)

    def test_rfc5321_2_3_8_smuggling_in_commands_is_logged(self):
        since = inst.log_size("submitd")
        with inst.smtp_as(ANNA) as w:
            w.send(b"MAIL FROM:<>\nRCPT TO:<x@y.test>\r\n")
            w.expect(500)
        inst.wait_log("submitd", r"ev=smtp\.smuggling .*in=command", since)

    def received(self, data):
        r = re.search(rb"(?m)^Received: [^\r\n]*(\r\n[ \t][^\r\n]*)*", data)
        return re.sub(rb"\r\n[ \t]+", b" ", r.group(0)).decode()

    def test_rfc5321_4_4_received(self):
        old = b"Received: from a by b; Sun, 22 Nov 2026 05:00:00 +0000\r\n"
        got = self.got(old + letter("x"), helo="pc.example.test")
        r = self.received(got)
        self.assertRegex(r, r"from pc\.example\.test \(\[127\.0\.0\.1\]\) by "
                         r"mail\.example\.test with ESMTPSA id [a-z2-7]{16} ")
        self.assertIn(" for <%s>" % BOB, r)
        self.assertRegex(r, r"; \w{3}, [ \d]\d \w{3} \d{4} \d\d:\d\d:\d\d "
                         r"[+-]\d{4}$")
        self.assertIn(old, got)
        # No clause for several, and no name that is none.
        self.sent(letter("x"), rcpts=[ANNA, BOB], helo="my own pc")
        r = self.received(inst.fetch(BOB, n=1)[0])
        self.assertNotIn(" for ", r)
        self.assertIn("from unknown ([127.0.0.1])", r)
        inst.fetch(ANNA, n=1)

    def test_rfc5321_4_5_3_1_5_no_reply_line_over_512_octets(self):
        with inst.smtp_as(ANNA) as w:
            w.cmd("EHLO " + "x" * 255, 250)
            for line in ("HELP", "EHLO x.test", "MAIL FROM:<%s@%s>" % (
                    "a" * 60, "b" * 60 + "." + "c" * 60 + ".test")):
                w.send(line + "\r\n")
                while True:
                    got = w.line()
                    self.assertLessEqual(len(got), 512)
                    if got[3:4] == b" ":
                        break

    def test_rfc5321_4_5_3_1_6_a_text_line_of_1000_octets(self):
        body = b"x" * 998 + b"\r\n"
        self.assertTrue(self.got(letter("long", body=body)).endswith(body))

    def test_rfc5321_4_5_3_1_8_recipients(self):
        with inst.smtp_as(ANNA) as w:
            w.cmd(MAIL, 250)
            for n in range(150):
                w.cmd("RCPT TO:<f%d@elsewhere.test>" % n, 250)
            code, text = w.cmd("RCPT TO:<f150@elsewhere.test>", 452)
            self.assertRegex(text, r"^4\.5\.3 ")
            w.cmd("DATA", 354)
            w.send(stuff(letter("many")) + b".\r\n")
            self.assertEqual(w.reply()[0], 250)
        wait_until(lambda: sum(len(m.recipients) for m in hop.messages) == 150,
                   what="150 recipients")

    def test_rfc5321_4_5_3_2_7_five_minutes(self):
        with open(os.path.join(SOURCE, "lib/conf_key.c"),
                  encoding="utf-8") as f:
            m = re.search(r'"idle_timeout".*?\.dflt = "(\d+)m"', f.read(),
                          re.S)
        self.assertGreaterEqual(int(m[1]), 5)

    def test_rfc5321_6_1_a_250_outlives_a_crash(self):
        hop.rule("CONNECT", "reply 421 4.3.2 not now")
        self.sent(letter("kept"), rcpts=[OUT])
        inst.kill_all()
        hop.clear()
        inst.start()
        inst.ctl("queue", "flush", check=False)
        self.assertIn(b"Subject: kept", hop.wait_messages(1, 60)[0].data)

    def test_rfc5321_4_2_5_what_was_refused_is_not_delivered(self):
        with inst.smtp_as(ANNA) as w:
            for line, code in TX + [("DATA", 354)]:
                w.cmd(line, code)
            w.send(letter("x") + b"x" * 1100000 + b"\r\n.\r\n")
            self.assertEqual(w.reply()[0], 552)
            for line, code in TX:
                w.cmd(line, code)
            w.send(b"BDAT 1100000\r\n" + b"x" * 1100000)
            self.assertEqual(w.reply()[0], 552)
            w.send(b"BDAT 0 LAST\r\n")
            self.assertEqual(w.reply()[0], 503)
        self.assertEqual(inst.drop_size(BOB), 0)

    def test_rfc5321_4_5_4_1_times_of_retries(self):
        units = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
        text = inst.ctl("config", "show", "-d").stdout
        for key, least in (("retry_max", 1800), ("queue_lifetime", 4 * 86400)):
            n, unit = re.search(r'(?m)^%s\s*=\s*"?(\d+)([smhdw]?)' % key,
                                text).groups()
            self.assertGreaterEqual(int(n) * units[unit or "s"], least, key)

    def test_rfc5321_6_1_a_bounce_from_the_null_sender(self):
        hop.rule("RCPT", "reply 550 5.1.1 nobody")
        self.sent(letter("x", to=OUT), rcpts=[OUT])
        m = inst.fetch(ANNA, n=1)[0]
        self.assertRegex(m, rb"(?m)^Return-Path: <>\r?$")

    def test_rfc5321_6_1_no_bounce_for_a_bounce(self):
        since = inst.log_size("submitd")
        hop.rule("RCPT", "reply 550 5.1.1 nobody")
        with inst.smtp_as(ANNA) as w:
            w.send_mail("", [OUT], letter("x", to=OUT))
        inst.wait_log("submitd", r"ev=msg\.lost ", since)
        wait_until(lambda: not inst.ctl("queue", "list", "-j").stdout.strip(),
                   what="the queue being empty")
        self.assertEqual(inst.drop_size(ANNA), 0)

    def test_rfc5321_6_3_a_loop_ends(self):
        with self.assertRaises(Refused) as e:
            self.sent(b"Received: x\r\n" * 101 + letter("loop"))
        self.assertRegex(str(e.exception), r"5\.4\.6")

    # -- without a certificate

    def test_rfc3207_4_454_where_tls_cannot_be_had(self):
        with Instance(conf={"tls_cert": [], "tls_key": [],
                            "listen_submissions": [], "listen_pop3s": []}) as bare:
            with bare.smtp(tls=False) as w:
                self.assertNotIn("STARTTLS", w.cmd("EHLO c.test", 250)[1])
                w.cmd("STARTTLS", 454)


if __name__ == "__main__":
    unittest.main()
