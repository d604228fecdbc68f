/* SPDX-License-Identifier: Apache-2.0 */
/* The hand-over through an array cell: loan, fill in place, publish; borrow, read in place, return. */
#include "peers/dsm_host.h"
#include "rows/handover.h"

#include "harness/clock.h"

#include <errno.h>
#include <stdlib.h>

struct own {
	struct dsm_host host;
	struct dsm *dsm;
	struct dsm_cell cell;
	uint64_t seen;
};

static int define(struct dsm_table *table, const void *arg)
{
	const struct handover *h = arg;
	int rc = dsm_host_owner(table, "producer");
	if (!rc)
		rc = dsm_table_group(table, &(struct dsm_group_spec){ .owner = "producer", .name = "block",
			.description = "", .slots = 2 }); /* as every array above 64 MiB */
	return rc ? rc : dsm_host_cell(table, "block", "data", DSM_BYTES, (uint32_t)h->bytes);
}

static int open_engine(struct handover *h)
{
	struct own *own = calloc(1, sizeof(*own));
	if (!own)
		return -ENOMEM;
	h->own = own;
	return dsm_host_start(&own->host, define, h, NULL);
}

static int join(struct handover *h)
{
	struct own *own = h->own;
	if (h->side == PEER_SERVER)
		own->host.child = (struct bench_child){ 0 }; /* the producer's process ends the engine */
	int rc = dsm_host_attach(own->host.name, h->side == PEER_CLIENT ? "producer" : NULL, &own->dsm);
	return rc ? rc : dsm_cell(own->dsm, "block.data", &own->cell);
}

static int begin(struct handover *h, uint64_t **memory)
{
	struct own *own = h->own;
	void *loan;
	uint64_t capacity;
	int rc = dsm_loan(own->dsm, own->cell, &loan, &capacity);
	if (!rc)
		*memory = loan;
	return rc;
}

static int give(struct handover *h)
{
	struct own *own = h->own;
	return dsm_publish(own->dsm, h->bytes, 0);
}

static int take(struct handover *h, const uint64_t **memory)
{
	struct own *own = h->own;
	struct dsm_sample sample = { 0 };
	const void *data;
	uint64_t bytes;
	for (;;) {
		int rc = dsm_borrow(own->dsm, own->cell, &data, &bytes, &sample);
		if (rc && rc != -ENODATA && rc != -EAGAIN)
			return rc;
		if (!rc && sample.seq != own->seen)
			break;
		if (!rc)
			dsm_return(own->dsm);
		if (handover_stopped(h))
			return -EINTR;
		bench_relax();
	}
	own->seen = sample.seq;
	*memory = data;
	return bytes == h->bytes ? 0 : -EBADMSG;
}

static int done(struct handover *h)
{
	struct own *own = h->own;
	return dsm_return(own->dsm);
}

static void close_handle(struct handover *h)
{
	struct own *own = h->own;
	if (!own)
		return;
	dsm_detach(&own->dsm);
	dsm_host_stop(&own->host);
	free(own);
	h->own = NULL;
}

const struct handover_ops handover_dsm = { .name = "dsm", .open = open_engine, .join = join,
	.begin = begin, .give = give, .take = take, .done = done, .close = close_handle };
