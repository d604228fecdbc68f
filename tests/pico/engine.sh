#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# From voltage to cell: the RP2350 image in the emulated machine, its datagrams at a real engine.
#
# Usage: DSM=PATH DSMD=PATH RUN_MACHINE=PATH tests/pico/engine.sh IMAGE.bin
#
# Prints "ok NAME" or "not ok NAME" per check and "N passed, N failed" last. Leaves nothing behind.

set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/common/check.sh
. "$here/../common/check.sh"
: "${DSM:?}" "${DSMD:?}" "${RUN_MACHINE:?}"
image=$1 name="pico-engine-$$"
export DSM_URI="shm://$name" LC_ALL=C.UTF-8
unset NOTIFY_SOCKET JOURNAL_STREAM DSM_KEYS
work=$(mktemp -d)
engine='' board=''

cleanup() {
	local pid
	for pid in $board $engine; do
		kill -KILL "$pid" 2>/dev/null
		wait "$pid" 2>/dev/null
	done
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

explain() { printf '#   %s\n' "$("$DSM" get 'p.*' 2>&1)" "$(tail -n 4 "$work/log")" "$(tail -n 2 "$work/board")"; }
value() { "$DSM" --format raw get "$1" 2>/dev/null | cut -f 2; }
is() { [[ $(value "$1") == "$2" ]]; }
about() { awk -v a="$(value "$1")" -v b="$2" 'BEGIN { exit !(a != "" && a - b <= 0.002 && b - a <= 0.002) }'; }
counter() { "$DSM" --format raw stat 2>/dev/null | awk -v n="$1" '$2 == n { print $3 }'; }
more_than() { [ "$(counter "$1")" -gt "$2" ] 2>/dev/null; }
logged() { grep -q "$1" "$work/log"; }
not() { ! "$@"; }
tell() { echo "$1" >&"$to_board"; }
board_up() {
	rm -f "$work/tell"
	mkfifo "$work/tell"
	"$RUN_MACHINE" --device 7 --key "$1" "$image" "127.0.0.1:$port" <"$work/tell" 2>>"$work/board" &
	board=$!
	exec {to_board}>"$work/tell"
}
board_down() {
	tell quit
	exec {to_board}>&-
	wait "$board"
	board=''
}

cat >"$work/table.yaml" <<'YAML'
region: pico
owners: [{name: knobs}]
groups:
  - {name: p, owner: knobs, cells: [{name: a, type: f64}, {name: b, type: f64}, {name: c, type: f64},
      {name: d, type: f64}, {name: on, type: bool}, {name: last, type: bool}, {name: n, type: u64}]}
devices:
  - {name: panel, id: 7, owner: knobs, inputs: [{cell: p.a, channel: 0, low: 0, high: 3.3},
      {cell: p.b, channel: 1, low: 0, high: 3.3}, {cell: p.c, channel: 2, low: 0, high: 3.3},
      {cell: p.d, channel: 3}, {cell: p.on, level: 3}, {cell: p.last, level: 13}, {cell: p.n, presses: 3}]}
YAML
echo 'device:7 knobs 00112233445566778899aabbccddeeff' >"$work/keys"
echo 'device:7 other ff112233445566778899aabbccddeeff' >"$work/other"
chmod 600 "$work/keys" "$work/other"
"$DSMD" --name "$name" --adc 127.0.0.1:0 --keys "$work/keys" "$work/table.yaml" </dev/null >"$work/ready" 2>"$work/log" &
engine=$!
within 20 test -s "$work/ready"
port=$(sed -n 's/.*listening at udp 127.0.0.1:\([0-9]*\).*/\1/p' "$work/log")

board_up "$work/keys"
check 'channel 0 at 0.5 V' within 60 about p.a 0.5
check 'channel 1 at 1.65 V' within 20 about p.b 1.65
check 'channel 2 at 3 V' within 20 about p.c 3
check 'a channel that the board has not is bad' grep -q bad <("$DSM" --format json get p.d)
check 'its quality is good' grep -q '"good"' <("$DSM" --format json get p.a)
for volts in 3.3 0 2.345; do
	tell "volt 1 $volts"
	check "channel 1 at $volts V" within 20 about p.b "$volts"
	check "channel 0 as before" about p.a 0.5
done
for press in 1 2 3; do
	tell 'press 3'
	check "button 3 down" within 20 is p.on true
	tell 'release 3'
	check "button 3 up" within 20 is p.on false
	check "$press presses" within 20 is p.n "$press"
done
tell 'press 13'
check 'button 13 down' within 20 is p.last true
check 'no overrun, no link loss so far' test "$(counter adc_overruns)$(counter adc_link_losses)" = 00
tell overrun
check 'an overrun is told' within 20 more_than adc_overruns 0
check 'channel 1 is still channel 1' within 20 about p.b 2.345
tell 'link down'
check 'without a link it falls silent' within 20 more_than adc_silences 0
sleep 0.2
tell 'link up'
check 'and tells of the loss' within 20 more_than adc_link_losses 0
check 'after power on' logged 'epoch 1, last reset: power on'
tell power
check 'power off and on: it is back' within 60 logged 'epoch 2, last reset: power on'
tell 'volt 0 1.25'
check 'and believed' within 20 about p.a 1.25
tell watchdog
tell 'volt 0 2'
check 'the watchdog: it is back' within 60 logged 'epoch 3, last reset: watchdog'
check 'dsm stat --devices says so, too' within 20 eval '[[ $("$DSM" --format json stat --devices) == *"\"reset\":\"watchdog\",\"epoch\":3"* ]]'
check 'and believed' within 20 about p.a 2
# the parts around it: each time it falls silent, and comes back with the present voltage
silences=$(counter adc_silences) losses=$(counter adc_link_losses)
tell 'chip off'
check 'without its network chip it falls silent' within 20 more_than adc_silences "$silences"
tell 'volt 0 0.75'
tell 'chip on'
check 'the chip is back, and set up again' within 20 about p.a 0.75
check 'and that is told' within 20 more_than adc_link_losses "$losses"
silences=$(counter adc_silences)
tell 'tx full'
check 'with a full buffer it falls silent' within 20 more_than adc_silences "$silences"
tell 'volt 0 1.5'
tell 'tx free'
check 'and goes on when there is room' within 20 about p.a 1.5
tell 'arp off'
tell power
sleep 0.5
check 'without an answer to ARP nothing comes' not logged 'epoch 4'
tell 'arp on'
check 'and then it does' within 20 logged 'epoch 4, last reset: power on'
tell 'volt 0 2.5'
check 'believed' within 20 about p.a 2.5
tell cut
tell power
check 'a power cut while the boot counter is written: it is back' within 60 logged 'epoch 5, last reset: power on'
tell 'volt 0 1'
check 'also believed' within 20 about p.a 1
check 'presses go on' is p.n 3
check 'nothing was refused' test "$(counter adc_replay)$(counter adc_bad_tag)$(counter adc_foreign)" = 000
board_down
sleep 0.5 # until the last of it is counted
accepted=$(counter adc_accepted)
board_up "$work/other"
check 'a wrong key is counted' within 60 more_than adc_bad_tag 20
check 'and nothing of it believed' test "$(counter adc_accepted)" = "$accepted"
board_down
printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
