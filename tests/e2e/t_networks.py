"""Listeners with settings of their own: PROXY headers from balancers, HAProxy
itself among them, XCLIENT, and IPv6 for all of it. Who comes in by a balancer is
the client that it names, for grants, networks and the log."""

import json
import re
import shutil
import socket
import ssl
import struct
import subprocess
import time
import unittest

from submitd_instance import (ANNA, BOB, CARL, IPV6, Instance, PopWire, Wire,
                              client_hello, free_port, letter, make_cert,
                              program, wait_until)

# The balancers sit at 127.0.0.1 and ::1; everybody else is none.
LISTED, UNLISTED = "127.0.0.1", "127.0.9.9"
V2 = b"\r\n\r\n\0\r\nQUIT\n"
# Nobody has these; only a claim leads there.
OWNED, LISTED_NET6 = "192.0.2.7", "2001:db8:5::7"
EXTRA = """
listener balanced {
	service = submission
	listen = {%(smtp)s}
	proxy_from = {"127.0.0.1", "::1"}
}
listener balanced_tls {
	service = submissions
	listen = {%(smtps)s}
	proxy_from = {"127.0.0.1", "::1"}
	tls_cert = "%(cert)s"
	tls_key = "%(key)s"
}
listener balanced_pop {
	service = pop3
	listen = {%(pop)s}
	proxy_from = {"127.0.0.1", "::1"}
}
listener balanced_pops {
	service = pop3s
	listen = {%(pops)s}
	proxy_from = {"127.0.0.1", "::1"}
}
listener relay {
	service = submission
	listen = {%(xclient)s}
	xclient_from = {"127.0.0.1", "::1"}
	mechanisms = {"PLAIN"}
}
trusted_networks "192.0.2.0/24" { owner = "carl@other.test" }
trusted_networks "2001:db8:5::/48" { senders = {"scan@example.test"} }
"""


def both(port):
    return ", ".join('"%s:%d"' % (a, port)
                     for a in ["127.0.0.1"] + (["[::1]"] if IPV6 else []))


def setUpModule():
    global inst, PORTS, own_cert
    PORTS = {k: free_port()
             for k in ("smtp", "smtps", "pop", "pops", "xclient")}
    inst = Instance(start=False)
    own_cert, key = make_cert(inst.root + "/etc", "own", "balanced.test")
    inst.extra = EXTRA % dict({k: both(p) for k, p in PORTS.items()},
                              cert=own_cert, key=key)
    inst.write_conf()
    inst.start()
    for user, password in inst.users.items():
        inst.add_user(user, password)


def tearDownModule():
    inst.close()


def v1(client, family=None):
    family = family or ("TCP6" if ":" in client else "TCP4")
    return ("PROXY %s %s %s 4711 587\r\n" % (
        family, client, "::1" if ":" in client else "127.0.0.1")).encode()


def v2(client, command=0x21, tlvs=b""):
    six = ":" in client
    packed = socket.inet_pton(socket.AF_INET6 if six else socket.AF_INET,
                              client)
    body = packed + packed + struct.pack(">HH", 4711, 587) + tlvs
    return V2 + bytes([command, 0x21 if six else 0x11]) + struct.pack(
        ">H", len(body)) + body


UNKNOWNS = {"v1 UNKNOWN": b"PROXY UNKNOWN\r\n",
            "v1 UNKNOWN with an address": v1("192.0.2.7", "UNKNOWN"),
            "v2 LOCAL": V2 + b"\x20\0\0\0",
            "v2 LOCAL with an address": v2("192.0.2.7", 0x20),
            "v2 of no family": V2 + b"\x21\0\0\0"}


def raw(port, first=b"", source=LISTED, address="127.0.0.1", kind=Wire):
    w = kind((address, PORTS[port]), source if address[0] == "1" else None)
    w.send(first)
    return w


def smtp(header, port="smtp", tls=True, auth=None, **kw):
    """A session up to EHLO under TLS, behind the header."""
    w = raw(port, header, **kw)
    w.expect(220)
    w.cmd("EHLO client.example.test", 250)
    if tls:
        w.cmd("STARTTLS", 220)
        w.start_tls(inst.tls_context())
        w.cmd("EHLO client.example.test", 250)
    if auth:
        w.auth_plain(auth, inst.users[auth])
    return w


def may_send(w, sender):
    code = w.cmd("MAIL FROM:<%s>" % sender)[0]
    if code == 250:
        w.cmd("RSET", 250)
    return code


