# RFC 5321: SMTP.

== RFC 5321 4.5.1: the commands that must be there
begin auth
C: EHLO b.test
S: 250
C: HELO b.test
S: 250
C: NOOP
S: 250
C: NOOP with a string
S: 250
C: RSET
S: 250
C: VRFY bob
S: 252
C: HELP
S: 214
C: MAIL FROM:<anna@example.test>
S: 250
C: RCPT TO:<bob@example.test>
S: 250
C: RSET
S: 250
C: QUIT
S: 221
E:

== RFC 5321 4.5.1: postmaster has no domain
begin auth
C: MAIL FROM:<anna@example.test>
S: 250
C: RCPT TO:<postmaster>
S: 250
C: RCPT TO:<PostMaster@example.test>
S: 250

== RFC 5321 4.1.1.8: HELP about one command
begin auth
C: HELP mail
S: 214 2.0.0 MAIL FROM:<address> *SIZE=octets*
C: HELP HELP
S: 214 2.0.0 HELP *
C: HELP XCLIENT
S: 504 5.5.4 *
C: HELP me please
S: 504 5.5.4 *
C: NOOP
S: 250

== RFC 5321 7.3: VRFY and EXPN are 252, whoever it is
begin auth
C: VRFY bob@example.test
S: 252 2.0.0 Cannot say*
C: VRFY nobody@example.test
S: 252 2.0.0 Cannot say*
C: EXPN staff
S: 252 2.0.0 Cannot say*
C: EXPN
S: 501

== RFC 5321 2.4: commands in any case
begin auth
C: mAiL fRoM:<anna@example.test> sIzE=1
S: 250
C: rcpt to:<bob@example.test>
S: 250
C: rset
S: 250

== RFC 5321 2.3.8: a line ends with CR LF and nothing else
begin auth
C> MAIL FROM:<anna@example.test>\rRCPT TO:<bob@example.test>\r\n
S: 500
C: RCPT TO:<bob@example.test>
S: 503

== RFC 5321 4.1.1: arguments where none belong, and none where they do
begin auth
C: DATA x
S: 501
C: RSET x
S: 501
C: QUIT x
S: 501
C: EHLO
S: 501
C: HELO
S: 501
C: VRFY
S: 501

== RFC 5321 4.1.1.1: an EHLO name of any kind
begin tls
C: EHLO my own pc
S: 250
C: EHLO [127.0.0.1]
S: 250
C: EHLO [IPv6:::1]
S: 250
C: EHLO 1.2.3.4
S: 250
C: EHLO _
S: 250
C> EHLO b\xfcro\r\n
S: 250
C: EHLO ${x*255}
S: 250
C: EHLO ${x*256}
S: 501
C> EHLO a\x01b\r\n
S: 501
C> EHLO a\tb\r\n
S: 501
C: HELO my own pc
S: 250

== RFC 5321 4.1.1.5: RSET and its transaction
begin auth
C: MAIL FROM:<anna@example.test>
S: 250
C: RCPT TO:<bob@example.test>
S: 250
C: RSET
S: 250
C: DATA
S: 503
C: RCPT TO:<bob@example.test>
S: 503

== RFC 5321 4.1.4: EHLO resets, whatever it is called
begin auth
C: MAIL FROM:<anna@example.test>
S: 250
C: RCPT TO:<bob@example.test>
S: 250
C: EHLO another.test
S: 250
C: DATA
S: 503
C: MAIL FROM:<anna@example.test>
S: 250

== RFC 5321 4.1.4: order of commands
begin auth
C: RCPT TO:<bob@example.test>
S: 503
C: DATA
S: 503
C: BDAT 0 LAST
S: 503
C: MAIL FROM:<anna@example.test>
S: 250
C: MAIL FROM:<anna@example.test>
S: 503
C: DATA
S: 503

== RFC 5321 3.3: no MAIL before EHLO
begin tls
C: MAIL FROM:<anna@example.test>
S: 503

== RFC 5321 4.1.2: paths: quoted, literal, routes, spaces
begin auth
C> MAIL FROM: <anna@example.test> \r\n
S: 250
C: RSET
S: 250
C: MAIL FROM:<@a.test,@b.test:anna@example.test>
S: 250
C: RCPT TO:<"bob"@example.test>
S: 250
C: RCPT TO:<"b\ob"@EXAMPLE.test>
S: 250
C> RCPT TO:  <bob@example.test>  \r\n
S: 250
C: RCPT TO:<bob@example.test>x
S: 501
C: RCPT TO:<bob @example.test>
S: 501
C: RCPT TO:bob@example.test
S: 501
C: RCPT TO:<>
S: 501
C: RCPT TO:<bob@[127.0.0.1>
S: 501
C: RCPT TO:<bob@[999.0.0.1]>
S: 501

== RFC 5321 7.7: no percent hack, no bang path
begin auth
C: MAIL FROM:<anna@example.test>
S: 250
C: RCPT TO:<friend%elsewhere.test@example.test>
S: 550
C: RCPT TO:<elsewhere.test!friend@example.test>
S: 550

== RFC 5321 4.5.3.1.1: a local part of 64 octets and no more
begin auth
C: MAIL FROM:<anna@example.test>
S: 250
C: RCPT TO:<${a*64}@elsewhere.test>
S: 250
C: RCPT TO:<${a*65}@elsewhere.test>
S: 501

== RFC 5321 4.5.3.1.3: a path of 256 octets and no more
begin auth
C: MAIL FROM:<anna@example.test>
S: 250
C: RCPT TO:<abcde@${d*60}.${d*60}.${d*60}.${d*60}.test>
S: 250
C: RCPT TO:<abcdef@${d*60}.${d*60}.${d*60}.${d*60}.test>
S: 501

== RFC 5321 4.5.3.1.4: a command line of 512 octets
begin auth
C: NOOP ${x*505}
S: 250
C: NOOP ${x*506}
S: 500
C: NOOP
S: 250

== RFC 5321 4.1.1.11: unknown and doubled parameters
begin auth
C: MAIL FROM:<anna@example.test> FOO=1
S: 555 5.5.4 Unknown parameter: FOO
C: MAIL FROM:<anna@example.test> BODY=7BIT BODY=7BIT
S: 501 5.5.4 Parameter given twice: BODY
C: MAIL FROM:<anna@example.test> BODY=9BIT
S: 501 5.5.4 Bad value of parameter BODY
C: MAIL FROM:<anna@example.test>
S: 250
C: RCPT TO:<bob@example.test> FOO
S: 555 5.5.4 Unknown parameter: FOO
