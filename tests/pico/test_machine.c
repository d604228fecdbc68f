/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The RP2350 image in the emulated machine, from voltage to datagram.
 * Usage: test_machine IMAGE.bin [SCENARIO...]      all of them, or those named
 *        test_machine --first IMAGE.bin            ends at the first scenario that fails
 * Prints "ok NAME" or "not ok NAME", then "N passed, N failed". A plain program: the image is an argument,
 * and wrong images (wrong.sh) must fail.
 */
#include "bench.h"

#include <stdio.h>
#include <string.h>

static const char *image;

static bool fresh(void)
{
	EXPECT(bench_begin(image, false), "no machine");
	RUN(60 * MS);
	EXPECT(seen_count == 0, "a board without a key sends");
	EXPECT(bench_say("help\r", "start anew"), "help");
	EXPECT(bench_say("show\r", "key (none)"), "show");
	EXPECT(bench_say("set device x\r", "error: expected a number from 0 to 4294967295"), "set");
	EXPECT(bench_say("set nothing 1\r", "error: expected one of the names"), "set");
	EXPECT(bench_say("frob\r", "error: expected a verb"), "verb");
	EXPECT(bench_say("set device 7\r", "ok, not saved yet"), "set device");
	EXPECT(bench_say("set key 000102030405060708090a0b0c0d0e0f\r", "ok, not saved yet"), "set key");
	EXPECT(bench_say("save\r", "saved"), "save");
	EXPECT(bench_say("show\r", "key (set)"), "show");
	EXPECT(strstr(m->uart_out, "set key ****") && !strstr(m->uart_out, "0001020304"), "the key can be read: \"%s\"",
		m->uart_out);
	machine_type(m, "reset\r");
	RUN(200 * MS);
	EXPECT(seen_count > 50, "%u datagrams after settings were saved", seen_count);
	EXPECT((seen[0].h.flags & ADC_RESET_BITS) == ADC_RESET_SOFTWARE, "flags 0x%x", seen[0].h.flags);
	EXPECT(seen[0].h.epoch == 1 && seen[0].h.device == 7, "epoch %u", seen[0].h.epoch);
	EXPECT(bench_say("status\r", "link 1"), "status");
	return bench_values_right(0) && bench_stack_right("first settings, saved");
}

static bool steady(void)
{
	EXPECT(bench_begin(image, true), "no machine");
	RUN(250 * MS);
	EXPECT(seen_count > 190, "%u datagrams", seen_count);
	EXPECT(seen[0].h.flags == ADC_RESET_POWER, "flags 0x%x", seen[0].h.flags);
	EXPECT(seen[0].h.log2_average == 4 && seen[0].h.epoch == 1 && seen[0].h.seq == 1, "first: seq %u", seen[0].h.seq);
	EXPECT(seen[9].h.levels == 0 && seen[9].h.presses[3] == 0, "buttons 0x%x", seen[9].h.levels);
	EXPECT(bench_values_right(0) && bench_ticks_right(1) && bench_addresses_right(), "steady");
	/* 16 conversions a tick and channel, no more and no fewer */
	EXPECT(m->samples > 245 * 48 * 9 / 10 && m->samples < 250 * 48 * 11 / 10, "%llu conversions in 0.25 s",
		(unsigned long long)m->samples);
	unsigned step = seen_count + 3;
	m->volt[0] = 3.3;
	m->volt[2] = 0;
	RUN(50 * MS);
	EXPECT(bench_values_right(step), "after a step of the voltages");
	return bench_stack_right("steady");
}

static bool buttons(void)
{
	EXPECT(bench_begin(image, true), "no machine");
	m->pressed = 1u << 5;
	RUN(80 * MS);
	EXPECT(seen_count && seen[seen_count - 1].h.levels == 1u << 5, "held at the start: 0x%x", seen[seen_count - 1].h.levels);
	EXPECT(seen[seen_count - 1].h.presses[5] == 0, "held at the start is no press");
	m->pressed = 0;
	for (unsigned press = 0; press < 3; press++) {
		for (unsigned bounce = 0; bounce < 6; bounce++) {
			m->pressed ^= 1u << 3;
			RUN(1 * MS);
		}
		m->pressed = 1u << 3 | 1u << 13;
		RUN(12 * MS);
		EXPECT(seen[seen_count - 1].h.levels == (1u << 3 | 1u << 13), "0x%x", seen[seen_count - 1].h.levels);
		m->pressed = 0;
		RUN(12 * MS);
		EXPECT(seen[seen_count - 1].h.levels == 0, "0x%x", seen[seen_count - 1].h.levels);
	}
	EXPECT(seen[seen_count - 1].h.presses[3] == 3, "%u presses", seen[seen_count - 1].h.presses[3]);
	return bench_ticks_right(1);
}

