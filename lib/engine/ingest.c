/* SPDX-License-Identifier: Apache-2.0 */
/* Which datagrams are believed, in the order in which it is asked: form, device, tag, source, (epoch,
 * seq). Nothing of a datagram whose tag does not fit changes anything but a counter. */
#include "engine/ingest_device.h"

#include <string.h>

#define RATE_WINDOW_NS UINT64_C(1000000000)

struct device *ingest_find(const struct ingest *g, uint32_t id)
{
	uint32_t low = 0, high = g->count;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (g->devices[middle].id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return low < g->count && g->devices[low].id == id ? &g->devices[low] : NULL;
}

static bool authentic(const struct device *d, const uint8_t *data, size_t n)
{
	for (uint32_t i = 0; i < d->keys; i++)
		if (adc_authentic(data, n, d->key[i]))
			return true;
	return false;
}

static bool same_source(const struct ingest_source *a, const struct ingest_source *b)
{
	return a->n == b->n && memcmp(a->bytes, b->bytes, a->n) == 0;
}

/* seen_ns: what came before has been judged. What came later may lie in the socket, and is no silence. */
static bool silent(const struct device *d, uint64_t seen_ns)
{
	return seen_ns > d->spoke_ns && seen_ns - d->spoke_ns > d->silent_ns;
}

/* Of an authentic datagram from the right source. */
static enum ingest_verdict judge(struct device *d, uint32_t epoch, uint32_t seq)
{
	if (d->has_floor && (epoch < d->floor_epoch || (epoch == d->floor_epoch && seq <= d->floor_seq)))
		return INGEST_REPLAY;
	if (!d->heard || epoch > d->epoch)
		return INGEST_ACCEPTED;
	if (epoch < d->epoch)
		return INGEST_REPLAY;
	if (seq > d->seq)
		return INGEST_ACCEPTED;
	switch (replay_check(&d->seen, seq)) {
	case REPLAY_FRESH: return INGEST_LATE;
	case REPLAY_SEEN: return INGEST_DUPLICATE;
	default: return INGEST_REPLAY;
	}
}

static void count_accepted(struct device *d, uint64_t now_ns)
{
	d->rate_count++;
	if (d->rate_from_ns && now_ns - d->rate_from_ns < RATE_WINDOW_NS)
		return;
	if (d->rate_from_ns)
		d->rate_hz = (double)d->rate_count * 1e9 / (double)(now_ns - d->rate_from_ns);
	d->rate_from_ns = now_ns;
	d->rate_count = 0;
}

/* Filters see every datagram, also those that are not committed. */
static void take_inputs(struct device *d, const struct adc_header *h, const uint8_t *data, bool started)
{
	uint64_t elapsed_us = started || !d->alive || h->uptime_us <= d->uptime_us ? 0 : h->uptime_us - d->uptime_us;
	for (uint32_t i = 0; i < d->input_count; i++) {
		struct ingest_input *in = &d->inputs[i];
		if (in->in.kind == INPUT_PRESSES)
			ingest_press(in, h->presses[in->in.index], started);
		else if (in->in.kind == INPUT_LEVEL)
			in->filtered = (double)(h->levels >> in->in.index & 1);
		else if (in->in.index >= h->channels)
			in->has_filtered = false;
		else if (!(h->flags & ADC_FAULT))
			ingest_filter(in, adc_channel(data, in->in.index), elapsed_us);
	}
}

static void put_value(struct device *d, uint32_t i, struct ingest_value *out)
{
	struct ingest_input *in = &d->inputs[i];
	*out = (struct ingest_value){ .input = i, .quality = d->flags & ADC_SIMULATED ? DSM_SIMULATED : DSM_GOOD,
		.value = { .type = in->type, .len = 1 } };
	if (in->in.kind == INPUT_LEVEL) {
		out->value.b = (in->filtered != 0) != in->in.invert;
	} else if (in->in.kind == INPUT_PRESSES) {
		out->value.u64 = in->total; /* the same bits as i64 */
	} else if (!in->has_filtered || d->flags & ADC_FAULT) {
		d->no_channel += !in->has_filtered;
		out->quality = DSM_BAD;
	} else {
		out->value = ingest_number(in->type, ingest_shape(&in->in, in->point, in->filtered));
	}
}

static void commit(struct ingest *g, struct device *d, uint64_t now_ns)
{
	for (uint32_t i = 0; i < d->input_count; i++)
		put_value(d, i, &g->values[i]);
	uint64_t age_ns = now_ns - d->last_ns + ingest_clock_age_ns(&d->clock, d->uptime_us, d->last_ns);
	int rc = g->sink.commit(g->sink.context, (uint32_t)(d - g->devices), g->values, d->input_count, age_ns);
	d->commits += rc == 0;
	d->commits_failed += rc != 0;
	d->pending = false;
	if (!d->commit_ns)
		return;
	/* on a grid, so that the rate is kept; after a pause the grid begins anew */
	d->due_ns += d->commit_ns;
	if (d->due_ns <= now_ns)
		d->due_ns = now_ns + d->commit_ns;
}

static void accept(struct ingest *g, struct device *d, const struct ingest_source *source,
	const struct adc_header *h, const uint8_t *data, uint64_t now_ns)
{
	bool started = d->heard && h->epoch != d->epoch;
	if (d->heard && !started)
		d->lost += h->seq - d->seq - 1;
	if (!d->heard || started)
		memset(&d->seen, 0, sizeof(d->seen));
	replay_take(&d->seen, h->seq);
	d->starts += started;
	d->overruns += (h->flags & ADC_OVERRUN) != 0;
	d->link_losses += (h->flags & ADC_LINK_LOST) != 0;
	if (!d->alive || started)
		memset(&d->clock, 0, sizeof(d->clock));
	if (!ingest_clock_take(&d->clock, h->uptime_us, now_ns))
		d->clock_steps++;
	take_inputs(d, h, data, started);
	d->heard = true;
	d->epoch = h->epoch;
	d->seq = h->seq;
	d->source = *source;
	d->last_ns = d->spoke_ns = now_ns;
	d->uptime_us = h->uptime_us;
	d->flags = h->flags;
	count_accepted(d, now_ns);
	if (!d->alive || started) {
		d->alive = true;
		g->sink.alive(g->sink.context, (uint32_t)(d - g->devices), true);
	}
	d->pending = true;
	if (now_ns >= d->due_ns)
		commit(g, d, now_ns);
}

static void fall_silent(struct ingest *g, struct device *d, uint64_t now_ns)
{
	if (d->pending)
		commit(g, d, now_ns);
	d->alive = false;
	d->silences++;
	d->rate_hz = 0;
	d->rate_from_ns = d->rate_count = 0;
	g->sink.alive(g->sink.context, (uint32_t)(d - g->devices), false);
}

enum ingest_verdict ingest_datagram(struct ingest *g, const struct ingest_source *source, const void *bytes,
	size_t n, uint64_t now_ns)
{
	struct adc_header h;
	if (adc_decode(bytes, n, &h) != ADC_GOOD) {
		g->foreign++;
		return INGEST_FOREIGN;
	}
	struct device *d = ingest_find(g, h.device);
	if (!d) {
		g->unknown++;
		return INGEST_UNKNOWN;
	}
	enum ingest_verdict verdict = INGEST_BAD_TAG;
	if (authentic(d, bytes, n))
		verdict = d->alive && !same_source(source, &d->source) ? INGEST_SECOND_SOURCE :
			judge(d, h.epoch, h.seq);
	d->verdicts[verdict]++;
	if (verdict == INGEST_ACCEPTED) {
		accept(g, d, source, &h, bytes, now_ns);
	} else if (verdict == INGEST_LATE) {
		replay_take(&d->seen, h.seq);
		d->lost -= d->lost > 0;
	}
	return verdict;
}

void ingest_look(struct ingest *g, uint64_t now_ns)
{
	for (uint32_t i = 0; i < g->count; i++) {
		struct device *d = &g->devices[i];
		/* late: we stood still, not the board; half a silence is left to be heard in */
		if (d->alive && now_ns - g->looked_ns > d->silent_ns / 2 && d->spoke_ns + d->silent_ns / 2 < now_ns)
			d->spoke_ns = now_ns - d->silent_ns / 2;
	}
	g->looked_ns = now_ns;
}

void ingest_tick(struct ingest *g, uint64_t now_ns, uint64_t seen_ns)
{
	for (uint32_t i = 0; i < g->count; i++) {
		struct device *d = &g->devices[i];
		if (!d->alive)
			continue;
		if (silent(d, seen_ns))
			fall_silent(g, d, now_ns);
		else if (d->pending && now_ns >= d->due_ns)
			commit(g, d, now_ns);
	}
}

uint64_t ingest_next_ns(const struct ingest *g)
{
	uint64_t next = UINT64_MAX;
	for (uint32_t i = 0; i < g->count; i++) {
		const struct device *d = &g->devices[i];
		if (!d->alive)
			continue;
		uint64_t at = d->spoke_ns + d->silent_ns + 1, look = g->looked_ns + d->silent_ns / 4;
		at = look < at ? look : at;
		if (d->pending && d->due_ns < at)
			at = d->due_ns;
		next = at < next ? at : next;
	}
	return next;
}
