/* SPDX-License-Identifier: Apache-2.0 */
#include "rows.h"

#include <stdlib.h>

#include "common/packets.h"

#define FAULTS "tear=0.3,drop=0.2,seed=7"
#define ROWS_MAX 8u

static const struct row shm_rows[] = {
	{ "shm", "here", "" },
	{ "shm", "here", FAULTS },
	{ "shm", "process", "" },
};

static const struct row udp_rows[] = {
	{ "udp", "process", "" },
	{ "udp", "process", FAULTS },
};

static bool wanted(const char *scheme)
{
	const char *only = getenv("DSM_TEST_ROWS");
	return !only || strcmp(only, scheme) == 0;
}

/* DSM_TEST_RDMA=HOST adds rows over a network to an engine there (engine_host must run on it);
 * "self": another process of this machine. DSM_TEST_ROWS=SCHEME leaves the others out, for a
 * machine on which time is dear. */
struct row *row_list(size_t *count)
{
	static struct row rows[ROWS_MAX];
	const char *host = getenv("DSM_TEST_RDMA");
	size_t n = 0;
	for (size_t i = 0; i < sizeof(shm_rows) / sizeof(shm_rows[0]) && wanted("shm"); i++)
		rows[n++] = shm_rows[i];
	for (size_t i = 0; i < 2 && host && *host && wanted("rdma"); i++) {
		struct row *row = &rows[n++];
		strcpy(row->scheme, "rdma");
		snprintf(row->where, sizeof(row->where), "%s", strcmp(host, "self") ? host : "process");
		strcpy(row->fault, i ? FAULTS : "");
	}
	for (size_t i = 0; i < sizeof(udp_rows) / sizeof(udp_rows[0]) && wanted("udp"); i++)
		rows[n++] = udp_rows[i];
	*count = n;
	return rows;
}

bool rig_is_rdma(const struct rig *rig)
{
	return strcmp(rig->row.scheme, "rdma") == 0;
}

bool rig_is_udp(const struct rig *rig)
{
	return strcmp(rig->row.scheme, "udp") == 0;
}

bool rig_is_network(const struct rig *rig)
{
	return rig_is_rdma(rig) || rig_is_udp(rig);
}

unsigned rig_serve(const struct rig *rig)
{
	return rig_is_rdma(rig) ? PLACE_RDMA : rig_is_udp(rig) ? PLACE_UDP : PLACE_SHM;
}

/* An address of the machine itself is the one that its device has. */
void rig_uri(const struct rig *rig, const char *name, unsigned port, char uri[128])
{
	char own[64];
	const char *host = rig->row.where;
	if (rig_is_udp(rig)) {
		snprintf(uri, 128, "udp://127.0.0.1:%u", port);
		return;
	}
	if (!rig_is_rdma(rig)) {
		fixture_uri(rig->row.scheme, name, uri);
		return;
	}
	const char *address = getenv("DSM_TEST_RDMA_ADDRESS"); /* another one of the same machine */
	if (strcmp(host, "process") == 0 && address && *address) {
		host = address;
	} else if (strcmp(host, "process") == 0) {
		ok(device_address(own));
		host = own;
	}
	snprintf(uri, 128, strchr(host, ':') ? "rdma://[%s]:%u" : "rdma://%s:%u", host, port);
}

void rig_up(struct rig *rig, const struct row *row)
{
	memset(rig, 0, sizeof(*rig));
	rig->row = *row;
	bool elsewhere = strcmp(row->where, "here") != 0;
	ok(place_reach(&rig->place, row->where));
	ok(place_open(&rig->place, elsewhere ? FIXTURE_NETWORK : 0, rig_serve(rig)));
	rig_uri(rig, rig->place.name, rig->place.port, rig->uri);
	rig->packets = packets_sent();
}

void rig_down(struct rig *rig)
{
	ok(place_close(&rig->place));
	cr_assert_null(rig->place.engine);
	place_leave(&rig->place);
	if (rig_is_rdma(rig))
		cr_assert_gt(packets_sent(), rig->packets, "rdma:// and the device has sent nothing");
}

void rig_elsewhere(struct rig *rig)
{
	struct row row = rig->row;
	if (strcmp(row.where, "here"))
		return;
	rig_down(rig);
	strcpy(row.where, "process");
	rig_up(rig, &row);
}

struct dsm *rig_attach(struct rig *rig, const char *owner, uint32_t flags)
{
	struct dsm *dsm = NULL;
	struct dsm_region_info info;
	struct dsm_options opts = DSM_OPTIONS_INIT;
	opts.owner = owner;
	opts.flags = flags;
	opts.fault = rig->row.fault[0] ? rig->row.fault : NULL;
	opts.attach_timeout_ms = rig_is_network(rig) ? 30000 : 0;
	opts.call_timeout_ms = rig_is_network(rig) ? 20000 : 0;
	ok(dsm_attach(rig->uri, &opts, &dsm));
	ok(dsm_region_info(dsm, &info));
	cr_assert_str_eq(info.transport, rig->row.scheme);
	return dsm;
}

struct dsm_cell rig_cell(struct dsm *dsm, const char *name)
{
	struct dsm_cell cell = { 0 };
	ok(dsm_cell(dsm, name, &cell));
	return cell;
}

struct dsm_group rig_group(struct dsm *dsm, const char *name)
{
	struct dsm_group group = { 0 };
	ok(dsm_group(dsm, name, &group));
	return group;
}

void rig_write_f64(struct dsm *dsm, const char *name, double value)
{
	struct dsm_value v = { .type = DSM_F64, .len = 1, .f64 = value };
	ok(dsm_write(dsm, rig_cell(dsm, name), &v));
}

double rig_read_f64(struct dsm *dsm, const char *name)
{
	struct dsm_sample s;
	ok(dsm_read(dsm, rig_cell(dsm, name), &s));
	return s.value.f64;
}
