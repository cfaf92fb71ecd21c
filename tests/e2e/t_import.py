"""Users who come from other servers, and go to another root: the four formats,
made by the programs that other servers use, and what a second run does."""

import json
import os
import shutil
import subprocess
import tempfile
import unittest

from sasl_client import Exchange, Scram
from submitd_instance import Instance, wait_until

EX_USAGE, EX_DATAERR, EX_NOINPUT = 64, 65, 66


def setUpModule():
    global inst, folder
    folder = tempfile.mkdtemp(prefix="submitd-import-")
    inst = Instance(users={})


def tearDownModule():
    inst.close()
    shutil.rmtree(folder)


def run(*args, input=None):
    return subprocess.run(args, input=input, capture_output=True, text=True,
                          check=True).stdout


def find(name):
    path = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/sbin")
    if path is None:
        raise unittest.SkipTest("%s is not installed" % name)
    return path


class Case(unittest.TestCase):
    def imports(self, lines, *args, code=0, i=None, **want):
        """Imports the text (or a path); checks the counts; the errors."""
        path = lines
        if "\n" in lines or not os.path.exists(lines):
            path = os.path.join(folder, "users")
            with open(path, "w", encoding="utf-8") as f:
                f.write(lines)
        r = (i or inst).ctl("-j", "user", "import", *args, path, check=False)
        self.assertEqual(r.returncode, code, r.stdout + r.stderr)
        if want:
            counts = json.loads(r.stdout)
            for key, n in want.items():
                self.assertEqual(counts[key], n, "%s: %s%s" % (
                    key, r.stdout, r.stderr))
        return r.stderr

    def record(self, user, i=None):
        out = (i or inst).ctl("user", "export", user).stdout
        return json.loads(out.splitlines()[1])

    def login(self, user, password, code=235):
        with inst.smtp() as w:
            w.auth_plain(user, password, code)

    def scram(self, user, password):
        with inst.smtp() as w:
            return Exchange(w, "SCRAM-SHA-256").scram(
                Scram(user, password))[0]

    def becomes_keys(self, user, password):
        """A hash: PLAIN works, then its keys are there and SCRAM works."""
        self.assertIn("hash", self.record(user))
        self.assertEqual(self.scram(user, password), "no")
        self.login(user, "not " + password, 535)
        self.login(user, password)
        wait_until(lambda: "hash" not in self.record(user),
                   what="keys in place of the hash of " + user)
        self.assertEqual(self.scram(user, password), "ok")
        self.login(user, password)
        self.login(user, "not " + password, 535)


