/* SPDX-License-Identifier: Apache-2.0 */
/* The UDP socket that boards send to: opened, and drained many datagrams a call. No policy. */
#ifndef DSM_LIB_ENGINE_INGEST_SOCKET_H
#define DSM_LIB_ENGINE_INGEST_SOCKET_H

#include <dsm/engine.h>

#include "engine/ingest.h"

#define INGEST_BATCH 64u
#define INGEST_QUEUE_MAX 16384u     /* datagrams: the socket's queue never holds more */

/* "ADDR:PORT", "[ADDR6]:PORT", "*:PORT" (every address), or without ":PORT": DSM_ADC_PORT. Only looks at
 * the text. -EINVAL. */
int ingest_address(const char *text, char host[256], char port[6]);
/* Bound, non-blocking; `bound` gets the address with the port that it has (0 was asked for: a free one).
 * -EADDRINUSE, -EADDRNOTAVAIL, -EACCES … with text. */
int ingest_socket_open(const char *address, int *fd, char *bound, size_t bound_size);

struct ingest_batch;
int ingest_batch_new(struct ingest_batch **out);
void ingest_batch_free(struct ingest_batch **batch);
/* One recvmmsg(): what is there, at most INGEST_BATCH, into the ingest. Returns how many. */
unsigned ingest_socket_drain(int fd, struct ingest_batch *batch, struct ingest *ingest, uint64_t now_ns);
/* Datagrams that the kernel dropped because nobody fetched them; 0 where it does not tell. */
uint32_t ingest_socket_drops(int fd);
/* "10.0.0.5:4711", for people. */
void ingest_source_text(const struct ingest_source *source, char *buf, size_t size);

#endif
