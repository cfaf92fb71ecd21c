/*
 * msg.h - typed messages between the processes, one a packet.
 *
 * A message is { u8 version, u8 zero, u16 type, u32 id } and then fields, all
 * big-endian; strings and blobs carry a u32 length. A reader must take every
 * field and end with msg_get_end(): what is left over is an error (ERR_FORMAT).
 * Errors are sticky on both sides, so that a whole message can be put and
 * checked once. Pure; fuzzed.
 */
#ifndef SUBMITD_MSG_H
#define SUBMITD_MSG_H

#include <stddef.h>
#include <stdint.h>

#define MSG_MAX		65536u		/* of a whole packet */
#define MSG_HEAD	8u
#define MSG_VERSION	1u

struct msg_out {
	size_t	len;
	int	error;			/* 0, or ERR_LIMIT once it did not fit */
	uint8_t	data[MSG_MAX];
};

struct msg_in {
	const uint8_t	*p;
	size_t		 left;
	int		 error;
	uint16_t	 type;
	uint32_t	 id;
};

/* Starts a message; the struct need not be initialised before. */
void	msg_begin(struct msg_out *m, uint16_t type, uint32_t id);
void	msg_put_u8(struct msg_out *m, uint8_t v);
void	msg_put_u16(struct msg_out *m, uint16_t v);
void	msg_put_u32(struct msg_out *m, uint32_t v);
void	msg_put_u64(struct msg_out *m, uint64_t v);
void	msg_put_str(struct msg_out *m, const char *s);	/* NULL counts as "" */
void	msg_put_blob(struct msg_out *m, const void *p, size_t len);
/* Fields that were put into another message before, as they stand there. */
void	msg_put_raw(struct msg_out *m, const void *p, size_t len);
size_t	msg_room(const struct msg_out *m);		/* octets left */

/* Takes the head. ERR_FORMAT: too short, or another version. */
int	msg_open(struct msg_in *m, const void *packet, size_t len);
/* The getters return 0 or the sticky error; then *ret is 0, "" or empty. */
int	msg_get_u8(struct msg_in *m, uint8_t *ret);
int	msg_get_u16(struct msg_in *m, uint16_t *ret);
int	msg_get_u32(struct msg_in *m, uint32_t *ret);
int	msg_get_u64(struct msg_in *m, uint64_t *ret);
/* A string of at most `max` octets, no NUL inside; *ret points into the packet
 * and is NUL-terminated there. */
int	msg_get_str(struct msg_in *m, const char **ret, size_t max);
int	msg_get_blob(struct msg_in *m, const void **ret, size_t *ret_len,
	    size_t max);
int	msg_get_end(struct msg_in *m);

#endif
