#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# peeker --against in all its outcomes: expected values as JSON and CSV, a state file, another
# engine; what cannot be used; and that the peeker changes nothing, whatever it does.
#
# Usage: PEEKER=… GOLDEN_EXE=… DSM=… DSMD=… tests/peeker/against.sh [GROUP...]

set -uo pipefail
. "$(dirname "$0")/lib.sh"

# against REFERENCE ARGUMENT...
against() {
	local reference=$1
	shift
	run --batch -n 1 --against "$reference" "$@" "$name" 'drilling.*'
}

fill() {
	"$DSM" set drilling.rop 12.34 drilling.state 'a "b", c' drilling.running true \
		drilling.ticket 18446744073709551615 drilling.frame 00ff10
}

test_files() {
	local format
	for format in jsonl json csv; do
		"$DSM" dump --format "$format" 'drilling.*' >"$work/good.$format"
		against "$work/good.$format"; expect "the same as $format" 0 '0 deviate, 5 equal'
	done
	"$DSM" set drilling.rop 12.35
	for format in jsonl json csv; do
		against "$work/good.$format"; expect "one off, $format" 5 '1 deviates, 4 equal'
		check "one off, $format: is marked" matches "$out" '≠  rop +12.[34]'
	done
	against "$work/good.csv" --tolerance 0.02; expect 'within an absolute tolerance' 0
	against "$work/good.csv" --tolerance 1%; expect 'within a relative one' 0
	against "$work/good.csv" --tolerance 0.005; expect 'outside of it' 5
	against "$work/good.csv" --tolerance 1 --tolerance 'drilling.rop=0'; expect 'the last that matches' 5
	against "$work/good.csv" --tolerance 'mud.*=1'; expect 'of other cells' 5
	"$DSM" set drilling.rop 12.34 drilling.ticket 18446744073709551614
	against "$work/good.jsonl"; expect 'the last digit of a u64' 5 '1 deviates'
	"$DSM" set drilling.ticket 18446744073709551615 drilling.state other
	against "$work/good.csv"; expect 'another text' 5 '1 deviates'
	"$DSM" set drilling.state 'a "b", c' drilling.running false
	against "$work/good.json"; expect 'another bool' 5 '1 deviates'
	"$DSM" set drilling.running true drilling.frame 00ff11
	against "$work/good.json"; expect 'other bytes' 5 '1 deviates'
	"$DSM" set drilling.frame 00ff10
	against "$work/good.json"; expect 'all as before' 0
	against "$work/good.json" --deviating; check 'only what deviates: none' hasnt "$out" 'rop '
	run --batch -n 1 --against "$work/good.json" "$name"; expect 'not compared and never written' 4 '1 not compared'
}

test_missing_and_bad() {
	printf '{"cell":"drilling.gone","v":1}\n' >"$work/x"
	against "$work/x"; expect 'a cell that is not there' 5 '1 missing (drilling.gone)'
	printf '{"cell":"panel.brake","v":null}\n' >"$work/x"
	run --batch -n 1 --against "$work/x" "$name" panel.brake; expect 'never written, as expected' 4 '1 equal'
	printf '{"cell":"drilling.rop","v":12.34,"q":"bad"}\n' >"$work/x"
	against "$work/x"; expect 'another quality' 5 '1 deviates'
	printf '{"cell":"panel.brake","v":1}\n' >"$work/x"
	against "$work/x"; expect 'no cell in common' 1 '5 not compared' 'nothing was compared'
	against "$work/x" --tolerance 1 --deviating; expect 'and with --deviating' 1 '' 'nothing was compared'
	printf '{"cell":"drilling.rop","v":"fast"}\n' >"$work/x"
	against "$work/x"; expect 'no value of its type' 5 '1 deviates'
	printf 'cell,v\ndrilling.rop,12.34\n' >"$work/x"
	against "$work/x"; expect 'a table by hand' 0 '1 equal'
	printf '{"cell":"drilling.rop","v":12.34}\n{"cell":"x"\n' >"$work/x"
	against "$work/x"; expect 'broken JSON' 1 '' 'line 3'
	printf 'cell,v\n"drilling.rop,1\n' >"$work/x"
	against "$work/x"; expect 'broken CSV' 1 '' 'quotes'
	printf 'name,value\nx,1\n' >"$work/x"
	against "$work/x"; expect 'another table' 1 '' '"cell" and "v"'
	: >"$work/x"; against "$work/x"; expect 'an empty file' 1
	printf 'a\0b' >"$work/x"; against "$work/x"; expect 'something else' 1 '' 'NUL'
	against "$work/none.json"; expect 'no such file' 1 '' 'No such file'
	against "$work"; expect 'a folder' 1 '' 'directory'
	against "shm://$name-none"; expect 'no such engine' 1 '' "$name-none"
}

