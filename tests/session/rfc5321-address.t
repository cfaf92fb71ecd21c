# RFC 5321 4.1.2 and 4.1.3, RFC 6531 3.3: which mailboxes there are. Those of
# elsewhere.test go to the next hop, whatever stands before the "@".

== RFC 5321 4.1.2: dot-strings
begin auth
C: MAIL FROM:<anna@example.test>
S: 250
C: RCPT TO:<a@elsewhere.test>
S: 250
C: RCPT TO:<a.b.c@elsewhere.test>
S: 250
C: RCPT TO:<!#$%&'*+-/=?^_`{|}~@elsewhere.test>
S: 250
C: RCPT TO:<0@elsewhere.test>
S: 250
C: RCPT TO:<.a@elsewhere.test>
S: 501 5.1.3 *
C: RCPT TO:<a.@elsewhere.test>
S: 501 5.1.3 *
C: RCPT TO:<a..b@elsewhere.test>
S: 501 5.1.3 *
C: RCPT TO:<a b@elsewhere.test>
S: 501 5.1.3 *
C: RCPT TO:<a,b@elsewhere.test>
S: 501 5.1.3 *
C: RCPT TO:<a(b)@elsewhere.test>
S: 501 5.1.3 *
C: RCPT TO:<a;b@elsewhere.test>
S: 501 5.1.3 *
C: RCPT TO:<a\b@elsewhere.test>
S: 501 5.1.3 *

== RFC 5321 4.1.2: quoted strings
begin auth
C: MAIL FROM:<anna@example.test>
S: 250
C: RCPT TO:<"a b"@elsewhere.test>
S: 250
C: RCPT TO:<"a\"b"@elsewhere.test>
S: 250
C: RCPT TO:<"a\\b"@elsewhere.test>
S: 250
C: RCPT TO:<"a@b"@elsewhere.test>
S: 250
C: RCPT TO:<"<>"@elsewhere.test>
S: 250
C: RCPT TO:<".a..b."@elsewhere.test>
S: 250
C: RCPT TO:<"a"b@elsewhere.test>
S: 501 5.1.3 *
C: RCPT TO:<a"b"@elsewhere.test>
S: 501 5.1.3 *
C: RCPT TO:<"a"."b"@elsewhere.test>
S: 501 5.1.3 *
C: RCPT TO:<"a@elsewhere.test>
S: 501 5.1.3 *
C> RCPT TO:<"a\tb"@elsewhere.test>\r\n
S: 501 5.1.3 *
C> RCPT TO:<"a\\\x07b"@elsewhere.test>\r\n
S: 501 5.1.3 *

== RFC 5321 4.1.2: domains
begin auth
C: MAIL FROM:<anna@example.test>
S: 250
C: RCPT TO:<a@b-c.d1.elsewhere.test>
S: 250
C: RCPT TO:<a@1.elsewhere.test>
S: 250
C: RCPT TO:<a@ELSEWHERE.TEST>
S: 250
C: RCPT TO:<a@${x*63}.elsewhere.test>
S: 250
C: RCPT TO:<a@${x*64}.elsewhere.test>
S: 501 5.1.3 *
C: RCPT TO:<a@-x.elsewhere.test>
S: 501 5.1.3 *
C: RCPT TO:<a@x-.elsewhere.test>
S: 501 5.1.3 *
C: RCPT TO:<a@x..elsewhere.test>
S: 501 5.1.3 *
C: RCPT TO:<a@.elsewhere.test>
S: 501 5.1.3 *
C: RCPT TO:<a@elsewhere.test.>
S: 501 5.1.3 *
C: RCPT TO:<a@else_where.test>
S: 501 5.1.3 *
C: RCPT TO:<a@else where.test>
S: 501 5.1.3 *
C: RCPT TO:<a@>
S: 501 5.1.3 *

== RFC 5321 4.1.3: address literals
begin auth
C: MAIL FROM:<anna@example.test>
S: 250
C: RCPT TO:<a@[192.0.2.1]>
S: 250
C: RCPT TO:<a@[IPv6:2001:db8::1]>
S: 250
C: RCPT TO:<a@[IPv6:::ffff:192.0.2.1]>
S: 250
C: RCPT TO:<a@[300.0.2.1]>
S: 501 5.1.3 *
C: RCPT TO:<a@[192.0.2]>
S: 501 5.1.3 *
C: RCPT TO:<a@[192.0.2.1>
S: 501 5.1.3 *
C: RCPT TO:<a@[2001:db8::1]>
S: 501 5.1.3 *
C: RCPT TO:<a@[IPv6:192.0.2.1]>
S: 501 5.1.3 *
C: RCPT TO:<a@[IPv6:1:2:3]>
S: 501 5.1.3 *
C: RCPT TO:<a@[X-tag:what]>
S: 501 5.1.3 *
C: RCPT TO:<a@[192.0.2.1].test>
S: 501 5.1.3 *
C: RCPT TO:<a@192.0.2.1]>
S: 501 5.1.3 *

