# shellcheck shell=bash disable=SC2016 # $ that the guest's shell is to see
# The suite of script/guest itself: that Soft-RoCE works in a guest and between two, and that a guest
# ends, whatever happens. Sourced by script/test, never run.

# in_guest STATUS ARGUMENT...: runs script/guest; does it end with STATUS? What it printed is in $guest_said.
in_guest() {
	local wanted=$1 status=0
	shift
	DSM_GUEST_MARK=$guest_mark script/guest --emulate "$@" >"$guest_said" 2>&1 || status=$?
	sed 's/^/    /' "$guest_said"
	[ "$status" -eq "$wanted" ] || {
		printf 'status %d\n' "$status"
		return 1
	}
}

guest_said() {
	grep -qE -e "$1" "$guest_said"
}

# Processes and folders that a guest left; a moment is given to what was killed.
guest_debris() {
	local tries left=''
	for ((tries = 0; tries < 20; tries++)); do
		left=$(grep -lsF "DSM_GUEST_MARK=$guest_mark" /proc/[0-9]*/environ | paste -sd ' ')
		[ -n "$left" ] || break
		sleep 0.1
	done
	printf '%s' "$left"
	for left in build/guest/run.* build/guest/work.*; do
		[ ! -d "$left" ] || kill -0 "${left##*.}" 2>/dev/null || printf ' %s' "$left"
	done
}

check_nothing_left() {
	local left
	left=$(guest_debris)
	check "$1 leaves behind: $left" [ -z "$left" ]
}

# What runs in the one guest; each line that it prints is looked for.
one_guest='
	printf "arguments <%s><%s><%s>\n" "$@"
	printf "variable <%s>\n" "$DSM_GUEST_TEST"
	pwd
	echo "in the guest" >"$GUEST_RESULTS/result"
	echo changed >>README.md
	ibv_devices
	rping -s -C 10 -a "$GUEST_IP" >/dev/null & server=$!
	sleep 1
	rping -c -C 10 -v -a "$GUEST_PEER" | grep -c "ping data" | sed "s/^/pings /"
	wait $server
	timeout 30 ib_read_lat -n 500 >/dev/null 2>&1 & server=$!
	sleep 1
	timeout 30 ib_read_lat -n 500 localhost | grep "^ 2 "
	wait $server
	script/guest sh -c "echo natively \$GUEST_NATIVE \$GUEST_IP \$GUEST_PEER \$GUEST_DEV; exit 9"
	echo "status $?"
	script/guest no-such-command-here
	echo "status $?"
	script/guest --time-limit 1 sh -c "sleep 71 & sleep 72"
	echo "status $?"
	sleep 0.3
	grep -lsz "^sleep" /proc/[0-9]*/cmdline | wc -l | sed "s/^/sleeping /"
	sleep 73 &
	exit 7
'

check_one_guest() {
	local sum
	sum=$(sha256sum README.md)
	export DSM_GUEST_TEST=$' two words \n and "$lines"'
	check 'one guest: status 7' in_guest 7 --time-limit 200 --results "$guest_tmp/results" \
		bash -c "$one_guest" name 'a  b' "it's \"\$HOME\" \\" ''
	check 'one guest: arguments arrive as they were' guest_said "arguments <a  b><it's \"\\\$HOME\" \\\\><>"
	check 'one guest: so does the environment' guest_said '^    variable < two words $|^variable < two words $'
	check 'one guest: the working directory' guest_said "^$PWD\$"
	check 'one guest: results come out' grep -qx 'in the guest' "$guest_tmp/results/result"
	check 'one guest: nothing else does' [ "$sum" = "$(sha256sum README.md)" ]
	check 'one guest: there is an RDMA device' guest_said '^ +rxe0'
	check 'one guest: rping between two processes' guest_said '^pings 10$'
	check 'one guest: ib_read_lat between two processes' guest_said '^ 2 +500 '
	check 'where a device is, the command runs natively' guest_said '^natively 1 10.77.0.1 10.77.0.1 rxe0$'
	check 'natively: its status' guest_said '^status 9$'
	check 'natively: no such command' guest_said '^status 127$'
	check 'natively: the time limit' guest_said '^status 124$'
	check 'natively: nothing is left' guest_said '^sleeping 0$'
	check_nothing_left 'one guest'
}

