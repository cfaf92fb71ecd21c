"""A grant has an owner and a budget; addresses that look shared; what the
administrator says of grants. The rest of POP-before-SMTP is in t_grants.py."""

import base64
import hashlib
import json
import re
import unittest

from submitd_instance import (ANNA, BOB, CARL, IPV6, Instance, letter,
                             wait_until)

SECRET = "anna's second secret"
_next = iter(range(10, 250))


def setUpModule():
    global inst
    inst = Instance(conf={"grant_ttl": "10m", "grant_exclude": ["127.0.9.0/24"],
                          "grant_users_per_address": 3,
                          "mechanisms": ["PLAIN", "CRAM-MD5"],
                          "mechanisms_pop3s": ["PLAIN", "APOP", "CRAM-MD5"]},
                    extra='grant_network "127.0.8.0/24" { may_open_relay = no }\n'
                          'grant_network "127.0.8.128/25" {\n'
                          '\tmay_open_relay = yes\n\tusers_per_address = 1\n}\n')
    inst.ctl("user", "secret", "add", ANNA, "--stdin", input=SECRET + "\n")


def tearDownModule():
    inst.close()


class Case(unittest.TestCase):
    def setUp(self):
        inst.clock(0)
        self.here = "127.0.0.%d" % next(_next)
        self.other = "127.0.0.%d" % next(_next)

    def tearDown(self):
        inst.clock(0)
        inst.ctl("grant", "revoke", "ALL")

    def mail(self, sender, source=None):
        with inst.smtp(source=source or self.here) as w:
            return w.cmd("MAIL FROM:<%s>" % sender)

    def allowed(self, sender, source=None):
        code, text = self.mail(sender, source)
        self.assertEqual(code, 250, text)

    def refused(self, sender, source=None, code=530):
        got, text = self.mail(sender, source)
        self.assertEqual(got, code, text)

    def sends(self, sender, rcpts=(BOB,)):
        with inst.smtp(source=self.here) as w:
            w.send_mail(sender, list(rcpts), letter("x"))

    def grants(self, *args):
        out = inst.ctl("grant", "list", "-j", *args).stdout
        return [json.loads(x) for x in out.splitlines()]

    def one(self, *args):
        got = self.grants(self.here, *args)
        self.assertEqual(len(got), 1, got)
        return got[0]

    def failed(self, user, password, source):
        p = inst.pop(source=source)
        p.cmd("USER " + user)
        p.cmd("PASS " + password, ok=False)
        p.close()


