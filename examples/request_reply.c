/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Request and reply over cells. A server owns the cells; a client asks by dsm_request() on
 * "ask", which blocks until the server has answered; the reply then stands in "answer".
 * The server commits the reply before it answers, so who got 0 from dsm_request() reads it.
 * What it will not do (the root of a negative number) it refuses with an errno.
 * The server sleeps in poll() on dsm_fd(): DSM_MANUAL puts the handle into the program's loop.
 *
 * Run:  request_reply [REQUESTS [CLIENTS]]      (default: 500 requests each of 3 clients)
 */
#include <errno.h>
#include <math.h>
#include <poll.h>

#include "common.h"

static long requests, clients;

static struct dsm_cell client_cell(struct dsm *dsm, const char *group, int client)
{
	char name[32];
	snprintf(name, sizeof name, "%s.client%d", group, client);
	return find_cell(dsm, name);
}

/* Answer one request. */
static void serve(struct dsm *dsm, const struct dsm_request_info *request)
{
	struct dsm_cell_info info;
	int client;

	if (request->is_add || request->value.f64 < 0.0) {
		check(dsm_request_refuse(dsm, request, -ERANGE), "dsm_request_refuse");
		return;
	}
	check(dsm_cell_info(dsm, request->cell, &info), "dsm_cell_info");
	if (sscanf(info.name, "ask.client%d", &client) != 1) {
		check(dsm_request_refuse(dsm, request, -EPERM), "dsm_request_refuse");
		return;
	}
	check(dsm_begin(dsm, 0), "dsm_begin");
	check(dsm_set_f64(dsm, client_cell(dsm, "answer", client), sqrt(request->value.f64)), "answer");
	check(dsm_commit(dsm, NULL), "dsm_commit");
	check(dsm_request_apply(dsm, request), "dsm_request_apply");
}

static int server(const char *uri, int number)
{
	struct dsm *dsm = play_attach(uri, "server", DSM_TAKES_REQUESTS | DSM_MANUAL);
	struct dsm_region_info region;
	struct dsm_request_info request;
	struct dsm_event event;
	struct pollfd ready = { .fd = check(dsm_fd(dsm), "dsm_fd"), .events = POLLIN };

	check(dsm_region_info(dsm, &region), "dsm_region_info");
	uint64_t heard = monotonic_ns();
	for (long left = clients * (requests + 1); left > 0;) {
		poll(&ready, 1, (int)region.tick_ms);
		check(dsm_dispatch(dsm), "dsm_dispatch");
		while (dsm_next_event(dsm, &event) == 0)
			; /* a real server would look at them: superseded, lost, … */
		for (; dsm_next_request(dsm, &request) == 0; left--, heard = monotonic_ns())
			serve(dsm, &request);
		if (monotonic_ns() - heard > PATIENCE_MS * UINT64_C(2000000)) {
			fprintf(stderr, "the server hears nothing more, and %ld are to come\n", left);
			return 1;
		}
	}
	dsm_detach(&dsm);
	return number;
}

/* The server may attach a moment after its clients: nobody to ask is no reason to give up. */
static int ask(struct dsm *dsm, struct dsm_cell cell, double question)
{
	const struct dsm_value value = { .type = DSM_F64, .len = 1, .f64 = question };
	int result;

	for (int tries = 0; tries < 100; tries++) {
		result = dsm_request(dsm, cell, &value, PATIENCE_MS);
		if (result != -EOWNERDEAD)
			break;
		usleep(20000);
	}
	return result;
}

static int client(const char *uri, int number)
{
	struct dsm *dsm = play_attach(uri, NULL, 0);
	struct dsm_cell question = client_cell(dsm, "ask", number);
	struct dsm_cell answer = client_cell(dsm, "answer", number);
	uint64_t start = monotonic_ns();
	double reply;

	for (long n = 1; n <= requests; n++) {
		check(ask(dsm, question, (double)n), "dsm_request");
		check(dsm_read_f64(dsm, answer, &reply), "dsm_read_f64");
		if (fabs(reply * reply - (double)n) > 1e-9 * (double)n) {
			fprintf(stderr, "the root of %ld is not %g\n", n, reply);
			return 1;
		}
	}
	double us = (double)(monotonic_ns() - start) / 1e3 / (double)requests;
	int refused = ask(dsm, question, -1.0);
	printf("client %d: %ld right answers, %.1f us each; the root of -1: %s\n", number, requests,
		us, dsm_strerror(refused));
	dsm_detach(&dsm);
	return refused != -ERANGE;
}

int main(int argc, char **argv)
{
	struct play play;
	struct dsm_table *table;
	char name[32];

	requests = argument(argc, argv, 1, 500, 1, 10000000);
	clients = argument(argc, argv, 2, 3, 1, PLAYERS_MAX - 1);
	play_new(&play, "request-reply");
	check(dsm_table_new("request_reply", &table), "dsm_table_new");
	add_owner(table, "server");
	add_group(table, "server", "ask", 4);
	add_group(table, "server", "answer", 4);
	play_cast(&play, server, 0);
	for (int i = 1; i <= clients; i++) {
		play_cast(&play, client, i);
		snprintf(name, sizeof name, "client%d", i);
		add_cell(table, "ask", name, DSM_F64, 1);
		add_cell(table, "answer", name, DSM_F64, 1);
	}
	play_open(&play, &table);
	play_start(&play);
	return play_end(&play) != 0;
}
