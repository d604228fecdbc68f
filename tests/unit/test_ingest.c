/* SPDX-License-Identifier: Apache-2.0 */
/* Which datagrams of a board are believed, what is counted, when it is alive, what survives. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ingest_fixture.h"

#define ONE "{cell: k.a, channel: 0}"

static void begin(void)
{
	ingest_start("", ONE);
}

TestSuite(ingest, .init = begin, .fini = ingest_end);

Test(ingest, counts_each_kind)
{
	cr_expect_eq(panel(3, 10, 65535), INGEST_ACCEPTED);
	cr_expect_eq(panel(3, 11, 0), INGEST_ACCEPTED);
	cr_expect_eq(panel(3, 11, 0), INGEST_DUPLICATE);
	cr_expect_eq(panel(3, 10, 0), INGEST_DUPLICATE);
	cr_expect_eq(panel(3, 15, 0), INGEST_ACCEPTED);
	cr_expect_eq(info(7).lost, 3u);
	cr_expect_eq(panel(3, 13, 0), INGEST_LATE);
	cr_expect_eq(info(7).lost, 2u, "it was not lost, only late");
	cr_expect_eq(panel(3, 13, 0), INGEST_DUPLICATE);
	cr_expect_eq(panel(2, 99999, 0), INGEST_REPLAY, "an older boot");
	cr_expect_eq(panel(3, 4000, 0), INGEST_ACCEPTED);
	cr_expect_eq(panel(3, 12, 0), INGEST_REPLAY, "below the window: cannot be told");
	cr_expect_eq(panel(4, 1, 0), INGEST_ACCEPTED, "a new boot");
	cr_expect_eq(panel(3, 4001, 0), INGEST_REPLAY);
	struct ingest_info i = info(7);
	cr_expect(i.epoch == 4 && i.seq == 1 && i.starts == 1);
	cr_expect_eq(i.lost, 2u + 3984, "a boot is no loss");
	cr_expect_eq(i.verdicts[INGEST_ACCEPTED], 5u);
	cr_expect_eq(sunk.commits, 5u, "what is refused is not committed");
	cr_expect_eq(ingest_count(ingest, INGEST_DUPLICATE), 3u);
	cr_expect_eq(ingest_count(ingest, INGEST_REPLAY), 3u);
}

/* Whoever lacks the key changes nothing but a counter, whatever he writes. */
Test(ingest, tag_first)
{
	static const uint8_t wrong[SIPHASH_KEY] = { 1, 2, 4 };
	uint16_t channels[8] = { 0 };
	cr_expect_eq(panel(3, 10, 0), INGEST_ACCEPTED);
	struct ingest_info before = info(7);
	struct adc_header h = { .device = 7, .channels = 8, .epoch = UINT32_MAX, .seq = UINT32_MAX,
		.uptime_us = UINT64_MAX, .levels = UINT32_MAX, .flags = ADC_FAULT };
	cr_expect_eq(give(&h, channels, wrong, 1), INGEST_BAD_TAG);
	cr_expect_eq(give(&h, channels, wrong, 2), INGEST_BAD_TAG);
	cr_expect_eq(give(&h, channels, feet_key, 1), INGEST_BAD_TAG, "another board's key");
	before.verdicts[INGEST_BAD_TAG] = 3;
	struct ingest_info after = info(7);
	cr_expect_eq(memcmp(&before, &after, sizeof(before)), 0);
	cr_expect_eq(panel(3, 11, 0), INGEST_ACCEPTED);
	h.device = 8;
	cr_expect_eq(give(&h, channels, wrong, 1), INGEST_UNKNOWN);
	struct ingest_source from = { .n = 16 };
	cr_expect_eq(ingest_datagram(ingest, &from, "hello", 5, now), INGEST_FOREIGN);
	cr_expect_eq(ingest_datagram(ingest, &from, NULL, 0, now), INGEST_FOREIGN);
	cr_expect(ingest_count(ingest, INGEST_UNKNOWN) == 1 && ingest_count(ingest, INGEST_FOREIGN) == 2);
}

Test(ingest, two_keys_while_one_is_changed)
{
	static const uint8_t old[SIPHASH_KEY] = { 1, 2, 3, [15] = 0xf };
	struct adc_header h = { .device = 7, .epoch = 1, .seq = 1 };
	cr_expect_eq(give(&h, NULL, old, 1), INGEST_ACCEPTED);
	h.seq = 2;
	cr_expect_eq(give(&h, NULL, panel_key, 1), INGEST_ACCEPTED);
}

