#!/usr/bin/env bash
# shellcheck disable=SC1091,SC2015  # lib.sh is found in the guest; A && B || fail: fail does not return
# With --init systemd the guest has a running systemd and udev: links to drives, services, a journal.
set -euo pipefail
source "$XSAN_REPO/tests/vm/lib.sh"

say "systemd is process 1"
[ "$(cat /proc/1/comm)" = systemd ] || fail "process 1 is $(cat /proc/1/comm)"
[ -z "${DM_DISABLE_UDEV-}" ] || fail "DM_DISABLE_UDEV is set"

say "udev names the drives, also the one that comes back"
[ -n "$(find /dev/disk/by-id -lname "*/$(basename "$(dev 0)")")" ] || fail "no link to drive 0"
pull 0
insert 0
udevadm settle
[ -n "$(find /dev/disk/by-id -lname "*/$(basename "$(dev 0)")")" ] || fail "no link to the drive that came back"

say "a service starts, stops, and is restarted when it is killed"
cat >/run/systemd/system/probe.service <<'END'
[Service]
ExecStart=/bin/sleep 1000
Restart=always
RestartSec=0
END
systemctl daemon-reload
systemctl start probe
first=$(systemctl show -P MainPID probe)
kill -9 "$first"
restarted() { [ "$(systemctl show -P MainPID probe)" != "$first" ] && systemctl -q is-active probe; }
wait_until 30 restarted
systemctl stop probe
journalctl -u probe | grep -q Started || fail "the journal does not know of it"
