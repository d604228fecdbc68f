/* SPDX-License-Identifier: Apache-2.0 */
/* The relay's settings by name: for its options and for the lines that change them while it runs. */
#include "net/relay.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static const struct setting {
	const char *name, *argument, *help;
	size_t offset;
	double max;
} settings[] = {
#define SETTING(field, name, argument, max, help) \
	{ name, argument, help, offsetof(struct relay_settings, field), max }
	SETTING(loss, "loss", "P", 1, "of 1: vanish"),
	SETTING(duplicate, "duplicate", "P", 1, "arrive twice, the second time up to 5 ms later"),
	SETTING(corrupt, "corrupt", "P", 1, "have one bit turned"),
	SETTING(truncate, "truncate", "P", 1, "lose their end"),
	SETTING(reorder, "reorder", "P", 1, "are held back for 1 to 10 ms, so that later ones overtake"),
	SETTING(spoof, "spoof", "P", 1, "are followed by a forged one from the same address"),
	SETTING(replay, "replay", "P", 1, "are followed by an older one, of any flow, from the same address"),
	SETTING(reflect, "reflect", "P", 1, "go back to their sender too"),
	SETTING(delay_ms, "delay", "MS", 10000, "later"),
	SETTING(jitter_ms, "jitter", "MS", 10000, "and up to this much more, each its own"),
	SETTING(mtu, "mtu", "BYTES", 65507, "longer payloads vanish (0: none)"),
	SETTING(rebind, "rebind", "N", 1e9, "every N datagrams of a client the server sees a new source port"),
	SETTING(flood, "flood", "RATE", 1e6, "forged and captured datagrams a second to the server, from 16 ports"),
	SETTING(only, "only", "WAY", 2, "1: harm only what goes to the server, 2: only to clients, 0: both"),
	SETTING(seed, "seed", "N", 9e15, "of the random numbers"),
};
#define SETTINGS (sizeof(settings) / sizeof(settings[0]))

int relay_set(struct relay_settings *out, const char *name, const char *value)
{
	char *end;
	errno = 0;
	double number = strtod(value, &end);
	if (errno || end == value || *end)
		return -EINVAL;
	for (size_t i = 0; i < SETTINGS; i++) {
		if (strcmp(settings[i].name, name) != 0)
			continue;
		if (!(number >= 0 && number <= settings[i].max))
			return -ERANGE;
		memcpy((char *)out + settings[i].offset, &number, sizeof(number));
		return 0;
	}
	return -EINVAL;
}

void relay_settings_help(FILE *out)
{
	for (size_t i = 0; i < SETTINGS; i++)
		fprintf(out, "  --%-9s %-5s  %s\n", settings[i].name, settings[i].argument, settings[i].help);
}
