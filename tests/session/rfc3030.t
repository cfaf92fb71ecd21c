# RFC 3030: BDAT.

== RFC 3030 2: chunks
begin auth
C: MAIL FROM:<anna@example.test>
S: 250
C: RCPT TO:<bob@example.test>
S: 250
C> BDAT 12\r\nSubject: a\r\n
S: 250 2.0.0 *12*
C> BDAT 5 LAST\r\n\r\n.\r\n
S: 250 2.0.0 queued as *

== RFC 3030 2: BDAT 0 LAST, and no DATA between chunks
begin auth
C: MAIL FROM:<anna@example.test>
S: 250
C: RCPT TO:<bob@example.test>
S: 250
C> BDAT 3\r\na\r\n
S: 250
C: DATA
S: 503
C: MAIL FROM:<anna@example.test>
S: 503
C: RCPT TO:<bob@example.test>
S: 503
C: BDAT 0 LAST
S: 250

== RFC 3030 2: RSET within
begin auth
C: MAIL FROM:<anna@example.test>
S: 250
C: RCPT TO:<bob@example.test>
S: 250
C> BDAT 3\r\na\r\n
S: 250
C: RSET
S: 250
C> BDAT 4 LAST\r\nQUIT
S: 503
C: NOOP
S: 250

== RFC 3030 2: octets of a refused chunk never run
begin auth
C> BDAT 18 LAST\r\nQUIT\r\nQUIT\r\nQUIT\r\n
S: 503
C: NOOP
S: 250

== RFC 3030 2: no chunk without a number
begin auth
C: MAIL FROM:<anna@example.test>
S: 250
C: RCPT TO:<bob@example.test>
S: 250
C: BDAT LAST
S: 501
E:

== RFC 3030 2: no chunk that overflows
begin auth
C: MAIL FROM:<anna@example.test>
S: 250
C: RCPT TO:<bob@example.test>
S: 250
C: BDAT 18446744073709551616 LAST
S: 501
E:

== RFC 3030 3: BINARYMIME is not here: bare CR, LF, NUL are refused
begin auth
C: MAIL FROM:<anna@example.test>
S: 250
C: RCPT TO:<bob@example.test>
S: 250
C> BDAT 4\r\na\nb\x00
S: 550 5.6.0 *
C: BDAT 0 LAST
S: 503
C: MAIL FROM:<anna@example.test>
S: 250
C: RCPT TO:<bob@example.test>
S: 250
C> BDAT 3 LAST\r\na\rb
S: 550

== RFC 3030 2: a CR LF cut by two chunks is one
begin auth
C: MAIL FROM:<anna@example.test>
S: 250
C: RCPT TO:<bob@example.test>
S: 250
C> BDAT 2\r\na\r
S: 250
C> BDAT 1 LAST\r\n\n
S: 250
