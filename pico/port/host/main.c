/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dsm-adc: an ADC board as a program. The lines that make its datagrams are the firmware's own
 * (pico/core); in the place of knobs it has signals, a recording or the keyboard.
 */
#include "adc.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <dsm/version.h>

static const char help[] =
	"Usage: dsm-adc [OPTION]... HOST[:PORT]\n"
	"Sends what an ADC board sends, to the engine at HOST (UDP port 7462 by default).\n\n"
	"  -d, --device N         its number in the table, default 1\n"
	"  -k, --key FILE         key file of `dsm keygen device:N`, mode 600; or DSM_KEYS\n"
	"  -e, --epoch FILE       boot counter; default ~/.local/state/dsm/adc-N.epoch\n"
	"  -c, --channels N       1 to 8 analog channels, default 4\n"
	"  -r, --rate HZ          datagrams a second, 1 to 10000, default 1000\n"
	"  -s, --signal C=WHAT    what channel C shows: a number from 0 to 1, or\n"
	"                         sine|ramp|square|noise[:SECONDS[:LOW:HIGH]]; default sines\n"
	"  -p, --press N=S        input N is pressed for half of every S seconds\n"
	"  -f, --csv FILE         channels and inputs from a file, columns t, c0 to c7, b0 to b31\n"
	"  -l, --loop             the file again and again\n"
	"  -i, --keyboard         knobs and buttons from the keyboard\n"
	"  -t, --seconds S        end after S seconds\n"
	"  -h, --help, -V, --version\n\n"
	"Examples:\n"
	"  (umask 077; dsm keygen device:7 > rig.keys); dsmd --adc '*' --keys rig.keys rig.yaml &\n"
	"  dsm-adc --device 7 --key rig.keys --signal 0=sine:5 --signal 1=0.25 --press 3=2 localhost\n"
	"  dsm-adc --device 7 --key rig.keys --keyboard 192.168.1.10\n"
	"  dsm-adc --device 7 --key rig.keys --csv knobs.csv --loop localhost:7462\n";

struct program {
	struct pico_device device;
	struct pico_config config;
	struct signal signals[PICO_CHANNELS];
	double press_s[PICO_INPUTS];
	struct csv csv;
	struct keyboard keyboard;
	struct epoch epoch;
	const char *key_path, *epoch_path, *csv_path, *target;
	double seconds, rate_hz;
	uint64_t begin_us;
	int fd;
	bool wants_keyboard, has_channels;
	uint32_t refused;
};

static volatile sig_atomic_t stop;

static void on_signal(int number)
{
	(void)number;
	stop = 1;
}

/* ---- the machine that pico/core runs on ---- */

static uint64_t clock_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static uint64_t now_us(void *context)
{
	return clock_us() - ((struct program *)context)->begin_us;
}

/* 16 samples of 12 bits whose sum has 16 bits, as a real converter's noise makes them. */
static bool samples(void *context, unsigned channel, uint16_t *out, unsigned n)
{
	struct program *p = context;
	double t_s = (double)now_us(p) / 1e6, x;
	if (p->keyboard.open)
		x = p->keyboard.value[channel];
	else if (p->csv.rows)
		x = csv_at(&p->csv, t_s)->value[channel];
	else
		x = signal_at(&p->signals[channel], t_s);
	unsigned sum = (unsigned)lrint(x * 4095 * n);
	for (unsigned i = 0; i < n; i++)
		out[i] = (uint16_t)(sum / n + (i < sum % n));
	return true;
}

static uint32_t levels(void *context)
{
	struct program *p = context;
	double t_s = (double)now_us(p) / 1e6;
	uint32_t bits = 0;
	if (p->keyboard.open)
		return p->keyboard.levels;
	if (p->csv.rows)
		return csv_at(&p->csv, t_s)->levels;
	for (unsigned i = 0; i < PICO_INPUTS; i++)
		if (p->press_s[i] > 0 && fmod(t_s, p->press_s[i]) >= p->press_s[i] / 2)
			bits |= 1u << i;
	return bits;
}

