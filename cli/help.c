/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of verbs, and help made from it. dsm.1 says the same at more length.
 */
#include "cli.h"

#include <string.h>

const struct verb verbs[] = {
	{ .name = "ls", .bit = VERB_LS, .max_args = 1, .run = verb_ls,
	  .args = "[-g|-o] [GLOB]",
	  .summary = "list cells, groups or owners",
	  .text = "Lists the cells whose name matches GLOB (all without one) in table order.\n"
		"The name comes first in every format.",
	  .examples = "dsm ls 'drilling.*'\ndsm ls --groups" },
	{ .name = "info", .bit = VERB_INFO, .max_args = -1, .run = verb_info,
	  .args = "[-m] [NAME]…",
	  .summary = "describe the region, a group, a cell or an owner",
	  .text = "Without NAME: the region. For a group it states the rule for the number of\n"
		"slots K >= 1 + ceil(p99 of a read / commit interval); with --measure it\n"
		"watches the group for about a second and says which K that asks for.",
	  .examples = "dsm info\ndsm info drilling --measure" },
	{ .name = "get", .synonym = "peek", .bit = VERB_GET, .min_args = 1, .max_args = -1,
	  .run = verb_get,
	  .args = "[-t] [-i S] NAME|GLOB…",
	  .summary = "print values",
	  .text = "Cells of one group come from one commit, never a mix of two. A group's name\n"
		"stands for all its cells. Ends with status 4 if a value is stale, bad or was\n"
		"never written; it is printed nevertheless.",
	  .examples = "dsm get drilling.rop 'mud.*'\ndsm get -t drilling.rop\n"
		"dsm get --format csv -i 1 --count 60 'drilling.*' > minute.csv" },
	{ .name = "set", .synonym = "poke", .bit = VERB_SET, .min_args = 2, .max_args = -1,
	  .run = verb_set,
	  .args = "[--owner ROLE] NAME VALUE [NAME VALUE]…",
	  .summary = "set cells: by request, or as their owner",
	  .text = "Asks the owner of each cell to set it. With --owner it claims the role\n"
		"itself and commits all values in one step; the role is given back at the end,\n"
		"so those groups then read as stale until somebody owns them again.\n"
		"bool: true or false; bytes: hexadecimal. All names and values are checked\n"
		"before the first is sent.",
	  .examples = "dsm set pump.setpoint 62.5\n"
		"dsm set --owner operator panel.brake 1.5 panel.mode auto" },
	{ .name = "watch", .bit = VERB_WATCH, .min_args = 1, .max_args = -1, .run = verb_watch,
	  .args = "[-c] [-i S] [-n N] NAME|GLOB…",
	  .summary = "print values as they change",
	  .text = "Prints every cell once and then each change of value, quality or staleness;\n"
		"with --changes only the changes. With -i S: every cell every S seconds, or\n"
		"with --changes the changed ones. Commits that were overwritten before they\n"
		"could be read are reported on standard error. Ctrl-C ends it with status 0.\n"
		"With --rate, --nth or --deadband fewer commits are shown: over udp:// the\n"
		"engine sends no others.",
	  .examples = "dsm watch 'drilling.*'\ndsm watch --format jsonl --changes drilling.rop\n"
		"dsm watch --rate 5 --deadband 1% 'drilling.*'\ndsm watch --once 'mud.*'" },
	{ .name = "wait", .bit = VERB_WAIT, .min_args = 1, .max_args = 1, .run = verb_wait,
	  .args = "[--since SEQ] [--value [OP]VALUE] [--timeout S] GROUP|CELL",
	  .summary = "wait for a commit, a change or a value",
	  .text = "GROUP: until its next commit, or one after SEQ. CELL: until its value or\n"
		"quality changes; with --value until it is VALUE (and current), or compares so\n"
		"to it. Prints what it saw. Status 3 when --timeout passes first.",
	  .examples = "dsm wait --timeout 5 drilling\ndsm wait --value '>=1500' bit.depth\n"
		"dsm wait --value true pump.running && echo running" },
	{ .name = "dump", .bit = VERB_DUMP, .max_args = 1, .run = verb_dump,
	  .args = "[GLOB]",
	  .summary = "everything about every cell",
	  .text = "Value, unit, quality, staleness, age, commit number, epoch, type, range,\n"
		"precision, owner and description of the matching cells, in table order.",
	  .examples = "dsm dump --format json > table.json\ndsm dump 'mud.*'" },
	{ .name = "add", .bit = VERB_ADD, .min_args = 2, .max_args = 2, .run = verb_add,
	  .args = "[--min N] [--max N] CELL DELTA",
	  .summary = "add to a number, print the value before",
	  .text = "Exactly once, whoever else adds: a counter, a semaphore, a ticket. With\n"
		"--min or --max a result outside is refused (status 1, nothing changed, the\n"
		"value is printed all the same).",
	  .examples = "dsm add queue.ticket 1\ndsm add --min 0 pool.free -1" },
	{ .name = "stat", .bit = VERB_STAT, .run = verb_stat,
	  .args = "[-c | -d] [-i S] [-n N]",
	  .summary = "counters of the engine and of this handle, or its ADC boards",
	  .text = "Counters of the engine are read from its memory; it is not asked. With -i\n"
		"every S seconds, with rates. With -d the ADC boards one by one: rate, what was\n"
		"lost or refused and why, clock against the engine's, last reset.",
	  .examples = "dsm stat\ndsm stat -i 1 --changes\ndsm stat --devices --format json" },
	{ .name = "ps", .bit = VERB_PS, .run = verb_ps,
	  .args = "[-i S] [-n N]",
	  .summary = "clients of the engine",
	  .text = "Session, process, user, program, role, transport, address, age and messages\n"
		"of every client. Asks the engine: one round trip.",
	  .examples = "dsm ps\ndsm ps --format json" },
	{ .name = "keygen", .bit = VERB_KEYGEN, .min_args = 1, .max_args = -1, .run = verb_keygen,
	  .args = "ROLE…",
	  .summary = "make keys, print them as a key file",
	  .text = "ROLE is read, request (read, and ask owners to set cells), owner:NAME (claim\n"
		"that role; request and read too) or device:NUMBER (an ADC board). One new\n"
		"random key for each. No engine is asked. Keep the file for yourself: the\n"
		"engine refuses one that others may read.",
	  .examples = "(umask 077; dsm keygen read owner:operator > rig.keys)\n"
		"dsm keygen device:7 >> rig.keys" },
	{ .name = "rxe", .bit = VERB_RXE, .min_args = 1, .max_args = 3, .run = verb_rxe,
	  .args = "status | add IFACE [DEVICE] | del IFACE|DEVICE | persist IFACE",
	  .summary = "RDMA on an Ethernet interface (Soft-RoCE): show, make, undo",
	  .text = "add loads the kernel's modules and makes a device (rxe0, unless DEVICE is given)\n"
		"of the interface; persist does so at every boot, by a systemd unit. del undoes\n"
		"both, and unloads what add loaded with the last device; it names the processes\n"
		"that hold the device and refuses while they do, or waits for them for --timeout\n"
		"seconds. status lists all RDMA devices; status 1 if there is none.",
	  .examples = "sudo dsm rxe add eth0\ndsm rxe status\nsudo dsm rxe persist eth0\n"
		"sudo dsm rxe del eth0 --timeout 10" },
	{ .name = "doctor", .bit = VERB_DOCTOR, .max_args = 1, .run = verb_doctor,
	  .args = "[URI]",
	  .summary = "check RDMA on this machine, and an engine; say how to mend",
	  .text = "Modules, devices, access, MTU, addresses, packet filter, locked memory; with URI\n"
		"also whether that engine is reached, of the same version and alive, which role\n"
		"this user has, which owners are absent, how far apart the clocks are. Changes\n"
		"nothing. Status 1 if a line says fail; warnings do not count.",
	  .examples = "dsm doctor\ndsm doctor rdma://192.168.77.1\n"
		"dsm doctor --format json | jq '.[] | select(.state != \"ok\")'" },
	{ .name = "top", .bit = VERB_TOP, .max_args = -1, .run = verb_top,
	  .args = "[-i S] [GLOB]… [-- OPTION…]",
	  .summary = "see all of it live in the terminal",
	  .text = "Starts the peeker: cells with value, age, rate, history and quality, owners, the\n"
		"engine's state. What stands after -- goes to it as it is; peeker --help tells.",
	  .examples = "dsm top\ndsm top 'drilling.*' -- --pin drilling.rop --against shm://standby" },
	{ .name = "help", .bit = VERB_HELP, .max_args = 1, .run = verb_help,
	  .args = "[VERB]",
	  .summary = "help for a verb",
	  .text = "With --format raw: verbs or options only, for completion.",
	  .examples = "dsm help watch" },
	{ .name = "version", .bit = VERB_VERSION, .run = verb_version,
	  .args = "",
	  .summary = "version of dsm, of the memory layout and of the control messages",
	  .text = "An engine and a client of different layouts refuse each other.",
	  .examples = "dsm version" },
};
const size_t verbs_count = sizeof verbs / sizeof verbs[0];

