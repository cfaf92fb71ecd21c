"""Mail by MX: hosts in order, domains that take none, addresses that are skipped,
and DANE with a signed zone. The mail hosts are sinks on 127.0.0.2 and so on, all
at one port, the route's."""

import email
import hashlib
import os
import socket
import subprocess
import tempfile
import unittest

from dns_server import DnsServer
from next_hop import NextHop
from submitd_instance import (ANNA, IPV6, Instance, free_port, letter,
                              make_cert, wait_until)

ROUTE = 'route out { domains = {"*"} via = mx port = %d %s}\n'
ALL_LOOPBACK = ["127.0.0.0/8", "::1/128"]


def sink_port(addresses):
    """A port that is free at all of them."""
    while True:
        port = free_port()
        try:
            for a in addresses:
                with socket.socket() as s:
                    s.bind((a, port))
            return port
        except OSError:
            pass


def tlsa(cert, usage=3, wrong=False):
    """usage 1 1: of the certificate's key."""
    pem = subprocess.run(["openssl", "x509", "-in", cert, "-noout", "-pubkey"],
                         check=True, capture_output=True).stdout
    der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "DER"],
                         input=pem, check=True, capture_output=True).stdout
    if wrong:
        der += b"x"
    return "%d 1 1 %s" % (usage, hashlib.sha256(der).hexdigest())


class Mx(unittest.TestCase):
    """Sinks, a name server and an instance with a route by MX to them."""

    HOSTS = ("a", "b", "c")
    ROUTE_MORE = ""
    CONF = {"mx_allow_networks": ALL_LOOPBACK}
    ZONES = {}                          # origin: (text, signed)

    @classmethod
    def setUpClass(cls):
        cls.dir = tempfile.mkdtemp(prefix="submitd-mx-")
        cls.cert = make_cert(cls.dir, "mx", "mx.test")
        at = {h: "127.0.0.%d" % (i + 2) for i, h in enumerate(cls.HOSTS)}
        cls.port = sink_port(at.values())
        cls.sink = {h: NextHop(address=a, port=cls.port, tls=cls.cert)
                    for h, a in at.items()}
        cls.dns = DnsServer()
        cls.dns.up()
        cls.zones()
        cls.inst = Instance(conf=cls.CONF, start=False,
                            extra=ROUTE % (cls.port, cls.ROUTE_MORE))
        cls.inst.env["SUBMITD_TEST_DNS"] = cls.dns.where
        cls.inst.env["SUBMITD_TEST_ANCHOR"] = cls.dns.anchor(
            os.path.join(cls.dir, "anchor"))
        os.chmod(cls.dir, 0o755)
        os.chmod(os.path.join(cls.dir, "anchor"), 0o644)
        cls.inst.start()
        for user, password in cls.inst.users.items():
            cls.inst.add_user(user, password)

    @classmethod
    def zones(cls):
        for origin, (text, signed) in cls.ZONES.items():
            cls.dns.zone(origin, text, signed)

    @classmethod
    def tearDownClass(cls):
        cls.inst.close()
        cls.dns.down()
        for s in cls.sink.values():
            s.down()
        subprocess.run(["rm", "-rf", cls.dir], check=True)

    def setUp(self):
        self.since = self.inst.log_size("submitd")
        for s in self.sink.values():
            s.begin_anew()
        self.unconnected()
        self.assertFalse(self.inst.drop_size(ANNA))

    def unconnected(self):
        """No connection is left over that could be used again."""
        wait_until(lambda: not any(s.open_now for s in self.sink.values()),
                   what="QUIT when idle")

    def log(self):
        return self.inst.log("submitd", self.since)

    def send(self, rcpt, subject="by MX"):
        m = letter(subject, to=rcpt)
        with self.inst.smtp_as(ANNA) as w:
            w.send_mail(ANNA, [rcpt], m)
        return m

    def gets(self, host, rcpt):
        """The mail goes to that sink, and to none else."""
        before = {h: s.connections for h, s in self.sink.items()}
        self.send(rcpt)
        m = self.sink[host].wait_messages(1, 60)[0]
        self.assertEqual(m.recipients, [rcpt])
        wait_until(self.inst.queue_empty, what="an empty queue")
        for h, s in self.sink.items():
            if h != host:
                self.assertFalse(s.messages)
        self.sink[host].messages.clear()
        return {h for h, s in self.sink.items()
                if s.connections > before[h]} - {host}

    def bounces(self, rcpt, status, words):
        """The sender is told at once."""
        self.send(rcpt)
        report = email.message_from_bytes(self.inst.fetch(ANNA, n=1)[0])
        fields = report.get_payload()[1].get_payload()[1]
        self.assertEqual(fields["Status"], status)
        self.assertEqual(fields["Action"], "failed")
        self.assertIn(words, report.get_payload()[0].as_string().replace(
            "\n", " "))
        wait_until(self.inst.queue_empty, what="an empty queue")
        for s in self.sink.values():
            self.assertFalse(s.messages)

    def waits(self, rcpt, status):
        """The message is deferred, with that reason."""
        self.send(rcpt)
        self.inst.wait_log("submitd", r"ev=(msg\.deferred|hop\.down).*"
                           + status.replace(".", r"\."), self.since)
        self.assertFalse(self.inst.queue_empty())
        self.assertFalse(any(s.messages for s in self.sink.values()))

    def empty_queue(self):
        ids = [line.split('"id":"')[1].split('"')[0] for line in
               self.inst.ctl("queue", "list", "-j").stdout.splitlines()
               if '"id":"' in line]
        for qid in ids:
            self.inst.ctl("queue", "delete", qid, check=False)
        wait_until(self.inst.queue_empty, what="an empty queue")


