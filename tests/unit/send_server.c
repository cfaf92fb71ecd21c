/*
 * send_server.c - a scripted SMTP server in a thread. See send_server.h.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/send_server.h"

struct server server;

static void
server_error(const char *what, const char *line)
{
	if (server.error[0] == '\0')
		snprintf(server.error, sizeof(server.error), "%s: %.200s; "
		    "got %.200s", what, line, server.in);
}

static bool
server_fill(void)
{
	ssize_t n;

	if (server.len + 1 >= sizeof(server.in))
		return false;
	n = recv(server.fd, server.in + server.len,
	    sizeof(server.in) - 1 - server.len, 0);
	if (n <= 0)
		return false;
	server.len += (size_t)n;
	server.in[server.len] = '\0';
	return true;
}

static void
server_take(size_t n)
{
	memmove(server.in, server.in + n, server.len - n + 1);
	server.len -= n;
}

static bool
server_line(const char *want)
{
	char *end;

	while ((end = strstr(server.in, "\r\n")) == NULL)
		if (!server_fill())
			return false;
	if (strncmp(server.in, want, strlen(want)) != 0)
		return false;
	server_take((size_t)(end - server.in) + 2);
	return true;
}

static bool
server_content(void)
{
	char *end;

	for (;;) {
		if (strncmp(server.in, ".\r\n", 3) == 0) {
			end = server.in;
			break;
		}
		if ((end = strstr(server.in, "\r\n.\r\n")) != NULL) {
			end += 2;
			break;
		}
		if (!server_fill())
			return false;
	}
	memcpy(server.content, server.in, (size_t)(end - server.in));
	server.content[end - server.in] = '\0';
	server_take((size_t)(end - server.in) + 3);
	return true;
}

static bool
server_octets(size_t n)
{
	size_t had = strlen(server.content);

	while (server.len < n)
		if (!server_fill())
			return false;
	memcpy(server.content + had, server.in, n);
	server.content[had + n] = '\0';
	server_take(n);
	return true;
}

static void
server_write(const char *p, size_t len)
{
	if (!server.bytewise) {
		(void)!send(server.fd, p, len, MSG_NOSIGNAL);
		return;
	}
	for (size_t i = 0; i < len; i++) {
		(void)!send(server.fd, p + i, 1, MSG_NOSIGNAL);
		usleep(50);
	}
}

static void
server_accept(const char *line)
{
	struct timeval tv = { .tv_sec = 5 };
	struct pollfd p[2] = { { .fd = server.listener, .events = POLLIN },
		{ .fd = server.listener6, .events = POLLIN } };

	if (server.fd >= 0)
		close(server.fd);
	server.fd = -1;
	server.len = 0;
	server.in[0] = '\0';
	if (poll(p, 2, 5000) <= 0)
		return;
	if (line[1] == (p[0].revents ? '6' : '4'))
		server_error("wanted", line);
	server.fd = accept(p[0].revents ? server.listener : server.listener6,
	    NULL, NULL);
	setsockopt(server.fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
}

static void
server_raw(const char *p)
{
	char text[1024];
	size_t n = 0;

	for (; *p != '\0' && n + 2 < sizeof(text); p++) {
		if (*p == '|') {
			text[n++] = '\r';
			text[n++] = '\n';
		} else {
			text[n++] = *p == '_' ? '\n' : *p;
		}
	}
	server_write(text, n);
}

static void
server_step(const char *line)
{
	char text[1024];

	switch (line[0]) {
	case 'N':
		server_accept(line);
		break;
	case 'X':
		close(server.fd);
		server.fd = -1;
		break;
	case 'S':
		snprintf(text, sizeof(text), "%s\r\n", line + 2);
		server_write(text, strlen(text));
		break;
	case 'R':
		server_raw(line + 2);
		break;
	case 'C':
		if (!server_line(line + 2))
			server_error("wanted", line);
		break;
	case 'B':
		if (!server_content())
			server_error("wanted", "content");
		break;
	case 'D':
		if (!server_octets((size_t)atoi(line + 2)))
			server_error("wanted", line);
		break;
	case 'Z':
		while (server_fill())
			server_take(server.len);
		break;
	default:
		server_error("no such step", line);
	}
}

static void *
server_run(void *arg)
{
	char *script = strdup(server.script), *save = NULL;

	(void)arg;
	for (char *line = strtok_r(script, "\n", &save); line != NULL;
	    line = strtok_r(NULL, "\n", &save))
		server_step(line);
	if (server.fd >= 0) {
		/* The client says QUIT, or simply goes. */
		while (server_fill())
			server_take(server.len);
		close(server.fd);
	}
	free(script);
	return NULL;
}

/* The same port at ::1; none: there is no IPv6. */
static int
server_open6(void)
{
	struct sockaddr_in6 sin6 = { .sin6_family = AF_INET6,
		.sin6_addr = IN6ADDR_LOOPBACK_INIT,
		.sin6_port = htons(server.port) };
	int one = 1, fd = socket(AF_INET6, SOCK_STREAM, 0);

	if (fd < 0)
		return -1;
	setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&sin6, sizeof(sin6)) == 0 &&
	    listen(fd, 10) == 0)
		return fd;
	close(fd);
	return -1;
}

void
server_open(const char *script, bool bytewise)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_addr = { htonl(INADDR_LOOPBACK) } };
	struct timeval tv = { .tv_sec = 5 };
	socklen_t len = sizeof(sin);

	memset(&server, 0, sizeof(server));
	server.script = script;
	server.bytewise = bytewise;
	server.fd = -1;
	server.listener = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(server.listener, (struct sockaddr *)&sin, len),
	    0);
	assert_int_equal(listen(server.listener, 10), 0);
	setsockopt(server.listener, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	assert_int_equal(getsockname(server.listener, (struct sockaddr *)&sin,
	    &len), 0);
	server.port = ntohs(sin.sin_port);
	server.listener6 = server_open6();
	assert_int_equal(pthread_create(&server.thread, NULL, server_run, NULL),
	    0);
}

void
server_close(void)
{
	shutdown(server.listener, SHUT_RDWR);
	if (server.listener6 >= 0)
		shutdown(server.listener6, SHUT_RDWR);
	pthread_join(server.thread, NULL);
	close(server.listener);
	if (server.listener6 >= 0)
		close(server.listener6);
	if (server.error[0] != '\0')
		print_error("server: %s\n", server.error);
}
