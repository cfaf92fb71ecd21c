/*
 * sasl_setup.c - Cyrus SASL for the whole process: which plugins are loaded,
 * what they may ask, and whether all that is configured is there.
 *
 * Runs in authd-core, at its start and before a reload. No file of the system's
 * but the plugins is read; no option comes from elsewhere.
 */
#include "config.h"

#include "auth/sasl.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "lib/str.h"

/* libsasl keeps functions of all kinds in one type. */
#define SASLX_CB(fn) ((sasl_callback_ft)(void (*)(void))(fn))

static int
saslx_cb_getopt(void *context, const char *plugin, const char *option,
    const char **result, unsigned int *len)
{
	static const char *const options[][2] = {
		{ "auxprop_plugin", "submitd" },
		{ "pwcheck_method", "none" },	/* nothing behind ours */
		{ "mech_list", "SCRAM-SHA-256 SCRAM-SHA-1 EXTERNAL "
		    "PLAIN CRAM-MD5" },
	};

	(void)context;
	(void)plugin;
	for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++) {
		if (strcmp(option, options[i][0]) != 0)
			continue;
		*result = options[i][1];
		if (len != NULL)
			*len = (unsigned int)strlen(*result);
		return SASL_OK;
	}
	return SASL_FAIL;
}

/* Its words are not for our log: they hold what clients sent. */
static int
saslx_cb_log(void *context, int level, const char *message)
{
	(void)context;
	(void)level;
	(void)message;
	return SASL_OK;
}

static int
saslx_cb_verifyfile(void *context, const char *file, sasl_verify_type_t type)
{
	const char *base = strrchr(file, '/');

	(void)context;
	base = base == NULL ? file : base + 1;
	if (type != SASL_VRFY_PLUGIN)
		return SASL_OK;
	/* All that may ever be configured: a reload cannot load any more. */
	if (strncmp(base, "libplain.", 9) == 0 ||
	    strncmp(base, "libscram.", 9) == 0 ||
	    strncmp(base, "libcrammd5.", 11) == 0)
		return SASL_OK;
	return SASL_CONTINUE;
}

/* No configuration file of the system's: all options are above. */
static int
saslx_cb_getconfpath(void *context, char **path)
{
	static char *volatile folder;	/* libsasl 2.1.28 forgets to free it */

	(void)context;
	*path = folder = strdup("/nonexistent");
	return folder == NULL ? SASL_NOMEM : SASL_OK;
}

static int
saslx_aux_init(const sasl_utils_t *utils, int max_version, int *out_version,
    sasl_auxprop_plug_t **plug, const char *name)
{
	static char plug_name[] = "submitd";
	static sasl_auxprop_plug_t aux = {
		.auxprop_lookup = saslx_aux_lookup, .name = plug_name,
	};

	(void)utils;
	(void)name;
	if (max_version < SASL_AUXPROP_PLUG_VERSION)
		return SASL_BADVERS;
	*out_version = SASL_AUXPROP_PLUG_VERSION;
	*plug = &aux;
	return SASL_OK;
}

/* Setting up */

static void *
saslx_mutex_alloc(void)
{
	pthread_mutex_t *m = malloc(sizeof(*m));

	if (m != NULL)
		pthread_mutex_init(m, NULL);
	return m;
}

static int
saslx_mutex_lock(void *m)
{
	return pthread_mutex_lock(m) == 0 ? 0 : -1;
}

static int
saslx_mutex_unlock(void *m)
{
	return pthread_mutex_unlock(m) == 0 ? 0 : -1;
}

static void
saslx_mutex_free(void *m)
{
	pthread_mutex_destroy(m);
	free(m);
}

int
saslx_setup(struct err *reterr)
{
	static const sasl_callback_t global[] = {
		{ SASL_CB_GETOPT, SASLX_CB(saslx_cb_getopt), NULL },
		{ SASL_CB_LOG, SASLX_CB(saslx_cb_log), NULL },
		{ SASL_CB_VERIFYFILE,
		    SASLX_CB(saslx_cb_verifyfile), NULL },
		{ SASL_CB_GETCONFPATH,
		    SASLX_CB(saslx_cb_getconfpath), NULL },
		{ SASL_CB_LIST_END, NULL, NULL },
	};
	int r;

	sasl_set_mutex(saslx_mutex_alloc, saslx_mutex_lock,
	    saslx_mutex_unlock, saslx_mutex_free);
	if ((r = sasl_server_init(global, "submitd")) != SASL_OK ||
	    (r = sasl_auxprop_add_plugin("submitd", saslx_aux_init)) !=
	    SASL_OK)
		return err_set(reterr, ERR_CONFIG, "Cyrus SASL: %s",
		    sasl_errstring(r, NULL, NULL));
	return 0;
}

void
saslx_end(void)
{
	sasl_done();
}

/* Probing */

/* The name that libsasl lists it under; NULL: ours alone. LOGIN becomes PLAIN
 * (sasl.h). -PLUS comes with the same plugin, and is listed with a binding. */
static const char *
saslx_cyrus_name(enum conf_mech m)
{
	switch (m) {
	case CONF_APOP:
	case CONF_MECH__COUNT:
		return NULL;
	case CONF_LOGIN:
		return conf_mech_name(CONF_PLAIN);
	default:
		return conf_mech_name(m);
	}
}

static bool
saslx_lists(const char *list, const char *name)
{
	char word[AUTHP_MECH_MAX + 3];

	return str_format(word, sizeof(word), " %s ", name) == 0 &&
	    strstr(list, word) != NULL;
}

/* All that a client could be offered who has everything: " A B C ". */
static int
saslx_list(sasl_conn_t **ret, const char **ret_list)
{
	static const sasl_channel_binding_t binding = {
		.name = "tls-exporter", .len = 4,
		.data = (const unsigned char *)"none",
	};
	sasl_ssf_t ssf = 256;
	int r;

	r = sasl_server_new("smtp", "localhost.localdomain", NULL, NULL, NULL,
	    NULL, 0, ret);
	if (r == SASL_OK)
		r = sasl_setprop(*ret, SASL_SSF_EXTERNAL, &ssf);
	if (r == SASL_OK)
		r = sasl_setprop(*ret, SASL_AUTH_EXTERNAL, "nobody");
	if (r == SASL_OK)
		r = sasl_setprop(*ret, SASL_CHANNEL_BINDING, &binding);
	if (r == SASL_OK)
		r = sasl_listmech(*ret, NULL, " ", " ", " ", ret_list, NULL,
		    NULL);
	return r;
}

int
saslx_probe(const struct conf *c, struct err *reterr)
{
	sasl_conn_t *conn = NULL;
	const char *list = NULL, *name, *missing = NULL;
	uint32_t want = 0;

	for (size_t l = 0; l < conf_listener_count(c); l++)
		want |= conf_mechanisms(c, l);
	if (saslx_list(&conn, &list) != SASL_OK)
		list = "";
	for (int m = 0; m < CONF_MECH__COUNT && missing == NULL; m++) {
		if (!(want & CONF_MECH_BIT(m)))
			continue;
		name = saslx_cyrus_name((enum conf_mech)m);
		if (name != NULL && !saslx_lists(list, name))
			missing = conf_mech_name((enum conf_mech)m);
	}
	sasl_dispose(&conn);
	if (missing != NULL)
		return err_set(reterr, ERR_CONFIG, "mechanisms: %s: Cyrus SASL "
		    "has no plugin for it (install libsasl2-modules), or take "
		    "it out of the list", missing);
	return 0;
}
