/* SPDX-License-Identifier: Apache-2.0 */
/* The engine's ADC boards: asked for by one control message, answered by a list. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <dsm/devices.h>

#include "client/handle.h"
#include "wire/adc.h"

_Static_assert((int)DSM_RESET_BROWN_OUT == (int)ADC_RESET_BROWN_OUT, "the datagram's numbers");

const char *dsm_device_reset_name(enum dsm_device_reset reset)
{
	static const char *const names[] = { "unknown", "power on", "reset pin", "watchdog", "software", "brown-out" };
	return names[(unsigned)reset < sizeof(names) / sizeof(names[0]) ? (unsigned)reset : 0];
}

void devices_message(struct dsm *dsm, struct control_reader *r)
{
	/* not asked for (any more): the owner's thread may be walking the list */
	if (!dsm->devices_asked)
		return;
	for (uint32_t i = 0; i < r->entries && !dsm->devices_rc; i++) {
		if (dsm->device_count == dsm->device_room) {
			uint32_t room = dsm->device_room ? dsm->device_room * 2 : 16;
			void *more = realloc(dsm->devices, room * sizeof(*dsm->devices));
			if (!more) {
				dsm->devices_rc = -ENOMEM;
				break;
			}
			dsm->devices = more;
			dsm->device_room = room;
		}
		if (control_get_device(r, &dsm->devices[dsm->device_count]))
			break;
		dsm->device_count++;
	}
	if (r->entries == 0) /* an empty list ends it */
		dsm->devices_asked = false;
}

static int fetch(struct dsm *dsm, uint64_t deadline)
{
	unsigned char message[CONTROL_HEAD];
	struct control_writer w;
	if (dsm->lost)
		return dsm__fail(-ENOTCONN, "the engine is gone");
	dsm->device_count = 0;
	dsm->devices_rc = 0;
	control_begin(&w, message, sizeof(message), CONTROL_DEVICES);
	int rc = dsm->ops->send(dsm->conn, message, control_end(&w));
	if (rc)
		return dsm__fail(rc, "the engine cannot be asked: %s", dsm_strerror(rc));
	dsm->devices_asked = true;
	while (dsm->devices_asked)
		if (dsm->lost || !slow_wait(dsm, deadline)) {
			dsm->devices_asked = false;
			return dsm__fail(-ETIMEDOUT, "the engine does not answer");
		}
	return dsm->devices_rc ? dsm__fail(dsm->devices_rc, "no memory for the list of devices") : 0;
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
	rc = fetch(dsm, deadline_after(dsm, timeout_ms));
	uint32_t n = rc ? 0 : dsm->device_count;
	pthread_mutex_unlock(&dsm->lock);
	/* only this thread asks again, so the list stands still */
	for (uint32_t i = 0; rc == 0 && i < n; i++) {
		describe(&dsm->devices[i], &info);
		rc = fn(&info, context);
	}
	return rc;
}
