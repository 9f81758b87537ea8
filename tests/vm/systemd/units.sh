#!/usr/bin/env bash
# run.sh --drives 6 --init systemd: xsand under systemd, as an administrator installs it: the unit is ready only when the
# daemon answers, a killed daemon comes back by itself and takes its devices over, udev makes /dev/xsan/POOL/VOLUME.
source "$XSAN_REPO/tests/vm/lib.sh"

say "install the units, the rule and the programs"
install -m 755 "$(command -v xsand)" /usr/sbin/xsand
install -m 755 "$(command -v xsanctl)" /usr/bin/xsanctl
install -m 644 "$XSAN_REPO"/systemd/*.service /etc/systemd/system/
install -m 644 "$XSAN_REPO"/systemd/60-xsan.rules /etc/udev/rules.d/
install -m 644 "$XSAN_REPO"/systemd/sysusers.d/* /usr/lib/sysusers.d/
install -m 644 "$XSAN_REPO"/systemd/tmpfiles.d/* /usr/lib/tmpfiles.d/
systemd-sysusers
modprobe ublk_drv
udevadm control --reload
systemctl daemon-reload

say "start"
systemctl start xsand.service
systemctl is-active xsand.service
[ "$(stat -c %G:%a /run/xsan/xsand.sock)" = xsan:660 ] || fail "the socket is $(stat -c %G:%a /run/xsan/xsand.sock)"

say "a pool, and its link"
xsanctl create tank --scheme 4+2 $(dev 0 1 2 3 4 5)
wait_until 20 test -L /dev/xsan/tank/data
[ "$(readlink -f /dev/xsan/tank/data)" = /dev/ublkb0 ] || fail "the link leads to $(readlink -f /dev/xsan/tank/data)"
mkfs.ext4 -q /dev/xsan/tank/data
mkdir -p /mnt/tank
mount /dev/xsan/tank/data /mnt/tank
dd if=/dev/urandom of=/mnt/tank/file bs=1M count=8 status=none conv=fsync
sum=$(sha256sum </mnt/tank/file)

say "kill -9: systemd starts it again, the mounted filesystem goes on"
pid=$(systemctl show -p MainPID --value xsand.service)
kill -KILL "$pid"
echo 3 >/proc/sys/vm/drop_caches
[ "$(timeout 60 sha256sum </mnt/tank/file)" = "$sum" ] || fail "the file differs after the restart"
[ "$(systemctl show -p MainPID --value xsand.service)" != "$pid" ] || fail "the daemon was not restarted"

say "stop with a mounted volume: the device waits; start: it goes on"
systemctl restart xsand.service
echo 3 >/proc/sys/vm/drop_caches
[ "$(timeout 60 sha256sum </mnt/tank/file)" = "$sum" ] || fail "the file differs after the planned restart"

say "open without a mount: nothing takes the device away"
umount /mnt/tank
exec 5</dev/ublkb0
if line=$(xsanctl stop tank 2>&1); then fail "a pool was stopped under a reader"; fi
echo "$line"
grep -q 'use\|open' <<<"$line" || fail "the refusal does not say that the device is in use"
[ -e /dev/ublkb0 ] || fail "the device is gone"
systemctl restart xsand.service
dd if=/dev/fd/5 bs=1M count=4 status=none | cmp - <(dd if=/dev/ublkb0 bs=1M count=4 status=none) ||
    fail "the reader did not survive the restart"
exec 5<&-
mount /dev/xsan/tank/data /mnt/tank

say "boot order: assembly at boot finds the pool"
umount /mnt/tank
xsanctl stop tank
systemctl start xsan-assemble.service
xsanctl show tank
wait_until 20 test -L /dev/xsan/tank/data
systemctl stop xsand.service
[ ! -e /dev/ublkb0 ] || fail "an idle device outlived the daemon"
echo "systemd: all good"
