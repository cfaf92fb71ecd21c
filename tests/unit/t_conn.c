/*
 * t_conn.c - a connection in clear and under TLS, both ends in one loop: order
 * and content, the upgrade, octets put behind STARTTLS, back-pressure, the end.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "lib/conn.h"

#define IN_MAX 65536u

struct end {
	struct conn	*conn;
	struct world	*world;
	size_t		 got;
	uint32_t	 sum;		/* of the octets, by position */
	bool		 secured, connected;
	bool		 quits;		/* answers the first octets with BYE */
	bool		 answers;	/* each octet, unless output is full */
	char		 why[160];
};

struct world {
	struct loop	*loop;
	struct end	 server, client;
	SSL_CTX		*server_ctx, *client_ctx;
	size_t		 want;		/* stop when the server got so many */
	int		 secured_want;
};

static void
end_answer(struct end *e)
{
	static const uint8_t answer[100];
	struct buf *b = conn_input(e->conn);

	while (buf_len(b) > 0 && !conn_is_full(e->conn)) {
		assert_int_equal(conn_write(e->conn, answer, sizeof answer), 0);
		buf_consume(b, 1);
	}
}

static void
end_drained(void *ctx)
{
	struct end *e = ctx;

	if (e->answers && e->conn != NULL && buf_len(conn_input(e->conn)) > 0)
		conn_kick(e->conn);
}

static void
end_input(void *ctx)
{
	struct end *e = ctx;
	struct buf *b = conn_input(e->conn);

	if (e->answers) {
		end_answer(e);
		return;
	}
	for (size_t i = 0; i < buf_len(b); i++)
		e->sum = e->sum * 31 + buf_data(b)[i];
	e->got += buf_len(b);
	buf_consume(b, buf_len(b));
	if (e->quits) {
		conn_write(e->conn, "BYE\r\n", 5);
		conn_close(e->conn, true);
		e->conn = NULL;
		return;
	}
	if (e == &e->world->server && e->got >= e->world->want)
		loop_stop(e->world->loop);
}

static void
end_secured(void *ctx)
{
	struct end *e = ctx;

	e->secured = true;
	if (--e->world->secured_want == 0)
		loop_stop(e->world->loop);
}

static void
end_connected(void *ctx)
{
	struct end *e = ctx;

	e->connected = true;
	loop_stop(e->world->loop);
}

static void
end_gone(void *ctx, const char *why)
{
	struct end *e = ctx;

	snprintf(e->why, sizeof e->why, "%s", why);
	conn_close(e->conn, e->answers);
	e->conn = NULL;
	loop_stop(e->world->loop);
}

static const struct conn_ops ops = {
	.input = end_input, .drained = end_drained, .secured = end_secured,
	.connected = end_connected, .gone = end_gone,
};

static void
make_pair(struct tls_pair *p)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = X509_new();
	BIO *c = BIO_new(BIO_s_mem()), *k = BIO_new(BIO_s_mem());
	char *text;
	long n;

	X509_set_version(cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
	X509_gmtime_adj(X509_getm_notBefore(cert), -60);
	X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN",
	    MBSTRING_ASC, (const unsigned char *)"localhost", -1, -1, 0);
	X509_set_issuer_name(cert, X509_get_subject_name(cert));
	X509_set_pubkey(cert, key);
	assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
	PEM_write_bio_X509(c, cert);
	PEM_write_bio_PrivateKey(k, key, NULL, NULL, 0, NULL, NULL);
	n = BIO_get_mem_data(c, &text);
	p->cert = strndup(text, (size_t)n);
	n = BIO_get_mem_data(k, &text);
	p->key = strndup(text, (size_t)n);
	BIO_free(c);
	BIO_free(k);
	X509_free(cert);
	EVP_PKEY_free(key);
}

static void
connect_ends(struct world *w)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof sin;
	int ls = socket(AF_INET, SOCK_STREAM, 0), fd;
	struct addr to;
	struct err e;

	assert_int_equal(bind(ls, (struct sockaddr *)&sin, len), 0);
	assert_int_equal(listen(ls, 1), 0);
	getsockname(ls, (struct sockaddr *)&sin, &len);
	addr_from_sockaddr((struct sockaddr *)&sin, &to);
	w->client.conn = conn_connect(w->loop, &to, 65536, &ops, &w->client,
	    &e);
	assert_non_null(w->client.conn);
	fd = accept4(ls, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	close(ls);
	w->server.conn = conn_new(w->loop, fd, IN_MAX, &ops, &w->server);
	assert_non_null(w->server.conn);
	loop_run(w->loop);
	assert_true(w->client.connected);
}

