/* SPDX-License-Identifier: Apache-2.0 */
/* shm: channel, life, and the table of operations. */
#include "transport/shm.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/error.h"

static void drop_fds(struct transport_conn *conn)
{
	while (conn->fd_count)
		close(conn->fds[--conn->fd_count]);
}

int shm_adopt_channel(int fd, void *(*own_memory)(void *, uint32_t, uint64_t *), void *context,
	struct transport_conn **out)
{
	struct transport_conn *conn = calloc(1, sizeof(*conn));
	if (!conn)
		return dsm__fail(-ENOMEM, "no memory for a connection");
	conn->fd = fd;
	conn->own_fd = -1;
	conn->own_owner = DSM_NONE;
	conn->own_memory = own_memory;
	conn->own_context = context;
	*out = conn;
	return 0;
}

static int shm_connect(const struct uri *uri, const struct transport_identity *as, uint32_t timeout_ms,
	struct transport_conn **out)
{
	(void)as; /* the socket's credentials say who this is */
	(void)timeout_ms; /* a Unix socket answers at once */
	char others[256];
	if (!uri_shm_name_ok(uri->host))
		return dsm__fail(-EINVAL, "shm: \"%s\" is no engine's name: 1 to 64 letters, digits, "
			"'_', '-' or '.'", uri->host);
	int fd = channel_connect(uri->host);
	if (fd == -ECONNREFUSED || fd == -ENOENT) {
		channel_list(others, sizeof(others));
		return dsm__fail(-ENOENT, "shm: no engine \"%s\" on this machine (%s%s)", uri->host,
			others[0] ? "running: " : "none is running", others);
	}
	if (fd < 0)
		return dsm__fail(fd, "shm: cannot reach engine \"%s\": %s", uri->host, strerror(-fd));
	int rc = shm_adopt_channel(fd, NULL, NULL, out);
	if (rc)
		close(fd);
	return rc;
}

static void shm_close(struct transport_conn *conn)
{
	if (!conn)
		return;
	shm_unmap_all(conn);
	drop_fds(conn);
	if (conn->own_fd >= 0)
		close(conn->own_fd);
	close(conn->fd);
	free(conn->banks);
	free(conn->moved);
	free(conn->rings_memory);
	free(conn->scratch);
	free(conn);
}

/* Nobody waits for mapped memory. */
static void shm_gone(struct transport_conn *conn)
{
	(void)conn;
}

static int shm_fd(const struct transport_conn *conn)
{
	return conn->fd;
}

static int shm_send(struct transport_conn *conn, const void *message, size_t bytes)
{
	return channel_send(conn->fd, message, bytes, NULL, 0);
}

static int shm_recv(struct transport_conn *conn, void *message, size_t room)
{
	drop_fds(conn);
	int rc = channel_recv(conn->fd, message, room, conn->fds, CHANNEL_FDS_MAX, &conn->fd_count);
	return rc == 0 ? -EPIPE : rc;
}

static const struct region_header *shm_header(const struct transport_conn *conn)
{
	return conn->header.at;
}

static void shm_pulse(const struct transport_conn *conn, struct transport_pulse *out)
{
	const struct region_header *h = conn->header.at;
	out->heartbeat = atomic_load_explicit(&h->heartbeat, memory_order_acquire);
	out->ended = atomic_load_explicit(&h->state, memory_order_acquire) == REGION_ENDED;
}

static uint64_t shm_owner_line(const struct transport_conn *conn, uint32_t owner, uint32_t *epoch,
	uint32_t *pid, uint64_t *step)
{
	const struct owner_line *line = &conn->lines[owner];
	if (epoch)
		*epoch = atomic_load_explicit(&line->epoch, memory_order_relaxed) & ~DSM_GRANT_ENDED;
	if (pid)
		*pid = atomic_load_explicit(&line->pid, memory_order_relaxed);
	if (step)
		*step = conn->banks[owner].present ? shm_step_complete(conn, owner) : 0;
	return atomic_load_explicit(&line->bank_state, memory_order_acquire);
}

static const struct ring *shm_rings(const struct transport_conn *conn)
{
	return conn->rings;
}

static uint64_t shm_counter(const struct transport_conn *conn, uint32_t index)
{
	return index < DSM_COUNTERS ?
		atomic_load_explicit(&conn->counters[index], memory_order_relaxed) : 0;
}

static uint64_t shm_wakes(const struct transport_conn *conn)
{
	return conn->wakes;
}

static void shm_beat(struct transport_conn *conn, uint32_t owner, uint64_t tick)
{
	struct shm_bank *bank = &conn->banks[owner];
	if (bank->writable)
		atomic_store_explicit(&((struct bank_header *)bank->piece.at)->owner_tick, tick,
			memory_order_relaxed);
}

const struct transport_ops transport_shm = {
	.size = sizeof(struct transport_ops),
	.scheme = "shm",
	.attach_ms = 2000,
	.near = true,
	.connect = shm_connect,
	.close = shm_close,
	.fd = shm_fd,
	.send = shm_send,
	.recv = shm_recv,
	.open = shm_enter,
	.ready = shm_ready,
	.inherit = shm_inherit,
	.mapped = shm_mapped,
	.adopt = shm_adopt,
	.lock = shm_lock,
	.gone = shm_gone,
	.pulse = shm_pulse,
	.header = shm_header,
	.owner_line = shm_owner_line,
	.counter = shm_counter,
	.wakes = shm_wakes,
	.beat = shm_beat,
	.newest = shm_newest,
	.rings = shm_rings,
	.read = shm_read,
	.read_at = shm_read_at,
	.read_step = shm_read_step,
	.step_complete = shm_step_complete,
	.wait = shm_wait,
	.borrow = shm_borrow,
	.borrow_end = shm_borrow_end,
	.granted = shm_granted,
	.publish = shm_publish,
	.commit = shm_commit,
	.complete = shm_complete,
	.loan = shm_loan,
	.loan_end = shm_loan_end,
};
