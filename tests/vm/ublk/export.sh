#!/usr/bin/env bash
# shellcheck disable=SC1091  # lib.sh is found in the guest
# A device comes, carries a filesystem, is not taken away while in use, and goes without a trace.
set -euo pipefail
source "$XSAN_REPO/tests/vm/ublk/lib.sh"

say "without the module, one line says what to do"
expect_refused xsan-ublk-check check
! xsan-ublk-check check 2>&1 | grep -qv 'modprobe ublk_drv' || fail "no advice"
expect_refused xsan-ublk-check start --file $file
modprobe ublk_drv
xsan-ublk-check check

say "the kernel is told what the device is"
serve start --size 512M --block 4096 --cluster 960K
queue=/sys/block/${device##*/}/queue
expect_value() { [ "$(cat "$queue/$1")" = "$2" ] || fail "$1 is $(cat "$queue/$1"), not $2"; }
expect_value write_cache "write back"
expect_value fua 1
expect_value logical_block_size 4096
expect_value physical_block_size 4096
expect_value minimum_io_size 65536
expect_value optimal_io_size 262144
expect_value discard_granularity 983040
expect_value max_hw_sectors_kb 1024
grep -q '\[none\]' "$queue/scheduler" || fail "there is a scheduler"
[ "$(blockdev --getsize64 "$device")" = 536870912 ] || fail "size"
xsan-ublk-check list

say "a filesystem on it keeps its files"
mkfs.ext4 -q "$device"
mkdir -p /mnt/a
mount "$device" /mnt/a
cp -r /usr/share/common-licenses /mnt/a/
fio_verify /mnt/a/load --size=64m
sync
diff -r /usr/share/common-licenses /mnt/a/common-licenses || fail "files differ"
fstrim /mnt/a
fio_verify /mnt/a/load --size=32m

say "a mounted device stays"
expect_busy "mounted on /mnt/a"
umount /mnt/a
e2fsck -fn "$device" >/dev/null 2>&1 || fail "e2fsck"
expect_refused xsan-ublk-check delete --number 0

say "a device that a program has open, swap, and a stacked device stay"
exec 5<"$device"
expect_busy "open in"
exec 5<&-
mkswap -q "$device" 2>/dev/null
swapon "$device"
expect_busy "swap"
swapoff "$device"
losetup /dev/loop0 "$device" 2>/dev/null || { modprobe loop; losetup /dev/loop0 "$device"; }
expect_busy "loop0"
losetup -d /dev/loop0
dd if=/dev/zero of="$device" bs=1M count=1 oflag=direct status=none

say "buffered data that nobody wrote back is in the file after a detach"
head -c 8M /dev/urandom >/run/pattern
dd if=/run/pattern of="$device" bs=1M status=none
detach
cmp -n 8388608 /run/pattern $file || fail "the detach lost data"

say "the number is free again, a preferred one is taken, a taken one is not insisted on"
serve start --number 7
[ "$device" = /dev/ublkb7 ] || fail "$device"
first=$server first_device=$device
serve start --number 7
[ "$device" = /dev/ublkb0 ] || fail "$device"
detach
server=$first device=$first_device
detach
[ -z "$(xsan-ublk-check list)" ] || fail "devices are left"
! dmesg | grep -E 'WARNING|BUG|Oops|blocked for more' || fail "the kernel complains"
