/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is behind struct dsm_engine: one region, its clients, one server thread. Everything here
 * is under engine->lock; the server thread holds it while it handles what epoll brought, API
 * calls while they change something. Clients' reads and owners' commits never come here.
 */
#ifndef DSM_LIB_ENGINE_ENGINE_H
#define DSM_LIB_ENGINE_ENGINE_H

#include <pthread.h>
#include <sys/types.h>

#include "client/attach.h"
#include "core/clock.h"
#include "core/counters.h"
#include "engine/ingest_server.h"
#include "engine/region.h"
#include "engine/state.h"
#include "wire/control.h"

#define RESULTS CONTROL_REQUESTS /* remembered a client */
#define RECORDS_MAX 4096u
#define RECORD_KEEP_NS (60 * UINT64_C(1000000000))
#define TICKETS 1024u
#define FORWARD_DEADLINE_NS (5 * UINT64_C(1000000000))

/* Who may do something: resolved from "", "*" or a list of users when the engine starts. */
struct access {
	bool everybody;
	uint32_t count;
	uid_t *uids;
};
int access_parse(const char *users, struct access *out);
void access_free(struct access *access);
bool access_allows(const struct access *access, uid_t uid);

struct result { uint64_t number, previous; int32_t status; bool in_flight; };

/* What is known of a client that has made requests, also while it is away. */
struct record {
	uint8_t id[16];
	uint64_t last;              /* highest number seen */
	uint64_t refuse_to;         /* up to here the outcome is unknown: never carried out again */
	uint64_t done_to;           /* up to here carried out before the state was saved */
	uint64_t away_ns;           /* since when without session; 0 = attached */
	struct session *session;
	struct result results[RESULTS];
	struct record *next;
};

/* A request that waits for its owner. */
struct ticket {
	struct record *record;      /* NULL = free */
	uint64_t number, deadline_ns;
	uint32_t owner, generation; /* ticket = generation << 32 | index */
};

struct session;
/* How a client is connected: one table a transport, in a file of its own. Nothing here blocks.
 * 0 or a negative errno; the caller counts, drops and logs. */
struct session_ops {
	const char *transport;      /* as in `dsm ps` */
	bool network;               /* no user is known: the table and "*" say what a network may do */
	/* One message. -EAGAIN: the client does not read what it is sent. */
	int (*send)(struct session *s, const void *message, size_t bytes);
	/* Bytes of the next message; -EAGAIN none yet; others: the connection is gone. */
	int (*receive)(struct session *s, void *message, size_t room);
	/* A good WELCOME, with whatever lets the client see header, directory and (s->owner) its bank. */
	int (*welcome)(struct session *s, const void *message, size_t bytes);
	/* MAPPED, with sight of these banks; `map` is checked. */
	int (*map)(struct session *s, const struct control_map *map);
	void (*address)(const struct session *s, char *text, size_t size);
	/* Before a HELLO is answered with yes: whatever may be missing for a reader. NULL = nothing. */
	int (*admit)(struct session *s);
	/* Before the role is granted: whatever the client will write with. NULL = nothing. */
	int (*grant)(struct session *s, uint32_t owner);
	/* Ends what grant() made: after 0 nothing that the client sends or sent changes the bank any
	 * more. NULL or an error: there is no such proof, a process's end or new memory must do. */
	int (*fence)(struct session *s);
	/* 0, or -EACCES: does the client's key let it do that (enum key_role; the owner's name or NULL)?
	 * NULL = keys have no say. */
	int (*allows)(const struct session *s, unsigned what, const char *owner);
	/* Say once, by EVENT CONTROL_NEWER, when one of these groups, which are checked, has a commit after
	 * its `since`; one list at a time, a later one takes the place. NULL = nobody asks. */
	void (*arm)(struct session *s, const struct control_wait *list);
	/* Each tick; 1: receive() has something. NULL = nothing. */
	int (*tick)(struct session *s, uint64_t now);
	/* Connection and session. */
	void (*free)(struct session *s);
};

