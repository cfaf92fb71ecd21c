"""SMTPUTF8, CHUNKING, DSN, FUTURERELEASE, DELIVERBY, MT-PRIORITY and REQUIRETLS
from the client to the Maildir, to a next hop that has them, and to one that has
not; and the reports that come of it."""

import email
import email.policy
import json
import re
import smtplib
import time
import unittest

from next_hop import NextHop
from submitd_instance import ANNA, BOB, Instance, letter, wait_until

OUT = "friend@elsewhere.test"
AENNE = "\u00e4nne@b\u00fccher.test"
ALL = NextHop.EXTENSIONS + ("SMTPUTF8", "DSN", "CHUNKING")


def wire(text):
    """As the next hop's transcript has it."""
    return text.encode().decode("latin-1")


def setUpModule():
    global inst, hop
    hop = NextHop()
    hop.up()
    inst = Instance(conf={
        "next_hop": "127.0.0.1:%d" % hop.port,
        "local_domains": ["example.test", "b\u00fccher.test"]},
        extra='route one {\n\tdomains = "one.test"\n\tvia = "smtp"\n'
              '\thost = "127.0.0.1:%d"\n\tconnections = "1"\n}\n' % hop.port)
    inst.ctl("user", "alias", "add", ANNA, AENNE)


def tearDownModule():
    inst.close()
    hop.down()


class Case(unittest.TestCase):
    def setUp(self):
        hop.begin_anew(ALL)

    def tearDown(self):
        hop.clear()
        wait_until(inst.queue_empty, what="the queue being empty")
        inst.fetch(ANNA)
        inst.fetch(BOB)

    @staticmethod
    def offer(extensions):
        """On new connections: the idle ones are ended."""
        hop.extensions = list(extensions)
        hop.down()
        hop.up()

    def send(self, rcpts, message, mail="", sender=ANNA):
        with inst.smtp_as(ANNA) as w:
            w.cmd("MAIL FROM:<%s>%s" % (sender, mail), 250)
            for r in rcpts:
                address, _, params = r.partition(" ")
                w.cmd("RCPT TO:<%s>%s" % (address, params and " " + params),
                      250)
            w.cmd("DATA", 354)
            w.send(message + b".\r\n")
            return w.expect(250)[1]

    def report(self):
        """The one that anna got: (message, text, status fields, octets)."""
        raw = inst.fetch(ANNA, n=1)
        self.assertEqual(len(raw), 1)
        m = email.message_from_bytes(raw[0], policy=email.policy.SMTPUTF8)
        self.assertEqual(m.get_content_type(), "multipart/report")
        text, status, original = m.get_payload()
        self.assertEqual(status.get_content_type(), "message/delivery-status")
        fields = {}
        for part in status.get_payload():
            fields.update({k: str(v) for k, v in part.items()})
        return m, text.get_content(), fields, original