/* An error of an earlier datagram (nobody listens there) is not one of this: once more. */
static bool send_it(void *context, const uint8_t *data, size_t n)
{
	struct program *p = context;
	if (send(p->fd, data, n, 0) == (ssize_t)n)
		return true;
	if (errno != ECONNREFUSED)
		return false;
	if (p->refused++ == 0)
		complain("%s: nobody listens there yet; going on", p->target);
	return send(p->fd, data, n, 0) == (ssize_t)n;
}

static bool load_epoch(void *context, uint32_t *value)
{
	return epoch_load(&((struct program *)context)->epoch, value);
}

static bool store_epoch(void *context, uint32_t value)
{
	return epoch_store(&((struct program *)context)->epoch, value);
}

/* ---- options ---- */

static int whole(const char *option, const char *text, unsigned long low, unsigned long high, unsigned long *out)
{
	char *end;
	errno = 0;
	unsigned long v = strtoul(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end || errno || v < low || v > high)
		return complain("%s \"%s\": expected a whole number from %lu to %lu", option, text, low, high);
	*out = v;
	return 0;
}

static int real(const char *option, const char *text, double low, double high, double *out)
{
	char *end;
	double v = strtod(text, &end);
	if (end == text || *end || !(v >= low && v <= high))
		return complain("%s \"%s\": expected a number from %g to %g", option, text, low, high);
	*out = v;
	return 0;
}

static int take_option(struct program *p, int option)
{
	unsigned long n = 0;
	int error = 0;
	switch (option) {
	case 'd':
		error = whole("--device", optarg, 0, UINT32_MAX, &n);
		p->config.device = (uint32_t)n;
		return error;
	case 'c':
		error = whole("--channels", optarg, 1, PICO_CHANNELS, &n);
		p->config.channels = (uint8_t)n;
		p->has_channels = true;
		return error;
	case 'k': p->key_path = optarg; return 0;
	case 'e': p->epoch_path = optarg; return 0;
	case 'r': return real("--rate", optarg, 1, 10000, &p->rate_hz);
	case 's': return signal_parse(optarg, p->signals);
	case 'p': return press_parse(optarg, p->press_s);
	case 'f': p->csv_path = optarg; return 0;
	case 'l': p->csv.loop = true; return 0;
	case 'i': p->wants_keyboard = true; return 0;
	case 't': return real("--seconds", optarg, 0.01, 1e9, &p->seconds);
	default: return -1; /* getopt has said it */
	}
}

/* 0: go on; 1: done; 2: wrong usage */
static int parse(struct program *p, int argc, char **argv)
{
	static const struct option options[] = {
		{ "device", 1, NULL, 'd' }, { "key", 1, NULL, 'k' }, { "epoch", 1, NULL, 'e' },
		{ "channels", 1, NULL, 'c' }, { "rate", 1, NULL, 'r' }, { "signal", 1, NULL, 's' },
		{ "press", 1, NULL, 'p' }, { "csv", 1, NULL, 'f' }, { "loop", 0, NULL, 'l' },
		{ "keyboard", 0, NULL, 'i' }, { "seconds", 1, NULL, 't' }, { "help", 0, NULL, 'h' },
		{ "version", 0, NULL, 'V' }, { NULL, 0, NULL, 0 },
	};
	int option;
	while ((option = getopt_long(argc, argv, "d:k:e:c:r:s:p:f:lit:hV", options, NULL)) != -1) {
		if (option == 'h')
			fputs(help, stdout);
		else if (option == 'V')
			printf("dsm-adc %s\n", DSM_VERSION);
		if (option == 'h' || option == 'V')
			return 1;
		if (take_option(p, option) != 0)
			return 2;
	}
	if (optind + 1 != argc)
		complain(optind == argc ? "to which engine? Expected HOST or HOST:PORT" : "one HOST only");
	else if (p->csv_path && p->wants_keyboard)
		complain("--csv and --keyboard: one of them");
	else {
		p->target = argv[optind];
		return 0;
	}
	return 2;
}

