#!/usr/bin/env bash
# One of the two machines of script/demo --rdma: the engine (GUEST_ID 0) or the reader (1). Run by
# script/demo through script/guest, by nobody else.
#
# Usage: demo-rdma.sh BUILD SECONDS SPEED FROM

set -euo pipefail
build=$1 seconds=$2 speed=$3 from=$4
rig=examples/rig
dsm=$build/cli/dsm
counters=/sys/class/infiniband/$GUEST_DEV/ports/1/hw_counters
log=$(mktemp)
pids=()

trouble() {
	printf 'demo: %s\n' "$*" >&2
	cat "$log" >&2
	exit 1
}

start() {
	"$@" </dev/null >>"$log" 2>&1 &
	pids+=($!)
}

# await SECONDS WHAT VERB...: until `dsm VERB...` succeeds.
await() {
	local end=$((SECONDS + $1)) what=$2
	shift 2
	until "$dsm" "$@" >/dev/null 2>&1; do
		[ "$SECONDS" -lt "$end" ] || trouble "no $what"
		sleep 0.2
	done
}

# ---- the engine's machine ------------------------------------------------------------------------

# Ticks (of 10 ms) of processor time that process $1 has had.
processor_time() {
	awk '{ print $14 + $15 }' "/proc/$1/stat"
}

state_of() {
	awk '$1 == "State:" { print $2 }' "/proc/$1/status"
}

# Packets in and out of the device; messages in and out, which is what a server would answer with.
take_counters() {
	local name
	for name in rcvd_pkts sent_pkts rdma_recvs rdma_sends; do
		cat "$counters/$name"
	done
	processor_time "$1"
}

say_counters() {
	local names=('packets received (READ requests)' 'packets sent (READ answers)' 'messages received, unanswered'
		'messages sent' 'processor time of dsmd, 10 ms') i
	for i in 0 1 2 3 4; do
		printf '  %-34s %10d -> %-10d %+d\n' "${names[i]}" "${before[i]}" "${after[i]}" $((after[i] - before[i]))
	done
}

# The engine is stopped, so nobody but the device can answer; its owners go on writing their memory.
prove() {
	local engine=$1 before after
	guest-sync attached
	kill -STOP "$engine"
	sleep 0.5
	mapfile -t before < <(take_counters "$engine")
	guest-sync stopped
	sleep 4
	mapfile -t after < <(take_counters "$engine")
	printf '\nThe engine (dsmd) was stopped meanwhile (state %s). Counters of %s on its machine:\n' \
		"$(state_of "$engine")" "$GUEST_DEV"
	say_counters
	guest-sync measured
	kill -CONT "$engine"
	if [ $((after[0] - before[0])) -lt 20 ] || [ $((after[1] - before[1])) -lt 20 ]; then
		trouble 'the device carried nothing: these were no READs'
	fi
	if [ "${after[3]}" -ne "${before[3]}" ] || [ "${after[4]}" -ne "${before[4]}" ]; then
		trouble 'a message was answered, or the engine ran: these were not READs alone'
	fi
	printf 'No message was answered, so the values came by RDMA READ, out of the memory of a program that did not run.\n\n'
	guest-sync proved
}

engine_side() {
	local engine
	start "$build/engine/dsmd" --name demo --rdma "$GUEST_IP" --auth none "$rig/rig.yaml"
	engine=${pids[0]}
	await 60 engine -u shm://demo info
	start "$build/examples/rig-operator" shm://demo
	start "$build/examples/rig-replay" --uri shm://demo --speed "$speed" --from "$from" --loop \
		"$rig/data/SampleData1.csv" "$rig/data/RigStatesForSampleData1.txt"
	await 60 'row of the log' -u shm://demo get setpoint.wob status.row
	printf 'An engine at rdma://%s, the operator, and the replay of the log from row %d at %dx.\n' \
		"$GUEST_IP" "$from" "$speed"
	guest-sync serving
	prove "$engine"
	guest-sync shown
	kill -TERM "${pids[@]}"
	wait || true
}

# ---- the reader's machine ------------------------------------------------------------------------

# Attached before the engine is stopped; reads until the counters were taken.
read_while_stopped() {
	local reader
	# the time to attach is part of the whole
	"$dsm" -u "$uri" --timeout 120 get --format csv -i 0.5 status.row hoisting.block_height drilling.bit_depth >"$log" &
	reader=$!
	await_lines 3
	guest-sync attached
	guest-sync stopped
	guest-sync measured
	kill -TERM "$reader"
	wait "$reader" || true
	printf 'Read meanwhile, by a program that was attached before; the engine stands still, so its values are called stale:\n'
	sed 's/^/  /' "$log"
	[ "$(grep 'stale(engine)' "$log" | cut -d , -f 2 | sort -u | wc -l)" -ge 3 ] || trouble 'the row of the log did not move on'
	guest-sync proved
}

await_lines() {
	local end=$((SECONDS + 60))
	until [ "$(wc -l <"$log")" -ge "$1" ]; do
		[ "$SECONDS" -lt "$end" ] || trouble 'the reader reads nothing'
		sleep 0.1
	done
}

reader_side() {
	uri=rdma://$GUEST_PEER
	guest-sync serving
	await 60 "engine at $uri" -u "$uri" get status.row
	read_while_stopped
	printf '\nAnd with the engine running, for %d s:\n' "$seconds"
	"$build/examples/rig-view" --uri "$uri" --seconds "$seconds" --count status status.row status.rig_state \
		'hoisting.*' rotary.speed mud.standpipe_pressure drilling.bit_depth drilling.hole_depth drilling.rop \
		drilling.wob setpoint.wob
	printf '(Times in an emulated machine say nothing about a real one.)\n'
	guest-sync shown
}

if [ "$GUEST_ID" -eq 0 ]; then engine_side; else reader_side; fi