class Order(Mx):
    ZONES = {"mx.test": ("""
        a       A    127.0.0.2
        b       A    127.0.0.3
        c       A    127.0.0.4
        two     MX   10 a
        two     MX   20 b
        three   MX   20 b
        three   MX   10 a
        three   MX   30 c
        both    MX   10 dual
        dual    AAAA ::1
        dual    A    127.0.0.3
        gone    MX   5 nowhere
        gone    MX   10 b
        mute    MX   5 silent
        mute    MX   10 c
        silent  A    127.0.0.3
        null    MX   0 .
        alias   CNAME two
        loop    MX   10 mail.example.test.
        loop    MX   20 a
        behind  MX   5 b
        behind  MX   10 mail.example.test.
        behind  MX   20 a
        empty   TXT  x
        hostless MX  10 nowhere
        later   MX   10 a
        away    MX   10 a
        awayhost MX  10 awaya
        awaya   A    127.0.0.2
        tcp     MX   10 a
        mail.example.test. A 127.0.0.4
    """, False)}

    def test_preference(self):
        self.gets("a", "friend@two.mx.test")
        self.gets("a", "friend@three.mx.test")

    def test_next_host_when_the_first_is_down(self):
        self.sink["a"].down()
        self.gets("b", "friend@two.mx.test")

    def test_next_host_when_the_first_greets_with_5xx_or_421(self):
        for greeting in "close 554 5.3.2 no service", "close 421 4.3.2 busy":
            with self.subTest(greeting):
                self.sink["a"].begin_anew()
                self.sink["b"].begin_anew()
                self.sink["a"].rule("GREETING", greeting)
                self.assertLessEqual(self.gets("b", "friend@three.mx.test"),
                                     {"a"})

    def test_next_host_when_the_first_has_no_address(self):
        self.gets("b", "friend@gone.mx.test")

    @unittest.skipUnless(IPV6, "needs ::1")
    def test_ipv4_behind_ipv6(self):
        self.gets("b", "friend@both.mx.test")

    def test_implicit(self):
        """A domain without MX records is its own mail host."""
        self.gets("c", "friend@c.mx.test")

    def test_alias(self):
        self.gets("a", "friend@alias.mx.test")

    def test_literal(self):
        self.gets("b", "friend@[127.0.0.3]")

    def test_null_mx(self):
        self.bounces("friend@null.mx.test", "5.1.10", "null MX")

    def test_no_domain(self):
        self.bounces("friend@nowhere.mx.test", "5.1.2", "no domain")

    def test_no_address(self):
        self.bounces("friend@empty.mx.test", "5.4.4", "no address is known")
        self.bounces("friend@hostless.mx.test", "5.4.4", "no address is known")

    def test_own_name(self):
        self.bounces("friend@loop.mx.test", "5.4.6", "mail loop")

    def test_before_own_name(self):
        """Hosts preferred to us are tried, others never."""
        self.gets("b", "friend@behind.mx.test")
        self.sink["b"].down()
        self.send("friend@behind.mx.test")
        self.inst.wait_log("submitd", r"ev=hop\.down.*4\.4\.2 b\.mx\.test", self.since)
        self.assertEqual(self.sink["a"].count("CONNECT"), 0)
        self.sink["b"].up()
        self.sink["b"].wait_messages(1, 60)

    def test_name_server_away(self):
        """Mail waits for the name servers, and goes when they are back."""
        for rcpt, name, kind in (
                ("friend@away.mx.test", "away.mx.test", "MX"),
                ("friend@awayhost.mx.test", "awaya.mx.test", "A")):
            with self.subTest(name):
                self.since = self.inst.log_size("submitd")
                self.dns.fault(name, "servfail", kind)
                self.waits(rcpt, "4.4.3")
                self.dns.fault(name, None, kind)
                self.sink["a"].wait_messages(1, 60)
                self.sink["a"].messages.clear()

    def test_answer_by_tcp(self):
        self.dns.fault("tcp.mx.test", "truncate", "MX")
        self.gets("a", "friend@tcp.mx.test")

    def test_dead_domains(self):
        """Nor do many of them, asked about for so long that the name server
        itself could seem to be dead."""
        dead = ["dead%d.test" % i for i in range(40)]
        for name in dead:
            self.dns.fault(name, "drop")
        with self.inst.smtp_as(ANNA) as w:
            for name in dead:
                w.send_mail(ANNA, ["friend@" + name], letter(name))
        wait_until(lambda: all(self.dns.asked(name, "MX") >= 5
                               for name in dead), what="asking again")
        self.send("friend@c.mx.test")
        self.sink["c"].wait_messages(1)
        self.empty_queue()          # before any of them can bounce

    def test_many_domains(self):
        """A domain that nobody answers for holds up no other."""
        self.dns.fault("later.mx.test", "drop")
        self.send("friend@later.mx.test")
        for rcpt in ("friend@two.mx.test", "friend@c.mx.test"):
            self.send(rcpt)
        self.sink["a"].wait_messages(1, 30)
        self.sink["c"].wait_messages(1, 30)
        self.dns.fault("later.mx.test", None)
        self.sink["a"].wait_messages(2, 60)


