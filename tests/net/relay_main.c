/* SPDX-License-Identifier: Apache-2.0 */
/* The relay as a program: options, and lines on standard input that change it while it runs. */
#include "net/relay.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static volatile sig_atomic_t interrupted;

static void interrupt(int number)
{
	(void)number;
	interrupted = 1;
}

static void help(void)
{
	puts("Usage: relay --to ADDR:PORT [--listen ADDR:PORT] [--pcap FILE] [--control] [SETTING...]\n"
	     "\n"
	     "Relays UDP (IPv4) between clients and one server, and harms it on the way.\n"
	     "\n"
	     "  --to ADDR:PORT      the server\n"
	     "  --listen ADDR:PORT  for the clients; 127.0.0.1:0 by default; it is printed at start\n"
	     "  --pcap FILE         writes the first 20,000 that come, unharmed, for tshark or inject\n"
	     "  --control           takes lines from standard input, ends with it\n"
	     "\n"
	     "Settings; P is the share from 0 to 1 of datagrams that:");
	relay_settings_help(stdout);
	puts("\n"
	     "Lines of --control, each answered by one line (ok, error: ...):\n"
	     "  set NAME VALUE   a setting as above, without --      stats   what was done so far\n"
	     "  inject FILE      sends a capture's datagrams to the server again   flush   finishes the pcap file so far\n"
	     "\n"
	     "Example: relay --to 127.0.0.1:7461 --listen 127.0.0.1:9000 --loss 0.2 --jitter 5 --seed 7\n"
	     "Exit status: 0 ended by a signal or the end of its input, 1 could not open, 2 wrong usage.");
}

static int usage(const char *what, const char *which)
{
	fprintf(stderr, "relay: %s '%s'; relay --help has the options\n", what, which);
	return 2;
}

static bool parse_address(const char *text, struct sockaddr_in *out)
{
	char host[64];
	const char *colon = strrchr(text, ':');
	char *end;
	if (!colon || (size_t)(colon - text) >= sizeof(host))
		return false;
	memcpy(host, text, (size_t)(colon - text));
	host[colon - text] = 0;
	unsigned long port = strtoul(colon + 1, &end, 10);
	memset(out, 0, sizeof(*out));
	out->sin_family = AF_INET;
	out->sin_port = htons((uint16_t)port);
	return *end == 0 && end != colon + 1 && port <= 65535 && inet_pton(AF_INET, host, &out->sin_addr) == 1;
}

static void print_stats(const struct relay_counts *c)
{
	const struct { const char *name; uint64_t value; } counts[] = {
		{ "received", c->received }, { "forwarded", c->forwarded }, { "lost", c->lost },
		{ "duplicated", c->duplicated }, { "corrupted", c->corrupted }, { "truncated", c->truncated },
		{ "reordered", c->reordered }, { "oversize", c->oversize }, { "spoofed", c->spoofed },
		{ "replayed", c->replayed }, { "reflected", c->reflected }, { "rebinds", c->rebinds },
		{ "full", c->full }, { "unsent", c->unsent }, { "flooded", c->flooded },
		{ "flooded_bytes", c->flooded_bytes }, { "answers", c->answers },
		{ "answer_bytes", c->answer_bytes }, { "injected", c->injected }, { "flows", c->flows },
	};
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		printf("%s%s=%llu", i ? " " : "", counts[i].name, (unsigned long long)counts[i].value);
	putchar('\n');
}

static void obey(struct relay *relay, char *line)
{
	char *word = strtok(line, " "), *name = strtok(NULL, " "), *value = strtok(NULL, " ");
	int rc = -EINVAL;
	if (word && strcmp(word, "stats") == 0) {
		print_stats(relay_counts(relay));
		return;
	}
	if (word && name && value && strcmp(word, "set") == 0)
		rc = relay_set(relay_settings(relay), name, value);
	else if (word && name && strcmp(word, "inject") == 0)
		rc = relay_inject(relay, name);
	else if (word && strcmp(word, "flush") == 0)
		rc = relay_flush(relay);
	if (rc < 0)
		printf("error: %s: %s\n", word ? word : "an empty line", strerror(-rc));
	else
		printf("ok %d\n", rc);
}

/* False: the input has ended. */
static bool take_lines(struct relay *relay)
{
	static char line[512];
	static size_t n;
	ssize_t got = read(STDIN_FILENO, line + n, sizeof(line) - 1 - n);
	if (got <= 0)
		return got < 0 && (errno == EINTR || errno == EAGAIN);
	n += (size_t)got;
	for (char *end; (end = memchr(line, '\n', n));) {
		size_t used = (size_t)(end - line) + 1;
		*end = 0;
		obey(relay, line);
		n -= used;
		memmove(line, line + used, n);
	}
	fflush(stdout);
	return n < sizeof(line) - 1; /* a line that long is nonsense */
}

static int parse(int argc, char **argv, struct relay_options *out, bool *control)
{
	bool to = false;
	parse_address("127.0.0.1:0", &out->listen);
	for (int i = 1; i < argc; i++) {
		const char *value = i + 1 < argc ? argv[i + 1] : NULL;
		int rc = -EINVAL;
		if (strcmp(argv[i], "--control") == 0) {
			*control = true;
			continue;
		}
		if (strncmp(argv[i], "--", 2) != 0 || !value)
			return usage("an option without its value, or no option:", argv[i]);
		if (strcmp(argv[i], "--to") == 0)
			rc = (to = parse_address(value, &out->to)) ? 0 : -EINVAL;
		else if (strcmp(argv[i], "--listen") == 0)
			rc = parse_address(value, &out->listen) ? 0 : -EINVAL;
		else if (strcmp(argv[i], "--pcap") == 0)
			rc = (out->pcap = value) ? 0 : -EINVAL;
		else
			rc = relay_set(&out->settings, argv[i] + 2, value);
		if (rc)
			return usage(rc == -ERANGE ? "out of range:" : "no such option, or a wrong value:", argv[i]);
		i++;
	}
	return to ? 0 : usage("the server is missing:", "--to");
}

int main(int argc, char **argv)
{
	struct relay_options options = { 0 };
	struct sigaction action = { .sa_handler = interrupt };
	struct relay *relay = NULL;
	bool control = false;
	char text[INET_ADDRSTRLEN];
	if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
		help();
		return 0;
	}
	int rc = parse(argc, argv, &options, &control);
	if (rc)
		return rc;
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	rc = relay_open(&options, &relay);
	if (rc) {
		fprintf(stderr, "relay: cannot open: %s\n", strerror(-rc));
		return 1;
	}
	struct sockaddr_in here = relay_address(relay);
	printf("listening %s:%u\n", inet_ntop(AF_INET, &here.sin_addr, text, sizeof(text)), ntohs(here.sin_port));
	fflush(stdout);
	while (!interrupted)
		if (relay_step(relay, control ? STDIN_FILENO : -1, 1000) && !take_lines(relay))
			break;
	if (!control)
		print_stats(relay_counts(relay));
	relay_close(&relay);
	return 0;
}
