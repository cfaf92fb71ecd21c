#!/usr/bin/env python3
"""opendkim-testmsg with a name server of its own: as root, in a network and a
mount namespace that end with it.

    unshare -nm dkim_verify.py NAME TXT <MESSAGE

NAME is the key's (SELECTOR._domainkey.DOMAIN), TXT its record. The exit code is
opendkim-testmsg's: 0, the signature is good.
"""

import os
import socket
import struct
import subprocess
import sys
import tempfile
import threading


def answer(query, name, txt):
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1:at + 1 + query[at]].decode())
        at += 1 + query[at]
    question = query[12:at + 5]
    if ".".join(labels).lower() != name or query[at + 1:at + 3] != b"\0\x10":
        return query[:2] + b"\x85\x83\0\1\0\0\0\0\0\0" + question
    text = b"".join(bytes([len(t)]) + t for t in (
        txt[i:i + 255].encode() for i in range(0, len(txt), 255)))
    return (query[:2] + b"\x85\x80\0\1\0\1\0\0\0\0" + question +
            b"\xc0\x0c\0\x10\0\1" + struct.pack(">IH", 60, len(text)) + text)


def serve(s, name, txt):
    while True:
        query, peer = s.recvfrom(4096)
        s.sendto(answer(query, name, txt), peer)


def main():
    name, txt = sys.argv[1:]
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with tempfile.NamedTemporaryFile("w") as f:
        f.write("nameserver 127.0.0.1\n")
        f.flush()
        os.chmod(f.name, 0o644)
        subprocess.run(["mount", "--bind", f.name,
                        os.path.realpath("/etc/resolv.conf")], check=True)
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.bind(("127.0.0.1", 53))
        threading.Thread(target=serve, args=(s, name, txt),
                         daemon=True).start()
        code = subprocess.run(["opendkim-testmsg", "-C"]).returncode
    sys.exit(code)


if __name__ == "__main__":
    main()
