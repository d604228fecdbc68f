/* SPDX-License-Identifier: Apache-2.0 */
/* Expected values: from text, and beside live ones; see compare.h. */
#include "compare.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool parse_limit(const char *text, struct tolerance *out)
{
	char *end;
	double number = strtod(text, &end);

	if (end == text || !isfinite(number) || number < 0)
		return false;
	if (strcmp(end, "%") == 0)
		out->relative = number / 100;
	else
		out->absolute = number;
	return !*end || strcmp(end, "%") == 0;
}

int tolerance_parse(char *text, struct tolerance *out)
{
	char *equals = strrchr(text, '=');
	struct tolerance t = { .glob = "*" };

	if (equals) {
		*equals = '\0';
		t.glob = text;
		text = equals + 1;
	}
	if (!parse_limit(text, &t) || !*t.glob)
		return -EINVAL;
	*out = t;
	return 0;
}

/* "[1,2,null]" or "1 2 null". */
static int parse_array(const char *text, struct dsm_value *out, void **kept)
{
	size_t room = strlen(text) / 2 + 1;
	double *values = calloc(room, sizeof *values);
	uint32_t n = 0;

	if (!values)
		return -ENOMEM;
	for (const char *p = text; ; ) {
		char *end;
		p += strspn(p, "[], \t\r\n");
		if (!*p || n == room)
			break;
		values[n] = strtod(p, &end);
		if (strncmp(p, "null", 4) == 0) {
			values[n] = (double)NAN;
			end = (char *)p + 4;
		}
		if (end == p) {
			free(values);
			return -EINVAL;
		}
		n++;
		p = end;
	}
	*out = (struct dsm_value){ .type = DSM_F64_ARRAY, .len = n, .f64s = values };
	*kept = values;
	return 0;
}

int value_parse(const char *text, const struct cell_meta *meta, struct dsm_value *out,
	void **kept)
{
	*kept = NULL;
	if (meta->type == DSM_F64_ARRAY)
		return parse_array(text, out, kept);
	if (meta->type != DSM_BYTES)
		return dsm_value_parse(text, meta->type, out, NULL, 0) ? -EINVAL : 0;
	size_t size = strlen(text) / 2 + 1;
	void *scratch = malloc(size);
	if (!scratch)
		return -ENOMEM;
	if (dsm_value_parse(text, meta->type, out, scratch, size)) {
		free(scratch);
		return -EINVAL;
	}
	*kept = scratch;
	return 0;
}

static bool is_near(double a, double b, const struct tolerance *t)
{
	if (a == b || (isnan(a) && isnan(b)))
		return true;
	double off = fabs(a - b);
	return isfinite(off) && (t->absolute > 0 || t->relative > 0) &&
		(off <= t->absolute || off <= t->relative * fabs(b));
}

bool value_equal(const struct dsm_value *a, const struct dsm_value *b,
	const struct tolerance *t)
{
	double x = (double)NAN, y = (double)NAN;

	if (a->type != b->type)
		return false;
	switch (a->type) {
	case DSM_BOOL:
		return a->b == b->b;
	case DSM_I64:
	case DSM_U64:
		if (a->u64 == b->u64)
			return true;
		if (t->absolute <= 0 && t->relative <= 0)
			return false;
		value_number(a, &x);
		value_number(b, &y);
		return is_near(x, y, t);
	case DSM_F64:
		return is_near(a->f64, b->f64, t);
	case DSM_F64_ARRAY:
		if (a->len != b->len)
			return false;
		for (uint32_t i = 0; i < a->len; i++)
			if (!is_near(a->f64s[i], b->f64s[i], t))
				return false;
		return true;
	default:
		return a->len == b->len && (a->len == 0 || memcmp(a->bytes, b->bytes, a->len) == 0);
	}
}