== RFC 5321 4.1.2: a path is a path
begin auth
C: MAIL FROM:<anna@example.test>
S: 250
C: RCPT TO:a@elsewhere.test
S: 501
C: RCPT TO:<a@elsewhere.test
S: 501
C: RCPT TO:<<a@elsewhere.test>>
S: 501
C: RCPT TO:<a@elsewhere.test>,<b@elsewhere.test>
S: 501
C: RCPT TO:<a@elsewhere.test>x
S: 501
C: RCPT TO:"A. Friend" <a@elsewhere.test>
S: 501
C: RCPT TO:<a@elsewhere.test> (comment)
S: 501|555
C: RCPT <a@elsewhere.test>
S: 501
C> RCPT TO:<a@elsewhere.test\x00>\r\n
S: 500|501

== RFC 5321 4.1.1.2: spaces that clients send are taken
begin auth
C> MAIL FROM:   <anna@example.test>   \r\n
S: 250
C> RCPT TO: <a@elsewhere.test>  \r\n
S: 250
C> RCPT  TO:<b@elsewhere.test>\r\n
S: 250
C> RCPT TO:<c@elsewhere.test>  NOTIFY=NEVER  \t\r\n
S: 250
C> NOOP   \r\n
S: 250
C> RCPT TO :<d@elsewhere.test>\r\n
S: 501

== RFC 6409 4.2: one label is not fully qualified
begin auth
C: MAIL FROM:<anna@example.test>
S: 250
C: RCPT TO:<a@elsewhere>
S: 554 5.1.2 *
C: RCPT TO:<"a b"@elsewhere>
S: 554 5.1.2 *
C: RCPT TO:<@x.test:a@elsewhere>
S: 554 5.1.2 *
C: RCPT TO:<a>
S: 501 5.1.3 *
C: RCPT TO:<postmaster@localhost>
S: 554 5.1.2 *

== RFC 5321 appendix C: source routes are read and not obeyed
begin auth
C: MAIL FROM:<@x.test:anna@example.test>
S: 250
C: RCPT TO:<@elsewhere.test:bob@example.test>
S: 250
C: RCPT TO:<@elsewhere.test,@[192.0.2.1]:bob@example.test>
S: 250
C: RCPT TO:<@elsewhere.test:nobody@example.test>
S: 550 5.1.1 *
C: RCPT TO:<@elsewhere.test>
S: 501
C: RCPT TO:<@elsewhere.test:>
S: 501
C: RCPT TO:<@elsewhere.test:@b.test:bob@example.test>
S: 501
C: RCPT TO:<@x,bob@example.test>
S: 501
C: RCPT TO:<@-x.test:bob@example.test>
S: 501

== RFC 5321 7.7: no percent hack, no bang path, however it is quoted
begin auth
C: MAIL FROM:<anna@example.test>
S: 250
C: RCPT TO:<friend%elsewhere.test@example.test>
S: 550 5.1.1 *
C: RCPT TO:<"friend%elsewhere.test"@example.test>
S: 550 5.1.1 *
C: RCPT TO:<"friend@elsewhere.test"@example.test>
S: 550 5.1.1 *
C: RCPT TO:<friend@elsewhere.test@example.test>
S: 501
C: RCPT TO:<elsewhere.test!friend@example.test>
S: 550 5.1.1 *
C: RCPT TO:<"elsewhere.test!friend"@example.test>
S: 550 5.1.1 *
C: RCPT TO:<@example.test:friend%elsewhere.test@example.test>
S: 550 5.1.1 *
C: RCPT TO:<elsewhere.test!friend>
S: 501
C: RCPT TO:<friend%elsewhere.test>
S: 501

== RFC 6531 3.3: UTF-8 mailboxes
begin auth
C: MAIL FROM:<anna@example.test> SMTPUTF8
S: 250
C: RCPT TO:<δοκιμή@παράδειγμα.test>
S: 250
C: RCPT TO:<用户@例え.test>
S: 250
C: RCPT TO:<"ö ö"@elsewhere.test>
S: 250
C: RCPT TO:<a.ö@elsewhere.test>
S: 250
C: RCPT TO:<.ö@elsewhere.test>
S: 501
C: RCPT TO:<ö ö@elsewhere.test>
S: 501
C> RCPT TO:<\xc3@elsewhere.test>\r\n
S: 501
C> RCPT TO:<\xed\xa0\x80@elsewhere.test>\r\n
S: 501
C> RCPT TO:<\xc0\xaf@elsewhere.test>\r\n
S: 501
C: RCPT TO:<a@ö>
S: 554

== RFC 6531 3.7.4.1: a reply holds UTF-8 once MAIL said SMTPUTF8
begin auth
C: MAIL FROM:<anna@example.test> SMTPUTF8
S: 250
C: RCPT TO:<nö@example.test>
S: 550 5.1.1 No such user here: nÃ¶@example.test*
C: RSET
S: 250
C: MAIL FROM:<anna@example.test>
S: 250
C: RCPT TO:<nö@example.test>
S: 553 !*Ã*
