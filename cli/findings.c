/* SPDX-License-Identifier: Apache-2.0 */
/* What checks found; see findings.h. */
#include "findings.h"

#include <stdarg.h>
#include <stdio.h>

struct finding *finding_add(struct findings *findings, enum verdict verdict, const char *check,
	const char *fmt, ...)
{
	va_list args;

	if (findings->n < FINDINGS_MAX)
		findings->n++;
	struct finding *finding = &findings->list[findings->n - 1];
	finding->check = check;
	finding->verdict = verdict;
	finding->fix[0] = '\0';
	va_start(args, fmt);
	vsnprintf(finding->found, sizeof finding->found, fmt, args);
	va_end(args);
	return finding;
}

void finding_fix(struct finding *finding, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(finding->fix, sizeof finding->fix, fmt, args);
	va_end(args);
}

enum verdict findings_worst(const struct findings *findings)
{
	enum verdict worst = CHECK_OK;

	for (size_t i = 0; i < findings->n; i++)
		if (findings->list[i].verdict > worst)
			worst = findings->list[i].verdict;
	return worst;
}

void findings_print(struct out *out, const struct findings *findings)
{
	static const struct column columns[] = {
		{ "check", NULL, NULL, false }, { "state", NULL, NULL, false },
		{ "found", NULL, NULL, false }, { "fix", NULL, NULL, false },
	};
	static const char *const words[] = { "ok", "warn", "fail" };
	static const enum tone tones[] = { TONE_PLAIN, TONE_WARN, TONE_BAD };

	out_begin(out, columns, sizeof columns / sizeof columns[0], false);
	for (size_t i = 0; i < findings->n; i++) {
		const struct finding *finding = &findings->list[i];
		struct field fields[] = {
			field_text(finding->check), field_text(words[finding->verdict]),
			field_text(finding->found), field_text(finding->fix),
		};
		fields[1].tone = tones[finding->verdict];
		out_row(out, fields);
	}
}
