"""Users: app passwords, certificates, acting for others, disabling, addresses,
login names, long lists, and the control socket as submitctl-protocol(7) says."""

import base64
import hashlib
import hmac
import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import unittest

from submitd_instance import (ANNA, BOB, CARL, PASSWORDS, Instance, Refused,
                              free_port, letter, make_cert, wait_until)

EX_DATAERR, EX_NOUSER = 65, 67
SOURCE = os.environ.get("SUBMITD_SOURCE", os.path.join(
    os.path.dirname(os.path.abspath(__file__)), "..", ".."))
U = "uma@example.test"
PASSWORD = "uma's secret"


def setUpModule():
    global inst
    # Mail for elsewhere waits: nobody listens there.
    inst = Instance(conf={"next_hop": "127.0.0.1:%d" % free_port(),
                          "retry_min": "1h", "retry_max": "1h",
                          "local_domains": ["example.test", "other.test",
                                            "whole.test"]})


def tearDownModule():
    inst.close()


def scram(w, user, password, digest="sha256"):
    """SCRAM without channel binding (RFC 5802) on an SMTP session; the code."""
    name = {"sha256": "SCRAM-SHA-256", "sha1": "SCRAM-SHA-1"}[digest]
    bare = "n=%s,r=%s" % (user.replace("=", "=3D").replace(",", "=2C"),
                          base64.b64encode(os.urandom(18)).decode())
    code, text = w.cmd("AUTH %s %s" % (
        name, base64.b64encode(("n,," + bare).encode()).decode()))
    if code != 334:
        return code
    first = base64.b64decode(text).decode()
    nonce, salt, rounds = (x.split("=", 1)[1] for x in first.split(","))
    salted = hashlib.pbkdf2_hmac(digest, password.encode(),
                                 base64.b64decode(salt), int(rounds))

    def mac(key, text):
        return hmac.new(key, text, digest).digest()
    key = mac(salted, b"Client Key")
    last = "c=biws,r=" + nonce
    signed = ",".join((bare, first, last)).encode()
    proof = bytes(a ^ b for a, b in zip(key, mac(hashlib.new(
        digest, key).digest(), signed)))
    last += ",p=" + base64.b64encode(proof).decode()
    code, text = w.cmd(base64.b64encode(last.encode()))
    if code == 334:
        want = "v=" + base64.b64encode(mac(mac(
            salted, b"Server Key"), signed)).decode()
        assert base64.b64decode(text).decode() == want, text
        code, text = w.cmd("")
    return code


class Case(unittest.TestCase):
    def ctl(self, *args, code=0, input=None, on=None):
        r = (on or inst).ctl(*args, input=input, check=False)
        self.assertEqual(r.returncode, code, "submitctl %s: %s%s" % (
            " ".join(args), r.stdout, r.stderr))
        return r.stdout + r.stderr if code else r.stdout

    def json(self, *args, **kw):
        return [json.loads(x) for x in self.ctl(*args, "-j", **kw).splitlines()]

    def smtp_code(self, user, password, on=None):
        with (on or inst).smtp() as w:
            return w.auth_plain(user, password, 235, 535, 454)[0]

    def pop_ok(self, user, password, on=None):
        p = (on or inst).pop()
        try:
            p.login(user, password)
            return True
        except Refused:
            return False
        finally:
            p.close()


class UserCase(Case):
    def setUp(self):
        self.ctl("user", "add", U, "--stdin", input=PASSWORD + "\n")

    def tearDown(self):
        inst.clock(0)
        inst.ctl("user", "delete", U, check=False)

    def app(self, label, *args):
        return self.json("user", "credential", "add", U, label, *args)[0]["password"]


