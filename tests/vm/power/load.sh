#!/usr/bin/env bash
# shellcheck disable=SC1091,SC2046,SC2086
# load.sh CASE MEMBERS SEED POLICY LBA: makes a pool, brings it into the state of the case and writes to it until the
# power goes: blocks of the volume, or, in the cases of that name, files. What the checker needs is left beside the
# images: `facts`, `report`, and for files report.1 and so on. Drives: 6 of 128M.
set -euo pipefail
source "$XSAN_REPO/tests/vm/pool/lib.sh"
source "$XSAN_REPO/tests/vm/power/honest.sh"
source "$XSAN_REPO/tests/vm/power/files.sh"
case_name=$1 kind=$2 seed=$3 policy=$4 lba=$5
beside=/run/xsan-vm/images
size=12M
# How fast a rebuild may be, so that the cut comes while it runs.
rate=1M

# paths N...: the drives as members of this run: block devices, passthrough, or both
paths() {
    local number
    for number in "$@"; do
        case $kind in
            block) dev "$number" ;;
            passthrough) ng "$number" ;;
            mixed) if [ $((number % 2)) = 0 ]; then dev "$number"; else ng "$number"; fi ;;
        esac
    done
}
create() { # SCHEME DRIVES...
    xsanctl create tank --scheme "$1" --size $size --consistency "$policy" $(paths "${@:2}") >/dev/null
    device=$(shown tank '.volumes[0].device')
}
# lose_by_pull N: a drive is missed when it is asked
lose_by_pull() {
    pull "$1"
    dd if=/dev/zero of="$device" bs=1M count=4 oflag=direct conv=fsync status=none
    wait_until 30 lacks_one
}
lacks_one() { [ "$(shown tank '[.members[] | select(.state == "missing")] | length')" -ge 1 ]; }
rebuild_runs() { [ "$(shown tank '[.jobs[] | select(.kind == "rebuild" and .state == "running")] | length')" = 1 ]; }

first=$((seed % 4)) second=$((seed % 4 + 1))
parity=2 out='' fs=
honest_drives 6 "$lba"
start_xsand
case $case_name in
    healthy) create 4+2 0 1 2 3 4 5 ;;
    one-pulled)
        create 4+2 0 1 2 3 4 5
        lose_by_pull $first
        out=$first
        ;;
    two-out)
        create 4+2 0 1 2 3 4 5
        lose_by_pull $first
        xsanctl fail tank "$(paths $second)" >/dev/null
        out="$first $second"
        ;;
    raid5) create 4+1 0 1 2 3 4 && parity=1 ;;
    raid5-out)
        create 4+1 0 1 2 3 4 && parity=1
        xsanctl fail tank "$(paths $first)" >/dev/null
        out=$first
        ;;
    raid10) create raid10 0 1 2 3 && parity=1 ;;
    returned) # a member that was away, and is being brought up to date
        create 4+2 0 1 2 3 4 5
        dd if=/dev/zero of="$device" bs=1M count=12 oflag=direct status=none
        lose_by_pull $first
        insert $first
        xsanctl rebuild tank start --rate-max $rate >/dev/null
        xsanctl add tank "$(paths $first)" >/dev/null
        wait_until 30 rebuild_runs
        out=$first
        ;;
    elsewhere) # a member is lost, and its data is rebuilt on the others
        create 4+1 0 1 2 3 4 5 && parity=1
        dd if=/dev/zero of="$device" bs=1M count=12 oflag=direct status=none
        xsanctl rebuild tank start --rate-max $rate >/dev/null
        xsanctl fail tank "$(paths $first)" >/dev/null
        wait_until 30 rebuild_runs
        out=$first
        ;;
    files-*) # XFS wants 300 MiB; space is taken as it is written to
        fs=${case_name#files-} size=320M
        create 4+2 0 1 2 3 4 5
        # In every other of these cases with a member out.
        if [ $((seed / 10 % 2)) = 1 ]; then
            xsanctl fail tank "$(paths $first)" >/dev/null
            out=$first
        fi
        ;;
    *) fail "no case $case_name" ;;
esac
[ "$(shown tank .consistency)" = "$policy" ] || fail "the policy is $(shown tank .consistency)"
{
    printf 'kind=%s\nparity=%s\nout="%s"\nunit=%s\nfs=%s\n' "$kind" $parity "$out" "$(shown tank .atomic_bytes)" $fs
    printf 'members="%s"\n' "$(shown tank '[.members[].serial | select(. != null) | ltrimstr("honest")] | join(" ")')"
} >$beside/facts
if [ -n "$fs" ]; then
    exercise_files $fs "$device" "$seed"
else
    "$XSAN_REPO/tests/vm/power/versions.py" write "$device" "$seed" $beside/report
fi
fail "the writer ended: the power should have gone"
