/* SPDX-License-Identifier: Apache-2.0 */
/* Golden vectors: the directory and a slot as they lie in memory, byte for byte. A change here
 * is a new layout version, with the old vectors kept. DSM_WRITE_VECTORS=1 writes them anew. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/fixture.h"
#include "core/slot.h"
#include "core/writer.h"
#include "engine/region.h"

static void compare(const char *name, const void *data, size_t size)
{
	char path[512];
	const char *folder = getenv("DSM_VECTORS");
	cr_assert_not_null(folder, "DSM_VECTORS names the folder of the golden vectors");
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	if (getenv("DSM_WRITE_VECTORS")) {
		FILE *f = fopen(path, "wb");
		cr_assert(f && fwrite(data, 1, size, f) == size);
		fclose(f);
	}
	unsigned char *golden = malloc(size + 1);
	FILE *f = fopen(path, "rb");
	cr_assert_not_null(f, "%s is missing", path);
	size_t n = fread(golden, 1, size + 1, f);
	fclose(f);
	cr_assert_eq(n, size, "%s: %zu bytes, built %zu", name, n, size);
	for (size_t i = 0; i < size; i++)
		cr_assert_eq(golden[i], ((const unsigned char *)data)[i], "%s: byte %zu differs", name, i);
	free(golden);
}

Test(layout, directory_as_in_version_2)
{
	struct dsm_table *table;
	void *image;
	uint64_t bytes, region, waiters;
	cr_assert_eq(fixture_table(&table), 0);
	cr_assert_eq(table_finish(table), 0);
	cr_assert_eq(directory_build(table, 8192, &image, &bytes, &region, &waiters), 0);
	compare("directory-v2.bin", image, bytes);
	struct view v;
	cr_assert_eq(view_init(&v, image, bytes, 8192, region, waiters), 0, "%s", dsm_error());
	cr_assert_eq(v.cells[view_find_cell(&v, "drilling.rop")].max, 150);
	free(image);
	dsm_table_free(&table);
}

/* An older engine's directory: its pulses lie elsewhere, so it must not pass for one of today. */
Test(layout, directory_of_version_1_is_refused)
{
	char path[512];
	_Alignas(8) static unsigned char old[8192];
	snprintf(path, sizeof(path), "%s/directory-v1.bin", getenv("DSM_VECTORS"));
	FILE *f = fopen(path, "rb");
	cr_assert_not_null(f, "%s is missing", path);
	size_t n = fread(old, 1, sizeof(old), f);
	fclose(f);
	struct view v;
	cr_assert(n > sizeof(struct directory) && n < sizeof(old));
	cr_assert_eq(view_init(&v, old, n, 8192, UINT64_C(1) << 32, 1 << 20), -EBADMSG);
	cr_assert(strstr(dsm_error(), "pulse"), "%s", dsm_error());
}

Test(layout, a_pulse_has_the_line_before_its_ring_for_itself)
{
	struct dsm_table *table;
	struct region *r;
	struct region_params params = { 50, 500, 1, false };
	cr_assert_eq(fixture_table(&table), 0);
	cr_assert_eq(region_build(table, &params, &r), 0, "%s", dsm_error());
	for (uint32_t i = 0; i < r->view.group_count; i++) {
		const struct directory_group *g = &r->view.groups[i];
		const struct directory_owner *o = &r->view.owners[g->owner];
		uint64_t before = sizeof(struct bank_header);
		if (i > o->first_group)
			before = g[-1].ring_offset + g[-1].slots * g[-1].slot_bytes;
		cr_assert_eq(g->pulse_offset + 8, g->ring_offset);
		cr_assert_eq(g->ring_offset % DSM_LINE, 0);
		cr_assert_geq(g->ring_offset, before + DSM_LINE);
		cr_assert_leq(g->ring_offset + g->slots * g->slot_bytes, o->bank_bytes);
		cr_assert_eq((unsigned char *)r->rings[i].pulse + 8, r->rings[i].slots);
	}
	region_free(&r);
	dsm_table_free(&table);
}

/* Numbers that a field of another place or size would show. */
Test(layout, header_owner_line_and_bank_as_in_version_2)
{
	struct { struct region_header header; struct owner_line line; struct bank_header bank; } all = {
		.header = { .magic = DSM_REGION_MAGIC, .layout_version = 2, .header_bytes = 0x03020100,
			.layout_hash = 0x1716151413121110, .generation = 0x1f1e1d1c1b1a1918,
			.directory_offset = 0x2726252423222120, .directory_bytes = 0x2f2e2d2c2b2a2928,
			.banks_offset = 0x3736353433323130, .region_bytes = 0x3f3e3d3c3b3a3938, .owner_count = 0x43424140,
			.group_count = 0x47464544, .cell_count = 0x4b4a4948, .owners_offset = 0x4f4e4d4c,
			.notify_offset = 0x53525150, .counters_offset = 0x57565554, .waiters_bytes = 0x5b5a5958,
			.engine_pid = 0x5f5e5d5c, .engine_uid = 0x63626160, .tick_ms = 0x67666564, .lease_ms = 0x6b6a6968,
			.started_ns = 0x7776757473727170, .heartbeat = 0x8786858483828180, .state = 0x8b8a8988 },
		.line = { .bank_state = 0x9796959493929190, .epoch = 0x9b9a9998, .pid = 0x9f9e9d9c,
			.first_seq = 0xa7a6a5a4a3a2a1a0, .takeovers = 0xafaeadacabaaa9a8 },
		.bank = { .magic = DSM_BANK_MAGIC, .owner = 0xb3b2b1b0, .bank_epoch = 0xb7b6b5b4,
			.generation = 0xbfbebdbcbbbab9b8, .step_complete = 0xc7c6c5c4c3c2c1c0,
			.step_check = 0xcfcecdcccbcac9c8, .owner_tick = 0xd7d6d5d4d3d2d1d0 },
	};
	compare("header-v2.bin", &all, sizeof(all));
}

