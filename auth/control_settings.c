/*
 * control_settings.c - what "user set" and "user add" can set of a user: rights,
 * limits, quota, note, and where his Maildir is. One table for taking it from a
 * request, putting it into a record and showing it.
 */
#include "config.h"

#include <stddef.h>
#include <string.h>

#include "auth/control_private.h"
#include "lib/str.h"

enum control_kind { SET_FLAG, SET_U32, SET_U64, SET_NOTE,
	SET_HOME, SET_CLASS };

static const struct control_setting {
	const char		*key;
	enum control_kind	 kind;
	size_t			 at;	/* in struct user_record; or the flag */
} control_settings[] = {
#define AT(member) offsetof(struct user_record, member)
	{ "may_submit", SET_FLAG, USER_MAY_SUBMIT },
	{ "may_pop", SET_FLAG, USER_MAY_POP },
	{ "may_open_relay", SET_FLAG, USER_MAY_OPEN_RELAY },
	{ "may_use_relay", SET_FLAG, USER_MAY_USE_RELAY },
	{ "may_prioritise", SET_FLAG, USER_MAY_PRIORITISE },
	{ "class", SET_CLASS, AT(class) },
	{ "messages_hour", SET_U32, AT(limits.messages_hour) },
	{ "messages_day", SET_U32, AT(limits.messages_day) },
	{ "recipients_hour", SET_U32, AT(limits.recipients_hour) },
	{ "recipients_day", SET_U32, AT(limits.recipients_day) },
	{ "message_octets", SET_U64, AT(limits.message_octets) },
	{ "quota_octets", SET_U64, AT(quota_octets) },
	{ "note", SET_NOTE, AT(note) },
	{ "home", SET_HOME, AT(maildir) },
#undef AT
};
#define CONTROL_SETTINGS \
	(sizeof(control_settings) / sizeof(control_settings[0]))

static void *
control_member(struct user_record *r, const struct control_setting *s)
{
	return (char *)r + s->at;
}

