#!/usr/bin/env python3
"""Name servers for tests: zones as a test gives them, signed if it wants so.

Standard library only. Serves UDP and TCP on one free port of 127.0.0.1, as the
forwarder that submitd-send asks (SUBMITD_TEST_DNS, in test builds):

    with DnsServer() as dns:
        dns.zone("plain.test", '''
            @       MX   10 mx
            mx      A    127.0.0.2
            mx      AAAA ::1
            www     CNAME mx
            @       MX   0 .
        ''')
        dns.zone("signed.test", "…", signed=True)
        dns.anchor("anchor.key")            # SUBMITD_TEST_ANCHOR
        dns.fault("mx.plain.test", "servfail", "A")
        environ = {"SUBMITD_TEST_DNS": dns.where}

Names without a dot behind are below the zone; "@" is the zone. A name in no
zone does not exist (NXDOMAIN). Zones are signed as they are asked for, with
RSASHA256 and NSEC (RFC 4034, RFC 4035), each with one key of its own.

Faults of a name (of one type, or of all), until fault(name, None):

    servfail, refused   that RCODE
    drop                no answer at all
    truncate            TC over UDP, so that TCP is asked
    bogus               signatures that do not verify
    unsigned            no signatures where some must be
    garbage             octets that are no DNS answer

dns.asked(name, type) counts the questions. As a program: see main().
"""

import base64
import hashlib
import ipaddress
import random
import socket
import socketserver
import struct
import sys
import threading
import time

TYPES = {"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "MX": 15, "TXT": 16,
         "AAAA": 28, "DS": 43, "RRSIG": 46, "NSEC": 47, "DNSKEY": 48,
         "TLSA": 52}
NOERROR, SERVFAIL, NXDOMAIN, REFUSED = 0, 2, 3, 5
TTL = 30
ALGORITHM = 8                           # RSASHA256


def labels(name):
    return [part for part in name.rstrip(".").split(".") if part]


def wire_name(name):
    return b"".join(bytes([len(part)]) + part.encode("latin-1")
                    for part in labels(name.lower())) + b"\0"


def canonical(name):
    """Sorts as RFC 4034 section 6.1 wants it."""
    return [part.encode("latin-1") for part in reversed(labels(name.lower()))]


def prime(bits):
    while True:
        n = random.getrandbits(bits) | 1 | 3 << (bits - 2)
        if any(n % p == 0 and n != p for p in (3, 5, 7, 11, 13, 17, 19, 23)):
            continue
        if n % 65537 != 1 and all(pow(a, n - 1, n) == 1
                                  for a in (2, 3, 5, 7, 11)):
            return n


class Key:
    """An RSA key; too short for anything but tests."""

    HASH = bytes.fromhex("3031300d060960864801650304020105000420")

    def __init__(self):
        p, q = prime(640), prime(640)
        self.n, self.e = p * q, 65537
        self.d = pow(self.e, -1, (p - 1) * (q - 1))
        self.size = (self.n.bit_length() + 7) // 8
        self.rdata = struct.pack("!HBB", 257, 3, ALGORITHM) + \
            bytes([3]) + self.e.to_bytes(3, "big") + \
            self.n.to_bytes(self.size, "big")
        total = sum(octet << 8 if i % 2 == 0 else octet
                    for i, octet in enumerate(self.rdata))
        self.tag = (total + (total >> 16 & 0xffff)) & 0xffff

    def sign(self, data):
        digest = self.HASH + hashlib.sha256(data).digest()
        padded = b"\0\1" + b"\xff" * (self.size - len(digest) - 3) + b"\0" + \
            digest
        return pow(int.from_bytes(padded, "big"), self.d,
                   self.n).to_bytes(self.size, "big")


