# shellcheck shell=bash disable=SC2016,SC2154 # programs for awk and jq; variables of script/test
# The suites that script/test runs, each in a process of its own. Sourced by script/test, never run.
# A suite calls pass, fail and skip, and then finish, whose line script/test counts.

good=0 bad=0 left_out=0

pass() {
	good=$((good + 1))
}

fail() {
	bad=$((bad + 1))
	printf 'failed: %s\n' "$*"
}

skip() {
	left_out=$((left_out + 1))
	printf 'skipped: %s\n' "$*"
}

# check WHAT COMMAND...: WHAT is what the reader is told if COMMAND does not hold.
check() {
	local what=$1
	shift
	if "$@"; then pass; else fail "$what"; fi
}

finish() {
	printf '%d passed, %d failed' "$good" "$bad"
	[ "$left_out" -eq 0 ] || printf ', %d skipped' "$left_out"
	printf '\n'
	if [ "$bad" -gt 0 ]; then exit 1; fi
	if [ "$good" -eq 0 ] && [ "$left_out" -gt 0 ]; then exit 77; fi
	exit 0
}

# --- tests that meson knows -------------------------------------------------------------------

known_suites() {
	meson introspect "build/$1" --tests | jq -r '.[].suite[]' | sed 's/.*://' | sort -u
}

# A test in a suite that no row of the table names would never run.
suite_complete() {
	local suite
	while read -r suite; do
		check "no row of the table in script/test runs meson's suite $suite" \
			grep -qE "[|] suite_meson.* $suite( |\$)" <<<"$table"
	done < <(known_suites gcc)
	check 'a test that Criterion skipped is not counted as skipped' counts_skipped
	check 'cr_skip_test() leaves no trace in the counts: skip_test() of tests/common/skip.h' \
		[ "$(grep -rlw cr_skip_test tests --include='*.[ch]')" = tests/common/skip.h ]
	finish
}

# What add_meson_counts is told of a program of which one test could not run.
counts_skipped() {
	local said
	said=$(jq -r -f script/meson-counts.jq <<-'JSON'
		{ "name": "dsm:unit / made-up", "result": "OK", "stderr": "\nskipped: one: why\n[\u001b[0;34m====\u001b[0m] Synthesis: Tested: 3 | Passing: 3 | Failing: 0 | Crashing: 0 \n" }
	JSON
	)
	[ "$said" = $'3 0 1\nskipped: one: why' ]
}

suite_meson() {
	local build=$1 suite known chosen=()
	shift
	known=$(known_suites "$build")
	for suite in "$@"; do
		if grep -qx "$suite" <<<"$known"; then
			chosen+=(--suite "$suite")
		else
			skip "$suite: not built yet (build/$build has no such tests)"
		fi
	done
	[ ${#chosen[@]} -eq 0 ] || run_meson_test "$build" "${chosen[@]}"
	finish
}

# Sanitized programs are slow: they get more time and may do less. ThreadSanitizer wants an address
# space that is not randomized.
run_meson_test() {
	local build=$1 dir=build/$1 log=build/$1/meson-logs/$suite_name.json status=0 command=(meson test) more=()
	shift
	case $build in
	tsan) command=(setarch "$(uname -m)" -R env DSM_TEST_QUICK=1 meson test -t 3) ;;
	asan) command=(env DSM_TEST_QUICK=1 meson test -t 3) ;;
	*) [ -z "${DSM_TEST_QUICK:-}" ] || quick_arguments "$@" ;;
	esac
	export ASAN_OPTIONS=detect_leaks=1:allow_addr2line=1 UBSAN_OPTIONS=print_stacktrace=1
	rm -f "$log"
	"${command[@]}" "${more[@]}" -C "$dir" --no-rebuild --print-errorlogs --logbase "$suite_name" "$@" || status=$?
	if [ ! -s "$log" ]; then
		fail "meson test ended with status $status and left no log"
		return
	fi
	add_meson_counts "$log"
	[ "$status" -eq 0 ] || [ "$bad" -gt 0 ] || fail "meson test ended with status $status"
}

# Most of the time is waiting, so a quick run does more at once: programs, and tests of a large one.
quick_arguments() {
	more=(--num-processes $((2 * $(nproc))))
	[ "$*" != '--suite conformance' ] || more+=(--test-args "--jobs $((3 * $(nproc)))")
}

