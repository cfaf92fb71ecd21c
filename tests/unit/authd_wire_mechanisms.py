"""All mechanisms, names, app passwords, certificates, acting for others.

Run by authd_wire.py.
"""

import base64
import concurrent.futures
import hashlib
import os
import struct
import time

from authd_wire_base import (Peer, a_sid, blob, text, scram, Base, MAILDROP, WHO_ENTRY,
    WHO_END, STATE, KICK, WHO, SID, SMTP, POP, PASSWORD)
from authd_wire_roles import Notices

ALL_MECHANISMS = """
guessing_exempt = {"127.0.0.0/8"}
mechanisms = {SCRAM-SHA-256-PLUS, SCRAM-SHA-1-PLUS, SCRAM-SHA-256, SCRAM-SHA-1,
    EXTERNAL, PLAIN, CRAM-MD5, APOP, LOGIN}
scram_sha1 = yes
login_separators = "%!"
default_domain = "example.net"
"""
CERT = hashlib.sha256(b"a certificate").digest()
EXPORTER = os.urandom(32)


class Mechanisms(Base):
    """What is not on unless it is configured; app passwords; acting for
    another."""

    more = ALL_MECHANISMS

    def do(self, verb, **args):
        last = self.authd.ask(verb, **args)[-1]
        self.assertNotIn("error", last)
        return last

    def bad(self, r):
        self.assertEqual((r.verdict, r.rest), ("BADCRED", b""))

    def why(self, n=1):
        """Why the last login failed, as the log has it."""
        lines = [x for x in self.authd.lines().splitlines()
                 if "ev=auth.fail" in x]
        return lines[-1].split("why=")[1].split()[0]

    def test_scram_sha1(self):
        h = self.smtp.session(SMTP)
        r, facts = scram(self.smtp, h, "alice@example.org", PASSWORD,
                         hash="sha1")
        self.ok(r)
        self.assertEqual(facts, scram(self.smtp, h, "alice@example.org",
                                      PASSWORD)[1])
        r, facts = scram(self.smtp, h, "alice@example.org", "x", hash="sha1")
        self.bad(r)
        r, facts = scram(self.smtp, h, "nobody@example.org", "x", hash="sha1")
        self.bad(r)
        self.assertEqual(len(facts[0]), 16)

    def test_plus(self):
        h = self.smtp.session(SMTP)
        for name, hash in (("tls-exporter", "sha256"), ("tls-unique", "sha256"),
                           ("tls-server-end-point", "sha1")):
            r, _ = scram(self.smtp, h, "alice@example.org", PASSWORD,
                         hash=hash, binding=name, data=EXPORTER)
            self.ok(r)
        for what, why, args in (
                ("another connection's", "binding",
                 dict(binding="tls-exporter", data=EXPORTER, sent=b"x" * 32)),
                ("none", "binding",
                 dict(binding="tls-exporter", data=EXPORTER, sent=b"")),
                ("one that was not to be had", "binding",
                 dict(binding="tls-unique", mech="SCRAM-SHA-256-PLUS",
                      gs2="p=tls-exporter", data=EXPORTER)),
                ("a longer name", "binding",
                 dict(binding="tls-exporter", gs2="p=tls-exporters",
                      data=EXPORTER))):
            with self.subTest(what):
                r, _ = scram(self.smtp, h, "alice@example.org", PASSWORD,
                             **args)
                self.bad(r)
                self.assertEqual(self.why(), why)
        # The worker could not have it: binding "".
        r = self.smtp.start(h, "SCRAM-SHA-256-PLUS",
                            b"p=tls-unique,,n=alice@example.org,r=abcdefghij")
        self.bad(r)
        for gs2 in (b"n,,", b"y,,", b"p=,,", b"p=tls-exporter", b""):
            r = self.smtp.start(h, "SCRAM-SHA-256-PLUS", gs2 and gs2 +
                                b"n=alice@example.org,r=abcdefghijkl",
                                binding="tls-exporter", data=EXPORTER)
            self.assertIn(r.verdict, ("MALFORMED", "BADCRED"), gs2)

    def test_downgrade(self):
        """'y': the client could bind, and believes that we cannot."""
        h = self.smtp.session(SMTP)
        for hash in ("sha256", "sha1"):
            r, _ = scram(self.smtp, h, "alice@example.org", PASSWORD,
                         hash=hash, gs2="y")
            self.bad(r)
            self.assertEqual(self.why(), "downgrade")
        r, _ = scram(self.smtp, h, "alice@example.org", PASSWORD,
                     gs2="p=tls-exporter")
        self.assertEqual(r.verdict, "MALFORMED")

    def test_external(self):
        name = "cert@example.org"
        self.authd.user(name)
        h = self.smtp.session(SMTP)
        self.bad(self.smtp.start(h, "EXTERNAL", b"", cert=CERT))
        self.assertEqual(self.why(), "nocert")
        self.assert_log("cert=" + CERT.hex())
        self.do("user.certificate.add", user=name, label="laptop",
                sha256=CERT.hex(), scope="smtp")
        for authzid in (b"", name.encode(), b"CERT@example.org"):
            self.ok(self.smtp.start(h, "EXTERNAL", authzid, cert=CERT), name)
        r = self.smtp.start(h, "EXTERNAL", cert=CERT)
        self.assertEqual((r.verdict, r.u32() and r.blob()), ("CONTINUE", b""))
        for authzid in (b"alice@example.org", b"nobody", b"\0", b"\xff"):
            self.bad(self.smtp.start(h, "EXTERNAL", authzid, cert=CERT))
        self.assertEqual(self.why(), "authzid")
        self.bad(self.smtp.start(h, "EXTERNAL", b""))
        self.do("user.certificate.add", user=name, label="zeroes",
                sha256="0" * 64, scope="smtp")
        self.bad(self.smtp.start(h, "EXTERNAL", b""))	# that is none
        self.do("user.certificate.delete", user=name, label="zeroes")
        self.bad(self.smtp.start(h, "EXTERNAL", b"", cert=bytes(32)))
        p = self.pop.session(POP)
        self.bad(self.pop.start(p, "EXTERNAL", b"", cert=CERT))
        self.assertEqual(self.why(), "scope")
        # The session ends with the certificate.
        t = self.ok(self.smtp.start(h, "EXTERNAL", b"", cert=CERT), name)
        self.assertEqual(self.smtp.mail(h, name, t).verdict, "OK")
        self.do("user.certificate.delete", user=name, label="laptop")
        self.assertEqual(self.smtp.mail(h, name, t).verdict, "VOID")
        self.bad(self.smtp.start(h, "EXTERNAL", b"", cert=CERT))

    def test_secret(self):
        name, secret = "old@example.org", "tanstaaftanstaaf"
        self.authd.user(name)
        h = self.smtp.session(SMTP)
        p = self.pop.session(POP)
        now = int(time.time())
        challenge = "<%s.%d@mail.example.org>" % (SID, now)
        self.assertEqual(self.smtp.start(h, "CRAM-MD5").verdict, "BADMECH")
        self.assertEqual(self.pop.apop(p, name, challenge, secret).verdict,
                         "BADMECH")
        self.do("user.secret.add", user=name, password=secret)
        self.assertEqual(self.smtp.notice(STATE), b"\1")
        self.assertEqual(self.pop.notice(STATE), b"\1")
        self.assertTrue(self.peer("submitd-smtp").has_secrets)
        self.ok(self.smtp.cram(h, name, secret), name)
        self.ok(self.smtp.cram(h, "OLD@example.org", secret), name)
        self.ok(self.pop.apop(p, name, challenge, secret), name)
        for user, word, why in (
                (name, "wrong", "badpass"), (name, PASSWORD, "badpass"),
                (name, "", "badpass"), ("alice@example.org", PASSWORD,
                                        "nosecret"),
                (name + "#x", secret, "nosecret"),
                ("nobody@example.org", secret, "nouser")):
            with self.subTest(user=user, word=word):
                self.bad(self.smtp.cram(h, user, word))
                self.assertEqual(self.why(), why)
                self.bad(self.pop.apop(p, user, challenge, word))
                self.assertEqual(self.why(), why)
        self.assertEqual(self.smtp.start(h, "CRAM-MD5", b"").verdict,
                         "NOINITIAL")
        for response in (b"", b"x", b"\0", b"old@example.org",
                         b"old@example.org zz", b" " * 200):
            r = self.smtp.start(h, "CRAM-MD5")
            r = self.smtp.step(r.u32(), response)
            self.assertIn(r.verdict, ("MALFORMED", "BADCRED"), response)
        # The secret is no password, and no way to the keys.
        self.bad(self.smtp.plain(h, name, secret))
        self.bad(scram(self.smtp, h, name, secret)[0])
        self.assertNotIn(secret, self.authd.lines())
        for wrong in ("<%s.%d@mail.example.org>" % (SID[:-1] + "6", now),
                      "<%s.%d@mail.example.org>" % (SID, now - 700),
                      "<%s.%d@mail.example.org>" % (SID, now + 700),
                      "<%s.%d@example.org>" % (SID, now),
                      "<%s.%dx@mail.example.org>" % (SID, now),
                      "<%s.@mail.example.org>" % SID,
                      challenge[1:], challenge[:-1], "", "<>"):
            self.bad(self.pop.apop(p, name, wrong, secret))
            self.assertEqual(self.why(), "challenge")
        t = self.ok(self.smtp.cram(h, name, secret), name)
        self.assertEqual(self.smtp.mail(h, name, t).verdict, "OK")
        self.do("user.secret.delete", user=name)
        self.assertEqual(self.smtp.mail(h, name, t).verdict, "VOID")
        self.assertEqual(self.smtp.notice(STATE), b"\0")
        self.assertEqual(self.smtp.start(h, "CRAM-MD5").verdict, "BADMECH")

    def test_app_passwords(self):
        name = "apps@example.org"
        self.authd.user(name)
        h, p = self.smtp.session(SMTP), self.pop.session(POP)
        phone = self.do("user.credential.add", user=name, label="phone",
                        scope="all")["password"]
        self.do("user.credential.add", user=name, label="scanner",
                scope="smtp", password="scan it")
        label = name + "#phone"
        for user, password in ((name, PASSWORD), (name, phone),
                               (label, phone), (name, "scan it")):
            self.ok(self.smtp.plain(h, user, password), name)
        self.ok(self.smtp.plain(h, label, phone, authzid=label), name)
        self.bad(self.smtp.plain(h, label, PASSWORD))
        self.bad(self.smtp.plain(h, name + "#tablet", phone))
        self.bad(self.pop.plain(p, name, "scan it"))
        self.ok(self.pop.plain(p, name, phone), name)
        # Under SCRAM a label chooses; without one it is the main password.
        self.ok(scram(self.smtp, h, label, phone)[0], name)
        self.ok(scram(self.smtp, h, label, phone, hash="sha1")[0], name)
        self.bad(scram(self.smtp, h, name, phone)[0])
        self.bad(scram(self.smtp, h, label, PASSWORD)[0])
        self.bad(scram(self.pop, p, name + "#scanner", "scan it")[0])
        self.assertEqual(self.why(), "scope")
        r, facts = scram(self.smtp, h, name + "#tablet", "x")
        self.bad(r)
        self.assertEqual(facts, scram(self.smtp, h, name, PASSWORD)[1])
        # Revoked one by one; what came of it ends, and nothing else.
        t = self.ok(self.smtp.plain(h, label, phone), name)
        u = self.ok(self.smtp.plain(h, name, PASSWORD), name)
        self.do("user.credential.delete", user=name, label="phone")
        self.assertEqual(self.smtp.mail(h, name, t).verdict, "VOID")
        self.assertEqual(self.smtp.mail(h, name, u).verdict, "OK")
        self.bad(self.smtp.plain(h, name, phone))
        self.ok(self.smtp.plain(h, name, "scan it"), name)

    def test_expiry(self):
        name = "expires@example.org"
        self.authd.user(name)
        h = self.smtp.session(SMTP)
        self.do("user.credential.add", user=name, label="guest",
                scope="all", password="for a day",
                expires_s=int(time.time()) + 600)
        t = self.ok(self.smtp.plain(h, name, "for a day"), name)
        self.ok(scram(self.smtp, h, name + "#guest", "for a day")[0], name)
        self.authd.clock("+700")
        h = self.smtp.session(SMTP)
        self.bad(self.smtp.plain(h, name, "for a day"))
        self.bad(scram(self.smtp, h, name + "#guest", "for a day")[0])
        self.assertEqual(self.why(), "expired")
        self.assertEqual(self.smtp.mail(h, name, t).verdict, "VOID")

    def test_scope_of_grants(self):
        """A POP3 login that could not send by itself opens no relay."""
        name, where = "scoped@example.org", "127.0.11.1"
        self.authd.user(name)
        self.do("user.credential.add", user=name, label="reader",
                scope="pop", password="only read")
        self.pop_login(name, "only read", where)
        h = self.smtp.session(SMTP, where)
        self.assertEqual(self.smtp.mail(h, name).verdict, "NOAUTH")
        self.pop_login(name, PASSWORD, where)
        self.assertEqual(self.smtp.mail(h, name).verdict, "OK")
        for setting in ("may_open_relay", "may_submit"):
            self.authd.user(setting + "@example.org")
            self.do("user.set", user=setting + "@example.org",
                    **{setting: False})
            self.pop_login(setting + "@example.org", client="127.0.11.2")
        h = self.smtp.session(SMTP, "127.0.11.2")
        self.assertEqual(self.smtp.mail(h, "").verdict, "NOAUTH")

    def test_allow_as(self):
        actor, owner = "actor@example.org", "owner@example.org"
        for name in (actor, owner):
            self.authd.user(name, "of " + name)
        h, p = self.smtp.session(SMTP), self.pop.session(POP)
        def plain(peer, handle):
            return peer.plain(handle, actor, "of " + actor, owner)
        self.bad(plain(self.smtp, h))
        self.assertEqual(self.why(), "authzid")
        self.do("user.allow-as.add", user=actor, other=owner)
        self.bad(self.smtp.plain(h, owner, "of " + owner, actor))
        t = self.ok(plain(self.smtp, h), owner, actor)
        self.assert_log("user=owner@example.org login=actor@example.org")
        self.assertEqual(self.smtp.mail(h, owner, t).verdict, "OK")
        self.assertEqual(self.smtp.mail(h, actor, t).verdict, "NOTSENDER")
        for hash in ("sha256", "sha1"):
            r, _ = scram(self.smtp, h, actor, "of " + actor, hash=hash,
                         authzid=owner)
            self.ok(r, owner, actor)
        d = self.ok(plain(self.pop, p), owner, actor)
        r = self.mbox.call(MAILDROP, blob(d))
        self.assertEqual((r.verdict, r.text()), ("OK", owner))
        # It opens no relay: a grant hangs on its own user's credential.
        where = "127.0.11.3"
        self.ok(plain(self.pop, self.pop.session(POP, where)), owner, actor)
        self.assertEqual(self.smtp.mail(self.smtp.session(SMTP, where),
                                        owner).verdict, "NOAUTH")
        def holds(want):
            self.assertEqual(self.smtp.mail(h, owner, t).verdict, want)
            self.assertEqual(self.spool.ticket(t, owner, 1).verdict, want)
            self.assertEqual(self.mbox.call(MAILDROP, blob(d)).verdict, want)
        holds("OK")
        for name in (actor, owner):
            self.do("user.disable", user=name)
            holds("VOID")
            self.bad(plain(self.smtp, h))
            self.do("user.enable", user=name)
            holds("OK")
        self.do("user.set", user=owner, may_submit=False)
        self.assertEqual(self.smtp.mail(h, owner, t).verdict, "VOID")
        self.bad(plain(self.smtp, h))
        self.assertEqual(self.why(), "notpermitted")
        self.do("user.set", user=owner, may_submit=True)
        self.do("user.allow-as.delete", user=actor, other=owner)
        holds("VOID")
        self.do("user.allow-as.add", user=actor, other=owner)
        holds("OK")
        self.do("user.passwd", user=actor, password="another")
        holds("VOID")

    def test_bare_names_tell_nothing(self):
        """Who is not there shows the salt of one domain or the other, as the
        users of both do who leave theirs out; with a default_domain too."""
        h = self.smtp.session(SMTP)
        seen = set()
        for local in ["alice", "eve"] + ["nobody%d" % i for i in range(24)]:
            bare, one, two = (
                scram(self.smtp, h, name, "x")[1][0] for name in
                (local, local + "@example.org", local + "@example.net"))
            self.assertIn(bare, (one, two), local)
            seen.add((local[:6] == "nobody", bare == one))
        self.assertEqual(len(seen), 4, seen)

    def test_import_ends_sessions(self):
        """Of who loses any of his ways to log in by it, not his main password
        alone; and of nobody else."""
        name = "moved@example.org"
        self.authd.user(name)
        whole = self.authd.ask("user.export", user=name)[0]
        self.do("user.credential.add", user=name, label="phone")
        del self.smtp.notices[:]
        self.do("user.import", mode="update", users=[whole])
        self.assertEqual(self.do("user.show", user=name)["credentials"], 1)
        self.assertIn(name.encode(), self.smtp.notice(KICK))
        self.do("user.import", mode="update", users=[dict(whole, note="x")])
        self.do("kick", user="nobody@example.org")
        self.assertIn(b"nobody@", self.smtp.notice(KICK))

    def test_cut_character(self):
        """An error's text is cut, which may be within a character: it is
        answered and logged all the same."""
        for n in range(240, 244):
            last = self.authd.ask("user.show", user="x" * n + "\u00e9" * 99)
            self.assertIn("not a name", last[-1]["error"])
        last = self.do("user.import", mode="add", users=[{
            "x" + "\u00e9" * 40: 1}])
        self.assertEqual(len(last["problems"]), 1)
        self.authd.lines()

    def test_changed_meanwhile(self):
        name = "meanwhile@example.org"
        self.authd.user(name)
        p = self.pop.session(POP)
        for verb, args in (("user.disable", {}),
                           ("user.passwd", dict(password="x y z")),
                           ("user.delete", {})):
            self.do("user.enable", user=name)
            self.do("user.passwd", user=name, password=PASSWORD)
            r, _ = scram(self.pop, p, name, PASSWORD, meanwhile=lambda: None)
            self.ok(r, name)
            r, _ = scram(self.pop, p, name, PASSWORD,
                         meanwhile=lambda: self.do(verb, user=name, **args))
            self.bad(r)
            self.assertEqual(self.why(), "changed")
        self.authd.user(name)
        # He lets us wait before his last, empty message.
        r, _ = scram(self.pop, p, name, PASSWORD,
                     at_last=lambda: self.do("user.disable", user=name))
        self.bad(r)

    def test_authzid_preparation(self):
        """RFC 4954 section 4: one that cannot be prepared, or becomes empty by
        it, fails; it does not count as none."""
        h = self.smtp.session(SMTP)
        for authzid in ("\u00ad", "\u0007", "\u2028", "alice@example.org\u0000"):
            r = self.smtp.start(h, "PLAIN", b"\0".join(
                x.encode() for x in (authzid, "alice@example.org", PASSWORD)))
            self.assertIn(r.verdict, ("BADCRED", "MALFORMED"))
        self.bad(self.smtp.start(h, "PLAIN",
                                 b"\xff\0alice@example.org\0x"))

    def test_long(self):
        """255 octets of UTF-8 for each."""
        password = "\u00e9" * 127 + "x"
        self.assertEqual(len(password.encode()), 255)
        name = "long" + "." * 0 + "@" + ".".join(["d" * 60] * 4) + ".example"
        name = name[:250]
        self.authd.user("long@example.org", password)
        h = self.smtp.session(SMTP)
        self.ok(self.smtp.plain(h, "long@example.org", password,
                                "long@example.org"), "long@example.org")
        for part in ("\u00e9" * 127 + "x", "x" * 255):
            self.bad(self.smtp.plain(h, part, password, part))
            self.bad(scram(self.smtp, h, part, "x", authzid=part)[0])

    def test_names(self):
        self.authd.user("eve@example.org", "eve of org")
        self.authd.user("a#b@example.org")
        h = self.smtp.session(SMTP)
        for name, user, password in (
                ("eve", "eve@example.net", PASSWORD),	# default_domain
                ("EVE", "eve@example.net", PASSWORD),
                ("eve%example.org", "eve@example.org", "eve of org"),
                ("eve!Example.ORG", "eve@example.org", "eve of org"),
                ("bob", "bob@example.org", "bob's"),	# the only one
                ("b\u00adob", "bob@example.org", "bob's"),
                ("\uff42ob", "bob@example.org", "bob's"),
                ("a#b@example.org", "a#b@example.org", PASSWORD)):
            with self.subTest(name):
                self.ok(self.smtp.plain(h, name, password), user)
        for name in ("eve%example.org%", "eve%%example.org", "bob#", "#", "%",
                     "bob@", "@example.org", "sales@example.org",
                     "eve!example.org%x", "bob#main"):
            with self.subTest(name):
                self.bad(self.smtp.plain(h, name, "bob's"))

    def test_listeners(self):
        """Another list at another listener; a reload changes it."""
        try:
            self.authd.reload(ALL_MECHANISMS.replace(
                "scram_sha1", "mechanisms_pop3 = {PLAIN}\nscram_sha1"))
            h, p = self.smtp.session(SMTP), self.pop.session(POP)
            self.ok(scram(self.smtp, h, "alice@example.org", PASSWORD)[0])
            self.assertEqual(self.pop.start(p, "SCRAM-SHA-256").verdict,
                             "BADMECH")
            self.ok(self.pop.plain(p, "alice@example.org", PASSWORD))
        finally:
            self.authd.reload(self.more)
        r, _ = scram(self.pop, p, "alice@example.org", PASSWORD, gs2="n")
        self.ok(r)

    def test_who_and_kick(self):
        self.do("kick", user="alice@example.org", network="192.0.2.0/24")
        fields = self.smtp.notice(KICK)
        self.assertEqual(fields, text("alice@example.org") + blob(
            bytes(10) + b"\xff\xff\xc0\0\2\0") + bytes([120]) + bytes(8))
        self.assertEqual(self.pop.notice(KICK), fields)
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            answer = pool.submit(self.authd.ask, "who")
            for peer, service, n in ((self.smtp, SMTP, 2), (self.pop, POP, 1)):
                serial = struct.unpack(">I", peer.notice(WHO))[0]
                for i in range(n):
                    peer.send(WHO_ENTRY, Notices.entry(
                        self, serial, "u%d@example.org" % i, "192.0.2.1",
                        service, login="bob@example.org" if i else ""))
                peer.send(WHO_END, struct.pack(">I", serial))
            got = answer.result(20)
        users = sorted((x["user"], x["service"], x.get("login"))
                       for x in got if "user" in x)
        self.assertEqual(users, [("u0@example.org", "pop", None),
                                 ("u0@example.org", "smtp", None),
                                 ("u1@example.org", "smtp", "bob@example.org")])


    def test_kick_while_away(self):
        """What a worker missed is said when it connects: of sessions that
        began by then; and so is whose user was changed meanwhile."""
        name = "away@example.org"
        self.authd.user(name)
        began = int(time.time())
        self.do("kick", user=name)
        peer = Peer(self.authd, "popd-pop")
        self.addCleanup(peer.s.close)
        mine = [f for f in peer.missed if f.startswith(text(name))]
        self.assertEqual(len(mine), 1)
        self.assertEqual(mine[0][:-8],
                         text(name) + blob(bytes(16)) + bytes([0]))
        at = struct.unpack(">Q", mine[0][-8:])[0]
        self.assertTrue(began <= at <= began + 60, at)

        def told(user, login, since):
            sid = a_sid(1)
            peer.send(WHO_ENTRY, bytes(4) + text(sid) + text(user) + text(
                login) + text("192.0.2.1") + bytes([POP]) + text("PLAIN") +
                text("") + struct.pack(">Q", since))
            # A KICK of somebody else's behind it tells that there is none.
            self.do("kick", user="nobody@example.org")
            got = []
            while True:
                got.append(peer.notice(KICK))
                if got[-1].startswith(text("nobody@example.org")):
                    return [g for g in got if not g.startswith(
                        text("nobody@example.org"))]
        later = began + 3600
        for user, login, since, ended in (
                (name, "", later, False), (name, "", began - 60, True),
                ("never@example.org", "", later, True),
                (name, "never@example.org", later, True)):
            got = told(user, login, since)
            self.assertEqual(len(got), 1 if ended else 0, (user, login))
            if ended:
                self.assertEqual(struct.unpack(">Q", got[0][-8:])[0], since)
        self.do("user.disable", user=name)
        peer.notice(KICK)
        self.assertEqual(len(told(name, "", later)), 1)
        peer.send(WHO_END, bytes(4))
        self.assertEqual(told(name, "", later), [])


