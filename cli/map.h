/* SPDX-License-Identifier: Apache-2.0 */
/* Hash map from an id to a small number, so that a million names select in linear time. */
#ifndef CLI_MAP_H
#define CLI_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct map {
	uint64_t *keys;
	uint32_t *values;   /**< value + 1; 0 = free */
	size_t size, used;  /**< size: 0 or a power of two */
};

/** The value of `key`: the one it has, else `fresh`, which is then stored and *added set.
 *  -ENOMEM */
int map_intern(struct map *map, uint64_t key, uint32_t fresh, uint32_t *value, bool *added);
void map_free(struct map *map);

#endif
