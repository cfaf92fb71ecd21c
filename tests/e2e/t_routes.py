"""Routes by recipient domain, and the destinations that they make."""

import contextlib
import re
import unittest

from dns_server import DnsServer
from next_hop import NextHop
from submitd_instance import (ANNA, BOB, PASSWORDS, Instance, free_port,
                              letter, wait_until)


def route(name, domains, via="smtp", **keys):
    """The text of a section."""
    keys = dict({"domains": domains, "via": via}, **keys)
    lines = []
    for k, v in keys.items():
        if isinstance(v, list):
            v = "{%s}" % ", ".join('"%s"' % x for x in v)
        else:
            v = '"%s"' % v
        lines.append("\t%s = %s\n" % (k, v))
    return "route %s {\n%s}\n" % (name, "".join(lines))


def host(port):
    return "127.0.0.1:%d" % port


def send(inst, message, rcpts, n=1):
    with inst.smtp_as(ANNA) as w:
        for _ in range(n):
            w.send_mail(ANNA, rcpts, message)


class Ways(unittest.TestCase):
    def test_by_domain(self):
        """The first section that fits; local_domains; next_hop."""
        with contextlib.ExitStack() as stack:
            one, two, rest = (stack.enter_context(NextHop())
                              for _ in range(3))
            i = stack.enter_context(Instance(
                conf={"next_hop": host(rest.port),
                      "local_domains": ["example.test", "moved.test"]},
                extra=route("one", ["one.test", ".below.test"],
                            host=host(one.port))
                + route("two", ["one.test", "below.test", "moved.test"],
                        host=host(two.port))
                + route("away", [".void.test"], via="none")))
            m = letter("to all sides")
            send(i, m, ["a@one.test", "b@x.below.test", "c@below.test",
                        "d@moved.test", "e@else.test", BOB])
            wait_until(i.queue_empty, what="an empty queue")
            got = {hop: sorted(r for x in hop.messages for r in x.recipients)
                   for hop in (one, two, rest)}
            self.assertEqual(got[one], ["a@one.test", "b@x.below.test"])
            self.assertEqual(got[two], ["c@below.test", "d@moved.test"])
            self.assertEqual(got[rest], ["e@else.test"])
            self.assertEqual(len(one.messages), 1)
            self.assertTrue(i.fetch(BOB, n=1)[0].endswith(m))
            with i.smtp_as(ANNA) as w:
                w.cmd("MAIL FROM:<%s>" % ANNA, 250)
                self.assertIn("5.4.4", str(
                    w.cmd("RCPT TO:<x@a.void.test>", 550)[1]))
            for to, says in (("x@a.void.test", "550 5.4.4: route away none"),
                             ("a@one.test", "route one %s" % host(one.port)),
                             ("d@moved.test", "route two"),
                             ("e@else.test", "next_hop"),
                             (BOB, "the local user %s" % BOB)):
                r = i.ctl("why", "--ip", "127.0.0.1", "--user", ANNA, "--to",
                          to, "-j", check=False)
                self.assertIn(says, r.stdout)

    def test_by_mx(self):
        """To the MX that answers, and by its preference; none: for good."""
        with DnsServer() as dns, NextHop() as hop:
            dns.zone("far.test", """
                @   MX 10 dead
                @   MX 20 mx
                dead A 127.0.0.3
                mx   A 127.0.0.1
                null MX 0 .
            """)
            i = Instance(start=False, conf={
                "mx_allow_networks": ["127.0.0.0/8"], "next_hop": "mx"},
                extra=route("far", [".far.test", "far.test"], via="mx",
                            port=hop.port))
            i.env["SUBMITD_TEST_DNS"] = dns.where
            with i:
                i.start()
                i.add_user(ANNA, PASSWORDS[ANNA])
                send(i, letter("by MX"), ["a@far.test"])
                hop.wait_messages(1, 60)
                i.wait_log("submitd", r"ev=msg\.sent .*relay=mx\.far\.test"
                           r"\[127\.0\.0\.1\]")
                send(i, letter("null MX"), ["a@null.far.test"])
                wait_until(i.queue_empty, what="an empty queue")
                self.assertIn(b"5.1.10", i.fetch(ANNA, n=1)[0])

    def test_a_reload_takes_what_waits_along(self):
        """To another host by its domain; what does not change stays."""
        with NextHop() as old, NextHop() as new, NextHop() as same:
            old.rule("RCPT", "reply 451 4.2.1 not here")
            same.rule("RCPT", "reply 451 4.2.1 not now")
            i = Instance(conf={"retry_min": "3s", "retry_max": "4s"},
                         extra=route("a", ["a.test"], host=host(old.port))
                         + route("b", ["b.test"], host=host(same.port)))
            with i:
                send(i, letter("moves"), ["x@a.test", "y@b.test", BOB])
                wait_until(lambda: old.count("RCPT") and same.count("RCPT"),
                           what="both tries")
                i.fetch(BOB, n=1)
                i.extra = (route("a", ["a.test"], host=host(new.port))
                           + route("b", ["b.test"], host=host(same.port)))
                i.write_conf()
                i.reload("submitd")
                self.assertEqual(new.wait_messages(1, 60)[0].recipients,
                                 ["x@a.test"])
                same.clear()
                self.assertEqual(same.wait_messages(1, 60)[0].recipients,
                                 ["y@b.test"])
                wait_until(i.queue_empty, what="an empty queue")
                self.assertEqual(len(old.messages), 0)
                self.assertEqual(i.fetch(BOB), [])


    def test_a_reload_leaves_what_hangs(self):
        """What waits for a greeting does not wait for its time-out."""
        with NextHop() as old, NextHop() as new:
            old.rule("GREETING", "hang")
            with Instance(extra=route("a", ["a.test"],
                                      host=host(old.port))) as i:
                send(i, letter("one"), ["x@a.test"])
                wait_until(lambda: old.open_now == 1, what="a connection")
                i.extra = route("a", ["a.test"], host=host(new.port))
                i.write_conf()
                i.reload("submitd")
                new.wait_messages(1)
                wait_until(i.queue_empty, what="an empty queue")
                self.assertEqual(len(new.messages), 1)


