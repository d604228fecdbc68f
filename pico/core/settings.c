/* SPDX-License-Identifier: Apache-2.0 */
#include "settings.h"

enum kind { NUMBER, IPV4, MAC, KEY };
enum which { DEVICE, ADDRESS, MASK, GATEWAY, ENGINE, PORT, LOCAL_PORT, MACADDR, TICK, DEBOUNCE, CHANNELS, AVERAGE, KEY_OF };

#define ROWS (KEY_OF + 1)

static const struct row {
	const char *name, *expected;
	enum kind kind;
	uint32_t low, high;
} rows[ROWS] = {
	[DEVICE] = { "device", "a number from 0 to 4294967295", NUMBER, 0, UINT32_MAX },
	[ADDRESS] = { "address", "an IPv4 address like 192.168.1.20", IPV4, 0, 0 },
	[MASK] = { "mask", "a mask like 255.255.255.0", IPV4, 0, 0 },
	[GATEWAY] = { "gateway", "an IPv4 address, or 0.0.0.0 for none", IPV4, 0, 0 },
	[ENGINE] = { "engine", "the engine's IPv4 address", IPV4, 0, 0 },
	[PORT] = { "port", "a number from 1 to 65535", NUMBER, 1, 65535 },
	[LOCAL_PORT] = { "local_port", "a number from 1 to 65535", NUMBER, 1, 65535 },
	[MACADDR] = { "mac", "six bytes like 02:00:00:00:00:07", MAC, 0, 0 },
	[TICK] = { "tick_us", "a number from 100 to 1000000", NUMBER, 100, 1000000 },
	[DEBOUNCE] = { "debounce_us", "a number from 0 to 1000000", NUMBER, 0, 1000000 },
	[CHANNELS] = { "channels", "a number from 1 to 8", NUMBER, 1, 8 },
	[AVERAGE] = { "average", "0 to 4: the mean of 1, 2, 4, 8 or 16 samples", NUMBER, 0, 4 },
	[KEY_OF] = { "key", "32 hexadecimal digits, not all bytes alike", KEY, 0, 0 },
};
_Static_assert(ROWS == SETTINGS_COUNT + 1, "the key is set, and shown apart");

void settings_default(struct pico_settings *s)
{
	*s = (struct pico_settings){ .device = 1, .address = { 192, 168, 1, 20 }, .mask = { 255, 255, 255, 0 },
		.engine = { 192, 168, 1, 10 }, .mac = { 2, 0x44, 0x53, 0x4d, 0, 1 }, .port = 7462, .local_port = 7462,
		.tick_us = 1000, .debounce_us = 5000, .channels = 3, .log2_average = 4 };
}

bool settings_complete(const struct pico_settings *s)
{
	return s->has_key && s->engine[0] != 0 && s->address[0] != 0;
}

/* ---- as numbers ---- */

static uint32_t number_of(const struct pico_settings *s, enum which which)
{
	switch (which) {
	case DEVICE: return s->device;
	case PORT: return s->port;
	case LOCAL_PORT: return s->local_port;
	case TICK: return s->tick_us;
	case DEBOUNCE: return s->debounce_us;
	case CHANNELS: return s->channels;
	default: return s->log2_average;
	}
}

static void set_number(struct pico_settings *s, enum which which, uint32_t v)
{
	switch (which) {
	case DEVICE: s->device = v; break;
	case PORT: s->port = (uint16_t)v; break;
	case LOCAL_PORT: s->local_port = (uint16_t)v; break;
	case TICK: s->tick_us = v; break;
	case DEBOUNCE: s->debounce_us = v; break;
	case CHANNELS: s->channels = (uint8_t)v; break;
	default: s->log2_average = (uint8_t)v; break;
	}
}

static uint8_t *bytes_of(struct pico_settings *s, enum which which)
{
	switch (which) {
	case ADDRESS: return s->address;
	case MASK: return s->mask;
	case GATEWAY: return s->gateway;
	case ENGINE: return s->engine;
	case MACADDR: return s->mac;
	default: return s->key;
	}
}

static unsigned size_of(enum kind kind)
{
	return kind == MAC ? 6 : kind == KEY ? 16 : 4;
}

/* ---- as kept: each row in turn, numbers as 4 bytes ---- */

void settings_encode(const struct pico_settings *s, uint8_t out[SETTINGS_BYTES])
{
	struct pico_settings copy = *s;
	uint8_t *p = out;
	for (unsigned w = 0; w < ROWS; w++) {
		if (rows[w].kind == NUMBER) {
			for (unsigned i = 0; i < 4; i++)
				*p++ = (uint8_t)(number_of(s, (enum which)w) >> (8 * i));
		} else {
			for (unsigned i = 0; i < size_of(rows[w].kind); i++)
				*p++ = bytes_of(&copy, (enum which)w)[i];
		}
	}
	*p++ = s->has_key;
	while (p < out + SETTINGS_BYTES)
		*p++ = 0;
}
_Static_assert(7 * 4 + 4 * 4 + 6 + 16 < SETTINGS_BYTES, "all rows and has_key fit");

