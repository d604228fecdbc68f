/* SPDX-License-Identifier: Apache-2.0 */
/* The client's side of udp made by hand, for tests of what no client of ours would say. Asserts by
 * Criterion. */
#ifndef DSM_TESTS_UDP_HAND_H
#define DSM_TESTS_UDP_HAND_H

#include <netinet/in.h>

#include "wire/control.h"
#include "wire/udp_flow.h"

/* The other side of a session, made by hand. */
struct client {
	int fd;
	struct udp_flow control, data;
	struct control_welcome welcome;
	uint32_t segment, commits;  /* next seqs of control and data */
	uint64_t number;
	bool closed;                /* CLOSE or RESET came */
	struct udp_committed committed;
	struct udp_answer answer;
	unsigned answers;           /* ANSWERs that came */
	struct udp_prove prove;
	size_t came;                /* bytes, of all datagrams */
	unsigned char message[4096], piece[UDP_PIECE];
	size_t message_bytes;
};

/* A socket of 127.0.0.0/8 (`host`, host order) that is connected to 127.0.0.1:port. */
int socket_from(in_addr_t host, unsigned port);
/* Sends `d`, again each so many ms, until something of that type comes, in `in`: its bytes. 0: a REFUSE
 * came that was not wanted, or nothing within 20 s. */
size_t exchange(int fd, const unsigned char d[UDP_DATAGRAM], enum udp_type wanted, unsigned char in[UDP_DATAGRAM],
	int again_ms);
/* INIT, cookie, INIT, RESP: over c->fd, which is there. False: refused, or nothing came for 20 s. */
bool shake_hands(struct client *c);
/* Socket and handshake, from `host`. */
void connect_from(struct client *c, in_addr_t host, unsigned port);
/* Then HELLO; c->message is the answer if c->message_bytes, else it was turned away. */
void say_hello(struct client *c, const char *owner);
/* Seals and sends what is in `w`, which was begun in `d`. */
void say(struct client *c, struct udp_flow *flow, const struct udp_writer *w, unsigned char *d);
void say_segment(struct client *c, bool data, const void *bytes, size_t n, uint16_t flags);
/* What comes within `ms`. */
void listen_for(struct client *c, int ms);

#endif
