/* SPDX-License-Identifier: Apache-2.0 */
/* Results as a JSON file and back. Fields are listed once and serve both ways. */
#include "harness/results.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* A member of a structure: size > 0: text in an array of so many bytes; 0: a double. */
struct field {
	const char *key;
	size_t offset, size;
};
#define TEXT(type, name) { #name, offsetof(struct type, name), sizeof(((struct type *)0)->name) }
#define REAL(type, name) { #name, offsetof(struct type, name), 0 }
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct field head_fields[] = {
	TEXT(bench_results, date), TEXT(bench_results, revision),
	REAL(bench_results, repeats), REAL(bench_results, quick),
};
static const struct field machine_fields[] = {
	TEXT(bench_machine, cpu), TEXT(bench_machine, kernel), TEXT(bench_machine, os),
	TEXT(bench_machine, compiler), REAL(bench_machine, cpus), REAL(bench_machine, memory_mib),
	REAL(bench_machine, load_start), REAL(bench_machine, load_end),
	REAL(bench_machine, cpu_client), REAL(bench_machine, cpu_server),
	REAL(bench_machine, clock_step_ns),
};
static const struct field row_fields[] = {
	TEXT(bench_result, name), TEXT(bench_result, base), TEXT(bench_result, family),
	TEXT(bench_result, work), TEXT(bench_result, peer), TEXT(bench_result, mode),
	TEXT(bench_result, unit), TEXT(bench_result, kind), TEXT(bench_result, status),
	TEXT(bench_result, why), REAL(bench_result, size_bytes), REAL(bench_result, interval_ns),
	REAL(bench_result, ops_per_batch), REAL(bench_result, param),
};
static const struct field aim_fields[] = {
	TEXT(bench_aim, text), TEXT(bench_aim, figure), TEXT(bench_aim, left), TEXT(bench_aim, right),
	REAL(bench_aim, factor), REAL(bench_aim, offset), REAL(bench_aim, left_median),
	REAL(bench_aim, limit_median), REAL(bench_aim, spread), TEXT(bench_aim, verdict),
};
static const struct field fit_fields[] = {
	TEXT(bench_fit, name), TEXT(bench_fit, unit), REAL(bench_fit, exponent),
};

static json_t *put(const void *from, const struct field *field, size_t n)
{
	json_t *object = json_object();
	for (size_t i = 0; i < n; i++) {
		const char *at = (const char *)from + field[i].offset;
		double number = 0;
		if (!field[i].size)
			memcpy(&number, at, sizeof(number));
		json_object_set_new(object, field[i].key,
			field[i].size ? json_string(at) : json_real(number));
	}
	return object;
}

static json_t *put_figures(const struct bench_figures *figures)
{
	json_t *object = json_object();
	for (size_t i = 0; i < bench_figure_count; i++) {
		double number;
		memcpy(&number, (const char *)figures + bench_figure_fields[i].offset, sizeof(number));
		json_object_set_new(object, bench_figure_fields[i].key, json_real(number));
	}
	return object;
}

static json_t *put_row(const struct bench_result *r)
{
	json_t *object = put(r, row_fields, COUNT(row_fields)), *repeats = json_array();
	for (size_t i = 0; i < r->repeats; i++)
		json_array_append_new(repeats, put_figures(&r->repeat[i]));
	json_object_set_new(object, "figures", put_figures(&r->all));
	json_object_set_new(object, "repeats", repeats);
	return object;
}

static json_t *put_fit(const struct bench_fit *fit)
{
	json_t *object = put(fit, fit_fields, COUNT(fit_fields)), *points = json_array();
	for (size_t i = 0; i < fit->points; i++)
		json_array_append_new(points, json_pack("[f,f]", fit->x[i], fit->y[i]));
	json_object_set_new(object, "points", points);
	return object;
}

int bench_results_write(const struct bench_results *results, const char *path)
{
	json_t *root = put(results, head_fields, COUNT(head_fields));
	json_t *rows = json_array(), *aims = json_array(), *fits = json_array();
	for (size_t i = 0; i < results->rows; i++)
		json_array_append_new(rows, put_row(&results->row[i]));
	for (size_t i = 0; i < results->aims; i++)
		json_array_append_new(aims, put(&results->aim[i], aim_fields, COUNT(aim_fields)));
	for (size_t i = 0; i < results->fits; i++)
		json_array_append_new(fits, put_fit(&results->fit[i]));
	json_object_set_new(root, "schema", json_string(BENCH_SCHEMA));
	json_object_set_new(root, "machine", put(&results->machine, machine_fields, COUNT(machine_fields)));
	json_object_set_new(root, "rows", rows);
	json_object_set_new(root, "aims", aims);
	json_object_set_new(root, "fits", fits);
	errno = 0;
	int failed = json_dump_file(root, path, JSON_INDENT(1) | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(17));
	json_decref(root);
	return !failed ? 0 : errno ? -errno : -EIO;
}

