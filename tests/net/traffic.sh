#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs a test program that sends real traffic through the relay, and then lets docs/dsm.lua under tshark
# and our own decoders look at what the relay captured: both must see the same, and nothing malformed.
# Usage: traffic.sh PROGRAM RELAY DESCRIBE SOURCE KIND [OPTION...]   (KIND: adc or dsm; options: the program's)
set -uo pipefail
program=$1 relay=$2 describe=$3 source=$4 kind=$5 passed=0 failed=0 skipped=0 status=0
shift 5
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 143' TERM INT

"$program" "$relay" "$work/capture" "$@" >"$work/said" || status=$?
sed '$d' "$work/said"
read -r passed _ failed _ <<<"$(tail -n 1 "$work/said" | tr -d ,)"
if [ "$status" -eq 77 ]; then
	tail -n 1 "$work/said"
	exit 77
fi
if ! [[ $passed =~ ^[0-9]+$ && $failed =~ ^[0-9]+$ ]]; then
	echo "failed: $program ended with status $status and said no numbers"
	tail -n 1 "$work/said"
	passed=0 failed=1
fi

check() {
	local what=$1
	shift
	if "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)) && printf 'FAILED: %s\n' "$what"; fi
}

compare() {
	local port
	# the server's port is the one that most datagrams have
	port=$(tshark -n -r "$work/capture" -c 4000 -T fields -e udp.srcport -e udp.dstport 2>/dev/null |
		tr '\t' '\n' | sort | uniq -c | sort -rn | awk 'NR == 1 { print $2 }')
	"$describe" "$work/capture" "$kind=$port" | head -n 4000 >"$work/ours"
	"$source/tests/net/dissect.py" "$source/docs/dsm.lua" "$work/capture" "$kind=$port" >"$work/theirs"
	check 'captured traffic: hardly any' [ "$(grep -vc '^-' "$work/ours")" -ge 100 ]
	check "captured traffic: tshark and our decoders differ: $(diff "$work/ours" "$work/theirs" | head -n 4 | cut -c1-300)" \
		cmp -s "$work/ours" "$work/theirs"
	check 'captured traffic: something malformed' [ "$(grep -c '^malformed' "$work/theirs")" -eq 0 ]
	printf 'captured:'
	cut -d ' ' -f 1 "$work/theirs" | sort | uniq -c | awk '{ printf " %s %s", $1, $2 } END { print "" }'
}

if command -v tshark >/dev/null && command -v python3 >/dev/null; then
	HOME=$work compare
else
	echo 'skipped: the capture was not looked at, tshark or python3 is not installed'
	skipped=1
fi
[ "$status" -eq 0 ] || [ "$failed" -gt 0 ] || failed=1
printf '%d passed, %d failed' "$passed" "$failed"
[ "$skipped" -eq 0 ] || printf ', %d skipped' "$skipped"
echo
[ "$failed" -eq 0 ]
