/* SPDX-License-Identifier: Apache-2.0 */
/* Boards at a running engine: the board's own portable code sends over a real socket, a client reads the
 * cells. Silence, restarts, reload, replays, counters. */
#include <criterion/criterion.h>
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <dsm/engine.h>

#include "device.h"
#include "engine/table.h"

#define TABLE(more) \
	"region: adc\nowners: [{name: knobs}]\n" \
	"groups: [{name: k, owner: knobs, cells: [{name: a, type: f64}, {name: b, type: f64}, {name: on, type: bool},\n" \
	"  {name: n, type: u64}]}, {name: e, cells: [{name: x, type: f64}]}]\n" \
	"devices: [{name: panel, id: 5, owner: knobs, tick_us: 2000, inputs: [\n" \
	"  {cell: k.a, channel: 0, low: -1, high: 1}, {cell: k.on, level: 0}, {cell: k.n, presses: 0}" more "]}]\n"
#define KEY "device:5 panel 09090900000000000000000000000000\n"

/* ---- a board --------------------------------------------------------------------------- */

static struct board {
	int fd;
	uint32_t levels, epoch;
	uint16_t sample;
	uint8_t last[200];
	size_t last_bytes;
	bool mute;
} board = { .fd = -1 };
static struct pico_device device;
static struct sockaddr_in engine_address = { .sin_family = AF_INET };

static uint64_t now_us(void *context)
{
	struct timespec t;
	(void)context;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static bool samples(void *context, unsigned channel, uint16_t *out, unsigned n)
{
	(void)context;
	for (unsigned i = 0; i < n; i++)
		out[i] = channel == 0 ? board.sample : 0;
	return true;
}

static uint32_t levels(void *context)
{
	(void)context;
	return board.levels;
}

static void throw(const uint8_t *data, size_t n)
{
	if (sendto(board.fd, data, n, 0, (struct sockaddr *)&engine_address, sizeof(engine_address)) < 0)
		perror("sendto");
}

static bool send_it(void *context, const uint8_t *data, size_t n)
{
	(void)context;
	memcpy(board.last, data, n);
	board.last_bytes = n;
	if (!board.mute)
		throw(data, n);
	return true;
}

static bool load_epoch(void *context, uint32_t *epoch)
{
	(void)context;
	*epoch = board.epoch;
	return true;
}

static bool store_epoch(void *context, uint32_t epoch)
{
	(void)context;
	board.epoch = epoch;
	return true;
}

static void board_start(void)
{
	static const struct pico_hal hal = { NULL, now_us, samples, levels, send_it, load_epoch, store_epoch };
	static const struct pico_config config = { .device = 5, .tick_us = 2000, .debounce_us = 4000, .channels = 2,
		.log2_average = 4, .reset = ADC_RESET_POWER, .key = { 9, 9, 9 } };
	if (board.fd < 0)
		board.fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	cr_assert_geq(board.fd, 0);
	cr_assert(pico_start(&device, &config, &hal));
}

static void board_run(unsigned ms)
{
	uint64_t end = now_us(NULL) + ms * 1000ull;
	while (now_us(NULL) < end) {
		pico_poll(&device);
		usleep(200);
	}
}

/* ---- an engine ------------------------------------------------------------------------- */

static char folder[] = "/tmp/dsm-adc-XXXXXX", name[64], keys_path[80], state_path[80];
static char logged[8000];
static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static struct dsm_engine *engine;
static struct dsm *reader;

static void take_log(const char *text, void *context)
{
	(void)context;
	pthread_mutex_lock(&log_lock);
	size_t n = strlen(logged);
	snprintf(logged + n, sizeof(logged) - n, "%s\n", text);
	pthread_mutex_unlock(&log_lock);
}

static bool has_logged(const char *text)
{
	pthread_mutex_lock(&log_lock);
	bool found = strstr(logged, text) != NULL;
	pthread_mutex_unlock(&log_lock);
	return found;
}

static struct dsm_table *table_of(const char *text)
{
	struct dsm_table *table = NULL;
	cr_assert_eq(table_load_memory("t", text, strlen(text), &table), 0, "%s", dsm_error());
	return table;
}

static struct dsm_engine_options options(void)
{
	struct dsm_engine_options o = DSM_ENGINE_OPTIONS_INIT;
	o.name = name;
	o.adc = "127.0.0.1:0";
	o.keys = keys_path;
	o.state_file = state_path;
	o.restore = true;
	o.tick_ms = 10;
	o.lease_ms = 200;
	o.log = take_log;
	return o;
}

static void engine_up(const char *table_text_of, uint32_t save_interval_ms)
{
	struct dsm_table *table = table_of(table_text_of);
	struct dsm_engine_options o = options();
	o.save_interval_ms = save_interval_ms;
	logged[0] = '\0';
	cr_assert_eq(dsm_engine_open(table, &o, &engine), 0, "%s", dsm_error());
	dsm_table_free(&table);
	const char *at = strstr(logged, "listening at udp 127.0.0.1:");
	cr_assert(at, "%s", logged);
	engine_address.sin_port = htons((uint16_t)atoi(strrchr(at, ':') + 1));
	engine_address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	char uri[80];
	snprintf(uri, sizeof(uri), "shm://%s", name);
	cr_assert_eq(dsm_attach(uri, NULL, &reader), 0, "%s", dsm_error());
}

static void engine_down(void)
{
	dsm_detach(&reader);
	cr_expect_eq(dsm_engine_close(&engine), 0, "%s", dsm_error());
}

static void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");
	cr_assert(f && fputs(text, f) >= 0 && fclose(f) == 0);
	chmod(path, 0600);
}

