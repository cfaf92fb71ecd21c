"""Real daemons for tests: an instance in a folder of its own, and raw clients.

    with Instance(users={"anna@example.test": "secret"}) as i:
        s = i.smtp(auth=("anna@example.test", "secret"))
        s.send_mail("anna@example.test", ["anna@example.test"], message)
        assert i.fetch("anna@example.test")[0].endswith(message)

The programs come from the folder named in SUBMITD_PREFIX (`make install`).
As root they run under their real users, else all under ours. At the end every
process must be gone and no log may hold a sanitizer's report.
"""

import base64
import contextlib
import fcntl
import json
import os
import random
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import unittest

import log_lines
import next_hop

PREFIX = os.environ.get("SUBMITD_PREFIX", "")
IS_ROOT = os.geteuid() == 0
PROGRAMS = ("authd", "submitd", "popd")
SERVICES = {"submission": "listen_submission",
            "submissions": "listen_submissions",
            "pop3": "listen_pop3", "pop3s": "listen_pop3s"}
CHILDREN = {"authd": ("authd-core",),
            "submitd": ("submitd-smtp", "submitd-spool", "submitd-send",
                        "submitd-local"),
            "popd": ("popd-pop", "popd-mbox")}
# How long anything may take before a test calls it broken; sanitized programs
# on a busy machine are slow.
PATIENCE_S = 60

ANNA = "anna@example.test"
BOB = "bob@example.test"
CARL = "carl@other.test"
PASSWORDS = {ANNA: "anna's secret", BOB: "bob-secret", CARL: "carl-secret"}


def program(name):
    for d in ("sbin", "bin", "libexec/submitd"):
        p = os.path.join(PREFIX, d, name)
        if os.access(p, os.X_OK):
            return p
    raise FileNotFoundError("%s is not below SUBMITD_PREFIX=%s"
                            % (name, PREFIX))


def have_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as s:
            s.bind(("::1", 0))
        return True
    except OSError:
        return False


IPV6 = have_ipv6()


def next_port():
    """Each port once in 20,000, by all tests of this user that run now: two that
    both find a port free must not both take it."""
    path = os.path.join(tempfile.gettempdir(),
                        "submitd-test-port.%d" % os.getuid())
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        last = os.read(fd, 16)
        port = int(last) + 1 if last.isdigit() else random.randrange(
            10000, 30000)
        if not 10000 <= port < 30000:
            port = 10000
        os.pwrite(fd, b"%d" % port, 0)
        return port
    finally:
        os.close(fd)


def free_port():
    """A port below the ephemeral range, so that no client takes it first."""
    while True:
        port = next_port()
        try:
            for family, a in ((socket.AF_INET, "127.0.0.1"),
                              (socket.AF_INET6, "::1"))[:2 if IPV6 else 1]:
                with socket.socket(family) as s:
                    s.bind((a, port))
            return port
        except OSError:
            pass


next_hop.NextHop.choose_port = staticmethod(free_port)


def wait_until(test, timeout=PATIENCE_S, what="it"):
    end = time.monotonic() + timeout
    while True:
        result = test()
        if result:
            return result
        if time.monotonic() > end:
            raise TimeoutError("%s did not happen in %d s" % (what, timeout))
        time.sleep(0.03)


def heard(sock):
    """Whether the other end, a process of this machine, has read all that it
    was sent."""
    ends = [s[1] for s in (sock.getpeername(), sock.getsockname())]
    with open("/proc/net/tcp", encoding="ascii") as f:
        rows = [line.split() for line in f.readlines()[1:]]
    return any(row[4].endswith(":00000000") for row in rows
               if [int(row[n].split(":")[1], 16) for n in (1, 2)] == ends)


@contextlib.contextmanager
def frozen(pids):
    """While these processes stand still."""
    def stopped(pid):
        with open("/proc/%d/stat" % pid, encoding="ascii") as f:
            return f.read().rsplit(")", 1)[1].split()[0] == "T"
    for p in pids:
        os.kill(p, signal.SIGSTOP)
    try:
        wait_until(lambda: all(stopped(p) for p in pids), what="SIGSTOP")
        yield
    finally:
        for p in pids:
            os.kill(p, signal.SIGCONT)


def need(*programs):
    """Skips the test where one of them is not installed."""
    for p in programs:
        if not shutil.which(p):
            raise unittest.SkipTest(p + " is not installed")


