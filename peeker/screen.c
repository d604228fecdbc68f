/* SPDX-License-Identifier: Apache-2.0 */
/* See screen.h. */
#define NCURSES_WIDECHAR 1
#include <curses.h>
#include <term.h>

/* macros of term.h that are words */
#undef lines
#undef columns

#include "restore.h"
#include "screen.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

static bool active;
static SCREEN *screen;
static attr_t attributes[STYLES];
static short pairs[STYLES];

/* ---- colours ---- */

struct look { attr_t attributes; short text16, field16, text256, field256; };

/* Each style as attributes alone, with the sixteen colours (their number), and with 256; -1
 * is the terminal's own. Of the 256 those are taken that are read on black and on white. The
 * attributes tell the banners apart where there is no colour. */
static const struct look looks[STYLES] = {
	[STYLE_PLAIN] = { A_NORMAL, -1, -1, -1, -1 },
	[STYLE_DIM] = { A_DIM, -1, -1, 245, -1 },
	[STYLE_BOLD] = { A_BOLD, -1, -1, -1, -1 },
	[STYLE_TITLE] = { A_UNDERLINE, COLOR_CYAN, -1, 37, -1 },
	[STYLE_GROUP] = { A_BOLD, COLOR_CYAN, -1, 32, -1 },
	[STYLE_KEY] = { A_BOLD, COLOR_YELLOW, -1, 136, -1 },
	[STYLE_SPARK] = { A_NORMAL, COLOR_BLUE, -1, 67, -1 },
	[STYLE_GOOD] = { A_NORMAL, COLOR_GREEN, -1, 71, -1 },
	[STYLE_WARN] = { A_BOLD, COLOR_YELLOW, -1, 172, -1 },
	[STYLE_BAD] = { A_BOLD, COLOR_RED, -1, 167, -1 },
	[STYLE_NEVER] = { A_DIM, -1, -1, 245, -1 },
	[STYLE_FORCED] = { A_BOLD, COLOR_MAGENTA, -1, 133, -1 },
	[STYLE_SIMULATED] = { A_NORMAL, COLOR_CYAN, -1, 37, -1 },
	[STYLE_ON_GOOD] = { A_BOLD, COLOR_BLACK, COLOR_GREEN, 231, 28 },
	[STYLE_ON_WARN] = { A_BOLD, COLOR_BLACK, COLOR_YELLOW, 232, 214 },
	[STYLE_ON_BAD] = { A_BOLD, COLOR_WHITE, COLOR_RED, 231, 160 },
	[STYLE_ON_INFO] = { A_BOLD, COLOR_WHITE, COLOR_BLUE, 231, 25 },
};

static bool is_field(size_t style)
{
	return style >= STYLE_ON_GOOD;
}

static void choose_looks(bool colour)
{
	colour = colour && has_colors() && start_color() == OK && use_default_colors() == OK;
	for (size_t i = 0; i < STYLES; i++) {
		const struct look *look = &looks[i];
		bool many = COLORS >= 256;
		short text = many ? look->text256 : look->text16;
		short field = many ? look->field256 : look->field16;
		attributes[i] = look->attributes;
		pairs[i] = 0;
		if (!colour || COLORS < 8) {
			if (is_field(i))
				attributes[i] |= A_REVERSE;
			continue;
		}
		if (many && i == STYLE_DIM)
			attributes[i] = A_NORMAL; /* grey says it already, and dim grey is unreadable */
		if (many && i == STYLE_NEVER)
			attributes[i] = A_NORMAL;
		if ((text >= 0 || field >= 0) && (int)i + 1 < COLOR_PAIRS &&
		    init_pair((short)(i + 1), text, field) == OK)
			pairs[i] = (short)(i + 1);
	}
}

/* ---- life ---- */

