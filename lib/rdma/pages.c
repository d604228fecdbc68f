/* SPDX-License-Identifier: Apache-2.0 */
#include "rdma/pages.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/error.h"
#include "core/layout.h"

int pages_make(struct pages *pages, struct ibv_pd *pd, uint64_t bytes, unsigned access)
{
	struct pages fresh = { .bytes = round_up(bytes ? bytes : 1, DSM_PAGE), .kept_by = getpid() };
	fresh.at = mmap(NULL, fresh.bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (fresh.at == MAP_FAILED)
		return dsm__fail(-errno, "no memory for %llu bytes of buffers: %s",
			(unsigned long long)fresh.bytes, strerror(errno));
	madvise(fresh.at, fresh.bytes, MADV_DONTFORK);
	fresh.mr = ibv_reg_mr(pd, fresh.at, fresh.bytes, access);
	if (!fresh.mr) {
		int error = errno ? -errno : -ENOMEM;
		munmap(fresh.at, fresh.bytes);
		return dsm__fail(error, "the RDMA device does not take %llu bytes of buffers: %s; the limit "
			"of locked memory is too low? see `ulimit -l`, LimitMEMLOCK",
			(unsigned long long)fresh.bytes, strerror(-error));
	}
	*pages = fresh;
	return 0;
}

void pages_unregister(struct pages *pages)
{
	if (pages->mr && pages->kept_by == getpid())
		ibv_dereg_mr(pages->mr);
	pages->mr = NULL;
}

void pages_free(struct pages *pages)
{
	/* in a forked child they are not there, and the addresses may be somebody else's by now */
	if (pages->at && pages->kept_by == getpid()) {
		if (pages->mr)
			ibv_dereg_mr(pages->mr);
		munmap(pages->at, pages->bytes);
	}
	*pages = (struct pages){ 0 };
}
