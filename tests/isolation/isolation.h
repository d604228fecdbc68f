/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DSM_TESTS_ISOLATION_H
#define DSM_TESTS_ISOLATION_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define UID_ENGINE 61001
#define UID_CLIENT 61002
#define UID_OTHER 61003
#define PIECES_MAX 16u

struct board { _Atomic uint32_t passed, failed, up, stop, scribbling, honest_done; };
extern struct board *board;
extern char engine_name[40];

bool check(bool good, const char *what, ...) __attribute__((format(printf, 2, 3)));

/* ---- raw.c: a control-channel client without the library's manners ---- */
struct pieces {
	int fds[PIECES_MAX];        /* header, directory, waiters, own bank if any, then banks */
	unsigned count;
	int channel, status;        /* of WELCOME */
	uint32_t owner;
	uint64_t bytes[3];
};
enum { PIECE_HEADER, PIECE_DIRECTORY, PIECE_WAITERS };

/* HELLO with a role ("" = read only), then all banks. 0, or what WELCOME or errno says. */
int raw_attach(const char *owner, struct pieces *out);
void raw_close(struct pieces *pieces);
#define CLIENTS 24u /* places at the engine */
/* Takes places until none is given any more: how many. Sees what dsm_attach() says then, and gives
 * them back. */
unsigned raw_crowd(unsigned most);
/* Asks for banks and never takes one: how many times until it is cut off. */
unsigned raw_hoard(unsigned most);

/* Nothing makes this descriptor's memory change or shrink. */
void raw_attack_readonly(int fd, const char *what);
/* A descriptor that may be written: its size and seals stay as they are. */
void raw_attack_writable(int fd, const char *what);

#endif
