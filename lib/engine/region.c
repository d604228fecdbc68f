/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/region.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/error.h"

/* nor may a holder of a writable descriptor add F_SEAL_FUTURE_WRITE and lock out who comes later */
#define SEALS_SIZE (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

static int memory_failed(int error, const char *what, uint64_t bytes)
{
	return dsm__fail(-error, "cannot get %llu bytes of memory for %s: %s", (unsigned long long)bytes,
		what, strerror(error));
}

int region_memory(const char *what, uint64_t bytes, void *at, int *fd, int *read_fd)
{
	char path[64];
	int made = memfd_create(what, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (made < 0)
		return memory_failed(errno, what, bytes);
	/* born 0777: another user could re-open a read-only descriptor for writing */
	if (fchmod(made, 0400) || ftruncate(made, (off_t)bytes) || fallocate(made, 0, 0, (off_t)bytes))
		goto failed;
	if (at && mmap(at, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, made, 0) == MAP_FAILED)
		goto failed;
	if (at)
		madvise(at, bytes, MADV_DONTFORK);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", made);
	*read_fd = open(path, O_RDONLY | O_CLOEXEC);
	if (*read_fd < 0)
		goto failed;
	*fd = made;
	return 0;
failed:;
	int error = errno;
	close(made);
	return memory_failed(error, what, bytes);
}

static int seal(int fd, int seals)
{
	return fcntl(fd, F_ADD_SEALS, seals) ? dsm__fail(-errno, "cannot seal memory: %s",
		strerror(errno)) : 0;
}

/* ---- parts ---- */

static uint64_t header_bytes(const struct dsm_table *t, struct region_header *h)
{
	uint64_t at = sizeof(*h);
	h->owners_offset = (uint32_t)at;
	at += sizeof(struct owner_line) * (uint64_t)t->owner_count;
	h->counters_offset = (uint32_t)at;
	at += 8ull * DSM_COUNTERS;
	h->notify_offset = (uint32_t)at;
	at += 4ull * t->group_count;
	return round_up(at, DSM_PAGE);
}

static int make_header(struct region *r, const struct region_header *plan)
{
	int fd;
	int rc = region_memory("dsm-header", plan->header_bytes, r->base, &fd, &r->header_fd);
	if (rc)
		return rc;
	rc = seal(fd, SEALS_SIZE | F_SEAL_FUTURE_WRITE);
	close(fd);
	r->header = (void *)r->base;
	memcpy(r->base, plan, sizeof(*plan));
	r->lines = (void *)(r->base + plan->owners_offset);
	r->counters = (void *)(r->base + plan->counters_offset);
	r->notify = (void *)(r->base + plan->notify_offset);
	return rc;
}

/* Written once, then sealed against any writing: clients validate it and need no copy. */
static int make_directory(struct region *r, uint64_t offset, const void *image, uint64_t bytes)
{
	int fd;
	uint64_t room = round_up(bytes, DSM_PAGE);
	unsigned char *at = r->base + offset;
	int rc = region_memory("dsm-directory", room, at, &fd, &r->directory_fd);
	if (rc)
		return rc;
	memcpy(at, image, bytes);
	/* F_SEAL_WRITE wants no writable mapping, so map it again for reading */
	if (mmap(at, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
		rc = memory_failed(errno, "dsm-directory", room);
	if (rc == 0)
		rc = seal(fd, SEALS_SIZE | F_SEAL_WRITE);
	/* private: what cannot be written any more looks the same, and Linux before 6.2 registers a
	 * shared mapping for an RDMA device only if it can be written */
	if (rc == 0 && mmap(at, room, PROT_READ, MAP_PRIVATE | MAP_FIXED, r->directory_fd, 0) == MAP_FAILED)
		rc = memory_failed(errno, "dsm-directory", room);
	if (rc == 0)
		madvise(at, room, MADV_DONTFORK);
	close(fd);
	r->directory_bytes = bytes;
	return rc;
}

static int make_waiters(struct region *r)
{
	int read_fd;
	int rc = region_memory("dsm-waiters", r->waiters_bytes, NULL, &r->waiters_fd, &read_fd);
	if (rc)
		return rc;
	close(read_fd);
	rc = seal(r->waiters_fd, SEALS_SIZE);
	void *at = mmap(NULL, r->waiters_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, r->waiters_fd, 0);
	if (at == MAP_FAILED)
		return memory_failed(errno, "dsm-waiters", r->waiters_bytes);
	r->waiters = at;
	return rc;
}

void region_init_bank(struct region *r, uint32_t owner, uint32_t bank_epoch)
{
	struct bank_header *b = (void *)(r->base + r->view.owners[owner].bank_offset);
	b->magic = DSM_BANK_MAGIC;
	b->owner = owner;
	b->bank_epoch = bank_epoch;
	b->generation = r->generation;
	if (atomic_load_explicit(&b->step_complete, memory_order_relaxed) == 0)
		step_store(b, r->generation, 0);
}

void region_point_rings(struct region *r, uint32_t owner)
{
	const struct directory_owner *o = &r->view.owners[owner];
	unsigned char *base = r->base + o->bank_offset;
	for (uint32_t i = o->first_group; i < o->first_group + o->group_count; i++) {
		const struct directory_group *g = &r->view.groups[i];
		r->rings[i] = (struct ring){ .slots = base + g->ring_offset,
			.pulse = (void *)(base + g->pulse_offset), .line = &r->lines[owner],
			.slot_bytes = g->slot_bytes, .payload_bytes = g->payload_bytes,
			.seed = check_seed(r->generation, i), .mask = g->slots - 1,
			.bank_epoch = r->banks[owner].bank_epoch, .group = i,
			.flags = (o->flags & OWNER_NETWORK ? RING_VERIFY : 0u) |
				(g->flags & DSM_GROUP_UNCHECKED ? RING_UNCHECKED : 0u) };
	}
}

static int make_banks(struct region *r)
{
	for (uint32_t i = 0; i < r->view.owner_count; i++) {
		const struct directory_owner *o = &r->view.owners[i];
		int rc = region_memory("dsm-bank", o->bank_bytes, r->base + o->bank_offset,
			&r->banks[i].fd, &r->banks[i].read_fd);
		/* the engine's own bank (0) can never be mapped writable by anybody again */
		if (rc == 0)
			rc = seal(r->banks[i].fd, SEALS_SIZE | (i == 0 ? F_SEAL_FUTURE_WRITE : 0));
		if (rc)
			return rc;
		r->banks[i].bank_epoch = 1;
		region_init_bank(r, i, 1);
		atomic_store_explicit(&r->lines[i].bank_state, 1 | (uint64_t)DSM_VACANT << 32,
			memory_order_relaxed);
		region_point_rings(r, i);
	}
	return 0;
}

static int reserve(struct region *r)
{
	r->base = mmap(NULL, r->bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (r->base == MAP_FAILED) {
		r->base = NULL;
		return memory_failed(errno, "the region's addresses", r->bytes);
	}
	return 0;
}

static int alloc_tables(struct region *r, const struct view *v)
{
	uint64_t largest = 8;
	for (uint32_t i = 0; i < v->group_count; i++)
		if (v->groups[i].payload_bytes > largest)
			largest = v->groups[i].payload_bytes;
	r->banks = calloc(v->owner_count, sizeof(*r->banks));
	r->rings = calloc(v->group_count ? v->group_count : 1, sizeof(*r->rings));
	r->scratch = malloc(largest);
	for (uint32_t i = 0; r->banks && i < v->owner_count; i++)
		r->banks[i].fd = r->banks[i].read_fd = -1;
	return r->banks && r->rings && r->scratch ? 0 :
		dsm__fail(-ENOMEM, "no memory for %u groups", v->group_count);
}

/* Everything but the header's layout version, which publishes the region. */
static int build_parts(struct region *r, const struct dsm_table *t, struct region_header *plan)
{
	void *image;
	uint64_t directory_offset = plan->header_bytes;
	uint64_t bytes = 0;
	/* twice: the directory's size decides where the banks begin */
	int rc = directory_build(t, 0, &image, &bytes, &r->bytes, &r->waiters_bytes);
	if (rc)
		return rc;
	free(image);
	plan->banks_offset = directory_offset + round_up(bytes, DSM_PAGE);
	rc = directory_build(t, plan->banks_offset, &image, &bytes, &r->bytes, &r->waiters_bytes);
	if (rc)
		return rc;
	plan->directory_offset = directory_offset;
	plan->directory_bytes = bytes;
	plan->region_bytes = r->bytes;
	plan->waiters_bytes = (uint32_t)r->waiters_bytes;
	plan->layout_hash = directory_hash(image, bytes);
	rc = reserve(r);
	if (rc == 0)
		rc = make_header(r, plan);
	if (rc == 0)
		rc = make_directory(r, directory_offset, image, bytes);
	free(image);
	if (rc == 0)
		rc = view_init(&r->view, r->base + directory_offset, bytes, plan->banks_offset,
			r->bytes, r->waiters_bytes);
	if (rc == 0)
		rc = alloc_tables(r, &r->view);
	if (rc == 0)
		rc = make_waiters(r);
	return rc ? rc : make_banks(r);
}

static int lock(struct region *r)
{
	uint64_t bytes = r->bytes + r->waiters_bytes;
	if (mlock(r->base, r->bytes) || mlock(r->waiters, r->waiters_bytes))
		return dsm__fail(-errno, "cannot lock %llu bytes of memory: %s; raise LimitMEMLOCK or `ulimit -l`",
			(unsigned long long)bytes, strerror(errno));
	r->locked = true;
	return 0;
}

int region_build(const struct dsm_table *table, const struct region_params *params, struct region **out)
{
	int rc = table_finish(table);
	if (rc)
		return rc;
	struct region *r = calloc(1, sizeof(*r));
	if (!r)
		return dsm__fail(-ENOMEM, "no memory for a region");
	r->header_fd = r->directory_fd = r->waiters_fd = -1;
	struct region_header plan = { .magic = DSM_REGION_MAGIC, .owner_count = table->owner_count,
		.group_count = table->group_count, .cell_count = table->cell_count,
		.engine_pid = (uint32_t)getpid(), .engine_uid = geteuid(), .tick_ms = params->tick_ms,
		.lease_ms = params->lease_ms, .started_ns = params->started_ns };
	plan.header_bytes = (uint32_t)header_bytes(table, &plan);
	while (plan.generation == 0)
		if (getrandom(&plan.generation, sizeof(plan.generation), 0) < 0)
			plan.generation = (uint64_t)params->started_ns;
	r->generation = plan.generation;
	rc = build_parts(r, table, &plan);
	if (rc == 0 && params->lock_memory)
		rc = lock(r);
	if (rc) {
		region_free(&r);
		return rc;
	}
	atomic_store_explicit(&r->header->state, REGION_RUNNING, memory_order_relaxed);
	/* last: pairs with the acquire in the transports' check of the header */
	atomic_store_explicit(&r->header->layout_version, DSM_LAYOUT_VERSION, memory_order_release);
	*out = r;
	return 0;
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

void region_free(struct region **region)
{
	struct region *r = *region;
	if (!r)
		return;
	if (r->header)
		atomic_store_explicit(&r->header->state, REGION_ENDED, memory_order_release);
	for (uint32_t i = 0; r->banks && i < r->view.owner_count; i++) {
		close_fd(r->banks[i].fd);
		close_fd(r->banks[i].read_fd);
	}
	close_fd(r->header_fd);
	close_fd(r->directory_fd);
	close_fd(r->waiters_fd);
	if (r->waiters)
		munmap(r->waiters, r->waiters_bytes);
	if (r->base)
		munmap(r->base, r->bytes);
	free(r->banks);
	free(r->rings);
	free(r->scratch);
	free(r);
	*region = NULL;
}
