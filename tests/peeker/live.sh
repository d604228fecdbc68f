#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The peeker on running engines: values, engines and owners that go and come, another table,
# a thousand cells, colours, and the terminal given back whatever happens.
#
# Usage: PEEKER=… GOLDEN_EXE=… DSM=… DSMD=… tests/peeker/live.sh [GROUP...]

set -uo pipefail
. "$(dirname "$0")/lib.sh"

# peek WIDTHxHEIGHT ARGUMENT...: the peeker in a terminal whose shell stays below it.
peek() {
	terminal "$1" "${term:-tmux-256color}"
	shift
	type_line "clear; ${with-} '$PEEKER' $*"
	see 'q quit'
}

shows_value() { screen; [[ $out =~ $1\ +$2\  ]]; }
see_value() { within 8 shows_value "$1" "$2"; }

# owns ROLE: a process that holds the role until it is killed; its number in $owner_pid.
owns() {
	"$DSM" watch --format jsonl "$1" >/dev/null 2>&1 &
	owner_pid=$!
	pids+=("$owner_pid")
}

test_values() {
	"$DSM" set drilling.rop 12.34 drilling.state ahead drilling.running true
	peek 120x24 "$name"
	check 'a value as its precision has it' see_value rop 12.3
	check 'a text' has "$out" 'ahead'
	check 'a cell never written' matches "$out" $'-  ticket +- .*never written'
	check 'an owner that nobody is' has "$out" 'operator vacant'
	check 'transport and why' matches "$out" 'by shm: [a-z]'
	check 'latency, retries, rejected' matches "$out" 'read p50 [0-9.]+ .s  p99 .* retries [0-9]+  rejected [0-9]+'
	"$DSM" set drilling.rop 45.67
	check 'a change is seen' see_value rop 45.7
	keys Space; see FROZEN
	"$DSM" set drilling.rop 99
	sleep 0.5; screen
	check 'frozen: the value stands' shows_value rop 45.7
	keys Space
	check 'and goes on' see_value rop 99.0
	"$DSM" set --owner operator panel.brake 7.5
	check 'an owner that has gone: stale by word' within 8 shows 'stale owner'
	check 'by mark and brackets' matches "$out" $'!  brake +\\(7.5\\)'
}

test_engine_gone() {
	local first=$engine_pid
	"$DSM" set drilling.rop 5
	peek 80x24 "$name"
	check 'running' shows RUNNING
	kill -STOP "$first"
	check 'an engine that stands still' within 8 shows 'NO HEARTBEAT'
	check 'its values are stale' shows 'stale engine'
	kill -CONT "$first"
	check 'and runs again' within 8 shows RUNNING
	stop_engine "$first" -KILL
	check 'an engine killed: LOST' within 8 shows LOST
	check 'its last value in brackets' matches "$out" $'!  rop +\\(5.0\\)'
	check 'no owner is called alive' hasnt "$out" 'alive'
	start_engine "$name" "$work/table.yaml"
	check 'it is back: RUNNING' within 10 shows RUNNING
	"$DSM" set drilling.rop 6.5
	check 'and its values' see_value rop 6.5
	write_table "$work/other.yaml" $'  - name: extra\n    owner: engine\n    cells:\n      - {name: added, type: i64}'
	stop_engine "$engine_pid"
	start_engine "$name" "$work/other.yaml"
	check 'another table: its cells' within 10 shows 'added'
	mux resize-window -t t -x 120 -y 40
	keys i; see 're-attached'
	check 'what happened is told' has "$out" 'another table'
	keys q; gone RUNNING
	check 'the shell is there again' within 5 shows 'ready:'
	stop_engine "$engine_pid"
	start_engine "$name" "$work/table.yaml"
}

test_waiting() {
	run -n 1 --batch shm://"$name-none"; expect 'no engine' 1 '' "$name-none"
	terminal 80x12
	type_line "clear; '$PEEKER' --wait shm://$name-late"
	check 'waits for its engine' within 8 shows 'NO ENGINE'
	sed "s/^region:.*/region: $name-late/" "$work/table.yaml" >"$work/late.yaml"
	start_engine "$name-late" "$work/late.yaml"
	check 'which comes' within 8 shows RUNNING
	stop_engine "$engine_pid"
	# in a session of its own no SIGHUP reaches it: it has to see by itself that nobody is there
	terminal 80x12
	type_line "clear; setsid '$PEEKER' --wait shm://$name-never & echo \$! >'$work/lonely'; wait"
	check 'one in a session of its own waits' within 8 shows 'NO ENGINE'
	local lonely
	lonely=$(pgrep -n -f "$name-never")
	pids+=("$lonely")
	mux kill-session -t t
	check 'and ends when its terminal is gone' within 8 eval "! kill -0 $lonely 2>/dev/null"
}