class Owner(Case):
    def test_what_is_known_of_a_grant(self):
        since = inst.log_size("authd")
        inst.grant(ANNA, self.here)
        inst.wait_log("authd", r"ev=grant\.new sid=\S+ user=%s rip=%s "
                      r"source=pop protocol=pop3 ttl=600" %
                      (ANNA, self.here), since=since)
        g = self.one()
        self.assertEqual((g["user"], g["protocol"], g["source"], g["tls"],
                          g["uses"], g["messages"]),
                         (ANNA, "pop3", "pop", True, 0, 0))
        self.assertEqual(g["expires_s"] - g["login_s"], 600)
        self.assertNotIn("first_use_s", g)
        inst.freeze(g["login_s"] + 100)
        self.sends(ANNA, (BOB, CARL))
        inst.freeze(g["login_s"] + 200)
        self.sends(ANNA)
        inst.fetch(BOB, n=2)
        inst.fetch(CARL, n=1)
        h = self.one()
        self.assertEqual((h["uses"], h["messages"], h["recipients"]), (2, 2, 3))
        self.assertEqual(h["first_use_s"] - g["login_s"], 100)
        self.assertEqual(h["last_use_s"] - g["login_s"], 200)
        table = inst.ctl("grant", "list", self.here).stdout
        for word in ("LOGIN", "EXPIRES", "BY", "TLS", "SENT", "FIRST USE",
                     "LAST USE", ANNA):
            self.assertIn(word, table)

    def test_each_message_names_its_owner(self):
        """In the log at MAIL and when it is taken, and in Received."""
        since = inst.log_size("authd"), inst.log_size("submitd")
        inst.grant(ANNA, self.here)
        inst.grant(BOB, self.here)
        for owner in (ANNA, BOB):
            with self.subTest(owner):
                with inst.smtp(source=self.here) as w:
                    w.send_mail(owner, [CARL], letter("whose is it?", owner))
                head = inst.fetch(CARL, n=1)[0].decode()
                inst.wait_log("authd", r"ev=relay\.grant sid=\S+ user=%s rip=%s "
                              r"from=%s" % (owner, self.here, owner),
                              since=since[0])
                inst.wait_log("submitd", r"ev=msg\.\S+ .*user=%s" % owner,
                              since=since[1])
                received = re.search(r"^Received: .*?\r\n(?![ \t])", head,
                                     re.M | re.S).group(0)
                self.assertIn(owner, received)
                self.assertRegex(received, r"with\s+ESMTPS\s")

    def test_every_login_grants(self):
        """APOP, PLAIN, CRAM-MD5 and USER alike, also where the maildrop is
        busy."""
        def user(p):
            p.cmd("USER " + ANNA)
            return "PASS " + inst.users[ANNA]

        def plain(p):
            return "AUTH PLAIN " + base64.b64encode(
                ("\0%s\0%s" % (ANNA, inst.users[ANNA])).encode()).decode()

        def apop(p):
            return "APOP %s %s" % (ANNA, hashlib.md5((
                re.search(r"<[^>]+>", p.banner).group() +
                SECRET).encode()).hexdigest())

        for how in (user, plain, apop):
            for busy in (False, True):
                with self.subTest((how.__name__, busy)):
                    source = "127.0.0.%d" % next(_next)
                    p = inst.pop("pop3s", source=source)
                    if busy:
                        q = inst.pop_as(ANNA, source=self.other)
                    answer = p.cmd(how(p), ok=None)
                    self.assertRegex(answer, r"^-ERR \[IN-USE\]" if busy
                                     else r"^\+OK")
                    self.allowed(ANNA, source)
                    p.close()
                    if busy:
                        q.cmd("QUIT")
                        q.close()

    def test_may_open_relay_by_credential(self):
        for scope, granted in (("all", True), ("no-relay", False),
                               ("pop", False)):
            with self.subTest(scope):
                source = "127.0.0.%d" % next(_next)
                pw = inst.ctl("-j", "user", "credential", "add", "--scope",
                              scope, ANNA, "phone").stdout
                pw = json.loads(pw)["password"]
                p = inst.pop(source=source)
                p.login(ANNA, pw)
                p.close()
                (self.allowed if granted else self.refused)(ANNA, source)
                inst.ctl("user", "credential", "delete", ANNA, "phone")

    def test_may_open_relay_by_user_and_network(self):
        inst.grant(ANNA, "127.0.8.5")
        self.refused(ANNA, "127.0.8.5")
        inst.grant(ANNA, "127.0.8.200")
        self.allowed(ANNA, "127.0.8.200")
        inst.ctl("user", "set", ANNA, "may_open_relay=no")
        try:
            inst.grant(ANNA, self.here)
            self.refused(ANNA)
        finally:
            inst.ctl("user", "set", ANNA, "may_open_relay=yes")


class Received(unittest.TestCase):
    def test_a_token_in_received_names_the_owner_to_us_alone(self):
        with Instance(conf={"received_address": "token",
                            "grant_exclude": []}) as i:
            i.grant(BOB, "127.0.0.7")
            with i.smtp(source="127.0.0.7", helo="secret.example.net") as w:
                w.send_mail(BOB, [CARL], letter("whose?", BOB))
            head = i.fetch(CARL, n=1)[0].decode()
            received = re.search(r"^Received: .*?\r\n(?![ \t])", head,
                                 re.M | re.S).group(0)
            for hidden in (BOB, "127.0.0.7", "secret"):
                self.assertNotIn(hidden, received)
            got = json.loads(i.ctl("-j", "trace-origin", received).stdout)
            self.assertEqual((got["user"], got["address"]), (BOB, "127.0.0.7"))
            i.wait_log("authd", r"ev=relay\.grant sid=\S+ user=%s" % BOB)


