/* SPDX-License-Identifier: Apache-2.0 */
/* Sleeping on several words: any of them ends the sleep, also on a kernel that has no futex_waitv. */
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/prctl.h>

#include "../common/skip.h"
#include "core/futex.h"

#define LONG_NS UINT64_C(20000000000)
#define WORDS 3u

static _Atomic uint32_t words[WORDS], own;

static void *change_later(void *context)
{
	_Atomic uint32_t *word = context;
	usleep(20000);
	atomic_store(word, 1);
	futex_wake_all((const void *)word);
	return NULL;
}

/* Until it has changed: a sleep may end early, and is then begun again. How often. */
static unsigned sleep_until(_Atomic uint32_t *changing, uint32_t n)
{
	struct futex_word list[WORDS];
	pthread_t thread;
	unsigned sleeps = 0;
	for (uint32_t i = 0; i < WORDS; i++) {
		atomic_store(&words[i], 0);
		list[i] = (struct futex_word){ (const void *)&words[i], 0 };
	}
	atomic_store(&own, 0);
	pthread_create(&thread, NULL, change_later, changing);
	for (; atomic_load(changing) == 0 && sleeps < 100000; sleeps++)
		futex_wait_any(list, n, &own, 0, LONG_NS);
	pthread_join(thread, NULL);
	return sleeps;
}

/* As before Linux 5.16. */
static bool without_waitv(void)
{
	struct sock_filter f[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_futex_waitv, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(f) / sizeof(f[0]), f };
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static bool has_waitv(void)
{
	syscall(SYS_futex_waitv, NULL, 0, 0, NULL, 0);
	return errno != ENOSYS;
}

static void any_word_ends_the_sleep(unsigned sleeps_max)
{
	for (uint32_t i = 0; i < WORDS; i++)
		cr_assert_leq(sleep_until(&words[i], WORDS), sleeps_max, "word %u", i);
	cr_assert_leq(sleep_until(&own, WORDS), sleeps_max);
	cr_assert_leq(sleep_until(&own, 0), sleeps_max);
	cr_assert_leq(sleep_until(&words[0], 1), sleeps_max);
	/* what has changed before is not slept on */
	struct futex_word late = { (const void *)&words[0], 0 };
	atomic_store(&words[0], 1);
	futex_wait_any(&late, 1, &own, 0, LONG_NS);
}

Test(futex, any_word_ends_the_sleep, .timeout = 60)
{
	if (!has_waitv())
		skip_test("this kernel has no futex_waitv");
	any_word_ends_the_sleep(3);
}

Test(futex, any_word_ends_the_sleep_without_waitv, .timeout = 60)
{
	if (!without_waitv())
		skip_test("seccomp is not to be had here");
	cr_assert_not(has_waitv());
	any_word_ends_the_sleep(100000 - 1);
}