static bool same_again(void)
{
	uint64_t hashes[2];
	for (unsigned i = 0; i < 2; i++) {
		EXPECT(bench_begin(image, true), "no machine");
		RUN(100 * MS);
		m->volt[1] = 0.3;
		RUN(50 * MS);
		hashes[i] = stream_hash;
	}
	EXPECT(hashes[0] == hashes[1], "two runs differ");
	return true;
}

static bool no_chip(void)
{
	EXPECT(bench_begin(image, true), "no machine");
	m->no_chip = true;
	RUN(100 * MS);
	EXPECT(strstr(m->uart_out, "the network part does not answer"), "it says \"%s\"", m->uart_out);
	EXPECT(bench_say("status\r", "link 0"), "status");
	EXPECT(seen_count == 0 && m->wd_reason == 0, "it sends, or was reset");
	return true;
}

/* A chip that is slow at power-up, or gets its power after the board. */
static bool late_chip(void)
{
	EXPECT(bench_begin(image, true), "no machine");
	m->no_chip = true;
	RUN(50 * MS);
	m->no_chip = false;
	RUN(200 * MS);
	EXPECT(seen_count > 80, "%u datagrams after the chip came", seen_count);
	EXPECT(bench_say("status\r", "link 1") && strstr(m->uart_out, "the network part answers"), "status");
	return bench_values_right(0) && bench_ticks_right(1) && bench_addresses_right();
}

/* A SEND that never ends, not even with a timeout. */
static bool send_lost(void)
{
	EXPECT(bench_begin(image, true), "no machine");
	RUN(80 * MS);
	m->tx_lost = true;
	RUN(5 * MS);
	unsigned before = seen_count;
	RUN(800 * MS);
	EXPECT(seen_count == before && m->net.opens == 1, "%u datagrams", seen_count - before);
	RUN(400 * MS);
	EXPECT(seen_count > before + 100 && m->net.opens == 2, "%u datagrams after the chip was set up again",
		seen_count - before);
	EXPECT(seen[before].h.flags & ADC_LINK_LOST, "flags 0x%x", seen[before].h.flags);
	EXPECT(seen[before].h.seq - seen[before - 1].h.seq > 900, "the dropped ticks are not counted");
	return bench_values_right(before) && bench_ticks_right(before + 1) && bench_addresses_right();
}

/* The chip, not the board, was without power for a moment. */
static bool chip_forgets(void)
{
	EXPECT(bench_begin(image, true), "no machine");
	RUN(80 * MS);
	EXPECT(m->net.opens == 1, "opened %u times", m->net.opens);
	w5500_forgets(m);
	unsigned before = seen_count;
	RUN(80 * MS);
	EXPECT(m->net.opens == 2 && seen_count > before + 40, "%u datagrams after it", seen_count - before);
	EXPECT(seen[before].h.flags & ADC_LINK_LOST, "flags 0x%x", seen[before].h.flags);
	return bench_values_right(before) && bench_ticks_right(before + 1) && bench_addresses_right();
}

static bool link_down(void)
{
	EXPECT(bench_begin(image, true), "no machine");
	RUN(80 * MS);
	unsigned before = seen_count;
	m->link_down = true;
	RUN(60 * MS);
	EXPECT(seen_count == before, "%u datagrams without a link", seen_count - before);
	m->link_down = false;
	RUN(60 * MS);
	EXPECT(seen_count > before + 30, "%u datagrams after the link came back", seen_count - before);
	uint32_t gap = seen[before].h.seq - seen[before - 1].h.seq;
	EXPECT(gap >= 55 && gap <= 85, "%u ticks in the gap", gap);
	EXPECT(seen[before].h.flags & ADC_LINK_LOST, "flags 0x%x", seen[before].h.flags);
	EXPECT(!(seen[before + 1].h.flags & ADC_LINK_LOST), "flags 0x%x", seen[before + 1].h.flags);
	EXPECT(bench_say("status\r", "link_losses 1"), "status");
	return bench_values_right(before) && bench_ticks_right(before);
}

