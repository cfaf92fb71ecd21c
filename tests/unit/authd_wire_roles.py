"""What authd says unasked, and what drops a peer.

Run by authd_wire.py.
"""

import os
import random
import signal
import socket
import struct

from authd_wire_base import (blob, text, Base, SESSION, START, STEP, CANCEL,
    MAIL, RCPT, TICKET, MAILDROP, DELIVER, APOP, WHO_ENTRY, WHO_END, FROM, EVENT, USERS, USER, TLS, SID,
    SMTP, POP, PASSWORD, NO_TLS_PROOF)


def event(sid=SID, service=SMTP, peer="192.0.2.1", user="", login="", kind=0,
          helo="a.example", flags=0, code=0, text_="", why="quit", sent=b"",
          tls=TLS):
    return (text(sid) + bytes([service]) + text(peer) + struct.pack(">H", 587) +
            text(tls) + text(user) + text(login) + bytes([kind]) + text("") +
            text(helo) + struct.pack(">QIII", 1700000000, 12, 0, flags) +
            struct.pack(">H", code) + text("") + text(text_) + text(why) +
            blob(sent))


class Events(Base):
    """What sessions were: taken without a reply, and nothing that is malformed
    is."""

    def test_taken(self):
        for fields in (
                event(), event(peer="unknown"), event(peer="2001:db8::1"),
                event(user="alice@example.org", kind=1, sent=SID.encode() +
                      b"alice@example.org\0" + SID.encode() + b"\0"),
                event(helo="\u00e4", text_="x" * 255, flags=255, code=599)):
            self.smtp.send(EVENT, fields)
        self.smtp.send(EVENT, event() + event(peer="unknown") + event())
        self.pop.send(EVENT, event(service=POP))
        self.login()

    def test_malformed(self):
        good = event()
        for fields in (
                b"", good + b"x", good[:-1], event(sid="x"),
                good + event(sid="x"), good + good[:-1],
                event(service=POP), event(peer="here"), event(kind=5),
                event(flags=1 << 20), event(tls="a b"),
                event(text_="x" * 256), event(why="x" * 48),
                event(user="x" * 255), event(sent=b"x" * 2049),
                event(sent=SID.encode() + b"x"), event(sent=b"x\0"),
                event(sent=b"x" * 16 + b"\xff\0"),
                good.replace(b"a.example", b"a.\xff\xfeample")):
            with self.subTest(fields=fields[:80]):
                self.assertTrue(self.peer("submitd-smtp").dropped(EVENT,
                                                                  fields))


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
        folders = {"submitd-smtp": {SESSION, START, STEP, CANCEL, MAIL, RCPT,
                                    FROM, EVENT},
                   "popd-pop": {SESSION, START, STEP, CANCEL},
                   "submitd-spool": {TICKET, USERS}, "popd-mbox": {MAILDROP},
                   "submitd-local": {DELIVER}}
        h = self.smtp.session(SMTP)
        fields = {START: blob(h) + text(TLS) + text("LOGIN") + b"\0" + blob(b"") +
                  NO_TLS_PROOF,
                  STEP: struct.pack(">I", 1) + blob(b""),
                  MAIL: blob(h) + blob(b"") + text(TLS) + text(""),
                  RCPT: text("x@example.org"), TICKET: blob(b"x" * 40) + text("") + bytes(17),
                  MAILDROP: blob(b"x" * 40), DELIVER: text("x@example.org"),
                  FROM: blob(b"x" * 40) + b"\0\1" + text("x@example.org"),
                  EVENT: event(), USERS: b"\0\1" + text("x@example.org")}
        for folder, may in folders.items():
            for kind, f in fields.items():
                if kind == EVENT and folder in ("submitd-smtp", "popd-pop"):
                    continue	# taken, and no reply says so
                p = self.peer(folder)
                self.assertEqual(p.dropped(kind, f), kind not in may,
                                 (folder, kind))
            for kind in (0, 99, 64, 65, 66, 99, 0x8001, 0xffff):
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
                (STEP, b""), (CANCEL, b""), (SESSION, text(SID) + b"\1" + text("")),
                (MAIL, blob(h) + blob(b"") + text(TLS)),
                (FROM, blob(b"x")), (FROM, blob(b"x") + b"\0\0"),
                (FROM, blob(b"x") + b"\0\2" + text("a@b.org")),
                (FROM, blob(b"x") + b"\0\1" + text("")),
                (FROM, blob(b"x") + b"\0\xcb" + 203 * text("a@b.org")),
                (MAIL, blob(b"x" * 257) + blob(b"") + text(TLS) + text(""))):
            with self.subTest(kind=kind, fields=fields[-20:]):
                self.assertTrue(self.peer("submitd-smtp").dropped(kind,
                                                                 fields))
        for kind, fields in (
                (TICKET, blob(b"x") + text("") + b"\x09" + bytes(16)),
                (USERS, b""), (USERS, b"\0\0"), (USERS, b"\0\2" + text("a")),
                (USERS, b"\0\1" + text("a") + b"x"),
                (USERS, b"\0\1" + text("x" * 255)),
                (USERS, b"\0\x65" + 101 * text("a"))):
            with self.subTest(kind=kind, fields=fields[-20:]):
                self.assertTrue(self.peer("submitd-spool").dropped(kind,
                                                                  fields))

    def test_users(self):
        """Whose queued mail may go out: asked, and told when it changes."""
        name = "held%d@example.org" % random.randrange(1 << 30)
        spool = self.peer("submitd-spool")

        def states():
            r = spool.call(USERS, b"\0\3" + text("alice@example.org") +
                           text(name) + text("nobody@x.test"))
            return list(r.blob())

        self.assertEqual(states(), [0, 2, 2])
        self.authd.user(name)
        self.assertEqual(spool.notice(USER), text(name) + b"\0")
        for verb, args, state in (
                ("user.disable", {}, 1), ("user.enable", {}, 0),
                ("user.disable", {"sending": True}, 1), ("user.enable", {}, 0),
                ("user.delete", {}, 2)):
            self.authd.ask(verb, user=name, **args)
            self.assertEqual(spool.notice(USER), text(name) + bytes([state]))
            self.assertEqual(states(), [0, state, 2])
        spool.close()

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
                    (FROM, blob(b"x" * 60) + b"\0\2" + text("a@b.org") +
                     text("b@b.org")),
                    (EVENT, event(user="alice@example.org", kind=1,
                                  sent=SID.encode() + b"a@b.org\0")),
                    (RCPT, text("alice@example.org"))],
                "popd-pop": [(APOP, blob(s) + text(TLS) + text("alice") +
                              text("<%s.1@mail.example.org>" % SID) +
                              blob(b"d" * 16))],
                "submitd-spool": [(TICKET, blob(b"x" * 60) + text("a@b.org") +
                                   bytes(17))],
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
                    (text(SID) + b"\1" + text(""), a.fileno()),
                    (text(SID) + b"\1" + text(""), null.fileno()),
                    (text(SID) + b"\1" + text(""), udp.fileno()),
                    (text(SID) + b"\2" + text(""), c.fileno()),
                    (text(SID) + b"\3" + text(""), c.fileno()),
                    (text(SID) + b"\1", c.fileno()),
                    (text(SID) + b"\1" + text("nobody"), c.fileno()),
                    (text(SID) + b"\1" + text("1" * 64), c.fileno()),
                    (text("no id\r\n") + b"\1" + text(""), c.fileno()),
                    (text("x" * 33) + b"\1" + text(""), c.fileno())):
                self.assertTrue(self.peer("submitd-smtp").dropped(
                    SESSION, fields, fd), fields)
        # A descriptor with a request that takes none.
        self.assertTrue(self.peer("submitd-smtp").dropped(
            RCPT, text("x@example.org"), c.fileno()))
        for x in (a, b, udp):
            x.close()
        # A socket that is not connected (any more): not the worker's fault.
        r = self.smtp.call(SESSION, text(SID) + b"\1" + text(""), tcp.fileno())
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
        killed = self.authd.core()
        os.kill(killed, signal.SIGKILL)

        def asked():
            try:
                self.setUp()
                return self.smtp.mail(h, "alice@example.org", t)
            except (EOFError, OSError):
                return None
        r = self.authd.wait_until(asked, "another authd-core")
        self.assertEqual(r.verdict, "OK")
        self.assertNotIn(self.authd.core(), (None, killed))

    def test_secrets_are_not_logged(self):
        self.login()
        h = self.smtp.session(SMTP, "127.0.10.2")
        self.smtp.plain(h, "alice", "a wrong secret")
        for secret in (PASSWORD, PASSWORD.replace(" ", "%20"), "wrong%20secret"):
            self.assertFalse(secret in self.authd.lines())
        self.assert_log("ev=auth.ok")
        self.assert_log("ev=auth.fail")