def pop_login(header, user, port="pop", **kw):
    w = raw(port, header, kind=PopWire, **kw)
    w.expect_ok()
    w.cmd("STLS")
    w.start_tls(inst.tls_context())
    w.login(user, inst.users[user])
    w.cmd("QUIT")
    w.close()


def opened(since, program="submitd"):
    return inst.wait_log(program, r"^.*ev=(?:smtp|pop3)\.open .*$",
                         since).group(0)


class Proxy(unittest.TestCase):
    def test_client_is_who_the_header_names(self):
        for client in ("198.51.100.4", "2001:db8:9::1"):
            for make in (v1, v2):
                since = inst.log_size("submitd")
                with smtp(make(client)) as w:
                    line = opened(since)
                    self.assertIn(" rip=%s rport=4711 " % client, line)
                    self.assertIn(" via=127.0.0.1", line)
                    self.assertEqual(may_send(w, CARL), 530)

    def test_header_and_greeting_in_one_packet_do_not_mix(self):
        # What stands behind the header is the client's; here too early.
        w = raw("smtp", v1("198.51.100.4") + b"EHLO x\r\n")
        self.assertNotEqual(w.reply()[0], 250)
        w.close()

    def test_who_speaks_first_is_known_by_the_claim(self):
        """A ClientHello is told of at the first try behind a balancer too; and
        it is the clients that have waited before, not their balancer."""
        for client in ("198.51.100.71", "2001:db8:71::1"):
            for port, kind in (("smtp", Wire), ("pop", PopWire)):
                with self.subTest(client=client, port=port):
                    with raw(port, v2(client) + client_hello(),
                             kind=kind) as w:
                        self.assertTrue(w.is_closed())
                        self.assertEqual(w.buffer[:1], b"\x15")    # alert

        def waits(client):
            """For its greeting; then it is one that has waited."""
            began = time.monotonic()
            with raw("smtp", v2(client)) as w:
                w.expect(220)
                took = time.monotonic() - began
                w.cmd("EHLO client.example.test", 250)
                return took
        # The wait's time is in lib/greet_wait.h.
        self.assertGreater(waits("198.51.100.72"), 0.08)
        wait_until(lambda: waits("198.51.100.72") < 0.08,
                   what="a greeting at once")
        self.assertGreater(waits("198.51.100.73"), 0.08)

    def test_header_octet_by_octet(self):
        for header in (v1("198.51.100.4"), v2("198.51.100.4", tlvs=
                                              b"\x04\0\x03abc")):
            w = raw("smtp")
            for i in range(len(header)):
                w.send(header[i:i + 1])
            w.expect(220)
            w.close()

    def test_trusted_network_by_the_claim(self):
        with smtp(v1(OWNED)) as w:
            self.assertEqual(may_send(w, CARL), 250)
            self.assertIn(may_send(w, ANNA), (530, 553))
        with smtp(v2(LISTED_NET6)) as w:
            self.assertEqual(may_send(w, "scan@example.test"), 250)

    def test_implicit_tls_behind_the_header(self):
        w = raw("smtps", v2(OWNED, tlvs=b"\x04\0\x03abc"))
        w.start_tls(ssl.create_default_context(cafile=own_cert))
        w.expect(220)
        w.cmd("EHLO client.example.test", 250)
        self.assertEqual(may_send(w, CARL), 250)
        w.close()

    def test_listener_has_its_own_certificate(self):
        context = ssl.create_default_context(cafile=own_cert)
        w = raw("smtps", v2(OWNED))
        w.start_tls(context, hostname="balanced.test")
        w.expect(220)
        w.close()

    def test_received_names_the_client(self):
        with smtp(v1("198.51.100.4"), auth=ANNA) as w:
            w.send_mail(ANNA, [BOB], letter("by a balancer", ANNA, BOB))
        text = inst.fetch(BOB, n=1)[0].decode()
        self.assertIn("[198.51.100.4]", re.sub(r"\s+", " ", text)
                      .split(" by ")[0])

    def test_who_shows_the_client(self):
        with smtp(v1("198.51.100.4"), auth=ANNA):
            wait_until(lambda: "198.51.100.4" in inst.ctl("who").stdout)
        with smtp(UNKNOWNS["v2 LOCAL"], auth=ANNA):
            wait_until(lambda: "unknown" in inst.ctl("who").stdout)

    def test_grant_counts_the_client(self):
        pop_login(v1("203.0.113.5"), ANNA)
        with smtp(v2("203.0.113.5")) as w:
            self.assertEqual(may_send(w, ANNA), 250)
            self.assertEqual(may_send(w, BOB), 553)
        for other in ("203.0.113.6", "2001:db8:9::1"):
            with smtp(v1(other)) as w:
                self.assertEqual(may_send(w, ANNA), 530)
        # The balancer itself got nothing.
        with inst.smtp(source=LISTED) as w:
            self.assertIn(may_send(w, ANNA), (530, 553))

    def test_pop3s_grants_too(self):
        w = raw("pops", v2("2001:db8:9::5"), kind=PopWire)
        w.start_tls(inst.tls_context())
        w.expect_ok()
        w.login(BOB, inst.users[BOB])
        w.cmd("QUIT")
        w.close()
        with smtp(v1("2001:db8:9::5")) as w:
            self.assertEqual(may_send(w, BOB), 250)


