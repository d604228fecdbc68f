/* SPDX-License-Identifier: Apache-2.0 */
/* What a controller does to owners and checks then. Used by kill.c, over mapped memory, and by
 * tests/guest/takeover.c, where owners and readers are on another machine than the engine. */
#ifndef DSM_TESTS_KILL_OWNERS_H
#define DSM_TESTS_KILL_OWNERS_H

#include "owner.h"

extern pid_t readers[READERS];
extern unsigned kills;

/* Waits for `condition`; a hang is a failure, and then this is false. */
#define wait_for(condition, ...) __extension__ ({ \
	uint64_t until_ = now_ms() + BOUND_MS; \
	while (!(condition) && now_ms() < until_) \
		rig_sleep_us(100); \
	rig_check((condition), __VA_ARGS__); })

unsigned random_below(unsigned n);
uint64_t now_ms(void);
void reap(pid_t pid);
void kill_now(pid_t pid);
/* It was told to die by itself. */
bool died(pid_t pid, const char *what);

void forget_roles(void);
void start_readers(void);
void readers_go_on(const char *when);
void readers_see_stale(uint32_t role, bool stale, const char *when);
void readers_are_right(const char *when);
/* Sets board->stop, which ends owners and an engine too. */
void stop_readers(void);

/* A live owner that has committed at least `more` times. */
pid_t start_owner(const struct owner_task *task, unsigned more);
void check_owner_gone(uint32_t role, const char *when);
/* whole: at that point the last commit is whole, and only the pulse is missing. */
void kill_owner_at(uint32_t role, const char *point, bool whole);
void kill_owner_at_random(uint32_t role);
void child_keeps_no_role(uint32_t role);
/* Stopped, replaced, continued. */
void stop_owner(uint32_t role);
/* Takes over from an owner that commits all the time, `times` times in a row. */
void replace_busy_owners(uint32_t role, unsigned times);

#endif
