/* SPDX-License-Identifier: Apache-2.0 */
#include "net/relays.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PLAIN_SHARED
#include "../stress/plain.h"

#define ANSWER_MS 10000

/* One line, without its end. */
static bool listen_to(struct relays *relays)
{
	size_t n = 0;
	uint64_t until = plain_ms() + ANSWER_MS;
	while (n + 1 < sizeof(relays->answer) && plain_ms() < until) {
		struct pollfd ready = { relays->out, POLLIN, 0 };
		if (poll(&ready, 1, 100) <= 0)
			continue;
		if (read(relays->out, relays->answer + n, 1) != 1)
			break;
		if (relays->answer[n] == '\n') {
			relays->answer[n] = 0;
			return true;
		}
		n++;
	}
	relays->answer[n] = 0;
	return check(false, "the relay does not answer: '%s'", relays->answer);
}

static bool say(struct relays *relays, const char *line)
{
	size_t n = strlen(line);
	if (write(relays->in, line, n) != (ssize_t)n)
		return check(false, "the relay is gone");
	return listen_to(relays);
}

static bool obeyed(struct relays *relays, const char *line)
{
	return say(relays, line) && (strncmp(relays->answer, "ok", 2) == 0 ||
		check(false, "relay: %s: %s", line, relays->answer));
}

bool relays_meet(struct relays *relays, int in, int out)
{
	relays->in = in;
	relays->out = out;
	return listen_to(relays) && (sscanf(relays->answer, "listening %63s", relays->address) == 1 ||
		check(false, "relay: %s", relays->answer));
}

bool relays_start(struct relays *relays, const char *listen, const char *to, const char *pcap)
{
	int in[2], out[2];
	if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC))
		return check(false, "no pipes");
	relays->pid = fork();
	if (relays->pid == 0) {
		dup2(in[0], STDIN_FILENO);
		dup2(out[1], STDOUT_FILENO);
		execl(relays->program, "relay", "--control", "--listen", listen, "--to", to, pcap ? "--pcap" : NULL,
			pcap, NULL);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	return relays->pid > 0 ? relays_meet(relays, in[1], out[0]) : check(false, "no process for the relay");
}

bool relays_set(struct relays *relays, const char *settings)
{
	static const char *const names[] = { "loss", "duplicate", "corrupt", "truncate", "reorder", "spoof",
		"replay", "reflect", "delay", "jitter", "mtu", "rebind", "flood", "only" };
	char words[256], line[300], *save = NULL;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(line, sizeof(line), "set %s 0\n", names[i]);
		if (!obeyed(relays, line))
			return false;
	}
	snprintf(words, sizeof(words), "%s", settings);
	for (char *name = strtok_r(words, " ", &save); name; name = strtok_r(NULL, " ", &save)) {
		const char *value = strtok_r(NULL, " ", &save);
		snprintf(line, sizeof(line), "set %s %s\n", name, value ? value : "");
		if (!obeyed(relays, line))
			return false;
	}
	return true;
}

struct relay_stats relays_stats(struct relays *relays)
{
	struct relay_stats s = { 0 };
	const struct { const char *name; uint64_t *value; } fields[] = {
		{ "received", &s.received }, { "forwarded", &s.forwarded }, { "lost", &s.lost },
		{ "duplicated", &s.duplicated }, { "corrupted", &s.corrupted }, { "truncated", &s.truncated },
		{ "reordered", &s.reordered }, { "oversize", &s.oversize }, { "spoofed", &s.spoofed },
		{ "replayed", &s.replayed }, { "reflected", &s.reflected }, { "rebinds", &s.rebinds },
		{ "full", &s.full }, { "unsent", &s.unsent }, { "flooded", &s.flooded },
		{ "flooded_bytes", &s.flooded_bytes }, { "answers", &s.answers },
		{ "answer_bytes", &s.answer_bytes }, { "injected", &s.injected }, { "flows", &s.flows },
	};
	char *save = NULL;
	if (!say(relays, "stats\n"))
		return s;
	for (char *word = strtok_r(relays->answer, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		char *value = strchr(word, '=');
		for (size_t i = 0; value && i < sizeof(fields) / sizeof(fields[0]); i++)
			if (strncmp(word, fields[i].name, (size_t)(value - word)) == 0 &&
			    fields[i].name[value - word] == 0)
				*fields[i].value = strtoull(value + 1, NULL, 10);
	}
	return s;
}

int relays_inject(struct relays *relays, const char *path)
{
	char line[400];
	int n = -1;
	snprintf(line, sizeof(line), "inject %s\n", path);
	if (!obeyed(relays, line) || sscanf(relays->answer, "ok %d", &n) != 1)
		return -1;
	return n;
}

bool relays_flush(struct relays *relays)
{
	return obeyed(relays, "flush\n");
}

void relays_stop(struct relays *relays)
{
	int status = -1;
	close(relays->in); /* which ends it */
	if (relays->pid > 0)
		check(waitpid(relays->pid, &status, 0) == relays->pid && WIFEXITED(status) && WEXITSTATUS(status) == 0,
			"the relay ended with status %d", status);
	close(relays->out);
}
