/* SPDX-License-Identifier: Apache-2.0 */
/*
 * No torn read: every way of reading a ring against a writer in another process. Counts what
 * was accepted and what was refused; torn or running backwards must be 0 over >= 10^8 accepted.
 * Built with a DSM_CONTROL_* define (TORN_CONTROL is its name) the protocol lacks a step, and
 * then this program passes only if it sees torn reads accepted.
 */
#include "torn.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ACCEPTED_WANTED UINT64_C(100000000)
#define CONTROL_SECONDS 30.0   /* bound for a control to show itself; milliseconds are usual */

struct tally { uint64_t accepted, refused, torn, backwards, commits; };

struct reader {
	struct torn_ring shared;
	const struct torn_row *row;
	struct ring_quick quick;
	uint64_t *payload, *scratch;
	uint64_t floor, next;
	struct tally tally;
};

static double now_s(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- one read ---- */

static bool whole(const uint64_t *words, uint64_t first, uint64_t n, const struct slot_meta *meta)
{
	uint64_t wrong = meta->epoch ^ TORN_EPOCH;
	wrong |= meta->time ^ torn_time(meta->seq);
	wrong |= meta->step ^ meta->seq;
	for (uint64_t i = 0; i < n; i++)
		wrong |= words[i] ^ torn_word(meta->seq, first + i);
	return wrong == 0;
}

static bool empty(const uint64_t *words, uint64_t n)
{
	uint64_t any = 0;
	for (uint64_t i = 0; i < n; i++)
		any |= words[i];
	return any == 0;
}

static void judge(struct reader *r, const struct slot_meta *meta, uint64_t first, uint64_t n)
{
	r->tally.accepted++;
	if (meta->seq < r->floor) {
		/* checked: the pulse is only a hint (a slot can be whole before the pulse names it),
		 * so there the floor is the handle's business, which refuses and tries again */
		if (r->row->verify) {
			r->tally.accepted--;
			r->tally.refused++;
			return;
		}
		r->tally.backwards++;
	}
	if (meta->seq == 0 ? !empty(r->payload, n) : !whole(r->payload, first, n, meta))
		r->tally.torn++;
	r->floor = meta->seq > r->floor ? meta->seq : r->floor;
}

static void read_newest(struct reader *r, uint64_t offset, uint64_t bytes)
{
	struct slot_meta meta = { 0 };
	if (ring_read(&r->shared.ring, offset, bytes, r->payload, r->scratch, &meta))
		r->tally.refused++;
	else
		judge(r, &meta, offset / 8, bytes / 8);
}

/* A scalar's record in the middle, as dsm_read() takes it from memory that no network writes. */
static void read_quick(struct reader *r)
{
	struct slot_meta meta = { 0 };
	if (!ring_quick_read(&r->quick, r->payload, &meta.seq, &meta.epoch)) {
		r->tally.refused++;
		return;
	}
	meta.time = torn_time(meta.seq); /* it looks at neither */
	meta.step = meta.seq;
	judge(r, &meta, r->quick.offset / 8, 2);
}

/* As a cursor goes: each commit in order; what the ring has lost is jumped over. */
static void read_next(struct reader *r)
{
	const struct ring *ring = &r->shared.ring;
	struct slot_meta meta = { 0 };
	int rc = ring_read_at(ring, r->next, r->payload, &meta);
	if (rc == 0) {
		r->tally.torn += meta.seq != r->next;
		judge(r, &meta, 0, ring->payload_bytes / 8);
		r->next++;
		return;
	}
	uint64_t newest = atomic_load_explicit(ring->pulse, memory_order_acquire);
	if (newest < r->next && rc != -EOVERFLOW)
		return; /* nothing new yet */
	r->tally.refused++;
	if (rc == -EOVERFLOW && r->row->verify)
		r->next = meta.seq; /* verified; a NIC's pulse is only a hint */
	else if (!r->row->verify && newest > r->next + ring->mask)
		r->next = newest;
}

static void read_step(struct reader *r)
{
	const struct ring *ring = &r->shared.ring;
	struct slot_meta meta = { 0 };
	uint64_t step = atomic_load_explicit(&r->shared.control->step_complete, memory_order_acquire);
	if (ring_read_step(ring, step, r->payload, &meta)) {
		r->tally.refused++;
		return;
	}
	r->tally.torn += meta.seq != step; /* each step commits this group */
	judge(r, &meta, 0, ring->payload_bytes / 8);
}

static void read_once(struct reader *r)
{
	uint64_t bytes = r->shared.ring.payload_bytes;
	switch (r->row->path) {
	case PATH_READ:
		read_newest(r, 0, bytes);
		break;
	case PATH_PART: /* one cell's record in the middle, as dsm_read() does */
		read_newest(r, bytes / 32 * 8, 16);
		break;
	case PATH_QUICK:
		read_quick(r);
		break;
	case PATH_AT:
		read_next(r);
		break;
	case PATH_STEP:
		read_step(r);
		break;
	}
}

/* ---- one row ---- */

static void fill(struct tally *sum, const struct tally *one)
{
	sum->accepted += one->accepted;
	sum->refused += one->refused;
	sum->torn += one->torn;
	sum->backwards += one->backwards;
	sum->commits += one->commits;
}

static pid_t start_writer(const struct reader *r)
{
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		torn_write(&r->shared, r->row);
		_exit(0);
	}
	return pid;
}

