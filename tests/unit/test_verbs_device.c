/* SPDX-License-Identifier: Apache-2.0 */
/* Devices that can less than others: what they can is asked, and what they cannot is done without. */
#include <criterion/criterion.h>
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "core/error.h"
#include "verbs_library.h"

/* Attaches as owner 1, with its own bank and all others mapped. */
static int own(struct scene *s)
{
	const struct directory_owner *o = &s->region->view.owners[1];
	s->keys.own_addr = (uintptr_t)(s->region->base + o->bank_offset);
	s->keys.own_bytes = o->bank_bytes;
	scene_keys(s);
	int rc = scene_attach(s);
	if (rc == 0)
		rc = verbs_granted(s->conn, 1);
	struct control_map map = { 0, s->view.owner_count };
	struct control_bank banks[8];
	for (uint32_t i = 0; rc == 0 && i < map.count; i++)
		banks[i] = (struct control_bank){ 1, 9,
			(uintptr_t)(s->region->base + s->region->view.owners[i].bank_offset) };
	if (rc == 0)
		rc = scene_mapped(s, &map, banks, map.count);
	return rc ? rc : verbs_adopt(s->conn);
}

/* *inlined: WRITEs that took their data along. The engine is not told of it: one queue serves all pairs
 * here, and that message's completion would be taken for a READ's. */
static int commit(struct scene *s, uint64_t seq, unsigned *inlined)
{
	uint32_t group = s->view.owners[1].first_group;
	const struct directory_group *g = &s->view.groups[group];
	uint64_t image[16] = { 0 };
	struct check_fields f = { seq, 1 | (uint64_t)g->payload_bytes << 32, 7, seq };
	cr_assert_leq(g->payload_bytes, sizeof(image));
	image[0] = 0x1234 + seq;
	int rc = verbs_publish(s->conn, group, &f, image);
	pthread_mutex_lock(&s->conn->control_lock);
	if (rc == 0)
		rc = verbs_complete(s->conn, 1, seq, &group, 1);
	pthread_mutex_unlock(&s->conn->control_lock);
	*inlined = 0;
	for (uint32_t i = 0; i < 2; i++)
		*inlined += s->conn->chain[i].send_flags & IBV_SEND_INLINE ? 1 : 0;
	return rc;
}

static void reads_back(struct scene *s, uint64_t seq)
{
	uint32_t group = s->view.owners[1].first_group;
	uint64_t payload[16];
	struct slot_meta meta;
	cr_assert_eq(verbs_read(s->conn, group, 0, s->view.groups[group].payload_bytes, payload, &meta), 0, "%s",
		dsm_error());
	cr_assert_eq(meta.seq, seq, "read %llu, committed was %llu", (unsigned long long)meta.seq, (unsigned long long)seq);
	cr_assert_eq(payload[0], 0x1234 + seq);
}

/* `max`: what it takes from the work request itself at most. */
static void inline_up_to(uint32_t max, unsigned refused, bool used)
{
	struct scene s;
	unsigned inlined;
	scene_new(&s);
	library.inline_max = max;
	cr_assert_eq(own(&s), 0, "%s", dsm_error());
	cr_expect_eq(library.refused, refused, "inline %u: asked for too much %u times", max, library.refused);
	cr_expect_eq(s.conn->inline_bytes, used ? VERBS_INLINE : 0);
	for (uint64_t seq = 1; seq < 4; seq++) {
		cr_assert_eq(commit(&s, seq, &inlined), 0, "%s", dsm_error());
		cr_expect_eq(inlined != 0, used, "inline %u: %u WRITEs took their data along", max, inlined);
		reads_back(&s, seq);
	}
	scene_free(&s);
}

Test(verbs_device, inline_data_is_taken, .timeout = 20) { inline_up_to(VERBS_INLINE, 0, true); }
Test(verbs_device, too_little_inline_data, .timeout = 20) { inline_up_to(VERBS_INLINE - 1, 1, false); }
Test(verbs_device, no_inline_data, .timeout = 20) { inline_up_to(0, 1, false); }

/* What it got is not known: none is used. */
Test(verbs_device, inline_data_that_cannot_be_asked_for, .timeout = 20)
{
	struct ibv_qp qp = { 0 };
	scene_new(&(struct scene){ 0 });
	library.no_query = true;
	cr_expect_eq(rc_inline(&qp), 0);
}

/* READs at a time: the smallest of what both sides can, and what was meant. */
Test(verbs_device, reads_at_a_time, .timeout = 20)
{
	static const struct { int device; uint8_t serves; uint32_t depth; int rc; } cases[] = {
		{ 16, 16, 16, 0 }, { 1, 16, 1, 0 }, { 16, 1, 1, 0 }, { 3, 2, 2, 0 }, { 128, 255, RC_READS_MAX, 0 },
		{ 0, 16, 0, -EPROTO }, { 16, 0, 0, -EPROTO } };
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct scene s;
		scene_new(&s);
		library.attr.max_qp_init_rd_atom = cases[i].device;
		library.serves = cases[i].serves;
		scene_keys(&s);
		int rc = scene_attach(&s);
		cr_expect_eq(rc, cases[i].rc, "%zu: %d %s", i, rc, dsm_error());
		cr_expect_eq(s.conn->read.depth, cases[i].depth, "%zu: %u", i, s.conn->read.depth);
		cr_expect_leq(library.asked, cases[i].device, "%zu: asked for %u", i, library.asked);
		cr_expect(rc || library.starts == cases[i].depth, "%zu: the pair starts %u", i, library.starts);
		scene_free(&s);
	}
}

/* One at a time: everything that is read in chains still comes. */
Test(verbs_device, one_read_at_a_time, .timeout = 20)
{
	struct scene s;
	unsigned inlined;
	scene_new(&s);
	library.attr.max_qp_init_rd_atom = library.attr.max_qp_rd_atom = 1;
	cr_assert_eq(own(&s), 0, "%s", dsm_error());
	cr_assert_eq(commit(&s, 1, &inlined), 0);
	reads_back(&s, 1);
	scene_free(&s);
}

/* A WRITE pair needs no READs. */
Test(verbs_device, writes_without_reads, .timeout = 20)
{
	struct scene s;
	scene_new(&s);
	const struct directory_owner *o = &s.region->view.owners[1];
	s.keys.own_addr = (uintptr_t)(s.region->base + o->bank_offset);
	s.keys.own_bytes = o->bank_bytes;
	scene_keys(&s);
	cr_assert_eq(scene_attach(&s), 0, "%s", dsm_error());
	library.serves = 0;
	cr_expect_eq(verbs_granted(s.conn, 1), 0, "%s", dsm_error());
	scene_free(&s);
}

/* How much of a ring is read at once. */
Test(verbs_device, packet_sizes, .timeout = 20)
{
	static const struct { enum ibv_mtu mtu; bool no_query; } cases[] = {
		{ IBV_MTU_256, false }, { IBV_MTU_512, false }, { IBV_MTU_1024, false }, { IBV_MTU_2048, false },
		{ IBV_MTU_4096, false }, { 0, false }, { 31, false } };
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct scene s;
		scene_new(&s);
		library.mtu = cases[i].mtu;
		scene_keys(&s);
		cr_expect_eq(scene_attach(&s), 0, "%zu: %s", i, dsm_error());
		cr_expect_eq(s.conn->small, VERBS_SMALL, "%zu: %u", i, s.conn->small);
		scene_free(&s);
	}
}

Test(verbs_device, a_device_that_does_not_say_what_it_can, .timeout = 20)
{
	struct scene s;
	scene_new(&s);
	library.no_attr = true;
	scene_keys(&s);
	cr_expect_eq(scene_attach(&s), -EIO, "%s", dsm_error());
	scene_free(&s);
}

/* The kernel may have learnt it without telling who asked: then asking again finds it. */
Test(verbs_device, the_next_hops_address_is_asked_for_again, .timeout = 20)
{
	struct rdma_event_channel channel = { .fd = -1 };
	struct rdma_cm_id *id;
	scene_new(&(struct scene){ 0 });
	library.unfound = 3;
	library.looked = 0;
	cr_expect_eq(rc_resolve(&channel, "127.0.0.1", DSM_PORT, 10000, &id), 0, "%s", dsm_error());
	cr_expect_eq(library.looked, 4);
	cr_expect_leq(library.looked_ms, 500);
	library.unfound = UINT_MAX;
	cr_expect_eq(rc_resolve(&channel, "127.0.0.1", DSM_PORT, 50, &id), -ETIMEDOUT);
	cr_expect(strstr(dsm_error(), "no way to"), "%s", dsm_error());
}

/* The kernel and librdmacm set rights by themselves. */
Test(verbs_device, a_device_that_gives_rights_unasked, .timeout = 20)
{
	static const unsigned rights[] = { IBV_ACCESS_REMOTE_WRITE, IBV_ACCESS_REMOTE_READ, IBV_ACCESS_REMOTE_ATOMIC };
	for (size_t i = 0; i < sizeof(rights) / sizeof(rights[0]); i++) {
		struct scene s;
		scene_new(&s);
		library.extra_access = rights[i];
		scene_keys(&s);
		cr_expect_eq(scene_attach(&s), -EPROTO, "%#x: %s", rights[i], dsm_error());
		scene_free(&s);
	}
}
