/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replays a rig log into the cell table as the owner `sensors`: one row, one step over all of
 * its groups, so that a reader never sees half a row. What the log lacks comes from derive.c;
 * a null in the log is quality `bad`, never a number.
 *
 * Run:  dsmd … rig.yaml &  then  replay --speed 20 --from 9000 SampleData1.csv STATES
 */
#include <dsm/dsm.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "derive.h"
#include "stop.h"

struct settings {
	const char *uri, *log_path, *states_path;
	double speed;
	uint32_t from, rows;
	bool loop;
};

static const char usage[] =
	"Usage: replay [OPTION]... LOG [STATES]\n"
	"Replay a rig log (one row a second) into an engine's table, as the owner 'sensors'.\n"
	"STATES: a file with one activity code for each row of LOG.\n\n"
	"  --uri URI      engine, such as shm://rig (default: $DSM_URI, else rig)\n"
	"  --speed N      N times as fast as it was, 0.1 to 1000 (default 1)\n"
	"  --from ROW     begin at this row (default 1); what is derived is as if all rows\n"
	"                 before it had been replayed\n"
	"  --rows N       end after N rows (default: at the end of the log)\n"
	"  --loop         begin again at the end, until stopped\n"
	"  -h, --help     this text\n\n"
	"Examples:\n"
	"  replay --speed 20 --from 9000 SampleData1.csv RigStatesForSampleData1.txt\n"
	"  replay --uri shm://rig --speed 100 --from 7900 --rows 1200 --loop SampleData1.csv\n\n"
	"Exit status: 0 replayed, or stopped by Ctrl-C or SIGTERM; 1 failed; 2 wrong usage.\n";

/* ---- what goes into which cell --------------------------------------------------------- */

enum source { FROM_LOG, DERIVED_NUMBER, DERIVED_FLAG };

struct binding {
	const char *cell;
	enum source source;
	unsigned what;       /* a log column, or the bit of enum derived_valid */
	size_t offset;       /* in struct derived */
};

#define NUMBER(field) offsetof(struct derived, field)

static const struct binding bindings[] = {
	{ "hoisting.block_height", FROM_LOG, LOG_BLOCK_HEIGHT_FT, 0 },
	{ "hoisting.hookload", FROM_LOG, LOG_HOOKLOAD_KLBF, 0 },
	{ "rotary.speed", FROM_LOG, LOG_ROTARY_SPEED_RPM, 0 },
	{ "rotary.torque", FROM_LOG, LOG_TORQUE_FTLBF, 0 },
	{ "mud.pump1_rate", FROM_LOG, LOG_PUMP1_SPM, 0 },
	{ "mud.pump2_rate", FROM_LOG, LOG_PUMP2_SPM, 0 },
	{ "mud.standpipe_pressure", FROM_LOG, LOG_STANDPIPE_PRESSURE_PSI, 0 },
	{ "mud.flow_out", FROM_LOG, LOG_FLOW_OUT_PCT, 0 },
	{ "survey.inclination", FROM_LOG, LOG_INCLINATION_DEG, 0 },
	{ "survey.azimuth", FROM_LOG, LOG_AZIMUTH_DEG, 0 },
	{ "drilling.in_slips", DERIVED_FLAG, DERIVED_BIT, NUMBER(in_slips) },
	{ "drilling.on_bottom", DERIVED_FLAG, DERIVED_HOLE, NUMBER(on_bottom) },
	{ "drilling.bit_movement", DERIVED_NUMBER, DERIVED_BIT, NUMBER(bit_movement_ft) },
	{ "drilling.bit_depth", DERIVED_NUMBER, DERIVED_BIT, NUMBER(bit_depth_ft) },
	{ "drilling.hole_depth", DERIVED_NUMBER, DERIVED_HOLE, NUMBER(hole_depth_ft) },
	{ "drilling.rop", DERIVED_NUMBER, DERIVED_ROP, NUMBER(rop_ft_h) },
	{ "drilling.wob", DERIVED_NUMBER, DERIVED_WOB, NUMBER(wob_klbf) },
	{ "drilling.strokes", DERIVED_NUMBER, DERIVED_STROKES, NUMBER(strokes) },
};

enum { BINDINGS = sizeof bindings / sizeof *bindings };

struct replay {
	struct settings settings;
	struct log log;
	struct derive derive;
	struct dsm *dsm;
	struct dsm_cell cells[BINDINGS];
	struct dsm_cell row, rig_state, rig_code, speed, lap;
	uint64_t committed, missed, out_of_range, laps;
};

