/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows: datagrams of ADC boards at an engine. adc.drain: the engine's process is stopped, its socket's
 * buffer filled, and then it goes on: from there until the last value is to be seen, for each datagram;
 * beside it a bare recvmmsg() loop under the same treatment, which only counts. adc.latency: from the end
 * of sendto(), when a datagram lies in the engine's socket, until a reader over mapped memory sees its value.
 */
#include "harness/clock.h"
#include "peers/adc_boards.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#define PATIENCE_NS UINT64_C(5000000000)
#define DRAIN_TICK_US 1000000u          /* while it is filled nobody falls silent */
#define LATENCY_TICK_US 1000u
#define EVERY_NS (UINT64_C(1000) * LATENCY_TICK_US / ADC_BOARDS) /* boards take turns */
#define RING 8192u                      /* datagrams under way of a board: eight seconds */

/* ---- draining ---- */

static int stop_process(pid_t pid)
{
	siginfo_t info;
	if (kill(pid, SIGSTOP))
		return -errno;
	while (waitid(P_PID, (id_t)pid, &info, WSTOPPED)) {
		if (errno != EINTR || bench_stop)
			return -EINTR;
	}
	return 0;
}

static bool drained(struct adc_boards *b, uint64_t fetched)
{
	if (!b->dsm)
		return adc_boards_fetched(b) >= fetched;
	return adc_boards_shown(b, ADC_BOARDS - 1) == b->seq[ADC_BOARDS - 1]; /* the last one sent */
}

/* n datagrams in the buffer, then the time for each. */
static int drain_once(struct adc_boards *b, unsigned n, double *ns)
{
	uint64_t fetched = b->dsm ? 0 : adc_boards_fetched(b) + n;
	int rc = stop_process(b->child.pid);
	for (unsigned i = 0; !rc && i < n; i++)
		rc = adc_boards_send(b, i % ADC_BOARDS);
	uint64_t began = bench_now_ns(), now = began;
	kill(b->child.pid, SIGCONT);
	while (!rc && !drained(b, fetched)) {
		now = bench_now_ns();
		rc = bench_stop ? -EINTR : now - began > PATIENCE_NS ? -ETIMEDOUT : 0;
	}
	*ns = (double)(bench_now_ns() - began) / n;
	return rc;
}

/* Every one was believed and committed, none dropped: else something else was measured. */
static int check(struct adc_boards *b, struct bench_run *out)
{
	uint64_t sent = 0, until = bench_now_ns() + PATIENCE_NS;
	for (unsigned i = 0; i < ADC_BOARDS; i++)
		sent += b->seq[i];
	if (!b->dsm)
		return 0;
	while (adc_boards_counter(b, "adc_accepted") < sent && bench_now_ns() < until)
		bench_sleep_ns(10000000);
	uint64_t accepted = adc_boards_counter(b, "adc_accepted");
	return accepted == sent ? 0 : bench_why(out, -EIO, "%llu of %llu datagrams were believed",
		(unsigned long long)accepted, (unsigned long long)sent);
}

static int measure_drain(const struct bench_row *row, const struct bench_conf *conf, struct bench_run *out)
{
	struct bench_series *s = &out->series[0];
	struct adc_boards boards;
	unsigned room = adc_boards_room() / ADC_BOARDS * ADC_BOARDS, warm = 2, n = conf->quick ? 10 : 40;
	double ns = 0;
	int rc = row->arg ? adc_boards_start_engine(&boards, conf, DRAIN_TICK_US, out) :
		adc_boards_start_bare(&boards, conf, out);
	if (!rc && room == 0)
		rc = bench_why(out, -EIO, "no socket");
	if (!rc)
		rc = bench_series_reserve(s, n);
	struct bench_usage before = { 0 };
	for (unsigned i = 0; !rc && i < warm + n; i++) {
		if (i == warm)
			before = bench_usage_of(boards.child.pid);
		rc = drain_once(&boards, room, &ns);
		if (!rc && i >= warm)
			bench_series_add(s, ns);
	}
	if (rc == -ETIMEDOUT)
		bench_why(out, rc, "the last of %u datagrams did not come: does the buffer hold so many?", room);
	if (!rc)
		s->server = bench_usage_since(bench_usage_of(boards.child.pid), before, (uint64_t)n * room);
	s->sent = s->n;
	if (!rc)
		rc = check(&boards, out);
	adc_boards_stop(&boards);
	return rc;
}

static int run_drain(const struct bench_row *row, const struct bench_conf *conf, struct bench_run *out)
{
	return bench_isolated(row, conf, out, measure_drain);
}

/* ---- latency ---- */

struct flight {
	struct adc_boards boards;
	uint32_t seen[ADC_BOARDS];              /* the newest */
	uint64_t sent_ns[ADC_BOARDS][RING];
};

