#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The barriers of lib/core/slot.h are there in code compiled for aarch64: x86 orders stores and
# loads by itself, so no test run there can miss one. Looks at the disassembly of one commit
# and one read; with a fence taken out the same look must fail.
#
# Usage: tests/barriers.sh
# The last line is "N passed, N failed"; status 77 if there is no cross compiler.

set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
# shellcheck source=tests/common/check.sh
. tests/common/check.sh
cc=aarch64-linux-gnu-gcc objdump=aarch64-linux-gnu-objdump
for tool in "$cc" "$objdump"; do
	if ! command -v "$tool" >/dev/null; then
		echo "skipped: no $tool here (Debian: gcc-aarch64-linux-gnu)"
		exit 77
	fi
done
xxhash=$(pkg-config --variable=includedir libxxhash 2>/dev/null || echo /usr/include)/xxhash.h
if [ ! -r "$xxhash" ]; then
	echo "skipped: no xxhash.h here (Debian: libxxhash-dev)"
	exit 77
fi

work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
mkdir "$work/include"
cp "$xxhash" "$(dirname "$xxhash")"/xxh3.h "$work/include/" 2>/dev/null # the same on every machine

cat >"$work/wrap.c" <<'EOT'
#include "core/slot.h"
void publish(const struct ring *ring, const struct check_fields *fields, const uint64_t *image);
void publish_scalar(const struct ring *ring, const struct check_fields *fields, const uint64_t *image);
int read_newest(const struct ring *ring, uint64_t *to, uint64_t *scratch, struct slot_meta *meta);
int read_verified(const struct ring *ring, uint64_t seq, uint64_t *to, struct slot_meta *meta);
bool read_quick(const struct ring_quick *quick, uint64_t *record, uint64_t *seq, uint32_t *epoch);

bool read_quick(const struct ring_quick *quick, uint64_t *record, uint64_t *seq, uint32_t *epoch)
{
	return ring_quick_read(quick, record, seq, epoch);
}

void publish(const struct ring *ring, const struct check_fields *fields, const uint64_t *image)
{
	slot_publish_bytes(ring, fields, image, ring->payload_bytes);
}

void publish_scalar(const struct ring *ring, const struct check_fields *fields, const uint64_t *image)
{
	slot_publish_bytes(ring, fields, image, 16);
}

int read_newest(const struct ring *ring, uint64_t *to, uint64_t *scratch, struct slot_meta *meta)
{
	return ring_read(ring, 0, ring->payload_bytes, to, scratch, meta);
}

int read_verified(const struct ring *ring, uint64_t seq, uint64_t *to, struct slot_meta *meta)
{
	return slot_verify(ring, seq, to, meta);
}
EOT

# Compiles $2 with the options after it into $work/$1.o; its disassembly is $work/$1.s, one
# "function: instruction operands" a line.
compile() {
	local name=$1 source=$2
	shift 2
	if ! "$cc" -std=c17 -O2 -march=armv8-a -D_GNU_SOURCE -Ilib -Iinclude "-I$work/include" \
		"$@" -c "$source" -o "$work/$name.o"; then
		return 1
	fi
	"$objdump" -d --no-show-raw-insn "$work/$name.o" | awk '
		/^[0-9a-f]+ <.*>:$/ { gsub(/[<>:]/, "", $2); function_name = $2 }
		/^ +[0-9a-f]+:\t/ { sub(/^ +[0-9a-f]+:\t/, ""); gsub(/\t/, " "); print function_name ": " $0 }
	' >"$work/$name.s"
}

# Do instructions matching the patterns after $2 occur in function $2 of $work/$1.s in this order?
in_order() {
	local name=$1 function=$2
	shift 2
	local patterns
	patterns=$(printf '%s\n' "$@")
	grep "^$function: " "$work/$name.s" | awk -v patterns="$patterns" '
		BEGIN { n = split(patterns, want, "\n"); at = 1 }
		at <= n && $0 ~ want[at] { at++ }
		END { exit at <= n }'
}

explain() { :; }
misses() { ! "$@"; }

invalidate=' str xzr, ' barrier=' dmb ish(st)?$' release=' stlr x' acquire=' lda(p)?r x' read_barrier=' dmb ish(ld)?$'
load=' ldr x'

check 'the wrapper compiles for aarch64' compile wrap "$work/wrap.c"
check 'slot.c compiles for aarch64' compile slot lib/core/slot.c
check 'publish: invalidation, barrier (W1), release of seq (W2), release of the pulse (W3)' \
	in_order wrap publish "$invalidate" "$barrier" ' str x' "$release" "$release"
check 'publish of a scalar: the same' \
	in_order wrap publish_scalar "$invalidate" "$barrier" ' st[pr] x' "$release" "$release"
check 'read: acquire of the pulse (R2), payload, barrier (R1), second look at seq, acquire of the bank' \
	in_order wrap read_newest "$acquire" "$load" "$read_barrier" "$load" ' cmp x' "$acquire"
check 'read of a scalar, short way: acquire of the pulse (R2), record, barrier (R1), seq, acquire of the bank' \
	in_order wrap read_quick "$acquire" "$load" "$read_barrier" "$load" ' cmp x' "$acquire"
check 'read by check: acquire of seq (R0), payload, barrier (R1), acquire of the bank' \
	in_order wrap read_verified "$acquire" "$load" "$read_barrier" "$acquire"
check 'ring_read_at: acquire of seq (R0), barrier (R1)' \
	in_order slot ring_read_at "$acquire" "$load" "$read_barrier" "$load"
check 'ring_read_step: acquire of the pulse (R2)' in_order slot ring_read_step "$acquire"

check 'the control without W1 compiles' compile no_w1 "$work/wrap.c" -DDSM_CONTROL_NO_W1
check 'control: without W1 no barrier follows the invalidation' \
	misses in_order no_w1 publish "$invalidate" "$barrier"
check 'the control without the second look compiles' compile no_reread "$work/wrap.c" -DDSM_CONTROL_NO_REREAD
check 'control: without the second look nothing is compared after the barrier' \
	misses in_order no_reread read_newest "$acquire" "$load" "$read_barrier" "$load" ' cmp x' "$acquire"
check 'control: nor in the short way' \
	misses in_order no_reread read_quick "$acquire" "$load" "$read_barrier" "$load" ' cmp x' "$acquire"
check 'control: the order is looked at, not only what is there' \
	misses in_order wrap publish "$release" "$barrier"

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