class AppPasswords(UserCase):
    def test_several_and_one_revoked(self):
        phone, tablet = self.app("phone"), self.app("tablet")
        self.assertNotEqual(phone, tablet)
        self.assertRegex(phone, r"^([a-z2-9]{5}-){3}[a-z2-9]{5}$")
        for pw in (phone, tablet, PASSWORD):
            self.assertEqual(self.smtp_code(U, pw), 235)
            self.assertTrue(self.pop_ok(U, pw))
        self.assertEqual(self.smtp_code(U, phone + "x"), 535)
        self.ctl("user", "credential", "delete", U, "phone")
        self.assertEqual(self.smtp_code(U, phone), 535)
        self.assertFalse(self.pop_ok(U, phone))
        for pw in (tablet, PASSWORD):
            self.assertEqual(self.smtp_code(U, pw), 235)

    def test_one_of_your_own(self):
        out = self.ctl("user", "credential", "add", U, "own", "--stdin",
                       input="chosen by me\n")
        self.assertNotIn("chosen", out)
        self.assertEqual(self.smtp_code(U, "chosen by me"), 235)
        labels = [c["label"] for c in self.json("user", "credential", "list", U)]
        self.assertEqual(labels, ["", "own"])

    def test_scope(self):
        pop = self.app("fetch", "--scope", "pop")
        smtp = self.app("send", "--scope", "smtp")
        self.assertEqual(self.smtp_code(U, pop), 535)
        self.assertTrue(self.pop_ok(U, pop))
        self.assertEqual(self.smtp_code(U, smtp), 235)
        self.assertFalse(self.pop_ok(U, smtp))
        inst.wait_log("authd", r"ev=auth\.fail .*service=smtp why=scope ")
        inst.wait_log("authd", r"ev=auth\.fail .*service=pop why=scope ")

    def test_expiry(self):
        pw = self.app("guest", "--expires", "1h")
        with inst.smtp(auth=(U, pw)) as w:
            w.cmd("MAIL FROM:<%s>" % U, 250)
            w.cmd("RSET", 250)
            inst.clock(7200)
            self.assertEqual(w.cmd("MAIL FROM:<%s>" % U)[0], 421)
        self.assertEqual(self.smtp_code(U, pw), 535)
        self.assertFalse(self.pop_ok(U, pw))
        inst.wait_log("authd", r"ev=auth\.fail .*service=pop why=expired ")
        self.assertEqual(self.smtp_code(U, PASSWORD), 235)

    def test_under_scram(self):
        phone = self.app("phone")
        fetch = self.app("fetch", "--scope", "pop")
        for user, password, want in (
                (U, PASSWORD, 235), (U + "#phone", phone, 235),
                (U.upper() + "#phone", phone, 235),
                (U + "#phone", PASSWORD, 535), (U, phone, 535),
                (U + "#none", phone, 535), (U + "#fetch", fetch, 535),
                ("nobody@example.test#phone", phone, 535)):
            with self.subTest(user), inst.smtp() as w:
                self.assertEqual(scram(w, user, password), want)
        self.ctl("user", "credential", "delete", U, "phone")
        with inst.smtp() as w:
            self.assertEqual(scram(w, U + "#phone", phone), 535)

    def test_label_in_plain(self):
        phone, tablet = self.app("phone"), self.app("tablet")
        self.assertEqual(self.smtp_code(U + "#phone", phone), 235)
        self.assertEqual(self.smtp_code(U + "#phone", tablet), 535)

    def test_passwd_leaves_them(self):
        phone = self.app("phone")
        self.ctl("user", "passwd", U, "--stdin", input="another\n")
        self.assertEqual(self.smtp_code(U, PASSWORD), 535)
        self.assertEqual(self.smtp_code(U, "another"), 235)
        with inst.smtp() as w:
            self.assertEqual(scram(w, U + "#phone", phone), 235)
        with inst.smtp() as w:
            self.assertEqual(scram(w, U, "another"), 235)

    def test_last_use(self):
        phone = self.app("phone")
        self.app("never")
        self.assertEqual(self.smtp_code(U, phone), 235)

        def used():
            return {c["label"]: c for c in self.json("user", "credential",
                                                     "list", U)}
        c = wait_until(lambda: (lambda u: "last_use_s" in u["phone"] and u)(
            used()), what="last use")
        self.assertEqual(c["phone"]["last_use_from"], "127.0.0.1")
        self.assertEqual(c["phone"]["last_use_service"], "smtp")
        self.assertEqual(c["phone"]["last_use_mechanism"], "PLAIN")
        self.assertNotIn("last_use_s", c["never"])
        shown = self.json("user", "show", U)[0]
        self.assertEqual(shown["last_login_from"], "127.0.0.1")
        self.assertEqual(shown["last_login_mechanism"], "PLAIN")
        self.assertTrue(self.pop_ok(U, PASSWORD))
        wait_until(lambda: self.json("user", "show", U)[0][
            "last_login_service"] == "pop", what="last login")
        wait_until(lambda: used()[""].get("last_use_service") == "pop",
                   what="last use of the main password")

    def test_nothing_secret_is_said(self):
        phone = self.app("phone")
        self.ctl("user", "secret", "add", U, "--stdin", input="apop-secret\n")
        self.assertEqual(self.smtp_code(U, phone), 235)
        said = inst.log() + self.ctl("user", "credential", "list", U, "-j") + \
            self.ctl("user", "show", U, "-j") + \
            self.ctl("user", "secret", "list", U, "-j")
        for secret in (phone, "apop-secret", PASSWORD):
            self.assertNotIn(secret, said)
        self.assertRegex(inst.log("authd"),
                         r"ev=user\.credential\.add user=%s label=phone uid=%d" %
                         (U, os.geteuid()))