static int
setup(void **state)
{
	struct world *w = calloc(1, sizeof *w);
	struct tls_pair pair;
	struct err e;

	w->loop = loop_new();
	w->server.world = w->client.world = w;
	w->want = SIZE_MAX;
	make_pair(&pair);
	assert_int_equal(tls_server_ctx(&(struct tls_server_params){
	    .pairs = &pair, .n_pairs = 1, .context_id = "test" },
	    &w->server_ctx, &e),
	    0);
	assert_int_equal(tls_client_ctx(&w->client_ctx, &e), 0);
	tls_pair_free(&pair);
	connect_ends(w);
	*state = w;
	return 0;
}

static void
stop(void *ctx)
{
	loop_stop(ctx);
}

/* Lets both ends go before the loop does. */
static int
teardown(void **state)
{
	struct world *w = *state;
	struct timer t;

	if (w->server.conn != NULL)
		conn_close(w->server.conn, false);
	if (w->client.conn != NULL)
		conn_close(w->client.conn, false);
	assert_int_equal(timer_init(&t, w->loop, stop, w->loop), 0);
	timer_arm(&t, 50);
	loop_run(w->loop);
	timer_free(&t);
	loop_free(w->loop);
	SSL_CTX_free(w->server_ctx);
	SSL_CTX_free(w->client_ctx);
	free(w);
	return 0;
}

static void
secure(struct world *w)
{
	w->secured_want = 2;
	assert_int_equal(conn_start_server_tls(w->server.conn, w->server_ctx),
	    0);
	assert_int_equal(conn_start_client_tls(w->client.conn, w->client_ctx,
	    "localhost"), 0);
	loop_run(w->loop);
	assert_true(w->server.secured && w->client.secured);
	assert_true(conn_is_tls(w->server.conn));
}

static void
send_and_compare(struct world *w, size_t total)
{
	uint32_t sum = 0;
	uint8_t block[8192];
	size_t sent = 0;

	w->want = total;
	while (sent < total) {
		size_t n = total - sent < sizeof block ? total - sent :
		    sizeof block;

		for (size_t i = 0; i < n; i++) {
			block[i] = (uint8_t)((sent + i) * 7 + (sent >> 9));
			sum = sum * 31 + block[i];
		}
		assert_int_equal(conn_write(w->client.conn, block, n), 0);
		sent += n;
	}
	loop_run(w->loop);
	assert_int_equal(w->server.got, total);
	assert_int_equal(w->server.sum, sum);
}

static void
test_clear(void **state)
{
	send_and_compare(*state, 900 * 1000);
}

static void
test_tls(void **state)
{
	struct world *w = *state;
	char desc[TLS_DESC_SIZE];

	secure(w);
	tls_describe(conn_ssl(w->server.conn), desc);
	assert_memory_equal(desc, "TLSv1.3:", 8);
	send_and_compare(w, 900 * 1000);
}

static void
test_injection_before_tls(void **state)
{
	struct world *w = *state;

	/* Octets that lie in the buffer already: refused at once. */
	conn_pause(w->server.conn);
	buf_append(conn_input(w->server.conn), "MAIL FROM:<>\r\n", 14);
	assert_int_equal(conn_start_server_tls(w->server.conn, w->server_ctx),
	    ERR_FORMAT);
	buf_clear(conn_input(w->server.conn));
	/* Octets that come later reach the handshake, which fails. */
	conn_resume(w->server.conn);
	assert_int_equal(conn_start_server_tls(w->server.conn, w->server_ctx),
	    0);
	conn_write(w->client.conn, "MAIL FROM:<>\r\n", 14);
	loop_run(w->loop);
	assert_memory_equal(w->server.why, "tls:", 4);
	assert_int_equal(w->server.got, 0);
}