static void begin(void)
{
	cr_assert(mkdtemp(folder));
	snprintf(name, sizeof(name), "adc-%d", (int)getpid());
	snprintf(keys_path, sizeof(keys_path), "%s/keys", folder);
	snprintf(state_path, sizeof(state_path), "%s/state", folder);
	write_file(keys_path, KEY);
}

static void end(void)
{
	char command[120];
	dsm_detach(&reader);
	dsm_engine_close(&engine);
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	if (system(command))
		fprintf(stderr, "%s is left behind\n", folder);
}

TestSuite(adc_engine, .init = begin, .fini = end, .timeout = 120);

static struct dsm_sample look(const char *cell_name)
{
	struct dsm_cell cell;
	struct dsm_sample s = { 0 };
	cr_assert_eq(dsm_cell(reader, cell_name, &cell), 0, "%s", dsm_error());
	cr_assert_eq(dsm_read(reader, cell, &s), 0, "%s", dsm_error());
	return s;
}

struct wanted { const char *name; uint64_t value; };

static int find_counter(const char *counter, const char *what, uint64_t value, void *context)
{
	struct wanted *w = context;
	(void)what;
	if (strcmp(counter, w->name) == 0)
		w->value = value;
	return 0;
}

static uint64_t counter(const char *counter_name)
{
	struct wanted w = { counter_name, UINT64_MAX };
	dsm_foreach_counter(reader, find_counter, &w);
	cr_assert(w.value != UINT64_MAX, "no counter %s", counter_name);
	return w.value;
}

/* Until it is so, for PATIENCE_S at most; the board runs meanwhile if it is to. A board that a busy machine
 * keeps from running for 40 ms is silent: what holds while it runs is waited for, all at once. */
#define PATIENCE_S 20
#define WITHIN(board_runs, condition) do { \
	uint64_t until_us = now_us(NULL) + PATIENCE_S * UINT64_C(1000000); \
	bool so = (condition); \
	for (; !so && now_us(NULL) < until_us; so = (condition)) { \
		if (board_runs) board_run(5); else usleep(2000); \
	} \
	cr_assert(so, "not within %d s: %s\n%s", PATIENCE_S, #condition, logged); \
} while (0)