# Over a network: an engine that lets in who has a key, and a peeker that has one to read.
test_udp() {
	local port=$((20000 + $$ % 10000)) engine
	sed "s/^region:.*/region: $name-udp/" "$work/table.yaml" >"$work/udp.yaml"
	(umask 077; "$DSM" keygen read >"$work/keys")
	start_engine "$name-udp" "$work/udp.yaml" --udp "127.0.0.1:$port" --auth keys --keys "$work/keys"
	engine=$engine_pid
	"$DSM" --uri "shm://$name-udp" set drilling.rop 12.34 drilling.running true
	DSM_KEYS='' run --batch -n 1 --timeout 20 "udp://127.0.0.1:$port"; expect 'udp without a key' 1 '' 'key'
	DSM_KEYS=$(<"$work/keys")
	export DSM_KEYS
	run --batch -n 1 --timeout 20 "udp://127.0.0.1:$port" drilling.rop; expect 'udp with a key to read' 0 '12.3'
	check 'and that is how' has "$out" 'by udp'
	peek 120x24 "udp://127.0.0.1:$port"
	check 'in a terminal' see_value rop 12.3
	check 'the engine sees a reader' matches "$("$DSM" --uri "shm://$name-udp" ps --format jsonl | grep '"peeker"')" \
		'"role":"reader".*"transport":"udp"|"transport":"udp".*"role":"reader"'
	"$DSM" --uri "shm://$name-udp" set drilling.rop 45.67
	check 'a change is seen' see_value rop 45.7
	check 'its age is known' within 8 age_is_known
	kill -STOP "$engine"
	check 'an engine that stands still is not RUNNING' within 20 eval 'hides RUNNING'
	check 'nor are its values valid' within 20 shows '(45.7)'
	kill -CONT "$engine"
	check 'and runs again' within 20 shows RUNNING
	keys q; gone 'q quit'
	unset DSM_KEYS
	stop_engine "$engine"
}
age_is_known() { screen; [[ $out =~ rop\ +45\.7\ +m/h\ +[0-9.]+\ s ]]; }

# cpu_ms PID: processor time it has used.
cpu_ms() { awk '{ print ($14 + $15) * 10 }' "/proc/$1/stat"; }

test_many() {
	local pid before began
	cat >"$work/many.yaml" <<-END
		region: $name-many
		groups:
		  - name: "bulk{}"
		    owner: engine
		    count: 10
		    cells:
		      - {name: "c{}", type: f64, count: 100}
	END
	start_engine "$name-many" "$work/many.yaml"
	peek 120x40 "shm://$name-many"
	check 'a thousand cells in ten groups' within 5 shows '1/1010'
	pid=$(pid_of_peeker)
	before=$(cpu_ms "$pid") began=${EPOCHREALTIME/./}
	for _ in {1..20}; do keys -N 25 Down; done
	check 'five hundred lines down' within 5 shows '501/1010'
	check "within seconds ($(((${EPOCHREALTIME/./} - began) / 1000)) ms)" \
		test $((${EPOCHREALTIME/./} - began)) -le "$((8000000 * slow))"
	check "with less than a second of processor ($(($(cpu_ms "$pid") - before)) ms)" \
		test $(($(cpu_ms "$pid") - before)) -le $((1000 * slow))
	keys G; check 'to the end' within 5 shows '1010/1010'
	keys i; see 'drawn in'
	[[ $out =~ drawn\ in\ ([0-9.]+)\ (ns|µs|ms) ]]
	check "a frame is drawn within 20 ms (${BASH_REMATCH[1]} ${BASH_REMATCH[2]})" \
		awk "BEGIN { exit !(${BASH_REMATCH[1]} * (\"${BASH_REMATCH[2]}\" == \"ms\") <= 20 * $slow) }"
	before=$(cpu_ms "$pid"); sleep 1
	check "and looking takes less than 5 % of a processor ($(($(cpu_ms "$pid") - before)) ms a second)" \
		test $(($(cpu_ms "$pid") - before)) -le $((50 * slow))
	stop_engine "$engine_pid"
}

# colours: $count = lines of the screen that have a colour sequence; $out with all sequences.
colours() {
	out=$(mux capture-pane -t t -p -e)
	count=$(grep -cE $'\e\\[[0-9;]*(3[0-8]|4[0-8]|9[0-7])[;m]' <<<"$out")
}

