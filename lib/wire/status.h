/* SPDX-License-Identifier: Apache-2.0 */
/* A status on a wire is a negative errno with Linux's numbers. Other systems have other numbers for the
 * same errors; there each is translated, and one that the table does not have is EIO. */
#ifndef DSM_LIB_WIRE_STATUS_H
#define DSM_LIB_WIRE_STATUS_H

#include <stdint.h>

/* By the table, on any system; 0 stays 0. */
int32_t status_translated(int error, int to_wire);

static inline uint32_t status_to_wire(int error)
{
#ifdef __linux__
	return (uint32_t)error;
#else
	return (uint32_t)status_translated(error, 1);
#endif
}

/* The sign is checked by the caller: before, since what is not negative stays as it is. */
static inline int32_t status_from_wire(uint32_t status)
{
#ifdef __linux__
	return (int32_t)status;
#else
	return status_translated((int32_t)status, 0);
#endif
}

#endif
