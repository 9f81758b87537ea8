#!/usr/bin/env bash
# shellcheck disable=SC1091,SC2015  # lib.sh is found in the guest; A && B || fail: fail does not return
# The guest's kernel serves ublk devices.
set -euo pipefail
source "$XSAN_REPO/tests/vm/lib.sh"

say "ublk_drv loads and opens its control device"
modprobe ublk_drv
[ -c /dev/ublk-control ] || fail "there is no /dev/ublk-control"
grep -qw ublk-control /proc/misc || fail "ublk-control is no misc device"