/* A ring of two slots set up by hand. */
struct hand {
	_Alignas(64) unsigned char slots[2 * 128];
	_Atomic uint64_t pulse;
	struct owner_line line;
};

static struct ring hand_ring(struct hand *h)
{
	memset(h, 0, sizeof(*h));
	atomic_store(&h->line.bank_state, 1 | (uint64_t)DSM_ALIVE << 32);
	return (struct ring){ .slots = h->slots, .pulse = &h->pulse, .line = &h->line, .slot_bytes = 128,
		.payload_bytes = 48, .seed = check_seed(UINT64_C(0x0123456789abcdef), 3), .mask = 1,
		.bank_epoch = 1, .group = 3 };
}

Test(layout, slots_as_in_version_1)
{
	static struct hand h;
	struct ring ring = hand_ring(&h);
	uint64_t image[6] = { 8 | DSM_GOOD, 0x3ff0000000000000, 16 | DSM_BAD, 1, 0, UINT64_MAX };
	for (uint64_t seq = 1; seq <= 3; seq++) {
		struct check_fields f = { seq, slot_epoch_length(&ring, 7), 1700000000000000000u + seq, seq };
		image[3] = seq;
		slot_publish(&ring, &f, image);
	}
	compare("ring-v1.bin", h.slots, sizeof(h.slots));
}

Test(layout, a_slot_that_was_tampered_with_does_not_verify)
{
	static struct hand h;
	struct ring ring = hand_ring(&h);
	uint64_t image[6] = { 1, 2, 3, 4, 5, 6 }, out[6];
	struct slot_meta meta;
	struct check_fields f = { 2, slot_epoch_length(&ring, 7), 99, 1 };
	slot_publish(&ring, &f, image);
	cr_assert_eq(slot_verify(&ring, 2, out, &meta), 0);
	cr_assert_eq(meta.seq, 2);
	for (size_t byte = 0; byte < DSM_SLOT_HEADER + 48; byte++) {
		h.slots[byte] ^= 0x10;
		cr_assert_neq(slot_verify(&ring, 2, out, &meta), 0, "byte %zu", byte);
		h.slots[byte] ^= 0x10;
	}
	ring.seed++; /* another generation, or another group */
	cr_assert_neq(slot_verify(&ring, 2, out, &meta), 0);
	ring.seed--;
	ring.bank_epoch = 2;
	cr_assert_eq(slot_verify(&ring, 2, out, &meta), -ESTALE);
}

Test(layout, scrub_leaves_only_what_verifies)
{
	/* through the engine's own function, on a region built from the fixture's table */
	struct dsm_table *table;
	struct region *r;
	struct region_params params = { 50, 500, 1, false };
	cr_assert_eq(fixture_table(&table), 0);
	cr_assert_eq(region_build(table, &params, &r), 0, "%s", dsm_error());
	uint32_t g = view_find_group(&r->view, "setpoints");
	struct ring *ring = &r->rings[g];
	uint32_t owner = r->view.groups[g].owner;
	uint64_t *image = calloc(1, ring->payload_bytes);
	for (uint64_t seq = 1; seq <= 5; seq++) {
		struct check_fields f = { seq, slot_epoch_length(ring, 1), seq, seq };
		slot_publish(ring, &f, image);
	}
	/* torn slots of a remote writer: the newest is not whole, though its pulse has landed */
	atomic_fetch_xor(&slot_at(ring, 5)->payload[0], 1);
	atomic_fetch_xor(&slot_at(ring, 2)->check, 1);
	cr_assert_eq(takeover_scrub(r, owner), 2);
	cr_assert_eq(atomic_load(ring->pulse), 4);
	cr_assert_eq(atomic_load(&slot_at(ring, 5)->seq), 0);
	cr_assert_eq(atomic_load(&slot_at(ring, 5)->check), 0);
	cr_assert_eq(takeover_scrub(r, owner), 0);
	cr_assert_eq(takeover_grant(r, owner, 1), 1);
	cr_assert_eq(atomic_load(&r->lines[owner].first_seq), 5);
	free(image);
	region_free(&r);
	dsm_table_free(&table);
}
