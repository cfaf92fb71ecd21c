"""Mail programs that nobody here wrote fetch by POP3: each sees every message
once, also one whose header is in UTF-8, keeps its place by UIDL, and deletes
what it was told to."""

import email
import email.policy
import json
import os
import poplib
import pty
import re
import select
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

from submitd_instance import (
    ANNA, BOB, PATIENCE_S, Instance, letter, npm_install, wait_until, need)

PW = "bob-secret"
UTF8 = ("From: J\u00fcrgen M\u00fcller <j\u00fcrgen@b\u00fccher.test>\r\n"
        "To: <%s>\r\nSubject: Gr\u00fc\u00dfe aus K\u00f6ln\r\n"
        "Date: Sun, 22 Nov 2026 05:00:00 +0000\r\n"
        "Message-ID: <utf8.1@client.example.test>\r\n\r\nna\u00efve\r\n"
        % BOB).encode()
BODIES = {
    "dots": b".\r\n..\r\n.leading\r\nmiddle . dot\r\n\r\n.\r\n",
    "eight": "Gr\u00fc\u00dfe\r\n".encode() + bytes(range(0x80, 0x100)) + b"\r\n",
    "long": b"z" * 998 + b"\r\n",
    "blank": b"\r\n\r\nx\r\n\r\n",
}
NODE = """
const {client, host, port, user, password, remove} =
  JSON.parse(require('fs').readFileSync(0));
const out = [];
(async () => {
  if (client === 'node-pop3') {
    const Pop3 = require('node-pop3');
    const p = new Pop3({host, port, tls: true, user, password,
                        tlsOptions: {}, timeout: 20000});
    for (const [n] of await p.UIDL()) {
      out.push(await p.RETR(n));
      if (remove) await p.command('DELE', n);
    }
    await p.QUIT();
  } else {
    const {Client} = require('yapople');
    const p = new Client({host, port, tls: true, mailparser: false,
                          username: user, password});
    await p.connect();
    const all = remove ? await p.retrieveAndDeleteAll() :
      await p.retrieveAll();
    out.push(...all.filter(m => m).map(m => m.toString()));
    await p.quit();
  }
  console.log(JSON.stringify(out));
})().catch(e => { console.error(e); process.exit(1); });
"""


def setUpModule():
    global inst, tmp
    tmp = tempfile.mkdtemp(prefix="submitd-pop-clients-")
    inst = Instance()
    for kind, body in BODIES.items():
        with inst.smtp_as(BOB) as w:
            w.send_mail(BOB, [BOB], letter(kind, BOB, BOB, body=body))
    wait_until(lambda: inst.drop_size(BOB) == len(BODIES), what="delivery")
    path = os.path.join(inst.maildir(BOB), "new", "1790000000.utf8.host")
    with open(path, "wb") as f:
        f.write(UTF8)
    os.chmod(path, 0o660)
    if os.geteuid() == 0:
        st = os.stat(os.path.dirname(path))
        os.chown(path, st.st_uid, st.st_gid)


def tearDownModule():
    shutil.rmtree(tmp, ignore_errors=True)
    inst.close()


def run(cmd, input=b"", env=None, ok=(0,), cwd=None):
    r = subprocess.run(cmd, input=input, capture_output=True,
                       env=dict(os.environ, HOME=tmp, **(env or {})),
                       timeout=2 * PATIENCE_S, cwd=cwd)
    if r.returncode not in ok:
        raise AssertionError("%s: exit %d\n%s\n%s" % (
            cmd, r.returncode, r.stdout[-2000:].decode("latin-1"),
            r.stderr[-3000:].decode("latin-1")))
    return r


def maildir():
    box = tempfile.mkdtemp(dir=tmp)
    for d in ("cur", "new", "tmp"):
        os.mkdir(os.path.join(box, d))
    return box


def read(*parts):
    d = os.path.join(*parts)
    out = []
    for f in sorted(os.listdir(d)):
        with open(os.path.join(d, f), "rb") as h:
            out.append(h.read())
    return out


def path(name, text, mode=0o600):
    p = os.path.join(tempfile.mkdtemp(dir=tmp), name)
    with open(p, "w", encoding="utf-8") as f:
        f.write(text)
    os.chmod(p, mode)
    return p


