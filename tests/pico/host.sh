#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# dsm-adc at a real engine: cells show its signals, presses are counted, epochs survive restarts of
# either side; wrong keys, files and options are refused.
#
# Usage: DSM=PATH DSMD=PATH DSM_ADC=PATH tests/pico/host.sh
#
# Prints "ok NAME" or "not ok NAME" per check and "N passed, N failed" last. Leaves nothing behind.

set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/common/check.sh
. "$here/../common/check.sh"
: "${DSM:?}" "${DSMD:?}" "${DSM_ADC:?}"
name="pico-host-$$"
export DSM_URI="shm://$name" LC_ALL=C.UTF-8
unset NOTIFY_SOCKET JOURNAL_STREAM DSM_KEYS
work=$(mktemp -d)
export XDG_STATE_HOME=$work/state
engine='' board='' panel=''

cleanup() {
	local pid
	for pid in $panel $board $engine; do
		kill -KILL "$pid" 2>/dev/null
		wait "$pid" 2>/dev/null
	done
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

explain() { printf '#   %s\n' "status $status" "err: ${err:0:400}" "$("$DSM" get 'p.*' 2>&1)" "$(tail -n 5 "$work/log")"; }
# refused STATUS WORDS ARGUMENT...
refused() {
	local want=$1 words=$2
	shift 2
	timeout -k 1 20 "$DSM_ADC" "$@" >"$work/out" 2>"$work/err" </dev/null
	status=$?
	err=$(<"$work/err")
	check "$words: status $want" test "$status" = "$want"
	check "$words: said" has "$err" "$words"
}
value() { "$DSM" --format raw get "$1" 2>/dev/null | cut -f 2; }
is() { [[ $(value "$1") == "$2" ]]; }
about() { awk -v a="$(value "$1")" -v b="$2" -v e="$3" 'BEGIN { exit !(a != "" && a - b <= e && b - a <= e) }'; }
counter() { "$DSM" --format raw stat 2>/dev/null | awk -v n="$1" '$2 == n { print $3 }'; }
more_than() { [ "$(counter "$1")" -gt "$2" ] 2>/dev/null; }
# device ID COLUMN: of `dsm stat --devices`; between ID COLUMN LOW HIGH
device() {
	"$DSM" --format csv stat --devices 2>/dev/null | awk -F, -v id="$1" -v key="$2" \
		'NR == 1 { for (i = 1; i <= NF; i++) if ($i == key) column = i } $1 == id { print $column }'
}
between() { awk -v a="$(device "$1" "$2")" -v low="$3" -v high="$4" 'BEGIN { exit !(a != "" && a + 0 >= low && a + 0 <= high) }'; }
logged() { grep -q "$1" "$work/log"; }

engine_up() {
	: >"$work/log"
	: >"$work/ready"
	"$DSMD" --name "$name" --adc 127.0.0.1:"${port:-0}" --keys "$work/keys" --state "$work/state.dsm" --restore \
		"$work/table.yaml" </dev/null >"$work/ready" 2>>"$work/log" &
	engine=$!
	within 20 test -s "$work/ready"
	port=$(sed -n 's/.*listening at udp 127.0.0.1:\([0-9]*\).*/\1/p' "$work/log")
}
engine_down() {
	kill -TERM "$engine"
	wait "$engine"
	engine=''
}
board_up() {
	"$DSM_ADC" --device 7 --key "$work/keys" "$@" "127.0.0.1:$port" </dev/null 2>>"$work/board" &
	board=$!
}
# stopped PID: no thread of it runs any more
stopped() {
	local state
	for state in /proc/"$1"/task/*/stat; do
		[[ $(sed 's/.*) //' "$state") == T* ]] || return 1
	done
}
board_down() {
	kill -TERM "$board"
	wait "$board"
	status=$?
	board=''
}

cat >"$work/table.yaml" <<'YAML'
region: pico
owners: [{name: knobs}, {name: feet}]
groups:
  - {name: f, owner: feet, cells: [{name: x, type: f64}]}
  - {name: p, owner: knobs, cells: [{name: a, type: f64}, {name: b, type: f64}, {name: c, type: f64},
      {name: h, type: f64}, {name: on, type: bool}, {name: n, type: u64}]}
devices:
  - {name: pedals, id: 9, owner: feet, tick_us: 100000, inputs: [{cell: f.x, channel: 0}]}
  - {name: panel, id: 7, owner: knobs, inputs: [{cell: p.a, channel: 0, low: 0, high: 100},
      {cell: p.b, channel: 1, low: -1, high: 1}, {cell: p.c, channel: 2, low: 0, high: 10},
      {cell: p.h, channel: 7}, {cell: p.on, level: 3}, {cell: p.n, presses: 3}]}
YAML
printf 'device:%s0102030405060708090a0b0c0d0e0f\n' '7 knobs 00' '9 pedals 09' >"$work/keys"
chmod 600 "$work/keys"

refused 2 'to which engine' -d 7
refused 2 '--signal "9=1"' -s 9=1 localhost
refused 2 '--signal "0=sine:2:0"' -s 0=sine:2:0 localhost
refused 2 '--press "32=1"' -p 32=1 localhost
refused 2 'expected a whole number from 1 to 8' -c 9 localhost
refused 2 'expected a number from 1 to 10000' -r 0 localhost
refused 1 'no key: give --key FILE' localhost
refused 1 'it has no key of device:8' -d 8 -k "$work/keys" localhost
refused 1 'expected HOST, HOST:PORT' -d 7 -k "$work/keys" 127.0.0.1:
chmod 644 "$work/keys"
refused 1 'run: chmod 600' -d 7 -k "$work/keys" localhost
chmod 600 "$work/keys"
printf 't,c0,q1\n' >"$work/bad.csv"
refused 1 'column "q1"' -d 7 -k "$work/keys" -f "$work/bad.csv" localhost
printf 't,c0\n0,1.5\n' >"$work/bad.csv"
refused 1 'bad.csv:2: "1.5"' -d 7 -k "$work/keys" -f "$work/bad.csv" localhost
refused 1 'no terminal' -d 7 -k "$work/keys" -i localhost
check '--help has examples' has "$("$DSM_ADC" --help)" 'Examples:'

engine_up
check 'the engine listens' test -n "$port"
board_up -s 0=0.25 -s 1=0.5 -s 2=sine:0.5:0.2:0.8 -c 3 -p 3=0.2
check 'a still channel' within 20 about p.a 25 0.01
check 'a second one' about p.b 0 0.001
check 'its quality is simulated' has "$("$DSM" --format json get p.a)" simulated
check 'a channel that the board lacks is bad' has "$("$DSM" --format json get p.h)" bad
check 'the sine comes low' within 20 about p.c 2 0.5
check 'and high' within 20 about p.c 8 0.5
check 'presses are counted' within 20 eval '[ "$(value p.n)" -ge 3 ]'
check 'at 1 kHz' within 20 more_than adc_accepted 1500
check 'the same device twice is refused' refused 1 'another dsm-adc has it' -d 7 -k "$work/keys" 127.0.0.1:"$port"
board_down
check 'it ends in order' test "$status" = 0
check 'nothing was late, foreign or doubled' test "$(counter adc_late)$(counter adc_foreign)$(counter adc_duplicate)" = 000
check 'silence is seen' within 20 logged 'silent for 20 ticks'

# starts of the board: each a greater epoch, accepted
presses=$(value p.n)
for value in 0.75 0.5; do
	before=$(counter adc_accepted)
	board_up -s 0=$value -c 1
	check "started again: $value" within 20 about p.a "${value/0./}$([ $value = 0.5 ] && echo 0)" 0.01
	check "started again: accepted" within 20 more_than adc_accepted $((before + 100))
	board_down
done
check 'its boot counter' test "$(cat "$work/state/dsm/adc-7.epoch")" = 3
check 'no replay among them' test "$(counter adc_replay)" = 0
check 'presses of earlier starts stay' test "$(value p.n)" = "$presses"

# a start of the engine: the board goes on, and goes through
board_up -s 0=1 -c 1
check 'full scale' within 20 about p.a 100 0.001
engine_down
engine_up
check 'after a start of the engine the board goes on' within 20 more_than adc_accepted 100
check 'no replay then' test "$(counter adc_replay)" = 0
board_down
# a boot counter that was lost: all is refused, and counted
rm "$work/state/dsm/adc-7.epoch"
board_up -s 0=0.1 -c 1
check 'a board that begins at 1 again is refused' within 20 more_than adc_replay 20
check 'and its value is not taken' about p.a 100 0.001
board_down

# two boards, each by itself: dsm stat --devices
pedals_up() {
	"$DSM_ADC" --device 9 --key "$work/keys" --rate 10 --signal 0=0.5 "127.0.0.1:$port" </dev/null 2>>"$work/board" &
	board=$!
}
check 'a board that never came' test "$(device 9 state),$(device 9 reset),$(device 9 accepted)" = 'never heard,,0'
echo 50 >"$work/state/dsm/adc-7.epoch"
t1=$EPOCHREALTIME
board_up -s 0=1 -c 1
panel=$board
check 'the panel is alive' within 20 eval '[ "$(device 7 state)" = alive ]'
t2=$EPOCHREALTIME
sleep 1
t3=$EPOCHREALTIME
pedals_up
check 'the pedals are alive' within 20 eval '[ "$(device 9 state)" = alive ]'
t4=$EPOCHREALTIME
check 'the panel: 1,000 a second' within 20 between 7 rate 600 1100
check 'the pedals: 10 a second' within 20 between 9 rate 7 13
lost=$(device 7 lost)
kill -STOP "$panel"
check 'the panel stands still' within 20 stopped "$panel"
sleep 0.4
kill -CONT "$panel"
check 'ticks that it missed are its loss' within 20 between 7 lost $((lost + 300)) 1000000
check 'and not that of the pedals' between 9 lost 0 100
check 'last reset of each' test "$(device 7 reset),$(device 9 reset)" = 'power on,power on'
for id in 7 9; do
	check "device $id: its clock neither slow nor fast" within 30 between $id drift -1000 1000
	check "device $id: the uncertainty of that" within 30 between $id drift_error 0.0001 1000
	check "device $id: the uncertainty of the offset" within 30 between $id offset_error 0.1 100000
done
# of a moment in which all stood still the offset knows nothing until enough came after it
far_apart() {
	awk -v a="$(device 7 offset)" -v b="$(device 9 offset)" -v low="$t2 $t3" -v high="$t1 $t4" 'BEGIN {
		split(low, l, " "); split(high, h, " "); d = (b - a) / 1e6
		exit !(d > l[2] - l[1] - 0.1 && d < h[2] - h[1] + 0.1) }'
}
check 'offsets are as far apart as the starts' within 40 far_apart
sed 's/ 09/ 19/' "$work/keys" >"$work/wrong"
chmod 600 "$work/wrong"
XDG_STATE_HOME=$work/elsewhere "$DSM_ADC" -d 9 -k "$work/wrong" -r 100 -t 0.5 127.0.0.1:"$port" 2>/dev/null
check 'a wrong key is counted at its device' within 20 between 9 bad_tag 1 1000
check 'and at no other' test "$(device 7 bad_tag)" = 0
check 'for people, for programs' has "$("$DSM" --format json stat --devices | tr -d '\n')" '"name":"pedals","owner":"feet","state":"alive"'
board_down
board=$panel panel=''
board_down

# the engine stands still for longer than 20 ticks of the pedals (2 s): what they sent lies in the socket, and
# they were not silent
check 'silent, each' within 20 eval '[ "$(device 7 state),$(device 9 state)" = silent,silent ]'
pedals_up
check 'the pedals again' within 20 eval '[ "$(device 9 state)" = alive ]'
check 'their value' within 20 about f.x 0.5 0.001
before=$(counter adc_accepted) silences=$(device 9 silences)
kill -STOP "$engine"
check 'the engine stands still' within 20 stopped "$engine"
sleep 2.5
kill -CONT "$engine"
check 'what came meanwhile is taken' within 20 more_than adc_accepted $((before + 20))
check 'its own standstill is not the pedals'"' silence" test "$(device 9 silences)" = "$silences"
board_down
check 'their own silence is' within 20 between 9 silences $((silences + 1)) $((silences + 1))

# a recording
echo 77 >"$work/state/dsm/adc-7.epoch"
# it stays pressed: a machine that stands still for a moment would not see a short press
printf 't,c0,c1,b3\n0,0.1,1,0\n0.3,0.6,0,1\n0.6,0.2,0.5,1\n' >"$work/knobs.csv"
before=$(value p.n)
board_up -f "$work/knobs.csv"
check 'the recording ends as it should' within 20 about p.a 20 0.01
check 'the other column' about p.b 0 0.001
check 'the press in it' within 20 is p.n $((before + 1))
board_down
# the keyboard, at a terminal of its own
mkfifo "$work/keyboard"
exec 7<>"$work/keyboard"
before=$(value p.n)
DSM_ADC=$DSM_ADC KEYS=$work/keys PORT=$port OUT=$work script -qec 'stty -g >"$OUT/stty"
	"$DSM_ADC" -d 7 -k "$KEYS" -c 2 -i "127.0.0.1:$PORT"; status=$?; stty -g >>"$OUT/stty"; exit $status' \
	/dev/null <&7 >"$work/shown" 2>&1 &
board=$!
check 'keyboard: knobs in their middle' within 20 about p.a 50 0.01
printf '\033[A' >&7
check 'keyboard: up' within 20 about p.a 51 0.01
printf '\033[5~' >&7
check 'keyboard: page up' within 20 about p.a 61 0.01
printf '\033[C\033[B' >&7
check 'keyboard: right and down' within 20 about p.b -0.02 0.0001
check 'keyboard: the other knob stays' about p.a 61 0.01
printf '\033[D\033[6~' >&7
check 'keyboard: left and page down' within 20 about p.a 51 0.01
printf 3 >&7
check 'keyboard: a button' within 20 is p.n $((before + 1))
check 'keyboard: it is let go' within 20 is p.on false
check 'keyboard: says where the knob is' has "$(<"$work/shown")" 'knob 0:  51 %'
printf q >&7
wait "$board"
check 'keyboard: q ends it' test $? = 0
board=''
exec 7>&-
check 'keyboard: the terminal is as it was' eval '[ "$(sort -u "$work/stty" | wc -l),$(wc -l <"$work/stty")" = 1,2 ]'
echo 'device:7 other 100102030405060708090a0b0c0d0e0f' >"$work/other"
chmod 600 "$work/other"
"$DSM_ADC" -d 7 -k "$work/other" -t 0.2 127.0.0.1:"$port" 2>/dev/null
check 'a wrong key is refused and counted' within 20 more_than adc_bad_tag 20
engine_down
"$DSM_ADC" -d 7 -k "$work/keys" -t 0.2 127.0.0.1:"$port" 2>"$work/err"
check 'where nobody listens it goes on, and says so once' test "$(grep -c 'nobody listens' "$work/err")" = 1

printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
