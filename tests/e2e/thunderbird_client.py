"""A real Thunderbird without a screen, driven from outside by Marionette.

    with Thunderbird(folder) as t:
        t.account(host, BOB, password)
        t.server(BOB, port=110, security=STARTTLS)
        assert t.get_mail(BOB) == 0

It runs in a process group and a profile of its own below folder, and resolves
every host name to 127.0.0.1. What its dialogs say is written down and answered
by Cancel, as by somebody who does not know what to do. At the end the whole
group must be gone.
"""

import json
import os
import signal
import socket
import subprocess

from submitd_instance import PATIENCE_S, wait_until

CLEAR, STARTTLS, TLS = 0, 2, 3                  # nsMsgSocketType
NO_LOGIN, PASSWORD, CRAM_MD5, SECURE = 1, 3, 4, 8    # nsMsgAuthMethod

PREFS = {
    "marionette.port": 0,               # it writes which it took
    "network.dns.forceResolve": "127.0.0.1",
    # Nothing may ask who is not under test.
    "network.proxy.type": 1,
    "network.proxy.http": "127.0.0.1", "network.proxy.http_port": 9,
    "network.proxy.ssl": "127.0.0.1", "network.proxy.ssl_port": 9,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "app.update.enabled": False,
    "extensions.update.enabled": False,
    "services.settings.server": "data:,#remote-settings-dummy/v1",
    "datareporting.policy.dataSubmissionPolicyBypassNotification": True,
    "toolkit.telemetry.server": "data:,",
    "app.donation.eoy.version.viewed": 999,
    "mail.provider.suppress_dialog_on_startup": True,
    "mail.rights.version": 1,
    "mail.shell.checkDefaultClient": False,
    "mail.spotlight.firstRunDone": True,
    "mailnews.start_page.enabled": False,
    "intl.locale.requested": "en-US",
    "mail.warn_on_send_accel_key": False,
    "mailnews.tcptimeout": PATIENCE_S,
    "mailnews.auto_config.guess.timeout": 10,
    # What it says to the servers, for whom a test fails.
    "browser.dom.window.dump.enabled": True,
    "devtools.console.stdout.chrome": True,
    "mailnews.pop3.loglevel": "Debug", "mailnews.smtp.loglevel": "Debug",
}

# Around each script, which is an async function's body. Its end is asked for
# later: a dialog that opens ends the command that runs, not the script.
LIBRARY = """
const [a, n] = arguments;
if (window.submitdRuns === n) {
  return;
}
window.submitdRuns = n;
const {MailServices} = ChromeUtils.importESModule(
  'resource:///modules/MailServices.sys.mjs');
const accounts = MailServices.accounts;
const serverOf = user => accounts.allServers.find(s => s.username == user);
const accountOf = user => accounts.findAccountForServer(serverOf(user));
const smtpOf = user => MailServices.outgoingServer.servers.find(
  s => s.username == user);
const inboxOf = user => serverOf(user).rootFolder.getFolderWithFlags(
  Ci.nsMsgFolderFlags.Inbox);
const headersOf = user => [...inboxOf(user).messages];
const login = async (origin, user, password) => {
  for (const l of await Services.logins.searchLoginsAsync({origin})) {
    if (l.username == user) {
      await Services.logins.removeLoginAsync(l);
    }
  }
  if (!password) {
    return;
  }
  await Services.logins.addLoginAsync(
    new Components.Constructor('@mozilla.org/login-manager/loginInfo;1',
      Ci.nsILoginInfo, 'init')(origin, null, origin, user, password, '', ''));
};
const listen = start => new Promise(resolve => start({
  QueryInterface: ChromeUtils.generateQI(
    ['nsIUrlListener', 'nsIMsgSendListener']),
  OnStartRunningUrl() {},
  OnStopRunningUrl(url, status) { resolve(status); },
  onStartSending() {}, onSendProgress() {}, onProgress() {}, onStatus() {},
  onSendNotPerformed() {}, onGetDraftFolderURI() {},
  onTransportSecurityError() {},
  onStopSending(id, status) { resolve(status); },
}));
(async () => {
%s
})().then(r => { window.submitdEnd = {n, value: r === undefined ? null : r}; },
          e => { window.submitdEnd = {n, error: e + ' ' + (e && e.stack)}; });
"""

# Answers each dialog by Cancel, and writes down what it said.
DIALOGS = """
window.submitdDialogs = [];
window.submitdObserver = w => {
  const args = w.Dialog.args;
  window.submitdDialogs.push(args.text || args.title);
  const d = w.document.querySelector('dialog');
  (d.getButton('cancel').hidden ? d.getButton('accept') :
    d.getButton('cancel')).click();
};
Services.obs.addObserver(window.submitdObserver, 'common-dialog-loaded');
"""

ACCOUNT = """
const s = accounts.createIncomingServer(a.user, a.host, 'pop3');
s.loginAtStartUp = s.doBiff = s.downloadOnBiff = false;
const id = accounts.createIdentity();
id.email = a.user;
id.fullName = a.name;
id.composeHtml = false;
id.doFcc = false;
const account = accounts.createAccount();
account.addIdentity(id);
account.incomingServer = s;
const o = MailServices.outgoingServer.createServer('smtp');
o.username = a.user;
o.QueryInterface(Ci.nsISmtpServer).hostname = a.host;
id.smtpServerKey = o.key;
"""