Test(ingest, second_source_waits_until_the_first_is_silent)
{
	struct adc_header h = { .device = 7, .epoch = 1, .seq = 1 };
	cr_expect_eq(give(&h, NULL, panel_key, 1), INGEST_ACCEPTED);
	h.seq = 2;
	pass(20 * MS);
	cr_expect_eq(give(&h, NULL, panel_key, 2), INGEST_SECOND_SOURCE, "20 ticks: the first one still lives");
	cr_expect_eq(give(&h, NULL, panel_key, 1), INGEST_ACCEPTED);
	pass(20 * MS + 1);
	h.seq = 3;
	cr_expect_eq(give(&h, NULL, panel_key, 2), INGEST_ACCEPTED);
	h.seq = 4;
	cr_expect_eq(give(&h, NULL, panel_key, 1), INGEST_SECOND_SOURCE);
	cr_expect_eq(info(7).verdicts[INGEST_SECOND_SOURCE], 2u);
	/* a capture that is played back after the silence is no life */
	pass(100 * MS);
	h.seq = 3;
	cr_expect_eq(give(&h, NULL, panel_key, 5), INGEST_DUPLICATE);
	cr_expect(!info(7).alive);
	cr_expect_eq(sunk.alive, 2u);
}

Test(ingest, alive_until_twenty_ticks_are_missed)
{
	cr_expect_eq(ingest_next_ns(ingest), UINT64_MAX);
	cr_expect(!info(7).alive);
	panel(1, 1, 0);
	cr_expect(info(7).alive && sunk.alive == 1 && sunk.silent == 0);
	uint64_t spoken = now;
	pass(20 * MS);
	cr_expect(info(7).alive);
	cr_expect_eq(ingest_next_ns(ingest), spoken + 20 * MS + 1);
	pass(1);
	cr_expect(!info(7).alive && sunk.silent == 1 && info(7).silences == 1);
	cr_expect_eq(ingest_next_ns(ingest), UINT64_MAX);
	ingest_tick(ingest, now + 1000 * MS, now + 1000 * MS);
	cr_expect_eq(sunk.silent, 1u, "told once");
	/* what is refused does not revive it, the next good one does */
	cr_expect_eq(panel(1, 1, 0), INGEST_DUPLICATE);
	cr_expect(!info(7).alive);
	cr_expect_eq(panel(1, 30, 0), INGEST_ACCEPTED);
	cr_expect(info(7).alive && sunk.alive == 2);
	/* the other board has slower ticks, and a life of its own */
	uint16_t x = 5;
	struct adc_header h = { .device = 9, .channels = 1, .epoch = 1, .seq = 1 };
	cr_expect_eq(give(&h, &x, feet_key, 1), INGEST_ACCEPTED);
	pass(200 * MS);
	cr_expect(info(9).alive && !info(7).alive);
}

/* The thread stands still: what was sent meanwhile lies in the socket, and nobody was silent. */
Test(ingest, our_own_standstill_is_nobodys_silence)
{
	for (uint32_t seq = 1; seq <= 10; seq++) {
		panel(1, seq, 0);
		pass(MS);
	}
	for (unsigned times = 1; times <= 5; times++) {
		uint32_t seq = info(7).seq;
		now += 100 * MS;
		ingest_look(ingest, now);
		struct adc_header other = { .device = 7, .epoch = 1, .seq = seq + 1 };
		cr_expect_eq(give(&other, NULL, panel_key, 2), INGEST_SECOND_SOURCE, "no window for another one");
		ingest_tick(ingest, now, now - 100 * MS); /* a full batch: more lies there */
		for (uint32_t i = 1; i <= 100; i++)
			cr_assert_eq(panel(1, seq + i, 0), INGEST_ACCEPTED);
		ingest_tick(ingest, now, now);
		pass(MS);
	}
	cr_expect(info(7).alive && info(7).silences == 0 && info(7).lost == 0);
	cr_expect(sunk.alive == 1 && sunk.silent == 0, "%u %u", sunk.alive, sunk.silent);
}

/* What the board sent may still be on its way to the socket; if it is not, it was silent after all. */
Test(ingest, after_a_standstill_half_a_silence_is_left)
{
	panel(1, 1, 0);
	pass(MS);
	now += 5000 * MS;
	pass(10 * MS);
	cr_expect(info(7).alive);
	cr_expect_eq(info(7).age_ns, 5011 * MS, "what was heard last was heard then");
	pass(1);
	cr_expect(!info(7).alive && info(7).silences == 1);
}

/* Taking the role of one board may take long: the others' datagrams of the same batch, and those behind
 * them in the socket, are no silence. */
