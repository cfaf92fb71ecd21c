"""SASL over the wire, SMTP and POP3."""

import base64
import hashlib
import hmac
import os
import unittest

from submitd_instance import ANNA, BOB, CARL, Instance, letter


def setUpModule():
    global inst
    inst = Instance()


def tearDownModule():
    inst.close()


def b64(x):
    return base64.b64encode(x.encode() if isinstance(x, str) else x).decode()


def scram_client(exchange, user, password, nonce=None):
    """Runs SCRAM-SHA-256 by exchange(client message) -> server message."""
    nonce = nonce or b64(os.urandom(18))
    first_bare = "n=%s,r=%s" % (user, nonce)
    server_first = exchange("n,," + first_bare)
    f = dict(x.split("=", 1) for x in server_first.split(","))
    assert f["r"].startswith(nonce) and len(f["r"]) > len(nonce)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(),
                                 base64.b64decode(f["s"]), int(f["i"]))
    key = hmac.digest(salted, b"Client Key", "sha256")
    without = "c=biws,r=" + f["r"]
    message = ",".join((first_bare, server_first, without)).encode()
    sig = hmac.digest(hashlib.sha256(key).digest(), message, "sha256")
    proof = bytes(a ^ b for a, b in zip(key, sig))
    server_final = exchange(without + ",p=" + b64(proof))
    want = hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), message,
                       "sha256")
    assert server_final == "v=" + b64(want), server_final
    return int(f["i"])


