/*
 * conf_section.h - sections of the configuration: KIND TITLE { key = value … }.
 *
 * A kind of section is a row of conf_kinds and a table of keys like conf_keys,
 * whose offsets are of the kind's own struct; that begins with a struct
 * conf_item. A new kind is the two of them (conf_kind.c), an array in struct
 * conf, a row of type conf_section in conf_key.c by the same name, and a
 * paragraph in submitd.conf.5. For conf*.c only.
 */
#ifndef SUBMITD_CONF_SECTION_H
#define SUBMITD_CONF_SECTION_H

#include "lib/conf_private.h"

#define CONF_TITLE_MAX	64u

struct conf_kind {
	const char	*name;
	const char	*title;		/* "NETWORK": for messages */
	const struct conf_key *keys;	/* .dflt NULL: empty when not set */
	size_t		 size;		/* of the struct */
	size_t		 items, n;	/* of array and count in struct conf */
	size_t		 max;		/* sections of it */
	/* Reads the title; may make it canonical in `dst`. NULL: a name of
	 * letters, digits and . _ - */
	int		(*read_title)(void *item, const char *text, char *dst,
			    size_t size, struct err *reterr);
	/* What must fit together in it, or NULL. */
	int		(*check)(const void *item, struct err *reterr);
	void		(*clear)(void *item);	/* what is no key's, or NULL */
};

extern const struct conf_kind conf_kinds[];	/* ends with a NULL name */
/* NULL: no section is called so. */
const struct conf_kind *conf_kind_find(const char *name);

size_t	conf_section_count(const struct conf *c, const struct conf_kind *kind);
struct conf_item *conf_section_at(const struct conf *c,
	    const struct conf_kind *kind, size_t i);

/* One section: begun, its keys set (the last begun), and ended, which fills in
 * defaults and checks. `origin` as of conf_set(). After an error the whole
 * configuration is of no use. */
int	conf_section_begin(struct conf *c, const struct conf_kind *kind,
	    const char *title, const char *origin, struct err *reterr);
int	conf_section_set(struct conf *c, const struct conf_kind *kind,
	    size_t key, const char *const *v, size_t n, const char *origin,
	    struct err *reterr);
int	conf_section_end(struct conf *c, const struct conf_kind *kind,
	    struct err *reterr);
void	conf_sections_free(struct conf *c);

/* "KIND TITLE: " and the text, with ERR_CONFIG; conf_complete() puts the place
 * of the section in front. */
int	conf_section_error(const struct conf_kind *kind, const void *item,
	    struct err *reterr, const char *fmt, ...)
	    __attribute__((format(printf, 4, 5)));
/* The place of the section that a text of conf_section_error() is about, or
 * NULL. */
const char *conf_section_place(const struct conf *c, const char *text);

#endif