/* Look the cells up; again after the engine has another table. */
static int bind_cells(struct replay *replay)
{
	const struct { const char *name; struct dsm_cell *cell; } others[] = {
		{ "status.row", &replay->row }, { "status.rig_state", &replay->rig_state },
		{ "status.rig_code", &replay->rig_code }, { "status.speed", &replay->speed },
		{ "status.lap", &replay->lap },
	};
	int result = 0;

	for (size_t i = 0; i < BINDINGS && result == 0; i++)
		result = dsm_cell(replay->dsm, bindings[i].cell, &replay->cells[i]);
	for (size_t i = 0; i < sizeof others / sizeof *others && result == 0; i++)
		result = dsm_cell(replay->dsm, others[i].name, others[i].cell);
	return result;
}

/* A number that the table refuses as out of range is a broken sensor: quality bad. */
static int set_number(struct replay *replay, struct dsm_cell cell, double value)
{
	int result = dsm_set_f64(replay->dsm, cell, value);

	if (result != -ERANGE)
		return result;
	replay->out_of_range++;
	return dsm_set_quality(replay->dsm, cell, DSM_BAD);
}

static int set_bound(struct replay *replay, size_t i, const struct log_row *row,
	const struct derived *derived)
{
	const struct binding *binding = &bindings[i];
	const char *field = (const char *)derived + binding->offset;
	const bool known = binding->source == FROM_LOG
		? log_has(row, (enum log_column)binding->what) : (derived->valid & binding->what) != 0;
	double number;
	bool flag;

	if (!known)
		return dsm_set_quality(replay->dsm, replay->cells[i], DSM_BAD);
	switch (binding->source) {
	case DERIVED_FLAG:
		memcpy(&flag, field, sizeof flag);
		return dsm_set_bool(replay->dsm, replay->cells[i], flag);
	case DERIVED_NUMBER:
		memcpy(&number, field, sizeof number);
		return set_number(replay, replay->cells[i], number);
	default:
		return set_number(replay, replay->cells[i], row->value[binding->what]);
	}
}

static int set_status(struct replay *replay, const struct log_row *row)
{
	int result = dsm_set_u64(replay->dsm, replay->row, row->index);

	if (result == 0)
		result = dsm_set_string(replay->dsm, replay->rig_state, log_state_name(row->state));
	if (result == 0)
		result = row->state < 0 ? dsm_set_quality(replay->dsm, replay->rig_code, DSM_BAD)
			: dsm_set_i64(replay->dsm, replay->rig_code, row->state);
	if (result == 0)
		result = dsm_set_f64(replay->dsm, replay->speed, replay->settings.speed);
	if (result == 0)
		result = dsm_set_u64(replay->dsm, replay->lap, replay->laps);
	return result;
}

/* One row of the log = one step. */
static int commit_row(struct replay *replay, const struct log_row *row,
	const struct derived *derived)
{
	int result = dsm_begin(replay->dsm, 0);

	if (result != 0)
		return result;
	for (size_t i = 0; i < BINDINGS && result == 0; i++)
		result = set_bound(replay, i, row, derived);
	if (result == 0)
		result = set_status(replay, row);
	if (result == 0)
		result = dsm_commit(replay->dsm, NULL);
	if (result != 0)
		dsm_abort(replay->dsm);
	return result;
}

/* An engine that is away comes back, or comes back with another table: rows go on, and those
 * that reached nobody are counted. Losing the role ends it. */
static int write_row(struct replay *replay, const struct log_row *row,
	const struct derived *derived)
{
	struct dsm_status status = { 0 };
	int result = commit_row(replay, row, derived);

	if (result == -ESTALE && (result = bind_cells(replay)) == 0)
		result = commit_row(replay, row, derived);
	if (result == 0 && (result = dsm_status(replay->dsm, &status)) == 0)
		*(status.state == DSM_LOST ? &replay->missed : &replay->committed) += 1;
	if (result != -ENOTCONN)
		return result;
	replay->missed++;
	return 0;
}

/* ---- in time ---------------------------------------------------------------------------- */

static int64_t now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Sleep until *due_ns, then set it to the next row's time. Who was stopped for a second or
 * more goes on from now: the rows of the pause are not hurried after it. */
static void pace(int64_t *due_ns, int64_t interval_ns)
{
	int64_t now = now_ns();
	struct timespec due = { .tv_sec = *due_ns / 1000000000, .tv_nsec = *due_ns % 1000000000 };

	if (now - *due_ns > 1000000000)
		*due_ns = now;
	else
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
	*due_ns += interval_ns;
}

static void show_progress(const struct replay *replay, const struct log_row *row)
{
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\rreplay: row %u of %zu, %-12s", row->index, replay->log.count,
			log_state_name(row->state));
}

