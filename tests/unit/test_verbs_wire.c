/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes of the RDMA CM's private data, of frames and of WAIT: what is put is got, the bytes stand as
 * docs/protocol.md has them, and nothing else is taken. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "wire/control.h"
#include "wire/verbs.h"

Test(verbs_wire, request)
{
	static const unsigned char golden[VERBS_REQUEST_BYTES] = { 'D', 'S', 'M', 'V', 2, 0, 2, 0,
		0x78, 0x56, 0x34, 0x12, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 };
	struct verbs_request m = { .kind = VERBS_READ, .session = 0x12345678 }, again;
	unsigned char bytes[VERBS_REQUEST_BYTES + 16] = { 0 };
	for (unsigned i = 0; i < 16; i++)
		m.proof[i] = (uint8_t)(i + 1);
	verbs_put_request(bytes, &m);
	cr_assert_arr_eq(bytes, golden, sizeof(golden));
	memset(&again, 0xa5, sizeof(again));
	cr_assert_eq(verbs_get_request(bytes, sizeof(bytes), &again), 0); /* the CM pads */
	cr_assert(again.kind == m.kind && again.session == m.session && again.credits == 0);
	cr_assert_arr_eq(again.proof, m.proof, 16);
	for (size_t n = 0; n < VERBS_REQUEST_BYTES; n++)
		cr_assert_eq(verbs_get_request(bytes, n, &again), -EBADMSG);
	cr_assert_eq(verbs_get_request(NULL, 0, &again), -EBADMSG);
}

Test(verbs_wire, request_that_is_none)
{
	static const struct { unsigned at, value; int rc; } wrong[] = {
		{ 0, 'X', -EBADMSG }, { 4, 1, -EPROTONOSUPPORT }, { 6, 0, -EBADMSG }, { 6, 4, -EBADMSG },
		{ 8, 1, -EBADMSG }, { 12, 1, -EBADMSG }, { 14, 1, -EBADMSG } };
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct verbs_request m = { .kind = VERBS_CONTROL, .credits = 32 }, again;
		unsigned char bytes[VERBS_REQUEST_BYTES];
		verbs_put_request(bytes, &m);
		cr_assert_eq(verbs_get_request(bytes, sizeof(bytes), &again), 0);
		bytes[wrong[i].at] = (unsigned char)wrong[i].value;
		cr_expect_eq(verbs_get_request(bytes, sizeof(bytes), &again), wrong[i].rc, "byte %u", wrong[i].at);
	}
}

/* Which key a control pair will show; the others have shown theirs. */
Test(verbs_wire, key_id)
{
	struct verbs_request m = { .kind = VERBS_CONTROL, .credits = 32, .key_id = { 1, 2, 3, 4, 5, 6, 7, 8 } }, again;
	unsigned char bytes[VERBS_REQUEST_BYTES];
	verbs_put_request(bytes, &m);
	cr_assert_eq(bytes[32], 1);
	cr_assert_eq(bytes[39], 8);
	cr_assert_eq(verbs_get_request(bytes, sizeof(bytes), &again), 0);
	cr_assert_arr_eq(again.key_id, m.key_id, sizeof(m.key_id));
	m.kind = VERBS_READ;
	m.credits = 0;
	verbs_put_request(bytes, &m);
	cr_assert_eq(verbs_get_request(bytes, sizeof(bytes), &again), -EBADMSG);
}

Test(verbs_wire, reply_and_reject)
{
	struct verbs_reply r = { .kind = VERBS_CONTROL, .credits = 32 }, again;
	unsigned char bytes[148] = { 0 };
	verbs_put_reply(bytes, &r);
	cr_assert_eq(verbs_get_reply(bytes, sizeof(bytes), &again), 0);
	cr_assert(again.kind == VERBS_CONTROL && again.credits == 32 && again.flags == 0);
	bytes[16] = 1; /* a nonce for nothing */
	cr_assert_eq(verbs_get_reply(bytes, sizeof(bytes), &again), -EBADMSG);
	bytes[12] = REPLY_KEYS;
	cr_assert_eq(verbs_get_reply(bytes, sizeof(bytes), &again), 0);
	cr_assert(again.flags == REPLY_KEYS && again.nonce[0] == 1);
	bytes[12] = 2; /* a flag that is none */
	cr_assert_eq(verbs_get_reply(bytes, sizeof(bytes), &again), -EBADMSG);
	verbs_put_reply(bytes, &r);
	bytes[8] = 1; /* one credit: nothing could ever be sent */
	cr_assert_eq(verbs_get_reply(bytes, sizeof(bytes), &again), -EBADMSG);
	struct verbs_reject no = { -EACCES, "readers: nobody" }, got;
	size_t n = verbs_put_reject(bytes, &no);
	cr_assert_eq(n, VERBS_REJECT_HEAD + strlen(no.text));
	cr_assert_eq(verbs_get_reject(bytes, n, &got), 0);
	cr_assert_eq(got.status, -EACCES);
	cr_assert_str_eq(got.text, no.text);
	memset(no.text, 'x', sizeof(no.text) - 1);
	no.text[sizeof(no.text) - 1] = 0;
	n = verbs_put_reject(bytes, &no);
	cr_assert_eq(n, VERBS_REJECT_MAX);
	bytes[20] = 27; /* an escape is not for anybody's terminal */
	cr_assert_eq(verbs_get_reject(bytes, sizeof(bytes), &got), 0);
	cr_assert_eq(strlen(got.text), VERBS_REJECT_MAX - VERBS_REJECT_HEAD);
	cr_assert_eq(got.text[20 - VERBS_REJECT_HEAD], '?');
	bytes[11] = 0; /* a status that is no error */
	cr_assert_eq(verbs_get_reject(bytes, sizeof(bytes), &got), -EBADMSG);
}

