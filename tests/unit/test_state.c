/* SPDX-License-Identifier: Apache-2.0 */
/* The image of a state file: what goes in comes out, and nothing else ever does. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/state_format.h"
#include "state_fixture.h"

struct seen {
	char text[4096];
	size_t length;
	unsigned cells, clients, stop_at;
};

static void note(struct seen *seen, const char *line)
{
	seen->length += (size_t)snprintf(seen->text + seen->length, sizeof(seen->text) - seen->length, "%s\n", line);
}

static int see_cell(const char *name, const char *unit, const struct dsm_sample *s, void *context)
{
	struct seen *seen = context;
	char value[200], line[400];
	dsm_value_format(&s->value, -1, value, sizeof(value));
	snprintf(line, sizeof(line), "%s|%s|%s|%s|%s|%lld|%llu|%u|%u", name, unit, dsm_type_name(s->value.type),
		value, dsm_quality_name((enum dsm_quality)s->quality), (long long)s->changed_ns,
		(unsigned long long)s->seq, s->epoch, s->flags);
	note(seen, line);
	if (s->value.type == DSM_STRING)
		cr_expect_eq(s->value.str[s->value.len], '\0');
	if (s->value.type == DSM_F64_ARRAY)
		cr_expect_eq((uintptr_t)s->value.f64s % 8, 0u);
	if (strcmp(name, "a.nan") == 0)
		cr_expect_eq(s->value.u64, 0x7ff0000000abcdefu, "the bits of the NaN changed");
	return ++seen->cells == seen->stop_at ? 77 : 0;
}

static int see_client(const struct state_client *c, void *context)
{
	struct seen *seen = context;
	char line[100];
	snprintf(line, sizeof(line), "client %d %d|%llu|%llu", c->id[0], c->id[3],
		(unsigned long long)c->last_number, (unsigned long long)c->in_flight);
	note(seen, line);
	seen->clients++;
	return 0;
}

static const char expected[] =
	"mark.n||u64|5|good|1700000000000000000|7|3|0\n"
	"a.bool||bool|true|forced|1700000000000000000|7|3|0\n"
	"a.i64|m|i64|-9223372036854775808|bad|1700000000000000000|7|3|0\n"
	"a.f64|m/h|f64|12.3|good|1700000000000000000|7|3|0\n"
	"a.nan|\xc2\xb0" "C|f64|nan|simulated|1700000000000000000|7|3|0\n"
	"a.text||string|pump on!|good|1700000000000000000|7|3|0\n"
	"a.empty||string||good|1700000000000000000|7|3|0\n"
	"a.bytes||bytes|000102fffe|good|1700000000000000000|7|3|0\n"
	"a.none||bytes||never-written|1700000000000000000|7|3|0\n"
	"a.array|kN|f64[]|[1.5,-2.25,1e+300,-0]|good|1700000000000000000|7|3|0\n"
	"client 1 15|41|40\n"
	"client 9 15|41|0\n";

Test(state, round_trip)
{
	struct state_image image;
	struct seen seen = { .length = 0 };
	fixture_image(&image, 5);
	cr_assert_eq(image.error, 0);
	cr_assert_eq(state_walk(image.data, image.size, see_cell, see_client, &seen), 0, "%s", dsm_error());
	cr_expect_str_eq(seen.text, expected);
	state_free(&image);
	cr_expect_null(image.data);
	state_free(&image);
}

Test(state, walk_can_be_ended_and_either_function_left_out)
{
	struct state_image image;
	struct seen seen = { .stop_at = 3 };
	fixture_image(&image, 5);
	cr_expect_eq(state_walk(image.data, image.size, see_cell, see_client, &seen), 77);
	cr_expect_eq(seen.cells, 3u);
	seen = (struct seen){ .length = 0 };
	cr_expect_eq(state_walk(image.data, image.size, NULL, see_client, &seen), 0);
	cr_expect(seen.cells == 0 && seen.clients == 2);
	cr_expect_eq(state_walk(image.data, image.size, NULL, NULL, NULL), 0);
	cr_expect_eq(state_walk(NULL, 0, NULL, NULL, NULL), -EINVAL);
	state_free(&image);
}

Test(state, empty)
{
	struct state_image image;
	struct seen seen = { .length = 0 };
	state_begin(&image, "", 0, 0);
	cr_assert_eq(state_finish(&image), 0);
	cr_expect_eq(image.size, 64u + 8 + 8);
	cr_expect_eq(state_walk(image.data, image.size, see_cell, see_client, &seen), 0, "%s", dsm_error());
	cr_expect(seen.cells == 0 && seen.clients == 0);
	state_free(&image);
}

/* As in a release of this version: if this fails, STATE_VERSION must go up. Without devices it is a file
 * of version 1, which an older engine can read. */
