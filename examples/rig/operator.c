/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The operator's station at its smallest: owns the set-points, gives them their first values,
 * and lets others change them by request, as `dsm set setpoint.wob 12` does. A set-point
 * outside the range in the table never gets here: the engine refuses it.
 *
 * Run:  operator [URI]      (until Ctrl-C or SIGTERM)
 */
#include <dsm/dsm.h>
#include <poll.h>
#include <stdio.h>

#include "stop.h"

static const struct { const char *cell; double value; } first[] = {
	{ "setpoint.wob", 5.0 }, { "setpoint.rotary_speed", 50.0 }, { "setpoint.pump_rate", 120.0 },
	{ "setpoint.rop_limit", 200.0 },
};

/* Give the set-points that have never been written their first value. */
static int write_first(struct dsm *dsm)
{
	struct dsm_cell cell;
	struct dsm_sample sample;
	int result = dsm_begin(dsm, 0);

	for (size_t i = 0; i < sizeof first / sizeof *first && result == 0; i++) {
		if ((result = dsm_cell(dsm, first[i].cell, &cell)) == 0 &&
		    (result = dsm_read(dsm, cell, &sample)) == 0 &&
		    sample.quality == DSM_NEVER_WRITTEN)
			result = dsm_set_f64(dsm, cell, first[i].value);
	}
	if (result == 0)
		return dsm_commit(dsm, NULL);
	dsm_abort(dsm);
	return result;
}

static int take_requests(struct dsm *dsm)
{
	struct pollfd ready = { .fd = dsm_fd(dsm), .events = POLLIN };
	struct dsm_region_info region;
	struct dsm_request_info request;
	struct dsm_event event;
	int result = dsm_region_info(dsm, &region);

	while (result == 0 && !stop_asked) {
		poll(&ready, 1, (int)region.tick_ms);
		result = dsm_dispatch(dsm);
		while (dsm_next_event(dsm, &event) == 0) {
			if (event.kind != DSM_EVENT_REQUEST && event.kind != DSM_EVENT_OWNER)
				printf("operator: %s %s\n", dsm_event_name(event.kind), event.text);
		}
		while (result == 0 && dsm_next_request(dsm, &request) == 0)
			result = dsm_request_apply(dsm, &request);
	}
	return result;
}

int main(int argc, char **argv)
{
	struct dsm_options options = DSM_OPTIONS_INIT;
	struct dsm *dsm = NULL;
	int result;

	if (argc > 2) {
		fprintf(stderr, "Usage: %s [URI]\n", argv[0]);
		return 2;
	}
	stop_prepare();
	options.owner = "operator";
	options.program = "operator";
	options.flags = DSM_TAKES_REQUESTS | DSM_MANUAL;
	result = dsm_attach(argv[1], &options, &dsm);
	if (result == 0)
		result = write_first(dsm);
	if (result == 0)
		result = take_requests(dsm);
	if (result != 0)
		fprintf(stderr, "operator: %s\n", dsm_error());
	dsm_detach(&dsm);
	return result != 0;
}