class Formats(Case):
    def test_passwd_file(self):
        sha512 = run("openssl", "passwd", "-6", "one word").strip()
        self.imports(
            "# Dovecot\n\n"
            "pf1:{PLAIN}b l a n k s :1000:1000:Petra F,2nd floor:/home/pf1::\n"
            "PF2@Other.Test:%s:::::: userdb_quota_rule=*:storage=1G\n"
            "pf3:!%s\n" % (sha512, sha512), added=3, failed=0)
        self.login("pf1@example.test", "b l a n k s ")
        self.assertEqual(self.scram("pf1@example.test", "b l a n k s "), "ok")
        r = self.record("pf1@example.test")
        self.assertEqual(r["note"], "Petra F")
        self.assertNotIn("hash", r)
        self.assertEqual(self.record("pf2@other.test")["quota_octets"], 1 << 30)
        self.becomes_keys("pf2@other.test", "one word")
        self.assertTrue(self.record("pf3@example.test")["disabled"])
        self.login("pf3@example.test", "one word", 535)

    def test_htpasswd(self):
        htpasswd = find("htpasswd")
        path = os.path.join(folder, "htpasswd")
        run(htpasswd, "-c", "-b", "-B", "-C", "5", path, "ht1", "bcrypt one")
        run(htpasswd, "-b", "-s", path, "ht2", "sha one")
        run(htpasswd, "-b", "-m", path, "ht3", "apr one")
        before = self.imports_any(path)
        self.becomes_keys("ht1@example.test", "bcrypt one")
        self.becomes_keys("ht2@example.test", "sha one")
        if "ht3" in before:     # named, never with its hash
            self.assertNotIn("$apr1$", before)
        else:
            self.becomes_keys("ht3@example.test", "apr one")

    def imports_any(self, path):
        r = inst.ctl("-j", "user", "import", path, check=False)
        counts = json.loads(r.stdout)
        self.assertEqual(counts["added"] + counts["unverifiable"], 3, r)
        self.assertEqual(counts["failed"], counts["unverifiable"])
        return r.stderr

    def test_sasldb2(self):
        saslpasswd2 = find("saslpasswd2")
        path = os.path.join(folder, "sasldb2")
        for user, realm, pw in (("sa1", "example.test", "pw:1 \u00f6"),
                                ("sa2", "other.test", "x" * 200),
                                ("sa3", "short", "lost")):
            run(saslpasswd2, "-p", "-c", "-f", path, "-u", realm, user,
                input=pw)
        said = self.imports(path, code=EX_DATAERR, added=2, failed=1)
        self.assertIn("sasldb2:", said)
        self.assertEqual(self.scram("sa1@example.test", "pw:1 \u00f6"), "ok")
        self.login("sa2@other.test", "x" * 200)
        self.imports(path, "--domain", "third.test", added=3, failed=0)
        self.login("sa3@third.test", "lost")
        self.imports(path, "--update", "--domain", "third.test", added=0,
                     unchanged=3)
        with open(path, "r+b") as f:
            f.truncate(5000)
        r = inst.ctl("user", "import", path, check=False)
        self.assertNotEqual(r.returncode, 0)
        self.assertIn("sasldb2", r.stderr)

    def test_json_of_others(self):
        self.imports(
            '{"user":"Js1@example.test","password":"p\u00e4ss",'
            '"aliases":["JS-Alias@example.test"],"allow_as":["js2"],'
            '"note":"n"}\n\n'
            '{"user":"js2","hash":"{PLAIN}clear","may_pop":false}\n', added=2)
        self.login("js1@example.test", "p\u00e4ss")
        self.login("js2@example.test", "clear")
        r = self.record("js1@example.test")
        self.assertEqual(r["aliases"], ["js-alias@example.test"])
        self.assertEqual(r["allow_as"], ["js2@example.test"])
        self.assertFalse(self.record("js2@example.test")["may_pop"])
        self.imports('{"user":"js1","allow_as":[],"aliases":[]}\n'
                     '{"user":"js2","quota_octets":5}\n', "--update",
                     updated=2)
        r = self.record("js1@example.test")
        self.assertNotIn("aliases", r)
        self.assertNotIn("allow_as", r)
        self.login("js1@example.test", "p\u00e4ss")

    def test_scram_keys(self):
        line = inst.ctl("user", "hash", "--stdin",
                        input="key password\n").stdout.strip()
        self.assertTrue(line.startswith("{SCRAM-SHA-256}10000,"), line)
        self.imports("sk1:%s\n" % line, added=1)
        self.assertEqual(self.scram("sk1@example.test", "key password"), "ok")
        self.assertNotIn("hash", self.record("sk1@example.test"))
        self.login("sk1@example.test", "key password")
        self.imports("sk1:%s\n" % line, "--update", unchanged=1)
        # All his keys have one salt.
        inst.ctl("user", "credential", "add", "sk1", "phone", "--stdin",
                 input="app password\n")
        other = inst.ctl("user", "hash", "--stdin", input="k2\n").stdout
        said = self.imports("sk1:" + other, "--update", code=EX_DATAERR,
                            failed=1)
        self.assertIn("salt", said)
        self.imports("sk1:{PLAIN}k2\n", "--update", updated=1)
        for password in ("k2", "app password"):
            self.login("sk1@example.test", password)
        self.imports("sk2:" + inst.ctl(
            "user", "hash", "--scheme", "SCRAM-SHA-1", "--stdin",
            input="sha one\n").stdout, added=1)
        self.login("sk2@example.test", "sha one")

    def test_standard_input(self):
        r = inst.ctl("-j", "user", "import", input="si1:{PLAIN}x\n")
        self.assertEqual(json.loads(r.stdout)["added"], 1)
        r = inst.ctl("-j", "user", "import", "--replace", "--max-missing",
                     "100%", "--check", "-", input="si1:{PLAIN}x\n")
        self.assertEqual(json.loads(r.stdout)["unchanged"], 1)


