"""The daemons against which the RFCs are held, by tests and by transcripts."""

from next_hop import NextHop
from submitd_instance import ANNA, BOB, Instance


def rfc_instance():
    """(the instance, the next hop that it sends to)"""
    hop = NextHop()
    hop.up()
    inst = Instance(conf={
        "next_hop": "127.0.0.1:%d" % hop.port, "message_size_limit": "1M",
        "local_domains": ["example.test", "other.test", "b\u00fccher.test"],
        "recipient_limit": "150",
        "grant_exclude": ["127.0.0.0/8", "::1/128"]})
    for user in (ANNA, BOB):
        inst.ctl("user", "alias", "add", user,
                 user.split("@")[0] + "@b\u00fccher.test")
    return inst, hop
