#!/usr/bin/env bash
# Instructions of the engine for each 4 KiB request of a volume over null members, counted by callgrind, and how many of
# them accounting costs: the same with the build `bare`, which counts no more than flushes need.
# bench-instructions.sh [SCHEME MEMBERS]...   (default: 4+2 6, raid10 4, 8+3 11)
# Prints a line for each scheme, policy and operation: instructions, those of `bare`, and the difference in percent.
set -euo pipefail
cd "$(dirname "$0")/.."
count=2000
[ $# -gt 0 ] || set -- 4+2 6 raid10 4 8+3 11

XSAN_PACKAGES=bench scripts/install-deps.sh
for preset in release bare; do XSAN_PRESET=$preset scripts/build.sh xsan-bench >/dev/null; done
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

# instructions PRESET OPTION...: of one request
instructions() {
    local preset=$1
    shift
    valgrind --tool=callgrind --callgrind-out-file="$out/callgrind" --instr-atstart=no \
        "build/$preset/tools/xsan-bench" --count $count "$@" >"$out/said" 2>&1 || { cat "$out/said" >&2; exit 1; }
    awk -v n=$count '/Collected/ {printf "%.0f", $4 / n}' "$out/said"
}

printf '%-8s %-8s %-6s %12s %12s %8s\n' SCHEME POLICY OP INSTRUCTIONS BARE MORE
while [ $# -ge 2 ]; do
    for policy in none log; do
        for op in read write; do
            options=(--scheme "$1" --members "$2" --consistency "$policy" --op "$op")
            all=$(instructions release "${options[@]}")
            bare=$(instructions bare "${options[@]}")
            awk -v s="$1" -v p=$policy -v o=$op -v a="$all" -v b="$bare" \
                'BEGIN {printf "%-8s %-8s %-6s %12d %12d %7.2f%%\n", s, p, o, a, b, 100 * (a - b) / b}'
        done
    done
    shift 2
done