/* Reads until the time is over, until `wanted` were accepted if that takes longer (at most
 * `longest`), or, in a control, until it has shown itself. */
static void read_row(struct reader *r, double seconds, double longest, uint64_t wanted, bool first_wrong)
{
	double began = now_s(), gone = 0;
	while (gone < seconds || (r->tally.accepted < wanted && gone < longest)) {
		for (int i = 0; i < 512; i++)
			read_once(r);
		if (first_wrong && (r->tally.torn || r->tally.backwards))
			return;
		gone = now_s() - began;
	}
}

static int run_row(const struct torn_row *row, double seconds, double longest, uint64_t wanted,
	bool first_wrong, struct tally *sum)
{
	struct reader r = { .row = row, .next = 1 };
	int rc = torn_ring_new(&r.shared, row);
	if (rc)
		return rc;
	ring_quick_set(&r.quick, &r.shared.ring, 1, (uint32_t)(r.shared.ring.payload_bytes / 32 * 8), 0);
	r.payload = calloc(1, row->slot_bytes);
	r.scratch = calloc(1, row->slot_bytes);
	pid_t pid = r.payload && r.scratch ? start_writer(&r) : -1;
	if (pid > 0) {
		read_row(&r, seconds, longest, wanted, first_wrong);
		atomic_store(&r.shared.control->stop, 1);
		waitpid(pid, NULL, 0);
	} else {
		rc = -errno;
	}
	r.tally.commits = atomic_load(&r.shared.control->step_complete);
	fill(sum, &r.tally);
	free(r.payload);
	free(r.scratch);
	torn_ring_free(&r.shared);
	return rc;
}

/* ---- all rows ---- */

static const uint32_t sizes[] = { 64, 128, 1024, 4096, 65536 };
#define SIZES (sizeof(sizes) / sizeof(sizes[0]))
#define ROWS_MAX 256

static unsigned add_row(struct torn_row *rows, unsigned n, struct torn_row row)
{
	rows[n] = row;
	return n + 1;
}

/* A pace that leaves a reader about as much time as the commit itself takes. */
static uint32_t pace_for(uint32_t slot_bytes)
{
	return 300 + slot_bytes / 4;
}

static unsigned make_rows(struct torn_row *rows)
{
	unsigned n = 0;
	for (unsigned s = 0; s < SIZES; s++) {
		for (unsigned paced = 0; paced < 2; paced++) {
			struct torn_row row = { .slot_bytes = sizes[s],
				.pace = paced ? pace_for(sizes[s]) : 0 };
			for (row.slots = 2; row.slots <= 4; row.slots *= 2)
				for (int path = PATH_READ; path <= PATH_STEP; path++) {
					row.path = (enum torn_path)path;
					n = add_row(rows, n, row);
				}
			row.verify = true;
			for (row.slots = 1; row.slots <= 4; row.slots *= 2) {
				row.writer = WRITE_LOCAL;
				row.path = PATH_READ;
				n = add_row(rows, n, row);
				row.writer = WRITE_NIC;
				n = add_row(rows, n, row);
				row.path = PATH_AT;
				n = add_row(rows, n, row);
			}
		}
	}
	return n;
}

static const char *path_name(const struct torn_row *row)
{
	static const char *const names[] = { "newest", "part", "quick", "cursor", "step" };
	return names[row->path];
}

