"""An authd of one's own and peers that speak its protocol (auth/PROTOCOL): what
the tests of authd_wire*.py share.
"""

import base64
import concurrent.futures.thread	# now, for nobody may not read it later
import encodings.idna	# the same
import hashlib
import hmac
import json
import os
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
 DELIVER, APOP, WHO_ENTRY, WHO_END, FROM, EVENT, USERS) = range(1, 16)
STATE, KICK, WHO, USER = range(64, 68)
VERDICTS = ("OK CONTINUE BADCRED TEMP NOAUTH NOTSENDER VOID NOUSER BADMECH "
            "NOINITIAL MALFORMED TRANSITION LIMIT").split()
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

    def wait_until(self, test, what):
        """What test() gives as soon as it is true."""
        end = time.monotonic() + 20
        while True:
            result = test()
            if result:
                return result
            if time.monotonic() > end or self.process.poll() is not None:
                raise RuntimeError("no %r in\n%s" % (what, self.lines()[-4000:]))
            time.sleep(0.02)

    def wait_for(self, text, n=1):
        self.wait_until(lambda: self.lines().count(text) >= n, text)

    def core(self):
        """The process id of authd-core, or None while there is none."""
        out = subprocess.run(["pgrep", "-P", str(self.process.pid)],
                             stdout=subprocess.PIPE, text=True, check=False)
        return int(out.stdout.split()[0]) if out.stdout else None

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
        self.kind = kind
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
            assert self.notice(WHO) == bytes(4)
            self.missed = [f for k, f in self.notices if k == KICK]
            self.notices = []

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

    def session(self, service, client="127.0.0.1", sid=SID, claim="",
                port=0, verdict="OK"):
        """A handle for a TCP connection from `client`."""
        server = socket.create_server(("127.0.0.1", port))
        c = socket.create_connection(server.getsockname(),
                                     source_address=(client, 0))
        a, _ = server.accept()
        r = self.call(SESSION, text(sid) + bytes([service]) + text(claim),
                      a.fileno())
        for x in (c, a, server):
            x.close()
        assert r.verdict == verdict, r.verdict
        if verdict != "OK":
            return None
        handle = r.blob()
        assert not r.rest
        return handle

    def start(self, handle, mech, ir=None, tls=TLS, binding="", data=b"",
              cert=b""):
        return self.call(START, blob(handle) + text(tls) + text(mech) +
                         bytes([ir is not None]) + blob(ir or b"") +
                         text(binding) + blob(data) + blob(cert))

    def start_new(self, service, mech, ir=None, sid=SID, claim="",
                  client="127.0.0.1", gone=False):
        """START that brings its session along."""
        server = socket.create_server(("127.0.0.1", 0))
        c = socket.create_connection(server.getsockname(),
                                     source_address=(client, 0))
        a, _ = server.accept()
        if gone:
            a.shutdown(socket.SHUT_RDWR)
            c.close()
        try:
            return self.call(
                START, blob(b"") + text(TLS) + text(mech) +
                bytes([ir is not None]) + blob(ir or b"") + text("") +
                blob(b"") + blob(b"") + text(sid) + bytes([service]) +
                text(claim), a.fileno())
        finally:
            for x in (c, a, server):
                x.close()

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

    def header(self, ticket, *addresses):
        """Whose the addresses are, or the verdict."""
        r = self.call(FROM, blob(ticket) + struct.pack(">H", len(addresses)) +
                      b"".join(text(a) for a in addresses))
        if r.verdict != "OK":
            return r.verdict
        owned = list(r.blob())
        assert not r.rest
        return owned

    def verdicts(self, n, want):
        """The next n replies, in the order they come (handles apart)."""
        got = []
        while len(got) < n:
            packet = self.s.recv(65536)
            got.append(VERDICTS[packet[8]])
        assert set(got) == want, got

    def ticket(self, ticket, sender, phase=0, recipients=1, reservation=0,
               octets=100):
        return self.call(TICKET, blob(ticket) + text(sender) + bytes([phase]) +
                         struct.pack(">IQI", recipients, octets, reservation))

    def release(self, reservation):
        self.send(TICKET, blob(b"") + text("") + bytes([2]) +
                  struct.pack(">IQI", 0, 0, reservation))

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

    def ok(self, r, user="alice@example.org", login="", new=False):
        """The ticket; with the session's handle, if it was new."""
        self.assertEqual(r.verdict, "OK")
        ticket = r.blob()
        self.assertEqual(r.text(), user)
        self.assertEqual(r.text(), login)
        handle = r.blob() if r.kind != APOP else b""
        self.assertEqual((r.rest, handle != b""), (b"", new))
        return (handle, ticket) if new else ticket

    def login(self, user="alice@example.org", password=PASSWORD,
              client="127.0.0.1"):
        """An SMTP login: handle and ticket."""
        h = self.smtp.session(SMTP, client)
        return h, self.ok(self.smtp.plain(h, user, password), user)

    def pop_login(self, user="alice@example.org", password=PASSWORD,
                  client="127.0.0.1"):
        h = self.pop.session(POP, client)
        return self.ok(self.pop.plain(h, user, password), user)
