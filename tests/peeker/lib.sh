# shellcheck shell=bash
# What the tests of the peeker share: checks that count, a terminal made of tmux. Sourced.

: "${PEEKER:?}" "${GOLDEN_EXE:?}" "${DSM:?}" "${DSMD:?}"
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/common/check.sh
. "$here/../common/check.sh"
work=$(mktemp -d)
socket=$work/tmux
name=peek-$$
skipped=0 pids=()
# what a sanitizer has to say goes where finish() looks, also from a terminal that is gone by then
export PEEKER_TEST_MARK=$work
export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}log_path=$work/sanitizer
# ncurses forgets a piece of its own where it does not know the terminal type
echo 'leak:new_prescr' >"$work/known-leaks"
export LSAN_OPTIONS=suppressions=$work/known-leaks:print_suppressions=0
export LC_ALL=C.UTF-8 TZ=UTC DSM_URI="shm://$name"
unset NO_COLOR COLUMNS LINES TMUX

cleanup() {
	((BASHPID == $$)) || return # a child that was killed before it became its command
	ask_to_end
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# What was seen last.
explain() {
	printf '#   status %s, said: %s\n' "$status" "${err:0:300}"
	printf '%s\n' "${out:0:4000}" | sed 's/^/#   /'
}

# ---- the end of what was started ----

ask_to_end() {
	local pid
	end_in_terminal
	mux kill-server 2>/dev/null
	for pid in "${pids[@]}"; do kill -CONT "$pid"; kill "$pid"; done 2>/dev/null
	wait 2>/dev/null
	pids=()
}

# The peekers of this test that run: the mark is in their environment.
peekers() {
	local pid
	for pid in $(grep -lsF "PEEKER_TEST_MARK=$work" /proc/[0-9]*/environ | cut -d / -f 3); do
		! grep -qsE '^(peeker|peeker-golden|dsm|dsmd)$' "/proc/$pid/comm" || echo "$pid"
	done
}
no_peekers() { [[ -z $(peekers) ]]; }

# What one that did not end is waiting for.
show_stuck() {
	local pid=$1 task
	printf '# did not end: %s\n' "$pid: $(tr '\0' ' ' <"/proc/$pid/cmdline")"
	for task in "/proc/$pid/task"/*; do
		printf '#   thread %s: %s; at %s, system call %s; %s\n' "${task##*/}" "$(grep -s '^State' "$task/status")" \
			"$(cat "$task/wchan" 2>&1)" "$(cat "$task/syscall" 2>&1)" \
			"$(grep -sE '^(Tracer|Sig(Pnd|Blk|Cgt)|ShdPnd)' "$task/status" | tr '\n\t' '  ')"
	done
} 2>/dev/null

# Whatever a test leaves running has to end when it is asked to, and without a complaint.
check_ends() {
	local pid stuck
	ask_to_end
	out=$(peekers) err='' status=0
	check 'all that was started has ended' within 30 no_peekers
	mapfile -t stuck < <(peekers) # all are looked at before the first is killed, which may end others
	for pid in "${stuck[@]}"; do show_stuck "$pid"; done
	for pid in "${stuck[@]}"; do kill -KILL "$pid" 2>/dev/null; done
	out=$(cat "$work"/sanitizer.* 2>/dev/null)
	check 'and no sanitizer has complained' is "$out" ''
}

finish() {
	[[ -n ${marks_only-} ]] || check_ends
	printf '%d passed, %d failed' "$passed" "$failed"
	[ "$skipped" -eq 0 ] || printf ', %d skipped' "$skipped"
	printf '\n'
	[ "$failed" -eq 0 ]
}

# run_groups GROUP...: one is run here, as function test_GROUP. More: each in a process of its
# own, four at a time, for they mostly wait; their counts are added.
run_groups() {
	local group p f s
	if (($# == 1)); then
		"${before_group:-:}"
		"test_$1"
		finish
		return
	fi
	# shellcheck disable=SC2016 # $0 and $1 are those of the inner shell
	printf '%s\n' "$@" | UPDATE=${update-} xargs -P 4 -I{} bash -c '"$0" {} >"$1/{}.log" 2>&1' "$0" "$work"
	marks_only=yes # each group has looked after its own
	for group in "$@"; do
		grep -vE '^[0-9]+ passed, [0-9]+ failed' "$work/$group.log"
		read -r p _ f _ s _ < <(tail -n 1 "$work/$group.log" | grep -E '^[0-9]+ passed' || echo "0 passed, 1 failed")
		passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + ${s:-0}))
	done
	finish
}

