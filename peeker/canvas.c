/* SPDX-License-Identifier: Apache-2.0 */
/* See canvas.h. */
#include "canvas.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#define REPLACEMENT 0xfffdu
#define ELLIPSIS 0x2026u

int canvas_resize(struct canvas *canvas, int height, int width)
{
	size_t need = (size_t)height * (size_t)width;

	if (need > canvas->room) {
		struct glyph *glyphs = realloc(canvas->glyphs, need * sizeof *glyphs);
		if (!glyphs)
			return -ENOMEM;
		canvas->glyphs = glyphs;
		canvas->room = need;
	}
	canvas->height = height;
	canvas->width = width;
	canvas_clear(canvas);
	return 0;
}

void canvas_clear(struct canvas *canvas)
{
	size_t n = (size_t)canvas->height * (size_t)canvas->width;

	for (size_t i = 0; i < n; i++)
		canvas->glyphs[i] = (struct glyph){ ' ', STYLE_PLAIN };
}

void canvas_free(struct canvas *canvas)
{
	free(canvas->glyphs);
	*canvas = (struct canvas){ 0 };
}

/* ---- text ---- */

/* The next code point of UTF-8; REPLACEMENT for a byte that is part of none. */
static uint32_t next_point(const char **text)
{
	static const struct { unsigned char mask, lead; int more; uint32_t least; } forms[] = {
		{ 0x80, 0x00, 0, 0 }, { 0xe0, 0xc0, 1, 0x80 }, { 0xf0, 0xe0, 2, 0x800 },
		{ 0xf8, 0xf0, 3, 0x10000 },
	};
	const unsigned char *p = (const unsigned char *)*text;

	for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
		if ((p[0] & forms[i].mask) != forms[i].lead)
			continue;
		uint32_t point = p[0] & (unsigned char)~forms[i].mask;
		int k = 1;
		while (k <= forms[i].more && (p[k] & 0xc0) == 0x80)
			point = point << 6 | (p[k++] & 0x3f);
		if (k <= forms[i].more || point < forms[i].least || point > 0x10ffff ||
		    (point >= 0xd800 && point < 0xe000))
			break;
		*text += k;
		return point;
	}
	*text += 1;
	return REPLACEMENT;
}

/* What ASCII says instead. */
static uint32_t ascii_of(uint32_t point)
{
	static const struct { uint32_t point, ascii; } pairs[] = {
		{ 0xb2, '2' }, { 0xb3, '3' }, { 0xb5, 'u' }, { 0x3bc, 'u' }, { 0xb7, '.' },
		{ 0xb0, 'o' }, { 0x2013, '-' }, { 0x2014, '-' }, { 0x2026, '~' }, { 0x2264, '<' },
		{ 0x2500, '-' }, { 0x2502, '|' }, { 0x251c, '|' }, { 0x2524, '|' }, { 0x25cf, 'o' },
		{ 0x25b8, '>' }, { 0x25be, 'v' }, { 0x2605, '*' }, { 0x2260, '#' }, { 0x2717, 'x' },
		{ 0x25cb, 'o' }, { 0x2588, '#' }, { 0x2190, '<' }, { 0x2192, '>' },
		{ 0x2191, '^' }, { 0x2193, 'v' },
	};

	if (point < 0x80)
		return point;
	for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
		if (pairs[i].point == point)
			return pairs[i].ascii;
	if (point >= 0x2581 && point <= 0x2588) /* eighths of a block, for sparklines */
		return (unsigned char)"_..--==#"[point - 0x2581];
	return '?';
}

/* What stands for the point here, and its columns; 0 columns: nothing does. */
static uint32_t shown_as(const struct canvas *canvas, uint32_t point, int *columns)
{
	if (point < 0x20 || (point >= 0x7f && point < 0xa0))
		point = canvas->utf8 ? 0xb7 : '.';
	else if (!canvas->utf8)
		point = ascii_of(point);
	*columns = point < 0x7f ? 1 : wcwidth((wchar_t)point);
	if (*columns < 0) {
		*columns = 1;
		return REPLACEMENT;
	}
	return point;
}

