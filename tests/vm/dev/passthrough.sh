#!/usr/bin/env bash
# Drives through the block interface, by passthrough (/dev/ngXnY) and as kernel block devices: data, claims,
# errors, loss, and that a dead process's commands have drained before anyone else can claim the drive.
# Usage: tests/vm/run.sh --drives 2 [--lba 4096] tests/vm/dev/passthrough.sh
# shellcheck source=tests/vm/lib.sh
source "$XSAN_REPO/tests/vm/lib.sh"

check() { timeout 120 xsan-dev-check "$@"; }
fact() { check identify "$1" | sed -n "s/^$2 //p"; }
expect_text() { [[ $2 == *"$1"* ]] || fail "expected '$1', got '$2'"; }
writes() { xsan-vm stats "$1" | python3 -c 'import json, sys; print(json.load(sys.stdin)["wr_operations"])'; }

ng0=$(ng 0) ng1=$(ng 1) block0=$(dev 0) block1=$(dev 1)

say "identity"
check identify "$ng0"
mkdir -p /run/links && ln -sf "$block0" /run/links/by-id
[ "$(fact "$ng0" unique_id)" = "$(fact "$block0" unique_id)" ] || fail "two names, two identities"
[ "$(fact /run/links/by-id unique_id)" = "$(fact "$block0" unique_id)" ] || fail "a link is another drive"
[ "$(fact "$ng0" unique_id)" != "$(fact "$ng1" unique_id)" ] || fail "two drives, one identity"
[ "$(fact "$ng0" serial)" = xsan0 ] && [ "$(fact "$block0" serial)" = xsan0 ] || fail "serial"
[ "$(fact "$ng0" transport)" = pcie ] && [ "$(fact "$ng0" kind)" = nvme ] || fail "kind or transport"
[ "$(fact "$ng0" size)" = "$(blockdev --getsize64 "$block0")" ] || fail "size"
[ "$(fact "$ng0" volatile_cache)" = true ] && [ "$(fact "$block0" volatile_cache)" = true ] || fail "cache"
[ "$(fact "$ng0" temperature)" = 50 ] || fail "health"

for device in "$ng0" "$block1"; do
    say "random requests against a model on $device"
    check verify "$device" "${XSAN_SECONDS:-5}" "${XSAN_SEED:-1}"
done
say "what passthrough wrote is what the block device reads"
check one "$ng0" write 1048576 >/dev/null
cmp -n 4096 -i 1048576:0 "$block0" /dev/zero || fail "different data under the two names"

say "claims"
xsan-dev-check until-gone "$ng0" 300 >/run/holder.log & holder=$!
wait_until 20 grep -q running /run/holder.log
expect_refused check claim "$ng0"
expect_refused check claim "$block0"
expect_text "in use" "$(fact "$block0" in_use)"
kill -KILL "$holder"
wait "$holder" 2>/dev/null || true
wait_until 10 check claim "$ng0"
check release "$ng0"
check release "$block0"
expect_refused check claim "${block0%n1}"
mkfs.ext4 -q -L home "$block1"
expect_text "a filesystem (ext4) labelled 'home'" "$(fact "$ng1" signature)"
mount "$block1" /mnt
expect_text "is mounted at /mnt" "$(fact "$ng1" in_use 2>/dev/null)"
expect_refused check claim "$ng1"
umount /mnt
[ "$(fact "$ng1" in_use)" = no ] || fail "still in use after the unmount"
wipefs -qa "$block1"

say "errors"
xsan-vm error xsan0 read --sector 80
for device in "$ng0" "$block0"; do
    expect_text media_error "$(check one "$device" read 40960)"
    expect_text "ok " "$(check one "$device" read 65536)"
done
xsan-vm ok xsan0
xsan-vm error xsan0 write --sector 80
for device in "$ng0" "$block0"; do
    expect_text io_error "$(check one "$device" write 40960)"
done
xsan-vm ok xsan0
echo "reads and writes fail as they must; now a flush"
xsan-vm error xsan0 flush
# The emulator passes a flush on only when there is something to flush.
check one "$ng0" write 40960 >/dev/null
expect_text io_error "$(check one "$ng0" flush)"
xsan-vm ok xsan0
expect_text "ok " "$(check one "$ng0" write 40960)"

say "a dead process's commands drain before the drive can be claimed"
for device in "$ng0" "$block0"; do
    xsan-vm slow xsan0 10
    xsan-dev-check flood "$device" 128 >/run/flood.log & flooder=$!
    wait_until 20 grep -q flooding /run/flood.log
    kill -KILL "$flooder"
    wait "$flooder" 2>/dev/null || true
    refused=0
    while ! check claim "$device" 2>/dev/null; do
        refused=$((refused + 1))
        [ "$refused" -lt 2000 ] || fail "the claim of a dead process never ends"
    done
    before=$(writes xsan0)
    xsan-vm ok xsan0
    sleep 1
    after=$(writes xsan0)
    echo "$device: refused $refused times while draining; $before writes when claimed, $after later"
    [ "$before" = "$after" ] || fail "commands of the dead process ran after the claim"
    [ "$refused" -gt 0 ] || fail "the claim did not outlive the process: this test shows nothing"
done

say "a pulled drive"
for device in "$ng0" "$block0"; do
    check until-gone "$device" 60 >/run/gone.log & user=$!
    wait_until 20 grep -q running /run/gone.log
    sleep 1
    xsan-vm pull xsan0
    status=0
    wait "$user" || status=$?
    cat /run/gone.log
    [ "$status" = 0 ] || fail "not every request ended with device_gone on $device"
    xsan-vm insert xsan0
    wait_until 20 dev 0
done

say "a namespace with metadata is refused"
modprobe -q nvme || true
if nvme format "$block1" --lbaf=1 --force >/dev/null 2>&1; then
    expect_refused check claim "$ng1"
fi
say done
