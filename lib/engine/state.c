/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The image of a state file: built record by record, verified whole before anything of it is
 * believed. Byte tables: docs/state-file.md. Files are state_file.c's; regions are unknown here.
 */
#include "engine/state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <dsm/engine.h>

#include "core/check.h"
#include "core/error.h"
#include "core/utf8.h"
#include "engine/state_format.h"

/* ---- building ---- */

static uint64_t pad8(uint64_t bytes)
{
	return (bytes + 7) & ~(uint64_t)7;
}

/* Room for `bytes` more, zeroed, or NULL. Grows by half at least, so that a million cells
 * cost few copies and a gigabyte array does not double. */
static unsigned char *append(struct state_image *image, uint64_t bytes)
{
	if (image->error)
		return NULL;
	if (bytes > SIZE_MAX / 4 - image->size)
		goto no_memory;
	size_t need = image->size + (size_t)bytes;
	if (need > image->room) {
		size_t room = image->room + image->room / 2;
		room = room < need ? need : room;
		room = room < 4096 ? 4096 : room;
		unsigned char *data = realloc(image->data, room);
		if (!data)
			goto no_memory;
		image->data = data;
		image->room = room;
	}
	unsigned char *at = image->data + image->size;
	memset(at, 0, (size_t)bytes);
	image->size = need;
	return at;
no_memory:
	image->error = dsm__fail(-ENOMEM, "state: no memory for %llu bytes more after %zu; "
		"leave large groups out with no_save", (unsigned long long)bytes, image->size);
	return NULL;
}

void state_begin(struct state_image *image, const char *region, uint64_t generation,
	int64_t time_ns)
{
	memset(image, 0, sizeof(*image));
	size_t length = strlen(region);
	if (length > STATE_TEXT_MAX) {
		image->error = dsm__fail(-EINVAL, "state: the region's name is longer than %u bytes",
			STATE_TEXT_MAX);
		return;
	}
	unsigned char *at = append(image, sizeof(struct state_header) + pad8(length + 1));
	if (!at)
		return;
	struct state_header header = { .version = STATE_VERSION_PLAIN, .header_bytes = sizeof(header),
		.generation = generation, .time_ns = time_ns, .region_bytes = (uint32_t)length };
	memcpy(header.magic, STATE_MAGIC, sizeof(header.magic));
	memcpy(at, &header, sizeof(header));
	memcpy(at + sizeof(header), region, length);
}

/* Count it in the header, which moves when the image grows. */
static void count(struct state_image *image, size_t field)
{
	uint64_t n;
	memcpy(&n, image->data + field, sizeof(n));
	n++;
	memcpy(image->data + field, &n, sizeof(n));
}

/* Bytes of the value of this type and len, without padding. */
static uint64_t value_bytes(uint32_t type, uint32_t len)
{
	switch (type) {
	case DSM_STRING:
		return (uint64_t)len + 1; /* with a NUL, as dsm_read() gives it */
	case DSM_BYTES:
		return len;
	case DSM_F64_ARRAY:
		return (uint64_t)len * 8;
	default:
		return 8;
	}
}

static void value_store(unsigned char *at, const struct dsm_value *value)
{
	uint64_t word = value->type == DSM_BOOL ? value->b : value->u64; /* the bits, also of a NaN */
	const void *from = &word;
	size_t bytes = 8;
	if (value->type == DSM_STRING || value->type == DSM_BYTES) {
		from = value->bytes;
		bytes = value->len;
	} else if (value->type == DSM_F64_ARRAY) {
		from = value->f64s;
		bytes = (size_t)value->len * 8;
	}
	if (bytes > 0)
		memcpy(at, from, bytes);
}

