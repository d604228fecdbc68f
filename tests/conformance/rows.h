/* SPDX-License-Identifier: Apache-2.0 */
/* One row a transport, a place of the engine, and a fault that is injected. Every test of the suite
 * runs on every row: a new transport adds its row here and is tested; there is no opt-in and
 * no opt-out. */
#ifndef DSM_TESTS_ROWS_H
#define DSM_TESTS_ROWS_H

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <string.h>

#include "common/place.h"

/* where: "here" the engine is in the test's process, "process" in another, else a host. Not here,
 * all owners are `network: true`. */
struct row { char scheme[8], where[64], fault[48]; };

/* What a test works with: an engine, and handles on it over the row's transport. */
struct rig {
	struct place place;
	char uri[128];
	struct row row;
	uint64_t packets;      /* sent by the RDMA device before the test */
};

void rig_up(struct rig *rig, const struct row *row);
void rig_down(struct rig *rig);
/* For a test that stops the engine: then it must not be here. */
void rig_elsewhere(struct rig *rig);
bool rig_is_rdma(const struct rig *rig);
bool rig_is_udp(const struct rig *rig);
bool rig_is_network(const struct rig *rig);
/* enum place_serve */
unsigned rig_serve(const struct rig *rig);
/* The row's address of an engine of that name or, over a network, at that port. */
void rig_uri(const struct rig *rig, const char *name, unsigned port, char uri[128]);
/* Attaches over the row's transport and asserts that it really was that one. */
struct dsm *rig_attach(struct rig *rig, const char *owner, uint32_t flags);
struct dsm_cell rig_cell(struct dsm *dsm, const char *name);
struct dsm_group rig_group(struct dsm *dsm, const char *name);
void rig_write_f64(struct dsm *dsm, const char *name, double value);
double rig_read_f64(struct dsm *dsm, const char *name);

struct row *row_list(size_t *count);

#define ok(call) do { int rc_ = (call); cr_assert_eq(rc_, 0, "%s: %d (%s)", #call, rc_, \
	dsm_error()); } while (0)
#define fails(call, error) do { int rc_ = (call); cr_assert_eq(rc_, (error), \
	"%s: %d (%s), expected %s", #call, rc_, dsm_error(), #error); } while (0)

#define CONFORMANCE(name) \
	static void name##_on(struct rig *rig); \
	ParameterizedTestParameters(conformance, name) \
	{ size_t count_; struct row *rows_ = row_list(&count_); \
	  return cr_make_param_array(struct row, rows_, count_); } \
	ParameterizedTest(struct row *row, conformance, name, .timeout = 60) \
	{ struct rig rig; rig_up(&rig, row); name##_on(&rig); rig_down(&rig); } \
	static void name##_on(struct rig *rig)

#endif
