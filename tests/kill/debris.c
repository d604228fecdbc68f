/* SPDX-License-Identifier: Apache-2.0 */
/* What a process holds, seen from outside. */
#include "rig.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

static long count_entries(const char *path)
{
	long n = 0;
	DIR *folder = opendir(path);
	while (folder && readdir(folder))
		n++;
	if (folder)
		closedir(folder);
	return n;
}

struct debris debris_of(pid_t pid)
{
	struct debris d = { 0 };
	char path[64], line[512];
	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	d.fds = count_entries(path);
	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	FILE *f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		d.memory_maps += strstr(line, "memfd:dsm") != NULL;
	if (f)
		fclose(f);
	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (strncmp(line, "VmRSS:", 6) == 0)
			sscanf(line + 6, "%ld", &d.resident_kb);
	if (f)
		fclose(f);
	return d;
}

uint64_t debris_folder(const char *path, unsigned *entries)
{
	uint64_t sum = 0;
	struct dirent *e;
	DIR *folder = opendir(path);
	*entries = 0;
	while (folder && (e = readdir(folder)) != NULL) {
		uint64_t hash = UINT64_C(14695981039346656037);
		if (e->d_name[0] == '.')
			continue;
		for (const char *c = e->d_name; *c; c++)
			hash = (hash ^ (unsigned char)*c) * UINT64_C(1099511628211);
		sum += hash;
		++*entries;
	}
	if (folder)
		closedir(folder);
	return sum;
}
