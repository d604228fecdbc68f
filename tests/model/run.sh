#!/bin/bash
# Runs the spin models beside this script, and their negative controls.
# A model passes if spin searches all of it and finds nothing; a control passes if
# spin finds the error that it was made for. Exit: 0 all passed, 1 some failed, 2
# usage, 77 no spin or no compiler.
set -u
export LC_ALL=C

here=$(cd "$(dirname "$0")" && pwd)
jobs=2
depth=20000			# longest path; the longest is about 2000 steps
memory_mib=2500
seconds=300			# per case, a stop for runaways
cc=${CC:-gcc}

usage() {
	echo "usage: run.sh [--quick] BUILD_DIR | --list"
	echo "  --quick  the litmus shapes and the local reader only"
	echo "  --list   prints the cases without running them"
}

# kind, file, macros to define (control: the one that is its name comes first)
models() {
	cat <<-END
	model takeover COMMITS=2
	model takeover HEIRS=2
	model chain
	model remote
	model moved
	model unordered
	model unordered PREDICTED
	model remote LOCAL
	model successor
	model successor TWICE
	model cursor
	model cursor LOCAL
	model steps
	model local
	model notify
	model request
	model waiter
	model waiter COUNT_AFTER_CHECK
	model litmus
	END
}

controls() {
	local file=$1 macro
	shift
	for macro; do
		echo "control $file $macro"
	done
}

cases() {
	local macro
	models
	controls litmus MP_NO_FENCE MP_RELEASE_FIRST MP_RELAXED_FLAG MP_LOADS_UNORDERED \
		SB_NO_FENCE SB_RELEASE_FENCE
	controls local NO_INVALIDATE NO_INVALIDATE_FENCE INVALIDATE_RELEASE SEQ_RELAXED \
		PULSE_RELAXED NO_ACQUIRE_FENCE NO_REREAD SEQ_UNCHANGED \
		SEQ_UNCHANGED_ACQUIRE SLOT_ENTRY_RELAXED
	controls cursor LOST_BY_PULSE LOST_BY_NEWS LOST_UNSEEN NEVER_LOST
	echo "control cursor LOST_BY_NEWS LOCAL"
	controls waiter NO_FENCE REREAD_WORD NO_COMPARE COUNT_AFTER_COMPARE UNCOUNTED_AGAIN
	controls notify NOTIFY_EARLY NOTIFY_DROPPED OWED_LATE CREDIT_LOST TAKEOVER_SILENT \
		NO_FENCE REREAD_WORD SLEEP_ON_PULSE
	controls steps COMPLETE_EARLY COMPLETE_RELAXED UNBOUNDED NO_RETRY STALE_PULSE
	controls takeover NO_CHECK NO_SCRUB GRANT_BEFORE_FENCE EPOCH_REUSED EPOCH_IGNORED \
		FIRST_FROM_PULSE FLOOR_FROM_PULSE PULSE_LEFT K=1 \
		BEGUN_EARLIER
	controls unordered NO_CHECK NO_INDEX_CHECK NO_LENGTH_CHECK PULSE_IGNORED \
		TORN_PULSE_TAKEN STILL=0 FLOOR_FROM_PULSE K=1
	echo "control unordered NO_FLOOR COMMITS=3"
	echo "control unordered PULSE_GUESS PREDICTED"
	controls remote NO_CHECK PULSE_IGNORED STILL=0 NEVER_STILL SEEN_FORGOTTEN \
		FLOOR_FROM_PULSE EARLY_ACK TWO_OUTSTANDING SOURCE_TOUCHED CONTENTS_REPEAT
	for macro in NO_CHECK AT_LEAST_PULSE NEXT_UNSEEN NO_FALLBACK; do
		echo "control remote $macro LOCAL"
	done
	controls chain STEP_IN_CHAIN STEP_UNCHECKED STEP_WITH_RINGS PULSE_IGNORED GAPS \
		EARLY_ACK STEP_LEFT
	controls successor NO_FENCE GRANT_BEFORE_FENCE SCRUB_BEFORE_FENCE NO_SCRUB PULSE_LEFT \
		EPOCH_KEPT FIRST_FROM_PULSE FIRST_FROM_HEADS FLOOR_FROM_PULSE NO_CHECK \
		EARLY_ACK K=1
	for macro in NO_FENCE IMAGE_KEPT REPOSTED; do
		echo "control successor $macro TWICE"
	done
	controls moved NO_RECHECK COPY_BEFORE_FENCE EXIT_UNPROVED SINGLE_SCAN \
		FLOOR_UNVERIFIED
	controls request NO_NUMBERS TABLE_RENAMED_FIRST NUMBERS_RENAMED_FIRST \
		UNKNOWN_EXECUTED IN_FLIGHT_AGAIN IN_FLIGHT_UNSAVED \
		FORWARDED_AFTER_RESTART UNORDERED
}

