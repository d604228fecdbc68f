#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The UF2 file holds the image: magics, addresses, numbering, family and payload of each block.
#
# Usage: tests/pico/uf2.sh IMAGE.bin UF2
# Prints "N passed, N failed" last.

set -uo pipefail
bin=$1 uf2=$2 passed=0 failed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

check() {
	if [ "$2" = "$3" ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		printf 'not ok %s: "%s", expected "%s"\n' "$@"
	fi
}

blocks=$((($(stat -c %s "$bin") + 255) / 256))
check 'size' "$(stat -c %s "$uf2")" $((512 * blocks))
for ((i = 0; i < blocks; i++)); do
	dd if="$uf2" bs=512 skip="$i" count=1 status=none >"$work/block"
	dd if="$work/block" bs=1 skip=32 count=256 status=none >>"$work/payload"
	check "block $i" "$(od -An -tx4 -v -w32 -N32 "$work/block" | tr -s ' ')" \
		"$(printf ' 0a324655 9e5d5157 00002000 %08x 00000100 %08x %08x e48bff59' $((0x10000000 + 256 * i)) "$i" "$blocks")"
	check "end of block $i" "$(od -An -tx4 -j508 "$work/block")" ' 0ab16f30'
done
check 'payload' "$(head -c "$(stat -c %s "$bin")" "$work/payload" | cksum)" "$(cksum <"$bin")"
printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