Test(ingest, one_boards_beginning_is_not_the_others_silence)
{
	uint16_t x = 5;
	struct adc_header h = { .device = 9, .channels = 1, .epoch = 1, .seq = 1 };
	panel(1, 1, 0);
	pass(MS);
	uint64_t looked = now;
	ingest_look(ingest, looked);
	sunk.takes_ns = 500 * MS;
	cr_expect_eq(give(&h, &x, feet_key, 1), INGEST_ACCEPTED);
	ingest_tick(ingest, now, looked);
	cr_expect_eq(now, looked + 500 * MS);
	cr_expect(info(7).alive && info(9).alive);
	pass(MS);
	cr_expect_eq(panel(1, 2, 0), INGEST_ACCEPTED);
	cr_expect(info(7).silences == 0 && sunk.silent == 0);
}

/* Who comes by in time gives no more than twenty ticks, also while a flood lets nothing else be seen. */
Test(ingest, silence_is_judged_by_what_was_seen)
{
	panel(1, 1, 0);
	uint64_t spoken = now;
	for (unsigned i = 0; i < 40; i++) {
		now += MS;
		ingest_look(ingest, now);
		ingest_tick(ingest, now, spoken + 20 * MS);
		cr_assert(info(7).alive, "what came after twenty ticks has not been seen yet");
	}
	ingest_tick(ingest, now, spoken + 20 * MS + 1);
	cr_expect(!info(7).alive);
}

/* A network that loses, reorders and repeats; every count against what was really sent. */
/* Its start may take less than twenty ticks: who listens is told all the same. */
Test(ingest, a_board_that_starts_anew_without_a_silence)
{
	panel(4, 100, 0);
	now += MS;
	cr_expect_eq(panel(5, 1, 0), INGEST_ACCEPTED);
	cr_expect(sunk.alive == 2 && sunk.silent == 0 && info(7).starts == 1);
	now += MS;
	panel(5, 2, 0);
	cr_expect_eq(sunk.alive, 2u);
}

Test(ingest, a_bad_network)
{
	enum { SENT = 20000, HELD = 40 };
	static uint8_t times[SENT + 1];
	uint32_t held[HELD] = { 0 }, highest = 0, first = 0;
	uint64_t count[INGEST_VERDICTS] = { 0 }, never = 0;
	srand(11);
	for (uint32_t seq = 1; seq <= SENT; seq++) {
		uint32_t *slot = &held[rand() % HELD], out[3], n = 0;
		int kind = rand() % 100;
		if (kind < 10) {
			; /* lost */
		} else if (kind < 20) { /* held back, and what was held there before comes now */
			if (*slot)
				out[n++] = *slot;
			*slot = seq;
		} else {
			out[n++] = seq;
			if (kind < 25)
				out[n++] = seq;
		}
		for (uint32_t i = 0; i < n; i++) {
			enum ingest_verdict v = panel(1, out[i], 0), expected = out[i] > highest ? INGEST_ACCEPTED :
				times[out[i]] ? INGEST_DUPLICATE : highest - out[i] >= 1984 ? INGEST_REPLAY : INGEST_LATE;
			cr_assert_eq(v, expected, "seq %u: %d, expected %d", out[i], v, expected);
			count[v]++;
			first = first ? first : out[i];
			if (v == INGEST_ACCEPTED || v == INGEST_LATE)
				times[out[i]] = 1;
			highest = out[i] > highest ? out[i] : highest;
		}
		now += MS;
	}
	for (uint32_t seq = first; seq <= highest; seq++)
		never += !times[seq];
	struct ingest_info i = info(7);
	for (int v = 0; v < INGEST_VERDICTS; v++)
		cr_expect_eq(i.verdicts[v], count[v], "verdict %d", v);
	cr_expect(count[INGEST_LATE] > 500 && count[INGEST_DUPLICATE] > 500, "the test tests something");
	cr_expect_eq(i.lost, never);
	cr_expect_eq(sunk.commits, count[INGEST_ACCEPTED]);
}

/* ---- commits ---- */

Test(ingest, commit_rate)
{
	ingest_end();
	ingest_start("commit_hz: 100, ", ONE);
	for (uint32_t seq = 1; seq <= 1000; seq++, now += MS) {
		cr_assert_eq(panel(1, seq, (uint16_t)seq), INGEST_ACCEPTED);
		ingest_look(ingest, now);
		ingest_tick(ingest, now, now);
	}
	cr_expect(sunk.commits >= 100 && sunk.commits <= 101, "%u", sunk.commits);
	/* the last one is not left lying: it comes when its time is there */
	unsigned before = sunk.commits;
	pass(10 * MS);
	cr_expect_eq(sunk.commits, before + 1);
	cr_expect_float_eq(sunk.values[0].value.f64, 1000 / 65535.0, 1e-12);
	pass(5 * MS);
	cr_expect_eq(sunk.commits, before + 1);
	cr_expect_eq(info(7).commits, sunk.commits);
}

