/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/ingest_server_roles.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <dsm/devices.h>

#include "core/error.h"
#include "engine/engine.h"
#include "wire/adc.h"

#define RETRY_NS UINT64_C(1000000000)
#define ATTACH_TIMEOUT_MS 500u

int roles_new(const struct ingest *ingest, struct roles **out)
{
	struct roles *r = calloc(1, sizeof(*r));
	if (r)
		r->role = calloc(ingest_devices(ingest), sizeof(*r->role));
	if (!r || !r->role) {
		free(r);
		return dsm__fail(-ENOMEM, "adc: no memory");
	}
	r->count = ingest_devices(ingest);
	*out = r;
	for (uint32_t d = 0; d < r->count; d++) {
		struct ingest_info info;
		ingest_info(ingest, d, 0, &info);
		r->role[d].info = info;
		r->role[d].inputs = info.inputs;
		r->role[d].id = info.id;
		r->role[d].tick_us = info.tick_us;
		r->role[d].cells = calloc(info.inputs, sizeof(*r->role[d].cells));
		if (!r->role[d].cells)
			return dsm__fail(-ENOMEM, "adc: no memory");
	}
	return 0;
}

void roles_free(struct roles **roles)
{
	if (!*roles)
		return;
	for (uint32_t d = 0; d < (*roles)->count; d++) {
		dsm_detach(&(*roles)->role[d].dsm);
		free((*roles)->role[d].cells);
	}
	free((*roles)->role);
	free(*roles);
	*roles = NULL;
}

void roles_carry(struct roles *roles, const struct ingest *ingest)
{
	for (uint32_t d = 0; d < roles->count; d++) {
		struct ingest_info info;
		ingest_info(ingest, d, 0, &info);
		roles->role[d].presses_known = info.heard;
		roles->role[d].wanted = info.alive;
	}
}

uint32_t roles_tick_us(const struct roles *roles, uint32_t device_id)
{
	for (uint32_t d = 0; roles && d < roles->count; d++)
		if (roles->role[d].id == device_id)
			return roles->role[d].tick_us;
	return DEVICE_TICK_US_DEFAULT;
}

/* ---- holding --------------------------------------------------------------------------- */

/* Counts go on from what the cells hold, be it restored from the state file or still there. */
static void add_presses(struct ingest_server *s, uint32_t d)
{
	struct role *role = &s->roles->role[d];
	for (uint32_t i = 0; i < role->inputs; i++) {
		struct dsm_sample sample;
		if (!ingest_counts_presses(s->ingest, d, i) || dsm_read(role->dsm, role->cells[i], &sample) ||
		    sample.quality == DSM_NEVER_WRITTEN)
			continue;
		ingest_add_presses(s->ingest, d, i, sample.value.u64);
	}
	role->presses_known = true;
}

static int claim(struct ingest_server *s, uint32_t d, const struct ingest_info *info)
{
	struct role *role = &s->roles->role[d];
	struct dsm_options o = DSM_OPTIONS_INIT;
	char program[32];
	snprintf(program, sizeof(program), "adc:%.27s", info->name);
	o.owner = info->owner;
	o.flags = DSM_MANUAL;
	o.attach_timeout_ms = ATTACH_TIMEOUT_MS;
	o.program = program;
	o.clock = s->engine->options.clock;
	int rc = dsm_engine_attach(s->engine, &o, &role->dsm);
	for (uint32_t i = 0; rc == 0 && i < role->inputs; i++) {
		enum dsm_type type;
		rc = dsm_cell(role->dsm, ingest_cell(s->ingest, d, i, &type), &role->cells[i]);
	}
	if (rc)
		dsm_detach(&role->dsm);
	return rc;
}

static void take_role(struct ingest_server *s, uint32_t d)
{
	struct role *role = &s->roles->role[d];
	struct ingest_info info;
	uint64_t now = clock_now(s->engine->clock);
	if (role->dsm || now < role->retry_ns)
		return;
	ingest_info(s->ingest, d, now, &info);
	if (claim(s, d, &info)) {
		if (!role->told)
			engine_log(s->engine, "adc: %s: the role \"%s\" cannot be had: %s", info.name, info.owner, dsm_error());
		role->told = true;
		role->retry_ns = clock_now(s->engine->clock) + RETRY_NS;
		return;
	}
	role->told = false;
	if (!role->presses_known)
		add_presses(s, d);
}

void roles_give_back(struct ingest_server *s)
{
	for (uint32_t d = 0; s->roles && d < s->roles->count; d++) {
		dsm_detach(&s->roles->role[d].dsm);
		s->roles->role[d].retry_ns = 0;
	}
}

void roles_tick(struct ingest_server *s)
{
	for (uint32_t d = 0; d < s->roles->count; d++) {
		struct role *role = &s->roles->role[d];
		if (role->wanted)
			take_role(s, d);
		if (role->dsm)
			dsm_dispatch(role->dsm);
	}
}

/* ---- the sink -------------------------------------------------------------------------- */

void roles_alive(void *context, uint32_t d, bool alive)
{
	struct ingest_server *s = context;
	struct ingest_info info;
	if (s->roles == NULL || d >= s->roles->count)
		return; /* a reload: roles_carry() sees to it */
	struct role *role = &s->roles->role[d];
	ingest_info(s->ingest, d, clock_now(s->engine->clock), &info);
	role->wanted = alive;
	if (!alive) {
		dsm_detach(&role->dsm);
		engine_log(s->engine, "adc: %s: silent for %u ticks, its owner \"%s\" is not alive", info.name,
			INGEST_SILENT_TICKS, info.owner);
		return;
	}
	char from[80];
	ingest_source_text(&info.source, from, sizeof(from));
	engine_log(s->engine, "adc: %s: alive at %s, epoch %u, last reset: %s%s", info.name, from, info.epoch,
		dsm_device_reset_name((enum dsm_device_reset)(info.flags & ADC_RESET_BITS)), info.flags & ADC_NO_EPOCH ? "; it cannot store its boot counter" : "");
	role->retry_ns = 0;
	take_role(s, d);
}

static int set_one(struct role *role, const struct ingest_value *v)
{
	struct dsm_cell cell = role->cells[v->input];
	if (v->quality == DSM_BAD)
		return dsm_set_quality(role->dsm, cell, DSM_BAD);
	int rc = dsm_set(role->dsm, cell, &v->value);
	return rc || v->quality == DSM_GOOD ? rc : dsm_set_quality(role->dsm, cell, v->quality);
}

int roles_commit(void *context, uint32_t d, const struct ingest_value *values, uint32_t n, uint64_t age_ns)
{
	struct ingest_server *s = context;
	struct role *role = &s->roles->role[d];
	if (!role->dsm)
		return -ENOTCONN; /* roles_tick() tries again */
	int rc = dsm_begin(role->dsm, clock_stamp(s->engine->clock) - (int64_t)age_ns);
	for (uint32_t i = 0; rc == 0 && i < n; i++)
		rc = set_one(role, &values[i]);
	if (rc == 0)
		rc = dsm_commit(role->dsm, NULL);
	if (rc == 0)
		return 0;
	dsm_abort(role->dsm);
	if (rc == -EOWNERDEAD || rc == -ESTALE || rc == -EXDEV || rc == -ENOTCONN) {
		dsm_detach(&role->dsm);
		role->retry_ns = clock_now(s->engine->clock) + RETRY_NS;
	}
	return rc;
}
