#!/usr/bin/env bash
# shellcheck disable=SC1091,SC2046
# Two drives of 4+2 are pulled under load and nobody above notices. A third one gives I/O errors and no wrong data;
# xsand stays and says what is the matter; with the drives back, what was at rest is all there. Drives: 6.
set -euo pipefail
source "$XSAN_REPO/tests/vm/pool/lib.sh"

start_xsand
# Two of the drives that are pulled are block devices, one is passed through.
xsanctl create tank --scheme 4+2 --size 160M $(dev 0 1) $(ng 2 3) $(dev 4 5)
device=$(shown tank '.volumes[0].device')
dd if=/dev/urandom of="$device" bs=1M count=32 seek=128 oflag=direct status=none
dd if="$device" of=/run/at-rest bs=1M skip=128 iflag=direct status=none

say "one and two drives are pulled under fio verify"
fio_verify "$device" --size=64m --offset=64m --io_size=192m &
fio=$!
python3 -IS "$XSAN_REPO/tests/vm/pool/blocks.py" "$device" 32 /run/enough /run/errors >/run/blocks 2>&1 &
blocks=$!
sleep 2
pull 1
wait_until 30 is_state tank degraded
kill -0 "$fio" || { wait "$fio" || fail "fio failed"; fail "fio was too fast for the first pull"; }
sleep 1
pull 2
members_missing() { [ "$(shown tank '[.members[] | select(.state == "missing")] | length')" = "$1" ]; }
wait_until 30 members_missing 2
wait "$fio" || fail "fio failed"
is_state tank degraded || fail "tank is $(shown tank .state), not degraded"
fio_verify "$device" --size=64m --offset=64m
cmp /run/at-rest <(dd if="$device" bs=1M skip=128 iflag=direct status=none) || fail "degraded reads differ"
kill -0 "$blocks" || fail "too early: $(cat /run/blocks)"
took

say "a third drive is pulled under load"
touch /run/errors
pull 4
wait_until 30 is_state tank failed
sleep 2
touch /run/enough
wait "$blocks" || fail "$(cat /run/blocks)"
cat /run/blocks
grep -qv ' 0 requests failed' /run/blocks || fail "nothing failed without three drives"
alive
[ "$(shown tank '.volumes[0].state')" = failed ] || fail "the volume is $(shown tank '.volumes[0].state')"
xsanctl show tank
# What was at rest: each block is right or an error, and there are both.
python3 -IS - "$device" <<'END' || fail "wrong data"
import mmap, os, sys
fd = os.open(sys.argv[1], os.O_RDONLY | os.O_DIRECT)
rest = open("/run/at-rest", "rb").read()
buffer = mmap.mmap(-1, 65536)
right = failed = 0
for at in range(0, len(rest), 65536):
    try:
        done = os.preadv(fd, [buffer], (128 << 20) + at)
    except OSError:
        failed += 1
        continue
    if done != 65536 or buffer[:] != rest[at:at + 65536]:
        sys.exit("wrong data at byte %d" % at)
    right += 1
print("at rest: %d reads of 64 KiB right, %d failed" % (right, failed))
sys.exit(0 if right and failed else "all or none")
END
dmesg -C
took

say "xsand is killed and starts before the drives are back: it leaves the pool alone"
kill_xsand
sleep 0.3
start_xsand
sleep 1
if xsanctl --json show tank >/dev/null 2>&1; then fail "tank runs without three drives"; fi
if xsanctl assemble tank --scan 2>/run/refused; then fail "tank was assembled without three drives"; fi
grep -q "pool 'tank' cannot start" /run/refused || fail "refused, but how: $(cat /run/refused)"
if xsanctl --json show tank >/dev/null 2>&1; then fail "tank runs without three drives"; fi
took

say "the drives come back"
for drive in 1 2 4; do insert "$drive"; done
xsanctl assemble tank --scan
rebuilt tank
members_are tank in_sync 6
cmp /run/at-rest <(dd if="$device" bs=1M skip=128 iflag=direct status=none) || fail "data at rest differs"
scrubbed tank
fio_verify "$device"
xsanctl stop tank
stop_xsand
kernel_is_content
took
