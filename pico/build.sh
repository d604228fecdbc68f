#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds the firmware: ELF, BIN and UF2, and says its size and stack.
#
# Usage: pico/build.sh PORT OUT_FOLDER [SOURCE_ROOT [COPY]]     PORT: rp2350, rp2350b or mps2
#   COPY gets the BIN (of mps2 the ELF) once more.
#
# Needs arm-none-eabi-gcc and binutils; python and vendor tools are not needed. uf2 is built by the host's
# compiler from pico/tools/uf2.c. Called by meson (target firmware) and by tests/pico, whose wrong
# variants are built from a changed copy of the sources (SOURCE_ROOT).
set -euo pipefail
port=$1 out=$2 root=${3:-$(cd "$(dirname "$0")/.." && pwd)}
mkdir -p "$out"
core=(pico/core/{average,buttons,device}.c lib/wire/{adc,siphash}.c)
board=(pico/core/{board,console,crc32,journal,settings}.c pico/drv/w5500.c)
flags=(-mcpu=cortex-m33 -mthumb -mfloat-abi=soft -std=c17 -O2 -g -Wall -Wextra -Wconversion -Wshadow -Werror
	-ffreestanding -fno-tree-loop-distribute-patterns -ffunction-sections -fdata-sections -fstack-usage)
include=(-I"$root/lib" -I"$root/pico" -I"$root/pico/core" -I"$root/pico/drv")
case $port in
rp2350 | rp2350b)
	files=("${core[@]}" "${board[@]}" pico/port/rp2350/{adc,clocks,flash,net,pins,start}.c)
	include+=(-I"$root/pico/port/rp2350")
	script=pico/port/rp2350/rp2350.ld
	[ "$port" = rp2350 ] || flags+=(-DPICO_RP2350B)
	;;
mps2)
	files=("${core[@]}" pico/port/mps2/{main,lan9118}.c)
	include+=(-I"$root/pico/port/mps2")
	script=pico/port/mps2/mps2.ld
	;;
*)
	echo "pico/build.sh: unknown port '$port': rp2350, rp2350b or mps2" >&2
	exit 2
	;;
esac
objects=()
for file in "${files[@]}"; do
	object=${file%.c}.o object=$out/${object//\//_}
	objects+=("$object")
	[ -z "${PICO_KEEP_OBJECTS:-}" ] || [ ! "$object" -nt "$root/$file" ] || continue # tests/pico/wrong.sh
	arm-none-eabi-gcc "${flags[@]}" "${include[@]}" -c "$root/$file" -o "$object"
done
elf=$out/dsm-$port.elf
arm-none-eabi-gcc "${flags[@]}" -nostdlib -Wl,--gc-sections -Wl,-Map="$out/dsm-$port.map" -T "$root/$script" \
	"${objects[@]}" -lgcc -o "$elf"
arm-none-eabi-objcopy -O binary "$elf" "$out/dsm-$port.bin"
printf '%s: ' "$port"
arm-none-eabi-size "$elf" | awk 'NR == 2 { printf "%d bytes of code and constants, %d bytes of variables", $1 + $2, $3 }'
awk -F '\t' '{ n = split($1, a, ":"); if ($2 > most) { most = $2; who = a[n] } if ($3 != "static") odd = odd " " a[n] }
	END { printf "; largest stack frame %d bytes (%s)%s\n", most, who, odd ? "; not static:" odd : "" }' "$out"/*.su
case $port in
rp2350*)
	[ -z "${PICO_KEEP_OBJECTS:-}" ] || exit 0
	"${HOST_CC:-cc}" -O1 -Wall -o "$out/uf2" "$root/pico/tools/uf2.c"
	"$out/uf2" 0x10000000 "$out/dsm-$port.bin" "$out/dsm-$port.uf2"
	;;
esac
case ${4:-} in
*.elf) cp "$elf" "$4" ;;
?*) cp "$out/dsm-$port.bin" "$4" ;;
esac
