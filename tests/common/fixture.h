/* SPDX-License-Identifier: Apache-2.0 */
/* A small rig for tests: an engine in this process under a name of its own, with every type of
 * cell and four owners. */
#ifndef DSM_TESTS_FIXTURE_H
#define DSM_TESTS_FIXTURE_H

#include <dsm/engine.h>

/* owners: engine, sensors, operator, remote (network: true)
 *   drilling   engine    rop f64 0..150 refuse, wob f64 0..50 clamp, on bool, mode string(16),
 *                        count i64, ticks u64, raw bytes(8), wave f64[4]
 *   sensors.a  sensors   x f64, y f64           sensors.b  sensors  x f64, y f64
 *   setpoints  operator  rop f64 0..100 refuse, note string(32), n i64
 *   remote     remote    v u64, w u64           big  sensors  data bytes(1 MiB)
 *   aging      sensors   v f64, max_age 100 ms
 */
int fixture_table(struct dsm_table **out);
/* The same with one group more. */
int fixture_other_table(struct dsm_table **out);
enum fixture_flags {
	FIXTURE_NETWORK = 1, /* every owner may attach through a network */
	FIXTURE_OTHER = 2,   /* the other table */
	FIXTURE_WIDE = 4,    /* sensors.wide, K = 2: data bytes(8128): of several packets */
};
int fixture_table_of(unsigned flags, struct dsm_table **out);
/* Opens an engine; `name` (64 bytes) gets its name. opts may be NULL. */
int fixture_engine(const struct dsm_engine_options *opts, char name[64], struct dsm_engine **out);
int fixture_engine_of(unsigned flags, const struct dsm_engine_options *opts, char name[64],
	struct dsm_engine **out);
/* One commit by the engine itself, which then lets go of its groups again. */
struct fixture_value { const char *cell; struct dsm_value value; };
int fixture_commit(struct dsm_engine *engine, int64_t time_ns, const struct fixture_value *values,
	unsigned n);
/* "scheme://name" as transport row `scheme` needs it. */
void fixture_uri(const char *scheme, const char *name, char uri[128]);

#endif
