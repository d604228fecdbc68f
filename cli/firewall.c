/* SPDX-License-Identifier: Apache-2.0 */
/* Who is asked about packet filters, and what iptables-save says; see firewall.h. */
#include "firewall.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host.h"
#include "tool.h"

#define ROCE_PORT 4791
#define TOOL_TIMEOUT_MS 5000
#define IPTABLES_FIX "iptables -I INPUT -p udp --dport 4791 -j ACCEPT"

/* ---- iptables ---- */

/* "53", "4000:5000", "1,4791": has it the port of RoCE? */
static bool has_port(const char *ports)
{
	while (*ports) {
		char *end;
		long first = strtol(ports, &end, 10), last = first;
		if (*end == ':')
			last = strtol(end + 1, &end, 10);
		if (first <= ROCE_PORT && ROCE_PORT <= last)
			return true;
		if (*end != ',')
			return false;
		ports = end + 1;
	}
	return false;
}

enum applies { NO, PERHAPS, YES };

/* One option of a rule with its value; "-j" and what carries no condition is YES. */
static enum applies condition(const char *option, const char *value, const char *interface)
{
	char pattern[HOST_NAME];

	if (strcmp(option, "-p") == 0)
		return strcmp(value, "udp") == 0 || strcmp(value, "all") == 0 ? YES : NO;
	if (strcmp(option, "--dport") == 0 || strcmp(option, "--dports") == 0)
		return has_port(value) ? YES : NO;
	if (strcmp(option, "-i") == 0) {
		snprintf(pattern, sizeof pattern, "%s", value);
		if (pattern[0] && pattern[strlen(pattern) - 1] == '+')
			pattern[strlen(pattern) - 1] = '*';
		if (!interface || !*interface)
			return strcmp(value, "lo") == 0 ? NO : PERHAPS;
		return fnmatch(pattern, interface, 0) == 0 ? YES : NO;
	}
	if (strcmp(option, "--ctstate") == 0 || strcmp(option, "--state") == 0)
		return strstr(value, "NEW") || strstr(value, "UNTRACKED") ? YES : NO;
	if (strcmp(option, "-m") == 0 || strcmp(option, "-A") == 0 || strcmp(option, "-j") == 0 ||
	    strcmp(option, "--comment") == 0 || strncmp(option, "--reject", 8) == 0)
		return YES;
	return PERHAPS;
}

/* Splits "-A INPUT -p udp … -j DROP" in place; says whether it applies, and its target. */
static enum applies rule_applies(char *line, const char *interface, const char **target)
{
	enum applies sure = YES;
	bool inverted = false;
	char *rest, *word = strtok_r(line, " \n", &rest);

	*target = "";
	while (word) {
		if (strcmp(word, "!") == 0) {
			inverted = true;
			word = strtok_r(NULL, " \n", &rest);
			continue;
		}
		char *value = strtok_r(NULL, " \n", &rest);
		if (strcmp(word, "-j") == 0 || strcmp(word, "-g") == 0)
			*target = value ? value : "";
		enum applies one = condition(word, value ? value : "", interface);
		if (inverted)
			one = one == YES ? NO : one == NO ? YES : PERHAPS;
		inverted = false;
		sure = one < sure ? one : sure;
		/* a quoted comment may have any number of words */
		while (value && value[0] == '"' && value[strlen(value) - 1] != '"')
			value = strtok_r(NULL, " \n", &rest);
		word = strtok_r(NULL, " \n", &rest);
	}
	return sure;
}

struct answerer {
	bool closed, opened, perhaps_closed, perhaps_opened;
};

/* Chains of one's own are not followed: what they do is "perhaps". */
static void take_rule(struct answerer *so_far, enum applies sure, const char *target)
{
	bool accept = strcmp(target, "ACCEPT") == 0;
	bool drop = strcmp(target, "DROP") == 0 || strcmp(target, "REJECT") == 0;
	bool other = !accept && !drop && *target && strcmp(target, "LOG") != 0;

	if (sure == NO || so_far->closed || so_far->opened)
		return;
	if (sure == PERHAPS || other) {
		so_far->perhaps_opened |= accept || other;
		so_far->perhaps_closed |= drop || other;
		return;
	}
	so_far->opened = accept;
	so_far->closed = drop;
}

