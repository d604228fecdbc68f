/* SPDX-License-Identifier: Apache-2.0 */
/* The board's program on the host: journal under power cuts, settings, console, flags. */
#include <criterion/criterion.h>
#include <string.h>

#include "board.h"
#include "flash_model.h"
#include "journal.h"

static const struct journal journal = { 0, 0x1234, 16 }, wide = { 8192, 0x77, 128 };
static struct board board;

TestSuite(board_program, .init = model_new, .timeout = 60);

static uint32_t load(void)
{
	uint32_t v = 0;
	return journal_load(&journal, (uint8_t *)&v) ? v : 0;
}

/* 256 slots a sector: several rounds over both. */
Test(board_program, journal_goes_round)
{
	uint32_t v = 99;
	cr_expect(!journal_load(&journal, (uint8_t *)&v));
	cr_expect_eq(v, 99u, "untouched without a record");
	for (uint32_t i = 1; i <= 1300; i++) {
		cr_assert(journal_save(&journal, (const uint8_t *)&i));
		cr_assert_eq(load(), i);
	}
	cr_expect_leq(model.erases, 7u, "%u erases wear the flash", model.erases);
	cr_expect_eq(model.wrong, 0u);
	uint8_t bytes[116] = { 5 }, again[116] = { 0 };
	for (unsigned i = 0; i < 100; i++, bytes[0]++)
		cr_assert(journal_save(&wide, bytes) && journal_load(&wide, again) && again[0] == bytes[0]);
	cr_expect_eq(load(), 1300u, "journals do not touch each other");
}

/* The power goes after every possible byte of a save: in the middle of a sector, and where one is erased. */
Test(board_program, journal_survives_a_cut_at_every_byte)
{
	static uint8_t before[sizeof(model.bytes)];
	for (unsigned filled = 254; filled <= 258; filled++) {
		model_new();
		for (uint32_t i = 1; i <= filled + 256; i++)
			cr_assert(journal_save(&journal, (const uint8_t *)&i));
		memcpy(before, model.bytes, sizeof(before));
		uint32_t old = filled + 256, new = 7777;
		bool saved = false;
		for (long cut = 0; !saved; cut++) {
			memcpy(model.bytes, before, sizeof(before));
			model.budget = cut;
			saved = journal_save(&journal, (const uint8_t *)&new);
			model.budget = -1;
			uint32_t now = load();
			cr_assert(now == old || now == new, "filled %u cut %ld: %u", filled, cut, now);
			cr_assert(!saved || now == new);
			/* and it goes on from there, twice */
			for (uint32_t next = 8000; next < 8002; next++)
				cr_assert(journal_save(&journal, (const uint8_t *)&next) && load() == next,
					"filled %u cut %ld: cannot go on", filled, cut);
		}
	}
}