class Zone:
    def __init__(self, origin, text, signed):
        self.origin = origin.rstrip(".").lower()
        self.key = Key() if signed else None
        self.sets = {}                  # (name, type) -> [rdata]
        self.signatures = {}
        self.add("@ SOA ns hostmaster 1 3600 600 86400 5")
        self.add("@ NS ns")
        if self.key:
            self.sets[(self.origin, TYPES["DNSKEY"])] = [self.key.rdata]
        for line in text.splitlines():
            if line.strip():
                self.add(line)

    def full(self, name):
        if name == "@":
            return self.origin
        if name.endswith("."):
            return name.rstrip(".").lower()
        return name.lower() + "." + self.origin

    def add(self, line):
        name, kind, value = line.split(None, 2)
        rdata = getattr(self, "rdata_" + kind.lower())(value.strip())
        self.sets.setdefault((self.full(name), TYPES[kind]), []).append(rdata)
        self.signatures.clear()

    # -- rdata, from text

    def rdata_a(self, value):
        return ipaddress.IPv4Address(value).packed

    def rdata_aaaa(self, value):
        return ipaddress.IPv6Address(value).packed

    def rdata_name(self, value):
        return wire_name("" if value == "." else self.full(value))

    rdata_ns = rdata_cname = rdata_name

    def rdata_mx(self, value):
        preference, host = value.split()
        return struct.pack("!H", int(preference)) + self.rdata_name(host)

    def rdata_txt(self, value):
        return bytes([len(value)]) + value.encode()

    def rdata_tlsa(self, value):
        usage, selector, matching, octets = value.split()
        return bytes([int(usage), int(selector), int(matching)]) + \
            bytes.fromhex(octets)

    def rdata_soa(self, value):
        ns, who, *numbers = value.split()
        return self.rdata_name(ns) + self.rdata_name(who) + \
            struct.pack("!5I", *map(int, numbers))

    # -- what is there, and what is not

    def has(self, name):
        return name == self.origin or name.endswith("." + self.origin)

    def names(self):
        return sorted({name for name, _ in self.sets}, key=canonical)

    def exists(self, name):
        """A name, or the one above some name (an empty non-terminal)."""
        return any(other == name or other.endswith("." + name)
                   for other in self.names())

    def nsec(self, name):
        """The NSEC record at or before a name: (owner, rdata)."""
        names = self.names()
        owner = [n for n in names if canonical(n) <= canonical(name)][-1]
        following = names[(names.index(owner) + 1) % len(names)]
        kinds = {kind for other, kind in self.sets if other == owner}
        kinds |= {TYPES["RRSIG"], TYPES["NSEC"]}
        bitmap = bytearray(max(kinds) // 8 + 1)
        for kind in kinds:
            bitmap[kind // 8] |= 0x80 >> kind % 8
        return owner, wire_name(following) + bytes([0, len(bitmap)]) + \
            bytes(bitmap)

    def encloser(self, name):
        while not self.exists(name):
            name = name.partition(".")[2]
        return name

    def rrsig(self, owner, kind, rdatas):
        known = self.signatures.get((owner, kind))
        if known:
            return known
        now = int(time.time())
        head = struct.pack("!HBBIIIH", kind, ALGORITHM, len(labels(owner)),
                           TTL, now + 86400, now - 3600, self.key.tag) + \
            wire_name(self.origin)
        data = head + b"".join(
            wire_name(owner) + struct.pack("!HHIH", kind, 1, TTL, len(rdata))
            + rdata for rdata in sorted(rdatas))
        known = self.signatures[(owner, kind)] = head + self.key.sign(data)
        return known


class Answer:
    """The sections of one answer."""

    def __init__(self, do, fault):
        self.do = do
        self.fault = fault
        self.rcode = NOERROR
        self.answer = []
        self.authority = []

    def put(self, section, zone, owner, kind, rdatas):
        for rdata in rdatas:
            section.append((owner, kind, rdata))
        if not self.do or not zone.key or self.fault == "unsigned":
            return
        rrsig = zone.rrsig(owner, kind, rdatas)
        if self.fault == "bogus":
            rrsig = rrsig[:-1] + bytes([rrsig[-1] ^ 1])
        section.append((owner, TYPES["RRSIG"], rrsig))

    def deny(self, zone, name):
        soa = TYPES["SOA"]
        self.put(self.authority, zone, zone.origin, soa,
                 zone.sets[(zone.origin, soa)])
        if not zone.exists(name):
            self.rcode = NXDOMAIN
        if not zone.key or not self.do:
            return
        proofs = {name}
        if self.rcode == NXDOMAIN:
            proofs.add("*." + zone.encloser(name))
        for owner, rdata in sorted({zone.nsec(n) for n in proofs}):
            self.put(self.authority, zone, owner, TYPES["NSEC"], [rdata])


class DnsServer:
    def __init__(self, address="127.0.0.1"):
        self.address = address
        self.port = None
        self.zones = []
        self.faults = {}
        self.questions = []
        self.lock = threading.RLock()
        self.servers = []

    # -- what tests call

    @property
    def where(self):
        return f"{self.address}@{self.port}"

    def zone(self, origin, text="", signed=False):
        zone = Zone(origin, text, signed)
        with self.lock:
            self.zones = [z for z in self.zones if z.origin != zone.origin]
            self.zones.append(zone)
        return zone

    def anchor(self, path):
        """Writes the keys of all signed zones."""
        with open(path, "w", encoding="ascii") as out:
            for zone in self.zones:
                if zone.key:
                    key = base64.b64encode(zone.key.rdata[4:]).decode()
                    out.write(f"{zone.origin}. IN DNSKEY 257 3 {ALGORITHM} "
                              f"{key}\n")
        return path

    def fault(self, name, what, kind=None):
        with self.lock:
            self.faults[(name.lower(), kind and TYPES[kind])] = what

    def asked(self, name, kind):
        with self.lock:
            return self.questions.count((name.lower(), TYPES[kind]))

    def __enter__(self):
        self.up()
        return self

    def __exit__(self, *_):
        self.down()

    def up(self):
        outer = self

        class Udp(socketserver.BaseRequestHandler):
            def handle(self):
                packet, s = self.request
                reply = outer.reply(packet, udp=True)
                if reply:
                    s.sendto(reply, self.client_address)

        class Tcp(socketserver.StreamRequestHandler):
            timeout = 10

            def handle(self):
                try:
                    while True:
                        head = self.rfile.read(2)
                        if len(head) < 2:
                            return
                        packet = self.rfile.read(struct.unpack("!H", head)[0])
                        reply = outer.reply(packet, udp=False)
                        if not reply:
                            return
                        self.wfile.write(struct.pack("!H", len(reply)) + reply)
                except OSError:
                    return

        socketserver.ThreadingUDPServer.allow_reuse_address = False
        for _ in range(50):
            tcp = socketserver.ThreadingTCPServer(
                (self.address, self.port or 0), Tcp)
            try:
                udp = socketserver.ThreadingUDPServer(tcp.server_address, Udp)
                break
            except OSError:
                tcp.server_close()
        else:
            raise OSError("no port is free for both UDP and TCP")
        self.port = tcp.server_address[1]
        self.servers = [tcp, udp]
        for server in self.servers:
            server.daemon_threads = True
            threading.Thread(target=server.serve_forever, args=(0.05,),
                             daemon=True).start()

    def down(self):
        for server in self.servers:
            server.shutdown()
            server.server_close()
        self.servers = []

    # -- answers

    def reply(self, packet, udp):
        if len(packet) < 12:
            return None
        name, at = self._question(packet)
        kind = struct.unpack("!H", packet[at:at + 2])[0]
        do, room = self._edns(packet, at + 4)
        with self.lock:
            self.questions.append((name, kind))
            fault = self.faults.get((name, kind)) or \
                self.faults.get((name, None))
            if fault == "drop":
                return None
            answer = Answer(do, fault)
            if fault == "garbage":
                return packet[:4] + b"\0\1\0\5\0\0\0\0" + packet[12:at + 4] + \
                    b"\x7f\xff"
            if fault in ("servfail", "refused"):
                answer.rcode = SERVFAIL if fault == "servfail" else REFUSED
            else:
                self._fill(answer, name, kind)
        return self._pack(packet, at + 4, answer, do, udp and (
            room if fault != "truncate" else 0))

    def _zone(self, name):
        fit = [z for z in self.zones if z.has(name)]
        return max(fit, key=lambda z: len(z.origin), default=None)

    def _fill(self, answer, name, kind):
        for _ in range(8):
            zone = self._zone(name)
            if zone is None:
                answer.rcode = NXDOMAIN
                return
            found = zone.sets.get((name, kind))
            if found:
                answer.put(answer.answer, zone, name, kind, found)
                return
            alias = zone.sets.get((name, TYPES["CNAME"]))
            if not alias:
                answer.deny(zone, name)
                return
            answer.put(answer.answer, zone, name, TYPES["CNAME"], alias)
            name = self._text(alias[0])

    @staticmethod
    def _text(wire):
        out = []
        while wire[0]:
            out.append(wire[1:1 + wire[0]].decode("latin-1"))
            wire = wire[1 + wire[0]:]
        return ".".join(out)

    @staticmethod
    def _question(packet):
        at, out = 12, []
        while packet[at]:
            out.append(packet[at + 1:at + 1 + packet[at]].decode("latin-1"))
            at += packet[at] + 1
        return ".".join(out).lower(), at + 1

    @staticmethod
    def _edns(packet, at):
        """DO, and the room for a UDP answer."""
        rest = packet[at:]
        if len(rest) < 11 or rest[:3] != b"\0\0\x29":
            return False, 512
        return bool(rest[7] & 0x80), struct.unpack("!H", rest[3:5])[0]

    @staticmethod
    def _pack(packet, end, answer, do, room):
        def records(section):
            return b"".join(
                wire_name(owner) + struct.pack("!HHIH", kind, 1, TTL,
                                               len(rdata)) + rdata
                for owner, kind, rdata in section)

        opt = b"\0\0\x29\x10\0\0\0" + (b"\x80" if do else b"\0") + b"\0\0\0"
        edns = len(packet) > end
        flags = 0x8180 | answer.rcode
        counts = [1, len(answer.answer), len(answer.authority), int(edns)]
        body = records(answer.answer) + records(answer.authority)
        if room is not False and len(body) + end + 11 > room:
            flags |= 0x0200
            counts[1] = counts[2] = 0
            body = b""
        return packet[:2] + struct.pack("!H4H", flags, *counts) + \
            packet[12:end] + body + (opt if edns else b"")


def main():
    """dns_server.py [ANCHOR]: zones from stdin, up to a line "$END", each after
    a line "$ZONE ORIGIN [signed]"; "$FAULT NAME WHAT [TYPE]". Prints where it
    listens; ends with its stdin."""
    with DnsServer() as dns:
        zone = None
        for line in sys.stdin:
            words = line.split()
            if words[:1] == ["$END"]:
                break
            if words[:1] == ["$ZONE"]:
                zone = dns.zone(words[1], signed="signed" in words[2:])
            elif words[:1] == ["$FAULT"]:
                dns.fault(*words[1:])
            elif words:
                zone.add(line)
        for path in sys.argv[1:]:
            dns.anchor(path)
        print(dns.where, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