test_colours() {
	with='' term='' peek 80x24 "$name"
	colours; check '256 colours' test "$count" -gt 3
	check 'of the 256' matches "$out" $'38[;:]5[;:]'
	term=xterm peek 80x24 "$name"
	colours; check 'eight colours' test "$count" -gt 3
	check 'none of the 256' hasnt "$out" '38;5;'
	if infocmp xterm-16color >/dev/null 2>&1; then
		term=xterm-16color peek 80x24 "$name"
		colours; check '16 colours' test "$count" -gt 3
		check 'and no more' hasnt "$out" '38;5;'
	else
		skipped=$((skipped + 1)) # ncurses-term is not there
	fi
	term=vt100 peek 80x24 "$name"
	colours; check 'a terminal without colour' test "$count" -eq 0
	with='env NO_COLOR=1' term='' peek 80x24 "$name"
	colours; check 'NO_COLOR' test "$count" -eq 0
	check 'the bar is seen all the same' matches "$out" $'\e\\[1;7m.* RUNNING'
	with='' term=''
	terminal 80x24 no-such-terminal
	type_line "'$PEEKER' '$name'"
	check 'a terminal type that is not known is named' within 5 shows 'no-such-terminal'
}

# The line settings, and what the shell had on its screen.
before_and_after() {
	terminal 80x24
	type_line 'stty -a >'"$work"'/stty.before; echo kept'
	within 5 test -s "$work/stty.before"
	type_line "${with-} '$PEEKER' '$name'"
	see 'q quit'
	pid=$(pid_of_peeker)
}

given_back() {
	within 5 hides 'q quit'
	type_line 'echo "status $?"; stty -a >'"$work"'/stty.after; echo visible'
	within 5 shows 'status'
	check "$1: what was on the screen is there again" shows 'kept'
	check "$1: and what is typed" within 5 shows visible
	check "$1: the line settings are as they were" within 3 cmp -s "$work/stty.before" "$work/stty.after"
	check "$1: the cursor is seen" is "$(mux display -t t -p '#{cursor_flag}#{keypad_cursor_flag}')" 10
	[[ -z ${2-} ]] || check "$1: status $2" shows "status $2"
	rm -f "$work/stty.after"
}

# has_thread N PID, hurt_thread N PID: its Nth thread; a SIGSEGV to that and no other.
thread_of() { find "/proc/$2/task" -mindepth 1 -maxdepth 1 -printf '%f\n' | sort -n | sed -n "$1p"; }
has_thread() { [[ -n $(thread_of "$@") ]]; }
hurt_thread() {
	python3 -c 'import ctypes, sys; sys.exit(ctypes.CDLL(None).tgkill(*map(int, sys.argv[1:])))' \
		"$2" "$(thread_of "$@")" 11
}

test_restored() {
	local signal status_of thread crashed=139
	[[ ! $sanitized ]] || crashed=''
	before_and_after; keys q; given_back 'q' 0
	before_and_after; keys C-c; given_back 'Ctrl-C' 0
	for signal in TERM HUP SEGV ABRT; do
		before_and_after
		kill -"$signal" "$pid"
		status_of=$((128 + $(kill -l "$signal")))
		[[ $signal != SEGV && $signal != ABRT || ! $sanitized ]] || status_of=''
		given_back "SIG$signal" "$status_of"
	done
	# the sampler's thread, and the library's: a fault there is no other thread's business
	for thread in 2 3; do
		before_and_after
		within 5 has_thread "$thread" "$pid"
		hurt_thread "$thread" "$pid"
		given_back "SIGSEGV in thread $thread" "$crashed"
	done
	before_and_after; keys C-z; within 5 hides 'q quit'; type_line fg; see 'q quit'
	check 'Ctrl-Z and back' shows RUNNING
	keys q; given_back 'after Ctrl-Z'
	# see end_in_terminal why no leaks are looked for here
	with="env ASAN_OPTIONS='$ASAN_OPTIONS:detect_leaks=0'" before_and_after
	mux kill-session -t t
	check 'a terminal that is gone ends it' within 10 eval "! kill -0 $pid 2>/dev/null"
	run "$name"; expect 'no terminal at all' 1 '' '--batch'
}

test_resize() {
	peek 120x40 "$name"
	for size in 40x12 20x3 200x60 80x24 24x4; do
		mux resize-window -t t -x "${size%x*}" -y "${size#*x}"
		sleep 0.1
	done
	mux resize-window -t t -x 80 -y 24
	check 'resized again and again' within 5 shows 'q quit'
	check 'and the columns fit' is "$(grep -E '^.{81}' <<<"$out")" ''
}

