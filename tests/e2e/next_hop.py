#!/usr/bin/env python3
"""A next hop that does what a test tells it: a fake SMTP or LMTP server.

Standard library only. As a module:

    with NextHop(directory) as hop:             # 127.0.0.1, a free port
        hop.rule("RCPT", "reply 451 4.2.1 not now", times=1)
        ...
        hop.wait_messages(1)[0].data            # the message's exact octets

As a program it prints "port=N" once it listens, takes commands on stdin
("rule VERB ACTION…", "clear", "down", "up", "quit") and ends with its stdin:

    next_hop.py --dir DIR [--port N] [--tls CERT KEY] [--ext NAME]...
                [--rule "VERB ACTION"]...

Each accepted message is DIR/NNNN.eml (its octets after dot-unstuffing, CR LF
kept) and DIR/NNNN.json (sender, recipients, helo, tls, parameters); what went
over the wire is DIR/log.jsonl, one JSON object a line.

Verbs of rules: CONNECT (before the greeting), GREETING, EHLO, HELO, STARTTLS,
HANDSHAKE, MAIL, RCPT, DATA, CONTENT (while the content comes), EOD (the answer
to it), LMTP (the answer for one recipient), AUTH, RSET, QUIT, NOOP. `match` (in a program's rule: ~REGEX as first word) must be
found in the line. `times=N` ends a rule after N uses. The first rule that fits
is taken. Actions:

    reply CODE TEXT     this reply instead of the usual one ("|" splits lines);
                        421 closes behind it
    close CODE TEXT     this reply, then the end of the connection
    drop                close the connection without a word
    reset               the same with a TCP reset
    garbage             a line that is no reply
    binary              NULs and high octets
    huge                a reply with a line of a mebibyte
    endless             a reply of continuation lines that never ends
    barelf              the usual reply with LF instead of CR LF
    slow SECONDS        wait, then go on as usual
    wait                wait until the rule is no more, then go on as usual
    dribble SECONDS     the usual reply, octet by octet, this long in between
    hang                never answer
    accept_drop         (EOD) keep the message, then drop without an answer
    inject TEXT         (STARTTLS) the 220 and TEXT behind it in one packet
    plain               (HANDSHAKE) answer the handshake with clear text
"""

import argparse
import base64
import json
import os
import re
import shlex
import socket
import ssl
import struct
import sys
import threading
import time


# How long a test waits for what is to come.
PATIENCE_S = 60.0


class Closed(Exception):
    """The connection is to end, or has ended."""


class Rule:
    def __init__(self, verb, action, match=None, times=None):
        self.verb = verb.upper()
        self.action, _, self.argument = action.partition(" ")
        self.match = re.compile(match) if match else None
        self.times = times
        self.used = 0

    def fits(self, verb, line):
        if self.verb != verb or (self.times is not None
                                 and self.used >= self.times):
            return False
        return self.match is None or bool(self.match.search(line))


class Message:
    def __init__(self, number, sender, recipients, parameters, helo, tls,
                 data, at, connection, rcpt_parameters=()):
        self.number = number
        self.sender = sender
        self.recipients = recipients
        self.parameters = parameters
        self.helo = helo
        self.tls = tls
        self.data = data
        self.at = at
        self.connection = connection
        self.rcpt_parameters = list(rcpt_parameters)
        self.mail_at = at           # when MAIL came

    def as_json(self):
        return {k: v for k, v in vars(self).items() if k != "data"}


