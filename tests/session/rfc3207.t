# RFC 3207: STARTTLS; RFC 8314.

== RFC 3207 4: STARTTLS takes no argument
begin clear
C: STARTTLS now
S: 501
C: NOOP
S: 250

== RFC 3207 4: before TLS all but NOOP EHLO STARTTLS QUIT is 530
begin clear
C: NOOP
S: 250
C: EHLO b.test
S: 250
C: MAIL FROM:<anna@example.test>
S: 530 5.7.0 Must issue a STARTTLS command first*
C: RCPT TO:<bob@example.test>
S: 530 5.7.0 Must issue a STARTTLS command first*
C: DATA
S: 530 5.7.0 Must issue a STARTTLS command first*
C: VRFY a
S: 530 5.7.0 Must issue a STARTTLS command first*
C: EXPN a
S: 530 5.7.0 Must issue a STARTTLS command first*
C: HELP
S: 530 5.7.0 Must issue a STARTTLS command first*
C: RSET
S: 530 5.7.0 Must issue a STARTTLS command first*

== RFC 3207 4: before TLS AUTH is 530, and QUIT works
begin clear
C: AUTH PLAIN AGFubmEAYQ==
S: 530 5.7.0 Must issue a STARTTLS command first*
C: BDAT 0 LAST
S: 530 5.7.0 Must issue a STARTTLS command first*
C: QUIT
S: 221

== RFC 3207 4: STARTTLS is the last of its group
begin clear
C> STARTTLS\r\nNOOP\r\n
S: 503
E:

== RFC 3207 4.2: no STARTTLS under TLS
begin ehlo
C: STARTTLS
S: 503
C: NOOP
S: 250

== RFC 8314 3.3: nor where TLS came first
begin tls
C: EHLO b.test
S: 250 !*STARTTLS*
C: STARTTLS
S: 503
