# RFC 2920: groups of commands.

== RFC 2920 3.1: VRFY, NOOP, HELP and EXPN anywhere within a group
begin auth
C> NOOP\r\nMAIL FROM:<anna@example.test>\r\nVRFY bob\r\nRCPT TO:<nobody@example.test>\r\nNOOP\r\nRCPT TO:<bob@example.test>\r\nEXPN x\r\nHELP\r\nRSET\r\nNOOP\r\n
S: 250 2.0.0 *
S: 250 2.1.0 *
S: 252 2.0.0 *
S: 550 5.1.1 *
S: 250 2.0.0 *
S: 250 2.1.5 *
S: 252 2.0.0 *
S: 214 *
S: 250 2.0.0 *
S: 250 2.0.0 *

== RFC 2920 3.1: BDAT anywhere within a group, and the next message behind it
begin auth
C> MAIL FROM:<anna@example.test>\r\nRCPT TO:<bob@example.test>\r\nBDAT 9\r\nA: QUIT\r\nNOOP\r\nBDAT 10 LAST\r\n\r\nRSET\r\n\r\nVRFY x\r\nMAIL FROM:<anna@example.test>\r\nRCPT TO:<bob@example.test>\r\nBDAT 0 LAST\r\nNOOP\r\nQUIT\r\n
S: 250 2.1.0 *
S: 250 2.1.5 *
S: 250 2.0.0 *9*
S: 250 2.0.0 *
S: 250 2.0.0 queued as *
S: 252
S: 250 2.1.0 *
S: 250 2.1.5 *
S: 250 2.0.0 queued as *
S: 250
S: 221
E:

== RFC 2920 3.1: a group cut anywhere is the same group
begin auth
C> NO
C> OP\r
C> \nMAIL FROM:<anna@
C> example.test>\r\nRC
C> PT TO:<bob@example.test>\r\nRSET\r\n
S: 250 2.0.0 *
S: 250 2.1.0 *
S: 250 2.1.5 *
S: 250 2.0.0 *

== RFC 2920 3.2: errors within a group do not stop it
begin auth
C> FOO\r\nMAIL FROM:<anna@example.test>\r\nRCPT TO:<b@>\r\nRCPT TO:<bob@example.test>\r\nMAIL FROM:<>\r\nRSET\r\n
S: 500
S: 250
S: 501
S: 250
S: 503
S: 250

== RFC 2920 3.1: DATA behind refused recipients, as a pipelining client sends it
begin auth
C> MAIL FROM:<anna@example.test>\r\nRCPT TO:<nobody@example.test>\r\nDATA\r\n
S: 250
S: 550
S: 554 5.5.1 No valid recipients*
C: NOOP
S: 250

== RFC 2920 3.1: what comes with DATA before its 354 is refused
begin auth
C> MAIL FROM:<anna@example.test>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\nNOOP\r\n
S: 250
S: 250
S: 503 5.5.1 Wait for 354*
E:
