/* SPDX-License-Identifier: Apache-2.0 */
/* An engine that lies to a client over rdma: in WELCOME, KEYS, the header, MAPPED, a grant. Each lie is
 * refused before anything is reached by it, with the reason, and the truth is taken. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "core/error.h"
#include "verbs_library.h"

static struct region_header *header_of(struct scene *s)
{
	return (struct region_header *)s->base;
}

static struct control_bank bank_of(const struct scene *s, uint32_t owner)
{
	const struct directory_owner *o = &s->region->view.owners[owner];
	return (struct control_bank){ 1, 9, (uintptr_t)(s->region->base + o->bank_offset) };
}

/* Everything an engine says is used: the attach reads header, directory, owner lines, and a value. */
Test(verbs_lies, the_truth_is_taken, .timeout = 20)
{
	struct scene s;
	scene_new(&s);
	scene_keys(&s);
	cr_assert_eq(scene_attach(&s), 0, "%s", dsm_error());
	cr_assert_eq(s.view.owner_count, s.region->view.owner_count);
	struct control_map map = { 0, s.view.owner_count };
	struct control_bank banks[8];
	for (uint32_t i = 0; i < map.count; i++)
		banks[i] = bank_of(&s, i);
	cr_assert_eq(scene_mapped(&s, &map, banks, map.count), 0, "%s", dsm_error());
	cr_assert_eq(verbs_adopt(s.conn), 0);
	uint32_t group = view_find_group(&s.view, "sensors.a");
	uint64_t payload[8];
	struct slot_meta meta;
	cr_assert_eq(verbs_read(s.conn, group, 0, s.view.groups[group].payload_bytes, payload, &meta), 0, "%s",
		dsm_error());
	cr_assert_eq(meta.seq, 0, "nobody has written yet");
	scene_free(&s);
}

/* ---- WELCOME and KEYS ---- */

static void header_too_small(struct scene *s) { s->welcome.header_bytes = sizeof(struct region_header) - 1; }
static void header_huge(struct scene *s) { s->welcome.header_bytes = UINT64_C(1) << 33; }
static void no_directory(struct scene *s) { s->welcome.directory_bytes = 0; }
static void directory_huge(struct scene *s) { s->welcome.directory_bytes = UINT64_MAX; }
static void other_generation(struct scene *s) { s->welcome.generation++; }
static void other_directory(struct scene *s) { s->welcome.directory_bytes--; }
static void base_without_header(struct scene *s) { s->keys.base_bytes = s->welcome.header_bytes - 1; }
static void base_without_directory(struct scene *s)
{
	s->keys.base_bytes = s->welcome.header_bytes + s->welcome.directory_bytes - 1;
}
static void base_empty(struct scene *s) { s->keys.base_bytes = 0; }
static void base_wraps(struct scene *s) { s->keys.base_addr = UINT64_MAX - 100; }
static void own_wraps(struct scene *s)
{
	s->keys.own_addr = UINT64_MAX - 100;
	s->keys.own_bytes = 4096;
}

/* ---- header ---- */

static void magic(struct scene *s) { header_of(s)->magic ^= 1; }
static void version(struct scene *s) { atomic_fetch_add(&header_of(s)->layout_version, 1); }
static void generation(struct scene *s) { header_of(s)->generation ^= 1; }
static void directory_bytes(struct scene *s) { header_of(s)->directory_bytes++; }
static void directory_in_header(struct scene *s)
{
	header_of(s)->directory_offset = sizeof(struct region_header) - 1;
}
static void directory_behind(struct scene *s) { header_of(s)->directory_offset = s->keys.base_bytes + 1; }
static void directory_wraps(struct scene *s) { header_of(s)->directory_offset = UINT64_MAX - 10; }
static void directory_too_far(struct scene *s)
{
	header_of(s)->directory_offset = s->keys.base_bytes - header_of(s)->directory_bytes + 1;
}
static void owners_behind(struct scene *s) { header_of(s)->owners_offset = header_of(s)->header_bytes; }
static void notify_behind(struct scene *s) { header_of(s)->notify_offset = UINT32_MAX - 3; }
static void counters_behind(struct scene *s) { header_of(s)->counters_offset = header_of(s)->header_bytes - 8; }
static void owners_many(struct scene *s) { header_of(s)->owner_count = UINT32_MAX; }
static void groups_many(struct scene *s) { header_of(s)->group_count = UINT32_MAX; }
static void owners_few(struct scene *s) { header_of(s)->owner_count = 1; }
static void groups_few(struct scene *s) { header_of(s)->group_count = 1; }
static void no_tick(struct scene *s) { header_of(s)->tick_ms = 0; }
static void no_lease(struct scene *s) { header_of(s)->lease_ms = 0; }
static void banks_elsewhere(struct scene *s) { header_of(s)->banks_offset ^= 4096; }
static void region_small(struct scene *s) { header_of(s)->region_bytes = 4096; }

