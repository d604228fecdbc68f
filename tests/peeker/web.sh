#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The web viewer's server: what it serves, what it refuses, and that no client harms another.
#
# Usage: PEEKER=… GOLDEN_EXE=… WEB_CLIENT=… DSM=… DSMD=… tests/peeker/web.sh [GROUP...]

set -uo pipefail
. "$(dirname "$0")/lib.sh"
: "${WEB_CLIENT:?}"

# serve ARGUMENT...: a web viewer at a port of its own; $base is its address, $peeker_pid it.
serve() {
	"${viewer:-$PEEKER}" --web 127.0.0.1:0 "$@" >"$work/web.out" 2>"$work/web.err" </dev/null &
	peeker_pid=$!
	pids+=("$peeker_pid")
	within 20 grep -qs 'http://' "$work/web.out" || cat "$work/web.err"
	base=$(grep -oE 'http://[0-9.:]+' "$work/web.out" | head -n 1)
	port=${base##*:}
}

# get PATH [CURL OPTION...]: $out the body, $head the headers, $code the status.
get() {
	local path=$1
	shift
	code=$(curl -s --max-time 20 -D "$work/head" -o "$work/body" -w '%{http_code}' "$@" "$base$path")
	status=$code head=$(tr -d '\r' <"$work/head") out=$(tr -d '\0' <"$work/body" 2>/dev/null)
}

# of JQ-PROGRAM: what it says of the body.
of() { jq -r "$1" "$work/body" 2>&1; }
metric() { get /metrics; out=$(grep "^$1 " <<<"$out"); [[ $out =~ ^$1\ $2$ ]]; }
field_is() { get "$1"; [[ $(of "$2") == "$3" ]]; }

test_api() {
	serve "$name"
	"$DSM" set drilling.rop 12.25 drilling.state 'ahead "now" <b>' drilling.running true \
		drilling.ticket 18446744073709551615 drilling.frame 00ff
	check 'health' within 8 field_is /api/v1/health .ok true
	check 'health: status' is "$code" 200
	check 'a value' within 8 field_is /api/v1/cells/drilling.rop .v 12.25
	check 'its unit, state, range' is "$(of '[.u, .state, .min, .max, .digits | tostring] | join(" ")')" \
		'm/h good 0 200 1'
	check 'its history' is "$(of '.history | length')" 120
	get /api/v1/cells
	check 'all cells' is "$(of length)" 6
	check 'text, escaped' is "$(of '.[] | select(.cell == "drilling.state").v')" 'ahead "now" <b>'
	check 'which no HTML can misread' hasnt "$out" '<'
	check 'bytes' is "$(of '.[] | select(.cell == "drilling.frame").v')" 00ff
	check 'a large integer to the digit' has "$out" 18446744073709551615
	check 'never written is null' is "$(of '.[] | select(.cell == "panel.brake") | [.v, .state] | tostring')" \
		'[null,"never written"]'
	get '/api/v1/cells?match=drilling.r*&match=panel.*'
	check 'globs' is "$(of 'map(.cell) | join(" ")')" 'drilling.rop drilling.running panel.brake'
	get /api/v1/cells/nope; check 'no such cell: 404' is "$code" 404
	check 'and why' has "$out" 'nope'
	get /api/v2; check 'no such page: 404' is "$code" 404
	get /api/v1/nope; check 'no such address: 404' is "$code" 404
	get /metrics
	check 'metrics' has "$out" 'dsm_cell_value{cell="drilling.rop",unit="m/h"} 12.25'
	check 'no value that is not valid' hasnt "$out" 'dsm_cell_value{cell="panel.brake"'
	check 'metrics are well formed' is "$(grep -vcE '^(# (HELP|TYPE) .*|[a-z_0-9]+(\{([a-z]+="([^"\\]|\\.)*",?)*\})? -?[0-9.e+-]+)$' <<<"$out")" 0
	get /; check 'the page' is "$code" 200
	get / -H 'Accept-Encoding: gzip'; check 'packed' has "$head" 'Content-Encoding: gzip'
	local tag
	tag=$(sed -n 's/^ETag: //p' <<<"$head")
	get / -H "If-None-Match: $tag"; check 'not sent twice' is "$code" 304
	get /api/v1/cells -I; check 'HEAD' is "$code" 200
	check 'the engine has one client more, whatever is asked' is \
		"$("$DSM" ps --format jsonl | grep -c '"peeker"')" 1
}