class AuthTest(UserCase):
    def try_it(self, user=U, password=PASSWORD, *args):
        r = inst.ctl("auth", "test", "-j", "--stdin", *args, user,
                     input=password + "\n", check=False)
        self.assertIn(r.returncode, (0, 1), r.stderr)
        a = json.loads(r.stdout)
        self.assertEqual(r.returncode == 0, a["right"])
        return a

    def test_right_and_wrong(self):
        a = self.try_it()
        self.assertEqual((a["user"], a["password_is"], a["credential"], a["smtp"],
                          a["pop"], a["grants"]),
                         (U, "right", "main password", True, True, True))
        a = self.try_it(U, "wrong")
        self.assertEqual((a["smtp"], a["smtp_why"]), (False, "wrong password"))
        a = self.try_it("nobody@example.test")
        self.assertIn("no such user", a["pop_why"])
        self.assertTrue(self.try_it("UMA")["right"])
        self.assertNotIn(PASSWORD, inst.log())

    def test_app_passwords(self):
        pw = self.app("fetch", "--scope", "pop", "--expires", "1h")
        a = self.try_it(U, pw)
        self.assertEqual((a["credential"], a["pop"], a["smtp"]),
                         ("fetch", True, False))
        self.assertIn("another service", a["smtp_why"])
        inst.clock(7200)
        self.assertIn("expired", self.try_it(U, pw)["pop_why"])
        inst.clock(0)
        self.assertTrue(self.try_it(U + "#fetch", pw, "-A", "SCRAM-SHA-256")["pop"])
        self.assertFalse(self.try_it(U, pw, "-A", "SCRAM-SHA-256")["right"])

    def test_why_not(self):
        self.ctl("user", "set", U, "may_submit=no")
        a = self.try_it()
        self.assertEqual((a["smtp"], a["smtp_why"], a["pop"], a["grants"]),
                         (False, "may_submit is no", True, False))
        self.ctl("user", "set", U, "may_submit=yes")
        self.ctl("user", "disable", "--sending", U)
        self.assertIn("sending", self.try_it()["smtp_why"])
        self.ctl("user", "disable", U)
        self.assertIn("disabled", self.try_it()["pop_why"])
        a = self.try_it(U, PASSWORD, "-A", "CRAM-MD5")
        self.assertIn("not offered", a["smtp_why"])
        inst.ctl("auth", "test", "-A", "EXTERNAL", "--stdin", U, input="x\n",
                 check=False)

    def test_never_counts(self):
        with Instance(users={U: PASSWORD}, conf={"guessing_exempt": []}) as i:
            for n in range(30):
                i.ctl("auth", "test", "--stdin", "-x", "rip=127.0.0.1", U,
                      input="wrong %d\n" % n, check=False)
            self.assertEqual(self.smtp_code(U, PASSWORD, i), 235)

    def test_blocked_is_said(self):
        who = "v@example.test"

        def ask(address):
            r = i.ctl("auth", "test", "-j", "--stdin", "-x", "rip=" + address,
                      who, input="v-secret\n", check=False)
            return json.loads(r.stdout)

        with Instance(users={who: "v-secret"},
                      conf={"guessing_exempt": []}) as i:
            self.assertTrue(ask("127.0.0.1")["right"])
            wires = [i.smtp() for _ in range(25)]
            for w in wires:
                w.send("AUTH PLAIN %s\r\n" % base64.b64encode(
                    ("\0%s\0%s" % (who, os.urandom(9).hex())).encode()).decode())
            a = wait_until(lambda: (lambda a: "blocked" in a and a)(
                ask("127.0.0.1")), what="the block")
            for w in wires:
                w.close()
            self.assertEqual((a["right"], a["password_is"], a["smtp_why"]),
                             (False, "right", "the address is blocked"))
            self.assertTrue(ask("127.0.0.2")["right"])


