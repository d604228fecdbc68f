/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a client over RDMA can do to an engine and to other clients: read what it was shown, and
 * nothing else. Engine, an honest reader and the hostile client are one process here; between them
 * is the device. Usage: hostile ADDRESS, on a machine with an RDMA device (script/guest).
 */
#include "hostile.h"
#include "engine/engine.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OWNERS 4
#define CALM_US 1500000 /* before the first attack */

const char *host;
struct dsm_engine *engine;
struct raw raw, other;
static struct dsm *honest, *writer;
static struct dsm_cell cells[3], own;
static unsigned passed, failed;
static const char *const roles[] = { "read", "owner:far", "owner:rival", "owner:near", "owner:engine" };
static struct raw_key own_keys[sizeof(roles) / sizeof(roles[0])];
static char key_path[64], lines[sizeof(roles) / sizeof(roles[0])][128];

bool check(bool good, const char *format, ...)
{
	if (good) {
		passed++;
		return true;
	}
	va_list args;
	va_start(args, format);
	printf("FAILED: ");
	vprintf(format, args);
	va_end(args);
	printf("\n");
	fflush(stdout);
	failed++;
	return false;
}

/* ---- the engine and the honest ---- */

/* What the engine has said, the last lines of it; it comes from the engine's thread. */
static char said[256][200];
static unsigned said_count;
static pthread_mutex_t said_lock = PTHREAD_MUTEX_INITIALIZER;

static void take_line(const char *text, void *context)
{
	(void)context;
	printf("engine: %s\n", text);
	pthread_mutex_lock(&said_lock);
	snprintf(said[said_count++ % 256], sizeof(said[0]), "%s", text);
	pthread_mutex_unlock(&said_lock);
}

static bool has_said(const char *part)
{
	bool there = false;
	pthread_mutex_lock(&said_lock);
	for (unsigned i = 0; i < 256; i++)
		there |= strstr(said[i], part) != NULL;
	pthread_mutex_unlock(&said_lock);
	return there;
}

bool logs(const char *part)
{
	for (uint64_t end = now_ms() + 5000; now_ms() < end; usleep(20000))
		if (has_said(part))
			return true;
	return false;
}

static int make_table(struct dsm_table **out)
{
	static const struct dsm_owner_spec owners[] = { { "far", true, "" }, { "near", false, "*" },
		{ "rival", true, "" } };
	static const char *const names[] = { "engine", "far", "near", "rival" };
	int rc = dsm_table_new("hostile", out);
	for (unsigned i = 0; rc == 0 && i < OWNERS - 1; i++)
		rc = dsm_table_owner(*out, &owners[i]);
	for (unsigned i = 0; rc == 0 && i < OWNERS; i++) {
		char group[16];
		snprintf(group, sizeof(group), "g%s", names[i]);
		struct dsm_group_spec g = { names[i], group, "", 0, 0, false };
		struct dsm_cell_spec c = { .group = group, .name = "v", .type = DSM_U64, .precision = -1 };
		rc = dsm_table_group(*out, &g);
		if (rc == 0)
			rc = dsm_table_cell(*out, &c);
	}
	return rc;
}

bool write_keys(const char *without)
{
	int fd = open(key_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	for (size_t i = 0; fd >= 0 && i < sizeof(roles) / sizeof(roles[0]); i++)
		if (strcmp(roles[i], without))
			dprintf(fd, "%s\n", lines[i]);
	return fd >= 0 && close(fd) == 0;
}

/* The engine has them of a file, the honest of the environment. */
static bool make_keys(void)
{
	char text[DSM_KEY_TEXT];
	snprintf(key_path, sizeof(key_path), "/tmp/hostile-%d.keys", (int)getpid());
	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++) {
		struct raw_key *k = &own_keys[i];
		if (dsm_key_new(KEY_BYTES, text, sizeof(text)) || key_parse(text, strlen(text), KEY_BYTES, k->psk) ||
		    key_id(k->psk, KEY_BYTES, k->id))
			return false;
		snprintf(lines[i], sizeof(lines[i]), "%s label-%zu %s", roles[i], i, text);
	}
	return write_keys("") && setenv("DSM_KEYS", lines[0], 1) == 0;
}

const struct raw_key *key_for(const char *owner)
{
	size_t i = 0;
	for (size_t k = 1; k < sizeof(roles) / sizeof(roles[0]); k++)
		i = strcmp(roles[k] + 6, owner) == 0 ? k : i;
	return &own_keys[i];
}