class Skipped(Mx):
    """As shipped: no mail by MX to addresses of this machine and around it."""

    CONF = {}
    ZONES = {"mx.test": ("""
        loop4   A    127.0.0.2
        loop6   AAAA ::1
        mapped  AAAA ::ffff:127.0.0.2
        nat64   AAAA 64:ff9b::127.0.0.2
        sixtofour AAAA 2002:7f00:2::1
        compat  AAAA ::127.0.0.2
        none4   A    0.0.0.0
        none6   AAAA ::
        private A    10.1.2.3
        private A    172.16.0.1
        private A    192.168.1.1
        shared  A    100.64.0.1
        linklocal A  169.254.169.254
        linklocal AAAA fe80::1
        ula     AAAA fd00::1
        multi   A    224.0.0.1
        multi   AAAA ff02::1
        reserved A   255.255.255.255
        mx      MX   10 loop4
        mx      MX   20 private
    """, False)}
    NAMES = ("loop4", "loop6", "mapped", "nat64", "sixtofour", "compat",
             "none4", "none6", "private", "shared", "linklocal", "ula",
             "multi", "reserved", "mx")
    LITERALS = ("[127.0.0.2]", "[IPv6:::1]", "[10.0.0.1]",
                "[IPv6:::ffff:127.0.0.2]", "[169.254.169.254]")

    def test_forms(self):
        rcpts = ["friend@%s.mx.test" % n for n in self.NAMES] + \
            ["friend@" + x for x in self.LITERALS]
        for rcpt in rcpts:
            self.send(rcpt)
        status = {}
        for raw in self.inst.fetch(ANNA, n=len(rcpts)):
            fields = email.message_from_bytes(raw).get_payload()[1] \
                .get_payload()[1]
            rcpt = str(fields["Final-Recipient"]).split("; ")[1].lower()
            status[rcpt] = fields["Status"]
        self.assertEqual(status, {r.lower(): "5.4.4" for r in rcpts})
        for s in self.sink.values():
            self.assertEqual(s.connections, 0)
        self.assertRegex(self.log(), r"ev=mx\.skipped domain=private\.mx\.test "
                         r"host=private\.mx\.test addr=10\.1\.2\.3")

    def test_next_hop_may_be_loopback(self):
        """What is configured is never skipped."""
        with NextHop() as hop, Instance(
                conf={"next_hop": "127.0.0.1:%d" % hop.port}) as i:
            with i.smtp_as(ANNA) as w:
                w.send_mail(ANNA, ["friend@elsewhere.test"], letter())
            hop.wait_messages(1)


