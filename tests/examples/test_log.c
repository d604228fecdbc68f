/* SPDX-License-Identifier: Apache-2.0 */
/* The parser of the rig log: takes what is right, refuses all else with file and line. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"

#define ROW_1 "0.97,44.34,0,34.8,0,0,0,0.29,0,9.65,348.09,1\n"
#define ROW_2 "1.83,44.34,20,34.9,12.5,61,60,270.63,330,9.65,348.09,2\n"
#define NULLS "2.1,-999.25,-999.25,-999.25,-999.25,-999.25,-999.25,-999.25,-999.25,5.45,339.19,3\n"

/* Put text into a file of its own, load it as a log (and its states), remove it. */
static int load(const char *text, const char *states, struct log *log, char *error)
{
	char paths[2][32] = { "/tmp/dsm-log-XXXXXX", "/tmp/dsm-log-XXXXXX" };
	const char *texts[2] = { text, states };
	int result = 0;

	for (int i = 0; i < 2 && texts[i] != NULL; i++) {
		int fd = mkstemp(paths[i]);
		cr_assert(fd >= 0 && write(fd, texts[i], strlen(texts[i])) == (ssize_t)strlen(texts[i]));
		close(fd);
		if (result == 0)
			result = i == 0 ? log_load(paths[0], log, error)
				: log_load_states(paths[1], log, error);
		unlink(paths[i]);
	}
	return result;
}

Test(log, a_row_is_read)
{
	struct log_row row;
	char error[LOG_ERROR_SIZE];

	cr_assert_eq(log_parse_row(ROW_2, &row, error), 0, "%s", error);
	cr_expect_eq(row.index, 2u);
	cr_expect_eq(row.null, 0u);
	cr_expect_eq(row.state, -1);
	cr_expect_float_eq(row.value[LOG_BLOCK_HEIGHT_FT], 44.34, 1e-12);
	cr_expect_float_eq(row.value[LOG_FLOW_OUT_PCT], 20.0, 1e-12);
	cr_expect_float_eq(row.value[LOG_HOOKLOAD_KLBF], 34.9, 1e-12);
	cr_expect_float_eq(row.value[LOG_ROTARY_SPEED_RPM], 12.5, 1e-12);
	cr_expect_float_eq(row.value[LOG_PUMP1_SPM], 61.0, 1e-12);
	cr_expect_float_eq(row.value[LOG_PUMP2_SPM], 60.0, 1e-12);
	cr_expect_float_eq(row.value[LOG_STANDPIPE_PRESSURE_PSI], 270.63, 1e-12);
	cr_expect_float_eq(row.value[LOG_TORQUE_FTLBF], 330.0, 1e-12);
	cr_expect_float_eq(row.value[LOG_INCLINATION_DEG], 9.65, 1e-12);
	cr_expect_float_eq(row.value[LOG_AZIMUTH_DEG], 348.09, 1e-12);
}

Test(log, a_null_is_no_number)
{
	struct log_row row;
	char error[LOG_ERROR_SIZE];

	cr_assert_eq(log_parse_row(NULLS, &row, error), 0, "%s", error);
	cr_expect_eq(row.null, 0x1feu);
	cr_expect(!log_has(&row, LOG_BLOCK_HEIGHT_FT));
	cr_expect(log_has(&row, LOG_INCLINATION_DEG));
	for (int column = 1; column <= 8; column++)
		cr_expect_float_eq(row.value[column], 0.0, 1e-12);
}

Test(log, other_line_ends)
{
	struct log_row row;
	char error[LOG_ERROR_SIZE];
	cr_expect_eq(log_parse_row("1,2,3,4,5,6,7,8,9,10,11,12", &row, error), 0);
	cr_expect_eq(log_parse_row("1,2,3,4,5,6,7,8,9,10,11,12\r\n", &row, error), 0);
	cr_expect_eq(log_parse_row("1e0,-2,+3,.5,5.,6,7,8,9,10,11,12\n", &row, error), 0);
}

