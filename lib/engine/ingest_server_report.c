/* SPDX-License-Identifier: Apache-2.0 */
/* What the ingest thread tells of itself once a tick: sums into the engine's counters, and each board by
 * itself for whoever asks the engine. */
#include "engine/ingest_server.h"

#include <stdio.h>
#include <string.h>

#include "engine/engine.h"
#include "engine/ingest_server_roles.h"
#include "wire/control.h"

void report_devices(struct ingest_server *s)
{
	uint64_t now = clock_now(s->engine->clock);
	pthread_mutex_lock(&s->marks_lock);
	s->reported_ns = now;
	for (uint32_t d = 0; s->ingest && d < ingest_devices(s->ingest); d++)
		ingest_info(s->ingest, d, now, &s->roles->role[d].info);
	pthread_mutex_unlock(&s->marks_lock);
}

void report_counters(struct ingest_server *s)
{
	static const struct { enum ingest_verdict verdict; enum counter counter; } which[] = {
		{ INGEST_ACCEPTED, COUNTER_ADC_ACCEPTED }, { INGEST_FOREIGN, COUNTER_ADC_FOREIGN },
		{ INGEST_UNKNOWN, COUNTER_ADC_UNKNOWN }, { INGEST_BAD_TAG, COUNTER_ADC_BAD_TAG },
		{ INGEST_SECOND_SOURCE, COUNTER_ADC_SECOND_SOURCE }, { INGEST_DUPLICATE, COUNTER_ADC_DUPLICATE },
		{ INGEST_LATE, COUNTER_ADC_LATE }, { INGEST_REPLAY, COUNTER_ADC_REPLAY },
	};
	_Atomic uint64_t *counters = s->engine->region->counters;
	uint64_t lost = 0, silences = 0, overruns = 0, link_losses = 0;
	for (size_t i = 0; i < sizeof(which) / sizeof(which[0]); i++)
		atomic_store_explicit(&counters[which[i].counter], ingest_count(s->ingest, which[i].verdict),
			memory_order_relaxed);
	for (uint32_t d = 0; d < ingest_devices(s->ingest); d++) {
		const struct ingest_info *info = &s->roles->role[d].info; /* by report_devices(), of this thread */
		lost += info->lost;
		silences += info->silences;
		overruns += info->overruns;
		link_losses += info->link_losses;
	}
	atomic_store_explicit(&counters[COUNTER_ADC_LOST], lost, memory_order_relaxed);
	atomic_store_explicit(&counters[COUNTER_ADC_SILENCES], silences, memory_order_relaxed);
	atomic_store_explicit(&counters[COUNTER_ADC_OVERRUNS], overruns, memory_order_relaxed);
	atomic_store_explicit(&counters[COUNTER_ADC_LINK_LOSSES], link_losses, memory_order_relaxed);
	atomic_store_explicit(&counters[COUNTER_ADC_DROPPED], ingest_socket_drops(s->fd), memory_order_relaxed);
}

static void put(const struct ingest_info *i, uint64_t since_ns, struct control_device *out)
{
	*out = (struct control_device){ .id = i->id, .epoch = i->epoch, .seq = i->seq, .tick_us = i->tick_us,
		.inputs = i->inputs, .state = (uint8_t)((i->heard ? CONTROL_DEVICE_HEARD : 0) |
			(i->alive ? CONTROL_DEVICE_ALIVE : 0) | (i->clock_known ? CONTROL_DEVICE_CLOCK : 0)),
		.flags = i->flags, .age_ns = i->heard ? i->age_ns + since_ns : 0, .rate_hz = i->rate_hz,
		.clock = { i->offset_us, i->offset_error_us, i->drift_ppm, i->drift_error_ppm },
		.counts = { [CONTROL_DEVICE_ACCEPTED] = i->verdicts[INGEST_ACCEPTED], [CONTROL_DEVICE_LOST] = i->lost,
			[CONTROL_DEVICE_LATE] = i->verdicts[INGEST_LATE],
			[CONTROL_DEVICE_DUPLICATE] = i->verdicts[INGEST_DUPLICATE],
			[CONTROL_DEVICE_REPLAY] = i->verdicts[INGEST_REPLAY],
			[CONTROL_DEVICE_BAD_TAG] = i->verdicts[INGEST_BAD_TAG],
			[CONTROL_DEVICE_SECOND_SOURCE] = i->verdicts[INGEST_SECOND_SOURCE],
			[CONTROL_DEVICE_STARTS] = i->starts, [CONTROL_DEVICE_SILENCES] = i->silences,
			[CONTROL_DEVICE_OVERRUNS] = i->overruns, [CONTROL_DEVICE_LINK_LOSSES] = i->link_losses,
			[CONTROL_DEVICE_COMMITS] = i->commits, [CONTROL_DEVICE_COMMITS_FAILED] = i->commits_failed,
			[CONTROL_DEVICE_NO_CHANNEL] = i->no_channel, [CONTROL_DEVICE_CLOCK_STEPS] = i->clock_steps } };
	snprintf(out->name, sizeof(out->name), "%s", i->name);
	snprintf(out->owner, sizeof(out->owner), "%s", i->owner);
	if (i->heard)
		ingest_source_text(&i->source, out->address, sizeof(out->address));
}

bool ingest_server_device(struct dsm_engine *e, uint32_t index, struct control_device *out)
{
	struct ingest_server *s = e->adc;
	if (!s || !s->roles || index >= s->roles->count)
		return false;
	uint64_t now = clock_now(e->clock);
	pthread_mutex_lock(&s->marks_lock);
	struct ingest_info info = s->roles->role[index].info;
	uint64_t since_ns = now > s->reported_ns ? now - s->reported_ns : 0;
	pthread_mutex_unlock(&s->marks_lock);
	put(&info, since_ns, out);
	return true;
}