class Clients(unittest.TestCase):
    def setUp(self):
        """The same messages again for each client."""
        d = inst.maildir(BOB)
        keep = os.path.join(tmp, "kept")
        if not os.path.isdir(keep):
            shutil.copytree(d, keep)
        for sub in ("new", "cur"):
            for f in os.listdir(os.path.join(keep, sub)):
                to = os.path.join(d, sub, f)
                if not os.path.exists(to):
                    shutil.copy2(os.path.join(keep, sub, f), to)
                    if os.geteuid() == 0:
                        st = os.stat(os.path.join(d, "new"))
                        os.chown(to, st.st_uid, st.st_gid)
        self.assertEqual(inst.drop_size(BOB), len(BODIES) + 1)

    def check(self, got):
        """Each once, with its body; the one in UTF-8 as a surrogate that this
        program can read."""
        found = {}
        for m in got:
            m = m.replace(b"\r\n", b"\n")
            parsed = email.message_from_bytes(m, policy=email.policy.default)
            subject = str(parsed["Subject"])
            self.assertNotIn(subject, found)
            found[subject] = m.partition(b"\n\n")[2].rstrip(b"\n")
            if subject not in BODIES:
                self.assertEqual(subject, "Gr\u00fc\u00dfe aus K\u00f6ln")
                self.assertIn("J\u00fcrgen M\u00fcller", str(parsed["From"]))
                self.assertIn("j\u00fcrgen@b\u00fccher.test",
                              str(parsed["From"]))
                m.partition(b"\n\n")[0].decode("ascii")
        for kind, body in BODIES.items():
            self.assertEqual(found[kind], body.replace(b"\r\n", b"\n")
                             .rstrip(b"\n"), kind)
        self.assertEqual(len(found), len(BODIES) + 1)

    def left(self):
        return inst.drop_size(BOB)

    # -- Python

    def test_poplib(self):
        poplib._MAXLINE = 16384
        for utf8 in (False, True):
            p = poplib.POP3_SSL("localhost", inst.port("pop3s"),
                                context=inst.tls_context(),
                                timeout=PATIENCE_S)
            self.assertIn("UTF8", p.capa())
            if utf8:
                p.utf8()
            p.user(BOB)
            p.pass_(PW)
            n, _ = p.stat()
            got = [b"\r\n".join(p.retr(i + 1)[1]) + b"\r\n" for i in range(n)]
            if utf8:
                self.assertIn(UTF8, got)
                for i in range(n):
                    p.dele(i + 1)
                p.rset()
            else:
                self.check(got)
            p.quit()
            self.assertEqual(self.left(), n)

    # -- C

    def test_curl(self):
        need("curl")
        url = "pop3s://localhost:%d/" % inst.port("pop3s")
        base = ["curl", "-s", "--cacert", inst.cert, "-u", BOB + ":" + PW]
        listing = run(base + [url]).stdout.splitlines()
        self.check([run(base + [url + line.split()[0].decode()]).stdout
                    for line in listing])
        uidl = run(base + ["-X", "UIDL", url]).stdout.splitlines()
        self.assertEqual(len({x.split()[1] for x in uidl}), len(listing))
        run(base + ["-X", "DELE 1", "-I", url])
        self.assertEqual(self.left(), len(listing) - 1)

    def test_fetchmail(self):
        need("fetchmail")
        box, ids = tempfile.mkdtemp(dir=tmp), path("ids", "")
        mda = path("mda", '#!/bin/sh\nexec cat >"%s/$$.eml"\n' % box, 0o700)
        for n, keep in enumerate(("keep", "keep", "nokeep fetchall")):
            rc = path("fetchmailrc", (
                'poll localhost service %d protocol pop3 uidl user "%s" '
                'password "%s" ssl sslcertck sslcertfile "%s" %s no rewrite '
                'no dropstatus mda "%s"\n')
                % (inst.port("pop3s"), BOB, PW, inst.cert, keep, mda))
            # 1: there was no new mail.
            r = run(["fetchmail", "--nosyslog", "--nodetach", "--invisible",
                     "-f", rc, "-i", ids, "--pidfile",
                     os.path.join(tmp, "fm.pid")], ok=(0, 1))
            self.assertEqual(r.returncode, 1 if n == 1 else 0)
            if n != 1:
                self.check(read(box))
            self.assertEqual(self.left(), 0 if n == 2 else len(BODIES) + 1)
            for f in os.listdir(box):
                self.assertNotEqual(n, 1)
                os.unlink(os.path.join(box, f))

    def test_mpop(self):
        need("mpop")
        box, ids = maildir(), path("ids", "")
        for n, keep in enumerate(("on", "on", "off")):
            rc = path("mpoprc", "\n".join((
                "account a", "host localhost", "port %d" % inst.port("pop3"),
                "tls on", "tls_starttls on", "tls_trust_file " + inst.cert,
                "user " + BOB, 'password "%s"' % PW, "keep " + keep,
                "delivery maildir " + box, "received_header off",
                "uidls_file " + ids)) + "\n")
            run(["mpop", "-C", rc, "a"])
            # The second and the third time nothing is new.
            self.check(read(box, "new"))
            self.assertEqual(self.left(), 0 if n == 2 else len(BODIES) + 1)

    # -- getmail6

    def test_getmail(self):
        need("getmail")
        box, home = maildir(), tempfile.mkdtemp(dir=tmp)
        if os.geteuid() == 0:		# getmail delivers nothing as root
            os.chmod(tmp, 0o711)
            for d in ("", "cur", "new", "tmp"):
                shutil.chown(os.path.join(box, d), "nobody")
        for n, delete in enumerate(("false", "false", "true")):
            rc = os.path.join(home, "getmailrc")
            with open(rc, "w", encoding="ascii") as f:
                f.write("[retriever]\ntype = SimplePOP3SSLRetriever\n"
                        "server = localhost\nport = %d\nusername = %s\n"
                        "password = %s\nca_certs = %s\n"
                        "[destination]\ntype = Maildir\npath = %s/\n%s"
                        "[options]\nread_all = false\ndelete = %s\n"
                        "delivered_to = false\nreceived = false\n"
                        % (inst.port("pop3s"), BOB, PW, inst.cert, box,
                           "user = nobody\n" if os.geteuid() == 0 else "",
                           delete))
            run(["getmail", "--getmaildir", home, "--rcfile", "getmailrc"])
            self.check(read(box, "new"))
            self.assertEqual(self.left(), 0 if n == 2 else len(BODIES) + 1)

    # -- mutt, which wants a terminal

    def test_mutt(self):
        need("mutt")
        box = os.path.join(tmp, "mutt.box")
        rc = path("muttrc", "\n".join((
            'set certificate_file="%s"' % inst.cert,
            'set ssl_ca_certificates_file="%s"' % inst.cert,
            'set pop_user="%s"' % BOB, 'set pop_pass="%s"' % PW,
            "set pop_delete=yes", 'set folder="%s"' % tmp,
            'set spoolfile="%s"' % box, "set mbox_type=mbox",
            'set record=""', 'set header_cache=""',
            "set confirmcreate=no", "set confirmappend=no", "set move=no",
            "set wait_key=no", "set quit=yes",
            'set pop_host="pops://localhost:%d/"' % inst.port("pop3s"))) + "\n")
        with open(box, "wb"):
            pass
        pid, fd = pty.fork()
        if pid == 0:
            os.environ.update(TERM="vt100", HOME=tmp, LC_ALL="C.UTF-8",
                              LINES="25", COLUMNS="80")
            os.execvp("mutt", ["mutt", "-n", "-F", rc, "-f", box, "-e",
                               'push "<fetch-mail>"'])
        seen = b""
        try:
            seen = self.terminal(fd, lambda: self.left() == 0)
            os.write(fd, b"q")
            self.terminal(fd, lambda: os.waitpid(pid, os.WNOHANG)[0] == pid)
            pid = 0
        except TimeoutError:
            self.fail(seen[-2000:].decode("latin-1"))
        finally:
            if pid:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            os.close(fd)
        with open(box, "rb") as f:
            text = f.read()
        got = re.split(rb"(?:\A|\n)From \S+ [A-Z][a-z]{2} .*\n", text)[1:]
        self.check([re.sub(rb"(?m)^>From ", b"From ", g) for g in got])

    @staticmethod
    def terminal(fd, done):
        """Reads what the program writes until it is done; what was read."""
        end, seen = time.monotonic() + PATIENCE_S, b""
        while not done():
            if time.monotonic() > end:
                raise TimeoutError(seen[-500:])
            if select.select([fd], [], [], 0.05)[0]:
                try:
                    seen += os.read(fd, 65536)
                except OSError:
                    pass
        return seen

    # -- Node

    def test_node(self):
        need("node", "npm")
        folder = tempfile.mkdtemp(dir=tmp)
        npm_install(folder, "node-pop3", "yapople")
        with open(os.path.join(folder, "fetch.js"), "w",
                  encoding="ascii") as f:
            f.write(NODE)
        for client, remove in (("node-pop3", False), ("yapople", False),
                               ("node-pop3", True), ("yapople", True)):
            with self.subTest((client, remove)):
                self.setUp()
                r = run(["node", "fetch.js"], cwd=folder, input=json.dumps({
                    "client": client, "host": "localhost",
                    "port": inst.port("pop3s"), "user": BOB, "password": PW,
                    "remove": remove}).encode(),
                    env={"NODE_EXTRA_CA_CERTS": inst.cert})
                got = json.loads(r.stdout)
                self.assertEqual(len(got), len(BODIES) + 1)
                # What they make of octets that are not UTF-8, and of stuffed
                # dots, is theirs.
                subjects = sorted(str(email.message_from_string(
                    m, policy=email.policy.default)["Subject"])
                    for m in got)
                self.assertEqual(subjects, sorted(
                    [*BODIES, "Gr\u00fc\u00dfe aus K\u00f6ln"]))
                self.assertIn("\nmiddle . dot\r\n\r\n", "\n".join(got))
                self.assertEqual(self.left(),
                                 0 if remove else len(BODIES) + 1)
