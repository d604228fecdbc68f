/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Verb doctor: is this machine ready for RDMA (check_machine()), and, with the URI of an engine, is
 * that reachable, alive, of the same version and on the same time? Each line says how to mend
 * what is not.
 */
#include "cli.h"
#include "findings.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NS_PER_MS 1000000
#define NS_PER_S 1000000000
/* Longest that is waited for a commit, to compare clocks by its stamp. */
#define CLOCK_WAIT_MS 1000
/* Stamps further apart than this are worth a word. */
#define CLOCK_GOOD_NS (100ll * NS_PER_MS)
#define CALL_TIMEOUT_MS 2000
/* Larger groups are not read for their stamp. */
#define PAYLOAD_SEEN 65536

#ifdef _WIN32
#define LACKS_TRANSPORT "from Windows an engine is reached by udp://HOST"
#else
#define LACKS_TRANSPORT "this build of dsm lacks that transport: build it where libibverbs-dev and librdmacm-dev are"
#endif

/* ---- engine ---- */

static const char *fix_for(int error)
{
	switch (error) {
	case -ENOENT:
	case -ECONNREFUSED:
		return "start it: dsmd TABLE.yaml; for another machine: is the address right, and does dsmd "
			"serve it there (--rdma ADDRESS, --udp ADDRESS)?";
	case -ETIMEDOUT:
	case -EHOSTUNREACH:
	case -ENETUNREACH:
		return "ping the machine; if that works: dsm doctor there, for its packet filter";
	case -EPROTONOSUPPORT:
		return "install the same version of dsm on both sides";
	case -ENOTSUP:
		return LACKS_TRANSPORT;
	case -EACCES:
	case -EPERM:
		return "ask who runs the engine for the right to read";
	default:
		return "";
	}
}

/* False if there is no engine to ask more of. */
static bool check_reach(struct cli *cli, struct findings *findings)
{
	struct dsm_options options = DSM_OPTIONS_INIT;
	struct dsm_region_info info;
	uint64_t began = now_ns();

	options.program = "dsm doctor";
	options.flags = DSM_NO_REATTACH;
	options.attach_timeout_ms = (uint32_t)cli_remaining_ms(cli, CALL_TIMEOUT_MS);
	if (options.attach_timeout_ms == 0)
		options.attach_timeout_ms = 1;
	int error = dsm_attach(cli->set.uri, &options, &cli->dsm);
	if (!error)
		error = dsm_region_info(cli->dsm, &info);
	if (error) {
		const char *text = dsm_error();
		struct finding *finding = finding_add(findings, CHECK_FAIL, "engine", "%s",
			*text ? text : dsm_strerror(error));
		finding_fix(finding, "%s", fix_for(error));
		return false;
	}
	finding_add(findings, CHECK_OK, "engine", "%s answers as %s, by %s, in %.1f ms", info.name,
		info.uri, info.transport, (double)(now_ns() - began) / NS_PER_MS);
	return true;
}

static void check_versions(struct findings *findings, const struct dsm_region_info *info)
{
	finding_add(findings, CHECK_OK, "versions", "dsm %s, control messages %d, layout %u on both sides",
		DSM_VERSION, DSM_CONTROL_VERSION, info->layout_version);
}

/* An engine that is stopped may still be read: only a beat that moves proves it alive. */
static void check_heartbeat(struct cli *cli, struct findings *findings,
	const struct dsm_region_info *info)
{
	struct dsm_region_info now = *info;
	uint64_t began = now_ns(), waited_ms = 0, limit_ms = info->lease_ms + info->tick_ms;

	while (now.heartbeat == info->heartbeat && waited_ms < limit_ms && !cli_ended(cli) &&
	       cli_remaining_ms(cli, 1) > 0) {
		cli_sleep_until(cli, now_ns() + 5 * NS_PER_MS);
		if (dsm_region_info(cli->dsm, &now) != 0)
			break;
		waited_ms = (now_ns() - began) / NS_PER_MS;
	}
	if (now.heartbeat != info->heartbeat) {
		finding_add(findings, CHECK_OK, "heartbeat", "beats every %u ms, last %" PRIu64 " ms ago (lease %u ms)",
			info->tick_ms, now.heartbeat_age_ms, info->lease_ms);
		return;
	}
	struct finding *finding = finding_add(findings, CHECK_FAIL, "heartbeat",
		"has stood still for %" PRIu64 " ms (lease %u ms): the engine is stopped or starved",
		waited_ms, info->lease_ms);
	finding_fix(finding, "on the engine's machine: ps -o stat,pcpu,cmd -p %u; kill -CONT %u if it is "
		"stopped (T)", info->engine_pid, info->engine_pid);
}