static int
control_take_text(struct control_job *j, const struct control_setting *s,
    const json_t *v, size_t size)
{
	const char *text = json_string_value(v);

	if (text == NULL)
		return err_set(&j->err, ERR_FORMAT, "%s: a text is wanted",
		    s->key);
	for (const char *p = text; *p != '\0'; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			return err_set(&j->err, ERR_FORMAT,
			    "the %s has a control character", s->key);
	if (strlen(text) != json_string_length(v) || str_copy(
	    control_member(&j->settings.rec, s), size, text) != 0)
		return err_set(&j->err, ERR_LIMIT,
		    "the %s is longer than %zu octets", s->key, size - 1);
	return 0;
}

/* Taken literally, and checked as what the template gives is. */
static int
control_take_home(struct control_job *j, const struct control_setting *s,
    const json_t *v)
{
	char template[2 * MAILDIR_PATH_MAX], path[MAILDIR_PATH_MAX];
	const char *home = j->settings.rec.maildir;
	size_t n = 0;
	int r;

	r = control_take_text(j, s, v, MAILDIR_PATH_MAX);
	if (r != 0)
		return r;
	for (const char *p = home; *p != '\0'; p++) {
		if (*p == '%')
			template[n++] = '%';
		template[n++] = *p;
	}
	template[n] = '\0';
	if (maildir_expand(template, j->user, path, sizeof(path)) != 0)
		return err_set(&j->err, ERR_FORMAT, "home: %s: a path below "
		    "mail_root is wanted, without an empty part, \".\" or "
		    "\"..\"", home);
	return str_copy(j->settings.rec.maildir,
	    sizeof(j->settings.rec.maildir), path);
}

/* That the configuration has it is not asked for: it may come later. */
static int
control_take_class(struct control_job *j, const struct control_setting *s,
    const json_t *v)
{
	const char *name = j->settings.rec.class;
	int r = control_take_text(j, s, v, RECORD_CLASS_SIZE);

	if (r == 0 && name[0] != '\0' && !user_label_is_valid(name))
		r = err_set(&j->err, ERR_FORMAT, "class: a name of letters, "
		    "digits, '.', '_' and '-' is wanted");
	return r;
}

static int
control_take_setting(struct control_job *j, const struct control_setting *s,
    const json_t *v)
{
	struct user_record *rec = &j->settings.rec;
	uint64_t n = 0;
	int r;

	switch (s->kind) {
	case SET_FLAG:
		if (!json_is_boolean(v))
			return err_set(&j->err, ERR_FORMAT,
			    "%s: true or false is wanted", s->key);
		j->settings.flags_given |= (uint32_t)s->at;
		if (json_is_true(v))
			rec->flags |= (uint32_t)s->at;
		return 0;
	case SET_U32:
		r = control_take_number(j, s->key, UINT32_MAX, &n);
		*(uint32_t *)control_member(rec, s) = (uint32_t)n;
		return r;
	case SET_U64:
		r = control_take_number(j, s->key, INT64_MAX, &n);
		*(uint64_t *)control_member(rec, s) = n;
		return r;
	case SET_NOTE:
		return control_take_text(j, s, v, RECORD_NOTE_SIZE);
	case SET_HOME:
		return control_take_home(j, s, v);
	case SET_CLASS:
		return control_take_class(j, s, v);
	}
	return 0;
}

int
control_take_settings(struct control_job *j)
{
	const json_t *v;
	int r;

	for (unsigned int i = 0; i < CONTROL_SETTINGS; i++) {
		v = json_object_get(j->args, control_settings[i].key);
		if (v == NULL)
			continue;
		if ((r = control_take_setting(j, &control_settings[i],
		    v)) != 0)
			return r;
		j->settings.given |= 1u << i;
	}
	return 0;
}

/* What was given goes into the record; a Maildir that changes is warned of. */
int
control_apply(struct control_job *j, struct user_record *r)
{
	struct control_settings *given = &j->settings;
	const struct control_setting *s;

	for (unsigned int i = 0; i < CONTROL_SETTINGS; i++) {
		s = &control_settings[i];
		if (!(given->given & 1u << i))
			continue;
		if (s->kind == SET_U32)
			*(uint32_t *)control_member(r, s) =
			    *(uint32_t *)control_member(&given->rec, s);
		else if (s->kind == SET_U64)
			*(uint64_t *)control_member(r, s) =
			    *(uint64_t *)control_member(&given->rec, s);
		else if (s->kind == SET_CLASS)
			memcpy(r->class, given->rec.class, sizeof(r->class));
		else if (s->kind == SET_NOTE)
			memcpy(r->note, given->rec.note, sizeof(r->note));
		else if (s->kind == SET_HOME)
			memcpy(r->maildir, given->rec.maildir,
			    sizeof(r->maildir));
	}
	r->flags = (r->flags & ~given->flags_given) | given->rec.flags;
	r->changed_s = j->now_s;
	return 0;
}

void
control_put_settings(json_t *o, const struct user_record *r)
{
	const struct control_setting *s;
	const char *at;
	json_t *v;

	for (size_t i = 0; i < CONTROL_SETTINGS; i++) {
		s = &control_settings[i];
		at = (const char *)r + (s->kind == SET_FLAG ? 0 : s->at);
		v = NULL;
		if (s->kind == SET_FLAG)
			v = json_boolean((r->flags & s->at) != 0);
		else if (s->kind == SET_U32)
			v = json_integer(*(const uint32_t *)(const void *)at);
		else if (s->kind == SET_U64)
			v = json_integer((json_int_t)
			    *(const uint64_t *)(const void *)at);
		else if (s->kind == SET_NOTE || s->kind == SET_CLASS)
			v = json_string(at);
		if (v != NULL)
			(void)json_object_set_new(o, s->key, v);
	}
}