class Fair(unittest.TestCase):
    def test_one_that_hangs_and_ten_dead_of_fifty(self):
        """All others have their mail at once, with few connections in all."""
        with NextHop() as good, NextHop() as hangs:
            hangs.rule("GREETING", "wait")
            dead = free_port()
            extra = "".join(
                route("r%d" % n, ["d%d.test" % n], host=host(
                    hangs.port if n == 0 else dead if n <= 10 else good.port))
                for n in range(50))
            i = Instance(conf={"send_connections": 8, "retry_min": "1h",
                               "retry_max": "1h"}, extra=extra)
            with i:
                send(i, letter("to fifty"),
                     ["x@d%d.test" % n for n in range(50)])
                # None of them waited for a second try, or for the one that
                # hangs.
                good.wait_messages(39)
                self.assertEqual(hangs.messages, [])
                self.assertLessEqual(good.open_most, 8)
                wait_until(lambda: i.log("submitd").count("ev=hop.down") == 10,
                           what="ten that are down")
                listed = i.ctl("queue", "list", "-j").stdout
                self.assertIn("x@d0.test", listed)
                self.assertIn("refused", listed)
                hangs.clear()
                hangs.wait_messages(1)
                for r in good.messages:
                    self.assertEqual(len(r.recipients), 1)

    def test_many_for_one_leave_room_for_another(self):
        with NextHop() as busy, NextHop() as other:
            # Long enough for 60 not to be through before the one is sent.
            busy.rule("EOD", "slow 5")
            i = Instance(conf={"send_connections": 4}, extra=route(
                "busy", ["busy.test"], host=host(busy.port))
                + route("other", ["other.test"], host=host(other.port)))
            with i:
                send(i, letter("many"), ["x@busy.test"], n=60)
                wait_until(lambda: busy.open_now == 4, what="all connections")
                send(i, letter("one"), ["x@other.test"])
                other.wait_messages(1)
                self.assertLess(len(busy.messages), 30)
                busy.clear()
                busy.wait_messages(60, 120)


class Limits(unittest.TestCase):
    def one(self, n, wait_s=60, rules=(), **keys):
        with NextHop() as hop:
            for rule in rules:
                hop.rule(*rule)
            with Instance(extra=route("r", ["r.test"], host=host(hop.port),
                                      **keys)) as i:
                send(i, letter("one of them"), ["x@r.test"], n=n)
                hop.wait_messages(n, wait_s)
                wait_until(i.queue_empty, what="an empty queue")
                return hop, i.log("submitd")

    def test_connections(self):
        with NextHop() as hop:
            hop.rule("DATA", "wait")
            with Instance(extra=route("r", ["r.test"], host=host(hop.port),
                                      connections=2)) as i:
                send(i, letter("one of them"), ["x@r.test"], n=30)
                wait_until(lambda: hop.count("DATA") == 2, what="two at once")
                hop.clear()
                hop.wait_messages(30)
                wait_until(i.queue_empty, what="an empty queue")
                self.assertEqual(hop.open_most, 2)

    def test_messages_per_minute(self):
        hop, _ = self.one(4, messages_per_minute=30)
        at = hop.times_of("MAIL")
        for a, b in zip(at, at[1:]):
            # Two seconds; a slow machine's hop may see the first one late.
            self.assertGreater(b - a, 1)

    def test_too_much_to_do(self):
        """421 in the middle: fewer connections, and nothing is lost."""
        with NextHop() as hop:
            hop.rule("EOD", "slow 0.3")
            hop.rule("MAIL", "slow 0", times=5)
            hop.rule("MAIL", "reply 421 4.3.2 too busy", times=5)
            with Instance(extra=route("r", ["r.test"],
                                      host=host(hop.port))) as i:
                send(i, letter("many"), ["x@r.test"], n=30)
                hop.wait_messages(30, 60)
                wait_until(i.queue_empty, what="an empty queue")
                log = i.log("submitd")
                most = [int(n) for n in re.findall(
                    r"ev=hop\.busy dest=r connections=(\d+)", log)]
                self.assertTrue(most)
                self.assertLessEqual(most[0], 10)

    def test_partial_success_is_not_sent_again(self):
        with NextHop() as one, NextHop() as two:
            two.rule("RCPT", "reply 451 4.2.1 later", match="slow@", times=2)
            with Instance(extra=route("one", ["one.test"],
                                      host=host(one.port))
                          + route("two", ["two.test"],
                                  host=host(two.port))) as i:
                send(i, letter("in parts"), ["a@one.test", "slow@two.test",
                                             "fast@two.test", BOB])
                wait_until(i.queue_empty, what="an empty queue")
                self.assertEqual([m.recipients for m in one.messages],
                                 [["a@one.test"]])
                self.assertEqual([m.recipients for m in two.messages],
                                 [["fast@two.test"], ["slow@two.test"]])
                self.assertEqual(len(i.fetch(BOB, n=1)), 1)


