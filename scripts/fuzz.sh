#!/usr/bin/env bash
# Fuzzes the parsers with libFuzzer (preset fuzz: Clang, ASan, UBSan) and says what that covered.
# fuzz.sh [TARGET...] [--seconds N | --runs N]
#   Default: every target of tests/fuzz/parsers.txt, 60 seconds each. What is found worth keeping
#   stays in build/fuzz/corpus; an input that failed is left in build/fuzz and named.
# Prints one line for each target (executions) and each of its parser's files (lines covered).
set -euo pipefail
cd "$(dirname "$0")/.."

targets=()
limit=-max_total_time=60
while [ $# -gt 0 ]; do
    case $1 in
        --seconds) limit=-max_total_time=$2; shift 2 ;;
        --runs) limit=-runs=$2; shift 2 ;;
        -*) echo "usage: fuzz.sh [TARGET...] [--seconds N | --runs N]" >&2; exit 2 ;;
        *) targets+=("$1"); shift ;;
    esac
done
mapfile -t known < <(grep -o '^[a-z_]*' tests/fuzz/parsers.txt | sort -u)
[ ${#targets[@]} -gt 0 ] || targets=("${known[@]}")

XSAN_PACKAGES=fuzz scripts/install-deps.sh
XSAN_PRESET=fuzz scripts/build.sh "${targets[@]/#/fuzz_}" >/dev/null
folder=build/fuzz
failed=0

# report TARGET: lines covered in each file of the target's parser
report() {
    local target=$1 profile=$folder/$1.profdata
    llvm-profdata merge -sparse "$folder/$target".*.profraw -o "$profile"
    llvm-cov export -summary-only -instr-profile "$profile" "$folder/tests/fuzz/fuzz_$target" >"$profile.json"
    grep "^$target " tests/fuzz/parsers.txt | while read -r _ file; do
        jq -r --arg file "$file" '.data[0].files[] | select(.filename | endswith($file)) | .summary.lines |
            "    \($file): \(.covered) of \(.count) lines, \(.percent * 10 | floor / 10) %"' "$profile.json"
    done
}

for target in "${targets[@]}"; do
    mkdir -p "$folder/corpus/$target"
    rm -f "$folder/$target".*.profraw
    words=()
    [ ! -f "tests/fuzz/dict/$target.dict" ] || words=(-dict="tests/fuzz/dict/$target.dict")
    log=$folder/$target.log
    if LLVM_PROFILE_FILE="$folder/$target.%p.profraw" "$folder/tests/fuzz/fuzz_$target" "$limit" \
        -timeout=10 -rss_limit_mb=4096 -print_final_stats=1 -artifact_prefix="$folder/$target-" \
        "${words[@]}" "$folder/corpus/$target" "tests/fuzz/corpus/$target" >"$log" 2>&1; then
        echo "$target: $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") executions," \
            "$(sed -n 's/^stat::average_exec_per_sec: *//p' "$log") a second"
        report "$target"
    else
        echo "$target: failed; $log says how"
        grep -E 'broken invariant|ERROR|SUMMARY|Test unit written' "$log" | head -n 5
        failed=1
    fi
done
exit "$failed"
