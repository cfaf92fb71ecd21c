"""The way on: to a next hop that misbehaves, retries and bounces."""

import email
import os
import re
import signal
import unittest

from next_hop import NextHop
from submitd_instance import (ANNA, BOB, Instance, letter, make_cert, free_port,
                              wait_until)

OUT = "friend@elsewhere.test"


def setUpModule():
    global inst, hop
    hop = NextHop()
    hop.up()
    inst = Instance(conf={"next_hop": "127.0.0.1:%d" % hop.port})


def tearDownModule():
    inst.close()
    hop.down()


def send(message, rcpts=(OUT,), sender=ANNA, params=""):
    with inst.smtp_as(sender if sender else ANNA) as w:
        return w.send_mail(sender, rcpts, message, params)


class Case(unittest.TestCase):
    def setUp(self):
        hop.begin_anew()

    def tearDown(self):
        hop.clear()
        wait_until(inst.queue_empty, what="the queue being empty")
        inst.fetch(ANNA)

    def one(self, n=1):
        return hop.wait_messages(n, 60)

    def bounce(self):
        """The report that anna got, and its text."""
        m = inst.fetch(ANNA, n=1)
        self.assertEqual(len(m), 1)
        return email.message_from_bytes(m[0]), m[0]


class Way(Case):
    def test_exact_and_once(self):
        body = (b".\r\n..\r\n.x\r\n" + bytes(range(0x80, 0x100)) + b"\r\n"
                + b"y" * 998 + b"\r\n")
        m = letter("relayed", to=OUT, body=body)
        send(m, params=" BODY=8BITMIME")
        got = self.one()[0]
        self.assertEqual(got.sender, ANNA)
        self.assertEqual(got.recipients, [OUT])
        self.assertTrue(got.data.endswith(m))
        self.assertIn("BODY=8BITMIME", got.parameters)
        self.assertRegex(got.data[:-len(m)], rb"^Received: ")
        self.assertNotIn(b"Return-Path", got.data[:-len(m)])
        self.assertEqual(got.helo, "mail.example.test")
        wait_until(inst.queue_empty, what="the end")
        self.assertEqual(len(hop.messages), 1)

    def test_local_and_foreign_recipients_of_one_message(self):
        m = letter("both")
        send(m, [OUT, BOB, "other@elsewhere.test"])
        self.assertTrue(inst.fetch(BOB, n=1)[0].endswith(m))
        rcpts = sum((x.recipients for x in self.one()), [])
        wait_until(lambda: set(sum((x.recipients for x in hop.messages), []))
                   == {OUT, "other@elsewhere.test"}, what="both recipients")
        self.assertNotIn(BOB, rcpts)

    def test_200_recipients(self):
        rcpts = ["r%d@elsewhere.test" % i for i in range(200)]
        send(letter("many"), rcpts)
        wait_until(lambda: sorted(sum((x.recipients for x in hop.messages), []))
                   == sorted(rcpts), what="all recipients")

    def test_a_big_message(self):
        m = letter("big", body=(b"z" * 76 + b"\r\n") * 60000)
        send(m)
        self.assertTrue(self.one()[0].data.endswith(m))

    def test_null_sender(self):
        send(letter("null"), sender="")
        self.assertEqual(self.one()[0].sender, "")

    def test_address_is_relayed_as_given(self):
        to = 'MiXed.Case+"'.replace('"', "") + "tag@ElseWhere.Test"
        send(letter("x"), [to])
        self.assertEqual(self.one()[0].recipients[0].split("@")[0],
                         to.split("@")[0])


class StartTls(unittest.TestCase):
    def test_used_where_offered(self):
        d = os.path.join(inst.root, "etc")
        pair = make_cert(d, "hop", "hop.test")
        with NextHop(tls=pair) as tls_hop:
            with Instance(conf={"next_hop": "127.0.0.1:%d" % tls_hop.port}) as i:
                m = letter("secret")
                with i.smtp_as(ANNA) as w:
                    w.send_mail(ANNA, [OUT], m)
                got = tls_hop.wait_messages(1, 60)[0]
                self.assertTrue(got.tls and got.tls.startswith("TLSv1."))
                self.assertTrue(got.data.endswith(m))
                # What comes with the 220 in one packet is not taken for TLS.
                tls_hop.rule("STARTTLS", "inject 250 evil", times=1)
                with i.smtp_as(ANNA) as w:
                    w.send_mail(ANNA, [OUT], letter("injected"))
                tls_hop.wait_messages(2, 60)