class Unknown(unittest.TestCase):
    def test_nobody_may_send_as_nobody(self):
        for name, header in UNKNOWNS.items():
            with self.subTest(name):
                since = inst.log_size("submitd")
                pop_login(header, ANNA)
                with smtp(header) as w:
                    self.assertIn(" rip=unknown ", opened(since))
                    for sender in (ANNA, CARL, ""):
                        self.assertEqual(may_send(w, sender), 530)

    def test_login_works(self):
        with smtp(UNKNOWNS["v2 LOCAL"], auth=ANNA) as w:
            w.send_mail(ANNA, [CARL], letter("from nobody", ANNA, CARL))
        self.assertIn(b"from nobody", inst.fetch(CARL, n=1)[0])

    def test_they_count_at_the_balancer(self):
        inst.write_conf(sessions_per_address=3)
        inst.reload("submitd")
        try:
            ws = []
            for _ in range(4):  # one after the other: the first is oldest
                ws.append(raw("smtp", UNKNOWNS["v2 LOCAL"]))
                ws[-1].expect(220)
            self.assertIn("sessions_per_address = 3",
                          ws[0].expect(421)[1])
            for w in ws:
                w.close()
        finally:
            inst.write_conf(sessions_per_address=None)
            inst.reload("submitd")


class Refusals(unittest.TestCase):
    def refused(self, program, why, w, since):
        self.assertTrue(w.is_closed())
        self.assertEqual(w.buffer, b"")
        inst.wait_log(program, r"ev=proxy.refused .*why=%s$" % why, since)
        w.close()

    def test_unlisted_peer(self):
        for port, program in (("smtp", "submitd"), ("smtps", "submitd"),
                              ("pop", "popd"), ("pops", "popd")):
            since = inst.log_size(program)
            w = raw(port, source=UNLISTED)
            try:
                w.send(v1(OWNED))
            except OSError:
                pass
            self.refused(program, "peer", w, since)

    def test_no_header(self):
        for port, program, first in (
                ("smtp", "submitd", b"EHLO client.example.test\r\n"),
                ("smtps", "submitd", b"\x16\x03\x01\x00\x10"),
                ("pop", "popd", b"USER anna\r\n")):
            since = inst.log_size(program)
            self.refused(program, "format", raw(port, first), since)

    def test_malformed_headers(self):
        for first in (b"PROXY TCP4 192.0.2.7 127.0.0.1 1 2\n" + b"x" * 99,
                      b"PROXY TCP4 192.0.2.7 127.0.0.1 1 2 3\r\n",
                      b"PROXY TCP4 2001:db8::1 ::1 1 2\r\n",
                      v2(OWNED, 0x31), V2 + b"\x21\x11\xff\xff"):
            since = inst.log_size("submitd")
            self.refused("submitd", "format", raw("smtp", first), since)

    def test_silent_and_slow(self):
        since = inst.log_size("submitd")
        began = time.monotonic()
        silent, slow = raw("smtp"), raw("smtp", b"PROXY TCP4 192.0")
        self.assertTrue(silent.is_closed() and slow.is_closed())
        self.assertGreater(time.monotonic() - began, 4.5)
        inst.wait_log("submitd", r"ev=proxy.refused .*why=silent$", since)
        inst.wait_log("submitd", r"ev=proxy.refused .*why=slow$", since)
        silent.close()
        slow.close()

    def test_forged_header_elsewhere(self):
        # At a listener without proxy_from it is a command, and an unknown one.
        since = inst.log_size("submitd")
        with inst.smtp(helo=None, tls=False) as w:
            self.assertEqual(w.cmd(v1(OWNED)[:-2])[0], 500)
            self.assertIn(" rip=127.0.0.1 ", opened(since))
        # And so is a second one, be it in clear or under TLS.
        with smtp(v1("198.51.100.4")) as w:
            self.assertEqual(w.cmd(v1(OWNED)[:-2])[0], 500)
            self.assertEqual(may_send(w, CARL), 530)