void state_put_cell(struct state_image *image, const char *name, const char *unit,
	const struct dsm_sample *sample)
{
	const struct dsm_value *v = &sample->value;
	size_t name_length = strlen(name), unit_length = strlen(unit);
	if (image->error)
		return;
	if (v->type < DSM_BOOL || v->type > DSM_F64_ARRAY || name_length == 0 ||
	    name_length > DSM_NAME_MAX || unit_length > STATE_TEXT_MAX) {
		image->error = dsm__fail(-EINVAL, "state: cell '%.100s' has a bad type (%d), name or unit",
			name, (int)v->type);
		return;
	}
	bool single = v->type <= DSM_F64;
	struct state_cell_record record = { .kind = STATE_CELL, .type = (uint8_t)v->type,
		.quality = sample->quality <= DSM_SIMULATED ? sample->quality : DSM_BAD,
		.changed_ns = sample->changed_ns, .seq = sample->seq, .epoch = sample->epoch,
		.len = single ? 1 : v->len, .name_bytes = (uint32_t)name_length,
		.unit_bytes = (uint32_t)unit_length };
	uint64_t texts = pad8(name_length + 1 + unit_length + 1);
	record.bytes = sizeof(record) + texts + pad8(value_bytes(record.type, record.len));
	unsigned char *at = append(image, record.bytes);
	if (!at)
		return;
	memcpy(at, &record, sizeof(record));
	memcpy(at + sizeof(record), name, name_length);
	memcpy(at + sizeof(record) + name_length + 1, unit, unit_length);
	value_store(at + sizeof(record) + texts, v);
	count(image, offsetof(struct state_header, cells));
}

void state_put_client(struct state_image *image, const struct state_client *client)
{
	struct state_client_record record = { .kind = STATE_CLIENT, .bytes = sizeof(record),
		.last_number = client->last_number, .in_flight = client->in_flight };
	memcpy(record.id, client->id, sizeof(record.id));
	unsigned char *at = append(image, sizeof(record));
	if (!at)
		return;
	memcpy(at, &record, sizeof(record));
	count(image, offsetof(struct state_header, clients));
}

void state_put_device(struct state_image *image, const struct state_device *device)
{
	struct state_device_record record = { .kind = STATE_DEVICE, .bytes = sizeof(record),
		.device = device->device, .epoch = device->epoch, .seq = device->seq, .limit = device->limit };
	unsigned char *at = append(image, sizeof(record));
	if (!at)
		return;
	memcpy(at, &record, sizeof(record));
	struct state_header header;
	memcpy(&header, image->data, sizeof(header));
	header.version = STATE_VERSION;
	header.devices++;
	memcpy(image->data, &header, sizeof(header));
}

int state_finish(struct state_image *image)
{
	unsigned char *at = append(image, STATE_CHECK_BYTES);
	if (!at)
		return image->error;
	uint64_t size = image->size;
	memcpy(image->data + offsetof(struct state_header, file_bytes), &size, sizeof(size));
	state_seal(image->data, image->size);
	return 0;
}

void state_free(struct state_image *image)
{
	free(image->data);
	memset(image, 0, sizeof(*image));
}

/* ---- verifying ---- */

void state_seal(unsigned char *data, size_t size)
{
	uint64_t check = XXH3_64bits(data, size - STATE_CHECK_BYTES);
	memcpy(data + size - STATE_CHECK_BYTES, &check, sizeof(check));
}

static int damaged(uint64_t at, const char *expected)
{
	return dsm__fail(-EBADMSG, "damaged: byte %llu: %s", (unsigned long long)at, expected);
}

static bool all_zero(const unsigned char *data, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (data[i])
			return false;
	return true;
}

int state_verify_header(const void *data, size_t size, uint64_t file_bytes)
{
	struct state_header header;
	if (size < sizeof(header.magic) || (memcmp(data, STATE_MAGIC, sizeof(header.magic)) != 0)) {
		if (size == 0)
			return dsm__fail(-EBADMSG, "truncated: the file is empty");
		if (all_zero(data, size))
			return dsm__fail(-EBADMSG, "torn: it begins with zeros; it never reached the disk");
		if (size < sizeof(header.magic) && memcmp(data, STATE_MAGIC, size) == 0)
			return dsm__fail(-EBADMSG, "truncated: %zu bytes", size);
		return dsm__fail(-EBADMSG, "foreign: it does not begin as a state file of dsm does");
	}
	if (size < sizeof(header))
		return dsm__fail(-EBADMSG, "truncated: %zu bytes, the header alone has %zu", size,
			sizeof(header));
	memcpy(&header, data, sizeof(header));
	if (header.version < STATE_VERSION_PLAIN || header.version > STATE_VERSION)
		return dsm__fail(-EPROTONOSUPPORT, "other version: it is of version %u, this program reads %u to %u",
			header.version, STATE_VERSION_PLAIN, STATE_VERSION);
	if (file_bytes < header.file_bytes)
		return dsm__fail(-EBADMSG, "truncated: %llu bytes of %llu", (unsigned long long)file_bytes,
			(unsigned long long)header.file_bytes);
	if (file_bytes > header.file_bytes)
		return dsm__fail(-EBADMSG, "torn: %llu bytes, its header says %llu",
			(unsigned long long)file_bytes, (unsigned long long)header.file_bytes);
	if (header.header_bytes != sizeof(header))
		return damaged(offsetof(struct state_header, header_bytes), "the header's size is wrong");
	if (header.region_bytes > STATE_TEXT_MAX || header.file_bytes % 8 != 0 ||
	    header.file_bytes < sizeof(header) + pad8((uint64_t)header.region_bytes + 1) + STATE_CHECK_BYTES)
		return damaged(offsetof(struct state_header, region_bytes), "the sizes do not fit together");
	return 0;
}

