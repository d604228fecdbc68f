/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine from start to end. The signals that dsmd knows are blocked before the engine starts
 * its threads and are taken one by one by the main thread, so nothing runs in a handler.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "dsmd.h"

static void take_line(const char *text, void *context)
{
	(void)context;
	log_line("%s", text);
}

static void take_settings(const struct settings *s, struct dsm_engine_options *opts)
{
	static const struct dsm_engine_options defaults = DSM_ENGINE_OPTIONS_INIT;
	*opts = defaults;
	opts->name = s->name;
	opts->tick_ms = s->tick_ms;
	opts->lease_ms = s->lease_ms;
	opts->max_clients = s->max_clients;
	opts->readers = s->readers;
	opts->requesters = s->requesters;
	opts->state_file = s->state_file;
	opts->save_interval_ms = s->save_interval_ms;
	opts->restore = s->restore;
	opts->lock_memory = s->lock_memory;
	opts->rdma = s->rdma;
	opts->udp = s->udp;
	opts->auth_none = (s->udp || s->rdma) && s->auth_none;
	opts->adc = s->adc;
	opts->keys = s->keys;
	opts->log = take_line;
}

/* "auth none, rdma at ADDR, udp at ADDR" */
static const char *name_networks(const struct settings *s, char *text, size_t size)
{
	bool keys = s->auth_keys || ((s->udp || s->rdma) && !s->auth_none && (s->keys || getenv("DSM_KEYS")));
	snprintf(text, size, "auth %s%s%s%s%s", keys ? "keys" : "none", s->rdma ? ", rdma at " : "",
		s->rdma ? s->rdma : "", s->udp ? ", udp at " : "", s->udp ? s->udp : "");
	return text;
}

int serve_check(const struct settings *settings)
{
	struct dsm_table *table = NULL;
	struct dsm_table_info info;
	struct dsm_engine_options opts;
	take_settings(settings, &opts);
	if (dsm_table_load(settings->table, &table) || dsm_table_info(table, &info) ||
	    dsm_engine_check(table, &opts)) {
		fprintf(stderr, "dsmd: %s\n", dsm_error());
		dsm_table_free(&table);
		return STATUS_REFUSED;
	}
	char networks[600];
	int n = printf("%s: ok: region %s, %u owners, %u groups, %u cells, %llu bytes of memory%s%s\n",
		settings->table, info.region, info.owners, info.groups, info.cells,
		(unsigned long long)info.region_bytes, settings->rdma || settings->udp ? ", " : "",
		settings->rdma || settings->udp ? name_networks(settings, networks, sizeof(networks)) : "");
	dsm_table_free(&table);
	return n > 0 && fflush(stdout) == 0 ? STATUS_OK : STATUS_REFUSED;
}

/* What the engine has, as clients see it. */
static void describe(struct dsm_engine *engine, const struct settings *s, const char *first,
	char *line, size_t size)
{
	struct dsm_options opts = DSM_OPTIONS_INIT;
	struct dsm *dsm = NULL;
	struct dsm_region_info info;
	char networks[600];
	opts.flags = DSM_MANUAL;
	opts.program = "dsmd";
	snprintf(line, size, "%s", first);
	if (dsm_engine_attach(engine, &opts, &dsm) == 0 && dsm_region_info(dsm, &info) == 0)
		snprintf(line, size, "%s: %s: %u cells in %u groups of %u owners, %llu bytes, pid %d, "
			"%s", first, s->name ? s->name : info.name, info.cells, info.groups,
			info.owners, (unsigned long long)info.bytes, (int)getpid(),
			name_networks(s, networks, sizeof(networks)));
	dsm_detach(&dsm);
}

/* Two descriptors an owner and one a client: more than the usual soft limit allows. */
static void raise_descriptor_limit(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static int start(const struct settings *s, struct dsm_engine **engine)
{
	struct dsm_table *table = NULL;
	struct dsm_engine_options opts;
	int rc = dsm_table_load(s->table, &table);
	if (rc)
		return rc;
	take_settings(s, &opts);
	raise_descriptor_limit();
	rc = dsm_engine_open(table, &opts, engine);
	dsm_table_free(&table);
	return rc;
}

static void reload(struct dsm_engine *engine, const struct settings *s)
{
	struct dsm_table *table = NULL;
	struct timespec now;
	char line[1000];
	clock_gettime(CLOCK_MONOTONIC, &now);
	notify_manager("RELOADING=1\nMONOTONIC_USEC=%lld",
		(long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
	int rc = dsm_table_load(s->table, &table);
	if (rc == 0)
		rc = dsm_engine_reload(engine, table);
	dsm_table_free(&table);
	if (rc)
		log_line("reload refused, the old table goes on: %s", dsm_error());
	else
		describe(engine, s, "reloaded", line, sizeof(line));
	if (rc == 0)
		log_line("%s", line);
	notify_manager("READY=1");
}

static void reload_keys(struct dsm_engine *engine)
{
	if (dsm_engine_reload_keys(engine))
		log_line("keys not taken, the old ones go on: %s", dsm_error());
	else
		log_line("keys read again");
}

static void save(struct dsm_engine *engine, const struct settings *s)
{
	if (dsm_engine_save(engine))
		log_line("not saved: %s", dsm_error());
	else
		log_line("saved to %s", s->state_file);
}

/* Blocked and by default: a parent may have left some of them ignored. */
static void take_signals(sigset_t *set)
{
	static const int numbers[] = { SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2 };
	sigemptyset(set);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		sigaddset(set, numbers[i]);
		signal(numbers[i], SIG_DFL);
	}
	signal(SIGPIPE, SIG_IGN);
	sigprocmask(SIG_BLOCK, set, NULL);
}

static void run(struct dsm_engine *engine, const struct settings *s, const sigset_t *signals)
{
	for (;;) {
		int number = sigwaitinfo(signals, NULL);
		if (number == SIGHUP)
			reload(engine, s);
		else if (number == SIGUSR1)
			save(engine, s);
		else if (number == SIGUSR2)
			reload_keys(engine);
		else if (number == SIGTERM || number == SIGINT)
			return;
		else if (number < 0 && errno != EINTR)
			return;
	}
}

int serve(const struct settings *s)
{
	sigset_t signals;
	struct dsm_engine *engine = NULL;
	char line[1000];
	take_signals(&signals);
	if (start(s, &engine)) {
		log_line("%s", dsm_error());
		return STATUS_REFUSED;
	}
	describe(engine, s, "ready", line, sizeof(line));
	printf("dsmd: %s\n", line);
	fflush(stdout);
	notify_manager("READY=1\nSTATUS=%s", line);
	run(engine, s, &signals);
	notify_manager("STOPPING=1");
	if (dsm_engine_close(&engine)) {
		log_line("%s", dsm_error());
		return STATUS_REFUSED;
	}
	log_line("ended%s%s", s->state_file ? ", state saved to " : "",
		s->state_file ? s->state_file : "");
	return STATUS_OK;
}
