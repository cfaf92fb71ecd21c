# RFC 4954: AUTH.

== RFC 4954 5: AUTH= on MAIL is taken, and believed of nobody
begin auth
C: MAIL FROM:<anna@example.test> AUTH=<>
S: 250
C: RSET
S: 250
C: MAIL FROM:<anna@example.test> AUTH=bob+2Bx@example.test
S: 250
C: RSET
S: 250
C: MAIL FROM:<anna@example.test> AUTH=a+2
S: 501

== RFC 4954 6: without AUTH only some commands, not 530
begin ehlo
C: NOOP
S: 250
C: RSET
S: 250
C: EHLO b.test
S: 250
C: AUTH
S: 501
C: QUIT
S: 221

== RFC 4954 4: PLAIN with and without an initial response
begin ehlo
C: AUTH PLAIN
S: 334
C: ${plain ,anna@example.test,}
S: 235 2.7.0 *
C: MAIL FROM:<anna@example.test>
S: 250

== RFC 4954 4: one successful AUTH a session
begin ehlo
C: AUTH PLAIN ${plain ,anna@example.test,}
S: 235 2.7.0 *
C: AUTH PLAIN ${plain ,anna@example.test,}
S: 503 5.5.1 *
C: EHLO b.test
S: 250
C: AUTH LOGIN
S: 503 5.5.1 *

== RFC 4954 4: no AUTH inside a transaction
begin auth
C: MAIL FROM:<anna@example.test>
S: 250
C: AUTH PLAIN ${plain ,anna@example.test,}
S: 503 5.5.1 *

== RFC 4954 4: no AUTH inside a transaction of a client that has not logged in
begin ehlo
C: MAIL FROM:<anna@example.test>
S: 530
C: AUTH PLAIN ${plain ,anna@example.test,}
S: 235

== RFC 4954 4: a challenge is base64 alone, LOGIN's two are known by heart
begin ehlo
C: AUTH LOGIN
S: 334 VXNlcm5hbWU6
C: ${b64 anna@example.test}
S: 334 UGFzc3dvcmQ6
C: *
S: 501 5.0.0 *
C: AUTH LOGIN ${b64 anna@example.test}
S: 334 UGFzc3dvcmQ6
C: ${b64 wrong}
S: 535 5.7.8 *

== RFC 4954 4: a star cancels
begin ehlo
C: AUTH PLAIN
S: 334
C: *
S: 501 5.0.0 *
C: NOOP
S: 250
C: AUTH PLAIN ${plain ,anna@example.test,}
S: 235

== RFC 4954 4: what is no base64 is 501
begin ehlo
C: AUTH PLAIN !!!!
S: 501 5.5.2 *
C: AUTH PLAIN YQ
S: 501 5.5.2 *
C: AUTH PLAIN YQ==YQ==
S: 501 5.5.2 *
C: AUTH PLAIN Y=Q=
S: 501 5.5.2 *
C: AUTH PLAIN
S: 334
C: YWJj YWJj
S: 501 5.5.2 *
C: AUTH PLAIN
S: 334
C: =
S: 501 5.5.2 *

== RFC 4954 4: an equals sign is an empty initial response
begin ehlo
C: AUTH PLAIN =
S: 501|535

== RFC 4954 4: unknown mechanisms are 504
begin ehlo
C: AUTH GSSAPI
S: 504 5.5.4 *
C: AUTH PLAI
S: 504 5.5.4 *
C: AUTH plain*
S: 504 5.5.4 *
C: AUTH ANONYMOUS
S: 504 5.5.4 *
C: AUTH APOP
S: 504 5.5.4 *

== RFC 4954 4: lines of 12288 octets within an exchange
begin ehlo
C: AUTH PLAIN
S: 334
C: ${A*12287}
S: 500 5.5.6 *
C: AUTH PLAIN
S: 334
C: ${A*12284}
S: 501|535
C: NOOP
S: 250

== RFC 4954 4: a wrong password is 535, whoever it is
begin ehlo
C: AUTH PLAIN ${plain ,anna@example.test,wrong}
S: 535 5.7.8 *
C: AUTH PLAIN ${plain ,nobody@example.test,wrong}
S: 535 5.7.8 *

== RFC 4954 9: no end before the third failed attempt
begin ehlo
C: AUTH PLAIN ${plain ,anna@example.test,wrong}
S: 535
C: AUTH PLAIN ${plain ,anna@example.test,wrong}
S: 535
C: AUTH PLAIN ${plain ,anna@example.test,wrong}
S: 535
C: AUTH PLAIN ${plain ,anna@example.test,}
S: 235

== RFC 4954 4: one's own authzid, and no other
begin ehlo
C: AUTH PLAIN ${plain bob@example.test,anna@example.test,}
S: 535 5.7.8 *
C: AUTH PLAIN ${plain anna@example.test,anna@example.test,}
S: 235

== RFC 4954 4: an authzid that no preparation takes
begin ehlo
C: AUTH PLAIN ww==
S: 501|535
C: AUTH PLAIN ${plain ­,anna@example.test,}
S: 535

== RFC 4954 4: AUTH is the last of its group
begin ehlo
C> AUTH PLAIN\r\nNOOP\r\n
S: 503 5.5.1 Wait for the challenge*
E:

== RFC 4954 4: but for one round with an initial response
begin ehlo
C> AUTH PLAIN ${plain ,anna@example.test,}\r\nNOOP\r\nMAIL FROM:<anna@example.test>\r\n
S: 235
S: 250 2.0.0 *
S: 250 2.1.0 *

== RFC 4954 6: 530 is for what needs a login
begin ehlo
C: MAIL FROM:<anna@example.test>
S: 530 5.7.0 Authentication required*
C: MAIL FROM:<>
S: 530 5.7.0 *

== RFC 4954 4: AUTH in clear is not to be had
begin clear
C: AUTH PLAIN ${plain ,anna@example.test,}
S: 530 5.7.0 Must issue a STARTTLS command first*
C: AUTH LOGIN
S: 530 5.7.0 *

== RFC 4954 4: nor is it advertised in clear
begin banner
C: EHLO client.example.test
S: 250 !*AUTH*