two_guests='
	echo "peer says $(guest-sync start "I am $GUEST_ID")"
	if [ "$GUEST_ID" = 0 ]; then
		timeout 30 ib_read_lat -n 200 >/dev/null 2>&1 & server=$!
		guest-sync serving
		wait $server
		guest-sync done
		guest-sync never
		sleep 300
	else
		guest-sync serving
		sleep 1
		timeout 30 ib_read_lat -n 200 "$GUEST_PEER" | grep "^ 2 "
		guest-sync done
		guest-poweroff 6
	fi
'

check_two_guests() {
	local start=$SECONDS
	check 'two guests: the status of the one that ends' in_guest 6 --hosts 2 --time-limit 200 bash -c "$two_guests"
	check 'two guests: ib_read_lat between them' guest_said '^\[1\]  2 +200 '
	check 'two guests: guest-sync carries a value to the first' guest_said '^\[0\] peer says I am 1$'
	check 'two guests: guest-sync carries a value to the second' guest_said '^\[1\] peer says I am 0$'
	check 'two guests: the other is ended when one has failed' guest_said 'did not end within 10 seconds'
	check 'two guests: not at the time limit' [ $((SECONDS - start)) -lt 190 ]
	check 'two guests: guest-sync with one that ended fails' guest_said '^\[0\] guest-sync never: the other host has ended'
	check_nothing_left 'two guests'
}

check_limits() {
	check 'time limit: status 124' in_guest 124 --time-limit 5 sh -c 'echo here; sleep 300'
	check 'time limit: what was printed before' guest_said '^here$'
	check_nothing_left 'the time limit'
	check 'without a module: it is not there' in_guest 1 --time-limit 60 --keep-modules-out rdma_rxe --memlock 64 \
		bash -c 'ulimit -l; ls /sys/class/infiniband /sys/module/rdma_rxe; modprobe rdma_rxe'
	check 'without a module: modprobe does not know it' guest_said 'Module rdma_rxe not found'
	check 'without a module: no device' guest_said "access '/sys/class/infiniband'"
	check 'memlock: as told' guest_said '^64$'
	check 'no such module: status 125' in_guest 125 --keep-modules-out no_such_module true
	check_nothing_left 'a refusal'
}

# stop_guest SIGNAL STATUS: while a command runs.
stop_guest() {
	local status=0 pid tries
	DSM_GUEST_MARK=$guest_mark env --default-signal=INT script/guest sh -c 'echo up; sleep 300' >"$guest_said" 2>&1 &
	pid=$!
	for ((tries = 0; tries < 1200; tries++)); do
		! guest_said '^up$' || break
		sleep 0.1
	done
	kill "-$1" "$pid"
	wait "$pid" 2>/dev/null || status=$?
	check "SIG$1: status $status" [ "$status" -eq "$2" ]
}

check_signals() {
	stop_guest INT 130
	check_nothing_left 'Ctrl-C'
	stop_guest KILL 137
	check "SIGKILL leaves processes behind" eval '! guest_debris | grep -q /proc'
	# the next run takes its folder away
	in_guest 2 --frobnicate
	in_guest 0 --prepare
	check_nothing_left 'SIGKILL, and the run after it,'
}

check_usage() {
	check 'no command: status 2' in_guest 2
	check 'three hosts: status 2' in_guest 2 --hosts 3 true
	check 'an unknown option: status 2' in_guest 2 --fast true
	check 'no time: status 2' in_guest 2 --time-limit 0 true
	check 'help: status 0' in_guest 0 --help
	check 'help: has examples' guest_said '^Examples:'
}

suite_guest() {
	guest_tmp=$(mktemp -d) guest_mark=$$-$RANDOM
	guest_said=$guest_tmp/said
	trap 'rm -rf "$guest_tmp"' EXIT
	if ! in_guest 0 --prepare; then
		skip "guests: $(tail -n 1 "$guest_said")"
		finish
	fi
	check_usage
	check_one_guest
	check_two_guests
	check_limits
	check_signals
	finish
}

