#!/usr/bin/env python3
"""Talks authd's wire protocol (auth/PROTOCOL) to a real authd on a root of its
own: every request, every verdict, and what drops a peer.

Run by make check in the build folder. Started as root it goes on as nobody:
roles are no walls then, which is not what is tested here.
"""

import base64
import concurrent.futures
import concurrent.futures.thread	# now, for nobody may not read it later
import encodings.idna	# the same
import hashlib
import hmac
import json
import os
import pwd
import random
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import sysconfig
import tempfile
import time
import unittest

BUILD = os.environ.get("SUBMITD_BUILT") or os.getcwd()
HERE = os.path.dirname(os.path.abspath(__file__))
(SESSION, START, STEP, CANCEL, MAIL, RCPT, TICKET, MAILDROP,
 DELIVER, APOP, WHO_ENTRY, WHO_END) = range(1, 13)
STATE, KICK, WHO = range(64, 67)
VERDICTS = ("OK CONTINUE BADCRED TEMP NOAUTH NOTSENDER VOID NOUSER BADMECH "
            "NOINITIAL MALFORMED TRANSITION").split()
TLS = "TLSv1.3:TLS_AES_256_GCM_SHA384:X25519"
SID = "abcdefghij234567"
SASL, GRANT, NETWORK = 1, 2, 3
SMTP, POP = 1, 2
PASSWORD = "correct horse"
SASL_PLUGINS = "/usr/lib/%s/sasl2" % sysconfig.get_config_var("MULTIARCH")
NO_TLS_PROOF = b"\0\0\0\1\0" + bytes(8)	# no channel binding, no certificate

CONF = """
hostname = "mail.example.org"
local_domains = {"example.org", "example.net"}
grant_exclude = {}
grant_ttl = 30m
auth_threads = 2
libexec_dir = "%s/auth"
"""


def demote():
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        os.setgroups([])
        os.setresgid(nobody.pw_gid, nobody.pw_gid, nobody.pw_gid)
        os.setresuid(nobody.pw_uid, nobody.pw_uid, nobody.pw_uid)


class Authd:
    """A running authd; as a context manager it is ended in good order."""

    def __init__(self, more=""):
        self.root = tempfile.mkdtemp(prefix="authd.")
        os.mkdir(self.root + "/etc")
        with open(self.root + "/etc/submitd.conf", "w") as f:
            f.write(CONF % BUILD + more)
        with open(self.root + "/clock", "w") as f:
            f.write("+0")
        try:
            self.start()
        except RuntimeError:
            self.remove()
            raise

    def start(self):
        self.log = open(self.root + "/log", "a")
        n = self.lines().count("ev=ready")
        env = dict(os.environ, SUBMITD_TEST_CLOCK=self.root + "/clock",
                   TSAN_OPTIONS="suppressions=" + HERE + "/../tsan.supp")
        self.process = subprocess.Popen(
            [BUILD + "/auth/authd", "--root", self.root], stderr=self.log,
            stdin=subprocess.DEVNULL, env=env)
        self.wait_for("ev=ready", n + 1)

    def lines(self):
        with open(self.root + "/log") as f:
            return f.read()

    def wait_for(self, text, n=1):
        end = time.monotonic() + 20
        while self.lines().count(text) < n:
            if time.monotonic() > end or self.process.poll() is not None:
                raise RuntimeError("no %r in\n%s" % (text, self.lines()[-4000:]))
            time.sleep(0.02)

    def clock(self, text):
        with open(BUILD + "/auth/authd-core", "rb") as f:
            if text != "+0" and b"SUBMITD_TEST_CLOCK" not in f.read():
                raise unittest.SkipTest("not a test build: it has no clock")
        with open(self.root + "/clock.new", "w") as f:
            f.write(text)
        os.replace(self.root + "/clock.new", self.root + "/clock")

    def reload(self, more):
        with open(self.root + "/etc/submitd.conf", "w") as f:
            f.write(CONF % BUILD + more)
        n = self.lines().count("ev=reload.done")
        self.process.send_signal(signal.SIGHUP)
        self.wait_for("ev=reload.done", n + 1)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(20)
        text = self.lines()
        if code != 0 or "Sanitizer" in text or "runtime error" in text:
            raise RuntimeError("authd ended with %d\n%s" % (code, text[-6000:]))

    def remove(self):
        self.log.close()
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.root, ignore_errors=True)

    def connect(self, path):
        s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        s.settimeout(30)
        # The path may be longer than a socket's address: go by its folder.
        fd = os.open(os.path.dirname(self.root + "/run/" + path),
                     os.O_DIRECTORY)
        s.connect("/proc/self/fd/%d/%s" % (fd, os.path.basename(path)))
        os.close(fd)
        return s

    def ask(self, verb, **args):
        s = self.connect("control/users")
        s.send(json.dumps(dict(args, verb=verb)).encode())
        records = []
        while True:
            got = json.loads(s.recv(65536))
            records.append(got)
            if got.get("done") or "error" in got:
                s.close()
                return records

    def user(self, name, password=PASSWORD):
        last = self.ask("user.add", user=name, password=password)[-1]
        if "error" in last:
            raise RuntimeError(last)


def blob(b):
    return struct.pack(">I", len(b)) + b


def text(s):
    return blob(s.encode() + b"\0")


class Reply:
    def __init__(self, data, kind, number):
        version, zero, got, self.id = struct.unpack(">BBHI", data[:8])
        assert (version, zero, got) == (1, 0, kind | 0x8000), data[:8]
        assert self.id == number
        self.rest = data[8:]
        self.verdict = VERDICTS[self.u8()]

    def u8(self):
        v, self.rest = self.rest[0], self.rest[1:]
        return v

    def u32(self):
        v, self.rest = struct.unpack(">I", self.rest[:4])[0], self.rest[4:]
        return v

    def blob(self):
        n = self.u32()
        v, self.rest = self.rest[:n], self.rest[n:]
        return v

    def text(self):
        v = self.blob()
        assert v.endswith(b"\0")
        return v[:-1].decode()


def a_sid(n):
    """The session id of that number."""
    return base64.b32encode(struct.pack(">QH", n, 0)).decode().lower()


class Peer:
    """A worker's connection."""

    number = 0

    def __init__(self, authd, folder):
        self.notices = []
        self.s = authd.connect(folder + "/auth")
        if folder in ("submitd-smtp", "popd-pop"):
            self.notice(STATE)

    def packet(self):
        """The next one that is no notice; notices are put aside."""
        while True:
            data = self.s.recv(65536)
            if data[4:8] != bytes(4) or not data:
                return data
            self.take(data)

    def take(self, data):
        kind, fields = struct.unpack(">H", data[2:4])[0], data[8:]
        self.notices.append((kind, fields))
        if kind == STATE:
            assert len(fields) == 1
            self.has_secrets = bool(fields[0])

    def notice(self, kind):
        """The fields of the next notice of this kind."""
        while True:
            for i, (got, fields) in enumerate(self.notices):
                if got == kind:
                    del self.notices[i]
                    return fields
            data = self.s.recv(65536)
            assert data[4:8] == bytes(4), data
            self.take(data)

    def send(self, kind, fields, fd=None):
        self.number += 1
        packet = struct.pack(">BBHI", 1, 0, kind, self.number) + fields
        if fd is None:
            self.s.send(packet)
        else:
            socket.send_fds(self.s, [packet], [fd])
        return self.number

    def call(self, kind, fields, fd=None):
        n = self.send(kind, fields, fd)
        data = self.packet()
        if not data:
            raise EOFError
        return Reply(data, kind, n)

    def dropped(self, kind, fields, fd=None):
        """True when the request ends the connection."""
        self.send(kind, fields, fd)
        try:
            return self.packet() == b""
        except ConnectionResetError:
            return True

    def session(self, service, client="127.0.0.1", sid=SID):
        """A handle for a TCP connection from `client`."""
        server = socket.create_server(("127.0.0.1", 0))
        c = socket.create_connection(server.getsockname(),
                                     source_address=(client, 0))
        a, _ = server.accept()
        r = self.call(SESSION, text(sid) + bytes([service]), a.fileno())
        for x in (server, c, a):
            x.close()
        assert r.verdict == "OK", r.verdict
        handle = r.blob()
        assert not r.rest
        return handle

    def start(self, handle, mech, ir=None, tls=TLS, binding="", data=b"",
              cert=b""):
        return self.call(START, blob(handle) + text(tls) + text(mech) +
                         bytes([ir is not None]) + blob(ir or b"") +
                         text(binding) + blob(data) + blob(cert))

    def apop(self, handle, name, challenge, secret, tls=TLS):
        digest = hashlib.md5((challenge + secret).encode()).digest()
        return self.call(APOP, blob(handle) + text(tls) + text(name) +
                         text(challenge) + blob(digest))

    def cram(self, handle, name, secret):
        r = self.start(handle, "CRAM-MD5")
        if r.verdict != "CONTINUE":
            return r
        exchange, challenge = r.u32(), r.blob()
        digest = hmac.new(secret.encode(), challenge, "md5").hexdigest()
        return self.step(exchange, ("%s %s" % (name, digest)).encode())

    def step(self, exchange, response):
        return self.call(STEP, struct.pack(">I", exchange) + blob(response))

    def plain(self, handle, user, password, authzid="", tls=TLS):
        return self.start(handle, "PLAIN", b"\0".join(
            x.encode() for x in (authzid, user, password)), tls)

    def mail(self, handle, sender, ticket=b"", tls=TLS):
        return self.call(MAIL, blob(handle) + blob(ticket) + text(tls) +
                         text(sender))

    def verdicts(self, n, want):
        """The next n replies, in the order they come (handles apart)."""
        got = []
        while len(got) < n:
            packet = self.s.recv(65536)
            got.append(VERDICTS[packet[8]])
        assert set(got) == want, got

    def ticket(self, ticket, sender, phase=0):
        return self.call(TICKET, blob(ticket) + text(sender) + bytes([phase]))

    def close(self):
        self.s.close()