test_refused() {
	local method
	serve "$name" --web-host rig.example
	for method in POST PUT DELETE PATCH OPTIONS; do
		get /api/v1/cells/drilling.rop -X "$method"
		check "$method: 405" is "$code" 405
	done
	check 'what is allowed' has "$head" 'Allow: GET, HEAD'
	get / -X GET -d x=1; check 'a GET with a body: 400' is "$code" 400
	get /api/v1/cells -H 'Host: evil.example'; check 'a foreign host: 403' is "$code" 403
	check 'and what to do' has "$out" '--web-host'
	get /api/v1/cells -H 'Host: 127.0.0.1.evil.example'; check 'one that begins like an address: 403' is "$code" 403
	get /api/v1/cells -H 'Host:' ; check 'no host: 400' is "$code" 400
	get /api/v1/cells -0 -H 'Host:'; check 'no host, HTTP/1.0: 403' is "$code" 403
	for host in localhost:1 "127.0.0.1:$port" '[::1]:9' rig.example RIG.example:443 192.168.1.1; do
		get /api/v1/cells -H "Host: $host"; check "host $host: 200" is "$code" 200
	done
	get /api/v1/cells -H 'Origin: http://evil.example'; check 'a foreign origin: 403' is "$code" 403
	get /api/v1/cells -H 'Origin: null'; check 'no origin of its own: 403' is "$code" 403
	get /api/v1/cells -H "Origin: $base"; check 'its own origin: 200' is "$code" 200
	check 'no other site may read' hasnt "$head" 'Access-Control'
	check 'a policy' has "$head" "Content-Security-Policy: default-src 'none'"
	check 'without inline script' hasnt "$head" 'unsafe'
	check 'nosniff' has "$head" 'X-Content-Type-Options: nosniff'
	get "/api/v1/cells?match=$(printf '%%2a%.0s' {1..9})"; check 'many stars: 400' is "$code" 400
	get "/api/v1/cells?$(printf 'match=a&%.0s' {1..20})"; check 'many globs: 400' is "$code" 400
	for rate in 0 -1 nan 1e9 x ''; do
		get "/api/v1/stream?rate=$rate"; check "rate=$rate: 400" is "$code" 400
	done
	get "/$(head -c 60000 /dev/zero | tr '\0' a)"; check "a long address: refused ($code)" matches "$code" '^(4..|000)$'
	get / -H "X-Long: $(head -c 60000 /dev/zero | tr '\0' a)"
	check "a long header: refused ($code)" matches "$code" '^(4..|000)$'
	check 'and it still serves' within 20 field_is /api/v1/health .ok true
}

test_token() {
	local token=correct-horse-battery-staple
	echo short >"$work/short"
	run --web 127.0.0.1:0 --web-token "$work/short" "$name"; expect 'a short token' 1 '' 'urandom'
	run --web 127.0.0.1:0 --web-token "$work/none" "$name"; expect 'no token file' 1 '' "$work/none"
	echo "$token" >"$work/token"
	serve --web-token "$work/token" "$name"
	check 'the address printed has it' grep -q "token=$token" "$work/web.out"
	get /api/v1/cells; check 'without a token: 401' is "$code" 401
	get /metrics; check 'metrics too' is "$code" 401
	get /api/v1/stream; check 'streams too' is "$code" 401
	get /; check 'the page without values is free' is "$code" 200
	get /api/v1/cells -H "Authorization: Bearer $token"; check 'with it: 200' is "$code" 200
	get /api/v1/cells -H "Authorization: Bearer ${token}x"; check 'with another: 401' is "$code" 401
	get '/?token=wrong'; check 'a wrong one: 401' is "$code" 401
	get "/?token=$token" -c "$work/jar"; check 'in the address: 303' is "$code" 303
	check 'it goes into a cookie' matches "$head" 'HttpOnly; SameSite=Strict'
	get /api/v1/cells -b "$work/jar"; check 'which is enough' is "$code" 200
}

