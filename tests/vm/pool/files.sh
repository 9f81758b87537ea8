#!/usr/bin/env bash
# shellcheck disable=SC1091,SC2046
# files.sh [SEED] [SECONDS]: files on ext4 and on xfs are written, mapped, punched and read against a model of them
# (xsan-file-check), beside stress-ng, while a drive is pulled, xsand is killed, a spare is
# rebuilt, and another drive is pulled during that rebuild. SECONDS (15): of each of these times. Drives: 8 of 512M.
set -euo pipefail
source "$XSAN_REPO/tests/vm/pool/lib.sh"
seed=${1:-1} seconds=${2:-15}

start_xsand
xsanctl create tank --scheme 4+2 --size 400M $(dev 0 1 2) $(ng 3 4 5)
xsanctl volume create tank small --size 128M
xfs=$(shown tank '.volumes[] | select(.name == "data") | .device')
ext4=$(shown tank '.volumes[] | select(.name == "small") | .device')
mkfs.xfs -q "$xfs" 2>/dev/null
mkfs.ext4 -q "$ext4"
mkdir -p /mnt/xfs /mnt/ext4
mount "$xfs" /mnt/xfs
mount "$ext4" /mnt/ext4

# Several files on each, until the time is over; the last words are in /run/files.
exercise() {
    local fs file pids=() pid
    seed=$((seed + 10))
    for fs in xfs ext4; do
        for file in 1 2; do
            xsan-file-check run "/mnt/$fs/$file" --seed "$((seed + file))" --seconds "$seconds" >>/run/files 2>&1 &
            pids+=($!)
        done
        mkdir -p "/mnt/$fs/stress"
        stress-ng --temp-path "/mnt/$fs/stress" --timeout "$seconds" --verify --hdd 1 --hdd-bytes 4m --fallocate 1 \
            --fallocate-bytes 4m --rename 1 --dentry 1 --dentries 64 >>/run/files 2>&1 &
        pids+=($!)
    done
    for pid in "${pids[@]}"; do wait "$pid" || return 1; done
}
# during WHAT COMMAND...: the files are exercised while the commands run in this shell
during() {
    local exerciser
    say "files while $1"
    : >/run/files
    exercise & exerciser=$!
    sleep 2
    "${@:2}"
    wait "$exerciser" || fail "files while $1: $(tail -n 15 /run/files)"
    grep 'operations$' /run/files | sort | uniq -c | awk '{n += $2} END {print n " operations were right"}'
    seed=$((seed + 10))
    took
}
nothing() { :; }
lacks() { [ "$(shown tank '[.members[] | select(.state == "missing")] | length')" = "$1" ]; }
a_drive_goes() {
    pull 1
    wait_until 30 lacks 1
}
xsand_is_killed() {
    kill_xsand
    sleep 0.5
    start_xsand
}
rebuild_runs() { [ "$(shown tank '[.jobs[] | select(.kind == "rebuild" and .state == "running")] | length')" = 1 ]; }
# The rebuild is slow, so that the second drive goes while it is under way.
a_drive_goes_during_rebuild() {
    xsanctl rebuild tank start --rate-max 2M >/dev/null
    xsanctl add tank $(dev 6) >/dev/null
    wait_until 30 rebuild_runs
    pull 3
    wait_until 30 lacks 2
    xsanctl rebuild tank start --rate-max 0 >/dev/null
}

during "all is well" nothing
during "a drive is pulled" a_drive_goes
during "xsand is killed" xsand_is_killed
during "a drive is pulled during the rebuild" a_drive_goes_during_rebuild

say "with a spare for each: rebuilt, checked, and the same after being assembled anew"
xsanctl add tank $(dev 7) >/dev/null
rebuilt tank
scrubbed tank
: >/run/files
seconds=5 exercise || fail "files after the rebuild: $(tail -n 15 /run/files)"
sums() { (cd /mnt && md5sum xfs/[12] ext4/[12]); }
before=$(sums)
umount /mnt/xfs /mnt/ext4
xfs_repair -n "$xfs" >/run/fsck 2>&1 || fail "xfs_repair: $(tail -n 5 /run/fsck)"
e2fsck -fn "$ext4" >/run/fsck 2>&1 || fail "e2fsck: $(tail -n 5 /run/fsck)"
xsanctl stop tank
xsanctl assemble $(dev 0 2) $(ng 4 5) $(dev 6 7)
mount "$(shown tank '.volumes[] | select(.name == "data") | .device')" /mnt/xfs
mount "$(shown tank '.volumes[] | select(.name == "small") | .device')" /mnt/ext4
[ "$(sums)" = "$before" ] || fail "the files differ after assembly"
umount /mnt/xfs /mnt/ext4
xsanctl stop tank
stop_xsand
kernel_is_content
