/* SPDX-License-Identifier: Apache-2.0 */
/* The files: the old one stays until the new one is whole, and what is wrong is named. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <dsm/engine.h>

#include "engine/state_format.h"
#include "../common/skip.h"
#include "state_fixture.h"

static char folder[256], path[300], prev[310], fresh[310];

static void setup(void)
{
	const char *made = fixture_folder();
	cr_assert(made);
	snprintf(folder, sizeof(folder), "%s", made);
	snprintf(path, sizeof(path), "%s/rig.state", folder);
	snprintf(prev, sizeof(prev), "%s.prev", path);
	snprintf(fresh, sizeof(fresh), "%s.new", path);
}

static void teardown(void)
{
	fixture_remove(folder);
}

TestSuite(state_file, .init = setup, .fini = teardown);

static int store(uint64_t mark)
{
	struct state_image image;
	fixture_image(&image, mark);
	int rc = state_store(path, &image);
	state_free(&image);
	return rc;
}

static char used[400], report[1000];

/* The mark that is loaded, or a negative errno. */
static int64_t load(void)
{
	struct state_image image = { 0 };
	used[0] = '\0';
	int rc = state_load(path, &image, used, sizeof(used), report, sizeof(report));
	if (rc)
		return rc;
	uint64_t mark = fixture_mark(&image);
	state_free(&image);
	return (int64_t)mark;
}

static void damage(const char *file, size_t at)
{
	int fd = open(file, O_RDWR);
	unsigned char byte;
	cr_assert(fd >= 0 && pread(fd, &byte, 1, (off_t)at) == 1);
	byte ^= 16;
	cr_assert(pwrite(fd, &byte, 1, (off_t)at) == 1);
	close(fd);
}

Test(state_file, store_and_load)
{
	struct stat st;
	cr_assert_eq(load(), -ENOENT);
	cr_assert_eq(store(1), 0, "%s", dsm_error());
	cr_assert_eq(load(), 1);
	cr_expect_str_eq(used, path);
	cr_expect_str_eq(report, "");
	cr_expect(access(prev, F_OK) != 0);
	cr_assert_eq(store(2), 0);
	cr_assert_eq(load(), 2);
	cr_expect_eq(access(prev, F_OK), 0);
	cr_expect_neq(access(fresh, F_OK), 0);
	cr_assert_eq(stat(path, &st), 0);
	cr_expect_eq(st.st_mode & 07777, 0600u);
	struct state_image image;
	cr_assert_eq(state_load(path, &image, NULL, 0, NULL, 0), 0);
	state_free(&image);
}

Test(state_file, relative_path)
{
	cr_assert_eq(chdir(folder), 0);
	struct state_image image;
	fixture_image(&image, 4);
	cr_expect_eq(state_store("s", &image), 0, "%s", dsm_error());
	cr_expect_eq(access("s", F_OK), 0);
	cr_expect_eq(state_store("", &image), -EINVAL);
	cr_expect_eq(state_store("there/", &image), -EINVAL);
	cr_expect_eq(state_store("..", &image), -EINVAL);
	cr_expect_eq(state_store("no/such/folder", &image), -ENOENT);
	char name[400];
	memset(name, 'n', sizeof(name));
	name[251] = '\0';
	cr_expect_eq(state_store(name, &image), -ENAMETOOLONG);
	name[250] = '\0';
	cr_expect_eq(state_store(name, &image), 0, "%s", dsm_error());
	state_free(&image);
	cr_expect_eq(state_store("s", &image), -EINVAL, "an image never begun");
}

Test(state_file, previous_is_used_and_the_bad_one_named)
{
	cr_assert_eq(store(1), 0);
	cr_assert_eq(store(2), 0);
	damage(path, 100);
	cr_assert_eq(load(), 1);
	cr_expect_str_eq(used, prev);
	cr_expect(strstr(report, path) && strstr(report, "bit-flipped"), "%s", report);
	cr_assert_eq(truncate(path, 90), 0);
	cr_assert_eq(load(), 1);
	cr_expect(strstr(report, "truncated: 90 bytes of"), "%s", report);
	cr_assert_eq(fixture_write(path, "#!/bin/sh\n", 10), 0);
	cr_assert_eq(load(), 1);
	cr_expect(strstr(report, "foreign"), "%s", report);
	cr_assert_eq(truncate(path, 0), 0);
	cr_assert_eq(load(), 1);
	cr_expect(strstr(report, "empty"), "%s", report);
	cr_assert_eq(truncate(path, 4096), 0);
	cr_assert_eq(load(), 1);
	cr_expect(strstr(report, "zeros"), "%s", report);
	damage(prev, 100);
	cr_assert_eq(load(), -EBADMSG);
	cr_expect(strchr(report, '\n') && strstr(report, prev), "%s", report);
	cr_expect(strstr(dsm_error(), path), "%s", dsm_error());
	/* the next save makes it whole again */
	cr_assert_eq(store(3), 0);
	cr_assert_eq(load(), 3);
}

Test(state_file, other_version)
{
	cr_assert_eq(store(1), 0);
	damage(path, 8);
	cr_assert_eq(load(), -EPROTONOSUPPORT);
	cr_expect(strstr(dsm_error(), "version 17"), "%s", dsm_error());
	cr_expect(strstr(report, "other version"), "%s", report);
}

Test(state_file, save_interrupted_between_the_renames)
{
	cr_assert_eq(store(1), 0);
	cr_assert_eq(store(2), 0);
	cr_assert_eq(rename(path, fresh), 0);
	cr_assert_eq(load(), 2);
	cr_expect_str_eq(used, fresh);
	cr_expect(strstr(report, "interrupted"), "%s", report);
	damage(fresh, 50);
	cr_assert_eq(load(), 1);
	cr_expect_str_eq(used, prev);
	cr_assert_eq(store(3), 0);
	cr_assert_eq(load(), 3);
	cr_expect_neq(access(fresh, F_OK), 0);
}

