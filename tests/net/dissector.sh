#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# docs/dsm.lua under tshark against our own decoders: both must see the same in golden vectors and in
# vectors with faults. traffic.sh does it with real traffic.
# Usage: dissector.sh DESCRIBE SOURCE
set -uo pipefail
describe=$1 source=$2 passed=0 failed=0
if ! command -v tshark >/dev/null || ! command -v python3 >/dev/null; then
	echo 'skipped: tshark or python3 is not installed'
	exit 77
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export HOME=$work # nobody's own plugins
vectors=$source/tests/vectors

# same WHAT A B: are the files alike, and is there something in them?
same() {
	if [ -s "$2" ] && diff "$2" "$3" >"$work/diff"; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		printf 'failed: %s (%s lines, %s lines)\n' "$1" "$(wc -l <"$2")" "$(wc -l <"$3")"
		head -n 20 "$work/diff" | cut -c1-300
	fi
}

check() {
	local what=$1
	shift
	if "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)) && printf 'failed: %s\n' "$what"; fi
}

dissect() {
	"$source/tests/net/dissect.py" "$source/docs/dsm.lua" "$@"
}

ports=(dsm=7461 frames=7471 adc=7462)
"$vectors/udp_v1.py" --pcap "$work/golden.pcap"
"$vectors/udp_v1.py" --expect >"$work/wanted"
"$describe" "$work/golden.pcap" "${ports[@]}" >"$work/ours"
dissect "$work/golden.pcap" "${ports[@]}" >"$work/theirs"
same 'golden vectors: our decoders see other things than stand in them' "$work/wanted" "$work/ours"
same 'golden vectors: tshark sees other things than stand in them' "$work/wanted" "$work/theirs"

"$vectors/udp_v1.py" --mutated 3000 "$work/mutated.pcap"
"$describe" "$work/mutated.pcap" "${ports[@]}" >"$work/ours"
dissect "$work/mutated.pcap" "${ports[@]}" >"$work/theirs"
same 'vectors with faults: tshark and our decoders differ' "$work/ours" "$work/theirs"
check 'vectors with faults: hardly one was refused' [ "$(grep -c '^malformed' "$work/ours")" -gt 500 ]
check 'vectors with faults: hardly one was taken' [ "$(grep -vc '^malformed' "$work/ours")" -gt 500 ]

printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
