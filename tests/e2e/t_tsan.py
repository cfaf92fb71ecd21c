"""authd-core under the thread sanitizer: its own tests, then real clients."""

import base64
import concurrent.futures
import os
import re
import subprocess
import sys
import unittest

from submitd_instance import ANNA, BOB, Instance, Refused, letter, program

BUILD = os.environ.get("SUBMITD_TSAN", "")
# authd runs as nobody there, who may not be able to read our own folder.
TESTS = os.path.join(os.environ.get("SUBMITD_COPY", os.path.dirname(
    os.path.dirname(os.path.dirname(os.path.abspath(__file__))))), "tests")


@unittest.skipUnless(BUILD, "SUBMITD_TSAN names no build")
class Threads(unittest.TestCase):
    def test_its_own_tests(self):
        r = subprocess.run(
            [sys.executable, "-B", os.path.join(
                TESTS, "unit", "authd_wire.py")],
            env=dict(os.environ, SUBMITD_BUILT=BUILD), timeout=400,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        found = re.search(r"WARNING: ThreadSanitizer|^(ERROR|FAIL): ",
                          r.stdout, re.M)
        self.assertIsNone(found, found and
                          r.stdout[found.start():][:6000])
        self.assertEqual(r.returncode, 0, r.stdout[-6000:])

    def test_real_clients_while_users_change(self):
        with Instance(start=False) as i:
            mixed = os.path.join(i.root, "libexec")
            os.mkdir(mixed)
            for name in os.listdir(i.conf["libexec_dir"]):
                os.symlink(program(name), os.path.join(mixed, name))
            os.unlink(os.path.join(mixed, "authd-core"))
            os.symlink(os.path.join(BUILD, "auth", "authd-core"),
                       os.path.join(mixed, "authd-core"))
            i.env["TSAN_OPTIONS"] = ("exitcode=66 suppressions="
                                     + os.path.join(TESTS, "tsan.supp"))
            i.write_conf(libexec_dir=mixed, auth_threads="4")
            i.start()
            for user, password in list(i.users.items()):
                i.add_user(user, password)
            with concurrent.futures.ThreadPoolExecutor(6) as clients:
                running = [clients.submit(self.client, i, n)
                           for n in range(6)]
                self.administer(i)
                for r in running:
                    r.result(120)

    @staticmethod
    def administer(i):
        for n in range(6):
            i.ctl("user", "add", "t%d@example.test" % n, "--stdin",
                  input="thread-%d\n" % n)
            i.ctl("user", "disable", "t%d@example.test" % n)
            i.ctl("grant", "list")
            i.ctl("reload")
            i.ctl("user", "delete", "t%d@example.test" % n)

    @staticmethod
    def client(i, n):
        user = (ANNA, BOB)[n % 2]
        source = "127.0.0.%d" % (100 + n)
        for k in range(8):
            with i.smtp(source=source) as w:
                w.auth_plain(user, "wrong", 535)
                w.cmd("AUTH SCRAM-SHA-256 " + base64.b64encode(
                    ("n,,n=%s,r=abc%d" % (user, k)).encode()).decode(), 334)
                w.cmd("*", 501)
                w.auth_plain(user, i.users[user])
                w.send_mail(user, [ANNA], letter("t", user))
            try:
                i.grant(user, source)
            except Refused:
                pass            # the maildrop was busy
            with i.smtp(source=source) as w:
                w.cmd("MAIL FROM:<%s>" % user, 250)
