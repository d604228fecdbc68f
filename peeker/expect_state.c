/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A state file by dsm_state_foreach() of <dsm/engine.h>. libdsm_engine is loaded here and for
 * this alone, so that a viewer on a machine without engine needs nothing of it.
 */
#include "expect.h"

#include <dsm/engine.h>

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define LIBRARY "libdsm_engine.so.0"

typedef __typeof__(dsm_state_foreach) foreach_fn;

static int take_cell(const char *name, const char *unit, const struct dsm_sample *sample,
	void *context)
{
	char small[256], *text = small;

	(void)unit;
	int length = dsm_value_format(&sample->value, -1, small, sizeof small);
	if (length < 0)
		return length;
	if ((size_t)length >= sizeof small) {
		text = malloc((size_t)length + 1);
		if (!text)
			return -ENOMEM;
		dsm_value_format(&sample->value, -1, text, (size_t)length + 1);
	}
	int error = expectations_add(context, name,
		sample->quality == DSM_NEVER_WRITTEN ? NULL : text, dsm_quality_name(sample->quality));
	if (text != small)
		free(text);
	return error;
}

int expect_state(const char *path, struct expectations *out, char *error, size_t size)
{
	void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
	foreach_fn *foreach = NULL;

	if (library)
		*(void **)(void *)&foreach = dlsym(library, "dsm_state_foreach");
	if (!foreach) {
		snprintf(error, size, "a state file; reading it needs " LIBRARY ", and that is not here. "
			"On the engine's machine `dsm dump --format jsonl` writes what can be read anywhere");
		return -ENOTSUP;
	}
	int result = foreach(path, take_cell, out);
	if (result)
		snprintf(error, size, "%s", dsm_error());
	return result;
}
