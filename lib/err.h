/*
 * err.h - error codes and the text that goes up with them.
 *
 * A function that can fail returns 0 or one of these negative codes and, where
 * the caller will want to say why, fills a struct err given as last argument
 * (NULL is fine). Libraries neither log nor exit; the program decides.
 */
#ifndef SUBMITD_ERR_H
#define SUBMITD_ERR_H

enum {
	ERR_SYSTEM = -1,	/* a system call failed; errno is kept */
	ERR_NOMEM = -2,
	ERR_FORMAT = -3,	/* malformed input */
	ERR_LIMIT = -4,		/* a bound was reached */
	ERR_NOTFOUND = -5,
	ERR_EXISTS = -6,
	ERR_DENIED = -7,
	ERR_AWAY = -8,		/* the other process is gone; try again */
	ERR_CONFIG = -9,	/* a wrong configuration */
	ERR_CORRUPT = -10,	/* stored data fail their check */
	ERR_NOSPACE = -11,	/* the disk, or its reserve, is full */
};

struct err {
	int	code;
	int	sys_errno;	/* 0 unless code is ERR_SYSTEM or ERR_NOSPACE */
	char	text[320];
};

/* Sets code and text; returns code, so that `return err_set(...)` reads well. */
int	err_set(struct err *e, int code, const char *fmt, ...)
	    __attribute__((format(printf, 3, 4)));

/* Takes errno: ERR_NOSPACE for ENOSPC and EDQUOT, ERR_NOMEM for ENOMEM, else
 * ERR_SYSTEM. ": <strerror>" is appended to the text. Returns the code. */
int	err_sys(struct err *e, const char *fmt, ...)
	    __attribute__((format(printf, 2, 3)));

/* A short name for a code, never NULL. */
const char *err_name(int code);

#endif
