# shellcheck shell=bash disable=SC2034 # passed, failed, status: of who sources this
# Counting checks for test scripts. Sourced, never run.
#
# check NAME COMMAND... prints "ok NAME", or "not ok NAME" and what explain() says, which a script may
# define anew; within SECONDS COMMAND... tries again until it succeeds. A script prints the last line,
# "$passed passed, $failed failed", itself.

passed=0 failed=0 status=0 out='' err=''

check() {
	local what=$1
	shift
	if "$@"; then
		passed=$((passed + 1))
		echo "ok $what"
	else
		failed=$((failed + 1))
		echo "not ok $what"
		explain
	fi
}
explain() { printf '#   %s\n' "status $status" "out: ${out:0:400}" "err: ${err:0:400}"; }

is() { [[ $1 == "$2" ]]; }
has() { [[ $1 == *"$2"* ]]; }
matches() { [[ $1 =~ $2 ]]; }
within() {
	local end=$((SECONDS + $1))
	shift
	until "$@"; do
		((SECONDS < end)) || return 1
		sleep 0.05
	done
}
