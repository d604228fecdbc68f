/* SPDX-License-Identifier: Apache-2.0 */
/* Counters that the engine keeps in the header for everybody to read. The order is part of the
 * layout: add at the end. */
#ifndef DSM_LIB_CORE_COUNTERS_H
#define DSM_LIB_CORE_COUNTERS_H

#define COUNTER_LIST(X) \
	X(SESSIONS, "sessions", "clients attached now") \
	X(SESSIONS_TOTAL, "sessions_total", "clients attached since the start") \
	X(REFUSED_ROLE, "refused_role", "attaches refused: user or role not allowed, or held") \
	X(REFUSED_VERSION, "refused_version", "attaches refused: another version") \
	X(REFUSED_FULL, "refused_full", "attaches refused: too many clients") \
	X(BAD_MESSAGES, "bad_messages", "control messages that did not parse; the client is cut off") \
	X(REQUESTS, "requests", "requests and adds received") \
	X(REQUESTS_APPLIED, "requests_applied", "requests carried out on the engine's own groups") \
	X(REQUESTS_FORWARDED, "requests_forwarded", "requests handed to their owners") \
	X(REQUESTS_REFUSED, "requests_refused", "requests answered with an error") \
	X(REQUESTS_REPEATED, "requests_repeated", "requests seen before, answered from memory") \
	X(GRANTS, "grants", "owner roles granted") \
	X(TAKEOVERS, "takeovers", "owners replaced or cleaned up after") \
	X(BANKS_MOVED, "banks_moved", "banks moved to new memory to fence an owner") \
	X(SLOTS_SCRUBBED, "slots_scrubbed", "slots that did not verify at a takeover") \
	X(LEASES_EXPIRED, "leases_expired", "owners that fell silent") \
	X(SLOW_CLIENTS, "slow_clients", "clients cut off because they did not read") \
	X(NOTIFIED, "notified", "groups whose waiters the engine woke") \
	X(SAVES, "saves", "state files written") \
	X(SAVE_ERRORS, "save_errors", "state files that could not be written") \
	X(SAVE_NS, "save_last_ns", "duration of the last save") \
	X(TICKS_MISSED, "ticks_missed", "heartbeats that came late by half a lease") \
	X(PROTECTION_ERRORS, "protection_errors", "network clients cut off for reaching where they may not") \
	X(NETWORK_ERRORS, "network_errors", "operations that an RDMA device or its library refused") \
	X(ADC_ACCEPTED, "adc_accepted", "ADC datagrams that were believed") \
	X(ADC_LOST, "adc_lost", "ticks of ADC boards that brought no datagram") \
	X(ADC_LATE, "adc_late", "ADC datagrams that a newer one had overtaken") \
	X(ADC_DUPLICATE, "adc_duplicate", "ADC datagrams that had been seen before") \
	X(ADC_REPLAY, "adc_replay", "ADC datagrams older than can be told, or from before a restart") \
	X(ADC_BAD_TAG, "adc_bad_tag", "ADC datagrams whose tag does not fit the board's key") \
	X(ADC_SECOND_SOURCE, "adc_second_source", "ADC datagrams from another address than the live board's") \
	X(ADC_UNKNOWN, "adc_unknown", "ADC datagrams of a board that the table does not have") \
	X(ADC_FOREIGN, "adc_foreign", "datagrams at the ADC port that are none of version 1") \
	X(ADC_DROPPED, "adc_dropped", "ADC datagrams that the kernel dropped, its buffer being full") \
	X(ADC_SILENCES, "adc_silences", "ADC boards that fell silent") \
	X(REFUSED_KEY, "refused_key", "attaches refused: no key, an unknown or wrong one, or one taken away") \
	X(UDP_COOKIES, "udp_cookies", "first datagrams of clients, answered by a cookie") \
	X(UDP_COMMITS, "udp_commits", "commits and steps of owners over udp") \
	X(UDP_BAD_SEAL, "udp_bad_seal", "datagrams whose seal does not fit their session") \
	X(UDP_REPLAY, "udp_replay", "datagrams that had been seen before, or are too old to tell") \
	X(UDP_UNKNOWN, "udp_unknown", "datagrams of a session that is not there") \
	X(UDP_FOREIGN, "udp_foreign", "datagrams at the udp port that are none of dsm's") \
	X(ADC_OVERRUNS, "adc_overruns", "times that an ADC board told of lost samples") \
	X(ADC_LINK_LOSSES, "adc_link_losses", "times that an ADC board's network was away") \
	X(UDP_UPDATES, "udp_updates", "groups sent to udp clients that have subscribed") \
	X(REFUSED_RATE, "refused_rate", "rdma: connections refused: too many within a tick, of one host or of all") \
	X(REFUSED_TOKEN, "refused_token", "rdma: read or write pairs refused: no such session, or not its token") \
	X(REFUSED_PAIR, "refused_pair", "rdma: read or write pairs refused: there already, or without the role") \
	X(REFUSED_ENDING, "refused_ending", "attaches refused: the engine is ending") \
	X(UDP_BUSY, "udp_busy", "handshakes not heard, or given up for others: more at once than is taken") \
	X(UDP_PUT_OFF, "udp_put_off", "questions of udp clients not answered: too much work, they come again")

#define COUNTER_ENUM(id, name, what) COUNTER_##id,
enum counter { COUNTER_LIST(COUNTER_ENUM) COUNTER_COUNT };

#endif
