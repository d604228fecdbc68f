#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The portable core on QEMU's Cortex-M33 with real interrupts, behind a network that drops, doubles and
# reorders its frames, at a real engine: each datagram is accounted for.
#
# Usage: DSM=PATH DSMD=PATH RELAY=PATH tests/pico/mps2.sh IMAGE.elf
#
# Prints "ok NAME" or "not ok NAME" per check and "N passed, N failed" last; 77 without QEMU.

set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/common/check.sh
. "$here/../common/check.sh"
: "${DSM:?}" "${DSMD:?}" "${RELAY:?}"
image=$1 name="pico-mps2-$$"
export DSM_URI="shm://$name" LC_ALL=C.UTF-8
unset NOTIFY_SOCKET JOURNAL_STREAM DSM_KEYS
command -v qemu-system-arm >/dev/null || {
	echo 'skipped: qemu-system-arm is not installed (script/bootstrap firmware)'
	exit 77
}
work=$(mktemp -d)
pids=''

cleanup() {
	local pid
	for pid in $pids; do
		kill -KILL "$pid" 2>/dev/null
		wait "$pid" 2>/dev/null
	done
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

explain() {
	printf '#   %s\n' "relay: $(tail -n 1 "$work/relay" 2>/dev/null)" "$(tail -n 2 "$work/qemu" 2>/dev/null)" \
		"accepted $(counter adc_accepted) lost $(counter adc_lost) late $(counter adc_late) doubled $(counter adc_duplicate)"
}
counter() { "$DSM" --format raw stat 2>/dev/null | awk -v n="$1" '$2 == n { print $3 }'; }
counted() { [ "$(counter "$1")" = "$2" ]; }
did() { sed -n "s/.*$1=\([0-9]*\).*/\1/p" "$work/relay"; }

cat >"$work/table.yaml" <<'YAML'
region: pico
owners: [{name: knobs}]
groups:
  - {name: p, owner: knobs, cells: [{name: a, type: f64}, {name: n, type: u64}]}
devices:
  - {name: qemu, id: 9, owner: knobs, inputs: [{cell: p.a, channel: 0, low: 0, high: 4095}, {cell: p.n, presses: 3}]}
YAML
echo 'device:9 qemu 000102030405060708090a0b0c0d0e0f' >"$work/keys"
chmod 600 "$work/keys"

# run PERCENT SEED: a fresh engine, a relay that is so bad, a machine that runs its 3000 ticks
run() {
	local engine relay port status=0
	: >"$work/ready"
	"$DSMD" --name "$name" --adc 127.0.0.1:0 --keys "$work/keys" "$work/table.yaml" </dev/null >"$work/ready" 2>"$work/log" &
	engine=$!
	pids=$engine
	within 20 test -s "$work/ready"
	port=$(sed -n 's/.*listening at udp 127.0.0.1:\([0-9]*\).*/\1/p' "$work/log")
	: >"$work/relay"
	"$RELAY" "127.0.0.1:$port" "$1" "$2" >"$work/relay" &
	relay=$!
	pids="$engine $relay"
	within 20 test -s "$work/relay"
	timeout -k 1 60 qemu-system-arm -M mps2-an505 -icount shift=5,sleep=off -display none -monitor none -serial none \
		-semihosting-config enable=on,target=native -kernel "$image" \
		-netdev "dgram,id=n0,local.type=inet,local.host=127.0.0.1,local.port=0,remote.type=inet,remote.host=127.0.0.1,remote.port=$(head -n 1 "$work/relay")" \
		-net nic,netdev=n0 >"$work/qemu" 2>&1 || status=$?
	check "$1 %: the machine ends by itself and dropped nothing" test "$status" = 0
	wait "$relay"
	check "$1 %: every frame is right" test "$(did frames) $(did wrong) $(did last)" = '3000 0 3000'
	check "$1 %: the kernel dropped none" counted adc_dropped 0
	check "$1 %: doubled ones are seen" within 10 counted adc_duplicate "$(did doubled)"
	check "$1 %: overtaken ones are seen" within 10 counted adc_late "$(did swapped)"
	check "$1 %: dropped ones are counted as lost" within 10 counted adc_lost "$(did dropped)"
	check "$1 %: the rest is accepted" within 10 counted adc_accepted \
		"$(($(did passed) - $(did doubled) - $(did swapped)))"
	check "$1 %: presses are complete" within 10 eval '[ "$("$DSM" --format raw get p.n | cut -f 2)" = 15 ]'
	kill -TERM "$engine"
	wait "$engine"
	pids=''
}

run 0 1
run 10 2
run 25 3
printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
