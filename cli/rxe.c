/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Verb rxe: Soft-RoCE on Ethernet interfaces. Making and removing is done by the programs
 * that every system has for it (modprobe, rdma of iproute2); what they do not say is said
 * here, from the same checks that doctor makes.
 */
#include "rxe.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "checks.h"
#include "host.h"
#include "tool.h"

#define TOOL_TIMEOUT_MS 20000
#define NS_PER_MS 1000000ull
/* How long the table of addresses may take to fill after a device was made. */
#define ADDRESS_WAIT_MS 2000
#define HOLDERS_SHOWN 16
/* Modules that add has loaded, one a line: what del unloads with the last device. */
#define LOADED_FOLDER "/run/dsm"
#define LOADED_NOTE LOADED_FOLDER "/rxe.loaded"

/* In the order in which they are needed. Only the first is needed on every kernel. */
static const char *const modules[] = { "rdma_rxe", "crc32_generic", "rdma_ucm", "ib_uverbs" };
#define MODULES (sizeof modules / sizeof modules[0])

enum status rxe_run(struct cli *cli, const char *why, const char *const argv[])
{
	struct tool_result result;
	int error = tool_run(argv, TOOL_TIMEOUT_MS, &result);

	if (error == -ENOENT) {
		cli_say(cli, "%s: the program %s is missing; Debian: apt-get install %s", why, argv[0],
			strcmp(argv[0], "rdma") == 0 ? "iproute2" : "kmod");
		return STATUS_REFUSED;
	}
	if (error == -ETIMEDOUT) {
		cli_say(cli, "%s: %s has not ended within %d s", why, argv[0], TOOL_TIMEOUT_MS / 1000);
		return STATUS_TIMEOUT;
	}
	if (error) {
		cli_say(cli, "%s: %s: %s", why, argv[0], strerror(-error));
		return STATUS_REFUSED;
	}
	if (result.status != 0)
		cli_say(cli, "%s: %s", why, result.err[0] ? result.err : argv[0]);
	enum status status = result.status ? STATUS_REFUSED : STATUS_OK;
	tool_free(&result);
	return status;
}

static enum status need_root(struct cli *cli, const char *what)
{
	if (geteuid() == 0)
		return STATUS_OK;
	cli_say(cli, "only root may %s: sudo dsm rxe %s %s", what, cli->args[0], cli->args[1]);
	return STATUS_REFUSED;
}

/* Checks that failed, with their fixes, where they cannot be overlooked. */
static void say_failed(struct cli *cli, const struct findings *findings)
{
	for (size_t i = 0; i < findings->n; i++) {
		const struct finding *finding = &findings->list[i];
		if (finding->verdict == CHECK_OK)
			continue;
		cli_say(cli, "%s%s", finding->verdict == CHECK_FAIL ? "" : "note: ", finding->found);
		if (finding->fix[0])
			fprintf(stderr, "     fix: %s\n", finding->fix);
	}
}

/* ---- status ---- */

static void print_holders(const struct rdma_device *device, char *buf, size_t size)
{
	struct holder holders[HOLDERS_SHOWN];
	size_t n = host_holders(device->node, holders, HOLDERS_SHOWN), len = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < n && i < HOLDERS_SHOWN; i++) {
		int more = snprintf(buf + len, size - len, "%s%s (%d)", len ? ", " : "",
			holders[i].program, holders[i].pid);
		if (more < 0 || (size_t)more >= size - len)
			break;
		len += (size_t)more;
	}
}

static void print_device(struct cli *cli, const struct rdma_device *device)
{
	static const struct column columns[] = {
		{ "device", NULL, NULL, false }, { "driver", NULL, NULL, false },
		{ "interface", NULL, NULL, false }, { "state", NULL, NULL, false },
		{ "address", NULL, NULL, false }, { "gid", NULL, NULL, true },
		{ "version", NULL, NULL, false }, { "mtu", NULL, "B", true },
		{ "rdma_mtu", NULL, "B", true }, { "persistent", NULL, NULL, false },
		{ "holders", NULL, NULL, false },
	};
	bool ip = device->address[0] != '\0';
	char holders[512];

	print_holders(device, holders, sizeof holders);
	const struct field fields[] = {
		field_text(device->name), field_text(device->driver), field_text(device->interface),
		field_text(device->state), ip ? field_text(device->address) : field_none(),
		ip ? field_u64((uint64_t)device->gid_index) : field_none(),
		ip ? field_text(device->gid_type) : field_none(),
		device->mtu ? field_u64((uint64_t)device->mtu) : field_none(),
		device->rdma_mtu ? field_u64((uint64_t)device->rdma_mtu) : field_none(),
		field_bool(rxe_is_persistent(device->interface)), field_text(holders),
	};
	out_begin(cli->out, columns, sizeof columns / sizeof columns[0], false);
	out_row(cli->out, fields);
}

static enum status status_devices(struct cli *cli)
{
	struct rdma_device devices[HOST_DEVICES];
	size_t n = host_devices(devices, HOST_DEVICES);
	char interfaces[256];

