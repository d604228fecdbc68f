/* SPDX-License-Identifier: Apache-2.0 */
/* port.h on Windows 10 and later: sockets, waiting, memory, threads. Files are in windows_file.c. */
#include "port/port.h"

#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>

#include "port/socket.h"
#include <windows.h>
#include <ntsecapi.h>
#undef near
#undef far

#include "core/error.h"

#define NS_PER_MS UINT64_C(1000000)

/* ---- errors ---- */

static const struct { int code, error; const char *text; } errors[] = {
	{ WSAEWOULDBLOCK, EAGAIN, "nothing there yet" },
	{ WSAEINTR, EINTR, "interrupted" },
	{ WSAEACCES, EACCES, "access refused" },
	{ WSAEINVAL, EINVAL, "invalid argument" },
	{ WSAEMFILE, EMFILE, "too many open sockets" },
	{ WSAENOBUFS, ENOBUFS, "no buffers left" },
	{ WSAEMSGSIZE, EMSGSIZE, "message too long" },
	{ WSAEAFNOSUPPORT, EAFNOSUPPORT, "no such kind of address on this machine" },
	{ WSAEADDRINUSE, EADDRINUSE, "address in use" },
	{ WSAEADDRNOTAVAIL, EADDRNOTAVAIL, "no such address on this machine" },
	{ WSAENETDOWN, ENETDOWN, "the network is down" },
	{ WSAENETUNREACH, ENETUNREACH, "network unreachable" },
	{ WSAEHOSTUNREACH, EHOSTUNREACH, "host unreachable" },
	{ WSAENOTCONN, ENOTCONN, "not connected" },
	{ WSAETIMEDOUT, ETIMEDOUT, "timed out" },
	/* for UDP Windows says "reset" when somebody says that nobody listens */
	{ WSAECONNRESET, ECONNREFUSED, "connection refused" },
	{ WSAENETRESET, ECONNREFUSED, "connection refused" },
	{ WSAECONNREFUSED, ECONNREFUSED, "connection refused" },
};

static int socket_error(void)
{
	int code = WSAGetLastError();
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		if (errors[i].code == code)
			return -errors[i].error;
	return -EIO;
}

const char *port_strerror(int error)
{
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		if (errors[i].error == error)
			return errors[i].text;
	return error >= 0 && error < sys_nerr ? strerror(error) : dsm_strerror(error);
}

/* ---- sockets ---- */

int port_sockets_start(void)
{
	WSADATA data;
	int code = WSAStartup(MAKEWORD(2, 2), &data);
	return code ? dsm__fail(-EIO, "Windows Sockets cannot start: error %d", code) : 0;
}

static SOCKET handle(int socket)
{
	return (SOCKET)(unsigned)socket;
}

/* Not blocking, not inherited. */
static int socket_new(int family)
{
	u_long on = 1;
	SOCKET s = WSASocketW(family, SOCK_DGRAM, 0, NULL, 0, WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);
	if (s == INVALID_SOCKET)
		return socket_error();
	if (s <= INT32_MAX && ioctlsocket(s, (long)FIONBIO, &on) == 0)
		return (int)s;
	int error = s <= INT32_MAX ? socket_error() : -EMFILE;
	closesocket(s);
	return error;
}

int port_udp_connect(const struct addrinfo *to, int room_bytes)
{
	int s = socket_new(to->ai_family);
	if (s < 0)
		return s;
	setsockopt(handle(s), SOL_SOCKET, SO_RCVBUF, (const char *)&room_bytes, sizeof(room_bytes));
	if (connect(handle(s), to->ai_addr, (int)to->ai_addrlen) == 0)
		return s;
	int error = socket_error();
	port_socket_close(s);
	return error;
}

ssize_t port_send(int socket, const void *data, size_t bytes)
{
	int n = send(handle(socket), data, (int)bytes, 0);
	return n < 0 ? socket_error() : n;
}

ssize_t port_recv(int socket, void *data, size_t room)
{
	int n = recv(handle(socket), data, (int)room, 0);
	if (n >= 0)
		return n;
	return WSAGetLastError() == WSAEMSGSIZE ? (ssize_t)room : socket_error(); /* cut off, as on POSIX */
}

void port_socket_close(int socket)
{
	if (socket >= 0)
		closesocket(handle(socket));
}

bool port_wait(const int *descriptors, unsigned n, uint64_t ns)
{
	WSAPOLLFD p[PORT_WAIT_MAX];
	uint64_t ms = (ns + NS_PER_MS - 1) / NS_PER_MS;
	for (unsigned i = 0; i < n; i++)
		p[i] = (WSAPOLLFD){ handle(descriptors[i]), POLLIN, 0 };
	if (n)
		return WSAPoll(p, n, ms > INT32_MAX ? INT32_MAX : (int)ms) > 0;
	port_sleep(ns);
	return false;
}