Test(ingest, a_commit_that_fails_is_counted)
{
	sunk.answer = -EOWNERDEAD;
	panel(1, 1, 0);
	cr_expect(info(7).commits == 0 && info(7).commits_failed == 1);
}

/* ---- what survives ---- */

Test(ingest, marks)
{
	struct ingest_mark marks[4];
	cr_expect_eq(ingest_marks(ingest, marks, 4), 0u);
	panel(5, 100, 0);
	cr_expect_eq(ingest_marks(ingest, marks, 4), 1u);
	cr_expect(marks[0].device == 7 && marks[0].epoch == 5 && marks[0].seq == 100);
	cr_expect_eq(ingest_marks(ingest, marks, 0), 1u);
	ingest_end();
	begin(); /* the engine again */
	marks[0].seq += 50; /* a margin, since more may have come after the save */
	ingest_restore(ingest, &marks[0]);
	ingest_restore(ingest, &(struct ingest_mark){ 1234, 1, 1, false });
	cr_expect(!info(7).heard);
	cr_expect_eq(panel(5, 100, 0), INGEST_REPLAY);
	cr_expect_eq(panel(5, 150, 0), INGEST_REPLAY);
	cr_expect_eq(panel(4, 4000000, 0), INGEST_REPLAY);
	cr_expect_eq(sunk.commits + sunk.alive, 0u, "nothing of it was believed");
	cr_expect(ingest_marks(ingest, marks, 4) == 1 && marks[0].seq == 150, "a mark outlives a silent run");
	cr_expect_eq(panel(5, 151, 0), INGEST_ACCEPTED);
	cr_expect_eq(panel(5, 149, 0), INGEST_REPLAY, "not late: from before the restart");
	cr_expect_eq(panel(6, 1, 0), INGEST_ACCEPTED);
	/* a board that was switched off and on in the meantime is taken at once */
	ingest_end();
	begin();
	ingest_restore(ingest, &(struct ingest_mark){ 7, 5, UINT32_MAX, false });
	cr_expect_eq(panel(6, 1, 0), INGEST_ACCEPTED);
	/* seq wraps: the board raises epoch */
	cr_expect_eq(panel(6, UINT32_MAX, 0), INGEST_ACCEPTED);
	cr_expect_eq(panel(7, 1, 0), INGEST_ACCEPTED);
}

Test(ingest, reload_goes_on)
{
	panel(5, 100, 65535);
	panel(5, 103, 65535);
	ingest_start("tick_us: 2000, ", "{cell: k.b, channel: 1}, {cell: k.a, channel: 0, high: 10}");
	struct ingest_info i = info(7);
	cr_expect(i.alive && i.seq == 103 && i.lost == 2 && i.inputs == 2 && i.tick_us == 2000);
	cr_expect_eq(sunk.alive, 2u, "the new sink is told who lives");
	cr_expect_eq(panel(5, 103, 0), INGEST_DUPLICATE);
	cr_expect_eq(panel(5, 104, 65535), INGEST_ACCEPTED);
	cr_expect_float_eq(sunk.values[1].value.f64, 10, 1e-9);
	pass(40 * MS);
	cr_expect(info(7).alive, "the tick is another now");
}

Test(ingest, keys_are_needed)
{
	static const char text[] = "region: r\nowners: [{name: o}]\n"
		"groups: [{name: g, owner: o, cells: [{name: a, type: f64}]}]\n"
		"devices: [{name: d, id: 3, owner: o, inputs: [{cell: g.a, channel: 0}]}]\n";
	static const char key[] = "device:4 a 01020300000000000000000000000000\n";
	static const struct ingest_sink sink = { 0 };
	struct dsm_table *table = NULL;
	struct keys *keys = NULL;
	struct ingest *none = NULL;
	cr_assert_eq(table_load_memory("t", text, strlen(text), &table), 0, "%s", dsm_error());
	cr_assert_eq(keys_load_memory("rig.keys", key, strlen(key), &keys), 0, "%s", dsm_error());
	cr_expect_eq(ingest_new(table, keys, &sink, &none), -ENOKEY);
	cr_expect(strstr(dsm_error(), "device \"d\" has no key") && strstr(dsm_error(), "rig.keys"), "%s", dsm_error());
	cr_expect_null(none);
	keys_free(&keys);
	dsm_table_free(&table);
}

Test(ingest, rate)
{
	for (uint32_t seq = 1; seq <= 2500; seq++, now += MS)
		panel(1, seq, 0);
	cr_expect_float_eq(info(7).rate_hz, 1000, 1);
	pass(100 * MS);
	cr_expect_float_eq(info(7).rate_hz, 0, 0);
}
