"""Leaving POP-before-SMTP behind: who sends how (submitctl grant report),
clients that are too old, brown-outs, and the day on which grants end."""

import csv
import io
import json
import re
import ssl
import time
import unittest

from submitd_instance import ANNA, BOB, CARL, Instance, letter, wait_until

DORA = "dora@example.test"
TEXT = "Sending without a password ends soon"
URL = "https://help.example.test/send"
HOUR = 3600


def instance(**kw):
    return Instance(conf=dict({"grant_ttl": "10m"}, **kw.pop("conf", {})),
                    users={ANNA: "anna's secret", BOB: "bob-secret",
                           CARL: "carl-secret", DORA: "dora-secret"}, **kw)


def report(i, which, *args):
    out = i.ctl("-j", "grant", "report", which, *args).stdout
    return [json.loads(line) for line in out.splitlines()]


def users(i):
    return {r["user"]: r for r in report(i, "users")}


def utc(at):
    return time.strftime("%Y-%m-%d %H:%MZ", time.gmtime(at))


def send(i, user, source, auth=False, sender=None, **kw):
    """A message by AUTH, or by a grant that is there."""
    if auth:
        kw["auth"] = (user, i.users[user])
    with i.smtp(source=source, **kw) as w:
        w.send_mail(sender or user, [BOB], letter("x", user))
        w.cmd("QUIT")


class Users(unittest.TestCase):
    def test_classes(self):
        with instance() as i:
            start = int(time.time())
            send(i, ANNA, "127.3.0.1", auth=True, helo="new-phone.test")
            i.grant(BOB, "127.3.0.2")
            send(i, BOB, "127.3.0.2", helo="=old-pc.test", context=
                 i.tls_context(maximum_version=ssl.TLSVersion.TLSv1_2))
            send(i, BOB, "127.3.0.3", auth=True)
            i.grant(CARL, "127.3.0.4")
            for _ in range(3):
                send(i, CARL, "127.3.0.4", helo="[127.3.0.4]")
            # What is tried and not taken counts for nobody.
            with i.smtp_as(DORA, source="127.3.0.5") as w:
                w.cmd("MAIL FROM:<%s>" % ANNA, 553)
            # The EHLO name is known when the session is over.
            u = wait_until(lambda: (lambda u: u if all(
                "%s_client" % w in u[n] for n, w in (
                    (ANNA, "auth"), (BOB, "auth"), (BOB, "grant"),
                    (CARL, "grant"))) and u[CARL]["grant_30d"] >= 3
                else None)(users(i)))
            self.assertEqual({n: r["class"] for n, r in u.items()},
                             {ANNA: "ready", BOB: "mixed",
                              CARL: "grant-only", DORA: "silent"})
            self.assertEqual([(u[n]["auth_30d"], u[n]["grant_30d"])
                              for n in (ANNA, BOB, CARL, DORA)],
                             [(1, 0), (1, 1), (0, 3), (0, 0)])
            self.assertEqual((u[ANNA]["auth_client"], u[ANNA]["auth_address"]),
                             ("new-phone.test", "127.3.0.1"))
            self.assertRegex(u[ANNA]["auth_tls"], r"^TLSv1\.3:")
            self.assertNotIn("grant_last_s", u[ANNA])
            self.assertEqual((u[BOB]["grant_client"],
                              u[BOB]["grant_address"]),
                             ("=old-pc.test", "127.3.0.2"))
            self.assertRegex(u[BOB]["grant_tls"], r"^TLSv1\.2:ECDHE")
            self.assertTrue(start <= u[BOB]["grant_last_s"] <= time.time())
            self.assertEqual(u[CARL]["grant_client"], "[127.3.0.4]")
            self.assertNotIn("auth_last_s", u[DORA])
            self.as_text(i)
            self.stays(i)

    def as_text(self, i):
        text = i.ctl("grant", "report").stdout
        self.assertIn("1 ready, 1 mixed, 1 grant-only, 1 silent", text)
        self.assertRegex(text, r"(?m)^carl\S* +grant-only +0 +3 +0 +- +"
                               r"20\S+ \S+ +TLSv1.3 +127\.3\.0\.4 +\[127")
        self.assertIn("no handshake was too old", text)
        self.assertIn("no grant_brownout is set", text)
        raw = i.ctl("grant", "report", "users", "--csv").stdout
        rows = {r["user"]: r for r in csv.DictReader(io.StringIO(raw))}
        self.assertEqual(rows[CARL]["class"], "grant-only")
        self.assertEqual(rows[CARL]["grant_30d"], "3")
        self.assertRegex(rows[CARL]["grant_last_s"],
                         r"^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?Z$")
        self.assertEqual(rows[CARL]["auth_last_s"], "")
        # What a client calls itself is no formula.
        self.assertEqual(rows[BOB]["grant_client"], "'=old-pc.test")
        one = report(i, "users", "--user", "bob")
        self.assertEqual([r["user"] for r in one], [BOB])
        r = i.ctl("grant", "report", "everything", check=False)
        self.assertEqual(r.returncode, 64, r.stderr)

    def stays(self, i):
        """Over a restart; not over 30 days; and not with another user of the
        same name."""
        i.stop()
        i.start()
        self.assertEqual(users(i)[CARL]["grant_30d"], 3)
        i.clock(29 * 86400)
        self.assertEqual(users(i)[CARL]["class"], "grant-only")
        i.clock(31 * 86400)
        u = users(i)
        self.assertEqual({r["class"] for r in u.values()}, {"silent"})
        self.assertEqual(u[CARL]["grant_address"], "127.3.0.4")
        i.clock(0)
        i.ctl("user", "delete", CARL)
        i.add_user(CARL, "another")
        u = users(i)
        self.assertEqual(u[CARL]["class"], "silent")
        self.assertNotIn("grant_last_s", u[CARL])
        self.assertEqual(u[BOB]["class"], "mixed")


