/* SPDX-License-Identifier: Apache-2.0 */
/* The other way round: an engine that is none, to a client of ours that has a key. */
#include "hostile.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FAKE_PORT 7468

struct fake {
	struct rdma_event_channel *channel;
	struct rdma_cm_id *listener, *id;
	struct ibv_pd *pd;
	struct ibv_qp *qp;
	struct endpoint ep;
	bool asks;                  /* for a key that it does not have */
	bool vanishes;              /* without a word, once it was told something */
	_Atomic bool ends;
	bool heard;                 /* anything from the client */
};

static int listen_at(struct fake *f)
{
	struct sockaddr_in here = { .sin_family = AF_INET, .sin_port = htons(FAKE_PORT) };
	int rc = rc_channel(&f->channel);
	if (rc == 0 && rdma_create_id(f->channel, &f->listener, NULL, RDMA_PS_TCP))
		rc = -errno;
	if (rc == 0 && (rdma_bind_addr(f->listener, (struct sockaddr *)&here) || rdma_listen(f->listener, 4)))
		rc = -errno;
	return rc;
}

static int take_client(struct fake *f, struct rdma_cm_id *id, const struct rdma_conn_param *asked)
{
	struct verbs_reply reply = { .kind = VERBS_CONTROL, .credits = ENDPOINT_RECVS,
		.flags = f->asks ? REPLY_KEYS : 0 };
	f->id = id;
	f->pd = ibv_alloc_pd(id->verbs);
	int rc = endpoint_init(&f->ep, id->verbs, f->pd, STREAM_QUEUE, 8);
	struct rc_shape shape = { f->pd, f->ep.cq, f->ep.cq, ENDPOINT_SENDS, ENDPOINT_RECVS, 0, 0 };
	if (rc == 0)
		rc = rc_make(id, &shape, &f->qp);
	if (rc == 0)
		rc = endpoint_bind(&f->ep, f->qp);
	if (rc == 0)
		rc = endpoint_start(&f->ep, STREAM_DEPTH);
	return rc ? rc : rc_accept(id, f->qp, asked, 4, &reply);
}

/* Accepts one client, whatever key it names, and answers what it says with an AUTH2 that is none. */
static void *serve(void *context)
{
	struct fake *f = context;
	unsigned char message[VERBS_AUTH_BYTES] = { 'D', 'S', 'M', 'A', VERBS_VERSION, 0, 2, 0, 9 }, in[512];
	struct rdma_cm_event *event;
	while (!atomic_load(&f->ends)) {
		if (rdma_get_cm_event(f->channel, &event) == 0) {
			if (event->event == RDMA_CM_EVENT_CONNECT_REQUEST && !f->id)
				take_client(f, event->id, &event->param.conn);
			rdma_ack_cm_event(event);
		}
		if (f->qp && endpoint_recv(&f->ep, in, sizeof(in)) > 0) {
			f->heard = true;
			if (f->vanishes) /* and its id, whose end would say good-bye, stays */
				rc_destroy(&f->qp);
			else
				endpoint_send(&f->ep, message, sizeof(message));
		}
		usleep(1000);
	}
	return NULL;
}

static void fake_close(struct fake *f)
{
	rc_destroy(&f->qp);
	endpoint_free(&f->ep);
	if (f->pd)
		ibv_dealloc_pd(f->pd);
	if (f->id)
		rdma_destroy_id(f->id);
	if (f->listener)
		rdma_destroy_id(f->listener);
	if (f->channel)
		rdma_destroy_event_channel(f->channel);
}

static void one_fake(bool asks, bool vanishes, uint32_t flags, int want, const char *text)
{
	struct fake f = { .asks = asks, .vanishes = vanishes };
	struct dsm_options opts = DSM_OPTIONS_INIT;
	struct dsm *dsm = NULL;
	char uri[128];
	pthread_t thread;
	opts.attach_timeout_ms = vanishes ? 30000 : 3000;
	opts.flags = flags;
	snprintf(uri, sizeof(uri), "rdma://%s:%d", host, FAKE_PORT);
	int rc = listen_at(&f);
	if (rc == 0)
		rc = -pthread_create(&thread, NULL, serve, &f);
	if (check(rc == 0, "no engine can be faked: %d", rc)) {
		rc = dsm_attach(uri, &opts, &dsm);
		check(rc == want && strstr(dsm_error(), text), "a fake engine: %d %s", rc, dsm_error());
		atomic_store(&f.ends, true);
		pthread_join(thread, NULL);
		check(f.heard == (asks || flags), "the fake engine was%s told something", f.heard ? "" : " not");
	}
	dsm_detach(&dsm);
	fake_close(&f);
}

/* Nothing is said to an engine that does not ask for the key, and HELLO only to one that has it. The
 * control: who says that he wants to do without a key talks to it. One that has gone without a word is
 * found out, not waited for. */
void fake_engines(void)
{
	one_fake(false, false, 0, -EACCES, "not believed");
	one_fake(true, false, 0, -EACCES, "does not fit the key");
	one_fake(false, false, DSM_NO_KEY, -EBADMSG, "no dsm engine");
	one_fake(true, true, 0, -ECONNRESET, "went without a word");
	one_fake(false, true, DSM_NO_KEY, -ECONNRESET, "closed the connection");
	all_is_well("engines that are none");
}
