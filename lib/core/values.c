/* SPDX-License-Identifier: Apache-2.0 */
/* Values against the directory: what a cell can take, and how it lies in a record. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "core/error.h"
#include "core/utf8.h"
#include "core/writer.h"

static double as_double(const struct dsm_value *v)
{
	switch (v->type) {
	case DSM_I64: return (double)v->i64;
	case DSM_U64: return (double)v->u64;
	default: return v->f64;
	}
}

/* Limits are doubles; a clamped integer stays inside them. */
static void clamp_to(struct dsm_value *v, double limit, bool is_min)
{
	if (v->type == DSM_F64)
		v->f64 = limit;
	else if (v->type == DSM_I64)
		v->i64 = (int64_t)(is_min ? ceil(limit) : floor(limit));
	else
		v->u64 = limit <= 0 ? 0 : (uint64_t)(is_min ? ceil(limit) : floor(limit));
}

static int admit_range(const struct view *view, const struct directory_cell *c, struct dsm_value *v)
{
	if (!(c->flags & (DSM_HAS_MIN | DSM_HAS_MAX)))
		return 0;
	double x = as_double(v);
	bool low = (c->flags & DSM_HAS_MIN) && x < c->min;
	bool high = (c->flags & DSM_HAS_MAX) && x > c->max;
	if (!low && !high)
		return 0;
	if (c->flags & DSM_CLAMP) {
		clamp_to(v, low ? c->min : c->max, low);
		return 0;
	}
	return dsm__fail(-ERANGE, "%s: %g is %s %s %g %s; the table refuses it",
		view_text(view, c->name), x, low ? "below the" : "above the",
		low ? "minimum" : "maximum", low ? c->min : c->max, view_text(view, c->unit));
}

static int admit_sized(const struct view *view, const struct directory_cell *c,
	const struct dsm_value *v)
{
	const char *name = view_text(view, c->name);
	const char *what = v->type == DSM_F64_ARRAY ? "elements" : "bytes";
	if (v->len > c->capacity)
		return dsm__fail(-EMSGSIZE, "%s: %u %s are more than the cell's %u",
			name, v->len, what, c->capacity);
	if (v->type == DSM_F64_ARRAY && v->len != c->capacity)
		return dsm__fail(-EMSGSIZE, "%s: %u elements where the array has exactly %u",
			name, v->len, c->capacity);
	if (v->len && !v->bytes)
		return dsm__fail(-EINVAL, "%s: null pointer for %u %s", name, v->len, what);
	if (v->type == DSM_STRING && !utf8_valid(v->str, v->len))
		return dsm__fail(-EILSEQ, "%s: the string is not valid UTF-8 without NUL", name);
	if (v->type == DSM_F64_ARRAY)
		for (uint32_t i = 0; i < v->len; i++)
			if (!isfinite(v->f64s[i]))
				return dsm__fail(-EDOM, "%s: element %u is not a number; "
					"set the quality bad instead", name, i);
	return 0;
}

int value_admit(const struct view *view, uint32_t cell, struct dsm_value *v)
{
	const struct directory_cell *c = &view->cells[cell];
	if ((uint32_t)v->type != c->type)
		return dsm__fail(-EINVAL, "%s: is of type %s, not %s", view_text(view, c->name),
			dsm_type_name((enum dsm_type)c->type), dsm_type_name(v->type));
	if (v->type == DSM_BOOL)
		return 0;
	if (!payload_is_scalar(v->type))
		return admit_sized(view, c, v);
	if (v->type == DSM_F64 && !isfinite(v->f64))
		return dsm__fail(-EDOM, "%s: not a number; set the quality bad instead",
			view_text(view, c->name));
	return admit_range(view, c, v);
}

void value_decode(const struct directory_cell *c, const uint64_t *record, struct dsm_value *out)
{
	out->type = (enum dsm_type)c->type;
	out->len = 1;
	switch (out->type) {
	case DSM_BOOL:
		out->u64 = 0;
		out->b = record[1] != 0;
		break;
	case DSM_STRING:
	case DSM_BYTES:
		/* a length from a slot is never believed beyond the directory's */
		out->len = record[1] > c->capacity ? c->capacity : (uint32_t)record[1];
		out->bytes = record + 2;
		break;
	case DSM_F64_ARRAY:
		out->len = c->capacity;
		out->bytes = record + 1;
		break;
	default:
		out->u64 = record[1];
		break;
	}
}

bool record_sample(const struct directory_cell *cell, const uint64_t *record, const struct slot_meta *meta,
	struct dsm_sample *out)
{
	uint8_t quality = (uint8_t)(record[0] & PAYLOAD_QUALITY_BITS);
	if (quality == DSM_NEVER_WRITTEN)
		return false;
	*out = (struct dsm_sample){ .changed_ns = (int64_t)(record[0] & ~(uint64_t)PAYLOAD_QUALITY_BITS),
		.quality = quality, .seq = meta->seq, .epoch = meta->epoch };
	value_decode(cell, record, &out->value);
	return true;
}
