/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one user can do to another's engine: read, and nothing else. The engine runs under one
 * unprivileged uid, a hostile client under a second, an honest one under a third; as root, or
 * as one uid, this would prove nothing. Needs root to take those uids, else skipped.
 */
#include "isolation.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <dsm/engine.h>

#include "transport/channel.h"

struct board *board;
char engine_name[40];
static int control_pair[2];

bool check(bool good, const char *what, ...)
{
	if (good) {
		atomic_fetch_add(&board->passed, 1);
		return true;
	}
	va_list args;
	va_start(args, what);
	char text[400];
	vsnprintf(text, sizeof(text), what, args);
	va_end(args);
	atomic_fetch_add(&board->failed, 1);
	printf("FAILED: %s\n", text);
	fflush(stdout);
	return false;
}

static void sleep_ms(unsigned ms)
{
	struct timespec t = { ms / 1000, (long)(ms % 1000) * 1000000 };
	nanosleep(&t, NULL);
}

/* As after login: no root, no groups; /proc/self is the process's own again, as after exec(). */
static bool become(uid_t uid)
{
	bool good = setgroups(0, NULL) == 0 && setresgid(uid, uid, uid) == 0 && setresuid(uid, uid, uid) == 0;
	prctl(PR_SET_DUMPABLE, 1);
	prctl(PR_SET_PDEATHSIG, 9);
	return check(good && geteuid() == uid, "cannot become user %u: %s", uid, strerror(errno));
}

/* ---- the engine ---- */

static int make_table(struct dsm_table **out)
{
	static const struct dsm_owner_spec owners[] = {
		{ "closed", false, "" }, { "listed", false, "61003" }, { "mine", false, "61002,61003" },
		{ "open", false, "*" }, { "far", true, "" },
	};
	int rc = dsm_table_new("isolation", out);
	for (unsigned i = 0; rc == 0 && i < 5; i++)
		rc = dsm_table_owner(*out, &owners[i]);
	for (unsigned i = 0; rc == 0 && i < 6; i++) {
		const char *owner = i < 5 ? owners[i].name : "engine";
		struct dsm_group_spec group = { owner, owner, "", 0, 0, false };
		struct dsm_cell_spec a = { .group = owner, .name = "a", .type = DSM_U64, .unit = "",
			.description = "", .precision = -1 };
		struct dsm_cell_spec b = a;
		b.name = "b";
		rc = dsm_table_group(*out, &group);
		if (rc == 0)
			rc = dsm_table_cell(*out, &a);
		if (rc == 0)
			rc = dsm_table_cell(*out, &b);
	}
	return rc;
}

/* Shows that the attack works where nothing is done against it: a memfd as it is born. */
static void send_control(void)
{
	char path[40], byte = 0;
	int made = memfd_create("control", MFD_CLOEXEC);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", made);
	int read_only = open(path, O_RDONLY | O_CLOEXEC);
	check(made >= 0 && ftruncate(made, 4096) == 0 && read_only >= 0 &&
		channel_send(control_pair[0], &byte, 1, &read_only, 1) == 0, "cannot send a control");
}

static void run_engine(void)
{
	struct dsm_engine_options o = DSM_ENGINE_OPTIONS_INIT;
	struct dsm_options own = DSM_OPTIONS_INIT;
	struct dsm_table *table = NULL;
	struct dsm_engine *engine = NULL;
	struct dsm *dsm = NULL;
	struct dsm_cell a, b;
	o.name = engine_name;
	o.max_clients = CLIENTS;
	own.owner = "engine";
	if (!become(UID_ENGINE) || !check(make_table(&table) == 0 && dsm_engine_open(table, &o, &engine) == 0 &&
			dsm_engine_attach(engine, &own, &dsm) == 0 && dsm_cell(dsm, "engine.a", &a) == 0 &&
			dsm_cell(dsm, "engine.b", &b) == 0, "engine: %s", dsm_error()))
		return;
	dsm_table_free(&table);
	send_control();
	atomic_store(&board->up, 1);
	for (uint64_t n = 1; !atomic_load(&board->stop); n++) {
		int rc = dsm_begin(dsm, 0);
		if (rc == 0)
			rc = dsm_set_u64(dsm, a, n);
		if (rc == 0)
			rc = dsm_set_u64(dsm, b, n);
		if (rc == 0)
			rc = dsm_commit(dsm, NULL);
		if (!check(rc == 0, "engine's commit: %s", dsm_error()))
			break;
		sleep_ms(1);
	}
	dsm_detach(&dsm);
	check(dsm_engine_close(&engine) == 0, "close: %s", dsm_error());
}

