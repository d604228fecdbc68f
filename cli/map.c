/* SPDX-License-Identifier: Apache-2.0 */
/* Open addressing, linear probing, at most half full. */
#include "map.h"

#include <errno.h>
#include <stdlib.h>

static size_t slot_of(const struct map *map, uint64_t key)
{
	uint64_t mixed = (key ^ key >> 32) * UINT64_C(0x9e3779b97f4a7c15);
	size_t slot = (size_t)(mixed >> 20) & (map->size - 1);

	while (map->values[slot] && map->keys[slot] != key)
		slot = (slot + 1) & (map->size - 1);
	return slot;
}

static int grow(struct map *map)
{
	struct map larger = { .size = map->size ? map->size * 2 : 64, .used = map->used };

	larger.keys = calloc(larger.size, sizeof *larger.keys);
	larger.values = calloc(larger.size, sizeof *larger.values);
	if (!larger.keys || !larger.values) {
		map_free(&larger);
		return -ENOMEM;
	}
	for (size_t i = 0; i < map->size; i++) {
		if (!map->values[i])
			continue;
		size_t slot = slot_of(&larger, map->keys[i]);
		larger.keys[slot] = map->keys[i];
		larger.values[slot] = map->values[i];
	}
	map_free(map);
	*map = larger;
	return 0;
}

int map_intern(struct map *map, uint64_t key, uint32_t fresh, uint32_t *value, bool *added)
{
	if (map->used * 2 >= map->size && grow(map) != 0)
		return -ENOMEM;
	size_t slot = slot_of(map, key);
	*added = map->values[slot] == 0;
	if (*added) {
		map->keys[slot] = key;
		map->values[slot] = fresh + 1;
		map->used++;
	}
	*value = map->values[slot] - 1;
	return 0;
}

void map_free(struct map *map)
{
	free(map->keys);
	free(map->values);
	*map = (struct map){ 0 };
}
