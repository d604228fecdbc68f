# shellcheck shell=bash
# The suites of the rdma transport, each in emulated machines with Soft-RoCE (script/guest), or natively
# where the machine has a device. Sourced by script/test, never run.

# rdma_run HOSTS LIMIT WHAT BUILD ARGUMENT...: tests/guest/run.sh there; what it counted is added. The limits
# are for two idle processors; DSM_TEST_PATIENCE=4 makes them four times as long.
rdma_run() {
	local hosts=$1 limit=$(($2 * ${DSM_TEST_PATIENCE:-1})) what=$3 build=$4 said status=0
	shift 4
	said=build/test-logs/rdma-$what-$hosts.out
	printf '%s on %s host(s), from build/%s\n' "$what" "$hosts" "$build"
	script/guest --hosts "$hosts" --time-limit "$limit" tests/guest/run.sh "$what" "build/$build" "$@" \
		>"$said" 2>&1 || status=$?
	sed 's/^/    /' "$said"
	rdma_count "$said" "$what on $hosts host(s)" "$status"
}

# A plain program counts on a line of its own; Criterion says "Tested: 56 | Passing: 56 | Failing: 0 | Crashing: 0".
rdma_count() {
	local said=$1 what=$2 status=$3 line numbers before=$((good + bad + left_out))
	while read -r line; do
		read -ra numbers <<<"${line//[!0-9 ]/}"
		case $line in
		skipped:*) skip "$what: ${line#skipped: }" ;;
		*Tested:*) good=$((good + numbers[1])) bad=$((bad + numbers[2] + numbers[3])) ;;
		*) good=$((good + numbers[0])) bad=$((bad + numbers[1])) ;;
		esac
	done < <(sed -E 's/^\[[01]\] //; s/\x1b\[[0-9;]*m//g; s/^\[====\] //' "$said" |
		grep -E '^(Synthesis: Tested: [0-9]+|[0-9]+ passed, [0-9]+ failed|skipped: )')
	if [ "$status" -ne 0 ] && [ "$status" -ne 77 ]; then
		fail "$what: ended with status $status"
	elif [ "$before" -eq $((good + bad + left_out)) ]; then
		fail "$what: nothing was counted"
	fi
}

# Without an emulator and without a device there is nothing to run on.
rdma_possible() {
	if compgen -G '/sys/class/infiniband/*' >/dev/null; then
		return 0
	fi
	if [ -n "${DSM_NO_BOOTSTRAP:-}" ] && ! command -v qemu-system-x86_64 >/dev/null; then
		skip 'no RDMA device here, and no qemu-system-x86_64 to emulate a machine that has one'
		finish
	fi
	script/guest --prepare >/dev/null 2>&1 || {
		skip 'no RDMA device here, and script/guest cannot be prepared; `script/guest --prepare` says why'
		finish
	}
}

suite_rdma() {
	rdma_possible
	if ! grep -q DDSM_RDMA build/gcc/build.ninja; then
		skip 'build/gcc has no rdma: libibverbs and librdmacm were not there when it was configured'
		finish
	fi
	case $1 in
	conformance)
		rdma_run 1 200 conformance gcc
		rdma_run 2 320 conformance gcc
		;;
	isolation)
		rdma_run 1 140 hostile gcc
		rdma_run 1 200 many gcc --cycles 1000
		;;
	stress)
		rdma_run 1 180 stress gcc --seconds 40
		rdma_run 1 90 control hooks
		;;
	takeover) rdma_run 2 240 takeover hooks --rounds 1 ;;
	failure) rdma_run 2 300 failure gcc ;;
	esac
	finish
}

# No RDMA here, but the emulated machine's kernel has netem: tests/net/net_udp behind that and nothing else.
suite_netem() {
	local said=build/test-logs/guest-netem.out status=0 patience=$((4 * ${DSM_TEST_PATIENCE:-1}))
	rdma_possible
	NET_UDP_ONLY=netem DSM_TEST_PATIENCE=$patience script/guest --emulate --no-rxe \
		--time-limit $((150 * ${DSM_TEST_PATIENCE:-1})) build/gcc/tests/net/net_udp build/gcc/tests/net/relay \
		/tmp/capture --namespaces >"$said" 2>&1 || status=$?
	cat "$said"
	rdma_count "$said" 'netem' "$status"
	finish
}

# ---- script/test --soak --------------------------------------------------------------------------

# soak_run COMMAND...: a plain program that counts on its last line.
soak_run() {
	local said=build/test-logs/soak.out status=0
	printf 'minute %d: %s\n' $((SECONDS / 60)) "$*"
	"$@" >"$said" 2>&1 || status=$?
	rdma_count "$said" "$*" "$status"
	[ "$status" -eq 0 ] || cat "$said"
}

# One round after the other until the time is over; the first that fails ends it. What is counted is
# all that was checked; that nothing grows is checked by the programs themselves (kill, takeover).
suite_soak() {
	local minutes=${DSM_TEST_SOAK:-60} round
	rdma_possible
	SECONDS=0
	for ((round = 1; SECONDS < minutes * 60 && bad == 0; round++)); do
		printf 'round %d\n' "$round"
		soak_run build/gcc/tests/stress/torn --seconds 60
		soak_run build/hooks/tests/kill/kill
		rdma_run 1 300 stress gcc --seconds 120
		rdma_run 2 900 takeover hooks --rounds 5
		rdma_run 2 200 failure gcc
		rdma_run 1 900 many gcc --cycles 1000
	done
	finish
}
