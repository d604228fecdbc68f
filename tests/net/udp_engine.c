/* SPDX-License-Identifier: Apache-2.0 */
/* The engine of net_udp. An owner on its own machine commits beside it: two small groups in one step each
 * millisecond, and a megabyte each half second, all of one number, so that a mix would be seen. */
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <signal.h>

#define PLAIN_SHARED
#include "../stress/plain.h"
#include "common/fixture.h"
#include "net/udp_rig.h"

#define BIG_BYTES (1u << 20)

static char address[64];

static void take_log(const char *text, void *context)
{
	(void)context;
	if (strncmp(text, "udp at ", 7) == 0)
		sscanf(text, "udp at %63[^,]", address);
	if (getenv("DSM_TEST_LOG"))
		fprintf(stderr, "engine: %s\n", text);
}

static int set_both(struct dsm *dsm, const char *x, const char *y, double value)
{
	struct dsm_cell cell;
	int rc = dsm_cell(dsm, x, &cell);
	if (rc == 0)
		rc = dsm_set_f64(dsm, cell, value);
	if (rc == 0)
		rc = dsm_cell(dsm, y, &cell);
	return rc ? rc : dsm_set_f64(dsm, cell, value);
}

static int commit_small(struct dsm *dsm, uint64_t n)
{
	int rc = dsm_begin(dsm, 0);
	if (rc == 0)
		rc = set_both(dsm, "sensors.a.x", "sensors.a.y", (double)n);
	if (rc == 0)
		rc = set_both(dsm, "sensors.b.x", "sensors.b.y", (double)n);
	return rc ? rc : dsm_commit(dsm, NULL);
}

static int commit_big(struct dsm *dsm, uint64_t n)
{
	static uint64_t words[BIG_BYTES / 8];
	struct dsm_value value = { .type = DSM_BYTES, .len = BIG_BYTES, .bytes = words };
	struct dsm_cell cell;
	for (size_t i = 0; i < BIG_BYTES / 8; i++)
		words[i] = n;
	int rc = dsm_cell(dsm, "big.data", &cell);
	return rc ? rc : dsm_write(dsm, cell, &value);
}

/* Until the other end of `in` is closed. */
static int work(struct dsm *dsm, int in)
{
	uint64_t n = 1;
	int rc = 0;
	char byte;
	for (; rc == 0 && read(in, &byte, 1) != 0; n++) {
		rc = commit_small(dsm, n);
		if (rc == 0 && n % (500 * udp_patience()) == 1)
			rc = commit_big(dsm, n);
		plain_sleep_ms(1);
	}
	return rc;
}

void udp_engine_run(const char *at, int in, int out)
{
	struct dsm_engine_options options = DSM_ENGINE_OPTIONS_INIT;
	struct dsm_options own = DSM_OPTIONS_INIT;
	struct dsm_engine *engine = NULL;
	struct dsm *dsm = NULL;
	char name[64], uri[100];
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	snprintf(name, sizeof(name), "net-udp-%d", (int)getpid());
	snprintf(uri, sizeof(uri), "shm://%s", name);
	options.name = name;
	options.udp = at;
	options.auth_none = true;
	options.tick_ms = 20;
	options.lease_ms = 10000 * udp_patience(); /* a busy machine is not what is tried here */
	options.log = take_log;
	own.owner = "sensors";
	int rc = fixture_engine_of(FIXTURE_NETWORK, &options, name, &engine);
	if (rc == 0)
		rc = dsm_attach(uri, &own, &dsm);
	if (rc == 0) {
		dprintf(out, "%s\n", address);
		rc = work(dsm, in);
	}
	if (rc)
		printf("FAILED: the engine's side: %s\n", dsm_error());
	dsm_detach(&dsm);
	int closed = dsm_engine_close(&engine);
	if (closed)
		printf("FAILED: the engine does not close: %s\n", dsm_error());
	fflush(stdout);
	_exit(rc || closed ? 1 : 0);
}