int port_alarm_open(struct port_alarm *alarm, int socket)
{
	alarm->poll = socket;
	return 0;
}

void port_alarm_at(struct port_alarm *alarm, uint64_t ns)
{
	(void)alarm;
	(void)ns;
}

int port_alarm_clear(struct port_alarm *alarm)
{
	(void)alarm;
	return 0;
}

void port_alarm_close(struct port_alarm *alarm)
{
	alarm->poll = -1;
}

/* A socket that talks to itself. */
int port_waker_open(void)
{
	struct sockaddr_in own = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int size = sizeof(own), rc = port_sockets_start(), s = rc ? rc : socket_new(AF_INET);
	if (s < 0)
		return s;
	if (bind(handle(s), (struct sockaddr *)&own, size) == 0 &&
	    getsockname(handle(s), (struct sockaddr *)&own, &size) == 0 &&
	    connect(handle(s), (struct sockaddr *)&own, size) == 0)
		return s;
	int error = socket_error();
	port_socket_close(s);
	return error;
}

void port_waker_ring(int waker)
{
	port_send(waker, "", 1);
}

void port_waker_clear(int waker)
{
	char rings[8];
	while (port_recv(waker, rings, sizeof(rings)) >= 0)
		;
}

void port_waker_close(int waker)
{
	port_socket_close(waker);
}

/* ---- words, sleep ---- */

void port_word_wait(const _Atomic uint32_t *word, uint32_t value, uint64_t ns)
{
	uint64_t ms = (ns + NS_PER_MS - 1) / NS_PER_MS;
	WaitOnAddress((volatile void *)(uintptr_t)word, &value, sizeof(value),
		ms < INFINITE ? (DWORD)ms : INFINITE - 1);
}

void port_word_wake(const _Atomic uint32_t *word)
{
	WakeByAddressAll((void *)(uintptr_t)word);
}

void port_sleep(uint64_t ns)
{
	uint64_t ms = (ns + NS_PER_MS - 1) / NS_PER_MS;
	Sleep(ms < INFINITE ? (DWORD)ms : INFINITE - 1);
}

/* ---- memory ---- */

void *port_reserve(uint64_t bytes)
{
	return VirtualAlloc(NULL, bytes, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
}

void port_release(void *at, uint64_t bytes)
{
	(void)bytes;
	if (at)
		VirtualFree(at, 0, MEM_RELEASE);
}

/* Nothing forks here. */
void *port_pages(uint64_t bytes)
{
	return port_reserve(bytes);
}

void port_wipe(void *at, size_t bytes)
{
	SecureZeroMemory(at, bytes);
}

/* ---- random numbers, names ---- */

int port_random(void *to, size_t bytes)
{
	return RtlGenRandom(to, (ULONG)bytes) ? 0 : -EIO;
}

const char *port_program_name(void)
{
	static char name[64];
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	wchar_t path[512];
	pthread_mutex_lock(&lock);
	DWORD n = name[0] ? 0 : GetModuleFileNameW(NULL, path, 512);
	if (n > 0 && n < 512) {
		const wchar_t *last = wcsrchr(path, L'\\');
		if (!WideCharToMultiByte(CP_UTF8, 0, last ? last + 1 : path, -1, name, sizeof(name), NULL, NULL))
			name[0] = '\0'; /* too long */
	}
	if (!name[0])
		strcpy(name, "program");
	pthread_mutex_unlock(&lock);
	return name;
}

/* A locale is the process's, until a thread asks for one of its own. */
void port_locale_c(struct port_locale *locale)
{
	locale->before = (void *)(intptr_t)_configthreadlocale(_ENABLE_PER_THREAD_LOCALE);
	const char *name = setlocale(LC_NUMERIC, NULL);
	snprintf(locale->name, sizeof(locale->name), "%s", name ? name : "C");
	setlocale(LC_NUMERIC, "C");
}

void port_locale_back(const struct port_locale *locale)
{
	setlocale(LC_NUMERIC, locale->name);
	_configthreadlocale((int)(intptr_t)locale->before);
}

/* ---- threads ---- */

int port_thread_start(pthread_t *thread, void *(*run)(void *), void *context)
{
	return pthread_create(thread, NULL, run, context);
}

void port_thread_name(const char *name)
{
	(void)pthread_setname_np(pthread_self(), name);
}

void port_after_fork(void (*f)(void))
{
	(void)f;
}

void port_cond_init(pthread_cond_t *cond)
{
	pthread_cond_init(cond, NULL);
}

void port_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex, uint64_t ns)
{
	struct timespec t = { (time_t)(ns / 1000000000u), (long)(ns % 1000000000u) };
	pthread_cond_timedwait_relative_np(cond, mutex, &t);
}
