/* SPDX-License-Identifier: Apache-2.0 */
/* The address as a QR code, two rows of it in a line of text; dark on light whatever the
 * terminal's colours are, because the light margin is drawn too. */
#include "web.h"

#ifdef PEEKER_QR
#include <qrencode.h>
#include <stdio.h>

#define MARGIN 2

static bool is_light(const QRcode *code, int x, int y)
{
	if (x < 0 || y < 0 || x >= code->width || y >= code->width)
		return true;
	return !(code->data[y * code->width + x] & 1);
}

static void print_line(const QRcode *code, int y, bool utf8)
{
	for (int x = -MARGIN; x < code->width + MARGIN; x++) {
		bool upper = is_light(code, x, y), lower = is_light(code, x, y + 1);
		if (!utf8)
			fputs(upper ? "##" : "  ", stdout);
		else
			fputs(upper ? lower ? "█" : "▀" : lower ? "▄" : " ", stdout);
	}
	putchar('\n');
}

void qr_print(const char *text, bool utf8)
{
	QRcode *code = QRcode_encodeString8bit(text, 0, QR_ECLEVEL_L);

	if (!code)
		return;
	for (int y = -MARGIN; y < code->width + MARGIN; y += utf8 ? 2 : 1)
		print_line(code, y, utf8);
	QRcode_free(code);
}
#else
void qr_print(const char *text, bool utf8)
{
	(void)text;
	(void)utf8;
}
#endif
