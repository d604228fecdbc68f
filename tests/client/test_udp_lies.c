/* SPDX-License-Identifier: Apache-2.0 */
/* An engine made by hand that does not speak the truth, and a client of ours. */
#include <dsm/dsm.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/udp_hand.h"

#define ok(call) do { int rc_ = (call); cr_assert_eq(rc_, 0, "%s: %d (%s)", #call, rc_, dsm_error()); } while (0)

/* ---- before the handshake ---- */

static int cookie_fd;
static atomic_bool stop;
static _Atomic unsigned inits;

/* Answers each INIT with another cookie. */
static void *give_cookies(void *context)
{
	unsigned char d[2048];
	struct sockaddr_in from;
	struct pollfd p = { cookie_fd, POLLIN, 0 };
	struct udp_init init;
	(void)context;
	while (!atomic_load(&stop)) {
		socklen_t size = sizeof(from);
		ssize_t n = poll(&p, 1, 20) == 1 ? recvfrom(cookie_fd, d, sizeof(d), 0, (void *)&from, &size) : 0;
		if (n <= 0 || udp_get_init(d, (size_t)n, &init))
			continue;
		struct udp_cookie cookie = { .client = init.client };
		memset(cookie.cookie, (int)++inits & 0xff, sizeof(cookie.cookie));
		sendto(cookie_fd, d, udp_put_cookie(d, &cookie), 0, (void *)&from, size);
	}
	return NULL;
}

/* 1200 bytes for each 24 would make a client a weapon. */
Test(udp_lies, cookie_after_cookie_makes_a_client_send_little, .timeout = 60)
{
	struct dsm_options as = DSM_OPTIONS_INIT;
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(at);
	struct dsm *dsm = NULL;
	pthread_t thread;
	char uri[64];
	unsetenv("DSM_KEYS");
	cookie_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ok(bind(cookie_fd, (void *)&at, size));
	ok(getsockname(cookie_fd, (void *)&at, &size));
	snprintf(uri, sizeof(uri), "udp://127.0.0.1:%u", ntohs(at.sin_port));
	ok(pthread_create(&thread, NULL, give_cookies, NULL));
	as.attach_timeout_ms = 1000;
	cr_assert_eq(dsm_attach(uri, &as, &dsm), -ETIMEDOUT, "%s", dsm_error());
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
	/* after 0, 50, 150, 350 and 750 ms, and three at once */
	cr_assert(inits >= 2 && inits <= 9, "%u", inits);
	close(cookie_fd);
}