static bool owner_alive(void)
{
	struct dsm_owner_info info;
	return dsm_owner_info(reader, 1, &info) == 0 && info.state == DSM_ALIVE;
}

/* ---- tests ----------------------------------------------------------------------------- */

Test(adc_engine, from_knob_to_cell)
{
	engine_up(TABLE(""), 0);
	cr_expect(!owner_alive());
	board.sample = 4095;
	board_start();
	WITHIN(true, look("k.a").quality == DSM_GOOD);
	cr_expect_eq(look("k.a").value.f64, 1.0);
	WITHIN(true, owner_alive() && look("k.a").flags == 0);
	cr_expect(has_logged("adc: panel: alive at 127.0.0.1:") && has_logged("last reset: power on"), "%s", logged);
	board.sample = 0;
	board.levels = 1;
	WITHIN(true, look("k.on").value.b);
	WITHIN(true, look("k.a").value.f64 == -1.0);
	board.levels = 0;
	WITHIN(true, !look("k.on").value.b);
	cr_expect_eq(look("k.n").value.u64, 1u);
	/* silence: not alive, the values stay and are said to be stale, nobody else's; then back by itself */
	WITHIN(false, !owner_alive());
	WITHIN(false, (look("k.a").flags & DSM_STALE_OWNER) && look("e.x").flags == 0);
	cr_expect_eq(look("k.a").value.f64, -1.0);
	WITHIN(false, has_logged("silent for 20 ticks"));
	board.sample = 4095;
	WITHIN(true, owner_alive() && look("k.a").flags == 0 && look("k.a").value.f64 == 1.0);
	WITHIN(false, counter("adc_silences") >= 1);
	WITHIN(false, counter("adc_accepted") == device.sent);
}

/* Authentic and new, but from another address while the board is heard at its own. It has to come within
 * 20 ticks: not at every try on a busy machine. */
static void throw_from_elsewhere(void)
{
	int mine = board.fd;
	board_run(10);
	board.mute = true;
	board_run(10);
	board.fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	throw(board.last, board.last_bytes);
	close(board.fd);
	board.fd = mine;
	board.mute = false;
}

Test(adc_engine, what_is_refused_is_counted)
{
	engine_up(TABLE(""), 0);
	board_start();
	WITHIN(true, look("k.a").quality == DSM_GOOD);
	uint8_t data[200];
	size_t n = board.last_bytes;
	uint64_t before = look("k.a").seq;
	board.mute = true; /* time goes on, nothing is sent but what follows */
	throw(board.last, n);
	memcpy(data, board.last, n);
	data[20] ^= 1;
	throw(data, n);
	memcpy(data, board.last, n);
	data[8] = 6;
	throw(data, n);
	throw(data, 3);
	throw(data, sizeof(data));
	WITHIN(false, counter("adc_duplicate") == 1 && counter("adc_bad_tag") == 1 && counter("adc_unknown") == 1 &&
		counter("adc_foreign") == 2);
	board.mute = false;
	WITHIN(true, owner_alive() && look("k.a").seq > before);
	WITHIN(false, (throw_from_elsewhere(), counter("adc_second_source") >= 1));
}

/* A clean end: exactly what was believed is refused, and the next tick is taken; counts go on. */
Test(adc_engine, clean_restart)
{
	engine_up(TABLE(""), 10000);
	board_start();
	WITHIN(true, look("k.a").quality == DSM_GOOD);
	for (unsigned i = 1; i <= 3; i++) {
		board.levels = 1;
		WITHIN(true, look("k.n").value.u64 == i);
		board.levels = 0;
		WITHIN(true, !look("k.on").value.b);
	}
	WITHIN(false, counter("adc_accepted") == device.sent);
	uint8_t captured[200];
	size_t n = board.last_bytes;
	memcpy(captured, board.last, n);
	engine_down();
	engine_up(TABLE(""), 10000);
	cr_expect(has_logged("restoring from"), "%s", logged);
	throw(captured, n);
	WITHIN(false, counter("adc_replay") == 1);
	cr_expect(!owner_alive(), "a replay is no life");
	WITHIN(true, owner_alive());
	cr_expect_eq(counter("adc_replay"), 1u);
	cr_expect_eq(look("k.n").value.u64, 3u);
	board.levels = 1;
	WITHIN(true, look("k.n").value.u64 == 4);
	board.levels = 0;
}

