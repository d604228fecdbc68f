/* SPDX-License-Identifier: Apache-2.0 */
/* dsmd: an engine behind a table file. The command line. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dsmd.h"

static const char usage[] =
	"Usage: dsmd [OPTION]... TABLE.yaml\n"
	"       dsmd [OPTION]... --config FILE\n"
	"       dsmd --check TABLE.yaml | --check --config FILE\n";

static const char help[] =
	"Holds a cell table in shared memory and serves it. Runs in the foreground until\n"
	"SIGTERM or SIGINT. SIGHUP: reads the table file again, a new generation that keeps\n"
	"the values of cells with the same name and type. SIGUSR1: saves the state now.\n"
	"SIGUSR2: reads the key file again; who has a key that is still there notices nothing.\n"
	"\n"
	"  -c, --config FILE     settings from a file, see dsmd(8); options here go over it\n"
	"  -t, --table FILE      the table file, instead of the argument\n"
	"  -n, --name NAME       serve as shm://NAME (default: the table's region)\n"
	"  -s, --state FILE      keep the values in FILE: saved at the end and at SIGUSR1\n"
	"  -i, --interval S      with --state: save every S seconds as well\n"
	"  -r, --restore         with --state: start with the values of FILE\n"
	"  -l, --lock-memory     keep the table in main memory (mlock)\n"
	"  -R, --rdma ADDR[:PORT]  serve rdma:// too, at that address of an RDMA device or at * for\n"
	"                        all; port 7461 by default. Needs keys, or --auth none\n"
	"  -U, --udp ADDR[:PORT]  serve udp:// too, at that address of this machine or at * for every\n"
	"                        one; port 7461 by default. Needs keys, or --auth none\n"
	"  -a, --auth none|keys  none: say that whoever reaches the ports of rdma and udp may read and\n"
	"                        send requests; keys: who comes there shows one of the key file\n"
	"  -A, --adc ADDR[:PORT]  take datagrams of the table's ADC boards there, or at * for every\n"
	"                        address; UDP port 7462 by default. Needs keys\n"
	"  -K, --keys FILE       the key file, made by dsm keygen (default: $DSM_KEYS)\n"
	"  -k, --check           say what the table holds, or what is wrong with it, and end\n"
	"  -h, --help            this text\n"
	"  -V, --version         the version\n"
	"\n"
	"Exit status: 0 ended as asked, 1 refused (it says why), 2 wrong usage.\n"
	"\n"
	"Examples:\n"
	"  dsmd --check rig.yaml\n"
	"  dsmd rig.yaml\n"
	"  dsmd --name rig2 --state /var/lib/dsm/rig2.state --restore rig.yaml\n"
	"  dsmd --rdma '*' --keys rig.keys rig.yaml\n"
	"  dsmd --udp '*' --keys rig.keys rig.yaml\n"
	"  dsmd --config /etc/dsm/dsmd.yaml\n"
	"  kill -HUP $(pidof dsmd)     # after a change of the table file\n";

static const struct option options[] = {
	{ "config", required_argument, NULL, 'c' },
	{ "table", required_argument, NULL, 't' },
	{ "name", required_argument, NULL, 'n' },
	{ "state", required_argument, NULL, 's' },
	{ "interval", required_argument, NULL, 'i' },
	{ "restore", no_argument, NULL, 'r' },
	{ "lock-memory", no_argument, NULL, 'l' },
	{ "rdma", required_argument, NULL, 'R' },
	{ "udp", required_argument, NULL, 'U' },
	{ "auth", required_argument, NULL, 'a' },
	{ "adc", required_argument, NULL, 'A' },
	{ "keys", required_argument, NULL, 'K' },
	{ "check", no_argument, NULL, 'k' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ 0 },
};

struct arguments {
	const char *config, *table, *name, *state, *interval, *rdma, *udp, *auth, *adc, *keys;
	bool restore, lock_memory, check;
};

void settings_free(struct settings *s)
{
	free(s->table);
	free(s->name);
	free(s->readers);
	free(s->requesters);
	free(s->state_file);
	free(s->rdma);
	free(s->udp);
	free(s->adc);
	free(s->keys);
	*s = (struct settings){ 0 };
}

int settings_text(char **text, const char *value)
{
	char *copy = strdup(value);
	if (!copy) {
		log_line("no memory");
		return -ENOMEM;
	}
	free(*text);
	*text = copy;
	return 0;
}

static int wrong_usage(const char *what)
{
	fprintf(stderr, "dsmd: %s\n%sTry: dsmd --help\n", what, usage);
	return STATUS_USAGE;
}

/* -1 = go on, else the exit status. */
static int take_arguments(int argc, char **argv, struct arguments *a)
{
	for (int c; (c = getopt_long(argc, argv, "c:t:n:s:i:R:U:a:A:K:rlkhV", options, NULL)) != -1;) {
		switch (c) {
		case 'c': a->config = optarg; break;
		case 't': a->table = optarg; break;
		case 'n': a->name = optarg; break;
		case 's': a->state = optarg; break;
		case 'i': a->interval = optarg; break;
		case 'r': a->restore = true; break;
		case 'l': a->lock_memory = true; break;
		case 'R': a->rdma = optarg; break;
		case 'U': a->udp = optarg; break;
		case 'a': a->auth = optarg; break;
		case 'A': a->adc = optarg; break;
		case 'K': a->keys = optarg; break;
		case 'k': a->check = true; break;
		case 'h':
			return printf("%s\n%s", usage, help) > 0 && fflush(stdout) == 0 ?
				STATUS_OK : STATUS_REFUSED;
		case 'V':
			return puts("dsmd " DSM_VERSION) >= 0 && fflush(stdout) == 0 ?
				STATUS_OK : STATUS_REFUSED;
		default:
			fprintf(stderr, "%sTry: dsmd --help\n", usage);
			return STATUS_USAGE;
		}
	}
	if (argc - optind > 1 || (argc - optind == 1 && a->table))
		return wrong_usage("more than one table file given");
	if (optind < argc)
		a->table = argv[optind];
	if (!a->table && !a->config)
		return wrong_usage("no table file given");
	return -1;
}

