/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of this machine; see checks.h. Nothing here changes anything. */
#include "checks.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "firewall.h"
#include "tool.h"

/* Registered memory is locked. Less than the first is too little for any client; the second
 * is what the tables of most engines fit in. */
#define MEMLOCK_LEAST (1ull << 20)
#define MEMLOCK_GOOD (64ull << 20)
#define CAP_IPC_LOCK_BIT 14

/* ---- modules ---- */

static void check_rxe_module(struct findings *findings)
{
	const char *kernel = host_kernel();
	struct finding *finding;

	switch (host_module("rdma_rxe")) {
	case MODULE_LOADED:
		finding_add(findings, CHECK_OK, "module", "rdma_rxe (Soft-RoCE) is loaded");
		return;
	case MODULE_THERE:
		finding_add(findings, CHECK_OK, "module", "rdma_rxe (Soft-RoCE) can be loaded");
		return;
	case MODULE_NO_FOLDER:
		finding = finding_add(findings, CHECK_FAIL, "module", "rdma_rxe (Soft-RoCE) is not loaded, and "
			"/lib/modules/%s is missing", kernel);
		finding_fix(finding, "in a container: do this on the host; a distribution's kernel: install the "
			"package of its modules (Debian: linux-image-%s); one of your own: CONFIG_RDMA_RXE", kernel);
		return;
	case MODULE_MISSING:
		finding = finding_add(findings, CHECK_FAIL, "module", "kernel %s has no module rdma_rxe (Soft-RoCE)",
			kernel);
		if (strstr(kernel, "-cloud-"))
			finding_fix(finding, "Debian's cloud flavour leaves it out: apt-get install linux-image-%s, "
				"then boot that kernel", strrchr(kernel, '-') + 1);
		else
			finding_fix(finding, "Debian: apt-get install linux-image-amd64 (or -arm64), Ubuntu: "
				"linux-modules-extra-%s; a kernel of your own: CONFIG_RDMA_RXE=m", kernel);
	}
}

/* rxe asks the kernel's crypto for "crc32". Without it `rdma link add` answers "failed to add"
 * and nothing says why. Newer kernels compute it by themselves. */
static void check_crc32(struct findings *findings)
{
	int major = 0, minor = 0;
	char line[128];
	FILE *file = fopen("/proc/crypto", "re");

	while (file && fgets(line, sizeof line, file)) {
		if (strncmp(line, "name", 4) == 0 && strstr(line, ": crc32\n")) {
			fclose(file);
			finding_add(findings, CHECK_OK, "crc32", "the kernel's crypto has crc32, which Soft-RoCE needs");
			return;
		}
	}
	if (file)
		fclose(file);
	enum module_state state = host_module("crc32_generic");
	if (state == MODULE_LOADED || state == MODULE_THERE) {
		finding_add(findings, CHECK_OK, "crc32", "crc32_generic, which Soft-RoCE needs, can be loaded");
		return;
	}
	char *end;
	major = (int)strtol(host_kernel(), &end, 10);
	minor = *end == '.' ? (int)strtol(end + 1, NULL, 10) : 0;
	bool old = major < 6 || (major == 6 && minor < 14);
	struct finding *finding = finding_add(findings, old ? CHECK_FAIL : CHECK_WARN, "crc32",
		"kernel %s has no module crc32_generic; without it older kernels refuse a Soft-RoCE device "
		"with \"failed to add\" and no reason", host_kernel());
	finding_fix(finding, "boot a distribution's plain kernel, or build yours with CONFIG_CRYPTO_CRC32");
}