add_meson_counts() {
	local line p f s
	while read -r line; do
		case $line in
		failed:* | skipped:*)
			printf '%s\n' "$line"
			continue
			;;
		esac
		read -r p f s <<<"$line"
		good=$((good + p)) bad=$((bad + f)) left_out=$((left_out + s))
	done < <(jq -r -f script/meson-counts.jq "$1" || echo 'failed: the log of meson test cannot be read' '0 1 0')
}

# --- a script of its own, that counts for itself ----------------------------------------------

suite_program() {
	local program=$1 status
	shift
	if [ ! -x "$program" ]; then
		skip "$program: not written yet"
		finish
	fi
	"$program" "$@"
	status=$?
	[ "$status" -ne 77 ] || printf 'skipped: %s says that it cannot run here\n' "$program"
	exit "$status"
}

# --- style ------------------------------------------------------------------------------------

source_files() {
	find . \( -path ./build -o -path ./.git \) -prune -o -type f \
		\( -name '*.[ch]' -o -name '*.cc' -o -name '*.sh' -o -name '*.py' -o -name '*.js' -o -path './script/*' \) -print
}

# file, length and name of every function of C and of the shell
function_lengths() {
	source_files | grep '\.[ch]$' | ctags -L - --languages=C --kinds-C=f --fields=+ne -f - |
		sed -nE 's/^([^\t]+)\t([^\t]+)\t.*\tline:([0-9]+).*\tend:([0-9]+).*/\2 \3 \4 \1/p' |
		awk '{ print $1, $3 - $2 + 1, $4 }'
	source_files | grep -v '\.\([ch]\|cc\|py\|js\)$' | xargs -r awk '
		/^[a-z_0-9]+\(\) *[{(]/ { name = $1; start = FNR }
		/^[})]/ && name != "" { print FILENAME, FNR - start + 1, name; name = "" }'
}

# Two checks, however many files there are; each offender is a failure.
suite_style() {
	local file length name long_files='' long_functions=''
	while read -r length file; do
		[ "$length" -le 500 ] || [ "$file" = total ] || long_files+="$file has $length lines; 500 is the limit"$'\n'
	done < <(source_files | tr '\n' '\0' | wc -l --files0-from=-)
	while read -r file length name; do
		[ "$length" -le 70 ] || long_functions+="$file: $name has $length lines; 70 is the limit"$'\n'
	done < <(function_lengths)
	pass_if_none "$long_files"
	pass_if_none "$long_functions"
	finish
}

# Each line of $1 is a failure; none at all is a pass.
pass_if_none() {
	local line
	if [ -z "$1" ]; then
		pass
		return
	fi
	while read -r line; do
		fail "$line"
	done <<<"${1%$'\n'}"
}

# --- documents --------------------------------------------------------------------------------

manual_pages() {
	find . \( -path ./build -o -path ./.git \) -prune -o -type f -name '*.[1-8]' -print
}

texts() {
	find . \( -path ./build -o -path ./.git \) -prune -o -type f -name '*.md' -print
}

# What a text links to or tells the reader to run has to exist. Prints what does not.
missing_from() {
	local text=$1 target
	grep -oE '\]\([^)# ]+' "$text" | cut -c3- | grep -vE '^(https?|mailto):' | while read -r target; do
		[ -e "$(dirname "$text")/$target" ] || printf 'link %s\n' "$target"
	done
	grep -oE '(^|[^A-Za-z0-9_./-])script/[a-z][a-z0-9_-]*' "$text" | sed 's|.*script/|script/|' | sort -u |
		while read -r target; do
			[ -x "$target" ] || printf 'command %s\n' "$target"
		done
}

# Suites whose limit in docs/testing.md is not that of the table; all, if there is none to compare.
wrong_limits() {
	awk -F ' *[|] *' -v names="$(suite_names all)" '
		FNR == NR { if (NF > 5) { sub(/^ +/, ""); limit[$1] = $3 } next }
		/^\| .* \| [0-9]+ \| [0-9]+ \|/ { for (i = 2; i + 2 <= NF; i += 3) if ($i != "") { n++; if (limit[$i] != $(i + 2)) print $i } }
		END { if (n < 10) print names }' <(printf '%s\n' "$table") docs/testing.md
}

suite_docs() {
	local file missing
	while read -r file; do
		check "$file: mandoc finds faults in it" mandoc -Tlint -W warning "$file"
	done < <(manual_pages)
	while read -r file; do
		missing=$(missing_from "$file" | paste -sd ' ')
		check "$file names what is not there: $missing" [ -z "$missing" ]
	done < <(texts)
	missing=$(wrong_limits | paste -sd ' ')
	check "docs/testing.md gives other limits than script/test: $missing" [ -z "$missing" ]
	check 'docs/performance.md is not what docs/results gives: script/performance' script/performance --check
	finish
}