struct role {
	struct dsm_client_info self;
	bool found;
};

/* A network does not tell the engine who is who, so of those that might be this program the
 * youngest is taken. */
static int note_self(const struct dsm_client_info *info, void *context)
{
	struct role *role = context;
	bool mine = strcmp(info->program, "dsm doctor") == 0 &&
		(info->pid == (uint32_t)getpid() || strcmp(info->transport, "shm") != 0);

	if (mine && (!role->found || info->age_ms < role->self.age_ms)) {
		role->self = *info;
		role->found = true;
	}
	return 0;
}

static void check_role(struct cli *cli, struct findings *findings)
{
	struct role role = { .found = false };
	int error = dsm_foreach_client(cli->dsm, cli_remaining_ms(cli, CALL_TIMEOUT_MS), note_self,
		&role);

	if (role.found) {
		finding_add(findings, CHECK_OK, "role", "this user is a %s there (session %u, %s)",
			role.self.role[0] ? role.self.role : "reader", role.self.session,
			role.self.address[0] ? role.self.address : role.self.transport);
		return;
	}
	struct finding *finding = finding_add(findings, CHECK_WARN, "role", "the engine does not say: %s",
		error < 0 ? dsm_error() : "this program is not in its list of clients");
	finding_fix(finding, "dsm ps shows what it says of its clients");
}

/* Roles that nobody holds: their groups are stale. */
static void check_owners(struct cli *cli, struct findings *findings)
{
	struct dsm_owner_info owner;
	unsigned alive = 0, all = 0;
	char absent[128] = "";
	size_t len = 0;

	for (uint32_t i = 0; dsm_owner_info(cli->dsm, i, &owner) == 0; i++) {
		all++;
		if (owner.state == DSM_ALIVE) {
			alive++;
			continue;
		}
		int more = snprintf(absent + len, sizeof absent - len, "%s%s (%s)", len ? ", " : "",
			owner.name, dsm_owner_state_name(owner.state));
		len += more > 0 && (size_t)more < sizeof absent - len ? (size_t)more : 0;
	}
	if (alive == all) {
		finding_add(findings, CHECK_OK, "owners", "all %u are alive", all);
		return;
	}
	absent[len] = '\0';
	struct finding *finding = finding_add(findings, CHECK_WARN, "owners",
		"%u of %u are alive; values are stale of %s", alive, all, absent);
	finding_fix(finding, "start the programs that own them");
}

/* ---- clock ---- */

struct newest {
	struct cli *cli;
	uint64_t until_ns;
	struct dsm_group group;
	int64_t time_ns;
	uint64_t seq;
};

static int note_newest(const struct dsm_group_info *info, void *context)
{
	struct newest *newest = context;
	struct dsm_frame_info frame_info;
	struct dsm_frame *frame = NULL;

	if (info->payload_bytes <= PAYLOAD_SEEN &&
	    dsm_frame_new(newest->cli->dsm, info->group, &frame) == 0 &&
	    dsm_snapshot(newest->cli->dsm, info->group, frame) == 0 &&
	    dsm_frame_info(frame, &frame_info) == 0 && frame_info.time_ns > newest->time_ns) {
		newest->time_ns = frame_info.time_ns;
		newest->group = info->group;
		newest->seq = frame_info.seq;
	}
	dsm_frame_free(&frame);
	return cli_ended(newest->cli) || now_ns() > newest->until_ns;
}

/* Waits for a commit of the group that was committed last; *apart is its stamp less this
 * machine's clock as it came. */