test_batch() {
	run --batch -n 3 -i 0.05 "$name"; expect 'three frames' 4 'RUNNING'
	check 'are three' is "$(grep -c RUNNING <<<"$out")" 3
	check 'without an escape sequence' hasnt "$out" $'\e'
	"$DSM" set drilling.rop 1 drilling.running true
	run --batch -n 1 "$name" drilling.rop 'drilling.run*'; expect 'all is well' 0 'running'
	check 'only what was asked for' hasnt "$out" 'brake'
	run --batch -n 1 "$name" 'nope.*'; expect 'nothing matches' 1 '' 'no cell matches'
	run --batch -n 1000 -i 0.1 --timeout 2 "$name"; expect 'time is up' 3 '' 'of 1000 frames within 2 s'
	run --batch --timeout 0.4 -i 0.1 "$name" drilling.rop; expect 'until time is up' 0 RUNNING
	timeout 10 "$PEEKER" --batch -i 0.05 "$name" 2>"$work/err" | head -n 1 >"$work/out"
	check '| head ends it quietly' is "${PIPESTATUS[0]}$(<"$work/err")" 1
	rm "$work/out"
	timeout 10 "$PEEKER" --batch "$name" >"$work/out" 2>&1 &
	local batch=$!
	within 5 test -s "$work/out"; kill "$batch"; wait "$batch"
	check 'SIGTERM ends it' is $? 143
	DSM_URI=shm://$name run --batch -n 1; expect 'the engine of the environment' 4 RUNNING
	NO_COLOR=1 COLUMNS=50 run --batch -n 1 "$name"
	check 'as wide as COLUMNS' is "$(grep -E '^.{51}' <<<"$out")" ''
}

test_top() {
	local PATH=${PEEKER%/*}:$PATH
	timeout 10 "$DSM" top -- --batch -n 1 >"$work/out" 2>"$work/err"
	status=$? out=$(<"$work/out") err=$(<"$work/err")
	expect 'dsm top' 4 RUNNING
	timeout 10 "$DSM" -u "$name" top -i 0.1 --timeout 5 panel.brake -- --batch -n 2 >"$work/out" 2>"$work/err"
	status=$? out=$(<"$work/out") err=$(<"$work/err")
	expect 'with its options and those of dsm' 4 'brake'
	check 'a name is a cell, not an engine' hasnt "$out" 'rop'
	terminal 80x24
	type_line "'$DSM' top"
	see 'q quit'
	check 'in the terminal' shows RUNNING
	keys q; gone RUNNING
	PATH=/nowhere
	err=$("$DSM" top 2>&1)
	check 'no peeker: said' has "$err" 'cannot be started'
}

test_usage() {
	run --help; expect '--help' 0 'Examples:'
	run --version; expect '--version' 0 'peeker '
	run --batch -n 0; expect '-n 0' 2 '' '--count'
	run -i soon; expect '-i soon' 2 '' 'seconds'
	run --sort size; expect '--sort size' 2 '' 'table, name'
	run -n 3; expect '-n without --batch' 2 '' '--batch'
	run --tolerance 1; expect '--tolerance alone' 2 '' '--against'
	run --against x --tolerance much; expect 'a tolerance that is none' 2 '' 'GLOB=N'
	run --frobnicate; expect 'no such option' 2 '' 'peeker --help'
	run --batch -n 1 'shm://bad name'; expect 'a bad address' 1 '' 'bad name'
	local file
	for file in "$here/../../peeker/peeker.1"; do
		command -v mandoc >/dev/null || continue
		check 'manual page is well formed' mandoc -Tlint -W error "$file"
	done
}

completed() {
	COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
	_peeker
	printf '%s\n' "${COMPREPLY[@]}" | sort | paste -sd' '
}

# An engine that does not answer soon is not waited for: nothing is completed then.
completes() {
	out=$(completed "${@:2}")
	is "$out" "$1"
}

test_completion() {
	# shellcheck source=/dev/null
	. "$here/../../peeker/peeker.bash-completion"
	local PATH=${DSM%/*}:$PATH
	out=$(completed peeker --ag); check 'complete options' is "$out" '--against'
	out=$(completed peeker --sort a); check 'complete sort keys' is "$out" 'age'
	check 'complete cells to pin' within 20 completes 'panel.brake' peeker "$name" --pin panel.
	check 'complete cells' within 20 completes 'drilling.rop drilling.running' peeker "$name" drilling.r
	check 'with an address in pieces' within 20 completes 'panel.brake' peeker shm : "//$name" panel.b
}

sanitized='' slow=1
if ldd "$PEEKER" | grep -q libasan; then sanitized=yes slow=10; fi

before_group=begin
begin() {
	write_table "$work/table.yaml"
	start_engine "$name" "$work/table.yaml" || check 'dsmd starts' false
}

groups=("$@")
((${#groups[@]})) || groups=(restored udp engine_gone values many colours batch resize waiting usage top completion)
run_groups "${groups[@]}"
