"""The submission ports over the wire: what is refused, and how."""

import os
import re
import signal
import socket
import ssl
import time
import unittest

from submitd_instance import (ANNA, BOB, IPV6, Instance, Refused, heard, letter,
                              stuff, wait_until)


def setUpModule():
    global inst
    inst = Instance(conf={"help_text": "https://help.example.test/mail",
                          "message_size_limit": "1M",
                          # No grants: what this module fetches is not the point.
                          "grant_exclude": ["127.0.0.0/8", "::1/128"]})


def tearDownModule():
    inst.close()


class Case(unittest.TestCase):
    def refused(self, w, line, code, enhanced=None, words=""):
        got, text = w.cmd(line)
        self.assertEqual(got, code, "%r got %d %s" % (line, got, text))
        if enhanced:
            for one in text.split("\n"):
                self.assertTrue(one.startswith(enhanced + " "),
                                "%r got %d %s" % (line, got, text))
        self.assertIn(words, text)
        return text

    def alive(self, w):
        w.cmd("NOOP", 250)


class BeforeTls(Case):
    def test_no_auth_is_advertised_and_starttls_is(self):
        with inst.smtp(tls=False) as w:
            text = w.cmd("EHLO c.example.test", 250)[1].upper()
            self.assertNotIn("AUTH", text)
            self.assertIn("STARTTLS", text.split("\n"))

    def test_implicit_port_offers_no_starttls(self):
        with inst.smtp("submissions") as w:
            text = w.cmd("EHLO c.example.test", 250)[1].upper()
            self.assertNotIn("STARTTLS", text)
            self.assertIn("AUTH ", text)
            self.assertIn(w.cmd("STARTTLS")[0], (502, 503))

    def test_commands_before_tls_get_530(self):
        for line in ("AUTH PLAIN AGFubmEAYQ==", "MAIL FROM:<%s>" % ANNA,
                     "MAIL FROM:<>", "RCPT TO:<%s>" % ANNA, "DATA", "RSET",
                     "VRFY anna"):
            with self.subTest(line), inst.smtp(tls=False) as w:
                self.refused(w, line, 530, "5.7.0")
                self.alive(w)

    def test_quit_and_noop_before_tls(self):
        with inst.smtp(tls=False) as w:
            w.cmd("NOOP", 250)
            w.cmd("QUIT", 221)
            self.assertTrue(w.is_closed())

    def test_starttls_with_an_argument(self):
        with inst.smtp(tls=False) as w:
            self.refused(w, "STARTTLS now", 501, "5.5.4")
            self.alive(w)

    def test_starttls_twice(self):
        with inst.smtp() as w:
            self.assertIn(w.cmd("STARTTLS")[0], (502, 503, 554))

    def test_ehlo_is_forgotten_at_starttls(self):
        with inst.smtp(tls=False) as w:
            w.cmd("STARTTLS", 220)
            w.start_tls(inst.tls_context())
            self.assertIn(w.cmd("MAIL FROM:<%s>" % ANNA)[0], (503, 530))
            w.cmd("EHLO again.example.test", 250)

    def test_injection_behind_starttls_ends_the_session(self):
        for more in ("NOOP\r\n", "MAIL FROM:<%s>\r\n" % ANNA, "X", "\r\n"):
            with self.subTest(more), inst.smtp(tls=False) as w:
                w.send("STARTTLS\r\n" + more)
                self.assertTrue(w.is_closed())
                self.assertNotIn(b"250", w.buffer)

    def test_injection_into_the_handshake(self):
        """Clear text after the 220 is no ClientHello."""
        with inst.smtp(tls=False) as w:
            w.cmd("STARTTLS", 220)
            w.send("EHLO evil.example.test\r\nMAIL FROM:<%s>\r\n" % ANNA)
            self.assertTrue(w.is_closed())
            self.assertNotIn(b"250", w.buffer)

    def test_never_on_in_clear_after_close_notify(self):
        with inst.smtp() as w:
            raw = w.sock.unwrap()
            raw.settimeout(20)
            try:
                raw.sendall(b"NOOP\r\n")
                got = raw.recv(100)
            except OSError:
                got = b""
            self.assertEqual(got, b"")


