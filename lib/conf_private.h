/*
 * conf_private.h - the table of keys, for conf*.c only.
 */
#ifndef SUBMITD_CONF_PRIVATE_H
#define SUBMITD_CONF_PRIVATE_H

#include "lib/conf.h"

struct conf_key;

/* How values of a key are read; the field's C type goes with it. */
struct conf_type {
	/* Reads v[0..n-1] into the field, which is empty before. NULL: this key
	 * is a section. */
	int		(*parse)(void *field, const struct conf_key *k,
			    char *const *v, size_t n);
	void		(*clear)(void *field);
	bool		 list;		/* several values, split by conf_split() */
	bool		 path;		/* relative ones lie below the base */
	const char	*expected;	/* NULL: made from the bounds */
};

struct conf_key {
	const char	*name;
	const struct conf_type *type;
	size_t		 offset;
	const char	*dflt;		/* NULL: found out, conf_default() */
	const char	*root_dflt;	/* below --root, or NULL */
	uint64_t	 min, max;
	const char	*unit;		/* "s", "octets", … or NULL */
	const char *const *words;	/* of conf_word, ends with NULL */
	const char	*help;
};

struct conf_value {
	char	**v;
	size_t	  n;
	bool	  set;			/* by the file or -o: no default */
	char	 *origin;		/* "FILE:LINE", "-o", NULL: a default */
};

struct conf_values {
	struct conf_value *key;		/* one for each row of conf_keys */
	char	*base;			/* where relative paths begin */
	char	*root;			/* --root, or NULL */
};

/* A growing list of strings while a value is being split. */
struct conf_words {
	char	**v;
	size_t	  n;
};

/* conf_type.c */
extern const struct conf_type conf_hostname, conf_domains, conf_hostport,
    conf_addrs, conf_nets, conf_path, conf_paths, conf_template, conf_log,
    conf_duration, conf_size, conf_number, conf_policy, conf_user, conf_text,
    conf_mechs, conf_bool, conf_domain, conf_separators, conf_senders,
    conf_fields, conf_word, conf_route_domains, conf_route_hosts, conf_section,
    conf_unix, conf_socket,
    conf_uids, conf_when;

extern const struct conf_key conf_keys[];	/* ends with a NULL name */
#define CONF_NO_KEY ((size_t)-1)

size_t	conf_key_count(void);
size_t	conf_key_find(const char *name);	/* CONF_NO_KEY: none */
/* The key of the table most like `name`, or NULL when none is. */
const char *conf_key_nearest(const struct conf_key *keys, const char *name);

/* "name: expected …, not "value"" with ERR_CONFIG. */
int	conf_key_error(const struct conf_key *k, char *const *v, size_t n,
	    struct err *reterr);
/* The default as text; malloc'ed, NULL without memory. */
char	*conf_default(const struct conf_values *vals, const struct conf_key *k);

/* `base` and `root` may be NULL. */
struct conf *conf_new(const char *base, const char *root);
/* Reads the values, keeps their text, and frees nothing of the caller's.
 * On failure the text says "key: expected …". */
int	conf_set(struct conf *c, size_t key, const char *const *v, size_t n,
	    const char *origin, struct err *reterr);
/* What must fit together (conf_check.c). */
int	conf_check(struct conf *c, struct err *reterr);
/* Defaults for what is not set; conf_check(). */
int	conf_complete(struct conf *c, const char *file, struct err *reterr);

/* conf_when.c: local time as UTC, for the children know no zone. ERR_FORMAT:
 * that is no time. */
#define CONF_WHEN_SIZE 64
int	conf_when_utc(const char *s, char dst[CONF_WHEN_SIZE]);

/* conf_value.c: reads the values into `object`'s field of the key, and keeps
 * their text in *value. `vals` has the base of paths. */
int	conf_value_set(const struct conf_values *vals,
	    const struct conf_key *k, void *object, struct conf_value *value,
	    const char *const *v, size_t n, const char *origin,
	    struct err *reterr);
void	conf_value_free(struct conf_value *value);
void	conf_free_strs(char **v, size_t n);
/* The default's words, as conf_value_set() would have kept them. */
int	conf_default_words(const struct conf_values *vals,
	    const struct conf_key *k, struct conf_words *ret);

#endif
