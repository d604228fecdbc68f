#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs a command and lets it stand still, with all its processes, for up to MOST ms every few seconds: as a
# virtual machine does whose host is busy. Clocks go on meanwhile. By the kernel's freezer, so it needs root.
#
# Usage: tests/standstill.sh [-m MOST] COMMAND [ARGUMENT...]
#
# Example: tests/standstill.sh -m 2500 script/test --suite net conformance
#
# Exit status: the command's; 77 where there is no freezer.

set -uo pipefail
most=2500 command='' group='' state='' freeze='' thaw=''
if [ "${1:-}" = -m ]; then
	most=${2:-}
	shift 2
fi
if [[ ! $most =~ ^[1-9][0-9]{2,4}$ ]] || [ $# -eq 0 ]; then
	echo 'usage: tests/standstill.sh [-m MILLISECONDS, 100 to 99999] COMMAND [ARGUMENT...]' >&2
	exit 2
fi

for group in /sys/fs/cgroup/freezer/dsm-$$ /sys/fs/cgroup/dsm-$$ /sys/fs/cgroup/unified/dsm-$$; do
	mkdir "$group" 2>/dev/null || continue
	if [ -e "$group/freezer.state" ]; then
		state=freezer.state freeze=FROZEN thaw=THAWED
	elif [ -e "$group/cgroup.freeze" ]; then
		state=cgroup.freeze freeze=1 thaw=0
	fi
	[ -z "$state" ] || break
	rmdir "$group"
done
if [ -z "$state" ]; then
	echo 'skipped: no cgroup that can be frozen here, or not root'
	exit 77
fi

cleanup() {
	local pid
	echo "$thaw" >"$group/$state"
	[ -z "$command" ] || kill -TERM "$command" 2>/dev/null # a run that is broken off ends what it has started
	for ((i = 0; i < 100; i++)); do
		rmdir "$group" 2>/dev/null && return
		sleep 0.1
		((i < 50)) || while read -r pid; do kill -KILL "$pid"; done <"$group/cgroup.procs" 2>/dev/null
	done
}
trap cleanup EXIT
trap 'exit 130' INT TERM

(echo "$BASHPID" >"$group/cgroup.procs" && exec "$@") &
command=$!
while kill -0 "$command" 2>/dev/null; do
	sleep "$((RANDOM % 6 + 1)).$((RANDOM % 10))"
	ms=$((RANDOM % most + 100))
	echo "$freeze" >"$group/$state"
	sleep "$((ms / 1000)).$(printf %03d $((ms % 1000)))"
	echo "$thaw" >"$group/$state"
done
wait "$command"
status=$?
command=''
exit "$status"