static void
test_close_flushes(void **state)
{
	struct world *w = *state;
	static uint8_t block[500 * 1000];

	secure(w);
	w->want = sizeof block;
	conn_write(w->client.conn, block, sizeof block);
	conn_close(w->client.conn, true);
	w->client.conn = NULL;
	loop_run(w->loop);
	assert_int_equal(w->server.got, sizeof block);
	while (w->server.why[0] == '\0')
		loop_run(w->loop);
	assert_string_equal(w->server.why, "eof");
}

static void
test_never_reading_peer(void **state)
{
	struct world *w = *state;
	static uint8_t block[64 * 1024];
	int r = 0, n = 0;

	conn_pause(w->server.conn);
	for (; r == 0 && n < 1000; n++)
		r = conn_write(w->client.conn, block, sizeof block);
	assert_int_equal(r, ERR_LIMIT);
	assert_true(conn_pending(w->client.conn) <= CONN_OUT_MAX);
}

static void
stop_loop(void *ctx)
{
	loop_stop(ctx);
}

/* Peers that read nothing, of connections that nobody counts any more. */
static void
test_many_closing(void **state)
{
	enum { N = CONN_CLOSING_MAX + 100 };
	static int ours[N], theirs[N];
	static char text[200000];
	static struct end e;
	struct loop *l = loop_new();
	struct timer t;
	unsigned int open = 0;

	(void)state;
	assert_non_null(l);
	assert_int_equal(timer_init(&t, l, stop_loop, l), 0);
	for (unsigned int i = 0; i < N; i++) {
		int fd[2], size = 4096;
		struct conn *c;

		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM |
		    SOCK_NONBLOCK, 0, fd), 0);
		ours[i] = fd[0];
		theirs[i] = fd[1];
		setsockopt(fd[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
		assert_non_null(c = conn_new(l, fd[0], 4096, &ops, &e));
		assert_int_equal(conn_write(c, text, sizeof(text)), 0);
		conn_close(c, true);
	}
	timer_arm(&t, 1000);
	loop_run(l);
	for (unsigned int i = 0; i < N; i++)
		open += fcntl(ours[i], F_GETFD) >= 0;
	assert_int_equal(open, CONN_CLOSING_MAX);
	for (unsigned int i = 0; i < N; i++)
		close(theirs[i]);
	timer_arm(&t, 1000);
	loop_run(l);
	timer_free(&t);
	loop_free(l);
}

static void
test_idle_timeout(void **state)
{
	struct world *w = *state;

	conn_idle_timeout(w->server.conn, 20);
	loop_run(w->loop);
	assert_string_equal(w->server.why, "timeout");
}

/* Who waits for us is not idle. */
static void
test_idle_while_paused(void **state)
{
	struct world *w = *state;
	struct timer t;

	assert_int_equal(timer_init(&t, w->loop, stop_loop, w->loop), 0);
	conn_pause(w->server.conn);
	conn_idle_timeout(w->server.conn, 100);
	timer_arm(&t, 500);
	loop_run(w->loop);
	assert_string_equal(w->server.why, "");
	conn_resume(w->server.conn);
	timer_arm(&t, 5000);
	loop_run(w->loop);
	assert_string_equal(w->server.why, "timeout");
	timer_free(&t);
}

static void
test_paused_end_is_told_later(void **state)
{
	struct world *w = *state;

	conn_pause(w->server.conn);
	conn_write(w->client.conn, "QUIT\r\n", 6);
	conn_close(w->client.conn, true);
	w->client.conn = NULL;
	w->want = 6;
	conn_idle_timeout(w->server.conn, 0);
	conn_resume(w->server.conn);
	loop_run(w->loop);
	assert_int_equal(w->server.got, 6);
	while (w->server.why[0] == '\0')
		loop_run(w->loop);
	assert_string_equal(w->server.why, "eof");
}

/* "printf 'QUIT\r\n' | nc -N": the end of the peer's half is there together with
 * its last command, and must not eat the answer. */
static void
test_half_closed_peer_gets_the_answer(void **state)
{
	struct world *w = *state;

	w->server.quits = true;
	assert_int_equal(send(conn_fd(w->client.conn), "QUIT\r\n", 6, 0), 6);
	assert_int_equal(shutdown(conn_fd(w->client.conn), SHUT_WR), 0);
	while (w->client.why[0] == '\0')
		loop_run(w->loop);
	assert_string_equal(w->client.why, "eof");
	assert_int_equal(w->client.got, 5);
}

