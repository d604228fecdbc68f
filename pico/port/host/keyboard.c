/* SPDX-License-Identifier: Apache-2.0 */
/* The keyboard in the place of knobs and buttons. The terminal is given back as it was. */
#include "adc.h"

#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#define HELD_US 150000u         /* a key that is typed is a button held for so long */

static struct termios before;

int keyboard_open(struct keyboard *k, unsigned channels)
{
	struct termios raw;
	if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &before) != 0)
		return complain("--keyboard: standard input is no terminal");
	raw = before;
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	raw.c_cc[VMIN] = 0;
	raw.c_cc[VTIME] = 0;
	if (tcsetattr(STDIN_FILENO, TCSANOW, &raw) != 0)
		return complain("--keyboard: the terminal cannot be set");
	*k = (struct keyboard){ .open = true, .channels = channels };
	for (unsigned c = 0; c < channels; c++)
		k->value[c] = 0.5;
	fprintf(stderr, "Keys: left and right choose a knob, up and down turn it by 1 %%, page up and down by 10 %%,\n"
		"0 to 9 press a button, q ends.\n");
	return 0;
}

void keyboard_close(struct keyboard *k)
{
	if (!k->open)
		return;
	tcsetattr(STDIN_FILENO, TCSANOW, &before);
	fprintf(stderr, "\n");
	k->open = false;
}

static void turn(struct keyboard *k, double by)
{
	double v = k->value[k->channel] + by;
	k->value[k->channel] = v < 0 ? 0 : v > 1 ? 1 : v;
}

static void show(const struct keyboard *k)
{
	fprintf(stderr, "\rknob %u: %3.0f %%  ", k->channel, 100 * k->value[k->channel]);
}

/* What follows ESC [ */
static void arrow(struct keyboard *k, char key)
{
	switch (key) {
	case 'A': turn(k, 0.01); break;
	case 'B': turn(k, -0.01); break;
	case 'C': k->channel = (k->channel + 1) % k->channels; break;
	case 'D': k->channel = (k->channel + k->channels - 1) % k->channels; break;
	case '5': turn(k, 0.1); break;
	case '6': turn(k, -0.1); break;
	default: break;
	}
}

void keyboard_poll(struct keyboard *k, uint64_t now_us)
{
	char typed[64];
	if (!k->open)
		return;
	for (unsigned i = 0; i < 10; i++)
		if (now_us >= k->until_us[i])
			k->levels &= ~(1u << i);
	ssize_t n = read(STDIN_FILENO, typed, sizeof(typed));
	for (ssize_t i = 0; i < n; i++) {
		char c = typed[i];
		if (c == 'q') {
			k->quit = true;
		} else if (c >= '0' && c <= '9') {
			k->levels |= 1u << (c - '0');
			k->until_us[c - '0'] = now_us + HELD_US;
		} else if (c == '\033' && i + 2 < n && typed[i + 1] == '[') {
			arrow(k, typed[i + 2]);
			i += 2;
		}
	}
	if (n > 0)
		show(k);
}
