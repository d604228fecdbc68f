/* SPDX-License-Identifier: Apache-2.0 */
/* For ThreadSanitizer: the ADC thread beside readers, saves, reloads and the end of the engine. A plain
 * program, as Criterion cannot run under it. */
#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "engine/table.h"
#include "wire/adc.h"

static const char table_yaml[] =
	"region: adc\nowners: [{name: o}]\n"
	"groups: [{name: g, owner: o, cells: [{name: a, type: f64}, {name: n, type: u64}]}]\n"
	"devices: [{name: d, id: 1, owner: o, inputs: [{cell: g.a, channel: 0}, {cell: g.n, presses: 0}]}]\n";
static const uint8_t key[SIPHASH_KEY] = { 1 };
static _Atomic int port;
static _Atomic bool stop;

static void take_log(const char *text, void *context)
{
	const char *at = strstr(text, "127.0.0.1:");
	(void)context;
	if (at && strstr(text, "listening"))
		atomic_store(&port, atoi(at + 10));
}

/* 1 kHz, with a pause now and then in which the board falls silent. */
static void *send_datagrams(void *context)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atomic_load(&port)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	(void)context;
	for (uint32_t seq = 1; !atomic_load(&stop); seq++) {
		uint8_t data[ADC_BYTES(1)];
		uint16_t value = (uint16_t)seq;
		struct adc_header h = { .device = 1, .channels = 1, .epoch = 1, .seq = seq, .uptime_us = seq * 1000ull };
		size_t n = adc_encode(&h, &value, key, data, sizeof(data));
		if (sendto(fd, data, n, 0, (struct sockaddr *)&to, sizeof(to)) < 0)
			perror("sendto");
		usleep(seq % 200 == 0 ? 60000 : 1000);
	}
	close(fd);
	return NULL;
}

static int failed(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, dsm_error());
	return 1;
}

static int work(struct dsm_engine *e, struct dsm_table *table)
{
	for (int i = 0; i < 6; i++) {
		struct dsm *dsm = NULL;
		struct dsm_cell cell;
		struct dsm_sample s = { 0 };
		if (dsm_engine_attach(e, NULL, &dsm) || dsm_cell(dsm, "g.a", &cell))
			return failed("attach");
		for (int k = 0; k < 300; k++, usleep(1000))
			if (dsm_read(dsm, cell, &s))
				return failed("read");
		dsm_detach(&dsm);
		if (s.quality != DSM_GOOD)
			return failed("no value came");
		if (dsm_engine_save(e) || (i % 2 && dsm_engine_reload(e, table)))
			return failed("save or reload");
	}
	return 0;
}

int main(void)
{
	struct dsm_engine_options o = DSM_ENGINE_OPTIONS_INIT;
	struct dsm_table *table = NULL;
	struct dsm_engine *e = NULL;
	pthread_t sender;
	char name[40], state[80];
	snprintf(name, sizeof(name), "tsan-adc-%d", (int)getpid());
	snprintf(state, sizeof(state), "/tmp/%s.state", name);
	setenv("DSM_KEYS", "device:1 d 01000000000000000000000000000000", 1);
	o.name = name;
	o.adc = "127.0.0.1:0";
	o.state_file = state;
	o.save_interval_ms = 50;
	o.tick_ms = 10;
	o.log = take_log;
	if (table_load_memory("t", table_yaml, strlen(table_yaml), &table) || dsm_engine_open(table, &o, &e))
		return failed("open");
	pthread_create(&sender, NULL, send_datagrams, NULL);
	int rc = work(e, table);
	if (dsm_engine_close(&e))
		rc = failed("close");
	atomic_store(&stop, true);
	pthread_join(sender, NULL);
	dsm_table_free(&table);
	char previous[100];
	snprintf(previous, sizeof(previous), "%s.prev", state);
	unlink(state);
	unlink(previous);
	printf("%d passed, %d failed\n", rc == 0, rc != 0);
	return rc;
}
