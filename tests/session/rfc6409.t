# RFC 6409: submission.

== RFC 6409 4.3: MAIL needs authorisation
begin ehlo
C: MAIL FROM:<anna@example.test>
S: 530 5.7.0 *
C: MAIL FROM:<>
S: 530
C: RCPT TO:<bob@example.test>
S: 503
C: DATA
S: 503

== RFC 6409 4.2: domains are fully qualified, or 554
begin auth
C: MAIL FROM:<anna@localhost>
S: 554
C: MAIL FROM:<anna@mail>
S: 554
C: MAIL FROM:<anna@example.test>
S: 250
C: RCPT TO:<bob@localhost>
S: 554

== RFC 6409 3.2: the null return path is no cause to refuse
begin auth
C: MAIL FROM:<>
S: 250
C: RCPT TO:<bob@example.test>
S: 250

== RFC 6409 4.1: 554 where nothing more exact fits
begin auth
C: MAIL FROM:<anna@example.test>
S: 250
C: RCPT TO:<nobody@example.test>
S: 550
C: DATA
S: 554 5.5.1 *

== RFC 6409 5.1: 501 for bad syntax of an address
begin auth
C: MAIL FROM:<anna@@example.test>
S: 501 5.1.7 *
C: MAIL FROM:<anna@example.test>
S: 250
C: RCPT TO:<bob
S: 501 5.1.3 *

== RFC 6409 6.1: a sender that is not this user's
begin auth
C: MAIL FROM:<bob@example.test>
S: 553 5.7.1 *
C: MAIL FROM:<x@elsewhere.test>
S: 553 5.7.1 *
C: MAIL FROM:<anna@example.test>
S: 250

== RFC 6409 6.2: a recipient that nobody is
begin auth
C: MAIL FROM:<anna@example.test>
S: 250
C: RCPT TO:<nobody@example.test>
S: 550 5.1.1 *

== RFC 6409 7: ETRN, ATRN and 521 are not here
begin auth
C: ETRN example.test
S: 502
C: ATRN example.test
S: 502
C: TURN
S: 502
