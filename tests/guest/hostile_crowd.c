/* SPDX-License-Identifier: Apache-2.0 */
/* Crowds, floods, rubbish: what costs the engine time, memory or places. */
#include "hostile.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CROWD 40
static struct raw many[CROWD];

/* How many places strangers get; UINT32_MAX: connecting took so long that the first were gone. */
static unsigned strangers(int *rc)
{
	unsigned in = 0;
	uint64_t begin_ms = now_ms();
	*rc = 0;
	while (in < CROWD && (*rc = raw_connect(&many[in], key_for(""))) == 0)
		in++;
	return now_ms() - begin_ms < 4500 ? in : UINT32_MAX;
}

static void disperse(void)
{
	for (unsigned i = 0; i < CROWD; i++)
		raw_close(&many[i]);
}

static void crowd(void)
{
	int rc = 0;
	unsigned in = UINT32_MAX;
	for (int turn = 0; turn < 3 && in == UINT32_MAX; turn++) {
		disperse();
		usleep(300000);
		in = strangers(&rc);
	}
	if (in == UINT32_MAX)
		printf("this machine is too slow for a crowd\n");
	else
		check(rc == -EBUSY && in >= HOSTILE_CLIENTS / 4 && in <= HOSTILE_CLIENTS / 2 + 1,
			"%u strangers who say nothing have places (%d %s)", in, rc, dsm_error());
	all_is_well("a crowd of strangers");
	check(raw_cut(&many[0], 9000), "who says nothing keeps his place");
	disperse();
	bool good = false;
	for (int i = 0; i < 50 && !good; i++) {
		good = raw_connect(&raw, key_for("")) == 0 && raw_hello(&raw, "", 0) == 0;
		raw_close(&raw);
		usleep(100000);
	}
	check(good, "no place after the crowd has gone: %s", dsm_error());
	all_is_well("the crowd");
}

/* One message, sealed, as the one frame that it is: into the buffer, from which work is posted. */
static size_t sealed_frame(const unsigned char *message, size_t n)
{
	struct verbs_frame f = { (uint32_t)(n + NOISE_TAG), FRAME_FIRST | FRAME_LAST, 0 };
	verbs_put_frame(raw.buffer.at, &f);
	if (verbs_auth_seal(&raw.auth, message, n, raw.buffer.at + VERBS_FRAME_HEAD) == 0)
		verbs_auth_sent(&raw.auth);
	return VERBS_FRAME_HEAD + n + NOISE_TAG;
}

static void rubbish(void)
{
	unsigned char message[200];
	uint64_t random = 99, bad = counter("bad_messages");
	for (int i = 0; i < 12; i++) { /* frames: wrong lengths, flags, credits; then messages */
		if (i % 2 ? !greet(&raw, "", 0) : raw_connect(&raw, key_for("")) != 0)
			break;
		for (unsigned k = 0; k < 256; k++) {
			random = random * UINT64_C(6364136223846793005) + 1442695040888963407u;
			raw.buffer.at[k] = (unsigned char)(random >> 56);
		}
		size_t bytes = 1 + 50u * (unsigned)i;
		if (i >= 6) /* a good frame of a bad message */
			bytes = sealed_frame(memcpy(message, raw.buffer.at, sizeof(message)), sizeof(message));
		raw_work(&raw, VERBS_CONTROL, IBV_WR_SEND, 0, 0, (uint32_t)bytes);
		check(raw_cut(&raw, CUT_MS), "rubbish %d was not cut off", i);
		raw_close(&raw);
	}
	check(counts("bad_messages", bad + 11), "rubbish was not counted");
	all_is_well("rubbish");
}

/* Asks and asks, and never takes an answer. */
static void never_reads(void)
{
	unsigned char message[CONTROL_HEAD];
	struct control_writer w;
	if (!greet(&raw, "", 0))
		return;
	control_begin(&w, message, sizeof(message), CONTROL_CLIENTS);
	control_end(&w);
	uint64_t slow = counter("slow_clients"), bad = counter("bad_messages");
	enum ibv_wc_status status = IBV_WC_SUCCESS;
	for (int i = 0; i < 4000 && status == IBV_WC_SUCCESS; i++)
		status = raw_work(&raw, VERBS_CONTROL, IBV_WR_SEND, 0, 0,
			(uint32_t)sealed_frame(message, sizeof(message)));
	check(raw_cut(&raw, CUT_MS), "who never reads is served for ever");
	check(counts("slow_clients", slow) || counter("bad_messages") > bad, "who never reads is not counted");
	raw_close(&raw);
	all_is_well("one who never reads");
}

void crowd_attacks(void)
{
	rubbish();
	never_reads();
	crowd();
}