class Xclient(unittest.TestCase):
    def wire(self, source=LISTED, **kw):
        return smtp(b"", "xclient", source=source, **kw)

    def test_only_listed_peers(self):
        for source, good in ((LISTED, True), (UNLISTED, False)):
            with self.wire(source) as w:
                text = w.cmd("EHLO a.example.test", 250)[1]
                self.assertEqual("XCLIENT NAME ADDR PORT PROTO HELO" in text,
                                 good)
                self.assertEqual(w.cmd("XCLIENT ADDR=%s" % OWNED)[0],
                                 220 if good else 550)
        with inst.smtp() as w:      # another listener
            w.cmd("XCLIENT ADDR=%s" % OWNED, 550)

    def test_session_begins_anew(self):
        with self.wire(auth=ANNA) as w:
            self.assertEqual(may_send(w, ANNA), 250)
            since = inst.log_size("submitd")
            code, text = w.cmd("XCLIENT ADDR=%s PORT=99 NAME=[UNAVAILABLE] "
                               "HELO=a+20b PROTO=ESMTP" % OWNED)
            self.assertEqual(code, 220)
            self.assertIn("mail.example.test", text)
            inst.wait_log("submitd", r"ev=smtp.xclient .*rip=192.0.2.7 "
                          r"rport=99 via=127.0.0.1 .*helo=", since)
            w.cmd("MAIL FROM:<%s>" % CARL, 503)     # EHLO comes first again
            w.cmd("EHLO b.example.test", 250)
            self.assertEqual(may_send(w, CARL), 250)
            self.assertIn(may_send(w, ANNA), (530, 553))

    def test_nothing_is_told_of_the_wrong_client(self):
        """submitctl recent: what was before belongs to who was there."""
        with self.wire(auth=ANNA) as w:
            w.send_mail(ANNA, [BOB], letter("before"))
            w.cmd("MAIL FROM:<%s>" % BOB, 553)
            w.cmd("XCLIENT ADDR=203.0.113.77", 220)
            w.quit()
        r = wait_until(lambda: json.loads("[%s]" % ",".join(inst.ctl(
            "-j", "recent", "203.0.113.77").stdout.splitlines())),
            what="the session")[0]
        self.assertEqual((r["authorised"], r["messages"]), ("no", 0))
        for key in ("user", "sender", "failed", "queued"):
            self.assertNotIn(key, r)
        self.assertIn("queued", inst.ctl("-j", "recent", LISTED).stdout)

    def test_the_claim_is_the_client(self):
        with self.wire() as w:
            w.cmd("XCLIENT ADDR=IPV6:%s" % LISTED_NET6, 220)
            w.cmd("EHLO b.example.test", 250)
            self.assertEqual(may_send(w, "scan@example.test"), 250)
            w.cmd("XCLIENT ADDR=[UNAVAILABLE]", 220)
            w.cmd("EHLO b.example.test", 250)
            self.assertEqual(may_send(w, "scan@example.test"), 530)
            self.assertEqual(may_send(w, CARL), 530)

    def test_login_never(self):
        with self.wire() as w:
            w.cmd("XCLIENT LOGIN=%s" % ANNA, 550)
            since = inst.log_size("submitd")
            w.cmd("XCLIENT ADDR=%s LOGIN=%s" % (OWNED, ANNA), 550)
            self.assertIn(may_send(w, ANNA), (530, 553))
            w.quit()
            inst.wait_log("submitd", r"ev=smtp.close .*rip=127.0.0.1 ", since)

    def test_syntax_and_sequence(self):
        with self.wire(auth=ANNA) as w:
            for arg in ("", " ADDR", " ADDR=2001:db8::1", " ADDR=1 ADDR=2",
                        " NAME=a+2", " OTHER=1"):
                w.cmd("XCLIENT" + arg, 501)
            w.cmd("MAIL FROM:<%s>" % ANNA, 250)
            w.cmd("XCLIENT ADDR=%s" % OWNED, 503)
            w.cmd("RCPT TO:<%s>" % BOB, 250)

    def test_listener_has_its_own_mechanisms(self):
        with self.wire() as w:
            text = w.cmd("EHLO a.example.test", 250)[1]
            self.assertIn("AUTH PLAIN\n", text + "\n")


