#!/usr/bin/env bash
# shellcheck disable=SC1091  # lib.sh is found in the guest
# kill9.sh [N]: xsand is killed N times (10) under fio verify and under a mounted filesystem, and restarted. Nobody
# above notices; parity agrees with data each time, and each time everything reads the same with P members failed.
# Half of the members are block devices, half are passed through. Drives: 6.
set -euo pipefail
source "$XSAN_REPO/tests/vm/pool/lib.sh"
rounds=${1:-10}

start_xsand
# shellcheck disable=SC2046
xsanctl create tank --scheme 4+2 --size 96M $(dev 0 1 2) $(ng 3 4 5)
xsanctl volume create tank files --size 96M
device=$(shown tank '.volumes[] | select(.name == "data") | .device')
files=$(shown tank '.volumes[] | select(.name == "files") | .device')
mkfs.ext4 -q "$files"
mkdir -p /mnt/a
mount "$files" /mnt/a
dd if=/dev/urandom of="$device" bs=1M count=32 seek=64 oflag=direct status=none

# Writes and verifies again and again, until told to stop; its last word is in /run/load.
load() {
    while [ ! -e /run/enough ]; do
        fio --name=load --filename="$device" --ioengine=io_uring --direct=1 --iodepth=16 --rw=randwrite \
            --size=64m --io_size=32m --bsrange=4k-1m --blockalign=4k --verify=crc32c --verify_fatal=1 \
            --do_verify=1 --randrepeat=0 --allrandrepeat=0 >/run/fio 2>&1 || { cp /run/fio /run/load; return 1; }
    done
    echo well >/run/load
}
# Files, each synced; their checksums beside them.
write_files() {
    local i=0
    while [ ! -e /run/enough ]; do
        i=$(((i + 1) % 60))
        head -c $((20000 + RANDOM * 10)) /dev/urandom >/run/content
        dd if=/run/content of="/mnt/a/$i.new" bs=64k conv=fsync status=none
        (cd /run && md5sum <content) >"/mnt/a/$i.sum"
        mv "/mnt/a/$i.new" "/mnt/a/$i"
        mv "/mnt/a/$i.sum" "/mnt/a/sum.$i"
    done
}
files_are_right() {
    local file
    echo 3 >/proc/sys/vm/drop_caches
    for file in /mnt/a/[0-9]*; do
        [ "$(md5sum <"$file")" = "$(cat "/mnt/a/sum.${file##*/}")" ] || fail "$file differs"
    done
}

for ((round = 1; round <= rounds; round++)); do
    first=$((round % 6)) second=$(((round * 5 + round / 6 + 1) % 6))
    [ "$first" != "$second" ] || second=$(((first + 1) % 6))
    say "round $round of $rounds: kill -9 under load, then without members $first and $second"
    rm -f /run/enough /run/load
    load & loader=$!
    write_files & writer=$!
    sleep "0.$((RANDOM % 9 + 1))"
    sleep 1
    kill_xsand
    sleep 0.3
    start_xsand
    sleep 1
    touch /run/enough
    wait "$loader" || fail "fio: $(tail -n 20 /run/load)"
    wait "$writer" || fail "files could not be written"
    resynced tank
    scrubbed tank
    files_are_right
    before=$(digest "$device")
    paths=("$(member_path tank "$first")" "$(member_path tank "$second")")
    for path in "${paths[@]}"; do xsanctl fail tank "$path" >/dev/null; done
    is_state tank degraded || fail "tank is $(shown tank .state), not degraded"
    [ "$(digest "$device")" = "$before" ] || fail "without members $first and $second other data is read"
    files_are_right
    xsanctl add tank "${paths[@]}" >/dev/null
    rebuilt tank
    took
done

say "and in the end"
members_are tank in_sync 6
scrubbed tank
[ "$(digest "$device")" = "$before" ] || fail "the last rebuild changed data"
umount /mnt/a
e2fsck -fn "$files" >/run/fsck 2>&1 || fail "e2fsck: $(cat /run/fsck)"
xsanctl stop tank
stop_xsand
kernel_is_content