static void print_row(const struct torn_row *row, const struct tally *t)
{
	printf("%6u B  K=%u  %-6s %-7s %-6s %-10s accepted %10llu  refused %10llu  commits %9llu"
		"  torn %llu  backwards %llu\n", row->slot_bytes, row->slots, path_name(row),
		row->verify ? "checked" : "trusted", row->writer == WRITE_NIC ? "nic" : "local",
		row->pace ? "paced" : "saturating", (unsigned long long)t->accepted,
		(unsigned long long)t->refused, (unsigned long long)t->commits,
		(unsigned long long)t->torn, (unsigned long long)t->backwards);
}

static int report(unsigned passed, unsigned failed)
{
	printf("%u passed, %u failed\n", passed, failed);
	return failed ? 1 : 0;
}

#ifdef TORN_CONTROL

/* Only rows on which the missing step decides; shortest turns first, all again until it shows. */
static bool shows(const struct torn_row *row)
{
#ifdef DSM_CONTROL_NO_CHECK
	return row->verify;
#else
	return !row->verify && row->path != PATH_AT;
#endif
}

static int run_all(double seconds, bool full)
{
	struct torn_row rows[ROWS_MAX];
	unsigned n = make_rows(rows);
	double began = now_s(), turn = 0.01, bound = full ? CONTROL_SECONDS : seconds + 10;
	struct tally sum = { 0 };
	bool quick = false, other = false;
	while (now_s() - began < bound) {
		for (unsigned i = 0; i < n && now_s() - began < bound; i++) {
			struct tally one = { 0 };
			bool *shown = rows[i].path == PATH_QUICK ? &quick : &other;
			if (*shown || !shows(&rows[i]) || run_row(&rows[i], turn, turn, 0, true, &one))
				continue;
			fill(&sum, &one);
			if (!one.torn && !one.backwards)
				continue;
			print_row(&rows[i], &one);
			*shown = true;
			if (!other || (!quick && !rows[i].verify))
				continue; /* the short way for scalars has to show it too */
			printf("control %s: wrong reads were accepted after %llu, in %.2f s\n", TORN_CONTROL,
				(unsigned long long)sum.accepted, now_s() - began);
			return report(1, 0);
		}
		turn *= 2;
	}
	printf("control %s: %llu reads and none was wrong: this stress would not see the fault\n",
		TORN_CONTROL, (unsigned long long)sum.accepted);
	return report(0, 1);
}

#else

static int run_all(double seconds, bool full)
{
	struct torn_row rows[ROWS_MAX];
	unsigned n = make_rows(rows), passed = 0, failed = 0;
	struct torn_row bulk = { .slot_bytes = 64, .slots = 4, .path = PATH_READ, .pace = 300 };
	double share = seconds * (full ? 0.6 : 0.9) / n;
	struct tally sum = { 0 };
	rows[n++] = bulk; /* last: takes what is missing of the number wanted */
	for (unsigned i = 0; i < n; i++) {
		struct tally one = { 0 };
		bool last = i + 1 == n;
		uint64_t wanted = full && last && sum.accepted < ACCEPTED_WANTED ?
			ACCEPTED_WANTED - sum.accepted : 0;
		int rc = run_row(&rows[i], share, 120, wanted, false, &one);
		bool good = rc == 0 && one.torn == 0 && one.backwards == 0;
		print_row(&rows[i], &one);
		if (rc)
			printf("could not run: %s\n", strerror(-rc));
		fill(&sum, &one);
		passed += good;
		failed += !good;
	}
	printf("accepted %llu, refused %llu, torn %llu, backwards %llu\n",
		(unsigned long long)sum.accepted, (unsigned long long)sum.refused,
		(unsigned long long)sum.torn, (unsigned long long)sum.backwards);
	bool enough = !full || sum.accepted >= ACCEPTED_WANTED;
	if (!enough)
		printf("too few: %llu accepted reads are wanted\n", (unsigned long long)ACCEPTED_WANTED);
	return report(passed + enough, failed + !enough);
}

#endif

int main(int argc, char **argv)
{
	double seconds = 40;
	bool full = true;
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--quick") == 0) {
			seconds = 3;
			full = false;
		} else if (strcmp(argv[i], "--seconds") == 0 && i + 1 < argc) {
			seconds = atof(argv[++i]);
			full = false;
		} else {
			fprintf(stderr, "usage: %s [--quick | --seconds N]\n", argv[0]);
			return 2;
		}
	}
	return run_all(seconds, full);
}