class NextHop:
    # Of the ephemeral ports one could be another's while the hop is down.
    choose_port = None
    EXTENSIONS = ("PIPELINING", "SIZE 104857600", "8BITMIME",
                  "ENHANCEDSTATUSCODES")

    def __init__(self, directory=None, port=0, address="127.0.0.1", tls=None,
                 extensions=EXTENSIONS, lmtp=False, path=None,
                 tls_from_start=False, logins=None):
        self.directory = directory
        self.address = address
        self.port = port
        self.extensions = list(extensions)
        self.lmtp = lmtp
        self.path = path            # of a UNIX socket, instead of a port
        self.tls_from_start = tls_from_start
        self.logins = logins or {}  # user: password or token
        self.tls = None
        if tls:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(*tls)
        self.rules = []
        self.messages = []
        self.events = []
        self.connections = 0        # ever
        self.open_now = 0
        self.open_most = 0
        self.changed = threading.Condition()
        self.listener = None
        self.sockets = set()
        if directory:
            os.makedirs(directory, exist_ok=True)

    # -- what tests call

    def __enter__(self):
        self.up()
        return self

    def __exit__(self, *_):
        self.down()

    def up(self):
        """Listens (again, on the same port)."""
        if self.listener:
            return
        if self.path:
            s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            if os.path.exists(self.path):
                os.unlink(self.path)
            s.bind(self.path)
            os.chmod(self.path, 0o666)
            s.listen(256)
        else:
            family = socket.AF_INET6 if ":" in self.address else socket.AF_INET
            if not self.port and self.choose_port:
                self.port = self.choose_port()
            s = socket.socket(family, socket.SOCK_STREAM)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind((self.address, self.port))
            s.listen(256)
            self.port = s.getsockname()[1]
        self.listener = s
        threading.Thread(target=self._accept, args=(s,), daemon=True).start()

    def down(self):
        """Connects are refused from now on; open connections are cut."""
        s, self.listener = self.listener, None
        if s:
            # shutdown wakes the thread that sits in accept()
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            s.close()
        with self.changed:
            open_now = list(self.sockets)
        for c in open_now:
            try:
                c.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def begin_anew(self, extensions=None):
        """As if nothing had been; what it offers, for new connections."""
        if extensions is not None:
            self.extensions = list(extensions)
            self.down()
        self.up()
        self.clear()
        self.messages.clear()
        self.events.clear()

    def rule(self, verb, action, match=None, times=None):
        rule = Rule(verb, action, match, times)
        with self.changed:
            self.rules.append(rule)
        return rule

    def clear(self):
        with self.changed:
            self.rules.clear()

    def wait(self, test, timeout=PATIENCE_S):
        """Waits until test() is true; returns what it gave last."""
        end = time.monotonic() + timeout
        with self.changed:
            while True:
                result = test()
                left = end - time.monotonic()
                if result or left <= 0:
                    return result
                self.changed.wait(min(left, 0.25))

    def wait_messages(self, n, timeout=PATIENCE_S):
        """The messages once there are n of them (or TimeoutError)."""
        if not self.wait(lambda: len(self.messages) >= n, timeout):
            raise TimeoutError("%d of %d messages came"
                               % (len(self.messages), n))
        return list(self.messages)

    def count(self, verb):
        with self.changed:
            return sum(1 for e in self.events if e["verb"] == verb)

    def times_of(self, verb):
        """When (time.monotonic()) each such command came."""
        with self.changed:
            return [e["at"] for e in self.events if e["verb"] == verb]

    # -- the rest is the server's

    def _accept(self, listener):
        while True:
            try:
                sock, peer = listener.accept()
            except OSError:
                return
            with self.changed:
                self.connections += 1
                self.open_now += 1
                self.open_most = max(self.open_most, self.open_now)
                self.sockets.add(sock)
                number = self.connections
            session = Session(self, sock, number)
            threading.Thread(target=session.run, daemon=True).start()

    def _ended(self, sock):
        with self.changed:
            self.open_now -= 1
            self.sockets.discard(sock)
            self.changed.notify_all()

    def _find(self, verb, line):
        with self.changed:
            for rule in self.rules:
                if rule.fits(verb, line):
                    rule.used += 1
                    return rule
        return None

    def _event(self, verb, **more):
        event = dict(verb=verb, at=time.monotonic(), **more)
        with self.changed:
            self.events.append(event)
            self.changed.notify_all()
            if self.directory:
                with open(os.path.join(self.directory, "log.jsonl"), "a",
                          encoding="utf-8") as log:
                    log.write(json.dumps(event) + "\n")

    def _keep(self, session, data):
        with self.changed:
            m = Message(len(self.messages) + 1, session.sender,
                        list(session.recipients), session.parameters,
                        session.helo, session.tls, data, time.monotonic(),
                        session.number, list(session.rcpt_parameters))
            if self.directory:
                base = os.path.join(self.directory, "%04d" % m.number)
                with open(base + ".eml", "wb") as f:
                    f.write(data)
                with open(base + ".part", "w", encoding="utf-8") as f:
                    json.dump(m.as_json(), f)
                os.rename(base + ".part", base + ".json")
            m.mail_at = session.mail_at
            self.messages.append(m)
            self.changed.notify_all()