events() { grep -c "^event: $1" "$work/stream"; }
has_events() { (($(events "$1") >= $2)); }
# How many of the messages bring cells.
with_cells() { sed -n 's/^data: {"round"/{"round"/p' "$work/stream" | jq -s 'map(select(.cells | length > 0)) | length'; }
both_have() { [[ $(grep -lF "$1" "$work/fast" "$work/stream" | wc -l) == 2 ]]; }
streamed() { grep -q "$1" "$work/stream"; }

test_stream() {
	serve "$name"
	curl -sN "$base/api/v1/stream" >"$work/stream" &
	local first=$!
	pids+=("$first")
	check 'the table first' within 8 streamed '^event: table'
	check 'then all values' within 8 streamed '^event: news'
	"$DSM" set drilling.rop 77.5
	check 'then what changes' within 8 streamed ',77.5,7,'
	check 'and no more than that' is "$(grep '77.5,7' "$work/stream" | head -n 1 | sed 's/^data: //' | jq '.cells | length')" 1
	local before
	before=$(events news)
	check 'a sign of life each second' within 8 has_events news "$((before + 2))"
	stop_engine "$engine_pid" -KILL
	check 'the engine is lost' within 10 streamed '"state":"LOST"'
	check 'and its values are stale' within 8 streamed '"stale engine"'
	get /api/v1/health; check 'health: 503' is "$code" 503
	get /metrics; check 'no stale value in the metrics' hasnt "$out" 'dsm_cell_value{'
	start_engine "$name" "$work/table.yaml"
	check 'it comes back' within 15 field_is /api/v1/health .ok true
	kill "$first"; wait "$first" 2>/dev/null
	(for i in {1..40}; do "$DSM" set drilling.rop "$i"; sleep 0.1; done) &
	local writer=$!
	curl -sN --max-time 4 "$base/api/v1/stream?rate=0.2" >"$work/stream"
	kill "$writer"; wait "$writer" 2>/dev/null
	check "a rate below one: cells once in 5 s ($(with_cells))" is "$(with_cells)" 1
	check "and a beat each second ($(events news) messages)" test "$(events news)" -ge 2
	curl -sN --max-time 90 "$base/api/v1/stream" >"$work/fast" &
	local fast=$! slow began=${EPOCHREALTIME/./} most
	curl -sN --max-time 90 "$base/api/v1/stream?rate=1&match=drilling.rop" >"$work/stream" &
	slow=$!
	pids+=("$fast" "$slow")
	for i in {1..20}; do "$DSM" set drilling.rop "$i"; sleep 0.1; done
	"$DSM" set drilling.rop 123.25
	check 'the newest value comes to both' within 20 both_have ',123.25,7,'
	kill "$fast" "$slow"; wait "$fast" "$slow" 2>/dev/null
	most=$(((${EPOCHREALTIME/./} - began) / 1000000 + 2))
	check "at its own rate ($(events news), $most at most)" test "$(events news)" -le "$most"
	check "another one at another ($(grep -c '^event: news' "$work/fast"))" \
		test "$(grep -c '^event: news' "$work/fast")" -gt "$(events news)"
	check 'the table once' is "$(events table).$(grep -c '^event: table' "$work/fast")" 1.1
	check 'only what it asked for' hasnt "$(cat "$work/stream")" 'drilling.state'
}

# The largest age of a look, in ms, that a stream has told.
oldest_look() { grep -o '"look_ms":[0-9]*' "$1" | cut -d : -f 2 | sort -n | tail -n 1; }

# A sampler that stands still: each beat says since when, also to who comes later.
test_hung() {
	local viewer=$GOLDEN_EXE
	serve test://hung
	curl -sN --max-time 6 "$base/api/v1/stream" >"$work/stream" &
	local first=$!
	sleep 3
	curl -sN --max-time 2 "$base/api/v1/stream" >"$work/late"
	wait "$first"
	out=$(grep -o '"look_ms":[0-9]*' "$work/stream")
	check "a look that gets old is told ($(oldest_look "$work/stream") ms)" test "$(oldest_look "$work/stream")" -ge 3500
	check "to the last to come as well ($(oldest_look "$work/late") ms)" test "$(oldest_look "$work/late")" -ge 3500
	get /api/v1/health; check 'and health is 503' is "$code" 503
}