class AllowAs(UserCase):
    def plain(self, authzid, user, password):
        w = inst.smtp()
        ir = base64.b64encode(("%s\0%s\0%s" % (authzid, user, password)).encode())
        return w, w.cmd("AUTH PLAIN " + ir.decode())[0]

    def test_allow_as(self):
        for who in (BOB, "nobody@example.test"):
            w, code = self.plain(who, U, PASSWORD)
            self.assertEqual(code, 535)
            w.close()
        self.ctl("user", "allow-as", "add", U, BOB)
        self.assertIn(BOB, self.ctl("user", "show", U))
        w, code = self.plain(BOB, U, PASSWORD)
        self.assertEqual(code, 235)
        with w:
            w.cmd("MAIL FROM:<%s>" % BOB, 250)
            w.cmd("RSET", 250)
            self.assertEqual(w.cmd("MAIL FROM:<%s>" % U)[0], 553)
            # It is no way back, and no way round.
            for authzid, user in ((U, BOB), (CARL, U)):
                w2, code = self.plain(authzid, user, PASSWORD)
                self.assertEqual(code, 535)
                w2.close()
            self.ctl("user", "disable", U)
            self.assertEqual(w.reply()[0], 421)
            self.assertTrue(w.is_closed())
        self.ctl("user", "enable", U)
        self.ctl("user", "allow-as", "delete", U, BOB)
        w, code = self.plain(BOB, U, PASSWORD)
        self.assertEqual(code, 535)
        w.close()


class Certificates(Case):
    def external(self, i, pair, user="", context=None):
        ctx = i.tls_context()
        ctx.load_cert_chain(*pair)
        with i.smtp(context=ctx) as w:
            return w.cmd("AUTH EXTERNAL " + (
                base64.b64encode(user.encode()).decode() or "="))[0]

    def test_life_of_one(self):
        with Instance(users={U: PASSWORD, BOB: "b"}, conf={
                "mechanisms_submission": ["EXTERNAL", "PLAIN"]}) as i:
            one, two = (make_cert(i.root, n, n) for n in ("one", "two"))
            self.assertEqual(self.external(i, one), 535)
            self.ctl("user", "certificate", "add", U, "laptop", one[0], on=i)
            self.ctl("user", "certificate", "add", BOB, "his", one[0], on=i,
                     code=EX_DATAERR)
            self.ctl("user", "certificate", "add", U, "again", one[0], on=i,
                     code=EX_DATAERR)
            self.ctl("user", "certificate", "add", U, "old", two[0],
                     "--expires", "1h", on=i)
            self.assertEqual(self.external(i, one), 235)
            self.assertEqual(self.external(i, one, U), 235)
            self.assertEqual(self.external(i, one, BOB), 535)
            self.assertEqual(self.external(i, two), 235)
            listed = wait_until(lambda: (lambda v: all(
                "last_use_s" in c for c in v) and v)(self.json(
                    "user", "certificate", "list", U, on=i)), what="last use")
            self.assertEqual([c["label"] for c in listed], ["laptop", "old"])
            i.clock(7200)
            self.assertEqual(self.external(i, two), 535)
            self.assertEqual(self.external(i, one), 235)
            self.ctl("user", "certificate", "delete", U, "laptop", on=i)
            self.assertEqual(self.external(i, one), 535)
            self.ctl("user", "certificate", "add", BOB, "his", one[0], on=i)
            self.assertEqual(self.external(i, one, BOB), 235)


