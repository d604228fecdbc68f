/* SPDX-License-Identifier: Apache-2.0 */
/* One library thread a process for the slow path of all handles, started with the first and
 * ended with the last. The caller's own loop is in manual.c. */
#include <pthread.h>

#include "client/handle.h"
#include "port/port.h"

/* Held while the thread is started or ended, so that no handle joins one that is ending. Before
 * `registry`. */
static pthread_mutex_t life = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t registry = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t pass_over = PTHREAD_COND_INITIALIZER;
static struct dsm *handles;
static pthread_t thread;
static bool running, hooked;
static int poke_fd = -1; /* a waker */

/* In a forked child the thread does not exist and the handles are the parent's. */
static void child_after_fork(void)
{
	pthread_mutex_init(&life, NULL);
	pthread_mutex_init(&registry, NULL);
	pthread_cond_init(&pass_over, NULL);
	handles = NULL;
	running = false;
	port_waker_close(poke_fd);
	poke_fd = -1;
}

void thread_pass(struct dsm *dsm)
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
		thread_pass(d);
		pthread_mutex_lock(&registry);
		d->in_pass = false;
		pthread_cond_broadcast(&pass_over);
	}
}

static unsigned gather(int *fds)
{
	unsigned n = 0;
	fds[n++] = poke_fd;
	for (struct dsm *d = handles; d && n < PORT_WAIT_MAX; d = d->list_next) {
		pthread_mutex_lock(&d->lock);
		struct link *link = slow_link(d);
		if (!d->lost)
			fds[n++] = link->ops->fd(link->conn);
		pthread_mutex_unlock(&d->lock);
	}
	return n;
}

static void *run(void *unused)
{
	int fds[PORT_WAIT_MAX];
	(void)unused;
	port_thread_name("dsm");
	pthread_mutex_lock(&registry);
	while (running) {
		pass_all();
		unsigned n = gather(fds);
		pthread_mutex_unlock(&registry);
		if (port_wait(fds, n, TICK_NS))
			port_waker_clear(fds[0]);
		pthread_mutex_lock(&registry);
	}
	pthread_mutex_unlock(&registry);
	return NULL;
}

void thread_poke(void)
{
	if (poke_fd >= 0)
		port_waker_ring(poke_fd);
}

static int start(void)
{
	if (!hooked) {
		port_after_fork(child_after_fork);
		hooked = true;
	}
	int fd = port_waker_open();
	if (fd < 0)
		return dsm__fail(fd, "cannot make a descriptor to wake a thread: %s", port_strerror(-fd));
	poke_fd = fd;
	running = true;
	int rc = port_thread_start(&thread, run, NULL);
	if (rc) {
		running = false;
		port_waker_close(poke_fd);
		poke_fd = -1;
		return dsm__fail(-rc, "cannot start the library's thread: %s", port_strerror(rc));
	}
	return 0;
}

int thread_join(struct dsm *dsm)
{
	if (dsm->options.flags & DSM_MANUAL)
		return manual_begin(dsm);
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
		port_waker_close(poke_fd);
		poke_fd = -1;
	}
	pthread_mutex_unlock(&life);
}
