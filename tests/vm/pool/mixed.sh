#!/usr/bin/env bash
# shellcheck disable=SC1091,SC2046
# Passed-through drives, block devices and a file in one pool; a drive under two names is one drive. Drives: 5 of 256M.
set -euo pipefail
source "$XSAN_REPO/tests/vm/pool/lib.sh"

start_xsand
truncate -s 256M /dev/shm/member
say "the same drive under two names is refused"
expect_refused xsanctl create tank --scheme 1+1 "$(dev 0)" "$(ng 0)"
expect_refused xsanctl create tank --scheme 1+1 "$(dev 0)" "$(dev 0)"
ln -s "$(dev 0)" /dev/shm/link
expect_refused xsanctl create tank --scheme 1+1 "$(ng 0)" /dev/shm/link
ln /dev/shm/member /dev/shm/second
expect_refused xsanctl create tank --scheme 1+1 /dev/shm/second /dev/shm/member

say "a pool of all kinds"
xsanctl create tank --scheme 4+2 $(dev 0 1) $(ng 2 3) $(dev 4) /dev/shm/member >/dev/null
device=$(shown tank '.volumes[0].device')
for name in "$(ng 0)" "$(dev 2)" /dev/shm/second; do expect_refused xsanctl add tank "$name"; done
mkfs.ext4 -q "$device"
mkdir -p /mnt/a
mount "$device" /mnt/a
fio_verify /mnt/a/load --size=96m --io_size=96m
sum=$(md5sum </mnt/a/load)
is_right() { echo 3 >/proc/sys/vm/drop_caches && [ "$(md5sum </mnt/a/load)" = "$sum" ]; }
say "one of each kind is lost"
xsanctl fail tank /dev/shm/member >/dev/null
pull 2
is_right || fail "the file differs"
fio_verify /mnt/a/more --size=32m
insert 2
say "they come back, the drive under its other name"
xsanctl add tank "$(dev 2)" /dev/shm/member >/dev/null
rebuilt tank
is_right || fail "the file differs after the rebuild"
scrubbed tank
umount /mnt/a

say "stopped and found again under other names"
xsanctl stop tank
xsanctl assemble tank $(ng 0 1) $(dev 2 3) $(ng 4) /dev/shm/second
members_are tank in_sync 6
is_state tank online || fail "tank is $(shown tank .state)"
mount "$device" /mnt/a
is_right || fail "the file differs after the assembly"
umount /mnt/a
xsanctl destroy tank --yes >/dev/null
stop_xsand
kernel_is_content
