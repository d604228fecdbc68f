/* SPDX-License-Identifier: Apache-2.0 */
#include "state_fixture.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void put(struct state_image *image, const char *name, const char *unit, enum dsm_quality quality,
	struct dsm_value value)
{
	struct dsm_sample sample = { .value = value, .changed_ns = 1700000000000000000, .seq = 7, .epoch = 3,
		.quality = (uint8_t)quality };
	state_put_cell(image, name, unit, &sample);
}

void fixture_image(struct state_image *image, uint64_t mark)
{
	static const double numbers[] = { 1.5, -2.25, 1e300, -0.0 };
	static const unsigned char bytes[] = { 0, 1, 2, 255, 254 };
	const uint64_t odd_nan = 0x7ff0000000abcdef; /* signalling, with a payload */
	struct state_client client = { .id = { 1, 2, 3, 15 }, .last_number = 41, .in_flight = 40 };
	state_begin(image, "rig", 0x1122334455667788, 1700000000123456789);
	put(image, "mark.n", "", DSM_GOOD, (struct dsm_value){ .type = DSM_U64, .len = 1, .u64 = mark });
	put(image, "a.bool", "", DSM_FORCED, (struct dsm_value){ .type = DSM_BOOL, .len = 1, .b = true });
	put(image, "a.i64", "m", DSM_BAD, (struct dsm_value){ .type = DSM_I64, .len = 1, .i64 = INT64_MIN });
	put(image, "a.f64", "m/h", DSM_GOOD, (struct dsm_value){ .type = DSM_F64, .len = 1, .f64 = 12.3 });
	put(image, "a.nan", "\xc2\xb0" "C", DSM_SIMULATED, (struct dsm_value){ .type = DSM_F64, .len = 1, .u64 = odd_nan });
	put(image, "a.text", "", DSM_GOOD, (struct dsm_value){ .type = DSM_STRING, .len = 8, .str = "pump on!" });
	put(image, "a.empty", "", DSM_GOOD, (struct dsm_value){ .type = DSM_STRING, .len = 0, .str = "" });
	put(image, "a.bytes", "", DSM_GOOD, (struct dsm_value){ .type = DSM_BYTES, .len = 5, .bytes = bytes });
	put(image, "a.none", "", DSM_NEVER_WRITTEN, (struct dsm_value){ .type = DSM_BYTES, .len = 0 });
	put(image, "a.array", "kN", DSM_GOOD, (struct dsm_value){ .type = DSM_F64_ARRAY, .len = 4, .f64s = numbers });
	state_put_client(image, &client);
	client.id[0] = 9;
	client.in_flight = 0;
	state_put_client(image, &client);
	state_finish(image);
}

static int find_mark(const char *name, const char *unit, const struct dsm_sample *sample, void *context)
{
	(void)unit;
	if (strcmp(name, "mark.n") == 0)
		*(uint64_t *)context = sample->value.u64;
	return 0;
}

uint64_t fixture_mark(const struct state_image *image)
{
	uint64_t mark = UINT64_MAX;
	if (state_walk(image->data, image->size, find_mark, NULL, &mark))
		return UINT64_MAX;
	return mark;
}

const char *fixture_folder(void)
{
	static char folder[256];
	const char *base = getenv("TMPDIR");
	snprintf(folder, sizeof(folder), "%.200s/dsm-state-XXXXXX", base && *base ? base : "/tmp");
	return mkdtemp(folder);
}

void fixture_remove(const char *folder)
{
	char path[1024];
	DIR *dir = opendir(folder);
	for (struct dirent *entry; dir && (entry = readdir(dir));) {
		snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 && unlink(path))
			rmdir(path);
	}
	if (dir)
		closedir(dir);
	rmdir(folder);
}

unsigned char *fixture_read(const char *path, size_t *bytes)
{
	FILE *file = fopen(path, "rb");
	unsigned char *data = NULL;
	if (!file)
		return NULL;
	if (fseek(file, 0, SEEK_END) == 0) {
		long size = ftell(file);
		rewind(file);
		data = malloc((size_t)size + 1);
		*bytes = data ? fread(data, 1, (size_t)size, file) : 0;
	}
	fclose(file);
	return data;
}

int fixture_write(const char *path, const void *data, size_t bytes)
{
	FILE *file = fopen(path, "wb");
	if (!file)
		return -1;
	size_t n = fwrite(data, 1, bytes, file);
	return fclose(file) || n != bytes ? -1 : 0;
}
