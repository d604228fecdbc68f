/* SPDX-License-Identifier: Apache-2.0 */
/* DSM_MANUAL: the slow path in the caller's loop, through dsm_fd() and dsm_dispatch(). What dsm_fd()
 * gives is a Linux thing; elsewhere the caller comes by the clock. */
#include <errno.h>
#ifdef __linux__
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>
#endif

#include "client/handle.h"
#include "port/port.h"

#ifdef __linux__

/* Each names itself, so that a test sees which one it was. */
static int poll_fd(const struct dsm *dsm, int what, int fd)
{
	struct epoll_event e = { .events = EPOLLIN, .data.fd = fd };
	return epoll_ctl(dsm->manual_fd, what, fd, &e);
}

/* Also where the handle's own operations are told of commits. */
static int poll_link(const struct dsm *dsm, int what, const struct link *link)
{
	int rc = poll_fd(dsm, what, link->ops->fd(link->conn));
	return rc == 0 && link->ops->data_fd ? poll_fd(dsm, what, link->ops->data_fd(link->conn)) : rc;
}

int manual_begin(struct dsm *dsm)
{
	struct itimerspec every = { { 0, TICK_NS }, { 0, TICK_NS } };
	dsm->manual_fd = epoll_create1(EPOLL_CLOEXEC);
	dsm->manual_timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (dsm->manual_fd < 0 || dsm->manual_timer < 0 ||
	    timerfd_settime(dsm->manual_timer, 0, &every, NULL) ||
	    poll_fd(dsm, EPOLL_CTL_ADD, dsm->manual_timer) ||
	    poll_link(dsm, EPOLL_CTL_ADD, dsm->link))
		return dsm__fail(-errno, "cannot make a descriptor to poll: %s", port_strerror(errno));
	return 0;
}

void manual_end(struct dsm *dsm)
{
	if (dsm->manual_fd >= 0)
		close(dsm->manual_fd);
	if (dsm->manual_timer >= 0)
		close(dsm->manual_timer);
}

static int take_tick(struct dsm *dsm)
{
	uint64_t ticks;
	return read(dsm->manual_timer, &ticks, sizeof(ticks)) < 0 && errno != EAGAIN ?
		dsm__fail(-errno, "timer: %s", port_strerror(errno)) : 0;
}

static void watch_link(struct dsm *dsm, bool again)
{
	struct link *link = slow_link(dsm);
	if (dsm->lost) /* its end stays readable: poll() would return at once, for ever */
		poll_link(dsm, EPOLL_CTL_DEL, link);
	if (again)
		poll_link(dsm, EPOLL_CTL_ADD, link);
}

static int descriptor(const struct dsm *dsm)
{
	return dsm->manual_fd;
}

#else

int manual_begin(struct dsm *dsm)
{
	(void)dsm;
	return 0;
}

void manual_end(struct dsm *dsm)
{
	(void)dsm;
}

static int take_tick(struct dsm *dsm)
{
	(void)dsm;
	return 0;
}

static void watch_link(struct dsm *dsm, bool again)
{
	(void)dsm;
	(void)again;
}

static int descriptor(const struct dsm *dsm)
{
	(void)dsm;
	return dsm__fail(-ENOTSUP, "dsm_fd(): not available on Windows; call dsm_dispatch() every 20 ms");
}

#endif

int dsm_fd(struct dsm *dsm)
{
	int rc = handle_check(dsm);
	if (rc)
		return rc;
	if (!(dsm->options.flags & DSM_MANUAL))
		return dsm__fail(-EINVAL, "dsm_fd() is for handles attached with DSM_MANUAL");
	return descriptor(dsm);
}

int dsm_dispatch(struct dsm *dsm)
{
	int rc = handle_check(dsm);
	if (rc)
		return rc;
	if (!(dsm->options.flags & DSM_MANUAL))
		return dsm__fail(-EINVAL, "dsm_dispatch() is for handles attached with DSM_MANUAL");
	rc = take_tick(dsm);
	if (rc)
		return rc;
	uint64_t before = dsm->reattached;
	thread_pass(dsm);
	watch_link(dsm, dsm->reattached != before);
	/* this is the handle's thread: what its own operations are told is taken in as well */
	if (dsm->ops->listen)
		dsm->ops->listen(dsm->conn, &dsm->wake, atomic_load_explicit(&dsm->wake, memory_order_relaxed), 0);
	return 0;
}
