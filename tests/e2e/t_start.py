"""Starting, stopping, wrong configurations, what make install brings."""

import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import unittest

from submitd_instance import (ANNA, CHILDREN, IPV6, IS_ROOT, PREFIX, PROGRAMS,
                              SERVICES, Instance, letter, program, wait_until)

EX_CONFIG, EX_USAGE = 78, 64


class Running(unittest.TestCase):
    def test_lines_of_listeners_and_ready(self):
        with Instance() as i:
            for name in PROGRAMS:
                lines = re.findall(r"(?m)ev=(?:listen|ready)\b.*$", i.log(name))
                self.assertEqual(len([x for x in lines if x.startswith("ev=ready")]), 1)
                self.assertTrue(lines[-1].startswith("ev=ready"))
                for x in lines[:-1]:
                    self.assertRegex(
                        x, r"^ev=listen service=(submissions?|pop3s?) "
                        r"listen=(127\.0\.0\.1|\[::1\]):\d+$")
            self.assertEqual(i.log("authd").count("ev=listen"), 0)
            per = 2 if IPV6 else 1
            for name in ("submitd", "popd"):
                self.assertEqual(i.log(name).count("ev=listen"), 2 * per)

    def test_port_0(self):
        with Instance(conf={k: ["127.0.0.1:0"] for k in SERVICES.values()}) as i:
            for service, key in SERVICES.items():
                name = "popd" if "pop3" in service else "submitd"
                m = re.search(r"ev=listen service=%s listen=127\.0\.0\.1:(\d+)"
                              % service, i.log(name))
                self.assertGreater(int(m.group(1)), 0)
                i.conf[key] = ["127.0.0.1:" + m.group(1)]
            i.smtp_as(ANNA).quit()
            i.pop_as(ANNA, service="pop3s").cmd("QUIT")

    def test_in_any_order_and_sigterm_is_exit_0(self):
        with Instance(start=False) as i:
            i.start("popd", "submitd", wait=False)
            i.start("authd", wait=False)
            for name in PROGRAMS:
                i.wait_ready(name)
            i.stopped = False
            i.add_user(ANNA, i.users[ANNA])
            i.smtp_as(ANNA).quit()
            self.assertEqual(set(i.stop().values()), {0})

    def test_root_option(self):
        """--root DIR: the file and all places lie below it."""
        with Instance(start=False) as i:
            for k in ("mail_root", "spool_dir", "db_dir", "run_dir"):
                i.conf.pop(k)
            i.conf["tls_cert"] = ["etc/cert.pem"]
            i.conf["tls_key"] = ["etc/cert.key"]
            i.write_conf()
            i.conf["mail_root"] = i.root + "/mail"
            for name in PROGRAMS:
                with open(i.log_path(name), "ab") as log:
                    i.procs[name] = subprocess.Popen(
                        [program(name), "--root", i.root], stdin=subprocess.DEVNULL,
                        stdout=log, stderr=log, env=i.env, cwd="/",
                        start_new_session=True)
            for name in PROGRAMS:
                i.wait_ready(name)
            i.stopped = False
            r = subprocess.run(
                [program("submitctl"), "--root", i.root, "user", "add", ANNA,
                 "--stdin"], input="root-secret\n", text=True,
                capture_output=True, env=i.env)
            self.assertEqual(r.returncode, 0, r.stderr)
            i.users[ANNA] = "root-secret"
            m = letter("x")
            with i.smtp_as(ANNA) as w:
                w.send_mail(ANNA, [ANNA], m)
            self.assertTrue(i.fetch(ANNA, n=1)[0].endswith(m))
            for d in ("mail", "spool", "db", "run"):
                self.assertTrue(os.path.isdir(os.path.join(i.root, d)), d)

    def test_override_on_the_command_line(self):
        with Instance(start=False) as i:
            i.spawn("authd")
            i.spawn("submitd", "-o", "message_size_limit=7M", "-o",
                    "help_text=from the command line")
            for name in ("authd", "submitd"):
                i.wait_ready(name)
            i.stopped = False
            with i.smtp() as w:
                self.assertIn("SIZE 7340032", w.cmd("EHLO x.test", 250)[1])
                self.assertIn("from the command line",
                              w.cmd("MAIL FROM:<%s>" % ANNA, 530)[1])

    def test_sd_notify(self):
        with Instance(start=False) as i:
            path = os.path.join(i.root, "notify")
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
                s.bind(path)
                s.settimeout(60)
                i.env["NOTIFY_SOCKET"] = path
                for name in PROGRAMS:
                    i.spawn(name)
                ready = 0
                while ready < 3:
                    ready += b"READY=1" in s.recv(4096).split(b"\n")
                i.stopped = False

    def test_a_second_instance_on_the_same_ports_does_not_start(self):
        with Instance() as i:
            with Instance(start=False, conf={
                    k: i.conf[k] for k in SERVICES.values()}) as j:
                j.start("authd")
                p = j.spawn("submitd")
                self.assertNotEqual(p.wait(60), 0)
                self.assertRegex(j.log("submitd"), r"(?i)address already in use|in use")
                j.stopped = False
                j.procs.pop("submitd")
            i.smtp_as(ANNA).quit()

    def test_a_second_authd_on_the_same_database_does_not_start(self):
        with Instance() as i:
            with Instance(start=False, conf={"db_dir": i.conf["db_dir"]}) as j:
                p = j.spawn("authd")
                try:
                    self.assertNotEqual(p.wait(60), 0)
                except subprocess.TimeoutExpired:
                    self.assertNotIn("ev=ready", j.log("authd"))
                    j.kill_all()
            i.smtp_as(ANNA).quit()
            self.assertIn(ANNA, i.ctl("user", "list").stdout)

    def test_processes_and_their_users(self):
        want = {"authd-core": "_submitauth", "submitd-smtp": "_submitd",
                "submitd-spool": "_submitq", "submitd-send": "_submits",
                "submitd-local": "_submitmail", "popd-pop": "_popd",
                "popd-mbox": "_popmbox"}
        with Instance() as i:
            for name in PROGRAMS:
                for role in CHILDREN[name]:
                    pids = i.pids(role)
                    self.assertTrue(pids, role)
                    if role in ("submitd-smtp", "popd-pop"):
                        self.assertEqual(len(pids), os.cpu_count())
                    for pid in pids:
                        self.confined(i, pid, want[role])

    def confined(self, i, pid, user):
        with open("/proc/%d/status" % pid, encoding="ascii") as f:
            st = dict(x.rstrip("\n").split(":\t", 1) for x in f if ":\t" in x)
        self.assertEqual(st["NoNewPrivs"], "1")
        if not IS_ROOT:
            return

        uid = pwd.getpwnam(user).pw_uid
        self.assertEqual(st["Uid"].split(), [str(uid)] * 4)
        self.assertEqual(int(st["CapEff"], 16), 0)
        self.assertEqual(int(st["CapPrm"], 16), 0)
        root = os.readlink("/proc/%d/root" % pid)
        self.assertTrue(root.startswith(i.root + "/"), "%s: %s" % (user, root))

    @unittest.skipUnless(os.sched_getscheduler(0) == os.SCHED_OTHER,
                         "the tests' own policy is another one")
    def test_policy_of_scheduling(self):
        """Who serves clients works in batches; what was chosen stays."""
        def policies(pid):
            return {os.sched_getscheduler(int(t))
                    for t in os.listdir("/proc/%d/task" % pid)}

        with Instance() as i:
            for role in (r for roles in CHILDREN.values() for r in roles):
                batches = role in ("submitd-smtp", "popd-pop", "popd-mbox",
                                   "authd-core")
                for pid in i.pids(role):
                    self.assertEqual(policies(pid), {
                        os.SCHED_BATCH if batches else os.SCHED_OTHER}, role)
            os.sched_setscheduler(i.procs["submitd"].pid, os.SCHED_IDLE,
                                  os.sched_param(0))
            was = i.pids("submitd-smtp")
            os.kill(was[0], signal.SIGKILL)
            now = wait_until(lambda: set(i.pids("submitd-smtp")) - set(was),
                             what="another one")
            self.assertEqual(policies(now.pop()), {os.SCHED_IDLE})

    @unittest.skipUnless(IS_ROOT, "as root only")
    def test_modes(self):
        with Instance() as i:
            with i.smtp_as(ANNA) as w:
                w.send_mail(ANNA, [ANNA], letter("x"))
            i.fetch(ANNA, n=1, delete=False)
            for path, mode in ((i.conf["db_dir"], 0o700), (i.conf["spool_dir"], 0o700)):
                self.assertEqual(os.stat(path).st_mode & 0o7777, mode, path)
                for top, dirs, files in os.walk(path):
                    for f in files:
                        self.assertEqual(
                            os.stat(os.path.join(top, f)).st_mode & 0o077, 0, f)
            for top, dirs, files in os.walk(i.conf["mail_root"]):
                for f in dirs + files:
                    self.assertEqual(
                        os.lstat(os.path.join(top, f)).st_mode & 0o007, 0, f)


