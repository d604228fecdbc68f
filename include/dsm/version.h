/* SPDX-License-Identifier: Apache-2.0 */
/* Versions. meson.build reads DSM_VERSION from here; nothing else states it. */
#ifndef DSM_VERSION_H
#define DSM_VERSION_H

/** Version of the library, as in `dsm --version` and in dsm.pc. */
#define DSM_VERSION "0.1.0"
#define DSM_VERSION_MAJOR 0
#define DSM_VERSION_MINOR 1
#define DSM_VERSION_PATCH 0

/** Version of the memory layout (docs/protocol.md). An engine and a client that
 *  do not share one refuse each other with -EPROTONOSUPPORT; nothing is guessed. */
#define DSM_LAYOUT_VERSION 2

/** Version of the control messages. */
#define DSM_CONTROL_VERSION 1

#endif
