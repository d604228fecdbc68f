/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The RP2350 image in the emulated machine as a device on this network: its datagrams leave through a
 * UDP socket. Used by script/demo and tests/pico/engine.sh.
 * Usage: run_machine [--sweep] [--seconds S] [--tick-us US] --device N --key FILE IMAGE.bin HOST:PORT
 * On standard input: volt CHANNEL V | press INPUT | release INPUT | link down | link up | overrun |
 * chip off | chip on | tx full | tx free | arp off | arp on | power (off and on) | cut (the power goes in the
 * middle of the next write to flash, and comes back) | watchdog | quit.
 * --sweep: the knobs move by themselves, button 3 is pressed each second; standard input is left alone.
 * Runs no faster than real time, and slower where the host is: at its end it says how much.
 */
#include "bench.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "port/host/adc.h"

static int fd = -1;
static unsigned sent;
static volatile sig_atomic_t stop;

static void on_signal(int number)
{
	(void)number;
	stop = 1;
}

static uint64_t clock_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void leave(void *context, const uint8_t ip[4], uint16_t port, const uint8_t *data, size_t n)
{
	(void)context, (void)ip, (void)port;
	sent++;
	if (send(fd, data, n, 0) < 0 && errno == ECONNREFUSED)
		send(fd, data, n, 0);
}

/* Without power it answers nothing and knows nothing; its reset pin is high all the time. */
static void set_chip(bool on)
{
	m->no_chip = !on;
	if (on)
		w5500_forgets(m);
}

/* false: quit, or it is none. */
static bool obey(const char *line)
{
	unsigned which = 0;
	double volt = 0;
	if (sscanf(line, "volt %u %lf", &which, &volt) == 2 && which < 8)
		m->volt[which] = volt;
	else if (sscanf(line, "press %u", &which) == 1 && which < 14)
		m->pressed |= 1u << which;
	else if (sscanf(line, "release %u", &which) == 1 && which < 14)
		m->pressed &= ~(1u << which);
	else if (strcmp(line, "link down") == 0 || strcmp(line, "link up") == 0)
		m->link_down = line[5] == 'd';
	else if (strcmp(line, "chip off") == 0 || strcmp(line, "chip on") == 0)
		set_chip(line[6] == 'n');
	else if (strcmp(line, "tx full") == 0 || strcmp(line, "tx free") == 0)
		m->tx_full = line[4] == 'u';
	else if (strcmp(line, "arp off") == 0 || strcmp(line, "arp on") == 0)
		m->no_arp = line[5] == 'f';
	else if (strcmp(line, "cut") == 0)
		m->cut_at_flash_op = m->flash_ops + 1;
	else if (strcmp(line, "overrun") == 0)
		m->dma_stall_until_ps = m->now_ps + 300 * US;
	else if (strcmp(line, "power") == 0)
		machine_power_on(m, 1u << 16);
	else if (strcmp(line, "watchdog") == 0)
		m->wd_due_ps = 0;
	else
		return strcmp(line, "quit") != 0 && complain("\"%s\" is no command", line) == 0;
	return true;
}

/* One byte at a time: what comes is a line now and then. */
static bool listen_to_input(void)
{
	static char line[100];
	static size_t n;
	struct pollfd p = { .fd = STDIN_FILENO, .events = POLLIN };
	while (poll(&p, 1, 0) > 0) {
		char c;
		if (read(STDIN_FILENO, &c, 1) != 1)
			return false;
		if (c != '\n' && n + 1 < sizeof(line)) {
			line[n++] = c;
			continue;
		}
		line[n] = '\0';
		n = 0;
		if (!obey(line))
			return false;
	}
	return true;
}

static void sweep(double t_s)
{
	for (unsigned c = 0; c < 3; c++)
		m->volt[c] = 1.65 + 1.6 * sin(6.2832 * t_s / (4 + 2 * c));
	m->pressed = fmod(t_s, 1) < 0.2 ? 1u << 3 : 0;
}

static int run(bool sweeps, double seconds)
{
	uint64_t begin = clock_us(), from_ps = m->now_ps, end = begin + (uint64_t)(seconds * 1e6);
	while (!stop && clock_us() < end) {
		if (sweeps)
			sweep((double)(clock_us() - begin) / 1e6);
		else if (!listen_to_input())
			break;
		bool ran = machine_run(m, MS);
		if (m->power_cut && !m->fault[0]) {
			m->cut_at_flash_op = 0;
			machine_power_on(m, 1u << 16);
		} else if (!ran)
			return complain("the machine faulted: %s", m->fault);
		uint64_t should = begin + (m->now_ps - from_ps) / US, now = clock_us();
		if (should > now)
			usleep((useconds_t)(should - now));
	}
	double real = (double)(clock_us() - begin) / 1e6, its = (double)(m->now_ps - from_ps) / 1e12;
	fprintf(stderr, "run_machine: %u datagrams; %.2f s of its time in %.2f s\n", sent, its, real);
	return 0;
}

int main(int argc, char **argv)
{
	bool sweeps = false;
	double seconds = 1e9;
	const char *key = NULL;
	int i = 1;
	for (; i < argc && argv[i][0] == '-'; i++) {
		if (strcmp(argv[i], "--sweep") == 0)
			sweeps = true;
		else if (i + 1 < argc && strcmp(argv[i], "--seconds") == 0)
			seconds = atof(argv[++i]);
		else if (i + 1 < argc && strcmp(argv[i], "--device") == 0)
			bench_device = (uint32_t)strtoul(argv[++i], NULL, 10);
		else if (i + 1 < argc && strcmp(argv[i], "--tick-us") == 0)
			bench_tick_us = (uint32_t)strtoul(argv[++i], NULL, 10);
		else if (i + 1 < argc && strcmp(argv[i], "--key") == 0)
			key = argv[++i];
		else
			break;
	}
	if (i + 2 != argc) {
		fprintf(stderr, "usage: run_machine [--sweep] [--seconds S] --device N --key FILE IMAGE.bin HOST:PORT\n");
		return 2;
	}
	if (key_load(key, bench_device, bench_key) != 0 || socket_open(argv[i + 1], &fd) != 0 ||
	    !bench_begin(argv[i], true))
		return 1;
	const struct sigaction action = { .sa_handler = on_signal };
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	m->datagram = leave;
	int status = run(sweeps, seconds) == 0 ? 0 : 1;
	bench_end();
	return status;
}