class Old(unittest.TestCase):
    def test_addresses(self):
        """TLS 1.0 and 1.1 alone, or RSA key exchange alone; a client that only
        distrusts the certificate is not too old."""
        with instance() as i:
            old = ssl.create_default_context(cafile=i.cert)
            old.minimum_version = ssl.TLSVersion.TLSv1
            old.maximum_version = ssl.TLSVersion.TLSv1_1
            old.set_ciphers("ALL:@SECLEVEL=0")
            rsa = ssl.create_default_context(cafile=i.cert)
            rsa.maximum_version = ssl.TLSVersion.TLSv1_2
            rsa.set_ciphers("AES128-SHA:AES128-GCM-SHA256:@SECLEVEL=0")
            i.grant(ANNA, "127.3.1.1")
            for service, source, context in (
                    ("submissions", "127.3.1.1", old),
                    ("submission", "127.3.1.1", old),
                    ("submission", "127.3.1.2", rsa),
                    ("submissions", "127.3.1.3", ssl.create_default_context())):
                with self.assertRaises((ssl.SSLError, OSError)):
                    i.smtp(service, source=source, context=context)
            for service, source in (("pop3s", "127.3.1.4"),
                                    ("pop3", "127.3.1.4")):
                with self.assertRaises((ssl.SSLError, OSError)):
                    i.pop(service, source=source, context=rsa)

            def all_there():
                r = {r["address"]: r for r in report(i, "addresses")}
                return r if sum(x["handshakes_30d"]
                                for x in r.values()) >= 5 else None
            r = wait_until(all_there, what="five handshakes")
            self.assertEqual(sorted(r), ["127.3.1.1", "127.3.1.2",
                                         "127.3.1.4"])
            self.assertEqual(r["127.3.1.1"]["handshakes_30d"], 2)
            self.assertEqual(r["127.3.1.1"]["users"], [ANNA])
            self.assertIn("TLS 1.2", r["127.3.1.1"]["hint"])
            self.assertEqual((r["127.3.1.2"]["why"], r["127.3.1.2"]["service"],
                              r["127.3.1.2"]["port"]),
                             ("no_shared_cipher", "smtp",
                              i.port("submission")))
            self.assertEqual(r["127.3.1.4"]["service"], "pop3")
            text = i.ctl("grant", "report", "addresses").stdout
            self.assertRegex(text, r"(?m)^127\.3\.1\.1 +2 .*" + ANNA)
            raw = i.ctl("grant", "report", "addresses", "--csv").stdout
            rows = {x["address"]: x for x in csv.DictReader(io.StringIO(raw))}
            self.assertEqual(rows["127.3.1.2"]["why"], "no_shared_cipher")
            i.clock(31 * 86400)
            self.assertEqual(report(i, "addresses"), [])


