/* SPDX-License-Identifier: Apache-2.0 */
/* Messages as frames with credits: two sides joined by lists of frames, and peers that cheat. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "rdma/stream.h"

#define FLIGHT 4096

/* Frames on their way to one side. */
struct wire { unsigned char (*frames)[VERBS_FRAME_MAX]; size_t bytes[FLIGHT]; unsigned head, count, most; };
struct side { struct stream s; struct wire in; uint64_t taken, put; };

static void up(struct side *a, size_t queue)
{
	memset(a, 0, sizeof(*a));
	cr_assert_eq(stream_init(&a->s, queue), 0);
	cr_assert_eq(stream_start(&a->s, STREAM_DEPTH), 0);
	a->in.frames = malloc(FLIGHT * sizeof(*a->in.frames));
}

static void down(struct side *a)
{
	stream_free(&a->s);
	free(a->in.frames);
}

/* To `b`, and never more than it has RECVs. */
static void fly(struct side *b, const unsigned char *frame, size_t bytes)
{
	unsigned at = (b->in.head + b->in.count++) % FLIGHT;
	cr_assert_leq(b->in.count, STREAM_DEPTH, "more frames than RECVs");
	memcpy(b->in.frames[at], frame, bytes);
	b->in.bytes[at] = bytes;
}

/* All that `a` may send. */
static unsigned pour(struct side *a, struct side *b)
{
	unsigned n = 0;
	size_t bytes;
	unsigned char frame[VERBS_FRAME_MAX];
	for (; (bytes = stream_next(&a->s, frame)) != 0; n++)
		fly(b, frame, bytes);
	return n;
}

/* One frame taken by `a`, its RECV posted anew; 1 with it a message was whole. */
static int take(struct side *a)
{
	if (!a->in.count)
		return 0;
	unsigned at = a->in.head;
	a->in.head = (at + 1) % FLIGHT;
	a->in.count--;
	int rc = stream_take(&a->s, a->in.frames[at], a->in.bytes[at]);
	stream_posted(&a->s);
	return rc;
}

/* Messages that say their number and length themselves. */
static size_t compose(unsigned char *m, uint64_t number)
{
	size_t bytes = 16 + (number * 7919) % (STREAM_MESSAGE_MAX - 15);
	memset(m, (int)(number & 0xff), bytes);
	memcpy(m, &number, 8);
	memcpy(m + 8, &bytes, 8);
	return bytes;
}

static void expect(const struct stream *s, uint64_t number)
{
	static unsigned char want[STREAM_MESSAGE_MAX];
	size_t bytes = compose(want, number);
	cr_assert_eq(s->message_bytes, bytes);
	cr_assert_arr_eq(s->message, want, bytes);
}

Test(stream, both_sides_talk_at_once_and_nobody_starves)
{
	static unsigned char message[STREAM_MESSAGE_MAX];
	struct side a, b;
	up(&a, (size_t)1 << 20);
	up(&b, (size_t)1 << 20);
	srand(7);
	for (unsigned long round = 0; round < 200000 && (a.taken < 500 || b.taken < 500); round++) {
		struct side *from = rand() & 1 ? &a : &b, *to = from == &a ? &b : &a;
		while (from->put < 500 && stream_put(&from->s, message, compose(message, from->put)) == 0)
			from->put++;
		pour(from, to);
		for (int n = rand() % 40; n > 0; n--)
			if (take(to) == 1)
				expect(&to->s, to->taken++);
		pour(to, from);
	}
	cr_assert_eq(a.taken, 500);
	cr_assert_eq(b.taken, 500);
	down(&a);
	down(&b);
}

/* Both hold their last credit for data and have much to say: the credits-only frames free them. */
Test(stream, the_last_credit_is_for_credits)
{
	static unsigned char message[STREAM_MESSAGE_MAX];
	struct side a, b;
	up(&a, (size_t)1 << 20);
	up(&b, (size_t)1 << 20);
	for (int i = 0; i < 8; i++) {
		cr_assert_eq(stream_put(&a.s, message, sizeof(message)), 0);
		cr_assert_eq(stream_put(&b.s, message, sizeof(message)), 0);
	}
	cr_assert_eq(pour(&a, &b), STREAM_DEPTH - 1); /* data stops one before the end */
	cr_assert_eq(pour(&b, &a), STREAM_DEPTH - 1);
	cr_assert_eq(a.s.credits, 1);
	unsigned got = 0;
	for (int round = 0; round < 400 && got < 16; round++) {
		while (a.in.count)
			got += take(&a) == 1;
		while (b.in.count)
			got += take(&b) == 1;
		pour(&a, &b);
		pour(&b, &a);
	}
	cr_assert_eq(got, 16);
	down(&a);
	down(&b);
}