/* ---- the hostile client ---- */

static void check_control(void)
{
	char path[40], byte;
	int fd = -1, again = -1;
	uint32_t n = 0;
	for (int i = 0; i < 100 && n == 0; i++) {
		channel_recv(control_pair[1], &byte, 1, &fd, 1, &n);
		sleep_ms(10);
	}
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (n)
		again = open(path, O_RDWR | O_CLOEXEC);
	check(again >= 0, "control: a memfd as it is born cannot be opened again for writing here: %s; the "
		"refusals below prove nothing", strerror(errno));
	close(again);
	close(fd);
}

static void attack_pieces(void)
{
	struct pieces p;
	char what[40];
	int rc = raw_attach("", &p);
	if (!check(rc == 0 && p.count == 3 + 6, "hostile reader: %s, %u descriptors", strerror(-rc), p.count))
		return;
	raw_attack_readonly(p.fds[PIECE_HEADER], "header");
	raw_attack_readonly(p.fds[PIECE_DIRECTORY], "directory");
	for (unsigned i = 3; i < p.count; i++) {
		snprintf(what, sizeof(what), "bank %u", i - 3);
		raw_attack_readonly(p.fds[i], what);
	}
	raw_attack_writable(p.fds[PIECE_WAITERS], "waiter counts");
	raw_close(&p);
}

static void claim(const char *owner, int expected)
{
	struct pieces p;
	int rc = raw_attach(owner, &p);
	check(rc == expected, "claim of \"%s\": %d, expected %d", owner, rc, expected);
	check(expected == 0 || p.count == 0, "claim of \"%s\": refused, with %u descriptors", owner, p.count);
	if (rc == 0) {
		raw_attack_writable(p.fds[3], owner); /* its own bank: may be written, and no more */
		for (unsigned i = 4; i < p.count; i++)
			check((fcntl(p.fds[i], F_GETFL) & O_ACCMODE) == O_RDONLY, "owner of \"%s\": bank %u may be "
				"written", owner, i - 4);
	}
	raw_close(&p);
}

static void look_into_engine(pid_t engine)
{
	char path[48];
	unsigned opened = 0;
	for (int fd = 0; fd < 64; fd++) {
		snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)engine, fd);
		int got = open(path, O_RDWR | O_NONBLOCK);
		opened += got >= 0;
		if (got >= 0)
			close(got);
	}
	check(opened == 0, "%u of the engine's own descriptors can be opened", opened);
}

/* Over the counts, all the time that the honest client reads and waits. */
static void scribble(void)
{
	struct pieces p;
	uint64_t dice = 0x15;
	int rc = raw_attach("", &p);
	for (unsigned i = 0; rc && i < 500; i++) { /* the places given back are noticed one by one */
		raw_close(&p);
		sleep_ms(10);
		rc = raw_attach("", &p);
	}
	if (!check(rc == 0, "hostile reader comes again: %d", rc))
		return;
	volatile uint32_t *counts = mmap(NULL, p.bytes[PIECE_WAITERS], PROT_READ | PROT_WRITE, MAP_SHARED,
		p.fds[PIECE_WAITERS], 0);
	if (!check(counts != MAP_FAILED, "the waiter counts cannot be written: %s", strerror(errno)))
		return;
	atomic_store(&board->scribbling, 1);
	for (unsigned i = 0; !atomic_load(&board->honest_done) && i < 2000000000u; i++) {
		dice ^= dice << 13;
		dice ^= dice >> 7;
		dice ^= dice << 17;
		counts[dice % (p.bytes[PIECE_WAITERS] / 4)] = (dice >> 40) & 3 ? 0 : (uint32_t)(dice >> 32);
	}
	raw_close(&p);
}

/* One user neither takes all places nor all descriptors that the kernel lets be under way. */
static void be_greedy(void)
{
	unsigned n = raw_hoard(1000);
	check(n > 10 && n < 120, "%u answers with six descriptors each, and none taken", n);
	n = raw_crowd(2 * CLIENTS); /* a place given back just now may still be counted */
	check(n <= CLIENTS / 2 && n + 4 >= CLIENTS / 2, "%u places of %u for one user", n, CLIENTS);
}

