#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What the firmware shares with the engine compiles with the compiler's own headers alone, and needs
# nothing of a C library but what every compiler may call by itself.
#
# Usage: freestanding.sh SOURCE_ROOT COMPILER...   (each COMPILER may have arguments)
# Prints "N passed, N failed"; a compiler that is not there is skipped.
set -uo pipefail
cd "$1" || exit 1
shift
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0 failed=0
files=(lib/wire/{siphash,adc,replay}.c pico/core/{average,board,buttons,console,crc32,device,journal,settings}.c
	pico/drv/w5500.c)
flags=(-std=c17 -O2 -Wall -Wextra -Wconversion -Werror -ffreestanding -nostdinc -Ilib -Ipico -Ipico/core -Ipico/drv)

try() {
	local cc headers object file
	read -ra cc <<<"$1"
	command -v "${cc[0]}" >/dev/null || { echo "skipped: ${cc[0]} is not installed"; return; }
	headers=$("${cc[@]}" -print-file-name=include)
	for file in "${files[@]}"; do
		object=$work/$(basename "$file").o
		if "${cc[@]}" "${flags[@]}" -isystem "$headers" -c "$file" -o "$object"; then
			passed=$((passed + 1))
		else
			echo "failed: $file with $1"
			failed=$((failed + 1))
		fi
	done
	nm -u "$work"/*.o | awk '$1 == "U" { print $2 }' | sort -u |
		grep -vE '^(memcpy|memset|memmove|siphash24|adc_|pico_|hal_|settings_|journal_|console_|__aeabi_|_GLOBAL_OFFSET_TABLE_)' >"$work/alien"
	if [ -s "$work/alien" ]; then
		echo "failed: needed from elsewhere with $1: $(paste -sd' ' "$work/alien")"
		failed=$((failed + 1))
	else
		passed=$((passed + 1))
	fi
	rm -f "$work"/*.o
}

# control: a file that does use the C library must not compile so
echo '#include <stdio.h>' >"$work/control.c"
read -ra first <<<"$1"
if "${first[@]}" "${flags[@]}" -isystem "$("${first[@]}" -print-file-name=include)" -c "$work/control.c" \
	-o "$work/control.o" 2>/dev/null; then
	echo 'failed: control: <stdio.h> was found'
	failed=$((failed + 1))
else
	passed=$((passed + 1))
fi
for compiler; do try "$compiler"; done
printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
