#!/usr/bin/env bash
# shellcheck disable=SC1091  # lib.sh is found in the guest
# A server that is asked to end leaves its device to the next; queues spread over reactors; sizes change
# where the kernel can.
set -euo pipefail
source "$XSAN_REPO/tests/vm/ublk/lib.sh"
modprobe ublk_drv
options=(--size 256M --resize 384M --reactors 2 --depth 32)

say "there are as many queues as reactors, and both are used"
serve start "${options[@]}" --delay-us 1000
[ "$(find "/sys/block/${device##*/}/mq" -mindepth 1 -maxdepth 1 | wc -l)" = 2 ] || fail "not 2 queues"
grep -q "deferred task work: 1" "$server_log" || echo "without deferred task work"
for cpu in 0 1; do
    taskset -c $cpu dd if="$device" of=/dev/null bs=4k count=50 iflag=direct status=none
done
for reactor in 0 1; do
    [ "$(count reactor$reactor)" -ge 50 ] || fail "reactor $reactor has $(count reactor$reactor) requests"
done

say "three servers hand the device on under fio, without a failed request"
fio --name=load --filename="$device" --ioengine=io_uring --direct=1 --iodepth=32 --size=128m --io_size=192m \
    --rw=randwrite --bsrange=4k-256k --blockalign=4k --verify=crc32c --verify_fatal=1 --do_verify=1 \
    --output=/run/load.out &
fio=$!
for _ in 1 2 3; do
    sleep 1
    kill -0 "$fio" || fail "fio ended too early: $(tail -n 5 /run/load.out)"
    kill -INT "$server"
    wait_until 20 eval "! kill -0 $server"
    wait "$server" || fail "the server ended badly: $(tail -n 3 "$server_log")"
    [ -b "$device" ] || fail "$device went with its server"
    serve recover --number 0 "${options[@]}" --delay-us 1000
done
wait "$fio" || fail "fio: $(tail -n 20 /run/load.out)"

say "a new size is known at once, or said to come with the next attach"
lines=$(wc -l <"$server_log")
kill -USR2 "$server"
wait_until 20 eval "[ \$(wc -l <$server_log) -gt $lines ]"
answer=$(tail -n 1 "$server_log")
echo "$answer"
if [ "$answer" = "resize: done" ]; then
    [ "$(blockdev --getsize64 "$device")" = 402653184 ] || fail "size"
    dd if=/dev/zero of="$device" bs=1M count=1 seek=383 oflag=direct status=none
else
    [[ $answer == *"attached again"* ]] || fail "$answer"
    [ "$(blockdev --getsize64 "$device")" = 268435456 ] || fail "size"
fi
detach
! dmesg | grep -E 'WARNING|BUG|Oops|blocked for more' || fail "the kernel complains"