class Retry(Case):
    def temporary(self, verb, action):
        hop.rule(verb, action, times=1)
        m = letter("again")
        send(m)
        got = self.one()
        self.assertTrue(got[-1].data.endswith(m))

    def test_refusals_for_now(self):
        for verb, action in (
                ("GREETING", "reply 421 4.3.2 later"),
                ("GREETING", "close 554 5.3.2 no service"),
                ("EHLO", "reply 451 4.3.0 no"), ("MAIL", "reply 451 4.3.0 no"),
                ("RCPT", "reply 450 4.2.1 no"), ("RCPT", "reply 452 4.5.3 no"),
                ("DATA", "reply 451 4.3.0 no"), ("EOD", "reply 451 4.3.0 no"),
                ("MAIL", "reply 421 4.3.2 bye")):
            with self.subTest((verb, action)):
                self.setUp()
                self.temporary(verb, action)
                self.assertEqual(inst.drop_size(ANNA), 0)

    def test_drops_and_nonsense(self):
        for verb, action in (
                ("CONNECT", "drop"), ("CONNECT", "reset"), ("GREETING", "garbage"),
                ("EHLO", "drop"), ("MAIL", "drop"), ("RCPT", "reset"),
                ("DATA", "drop"), ("CONTENT", "drop"), ("EOD", "drop"),
                ("EHLO", "garbage"), ("MAIL", "binary"), ("RCPT", "huge"),
                ("EOD", "garbage"), ("DATA", "endless")):
            with self.subTest((verb, action)):
                self.setUp()
                self.temporary(verb, action)

    def test_slow_and_octet_by_octet(self):
        for verb, action in (("GREETING", "slow 2"), ("EHLO", "dribble 0.01"),
                             ("EOD", "slow 2"), ("MAIL", "barelf")):
            with self.subTest((verb, action)):
                self.setUp()
                self.temporary(verb, action)

    def test_a_next_hop_that_is_down(self):
        hop.down()
        m = letter("down")
        send(m)
        wait_until(lambda: '"tries":1' in inst.ctl(
            "queue", "list", "-j").stdout.replace(" ", ""), what="a try")
        r = inst.ctl("queue", "list", "-j").stdout
        self.assertIn(OUT, r + inst.ctl("queue", "show", self.first_id()).stdout)
        hop.up()
        self.assertTrue(self.one()[0].data.endswith(m))

    @staticmethod
    def first_id():
        out = inst.ctl("queue", "list").stdout
        return re.search(r"\b[A-Za-z0-9]{16}\b", out).group(0)

    def test_waits_double_up_to_the_most(self):
        hop.rule("RCPT", "reply 451 4.2.1 not now", times=5)
        before = inst.log_size("submitd")
        send(letter("waiting"))
        self.one()
        at = hop.times_of("RCPT")
        gaps = [b - a for a, b in zip(at, at[1:])]
        self.assertEqual(len(at), 6)
        # How late a try comes is the machine's affair: what was meant is in
        # the log.
        meant = [int(x) for x in re.findall(
            r"ev=msg\.deferred .* next=(\d+)", inst.log("submitd", before))]
        self.assertEqual(len(meant), 5)
        for gap, wait, least in zip(gaps, meant, (1, 2, 4, 4, 4)):
            self.assertGreater(gap, least * 0.7, gaps)
            self.assertTrue(least <= wait <= least * 1.25 + 1, meant)

    def test_only_the_refused_recipient_is_tried_again(self):
        hop.rule("RCPT", "reply 451 4.2.1 not now", match="later", times=1)
        send(letter("x"), ["now@elsewhere.test", "later@elsewhere.test"])
        self.one(2)
        self.assertEqual([x.recipients for x in hop.messages],
                         [["now@elsewhere.test"], ["later@elsewhere.test"]])

    def test_flush(self):
        """At once, though its time would come in an hour."""
        inst.write_conf(retry_min="1h", retry_max="1h")
        self.assertIn("ev=reload.done", inst.reload("submitd"))
        try:
            hop.rule("RCPT", "reply 451 4.2.1 not now", times=1)
            before = inst.log_size("submitd")
            send(letter("flushed"))
            inst.wait_log("submitd", r"ev=msg\.deferred .* next=[34]\d\d\d",
                          before)
            inst.ctl("queue", "flush", self.first_id())
            self.one()
        finally:
            inst.write_conf(retry_min="1s", retry_max="4s")
            inst.reload("submitd")

    def test_it_survives_a_restart(self):
        hop.down()
        m = letter("over a restart")
        send(m)
        inst.stop()
        inst.start()
        hop.up()
        self.assertTrue(self.one()[0].data.endswith(m))


