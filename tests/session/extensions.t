# The small extensions, and those that wait for their delivery side.

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

== RFC 8689 2: REQUIRETLS is not offered before delivery obeys it
begin auth
C: MAIL FROM:<anna@example.test> REQUIRETLS
S: 555

== RFC 4865 4: nor FUTURERELEASE, DELIVERBY, MT-PRIORITY
begin auth
C: MAIL FROM:<anna@example.test> HOLDFOR=60
S: 555
C: MAIL FROM:<anna@example.test> BY=60;R
S: 555
C: MAIL FROM:<anna@example.test> MT-PRIORITY=3
S: 555

== RFC 9422 4.1: LIMITS names how many recipients a message may have
begin tls
C: EHLO client.example.test
S: 250 *LIMITS RCPTMAX=150*

== RFC 1870 4: SIZE names the limit
begin tls
C: EHLO client.example.test
S: 250 *SIZE 1048576*

== RFC 8689 2: none that waits for its delivery side is offered
begin tls
C: EHLO client.example.test
S: 250 !*REQUIRETLS*
C: EHLO client.example.test
S: 250 !*FUTURERELEASE*
C: EHLO client.example.test
S: 250 !*DELIVERBY*
C: EHLO client.example.test
S: 250 !*MT-PRIORITY*
