"""A real Postfix as next hop: TLS verified, pipelined, DATA and BDAT, one
recipient refused, SMTPUTF8."""

import glob
import os
import pwd
import shutil
import unittest

import t_lmtp_receive
from submitd_instance import ANNA, Instance, letter, wait_until
from t_hop_tls import make_ca

MAIN = """
virtual_mailbox_domains = data.test bdat.test
virtual_mailbox_maps = inline:{x@data.test=x/, y@data.test=y/, x@bdat.test=b/, j\xf6rg@bdat.test=u/}
virtual_mailbox_base = %(root)s/mail
virtual_mailbox_limit = 0
virtual_transport = virtual
virtual_uid_maps = static:%(uid)d
virtual_gid_maps = static:%(gid)d
virtual_minimum_uid = 1
smtpd_tls_security_level = may
smtpd_tls_cert_file = %(cert)s
smtpd_tls_key_file = %(key)s
smtpd_relay_restrictions = reject_unauth_destination
smtpd_recipient_restrictions = reject_unlisted_recipient
smtputf8_enable = yes
message_size_limit = 5000000
"""

ROUTES = "".join("""
route %s {
	domains = "%s.test"
	via = smtp
	host = "127.0.0.1:%%(port)d"
	tls = verify
	tls_name = "hop.test"
	tls_ca = "%%(ca)s"
	bdat = %s
}
""" % (name, name, bdat) for name, bdat in (("data", "no"), ("bdat", "yes")))


class Hop(t_lmtp_receive.Postfix):
    def __init__(self):
        super().__init__("data.test")
        keys = os.path.join(self.root, "keys")
        os.mkdir(keys)
        self.ca, (cert, key) = make_ca(keys)
        mail = pwd.getpwnam("mail")
        os.mkdir(self.root + "/mail")
        shutil.chown(self.root + "/mail", "mail", "mail")
        # Anew and not behind the example's: of each setting that is overridden
        # every process would warn, and postlogd waits for itself with that.
        with open(self.root + "/etc/main.cf", "w", encoding="utf-8") as f:
            f.write(t_lmtp_receive.MAIN % {
                "root": self.root, "example": MAIN % {
                    "root": self.root, "uid": mail.pw_uid,
                    "gid": mail.pw_gid, "cert": cert, "key": key}})
        with open(self.root + "/etc/master.cf", "a", encoding="ascii") as f:
            f.write("virtual unix - n n - - virtual\n")

    def letters(self, box):
        found = []
        for path in glob.glob("%s/mail/%s/new/*" % (self.root, box)):
            with open(path, "rb") as f:
                found.append(f.read())
        return found


class RealPostfix(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if shutil.which("postfix") is None or os.getuid() != 0:
            raise unittest.SkipTest("no Postfix here, or not root")
        cls.postfix = Hop()
        cls.postfix.start()
        cls.inst = Instance(extra=ROUTES % {"port": cls.postfix.port,
                                            "ca": cls.postfix.ca})

    @classmethod
    def tearDownClass(cls):
        cls.inst.close()
        cls.postfix.stop()

    def send(self, rcpts, message, params=""):
        with self.inst.smtp_as(ANNA) as w:
            w.send_mail(ANNA, rcpts, message, params)

    def arrives(self, box, message):
        want = message.replace(b"\r\n", b"\n").split(b"\n\n", 1)[1]
        wait_until(lambda: any(m.endswith(want)
                               for m in self.postfix.letters(box)),
                   what="a letter in " + box)

    def test_three_recipients(self):
        m = letter("for two", body=b".dot\r\n..\r\n" + b"z" * 900 + b"\r\n")
        self.send(["x@data.test", "no@data.test", "y@data.test"], m)
        self.arrives("x", m)
        self.arrives("y", m)
        self.assertIn(b"no@data.test", self.inst.fetch(ANNA, n=1)[0])
        self.inst.wait_log("submitd", r"ev=msg\.sent .*tls=TLSv1\.3")

    def test_bdat_and_large(self):
        for n in (1, 1000, 50000):
            m = letter("by BDAT", body=(b"." * 70 + b"\r\n") * n)
            self.send(["x@bdat.test"], m)
            self.arrives("b", m)

    def test_utf8(self):
        m = letter("gr\xfc\xdfe", body="gr\xfc\xdfe\r\n")
        with self.inst.smtp_as(ANNA) as w:
            w.cmd("MAIL FROM:<%s> SMTPUTF8 BODY=8BITMIME" % ANNA, 250)
            w.cmd("RCPT TO:<j\xf6rg@bdat.test>".encode(), 250)
            w.cmd("DATA", 354)
            w.send(m + b".\r\n")
            self.assertEqual(w.reply()[0], 250)
        self.arrives("u", m)

    def test_too_large(self):
        self.send(["y@data.test"],
                  letter("large", body=(b"x" * 70 + b"\r\n") * 80000))
        self.inst.wait_log("submitd", r"ev=msg\.bounced .*5\.3\.4")

    def test_many(self):
        m = [letter("no. %d" % n, body=b"%d\r\n" % n * 5) for n in range(60)]
        with self.inst.smtp_as(ANNA) as w:
            for one in m:
                w.send_mail(ANNA, ["y@data.test"], one)
        for one in m:
            self.arrives("y", one)


if __name__ == "__main__":
    unittest.main()
