/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tests of the harness itself: known samples in, right figures out; a server that stalls shows
 * as latency, and with the control that measures one after the other it would not.
 */
#include "harness/child.h"
#include "harness/clock.h"
#include "harness/results.h"
#include "peers/perftest.h"
#include "report/report.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int passed, failed;

static void check(bool good, const char *what)
{
	printf("%s %d - %s\n", good ? "ok" : "not ok", passed + failed + 1, what);
	good ? passed++ : failed++;
}

static bool near(double a, double b)
{
	return fabs(a - b) <= 1e-9 * fmax(1, fabs(b));
}

static void fill(struct bench_series *s, const double *sample, size_t n)
{
	memset(s, 0, sizeof(*s));
	bench_series_reserve(s, n);
	for (size_t i = 0; i < n; i++)
		bench_series_add(s, sample[i]);
	s->sent = n;
}

/* 1 … 10,000, each once, in an order that is not sorted: 7919 is prime to 10,000. */
static void test_percentiles(void)
{
	static double sample[10000];
	struct bench_series s;
	struct bench_figures f;
	for (unsigned i = 0; i < 10000; i++)
		sample[i] = i * 7919u % 10000u + 1;
	fill(&s, sample, 10000);
	bench_figures(&s, &f);
	check(near(f.n, 10000) && near(f.mean, 5000.5), "uniform: n and mean");
	check(near(f.median, 5000.5), "uniform: median is the mean of the two in the middle");
	check(near(f.min, 1) && near(f.max, 10000), "uniform: min and max");
	check(near(f.p99, 9900) && near(f.p999, 9990), "uniform: p99 and p99.9 by nearest rank");
	check(fabs(f.stddev - sqrt((10000.0 * 10000 - 1) / 12 * 10000 / 9999)) < 1e-6, "uniform: standard deviation");
	bench_series_free(&s);
	double one = 42;
	fill(&s, &one, 1);
	bench_figures(&s, &f);
	check(near(f.median, 42) && near(f.p999, 42) && near(f.stddev, 0) && near(f.jitter_mean, 0), "a single sample");
	bench_series_free(&s);
	s = (struct bench_series){ 0 };
	bench_figures(&s, &f);
	check(near(f.n, 0) && near(f.mean, 0), "no sample at all");
}

static void test_long_tail(void)
{
	static double sample[1000];
	struct bench_series s;
	struct bench_figures f;
	for (unsigned i = 0; i < 1000; i++)
		sample[i] = i == 500 || i == 501 ? 1e6 : 10;
	fill(&s, sample, 1000);
	bench_figures(&s, &f);
	check(near(f.p99, 10) && near(f.p999, 1e6) && near(f.median, 10), "2 of 1,000 slow: p99.9 sees them, p99 does not");
	bench_series_free(&s);
}

static void test_jitter(void)
{
	const double sample[] = { 10, 13, 11, 11, 21 }, second[] = { 100, 101 };
	struct bench_series s;
	struct bench_figures f;
	struct bench_pool pool = { 0 };
	fill(&s, sample, 5);
	s.lost = 1;
	s.sent = 6;
	bench_figures(&s, &f);
	check(near(f.jitter_mean, (3 + 2 + 0 + 10) / 4.0) && near(f.jitter_max, 10), "jitter of consecutive samples");
	check(near(f.loss_percent, 100.0 / 6), "loss in percent of what was sent");
	bench_pool_add(&pool, &s);
	bench_series_free(&s);
	fill(&s, second, 2);
	bench_pool_add(&pool, &s);
	bench_pool_figures(&pool, &f);
	check(near(f.jitter_max, 10) && near(f.jitter_mean, 16 / 5.0), "jitter is not formed across two repeats");
	check(near(f.n, 7) && near(f.max, 101), "a pool holds the samples of all repeats");
	bench_pool_free(&pool);
	bench_series_free(&s);
}

/* ---- coordinated omission: a server that sleeps 50 ms once ---- */

#define STALL_NS 50000000u
#define STALL_INTERVAL_NS 500000u
#define STALL_N 400u

struct stalling {
	int there[2], back[2];
	unsigned stall_at;
};

static int stalling_server(struct bench_shared *shared, void *arg)
{
	struct stalling *s = arg;
	char byte;
	close(s->there[1]);
	atomic_store(&shared->ready, 1);
	for (unsigned i = 0; read(s->there[0], &byte, 1) == 1; i++) {
		if (i == s->stall_at)
			bench_sleep_ns(STALL_NS);
		if (write(s->back[1], &byte, 1) != 1)
			return -EIO;
	}
	return 0;
}