static bool tx_full(void)
{
	EXPECT(bench_begin(image, true), "no machine");
	RUN(80 * MS);
	unsigned before = seen_count;
	m->tx_stuck = true;
	RUN(30 * MS);
	EXPECT(seen_count <= before + 1, "%u datagrams", seen_count - before);
	m->tx_stuck = false;
	before = seen_count;
	RUN(30 * MS);
	EXPECT(seen_count > before + 25, "%u datagrams after the chip went on", seen_count - before);
	EXPECT(seen[before + 1].h.seq - seen[before - 1].h.seq >= 25, "the dropped ticks are not counted");
	EXPECT(m->wd_reason == 0, "the watchdog bit");
	EXPECT(bench_ticks_right(before + 1), "after the chip went on");
	m->tx_full = true; /* nothing is under way, and yet there is no room */
	RUN(2 * MS);
	before = seen_count;
	RUN(20 * MS);
	EXPECT(seen_count == before, "%u datagrams without room", seen_count - before);
	m->tx_full = false;
	RUN(20 * MS);
	EXPECT(seen_count > before + 15, "%u datagrams after there was room", seen_count - before);
	EXPECT(seen[before].h.seq - seen[before - 1].h.seq >= 15, "the dropped ticks are not counted");
	return bench_ticks_right(before + 1);
}

static bool arp_timeout(void)
{
	EXPECT(bench_begin(image, true), "no machine");
	m->no_arp = true;
	RUN(700 * MS);
	EXPECT(seen_count == 0 && m->net.arp_timeouts >= 2, "%u timeouts", m->net.arp_timeouts);
	EXPECT(m->wd_reason == 0, "the watchdog bit");
	EXPECT(bench_say("status\r", "dropped "), "the console during ARP");
	m->no_arp = false;
	RUN(250 * MS);
	EXPECT(seen_count > 50, "%u datagrams once ARP is answered", seen_count);
	EXPECT(seen[1].h.seq > 500, "seq %u: ticks stood still meanwhile", seen[1].h.seq);
	return bench_ticks_right(1);
}

static bool torn_free_size(void)
{
	EXPECT(bench_begin(image, true), "no machine");
	m->fsr_tears = true;
	RUN(80 * MS);
	EXPECT(seen_count > 20, "%u datagrams", seen_count);
	return bench_values_right(0) && bench_ticks_right(1);
}

static bool overrun(void)
{
	EXPECT(bench_begin(image, true), "no machine");
	RUN(80 * MS);
	unsigned before = seen_count;
	m->dma_stall_until_ps = m->now_ps + 457 * US; /* no multiple of a round of the channels */
	RUN(30 * MS);
	bool told = false;
	for (unsigned i = before; i < before + 4; i++)
		told = told || seen[i].h.flags & ADC_OVERRUN;
	EXPECT(told, "no datagram says that samples were lost");
	EXPECT(!(seen[before + 5].h.flags & (ADC_OVERRUN | ADC_FAULT)), "flags 0x%x", seen[before + 5].h.flags);
	EXPECT(bench_say("status\r", "overruns ") && !strstr(m->uart_out, "overruns 0"), "status");
	return bench_values_right(before + 5);
}

/* The DMA is refused an access: it stands still until its flags are cleared. Twice. */
static bool dma_error(void)
{
	EXPECT(bench_begin(image, true), "no machine");
	RUN(80 * MS);
	for (unsigned again = 0; again < 2; again++) {
		unsigned before = seen_count;
		m->dma_error_next = true;
		RUN(20 * MS);
		bool told = false;
		for (unsigned i = before; i < before + 4; i++)
			told = told || seen[i].h.flags & ADC_OVERRUN;
		EXPECT(told && !m->dma_errors, "no datagram says that samples were lost");
		EXPECT(seen_count > before + 15 && !(seen[seen_count - 1].h.flags & (ADC_OVERRUN | ADC_FAULT)), "flags 0x%x",
			seen[seen_count - 1].h.flags);
		EXPECT(bench_values_right(before + 5), "after it");
	}
	return true;
}

