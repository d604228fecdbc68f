#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Tests of the dsm command against a running dsmd: verbs, formats, exit statuses, signals,
# completion, a table of many cells.
#
# Usage: DSM=PATH DSMD=PATH tests/cli/dsm.sh [GROUP...]
#
# Prints "ok NAME" or "not ok NAME" per check and "N passed, N failed" last; exit status 1
# if one failed. Starts its own engines under private names; leaves nothing behind.

set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/common/check.sh
. "$here/../common/check.sh"
: "${DSM:=$here/../../build/gcc/cli/dsm}" "${DSMD:=$here/../../build/gcc/engine/dsmd}"
: "${DSM_COMPLETION:=$here/../../cli/dsm.bash-completion}" "${DSM_MANUAL:=$here/../../cli/dsm.1}"
name="dsm-cli-$$"
export DSM_URI="shm://$name" NO_COLOR=1 LC_ALL=C.UTF-8
work=$(mktemp -d)
groups=("$@") engines=()

cleanup() {
	local pid
	for pid in "${engines[@]}"; do kill -CONT "$pid"; kill "$pid"; done 2>/dev/null
	for pid in "${engines[@]}"; do wait "$pid"; done 2>/dev/null
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# ---- what a check is made of ----

# run ARGUMENT...: the command, bounded; leaves $status, $out, $err.
run() {
	timeout -k 1 60 "$DSM" "$@" >"$work/out" 2>"$work/err" </dev/null
	status=$?
	out=$(tr -d '\0' <"$work/out") err=$(tr -d '\0' <"$work/err")
}

# check NAME COMMAND...: passes if the command succeeds.

# expect NAME STATUS [WORD-IN-OUT [WORD-IN-ERR]]
expect() {
	check "$1: status $2" is "$status" "$2"
	[[ -z ${3-} ]] || check "$1: prints $3" has "$out" "$3"
	[[ -z ${4-} ]] || check "$1: says $4" has "$err" "$4"
}

# json PROGRAM: $out is valid JSON, and the Python expression on the documents d holds.
json() {
	printf '%s' "$out" | timeout 20 python3 -c '
import json, sys
text = sys.stdin.read()
refuse = lambda word: sys.exit("constant " + word)
parse = lambda t: json.loads(t, parse_constant=refuse)
d = [parse(l) for l in text.splitlines()] if sys.argv[1] == "lines" else parse(text)
sys.exit(0 if eval(sys.argv[2]) else 1)' "$1" "$2" 2>>"$work/err"
}

# ---- engines ----

write_table() {
	cat >"$1" <<END
region: $name
owners:
  - name: operator
groups:
  - name: drilling
    owner: engine
    description: What the bit does
    cells:
      - name: rop
        type: f64
        unit: m/h
        min: 0
        max: 200
        precision: 1
        description: Rate of penetration, "as drilled"
      - name: state
        type: string(40)
      - name: running
        type: bool
      - name: frame
        type: bytes(8)
      - name: ticket
        type: u64
      - name: level
        type: i64
  - name: mud
    owner: engine
    cells:
      - name: density
        type: f64
        unit: kg/m³
      - name: never
        type: f64
  - name: panel
    owner: operator
    cells:
      - name: brake
        type: f64
        unit: kN
      - name: mode
        type: string(16)
END
}

write_big_table() {
	cat >"$1" <<END
region: $name-big
groups:
  - name: "bulk{}"
    owner: engine
    count: 1000
    cells:
      - name: "c{}"
        type: f64
        count: 100
END
}

answers() { timeout 2 "$DSM" --uri "shm://$1" --timeout 1 info >/dev/null 2>&1; }

# start NAME TABLE
start() {
	timeout -k 2 300 "$DSMD" --name "$1" --table "$2" >"$work/$1.log" 2>&1 &
	engines+=($!)
	within 20 answers "$1"
}

# ---- groups of checks ----

test_help() {
	local verb
	run --help; expect 'help' 0 'usage: dsm'
	for verb in ls info get set watch wait dump add stat ps; do
		run help "$verb"; expect "help $verb" 0 'Example:'
		run "$verb" --help; check "$verb --help is the same" has "$out" "usage: dsm"
	done
	run peek --help; expect 'peek --help' 0 'dsm get'
	run poke --help; expect 'poke --help' 0 'dsm set'
	run version; expect 'version' 0 'dsm '
	run --version; expect '--version' 0 'layout'
}

test_usage() {
	run; expect 'no verb' 2 '' 'a verb is missing'
	run wach x; expect 'near verb' 2 '' 'is "watch" meant?'
	run get; expect 'get without a name' 2 '' 'usage: dsm get'
	run get --since 3 x; expect 'option of another verb' 2 '' 'takes no --since'
	run get --frmat csv x; expect 'near option' 2 '' 'is --format meant?'
	run get --timeout soon x; expect 'timeout that is no number' 2 '' 'expected seconds'
	run get --format xml x; expect 'format that does not exist' 2 '' 'table, json, jsonl, csv, raw'
	run set drilling.rop; expect 'set without a value' 2
	run set drilling.rop 1 drilling.level; expect 'set with an odd word' 2 '' 'has no value'
	run wait 'drilling.*'; expect 'wait for a glob' 2
	run wait drilling --value 3; expect 'value of a group' 2
	run --uri "shm://$name-none" get x; expect 'no engine' 1 '' "$name-none"
}

test_set_and_get() {
	run get mud.never; expect 'never written' 4 'never'
	run set drilling.rop 12.3 drilling.state $'a "b"\tc' drilling.running true; expect 'set three' 0
	check 'set is silent' is "$out" ''
	run get drilling.rop; expect 'get' 0 $'drilling.rop\t12.3\tm/h\tgood\t'
	run peek drilling.rop; expect 'peek' 0 $'drilling.rop\t12.3\t'
	run get -t drilling.rop; check 'get --terse' is "$out" 12.3
	run get -t drilling.state; check 'raw escapes a tab' is "$out" 'a "b"\tc'
	run poke drilling.frame 00ff10; expect 'poke bytes' 0
	run get -t drilling.frame; check 'bytes are hexadecimal' is "$out" 00ff10
	run set drilling.level -5; expect 'a negative number is no option' 0
	run get -t drilling.level; check 'negative number back' is "$out" -5
	run set drilling.rop 0.1; run get -t drilling.rop; check 'shortest number' is "$out" 0.1
	run get drilling.rop nope.x; expect 'one of two not found' 1 'drilling.rop' 'nope.x'
	run get 'nope*'; expect 'a glob without match' 1 '' 'no cell matches'
	run get drilling.ropp; expect 'near cell' 1 '' 'drilling.rop'
	run get drilling; check 'a group is all its cells' is "$(wc -l <"$work/out")" 6
	run get 'drilling.r*' drilling.rop; check 'each cell once' is "$(wc -l <"$work/out")" 2
	run set drilling.rop abc; expect 'set what is no number' 1 '' 'drilling.rop'
	run set drilling.rop 999; expect 'set out of range' 1 '' '200'
	run set drilling.rop 7 drilling.nope 8; expect 'set an unknown cell' 1
	run get -t drilling.rop; check 'nothing set when a name is wrong' is "$out" 0.1
	run set drilling.state "$(printf 'x%.0s' {1..50})"; expect 'set too long a string' 1
	run set drilling.state $'\xff\xfe'; expect 'set what is not UTF-8' 1
}

test_owner() {
	run set panel.brake 1; expect 'request without an owner' 1 '' 'panel.brake'
	run set --owner operator panel.brake 1.5 panel.mode auto; expect 'set as owner' 0
	run get panel.brake; expect 'owner gone' 4 $'panel.brake\t1.5\tkN\tgood,stale(owner)'
	run set --owner nobody panel.brake 1; expect 'no such role' 1
	run set --owner operator drilling.rop 1; expect 'cell of another owner' 1
	run set --owner operator --quality bad panel.brake 2; expect 'set quality' 0
	run get panel.brake; expect 'bad quality' 4 $'panel.brake\t2\tkN\tbad'
	run set --quality bad panel.brake 2; expect 'quality without owner' 2
	run set --owner operator --quality worse panel.brake 2; expect 'no such quality' 2
}

test_add() {
	run set drilling.ticket 5 drilling.level 0
	run add drilling.ticket 3; expect 'add' 0; check 'add prints the previous value' is "$out" 5
	run add drilling.ticket 0; check 'add has added' is "$out" 8
	run add --min 0 drilling.level -1; expect 'add below its floor' 1 0
	run add --max 10 drilling.level 10; expect 'add up to its ceiling' 0 0
	run add --format json drilling.level 1; check 'add as JSON' json whole 'd[0]["v"] == 10'
	run add drilling.state 1; expect 'add to a string' 1 '' 'string'
	run add drilling.level 1.5; expect 'add a fraction to an integer' 1
	run add drilling.level; expect 'add without a number' 2
}

test_formats() {
	run set drilling.rop 12.3 drilling.state $'q"\\ \x1b[31m\n,é' drilling.frame 00ff10 \
		drilling.ticket 18446744073709551615
	run get --format json drilling mud.never
	check 'json is valid' json whole 'len(d) == 7'
	check 'json keys' json whole 'list(d[0]) == ["t", "cell", "v", "u", "q", "seq"]'
	check 'json number' json whole 'd[0]["v"] == 12.3 and d[0]["u"] == "m/h" and d[0]["q"] == "good"'
	check 'json string' json whole 'd[1]["v"] == "q\"\\ \x1b[31m\n,é"'
	check 'json bytes' json whole 'd[3]["v"] == "00ff10"'
	check 'json u64' json whole 'd[4]["v"] == 2**64 - 1'
	check 'json null with quality' json whole 'd[6]["v"] is None and d[6]["q"] != "good"'
	check 'json shows the shortest number' has "$out" '"v":12.3,'
	run get --format jsonl 'drilling.*'; check 'jsonl' json lines 'len(d) == 6 and all("cell" in x for x in d)'
	run get --format csv drilling.rop drilling.state mud.density
	check 'csv names' is "$(sed -n 1p "$work/out")" 't,drilling.rop,drilling.state,mud.density,quality'
	check 'csv units' is "$(sed -n 2p "$work/out")" 's,m/h,,kg/m³,'
	check 'csv quotes' has "$out" '"q""\ '
	run get --format table drilling
	check 'table has a header' has "$(sed -n 1p "$work/out")" 'quality'
	check 'table escapes control characters' has "$out" '\x1b[31m\n'
	check 'table is aligned' is "$(python3 -c '
import sys
lines = open(sys.argv[1], encoding="utf-8").read().splitlines()
print(len({lines[0].index("quality")} | {line.index("  good") + 2 for line in lines[1:]}))' "$work/out")" 1
	run get --format raw drilling.state; check 'raw is one line' is "$(wc -l <"$work/out")" 1
	run dump --format json; check 'dump as JSON' json whole 'len(d) == 10 and d[0]["max"] == 200 and "epoch" in d[0]'
	run dump 'mud.*'; expect 'dump a glob' 0 'mud.density'
	run dump --format csv; check 'dump as CSV' is "$(python3 -c '
import csv, sys
print(len({len(r) for r in csv.reader(open(sys.argv[1], newline=""))}))' "$work/out")" 1
}

test_ls_and_info() {
	run ls; check 'ls' is "$(cut -f1 "$work/out" | paste -sd' ')" \
		'drilling.rop drilling.state drilling.running drilling.frame drilling.ticket drilling.level mud.density mud.never panel.brake panel.mode'
	run ls 'mud.*'; check 'ls GLOB' is "$(cut -f1 "$work/out" | paste -sd' ')" 'mud.density mud.never'
	run ls 'nope*'; expect 'ls without match' 1
	run ls --groups; check 'ls --groups' is "$(cut -f1 "$work/out" | paste -sd' ')" 'drilling mud panel'
	run ls --owners; check 'ls --owners' is "$(cut -f1 "$work/out" | sort | paste -sd' ')" 'engine operator'
	run info; expect 'info' 0 "$name"; check 'info counts' has "$out" $'cells\t10'
	check 'info states the rule for K' has "$out" 'K >= 1 + ceil(p99 of a read / commit interval)'
	run info drilling; expect 'info of a group' 0 $'slots\t4'
	run info drilling.rop --format json; check 'info of a cell' json whole 'd[0]["max"] == 200 and d[0]["type"] == "f64"'
	run info operator; expect 'info of an owner' 0 $'groups\t1'
	run info nope; expect 'info of nothing' 1
	(for _ in {1..8}; do "$DSM" set drilling.rop "$((RANDOM % 100))"; sleep 0.05; done) &
	run info --measure -i 0.5 drilling; wait $!
	expect 'info --measure' 0 'slots_needed'
	check 'info --measure saw commits' matches "$out" $'commits\t[1-9]'
}

# changing SECONDS: sets drilling.rop to growing numbers in the background; $changer
changing() {
	(
		end=$((SECONDS + $1)) n=0
		while ((SECONDS < end)); do
			n=$((n % 150 + 1))
			timeout 5 "$DSM" set drilling.rop "$n" >/dev/null 2>&1
			sleep 0.02
		done
	) &
	changer=$!
}

test_watch() {
	run set drilling.rop 1
	run watch --once drilling.rop mud.density; expect 'watch --once of a never written cell' 4
	run watch --count 1 drilling.rop; expect 'watch --count 1' 0 $'drilling.rop\t1\t'
	changing 20
	run watch --changes --count 3 drilling.rop; expect 'watch --changes' 0
	check 'watch prints lines asked for' is "$(wc -l <"$work/out")" 3
	check 'watch prints different values' is "$(cut -f2 "$work/out" | sort -u | wc -l)" 3
	run watch --format jsonl --count 3 -c drilling; check 'watch as JSON lines' json lines \
		'len(d) == 3 and all(x["cell"] == "drilling.rop" for x in d)'
	run watch --format json --timeout 0.4 'drilling.*' 'panel.*'
	expect 'watch --timeout' 0; check 'watch as one JSON array' json whole 'len(d) >= 8'
	run watch --rate 5 --format jsonl --count 4 drilling.rop
	check 'watch --rate thins out' json lines 'len(d) == 4 and d[3]["t"] - d[1]["t"] >= 0.15'
	run watch --deadband 1000 -c --count 2 --timeout 0.5 drilling.rop
	expect 'watch --deadband: nothing moves so far' 3
	run watch --deadband 1% --count 2 drilling.rop; expect 'watch --deadband in percent' 0
	run watch --nth 2 --count 2 drilling.rop; expect 'watch --nth' 0
	run watch --rate often drilling.rop; expect 'watch --rate of a word' 2 '' '--rate'
	run watch --deadband 1m drilling.rop; expect 'watch --deadband of a length' 2 '' '--deadband'
	run watch --once --rate 5 drilling.rop; expect 'watch --once --rate' 2 '' '--once'
	run watch --format csv -i 0.1 --count 3 drilling.rop drilling.level
	check 'watch -i as CSV' is "$(wc -l <"$work/out")" 5
	run watch -i 0.1 --count 2 drilling.rop drilling.level
	check 'watch -i prints all cells each time' is "$(wc -l <"$work/out")" 4
	run watch -i 0.1 --count 3 --changes drilling.level mud.density
	check 'watch -i --changes prints unchanged cells once' is "$(wc -l <"$work/out")" 2
	timeout -s INT 1 "$DSM" watch --format json drilling.rop >"$work/out" 2>"$work/err"
	out=$(<"$work/out") status=0
	check 'SIGINT leaves valid JSON' json whole 'len(d) >= 2'
	timeout -k 1 20 "$DSM" watch drilling.rop >"$work/interrupted" 2>"$work/err" &
	local watcher=$!
	within 5 test -s "$work/interrupted"
	kill -INT "$watcher" 2>/dev/null
	wait "$watcher"; status=$?
	check 'SIGINT ends watch' matches "$status" '^(0|130)$'
	timeout 10 "$DSM" watch drilling.rop 2>"$work/err" | head -1 >"$work/out"
	status=${PIPESTATUS[0]} err=$(<"$work/err")
	check 'a reader that goes ends watch quietly' is "$status$err" 0
	kill "$changer" 2>/dev/null; wait "$changer" 2>/dev/null
	timeout 10 "$DSM" watch drilling.rop mud.density 2>"$work/err" | head -1 >"$work/out"
	status=${PIPESTATUS[0]}
	check 'also when nothing changes' is "$status" 0
	run watch -c --count 1 --timeout 0.3 drilling.level; expect 'watch: no change in time' 3
	run watch nope; expect 'watch of nothing' 1
}

test_wait() {
	run set drilling.rop 1 drilling.state idle
	run wait --timeout 0.3 mud; expect 'wait: timeout' 3 '' 'mud'
	# again and again: on a busy machine the first may come before `wait` has attached
	(for _ in {1..30}; do sleep 0.3; "$DSM" set drilling.rop 50; done) &
	local setter=$!
	run wait --timeout 10 drilling
	kill "$setter" 2>/dev/null; wait "$setter" 2>/dev/null
	expect 'wait for a group' 0 $'drilling.rop\t50'
	run wait --since 0 --timeout 2 -t drilling.rop; expect 'wait --since an old commit' 0 50
	(for i in {0..9}; do sleep 0.7; "$DSM" set drilling.level "$i"; "$DSM" set drilling.rop "6$i"; done) &
	run wait --timeout 20 -t drilling.rop
	expect 'wait for a change of one cell' 0; check 'not of another' matches "$out" '^6[0-9]$'
	kill "$!" 2>/dev/null; wait "$!" 2>/dev/null; "$DSM" set drilling.rop 60
	run wait --timeout 2 --value 60 -t drilling.rop; expect 'wait --value that is there' 0 60
	(for v in 61 62 70 80; do sleep 0.1; "$DSM" set drilling.rop $v; done) &
	run wait --timeout 10 --value '>=70' -t drilling.rop; wait $!
	expect 'wait --value >=' 0; check 'wait saw such a value' matches "$out" '^(70|80)$'
	run wait --timeout 0.3 --value '<1' drilling.rop; expect 'wait --value never' 3
	run wait --timeout 2 --value '!=busy' -t drilling.state; expect 'wait for a string' 0 idle
	run wait --timeout 0.3 --value 2 panel.brake; expect 'a stale value does not count' 3 '' 'operator'
	run wait --value abc drilling.rop; expect 'wait for what is no number' 1
	run wait nope; expect 'wait for nothing' 1
}

test_stat_and_ps() {
	run stat; expect 'stat' 0 $'handle\treads'
	check 'stat has counters of the engine' has "$out" $'engine\t'
	run stat --format json; check 'stat as JSON' json whole 'all(isinstance(x["v"], int) for x in d)'
	run stat -i 0.2 --count 2 --format jsonl; check 'stat -i has rates' json lines \
		'any(x["rate"] is not None for x in d)'
	timeout 10 "$DSM" watch mud >/dev/null 2>&1 &
	local watcher=$!
	sleep 0.3
	run ps --format json; check 'ps shows a client' json whole 'any(x["program"] == "dsm watch" for x in d)'
	kill "$watcher" 2>/dev/null; wait "$watcher" 2>/dev/null
	run ps; expect 'ps' 0 'dsm ps'
}

test_output() {
	timeout 10 "$DSM" ls >/dev/full 2>"$work/err"
	status=$? err=$(<"$work/err")
	check 'a full disk is reported' is "$status" 1
	check 'and named' has "$err" 'No space left'
	if command -v script >/dev/null; then
		timeout 10 env -u NO_COLOR TERM=xterm script -qec "$DSM get mud.never" /dev/null >"$work/out" </dev/null
		out=$(<"$work/out")
		check 'a terminal gets a table in colour' matches "$out" $'\e\\[.*quality'
		timeout 10 env NO_COLOR=1 TERM=xterm script -qec "$DSM get mud.never" /dev/null >"$work/out" </dev/null
		out=$(<"$work/out")
		check 'NO_COLOR is heeded' is "${out/$'\e'/}" "$out"
	fi
	if command -v mandoc >/dev/null; then
		check 'manual page is well formed' mandoc -Tlint -W error "$DSM_MANUAL"
	fi
}

# completed WORD...: what completion offers for the last word, sorted, in one line.
completed() {
	COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
	COMPREPLY=()
	_dsm
	printf '%s\n' "${COMPREPLY[@]}" | sort | paste -sd' '
}

# completes is|has WORDS ARGUMENT...: an engine that does not answer soon is not waited for, and nothing is
# completed then.
completes() {
	out=$(completed "$DSM" "${@:3}")
	"$1" "$out" "$2"
}

test_completion() {
	# shellcheck source=/dev/null
	. "$DSM_COMPLETION"
	check 'complete verbs' within 20 completes is 'wait watch' wa
	check 'complete cells' within 20 completes is 'mud.density mud.never' get mud.
	check 'complete groups too' within 20 completes has 'drilling drilling.frame' get drilling.r dri
	check 'complete cells to set' within 20 completes is 'drilling.rop' set drilling.ro
	check 'complete options' within 20 completes is '--format' get --form
	check 'complete options of a verb' within 20 completes is '--since' wait --s
	check 'complete formats' within 20 completes is 'json jsonl' ls --format j
	check 'complete owners' within 20 completes is 'operator' set --owner op
	check 'complete verbs of help' within 20 completes is 'dump' help du
	DSM_URI=shm://none check 'completion honours --uri' within 20 completes is mud.density --uri "$name" get mud.d
	DSM_URI=shm://none check 'completion honours --uri in pieces' within 20 completes is mud.density \
		--uri shm : "//$name" get mud.d
	out=$(DSM_URI=shm://none completed "$DSM" get mud.d); check 'no engine, nothing offered' is "$out" ''
}

last_is_good() { tail -n 1 "$1" | grep -q '"q":"good"'; }

# The engine stands still: values are shown, and said to be stale.
test_stopped_engine() {
	local pid
	pid=$("$DSM" info | awk -F'\t' '$1 == "engine_pid" { print $2 }')
	run set drilling.rop 5
	timeout 60 "$DSM" watch --format jsonl -c mud.density drilling.rop >"$work/watched" 2>/dev/null &
	local watcher=$!
	sleep 0.5
	kill -STOP "$pid"
	check 'watch shows staleness' within 10 grep -q '"cell":"drilling.rop".*stale' "$work/watched"
	run get --timeout 1 drilling.rop; check 'a stopped engine: timeout or stale, within time' \
		matches "$status" '^[34]$'
	kill -CONT "$pid"
	check 'and that it is over' within 10 last_is_good "$work/watched"
	kill "$watcher" 2>/dev/null; wait "$watcher" 2>/dev/null
}

test_restart() {
	timeout 60 "$DSM" watch --format jsonl drilling.rop >"$work/restarted" 2>"$work/err" &
	local watcher=$!
	within 5 test -s "$work/restarted"
	kill "${engines[0]}"; wait "${engines[0]}" 2>/dev/null
	run get drilling.rop; expect 'engine gone' 1
	start "$name" "$work/table.yaml"
	run set drilling.rop 77; expect 'engine back' 0
	check 'watch goes on after a restart' within 15 grep -q '"v":77' "$work/restarted"
	kill "$watcher" 2>/dev/null; wait "$watcher" 2>/dev/null
}

test_many_cells() {
	write_big_table "$work/big.yaml"
	start "$name-big" "$work/big.yaml" || { check 'engine with 100,000 cells' false; return; }
	local DSM_URI="shm://$name-big" ends=''
	run ls; check 'ls of 100,000 cells' is "$(wc -l <"$work/out")" 100000; ends+=" $status"
	run dump --format jsonl; check 'dump of 100,000 cells' is "$(wc -l <"$work/out")" 100000; ends+=" $status"
	run get '*'; check 'get of 100,000 cells' is "$(wc -l <"$work/out")" 100000; ends+=" $status"
	run watch --once --format csv '*'; check 'csv of 100,000 cells' is "$(wc -l <"$work/out")" 3
	ends+=" $status"
	check 'all four end by themselves, in a minute each' is "$ends" ' 0 0 4 4'
	timeout 10 "$DSM" ls 2>"$work/err" | head -2 >"$work/out"
	status=${PIPESTATUS[0]}
	check 'ls | head ends quietly' is "$status$(<"$work/err")" 0
	run dump --timeout 0.01; check 'a total timeout ends a long dump' is "$status" 3
}

test_nothing_left() {
	local pid
	for pid in "${engines[@]}"; do kill "$pid"; wait "$pid"; done 2>/dev/null
	engines=()
	check 'nothing in /dev/shm' is "$(find /dev/shm -name "*$name*" | wc -l)" 0
}

write_table "$work/table.yaml"
if ! start "$name" "$work/table.yaml"; then
	status=1 err=$(<"$work/$name.log")
	check "dsmd starts" false
else
	((${#groups[@]})) || groups=(help usage set_and_get owner add formats ls_and_info watch wait
		stat_and_ps output completion stopped_engine restart many_cells nothing_left)
	for group in "${groups[@]}"; do "test_$group"; done
fi
echo "$passed passed, $failed failed"
((failed == 0))
