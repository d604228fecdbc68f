/* SPDX-License-Identifier: Apache-2.0 */
#include "common/wire.h"

#include <glob.h>
#include <stdio.h>
#include <string.h>

/* Sum over all devices. */
static long long counter(const char *name)
{
	char pattern[128];
	glob_t found;
	long long sum = 0, n;
	snprintf(pattern, sizeof(pattern), "/sys/class/infiniband/*/ports/*/hw_counters/%s", name);
	if (glob(pattern, 0, NULL, &found))
		return 0;
	for (size_t i = 0; i < found.gl_pathc; i++) {
		FILE *file = fopen(found.gl_pathv[i], "r");
		if (file && fscanf(file, "%lld", &n) == 1)
			sum += n;
		if (file)
			fclose(file);
	}
	globfree(&found);
	return sum;
}

static long long dropped(void)
{
	char line[256];
	long long sum = 0, n;
	FILE *said = popen("tc -s qdisc show", "r");
	while (said && fgets(line, sizeof(line), said)) {
		const char *at = strstr(line, "(dropped ");
		if (at && sscanf(at, "(dropped %lld", &n) == 1)
			sum += n;
	}
	if (said)
		pclose(said);
	return sum;
}

/* The second line of /proc/net/snmp that begins with "Ip:" has the numbers, OutRequests is the tenth. */
static long long made(void)
{
	char line[1024];
	long long n = 0;
	FILE *file = fopen("/proc/net/snmp", "r");
	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "Ip: %*d %*d %*d %*d %*d %*d %*d %*d %*d %lld", &n) == 1)
			break;
	if (file)
		fclose(file);
	return n;
}

static long long left(void)
{
	long long n = 0;
	FILE *file = fopen("/sys/class/net/eth0/statistics/tx_packets", "r");
	if (file && fscanf(file, "%lld", &n) != 1)
		n = 0;
	if (file)
		fclose(file);
	return n;
}

void wire_count(struct wire *out)
{
	*out = (struct wire){ .dropped = dropped(), .again = counter("duplicate_request"),
		.early = counter("out_of_seq_request"), .made = made(), .left = left() };
}
