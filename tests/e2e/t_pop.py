"""POP3 over the wire."""

import os
import socket
import unittest

from submitd_instance import ANNA, BOB, Instance, Refused, letter, wait_until


def setUpModule():
    global inst
    inst = Instance()


def tearDownModule():
    inst.close()


def put(user, *messages):
    """Delivers, and waits until all of it is in the Maildir."""
    have = inst.drop_size(user)
    with inst.smtp_as(ANNA) as w:
        for m in messages:
            w.send_mail(ANNA, [user], m)
    wait_until(lambda: inst.drop_size(user) >= have + len(messages),
               what="delivery")


class Case(unittest.TestCase):
    def setUp(self):
        inst.fetch(ANNA)

    def uidls(self, p):
        p.cmd("UIDL")
        return [x.split()[1] for x in p.multiline().decode().splitlines()]

    def free_again(self):
        wait_until(lambda: self.can_log_in(), what="the maildrop being free")

    def can_log_in(self):
        try:
            p = inst.pop_as(ANNA)
            p.cmd("QUIT")
            p.close()
            return True
        except Refused:
            return False


class BeforeTls(Case):
    def test_capa(self):
        with inst.pop(tls=False) as p:
            p.cmd("CAPA")
            words = p.multiline().decode().upper().splitlines()
            self.assertIn("STLS", words)
            self.assertFalse([w for w in words if w.startswith(("SASL", "USER"))])
        with inst.pop() as p:
            p.cmd("CAPA")
            words = p.multiline().decode().upper().splitlines()
            self.assertNotIn("STLS", words)
            for w in ("USER", "UIDL", "TOP", "PIPELINING", "RESP-CODES",
                      "AUTH-RESP-CODE"):
                self.assertIn(w, words)
            self.assertTrue([w for w in words if w.startswith("SASL ")
                             and "PLAIN" in w.split()])
        with inst.pop_as(ANNA) as p:
            p.cmd("CAPA")
            self.assertNotIn("STLS", p.multiline().decode().upper().splitlines())

    def test_no_login(self):
        for line in ("USER anna", "PASS x", "AUTH PLAIN", "AUTH PLAIN AGEAYg==",
                     "APOP anna 0123456789abcdef0123456789abcdef", "STAT",
                     "LIST", "RETR 1"):
            with self.subTest(line), inst.pop(tls=False) as p:
                p.cmd(line, ok=False)

    def test_a_user_given_in_clear_is_forgotten(self):
        with inst.pop(tls=False) as p:
            p.cmd("USER anna", ok=None)
            p.cmd("STLS")
            p.start_tls(inst.tls_context())
            p.cmd("PASS " + inst.users[ANNA], ok=False)

    def test_injection_behind_stls(self):
        for more in ("CAPA\r\n", "USER anna\r\n", "X"):
            with self.subTest(more), inst.pop(tls=False) as p:
                p.send("STLS\r\n" + more)
                self.assertTrue(p.is_closed())
                self.assertLess(p.buffer.count(b"+OK"), 2)

    def test_stls_only_once_and_only_before_login(self):
        with inst.pop() as p:
            p.cmd("STLS", ok=False)
            p.login(ANNA, inst.users[ANNA])
            p.cmd("STLS", ok=False)
            p.cmd("QUIT")
        with inst.pop("pop3s") as p:
            p.cmd("STLS", ok=False)


class Commands(Case):
    def test_states(self):
        for line in ("STAT", "LIST", "UIDL", "RETR 1", "DELE 1", "TOP 1 1",
                     "RSET", "NOOP", "PASS x", "FOO", "", "USER"):
            with self.subTest(line), inst.pop() as p:
                p.cmd(line, ok=False)
        for line in ("USER anna", "PASS x", "AUTH PLAIN", "FOO", "RETR",
                     "RETR 0", "RETR 1", "RETR x", "DELE 1", "LIST 1",
                     "UIDL 9", "TOP 1", "TOP 1 x", "RETR -1", "RETR 1 1",
                     "RETR 99999999999999999999"):
            with self.subTest(line), inst.pop_as(ANNA) as p:
                p.cmd(line, ok=False)
                p.cmd("QUIT")
        with inst.pop_as(ANNA) as p:
            p.cmd("NOOP")
            p.cmd("stat")
            p.cmd("QUIT")
            self.assertTrue(p.is_closed())

    def test_stat_list_uidl_retr_top(self):
        put(ANNA, letter("a", body="1\r\n2\r\n.3\r\n..\r\n"), letter("b", body=""),
            letter("b", body=""))
        with inst.pop_as(ANNA) as p:
            n, size = map(int, p.cmd("STAT").split()[1:3])
            self.assertEqual(n, 3)
            p.cmd("LIST")
            sizes = [int(x.split()[1]) for x in p.multiline().splitlines()]
            self.assertEqual(sum(sizes), size)
            uids = self.uidls(p)
            self.assertEqual(len(set(uids)), 3)
            whole = []
            for i in range(3):
                self.assertEqual(p.cmd("LIST %d" % (i + 1)).split()[1:3],
                                 [str(i + 1), str(sizes[i])])
                self.assertEqual(p.cmd("UIDL %d" % (i + 1)).split()[1:3],
                                 [str(i + 1), uids[i]])
                self.assertRegex(uids[i], r"^[!-~]{1,70}$")
                p.cmd("RETR %d" % (i + 1))
                whole.append(p.multiline())
                self.assertEqual(len(whole[-1]), sizes[i])
            first = next(i for i in range(3) if b"Subject: a" in whole[i])
            head, body = whole[first].split(b"\r\n\r\n", 1)
            lines = body.split(b"\r\n")[:-1]
            for k in (0, 1, 3, 4, 100):
                p.cmd("TOP %d %d" % (first + 1, k))
                self.assertEqual(
                    p.multiline(), head + b"\r\n\r\n"
                    + b"".join(x + b"\r\n" for x in lines[:k]))
            p.cmd("QUIT")
        with inst.pop_as(ANNA) as p:
            self.assertEqual(self.uidls(p), uids)
            p.cmd("QUIT")

    def test_pipelining(self):
        put(ANNA, letter("a"), letter("b"))
        with inst.pop_as(ANNA) as p:
            p.send("STAT\r\nNOOP\r\nRETR 1\r\nRETR 2\r\nNOOP\r\nQUIT\r\n")
            p.expect_ok()
            p.expect_ok()
            for _ in range(2):
                p.expect_ok()
                p.multiline()
            p.expect_ok()
            p.expect_ok()
            self.assertTrue(p.is_closed())

    def test_long_lines_and_control_characters(self):
        with inst.pop() as p:
            p.cmd("USER " + "a" * 240, ok=None)
        with inst.pop() as p:
            p.cmd("USER " + "a" * 2000, ok=False)
            p.cmd("CAPA")
            p.multiline()
        for bad in (b"USER a\0b", b"US\0ER anna"):
            with self.subTest(bad), inst.pop() as p:
                p.cmd(bad, ok=False)
        with inst.pop() as p:
            try:
                for _ in range(200):
                    p.send("x" * 16384)
            except OSError:
                pass

    def test_errors_close_the_session_in_the_end(self):
        with inst.pop() as p:
            for n in range(200):
                try:
                    p.send("FOO\r\n")
                    if not p.line().startswith(b"-ERR"):
                        break
                except OSError:
                    break
            else:
                self.fail("200 wrong commands and still open")
            self.assertGreaterEqual(n, 3)


class Deleting(Case):
    def test_dele_takes_effect_at_quit(self):
        put(ANNA, letter("a"), letter("b"), letter("c"))
        with inst.pop_as(ANNA) as p:
            uids = self.uidls(p)
            p.cmd("DELE 2")
            p.cmd("DELE 2", ok=False)
            for line in ("RETR 2", "LIST 2", "UIDL 2", "TOP 2 1"):
                p.cmd(line, ok=False)
            self.assertEqual(p.cmd("STAT").split()[1], "2")
            p.cmd("LIST")
            self.assertEqual([x.split()[0] for x in p.multiline().splitlines()],
                             [b"1", b"3"])
            self.assertEqual(self.uidls(p), [uids[0], uids[2]])
            self.assertEqual(inst.drop_size(ANNA), 3)
            p.cmd("QUIT")
        self.assertEqual(inst.drop_size(ANNA), 2)
        with inst.pop_as(ANNA) as p:
            self.assertEqual(self.uidls(p), [uids[0], uids[2]])
            p.cmd("QUIT")

    def test_rset_undoes(self):
        put(ANNA, letter("a"), letter("b"))
        with inst.pop_as(ANNA) as p:
            p.cmd("DELE 1")
            p.cmd("RSET")
            self.assertEqual(p.cmd("STAT").split()[1], "2")
            p.cmd("RETR 1")
            p.multiline()
            p.cmd("QUIT")
        self.assertEqual(inst.drop_size(ANNA), 2)

    def test_any_other_end_deletes_nothing(self):
        put(ANNA, letter("a"))
        for how in ("close", "reset", "notify", "half line"):
            with self.subTest(how):
                p = inst.pop_as(ANNA)
                p.cmd("DELE 1")
                if how == "reset":
                    p.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                      b"\1\0\0\0\0\0\0\0")
                elif how == "notify":
                    p.sock.unwrap()
                elif how == "half line":
                    p.send("QUI")
                p.close()
                self.free_again()
                self.assertEqual(inst.drop_size(ANNA), 1)

    def test_uidl_is_never_used_again(self):
        seen = set()
        m = letter("same")
        for _ in range(3):
            put(ANNA, m)
            with inst.pop_as(ANNA) as p:
                uid = self.uidls(p)[0]
                self.assertNotIn(uid, seen)
                seen.add(uid)
                p.cmd("DELE 1")
                p.cmd("QUIT")