static int take_interval(const char *text, struct settings *s)
{
	char *end;
	double seconds = strtod(text, &end);
	if (end == text || *end || !(seconds >= 0 && seconds <= 4000000))
		return wrong_usage("--interval: expected 0 to 4000000 seconds");
	s->save_interval_ms = (uint32_t)(seconds * 1000 + 0.5);
	return -1;
}

/* -1 = go on, else the exit status. */
static int settle(const struct arguments *a, struct settings *s)
{
	if (a->config && config_load(a->config, s))
		return STATUS_REFUSED;
	if ((a->table && settings_text(&s->table, a->table)) ||
	    (a->name && settings_text(&s->name, a->name)) ||
	    (a->state && settings_text(&s->state_file, a->state)) ||
	    (a->rdma && settings_text(&s->rdma, a->rdma)) ||
	    (a->udp && settings_text(&s->udp, a->udp)) ||
	    (a->adc && settings_text(&s->adc, a->adc)) ||
	    (a->keys && settings_text(&s->keys, a->keys)))
		return STATUS_REFUSED;
	if (a->auth && strcmp(a->auth, "none") != 0 && strcmp(a->auth, "keys") != 0)
		return wrong_usage("--auth: expected none or keys");
	if (a->auth) {
		s->auth_keys = strcmp(a->auth, "keys") == 0;
		s->auth_none = !s->auth_keys;
	}
	if (s->rdma && !s->auth_none && !s->keys && !getenv("DSM_KEYS"))
		return wrong_usage("--rdma wants a key file (--keys FILE, made by dsm keygen), or keys in DSM_KEYS; "
			"say --auth none if whoever reaches its port may come in");
	if (s->auth_keys && (s->udp || s->rdma) && !s->keys && !getenv("DSM_KEYS"))
		return wrong_usage("auth keys wants a key file (--keys), or keys in DSM_KEYS");
	s->restore |= a->restore;
	s->lock_memory |= a->lock_memory;
	if (!s->state_file && (a->restore || a->interval))
		return wrong_usage("--restore and --interval need a --state file");
	return a->interval ? take_interval(a->interval, s) : -1;
}

int main(int argc, char **argv)
{
	struct arguments arguments = { 0 };
	struct settings settings = { 0 };
	int status = take_arguments(argc, argv, &arguments);
	if (status < 0)
		status = settle(&arguments, &settings);
	if (status < 0)
		status = arguments.check ? serve_check(&settings) : serve(&settings);
	settings_free(&settings);
	return status;
}
