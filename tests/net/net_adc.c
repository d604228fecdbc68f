/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An ADC board at a real engine through the relay: whatever the network does, the cells show what the
 * board's inputs were, never a mix of two datagrams and never older than before; every press is
 * counted once; and each datagram is accounted for, by its cause. One thread polls the board, looks at
 * the cells and tells the relay what to do.
 * Usage: net_adc RELAY [CAPTURE]
 */
#include <arpa/inet.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <dsm/engine.h>

#define PLAIN_SHARED
#include "../stress/plain.h"
#include "device.h"
#include "net/relays.h"

#define WITHIN_MS 10000u

atomic_uint plain_passed, plain_failed;

static const char *const table_text =
	"region: net\nowners: [{name: knobs}]\n"
	"groups: [{name: k, owner: knobs, cells: [{name: a, type: f64}, {name: b, type: f64}, {name: n, type: u64}]}]\n"
	"devices: [{name: panel, id: 5, owner: knobs, tick_us: 2000, inputs: [{cell: k.a, channel: 0, low: 0, high: 1},\n"
	"  {cell: k.b, channel: 1, low: 0, high: 1}, {cell: k.n, presses: 0}]}]\n";
static const char *const key_text = "device:5 panel 09090900000000000000000000000000\n";

static struct test {
	char folder[64], name[64], engine_address[64], capture[300];
	struct dsm_engine *engine;
	struct dsm *reader;
	struct dsm_group group;
	struct dsm_frame *frame;
	struct dsm_cell a, b, n;
	struct relays relays;
	struct pico_device device;
	int fd;
	bool mute;
	uint16_t sample;            /* both channels show it; it only grows */
	uint32_t levels, epoch;
	uint64_t presses;           /* counted on the board */
	uint8_t last_presses;
	uint64_t toggled_ms;
	double seen_value;          /* the last look */
	uint64_t seen_presses, seen_seq, looks;
} t = { .folder = "/tmp/dsm-net-XXXXXX", .fd = -1 };

/* ---- the board ---- */

