/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A UDP relay that does what a bad network and bad people do: it stands between clients and one
 * server and forwards, harming as its settings say. What becomes of a datagram depends on the seed,
 * the flow (one per client address, numbered as they come), the direction and its number there, and
 * on nothing else; when it is forwarded depends on the machine's clock too. One thread, epoll.
 */
#ifndef DSM_TESTS_NET_RELAY_H
#define DSM_TESTS_NET_RELAY_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define RELAY_FLOWS 64u         /* a further client takes the place of the longest unused */
#define RELAY_QUEUE 8192u       /* datagrams held at once; what comes then is lost, and counted */
#define RELAY_KEPT 512u         /* captured datagrams a direction, to be replayed */
#define RELAY_FLOOD_PORTS 16u   /* addresses that a flood comes from */
#define RELAY_DATAGRAM 65536u

enum way { WAY_UP = 0, WAY_DOWN = 1 }; /* to the server, to the client */

/* What is done to datagrams; all 0: nothing. In the order of relay_settings.c's table. */
struct relay_settings {
	double loss, duplicate, corrupt, truncate, reorder, spoof, replay, reflect; /* 0..1 */
	double delay_ms, jitter_ms;
	double mtu;             /* bytes of a payload; longer ones vanish; 0 = none do */
	double rebind;          /* every so many datagrams of a flow its source changes; 0 = never */
	double flood;           /* datagrams a second to the server, from other addresses */
	double only;            /* 0 both ways, 1 up, 2 down */
	double seed;
};

/* Sets one by its name. -EINVAL no such name or not a number; -ERANGE out of its range. */
int relay_set(struct relay_settings *settings, const char *name, const char *value);
void relay_settings_help(FILE *out);

struct relay_counts {
	uint64_t received, forwarded, lost, duplicated, corrupted, truncated, reordered, oversize;
	uint64_t spoofed, replayed, reflected, rebinds, full, unsent;
	uint64_t flooded, flooded_bytes, answers, answer_bytes; /* to the flood's addresses */
	uint64_t injected, flows;
};

struct relay;
struct pcap;

struct relay_options {
	struct sockaddr_in listen, to;
	struct relay_settings settings;
	const char *pcap;       /* file for the first 20,000 that came, before any harm; NULL = none */
};

int relay_open(const struct relay_options *options, struct relay **out);
void relay_close(struct relay **relay);
/* Where it listens, when port 0 was asked for. */
struct sockaddr_in relay_address(const struct relay *relay);
/* Waits at most timeout_ms for datagrams or for the descriptor `other` (-1 = none); true when that one
 * has something to say. */
bool relay_step(struct relay *relay, int other, int timeout_ms);
struct relay_settings *relay_settings(struct relay *relay);
const struct relay_counts *relay_counts(const struct relay *relay);
/* The datagrams to the server that are in a capture, the first 8000, again, from an address of its own.
 * How many. */
int relay_inject(struct relay *relay, const char *path);
int relay_flush(struct relay *relay);

/* ---- relay_queue.c: what is held back, by the time when it goes on ---- */
struct held {
	uint64_t due_ns, order; /* order: of two with the same time the first put goes first */
	uint8_t *bytes;
	uint32_t n, flow_number;
	enum way way;
};
struct queue {
	struct held heap[RELAY_QUEUE];
	uint32_t n;
	uint64_t order;
};
/* Copies the bytes. -ENOBUFS it is full; -ENOMEM. */
int queue_put(struct queue *queue, uint64_t due_ns, uint32_t flow_number, enum way way,
	const void *bytes, size_t n);
/* The first one, if it is due; the bytes are the caller's, to be freed. */
bool queue_take(struct queue *queue, uint64_t now_ns, struct held *out);
uint64_t queue_next_ns(const struct queue *queue); /* UINT64_MAX: empty */
void queue_clear(struct queue *queue);

/* ---- relay_flood.c: datagrams from elsewhere ---- */
struct flood {
	int fd[RELAY_FLOOD_PORTS];
	uint64_t last_ns, n;
	double owed;
};
struct kept {               /* captured datagrams: the first of each flow stay, of the others the newest */
	struct { uint8_t *bytes; uint32_t n; } ring[RELAY_KEPT], first[RELAY_FLOWS];
	uint64_t puts, firsts;
};
void kept_put(struct kept *kept, bool first, const void *bytes, size_t n);
void kept_clear(struct kept *kept);
void flood_close(struct flood *flood);
/* Sends what is due at the rate `per_s`, and counts what comes back. */
void flood_step(struct flood *flood, const struct kept *kept, const struct sockaddr_in *to, double per_s,
	uint64_t seed, uint64_t now_ns, struct relay_counts *counts);

/* Random numbers: SplitMix64. Same state, same numbers. */
static inline uint64_t draw(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}
static inline double draw_unit(uint64_t *state)
{
	return (double)(draw(state) >> 11) * 0x1p-53;
}
/* A forged datagram made of a real one, at most `room` bytes. Returns its bytes. */
size_t forge(uint64_t *random, const uint8_t *real, size_t n, uint8_t *out, size_t room);

#endif