class Transition(Base):
    """SCRAM for users who were imported with a hash."""

    more = 'guessing_exempt = {"127.0.0.0/8"}\n'

    def hashed(self, name):
        salt = b"some"
        text = "{SSHA}" + base64.b64encode(hashlib.sha1(
            PASSWORD.encode() + salt).digest() + salt).decode()
        last = self.authd.ask("user.import",
                              mode="add",
                              users=[{"user": name, "hash": text}])[-1]
        self.assertEqual(last.get("added"), 1, last)

    def test_transition(self):
        name = "hashed@example.org"
        self.hashed(name)
        h = self.smtp.session(SMTP)
        r, facts = scram(self.smtp, h, name, PASSWORD)
        self.assertEqual(r.verdict, "BADCRED")
        other = scram(self.smtp, h, "nobody@example.org", PASSWORD)[1]
        self.assertEqual((len(facts[0]), facts[1]), (len(other[0]), other[1]))
        try:
            self.authd.reload(self.more + "scram_transition = yes\n")
            r, _ = scram(self.smtp, h, name, PASSWORD)
            self.assertEqual((r.verdict, r.rest), ("TRANSITION", b""))
            r, _ = scram(self.smtp, h, name + "#x", PASSWORD)
            self.assertEqual(r.verdict, "BADCRED")
            r, _ = scram(self.smtp, h, "nobody@example.org", PASSWORD)
            self.assertEqual(r.verdict, "BADCRED")
        finally:
            self.authd.reload(self.more)
        # The next PLAIN login makes the keys.
        t = self.ok(self.smtp.plain(h, name, PASSWORD), name)
        end = time.monotonic() + 10
        while scram(self.smtp, h, name, PASSWORD)[0].verdict != "OK":
            self.assertLess(time.monotonic(), end)
        self.assertEqual(self.smtp.mail(h, name, t).verdict, "OK")