class Disabled(UserCase):
    def ended(self, w):
        """A last line, and the end."""
        line = w.line()
        self.assertTrue(line.startswith((b"421 ", b"-ERR")) or not line, line)
        self.assertTrue(w.is_closed())

    def test_sessions_end(self):
        for change in (("disable", U), ("passwd", U, "--stdin"), ("delete", U)):
            with self.subTest(change[0]):
                with inst.smtp(auth=(U, PASSWORD)) as s, \
                        inst.pop(auth=(U, PASSWORD)) as p, \
                        inst.smtp_as(ANNA) as other:
                    self.ctl("user", *change, input=PASSWORD + "\n")
                    self.ended(s)
                    self.ended(p)
                    other.cmd("NOOP", 250)
                if change[0] == "disable":
                    self.assertEqual(self.smtp_code(U, PASSWORD), 535)
                    self.ctl("user", "enable", U)

    def test_a_deleted_message_stays_when_kicked(self):
        n = inst.drop_size(U) + 1
        with inst.smtp_as(ANNA) as w:
            w.send_mail(ANNA, [U], letter("kept"))
        wait_until(lambda: inst.drop_size(U) == n, what="delivery")
        with inst.pop(auth=(U, PASSWORD)) as p:
            p.cmd("DELE 1")
            self.ctl("kick", U)
            self.assertTrue(p.is_closed())
        self.assertEqual(inst.drop_size(U), n)

    def test_who_and_kick(self):
        with inst.smtp(auth=(U, PASSWORD)) as s, \
                inst.pop(auth=(U, PASSWORD)) as p:
            here = wait_until(lambda: (lambda h: h if len(h) == 2 else None)(
                self.json("who", U)), what="both sessions")
            self.assertEqual(sorted(x["service"] for x in here), ["pop", "smtp"])
            self.assertEqual({x["address"] for x in here}, {"127.0.0.1"})
            self.assertIn(U, self.ctl("who"))
            self.assertEqual(self.ctl("who", "-1", U), U + "\n")
            self.assertEqual(self.json("who", U, "192.0.2.0/24"), [])
            self.ctl("kick", U, "192.0.2.0/24")
            s.cmd("NOOP", 250)
            p.cmd("NOOP")
            self.ctl("kick", U, "127.0.0.0/8")
            self.ended(s)
            self.ended(p)
        wait_until(lambda: self.json("who", U) == [], what="nobody")
        self.assertEqual(self.smtp_code(U, PASSWORD), 235)

    def test_sending_only(self):
        with inst.smtp(auth=(U, PASSWORD)) as w, \
                inst.pop(auth=(U, PASSWORD)) as p:
            w.send_mail(U, ["far@away.test"], letter("waits", U))
            out = self.ctl("user", "disable", "--sending", U)
            self.assertIn("1 of his messages wait", out)
            self.assertIn("far@away.test", self.ctl("queue", "list", "--user", U))
            self.assertEqual(self.json("queue", "list", "--user", BOB), [])
            self.assertEqual(w.cmd("MAIL FROM:<%s>" % U)[0], 421)
            p.cmd("STAT")
        self.assertEqual(self.smtp_code(U, PASSWORD), 535)
        self.assertTrue(self.pop_ok(U, PASSWORD))
        self.assertIn("sending disabled", self.ctl("user", "show", U))
        self.ctl("user", "enable", U)
        self.assertEqual(self.smtp_code(U, PASSWORD), 235)
        for m in self.json("queue", "list", "--user", U):
            self.ctl("queue", "delete", m["id"])

    def test_queue_pages(self):
        with inst.smtp(auth=(U, PASSWORD)) as w:
            for n in range(9):
                w.send_mail(U, ["far%d@away.test" % n], letter("waits", U))
        whole = self.json("queue", "list", "--user", U)
        self.assertEqual(len(whole), 9)
        protocol = Protocol()
        protocol.setUp()
        try:
            got, n = protocol.pages("queue", 4, verb="queue.list", user=U)
        finally:
            protocol.tearDown()
        self.assertEqual((got, n), (whole, 3))
        for m in whole:
            self.ctl("queue", "delete", m["id"])

    def test_rights(self):
        self.ctl("user", "set", U, "may_pop=no")
        self.assertFalse(self.pop_ok(U, PASSWORD))
        self.assertEqual(self.smtp_code(U, PASSWORD), 235)
        self.ctl("user", "set", U, "may_pop=yes", "may_submit=no")
        self.assertTrue(self.pop_ok(U, PASSWORD))
        self.assertEqual(self.smtp_code(U, PASSWORD), 535)

    def test_relay_rights(self):
        def may_send():
            with inst.smtp() as w:
                return w.cmd("MAIL FROM:<%s>" % U)[0] == 250

        inst.ctl("grant", "revoke", "ALL")
        self.ctl("user", "set", U, "may_open_relay=no")
        self.assertTrue(self.pop_ok(U, PASSWORD))
        self.assertFalse(may_send())
        self.ctl("user", "set", U, "may_open_relay=yes")
        self.assertTrue(self.pop_ok(U, PASSWORD))
        wait_until(may_send, what="the grant")
        self.ctl("user", "set", U, "may_use_relay=no")
        self.assertFalse(may_send())
        self.assertTrue(self.pop_ok(U, PASSWORD))
        self.assertFalse(may_send())


