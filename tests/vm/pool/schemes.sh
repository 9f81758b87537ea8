#!/usr/bin/env bash
# shellcheck disable=SC1091,SC2046
# schemes.sh [SCHEME...]: a filesystem and 24 MiB of fio verify on each scheme, with all members, and 8 MiB with 1 to P
# of them lost and after the rebuild; files keep their content throughout, and in the end parity agrees with data.
# Filesystems take turns, and so do block and passthrough members. Drives: 12 of 256M.
set -euo pipefail
source "$XSAN_REPO/tests/vm/pool/lib.sh"

#      scheme  members  losses that it promises to survive
table="linear  2 0
       raid0   3 0
       raid1   3 2
       raid10  4 1
       raid4   4 1
       raid5   5 1
       raid6   6 2
       1+1     2 1
       2+2     4 2
       4+1     5 1
       4+2     6 2
       3+3     6 3
       8+3    11 3"
wanted=" $* "

data_is_right() { # STATE [MIB]: old data, and as much new data in random places
    echo 3 >/proc/sys/vm/drop_caches
    [ "$(md5sum </mnt/a/kept)" = "$kept" ] || fail "$scheme, $1: the file that was written first differs"
    fio_verify /mnt/a/load --size=24m --io_size="${2:-24}m"
}

start_xsand
mkdir -p /mnt/a
head -c 12M /dev/urandom >/run/kept
kept=$(md5sum </run/kept)
turn=0
while read -r scheme members losses; do
    [ "$wanted" = "  " ] || [[ $wanted == *" $scheme "* ]] || continue
    turn=$((turn + 1))
    if [ $((turn % 2)) = 0 ]; then kind=ng; else kind=dev; fi
    mapfile -t drives < <($kind $(seq 0 $((members - 1))))
    # --force: drives that were failed in an earlier pool still carry its superblocks.
    xsanctl create tank --force --scheme "$scheme" "${drives[@]}" >/dev/null
    device=$(shown tank '.volumes[0].device')
    # XFS wants 300 MiB.
    if [ $((turn % 3)) != 0 ] && [ "$(blockdev --getsize64 "$device")" -gt 320000000 ]; then fs=xfs; else fs=ext4; fi
    say "$scheme on $members members ($kind), $fs"
    if [ $fs = xfs ]; then mkfs.xfs -q "$device" 2>/dev/null; else mkfs.ext4 -q "$device"; fi
    mount "$device" /mnt/a
    dd if=/run/kept of=/mnt/a/kept bs=1M conv=fsync status=none
    data_is_right healthy
    failed=()
    if [ "$losses" -gt 0 ]; then
        # Degraded by one must still be degraded by one when fio has ended.
        xsanctl rebuild tank pause >/dev/null
        for ((lost = 1; lost <= losses; lost++)); do
            drive=${drives[$(((lost * 2 + turn) % members))]}
            # 3+3 and others: two apart, but never one twice.
            while [[ " ${failed[*]} " == *" $drive "* ]]; do drive=${drives[$((RANDOM % members))]}; done
            xsanctl fail tank "$drive" >/dev/null
            failed+=("$drive")
            is_state tank degraded || fail "tank is $(shown tank .state) with $lost lost"
            data_is_right "degraded by $lost" 8
        done
        members_are tank faulty "$losses"
        # New drives where there are any, else the failed ones come back.
        back=()
        for ((i = 0; i < losses; i++)); do
            if [ $((members + i)) -lt 12 ]; then back+=($($kind $((members + i)))); else back+=("${failed[i]}"); fi
        done
        # --force: a new drive may have been failed in an earlier pool of this test, and then still carries its superblock.
        xsanctl add tank --force "${back[@]}" >/dev/null
        xsanctl rebuild tank resume >/dev/null
        rebuilt tank
        data_is_right rebuilt 8
    fi
    umount /mnt/a
    if [ $fs = xfs ]; then xfs_repair -n "$device"; else e2fsck -fn "$device"; fi >/run/fsck 2>&1 ||
        fail "$fs on $scheme: $(cat /run/fsck)"
    [ "$losses" = 0 ] || scrubbed tank
    xsanctl destroy tank --yes >/dev/null
    took
done <<<"$table"
[ "$turn" -gt 0 ] || fail "no such scheme:$wanted"
stop_xsand
kernel_is_content
