#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Tests of dsm keygen: what it prints, what it refuses. That the engine reads it: tests/unit/test_keys.c.
#
# Usage: DSM=PATH tests/cli/keygen.sh
#
# Prints "ok NAME" or "not ok NAME" per check and "N passed, N failed" last.

set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/common/check.sh
. "$here/../common/check.sh"
: "${DSM:=$here/../../build/gcc/cli/dsm}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

refused() {
	local status=0
	"$DSM" keygen "$@" >"$work/out" 2>"$work/err" || status=$?
	[ "$status" -eq 2 ] && [ ! -s "$work/out" ] && grep -q "$word" "$work/err"
}

day=$(date -u +%Y-%m-%d)
"$DSM" keygen read request owner:operator device:7 >"$work/keys"
check 'status 0' [ $? -eq 0 ]
check 'a comment and a line for each' [ "$(wc -l <"$work/keys")" -eq 5 ]
check 'the comment says what to do' grep -q '^# .*chmod 600' "$work/keys"
check 'the roles in order' [ "$(awk '!/^#/ { print $1 }' "$work/keys" | paste -sd' ')" = 'read request owner:operator device:7' ]
check 'labels with the day' [ "$(awk '!/^#/ { print $2 }' "$work/keys" | paste -sd' ')" = \
	"read-$day request-$day operator-$day device7-$day" ]
check '32 bytes for a role' [ "$(awk '/^owner/ { print $3 }' "$work/keys" | base64 -d | wc -c)" -eq 32 ]
check '16 bytes for a device' [ "$(awk '/^device/ { print $3 }' "$work/keys" | base64 -d | wc -c)" -eq 16 ]
for i in 1 2 3 4 5 6 7 8 9 10; do "$DSM" keygen read request; done | awk '!/^#/ { print $3 }' >"$work/many"
check 'every key is another' [ "$(sort -u "$work/many" | wc -l)" -eq 20 ]
word='an argument is missing'; check 'no role' refused
word='"reader" is no role'; check 'no such role' refused reader
word='is no role'; check 'no name' refused owner:
word='is no role'; check 'a name with a blank' refused 'owner:a b'
word='is no role'; check 'nothing is printed when the second is wrong' refused read own:x
check 'a full disk is noticed' bash -c "! '$DSM' keygen read >/dev/full 2>/dev/null"
printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
