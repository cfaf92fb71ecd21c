"""nodemailer, which most that runs on Node sends its mail with: from the npm
registry, into a folder of this test."""

import email
import email.policy
import json
import os
import shutil
import subprocess
import tempfile
import unittest
from base64 import b64encode

from next_hop import NextHop
from submitd_instance import (ANNA, BOB, Instance, PATIENCE_S, npm_install,
                              wait_until)

PW = "bob-secret"
UTF8 = "fr\u00e9d@elsewhere.test"
# Gets its options and letters as JSON, says what became of each.
SENDER = """
const nodemailer = require('nodemailer');
const {transport, letters} = JSON.parse(require('fs').readFileSync(0));
const t = nodemailer.createTransport(transport);
(async () => {
  await t.verify();
  const all = await Promise.all(letters.map(async m => {
    try {
      const r = await t.sendMail(m);
      return {accepted: r.accepted, rejected: r.rejected, response: r.response};
    } catch (e) {
      return {code: e.responseCode, command: e.command, response: e.response};
    }
  }));
  t.close();
  console.log(JSON.stringify(all));
})();
"""


def setUpModule():
    global inst, hop, folder
    for program in ("node", "npm"):
        if not shutil.which(program):
            raise unittest.SkipTest(program + " is not installed")
    folder = tempfile.mkdtemp(prefix="submitd-nodemailer-")
    try:
        npm_install(folder, "nodemailer")
    except unittest.SkipTest:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    with open(os.path.join(folder, "send.js"), "w", encoding="utf-8") as f:
        f.write(SENDER)
    hop = NextHop()
    hop.extensions = list(NextHop.EXTENSIONS) + ["SMTPUTF8", "DSN"]
    hop.up()
    inst = Instance(conf={"next_hop": "127.0.0.1:%d" % hop.port})


def tearDownModule():
    inst.close()
    hop.down()
    shutil.rmtree(folder, ignore_errors=True)


class Nodemailer(unittest.TestCase):
    def send(self, *letters, service="submission", **transport):
        transport = {
            "host": "localhost", "port": inst.port(service),
            "secure": service == "submissions", "requireTLS": True,
            "auth": {"user": BOB, "pass": PW}, **transport}
        with open(inst.cert, encoding="ascii") as f:
            transport["tls"] = {"ca": f.read()}
        r = subprocess.run(
            ["node", "send.js"], cwd=folder, capture_output=True, text=True,
            input=json.dumps({"transport": transport,
                              "letters": [{"from": BOB, **m} for m in letters]}),
            timeout=PATIENCE_S)
        self.assertEqual(r.returncode, 0, r.stderr)
        return json.loads(r.stdout)

    def arrived(self, n=1):
        return [email.message_from_bytes(m, policy=email.policy.default)
                for m in inst.fetch(ANNA, n=n)]

    def test_both_ports_and_both_passwords(self):
        for service in ("submission", "submissions"):
            for method in ("PLAIN", "LOGIN"):
                with self.subTest((service, method)):
                    r = self.send({"to": ANNA, "subject": "Gr\u00fc\u00dfe",
                                   "text": ".\n..\nGr\u00fc\u00dfe\n"},
                                  service=service, authMethod=method)
                    self.assertRegex(r[0]["response"], r"^250 2\.0\.0 queued as ")
                    m = self.arrived()[0]
                    self.assertEqual(m["Subject"], "Gr\u00fc\u00dfe")
                    self.assertEqual(m.get_content().replace("\r\n", "\n"),
                                     ".\n..\nGr\u00fc\u00dfe\n")

    def test_an_attachment(self):
        data = os.urandom(300000)
        self.send({"to": ANNA, "subject": "a", "text": "t", "html": "<p>t</p>",
                   "attachments": [{"filename": "\u00e4.bin", "encoding": "base64",
                                    "content": b64encode(data).decode()}]})
        part = list(self.arrived()[0].walk())[-1]
        self.assertEqual(part.get_filename(), "\u00e4.bin")
        self.assertEqual(part.get_payload(decode=True), data)

    def test_many_over_a_pool(self):
        r = self.send(*({"to": ANNA, "subject": str(n), "text": "t"}
                        for n in range(20)), pool=True, maxConnections=3)
        self.assertEqual([x.get("accepted") for x in r], [[ANNA]] * 20)
        self.assertEqual(sorted(int(m["Subject"]) for m in self.arrived(20)),
                         list(range(20)))

    def test_reports_and_an_address_in_utf8(self):
        self.send({"to": UTF8, "subject": "x", "text": "t", "dsn": {
            "id": "q 1", "return": "headers", "notify": ["failure", "delay"],
            "recipient": ANNA}})
        got = hop.wait_messages(1, PATIENCE_S)[0]
        self.assertEqual(got.recipients, [UTF8.encode().decode("latin-1")])
        for word in ("SMTPUTF8", "RET=HDRS"):
            self.assertIn(word, got.parameters.split())
        wait_until(inst.queue_empty, what="the queue being empty")

    def test_refusals(self):
        r = self.send({"to": [ANNA, "nobody@example.test"], "text": "t"},
                      {"to": "nobody@example.test", "text": "t"},
                      {"to": ANNA, "text": "t", "envelope": {
                          "from": "carl@other.test", "to": ANNA}})
        self.assertEqual(r[0]["rejected"], ["nobody@example.test"])
        self.assertEqual((r[1]["code"], r[2]["code"]), (550, 553))
        self.arrived()
