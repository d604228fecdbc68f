/* SPDX-License-Identifier: Apache-2.0 */
/* The kill points of a test build. The environment is looked up once, so that a point that
 * is not armed costs one load and may stand in a slot's commit. */
#include "core/hooks.h"

#ifdef DSM_TEST_HOOKS

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static char armed_name[64];
static unsigned long kill_at;       /* passage that kills; 0 = nothing is armed */
static atomic_ulong passages;
static atomic_bool check_ignored, notify_muted;

static void arm(const char *spec)
{
	kill_at = 0;
	atomic_store_explicit(&passages, 0, memory_order_relaxed);
	if (!spec || !*spec)
		return;
	size_t length = strcspn(spec, ":");
	if (length >= sizeof(armed_name))
		return;
	memcpy(armed_name, spec, length);
	armed_name[length] = '\0';
	kill_at = spec[length] == ':' ? strtoul(spec + length + 1, NULL, 10) : 1;
}

static void arm_from_environment(void)
{
	arm(getenv("DSM_KILL_AT"));
}

void dsm__point_arm(const char *spec)
{
	pthread_once(&once, arm_from_environment);
	arm(spec);
}

bool dsm__point_is(const char *name)
{
	pthread_once(&once, arm_from_environment);
	if (kill_at == 0 || strcmp(name, armed_name) != 0)
		return false;
	return atomic_fetch_add_explicit(&passages, 1, memory_order_relaxed) + 1 == kill_at;
}

void dsm__point(const char *name)
{
	if (dsm__point_is(name))
		raise(SIGKILL);
}

void dsm__ignore_check(bool ignore)
{
	atomic_store_explicit(&check_ignored, ignore, memory_order_relaxed);
}

bool dsm__check_ignored(void)
{
	return atomic_load_explicit(&check_ignored, memory_order_relaxed);
}

void dsm__mute_notify(bool mute)
{
	atomic_store_explicit(&notify_muted, mute, memory_order_relaxed);
}

bool dsm__notify_muted(void)
{
	return atomic_load_explicit(&notify_muted, memory_order_relaxed);
}

#endif