Test(state, golden_vector)
{
	char path[512];
	struct state_image image;
	struct seen seen = { .length = 0 };
	size_t bytes = 0;
	const char *folder = getenv("DSM_VECTORS");
	cr_assert(folder, "DSM_VECTORS is not set; run by meson test");
	snprintf(path, sizeof(path), "%s/state-v1.bin", folder);
	fixture_image(&image, 5);
	if (getenv("DSM_VECTORS_WRITE"))
		cr_assert_eq(fixture_write(path, image.data, image.size), 0);
	unsigned char *golden = fixture_read(path, &bytes);
	cr_assert(golden, "%s", path);
	cr_assert_eq(state_walk(golden, bytes, see_cell, see_client, &seen), 0, "%s", dsm_error());
	cr_expect_str_eq(seen.text, expected);
	cr_assert_eq(bytes, image.size);
	cr_expect_eq(memcmp(golden, image.data, bytes), 0, "what is written today differs");
	free(golden);
	state_free(&image);
}

static int see_device(const struct state_device *d, void *context)
{
	struct seen *seen = context;
	char line[100];
	snprintf(line, sizeof(line), "device %u|%u|%u|%u", d->device, d->epoch, d->seq, d->limit);
	note(seen, line);
	return 0;
}

static void device_image(struct state_image *image)
{
	state_begin(image, "rig", 1, 2);
	state_put_device(image, &(struct state_device){ 7, 3, 100, 5100 });
	state_put_device(image, &(struct state_device){ UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX });
	cr_assert_eq(state_finish(image), 0);
}

Test(state, devices)
{
	struct state_image image;
	struct seen seen = { .length = 0 };
	uint32_t version;
	fixture_image(&image, 5);
	memcpy(&version, image.data + 8, 4);
	cr_expect_eq(version, 1u);
	cr_expect_eq(state_walk_devices(image.data, image.size, see_device, &seen), 0);
	cr_expect_str_eq(seen.text, "");
	state_free(&image);
	device_image(&image);
	memcpy(&version, image.data + 8, 4);
	cr_expect_eq(version, 2u);
	cr_expect_eq(state_walk_devices(image.data, image.size, see_device, &seen), 0, "%s", dsm_error());
	cr_expect_str_eq(seen.text, "device 7|3|100|5100\n"
		"device 4294967295|4294967295|4294967295|4294967295\n");
	for (size_t bit = 0; bit < image.size * 8; bit++) {
		image.data[bit / 8] ^= (unsigned char)(1u << bit % 8);
		cr_assert(state_walk_devices(image.data, image.size, see_device, &seen) < 0, "bit %zu", bit);
		image.data[bit / 8] ^= (unsigned char)(1u << bit % 8);
	}
	/* a right check word over wrong records: in a file of version 1 there are none, and a limit below seq */
	image.data[8] = 1;
	state_seal(image.data, image.size);
	cr_expect_eq(state_walk_devices(image.data, image.size, see_device, &seen), -EBADMSG);
	image.data[8] = 2;
	image.data[image.size - STATE_CHECK_BYTES - 8] = 0;
	state_seal(image.data, image.size);
	cr_expect_eq(state_walk_devices(image.data, image.size, see_device, &seen), -EBADMSG);
	state_free(&image);
}

Test(state, golden_vector_with_devices)
{
	char path[512];
	struct state_image image;
	size_t bytes = 0;
	const char *folder = getenv("DSM_VECTORS");
	cr_assert(folder, "DSM_VECTORS is not set; run by meson test");
	snprintf(path, sizeof(path), "%s/state-v2.bin", folder);
	device_image(&image);
	if (getenv("DSM_VECTORS_WRITE"))
		cr_assert_eq(fixture_write(path, image.data, image.size), 0);
	unsigned char *golden = fixture_read(path, &bytes);
	cr_assert(golden, "%s", path);
	cr_assert_eq(bytes, image.size);
	cr_expect_eq(memcmp(golden, image.data, bytes), 0);
	free(golden);
	state_free(&image);
}

Test(state, every_flipped_bit_is_refused)
{
	struct state_image image;
	struct seen seen = { .length = 0 };
	fixture_image(&image, 5);
	for (size_t bit = 0; bit < image.size * 8; bit++) {
		image.data[bit / 8] ^= (unsigned char)(1u << bit % 8);
		int rc = state_walk(image.data, image.size, see_cell, see_client, &seen);
		cr_assert(rc == -EBADMSG || (rc == -EPROTONOSUPPORT && bit / 8 >= 8 && bit / 8 < 12),
			"bit %zu: %d", bit, rc);
		image.data[bit / 8] ^= (unsigned char)(1u << bit % 8);
	}
	cr_expect(seen.cells == 0 && seen.clients == 0, "something of a damaged image was given out");
	cr_expect_eq(state_walk(image.data, image.size, NULL, NULL, NULL), 0);
	state_free(&image);
}

