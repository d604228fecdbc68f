#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Tests of dsmd: --check, configuration, signals, reload, state file, a second engine.
#
# Usage: DSM=PATH DSMD=PATH tests/cli/dsmd.sh
#
# Prints "ok NAME" or "not ok NAME" per check and "N passed, N failed" last; exit status 1
# if one failed. Starts its own engines under private names; leaves nothing behind.

set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/common/check.sh
. "$here/../common/check.sh"
: "${DSM:=$here/../../build/gcc/cli/dsm}" "${DSMD:=$here/../../build/gcc/engine/dsmd}"
name="dsmd-test-$$"
export DSM_URI="shm://$name" LC_ALL=C.UTF-8
unset NOTIFY_SOCKET JOURNAL_STREAM
work=$(mktemp -d)
engine=''

cleanup() {
	if [[ -n $engine ]]; then
		kill -KILL "$engine" 2>/dev/null
		wait "$engine" 2>/dev/null
	fi
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# run ARGUMENT...: dsmd, bounded; leaves $status, $out, $err.
run() {
	timeout -k 1 30 "$DSMD" "$@" >"$work/out" 2>"$work/err" </dev/null
	status=$?
	out=$(<"$work/out") err=$(tr -d '\0' <"$work/err")
}
# expect NAME STATUS [WORDS-IN-OUT [WORDS-IN-ERR]]
expect() {
	check "$1: status $2" is "$status" "$2"
	[[ -z ${3-} ]] || check "$1: prints $3" has "$out" "$3"
	[[ -z ${4-} ]] || check "$1: says $4" has "$err" "$4"
}
logged() { grep -q -- "$1" "$work/log"; }
# times WORDS N: the log has the words N times.
times() { [[ $(grep -c -- "$1" "$work/log") == "$2" ]]; }

# start ARGUMENT...: an engine in the background, until it is ready.
start() {
	: >"$work/log" # the engine before wrote "ready" into it
	"$DSMD" --name "$name" "$@" >"$work/log" 2>&1 </dev/null &
	engine=$!
	check "ready: $*" within 20 logged 'dsmd: ready: '
}
# finish SIGNAL: ends it; leaves $status.
finish() {
	kill "-$1" "$engine"
	wait "$engine"
	status=$?
	engine='' err=$(<"$work/log") out=''
}
value() { [[ $(timeout 10 "$DSM" get -t "$1" 2>/dev/null) == "$2" ]]; }
set_value() { timeout 10 "$DSM" set "$@" >/dev/null 2>"$work/err" || err=$(<"$work/err"); }
no_cell() { ! timeout 10 "$DSM" get -t "$1" >/dev/null 2>&1; }

table() {
	cat >"$work/t.yaml" <<-TABLE
		region: unused
		owners: [{name: operator, users: "*"}]
		groups:
		  - name: mud
		    cells: [{name: flow, type: f64, unit: l/min, max: 100}, {name: note, type: string(8)}$1]
		  - {name: panel, owner: operator, cells: [{name: on, type: bool}]}
	TABLE
}

# ---- command line ----

table ''
run --help
expect 'help' 0 'dsmd --check rig.yaml'
run --version
expect 'version' 0 'dsmd '
run
expect 'no table' 2 '' 'no table file given'
run --nonsense
expect 'unknown option' 2 '' 'nonsense'
run a.yaml b.yaml
expect 'two tables' 2 '' 'more than one'
run --restore "$work/t.yaml"
expect 'restore without a file' 2 '' '--state'
run --state "$work/s" --interval x "$work/t.yaml"
expect 'interval' 2 '' 'expected 0 to'

run --check "$work/t.yaml"
expect 'check' 0 'region unused, 2 owners, 2 groups, 3 cells'
run --check "$work/missing.yaml"
expect 'check of no file' 1 '' 'missing.yaml: cannot be opened'
sed 's/max: 100/min: 200, max: 100/' "$work/t.yaml" >"$work/bad.yaml"
run --check "$work/bad.yaml"
expect 'check of a bad table' 1 '' 'bad.yaml:5: groups[0].cells[0].min: '
run "$work/bad.yaml"
expect 'a bad table is not served' 1 '' 'bad.yaml:5: groups[0].cells[0].min: '
run --name 'a/b' "$work/t.yaml"
expect 'a bad name' 1

# ---- rdma: what is refused before a device is looked for ----

run --rdma '*' "$work/t.yaml"
expect 'rdma wants keys, or to hear that there are none' 2 '' 'say --auth none'
run --rdma '*' --auth keys "$work/t.yaml"
expect 'rdma with keys wants them' 2 '' 'wants a key file (--keys FILE'
run --auth secret "$work/t.yaml"
expect 'no other authentication' 2 '' 'expected none or keys'
if [[ $("$DSMD" --check --rdma '*' --auth none "$work/t.yaml" 2>&1) != *'no rdma'* ]]; then
	run --check --rdma '*:7000' --auth none "$work/t.yaml"
	expect 'check with rdma' 0 'auth none, rdma at *:7000'
	for bad in '' '*7000' 'a b' '[::1' '10.0.0.1:70000' '10.0.0.1:x'; do
		run --check --rdma "$bad" --auth none "$work/t.yaml"
		expect "rdma at '$bad'" 1 '' 'expected an address of this machine'
	done
fi

# ---- udp: who may come in ----

run --udp '*' --check "$work/t.yaml"
expect 'udp at every address, no keys: only a check of the table' 0
run --udp '*:0' "$work/t.yaml"
expect 'port 0 is none' 1 '' 'udp: "*:0"'
run --udp '*' "$work/t.yaml"
expect 'udp at every address wants keys' 1 '' 'there are no keys for clients'
run --auth keys --udp '*' "$work/t.yaml"
expect 'auth keys without a file' 2 '' 'wants a key file'
run --check --udp '[::1]:7000' --auth none "$work/t.yaml"
expect 'check with udp' 0 'auth none, udp at [::1]:7000'
udp=$((20000 + $$ % 20000))
(umask 077; "$DSM" keygen read >"$work/read"; "$DSM" keygen read request owner:operator >"$work/more")
cat "$work/read" >"$work/keyfile"
chmod 600 "$work/keyfile"
start --udp "127.0.0.1:$udp" --keys "$work/keyfile" --auth keys "$work/t.yaml"
check 'the ready line names it' logged "auth keys, udp at 127.0.0.1:$udp"
over_udp() { DSM_KEYS=$(<"$1") DSM_URI=udp://127.0.0.1:$udp timeout 20 "$DSM" "${@:2}" >"$work/out" 2>"$work/err"; }
set_value mud.flow 12.5
check 'a key reads' over_udp "$work/read" get mud.flow
check 'and does not set' eval '! over_udp "$work/read" set mud.flow 3'
check 'no key: refused' eval '! over_udp /dev/null get mud.flow'
check 'and says what to do' grep -q 'wants a key' "$work/err"
check 'a key that is not there yet: refused' eval '! over_udp "$work/more" get mud.flow'
cat "$work/more" >>"$work/keyfile"
kill -USR2 "$engine"
check 'keys are read again' within 10 logged 'keys read again'
check 'then it is known, and sets' over_udp "$work/more" set mud.flow 3
check 'and the old one still' over_udp "$work/read" get mud.flow
check 'ps knows the transport' over_udp "$work/read" ps
check 'udp stands there' grep -q udp "$work/out"
check 'stat counts refusals' eval 'over_udp "$work/read" stat; grep -Eq "refused_key.*[1-9]" "$work/out"'
echo 'read broken xyz' >>"$work/keyfile"
kill -USR2 "$engine"
check 'a broken key file is refused' within 10 logged 'the old ones go on'
check 'and nobody notices' over_udp "$work/read" get mud.flow
finish TERM

# ---- boards and their keys ----

cat >"$work/adc.yaml" <<-'YAML'
	region: unused
	owners: [{name: knobs}]
	groups: [{name: g, owner: knobs, cells: [{name: a, type: f64}]}]
	devices: [{name: panel, id: 7, owner: knobs, inputs: [{cell: g.a, channel: 0}]}]
YAML
run --check --adc '127.0.0.1:0' "$work/adc.yaml"
expect 'boards without keys' 1 '' 'adc needs keys'
(umask 077; "$DSM" keygen read device:7 >"$work/keys")
run --check --adc '127.0.0.1:0' --keys "$work/keys" "$work/adc.yaml"
expect 'boards with the keys of dsm keygen' 0 'ok: region unused'
DSM_KEYS=$("$DSM" keygen device:7) run --check --adc '*' "$work/adc.yaml"
expect 'boards with keys from the environment' 0 'ok: region unused'
chmod 640 "$work/keys"
run --check --adc '127.0.0.1:0' --keys "$work/keys" "$work/adc.yaml"
expect 'a key file that others may read' 1 '' 'expected 0600'
chmod 600 "$work/keys"
(umask 077; "$DSM" keygen device:8 >"$work/keys8")
run --check --adc '127.0.0.1:0' --keys "$work/keys8" "$work/adc.yaml"
expect 'a board without a key' 1 '' 'device "panel" has no key'
run --check --adc '127.0.0.1:99999' --keys "$work/keys" "$work/adc.yaml"
expect 'a bad port' 1 '' 'adc: "127.0.0.1:99999": bad port'

# ---- configuration ----

# config NAME STATUS WORDS TEXT
config() {
	printf "$4" >"$work/c.yaml"
	run --check --config "$work/c.yaml"
	expect "config: $1" "$2" '' "$3"
}
config 'all is well' 0 '' 'table: t.yaml\nauth: none\nstate: {file: s, interval_s: 0.5, restore: yes}\n'
config 'without auth' 1 'auth: Missing' 'table: t.yaml\n'
config 'udp and keys' 0 '' 'auth: keys\ntable: t.yaml\nudp: "*"\nkeys: read\n'
config 'unknown auth' 1 'c.yaml:1: auth: ' 'auth: psk\ntable: t.yaml\n'
config 'a word for a number' 1 'c.yaml:3: tick_ms: ' 'auth: none\ntable: t.yaml\ntick_ms: fast\n'
config 'boards' 0 '' 'auth: none\ntable: adc.yaml\nadc: 127.0.0.1:0\nkeys: keys\n'
config 'boards, no such key file' 1 'nokeys: cannot be opened' 'auth: none\ntable: adc.yaml\nadc: "*"\nkeys: nokeys\n'
config 'unknown key' 1 'c.yaml: Unexpected key: foo' 'auth: none\ntable: t.yaml\nfoo: 1\n'
config 'state without file' 1 'the path of the state file' 'auth: none\ntable: t.yaml\nstate: {restore: yes}\n'
config 'negative interval' 1 'interval_s' 'auth: none\ntable: t.yaml\nstate: {file: s, interval_s: -1}\n'
config 'no YAML' 1 'c.yaml' 'auth: none\ntable: [x\n'
config 'empty' 1 'an empty file' ''
config 'table missing' 1 'other.yaml: cannot be opened' 'auth: none\ntable: other.yaml\n'
printf 'auth: none\ntable: t.yaml\ntick_ms: 2\n' >"$work/c.yaml"
run --config "$work/c.yaml"
expect 'tick out of range' 1 '' 'tick'

# ---- ready, second engine, clean end ----

start "$work/t.yaml"
check 'the ready line has it all' logged "ready: $name: 3 cells in 2 groups of 2 owners, [0-9]* bytes, pid $engine, auth none"
set_value mud.flow 12.5
check 'it serves' value mud.flow 12.5
run --name "$name" "$work/t.yaml"
expect 'a second engine of the name' 1 '' "$engine"
check 'the first is not disturbed' value mud.flow 12.5
kill -USR1 "$engine"
check 'SIGUSR1 without a state file is said' within 10 logged 'not saved: '

# ---- reload ----

table ', {name: level, type: f64}'
kill -HUP "$engine"
check 'SIGHUP reloads' within 10 logged 'reloaded: .* 4 cells in 2 groups'
check 'values are carried over' within 10 value mud.flow 12.5
set_value mud.level 3
check 'the new cell is there' value mud.level 3
cp "$work/bad.yaml" "$work/t.yaml"
kill -HUP "$engine"
check 'a bad table is refused' within 10 logged 'reload refused.*t.yaml:5: groups\[0\].cells\[0\].min: '
check 'the old one goes on' value mud.level 3
rm "$work/t.yaml"
kill -HUP "$engine"
check 'a missing table is refused' within 10 logged 'reload refused.*cannot be opened'
check 'the old one goes on still' value mud.flow 12.5
table ''
kill -HUP "$engine"
check 'the next good one is taken' within 10 times 'reloaded: ' 2
check 'the cell is gone' within 10 no_cell mud.level
check 'the others keep their values' value mud.flow 12.5
finish TERM
expect 'SIGTERM' 0 '' 'ended'
start "$work/t.yaml"
finish INT
expect 'SIGINT' 0 '' 'ended'

# ---- state ----

start --state "$work/state" "$work/t.yaml"
set_value mud.flow 33 mud.note ten
kill -USR1 "$engine"
check 'SIGUSR1 saves' within 10 logged 'saved to '
check 'the file is there' [ -s "$work/state" ]
set_value mud.flow 44
finish TERM
expect 'SIGTERM saves' 0 '' 'state saved to '
start --state "$work/state" --restore "$work/t.yaml"
check 'values restored' value mud.flow 44
check 'texts restored' value mud.note ten
{ kill -KILL "$engine" && wait "$engine"; } 2>/dev/null
engine=''
printf 'X' | dd of="$work/state" bs=1 seek=40 conv=notrunc 2>/dev/null
start --state "$work/state" --restore "$work/t.yaml"
check 'a damaged state is said' logged "$work/state"
check 'and the one before taken' value mud.flow 33
finish TERM
start --state "$work/state" "$work/t.yaml"
timeout 10 "$DSM" get mud.flow >"$work/out" 2>&1
status=$? out=$(<"$work/out")
expect 'without --restore it starts empty' 4 'never'
finish TERM
start --state "$work/none/state" "$work/t.yaml"
set_value mud.flow 1
finish TERM
expect 'a state that cannot be saved' 1 '' 'none/state'

start --state "$work/often" --interval 0.2 "$work/t.yaml"
set_value mud.flow 5
check 'saved by itself' within 10 [ -s "$work/often" ]
finish TERM

# ---- service manager ----

if command -v python3 >/dev/null; then
	python3 - "$work/notify" >"$work/told" <<-'PYTHON' &
		import socket, sys
		s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
		s.bind(sys.argv[1])
		s.settimeout(30)
		while True:
		    text = s.recv(4096).decode()
		    print(text, flush=True)
		    if "STOPPING" in text:
		        break
	PYTHON
	listener=$!
	check 'listener' within 10 [ -S "$work/notify" ]
	NOTIFY_SOCKET=$work/notify start "$work/t.yaml"
	check 'READY=1' within 10 grep -q '^READY=1' "$work/told"
	kill -HUP "$engine"
	check 'RELOADING=1' within 10 grep -q '^RELOADING=1' "$work/told"
	finish TERM
	wait "$listener"
	check 'STOPPING=1' grep -q '^STOPPING=1' "$work/told"
fi

echo "$passed passed, $failed failed"
((failed == 0))
