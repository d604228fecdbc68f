/* SPDX-License-Identifier: Apache-2.0 */
/* A piece of the region as a memfd: made and sealed by the engine, mapped by clients. */
#ifndef DSM_LIB_CORE_PIECE_H
#define DSM_LIB_CORE_PIECE_H

#include <stdbool.h>
#include <stdint.h>

struct piece {
	void *at;
	uint64_t bytes;
	int kept_by; /* process that a MADV_DONTFORK mapping belongs to; 0 = children have it too */
};

/* Maps a descriptor that somebody else sent: it must be at least `bytes` long and sealed
 * against shrinking (else its sender could make us die by SIGBUS), and with `immutable` against
 * writing. Does not take the descriptor. -EBADMSG, -ENOMEM. */
int piece_map(struct piece *piece, int fd, uint64_t bytes, bool writable, bool immutable);
/* Its pages stay in memory until it is unmapped. An empty piece: nothing. -ENOMEM, -EPERM. */
int piece_lock(const struct piece *piece);
void piece_unmap(struct piece *piece);

#endif