class Utf8(Case):
    LETTER = ("From: \u00c4nne <%s>\r\nTo: <fr\u00e9d@elsewhere.test>\r\n"
              "Subject: Gr\u00fc\u00dfe\r\nDate: Sun, 22 Nov 2026 05:00:00 "
              "+0000\r\nMessage-ID: <u@x.test>\r\n\r\nhallo\r\n"
              % AENNE).encode()

    def test_passed_on_to_who_takes_it(self):
        to = "fr\u00e9d@b\u00fccherei.test"
        self.send([to], self.LETTER, " SMTPUTF8 BODY=8BITMIME", AENNE)
        got = hop.wait_messages(1)[0]
        self.assertEqual(got.sender, wire(AENNE))
        self.assertEqual(got.recipients, [wire(to)])
        self.assertIn("SMTPUTF8", got.parameters.split())
        self.assertTrue(got.data.endswith(self.LETTER))
        head = re.sub(rb"\r\n\s+", b" ", got.data[:-len(self.LETTER)])
        self.assertIn(b" with UTF8SMTPSA id ", head)
        self.assertIn(b" for <" + to.encode() + b">", head)

    def test_bounced_where_nobody_takes_it(self):
        self.offer(NextHop.EXTENSIONS)
        for sender, to, message in (
                (ANNA, "fr\u00e9d@elsewhere.test", letter("x", to=OUT)),
                (AENNE, OUT, letter("x", to=OUT)),
                (ANNA, OUT, self.LETTER)):
            with self.subTest((sender, to)):
                self.send([to], message, " SMTPUTF8", sender)
                m, text, fields, _ = self.report()
                self.assertEqual(fields["Status"], "5.6.7")
                self.assertIn("SMTPUTF8", text)
                self.assertIn("<%s>" % to, text)
                self.assertIn(sender, str(m["To"]))
        self.assertEqual(hop.count("MAIL"), 0)

    def test_a_raw_header_without_it(self):
        """RFC 6532 wants SMTPUTF8; old programs send so, and it arrives."""
        m = letter("x", to=OUT, body=b"\xe4\r\n").replace(
            b"Subject: x", b"Subject: Gr\xfc\xdfe \xc3\xa4").replace(
            b"From: <", b"From: \xc4nne M\xfcller <")
        self.send([OUT, BOB], m)
        got = hop.wait_messages(1)[0]
        self.assertNotIn("SMTPUTF8", got.parameters)
        self.assertTrue(got.data.endswith(m))
        self.assertTrue(inst.fetch(BOB, n=1)[0].endswith(m))

    def test_where_nothing_needs_it_it_goes(self):
        self.offer(NextHop.EXTENSIONS)
        m = letter("x", to=OUT, body="Gr\u00fc\u00dfe\r\n".encode())
        self.send([OUT, "you@b\u00fccherei.test"], m, " SMTPUTF8 BODY=8BITMIME")
        got = hop.wait_messages(1)[0]
        self.assertEqual(got.recipients, [OUT, "you@xn--bcherei-n2a.test"])
        self.assertNotIn("SMTPUTF8", got.parameters)
        self.assertTrue(got.data.endswith(m))

    def test_one_of_two_cannot_be_named(self):
        self.offer(NextHop.EXTENSIONS)
        self.send([OUT, "fr\u00e9d@elsewhere.test"], letter("x", to=OUT),
                  " SMTPUTF8")
        self.assertEqual(hop.wait_messages(1)[0].recipients, [OUT])
        fields = self.report()[2]
        self.assertEqual(fields["Final-Recipient"],
                         "utf-8; fr\\x{E9}d@elsewhere.test")

    def test_into_a_maildir(self):
        for to in (AENNE, "\u00c4NNE@xn--bcher-kva.test",
                   "A\u0308nne@B\u00dcCHER.test"):
            with self.subTest(to):
                self.send([to], self.LETTER, " SMTPUTF8", AENNE)
                got = inst.fetch(ANNA, n=1)[0]
                self.assertTrue(got.endswith(self.LETTER))
                self.assertTrue(got.startswith(
                    ("Return-Path: <%s>\r\nDelivered-To: %s\r\n"
                     % (AENNE, to)).encode()))

    def test_a_login_by_a_name_that_is_utf8(self):
        inst.add_user("j\u00f6rg@b\u00fccher.test", "geheim")
        with inst.smtp(auth=("j\u00f6rg@b\u00fccher.test", "geheim")) as w:
            w.send_mail("j\u00f6rg@b\u00fccher.test", [BOB], letter(
                "x", "J\u00f6rg@xn--bcher-kva.test"), " SMTPUTF8")
            self.assertEqual(w.cmd("MAIL FROM:<%s> SMTPUTF8" % AENNE)[0], 553)
            w.send_mail("j\u00f6rg@b\u00fccher.test",
                        ["J\u00d6RG@xn--bcher-kva.test"], letter(
                            "y", "j\u00f6rg@b\u00fccher.test"), " SMTPUTF8")
        self.assertEqual(len(inst.fetch("j\u00f6rg@b\u00fccher.test", n=1)), 1)
        got = re.sub(rb"\r\n\s+", b" ", inst.fetch(BOB, n=1)[0])
        self.assertIn(b"(authenticated as j??rg@xn--bcher-kva.test)", got)

    def test_pythons_smtplib(self):
        with smtplib.SMTP_SSL("localhost", inst.port("submissions"),
                              context=inst.tls_context()) as s:
            s.login(ANNA, inst.users[ANNA])
            m = email.message.EmailMessage(policy=email.policy.SMTPUTF8)
            m["From"], m["To"] = AENNE, AENNE
            m["Subject"] = "Gr\u00fc\u00dfe"
            m.set_content("hallo\n")
            s.send_message(m)
        self.assertIn("Subject: Gr\u00fc\u00dfe\r\n".encode(),
                      inst.fetch(ANNA, n=1)[0])


