"""Imported hashes, what replaces them, and what stands in for nobody."""

import base64
import os
import signal
import unittest

from submitd_instance import (ANNA, BOB, Instance, Refused, letter,
                              wait_until)
from t_auth import b64, scram_client

# All of "correct horse": doveadm pw, htpasswd, passlib, crypt(3).
HASHES = {
    "bcrypt": "$2y$05$bGQQkLhNMCc5A.PVLI/wDuA///5wNKqYUtk2Ej3vAWeS8VeYm420G",
    "apr1": "$apr1$PeTVsV1u$k3x8yr5z/Ou5GGzN2Q7Tq.",
    "des": "{DES-CRYPT}RNZmWxxWAbmBk",
    "sha": "{SHA}L55TUjtiq8FBorTWAZ0jy6g129A=",
    "ssha512": "{SSHA512}EWXDyNZaxLlhAYhcyUozjJu7PuzbJHwGlMsnPmXOwdn9xZbv8+j"
               "Lgsd/V3E76b0bTcdxunET9lbi9g3FTYGbuU4gyQ8=",
    "yescrypt": "{CRYPT}$y$j75$abcdefghijklmnop./$/V0M.M5jz9K6KSheMDjxGsjxOS"
                "VsN6aKkJ7.JRgPgT9",
    "argon": "{ARGON2ID}$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$ZUDqUgMuBMa"
             "aeInW9f9JPW7gJRYc7LolDNmfiyqbGOo",
    "pbkdf2": "{PBKDF2}$1$SjsZFkyUnDp7TBbj$5000$3ba37203eaf82de18edce17b5cb9"
              "1146e1aab405",
}
CLASSES = {"bcrypt": "BLF-CRYPT/5", "apr1": "APR1", "des": "DES-CRYPT",
           "sha": "SHA", "ssha512": "SSHA512", "yescrypt": "YESCRYPT/10,8",
           "argon": "ARGON2ID/256,2,2", "pbkdf2": "PBKDF2/5000"}
RIGHT = "correct horse"


def setUpModule():
    global inst
    inst = Instance()


def tearDownModule():
    inst.close()


def server_first(user):
    """Salt and iterations that SCRAM shows for that name."""
    with inst.smtp() as w:
        text = w.cmd("AUTH SCRAM-SHA-256 " + b64("n,,n=%s,r=abc" % user),
                     334)[1]
        f = dict(x.split("=", 1) for x in
                 base64.b64decode(text).decode().split(","))
        return f["s"], int(f["i"])


def scram(user, password):
    with inst.smtp() as w:
        def exchange(message):
            line = b64(message)
            if not exchange.begun:
                line = "AUTH SCRAM-SHA-256 " + line
            exchange.begun = True
            return base64.b64decode(w.cmd(line, 334)[1]).decode()
        exchange.begun = False
        scram_client(exchange, user, password)
        w.cmd("", 235)


def plain(user, password, code):
    with inst.smtp() as w:
        w.auth_plain(user, password, code)


class Verify(unittest.TestCase):
    def rekeyed(self, user, since, kind, to):
        inst.wait_log("authd", r"ev=auth\.rekey user=%s from=%s to=%s$"
                      % (user, kind.replace("+", r"\+"),
                         to.replace("+", r"\+")), since)

    def test_imported_hashes_become_keys(self):
        inst.ctl("user", "import", "-", input="".join(
            "%s@example.test:%s::::::\n" % kv for kv in HASHES.items()))
        for name in HASHES:
            with self.subTest(name):
                user = name + "@example.test"
                before = server_first(user)
                with self.assertRaises(Refused):
                    scram(user, RIGHT)
                plain(user, "correct horsf", 535) if name != "des" else None
                since = inst.log_size("authd")
                plain(user, RIGHT, 235)
                self.rekeyed(user, since, CLASSES[name],
                             "SCRAM-SHA-256/10000")
                scram(user, RIGHT)
                self.assertEqual(server_first(user), before)
                since = inst.log_size("authd")
                plain(user, RIGHT, 235)
                plain(user, "wrong", 535)
                self.assertNotIn("ev=auth.rekey", inst.log("authd", since))

    def test_iterations_are_raised_and_sha1_added(self):
        with inst.smtp_as(BOB) as held:
            since = inst.log_size("authd")
            inst.write_conf(scram_iterations=12000, scram_sha1="yes")
            try:
                inst.reload("authd")
                plain(ANNA, inst.users[ANNA], 235)
                self.rekeyed(ANNA, since, "SCRAM-SHA-256/10000",
                             "SCRAM-SHA-256+SHA-1/12000")
                self.assertEqual(server_first(ANNA)[1], 12000)
                scram(ANNA, inst.users[ANNA])
                # His old session goes on: it is the same password.
                plain(BOB, inst.users[BOB], 235)
                self.rekeyed(BOB, since, "SCRAM-SHA-256/10000",
                             "SCRAM-SHA-256+SHA-1/12000")
                held.send_mail(BOB, [BOB], letter(sender=BOB, to=BOB))
            finally:
                inst.write_conf(scram_iterations=None, scram_sha1=None)
                inst.reload("authd")
        # What is stronger than asked for stays.
        since = inst.log_size("authd")
        plain(ANNA, inst.users[ANNA], 235)
        self.assertNotIn("ev=auth.rekey", inst.log("authd", since))

    def test_nobody_is_always_the_same(self):
        names = ["nobody%d@example.test" % i for i in range(8)]
        before = [server_first(n) for n in names]
        self.assertEqual(len({s for s, _ in before}), len(names))
        self.assertEqual([server_first(n) for n in names], before)
        since = inst.log_size("authd")
        os.kill(inst.pid("authd-core"), signal.SIGKILL)
        inst.wait_log("authd", r"ev=child\.", since)

        def again():
            try:
                return [server_first(n) for n in names]
            except Refused:         # 454 while it starts
                return None
        self.assertEqual(wait_until(again), before)
        # A user who comes has the salt that his name had.
        inst.add_user(names[0], "a new password")
        self.assertEqual(server_first(names[0])[0], before[0][0])
        inst.ctl("user", "disable", names[0])
        self.assertEqual(server_first(names[0])[0], before[0][0])
        inst.ctl("user", "delete", names[0])
        self.assertEqual(server_first(names[0])[0], before[0][0])


if __name__ == "__main__":
    unittest.main()