#define SAVE_MS 10000 /* so the margin is 21 s of ticks: the board stays within it on a busy machine, too */

/* A crash: the state file is older than what was believed; none of that comes through again. by_itself:
 * nobody touches the board, and the margin is over some time. */
static void crash(uint32_t save_ms, bool by_itself)
{
	char saved[120], command[300];
	engine_up(TABLE(""), save_ms);
	board_start();
	WITHIN(true, look("k.a").quality == DSM_GOOD && counter("adc_accepted") > 0); /* so its mark is known */
	cr_assert_eq(dsm_engine_save(engine), 0, "%s", dsm_error());
	snprintf(saved, sizeof(saved), "%s.crash", state_path);
	snprintf(command, sizeof(command), "cp %s %s", state_path, saved);
	cr_assert_eq(system(command), 0);
	if (!by_itself)
		board_run(300);
	WITHIN(false, counter("adc_accepted") == device.sent);
	uint8_t captured[200];
	size_t n = board.last_bytes;
	memcpy(captured, board.last, n);
	engine_down();
	cr_assert_eq(rename(saved, state_path), 0);
	engine_up(TABLE(""), save_ms);
	throw(captured, n); /* believed after the save, before the crash */
	WITHIN(false, counter("adc_replay") == 1);
	cr_expect(!owner_alive());
	uint32_t epoch = board.epoch;
	if (!by_itself) {
		board_run(100);
		cr_expect(!owner_alive(), "within the margin the board itself is refused");
		board_start(); /* off and on */
	}
	WITHIN(true, owner_alive() && look("k.a").flags == 0);
	cr_expect_eq(board.epoch, epoch + !by_itself);
}

Test(adc_engine, crash)
{
	crash(SAVE_MS, false);
}

/* The margin is 2 x 100 ms and a second. */
Test(adc_engine, crash_and_back_by_itself)
{
	crash(100, true);
}

Test(adc_engine, reload)
{
	engine_up(TABLE(""), 0);
	board_start();
	board.sample = 4095;
	board.levels = 0;
	WITHIN(true, look("k.a").quality == DSM_GOOD);
	board.levels = 1;
	WITHIN(true, look("k.n").value.u64 == 1);
	board.levels = 0;
	WITHIN(true, !look("k.on").value.b);
	struct dsm_table *other = table_of(TABLE(", {cell: k.b, channel: 1, low: 7, high: 9}"));
	cr_assert_eq(dsm_engine_reload(engine, other), 0, "%s", dsm_error());
	dsm_table_free(&other);
	uint64_t before = counter("adc_accepted");
	WITHIN(true, look("k.b").quality == DSM_GOOD && look("k.b").value.f64 == 7 && look("k.b").flags == 0);
	cr_expect_eq(look("k.n").value.u64, 1u);
	board.levels = 1;
	WITHIN(true, look("k.n").value.u64 == 2);
	board.levels = 0;
	cr_expect_geq(counter("adc_accepted"), before, "the counters go on");
	cr_expect_eq(counter("adc_replay") + counter("adc_second_source"), 0u);
	/* another key, and the old one no more */
	write_file(keys_path, "device:5 new 0a090900000000000000000000000000\n");
	other = table_of(TABLE(""));
	cr_assert_eq(dsm_engine_reload(engine, other), 0, "%s", dsm_error());
	WITHIN(true, counter("adc_bad_tag") > 0);
	WITHIN(true, !owner_alive());
	/* a key file that is wrong: refused, and all goes on as it was */
	write_file(keys_path, "device:5 panel\n");
	cr_expect_eq(dsm_engine_reload(engine, other), -EINVAL);
	cr_expect(strstr(dsm_error(), "keys:1: key: "), "%s", dsm_error());
	write_file(keys_path, KEY);
	cr_expect_eq(dsm_engine_reload(engine, other), 0, "%s", dsm_error());
	WITHIN(true, owner_alive());
	dsm_table_free(&other);
	/* no devices at all, and again */
	other = table_of("region: adc\nowners: [{name: knobs}]\ngroups: [{name: e, cells: [{name: x, type: f64}]}]\n");
	cr_assert_eq(dsm_engine_reload(engine, other), 0, "%s", dsm_error());
	dsm_table_free(&other);
	board_run(50);
	other = table_of(TABLE(""));
	cr_assert_eq(dsm_engine_reload(engine, other), 0, "%s", dsm_error());
	dsm_table_free(&other);
	WITHIN(true, owner_alive());
}