/* ---- reading: everything is checked, nothing is believed ---- */

static bool get(const json_t *object, void *to, const struct field *field, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const json_t *value = json_object_get(object, field[i].key);
		char *at = (char *)to + field[i].offset;
		if (field[i].size && json_is_string(value) && json_string_length(value) < field[i].size) {
			memcpy(at, json_string_value(value), json_string_length(value) + 1);
		} else if (!field[i].size && json_is_number(value)) {
			double number = json_number_value(value);
			memcpy(at, &number, sizeof(number));
		} else {
			fprintf(stderr, "bench: results: '%s' is missing or of the wrong kind\n", field[i].key);
			return false;
		}
	}
	return true;
}

static bool get_figures(const json_t *object, struct bench_figures *to)
{
	for (size_t i = 0; i < bench_figure_count; i++) {
		const struct bench_figure_field *f = &bench_figure_fields[i];
		if (!get(object, to, &(struct field){ f->key, f->offset, 0 }, 1))
			return false;
	}
	return true;
}

static bool get_row(const json_t *object, struct bench_result *r)
{
	const json_t *repeats = json_object_get(object, "repeats");
	size_t n = json_array_size(repeats);
	if (!r || !json_is_array(repeats) || n > BENCH_REPEATS_MAX)
		return false;
	if (!get(object, r, row_fields, COUNT(row_fields)))
		return false;
	for (r->repeats = 0; r->repeats < n; r->repeats++) {
		if (!get_figures(json_array_get(repeats, r->repeats), &r->repeat[r->repeats]))
			return false;
	}
	return get_figures(json_object_get(object, "figures"), &r->all);
}

static bool get_fit(const json_t *object, struct bench_fit *fit)
{
	const json_t *points = json_object_get(object, "points");
	fit->points = json_array_size(points);
	if (fit->points > BENCH_FIT_MAX)
		return false;
	for (size_t i = 0; i < fit->points; i++) {
		const json_t *point = json_array_get(points, i);
		fit->x[i] = json_number_value(json_array_get(point, 0));
		fit->y[i] = json_number_value(json_array_get(point, 1));
	}
	return get(object, fit, fit_fields, COUNT(fit_fields));
}

static bool get_all(const json_t *root, struct bench_results *out)
{
	const json_t *rows = json_object_get(root, "rows"), *aims = json_object_get(root, "aims");
	const json_t *fits = json_object_get(root, "fits");
	if (!get(root, out, head_fields, COUNT(head_fields)) ||
	    !get(json_object_get(root, "machine"), &out->machine, machine_fields, COUNT(machine_fields)))
		return false;
	for (size_t i = 0; i < json_array_size(rows); i++) {
		if (!get_row(json_array_get(rows, i), bench_results_row(out)))
			return false;
	}
	out->aim = calloc(json_array_size(aims) + 1, sizeof(*out->aim));
	out->fit = calloc(json_array_size(fits) + 1, sizeof(*out->fit));
	if (!out->aim || !out->fit)
		return false;
	for (; out->aims < json_array_size(aims); out->aims++) {
		if (!get(json_array_get(aims, out->aims), &out->aim[out->aims], aim_fields, COUNT(aim_fields)))
			return false;
	}
	for (; out->fits < json_array_size(fits); out->fits++) {
		if (!get_fit(json_array_get(fits, out->fits), &out->fit[out->fits]))
			return false;
	}
	return true;
}

int bench_results_read(const char *path, struct bench_results *out)
{
	json_error_t error;
	memset(out, 0, sizeof(*out));
	json_t *root = json_load_file(path, 0, &error);
	if (!root) {
		fprintf(stderr, "bench: %s:%d: %s\n", path, error.line, error.text);
		return -EBADMSG;
	}
	const char *schema = json_string_value(json_object_get(root, "schema"));
	bool good = schema && !strcmp(schema, BENCH_SCHEMA);
	if (!good)
		fprintf(stderr, "bench: %s: schema is '%s', expected '%s'\n", path,
			schema ? schema : "missing", BENCH_SCHEMA);
	good = good && get_all(root, out);
	json_decref(root);
	if (!good)
		bench_results_free(out);
	return good ? 0 : -EBADMSG;
}
