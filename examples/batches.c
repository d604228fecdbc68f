/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sixteen groups, read again and again without waiting for each: while this program works on what
 * one batch brought, the next two are under way. Over rdma:// their READs travel meanwhile; over
 * shm:// and udp:// they are made in dsm_read_end(), with the same result.
 *
 * Run:  batches URI [ROUNDS]        (default: 1000 rounds; the first 16 groups of the table)
 */
#include <dsm/batch.h>

#include "common.h"

enum { UNDER_WAY = 2, SETS = UNDER_WAY + 1 }; /* the third is what is worked on */

static struct dsm_group groups[DSM_BATCH_GROUPS];
static struct dsm_frame *frames[SETS][DSM_BATCH_GROUPS];
static uint64_t tickets[SETS], seen[DSM_BATCH_GROUPS];
static uint32_t n;

static int take_group(const struct dsm_group_info *info, void *dsm)
{
	groups[n] = info->group;
	for (int set = 0; set < SETS; set++)
		frames[set][n] = new_frame(dsm, info->group);
	return ++n == DSM_BATCH_GROUPS;
}

/* What there is to compute: how many commits there were since the batch before. */
static uint64_t work_on(struct dsm_frame *const *batch)
{
	uint64_t commits = 0;
	struct dsm_frame_info info;
	for (uint32_t i = 0; i < n; i++) {
		check(dsm_frame_info(batch[i], &info), "dsm_frame_info");
		commits += info.seq - seen[i];
		seen[i] = info.seq;
	}
	return commits;
}

int main(int argc, char **argv)
{
	long rounds = argument(argc, argv, 2, 1000, 1, 1000000000);
	struct dsm *dsm = play_attach(argc > 1 ? argv[1] : "rig", NULL, 0);
	uint64_t commits = 0;

	check(dsm_foreach_group(dsm, NULL, take_group, dsm), "dsm_foreach_group");
	for (int set = 0; set < UNDER_WAY; set++)
		check(dsm_read_begin(dsm, groups, frames[set], n, &tickets[set]), "dsm_read_begin");
	for (long round = 0; round < rounds; round++) {
		int now = (int)(round % SETS), next = (now + UNDER_WAY) % SETS;
		check(dsm_read_end(dsm, tickets[now]), "dsm_read_end");
		check(dsm_read_begin(dsm, groups, frames[next], n, &tickets[next]), "dsm_read_begin");
		commits += work_on(frames[now]);
	}
	printf("%ld rounds of %u groups: %lu commits\n", rounds, n, (unsigned long)commits);
	dsm_detach(&dsm); /* with it ends what is under way */
	return 0;
}
