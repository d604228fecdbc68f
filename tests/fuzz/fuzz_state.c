/* SPDX-License-Identifier: Apache-2.0 */
/* State files. Each input is walked as it is, then with magic, version, size and check word put
 * right, so that the records behind them are reached; what walks is built anew from what the walk
 * gave, and must then walk to the same. */
#include <stdlib.h>
#include <string.h>

#include "core/check.h"
#include "engine/state.h"
#include "engine/state_format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct copy {
	struct state_image image;
	uint64_t digest; /* over all that the walk gave */
};

static void mix(struct copy *copy, const void *data, size_t bytes)
{
	copy->digest = XXH3_64bits_withSeed(data, bytes, copy->digest);
}

static int on_cell(const char *name, const char *unit, const struct dsm_sample *s, void *context)
{
	struct copy *copy = context;
	uint64_t facts[] = { s->value.type, s->value.len, (uint64_t)s->changed_ns, s->seq, s->epoch,
		s->quality };
	mix(copy, facts, sizeof(facts));
	mix(copy, name, strlen(name));
	mix(copy, unit, strlen(unit));
	switch (s->value.type) {
	case DSM_BOOL: mix(copy, &s->value.b, 1); break;
	case DSM_STRING: mix(copy, s->value.str, (size_t)s->value.len + 1); break;
	case DSM_BYTES: mix(copy, s->value.bytes, s->value.len); break;
	case DSM_F64_ARRAY: mix(copy, s->value.f64s, (size_t)s->value.len * 8); break;
	default: mix(copy, &s->value.u64, 8); break;
	}
	state_put_cell(&copy->image, name, unit, s);
	return 0;
}

static int on_client(const struct state_client *client, void *context)
{
	struct copy *copy = context;
	mix(copy, client->id, sizeof(client->id));
	mix(copy, &client->last_number, 8);
	mix(copy, &client->in_flight, 8);
	state_put_client(&copy->image, client);
	return 0;
}

static int on_device(const struct state_device *device, void *context)
{
	struct copy *copy = context;
	mix(copy, device, sizeof(*device));
	state_put_device(&copy->image, device);
	return 0;
}

/* Cells, clients and devices; one that is refused is refused by all. */
static int walk_all(const unsigned char *data, size_t size, struct copy *copy)
{
	int rc = state_walk(data, size, on_cell, on_client, copy);
	if (rc != state_walk_devices(data, size, on_device, copy))
		abort();
	return rc;
}

static void walk(const unsigned char *data, size_t size)
{
	struct copy first = { .digest = 0 }, second = { .digest = 0 };
	state_begin(&first.image, "r", 1, 2);
	state_begin(&second.image, "r", 1, 2);
	if (walk_all(data, size, &first) == 0) {
		if (state_finish(&first.image) ||
		    walk_all(first.image.data, first.image.size, &second) ||
		    first.digest != second.digest)
			abort();
	} else if (first.digest != 0) {
		abort(); /* something of a damaged image was given out */
	}
	state_free(&first.image);
	state_free(&second.image);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned char *copy = malloc(size ? size : 1);
	if (!copy)
		return 0;
	memcpy(copy, data, size);
	walk(copy, size);
	if (size >= sizeof(struct state_header) + STATE_CHECK_BYTES) {
		struct state_header header;
		size &= ~(size_t)7;
		memcpy(&header, copy, sizeof(header));
		memcpy(header.magic, STATE_MAGIC, 8);
		header.version = STATE_VERSION;
		header.header_bytes = sizeof(header);
		header.file_bytes = size;
		memcpy(copy, &header, sizeof(header));
		state_seal(copy, size);
		walk(copy, size);
	}
	free(copy);
	return 0;
}