class Smtp(unittest.TestCase):
    def code(self, w, line, *codes):
        got, text = w.cmd(line)
        self.assertIn(got, codes, "%s got %d %s" % (line, got, text))
        return text

    def test_mechanisms(self):
        with inst.smtp() as w:
            line = next(x for x in w.cmd("EHLO c.test", 250)[1].split("\n")
                        if x.startswith("AUTH "))
            self.assertEqual(set(line.split()[1:]) & {
                "PLAIN", "LOGIN", "SCRAM-SHA-256"},
                {"PLAIN", "LOGIN", "SCRAM-SHA-256"})
            self.assertFalse(set(line.split()) & {
                "ANONYMOUS", "DIGEST-MD5", "CRAM-MD5", "EXTERNAL"})

    def test_plain_both_ways(self):
        with inst.smtp() as w:
            w.auth_plain(ANNA, inst.users[ANNA])
        with inst.smtp() as w:
            self.assertEqual(w.cmd("AUTH PLAIN", 334)[1], "")
            w.cmd(b64("\0%s\0%s" % (ANNA, inst.users[ANNA])), 235)

    def test_login_prompts(self):
        with inst.smtp() as w:
            self.assertEqual(w.cmd("AUTH LOGIN", 334)[1], "VXNlcm5hbWU6")
            self.assertEqual(w.cmd(b64(ANNA), 334)[1], "UGFzc3dvcmQ6")
            w.cmd(b64(inst.users[ANNA]), 235)

    def test_login_with_initial_response(self):
        with inst.smtp() as w:
            self.assertEqual(w.cmd("AUTH LOGIN " + b64(ANNA), 334)[1],
                             "UGFzc3dvcmQ6")
            w.cmd(b64(inst.users[ANNA]), 235)

    def test_scram_sha_256(self):
        for initial in (True, False):
            with self.subTest(initial), inst.smtp() as w:
                state = {"first": True}

                def exchange(msg):
                    if state["first"]:
                        state["first"] = False
                        if initial:
                            t = w.cmd("AUTH SCRAM-SHA-256 " + b64(msg), 334)[1]
                        else:
                            self.assertEqual(
                                w.cmd("AUTH SCRAM-SHA-256", 334)[1], "")
                            t = w.cmd(b64(msg), 334)[1]
                    else:
                        code, t = w.cmd(b64(msg), 334, 235)
                        if code == 235:
                            return ""
                    return base64.b64decode(t).decode()
                i = scram_client(exchange, ANNA, inst.users[ANNA])
                self.assertTrue(4096 <= i <= 65536)
                w.cmd("", 235)
                w.cmd("MAIL FROM:<%s>" % ANNA, 250)

    def test_scram_wrong_password_and_unknown_user_look_alike(self):
        def refusal(user, nonce):
            with inst.smtp() as w:
                t = w.cmd("AUTH SCRAM-SHA-256 " + b64(
                    "n,,n=%s,r=%s" % (user, nonce)), 334)[1]
                f = dict(x.split("=", 1) for x in
                         base64.b64decode(t).decode().split(","))
                code, text = w.cmd(b64("c=biws,r=%s,p=%s" % (
                    f["r"], b64(b"x" * 32))))
                # The session's id, in brackets, is each time another.
                return (f["i"], len(base64.b64decode(f["s"])), f["s"],
                        (code, text.rpartition(" [")[0]))
        known = refusal(ANNA, "abcdefghijkl")
        unknown = refusal("nobody@example.test", "abcdefghijkl")
        self.assertEqual(known[:2] + known[3:], unknown[:2] + unknown[3:])
        self.assertEqual(known[3][0], 535)
        # The salt of somebody who is not there stays the same, too.
        self.assertEqual(unknown[2], refusal("nobody@example.test", "zzzzz")[2])

    def test_wrong_password_and_unknown_user_are_alike(self):
        with inst.smtp() as w:
            a = w.auth_plain(ANNA, "wrong", 535)
            b = w.auth_plain("nobody@example.test", "wrong", 535)
            self.assertEqual(a, b)
            self.assertTrue(a[1].startswith("5.7.8 "))

    def test_not_dropped_before_three_failures(self):
        with inst.smtp() as w:
            for _ in range(3):
                w.auth_plain(ANNA, "wrong", 535)
        with inst.smtp() as w:
            for _ in range(2):
                w.auth_plain(ANNA, "wrong", 535)
            w.auth_plain(ANNA, inst.users[ANNA], 235)

    def test_names(self):
        for name, codes in (("anna", (235,)), ("ANNA@Example.Test", (235,)),
                            ("carl", (235,)), ("anna@other.test", (535,)),
                            ("anna@example.test.", (535,)), ("", (535, 501)),
                            ("anna@", (535,)), ("a" * 300, (535, 501))):
            with self.subTest(name), inst.smtp() as w:
                pw = inst.users[CARL if name == "carl" else ANNA]
                w.auth_plain(name, pw, *codes)

    def test_passwords_are_compared_whole(self):
        pw = inst.users[ANNA]
        with inst.smtp() as w:
            for wrong in (pw + "x", pw[:-1], pw.upper()):
                w.auth_plain(ANNA, wrong, 535)
        with inst.smtp() as w:
            for wrong in ("", " " + pw, pw + "\0x"):
                w.auth_plain(ANNA, wrong, 535, 501)

    def test_authzid(self):
        with inst.smtp() as w:
            w.cmd("AUTH PLAIN " + b64("%s\0%s\0%s" % (
                BOB, ANNA, inst.users[ANNA])), 535)
        with inst.smtp() as w:
            w.cmd("AUTH PLAIN " + b64("%s\0%s\0%s" % (
                ANNA, ANNA, inst.users[ANNA])), 235)

    def test_cancel(self):
        with inst.smtp() as w:
            for mech in ("PLAIN", "LOGIN", "SCRAM-SHA-256"):
                w.cmd("AUTH " + mech, 334)
                self.code(w, "*", 501)
            w.auth_plain(ANNA, inst.users[ANNA])

    def test_base64_is_strict(self):
        good = b64("\0%s\0%s" % (ANNA, inst.users[ANNA]))
        for bad in (good + "!", good[:5] + "=" + good[5:], good[:-1], " " + good,
                    good[:8] + " " + good[8:], good[:8] + "-" + good[8:], "=x",
                    good + "===="):
            with self.subTest(bad), inst.smtp() as w:
                w.cmd("AUTH PLAIN", 334)
                self.code(w, bad, 501)
                w.cmd("NOOP", 250)

    def test_wrong_mechanisms(self):
        with inst.smtp() as w:
            for line in ("AUTH FOO", "AUTH PLAIN-PLUS", "AUTH ANONYMOUS",
                         "AUTH CRAM-MD5"):
                self.code(w, line, 504)
            for line in ("AUTH", "AUTH PLAIN a b c"):
                self.code(w, line, 501)
        with inst.smtp() as w:
            self.code(w, "AUTH plain " + b64("\0%s\0%s" % (
                ANNA, inst.users[ANNA])), 235)

    def test_empty_initial_response(self):
        with inst.smtp() as w:
            self.code(w, "AUTH PLAIN =", 501, 535)
            w.auth_plain(ANNA, inst.users[ANNA])

    def test_second_auth_and_auth_in_a_transaction(self):
        with inst.smtp_as(ANNA) as w:
            w.auth_plain(ANNA, inst.users[ANNA], 503)
            w.cmd("MAIL FROM:<%s>" % ANNA, 250)
            w.auth_plain(ANNA, inst.users[ANNA], 503)

    def test_long_lines_of_an_exchange(self):
        with inst.smtp() as w:
            w.cmd("AUTH PLAIN", 334)
            self.code(w, "A" * 12000, 501, 535)
        with inst.smtp() as w:
            w.cmd("AUTH PLAIN", 334)
            self.code(w, "A" * 13000, 500)
            w.cmd("NOOP", 250)

    def test_nul_in_an_exchange(self):
        with inst.smtp() as w:
            w.cmd("AUTH PLAIN", 334)
            w.send(b"AGF\0ub\r\n")
            self.assertIn(w.reply()[0], (500, 501))

    def test_others_log_in_while_one_guesses(self):
        guesser = [inst.smtp() for _ in range(10)]
        for w in guesser:
            w.send("AUTH PLAIN " + b64("\0%s\0wrong" % BOB) + "\r\n")
        inst.smtp_as(ANNA).quit()
        for w in guesser:
            w.close()

    def test_no_password_in_any_log(self):
        inst.smtp_as(ANNA).quit()
        with inst.smtp() as w:
            w.auth_plain(ANNA, "a-very-special-wrong-one", 535)
        inst.pop_as(ANNA).cmd("QUIT")
        text = inst.log()
        for secret in ("a-very-special-wrong-one", inst.users[ANNA],
                       inst.users[BOB], b64("\0%s\0%s" % (ANNA, inst.users[ANNA]))):
            self.assertNotIn(secret, text)
            self.assertNotIn(secret.replace("'", "%27").replace(" ", "%20"), text)

    def test_nothing_to_guess_with_at_rest(self):
        for top, _, files in os.walk(inst.conf["db_dir"]):
            for f in files:
                with open(os.path.join(top, f), "rb") as h:
                    self.assertNotIn(inst.users[ANNA].encode(), h.read())


