/* SPDX-License-Identifier: Apache-2.0 */
/* The shm control channel: whole messages over an AF_UNIX SOCK_SEQPACKET socket in the abstract
 * namespace (nothing stays behind after kill -9), with descriptors riding along. Both ends. */
#ifndef DSM_LIB_TRANSPORT_CHANNEL_H
#define DSM_LIB_TRANSPORT_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/un.h>

#define CHANNEL_FDS_MAX 250u  /* SCM_RIGHTS takes 253 */

/* Address of an engine's name; returns its length. */
uint32_t channel_address(const char *name, struct sockaddr_un *out);
/* Connected descriptor or negative errno. Not blocking. */
int channel_connect(const char *name);
/* Listening descriptor or negative errno (-EADDRINUSE). */
int channel_listen(const char *name);
/* 0 or negative errno; -EAGAIN the peer's queue is full. */
int channel_send(int fd, const void *message, size_t bytes, const int *fds, uint32_t n);
/* Bytes received, 0 = the peer is gone, or negative errno (-EAGAIN nothing there). Descriptors
 * come CLOEXEC; those beyond `room_fds` are closed. *n is always set. */
int channel_recv(int fd, void *message, size_t room, int *fds, uint32_t room_fds, uint32_t *n);
/* Names of engines that listen on this machine, one a line, into buf. */
void channel_list(char *buf, size_t size);

#endif