# cpu_ms PID: processor time it has used.
cpu_ms() { awk '{ print ($14 + $15) * 10 }' "/proc/$1/stat"; }

test_crowd() {
	local before many="shm://$name-many"
	printf '%s\n' "region: $name-many" 'groups:' '  - name: "bulk{}"' '    owner: engine' '    count: 10' \
		'    cells:' '      - {name: "c{}", type: f64, count: 100}' >"$work/many.yaml"
	start_engine "$name-many" "$work/many.yaml"
	serve "$many"
	(for i in {1..600}; do "$DSM" --uri "$many" set bulk0.c0 "$i"; sleep 0.1; done) &
	local writer=$!
	out=$("$WEB_CLIENT" "$port" crowd 200 4) status=$?
	check "200 viewers, 8 that never read: all the others are served ($out)" is "$status" 0
	kill "$writer"; wait "$writer" 2>/dev/null
	check 'streams are closed with their clients' within 40 metric dsm_web_viewers 0
	check 'one attach for all' is "$("$DSM" --uri "$many" ps --format jsonl | grep -c '"peeker"')" 1
	(timeout 5 "$WEB_CLIENT" "$port" crowd 20 60 >"$work/quiet") &
	local quiet=$!
	sleep 2
	before=$(cpu_ms "$peeker_pid")
	sleep 2
	before=$(($(cpu_ms "$peeker_pid") - before))
	check "28 quiet streams burn no processor ($before ms in 2 s)" test "$before" -le 400
	wait "$quiet"
}

# A stream whose other end takes nothing: its values fill what the kernel keeps, and it is cut off.
test_stuck() {
	local large="shm://$name-large"
	printf '%s\n' "region: $name-large" 'groups:' '  - name: "bulk{}"' '    owner: engine' '    count: 60' \
		'    cells:' '      - {name: "c{}", type: f64, count: 100}' >"$work/large.yaml"
	start_engine "$name-large" "$work/large.yaml"
	serve "$large"
	exec {stuck}<>"/dev/tcp/127.0.0.1/$port"
	printf 'GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n' >&"$stuck"
	check 'a stream that takes nothing' within 8 metric dsm_web_viewers 1
	# and an answer that is no stream
	exec {answer}<>"/dev/tcp/127.0.0.1/$port"
	printf 'GET /api/v1/cells HTTP/1.1\r\nHost: localhost\r\n\r\n' >&"$answer"
	check 'and an answer that nobody takes' within 8 metric dsm_web_connections 3
	sleep 5
	check 'are there for a while' metric dsm_web_connections 3
	check 'others are served' within 20 field_is /api/v1/health .ok true
	check 'the stream is cut off' within 40 metric dsm_web_viewers 0
	check 'and the answer' within 80 metric dsm_web_connections 1
	exec {stuck}>&- {answer}>&-
}

test_limits() {
	serve "$name"
	out=$("$WEB_CLIENT" "$port" limits 400 512) status=$?
	check "the limits ($out)" is "$status" 0
	check 'afterwards the streams are closed' within 40 metric dsm_web_viewers 0
	check 'and there is room for others' within 20 field_is /api/v1/health .ok true
}

test_slow() {
	local began
	serve "$name"
	"$WEB_CLIENT" "$port" loris 450 13 >"$work/loris" &
	local slow_pid=$!
	sleep 3
	began=${EPOCHREALTIME/./}
	get /api/v1/health
	check "450 slow requests: others are served ($(((${EPOCHREALTIME/./} - began) / 1000)) ms)" is "$code" 200
	wait "$slow_pid"
	check "and they are shut ($(<"$work/loris"))" is $? 0
	check 'which counts them' metric dsm_web_shut_total '[1-9][0-9]*'
}

test_fuzz() {
	local n=1500
	[ -z "${DSM_TEST_QUICK:-}" ] || n=600
	serve "$name"
	out=$("$WEB_CLIENT" "$port" fuzz "$n" "${SEED:-1}") status=$?
	check "requests that are none ($out)" is "$status" 0
	check 'it lives' kill -0 "$peeker_pid"
	check 'and serves' within 10 field_is /api/v1/health .ok true
	kill "$peeker_pid"; wait "$peeker_pid"; status=$?
	check "and ends as asked (status $status)" is "$status" 143
	check 'without a word' is "$(<"$work/web.err")" ''
}