class Lines(Case):
    def test_errors_by_line(self):
        said = self.imports(
            "# one\n"
            "ok1:{PLAIN}x\n"
            "no colon\n"
            "bad name:{PLAIN}secret-1\n"
            "ok1:{PLAIN}secret-2\n"
            "un1:{MADE-UP}secret-3\n"
            "la1:{PLAIN}\x07secret-4\n"
            "lg1:{PLAIN}%s\n"
            "ok2:{PLAIN}x\n" % ("y" * 70000), code=EX_DATAERR,
            added=2, failed=6, unverifiable=1)
        for part in (":3: ", ":4: ", ":5: ok1@example.test: ", "line 2",
                     ":6: un1@example.test: ", "MADE-UP",
                     ":7: la1@example.test: ", ":8: "):
            self.assertIn(part, said)
        self.assertNotIn("secret-", said)
        self.login("ok1@example.test", "x")
        self.login("ok2@example.test", "x")

    def test_json_errors(self):
        said = self.imports(
            '{"submitd_users":1}\n'
            '{"user":"je1@example.test","pasword":"x"}\n'
            '{"user":"je2@example.test","password":1}\n'
            '{"user":"je3@example.test"}\n'
            '{"user":"je4@example.test","password":"x","password":"y"}\n'
            '{"user":"je5@example.test","password":"x",'
            '"aliases":["je3@example.test"]}\n'
            '{"user":"je6@example.test","password":"x",'
            '"allow_as":["nobody@example.test"]}\n', code=EX_DATAERR)
        for part in (':2: ', '"pasword"', ':3: ', ':4: je3', ':5: ', ':6: je5',
                     'line 4', ':7: je6'):
            self.assertIn(part, said)
        r = inst.ctl("user", "import", input='{"submitd_users":2}\n',
                     check=False)
        self.assertEqual(r.returncode, EX_DATAERR)
        self.assertIn("version", r.stderr)

    def test_an_alias_that_is_taken(self):
        self.imports("at1:{PLAIN}x\n", added=1)
        said = self.imports(
            '{"user":"at2","password":"x","aliases":["at1@example.test"]}\n'
            '{"user":"at3","password":"x"}\n', code=EX_DATAERR, added=1,
            failed=1)
        self.assertIn(":1: at2@example.test: at1@example.test", said)

    def test_usage(self):
        for args in (("--max-missing", "3"), ("--format", "ldif"),
                     ("--domain", "a b")):
            r = inst.ctl("user", "import", *args, input="x:y\n", check=False)
            self.assertEqual(r.returncode, EX_USAGE, r.stderr)
        r = inst.ctl("user", "import", "/nonexistent", check=False)
        self.assertEqual(r.returncode, EX_NOINPUT)

    def test_requests_filled_to_the_last_octet(self):
        hash = "{SHA256}" + "A" * 43 + "="
        for pad in range(0, 250, 7):
            lines = "".join("fl%d-%d:%s:::%s::\n" % (
                pad, n, hash, "n" * (240 if n else pad)) for n in range(170))
            self.imports(lines, "--check", added=170)


