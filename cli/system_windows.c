/* SPDX-License-Identifier: Apache-2.0 */
/* system.h on Windows, and what is not there. */
#include "system.h"

#include <errno.h>
#include <fcntl.h>
#include <io.h>
#include <signal.h>
#include <stdlib.h>
#define WIN32_NO_STATUS /* whose names are those of our exit statuses */
#include <windows.h>
#include <shellapi.h>

#include "cli.h"
#include "findings.h"

static char *to_utf8(const wchar_t *wide)
{
	int size = WideCharToMultiByte(CP_UTF8, 0, wide, -1, NULL, 0, NULL, NULL);
	char *text = size > 0 ? malloc((size_t)size) : NULL;

	if (text)
		WideCharToMultiByte(CP_UTF8, 0, wide, -1, text, size, NULL, NULL);
	return text;
}

/* Kept until the program ends, as argv is. */
int system_begin(int *argc, char ***argv)
{
	int n = 0;
	wchar_t **wide = CommandLineToArgvW(GetCommandLineW(), &n);
	char **words = calloc((size_t)n + 1, sizeof *words);

	for (int i = 0; wide && words && i < n; i++)
		if (!(words[i] = to_utf8(wide[i])))
			n = -1;
	LocalFree(wide);
	if (!wide || !words || n < 0)
		return -ENOMEM;
	*argc = n;
	*argv = words;
	SetConsoleOutputCP(CP_UTF8);
	_setmode(_fileno(stdout), _O_BINARY);
	_setmode(_fileno(stderr), _O_BINARY);
	return 0;
}

void system_catch_signals(void (*on_signal)(int number))
{
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	signal(SIGBREAK, on_signal); /* Ctrl-Break, a closed window */
}

bool system_reader_gone(FILE *file)
{
	(void)file;
	return false;
}

/* A file that lives in the cache while it is open, and is gone when it is closed. */
int memory_open(struct memory *memory)
{
	wchar_t folder[MAX_PATH + 1], path[MAX_PATH + 1];

	memory->text = NULL;
	memory->file = NULL;
	if (GetTempPathW(MAX_PATH, folder) && GetTempFileNameW(folder, L"dsm", 0, path))
		memory->file = _wfopen(path, L"w+bTD");
	return memory->file ? 0 : -EIO;
}

char *memory_take(struct memory *memory)
{
	long end = ftell(memory->file);
	size_t bytes = end > 0 ? (size_t)end : 0;
	char *text = malloc(bytes + 1);

	rewind(memory->file);
	if (text)
		text[fread(text, 1, bytes, memory->file)] = '\0';
	rewind(memory->file);
	return text;
}

void memory_close(struct memory *memory)
{
	if (memory->file)
		fclose(memory->file);
}

/* ---- what is of Linux alone ---- */

static enum status only_linux(const struct cli *cli, const char *instead)
{
	cli_say(cli, "not available on Windows: %s", instead);
	return STATUS_REFUSED;
}

enum status verb_rxe(struct cli *cli)
{
	return only_linux(cli, "Soft-RoCE is a part of Linux; from here an engine is reached by udp://HOST");
}

void check_machine(struct findings *findings)
{
	struct finding *finding = finding_add(findings, CHECK_WARN, "rdma", "not looked at: RDMA is not to be had "
		"on Windows, and Windows' own packet filter is not asked; udp://HOST needs neither a device nor a module");
	finding_fix(finding, "dsm doctor on the engine's machine looks at what is there");
}

enum status verb_top(struct cli *cli)
{
	return only_linux(cli, "run `peeker --web` at the engine and open its page, or use `dsm watch`");
}