/* One text of `bytes` with its NUL behind. */
static bool text_ok(const unsigned char *text, uint32_t bytes)
{
	return text[bytes] == '\0' && utf8_valid((const char *)text, bytes);
}

/* Checks the record at `at`, of which `left` > 0 bytes (a multiple of 8) are there. */
static int check_cell(const unsigned char *data, uint64_t at, uint64_t left,
	struct state_cell_record *record)
{
	if (left < sizeof(*record))
		return damaged(at, "a cell's record is cut");
	memcpy(record, data + at, sizeof(*record));
	if (record->type < DSM_BOOL || record->type > DSM_F64_ARRAY)
		return damaged(at + offsetof(struct state_cell_record, type), "no type has this number");
	if (record->quality > DSM_SIMULATED)
		return damaged(at + offsetof(struct state_cell_record, quality), "no quality has this number");
	if (record->type <= DSM_F64 && record->len != 1)
		return damaged(at + offsetof(struct state_cell_record, len), "a single value has length 1");
	if (record->name_bytes == 0 || record->name_bytes > DSM_NAME_MAX || record->unit_bytes > STATE_TEXT_MAX)
		return damaged(at + offsetof(struct state_cell_record, name_bytes), "name or unit is too long");
	uint64_t texts = pad8((uint64_t)record->name_bytes + 1 + record->unit_bytes + 1);
	uint64_t need = sizeof(*record) + texts + pad8(value_bytes(record->type, record->len));
	if (record->bytes != need || need > left)
		return damaged(at + offsetof(struct state_cell_record, bytes), "the record's size does not fit its content");
	const unsigned char *name = data + at + sizeof(*record);
	if (!text_ok(name, record->name_bytes) || !text_ok(name + record->name_bytes + 1, record->unit_bytes))
		return damaged(at + sizeof(*record), "name or unit is not UTF-8 with a NUL behind");
	if (record->type == DSM_STRING && data[at + sizeof(*record) + texts + record->len] != '\0')
		return damaged(at + sizeof(*record) + texts + record->len, "a string ends with a NUL");
	return 0;
}

static void cell_of(const unsigned char *at, const struct state_cell_record *record,
	struct dsm_sample *out)
{
	const unsigned char *value = at + sizeof(*record) +
		pad8((uint64_t)record->name_bytes + 1 + record->unit_bytes + 1);
	*out = (struct dsm_sample){ .value = { .type = (enum dsm_type)record->type, .len = record->len },
		.changed_ns = record->changed_ns, .seq = record->seq, .epoch = record->epoch,
		.quality = record->quality };
	if (record->type > DSM_F64) {
		out->value.bytes = value;
		return;
	}
	uint64_t word;
	memcpy(&word, value, sizeof(word));
	if (record->type == DSM_BOOL)
		out->value.b = word != 0;
	else
		out->value.u64 = word;
}

struct walk {
	int (*cell)(const char *name, const char *unit, const struct dsm_sample *sample, void *context);
	int (*client)(const struct state_client *client, void *context);
	int (*device)(const struct state_device *device, void *context);
	void *context;
	uint64_t cells, clients, devices;
};

static int walk_client(const unsigned char *data, uint64_t at, uint64_t left, struct walk *walk,
	uint64_t *bytes)
{
	struct state_client_record record;
	if (left < sizeof(record))
		return damaged(at, "a client's record is cut");
	memcpy(&record, data + at, sizeof(record));
	if (record.bytes != sizeof(record))
		return damaged(at + offsetof(struct state_client_record, bytes), "a client's record has another size");
	*bytes = record.bytes;
	walk->clients++;
	if (!walk->client)
		return 0;
	struct state_client client = { .last_number = record.last_number, .in_flight = record.in_flight };
	memcpy(client.id, record.id, sizeof(client.id));
	return walk->client(&client, walk->context);
}

