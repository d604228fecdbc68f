/* SPDX-License-Identifier: Apache-2.0 */
/* libibverbs and librdmacm made by hand, over the hand-made provider: a device that can as little as a
 * test wants, and an engine's region in this process that answers as a test wants. For what no real
 * device can be made to refuse, and for an engine that lies. The program that links it has these in
 * place of the libraries' own. */
#ifndef DSM_TESTS_VERBS_LIBRARY_H
#define DSM_TESTS_VERBS_LIBRARY_H

#include "verbs_provider.h"

#include "engine/region.h"

struct library {
	struct provider *provider;
	/* what the device can */
	struct ibv_device_attr attr;
	uint32_t inline_max;        /* more is refused */
	enum ibv_mtu mtu;
	unsigned extra_access;      /* rights that it gives unasked */
	bool no_attr, no_query;     /* ibv_query_device(), ibv_query_qp() fail */
	/* what the engine answers */
	uint8_t serves;             /* READs at a time */
	unsigned unfound;           /* so often the next hop's address is not found in time */
	/* what was asked for */
	unsigned pairs, refused;
	unsigned looked, looked_ms; /* for the next hop's address: how often, and for how long at most */
	uint32_t inline_given;
	uint8_t starts, asked;      /* READs: of the pair's last state, of the connection request */
	/* the rest is the library's own */
	unsigned access;
	struct rdma_cm_id id, control;
	struct rdma_cm_event event;
	unsigned char private_data[VERBS_REPLY_BYTES];
	bool pending;
};
extern struct library library;

/* A connection whose control pair stands, as an attach has it when WELCOME came; with the region of the
 * fixture's table, all owners network, behind it. */
struct scene {
	struct provider *provider;
	struct transport_conn *conn;
	struct region *region;
	unsigned char *base;        /* copy of header and directory, which is what keys.base_addr names */
	struct control_welcome welcome;
	struct control_keys keys;
	struct view view;
};
void scene_new(struct scene *s);
void scene_free(struct scene *s);
/* KEYS arrive, as they are in s->keys. */
void scene_keys(struct scene *s);
/* All of an attach up to the banks; the first that is not 0. */
int scene_attach(struct scene *s);
int scene_mapped(struct scene *s, const struct control_map *map, const struct control_bank *banks, uint32_t n);

#endif
