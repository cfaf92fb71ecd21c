"""Log lines are an interface: each event that the daemons log has its line in a
manual, and no line that was logged has a key that the manual does not show.

run.py names a file in SUBMITD_LOG_LINES; each instance adds to it what its
daemons have logged, one line for each event with these keys.
"""

import os
import re

MANUALS = ("submitd/submitd.8", "popd/popd.8", "auth/authd.8")
COMMAND = frozenset(("uid", "result"))
PAIR = re.compile(r'([a-z0-9_]+)=("[^"]*"?|[^ "]*)(?: |$)')
LINE = re.compile(r"(?:^|\s)ev=([a-z0-9.-]+)((?: .*)?)$")


def parse(line):
    """(event, keys), or None for what is no event; ValueError for an event
    that is not well formed."""
    m = LINE.search(line.rstrip("\r\n"))
    if not m:
        return None
    rest, keys, at = m.group(2).lstrip(" "), [], 0
    while at < len(rest):
        pair = PAIR.match(rest, at)
        if not pair:
            raise ValueError(line)
        keys.append(pair.group(1))
        at = pair.end()
    return m.group(1), frozenset(keys)


def collect(text):
    path = os.environ.get("SUBMITD_LOG_LINES")
    if not path:
        return
    seen = {}
    for line in text.splitlines():
        try:
            got = parse(line)
        except ValueError:
            got = ("?", frozenset((line,)))
        if got and len(line) < 2000:
            seen.setdefault(got, line)
    with open(path, "ab") as f:
        f.write("".join(x + "\n" for x in seen.values()).encode())


def shown(source):
    """What the manuals show: the keys of each event."""
    keys = {}
    for name in MANUALS:
        with open(os.path.join(source, name), encoding="utf-8") as f:
            for line in f:
                if line.startswith("ev="):
                    event, got = parse(line.replace("\\&", ""))
                    keys[event] = keys.get(event, frozenset()) | got
    return keys


def complaints(path, source):
    """What was logged and stands in no manual. Commands of submitctl's look all
    alike, and not each of them is shown."""
    manual, bad = shown(source), {}
    command = frozenset().union(*(k for k in manual.values() if COMMAND <= k))
    with open(path, encoding="utf-8", errors="replace") as f:
        for line in f:
            try:
                event, keys = parse(line)
            except ValueError:
                bad["not well formed: " + line.strip()] = True
                continue
            if COMMAND <= keys <= command:
                continue
            if event not in manual:
                bad["no manual shows a line of ev=" + event] = True
            elif not keys <= manual[event]:
                bad["the manual's line of ev=%s has no %s" % (
                    event, ", ".join(sorted(keys - manual[event])))] = True
    return sorted(bad)