class Chunks(Case):
    def bdat(self, chunks, rcpts=(BOB,), code=250):
        with inst.smtp_as(ANNA) as w:
            w.cmd("MAIL FROM:<%s> BODY=8BITMIME" % ANNA, 250)
            for r in rcpts:
                w.cmd("RCPT TO:<%s>" % r, 250)
            group = b""
            for i, c in enumerate(chunks):
                group += b"BDAT %d%s\r\n" % (
                    len(c), b" LAST" if i == len(chunks) - 1 else b"") + c
            w.send(group)
            for _ in chunks[1:]:
                w.expect(250)
            return w.expect(code)[1]

    def test_dots_are_stuffed_on_the_way_on(self):
        m = letter("dots", to=OUT, body=b".\r\n..\r\n.x\r\n" +
                   bytes(range(0x80, 0x100)) + b"\r\n")
        self.bdat([m[:100], m[100:-7], m[-7:]], [OUT, BOB])
        got = hop.wait_messages(1)[0]
        self.assertTrue(got.data.endswith(m))
        self.assertEqual(hop.count("BDAT"), 0)
        self.assertEqual(hop.count("DATA"), 1)
        self.assertTrue(inst.fetch(BOB, n=1)[0].endswith(m))

    def test_cut_at_every_octet(self):
        m = letter("cut", body=b"a\r\n.\r\nb\r\n")
        self.bdat([bytes([c]) for c in m])
        self.assertTrue(inst.fetch(BOB, n=1)[0].endswith(m))

    def test_a_last_line_gets_its_end(self):
        m = letter("open", body=b"no end")
        self.bdat([m])
        self.assertTrue(inst.fetch(BOB, n=1)[0].endswith(m + b"\r\n"))

    def test_many_megabytes(self):
        body = (b"x" * 998 + b"\r\n") * 9000
        m = letter("large", body=body)
        self.bdat([m[i:i + 300000] for i in range(0, len(m), 300000)])
        self.assertTrue(inst.fetch(BOB, n=1)[0].endswith(m))

    def test_cut_off_nothing_is_delivered(self):
        since = inst.log_size("submitd")
        with inst.smtp_as(ANNA) as w:
            w.cmd("MAIL FROM:<%s>" % ANNA, 250)
            w.cmd("RCPT TO:<%s>" % BOB, 250)
            w.send(b"BDAT 5\r\na: b\r\nBDAT 1000 LAST\r\nx")
            w.expect(250)
        inst.wait_log("submitd", r"ev=smtp\.close .*state=chunk", since)
        self.assertEqual(inst.drop_size(BOB), 0)
        self.assertTrue(inst.queue_empty())