static bool begin(void)
{
	struct dsm_engine_options o = DSM_ENGINE_OPTIONS_INIT;
	struct dsm_options own_groups = DSM_OPTIONS_INIT;
	struct dsm_table *table = NULL;
	char address[32], uri[128];
	snprintf(address, sizeof(address), "*:%d", HOSTILE_PORT);
	snprintf(uri, sizeof(uri), "rdma://%s:%d", host, HOSTILE_PORT);
	o.rdma = address;
	o.log = take_line;
	o.max_clients = HOSTILE_CLIENTS;
	o.lease_ms = 5000; /* by hand nobody beats */
	o.keys = key_path;
	own_groups.owner = "engine";
	int rc = make_keys() ? make_table(&table) : -EIO;
	if (rc == 0)
		rc = dsm_engine_open(table, &o, &engine);
	dsm_table_free(&table);
	if (rc == 0)
		rc = dsm_engine_attach(engine, &own_groups, &writer);
	if (rc == 0)
		rc = dsm_cell(writer, "gengine.v", &own);
	struct dsm_options patient = DSM_OPTIONS_INIT;
	patient.attach_timeout_ms = patient.call_timeout_ms = 30000; /* an emulated machine among others */
	if (rc == 0)
		rc = dsm_attach(uri, &patient, &honest);
	static const char *const names[] = { "gengine.v", "gfar.v", "gnear.v" };
	for (unsigned i = 0; rc == 0 && i < 3; i++)
		rc = dsm_cell(honest, names[i], &cells[i]);
	return check(rc == 0, "no engine: %s", dsm_error()) && watch_begin(uri);
}

struct wanted { const char *name; uint64_t value; };

static int take_counter(const char *name, const char *what, uint64_t value, void *context)
{
	struct wanted *w = context;
	(void)what;
	if (strcmp(name, w->name) == 0)
		w->value = value;
	return 0;
}

uint64_t counter(const char *name)
{
	struct wanted w = { name, UINT64_MAX };
	dsm_foreach_counter(writer, take_counter, &w);
	return w.value;
}

uint64_t engine_ticks(void)
{
	return atomic_load(&engine->region->header->heartbeat);
}

bool counts(const char *name, uint64_t more_than)
{
	for (uint64_t end = now_ms() + 5000; now_ms() < end; usleep(20000))
		if (counter(name) > more_than)
			return true;
	return false;
}

void all_is_well(const char *after)
{
	static uint64_t n;
	struct dsm_sample s = { 0 };
	n++;
	struct dsm_value v = { .type = DSM_U64, .len = 1, .u64 = n };
	atomic_store(&written, n);
	int rc = dsm_write(writer, own, &v);
	for (int i = 0; rc == 0 && i < 200 && (rc = dsm_read(honest, cells[0], &s)) == 0; i++) {
		if (s.value.u64 == n)
			break;
		usleep(1000);
	}
	check(rc == 0 && s.value.u64 == n, "after %s the honest reader has %llu instead of %llu (%d: %s)",
		after, (unsigned long long)s.value.u64, (unsigned long long)n, rc, rc ? dsm_error() : "");
}

bool greet(struct raw *r, const char *owner, uint32_t flags)
{
	int rc = raw_connect(r, key_for(owner));
	if (rc == 0)
		rc = raw_hello(r, owner, flags);
	if (rc == 0)
		rc = raw_map(r, 0, 3);
	return check(rc == 0, "cannot attach by hand as \"%s\": %d %s %s", owner, rc, dsm_error(),
		r->welcome.text);
}

bool greet_and_join(struct raw *r, const char *owner, uint32_t flags, enum verbs_kind kind)
{
	if (!greet(r, owner, flags))
		return false;
	int rc = raw_join(r, kind, r->welcome.session, r->keys.token);
	return check(rc == 0, "cannot connect a pair of kind %d: %d %s", kind, rc, dsm_error());
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "Usage: hostile ADDRESS\n");
		return 2;
	}
	host = argv[1];
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (begin()) {
		all_is_well("the start");
		usleep(CALM_US);
		watch_attacks();
		keys_attacks();
		fake_engines();
		reach_attacks();
		crowd_attacks();
		flood_attacks();
		watch_end();
		check(counter("network_errors") == 0, "the engine met %llu errors of the device",
			(unsigned long long)counter("network_errors"));
	}
	dsm_detach(&honest);
	dsm_detach(&writer);
	check(dsm_engine_close(&engine) == 0, "%s", dsm_error());
	unlink(key_path);
	printf("%u passed, %u failed\n", passed, failed);
	return failed != 0;
}
