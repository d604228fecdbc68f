#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Each write to a register in the ports of the firmware names the section of the document that it follows:
# on the statement's last line stands a comment that begins with "section NUMBER" (RP2350 datasheet), or with
# one of the titles that pico/port/mps2 takes from its documents.
#
# Usage: tests/pico/sections.sh SOURCE_ROOT
# Prints what has none, and "N passed, N failed" last.
set -u
root=$1 passed=0 failed=0

# unnamed REGISTER COMMENT FILE...: statements that write, and do not say why
unnamed() {
	register=$1 comment=$2
	shift 2
	awk -v register="$register" -v comment="$comment" '
		function done() { if (text !~ comment) printf "%s:%d: %s\n", FILENAME, from, text; text = "" }
		text == "" && $0 ~ "^[ \t]*(" register ")[^=]* [|&^]?= " { text = $0; from = FNR }
		text != "" && FNR > from { text = text " " $0 }
		text != "" && /;/ { done() }' "$@"
}

check() {
	if [ -z "$2" ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		printf 'not ok %s:\n%s\n' "$1" "$2"
	fi
}

rp='(REG|SET|CLR)\(' rp_says='; /\* section [0-9]+\.[0-9]+'
mps='TIMER0\(|NVIC_|MAC_CSR_|TX_' mps_says='; /\* (CMSDK TRM|Armv8-M Arch|System Control|MAC Control|TX )'
cd "$root/pico/port" || exit 1
check 'rp2350: register writes without a section' "$(unnamed "$rp" "$rp_says" rp2350/*.c)"
check 'mps2: register writes without a section' "$(unnamed "$mps" "$mps_says" mps2/*.c)"

# the controls: a comment taken away is seen; there is something to see
for file in rp2350/*.c mps2/*.c; do
	case $file in
	rp2350/*) register=$rp says=$rp_says ;;
	*) register=$mps says=$mps_says ;;
	esac
	writes=$(sed 's|/\*.*\*/||' "$file" | unnamed "$register" "$says" | wc -l)
	[ "$writes" -eq 0 ] || echo "ok $file: $writes register writes"
	case $file in
	rp2350/adc.c | rp2350/clocks.c | rp2350/net.c | rp2350/pins.c | mps2/*)
		check "$file: without its comments nothing is missed" "$([ "$writes" -ge 3 ] || echo "only $writes writes are seen")" ;;
	esac
done
printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
