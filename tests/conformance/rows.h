/* SPDX-License-Identifier: Apache-2.0 */
/* One row a transport (and one with faults injected). Every test of the suite runs on every row:
 * a new transport adds its row here and is tested; there is no opt-in and no opt-out. */
#ifndef DSM_TESTS_ROWS_H
#define DSM_TESTS_ROWS_H

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <string.h>

#include "common/fixture.h"

struct row { char scheme[8], fault[48]; };

/* What a test works with: an engine, and handles on it over the row's transport. */
struct rig {
	struct dsm_engine *engine;
	char name[64], uri[128];
	struct row row;
};

void rig_up(struct rig *rig, const struct row *row);
void rig_down(struct rig *rig);
/* Attaches over the row's transport and asserts that it really was that one. */
struct dsm *rig_attach(struct rig *rig, const char *owner, uint32_t flags);
struct dsm_cell rig_cell(struct dsm *dsm, const char *name);
struct dsm_group rig_group(struct dsm *dsm, const char *name);
void rig_write_f64(struct dsm *dsm, const char *name, double value);
double rig_read_f64(struct dsm *dsm, const char *name);

extern struct row rows[];
extern const size_t row_count;

#define ok(call) cr_assert_eq((call), 0, "%s: %s", #call, dsm_error())
#define fails(call, error) do { int rc_ = (call); cr_assert_eq(rc_, (error), \
	"%s: %d (%s), expected %s", #call, rc_, dsm_error(), #error); } while (0)

#define CONFORMANCE(name) \
	static void name##_on(struct rig *rig); \
	ParameterizedTestParameters(conformance, name) \
	{ return cr_make_param_array(struct row, rows, row_count); } \
	ParameterizedTest(struct row *row, conformance, name, .timeout = 30) \
	{ struct rig rig; rig_up(&rig, row); name##_on(&rig); rig_down(&rig); } \
	static void name##_on(struct rig *rig)

#endif
