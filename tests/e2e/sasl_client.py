"""A SASL client that can be told to lie: SCRAM with and without channel binding,
message by message, over SMTP or POP3."""

import base64
import hashlib
import hmac
import os

from submitd_instance import PopWire


def b64(x):
    return base64.b64encode(x.encode() if isinstance(x, str) else x).decode()


class Scram:
    """RFC 5802, RFC 7677. `gs2` is the header as sent, `binding` what the proof
    is made with; both may be wrong on purpose."""

    def __init__(self, user, password, hash="sha256", gs2="n,,", binding=b""):
        self.password = password
        self.hash = hash
        self.gs2 = gs2
        self.binding = binding
        self.nonce = b64(os.urandom(18))
        name = user.replace("=", "=3D").replace(",", "=2C")
        self.bare = "n=%s,r=%s" % (name, self.nonce)

    def first(self):
        return self.gs2 + self.bare

    def final(self, server_first):
        f = dict(x.split("=", 1) for x in server_first.split(","))
        assert f["r"].startswith(self.nonce) and f["r"] != self.nonce
        self.iterations = int(f["i"])
        salted = hashlib.pbkdf2_hmac(self.hash, self.password.encode(),
                                     base64.b64decode(f["s"]), self.iterations)
        key = hmac.digest(salted, b"Client Key", self.hash)
        without = "c=%s,r=%s" % (b64(self.gs2.encode() + self.binding), f["r"])
        message = ",".join((self.bare, server_first, without)).encode()
        stored = hashlib.new(self.hash, key).digest()
        sig = hmac.digest(stored, message, self.hash)
        self.want = "v=" + b64(hmac.digest(
            hmac.digest(salted, b"Server Key", self.hash), message, self.hash))
        return without + ",p=" + b64(bytes(a ^ b for a, b in zip(key, sig)))


class Exchange:
    """AUTH on an open connection. say() gives "continue" and the challenge's
    octets, or "ok" or "no" and the reply's text."""

    def __init__(self, wire, mech):
        self.wire = wire
        self.pop = isinstance(wire, PopWire)
        self.head = "AUTH " + mech

    def line(self, line):
        self.wire.send(line + "\r\n")
        if self.pop:
            text = self.wire.line().decode("latin-1").rstrip("\r\n")
            if text.startswith("+ "):
                return "continue", base64.b64decode(text[2:], validate=True)
            return ("ok" if text.startswith("+OK") else "no"), text
        code, text = self.wire.reply()
        if code == 334:
            return "continue", base64.b64decode(text, validate=True)
        return ("ok" if code == 235 else "no"), "%d %s" % (code, text)

    def say(self, message, first=False):
        text = b64(message)
        if first:
            text = self.head + " " + (text or "=")
        return self.line(text)

    def ask(self):
        return self.line(self.head)

    def scram(self, scram, initial=True):
        """The whole of it; what the server said at the end. A wrong signature of
        the server's is an error."""
        if initial:
            what, r = self.say(scram.first(), first=True)
        else:
            what, r = self.ask()
            if what == "continue":
                assert r == b"", r
                what, r = self.say(scram.first())
        if what != "continue":
            return what, r
        what, r = self.say(scram.final(r.decode()))
        if what == "continue":
            assert r.decode() == scram.want, r
            what, r = self.line("")
        return what, r
