# For each test in the JSON log of meson test: one line of counts (passed, failed, skipped), and lines
# "failed: ..." or "skipped: ...". Used by script/test-suites.sh.
# A program that counts for itself ("N passed, N failed", or Criterion's Synthesis) is believed as to
# numbers, not as to the verdict, which is its exit status. Criterion's leaves out the tests that were
# skipped: each of those says so on a line of its own (tests/common/skip.h).
def clean: gsub("\u001b\\[[0-9;]*m"; "") | sub("\\s+$"; "");
def lines: ((.stdout // "") + "\n" + (.stderr // "")) | split("\n") | map(clean | select(. != ""));
def number: (. // "0") | tonumber;
def own: map(capture("^(?<p>[0-9]+) passed, (?<f>[0-9]+) failed(, (?<s>[0-9]+) skipped)?$")) | last
	| select(.) | [.p, .f, .s] | map(number);
def criterion: map(capture("Synthesis: Tested: [0-9]+ \\| Passing: (?<p>[0-9]+) \\| Failing: (?<f>[0-9]+) \\| Crashing: (?<c>[0-9]+)")) | last
	| select(.) | [(.p | number), (.f | number) + (.c | number)];
def skips: [.[] | select(startswith("skipped: "))];
def reasons: [.[] | select(test("^(not ok|FAILED|failed:)|^\\[FAIL\\]|^\\[----\\].*(Assertion|Unexpected)|Sanitizer:|runtime error:"))] | .[:8];
def message($kind): "\(.name | sub("^[^/]* / "; ""))" as $name | "\($kind): \($name)";
lines as $lines
| ([$lines | own] + [$lines | criterion | . + [$lines | skips | length]] | first) as $said
| if .result == "SKIP" then
	"0 0 1", message("skipped") + ": " + (($lines | last) // "exit status 77, no reason given" | sub("^(skipped|SKIP): *"; ""))
  elif .result == "OK" or .result == "EXPECTEDFAIL" then
	($said // [1, 0, 0]) as $n
	| if ($n | add) == 0 then "0 1 0", message("failed") + ": ran no test"
	  else ($n | map(tostring) | join(" ")),
		(if $n[1] > 0 then message("failed") + ": \($n[1]) of its tests, though it exits with 0" else empty end),
		(if $n[2] > 0 then $lines[] | select(startswith("skipped: ")) else empty end)
	  end
  else
	($said // [0, 0, 0]) as $n
	| "\($n[0]) \([$n[1], 1] | max) \($n[2])", message("failed") + ": \(.result), exit status \(.returncode)",
		message("failed") + ": " + ($lines | reasons[])
  end