static uint64_t now_us(void *context)
{
	struct timespec now;
	(void)context;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static bool samples(void *context, unsigned channel, uint16_t *out, unsigned n)
{
	(void)context;
	(void)channel;
	for (unsigned i = 0; i < n; i++)
		out[i] = t.sample;
	return true;
}

static uint32_t levels(void *context)
{
	(void)context;
	return t.levels;
}

static bool send_it(void *context, const uint8_t *data, size_t n)
{
	(void)context;
	return t.mute || send(t.fd, data, n, MSG_DONTWAIT) == (ssize_t)n;
}

static bool load_epoch(void *context, uint32_t *epoch)
{
	(void)context;
	*epoch = t.epoch;
	return true;
}

static bool store_epoch(void *context, uint32_t epoch)
{
	(void)context;
	t.epoch = epoch;
	return true;
}

static bool board_start(void)
{
	static const struct pico_hal hal = { NULL, now_us, samples, levels, send_it, load_epoch, store_epoch };
	static const struct pico_config config = { .device = 5, .tick_us = 2000, .debounce_us = 4000, .channels = 2,
		.log2_average = 4, .reset = ADC_RESET_POWER, .key = { 9, 9, 9 } };
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	const char *port = strrchr(t.relays.address, ':');
	to.sin_port = htons((uint16_t)atoi(port ? port + 1 : "0"));
	t.fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	return t.fd >= 0 && connect(t.fd, (struct sockaddr *)&to, sizeof(to)) == 0 &&
		pico_start(&t.device, &config, &hal);
}

/* The sample grows slowly enough not to come to its end within the test. */
static void board_poll(void)
{
	uint64_t now = plain_ms();
	static uint64_t moved_ms;
	if (now >= moved_ms + 8 && t.sample < 4095 && !t.mute) {
		t.sample++;
		moved_ms = now;
	}
	if (now >= t.toggled_ms + 15) {
		t.levels ^= 1;
		t.toggled_ms = now;
	}
	pico_poll(&t.device);
	t.presses += (uint8_t)(t.device.buttons.presses[0] - t.last_presses);
	t.last_presses = t.device.buttons.presses[0];
}

/* ---- looking ---- */

static void look(void)
{
	struct dsm_sample a = { 0 }, b = { 0 }, n = { 0 };
	struct dsm_frame_info info;
	int rc = dsm_snapshot(t.reader, t.group, t.frame);
	if (!expect(rc == 0, "snapshot: %s", dsm_error()))
		return;
	dsm_frame_info(t.frame, &info);
	dsm_frame_read(t.frame, t.a, &a);
	dsm_frame_read(t.frame, t.b, &b);
	dsm_frame_read(t.frame, t.n, &n);
	if (info.seq == 0)
		return;
	expect(a.value.f64 >= b.value.f64 && a.value.f64 <= b.value.f64, "torn: a %g, b %g", a.value.f64, b.value.f64);
	expect(a.value.f64 >= t.seen_value, "went back: %g after %g", a.value.f64, t.seen_value);
	expect(n.value.u64 >= t.seen_presses, "presses went back: %llu after %llu", (unsigned long long)n.value.u64,
		(unsigned long long)t.seen_presses);
	expect(n.value.u64 <= t.presses, "more presses than there were");
	expect(a.quality == DSM_GOOD && a.value.f64 <= (t.sample + 0.01) / 4095.0, "a value that the board never had");
	t.seen_value = a.value.f64;
	t.seen_presses = n.value.u64;
	t.seen_seq = info.seq;
	t.looks++;
}

static void run(unsigned ms)
{
	uint64_t until = plain_ms() + ms;
	while (plain_ms() < until) {
		board_poll();
		look();
		usleep(300);
	}
}

static bool agrees(void)
{
	double difference = t.seen_value - t.sample / 4095.0;
	return difference < 0.001 && difference > -0.001 && t.seen_presses == t.presses;
}

/* On a good network the cells must come to show what the board has, whatever was before. */
static void recover(const char *what)
{
	relays_set(&t.relays, "");
	uint64_t until = plain_ms() + WITHIN_MS;
	do
		run(10);
	while (!agrees() && plain_ms() < until);
	check(agrees(), "%s: the cells do not come to show the board: %g, not %g; %llu presses, not %llu", what,
		t.seen_value, t.sample / 4095.0, (unsigned long long)t.seen_presses, (unsigned long long)t.presses);
}

/* ---- counting ---- */

static const char *const counter_names[] = { "adc_accepted", "adc_lost", "adc_late", "adc_duplicate", "adc_replay",
	"adc_bad_tag", "adc_second_source", "adc_unknown", "adc_foreign", "adc_dropped", "adc_silences" };
struct counts { uint64_t accepted, lost, late, duplicate, replay, bad_tag, second, unknown, foreign, dropped, silences; };

static int take_counter(const char *name, const char *what, uint64_t value, void *context)
{
	(void)what;
	for (size_t i = 0; i < sizeof(counter_names) / sizeof(counter_names[0]); i++)
		if (strcmp(name, counter_names[i]) == 0)
			memcpy((char *)context + i * sizeof(value), &value, sizeof(value));
	return 0;
}

static struct counts counts_now(void)
{
	struct counts c = { 0 };
	dsm_foreach_counter(t.reader, take_counter, &c);
	return c;
}

static uint64_t came(const struct counts *c)
{
	return c->accepted + c->late + c->duplicate + c->replay + c->bad_tag + c->second + c->unknown + c->foreign +
		c->dropped;
}

/* Everything that the relay ever sent has been seen and counted, under one cause each. */
static void settle(const char *what)
{
	struct relay_stats s;
	struct counts c;
	uint64_t until = plain_ms() + WITHIN_MS;
	t.mute = true;
	do {
		run(10);
		s = relays_stats(&t.relays);
		c = counts_now();
	} while (came(&c) != s.forwarded + s.flooded + s.injected && plain_ms() < until);
	check(came(&c) == s.forwarded + s.flooded + s.injected, "%s: %llu datagrams sent, %llu counted", what,
		(unsigned long long)(s.forwarded + s.flooded + s.injected), (unsigned long long)came(&c));
	t.mute = false;
}

/* ---- what the network does ---- */

struct harm { struct relay_stats relay; struct counts engine; };

static struct harm harm_since(const struct harm *from)
{
	struct harm to = { relays_stats(&t.relays), counts_now() }, out = to;
	uint64_t *relay = (uint64_t *)&out.relay, *engine = (uint64_t *)&out.engine;
	for (size_t i = 0; from && i < sizeof(out.relay) / 8; i++)
		relay[i] -= ((const uint64_t *)&from->relay)[i];
	for (size_t i = 0; from && i < sizeof(out.engine) / 8; i++)
		engine[i] -= ((const uint64_t *)&from->engine)[i];
	return out;
}

/* 400 ms of it, and then all is accounted for and right again. */
static struct harm suffer(const char *settings)
{
	struct harm before;
	settle(settings);
	before = harm_since(NULL);
	relays_set(&t.relays, settings);
	run(400);
	relays_set(&t.relays, "");
	settle(settings);
	struct harm done = harm_since(&before);
	recover(settings);
	return done;
}

static void test_losses(void)
{
	struct harm h = suffer("loss 0.2");
	check(h.relay.lost > 0 && h.engine.lost >= h.relay.lost, "loss: %llu were lost, %llu counted",
		(unsigned long long)h.relay.lost, (unsigned long long)h.engine.lost);
	h = suffer("duplicate 0.3");
	check(h.relay.duplicated > 0 && h.engine.duplicate == h.relay.duplicated, "duplicate: %llu counted of %llu",
		(unsigned long long)h.engine.duplicate, (unsigned long long)h.relay.duplicated);
	h = suffer("reorder 0.3");
	check(h.relay.reordered > 0 && h.engine.late > 0, "reorder: %llu held back, %llu late",
		(unsigned long long)h.relay.reordered, (unsigned long long)h.engine.late);
	h = suffer("delay 5 jitter 20");
	check(h.engine.late > 0, "jitter: nothing late");
}

static void test_damage(void)
{
	struct harm h = suffer("corrupt 0.3");
	check(h.relay.corrupted > 0 && h.engine.bad_tag + h.engine.foreign + h.engine.unknown == h.relay.corrupted,
		"corrupt: %llu, refused %llu", (unsigned long long)h.relay.corrupted,
		(unsigned long long)(h.engine.bad_tag + h.engine.foreign + h.engine.unknown));
	h = suffer("truncate 0.3");
	check(h.relay.truncated > 0 && h.engine.foreign == h.relay.truncated, "truncate: %llu, refused %llu",
		(unsigned long long)h.relay.truncated, (unsigned long long)h.engine.foreign);
	h = suffer("mtu 47"); /* a black hole: nothing comes through, and it comes back */
	check(h.relay.oversize > 0 && h.engine.accepted == 0 && h.engine.silences == 1, "mtu: %llu accepted",
		(unsigned long long)h.engine.accepted);
}

static void test_malice(void)
{
	struct harm h = suffer("spoof 0.5");
	check(h.relay.spoofed > 0 && h.engine.bad_tag + h.engine.foreign + h.engine.unknown == h.relay.spoofed,
		"spoof: %llu, refused %llu", (unsigned long long)h.relay.spoofed,
		(unsigned long long)(h.engine.bad_tag + h.engine.foreign + h.engine.unknown));
	h = suffer("replay 0.5");
	check(h.relay.replayed > 0 && h.engine.duplicate + h.engine.replay + h.engine.late == h.relay.replayed,
		"replay: %llu, refused %llu", (unsigned long long)h.relay.replayed,
		(unsigned long long)(h.engine.duplicate + h.engine.replay + h.engine.late));
	/* while one source is live another is refused; after 20 missed ticks it is taken */
	h = suffer("rebind 100");
	check(h.relay.rebinds > 0 && h.engine.second > 0 && h.engine.accepted > 0, "rebind: %llu refused",
		(unsigned long long)h.engine.second);
	h = suffer("flood 4000");
	check(h.relay.flooded > 100 && h.engine.accepted > 0 && h.engine.accepted <= h.relay.forwarded,
		"flood: %llu of %llu accepted", (unsigned long long)h.engine.accepted, (unsigned long long)h.relay.flooded);
	h = suffer("loss 0.1 duplicate 0.1 reorder 0.1 corrupt 0.1 truncate 0.1 spoof 0.1 replay 0.1 jitter 5");
	check(h.engine.accepted > 0, "all together: nothing accepted");
}

/* The whole capture again, from elsewhere: when the board is live, and when it is silent. */
static void test_capture(void)
{
	relays_flush(&t.relays);
	for (unsigned silent = 0; silent < 2; silent++) {
		settle("capture");
		t.mute = true;
		if (silent)
			run(200);
		uint64_t before = counts_now().accepted;
		int n = relays_inject(&t.relays, t.capture);
		check(n > 1000, "a capture of %d", n);
		settle("capture");
		uint64_t accepted = counts_now().accepted - before;
		check(accepted == 0, "%llu datagrams of a capture were believed", (unsigned long long)accepted);
		recover("capture");
	}
}

/* ---- all of it ---- */

static void take_log(const char *text, void *context)
{
	(void)context;
	const char *at = strstr(text, "listening at udp ");
	if (at)
		sscanf(at, "listening at udp %63s", t.engine_address);
}

static bool write_file(const char *name, const char *text, char *path, size_t room)
{
	snprintf(path, room, "%s/%s", t.folder, name);
	FILE *file = fopen(path, "w");
	return file && fputs(text, file) >= 0 && fclose(file) == 0 && chmod(path, 0600) == 0;
}

static bool engine_up(void)
{
	char table_path[100], keys_path[100], uri[100];
	struct dsm_engine_options options = DSM_ENGINE_OPTIONS_INIT;
	struct dsm_table *table = NULL;
	snprintf(t.name, sizeof(t.name), "net-adc-%d", (int)getpid());
	if (!mkdtemp(t.folder) || !write_file("table.yaml", table_text, table_path, sizeof(table_path)) ||
	    !write_file("keys", key_text, keys_path, sizeof(keys_path)))
		return false;
	options.name = t.name;
	options.adc = "127.0.0.1:0";
	options.keys = keys_path;
	options.tick_ms = 10;
	options.lease_ms = 500;
	options.log = take_log;
	int rc = dsm_table_load(table_path, &table);
	if (rc == 0)
		rc = dsm_engine_open(table, &options, &t.engine);
	dsm_table_free(&table);
	snprintf(uri, sizeof(uri), "shm://%s", t.name);
	return rc == 0 && dsm_attach(uri, NULL, &t.reader) == 0 && dsm_group(t.reader, "k", &t.group) == 0 &&
		dsm_frame_new(t.reader, t.group, &t.frame) == 0 && dsm_cell(t.reader, "k.a", &t.a) == 0 &&
		dsm_cell(t.reader, "k.b", &t.b) == 0 && dsm_cell(t.reader, "k.n", &t.n) == 0;
}

static void tidy(const char *name)
{
	char path[100];
	snprintf(path, sizeof(path), "%s/%s", t.folder, name);
	unlink(path);
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		fputs("Usage: net_adc RELAY [CAPTURE]\n", stderr);
		return 2;
	}
	plain_begin(150);
	t.relays.program = argv[1];
	if (!check(engine_up(), "the engine: %s", dsm_error()))
		return plain_end();
	snprintf(t.capture, sizeof(t.capture), "%s/capture", t.folder);
	if (argc > 2)
		snprintf(t.capture, sizeof(t.capture), "%s", argv[2]);
	if (relays_start(&t.relays, "127.0.0.1:0", t.engine_address, t.capture) && check(board_start(), "the board")) {
		recover("at first");
		test_losses();
		test_damage();
		test_malice();
		test_capture();
		check(t.looks > 1000, "only %llu looks", (unsigned long long)t.looks);
		relays_stop(&t.relays);
	}
	dsm_frame_free(&t.frame);
	dsm_detach(&t.reader);
	check(dsm_engine_close(&t.engine) == 0, "the engine does not close: %s", dsm_error());
	tidy("table.yaml");
	tidy("keys");
	tidy("capture");
	rmdir(t.folder);
	return plain_end();
}
