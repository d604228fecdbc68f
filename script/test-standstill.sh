# shellcheck shell=bash disable=SC2154 # variables of script/test
# Whether this machine stood still while a suite ran: a virtual machine does, for seconds at times, and who
# reads of a failure wants to know. Sourced by script/test, never run.

STANDSTILL_MS=500 # less than that a busy machine does all the time

# Looks at the clock every 50 ms; what was missing is a line of $logs/standstill.
watch_standstill() {
	local never last now
	exec {never}<> <(:)
	: >"$logs/standstill"
	last=$(now_ms)
	while kill -0 "$1" 2>/dev/null; do
		read -rt 0.05 -u "$never"
		now=${EPOCHREALTIME/[^0-9]/}
		now=$((now / 1000))
		((now - last < STANDSTILL_MS + 50)) || printf '%d\n' $((now - last - 50)) >>"$logs/standstill"
		last=$now
	done
}

# Says so, if it did since the last call.
report_standstill() {
	awk -v yellow="$yellow" -v plain="$plain" '{ n++; sum += $1; if ($1 > most) most = $1 }
		END { if (n) printf "  %sthis machine stood still meanwhile: %d times, %.1f s in all, %.1f s at a stretch%s\n",
			yellow, n, sum / 1000, most / 1000, plain }' "$logs/standstill"
	: >"$logs/standstill"
}
