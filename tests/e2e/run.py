#!/usr/bin/env python3
"""Runs the end-to-end tests: each t_*.py in a process of its own, some at once.

    tests/e2e/run.py [-j N] [PATTERN]...

PATTERN is a part of MODULE.TEST. What failed is shown again at the end. The last
line is "end to end: N passed, N failed, N skipped". SUBMITD_PREFIX names where
the programs are installed.
"""

import argparse
import concurrent.futures
import importlib
import os
import subprocess
import sys
import tempfile
import time
import unittest

import log_lines

HERE = os.path.dirname(os.path.abspath(__file__))
# These take longest, so they begin first.
FIRST = ("t_quickstart", "t_next_hop", "t_tsan", "t_kill", "t_kill_auth",
         "t_clients", "t_delivery")
MODULE_SECONDS_MAX = 1500
# Of what failed, shown again.
AGAIN_LINES = 15
AGAIN_FAILURES = 40


class Result(unittest.TestResult):
    """One line a test, on stdout at once."""

    def __init__(self):
        super().__init__()
        self.began = 0.0

    def startTest(self, test):
        super().startTest(test)
        self.began = time.monotonic()

    def _line(self, word, test, more=""):
        print("%s %s %.1fs%s" % (
            word, test.id() if hasattr(test, "id") else test,
            time.monotonic() - self.began, more and "\n" + more), flush=True)

    def addSuccess(self, test):
        self._line("PASS", test)

    def addFailure(self, test, err):
        self._line("FAIL", test, self._exc_info_to_string(err, test))

    addError = addFailure

    def addSubTest(self, test, subtest, err):
        if err is not None:
            self._line("FAIL", subtest, self._exc_info_to_string(err, test))
            self.failures.append((subtest, ""))

    def addSkip(self, test, reason):
        self._line("SKIP", test, "    " + reason)


def tests_of(suite):
    for t in suite:
        if isinstance(t, unittest.TestSuite):
            yield from tests_of(t)
        else:
            yield t


def run_module(name, patterns):
    sys.path.insert(0, HERE)
    suite = unittest.TestSuite()
    for t in tests_of(unittest.defaultTestLoader.loadTestsFromModule(
            importlib.import_module(name))):
        if not patterns or any(p in t.id() for p in patterns):
            suite.addTest(t)
    suite.run(Result())


def names_of(name):
    sys.path.insert(0, HERE)
    return [t.id() for t in tests_of(
        unittest.defaultTestLoader.loadTestsFromName(name))]


def failures_of(out):
    """The line of each failed test, and the end of what it said."""
    found, now = [], None
    for line in out.splitlines():
        word = line.split(" ", 1)[0]
        if word in ("PASS", "SKIP", "FAIL"):
            now = None
        if word == "FAIL":
            now = []
            found.append((line, now))
        elif now is not None and line.strip():
            now.append(line[:300])
    return ["\n".join([head, *said[-AGAIN_LINES:]]) for head, said in found]


def child(name, patterns):
    began = time.monotonic()
    try:
        r = subprocess.run(
            [sys.executable, "-B", __file__, "--module", name, *patterns],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            errors="replace", timeout=MODULE_SECONDS_MAX)
        out, code = r.stdout, r.returncode
    except subprocess.TimeoutExpired as e:
        out, code = (e.stdout or b"").decode("utf-8", "replace"), -1
    if code != 0:
        out += "FAIL %s ended with %d\n" % (name, code)
    return name, out, time.monotonic() - began


def main():
    p = argparse.ArgumentParser()
    p.add_argument("-j", type=int, default=2)
    p.add_argument("--module")
    p.add_argument("patterns", nargs="*")
    a = p.parse_args()
    if a.module:
        run_module(a.module, a.patterns)
        return 0
    sys.path.insert(0, HERE)
    modules = sorted((f[:-3] for f in os.listdir(HERE)
                      if f.startswith("t_") and f.endswith(".py")),
                     key=lambda m: (m not in FIRST, m))
    if a.patterns:
        modules = [m for m in modules if any(
            p in n for p in a.patterns for n in names_of(m))]
    n = {"PASS": 0, "FAIL": 0, "SKIP": 0}
    failures = []
    lines = tempfile.NamedTemporaryFile(prefix="submitd-log-lines-")
    os.environ["SUBMITD_LOG_LINES"] = lines.name
    os.chmod(lines.name, 0o666)
    with concurrent.futures.ThreadPoolExecutor(a.j) as pool:
        for f in concurrent.futures.as_completed(
                [pool.submit(child, m, a.patterns) for m in modules]):
            name, out, seconds = f.result()
            for line in out.splitlines():
                word = line.split(" ", 1)[0]
                if word in n:
                    n[word] += 1
            failures += failures_of(out)
            print("== %s (%.0f s)\n%s" % (name, seconds, out), end="",
                  flush=True)
    for bad in log_lines.complaints(lines.name, os.environ.get(
            "SUBMITD_SOURCE", os.path.dirname(os.path.dirname(HERE)))):
        failures.append("FAIL log lines: " + bad)
        print(failures[-1])
        n["FAIL"] += 1
    if failures:
        print("== what failed")
        print("\n".join(failures[:AGAIN_FAILURES]))
    print("end to end: %d passed, %d failed, %d skipped"
          % (n["PASS"], n["FAIL"], n["SKIP"]))
    return 1 if n["FAIL"] or not n["PASS"] else 0


if __name__ == "__main__":
    sys.exit(main())
