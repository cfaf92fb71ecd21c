"""One user acts for another: what he may, who is shown, and what ends it."""

import base64
import unittest

from submitd_instance import ANNA, BOB, CARL, Instance, letter, wait_until


def setUpModule():
    global inst
    inst = Instance()
    inst.ctl("user", "allow-as", "add", BOB, ANNA)


def tearDownModule():
    inst.close()


def plain(authzid, user):
    return base64.b64encode(("%s\0%s\0%s" % (
        authzid, user, inst.users[user])).encode()).decode()


class AllowAs(unittest.TestCase):
    """Bob may log in as himself and act for Anna."""

    def smtp(self):
        w = inst.smtp()
        self.addCleanup(w.close)
        w.cmd("AUTH PLAIN " + plain(ANNA, BOB), 235)
        return w

    def pop(self):
        w = inst.pop()
        self.addCleanup(w.close)
        w.cmd("AUTH PLAIN " + plain(ANNA, BOB))
        return w

    def test_sends_and_reads_as_the_other(self):
        inst.fetch(ANNA)
        with self.smtp() as w:
            w.cmd("MAIL FROM:<%s>" % BOB, 553)
            w.send_mail(ANNA, [ANNA], letter("from a secretary"))
        got = inst.fetch(ANNA, delete=False, n=1)
        self.assertIn(b"from a secretary", got[0])
        with self.pop() as w:
            self.assertTrue(w.cmd("STAT").startswith("+OK 1 "))
            w.cmd("DELE 1")
            w.cmd("QUIT")
        wait_until(lambda: inst.drop_size(ANNA) == 0, what="the deletion")
        inst.wait_log("authd", r"ev=auth\.ok .*user=%s login=%s " % (ANNA, BOB))

    def test_only_that_way(self):
        for authzid, user in ((BOB, ANNA), (CARL, BOB), (ANNA, CARL)):
            with inst.smtp() as w, self.subTest((authzid, user)):
                w.cmd("AUTH PLAIN " + plain(authzid, user), 535)

    def test_his_end_is_its_end(self):
        for end in (("kick", BOB), ("kick", ANNA),
                    ("user", "disable", BOB), ("user", "disable", ANNA)):
            smtp, pop = self.smtp(), self.pop()
            with self.subTest(end):
                wait_until(lambda: inst.ctl("who", BOB).stdout.count(BOB) == 2,
                           what="both sessions")
                inst.ctl(*end)
                self.assertEqual(smtp.reply()[0], 421)
                self.assertTrue(pop.is_closed())
            for user in (BOB, ANNA):
                inst.ctl("user", "enable", user)


if __name__ == "__main__":
    unittest.main()