Test(log, malformed_rows_are_refused)
{
	static const struct { const char *row, *says; } bad[] = {
		{ "", "column 1 (time)" },
		{ "\n", "column 1 (time)" },
		{ "1,2,3,4,5,6,7,8,9,10,11\n", "column 11 (azimuth): a comma" },
		{ "1,2,3,4,5,6,7,8,9,10,11,12,13\n", "end of line" },
		{ "1,2,3,4,5,6,7,8,9,10,11,12 \n", "end of line" },
		{ "1,2,,4,5,6,7,8,9,10,11,12\n", "column 3 (flow out)" },
		{ "1,2,3,nan,5,6,7,8,9,10,11,12\n", "column 4 (hookload)" },
		{ "1,2,3,inf,5,6,7,8,9,10,11,12\n", "column 4 (hookload)" },
		{ "1,2,3,0x10,5,6,7,8,9,10,11,12\n", "column 4 (hookload)" },
		{ "1,2,3,1e999,5,6,7,8,9,10,11,12\n", "column 4 (hookload)" },
		{ "1,2,3,4e9,5,6,7,8,9,10,11,12\n", "column 4 (hookload)" },
		{ "1,2,3, 4,5,6,7,8,9,10,11,12\n", "column 4 (hookload)" },
		{ "1,2,3,4-5,5,6,7,8,9,10,11,12\n", "column 4 (hookload)" },
		{ "1;2;3;4;5;6;7;8;9;10;11;12\n", "column 1 (time): a comma" },
		{ "1,2,3,4,5,6,7,8,9,10,11,0\n", "column 12 (index)" },
		{ "1,2,3,4,5,6,7,8,9,10,11,1.5\n", "column 12 (index)" },
		{ "1,2,3,4,5,6,7,8,9,10,11,-999.25\n", "column 12 (index)" },
		{ "1,2,3,4,5,6,7,8,9,10,11,99999999999\n", "column 12 (index)" },
		{ "time,block,flow,hook,rpm,p1,p2,spp,tq,inc,azi,n\n", "column 1 (time)" },
	};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct log_row row = { .index = 77 };
		char error[LOG_ERROR_SIZE] = "";
		cr_expect_eq(log_parse_row(bad[i].row, &row, error), -EINVAL, "%s", bad[i].row);
		cr_expect_not_null(strstr(error, bad[i].says), "'%s' says '%s'", bad[i].row, error);
		cr_expect_eq(row.index, 77u, "the output was touched");
	}
}

Test(log, the_error_names_file_and_line)
{
	struct log log = { 0 };
	char error[LOG_ERROR_SIZE] = "";

	cr_expect_eq(load(ROW_1 ROW_2 "3,oops\n", NULL, &log, error), -EINVAL);
	cr_expect_not_null(strstr(error, ":3: column 2 (block height)"), "%s", error);
	cr_expect_eq(strncmp(error, "/tmp/dsm-log-", 13), 0, "%s", error);
	cr_expect_null(log.rows);
}

Test(log, indices_must_rise)
{
	struct log log = { 0 };
	char error[LOG_ERROR_SIZE] = "";
	cr_expect_eq(load(ROW_2 ROW_1, NULL, &log, error), -EINVAL);
	cr_expect_not_null(strstr(error, ":2: column 12 (index): 1 does not come after 2"), "%s", error);
	cr_expect_eq(load(ROW_2 ROW_2, NULL, &log, error), -EINVAL);
}

Test(log, empty_missing_and_endless_lines)
{
	struct log log = { 0 };
	char error[LOG_ERROR_SIZE] = "", endless[2000];

	cr_expect_eq(load("", NULL, &log, error), -EINVAL);
	cr_expect_not_null(strstr(error, "no row"), "%s", error);
	cr_expect_eq(log_load("/nowhere/at/all.csv", &log, error), -ENOENT);
	cr_expect_not_null(strstr(error, "/nowhere/at/all.csv"), "%s", error);
	memset(endless, '1', sizeof endless - 1);
	endless[sizeof endless - 1] = '\0';
	cr_expect_eq(load(endless, NULL, &log, error), -EINVAL);
	cr_expect_not_null(strstr(error, "longer than"), "%s", error);
}

Test(log, states_belong_to_rows)
{
	struct log log = { 0 };
	char error[LOG_ERROR_SIZE] = "";

	cr_assert_eq(load(ROW_1 ROW_2, " 0\n 2\n\n\n", &log, error), 0, "%s", error);
	cr_expect_eq(log.rows[0].state, 0);
	cr_expect_eq(log.rows[1].state, 2);
	log_free(&log);
	cr_expect_eq(load(ROW_1 ROW_2, "0\n", &log, error), -EINVAL);
	cr_expect_not_null(strstr(error, "1 codes for 2 rows"), "%s", error);
	log_free(&log);
	cr_expect_eq(load(ROW_1, "0\n2\n", &log, error), -EINVAL);
	cr_expect_not_null(strstr(error, ":2: more codes"), "%s", error);
	log_free(&log);
	cr_expect_eq(load(ROW_1 ROW_2, "0\n12\n", &log, error), -EINVAL);
	log_free(&log);
	cr_expect_eq(load(ROW_1 ROW_2, "0\n\n2\n", &log, error), -EINVAL, "a hole in the middle");
	log_free(&log);
	cr_expect_str_eq(log_state_name(2), "drilling");
	cr_expect_str_eq(log_state_name(-1), "unknown");
	cr_expect_str_eq(log_state_name(100), "unknown");
}

Test(log, the_real_log_is_read_whole)
{
	struct log log = { 0 };
	char path[512], error[LOG_ERROR_SIZE] = "";
	const char *folder = getenv("RIG_DATA");

	snprintf(path, sizeof path, "%s/SampleData1.csv", folder ? folder : "examples/rig/data");
	cr_assert_eq(log_load(path, &log, error), 0, "%s", error);
	cr_expect_eq(log.count, (size_t)50000);
	cr_expect_eq(log.rows[49999].index, 50000u);
	snprintf(path, sizeof path, "%s/RigStatesForSampleData1.txt",
		folder ? folder : "examples/rig/data");
	cr_expect_eq(log_load_states(path, &log, error), 0, "%s", error);
	cr_expect_eq(log.rows[9999].state, 2, "row 10000 is drilling");
	log_free(&log);
}