class Pop(unittest.TestCase):
    def test_plain_and_login_and_scram(self):
        with inst.pop() as p:
            p.send("AUTH PLAIN\r\n")
            self.assertEqual(p.line(), b"+ \r\n")
            p.cmd(b64("\0%s\0%s" % (ANNA, inst.users[ANNA])))
            p.cmd("STAT")
            p.cmd("QUIT")
        with inst.pop() as p:
            p.cmd("AUTH PLAIN " + b64("\0%s\0%s" % (ANNA, inst.users[ANNA])))
            p.cmd("QUIT")
        with inst.pop() as p:
            p.send("AUTH LOGIN\r\n")
            self.assertEqual(p.line(), b"+ VXNlcm5hbWU6\r\n")
            p.send(b64(ANNA) + "\r\n")
            self.assertEqual(p.line(), b"+ UGFzc3dvcmQ6\r\n")
            p.cmd(b64(inst.users[ANNA]))
            p.cmd("QUIT")
        with inst.pop() as p:
            state = {"line": "AUTH SCRAM-SHA-256 "}

            def exchange(msg):
                p.send(state["line"] + b64(msg) + "\r\n")
                state["line"] = ""
                line = p.line().decode()
                self.assertTrue(line.startswith("+ "), line)
                return base64.b64decode(line[2:]).decode()
            scram_client(exchange, ANNA, inst.users[ANNA])
            p.cmd("")
            p.cmd("STAT")
            p.cmd("QUIT")

    def test_refusals(self):
        with inst.pop() as p:
            for line in ("AUTH FOO", "AUTH PLAIN !!!"):
                p.cmd(line, ok=False)
            p.send("AUTH PLAIN\r\n")
            self.assertEqual(p.line(), b"+ \r\n")
            p.cmd("*", ok=False)
            a = p.cmd("AUTH PLAIN " + b64("\0%s\0wrong" % ANNA), ok=False)
            self.assertIn("[AUTH]", a)
            p.cmd("USER " + ANNA)
            b = p.cmd("PASS wrong", ok=False)
            p.cmd("USER nobody@example.test")
        with inst.pop() as p:
            p.cmd("USER nobody@example.test")
            # But for the session's id the same is said of who is not there.
            c = p.cmd("PASS wrong", ok=False)
            self.assertEqual(b.rpartition(" [")[0], c.rpartition(" [")[0])
            p.login(ANNA, inst.users[ANNA])
            p.cmd("AUTH PLAIN " + b64("\0%s\0%s" % (ANNA, inst.users[ANNA])), ok=False)
            p.cmd("QUIT")

    def test_a_password_with_spaces(self):
        with inst.pop() as p:
            self.assertIn(" ", inst.users[ANNA])
            p.login("anna", inst.users[ANNA])
            p.cmd("QUIT")
        with inst.pop() as p:
            p.cmd("USER anna")
            p.cmd("PASS %s " % inst.users[ANNA], ok=False)


class Again(unittest.TestCase):
    def test_passwd_is_seen_at_once(self):
        inst.add_user("dora@example.test", "first")
        inst.smtp_as("dora@example.test").quit()
        inst.ctl("user", "passwd", "dora@example.test", "--stdin", input="second\n")
        with inst.smtp() as w:
            w.auth_plain("dora@example.test", "first", 535)
            w.auth_plain("dora@example.test", "second", 235)

    def test_running_session_ends_with_the_password(self):
        """A ticket of the old password is void: 421, the client comes again."""
        inst.add_user("emil@example.test", "first")
        with inst.smtp_as("emil@example.test") as w:
            w.cmd("MAIL FROM:<emil@example.test>", 250)
            w.cmd("RCPT TO:<%s>" % ANNA, 250)
            inst.ctl("user", "passwd", "emil@example.test", "--stdin", input="second\n")
            code, text = w.cmd("DATA")
            if code == 354:
                w.send(letter("x") + b".\r\n")
                code, text = w.reply()
            self.assertEqual(code, 421, text)
            self.assertTrue(w.is_closed())
        self.assertEqual(inst.drop_size(ANNA), 0)