	for (size_t i = 0; i < n; i++)
		print_device(cli, &devices[i]);
	if (n > 0)
		return STATUS_OK;
	cli_say(cli, "no RDMA device; `dsm rxe add IFACE` makes one (interfaces: %s)",
		host_interfaces(interfaces, sizeof interfaces));
	return STATUS_REFUSED;
}

/* ---- add ---- */

static void note_loaded(const char *module)
{
	mkdir(LOADED_FOLDER, 0755);
	FILE *file = fopen(LOADED_NOTE, "ae");
	if (!file)
		return;
	fprintf(file, "%s\n", module);
	fclose(file);
}

static enum status load_modules(struct cli *cli)
{
	struct findings findings = { .n = 0 };

	if (host_module("rdma_rxe") == MODULE_MISSING) {
		check_modules(&findings, false);
		say_failed(cli, &findings);
		return STATUS_REFUSED;
	}
	for (size_t i = 0; i < MODULES; i++) {
		enum module_state state = host_module(modules[i]);
		const char *const argv[] = { "modprobe", modules[i], NULL };
		char why[64];
		if (state == MODULE_LOADED || (i > 0 && state == MODULE_MISSING))
			continue;
		snprintf(why, sizeof why, "the module %s cannot be loaded", modules[i]);
		enum status status = rxe_run(cli, why, argv);
		if (!status)
			note_loaded(modules[i]);
		if (status && i == 0) {
			check_modules(&findings, false);
			say_failed(cli, &findings);
			return status;
		}
	}
	return STATUS_OK;
}

/* At boot an interface may come late: waited for as long as --timeout says. */
static enum status await_interface(struct cli *cli, const char *interface)
{
	char interfaces[256];

	while (!host_has_interface(interface)) {
		if (!cli->deadline_ns || cli_remaining_ms(cli, 1) == 0 || cli_ended(cli)) {
			host_interfaces(interfaces, sizeof interfaces);
			cli_say(cli, "no interface \"%s\"; there are: %s", interface,
				interfaces[0] ? interfaces : "none");
			return STATUS_REFUSED;
		}
		cli_sleep_until(cli, now_ns() + 100 * NS_PER_MS);
	}
	return STATUS_OK;
}

static void free_name(const struct rdma_device *devices, size_t n, char *name, size_t size)
{
	for (unsigned i = 0; i < HOST_DEVICES + 1; i++) {
		bool taken = false;
		snprintf(name, size, "rxe%u", i);
		for (size_t k = 0; k < n; k++)
			taken |= strcmp(devices[k].name, name) == 0;
		if (!taken)
			return;
	}
}

/* The device as it is once its table of addresses has filled, or after a while if it does not. */
static bool find_device(struct cli *cli, const char *name, struct rdma_device *device)
{
	struct rdma_device devices[HOST_DEVICES];
	uint64_t until = now_ns() + ADDRESS_WAIT_MS * NS_PER_MS;

	for (;;) {
		size_t n = host_devices(devices, HOST_DEVICES);
		const struct rdma_device *found = host_find(devices, n, name);
		if (!found)
			return false;
		*device = *found;
		if ((device->address[0] && device->node[0]) || now_ns() >= until || cli_ended(cli))
			return true;
		struct timespec pause = { .tv_nsec = 50 * NS_PER_MS };
		nanosleep(&pause, NULL);
	}
}

static enum status report(struct cli *cli, const char *name)
{
	struct findings findings = { .n = 0 };
	struct rdma_device device;

	if (!find_device(cli, name, &device)) {
		cli_say(cli, "%s was made and is gone again", name);
		return STATUS_REFUSED;
	}
	print_device(cli, &device);
	check_modules(&findings, true);
	check_device(&findings, &device);
	check_memlock(&findings);
	say_failed(cli, &findings);
	return STATUS_OK;
}

static enum status make_device(struct cli *cli, const char *interface, const char *name)
{
	const char *const argv[] = { "rdma", "link", "add", name, "type", "rxe", "netdev", interface, NULL };
	struct findings findings = { .n = 0 };
	char why[160];

	snprintf(why, sizeof why, "the kernel makes no device of %s", interface);
	enum status status = rxe_run(cli, why, argv);
	if (!status)
		return status;
	check_modules(&findings, false);
	say_failed(cli, &findings);
	if (findings_worst(&findings) == CHECK_OK)
		cli_say(cli, "is %s Ethernet, and this neither a container nor a network namespace of its own? "
			"The kernel's log says more: dmesg | tail", interface);
	return status;
}

static enum status add(struct cli *cli)
{
	const char *interface = cli->args[1];
	struct rdma_device devices[HOST_DEVICES];
	char name[HOST_NAME];

	if (cli->n_args < 2)
		return cli_usage(cli, "add: which interface?");
	enum status status = await_interface(cli, interface);
	if (status)
		return status;
	size_t n = host_devices(devices, HOST_DEVICES);
	const struct rdma_device *present = host_find(devices, n, interface);
	if (present) {
		cli_say(cli, "%s has %s already", interface, present->name);
		return report(cli, present->name);
	}
	status = need_root(cli, "make a device");
	if (!status)
		status = load_modules(cli);
	if (status)
		return status;
	free_name(devices, n, name, sizeof name);
	if (cli->n_args > 2)
		snprintf(name, sizeof name, "%s", cli->args[2]);
	status = make_device(cli, interface, name);
	return status ? status : report(cli, name);
}

