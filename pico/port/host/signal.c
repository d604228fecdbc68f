/* SPDX-License-Identifier: Apache-2.0 */
/* Signals in the place of knobs, and buttons that press themselves. */
#include "adc.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const shapes[] = { "still", "sine", "ramp", "square", "noise" };

/* A number that ends at `:` or at the end; *text moves past it. */
static bool number(const char **text, double low, double high, double *out)
{
	char *end;
	double v = strtod(*text, &end);
	if (end == *text || (*end != ':' && *end != '\0') || !(v >= low && v <= high))
		return false;
	*out = v;
	*text = *end ? end + 1 : end;
	return true;
}

static bool parse_shape(const char *at, struct signal *out)
{
	struct signal s = { SHAPE_STILL, 1, 0, 1 };
	size_t n = strcspn(at, ":");
	for (unsigned i = SHAPE_SINE; i <= SHAPE_NOISE; i++)
		if (strlen(shapes[i]) == n && memcmp(shapes[i], at, n) == 0)
			s.shape = (enum shape)i;
	if (s.shape == SHAPE_STILL) {
		if (!number(&at, 0, 1, &s.low) || *at)
			return false;
	} else {
		at += n + (at[n] == ':');
		if (*at && !number(&at, 1e-3, 1e6, &s.period_s))
			return false;
		if (*at && (!number(&at, 0, 1, &s.low) || !number(&at, 0, 1, &s.high) || *at))
			return false;
	}
	*out = s;
	return true;
}

int signal_parse(const char *text, struct signal signals[PICO_CHANNELS])
{
	if (text[0] < '0' || text[0] >= (char)('0' + PICO_CHANNELS) || text[1] != '=' ||
	    !parse_shape(text + 2, &signals[text[0] - '0']))
		return complain("--signal \"%s\": expected CHANNEL=VALUE (0 to 1) or "
			"CHANNEL=sine|ramp|square|noise[:SECONDS[:LOW:HIGH]], like 0=sine:2 or 3=0.25", text);
	return 0;
}

double signal_at(const struct signal *s, double t_s)
{
	double phase = fmod(t_s / s->period_s, 1), x = 0;
	switch (s->shape) {
	case SHAPE_STILL:
		return s->low;
	case SHAPE_SINE:
		x = 0.5 + 0.5 * sin(2 * 3.14159265358979323846 * phase);
		break;
	case SHAPE_RAMP:
		x = phase;
		break;
	case SHAPE_SQUARE:
		x = phase < 0.5;
		break;
	case SHAPE_NOISE:
		x = (double)rand() / RAND_MAX;
		break;
	}
	return s->low + (s->high - s->low) * x;
}

int press_parse(const char *text, double period_s[PICO_INPUTS])
{
	char *end;
	unsigned long input = strtoul(text, &end, 10);
	double s = *end == '=' ? strtod(end + 1, &end) : 0;
	if (text[0] < '0' || text[0] > '9' || input >= PICO_INPUTS || *end || !(s >= 0.05 && s <= 1e6))
		return complain("--press \"%s\": expected INPUT=SECONDS, input 0 to 31, at least 0.05 s, like 3=2", text);
	period_s[input] = s;
	return 0;
}
