#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Tests of what dsm doctor says of an engine in which one thing after the other is broken.
#
# Usage: DSM=PATH DSMD=PATH BREAK=PATH tests/cli/doctor.sh
#
# BREAK is the module of doctor_break.c. Prints "ok NAME" or "not ok NAME" per check and
# "N passed, N failed" last; 77 where no module can be loaded before others (a sanitizer's build).

set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/guest/rxe-checks.sh
. "$here/../guest/rxe-checks.sh"
name=dsm-doctor-$$ engine=''

cleanup() {
	[ -z "$engine" ] || { kill -CONT "$engine"; kill "$engine"; wait "$engine"; } 2>/dev/null
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

if ldd "$DSM" | grep -q 'asan\|tsan'; then
	echo 'skipped: nothing can be loaded before a sanitizer'
	exit 77
fi

printf 'region: %s\ngroups:\n  - name: g\n    owner: engine\n    cells:\n      - name: a\n        type: f64\n' \
	"$name" >"$work/table.yaml"
# A port that is free now; another process may be quicker.
for _ in 1 2 3 4 5; do
	port=$((20000 + RANDOM % 10000))
	"$DSMD" --udp "127.0.0.1:$port" --auth none "$work/table.yaml" >"$work/dsmd.log" 2>&1 &
	engine=$!
	for _ in $(seq 100); do "$DSM" -u "$name" info >/dev/null 2>&1 && break 2; kill -0 "$engine" 2>/dev/null || break; sleep 0.05; done
done

# A machine that stands still for a moment has a heartbeat that does, too: five tries.
run_well() {
	for _ in 1 2 3 4 5; do
		run doctor "$1"
		[ "$status" -ne 0 ] || break
	done
}

run_well "shm://$name"; expect 'nothing is broken' 0
for line in engine versions heartbeat role owners clock; do check "nothing is broken: $line" state_is "$line" ok; done

# as run, with something that breaks
run_broken() {
	DSM_BREAK=$1 LD_PRELOAD=$BREAK timeout -k 1 60 "$DSM" doctor "$2" >"$work/out" 2>"$work/err" </dev/null
	status=$?
	out=$(<"$work/out") err=$(<"$work/err")
}

run_broken none "shm://$name"; expect 'the module alone breaks nothing' 0
check 'the module alone: heartbeat' state_is heartbeat ok

run_broken "stop=$engine" "shm://$name"
kill -CONT "$engine"
expect 'stopped after the attach' 1
check 'stopped after the attach: engine answers' state_is engine ok
check 'stopped after the attach: heartbeat' state_is heartbeat fail
check 'stopped after the attach: for how long' found_has heartbeat 'has stood still for'
check 'stopped after the attach: fix' fix_has heartbeat "kill -CONT $engine"

run_broken role "shm://$name"; expect 'the engine does not say who is attached' 0
check 'no list of clients: role' state_is role warn
check 'no list of clients: fix' fix_has role 'dsm ps'
run_broken role-other "shm://$name"
check 'not in the list: role' state_is role warn
check 'not in the list: says so' found_has role 'not in its list'

run_broken version "shm://$name"; expect 'another version' 1
check 'another version: engine' state_is engine fail
check 'another version: fix' fix_has engine 'same version of dsm on both sides'

# Over a network clocks are compared by a commit; without one nothing is known.
run_well "udp://127.0.0.1:$port"; expect 'an idle engine' 0
check 'never committed: clock' state_is clock warn
check 'never committed: not compared' found_has clock 'not compared'
check 'never committed: fix' fix_has clock 'dsm set'
"$DSM" -u "shm://$name" set g.a 1 >/dev/null
run_well "udp://127.0.0.1:$port"
check 'committed once: clock' state_is clock warn
(for _ in $(seq 400); do "$DSM" -u "shm://$name" set g.a "$RANDOM" >/dev/null 2>&1 || exit; sleep 0.02; done) &
writer=$!
for _ in 1 2 3 4 5 6; do
	run_well "udp://127.0.0.1:$port"
	! found_has clock 'fresh commit' || break
done
kill "$writer" && wait "$writer" 2>/dev/null
# on a busy machine it may have come late, which is a warning of its own
check 'committing: the clocks are compared' found_has clock 'fresh commit'

finish_checks
