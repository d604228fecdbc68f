/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What dsm-adc reads (pico/port/host): recordings (the first byte of the input is c), specifications of
 * signals (s) and presses (p), files of the boot counter (e). What is taken is within its ranges.
 */
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "port/host/adc.h"

/* In the place of the program's: it is called for nearly every input. */
int complain(const char *format, ...)
{
	char text[400];
	va_list list;
	va_start(list, format);
	vsnprintf(text, sizeof(text), format, list);
	va_end(list);
	return text[0] ? -1 : 0;
}

static void check(bool condition)
{
	if (!condition)
		abort();
}

static void recording(const char *path)
{
	struct csv csv = { .loop = false };
	if (csv_load(path, &csv) != 0) {
		check(!csv.rows && !csv.count);
		return;
	}
	check(csv.count > 0 && csv.channels <= PICO_CHANNELS);
	for (size_t i = 0; i < csv.count; i++) {
		check(i == 0 || csv.rows[i].t_s >= csv.rows[i - 1].t_s);
		for (unsigned c = 0; c < PICO_CHANNELS; c++)
			check(csv.rows[i].value[c] >= 0 && csv.rows[i].value[c] <= 1);
	}
	for (unsigned loop = 0; loop < 2; loop++) {
		csv.loop = loop;
		csv.at = 0;
		for (double t_s = 0; t_s < 100; t_s += 0.3) {
			const struct csv_row *row = csv_at(&csv, t_s);
			check(row >= csv.rows && row < csv.rows + csv.count);
		}
	}
	csv_free(&csv);
}

static void signals(const char *text)
{
	struct signal all[PICO_CHANNELS] = { { SHAPE_STILL, 1, 0.5, 0.5 } };
	for (unsigned c = 1; c < PICO_CHANNELS; c++)
		all[c] = all[0];
	if (signal_parse(text, all) != 0)
		return;
	for (unsigned c = 0; c < PICO_CHANNELS; c++)
		for (double t_s = 0; t_s < 10; t_s += 0.17) {
			double x = signal_at(&all[c], t_s);
			check(x >= 0 && x <= 1);
		}
}

static void presses(const char *text)
{
	double period_s[PICO_INPUTS] = { 0 };
	if (press_parse(text, period_s) != 0)
		return;
	for (unsigned i = 0; i < PICO_INPUTS; i++)
		check(period_s[i] == 0 || (period_s[i] >= 0.05 && period_s[i] <= 1e6));
}

/* A number in decimal, all of it; -1: none that fits into 32 bits. */
static int64_t number_in(const char *text)
{
	char *end;
	text += strspn(text, " \t\n\v\f\r");
	if (*text < '0' || *text > '9')
		return -1;
	unsigned long long v = strtoull(text, &end, 10);
	return end - text <= 10 && v <= UINT32_MAX ? (int64_t)v : -1;
}

static void epochs(const char *path, const char *text)
{
	struct epoch epoch = { .lock_fd = -1 };
	uint32_t v = 77;
	snprintf(epoch.path, sizeof(epoch.path), "%s", path);
	bool good = epoch_load(&epoch, &v);
	int64_t want = number_in(text);
	check(!good || want == v);
	check(good || want < 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char path[32], *text;
	if (size < 1 || size > 20000 || !(text = strndup((const char *)data + 1, size - 1)))
		return 0;
	int fd = memfd_create("input", MFD_CLOEXEC);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (fd >= 0 && write(fd, data + 1, size - 1) == (ssize_t)(size - 1)) {
		if (data[0] == 'c')
			recording(path);
		else if (data[0] == 'e')
			epochs(path, text);
		else if (data[0] == 's')
			signals(text);
		else if (data[0] == 'p')
			presses(text);
	}
	if (fd >= 0)
		close(fd);
	free(text);
	return 0;
}