void check_modules(struct findings *findings, bool has_device)
{
	/* a NIC needs no Soft-RoCE, and a device that is there proves the rest */
	if (!has_device) {
		check_rxe_module(findings);
		if (host_module("rdma_rxe") <= MODULE_THERE)
			check_crc32(findings);
		return;
	}
	if (access("/dev/infiniband/rdma_cm", F_OK) == 0) {
		finding_add(findings, CHECK_OK, "rdma_cm", "connections can be made (/dev/infiniband/rdma_cm)");
		return;
	}
	struct finding *finding = finding_add(findings, CHECK_FAIL, "rdma_cm",
		"/dev/infiniband/rdma_cm is missing: no connections");
	if (host_module("rdma_ucm") <= MODULE_THERE)
		finding_fix(finding, "modprobe rdma_ucm (and the name in /etc/modules-load.d/ for the next boot)");
	else
		finding_fix(finding, "kernel %s has no module rdma_ucm; boot a distribution's plain kernel",
			host_kernel());
}

/* ---- a device ---- */

static void check_port(struct findings *findings, const struct rdma_device *device)
{
	struct finding *finding;

	if (strcmp(device->state, "ACTIVE") == 0) {
		finding_add(findings, CHECK_OK, "device", "%s (%s) on %s is active", device->name,
			device->driver[0] ? device->driver : "?", device->interface[0] ? device->interface : "-");
		return;
	}
	finding = finding_add(findings, CHECK_FAIL, "device", "%s on %s is %s", device->name,
		device->interface[0] ? device->interface : "no interface",
		device->state[0] ? device->state : "in an unknown state");
	if (device->interface[0])
		finding_fix(finding, "ip link set %s up, and look at the cable", device->interface);
	else
		finding_fix(finding, "look at the cable; InfiniBand needs a subnet manager (opensm)");
}

static void check_node(struct findings *findings, const struct rdma_device *device)
{
	char path[128];

	if (!device->node[0]) {
		struct finding *finding = finding_add(findings, CHECK_FAIL, "access",
			"%s has no node for programs", device->name);
		finding_fix(finding, "modprobe ib_uverbs");
		return;
	}
	snprintf(path, sizeof path, "/dev/infiniband/%s", device->node);
	if (access(path, R_OK | W_OK) == 0) {
		finding_add(findings, CHECK_OK, "access", "this user may use %s (%s)", device->name, path);
		return;
	}
	int error = errno;
	struct finding *finding = finding_add(findings, CHECK_FAIL, "access", "%s: %s", path,
		strerror(error));
	if (error == ENOENT)
		finding_fix(finding, "in a container: pass /dev/infiniband in; else start udev");
	else
		finding_fix(finding, "apt-get install rdma-core (its udev rules open the node), or chmod 666 %s",
			path);
}

static void check_mtu(struct findings *findings, const struct rdma_device *device)
{
	struct finding *finding;

	if (!device->rdma_mtu && strcmp(device->link, "Ethernet") != 0)
		return;
	if (device->rdma_mtu >= 4096) {
		finding_add(findings, CHECK_OK, "mtu", "%s: MTU %d, so RDMA packets carry %d bytes",
			device->interface, device->mtu, device->rdma_mtu);
		return;
	}
	finding = finding_add(findings, device->rdma_mtu < 1024 ? CHECK_WARN : CHECK_OK, "mtu",
		"%s: MTU %d, so RDMA packets carry %d bytes", device->interface, device->mtu,
		device->rdma_mtu);
	finding_fix(finding, "for 4096: ip link set %s mtu 4200, if every switch and the other side do as much",
		device->interface);
}

static void check_address(struct findings *findings, const struct rdma_device *device)
{
	struct finding *finding;

	if (!device->address[0]) {
		finding = finding_add(findings, CHECK_FAIL, "address",
			"%s has no address that others can connect to", device->name);
		finding_fix(finding, "ip addr add 192.168.77.1/24 dev %s (another number on each machine)",
			device->interface[0] ? device->interface : "IFACE");
		return;
	}
	bool old = strstr(device->gid_type, "v1") != NULL;
	finding = finding_add(findings, old ? CHECK_WARN : CHECK_OK, "address", "%s: %s, GID %d, %s",
		device->name, device->address, device->gid_index,
		device->gid_type[0] ? device->gid_type : device->link);
	if (old)
		finding_fix(finding, "RoCE v1 crosses no router; use a device or a setting with RoCE v2");
}