void firewall_iptables(const char *text, const char *interface, struct firewall_answer *answer)
{
	char *copy = strdup(text), *rest, *line;
	struct answerer so_far = { 0 };
	bool filter = false, drop_policy = false;

	for (line = copy ? strtok_r(copy, "\n", &rest) : NULL; line; line = strtok_r(NULL, "\n", &rest)) {
		const char *target;
		if (line[0] == '*')
			filter = strcmp(line, "*filter") == 0;
		if (filter && strncmp(line, ":INPUT ", 7) == 0)
			drop_policy = strncmp(line + 7, "DROP", 4) == 0;
		if (!filter || strncmp(line, "-A INPUT ", 9) != 0)
			continue;
		enum applies sure = rule_applies(line, interface, &target);
		take_rule(&so_far, sure, target);
	}
	free(copy);
	bool closed = so_far.closed || (!so_far.opened && drop_policy);
	if (answer->state == FIREWALL_CLOSED || (!closed && !so_far.perhaps_closed))
		return;
	answer->state = closed && !so_far.perhaps_opened ? FIREWALL_CLOSED : FIREWALL_UNSURE;
	snprintf(answer->where, sizeof answer->where, "chain INPUT of iptables");
	snprintf(answer->fix, sizeof answer->fix, IPTABLES_FIX);
}

/* ---- who is asked ---- */

static void unseen(struct firewall_answer *answer, const char *why)
{
	if (answer->state != FIREWALL_OPEN)
		return;
	answer->state = FIREWALL_UNSEEN;
	snprintf(answer->where, sizeof answer->where, "%s", why);
}

static void ask_nft(const char *interface, struct firewall_answer *answer)
{
	static const char *const argv[] = { "nft", "-j", "list", "ruleset", NULL };
	struct tool_result result;
	int error = tool_run(argv, TOOL_TIMEOUT_MS, &result);

	if (error == -ENOENT) {
		if (access("/sys/module/nf_tables", F_OK) == 0)
			unseen(answer, "the kernel has nftables rules loaded, and the program nft is missing");
		return;
	}
	if (error || result.status != 0)
		unseen(answer, "nft does not list the rules");
	else
		firewall_nft(result.out, result.out_len, interface, answer);
	if (!error)
		tool_free(&result);
}

/* Even asking loads the module, so where there is none nobody is asked. */
static bool kernel_has(const char *module)
{
	char path[128];

	snprintf(path, sizeof path, "/sys/module/%s", module);
	return access(path, F_OK) == 0;
}

static void ask_iptables(const char *interface, struct firewall_answer *answer)
{
	static const char *const argv[] = { "iptables-save", "-t", "filter", NULL };
	static const char *const legacy[] = { "iptables-legacy-save", "-t", "filter", NULL };
	struct tool_result result;

	for (int old = 0; old < 2; old++) {
		if (!kernel_has(old ? "iptable_filter" : "nf_tables"))
			continue;
		if (tool_run(old ? legacy : argv, TOOL_TIMEOUT_MS, &result) != 0)
			continue;
		if (result.status == 0)
			firewall_iptables(result.out, interface, answer);
		tool_free(&result);
	}
}

/* Who manages the rules should be the one that is told. */
static void name_manager(struct firewall_answer *answer)
{
	char line[HOST_NAME];
	FILE *file = fopen("/etc/ufw/ufw.conf", "re");

	if (access("/run/firewalld", F_OK) == 0)
		snprintf(answer->fix, sizeof answer->fix,
			"firewall-cmd --permanent --add-port=4791/udp && firewall-cmd --reload");
	while (file && fgets(line, sizeof line, file))
		if (strncmp(line, "ENABLED=yes", 11) == 0)
			snprintf(answer->fix, sizeof answer->fix, "ufw allow 4791/udp");
	if (file)
		fclose(file);
}

void firewall_ask(const char *interface, struct firewall_answer *answer)
{
	*answer = (struct firewall_answer){ .state = FIREWALL_OPEN };
	if (!kernel_has("nf_tables") && !kernel_has("ip_tables"))
		return;
	if (geteuid() != 0) {
		unseen(answer, "only root can read the packet filter's rules");
		return;
	}
	if (kernel_has("nf_tables"))
		ask_nft(interface, answer);
	ask_iptables(interface, answer);
	if (answer->state == FIREWALL_CLOSED || answer->state == FIREWALL_UNSURE)
		name_manager(answer);
}