class Wrong(unittest.TestCase):
    def refused(self, line, words, conf=None, text=None):
        with Instance(start=False, conf=conf) as i:
            if text is not None:
                with open(i.conf_file, "w", encoding="utf-8") as f:
                    f.write(text)
            elif line:
                i.extra = line + "\n"
                i.write_conf()
            with open(i.conf_file, encoding="utf-8") as f:
                n = len(f.read().splitlines())
            outputs = {}
            for name in PROGRAMS:
                r = subprocess.run([program(name), "-c", i.conf_file],
                                   stdin=subprocess.DEVNULL, capture_output=True,
                                   text=True, timeout=60, env=i.env)
                outputs[name] = r.stderr + r.stdout
                self.assertEqual(r.returncode, EX_CONFIG, "%s: %s" % (name, outputs[name]))
            r = i.ctl("config", "check", check=False)
            self.assertEqual(r.returncode, EX_CONFIG)
            outputs["submitctl"] = r.stderr + r.stdout
            for name, out in outputs.items():
                for word in words:
                    self.assertIn(word.replace("LINE", str(n)), out, name)
            self.assertFalse(os.path.exists(os.path.join(i.conf["db_dir"], "users.db")))

    def test_unknown_key_with_the_nearest(self):
        self.refused('mesage_size_limit = "5M"',
                     ["submitd.conf:LINE", "mesage_size_limit", "message_size_limit"])

    def test_values_out_of_bounds(self):
        for line in ('grant_ttl = "soon"', 'recipient_limit = "0"',
                     'message_size_limit = "1X"', 'grant_ipv6_prefix = "129"',
                     'sender_policy = "maybe"', 'auth_threads = "-1"',
                     'guessing_exempt = {"1.2.3.4/33"}', 'maildir = "../%n"'):
            with self.subTest(line):
                self.refused(line, ["submitd.conf:LINE", line.split(" ")[0], "expected"])

    def test_hostname_without_a_dot(self):
        self.refused(None, ["hostname"], conf={"hostname": "localhost"})

    def test_repeated_key(self):
        self.refused('hostname = "b.example.test"', ["submitd.conf:LINE", "hostname"])

    def test_unclosed_section(self):
        self.refused('trusted_networks "10.0.0.0/8" {\n owner = "anna@example.test"',
                     ["submitd.conf:"])

    def test_syntax(self):
        for line in ("hostname", "= 3", "}", '"', "grant_ttl = {", "include(\"/nonexistent\")"):
            with self.subTest(line):
                self.refused(line, ["submitd.conf"])

    def test_missing_file(self):
        r = subprocess.run([program("submitd"), "-c", "/nonexistent/submitd.conf"],
                           capture_output=True, text=True)
        self.assertEqual(r.returncode, EX_CONFIG)
        self.assertIn("/nonexistent/submitd.conf", r.stderr)

    def test_log_file(self):
        with Instance(start=False) as i:
            for path in ("/nonexistent/dir/log", i.root):
                i.write_conf(log_to=path)
                for name in PROGRAMS:
                    with self.subTest((path, name)):
                        r = subprocess.run([program(name), "-c", i.conf_file],
                                           capture_output=True, text=True,
                                           timeout=60, env=i.env)
                        self.assertEqual(r.returncode, EX_CONFIG, r.stderr)
                        self.assertRegex(r.stderr, r"submitd\.conf:\d+: log_to: "
                                         "expected .*" + re.escape(path))

    def test_folders(self):
        with Instance(start=False) as i:
            for name, key in (("authd", "db_dir"), ("submitd", "spool_dir"),
                              ("submitd", "mail_root"), ("popd", "mail_root"),
                              ("popd", "run_dir")):
                with self.subTest((name, key)):
                    was = i.conf[key]
                    i.write_conf(**{key: i.cert})
                    r = subprocess.run([program(name), "-c", i.conf_file],
                                       capture_output=True, text=True,
                                       timeout=60, env=i.env)
                    self.assertEqual(r.returncode, EX_CONFIG, r.stderr)
                    self.assertRegex(r.stderr, r"submitd\.conf:\d+: %s: expected "
                                     "a folder.*" % key + re.escape(i.cert))
                    i.write_conf(**{key: was})

    def test_certificates(self):
        with Instance(start=False) as i:
            other = os.path.join(i.root, "etc", "other.key")
            subprocess.run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt",
                            "ec_paramgen_curve:prime256v1", "-out", other],
                           check=True, capture_output=True)
            for cert, key in ((i.cert, "/nonexistent.key"), ("/nonexistent.pem", i.key),
                              (i.cert, other), (i.key, i.cert)):
                with self.subTest((cert, key)):
                    i.write_conf(tls_cert=[cert], tls_key=[key])
                    for name in ("submitd", "popd"):
                        r = subprocess.run([program(name), "-c", i.conf_file],
                                           capture_output=True, text=True,
                                           timeout=60, env=i.env)
                        self.assertEqual(r.returncode, EX_CONFIG, r.stderr)
                        self.assertTrue("tls_" in r.stderr or ".key" in r.stderr
                                        or ".pem" in r.stderr, r.stderr)

    def test_usage(self):
        for name in PROGRAMS:
            for args in (["--nonsense"], ["extra"], ["-o"]):
                with self.subTest((name, args)):
                    r = subprocess.run([program(name), *args], capture_output=True)
                    self.assertEqual(r.returncode, EX_USAGE)


