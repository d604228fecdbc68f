/* SPDX-License-Identifier: Apache-2.0 */
/* Floods of connections: with keys that are none, and with one that is (its id goes in the clear), asked
 * for by several threads at once and given up again. */
#include "hostile.h"
#include "engine/verbs.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define WRONG 40u                   /* one after the other */
#define THREADS 4u
#define A_TIME 25u                  /* asked for together by each thread */
#define ROUNDS 5u
#define FLOOD (THREADS * A_TIME * ROUNDS)
#define ANSWER_MS 5000

static _Atomic uint32_t next_pair = 0x1000;

/* What became of a thread's connections. */
struct flooder {
	pthread_t thread;
	unsigned char request[VERBS_REQUEST_BYTES];
	unsigned asked, accepted, too_fast, full, others, silent;
};

static void wrong_keys(void)
{
	struct raw_key wrong = *key_for("");
	uint64_t before = counter("refused_key");
	unsigned refused = 0;
	wrong.id[3] ^= 8;
	for (unsigned i = 0; i < WRONG; i++) {
		refused += raw_dial(&raw, &wrong) == -EACCES;
		raw_close(&raw);
	}
	check(refused == WRONG, "of %u wrong keys %u were refused", WRONG, refused);
	check(counts("refused_key", before + WRONG - 1), "a flood of wrong keys was not counted");
	all_is_well("a flood of wrong keys");
}

static void judge(struct flooder *f, const struct rdma_cm_event *event)
{
	struct verbs_reject reject;
	bool said = event->event == RDMA_CM_EVENT_REJECTED && verbs_get_reject(event->param.conn.private_data,
		event->param.conn.private_data_len, &reject) == 0;
	f->accepted += event->event == RDMA_CM_EVENT_CONNECT_RESPONSE;
	f->too_fast += said && reject.status == -EAGAIN;
	f->full += said && reject.status == -EUSERS;
	/* the kernel's own, when more stand in its queue than a listener may have */
	f->others += event->event != RDMA_CM_EVENT_CONNECT_RESPONSE && !said;
}

/* All of one round at once, so that the engine finds many; no queue pairs, which is all it takes. */
static void flood_once(struct flooder *f)
{
	struct rdma_event_channel *channel = NULL;
	struct rdma_cm_id *id[A_TIME] = { NULL };
	struct rdma_conn_param param = { .private_data = f->request, .private_data_len = sizeof(f->request),
		.responder_resources = 1, .initiator_depth = 1, .retry_count = 4, .rnr_retry_count = 6 };
	unsigned waits = 0;
	int rc = rc_channel(&channel);
	for (unsigned i = 0; rc == 0 && i < A_TIME; i++)
		rc = rc_resolve(channel, host, HOSTILE_PORT, CUT_MS, &id[i]);
	for (unsigned i = 0; rc == 0 && i < A_TIME; i++) {
		param.qp_num = atomic_fetch_add(&next_pair, 1); /* two of one number would be a stale connection */
		waits += rdma_connect(id[i], &param) == 0;
	}
	f->asked += waits;
	for (uint64_t end = now_ms() + ANSWER_MS, now; waits && (now = now_ms()) < end;) {
		struct pollfd p = { channel->fd, POLLIN, 0 };
		struct rdma_cm_event *event;
		if (poll(&p, 1, (int)(end - now)) != 1 || rdma_get_cm_event(channel, &event))
			continue;
		judge(f, event);
		rdma_ack_cm_event(event);
		waits--;
	}
	f->silent += waits;
	for (unsigned i = 0; i < A_TIME; i++)
		if (id[i])
			rdma_destroy_id(id[i]);
	if (channel)
		rdma_destroy_event_channel(channel);
}

static void *flood_all(void *context)
{
	for (unsigned i = 0; i < ROUNDS; i++)
		flood_once(context);
	return NULL;
}

static void begin(struct flooder *f)
{
	struct verbs_request q = { .kind = VERBS_CONTROL, .credits = ENDPOINT_RECVS };
	memcpy(q.key_id, key_for("")->id, KEY_ID_BYTES);
	verbs_put_request(f->request, &q);
	check(pthread_create(&f->thread, NULL, flood_all, f) == 0, "no thread");
}