static int stalling_ask(void *context, uint64_t i)
{
	struct stalling *s = context;
	char byte = (char)i;
	if (write(s->there[1], &byte, 1) != 1 || read(s->back[0], &byte, 1) != 1)
		return -EIO;
	return byte == (char)i ? 0 : -EBADMSG;
}

/* How many samples are longer than a tenth of the stall. */
static int slow_samples(uint64_t interval_ns, struct bench_figures *f)
{
	struct stalling s = { .stall_at = 100 };
	struct bench_series series = { 0 };
	struct bench_child child;
	int slow = 0;
	if (pipe(s.there) || pipe(s.back))
		return -1;
	int rc = bench_child_start(&child, -1, stalling_server, &s);
	if (!rc)
		rc = bench_paced(&(struct bench_pace){ .interval_ns = interval_ns, .n = STALL_N },
			stalling_ask, &s, &series);
	for (int i = 0; i < 2; i++) {
		close(s.there[i]);
		close(s.back[i]);
	}
	rc |= bench_child_stop(&child, NULL);
	bench_figures(&series, f);
	for (size_t i = 0; i < series.n; i++)
		slow += series.sample[i] > STALL_NS / 10.0;
	bench_series_free(&series);
	return rc ? -1 : slow;
}

static void test_stall(void)
{
	struct bench_figures paced, closed;
	int slow = slow_samples(STALL_INTERVAL_NS, &paced);
	/* operations that should have begun in the first nine tenths of the stall: 90 */
	check(slow >= 80, "a stall of 50 ms shows in every operation that had to wait for it");
	check(paced.p99 > STALL_NS / 2.0 && paced.max >= STALL_NS, "the stall shows in p99");
	check(paced.service_p99 < STALL_NS / 2.0, "the time from the actual start hides it, and is kept apart");
	check(paced.late_starts >= 80, "operations begun after their time are counted");
	slow = slow_samples(0, &closed);
	check(slow >= 1 && slow <= 20, "control: one after the other, the same stall is one sample");
	check(closed.p99 < STALL_NS / 2.0, "control: and hides from p99");
}

static int nothing(void *context, uint64_t i)
{
	(void)context;
	return i == 12 ? -ETIMEDOUT : i == 99 ? -EIO : 0;
}

static void test_pacing(void)
{
	struct bench_series s = { 0 };
	struct bench_figures f;
	uint64_t began = bench_now_ns();
	int rc = bench_paced(&(struct bench_pace){ .interval_ns = 1000000, .warm = 10, .n = 20 }, nothing, NULL, &s);
	uint64_t took = bench_now_ns() - began;
	check(!rc && took >= 19000000 && s.sent == 20, "operations begin at their intended times, not earlier");
	check(s.lost == 1 && s.n == 19, "a lost operation counts as lost, not as a latency");
	bench_figures(&s, &f);
	check(f.client_cpu_ns * 20 < 19e6 / 2, "waiting for a start is not charged to the client");
	s.n = 0;
	rc = bench_paced(&(struct bench_pace){ .n = 200 }, nothing, NULL, &s);
	check(rc == -EIO, "an operation that fails ends the row");
	bench_series_free(&s);
}

/* ---- comparing ---- */

static void test_compare(void)
{
	const double slow[] = { 20, 21, 20.5, 20, 22 }, fast[] = { 10, 10.5, 10, 10.2, 11 };
	const double noisy[] = { 9, 30, 12, 25, 10 }, drift[] = { 11, 21, 31, 41, 51 }, base[] = { 10, 20, 30, 40, 50 };
	struct bench_comparison c;
	bench_compare(slow, fast, 5, &c);
	check(c.verdict == BENCH_MORE && near(c.ratio, 20.5 / 10.2), "clearly slower is said to be slower, with its ratio");
	bench_compare(fast, slow, 5, &c);
	check(c.verdict == BENCH_LESS, "and the other way round");
	bench_compare(noisy, fast, 5, &c);
	check(c.verdict == BENCH_INDISTINCT, "a spread larger than the difference is not distinguishable");
	bench_compare(fast, fast, 5, &c);
	check(c.verdict == BENCH_INDISTINCT, "equal is not distinguishable");
	bench_compare(slow, fast, 2, &c);
	check(c.verdict == BENCH_INDISTINCT, "two repeats decide nothing");
	bench_compare(drift, base, 5, &c);
	check(c.verdict == BENCH_MORE && near(c.difference, 1), "a drift that hits both alike does not hide a difference");
}

