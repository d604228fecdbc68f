#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Usage: alone.sh HEADER INCLUDE_DIR STANDARD COMPILER…
# The public header compiles as the only one of a file, and twice; the last line is
# "N passed, N failed". Without a compiler: "skipped: …", status 77.
set -u
header=$1 include=$2 standard=$3
shift 3
if [ -z "${1:-}" ]; then
	echo "skipped: no compiler for $standard here"
	exit 77
fi
# g++ takes a struct and a function of one name (as stat() has) for shadowing
case $standard in
c++*) language=c++ shadow=-Wno-shadow ;;
*) language=c shadow=-Wshadow ;;
esac
case $header in
dsm.h) use='struct dsm_options options = DSM_OPTIONS_INIT;' ;;
engine.h) use='struct dsm_engine_options options = DSM_ENGINE_OPTIONS_INIT;' ;;
*) use='extern int something;' ;; # a file with nothing in it is no C
esac
passed=0 failed=0

# Compiles the text on standard input; $1 says what is tried, the rest are further options.
try() {
	what=$1
	shift
	if "$@" -x $language "-std=$standard" -pedantic-errors -Wall -Wextra -Wconversion $shadow -Wundef \
		-Werror -fsyntax-only "-I$include" -; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "FAILED: $header: $what"
	fi
}

try alone "$@" <<EOT
#include <dsm/$header>
$use
EOT
try twice "$@" <<EOT
#include <dsm/$header>
#include <dsm/$header>
$use
EOT
# control: a compiler that accepts anything would show nothing
if "$@" -x $language "-std=$standard" -fsyntax-only "-I$include" - 2>/dev/null <<EOT
#include <dsm/$header>
int broken = dsm_no_such_name;
EOT
then
	failed=$((failed + 1))
	echo "FAILED: $header: the compiler accepts anything"
else
	passed=$((passed + 1))
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
