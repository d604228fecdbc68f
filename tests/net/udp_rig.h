/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of net_udp: an engine in a process of its own, a relay in another, clients of every kind in
 * threads; on loopback, or each in a network namespace of its own. */
#ifndef DSM_TESTS_NET_UDP_RIG_H
#define DSM_TESTS_NET_UDP_RIG_H

#include <dsm/dsm.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/types.h>

#include "net/relays.h"

/* ---- udp_place.c: processes and namespaces ---- */
struct udp_place {
	struct relays relays;
	pid_t engine;
	int engine_in;              /* closed: the engine ends */
	char direct[120], through[120]; /* URIs: the engine itself, and the relay */
};
/* false: not possible here, and why is in `why`. The caller's process moves into a namespace of its own,
 * if there are to be namespaces, and stays there; it must have no threads yet. */
bool udp_place_open(struct udp_place *place, const char *relay, const char *pcap, bool namespaces, char why[200]);
void udp_place_close(struct udp_place *place);
/* Resident memory of the engine's process, KiB. */
long udp_place_resident(const struct udp_place *place);

/* Times are for a machine that is not emulated; DSM_TEST_PATIENCE=4 makes them four times as long. */
static inline unsigned udp_patience(void)
{
	const char *text = getenv("DSM_TEST_PATIENCE");
	return text && atoi(text) > 0 ? (unsigned)atoi(text) : 1;
}

/* ---- udp_engine.c: runs in the engine's process until `in` ends; never returns ---- */
void udp_engine_run(const char *address, int in, int out) __attribute__((noreturn));

/* ---- udp_clients.c ---- */
enum client_kind { CLIENT_READER, CLIENT_STEP, CLIENT_WRITER, CLIENT_ADDER, CLIENT_PIPELINE, CLIENT_WAITER,
	CLIENT_BIG, CLIENT_IDLER, CLIENT_REQUESTER, CLIENT_KINDS };
extern const char *const client_names[CLIENT_KINDS];

struct client {
	enum client_kind kind;
	const char *uri;
	pthread_t thread;
	struct dsm *dsm;
	_Atomic uint64_t done;      /* good operations; of the idler, updates that it took at its end */
	_Atomic uint64_t failed;    /* ended with an error, outcome known or not */
	_Atomic uint64_t unknown;   /* adds that may have happened or not */
	_Atomic uint64_t slowest_ms;
	_Atomic uint64_t reattached;
	_Atomic bool stop;
};
/* Attaches, and begins its work. */
bool client_start(struct client *client, enum client_kind kind, const char *uri);
void client_stop(struct client *client);
/* One operation, good or not, that began at plain_ms(). */
void client_count(struct client *client, int rc, uint64_t since_ms);

/* ---- udp_requests.c ---- */
/* An owner that takes the requester's requests, in a thread. */
bool requests_start(const char *uri);
void run_requester(struct client *client);
/* After the requester's end: each request came once. */
void requests_end(void);

#endif