# ---- dsm rxe and dsm doctor --------------------------------------------------------------------

# count_guest NAME ARGUMENT...: a guest whose command prints "ok …", "not ok …" and "N passed, N failed".
count_guest() {
	local name=$1 p=0 f=0 status=0
	shift
	DSM=$PWD/build/gcc/cli/dsm DSMD=$PWD/build/gcc/engine/dsmd script/guest "$@" >"$guest_said" 2>&1 || status=$?
	cat "$guest_said"
	while read -r p f; do
		good=$((good + p)) bad=$((bad + f))
	done < <(sed -nE 's/^(\[[01]\] )?([0-9]+) passed, ([0-9]+) failed$/\2 \3/p' "$guest_said")
	sed -nE "s/^(\\[[01]\\] )?not ok /failed: $name: /p" "$guest_said"
	[ "$status" -eq 0 ] || [ "$bad" -gt 0 ] || fail "$name: status $status"
	guest_said ' passed, ' || fail "$name: it did not come to its end"
}

suite_rxe() {
	local program=tests/guest/rxe.sh
	guest_tmp=$(mktemp -d) guest_mark=$$-$RANDOM
	guest_said=$guest_tmp/said
	trap 'rm -rf "$guest_tmp"' EXIT
	if ! in_guest 0 --prepare; then
		skip "guests: $(tail -n 1 "$guest_said")"
		finish
	fi
	count_guest 'one thing after the other is broken' --time-limit 500 --no-rxe "$program" broken
	count_guest 'no module' --time-limit 120 --keep-modules-out rdma_rxe "$program" no-module
	count_guest 'no crc32' --time-limit 120 --keep-modules-out crc32_generic,crc32_pclmul "$program" no-crc32
	count_guest 'an engine' --time-limit 150 --hosts 2 "$program" engine
	finish
}

# ---- script/demo --rdma ------------------------------------------------------------------------

end_guest_demo() {
	[ -z "$guest_group" ] || kill -TERM -- "-$guest_group"
	rm -rf "$guest_tmp"
}

suite_demo_rdma() {
	local status=0 start tries
	guest_tmp=$(mktemp -d) guest_mark=$$-$RANDOM guest_group=''
	guest_said=$guest_tmp/said
	trap end_guest_demo EXIT
	if ! in_guest 0 --prepare; then
		skip "guests: $(tail -n 1 "$guest_said")"
		finish
	fi
	DSM_GUEST_MARK=$guest_mark TMPDIR=$guest_tmp script/demo --rdma --seconds 4 >"$guest_said" 2>&1 || status=$?
	cat "$guest_said"
	check "the demo ends with status $status" [ "$status" -eq 0 ]
	check 'the engine was stopped' guest_said 'was stopped meanwhile \(state T\)'
	check 'packets were counted' guest_said 'READ answers\) +[0-9]+ -> [0-9]+ +\+[1-9]'
	check 'values of the log came by rdma' guest_said '^\[1\] rdma://10.77.0.1 by rdma'
	check_nothing_left 'the demo'
	# one process group, as a terminal makes it
	DSM_GUEST_MARK=$guest_mark TMPDIR=$guest_tmp env --default-signal=INT,QUIT setsid script/demo --rdma \
		>"$guest_said" 2>&1 &
	guest_group=$! status=0
	for ((tries = 0; tries < 600; tries++)); do
		! guest_said 'Starting' || break
		sleep 0.2
	done
	sleep 5
	start=$SECONDS
	kill -INT -- "-$guest_group" || fail 'the demo had ended before Ctrl-C'
	wait "$guest_group" || status=$?
	guest_group=''
	cat "$guest_said"
	check "stopped by Ctrl-C it ends with status $status" [ "$status" -eq 0 ]
	check 'Ctrl-C ends it within 5 seconds' [ $((SECONDS - start)) -le 5 ]
	check_nothing_left 'Ctrl-C'
	finish
}
