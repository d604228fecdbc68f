/* SPDX-License-Identifier: Apache-2.0 */
/* What a client says to an engine of another release: of another layout, of another control version,
 * with a header that is damaged. The engine here is made up, its memory is not. */
#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/fixture.h"
#include "engine/region.h"
#include "transport/channel.h"
#include "transport/transport.h"

#define ok(call) cr_assert_eq((call), 0, "%s: %s", #call, dsm_error())
#define fails(call, error) do { int rc_ = (call); cr_assert_eq(rc_, (error), \
	"%s: %d (%s), expected %s", #call, rc_, dsm_error(), #error); } while (0)

struct made_up {
	char name[64];
	struct region *region;
	int listener;
	int32_t status;             /* of its WELCOME */
	bool other_control;         /* its messages are of the next control version */
};

static void wait_readable(int fd)
{
	struct pollfd p = { fd, POLLIN, 0 };
	poll(&p, 1, 30000);
}

/* One attach: HELLO is not looked at, WELCOME has what a real engine's would. */
static void *welcome_one(void *context)
{
	static unsigned char message[CONTROL_MAX];
	struct made_up *m = context;
	const struct region *r = m->region;
	struct control_welcome w = { .status = m->status, .session = 1, .owner = DSM_NONE,
		.generation = r->generation, .header_bytes = r->header->header_bytes,
		.directory_bytes = r->directory_bytes, .waiters_bytes = r->waiters_bytes };
	struct control_writer out;
	const int fds[3] = { r->header_fd, r->directory_fd, r->waiters_fd };
	uint32_t n;
	wait_readable(m->listener);
	int fd = accept4(m->listener, NULL, NULL, SOCK_CLOEXEC);
	wait_readable(fd);
	channel_recv(fd, message, sizeof(message), NULL, 0, &n);
	snprintf(w.text, sizeof(w.text), "what the engine says");
	control_begin(&out, message, sizeof(message), CONTROL_WELCOME);
	control_put_welcome(&out, &w);
	size_t bytes = control_end(&out);
	if (m->other_control)
		message[4]++;
	channel_send(fd, message, bytes, fds, m->status ? 0 : 3);
	wait_readable(fd); /* until the client has gone, or asks for banks, which there are none of */
	close(fd);
	return NULL;
}

static void up(struct made_up *m)
{
	struct region_params params = { 50, 500, 1, false };
	struct dsm_table *table;
	*m = (struct made_up){ .status = 0 };
	snprintf(m->name, sizeof(m->name), "made-up-%d", (int)getpid());
	ok(fixture_table(&table));
	ok(region_build(table, &params, &m->region));
	dsm_table_free(&table);
	m->listener = channel_listen(m->name);
	cr_assert_geq(m->listener, 0);
}

static void down(struct made_up *m)
{
	close(m->listener);
	region_free(&m->region);
}

static int attach(struct made_up *m)
{
	struct dsm *dsm = NULL;
	pthread_t thread;
	char uri[128];
	fixture_uri("shm", m->name, uri);
	cr_assert_eq(pthread_create(&thread, NULL, welcome_one, m), 0);
	int rc = dsm_attach(uri, NULL, &dsm);
	pthread_join(thread, NULL);
	cr_assert_null(dsm);
	return rc;
}

static void set_layout(struct made_up *m, uint32_t version)
{
	atomic_store(&m->region->header->layout_version, version);
}

Test(version, another_layout_is_refused_by_the_client_too, .timeout = 60)
{
	struct made_up m;
	char both[64];
	up(&m);
	snprintf(both, sizeof(both), "has layout version %d, this library reads %d", DSM_LAYOUT_VERSION + 1,
		DSM_LAYOUT_VERSION);
	set_layout(&m, DSM_LAYOUT_VERSION + 1);
	fails(attach(&m), -EPROTONOSUPPORT);
	cr_assert(strstr(dsm_error(), both), "%s", dsm_error());
	set_layout(&m, DSM_LAYOUT_VERSION - 1);
	fails(attach(&m), -EPROTONOSUPPORT);
	set_layout(&m, 0); /* not published yet */
	fails(attach(&m), -EPROTONOSUPPORT);
	set_layout(&m, DSM_LAYOUT_VERSION); /* the control: up to the banks all is well */
	int rc = attach(&m);
	cr_assert(rc == -ECONNRESET || rc == -EPIPE, "%d: %s", rc, dsm_error());
	down(&m);
}

Test(version, another_control_version_is_refused_by_the_client_too, .timeout = 60)
{
	struct made_up m;
	up(&m);
	m.other_control = true;
	fails(attach(&m), -EPROTONOSUPPORT);
	cr_assert(strstr(dsm_error(), "control version"), "%s", dsm_error());
	m.other_control = false;
	m.status = -EPROTONOSUPPORT; /* or it says so itself */
	fails(attach(&m), -EPROTONOSUPPORT);
	cr_assert(strstr(dsm_error(), "what the engine says"), "%s", dsm_error());
	down(&m);
}

Test(version, nothing_of_a_damaged_header_is_used, .timeout = 60)
{
	struct made_up m;
	up(&m);
	uint64_t bytes = m.region->header->header_bytes, generation = m.region->generation;
	ok(transport_check_header(m.region->header, bytes, generation));
	fails(transport_check_header(m.region->header, bytes, generation + 1), -EBADMSG);
#define WRONG(field, value) do { struct region_header h; memcpy((void *)&h, (const void *)m.region->header, sizeof(h)); \
	h.field = (value); fails(transport_check_header(&h, bytes, generation), -EBADMSG); } while (0)
	WRONG(magic, 0);
	WRONG(owner_count, DSM_OWNERS_LIMIT + 1);
	WRONG(owner_count, (uint32_t)(bytes / 64) + 1);
	WRONG(group_count, DSM_GROUPS_LIMIT + 1);
	WRONG(group_count, (uint32_t)(bytes / 4) + 1);
	WRONG(cell_count, DSM_CELLS_LIMIT + 1);
	WRONG(owners_offset, 0);
	WRONG(owners_offset, h.owners_offset + 4);
	WRONG(owners_offset, (uint32_t)bytes);
	WRONG(notify_offset, (uint32_t)bytes - 8);
	WRONG(counters_offset, (uint32_t)bytes - 8);
	WRONG(counters_offset, UINT32_MAX - 7);
	WRONG(tick_ms, 0);
	WRONG(lease_ms, 0);
	down(&m);
}