Test(state_file, only_regular_files)
{
	char other[300];
	snprintf(other, sizeof(other), "%s/other", folder);
	cr_assert_eq(fixture_write(other, "precious", 8), 0);
	cr_assert_eq(symlink(other, path), 0);
	cr_expect_eq(store(1), -ELOOP);
	cr_expect_eq(load(), -ELOOP);
	cr_assert_eq(unlink(path), 0);
	cr_assert_eq(mkfifo(path, 0600), 0);
	cr_expect_eq(store(1), -EINVAL);
	cr_expect_eq(load(), -EINVAL);
	cr_expect(strstr(dsm_error(), "regular"), "%s", dsm_error());
	cr_assert_eq(unlink(path), 0);
	cr_assert_eq(mkdir(path, 0700), 0);
	cr_expect_eq(store(1), -EINVAL);
	cr_expect_lt(load(), 0);
	cr_assert_eq(rmdir(path), 0);
	/* a link where the new file goes is removed, not followed */
	cr_assert_eq(symlink(other, fresh), 0);
	cr_expect_eq(store(1), 0, "%s", dsm_error());
	size_t bytes = 0;
	unsigned char *kept = fixture_read(other, &bytes);
	cr_expect(kept && bytes == 8 && memcmp(kept, "precious", 8) == 0);
	free(kept);
	/* a folder there cannot be */
	cr_assert_eq(mkdir(fresh, 0700), 0);
	cr_expect_lt(store(2), 0);
	cr_expect_eq(load(), 1);
}

Test(state_file, over_4_gib)
{
	cr_assert_eq(store(1), 0);
	if (truncate(path, ((off_t)4 << 30) + 8))
		skip_test("no sparse files of 4 GiB here");
	cr_expect_eq(load(), -EFBIG);
	cr_expect(strstr(dsm_error(), "4 GiB"), "%s", dsm_error());
}

static void big_image(struct state_image *big)
{
	struct dsm_sample sample = { .value = { .type = DSM_BYTES, .len = 1u << 20 }, .quality = DSM_GOOD };
	void *megabyte = calloc(1, 1u << 20);
	sample.value.bytes = megabyte;
	state_begin(big, "rig", 1, 2);
	state_put_cell(big, "big.cell", "", &sample);
	cr_assert_eq(state_finish(big), 0);
	free(megabyte);
}

/* Where there is no mount() too: the limit on a file's size ends the write half-way. */
Test(state_file, no_room_by_limit)
{
	struct state_image big;
	struct rlimit limit, small;
	big_image(&big);
	cr_assert_eq(store(1), 0);
	signal(SIGXFSZ, SIG_IGN);
	cr_assert_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
	small = limit;
	small.rlim_cur = 65536;
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
	int rc = state_store(path, &big);
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	cr_expect_eq(rc, -EFBIG, "%d %s", rc, dsm_error());
	cr_expect(strstr(dsm_error(), "rig.state.new"), "%s", dsm_error());
	cr_expect_neq(access(fresh, F_OK), 0, "PATH.new was left");
	cr_expect_eq(load(), 1);
	cr_expect_eq(state_store(path, &big), 0, "%s", dsm_error());
	state_free(&big);
}

/* As root a tiny tmpfs fills up. */
Test(state_file, full_disk)
{
	struct state_image big;
	big_image(&big);
	if (mount("none", folder, "tmpfs", 0, "size=64k"))
		skip_test("mount: %s", strerror(errno));
	int before = store(1), rc = state_store(path, &big);
	char text[300];
	snprintf(text, sizeof(text), "%s", dsm_error());
	int64_t after = load();
	bool left = access(fresh, F_OK) == 0;
	umount(folder);
	state_free(&big);
	cr_expect_eq(before, 0);
	cr_expect_eq(rc, -ENOSPC, "%d %s", rc, text);
	cr_expect(strstr(text, "free some space"), "%s", text);
	cr_expect_eq(after, 1);
	cr_expect(!left, "PATH.new was left on the full disk");
}

/* Root may do everything: a child without rights tries. */
Test(state_file, no_permission)
{
	cr_assert_eq(store(1), 0);
	cr_assert_eq(chmod(folder, 0555), 0);
	pid_t child = fork();
	if (child == 0) {
		if (geteuid() == 0 && setuid(65534))
			_exit(9);
		int rc = store(2);
		_exit(rc != -EACCES ? 1 : !strstr(dsm_error(), "rig.state.new: cannot be created: Permission denied") ? 2 :
			getuid() == 65534 && load() != -EACCES ? 3 : 0);
	}
	int status = 0;
	cr_assert_eq(waitpid(child, &status, 0), child);
	chmod(folder, 0755);
	cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x", status);
	cr_expect_eq(load(), 1);
}

static int count(const char *name, const char *unit, const struct dsm_sample *sample, void *context)
{
	(void)name, (void)unit, (void)sample;
	return ++*(int *)context == 4 ? 55 : 0;
}

Test(state_file, foreach)
{
	int cells = 0;
	cr_expect_eq(dsm_state_foreach(path, count, &cells), -ENOENT);
	cr_assert_eq(store(1), 0);
	cr_expect_eq(dsm_state_foreach(path, count, &cells), 55);
	cr_expect_eq(cells, 4);
	cr_expect_eq(dsm_state_foreach(path, NULL, NULL), -EINVAL);
	damage(path, 70);
	cr_expect_eq(dsm_state_foreach(path, count, &cells), -EBADMSG);
	cr_expect(strstr(dsm_error(), path) && strstr(dsm_error(), "byte"), "%s", dsm_error());
}
