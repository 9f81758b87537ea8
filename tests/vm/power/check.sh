#!/usr/bin/env bash
# shellcheck disable=SC1091,SC2046,SC2086
# check.sh STATES SEED: checks the pool in each of the states after a cut. State I's drives are those from 6 x I on; all
# have the same UUIDs, so that one state's are looked at at a time. Its first state has all members when it is assembled,
# the others lack as many as the scheme bears: those lost with the power. What is read is checked, twice, and must be what
# is read from then on: with the missing members back, without as many others, and after a scrub. Files likewise
# (files.sh), with a check of their filesystem each time.
# Prints `checked ...` for each state.
set -euo pipefail
source "$XSAN_REPO/tests/vm/pool/lib.sh"
states=$1 seed=$2
beside=/run/xsan-vm/images
parity='' out='' unit='' members='' kind='' fs=''
source $beside/facts

# Device names by drive, found once: a process costs much here.
names=()
for path in /sys/block/nvme*; do
    read -r serial <"$path/device/serial"
    names[${serial#xsan}]=${path##*/}
done
# paths STATE N...: of members in that state, one a line
paths() {
    local state=$1 number name
    shift
    for number in "$@"; do
        name=${names[$((state * 6 + number))]}
        if [ $kind = passthrough ] || [ $kind$((number % 2)) = mixed1 ]; then name=ng${name#nvme}; fi
        echo "/dev/$name"
    done
}

# verified WHEN LOST: reads all, twice; the blocks hold what they may
verified() {
    local result
    device=$(shown tank '.volumes[0].device')
    result=$("$XSAN_REPO/tests/vm/power/versions.py" check "$device" "$seed" $beside/report $unit $2 2>/run/wrong) ||
        fail "state $state, $1: $result $(cat /run/wrong)"
    read -r digest newer each given_up < <(jq -r '"\(.digest) \(.newer) \(.blocks) \(.given_up)"' <<<"$result")
    blocks=$((blocks + 2 * each))
}
# same WHEN: reads all, twice; it is what was verified
same() {
    local try
    device=$(shown tank '.volumes[0].device')
    for try in 1 2; do
        [ "$("$XSAN_REPO/tests/vm/power/versions.py" digest "$device")" = "$digest" ] ||
            fail "state $state, $1: read $try gives other data than before"
        blocks=$((blocks + each))
    done
}
[ -z "$fs" ] || source "$XSAN_REPO/tests/vm/power/files.sh"
no_mismatches() {
    local status
    xsanctl scrub tank check >/dev/null
    xsanctl scrub tank wait >/run/scrub 2>&1 || fail "state $state: scrub: $(tail -n 2 /run/scrub)"
    status=$(xsanctl --json scrub tank status)
    jq -e '.state == "done" and .mismatches == 0 and .errors == 0 and .stripes_total > 0' <<<"$status" >/dev/null ||
        fail "state $state: scrub: $status"
    stripes=$(jq .stripes_checked <<<"$status")
}
# lost STATE: drives to lose in this state, another choice for each: in sync, and no more than the scheme bears
choose_lost() {
    local sync=() number n=$((parity - $(wc -w <<<"$out"))) i
    for number in $members; do
        case " $out " in *" $number "*) ;; *) sync+=("$number") ;; esac
    done
    lost=()
    for ((i = 0; i < n; i++)); do lost+=("${sync[$(((seed + state * 7 + i * (1 + seed % 3)) % ${#sync[@]}))]}"); done
}
others() { # of the members, those that are not lost
    local number
    for number in $members; do
        case " ${lost[*]} " in *" $number "*) ;; *) echo $number ;; esac
    done
}

start_xsand
for ((state = 0; state < states; state++)); do
    began=$SECONDS digest='' each=0 blocks=0 newer=0 given_up=0 stripes=0
    choose_lost
    how=whole
    if [ $state = 0 ] || [ ${#lost[@]} = 0 ]; then
        xsanctl assemble $(paths $state $members) >/dev/null
        xsanctl rebuild tank pause >/dev/null 2>&1 || true
        [ $state != 0 ] || shown tank '"members: " + ([.members[] | "\(.path) \(.state)"] | join(", "))'
        verified "whole" no
        no_mismatches
        # Members were made in the order of their drives.
        for number in "${lost[@]}"; do xsanctl fail tank "$number" >/dev/null; done
        xsanctl rebuild tank pause >/dev/null 2>&1 || true
        [ ${#lost[@]} = 0 ] || same "with members ${lost[*]} failed"
    else
        how="without ${lost[*]}"
        xsanctl assemble $(paths $state $(others)) >/dev/null
        is_state tank degraded || fail "state $state is $(shown tank .state) without ${lost[*]}"
        verified "assembled without ${lost[*]}" yes
        no_mismatches
        xsanctl stop tank >/dev/null
        xsanctl assemble $(paths $state $members) >/dev/null
        same "assembled again, with ${lost[*]} back"
    fi
    xsanctl stop tank >/dev/null
    echo "checked state $state $how: $blocks blocks, $newer newer than flushed, $given_up given up, $stripes stripes ($((SECONDS - began)) s)"
done
kernel_is_content
