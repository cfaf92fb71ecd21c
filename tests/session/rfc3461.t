# RFC 3461: what a client may ask about reports.

== RFC 3461 4.1: NOTIFY
begin auth
C: MAIL FROM:<anna@example.test>
S: 250
C: RCPT TO:<bob@example.test> NOTIFY=NEVER
S: 250
C: RCPT TO:<bob@example.test> NOTIFY=success,Failure,DELAY
S: 250
C: RCPT TO:<bob@example.test> NOTIFY=NEVER,DELAY
S: 501
C: RCPT TO:<bob@example.test> NOTIFY=
S: 501
C: RCPT TO:<bob@example.test> NOTIFY=MAYBE
S: 501

== RFC 3461 4.2: ORCPT
begin auth
C: MAIL FROM:<anna@example.test>
S: 250
C: RCPT TO:<bob@example.test> ORCPT=rfc822;b+2Bob@example.test
S: 250
C: RCPT TO:<bob@example.test> ORCPT=rfc822;bob+0D+0A
S: 501
C: RCPT TO:<bob@example.test> ORCPT=rfc822;b+
S: 501
C: RCPT TO:<bob@example.test> ORCPT=bob
S: 501
C: RCPT TO:<bob@example.test> ORCPT=rfc822;${a*493}
S: 250
C: RCPT TO:<bob@example.test> ORCPT=rfc822;${a*494}
S: 501

== RFC 3461 4.3: RET
begin auth
C: MAIL FROM:<anna@example.test> RET=HDRS
S: 250
C: RSET
S: 250
C: MAIL FROM:<anna@example.test> RET=full
S: 250
C: RSET
S: 250
C: MAIL FROM:<anna@example.test> RET=BODY
S: 501
C: MAIL FROM:<anna@example.test> RET
S: 501

== RFC 3461 4.4: ENVID
begin auth
C: MAIL FROM:<anna@example.test> ENVID=QQ+3D314159
S: 250
C: RSET
S: 250
C: MAIL FROM:<anna@example.test> ENVID=
S: 501
C: MAIL FROM:<anna@example.test> ENVID=a+00
S: 501
C: MAIL FROM:<anna@example.test> ENVID=a=b
S: 501
C: MAIL FROM:<anna@example.test> ENVID=${a*100}
S: 250
C: RSET
S: 250
C: MAIL FROM:<anna@example.test> ENVID=${a*101}
S: 501
