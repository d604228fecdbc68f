/* SPDX-License-Identifier: Apache-2.0 */
/* Verb keygen: new keys as a key file on standard output. Asks no engine. */
#include "cli.h"

#include <string.h>
#include <time.h>

#define LABEL_MAX 32    /* as the engine takes it */
#define NAME_MAX_SHOWN 15

static const struct { const char *word; size_t n; uint32_t bytes; } roles[] = {
	{ "read", 0, 32 }, { "request", 0, 32 }, { "owner:", 6, 32 }, { "device:", 7, 16 },
};

/* Bytes of a key of this role, 0 if it is none. `n`: where its name begins. */
static uint32_t key_bytes(const char *role, size_t *n)
{
	for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++) {
		*n = roles[i].n;
		bool fits = *n ? strncmp(role, roles[i].word, *n) == 0 && role[*n] : !strcmp(role, roles[i].word);
		if (fits && !role[strcspn(role, " \t\n\r#;")])
			return roles[i].bytes;
	}
	return 0;
}

/* "operator-2026-11-21": so that one sees later which is the older. */
static void label(const char *role, size_t n, char out[LABEL_MAX + 1])
{
	time_t now = (time_t)(wall_ns() / 1000000000);
	struct tm day;
	char date[16];

	gmtime_r(&now, &day);
	strftime(date, sizeof date, "%Y-%m-%d", &day);
	snprintf(out, LABEL_MAX + 1, "%s%.*s-%.10s", n == 7 ? "device" : "", NAME_MAX_SHOWN, role + n, date);
}

enum status verb_keygen(struct cli *cli)
{
	char key[DSM_KEY_TEXT], name[LABEL_MAX + 1];
	size_t n;

	for (int i = 0; i < cli->n_args; i++)
		if (!key_bytes(cli->args[i], &n))
			return cli_usage(cli, "\"%s\" is no role: expected read, request, owner:NAME or device:NUMBER",
				cli->args[i]);
	printf("# Keys of dsm: ROLE LABEL KEY. Whoever can read this file has them: chmod 600.\n");
	for (int i = 0; i < cli->n_args; i++) {
		uint32_t bytes = key_bytes(cli->args[i], &n);
		int error = dsm_key_new(bytes, key, sizeof key);
		if (error)
			return cli_fail(cli, error);
		label(cli->args[i], n, name);
		printf("%-20s %-32s %s\n", cli->args[i], name, key);
	}
	return STATUS_OK;
}
