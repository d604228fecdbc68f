/* SPDX-License-Identifier: Apache-2.0 */
#include "net/pcap.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_HEAD 24u
#define RECORD_HEAD 16u
#define IP_HEAD 20u
#define UDP_HEAD 8u
#define HEADS (IP_HEAD + UDP_HEAD)
#define MAGIC_NS 0xa1b23c4du /* times in ns */
#define LINK_RAW 101u

struct pcap {
	FILE *file;
};

static void put16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static uint32_t get16(const uint8_t *at)
{
	return (uint32_t)at[0] << 8 | at[1];
}

/* The sum of RFC 1071, not yet folded, over bytes that follow `sum`'s. */
static uint32_t add_up(uint32_t sum, const uint8_t *bytes, size_t n)
{
	for (size_t i = 0; i + 1 < n; i += 2)
		sum += get16(bytes + i);
	return n % 2 ? sum + ((uint32_t)bytes[n - 1] << 8) : sum;
}

static uint32_t fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return ~sum & 0xffff;
}

int pcap_create(const char *path, struct pcap **out)
{
	const uint32_t head[FILE_HEAD / 4] = { MAGIC_NS, 2 | 4u << 16, 0, 0, 1u << 17, LINK_RAW };
	struct pcap *pcap = calloc(1, sizeof(*pcap));
	if (!pcap)
		return -ENOMEM;
	errno = 0;
	pcap->file = fopen(path, "wbe");
	if (!pcap->file || fwrite(head, 1, FILE_HEAD, pcap->file) != FILE_HEAD) {
		int rc = errno ? -errno : -EIO;
		pcap_close(&pcap);
		return rc;
	}
	*out = pcap;
	return 0;
}

/* IPv4 and UDP headers with their sums, as they would stand on a wire. */
static void make_heads(uint8_t heads[HEADS], const struct sockaddr_in *from,
	const struct sockaddr_in *to, const uint8_t *bytes, size_t n)
{
	memset(heads, 0, HEADS);
	heads[0] = 0x45;
	put16(heads + 2, (uint32_t)(HEADS + n));
	heads[6] = 0x40; /* not to be fragmented */
	heads[8] = 64;
	heads[9] = IPPROTO_UDP;
	memcpy(heads + 12, &from->sin_addr, 4);
	memcpy(heads + 16, &to->sin_addr, 4);
	put16(heads + 10, fold(add_up(0, heads, IP_HEAD)));
	uint8_t *udp = heads + IP_HEAD;
	memcpy(udp, &from->sin_port, 2);
	memcpy(udp + 2, &to->sin_port, 2);
	put16(udp + 4, (uint32_t)(UDP_HEAD + n));
	uint32_t sum = add_up(IPPROTO_UDP + UDP_HEAD + (uint32_t)n, heads + 12, 8);
	sum = fold(add_up(add_up(sum, udp, UDP_HEAD), bytes, n));
	put16(udp + 6, sum ? sum : 0xffff);
}

int pcap_put(struct pcap *pcap, uint64_t time_ns, const struct sockaddr_in *from,
	const struct sockaddr_in *to, const void *bytes, size_t n)
{
	uint8_t heads[HEADS];
	if (n > PCAP_DATAGRAM_MAX)
		return -EMSGSIZE;
	const uint32_t record[RECORD_HEAD / 4] = { (uint32_t)(time_ns / 1000000000u),
		(uint32_t)(time_ns % 1000000000u), (uint32_t)(HEADS + n), (uint32_t)(HEADS + n) };
	make_heads(heads, from, to, bytes, n);
	if (fwrite(record, 1, RECORD_HEAD, pcap->file) != RECORD_HEAD ||
	    fwrite(heads, 1, HEADS, pcap->file) != HEADS || fwrite(bytes, 1, n, pcap->file) != n)
		return -EIO;
	return 0;
}

int pcap_flush(struct pcap *pcap)
{
	return fflush(pcap->file) ? -EIO : 0;
}

void pcap_close(struct pcap **pcap)
{
	if (*pcap && (*pcap)->file)
		fclose((*pcap)->file);
	free(*pcap);
	*pcap = NULL;
}

/* One record. 1: there was none; a negative errno. */
static int take(FILE *file, uint8_t *packet, size_t *n)
{
	uint32_t record[RECORD_HEAD / 4];
	size_t got = fread(record, 1, RECORD_HEAD, file);
	if (got == 0)
		return 1;
	if (got != RECORD_HEAD || record[2] < HEADS || record[2] > HEADS + PCAP_DATAGRAM_MAX ||
	    fread(packet, 1, record[2], file) != record[2])
		return -EBADMSG;
	*n = record[2];
	return packet[0] == 0x45 && packet[9] == IPPROTO_UDP ? 0 : -EBADMSG;
}

int pcap_foreach(const char *path, int (*fn)(const struct sockaddr_in *from,
	const struct sockaddr_in *to, const uint8_t *bytes, size_t n, void *context), void *context)
{
	uint32_t head[FILE_HEAD / 4];
	uint8_t *packet = malloc(HEADS + PCAP_DATAGRAM_MAX);
	FILE *file = fopen(path, "rbe");
	size_t n = 0;
	int rc = file ? 0 : -errno;
	if (!packet)
		rc = -ENOMEM;
	if (rc == 0 && (fread(head, 1, FILE_HEAD, file) != FILE_HEAD || head[0] != MAGIC_NS ||
	    head[5] != LINK_RAW))
		rc = -EBADMSG;
	while (rc == 0 && (rc = take(file, packet, &n)) == 0) {
		struct sockaddr_in from = { .sin_family = AF_INET }, to = from;
		memcpy(&from.sin_addr, packet + 12, 4);
		memcpy(&to.sin_addr, packet + 16, 4);
		memcpy(&from.sin_port, packet + IP_HEAD, 2);
		memcpy(&to.sin_port, packet + IP_HEAD + 2, 2);
		rc = fn(&from, &to, packet + HEADS, n - HEADS, context);
		if (rc)
			goto out;
	}
	rc = rc == 1 ? 0 : rc;
out:
	if (file)
		fclose(file);
	free(packet);
	return rc;
}