class Addresses(UserCase):
    def deliver(self, rcpt):
        n = inst.drop_size(U) + 1
        with inst.smtp_as(ANNA) as w:
            w.send_mail(ANNA, [rcpt], letter("for " + rcpt))
        wait_until(lambda: inst.drop_size(U) == n, what="delivery to " + rcpt)

    def test_tag(self):
        self.deliver("uma+lists@example.test")
        with inst.smtp(auth=(U, PASSWORD)) as w:
            w.cmd("MAIL FROM:<uma+lists@example.test>", 250)
            w.cmd("RSET", 250)
            w.cmd("MAIL FROM:<anna+lists@example.test>", 553)
        with inst.smtp_as(ANNA) as w:
            w.cmd("MAIL FROM:<%s>" % ANNA, 250)
            w.cmd("RCPT TO:<nobody+lists@example.test>", 550)

    def test_whole_domain(self):
        self.ctl("user", "alias", "add", U, "@whole.test")
        self.ctl("user", "alias", "add", ANNA, "anna@whole.test")
        try:
            self.deliver("anybody@whole.test")
            self.deliver("any+tag@whole.test")
            n = inst.drop_size(ANNA) + 1
            with inst.smtp(auth=(U, PASSWORD)) as w:
                w.cmd("MAIL FROM:<sales@whole.test>", 250)
                w.cmd("RSET", 250)
                w.cmd("MAIL FROM:<anna@whole.test>", 553)
                w.send_mail(U, ["anna@whole.test"], letter("hers", U))
            wait_until(lambda: inst.drop_size(ANNA) == n, what="delivery")
            self.assertIn("@whole.test", self.ctl("user", "show", U))
        finally:
            self.ctl("user", "alias", "delete", "anna@whole.test")
            self.ctl("user", "alias", "delete", "@whole.test")
        with inst.smtp_as(ANNA) as w:
            w.cmd("MAIL FROM:<%s>" % ANNA, 250)
            w.cmd("RCPT TO:<anybody@whole.test>", 550)

    def test_home(self):
        self.ctl("user", "set", U, "home=elsewhere/uma")
        with inst.smtp_as(ANNA) as w:
            w.send_mail(ANNA, [U], letter("moved"))
        new = os.path.join(inst.conf["mail_root"], "elsewhere/uma/new")
        wait_until(lambda: os.path.isdir(new) and os.listdir(new),
                   what="delivery")
        self.assertEqual(len(inst.fetch(U)) if U in inst.users else 1, 1)
        for bad in ("../x", "/x", "a//b", ""):
            self.ctl("user", "set", U, "home=" + bad, code=EX_DATAERR)

    def test_not_local(self):
        r = inst.ctl("user", "add", "zoe@far.test", "--stdin", input="z-secret\n")
        try:
            self.assertIn("not in local_domains", r.stderr)
            self.assertEqual(self.smtp_code("zoe@far.test", "z-secret"), 235)
        finally:
            self.ctl("user", "delete", "zoe@far.test")


