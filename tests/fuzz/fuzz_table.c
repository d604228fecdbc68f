/* SPDX-License-Identifier: Apache-2.0 */
/* The table file: any text loads or is refused with a text that begins with its name. */
#include <stdlib.h>
#include <string.h>

#include "engine/table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_cell(const struct dsm_table *table, const struct table_cell *cell)
{
	if (table_find_cell(table, table_text(table, cell->name)) != (uint32_t)(cell - table->cells))
		abort();
	if (cell->offset >= table->groups[cell->group].payload_bytes)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dsm_table *table = NULL;
	if (size > 1 << 16)
		return 0;
	if (table_load_memory("f.yaml", data, size, &table)) {
		if (table || strncmp(dsm_error(), "f.yaml:", 7) != 0)
			abort();
		return 0;
	}
	if (table_finish(table))
		abort();
	for (uint32_t i = 0; i < table->cell_count && i < 1000; i++)
		check_cell(table, &table->cells[i]);
	dsm_table_free(&table);
	return 0;
}
