#!/usr/bin/env bash
# shellcheck disable=SC1091,SC2046
# Groups move between members under verifying fio; xsand is killed while one moves, and a target is pulled: nothing is lost,
# and the group is where it was or where it was to go. Wrong orders are refused. Drives: 6 of 256M.
set -euo pipefail
source "$XSAN_REPO/tests/vm/pool/lib.sh"

start_xsand
xsanctl create tank --scheme 2+1 --extent 4M --size 96M $(dev 0 1 2 3 4) >/dev/null
device=$(shown tank '.volumes[0].device')
dd if=/dev/urandom of="$device" bs=1M count=96 oflag=direct status=none
before=$(digest "$device" 96)

# relocate GROUP FROM TO: what it answers is left in `answer`
relocate() { answer=$(xsanctl --json relocate tank "$1" "$2" "$3" 2>/dev/null); }
# relocate_any GROUP: from the first member that holds a strip of it to the first that may take it, left in `from` and `to`
relocate_any() {
    for from in 0 1 2 3 4; do
        for to in 4 3 2 1 0; do
            if relocate "$1" "$from" "$to"; then return 0; fi
        done
    done
    fail "group $1 cannot be moved: $answer"
}
job() { shown tank '.jobs[] | select(.kind == "relocate") | .state'; }
job_ended() { [ "$(job)" != running ]; }
moved() {
    wait_until 120 job_ended
    [ "$(job)" = done ] || fail "the move has ended as $(job)"
}
# is_on GROUP MEMBER: a refusal says where a group is
is_on() {
    expect_refused xsanctl relocate tank "$1" "$2" "$2"
    [[ $refusal == *'holds a strip'* ]]
}

say "wrong orders"
expect_refused xsanctl relocate tank 0 0
expect_refused xsanctl relocate tank zero 0 1
expect_refused xsanctl relocate tank -1 0 1
expect_refused xsanctl relocate tank 99999 0 1
expect_refused xsanctl relocate tnak 0 0 1
expect_refused xsanctl relocate tank 0 0 17
expect_refused xsanctl relocate tank 0 0 "$(dev 5)"
expect_refused xsanctl rebuild tank --group 0
expect_refused xsanctl rebuild tank --group 99999
expect_refused xsanctl rebuild tank pause --group 0
relocate_any 0
jq -e ".group == 0 and .state == \"relocating\" and (.strips | length) == 3 and
       ([.strips[] | select(.to != null)] == [{member: $from, state: \"ok\", to: $to}])" <<<"$answer" >/dev/null ||
    fail "answer: $answer"
moved
if is_on 0 "$from"; then fail "group 0 is on member $from still"; fi
is_on 0 "$to" || fail "group 0 is not on member $to"
expect_refused xsanctl relocate tank 0 "$from" "$to"
expect_refused xsanctl relocate tank 0 "$to" "$to"
[ "$(digest "$device" 96)" = "$before" ] || fail "other data is read after a move"
took

say "moves under verifying fio"
used=$(shown tank '[.members[].used_bytes] | add')
writes() { fio_verify "$device" --offset=32m --size=64m --io_size=128m & load=$!; }
writes
for ((moves = 0; moves < 5; moves++)); do
    if ! kill -0 "$load" 2>/dev/null; then
        wait "$load" || fail "fio has failed"
        writes
    fi
    relocate_any $moves
    moved
done
wait "$load" || fail "fio has failed"
[ "$(shown tank '[.members[].used_bytes] | add')" = "$used" ] || fail "extents are lost, or taken for nothing"
scrubbed tank
took

say "xsand is killed while a group moves and fio writes"
xsanctl rebuild tank --rate-max 512K >/dev/null
for round in 1 2; do
    fio_verify "$device" --offset=32m --size=64m --io_size=32m & load=$!
    relocate_any 1
    sleep $round
    [ "$(job)" = running ] || fail "the move has ended as $(job) before the kill"
    kill_xsand
    start_xsand
    wait_until 60 shown tank .state
    wait "$load" || fail "fio has failed"
    resynced tank
    is_on 1 "$from" || fail "round $round: a move that was cut off has happened"
    [ -z "$(job)" ] || fail "the move goes on: $(job)"
    scrubbed tank
    took
done

say "killed right behind a move, it has happened"
xsanctl rebuild tank --rate-max 0 >/dev/null
before=$(digest "$device" 96)
relocate_any 1
moved
kill_xsand
start_xsand
wait_until 60 shown tank .state
is_on 1 "$to" || fail "the move is forgotten"
[ "$(digest "$device" 96)" = "$before" ] || fail "other data is read"
xsanctl rebuild tank pause >/dev/null
xsanctl fail tank "$from" >/dev/null
[ "$(digest "$device" 96)" = "$before" ] || fail "other data is read without the member that the group has left"

say "one lost group goes before all others"
lost=
for group in 0 1 2 3 4 5 6 7; do
    expect_refused xsanctl rebuild tank --group $group
    if [[ $refusal == *'is held'* ]]; then lost=$group; fi
done
[ -n "$lost" ] || fail "no group has lost anything"
xsanctl rebuild tank --rate-max 64K >/dev/null
answer=$(xsanctl --json rebuild tank --group "$lost")
jq -e '.state == "rebuilding" and ([.strips[] | select(.state == "lost" and .to != null)] | length) == 1' <<<"$answer" \
    >/dev/null || fail "answer: $answer"
xsanctl rebuild tank --rate-max 0 >/dev/null
rebuilt tank
[ "$(digest "$device" 96)" = "$before" ] || fail "other data is read after the rebuild"
took

say "the target is pulled while a group moves"
xsanctl add tank --force "$(dev 5)" >/dev/null
xsanctl rebuild tank --rate-max 512K >/dev/null
# The new member holds nothing yet: only the move is lost with it.
for from in 0 1 2 3 4; do
    if relocate 2 $from 5; then break; fi
done
sleep 1
[ "$(job)" = running ] || fail "no move to the new member: $answer"
pull 5
wait_until 120 job_ended
[ "$(job)" = failed ] || fail "the move has ended as $(job)"
is_on 2 "$from" || fail "group 2 is not where it was"
[ "$(digest "$device" 96)" = "$before" ] || fail "other data is read"
xsanctl rebuild tank --rate-max 0 >/dev/null
scrubbed tank
xsanctl destroy tank --yes >/dev/null
stop_xsand
kernel_is_content
took
