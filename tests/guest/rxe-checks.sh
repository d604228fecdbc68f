# shellcheck shell=bash disable=SC2034 # variables of who sources this
# SPDX-License-Identifier: Apache-2.0
# What tests/cli/rxe.sh and tests/guest/rxe.sh share: running dsm, and looking at what doctor says.

work=$(mktemp -d)
passed=0 failed=0 status=0 out='' err=''
export NO_COLOR=1 LC_ALL=C.UTF-8

# run ARGUMENT...: the command, bounded; leaves $status, $out, $err.
run() {
	timeout -k 1 60 "$DSM" "$@" >"$work/out" 2>"$work/err" </dev/null
	status=$?
	out=$(<"$work/out") err=$(<"$work/err")
}

check() {
	local what=$1
	shift
	if "$@"; then
		passed=$((passed + 1))
		echo "ok $what"
	else
		failed=$((failed + 1))
		echo "not ok $what"
		printf '#   %s\n' "status $status" "out: ${out:0:1500}" "err: ${err:0:600}"
	fi
}

is() { [[ $1 == "$2" ]]; }
has() { [[ $1 == *"$2"* ]]; }
matches() { [[ $1 =~ $2 ]]; }

# expect NAME STATUS [WORD-IN-OUT [WORD-IN-ERR]]
expect() {
	check "$1: status $2" is "$status" "$2"
	[[ -z ${3-} ]] || check "$1: prints $3" has "$out" "$3"
	[[ -z ${4-} ]] || check "$1: says $4" has "$err" "$4"
}

# of the line of doctor for check $1: its column $2
column_of() { awk -F'\t' -v name="$1" -v n="$2" '$1 == name { print $n; exit }' <<<"$out"; }
row_is_there() { [[ -n $(column_of "$1" 2) ]]; }
state_is() { [[ $(column_of "$1" 2) == "$2" ]]; }
found_has() { [[ $(column_of "$1" 3) == *"$2"* ]]; }
fix_has() { [[ $(column_of "$1" 4) == *"$2"* ]]; }

# json doc PROGRAM: $out is valid JSON, and the Python expression on the document d holds.
json() {
	printf '%s' "$out" | timeout 20 python3 -c '
import json, sys
d = json.loads(sys.stdin.read())
sys.exit(0 if eval(sys.argv[1]) else 1)' "$2" 2>>"$work/err"
}

finish_checks() {
	echo "$passed passed, $failed failed"
	((failed == 0))
}
