/* SPDX-License-Identifier: Apache-2.0 */
/* Byte layout of a state file, shared by state.c, state_file.c and their tests. Little-endian;
 * every record a multiple of 8 bytes. Tables with the reasons: docs/state-file.md. */
#ifndef DSM_LIB_ENGINE_STATE_FORMAT_H
#define DSM_LIB_ENGINE_STATE_FORMAT_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "state files are little-endian; this needs byte swapping on this machine"
#endif

#define STATE_MAGIC "DSMSTATE"         /* 8 bytes, no NUL */
#define STATE_VERSION 2u               /* with device records; without any it is written as 1 */
#define STATE_VERSION_PLAIN 1u
#define STATE_TEXT_MAX 4095u           /* bytes of a unit or of the region's name */
#define STATE_FILE_MAX ((uint64_t)4 << 30)
#define STATE_CHECK_BYTES 8u           /* XXH3-64, seed 0, over all that is before it */

enum state_kind { STATE_CELL = 1, STATE_CLIENT = 2, STATE_DEVICE = 3 };

struct state_header {
	char magic[8];
	uint32_t version, header_bytes;
	uint64_t file_bytes;           /* all of it, the check word included */
	uint64_t generation;
	int64_t time_ns;
	uint64_t cells, clients;
	uint32_t region_bytes;         /* the name follows, with a NUL, padded to 8 */
	uint32_t devices;              /* 0 in version 1 */
};
static_assert(sizeof(struct state_header) == 64, "state header");
static_assert(offsetof(struct state_header, file_bytes) == 16, "state header");
static_assert(offsetof(struct state_header, cells) == 40, "state header");
static_assert(offsetof(struct state_header, region_bytes) == 56, "state header");

/* Behind it: name NUL unit NUL, padded to 8; then the value, padded to 8. */
struct state_cell_record {
	uint32_t kind;
	uint8_t type, quality;
	uint16_t zero;
	uint64_t bytes;                /* of the whole record */
	int64_t changed_ns;
	uint64_t seq;
	uint32_t epoch, len;
	uint32_t name_bytes, unit_bytes;
};
static_assert(sizeof(struct state_cell_record) == 48, "cell record");
static_assert(offsetof(struct state_cell_record, bytes) == 8, "cell record");
static_assert(offsetof(struct state_cell_record, epoch) == 32, "cell record");
static_assert(offsetof(struct state_cell_record, name_bytes) == 40, "cell record");

struct state_client_record {
	uint32_t kind, zero;
	uint64_t bytes;
	unsigned char id[16];
	uint64_t last_number, in_flight;
};
static_assert(sizeof(struct state_client_record) == 48, "client record");
static_assert(offsetof(struct state_client_record, id) == 16, "client record");

struct state_device_record {
	uint32_t kind, device;
	uint64_t bytes;
	uint32_t epoch, seq;           /* highest accepted */
	uint32_t limit;                /* nothing up to it is accepted after a restart; at least seq */
	uint32_t zero;
};
static_assert(sizeof(struct state_device_record) == 32, "device record");
static_assert(offsetof(struct state_device_record, epoch) == 16, "device record");
static_assert(offsetof(struct state_device_record, limit) == 24, "device record");

/* Header only, as far as it can be judged without the rest: `data` holds the first `size` of
 * file_bytes bytes. -EBADMSG, -EPROTONOSUPPORT; the text begins with the kind of damage. */
int state_verify_header(const void *data, size_t size, uint64_t file_bytes);
/* Writes the check word of an image of `size` bytes, at least STATE_CHECK_BYTES. */
void state_seal(unsigned char *data, size_t size);

#endif
