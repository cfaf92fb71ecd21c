"""Files of the spool as submitd-spool writes them, and as it wrote them before:
envelope.h, versions 1 to 4. A queue is made much faster so than by sending."""

import os
import random
import struct
import time
import zlib

ALPHABET = "234567abcdefghijklmnopqrstuvwxyz"


def queue_id(n=0):
    """As lib/str.c makes them, of the time and at random."""
    def half(v):
        return "".join(ALPHABET[v >> 35 - 5 * i & 31] for i in range(8))
    return half(int(time.time() * 64) + n & (1 << 40) - 1) \
        + half(random.getrandbits(40))


def text(s):
    b = s.encode() + b"\0"
    return struct.pack(">I", len(b)) + b


def packet(kind, body):
    m = struct.pack(">BBHI", 1, 0, kind, 0) + body
    return struct.pack(">I", len(m)) + m


def queue_file(qid, sender, rcpts, message, user="", version=4, next_try=None):
    """The octets of one. next_try: no try before that, of any recipient."""
    wishes = struct.pack(">BQBQB", 0, 0, 0, 0, 9)
    head = b"".join(map(text, (qid, sender, user))) + b"\1" + b"".join(
        map(text, ("192.0.2.1", "", "PLAIN", "s", "client.test")))
    head += struct.pack(">QBI", int(time.time()), 0, len(rcpts))
    if version >= 2:
        head += b"\0\0" + text("")
    if version >= 3:
        head += wishes
    if version >= 4:
        head += b"\0"
    names = struct.pack(">H", len(rcpts)) + b"".join(
        text(r) + (b"\0" + text("") if version >= 2 else b"") for r in rcpts)
    env = packet(2 * version - 1, head) + packet(2 * version, names)
    top = b"SUBMITQ\n" + struct.pack(">IIQQIII", version, len(env),
                                      48 + len(env), len(message),
                                      zlib.crc32(env), 0, 0)
    top += struct.pack(">I", zlib.crc32(top))
    return top + env + message


def put(spool, qid, octets, owner=None):
    path = os.path.join(spool, "queue", qid)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    os.write(fd, octets)
    os.close(fd)
    if owner:
        os.chown(path, *owner)