/* More than input and output may hold at once: what the peer had asked for before
 * its end is answered all the same. */
static void
test_half_closed_peer_gets_all_answers(void **state)
{
	static const uint8_t asked[IN_MAX + 1000];
	struct world *w = *state;

	w->server.answers = true;
	conn_output_limit(w->server.conn, 1000);
	assert_int_equal(send(conn_fd(w->client.conn), asked, sizeof asked, 0),
	    sizeof asked);
	assert_int_equal(shutdown(conn_fd(w->client.conn), SHUT_WR), 0);
	while (w->client.why[0] == '\0')
		loop_run(w->loop);
	assert_string_equal(w->server.why, "eof");
	assert_int_equal(w->client.got, 100 * sizeof asked);
}

/* Runs the loop for a while; what that costs. */
static double
quiet_cpu_ms(struct world *w)
{
	clock_t before = clock();
	struct timer t;

	assert_int_equal(timer_init(&t, w->loop, stop, w->loop), 0);
	timer_arm(&t, 200);
	loop_run(w->loop);
	timer_free(&t);
	return (double)(clock() - before) * 1000 / CLOCKS_PER_SEC;
}

/* What fills no record of TLS waits for more, for as long as that is to come. */
static void
test_whole_records(void **state)
{
	static const uint8_t block[20000];
	struct world *w = *state;

	secure(w);
	conn_more(w->server.conn, true);
	assert_int_equal(conn_write(w->server.conn, block, sizeof block), 0);
	assert_true(quiet_cpu_ms(w) < 100);
	assert_int_equal(w->client.got, 16384);
	assert_int_equal(conn_pending(w->server.conn), sizeof block - 16384);
	assert_int_equal(conn_write(w->server.conn, block, sizeof block), 0);
	conn_more(w->server.conn, false);
	quiet_cpu_ms(w);
	assert_int_equal(w->client.got, 2 * sizeof block);
	conn_more(w->server.conn, true);
	assert_int_equal(conn_write(w->server.conn, block, 1), 0);
	conn_close(w->server.conn, true);
	w->server.conn = NULL;
	quiet_cpu_ms(w);
	assert_int_equal(w->client.got, 2 * sizeof block + 1);
}

/* Octets that are not wanted yet, or are no whole record, cost nothing while
 * they wait. */
static void
test_waits_quietly(void **state)
{
	static const uint8_t part[] = { 0x17, 0x03, 0x03, 0x00, 0x40, 'x' };
	struct world *w = *state;

	secure(w);
	conn_pause(w->server.conn);
	assert_int_equal(conn_write(w->client.conn, "hello", 5), 0);
	assert_true(quiet_cpu_ms(w) < 100);
	assert_int_equal(w->server.got, 0);
	w->want = 5;
	conn_resume(w->server.conn);
	loop_run(w->loop);
	assert_int_equal(w->server.got, 5);
	w->want = SIZE_MAX;
	assert_int_equal(send(conn_fd(w->client.conn), part, sizeof part, 0),
	    sizeof part);
	assert_true(quiet_cpu_ms(w) < 100);
	assert_int_equal(conn_write(w->server.conn, "hello", 5), 0);
	assert_true(quiet_cpu_ms(w) < 100);
	assert_int_equal(w->client.got, 5);
	conn_pause(w->server.conn);
	conn_resume(w->server.conn);
	assert_true(quiet_cpu_ms(w) < 100);
	assert_true(conn_has_more(w->server.conn));
	assert_string_equal(w->server.why, "");
}

#define ROW(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ROW(test_clear),
		ROW(test_tls),
		ROW(test_injection_before_tls),
		ROW(test_close_flushes),
		ROW(test_never_reading_peer),
		ROW(test_whole_records),
		ROW(test_waits_quietly),
		cmocka_unit_test(test_many_closing),
		ROW(test_idle_timeout),
		ROW(test_idle_while_paused),
		ROW(test_paused_end_is_told_later),
		ROW(test_half_closed_peer_gets_the_answer),
		ROW(test_half_closed_peer_gets_all_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
