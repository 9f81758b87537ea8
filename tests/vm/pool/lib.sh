# shellcheck shell=bash disable=SC1091
# Words for the guest scripts of this folder: what a pool is asked and what it must answer.
source "$XSAN_REPO/tests/vm/lib.sh"

# shown POOL FILTER: a part of what `show` says, through jq
shown() { xsanctl --json show "$1" | jq -r "$2"; }

# members_are POOL STATE N: as many members are in that state
members_are() {
    local have
    have=$(shown "$1" "[.members[] | select(.state == \"$2\")] | length")
    [ "$have" = "$3" ] || fail "$have members of $1 are $2, not $3: $(shown "$1" '[.members[].state] | join(" ")')"
}

# is_state POOL STATE: the pool's state
is_state() { [ "$(shown "$1" .state)" = "$2" ]; }

# member_path POOL INDEX: where a member is
member_path() { shown "$1" ".members[] | select(.index == $2) | .path"; }

# rebuilt POOL: waits until everything has its redundancy again
rebuilt() {
    xsanctl rebuild "$1" wait >/run/xsan-vm/rebuild 2>&1 ||
        fail "rebuild of $1: $(tail -n 2 /run/xsan-vm/rebuild); $(xsanctl --json rebuild "$1" status)"
    is_state "$1" online || fail "$1 is $(shown "$1" .state) after its rebuild"
}

no_resync() { [ "$(shown "$1" '[.jobs[] | select(.kind == "resync" and .state == "running")] | length')" = 0 ]; }
# resynced POOL: waits until parity was made to agree with data after an unclean stop
resynced() { wait_until 120 no_resync "$1"; }

# scrubbed POOL: all strips are there and agree
scrubbed() {
    local status
    xsanctl scrub "$1" check >/dev/null
    xsanctl scrub "$1" wait >/run/xsan-vm/scrub 2>&1 || fail "scrub of $1: $(tail -n 2 /run/xsan-vm/scrub)"
    status=$(xsanctl --json scrub "$1" status)
    jq -e '.state == "done" and .mismatches == 0 and .errors == 0 and .incomplete == 0
           and .stripes_checked == .stripes_total and .stripes_total > 0' <<<"$status" >/dev/null ||
        fail "scrub of $1: $status"
}

# digest DEVICE [MIB]: what is on it, read from the device itself
digest() { dd if="$1" bs=1M ${2:+count=$2} iflag=direct status=none | md5sum | cut -d' ' -f1; }

# alive: xsand answers
alive() { xsanctl list >/dev/null 2>&1 || fail "xsand does not answer"; }

# kernel_is_content: nothing hung or crashed. A CPU of the guest that the host did not run for a while ("soft lockup")
# says nothing about us.
kernel_is_content() {
    ! dmesg | grep -v 'soft lockup' | grep -E 'WARNING|BUG|Oops|blocked for more' || fail "the kernel complains"
}

# took: seconds since the script's last `took`, for its log
took_since=$SECONDS
took() {
    echo "   ($((SECONDS - took_since)) s)"
    took_since=$SECONDS
}