class Bounce(Case):
    def test_refused_for_good(self):
        for verb, action in (("RCPT", "reply 550 5.1.1 nobody here"),
                             ("MAIL", "reply 550 5.7.1 not you"),
                             ("DATA", "reply 554 5.6.0 no"),
                             ("EOD", "reply 554 5.7.1 spam")):
            with self.subTest((verb, action)):
                self.setUp()
                hop.rule(verb, action, times=1)
                send(letter("bounced"))
                report, raw = self.bounce()
                self.assertEqual(report.get_content_type(), "multipart/report")
                self.assertEqual(report.get_param("report-type"), "delivery-status")
                self.assertRegex(raw, rb"(?m)^Return-Path: <>\r?$")
                self.assertIn(OUT.encode(), raw)
                self.assertIn(action.split(" ", 3)[3].encode(), raw)
                self.assertIn(b"bounced", raw)
                kinds = [p.get_content_type() for p in report.walk()]
                self.assertIn("message/delivery-status", kinds)
                self.assertRegex(raw, rb"(?m)^Status: 5\.\d+\.\d+\r?$")
                self.assertRegex(raw, rb"(?m)^Action: failed\r?$")
                for line in raw.split(b"\r\n"):
                    self.assertLessEqual(len(line), 998)

    def test_one_report_for_the_refused_only(self):
        hop.rule("RCPT", "reply 550 5.1.1 nobody", match="bad")
        send(letter("x"), ["bad1@elsewhere.test", "good@elsewhere.test",
                           "bad2@elsewhere.test"])
        self.assertEqual(self.one()[0].recipients, ["good@elsewhere.test"])
        wait_until(inst.queue_empty, what="the end")
        got = inst.fetch(ANNA, n=1)
        both = b"".join(got)
        self.assertIn(b"bad1@elsewhere.test", both)
        self.assertIn(b"bad2@elsewhere.test", both)
        self.assertNotIn(b"Final-Recipient: rfc822;good@", both)
        self.assertNotIn(b"Final-Recipient: rfc822; good@", both)
        self.assertEqual(len(got), 1)

    def test_none_for_a_null_sender(self):
        hop.rule("RCPT", "reply 550 5.1.1 nobody", times=1)
        send(letter("x"), sender="")
        wait_until(inst.queue_empty, what="the end")
        self.assertEqual(inst.drop_size(ANNA), 0)

    def test_after_queue_lifetime(self):
        hop.rule("RCPT", "reply 451 4.2.1 never today")
        send(letter("old"))
        wait_until(lambda: hop.count("RCPT") >= 1, what="a try")
        inst.clock(5 * 86400 + 60)
        try:
            _, raw = self.bounce()
            self.assertIn(b"never today", raw)
            self.assertIn(b"Action: failed", raw)
        finally:
            inst.clock(0)

    def test_a_hostile_reply_does_no_harm(self):
        hop.rule("RCPT", "reply 550 5.1.1 <script>\x1b[2J\xff\xfe" + "A" * 1500
                 + "|Subject: evil|.|x", times=1)
        send(letter("x"))
        report, raw = self.bounce()
        head = raw.split(b"\r\n\r\n", 1)[0]
        self.assertNotIn(b"evil", head)
        self.assertNotIn(b"\x1b", raw)

    def test_deleted_by_the_administrator(self):
        hop.rule("RCPT", "reply 451 4.2.1 no")
        send(letter("x"))
        wait_until(lambda: hop.count("RCPT") >= 1, what="a try")
        inst.ctl("queue", "delete", Retry.first_id())
        wait_until(inst.queue_empty, what="the queue being empty")
        self.assertEqual(inst.drop_size(ANNA), 0)

    def test_a_local_user_deleted_meanwhile(self):
        inst.add_user("short@example.test", "short-lived")
        with inst.smtp_as(ANNA) as w:
            w.cmd("MAIL FROM:<%s>" % ANNA, 250)
            w.cmd("RCPT TO:<short@example.test>", 250)
            inst.ctl("user", "delete", "short@example.test")
            w.cmd("DATA", 354)
            w.send(letter("x") + b".\r\n")
            self.assertIn(w.reply()[0], (250, 550))
        _, raw = self.bounce()
        self.assertIn(b"short@example.test", raw)
        self.assertIn(b"\r\nStatus: 5.1.1\r\n", raw)


