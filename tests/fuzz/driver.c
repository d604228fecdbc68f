/* SPDX-License-Identifier: Apache-2.0 */
/* Replays files, and all files of folders, through a fuzzer that was built without libFuzzer.
 * Prints how many; a crash or a sanitizer's report is the failure. */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned long replayed;

static int replay_file(const char *path)
{
	FILE *file = fopen(path, "rb");
	uint8_t *data = NULL;
	size_t size = 0, room = 0, n;
	if (!file) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return 1;
	}
	do {
		if (size == room) {
			room = room ? 2 * room : 4096;
			uint8_t *more = realloc(data, room);
			if (!more) {
				fprintf(stderr, "%s: no memory\n", path);
				free(data);
				fclose(file);
				return 1;
			}
			data = more;
		}
		n = fread(data + size, 1, room - size, file);
		size += n;
	} while (n > 0);
	fclose(file);
	/* a copy of exactly this size, so that a read beyond the end is seen */
	uint8_t *exact = malloc(size ? size : 1);
	if (exact) {
		memcpy(exact, data, size);
		LLVMFuzzerTestOneInput(exact, size);
		replayed++;
	}
	free(exact);
	free(data);
	return exact ? 0 : 1;
}

static int replay(const char *path)
{
	struct stat st;
	if (stat(path, &st) == 0 && !S_ISDIR(st.st_mode))
		return replay_file(path);
	DIR *folder = opendir(path);
	int failures = 0;
	if (!folder) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return 1;
	}
	for (struct dirent *entry; (entry = readdir(folder));) {
		char inner[4096];
		if (entry->d_name[0] == '.')
			continue;
		int n = snprintf(inner, sizeof(inner), "%s/%s", path, entry->d_name);
		failures += n < 0 || (size_t)n >= sizeof(inner) || replay(inner);
	}
	closedir(folder);
	return failures;
}

int main(int argc, char **argv)
{
	int failures = 0;
	for (int i = 1; i < argc; i++)
		failures += replay(argv[i]);
	printf("%lu inputs replayed, %d failed\n", replayed, failures);
	return failures || replayed == 0;
}
