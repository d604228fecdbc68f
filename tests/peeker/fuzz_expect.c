/* SPDX-License-Identifier: Apache-2.0 */
/* Files of expected values: whatever they hold is read or refused with a reason, and what was
 * read can be parsed as any type. */
#include "compare.h"
#include "expect.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void parse_all(const char *text)
{
	for (int type = DSM_BOOL; type <= DSM_F64_ARRAY; type++) {
		struct cell_meta meta = { .type = (enum dsm_type)type };
		struct tolerance tolerance = { .absolute = 1 };
		struct dsm_value value;
		void *kept = NULL;
		if (value_parse(text, &meta, &value, &kept) == 0)
			(void)value_equal(&value, &value, &tolerance);
		free(kept);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct expectations e = { 0 };
	char error[200] = "", *text = malloc(size + 1);

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	int result = expectations_parse(text, &e, error, sizeof error);
	if (result < 0 ? !*error : e.n == 0)
		abort(); /* a refusal has a reason */
	for (size_t i = 0; i < e.n; i++)
		if (e.entry[i].text)
			parse_all(e.entry[i].text);
	expectations_free(&e);
	free(text);
	return 0;
}