const struct verb *verb_find(const char *name)
{
	for (size_t i = 0; i < verbs_count; i++)
		if (strcmp(verbs[i].name, name) == 0 ||
		    (verbs[i].synonym && strcmp(verbs[i].synonym, name) == 0))
			return &verbs[i];
	return NULL;
}

static void print_indented(FILE *file, const char *text, const char *before)
{
	while (*text) {
		int len = (int)strcspn(text, "\n");
		fprintf(file, "%s%.*s\n", before, len, text);
		text += len;
		text += *text == '\n';
	}
}

void help_program(FILE *file)
{
	fputs("dsm: look at and change the cell table of an engine\n\n"
		"usage: dsm [OPTION]… VERB [ARGUMENT]…\n\n", file);
	for (size_t i = 0; i < verbs_count; i++) {
		const struct verb *verb = &verbs[i];
		char names[24];
		snprintf(names, sizeof names, "%s%s%s", verb->name, verb->synonym ? ", " : "",
			verb->synonym ? verb->synonym : "");
		fprintf(file, "  %-12s %s\n", names, verb->summary);
	}
	fputs("\nOptions of every verb:\n", file);
	options_print(file, VERB_ALL, false);
	fputs("\nExit status: 0 ok, 1 not found or refused, 2 usage, 3 timeout,\n"
		"4 stale or bad quality (value still printed).\n\n"
		"Example:\n  dsm -u rig get 'drilling.*'\n"
		"`dsm help VERB` tells more; man dsm tells all.\n", file);
}

