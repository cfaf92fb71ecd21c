/*
 * control_json.c - JSON memory is zeroed as it is freed, for a password may
 * stand in it. See control.h.
 */
#include "lib/control.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

static void
control_free_zeroed(void *p)
{
	if (p == NULL)
		return;
	explicit_bzero(p, malloc_usable_size(p));
	free(p);
}

void
control_zero_json(void)
{
	json_set_alloc_funcs(malloc, control_free_zeroed);
}
