/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bad network between QEMU and an engine: takes Ethernet frames in UDP datagrams (-netdev dgram), and
 * passes the ADC datagrams in them on, some dropped, doubled or overtaken, by a seed.
 * Usage: mps2_relay HOST:PORT PERCENT SEED     prints its own port; at the end what it did.
 * Ends with the datagram whose seq is LAST, or after 20 s of silence.
 */
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "port/host/adc.h"

#define HEAD 42u
#define LAST 3000u

static const uint8_t key[SIPHASH_KEY] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };
static struct { unsigned frames, wrong, passed, dropped, doubled, swapped; } count;
static int out = -1;
static uint8_t held[ADC_BYTES_MAX];
static size_t held_bytes;
static uint32_t random_state;

static unsigned percent(void)
{
	random_state = random_state * 1664525u + 1013904223u;
	return (random_state >> 16) % 100;
}

static void pass(const uint8_t *data, size_t n)
{
	if (send(out, data, n, 0) != (ssize_t)n)
		perror("send");
	count.passed++;
	if (count.passed % 32 == 0)
		usleep(2000); /* the engine's turn: the machine runs faster than real time */
}

static void treat(const uint8_t *data, size_t n, unsigned bad, bool last)
{
	unsigned dice = last ? 99 : percent();
	if (dice < bad) {
		count.dropped++;
	} else if (dice < 2 * bad) {
		count.doubled++;
		pass(data, n);
		pass(data, n);
	} else if (dice < 3 * bad && !held_bytes) {
		count.swapped++;
		memcpy(held, data, n);
		held_bytes = n;
		return;
	} else {
		pass(data, n);
	}
	if (held_bytes && (dice >= bad || last)) {
		pass(held, held_bytes);
		held_bytes = 0;
	}
}

/* The ramps that port/mps2 makes: channel c is 1000 x c ahead, all of one tick. */
static bool as_it_must_be(const uint8_t *data, size_t n, struct adc_header *h)
{
	if (adc_decode(data, n, h) != ADC_GOOD || !adc_authentic(data, n, key) || h->channels != 4 || h->device != 9)
		return false;
	for (unsigned c = 1; c < 4; c++)
		if (((adc_channel(data, c) >> 4) - (adc_channel(data, 0) >> 4) - 1000 * (int)c) & 0xfff)
			return false;
	return true;
}

static bool is_ours(const uint8_t *frame, ssize_t n)
{
	uint32_t sum = 0;
	if (n < (ssize_t)(HEAD + ADC_BYTES(0)) || frame[12] != 8 || frame[13] != 0 || frame[14] != 0x45 || frame[23] != 17)
		return false;
	for (unsigned i = 14; i < 34; i += 2)
		sum += (uint32_t)frame[i] << 8 | frame[i + 1];
	return (sum & 0xffff) + (sum >> 16) == 0xffff;
}

int main(int argc, char **argv)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(in);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), room = 4 << 20;
	if (argc != 4 || socket_open(argv[1], &out) != 0 || bind(fd, (struct sockaddr *)&in, size) != 0 ||
	    getsockname(fd, (struct sockaddr *)&in, &size) != 0)
		return 2;
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	unsigned bad = (unsigned)atoi(argv[2]);
	random_state = (uint32_t)atoi(argv[3]);
	printf("%u\n", ntohs(in.sin_port));
	fflush(stdout);
	struct adc_header h = { 0 };
	struct pollfd p = { .fd = fd, .events = POLLIN };
	while (h.seq < LAST && poll(&p, 1, 20000) > 0) {
		uint8_t frame[2000];
		ssize_t n = recv(fd, frame, sizeof(frame), 0);
		if (!is_ours(frame, n))
			continue;
		size_t bytes = (size_t)(frame[38] << 8 | frame[39]) - 8;
		count.frames++;
		if (bytes + HEAD > (size_t)n || !as_it_must_be(frame + HEAD, bytes, &h))
			count.wrong++;
		else
			treat(frame + HEAD, bytes, bad, h.seq == LAST);
	}
	printf("frames=%u wrong=%u passed=%u dropped=%u doubled=%u swapped=%u last=%u\n", count.frames, count.wrong,
		count.passed, count.dropped, count.doubled, count.swapped, h.seq);
	return 0;
}