void help_verb(FILE *file, const struct verb *verb)
{
	fprintf(file, "dsm %s: %s\n\nusage: dsm [OPTION]… %s %s\n\n", verb->name, verb->summary,
		verb->name, verb->args);
	print_indented(file, verb->text, "");
	if (verb->synonym)
		fprintf(file, "Synonym: %s\n", verb->synonym);
	fputs("\nOptions:\n", file);
	options_print(file, verb->bit, false);
	options_print(file, VERB_ALL, false);
	fputs("\nExample:\n", file);
	print_indented(file, verb->examples, "  ");
}

static bool wants_raw(const struct cli *cli)
{
	return cli->set.format && strcmp(cli->set.format, "raw") == 0;
}

enum status verb_help(struct cli *cli)
{
	const struct verb *verb = cli->n_args ? verb_find(cli->args[0]) : NULL;

	if (cli->n_args && !verb)
		return cli_usage(cli, "no verb \"%s\"", cli->args[0]);
	if (wants_raw(cli) && verb) {
		options_print(stdout, verb->bit, true);
	} else if (wants_raw(cli)) {
		for (size_t i = 0; i < verbs_count; i++)
			fprintf(stdout, "%s\n%s%s", verbs[i].name,
				verbs[i].synonym ? verbs[i].synonym : "", verbs[i].synonym ? "\n" : "");
	} else if (verb) {
		help_verb(stdout, verb);
	} else {
		help_program(stdout);
	}
	return STATUS_OK;
}

enum status verb_version(struct cli *cli)
{
	(void)cli;
	fprintf(stdout, "dsm %s (layout %d, control %d)\n", DSM_VERSION, DSM_LAYOUT_VERSION,
		DSM_CONTROL_VERSION);
	return STATUS_OK;
}
