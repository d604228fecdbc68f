/* SPDX-License-Identifier: Apache-2.0 */
/* From single attempts to whole transfers: tries again, gives up in time, sees a stop. */
#include "harness/clock.h"
#include "peers/peer.h"

#include <errno.h>

#define LOOKS 1024u /* attempts of a polling side between two looks at the clock */

struct wait {
	unsigned tries;
	uint64_t deadline;
};

static bool told_to_stop(const struct transfer *t)
{
	return bench_stop || (t->shared && atomic_load_explicit(&t->shared->stop, memory_order_relaxed));
}

/* An attempt has failed with `error`: 0 = go on trying. */
static int after_failure(const struct transfer *t, struct wait *wait, ssize_t error)
{
	if (error == -EINTR) {
		if (told_to_stop(t))
			return -EINTR;
		return bench_expired ? -ETIME : 0;
	}
	if (error != -EAGAIN)
		return error == -ETIMEDOUT && told_to_stop(t) ? -EINTR : (int)error;
	if (told_to_stop(t))
		return -EINTR;
	if (bench_expired)
		return -ETIME;
	bench_relax();
	if (t->peer->spin && ++wait->tries % LOOKS)
		return 0;
	uint64_t now = bench_now_ns();
	if (!wait->deadline)
		wait->deadline = now + t->patience_ns;
	return t->patience_ns && now > wait->deadline ? -ETIMEDOUT : 0;
}

int transfer_send(const struct transfer *t, const void *data, size_t size, unsigned lane)
{
	struct wait wait = { 0 };
	const char *at = data;
	while (size) {
		ssize_t n = t->peer->ops->send(t->peer, at, size, lane);
		if (n > 0) {
			at += n;
			size -= (size_t)n;
			if (size && told_to_stop(t))
				return -EINTR;
			continue;
		}
		int rc = after_failure(t, &wait, n);
		if (rc)
			return rc;
	}
	return 0;
}

int transfer_recv(const struct transfer *t, void *data, size_t size, unsigned lane)
{
	struct wait wait = { 0 };
	char *at = data;
	while (size) {
		ssize_t n = t->peer->ops->recv(t->peer, at, size, lane);
		if (n > 0) {
			at += n;
			size -= (size_t)n;
			if (t->peer->ops->messages && size)
				return -EBADMSG; /* a message is whole or nothing */
			if (size && told_to_stop(t))
				return -EINTR;
			continue;
		}
		int rc = after_failure(t, &wait, n);
		if (rc)
			return rc;
	}
	return 0;
}