class Session:
    LINE_MAX = 8192

    def __init__(self, hop, sock, number):
        self.hop = hop
        self.sock = sock
        self.number = number
        self.buffer = b""
        self.helo = None
        self.tls = None
        self.dribble = 0.0
        self.barelf = False
        self.mail_at = 0.0
        self.forget()

    def forget(self):
        self.sender = None
        self.parameters = ""
        self.recipients = []
        self.rcpt_parameters = []

    def run(self):
        try:
            if not self.hop.path:
                self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.hop._event("CONNECT", connection=self.number)
            self.act("CONNECT", "", None)
            if self.hop.tls_from_start:
                self.shake_hands()
            self.act("GREETING", "", "220 hop.test ESMTP ready")
            while True:
                self.command(self.line())
        except (Closed, OSError, ssl.SSLError):
            pass
        finally:
            self.hop._event("CLOSED", connection=self.number)
            self.hop._ended(self.sock)
            self.sock.close()

    def send(self, data):
        self.sock.sendall(data)

    def fill(self):
        data = self.sock.recv(65536)
        if not data:
            raise Closed
        self.buffer += data

    def line(self):
        while b"\r\n" not in self.buffer:
            if len(self.buffer) > self.LINE_MAX:
                raise Closed
            self.fill()
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line.decode("latin-1")

    def reply(self, text):
        """`text` is "CODE words", with "|" between the lines of a reply."""
        if text is None:
            return
        code, _, rest = text.partition(" ")
        parts = rest.split("|")
        end = b"\n" if self.barelf else b"\r\n"
        data = b"".join(
            ("%s%s%s" % (code, " " if i == len(parts) - 1 else "-", part))
            .encode("latin-1") + end for i, part in enumerate(parts))
        if self.dribble:
            for i in range(len(data)):
                self.send(data[i:i + 1])
                time.sleep(self.dribble)
        else:
            self.send(data)
        self.dribble, self.barelf = 0.0, False

    def act(self, verb, line, usual):
        """Does what a rule says, else the usual reply. True: the usual."""
        rule = self.hop._find(verb, line)
        if rule is None:
            self.reply(usual)
            return True
        action, argument = rule.action, rule.argument
        if action in ("reply", "close"):
            self.reply(argument)
            if action == "close" or argument.startswith("421"):
                raise Closed
            return False
        if action == "slow":
            time.sleep(float(argument))
        elif action == "wait":
            self.hop.wait(lambda: rule not in self.hop.rules, 60)
        elif action == "dribble":
            self.dribble = float(argument)
        elif action == "barelf":
            self.barelf = True
        else:
            self.misbehave(action, argument)
            return False
        self.reply(usual)
        return True

    def misbehave(self, action, argument):
        if action == "reset":
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                 struct.pack("ii", 1, 0))
            raise Closed
        if action == "garbage":
            self.send(b"this is not a reply\r\n")
        elif action == "binary":
            self.send(b"250 \0\1\2\xff\xfe\x1b[2J\r\n")
        elif action == "huge":
            self.send(b"250 " + b"x" * (1 << 20) + b"\r\n")
        elif action == "endless":
            while True:
                self.send(b"250-and another line\r\n" * 64)
        elif action == "hang":
            while True:
                self.fill()
                self.buffer = b""
        elif action == "inject":
            self.send(b"220 2.0.0 go ahead\r\n" + argument.encode() + b"\r\n")
        else:
            raise Closed        # drop, and whatever has no meaning here

    def command(self, line):
        verb = line.split(" ", 1)[0].upper()
        self.hop._event(verb, line=line, connection=self.number,
                        tls=self.tls)
        handler = getattr(self, "do_" + verb.lower(), None)
        if handler is None:
            self.reply("500 5.5.1 what is that")
        else:
            handler(line)

    def do_ehlo(self, line):
        parts = ["hop.test"] + self.hop.extensions
        if self.hop.tls and not self.tls:
            parts.append("STARTTLS")
        if self.hop.logins:
            parts.append("AUTH PLAIN LOGIN XOAUTH2")
        if line[:4].upper() != ("LHLO" if self.hop.lmtp else "EHLO"):
            self.reply("500 5.5.1 what is that")
        elif self.act("EHLO", line, "250 " + "|".join(parts)):
            self.helo = line.partition(" ")[2]
            self.forget()

    do_lhlo = do_ehlo

    def do_helo(self, line):
        if self.act("HELO", line, "250 hop.test"):
            self.helo = line.partition(" ")[2]
            self.forget()

    def do_starttls(self, line):
        if not self.hop.tls or self.tls:
            self.reply("502 5.5.1 no TLS here")
            return
        if not self.act("STARTTLS", line, "220 2.0.0 go ahead"):
            return
        rule = self.hop._find("HANDSHAKE", line)
        if rule is not None:
            if rule.action != "drop":
                self.fill()             # its first words
            if rule.action == "plain":
                self.send(b"554 5.7.0 no handshake today\r\n")
                self.fill()
            self.misbehave(rule.action, rule.argument)
        self.shake_hands()

    def shake_hands(self):
        with self.hop.changed:
            self.hop.sockets.discard(self.sock)
        # The old object is detached: its descriptor lives on in the new one.
        self.sock = self.hop.tls.wrap_socket(
            self.sock, server_side=True, do_handshake_on_connect=False)
        with self.hop.changed:
            self.hop.sockets.add(self.sock)
        self.sock.do_handshake()
        self.tls = self.sock.version()
        self.buffer, self.helo = b"", None
        self.forget()

    def ask(self, text):
        self.reply("334 " + base64.b64encode(text.encode()).decode())
        return base64.b64decode(self.line()).decode()

    def do_auth(self, line):
        words = line.split(" ")
        mech = words[1].upper()
        if mech == "LOGIN":
            user, secret = self.ask("Username:"), self.ask("Password:")
        else:
            answer = base64.b64decode(words[2]).decode()
            if mech == "PLAIN":
                _, user, secret = answer.split("\0")
            else:
                user = re.match("user=([^\1]*)\1", answer).group(1)
                secret = re.search("auth=Bearer ([^\1]*)\1", answer).group(1)
        good = self.hop.logins.get(user) == secret
        self.hop._event("LOGIN", connection=self.number, mech=mech, user=user,
                        good=good, tls=self.tls)
        if not good and mech == "XOAUTH2":
            self.ask('{"status":"401"}')
        if not self.act("AUTH", line, "235 2.7.0 welcome" if good else
                        "535 5.7.8 bad credentials"):
            return

    def do_mail(self, line):
        m = re.match(r"(?i)MAIL FROM:<([^>]*)>(.*)$", line)
        if not m:
            self.reply("501 5.5.4 syntax")
        elif self.act("MAIL", line, "250 2.1.0 sender ok"):
            self.forget()
            self.sender, self.parameters = m.group(1), m.group(2).strip()
            self.mail_at = time.monotonic()

    def do_rcpt(self, line):
        m = re.match(r"(?i)RCPT TO:<([^>]*)>(.*)$", line)
        if not m:
            self.reply("501 5.5.4 syntax")
        elif self.sender is None:
            self.reply("503 5.5.1 MAIL first")
        elif self.act("RCPT", line, "250 2.1.5 recipient ok"):
            self.recipients.append(m.group(1))
            self.rcpt_parameters.append(m.group(2).strip())

    def do_data(self, line):
        if not self.recipients:
            self.reply("503 5.5.1 RCPT first")
            return
        if not self.act("DATA", line, "354 go ahead"):
            return
        self.act("CONTENT", line, None)
        self.take(self.content())

    def do_bdat(self, line):
        """One chunk, the last one."""
        size = int(line.split(" ")[1])
        while len(self.buffer) < size:
            self.fill()
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        self.take(data)

    def take(self, data):
        self.hop._event("EOD", connection=self.number, octets=len(data))
        rule = self.hop._find("EOD", self.sender)
        if rule is None or rule.action in ("slow", "dribble", "barelf",
                                           "accept_drop"):
            if rule is not None and rule.action == "slow":
                time.sleep(float(rule.argument))
            if rule is not None and rule.action == "dribble":
                self.dribble = float(rule.argument)
            self.barelf = rule is not None and rule.action == "barelf"
            self.hop._keep(self, data)
            if rule is not None and rule.action == "accept_drop":
                raise Closed
            for rcpt in self.recipients if self.hop.lmtp else [""]:
                self.act("LMTP", rcpt, "250 2.0.0 queued as N%d"
                         % len(self.hop.messages))
        elif rule.action in ("reply", "close"):
            self.reply(rule.argument)
            if rule.action == "close" or rule.argument.startswith("421"):
                raise Closed
        else:
            self.misbehave(rule.action, rule.argument)
        self.forget()

    def content(self):
        """Reads to CRLF.CRLF and takes the stuffed dots out."""
        got, self.buffer = bytearray(b"\r\n" + self.buffer), b""
        start = 0
        while True:
            end = got.find(b"\r\n.\r\n", start)
            if end >= 0:
                break
            start = max(0, len(got) - 4)
            self.fill()
            got += self.buffer
            self.buffer = b""
        self.buffer = bytes(got[end + 5:])
        return bytes(got[:end + 2]).replace(b"\r\n.", b"\r\n")[2:]

    def do_rset(self, line):
        if self.act("RSET", line, "250 2.0.0 forgotten"):
            self.forget()

    def do_noop(self, line):
        self.act("NOOP", line, "250 2.0.0 still here")

    def do_quit(self, line):
        self.act("QUIT", line, "221 2.0.0 bye")
        raise Closed


