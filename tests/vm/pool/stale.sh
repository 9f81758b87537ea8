#!/usr/bin/env bash
# shellcheck disable=SC1091,SC2046
# Drives are away while others write, and what they held is overwritten with noise meanwhile. Added again, they are
# rebuilt, and nothing is read from them before; while they are rebuilt they are read to be compared, and never believed.
# A drive that was away and left alone is written only where it missed something. Drives: 6 of 256M.
set -euo pipefail
source "$XSAN_REPO/tests/vm/pool/lib.sh"

start_xsand
xsanctl create tank --scheme 4+2 --size 128M $(dev 0 1 2) $(ng 3 4 5) >/dev/null
device=$(shown tank '.volumes[0].device')
dd if=/dev/urandom of="$device" bs=1M count=96 oflag=direct status=none
# Extents are taken from the lowest on.
used=$(shown tank '.members[1].used_bytes') data_offset=$(shown tank '.members[1].data_offset_bytes')
reads() { xsan-vm stats "xsan$1" | jq .rd_operations; }
written() { xsan-vm stats "xsan$1" | jq .wr_bytes; }

say "a block device and one that is passed through are pulled; others write on"
xsanctl rebuild tank pause >/dev/null
pull 1
pull 4
missing() { [ "$(shown tank '[.members[] | select(.state == "missing")] | length')" = 2 ]; }
# A drive is missed when it is asked.
dd if=/dev/urandom of="$device" bs=1M count=48 seek=24 oflag=direct status=none
wait_until 30 missing
before=$(digest "$device" 96)

say "noise over their extents"
for drive in 1 4; do
    xsan-vm noise xsan$drive "$data_offset" "$used" --seed $drive
    insert $drive
done
took

say "added again they are stale: served without them, then rebuilt"
xsanctl add tank "$(dev 1)" "$(ng 4)" >/dev/null
stale_reads=("$(reads 1)" "$(reads 4)")
[ "$(digest "$device" 96)" = "$before" ] || fail "other data is read with stale members"
is_state tank degraded || fail "tank is $(shown tank .state), not degraded"
fio_verify "$device" --offset=72m --size=24m --io_size=24m
before=$(digest "$device" 96)
not_read() {
    local now=("$(reads 1)" "$(reads 4)")
    [ "${now[*]}" = "${stale_reads[*]}" ] || fail "stale members were read $1: ${stale_reads[*]} reads, then ${now[*]}"
}
not_read "before their rebuild"
xsanctl rebuild tank resume >/dev/null
rebuilt tank
members_are tank in_sync 6
took

say "what was rebuilt on them is right, whatever else is lost"
scrubbed tank
xsanctl fail tank "$(dev 0)" >/dev/null
xsanctl fail tank "$(ng 5)" >/dev/null
[ "$(digest "$device" 96)" = "$before" ] || fail "other data is read from the members that were stale"
[ "$(reads 1)" -gt "${stale_reads[0]}" ] || fail "the counters do not count"
xsanctl add tank "$(dev 0)" "$(ng 5)" >/dev/null
rebuilt tank
took

say "a drive that was away and left alone is given what it missed, and no more"
pull 2
dd if=/dev/urandom of="$device" bs=1M count=1 seek=40 oflag=direct conv=fsync status=none
one_missing() { [ "$(shown tank '[.members[] | select(.state == "missing")] | length')" = 1 ]; }
wait_until 30 one_missing
before=$(digest "$device" 96)
insert 2
first=$(written 2)
xsanctl add tank "$(dev 2)" >/dev/null
rebuilt tank
given=$(($(written 2) - first))
echo "$given bytes written to a drive that holds $used"
[ "$given" -lt $((used / 4)) ] || fail "a drive that missed one MiB of data was given $given bytes"

say "and so it is right"
scrubbed tank
xsanctl rebuild tank pause >/dev/null
xsanctl fail tank "$(dev 0)" >/dev/null
xsanctl fail tank "$(dev 1)" >/dev/null
[ "$(digest "$device" 96)" = "$before" ] || fail "other data is read from the member that was away"
xsanctl destroy tank --yes >/dev/null
stop_xsand
kernel_is_content
took
