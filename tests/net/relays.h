/* SPDX-License-Identifier: Apache-2.0 */
/* The relay as a child process of a test, obeyed through its standard input. Every call fails the test
 * and says why when the relay does not answer within ten seconds. One thread. */
#ifndef DSM_TESTS_NET_RELAYS_H
#define DSM_TESTS_NET_RELAYS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct relays {
	const char *program;
	pid_t pid;
	int in, out;
	char address[64];   /* where it listens: ADDR:PORT */
	char answer[1024];
};

struct relay_stats {
	uint64_t received, forwarded, lost, duplicated, corrupted, truncated, reordered, oversize;
	uint64_t spoofed, replayed, reflected, rebinds, full, unsent;
	uint64_t flooded, flooded_bytes, answers, answer_bytes, injected, flows;
};

/* "ADDR:PORT" to listen at and of the server; pcap NULL = none. */
bool relays_start(struct relays *relays, const char *listen, const char *to, const char *pcap);
/* The same for one whose program runs already, with its standard input and output at these two. */
bool relays_meet(struct relays *relays, int in, int out);
/* Settings as "loss 0.2 jitter 5"; all others are 0 from then on. "" = a good network. */
bool relays_set(struct relays *relays, const char *settings);
struct relay_stats relays_stats(struct relays *relays);
/* Datagrams of a capture sent to the server again; negative: they were not. */
int relays_inject(struct relays *relays, const char *path);
bool relays_flush(struct relays *relays);
void relays_stop(struct relays *relays);

#endif