int screen_begin(bool colour)
{
	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
		return -ENOTTY;
	int error = restore_prepare(STDOUT_FILENO);
	if (error)
		return error;
	screen = newterm(NULL, stdout, stdin);
	if (!screen)
		return -ENXIO;
	active = true;
	atexit(screen_end);
	restore_add(tigetstr("sgr0"));
	restore_add(tigetstr("op"));
	restore_add(tigetstr("rmkx"));
	restore_add(tigetstr("cnorm"));
	restore_add(tigetstr("rmcup"));
	restore_arm();
	choose_looks(colour);
	cbreak();
	noecho();
	nonl();
	set_escdelay(25);
	keypad(stdscr, TRUE);
	nodelay(stdscr, TRUE);
	leaveok(stdscr, TRUE);
	curs_set(0);
	return 0;
}

void screen_end(void)
{
	if (!active)
		return;
	active = false;
	endwin();
	restore_disarm();
	delscreen(screen);
	screen = NULL;
}

/* ---- showing ---- */

int screen_fit(struct canvas *canvas)
{
	int height, width;

	getmaxyx(stdscr, height, width);
	return canvas_resize(canvas, height, width);
}

static void show_run(int y, int x, const struct glyph *run, int n)
{
	wchar_t text[256];
	unsigned style = run->style & (STYLE_CURSOR - 1u);
	attr_t attribute = attributes[style];
	int length = 0;

	if (run->style & STYLE_CURSOR)
		attribute ^= A_REVERSE;
	for (int i = 0; i < n && length < 255; i++)
		if (run[i].point)
			text[length++] = (wchar_t)run[i].point;
	attr_set(attribute, pairs[style], NULL);
	mvaddnwstr(y, x, text, length);
}

void screen_show(const struct canvas *canvas)
{
	int height, width;

	getmaxyx(stdscr, height, width);
	if (height > canvas->height)
		height = canvas->height;
	if (width > canvas->width)
		width = canvas->width;
	erase();
	for (int y = 0; y < height; y++) {
		const struct glyph *row = &canvas->glyphs[(size_t)y * (size_t)canvas->width];
		for (int x = 0, end; x < width; x = end) {
			for (end = x + 1; end < width && end - x < 200 &&
			     row[end].style == row[x].style; end++)
				;
			show_run(y, x, row + x, end - x);
		}
	}
	attr_set(A_NORMAL, 0, NULL);
	refresh();
}

void screen_redraw(void)
{
	clearok(curscr, TRUE);
}

/* ---- keys ---- */

bool screen_wait(int timeout_ms)
{
	struct pollfd end = { .fd = STDIN_FILENO, .events = POLLIN };

	if (poll(&end, 1, timeout_ms) <= 0)
		return true; /* nothing, or a signal */
	return !(end.revents & (POLLHUP | POLLERR | POLLNVAL));
}

static int function_key(wint_t code)
{
	static const struct { wint_t curses; int key; } keys[] = {
		{ KEY_RESIZE, INPUT_SIZE }, { KEY_UP, INPUT_ROW_UP }, { KEY_DOWN, INPUT_ROW_DOWN },
		{ KEY_PPAGE, INPUT_PAGE_UP }, { KEY_NPAGE, INPUT_PAGE_DOWN }, { KEY_HOME, INPUT_FIRST },
		{ KEY_END, INPUT_LAST }, { KEY_LEFT, INPUT_TO_LEFT }, { KEY_RIGHT, INPUT_TO_RIGHT },
		{ KEY_ENTER, INPUT_ACCEPT }, { KEY_BACKSPACE, INPUT_RUB_OUT }, { KEY_DC, INPUT_RUB_OUT },
	};

	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
		if (keys[i].curses == code)
			return keys[i].key;
	return INPUT_OTHER;
}

int screen_key(void)
{
	wint_t code = 0;
	int kind = get_wch(&code);

	if (kind == KEY_CODE_YES)
		return function_key(code);
	if (kind == ERR)
		return INPUT_NO;
	if (code == '\r' || code == '\n')
		return INPUT_ACCEPT;
	if (code == 0x7f || code == '\b')
		return INPUT_RUB_OUT;
	return code ? (int)code : INPUT_OTHER;
}