static int replay_once(struct replay *replay)
{
	const struct derive_settings derive_settings = DERIVE_SETTINGS_INIT;
	const int64_t interval_ns = (int64_t)(1e9 / replay->settings.speed);
	int64_t due_ns = now_ns(), shown_ns = due_ns;
	uint32_t left = replay->settings.rows == 0 ? UINT32_MAX : replay->settings.rows;
	struct derived derived;
	int result = 0;

	derive_start(&replay->derive, &derive_settings);
	for (size_t i = 0; i < replay->log.count && left > 0 && result == 0; i++) {
		const struct log_row *row = &replay->log.rows[i];
		derive_row(&replay->derive, row, &derived);
		if (row->index < replay->settings.from)
			continue;
		pace(&due_ns, interval_ns);
		if (stop_asked)
			break;
		result = write_row(replay, row, &derived);
		left--;
		if (now_ns() - shown_ns > 1000000000) {
			show_progress(replay, row);
			shown_ns = now_ns();
		}
	}
	return result;
}

static int replay_log(struct replay *replay)
{
	struct dsm_options options = DSM_OPTIONS_INIT;
	int result;

	options.owner = "sensors";
	options.program = "replay";
	if (dsm_attach(replay->settings.uri, &options, &replay->dsm) != 0 ||
	    bind_cells(replay) != 0) {
		fprintf(stderr, "replay: %s\n", dsm_error());
		dsm_detach(&replay->dsm);
		return 1;
	}
	do {
		replay->laps++;
		result = replay_once(replay);
	} while (replay->settings.loop && result == 0 && !stop_asked);
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\r\033[K");
	if (result != 0)
		fprintf(stderr, "replay: %s\n", dsm_error());
	printf("replay: %lu rows committed, %lu while no engine was there, %lu values out of range\n",
		(unsigned long)replay->committed, (unsigned long)replay->missed,
		(unsigned long)replay->out_of_range);
	dsm_detach(&replay->dsm);
	return result != 0;
}

/* ---- command line ------------------------------------------------------------------------ */

/* 0 go on; otherwise the exit status + 1. */
static int parse_options(int argc, char **argv, struct settings *settings)
{
	static const struct option options[] = {
		{ "uri", required_argument, NULL, 'u' }, { "speed", required_argument, NULL, 's' },
		{ "from", required_argument, NULL, 'f' }, { "rows", required_argument, NULL, 'n' },
		{ "loop", no_argument, NULL, 'l' }, { "help", no_argument, NULL, 'h' }, { 0 },
	};
	double number = 0.0;
	int option;
	bool good = true;

	while (good && (option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (option) {
		case 'u': settings->uri = optarg; break;
		case 'l': settings->loop = true; break;
		case 's': good = option_number(optarg, 0.1, 1000.0, &settings->speed); break;
		case 'f':
			good = option_number(optarg, 1.0, 1e9, &number);
			settings->from = (uint32_t)number;
			break;
		case 'n':
			good = option_number(optarg, 1.0, 1e9, &number);
			settings->rows = (uint32_t)number;
			break;
		case 'h': fputs(usage, stdout); return 1;
		default: fputs("Try: replay --help\n", stderr); return 3;
		}
		if (!good)
			fprintf(stderr, "replay: '%s' is not in the option's range\n", optarg);
	}
	if (!good || argc - optind < 1 || argc - optind > 2) {
		fputs("Usage: replay [OPTION]... LOG [STATES]\nTry: replay --help\n", stderr);
		return 3;
	}
	settings->log_path = argv[optind];
	settings->states_path = argv[optind + 1];
	return 0;
}

int main(int argc, char **argv)
{
	struct replay replay = { .settings = { .speed = 1.0, .from = 1 } };
	char error[LOG_ERROR_SIZE];
	int result = parse_options(argc, argv, &replay.settings);

	if (result != 0)
		return result - 1;
	stop_prepare();
	if (log_load(replay.settings.log_path, &replay.log, error) != 0 ||
	    (replay.settings.states_path != NULL &&
	     log_load_states(replay.settings.states_path, &replay.log, error) != 0)) {
		fprintf(stderr, "replay: %s\n", error);
		log_free(&replay.log);
		return 1;
	}
	if (replay.settings.from > replay.log.rows[replay.log.count - 1].index) {
		fprintf(stderr, "replay: --from %u: the log ends at row %u\n", replay.settings.from,
			replay.log.rows[replay.log.count - 1].index);
		result = 1;
	} else {
		result = replay_log(&replay);
	}
	log_free(&replay.log);
	return result;
}