static int walk_device(const unsigned char *data, uint64_t at, uint64_t left, struct walk *walk,
	uint64_t *bytes)
{
	struct state_device_record record;
	if (left < sizeof(record))
		return damaged(at, "a device's record is cut");
	memcpy(&record, data + at, sizeof(record));
	if (record.bytes != sizeof(record) || record.limit < record.seq)
		return damaged(at + offsetof(struct state_device_record, bytes), "a device's record does not fit together");
	*bytes = record.bytes;
	walk->devices++;
	if (!walk->device)
		return 0;
	struct state_device device = { record.device, record.epoch, record.seq, record.limit };
	return walk->device(&device, walk->context);
}

/* Checks one record and calls for it; *bytes = its size. */
static int walk_record(const unsigned char *data, uint64_t at, uint64_t left, struct walk *walk,
	uint64_t *bytes)
{
	uint32_t kind;
	memcpy(&kind, data + at, sizeof(kind));
	if (kind == STATE_CELL) {
		struct state_cell_record record;
		int rc = check_cell(data, at, left, &record);
		if (rc)
			return rc;
		*bytes = record.bytes;
		walk->cells++;
		if (!walk->cell)
			return 0;
		struct dsm_sample sample;
		cell_of(data + at, &record, &sample);
		const char *name = (const char *)data + at + sizeof(record);
		return walk->cell(name, name + record.name_bytes + 1, &sample, walk->context);
	}
	if (kind == STATE_CLIENT)
		return walk_client(data, at, left, walk, bytes);
	if (kind == STATE_DEVICE)
		return walk_device(data, at, left, walk, bytes);
	return damaged(at, "no record is of this kind");
}

static int walk_records(const unsigned char *data, const struct state_header *header, struct walk *walk)
{
	uint64_t at = sizeof(*header) + pad8((uint64_t)header->region_bytes + 1);
	uint64_t end = header->file_bytes - STATE_CHECK_BYTES;
	while (at < end) {
		uint64_t bytes = 0;
		int rc = walk_record(data, at, end - at, walk, &bytes);
		if (rc)
			return rc;
		at += bytes;
	}
	if (walk->cells != header->cells || walk->clients != header->clients ||
	    walk->devices != (header->version == STATE_VERSION_PLAIN ? 0 : header->devices))
		return damaged(offsetof(struct state_header, cells), "the counts are not those of the records");
	return 0;
}

/* Twice over the records: nothing of a damaged image reaches a caller. */
static int walk_image(const void *data, size_t size, struct walk *walk)
{
	struct state_header header;
	struct walk check = { 0 };
	if (!data || (uintptr_t)data % 8 != 0)
		return dsm__fail(-EINVAL, "state: the image must lie on a multiple of 8 bytes");
	int rc = state_verify_header(data, size, size);
	if (rc)
		return rc;
	uint64_t stored;
	memcpy(&stored, (const unsigned char *)data + size - STATE_CHECK_BYTES, sizeof(stored));
	if (stored != XXH3_64bits(data, size - STATE_CHECK_BYTES))
		return dsm__fail(-EBADMSG, "bit-flipped or torn: the check word at byte %zu does not fit the %zu before it",
			size - STATE_CHECK_BYTES, size - STATE_CHECK_BYTES);
	memcpy(&header, data, sizeof(header));
	if (!text_ok((const unsigned char *)data + sizeof(header), header.region_bytes))
		return damaged(sizeof(header), "the region's name is not UTF-8 with a NUL behind");
	rc = walk_records(data, &header, &check);
	if (rc || (!walk->cell && !walk->client && !walk->device))
		return rc;
	return walk_records(data, &header, walk);
}

int state_walk(const void *data, size_t size,
	int (*cell)(const char *name, const char *unit, const struct dsm_sample *sample, void *context),
	int (*client)(const struct state_client *client, void *context), void *context)
{
	struct walk walk = { .cell = cell, .client = client, .context = context };
	return walk_image(data, size, &walk);
}

int state_walk_devices(const void *data, size_t size,
	int (*device)(const struct state_device *device, void *context), void *context)
{
	struct walk walk = { .device = device, .context = context };
	return walk_image(data, size, &walk);
}