Test(verbs_wire, frame)
{
	unsigned char bytes[VERBS_FRAME_MAX + 1] = { 0 };
	struct verbs_frame m = { 5, FRAME_FIRST | FRAME_LAST, 7 }, again;
	verbs_put_frame(bytes, &m);
	cr_assert_eq(verbs_get_frame(bytes, VERBS_FRAME_HEAD + 5, &again), 0);
	cr_assert(again.length == 5 && again.flags == 3 && again.credits == 7);
	cr_assert_eq(verbs_get_frame(bytes, VERBS_FRAME_HEAD + 4, &again), -EBADMSG);
	cr_assert_eq(verbs_get_frame(bytes, VERBS_FRAME_HEAD + 6, &again), -EBADMSG);
	cr_assert_eq(verbs_get_frame(bytes, VERBS_FRAME_HEAD - 1, &again), -EBADMSG);
	m.flags = 4;
	verbs_put_frame(bytes, &m);
	cr_assert_eq(verbs_get_frame(bytes, VERBS_FRAME_HEAD + 5, &again), -EBADMSG);
	m = (struct verbs_frame){ 0, FRAME_LAST, 0 }; /* credits only, and yet the end of a message */
	verbs_put_frame(bytes, &m);
	cr_assert_eq(verbs_get_frame(bytes, VERBS_FRAME_HEAD, &again), -EBADMSG);
	m = (struct verbs_frame){ VERBS_FRAME_MAX - VERBS_FRAME_HEAD + 1, 3, 0 };
	verbs_put_frame(bytes, &m);
	cr_assert_eq(verbs_get_frame(bytes, sizeof(bytes), &again), -EBADMSG);
}

/* ---- WAIT, and what answers it ---- */

static size_t wait_bytes(unsigned char *out, size_t room, uint32_t n)
{
	struct control_wait m = { .number = 7, .n = n };
	struct control_writer w;
	for (uint32_t i = 0; i < n && i < CONTROL_WAIT_MAX; i++) {
		m.group[i] = i + 1;
		m.since[i] = UINT64_C(0x0102030405060708) + i;
	}
	control_begin(&w, out, room, CONTROL_WAIT);
	control_put_wait(&w, &m);
	return control_end(&w);
}

Test(verbs_wire, wait_and_newer)
{
	static const unsigned char golden[] = { 'D', 'S', 'M', 'C', 1, 0, 16, 0, 44, 0, 0, 0, 2, 0, 0, 0,
		7, 0, 0, 0, 1, 0, 0, 0, 8, 7, 6, 5, 4, 3, 2, 1, 2, 0, 0, 0, 9, 7, 6, 5, 4, 3, 2, 1 };
	static const unsigned char newer[] = { 'D', 'S', 'M', 'C', 1, 0, 11, 0, 32, 0, 0, 0, 0, 0, 0, 0,
		5, 0, 0, 0, 7, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0x80 };
	unsigned char bytes[2048];
	struct control_wait m;
	struct control_reader r;
	struct control_writer w;
	cr_assert_eq(wait_bytes(bytes, sizeof(bytes), 2), sizeof(golden));
	cr_assert_arr_eq(bytes, golden, sizeof(golden));
	memset(&m, 0xa5, sizeof(m));
	cr_assert_eq(control_open(&r, bytes, sizeof(golden)), 0);
	cr_assert_eq(control_get_wait(&r, &m), 0);
	cr_assert(control_at_end(&r) && m.number == 7 && m.n == 2 && m.group[1] == 2);
	cr_assert_eq(m.since[0], UINT64_C(0x0102030405060708));
	control_begin(&w, bytes, sizeof(bytes), CONTROL_EVENT);
	control_put_event(&w, &(struct control_event){ CONTROL_NEWER, 7, UINT64_C(0x8000000000000003) });
	cr_assert_eq(control_end(&w), sizeof(newer));
	cr_assert_arr_eq(bytes, newer, sizeof(newer));
}

Test(verbs_wire, wait_that_is_none)
{
	unsigned char bytes[2048];
	struct control_wait m;
	struct control_reader r;
	size_t size = wait_bytes(bytes, sizeof(bytes), CONTROL_WAIT_MAX);
	cr_assert_eq(control_open(&r, bytes, size), 0);
	cr_assert_eq(control_get_wait(&r, &m), 0);
	cr_assert(control_at_end(&r) && m.n == CONTROL_WAIT_MAX && m.group[63] == 64);
	static const uint32_t entries[] = { 0, CONTROL_WAIT_MAX + 1, 700 };
	for (size_t i = 0; i < 3; i++) { /* as the head says */
		memcpy(bytes + 12, &(unsigned char[]){ (unsigned char)entries[i], (unsigned char)(entries[i] >> 8) }, 2);
		cr_assert_eq(control_open(&r, bytes, size), 0);
		cr_assert_eq(control_get_wait(&r, &m), -EBADMSG, "%u groups", entries[i]);
	}
	size = wait_bytes(bytes, sizeof(bytes), 3);
	for (size_t n = CONTROL_HEAD; n < size; n++) { /* cut short */
		bytes[8] = (unsigned char)n;
		cr_assert_eq(control_open(&r, bytes, n), 0);
		cr_assert_eq(control_get_wait(&r, &m), -EBADMSG, "%zu of %zu bytes", n, size);
	}
}