static void check_firewall(struct findings *findings, const struct rdma_device *device)
{
	struct firewall_answer answer;
	struct finding *finding;

	if (strcmp(device->link, "Ethernet") != 0)
		return;
	firewall_ask(device->interface, &answer);
	switch (answer.state) {
	case FIREWALL_OPEN:
		finding_add(findings, CHECK_OK, "firewall", "UDP port 4791 (RoCE v2) is let in on %s",
			device->interface);
		return;
	case FIREWALL_CLOSED:
		finding = finding_add(findings, CHECK_FAIL, "firewall",
			"UDP port 4791 (RoCE v2) is dropped on %s by %s", device->interface, answer.where);
		break;
	case FIREWALL_UNSURE:
		finding = finding_add(findings, CHECK_WARN, "firewall",
			"UDP port 4791 (RoCE v2) may be dropped on %s by %s", device->interface, answer.where);
		break;
	default:
		finding = finding_add(findings, CHECK_WARN, "firewall", "not known whether UDP port 4791 "
			"(RoCE v2) is let in: %s", answer.where);
		finding_fix(finding, "run this as root");
		return;
	}
	finding_fix(finding, "%s", answer.fix);
}

void check_device(struct findings *findings, const struct rdma_device *device)
{
	check_port(findings, device);
	check_node(findings, device);
	check_mtu(findings, device);
	check_address(findings, device);
	check_firewall(findings, device);
}

/* ---- memory ---- */

static bool may_lock_anything(void)
{
	char line[128];
	unsigned long long bits = 0;
	FILE *file = fopen("/proc/self/status", "re");

	while (file && fgets(line, sizeof line, file))
		if (strncmp(line, "CapEff:", 7) == 0)
			bits = strtoull(line + 7, NULL, 16);
	if (file)
		fclose(file);
	return bits >> CAP_IPC_LOCK_BIT & 1;
}

void check_memlock(struct findings *findings)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0)
		return;
	if (may_lock_anything()) {
		finding_add(findings, CHECK_OK, "memlock", "this user may lock any amount of memory");
		return;
	}
	if (limit.rlim_cur == RLIM_INFINITY) {
		finding_add(findings, CHECK_OK, "memlock", "locked memory is not limited");
		return;
	}
	enum verdict verdict = limit.rlim_cur < MEMLOCK_LEAST ? CHECK_FAIL :
		limit.rlim_cur < MEMLOCK_GOOD ? CHECK_WARN : CHECK_OK;
	struct finding *finding = finding_add(findings, verdict, "memlock",
		"%llu KiB of memory may be locked; RDMA locks what it registers: an engine its table, "
		"a client its buffers", (unsigned long long)limit.rlim_cur >> 10);
	if (verdict != CHECK_OK)
		finding_fix(finding, "echo '* - memlock unlimited' > /etc/security/limits.d/dsm.conf and log in "
			"anew; in a systemd unit: LimitMEMLOCK=infinity");
}

void check_machine(struct findings *findings)
{
	struct rdma_device devices[HOST_DEVICES];
	char interfaces[256];

	tool_path();
	size_t n = host_devices(devices, HOST_DEVICES);
	check_modules(findings, n > 0);
	if (n == 0) {
		struct finding *finding = finding_add(findings, CHECK_FAIL, "device", "no RDMA device");
		host_interfaces(interfaces, sizeof interfaces);
		if (interfaces[0])
			finding_fix(finding, "dsm rxe add IFACE makes one of an Ethernet interface (%s)", interfaces);
		else
			finding_fix(finding, "there is no Ethernet interface to make one of");
	}
	for (size_t i = 0; i < n; i++)
		check_device(findings, &devices[i]);
	check_memlock(findings);
}
