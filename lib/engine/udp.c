/* SPDX-License-Identifier: Apache-2.0 */
/* udp at the engine: start and end, who is who, and what time brings. One timer of a millisecond
 * runs while somebody waits or something is not acknowledged, and else none. */
#include "engine/udp_subscribe.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "core/error.h"

#define BATCHES_A_TURN 4
#define TIMER_NS 1000000
#define GOODBYE_MS 200
#define PUSH_AGAIN_NS UINT64_C(250000)    /* commits that come closer wait for the timer */
#define INDEX(name) ((name) & 0xffffu)
#define ACCUSE_NS UINT64_C(10000000000)
#define IDLE_MIN_MS 3000u

/* ---- peers ---- */

struct udp_peer *udp_find(struct udp_server *u, uint32_t name)
{
	struct udp_peer *p = INDEX(name) < u->room ? u->peers[INDEX(name)] : NULL;
	return p && p->name == name ? p : NULL;
}

bool udp_is_full(const struct dsm_engine *e)
{
	uint32_t network = 0, max = e->options.max_clients;
	for (const struct session *s = e->sessions; s; s = s->next)
		network += s->ops->network;
	return e->session_count >= max || network >= max - max / 4;
}

int udp_place(struct udp_server *u, struct udp_peer *peer)
{
	for (uint32_t i = 0; i < u->room; i++) {
		if (u->peers[i])
			continue;
		peer->name = (randombytes_random() & ~0xffffu) | i;
		u->peers[i] = peer;
		return 0;
	}
	return -EUSERS;
}

void udp_forget(struct udp_server *u, struct udp_peer *p)
{
	u->peers[INDEX(p->name)] = NULL;
	u->unproven -= !p->proven;
	u->closing -= p->closing;
	u->armed -= p->armed;
	u->unheard -= p->unheard;
	udp_subs_free(u, p);
	udp_sender_free(&p->sender);
	udp_receiver_free(&p->receiver);
	udp_receiver_free(&p->commits);
	sodium_memzero(p, sizeof(*p));
	free(p);
}

void udp_refused(struct dsm_engine *e, enum counter counter, const struct udp_path *from, const char *why)
{
	uint64_t now = clock_now(e->clock);
	char text[80];
	region_count(e->region, counter, 1);
	if (now - e->udp->accused_ns < ACCUSE_NS && e->udp->accused_ns) /* the counter has them all */
		return;
	e->udp->accused_ns = now;
	udp_path_text(from, text, sizeof(text));
	engine_log(e, "udp: %s: %s", text, why);
}

/* ---- time ---- */

static void set_timer(struct udp_server *u)
{
	bool wanted = u->armed || u->closing || u->unheard || u->subs;
	if (wanted == u->timer_on)
		return;
	struct itimerspec every = { 0 };
	every.it_value.tv_nsec = every.it_interval.tv_nsec = wanted ? TIMER_NS : 0;
	timerfd_settime(u->timer_fd, 0, &every, NULL);
	u->timer_on = wanted;
}

static void say_all(struct dsm_engine *e, uint64_t now)
{
	struct udp_server *u = e->udp;
	for (uint32_t i = 0; i < u->room; i++) {
		struct udp_peer *p = u->peers[i];
		if (!p || !p->proven)
			continue;
		if (p->armed)
			udp_look(e, p);
		if (p->dirty || p->unheard)
			udp_speak(u, p, now);
	}
	u->dirty_count = 0;
	u->committed = false;
}

/* After a batch: only who was in it, unless somebody may have waited for what was committed. */
static void say(struct dsm_engine *e, uint64_t now)
{
	struct udp_server *u = e->udp;
	if (u->dirty_count > UDP_DIRTY || (u->committed && u->armed))
		say_all(e, now);
	for (uint32_t i = 0; i < u->dirty_count; i++) {
		struct udp_peer *p = udp_find(u, u->dirty[i]);
		if (p && p->armed)
			udp_look(e, p);
		if (p && p->proven)
			udp_speak(u, p, now);
	}
	/* commits of this machine's owners are seen by the timer, within a millisecond */
	if (u->subs && (u->pushing || (u->committed && now - u->pushed_ns > PUSH_AGAIN_NS)))
		udp_push(e, now);
	u->dirty_count = 0;
	u->committed = false;
	udp_out_flush(u);
	set_timer(u);
}

