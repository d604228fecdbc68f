/* SPDX-License-Identifier: Apache-2.0 */
/* What is refused, and that the text says what and why. Statuses come from the engine as Linux's numbers. */
#include "udp_cases.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static bool says(const char *word)
{
	return strstr(dsm_error(), word) != NULL;
}

void case_refusals(void)
{
	struct dsm *robot = case_attach("robot", NULL), *other = NULL;
	struct dsm_options options = DSM_OPTIONS_INIT;
	struct dsm_cell cell, setpoint;
	struct dsm_value value = { .type = DSM_F64, .len = 1, .f64 = 1000 };
	if (!robot)
		return;
	CHECK(dsm_cell(robot, "all.reel", &cell) == -ENOENT && says("did you mean all.real"));
	setpoint = case_cell(robot, "desk.setpoint");
	CHECK(dsm_request(robot, setpoint, &value, 5000) == -ERANGE);
	CHECK(dsm_begin(robot, 0) == 0);
	CHECK(dsm_set_f64(robot, setpoint, 1) == -EPERM && says("engine"));
	CHECK(dsm_set_f64(robot, case_cell(robot, "all.real"), 1001) == -ERANGE);
	CHECK(dsm_set_f64(robot, case_cell(robot, "all.flag"), 1) == -EINVAL);
	CHECK(dsm_set_string(robot, case_cell(robot, "all.words"), "\xff") == -EILSEQ);
	dsm_abort(robot);
	options.owner = "robot";
	options.key_file = case_keys;
	CHECK(dsm_attach(case_uri, &options, &other) == -EBUSY && says("robot"));
	options.owner = "nobody";
	CHECK(dsm_attach(case_uri, &options, &other) < 0 && !other);
	dsm_detach(&robot);
	robot = case_attach("robot", NULL); /* given back at once */
	dsm_detach(&robot);
}

/* A key that the engine does not have; a file that others may read is windows.sh's. */
void case_keys_refused(void)
{
	struct dsm_options options = DSM_OPTIONS_INIT;
	struct dsm *dsm = NULL;
	options.key_file = "no-such-file.keys";
	CHECK(dsm_attach(case_uri, &options, &dsm) == -ENOENT && says("no-such-file.keys"));
	options.key_file = "other.keys";
	CHECK(dsm_attach(case_uri, &options, &dsm) == -EACCES && says("does not know the key"));
	options.key_file = "open.keys";
	CHECK(dsm_attach(case_uri, &options, &dsm) == -EACCES && says("others may read it"));
	options.key_file = NULL;
	options.flags = DSM_NO_KEY;
	CHECK(dsm_attach(case_uri, &options, &dsm) == -EACCES && says("wants a key"));
}

void case_other_schemes(void)
{
	struct dsm *dsm = NULL;
	CHECK(dsm_attach("carrier://pigeon", NULL, &dsm) == -ENOTSUP);
#ifdef _WIN32
	CHECK(dsm_attach("shm://cases", NULL, &dsm) == -ENOTSUP && says("not available on Windows; use udp://"));
	CHECK(dsm_attach("rdma://127.0.0.1", NULL, &dsm) == -ENOTSUP && says("not available on Windows"));
#endif
	struct dsm_options options = DSM_OPTIONS_INIT;
	options.attach_timeout_ms = 200;
	options.key_file = case_keys;
	/* discard: nobody there, or nobody who answers */
	int rc = dsm_attach("udp://127.0.0.1:9", &options, &dsm);
	CHECK(rc == -ETIMEDOUT || rc == -ENOENT);
}