def scram(peer, handle, user, password, ir=True, authzid="", hash="sha256",
          gs2="n", mech=None, binding="", data=b"", sent=None,
          meanwhile=lambda: None, at_last=lambda: None):
    """An exchange of RFC 5802; returns the last reply, salt and iterations.

    With a binding the mechanism is -PLUS; `sent` is what the client takes for
    its data, if that is another.
    """
    if binding and gs2 == "n":
        gs2 = "p=" + binding
    mech = mech or "SCRAM-" + {"sha256": "SHA-256", "sha1": "SHA-1"}[hash] + (
        "-PLUS" if binding else "")
    gs2 = "%s,%s," % (gs2, authzid and "a=" + authzid)
    first = "n=%s,r=%s" % (user, base64.b64encode(os.urandom(15)).decode())
    message = (gs2 + first).encode()
    proof = {"binding": binding, "data": data} if binding else {}
    r = peer.start(handle, mech, message if ir else None, **proof)
    if not ir:
        assert (r.verdict, r.u32(), r.blob()) == ("CONTINUE", r_id(r), b"")
    if not ir:
        r = peer.step(r.exchange, message)
    if r.verdict != "CONTINUE":
        return r, None
    exchange, server_first = r.u32(), r.blob().decode()
    part = dict(p.split("=", 1) for p in server_first.split(","))
    salt = base64.b64decode(part["s"])
    key = hashlib.pbkdf2_hmac(hash, password.encode(), salt, int(part["i"]))
    client_key = hmac.digest(key, b"Client Key", hash)
    bound = gs2.encode() + (data if sent is None else sent)
    final = "c=%s,r=%s" % (base64.b64encode(bound).decode(), part["r"])
    auth = ",".join((first, server_first, final)).encode()
    signature = hmac.digest(hashlib.new(hash, client_key).digest(), auth, hash)
    proof = bytes(a ^ b for a, b in zip(client_key, signature))
    meanwhile()
    r = peer.step(exchange, (final + ",p=" + base64.b64encode(
        proof).decode()).encode())
    if r.verdict == "CONTINUE":
        assert r.u32() == exchange
        server_key = hmac.digest(key, b"Server Key", hash)
        want = base64.b64encode(hmac.digest(server_key, auth, hash))
        assert r.blob() == b"v=" + want
        at_last()
        r = peer.step(exchange, b"")
    return r, (salt, part["i"])


def r_id(r):
    """The exchange id has just been read: keep it for the next step."""
    return r.exchange


class Base(unittest.TestCase):
    more = ""

    @classmethod
    def setUpClass(cls):
        cls.authd = Authd(cls.more)
        cls.addClassCleanup(cls.authd.remove)
        cls.authd.user("alice@example.org")
        cls.authd.user("bob@example.org", "bob's")
        cls.authd.user("eve@example.net")
        cls.authd.ask("user.alias.add", address="sales@example.org",
                      user="alice@example.org")

    @classmethod
    def tearDownClass(cls):
        if os.environ.get("AUTHD_WIRE_LOG"):
            sys.stderr.write(cls.authd.lines())
        cls.authd.stop()

    def peer(self, folder):
        p = Peer(self.authd, folder)
        self.addCleanup(p.close)
        return p

    def assert_log(self, text):
        self.assertTrue(text in self.authd.lines(), text)

    def setUp(self):
        self.smtp = self.peer("submitd-smtp")
        self.pop = self.peer("popd-pop")
        self.spool = self.peer("submitd-spool")
        self.mbox = self.peer("popd-mbox")
        self.local = self.peer("submitd-local")
        self.authd.clock("+0")

    def ok(self, r, user="alice@example.org", login=""):
        self.assertEqual(r.verdict, "OK")
        ticket = r.blob()
        self.assertEqual(r.text(), user)
        self.assertEqual(r.text(), login)
        self.assertEqual(r.rest, b"")
        return ticket

    def login(self, user="alice@example.org", password=PASSWORD,
              client="127.0.0.1"):
        """An SMTP login: handle and ticket."""
        h = self.smtp.session(SMTP, client)
        return h, self.ok(self.smtp.plain(h, user, password), user)

    def pop_login(self, user="alice@example.org", password=PASSWORD,
                  client="127.0.0.1"):
        h = self.pop.session(POP, client)
        return self.ok(self.pop.plain(h, user, password), user)


