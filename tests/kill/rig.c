/* SPDX-License-Identifier: Apache-2.0 */
/* Engine and owners. */
#include "rig.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include <dsm/engine.h>

#include "core/hooks.h"
#include "owner.h"

struct board *board;
const char *const role_names[ROLES] = { "pilot", "far" };

bool rig_check(bool good, const char *what, ...)
{
	if (good) {
		atomic_fetch_add(&board->passed, 1);
		return true;
	}
	char text[400];
	va_list args;
	va_start(args, what);
	vsnprintf(text, sizeof(text), what, args);
	va_end(args);
	if (atomic_fetch_add(&board->failed, 1) < 40) {
		printf("FAILED: %s\n", text);
		fflush(stdout);
	}
	return false;
}

bool rig_lost(const char *who)
{
	if (!board->rdma[0] || atomic_fetch_add(&board->losses, 1) >= LOSSES_MAX)
		return false;
	printf("  %s lost its connection: %s\n", who, dsm_error());
	fflush(stdout);
	return true;
}

void rig_sleep_us(unsigned us)
{
	struct timespec t = { us / 1000000, (long)(us % 1000000) * 1000 };
	nanosleep(&t, NULL);
}

/* In the child: dies with the controller, and is killed where it is told to. */
static pid_t rig_fork(const char *point)
{
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
#ifdef DSM_TEST_HOOKS
		dsm__point_arm(point && point[0] ? point : NULL);
#else
		(void)point;
#endif
	}
	return pid;
}

/* ---- table ---- */

static int add_cells(struct dsm_table *t, const char *group, unsigned n)
{
	char name[16];
	int rc = 0;
	for (unsigned c = 0; rc == 0 && c < n; c++) {
		snprintf(name, sizeof(name), "c%u", c);
		struct dsm_cell_spec cell = { .group = group, .name = name, .type = DSM_U64, .unit = "",
			.description = "", .precision = -1 };
		rc = dsm_table_cell(t, &cell);
	}
	return rc;
}

static int make_table(struct dsm_table **out)
{
	struct dsm_group_spec boot = { "engine", "boot", "", 0, 0, false };
	int rc = dsm_table_new("kill", out);
	for (unsigned r = 0; rc == 0 && r < ROLES; r++) {
		struct dsm_owner_spec owner = { role_names[r], r == 1 || board->rdma[0], "*" };
		rc = dsm_table_owner(*out, &owner);
		for (unsigned g = 0; rc == 0 && g < GROUPS; g++) {
			char name[40];
			struct dsm_group_spec group = { role_names[r], name, "", g ? 2 : 4, 0, true };
			snprintf(name, sizeof(name), "%s.%s", role_names[r], g ? "wide" : "small");
			rc = dsm_table_group(*out, &group);
			if (rc == 0)
				rc = add_cells(*out, name, g ? CELLS_WIDE : CELLS_SMALL);
		}
	}
	if (rc == 0)
		rc = dsm_table_group(*out, &boot);
	return rc ? rc : add_cells(*out, "boot", 2);
}

/* ---- engine ---- */

struct boot { struct dsm *dsm; struct dsm_cell cells[2]; };

static int boot_write(struct boot *b, uint64_t value)
{
	int rc = dsm_begin(b->dsm, 0);
	for (unsigned i = 0; rc == 0 && i < 2; i++)
		rc = dsm_set_u64(b->dsm, b->cells[i], value);
	return rc ? rc : dsm_commit(b->dsm, NULL);
}

/* What the state file gave back: a whole save, the last one finished or the one under way. */
static uint64_t boot_restored(struct boot *b)
{
	struct dsm_sample s[2] = { 0 };
	for (unsigned i = 0; i < 2; i++)
		rig_check(dsm_read(b->dsm, b->cells[i], &s[i]) == 0, "engine's cell: %s", dsm_error());
	uint64_t value = s[0].value.u64, saved = atomic_load(&board->saved), boot = atomic_load(&board->boot);
	rig_check(value == s[1].value.u64, "restored a mix: %llu and %llu", (unsigned long long)value,
		(unsigned long long)s[1].value.u64);
	rig_check(value >= saved && value <= boot, "restored %llu, saved was %llu, written %llu",
		(unsigned long long)value, (unsigned long long)saved, (unsigned long long)boot);
	return value;
}

static void say_log(const char *text, void *context)
{
	(void)context;
	if (getenv("DSM_TEST_LOG"))
		printf("engine: %s\n", text);
}

void rig_run_engine(bool saves)
{
	struct dsm_engine_options o = DSM_ENGINE_OPTIONS_INIT;
	struct dsm_options own = DSM_OPTIONS_INIT;
	struct dsm_engine *engine = NULL;
	struct dsm_table *table = NULL;
	struct boot b = { 0 };
	o.name = board->name;
	o.tick_ms = LEASE_MS / 30;
	o.lease_ms = LEASE_MS;
	o.state_file = board->state[0] ? board->state : NULL;
	o.restore = board->state[0] != 0;
	o.rdma = board->rdma[0] ? board->rdma : NULL;
	o.auth_none = true;
	o.log = say_log;
	own.owner = "engine";
	if (!rig_check(make_table(&table) == 0 && dsm_engine_open(table, &o, &engine) == 0 &&
			dsm_engine_attach(engine, &own, &b.dsm) == 0 &&
			dsm_cell(b.dsm, "boot.c0", &b.cells[0]) == 0 &&
			dsm_cell(b.dsm, "boot.c1", &b.cells[1]) == 0, "engine: %s", dsm_error()))
		return;
	dsm_table_free(&table);
	uint64_t value = boot_restored(&b);
	atomic_store(&board->engine_up, 1);
	while (!atomic_load(&board->stop)) {
		if (!saves) { /* a handle lets go of a moved bank when it is used */
			struct dsm_status status;
			dsm_status(b.dsm, &status);
			rig_sleep_us(2000);
			continue;
		}
		atomic_store(&board->boot, ++value);
		rig_check(boot_write(&b, value) == 0, "engine's commit: %s", dsm_error());
		rig_check(dsm_engine_save(engine) == 0, "save: %s", dsm_error());
		atomic_store(&board->saved, value);
	}
	dsm_detach(&b.dsm);
	rig_check(dsm_engine_close(&engine) == 0, "close: %s", dsm_error());
}

pid_t rig_engine(const char *point, bool saves)
{
	atomic_store(&board->engine_up, 0);
	pid_t pid = rig_fork(point);
	if (pid != 0)
		return pid;
	rig_run_engine(saves);
	_exit(0);
}

pid_t rig_reader(uint32_t index)
{
	pid_t pid = rig_fork(NULL);
	if (pid != 0)
		return pid;
	reader_run(index);
	_exit(0);
}

pid_t rig_owner(const struct owner_task *task)
{
	atomic_store(&board->roles[task->role].ended, 0);
	pid_t pid = rig_fork(task->point);
	if (pid != 0)
		return pid;
	owner_run(task);
	_exit(0);
}