/* ---- del ---- */

/* Names those who hold the device. The kernel would make `rdma link delete` wait for them,
 * for ever and unkillably, so they have to be gone before. */
static enum status await_holders(struct cli *cli, const struct rdma_device *device)
{
	struct holder holders[HOLDERS_SHOWN];

	for (;;) {
		size_t n = host_holders(device->node, holders, HOLDERS_SHOWN);
		if (n == 0)
			return STATUS_OK;
		if (cli->deadline_ns && cli_remaining_ms(cli, 1) > 0 && !cli_ended(cli)) {
			cli_sleep_until(cli, now_ns() + 100 * NS_PER_MS);
			continue;
		}
		for (size_t i = 0; i < n && i < HOLDERS_SHOWN; i++)
			cli_say(cli, "%s is held by %s (process %d)", device->name, holders[i].program,
				holders[i].pid);
		cli_say(cli, "%s stays; stop what holds it and say so again, or wait for it with --timeout S",
			device->name);
		return STATUS_REFUSED;
	}
}

/* Only what add has loaded, and only when nobody can need it any more. A module that is in
 * use stays by itself. */
static void unload_modules(void)
{
	char names[16][HOST_NAME];
	size_t n = 0;
	FILE *file = fopen(LOADED_NOTE, "re");

	while (file && n < 16 && fgets(names[n], sizeof names[n], file)) {
		names[n][strcspn(names[n], "\n")] = '\0';
		n++;
	}
	if (file)
		fclose(file);
	for (size_t i = 0; i < n; i++) {
		const char *const argv[] = { "modprobe", "-r", names[i], NULL };
		struct tool_result result;
		if (tool_run(argv, TOOL_TIMEOUT_MS, &result) == 0)
			tool_free(&result);
	}
	unlink(LOADED_NOTE);
}

static enum status remove_device(struct cli *cli, const struct rdma_device *device)
{
	const char *const argv[] = { "rdma", "link", "delete", device->name, NULL };
	struct rdma_device devices[HOST_DEVICES];

	if (!device->rxe) {
		cli_say(cli, "%s is no Soft-RoCE device (%s); it is not removed", device->name,
			device->driver[0] ? device->driver : "unknown driver");
		return STATUS_REFUSED;
	}
	enum status status = need_root(cli, "remove a device");
	if (!status)
		status = await_holders(cli, device);
	if (!status)
		status = rxe_run(cli, "the kernel does not remove it", argv);
	if (status)
		return status;
	fprintf(stdout, "%s of %s is removed\n", device->name, device->interface);
	size_t n = host_devices(devices, HOST_DEVICES);
	bool another = false;
	for (size_t i = 0; i < n; i++)
		another |= devices[i].rxe;
	if (!another)
		unload_modules();
	return STATUS_OK;
}

static enum status del(struct cli *cli)
{
	struct rdma_device devices[HOST_DEVICES];
	size_t n = host_devices(devices, HOST_DEVICES);
	enum status status = STATUS_OK;
	bool forgotten = false;

	if (cli->n_args < 2)
		return cli_usage(cli, "del: which interface or device?");
	const struct rdma_device *device = host_find(devices, n, cli->args[1]);
	const char *interface = device ? device->interface : cli->args[1];
	if (device)
		status = remove_device(cli, device);
	if (!status && rxe_is_persistent(interface))
		status = rxe_forget(cli, interface, &forgotten);
	if (!device && !forgotten && !status) {
		cli_say(cli, "no RDMA device \"%s\", nor one of that interface", cli->args[1]);
		status = STATUS_REFUSED;
	}
	return status;
}

/* ---- the verb ---- */

static enum status persist(struct cli *cli)
{
	if (cli->n_args < 2)
		return cli_usage(cli, "persist: which interface?");
	enum status status = need_root(cli, "change what happens at boot");
	if (!status)
		status = await_interface(cli, cli->args[1]);
	return status ? status : rxe_persist(cli, cli->args[1]);
}

enum status verb_rxe(struct cli *cli)
{
	static const struct {
		const char *name;
		int max_args;
		enum status (*run)(struct cli *cli);
	} actions[] = {
		{ "status", 1, status_devices }, { "add", 3, add }, { "del", 2, del },
		{ "persist", 2, persist },
	};
	enum status status = cli_output(cli);

	if (status)
		return status;
	tool_path();
	for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++) {
		if (strcmp(cli->args[0], actions[i].name) != 0)
			continue;
		if (cli->n_args > actions[i].max_args)
			return cli_usage(cli, "\"%s\" is too many", cli->args[actions[i].max_args]);
		return actions[i].run(cli);
	}
	return cli_usage(cli, "no action \"%s\": status, add, del, persist", cli->args[0]);
}