class Tls(Case):
    def test_weak_suites_are_refused(self):
        ctx = inst.tls_context(maximum_version=ssl.TLSVersion.TLSv1_2)
        ctx.set_ciphers("AES128-SHA:AES256-SHA:AES128-GCM-SHA256:"
                        "ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0")
        with self.assertRaises((ssl.SSLError, OSError)):
            inst.smtp("submissions", context=ctx)

    def test_clear_text_on_the_implicit_port(self):
        s = socket.create_connection(("127.0.0.1", inst.port("submissions")))
        s.settimeout(20)
        s.sendall(b"EHLO c.example.test\r\n")
        try:
            got = s.recv(1000)
        except OSError:
            got = b""
        self.assertNotIn(b"250", got)
        s.close()


class WithoutAuth(Case):
    def test_mail_gets_530_for_every_form(self):
        for form in ("<%s>" % ANNA, "<>", "<bob@example.test> SIZE=10",
                     "<x@[127.0.0.1]>", "<postmaster@example.test>",
                     '<"a b"@example.test>', "<@a.test,@b.test:%s>" % ANNA,
                     "<%s> AUTH=%s" % (ANNA, ANNA), "<%s> AUTH=<>" % ANNA):
            with self.subTest(form), inst.smtp() as w:
                code, text = w.cmd("MAIL FROM:" + form)
                self.assertIn(code, (530, 501, 553, 555), text)
                self.assertIn(w.cmd("RCPT TO:<%s>" % ANNA)[0], (503, 530))
                self.assertIn(w.cmd("DATA")[0], (503, 530))

    def test_530_is_in_plain_words_with_the_help(self):
        with inst.smtp() as w:
            t = self.refused(w, "MAIL FROM:<%s>" % ANNA, 530, "5.7.0",
                             "https://help.example.test/mail")
            self.assertRegex(t, r"(?i)log ?in|authenticat|password")