# --- script/bootstrap, on a machine that is made up -------------------------------------------

# Its commands come first in the path: what is installed is a list, apt-get notes what it was told.
make_machine() {
	machine=$(mktemp -d)
	trap 'rm -rf "$machine"' EXIT
	cat >"$machine/dpkg-query" <<-'SH'
		#!/bin/sh
		while read -r p; do printf '%s=installed ' "$p"; done <"${0%/*}/installed"
	SH
	cat >"$machine/apt-get" <<-'SH'
		#!/bin/sh
		here=${0%/*}
		echo "$*" >>"$here/calls"
		[ ! -e "$here/broken" ] || exit 100
		case "$*" in
		*install*) [ -e "$here/idle" ] || printf '%s\n' "$@" >>"$here/installed" ;;
		esac
	SH
	printf '#!/bin/sh\ncat "${0%%/*}/uid"\n' >"$machine/id"
	chmod +x "$machine/dpkg-query" "$machine/apt-get" "$machine/id"
	printf 'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian made up"\n' >"$machine/debian"
	printf 'ID=fedora\nVERSION_ID=40\nPRETTY_NAME="Fedora made up"\n' >"$machine/fedora"
	new_machine 0
}

new_machine() {
	rm -f "$machine/broken" "$machine/idle"
	echo "$1" >"$machine/uid"
	: >"$machine/calls"
	: >"$machine/installed"
}

# on DISTRIBUTION STATUS ARGUMENT...: runs bootstrap there; does it end with STATUS?
on() {
	local release=$machine/$1 status=0
	PATH="$machine:$PATH" DSM_OS_RELEASE=$release DSM_NO_BOOTSTRAP=${no_bootstrap:-} \
		script/bootstrap "${@:3}" >"$machine/said" 2>&1 || status=$?
	sed 's/^/    /' "$machine/said"
	[ "$status" -eq "$2" ]
}

said() {
	grep -qF -e "$1" "$machine/said"
}

apt_calls() {
	[ "$(wc -l <"$machine/calls")" -eq "$1" ]
}

check_refusals() {
	new_machine 1000
	check 'without root: status 1' on debian 1 core
	check 'without root: names a package' said libcyaml-dev
	check 'without root: gives the command' said 'sudo apt-get'
	check 'without root: apt-get left alone' apt_calls 0
	new_machine 0
	check 'another distribution: status 1' on fedora 1 core
	check 'another distribution: is named' said 'Fedora made up'
	check 'another distribution: names a package' said libcyaml-dev
	check 'another distribution: apt-get left alone' apt_calls 0
	check 'no os-release: status 1' on nowhere 1 core
	check 'an unknown set: status 2' on debian 2 cores
	check 'an unknown option: status 2' on debian 2 --fast
	touch "$machine/broken"
	check 'apt-get fails: status 1' on debian 1 core
	new_machine 0
	touch "$machine/idle"
	check 'apt-get does nothing: status 1' on debian 1 core
}

check_installs() {
	new_machine 0
	echo gcc >"$machine/installed"
	check 'root: status 0' on debian 0 core
	check 'root: one update, one install' apt_calls 2
	check 'root: no recommended packages' grep -q -- '--no-install-recommends' "$machine/calls"
	check 'root: what was missing' grep -q 'meson .*libjansson-dev' "$machine/calls"
	check 'root: not what is there' eval '! grep -q " gcc " "$machine/calls"'
	echo 1000 >"$machine/uid"
	check 'all there: status 0 without root' on debian 0
	check 'all there: says so' said 'all there'
	check 'all there: apt-get left alone' apt_calls 2
	new_machine 0
	check 'dry run: status 0' on debian 0 --dry-run core test
	check 'dry run: apt-get left alone' apt_calls 0
	no_bootstrap=1 check 'DSM_NO_BOOTSTRAP: status 0' on fedora 0 core
	check 'help: status 0' on fedora 0 --help
	check 'help: has examples' said 'Examples:'
	check 'list: status 0' on fedora 0 --list
	check 'list: has the firmware set' said 'gcc-arm-none-eabi'
}

suite_bootstrap() {
	make_machine
	check_refusals
	check_installs
	finish
}

# --- fuzzers ----------------------------------------------------------------------------------

fuzzers() {
	meson introspect build/fuzz --targets |
		jq -r '.[] | select(.type == "executable" and (.name | startswith("fuzz"))) | .filename[0]'
}

# The corpus lies in tests/fuzz/corpus/NAME, NAME being that of the program without "fuzz".
suite_fuzz() {
	local program name corpus fresh
	fresh=$(mktemp -d)
	trap 'rm -rf "$fresh"' EXIT
	while read -r program; do
		name=$(basename "$program" | sed 's/^fuzz[-_]//; s/[-_]fuzz$//')
		corpus=tests/fuzz/corpus/$name
		if [ ! -d "$corpus" ]; then
			fail "$name has no corpus in $corpus"
			continue
		fi
		check "$name: replay of its corpus" "$program" -runs=0 -timeout=10 "$corpus"
		mkdir "$fresh/$name"
		check "$name: three seconds of fuzzing; the input is in $logs/$name-*" "$program" \
			-max_total_time=3 -timeout=10 -rss_limit_mb=2048 -print_final_stats=0 \
			-artifact_prefix="$logs/$name-" "$fresh/$name" "$corpus"
	done < <(fuzzers)
	[ $((good + bad)) -gt 0 ] || skip 'fuzzers: not built yet'
	finish
}

# --- demo -------------------------------------------------------------------------------------

# What a demo could leave: shared memory, sockets and files named after the project, outside build/.
debris() {
	find /dev/shm /tmp /run "${XDG_RUNTIME_DIR:-/run}" "$demo_tmp" -mindepth 1 -maxdepth 2 \
		\( -name '*dsm*' -o -path "$demo_tmp/*" \) 2>/dev/null | sort -u
	find build -maxdepth 1 -name 'demo-*' | sort
}

# The processes of this demo and of nobody else: they carry its mark in their environment.
survivors() {
	grep -lsF "DSM_DEMO_MARK=$mark" /proc/[0-9]*/environ
}

# One process group, as a terminal makes it, so that Ctrl-C reaches all of the demo.
interrupt_demo() {
	local status=0 start
	run_demo setsid script/demo --seconds 30 &
	demo_group=$!
	sleep 5
	start=$SECONDS
	kill -INT -- "-$demo_group" 2>/dev/null || fail 'the demo had ended before Ctrl-C'
	wait "$demo_group" || status=$?
	demo_group=''
	check "the demo stopped by Ctrl-C ends with status $status" [ "$status" -eq 0 ]
	check 'Ctrl-C ends the demo within 5 seconds' [ $((SECONDS - start)) -le 5 ]
	check "Ctrl-C leaves processes behind: $(survivors)" [ -z "$(survivors)" ]
}

run_demo() {
	export DSM_DEMO_MARK=$mark TMPDIR=$demo_tmp
	exec env --default-signal=INT,QUIT "$@"
}

end_demo() {
	[ -z "$demo_group" ] || kill -TERM -- "-$demo_group"
	rm -rf "$demo_tmp"
}

# The demo to its end, with DSM_DEMO_BOARD=$1: it says which board it has, and why not the firmware's image.
demo_board() {
	local status=0 said=$demo_tmp.said want='An ADC board.*the RP2350 firmware image in an emulated machine'
	if [ "$1" = host ]; then
		want='An ADC board.*dsm-adc, a program (as DSM_DEMO_BOARD=host asks)'
	elif ! command -v arm-none-eabi-gcc >/dev/null || ! pkg-config --exists unicorn; then
		want='An ADC board.*dsm-adc, a program (no cross compiler or emulator here'
	fi
	(
		export DSM_DEMO_BOARD=$1
		shift
		run_demo script/demo "$@"
	) >"$said" || status=$?
	cat "$said"
	check "the demo with board '$1' ends with status $status" [ "$status" -eq 0 ]
	check "the demo says: $want" grep -q "$want" "$said"
	check 'the knobs are shown three times' [ "$(grep -c '^panel\.left' "$said")" -eq 3 ]
	rm -f "$said"
}

suite_demo() {
	local before left
	if [ ! -x script/demo ]; then
		skip 'script/demo: not written yet'
		finish
	fi
	mark=$$-$RANDOM demo_tmp=$(mktemp -d) demo_group=''
	trap end_demo EXIT
	before=$(debris)
	demo_board '' --seconds 8
	demo_board host --seconds 1
	check "the demo leaves processes behind: $(survivors)" [ -z "$(survivors)" ]
	interrupt_demo
	left=$(comm -13 <(echo "$before") <(debris) | paste -sd ' ')
	check "the demo leaves files behind: $left" [ -z "$left" ]
	finish
}
