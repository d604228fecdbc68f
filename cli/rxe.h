/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the verb rxe share. */
#ifndef CLI_RXE_H
#define CLI_RXE_H

#include "cli.h"

/** Runs `argv` and says what went wrong, if anything did; `why` is put before what the
 *  program said. */
enum status rxe_run(struct cli *cli, const char *why, const char *const argv[]);
/** `dsm rxe persist IFACE`: a systemd unit that makes the device at every boot. */
enum status rxe_persist(struct cli *cli, const char *interface);
/** Is there such a unit? */
bool rxe_is_persistent(const char *interface);
/** Takes it away again; *found says whether there was one. */
enum status rxe_forget(struct cli *cli, const char *interface, bool *found);

#endif