class Commands(Case):
    def test_ehlo_keywords(self):
        with inst.smtp() as w:
            words = w.cmd("EHLO c.example.test", 250)[1].split("\n")
            self.assertEqual(words[0].split()[0], "mail.example.test")
            names = {x.split()[0] for x in words[1:]}
            for k in ("PIPELINING", "SIZE", "8BITMIME", "ENHANCEDSTATUSCODES",
                      "AUTH"):
                self.assertIn(k, names)
            self.assertIn("SIZE 1048576", words)
            self.assertFalse(names & {"STARTTLS", "ETRN", "ATRN",
                                      "BINARYMIME", "EXPN", "TURN"})

    def test_helo_works(self):
        with inst.smtp(helo=None) as w:
            code, text = w.cmd("HELO c.example.test", 250)
            self.assertNotIn("\n", text)

    def test_ehlo_names_of_any_kind(self):
        for name in ("[127.0.0.1]", "[IPv6:::1]", "localhost", "a_b.test",
                     "1.2.3.4", "x" * 200 + ".test"):
            with self.subTest(name), inst.smtp() as w:
                w.cmd("EHLO " + name, 250)

    def test_ehlo_without_a_name(self):
        with inst.smtp(helo=None) as w:
            self.assertEqual(w.cmd("EHLO")[0], 501)
            self.assertEqual(w.cmd("HELO ")[0], 501)

    def test_unknown_and_forbidden_commands(self):
        for line in ("FOO", "ETRN example.test", "ATRN", "TURN", "", " NOOP",
                     "EXPN all", "XCLIENT ADDR=1.2.3.4", "PROXY TCP4 1.2.3.4 1.2.3.4 1 2",
                     "GET / HTTP/1.1", "BDAT 5 LAST"):
            with self.subTest(line), inst.smtp() as w:
                code, text = w.cmd(line)
                self.assertIn(code, (252, 500, 502, 503, 530, 550), text)
                self.assertNotEqual(code, 521)

    def test_vrfy_tells_nothing(self):
        with inst.smtp_as(ANNA) as w:
            known = w.cmd("VRFY bob@example.test", 252)[1]
            self.assertEqual(known, w.cmd("VRFY nobody@example.test", 252)[1])

    def test_case_of_commands(self):
        with inst.smtp_as(ANNA) as w:
            w.cmd("mAiL fRoM:<%s> sIzE=10" % ANNA, 250)
            w.cmd("rcpt to:<%s>" % ANNA.upper(), 250)
            w.cmd("rset", 250)

    def test_order(self):
        with inst.smtp_as(ANNA) as w:
            self.assertEqual(w.cmd("RCPT TO:<%s>" % ANNA)[0], 503)
            self.assertEqual(w.cmd("DATA")[0], 503)
            w.cmd("MAIL FROM:<%s>" % ANNA, 250)
            self.assertEqual(w.cmd("MAIL FROM:<%s>" % ANNA)[0], 503)
            self.assertIn(w.cmd("DATA")[0], (503, 554))
            w.cmd("RSET", 250)
            w.cmd("RSET", 250)
            self.assertEqual(w.cmd("RCPT TO:<%s>" % ANNA)[0], 503)

    def test_ehlo_resets_the_transaction(self):
        with inst.smtp_as(ANNA) as w:
            w.cmd("MAIL FROM:<%s>" % ANNA, 250)
            w.cmd("EHLO other.example.test", 250)
            self.assertEqual(w.cmd("RCPT TO:<%s>" % ANNA)[0], 503)
            w.cmd("MAIL FROM:<%s>" % ANNA, 250)

    def test_arguments_where_none_belong(self):
        with inst.smtp_as(ANNA) as w:
            w.cmd("MAIL FROM:<%s>" % ANNA, 250)
            w.cmd("RCPT TO:<%s>" % ANNA, 250)
            for line in ("RSET now", "DATA now", "QUIT now"):
                with self.subTest(line):
                    self.assertEqual(w.cmd(line)[0], 501)

    def test_every_reply_has_an_enhanced_code(self):
        lines = ("NOOP", "NOOP x", "RSET", "VRFY a", "FOO", "MAIL FROM:",
                 "MAIL FROM:<%s>" % ANNA, "RCPT TO:<nobody@example.test>",
                 "RCPT TO:<%s>" % ANNA, "HELP", "DATA x", "STARTTLS",
                 "AUTH PLAIN", "QUIT")
        with inst.smtp_as(ANNA) as w:
            for line in lines:
                code, text = w.cmd(line)
                with self.subTest(line):
                    for one in text.split("\n"):
                        self.assertRegex(one, r"^%d\.\d{1,3}\.\d{1,3} "
                                         % (code // 100), "%d %s" % (code, text))

    def test_pipelining_keeps_the_order(self):
        with inst.smtp_as(ANNA) as w:
            m = letter("pipelined")
            w.send("MAIL FROM:<%s>\r\nRCPT TO:<%s>\r\n"
                   "RCPT TO:<nobody@example.test>\r\nRCPT TO:<%s>\r\nDATA\r\n"
                   % (ANNA, ANNA, BOB))
            self.assertEqual([w.reply()[0] for _ in range(5)],
                             [250, 250, 550, 250, 354])
            w.send(stuff(m) + b".\r\nNOOP\r\nRSET\r\nQUIT\r\n")
            self.assertEqual([w.reply()[0] for _ in range(4)],
                             [250, 250, 250, 221])
            self.assertTrue(w.is_closed())
        self.assertTrue(inst.fetch(ANNA, n=1)[0].endswith(m))
        self.assertTrue(inst.fetch(BOB, n=1)[0].endswith(m))

    def test_many_commands_in_one_packet(self):
        with inst.smtp_as(ANNA) as w:
            w.send("NOOP\r\n" * 80)
            for _ in range(80):
                self.assertEqual(w.reply()[0], 250)

    def test_octet_by_octet(self):
        with inst.smtp_as(ANNA) as w:
            for c in b"MAIL FROM:<anna@example.test> BODY=8BITMIME\r\n":
                w.send(bytes([c]))
            self.assertEqual(w.reply()[0], 250)

    def test_errors_close_the_session_in_the_end(self):
        with inst.smtp() as w:
            for n in range(200):
                try:
                    code, _ = w.cmd("FOO%d" % n)
                except (ConnectionError, ssl.SSLError, BrokenPipeError):
                    code = 0
                if code in (0, 421):
                    break
            else:
                self.fail("200 wrong commands and still open")
            self.assertGreaterEqual(n, 5)
            self.assertTrue(w.is_closed())


class Addresses(Case):
    def test_sender_syntax(self):
        bad = ("anna@example.test", "<anna@example.test", "<anna>", "<@example.test>",
               "<anna@>", "<anna@example..test>", "<an na@example.test>",
               "<anna@example.test> extra", "<anna@example.test>x",
               "<anna@@example.test>", "", "<anna@-example.test>",
               "<an\x01na@example.test>", "<\xe4nna@example.test>",
               "<%s@example.test>" % ("a" * 65), "<a@%s.test>" % ("b" * 256))
        for form in bad:
            with self.subTest(form), inst.smtp_as(ANNA) as w:
                code, text = w.cmd(("MAIL FROM:" + form).encode("latin-1"))
                self.assertIn(code, (500, 501, 553, 554, 555), text)
                self.alive(w)

    def test_spaces_that_printers_send(self):
        with inst.smtp_as(ANNA) as w:
            for line in ("MAIL FROM: <%s>", "MAIL FROM:   <%s>  ",
                         "MAIL FROM:<%s> "):
                with self.subTest(line):
                    w.cmd(line % ANNA, 250)
                    w.cmd("RSET", 250)
            w.cmd("MAIL FROM:<%s>" % ANNA, 250)
            w.cmd("RCPT TO: <%s> " % ANNA, 250)

    def test_recipients(self):
        for to, codes in (
                ("<%s>" % BOB, (250,)), ("<postmaster>", (250,)),
                ("<PostMaster>", (250,)), ("<postmaster@example.test>", (250,)),
                ("<postmaster@OTHER.test>", (250,)),
                ('<"bob"@example.test>', (250,)), ("<bob@EXAMPLE.TEST>", (250,)),
                ("<nobody@example.test>", (550,)),
                ("<x@elsewhere.test>", (550,)), ("<x@[192.0.2.1]>", (550, 501, 554)),
                ("<>", (501, 550, 553)), ("<bob>", (501, 550, 553, 554)),
                ("<bob%elsewhere.test@example.test>", (550, 501, 553)),
                ("<elsewhere.test!bob@example.test>", (550, 501, 553)),
                ("<bob@elsewhere.test@example.test>", (501, 553)),
                ("<../../etc@example.test>", (550, 501, 553)),
                ("<a/b@example.test>", (550, 501, 553)),
                ("<@a.test,@b.test:bob@example.test>", (250, 501, 550, 553)),
                ("<b\x00ob@example.test>", (500, 501)),
                ("<bob@example.test> NOTIFY=NEVER FOO=1", (555,)),
                ("<bob@example.test> FOO", (555,))):
            with self.subTest(to), inst.smtp_as(ANNA) as w:
                w.cmd("MAIL FROM:<%s>" % ANNA, 250)
                code, text = w.cmd("RCPT TO:" + to)
                self.assertIn(code, codes, text)

    def test_texts_of_refused_recipients(self):
        with inst.smtp_as(ANNA) as w:
            w.cmd("MAIL FROM:<%s>" % ANNA, 250)
            self.refused(w, "RCPT TO:<nobody@example.test>", 550, "5.1.1")
            self.refused(w, "RCPT TO:<x@elsewhere.test>", 550, "5.4.4",
                         "no next_hop is set on this server")

    def test_postmaster_gets_mail(self):
        m = letter("for the postmaster", BOB)
        with inst.smtp_as(BOB) as w:
            w.send_mail(BOB, ["postmaster"], m)
        self.assertTrue(inst.fetch(ANNA, n=1)[0].endswith(m))

    def test_parameters(self):
        for params, code in (
                (" SIZE=100", 250), (" BODY=7BIT", 250), (" BODY=8BITMIME", 250),
                (" body=8bitmime SIZE=5", 250), (" AUTH=<>", 250),
                (" AUTH=bob@example.test", 250), (" SIZE=1048577", 552),
                (" SIZE=99999999999999999999", 552), (" SIZE=-1", 501),
                (" SIZE=", 501), (" SIZE", 501), (" SIZE=1 SIZE=1", 501),
                (" BODY=BINARYMIME", (501, 504, 555)), (" BODY=", 501), (" FOO=1", 555),
                (" FOO", 555), (" SIZE=1x", 501)):
            with self.subTest(params), inst.smtp_as(ANNA) as w:
                got, text = w.cmd("MAIL FROM:<%s>%s" % (ANNA, params))
                self.assertIn(got, code if isinstance(code, tuple) else (code,), text)


class Lines(Case):
    def test_512_octets_work(self):
        with inst.smtp() as w:
            w.cmd("NOOP " + "x" * (512 - 7), 250)

    def test_longer_get_one_500_and_nothing_runs(self):
        with inst.smtp_as(ANNA) as w:
            w.send("NOOP " + "x" * 20000 + "MAIL FROM:<%s>\r\n" % ANNA)
            self.assertEqual(w.reply()[0], 500)
            self.assertEqual(w.cmd("RCPT TO:<%s>" % ANNA)[0], 503)

    def test_a_line_without_end(self):
        with inst.smtp() as w:
            try:
                for _ in range(200):
                    w.send("x" * 16384)
            except OSError:
                pass
            w.sock.settimeout(5)
            self.assertLess(len(re.findall(
                rb"(?m)^500 ", self.drain(w))), 2)

    def drain(self, w):
        try:
            while w.fill():
                pass
        except (TimeoutError, OSError):
            pass
        return w.buffer

    def test_bare_cr_lf_and_nul_in_commands(self):
        for line in (b"NOOP\nNOOP\r\n", b"NOOP\rNOOP\r\n", b"NO\0OP\r\n",
                     b"MAIL FROM:<anna@example.test>\nRCPT TO:<bob@example.test>\r\n"):
            with self.subTest(line), inst.smtp_as(ANNA) as w:
                w.send(line)
                code = w.reply()[0]
                self.assertIn(code, (500, 501, 421, 554), code)

    def message_refused(self, body):
        with inst.smtp_as(ANNA) as w:
            w.cmd("MAIL FROM:<%s>" % ANNA, 250)
            w.cmd("RCPT TO:<%s>" % ANNA, 250)
            w.cmd("DATA", 354)
            w.send(letter("x") + body + b"\r\n.\r\n")
            code, text = w.reply()
            self.assertIn(code, (550, 554, 500, 421), text)
            self.assertEqual(inst.drop_size(ANNA), 0)
            # Nothing of the body ran as a command.
            if code != 421:
                w.cmd("NOOP", 250)

    def test_smuggling(self):
        inner = (b"MAIL FROM:<bob@example.test>\r\nRCPT TO:<bob@example.test>\r\n"
                 b"DATA\r\nSubject: smuggled\r\n\r\nx")
        for end in (b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r\n.\r",
                    b"\r.\r\n", b"\n\n.\r\n", b"\r\r\n.\r\r\n"):
            with self.subTest(end):
                self.message_refused(b"a" + end + inner)

    def test_nul_and_bare_ends_in_the_body(self):
        for body in (b"a\0b", b"a\nb", b"a\rb", b"\0", b"\n", b"x\r"):
            with self.subTest(body):
                self.message_refused(body)

    def test_content_before_354(self):
        """In packets of its own, while the answer is still being found."""
        spool = inst.pid("submitd-spool")
        with inst.smtp_as(ANNA) as w:
            # Large enough for the spool to be asked first.
            w.cmd("MAIL FROM:<%s> SIZE=40000" % ANNA, 250)
            w.cmd("RCPT TO:<%s>" % ANNA, 250)
            os.kill(spool, signal.SIGSTOP)
            try:
                w.send("DATA\r\n")
                # So that both are no single read.
                wait_until(lambda: heard(w.sock), what="its reading")
                w.send(letter("early") + b".\r\nQUIT\r\n")
            finally:
                os.kill(spool, signal.SIGCONT)
            code, text = w.reply()
            self.assertEqual((code, text[:6]), (503, "5.5.1 "))
            self.assertEqual(w.reply()[0], 0)
        self.assertEqual(inst.drop_size(ANNA), 0)

    def test_end_of_data_in_pieces(self):
        with inst.smtp_as(ANNA) as w:
            for cut in range(1, 5):
                m = letter("cut %d" % cut)
                w.cmd("MAIL FROM:<%s>" % ANNA, 250)
                w.cmd("RCPT TO:<%s>" % ANNA, 250)
                w.cmd("DATA", 354)
                end = b"\r\n.\r\n"
                w.send(m[:-2] + end[:cut])
                time.sleep(0.05)
                w.send(end[cut:])
                self.assertEqual(w.reply()[0], 250)
                self.assertTrue(inst.fetch(ANNA, n=1)[0].endswith(m))

    def test_a_dot_line_that_is_the_whole_message(self):
        with inst.smtp_as(ANNA) as w:
            w.cmd("MAIL FROM:<%s>" % ANNA, 250)
            w.cmd("RCPT TO:<%s>" % ANNA, 250)
            w.cmd("DATA", 354)
            w.send(b".\r\n")
            self.assertEqual(w.reply()[0], 250)
        got = inst.fetch(ANNA, n=1)[0]
        self.assertIn(b"\r\nMessage-ID: <", got)

    def test_message_size_limit(self):
        with inst.smtp_as(ANNA) as w:
            w.cmd("MAIL FROM:<%s>" % ANNA, 250)
            w.cmd("RCPT TO:<%s>" % ANNA, 250)
            w.cmd("DATA", 354)
            w.send(letter("big") + (b"x" * 998 + b"\r\n") * 1100 + b".\r\n")
            code, text = w.reply()
            self.assertEqual(code, 552, text)
            self.assertTrue(text.startswith("5.3.4 "))
            self.alive(w)
            self.assertEqual(inst.drop_size(ANNA), 0)


class Ends(Case):
    def test_a_connection_cut_before_the_end_delivers_nothing(self):
        ended = r"ev=smtp\.close .*state=data "
        before = len(re.findall(ended, inst.log("submitd")))
        for how in ("close", "reset", "quit inside"):
            with self.subTest(how):
                w = inst.smtp_as(ANNA)
                w.cmd("MAIL FROM:<%s>" % ANNA, 250)
                w.cmd("RCPT TO:<%s>" % ANNA, 250)
                w.cmd("DATA", 354)
                w.send(letter("cut") + b"QUIT\r\n")
                if how == "reset":
                    w.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                      b"\1\0\0\0\0\0\0\0")
                w.close()
        wait_until(lambda: len(re.findall(ended, inst.log("submitd"))) >=
                   before + 3, what="the end of all three")
        self.assertEqual(inst.drop_size(ANNA), 0)
        self.assertEqual(inst.ctl("queue", "list", "-j").stdout.strip(), "")

    def test_quit_closes_with_a_tls_alert(self):
        with inst.smtp_as(ANNA) as w:
            w.cmd("QUIT", 221)
            self.assertEqual(w.sock.recv(10), b"")     # close_notify, no error


class Headers(Case):
    def sent(self, message, **kw):
        with inst.smtp_as(ANNA, **kw) as w:
            w.send_mail(ANNA, [ANNA], message)
        return inst.fetch(ANNA, n=1)[0]

    def test_received(self):
        got = self.sent(letter("x"), helo="my-host.example.test").decode()
        r = re.search(r"(?m)^Received: [^\r\n]*(\r\n[ \t][^\r\n]*)*", got).group(0)
        flat = re.sub(r"\r\n[ \t]+", " ", r)
        self.assertRegex(flat, r"from my-host\.example\.test \(.*\[127\.0\.0\.1\]\)")
        self.assertIn(" by mail.example.test ", flat)
        self.assertIn(" with ESMTPSA ", flat)
        self.assertRegex(flat, r"TLS")
        self.assertRegex(flat, r"; \w{3}, [ \d]\d \w{3} \d{4} \d\d:\d\d:\d\d [+-]\d{4}")
        for line in r.split("\r\n"):
            self.assertLessEqual(len(line), 998)

    def test_received_over_ipv6(self):
        if not IPV6:
            self.skipTest("no IPv6 here")
        got = self.sent(letter("x"), address="::1")
        self.assertIn(b"[IPv6:::1]", got)

    def test_helo_given_in_clear_is_not_used(self):
        w = inst.smtp(tls=False, helo="clear.example.test")
        w.cmd("STARTTLS", 220)
        w.start_tls(inst.tls_context())
        w.cmd("EHLO inside.example.test", 250)
        w.auth_plain(ANNA, inst.users[ANNA])
        w.send_mail(ANNA, [ANNA], letter("x"))
        w.close()
        got = inst.fetch(ANNA, n=1)[0]
        self.assertIn(b"inside.example.test", got)
        self.assertNotIn(b"clear.example.test", got)

    def test_no_header_by_helo(self):
        for helo in ("x.test\rX-Evil: 1", "x.test\nX-Evil: 1", "(x) by evil",
                     "x;X-Evil: y", "[1.2.3.4] by evil.test ([6.6.6.6])"):
            with self.subTest(helo), inst.smtp(auth=(ANNA, inst.users[ANNA])) as w:
                code, _ = w.cmd("EHLO " + helo)
                if code == 250:
                    w.send_mail(ANNA, [ANNA], letter("x"))
                    got = inst.fetch(ANNA, n=1)[0].split(b"\r\n\r\n")[0]
                    self.assertNotIn(b"X-Evil", got)
                    self.assertNotIn(b"evil.test", got)

    def test_missing_date_and_message_id_are_added(self):
        got = self.sent(b"From: <%s>\r\nSubject: bare\r\n\r\nbody\r\n" % ANNA.encode())
        head, body = got.split(b"\r\n\r\n", 1)
        self.assertEqual(body, b"body\r\n")
        self.assertEqual(len(re.findall(rb"(?im)^date:", head)), 1)
        self.assertEqual(len(re.findall(rb"(?im)^message-id: *<[^<>@]+@[^<>@]+>\r?$", head)), 1)

    def test_present_ones_stay(self):
        got = self.sent(letter("x"))
        head = got.split(b"\r\n\r\n", 1)[0]
        self.assertEqual(len(re.findall(rb"(?im)^date:", head)), 1)
        self.assertEqual(len(re.findall(rb"(?im)^message-id:", head)), 1)

    def test_a_body_that_begins_at_once(self):
        got = self.sent(b"\r\nno header at all\r\n")
        head, body = got.split(b"\r\n\r\n", 1)
        self.assertEqual(body, b"no header at all\r\n")
        self.assertRegex(head, rb"(?im)^message-id:")

    def test_a_mail_loop_is_stopped(self):
        with inst.smtp_as(ANNA) as w, self.assertRaises(Refused) as e:
            w.send_mail(ANNA, [ANNA], b"Received: x\r\n" * 120 + letter("loop"))
        self.assertEqual(e.exception.reply[0], 554)
        self.assertIn("5.4.6", e.exception.reply[1])


class Load(Case):
    def test_idle_and_dribbling_clients_do_not_stop_others(self):
        idle = [inst.smtp(tls=False, helo=None) for _ in range(500)]
        drip = [inst.smtp(tls=False, helo=None) for _ in range(60)]
        for _ in range(3):
            for w in drip:
                w.send("x")
        with inst.smtp_as(ANNA) as w:
            w.send_mail(ANNA, [ANNA], letter("between"))
        for w in idle + drip:
            w.close()
        inst.fetch(ANNA, n=1)

    def test_a_client_that_never_reads(self):
        w = inst.smtp_as(ANNA)
        w.sock.settimeout(3)
        try:
            for _ in range(400):
                w.send("EHLO x.test\r\n" * 1000)
        except OSError:
            pass
        with inst.smtp_as(ANNA) as other:
            other.cmd("NOOP", 250)
        w.close()
