/* SPDX-License-Identifier: Apache-2.0 */
#include "core/piece.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/error.h"

#define POPULATE_UP_TO ((uint64_t)64 << 20)

int piece_map(struct piece *piece, int fd, uint64_t bytes, bool writable, bool immutable)
{
	struct stat st;
	int seals = fcntl(fd, F_GET_SEALS);
	int need = F_SEAL_SHRINK | (immutable ? F_SEAL_WRITE : 0);
	if (seals < 0 || (seals & need) != need)
		return dsm__fail(-EBADMSG, "the engine sent memory that is not sealed; refused, "
			"because it could be cut off under this process");
	if (fstat(fd, &st) || bytes == 0 || (uint64_t)st.st_size < bytes)
		return dsm__fail(-EBADMSG, "the engine sent %lld bytes of memory where %llu were announced",
			(long long)st.st_size, (unsigned long long)bytes);
	int flags = MAP_SHARED | (bytes <= POPULATE_UP_TO ? MAP_POPULATE : 0);
	void *at = mmap(NULL, bytes, PROT_READ | (writable ? PROT_WRITE : 0), flags, fd, 0);
	if (at == MAP_FAILED)
		return dsm__fail(-errno, "cannot map %llu bytes of the engine's memory: %s",
			(unsigned long long)bytes, strerror(errno));
	if (writable) /* a forked child must not be a second writer */
		madvise(at, bytes, MADV_DONTFORK);
	*piece = (struct piece){ at, bytes, writable ? getpid() : 0 };
	return 0;
}

int piece_lock(const struct piece *piece)
{
	if (!piece->at || mlock(piece->at, piece->bytes) == 0)
		return 0;
	return dsm__fail(-errno, "cannot lock %llu bytes of the engine's memory: %s; raise LimitMEMLOCK or "
		"`ulimit -l`", (unsigned long long)piece->bytes, strerror(errno));
}

void piece_unmap(struct piece *piece)
{
	/* in a forked child it is not there, and the addresses may be somebody else's by now */
	if (piece->at && (!piece->kept_by || piece->kept_by == getpid()))
		munmap(piece->at, piece->bytes);
	*piece = (struct piece){ 0 };
}
