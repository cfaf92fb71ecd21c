#!/usr/bin/env python3
"""Talks authd's wire protocol (auth/PROTOCOL) to a real authd on a root of its
own: every request, every verdict, and what drops a peer.

Run by make check in the build folder. Started as root it goes on as nobody:
roles are no walls then, which is not what is tested here.
"""

import os
import pwd
import sys
import unittest

sys.dont_write_bytecode = True	# the source may be read-only
# All of it now, for nobody may not read it later.
from authd_wire_base import BUILD
from authd_wire_sasl import Sasl
from authd_wire_mechanisms import Mechanisms, Transition
from authd_wire_rule import Guesser, Rule, Addresses, Plugins, Empty
from authd_wire_claims import Claims
from authd_wire_lmtp import Lmtp, Stranger
from authd_wire_roles import Events, Notices, Roles


def demote():
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        os.setgroups([])
        os.setresgid(nobody.pw_gid, nobody.pw_gid, nobody.pw_gid)
        os.setresuid(nobody.pw_uid, nobody.pw_uid, nobody.pw_uid)


def main():
    demote()
    if not os.access(BUILD + "/auth/authd-core", os.X_OK):
        print("no authd-core that this user may run in " + BUILD)
        sys.exit(77)
    unittest.main(verbosity=2)


if __name__ == "__main__":
    main()
