/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The web viewer's server: one thread, one loop over libmicrohttpd's descriptors and the
 * sampler's rounds. GET and HEAD only; nothing here writes to the engine, and nothing a client
 * sends is kept beyond its own request. Used by the files in this folder alone; the program
 * calls web_run() in peeker.h.
 */
#ifndef PEEKER_WEB_WEB_H
#define PEEKER_WEB_WEB_H

#include "encode.h"
#include "guard.h"
#include "sample.h"

#include <microhttpd.h>

/* Limits on everything that a client can ask for. */
#define LINKS_MAX 512u           /* connections */
#define VIEWERS_MAX 400u         /* of them, streams */
#define LINK_MEMORY (32u << 10)  /* bytes of a request's head, and of what goes out at a time */
#define ASK_MAX_NS (10 * (uint64_t)NS_PER_S)     /* for the whole head of a request */
#define ASK_CROWDED_NS (1 * (uint64_t)NS_PER_S)  /* the same, when connections are scarce */
#define ANSWER_MAX_NS (60 * (uint64_t)NS_PER_S)  /* to take an answer that is no stream */
#define STUCK_MAX_S 20u          /* a stream whose other end takes nothing */
#define RATE_MAX 50.0            /* messages a second of one stream */
#define RECENT_MAX 8

/** A message that several viewers are sent: encoded once. */
struct message {
	uint32_t holders;
	uint64_t version, from, to;  /* table; what changed after round `from`, up to `to` */
	uint64_t made_ns;            /* own clock when it was encoded */
	uint32_t cells;              /* how many it tells of; 0 with from = to: a beat */
	char *text;
	size_t length;
};

/** One connection. */
struct link {
	struct link *next, *before;
	struct MHD_Connection *connection;
	int fd;
	uint64_t since_ns;           /* of what it does now */
	enum link_state { LINK_ASKS, LINK_TAKES, LINK_STREAMS } state;
};

struct viewer;

struct web {
	struct sampler *sampler;
	struct MHD_Daemon *daemon;
	struct guard guard;
	char cookie[24];             /* its name; cookies do not know ports */
	int wake_fd;                 /* an eventfd: the sampler has looked */
	bool ending;
	struct viewer *viewers;
	struct link *links;
	struct message *recent[RECENT_MAX];
	unsigned recent_at;
	struct web_counts counts;
	struct { struct MHD_Response *plain, *packed; } *assets;
};

/* server.c */

/** Answer with a text that is taken over (its memory is freed later). */
enum MHD_Result answer(struct web *web, struct MHD_Connection *connection, unsigned status,
	const char *type, struct buffer *body);
/** Answer with {"error": …}. */
enum MHD_Result refuse(struct web *web, struct MHD_Connection *connection, unsigned status,
	const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/** The headers that every answer carries. */
void add_headers(struct MHD_Response *response);

/* routes.c */

/** Answer a GET or HEAD of that path. */
enum MHD_Result route(struct web *web, struct MHD_Connection *connection, const char *path);

/* assets_serve.c */

/** Prepare what is embedded. -ENOMEM */
int assets_open(struct web *web);
void assets_close(struct web *web);
/** -ENOENT: no such file is embedded; else 0 and *result. */
int assets_answer(struct web *web, struct MHD_Connection *connection, const char *path,
	enum MHD_Result *result);

/* stream.c */

enum MHD_Result stream_answer(struct web *web, struct MHD_Connection *connection,
	const struct wish *wish, double rate);
/** Give those that wait what there is for them; returns when to look again (own clock). */
uint64_t streams_feed(struct web *web, uint64_t now_ns);
/** Let all of them end; the daemon can be stopped after it. */
void streams_end(struct web *web);
void streams_forget(struct web *web);

/* links.c */

void links_notify(void *web, struct MHD_Connection *connection, void **context,
	enum MHD_ConnectionNotificationCode what);
struct link *link_of(struct MHD_Connection *connection);
void link_is(struct MHD_Connection *connection, enum link_state state);
/** Shut those that take too long; returns when to look again (own clock). */
uint64_t links_expire(struct web *web, uint64_t now_ns);

/* listen.c */

struct place {
	char host[256];              /* "" = every address */
	char port[8];
};

/** NULL: loopback and the usual port. -EINVAL, with text. */
int place_parse(const char *text, struct place *out, char *error, size_t size);
/** A listening socket. Negative errno, with text. */
int place_listen(const struct place *place, int *fd, char *error, size_t size);
/** Print where the viewer is, and as a QR code where another device can come. `token` "" if
 *  none. */
void place_print(int fd, const char *token, bool utf8);
/** Does it listen on more than loopback? *port: on which port. */
bool place_is_open(int fd, unsigned *port);

/* announce.c */

/** Announce by mDNS, if avahi's program is there. Returns its process, or 0. */
int announce_begin(const char *name, unsigned port);
/** End it, and wait for its end: two seconds at most, after which it is killed. */
void announce_end(int process);

/* qr.c */

/** Print the text as a QR code; nothing if this build has no libqrencode. */
void qr_print(const char *text, bool utf8);

#endif