class Reports(Case):
    def test_passed_on_to_who_sends_reports(self):
        self.send([OUT + " NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;f+2B@x.test",
                   "two@elsewhere.test NOTIFY=NEVER", "three@elsewhere.test"],
                  letter("x", to=OUT), " RET=HDRS ENVID=Q+2B1")
        got = hop.wait_messages(1)[0]
        self.assertIn("RET=HDRS", got.parameters.split())
        self.assertIn("ENVID=Q+2B1", got.parameters.split())
        self.assertEqual(got.rcpt_parameters, [
            "NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;f+2B@x.test",
            "NOTIFY=NEVER", ""])
        wait_until(inst.queue_empty, what="the queue being empty")
        self.assertEqual(inst.drop_size(ANNA), 0)

    def test_relayed_to_who_sends_none(self):
        self.offer(NextHop.EXTENSIONS)
        self.send([OUT + " NOTIFY=SUCCESS ORCPT=rfc822;f+2B@x.test",
                   "two@elsewhere.test"], letter("x", to=OUT),
                  " RET=FULL ENVID=Q+2B1")
        got = hop.wait_messages(1)[0]
        self.assertNotIn("RET", got.parameters)
        self.assertEqual(got.rcpt_parameters, ["", ""])
        m, text, fields, original = self.report()
        self.assertIn("passed on", str(m["Subject"]))
        self.assertEqual(fields["Action"], "relayed")
        self.assertRegex(fields["Status"], r"^2\.")
        self.assertEqual(fields["Original-Envelope-Id"], "Q+1")
        self.assertEqual(fields["Original-Recipient"], "rfc822; f+@x.test")
        self.assertEqual(fields["Final-Recipient"], "rfc822; " + OUT)
        self.assertNotIn("two@", text)
        # RFC 3461 section 4.3: only a failure returns the whole.
        self.assertEqual(original.get_content_type(), "text/rfc822-headers")

    def test_delivered_to_a_maildir(self):
        self.send([BOB + " NOTIFY=SUCCESS", ANNA + " NOTIFY=NEVER"],
                  letter("x"))
        wait_until(inst.queue_empty, what="the queue being empty")
        got = [email.message_from_bytes(m) for m in inst.fetch(ANNA, n=2)]
        self.assertEqual({m.get_content_type() for m in got},
                         {"text/plain", "multipart/report"})
        report = next(m for m in got if m.is_multipart())
        self.assertIn("Action: delivered", report.as_string())
        self.assertNotIn(ANNA, report.get_payload()[0].get_payload())

    def test_failures_that_nobody_wants_to_hear_of(self):
        since = inst.log_size("submitd")
        hop.rule("RCPT", "reply 550 5.1.1 nobody")
        self.send([OUT + " NOTIFY=NEVER", "two@elsewhere.test NOTIFY=SUCCESS"],
                  letter("x", to=OUT))
        inst.wait_log("submitd", r"(?s)ev=msg\.silent .*ev=msg\.silent ",
                      since)
        wait_until(inst.queue_empty, what="the queue being empty")
        self.assertEqual(inst.drop_size(ANNA), 0)

    def test_ret(self):
        hop.rule("RCPT", "reply 550 5.1.1 nobody")
        m = letter("x", to=OUT, body=b"the whole \xff\r\n")
        for ret, whole in (("", False), (" RET=HDRS", False),
                           (" RET=FULL", True)):
            with self.subTest(ret):
                self.send([OUT], m, " BODY=8BITMIME ENVID=abc" + ret)
                _, _, fields, original = self.report()
                self.assertEqual(fields["Action"], "failed")
                self.assertEqual(fields["Original-Envelope-Id"], "abc")
                self.assertEqual(original.get_content_type(), "message/rfc822"
                                 if whole else "text/rfc822-headers")
                self.assertEqual(b"the whole" in original.as_bytes(), whole)

    def test_a_large_message_comes_back_as_its_header(self):
        hop.rule("RCPT", "reply 550 5.1.1 nobody")
        self.send([OUT], letter("x", to=OUT, body=(b"y" * 70 + b"\r\n") * 2000),
                  " RET=FULL")
        self.assertEqual(self.report()[3].get_content_type(),
                         "text/rfc822-headers")

    def test_delay_is_told_once(self):
        hop.rule("RCPT", "reply 451 4.2.1 not now")
        self.send([OUT + " NOTIFY=DELAY"], letter("x", to=OUT))
        wait_until(lambda: hop.count("RCPT") >= 1, what="the first attempt")
        since = inst.log_size("submitd")
        for hours in (5, 10):
            inst.clock(hours * 3600)
            inst.ctl("queue", "flush", check=False)
            inst.wait_log("submitd", r"ev=msg\.deferred ", since)
            since = inst.log_size("submitd")
        m, _, fields, _ = self.report()
        self.assertEqual(fields["Action"], "delayed")
        self.assertEqual(fields["Status"], "4.2.1")
        self.assertIn("Will-Retry-Until", fields)
        self.assertEqual(inst.drop_size(ANNA), 0)
        hop.clear()
        inst.ctl("queue", "flush", check=False)
        hop.wait_messages(1)
        inst.clock(0)

    def test_asked_for_before_a_crash(self):
        """What stands in the envelope is obeyed by those who come after."""
        self.offer(NextHop.EXTENSIONS)
        hop.down()
        self.send([OUT + " NOTIFY=SUCCESS"], letter("x", to=OUT), " ENVID=kept")
        inst.kill_all()
        inst.start()
        queued = json.loads(inst.ctl("queue", "list", "-j").stdout)
        shown = json.loads(inst.ctl("queue", "show", queued["id"], "-j").stdout)
        self.assertEqual((shown["envid"], shown["ret"], shown["smtputf8"]),
                         ("kept", "", False))
        self.assertEqual(shown["asked"], [
            {"recipient": OUT, "notify": ["SUCCESS"], "orcpt": ""}])
        hop.up()
        inst.ctl("queue", "flush")
        hop.wait_messages(1, 60)
        fields = self.report()[2]
        self.assertEqual(fields["Original-Envelope-Id"], "kept")
        self.assertEqual(fields["Action"], "relayed")


    def test_rfc3461_4_1_delay_is_told_where_nothing_was_asked(self):
        hop.rule("RCPT", "reply 451 4.2.1 not now")
        self.send([OUT, "two@elsewhere.test NOTIFY=FAILURE"],
                  letter("x", to=OUT))
        wait_until(lambda: hop.count("RCPT") >= 1, what="the first attempt")
        inst.clock(5 * 3600)
        inst.ctl("queue", "flush", check=False)
        _, text, fields, _ = self.report()
        self.assertEqual((fields["Action"], fields["Final-Recipient"]),
                         ("delayed", "rfc822; " + OUT))
        self.assertNotIn("two@", text)
        hop.clear()
        inst.ctl("queue", "flush", check=False)
        hop.wait_messages(1)
        inst.clock(0)

    def test_delay_warning_off(self):
        inst.write_conf(delay_warning="0s")
        inst.ctl("reload")
        hop.rule("RCPT", "reply 451 4.2.1 not now")
        self.send([OUT + " NOTIFY=DELAY"], letter("x", to=OUT))
        wait_until(lambda: hop.count("RCPT") >= 1, what="the first attempt")
        since = inst.log_size("submitd")
        inst.clock(8 * 3600)
        inst.ctl("queue", "flush", check=False)
        inst.wait_log("submitd", r"ev=msg\.deferred ", since)
        hop.clear()
        inst.ctl("queue", "flush", check=False)
        hop.wait_messages(1)
        inst.clock(0)
        inst.write_conf(delay_warning=None)
        inst.ctl("reload")
        self.assertEqual(inst.drop_size(ANNA), 0)

    def test_one_report_of_a_failure_and_a_delay(self):
        hop.rule("RCPT", "reply 550 5.1.1 nobody", match="bad")
        hop.rule("RCPT", "reply 451 4.2.1 not now", match="late")
        asked = hop.rule("MAIL", "wait")
        self.send(["bad@elsewhere.test", "late@elsewhere.test"],
                  letter("x", to=OUT), " RET=FULL")
        wait_until(lambda: hop.count("MAIL") >= 1, what="the first attempt")
        # It is late when the answers come.
        inst.clock(5 * 3600)
        hop.rules.remove(asked)
        raw = inst.fetch(ANNA, n=1)
        self.assertEqual(len(raw), 1)
        for part in (b"Action: failed", b"Status: 5.1.1", b"Action: delayed",
                     b"Status: 4.2.1", b"message/rfc822"):
            self.assertIn(part, raw[0])
        hop.clear()
        inst.ctl("queue", "flush", check=False)
        hop.wait_messages(1)
        inst.clock(0)

    def test_the_user_hears_of_mail_with_a_foreign_sender(self):
        """sender_policy = log let it through; who stands there is not told."""
        inst.write_conf(sender_policy="log")
        inst.ctl("reload")
        try:
            hop.rule("RCPT", "reply 550 5.1.1 nobody")
            self.send([OUT], letter("x", to=OUT), sender=BOB)
            m, _, fields, _ = self.report()
            self.assertEqual(str(m["To"]), ANNA)
            self.assertEqual(fields["Action"], "failed")
            self.assertEqual(inst.drop_size(BOB), 0)
        finally:
            inst.write_conf(sender_policy=None)
            inst.ctl("reload")

    def test_a_double_bounce_ends_in_the_log(self):
        """RFC 5321 section 6.1: the report itself cannot be delivered."""
        inst.add_user("away@example.test", "short-lived")
        hop.down()
        with inst.smtp(auth=("away@example.test", "short-lived")) as w:
            w.send_mail("away@example.test", [OUT], letter(
                "x", "away@example.test", to=OUT))
        inst.ctl("user", "delete", "away@example.test")
        since = inst.log_size("submitd")
        hop.rule("RCPT", "reply 550 5.1.1 nobody")
        hop.up()
        inst.ctl("queue", "flush", check=False)
        inst.wait_log("submitd", r"ev=msg\.report ", since)
        inst.wait_log("submitd", r"ev=msg\.lost .*to=away@example\.test",
                      since)
        wait_until(inst.queue_empty, what="the queue being empty")