test_state_file() {
	sed "s/^region:.*/region: $name-s/" "$work/table.yaml" >"$work/saved.yaml"
	printf 'table: saved.yaml\nauth: none\nstate:\n  file: saved.state\n  interval_s: 0\n' >"$work/saved.conf"
	"$DSMD" --config "$work/saved.conf" >"$work/saved.log" 2>&1 &
	pids+=($!)
	local saving=$!
	check 'an engine that saves' within 10 answers "$name-s"
	DSM_URI="shm://$name-s" fill
	stop_engine "$saving"
	against "$work/saved.state"; expect 'the same as its state file' 0 '5 equal'
	"$DSM" set drilling.rop 3
	against "$work/saved.state"; expect 'off a state file' 5 '1 deviates'
	"$DSM" set drilling.rop 12.34
	head -c 100 "$work/saved.state" >"$work/cut.state"
	against "$work/cut.state"; expect 'a damaged state file' 1 '' 'cut.state'
	check 'libdsm_engine is loaded for that alone' hasnt "$(ldd "$PEEKER")" libdsm_engine
}

test_engines() {
	local other="shm://$name-2" n
	sed "s/^region:.*/region: $name-2/" "$work/table.yaml" >"$work/second.yaml"
	start_engine "$name-2" "$work/second.yaml"
	local second=$engine_pid
	DSM_URI=$other fill
	against "$other"; expect 'two engines that show the same' 0 '5 equal'
	DSM_URI=$other "$DSM" set drilling.rop 13
	against "$other"; expect 'one value off' 5 '1 deviates'
	against "$other" --tolerance 10%; expect 'within the tolerance' 0
	# both move, the one a little later: no difference that lasts
	(for n in {1..1000}; do
		"$DSM" set drilling.rop "$n"
		DSM_URI=$other "$DSM" set drilling.rop "$n"
	done) &
	local mover=$!
	for n in 1 2 3; do
		against "$other"; expect 'two that move together' 0 '5 equal'
	done
	kill "$mover" 2>/dev/null; wait "$mover" 2>/dev/null
	"$DSM" set drilling.rop 5
	DSM_URI=$other "$DSM" set drilling.rop 5
	terminal 100x24
	type_line "'$PEEKER' --against '$other' '$name' 'drilling.*'"
	see '5 equal'
	DSM_URI=$other "$DSM" set drilling.rop 150
	check 'seen in the terminal' within 8 shows '1 deviates'
	stop_engine "$second" -KILL
	check 'a reference that is lost is no reference' within 8 shows 'the reference is LOST'
	keys q
}

# What the program can call at all: nothing that writes, asks, or claims a role.
test_readonly() {
	local calls ps before after
	calls=$(nm -D --undefined-only "$PEEKER" | grep -o 'dsm_[a-z0-9_]*' | sort | paste -sd' ')
	out=$calls
	check 'calls dsm_attach' has "$calls" dsm_attach
	check 'and nothing that changes anything' is "$(tr ' ' '\n' <<<"$calls" | grep -vxE \
		'dsm_(attach|detach|(cell|group|owner|region|frame)_info|foreach_(cell|group|counter)|frame_(new|free|read)|snapshot|borrow|return|next_event|event_name|status|stats|error|strerror|(quality|type|owner_state)_name|flags_text|value_(format|parse))' |
		paste -sd' ')" ''
	before=$("$DSM" stat --format raw | grep -E $'\t(requests|grants|takeovers)\t' | cut -f2,3)
	peek_for_a_while
	ps=$("$DSM" ps --format jsonl | grep '"program":"peeker"')
	out=$ps
	check 'the engine sees a reader' has "$ps" '"role":"reader"'
	check 'that has sent no request' has "$ps" '"requests":0'
	after=$("$DSM" stat --format raw | grep -E $'\t(requests|grants|takeovers)\t' | cut -f2,3)
	out="$before / $after"
	check 'and counted no request, grant or take-over' is "$after" "$before"
	check 'the counters are there' has "$after" 'requests'
	# the control: a request is counted
	"$DSM" set drilling.rop 1
	after=$("$DSM" stat --format raw | grep -E $'\t(requests|grants|takeovers)\t' | cut -f2,3)
	check 'control: a request would have been' test "$after" != "$before"
	keys q
}

# Every key there is, and every pane.
peek_for_a_while() {
	terminal 120x40
	type_line "clear; '$PEEKER' '$name'"
	see 'q quit'
	keys Down Enter p s s r S S z z Left Right Space Space '?' '?' i i d / rop Enter Escape G g
	see RUNNING
}

before_group=begin
begin() {
	write_table "$work/table.yaml"
	start_engine "$name" "$work/table.yaml" || check 'dsmd starts' false
	fill
}

groups=("$@")
((${#groups[@]})) || groups=(engines files missing_and_bad state_file readonly)
run_groups "${groups[@]}"
