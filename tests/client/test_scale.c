/* SPDX-License-Identifier: Apache-2.0 */
/* From one cell to a million, 300 owners, an array of 1 GiB. Plain program: it counts its own
 * descriptors and is happier alone. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <dsm/engine.h>

static int passed, failed;

static void check(bool good, const char *what)
{
	printf("%s %s%s%s\n", good ? "ok" : "not ok", what, good ? "" : ": ", good ? "" : dsm_error());
	good ? passed++ : failed++;
}

/* `groups` groups of `cells` f64 cells, spread over `owners` owners. */
static struct dsm_table *table_of(uint32_t owners, uint32_t groups, uint32_t cells)
{
	struct dsm_table *t = NULL;
	char name[64], owner[64], cell[64];
	bool good = dsm_table_new("scale", &t) == 0;
	for (uint32_t i = 0; good && i < owners; i++) {
		snprintf(owner, sizeof(owner), "o%u", i);
		good = dsm_table_owner(t, &(struct dsm_owner_spec){ owner, i % 2, "*" }) == 0;
	}
	for (uint32_t g = 0; good && g < groups; g++) {
		snprintf(name, sizeof(name), "g%u", g);
		snprintf(owner, sizeof(owner), "o%u", g % owners);
		good = dsm_table_group(t, &(struct dsm_group_spec){ .owner = owner, .name = name }) == 0;
		for (uint32_t c = 0; good && c < cells; c++) {
			snprintf(cell, sizeof(cell), "c%u", c);
			good = dsm_table_cell(t, &(struct dsm_cell_spec){ .group = name, .name = cell,
				.type = DSM_F64, .precision = -1 }) == 0;
		}
	}
	if (!good)
		dsm_table_free(&t);
	return t;
}

static bool write_and_read(const char *uri, const char *name, const char *owner)
{
	struct dsm *w = NULL, *r = NULL;
	struct dsm_options opts = DSM_OPTIONS_INIT;
	struct dsm_cell cw, cr;
	struct dsm_sample s;
	struct dsm_value v = { .type = DSM_F64, .len = 1, .f64 = 4.5 };
	opts.owner = owner;
	bool good = dsm_attach(uri, &opts, &w) == 0 && dsm_attach(uri, NULL, &r) == 0 &&
		dsm_cell(w, name, &cw) == 0 && dsm_cell(r, name, &cr) == 0 &&
		dsm_write(w, cw, &v) == 0 && dsm_read(r, cr, &s) == 0 && s.value.f64 == 4.5 &&
		s.flags == 0;
	dsm_detach(&w);
	dsm_detach(&r);
	return good;
}

static void one_size(uint32_t owners, uint32_t groups, uint32_t cells)
{
	char what[128], name[64], last[64], uri[128], owner[32];
	struct dsm_engine *e = NULL;
	struct dsm_engine_options opts = DSM_ENGINE_OPTIONS_INIT;
	struct dsm_table *t = table_of(owners, groups, cells);
	snprintf(name, sizeof(name), "scale-%d", (int)getpid());
	snprintf(uri, sizeof(uri), "shm://%s", name);
	snprintf(last, sizeof(last), "g%u.c%u", groups - 1, cells - 1);
	snprintf(owner, sizeof(owner), "o%u", (groups - 1) % owners);
	snprintf(what, sizeof(what), "%u owners, %u groups of %u cells", owners, groups, cells);
	opts.name = name;
	bool good = t && dsm_engine_open(t, &opts, &e) == 0 && write_and_read(uri, last, owner);
	check(good, what);
	dsm_engine_close(&e);
	dsm_table_free(&t);
}

static bool hand_over(const char *uri, uint64_t bytes)
{
	struct dsm *w = NULL, *r = NULL;
	struct dsm_options opts = DSM_OPTIONS_INIT;
	struct dsm_cell cw, cr;
	struct dsm_sample s;
	void *data;
	const void *seen;
	uint64_t room, n;
	opts.owner = "o";
	bool good = dsm_attach(uri, &opts, &w) == 0 && dsm_attach(uri, NULL, &r) == 0 &&
		dsm_cell(w, "big.data", &cw) == 0 && dsm_cell(r, "big.data", &cr) == 0 &&
		dsm_loan(w, cw, &data, &room) == 0 && room == bytes;
	if (good) {
		memset(data, 0x5a, bytes);
		good = dsm_publish(w, bytes, 0) == 0 && dsm_borrow(r, cr, &seen, &n, &s) == 0 && n == bytes;
	}
	if (good) {
		const unsigned char *p = seen;
		good = p[0] == 0x5a && p[bytes / 2] == 0x5a && p[bytes - 1] == 0x5a && dsm_return(r) == 0;
	}
	dsm_detach(&w);
	dsm_detach(&r);
	return good;
}

static void one_array(uint64_t bytes, const char *what)
{
	struct dsm_table *t = NULL;
	struct dsm_engine *e = NULL;
	struct dsm_engine_options opts = DSM_ENGINE_OPTIONS_INIT;
	char name[64], uri[128];
	snprintf(name, sizeof(name), "array-%d", (int)getpid());
	snprintf(uri, sizeof(uri), "shm://%s", name);
	opts.name = name;
	bool good = dsm_table_new("array", &t) == 0 &&
		dsm_table_owner(t, &(struct dsm_owner_spec){ "o", false, "*" }) == 0 &&
		dsm_table_group(t, &(struct dsm_group_spec){ .owner = "o", .name = "big", .slots = 2 }) == 0 &&
		dsm_table_cell(t, &(struct dsm_cell_spec){ .group = "big", .name = "data",
			.type = DSM_BYTES, .capacity = (uint32_t)bytes, .precision = -1 }) == 0 &&
		dsm_engine_open(t, &opts, &e) == 0 && hand_over(uri, bytes);
	check(good, what);
	dsm_engine_close(&e);
	dsm_table_free(&t);
}

int main(int argc, char **argv)
{
	bool quick = argc > 1 && strcmp(argv[1], "--quick") == 0;
	one_size(1, 1, 1);
	one_size(300, 300, 3);
	one_size(3, 1000, 100);
	if (!quick) {
		one_size(300, 10000, 100); /* 1,000,000 cells */
		one_size(1, 1, 1000);
		one_array((uint64_t)1 << 20, "an array of 1 MiB");
		one_array((uint64_t)1 << 30, "an array of 1 GiB");
	}
	printf("%d passed, %d failed\n", passed, failed);
	return failed ? 1 : 0;
}
