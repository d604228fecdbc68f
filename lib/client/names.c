/* SPDX-License-Identifier: Apache-2.0 */
/* The table as seen by a client: look-up and description. */
#include <errno.h>

#include "client/handle.h"
#include "core/glob.h"
#include "core/near.h"

static int no_such(struct dsm *dsm, const char *name, bool group)
{
	const struct view *v = &dsm->link->view;
	struct near near;
	char offer[300];
	near_begin(&near, name);
	for (uint32_t i = 0; group && i < v->group_count; i++)
		near_offer(&near, view_text(v, v->groups[i].name));
	for (uint32_t i = 0; !group && i < v->cell_count; i++)
		near_offer(&near, view_text(v, v->cells[i].name));
	near_text(&near, offer, sizeof(offer));
	return dsm__fail(-ENOENT, "no %s \"%s\" in the table of %s%s", group ? "group" : "cell", name,
		dsm->link->uri, offer[0] ? offer : "; `dsm ls` shows all");
}

int dsm_cell(struct dsm *dsm, const char *name, struct dsm_cell *out)
{
	int rc = handle_check(dsm);
	if (rc)
		return rc;
	if (!name || !out)
		return dsm__fail(-EINVAL, "dsm_cell(): null pointer");
	uint32_t i = view_find_cell(&dsm->link->view, name);
	if (i == DSM_NONE)
		return no_such(dsm, name, false);
	out->id = handle_id(dsm, i);
	return 0;
}

int dsm_group(struct dsm *dsm, const char *name, struct dsm_group *out)
{
	int rc = handle_check(dsm);
	if (rc)
		return rc;
	if (!name || !out)
		return dsm__fail(-EINVAL, "dsm_group(): null pointer");
	uint32_t i = view_find_group(&dsm->link->view, name);
	if (i == DSM_NONE)
		return no_such(dsm, name, true);
	out->id = handle_id(dsm, i);
	return 0;
}

static void cell_info(const struct dsm *dsm, uint32_t i, struct dsm_cell_info *out)
{
	const struct view *v = &dsm->link->view;
	const struct directory_cell *c = &v->cells[i];
	const struct directory_group *g = &v->groups[c->group];
	*out = (struct dsm_cell_info){ .cell = { handle_id(dsm, i) }, .group = { handle_id(dsm, c->group) },
		.name = view_text(v, c->name), .group_name = view_text(v, g->name),
		.owner_name = view_text(v, v->owners[g->owner].name), .unit = view_text(v, c->unit),
		.description = view_text(v, c->description), .type = (enum dsm_type)c->type,
		.capacity = payload_is_scalar((enum dsm_type)c->type) ? 1 : c->capacity,
		.flags = c->flags, .min = c->min, .max = c->max, .precision = c->precision };
}

int dsm_cell_info(struct dsm *dsm, struct dsm_cell cell, struct dsm_cell_info *out)
{
	uint32_t i;
	int rc = handle_check(dsm);
	if (rc || (rc = handle_cell(dsm, cell, &i)) != 0)
		return rc;
	if (!out)
		return dsm__fail(-EINVAL, "dsm_cell_info(): null pointer");
	cell_info(dsm, i, out);
	return 0;
}

static void group_info(const struct dsm *dsm, uint32_t i, struct dsm_group_info *out)
{
	const struct view *v = &dsm->link->view;
	const struct directory_group *g = &v->groups[i];
	*out = (struct dsm_group_info){ .group = { handle_id(dsm, i) }, .name = view_text(v, g->name),
		.owner_name = view_text(v, v->owners[g->owner].name),
		.description = view_text(v, g->description), .owner = g->owner, .cells = g->cell_count,
		.slots = g->slots, .flags = g->flags, .payload_bytes = g->payload_bytes,
		.slot_bytes = g->slot_bytes, .max_age_ms = g->max_age_ms,
		.seq = dsm->ops->newest(dsm->conn, i) };
}

