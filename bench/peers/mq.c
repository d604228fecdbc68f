/* SPDX-License-Identifier: Apache-2.0 */
/* Peer: POSIX message queues. Their names go as soon as both ends are open. */
#include "peers/peer.h"

#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>
#include <unistd.h>

#define DEPTH 8

static size_t largest_message(void)
{
	size_t bytes = 8192;
	FILE *f = fopen("/proc/sys/fs/mqueue/msgsize_max", "re");
	if (f) {
		if (fscanf(f, "%zu", &bytes) != 1)
			bytes = 8192;
		fclose(f);
	}
	return bytes;
}

static bool mq_fits(size_t size, const char **why)
{
	static char text[96];
	size_t most = largest_message();
	snprintf(text, sizeof(text), "a message holds at most %zu bytes here (fs.mqueue.msgsize_max)", most);
	*why = text;
	return size <= most;
}

static int queue(const struct peer *peer, const char *which, int *in, int *out)
{
	char name[64];
	size_t bytes = peer->size < 16 ? 16 : peer->size;
	struct mq_attr attributes = { .mq_maxmsg = DEPTH, .mq_msgsize = (long)bytes };
	snprintf(name, sizeof(name), "/dsm-bench.%d.%s", (int)getpid(), which);
	*in = mq_open(name, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600, &attributes);
	if (*in < 0)
		return errno == ENOSYS ? -ENOTSUP : -errno;
	*out = mq_open(name, O_WRONLY | O_CLOEXEC);
	int rc = *out < 0 ? -errno : 0;
	mq_unlink(name);
	return rc;
}

static int mq_peer_open(struct peer *peer)
{
	int rc = queue(peer, "there", &peer->end[PEER_SERVER][0], &peer->end[PEER_CLIENT][1]);
	return rc ? rc : queue(peer, "back", &peer->end[PEER_CLIENT][0], &peer->end[PEER_SERVER][1]);
}

static int mq_join(struct peer *peer, enum peer_side side)
{
	struct mq_attr attributes = { .mq_flags = peer->spin ? O_NONBLOCK : 0 };
	peer->side = side;
	/* on Linux a queue is a descriptor; the other side's are left to close() */
	for (int i = 0; i < 2; i++) {
		if (mq_setattr(peer->end[side][i], &attributes, NULL))
			return -errno;
	}
	return 0;
}

static ssize_t mq_peer_send(struct peer *peer, const void *data, size_t size, unsigned lane)
{
	(void)lane;
	int rc = mq_send(peer->end[peer->side][1], data, size, 0);
	return peer_result(peer, rc ? -1 : (ssize_t)size);
}

static ssize_t mq_peer_recv(struct peer *peer, void *data, size_t size, unsigned lane)
{
	(void)lane;
	/* the buffer must have room for the queue's largest message, also when a small one comes */
	char small[16];
	char *room = size < sizeof(small) ? small : data;
	ssize_t n = mq_receive(peer->end[peer->side][0], room, size < sizeof(small) ? sizeof(small) : peer->size, NULL);
	if (n > 0 && room == small)
		__builtin_memcpy(data, small, (size_t)n);
	return peer_result(peer, n);
}

const struct peer_ops peer_mq = { .name = "mq", .messages = true, .fits = mq_fits,
	.open = mq_peer_open, .join = mq_join, .send = mq_peer_send, .recv = mq_peer_recv,
	.close = peer_close_descriptors };