def npm_install(folder, *packages):
    """From the registry, into the folder; without it the test is skipped."""
    try:
        r = subprocess.run(
            ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts",
             "--prefix", folder, *packages], capture_output=True, text=True,
            timeout=3 * PATIENCE_S, cwd=folder,
            env=dict(os.environ, HOME=folder))
    except subprocess.TimeoutExpired:
        raise unittest.SkipTest("npm: no answer") from None
    if r.returncode:
        raise unittest.SkipTest("npm: " + (r.stderr.strip() or "?")[-300:])


def client_hello():
    """A real one, of Python's."""
    ctx = ssl.create_default_context()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    o = ctx.wrap_bio(incoming, outgoing, server_hostname="mail.example.test")
    try:
        o.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


def make_cert(directory, name="cert", host="mail.example.test", days=30,
              rsa=False):
    """A self-signed pair; returns the two paths."""
    cert = os.path.join(directory, name + ".pem")
    key = os.path.join(directory, name + ".key")
    alg = (["-newkey", "rsa:2048"] if rsa else
           ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"])
    subprocess.run(
        ["openssl", "req", "-x509", *alg, "-nodes", "-days", str(days),
         "-subj", "/CN=" + host, "-addext",
         "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1,DNS:" + host,
         "-addext", "basicConstraints=critical,CA:FALSE",
         "-keyout", key, "-out", cert],
        check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.chmod(key, 0o600)
    os.chmod(cert, 0o644)
    return cert, key


def conf_value(v):
    if isinstance(v, (list, tuple)):
        return "{%s}" % ", ".join(conf_value(x) for x in v)
    return '"%s"' % str(v).replace("\\", "\\\\").replace('"', '\\"')


class Instance:
    def __init__(self, conf=None, users=None, extra="", start=True,
                 root=None, ctl_users=True):
        self.own_root = root is None
        self.root = root or tempfile.mkdtemp(prefix="submitd-test-")
        os.chmod(self.root, 0o755)
        self.logs = os.path.join(self.root, "log")
        os.makedirs(self.logs, exist_ok=True)
        os.makedirs(os.path.join(self.root, "etc"), exist_ok=True)
        self.conf_file = os.path.join(self.root, "etc", "submitd.conf")
        self.cert, self.key = make_cert(os.path.join(self.root, "etc"))
        self.clock_file = os.path.join(self.root, "clock")
        self.clock(0)
        self.procs = {}
        self.extra = extra
        self.env = dict(os.environ)
        self.env.update(
            SUBMITD_TEST_CLOCK=self.clock_file,
            # Chrooted and without privileges no process can look for leaks;
            # the unit tests do.
            ASAN_OPTIONS="detect_leaks=0:abort_on_error=0:"
                         "detect_stack_use_after_return=0",
            UBSAN_OPTIONS="print_stacktrace=1",
            TSAN_OPTIONS="halt_on_error=0:exitcode=66:suppressions=" +
                         os.path.join(os.path.dirname(os.path.dirname(
                             os.path.abspath(__file__))), "tsan.supp"))
        self.conf = {
            "hostname": "mail.example.test",
            "local_domains": ["example.test", "other.test"],
            "next_hop": "none",
            "tls_cert": [self.cert], "tls_key": [self.key],
            "mail_root": self.root + "/mail", "spool_dir": self.root + "/spool",
            "db_dir": self.root + "/db", "run_dir": self.root + "/run",
            "libexec_dir": os.path.dirname(program("authd-core")),
            "log_to": "stderr", "grant_exclude": [],
            "guessing_exempt": ["127.0.0.0/8", "::1/128"],
            "retry_min": "1s", "retry_max": "4s", "spool_min_free": "1M",
        }
        for key in SERVICES.values():
            port = free_port()
            self.conf[key] = (["127.0.0.1:%d" % port]
                              + (["[::1]:%d" % port] if IPV6 else []))
        self.conf.update(conf or {})
        self.users = dict(PASSWORDS if users is None else users)
        self.write_conf()
        self.stopped = True
        self.checked = 0
        if start:
            try:
                self.start()
                if ctl_users:
                    for user, password in self.users.items():
                        self.add_user(user, password)
            except BaseException:
                self.kill_all()
                print(self.log_tail())
                raise

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is not None:
            self.kill_all()
            print(self.log_tail())
        else:
            self.close()

    # -- configuration

    def write_conf(self, **changes):
        """Writes the file; changes stay (None takes a key out)."""
        for k, v in changes.items():
            if v is None:
                self.conf.pop(k, None)
            else:
                self.conf[k] = v
        text = "".join("%s = %s\n" % (k, conf_value(v))
                       for k, v in self.conf.items()) + self.extra
        with open(self.conf_file + ".new", "w", encoding="utf-8") as f:
            f.write(text)
        os.rename(self.conf_file + ".new", self.conf_file)

    def clock(self, offset_s):
        """Sets the daemons' clock to ours and so much."""
        self.put_clock("%+d\n" % offset_s)

    def freeze(self, at_s):
        """Lets it stand still, until clock() is called."""
        self.put_clock("%d\n" % at_s)

    def put_clock(self, text):
        # The daemons hold the file open (chroot): it is rewritten in place.
        with open(self.clock_file, "a+", encoding="ascii") as f:
            f.seek(0)
            f.truncate()
            f.write(text)
        os.chmod(self.clock_file, 0o644)

    # -- processes

    def log_path(self, name):
        return os.path.join(self.logs, name + ".log")

    def log(self, name=None, since=0):
        if name is None:
            return "".join(self.log(n) for n in PROGRAMS)
        try:
            with open(self.log_path(name), "rb") as f:
                f.seek(since)
                return f.read().decode("utf-8", "replace")
        except FileNotFoundError:
            return ""

    def log_size(self, name):
        try:
            return os.path.getsize(self.log_path(name))
        except FileNotFoundError:
            return 0

    def log_tail(self, lines=40):
        return "\n".join("== %s\n%s" % (
            n, "\n".join(self.log(n).splitlines()[-lines:])) for n in PROGRAMS)

    def wait_log(self, name, regex, since=0, timeout=PATIENCE_S):
        return wait_until(lambda: re.search(regex, self.log(name, since),
                                            re.M),
                          timeout, "%s in the log of %s" % (regex, name))

    def spawn(self, name, *args):
        with open(self.log_path(name), "ab") as log:
            p = subprocess.Popen(
                [program(name), "-c", self.conf_file, *args],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=self.env, cwd="/", start_new_session=True)
        self.procs[name] = p
        return p

    def start(self, *names, wait=True):
        since = {}
        for name in names or PROGRAMS:
            since[name] = self.log_size(name)
            self.spawn(name)
        if wait:
            for name, at in since.items():
                self.wait_ready(name, at)
        self.stopped = False

    def wait_ready(self, name, since=0):
        def ready():
            if self.procs[name].poll() is not None:
                raise RuntimeError("%s ended: %d\n%s" % (
                    name, self.procs[name].returncode,
                    self.log(name, since)[-3000:]))
            return re.search(r"\bev=ready\b", self.log(name, since))
        wait_until(ready, what="ev=ready of " + name)

    def wait_logins(self, quiet_s=1.5):
        """After authd was away: until nobody is put off any more. Each process
        looks for it once a second (lib/ipc_client.c)."""
        put_off = time.monotonic()

        def quiet():
            nonlocal put_off
            with self.smtp() as w, self.pop() as p:
                code, _ = w.auth_plain("nobody@example.test", "x", 454, 535)
                p.cmd("USER nobody@example.test")
                if code == 454 or "[AUTH]" not in p.cmd("PASS x", ok=False):
                    put_off = time.monotonic()
            return time.monotonic() - put_off > quiet_s
        wait_until(quiet, what="authd being found by all")

    def pid(self, role):
        """The parent's or (one) child's pid, or None."""
        pids = self.pids(role)
        return pids[0] if pids else None

    def pids(self, role):
        if role in PROGRAMS:
            p = self.procs.get(role)
            return [p.pid] if p and p.poll() is None else []
        parent = next(p for p, c in CHILDREN.items() if role in c)
        found = []
        for pid in self.children(self.procs[parent].pid):
            try:
                with open("/proc/%d/comm" % pid, encoding="ascii") as f:
                    if f.read().strip() == role[:15]:
                        found.append(pid)
            except (FileNotFoundError, ProcessLookupError):
                pass
        return found

    @staticmethod
    def children(pid):
        try:
            with open("/proc/%d/task/%d/children" % (pid, pid),
                      encoding="ascii") as f:
                return [int(x) for x in f.read().split()]
        except (FileNotFoundError, ProcessLookupError):
            return []

    def all_pids(self):
        out = []
        for p in self.procs.values():
            if p.poll() is None:
                out.append(p.pid)
            out += self.children(p.pid)
        return out

    def stop(self):
        """SIGTERM to the parents: all ends in good order."""
        pids = self.all_pids()
        for p in self.procs.values():
            if p.poll() is None:
                p.terminate()
        codes = {}
        for name, p in self.procs.items():
            codes[name] = p.wait(PATIENCE_S)
        self.gone(pids)
        self.procs = {}
        self.stopped = True
        return codes

    @staticmethod
    def gone(pids):
        def state(path):
            try:
                with open(path + "/stat", encoding="ascii",
                          errors="replace") as f:
                    return f.read().rsplit(")", 1)[1].split()[0]
            except (FileNotFoundError, ProcessLookupError):
                return "X"

        def alive(pid):
            # By threads: the first may be a zombie while another one still
            # closes the files, and with them the locks.
            try:
                tasks = os.listdir("/proc/%d/task" % pid)
            except (FileNotFoundError, ProcessLookupError):
                return False
            return any(state("/proc/%d/task/%s" % (pid, t)) not in "ZX"
                       for t in tasks)
        wait_until(lambda: not any(alive(p) for p in pids),
                   what="the end of all processes (%s)" % pids)

    def kill_all(self):
        pids = self.all_pids()
        for p in self.procs.values():
            if p.poll() is None:
                p.kill()
                p.wait()
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.gone(pids)
        self.procs = {}
        self.stopped = True

    def close(self, allow_code=(0,)):
        """Stops all; what a sanitizer said, or a process left over, fails."""
        codes = {} if self.stopped else self.stop()
        self.check_logs()
        for name, code in codes.items():
            assert code in allow_code, "%s ended with %d\n%s" % (
                name, code, self.log(name)[-2000:])
        if self.own_root:
            shutil.rmtree(self.root, ignore_errors=True)

    def check_logs(self):
        for name in PROGRAMS:
            text = self.log(name)
            m = re.search(r"^.*(Sanitizer|runtime error:).*$", text, re.M)
            assert not m, "%s: %s" % (name, text[m.start():m.start() + 4000])
            log_lines.collect(text)

    # -- administration

    def ctl(self, *args, input=None, check=True, **kw):
        r = subprocess.run(
            [program("submitctl"), "-c", self.conf_file, *args],
            input=input if input is not None else "", text=True,
            capture_output=True, env=self.env, timeout=PATIENCE_S, **kw)
        assert not re.search("Sanitizer|runtime error:", r.stderr), r.stderr
        if check and r.returncode != 0:
            raise AssertionError("submitctl %s: exit %d\n%s%s" % (
                " ".join(args), r.returncode, r.stdout, r.stderr))
        return r

    def control(self, name, records=None, **request):
        """Asks a control socket itself, for what is asked very often: the
        last packet, the others are appended to `records`; OSError when nobody
        answers to the end."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
            s.settimeout(PATIENCE_S)
            s.connect(os.path.join(self.conf["run_dir"], "control", name))
            s.send(json.dumps(request).encode())
            while True:
                packet = s.recv(1 << 18)
                if not packet:
                    raise ConnectionError("no answer to the end")
                answer = json.loads(packet)
                if answer.get("done"):
                    return answer
                if records is not None:
                    records.append(answer)

    def control_list(self, name, **request):
        """All records, page after page."""
        records, after = [], None
        while after is None or after:
            page = dict(request, after=after) if after else request
            last = self.control(name, records, **page)
            assert "error" not in last, last
            after = last.get("next", "")
        return records

    def queue_empty(self):
        return not self.ctl("queue", "list", "-j").stdout.strip()

    def add_user(self, user, password):
        self.ctl("user", "add", user, "--stdin", input=password + "\n")
        self.users[user] = password

    def reload(self, name):
        """SIGHUP, and what that parent logged about it."""
        since = self.log_size(name)
        os.kill(self.procs[name].pid, signal.SIGHUP)
        self.wait_log(name, r"ev=reload\.", since)
        return self.log(name, since)

    # -- where the services are

    def port(self, service, address="127.0.0.1"):
        for a in self.conf[SERVICES[service]]:
            host, _, port = a.rpartition(":")
            if host.strip("[]") == address:
                return int(port)
        raise KeyError(address)

    def tls_context(self, **kw):
        ctx = ssl.create_default_context(cafile=self.cert)
        for k, v in kw.items():
            setattr(ctx, k, v)
        return ctx

    def smtp(self, service="submission", tls=True, auth=None, source=None,
             address="127.0.0.1", helo="client.example.test", context=None,
             session=None):
        w = Wire((address, self.port(service, address.removeprefix("::ffff:"))), source)
        w.session_in = session
        if service == "submissions":
            w.start_tls(context or self.tls_context())
        w.expect(220)
        if helo is None:
            return w
        w.cmd("EHLO " + helo, 250)
        if tls and service == "submission":
            w.cmd("STARTTLS", 220)
            w.start_tls(context or self.tls_context())
            w.cmd("EHLO " + helo, 250)
        if auth:
            w.auth_plain(*auth)
        return w

    def smtp_as(self, user, **kw):
        return self.smtp(auth=(user, self.users[user]), **kw)

    def pop(self, service="pop3", tls=True, auth=None, source=None,
            address="127.0.0.1", context=None):
        w = PopWire((address, self.port(service, address)), source)
        if service == "pop3s":
            w.start_tls(context or self.tls_context())
        w.banner = w.expect_ok()
        if tls and service == "pop3":
            w.cmd("STLS")
            w.start_tls(context or self.tls_context())
        if auth:
            w.login(*auth)
        return w

    def pop_as(self, user, **kw):
        return self.pop(auth=(user, self.users[user]), **kw)

    def grant(self, user, source=None, address="127.0.0.1"):
        """A POP3 login, as one that only wants to send does it."""
        p = self.pop_as(user, source=source, address=address)
        p.cmd("QUIT")
        p.close()

    def fetch(self, user, delete=True, n=None, timeout=PATIENCE_S):
        """The messages of the user's maildrop as they lie there; with n: once
        there are n."""
        def once():
            p = self.pop()
            try:
                p.cmd("UTF8")       # RFC 6856: else headers in it are rewritten
                p.login(user, self.users[user])
                count = int(p.cmd("STAT").split()[1])
                if n is not None and count < n:
                    return None
                out = []
                for k in range(1, count + 1):
                    p.cmd("RETR %d" % k)
                    out.append(p.multiline())
                    if delete:
                        p.cmd("DELE %d" % k)
                p.cmd("QUIT")
                return out if out or n is None else None
            finally:
                p.close()
        if n is None:
            return once()
        return wait_until(once, timeout, "%d message(s) for %s" % (n, user))

    def maildir(self, user):
        local, _, domain = user.partition("@")
        return os.path.join(self.conf["mail_root"], domain, local)

    def drop_size(self, user):
        n = 0
        for d in ("new", "cur"):
            try:
                n += len(os.listdir(os.path.join(self.maildir(user), d)))
            except FileNotFoundError:
                pass
        return n


class Refused(AssertionError):
    def __init__(self, sent, reply):
        super().__init__("%r got %r" % (sent, reply))
        self.reply = reply


class Base:
    """A socket by lines, in clear or under TLS."""

    def __init__(self, where, source=None):
        family = socket.AF_INET6 if ":" in where[0] else socket.AF_INET
        self.sock = socket.socket(family, socket.SOCK_STREAM)
        self.sock.settimeout(PATIENCE_S)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if source:
            self.sock.bind((source, 0))
        self.sock.connect(where)
        self.buffer = b""
        self.session_in = None

    def start_tls(self, context, hostname="localhost"):
        assert not self.buffer, self.buffer
        self.sock = context.wrap_socket(self.sock, server_hostname=hostname,
                                        session=self.session_in)

    def send(self, data):
        if isinstance(data, str):
            data = data.encode("utf-8", "surrogateescape")
        self.sock.sendall(data)

    def fill(self):
        """More octets; False at the end of the connection."""
        try:
            data = self.sock.recv(65536)
        except (ConnectionError, ssl.SSLError):
            data = b""
        self.buffer += data
        return bool(data)

    def line(self):
        """One line with its CR LF; b"" at the end of the connection."""
        while b"\n" not in self.buffer:
            if not self.fill():
                rest, self.buffer = self.buffer, b""
                return rest
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line + b"\n"

    def is_closed(self, timeout=PATIENCE_S):
        """Reads to the end; true when the end came."""
        self.sock.settimeout(timeout)
        try:
            while self.fill():
                pass
            return True
        except (socket.timeout, TimeoutError):
            return False
        finally:
            self.sock.settimeout(PATIENCE_S)

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Wire(Base):
    """SMTP."""

    def reply(self):
        """(code, text of all lines), (0, what came) when it is none."""
        lines = []
        while True:
            line = self.line()
            m = re.match(rb"(\d{3})([ -])(.*)\r\n$", line)
            if not m:
                return 0, line.decode("latin-1")
            lines.append(m.group(3).decode("latin-1"))
            if m.group(2) == b" ":
                return int(m.group(1)), "\n".join(lines)

    def expect(self, *codes):
        code, text = self.reply()
        if codes and code not in codes:
            raise Refused("", (code, text))
        return code, text

    def cmd(self, line, *codes):
        self.send(line + "\r\n" if isinstance(line, str) else line + b"\r\n")
        code, text = self.reply()
        if codes and code not in codes:
            raise Refused(line, (code, text))
        return code, text

    def auth_plain(self, user, password, *codes):
        ir = base64.b64encode(("\0%s\0%s" % (user, password)).encode())
        return self.cmd("AUTH PLAIN " + ir.decode(), *(codes or (235,)))

    def send_mail(self, sender, rcpts, message, params=""):
        """A whole transaction; the reply to the end of data."""
        self.cmd("MAIL FROM:<%s>%s" % (sender, params), 250)
        for r in rcpts:
            self.cmd("RCPT TO:<%s>" % r, 250)
        self.cmd("DATA", 354)
        if isinstance(message, str):
            message = message.encode()
        self.send(stuff(message) + b".\r\n")
        code, text = self.reply()
        if code != 250:
            raise Refused("end of data", (code, text))
        return text

    def quit(self):
        self.cmd("QUIT", 221)
        self.close()


class PopWire(Base):
    """POP3."""

    def expect_ok(self):
        line = self.line().decode("latin-1").rstrip("\r\n")
        if not line.startswith("+OK"):
            raise Refused("", line)
        return line

    def cmd(self, line, ok=True):
        """The status line; with ok False it must be -ERR."""
        self.send(line + "\r\n" if isinstance(line, str) else line + b"\r\n")
        reply = self.line().decode("latin-1").rstrip("\r\n")
        if ok is not None and not reply.startswith("+OK" if ok else "-ERR"):
            raise Refused(line, reply)
        return reply

    def multiline(self):
        """Everything up to the dot, dots unstuffed."""
        end = self.buffer_until_dot()
        data, self.buffer = self.buffer[:end], self.buffer[end + 3:]
        return (b"\r\n" + data).replace(b"\r\n.", b"\r\n")[2:]

    def buffer_until_dot(self):
        at = 0
        while True:
            if self.buffer.startswith(b".\r\n"):
                return 0
            found = self.buffer.find(b"\r\n.\r\n", at)
            if found >= 0:
                return found + 2
            at = max(0, len(self.buffer) - 4)
            if not self.fill():
                raise Refused("", "the end of the connection")

    def login(self, user, password):
        self.cmd("USER " + user)
        return self.cmd("PASS " + password)


def stuff(message):
    """Dots stuffed, as RFC 5321 section 4.5.2 has it; CR LF at the end."""
    if not message.endswith(b"\r\n"):
        message += b"\r\n"
    return (b"\r\n" + message).replace(b"\r\n.", b"\r\n..")[2:]


def letter(subject="hello", sender=ANNA, to=ANNA, body="Hello.\r\n"):
    """A message that needs nothing added."""
    ident = "%s.%d" % (os.urandom(8).hex(), os.getpid())
    if isinstance(body, str):
        body = body.encode()
    return ("From: <%s>\r\nTo: <%s>\r\nSubject: %s\r\n"
            "Date: Sun, 22 Nov 2026 05:00:00 +0000\r\n"
            "Message-ID: <%s@client.example.test>\r\n\r\n"
            % (sender, to, subject, ident)).encode() + body