Test(board_program, journal_refuses_what_is_damaged)
{
	uint32_t v = 5;
	cr_assert(journal_save(&journal, (const uint8_t *)&v));
	v = 6;
	cr_assert(journal_save(&journal, (const uint8_t *)&v));
	for (unsigned bit = 0; bit < 128; bit++) {
		model.bytes[16 + bit / 8] ^= (uint8_t)(1 << bit % 8);
		cr_expect_eq(load(), 5u, "bit %u", bit);
		model.bytes[16 + bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	cr_expect_eq(load(), 6u);
	/* slots that do not take what is written: the next one is tried */
	memset(model.bytes + 32, 0x7f, 1);
	v = 7;
	cr_expect(journal_save(&journal, (const uint8_t *)&v));
	cr_expect_eq(load(), 7u);
}

Test(board_program, settings_round_trip_and_refuse)
{
	struct pico_settings s, t;
	uint8_t bytes[SETTINGS_BYTES];
	static const char *const good[][2] = { { "device", "4294967295" }, { "address", "10.1.2.3" }, { "mask", "255.0.0.0" },
		{ "gateway", "10.0.0.1" }, { "engine", "10.0.0.9" }, { "port", "65535" }, { "local_port", "1" },
		{ "mac", "02:aB:cd:00:00:01" }, { "tick_us", "100" }, { "debounce_us", "0" }, { "channels", "8" },
		{ "average", "0" }, { "key", "00112233445566778899aabbCCddeeff" } };
	static const char *const bad[][2] = { { "device", "4294967296" }, { "device", "" }, { "device", "-1" },
		{ "device", "1x" }, { "address", "10.1.2" }, { "address", "10.1.2.256" }, { "address", "10.1.2.3.4" },
		{ "port", "0" }, { "port", "65536" }, { "mac", "01:00:00:00:00:01" }, { "mac", "02:00:00:00:00" },
		{ "tick_us", "99" }, { "tick_us", "1000001" }, { "channels", "0" }, { "channels", "9" }, { "average", "5" },
		{ "key", "00112233445566778899aabbccddee" }, { "key", "00112233445566778899aabbccddeeff0" },
		{ "key", "00000000000000000000000000000000" }, { "key", "0g112233445566778899aabbccddeeff" }, { "kay", "1" },
		{ "", "" } };
	settings_default(&s);
	cr_expect(!settings_complete(&s));
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		cr_expect_null(settings_set(&s, good[i][0], good[i][1]), "%s %s", good[i][0], good[i][1]);
	cr_expect(settings_complete(&s));
	t = s;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		cr_expect_not_null(settings_set(&t, bad[i][0], bad[i][1]), "%s %s", bad[i][0], bad[i][1]);
		cr_expect_arr_eq(&s, &t, sizeof(s), "%s %s changed something", bad[i][0], bad[i][1]);
	}
	settings_encode(&s, bytes);
	memset(&t, 0, sizeof(t));
	cr_expect(settings_decode(bytes, &t));
	cr_expect(t.device == 4294967295u && t.channels == 8 && t.mac[1] == 0xab && t.key[15] == 0xff && t.has_key);
	for (unsigned i = 0; i < SETTINGS_COUNT; i++) {
		char a[SETTINGS_TEXT], b[SETTINGS_TEXT];
		settings_text(&s, i, a);
		settings_text(&t, i, b);
		cr_expect_str_eq(a, b);
		cr_expect_null(settings_set(&t, settings_name(i), a), "%s %s is shown, but cannot be set", settings_name(i), a);
	}
}

static void type(const char *text)
{
	model.typed = (const uint8_t *)text;
	model.typed_n = strlen(text);
	model.said_n = 0;
	for (unsigned i = 0; i < 500; i++, model.now_us += 10)
		board_poll(&board);
}

Test(board_program, console_configures_the_board)
{
	board_start(&board);
	cr_expect(!board.runs);
	type("set key 000102030405060708090a0b0c0d0e0f\rset device 7\r\nse\b\bset channels 3\r");
	cr_expect(!strstr(model.said, "error"), "%s", model.said);
	type("show\r");
	cr_expect(strstr(model.said, "device 7\r\n") && strstr(model.said, "key (set)"), "%s", model.said);
	cr_expect(!strstr(model.said, "0a0b"), "a key is never shown");
	type("  set   key 0a0b0a0b0a0b0a0b0a0b0a0b0a0b0a0c\rset keys 12\rset key\r");
	cr_expect(strstr(model.said, "  set   key ********************************\r\n"), "%s", model.said);
	cr_expect(!strstr(model.said, "0a0b") && strstr(model.said, "set keys 12"), "%s", model.said);
	type("epoch 4000000001\r");
	cr_expect(strstr(model.said, "error: expected a number from 0 to 4000000000"), "%s", model.said);
	type("save\repoch 41\r");
	cr_expect(strstr(model.said, "saved") && strstr(model.said, "kept"), "%s", model.said);
	type("reset\r");
	cr_expect_eq(model.resets, 1u);
	board_start(&board);
	cr_assert(board.runs);
	cr_expect_eq(board.device.epoch, 42u);
	for (unsigned i = 0; i < 1000; i++, model.now_us += 100)
		board_poll(&board);
	cr_expect_geq(model.sent, 95u);
	type("0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890\r");
	cr_expect(strstr(model.said, "a shorter line"), "%s", model.said);
	type("set a b c\r\001\377x\r");
	cr_expect(strstr(model.said, "at most a verb and two words") && strstr(model.said, "help lists them"), "%s", model.said);
	model.budget = 0;
	type("save\r");
	cr_expect(strstr(model.said, "error: the flash does not take it"), "%s", model.said);
}

Test(board_program, flags_go_into_the_next_datagram_that_is_taken)
{
	struct adc_header h;
	board_start(&board);
	type("set key 000102030405060708090a0b0c0d0e0f\rsave\r");
	board_start(&board);
	model.now_us += 2000;
	board_poll(&board);
	model.link = false;
	model.overrun = true;
	unsigned sent = model.sent;
	for (unsigned i = 0; i < 50; i++, model.now_us += 100)
		board_poll(&board);
	cr_expect_eq(model.sent, sent, "without a link nothing is sent");
	cr_expect_geq(board.device.dropped, 4u);
	model.link = true;
	for (unsigned i = 0; i < 12 && model.sent == sent; i++, model.now_us += 100)
		board_poll(&board);
	cr_assert_eq(adc_decode(model.last, model.last_n, &h), ADC_GOOD);
	cr_expect_eq(h.flags, ADC_RESET_POWER | ADC_OVERRUN | ADC_LINK_LOST);
	model.now_us += 1000;
	board_poll(&board);
	cr_assert_eq(adc_decode(model.last, model.last_n, &h), ADC_GOOD);
	cr_expect_eq(h.flags, ADC_RESET_POWER, "told once");
	cr_expect_eq(board.overruns + board.link_losses, 2u);
	model.net = false;
	board_start(&board);
	model.now_us += 5000;
	board_poll(&board);
	cr_expect(!board.link, "no network part, and it goes on");
}

/* Epochs end at 4294967295: none of them is ever used twice without saying so. */
Test(board_program, the_last_epoch_is_not_followed_by_0)
{
	static const uint32_t epochs[] = { 4294967294, 4294967295, 4294967295 };
	board_start(&board);
	type("set key 000102030405060708090a0b0c0d0e0f\rsave\r");
	cr_assert(journal_save(&(struct journal){ 8192, 0x31434f50, 16 }, (const uint8_t[4]){ 0xfd, 0xff, 0xff, 0xff }));
	for (unsigned i = 0; i < 3; i++) {
		struct adc_header h;
		board_start(&board);
		cr_assert(board.runs);
		model.now_us += 2000;
		board_poll(&board);
		cr_assert_eq(adc_decode(model.last, model.last_n, &h), ADC_GOOD);
		cr_expect_eq(h.epoch, epochs[i], "start %u: %u", i, h.epoch);
		cr_expect_eq(!!(h.flags & ADC_NO_EPOCH), i == 2, "start %u: flags 0x%x", i, h.flags);
	}
}

Test(board_program, a_network_part_that_comes_late_is_found)
{
	board_start(&board);
	type("set key 000102030405060708090a0b0c0d0e0f\rsave\r");
	model.net = false;
	board_start(&board);
	unsigned starts = model.net_starts;
	for (unsigned i = 0; i < 10000; i++, model.now_us += 100)
		board_poll(&board);
	cr_expect(model.net_starts - starts >= 9 && model.net_starts - starts <= 11, "%u tries in a second",
		model.net_starts - starts);
	cr_expect(!board.has_net && model.sent == 0);
	model.net = true;
	for (unsigned i = 0; i < 2000; i++, model.now_us += 100)
		board_poll(&board);
	cr_expect(board.has_net && model.sent >= 95, "%u datagrams", model.sent);
	cr_expect(strstr(model.said, "the network part answers\r\n"), "%s", model.said);
}