#define LIE(name, rc) { #name, name, rc }
static const struct { const char *name; void (*tell)(struct scene *s); int error; } lies[] = {
	LIE(header_too_small, -EBADMSG), LIE(header_huge, -EBADMSG), LIE(no_directory, -EBADMSG),
	LIE(directory_huge, -EBADMSG), LIE(other_generation, -EBADMSG), LIE(other_directory, -EBADMSG),
	LIE(base_without_header, -EBADMSG), LIE(base_without_directory, -EBADMSG), LIE(base_empty, -EBADMSG),
	LIE(base_wraps, -EBADMSG), LIE(own_wraps, -EBADMSG),
	LIE(magic, -EBADMSG), LIE(version, -EPROTONOSUPPORT), LIE(generation, -EBADMSG),
	LIE(directory_bytes, -EBADMSG), LIE(directory_in_header, -EBADMSG), LIE(directory_behind, -EBADMSG),
	LIE(directory_wraps, -EBADMSG), LIE(directory_too_far, -EBADMSG), LIE(owners_behind, -EBADMSG),
	LIE(notify_behind, -EBADMSG), LIE(counters_behind, -EBADMSG), LIE(owners_many, -EBADMSG),
	LIE(groups_many, -EBADMSG), LIE(owners_few, -EBADMSG), LIE(groups_few, -EBADMSG), LIE(no_tick, -EBADMSG),
	LIE(no_lease, -EBADMSG), LIE(banks_elsewhere, -EBADMSG), LIE(region_small, -EBADMSG),
};

Test(verbs_lies, each_is_refused, .timeout = 60)
{
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		struct scene s;
		scene_new(&s);
		lies[i].tell(&s);
		scene_keys(&s);
		int rc = scene_attach(&s);
		cr_expect_eq(rc, lies[i].error, "%s: %d %s", lies[i].name, rc, dsm_error());
		cr_expect(dsm_error()[0] != '\0', "%s: no reason", lies[i].name);
		scene_free(&s);
	}
}

/* What comes in the place of KEYS. */
Test(verbs_lies, no_keys, .timeout = 20)
{
	static const struct { uint16_t type; size_t cut; } wrong[] = {
		{ CONTROL_EVENT, 0 }, { CONTROL_WELCOME, 0 }, { CONTROL_KEYS, 1 }, { CONTROL_KEYS, 56 } };
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct scene s;
		unsigned char message[256], frame[512];
		struct control_writer w;
		scene_new(&s);
		control_begin(&w, message, sizeof(message), wrong[i].type);
		control_put_keys(&w, &s.keys);
		size_t bytes = control_end(&w) - wrong[i].cut;
		uint32_t said = (uint32_t)bytes;
		memcpy(message + 8, &said, sizeof(said)); /* its head agrees with what came */
		struct verbs_frame head = { said, FRAME_FIRST | FRAME_LAST, 0 };
		verbs_put_frame(frame, &head);
		memcpy(frame + VERBS_FRAME_HEAD, message, bytes);
		provider_arrive(s.provider, frame, (uint32_t)(VERBS_FRAME_HEAD + bytes));
		cr_expect_eq(scene_attach(&s), -EBADMSG, "%zu: %s", i, dsm_error());
		cr_expect_eq(library.pairs, 0, "%zu: a connection was made with what is no key", i);
		scene_free(&s);
	}
}

/* ---- banks ---- */

Test(verbs_lies, banks, .timeout = 20)
{
	struct scene s;
	scene_new(&s);
	scene_keys(&s);
	cr_assert_eq(scene_attach(&s), 0, "%s", dsm_error());
	uint32_t n = s.view.owner_count;
	struct control_bank banks[16];
	for (uint32_t i = 0; i < 16; i++)
		banks[i] = bank_of(&s, i < n ? i : 0);
	const struct { struct control_map map; uint32_t banks; } wrong[] = {
		{ { n + 1, 0 }, 0 }, { { UINT32_MAX, 1 }, 1 }, { { 0, n + 1 }, n + 1 }, { { 1, n }, n },
		{ { 1, UINT32_MAX }, 1 }, { { 0, 2 }, 1 }, { { 0, 1 }, 2 }, { { n, 1 }, 1 } };
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		cr_expect_eq(scene_mapped(&s, &wrong[i].map, banks, wrong[i].banks), -EBADMSG, "%zu", i);
	cr_expect_not(s.conn->any_moved, "something of it was taken");
	struct control_map one = { 0, 1 };
	banks[0].addr = UINT64_MAX - s.view.owners[0].bank_bytes + 1;
	cr_expect_eq(scene_mapped(&s, &one, banks, 1), -EBADMSG, "a bank that wraps around");
	banks[0] = bank_of(&s, 0);
	cr_expect_eq(scene_mapped(&s, &one, banks, 1), 0);
	scene_free(&s);
}

/* ---- grants ---- */

static int grant(uint32_t owner, uint64_t missing)
{
	struct scene s;
	scene_new(&s);
	const struct directory_owner *o = &s.region->view.owners[owner < s.region->view.owner_count ? owner : 0];
	s.keys.own_addr = (uintptr_t)(s.region->base + o->bank_offset);
	s.keys.own_bytes = o->bank_bytes - missing;
	scene_keys(&s);
	cr_assert_eq(scene_attach(&s), 0, "%s", dsm_error());
	unsigned pairs = library.pairs;
	int rc = verbs_granted(s.conn, owner);
	cr_expect_eq(library.pairs - pairs, rc == 0, "%d", rc);
	scene_free(&s);
	return rc;
}

Test(verbs_lies, grants, .timeout = 20)
{
	cr_expect_eq(grant(1, 0), 0, "%s", dsm_error());
	cr_expect_eq(grant(1, 1), -EBADMSG, "a bank that is larger than what may be written");
	cr_expect_eq(grant(1000000, 0), -EBADMSG, "an owner that is not there");
	cr_expect_eq(grant(UINT32_MAX - 1, 0), -EBADMSG);
}
