"""What the RFCs ask of a submission server, section by section, on the wire:
what a transcript (t_transcripts.py, tests/session/) cannot show."""

import base64
import email
import hashlib
import os
import re
import ssl
import subprocess
import time
import unittest

from rfc_instance import rfc_instance
from submitd_instance import (ANNA, BOB, Instance, Refused, letter, stuff,
                              wait_until)

SOURCE = os.environ.get("SUBMITD_SOURCE", os.path.dirname(os.path.dirname(
    os.path.dirname(os.path.abspath(__file__)))))
OUT = "friend@elsewhere.test"
MAIL = "MAIL FROM:<%s>" % ANNA
TO_BOB = "RCPT TO:<%s>" % BOB
TX = [(MAIL, 250), (TO_BOB, 250)]


def setUpModule():
    global inst, hop
    inst, hop = rfc_instance()


def tearDownModule():
    inst.close()
    hop.down()


class Sections(unittest.TestCase):
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
                  "8BITMIME", "SIZE", "SMTPUTF8", "CHUNKING",
                  "FUTURERELEASE", "DELIVERBY", "MT-PRIORITY", "REQUIRETLS"):
            self.assertIn(k, names)
        self.assertFalse(names & {"ETRN", "ATRN", "BINARYMIME", "STARTTLS",
                                  "EXPN"})

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
        for service in ("submission", "submissions"):
            for verb in ("GET / HTTP/1.1", "POST /x HTTP/1.0",
                         "CONNECT a.test:25 HTTP/1.1", "PRI * HTTP/2.0"):
                with self.subTest((service, verb)), inst.smtp(
                        service, tls=False, helo=None) as w:
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

    # -- in instances of their own

    def test_rfc4954_4_454_while_authd_is_away(self):
        with Instance(users={}) as lone:
            with lone.smtp() as w:
                kids = lone.children(lone.procs["authd"].pid)
                lone.procs["authd"].kill()
                lone.procs["authd"].wait()
                lone.gone(kids)
                w.auth_plain(ANNA, "x", 454)
                w.auth_plain(ANNA, "x", 454)
                lone.start("authd")
                wait_until(lambda: w.auth_plain(ANNA, "x", 454, 535)[0] == 535)

    def test_rfc4954_4_432_where_a_transition_is_needed(self):
        with Instance(conf={"scram_transition": "yes"}, users={}) as lone:
            lone.ctl("user", "import", "-", input="%s:{SSHA}%s::::::\n" % (
                ANNA, base64.b64encode(hashlib.sha1(b"secretsalt").digest()
                                       + b"salt").decode()))
            with lone.smtp() as w:
                first = base64.b64encode(b"n,,n=%s,r=abc" % ANNA.encode())
                code, text = w.cmd("AUTH SCRAM-SHA-256 " + first.decode())
                self.assertEqual((code, text[:6]), (432, "4.7.12"))
                w.auth_plain(ANNA, "secret")

    def test_rfc3207_4_454_where_tls_cannot_be_had(self):
        with Instance(conf={"tls_cert": [], "tls_key": [],
                            "listen_submissions": [], "listen_pop3s": []}) as bare:
            with bare.smtp(tls=False) as w:
                self.assertNotIn("STARTTLS", w.cmd("EHLO c.test", 250)[1])
                w.cmd("STARTTLS", 454)


if __name__ == "__main__":
    unittest.main()