static struct bench_result *add_row(struct bench_results *r, const char *name, double first, double step)
{
	struct bench_result *row = bench_results_row(r);
	snprintf(row->name, sizeof(row->name), "%s", name);
	snprintf(row->family, sizeof(row->family), "test");
	snprintf(row->unit, sizeof(row->unit), "ns");
	snprintf(row->kind, sizeof(row->kind), "paced");
	snprintf(row->status, sizeof(row->status), "ok");
	for (; row->repeats < 5; row->repeats++)
		row->repeat[row->repeats].median = first + step * (double)(row->repeats % 3);
	row->all.median = first + step;
	row->all.n = 5;
	return row;
}

static const char *verdict(const struct bench_results *r, const char *left, const char *right, double factor,
	double offset)
{
	static struct bench_aim aim;
	aim = (struct bench_aim){ .factor = factor, .offset = offset };
	snprintf(aim.left, sizeof(aim.left), "%s", left);
	snprintf(aim.right, sizeof(aim.right), "%s", right);
	bench_aim_evaluate(r, &aim);
	return aim.verdict;
}

static void test_aims(void)
{
	struct bench_results r = { 0 };
	add_row(&r, "a", 10, 0.1);
	add_row(&r, "b", 20, 0.1);
	add_row(&r, "wild", 5, 12);
	check(!strcmp(verdict(&r, "b", "a", 2.5, 0), "met"), "aim: 20 <= 2.5 x 10 is met");
	check(!strcmp(verdict(&r, "b", "a", 1.5, 0), "not met"), "aim: 20 <= 1.5 x 10 is not met");
	check(!strcmp(verdict(&r, "a", "", 0, 15), "met"), "aim: a constant limit");
	check(!strcmp(verdict(&r, "b", "a", 1, 15), "met"), "aim: a limit with an offset");
	check(!strcmp(verdict(&r, "wild", "", 0, 18), "not distinguishable"), "aim: a spread across the limit decides nothing");
	struct bench_aim p99 = { .left = "b", .right = "a", .factor = 2.5, .figure = "p99" };
	for (size_t i = 0; i < 5; i++) {
		((struct bench_result *)(uintptr_t)bench_results_find(&r, "a"))->repeat[i].p99 = 100;
		((struct bench_result *)(uintptr_t)bench_results_find(&r, "b"))->repeat[i].p99 = 300;
	}
	bench_aim_evaluate(&r, &p99);
	check(!strcmp(p99.verdict, "not met") && near(p99.left_median, 300), "aim: of another figure than the median");
	check(!strcmp(verdict(&r, "b", "absent", 1, 0), "not measured"), "aim: without its row it is not measured");
	bench_results_free(&r);
}

static void test_growth(void)
{
	const double x[] = { 10, 100, 1000, 10000 }, square[] = { 100, 1e4, 1e6, 1e8 }, flat[] = { 7, 7, 7, 7 };
	check(near(bench_growth(x, square, 4), 2), "growth: x squared has exponent 2");
	check(fabs(bench_growth(x, flat, 4)) < 1e-9, "growth: a constant has exponent 0");
	check(near(bench_growth(x, x, 1), 0), "growth: one point has none");
}

/* ---- the file ---- */

static void fill_results(struct bench_results *r)
{
	snprintf(r->date, sizeof(r->date), "2000-01-02T03:04:05Z");
	snprintf(r->machine.cpu, sizeof(r->machine.cpu), "a \"CPU\" <&>");
	r->repeats = 5;
	r->machine.cpus = 2;
	struct bench_result *row = add_row(r, "x.1", 1.0 / 3, 1e-3);
	row->param = 10;
	row->all.p999 = 1e17;
	row->repeat[4].jitter_max = 0.1;
	row = add_row(r, "x.2", 2, 0);
	row->param = 100;
	snprintf(row->base, sizeof(row->base), "x.1");
	row = bench_results_row(r);
	snprintf(row->name, sizeof(row->name), "y");
	snprintf(row->status, sizeof(row->status), "n/a");
	snprintf(row->why, sizeof(row->why), "not here");
}

