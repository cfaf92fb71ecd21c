"""What the benches beside peers share: the programs, each started and stopped
alike, and figures gathered in interleaved rounds.

All programs have the same certificate, users and password. The load generators
and the scripts that set the peers up are kept beside the project, not in it; see
tests/bench/submission.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))), "e2e"))
from submitd_instance import Instance, program  # noqa: E402

PASSWORD = "secret-word"
USERS = 100


def cpu_ticks():
    with open("/proc/stat", encoding="ascii") as f:
        v = [int(x) for x in f.readline().split()[1:9]]
    return sum(v) - v[3] - v[4], sum(v)


def figures(text):
    """The key=value pairs of a load generator's first line."""
    line = text.split("\n", 1)[0]
    return {k: float(v) for k, v in
            re.findall(r"([a-z0-9_]+)=(\d+(?:\.\d+)?)(?= |$)", line)}


def pss_kib(pids):
    total = 0
    for pid in pids:
        try:
            with open("/proc/%s/smaps_rollup" % pid, encoding="ascii") as f:
                total += int(re.search(r"^Pss: +(\d+)", f.read(), re.M)[1])
        except (OSError, TypeError):
            pass
    return total


def steady_pss_kib(p):
    """When its sessions have settled: half a second apart, the same."""
    was, now = None, pss_kib(p.pids())
    while was is None or abs(now - was) > 64:
        time.sleep(0.5)
        was, now = now, pss_kib(p.pids())
    return now


class Peer:
    """One that a script beside the project sets up."""
    port_command = "port"

    @staticmethod
    def idle_users(_):
        return USERS

    def __init__(self, args, name):
        self.script = os.path.join(args.peers, name + ".sh")
        self.name = name
        self.env = dict(os.environ)
        self.preload = os.path.join(os.environ.get("PEER_ROOT", ""),
                                    name, "etc/ld.so.preload")

    def run(self, what):
        return subprocess.run([self.script, what], env=self.env, check=False,
                              stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL).stdout.decode()

    def start(self, limits=False, slow=None):
        self.env.pop("LIMITS", None)
        if limits:
            self.env["LIMITS"] = "default"
        self.run("setup")
        if slow:
            inside = os.path.join(os.path.dirname(self.preload), "bench",
                                  "slow.so")
            subprocess.run(["cp", slow, inside], check=True)
            with open(self.preload, "w", encoding="ascii") as f:
                f.write("/etc/bench/slow.so\n")
        self.run("start")
        self.port = int(self.run(self.port_command))

    def stop(self):
        self.run("stop")
        if os.path.exists(self.preload):
            os.unlink(self.preload)

    def pids(self):
        return self.run("pids").split()

    def drained(self):
        return int(self.run("queued") or 0) == 0


class Submitd:
    """An installed release build, as shipped but for limits by address."""
    name = "submitd"
    service = "submission"
    more_users = ()

    @staticmethod
    def idle_users(_):
        return USERS

    def __init__(self, args):
        self.args = args
        self.conf = {}

    def root(self):
        return os.environ.get("PEER_ROOT", "/tmp")

    def start(self, limits=False, slow=None):
        conf = {"hostname": "bench.test", "local_domains": ["bench.test"],
                "tls_cert": [self.root() + "/cert.pem"],
                "tls_key": [self.root() + "/key.pem"],
                "guessing_exempt": None, "spool_min_free": None,
                "retry_min": None, "retry_max": None}
        if not limits:
            conf.update(sessions_per_address=100000,
                        sessions_per_network=100000)
        conf.update(self.conf)
        self.i = Instance(start=False)
        self.i.write_conf(**conf)
        if slow:
            self.i.env["LD_PRELOAD"] = slow
        self.i.start()
        for u in list(self.more_users) + ["u%d@bench.test" % i
                                          for i in range(USERS)]:
            self.i.add_user(u, PASSWORD)
        self.port = self.i.port(self.service)

    def stop(self):
        self.i.close()

    def pids(self):
        return [str(p) for p in self.i.all_pids()]

    def drained(self):
        return self.i.queue_empty()


class Bench:
    """`unit` is what the load generator counts: messages, logins."""
    unit = "messages"

    def __init__(self, args, programs):
        self.args = args
        self.programs = programs
        self.first = args.peer[0] if args.peer else "submitd"
        self.seen = {}

    def measure(self, words, timeout_s=600):
        """Runs a load generator; its figures, with the CPU of all others."""
        before, began = cpu_ticks()[0], time.monotonic()
        r = subprocess.run([os.path.join(self.args.load, words[0])] + words[1:],
                           stdout=subprocess.PIPE, check=False,
                           timeout=timeout_s)
        ticks = cpu_ticks()[0] - before
        text = r.stdout.decode()
        f = figures(text)
        f["wall_s"] = time.monotonic() - began
        if f.get(self.unit):
            busy = ticks / os.sysconf("SC_CLK_TCK")
            f["rest_cpu_ms"] = (busy - f.get("client_cpu_s", 0)) \
                * 1000 / f[self.unit]
        f["faults"] = text.split("\n")[1:-1]
        return f

    def note(self, work, p, f):
        row = self.seen.setdefault((work, p.name), {})
        for k, v in f.items():
            if isinstance(v, float):
                row.setdefault(k, []).append(v)
        for fault in f.get("faults", ()):
            print("  %s %s: %s" % (work, p.name, fault), flush=True)

    def median(self, work, name, key):
        v = self.seen.get((work, name), {}).get(key)
        return statistics.median(v) if v else None

    def rates(self, work, key):
        """(program, medians of all, least, most, ratio to the first peer's)"""
        base = self.median(work, self.first, key)
        for p in self.programs:
            row = self.seen.get((work, p.name), {})
            if row.get(key):
                m = {k: statistics.median(v) for k, v in row.items()}
                yield (p, m, min(row[key]), max(row[key]),
                       m[key] / base if base else 0)

    def hold(self, p, words, n):
        """A load generator that holds n authenticated sessions; up when
        returned."""
        r = subprocess.Popen(
            [os.path.join(self.args.load, words[0]), "-p", str(p.port),
             "-U", str(p.idle_users(n)), "-w", PASSWORD, "-c", "20", "-n", str(n),
             "-t", "60", "-i", "600"] + words[1:], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE)
        alive = figures(r.stdout.readline().decode()).get(self.held_key, 0)
        if alive < n:
            print("  only %d of %d sessions are held" % (alive, n))
        return r

    def idle_memory(self, words):
        for p in self.programs:
            p.start()
            try:
                before = pss_kib(p.pids())
                held = self.hold(p, words, self.args.idle)
                after = steady_pss_kib(p)
                held.stdin.close()
                held.wait()
                print("idle, authenticated: %-12s %d sessions, %.1f KiB each"
                      % (p.name, self.args.idle,
                         (after - before) / self.args.idle), flush=True)
            finally:
                p.stop()


def run(make_bench, what, work, description):
    """The command line that all of them have."""
    a = argparse.ArgumentParser()
    a.add_argument("what", nargs="*", default=[what], help=description)
    a.add_argument("--load", required=True)
    a.add_argument("--peers", default="")
    a.add_argument("--peer", nargs="*", default=[])
    a.add_argument("--rounds", type=int, default=3)
    a.add_argument("--work", nargs="*", default=list(work))
    a.add_argument("--idle", type=int, default=2000)
    args = a.parse_args()
    program("submitd")
    for w in args.what:
        getattr(make_bench(args), w)()
