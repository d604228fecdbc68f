/* SPDX-License-Identifier: Apache-2.0 */
/* dsm stat --devices: the engine's ADC boards, one by one. */
#include "cli.h"

#include <dsm/devices.h>

#define DEVICES_TIMEOUT_MS 2000

static const struct column device_columns[] = {
	{ "device", NULL, NULL, true }, { "name", NULL, NULL, false }, { "owner", NULL, NULL, false },
	{ "state", NULL, NULL, false }, { "address", NULL, NULL, false }, { "rate", NULL, "1/s", true },
	{ "age", NULL, "s", true }, { "accepted", NULL, NULL, true }, { "lost", NULL, NULL, true },
	{ "late", NULL, NULL, true }, { "duplicate", NULL, NULL, true }, { "replay", NULL, NULL, true },
	{ "bad_tag", "bad tag", NULL, true }, { "second_source", "second source", NULL, true },
	{ "offset", "clock offset", "us", true }, { "offset_error", "offset uncertain by", "us", true },
	{ "drift", "clock drift", "ppm", true }, { "drift_error", "drift uncertain by", "ppm", true },
	{ "clock_steps", "clock steps", NULL, true }, { "reset", "last reset", NULL, false },
	{ "epoch", NULL, NULL, true }, { "seq", NULL, NULL, true }, { "starts", NULL, NULL, true },
	{ "silences", NULL, NULL, true }, { "overruns", NULL, NULL, true },
	{ "link_losses", "link losses", NULL, true }, { "commits", NULL, NULL, true },
	{ "commits_failed", "commits failed", NULL, true }, { "no_channel", "without a channel", NULL, true },
	{ "tick", NULL, "us", true }, { "simulated", NULL, NULL, false }, { "fault", NULL, NULL, false },
	{ "stores_epoch", "stores epoch", NULL, false },
};
#define DEVICE_COLUMNS (sizeof device_columns / sizeof device_columns[0])

static struct field clock_field(const struct dsm_device_info *info, double value)
{
	return info->clock_known ? field_f64(value, 3) : field_none();
}

static int print_device(const struct dsm_device_info *info, void *context)
{
	struct cli *cli = context;
	bool heard = info->heard;
	const struct field fields[DEVICE_COLUMNS] = {
		field_u64(info->id), field_text(info->name), field_text(info->owner),
		field_text(info->alive ? "alive" : heard ? "silent" : "never heard"),
		heard ? field_text(info->address) : field_none(), field_f64(info->rate_hz, 1),
		heard ? field_f64((double)info->age_ns / 1e9, 3) : field_none(), field_u64(info->accepted),
		field_u64(info->lost), field_u64(info->late), field_u64(info->duplicate), field_u64(info->replay),
		field_u64(info->bad_tag), field_u64(info->second_source), clock_field(info, info->offset_us),
		clock_field(info, info->offset_error_us), clock_field(info, info->drift_ppm),
		clock_field(info, info->drift_error_ppm), field_u64(info->clock_steps),
		heard ? field_text(dsm_device_reset_name(info->reset)) : field_none(), field_u64(info->epoch),
		field_u64(info->seq), field_u64(info->starts), field_u64(info->silences), field_u64(info->overruns),
		field_u64(info->link_losses), field_u64(info->commits), field_u64(info->commits_failed),
		field_u64(info->no_channel), field_u64(info->tick_us), field_bool(info->simulated),
		field_bool(info->fault), field_bool(!info->no_epoch),
	};

	out_row(cli->out, fields);
	return cli_ended(cli);
}

enum status devices_round(struct cli *cli, void *context)
{
	(void)context;
	out_begin(cli->out, device_columns, DEVICE_COLUMNS, true);
	int error = dsm_foreach_device(cli->dsm, cli_remaining_ms(cli, DEVICES_TIMEOUT_MS), print_device, cli);
	return error < 0 ? cli_fail(cli, error) : STATUS_OK;
}