hasnt() { [[ $1 != *"$2"* ]]; }

# run ARGUMENT...: the peeker without a terminal, bounded; leaves $status, $out, $err.
run() {
	timeout -k 1 30 "$PEEKER" "$@" >"$work/out" 2>"$work/err" </dev/null
	status=$?
	out=$(<"$work/out") err=$(<"$work/err")
}

# expect NAME STATUS [WORDS-IN-OUT [WORDS-IN-ERR]]
expect() {
	check "$1: status $2" is "$status" "$2"
	[[ -z ${3-} ]] || check "$1: shows $3" has "$out" "$3"
	[[ -z ${4-} ]] || check "$1: says $4" has "$err" "$4"
}

# ---- the terminal ----

mux() { tmux -S "$socket" "$@"; }

# terminal WIDTHxHEIGHT [TERM]: a fresh one with a shell that has asked nothing of it.
terminal() {
	# a session of its own keeps the server: the last one to go would take it along
	mux has-session -t keep 2>/dev/null ||
		tmux -S "$socket" -f /dev/null new-session -d -s keep cat
	end_in_terminal
	mux kill-session -t t 2>/dev/null
	TERM=tmux-256color tmux -u -S "$socket" -f /dev/null new-session -d -s t -x "${1%x*}" -y "${1#*x}" \
		"env TERM=${2:-tmux-256color} PS1='ready: ' bash --norc --noprofile"
	within 5 shows 'ready:'
}

# The end of a viewer before that of its terminal. A terminal that goes sends SIGCONT besides SIGHUP,
# which undoes the SIGSTOP by which LeakSanitizer, at the end of a sanitized program, holds it: there
# the two wait for each other for ever.
end_in_terminal() {
	local pids
	pids=$(in_terminal)
	[[ -n $pids ]] || return 0
	# shellcheck disable=SC2086 # a list of words
	kill $pids 2>/dev/null
	within 30 eval '[[ -z $(in_terminal) ]]'
}
in_terminal() {
	local pane
	pane=$(mux list-panes -t t -F '#{pane_pid}' 2>/dev/null) && pgrep -s "$pane" -x 'peeker.*|dsm'
}

keys() { mux send-keys -t t "$@"; }
type_line() { mux send-keys -t t "$*" Enter; }
screen() { out=$(mux capture-pane -t t -p); }
shows() { screen; [[ $out == *"$1"* ]]; }
hides() { screen; [[ $out != *"$1"* ]]; }
# see WHAT: within five seconds, also in a sanitized build.
see() { within 8 shows "$1" || echo "# never seen: $1"; }
gone() { within 8 hides "$1" || echo "# never gone: $1"; }
# Two equal captures one after the other: nothing is on its way any more.
settled() {
	local before
	screen
	for _ in {1..99}; do
		before=$out
		sleep 0.03
		screen
		[[ $out != "$before" ]] || return 0
	done
	return 1
}
pid_of_peeker() { pgrep -s "$(mux list-panes -t t -F '#{pane_pid}')" -x "${1:-peeker}" | head -n 1; }

# ---- engines ----

answers() { timeout 2 "$DSM" --uri "shm://$1" --timeout 1 info >/dev/null 2>&1; }

# start_engine NAME TABLE [OPTION...]
start_engine() {
	local engine=$1 table=$2
	shift 2
	"$DSMD" --name "$engine" --table "$table" "$@" >"$work/$engine.log" 2>&1 &
	pids+=($!)
	engine_pid=$!
	within 20 answers "$engine"
}

stop_engine() {
	kill "${2:--TERM}" "$1" && wait "$1"
} 2>/dev/null

write_table() {
	cat >"$1" <<-END
		region: $name
		owners:
		  - name: operator
		groups:
		  - name: drilling
		    owner: engine
		    description: What the bit does
		    cells:
		      - {name: rop, type: f64, unit: m/h, min: 0, max: 200, precision: 1}
		      - {name: state, type: string(40)}
		      - {name: running, type: bool}
		      - {name: ticket, type: u64}
		      - {name: frame, type: bytes(8)}
		  - name: panel
		    owner: operator
		    cells:
		      - {name: brake, type: f64, unit: kN}
		${2-}
	END
}
