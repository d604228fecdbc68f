/* SPDX-License-Identifier: Apache-2.0 */
/* What this machine has for RDMA; see host.h. */
#include "host.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define INFINIBAND "/sys/class/infiniband"
/* Headers around the payload of a RoCE packet that rxe reckons with. */
#define ROCE_HEADERS 80
/* Entries of a GID table that are looked at: a table may have thousands, nearly all empty. */
#define GIDS_SEEN 64

char *host_read(char *buf, size_t size, const char *fmt, ...)
{
	char path[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(path, sizeof path, fmt, args);
	va_end(args);
	buf[0] = '\0';
	FILE *file = fopen(path, "re");
	if (!file)
		return buf;
	if (!fgets(buf, (int)size, file))
		buf[0] = '\0';
	fclose(file);
	buf[strcspn(buf, "\n")] = '\0';
	return buf;
}

static void copy(char *to, size_t size, const char *from)
{
	size_t len = strnlen(from, size - 1);

	memcpy(to, from, len);
	to[len] = '\0';
}

int host_rdma_mtu(int mtu)
{
	for (int size = 4096; size >= 256; size /= 2)
		if (mtu - ROCE_HEADERS >= size)
			return size;
	return 0;
}

/* ---- devices ---- */

static void read_driver(struct rdma_device *device)
{
	char path[512], target[512];

	/* only rxe has this file */
	host_read(device->interface, sizeof device->interface, INFINIBAND "/%s/parent", device->name);
	device->rxe = device->interface[0] != '\0';
	if (device->rxe) {
		copy(device->driver, sizeof device->driver, "rxe");
		return;
	}
	snprintf(path, sizeof path, INFINIBAND "/%s/device/driver", device->name);
	ssize_t len = readlink(path, target, sizeof target - 1);
	if (len <= 0)
		return;
	target[len] = '\0';
	const char *last = strrchr(target, '/');
	copy(device->driver, sizeof device->driver, last ? last + 1 : target);
}

/* "ACTIVE" of "4: ACTIVE" */
static void read_state(struct rdma_device *device)
{
	char line[HOST_NAME];

	host_read(line, sizeof line, INFINIBAND "/%s/ports/1/state", device->name);
	const char *colon = strchr(line, ':');
	copy(device->state, sizeof device->state, colon ? colon + 1 + (colon[1] == ' ') : line);
	host_read(device->link, sizeof device->link, INFINIBAND "/%s/ports/1/link_layer",
		device->name);
}

/* How good an address a GID is: 3 IPv4, 2 IPv6, 1 InfiniBand's own, 0 none to connect to. */
static int gid_value(const struct rdma_device *device, const char *text, struct in6_addr *gid)
{
	if (inet_pton(AF_INET6, text, gid) != 1 || IN6_IS_ADDR_UNSPECIFIED(gid))
		return 0;
	if (IN6_IS_ADDR_V4MAPPED(gid))
		return 3;
	if (strcmp(device->link, "InfiniBand") == 0)
		return 1;
	return IN6_IS_ADDR_LINKLOCAL(gid) ? 0 : 2;
}

/* One entry of the table; taken if it is better than the `best` so far. A RoCE v1 GID is
 * no better than none where both versions stand side by side, so v2 wins. */
static void try_gid(struct rdma_device *device, int index, int *best)
{
	char text[HOST_NAME], type[HOST_NAME], interface[HOST_NAME];
	struct in6_addr gid;

	host_read(text, sizeof text, INFINIBAND "/%s/ports/1/gids/%d", device->name, index);
	int value = gid_value(device, text, &gid) * 2;
	if (value == 0)
		return;
	host_read(type, sizeof type, INFINIBAND "/%s/ports/1/gid_attrs/types/%d", device->name, index);
	value += strcmp(type, "RoCE v2") == 0;
	if (value <= *best)
		return;
	*best = value;
	device->gid_index = index;
	copy(device->gid_type, sizeof device->gid_type, type);
	if (IN6_IS_ADDR_V4MAPPED(&gid))
		inet_ntop(AF_INET, &gid.s6_addr[12], device->address, sizeof device->address);
	else
		inet_ntop(AF_INET6, &gid, device->address, sizeof device->address);
	host_read(interface, sizeof interface, INFINIBAND "/%s/ports/1/gid_attrs/ndevs/%d",
		device->name, index);
	if (interface[0])
		copy(device->interface, sizeof device->interface, interface);
}

static void read_addresses(struct rdma_device *device)
{
	char text[HOST_NAME];
	int best = 0;

	for (int i = 0; i < GIDS_SEEN; i++)
		try_gid(device, i, &best);
	if (!device->interface[0])
		host_read(device->interface, sizeof device->interface,
			INFINIBAND "/%s/ports/1/gid_attrs/ndevs/0", device->name);
	if (!device->interface[0])
		return;
	host_read(text, sizeof text, "/sys/class/net/%s/mtu", device->interface);
	device->mtu = atoi(text);
	if (strcmp(device->link, "Ethernet") == 0)
		device->rdma_mtu = host_rdma_mtu(device->mtu);
}

/* /dev/infiniband/uverbsN of this device */
static void read_node(struct rdma_device *device)
{
	DIR *dir = opendir("/sys/class/infiniband_verbs");
	char name[HOST_NAME];

	if (!dir)
		return;
	for (struct dirent *entry; (entry = readdir(dir));) {
		if (strncmp(entry->d_name, "uverbs", 6) != 0)
			continue;
		host_read(name, sizeof name, "/sys/class/infiniband_verbs/%.32s/ibdev", entry->d_name);
		if (strcmp(name, device->name) == 0)
			snprintf(device->node, sizeof device->node, "%.32s", entry->d_name);
	}
	closedir(dir);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct rdma_device *)a)->name, ((const struct rdma_device *)b)->name);
}

