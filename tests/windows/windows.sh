#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The client over udp, against a dsmd of this machine with keys: tests/windows/udp_cases.c, and dsm's verbs.
#
# Usage: DSMD=PATH KEYGEN=PATH CASES=PATH DSM=PATH [WINE=PATH] tests/windows/windows.sh
#
# With WINE, CASES and DSM are Windows programs, KEYGEN is this machine's dsm. Prints "ok NAME" or
# "not ok NAME" per check and "N passed, N failed" last. Leaves no process and no file behind.

set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/common/check.sh
. "$here/../common/check.sh"
: "${DSMD:?}" "${KEYGEN:?}" "${CASES:?}" "${DSM:?}"
export NO_COLOR=1 LC_ALL=C.UTF-8 WINEDEBUG=-all
unset DISPLAY DSM_KEYS DSM_URI
work=$(mktemp -d)
name="dsm-windows-$$" port=$((20000 + $$ % 10000)) engine=''
wine=() server=$(dirname "${WINE:-.}")/wineserver64
[ -x "$server" ] || server=wineserver
[ -z "${WINE:-}" ] || wine=("$WINE")
export WINEPREFIX=$work/wine WINEDLLOVERRIDES='mscoree,mshtml='

cleanup() {
	[ -z "$engine" ] || kill "$engine" 2>/dev/null
	if [ -n "${WINE:-}" ]; then
		"$server" -k 2>/dev/null
		timeout 20 "$server" -w 2>/dev/null # until its end
	fi
	wait
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

matches_line() { grep -q "^$1" "$work/out"; }

# The command under test in $work, bounded: $status, $out, $err.
run() {
	(cd "$work" && timeout -k 5 60 "${wine[@]}" "$DSM" "$@" >out 2>err </dev/null)
	status=$?
	out=$(<"$work/out") err=$(<"$work/err")
}

# expect NAME STATUS [WORD-IN-OUT [WORD-IN-ERR]]
expect() {
	check "$1: status $2" is "$status" "$2"
	[[ -z ${3-} ]] || check "$1: prints $3" has "$out" "$3"
	[[ -z ${4-} ]] || check "$1: says $4" has "$err" "$4"
}

start_engine() {
	: >"$work/dsmd.log" # or the one before would be said to be ready
	"$DSMD" --name "$name" --udp "127.0.0.1:$port" --keys "$work/all.keys" "$here/table.yaml" \
		>"$work/dsmd.log" 2>&1 &
	engine=$!
	within 20 grep -q 'ready' "$work/dsmd.log"
}

make_keys() {
	(umask 077 && "$KEYGEN" keygen read request owner:robot >"$work/all.keys" &&
		"$KEYGEN" keygen read >"$work/other.keys" && cp "$work/all.keys" "$work/open.keys")
	chmod 644 "$work/open.keys"
}

run_cases() {
	(cd "$work" && timeout -k 5 90 "${wine[@]}" "$CASES" "udp://127.0.0.1:$port" all.keys) \
		>"$work/cases" 2>&1 </dev/null
	tr -d '\r' <"$work/cases" | grep -v ' passed, '
	passed=$((passed + $(grep -c '^ok ' "$work/cases"))) failed=$((failed + $(grep -c '^not ok ' "$work/cases")))
	check 'the cases ran to their end' grep -q ' passed, 0 failed' "$work/cases"
}

test_verbs() {
	run version; expect version 0 'dsm '
	run ls; expect ls 0 'desk.setpoint'
	run set desk.setpoint 12.5; expect 'set by request' 0
	run get -t desk.setpoint; expect get 0 12.5
	run set --owner robot all.words 'grüße'; expect 'set as owner, UTF-8' 0
	run get -t all.words; check 'get of UTF-8' is "$out" 'grüße'
	run get --format json desk.setpoint; expect json 0 '"v":12.5'
	run dump --format table 'desk.*'; expect 'a table' 0 setpoint
	run info; expect info 0 "udp://127.0.0.1:$port"
	run add desk.ticket 1; expect add 0
	run ps; expect ps 0 udp
	run stat; expect stat 0 udp
	run wait --timeout 1 desk; expect 'wait without a commit' 3
	run get no.such; expect 'a name that is not there' 1 '' 'no.such'
	run set desk.setpoint 1000; expect 'out of range' 1
	run keygen read; expect keygen 0 'read-20'
}

test_here_only() {
	[ -n "${WINE:-}" ] || return
	run rxe status; expect rxe 1 '' 'not available on Windows'
	run doctor; expect 'doctor of this machine' 0 'RDMA is not to be had on Windows'
	run -u shm://rig doctor; expect 'doctor, shm' 1 'from Windows an engine is reached by udp://HOST'
	run -u shm://rig ls; expect shm 1 '' 'use udp://'
	run -u "127.0.0.1:$port" info; expect 'no scheme: udp' 0 'best that works'
}

# What doctor asks an engine, while something is committed there. A line is "check, state, found, fix".
test_doctor() {
	local line commits
	(while "$KEYGEN" set desk.setpoint "$((RANDOM % 100))" >/dev/null 2>&1; do sleep 0.02; done) &
	commits=$!
	run doctor --format raw "$DSM_URI"; expect doctor 0
	kill "$commits"; wait "$commits" 2>/dev/null
	for line in 'engine	ok	' 'versions	ok	' 'heartbeat	ok	beats every ' 'role	ok	this user is a reader there ' \
			'owners	warn	' 'clock	ok	a fresh commit came '; do
		check "doctor: ${line//	/ }" matches_line "$line"
	done
	run -u "udp://127.0.0.1:$((port + 1))" --timeout 3 doctor
	expect 'doctor, nobody there' 1 'engine	fail	'
	DSM_KEYS="" run doctor "$DSM_URI"; expect 'doctor, without a key' 1 'wants a key'
}

# Over a restart of the engine: stale, then again.
test_restart() {
	(cd "$work" && exec timeout 60 "${wine[@]}" "$DSM" watch --format raw desk.setpoint) >"$work/watched" 2>&1 </dev/null &
	local watcher=$!
	check 'watch prints at once' within 20 test -s "$work/watched"
	kill "$engine"; wait "$engine" 2>/dev/null
	start_engine
	run set desk.setpoint 77.5; expect 'set after a restart' 0
	check 'watch goes on after a restart' within 20 grep -q 77.5 "$work/watched"
	kill "$watcher"; wait "$watcher" 2>/dev/null
}

make_keys
start_engine || { cat "$work/dsmd.log"; echo '0 passed, 1 failed'; exit 1; }
run_cases
export DSM_KEYS DSM_URI=udp://127.0.0.1:$port
DSM_KEYS=$(grep -v '^#' "$work/all.keys" | paste -sd ';')
test_verbs
test_doctor
test_here_only
test_restart
printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