static bool converter_fails(void)
{
	EXPECT(bench_begin(image, true), "no machine");
	RUN(80 * MS);
	unsigned before = seen_count, faults = 0;
	m->adc_error_next = true;
	RUN(10 * MS);
	for (unsigned i = before; i < seen_count; i++)
		faults += (seen[i].h.flags & ADC_FAULT) != 0;
	EXPECT(faults == 1, "%u datagrams say that a conversion failed; one did", faults);
	m->adc_dead = true;
	RUN(10 * MS);
	EXPECT(seen[seen_count - 1].h.flags & ADC_FAULT, "a converter that stands still is not told");
	m->adc_dead = false;
	return true;
}

/* The DMA's count ends after an hour and a half; the timer's low word after 71 minutes. */
static bool wraps(void)
{
	EXPECT(bench_begin(image, true), "no machine");
	m->timer_base_us = 0xffffffffu - 120000;
	RUN(60 * MS);
	m->dma_left = m->dma_left % (512 * 3) + 512 * 3;
	RUN(300 * MS);
	EXPECT(seen_count > 250, "%u datagrams", seen_count);
	EXPECT(seen[seen_count - 1].h.uptime_us > UINT32_MAX, "uptime %llu", (unsigned long long)seen[seen_count - 1].h.uptime_us);
	EXPECT(m->dma_left > 512 * 6, "the DMA did not begin again");
	return bench_values_right(0) && bench_ticks_right(1);
}

static bool restarts(void)
{
	EXPECT(bench_begin(image, true), "no machine");
	for (uint32_t epoch = 1; epoch <= 4; epoch++) {
		seen_count = 0;
		RUN(80 * MS);
		EXPECT(seen_count > 5 && seen[0].h.epoch == epoch && seen[0].h.seq == 1, "epoch %u in start %u",
			seen_count ? seen[0].h.epoch : 0, epoch);
		machine_power_on(m, epoch == 1 ? 1u << 17 : 1u << 18);
	}
	seen_count = 0;
	RUN(40 * MS);
	EXPECT((seen[0].h.flags & ADC_RESET_BITS) == ADC_RESET_PIN, "flags 0x%x", seen[0].h.flags);
	m->wd_due_ps = 0; /* as if the loop had hung */
	seen_count = 0;
	RUN(60 * MS);
	EXPECT(seen_count > 5 && seen[0].h.epoch == 6, "epoch %u", seen[0].h.epoch);
	EXPECT((seen[0].h.flags & ADC_RESET_BITS) == ADC_RESET_WATCHDOG, "flags 0x%x", seen[0].h.flags);
	EXPECT(bench_say("epoch 4294967295\r", "error: expected a number from 0 to 4000000000"), "epoch: none comes after it");
	EXPECT(bench_say("epoch 4000\r", "kept"), "epoch");
	machine_type(m, "reset\r");
	RUN(20 * MS);
	seen_count = 0;
	RUN(60 * MS);
	EXPECT(seen[0].h.epoch == 4001, "epoch %u", seen[0].h.epoch);
	return bench_stack_right("starts and epochs");
}

/* The watchdog is what ends a loop that hangs: nothing feeds it but the main loop. */
static bool hangs(void)
{
	EXPECT(bench_begin(image, true), "no machine");
	RUN(80 * MS);
	uint32_t pc = RAM_AT + RAM_BYTES - 8192;
	m->ram[pc - RAM_AT] = 0xfe; /* b . */
	m->ram[pc - RAM_AT + 1] = 0xe7;
	uc_reg_write(m->uc, UC_ARM_REG_PC, &pc);
	seen_count = 0;
	RUN(1200 * MS);
	EXPECT(seen_count > 5 && seen[0].h.epoch == 2, "%u datagrams after it hung", seen_count);
	EXPECT((seen[0].h.flags & ADC_RESET_BITS) == ADC_RESET_WATCHDOG, "flags 0x%x", seen[0].h.flags);
	return true;
}

/* What is in the settings now; then others are saved. */
static bool settings_are(const char *what, int n)
{
	char line[32];
	snprintf(line, sizeof(line), "debounce_us %s\r\n", what);
	EXPECT(bench_say("show\r", line), "settings after cut %d", n);
	EXPECT(strstr(m->uart_out, "device 7\r\n"), "settings after cut %d", n);
	EXPECT(bench_say("set debounce_us 9000\r", "ok") && bench_say("save\r", "saved"), "save after cut %d", n);
	return true;
}

