#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Tests of dsm rxe and dsm doctor on a machine that has no RDMA device: what they say, and that
# nothing is changed. What they do where there can be one: tests/guest/rxe.sh.
#
# Usage: DSM=PATH DSMD=PATH tests/cli/rxe.sh
#
# Prints "ok NAME" or "not ok NAME" per check and "N passed, N failed" last; 77 if this machine has
# an RDMA device.

set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
: "${DSM:=$here/../../build/gcc/cli/dsm}" "${DSMD:=$here/../../build/gcc/engine/dsmd}"
if compgen -G '/sys/class/infiniband/*' >/dev/null; then
	echo 'this machine has an RDMA device'
	exit 77
fi
# shellcheck source=tests/guest/rxe-checks.sh
. "$here/../guest/rxe-checks.sh"
name=dsm-rxe-$$ engine=''

cleanup() {
	[ -z "$engine" ] || { kill -CONT "$engine"; kill "$engine"; wait "$engine"; } 2>/dev/null
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

before=$(find /etc/systemd/system /run/dsm -name '*rxe*' 2>/dev/null)
lo_only=$(find /sys/class/net -mindepth 1 -printf '%f\n' | head -n 1)

run rxe status; expect 'no device: status' 1 '' 'no RDMA device'
run rxe add no-such-if; expect 'no such interface' 1 '' "no interface \"no-such-if\""
check 'names those that there are' has "$err" "$lo_only"
run rxe del no-such-if; expect 'nothing to remove' 1 '' 'no RDMA device'
run rxe add; expect 'add what?' 2 '' 'which interface'
run rxe del; expect 'del what?' 2 '' 'which interface'
run rxe persist; expect 'persist what?' 2 '' 'which interface'
run rxe; expect 'rxe what?' 2 '' 'argument is missing'
run rxe frobnicate; expect 'no such action' 2 '' 'no action "frobnicate"'
run rxe status eth0; expect 'too many words' 2 '' 'too many'
run rxe add ../../tmp; expect 'no path for an interface' 1 '' 'no interface'
if [ ! -e "/lib/modules/$(uname -r)/modules.dep" ] && [ ! -e /sys/module/rdma_rxe ]; then
	run rxe add "$(basename "$(find /sys/class/net -mindepth 1 ! -name lo | head -n 1)")"
	expect 'no folder of modules' 1 '' "/lib/modules/$(uname -r) is missing"
	check 'no folder of modules: a fix' has "$err" 'fix: '
	run doctor
	check 'doctor: the module' state_is module fail
fi

run doctor; expect 'doctor' 1
check 'doctor: no device' state_is device fail
check 'doctor: a fix for it' fix_has device 'rxe add'
check 'doctor: memory' row_is_there memlock
run doctor --format json; expect 'doctor as JSON' 1
check 'doctor: JSON with four keys' json \
	'length >= 3 and all(.[]; keys == ["check", "fix", "found", "state"])'
run doctor one two; expect 'doctor: two arguments' 2
run doctor shm://no-such-engine-here; expect 'doctor: no such engine' 1
check 'doctor: says so' state_is engine fail
check 'doctor: says how to start one' fix_has engine dsmd
check 'doctor: shm needs no RDMA' state_is device warn

printf 'region: %s\nowners:\n  - name: pump\ngroups:\n  - name: g\n    owner: engine\n    cells:\n      - name: a\n        type: f64\n' \
	"$name" >"$work/table.yaml"
timeout 60 "$DSMD" "$work/table.yaml" >"$work/dsmd.log" 2>&1 &
engine=$!
for _ in $(seq 100); do "$DSM" -u "$name" info >/dev/null 2>&1 && break; sleep 0.05; done
run doctor "shm://$name"; expect 'doctor: an engine' 0
for line in versions heartbeat role clock; do check "doctor: $line" state_is "$line" ok; done
check 'doctor: an absent owner is a warning' state_is owners warn
check 'doctor: and is named' found_has owners pump
run doctor --uri "$name"; expect 'doctor: a bare name' 0
pid=$("$DSM" -u "$name" info | awk -F'\t' '$1 == "engine_pid" { print $2 }')
kill -STOP "$pid"
run doctor "shm://$name" --timeout 2; expect 'doctor: a stopped engine' 1
check 'doctor: a stopped engine fails' state_is engine fail
kill -CONT "$pid"

check 'nothing was written' is "$(find /etc/systemd/system /run/dsm -name '*rxe*' 2>/dev/null)" "$before"
finish_checks