@unittest.skipUnless(IPV6, "no IPv6 here")
class IPv6(unittest.TestCase):
    def test_all_services_over_six(self):
        for service in ("submission", "submissions"):
            with inst.smtp_as(ANNA, service=service, address="::1") as w:
                w.send_mail(ANNA, [BOB], letter("six", ANNA, BOB))
        for text in inst.fetch(BOB, n=2):
            self.assertIn(b"[IPv6:::1]", text)
        for service in ("pop3", "pop3s"):
            inst.pop_as(BOB, service=service, address="::1").close()

    def test_grant_over_six(self):
        inst.grant(CARL, address="::1")
        with inst.smtp(address="::1") as w:
            self.assertEqual(may_send(w, CARL), 250)
        inst.ctl("grant", "revoke", "--user", CARL)

    def test_balancer_over_six(self):
        since = inst.log_size("submitd")
        with smtp(v1(OWNED), address="::1") as w:
            self.assertIn(" via=::1", opened(since))
            self.assertEqual(may_send(w, CARL), 250)
        pop_login(v2("2001:db8:9::6"), ANNA, address="::1")
        with smtp(v2("2001:db8:9::6"), address="::1") as w:
            self.assertEqual(may_send(w, ANNA), 250)

    def test_xclient_over_six(self):
        with smtp(b"", "xclient", address="::1") as w:
            w.cmd("XCLIENT ADDR=%s" % OWNED, 220)
            w.cmd("EHLO b.example.test", 250)
            self.assertEqual(may_send(w, CARL), 250)


class Config(unittest.TestCase):
    def check(self, text):
        path = inst.root + "/etc/other.conf"
        with open(inst.conf_file, encoding="utf-8") as f:
            base = f.read()
        with open(path, "w", encoding="utf-8") as f:
            f.write(base + text)
        line = (base + text).rstrip("\n").count("\n") + 1
        r = subprocess.run([program("submitctl"), "-c", path, "config",
                            "check"], capture_output=True, text=True,
                           env=inst.env, check=False)
        return r.returncode, r.stderr + r.stdout, line

    def test_good(self):
        self.assertEqual(self.check("")[0], 0)

    def test_trusted_balancer(self):
        code, text, line = self.check(
            'trusted_networks "127.0.0.0/8" { owner = "%s" }\n' % ANNA)
        self.assertEqual(code, 78, text)
        self.assertIn("other.conf:%d: " % line, text)
        self.assertIn("proxy_from of listener balanced", text)

    def test_reload_refuses_it_too(self):
        old = inst.extra
        inst.extra += 'trusted_networks "127.0.0.0/8" { owner = "%s" }\n' % ANNA
        inst.write_conf()
        self.assertRegex(inst.reload("submitd"), r"ev=reload\.(fail|refused)")
        inst.extra = old
        inst.write_conf()

    def test_listener_comes_and_goes_by_reload(self):
        old, port = inst.extra, free_port()
        inst.extra = old + """listener more { service = submissions
    listen = "127.0.0.1:%d" mechanisms = {"LOGIN"} }\n""" % port
        inst.write_conf()
        try:
            for name in ("authd", "submitd"):
                self.assertIn("ev=reload.done", inst.reload(name))
            w = Wire(("127.0.0.1", port))
            w.start_tls(inst.tls_context())
            w.expect(220)
            self.assertIn("AUTH LOGIN", w.cmd("EHLO a.example.test")[1])
            w.cmd("AUTH PLAIN AGEAYg==", 504)
        finally:
            inst.extra = old
            inst.write_conf()
            for name in ("authd", "submitd"):
                inst.reload(name)

        def gone():
            try:
                Wire(("127.0.0.1", port)).close()
            except OSError:
                return True
        wait_until(gone, what="the end of the listener")
        w.quit()                # who is in, stays

    def test_settings_change_by_reload(self):
        old = inst.extra
        inst.extra = old.replace(
            'proxy_from = {"127.0.0.1", "::1"}', 'proxy_from = {"127.0.9.0/24"}')
        inst.write_conf()
        try:
            for name in ("authd", "submitd"):
                self.assertIn("ev=reload.done", inst.reload(name))
            with smtp(v1(OWNED), source=UNLISTED) as w:
                self.assertEqual(may_send(w, CARL), 250)
            self.assertTrue(raw("smtp").is_closed())
        finally:
            inst.extra = old
            inst.write_conf()
            for name in ("authd", "submitd"):
                inst.reload(name)