void udp_timer(struct dsm_engine *e)
{
	uint64_t fired;
	if (read(e->udp->timer_fd, &fired, sizeof(fired)) != sizeof(fired))
		return;
	uint64_t now = clock_now(e->clock);
	say_all(e, now);
	e->udp->pushing = true;
	say(e, now);
}

static void rotate(struct udp_server *u, uint64_t now)
{
	if (now - u->rotated_ns < UDP_SECRET_NS)
		return;
	memcpy(u->secret[1], u->secret[0], UDP_SECRET);
	randombytes_buf(u->secret[0], UDP_SECRET);
	u->rotated_ns = now;
}

static void forget_late(struct udp_server *u, uint64_t now)
{
	for (uint32_t i = 0; i < u->room; i++) {
		struct udp_peer *p = u->peers[i];
		if (!p)
			continue;
		bool over = p->closing ? udp_sender_idle(&p->sender) || now - p->made_ns > UDP_LINGER_NS :
			!p->proven && now - p->made_ns > UDP_UNPROVEN_NS;
		if (!over)
			continue;
		if (p->closing)
			udp_last_word(u, p);
		udp_forget(u, p);
	}
}

void udp_tick(struct dsm_engine *e, uint64_t now)
{
	struct udp_server *u = e->udp;
	if (!u)
		return;
	sources_forget(&u->shakes);
	rotate(u, now);
	forget_late(u, now);
	say_all(e, now);
	say(e, now);
}

/* ---- what comes ---- */

static void on_datagram(struct dsm_engine *e, const struct udp_path *from, unsigned char *d, size_t n)
{
	uint8_t version;
	int type = udp_type_of(d, n, &version);
	if (type == UDP_INIT || (type == -EPROTONOSUPPORT && d[3] == UDP_INIT))
		udp_on_init(e, from, d, n);
	else if (type == UDP_DATA)
		udp_on_data(e, from, d, n);
	else
		region_count(e->region, COUNTER_UDP_FOREIGN, 1);
}

/* `active_ns` is this thread's own. */
bool udp_spins(const struct dsm_engine *e)
{
	uint64_t spin_ns = e->options.udp_spin_us * UINT64_C(1000);
	return e->udp && spin_ns && clock_now(&clock_system) - e->udp->active_ns < spin_ns;
}

bool udp_has_more(const struct dsm_engine *e)
{
	return e->udp && e->udp->at < e->udp->came;
}

void udp_events(struct dsm_engine *e)
{
	struct udp_server *u = e->udp;
	if (e->options.udp_spin_us)
		u->active_ns = clock_now(&clock_system);
	u->in_batch = true;
	u->turn_left = UDP_WORK_TURN;
	for (int batch = 0; batch < BATCHES_A_TURN && u->turn_left; batch++) {
		if (!udp_has_more(e)) {
			u->came = udp_batch_receive(u);
			u->at = 0;
		}
		while (u->at < u->came && u->turn_left) {
			const struct udp_path *from;
			size_t bytes;
			unsigned char *d = udp_batch_get(u, u->at++, &bytes, &from);
			on_datagram(e, from, d, bytes);
		}
		say(e, clock_now(e->clock));
		if (u->came < UDP_BATCH)
			break;
	}
	u->in_batch = false;
}

/* ---- start and end ---- */

static int watch(struct dsm_engine *e, int fd, uint64_t tag)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u64 = tag };
	return epoll_ctl(e->epoll_fd, EPOLL_CTL_ADD, fd, &ev);
}