class Again(Case):
    def test_a_second_run_changes_nothing(self):
        path = os.path.join(folder, "again")
        with open(path, "w", encoding="utf-8") as f:
            f.write("".join("ag%d:{SSHA256}%s::\n" % (n, h) for n, h in (
                (1, "lUArV2F3dvbxxpVIwNpnwSpBBzvEeb7Jbo4TVjeldbMwMTIz"),
                (2, "lUArV2F3dvbxxpVIwNpnwSpBBzvEeb7Jbo4TVjeldbMwMTIz"))))
            f.write("ag3:{PLAIN}three\n")
        self.imports(path, "--check", added=3)
        self.imports(path, "--check", added=3)
        self.imports(path, added=3)
        before = [self.record("ag%d@example.test" % n) for n in (1, 2, 3)]
        self.imports(path, exists=3, added=0)
        self.imports(path, "--update", unchanged=3, updated=0)
        self.imports(path, "--check", "--update", unchanged=3)
        self.assertEqual(before, [self.record("ag%d@example.test" % n)
                                  for n in (1, 2, 3)])

    def test_keys_are_not_set_back(self):
        sha = run("openssl", "passwd", "-5", "first").strip()
        path = os.path.join(folder, "back")
        with open(path, "w", encoding="utf-8") as f:
            f.write("kb1:%s\nkb2:%s\nkb3:{PLAIN}first\n" % (sha, sha))
        self.imports(path, added=3)
        self.becomes_keys("kb1@example.test", "first")
        for u in ("kb2", "kb3"):
            inst.ctl("user", "passwd", u, "--stdin", input="second\n")
        self.imports(path, "--update", unchanged=3, updated=0)
        self.assertEqual(self.scram("kb1@example.test", "first"), "ok")
        self.login("kb2@example.test", "second")
        self.login("kb3@example.test", "second")
        with open(path, "w", encoding="utf-8") as f:
            f.write("kb1:{PLAIN}third\nkb2:{PLAIN}second\n")
        self.imports(path, "--update", updated=1, unchanged=1)
        self.login("kb1@example.test", "third")
        self.login("kb1@example.test", "first", 535)


    def test_who_is_shut_out_is_logged_out(self):
        self.imports("so1:{PLAIN}x\nso2:{PLAIN}x\nso3:{PLAIN}x\n", added=3)
        users = ["so%d@example.test" % n for n in (1, 2, 3)]
        wires = [inst.smtp(auth=(u, "x")) for u in users]
        try:
            self.imports('{"user":"so1","disabled":true}\n'
                         '{"user":"so2","password":"y"}\n'
                         '{"user":"so3","note":"stays"}\n', "--update",
                         updated=3)
            for w in wires[:2]:
                self.assertEqual(w.reply()[0], 421)
            wires[2].cmd("NOOP", 250)
        finally:
            for w in wires:
                w.close()
        self.login(users[0], "x", 535)
        self.login(users[1], "x", 535)
        self.login(users[1], "y")


