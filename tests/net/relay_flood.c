/* SPDX-License-Identifier: Apache-2.0 */
/* Datagrams that no client sent: forged ones, captured ones from other addresses, and many of them. */
#include "net/relay.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BURST 256u      /* datagrams at most in one step */
#define LENGTH 1200u    /* of what is invented */

void kept_put(struct kept *kept, bool first, const void *bytes, size_t n)
{
	uint64_t at = first ? kept->firsts % RELAY_FLOWS : kept->puts % RELAY_KEPT;
	uint8_t **place = first ? &kept->first[at].bytes : &kept->ring[at].bytes;
	uint8_t *copy = realloc(*place, n ? n : 1);
	if (!copy)
		return;
	memcpy(copy, bytes, n);
	*place = copy;
	*(first ? &kept->first[at].n : &kept->ring[at].n) = (uint32_t)n;
	*(first ? &kept->firsts : &kept->puts) += 1;
}

void kept_clear(struct kept *kept)
{
	for (size_t i = 0; i < RELAY_KEPT; i++)
		free(kept->ring[i].bytes);
	for (size_t i = 0; i < RELAY_FLOWS; i++)
		free(kept->first[i].bytes);
	memset(kept, 0, sizeof(*kept));
}

static void invent(uint64_t *random, uint8_t *out, size_t n)
{
	for (size_t i = 0; i < n; i++)
		out[i] = (uint8_t)(draw(random) >> 56);
}

size_t forge(uint64_t *random, const uint8_t *real, size_t n, uint8_t *out, size_t room)
{
	size_t keep, bytes = n < room ? n : room;
	switch (draw(random) % 4) {
	case 0: /* nothing of it is real */
		invent(random, out, bytes);
		break;
	case 1: /* its beginning is */
		keep = bytes < 16 ? bytes : 16;
		memcpy(out, real, keep);
		invent(random, out + keep, bytes - keep);
		break;
	case 2: /* all but one bit near its beginning, where numbers and sessions stand */
		memcpy(out, real, bytes);
		if (bytes)
			out[draw(random) % (bytes < 32 ? bytes : 32)] ^= (uint8_t)(1u << draw(random) % 8);
		break;
	default: /* longer than it was, if there is room */
		memcpy(out, real, bytes);
		keep = bytes;
		bytes += 1 + draw(random) % 64;
		bytes = bytes < room ? bytes : room;
		invent(random, out + keep, bytes - keep);
	}
	return bytes;
}

void flood_close(struct flood *flood)
{
	for (size_t i = 0; i < RELAY_FLOOD_PORTS; i++) {
		if (flood->fd[i] > 0)
			close(flood->fd[i]);
		flood->fd[i] = 0;
	}
}

/* 0 is never a socket here: standard input is open. */
static int port_of(struct flood *flood, const struct sockaddr_in *to, uint64_t n)
{
	int *fd = &flood->fd[n % RELAY_FLOOD_PORTS];
	if (*fd <= 0)
		*fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (*fd > 0 && connect(*fd, (const struct sockaddr *)to, sizeof(*to)) != 0)
		return -1;
	return *fd;
}

/* One in four: noise; the first of a flow (who asks to be let in) as it was; forged; any other. */
static size_t next_one(uint64_t *random, const struct kept *kept, uint8_t *out)
{
	uint64_t firsts = kept->firsts < RELAY_FLOWS ? kept->firsts : RELAY_FLOWS;
	uint64_t puts = kept->puts < RELAY_KEPT ? kept->puts : RELAY_KEPT;
	uint64_t kind = draw(random) % 4, pick = draw(random);
	if (kind == 1 && firsts) {
		memcpy(out, kept->first[pick % firsts].bytes, kept->first[pick % firsts].n);
		return kept->first[pick % firsts].n;
	}
	if (kind >= 2 && puts) {
		const uint8_t *real = kept->ring[pick % puts].bytes;
		size_t n = kept->ring[pick % puts].n;
		if (kind == 2)
			return forge(random, real, n, out, RELAY_DATAGRAM);
		memcpy(out, real, n);
		return n;
	}
	size_t n = pick % LENGTH;
	invent(random, out, n);
	return n;
}

static void hear(struct flood *flood, uint8_t *buffer, struct relay_counts *counts)
{
	for (size_t i = 0; i < RELAY_FLOOD_PORTS; i++)
		for (unsigned n = 0; flood->fd[i] > 0 && n < BURST; n++) {
			ssize_t got = recv(flood->fd[i], buffer, RELAY_DATAGRAM, 0);
			if (got < 0)
				break;
			counts->answers++;
			counts->answer_bytes += (uint64_t)got;
		}
}

void flood_step(struct flood *flood, const struct kept *kept, const struct sockaddr_in *to, double per_s,
	uint64_t seed, uint64_t now_ns, struct relay_counts *counts)
{
	static uint8_t buffer[RELAY_DATAGRAM + 64];
	hear(flood, buffer, counts);
	if (per_s > 0 && flood->last_ns)
		flood->owed += per_s * (double)(now_ns - flood->last_ns) / 1e9;
	flood->last_ns = per_s > 0 ? now_ns : 0;
	if (flood->owed > 4 * BURST || per_s <= 0)
		flood->owed = per_s <= 0 ? 0 : 4 * BURST; /* the machine is too slow for that rate */
	for (unsigned i = 0; i < BURST && flood->owed >= 1; i++, flood->owed -= 1) {
		uint64_t random = seed ^ UINT64_C(0xf100d) << 40 ^ flood->n * UINT64_C(0x2545f4914f6cdd1d);
		int fd = port_of(flood, to, flood->n++);
		size_t n = next_one(&random, kept, buffer);
		if (fd > 0 && send(fd, buffer, n, 0) == (ssize_t)n) {
			counts->flooded++;
			counts->flooded_bytes += n;
		}
	}
}
