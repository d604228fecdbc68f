/* SPDX-License-Identifier: Apache-2.0 */
/* What our own decoders see in a capture, a line for each datagram: the other half of the comparison
 * with docs/dsm.lua (dissect.py writes the same lines from what tshark says).
 * Usage: describe FILE [dsm=PORT] [frames=PORT] [adc=PORT]   others: "-" */
#include <arpa/inet.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/pcap.h"
#include "wire/adc.h"
#include "wire/udp.h"

static char line[16384];
static size_t used;

static void add(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void add(const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	int n = vsnprintf(line + used, sizeof(line) - used, format, arguments);
	va_end(arguments);
	if (n < 0 || (size_t)n >= sizeof(line) - used)
		abort();
	used += (size_t)n;
}

static void add_bytes(const char *name, const unsigned char *bytes, size_t n)
{
	if (!n)
		return;
	add(" %s=", name);
	for (size_t i = 0; i < n; i++)
		add("%02x", bytes[i]);
}

static void add_number(const char *name, uint64_t value)
{
	add(" %s=%" PRIu64, name, value);
}

/* ---- frames: each returns 0, or negative if it cannot be ---- */

static int segment(const struct udp_frame *f)
{
	struct udp_segment m;
	if (udp_get_segment(f, &m))
		return -1;
	add("SEGMENT seq=%" PRIu32 " flags=%u", m.seq, m.flags);
	add_bytes("data", m.data, m.bytes);
	return 0;
}

static int ack(const struct udp_frame *f)
{
	struct udp_ack m;
	if (udp_get_ack(f, &m))
		return -1;
	add("ACK next=%" PRIu32 " beyond=%" PRIu64, m.next, m.beyond);
	return 0;
}

static int read_frame(const struct udp_frame *f)
{
	struct udp_read m;
	if (udp_get_read(f, &m))
		return -1;
	add("READ id=%" PRIu32 " kind=%u index=%" PRIu32 " offset=%" PRIu32 " bytes=%" PRIu32 " argument=%" PRIu64,
		m.id, m.kind, m.index, m.offset, m.bytes, m.arg);
	return 0;
}

static int answer(const struct udp_frame *f)
{
	struct udp_answer m;
	if (udp_get_answer(f, &m))
		return -1;
	add("ANSWER id=%" PRIu32 " status=%" PRId32 " commit=%" PRIu64 " offset=%" PRIu32, m.id, m.status, m.seq,
		m.offset);
	add_bytes("data", m.data, m.bytes);
	return 0;
}

static int ask(const struct udp_frame *f)
{
	struct udp_ask m;
	if (udp_get_ask(f, &m))
		return -1;
	add("ASK beat=%" PRIu64 " first_owner=%" PRIu32, m.beat, m.first_owner);
	for (uint32_t i = 0; i < m.groups; i++)
		add_number("group", m.group[i]);
	return 0;
}

static int pulse(const struct udp_frame *f)
{
	struct udp_pulse m;
	if (udp_get_pulse(f, &m))
		return -1;
	add("PULSE generation=%" PRIu64 " heartbeat=%" PRIu64 " state=%" PRIu32 " first_owner=%" PRIu32
		" owners=%u counters=%u groups=%u", m.generation, m.heartbeat, m.state, m.first_owner, m.owners,
		m.counters, m.groups);
	for (unsigned i = 0; i < m.owners; i++)
		add(" bank=%" PRIu64 " epoch=%" PRIu32 " pid=%" PRIu32, m.line[i].bank_state, m.line[i].epoch,
			m.line[i].pid);
	for (unsigned i = 0; i < m.counters; i++)
		add_number("value", m.counter[i]);
	for (unsigned i = 0; i < m.groups; i++)
		add(" group=%" PRIu32 " commit=%" PRIu64, m.newest[i].group, m.newest[i].seq);
	return 0;
}

static int wait_frame(const struct udp_frame *f)
{
	struct udp_wait m;
	if (udp_get_wait(f, &m))
		return -1;
	add("WAIT group=%" PRIu32 " since=%" PRIu64, m.group, m.since);
	return 0;
}

static int notify(const struct udp_frame *f)
{
	struct udp_newest m;
	if (udp_get_notify(f, &m))
		return -1;
	add("NOTIFY group=%" PRIu32 " commit=%" PRIu64, m.group, m.seq);
	return 0;
}

static int committed(const struct udp_frame *f)
{
	struct udp_committed m;
	if (udp_get_committed(f, &m))
		return -1;
	add("COMMITTED status=%" PRId32 " number=%" PRIu64, m.status, m.number);
	return 0;
}

static int close_frame(const struct udp_frame *f)
{
	struct udp_close m;
	if (udp_get_close(f, &m))
		return -1;
	add("CLOSE status=%" PRId32, m.status);
	return 0;
}

static int prove_frame(const struct udp_frame *f)
{
	struct udp_prove m;
	if (udp_get_prove(f, &m))
		return -1;
	add("PROVE number=%" PRIu64, m.number);
	return 0;
}

static int subscribe(const struct udp_frame *f)
{
	struct udp_subscribe m;
	if (udp_get_subscribe(f, &m))
		return -1;
	add("SUBSCRIBE id=%" PRIu32 " interval=%" PRIu32 " nth=%" PRIu32 " generation=%" PRIu64, m.id, m.interval_us,
		m.every_nth, m.generation);
	for (uint32_t i = 0; i < m.n; i++) {
		uint64_t bits;
		memcpy(&bits, &m.wish[i].band, sizeof(bits));
		add(" group=%" PRIu32 " change=%" PRIu32 " band=%" PRIu64 " commit=%" PRIu64 " epoch=%" PRIu32,
			m.wish[i].group, m.wish[i].kind, bits, m.wish[i].seq, m.wish[i].epoch);
	}
	return 0;
}

static int subscribed(const struct udp_frame *f)
{
	struct udp_subscribed m;
	if (udp_get_subscribed(f, &m))
		return -1;
	add("SUBSCRIBED id=%" PRIu32 " status=%" PRId32, m.id, m.status);
	return 0;
}

static int unsubscribe(const struct udp_frame *f)
{
	uint32_t id;
	if (udp_get_unsubscribe(f, &id))
		return -1;
	add("UNSUBSCRIBE id=%" PRIu32, id);
	return 0;
}

static int update(const struct udp_frame *f)
{
	struct udp_update m;
	if (udp_get_update(f, &m))
		return -1;
	add("UPDATE id=%" PRIu32 " index=%" PRIu32 " commit=%" PRIu64, m.id, m.index, m.seq);
	add_bytes("data", m.data, m.bytes);
	return 0;
}

static int updated(const struct udp_frame *f)
{
	struct udp_updated m;
	if (udp_get_updated(f, &m))
		return -1;
	add("UPDATED id=%" PRIu32 " index=%" PRIu32 " commit=%" PRIu64, m.id, m.index, m.seq);
	return 0;
}

static int frames(const uint8_t *bytes, size_t n)
{
	static int (*const readers[UDP_FRAME_END])(const struct udp_frame *) = {
		[UDP_SEGMENT] = segment, [UDP_ACK] = ack, [UDP_READ] = read_frame, [UDP_ANSWER] = answer,
		[UDP_ASK] = ask, [UDP_PULSE] = pulse, [UDP_WAIT] = wait_frame, [UDP_NOTIFY] = notify,
		[UDP_COMMITTED] = committed, [UDP_CLOSE] = close_frame,
		[UDP_PROVE] = prove_frame, [UDP_SUBSCRIBE] = subscribe, [UDP_SUBSCRIBED] = subscribed,
		[UDP_UNSUBSCRIBE] = unsubscribe, [UDP_UPDATE] = update, [UDP_UPDATED] = updated,
	};
	const unsigned char *at = bytes, *end = bytes + n;
	struct udp_frame f;
	int rc;
	while ((rc = udp_next_frame(&at, end, &f)) == 1) {
		if (used)
			add(" | ");
		if (f.type >= UDP_FRAME_END)
			add("unknown");
		else if (readers[f.type](&f))
			return -1;
	}
	return rc;
}

/* ---- datagrams ---- */

static int plain(int type, const uint8_t *bytes, size_t n)
{
	struct udp_init init;
	struct udp_cookie cookie;
	struct udp_resp resp;
	if (type == UDP_INIT && udp_get_init(bytes, n, &init) == 0) {
		add("INIT version=%u name=%" PRIu32, bytes[2], init.client);
		add_bytes("key_id", init.key_id, sizeof(init.key_id));
		add_bytes("cookie", init.cookie, sizeof(init.cookie));
		add_bytes("message", init.message, sizeof(init.message));
	} else if (type == UDP_COOKIE_IS && udp_get_cookie(bytes, n, &cookie) == 0) {
		add("COOKIE version=%u name=%" PRIu32, bytes[2], cookie.client);
		add_bytes("cookie", cookie.cookie, sizeof(cookie.cookie));
	} else if (type == UDP_RESP && udp_get_resp(bytes, n, &resp) == 0) {
		add("RESP version=%u name=%" PRIu32, bytes[2], resp.client);
		add_bytes("message", resp.message, sizeof(resp.message));
	} else {
		return -1;
	}
	return 0;
}

static void add_counter(uint64_t counter)
{
	add(" flow=%d counter=%" PRIu64, (counter & UDP_FLOW_BIT) != 0, counter & ~UDP_FLOW_BIT);
}

static int datagram(const uint8_t *bytes, size_t n)
{
	uint8_t version;
	int type = udp_type_of(bytes, n, &version);
	struct udp_data data;
	struct udp_reset reset;
	struct udp_refuse refuse;
	if (udp_get_refuse(bytes, n, &refuse) == 0) {
		add("REFUSE version=%u name=%" PRIu32 " cause=%u lowest=%u highest=%u", bytes[2], refuse.client,
			refuse.cause, refuse.lowest, refuse.highest);
	} else if (type == UDP_DATA && udp_get_data(bytes, n, &data) == 0) {
		add("DATA version=%u name=%" PRIu32, bytes[2], data.to);
		add_counter(data.counter);
		add_bytes("sealed", bytes + UDP_DATA_HEAD, n - UDP_DATA_HEAD - NOISE_TAG);
		add_bytes("tag", bytes + n - NOISE_TAG, NOISE_TAG);
	} else if (type == UDP_RESET && udp_get_reset(bytes, n, &reset) == 0) {
		add("RESET version=%u name=%" PRIu32, bytes[2], reset.session);
		add_counter(reset.counter);
	} else {
		return plain(type, bytes, n);
	}
	return 0;
}

static int adc(const uint8_t *bytes, size_t n)
{
	struct adc_header h;
	if (adc_decode(bytes, n, &h) != ADC_GOOD)
		return -1;
	add("ADC version=%u reset=%u fault=%d simulated=%d no_epoch=%d overrun=%d link_lost=%d n=%u log2=%u device=%" PRIu32 " epoch=%" PRIu32
		" seq=%" PRIu32 " uptime=%" PRIu64 " levels=%" PRIu32, bytes[4], h.flags & ADC_RESET_BITS,
		(h.flags & ADC_FAULT) != 0, (h.flags & ADC_SIMULATED) != 0, (h.flags & ADC_NO_EPOCH) != 0,
		(h.flags & ADC_OVERRUN) != 0, (h.flags & ADC_LINK_LOST) != 0,
		h.channels, h.log2_average, h.device, h.epoch, h.seq, h.uptime_us, h.levels);
	for (unsigned i = 0; i < ADC_PRESSES; i++)
		add_number("presses", h.presses[i]);
	for (unsigned i = 0; i < h.channels; i++)
		add_number("channel", adc_channel(bytes, i));
	add_bytes("tag", bytes + n - ADC_TAG, ADC_TAG);
	return 0;
}

/* ---- the file ---- */

static struct port {
	const char *name;
	int (*describe)(const uint8_t *bytes, size_t n);
	unsigned port;
} ports[] = { { "dsm=", datagram, 0 }, { "frames=", frames, 0 }, { "adc=", adc, 0 } };

static int describe(const struct sockaddr_in *from, const struct sockaddr_in *to, const uint8_t *bytes,
	size_t n, void *context)
{
	const char *text = "-";
	(void)context;
	for (size_t i = 0; i < sizeof(ports) / sizeof(ports[0]); i++) {
		if (ntohs(from->sin_port) != ports[i].port && ntohs(to->sin_port) != ports[i].port)
			continue;
		uint8_t *exact = malloc(n ? n : 1); /* so that a sanitizer sees a look beyond the end */
		if (!exact)
			return -1;
		memcpy(exact, bytes, n);
		used = 0;
		text = ports[i].describe(exact, n) ? "malformed" : line;
		free(exact);
		break;
	}
	puts(text);
	return 0;
}

int main(int argc, char **argv)
{
	for (int i = 2; i < argc; i++)
		for (size_t p = 0; p < sizeof(ports) / sizeof(ports[0]); p++)
			if (strncmp(argv[i], ports[p].name, strlen(ports[p].name)) == 0)
				ports[p].port = (unsigned)atoi(argv[i] + strlen(ports[p].name));
	if (argc < 3) {
		fputs("Usage: describe FILE [dsm=PORT] [frames=PORT] [adc=PORT]\n", stderr);
		return 2;
	}
	int rc = pcap_foreach(argv[1], describe, NULL);
	if (rc)
		fprintf(stderr, "describe: %s: %s\n", argv[1], strerror(-rc));
	return rc != 0;
}
