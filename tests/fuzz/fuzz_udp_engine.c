/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client of udp that has a key, holds a role and has gone mad, at a real engine: the input is its
 * datagrams, each a byte (bit 0: data flow; bit 1: a commit that is right but for the bits that the body
 * turns), a length u16 and the body (frames), which are sealed here and handed to the engine under its
 * lock. Whatever comes: the newest slot of its groups verifies or was never written, no pulse runs
 * backwards, and when the session is gone nothing of it is left.
 */
#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/check.h"
#include "engine/udp_subscribe.h"
#include "wire/le.h"

#define DATAGRAMS_MAX 64u
#define CLIENT 4711u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct dsm_engine *engine;
static struct udp_path path;        /* of the client: nobody listens to what comes there */
static struct udp_flow control, bulk;
static uint32_t segments, commits, inputs;

static void must(int good)
{
	if (!good)
		abort();
}

/* ---- an engine, once ---- */

static void close_engine(void)
{
	dsm_engine_close(&engine);
}

static int make_table(struct dsm_table **table)
{
	static const struct dsm_owner_spec owner = { "mad", true, "*" };
	static const struct dsm_group_spec groups[] = { { "mad", "own", "", 0, 0, false },
		{ "mad", "wide", "", 2, 0, false }, { "engine", "other", "", 0, 0, false } };
	static const struct dsm_cell_spec cells[] = {
		{ "own", "a", "", "", DSM_U64, 0, 0, 0, 0, -1 }, { "own", "b", "", "", DSM_I64, 0, 0, 0, 0, -1 },
		{ "wide", "bytes", "", "", DSM_BYTES, 5000, 0, 0, 0, -1 },
		{ "other", "count", "", "", DSM_I64, 0, DSM_HAS_MAX, 0, 1000, -1 },
		{ "other", "text", "", "", DSM_STRING, 40, 0, 0, 0, -1 } };
	int rc = dsm_table_new("fuzz", table);
	rc = rc ? rc : dsm_table_owner(*table, &owner);
	for (size_t i = 0; rc == 0 && i < 3; i++)
		rc = dsm_table_group(*table, &groups[i]);
	for (size_t i = 0; rc == 0 && i < 5; i++)
		rc = dsm_table_cell(*table, &cells[i]);
	return rc;
}

static void set_up(void)
{
	struct dsm_engine_options options = DSM_ENGINE_OPTIONS_INIT;
	struct sockaddr_in *to = (void *)&path.address, at = { .sin_family = AF_INET };
	struct dsm_table *table = NULL;
	socklen_t size = sizeof(at);
	static char name[40], address[40];
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	must(bind(fd, (void *)&at, sizeof(at)) == 0 && getsockname(fd, (void *)&at, &size) == 0);
	*to = at;
	path.bytes = size;
	/* a second one, freed, is the engine's */
	int other = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	at.sin_port = 0;
	must(bind(other, (void *)&at, sizeof(at)) == 0 && getsockname(other, (void *)&at, &size) == 0);
	close(other);
	snprintf(address, sizeof(address), "127.0.0.1:%u", ntohs(at.sin_port));
	snprintf(name, sizeof(name), "fuzz-%d", (int)getpid());
	options.name = name;
	options.udp = address;
	options.tick_ms = 1000; /* time is not what is tried here */
	options.lease_ms = 10000;
	must(make_table(&table) == 0 && dsm_engine_open(table, &options, &engine) == 0);
	dsm_table_free(&table);
	atexit(close_engine);
}

/* ---- the client ---- */

static void hand_over(bool data, const void *frames, size_t n)
{
	unsigned char datagram[UDP_DATAGRAM];
	struct udp_writer w = udp_flow_begin(datagram);
	w.size = n < w.room ? n : w.room;
	memcpy(w.data, frames, w.size);
	size_t bytes = udp_flow_seal(data ? &bulk : &control, datagram, &w);
	must(bytes > 0);
	udp_on_data(engine, &path, datagram, bytes);
}

static void segment(bool data, const void *bytes, size_t n, uint16_t flags)
{
	unsigned char frames[UDP_DATA_ROOM];
	struct udp_writer w = { frames, 0, sizeof(frames) };
	struct udp_segment m = { data ? commits++ : segments++, flags, (uint16_t)n, bytes };
	must(udp_put_segment(&w, &m));
	hand_over(data, frames, w.size);
}

