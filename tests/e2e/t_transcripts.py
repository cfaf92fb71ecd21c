"""Sessions as they stand in tests/session/*.t, held against the real daemon.

A file has transcripts, each a test named after its RFC and section:

    == RFC 5321 4.1.1.5: RSET and its transaction
    begin auth
    C: MAIL FROM:<anna@example.test>
    S: 250
    C: RSET
    S: 250 2.0.0 OK
    C> BDAT 4 LAST\\r\\nQUIT
    S: 503 5.5.1 *
    E:

begin says where it begins: banner (nothing was said), clear (EHLO in clear), tls
(the implicit-TLS port, nothing was said), ehlo (EHLO under TLS) or auth (and
logged in as anna). C: is a line that the client sends, C> are octets as they
are, with the escapes of Python's bytes. S: is the code of a reply ("501|535": one of
them) and a glob for its text (all lines of it; behind "!" it must not fit); what
is not said is not looked at. E: the connection ends. Words in ${}: "x*505" is x
505 times, "b64 TEXT" and "plain AUTHZID,USER,PASSWORD" are encoded, where "" is
the user's own.
"""

import base64
import fnmatch
import glob
import os
import re
import unittest

from rfc_instance import rfc_instance
from submitd_instance import ANNA

HERE = os.path.dirname(os.path.abspath(__file__))
FOLDER = os.path.join(os.path.dirname(HERE), "session")
BEGIN = {
    "banner": dict(tls=False, helo=None),
    "clear": dict(tls=False),
    "tls": dict(service="submissions", helo=None),
    "ehlo": {},
    "auth": None,
}


def setUpModule():
    global inst, hop
    inst, hop = rfc_instance()


def tearDownModule():
    inst.close()
    hop.down()


def b64(text):
    return base64.b64encode(text.encode()).decode()


def expand(word):
    """What stands in ${}."""
    m = re.fullmatch(r"(.+)\*(\d+)", word)
    if m:
        return m.group(1) * int(m.group(2))
    what, _, rest = word.partition(" ")
    if what == "b64":
        return b64(rest)
    if what == "plain":
        authzid, user, password = rest.split(",")
        return b64("%s\0%s\0%s" % (authzid, user,
                                   password or inst.users[user]))
    raise ValueError("${%s}" % word)


def octets(kind, text):
    text = re.sub(r"\$\{([^}]*)\}", lambda m: expand(m.group(1)), text)
    if kind == "C>":
        return text.encode("latin-1", "backslashreplace").decode(
            "unicode_escape").encode("latin-1")
    return text.encode() + b"\r\n"


class Transcripts(unittest.TestCase):
    maxDiff = None

    def expect(self, w, want, sent):
        code, text = w.reply()
        number, _, words = want.partition(" ")
        what = "%r got %d %s" % (sent[:100], code, text)
        self.assertIn(str(code), number.split("|"), what)
        if words:
            self.assertNotEqual(words[0] == "!", fnmatch.fnmatchcase(
                text, words.removeprefix("!")), what)

    def transcript(self, begin, steps):
        sent = b""
        with (inst.smtp_as(ANNA) if begin == "auth" else
              inst.smtp(**BEGIN[begin])) as w:
            for kind, text in steps:
                if kind == "S:":
                    self.expect(w, text, sent)
                elif kind == "E:":
                    self.assertTrue(w.is_closed())
                else:
                    sent = octets(kind, text)
                    w.send(sent)


def parse(path):
    """(title, begin, steps) of each."""
    out = []
    with open(path, encoding="utf-8", newline="\n") as f:
        for n, line in enumerate(f, 1):
            line = line.rstrip("\n")
            kind, _, text = line.partition(" ")
            if line.startswith("#") or not line:
                continue
            if kind == "==":
                out.append([text, None, []])
            elif kind == "begin" and text in BEGIN:
                out[-1][1] = text
            elif kind in ("C:", "C>", "S:", "E:") and out[-1][1]:
                out[-1][2].append((kind, text))
            else:
                raise SyntaxError("%s:%d: %s" % (path, n, line))
    return out


def add_all():
    for path in sorted(glob.glob(os.path.join(FOLDER, "*.t"))):
        for title, begin, steps in parse(path):
            def test(self, begin=begin, steps=steps):
                self.transcript(begin, steps)
            test.__doc__ = title
            name = "test_" + re.sub(r"\W+", "_", title.lower().replace(
                "rfc ", "rfc")).strip("_")
            if hasattr(Transcripts, name):
                raise SyntaxError("%s: %s: twice" % (path, title))
            setattr(Transcripts, name, test)


add_all()
