"""What a message asks of its way, and what next hops do in between: REQUIRETLS,
TLS-Required: No, DELIVERBY, MT-PRIORITY, IPv6 and IPv4, PIX."""

import unittest

from dns_server import DnsServer
from next_hop import NextHop
from submitd_instance import (ANNA, IPV6, PASSWORDS, Instance, letter,
                              wait_until)
from t_hop_tls import Routes

ALL = ("PIPELINING", "SIZE 104857600", "8BITMIME", "ENHANCEDSTATUSCODES",
       "REQUIRETLS", "DELIVERBY 10", "MT-PRIORITY MIXER")


class Wishes(Routes):
    hop_args = {"extensions": ALL}
    routes = {
        "verify": {"tls": "verify", "tls_name": "hop.test", "tls_ca": "CA"},
        "other": {"tls": "verify", "tls_name": "other.test", "tls_ca": "CA"},
        "may": {"tls": "may"},
    }

    def ask(self, name, *options, text=None):
        self.since = self.inst.log_size("submitd")
        with self.inst.smtp_as(ANNA) as w:
            w.send_mail(ANNA, ["x@%s.test" % name], text or letter("a wish"),
                        "".join(" " + o for o in options))

    def parameters(self):
        return self.hop.wait_messages(1)[0].parameters

    def test_requiretls(self):
        self.ask("verify", "REQUIRETLS")
        self.assertIn("REQUIRETLS", self.parameters())

    def test_requiretls_needs_a_name_that_is_shown(self):
        self.ask("may", "REQUIRETLS")
        self.inst.wait_log("submitd", r"ev=msg\.bounced .*5\.7\.30",
                           self.since)
        self.assertEqual(self.hop.count("MAIL"), 0)

    def test_tls_required_no(self):
        """Goes where nothing else may, and lets nothing else go there."""
        self.ask("other", text=b"TLS-Required: No\r\n" + letter("in need"))
        self.hop.wait_messages(1)
        self.ask("other")
        self.inst.wait_log("submitd", r"ev=msg\.deferred .*4\.7\.5", self.since)
        self.assertEqual(len(self.hop.messages), 1)

    def test_deadline_and_priority(self):
        self.ask("may", "BY=3600;N", "MT-PRIORITY=-3")
        self.assertRegex(self.parameters(), r"BY=3(600|5\d\d);N")
        self.assertIn("MT-PRIORITY=-3", self.parameters())


class Pix(unittest.TestCase):
    def test_pix(self):
        """Nothing pipelined; the message comes whole, however long it is."""
        hop = NextHop()
        with hop, Instance(conf={
                "next_hop": "127.0.0.1:%d" % hop.port}) as inst:
            hop.rule("GREETING", "reply 220 " + "*" * 60)
            for size in (10, 8100, 100000):
                m = letter("behind a PIX") + b"x" * 70 + b"\r\n" * size
                with inst.smtp_as(ANNA) as w:
                    w.send_mail(ANNA, ["x@elsewhere.test"], m)
                wait_until(lambda: hop.messages and
                           hop.messages[-1].data.endswith(m))
            self.assertIn("ev=hop.pix", inst.log("submitd"))


@unittest.skipUnless(IPV6, "there is no IPv6 here")
class Families(unittest.TestCase):
    def test_a_refusal_over_ipv6(self):
        """Tried once over IPv4 before it counts."""
        four = NextHop(address="127.0.0.1")
        four.up()
        six = NextHop(address="::1", port=four.port)
        with DnsServer() as dns, six:
            dns.zone("there.test", "@ MX 10 mx\nmx A 127.0.0.1\nmx AAAA ::1\n")
            inst = Instance(start=False, extra="""
route mx {
	domains = "*"
	via = mx
	port = %d
}
""" % four.port)
            inst.env["SUBMITD_TEST_DNS"] = dns.where
            inst.write_conf(mx_allow_networks=["127.0.0.0/8", "::1/128"])
            try:
                inst.start()
                inst.add_user(ANNA, PASSWORDS[ANNA])
                six.rule("RCPT", "reply 550 5.7.1 no PTR record")
                with inst.smtp_as(ANNA) as w:
                    w.send_mail(ANNA, ["x@there.test"], letter("six"))
                four.wait_messages(1)
                inst.wait_log("submitd", r"ev=hop\.ipv4 .*::1")
                inst.wait_log("submitd", r"ev=msg\.sent .*127\.0\.0\.1")
                four.rule("RCPT", "reply 550 5.7.1 nor here")
                with inst.smtp_as(ANNA) as w:
                    w.send_mail(ANNA, ["x@there.test"], letter("four"))
                self.assertIn(b"nor here", inst.fetch(ANNA, n=1)[0])
            finally:
                inst.close()
                four.down()


if __name__ == "__main__":
    unittest.main()
