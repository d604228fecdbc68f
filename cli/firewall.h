/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Would this machine's packet filter let a datagram to UDP port 4791 (RoCE v2) in? The rules
 * are read from nft and iptables and walked as the kernel would walk them; what a rule asks
 * that is not understood counts as "perhaps". For doctor and rxe.
 */
#ifndef CLI_FIREWALL_H
#define CLI_FIREWALL_H

#include <stdbool.h>
#include <stddef.h>

enum firewall {
	FIREWALL_OPEN,     /**< nothing in the way, or no filter at all */
	FIREWALL_CLOSED,   /**< a rule or a policy drops it; fix says how to let it in */
	FIREWALL_UNSURE,   /**< a rule that may drop it asks for what is not understood here */
	FIREWALL_UNSEEN,   /**< the rules cannot be read (not root, or no tool); text says which */
};

struct firewall_answer {
	enum firewall state;
	char where[160];   /**< the chain or tool that it is about */
	char fix[256];     /**< command; "" none */
};

/** Asks about packets that come in through `interface` (NULL or "": any). Blocks for as long
 *  as nft and iptables-save take, at most 5 s each. */
void firewall_ask(const char *interface, struct firewall_answer *answer);

/* for the tests */

/** What `nft -j list ruleset` printed. */
void firewall_nft(const char *json, size_t len, const char *interface,
	struct firewall_answer *answer);
/** What `iptables-save` printed. */
void firewall_iptables(const char *text, const char *interface, struct firewall_answer *answer);

#endif
