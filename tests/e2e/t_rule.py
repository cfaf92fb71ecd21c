"""The truth table of the rule, over the wire: each combination of network,
grants, AUTH, TLS and sender, and what MAIL must answer."""

import unittest

from submitd_instance import ANNA, BOB, CARL, Instance, letter

# Networks of loopback: 127.0.5.0/24 is trusted with a list of senders,
# 127.0.6.0/24 with an owner, 127.0.7.0/24 with neither.
PLAIN, SENDERS, OWNER, NOTHING = "127.0.4.", "127.0.5.", "127.0.6.", "127.0.7."
NETS = {PLAIN: "no network", SENDERS: "senders", OWNER: "owner",
        NOTHING: "neither"}
EXTRA = """
trusted_networks "127.0.5.0/24" { senders = {"scan@example.test", "@printers.test"} }
trusted_networks "127.0.6.0/24" { owner = "carl@other.test" }
trusted_networks "127.0.7.0/24" { }
"""
SENDERS_TRIED = {
    "anna": ANNA, "annas alias": "a.alias@example.test", "bob": BOB,
    "carl": CARL, "null": "", "foreign": "x@elsewhere.test",
    "unknown local": "nobody@example.test", "listed": "scan@example.test",
    "listed domain": "any@printers.test"}
OWN = {"anna": {ANNA, "a.alias@example.test"}, "bob": {BOB}, "carl": {CARL}}
LISTED = {"scan@example.test", "any@printers.test"}


def setUpModule():
    global inst
    inst = Instance(extra=EXTRA)
    inst.ctl("user", "alias", "add", ANNA, "a.alias@example.test")


def tearDownModule():
    inst.close()


def expected(tls, auth, net, grants, sender):
    """The rule, as design.md words it."""
    if not tls:
        return 530
    if auth:
        return 250 if sender == "" or sender in OWN[auth] else 553
    if grants:
        if sender == "" and len(grants) == 1:
            return 250
        if any(sender in OWN[g] for g in grants):
            return 250
    if net == SENDERS and sender in LISTED:
        return 250
    if net == OWNER and (sender == "" or sender in OWN["carl"]):
        return 250
    # Something lives here, but not for this sender; or nothing at all. A
    # network without a list and without an owner may send nothing.
    if grants or net in (SENDERS, OWNER):
        return 553
    return 530 if net == PLAIN else (530, 553)


