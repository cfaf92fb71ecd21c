/*
 * send_server.h - a scripted SMTP server in a thread, at 127.0.0.1 and ::1.
 *
 * A script is a string of lines for the server:
 *	N	accept a connection, N4 and N6 by IPv4 and IPv6
 *	X	close it
 *	S text	send a line			R text	send it: | is CR LF, _ is LF
 *	C text	read a line, which begins so	B	read the content
 *	D n	read n octets (BDAT) behind the content
 *	Z	read nothing more, and wait until the client is gone
 */
#ifndef SUBMITD_TESTS_SEND_SERVER_H
#define SUBMITD_TESTS_SEND_SERVER_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct server {
	const char	*script;
	int		 listener, listener6, fd;
	uint16_t	 port;
	char		 in[65536];
	size_t		 len;
	char		 content[65536];
	char		 error[512];
	bool		 bytewise;	/* each octet is sent for itself */
	pthread_t	 thread;
};

extern struct server server;

void	server_open(const char *script, bool bytewise);
void	server_close(void);		/* server.error tells what was wrong */

#endif