class Budget(Case):
    def budget(self, **kw):
        inst.ctl("grant", "add", ANNA, self.here,
                 *("%s=%d" % x for x in kw.items()))

    def test_messages(self):
        self.budget(max_messages=2)
        self.sends(ANNA)
        with inst.smtp(source=self.here) as w:
            w.send_mail(ANNA, [BOB], letter("the last one"))
            code, text = w.cmd("MAIL FROM:<%s>" % ANNA)
            self.assertEqual(code, 530, text)
        self.refused(ANNA)
        self.refused("")
        inst.fetch(BOB, n=2)
        g = self.one("--all")
        self.assertEqual((g["live"], g["why"], g["sent"]),
                         (False, "budget spent", "2 of 2"))
        self.assertEqual(inst.ctl("grant", "query", self.here,
                                  check=False).returncode, 1)

    def test_recipients(self):
        self.budget(max_recipients=3)
        self.sends(ANNA, (BOB, CARL))
        with inst.smtp(source=self.here) as w:
            w.cmd("MAIL FROM:<%s>" % ANNA, 250)
            w.cmd("RCPT TO:<%s>" % BOB, 250)
            w.cmd("RCPT TO:<%s>" % CARL, 250)
            code, text = w.cmd("DATA")
            if code == 354:
                w.send(letter("too many") + b".\r\n")
                code, text = w.reply()
            self.assertEqual(code, 421, text)
        self.sends(ANNA)
        self.refused(ANNA)
        inst.fetch(BOB, n=2)
        self.assertEqual(len(inst.fetch(CARL, n=1)), 1)

    def test_another_login_fills_it(self):
        inst.write_conf(grant_max_messages=1)
        inst.reload("authd")
        try:
            inst.grant(ANNA, self.here)
            self.sends(ANNA)
            self.refused(ANNA)
            inst.grant(ANNA, self.here)
            self.sends(ANNA)
            self.refused(ANNA)
            self.assertEqual(self.one("--all")["uses"], 2)
        finally:
            inst.write_conf(grant_max_messages=None)
            inst.reload("authd")
        inst.fetch(BOB, n=2)

    def test_two_sessions_do_not_share_the_last_message(self):
        """Both passed MAIL: the budget is booked when a message is taken."""
        self.budget(max_messages=1)
        with inst.smtp(source=self.here) as a, inst.smtp(source=self.here) as b:
            for w in (a, b):
                w.cmd("MAIL FROM:<%s>" % ANNA, 250)
                w.cmd("RCPT TO:<%s>" % BOB, 250)
            for w in (a, b):
                w.cmd("DATA", 354)
            codes = []
            for w in (a, b):
                w.send(letter("one of them") + b".\r\n")
                codes.append(w.reply()[0])
        self.assertEqual(codes, [250, 421])
        self.assertEqual(len(inst.fetch(BOB, n=1)), 1)