static int measure_clock(struct cli *cli, int64_t *apart)
{
	struct newest newest = { .cli = cli };
	struct dsm_frame_info info;
	struct dsm_frame *frame = NULL;

	newest.until_ns = now_ns() + (uint64_t)cli_remaining_ms(cli, CLOCK_WAIT_MS) * NS_PER_MS;
	dsm_foreach_group(cli->dsm, NULL, note_newest, &newest);
	if (newest.time_ns == 0)
		return -ENODATA;
	int error = dsm_frame_new(cli->dsm, newest.group, &frame);
	if (!error)
		error = dsm_wait(cli->dsm, newest.group, newest.seq,
			cli_remaining_ms(cli, CLOCK_WAIT_MS), frame);
	int64_t now = wall_ns();
	if (!error)
		error = dsm_frame_info(frame, &info);
	if (!error)
		*apart = info.time_ns - now;
	dsm_frame_free(&frame);
	return error;
}

/* By the stamp of a fresh commit: the library does not tell the engine's clock. */
static void check_clock(struct cli *cli, struct findings *findings,
	const struct dsm_region_info *info)
{
	int64_t apart = 0;

	if (strcmp(info->transport, "shm") == 0) {
		finding_add(findings, CHECK_OK, "clock", "the engine is on this machine: one clock");
		return;
	}
	int error = measure_clock(cli, &apart);
	if (error) {
		/* an engine may be an hour off all the same: that is not well */
		struct finding *unknown = finding_add(findings, CHECK_WARN, "clock", "not compared: no commit "
			"within %d ms to compare by (%s)", CLOCK_WAIT_MS, dsm_strerror(error));
		finding_fix(unknown, "ask again while something is committed: on the engine's machine, dsm set "
			"CELL VALUE; or compare what `date +%%s.%%N` says on both");
		return;
	}
	if (llabs(apart) <= CLOCK_GOOD_NS) {
		finding_add(findings, CHECK_OK, "clock", "a fresh commit came %.1f ms after its stamp by this "
			"clock", (double)-apart / NS_PER_MS);
		return;
	}
	struct finding *finding = finding_add(findings, CHECK_WARN, "clock",
		"a fresh commit is stamped %.3f s %s this machine's clock", (double)llabs(apart) / NS_PER_S,
		apart > 0 ? "ahead of" : "behind");
	finding_fix(finding, "apt-get install chrony on both machines (Windows: w32tm /resync); ages of values "
		"are shown wrong until then");
}

static void check_engine(struct cli *cli, struct findings *findings)
{
	struct dsm_region_info info;

	if (!check_reach(cli, findings) || dsm_region_info(cli->dsm, &info) != 0)
		return;
	check_versions(findings, &info);
	check_heartbeat(cli, findings, &info);
	check_role(cli, findings);
	check_owners(cli, findings);
	check_clock(cli, findings, &info);
}

/* An engine reached without RDMA needs none. */
static void forgive(struct findings *findings, size_t n, const char *transport)
{
	for (size_t i = 0; i < n; i++) {
		struct finding *finding = &findings->list[i];
		size_t len = strlen(finding->found);
		if (finding->verdict != CHECK_FAIL)
			continue;
		finding->verdict = CHECK_WARN;
		snprintf(finding->found + len, sizeof finding->found - len, " (%s:// needs none)", transport);
	}
}

/* The transport that the engine is, or is to be, reached by; NULL not known, rdma then matters. */
static const char *transport_of(const struct cli *cli)
{
	struct dsm_region_info info;

	if (cli->dsm && dsm_region_info(cli->dsm, &info) == 0)
		return strcmp(info.transport, "rdma") == 0 ? NULL : info.transport;
	if (!cli->set.uri)
		return NULL;
	if (strncmp(cli->set.uri, "shm://", 6) == 0)
		return "shm";
	return strncmp(cli->set.uri, "udp://", 6) == 0 ? "udp" : NULL;
}

enum status verb_doctor(struct cli *cli)
{
	struct findings findings = { .n = 0 };
	enum status status = cli_output(cli);

	if (status)
		return status;
	if (cli->n_args > 0)
		cli->set.uri = cli->args[0];
	check_machine(&findings);
	size_t machine = findings.n;
	if (cli->set.uri)
		check_engine(cli, &findings);
	const char *transport = transport_of(cli);
	if (transport)
		forgive(&findings, machine, transport);
	findings_print(cli->out, &findings);
	return findings_worst(&findings) == CHECK_FAIL ? STATUS_REFUSED : STATUS_OK;
}