class Held(Case):
    """RFC 4865."""

    def tearDown(self):
        inst.clock(0)
        super().tearDown()

    def test_rfc4865_4_held_shown_and_released(self):
        m = letter("later", to=OUT)
        before = int(time.time())
        self.send([OUT, BOB], m, " HOLDFOR=36000")
        queued = json.loads(inst.ctl("queue", "list", "-j").stdout)
        self.assertTrue(before + 36000 <= queued["hold_until_s"] <=
                        time.time() + 36001, (before, queued))
        self.assertIn("future release", inst.ctl("queue", "list").stdout)
        inst.ctl("queue", "flush")
        inst.stop()
        inst.start()
        inst.clock(35000)
        wait_until(lambda: inst.ctl("queue", "flush").returncode == 0)
        self.assertEqual((hop.count("MAIL"), inst.drop_size(BOB)), (0, 0))
        inst.clock(36001)
        got = hop.wait_messages(1)[0]
        self.assertTrue(got.data.endswith(m))
        self.assertNotIn("HOLD", got.parameters)
        self.assertTrue(inst.fetch(BOB, n=1)[0].endswith(m))

    def test_rfc4865_4_holduntil_survives_a_crash(self):
        until = time.strftime("%Y-%m-%dT%H:%M:%SZ",
                              time.gmtime(time.time() + 86400))
        self.send([BOB], letter("tomorrow"), " HOLDUNTIL=" + until)
        inst.kill_all()
        inst.start()
        self.assertEqual(inst.drop_size(BOB), 0)
        inst.clock(86401)
        inst.fetch(BOB, n=1)

    def test_its_life_begins_with_its_release(self):
        """Nor is it late before that: 20 days are four times queue_lifetime."""
        hop.rule("RCPT", "reply 451 4.2.1 not now", times=1)
        self.send([OUT], letter("x", to=OUT), " HOLDFOR=%d" % (20 * 86400))
        since = inst.log_size("submitd")
        inst.clock(20 * 86400 + 1)
        inst.wait_log("submitd", r"ev=msg\.deferred ", since)
        inst.ctl("queue", "flush", check=False)
        hop.wait_messages(1)
        wait_until(inst.queue_empty, what="the queue being empty")
        self.assertEqual(inst.drop_size(ANNA), 0)

    def test_a_time_that_is_past_holds_nothing(self):
        self.send([BOB], letter("x"), " HOLDUNTIL=2000-01-01T00:00:00Z")
        inst.fetch(BOB, n=1)