/* More than one host gets a tick is not opened, whoever asks: nothing is made for the rest. */
static void right_key(void)
{
	static struct flooder flooder[THREADS];
	struct flooder all = { 0 };
	uint64_t rate = counter("refused_rate"), missed = counter("ticks_missed"), began = now_ms();
	uint64_t ticks = engine_ticks();
	for (unsigned i = 0; i < THREADS; i++)
		begin(&flooder[i]);
	for (unsigned i = 0; i < THREADS; i++) {
		const struct flooder *f = &flooder[i];
		pthread_join(f->thread, NULL);
		all.asked += f->asked, all.accepted += f->accepted, all.too_fast += f->too_fast;
		all.full += f->full, all.others += f->others, all.silent += f->silent;
	}
	ticks = engine_ticks() - ticks + 1;
	printf("of %u connections in %llu ms (%llu ticks) %u were opened, %u too fast, %u full, %u by the kernel, "
		"%u unanswered\n", all.asked, (unsigned long long)(now_ms() - began), (unsigned long long)ticks,
		all.accepted, all.too_fast, all.full, all.others, all.silent);
	check(all.asked == FLOOD, "only %u were asked for: %s", all.asked, dsm_error());
	check(all.too_fast > 0, "nobody connected too fast");
	check(counter("refused_rate") >= rate + all.too_fast, "who connected too fast was not counted");
	check(all.accepted <= ticks * VERBS_OPENS_SOURCE, "%u were opened in %llu ticks", all.accepted,
		(unsigned long long)ticks);
	check(counter("ticks_missed") == missed, "the engine missed %llu ticks in a flood",
		(unsigned long long)(counter("ticks_missed") - missed));
}

#define FRIENDS 12u                 /* with the reader and the watching one below the places of a network */
struct friend { pthread_t thread; pthread_barrier_t *start; int rc; char text[160]; };

static void *come(void *context)
{
	struct friend *f = context;
	struct dsm_options patient = DSM_OPTIONS_INIT;
	struct dsm *dsm = NULL;
	char uri[128];
	snprintf(uri, sizeof(uri), "rdma://%s:%d", host, HOSTILE_PORT);
	patient.attach_timeout_ms = 60000;
	pthread_barrier_wait(f->start);
	f->rc = dsm_attach(uri, &patient, &dsm);
	if (f->rc)
		snprintf(f->text, sizeof(f->text), "%s", dsm_error());
	dsm_detach(&dsm);
	return NULL;
}

/* More of our own clients at once than one host gets in a tick: they come again, and all come in. */
static void friends(void)
{
	static struct friend friend[FRIENDS];
	uint64_t rate = counter("refused_rate");
	for (unsigned turn = 0; turn < 5 && counter("refused_rate") == rate; turn++) {
		pthread_barrier_t start;
		pthread_barrier_init(&start, NULL, FRIENDS);
		for (unsigned i = 0; i < FRIENDS; i++) {
			friend[i].start = &start;
			check(pthread_create(&friend[i].thread, NULL, come, &friend[i]) == 0, "no thread");
		}
		for (unsigned i = 0; i < FRIENDS; i++) {
			pthread_join(friend[i].thread, NULL);
			check(friend[i].rc == 0, "one of %u at once does not come in: %d %s", FRIENDS, friend[i].rc,
				friend[i].text);
		}
		pthread_barrier_destroy(&start);
	}
	if (counter("refused_rate") == rate)
		printf("skipped: clients that come again: this machine is too slow for too many within a tick\n");
}

void flood_attacks(void)
{
	uint64_t sessions = 0;
	wrong_keys();
	uint64_t reads = watch_reads();
	right_key();
	check(watch_reads() > reads, "another client reads nothing in a flood");
	watch_check("a flood of connections");
	all_is_well("a flood of connections");
	for (uint64_t end = now_ms() + 10000; now_ms() < end && (sessions = counter("sessions")) > 3; usleep(50000))
		; /* the writer, the honest one and the watching one are there */
	check(sessions == 3, "%llu sessions are left of a flood", (unsigned long long)sessions);
	check(greet(&raw, "", 0), "no place after a flood");
	raw_close(&raw);
	friends();
}
