#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Frames of the terminal viewer, to the letter: a model that stands still (fake.c), shown in
# terminals of several sizes and kinds, keys sent, and the screen compared with golden/NAME.
#
# Usage: PEEKER=… GOLDEN_EXE=… DSM=… DSMD=… tests/peeker/golden.sh [GROUP...]
# With UPDATE=1 the golden files are written anew; look at the difference before you keep it.

set -uo pipefail
. "$(dirname "$0")/lib.sh"
update=${UPDATE-}

screen_is() { screen; [[ $out == "$1" ]]; }

# frame NAME: what the screen shows is what golden/NAME has, or becomes so.
frame() {
	local file=$here/golden/$1.txt
	if [ -n "$update" ]; then
		sleep 0.5
		settled
		printf '%s\n' "$out" >"$file"
	fi
	check "frame $1" within 5 screen_is "$(cat "$file" 2>/dev/null)"
}

# show WIDTHxHEIGHT ARGUMENT...: the viewer in such a terminal.
show() {
	terminal "$1" "${term:-tmux-256color}"
	shift
	type_line "clear; exec ${with-} '$GOLDEN_EXE' $*"
	see '12:34:56'
}

test_sizes() {
	show 80x24 test://rig; frame 80x24
	show 120x40 test://rig; frame 120x40
	show 40x12 test://rig; frame 40x12
	show 200x30 test://rig; frame 200x30
	show 80x24 test://lost; frame lost-80x24
	show 40x12 test://lost; frame lost-40x12
	mux resize-window -t t -x 20 -y 4; see 'too small'; frame too-small
	mux resize-window -t t -x 80 -y 24; see 'q quit'; frame lost-80x24
}

test_panes() {
	show 120x40 test://rig
	keys Down Enter; see 'run of'; frame detail-120x40
	keys Down Down Down; see 'drilling.on_bottom'; frame detail-bool-120x40
	keys '?'; see 'Keys'; frame help-120x40
	keys i; see 'This viewer'; frame info-120x40
	keys Escape; gone 'This viewer'; keys Escape; gone 'run of'; frame escaped-120x40
	show 40x12 test://rig --pin mud.pressure --detail; see 'run of'; frame detail-40x12
	keys Escape '?'; see 'Keys'; keys Down Down Down; gone 'Keys'; frame help-40x12
}

test_choices() {
	show 80x24 test://rig
	keys /; see '/_'; keys o p; see '/op_'; frame typing-80x24
	keys Enter; see 'filter "op"'; frame filtered-80x24
	keys / 'mud.*'; see '/mud.*_'; keys Escape; see 'filter "op"'
	check 'Esc while typing gives the filter before' has "$out" 'filter "op"'
	keys / '*.wob' Enter; see '2 of 15'; frame glob-80x24
	keys / zzz; see 'no cell matches'; frame none-80x24
	keys Escape Escape; gone 'zzz'; keys s; see 'by name'; frame by-name-80x24
	keys s; see 'by value'; frame by-value-80x24; keys s; see 'by age'; keys r; see 'by age (reverse)'; frame by-age-80x24
	keys s; see 'by rate'; frame by-rate-80x24; keys s; see 'by state'; frame by-state-80x24
	keys s; gone 'by state'; keys g Left; see '▸ drilling'; frame folded-80x24
	keys z; see '▸ adc'; frame all-folded-80x24
	keys z; gone '▸'; keys g Down p Down Down Down p; see '★'; frame pinned-80x24
	keys Space; see FROZEN; frame frozen-80x24
	keys Space; gone FROZEN; keys G; see '21/21'; frame end-80x24
	keys q; check 'q ends it' within 3 ended
}

ended() { ! mux has-session -t t 2>/dev/null; }

test_kinds() {
	with='env LC_ALL=C'
	show 80x24 test://rig; frame ascii-80x24
	keys '?'; see Keys; frame ascii-help-80x24
	with=''
	show 80x24 --ascii test://rig; keys Down Enter; see 'run of'; frame ascii-detail-80x24
	for term in vt100 xterm linux; do
		show 80x24 test://rig
		check "shown on a $term" has "$out" 'RUNNING'
	done
	term=''
}

test_expected() {
	cd "$work" || return
	cat >expected.csv <<-END
		cell,v,u,q
		,,,
		drilling.rop,12.34,m/h,good
		drilling.wob,88.04,kN,good
		drilling.state,drilling ahead,,good
		mud.density,1250,kg/m³,good
		mud.temperature_at_the_flowline,,°C,never-written
		mud.gone,1,,good
	END
	show 120x40 --against expected.csv test://rig; frame against-120x40
	keys Down Down Enter; see 'DEVIATES: expected'; frame against-detail-120x40
	keys Escape d; see 'only what deviates'; frame deviating-120x40
	show 40x12 --against expected.csv --tolerance 0.1 --deviating test://rig
	frame against-40x12
	cd - >/dev/null || return
}

test_batch() {
	local PEEKER=$GOLDEN_EXE
	run --batch -n 1 test://rig
	if [ -n "$update" ]; then printf '%s\n' "$out" >"$here/golden/batch.txt"; fi
	check 'a batch frame' is "$out" "$(cat "$here/golden/batch.txt")"
	check 'its status' is "$status" 4
	run --batch -n 2 --width 60 --sort state --filter mud test://rig
	check 'two frames' is "$(grep -c RUNNING <<<"$out")" 2
	check 'no line wider than asked for' is "$(grep -E '^.{61}' <<<"$out")" ''
	check 'no escape sequence, whatever a text has in it' hasnt "$out" $'\e'
}

groups=("$@")
((${#groups[@]})) || groups=(sizes panes choices kinds expected batch)
run_groups "${groups[@]}"
