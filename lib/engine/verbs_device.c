/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/verbs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"

/* An id bound to an address of the device. The CM tells every id on a device that it goes away;
 * without clients there would be none, and `rdma link del` would wait for librdmacm's descriptors. */
static void post_sentinel(struct dsm_engine *e, struct device *d, struct rdma_cm_id *id)
{
	struct sockaddr_storage address;
	memcpy(&address, rdma_get_local_addr(id), sizeof(address));
	if (address.ss_family == AF_INET)
		((struct sockaddr_in *)&address)->sin_port = 0;
	else
		((struct sockaddr_in6 *)&address)->sin6_port = 0;
	if (rdma_create_id(e->verbs->channel, &d->sentinel, NULL, RDMA_PS_TCP)) {
		d->sentinel = NULL;
	} else if (rdma_bind_addr(d->sentinel, (struct sockaddr *)&address) ||
		   d->sentinel->verbs != d->verbs) {
		rdma_destroy_id(d->sentinel);
		d->sentinel = NULL;
	}
	if (!d->sentinel) {
		dsm__fail(-EIO, "rdma: the removal of device %s will not be noticed while it has no clients",
			ibv_get_device_name(d->verbs->device));
		verbs_trouble(e);
	}
}

int device_get(struct dsm_engine *e, struct rdma_cm_id *id, struct device **out)
{
	for (struct device *d = e->verbs->devices; d; d = d->next)
		if (d->verbs == id->verbs && !d->gone) {
			*out = d;
			return 0;
		}
	struct device *d = calloc(1, sizeof(*d));
	if (!d)
		return dsm__fail(-ENOMEM, "no memory for a device");
	int rc = dsm__rdma_hold(id->verbs);
	if (rc) {
		free(d);
		return rc;
	}
	d->verbs = id->verbs;
	d->port = id->port_num;
	d->pd = ibv_alloc_pd(d->verbs);
	if (!d->pd) {
		rc = dsm__fail(errno ? -errno : -ENOMEM, "rdma: no protection domain: %s", strerror(errno));
		dsm__rdma_release(d->verbs, false);
		free(d);
		return rc;
	}
	post_sentinel(e, d, id);
	d->next = e->verbs->devices;
	e->verbs->devices = d;
	*out = d;
	return 0;
}

static struct ibv_mr *readable(struct dsm_engine *e, struct device *d, void *at, uint64_t bytes,
	const char *what)
{
	struct ibv_mr *mr = ibv_reg_mr(d->pd, at, bytes, IBV_ACCESS_REMOTE_READ);
	if (mr)
		return mr;
	int error = errno ? errno : ENOMEM;
	dsm__fail(-error, "rdma: the engine's device does not take %llu bytes of %s for reading: %s%s",
		(unsigned long long)bytes, what, strerror(error), error == ENOMEM ?
		"; the limit of locked memory is too low? see `ulimit -l`, LimitMEMLOCK" : "");
	verbs_trouble(e);
	return NULL;
}

int device_base(struct dsm_engine *e, struct device *d)
{
	struct region *r = e->region;
	if (!d->base)
		d->base = readable(e, d, r->base, r->header->banks_offset, "the directory");
	if (!d->banks && d->base) {
		d->bank_count = r->view.owner_count;
		d->banks = calloc(d->bank_count, sizeof(*d->banks));
		if (!d->banks)
			return dsm__fail(-ENOMEM, "no memory for %u owners", d->bank_count);
	}
	return d->base ? 0 : -ENOMEM;
}

static unsigned char *bank_at(const struct region *r, uint32_t owner)
{
	return r->base + r->view.owners[owner].bank_offset;
}

uint64_t device_take_bank(struct dsm_engine *e, struct device *d, uint32_t owner)
{
	uint64_t bytes = e->region->view.owners[owner].bank_bytes;
	if (owner >= d->bank_count || d->banks[owner])
		return 0;
	d->banks[owner] = readable(e, d, bank_at(e->region, owner), bytes, "a bank");
	return bytes;
}

void device_bank(struct dsm_engine *e, struct device *d, uint32_t owner, struct control_bank *out)
{
	*out = (struct control_bank){ .epoch = e->region->banks[owner].bank_epoch };
	if (owner < d->bank_count && d->banks[owner]) {
		out->rkey = d->banks[owner]->rkey;
		out->addr = (uintptr_t)bank_at(e->region, owner);
	}
}

void device_bank_leaves(struct device *d, uint32_t owner)
{
	if (owner >= d->bank_count || !d->banks[owner])
		return;
	ibv_dereg_mr(d->banks[owner]);
	d->banks[owner] = NULL;
}

void device_forget_region(struct device *d)
{
	for (uint32_t i = 0; i < d->bank_count; i++)
		device_bank_leaves(d, i);
	free(d->banks);
	d->banks = NULL;
	d->bank_count = 0;
	if (d->base)
		ibv_dereg_mr(d->base);
	d->base = NULL;
}

/* ---- good-byes ---- */

struct farewell {
	struct rdma_cm_id *id;
	struct farewell *next;
};

void device_byes(struct device *d, uint64_t now, bool all)
{
	while (d->farewells && (all || rc_may_speak(d->verbs, d->port, now, &d->trouble_ns))) {
		struct farewell *f = d->farewells;
		d->farewells = f->next;
		rdma_destroy_id(f->id);
		free(f);
	}
}

void device_bye(struct dsm_engine *e, struct device *d, struct rdma_cm_id *id, bool broken)
{
	uint64_t now = clock_now(e->clock);
	struct farewell *f = NULL;
	if (broken)
		d->trouble_ns = now;
	if (!d->gone && (broken || !rc_may_speak(d->verbs, d->port, now, &d->trouble_ns)))
		f = malloc(sizeof(*f));
	if (!f) {
		rdma_destroy_id(id);
		return;
	}
	id->context = NULL; /* what happens to it concerns nobody */
	*f = (struct farewell){ id, d->farewells };
	d->farewells = f;
}

void device_close(struct dsm_engine *e, struct device *d, bool removed)
{
	struct device **at = &e->verbs->devices;
	while (*at && *at != d)
		at = &(*at)->next;
	if (*at)
		*at = d->next;
	device_byes(d, 0, true);
	device_forget_region(d);
	ibv_dealloc_pd(d->pd);
	if (d->sentinel)
		rdma_destroy_id(d->sentinel);
	dsm__rdma_release(d->verbs, removed);
	free(d);
}