size_t host_devices(struct rdma_device *list, size_t max)
{
	DIR *dir = opendir(INFINIBAND);
	size_t n = 0;

	if (!dir)
		return 0;
	for (struct dirent *entry; n < max && (entry = readdir(dir));) {
		if (entry->d_name[0] == '.')
			continue;
		struct rdma_device *device = &list[n++];
		memset(device, 0, sizeof *device);
		snprintf(device->name, sizeof device->name, "%.63s", entry->d_name);
		read_driver(device);
		read_state(device);
		read_addresses(device);
		read_node(device);
	}
	closedir(dir);
	qsort(list, n, sizeof *list, by_name);
	return n;
}

const struct rdma_device *host_find(const struct rdma_device *list, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(list[i].name, name) == 0 || strcmp(list[i].interface, name) == 0)
			return &list[i];
	return NULL;
}

/* ---- modules ---- */

const char *host_kernel(void)
{
	static char release[HOST_NAME];

	if (!release[0])
		host_read(release, sizeof release, "/proc/sys/kernel/osrelease");
	return release;
}

/* Does a line of the file name the module, as "…/NAME.ko", before a colon or the line's end?
 * '-' and '_' are one in names of modules. */
static bool file_names(const char *path, const char *module)
{
	FILE *file = fopen(path, "re");
	char *line = NULL;
	size_t room = 0, len = strlen(module);
	bool found = false;

	if (!file)
		return false;
	while (!found && getline(&line, &room, file) > 0) {
		line[strcspn(line, ":\n")] = '\0';
		const char *last = strrchr(line, '/');
		last = last ? last + 1 : line;
		bool same = strncmp(last + strcspn(last, "."), ".ko", 3) == 0 &&
			strcspn(last, ".") == len;
		for (size_t i = 0; same && i < len; i++)
			same = last[i] == module[i] || (last[i] == '-' && module[i] == '_');
		found = same;
	}
	free(line);
	fclose(file);
	return found;
}

enum module_state host_module(const char *name)
{
	char path[512];

	snprintf(path, sizeof path, "/sys/module/%s", name);
	if (access(path, F_OK) == 0)
		return MODULE_LOADED;
	snprintf(path, sizeof path, "/lib/modules/%s/modules.builtin", host_kernel());
	if (file_names(path, name))
		return MODULE_LOADED;
	snprintf(path, sizeof path, "/lib/modules/%s/modules.dep", host_kernel());
	if (access(path, R_OK) != 0)
		return MODULE_NO_FOLDER;
	return file_names(path, name) ? MODULE_THERE : MODULE_MISSING;
}

/* ---- holders ---- */

static bool has_open(const char *pid, const char *node)
{
	char path[512], target[512], wanted[128];
	bool found = false;

	snprintf(wanted, sizeof wanted, "/dev/infiniband/%s", node);
	snprintf(path, sizeof path, "/proc/%s/fd", pid);
	DIR *dir = opendir(path);
	if (!dir)
		return false;
	for (struct dirent *entry; !found && (entry = readdir(dir));) {
		snprintf(path, sizeof path, "/proc/%s/fd/%s", pid, entry->d_name);
		ssize_t len = readlink(path, target, sizeof target - 1);
		if (len <= 0)
			continue;
		target[len] = '\0';
		found = strcmp(target, wanted) == 0;
	}
	closedir(dir);
	return found;
}

size_t host_holders(const char *node, struct holder *list, size_t max)
{
	DIR *dir = node[0] ? opendir("/proc") : NULL;
	size_t n = 0;

	if (!dir)
		return 0;
	for (struct dirent *entry; (entry = readdir(dir));) {
		if (!isdigit((unsigned char)entry->d_name[0]) || !has_open(entry->d_name, node))
			continue;
		if (n < max) {
			list[n].pid = atoi(entry->d_name);
			host_read(list[n].program, sizeof list[n].program, "/proc/%.16s/comm", entry->d_name);
		}
		n++;
	}
	closedir(dir);
	return n;
}

/* ---- interfaces ---- */

bool host_has_interface(const char *name)
{
	char path[512];

	if (!*name || strchr(name, '/') || name[0] == '.')
		return false;
	snprintf(path, sizeof path, "/sys/class/net/%s", name);
	return access(path, F_OK) == 0;
}

char *host_interfaces(char *buf, size_t size)
{
	DIR *dir = opendir("/sys/class/net");
	char type[16];
	size_t len = 0;

	buf[0] = '\0';
	if (!dir)
		return buf;
	for (struct dirent *entry; (entry = readdir(dir));) {
		/* 1 = Ethernet */
		host_read(type, sizeof type, "/sys/class/net/%.63s/type", entry->d_name);
		if (entry->d_name[0] == '.' || strcmp(type, "1") != 0)
			continue;
		int more = snprintf(buf + len, size - len, "%s%.63s", len ? ", " : "", entry->d_name);
		if (more < 0 || (size_t)more >= size - len)
			break;
		len += (size_t)more;
	}
	closedir(dir);
	return buf;
}
