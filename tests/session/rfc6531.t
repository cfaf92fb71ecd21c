# RFC 6531: SMTPUTF8.

== RFC 6531 3.4: SMTPUTF8 takes no value
begin auth
C: MAIL FROM:<anna@example.test> SMTPUTF8
S: 250
C: RSET
S: 250
C: MAIL FROM:<anna@example.test> SMTPUTF8=1
S: 501

== RFC 6531 3.5: UTF-8 without SMTPUTF8 is 553 5.6.7
begin auth
C: MAIL FROM:<änne@example.test>
S: 553 5.6.7 *
C: MAIL FROM:<anna@example.test>
S: 250
C: RCPT TO:<änne@example.test>
S: 553 5.6.7 *
C: RCPT TO:<bob@ä.test>
S: 553 5.6.7 *

== RFC 6531 3.3: UTF-8 in local part and domain
begin auth
C: MAIL FROM:<anna@example.test> SMTPUTF8
S: 250
C: RCPT TO:<frédé@elsewhere.test>
S: 250
C: RCPT TO:<friend@bücherei.test>
S: 250
C: RCPT TO:<"fré d"@elsewhere.test>
S: 250
C> RCPT TO:<fr\xe9d@elsewhere.test>\r\n
S: 501
C> RCPT TO:<a\xc2\x85b@elsewhere.test>\r\n
S: 501
C> RCPT TO:<a@\xe2\x80\x8b.test>\r\n
S: 501

== RFC 6531 3.3: U-label and A-label are one domain
begin auth
C: MAIL FROM:<anna@bÜcher.test> SMTPUTF8
S: 250
C: RSET
S: 250
C: MAIL FROM:<anna@xn--bcher-kva.test>
S: 250
C: RCPT TO:<bob@XN--bcher-kva.test>
S: 250
C: RSET
S: 250
C: MAIL FROM:<bob@bücher.test> SMTPUTF8
S: 553 5.7.1 *