SERVER = """
const s = serverOf(a.user).QueryInterface(Ci.nsIPop3IncomingServer);
s.port = a.port;
s.socketType = a.security;
s.authMethod = a.auth;
s.leaveMessagesOnServer = a.leave;
s.deleteMailLeftOnServer = a.delete_with;
s.headersOnly = a.headers;
s.password = '';
await login('mailbox://' + s.hostname, a.user, a.password);
"""

OUTGOING = """
const o = smtpOf(a.user).QueryInterface(Ci.nsISmtpServer);
o.port = a.port;
o.socketType = a.security;
o.authMethod = a.auth;
o.password = '';
o.closeCachedConnections();
await login('smtp://' + o.hostname, a.user, a.password);
"""

GET = """
return await listen(l => serverOf(a.user).getNewMessages(
  inboxOf(a.user), msgWindow, l));
"""

SEND = """
const id = accountOf(a.user).defaultIdentity;
const f = Cc['@mozilla.org/messengercompose/composefields;1'].createInstance(
  Ci.nsIMsgCompFields);
f.from = MailServices.headerParser.makeMimeAddress(id.fullName, id.email);
f.to = a.to.join(', ');
f.subject = a.subject;
f.DSN = a.dsn;
f.useMultipartAlternative = false;
f.forcePlainText = true;
const send = Cc['@mozilla.org/messengercompose/send;1'].createInstance(
  Ci.nsIMsgSend);
return await listen(l => send.createAndSendMessage(null, id,
  accountOf(a.user).key, f, false, false, Ci.nsIMsgCompDeliverMode.Now, null,
  'text/plain', a.body, null, null, l, null, null, Ci.nsIMsgCompType.New)
  .catch(() => {}));
"""

TRUST = """
const cert = Cc['@mozilla.org/security/x509certdb;1'].getService(
  Ci.nsIX509CertDB).constructX509FromBase64(a.cert);
for (const port of a.ports) {
  Cc['@mozilla.org/security/certoverride;1'].getService(
    Ci.nsICertOverrideService).rememberValidityOverride(
      a.host, port, {}, cert, true);
}
"""

GUESS = """
const {GuessConfig} = ChromeUtils.importESModule(
  'resource:///modules/accountcreation/GuessConfig.sys.mjs');
const {AccountConfig} = ChromeUtils.importESModule(
  'resource:///modules/accountcreation/AccountConfig.sys.mjs');
const c = new AccountConfig();
c.incoming.hostname = c.outgoing.hostname = a.host;
c.incoming.type = 'pop3';
c.outgoing.type = 'smtp';
c.incoming.port = a.pop;
c.outgoing.port = a.smtp;
c.incoming.socketType = c.outgoing.socketType = -1;
c.incoming.auth = c.outgoing.auth = 0;
await GuessConfig.guessConfig(a.host, () => {}, c, 'both',
  new AbortController().signal);
return [c.incoming, c.outgoing].map(s => [s.port, s.socketType, s.auth]);
"""


class Alert(Exception):
    """A dialog was open; DIALOGS has answered it."""


