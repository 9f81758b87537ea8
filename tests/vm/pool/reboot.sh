#!/usr/bin/env bash
# shellcheck disable=SC1091,SC2046
# reboot.sh fill|missing: two boots of one guest. In the first a pool is filled, and power goes under load. In the
# second two drives are missing, the pool is found again and served, and the drives come back stale and are rebuilt.
# Drives: 6 of 256M, kept between the boots.
set -euo pipefail
source "$XSAN_REPO/tests/vm/pool/lib.sh"
mkdir -p /mnt/a

fill() {
    local device files
    start_xsand
    xsanctl create tank --scheme 4+2 --size 64M $(dev 0 1 2) $(ng 3 4 5) >/dev/null
    xsanctl volume create tank files --size 128M >/dev/null
    device=$(shown tank '.volumes[] | select(.name == "data") | .device')
    files=$(shown tank '.volumes[] | select(.name == "files") | .device')
    mkfs.ext4 -q "$files"
    mount "$files" /mnt/a
    head -c 48M /dev/urandom >/mnt/a/kept
    (cd /mnt/a && md5sum kept >kept.md5)
    sync
    say "power goes while fio writes"
    fio --name=load --filename="$device" --ioengine=io_uring --direct=1 --iodepth=8 --rw=randwrite --bsrange=4k-256k \
        --blockalign=4k --size=64m --time_based --runtime=60 >/run/fio 2>&1 &
    sleep 3
    kill -0 $! || fail "fio: $(cat /run/fio)"
}

missing() {
    local files
    pull 1
    pull 4
    start_xsand
    say "found again without two drives"
    xsanctl assemble tank --scan
    is_state tank degraded || fail "tank is $(shown tank .state), not degraded"
    members_are tank missing 2
    files=$(shown tank '.volumes[] | select(.name == "files") | .device')
    e2fsck -fp "$files" >/run/fsck 2>&1 || [ $? = 1 ] || fail "e2fsck: $(cat /run/fsck)"
    mount "$files" /mnt/a
    (cd /mnt/a && md5sum -c --quiet kept.md5) || fail "the files differ"
    fio_verify /mnt/a/load --size=32m --io_size=32m
    took
    say "the drives come back"
    insert 1
    insert 4
    xsanctl add tank "$(dev 1)" "$(dev 4)" >/dev/null
    rebuilt tank
    members_are tank in_sync 6
    scrubbed tank
    echo 3 >/proc/sys/vm/drop_caches
    (cd /mnt/a && md5sum -c --quiet kept.md5) || fail "the files differ after the rebuild"
    say "and two others go"
    pull 0
    pull 5
    echo 3 >/proc/sys/vm/drop_caches
    (cd /mnt/a && md5sum -c --quiet kept.md5) || fail "the files differ without two others"
    fio_verify /mnt/a/load --size=32m --io_size=32m
    umount /mnt/a
    e2fsck -fn "$files" >/run/fsck 2>&1 || fail "e2fsck: $(cat /run/fsck)"
    xsanctl stop tank
    stop_xsand
    kernel_is_content
    took
}

case ${1-} in
    fill | missing) "$1" ;;
    *) fail "reboot.sh fill|missing: run reboot_host.sh on the host" ;;
esac
