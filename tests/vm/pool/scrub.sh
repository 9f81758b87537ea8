#!/usr/bin/env bash
# shellcheck disable=SC1091,SC2046
# Silent corruption: noise on members behind a stopped pool is found by a check, told by member, and put right by a
# repair: two parities restore what was there, one parity makes the stripe agree with its data. A scrub that is cut off
# by kill -9 or a stop goes on. Drives: 6 of 256M.
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

status_is() { xsanctl --json scrub tank status 2>/dev/null | jq -e "$1" >/dev/null; }

say "killed in the middle at a limited rate, it goes on, and counts each stripe once"
xsanctl stop tank
noise 2 0
noise 4 131072
noise 3 393216
xsanctl assemble tank --scan >/dev/null
xsanctl scrub tank check --rate-max 4M >/dev/null
began=$SECONDS
# What is found early is durable a second later.
wait_until 60 status_is '.mismatches == 3 and .percent > 20'
[ $((SECONDS - began)) -ge 3 ] || fail "20 % of 96 MiB were read at 4 MiB a second in $((SECONDS - began)) s"
kill_xsand
sleep 0.3
start_xsand
wait_until 60 status_is '.state == "running"'
status_is '.resumed and .kind == "check" and .rate_max_bytes == 4194304 and .stripes_checked > 0 and .percent < 100' ||
    fail "after kill -9: $(xsanctl --json scrub tank status)"
took

say "paused it stays where it is, over a stop too"
xsanctl scrub tank pause >/dev/null
sleep 1
held=$(xsanctl --json scrub tank status | jq .stripes_checked)
xsanctl stop tank
xsanctl assemble tank --scan >/dev/null
sleep 2
status_is ".state == \"paused\" and .resumed and .stripes_checked == $held" ||
    fail "held at $held: $(xsanctl --json scrub tank status)"
xsanctl scrub tank resume --rate 0 >/dev/null
xsanctl scrub tank wait >/dev/null
status_is '.state == "done" and .mismatches == 3 and .stripes_checked == .stripes_total' ||
    fail "at its end: $(xsanctl --json scrub tank status)"
status=$(scrub repair)
jq -e '.mismatches == 3 and .repaired == 3' <<<"$status" >/dev/null || fail "repair: $status"
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
