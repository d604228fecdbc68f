/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a group some thousand times, spread over the time, and counts its commits. */
#include "measure.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#define NS_PER_S 1e9
/* Enough for a 99th percentile, few enough to leave the machine alone. */
#define READS_MAX 4096u

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static double percentile(const uint64_t *sorted, size_t n, double p)
{
	size_t rank = (size_t)ceil(p * (double)n);

	return n ? (double)sorted[rank ? rank - 1 : 0] : 0;
}

static int timed_read(const struct cli *cli, struct dsm_group group, struct dsm_frame *frame,
	uint64_t *took_ns, uint64_t *seq)
{
	struct dsm_frame_info info;
	uint64_t start = now_ns();
	int error = dsm_snapshot(cli->dsm, group, frame);

	*took_ns = now_ns() - start;
	if (error)
		return error;
	error = dsm_frame_info(frame, &info);
	*seq = info.seq;
	return error;
}

static int take_reads(const struct cli *cli, struct dsm_group group, double seconds,
	struct dsm_frame *frame, uint64_t *took, struct measured *out)
{
	uint64_t start = now_ns(), first = 0, last = 0;
	uint64_t pause = (uint64_t)(seconds * NS_PER_S) / READS_MAX;

	for (uint32_t i = 0; i < READS_MAX && !cli_ended(cli); i++) {
		int error = timed_read(cli, group, frame, &took[i], i == 0 ? &first : &last);
		if (error)
			return error;
		out->reads++;
		uint64_t due = start + (uint64_t)(i + 1) * pause;
		if ((double)(now_ns() - start) > seconds * NS_PER_S || cli_remaining_ms(cli, 1) == 0)
			break;
		cli_sleep_until(cli, due);
	}
	out->seconds = (double)(now_ns() - start) / NS_PER_S;
	out->commits = last > first ? last - first : 0;
	return 0;
}

int measure_group(const struct cli *cli, struct dsm_group group, double seconds,
	struct measured *out)
{
	struct dsm_frame *frame = NULL;
	uint64_t *took = calloc(READS_MAX, sizeof *took);
	int error = took ? dsm_frame_new(cli->dsm, group, &frame) : -ENOMEM;

	*out = (struct measured){ 0 };
	if (!error)
		error = take_reads(cli, group, seconds, frame, took, out);
	if (!error) {
		qsort(took, out->reads, sizeof *took, compare);
		out->read_p50_ns = percentile(took, out->reads, 0.50);
		out->read_p99_ns = percentile(took, out->reads, 0.99);
		if (out->commits)
			out->commit_interval_ns = out->seconds * NS_PER_S / (double)out->commits;
		double reads = out->commits ? ceil(out->read_p99_ns / out->commit_interval_ns) : 1;
		out->slots_needed = reads < 1 ? 2 : 1 + (uint64_t)reads;
	}
	dsm_frame_free(&frame);
	free(took);
	return error;
}
