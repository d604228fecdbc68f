# shellcheck shell=bash disable=SC2034 # variables of who sources this
# SPDX-License-Identifier: Apache-2.0
# What tests/cli/rxe.sh and tests/guest/rxe.sh share: running dsm, and looking at what doctor says.

# shellcheck source=tests/common/check.sh
. "$(dirname "${BASH_SOURCE[0]}")/../common/check.sh"
work=$(mktemp -d)
state='' found='' fix=''
export NO_COLOR=1 LC_ALL=C.UTF-8

# run ARGUMENT...: the command, bounded; leaves $status, $out, $err.
run() {
	timeout -k 1 60 "$DSM" "$@" >"$work/out" 2>"$work/err" </dev/null
	status=$?
	out=$(<"$work/out") err=$(<"$work/err")
}

explain() { printf '#   %s\n' "status $status" "out: ${out:0:1500}" "err: ${err:0:600}"; }

# expect NAME STATUS [WORD-IN-OUT [WORD-IN-ERR]]
expect() {
	check "$1: status $2" is "$status" "$2"
	[[ -z ${3-} ]] || check "$1: prints $3" has "$out" "$3"
	[[ -z ${4-} ]] || check "$1: says $4" has "$err" "$4"
}

# Of the line of doctor for check $1: sets $state, $found and $fix. By the shell alone: in an emulated
# machine each program that is started takes a tenth of a second.
line_of() {
	local name
	state='' found='' fix=''
	while IFS=$'\t' read -r name state found fix; do
		[[ $name != "$1" ]] || return 0
	done <<<"$out"
	state='' found='' fix=''
}
row_is_there() { line_of "$1" && [[ -n $state ]]; }
state_is() { line_of "$1" && [[ $state == "$2" ]]; }
found_has() { line_of "$1" && [[ $found == *"$2"* ]]; }
fix_has() { line_of "$1" && [[ $fix == *"$2"* ]]; }

# $out is JSON of which the jq expression $1 holds.
json() { jq -e "$1" <<<"$out" >/dev/null 2>>"$work/err"; }

finish_checks() {
	echo "$passed passed, $failed failed"
	((failed == 0))
}
