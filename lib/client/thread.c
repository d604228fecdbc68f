/* SPDX-License-Identifier: Apache-2.0 */
/* One library thread a process for the slow path of all handles, started with the first and
 * ended with the last; or the caller's loop through dsm_fd() and dsm_dispatch(). */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "client/handle.h"

#define TICK_MS 20
#define POLLED_MAX 256

/* Held while the thread is started or ended, so that no handle joins one that is ending. Before
 * `registry`. */
static pthread_mutex_t life = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t registry = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t pass_over = PTHREAD_COND_INITIALIZER;
static struct dsm *handles;
static pthread_t thread;
static bool running, hooked;
static int poke_fd = -1;

/* In a forked child the thread does not exist and the handles are the parent's. */
static void child_after_fork(void)
{
	pthread_mutex_init(&life, NULL);
	pthread_mutex_init(&registry, NULL);
	pthread_cond_init(&pass_over, NULL);
	handles = NULL;
	running = false;
	if (poke_fd >= 0)
		close(poke_fd);
	poke_fd = -1;
}

static void pass(struct dsm *dsm)
{
	slow_reattach(dsm);
	pthread_mutex_lock(&dsm->lock);
	slow_step(dsm);
	pthread_mutex_unlock(&dsm->lock);
}

/* Registry held on entry and exit, not while a handle is served. */
static void pass_all(void)
{
	for (struct dsm *d = handles; d; d = d->list_next) {
		d->in_pass = true;
		pthread_mutex_unlock(&registry);
		pass(d);
		pthread_mutex_lock(&registry);
		d->in_pass = false;
		pthread_cond_broadcast(&pass_over);
	}
}

static nfds_t gather(struct pollfd *fds)
{
	nfds_t n = 0;
	fds[n++] = (struct pollfd){ poke_fd, POLLIN, 0 };
	for (struct dsm *d = handles; d && n < POLLED_MAX; d = d->list_next) {
		pthread_mutex_lock(&d->lock);
		struct link *link = slow_link(d);
		if (!d->lost)
			fds[n++] = (struct pollfd){ link->ops->fd(link->conn), POLLIN, 0 };
		pthread_mutex_unlock(&d->lock);
	}
	return n;
}

static void *run(void *unused)
{
	struct pollfd fds[POLLED_MAX];
	(void)unused;
	pthread_mutex_lock(&registry);
	while (running) {
		pass_all();
		nfds_t n = gather(fds);
		pthread_mutex_unlock(&registry);
		poll(fds, n, TICK_MS);
		uint64_t pokes;
		if ((fds[0].revents & POLLIN) && read(poke_fd, &pokes, sizeof(pokes)) < 0)
			fds[0].revents = 0;
		pthread_mutex_lock(&registry);
	}
	pthread_mutex_unlock(&registry);
	return NULL;
}

void thread_poke(void)
{
	uint64_t one = 1;
	if (poke_fd >= 0 && write(poke_fd, &one, sizeof(one)) < 0)
		return;
}

/* Signals stay the program's: the thread blocks them. Not those of a fault in the thread itself:
 * where they are blocked the kernel kills the process, and the program's handler is passed by. */
static void block_signals(sigset_t *before)
{
	static const int faults[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGSYS, SIGTRAP, SIGABRT };
	sigset_t most;

	sigfillset(&most);
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		sigdelset(&most, faults[i]);
	pthread_sigmask(SIG_SETMASK, &most, before);
}

static int start(void)
{
	sigset_t before;
	if (!hooked) {
		pthread_atfork(NULL, NULL, child_after_fork);
		hooked = true;
	}
	poke_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (poke_fd < 0)
		return dsm__fail(-errno, "cannot make an eventfd: %s", strerror(errno));
	running = true;
	block_signals(&before);
	int rc = pthread_create(&thread, NULL, run, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc) {
		running = false;
		close(poke_fd);
		poke_fd = -1;
		return dsm__fail(-rc, "cannot start the library's thread: %s", strerror(rc));
	}
	return 0;
}