/* Full journals, so that each write begins with erasing. Ends early where the power goes. */
static bool write_all(int cut)
{
	EXPECT(bench_begin(image, true) && bench_fill(63, 512), "no machine");
	m->cut_at_flash_op = cut;
	if (!machine_run(m, 80 * MS))
		return true;
	machine_type(m, "set debounce_us 7000\rsave\rset debounce_us 8000\rsave\r");
	machine_run(m, 150 * MS);
	return true;
}

/* The power goes in the middle of the n-th write to flash, for each: boot counter, save, save. */
static bool power_cuts(void)
{
	static const char *const left[] = { "5000", "5000", "5000", "5000", "7000" };
	EXPECT(write_all(0) && !m->fault[0] && m->flash_ops == 5 && m->erases == 2, "%d writes, %d of them erase; 5 and 2 are "
		"what is cut below (%s)", m->flash_ops, m->erases, m->fault);
	for (int n = 1; n <= 5; n++) {
		EXPECT(write_all(n) && m->power_cut, "cut %d did not happen: %s", n, m->fault);
		uint32_t epoch = seen_count ? seen[seen_count - 1].h.epoch : 512;
		for (unsigned again = 0; again < 2; again++) {
			m->cut_at_flash_op = 0;
			machine_type(m, "");
			machine_power_on(m, 1u << 16);
			seen_count = 0;
			RUN(100 * MS);
			EXPECT(seen_count > 5, "cut %d: %u datagrams after it", n, seen_count);
			EXPECT(seen[0].h.epoch > epoch, "cut %d: epoch %u after %u", n, seen[0].h.epoch, epoch);
			EXPECT(!(seen[0].h.flags & ADC_NO_EPOCH), "cut %d: the boot counter is not kept", n);
			epoch = seen[0].h.epoch;
			EXPECT(settings_are(again ? "9000" : left[n - 1], n), "settings");
		}
	}
	return bench_stack_right("after power cuts");
}

static bool flash_fails(void)
{
	EXPECT(bench_begin(image, true), "no machine");
	m->flash_fails = true;
	RUN(300 * MS);
	EXPECT(seen_count > 50 && seen[0].h.flags & ADC_NO_EPOCH, "a boot counter that is not kept is not told");
	return bench_say("save\r", "error: the flash does not take it");
}

static const struct { const char *name; bool (*run)(void); } scenarios[] = {
	{ "steady", steady }, { "buttons", buttons }, { "fresh", fresh }, { "same_again", same_again },
	{ "no_chip", no_chip }, { "late_chip", late_chip }, { "send_lost", send_lost }, { "chip_forgets", chip_forgets },
	{ "dma_error", dma_error }, { "link_down", link_down }, { "tx_full", tx_full }, { "arp_timeout", arp_timeout },
	{ "torn_free_size", torn_free_size }, { "overrun", overrun }, { "converter_fails", converter_fails },
	{ "wraps", wraps }, { "restarts", restarts }, { "hangs", hangs }, { "power_cuts", power_cuts },
	{ "flash_fails", flash_fails },
};

static bool wanted(const char *name, int argc, char **argv, int from)
{
	for (int i = from; i < argc; i++)
		if (strcmp(argv[i], name) == 0)
			return true;
	return from >= argc;
}

int main(int argc, char **argv)
{
	unsigned passed = 0, failed = 0;
	bool first = argc > 1 && strcmp(argv[1], "--first") == 0;
	if (argc < 2 + first) {
		fprintf(stderr, "usage: test_machine [--first] IMAGE.bin [SCENARIO...]\n");
		return 2;
	}
	image = argv[1 + first];
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++) {
		if (!wanted(scenarios[i].name, argc, argv, 2 + first))
			continue;
		bool good = scenarios[i].run();
		passed += good;
		failed += !good;
		printf("%s %s\n", good ? "ok" : "not ok", scenarios[i].name);
		if (!good && first)
			break;
	}
	bench_end();
	printf("%u passed, %u failed\n", passed, failed);
	return failed || !passed;
}