class Many(unittest.TestCase):
    """More at once than fits between submitd-send and the spool: no report comes
    twice, and nothing is sent again."""

    def queue(self, inst, n, rcpts, body):
        with inst.smtp_as(ANNA) as w:
            for i in range(n):
                w.send_mail(ANNA, rcpts, letter("n%d" % i, body=body),
                            " RET=FULL")

    def logged(self, inst, event, n):
        """So often, and nothing was dropped."""
        wait_until(lambda: inst.log("submitd").count(event) >= n, what=event)
        log = inst.log("submitd")
        self.assertEqual(log.count(event), n)
        self.assertNotIn("ev=ipc.drop", log)

    def test_reports(self):
        """The last way out is closed, and all that waited fails."""
        with Instance(conf={"next_hop": "127.0.0.1:%d" % free_port(),
                            "retry_min": "1h", "retry_max": "1h"}) as inst:
            self.queue(inst, 150, [OUT], ("x" * 70 + "\r\n") * 600)
            inst.write_conf(next_hop="none")
            inst.reload("submitd")
            inst.ctl("queue", "flush")
            wait_until(inst.queue_empty, 120, "an empty queue")
            self.logged(inst, "ev=msg.bounced", 150)
            self.assertEqual(inst.drop_size(ANNA), 150)

    def test_one_message(self):
        """Thousands of recipients of one message fail, each with more words
        than are kept; one gets it. One report of all, that the sender's server
        takes, with the header alone of what is too large."""
        rcpts = ["r%d@d%d.test" % (n, n % 50) for n in range(6000)]
        with NextHop() as hop, Instance(
                conf={"next_hop": "127.0.0.1:%d" % hop.port,
                      "recipient_limit": "10000"}) as inst:
            hop.rule("RCPT", "reply 550 5.1.1 nobody " + "y\xe4" * 900,
                     match="<r")
            self.queue(inst, 1, rcpts + [OUT], ("x" * 70 + "\r\n") * 800)
            self.assertEqual(hop.wait_messages(1)[0].recipients, [OUT])
            wait_until(inst.queue_empty, what="an empty queue")
            self.logged(inst, "ev=msg.bounced", len(rcpts))
            self.logged(inst, "ev=msg.report", 1)
            raw, = inst.fetch(ANNA, n=1)
        self.assertLess(len(raw), 8 << 20)
        self.assertLess(max(map(len, raw.split(b"\r\n"))), 999)
        person, status, original = email.message_from_bytes(raw).get_payload()
        failed = status.get_payload()[1:]
        self.assertEqual([f["Final-Recipient"] for f in failed],
                         ["rfc822; " + r for r in rcpts])
        self.assertEqual({(f["Action"], f["Status"]) for f in failed},
                         {("failed", "5.1.1")})
        self.assertEqual(re.findall(r"\n  <(.*)>", person.get_payload()), rcpts)
        self.assertEqual(original.get_content_type(), "text/rfc822-headers")

    def test_results(self):
        """Many recipients, each with all that a next hop may say."""
        with NextHop() as hop, Instance(
                conf={"next_hop": "127.0.0.1:%d" % hop.port,
                      "recipient_limit": "10000"}) as inst:
            hop.rule("EOD", "reply 250 2.0.0 " + "y" * 900)
            send = inst.pid("submitd-send")
            os.kill(send, signal.SIGSTOP)
            try:
                self.queue(inst, 8, ["u%d@elsewhere.test" % i
                                     for i in range(1000)], "")
            finally:
                os.kill(send, signal.SIGCONT)
            wait_until(inst.queue_empty, 120, "an empty queue")
            self.logged(inst, "ev=msg.sent", 8000)


class Names(unittest.TestCase):
    def test_a_next_hop_by_name_that_does_not_resolve(self):
        """Kept and retried, and nothing else waits for it."""
        with Instance(conf={"next_hop": "nowhere.invalid:%d" % free_port()}) as i:
            m = letter("x")
            with i.smtp_as(ANNA) as w:
                w.send_mail(ANNA, [OUT], letter("kept"))
                w.send_mail(ANNA, [BOB], m)
            self.assertTrue(i.fetch(BOB, n=1)[0].endswith(m))
            self.assertTrue(i.ctl("queue", "list", "-j").stdout.strip())

    def test_localhost(self):
        with NextHop() as h, Instance(
                conf={"next_hop": "localhost:%d" % h.port}) as i:
            m = letter("by name")
            with i.smtp_as(ANNA) as w:
                w.send_mail(ANNA, [OUT], m)
            self.assertTrue(h.wait_messages(1, 60)[0].data.endswith(m))
