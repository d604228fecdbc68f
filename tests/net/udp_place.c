/* SPDX-License-Identifier: Apache-2.0 */
/* Processes, and network namespaces that the test makes: of each process its own, joined by two veth
 * pairs with the relay between them. They go with their processes; the host's network is not touched. */
#include "net/udp_rig.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define PLAIN_SHARED
#include "../stress/plain.h"

#define ENGINE_SIDE "10.77.2.2", "10.77.2.1"
#define CLIENT_SIDE "10.77.1.2", "10.77.1.1"
#define PORT "7461"

static bool get_line(int fd, char *line, size_t room)
{
	size_t n = 0;
	while (n + 1 < room && read(fd, line + n, 1) == 1 && line[n] != '\n')
		n++;
	line[n] = 0;
	return n > 0;
}

/* A command in this process's namespace. */
static bool command(const char *format, ...) __attribute__((format(printf, 1, 2)));
static bool command(const char *format, ...)
{
	char text[300];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	return system(text) == 0;
}

static bool set_up_end(const char *own, const char *relay)
{
	return command("ip link set lo up && ip addr add %s/24 dev eth0 && ip link set eth0 up && "
		"ip route add default via %s", own, relay);
}

/* ---- the engine's process ---- */

/* One that is free just now. */
static unsigned free_port(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(at);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) || getsockname(fd, (struct sockaddr *)&at, &size))
		at.sin_port = htons(7461);
	close(fd);
	return ntohs(at.sin_port);
}

static void engine_process(bool namespaces, int in, int out)
{
	char byte, address[40] = "10.77.2.2:" PORT;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (namespaces) {
		bool good = unshare(CLONE_NEWNET) == 0;
		dprintf(out, "%s\n", good ? "apart" : strerror(errno));
		/* until the relay's side is there */
		if (!good || read(in, &byte, 1) != 1 || !set_up_end(ENGINE_SIDE))
			_exit(1);
	}
	fcntl(in, F_SETFL, O_NONBLOCK); /* then read() says 0 only at its end */
	if (!namespaces)
		snprintf(address, sizeof(address), "127.0.0.1:%u", free_port());
	udp_engine_run(address, in, out);
}

static bool engine_start(struct udp_place *place, bool namespaces, int *out)
{
	int in[2], said[2];
	if (pipe2(in, O_CLOEXEC) || pipe2(said, O_CLOEXEC))
		return false;
	fflush(stdout);
	place->engine = fork();
	if (place->engine == 0) {
		close(in[1]);
		close(said[0]);
		engine_process(namespaces, in[0], said[1]);
	}
	close(in[0]);
	close(said[1]);
	place->engine_in = in[1];
	*out = said[0];
	return place->engine > 0;
}

/* ---- the relay between two namespaces ---- */

static void relay_process(const char *program, const char *pcap, pid_t engine, pid_t client, int in, int out)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (unshare(CLONE_NEWNET) ||
	    !command("ip link set lo up && ip link add e0 type veth peer name eth0 netns %d && "
			"ip link add c0 type veth peer name eth0 netns %d && ip addr add 10.77.2.1/24 dev e0 && "
			"ip addr add 10.77.1.1/24 dev c0 && ip link set e0 up && ip link set c0 up && "
			"echo 1 >/proc/sys/net/ipv4/ip_forward", (int)engine, (int)client))
		_exit(126);
	dup2(in, STDIN_FILENO);
	dup2(out, STDOUT_FILENO);
	execl(program, "relay", "--control", "--listen", "10.77.1.1:" PORT, "--to", "10.77.2.2:" PORT,
		pcap ? "--pcap" : NULL, pcap, NULL);
	_exit(127);
}

static bool relay_between(struct udp_place *place, const char *pcap)
{
	int in[2], out[2];
	pid_t client = getpid();
	if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC))
		return false;
	fflush(stdout);
	place->relays.pid = fork();
	if (place->relays.pid == 0)
		relay_process(place->relays.program, pcap, place->engine, client, in[0], out[1]);
	close(in[0]);
	close(out[1]);
	return place->relays.pid > 0 && relays_meet(&place->relays, in[1], out[0]);
}

/* ---- both ways ---- */

static bool open_apart(struct udp_place *place, const char *pcap, int engine_out, char why[200])
{
	char line[100];
	if (!get_line(engine_out, line, sizeof(line)) || strcmp(line, "apart") != 0) {
		snprintf(why, 200, "network namespaces: %s", line);
		return false;
	}
	if (unshare(CLONE_NEWNET) || !relay_between(place, pcap) || !set_up_end(CLIENT_SIDE)) {
		snprintf(why, 200, "network namespaces: they cannot be joined by veth (is iproute2 there?)");
		return false;
	}
	if (write(place->engine_in, "g", 1) != 1 || !get_line(engine_out, line, sizeof(line))) {
		check(false, "the engine does not start in its namespace");
		return true;
	}
	/* the straight way: routed by the relay's namespace, past the relay */
	snprintf(place->direct, sizeof(place->direct), "udp://10.77.2.2:" PORT);
	snprintf(place->through, sizeof(place->through), "udp://%s", place->relays.address);
	return true;
}

bool udp_place_open(struct udp_place *place, const char *relay, const char *pcap, bool namespaces, char why[200])
{
	char line[100];
	int out = -1;
	memset(place, 0, sizeof(*place));
	place->relays.program = relay;
	if (!check(engine_start(place, namespaces, &out), "no process for the engine"))
		return true;
	bool possible = true;
	if (namespaces) {
		possible = open_apart(place, pcap, out, why);
	} else if (check(get_line(out, line, sizeof(line)), "the engine does not start") &&
		   relays_start(&place->relays, "127.0.0.1:0", line, pcap)) {
		snprintf(place->direct, sizeof(place->direct), "udp://%s", line);
		snprintf(place->through, sizeof(place->through), "udp://%s", place->relays.address);
	}
	close(out);
	return possible;
}

void udp_place_close(struct udp_place *place)
{
	int status = -1;
	if (place->through[0])
		relays_stop(&place->relays);
	close(place->engine_in);
	if (!place->through[0])
		kill(place->engine, SIGKILL);
	check(waitpid(place->engine, &status, 0) == place->engine && (status == 0 || !place->through[0]),
		"the engine's process ended with status %d", status);
}

long udp_place_resident(const struct udp_place *place)
{
	char path[64], line[200];
	long kib = -1;
	snprintf(path, sizeof(path), "/proc/%d/status", (int)place->engine);
	FILE *file = fopen(path, "re");
	while (file && kib < 0 && fgets(line, sizeof(line), file))
		if (sscanf(line, "VmRSS: %ld", &kib) != 1)
			kib = -1;
	if (file)
		fclose(file);
	return kib;
}
