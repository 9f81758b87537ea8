#!/usr/bin/env bash
# shellcheck disable=SC1091  # lib.sh is found in the guest
# FUA, FLUSH, DISCARD and WRITE ZEROES reach the device below as what they are; its errors reach the user.
set -euo pipefail
source "$XSAN_REPO/tests/vm/ublk/lib.sh"
modprobe ublk_drv

python='import os, sys
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_DIRECT | int(sys.argv[2]))
import mmap
buffer = mmap.mmap(-1, 4096)
for i in range(int(sys.argv[3])): os.pwrite(fd, buffer, i * 4096)
'

say "a synchronous direct write is a FUA write"
serve start --size 256M
[ "$(count fua)" = 0 ] || fail "FUA before any"
python3 -c "$python" "$device" "$(python3 -c 'import os; print(os.O_DSYNC)')" 10
[ "$(count fua)" = 10 ] || fail "10 FUA writes were counted as $(count fua)"
flushes=$(count flushes) # the kernel adds some of its own to such writes on a block device

say "plain writes are neither"
python3 -c "$python" "$device" 0 10
[ "$(count fua)" = 10 ] && [ "$(count flushes)" = "$flushes" ] || fail "FUA or flush without need"

say "every fsync is one flush"
for _ in 1 2 3; do
    dd if=/dev/zero of="$device" bs=4k count=1 oflag=direct conv=fsync status=none
done
[ "$(count flushes)" = $((flushes + 3)) ] || fail "3 fsyncs: $flushes -> $(count flushes)"

say "discards and zeroes"
dd if=/dev/urandom of="$device" bs=1M count=8 oflag=direct status=none
blkdiscard -o 1M -l 2M "$device"
[ "$(count discards)" -ge 1 ] || fail "no discard"
zeroes=$(count zeroes)
blkdiscard -z -o 4M -l 1M "$device"
[ "$(count zeroes)" -gt "$zeroes" ] || fail "no write zeroes"
cmp -n 2097152 -i 1048576:0 "$device" /dev/zero || fail "discarded"
cmp -n 1048576 -i 4194304:0 "$device" /dev/zero || fail "zeroed"

say "every buffer is stable, nothing is taken for a repetition"
[ "$(count unstable)" = 0 ] && [ "$(count reissued)" = 0 ] || fail "unstable or reissued"
detach

say "no space is ENOSPC, lost data is EIO, and others go on"
serve start --size 256M --full-at 16M --bad-at 32M
expect_error() { # WORDS COMMAND...
    local words=$1
    shift
    ! LC_ALL=C "$@" >/run/error 2>&1 || fail "$* succeeded"
    grep -q "$words" /run/error || fail "$*: $(cat /run/error)"
}
expect_error "No space left" dd if=/dev/zero of="$device" bs=64k seek=256 count=1 oflag=direct
expect_error "Input/output error" dd if="$device" of=/dev/null bs=64k skip=512 count=1 iflag=direct
dd if=/dev/zero of="$device" bs=64k count=1 oflag=direct status=none
dd if="$device" of=/dev/null bs=64k skip=600 count=1 iflag=direct status=none
detach
! dmesg | grep -E 'WARNING|BUG|Oops|blocked for more' || fail "the kernel complains"
