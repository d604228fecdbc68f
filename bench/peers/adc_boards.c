/* SPDX-License-Identifier: Apache-2.0 */
#include "peers/adc_boards.h"

#include "harness/clock.h"
#include "wire/adc.h"

#include <dsm/engine.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define RECEIVE_BUFFER (4 << 20)        /* as the engine asks for */
#define DATAGRAM_COSTS 1024u            /* of it, at most, as the kernel counts */
static const uint8_t key[SIPHASH_KEY] = { 1, 2, 3, 4 };

/* ---- an engine ---- */

/* Into a file: devices have no other interface. */
static int write_table(const struct adc_boards *b, const char *path)
{
	FILE *f = fopen(path, "w");
	if (!f)
		return -errno;
	fprintf(f, "region: bench\nowners: [");
	for (unsigned i = 0; i < ADC_BOARDS; i++)
		fprintf(f, "{name: o%u}, ", i);
	fprintf(f, "]\ngroups:\n");
	for (unsigned i = 0; i < ADC_BOARDS; i++) {
		fprintf(f, "  - {name: b%u, owner: o%u, cells: [", i, i);
		for (unsigned c = 0; c < ADC_BOARD_CHANNELS; c++)
			fprintf(f, "{name: c%u, type: f64}, ", c);
		fprintf(f, "]}\n");
	}
	fprintf(f, "devices:\n");
	for (unsigned i = 0; i < ADC_BOARDS; i++) {
		fprintf(f, "  - {name: d%u, id: %u, owner: o%u, tick_us: %u, inputs: [", i, i + 1, i, b->tick_us);
		for (unsigned c = 0; c < ADC_BOARD_CHANNELS; c++)
			fprintf(f, "{cell: b%u.c%u, channel: %u, low: 0, high: 65535}, ", i, c, c);
		fprintf(f, "]}\n");
	}
	return fclose(f) ? -errno : 0;
}

/* By the environment, which the engine's process alone gets. */
static void put_keys(void)
{
	char text[ADC_BOARDS * 64] = "";
	size_t n = 0;
	for (unsigned i = 0; i < ADC_BOARDS; i++) {
		n += (size_t)snprintf(text + n, sizeof(text) - n, "device:%u d%u ", i + 1, i);
		for (unsigned k = 0; k < SIPHASH_KEY; k++)
			n += (size_t)snprintf(text + n, sizeof(text) - n, "%02x", key[k] ^ (k == 15 ? i : 0));
		n += (size_t)snprintf(text + n, sizeof(text) - n, "\n");
	}
	setenv("DSM_KEYS", text, 1);
}

struct engine_start { const struct adc_boards *boards; const char *path; };

static int serve(struct bench_shared *shared, void *arg)
{
	const struct engine_start *start = arg;
	struct dsm_engine_options options = DSM_ENGINE_OPTIONS_INIT;
	struct dsm_engine *engine = NULL;
	struct dsm_table *table = NULL;
	char address[32];
	snprintf(address, sizeof(address), "127.0.0.1:%s", start->boards->port);
	options.name = start->boards->name;
	options.adc = address;
	put_keys();
	int rc = dsm_table_load(start->path, &table);
	if (!rc)
		rc = dsm_engine_open(table, &options, &engine);
	dsm_table_free(&table);
	if (rc) {
		snprintf(shared->why, sizeof(shared->why), "engine: %.180s", dsm_error());
		return rc;
	}
	atomic_store(&shared->ready, 1);
	while (!bench_stop && !atomic_load(&shared->stop))
		bench_sleep_ns(50000000); /* a signal ends the sleep; the engine has threads of its own */
	dsm_engine_close(&engine);
	return 0;
}

static int attach(struct adc_boards *b)
{
	char uri[64], cell[16];
	struct dsm_options options = DSM_OPTIONS_INIT;
	options.program = "dsm-bench";
	snprintf(uri, sizeof(uri), "shm://%s", b->name);
	int rc = dsm_attach(uri, &options, &b->dsm);
	for (unsigned i = 0; !rc && i < ADC_BOARDS; i++) {
		snprintf(cell, sizeof(cell), "b%u.c0", i);
		rc = dsm_cell(b->dsm, cell, &b->cell[i]);
	}
	return rc;
}

/* ---- a bare socket ---- */

static int open_socket(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), bytes = RECEIVE_BUFFER;
	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)))
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	return fd;
}

unsigned adc_boards_room(void)
{
	int fd = open_socket(), bytes = 0;
	socklen_t n = sizeof(bytes);
	if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, &n))
		bytes = 0;
	if (fd >= 0)
		close(fd);
	return (unsigned)bytes / DATAGRAM_COSTS;
}

static int listen_at(const char *port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = open_socket();
	if (fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof(a))) {
		int rc = -errno;
		close(fd);
		return rc;
	}
	return fd;
}

