/* SPDX-License-Identifier: Apache-2.0 */
/* port.h on Linux. */
#include "port/port.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "core/error.h"
#include "core/layout.h"
#include "port/socket.h"

static struct timespec span(uint64_t ns)
{
	return (struct timespec){ (time_t)(ns / 1000000000u), (long)(ns % 1000000000u) };
}

/* ---- sockets ---- */

int port_sockets_start(void)
{
	return 0;
}

int port_udp_connect(const struct addrinfo *to, int room_bytes)
{
	int fd = socket(to->ai_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room_bytes, sizeof(room_bytes));
	if (connect(fd, to->ai_addr, to->ai_addrlen) == 0)
		return fd;
	int error = -errno;
	close(fd);
	return error;
}

ssize_t port_send(int socket, const void *data, size_t bytes)
{
	ssize_t n = send(socket, data, bytes, MSG_NOSIGNAL);
	return n < 0 ? -errno : n;
}

ssize_t port_recv(int socket, void *data, size_t room)
{
	ssize_t n = recv(socket, data, room, MSG_DONTWAIT);
	return n < 0 ? -errno : n;
}

void port_socket_close(int socket)
{
	if (socket >= 0)
		close(socket);
}

bool port_wait(const int *descriptors, unsigned n, uint64_t ns)
{
	struct pollfd p[PORT_WAIT_MAX];
	struct timespec t = span(ns);
	for (unsigned i = 0; i < n; i++)
		p[i] = (struct pollfd){ descriptors[i], POLLIN, 0 };
	return ppoll(p, n, &t, NULL) > 0;
}

int port_alarm_open(struct port_alarm *alarm, int socket)
{
	struct epoll_event e = { .events = EPOLLIN };
	alarm->poll = epoll_create1(EPOLL_CLOEXEC);
	alarm->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (alarm->poll < 0 || alarm->timer < 0 || epoll_ctl(alarm->poll, EPOLL_CTL_ADD, socket, &e) ||
	    epoll_ctl(alarm->poll, EPOLL_CTL_ADD, alarm->timer, &e))
		return -errno;
	return 0;
}

void port_alarm_at(struct port_alarm *alarm, uint64_t ns)
{
	struct itimerspec at = { .it_value = span(ns) };
	timerfd_settime(alarm->timer, 0, &at, NULL);
}

int port_alarm_clear(struct port_alarm *alarm)
{
	uint64_t fired;
	return read(alarm->timer, &fired, sizeof(fired)) < 0 && errno != EAGAIN ? -errno : 0;
}

void port_alarm_close(struct port_alarm *alarm)
{
	port_socket_close(alarm->poll);
	port_socket_close(alarm->timer);
	alarm->poll = alarm->timer = -1;
}

int port_waker_open(void)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

void port_waker_ring(int waker)
{
	uint64_t one = 1;
	if (write(waker, &one, sizeof(one)) < 0)
		return; /* it is ringing already */
}

void port_waker_clear(int waker)
{
	uint64_t rings;
	if (read(waker, &rings, sizeof(rings)) < 0)
		return; /* it was not ringing */
}

void port_waker_close(int waker)
{
	port_socket_close(waker);
}

/* ---- words ---- */

void port_word_wait(const _Atomic uint32_t *word, uint32_t value, uint64_t ns)
{
	struct timespec t = span(ns);
	syscall(SYS_futex, word, FUTEX_WAIT, value, &t, 0, 0);
}

/* Not private: a waiter over shm sleeps on two words, one of them shared. */
void port_word_wake(const _Atomic uint32_t *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, 0, 0, 0);
}

void port_sleep(uint64_t ns)
{
	struct timespec t = span(ns);
	nanosleep(&t, NULL);
}

/* ---- memory ---- */

void *port_reserve(uint64_t bytes)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return at == MAP_FAILED ? NULL : at;
}

void port_release(void *at, uint64_t bytes)
{
	if (at)
		munmap(at, bytes);
}

void *port_pages(uint64_t bytes)
{
	void *at = aligned_alloc(DSM_PAGE, bytes);
	if (at && madvise(at, DSM_PAGE, MADV_WIPEONFORK)) {
		free(at);
		return NULL;
	}
	return at;
}

void port_wipe(void *at, size_t bytes)
{
	explicit_bzero(at, bytes);
}

/* ---- random numbers, names, texts ---- */

/* Up to 256 bytes come whole; before the kernel has collected enough, it waits. */
int port_random(void *to, size_t bytes)
{
	return getrandom(to, bytes, 0) == (ssize_t)bytes ? 0 : -EIO;
}

const char *port_program_name(void)
{
	return program_invocation_short_name;
}

const char *port_strerror(int error)
{
	return strerror(error);
}

static pthread_once_t once = PTHREAD_ONCE_INIT;
static locale_t c_locale;

static void make_locale(void)
{
	c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0); /* a constant object in glibc and musl */
}

void port_locale_c(struct port_locale *locale)
{
	pthread_once(&once, make_locale);
	locale->before = uselocale(c_locale);
}

void port_locale_back(const struct port_locale *locale)
{
	uselocale((locale_t)locale->before);
}

/* ---- threads ---- */

/* Not signals of a fault in the thread itself: where they are blocked the kernel kills the process, and
 * the program's handler is passed by. */
int port_thread_start(pthread_t *thread, void *(*run)(void *), void *context)
{
	static const int faults[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGSYS, SIGTRAP, SIGABRT };
	sigset_t most, before;
	sigfillset(&most);
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		sigdelset(&most, faults[i]);
	pthread_sigmask(SIG_SETMASK, &most, &before);
	int rc = pthread_create(thread, NULL, run, context);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return rc;
}

void port_thread_name(const char *name)
{
	(void)pthread_setname_np(pthread_self(), name);
}

void port_after_fork(void (*f)(void))
{
	pthread_atfork(NULL, NULL, f);
}

void port_cond_init(pthread_cond_t *cond)
{
	pthread_condattr_t attr;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(cond, &attr);
	pthread_condattr_destroy(&attr);
}

void port_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex, uint64_t ns)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	struct timespec until = span((uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec + ns);
	pthread_cond_timedwait(cond, mutex, &until);
}

/* ---- files ---- */

static int read_whole(int fd, const char *path, char *text, size_t bytes)
{
	size_t n = 0;
	for (ssize_t got = 1; got > 0 && n < bytes; n += (size_t)got) {
		got = read(fd, text + n, bytes - n);
		if (got < 0)
			return dsm__fail(-errno, "key file %s: %s", path, strerror(errno));
	}
	text[n] = '\0';
	return 0;
}

int port_private_file(const char *path, size_t max_bytes, void *(*room)(size_t), char **text)
{
	struct stat st;
	int rc = 0, fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return dsm__fail(-errno, "key file %s: %s", path, strerror(errno));
	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || (size_t)st.st_size > max_bytes)
		rc = dsm__fail(-EINVAL, "key file %s: expected a text file of at most %zu KiB", path, max_bytes >> 10);
	else if (st.st_mode & 077)
		rc = dsm__fail(-EACCES, "key file %s: others may read it (mode %03o); chmod 600 it", path,
			(unsigned)st.st_mode & 0777u);
	char *memory = rc ? NULL : room((size_t)st.st_size + 1);
	if (rc == 0 && !memory)
		rc = dsm__fail(-ENOMEM, "no memory for key file %s", path);
	if (rc == 0)
		rc = read_whole(fd, path, memory, (size_t)st.st_size);
	close(fd);
	if (memory)
		*text = memory;
	return rc;
}