/* Made zeroed by its transport, then server_add(). */
struct session {
	const struct session_ops *ops;
	struct dsm_engine *engine;
	bool greeted, inproc, may_request, takes_requests, dead;
	bool superseded;            /* had a role: what it said before it knew is no offence */
	uint32_t id;
	uint32_t pid, uid;          /* the kernel's word; of a network 0 and -1 */
	uint32_t owner;             /* DSM_NONE = reader */
	uint8_t client_id[16];
	uint64_t last_number;       /* of HELLO */
	struct record *record;
	uint64_t since_ns, requests, messages;
	char program[32];
	struct session *next;
};

/* Who holds an owner role, by the engine's knowledge. */
struct holder {
	struct session *session;    /* NULL: the connection is gone, the process may not be */
	int pidfd;                  /* -1 = cannot be watched */
	bool held;
	uint32_t pid;
	uint32_t last_uid;          /* whose process may have the memory mapped; (uint32_t)-1 = nobody's */
	uint64_t tick, moved_ns;
	uint64_t beat;              /* of an owner over a network: what it last said */
	struct access access;
};

struct dsm_engine {
	pthread_mutex_t lock;
	pthread_t thread;
	bool thread_running, stop;
	struct region *region;
	struct holder *holders;     /* one an owner */
	struct writer writer;       /* the engine's own groups, unless a session holds "engine" */
	bool has_writer;
	struct access readers, requesters;
	struct dsm_engine_options options;
	char *adc_address, *keys_file;
	struct ingest_server *adc;  /* NULL: no boards; ingest_server.c */
	struct ingest_mark *marks;  /* of boards, as an earlier run or table left them */
	uint32_t mark_count;
	char *name, *state_file;
	const struct dsm_clock *clock;
	struct inproc inproc;
	int listen_fd, epoll_fd, timer_fd, stop_fd;
	int spare_fd;               /* given up for a moment when descriptors run out */
	struct session *sessions;
	uint32_t session_count, next_session;
	uint64_t freed;             /* sessions so far: events fetched before are of no use */
	struct record *records;
	uint32_t record_count;
	struct ticket tickets[TICKETS];
	uint32_t next_ticket;
	uint64_t tick_ns;           /* of the last tick */
	char *rdma;
	struct verbs *verbs;        /* NULL = not served over rdma */
	char *udp_address;
	struct udp_server *udp;     /* NULL = not served over udp */
	unsigned char *message, *reply; /* CONTROL_MAX each */
	unsigned char *forwarded;   /* the same, of requests.c: while `reply` is being filled */
	/* saver */
	pthread_t saver;
	pthread_cond_t save_wanted;
	bool saver_running, save_now, saving;
	uint64_t save_due_ns;
};