class Own(unittest.TestCase):
    def test_own_listener(self):
        """An address and port of ours is a loop, allowed or not; so is any
        address of the machine where the listener has a wildcard."""
        with DnsServer() as dns:
            dns.zone("mx.test", "us A 127.0.0.1\nme MX 10 us\n")
            i = Instance(conf={"mx_allow_networks": ALL_LOOPBACK}, start=False)
            i.env["SUBMITD_TEST_DNS"] = dns.where
            i.extra = ROUTE % (i.port("submission"), "")
            i.write_conf()
            i.start()
            i.add_user(ANNA, i.users[ANNA])
            with i:
                for rcpt in ("friend@me.mx.test", "friend@us.mx.test",
                             "friend@[127.0.0.1]"):
                    with i.smtp_as(ANNA) as w:
                        w.send_mail(ANNA, [rcpt], letter())
                for raw in i.fetch(ANNA, n=3):
                    fields = email.message_from_bytes(raw).get_payload()[1] \
                        .get_payload()[1]
                    self.assertEqual(fields["Status"], "5.4.6")


class Dane(Mx):
    ROUTE_MORE = "tls = dane "

    @classmethod
    def zones(cls):
        at = "_%d._tcp." % cls.port
        cls.dns.zone("signed.test", "\n".join((
            "a A 127.0.0.2", "b A 127.0.0.3", "c A 127.0.0.4",
            "good MX 10 a", at + "a TLSA " + tlsa(cls.cert[0]),
            "bad MX 10 b", at + "b TLSA " + tlsa(cls.cert[0], wrong=True),
            "badgood MX 10 b", "badgood MX 20 a",
            "none MX 10 c",
            "bogusmx MX 10 a", "bogusa MX 10 d", "d A 127.0.0.2",
            "bogustlsa MX 10 e", "e A 127.0.0.2",
            at + "e TLSA " + tlsa(cls.cert[0]),
            "awaytlsa MX 10 f", "f A 127.0.0.2",
            at + "f TLSA " + tlsa(cls.cert[0]),
            "pkix MX 10 g", "g A 127.0.0.2",
            at + "g TLSA " + tlsa(cls.cert[0], usage=1),
            "many MX 10 h", "h A 127.0.0.2",
            at + "h TLSA " + tlsa(cls.cert[0], wrong=True),
            at + "h TLSA " + tlsa(cls.cert[0]),
            "plain MX 10 a.plain.test.",
            "two MX 10 c", "two MX 20 a",
        )), signed=True)
        cls.dns.zone("plain.test", "good MX 10 a.signed.test.\n"
                     "bad MX 10 b.signed.test.\na A 127.0.0.2")
        cls.dns.fault("bogusmx.signed.test", "bogus")
        cls.dns.fault("d.signed.test", "bogus")
        cls.dns.fault(at + "e.signed.test", "bogus")
        cls.dns.fault(at + "f.signed.test", "servfail")

    def tls_of(self, host, rcpt, offered=True):
        """What the message came under."""
        sink = self.sink[host]
        self.unconnected()
        sink.messages.clear()
        tls, sink.tls = sink.tls, sink.tls if offered else None
        try:
            self.send(rcpt)
            return sink.wait_messages(1, 60)[0].tls
        finally:
            sink.tls = tls
            wait_until(self.inst.queue_empty, what="an empty queue")

    def test_match(self):
        self.assertTrue(self.tls_of("a", "friend@good.signed.test"))

    def test_one_of_several(self):
        self.assertTrue(self.tls_of("a", "friend@many.signed.test"))

    def test_unusable(self):
        """Records that say nothing: TLS, of anyone."""
        self.assertTrue(self.tls_of("a", "friend@pkix.signed.test"))

    def test_no_records_or_not_signed(self):
        """As with tls = may."""
        for host, rcpt in (("c", "friend@none.signed.test"),
                           ("a", "friend@plain.signed.test"),
                           ("a", "friend@good.plain.test")):
            with self.subTest(rcpt):
                self.assertFalse(self.tls_of(host, rcpt, offered=False))
                self.assertTrue(self.tls_of(host, rcpt))
        self.assertTrue(self.tls_of("b", "friend@bad.plain.test"))

    def test_mismatch_waits(self):
        self.send("friend@bad.signed.test")
        self.inst.wait_log("submitd", r"ev=hop\.down.*4\.7\.5", self.since)
        self.assertFalse(self.sink["b"].count("MAIL"))
        self.empty_queue()

    def test_mismatch_next_host(self):
        self.assertTrue(self.tls_of("a", "friend@badgood.signed.test"))
        self.assertFalse(self.sink["b"].count("MAIL"))

    def test_no_starttls_waits(self):
        self.sink["a"].tls, tls = None, self.sink["a"].tls
        try:
            self.send("friend@good.signed.test")
            self.inst.wait_log("submitd", r"ev=hop\.down.*4\.7\.\d",
                               self.since)
            self.assertFalse(self.sink["a"].count("MAIL"))
        finally:
            self.sink["a"].tls = tls
        self.sink["a"].wait_messages(1, 60)

    def test_bogus_waits(self):
        """A bogus or missing answer is no reason to do without."""
        for name in "bogusmx", "bogusa", "bogustlsa", "awaytlsa":
            with self.subTest(name):
                self.since = self.inst.log_size("submitd")
                self.waits("friend@%s.signed.test" % name, "4.7.5")
                self.assertEqual(self.sink["a"].count("CONNECT"), 0)
                self.empty_queue()

    def test_tls_not_required(self):
        """RFC 8689 section 5: the sender wants it to arrive all the same."""
        for name in "bad", "bogusmx", "bogustlsa":
            with self.subTest(name):
                rcpt = "friend@%s.signed.test" % name
                sink = self.sink["b" if name == "bad" else "a"]
                sink.messages.clear()
                with self.inst.smtp_as(ANNA) as w:
                    w.send_mail(ANNA, [rcpt],
                                b"TLS-Required: No\r\n" + letter(to=rcpt))
                sink.wait_messages(1, 60)
                wait_until(self.inst.queue_empty, what="an empty queue")

    def test_requiretls(self):
        """RFC 8689 section 4.2.1: MX records that are secure, a certificate
        that is verified, and a host that knows the word, or a report."""
        sink, c = self.sink["a"], self.sink["c"]
        for s in sink, c:
            s.begin_anew([*NextHop.EXTENSIONS, "REQUIRETLS"])
        try:
            with self.inst.smtp_as(ANNA) as w:
                for rcpt in ("friend@good.signed.test", "nosig@good.plain.test",
                             "notlsa@none.signed.test",
                             "second@two.signed.test"):
                    w.send_mail(ANNA, [rcpt], letter(to=rcpt), " REQUIRETLS")
            got = sink.wait_messages(2, 60)
            self.assertEqual(sorted(m.recipients[0] for m in got),
                             ["friend@good.signed.test",
                              "second@two.signed.test"])
            for m in got:
                self.assertIn("REQUIRETLS", m.parameters)
            told = {}
            for raw in self.inst.fetch(ANNA, n=2):
                fields = email.message_from_bytes(raw).get_payload()[1] \
                    .get_payload()[1]
                told[fields["Final-Recipient"].split("; ")[1].split("@")[0]] \
                    = fields["Status"]
            self.assertEqual(told, {"nosig": "5.7.30", "notlsa": "5.7.30"})
            self.assertEqual(len(sink.messages), 2)
            self.assertFalse(c.messages)
        finally:
            for s in sink, c:
                s.begin_anew(NextHop.EXTENSIONS)


del Mx

if __name__ == "__main__":
    unittest.main()
