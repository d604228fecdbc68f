/* SPDX-License-Identifier: Apache-2.0 */
/* The engine's ADC boards: asked for by one control message, answered by a list. */
#include <errno.h>
#include <stdio.h>

#include <dsm/devices.h>

#include "client/handle.h"
#include "wire/adc.h"

_Static_assert((int)DSM_RESET_BROWN_OUT == (int)ADC_RESET_BROWN_OUT, "the datagram's numbers");

const char *dsm_device_reset_name(enum dsm_device_reset reset)
{
	static const char *const names[] = { "unknown", "power on", "reset pin", "watchdog", "software", "brown-out" };
	return names[(unsigned)reset < sizeof(names) / sizeof(names[0]) ? (unsigned)reset : 0];
}

static int get_device(struct control_reader *r, void *item)
{
	return control_get_device(r, item);
}

void devices_message(struct dsm *dsm, struct control_reader *r)
{
	list_take(&dsm->devices, r, sizeof(struct control_device), get_device);
}

static void describe(const struct control_device *d, struct dsm_device_info *out)
{
	const uint64_t *n = d->counts;
	*out = (struct dsm_device_info){ .id = d->id, .heard = d->state & CONTROL_DEVICE_HEARD,
		.alive = d->state & CONTROL_DEVICE_ALIVE, .clock_known = d->state & CONTROL_DEVICE_CLOCK,
		.reset = (enum dsm_device_reset)(d->flags & ADC_RESET_BITS), .fault = d->flags & ADC_FAULT,
		.simulated = d->flags & ADC_SIMULATED, .no_epoch = d->flags & ADC_NO_EPOCH,
		.epoch = d->epoch, .seq = d->seq, .inputs = d->inputs, .tick_us = d->tick_us, .age_ns = d->age_ns,
		.rate_hz = d->rate_hz, .accepted = n[CONTROL_DEVICE_ACCEPTED], .lost = n[CONTROL_DEVICE_LOST],
		.late = n[CONTROL_DEVICE_LATE], .duplicate = n[CONTROL_DEVICE_DUPLICATE],
		.replay = n[CONTROL_DEVICE_REPLAY], .bad_tag = n[CONTROL_DEVICE_BAD_TAG],
		.second_source = n[CONTROL_DEVICE_SECOND_SOURCE], .starts = n[CONTROL_DEVICE_STARTS],
		.silences = n[CONTROL_DEVICE_SILENCES], .overruns = n[CONTROL_DEVICE_OVERRUNS],
		.link_losses = n[CONTROL_DEVICE_LINK_LOSSES], .commits = n[CONTROL_DEVICE_COMMITS],
		.commits_failed = n[CONTROL_DEVICE_COMMITS_FAILED], .no_channel = n[CONTROL_DEVICE_NO_CHANNEL],
		.clock_steps = n[CONTROL_DEVICE_CLOCK_STEPS], .offset_us = d->clock[0], .offset_error_us = d->clock[1],
		.drift_ppm = d->clock[2], .drift_error_ppm = d->clock[3] };
	snprintf(out->name, sizeof(out->name), "%s", d->name);
	snprintf(out->owner, sizeof(out->owner), "%s", d->owner);
	snprintf(out->address, sizeof(out->address), "%s", d->address);
}

int dsm_foreach_device(struct dsm *dsm, int timeout_ms,
	int (*fn)(const struct dsm_device_info *info, void *context), void *context)
{
	struct dsm_device_info info;
	int rc = handle_check(dsm);
	if (rc)
		return rc;
	if (!fn)
		return dsm__fail(-EINVAL, "dsm_foreach_device(): null pointer");
	pthread_mutex_lock(&dsm->lock);
	rc = list_fetch(dsm, &dsm->devices, CONTROL_DEVICES, deadline_after(dsm, timeout_ms));
	const struct control_device *devices = dsm->devices.items;
	uint32_t n = rc ? 0 : dsm->devices.count;
	pthread_mutex_unlock(&dsm->lock);
	for (uint32_t i = 0; rc == 0 && i < n; i++) {
		describe(&devices[i], &info);
		rc = fn(&info, context);
	}
	return rc;
}
