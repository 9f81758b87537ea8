#!/usr/bin/env bash
# shellcheck disable=SC1091,SC2046  # lib.sh is found in the guest
# kill9.sh [N] [SEED]: xsand is killed N times (10) under writes to a volume and to a mounted filesystem, and restarted.
# Nobody above notices; parity agrees with data each time, and each time everything reads the same with P members failed
# (kill9.py). Half of the members are block devices, half are passed through. Drives: 6.
set -euo pipefail
source "$XSAN_REPO/tests/vm/pool/lib.sh"
rounds=${1:-10} seed=${2:-1}

start_xsand
xsanctl create tank --scheme 4+2 --size 24M $(dev 0 1 2) $(ng 3 4 5) >/dev/null
xsanctl volume create tank files --size 32M >/dev/null
device=$(shown tank '.volumes[] | select(.name == "data") | .device')
files=$(shown tank '.volumes[] | select(.name == "files") | .device')
mkfs.ext4 -q "$files"
mkdir -p /mnt/a
mount "$files" /mnt/a
# Killed and started there from now on: it is not this shell's child any more.
disown "$xsand_pid"
status=0
"$XSAN_REPO/tests/vm/pool/kill9.py" "$rounds" "$seed" "$xsand_pid" "$device" /mnt/a || status=$?
[ $status = 0 ] || fail "status $status"

say "and in the end"
xsand_pid=$(cat /run/xsand.pid)
members_are tank in_sync 6
scrubbed tank
umount /mnt/a
e2fsck -fn "$files" >/run/fsck 2>&1 || fail "e2fsck: $(cat /run/fsck)"
xsanctl stop tank
kill -TERM "$xsand_pid"
wait_until 60 eval "! kill -0 $xsand_pid"
kernel_is_content