Test(state, every_truncation_is_refused)
{
	struct state_image image;
	fixture_image(&image, 5);
	for (size_t size = 0; size < image.size; size++) {
		unsigned char *cut = malloc(size ? size : 1); /* ASan sees a read beyond it */
		memcpy(cut, image.data, size);
		cr_assert_eq(state_walk(cut, size, NULL, NULL, NULL), -EBADMSG, "%zu bytes", size);
		cr_assert(strstr(dsm_error(), "truncated"), "%zu: %s", size, dsm_error());
		free(cut);
	}
	state_free(&image);
}

Test(state, appended_zeroed_and_foreign)
{
	struct state_image image;
	fixture_image(&image, 5);
	unsigned char *data = calloc(1, image.size + 8);
	cr_expect_eq(state_walk(data, image.size, NULL, NULL, NULL), -EBADMSG);
	cr_expect(strstr(dsm_error(), "torn"), "%s", dsm_error());
	memcpy(data, image.data, image.size);
	cr_expect_eq(state_walk(data, image.size + 8, NULL, NULL, NULL), -EBADMSG);
	cr_expect(strstr(dsm_error(), "torn"), "%s", dsm_error());
	memset(data + image.size / 2, 0, image.size - image.size / 2); /* the tail never arrived */
	cr_expect_eq(state_walk(data, image.size, NULL, NULL, NULL), -EBADMSG);
	cr_expect(strstr(dsm_error(), "torn"), "%s", dsm_error());
	memcpy(data, "\x7f" "ELF....", 8);
	cr_expect_eq(state_walk(data, image.size, NULL, NULL, NULL), -EBADMSG);
	cr_expect(strstr(dsm_error(), "foreign"), "%s", dsm_error());
	memcpy(data, STATE_MAGIC, 8);
	data[8] = 3;
	cr_expect_eq(state_walk(data, image.size, NULL, NULL, NULL), -EPROTONOSUPPORT);
	cr_expect(strstr(dsm_error(), "version 3"), "%s", dsm_error());
	free(data);
	state_free(&image);
}

/* Every byte of every record set wrong under a right check word: refused, or harmless. */
Test(state, hostile_file_with_a_right_check_word)
{
	static const unsigned char values[] = { 0, 1, 2, 7, 8, 0x7f, 0x80, 0xff };
	struct state_image image;
	unsigned refused = 0;
	fixture_image(&image, 5);
	for (size_t at = 16; at < image.size - STATE_CHECK_BYTES; at++) {
		unsigned char before = image.data[at];
		for (size_t i = 0; i < sizeof(values); i++) {
			struct seen seen = { .length = 0 };
			image.data[at] = values[i];
			state_seal(image.data, image.size);
			int rc = state_walk(image.data, image.size, NULL, see_client, &seen);
			cr_assert(rc == 0 || rc == -EBADMSG, "%d", rc);
			cr_assert(rc == 0 || seen.clients == 0);
			refused += rc != 0;
		}
		image.data[at] = before;
	}
	cr_expect(refused > 1000, "%u", refused);
	state_free(&image);
}

Test(state, bad_puts_are_remembered)
{
	struct state_image image;
	struct dsm_sample sample = { .value = { .type = (enum dsm_type)9, .len = 1 } };
	char name[300];
	memset(name, 'n', sizeof(name));
	name[299] = '\0';
	state_begin(&image, "rig", 1, 2);
	state_put_cell(&image, "x.y", "", &sample);
	cr_expect_eq(image.error, -EINVAL);
	sample.value.type = DSM_U64;
	state_put_cell(&image, "x.y", "", &sample);
	cr_expect_eq(state_finish(&image), -EINVAL);
	state_free(&image);
	state_begin(&image, "rig", 1, 2);
	state_put_cell(&image, name, "", &sample);
	cr_expect_eq(state_finish(&image), -EINVAL);
	state_free(&image);
	/* an owner can put any quality into his bank; it must not make the file unreadable */
	struct seen seen = { .length = 0 };
	state_begin(&image, "rig", 1, 2);
	sample.quality = 7;
	state_put_cell(&image, "x.y", "", &sample);
	cr_expect_eq(state_finish(&image), 0);
	cr_expect_eq(state_walk(image.data, image.size, see_cell, NULL, &seen), 0);
	cr_expect(strstr(seen.text, "|bad|"), "%s", seen.text);
	state_free(&image);
}
