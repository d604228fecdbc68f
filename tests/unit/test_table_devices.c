/* SPDX-License-Identifier: Apache-2.0 */
/* Devices in the table file: what they mean, and each refusal with its FILE:LINE: KEY. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "engine/table_devices.h"

#define HEAD \
	"region: rig\n" \
	"owners: [{name: knobs}, {name: pedals}]\n" \
	"groups:\n" \
	"  - name: k\n" \
	"    owner: knobs\n" \
	"    cells: [{name: a, type: f64, min: -1, max: 1}, {name: b, type: f64}, {name: on, type: bool},\n" \
	"            {name: n, type: u64}, {name: i, type: i64}, {name: c, type: f64, min: 0, max: 1, range: clamp},\n" \
	"            {name: s, type: string(3)}]\n" \
	"  - {name: p, owner: pedals, cells: [{name: x, type: f64}]}\n" \
	"  - {name: e, cells: [{name: x, type: f64}]}\n" \
	"devices:\n"     /* line 11 */
#define DEVICE HEAD "  - {name: panel, id: 7, owner: knobs, inputs: [\n"     /* line 12 */

static struct dsm_table *table;

static int load(const char *text)
{
	dsm_table_free(&table);
	return table_load_memory("t", text, strlen(text), &table);
}

static void end(void)
{
	dsm_table_free(&table);
}

TestSuite(table_devices, .fini = end);

Test(table_devices, every_key)
{
	cr_assert_eq(load(HEAD
		"  - name: panel\n"
		"    id: 4294967295\n"
		"    owner: knobs\n"
		"    tick_us: 500\n"
		"    commit_hz: 62.5\n"
		"    inputs:\n"
		"      - {cell: k.a, channel: 254, low: 1, high: -1, invert: true, dead_zone: 0.05, center: 0.25, filter_ms: 20}\n"
		"      - {cell: k.c, channel: 0, calibration: [{raw: 10, value: -3}, {raw: 65000.5, value: 7}]}\n"
		"      - {cell: k.on, level: 31, invert: yes}\n"
		"      - {cell: k.n, presses: 7}\n"
		"      - {cell: k.i, channel: 3, low: -100, high: 100}\n"
		"  - {name: feet, id: 0, owner: pedals, inputs: [{cell: p.x, channel: 1}]}\n"), 0, "%s", dsm_error());
	const struct table_devices *d = table->devices;
	cr_assert(d->device_count == 2 && d->input_count == 6 && d->point_count == 2);
	const struct table_device *panel = &d->devices[0], *feet = &d->devices[1];
	cr_expect_str_eq(table_text(table, panel->name), "panel");
	cr_expect(panel->id == UINT32_MAX && panel->tick_us == 500 && panel->owner == 1 && panel->inputs == 5);
	cr_expect_float_eq(panel->commit_hz, 62.5, 0);
	cr_expect(feet->id == 0 && feet->tick_us == 1000 && feet->first_input == 5 && feet->inputs == 1);
	cr_expect_float_eq(feet->commit_hz, 0, 0);
	const struct table_input *a = &d->inputs[0], *c = &d->inputs[1], *x = &d->inputs[5];
	cr_expect(a->kind == INPUT_CHANNEL && a->index == 254 && a->invert && a->low > a->high);
	cr_expect(a->dead_zone == 0.05 && a->center == 0.25 && a->filter_ms == 20);
	cr_expect(c->points == 2 && c->low == -3 && c->high == 7 && d->points[1].raw == 65000.5 && c->center == 2);
	cr_expect(d->inputs[2].kind == INPUT_LEVEL && d->inputs[2].index == 31 && d->inputs[2].invert);
	cr_expect(d->inputs[3].kind == INPUT_PRESSES && d->inputs[3].index == 7);
	cr_expect(x->low == 0 && x->high == 1 && x->center == 0.5);
}

Test(table_devices, may_be_left_out)
{
	cr_assert_eq(load("region: r\ngroups: [{name: g, cells: [{name: a, type: f64}]}]\n"), 0);
	cr_expect_null(table->devices);
	cr_assert_eq(load("region: r\ngroups: [{name: g, cells: [{name: a, type: f64}]}]\ndevices: []\n"), 0, "%s",
		dsm_error());
	cr_expect_null(table->devices);
}

