/* SPDX-License-Identifier: Apache-2.0 */
#include "rdma/device.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include "core/error.h"

#define DEVICES_MAX 64

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct { struct ibv_context *verbs; uint32_t holders; bool removed; } devices[DEVICES_MAX];

int dsm__rdma_hold(struct ibv_context *verbs)
{
	int at = -1;
	pthread_mutex_lock(&lock);
	for (int i = 0; i < DEVICES_MAX; i++) {
		if (devices[i].holders && devices[i].verbs == verbs) {
			at = i;
			break;
		}
		if (!devices[i].holders && at < 0)
			at = i;
	}
	if (at >= 0) {
		if (!devices[at].holders)
			devices[at].removed = false;
		devices[at].verbs = verbs;
		devices[at].holders++;
	}
	pthread_mutex_unlock(&lock);
	return at >= 0 ? 0 : dsm__fail(-ENFILE, "more than %d RDMA devices in one process", DEVICES_MAX);
}

/* librdmacm keeps its descriptors of a device open as long as it knows the device, and forgets it
 * only when it finds another in its place. The kernel cannot finish the removal before they are
 * closed. They are replaced, not closed: librdmacm closes what is there itself one day, and must
 * not hit somebody else's descriptor then. */
static void give_back(struct ibv_context *verbs)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0)
		return;
	dup3(null, verbs->async_fd, O_CLOEXEC);
	dup3(null, verbs->cmd_fd, O_CLOEXEC);
	close(null);
}

void dsm__rdma_release(struct ibv_context *verbs, bool removed)
{
	pthread_mutex_lock(&lock);
	for (int i = 0; i < DEVICES_MAX; i++) {
		if (!devices[i].holders || devices[i].verbs != verbs)
			continue;
		devices[i].removed |= removed;
		if (--devices[i].holders == 0 && devices[i].removed)
			give_back(verbs);
		break;
	}
	pthread_mutex_unlock(&lock);
}