class Installed(unittest.TestCase):
    def test_systemd_analyze_verify(self):
        if not shutil.which("systemd-analyze"):
            self.skipTest("no systemd-analyze")
        units = os.path.join(PREFIX, "lib", "systemd", "system")
        names = [os.path.join(units, n) for n in
                 ("authd.service", "submitd.service", "popd.service", "submitd.target")]
        r = subprocess.run(["systemd-analyze", "verify", "--man=no", *names],
                           capture_output=True, text=True,
                           env=dict(os.environ, SYSTEMD_UNIT_PATH=units + ":"))
        ours = [x for x in r.stderr.splitlines() if PREFIX in x or
                re.search(r"(authd|submitd|popd)\.(service|target)", x)]
        self.assertEqual(ours, [])
        self.assertEqual(r.returncode, 0, r.stderr)

    def test_units_say_what_they_must(self):
        for name in PROGRAMS:
            with open(os.path.join(PREFIX, "lib/systemd/system", name + ".service"),
                      encoding="utf-8") as f:
                text = f.read()
            for line in ("Type=notify", "Restart=on-failure", "ExecReload=",
                         "LimitNOFILE=", "ExecStart=" + program(name)):
                self.assertIn(line, text)
            self.assertNotIn("@", re.sub(r"(?m)^#.*|SystemCallFilter=.*", "", text))
            first = re.search(r"(?m)^ExecReload=(.*)$", text).group(1)
            self.assertIn("submitctl config check", first)

    def test_sysusers_and_tmpfiles(self):
        if not shutil.which("systemd-sysusers"):
            self.skipTest("no systemd-sysusers")
        root = tempfile.mkdtemp()
        try:
            os.makedirs(root + "/etc")
            r = subprocess.run(["systemd-sysusers", "--root=" + root, os.path.join(
                PREFIX, "lib/sysusers.d/submitd.conf")], capture_output=True, text=True)
            if r.returncode and not IS_ROOT:
                self.skipTest(r.stderr)
            self.assertEqual(r.returncode, 0, r.stderr)
            with open(root + "/etc/passwd", encoding="utf-8") as f:
                users = {x.split(":")[0] for x in f}
            self.assertTrue({"_submitauth", "_submitd", "_submitq", "_submits",
                             "_submitmail", "_popd", "_popmbox"} <= users)
            with open(root + "/etc/group", encoding="utf-8") as f:
                groups = {x.split(":")[0]: x.strip().split(":")[3] for x in f}
            self.assertEqual(set(groups["_submitmbx"].split(",")),
                             {"_submitmail", "_popmbox"})
            self.assertIn("_submitadm", groups)
        finally:
            shutil.rmtree(root)

    def test_manuals_are_there(self):
        for m in ("man8/authd.8", "man8/submitd.8", "man8/popd.8",
                  "man8/submitctl.8", "man7/submitctl-protocol.7",
                  "man5/submitd.conf.5"):
            self.assertTrue(os.path.exists(os.path.join(PREFIX, "share/man", m)), m)


