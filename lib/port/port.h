/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a client over udp needs of the system and what POSIX and Windows spell differently: sockets,
 * waiting, memory, random numbers, locale, threads, private files. posix.c and windows.c do the same thing
 * twice; no policy. What is Linux's alone (shm, verbs, the engine) calls Linux.
 * Sockets are ints: a SOCKET of Windows is a handle, and those have 32 bits that matter.
 */
#ifndef DSM_LIB_PORT_PORT_H
#define DSM_LIB_PORT_PORT_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* ---- sockets; errors are negative errno ---- */

#define PORT_WAIT_MAX 256u

struct addrinfo;

/* Before any other call about sockets; again is allowed. */
int port_sockets_start(void);
/* A UDP socket connected to `to`, never blocking, not inherited, with room for so much to come. */
int port_udp_connect(const struct addrinfo *to, int room_bytes);
/* Bytes, or -EAGAIN, or -ECONNREFUSED: somebody says that nobody listens there. */
ssize_t port_send(int socket, const void *data, size_t bytes);
/* One datagram, cut off at `room`. -EAGAIN none is there; -ECONNREFUSED as above. */
ssize_t port_recv(int socket, void *data, size_t room);
/* -1 is allowed. */
void port_socket_close(int socket);
/* Sleeps until one of n <= PORT_WAIT_MAX sockets, alarms or wakers has something, at most so long (on
 * Windows in whole milliseconds). False: none has. */
bool port_wait(const int *descriptors, unsigned n, uint64_t ns);

/* Something to poll that has something when its socket has, or when a time has come. On Windows it is
 * the socket itself, and the time is not noticed: who waits there comes back every tick anyway. */
struct port_alarm { int poll, timer; };
int port_alarm_open(struct port_alarm *alarm, int socket);
/* The time: from now, 0 < ns. Replaces the one before. */
void port_alarm_at(struct port_alarm *alarm, uint64_t ns);
/* Forgets that the time has come. */
int port_alarm_clear(struct port_alarm *alarm);
/* Closes what is not -1. The socket stays open. */
void port_alarm_close(struct port_alarm *alarm);

/* Gets another thread out of port_wait(). Descriptor or negative errno. */
int port_waker_open(void);
void port_waker_ring(int waker);
void port_waker_clear(int waker);
void port_waker_close(int waker);

/* ---- sleeping on a word: spurious returns are the caller's to handle ---- */

void port_word_wait(const _Atomic uint32_t *word, uint32_t value, uint64_t ns);
void port_word_wake(const _Atomic uint32_t *word);
void port_sleep(uint64_t ns);

/* ---- memory ---- */

/* Zeros that cost nothing until they are touched. NULL if there are none. */
void *port_reserve(uint64_t bytes);
/* NULL is allowed. */
void port_release(void *at, uint64_t bytes);
/* Whole pages, never given back. The first one becomes zeros in a forked child. */
void *port_pages(uint64_t bytes);
/* The compiler does not leave it out. */
void port_wipe(void *at, size_t bytes);

/* ---- random numbers, names, texts ---- */

/* From the system, fit for keys; at most 256 bytes. -EIO. */
int port_random(void *to, size_t bytes);
/* Without its folder; valid for ever. */
const char *port_program_name(void);
/* Text of a positive errno; also of those of sockets. */
const char *port_strerror(int error);

/* The "C" locale for the calling thread, and back to what it had. */
struct port_locale { void *before; char name[96]; };
void port_locale_c(struct port_locale *locale);
void port_locale_back(const struct port_locale *locale);

/* ---- threads ---- */

/* The thread sees no signals but those of its own faults: they stay the program's. Positive errno, as pthread_create(). */
int port_thread_start(pthread_t *thread, void *(*run)(void *), void *context);
/* Of the calling thread, for who looks at it from outside; at most 15 bytes. */
void port_thread_name(const char *name);
/* Calls f in a child after fork(). */
void port_after_fork(void (*f)(void));
/* For port_cond_wait() only. */
void port_cond_init(pthread_cond_t *cond);
void port_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex, uint64_t ns);

/* ---- files ---- */

/* A regular file of at most max_bytes that nobody but its owner (and administrators) may read, whole, into
 * memory of room(bytes + 1), with a NUL behind it, which is the caller's: also after a failure, if *text is
 * set. `path` is UTF-8. -EINVAL no such file; -EACCES others may read it, and how to change that is in the
 * error text; -ENOMEM; others of open(). */
int port_private_file(const char *path, size_t max_bytes, void *(*room)(size_t), char **text);

#endif