class Shared(Case):
    """grant_users_per_address is 3 here."""

    def setUp(self):
        super().setUp()
        self.users = ["u%d@example.test" % i for i in range(5)]
        for u in self.users:
            inst.add_user(u, "pw-" + u)
        self.addCleanup(lambda: [inst.ctl("user", "delete", u)
                                 for u in self.users])

    def policy(self, word):
        inst.write_conf(grant_shared=word)
        inst.reload("authd")
        self.addCleanup(inst.reload, "authd")
        self.addCleanup(inst.write_conf, grant_shared=None)

    def test_log_is_first(self):
        since = inst.log_size("authd")
        for u in self.users:
            inst.grant(u, self.here)
            self.allowed(u)
        for u in self.users[3:]:
            inst.wait_log("authd", r"ev=grant\.shared sid=\S+ user=%s rip=%s "
                          r"users=3 strangers=0 action=log" % (u, self.here),
                          since=since)
        self.assertEqual(inst.log("authd", since=since).count(
            "ev=grant.shared"), 2)

    def test_refuse(self):
        self.policy("refuse")
        inst.grant(self.users[4], self.here)        # was there before
        inst.clock(4000)
        for u in self.users[:3]:
            inst.grant(u, self.here)
            self.allowed(u)
        inst.grant(self.users[3], self.here)
        self.refused(self.users[3], code=553)
        inst.grant(self.users[3], self.here)        # nor by coming again
        with inst.smtp_as(self.users[3], source=self.here):
            pass
        inst.grant(self.users[3], self.here)
        self.refused(self.users[3], code=553)
        inst.grant(self.users[4], self.here)
        self.allowed(self.users[4])
        inst.clock(4500)
        inst.grant(self.users[0], self.here)        # goes on
        inst.clock(5000)
        self.allowed(self.users[0])
        # The others' have run out: there is room.
        inst.grant(self.users[3], self.here)
        self.allowed(self.users[3])
        # Sending after AUTH and another address are not touched by it.
        inst.grant(self.users[2], self.other)
        self.allowed(self.users[2], self.other)

    def test_by_network(self):
        self.policy("refuse")
        inst.grant(self.users[0], "127.0.8.201")
        inst.grant(self.users[1], "127.0.8.201")
        self.allowed(self.users[0], "127.0.8.201")
        self.refused(self.users[1], "127.0.8.201", code=553)

    def test_failed_logins_of_several(self):
        self.policy("refuse")
        for u, pw in ((0, "a"), (0, "b"), (1, "a"), (1, "a"), (2, "a")):
            self.failed(self.users[u], pw, self.here)
        inst.grant(self.users[3], self.here)
        self.allowed(self.users[3])     # an old password counts once: four
        self.failed(self.users[2], "b", self.here)
        inst.grant(self.users[4], self.here)
        self.refused(self.users[4], code=553)
        inst.grant(self.users[3], self.here)
        self.allowed(self.users[3])
        inst.grant(self.users[0], self.other)
        self.allowed(self.users[0], self.other)
        inst.procs["authd"].terminate()         # so it does after a restart
        inst.procs["authd"].wait()
        inst.start("authd")

        def again():                            # popd finds the new one
            try:
                inst.grant(self.users[4], self.here)
            except AssertionError:
                return False
            return True
        wait_until(again, what="a login after the restart")
        self.refused(self.users[4], code=553)


class Crowd(Case):
    def test_one_of_very_many_is_not_the_only_one(self):
        """More grants than are looked at: who stands behind them may count,
        so nothing goes without a sender."""
        dead = ["d%02d@example.test" % n for n in range(63)]
        users = dead + ["zoe@example.test"]
        for u in users:
            inst.control("users", verb="user.add", user=u, password="pw-" + u)
        self.addCleanup(lambda: [inst.control("users", verb="user.delete",
                                              user=u) for u in users])
        inst.grant(ANNA, self.here)
        self.allowed("")
        for u in users:
            inst.ctl("grant", "add", u, self.here)
            if u in dead:
                inst.control("users", verb="user.disable", user=u)
        for sender, code in ((ANNA, 250), (users[-1], 250), ("", 553),
                             (dead[0], 553)):
            self.assertEqual(self.mail(sender)[0], code, sender)
        inst.ctl("grant", "revoke", dead[0])
        inst.ctl("grant", "revoke", users[-1])
        self.allowed("")