/* ---- the run ---- */

static int open_all(struct program *p)
{
	if (key_load(p->key_path, p->config.device, p->config.key) != 0)
		return -1;
	if (p->csv_path) {
		if (csv_load(p->csv_path, &p->csv) != 0)
			return -1;
		if (!p->has_channels && p->csv.channels)
			p->config.channels = (uint8_t)p->csv.channels;
	}
	if (socket_open(p->target, &p->fd) != 0 || epoch_open(&p->epoch, p->epoch_path, p->config.device) != 0)
		return -1;
	if (p->wants_keyboard && keyboard_open(&p->keyboard, p->config.channels) != 0)
		return -1;
	p->config.tick_us = (uint32_t)lrint(1e6 / p->rate_hz);
	return 0;
}

/* Until the next tick, or the next look at the inputs if that is sooner. */
static void nap(const struct program *p)
{
	uint64_t now = clock_us(), due = p->begin_us + p->device.next_us, step = p->config.debounce_us / 4;
	if (now >= due)
		return;
	uint64_t us = due - now < step ? due - now : step;
	clock_nanosleep(CLOCK_MONOTONIC, 0, &(struct timespec){ .tv_nsec = (long)us * 1000 }, NULL);
}

static int run(struct program *p)
{
	const struct pico_hal hal = { p, now_us, samples, levels, send_it, load_epoch, store_epoch };
	prctl(PR_SET_TIMERSLACK, 1000ul); /* ns; 50,000 otherwise */
	p->begin_us = clock_us();
	if (!pico_start(&p->device, &p->config, &hal))
		return complain("the configuration does not fit together");
	if (!p->device.epoch_stored)
		complain("%s: the boot counter cannot be kept: after the next start the engine refuses this device",
			p->epoch.path);
	fprintf(stderr, "dsm-adc: device %u, %u channels, %g datagrams a second to %s, epoch %u\n",
		p->config.device, p->config.channels, p->rate_hz, p->target, p->device.epoch);
	uint64_t end_us = p->seconds > 0 ? (uint64_t)(p->seconds * 1e6) : UINT64_MAX;
	while (!stop && !p->keyboard.quit && now_us(p) < end_us) {
		keyboard_poll(&p->keyboard, now_us(p));
		pico_poll(&p->device);
		nap(p);
	}
	keyboard_close(&p->keyboard);
	fprintf(stderr, "dsm-adc: %u ticks, %u datagrams sent, %u dropped\n", p->device.seq, p->device.sent,
		p->device.dropped);
	return 0;
}

int main(int argc, char **argv)
{
	static struct program p = { .fd = -1, .rate_hz = 1000, .epoch.lock_fd = -1, .config = { .device = 1,
		.debounce_us = 4000, .channels = 4, .log2_average = 4, .reset = ADC_RESET_POWER, .simulated = true } };
	for (unsigned c = 0; c < PICO_CHANNELS; c++)
		p.signals[c] = (struct signal){ SHAPE_SINE, 2 + c, 0, 1 };
	int status = parse(&p, argc, argv);
	if (status == 2)
		fprintf(stderr, "Try: dsm-adc --help\n");
	if (status)
		return status == 1 ? 0 : 2;
	const struct sigaction action = { .sa_handler = on_signal };
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
	status = open_all(&p) == 0 && run(&p) == 0 ? 0 : 1;
	keyboard_close(&p.keyboard);
	epoch_close(&p.epoch);
	csv_free(&p.csv);
	if (p.fd >= 0)
		close(p.fd);
	explicit_bzero(&p.config, sizeof(p.config));
	explicit_bzero(&p.device, sizeof(p.device));
	return status;
}