static bool same_row(const struct bench_result *a, const struct bench_result *b)
{
	return !strcmp(a->name, b->name) && !strcmp(a->base, b->base) && !strcmp(a->why, b->why) &&
		!strcmp(a->status, b->status) && a->repeats == b->repeats &&
		!memcmp(&a->all, &b->all, sizeof(a->all)) && !memcmp(a->repeat, b->repeat, sizeof(a->repeat));
}

static void write_text(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");
	if (f) {
		fputs(text, f);
		fclose(f);
	}
}

static void test_json(const char *path)
{
	struct bench_results r = { 0 }, back = { 0 };
	fill_results(&r);
	bench_aims(&r, false);
	bench_fits(&r);
	check(!bench_results_write(&r, path) && !bench_results_read(path, &back), "results are written and read");
	bool same = r.rows == back.rows && r.aims == back.aims && r.fits == back.fits &&
		!memcmp(&r.machine, &back.machine, sizeof(r.machine)) && !strcmp(r.date, back.date);
	for (size_t i = 0; same && i < r.rows; i++)
		same = same_row(&r.row[i], &back.row[i]);
	check(same, "every figure comes back exactly");
	check(same && !strcmp(r.aim[0].verdict, back.aim[0].verdict) &&
		near(r.fit[0].exponent, back.fit[0].exponent), "aims and fits too");
	bench_results_free(&back);
	fputs("# what follows are refusals, meant\n", stdout);
	write_text(path, "{ \"schema\": \"other/9\" }");
	check(bench_results_read(path, &back) == -EBADMSG, "another schema is refused");
	write_text(path, "{ \"schema\": \"" BENCH_SCHEMA "\", \"rows\": [ {} ] }");
	check(bench_results_read(path, &back) == -EBADMSG, "missing members are refused");
	write_text(path, "{ not json");
	check(bench_results_read(path, &back) == -EBADMSG, "what is no JSON is refused");
	unlink(path);
	bench_results_free(&r);
}

static void test_report(void)
{
	struct bench_results r = { 0 };
	char *text = NULL, buf[64];
	size_t size;
	fill_results(&r);
	FILE *f = open_memstream(&text, &size);
	report_markdown(&r, f);
	fclose(f);
	check(strstr(text, "| x.2 |") && strstr(text, "n/a: not here"), "Markdown has the rows, and why one is missing");
	free(text);
	f = open_memstream(&text, &size);
	report_svg(&r, f);
	fclose(f);
	check(strstr(text, "&lt;&amp;&gt;") && strstr(text, "</svg>"), "SVG is whole and escaped");
	free(text);
	check(!strcmp(report_amount(1234.5, "ns", buf, sizeof(buf)), "1.23 µs") &&
		!strcmp(report_amount(999.6, "ns", buf, sizeof(buf)), "1.00 µs") &&
		!strcmp(report_amount(2.345, "ns", buf, sizeof(buf)), "2.35 ns"), "amounts are readable");
	bench_results_free(&r);
}

/* ---- the harness ---- */

static char order[32];

static int noted(const struct bench_row *row, const struct bench_conf *conf, struct bench_run *out)
{
	(void)conf;
	order[strlen(order)] = row->name[0]; /* 8 of them */
	if (row->name[0] == 'N')
		return bench_why(out, -ENOTSUP, "not on this machine");
	if (row->name[0] == 'F')
		return bench_why(out, -EIO, "broken");
	bench_series_reserve(&out->series[0], 1);
	bench_series_add(&out->series[0], 5);
	return 0;
}

static void test_harness(void)
{
	struct bench_list list = { 0 };
	struct bench_results r = { 0 };
	const char *const names[] = { "A", "N", "B", "F" };
	for (int i = 0; i < 4; i++) {
		struct bench_row row = { .family = "test", .work = "", .peer = "", .mode = "", .run = noted };
		snprintf(row.name, sizeof(row.name), "%s", names[i]);
		bench_list_add(&list, &row);
	}
	int rc = bench_harness(&list, NULL, &(struct bench_conf){ .repeats = 3, .cpu_client = -1 }, NULL, &r);
	check(!rc && !strcmp(order, "ANBFABAB"), "rows run in turn, A B A B; what fails is not tried again");
	check(!strcmp(r.row[1].status, "n/a") && !strcmp(r.row[3].status, "failed") &&
		!strcmp(r.row[3].why, "broken"), "n/a and failed are kept apart, with the reason");
	check(r.row[0].repeats == 3 && near(r.row[0].all.n, 3), "figures per repeat and over all");
	bench_results_free(&r);
	bench_list_free(&list);
}

/* ---- a row in a process of its own ---- */

