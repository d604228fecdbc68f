/* SPDX-License-Identifier: Apache-2.0 */
#include "peers/perftest.h"

#include <math.h>
#include <string.h>

/*
 *  #bytes     #iterations    BW peak[MB/sec]    BW average[MB/sec]   MsgRate[Mpps]
 *  264        4000             10.11              9.87               0.039201
 */
double perftest_rate(FILE *from)
{
	char line[512];
	bool inside = false;
	while (fgets(line, sizeof(line), from)) {
		double average, rate;
		if (strstr(line, "#bytes"))
			inside = strstr(line, "MsgRate[Mpps]") != NULL;
		else if (inside && sscanf(line, "%*u %*u %*f %lf %lf", &average, &rate) == 2)
			return isfinite(rate) && rate > 0 ? rate * 1e6 : 0;
	}
	return 0;
}

/*
 *  #, usec
 *  1, 36.12
 *  2, 35.80
 * then the same sorted, or the summary. The numbers of the first block count up from 1.
 */
size_t perftest_samples(FILE *from, double *out, size_t room)
{
	char line[512];
	size_t n = 0;
	bool inside = false;
	while (n < room && fgets(line, sizeof(line), from)) {
		unsigned long number;
		double us;
		int end = 0;
		if (line[0] == '#' && line[1] == ',') {
			if (inside)
				break; /* the sorted ones */
			inside = strstr(line, "usec") != NULL;
			continue;
		}
		if (!inside)
			continue;
		if (sscanf(line, "%lu, %lf%n", &number, &us, &end) != 2 || number != n + 1 || us <= 0)
			break;
		if (!isfinite(us)) /* it could not tell the frequency of its clock: nothing it says counts */
			return 0;
		out[n++] = us * 1000;
	}
	return n;
}
