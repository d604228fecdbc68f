/* SPDX-License-Identifier: Apache-2.0 */
/* Named points at which a test build can be killed: DSM_POINT("save-mid-write"), and what a test
 * build can be told to leave out. Only with meson -Dtest_hooks=true; otherwise nothing at all. */
#ifndef DSM_LIB_CORE_HOOKS_H
#define DSM_LIB_CORE_HOOKS_H

#ifdef DSM_TEST_HOOKS

#include <dsm/dsm.h>

/* Kills the process (SIGKILL) when environment variable DSM_KILL_AT is "name", or "name:N"
 * at the Nth passage of that point, counted from 1 over all threads. The variable is read
 * once, at the first point of the process. */
DSM_EXPORT void dsm__point(const char *name);

/* Instead of DSM_KILL_AT, for a test that forks and cannot set it early enough; forgets
 * the passages so far. NULL: no point kills. Not while other threads pass points. */
DSM_EXPORT void dsm__point_arm(const char *spec);

/* The same place in the program, which then dies in its own way: true at that passage. */
DSM_EXPORT bool dsm__point_is(const char *name);

/* A negative control: from now on this process takes every slot for one that verifies. */
DSM_EXPORT void dsm__ignore_check(bool ignore);
DSM_EXPORT bool dsm__check_ignored(void);

/* Another: from now on no owner in this process tells the engine what it has committed. */
DSM_EXPORT void dsm__mute_notify(bool mute);
DSM_EXPORT bool dsm__notify_muted(void);

#define DSM_POINT(name) dsm__point(name)
#define DSM_CHECK_IGNORED() dsm__check_ignored()
#define DSM_NOTIFY_MUTED() dsm__notify_muted()
#else
#define DSM_POINT(name) ((void)0)
#define DSM_CHECK_IGNORED() false
#define DSM_NOTIFY_MUTED() false
#endif

#endif