def add_rule(hop, text):
    """VERB [~REGEX] [times=N] ACTION…"""
    words = text.split(None, 1)
    verb, rest = words[0], words[1]
    match = times = None
    while True:
        head, _, tail = rest.partition(" ")
        if head.startswith("~"):
            match = head[1:]
        elif head.startswith("times="):
            times = int(head[6:])
        else:
            break
        rest = tail
    hop.rule(verb, rest, match, times)


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--dir", required=True)
    p.add_argument("--address", default="127.0.0.1")
    p.add_argument("--port", type=int, default=0)
    p.add_argument("--tls", nargs=2, metavar=("CERT", "KEY"))
    p.add_argument("--ext", action="append")
    p.add_argument("--rule", action="append", default=[])
    a = p.parse_args()
    hop = NextHop(a.dir, a.port, a.address, a.tls,
                  a.ext if a.ext is not None else NextHop.EXTENSIONS)
    for text in a.rule:
        add_rule(hop, text)
    hop.up()
    print("port=%d" % hop.port, flush=True)
    for line in sys.stdin:
        words = shlex.split(line)
        if not words:
            continue
        if words[0] == "rule":
            add_rule(hop, line.strip().split(None, 1)[1])
        elif words[0] in ("clear", "down", "up"):
            getattr(hop, words[0])()
        elif words[0] == "quit":
            break
        print("ok", flush=True)
    hop.down()


if __name__ == "__main__":
    main()