class Hurt(unittest.TestCase):
    def worker_of(self, i, before):
        """The worker that serves the session that has just begun."""
        return int(i.wait_log("submitd", r"submitd-smtp\[(\d+)\]: ev=smtp\.auth .*"
                              "result=ok", before).group(1))

    def test_sigkill_of_a_worker_leaves_others_served(self):
        with Instance() as i:
            sessions = []
            # Which worker takes a client is the kernel's choice: until two
            # have one, if there are two.
            for _ in range(200):
                before = i.log_size("submitd")
                w = i.smtp_as(ANNA)
                sessions.append((self.worker_of(i, before), w))
                if len(sessions) >= 8 and len({p for p, _ in sessions}) > 1:
                    break
                if os.cpu_count() == 1 and len(sessions) >= 8:
                    break
            dead = sessions[0][0]
            os.kill(dead, signal.SIGKILL)
            wait_until(lambda: dead not in i.pids("submitd-smtp") and
                       len(i.pids("submitd-smtp")) == os.cpu_count())
            for pid, w in sessions:
                with self.subTest(worker=pid):
                    try:
                        alive = w.cmd("NOOP")[0] == 250
                    except OSError:
                        alive = False
                    self.assertEqual(alive, pid != dead)
                w.close()
            i.smtp_as(ANNA).quit()
