/* SPDX-License-Identifier: Apache-2.0 */
/* Attach to an engine that runs and read one cell: a whole first program.
 * Run: writer rig 100 & attach_read rig pump.pressure */
#include <dsm/dsm.h>
#include <stdio.h>

int main(int argc, char **argv)
{
	struct dsm *dsm = NULL;
	struct dsm_cell cell;
	struct dsm_sample sample;
	char text[256];

	if (argc != 3) {
		fprintf(stderr, "Usage: %s URI GROUP.CELL\n", argv[0]);
		return 2;
	}
	if (dsm_attach(argv[1], NULL, &dsm) < 0 || dsm_cell(dsm, argv[2], &cell) < 0 ||
	    dsm_read(dsm, cell, &sample) < 0) {
		fprintf(stderr, "%s\n", dsm_error());
		dsm_detach(&dsm);
		return 1;
	}
	dsm_value_format(&sample.value, -1, text, sizeof text);
	printf("%s = %s (%s)\n", argv[2], text, dsm_quality_name(sample.quality));
	dsm_detach(&dsm);
	return 0;
}