static int take_off(struct flight *f, unsigned board)
{
	int rc = adc_boards_send(&f->boards, board);
	uint32_t seq = f->boards.seq[board];
	f->sent_ns[board][seq % RING] = bench_now_ns();
	return rc ? rc : seq - f->seen[board] >= RING ? -ETIMEDOUT : 0;
}

/* Those that a newer value has overtaken before this reader looked are seen with it. s NULL: not counted. */
static void look(struct flight *f, unsigned board, struct bench_series *s)
{
	uint32_t shown = adc_boards_shown(&f->boards, board);
	if (shown == 0 || shown == f->seen[board])
		return;
	uint64_t now = bench_now_ns();
	while (f->seen[board] != shown) {
		f->seen[board]++;
		if (s)
			bench_series_add(s, (double)(now - f->sent_ns[board][f->seen[board] % RING]));
	}
}

/* One thread sends when it is time to and looks all the while, so what is late delays no other's start. */
static int fly(struct flight *f, uint64_t ns, struct bench_series *s)
{
	uint64_t began = bench_now_ns(), next = began, now;
	unsigned board = 0;
	int rc = 0;
	while (!rc && (now = bench_now_ns()) - began < ns) {
		if (now >= next) {
			rc = take_off(f, board);
			board = (board + 1) % ADC_BOARDS;
			next += EVERY_NS;
			if (s)
				s->sent++;
		}
		for (unsigned i = 0; i < ADC_BOARDS; i++)
			look(f, i, s);
		rc = bench_stop ? -EINTR : rc;
	}
	return rc;
}

static bool landed(const struct flight *f)
{
	return !memcmp(f->seen, f->boards.seq, sizeof(f->seen));
}

static int measure_latency(const struct bench_row *row, const struct bench_conf *conf, struct bench_run *out)
{
	static struct flight f;
	struct bench_series *s = &out->series[0];
	uint64_t ns = conf->quick ? 300000000 : 2000000000;
	(void)row;
	int rc = adc_boards_start_engine(&f.boards, conf, LATENCY_TICK_US, out);
	if (!rc)
		rc = bench_series_reserve(s, ns / EVERY_NS + ADC_BOARDS * RING);
	if (!rc)
		rc = fly(&f, 200000000, NULL);
	for (uint64_t until = bench_now_ns() + PATIENCE_NS; !rc && !landed(&f) && bench_now_ns() < until;)
		for (unsigned i = 0; i < ADC_BOARDS; i++)
			look(&f, i, NULL);
	struct bench_usage before = bench_usage_of(f.boards.child.pid);
	if (!rc)
		rc = fly(&f, ns, s);
	for (uint64_t until = bench_now_ns() + PATIENCE_NS; !rc && !landed(&f) && bench_now_ns() < until;)
		for (unsigned i = 0; i < ADC_BOARDS; i++)
			look(&f, i, s);
	if (!rc) {
		s->server = bench_usage_since(bench_usage_of(f.boards.child.pid), before, s->sent);
		s->lost = s->sent - s->n;
		rc = check(&f.boards, out);
	}
	if (rc == -ETIMEDOUT)
		bench_why(out, rc, "a board's value was not seen for %u datagrams", RING);
	adc_boards_stop(&f.boards);
	return rc;
}

static int run_latency(const struct bench_row *row, const struct bench_conf *conf, struct bench_run *out)
{
	return bench_isolated(row, conf, out, measure_latency);
}

void bench_rows_adc(struct bench_list *list)
{
	struct bench_row row = { .family = "adc", .name = "adc.drain.recvmmsg", .peer = "udp", .mode = "drain",
		.work = "fetch a datagram of 64 bytes of a filled receive buffer, 64 a recvmmsg(), and forget it",
		.kind = BENCH_ONCE, .size_bytes = 64, .run = run_drain };
	bench_list_add(list, &row);
	row = (struct bench_row){ .family = "adc", .name = "adc.drain.dsm", .base = "adc.drain.recvmmsg", .peer = "dsm",
		.mode = "drain", .work = "the same by an engine: tag and source verified, 8 channels scaled and committed; until "
			"a reader sees the last", .kind = BENCH_ONCE, .size_bytes = 64, .arg = "", .run = run_drain };
	bench_list_add(list, &row);
	row = (struct bench_row){ .family = "adc", .name = "adc.latency.8x1kHz", .peer = "dsm", .mode = "block",
		.work = "8 boards of 8 channels, each 1,000 datagrams a second, in turns: from the end of sendto() until a "
			"reader over mapped memory sees the value", .kind = BENCH_ONCE, .size_bytes = 64,
		.run = run_latency };
	bench_list_add(list, &row);
}