name_of() {
	echo "$*" | tr 'A-Z_' 'a-z-'
}

# The error a control has to show: a sleeper nobody wakes, or a failed assertion.
expected_of() {
	case $1 in
	waiter | notify) echo "pan:1: invalid end state" ;;
	*) echo "pan:1: assertion violated (\|pan:1: assertion violated  *!" ;;
	esac
}

# Prints nothing if pan's report in ./out is that of a complete, clean search.
flaw_of_model() {
	if ! grep -q "errors: 0$" out; then
		grep -m1 "pan:1:" out || echo "pan gave no verdict"
	elif grep -q "max search depth too small\|Search not completed\|reached -DMEMLIM" out; then
		echo "search truncated"
	elif ! grep -q "invalid end states	+" out; then
		echo "invalid end states were not looked for"
	fi
}

flaw_of_control() {
	if grep -q "errors: 0$" out; then
		echo "not found"
	elif grep -q "invalid array index" out; then
		echo "array index out of range"
	elif ! grep -q "$(expected_of "$1")" out; then
		grep -m1 "pan:1:" out || echo "pan gave no verdict"
	fi
}

# spin's own preprocessor can run away (an inline whose argument names its parameter)
translate() {
	(ulimit -v 1000000 && exec timeout 60 spin -a "$@")
}

# Builds and runs one case in the current directory; prints what is wrong, if anything.
flaw_of() {
	local kind=$1 file=$2 optimise=-O0 hash=20 macro
	local -a defines=()
	shift 2
	for macro; do
		defines+=("-D$macro")
	done
	if [ "$kind" = model ]; then
		optimise=-O1
		hash=23
	fi
	if ! translate "${defines[@]}" "$here/$file.pml" >spin.log 2>&1 || [ ! -s pan.c ]; then
		echo "spin: $(grep -m1 . spin.log)"
	elif ! "$cc" -w "$optimise" -DSAFETY -DMEMLIM=$memory_mib -o pan pan.c 2>cc.log; then
		echo "$cc: $(grep -m1 . cc.log)"
	elif ! timeout $seconds ./pan -m$depth -w$hash >out 2>&1; then
		echo "pan did not finish: $(tail -n1 out)"
	else
		"flaw_of_$kind" "$file"
	fi
}

run_case() {
	local number=$1 kind=$2 title flaw
	shift
	title=$(name_of "$@")
	mkdir "$work/$number" && cd "$work/$number" || return
	flaw=$(flaw_of "$@")
	if [ -n "$flaw" ]; then
		title="FAIL $title: $flaw"
	elif [ "$kind" = control ]; then
		title="ok $title: found as expected"
	else
		title="ok $title ($(sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' out) states)"
	fi
	echo "$title" | tee "$work/$number.result"
	rm -rf "${work:?}/$number"
}

quick=no
build=
for argument; do
	case $argument in
	--quick) quick=yes ;;
	--list) cases | while read -r line; do name_of "$line"; done; exit 0 ;;
	--help) usage; exit 0 ;;
	-*) usage >&2; exit 2 ;;
	*) build=$argument ;;
	esac
done
if [ -z "$build" ]; then
	usage >&2
	exit 2
fi
for tool in spin "$cc"; do
	command -v "$tool" >/dev/null || { echo "no $tool: skipped"; exit 77; }
done

work=$(mktemp -d "$build/model.XXXXXX") || exit 2
work=$(cd "$work" && pwd)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

total=0
while read -r -a case; do
	if [ $quick = yes ] && [[ ${case[1]} != local && ${case[1]} != litmus ]]; then
		continue
	fi
	if [ "$(jobs -rp | wc -l)" -ge $jobs ]; then
		wait -n
	fi
	total=$((total + 1))
	run_case $total "${case[@]}" &
done < <(cases)
wait

passed=$(cat "$work"/*.result | grep -c "^ok ")
failed=$((total - passed))
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