static const struct { const char *text; int error; const char *begins, *words; } bad[] = {
	{ HEAD "  - {id: 7, owner: knobs, inputs: [{cell: k.a, channel: 0}]}", -EINVAL, "t:12: devices[0].name: missing", "" },
	{ HEAD "  - {name: p, owner: knobs, inputs: [{cell: k.a, channel: 0}]}", -EINVAL, "t:12: devices[0].id: missing", "" },
	{ HEAD "  - {name: p, id: 7, inputs: [{cell: k.a, channel: 0}]}", -EINVAL, "t:12: devices[0].owner: missing", "" },
	{ HEAD "  - {name: p, id: 7, owner: knobs}", -EINVAL, "t:12: devices[0].inputs: missing", "" },
	{ HEAD "  - {name: p, id: 7, owner: knobs, inputs: []}", -EINVAL, "t:12: devices[0].inputs: ", "at least one" },
	{ HEAD "  - {name: p, id: -1, owner: knobs, inputs: []}", -EINVAL, "t:12: devices[0].id: ", "4294967295" },
	{ HEAD "  - {name: p, id: 7, ower: knobs, inputs: []}", -EINVAL, "t:12: devices[0]: unknown key", "owner" },
	{ HEAD "  - {name: a b, id: 7, owner: knobs, inputs: [{cell: k.a, channel: 0}]}", -EINVAL, "t:12: devices[0].name: ", "" },
	{ HEAD "  - {name: p, id: 7, owner: engine, inputs: [{cell: e.x, channel: 0}]}", -EINVAL, "t:12: devices[0].owner: ",
	  "not engine" },
	{ HEAD "  - {name: p, id: 7, owner: knob, inputs: [{cell: k.a, channel: 0}]}", -ENOENT, "t:12: devices[0].owner: ",
	  "did you mean knobs?" },
	{ HEAD "  - {name: p, id: 7, owner: knobs, tick_us: 0, inputs: [{cell: k.a, channel: 0}]}", -EINVAL,
	  "t:12: devices[0].tick_us: ", "" },
	{ HEAD "  - {name: p, id: 7, owner: knobs, tick_us: 49, inputs: [{cell: k.a, channel: 0}]}", -EINVAL,
	  "t:12: devices[0].tick_us: ", "expected 50 to" },
	{ HEAD "  - {name: p, id: 7, owner: knobs, commit_hz: -1, inputs: [{cell: k.a, channel: 0}]}", -EINVAL,
	  "t:12: devices[0].commit_hz: ", "" },
	{ HEAD "  - {name: p, id: 7, owner: knobs, inputs: [{cell: k.a, channel: 0}]}\n"
	  "  - {name: p, id: 8, owner: pedals, inputs: [{cell: p.x, channel: 0}]}", -EEXIST, "t:13: devices[1].name: ", "" },
	{ HEAD "  - {name: p, id: 7, owner: knobs, inputs: [{cell: k.a, channel: 0}]}\n"
	  "  - {name: q, id: 7, owner: pedals, inputs: [{cell: p.x, channel: 0}]}", -EEXIST, "t:13: devices[1].id: ", "\"p\"" },
	{ HEAD "  - {name: p, id: 7, owner: knobs, inputs: [{cell: k.a, channel: 0}]}\n"
	  "  - {name: q, id: 8, owner: knobs, inputs: [{cell: k.b, channel: 0}]}", -EINVAL, "t:13: devices[1].owner: ", "\"p\"" },
	/* inputs */
	{ DEVICE "    {channel: 0}]}", -EINVAL, "t:13: devices[0].inputs[0].cell: missing", "" },
	{ DEVICE "    {cell: k.a}]}", -EINVAL, "t:13: devices[0].inputs[0].channel: missing", "" },
	{ DEVICE "    {cell: k.on, channel: 0, level: 1}]}", -EINVAL, "t:13: devices[0].inputs[0].level: ", "found more" },
	{ DEVICE "    {cell: k.zz, channel: 0}]}", -ENOENT, "t:13: devices[0].inputs[0].cell: there is no cell \"k.zz\"", "" },
	{ DEVICE "    {cell: p.x, channel: 0}]}", -EINVAL, "t:13: devices[0].inputs[0].cell: ", "belongs to owner \"pedals\"" },
	{ DEVICE "    {cell: k.a, channel: 0, low: 0},\n    {cell: k.a, channel: 1, low: 0}]}", -EEXIST,
	  "t:14: devices[0].inputs[1].cell: ", "already" },
	{ DEVICE "    {cell: k.on, channel: 0}]}", -EINVAL, "t:13: devices[0].inputs[0].cell: ", "expected f64, i64 or u64" },
	{ DEVICE "    {cell: k.s, channel: 0}]}", -EINVAL, "t:13: devices[0].inputs[0].cell: ", "type string" },
	{ DEVICE "    {cell: k.a, level: 0}]}", -EINVAL, "t:13: devices[0].inputs[0].cell: ", "expected bool" },
	{ DEVICE "    {cell: k.b, presses: 0}]}", -EINVAL, "t:13: devices[0].inputs[0].cell: ", "expected u64 or i64" },
	{ DEVICE "    {cell: k.a, channel: 255}]}", -EINVAL, "t:13: devices[0].inputs[0].channel: ", "0 to 254" },
	{ DEVICE "    {cell: k.on, level: 32}]}", -EINVAL, "t:13: devices[0].inputs[0].level: ", "0 to 31" },
	{ DEVICE "    {cell: k.n, presses: 8}]}", -EINVAL, "t:13: devices[0].inputs[0].presses: ", "0 to 7" },
	{ DEVICE "    {cell: k.n, presses: 1, invert: true}]}", -EINVAL, "t:13: devices[0].inputs[0].invert: ", "channels" },
	{ DEVICE "    {cell: k.on, level: 1, low: 0}]}", -EINVAL, "t:13: devices[0].inputs[0].low: ", "for channels" },
	{ DEVICE "    {cell: k.on, level: 1, filter_ms: 5}]}", -EINVAL, "t:13: devices[0].inputs[0].filter_ms: ", "" },
	{ DEVICE "    {cell: k.a, channel: 0, low: -2}]}", -EINVAL, "t:13: devices[0].inputs[0].low: ", "below the cell's min -1" },
	{ DEVICE "    {cell: k.a, channel: 0, high: 2}]}", -EINVAL, "t:13: devices[0].inputs[0].high: ", "above the cell's max 1" },
	{ DEVICE "    {cell: k.a, channel: 0, low: 1}]}", -EINVAL, "t:13: devices[0].inputs[0].low: ", "that differ" },
	{ DEVICE "    {cell: k.a, channel: 0, high: .inf}]}", -EINVAL, "t:13: ", "" },
	{ DEVICE "    {cell: k.n, channel: 0, low: -1}]}", -EINVAL, "t:13: devices[0].inputs[0].low: ", "u64" },
	{ DEVICE "    {cell: k.a, channel: 0, center: 1.5}]}", -EINVAL, "t:13: devices[0].inputs[0].center: ", "expected 0 to 1" },
	{ DEVICE "    {cell: k.a, channel: 0, dead_zone: 0.5}]}", -EINVAL, "t:13: devices[0].inputs[0].dead_zone: ", "" },
	{ DEVICE "    {cell: k.a, channel: 0, dead_zone: -0.1}]}", -EINVAL, "t:13: devices[0].inputs[0].dead_zone: ", "" },
	{ DEVICE "    {cell: k.a, channel: 0, filter_ms: 60001}]}", -EINVAL, "t:13: devices[0].inputs[0].filter_ms: ", "" },
	{ DEVICE "    {cell: k.a, channel: 0, filter_ms: fast}]}", -EINVAL, "t:13: devices[0].inputs[0].filter_ms: expected", "\"fast\"" },
	{ DEVICE "    {cell: k.b, channel: 0, low: 1,\n    calibration: [{raw: 0, value: 0}, {raw: 1, value: 1}]}]}", -EINVAL,
	  "t:14: devices[0].inputs[0].calibration: ", "without low and high" },
	{ DEVICE "    {cell: k.b, channel: 0, calibration: [{raw: 0, value: 0}]}]}", -EINVAL,
	  "t:13: devices[0].inputs[0].calibration: ", "2 to 64" },
	{ DEVICE "    {cell: k.b, channel: 0, calibration: [{raw: 5, value: 0}, {raw: 5, value: 1}]}]}", -EINVAL,
	  "t:13: devices[0].inputs[0].calibration: ", "not above" },
	{ DEVICE "    {cell: k.b, channel: 0, calibration: [{raw: 0, value: 0}, {raw: 65536, value: 1}]}]}", -EINVAL,
	  "t:13: devices[0].inputs[0].calibration: ", "0 to 65535" },
	{ DEVICE "    {cell: k.a, channel: 0, calibration: [{raw: 0, value: 0}, {raw: 9, value: 3}]}]}", -EINVAL,
	  "t:13: devices[0].inputs[0].calibration: ", "above the cell's max" },
	{ DEVICE "    {cell: k.b, channel: 0, calibration: [{raw: 0, value: 0},\n    {raw: 9}]}]}", -EINVAL,
	  "t:14: devices[0].inputs[0].calibration[1].value: missing", "" },
	{ DEVICE "    {cell: k.b, channel: 0, calibration: [{raw: 0, valeu: 0}]}]}", -EINVAL,
	  "t:13: devices[0].inputs[0].calibration[0]: unknown key", "value" },
	{ DEVICE "    {cell: k.b, channel: 0, calibration: [[0, 1]]}]}", -EINVAL,
	  "t:13: devices[0].inputs[0].calibration[0]: expected keys", "a list" },
};

Test(table_devices, refused_with_file_line_and_key)
{
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		int rc = load(bad[i].text);
		cr_expect_eq(rc, bad[i].error, "%d for %s\n%s", rc, bad[i].text + strlen(HEAD), rc ? dsm_error() : "");
		cr_expect_null(table);
		cr_expect(strncmp(dsm_error(), bad[i].begins, strlen(bad[i].begins)) == 0 &&
			strstr(dsm_error(), bad[i].words), "%s\n\"%s\" is not \"%s\" ... \"%s\"",
			bad[i].text + strlen(HEAD), dsm_error(), bad[i].begins, bad[i].words);
	}
}