/* As if the handshake were over. */
static uint32_t come_in(void)
{
	struct udp_server *u = engine->udp;
	struct udp_peer *p = calloc(1, sizeof(*p));
	unsigned char message[512];
	struct control_writer w;
	struct control_hello hello = { .control_version = DSM_CONTROL_VERSION, .layout_version = DSM_LAYOUT_VERSION,
		.owner = "mad", .program = "fuzz" };
	must(p && udp_place(u, p) == 0);
	u->unproven++;
	p->client = CLIENT;
	p->control_route.path = p->data_route.path = p->home = path;
	p->made_ns = clock_now(engine->clock);
	p->control = (struct udp_flow){ .send.key = { 2 }, .receive.key = { 1 }, .to = CLIENT, .own = p->name };
	p->data = p->control;
	p->data.bit = UDP_FLOW_BIT;
	control = (struct udp_flow){ .send.key = { 1 }, .receive.key = { 2 }, .to = p->name, .own = CLIENT };
	bulk = control;
	bulk.bit = UDP_FLOW_BIT;
	segments = commits = 0;
	memcpy(hello.client_id, &inputs, sizeof(inputs));
	hello.client_id[8] = 1;
	control_begin(&w, message, sizeof(message), CONTROL_HELLO);
	control_put_hello(&w, &hello);
	segment(false, message, control_end(&w), UDP_FIRST | UDP_LAST);
	must(p->session.greeted && p->session.owner != DSM_NONE && p->may_commit);
	return p->name;
}

/* The next commit of "own"; bits of the body are turned in it. */
static void commit(uint32_t name, const uint8_t *body, size_t n)
{
	const struct udp_peer *p = udp_find(engine->udp, name);
	if (!p || !p->may_commit)
		return;
	const struct region *r = engine->region;
	const struct ring *ring = &r->rings[r->view.owners[p->session.owner].first_group];
	uint64_t message[2 + 5 + 32] = { 0 }, *slot = message + 2;
	uint32_t epoch = atomic_load_explicit(&r->lines[p->session.owner].epoch, memory_order_relaxed);
	uint32_t group = r->view.owners[p->session.owner].first_group;
	struct check_fields f = { atomic_load(ring->pulse) + 1, slot_epoch_length(ring, epoch), 1000, commits + 1 };
	size_t bytes = UDP_COMMIT_HEAD + DSM_SLOT_HEADER + ring->payload_bytes;
	must(bytes <= sizeof(message));
	memcpy(slot, &(uint64_t[]){ f.seq, f.epoch_length, f.time, f.step }, 32);
	slot[4] = slot_check(ring, &f, slot + 5);
	udp_put_commit((void *)message, &(struct udp_commit){ p->committed + 1, group, UDP_COMMIT_BOTH });
	for (size_t i = 0; i < n && i < bytes; i++)
		((uint8_t *)message)[i] ^= body[i];
	segment(true, message, bytes, UDP_FIRST | UDP_LAST);
}

/* ---- what must hold ---- */

static void look(uint64_t other)
{
	const struct region *r = engine->region;
	for (uint32_t g = 0; g < r->view.group_count; g++) {
		const struct ring *ring = &r->rings[g];
		struct slot_meta meta = { 0 };
		uint64_t pulse = atomic_load(ring->pulse);
		if (r->view.groups[g].owner == 0)
			must(pulse >= other); /* requests it may send */
		else if (pulse)
			must(ring_newest_verified(ring, r->scratch, &meta) == 0 && meta.seq == pulse);
	}
}

static void leave(uint32_t name)
{
	struct udp_server *u = engine->udp;
	struct udp_peer *p = udp_find(u, name);
	if (p && !p->closing)
		server_drop(&p->session);
	server_sweep(engine);
	p = udp_find(u, name);
	if (p)
		udp_forget(u, p);
	udp_out_flush(u);
	must(u->subs == 0 && u->sub_bytes == 0 && u->armed == 0 && u->closing == 0 && u->unproven == 0 && engine->session_count == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!engine)
		set_up();
	pthread_mutex_lock(&engine->lock);
	inputs++;
	uint64_t other = atomic_load(engine->region->rings[0].pulse);
	engine->udp->in_batch = true;
	uint32_t name = come_in();
	for (unsigned i = 0; i < DATAGRAMS_MAX && size >= 3 && udp_find(engine->udp, name); i++) {
		size_t n = (size_t)data[1] | (size_t)data[2] << 8;
		n = n < size - 3 ? n : size - 3;
		if (data[0] & 2)
			commit(name, data + 3, n);
		else
			hand_over(data[0] & 1, data + 3, n);
		struct udp_peer *p = udp_find(engine->udp, name);
		if (p && p->armed)
			udp_look(engine, p);
		if (p && p->proven)
			udp_speak(engine->udp, p, clock_now(engine->clock));
		udp_push(engine, clock_now(engine->clock));
		data += 3 + n;
		size -= 3 + n;
		if (i % 8 == 7)
			server_sweep(engine); /* as between two turns of its loop */
	}
	engine->udp->in_batch = false;
	look(other);
	leave(name);
	pthread_mutex_unlock(&engine->lock);
	return 0;
}
