#!/usr/bin/env bash
# Runs every example with small sizes and looks at what it says; then the demo, whole and interrupted.
#
# Usage: tests/examples/run.sh BUILD_DIR [NAME]...
#        NAME: only the checks whose name begins so, such as 'rig' or 'demo'
#
# Every program runs under a time limit. Nothing may stay behind: no process, no file.
# Last line: N passed, N failed. Exit status: 0 all passed, 1 some failed, 2 wrong usage.

set -uo pipefail
if [ $# -lt 1 ] || [ ! -d "$1/examples" ]; then
	echo "Usage: ${0##*/} BUILD_DIR [NAME]..." >&2
	exit 2
fi
build=$(cd "$1" && pwd)
only=("${@:2}")
cd "$(dirname "$0")/../.." || exit 2
examples=$build/examples
data=examples/rig/data
passed=0 failed=0
started=()
# In the build directory, not in /tmp: the demo's checks look for files left in /tmp.
scratch=$(mktemp -d "$build/examples-test.XXXXXX")
trap 'end_started; rm -rf "$scratch"' EXIT
trap 'exit 1' INT TERM

# ---- how a check is made --------------------------------------------------------------------

wanted() {
	local name
	[ ${#only[@]} -gt 0 ] || return 0
	for name in "${only[@]}"; do
		[[ $1 != "$name"* ]] || return 0
	done
	return 1
}

pass() {
	passed=$((passed + 1))
	echo "ok: $1"
}

fail() {
	failed=$((failed + 1))
	echo "FAILED: $1: $2"
	sed 's/^/    /' "$scratch/out" 2>/dev/null | tail -n 25
}

# check NAME STATUS PATTERN COMMAND...: the command ends with STATUS within a minute and says PATTERN
# (an extended regular expression for a line of its output; empty: whatever it says).
check() {
	local name=$1 status=$2 pattern=$3 got=0
	shift 3
	wanted "$name" || return 0
	timeout --kill-after=5 60 "$@" </dev/null >"$scratch/out" 2>&1 || got=$?
	if [ "$got" != "$status" ]; then
		fail "$name" "status $got, not $status, from: $*"
	elif [ -n "$pattern" ] && ! grep -Eq -- "$pattern" "$scratch/out"; then
		fail "$name" "does not say '$pattern': $*"
	else
		pass "$name"
	fi
}

# start COMMAND...: runs in the background until end_started.
start() {
	timeout --kill-after=5 60 "$@" </dev/null >>"$scratch/started" 2>&1 &
	started+=($!)
}

end_started() {
	local pid
	for pid in "${started[@]}"; do
		kill -TERM "$pid" 2>/dev/null && wait "$pid" 2>/dev/null
	done
	started=()
}

# await COMMAND...: until it succeeds, at most 5 s.
await() {
	local tries
	for ((tries = 0; tries < 100; tries++)); do
		! "$@" >/dev/null 2>&1 || return 0
		sleep 0.05
	done
	cat "$scratch/started"
	return 1
}

# What could stay behind: processes of this build, shared memory, temporary files, sockets.
remains() {
	local pid exe
	for pid in /proc/[0-9]*; do
		exe=$(readlink "$pid/exe" 2>/dev/null) || continue
		[[ $exe != "$build"/* ]] || printf 'process %s %s\n' "${pid#/proc/}" "$exe"
	done
	find /dev/shm /tmp -mindepth 1 -maxdepth 1 -name '*dsm*' -printf '%p\n' 2>/dev/null
	find "$build" -maxdepth 1 -name 'demo-*' -printf '%p\n'
	grep -ao '@[^ ]*demo-[^ ]*' /proc/net/unix
	true
}

check_nothing_remains() {
	local now
	wanted "$1" || return 0
	now=$(diff <(sort <<<"$2") <(remains | sort) | grep '^>')
	echo "$now" >"$scratch/out"
	if [ -z "$now" ]; then
		pass "$1: nothing stays behind"
	else
		fail "$1" 'something stays behind'
	fi
}

# ---- examples -------------------------------------------------------------------------------

test_examples() {
	local before
	before=$(remains)
	check wires 0 "the other's all arrived at 5000" "$examples/wires" 6 5000
	check wires-one 0 'block B: 1 wires' "$examples/wires" 1 1000
	check fanout 0 '500 tasks, 4 workers: 0 lost, 0 run twice' "$examples/fanout" 500 4
	check fanout-few 0 '3 tasks, 8 workers: 0 lost, 0 run twice' "$examples/fanout" 3 8
	check pipeline 0 '3000 items .* in order, none lost' "$examples/pipeline" 3000
	check request-reply 0 'client 3: 50 right answers' "$examples/request_reply" 50 3
	check semaphore 0 '^200 entries by 4 workers, at most [12] inside at once of 2 places' \
		"$examples/semaphore" 50 4 2
	check semaphore-mutex 0 'at most 1 inside at once' "$examples/semaphore" 30 3 1
	check array 0 '^ +4 +[0-9.]+ +[0-9.]+ +[0-9.]+$' "$examples/array_handover" 16 4
	check array-large 0 '^ +3 +[0-9.]+ +[0-9.]+ +[0-9.]+$' "$examples/array_handover" 80 3
	check writer 0 '5 steps written and read back, 0 of them mixed' "$examples/writer" "w-$$" 5
	check bad-argument 2 "argument 1 is 'many'" "$examples/fanout" many
	check_nothing_remains examples "$before"
}

test_attach_read() {
	wanted attach-read || return 0
	start "$examples/writer" "attach-$$" 50
	await "$examples/attach_read" "attach-$$" pump.pressure
	check attach-read-is-short 0 '' test "$(wc -l <examples/attach_read.c)" -le 30
	check attach-read 0 '^pump.pressure = [0-9.]+ \(good\)$' \
		"$examples/attach_read" "attach-$$" pump.pressure
	check attach-read-no-cell 1 'pump.presure' "$examples/attach_read" "attach-$$" pump.presure
	end_started
	check attach-read-no-engine 1 "attach-$$" "$examples/attach_read" "attach-$$" pump.pressure
	check attach-read-usage 2 '^Usage' "$examples/attach_read"
}

# Sixteen groups of seventeen, one commit in each: 16 commits, however many rounds.
test_batches() {
	local uri=shm://batches-$$ tank
	wanted batches || return 0
	cat >"$scratch/tanks.yaml" <<-'YAML'
		region: tanks
		owners: [{name: plant}]
		groups: [{name: "tank{}", owner: plant, count: 17, cells: [{name: level, type: f64}]}]
	YAML
	start "$build/engine/dsmd" --name "batches-$$" "$scratch/tanks.yaml"
	await "$build/cli/dsm" --uri "$uri" info
	check batches-never-written 0 '^10 rounds of 16 groups: 0 commits$' "$examples/batches" "$uri" 10
	for tank in {0..16}; do
		check "batches-tank$tank" 0 '' "$build/cli/dsm" --uri "$uri" set --owner plant "tank$tank.level" "$tank"
	done
	check batches 0 '^200 rounds of 16 groups: 16 commits$' "$examples/batches" "$uri" 200
	check batches-is-short 0 '' test "$(wc -l <examples/batches.c)" -le 60
	end_started
	check batches-no-engine 1 "batches-$$" "$examples/batches" "$uri"
}

# ---- the rig --------------------------------------------------------------------------------

test_rig_usage() {
	check rig-replay-help 0 'Examples:' "$examples/rig-replay" --help
	check rig-replay-usage 2 'not in the option' "$examples/rig-replay" --speed 0 x
	check rig-replay-no-log 2 '^Usage' "$examples/rig-replay"
	check rig-replay-missing 1 'nowhere.csv: No such file' "$examples/rig-replay" nowhere.csv
	printf '1,2,3,4,5,6,7,8,9,10,11,1\n1,2\n' >"$scratch/bad.csv"
	check rig-replay-malformed 1 'bad.csv:2: column 2 ' "$examples/rig-replay" "$scratch/bad.csv"
	check rig-replay-too-far 1 'ends at row 50000' "$examples/rig-replay" --from 60000 \
		"$data/SampleData1.csv"
	check rig-view-help 0 'Example:' "$examples/rig-view" --help
	check rig-view-usage 2 'a number from' "$examples/rig-view" --seconds soon
	check rig-view-no-engine 1 "no-such-$$" "$examples/rig-view" --uri "shm://no-such-$$"
}

# check_pace NAME SPEED ROWS SECONDS: one row a second, SPEED times as fast, so ROWS take SECONDS at least.
check_pace() {
	local start=${EPOCHREALTIME//[!0-9]/}
	check "$1" 0 "^replay: $3 rows committed" "$examples/rig-replay" --uri "$uri" --speed "$2" --from 9000 \
		--rows "$3" "${files[@]}"
	check "$1-not-faster" 0 '' test $((${EPOCHREALTIME//[!0-9]/} - start)) -ge $(($4 * 990000))
}

# The README's first program, as it stands there but for the engine's name.
check_first_program() {
	awk '/^```c$/ { on = 1; next } /^```$/ { on = 0 } on' README.md | sed "s|\"rig\"|\"$1\"|" >"$scratch/first.c"
	check rig-first-program-builds 0 '' cc -Wall -Werror -o "$scratch/first" "$scratch/first.c" -Iinclude \
		-L"$build/lib" -ldsm -Wl,-rpath,"$build/lib"
	check rig-first-program 0 '^[0-9.-]+, quality [a-z]+' "$scratch/first"
}

test_rig() {
	local uri=shm://rig-$$ dsm=$build/cli/dsm before
	local replay=("$examples/rig-replay" --uri "$uri" --speed 100)
	local files=("$data/SampleData1.csv" "$data/RigStatesForSampleData1.txt")
	wanted rig || return 0
	before=$(remains)
	check rig-table 0 '' "$build/engine/dsmd" --check examples/rig/rig.yaml
	start "$build/engine/dsmd" --name "rig-$$" examples/rig/rig.yaml
	await "$dsm" --uri "$uri" info
	start "$examples/rig-operator" "$uri"
	check rig-replay-row 0 '^replay: 100 rows committed, 0 while .*, 0 values out of range' \
		"${replay[@]}" --from 9901 --rows 100 "${files[@]}"
	check rig-row-known 4 '^status.row.*10000' "$dsm" --uri "$uri" get status.row
	check rig-state-known 4 'drilling' "$dsm" --uri "$uri" get status.rig_state
	check rig-depth-known 4 '131\.0(6|59999)' "$dsm" --uri "$uri" get drilling.bit_depth
	check rig-slips-known 4 'false' "$dsm" --uri "$uri" get drilling.in_slips
	check rig-request 0 '' "$dsm" --uri "$uri" set setpoint.wob 17.5
	check rig-request-applied 0 '17\.5' "$dsm" --uri "$uri" get setpoint.wob
	check rig-request-range 1 'setpoint.wob' "$dsm" --uri "$uri" set setpoint.wob 999
	check rig-request-owner 1 'sensors' "$dsm" --uri "$uri" set hoisting.hookload 1
	check rig-replay-nulls 0 '20 rows committed' "${replay[@]}" --from 40990 --rows 20 "${files[@]}"
	check rig-null-is-bad 4 'bad' "$dsm" --uri "$uri" get hoisting.hookload
	check rig-no-null-shows 4 '' "$dsm" --uri "$uri" get '*'
	cp "$scratch/out" "$scratch/all"
	check rig-no-null-in-it 1 '' grep -F -e -999.25 "$scratch/all"
	check rig-survey-is-good 4 '5\.[0-9]+' "$dsm" --uri "$uri" get survey.inclination
	check rig-bit-movement 4 '[0-9]' "$dsm" --uri "$uri" get drilling.bit_movement
	check_pace rig-pace-1 1 3 2
	check_pace rig-pace-20 20 41 2
	check_first_program "rig-$$"
	start "${replay[@]}" --from 7900 --rows 60 --loop "${files[@]}"
	check rig-one-row-a-step 0 '^50 rows' "$build/tests/examples/rig_frames" "$uri" 50
	check rig-view 0 'Commits of .status.: [1-9][0-9]+ in' "$examples/rig-view" --uri "$uri" \
		--seconds 1.5 --count status 'drilling.*' setpoint.wob
	check rig-second-owner 1 'sensors' "${replay[@]}" "${files[@]}"
	end_started
	check_nothing_remains rig "$before"
}

# ---- the demo -------------------------------------------------------------------------------

test_demo() {
	local before
	wanted demo || return 0
	before=$(remains)
	check demo-help 0 '^Usage: script/demo' script/demo --help
	check demo-usage 2 'a whole number from' script/demo --seconds soon
	check demo 0 'p50 [0-9]+ ns, p99 [0-9]+ ns' script/demo --seconds 3 --build "$build"
	check_nothing_remains demo "$before"
	test_demo_interrupted "$before" INT 2
	test_demo_interrupted "$before" TERM 0.3
}

# Ctrl-C reaches the whole group, as from a terminal: so it gets a group of its own (setsid).
test_demo_interrupted() {
	local pid status=0 name="demo-$2-after-$3-s"
	setsid bash -c 'trap - INT; exec "$@"' - env --default-signal=INT script/demo --seconds 30 \
		--build "$build" </dev/null >"$scratch/out" 2>&1 &
	pid=$!
	sleep "$3"
	kill "-$2" -- "-$pid"
	wait "$pid" || status=$?
	if [ "$status" = 0 ]; then
		pass "$name"
	else
		fail "$name" "status $status"
	fi
	check_nothing_remains "$name" "$1"
}

test_examples
test_attach_read
test_batches
test_rig_usage
test_rig
test_demo
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
