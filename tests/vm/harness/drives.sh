#!/usr/bin/env bash
# shellcheck disable=SC1091,SC2015  # lib.sh is found in the guest; A && B || fail: fail does not return
# What xsan-vm does to a drive is what the drive's users see, on /dev/nvmeXnY and on /dev/ngXnY. For a guest with at
# least two drives.
set -euo pipefail
source "$XSAN_REPO/tests/vm/lib.sh"

read_first() { dd if="$(dev 1)" of=/dev/null bs=4k count=1 iflag=direct status=none; }
write_second() { dd if=/dev/zero of="$(dev 1)" bs=4k count=1 seek=1 oflag=direct conv=notrunc status=none; }
sync_drive() { dd if=/dev/zero of="$(dev 1)" bs=4k count=1 seek=9 oflag=direct conv=notrunc,fsync status=none; }
pass_read() { nvme read "$(ng 1)" --start-block=0 --block-count=0 --data-size=4096 --data=/dev/null; }
must_fail() { ! "$@" 2>/dev/null || fail "$* succeeded"; }
stat_of() { xsan-vm stats xsan1 | python3 -c "import json, sys; print(json.load(sys.stdin)['$1'])"; }

say "every serial has its drive"
[ "$(dev 1)" = "$(xsan-vm dev xsan1)" ] || fail "dev and xsan-vm dev differ"
[ "$(ng 1)" = "$(xsan-vm ng xsan1)" ] || fail "ng and xsan-vm ng differ"
[ -b "$(dev 0)" ] && [ -b "$(dev 1)" ] && [ -c "$(ng 0)" ] || fail "nodes"
[ "$(xsan-vm drives | wc -l)" = "$XSAN_VM_DRIVES" ] || fail "not $XSAN_VM_DRIVES drives"

say "a drive keeps what was written while it is pulled"
head -c 1M /dev/urandom >/run/pattern
dd if=/run/pattern of="$(dev 1)" bs=1M oflag=direct conv=fsync status=none
pull 1
must_fail dev 1
expect_refused xsan-vm pull xsan1
expect_refused xsan-vm dev xsan1
xsan-vm drives | grep -q '^xsan1 pulled' || fail "drives does not show a pulled drive"
insert 1
expect_refused xsan-vm insert xsan1
cmp /run/pattern <(dd if="$(dev 1)" bs=1M count=1 iflag=direct status=none) || fail "the data changed"

say "noise on a pulled drive is there when it is back"
pull 1
xsan-vm noise xsan1 64K 4K
insert 1
must_fail cmp -s /run/pattern <(dd if="$(dev 1)" bs=1M count=1 iflag=direct status=none)
xsan-vm noise xsan1 64K 4K --seed 1
first() { head -c 64K /run/pattern; tail -c +69633 /run/pattern; }
rest() { dd if="$(dev 1)" bs=4k count=256 iflag=direct status=none | { head -c 64K; head -c 4K >/run/noise; cat; }; }
cmp <(first) <(rest) || fail "noise went elsewhere, too"

say "reads fail until ok, on both ways"
xsan-vm error xsan1 read
must_fail read_first
must_fail pass_read
write_second
xsan-vm ok xsan1
read_first
pass_read 2>/dev/null || fail "passthrough does not read"

say "one sector fails, the others do not, and errors outlive a pull"
xsan-vm error xsan1 write --sector 8
must_fail write_second
sync_drive
pull 1
insert 1
must_fail write_second
xsan-vm ok xsan1
write_second

say "a single error is hidden by the kernel's repetitions, but not from passthrough"
xsan-vm error xsan1 read --once
read_first
xsan-vm error xsan1 read --once
must_fail pass_read
pass_read 2>/dev/null || fail "the second read fails too"

say "flushes fail"
xsan-vm error xsan1 flush
must_fail sync_drive
sync_drive
xsan-vm ok xsan1
xsan-vm error xsan1 flush
xsan-vm error xsan1 flush
xsan-vm ok xsan1
sync_drive

say "errors come and go under load"
fio --name=load --filename="$(dev 0)" --rw=randwrite --bs=4k --iodepth=16 --ioengine=io_uring --direct=1 \
    --size=64m --io_size=1g --time_based --runtime=4 --output=/run/load &
load=$!
sleep 1
xsan-vm error xsan0 read
xsan-vm slow xsan0 500
xsan-vm ok xsan0
wait $load || fail "the load failed: $(cat /run/load)"

say "a slow drive is slow until ok, also when it was pulled in between"
timed_reads() { # prints the milliseconds of 40 reads
    local start=${EPOCHREALTIME/[.,]/}
    dd if="$(dev 1)" of=/dev/null bs=4k count=40 iflag=direct status=none
    echo $(((${EPOCHREALTIME/[.,]/} - start) / 1000))
}
xsan-vm slow xsan1 10
pull 1
insert 1
took=$(timed_reads)
[ "$took" -gt 3000 ] || fail "40 reads at 10 a second took $took ms"
xsan-vm ok xsan1
took=$(timed_reads)
[ "$took" -lt 3000 ] || fail "40 reads took $took ms after ok"

say "the emulator counts every I/O of both ways"
before=$(stat_of rd_operations)
dd if="$(dev 1)" of=/dev/null bs=4k count=20 iflag=direct status=none
for _ in 1 2 3; do pass_read 2>/dev/null; done
after=$(stat_of rd_operations)
[ $((after - before)) = 23 ] || fail "23 reads were counted as $((after - before))"
before=$(stat_of wr_bytes)
dd if=/dev/zero of="$(dev 1)" bs=64k count=8 oflag=direct conv=notrunc status=none
after=$(stat_of wr_bytes)
[ $((after - before)) = 524288 ] || fail "512 KiB of writes were counted as $((after - before))"

say "fio_verify verifies, and notices silent corruption"
fio_verify "$(dev 1)" --size=64m
expect_refused xsan-vm noise xsan1 1T 4K
expect_refused xsan-vm ok nobody
expect_refused xsan-vm error xsan1 explode
(fio_verify "$(dev 1)" --size=64m --rw=write --bsrange=4k-4k --bs=4k)
xsan-vm noise xsan1 32M 4K
must_fail fio --name=again --filename="$(dev 1)" --rw=read --bs=4k --direct=1 --size=64m --verify=crc32c \
    --verify_fatal=1 --output=/run/again
