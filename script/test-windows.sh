# shellcheck shell=bash disable=SC2154 # variables of script/test
# The suite of the client for Windows. Sourced by script/test, never run.

# Where Debian has it; elsewhere it is in PATH.
wine_program() {
	type -P wine64 || { [ ! -x /usr/lib/wine/wine64 ] || echo /usr/lib/wine/wine64; }
}

windows_headers() {
	local header
	for header in dsm version; do
		check "dsm/$header.h under mingw-w64 in C" x86_64-w64-mingw32-gcc-posix -std=c17 -Wall -Wextra \
			-Werror -fsyntax-only -I include -x c - <<<"#include <dsm/$header.h>"
		check "dsm/$header.h under mingw-w64 in C++" x86_64-w64-mingw32-g++-posix -std=c++17 -Wall -Wextra \
			-Werror -fsyntax-only -I include -x c++ - <<<"#include <dsm/$header.h>"
	done
}

suite_windows() {
	local lacks place=build/windows/run foreign
	lacks=$(script/windows --lacks | head -n 1)
	[ -n "$(wine_program)" ] || lacks='no wine64 (script/bootstrap windows)'
	if [ -z "$lacks" ] && ! script/windows --fetch; then
		lacks='the source packages of libsodium and jansson cannot be had (above)'
	fi
	if [ -n "$lacks" ]; then
		skip "windows: $lacks"
		finish
	fi
	check 'client library and dsm.exe build with mingw-w64' script/windows
	[ "$bad" -eq 0 ] || finish
	windows_headers
	foreign=$(x86_64-w64-mingw32-nm build/windows/dsm/lib/libdsm.dll.a | sed -n 's/.* T //p' | grep -v '^dsm_')
	check "libdsm-0.dll exports $(paste -sd ' ' <<<"$foreign")" [ -z "$foreign" ]
	rm -rf "$place"
	mkdir -p "$place"
	cp build/windows/dsm/{cli/dsm.exe,lib/libdsm-0.dll,tests/windows/udp-cases.exe} "$place/"
	LD_LIBRARY_PATH=$PWD/build/gcc/lib DSMD=$PWD/build/gcc/engine/dsmd KEYGEN=$PWD/build/gcc/cli/dsm \
		CASES=$PWD/$place/udp-cases.exe DSM=$PWD/$place/dsm.exe WINE=$(wine_program) tests/windows/windows.sh |
		tee "$place/log"
	check 'the client under wine64' [ "${PIPESTATUS[0]}" -eq 0 ]
	good=$((good + $(grep -c '^ok ' "$place/log"))) bad=$((bad + $(grep -c '^not ok ' "$place/log")))
	finish
}
