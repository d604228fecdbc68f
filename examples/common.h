/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the examples share, so that each shows only its own point: failing with the library's
 * words, building a small table, and a play of processes round one engine.
 * Public headers only; nothing in here is part of the library.
 */
#ifndef DSM_EXAMPLES_COMMON_H
#define DSM_EXAMPLES_COMMON_H

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <dsm/engine.h>

#define PATIENCE_MS 10000 /* no wait in an example is longer: a hang becomes an error */

/** Give back what did not fail; otherwise say what was tried and why it failed, and exit. */
static inline int check(int result, const char *what)
{
	if (result >= 0)
		return result;
	fprintf(stderr, "%s: %s (%s)\n", what, dsm_error(), dsm_strerror(result));
	exit(1);
}

/** Argument number n as a whole number in low..high, or the default when it is not given. */
static inline long argument(int argc, char **argv, int n, long otherwise, long low, long high)
{
	if (n >= argc)
		return otherwise;
	char *end;
	long value = strtol(argv[n], &end, 10);
	if (*argv[n] == '\0' || *end != '\0' || value < low || value > high) {
		fprintf(stderr, "%s: argument %d is '%s'; a number from %ld to %ld was expected\n",
			argv[0], n, argv[n], low, high);
		exit(2);
	}
	return value;
}

static inline uint64_t monotonic_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ---- a table in code ---------------------------------------------------------------- */

static inline void add_owner(struct dsm_table *table, const char *name)
{
	check(dsm_table_owner(table, &(struct dsm_owner_spec){ .name = name, .users = "" }), name);
}

static inline void add_group(struct dsm_table *table, const char *owner, const char *name,
	uint32_t slots)
{
	check(dsm_table_group(table, &(struct dsm_group_spec){
		.owner = owner, .name = name, .description = "", .slots = slots }), name);
}

/** `capacity` counts for strings, bytes and arrays only. */
static inline void add_cell(struct dsm_table *table, const char *group, const char *name,
	enum dsm_type type, uint32_t capacity)
{
	check(dsm_table_cell(table, &(struct dsm_cell_spec){ .group = group, .name = name,
		.unit = "", .description = "", .type = type, .capacity = capacity,
		.precision = -1 }), name);
}

/* ---- reading ------------------------------------------------------------------------ */

static inline struct dsm_cell find_cell(struct dsm *dsm, const char *name)
{
	struct dsm_cell cell;
	check(dsm_cell(dsm, name, &cell), name);
	return cell;
}

static inline struct dsm_group find_group(struct dsm *dsm, const char *name)
{
	struct dsm_group group;
	check(dsm_group(dsm, name, &group), name);
	return group;
}

static inline struct dsm_frame *new_frame(struct dsm *dsm, struct dsm_group group)
{
	struct dsm_frame *frame;
	check(dsm_frame_new(dsm, group, &frame), "a frame");
	return frame;
}

static inline struct dsm_value u64_value(uint64_t number)
{
	return (struct dsm_value){ .type = DSM_U64, .len = 1, .u64 = number };
}

/** Sleep, without polling, until the u64 cell of `group` is at least `want`. `frame` is of
 *  that group and holds, on return, the commit in which it was. */
static inline void await_u64(struct dsm *dsm, struct dsm_group group, struct dsm_cell cell,
	uint64_t want, struct dsm_frame *frame)
{
	struct dsm_sample sample;
	check(dsm_snapshot(dsm, group, frame), "dsm_snapshot");
	for (;;) {
		check(dsm_frame_read(frame, cell, &sample), "dsm_frame_read");
		if (sample.value.u64 >= want)
			return;
		check(dsm_wait(dsm, group, sample.seq, PATIENCE_MS, frame), "dsm_wait");
	}
}

/* ---- a play: an engine, and processes that attach to it -------------------------------- */

enum { PLAYERS_MAX = 64 };

struct play {
	char uri[64];
	struct dsm_engine *engine;
	pid_t pids[PLAYERS_MAX];
	int players;
	int curtain[2];
};

static inline void play_new(struct play *play, const char *name)
{
	*play = (struct play){ 0 };
	snprintf(play->uri, sizeof play->uri, "shm://%s-%d", name, (int)getpid());
	if (pipe(play->curtain) != 0) {
		perror("pipe");
		exit(1);
	}
}

/** Fork a process that runs role(uri, number) once the engine is there, and exits with what
 *  it returns. Forks come first: a handle is of no use in a forked child, and threads that
 *  the engine starts do not survive a fork. */
static inline void play_cast(struct play *play, int (*role)(const char *uri, int number),
	int number)
{
	char go = 0;
	fflush(NULL);
	pid_t pid = play->players < PLAYERS_MAX ? fork() : -1;
	if (pid < 0) {
		fprintf(stderr, "cannot fork player %d\n", play->players);
		exit(1);
	}
	if (pid > 0) {
		play->pids[play->players++] = pid;
		return;
	}
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	close(play->curtain[1]);
	if (read(play->curtain[0], &go, 1) != 1)
		exit(1); /* the engine did not open */
	exit(role(play->uri, number));
}

/** Serve the table (which is freed) under the play's private name. */
static inline void play_open(struct play *play, struct dsm_table **table)
{
	struct dsm_engine_options options = DSM_ENGINE_OPTIONS_INIT;
	options.name = play->uri + sizeof "shm://" - 1;
	check(dsm_engine_open(*table, &options, &play->engine), "dsm_engine_open");
	dsm_table_free(table);
}

/** Let the players go. */
static inline void play_start(struct play *play)
{
	for (int i = 0; i < play->players; i++) {
		if (write(play->curtain[1], "", 1) != 1)
			exit(1);
	}
}

/** Wait for all players, close the engine. Returns how many players failed. */
static inline int play_end(struct play *play)
{
	int failed = 0, status;
	for (int i = 0; i < play->players; i++) {
		if (waitpid(play->pids[i], &status, 0) != play->pids[i] || status != 0)
			failed++;
	}
	check(dsm_engine_close(&play->engine), "dsm_engine_close");
	close(play->curtain[0]);
	close(play->curtain[1]);
	return failed;
}

/** A player's handle: the owner's role, or NULL to read and to ask. */
static inline struct dsm *play_attach(const char *uri, const char *owner, uint32_t flags)
{
	struct dsm_options options = DSM_OPTIONS_INIT;
	struct dsm *dsm;
	options.owner = owner;
	options.flags = flags;
	check(dsm_attach(uri, &options, &dsm), uri);
	return dsm;
}

/** Memory that all forked players share and that has nothing to do with dsm: the judge's
 *  book, in which an example checks from outside what it claims. Zeroed. */
static inline void *judges_book(size_t size)
{
	void *book = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (book == MAP_FAILED) {
		perror("mmap");
		exit(1);
	}
	return book;
}

#endif
