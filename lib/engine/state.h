/* SPDX-License-Identifier: Apache-2.0 */
/* The state file: values of cells by name and the last request number of each client, in one
 * image with a check over all of it. Knows nothing of regions and threads: who calls fills
 * the image, and stores it off the writers' path. Also carries values over a reload. */
#ifndef DSM_LIB_ENGINE_STATE_H
#define DSM_LIB_ENGINE_STATE_H

#include <dsm/dsm.h>

struct state_image {
	unsigned char *data;
	size_t size, room;
	int error;                  /* first failure (-ENOMEM); later puts do nothing */
};

struct state_client {
	unsigned char id[16];
	uint64_t last_number;       /* highest request executed */
	uint64_t in_flight;         /* lowest request forwarded and not yet answered; 0 = none */
};

/* An ADC board: highest (epoch, seq) accepted, and with the margin for what may have been accepted since. */
struct state_device { uint32_t device, epoch, seq, limit; };

void state_begin(struct state_image *image, const char *region, uint64_t generation,
	int64_t time_ns);
void state_put_cell(struct state_image *image, const char *name, const char *unit,
	const struct dsm_sample *sample);
void state_put_client(struct state_image *image, const struct state_client *client);
void state_put_device(struct state_image *image, const struct state_device *device);
/* Writes counts and the check. Returns image->error. */
int state_finish(struct state_image *image);
void state_free(struct state_image *image);

/* Calls for every cell and client of a finished (or loaded) image; a non-zero return ends the
 * walk and is returned. Either function may be NULL. Pointers are valid during the call.
 * -EBADMSG: damaged; text says at which byte and what was expected. */
int state_walk(const void *data, size_t size,
	int (*cell)(const char *name, const char *unit, const struct dsm_sample *sample, void *context),
	int (*client)(const struct state_client *client, void *context), void *context);

/* The same for devices. */
int state_walk_devices(const void *data, size_t size,
	int (*device)(const struct state_device *device, void *context), void *context);

/* PATH.new: write, fsync; PATH → PATH.prev; PATH.new → PATH; fsync of the folder. On failure
 * the old file stays and PATH.new is removed (-ENOSPC, -EACCES …). */
int state_store(const char *path, const struct state_image *image);
/* Loads PATH, else a whole PATH.new, else PATH.prev; verified. `used` (may be NULL) gets the path taken; `report`
 * gets one line for each file refused and why ("" if none). -ENOENT neither exists;
 * -EBADMSG both are damaged; -EPROTONOSUPPORT another version; -EFBIG over 4 GiB. */
int state_load(const char *path, struct state_image *image, char *used, size_t used_size,
	char *report, size_t report_size);

#endif
