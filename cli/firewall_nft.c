/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules of nftables as its own JSON gives them: walks every base chain that an incoming
 * packet meets, for a datagram to UDP port 4791 that belongs to no known connection (RoCE
 * answers from another port than it was asked, so connection tracking never knows it).
 */
#include "firewall.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#define ROCE_PORT 4791
#define ROCE_PORT_TEXT "4791"
/* nftables itself allows 16 jumps. */
#define DEPTH_MAX 16

enum match { NO, PERHAPS, YES };
enum verdict { CONTINUE, ACCEPT, DROP, RETURN };

struct walk {
	json_t *items;           /* of the document */
	const char *interface;
	bool perhaps_accepted, perhaps_dropped;
};

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

static enum match inverted(enum match match)
{
	return match == YES ? NO : match == NO ? YES : PERHAPS;
}

/* ---- matches ---- */

/* Is `port` among what stands on the right: a number, a range, a set of such? */
static enum match has_number(const json_t *right, int port)
{
	const json_t *range = json_object_get(right, "range");
	const json_t *set = json_is_array(right) ? right : json_object_get(right, "set");
	enum match match = NO;

	if (json_is_integer(right))
		return json_integer_value(right) == port ? YES : NO;
	if (range)
		return json_integer_value(json_array_get(range, 0)) <= port &&
			port <= json_integer_value(json_array_get(range, 1)) ? YES : NO;
	if (!json_is_array(set))
		return PERHAPS; /* a named set, a map … */
	for (size_t i = 0; i < json_array_size(set) && match != YES; i++) {
		enum match one = has_number(json_array_get(set, i), port);
		match = one > match ? one : match;
	}
	return match;
}

static enum match has_text(const json_t *right, const char *const *words)
{
	const json_t *set = json_is_array(right) ? right : json_object_get(right, "set");
	const char *text = json_string_value(right);
	enum match match = NO;

	for (size_t i = 0; text && words[i]; i++)
		if (fnmatch(text, words[i], 0) == 0)
			return YES;
	if (text)
		return text[0] == '@' ? PERHAPS : NO;
	if (!json_is_array(set))
		return PERHAPS;
	for (size_t i = 0; i < json_array_size(set) && match != YES; i++) {
		enum match one = has_text(json_array_get(set, i), words);
		match = one > match ? one : match;
	}
	return match;
}

static enum match match_payload(const json_t *payload, const json_t *right)
{
	static const char *const udp[] = { "udp", "17", NULL };
	const char *protocol = text_of(payload, "protocol");
	const char *field = text_of(payload, "field");
	bool ip = strcmp(protocol, "ip") == 0 || strcmp(protocol, "ip6") == 0;

	if (strcmp(protocol, "udp") == 0 || strcmp(protocol, "th") == 0)
		return strcmp(field, "dport") == 0 ? has_number(right, ROCE_PORT) : PERHAPS;
	if (ip && (strcmp(field, "protocol") == 0 || strcmp(field, "nexthdr") == 0))
		return has_text(right, udp);
	return ip ? PERHAPS : NO; /* tcp, icmp, … */
}

static enum match match_meta(const struct walk *walk, const char *key, const json_t *right)
{
	static const char *const udp[] = { "udp", "17", NULL }, *const ipv4[] = { "ipv4", NULL };
	const char *const interface[] = { walk->interface, NULL };
	const char *const lo[] = { "lo", NULL };

	if (strcmp(key, "l4proto") == 0)
		return has_text(right, udp);
	if (strcmp(key, "nfproto") == 0)
		return has_text(right, ipv4);
	if (strcmp(key, "iifname") != 0 && strcmp(key, "iif") != 0)
		return PERHAPS;
	if (!walk->interface || !*walk->interface)
		return has_text(right, lo) == YES ? NO : PERHAPS;
	return has_text(right, interface);
}

/* A packet is "new": connection tracking knows no answer of RoCE. */
static enum match match_ct(const char *key, const json_t *right)
{
	static const char *const states[] = { "new", "untracked", NULL };

	return strcmp(key, "state") == 0 ? has_text(right, states) : PERHAPS;
}

static enum match match_left(const struct walk *walk, const json_t *left, const json_t *right)
{
	const json_t *meta = json_object_get(left, "meta"), *ct = json_object_get(left, "ct");
	const json_t *payload = json_object_get(left, "payload");

	if (payload)
		return match_payload(payload, right);
	if (meta)
		return match_meta(walk, text_of(meta, "key"), right);
	return ct ? match_ct(text_of(ct, "key"), right) : PERHAPS;
}

static enum match match_one(const struct walk *walk, const json_t *match)
{
	const char *op = text_of(match, "op");
	enum match result = match_left(walk, json_object_get(match, "left"),
		json_object_get(match, "right"));

	if (strcmp(op, "!=") == 0)
		return inverted(result);
	return strcmp(op, "==") == 0 || strcmp(op, "in") == 0 ? result : PERHAPS;
}

/* ---- rules ---- */

static enum verdict walk_chain(struct walk *walk, const char *family, const char *table,
	const char *chain, int depth);

static enum verdict verdict_of(struct walk *walk, const json_t *rule, const json_t *statement,
	int depth)
{
	const json_t *jump = json_object_get(statement, "jump");

	if (!jump)
		jump = json_object_get(statement, "goto");
	if (jump)
		return walk_chain(walk, text_of(rule, "family"), text_of(rule, "table"),
			text_of(jump, "target"), depth + 1);
	if (json_object_get(statement, "accept"))
		return ACCEPT;
	if (json_object_get(statement, "drop") || json_object_get(statement, "reject"))
		return DROP;
	return json_object_get(statement, "return") ? RETURN : CONTINUE;
}