class Thunderbird:
    def __init__(self, folder):
        self.home = os.path.join(folder, "home")
        self.profile = os.path.join(self.home, "profile")
        os.makedirs(self.profile, mode=0o700)
        with open(os.path.join(self.profile, "user.js"), "w",
                  encoding="ascii") as f:
            f.write("".join("user_pref(%s, %s);\n" % (
                json.dumps(k), json.dumps(v)) for k, v in PREFS.items()))
        self.out = os.path.join(folder, "thunderbird.log")
        env = {k: v for k, v in os.environ.items()
               if k in ("PATH", "LANG", "TMPDIR")}
        env.update(HOME=self.home, MOZ_CRASHREPORTER_DISABLE="1",
                   XDG_RUNTIME_DIR=self.home)
        with open(self.out, "wb") as out:
            self.process = subprocess.Popen(
                ["thunderbird", "--headless", "--marionette",
                 "--remote-allow-system-access", "--no-remote",
                 "--profile", self.profile],
                stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                env=env, cwd=self.home, start_new_session=True)
        self.sock, self.buffer, self.count, self.scripts = None, b"", 0, 0
        try:
            self.connect()
            self.ask("WebDriver:NewSession",
                     capabilities={"alwaysMatch": {
                         "unhandledPromptBehavior": "ignore"}})
            self.ask("Marionette:SetContext", value="chrome")
            self.run(DIALOGS)
        except BaseException:
            self.close()
            raise

    # -- Marionette: LENGTH:JSON, [0, n, command, arguments] and
    # [1, n, error, result].

    def connect(self):
        def port():
            if self.process.poll() is not None:
                raise RuntimeError("thunderbird ended: %d\n%s" % (
                    self.process.returncode, self.said()))
            try:
                with open(os.path.join(self.profile, "MarionetteActivePort"),
                          encoding="ascii") as f:
                    return int(f.read() or 0)
            except FileNotFoundError:
                return 0
        self.sock = socket.create_connection(
            ("127.0.0.1", wait_until(port, what="Marionette")), PATIENCE_S)
        self.sock.settimeout(2 * PATIENCE_S)
        self.read()

    def read(self):
        while True:
            length, colon, rest = self.buffer.partition(b":")
            if colon and len(rest) >= int(length):
                self.buffer = rest[int(length):]
                return json.loads(rest[:int(length)])
            got = self.sock.recv(65536)
            if not got:
                raise ConnectionError("thunderbird has gone")
            self.buffer += got

    def ask(self, command, **arguments):
        self.count += 1
        m = json.dumps([0, self.count, command, arguments]).encode()
        self.sock.sendall(b"%d:%s" % (len(m), m))
        while True:
            _, n, error, result = self.read()
            if n == self.count:
                break
        if error and error["error"] == "unexpected alert open":
            raise Alert()
        if error:
            raise RuntimeError("%s: %s: %s" % (
                command, error["error"], error["message"]))
        return result

    def run(self, text, *args):
        return self.ask("WebDriver:ExecuteScript", script=text, args=args,
                        sandbox="system", newSandbox=True)["value"]

    def script(self, text, **arguments):
        """The body of an async function, in the program itself; its value."""
        self.scripts += 1
        n, begun = self.scripts, False

        def ended():
            nonlocal begun
            try:
                if not begun:
                    self.run(LIBRARY % text, arguments, n)
                    begun = True
                end = self.run("return window.submitdEnd;")
                return end if end and end["n"] == n else None
            except Alert:
                return None
        end = wait_until(ended, what="the end of " + text)
        if "error" in end:
            raise RuntimeError(end["error"])
        return end["value"]

    def said(self, octets=6000):
        with open(self.out, "rb") as f:
            return "\n".join(
                line for line in f.read().decode("utf-8", "replace")
                .splitlines() if "glib warning" not in line
                and "Gtk-CRITICAL" not in line)[-octets:]

    # -- what a person does

    def account(self, host, user, name):
        self.script(ACCOUNT, host=host, user=user, name=name)

    def server(self, user, port, security, password, auth=PASSWORD,
               leave=True, delete_with=False, headers=False):
        self.script(SERVER, user=user, port=port, security=security,
                    password=password, auth=auth, leave=leave,
                    delete_with=delete_with, headers=headers)

    def outgoing(self, user, port, security, password, auth=PASSWORD):
        self.script(OUTGOING, user=user, port=port, security=security,
                    password=password, auth=auth)

    def trust(self, host, ports, cert):
        """An exception for the certificate, as its dialog makes it."""
        with open(cert, encoding="ascii") as f:
            pem = "".join(x for x in f.read().splitlines()
                          if not x.startswith("-----"))
        self.script(TRUST, host=host, ports=ports, cert=pem)

    def get_mail(self, user):
        """What "Get Messages" does; the status it ended with."""
        return self.script(GET, user=user)

    def get_and_send(self, user):
        """Both at once, for what both wait long for; the two statuses."""
        return self.script(
            "return await Promise.all([(async () => {%s})(),"
            " (async () => {%s})()]);" % (GET, SEND), user=user, to=[user],
            subject="both", body="x", dsn=False)

    def send(self, user, to, subject, body, dsn=False):
        return self.script(SEND, user=user, to=to, subject=subject,
                           body=body, dsn=dsn)

    def inbox(self, user):
        """Subject, author and flags of what its Inbox lists."""
        return self.script(
            "return headersOf(a.user).map(h => [h.mime2DecodedSubject,"
            " h.mime2DecodedAuthor, h.flags]);", user=user)

    def inbox_file(self, user):
        return self.script("return inboxOf(a.user).filePath.path;", user=user)

    def delete(self, user, subject):
        """Into its trash, for good."""
        self.script(
            "const h = headersOf(a.user).filter("
            "  h => h.mime2DecodedSubject == a.subject);"
            "inboxOf(a.user).deleteMessages(h, null, true, false, null,"
            "  false);", user=user, subject=subject)

    def guess(self, host, pop, smtp):
        """The account wizard's search: port, socket type and way of login of
        the incoming and of the outgoing server."""
        return self.script(GUESS, host=host, pop=pop, smtp=smtp)

    def dialogs(self):
        """What its dialogs said since the last time."""
        return self.script("return window.submitdDialogs.splice(0);")

    # -- the end

    def group(self):
        out = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open("/proc/%s/stat" % pid, encoding="ascii",
                          errors="replace") as f:
                    state, _, _, session = f.read().rsplit(
                        ")", 1)[1].split()[:4]
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(session) == self.process.pid and state not in "ZX":
                out.append(int(pid))
        return out

    def close(self):
        if self.sock:
            self.sock.close()
        self.process.kill()
        self.process.wait()
        for pid in self.group():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        wait_until(lambda: not self.group(), 20, "the end of thunderbird")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
