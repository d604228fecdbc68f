#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Writes the files of the page as C, plain and packed, for assets.h; prints what they weigh.
#
# Usage: embed.sh OUT.c [PATH=FILE]...

set -eu
out=$1
shift
bytes() { od -An -v -tx1 | sed 's/ \([0-9a-f][0-9a-f]\)/0x\1,/g'; }
type_of() {
	case $1 in
	*.html | /) echo 'text/html; charset=utf-8' ;;
	*.js) echo 'text/javascript; charset=utf-8' ;;
	*.css) echo 'text/css; charset=utf-8' ;;
	*.svg) echo 'image/svg+xml' ;;
	*.webmanifest) echo 'application/manifest+json' ;;
	*) echo 'text/plain; charset=utf-8' ;;
	esac
}

{
	echo '/* Made by embed.sh; not to be edited. */'
	echo '#include "assets.h"'
	n=0
	for pair in "$@"; do
		file=${pair#*=}
		printf 'static const unsigned char plain%d[] = {\n' $n
		bytes <"$file"
		printf '0};\nstatic const unsigned char packed%d[] = {\n' $n
		gzip -9nc "$file" | bytes
		printf '};\n'
		n=$((n + 1))
	done
	echo 'const struct asset assets[] = {'
	n=0
	for pair in "$@"; do
		tag=$(cksum <"${pair#*=}" | tr ' ' -)
		printf '{"%s", "%s", "\\"%s\\"", plain%d, packed%d, sizeof plain%d - 1, sizeof packed%d},\n' \
			"${pair%%=*}" "$(type_of "${pair%%=*}")" "$tag" $n $n $n $n
		n=$((n + 1))
	done
	printf '};\nconst size_t n_assets = %d;\n' $n
} >"$out"
