/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dsm client interface: the ADC boards of an engine (docs/adc.md), one by one.
 * Return values, thread rule and the errors of every function as in <dsm/dsm.h>.
 */
#ifndef DSM_DEVICES_H
#define DSM_DEVICES_H

#include <dsm/dsm.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Why a board last started, as it says itself. */
enum dsm_device_reset {
	DSM_RESET_UNKNOWN = 0, DSM_RESET_POWER = 1, DSM_RESET_PIN = 2, DSM_RESET_WATCHDOG = 3,
	DSM_RESET_SOFTWARE = 4, DSM_RESET_BROWN_OUT = 5,
};

/** What the engine knew of a board a tick ago at most. Counts are of this run of the engine. */
struct dsm_device_info {
	uint32_t id;
	char name[72], owner[64];
	char address[64];          /**< of its last datagram that was believed; "" none was */
	bool heard, alive;         /**< one was believed; and it was not silent for 20 ticks since */
	/* as its last datagram says */
	enum dsm_device_reset reset;
	bool fault;                /**< its converter failed */
	bool simulated;
	bool no_epoch;             /**< it cannot store its boot counter */
	uint32_t epoch, seq;
	uint32_t inputs, tick_us;  /**< of the table */
	uint64_t age_ns;           /**< of that datagram */
	double rate_hz;            /**< accepted, over its last whole second; 0 while it is silent */
	uint64_t accepted;
	uint64_t lost;             /**< ticks that brought nothing; a late one is lost no more */
	uint64_t late;             /**< overtaken by a newer one, so not used */
	uint64_t duplicate, replay, bad_tag, second_source; /**< refused, and why */
	uint64_t starts, silences; /**< of the board, as the engine saw them */
	uint64_t overruns, link_losses; /**< told by the board: samples lost, network away */
	uint64_t commits, commits_failed;
	uint64_t no_channel;       /**< values that a table's input wanted of a channel that was not there */
	/** Its clock against the engine's, known after about four seconds. */
	bool clock_known;
	double offset_us, offset_error_us; /**< engine's clock minus its uptime, the shortest way included */
	double drift_ppm, drift_error_ppm; /**< > 0: its clock is slow */
	uint64_t clock_steps;      /**< its clock jumped, and the estimate began anew */
};

/** The boards of the engine's table, by number. Blocks for one round trip, at most timeout_ms. Whoever may read may ask.
 *  fn's first result that is not 0 ends the walk and is returned.
 *  -EINVAL fn is NULL; -ENOTCONN the engine is gone; -ETIMEDOUT it does not answer; -ENOMEM */
DSM_EXPORT int dsm_foreach_device(struct dsm *dsm, int timeout_ms,
	int (*fn)(const struct dsm_device_info *info, void *context), void *context);
/** "power on", "watchdog" …; "unknown" for a number that is none. */
DSM_EXPORT const char *dsm_device_reset_name(enum dsm_device_reset reset);

#ifdef __cplusplus
}
#endif
#endif