# What a phone reads: the code as it is printed, two rows of a line, as a picture.
check_qr() {
	local url
	if ! command -v zbarimg >/dev/null; then
		skipped=$((skipped + 1))
		return
	fi
	python3 - "$work/out" >"$work/qr.pgm" <<-'PY'
		import sys
		halves = {" ": (0, 0), "\u2588": (1, 1), "\u2580": (1, 0), "\u2584": (0, 1)}
		lines = [l.rstrip("\n") for l in open(sys.argv[1], encoding="utf-8")]
		width = max((len(l) for l in lines if "\u2588" in l), default=0)
		lines = [l for l in lines if len(l) == width and set(l) <= set(halves)]
		rows = [[halves[c][half] for c in l] for l in lines for half in (0, 1)]
		print("P2", width * 8, len(rows) * 8, 255)
		for row in rows:
		    for _ in range(8):
		        print(*[255 * light for light in row for _ in range(8)])
	PY
	url=$(zbarimg -q --raw "$work/qr.pgm" 2>/dev/null)
	check "the QR code says an address that is printed ($url)" eval '[[ $url == http://* ]] && grep -qF "$url" "$work/out"'
}

test_start() {
	run --web 127.0.0.1:0 --timeout 0.5 "$name"; expect 'for a time' 0 'http://127.0.0.1:'
	run --web --timeout 0.5 "shm://$name-none"; expect 'no engine' 1 '' "$name-none"
	run --web=nonsense "$name"; expect 'a place that is none' 1 '' 'ADDR:PORT'
	run --web 127.0.0.1:99999 "$name"; expect 'a port that is none' 1 '' 'ADDR:PORT'
	run --web 203.0.113.7:0 "$name"; expect 'an address of somebody else' 1 '' 'cannot listen'
	run --web --batch "$name"; expect 'with --batch' 2 '' '--batch'
	run --web-host x "$name"; expect '--web-host alone' 2 '' 'belong to --web'
	serve "$name"
	run --web "127.0.0.1:$port" "$name"; expect 'a port in use' 1 '' 'another port'
	run --web --timeout 0.5 "$name"
	if has "$err" 'another port'; then
		skipped=$((skipped + 1)) # somebody has the usual port
	else
		expect 'without an address' 0 'http://127.0.0.1:7462/'
		check 'it is loopback' has "$out" 'this machine only'
	fi
	mkdir "$work/bin"
	printf '#!/bin/sh\necho "$@" >%q\necho $$ >%q\nexec sleep 60\n' "$work/announced" "$work/announcer" \
		>"$work/bin/avahi-publish"
	chmod +x "$work/bin/avahi-publish"
	PATH="$work/bin:$PATH" run --web '*:0' --timeout 1 "$name"; expect 'every address' 0 'can read every cell'
	check 'a QR code' has "$out" '█ ▄▄▄▄▄ █'
	check_qr
	check 'announced by mDNS' matches "$(cat "$work/announced")" "^-f -s dsm peeker $name _http._tcp [0-9]+ path=/$"
	check 'which ends with it' within 5 eval '! kill -0 "$(<"$work/announcer")" 2>/dev/null'
	rm "$work/announced"
	PATH="$work/bin:$PATH" run --web '127.0.0.1:0' --timeout 1 "$name"
	check 'loopback is not announced' test ! -e "$work/announced"
	check 'and no QR code, which a phone could not use' hasnt "$out" '█ ▄▄▄▄▄ █'
	PATH="$work/bin:$PATH" run --web '*:0' --timeout 1
	check 'by its name also where DSM_URI names it' has "$(cat "$work/announced")" "dsm peeker $name _http"
	run --web '[::1]:0' --timeout 0.5 "$name"
	[ "$status" -ne 1 ] || skipped=$((skipped + 1)) # no IPv6 here
	[ "$status" -eq 1 ] || expect 'IPv6' 0 'http://[::1]:'
}

before_group=begin
begin() {
	write_table "$work/table.yaml"
	start_engine "$name" "$work/table.yaml" || check 'dsmd starts' false
}

groups=("$@")
((${#groups[@]})) || groups=(stuck slow crowd limits hung api refused token stream fuzz start)
run_groups "${groups[@]}"