class Deadline(Case):
    """RFC 2852."""

    BY = ALL + ("DELIVERBY 5",)

    def tearDown(self):
        inst.clock(0)
        super().tearDown()

    def test_rfc2852_4_by_mode_r_goes_back(self):
        self.offer(self.BY)
        hop.rule("RCPT", "reply 451 4.2.1 not now")
        self.send([OUT], letter("x", to=OUT), " BY=600;R RET=HDRS")
        wait_until(lambda: hop.count("RCPT") >= 1, what="an attempt")
        inst.clock(601)
        _, text, fields, _ = self.report()
        self.assertEqual((fields["Action"], fields["Status"]),
                         ("failed", "5.4.7"))
        self.assertIn("Deliver-By-Date", fields)
        self.assertIn("the time by which", text)

    def test_rfc2852_4_while_the_next_hop_is_down(self):
        hop.down()
        self.send([OUT], letter("x", to=OUT), " BY=600;R")
        inst.kill_all()
        inst.start()
        inst.clock(601)
        self.assertEqual(self.report()[2]["Status"], "5.4.7")

    def test_rfc2852_4_by_mode_n_is_told_once(self):
        self.offer(self.BY)
        hop.rule("RCPT", "reply 451 4.2.1 not now")
        self.send([OUT], letter("x", to=OUT), " BY=600;N")
        wait_until(lambda: hop.count("RCPT") >= 1, what="an attempt")
        inst.clock(601)
        fields = self.report()[2]
        self.assertEqual((fields["Action"], fields["Status"][:3]),
                         ("delayed", "4.4"))
        inst.clock(6 * 3600)
        hop.clear()
        inst.ctl("queue", "flush", check=False)
        got = hop.wait_messages(1)[0]
        self.assertRegex(got.parameters, r"BY=-\d+;N")
        wait_until(inst.queue_empty, what="the queue being empty")
        self.assertEqual(inst.drop_size(ANNA), 0)

    def test_rfc2852_4_passed_on_with_the_time_left(self):
        self.offer(self.BY)
        for mode in ("R", "N"):
            began = time.monotonic()
            self.send([OUT], letter("x", to=OUT), " BY=600;" + mode)
            got = hop.wait_messages(1)[-1]
            left = re.search(r"BY=(\d+);%s(?: |$)" % mode, got.parameters)
            self.assertTrue(598 - (time.monotonic() - began) <=
                            int(left.group(1)) <= 600)
            hop.messages.clear()
        wait_until(inst.queue_empty, what="the queue being empty")
        self.assertEqual(inst.drop_size(ANNA), 0)

    def test_rfc2852_4_trace(self):
        self.offer(self.BY)
        self.send([OUT, "two@elsewhere.test NOTIFY=NEVER"],
                  letter("x", to=OUT), " BY=600;NT")
        self.assertRegex(hop.wait_messages(1)[0].parameters, r"BY=\d+;NT")
        _, text, fields, _ = self.report()
        self.assertEqual((fields["Action"], fields["Final-Recipient"]),
                         ("relayed", "rfc822; " + OUT))
        self.assertNotIn("two@", text)

    def test_rfc2852_4_to_a_next_hop_without_it(self):
        self.send([OUT], letter("x", to=OUT), " BY=600;R")
        fields = self.report()[2]
        self.assertEqual((fields["Action"], fields["Status"][0]),
                         ("failed", "5"))
        self.assertEqual(hop.count("MAIL"), 0)
        self.send([OUT], letter("x", to=OUT), " BY=600;N")
        self.assertNotIn("BY=", hop.wait_messages(1)[0].parameters)
        self.assertEqual(self.report()[2]["Action"], "relayed")

    def test_into_a_maildir_in_time(self):
        self.send([BOB], letter("x"), " BY=600;R")
        inst.fetch(BOB, n=1)
        self.assertEqual(inst.drop_size(ANNA), 0)


