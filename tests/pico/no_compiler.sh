#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Where the cross compiler is absent, `ninja firmware` says so and what to do, and is no failure.
#
# Usage: tests/pico/no_compiler.sh SOURCE_ROOT
# Prints "N passed, N failed" last.
set -u
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0 failed=0
check() {
	what=$1
	shift
	if "$@"; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "not ok $what"
		tail -n 5 "$work/out"
	fi
}
# all the programs that there are, but for the cross compiler
mkdir "$work/bin"
IFS=:
for folder in $PATH; do
	[ ! -d "$folder" ] || find -L "$folder/" -maxdepth 1 -type f -perm -u+x ! -name 'arm-none-eabi-*' \
		-exec ln -s -t "$work/bin" {} + 2>/dev/null
done
unset IFS
export PATH="$work/bin"
meson setup "$work/build" "$1" -Dtests=disabled -Dengine=disabled -Dcli=disabled -Dpeeker=disabled \
	-Dexamples=disabled -Dbench=disabled -Drdma=disabled >"$work/out" 2>&1
check 'meson can do without it' test $? = 0
ninja -C "$work/build" firmware >"$work/out" 2>&1
check 'ninja firmware is no failure' test $? = 0
check 'it says what is absent' grep -q 'skipped: arm-none-eabi-gcc is not installed' "$work/out"
check 'and what to do' grep -q 'script/bootstrap firmware' "$work/out"
check 'and no image is there' test -z "$(find "$work/build" -name '*.uf2')"
printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
