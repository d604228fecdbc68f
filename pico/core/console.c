/* SPDX-License-Identifier: Apache-2.0 */
#include "console.h"

static const char help[] =
	"show               the settings\r\n"
	"set NAME VALUE     change one; it counts after save and reset\r\n"
	"save               keep them\r\n"
	"epoch N            the boot counter goes on from N\r\n"
	"status             what the board has done\r\n"
	"reset              start anew\r\n";

void console_start(struct console *c, struct pico_settings *settings)
{
	c->settings = settings;
	c->length = c->put = c->got = 0;
	c->too_long = false;
}

static void print_char(struct console *c, char text)
{
	if (c->put - c->got < CONSOLE_OUT)
		c->out[c->put++ % CONSOLE_OUT] = text;
}

void console_print(struct console *c, const char *text)
{
	while (*text)
		print_char(c, *text++);
}

void console_number(struct console *c, uint32_t number)
{
	char digits[11];
	unsigned n = sizeof(digits) - 1;
	digits[n] = '\0';
	do
		digits[--n] = (char)('0' + number % 10);
	while ((number /= 10));
	console_print(c, digits + n);
}

static void show(struct console *c)
{
	char text[SETTINGS_TEXT];
	for (unsigned i = 0; i < SETTINGS_COUNT; i++) {
		settings_text(c->settings, i, text);
		console_print(c, settings_name(i));
		console_print(c, " ");
		console_print(c, text);
		console_print(c, "\r\n");
	}
	console_print(c, c->settings->has_key ? "key (set)\r\n" : "key (none)\r\n");
}

/* Cuts the next word off; "" at the end. */
static char *next_word(char **rest)
{
	char *word = *rest, *p;
	while (*word == ' ')
		word++;
	for (p = word; *p && *p != ' '; p++)
		;
	*rest = *p ? p + 1 : p;
	*p = '\0';
	return word;
}

static bool same(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return *a == *b;
}

static bool parse_number(const char *text, uint32_t *out)
{
	uint64_t v = 0;
	if (!*text)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9' || (v = 10 * v + (uint64_t)(*text - '0')) > UINT32_MAX)
			return false;
	}
	*out = (uint32_t)v;
	return true;
}

static void wrong(struct console *c, const char *expected)
{
	console_print(c, "error: expected ");
	console_print(c, expected);
	console_print(c, "\r\n");
}

static void set(struct console *c, const char *name, const char *value)
{
	const char *expected = settings_set(c->settings, name, value);
	if (expected)
		wrong(c, expected);
	else
		console_print(c, "ok, not saved yet\r\n");
}

static enum console_verb take_line(struct console *c)
{
	char *rest = c->line, *verb = next_word(&rest), *first = next_word(&rest), *second = next_word(&rest);
	if (*next_word(&rest)) {
		wrong(c, "at most a verb and two words");
	} else if (same(verb, "show")) {
		show(c);
	} else if (same(verb, "set")) {
		set(c, first, second);
	} else if (same(verb, "save")) {
		return CONSOLE_SAVE;
	} else if (same(verb, "reset")) {
		return CONSOLE_RESET;
	} else if (same(verb, "status")) {
		return CONSOLE_STATUS;
	} else if (same(verb, "epoch")) {
		if (parse_number(first, &c->epoch) && c->epoch <= CONSOLE_EPOCH_MAX)
			return CONSOLE_EPOCH;
		wrong(c, "a number from 0 to 4000000000");
	} else if (same(verb, "help")) {
		console_print(c, help);
	} else if (*verb) {
		wrong(c, "a verb; help lists them");
	}
	return CONSOLE_NONE;
}

/* "set key " and what follows: it is not echoed, as it is not shown. */
static bool is_secret(const struct console *c)
{
	static const char *const words[] = { "set", "key" };
	unsigned at = 0;
	for (unsigned w = 0; w < 2; w++) {
		while (at < c->length && c->line[at] == ' ')
			at++;
		for (const char *p = words[w]; *p; p++, at++)
			if (at >= c->length || c->line[at] != *p)
				return false;
		if (at >= c->length || c->line[at] != ' ')
			return false;
	}
	return true;
}

static enum console_verb take_char(struct console *c, char typed)
{
	enum console_verb verb = CONSOLE_NONE;
	if (typed == '\r' || typed == '\n') {
		console_print(c, "\r\n");
		c->line[c->length] = '\0';
		if (c->too_long)
			wrong(c, "a shorter line");
		else
			verb = take_line(c);
		for (unsigned i = 0; i < CONSOLE_LINE; i++)
			c->line[i] = 0; /* it may have had a key in it */
		c->length = 0;
		c->too_long = false;
	} else if (typed == '\b' || typed == 0x7f) {
		if (c->length) {
			c->length--;
			console_print(c, "\b \b");
		}
	} else if (typed >= ' ' && typed < 0x7f) {
		if (c->length < CONSOLE_LINE - 1)
			c->line[c->length++] = typed;
		else
			c->too_long = true;
		print_char(c, typed != ' ' && is_secret(c) ? '*' : typed);
	}
	return verb;
}

enum console_verb console_poll(struct console *c)
{
	enum console_verb verb = CONSOLE_NONE;
	for (unsigned i = 0; i < 32 && verb == CONSOLE_NONE; i++) {
		int typed = hal_console_get();
		if (typed < 0)
			break;
		verb = take_char(c, (char)typed);
	}
	for (unsigned i = 0; i < 32 && c->got != c->put && hal_console_put(c->out[c->got % CONSOLE_OUT]); i++)
		c->got++;
	return verb;
}
