/* SPDX-License-Identifier: Apache-2.0 */
/* Control messages: whatever comes in is decoded by the reader of its type and, where it decodes,
 * written again; the second message must equal the first (so a reader can invent nothing). */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "wire/control.h"

static unsigned char again[2 * CONTROL_MAX];

/* One body for one type; returns false when it does not decode. */
static int body(struct control_reader *r, struct control_writer *w)
{
	struct control_hello hello;
	struct control_welcome welcome;
	struct control_map map;
	struct control_event event;
	struct control_keys keys;
	struct control_wait wait;
	uint64_t tick;
	int rc = 0;
	switch (r->type) {
	case CONTROL_HELLO:
		if ((rc = control_get_hello(r, &hello)) == 0)
			control_put_hello(w, &hello);
		break;
	case CONTROL_WELCOME:
		if ((rc = control_get_welcome(r, &welcome)) == 0)
			control_put_welcome(w, &welcome);
		break;
	case CONTROL_MAP:
	case CONTROL_MAPPED:
		if ((rc = control_get_map(r, &map)) == 0)
			control_put_map(w, &map);
		break;
	case CONTROL_EVENT:
		if ((rc = control_get_event(r, &event)) == 0)
			control_put_event(w, &event);
		break;
	case CONTROL_KEYS:
		if ((rc = control_get_keys(r, &keys)) == 0)
			control_put_keys(w, &keys);
		break;
	case CONTROL_WAIT:
		if ((rc = control_get_wait(r, &wait)) == 0)
			control_put_wait(w, &wait);
		break;
	case CONTROL_BEAT:
		if ((rc = control_get_u64(r, &tick)) == 0)
			control_put_u64(w, tick);
		break;
	default:
		break;
	}
	return rc;
}

static int entries(struct control_reader *r, struct control_writer *w, bool banks)
{
	struct control_request request;
	struct control_reply reply;
	struct control_client client;
	struct control_device device;
	struct control_bank bank;
	uint64_t generation;
	uint32_t word;
	int rc = 0;
	if (r->type == CONTROL_REQUEST && (rc = control_get_u64(r, &generation)) == 0)
		control_put_u64(w, generation);
	for (uint32_t i = 0; rc == 0 && i < r->entries && r->type != CONTROL_WAIT; i++) {
		switch (r->type) {
		case CONTROL_REQUEST:
		case CONTROL_FORWARD:
			if ((rc = control_get_request(r, &request)) == 0)
				control_put_request(w, &request);
			break;
		case CONTROL_REPLY:
		case CONTROL_ANSWER:
			if ((rc = control_get_reply(r, &reply)) == 0)
				control_put_reply(w, &reply);
			break;
		case CONTROL_CLIENT_LIST:
			if ((rc = control_get_client(r, &client)) == 0)
				control_put_client(w, &client);
			break;
		case CONTROL_DEVICE_LIST:
			if ((rc = control_get_device(r, &device)) == 0)
				control_put_device(w, &device);
			break;
		case CONTROL_MAPPED:
			if (banks) {
				if ((rc = control_get_bank(r, &bank)) == 0)
					control_put_bank(w, &bank);
				break;
			}
			/* fallthrough */
		case CONTROL_NOTIFY:
			if ((rc = control_get_u32(r, &word)) == 0)
				control_put_u32(w, word);
			break;
		default:
			return 1;
		}
	}
	return rc;
}

/* `banks`: MAPPED as it comes over rdma, which only the transport knows. */
static void one(const uint8_t *data, size_t size, bool banks)
{
	struct control_reader r;
	struct control_writer w;
	if (control_open(&r, data, size))
		return;
	control_begin(&w, again, sizeof(again), r.type);
	if (body(&r, &w) || entries(&r, &w, banks) || !control_at_end(&r) || w.full)
		return;
	size_t n = control_end(&w);
	/* a status of 0 carries no text: only there may the copy be shorter */
	bool may_differ = r.type == CONTROL_REPLY || r.type == CONTROL_ANSWER;
	if (!may_differ && (n != size || memcmp(again, data, size)))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	one(data, size, false);
	one(data, size, true);
	return 0;
}