static int manual(struct dsm *dsm)
{
	struct itimerspec every = { { 0, TICK_MS * 1000000 }, { 0, TICK_MS * 1000000 } };
	struct epoll_event e = { .events = EPOLLIN };
	dsm->manual_fd = epoll_create1(EPOLL_CLOEXEC);
	dsm->manual_timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (dsm->manual_fd < 0 || dsm->manual_timer < 0 ||
	    timerfd_settime(dsm->manual_timer, 0, &every, NULL) ||
	    epoll_ctl(dsm->manual_fd, EPOLL_CTL_ADD, dsm->manual_timer, &e) ||
	    epoll_ctl(dsm->manual_fd, EPOLL_CTL_ADD, dsm->ops->fd(dsm->conn), &e))
		return dsm__fail(-errno, "cannot make a descriptor to poll: %s", strerror(errno));
	return 0;
}

int thread_join(struct dsm *dsm)
{
	if (dsm->options.flags & DSM_MANUAL)
		return manual(dsm);
	int rc = 0;
	pthread_mutex_lock(&life);
	pthread_mutex_lock(&registry);
	if (!running)
		rc = start();
	if (rc == 0) {
		dsm->list_next = handles;
		dsm->listed = true;
		handles = dsm;
	}
	pthread_mutex_unlock(&registry);
	thread_poke();
	pthread_mutex_unlock(&life);
	return rc;
}

void thread_leave(struct dsm *dsm)
{
	pthread_mutex_lock(&registry);
	while (dsm->in_pass)
		pthread_cond_wait(&pass_over, &registry);
	struct dsm **at = &handles;
	while (*at && *at != dsm)
		at = &(*at)->list_next;
	if (*at)
		*at = dsm->list_next;
	bool listed = dsm->listed;
	pthread_mutex_unlock(&registry);
	if (!listed)
		return;
	atomic_store(&dsm->leaving, true);
	slow_end_try(dsm); /* before the descriptor goes that it pokes */
	pthread_mutex_lock(&life);
	pthread_mutex_lock(&registry);
	bool last = !handles && running;
	if (last)
		running = false;
	pthread_mutex_unlock(&registry);
	if (last) {
		thread_poke();
		pthread_join(thread, NULL);
		close(poke_fd);
		poke_fd = -1;
	}
	pthread_mutex_unlock(&life);
}

int dsm_fd(struct dsm *dsm)
{
	int rc = handle_check(dsm);
	if (rc)
		return rc;
	if (!(dsm->options.flags & DSM_MANUAL))
		return dsm__fail(-EINVAL, "dsm_fd() is for handles attached with DSM_MANUAL");
	return dsm->manual_fd;
}

int dsm_dispatch(struct dsm *dsm)
{
	int rc = handle_check(dsm);
	uint64_t ticks;
	if (rc)
		return rc;
	if (!(dsm->options.flags & DSM_MANUAL))
		return dsm__fail(-EINVAL, "dsm_dispatch() is for handles attached with DSM_MANUAL");
	if (read(dsm->manual_timer, &ticks, sizeof(ticks)) < 0 && errno != EAGAIN)
		return dsm__fail(-errno, "timer: %s", strerror(errno));
	uint64_t before = dsm->reattached;
	pass(dsm);
	if (dsm->lost) { /* its end stays readable: poll() would return at once, for ever */
		struct link *link = slow_link(dsm);
		epoll_ctl(dsm->manual_fd, EPOLL_CTL_DEL, link->ops->fd(link->conn), NULL);
	}
	if (dsm->reattached != before) {
		struct link *link = slow_link(dsm);
		struct epoll_event e = { .events = EPOLLIN };
		epoll_ctl(dsm->manual_fd, EPOLL_CTL_ADD, link->ops->fd(link->conn), &e);
	}
	return 0;
}
