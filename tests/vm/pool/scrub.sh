#!/usr/bin/env bash
# shellcheck disable=SC1091,SC2046
# Silent corruption: noise on members behind a stopped pool is found by a check, told by member, and put right by a
# repair: two parities restore what was there, one parity makes the stripe agree with its data. Drives: 6 of 256M.
set -euo pipefail
source "$XSAN_REPO/tests/vm/pool/lib.sh"

scrub() { # check|repair: the status at its end
    xsanctl scrub tank "$1" >/dev/null
    xsanctl scrub tank wait >/dev/null
    xsanctl --json scrub tank status
}
noise() { # DRIVE OFFSET: 64 KiB of the first extent
    dd if=/dev/urandom of="$(dev "$1")" bs=64k count=1 seek=$((($2 + offset) / 65536)) oflag=direct conv=notrunc status=none
}

start_xsand
xsanctl create tank --scheme 4+2 --size 64M $(dev 0 1 2 3 4 5) >/dev/null
device=$(shown tank '.volumes[0].device')
dd if=/dev/urandom of="$device" bs=1M count=64 oflag=direct status=none
before=$(digest "$device")
offset=$(shown tank '.members[0].data_offset_bytes')

say "one wrong strip in each of some stripes: found by member, restored"
xsanctl stop tank
noise 2 0
noise 4 131072
noise 2 262144
xsanctl assemble tank --scan >/dev/null
status=$(scrub check)
jq -e '.mismatches == 3 and .repaired == 0 and .untold == 0 and ([.members[].index] | sort) == [2, 4]' <<<"$status" >/dev/null ||
    fail "check: $status"
status=$(scrub repair)
jq -e '.mismatches == 3 and .repaired == 3 and .untold == 0' <<<"$status" >/dev/null || fail "repair: $status"
scrubbed tank
[ "$(digest "$device")" = "$before" ] || fail "repair has changed data"
took

say "more wrong strips than anybody can tell: said so"
xsanctl stop tank
noise 1 0
noise 3 0
xsanctl assemble tank --scan >/dev/null
status=$(scrub check)
jq -e '.mismatches == 1 and .untold == 1' <<<"$status" >/dev/null || fail "check: $status"
xsanctl destroy tank --yes >/dev/null
stop_xsand
kernel_is_content
took
