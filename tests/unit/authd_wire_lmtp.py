"""Sessions that came by lmtp_listen: what authd makes of the socket, and what
such a session may.

Run by authd_wire.py.
"""

import os
import socket

from authd_wire_base import Base, PASSWORD, POP, SESSION, SID, SMTP, text

FAR = "eve@far.example"


def where(name="lmtp"):
    return "/tmp/authd-wire-%d-%s" % (os.getpid(), name)


class Lmtp(Base):
    peers = None

    @classmethod
    def setUpClass(cls):
        uid = os.getuid() if cls.peers is None else cls.peers
        cls.more = 'lmtp_listen = "unix:%s"\nlmtp_peers = {"%d"}\n' % (
            where(), uid)
        super().setUpClass()

    def made(self, how):
        """The two ends of a connection."""
        with socket.socket(socket.AF_UNIX) as s:
            s.bind(how)
            try:
                s.listen()
                c = socket.socket(socket.AF_UNIX)
                c.connect(how)
                return s.accept()[0], c
            finally:
                os.unlink(how)

    def handle(self, how, peer=None, service=SMTP, claim=""):
        a, c = self.made(how)
        with a, c:
            r = (peer or self.smtp).call(
                SESSION, text(SID) + bytes([service]) + text(claim),
                a.fileno())
        return r.verdict, r.blob() if r.verdict == "OK" else None

    def test_whose_socket(self):
        self.assertEqual(self.handle(where())[0], "OK")
        for how, kw in ((where("another"), {}),
                        (where(), {"claim": "192.0.2.1"}),
                        (where(), {"peer": self.pop, "service": POP})):
            with self.subTest(how=how, **kw):
                self.assertEqual(self.handle(how, **kw)[0], "VOID")

    def test_any_sender_and_nothing_else(self):
        h = self.handle(where())[1]
        tcp = self.smtp.session(SMTP)
        for sender in (FAR, "", "alice@example.org"):
            r = self.smtp.mail(h, sender, tls="")
            self.assertEqual(r.verdict, "OK")
            ticket = r.blob()
            self.assertEqual((r.text(), r.u8()), ("", 4))
            for phase in (0, 1):
                t = self.spool.ticket(ticket, sender, phase)
                self.assertEqual(t.verdict, "OK")
                self.assertEqual((t.text(), t.u8(), t.text()),
                                 ("", 4, "unknown"))
            # Not for another session, nor as a login.
            self.assertEqual(self.smtp.mail(tcp, sender, ticket).verdict,
                             "VOID")
            self.assertEqual(self.smtp.mail(h, sender, ticket).verdict, "VOID")
            self.assertEqual(self.smtp.header(ticket, FAR), "VOID")
        self.assertEqual(self.smtp.plain(h, "alice@example.org",
                                         PASSWORD).verdict, "VOID")
        self.assertEqual(self.smtp.mail(tcp, FAR).verdict, "NOAUTH")

    def test_switched_off(self):
        ticket = self.smtp.mail(self.handle(where())[1], FAR, tls="").blob()
        self.authd.reload("")
        self.assertEqual(self.spool.ticket(ticket, FAR).verdict, "VOID")
        self.assertEqual(self.handle(where())[0], "VOID")
        self.authd.reload(self.more)
        self.assertEqual(self.handle(where())[0], "OK")


class Stranger(Lmtp):
    """Another user than lmtp_peers names."""
    peers = 65533

    def test_whose_socket(self):
        self.assertEqual(self.handle(where())[0], "VOID")

    test_any_sender_and_nothing_else = test_switched_off = lambda self: None
