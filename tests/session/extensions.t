# The small extensions, and those that ask something of the delivery.

== RFC 1870 6.1: SIZE over the limit is 552
begin auth
C: MAIL FROM:<anna@example.test> SIZE=1048576
S: 250
C: RSET
S: 250
C: MAIL FROM:<anna@example.test> SIZE=1048577
S: 552 5.3.4 *
C: MAIL FROM:<anna@example.test> SIZE=99999999999999999999
S: 552
C: MAIL FROM:<anna@example.test> SIZE=-1
S: 501

== RFC 6152 2: BODY
begin auth
C: MAIL FROM:<anna@example.test> BODY=8BITMIME
S: 250
C: RSET
S: 250
C: MAIL FROM:<anna@example.test> BODY=7BIT
S: 250
C: RSET
S: 250
C: MAIL FROM:<anna@example.test> BODY=BINARYMIME
S: 501

== RFC 2920 3.1: a group of commands is answered in order
begin auth
C> NOOP\r\nVRFY a\r\nRSET\r\nBDAT 4\r\nQUITNOOP\r\nHELP\r\nFOO\r\n
S: 250
S: 252
S: 250
S: 503
S: 250
S: 214
S: 500

== RFC 2920 3.1: DATA is the last of its group
begin auth
C: MAIL FROM:<anna@example.test>
S: 250
C: RCPT TO:<bob@example.test>
S: 250
C> DATA\r\nSubject: x\r\n\r\n.\r\n
S: 503 *Wait for 354*
E:

== RFC 2034 4: enhanced codes of the reply's class
begin auth
C: NOOP
S: 250 2.*.* *
C: FOO
S: 500 5.*.* *
C: MAIL FROM:<anna@example.test>
S: 250 2.*.* *
C: VRFY a
S: 252 2.*.* *

== RFC 4865 4: HOLDFOR and HOLDUNTIL, one of them, of 30 days at most
begin auth
C: MAIL FROM:<anna@example.test> HOLDFOR=60
S: 250
C: RSET
S: 250
C: MAIL FROM:<anna@example.test> HOLDUNTIL=2000-01-01T00:00:00Z
S: 250
C: RSET
S: 250
C: MAIL FROM:<anna@example.test> HOLDFOR=2592001
S: 501 5.5.4 *30 days*
C: MAIL FROM:<anna@example.test> HOLDUNTIL=9999-01-01T00:00:00Z
S: 501 5.5.4 *30 days*
C: MAIL FROM:<anna@example.test> HOLDUNTIL=tomorrow
S: 501
C: MAIL FROM:<anna@example.test> HOLDFOR=60 HOLDFOR=60
S: 501
C: MAIL FROM:<anna@example.test> HOLDFOR=60 HOLDUNTIL=2000-01-01T00:00:00Z
S: 501

== RFC 2852 4: BY, with R or N and perhaps T
begin auth
C: MAIL FROM:<anna@example.test> BY=60;R
S: 250
C: RSET
S: 250
C: MAIL FROM:<anna@example.test> BY=-60;NT
S: 250
C: RSET
S: 250
C: MAIL FROM:<anna@example.test> BY=0;R
S: 501
C: MAIL FROM:<anna@example.test> BY=60
S: 501
C: MAIL FROM:<anna@example.test> BY=9;R
S: 555 5.5.4 *10 s*

== RFC 6710 4.1: MT-PRIORITY; who may not raise it is told
begin auth
C: MAIL FROM:<anna@example.test> MT-PRIORITY=-3
S: 250 2.1.0 *
C: RSET
S: 250
C: MAIL FROM:<anna@example.test> MT-PRIORITY=3
S: 250 2.3.6 0 *
C: RSET
S: 250
C: MAIL FROM:<anna@example.test> MT-PRIORITY=10
S: 501

== RFC 8689 2: REQUIRETLS has no value
begin auth
C: MAIL FROM:<anna@example.test> REQUIRETLS
S: 250
C: RSET
S: 250
C: MAIL FROM:<anna@example.test> REQUIRETLS=1
S: 501

== RFC 3461 4.2, 4.4: what decodes to anything unprintable is no ENVID, no ORCPT
begin auth
C: MAIL FROM:<anna@example.test> ENVID=a+0D+0Ab
S: 501
C: MAIL FROM:<anna@example.test> ENVID=a+00
S: 501
C: MAIL FROM:<anna@example.test> ENVID=a+C3+A4
S: 501
C: MAIL FROM:<anna@example.test> ENVID=a+20b
S: 250
C: RCPT TO:<bob@example.test> ORCPT=rfc822;bob+0Ax@example.test
S: 501
C: RCPT TO:<bob@example.test> ORCPT=rfc822;bob+7Fx@example.test
S: 501
C: RCPT TO:<bob@example.test> ORCPT=utf-8;bob\x{0A}@example.test
S: 501
C: RCPT TO:<bob@example.test> ORCPT=rfc822;bob+2Bx@example.test
S: 250

== RFC 9422 4.1: LIMITS names how many recipients a message may have
begin tls
C: EHLO client.example.test
S: 250 *LIMITS RCPTMAX=150*

== RFC 1870 4: SIZE names the limit
begin tls
C: EHLO client.example.test
S: 250 *SIZE 1048576*

== RFC 4865 4: FUTURERELEASE names the longest hold
begin tls
C: EHLO client.example.test
S: 250 *FUTURERELEASE 2592000 *

== RFC 2852 3: DELIVERBY names the least time
begin tls
C: EHLO client.example.test
S: 250 *DELIVERBY 10*

== RFC 6710 3: MT-PRIORITY
begin tls
C: EHLO client.example.test
S: 250 *MT-PRIORITY*

== RFC 8689 2: REQUIRETLS is offered under TLS
begin tls
C: EHLO client.example.test
S: 250 *REQUIRETLS*
