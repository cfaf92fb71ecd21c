"""kill -9 of popd's processes while 50 clients fetch and delete: no message is
lost, and none comes back whose removal QUIT had confirmed."""

import collections
import os
import random
import re
import signal
import ssl
import threading
import time
import unittest

from submitd_instance import ANNA, Instance, Refused, wait_until

CLIENTS = 50
KILLS = int(os.environ.get("SUBMITD_TEST_KILLS", "4"))
MESSAGES = 12			# of each user
ROLES = ("popd", "popd-pop", "popd-mbox")
TROUBLE = (OSError, ssl.SSLError, Refused, AssertionError, ValueError)


class Client(threading.Thread):
    """One user's mail program: fetches all, deletes some, again and again."""

    def __init__(self, inst, user, stop):
        super().__init__(daemon=True)
        self.inst, self.user, self.stop = inst, user, stop
        self.rnd = random.Random(user)
        self.got = {}		# subject: what was fetched
        self.asked = set()	# their removal was asked for
        self.gone = set()	# and QUIT had said +OK
        self.back = []		# seen after that
        self.changed = []	# fetched twice, and not the same
        self.sessions = 0
        self.why = collections.Counter()

    def run(self):
        while not self.stop.is_set():
            try:
                self.session()
            except TROUBLE as e:
                self.why[type(e).__name__ + (
                    " " + self.code(e) if isinstance(e, Refused) else "")] += 1
            self.stop.wait(self.rnd.uniform(0, 0.2))

    @staticmethod
    def code(e):
        m = re.match(r"-ERR \[([^]]*)\]", str(e.reply))
        return m.group(1) if m else "closed"

    def session(self, dele=0.5):
        p = self.inst.pop()
        try:
            p.sock.settimeout(30)
            p.login(self.user, self.inst.users[self.user])
            self.sessions += 1
            marked = self.fetch(p, dele)
            self.asked |= marked
            p.cmd("QUIT")
            self.gone |= marked
        finally:
            p.close()

    def fetch(self, p, dele):
        marked = set()
        for i in range(int(p.cmd("STAT").split()[1])):
            p.cmd("RETR %d" % (i + 1))
            m = p.multiline()
            s = re.search(rb"Subject: (\S+)", m).group(1).decode()
            if self.got.setdefault(s, m) != m:
                self.changed.append(s)
            if s in self.gone:
                self.back.append(s)
            if self.rnd.random() < dele:
                p.cmd("DELE %d" % (i + 1))
                marked.add(s)
        return marked


def place(inst, user):
    """What an MTA has delivered."""
    d = inst.maildir(user)
    owner = os.stat(inst.maildir(ANNA)) if os.geteuid() == 0 else None
    for sub in ("", "tmp", "new", "cur"):
        os.makedirs(os.path.join(d, sub), exist_ok=True)
        if owner:
            os.chown(os.path.join(d, sub), owner.st_uid, owner.st_gid)
            os.chmod(os.path.join(d, sub), 0o2770)
    for n in range(MESSAGES):
        path = os.path.join(d, random.choice(("new", "cur")),
                            "1700000%03d.M%d.host" % (n, n))
        with open(path, "wb") as f:
            f.write(b"Subject: m%03d\r\n\r\n" % n
                    + b"x" * 70 * random.choice((1, 30, 900)) + b"\r\n")
        os.chmod(path, 0o660)
        if owner:
            os.chown(path, owner.st_uid, owner.st_gid)


class Killed(unittest.TestCase):
    def test_popd(self):
        users = {"u%02d@example.test" % n: "pw-%d" % n
                 for n in range(CLIENTS)}
        with Instance(users={ANNA: "anna's secret"}) as inst:
            with inst.smtp_as(ANNA) as w:	# makes the first folder
                w.send_mail(ANNA, [ANNA], b"Subject: x\r\n\r\nx\r\n")
            wait_until(lambda: inst.drop_size(ANNA), what="delivery")
            for user, password in users.items():
                inst.add_user(user, password)
                place(inst, user)
            stop = threading.Event()
            clients = [Client(inst, u, stop) for u in users]
            for c in clients:
                c.start()
            self.kill_all(inst, clients)
            stop.set()
            for c in clients:
                c.join(90)
                self.assertFalse(c.is_alive(), "a client hangs")
            for c in clients:
                wait_until(lambda: self.calm(c), what="the last session")
            self.judge(inst, clients)

    def test_a_session_that_waits_for_another_of_the_same_process(self):
        with Instance(users={ANNA: "secret"},
                      conf={"workers": 1}) as inst:
            for _ in range(3):
                with inst.pop_as(ANNA), inst.pop() as waits:
                    at = inst.log_size("popd")
                    waits.send("USER %s\r\nPASS secret\r\n" % ANNA)
                    inst.wait_log("popd", r"ev=pop3\.auth ", at)
                    [pid] = inst.pids("popd-pop")
                    os.kill(pid, signal.SIGKILL)
                    inst.wait_log("popd", r"ev=child\.died .*pid=%d " % pid,
                                  at)
                wait_until(lambda: inst.pids("popd-pop") not in ([], [pid]),
                           what="another popd-pop")
                wait_until(lambda: self.logs_in(inst), what="a login")
            self.assertNotIn("child.died process=popd-mbox",
                             inst.log("popd"))

    @staticmethod
    def logs_in(inst):
        try:
            inst.pop_as(ANNA).close()
            return True
        except TROUBLE:
            return False

    @staticmethod
    def calm(c):
        """One more look, which deletes nothing."""
        try:
            c.session(dele=0)
            return True
        except TROUBLE:
            return False

    def kill_all(self, inst, clients):
        order = list(ROLES) * KILLS
        random.shuffle(order)
        for role in order:
            at = sum(c.sessions for c in clients)
            wait_until(lambda: sum(c.sessions for c in clients) >= at +
                       CLIENTS // 4, 60, "sessions between the kills")
            time.sleep(random.uniform(0, 0.1))
            if role == "popd":
                p = inst.procs[role]
                p.kill()
                p.wait()
                inst.start(role)
            else:
                pids = wait_until(lambda: inst.pids(role), 60, role)
                os.kill(random.choice(pids), signal.SIGKILL)

    def judge(self, inst, clients):
        lost, back, changed, left = [], [], [], 0
        for c in clients:
            have = set()
            for sub in ("new", "cur"):
                d = os.path.join(inst.maildir(c.user), sub)
                for f in os.listdir(d):
                    with open(os.path.join(d, f), "rb") as h:
                        have.add(re.search(rb"Subject: (\S+)", h.read())
                                 .group(1).decode())
            every = {"m%03d" % n for n in range(MESSAGES)}
            # What nobody asked to have removed is there.
            lost += [(c.user, s) for s in every - have - c.asked]
            # What was fetched before it went is what it was.
            lost += [(c.user, s) for s in every - have if s not in c.got]
            back += [(c.user, s) for s in (have & c.gone) | set(c.back)]
            changed += [(c.user, s) for s in c.changed]
            left += len(have)
        print("    %d kills; %d sessions; %d removals confirmed, %d asked for, "
              "%d messages left; %d lost, %d came back" % (
                  KILLS * len(ROLES), sum(c.sessions for c in clients),
                  sum(len(c.gone) for c in clients),
                  sum(len(c.asked) for c in clients), left, len(lost),
                  len(back)))
        print("    what clients met: %s" % dict(
            sum((c.why for c in clients), collections.Counter())))
        self.assertEqual((lost, back, changed), ([], [], []))
        self.assertGreater(sum(len(c.gone) for c in clients), CLIENTS)