static void run_hostile(pid_t engine)
{
	if (!become(UID_CLIENT))
		return;
	check_control();
	attack_pieces();
	claim("closed", -EACCES);
	claim("listed", -EACCES);
	claim("far", -EACCES);
	claim("engine", -EBUSY);
	claim("nobody", -ENODEV);
	claim("mine", 0);
	claim("open", 0);
	look_into_engine(engine);
	be_greedy();
	scribble();
	atomic_store(&board->scribbling, 1); /* also if it could not: nobody waits for it */
}

/* ---- the honest client ---- */

static bool look(struct dsm *dsm, struct dsm_frame *frame, const struct dsm_cell *cells, uint64_t *last)
{
	struct dsm_sample a, b;
	struct dsm_frame_info info;
	(void)dsm;
	if (dsm_frame_info(frame, &info) || dsm_frame_read(frame, cells[0], &a) ||
	    dsm_frame_read(frame, cells[1], &b))
		return check(false, "frame: %s", dsm_error());
	bool good = a.value.u64 == b.value.u64 && a.value.u64 == info.seq && info.seq >= *last;
	*last = info.seq;
	return good;
}

static void run_honest(void)
{
	char uri[64];
	struct dsm_options o = DSM_OPTIONS_INIT;
	struct dsm *dsm = NULL;
	struct dsm_group group;
	struct dsm_cell cells[2];
	struct dsm_frame *frame = NULL;
	uint64_t last = 0;
	unsigned wrong = 0, failed = 0;
	if (!become(UID_OTHER))
		return;
	while (!atomic_load(&board->scribbling) && !atomic_load(&board->stop))
		sleep_ms(1);
	snprintf(uri, sizeof(uri), "shm://%s", engine_name);
	o.owner = "listed";
	if (!check(dsm_attach(uri, &o, &dsm) == 0 && dsm_group(dsm, "engine", &group) == 0 &&
			dsm_frame_new(dsm, group, &frame) == 0 && dsm_cell(dsm, "engine.a", &cells[0]) == 0 &&
			dsm_cell(dsm, "engine.b", &cells[1]) == 0, "honest client: %s", dsm_error()))
		return;
	for (unsigned i = 0; i < 200000; i++) {
		failed += dsm_snapshot(dsm, group, frame) != 0;
		wrong += !look(dsm, frame, cells, &last);
	}
	for (unsigned i = 0; i < 300; i++) {
		failed += dsm_wait(dsm, group, last, 5000, frame) != 0;
		wrong += !look(dsm, frame, cells, &last);
	}
	check(wrong == 0, "scribbled counts: %u wrong values", wrong);
	check(failed == 0, "scribbled counts: %u failed reads or waits: %s", failed, dsm_error());
	dsm_frame_free(&frame);
	dsm_detach(&dsm);
}

/* ---- all ---- */

static pid_t start(void)
{
	fflush(stdout);
	return fork();
}

static void ended(pid_t pid, const char *what)
{
	int status = 0;
	waitpid(pid, &status, 0);
	check(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s ended with status %d", what, status);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (geteuid() != 0) {
		printf("skipped: needs root, to become three users without rights\n");
		return 77;
	}
	alarm(60);
	board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (board == MAP_FAILED || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control_pair))
		return 1;
	snprintf(engine_name, sizeof(engine_name), "isolation-%d", (int)getpid());
	pid_t engine = start();
	if (engine == 0) {
		run_engine();
		_exit(0);
	}
	for (int i = 0; i < 1000 && !atomic_load(&board->up); i++)
		sleep_ms(10);
	if (check(atomic_load(&board->up), "the engine does not start")) {
		pid_t honest = start();
		if (honest == 0) {
			run_honest();
			atomic_store(&board->honest_done, 1);
			_exit(0);
		}
		pid_t hostile = start();
		if (hostile == 0) {
			run_hostile(engine);
			_exit(0);
		}
		ended(honest, "the honest client");
		ended(hostile, "the hostile client");
	}
	atomic_store(&board->stop, 1);
	ended(engine, "the engine");
	printf("%u passed, %u failed\n", board->passed, board->failed);
	return board->failed ? 1 : 0;
}
