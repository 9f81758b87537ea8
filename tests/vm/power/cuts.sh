#!/usr/bin/env bash
# shellcheck disable=SC2015,SC2317  # what stands in && || here has no other failures; leave is called by a trap
# cuts.sh [OPTIONS] CUTS SEEDS: on the host: cuts the power of a guest that writes to a pool, CUTS times, and checks for each
# cut SEEDS states that the drives may be in afterwards, from what they were asked to write (../replay_log.py).
#   --consistency log|resync|none   the pool's policy (log)
#   --expect-failure                succeeds when a state is found wrong, and stops there: can the checker fail?
#   --first N                       the number of the first cut, which decides everything about it (1)
#   --keep DIR                      keep the images and logs of cuts that failed there
#   --verbose                       show what the guests say, and when
# A failure prints the command that repeats the cut; what is written then is the same, the moment of the cut is not.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)

policy=log expect_failure='' first=1 keep='' verbose=
misuse() { echo "cuts.sh: $*" >&2; exit 2; }
while [ $# -gt 0 ]; do
    case $1 in
        --consistency) policy=${2-} && shift 2 ;;
        --expect-failure) expect_failure=yes && shift ;;
        --first) first=${2-} && shift 2 ;;
        --keep) keep=${2-} && shift 2 ;;
        --verbose) verbose=yes && shift ;;
        -*) misuse "unknown option $1" ;;
        *) break ;;
    esac
done
[[ $# = 2 && $1 =~ ^[1-9][0-9]*$ && $2 =~ ^[1-4]$ ]] || misuse "how many cuts, and how many states (1 to 4) of each?"
cuts=$1 seeds=$2

# case, members: one for each cut, in turn. Ten and three have no common divisor.
cases=(healthy one-pulled returned files-ext4 raid5 two-out elsewhere files-xfs raid10 raid5-out)
kinds=(mixed block passthrough)

parent=/dev/shm
[ "$(df -m --output=avail /dev/shm 2>/dev/null | tail -1)" -gt 4000 ] || parent=${TMPDIR:-/var/tmp}
work=$(mktemp -d "$parent/xsan-cuts.XXXXXX")
trap 'leave $?' EXIT
leave() {
    trap - EXIT
    [ -z "$guest" ] || { kill "$guest" 2>/dev/null && wait "$guest"; } || true
    rm -rf "$work"
    exit "$1"
}
guest=

# cut_power NUMBER: one boot that ends by a cut. (No errexit here and below: status 1 is a cut gone wrong.)
cut_power() {
    local status=0 number=$1
    rm -rf "${work:?}"/*
    mkdir "$work/images"
    # Without multipath, in which a passthrough device that is gone answers EINVAL: like a drive on PCI.
    "$here/../run.sh" --drives 6 --size 128M --lba "$lba" --keep "$work/images" --write-log "$work/logs" \
        --cut "$work/cut" --append nvme_core.multipath=N --timeout 300 "$here/load.sh" "$case_name" "$kind" "$number" "$policy" "$lba" >"$work/load.log" 2>&1 &
    guest=$!
    until [ -s "$work/images/report" ] || ! kill -0 $guest 2>/dev/null; do sleep 0.1; done
    echo "  ready to be cut after $((SECONDS - began)) s" >"$work/times"
    # From a moment to some seconds: early ones find what is first written, later ones what is overwritten. Files are
    # slower.
    local seconds=4
    [[ $case_name != files-* ]] || seconds=20
    sleep "$((RANDOM % seconds)).$((RANDOM % 10))"
    "$here/cut_unflushed.py" "$work/images" "$work/logs" "$work/cut" 134217728 || touch "$work/cut"
    wait $guest || status=$?
    guest=
    [ $status = 137 ] || { cat "$work/load.log"; echo "FAILED: the guest ended with $status, before the cut"; return 1; }
}

# replay NUMBER: the drives of all states, and what was dropped
replay() {
    local seed drive
    mkdir "$work/states"
    cp "$work/images/"{facts,report*} "$work/states/"
    for ((seed = 0; seed < seeds; seed++)); do
        for ((drive = 0; drive < 6; drive++)); do
            # What was in a state at boot is nothing.
            "$here/../replay_log.py" --size 134217728 --unit "$lba" "$work/logs/xsan$drive.log" - \
                "$work/states/xsan$((seed * 6 + drive)).img" "$1.$seed.$drive" || return 1
        done
    done >"$work/replayed"
    rm -rf "$work/images"
}
sum() { # NAME: of the replays
    grep -o "\"$1\": [0-9]*" "$work/replayed" | awk '{n += $2} END {print n + 0}'
}

check() { # NUMBER
    "$here/../run.sh" --drives $((seeds * 6)) --lba "$lba" --keep "$work/states" --timeout 600 "$here/check.sh" "$seeds" "$1" \
        >"$work/check.log" 2>&1
}

checked() { # WHAT: of all states
    sed -n "s/^checked.* \([0-9]*\) $1.*/\1/p" "$work/check.log" | awk '{n += $1} END {print n + 0}'
}

# one_cut NUMBER: adds to the sums; status 1 when a state is wrong
states=0 dropped=0 torn=0 blocks=0 given_up=0 failed=0
one_cut() {
    local number=$1 began=$SECONDS what
    RANDOM=$number
    case_name=${cases[$((number % ${#cases[@]}))]} kind=${kinds[$((number % ${#kinds[@]}))]}
    lba=512
    [ $((number / 2 % 2)) = 0 ] || lba=4096
    what="cut $number: $case_name, $kind, lba $lba"
    local try
    for try in 1 2 3; do
        cut_power "$number" && replay "$number" && echo "  replayed after $((SECONDS - began)) s" >>"$work/times" || return 1
        # A cut that came when all was flushed tests nothing.
        [ $(($(sum dropped) + $(sum torn) + $(sum kept))) = 0 ] || break
        echo "$what: all was flushed at try $try"
    done
    dropped=$((dropped + $(sum dropped))) torn=$((torn + $(sum torn)))
    check "$number" || { cat "$work/check.log"; return 1; }
    states=$((states + $(grep -c '^checked' "$work/check.log")))
    blocks=$((blocks + $(checked blocks))) given_up=$((given_up + $(checked "given up")))
    [ -z "$verbose" ] || { cat "$work/times"; sed 's/^/  /' "$work/check.log"; }
    echo "$what: well ($(sum dropped) writes dropped, $(sum torn) torn, $((SECONDS - began)) s)"
}

main() {
    local number done=0
    for ((number = first; number < first + cuts; number++)); do
        done=$((done + 1))
        one_cut "$number" && continue
        failed=$((failed + 1))
        echo "cut $number: $case_name, $kind, lba $lba: WRONG; again: $0 --consistency $policy --first $number 1 $seeds"
        [ -z "$keep" ] || { mkdir -p "$keep" && cp -a --sparse=always "$work" "$keep/cut-$number"; }
        [ -z "$expect_failure" ] || break
    done
    echo "$done cuts, $states states checked, $dropped writes dropped, $torn torn, $blocks blocks verified, $given_up given up, $failed wrong"
    if [ -n "$expect_failure" ]; then [ $failed -gt 0 ]; return; fi
    [ $failed = 0 ] && [ "$states" = $((cuts * seeds)) ] && [ "$dropped" -gt 0 ]
}

# On one line, so that this file may be edited meanwhile.
main; exit