class Brownouts(unittest.TestCase):
    """The clock is moved; what has no minute of its own is told from the
    counts."""

    def setUp(self):
        # A whole minute, so that what is sent at once lies in one window.
        self.begin = (int(time.time()) // 60 + 60) * 60
        self.end = self.begin + HOUR

    def section(self, name="first", **changes):
        keys = dict({"begin": utc(self.begin), "end": utc(self.end),
                     "text": TEXT, "url": URL}, **changes)
        return "grant_brownout %s {\n%s}\n" % (name, "".join(
            '\t%s = "%s"\n' % (k, v) for k, v in keys.items() if v))

    def at(self, i, when):
        i.clock(int(when - time.time()))

    def refused(self, i, user, source, text=TEXT):
        with i.smtp(source=source) as w:
            code, got = w.cmd("MAIL FROM:<%s>" % user)
            self.assertEqual(code, 450, got)
            self.assertRegex(got, r"^4\.7\.1 %s.* \[[0-9A-Za-z]{16}\]$"
                             % re.escape(text))
            # The same session may log in instead.
            w.auth_plain(user, i.users[user])
            w.cmd("MAIL FROM:<%s>" % user, 250)
        return got

    def test_a_window(self):
        with instance(conf={"grant_ttl": "1d"}, extra=self.section() +
                      'trusted_networks "127.3.2.9/32" {\n'
                      '\tsenders = {"%s"}\n}\n' % CARL) as i:
            for user, source in ((ANNA, "127.3.2.1"), (BOB, "127.3.2.2"),
                                 (CARL, "127.3.2.9")):
                i.grant(user, source)
            self.assertEqual(report(i, "brownouts")[0]["state"], "to come")
            self.at(i, self.begin - 300)
            send(i, ANNA, "127.3.2.1")
            send(i, ANNA, "127.3.2.1")
            send(i, BOB, "127.3.2.2")
            send(i, BOB, "127.3.2.3", auth=True)
            self.on(i)
            # And it is over, by itself.
            self.at(i, self.end + 60)
            send(i, BOB, "127.3.2.2")
            send(i, ANNA, "127.3.2.4", auth=True)
            i.wait_log("authd", r"ev=brownout\.end name=first")
            r = report(i, "brownouts")[0]
            self.assertEqual(
                (r["name"], r["state"], r["begin_s"], r["end_s"]),
                ("first", "over", self.begin, self.end))
            self.assertEqual(
                [r[p + "_" + w] for p in ("before", "during", "after")
                 for w in ("auth", "grant")], [1, 3, 1, 1, 1, 1])
            # Anna and Bob were refused; Anna logs in since.
            self.assertEqual((r["refused"], r["users_refused"],
                              r["users_moved"]), (3, 2, 1))
            u = users(i)
            self.assertEqual((u[ANNA]["refused_30d"], u[BOB]["refused_30d"]),
                             (2, 1))
            text = i.ctl("grant", "report", "brownouts").stdout
            self.assertRegex(text, r"(?m)^first +over ")

    def on(self, i):
        """While the window is open. Anna's message began before it."""
        with i.smtp(source="127.3.2.1") as early:
            early.cmd("MAIL FROM:<%s>" % ANNA, 250)
            early.cmd("RCPT TO:<%s>" % BOB, 250)
            self.at(i, self.begin + 120)
            i.wait_log("authd", r"ev=brownout\.begin name=first until=")
            early.cmd("DATA", 354)
            early.send(letter("early", ANNA) + b".\r\n")
            early.expect(250)
            code, text = early.cmd("MAIL FROM:<%s>" % ANNA)
            self.assertEqual((code, text[:5]), (450, "4.7.1"))
        self.assertIn("; see " + URL, self.refused(i, ANNA, "127.3.2.1"))
        self.refused(i, BOB, "127.3.2.2")
        i.wait_log("authd", r"ev=mail\.refused .*user=bob@example\.test .*"
                            r"why=brownout brownout=first")
        # Whom a trusted network lets in, and who logs in, is not concerned.
        send(i, CARL, "127.3.2.9")
        send(i, BOB, "127.3.2.3", auth=True)
        r = i.ctl("grant", "query", "127.3.2.1", check=False)
        self.assertEqual(r.returncode, 1)
        self.assertIn("grant_brownout first", r.stdout)
        r = i.ctl("why", "--ip", "127.3.2.1", check=False)
        self.assertEqual(r.returncode, 1)
        self.assertIn("450 4.7.1 " + TEXT, r.stdout)
        self.assertIn("grant_brownout first", r.stdout)
        self.assertIn("grant_brownout first", i.ctl("status").stdout)
        r = wait_until(lambda: next((x for x in (json.loads(line) for line in
                       i.ctl("-j", "recent", "127.3.2.2").stdout.splitlines())
                       if x.get("code") == 450), None))
        self.assertIn("Switch on authentication", r["tell"])
        self.assertEqual(report(i, "brownouts")[0]["state"], "on")

    def test_by_reload(self):
        """It begins with one reload, and ends with another."""
        with instance() as i:
            i.grant(ANNA, "127.3.3.1")
            send(i, ANNA, "127.3.3.1")
            now = int(time.time()) // 60 * 60
            i.extra = self.section("now", begin=utc(now - 600),
                                   end=utc(now + HOUR), text="", url="")
            i.write_conf()
            self.assertIn("ev=reload.done", i.reload("authd"))
            self.refused(i, ANNA, "127.3.3.1", "Sending without a login is "
                         "switched off for now")
            i.extra = ""
            i.write_conf()
            self.assertIn("ev=reload.done", i.reload("authd"))
            send(i, ANNA, "127.3.3.1")
            self.assertEqual(report(i, "brownouts"), [])
            # A wrong one changes nothing.
            i.extra = self.section(end=utc(self.begin))
            i.write_conf()
            log = i.reload("authd")
            self.assertIn("ev=reload.refused", log)
            self.assertIn("expected an end behind its begin", log)


class Sunset(unittest.TestCase):
    def test_the_end(self):
        day = int(time.time()) // 60 * 60 + 2 * HOUR
        with instance(conf={"grant_ttl": "30d",
                            "grant_sunset": utc(day)}) as i:
            i.grant(ANNA, "127.3.4.1")
            send(i, ANNA, "127.3.4.1")
            since = i.log_size("authd")
            with i.smtp(source="127.3.4.1") as w:
                w.cmd("MAIL FROM:<%s>" % ANNA, 250)
                w.cmd("RSET", 250)
                i.clock(2 * HOUR + 60)
                # The grant in the session's hands has ended, too.
                code, text = w.cmd("MAIL FROM:<%s>" % ANNA)
                self.assertEqual(code, 530, text)
                self.assertIn("suffices no more", text)
            i.grant(ANNA, "127.3.4.1")
            with i.smtp(source="127.3.4.1") as w:
                code, text = w.cmd("MAIL FROM:<%s>" % ANNA)
                self.assertEqual(code, 530, text)
                self.assertRegex(text, r"suffices no more; .* \[\w{16}\]$")
                w.auth_plain(ANNA, i.users[ANNA])
                w.cmd("MAIL FROM:<%s>" % ANNA, 250)
            self.assertNotRegex(i.log("authd", since), r"ev=grant\.(new|renew)")
            r = i.ctl("why", "--ip", "127.3.4.1", check=False)
            self.assertEqual(r.returncode, 1)
            self.assertIn("grant_sunset", r.stdout)
            r = i.ctl("grant", "query", "127.3.4.1", check=False)
            self.assertEqual(r.returncode, 1)
            self.assertIn("grant_sunset is over", r.stdout)
            self.assertIn("grants end at", i.ctl("grant", "report",
                                                 "brownouts").stderr)
            i.clock(0)
            send(i, ANNA, "127.3.4.1")


if __name__ == "__main__":
    unittest.main()