class Names(Case):
    def test_forms(self):
        users = {"anna@example.test": "a1-secret", "bob@example.test": "b1-secret",
                 "bob@other.test": "b2-secret", "carl@other.test": "c2-secret"}
        with Instance(users=users, conf={"login_separators": "%"}) as i:
            for name, password, want in (
                    ("anna@example.test", "a1-secret", True),
                    ("ANNA@Example.TEST", "a1-secret", True),
                    ("anna", "a1-secret", True), ("Anna", "a1-secret", True),
                    ("carl", "c2-secret", True),
                    ("bob", "b1-secret", False), ("bob", "b2-secret", False),
                    ("bob%other.test", "b2-secret", True),
                    ("bob%other.test", "b1-secret", False),
                    ("anna@other.test", "a1-secret", False),
                    ("nobody", "a1-secret", False)):
                with self.subTest(name):
                    self.assertEqual(self.smtp_code(name, password, i),
                                     235 if want else 535)
                    self.assertEqual(self.pop_ok(name, password, i), want)
            i.write_conf(default_domain="other.test", login_separators=None)
            i.reload("authd")
            self.assertEqual(self.smtp_code("bob", "b2-secret", i), 235)
            self.assertEqual(self.smtp_code("bob", "b1-secret", i), 535)
            self.assertEqual(self.smtp_code("anna", "a1-secret", i), 235)
            self.assertEqual(self.smtp_code("bob%other.test", "b2-secret", i),
                             535)
            self.ctl("user", "add", "new", "--stdin", input="n-secret\n", on=i)
            self.assertIn("new@other.test", self.ctl("user", "list", on=i))
            out = self.ctl("user", "add", "a#b", "--stdin", input="x\n",
                           code=EX_DATAERR, on=i)
            self.assertIn("app password", out)


