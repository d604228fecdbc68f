/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this machine has for RDMA, read from sysfs and the modules' folder: devices,
 * kernel modules, who holds a device. Nothing here changes anything. For rxe and doctor.
 */
#ifndef CLI_HOST_H
#define CLI_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HOST_DEVICES 16
#define HOST_NAME 64

/** An RDMA device, its first port. */
struct rdma_device {
	char name[HOST_NAME];
	char driver[HOST_NAME];     /**< "rxe", "mlx5_core" …; "" unknown */
	char interface[HOST_NAME];  /**< network interface; "" none */
	char state[HOST_NAME];      /**< "ACTIVE", "DOWN" … */
	char link[HOST_NAME];       /**< "Ethernet", "InfiniBand" */
	char address[HOST_NAME];    /**< that programs connect to; "" none but link-local ones */
	char gid_type[HOST_NAME];   /**< of that address: "RoCE v2" … */
	char node[HOST_NAME];       /**< "uverbs0"; "" none */
	int gid_index;              /**< of that address */
	int mtu, rdma_mtu;          /**< bytes; 0 unknown */
	bool rxe;
};

/** At most `max` devices, in the order of their names; returns how many. */
size_t host_devices(struct rdma_device *list, size_t max);
/** By its own name or its interface's; NULL none. */
const struct rdma_device *host_find(const struct rdma_device *list, size_t n, const char *name);
/** The RDMA MTU (256 to 4096) that fits frames of `mtu` bytes; 0 none. */
int host_rdma_mtu(int mtu);

enum module_state {
	MODULE_LOADED,     /**< or built into the kernel */
	MODULE_THERE,      /**< can be loaded */
	MODULE_MISSING,    /**< this kernel has none */
	MODULE_NO_FOLDER,  /**< the folder of this kernel's modules is not there: cannot be known */
};
enum module_state host_module(const char *name);
/** Release of the running kernel, such as "6.1.0-32-amd64". */
const char *host_kernel(void);

/** A process that has a device open. */
struct holder {
	int pid;
	char program[HOST_NAME];
};
/** Those that hold the device whose node is `node`; returns how many, at most `max` of them
 *  in list. Processes of others are seen by root only. */
size_t host_holders(const char *node, struct holder *list, size_t max);

/** Network interfaces that could carry RoCE (Ethernet, not lo), with commas, into buf. */
char *host_interfaces(char *buf, size_t size);
bool host_has_interface(const char *name);
/** First line of a small file without its newline, "" if there is none. */
char *host_read(char *buf, size_t size, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
