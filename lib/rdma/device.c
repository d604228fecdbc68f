/* SPDX-License-Identifier: Apache-2.0 */
#include "rdma/device.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "core/error.h"

#define DEVICES_MAX 64

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct device {
	struct ibv_context *cm, *own;
	uint32_t holders;
	bool removed;
} devices[DEVICES_MAX];
static bool hooked;

/* What is listed is the parent's, and so are the objects on it. */
static void child_after_fork(void)
{
	pthread_mutex_init(&lock, NULL);
	for (int i = 0; i < DEVICES_MAX; i++)
		devices[i] = (struct device){ 0 };
}

static struct device *find(const struct ibv_context *cm)
{
	for (int i = 0; i < DEVICES_MAX; i++)
		if (devices[i].holders && devices[i].cm == cm)
			return &devices[i];
	return NULL;
}

static struct device *find_or_add(struct ibv_context *cm)
{
	struct device *d = find(cm);
	for (int i = 0; i < DEVICES_MAX && !d; i++)
		if (!devices[i].holders) {
			d = &devices[i];
			*d = (struct device){ .cm = cm };
		}
	return d;
}

static int hold(struct ibv_context *cm, struct ibv_context **own)
{
	int rc = 0;
	pthread_mutex_lock(&lock);
	if (!hooked)
		hooked = pthread_atfork(NULL, NULL, child_after_fork) == 0;
	struct device *d = find_or_add(cm);
	if (!d)
		rc = dsm__fail(-ENFILE, "more than %d RDMA devices in one process", DEVICES_MAX);
	if (rc == 0 && own && !d->own && !(d->own = ibv_open_device(cm->device)))
		rc = dsm__fail(errno ? -errno : -ENODEV, "rdma: cannot open device %s: %s",
			ibv_get_device_name(cm->device), strerror(errno));
	if (rc == 0 && own)
		*own = d->own;
	if (rc == 0)
		d->holders++;
	pthread_mutex_unlock(&lock);
	return rc;
}

int dsm__rdma_hold(struct ibv_context *cm)
{
	return hold(cm, NULL);
}

int dsm__rdma_open(struct ibv_context *cm, struct ibv_context **own)
{
	return hold(cm, own);
}

/* librdmacm keeps its descriptors of a device open as long as it knows the device, and forgets it
 * only when it finds another in its place. The kernel cannot finish the removal before they are
 * closed. They are replaced, not closed: librdmacm closes what is there itself one day, and must
 * not hit somebody else's descriptor then. */
static void give_back(const struct ibv_context *cm)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0)
		return;
	dup3(null, cm->async_fd, O_CLOEXEC);
	dup3(null, cm->cmd_fd, O_CLOEXEC);
	close(null);
}

void dsm__rdma_release(struct ibv_context *cm, bool removed)
{
	pthread_mutex_lock(&lock);
	struct device *d = find(cm);
	if (d) {
		d->removed |= removed;
		if (--d->holders == 0) {
			if (d->own)
				ibv_close_device(d->own);
			d->own = NULL;
			if (d->removed)
				give_back(cm);
		}
	}
	pthread_mutex_unlock(&lock);
}