struct keys;
void engine_log(const struct dsm_engine *engine, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* ---- verbs.c, or verbs_none.c: clients over rdma; all but verbs_address() do nothing without
 * options.rdma ---- */
#define SERVER_TAG_VERBS 4u     /* in epoll; see server.c */
/* Takes "ADDR[:PORT]" apart. -EINVAL; -ENOTSUP in a build without rdma. */
int verbs_address(const char *text, char *host, size_t room, uint16_t *port);
/* A machine without a device is served as soon as it has one. -EADDRINUSE. */
int verbs_start(struct dsm_engine *engine);
/* After the last session; frees everything. */
void verbs_stop(struct dsm_engine *engine);
void verbs_events(struct dsm_engine *engine);
void verbs_tick(struct dsm_engine *engine, uint64_t now);
/* Who waits for a commit? Each millisecond while somebody does. */
#define SERVER_TAG_VERBS_TIMER 8u
void verbs_timer(struct dsm_engine *engine);
/* Before the memory changes: nobody reaches the old one through a device any more. */
void verbs_bank_leaves(struct dsm_engine *engine, uint32_t owner);
void verbs_region_leaves(struct dsm_engine *engine);
/* Reads the keys again for clients of rdma, in two steps, so that nothing has changed if another
 * server cannot: NULL where rdma is not served. On error the old ones go on. */
int verbs_load_keys(struct dsm_engine *engine, struct keys **fresh);
/* Puts them in place (they are no longer the caller's) and cuts off whose key is gone. */
void verbs_take_keys(struct dsm_engine *engine, struct keys **fresh);

/* ---- udp.c: clients over udp; all do nothing without options.udp ---- */
#define SERVER_TAG_UDP 6u       /* in epoll; see server.c */
#define SERVER_TAG_UDP_TIMER 7u
/* Takes "ADDR[:PORT]" apart. -EINVAL. */
int udp_address(const char *text, char *host, size_t room, uint16_t *port);
/* Keys, socket. -EADDRINUSE and others of bind(); -EINVAL neither keys nor leave to do without. */
int udp_start(struct dsm_engine *engine);
/* After the last session; frees everything. */
void udp_stop(struct dsm_engine *engine);
/* One turn: a bounded number of datagrams, and of work for them. */
void udp_events(struct dsm_engine *engine);
/* Has the last turn left datagrams that have been received already? Server thread. */
bool udp_has_more(const struct dsm_engine *engine);
void udp_timer(struct dsm_engine *engine);
/* Is the next datagram to be polled for? Server thread, without the lock. */
bool udp_spins(const struct dsm_engine *engine);
void udp_tick(struct dsm_engine *engine, uint64_t now);
/* Reads the keys again and cuts off whose key is gone. On error the old ones go on. */
int udp_reload_keys(struct dsm_engine *engine);

/* ---- server.c: the thread ---- */
int server_start(struct dsm_engine *engine);
void server_stop(struct dsm_engine *engine);
/* The session is in the list from now on. */
void server_add(struct dsm_engine *engine, struct session *session);
void server_drop(struct session *session);   /* marks; freed at the end of the batch */
void server_sweep(struct dsm_engine *engine);
void server_tell(struct session *session, uint32_t kind, uint32_t owner, uint64_t value);
void server_tell_all(struct dsm_engine *engine, uint32_t kind, uint32_t owner, uint64_t value);
/* Sends; a client that does not read is cut off. */
void server_send(struct session *session, size_t bytes, const void *message);
/* What follows from a sending operation's result. */
void server_sent(struct session *session, int rc);

/* ---- local.c: sessions of this machine ---- */
int local_listen(struct dsm_engine *engine);
void local_accept(struct dsm_engine *engine);
/* The descriptor stays the caller's if NULL is returned. */
struct session *local_adopt(struct dsm_engine *engine, int fd, bool inproc);

/* ---- session.c: one client's messages ---- */
void session_message(struct session *session, const void *message, size_t size);

/* ---- owners.c: who holds which role ---- */
int owners_init(struct dsm_engine *engine, const struct dsm_table *table);
void owners_free(struct dsm_engine *engine);
/* 0 granted; -EACCES, -EBUSY, -ENODEV with text. */
int owners_claim(struct session *session, const char *name, bool take_over, uint32_t *owner,
	uint32_t *epoch);
void owners_session_gone(struct session *session, bool bye);
void owners_tick(struct dsm_engine *engine, uint64_t now, bool restart_leases);
void owners_engine_takes(struct dsm_engine *engine);

/* ---- requests.c ---- */
void requests_message(struct session *session, struct control_reader *r);
void requests_answer(struct session *session, struct control_reader *r);
void requests_owner_gone(struct dsm_engine *engine, uint32_t owner);
void requests_tick(struct dsm_engine *engine, uint64_t now);
struct record *records_find(struct dsm_engine *engine, const uint8_t id[16]);
struct record *records_add(struct dsm_engine *engine, const uint8_t id[16]);
/* One session a record: whoever held it before is an older connection of the same client, and ends. */
void records_attach(struct record *record, struct session *session);
void records_free(struct dsm_engine *engine);
void requests_forget_tickets(struct dsm_engine *engine);

/* ---- saver.c ---- */
int saver_start(struct dsm_engine *engine);
void saver_stop(struct dsm_engine *engine);
int saver_save(struct dsm_engine *engine);

/* ---- restore.c: values into a fresh region that nobody sees yet ---- */
/* Of a state file; request numbers into records. */
int restore_image(struct dsm_engine *engine, struct region *region, const struct state_image *image);
/* Of engine->region, whose writers have been stopped; with the groups that no file keeps. Under lock. */
int restore_region(struct dsm_engine *engine, struct region *region);

#endif
