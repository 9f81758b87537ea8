#!/usr/bin/env bash
# shellcheck disable=SC1091,SC2015,SC2016,SC2154  # lib.sh is found in the guest; fail does not return; code for other shells
# The words of lib.sh mean what they say; xsand and xsanctl are stand-ins here.
set -euo pipefail
source "$XSAN_REPO/tests/vm/lib.sh"

mkdir /run/stand-in
cat >/run/stand-in/xsand <<'END'
#!/bin/bash
trap 'rm -f /run/xsan/answers; exit ${ENDS_WITH:-0}' TERM
echo "here with $*"
[ "$*" != --broken ] || exit 1
sleep 0.5
touch /run/xsan/answers
while :; do read -r -t 0.1 <> <(:) || true; done
END
echo '[ -e /run/xsan/answers ]' >/run/stand-in/xsanctl
chmod +x /run/stand-in/*
PATH=/run/stand-in:$PATH

# ends_with TEXT CODE: the code, as a script of its own, ends with status 1 and says TEXT
ends_with() {
    local status=0 output
    output=$(bash -c "source '$XSAN_REPO/tests/vm/lib.sh'; $2" words 2>&1) || status=$?
    [ "$status" = 1 ] && [[ $output = *"$1"* ]] || fail "status $status and '$output', not '$1': $2"
}

say "xsand starts, stops and is killed"
start_xsand --config nothing
grep -q 'here with --config nothing' "$xsand_log" || fail "no log"
[ -e /run/xsan/answers ] && [ -c /dev/ublk-control ] || fail "start_xsand returned too early"
stop_xsand
[ ! -e /run/xsan/answers ] || fail "stop_xsand returned too early"
start_xsand
pid=$xsand_pid
kill_xsand
! kill -0 "$pid" 2>/dev/null || fail "kill_xsand returned too early"
rm /run/xsan/answers
ends_with "here with --broken" "start_xsand --broken"
ends_with "ended with status 3" "export ENDS_WITH=3; start_xsand; stop_xsand"
ends_with "xsand does not run" "kill_xsand"

say "refusals have one line and a status"
expect_refused sh -c 'echo no such pool >&2; exit 1'
ends_with "not refused" "expect_refused true"
ends_with "2 lines instead of one" "expect_refused sh -c 'echo one >&2; echo two >&2; exit 1'"
ends_with "0 lines instead of one" "expect_refused false"
ends_with "status 137" "expect_refused sh -c 'kill -9 \$\$'"

say "waiting ends"
(sleep 1; touch /run/there) &
wait_until 20 test -e /run/there
ends_with "not within 1 s: test -e /nowhere" "wait_until 1 test -e /nowhere"

say "a script ends at its first failure and says where"
ends_with 'ended with status 1' 'false; echo not reached'
ends_with 'xsan99 is not in the guest' 'drive=$(dev 99); echo not reached'
ends_with 'ended with status 1' 'inner() { false; }; inner; echo not reached'

say "fio_verify tells good from bad"
fio_verify "$(dev 0)" --io_size=4m
ends_with "fio on" "fio_verify /nowhere/file"