/* As the engine fetches: asleep until something is there, then batches until one is not full. */
static int fetch(struct bench_shared *shared, void *arg)
{
	static uint8_t data[ADC_BOARDS_BATCH][ADC_BYTES_MAX + 1];
	static struct sockaddr_storage from[ADC_BOARDS_BATCH];
	static struct iovec piece[ADC_BOARDS_BATCH];
	static struct mmsghdr message[ADC_BOARDS_BATCH];
	const struct adc_boards *b = arg;
	struct pollfd look = { .fd = listen_at(b->port), .events = POLLIN };
	if (look.fd < 0)
		return look.fd;
	for (unsigned i = 0; i < ADC_BOARDS_BATCH; i++) {
		piece[i] = (struct iovec){ data[i], sizeof(data[i]) };
		message[i].msg_hdr = (struct msghdr){ .msg_name = &from[i], .msg_iov = &piece[i], .msg_iovlen = 1 };
	}
	atomic_store(&shared->ready, 1);
	while (!bench_stop && !atomic_load(&shared->stop)) {
		int n = (int)ADC_BOARDS_BATCH;
		poll(&look, 1, 100);
		while (n == (int)ADC_BOARDS_BATCH) {
			for (unsigned i = 0; i < ADC_BOARDS_BATCH; i++)
				message[i].msg_hdr.msg_namelen = sizeof(from[i]);
			n = recvmmsg(look.fd, message, ADC_BOARDS_BATCH, MSG_DONTWAIT, NULL);
			if (n > 0)
				atomic_fetch_add(&shared->ops, (uint64_t)n);
		}
	}
	close(look.fd);
	return 0;
}

/* ---- both ---- */

/* A socket to an address that was free a moment ago: who takes it in between makes the start fail. */
static int aim(struct adc_boards *b)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t bytes = sizeof(a);
	int probe = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (probe < 0)
		return -errno;
	int rc = bind(probe, (struct sockaddr *)&a, bytes) || getsockname(probe, (struct sockaddr *)&a, &bytes) ? -errno : 0;
	close(probe);
	b->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (!rc && (b->fd < 0 || connect(b->fd, (struct sockaddr *)&a, bytes)))
		rc = -errno;
	snprintf(b->port, sizeof(b->port), "%u", (unsigned)ntohs(a.sin_port));
	return rc;
}

static int start(struct adc_boards *b, const struct bench_conf *conf, bench_child_main work, void *arg,
	struct bench_run *out)
{
	int rc = bench_child_start(&b->child, conf->cpu_server, work, arg);
	if (rc)
		bench_why(out, rc, "%.180s", b->child.shared && b->child.shared->why[0] ? b->child.shared->why : strerror(-rc));
	return rc;
}

int adc_boards_start_engine(struct adc_boards *b, const struct bench_conf *conf, uint32_t tick_us,
	struct bench_run *out)
{
	char path[320];
	*b = (struct adc_boards){ .tick_us = tick_us, .fd = -1 };
	snprintf(b->name, sizeof(b->name), "bench-%d-adc", (int)getpid());
	snprintf(path, sizeof(path), "%.250s/%s.yaml", conf->tmpdir, b->name);
	int rc = aim(b);
	if (!rc)
		rc = write_table(b, path);
	if (rc)
		return bench_why(out, rc, "boards: %s", strerror(-rc));
	rc = start(b, conf, serve, &(struct engine_start){ b, path }, out);
	unlink(path);
	if (!rc && (rc = attach(b)) != 0)
		bench_why(out, rc, "reader: %.160s", dsm_error());
	return rc;
}

int adc_boards_start_bare(struct adc_boards *b, const struct bench_conf *conf, struct bench_run *out)
{
	*b = (struct adc_boards){ .fd = -1 };
	int rc = aim(b);
	return rc ? bench_why(out, rc, "boards: %s", strerror(-rc)) : start(b, conf, fetch, b, out);
}

void adc_boards_stop(struct adc_boards *b)
{
	dsm_detach(&b->dsm);
	bench_child_stop(&b->child, NULL);
	if (b->fd >= 0)
		close(b->fd);
	b->fd = -1;
}

int adc_boards_send(struct adc_boards *b, unsigned board)
{
	uint8_t data[ADC_BYTES(ADC_BOARD_CHANNELS)], its_key[SIPHASH_KEY];
	uint16_t channels[ADC_BOARD_CHANNELS];
	struct adc_header h = { .device = board + 1, .epoch = 1, .seq = ++b->seq[board],
		.channels = ADC_BOARD_CHANNELS, .uptime_us = bench_now_ns() / 1000 };
	for (unsigned c = 0; c < ADC_BOARD_CHANNELS; c++)
		channels[c] = (uint16_t)(h.seq + c);
	memcpy(its_key, key, sizeof(key));
	its_key[15] ^= (uint8_t)board;
	size_t n = adc_encode(&h, channels, its_key, data, sizeof(data));
	return send(b->fd, data, n, 0) == (ssize_t)n ? 0 : -errno;
}

uint32_t adc_boards_shown(struct adc_boards *b, unsigned board)
{
	double value;
	if (dsm_read_f64(b->dsm, b->cell[board], &value))
		return 0;
	/* of its low 16 bits: none of the last 65,536 looks the same */
	return b->seq[board] - (uint16_t)(b->seq[board] - (uint32_t)(value + 0.5));
}

uint64_t adc_boards_fetched(const struct adc_boards *b)
{
	return atomic_load(&b->child.shared->ops);
}

struct wanted { const char *name; uint64_t value; };

static int find(const char *counter, const char *what, uint64_t value, void *context)
{
	struct wanted *w = context;
	(void)what;
	if (!strcmp(counter, w->name))
		w->value = value;
	return 0;
}

uint64_t adc_boards_counter(struct adc_boards *b, const char *name)
{
	struct wanted w = { name, 0 };
	dsm_foreach_counter(b->dsm, find, &w);
	return w.value;
}
