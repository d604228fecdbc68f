/* SPDX-License-Identifier: Apache-2.0 */
#include "harness/child.h"
#include "harness/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHILDREN_MAX 64
#define READY_TRIES 10000  /* of 1 ms */
#define GENTLE_TRIES 1000  /* of 1 ms, then SIGKILL */

volatile sig_atomic_t bench_stop, bench_expired;
static pid_t children[CHILDREN_MAX];

/* A signal that comes just before a blocking call would be missed: repeat it. */
static void keep_interrupting(time_t seconds, suseconds_t us)
{
	struct itimerval timer = {
		.it_value = { .tv_sec = seconds, .tv_usec = us },
		.it_interval = { .tv_usec = seconds || us ? 50000 : 0 },
	};
	setitimer(ITIMER_REAL, &timer, NULL);
}

static void on_stop(int signal)
{
	(void)signal;
	bench_stop = 1;
	keep_interrupting(0, 50000);
}

static void on_alarm(int signal)
{
	(void)signal;
	bench_expired = 1;
}

static void kill_children(void)
{
	for (int i = 0; i < CHILDREN_MAX; i++) {
		if (children[i] <= 0)
			continue;
		kill(children[i], SIGKILL);
		waitpid(children[i], NULL, 0);
		children[i] = 0;
	}
}

void bench_signals(void)
{
	/* no SA_RESTART: a blocked call must come back */
	struct sigaction stop = { .sa_handler = on_stop }, tick = { .sa_handler = on_alarm };
	sigaction(SIGINT, &stop, NULL);
	sigaction(SIGTERM, &stop, NULL);
	sigaction(SIGHUP, &stop, NULL);
	sigaction(SIGALRM, &tick, NULL);
	signal(SIGPIPE, SIG_IGN);
	atexit(kill_children);
}

void bench_guard(unsigned seconds)
{
	if (bench_stop)
		return; /* the timer is in use to interrupt */
	bench_expired = 0;
	keep_interrupting((time_t)seconds, 0);
}

static void remember(pid_t pid)
{
	for (int i = 0; i < CHILDREN_MAX; i++) {
		if (!children[i]) {
			children[i] = pid;
			return;
		}
	}
}

static void forget(pid_t pid)
{
	for (int i = 0; i < CHILDREN_MAX; i++) {
		if (children[i] == pid)
			children[i] = 0;
	}
}

/* In the child: it dies with its parent, and only its parent tells it to stop. */
static void become_child(pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	memset(children, 0, sizeof(children));
	bench_pin(-1);
	signal(SIGINT, SIG_IGN);
	bench_stop = 0;
}

static _Noreturn void child_main(struct bench_shared *shared, int cpu, bench_child_main work, void *arg)
{
	bench_pin(cpu);
	int rc = work(shared, arg);
	atomic_store(&shared->rc, rc);
	_exit(rc && rc != -EINTR);
}

static bool reaped(pid_t pid)
{
	return waitpid(pid, NULL, WNOHANG) != 0;
}

static void reap_child(pid_t pid, int signal_gentle)
{
	for (int i = 0; !reaped(pid); i++) {
		if (i % 50 == 0)
			kill(pid, i < GENTLE_TRIES ? signal_gentle : SIGKILL);
		bench_sleep_ns(1000000);
	}
	forget(pid);
}

static int wait_ready(struct bench_child *child)
{
	for (int i = 0; i < READY_TRIES && !bench_stop; i++) {
		if (atomic_load(&child->shared->ready))
			return 0;
		if (reaped(child->pid)) {
			forget(child->pid);
			child->pid = 0;
			int rc = atomic_load(&child->shared->rc);
			return rc ? rc : -ECHILD;
		}
		bench_sleep_ns(i < 100 ? 100000 : 1000000);
	}
	return bench_stop ? -EINTR : -ETIMEDOUT;
}

int bench_child_start(struct bench_child *child, int cpu, bench_child_main work, void *arg)
{
	pid_t parent = getpid();
	*child = (struct bench_child){ 0 };
	void *page = mmap(NULL, sizeof(struct bench_shared), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED)
		return -errno;
	child->shared = page;
	child->pid = fork();
	if (child->pid < 0) {
		munmap(page, sizeof(struct bench_shared));
		*child = (struct bench_child){ 0 };
		return -errno;
	}
	if (child->pid == 0) {
		become_child(parent);
		child_main(child->shared, cpu, work, arg);
	}
	remember(child->pid);
	return wait_ready(child);
}

int bench_child_stop(struct bench_child *child, struct bench_usage *usage)
{
	if (!child->shared)
		return 0;
	atomic_store(&child->shared->stop, 1);
	if (child->pid > 0)
		reap_child(child->pid, SIGTERM);
	int rc = atomic_load(&child->shared->rc);
	if (usage)
		*usage = child->shared->usage;
	munmap(child->shared, sizeof(struct bench_shared));
	*child = (struct bench_child){ 0 };
	return rc == -EINTR ? 0 : rc;
}

int bench_program_start(pid_t *pid, const char *const argv[])
{
	return bench_program_start_on(pid, argv, -1, -1);
}

int bench_program_start_on(pid_t *pid, const char *const argv[], int cpu, int output)
{
	pid_t parent = getpid();
	*pid = fork();
	if (*pid < 0)
		return -errno;
	if (*pid == 0) {
		become_child(parent);
		setpgid(0, 0); /* Ctrl-C on the terminal is for the benchmark alone */
		int null = open("/dev/null", O_RDWR);
		if (null >= 0) {
			dup2(null, 0);
			dup2(output < 0 ? null : output, 1);
			dup2(null, 2);
		}
		bench_pin(cpu);
		execvp(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	remember(*pid);
	return 0;
}

void bench_program_stop(pid_t *pid)
{
	if (*pid > 0)
		reap_child(*pid, SIGTERM);
	*pid = 0;
}