class Sasl(Base):
    more = 'guessing_exempt = {"127.0.0.0/24"}\n'

    def test_plain(self):
        h = self.smtp.session(SMTP)
        for name in ("alice@example.org", "Alice@Example.ORG", "alice",
                     "ALICE"):
            self.ok(self.smtp.plain(h, name, PASSWORD))
        r = self.smtp.start(h, "plain")
        self.assertEqual(r.verdict, "CONTINUE")
        exchange = r.u32()
        self.assertEqual(r.blob(), b"")
        self.ok(self.smtp.step(exchange, b"\0alice\0" + PASSWORD.encode()))

    def test_plain_refused(self):
        h = self.smtp.session(SMTP, "127.0.0.2")
        for user, password in (
                ("alice@example.org", "wrong"), ("alice@example.org", ""),
                ("alice@example.org", PASSWORD + " "),
                ("alice@example.org", PASSWORD[:-1]),
                ("alice@example.org", PASSWORD.upper()),
                ("nobody@example.org", PASSWORD), ("", PASSWORD),
                ("sales@example.org", PASSWORD), ("bob", PASSWORD),
                ("\u00e4\u00f6", "x"), ("a" * 900, "x"), ("!x", "x"),
                ("alice@example.org", "x" * 2000)):
            with self.subTest(user=user[:20], password=password[:20]):
                r = self.smtp.plain(h, user, password)
                self.assertEqual((r.verdict, r.rest), ("BADCRED", b""))

    def test_saslprep(self):
        self.authd.user("prep@example.org", "IX\u00e9")
        h = self.smtp.session(SMTP)
        for password in ("\u2168\u00e9", "I\u00adXe\u0301"):
            self.ok(self.smtp.plain(h, "prep", password), "prep@example.org")
        r = self.smtp.start(h, "PLAIN", b"\0prep\0IX\xe9")
        self.assertEqual(r.verdict, "BADCRED")

    def test_plain_malformed(self):
        h = self.smtp.session(SMTP)
        for ir in (b"", b"alice", b"\0alice", b"\0alice\0x\0y", b"\0\0\0\0"):
            self.assertEqual(self.smtp.start(h, "PLAIN", ir).verdict,
                             "MALFORMED")

    def test_authzid(self):
        h = self.smtp.session(SMTP, "127.0.0.3")
        for authzid in ("alice@example.org", "alice", "ALICE@example.org"):
            self.ok(self.smtp.plain(h, "alice", PASSWORD, authzid))
        for authzid in ("bob@example.org", "bob", "root"):
            r = self.smtp.plain(h, "alice", PASSWORD, authzid)
            self.assertEqual(r.verdict, "BADCRED")
        r, _ = scram(self.smtp, h, "alice", PASSWORD, authzid="bob")
        self.assertEqual(r.verdict, "BADCRED")
        r, _ = scram(self.smtp, h, "alice", PASSWORD,
                     authzid="alice@example.org")
        self.ok(r)

    def test_login(self):
        h = self.smtp.session(SMTP)
        for ir in (None, b"alice"):
            r = self.smtp.start(h, "LOGIN", ir)
            if ir is None:
                self.assertEqual(r.verdict, "CONTINUE")
                exchange = r.u32()
                self.assertEqual(r.blob(), b"Username:")
                r = self.smtp.step(exchange, b"alice@example.org")
            self.assertEqual(r.verdict, "CONTINUE")
            exchange = r.u32()
            self.assertEqual(r.blob(), b"Password:")
            self.ok(self.smtp.step(exchange, PASSWORD.encode()))
        r = self.smtp.start(h, "LOGIN", b"alice")
        r = self.smtp.step(r.u32(), b"a\0b")
        self.assertEqual(r.verdict, "MALFORMED")
        r = self.smtp.start(h, "LOGIN", b"alice")
        r = self.smtp.step(r.u32(), b"")
        self.assertEqual(r.verdict, "BADCRED")

    def test_scram(self):
        h = self.smtp.session(SMTP)
        for ir in (True, False):
            for user in ("alice", "Alice@example.org"):
                r, _ = scram(self, h, user, PASSWORD, ir)
                self.ok(r)

    # scram() speaks through these two, so that it can leave the id behind.
    def start(self, handle, mech, ir):
        r = self.smtp.start(handle, mech, ir)
        if ir is None:
            self.assertEqual(r.verdict, "CONTINUE")
            r.exchange = struct.unpack(">I", r.rest[:4])[0]
        return r

    def step(self, exchange, response):
        return self.smtp.step(exchange, response)

    def test_scram_refused(self):
        h = self.smtp.session(SMTP, "127.0.0.4")
        self.authd.user("gone@example.org")
        self.authd.ask("user.disable", user="gone@example.org")
        salts = set()
        for user in ("alice", "nobody@example.org", "gone", "x" * 300):
            for _ in range(2):
                r, facts = scram(self.smtp, h, user, "wrong")
                self.assertEqual(r.verdict, "BADCRED", user)
                salts.add(facts)
        self.assertEqual(len(salts), 4)	# each name has its own, for ever
        self.assertEqual(len({i for _, i in salts}), 1)
        r, _ = scram(self.smtp, h, "gone", PASSWORD)
        self.assertEqual(r.verdict, "BADCRED")

    def test_bare_name_tells_nothing(self):
        """Its salt is that of a full address, whether he is there or not."""
        h = self.smtp.session(SMTP, "127.0.0.4")
        domains = ("example.org", "example.net")
        for domain in domains:
            self.authd.user("twice@" + domain)
        for name in ("nosuch", "twice", "alice"):
            bare = scram(self.smtp, h, name, "wrong")[1]
            full = [scram(self.smtp, h, name + "@" + domain, "wrong")[1]
                    for domain in domains]
            self.assertIn(bare, full, name)
        for name in ("twice", "twice#"):
            r = self.smtp.plain(h, name, PASSWORD)
            self.assertEqual(r.verdict, "BADCRED", name)

    def test_scram_malformed(self):
        h = self.smtp.session(SMTP, "127.0.0.5")
        for ir in (b"", b"x", b"n,,", b"n,,n=alice", b"n,,n=,x",
                   b"p=tls-unique,,n=alice,r=abcdefghijklm", b"\0\0\0",
                   b"n,,n=al=zz,r=abcdefghijk",
                   b"n,,r=abcdefgh,n=alice", b"n" * 9000):
            with self.subTest(ir=ir[:30]):
                r = self.smtp.start(h, "SCRAM-SHA-256", ir)
                self.assertIn(r.verdict, ("MALFORMED", "BADCRED"))
        for final in (b"", b"c=biws", b"c=biws,r=x,p=AAAA", b"=" * 50):
            r = self.smtp.start(h, "SCRAM-SHA-256",
                                b"n,,n=alice,r=abcdefghijklmnop")
            self.assertEqual(r.verdict, "CONTINUE")
            r = self.smtp.step(r.u32(), final)
            self.assertIn(r.verdict, ("MALFORMED", "BADCRED"))

    def test_mechanism(self):
        h = self.smtp.session(SMTP)
        for mech in ("PLAIN-PLUS", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-1",
                     "CRAM-MD5", "DIGEST-MD5", "ANONYMOUS", "EXTERNAL", "",
                     "PLAIN ", "GSSAPI", "APOP", "LOGIN-PLUS",
                     "CRAM-MD5-PLUS"):
            self.assertEqual(self.smtp.start(h, mech, b"x").verdict,
                             "BADMECH", mech)
        for mech in ("PLAIN", "LOGIN", "SCRAM-SHA-256"):
            self.assertEqual(self.smtp.start(h, mech, tls="").verdict,
                             "BADMECH", mech)

    def test_disabled_and_password_changed(self):
        name = "change@example.org"
        self.authd.user(name)
        h = self.smtp.session(SMTP, "127.0.0.6")
        self.ok(self.smtp.plain(h, name, PASSWORD), name)	# now cached
        self.authd.ask("user.disable", user=name)
        self.assertEqual(self.smtp.plain(h, name, PASSWORD).verdict, "BADCRED")
        self.authd.ask("user.enable", user=name)
        self.ok(self.smtp.plain(h, name, PASSWORD), name)
        self.authd.ask("user.passwd", user=name, password="new one")
        self.assertEqual(self.smtp.plain(h, name, PASSWORD).verdict, "BADCRED")
        self.ok(self.smtp.plain(h, name, "new one"), name)
        self.authd.ask("user.set", user=name, may_submit=False)
        self.assertEqual(self.smtp.plain(h, name, "new one").verdict,
                         "BADCRED")
        self.pop_login(name, "new one")
        self.assert_log("why=notpermitted")

    def test_cache_is_fast(self):
        h = self.smtp.session(SMTP)
        self.smtp.plain(h, "alice", PASSWORD)
        began = time.monotonic()
        for _ in range(50):
            self.ok(self.smtp.plain(h, "alice", PASSWORD))
        self.assertLess(time.monotonic() - began, 2)

    def test_ambiguous_local_part(self):
        self.authd.user("twin@example.org")
        self.authd.user("twin@example.net")
        h = self.smtp.session(SMTP, "127.0.0.7")
        self.assertEqual(self.smtp.plain(h, "twin", PASSWORD).verdict,
                         "BADCRED")
        self.ok(self.smtp.plain(h, "twin@example.net", PASSWORD),
                "twin@example.net")

    def test_exchanges(self):
        h = self.smtp.session(SMTP)
        r = self.smtp.start(h, "LOGIN")
        first = r.u32()
        self.smtp.send(CANCEL, struct.pack(">I", first))
        self.assertEqual(self.smtp.step(first, b"x").verdict, "TEMP")
        self.assertEqual(self.smtp.step(12345678, b"x").verdict, "TEMP")
        ids = [self.smtp.start(self.smtp.session(SMTP, sid=a_sid(n // 4)), "LOGIN").u32() for n in range(4096)]
        self.assertEqual(len(set(ids)), 4096)
        # Hundreds that wait shut nobody out: the oldest makes room.
        self.ok(self.smtp.plain(h, "alice", PASSWORD))
        self.assertEqual(self.smtp.step(ids[0], b"x").verdict, "TEMP")
        self.assertEqual(self.smtp.step(ids[1], b"x").verdict, "CONTINUE")
        # One session is not many.
        other = self.smtp.session(SMTP, sid="another" + SID[:9])
        for _ in range(4):
            self.assertEqual(self.smtp.start(other, "LOGIN").verdict,
                             "CONTINUE")
        self.assertEqual(self.smtp.start(other, "LOGIN").verdict, "TEMP")
        # An exchange belongs to the connection that began it.
        other = self.peer("submitd-smtp")
        self.assertEqual(other.step(ids[2], b"x").verdict, "TEMP")

    def test_many_at_once(self):
        """Several workers, right and wrong passwords, threads and cache."""
        def worker(n):
            p = Peer(self.authd, "submitd-smtp")
            h = p.session(SMTP, "127.0.1.%d" % (n + 1))
            out = []
            for i in range(12):
                if i % 4 == 3:
                    r, _ = scram(p, h, "alice", PASSWORD)
                    out.append(r.verdict == "OK")
                elif (n + i) % 6 == 0:
                    out.append(p.plain(h, "bob", "w%d" % i).verdict ==
                               "BADCRED")
                else:
                    name, password = (("alice", PASSWORD), ("bob", "bob's"),
                                      ("eve", PASSWORD))[i % 3]
                    out.append(p.plain(h, name, password).verdict == "OK")
            p.close()
            return out
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            for out in pool.map(worker, range(8)):
                self.assertEqual(out, [True] * 12)

    def test_leaving_meanwhile(self):
        """The peer goes while its password is checked, or a reply waits."""
        for i in range(20):
            p = Peer(self.authd, "submitd-smtp")
            h = p.session(SMTP, "127.0.2.%d" % (i + 1))
            p.send(START, blob(h) + text(TLS) + text("PLAIN") + b"\1" +
                   blob(b"\0alice\0" + (b"wrong" if i % 2 else b"right%d" % i)) +
                   NO_TLS_PROOF)
            p.close()
        self.login()

    def test_guessing(self):
        h = self.smtp.session(SMTP, "127.0.3.1")
        times = []
        for i in range(3):
            began = time.monotonic()
            r = self.smtp.plain(h, "bob", "guess %d" % i)
            times.append(time.monotonic() - began)
            self.assertEqual(r.verdict, "BADCRED")
        for got, want in zip(times, (0.3, 0.6, 1.2)):
            self.assertGreater(got, want * 0.9)
        # Others are not slowed, nor is he himself with the right one.
        for client in ("127.0.3.2", "127.0.3.1"):
            began = time.monotonic()
            self.login("bob@example.org", "bob's", client)
            self.assertLess(time.monotonic() - began, 0.25)

    def test_fake_key_survives(self):
        h = self.smtp.session(SMTP, "127.0.4.1")
        _, before = scram(self.smtp, h, "nobody@example.org", "x")
        ticket = self.login()[1]
        self.authd.stop()
        self.authd.start()
        self.setUp()
        h = self.smtp.session(SMTP, "127.0.4.1")
        _, after = scram(self.smtp, h, "nobody@example.org", "x")
        self.assertEqual(before, after)
        self.assertEqual(self.spool.ticket(ticket, "").verdict, "OK")


ALL_MECHANISMS = """
guessing_exempt = {"127.0.0.0/8"}
mechanisms = {SCRAM-SHA-256-PLUS, SCRAM-SHA-1-PLUS, SCRAM-SHA-256, SCRAM-SHA-1,
    EXTERNAL, PLAIN, CRAM-MD5, APOP, LOGIN}
scram_sha1 = yes
login_separators = "%!"
default_domain = "example.net"
"""
CERT = hashlib.sha256(b"a certificate").digest()
EXPORTER = os.urandom(32)


class Mechanisms(Base):
    """What is not on unless it is configured; app passwords; acting for
    another."""

    more = ALL_MECHANISMS

    def do(self, verb, **args):
        last = self.authd.ask(verb, **args)[-1]
        self.assertNotIn("error", last)
        return last

    def bad(self, r):
        self.assertEqual((r.verdict, r.rest), ("BADCRED", b""))

    def why(self, n=1):
        """Why the last login failed, as the log has it."""
        lines = [x for x in self.authd.lines().splitlines()
                 if "ev=auth.fail" in x]
        return lines[-1].split("why=")[1].split()[0]

    def test_scram_sha1(self):
        h = self.smtp.session(SMTP)
        r, facts = scram(self.smtp, h, "alice@example.org", PASSWORD,
                         hash="sha1")
        self.ok(r)
        self.assertEqual(facts, scram(self.smtp, h, "alice@example.org",
                                      PASSWORD)[1])
        r, facts = scram(self.smtp, h, "alice@example.org", "x", hash="sha1")
        self.bad(r)
        r, facts = scram(self.smtp, h, "nobody@example.org", "x", hash="sha1")
        self.bad(r)
        self.assertEqual(len(facts[0]), 16)

    def test_plus(self):
        h = self.smtp.session(SMTP)
        for name, hash in (("tls-exporter", "sha256"), ("tls-unique", "sha256"),
                           ("tls-server-end-point", "sha1")):
            r, _ = scram(self.smtp, h, "alice@example.org", PASSWORD,
                         hash=hash, binding=name, data=EXPORTER)
            self.ok(r)
        for what, why, args in (
                ("another connection's", "binding",
                 dict(binding="tls-exporter", data=EXPORTER, sent=b"x" * 32)),
                ("none", "binding",
                 dict(binding="tls-exporter", data=EXPORTER, sent=b"")),
                ("one that was not to be had", "binding",
                 dict(binding="tls-unique", mech="SCRAM-SHA-256-PLUS",
                      gs2="p=tls-exporter", data=EXPORTER)),
                ("a longer name", "binding",
                 dict(binding="tls-exporter", gs2="p=tls-exporters",
                      data=EXPORTER))):
            with self.subTest(what):
                r, _ = scram(self.smtp, h, "alice@example.org", PASSWORD,
                             **args)
                self.bad(r)
                self.assertEqual(self.why(), why)
        # The worker could not have it: binding "".
        r = self.smtp.start(h, "SCRAM-SHA-256-PLUS",
                            b"p=tls-unique,,n=alice@example.org,r=abcdefghij")
        self.bad(r)
        for gs2 in (b"n,,", b"y,,", b"p=,,", b"p=tls-exporter", b""):
            r = self.smtp.start(h, "SCRAM-SHA-256-PLUS", gs2 and gs2 +
                                b"n=alice@example.org,r=abcdefghijkl",
                                binding="tls-exporter", data=EXPORTER)
            self.assertIn(r.verdict, ("MALFORMED", "BADCRED"), gs2)

    def test_downgrade(self):
        """'y': the client could bind, and believes that we cannot."""
        h = self.smtp.session(SMTP)
        for hash in ("sha256", "sha1"):
            r, _ = scram(self.smtp, h, "alice@example.org", PASSWORD,
                         hash=hash, gs2="y")
            self.bad(r)
            self.assertEqual(self.why(), "downgrade")
        r, _ = scram(self.smtp, h, "alice@example.org", PASSWORD,
                     gs2="p=tls-exporter")
        self.assertEqual(r.verdict, "MALFORMED")

    def test_external(self):
        name = "cert@example.org"
        self.authd.user(name)
        h = self.smtp.session(SMTP)
        self.bad(self.smtp.start(h, "EXTERNAL", b"", cert=CERT))
        self.assertEqual(self.why(), "nocert")
        self.assert_log("cert=" + CERT.hex())
        self.do("user.certificate.add", user=name, label="laptop",
                sha256=CERT.hex(), scope="smtp")
        for authzid in (b"", name.encode(), b"CERT@example.org"):
            self.ok(self.smtp.start(h, "EXTERNAL", authzid, cert=CERT), name)
        r = self.smtp.start(h, "EXTERNAL", cert=CERT)
        self.assertEqual((r.verdict, r.u32() and r.blob()), ("CONTINUE", b""))
        for authzid in (b"alice@example.org", b"nobody", b"\0", b"\xff"):
            self.bad(self.smtp.start(h, "EXTERNAL", authzid, cert=CERT))
        self.assertEqual(self.why(), "authzid")
        self.bad(self.smtp.start(h, "EXTERNAL", b""))
        self.do("user.certificate.add", user=name, label="zeroes",
                sha256="0" * 64, scope="smtp")
        self.bad(self.smtp.start(h, "EXTERNAL", b""))	# that is none
        self.do("user.certificate.delete", user=name, label="zeroes")
        self.bad(self.smtp.start(h, "EXTERNAL", b"", cert=bytes(32)))
        p = self.pop.session(POP)
        self.bad(self.pop.start(p, "EXTERNAL", b"", cert=CERT))
        self.assertEqual(self.why(), "scope")
        # The session ends with the certificate.
        t = self.ok(self.smtp.start(h, "EXTERNAL", b"", cert=CERT), name)
        self.assertEqual(self.smtp.mail(h, name, t).verdict, "OK")
        self.do("user.certificate.delete", user=name, label="laptop")
        self.assertEqual(self.smtp.mail(h, name, t).verdict, "VOID")
        self.bad(self.smtp.start(h, "EXTERNAL", b"", cert=CERT))

    def test_secret(self):
        name, secret = "old@example.org", "tanstaaftanstaaf"
        self.authd.user(name)
        h = self.smtp.session(SMTP)
        p = self.pop.session(POP)
        now = int(time.time())
        challenge = "<%s.%d@mail.example.org>" % (SID, now)
        self.assertEqual(self.smtp.start(h, "CRAM-MD5").verdict, "BADMECH")
        self.assertEqual(self.pop.apop(p, name, challenge, secret).verdict,
                         "BADMECH")
        self.do("user.secret.add", user=name, password=secret)
        self.assertEqual(self.smtp.notice(STATE), b"\1")
        self.assertEqual(self.pop.notice(STATE), b"\1")
        self.assertTrue(self.peer("submitd-smtp").has_secrets)
        self.ok(self.smtp.cram(h, name, secret), name)
        self.ok(self.smtp.cram(h, "OLD@example.org", secret), name)
        self.ok(self.pop.apop(p, name, challenge, secret), name)
        for user, word, why in (
                (name, "wrong", "badpass"), (name, PASSWORD, "badpass"),
                (name, "", "badpass"), ("alice@example.org", PASSWORD,
                                        "nosecret"),
                (name + "#x", secret, "nosecret"),
                ("nobody@example.org", secret, "nouser")):
            with self.subTest(user=user, word=word):
                self.bad(self.smtp.cram(h, user, word))
                self.assertEqual(self.why(), why)
                self.bad(self.pop.apop(p, user, challenge, word))
                self.assertEqual(self.why(), why)
        self.assertEqual(self.smtp.start(h, "CRAM-MD5", b"").verdict,
                         "NOINITIAL")
        for response in (b"", b"x", b"\0", b"old@example.org",
                         b"old@example.org zz", b" " * 200):
            r = self.smtp.start(h, "CRAM-MD5")
            r = self.smtp.step(r.u32(), response)
            self.assertIn(r.verdict, ("MALFORMED", "BADCRED"), response)
        # The secret is no password, and no way to the keys.
        self.bad(self.smtp.plain(h, name, secret))
        self.bad(scram(self.smtp, h, name, secret)[0])
        self.assertNotIn(secret, self.authd.lines())
        for wrong in ("<%s.%d@mail.example.org>" % (SID[:-1] + "6", now),
                      "<%s.%d@mail.example.org>" % (SID, now - 700),
                      "<%s.%d@mail.example.org>" % (SID, now + 700),
                      "<%s.%d@example.org>" % (SID, now),
                      "<%s.%dx@mail.example.org>" % (SID, now),
                      "<%s.@mail.example.org>" % SID,
                      challenge[1:], challenge[:-1], "", "<>"):
            self.bad(self.pop.apop(p, name, wrong, secret))
            self.assertEqual(self.why(), "challenge")
        t = self.ok(self.smtp.cram(h, name, secret), name)
        self.assertEqual(self.smtp.mail(h, name, t).verdict, "OK")
        self.do("user.secret.delete", user=name)
        self.assertEqual(self.smtp.mail(h, name, t).verdict, "VOID")
        self.assertEqual(self.smtp.notice(STATE), b"\0")
        self.assertEqual(self.smtp.start(h, "CRAM-MD5").verdict, "BADMECH")

    def test_app_passwords(self):
        name = "apps@example.org"
        self.authd.user(name)
        h, p = self.smtp.session(SMTP), self.pop.session(POP)
        phone = self.do("user.credential.add", user=name, label="phone",
                        scope="all")["password"]
        self.do("user.credential.add", user=name, label="scanner",
                scope="smtp", password="scan it")
        label = name + "#phone"
        for user, password in ((name, PASSWORD), (name, phone),
                               (label, phone), (name, "scan it")):
            self.ok(self.smtp.plain(h, user, password), name)
        self.ok(self.smtp.plain(h, label, phone, authzid=label), name)
        self.bad(self.smtp.plain(h, label, PASSWORD))
        self.bad(self.smtp.plain(h, name + "#tablet", phone))
        self.bad(self.pop.plain(p, name, "scan it"))
        self.ok(self.pop.plain(p, name, phone), name)
        # Under SCRAM a label chooses; without one it is the main password.
        self.ok(scram(self.smtp, h, label, phone)[0], name)
        self.ok(scram(self.smtp, h, label, phone, hash="sha1")[0], name)
        self.bad(scram(self.smtp, h, name, phone)[0])
        self.bad(scram(self.smtp, h, label, PASSWORD)[0])
        self.bad(scram(self.pop, p, name + "#scanner", "scan it")[0])
        self.assertEqual(self.why(), "scope")
        r, facts = scram(self.smtp, h, name + "#tablet", "x")
        self.bad(r)
        self.assertEqual(facts, scram(self.smtp, h, name, PASSWORD)[1])
        # Revoked one by one; what came of it ends, and nothing else.
        t = self.ok(self.smtp.plain(h, label, phone), name)
        u = self.ok(self.smtp.plain(h, name, PASSWORD), name)
        self.do("user.credential.delete", user=name, label="phone")
        self.assertEqual(self.smtp.mail(h, name, t).verdict, "VOID")
        self.assertEqual(self.smtp.mail(h, name, u).verdict, "OK")
        self.bad(self.smtp.plain(h, name, phone))
        self.ok(self.smtp.plain(h, name, "scan it"), name)

    def test_expiry(self):
        name = "expires@example.org"
        self.authd.user(name)
        h = self.smtp.session(SMTP)
        self.do("user.credential.add", user=name, label="guest",
                scope="all", password="for a day",
                expires_s=int(time.time()) + 600)
        t = self.ok(self.smtp.plain(h, name, "for a day"), name)
        self.ok(scram(self.smtp, h, name + "#guest", "for a day")[0], name)
        self.authd.clock("+700")
        h = self.smtp.session(SMTP)
        self.bad(self.smtp.plain(h, name, "for a day"))
        self.bad(scram(self.smtp, h, name + "#guest", "for a day")[0])
        self.assertEqual(self.why(), "expired")
        self.assertEqual(self.smtp.mail(h, name, t).verdict, "VOID")

    def test_scope_of_grants(self):
        """A POP3 login that could not send by itself opens no relay."""
        name, where = "scoped@example.org", "127.0.11.1"
        self.authd.user(name)
        self.do("user.credential.add", user=name, label="reader",
                scope="pop", password="only read")
        self.pop_login(name, "only read", where)
        h = self.smtp.session(SMTP, where)
        self.assertEqual(self.smtp.mail(h, name).verdict, "NOAUTH")
        self.pop_login(name, PASSWORD, where)
        self.assertEqual(self.smtp.mail(h, name).verdict, "OK")
        for setting in ("may_open_relay", "may_submit"):
            self.authd.user(setting + "@example.org")
            self.do("user.set", user=setting + "@example.org",
                    **{setting: False})
            self.pop_login(setting + "@example.org", client="127.0.11.2")
        h = self.smtp.session(SMTP, "127.0.11.2")
        self.assertEqual(self.smtp.mail(h, "").verdict, "NOAUTH")

    def test_allow_as(self):
        actor, owner = "actor@example.org", "owner@example.org"
        for name in (actor, owner):
            self.authd.user(name, "of " + name)
        h, p = self.smtp.session(SMTP), self.pop.session(POP)
        def plain(peer, handle):
            return peer.plain(handle, actor, "of " + actor, owner)
        self.bad(plain(self.smtp, h))
        self.assertEqual(self.why(), "authzid")
        self.do("user.allow-as.add", user=actor, other=owner)
        self.bad(self.smtp.plain(h, owner, "of " + owner, actor))
        t = self.ok(plain(self.smtp, h), owner, actor)
        self.assert_log("user=owner@example.org login=actor@example.org")
        self.assertEqual(self.smtp.mail(h, owner, t).verdict, "OK")
        self.assertEqual(self.smtp.mail(h, actor, t).verdict, "NOTSENDER")
        for hash in ("sha256", "sha1"):
            r, _ = scram(self.smtp, h, actor, "of " + actor, hash=hash,
                         authzid=owner)
            self.ok(r, owner, actor)
        d = self.ok(plain(self.pop, p), owner, actor)
        r = self.mbox.call(MAILDROP, blob(d))
        self.assertEqual((r.verdict, r.text()), ("OK", owner))
        # It opens no relay: a grant hangs on its own user's credential.
        where = "127.0.11.3"
        self.ok(plain(self.pop, self.pop.session(POP, where)), owner, actor)
        self.assertEqual(self.smtp.mail(self.smtp.session(SMTP, where),
                                        owner).verdict, "NOAUTH")
        def holds(want):
            self.assertEqual(self.smtp.mail(h, owner, t).verdict, want)
            self.assertEqual(self.spool.ticket(t, owner, 1).verdict, want)
            self.assertEqual(self.mbox.call(MAILDROP, blob(d)).verdict, want)
        holds("OK")
        for name in (actor, owner):
            self.do("user.disable", user=name)
            holds("VOID")
            self.bad(plain(self.smtp, h))
            self.do("user.enable", user=name)
            holds("OK")
        self.do("user.set", user=owner, may_submit=False)
        self.assertEqual(self.smtp.mail(h, owner, t).verdict, "VOID")
        self.bad(plain(self.smtp, h))
        self.assertEqual(self.why(), "notpermitted")
        self.do("user.set", user=owner, may_submit=True)
        self.do("user.allow-as.delete", user=actor, other=owner)
        holds("VOID")
        self.do("user.allow-as.add", user=actor, other=owner)
        holds("OK")
        self.do("user.passwd", user=actor, password="another")
        holds("VOID")

    def test_bare_names_tell_nothing(self):
        """Who is not there shows the salt of one domain or the other, as the
        users of both do who leave theirs out; with a default_domain too."""
        h = self.smtp.session(SMTP)
        seen = set()
        for local in ["alice", "eve"] + ["nobody%d" % i for i in range(24)]:
            bare, one, two = (
                scram(self.smtp, h, name, "x")[1][0] for name in
                (local, local + "@example.org", local + "@example.net"))
            self.assertIn(bare, (one, two), local)
            seen.add((local[:6] == "nobody", bare == one))
        self.assertEqual(len(seen), 4, seen)

    def test_import_ends_sessions(self):
        """Of who loses any of his ways to log in by it, not his main password
        alone; and of nobody else."""
        name = "moved@example.org"
        self.authd.user(name)
        whole = self.authd.ask("user.export", user=name)[0]
        self.do("user.credential.add", user=name, label="phone")
        del self.smtp.notices[:]
        self.do("user.import", mode="update", users=[whole])
        self.assertEqual(self.do("user.show", user=name)["credentials"], 1)
        self.assertIn(name.encode(), self.smtp.notice(KICK))
        self.do("user.import", mode="update", users=[dict(whole, note="x")])
        self.do("kick", user="nobody@example.org")
        self.assertIn(b"nobody@", self.smtp.notice(KICK))

    def test_cut_character(self):
        """An error's text is cut, which may be within a character: it is
        answered and logged all the same."""
        for n in range(240, 244):
            last = self.authd.ask("user.show", user="x" * n + "\u00e9" * 99)
            self.assertIn("not a name", last[-1]["error"])
        last = self.do("user.import", mode="add", users=[{
            "x" + "\u00e9" * 40: 1}])
        self.assertEqual(len(last["problems"]), 1)
        self.authd.lines()

    def test_changed_meanwhile(self):
        name = "meanwhile@example.org"
        self.authd.user(name)
        p = self.pop.session(POP)
        for verb, args in (("user.disable", {}),
                           ("user.passwd", dict(password="x y z")),
                           ("user.delete", {})):
            self.do("user.enable", user=name)
            self.do("user.passwd", user=name, password=PASSWORD)
            r, _ = scram(self.pop, p, name, PASSWORD, meanwhile=lambda: None)
            self.ok(r, name)
            r, _ = scram(self.pop, p, name, PASSWORD,
                         meanwhile=lambda: self.do(verb, user=name, **args))
            self.bad(r)
            self.assertEqual(self.why(), "changed")
        self.authd.user(name)
        # He lets us wait before his last, empty message.
        r, _ = scram(self.pop, p, name, PASSWORD,
                     at_last=lambda: self.do("user.disable", user=name))
        self.bad(r)

    def test_authzid_preparation(self):
        """RFC 4954 section 4: one that cannot be prepared, or becomes empty by
        it, fails; it does not count as none."""
        h = self.smtp.session(SMTP)
        for authzid in ("\u00ad", "\u0007", "\u2028", "alice@example.org\u0000"):
            r = self.smtp.start(h, "PLAIN", b"\0".join(
                x.encode() for x in (authzid, "alice@example.org", PASSWORD)))
            self.assertIn(r.verdict, ("BADCRED", "MALFORMED"))
        self.bad(self.smtp.start(h, "PLAIN",
                                 b"\xff\0alice@example.org\0x"))

    def test_long(self):
        """255 octets of UTF-8 for each."""
        password = "\u00e9" * 127 + "x"
        self.assertEqual(len(password.encode()), 255)
        name = "long" + "." * 0 + "@" + ".".join(["d" * 60] * 4) + ".example"
        name = name[:250]
        self.authd.user("long@example.org", password)
        h = self.smtp.session(SMTP)
        self.ok(self.smtp.plain(h, "long@example.org", password,
                                "long@example.org"), "long@example.org")
        for part in ("\u00e9" * 127 + "x", "x" * 255):
            self.bad(self.smtp.plain(h, part, password, part))
            self.bad(scram(self.smtp, h, part, "x", authzid=part)[0])

    def test_names(self):
        self.authd.user("eve@example.org", "eve of org")
        self.authd.user("a#b@example.org")
        h = self.smtp.session(SMTP)
        for name, user, password in (
                ("eve", "eve@example.net", PASSWORD),	# default_domain
                ("EVE", "eve@example.net", PASSWORD),
                ("eve%example.org", "eve@example.org", "eve of org"),
                ("eve!Example.ORG", "eve@example.org", "eve of org"),
                ("bob", "bob@example.org", "bob's"),	# the only one
                ("b\u00adob", "bob@example.org", "bob's"),
                ("\uff42ob", "bob@example.org", "bob's"),
                ("a#b@example.org", "a#b@example.org", PASSWORD)):
            with self.subTest(name):
                self.ok(self.smtp.plain(h, name, password), user)
        for name in ("eve%example.org%", "eve%%example.org", "bob#", "#", "%",
                     "bob@", "@example.org", "sales@example.org",
                     "eve!example.org%x", "bob#main"):
            with self.subTest(name):
                self.bad(self.smtp.plain(h, name, "bob's"))

    def test_listeners(self):
        """Another list at another listener; a reload changes it."""
        try:
            self.authd.reload(ALL_MECHANISMS.replace(
                "scram_sha1", "mechanisms_pop3 = {PLAIN}\nscram_sha1"))
            h, p = self.smtp.session(SMTP), self.pop.session(POP)
            self.ok(scram(self.smtp, h, "alice@example.org", PASSWORD)[0])
            self.assertEqual(self.pop.start(p, "SCRAM-SHA-256").verdict,
                             "BADMECH")
            self.ok(self.pop.plain(p, "alice@example.org", PASSWORD))
        finally:
            self.authd.reload(self.more)
        r, _ = scram(self.pop, p, "alice@example.org", PASSWORD, gs2="n")
        self.ok(r)

    def test_who_and_kick(self):
        self.do("kick", user="alice@example.org", network="192.0.2.0/24")
        fields = self.smtp.notice(KICK)
        self.assertEqual(fields, text("alice@example.org") + blob(
            bytes(10) + b"\xff\xff\xc0\0\2\0") + bytes([120]))
        self.assertEqual(self.pop.notice(KICK), fields)
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            answer = pool.submit(self.authd.ask, "who")
            for peer, service, n in ((self.smtp, SMTP, 2), (self.pop, POP, 1)):
                serial = struct.unpack(">I", peer.notice(WHO))[0]
                for i in range(n):
                    peer.send(WHO_ENTRY, Notices.entry(
                        self, serial, "u%d@example.org" % i, "192.0.2.1",
                        service, login="bob@example.org" if i else ""))
                peer.send(WHO_END, struct.pack(">I", serial))
            got = answer.result(20)
        users = sorted((x["user"], x["service"], x.get("login"))
                       for x in got if "user" in x)
        self.assertEqual(users, [("u0@example.org", "pop", None),
                                 ("u0@example.org", "smtp", None),
                                 ("u1@example.org", "smtp", "bob@example.org")])


class Transition(Base):
    """SCRAM for users who were imported with a hash."""

    more = 'guessing_exempt = {"127.0.0.0/8"}\n'

    def hashed(self, name):
        salt = b"some"
        text = "{SSHA}" + base64.b64encode(hashlib.sha1(
            PASSWORD.encode() + salt).digest() + salt).decode()
        last = self.authd.ask("user.import",
                              mode="add",
                              users=[{"user": name, "hash": text}])[-1]
        self.assertEqual(last.get("added"), 1, last)

    def test_transition(self):
        name = "hashed@example.org"
        self.hashed(name)
        h = self.smtp.session(SMTP)
        r, facts = scram(self.smtp, h, name, PASSWORD)
        self.assertEqual(r.verdict, "BADCRED")
        other = scram(self.smtp, h, "nobody@example.org", PASSWORD)[1]
        self.assertEqual((len(facts[0]), facts[1]), (len(other[0]), other[1]))
        try:
            self.authd.reload(self.more + "scram_transition = yes\n")
            r, _ = scram(self.smtp, h, name, PASSWORD)
            self.assertEqual((r.verdict, r.rest), ("TRANSITION", b""))
            r, _ = scram(self.smtp, h, name + "#x", PASSWORD)
            self.assertEqual(r.verdict, "BADCRED")
            r, _ = scram(self.smtp, h, "nobody@example.org", PASSWORD)
            self.assertEqual(r.verdict, "BADCRED")
        finally:
            self.authd.reload(self.more)
        # The next PLAIN login makes the keys.
        t = self.ok(self.smtp.plain(h, name, PASSWORD), name)
        end = time.monotonic() + 10
        while scram(self.smtp, h, name, PASSWORD)[0].verdict != "OK":
            self.assertLess(time.monotonic(), end)
        self.assertEqual(self.smtp.mail(h, name, t).verdict, "OK")


class Guesser(Base):
    more = 'guessing_exempt = {"127.0.9.0/24"}\n'

    def test_block(self):
        """Many guesses at once from one network; then it gets no check."""
        peers = [self.peer("submitd-smtp") for _ in range(4)]
        self.login("bob@example.org", "bob's", "127.0.5.1")	# a known place
        for n, p in enumerate(peers):
            handles = [p.session(SMTP, "127.0.5.1", a_sid(i))
                       for i in range(25)]
            for i, h in enumerate(handles):
                p.send(START, blob(h) + text(TLS) + text("PLAIN") + b"\1" +
                       blob(b"\0user%d\0x%d" % (i, n)) + NO_TLS_PROOF)
            self.authd.wait_for("ev=auth.fail", 25 * n + 25)
        self.assertFalse("why=blocked" in self.authd.lines())
        self.assertFalse("ev=auth.block" in self.authd.lines())
        p = self.peer("submitd-smtp")	# more, for some leak away meanwhile
        handles = [p.session(SMTP, "127.0.5.1", a_sid(100 + i))
                   for i in range(40)]
        for i, h in enumerate(handles):
            p.send(START, blob(h) + text(TLS) + text("PLAIN") + b"\1" +
                   blob(b"\0more%d\0x" % i) + NO_TLS_PROOF)
        self.authd.wait_for("ev=auth.block")
        h = self.smtp.session(SMTP, "127.0.5.1")
        self.assertEqual(self.smtp.plain(h, "alice", PASSWORD).verdict,
                         "BADCRED")
        self.assertTrue("why=blocked" in self.authd.lines())
        r, _ = scram(self.smtp, h, "alice", PASSWORD)
        self.assertEqual(r.verdict, "BADCRED")
        for p in peers:
            p.verdicts(25, {"BADCRED"})
        self.login("bob@example.org", "bob's", "127.0.5.1")
        self.login(client="127.0.5.2")
        self.authd.clock("+400")
        self.login(client="127.0.5.1")

    def test_flood(self):
        """One network's flood takes its turns, and keeps nobody else."""
        p = self.peer("submitd-smtp")
        handles = [p.session(SMTP, "127.0.5.9", a_sid(i))
                   for i in range(400)]
        for i, h in enumerate(handles):
            p.send(START, blob(h) + text(TLS) + text("PLAIN") + b"\1" +
                   blob(b"\0user%d\0x" % i) + NO_TLS_PROOF)
        self.login(client="127.0.5.8")
        p.verdicts(400, {"BADCRED"})
        lines = self.authd.lines()
        checked = lines.count("rip=127.0.5.9 service=smtp why=nouser")
        self.assertTrue(100 < checked < 110, checked)
        self.assertEqual(lines.count("rip=127.0.5.9 service=smtp why=blocked"),
                         400 - checked)
        blocks = re.findall(r"ev=auth.block .*network=127\.0\.5\.9.*", lines)
        self.assertEqual(len(blocks), 1, lines[-3000:])
        self.assertRegex(blocks[0], "why=network count=10[0-9] until=[0-9]+$")

    def test_exempt(self):
        peers = [self.peer("submitd-smtp") for _ in range(4)]
        for p in peers:
            handles = [p.session(SMTP, "127.0.9.1", a_sid(i))
                       for i in range(30)]
            for i, h in enumerate(handles):
                p.send(START, blob(h) + text(TLS) + text("PLAIN") + b"\1" +
                       blob(b"\0user%d\0x" % i) + NO_TLS_PROOF)
        for p in peers:
            p.verdicts(30, {"BADCRED"})
        began = time.monotonic()
        h = self.smtp.session(SMTP, "127.0.9.1")
        self.assertEqual(self.smtp.plain(h, "alice", "x").verdict, "BADCRED")
        self.assertLess(time.monotonic() - began, 4)	# else it were 8
        self.login(client="127.0.9.1")


class Rule(Base):
    more = """
trusted_networks 127.0.7.0/24 { owner = "bob@example.org" }
trusted_networks 127.0.8.0/24 { senders = {"news@example.com", "@lists.example"} }
"""

    def verdict(self, *args, **kw):
        return self.smtp.mail(*args, **kw).verdict

    def test_after_auth(self):
        h, t = self.login()
        for sender in ("alice@example.org", "Alice@EXAMPLE.org",
                       "sales@example.org", ""):
            r = self.smtp.mail(h, sender, t)
            self.assertEqual(r.verdict, "OK")
            self.assertEqual((r.blob(), r.text(), r.u8(), r.rest),
                             (t, "alice@example.org", SASL, b""))
        for sender in ("bob@example.org", "x@example.com", "alice"):
            self.assertEqual(self.verdict(h, sender, t), "NOTSENDER")
        r = self.spool.ticket(t, "alice@example.org")
        self.assertEqual((r.verdict, r.text(), r.u8(), r.text(), r.text(),
                          r.text(), r.text(), r.rest),
                         ("OK", "alice@example.org", SASL, "127.0.0.1", TLS,
                          "PLAIN", SID, b""))
        self.assertEqual(self.spool.ticket(t, "bob@example.org").verdict,
                         "NOTSENDER")

    def test_nothing(self):
        h = self.smtp.session(SMTP, "127.0.6.1")
        for sender in ("alice@example.org", "", "x@example.com"):
            self.assertEqual(self.verdict(h, sender), "NOAUTH")
            self.assertEqual(self.verdict(h, sender, tls=""), "NOAUTH")

    def test_grant(self):
        where = "127.0.6.2"
        h = self.smtp.session(SMTP, where)
        self.assertEqual(self.verdict(h, "alice@example.org"), "NOAUTH")
        self.pop_login(client=where)
        self.assert_log("ev=grant.new")
        r = self.smtp.mail(h, "alice@example.org")
        self.assertEqual(r.verdict, "OK")
        t = r.blob()
        self.assertEqual((r.text(), r.u8()), ("alice@example.org", GRANT))
        self.assertEqual(self.verdict(h, ""), "OK")
        self.assertEqual(self.verdict(h, "bob@example.org"), "NOTSENDER")
        self.assertEqual(self.verdict(h, "alice@example.org", tls=""),
                         "NOAUTH")
        for other in ("127.0.6.3", "127.0.6.1"):
            self.assertEqual(self.verdict(self.smtp.session(SMTP, other),
                                          "alice@example.org"), "NOAUTH")
        # A second owner at the address: the sender picks, <> does not.
        self.pop_login("bob@example.org", "bob's", where)
        self.assertEqual(self.smtp.mail(h, "bob@example.org").verdict, "OK")
        self.assertEqual(self.verdict(h, "alice@example.org"), "OK")
        self.assertEqual(self.verdict(h, ""), "NOTSENDER")
        self.assertEqual(self.verdict(h, "eve@example.net"), "NOTSENDER")
        r = self.spool.ticket(t, "alice@example.org")
        self.assertEqual((r.verdict, r.text(), r.u8(), r.text()),
                         ("OK", "alice@example.org", GRANT, where))
        self.assertEqual(self.spool.ticket(t, "bob@example.org").verdict,
                         "NOTSENDER")
        self.authd.ask("grant.revoke", user="alice@example.org")
        self.assertEqual(self.verdict(h, "alice@example.org"), "NOTSENDER")
        for phase in (0, 1):
            self.assertEqual(
                self.spool.ticket(t, "alice@example.org", phase).verdict,
                "VOID")

    def test_grant_expires(self):
        where = "127.0.6.4"
        self.pop_login("eve@example.net", client=where)
        h = self.smtp.session(SMTP, where)
        t = self.smtp.mail(h, "eve@example.net").blob()
        self.authd.clock("+1790")
        self.assertEqual(self.verdict(h, "eve@example.net"), "OK")
        self.authd.clock("+1810")
        self.assertEqual(self.verdict(h, "eve@example.net"), "NOAUTH")
        # Expiry counts at MAIL: what was taken there may go on.
        for phase in (0, 1):
            self.assertEqual(
                self.spool.ticket(t, "eve@example.net", phase).verdict, "OK")
        self.authd.clock("-100000")
        self.assertEqual(self.verdict(h, "eve@example.net"), "VOID")
        self.authd.clock("+100000")	# session_max
        self.assertEqual(self.spool.ticket(t, "eve@example.net", 1).verdict,
                         "VOID")

    def test_grant_user_changes(self):
        where = "127.0.6.5"
        name = "temp@example.org"
        self.authd.user(name)
        h = self.smtp.session(SMTP, where)
        for change in (dict(verb="user.disable"),
                       dict(verb="user.passwd", password=PASSWORD),
                       dict(verb="user.set", may_submit=False)):
            self.authd.ask("user.enable", user=name)
            self.pop_login(name, client=where)
            t = self.smtp.mail(h, name).blob()
            self.assertEqual(self.spool.ticket(t, name, 1).verdict, "OK")
            self.authd.ask(change.pop("verb"), user=name, **change)
            self.assertEqual(self.verdict(h, name), "NOAUTH")
            for phase in (0, 1):
                self.assertEqual(self.spool.ticket(t, name, phase).verdict,
                                 "VOID")

    def test_sasl_user_changes(self):
        name = "temp2@example.org"
        self.authd.user(name)
        for verb, args in (("user.disable", {}),
                           ("user.passwd", dict(password=PASSWORD)),
                           ("user.delete", {})):
            h, t = self.login(name)
            self.assertEqual(self.verdict(h, name, t), "OK")
            self.authd.ask(verb, user=name, **args)
            self.assertEqual(self.verdict(h, name, t), "VOID")
            self.assertEqual(self.spool.ticket(t, name, 1).verdict, "VOID")
            self.authd.ask("user.enable", user=name)
        self.authd.user(name)	# a namesake gets nothing of it
        self.assertEqual(self.verdict(h, name, t), "VOID")

    def test_no_grant_for_smtp(self):
        where = "127.0.6.6"
        self.login(client=where)
        self.assertEqual(self.verdict(self.smtp.session(SMTP, where),
                                      "alice@example.org"), "NOAUTH")

    def test_failed_pop_login(self):
        where = "127.0.6.7"
        h = self.pop.session(POP, where)
        self.assertEqual(self.pop.plain(h, "alice", "x").verdict, "BADCRED")
        self.assertEqual(self.verdict(self.smtp.session(SMTP, where),
                                      "alice@example.org"), "NOAUTH")

    def test_networks(self):
        h = self.smtp.session(SMTP, "127.0.7.9")
        r = self.smtp.mail(h, "bob@example.org")
        self.assertEqual(r.verdict, "OK")
        t = r.blob()
        self.assertEqual((r.text(), r.u8()), ("bob@example.org", NETWORK))
        self.assertEqual(self.verdict(h, ""), "OK")
        self.assertEqual(self.verdict(h, "alice@example.org"), "NOTSENDER")
        self.assertEqual(self.verdict(h, "bob@example.org", tls=""), "NOAUTH")
        self.assertEqual(self.spool.ticket(t, "bob@example.org", 1).verdict,
                         "OK")
        self.authd.ask("user.disable", user="bob@example.org")
        self.assertEqual(self.verdict(h, "bob@example.org"), "NOAUTH")
        self.assertEqual(self.spool.ticket(t, "bob@example.org", 1).verdict,
                         "VOID")
        self.authd.ask("user.enable", user="bob@example.org")
        h = self.smtp.session(SMTP, "127.0.8.9")
        for sender, want in (("news@example.com", "OK"), ("", "NOTSENDER"),
                             ("x@lists.example", "OK"),
                             ("x@sub.lists.example", "NOTSENDER"),
                             ("alice@example.org", "NOTSENDER")):
            self.assertEqual(self.verdict(h, sender), want, sender)
        r = self.smtp.mail(h, "news@example.com")
        t = r.blob()
        self.assertEqual((r.text(), r.u8()), ("", NETWORK))
        r = self.spool.ticket(t, "news@example.com", 1)
        self.assertEqual((r.verdict, r.text()), ("OK", ""))

    def test_stolen(self):
        """A ticket is good for its session, its kind of service, unchanged."""
        h, t = self.login(client="127.0.6.8")
        other = self.smtp.session(SMTP, "127.0.6.8", sid="abcdefghij234566")
        self.assertEqual(self.verdict(other, "alice@example.org", t), "VOID")
        other = self.smtp.session(SMTP, "127.0.6.9")
        self.assertEqual(self.verdict(other, "alice@example.org", t), "VOID")
        forged = t[:-1] + bytes([t[-1] ^ 1])
        self.assertEqual(self.verdict(h, "alice@example.org", forged), "VOID")
        self.assertEqual(self.verdict(h[:-1] + b"x", "alice@example.org", t),
                         "VOID")
        pop = self.pop_login(client="127.0.6.10")
        self.assertEqual(self.spool.ticket(pop, "alice@example.org").verdict,
                         "VOID")
        self.assertEqual(self.mbox.call(MAILDROP, blob(t)).verdict, "VOID")
        pop_handle = self.pop.session(POP)
        self.assertEqual(self.verdict(pop_handle, "alice@example.org"), "VOID")
        self.assertEqual(self.spool.ticket(b"", "").verdict, "VOID")

    def test_reload(self):
        h, t = self.login()
        try:
            self.authd.reload('sender_policy = log\n')
            r = self.smtp.mail(h, "x@example.com", t)
            self.assertEqual(r.verdict, "OK")
            self.assert_log("ev=sender.foreign")
            n = self.smtp.session(SMTP, "127.0.7.9")
            self.assertEqual(self.verdict(n, "bob@example.org"), "NOAUTH")
        finally:
            self.authd.reload(self.more)
        self.assertEqual(self.verdict(h, "x@example.com", t), "NOTSENDER")
        self.assertEqual(self.verdict(n, "bob@example.org"), "OK")


class Addresses(Base):
    def test_rcpt(self):
        for address, want in (
                ("alice@example.org", "OK"), ("SALES@Example.Org", "OK"),
                ('"alice"@example.org', "OK"), ("nobody@example.org", "NOUSER"),
                ("postmaster", "OK"), ("PostMaster", "OK"),
                ("postmaster@example.net", "OK"), ("alice", "NOUSER"),
                ("postmaster@example.com", "NOUSER"), ("", "NOUSER"),
                ("alice@example.com", "NOUSER"), ("alice@[127.0.0.1]", "NOUSER")):
            r = self.smtp.call(RCPT, text(address))
            self.assertEqual((r.verdict, r.rest), (want, b""), address)

    def test_deliver(self):
        for address in ("alice@example.org", "sales@example.org",
                        "postmaster", "postmaster@example.net"):
            r = self.local.call(DELIVER, text(address))
            self.assertEqual((r.verdict, r.text(), r.text(), r.rest),
                             ("OK", "alice@example.org",
                              "example.org/alice", b""), address)
        self.authd.ask("user.disable", user="eve@example.net")
        r = self.local.call(DELIVER, text("eve@example.net"))
        self.assertEqual((r.verdict, r.text()), ("OK", "eve@example.net"))
        self.authd.ask("user.enable", user="eve@example.net")
        r = self.local.call(DELIVER, text("x@example.org"))
        self.assertEqual((r.verdict, r.rest), ("NOUSER", b""))

    def test_maildrop(self):
        t = self.pop_login()
        r = self.mbox.call(MAILDROP, blob(t))
        self.assertEqual((r.verdict, r.text(), r.text(), r.rest),
                         ("OK", "alice@example.org", "example.org/alice", b""))
        self.assertEqual(self.mbox.call(MAILDROP, blob(t[:-1])).verdict,
                         "VOID")
        name = "drop@example.org"
        self.authd.user(name)
        t = self.pop_login(name)
        self.authd.ask("user.set", user=name, may_pop=False)
        self.assertEqual(self.mbox.call(MAILDROP, blob(t)).verdict, "VOID")


class Plugins(unittest.TestCase):
    """A mechanism that is configured and not there is refused by its name."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="plugins.")
        self.addCleanup(shutil.rmtree, self.folder)
        os.environ["SASL_PATH"] = self.folder
        self.addCleanup(os.environ.pop, "SASL_PATH")

    def test_none(self):
        for word, name in (("SCRAM-SHA-256", "SCRAM-SHA-256"),
                           ("PLAIN", "PLAIN"), ("LOGIN", "LOGIN"),
                           ("CRAM-MD5", "CRAM-MD5"),
                           ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256-PLUS")):
            with self.assertRaises(RuntimeError) as caught:
                Authd("mechanisms = {EXTERNAL, %s}\n" % word).remove()
            self.assertIn("mechanisms: %s: Cyrus SASL has no plugin for it "
                          "(install libsasl2-modules)" % name,
                          str(caught.exception))

    def test_reload(self):
        for name in os.listdir(SASL_PLUGINS):
            if name.startswith("libplain."):
                os.symlink(SASL_PLUGINS + "/" + name,
                           self.folder + "/" + name)
        authd = Authd("mechanisms = {PLAIN, LOGIN}\n")
        try:
            with open(authd.root + "/etc/submitd.conf", "w") as f:
                f.write(CONF % BUILD + "mechanisms = {PLAIN, CRAM-MD5}\n")
            authd.process.send_signal(signal.SIGHUP)
            authd.wait_for("ev=reload.refused")
            self.assertIn("CRAM-MD5: Cyrus SASL has no plugin", authd.lines())
            authd.reload("mechanisms = {PLAIN}\n")
            authd.stop()
        finally:
            authd.remove()


class Empty(unittest.TestCase):
    def test_no_user(self):
        authd = Authd()
        try:
            p = Peer(authd, "submitd-smtp")
            self.assertEqual(p.call(RCPT, text("postmaster")).verdict, "TEMP")
            self.assertEqual(p.call(RCPT, text("x@example.org")).verdict,
                             "NOUSER")
            p.close()
            authd.stop()
        finally:
            authd.remove()


class Notices(Base):
    """What authd says without being asked, and the answers."""

    def entry(self, serial, user="alice@example.org", peer="192.0.2.1",
              service=SMTP, sid=SID, mech="PLAIN", tls=TLS, login=""):
        return (struct.pack(">I", serial) + text(sid) + text(user) +
                text(login) + text(peer) + bytes([service]) + text(mech) + text(tls) +
                struct.pack(">Q", 1234567))

    def test_malformed(self):
        good = self.entry(1)
        for kind, fields in (
                (WHO_ENTRY, b""), (WHO_ENTRY, good + b"x"),
                (WHO_ENTRY, self.entry(1, service=POP)),
                (WHO_ENTRY, self.entry(1, sid="x")),
                (WHO_ENTRY, self.entry(1, peer="here")),
                (WHO_ENTRY, self.entry(1, mech="PLAIN LOGIN")),
                (WHO_ENTRY, self.entry(1, tls="a b")),
                (WHO_ENTRY, self.entry(1, user="x" * 255)),
                (WHO_END, b""), (WHO_END, b"\0" * 5),
                (WHO_END, struct.pack(">I", 1 << 31))):
            with self.subTest(kind=kind, fields=fields[:60]):
                self.assertTrue(self.peer("submitd-smtp").dropped(kind,
                                                                  fields))

    def test_unasked(self):
        """An answer that comes too late is nobody's, and no offence."""
        self.smtp.send(WHO_ENTRY, self.entry(0))
        self.smtp.send(WHO_END, struct.pack(">I", 0))
        self.login()


class Roles(Base):
    """What a role may not ask, or asks malformed, drops that peer alone."""

    def test_table(self):
        folders = {"submitd-smtp": {SESSION, START, STEP, CANCEL, MAIL, RCPT},
                   "popd-pop": {SESSION, START, STEP, CANCEL},
                   "submitd-spool": {TICKET}, "popd-mbox": {MAILDROP},
                   "submitd-local": {DELIVER}}
        h = self.smtp.session(SMTP)
        fields = {START: blob(h) + text(TLS) + text("LOGIN") + b"\0" + blob(b"") +
                  NO_TLS_PROOF,
                  STEP: struct.pack(">I", 1) + blob(b""),
                  MAIL: blob(h) + blob(b"") + text(TLS) + text(""),
                  RCPT: text("x@example.org"), TICKET: blob(b"x" * 40) + text("") + b"\0",
                  MAILDROP: blob(b"x" * 40), DELIVER: text("x@example.org")}
        for folder, may in folders.items():
            for kind, f in fields.items():
                p = self.peer(folder)
                self.assertEqual(p.dropped(kind, f), kind not in may,
                                 (folder, kind))
            for kind in (0, 13, 64, 65, 66, 99, 0x8001, 0xffff):
                self.assertTrue(self.peer(folder).dropped(kind, b""))
        self.assertEqual(self.smtp.call(RCPT, text("x@example.org")).verdict,
                         "NOUSER")

    def test_malformed(self):
        h = self.smtp.session(SMTP)
        start = blob(h) + text(TLS) + text("PLAIN")
        for kind, fields in (
                (RCPT, b""), (RCPT, text("a") + b"x"), (RCPT, blob(b"a")),
                (RCPT, blob(b"a\0b\0")), (RCPT, text("x" * 300)),
                (RCPT, struct.pack(">I", 0xffffffff)),
                (START, start), (START, start + b"\2" + blob(b"") + NO_TLS_PROOF),
                (START, start + b"\0" + blob(b"x") + NO_TLS_PROOF),
                (START, start + b"\0" + blob(b"")),
                (START, start + b"\0" + blob(b"") + text("") + blob(b"") +
                 blob(b"x" * 31)),
                (START, start + b"\0" + blob(b"") + text("") +
                 blob(b"x" * 65) + blob(b"")),
                (START, start + b"\1" + blob(b"x" * 9217) + NO_TLS_PROOF),
                (START, blob(h) + text("TLS bad") + text("PLAIN") + b"\0" +
                 blob(b"") + NO_TLS_PROOF),
                (START, blob(h) + text("TLS\r\nX:") + text("PLAIN") + b"\0" +
                 blob(b"") + NO_TLS_PROOF),
                (STEP, b""), (CANCEL, b""), (SESSION, text(SID) + b"\1"),
                (MAIL, blob(h) + blob(b"") + text(TLS)),
                (MAIL, blob(b"x" * 257) + blob(b"") + text(TLS) + text(""))):
            with self.subTest(kind=kind, fields=fields[-20:]):
                self.assertTrue(self.peer("submitd-smtp").dropped(kind,
                                                                 fields))
        self.assertTrue(self.peer("submitd-spool").dropped(
            TICKET, blob(b"x") + text("") + b"\2"))

    def test_mutated(self):
        """Requests with octets changed, cut out and put in: each is answered or
        drops its peer, and nobody else hears of it."""
        rnd = random.Random(4)
        h = self.smtp.session(SMTP, "127.0.11.1")
        s = self.pop.session(POP, "127.0.11.1")
        start = [blob(h) + text(TLS) + text(mech) + b"\1" + blob(ir) +
                 text(binding) + blob(b"x" * 32) + blob(b"c" * 32)
                 for mech, ir, binding in (
                     ("PLAIN", b"\0alice\0wrong", ""),
                     ("LOGIN", b"alice", ""), ("EXTERNAL", b"", ""),
                     ("SCRAM-SHA-256", b"n,,n=alice,r=abcdef", ""),
                     ("SCRAM-SHA-256-PLUS", b"p=tls-exporter,,n=alice,r=abc",
                      "tls-exporter"))]
        good = {"submitd-smtp": [(START, x) for x in start] + [
                    (STEP, struct.pack(">I", 512) + blob(b"x")),
                    (CANCEL, struct.pack(">I", 512)),
                    (MAIL, blob(h) + blob(b"") + text(TLS) + text("a@b.org")),
                    (RCPT, text("alice@example.org"))],
                "popd-pop": [(APOP, blob(s) + text(TLS) + text("alice") +
                              text("<%s.1@mail.example.org>" % SID) +
                              blob(b"d" * 16))],
                "submitd-spool": [(TICKET, blob(b"x" * 60) + text("a@b.org") +
                                   b"\0")],
                "popd-mbox": [(MAILDROP, blob(b"x" * 60))],
                "submitd-local": [(DELIVER, text("alice@example.org"))]}
        for folder, packets in good.items():
            p = self.peer(folder)
            for _ in range(400 * len(packets)):
                kind, fields = rnd.choice(packets)
                f = bytearray(fields)
                for _ in range(rnd.randint(1, 3)):
                    at = rnd.randrange(len(f) + 1)
                    how = rnd.randrange(4)
                    if how == 0 and at < len(f):
                        f[at] ^= 1 << rnd.randrange(8)
                    elif how == 1 and at < len(f):
                        f[at] = rnd.choice((0, 1, 0x7f, 0x80, 0xff))
                    elif how == 2:
                        del f[at:at + rnd.randint(1, 9)]
                    else:
                        f[at:at] = rnd.randbytes(rnd.randint(1, 9))
                try:
                    p.send(kind, bytes(f))
                except (BrokenPipeError, ConnectionError):
                    p.close()
                    p = self.peer(folder)
            p.close()
        self.login()
        self.assertEqual(self.smtp.call(RCPT, text("x@example.org")).verdict,
                         "NOUSER")

    def test_session(self):
        tcp = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(tcp.close)
        c = socket.create_connection(tcp.getsockname())
        self.addCleanup(c.close)
        a, b = socket.socketpair()
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with open("/dev/null") as null:
            for fields, fd in (
                    (text(SID) + b"\1", a.fileno()),
                    (text(SID) + b"\1", null.fileno()),
                    (text(SID) + b"\1", udp.fileno()),
                    (text(SID) + b"\2", c.fileno()),
                    (text(SID) + b"\3", c.fileno()),
                    (text("no id\r\n") + b"\1", c.fileno()),
                    (text("x" * 33) + b"\1", c.fileno())):
                self.assertTrue(self.peer("submitd-smtp").dropped(
                    SESSION, fields, fd), fields)
        # A descriptor with a request that takes none.
        self.assertTrue(self.peer("submitd-smtp").dropped(
            RCPT, text("x@example.org"), c.fileno()))
        for x in (a, b, udp):
            x.close()
        # A socket that is not connected (any more): not the worker's fault.
        r = self.smtp.call(SESSION, text(SID) + b"\1", tcp.fileno())
        self.assertEqual(r.verdict, "TEMP")

    def test_two_requests_on_one_exchange(self):
        h = self.smtp.session(SMTP, "127.0.10.1")
        r = self.smtp.start(h, "PLAIN")
        step = struct.pack(">I", r.u32()) + blob(b"\0alice\0wrong")
        self.smtp.send(STEP, step)
        self.assertTrue(self.smtp.dropped(STEP, step))

    def test_kill(self):
        """authd-core dies; the next one serves, and knows the tickets."""
        h, t = self.login()
        out = subprocess.run(["pgrep", "-P", str(self.authd.process.pid)],
                             stdout=subprocess.PIPE, text=True, check=True)
        n = self.authd.lines().count("ev=ready")
        os.kill(int(out.stdout.split()[0]), signal.SIGKILL)
        end = time.monotonic() + 10
        while True:
            try:
                self.setUp()
                r = self.smtp.mail(h, "alice@example.org", t)
                break
            except (EOFError, OSError):
                self.assertLess(time.monotonic(), end)
                time.sleep(0.1)
        self.assertEqual(r.verdict, "OK")
        self.assertGreaterEqual(self.authd.lines().count("ev=ready"), n)

    def test_secrets_are_not_logged(self):
        self.login()
        h = self.smtp.session(SMTP, "127.0.10.2")
        self.smtp.plain(h, "alice", "a wrong secret")
        for secret in (PASSWORD, PASSWORD.replace(" ", "%20"), "wrong%20secret"):
            self.assertFalse(secret in self.authd.lines())
        self.assert_log("ev=auth.ok")
        self.assert_log("ev=auth.fail")


def main():
    demote()
    if not os.access(BUILD + "/auth/authd-core", os.X_OK):
        print("no authd-core that this user may run in " + BUILD)
        sys.exit(77)
    unittest.main(verbosity=2)


if __name__ == "__main__":
    main()