HAPROXY = """
global
	maxconn 100
defaults
	mode tcp
	timeout connect 5s
	timeout client 60s
	timeout server 60s
"""


@unittest.skipUnless(shutil.which("haproxy"), "no haproxy")
class HAProxy(unittest.TestCase):
    """Each of our four listeners behind it, by either version."""

    @classmethod
    def setUpClass(cls):
        cls.ports, text = {}, HAPROXY
        for name in ("smtp", "smtps", "pop", "pops"):
            for version, word in ((1, "send-proxy"), (2, "send-proxy-v2")):
                port = cls.ports[name, version] = free_port()
                text += ("listen %s%d\n\tbind 127.0.0.1:%d\n%s"
                         "\tserver ours 127.0.0.1:%d %s\n" % (
                             name, version, port, "\tbind [::1]:%d\n" % port
                             if IPV6 else "", PORTS[name], word))
        text += ("listen checked\n\tbind 127.0.0.1:%d\n\tserver ours "
                 "127.0.0.1:%d check inter 300ms send-proxy-v2\n" % (
                     free_port(), PORTS["smtp"]))
        path = inst.root + "/etc/haproxy.cfg"
        with open(path, "w", encoding="ascii") as f:
            f.write(text)
        cls.since = inst.log_size("submitd")
        cls.process = subprocess.Popen(
            ["haproxy", "-db", "-f", path], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(cls.up, what="haproxy")

    @classmethod
    def up(cls):
        try:
            for port in cls.ports.values():
                socket.create_connection(("127.0.0.1", port)).close()
            return True
        except OSError:
            return False

    @classmethod
    def tearDownClass(cls):
        cls.process.kill()
        cls.process.wait()

    def wire(self, name, version, source, kind=Wire):
        return kind(("::1" if source is None else "127.0.0.1",
                     self.ports[name, version]), source)

    def smtp(self, version, source):
        w = self.wire("smtp", version, source)
        w.expect(220)
        w.cmd("EHLO client.example.test", 250)
        w.cmd("STARTTLS", 220)
        w.start_tls(inst.tls_context())
        w.cmd("EHLO client.example.test", 250)
        return w

    def test_submission(self):
        for version, source in ((1, "127.0.4.1"), (2, "127.0.4.2")):
            since = inst.log_size("submitd")
            with self.smtp(version, source) as w:
                inst.wait_log("submitd", r"ev=smtp.open .*rip=%s .*"
                              r"via=127.0.0.1" % source, since)
                self.assertEqual(may_send(w, ANNA), 530)
                w.auth_plain(ANNA, inst.users[ANNA])
                w.send_mail(ANNA, [CARL], letter("by haproxy", ANNA, CARL))
            text = inst.fetch(CARL, n=1)[0].decode()
            self.assertIn("[%s]" % source, text)

    @unittest.skipUnless(IPV6, "no IPv6 here")
    def test_submission_over_six(self):
        for version in (1, 2):
            since = inst.log_size("submitd")
            with self.smtp(version, None):
                inst.wait_log("submitd", r"ev=smtp.open .*rip=::1 .*"
                              r"via=127.0.0.1", since)

    def test_submissions(self):
        for version in (1, 2):
            w = self.wire("smtps", version, "127.0.4.3")
            w.start_tls(ssl.create_default_context(cafile=own_cert))
            w.expect(220)
            w.cmd("EHLO client.example.test", 250)
            w.auth_plain(BOB, inst.users[BOB])
            w.quit()

    def test_grants_by_the_clients_address(self):
        for version, source in ((1, "127.0.4.5"), (2, "127.0.4.6")):
            w = self.wire("pop", version, source, PopWire)
            w.expect_ok()
            w.cmd("STLS")
            w.start_tls(inst.tls_context())
            w.login(BOB, inst.users[BOB])
            w.cmd("QUIT")
            w.close()
            with self.smtp(version, source) as w:
                self.assertEqual(may_send(w, BOB), 250)
            with self.smtp(version, "127.0.4.7") as w:
                self.assertEqual(may_send(w, BOB), 530)

    def test_pop3s(self):
        w = self.wire("pops", 2, "127.0.4.8", PopWire)
        w.start_tls(inst.tls_context())
        w.expect_ok()
        w.login(BOB, inst.users[BOB])
        w.close()

    def test_health_checks_are_nobodys(self):
        # They come with LOCAL.
        inst.wait_log("submitd", r"ev=smtp.open .*rip=unknown ", self.since)


if __name__ == "__main__":
    unittest.main()
