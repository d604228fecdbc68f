/* SPDX-License-Identifier: Apache-2.0 */
/* Images, folders and files for the tests of the state file. */
#ifndef DSM_TESTS_STATE_FIXTURE_H
#define DSM_TESTS_STATE_FIXTURE_H

#include "engine/state.h"

/* One cell of every type and quality, NaN with a payload, empty and full texts, two clients.
 * `mark` is the value of cell "mark.n". The same bytes every time. */
void fixture_image(struct state_image *image, uint64_t mark);

/* The value of "mark.n" in an image; UINT64_MAX if it does not walk. */
uint64_t fixture_mark(const struct state_image *image);

/* A new empty folder; the name is the caller's until the next call. fixture_remove() removes
 * it with all that is in it. */
const char *fixture_folder(void);
void fixture_remove(const char *folder);

/* Whole file; *bytes its size. NULL if there is none. Free it. */
unsigned char *fixture_read(const char *path, size_t *bytes);
/* 0 or -1. */
int fixture_write(const char *path, const void *data, size_t bytes);

#endif
