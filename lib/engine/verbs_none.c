/* SPDX-License-Identifier: Apache-2.0 */
/* In place of verbs*.c in a build without rdma. */
#include <errno.h>

#include "core/error.h"
#include "engine/engine.h"

int verbs_address(const char *text, char *host, size_t room, uint16_t *port)
{
	(void)host, (void)room, (void)port;
	return dsm__fail(-ENOTSUP, "rdma: \"%.80s\": this build has no rdma", text);
}

int verbs_start(struct dsm_engine *e)
{
	return e->options.rdma ? dsm__fail(-ENOTSUP, "this build has no rdma") : 0;
}

void verbs_stop(struct dsm_engine *e)
{
	(void)e;
}

void verbs_events(struct dsm_engine *e)
{
	(void)e;
}

void verbs_tick(struct dsm_engine *e, uint64_t now)
{
	(void)e, (void)now;
}

void verbs_bank_leaves(struct dsm_engine *e, uint32_t owner)
{
	(void)e, (void)owner;
}

void verbs_timer(struct dsm_engine *e)
{
	(void)e;
}

int verbs_load_keys(struct dsm_engine *e, struct keys **fresh)
{
	(void)e;
	*fresh = NULL;
	return 0;
}

void verbs_take_keys(struct dsm_engine *e, struct keys **fresh)
{
	(void)e, (void)fresh;
}

void verbs_region_leaves(struct dsm_engine *e)
{
	(void)e;
}
