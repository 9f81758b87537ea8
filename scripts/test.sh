#!/usr/bin/env bash
# make test: everything that can be tested on this machine, in parts: tidy, unit, fuzz, sim, sanitize, vm.
# XSAN_SIM_STATES: crash states that the part sim checks in all (default 1000000: some eleven minutes on two cores; the
# seeds are always the same).
# test.sh [PART...] runs some of them. Ends with `N passed, M failed`; the status says whether all passed.
set -uo pipefail
cd "$(dirname "$0")/.."
parts=("$@")
[ ${#parts[@]} -gt 0 ] || parts=(tidy unit fuzz sim sanitize vm)
passed=0
failed=0

# count NAME COMMAND...: one line for each thing that ran
count() {
    local name=$1 began=$SECONDS
    shift
    if "$@"; then
        passed=$((passed + 1))
        echo "PASS $name ($((SECONDS - began)) s)"
    else
        failed=$((failed + 1))
        echo "FAIL $name ($((SECONDS - began)) s)"
    fi
}

# Each unit test executable of a build folder, two at a time, the largest first, since those take longest; the output of one
# only when it fails.
run_units() {
    local folder=$1 line before=$((passed + failed))
    while read -r line; do
        echo "$line"
        case $line in
            PASS*) passed=$((passed + 1)) ;;
            FAIL*) failed=$((failed + 1)) ;;
        esac
    done < <(find "$folder"/tests/unit -type f -name 'unit_*' -perm -u+x -printf '%s %p\n' | sort -rn | cut -d' ' -f2 |
        XSAN_KIND=$(basename "$folder") xargs -P 2 -I{} bash -c '
            began=$SECONDS
            if "$1" >"$1.log" 2>&1; then
                echo "PASS $XSAN_KIND/$(basename "$1") ($((SECONDS - began)) s)"
            else
                printf "FAIL %s (%d s)\n%s\n" "$XSAN_KIND/$(basename "$1")" $((SECONDS - began)) "$(tail -n 60 "$1.log")"
            fi' _ {})
    if [ $((passed + failed)) = "$before" ]; then
        failed=$((failed + 1))
        echo "FAIL $(basename "$folder"): there are no unit tests in $folder"
    fi
}

# About six seconds of seeded inputs for one parser; the output only when it fails.
run_fuzz() {
    local -A runs=([superblock]=400000 [metadata_log]=150000 [stripe_log]=400000 [checkpoint]=400000
        [rpc]=100000 [config]=600000 [names]=5000000 [readings]=300000 [book]=400000)
    local program=$PWD/build/release/tests/fuzz/fuzz_$1
    (cd build/release && "$program" --runs "${runs[$1]}" >"$program.log" 2>&1) ||
        { tail -n 20 "$program.log"; return 1; }
}

scripts/install-deps.sh || exit 1
for part in "${parts[@]}"; do
    before=$((passed + failed))
    case $part in
        tidy) count tidy python3 scripts/tidy.py ;;
        unit)
            scripts/build.sh || { failed=$((failed + 1)); continue; }
            count link-tests scripts/build.sh xsan_link_tests
            run_units build/release
            ;;
        fuzz)
            scripts/build.sh || { failed=$((failed + 1)); continue; }
            for target in superblock metadata_log stripe_log checkpoint rpc config names readings book; do
                count "fuzz/$target" run_fuzz "$target"
            done
            ;;
        sim)
            scripts/build.sh || { failed=$((failed + 1)); continue; }
            count sim/test build/release/tests/sim/sim_test
            states=${XSAN_SIM_STATES:-1000000}
            simulate() {
                count "sim/$1" build/release/tools/xsan-sim --jobs "$(nproc)" --artifacts build/release \
                    --states $((states * $2 / 100)) "${@:3}"
            }
            # Fewer states do not come by all cells of the matrix.
            full=()
            [ "$states" -lt 500000 ] || full=(--full-matrix)
            simulate log 80 --policy log "${full[@]}"
            simulate resync 15 --policy resync
            simulate relocate 5 --policy log --seed 500000 --focus relocate relocate pull_member return_member rebuild_wait \
                write_error read_error flush_error vanish_at
            count sim/mutants tests/sim/mutants.py --quick
            ;;
        sanitize)
            for kind in asan tsan; do
                XSAN_PRESET=$kind scripts/build.sh unit_tests || { failed=$((failed + 1)); continue; }
                run_units build/$kind
            done
            ;;
        vm)
            scripts/build.sh || { failed=$((failed + 1)); continue; }
            before_vm=$failed
            while read -r line; do
                echo "$line"
                case $line in
                    PASS*) passed=$((passed + 1)) ;;
                    FAIL*) failed=$((failed + 1)) ;;
                    'all.sh ended with '[1-9]*) # its own word counts where no line told of a failure
                        [ "$failed" != "$before_vm" ] || failed=$((failed + 1)) ;;
                esac
            done < <(tests/vm/all.sh 2>&1; echo "all.sh ended with $?")
            ;;
        *)
            echo "test.sh: unknown part '$part': use tidy, unit, fuzz, sim, sanitize or vm" >&2
            exit 2
            ;;
    esac
    # A part in which nothing ran has not passed.
    if [ $((passed + failed)) = "$before" ]; then
        failed=$((failed + 1))
        echo "FAIL $part: nothing ran"
    fi
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