class Replace(Case):
    """In a root of its own: it counts all users."""

    def setUp(self):
        self.i = Instance(users={}, start=False)
        self.i.start("authd")
        self.imports("".join("u%d:{PLAIN}x\n" % n for n in range(1, 11)),
                     i=self.i, added=10)

    def tearDown(self):
        self.i.close()

    def disabled(self):
        out = self.i.ctl("user", "export").stdout.splitlines()[1:]
        return [r["user"].split("@")[0] for r in map(json.loads, out)
                if r.get("disabled")]

    def test_replace(self):
        nine = "".join("u%d:{PLAIN}x\n" % n for n in range(1, 10))
        r = self.i.ctl("user", "import", "--replace", "-",
                       input=nine + "new:{PLAIN}x\n", check=False)
        self.assertEqual(r.returncode, EX_DATAERR)
        self.assertIn("1 of 10", r.stderr)
        self.assertIn("--max-missing 1", r.stderr)
        self.assertEqual(self.disabled(), [])
        self.i.ctl("user", "show", "u10")
        self.assertEqual(self.i.ctl("user", "show", "new",
                                    check=False).returncode, 67)
        self.imports(nine, "--replace", "--max-missing", "10%", "--check",
                     i=self.i, disabled=1)
        self.assertEqual(self.disabled(), [])
        # A line that cannot be read may be anybody's.
        r = self.i.ctl("user", "import", "--replace", "--max-missing", "1",
                       input=nine + "u10\n", check=False)
        self.assertEqual(r.returncode, EX_DATAERR)
        self.assertIn("nothing is changed", r.stderr)
        # One whose hash cannot be taken is in the file nevertheless.
        self.imports(nine + "u10:{NO}x\n", "--replace", i=self.i,
                     code=EX_DATAERR, failed=1, disabled=0)
        self.imports(nine, "--replace", "--max-missing", "1", i=self.i,
                     disabled=1, unchanged=9)
        self.assertEqual(self.disabled(), ["u10"])
        self.imports(nine, "--replace", i=self.i, disabled=0, unchanged=9)
        self.i.ctl("user", "show", "u10")
        # An empty file is no reason to shut everybody out.
        r = self.i.ctl("user", "import", "--replace", input="", check=False)
        self.assertEqual(r.returncode, EX_DATAERR)


class Round(Case):
    def test_export_is_exact(self):
        with Instance(users={"zoe@example.test": "z", "ann@example.test":
                             "a\u00e4"}) as one:
            ctl = one.ctl
            ctl("user", "set", "ann", "note=\u00c4 \"note\" \\", "may_pop=no")
            for n in range(250):
                one.control("users", verb="user.alias.add", user="ann",
                            address="a%d@example.test" % n)
            ctl("user", "alias", "add", "zoe", "@third.test")
            ctl("user", "credential", "add", "ann", "phone", "--stdin",
                input="app password\n")
            ctl("user", "allow-as", "add", "zoe", "ann")
            ctl("user", "secret", "add", "zoe", "--stdin", input="sealed\n")
            ctl("user", "disable", "zoe")
            self.imports("mid:%s\n" % run("openssl", "passwd", "-6",
                                          "m").strip(), i=one, added=1)
            first = ctl("user", "export").stdout
            secret = os.path.join(one.conf["db_dir"], "secret.key")
            with open(secret, "rb") as f:
                key = f.read()
            self.imports(first, i=one, exists=3, added=0)
            self.imports(first, "--update", i=one, unchanged=3, updated=0)
        path = os.path.join(folder, "export")
        with open(path, "w", encoding="utf-8") as f:
            f.write(first)
        two = Instance(users={}, start=False)
        try:
            two.start("authd")
            with open(os.path.join(two.conf["db_dir"], "secret.key"),
                      "wb") as f:
                f.write(key)
            two.stop()
            two.start()
            self.imports(path, i=two, added=3, secrets=0)
            self.assertEqual(two.ctl("user", "export").stdout, first)
            with two.smtp() as w:
                w.auth_plain("ann@example.test", "a\u00e4", 235)
            with two.smtp() as w:
                w.auth_plain("ann@example.test", "app password", 235)
        finally:
            two.close()
        with Instance(users={}, start=False) as three:
            three.start("authd")
            said = self.imports(path, i=three, added=3, secrets=1)
            self.assertIn("zoe@example.test", said)
            self.assertIn("secret.key", said)

    def test_nobody_is_told(self):
        r = inst.ctl("user", "export", "nobody@example.test", check=False)
        self.assertEqual(r.returncode, 67)
        found = run("script", "-qec", "%s -c %s user export; echo =$?" % (
            os.path.join(os.environ["SUBMITD_PREFIX"], "sbin/submitctl"),
            inst.conf_file), "/dev/null")
        self.assertIn("=64", found)
        self.assertNotIn("stored_key", found)


if __name__ == "__main__":
    unittest.main()
