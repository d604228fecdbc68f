#!/usr/bin/env bash
# What runs inside of script/guest, on one host or on each of two: the engine on the first, the test
# on the second.
#
# Usage: tests/guest/run.sh conformance|peeker|stress|control|takeover|failure|hostile BUILD [ARGUMENT...]
#
# BUILD is a build folder; the last line that it prints is the program's "N passed, M failed".
# Exit status: the test program's.
# DSM_TEST_LOG=1: what the engine logs, too.

set -uo pipefail

what=${1:?what to run} programs=${2:?the build folder}/tests
shift 2
export GUEST_SYNC_LIMIT=600

# Keys for engine and clients alike, the same on both hosts; without them the engine has auth none.
with_keys() {
	local role number=0
	DSM_KEYS=
	for role in read request owner:{engine,sensors,operator,remote,nobody}; do
		number=$((number + 1))
		DSM_KEYS+="$role of-the-test $(printf '%064x' "$number");"
	done
	export DSM_KEYS
}

# serve COMMAND...: on the first host, until the second has done.
serve() {
	"$@" &
	served=$!
	guest-sync serving
	guest-sync done
	kill "$served"
	wait "$served"
	true
}

# serve_judging COMMAND...: the same, of a program that looks at the end what the second host, which has no
# power any more, has left behind.
serve_judging() {
	"$@" &
	served=$!
	guest-sync serving
	guest-sync done 2>/dev/null
	kill "$served"
	wait "$served"
}

# ask COMMAND...: on the second.
ask() {
	local status=0
	guest-sync serving
	"$@" || status=$?
	guest-sync done
	return "$status"
}

# A part of the suite with the largest packets that RDMA has; only in a guest, since it changes an interface.
large_packets() {
	ip link set eth0 mtu 4200
	if ! ibv_devinfo | grep -q 'active_mtu:.*4096'; then
		echo 'with an MTU of 4200 the packets of RDMA do not become 4096 bytes'
		return 1
	fi
	"$programs/conformance/conformance" --jobs 2 \
		--filter '*/@(every_type_round_trips|groups_of_one_step|lending_and_borrowing|a_group_is_read_whole)'
}

# each COMMAND... -- COMMAND...: one after the other, whatever becomes of the ones before.
each() {
	local status=0 word
	local -a command=()
	for word in "$@" --; do
		if [ "$word" = -- ]; then
			"${command[@]}" || status=$?
			command=()
		else
			command+=("$word")
		fi
	done
	return "$status"
}

# The peeker over rdma: an engine with a key to read, frames as text, and the engine's own word for how.
peeker() {
	local build=${programs%/tests} work passed=0 failed=0 tries=0
	work=$(mktemp -d)
	printf '%s\n' 'region: peeked' 'groups:' '  - name: rig' '    owner: engine' '    cells:' \
		'      - {name: rop, type: f64, unit: m/h, precision: 1}' >"$work/table.yaml"
	(umask 077 && "$build/cli/dsm" keygen read >"$work/keys")
	"$build/engine/dsmd" --name peeked --rdma "$GUEST_IP" --auth keys --keys "$work/keys" "$work/table.yaml" &
	local engine=$!
	until "$build/cli/dsm" --uri shm://peeked set rig.rop 12.34 >/dev/null 2>&1 || ((++tries > 200)); do
		sleep 0.1
	done
	try() {
		if "${@:2}"; then passed=$((passed + 1)); else failed=$((failed + 1)) && echo "not ok peeker: $1"; fi
	}
	try 'without a key: refused' eval '! env -u DSM_KEYS "$build/peeker/peeker" --batch -n 1 "rdma://$GUEST_IP" >/dev/null 2>&1'
	DSM_KEYS=$(<"$work/keys") "$build/peeker/peeker" --batch -n 1 "rdma://$GUEST_IP" >"$work/frame" 2>&1
	try 'with one: all is well' [ $? -eq 0 ]
	try 'by rdma' grep -q 'by rdma' "$work/frame"
	try 'the value' grep -qE 'rop +12\.3 +m/h' "$work/frame"
	[ "$failed" -eq 0 ] || cat "$work/frame"
	kill "$engine" && wait "$engine"
	rm -rf "$work"
	printf '%d passed, %d failed\n' "$passed" "$failed"
	[ "$failed" -eq 0 ]
}

case $what.$GUEST_HOSTS.$GUEST_ID in
conformance.1.0)
	export DSM_TEST_ROWS=rdma DSM_TEST_RDMA=self
	with_keys
	"$programs/conformance/conformance" --jobs 2 "$@" && peeker || exit
	[ -n "$GUEST_IP6" ] || { echo 'skipped: IPv6: this device has no address of it'; exit 0; }
	unset DSM_KEYS
	DSM_TEST_RDMA_ADDRESS=$GUEST_IP6 "$programs/conformance/conformance" --jobs 2 \
		--filter '*/@(every_type_round_trips|groups_of_one_step|a_second_claimant*|an_engine_restart*)' || exit
	[ -n "$GUEST_NATIVE" ] || large_packets
	;;
mtu.1.0)
	export DSM_TEST_ROWS=rdma DSM_TEST_RDMA=self
	large_packets
	;;
peeker.1.0) peeker ;;
conformance.2.1)
	export DSM_TEST_ROWS=rdma DSM_TEST_RDMA=$GUEST_PEER
	ask "$programs/conformance/conformance" --jobs 2 "$@"
	;;
conformance.2.0) serve "$programs/guest/engine_host" ;;
failure.2.0)
	with_keys
	serve "$programs/guest/engine_host"
	;;
failure.2.1)
	with_keys
	ask "$programs/guest/failure" "$GUEST_PEER" "$@"
	;;
stress.1.0) each "$programs/guest/notify" -- "$programs/guest/large" -- "$programs/guest/torn_rdma" "$@" ;;
large.1.0) "$programs/guest/large" ;;
many.1.0) "$programs/guest/many" "$@" ;;
control.1.0) each "$programs/guest/notify" --control -- "$programs/guest/torn_rdma" --control "$@" ;;
hostile.1.0) "$programs/guest/hostile" "$GUEST_IP" "$@" ;;
takeover.2.0) serve_judging "$programs/guest/takeover" engine '*:7464' ;;
takeover.2.1) ask "$programs/guest/takeover" owners "$GUEST_PEER:7464" "$@" ;;
*)
	printf 'tests/guest/run.sh: %s is nothing for host %s of %s\n' "$what" "$GUEST_ID" "$GUEST_HOSTS" >&2
	exit 2
	;;
esac
