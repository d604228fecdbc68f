/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Independent named wires between two blocks of a simulation, A and B: one group each, owned
 * by the block that drives it. A wire has a newest value and nothing else: its driver never
 * waits, whoever reads or does not read; a wire that nobody looks at (wire 0 here, until the
 * end) holds up no other.
 *
 * Run:  wires [WIRES [COMMITS]]     (default: 8 wires each way, 100000 commits on each)
 */
#include "common.h"

static long wires, commits;

struct wire {
	struct dsm_group group;
	struct dsm_cell cell;
	struct dsm_frame *frame;
	uint64_t seen;
};

static struct wire find_wire(struct dsm *dsm, char block, long number)
{
	char name[32];
	snprintf(name, sizeof name, "%c.wire%ld", block, number);
	struct wire wire = { .group = find_group(dsm, name) };
	snprintf(name, sizeof name, "%c.wire%ld.value", block, number);
	wire.cell = find_cell(dsm, name);
	wire.frame = new_frame(dsm, wire.group);
	return wire;
}

/* Read the newest value. A wire that runs backwards is an error. */
static uint64_t read_wire(struct dsm *dsm, struct wire *wire)
{
	struct dsm_sample sample;
	check(dsm_read(dsm, wire->cell, &sample), "dsm_read");
	if (sample.value.u64 < wire->seen) {
		fprintf(stderr, "a wire ran backwards: %lu after %lu\n",
			(unsigned long)sample.value.u64, (unsigned long)wire->seen);
		exit(1);
	}
	wire->seen = sample.value.u64;
	return wire->seen;
}

/* A block: drives all of its wires round and round, looking at the other's in between. */
static int block(const char *uri, int number)
{
	char self = number == 0 ? 'A' : 'B', other = number == 0 ? 'B' : 'A';
	char owner[2] = { self, '\0' };
	struct dsm *dsm = play_attach(uri, owner, 0);
	struct wire *out = calloc((size_t)wires, sizeof *out);
	struct wire *in = calloc((size_t)wires, sizeof *in);
	if (out == NULL || in == NULL)
		return 1;
	for (long w = 0; w < wires; w++) {
		out[w] = find_wire(dsm, self, w);
		in[w] = find_wire(dsm, other, w);
	}
	uint64_t start = monotonic_ns();
	for (long n = 1; n <= commits; n++) {
		struct dsm_value value = u64_value((uint64_t)n);
		for (long w = 0; w < wires; w++)
			check(dsm_write(dsm, out[w].cell, &value), "dsm_write");
		if (wires > 1)
			read_wire(dsm, &in[1 + n % (wires - 1)]);
	}
	double seconds = (double)(monotonic_ns() - start) / 1e9;
	for (long w = 0; w < wires; w++) {
		await_u64(dsm, in[w].group, in[w].cell, (uint64_t)commits, in[w].frame);
		read_wire(dsm, &in[w]);
		dsm_frame_free(&in[w].frame);
		dsm_frame_free(&out[w].frame);
	}
	printf("block %c: %ld wires, %.2f million commits/s each; the other's all arrived at %ld\n",
		self, wires, (double)commits / seconds / 1e6, commits);
	free(in);
	free(out);
	dsm_detach(&dsm);
	return 0;
}

int main(int argc, char **argv)
{
	struct play play;
	struct dsm_table *table;
	char name[32];

	wires = argument(argc, argv, 1, 8, 1, 1000);
	commits = argument(argc, argv, 2, 100000, 1, 1000000000);
	play_new(&play, "wires");
	play_cast(&play, block, 0);
	play_cast(&play, block, 1);
	check(dsm_table_new("wires", &table), "dsm_table_new");
	for (const char *owner = "A"; owner != NULL; owner = *owner == 'A' ? "B" : NULL) {
		add_owner(table, owner);
		for (long w = 0; w < wires; w++) {
			snprintf(name, sizeof name, "%s.wire%ld", owner, w);
			add_group(table, owner, name, 4);
			add_cell(table, name, "value", DSM_U64, 1);
		}
	}
	play_open(&play, &table);
	play_start(&play);
	return play_end(&play) != 0;
}