class Reports(unittest.TestCase):
    def test_one_of_many_destinations(self):
        """A message with RET=FULL that ten of eleven refuse, at once or after
        a while: one report of all ten."""
        with contextlib.ExitStack() as stack:
            hops = [stack.enter_context(NextHop()) for _ in range(11)]
            for n, hop in enumerate(hops[:10]):
                hop.rule("RCPT", "reply 550 5.1.1 nobody")
                hop.rule("GREETING", "slow %s" % (n / 10))
            i = stack.enter_context(Instance(extra="".join(
                route("r%d" % n, ["d%d.test" % n], host=host(hop.port))
                for n, hop in enumerate(hops))))
            with i.smtp_as(ANNA) as w:
                w.send_mail(ANNA, ["x@d%d.test" % n for n in range(11)],
                            letter("to eleven"), " RET=FULL")
            hops[10].wait_messages(1)
            wait_until(i.queue_empty, what="an empty queue")
            got = i.fetch(ANNA, n=1)
            self.assertEqual(len(got), 1)
            self.assertEqual(got[0].count(b"\r\nAction: failed"), 10)
            self.assertEqual(i.log("submitd").count("ev=msg.report"), 1)


class Local(unittest.TestCase):
    def test_here_among_what_goes_away(self):
        """via = local keeps a local domain from a section behind it; aliases,
        +tags and catch-all work there; * leaves local domains alone."""
        with NextHop() as hop, Instance(
                conf={"local_domains": ["example.test", "in.example.test",
                                        "away.example.test"]},
                extra=route("here", ["in.example.test"], via="local")
                + route("below", [".example.test"], host=host(hop.port))
                + route("all", ["*"], host=host(hop.port))) as i:
            i.ctl("user", "alias", "add", ANNA, "sales@in.example.test")
            i.ctl("user", "alias", "add", BOB, "@in.example.test")
            send(i, letter("to anna"), ["sales+now@in.example.test", ANNA])
            self.assertEqual(len(i.fetch(ANNA, n=2)), 2)
            send(i, letter("to bob"), ["whoever@in.example.test"])
            self.assertEqual(len(i.fetch(BOB, n=1)), 1)
            for to, says in (("whoever@in.example.test", "local user %s" % BOB),
                             ("sales+x@in.example.test",
                              "local user %s" % ANNA),
                             ("x@away.example.test", "route below"),
                             ("nobody@example.test", "550 5.1.1"),
                             ("x@far.test", "route all")):
                r = i.ctl("why", "--ip", "127.0.0.1", "--user", ANNA, "--to",
                          to, "-j", check=False)
                self.assertIn(says, r.stdout)
            with i.smtp_as(ANNA) as w:
                w.cmd("MAIL FROM:<%s>" % ANNA, 250)
                w.cmd("RCPT TO:<nobody@example.test>", 550)
                w.cmd("RCPT TO:<x@away.example.test>", 250)

    def test_quota(self):
        """What does not fit waits, until there is room or its time is over;
        what never can goes back at once (RFC 3463: X.2.2)."""
        small = letter("small", body=b"x" * 70 + b"\r\n")
        large = letter("large", body=(b"x" * 70 + b"\r\n") * 60)
        with Instance() as i:
            i.ctl("user", "set", BOB, "quota=4000")
            send(i, large, [BOB])
            wait_until(i.queue_empty, what="an empty queue")
            self.assertIn(b"Status: 5.2.2", i.fetch(ANNA, n=1)[0])
            send(i, small, [BOB], n=20)
            i.wait_log("submitd", r"ev=local\.full .*user=%s quota=4000" % BOB)
            held = len(i.fetch(BOB))
            self.assertGreater(held, 0)
            self.assertLess(held, 10)
            wait_until(lambda: i.drop_size(BOB), what="more of them")
            i.clock(5 * 86400 + 60)
            i.wait_log("submitd", r"ev=msg\.bounced .*5\.2\.2%20given")
            wait_until(i.queue_empty, what="an empty queue")
            came = held + len(i.fetch(BOB))
            self.assertGreater(came, held)
            told = sum(b"Status: 5.2.2" in r for r in i.fetch(ANNA))
            self.assertEqual(came + told, 20)


if __name__ == "__main__":
    unittest.main()
