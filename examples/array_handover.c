/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A large array handed from a producer to a consumer in place: the producer fills the memory
 * of the next slot (dsm_loan, dsm_publish), the consumer reads it where it stands
 * (dsm_borrow, dsm_return). The hand-over copies nothing, so its time does not grow with the
 * array. Two slots: while one is read the next is filled, and published when the consumer has
 * counted the one before as taken.
 *
 * Run:  array_handover [MEGABYTES [ROUNDS]]      (default: 500 MB, 4 rounds; needs twice that)
 */
#include "common.h"

static long megabytes, rounds;

static uint64_t elements(void)
{
	return (uint64_t)megabytes * 1000000u / sizeof(double);
}

static int producer(const char *uri, int number)
{
	struct dsm *dsm = play_attach(uri, "producer", 0);
	struct dsm_group taken = find_group(dsm, "taken");
	struct dsm_cell count = find_cell(dsm, "taken.count"), data = find_cell(dsm, "array.data");
	struct dsm_frame *frame = new_frame(dsm, taken);
	void *memory;
	uint64_t capacity;

	for (uint64_t round = 1; round <= (uint64_t)rounds; round++) {
		check(dsm_loan(dsm, data, &memory, &capacity), "dsm_loan");
		uint64_t start = monotonic_ns();
		double *array = memory;
		for (uint64_t i = 0; i < elements(); i++)
			array[i] = (double)(i + round);
		uint64_t filled = monotonic_ns();
		await_u64(dsm, taken, count, round - 1, frame);
		uint64_t ready = monotonic_ns();
		check(dsm_publish(dsm, elements() * sizeof(double), 0), "dsm_publish");
		check(dsm_begin(dsm, 0), "dsm_begin");
		check(dsm_set_u64(dsm, find_cell(dsm, "note.fill_ns"), filled - start), "fill_ns");
		check(dsm_set_u64(dsm, find_cell(dsm, "note.ready_at"), ready), "ready_at");
		check(dsm_set_u64(dsm, find_cell(dsm, "note.round"), round), "note.round");
		check(dsm_commit(dsm, NULL), "dsm_commit");
	}
	dsm_frame_free(&frame);
	dsm_detach(&dsm);
	return number;
}

/* In four strands: one would wait for itself at each addition. Exact: whole numbers < 2^53. */
static double sum(const double *array, uint64_t n)
{
	double sums[4] = { 0.0 };
	for (uint64_t i = 0; i < n; i++)
		sums[i % 4] += array[i];
	return sums[0] + sums[1] + sums[2] + sums[3];
}

static int consumer(const char *uri, int number)
{
	struct dsm *dsm = play_attach(uri, "consumer", 0);
	struct dsm_group note = find_group(dsm, "note");
	struct dsm_cell data = find_cell(dsm, "array.data");
	struct dsm_frame *frame = new_frame(dsm, note);
	struct dsm_sample meta, fill_ns, ready_at;
	const void *memory;
	uint64_t bytes;
	double n = (double)elements();

	printf("round  fill GB/s  hand-over us  read GB/s\n");
	for (uint64_t round = 1; round <= (uint64_t)rounds; round++) {
		await_u64(dsm, note, find_cell(dsm, "note.round"), round, frame);
		check(dsm_borrow(dsm, data, &memory, &bytes, &meta), "dsm_borrow");
		uint64_t start = monotonic_ns();
		double total = sum(memory, bytes / sizeof(double));
		uint64_t end = monotonic_ns();
		check(dsm_return(dsm), "dsm_return");
		check(dsm_frame_read(frame, find_cell(dsm, "note.fill_ns"), &fill_ns), "fill_ns");
		check(dsm_frame_read(frame, find_cell(dsm, "note.ready_at"), &ready_at), "ready_at");
		if (total != n * (n - 1.0) / 2.0 + n * (double)round) {
			fprintf(stderr, "round %lu: the sum is wrong\n", (unsigned long)round);
			return 1;
		}
		struct dsm_value value = u64_value(round);
		check(dsm_write(dsm, find_cell(dsm, "taken.count"), &value), "dsm_write");
		printf("%5lu  %9.2f  %12.1f  %9.2f\n", (unsigned long)round,
			(double)bytes / (double)fill_ns.value.u64,
			(double)(start - ready_at.value.u64) / 1e3, (double)bytes / (double)(end - start));
	}
	dsm_frame_free(&frame);
	dsm_detach(&dsm);
	return number - 1;
}

int main(int argc, char **argv)
{
	struct play play;
	struct dsm_table *table;

	megabytes = argument(argc, argv, 1, 500, 1, 1000);
	rounds = argument(argc, argv, 2, 4, 1, 1000000);
	play_new(&play, "array-handover");
	play_cast(&play, producer, 0);
	play_cast(&play, consumer, 1);
	check(dsm_table_new("array_handover", &table), "dsm_table_new");
	add_owner(table, "producer");
	add_owner(table, "consumer");
	add_group(table, "producer", "array", 2);
	add_cell(table, "array", "data", DSM_F64_ARRAY, (uint32_t)elements());
	add_group(table, "producer", "note", 4);
	add_cell(table, "note", "fill_ns", DSM_U64, 1);
	add_cell(table, "note", "ready_at", DSM_U64, 1);
	add_cell(table, "note", "round", DSM_U64, 1);
	add_group(table, "consumer", "taken", 4);
	add_cell(table, "taken", "count", DSM_U64, 1);
	play_open(&play, &table);
	play_start(&play);
	return play_end(&play) != 0;
}