Test(adc_engine, somebody_else_has_the_role)
{
	struct dsm_options o = DSM_OPTIONS_INIT;
	struct dsm *other = NULL;
	engine_up(TABLE(""), 0);
	o.owner = "knobs";
	cr_assert_eq(dsm_engine_attach(engine, &o, &other), 0, "%s", dsm_error());
	board_start();
	WITHIN(true, has_logged("the role \"knobs\" cannot be had"));
	cr_expect_eq(look("k.a").quality, DSM_NEVER_WRITTEN);
	cr_expect_eq(dsm_engine_close(&engine), -EBUSY, "the other's handle is open");
	cr_assert_not_null(engine);
	dsm_detach(&other);
	WITHIN(true, look("k.a").quality == DSM_GOOD);
}

Test(adc_engine, refused_before_anything_is_opened)
{
	struct dsm_table *table = table_of(TABLE(""));
	struct dsm_engine_options o = options();
	static const char *const bad[] = { "", ":7462", "127.0.0.1:x", "127.0.0.1:65536", "::1:7462", "[::1", "[::1]x", "a:1:2" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		o.adc = bad[i];
		cr_expect_eq(dsm_engine_check(table, &o), -EINVAL, "\"%s\"", bad[i]);
		cr_expect(strncmp(dsm_error(), "adc: \"", 6) == 0, "%s", dsm_error());
	}
	static const char *const good[] = { "127.0.0.1", "*", "*:0", "[::1]", "[::1]:9", "localhost:5" };
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		o.adc = good[i];
		cr_expect_eq(dsm_engine_check(table, &o), 0, "\"%s\": %s", good[i], dsm_error());
	}
	o.keys = NULL;
	unsetenv("DSM_KEYS");
	cr_expect_eq(dsm_engine_open(table, &o, &engine), -ENOKEY);
	setenv("DSM_KEYS", KEY, 1);
	cr_expect_eq(dsm_engine_check(table, &o), 0, "%s", dsm_error());
	setenv("DSM_KEYS", "device:6 x 09090900000000000000000000000000", 1);
	cr_expect_eq(dsm_engine_open(table, &o, &engine), -ENOKEY);
	cr_expect(strstr(dsm_error(), "\"panel\" has no key"), "%s", dsm_error());
	unsetenv("DSM_KEYS");
	o.keys = keys_path;
	chmod(keys_path, 0644);
	cr_expect_eq(dsm_engine_open(table, &o, &engine), -EACCES);
	chmod(keys_path, 0600);
	o.adc = "192.0.2.77:0"; /* no address of this machine */
	cr_expect_eq(dsm_engine_open(table, &o, &engine), -EADDRNOTAVAIL, "%s", dsm_error());
	cr_expect_null(engine);
	dsm_table_free(&table);
}
