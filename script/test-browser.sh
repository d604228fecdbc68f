# shellcheck shell=bash disable=SC2154 # variables of script/test
# The suite of the peeker's page in a browser. Sourced by script/test, never run.

# Prints why it cannot run, if it cannot.
browser_lacks() {
	local major
	major=$(node --version 2>/dev/null | sed -E 's/^v([0-9]+).*/\1/')
	if ! command -v chromium >/dev/null; then
		echo 'chromium is not installed (script/bootstrap browser)'
	elif [ "${major:-0}" -lt 18 ]; then
		echo "playwright-core needs Node.js 18, and here is ${major:-none}"
	elif [ ! -e build/npm/node_modules/playwright-core ]; then
		echo 'playwright-core and axe-core are not there (script/bootstrap browser)'
	elif ! build/asan/peeker/peeker --web 127.0.0.1:0 --wait --timeout 0.1 shm://none-here >/dev/null 2>&1; then
		echo 'this peeker has no web viewer (libmicrohttpd)'
	fi
}

suite_browser() {
	local lacks
	lacks=$(browser_lacks)
	if [ -n "$lacks" ]; then
		skip "browser: $lacks"
		finish
	fi
	# sanitized, and so a little slower: what a browser does is as good as any fuzzer
	export ASAN_OPTIONS=detect_leaks=1:allow_addr2line=1 UBSAN_OPTIONS=print_stacktrace=1
	BUILD=build/asan NPM=build/npm SHOTS=build/screenshots DSM_TEST_PATIENCE=${DSM_TEST_PATIENCE:-2} \
		exec node tests/peeker/browser/page.mjs
}