static struct glyph *at(struct canvas *canvas, int y, int x)
{
	if (y < 0 || y >= canvas->height || x < 0 || x >= canvas->width)
		return NULL;
	return &canvas->glyphs[(size_t)y * (size_t)canvas->width + (size_t)x];
}

void canvas_point(struct canvas *canvas, int y, int x, unsigned style, uint32_t point)
{
	struct glyph *glyph = at(canvas, y, x);
	int columns;

	if (glyph)
		*glyph = (struct glyph){ shown_as(canvas, point, &columns), (uint8_t)style };
}

int canvas_width(const struct canvas *canvas, const char *text)
{
	int width = 0, columns;

	while (*text) {
		shown_as(canvas, next_point(&text), &columns);
		width += columns;
	}
	return width;
}

int canvas_put(struct canvas *canvas, int y, int x, int width, unsigned style, const char *text)
{
	bool cut;
	int used = 0, columns;

	if (x + width > canvas->width)
		width = canvas->width - x;
	if (width <= 0)
		return 0;
	cut = strlen(text) > (size_t)width && canvas_width(canvas, text) > width;
	while (*text) {
		uint32_t point = shown_as(canvas, next_point(&text), &columns);
		if (columns == 0)
			continue;
		if (used + columns > width - cut)
			break;
		canvas_point(canvas, y, x + used, style, point);
		if (columns == 2 && at(canvas, y, x + used + 1))
			*at(canvas, y, x + used + 1) = (struct glyph){ 0, (uint8_t)style };
		used += columns;
	}
	if (cut)
		canvas_point(canvas, y, x + used++, style, ELLIPSIS);
	return used;
}

int canvas_put_end(struct canvas *canvas, int y, int x, int width, unsigned style,
	const char *text)
{
	int excess = canvas_width(canvas, text) - width, columns;

	if (excess <= 0 || width < 2)
		return canvas_put(canvas, y, x, width, style, text);
	for (excess++; excess > 0 && *text; excess -= columns)
		shown_as(canvas, next_point(&text), &columns);
	canvas_point(canvas, y, x, style, ELLIPSIS);
	return 1 + canvas_put(canvas, y, x + 1, width - 1, style, text);
}

void canvas_put_right(struct canvas *canvas, int y, int x, int width, unsigned style,
	const char *text)
{
	int columns = canvas_width(canvas, text);
	int pad = columns < width ? width - columns : 0;

	canvas_put(canvas, y, x + pad, width - pad, style, text);
}

int canvas_print(struct canvas *canvas, int y, int x, int width, unsigned style,
	const char *fmt, ...)
{
	char text[1024];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	return canvas_put(canvas, y, x, width, style, text);
}

void canvas_restyle(struct canvas *canvas, int y, int x, int width, unsigned style)
{
	for (int i = 0; i < width; i++) {
		struct glyph *glyph = at(canvas, y, x + i);
		if (glyph)
			glyph->style = (uint8_t)style;
	}
}

void canvas_mark_row(struct canvas *canvas, int y)
{
	for (int x = 0; x < canvas->width; x++) {
		struct glyph *glyph = at(canvas, y, x);
		if (glyph)
			glyph->style |= STYLE_CURSOR;
	}
}

size_t utf8_of(uint32_t point, char *out)
{
	size_t n = point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
	static const unsigned char leads[] = { 0, 0, 0xc0, 0xe0, 0xf0 };

	for (size_t i = n; i > 1; i--) {
		out[i - 1] = (char)(0x80 | (point & 0x3f));
		point >>= 6;
	}
	out[0] = (char)(leads[n] | point);
	out[n] = '\0';
	return n;
}

void canvas_write_row(const struct canvas *canvas, int y, FILE *file)
{
	const struct glyph *row = &canvas->glyphs[(size_t)y * (size_t)canvas->width];
	int end = canvas->width;
	char text[8];

	while (end > 0 && row[end - 1].point == ' ')
		end--;
	for (int x = 0; x < end; x++)
		if (row[x].point)
			fwrite(text, 1, utf8_of(row[x].point, text), file);
	fputc('\n', file);
}
