/* SPDX-License-Identifier: Apache-2.0 */
/* Requests to an owner, exactly once: each has a number of its own, and the owner, which comes straight,
 * counts how often it gets each. */
#include <errno.h>
#include <inttypes.h>

#define PLAIN_SHARED
#include "../stress/plain.h"
#include "net/udp_rig.h"

#define REQUESTS_MAX 100000u
#define PAUSE_MS 3u

static _Atomic uint8_t got[REQUESTS_MAX], acknowledged[REQUESTS_MAX];
static struct dsm *owner;
static pthread_t thread;
static atomic_bool stop;

static void *take(void *context)
{
	struct dsm_request_info info;
	(void)context;
	while (!atomic_load(&stop)) {
		int rc = dsm_next_request(owner, &info);
		if (rc == -EAGAIN) {
			plain_sleep_ms(1);
			continue;
		}
		if (!expect(rc == 0, "the owner of requests: %s", dsm_error()))
			return NULL;
		int64_t n = info.value.i64;
		if (expect(n > 0 && n < (int64_t)REQUESTS_MAX, "a request for %" PRId64 ", which nobody made", n) && got[n] < 255)
			got[n]++;
		expect(dsm_request_apply(owner, &info) == 0, "%s", dsm_error());
	}
	return NULL;
}

bool requests_start(const char *uri)
{
	struct dsm_options options = DSM_OPTIONS_INIT;
	options.owner = "operator";
	options.flags = DSM_TAKES_REQUESTS;
	options.attach_timeout_ms = 20000;
	return check(dsm_attach(uri, &options, &owner) == 0, "the owner of requests at %s: %s", uri, dsm_error()) &&
		check(pthread_create(&thread, NULL, take, NULL) == 0, "no thread");
}

void run_requester(struct client *c)
{
	struct dsm_cell cell;
	struct dsm_value v = { .type = DSM_I64, .len = 1 };
	bool good = dsm_cell(c->dsm, "setpoints.n", &cell) == 0;
	expect(good, "requester: %s", dsm_error());
	for (v.i64 = 1; good && v.i64 < (int64_t)REQUESTS_MAX && !atomic_load(&c->stop); v.i64++) {
		uint64_t start = plain_ms();
		int rc = dsm_request(c->dsm, cell, &v, 10000);
		client_count(c, rc, start);
		if (rc == 0)
			acknowledged[v.i64] = 1;
		plain_sleep_ms(PAUSE_MS);
	}
}

void requests_end(void)
{
	unsigned done = 0, twice = 0, lost = 0;
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
	for (unsigned i = 0; i < REQUESTS_MAX; i++) {
		done += acknowledged[i];
		twice += got[i] > 1;
		lost += acknowledged[i] && !got[i];
	}
	check(twice == 0, "exactly once: %u requests came to their owner more than once", twice);
	check(lost == 0, "exactly once: %u requests were acknowledged and did not come", lost);
	check(done > 100, "%u requests", done);
	dsm_detach(&owner);
}
