# shellcheck shell=bash
# Shell functions shared by the commands in script/. Sourced, never run.
# Owns: how the commands speak (plain text, colour only for a terminal) and how they read the clock.

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
	bold=$'\e[1m' red=$'\e[31m' green=$'\e[32m' yellow=$'\e[33m' plain=$'\e[0m'
else
	bold='' red='' green='' yellow='' plain=''
fi
export -n bold red green yellow plain

say() {
	printf '%s\n' "$*"
}

# The name of the command goes in front, so that the line is understood in a long log.
complain() {
	printf '%s%s:%s %s\n' "$red" "${0##*/}" "$plain" "$*" >&2
}

refuse() {
	complain "$*"
	exit 1
}

wrong_usage() {
	complain "$*"
	printf 'Try: script/%s --help\n' "${0##*/}" >&2
	exit 2
}

# The comment block at the head of a command, between "# Usage:" and the first line that is no comment,
# is its help text: one place to keep right.
print_help() {
	sed -n '/^# Usage:/,/^[^#]/ { /^#/ s/^# \{0,1\}//p }' "$0"
}

now_ms() {
	local us=${EPOCHREALTIME/[.,]/}
	printf '%s' "$((us / 1000))"
}

# 12345 ms -> "12.3 s"
seconds() {
	printf '%d.%d s' "$(($1 / 1000))" "$(($1 % 1000 / 100))"
}