int dsm_group_info(struct dsm *dsm, struct dsm_group group, struct dsm_group_info *out)
{
	uint32_t i;
	int rc = handle_check(dsm);
	if (rc || (rc = handle_group(dsm, group, &i)) != 0)
		return rc;
	if (!out)
		return dsm__fail(-EINVAL, "dsm_group_info(): null pointer");
	group_info(dsm, i, out);
	return 0;
}

int dsm_owner_info(struct dsm *dsm, uint32_t index, struct dsm_owner_info *out)
{
	int rc = handle_check(dsm);
	if (rc)
		return rc;
	if (!out)
		return dsm__fail(-EINVAL, "dsm_owner_info(): null pointer");
	const struct view *v = &dsm->link->view;
	if (index >= v->owner_count)
		return dsm__fail(-ERANGE, "owner %u: the table has %u", index, v->owner_count);
	*out = (struct dsm_owner_info){ .index = index, .name = view_text(v, v->owners[index].name),
		.groups = v->owners[index].group_count, .network = v->owners[index].flags & OWNER_NETWORK };
	handle_begin(dsm);
	uint64_t word = dsm->ops->owner_line(dsm->conn, index, &out->epoch, &out->pid, &out->step);
	out->state = (enum dsm_owner_state)(word >> 32);
	return 0;
}

int dsm_region_info(struct dsm *dsm, struct dsm_region_info *out)
{
	int rc = handle_check(dsm);
	if (rc)
		return rc;
	if (!out)
		return dsm__fail(-EINVAL, "dsm_region_info(): null pointer");
	const struct view *v = &dsm->link->view;
	const struct region_header *h = dsm->ops->header(dsm->conn);
	pthread_mutex_lock(&dsm->lock);
	*out = (struct dsm_region_info){ .name = view_text(v, v->head->region_name),
		.uri = dsm->link->uri, .transport = dsm->ops->scheme, .reason = dsm->link->reason,
		.generation = h->generation, .layout_hash = h->layout_hash, .bytes = h->region_bytes,
		.owners = v->owner_count, .groups = v->group_count, .cells = v->cell_count,
		.layout_version = DSM_LAYOUT_VERSION, .engine_pid = h->engine_pid,
		.engine_uid = h->engine_uid, .heartbeat = dsm->heartbeat,
		.heartbeat_age_ms = (clock_now(dsm->clock) - dsm->moved_ns) / 1000000u,
		.lease_ms = h->lease_ms, .tick_ms = h->tick_ms, .started_ns = h->started_ns };
	pthread_mutex_unlock(&dsm->lock);
	return 0;
}

int dsm_foreach_cell(struct dsm *dsm, const char *glob,
	int (*fn)(const struct dsm_cell_info *info, void *context), void *context)
{
	struct dsm_cell_info info;
	int rc = handle_check(dsm);
	if (rc == 0 && !fn)
		rc = dsm__fail(-EINVAL, "dsm_foreach_cell(): null pointer");
	uint32_t tag = rc ? 0 : handle_tag(dsm);
	for (uint32_t i = 0; rc == 0 && i < dsm->link->view.cell_count; i++) {
		cell_info(dsm, i, &info);
		if (!glob || glob_match(glob, info.name))
			rc = fn(&info, context);
		if (rc == 0 && handle_tag(dsm) != tag)
			rc = dsm__fail(-ESTALE, "the table was replaced during the walk: start again");
	}
	return rc;
}

int dsm_foreach_group(struct dsm *dsm, const char *glob,
	int (*fn)(const struct dsm_group_info *info, void *context), void *context)
{
	struct dsm_group_info info;
	int rc = handle_check(dsm);
	if (rc == 0 && !fn)
		rc = dsm__fail(-EINVAL, "dsm_foreach_group(): null pointer");
	uint32_t tag = rc ? 0 : handle_tag(dsm);
	for (uint32_t i = 0; rc == 0 && i < dsm->link->view.group_count; i++) {
		group_info(dsm, i, &info);
		if (!glob || glob_match(glob, info.name))
			rc = fn(&info, context);
		if (rc == 0 && handle_tag(dsm) != tag)
			rc = dsm__fail(-ESTALE, "the table was replaced during the walk: start again");
	}
	return rc;
}