/* "ct state vmap { established : accept, new : jump … }" */
static enum verdict verdict_of_map(struct walk *walk, const json_t *rule, const json_t *map,
	enum match *sure, int depth)
{
	const json_t *pairs = json_object_get(json_object_get(map, "data"), "set");
	const json_t *pair;
	size_t i;

	json_array_foreach(pairs, i, pair) {
		enum match match = match_left(walk, json_object_get(map, "key"), json_array_get(pair, 0));
		if (match == NO)
			continue;
		*sure = match < *sure ? match : *sure;
		return verdict_of(walk, rule, json_array_get(pair, 1), depth);
	}
	return CONTINUE;
}

/* A rule that only perhaps applies decides nothing, but makes the answer uncertain. */
static enum verdict walk_rule(struct walk *walk, const json_t *rule, int depth)
{
	enum match sure = YES;
	const json_t *statement;
	size_t i;

	json_array_foreach(json_object_get(rule, "expr"), i, statement) {
		const json_t *match = json_object_get(statement, "match");
		const json_t *map = json_object_get(statement, "vmap");
		enum verdict verdict = CONTINUE;
		if (match) {
			enum match one = match_one(walk, match);
			sure = one < sure ? one : sure;
		} else if (json_object_get(statement, "limit") || json_object_get(statement, "xt")) {
			sure = PERHAPS < sure ? PERHAPS : sure; /* xt: of iptables, not told in full */
		} else if (sure != NO) {
			verdict = map ? verdict_of_map(walk, rule, map, &sure, depth) :
				verdict_of(walk, rule, statement, depth);
		}
		if (sure == NO)
			return CONTINUE;
		if (verdict == CONTINUE)
			continue;
		if (sure == YES)
			return verdict;
		walk->perhaps_accepted |= verdict == ACCEPT;
		walk->perhaps_dropped |= verdict == DROP;
		return CONTINUE;
	}
	return CONTINUE;
}

static bool stands_in(const json_t *rule, const char *family, const char *table, const char *chain)
{
	return strcmp(text_of(rule, "family"), family) == 0 &&
		strcmp(text_of(rule, "table"), table) == 0 && strcmp(text_of(rule, "chain"), chain) == 0;
}

static enum verdict walk_chain(struct walk *walk, const char *family, const char *table,
	const char *chain, int depth)
{
	json_t *item;
	size_t i;

	if (depth > DEPTH_MAX)
		return CONTINUE;
	json_array_foreach(walk->items, i, item) {
		const json_t *rule = json_object_get(item, "rule");
		if (!rule || !stands_in(rule, family, table, chain))
			continue;
		enum verdict verdict = walk_rule(walk, rule, depth);
		if (verdict == RETURN)
			return CONTINUE;
		if (verdict != CONTINUE)
			return verdict;
	}
	return CONTINUE;
}

/* ---- base chains ---- */

static bool meets_input(const json_t *chain)
{
	const char *hook = text_of(chain, "hook"), *family = text_of(chain, "family");
	bool here = strcmp(hook, "input") == 0 || strcmp(hook, "prerouting") == 0;

	return here && strcmp(text_of(chain, "type"), "filter") == 0 &&
		(strcmp(family, "ip") == 0 || strcmp(family, "inet") == 0);
}

static void say_chain(struct firewall_answer *answer, const json_t *chain)
{
	const char *family = text_of(chain, "family"), *table = text_of(chain, "table");
	const char *name = text_of(chain, "name");

	snprintf(answer->where, sizeof answer->where, "chain %s of table %s %s", name, family, table);
	if (strcmp(name, "INPUT") == 0) /* made by iptables, which should stay its only editor */
		snprintf(answer->fix, sizeof answer->fix,
			"iptables -I INPUT -p udp --dport " ROCE_PORT_TEXT " -j ACCEPT");
	else
		snprintf(answer->fix, sizeof answer->fix,
			"nft insert rule %s %s %s udp dport " ROCE_PORT_TEXT " accept", family, table, name);
}

static void ask_chain(struct walk *walk, const json_t *chain, struct firewall_answer *answer)
{
	walk->perhaps_accepted = walk->perhaps_dropped = false;
	enum verdict verdict = walk_chain(walk, text_of(chain, "family"), text_of(chain, "table"),
		text_of(chain, "name"), 0);
	bool dropped = verdict == DROP ||
		(verdict != ACCEPT && strcmp(text_of(chain, "policy"), "drop") == 0);
	if (!dropped && !walk->perhaps_dropped)
		return;
	enum firewall state = dropped && !walk->perhaps_accepted ? FIREWALL_CLOSED : FIREWALL_UNSURE;
	if (answer->state == FIREWALL_CLOSED)
		return;
	answer->state = state;
	say_chain(answer, chain);
}

void firewall_nft(const char *json, size_t len, const char *interface,
	struct firewall_answer *answer)
{
	json_t *document = json_loadb(json, len, 0, NULL), *item;
	struct walk walk = { .items = json_object_get(document, "nftables"), .interface = interface };
	size_t i;

	if (!document) {
		*answer = (struct firewall_answer){ .state = FIREWALL_UNSEEN, .where = "nft's answer" };
		return;
	}
	json_array_foreach(walk.items, i, item) {
		const json_t *chain = json_object_get(item, "chain");
		if (chain && meets_input(chain))
			ask_chain(&walk, chain, answer);
	}
	json_decref(document);
}