static int elsewhere(const struct bench_row *row, const struct bench_conf *conf, struct bench_run *out)
{
	(void)conf;
	if (row->name[0] == 'D')
		raise(SIGKILL);
	for (int i = 0; i < 2; i++) {
		bench_series_reserve(&out->series[i], 3);
		for (int k = 0; k < 3; k++)
			bench_series_add(&out->series[i], 10 * i + k);
		out->series[i].sent = 4;
		out->series[i].server.ops = 7;
	}
	passed += 1000; /* is not seen by the one who asked */
	return row->name[0] == 'F' ? bench_why(out, -EIO, "broken there") : 0;
}

static void test_isolated(void)
{
	struct bench_row row = { .name = "A" };
	struct bench_conf conf = { .cpu_client = -1 };
	static struct bench_run out;
	int before = passed, rc = bench_isolated(&row, &conf, &out, elsewhere);
	check(!rc && passed == before && out.series[0].n == 3 && near(out.series[0].sample[2], 2) &&
		near(out.series[1].sample[0], 10) && near(out.series[1].service[2], 12) && !out.series[2].n,
		"samples of another process come back");
	check(out.series[1].sent == 4 && out.series[1].server.ops == 7, "and what was counted there");
	bench_run_clear(&out);
	row.name[0] = 'F';
	rc = bench_isolated(&row, &conf, &out, elsewhere);
	check(rc == -EIO && !strcmp(out.why, "broken there"), "its failure comes back with its reason");
	bench_run_clear(&out);
	row.name[0] = 'D';
	check(bench_isolated(&row, &conf, &out, elsewhere) == -ECHILD && !out.series[0].n, "its death is a failure");
	bench_run_free(&out);
}

/* ---- perftest's output ---- */

static size_t parse(const char *text, double *out, size_t room)
{
	FILE *f = fmemopen((void *)(uintptr_t)text, strlen(text), "r");
	size_t n = perftest_samples(f, out, room);
	fclose(f);
	return n;
}

static double parse_rate(const char *text)
{
	FILE *f = fmemopen((void *)(uintptr_t)text, strlen(text), "r");
	double rate = perftest_rate(f);
	fclose(f);
	return rate;
}

#define RATE_HEAD " #bytes     #iterations    BW peak[MB/sec]    BW average[MB/sec]   MsgRate[Mpps]\n"
static void test_perftest(void)
{
	check(near(parse_rate("---\n" RATE_HEAD " 264  5000   10.11   9.87  \t  0.039201\n---\n"), 39201), "perftest: messages a second");
	check(parse_rate(RATE_HEAD " 264  5000  10.11  9.87  inf\n") == 0, "perftest: an infinite rate is none");
	check(parse_rate(" #bytes #iterations BW peak[Gb/sec]\n 264 5000 1 1 0.03\n") == 0, "perftest: without the column, none");
	double s[8] = { 0 };
	check(parse("---\n RDMA_Read Latency Test\n#, usec\n1, 36.5\n2, 35\n3, 40.25\n#, usec\n1, 35\n2, 36.5\n3, 40.25\n"
		" #bytes #iterations\n", s, 8) == 3 && near(s[0], 36500) && near(s[2], 40250),
		"perftest: samples in ns, in their order, once");
	check(parse("#, usec\n1, 36.5\n2, 35\n", s, 1) == 1, "perftest: no more than there is room for");
	check(parse("#, usec\n1, 36.5\n3, 35\n", s, 8) == 1, "perftest: a gap ends them");
	check(parse("#, cycles\n1, 36.5\n", s, 8) == 0, "perftest: other units are refused");
	check(parse(" #bytes #iterations t_min[usec]\n 2 1000 1.5\n", s, 8) == 0, "perftest: a summary is no sample");
}

int main(int argc, char **argv)
{
	char path[] = "/tmp/test-harness.XXXXXX";
	(void)argv;
	if (argc > 1) {
		puts("Usage: test-harness\n\nTests the benchmark harness. Exit status: 0 all passed, 1 not.");
		return 0;
	}
	bench_signals();
	int fd = mkstemp(path);
	if (fd >= 0)
		close(fd);
	test_percentiles();
	test_long_tail();
	test_jitter();
	test_pacing();
	test_stall();
	test_compare();
	test_aims();
	test_growth();
	test_json(path);
	test_report();
	test_harness();
	test_isolated();
	test_perftest();
	printf("%d passed, %d failed\n", passed, failed);
	return failed != 0;
}