bool settings_decode(const uint8_t in[SETTINGS_BYTES], struct pico_settings *out)
{
	struct pico_settings s = { 0 };
	const uint8_t *p = in;
	for (unsigned w = 0; w < ROWS; w++) {
		if (rows[w].kind == NUMBER) {
			uint32_t v = (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
			if (v < rows[w].low || v > rows[w].high)
				return false;
			set_number(&s, (enum which)w, v);
			p += 4;
		} else {
			for (unsigned i = 0; i < size_of(rows[w].kind); i++)
				bytes_of(&s, (enum which)w)[i] = *p++;
		}
	}
	if (*p > 1)
		return false;
	s.has_key = *p;
	*out = s;
	return true;
}

/* ---- as text ---- */

const char *settings_name(unsigned index)
{
	return rows[index].name;
}

static char *put_number(char *p, uint32_t v)
{
	char digits[10];
	unsigned n = 0;
	do
		digits[n++] = (char)('0' + v % 10);
	while ((v /= 10));
	while (n)
		*p++ = digits[--n];
	return p;
}

void settings_text(const struct pico_settings *s, unsigned index, char out[SETTINGS_TEXT])
{
	struct pico_settings copy = *s;
	enum which w = (enum which)index;
	char *p = out;
	if (rows[w].kind == NUMBER) {
		p = put_number(p, number_of(s, w));
	} else {
		const uint8_t *bytes = bytes_of(&copy, w);
		for (unsigned i = 0; i < size_of(rows[w].kind); i++) {
			if (i)
				*p++ = rows[w].kind == IPV4 ? '.' : ':';
			if (rows[w].kind == IPV4) {
				p = put_number(p, bytes[i]);
			} else {
				*p++ = "0123456789abcdef"[bytes[i] >> 4];
				*p++ = "0123456789abcdef"[bytes[i] & 15];
			}
		}
	}
	*p = '\0';
}

/* Digits from *text on, at most `high`; moves past them. */
static bool take_number(const char **text, uint32_t high, uint32_t *out)
{
	uint64_t v = 0;
	const char *p = *text;
	if (*p < '0' || *p > '9')
		return false;
	for (; *p >= '0' && *p <= '9'; p++) {
		v = 10 * v + (uint64_t)(*p - '0');
		if (v > high)
			return false;
	}
	*text = p;
	*out = (uint32_t)v;
	return true;
}

static int digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* `n` bytes as pairs of digits with `between` between them, if it is not 0. */
static bool take_hex(const char *text, uint8_t *out, unsigned n, char between)
{
	for (unsigned i = 0; i < n; i++) {
		if (i && between && *text++ != between)
			return false;
		int high = digit_of(text[0]), low = high < 0 ? -1 : digit_of(text[1]);
		if (low < 0)
			return false;
		out[i] = (uint8_t)(high << 4 | low);
		text += 2;
	}
	return *text == '\0';
}

static bool take_ipv4(const char *text, uint8_t out[4])
{
	for (unsigned i = 0; i < 4; i++) {
		uint32_t v;
		if ((i && *text++ != '.') || !take_number(&text, 255, &v))
			return false;
		out[i] = (uint8_t)v;
	}
	return *text == '\0';
}

static bool set_row(struct pico_settings *s, enum which w, const char *value)
{
	const struct row *row = &rows[w];
	uint32_t v = 0;
	if (row->kind == NUMBER) {
		if (!take_number(&value, row->high, &v) || *value || v < row->low)
			return false;
		set_number(s, w, v);
		return true;
	}
	if (row->kind == IPV4)
		return take_ipv4(value, bytes_of(s, w));
	if (row->kind == MAC)
		return take_hex(value, s->mac, 6, ':') && !(s->mac[0] & 1);
	if (!take_hex(value, s->key, 16, 0))
		return false;
	for (unsigned i = 1; i < 16; i++)
		if (s->key[i] != s->key[0])
			return s->has_key = true;
	return false;
}

const char *settings_set(struct pico_settings *s, const char *name, const char *value)
{
	for (unsigned w = 0; w < ROWS; w++) {
		const char *a = rows[w].name, *b = name;
		while (*a && *a == *b)
			a++, b++;
		if (*a != *b)
			continue;
		struct pico_settings copy = *s;
		if (!set_row(&copy, (enum which)w, value))
			return rows[w].expected;
		*s = copy;
		return NULL;
	}
	return "one of the names that show lists, or key";
}