class Protocol(Case):
    """The sockets as a customer panel uses them."""
    MANUAL = os.path.join(SOURCE, "db", "submitctl-protocol.7")

    def setUp(self):
        # A socket's address holds 107 octets; the folder may be deep.
        self.folder = tempfile.mkdtemp()
        os.symlink(inst.conf["run_dir"] + "/control", self.folder + "/c")

    def tearDown(self):
        shutil.rmtree(self.folder)

    def ask(self, sock, **request):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
            s.connect("%s/c/%s" % (self.folder, sock))
            s.send(json.dumps(request).encode())
            out = []
            while True:
                out.append(json.loads(s.recv(1 << 20)))
                if out[-1].pop("done", False):
                    return out[:-1], out[-1]

    def names(self):
        with open(self.MANUAL, encoding="utf-8") as f:
            return set(re.findall(r"^\.Va (\w+)", f.read(), re.M))

    def test_example(self):
        with open(self.MANUAL, encoding="utf-8") as f:
            text = re.search(r"\.Bd -literal\n(.*?)\.Ed", f.read(), re.S).group(1)
        text = text.replace("\\en", "\\n").replace(
            "/run/submitd/control", self.folder + "/c")
        r = subprocess.run(["python3", "-c", text], text=True,
                           capture_output=True, check=True)
        self.assertTrue(set(PASSWORDS) <= set(r.stdout.split()), r.stdout)

    def keys(self, v):
        if isinstance(v, dict):
            for k, x in v.items():
                yield k
                yield from self.keys(x)
        elif isinstance(v, list):
            for x in v:
                yield from self.keys(x)

    def test_each_member_is_in_the_manual(self):
        known = self.names()
        sock, u = "users", {"user": "pam@example.test"}
        for verb, args in (
                ("user.add", {"password": "pam-secret", **u}),
                ("user.set", {"quota_octets": 1, **u}),
                ("user.credential.add", {"label": "x", **u}),
                ("user.certificate.add", {"label": "y", "sha256": "ab" * 32,
                                          "expires_s": 1 << 40, **u}),
                ("user.credential.list", u), ("user.certificate.list", u),
                ("user.certificate.delete", {"label": "y", **u}),
                ("user.credential.delete", {"label": "x", **u}),
                ("user.secret.add", {"password": "s", **u}),
                ("user.secret.list", u), ("user.secret.delete", u),
                ("user.allow-as.add", {"other": ANNA, **u}),
                ("user.allow-as.list", u),
                ("user.alias.add", {"address": "pam2@example.test", **u}),
                ("user.alias.list", {}), ("user.show", u), ("user.list", {}),
                ("user.disable", u), ("user.enable", u),
                ("user.alias.delete", {"address": "pam2@example.test"}),
                ("user.allow-as.delete", {"other": ANNA, **u}),
                ("user.passwd", {"password": "other", **u}),
                ("auth.test", {"password": "other", **u}),
                ("user.hash", {"password": "other"}),
                ("user.delete", u), ("who", {}),
                ("kick", {"network": "192.0.2.1"}),
                ("grant.list", {"all": True}),
                ("grant.query", {"network": "127.0.0.1"}),
                ("grant.revoke", u), ("grant.purge", {}), ("status", {}),
                ("queue.list", {}), ("queue.count", {})):
            if verb == "queue.list":
                sock = "queue"
            with self.subTest(verb):
                records, end = self.ask(sock, verb=verb, **args)
                self.assertNotIn("error", end)
                for key in self.keys(records + [end]):
                    self.assertIn(key, known)
        for sock in ("queue", "authd", "submitd", "popd"):
            records, end = self.ask(sock, verb="status")
            for key in self.keys(records + [end]):
                self.assertIn(key, known)

    def test_errors(self):
        for request, code in (
                ({"verb": "fly"}, 64), ({"verb": "user.show"}, 65),
                ({"verb": "user.show", "user": "no@example.test"}, 67),
                ({"verb": "user.show", "user": 5}, 65),
                ({"verb": "user.list", "limit": -1}, 65),
                ({"verb": "user.list", "limit": "x"}, 65),
                ({"verb": "user.list", "pattern": "*" * 9}, 65),
                ({"verb": "user.alias.list", "after": "x"}, 65),
                ({"verb": "grant.list", "after": "x"}, 65),
                ({"verb": "user.set", "user": ANNA, "quota_octets": -1}, 65),
                ({"verb": "user.set", "user": ANNA, "may_pop": "no"}, 65),
                ({"verb": "user.set", "user": ANNA, "note": "a\nb"}, 65),
                ({"verb": "user.credential.add", "user": ANNA,
                  "label": "a b"}, 65),
                ({"verb": "user.certificate.add", "user": ANNA, "label": "x",
                  "sha256": "zz"}, 65)):
            with self.subTest(request):
                records, end = self.ask("users", **request)
                self.assertEqual((records, end.get("code")), ([], code), end)

    def pages(self, sock="users", limit=7, **request):
        out, after, n = [], "", 0
        while after is not None:
            records, end = self.ask(sock, after=after, limit=limit, **request)
            self.assertLessEqual(len(records), limit)
            out += records
            after = end.get("next")
            n += 1
        return out, n

    def test_pages(self):
        names = ["p%02d@example.test" % n for n in range(30)]
        try:
            for name in names:
                self.ask("users", verb="user.add", user=name, password="x")
                self.ask("users", verb="user.alias.add", user=name,
                         address="alias-" + name)
            users, n = self.pages(verb="user.list", pattern="p??@*")
            self.assertEqual([u["user"] for u in users], names)
            self.assertEqual(n, 5)
            users, n = self.pages(verb="user.list")
            self.assertEqual(len(users), len({u["user"] for u in users}))
            self.assertTrue(set(names) < {u["user"] for u in users})
            self.assertEqual(self.pages(verb="user.list",
                                        without_scram=True)[0], [])
            aliases, n = self.pages(verb="user.alias.list")
            self.assertTrue({"alias-" + x for x in names} <=
                            {a["address"] for a in aliases})
            aliases, n = self.pages(verb="user.alias.list", user=names[3])
            self.assertEqual([a["address"] for a in aliases],
                             ["alias-" + names[3]])
            for name in names[:20]:
                self.ask("users", verb="user.allow-as.add", user=ANNA,
                         other=name)
            others, n = self.pages(verb="user.allow-as.list", user=ANNA)
            self.assertEqual([o["other"] for o in others], names[:20])
            # A name that goes between two pages leaves no hole and no double.
            first, end = self.ask("users", verb="user.list", pattern="p*",
                                  limit=5)
            self.ask("users", verb="user.delete", user=names[4])
            rest, _ = self.ask("users", verb="user.list", pattern="p*",
                               after=end["next"])
            self.assertEqual([u["user"] for u in first + rest], names)
        finally:
            for name in names:
                self.ask("users", verb="user.delete", user=name)


if __name__ == "__main__":
    unittest.main()