class Priority(Case):
    """RFC 6710."""

    def test_rfc6710_4_order_and_next_hop(self):
        """All are due at once: by their priority, whatever came first."""
        self.offer(ALL + ("MT-PRIORITY",))
        inst.ctl("user", "set", ANNA, "may_prioritise=yes")
        for n in (0, -4, 7, 3, 7, 0, -4):
            self.send(["x@one.test"], letter("p%d" % n), " HOLDFOR=1000" +
                      (" MT-PRIORITY=%d" % n if n else ""))
        inst.clock(2000)
        got = sorted(hop.wait_messages(7), key=lambda m: m.mail_at)
        inst.clock(0)
        order = [int((re.findall(r"MT-PRIORITY=(-?\d+)", m.parameters) or
                      [0])[0]) for m in got]
        self.assertEqual(order, [7, 7, 3, 0, 0, -4, -4])
        first = re.sub(rb"\r\n\s+", b" ", got[0].data)
        self.assertIn(b" PRIORITY 7; ", first)

    def test_rfc6710_4_1_above_0_for_those_who_may(self):
        self.offer(ALL + ("MT-PRIORITY",))
        inst.ctl("user", "set", ANNA, "may_prioritise=no")
        with inst.smtp_as(ANNA) as w:
            self.assertIn("2.3.6", w.cmd(
                "MAIL FROM:<%s> MT-PRIORITY=5" % ANNA, 250)[1])
            w.cmd("RCPT TO:<%s>" % OUT, 250)
            w.cmd("DATA", 354)
            w.send(letter("x", to=OUT) + b".\r\n")
            w.expect(250)
        got = hop.wait_messages(1)[0]
        self.assertNotIn("MT-PRIORITY", got.parameters)
        self.assertNotIn(b"PRIORITY", got.data.split(b"From:")[0])

    def test_rfc6710_4_3_a_next_hop_without_it(self):
        self.send([OUT], letter("x", to=OUT), " MT-PRIORITY=-3")
        self.assertNotIn("MT-PRIORITY", hop.wait_messages(1)[0].parameters)


