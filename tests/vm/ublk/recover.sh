#!/usr/bin/env bash
# shellcheck disable=SC1091  # lib.sh is found in the guest
# A server that dies under load is replaced by another without a lost or failed request.
set -euo pipefail
source "$XSAN_REPO/tests/vm/ublk/lib.sh"
modprobe ublk_drv

options=(--size 256M --reactors 2 --queues 2 --depth 64)
load() { # in the background: writes and verifies; its status is the test's
    fio --name=load --filename="$device" --ioengine=io_uring --direct=1 --iodepth=32 --numjobs=2 \
        --offset_increment=128m --size=128m --io_size=256m --rw=randwrite --bsrange=4k-256k --blockalign=4k \
        --verify=crc32c --verify_fatal=1 --do_verify=1 --output=/run/load.out &
    fio=$!
}

say "kill -9 under fio, three times; the volume's device is found by its UUID"
serve start "${options[@]}" --delay-us 4000
load
reissued=0
for round in 1 2 3; do
    sleep 1.5
    kill -0 "$fio" || fail "fio ended before the kill of round $round: $(tail -n 5 /run/load.out)"
    crash
    sleep 0.5
    xsan-ublk-check list | grep -q 'state=2 .*volume=0100000000000080' || fail "$(xsan-ublk-check list)"
    serve recover --number 0 "${options[@]}" --delay-us 4000
    reissued=$((reissued + $(count reissued)))
done
wait "$fio" || fail "fio: $(tail -n 20 /run/load.out)"
[ "$reissued" -gt 0 ] || fail "no request came twice"
echo "$reissued requests may have come twice"

say "repetitions end: later requests are none"
sleep 1
before=$(count reissued)
for _ in 1 2 3; do fio_verify "$device" --size=64m; done
after=$(count reissued)
[ $((after - before)) -le 128 ] || fail "still $((after - before)) repetitions, of 128 tags"
detach

say "a mounted filesystem survives kill -9 and recovery"
serve start "${options[@]}" --delay-us 2000
mkfs.ext4 -q "$device"
mkdir -p /mnt/a
mount "$device" /mnt/a
python3 -c '
import os
for i in range(60):
    with open("/mnt/a/%d" % i, "wb") as f:
        f.write(os.urandom(40000))
        f.flush()
        os.fsync(f.fileno())
' &
files=$!
sleep 1
crash
serve recover --number 0 "${options[@]}"
wait "$files" || fail "the files were not written"
[ "$(find /mnt/a -size 40000c | wc -l)" = 60 ] || fail "files are missing"
umount /mnt/a
e2fsck -fn "$device" >/run/fsck 2>&1 || fail "e2fsck: $(cat /run/fsck)"

say "a server that dies with every tag in hand is noticed in seconds, not in half a minute"
detach
serve start --size 256M --depth 4 --delay-us 200000
fio --name=full --filename="$device" --ioengine=io_uring --direct=1 --iodepth=32 --size=64m --io_size=1m \
    --rw=randwrite --bs=4k --verify=crc32c --verify_fatal=1 --do_verify=1 --output=/run/load.out &
fio=$!
sleep 1
crash
seconds=$SECONDS
serve recover --number 0 --size 256M
[ $((SECONDS - seconds)) -le 12 ] || fail "the recovery took $((SECONDS - seconds)) s"
wait "$fio" || fail "fio: $(tail -n 20 /run/load.out)"

say "a living server's device, another volume's and an unknown one are not taken over"
other=00000000-0000-4000-8000-00000000dead
expect_refused xsan-ublk-check recover --number 0 --file $file --volume $other
expect_refused xsan-ublk-check recover --number 9 --file $file
crash
expect_refused xsan-ublk-check recover --number 0 --file /dev/shm/small --size 64M
expect_refused xsan-ublk-check recover --number 0 --file $file --volume $other

say "a device that a refused recovery left alone can still be recovered, or deleted"
serve recover --number 0 "${options[@]}"
dd if="$device" of=/dev/null bs=1M count=16 iflag=direct status=none
crash
xsan-ublk-check delete --number 0
[ ! -e "$device" ] || fail "$device is still there"
! dmesg | grep -E 'WARNING|BUG|Oops|blocked for more' || fail "the kernel complains"