static int open_server(struct dsm_engine *e, struct udp_server *u)
{
	bool loopback = false;
	int rc = keys_load_any(e->options.keys, &u->keys);
	if (rc == 0)
		rc = udp_socket_open(e->options.udp, &u->fd, &loopback, u->address, sizeof(u->address));
	if (rc)
		return rc;
	u->auth_none = e->options.auth_none || (!keys_for_clients(u->keys) && loopback);
	if (!keys_for_clients(u->keys) && !u->auth_none)
		return dsm__fail(-EINVAL, "udp: %s can be reached from other machines and there are no keys for clients: "
			"make some with `dsm keygen`, or say auth none if everybody may", u->address);
	rc = udp_batch_new(&u->batch);
	u->room = e->options.max_clients + UDP_UNPROVEN_MAX;
	u->room = u->room > 65536 ? 65536 : u->room;
	for (u->queue = UDP_QUEUE; u->queue < e->options.max_clients / 4 && u->queue < UDP_QUEUE << 8;)
		u->queue *= 2;
	u->peers = calloc(u->room, sizeof(struct udp_peer *));
	u->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (rc == 0 && !u->peers)
		rc = dsm__fail(-ENOMEM, "udp: no memory for %u clients", u->room);
	if (rc == 0 && (u->timer_fd < 0 || watch(e, u->fd, SERVER_TAG_UDP) ||
			watch(e, u->timer_fd, SERVER_TAG_UDP_TIMER)))
		rc = dsm__fail(-errno, "udp: cannot set up the server: %s", strerror(errno));
	return rc;
}

int udp_start(struct dsm_engine *e)
{
	if (!e->options.udp)
		return 0;
	if (sodium_init() < 0)
		return dsm__fail(-EIO, "udp: libsodium cannot start: no random numbers");
	struct udp_server *u = calloc(1, sizeof(*u));
	if (!u)
		return dsm__fail(-ENOMEM, "udp: no memory");
	u->fd = u->timer_fd = -1;
	e->udp = u;
	randombytes_buf(u->secret, sizeof(u->secret));
	u->rotated_ns = clock_now(e->clock);
	u->idle_ms = 4 * e->options.lease_ms > IDLE_MIN_MS ? 4 * e->options.lease_ms : IDLE_MIN_MS;
	int rc = open_server(e, u);
	if (rc == 0)
		engine_log(e, "udp at %s, auth %s", u->address, u->auth_none ? "none" : "keys");
	return rc;
}

static bool may_stay(const struct udp_server *u, const struct udp_peer *p)
{
	return p->has_key ? keys_still_id(u->keys, &p->key) : u->auth_none;
}

/* Under lock. Who has a key that is no more, or none where keys are needed now, is cut off; the
 * others notice nothing of it. */
int udp_reload_keys(struct dsm_engine *e)
{
	struct udp_server *u = e->udp;
	struct keys *fresh;
	if (!u)
		return 0;
	int rc = keys_load_any(e->options.keys, &fresh);
	if (rc == 0 && !fresh && u->keys)
		rc = dsm__fail(-ENOENT, "udp: the keys are gone; the old ones go on");
	if (rc)
		return rc;
	struct keys *old = u->keys;
	u->keys = fresh;
	/* once there are keys they are needed: taking the last one away lets nobody in */
	u->auth_none = e->options.auth_none || (u->auth_none && !keys_for_clients(fresh));
	for (uint32_t i = 0; i < u->room; i++) {
		struct udp_peer *p = u->peers[i];
		if (!p || may_stay(u, p))
			continue;
		region_count(e->region, COUNTER_REFUSED_KEY, 1);
		if (p->proven && !p->closing)
			server_drop(&p->session);
		else if (!p->proven)
			udp_forget(u, p);
	}
	keys_free(&old);
	server_sweep(e);
	return 0;
}

void udp_stop(struct dsm_engine *e)
{
	struct udp_server *u = e->udp;
	if (!u)
		return;
	u->ending = true;
	/* the good-bye of the engine, acknowledged or not */
	for (int ms = 0; u->closing && u->batch && ms < GOODBYE_MS; ms++) {
		udp_events(e);
		udp_tick(e, clock_now(e->clock));
		usleep(1000);
	}
	for (uint32_t i = 0; u->peers && i < u->room; i++) {
		if (!u->peers[i])
			continue;
		udp_last_word(u, u->peers[i]);
		udp_forget(u, u->peers[i]);
	}
	if (u->batch)
		udp_out_flush(u);
	keys_free(&u->keys);
	udp_batch_free(&u->batch);
	free(u->peers);
	if (u->fd >= 0)
		close(u->fd);
	if (u->timer_fd >= 0)
		close(u->timer_fd);
	sodium_memzero(u, sizeof(*u));
	free(u);
	e->udp = NULL;
}