class RequireTls(Case):
    """RFC 8689."""

    def test_rfc8689_4_2_1_not_where_it_is_not_offered(self):
        m = letter("secret", to=OUT, body=b"the body\r\n")
        self.send([OUT, BOB], m, " REQUIRETLS RET=FULL")
        _, text, fields, original = self.report()
        self.assertEqual((fields["Action"], fields["Status"]),
                         ("failed", "5.7.30"))
        self.assertIn("REQUIRETLS", text)
        # Section 5: the header alone comes back.
        self.assertEqual(original.get_content_type(), "text/rfc822-headers")
        self.assertEqual(hop.count("MAIL"), 0)
        # The Maildir here is as safe as we are.
        self.assertTrue(inst.fetch(BOB, n=1)[0].endswith(m))

    def test_rfc8689_5_the_report_asks_for_it_too(self):
        """Its sender's mail is elsewhere: no report goes there unprotected."""
        inst.ctl("user", "alias", "add", ANNA, "anna@gone.test")
        since = inst.log_size("submitd")
        try:
            self.send([OUT], letter("x", "anna@gone.test", to=OUT),
                      " REQUIRETLS", "anna@gone.test")
            inst.wait_log("submitd", r"ev=msg\.lost .*to=anna@gone\.test "
                          r".*why=5\.7\.30", since)
            wait_until(inst.queue_empty, what="the queue being empty")
            self.assertEqual(hop.count("MAIL"), 0)
        finally:
            inst.ctl("user", "alias", "delete", "anna@gone.test")

    def test_rfc8689_4_3_tls_required_no_goes_anyhow(self):
        m = letter("x", to=OUT).replace(b"Subject:",
                                        b"TLS-Required: No\r\nSubject:")
        self.send([OUT], m)
        self.assertTrue(hop.wait_messages(1)[0].data.endswith(m))


if __name__ == "__main__":
    unittest.main()
