/* SPDX-License-Identifier: Apache-2.0 */
/* A process that saves is killed at each named point, and at random moments: what is loaded
 * afterwards is whole, and is either what was saved before or what was being saved; the next
 * save works and leaves no PATH.new. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/hooks.h"
#include "state_fixture.h"

static char path[300], fresh[310];
static int failures;

static void store_or_count(uint64_t mark)
{
	struct state_image image;
	fixture_image(&image, mark);
	if (state_store(path, &image)) {
		fprintf(stderr, "save %llu: %s\n", (unsigned long long)mark, dsm_error());
		failures++;
	}
	state_free(&image);
}

static uint64_t load_mark(void)
{
	struct state_image image;
	if (state_load(path, &image, NULL, 0, NULL, 0)) {
		fprintf(stderr, "load: %s\n", dsm_error());
		return UINT64_MAX;
	}
	uint64_t mark = fixture_mark(&image);
	state_free(&image);
	return mark;
}

static void expect(int truth, const char *what, const char *point)
{
	if (!truth) {
		fprintf(stderr, "%s: %s\n", point, what);
		failures++;
	}
}

static void at_point(const char *point, uint64_t want)
{
	store_or_count(1);
	store_or_count(2);
	pid_t child = fork();
	if (child == 0) {
		dsm__point_arm(point);
		store_or_count(3);
		_exit(0);
	}
	int status = 0;
	waitpid(child, &status, 0);
	expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "was not killed", point);
	expect(load_mark() == want, "another state than expected", point);
	store_or_count(4);
	expect(load_mark() == 4, "the next save did not work", point);
	expect(access(fresh, F_OK) != 0, "PATH.new was left", point);
}

/* The child saves 1, 2, 3, … and tells of each that is done. */
static void at_random(unsigned us)
{
	int pipe_fds[2];
	uint64_t done = 0, told, mark;
	store_or_count(0);
	if (pipe(pipe_fds))
		exit(1);
	pid_t child = fork();
	if (child == 0) {
		for (uint64_t i = 1;; i++) {
			store_or_count(i);
			if (write(pipe_fds[1], &i, sizeof(i)) != (ssize_t)sizeof(i))
				_exit(1);
		}
	}
	close(pipe_fds[1]);
	nanosleep(&(struct timespec){ 0, (long)us * 1000 }, NULL);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	while (read(pipe_fds[0], &told, sizeof(told)) == (ssize_t)sizeof(told))
		done = told;
	close(pipe_fds[0]);
	mark = load_mark();
	expect(mark == done || mark == done + 1, "an acknowledged save is gone", "random");
}

int main(void)
{
	const char *folder = fixture_folder();
	if (!folder)
		return 1;
	snprintf(path, sizeof(path), "%s/rig.state", folder);
	snprintf(fresh, sizeof(fresh), "%s.new", path);
	at_point("save-mid-write", 2);
	at_point("save-before-rename", 2);
	at_point("save-between-renames", 3); /* no PATH, but a whole PATH.new */
	at_point("save-after-rename", 3);
	unsigned kills = 200;
	srand(1);
	for (unsigned i = 0; i < kills && failures < 10; i++)
		at_random(500 + (unsigned)rand() % 8000);
	fixture_remove(folder);
	printf("4 named and %u random kills, %d failures\n", kills, failures);
	return failures != 0;
}
