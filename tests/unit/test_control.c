/* SPDX-License-Identifier: Apache-2.0 */
/* The list of ADC boards as it goes over the wire. The vector was made from the byte table of
 * docs/protocol.md alone; the other messages: tests/fuzz/fuzz_control.c, tests/client/test_protocol.c. */
#include <criterion/criterion.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire/control.h"

static unsigned char vector[2000];
static size_t vector_bytes;

static void load(void)
{
	char path[400];
	const char *folder = getenv("DSM_VECTORS");
	snprintf(path, sizeof(path), "%s/control-v1-devices.bin", folder ? folder : ".");
	FILE *f = fopen(path, "rb");
	cr_assert(f, "%s", path);
	vector_bytes = fread(vector, 1, sizeof(vector), f);
	fclose(f);
}

TestSuite(control, .init = load);

Test(control, devices_as_the_table_says)
{
	struct control_reader r;
	struct control_device d, none;
	struct control_writer w;
	unsigned char again[sizeof(vector)];
	cr_assert_eq(control_open(&r, vector, vector_bytes), 0);
	cr_assert(r.type == CONTROL_DEVICE_LIST && r.entries == 2);
	cr_assert_eq(control_get_device(&r, &d), 0);
	cr_expect(d.id == 7 && d.epoch == 107 && d.seq == 207 && d.tick_us == 7000 && d.inputs == 10);
	cr_expect(d.state == (CONTROL_DEVICE_HEARD | CONTROL_DEVICE_ALIVE | CONTROL_DEVICE_CLOCK) && d.flags == 0x12);
	cr_expect_eq(d.age_ns, 123456789012u);
	for (unsigned i = 0; i < CONTROL_DEVICE_COUNTS; i++)
		cr_expect_eq(d.counts[i], 1000u + i);
	cr_expect(d.counts[CONTROL_DEVICE_BAD_TAG] == 1005 && d.counts[CONTROL_DEVICE_CLOCK_STEPS] == 1014);
	cr_expect_eq(d.rate_hz, 999.5);
	cr_expect(d.clock[0] == -12345678.25 && d.clock[1] == 1.5 && d.clock[2] == -20.125 && d.clock[3] == 0.0625);
	cr_expect(!strcmp(d.name, "panel") && !strcmp(d.owner, "knobs") && !strcmp(d.address, "10.0.0.5:4711"));
	cr_assert_eq(control_get_device(&r, &none), 0);
	cr_expect(none.id == 9 && none.state == 0 && !strcmp(none.name, "pedals") && !none.address[0]);
	cr_expect(control_at_end(&r));
	control_begin(&w, again, sizeof(again), CONTROL_DEVICE_LIST);
	cr_expect(control_put_device(&w, &d) && control_put_device(&w, &none));
	cr_expect_eq(control_end(&w), vector_bytes);
	cr_expect_eq(memcmp(again, vector, vector_bytes), 0);
}

/* What does not fit is not begun; what ends too early is refused, wherever it ends. */
Test(control, devices_cut_off)
{
	struct control_reader r;
	struct control_device d;
	struct control_writer w;
	unsigned char small[300];
	cr_assert_eq(control_open(&r, vector, vector_bytes), 0);
	cr_assert_eq(control_get_device(&r, &d), 0);
	size_t end = r.at;
	control_begin(&w, small, sizeof(small), CONTROL_DEVICE_LIST);
	cr_expect(control_put_device(&w, &d));
	cr_expect(!control_put_device(&w, &d) && w.entries == 1 && w.size == end);
	for (size_t n = CONTROL_HEAD; n < end; n++) {
		r = (struct control_reader){ .data = vector, .size = n, .at = CONTROL_HEAD };
		cr_assert_eq(control_get_device(&r, &d), -EBADMSG, "%zu bytes", n);
	}
}

Test(control, devices_with_nonsense)
{
	static const size_t f64_at[] = { 152, 160, 184 };
	double bad[] = { NAN, INFINITY };
	struct control_reader r;
	struct control_device d;
	for (unsigned i = 0; i < 6; i++) {
		load();
		memcpy(vector + CONTROL_HEAD + f64_at[i / 2], &bad[i % 2], 8);
		cr_assert_eq(control_open(&r, vector, vector_bytes), 0);
		cr_expect_eq(control_get_device(&r, &d), -EBADMSG, "%u", i);
	}
	for (size_t at = 20; at <= 23; at++) { /* a state that there is not; what has to be 0 */
		load();
		vector[CONTROL_HEAD + at] = 8;
		cr_assert_eq(control_open(&r, vector, vector_bytes), 0);
		cr_expect_eq(control_get_device(&r, &d), at == 21 ? 0 : -EBADMSG, "%zu", at);
	}
}