class Locking(Case):
    def test_one_session_for_a_maildrop(self):
        put(ANNA, letter("a"))
        with inst.pop_as(ANNA) as p:
            with self.assertRaises(Refused) as e:
                inst.pop_as(ANNA)
            self.assertIn("[IN-USE]", str(e.exception))
            # Another's is not concerned.
            inst.pop_as(BOB).cmd("QUIT")
            p.cmd("STAT")
            p.cmd("QUIT")
        self.free_again()

    def test_the_set_is_fixed_at_login(self):
        put(ANNA, letter("a"))
        with inst.pop_as(ANNA) as p:
            self.assertEqual(p.cmd("STAT").split()[1], "1")
            put(ANNA, letter("b"))
            self.assertEqual(p.cmd("STAT").split()[1], "1")
            p.cmd("RETR 2", ok=False)
            p.cmd("DELE 1")
            p.cmd("QUIT")
        self.assertEqual(inst.drop_size(ANNA), 1)

    def test_files_of_other_programs(self):
        """An MTA's own names, flags, LF line ends, a file without an end."""
        put(ANNA, letter("make the folder"))
        inst.fetch(ANNA)
        d = inst.maildir(ANNA)
        for name, text in (
                ("new/1700000000.V1I2M3.host", b"Subject: a\n\nlf\n"),
                ("cur/1700000001.V1I2M4.host:2,S", b"Subject: b\n\nno end"),
                ("cur/1700000002.x:2,RS", b"Subject: c\r\n\r\ncrlf\r\n.\r\n")):
            with open(os.path.join(d, name), "wb") as f:
                f.write(text)
            os.chmod(f.name, 0o660)
            st = os.stat(d)
            if os.geteuid() == 0:
                os.chown(f.name, st.st_uid, st.st_gid)
        got = inst.fetch(ANNA)
        self.assertEqual(got, [b"Subject: a\r\n\r\nlf\r\n",
                               b"Subject: b\r\n\r\nno end\r\n",
                               b"Subject: c\r\n\r\ncrlf\r\n.\r\n"])
        self.assertEqual(inst.drop_size(ANNA), 0)

    def test_links_in_a_maildir_are_not_followed(self):
        put(ANNA, letter("make the folder"))
        inst.fetch(ANNA)
        link = os.path.join(inst.maildir(ANNA), "new", "1700000003.link.host")
        os.symlink("/etc/passwd", link)
        try:
            with inst.pop_as(ANNA) as p:
                n = int(p.cmd("STAT").split()[1])
                for i in range(n):
                    p.cmd("RETR %d" % (i + 1), ok=False)
                p.cmd("QUIT")
        finally:
            if os.path.islink(link):
                os.unlink(link)

    def test_a_user_without_a_maildir(self):
        inst.add_user("fresh@example.test", "pw-fresh-1")
        with inst.pop_as("fresh@example.test") as p:
            self.assertEqual(p.cmd("STAT").split()[1:3], ["0", "0"])
            p.cmd("QUIT")


class Slow(Case):
    def test_a_client_that_never_reads(self):
        put(ANNA, *[letter("big", body="x" * 70 + "\r\n") for _ in range(2)])
        p = inst.pop_as(ANNA)
        p.sock.settimeout(3)
        try:
            for _ in range(100):
                p.send("RETR 1\r\nRETR 2\r\n" * 100)
        except OSError:
            pass
        inst.pop_as(BOB).cmd("QUIT")
        p.close()
        self.free_again()
