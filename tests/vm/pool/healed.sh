#!/usr/bin/env bash
# shellcheck disable=SC1091,SC2046
# Read errors of a drive are healed: nobody above sees them, they are counted, and the member stays. One that comes
# again at the same place after the rewrite, a failed write and a failed flush cost the member, and service goes on.
# All that on block devices and on passed-through ones. Drives: 8 of 256M.
set -euo pipefail
source "$XSAN_REPO/tests/vm/pool/lib.sh"

start_xsand
xsanctl create tank --scheme 4+2 --size 96M $(dev 0 1 2) $(ng 3 4 5) >/dev/null
device=$(shown tank '.volumes[0].device')
dd if=/dev/urandom of="$device" bs=1M count=96 oflag=direct status=none
before=$(digest "$device")
corrected() { shown tank ".members[$1].corrected_errors"; }

# bad DRIVE STRIP [OPTIONS]: a sector in that strip of the drive's first extents cannot be read.
bad() { xsan-vm error "xsan$1" read --sector $(((data_offset + $2 * 65536) / 512)) "${@:3}"; }
# Each member holds parity, which nobody reads, in one of three stripes: one of two in a row is read.
bad_pair() { bad "$@" && bad "$1" $(($2 + 1)) "${@:3}"; }
data_offset=$(shown tank '.members[0].data_offset_bytes')

say "single read errors under load: healed and counted"
# heals DRIVE STRIP TRIES: a sector that fails just as often as xsand asks before it rewrites it, which is found out:
# fewer errors go unnoticed, more would cost the member. The kernel tries each request of a block device six times, and
# it merges requests for neighbouring strips, which then fail as one: there is one such sector at a time.
heals() {
    local strip=$2 times i
    for ((times = 1; times <= 4; times++)); do
        for ((i = 0; i < 2; i++, strip++)); do
            bad "$1" "$strip" --times $((times * $3))
            [ "$(digest "$device")" = "$before" ] || fail "other data is read"
            xsan-vm ok "xsan$1"
            if [ "$(corrected "$1")" -ge 1 ]; then return; fi
        done
    done
    fail "no corrected error of member $1 was counted"
}
heals 1 1 6
heals 4 33 1
bad_pair 1 65 --times 6
bad_pair 4 97 --times 1
fio_verify "$device" --size=64m
members_are tank in_sync 6
xsan-vm ok xsan1
xsan-vm ok xsan4
scrubbed tank
before=$(digest "$device")
took

say "a sector that stays bad after its rewrite costs the member"
for drive in 0 3; do
    # Nothing is left to rebuild to: two members are missing in the end.
    bad_pair $drive 3
    lost() { [ "$(shown tank ".members[$drive].state")" = faulty ]; }
    for ((try = 0; try < 10; try++)); do
        [ "$(digest "$device")" = "$before" ] || fail "other data is read"
        if lost; then break; fi
    done
    lost || fail "member $drive is $(shown tank ".members[$drive].state") with a bad sector"
done
[ "$(digest "$device")" = "$before" ] || fail "other data is read without the members"
for drive in 0 3; do xsan-vm ok xsan$drive; done
xsanctl add tank "$(dev 0)" "$(ng 3)" >/dev/null
rebuilt tank
[ "$(digest "$device")" = "$before" ] || fail "other data is read after the rebuild"
took

say "a failed write costs the member, and service goes on"
# One of them is a spare: the rebuild begins by itself.
xsanctl add tank "$(dev 6)" --spare >/dev/null
xsan-vm error xsan2 write
fio_verify "$device" --size=48m
[ "$(shown tank '.members[2].state')" = faulty ] || fail "member 2 is $(shown tank '.members[2].state')"
rebuilt tank
xsan-vm ok xsan2
xsan-vm error xsan5 write
fio_verify "$device" --size=48m
[ "$(shown tank '.members[5].state')" = faulty ] || fail "member 5 is $(shown tank '.members[5].state')"
xsan-vm ok xsan5
xsanctl add tank "$(ng 5)" >/dev/null
rebuilt tank
took

say "and so does a failed flush"
xsan-vm error xsan4 flush
fio_verify "$device" --size=8m --io_size=8m --fsync=4 --offset=88m
[ "$(shown tank '.members[4].state')" = faulty ] || fail "member 4 is $(shown tank '.members[4].state')"
xsan-vm ok xsan4
xsanctl add tank "$(dev 7)" >/dev/null
rebuilt tank
scrubbed tank
xsanctl destroy tank --yes >/dev/null
stop_xsand
kernel_is_content
took