/* Credits-only frames come to rest: they are not answered one by one for ever. */
Test(stream, silence_stays_silence)
{
	static unsigned char message[STREAM_MESSAGE_MAX];
	struct side a, b;
	up(&a, (size_t)1 << 20);
	up(&b, (size_t)1 << 20);
	stream_put(&a.s, message, sizeof(message));
	unsigned frames = 0, idle = 0;
	for (int round = 0; round < 100; round++) {
		unsigned n = pour(&a, &b) + pour(&b, &a);
		while (a.in.count)
			take(&a);
		while (b.in.count)
			take(&b);
		frames += n;
		idle += n == 0;
	}
	cr_assert_leq(frames, 17 + 3);
	cr_assert_geq(idle, 90);
	down(&a);
	down(&b);
}

/* Whether somebody is there may be asked for ever, and what is to be said still gets through; of one who
 * takes nothing it is asked until the last credit is left. */
Test(stream, empty_frames_leave_room_for_messages)
{
	unsigned char frame[VERBS_FRAME_MAX] = { 0 };
	struct side a, b;
	size_t bytes;
	unsigned heard = 0, asked = 0;
	up(&a, (size_t)1 << 20);
	up(&b, (size_t)1 << 20);
	for (; asked < 1000 && (bytes = stream_empty(&a.s, frame)) != 0; asked++) {
		fly(&b, frame, bytes);
		cr_assert_eq(take(&b), 0);
		pour(&b, &a);
		while (a.in.count)
			cr_assert_eq(take(&a), 0);
	}
	cr_assert_eq(asked, 1000);
	cr_assert_eq(stream_put(&a.s, frame, 100), 0);
	pour(&a, &b);
	while (b.in.count)
		heard += take(&b) == 1;
	cr_assert_eq(heard, 1);
	for (asked = 0; asked < 1000 && (bytes = stream_empty(&a.s, frame)) != 0; asked++)
		fly(&b, frame, bytes);
	cr_assert(asked < STREAM_DEPTH && a.s.credits == 1, "%u, %u", asked, a.s.credits);
	down(&a);
	down(&b);
}

Test(stream, a_peer_that_takes_nothing_fills_the_queue_only)
{
	static unsigned char message[STREAM_MESSAGE_MAX];
	struct side a, b;
	up(&a, (size_t)1 << 20);
	up(&b, (size_t)1 << 20);
	int rc = 0, n = 0;
	for (; rc == 0 && n < 1000; n++) {
		rc = stream_put(&a.s, message, sizeof(message));
		pour(&a, &b);
	}
	cr_assert_eq(rc, -EAGAIN);
	cr_assert_leq(n, 20);
	cr_assert_eq(stream_put(&a.s, message, 0), -EMSGSIZE);
	cr_assert_eq(stream_put(&a.s, message, STREAM_MESSAGE_MAX + 1), -EMSGSIZE);
	down(&a);
	down(&b);
}

static int feed(struct stream *s, uint32_t length, uint16_t flags, uint16_t credits)
{
	static unsigned char frame[VERBS_FRAME_MAX];
	struct verbs_frame head = { length, flags, credits };
	verbs_put_frame(frame, &head);
	int rc = stream_take(s, frame, VERBS_FRAME_HEAD + length);
	stream_posted(s);
	return rc;
}

static struct stream fresh(void)
{
	struct stream s;
	cr_assert_eq(stream_init(&s, 4096), 0);
	cr_assert_eq(stream_start(&s, STREAM_DEPTH), 0);
	return s;
}

Test(stream, who_breaks_the_rules_is_found_out)
{
	struct stream s = fresh();
	cr_assert_eq(feed(&s, 8, FRAME_LAST, 0), -EBADMSG, "an end without a beginning");
	stream_free(&s);
	s = fresh();
	cr_assert_eq(feed(&s, 8, FRAME_FIRST, 0), 0);
	cr_assert_eq(feed(&s, 8, FRAME_FIRST, 0), -EBADMSG, "a beginning in the middle");
	stream_free(&s);
	s = fresh();
	cr_assert_eq(feed(&s, 0, 0, 1), -EBADMSG, "credits for RECVs that cannot be");
	stream_free(&s);
	s = fresh();
	for (unsigned i = 0; i < STREAM_DEPTH; i++)
		cr_assert_eq(feed(&s, 8, 3, 0), 1);
	cr_assert_eq(feed(&s, 8, 3, 0), -EBADMSG, "a frame without a credit");
	stream_free(&s);
	s = fresh(); /* 17 full fragments are more than a message can have */
	int rc = feed(&s, VERBS_FRAME_MAX - VERBS_FRAME_HEAD, FRAME_FIRST, 0);
	for (int i = 0; rc == 0 && i < 17; i++)
		rc = feed(&s, VERBS_FRAME_MAX - VERBS_FRAME_HEAD, 0, 0);
	cr_assert_eq(rc, -EBADMSG);
	stream_free(&s);
	s = fresh();
	cr_assert_eq(stream_take(&s, "short", 5), -EBADMSG);
	cr_assert_eq(stream_start(&s, 1), -EBADMSG);
	cr_assert_eq(stream_start(&s, VERBS_CREDITS_MAX + 1), -EBADMSG);
	stream_free(&s);
}
