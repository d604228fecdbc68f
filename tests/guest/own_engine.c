/* SPDX-License-Identifier: Apache-2.0 */
#include "own_engine.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/packets.h"
#define PLAIN_SHARED
#include "stress/plain.h"

#define READY_MS 60000

struct own_engine_board {
	_Atomic int state;              /* 1 ready, else a negative errno */
	_Atomic uint32_t stop;
};

static const struct own_engine_kind *wanted;
static const struct own_engine *mine;

static int run_engine(void)
{
	struct dsm_engine_options opts = DSM_ENGINE_OPTIONS_INIT;
	struct dsm_table *table = NULL;
	struct dsm_engine *engine = NULL;
	opts.name = strstr(mine->near, "://") + 3;
	opts.rdma = strstr(mine->far, "://") + 3;
	opts.tick_ms = 50;
	opts.lease_ms = 5000; /* an emulated machine under load */
	opts.max_clients = wanted->max_clients;
	opts.auth_none = true;
	int rc = wanted->table(&table);
	rc = rc ? rc : dsm_engine_open(table, &opts, &engine);
	if (rc == 0 && wanted->begun)
		rc = wanted->begun(engine);
	if (rc)
		printf("engine: %s\n", dsm_error());
	dsm_table_free(&table);
	atomic_store(&mine->board->state, rc ? rc : 1);
	while (rc == 0 && !atomic_load(&mine->board->stop))
		plain_sleep_ms(20);
	dsm_engine_close(&engine);
	return rc;
}

pid_t own_process(int (*run)(void))
{
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(run() ? 1 : 0);
	}
	return pid;
}

int own_engine_start(const struct own_engine_kind *kind, struct own_engine *out)
{
	char address[64];
	*out = (struct own_engine){ 0 };
	if (device_address(address)) {
		printf("skipped: no RDMA device with an IPv4 address here\n");
		return 77;
	}
	void *board = mmap(NULL, sizeof(*out->board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (board == MAP_FAILED)
		return -ENOMEM;
	out->board = board;
	snprintf(out->near, sizeof(out->near), "shm://%s-%d", kind->name, (int)getpid());
	snprintf(out->far, sizeof(out->far), "rdma://%s:%u", address, kind->port);
	wanted = kind;
	mine = out;
	out->pid = own_process(run_engine);
	for (int i = 0; i < READY_MS / 10 && atomic_load(&out->board->state) == 0; i++)
		plain_sleep_ms(10);
	int state = atomic_load(&out->board->state);
	return check(state == 1, "the engine does not start") ? 0 : state ? state : -ETIMEDOUT;
}

void own_engine_end(struct own_engine *engine)
{
	if (!engine->board)
		return;
	atomic_store(&engine->board->stop, 1);
	if (engine->pid > 0)
		waitpid(engine->pid, NULL, 0);
	munmap(engine->board, sizeof(*engine->board));
	engine->board = NULL;
}