class Table(unittest.TestCase):
    def test_every_combination(self):
        rows = wrong = false_rows = 0
        host = 10
        problems = []
        for net in NETS:
            for grants in ((), ("anna",), ("anna", "bob")):
                host += 1
                source = net + str(host)
                for g in grants:
                    inst.grant(OWN_NAME[g], source)
                for auth in (None, "anna", "bob"):
                    for tls in (True, False):
                        if auth and not tls:
                            continue    # AUTH does not exist there
                        w = inst.smtp(
                            tls=tls, source=source, auth=auth and
                            (OWN_NAME[auth], inst.users[OWN_NAME[auth]]))
                        for name, sender in SENDERS_TRIED.items():
                            rows += 1
                            want = expected(tls, auth, net, grants, sender)
                            code, text = w.cmd("MAIL FROM:<%s>" % sender)
                            false_rows += code != 250
                            good = want if isinstance(want, tuple) else (want,)
                            enhanced = {250: "2.1.0", 530: "5.7.0",
                                        553: "5.7.1"}.get(code, "?")
                            if code not in good or not text.startswith(enhanced):
                                wrong += 1
                                problems.append(
                                    "net=%s grants=%s auth=%s tls=%s sender=%s:"
                                    " wanted %s, got %d %s" % (
                                        NETS[net], grants, auth, tls, name,
                                        want, code, text))
                            if code == 250:
                                w.cmd("RSET", 250)
                        w.close()
        self.assertEqual(wrong, 0, "%d of %d rows:\n%s" % (
            wrong, rows, "\n".join(problems[:40])))
        self.assertGreater(false_rows, 100)

    def test_every_state_of_a_grant(self):
        """anna's grant in each state, alone and beside bob's live one; the
        clock is moved by injection."""
        def budget(source):
            inst.ctl("grant", "add", ANNA, source, "max_messages=1")
            with inst.smtp(source=source) as w:
                w.send_mail(ANNA, [CARL], letter("all there is"))
            inst.fetch(CARL, n=1)

        def user(*change):
            return lambda source: (inst.grant(ANNA, source),
                                   inst.ctl("user", *change))
        # What becomes of anna's, and how it is undone; "none": as if it were
        # not there, "spent": there, and good for nothing.
        states = {
            "live": (lambda a: inst.grant(ANNA, a), "live", None),
            "given": (lambda a: inst.ctl("grant", "add", ANNA, a), "live", None),
            "expired": (lambda a: (inst.grant(ANNA, a), inst.clock(1801)),
                        "none", None),
            "its last minutes": (lambda a: (inst.grant(ANNA, a),
                                            inst.clock(1680)), "live", None),
            "made in the future": (lambda a: (inst.clock(900), inst.grant(ANNA, a),
                                              inst.clock(0)), "none", None),
            "revoked": (lambda a: (inst.grant(ANNA, a), inst.ctl(
                "grant", "revoke", a)), "none", None),
            "spent": (budget, "spent", None),
            "may not use it": (user("set", ANNA, "may_use_relay=no"), "none",
                               ("set", ANNA, "may_use_relay=yes")),
            "may not open one": (lambda a: (
                inst.ctl("user", "set", ANNA, "may_open_relay=no"),
                inst.grant(ANNA, a)), "none",
                ("set", ANNA, "may_open_relay=yes")),
            "may not submit": (user("set", ANNA, "may_submit=no"), "none",
                               ("set", ANNA, "may_submit=yes")),
            "sending disabled": (user("disable", "--sending", ANNA), "none",
                                 ("enable", ANNA)),
        }
        senders = {"anna": ANNA, "annas alias": "a.alias@example.test",
                   "bob": BOB, "null": "", "foreign": "x@elsewhere.test"}
        host, problems = 100, []
        for state, (make, comes_to, undo) in states.items():
            for beside in (False, True):
                host += 1
                source = "127.0.4.%d" % host
                inst.clock(0)
                make(source)
                if beside:
                    inst.grant(BOB, source)
                with inst.smtp(source=source) as w:
                    for name, sender in senders.items():
                        want = self.expected_of(comes_to, beside, name)
                        code, text = w.cmd("MAIL FROM:<%s>" % sender)
                        if code == 250:
                            w.cmd("RSET", 250)
                        if code != want:
                            problems.append("%s, %s, %s: wanted %d, got %d %s"
                                            % (state, beside, name, want, code,
                                               text))
                if undo:
                    inst.ctl("user", *undo)
                inst.clock(0)
        self.assertEqual(problems, [])

    @staticmethod
    def expected_of(anna, bob, sender):
        live = {"live": 1, "spent": 1, "none": 0}[anna] + bob
        if live == 0:
            return 530
        if sender == "bob":
            return 250 if bob else 553
        if sender == "foreign" or (sender == "null" and live > 1):
            return 553
        if sender == "null" and bob:
            return 250
        return {"live": 250, "spent": 530, "none": 553}[anna]

    def test_mail_from_trusted_networks_is_delivered(self):
        for net, sender in ((SENDERS, "scan@example.test"), (OWNER, CARL)):
            with self.subTest(sender):
                m = letter("from a network", sender=sender)
                with inst.smtp(source=net + "200") as w:
                    w.send_mail(sender, [BOB], m)
                got = inst.fetch(BOB, n=1)[0]
                self.assertTrue(got.endswith(m))
                self.assertNotIn(b"ESMTPSA", got[:-len(m)])
        self.assertIn(CARL, inst.log())

    def test_the_owner_of_a_network_disabled(self):
        inst.ctl("user", "disable", CARL)
        try:
            with inst.smtp(source=OWNER + "201") as w:
                self.assertIn(w.cmd("MAIL FROM:<%s>" % CARL)[0], (530, 553))
        finally:
            inst.ctl("user", "enable", CARL)

    def test_sender_policy_log(self):
        inst.write_conf(sender_policy="log")
        inst.reload("authd")
        inst.reload("submitd")
        try:
            with inst.smtp_as(ANNA) as w:
                w.cmd("MAIL FROM:<x@elsewhere.test>", 250)
            # It is for who is somebody, not for who is nobody.
            with inst.smtp(source=PLAIN + "202") as w:
                self.assertEqual(w.cmd("MAIL FROM:<%s>" % ANNA)[0], 530)
        finally:
            inst.write_conf(sender_policy="reject")
            inst.reload("authd")
            inst.reload("submitd")

    def test_everybody_cannot_be_trusted(self):
        for net in ("0.0.0.0/0", "::/0"):
            with self.subTest(net):
                inst.extra = EXTRA + 'trusted_networks "%s" { owner = "%s" }\n' % (net, ANNA)
                inst.write_conf()
                r = inst.ctl("config", "check", check=False)
                self.assertEqual(r.returncode, 78, r.stderr)
                inst.extra = EXTRA
                inst.write_conf()


OWN_NAME = {"anna": ANNA, "bob": BOB, "carl": CARL}