class Control(Case):
    def test_add(self):
        r = inst.ctl("grant", "add", BOB, self.here)
        self.assertIn("%s may send from %s" % (BOB, self.here), r.stdout)
        self.allowed(BOB)
        self.refused(ANNA, code=553)
        inst.clock(601)
        self.refused(BOB)

    def test_add_until(self):
        g = json.loads(inst.ctl("-j", "grant", "add", "--expires", "2d", BOB,
                                self.here, "max_messages=7").stdout)
        self.assertEqual((g["source"], g["max_messages"], g["user"]),
                         ("control", 7, BOB))
        inst.clock(86400)
        inst.grant(BOB, self.here)      # does not shorten it
        inst.clock(170000)
        self.allowed(BOB)
        self.assertEqual(self.one()["max_messages"], 7)

    def test_add_is_refused(self):
        for args, code in ((["nobody@example.test", self.here], 67),
                           ([self.here, BOB], 65), ([BOB], 64),
                           ([BOB, "127.0.0.0/24"], 65),
                           ([BOB, "127.0.9.1"], 65), ([BOB, "224.0.0.1"], 65),
                           ([BOB, self.here, "max_messages=-1"], 64),
                           ([BOB, self.here, "budget=1"], 64),
                           (["--expires", "2001-01-01", BOB, self.here], 65)):
            with self.subTest(args):
                r = inst.ctl("grant", "add", *args, check=False)
                self.assertEqual(r.returncode, code, r.stdout + r.stderr)
        inst.ctl("user", "disable", BOB)
        self.assertEqual(inst.ctl("grant", "add", BOB, self.here,
                                  check=False).returncode, 65)
        inst.ctl("user", "enable", BOB)
        self.assertEqual(self.grants("--all"), [])

    def test_list_query_revoke(self):
        for u, a in ((ANNA, self.here), (BOB, self.here), (ANNA, self.other),
                     (ANNA, "127.0.3.3")):
            inst.grant(u, a)

        def seen(*args):
            return [(g["user"], g["address"].split("/")[0]) for g in self.grants(*args)]
        self.assertEqual(len(seen()), 4)
        self.assertEqual(seen("--user", ANNA), sorted(
            ((ANNA, a) for a in (self.here, self.other, "127.0.3.3")),
            key=lambda x: [int(n) for n in x[1].split(".")]))
        self.assertEqual(len(seen("127.0.0.0/24")), 3)
        self.assertEqual(seen("127.0.3.0/24", "--user", BOB), [])
        for args, code in (((self.here,), 0), (("--user", BOB, self.here), 0),
                           (("--user", BOB, self.other), 1), ((BOB.split("@")[0],), 0),
                           (("127.0.0.300",), 65),
                           (("127.0.4.4",), 1), (("127.0.0.0/24",), 0),
                           (("--user", BOB, "127.0.0.0/24"), 0),
                           (("--user", BOB, "127.0.3.0/24"), 1),
                           (("127.0.4.0/24",), 1)):
            self.assertEqual(inst.ctl("grant", "query", *args,
                                      check=False).returncode, code, args)
        self.assertIn("1 revoked", inst.ctl("grant", "revoke", "127.0.3.0/24").stdout)
        self.assertIn("2 revoked", inst.ctl("grant", "revoke", ANNA).stdout)
        self.assertEqual(seen(), [(BOB, self.here)])
        self.refused(ANNA, code=553)
        self.assertIn("1 revoked", inst.ctl("grant", "revoke", self.here).stdout)
        self.refused(BOB)
        # Nothing to revoke is no failure; who is unknown may be a slip.
        r = inst.ctl("grant", "revoke", BOB)
        self.assertEqual((r.stdout, r.stderr), ("0 revoked\n", ""))
        r = inst.ctl("grant", "revoke", "bobb@example.test")
        self.assertEqual(r.stdout, "0 revoked\n")
        self.assertIn("bobb@example.test: no such user", r.stderr)

    def test_may_use_relay_ends_a_session_too(self):
        inst.grant(ANNA, self.here)
        with inst.smtp(source=self.here) as w:
            w.cmd("MAIL FROM:<%s>" % ANNA, 250)
            w.cmd("RSET", 250)
            inst.ctl("user", "set", ANNA, "may_use_relay=no")
            try:
                self.assertIn(w.cmd("MAIL FROM:<%s>" % ANNA)[0], (421, 530))
            finally:
                inst.ctl("user", "set", ANNA, "may_use_relay=yes")

    def test_config_check_of_families(self):
        if not IPV6:
            self.skipTest("no IPv6 here")
        for pop, smtp, warns in ((["127.0.0.1:0"], ["127.0.0.1:0"], 0),
                                 (["127.0.0.1:0"], ["127.0.0.1:0", "[::1]:0"], 1),
                                 (["127.0.0.1:0"], ["[::1]:0"], 2),
                                 ([], ["[::1]:0"], 0)):
            with self.subTest((pop, smtp)):
                opts = []
                for key, v in (("listen_pop3", pop), ("listen_pop3s", pop),
                               ("listen_submission", smtp),
                               ("listen_submissions", smtp)):
                    opts += ["-o", "%s=%s" % (key, ", ".join(v))]
                r = inst.ctl(*opts, "config", "check")
                self.assertEqual(r.stderr.count("the other family"), warns,
                                 r.stderr)
