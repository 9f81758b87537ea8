#!/usr/bin/env bash
# shellcheck disable=SC1091,SC2015,SC2016,SC2046,SC2154
# Wear leveling of a pool of six drives one of which ages, by a file of readings: new groups avoid it, relocation relieves it,
# under verifying fio; policies change meanwhile; xsand is killed while the background task moves groups. What is known of
# wear survives stops and kills, and damage of a drive's copy of it. Wrong orders are refused. Drives: 6 of 256M.
set -euo pipefail
source "$XSAN_REPO/tests/vm/wear/lib.sh"

configure adaptive
age 5
start_xsand --config "$config"
xsanctl create tank --scheme 2+1 --extent 2M --size 192M $(dev 0 1 2 3 4 5) >/dev/null
device=$(shown tank '.volumes[0].device')
# The first 64 MiB are written again and again, what is behind them stays: `cold`.
cold() { dd if="$device" bs=1M skip=64 count=128 iflag=direct status=none | md5sum | cut -d' ' -f1; }

say "a new pool has the policy and the readings of the configuration"
[ "$(worn .policy)" = '"adaptive"' ] || fail "the policy is $(worn .policy)"
jq -e '. == (["adaptive", "least_worn", "load", "mixed", "round_robin", "staggered", "weighted_random"])' \
    <<<"$(worn '.policies | sort')" >/dev/null || fail "policies: $(worn .policies)"
[ "$(worn .task.state)" = '"stopped"' ] || fail "the task is $(worn .task.state) in a new pool"
all_young() { is_worn '.members | length == 6 and all(.wear >= 5 and .wear < 6 and .source == "file")'; }
wait_until 60 all_young
dd if=/dev/urandom of="$device" bs=1M count=64 oflag=direct status=none
is_worn '[.members[].used_bytes] | min > 0 and max < 3 * min' || fail "uneven without reason: $(worn '[.members[].used_bytes]')"
took

say "a drive ages while the pool runs: that shows within a minute"
age 5 0=70
wait_until 60 seems_worn 0 70
is_worn '.wear.max >= 70 and .wear.min < 6' || fail "spread: $(worn .wear)"
is_worn '[.members[] | select(.index == 0)][0].reading.percentage_used == 70' || fail "reading: $(member 0 .reading)"
cp "$readings" /run/good
printf '[[drive]]\nserial = "xsan1"\npercentage_used = 300\n' >"$readings.new"
mv "$readings.new" "$readings"
told() { grep -q 'wear.toml:3: drive.percentage_used: must be 0 to 255' "$xsand_log"; }
wait_until 60 told
sleep 20
[ "$(grep -c 'wear.toml:3: drive.percentage_used' "$xsand_log")" = 1 ] || fail "a mistake is told again and again"
seems_worn 0 70 && seems_worn 1 5 || fail "a file with a mistake was taken: $(worn '[.members[].wear]')"
cp /run/good "$readings.new"
mv "$readings.new" "$readings"
took

say "new groups avoid it"
used=$(worn '[.members[].used_bytes]')
written=$(worn '[.members[] | .written.data.bytes + .written.parity.bytes]')
fio_verify "$device" --offset=64m --size=128m --io_size=192m & load=$!
rises=0 last=0
while kill -0 "$load" 2>/dev/null; do
    now=$(worn '[.members[].written_bytes] | add')
    if [ "$now" -gt "$last" ]; then rises=$((rises + 1)); fi
    last=$now
    sleep 1
done
wait "$load" || fail "fio has failed"
[ "$rises" -ge 3 ] || fail "figures are not live: they rose $rises times"
# less_than_half BEFORE NOW: of what was added since, the aged drive got less than half of what the others got on average
less_than_half() {
    jq -en --argjson before "$1" --argjson now "$2" '
        [range(6)] | map($now[.] - $before[.]) | (.[1:] | add / 5) as $others | $others > 0 and 2 * .[0] < $others' >/dev/null
}
sleep 2
now=$(worn '[.members[].used_bytes]')
less_than_half "$used" "$now" || fail "groups: from $used to $now"
echo "used: $used, then $now"
now=$(worn '[.members[] | .written.data.bytes + .written.parity.bytes]')
less_than_half "$written" "$now" || fail "bytes: from $written to $now"
echo "written: $written, then $now"
[ "$(events '[.events[] | select(.kind == "wear_mode")] | length')" -ge 1 ] || fail "no event tells of the policy's mode: $(events '[.events[].kind]')"
# What users wrote is added up every ten seconds.
wait_until 30 is_worn '.user_written_bytes >= 192 * 1048576 and .write_amplification > 1 and .write_amplification < 6' ||
    fail "amplification $(worn '[.user_written_bytes, .write_amplification]')"
took

say "balance relieves it"
before=$(cold)
hot_begins "$device" --size=64m --io_size=32m
plan() { xsanctl --json wear plan tank | jq -c "$1"; }
has_plan() { plan '[.moves[] | select(.from == 0 and .reason == "wear")] | length > 0' | jq -e . >/dev/null; }
wait_until 120 has_plan
used=$(worn '[.members[].used_bytes]')
is_worn '.task.moves_done == 0 and .task.moves_waiting == 0' || fail "a plan has moved groups: $(worn .task)"
# aged_load: what is written to the aged drive, in parts of what is written to one of the others on average
aged_load() {
    local samples=() round
    for round in 1 2 3 4 5; do
        samples+=("$(worn '[.members[].rate_bytes]')")
        sleep 4
    done
    jq -n '[inputs] | ([.[][0]] | add) / ([.[][1:][]] | add / 5)' <<<"${samples[*]}"
}
load_before=$(aged_load)
last=$(events .last)
answer=$(xsanctl --json wear balance tank)
jq -e '(.moves | length) > 0 and .bytes > 0 and .levels_wear and .spread > 60' <<<"$answer" >/dev/null || fail "balance: $answer"
over() { is_worn '.task.moves_waiting == 0 and .task.moves_running == 0 and .task.moves_done > 0'; }
wait_until 300 over
sleep 12 # the moves' own writes are in the rates until then
load_after=$(aged_load)
now=$(worn '[.members[].used_bytes]')
hot_ends
echo "used: $used, then $now; load of the aged drive: $load_before of the others', then $load_after; $(worn .task)"
[ "$(jq '.[0]' <<<"$now")" -lt "$(jq '.[0]' <<<"$used")" ] || fail "the aged drive holds no less than before"
[ "$(jq add <<<"$now")" = "$(jq add <<<"$used")" ] || fail "extents are lost, or taken for nothing"
jq -en --argjson before "$load_before" --argjson after "$load_after" '$after < $before' >/dev/null ||
    fail "the aged drive is written no less than before"
[ "$(cold)" = "$before" ] || fail "other data is read after the moves"
[ "$(happened wear_plan "$last")" -ge 1 ] || fail "no event tells of the plan"
[ "$(happened wear_moved "$last")" = "$(worn .task.moves_done)" ] || fail "moves and events differ: $(worn .task)"
xsanctl --json events tank --since "$last" | jq -e '
    ([.events[] | select(.kind == "wear_move") | .text | test("^group [0-9]+ slot [0-9]+: member [0-9]+ -> [0-9]+, ")] | all and length > 0)
    and ([.events[].number] | . == (sort | unique))' >/dev/null || fail "events: $(events '.events[-5:]')"
is_worn '[.members[].written.relocation.bytes] | add > 0' || fail "no writes of relocation"
scrubbed tank
took

say "policies change under verifying fio, and each places groups"
xsanctl volume create tank more --size 96M >/dev/null
more=$(shown tank '.volumes[] | select(.name == "more") | .device')
last=$(events .last)
changes=0
hot_begins "$device" --size=64m --io_size=16m
for policy in round_robin least_worn mixed weighted_random load staggered adaptive; do
    answer=$(xsanctl --json wear policy tank "$policy")
    [ "$(jq -r .policy <<<"$answer")" = "$policy" ] || fail "policy $policy: $answer"
    [ "$(worn .policy)" = "\"$policy\"" ] || fail "the policy is $(worn .policy), not $policy"
    dd if=/dev/urandom of="$more" bs=1M count=12 seek=$((changes * 12)) oflag=direct status=none
    changes=$((changes + 1))
done
hot_ends
[ "$(happened wear_policy "$last")" = $changes ] || fail "events tell of $(happened wear_policy "$last") changes, not $changes"
is_state tank online || fail "tank is $(shown tank .state)"
no_io_errors
took

say "xsand is killed while the background task moves groups"
age 5 1=75
wait_until 60 seems_worn 1 75
wait_until 60 seems_worn 0 5
used=$(member 1 .used_bytes)
xsanctl wear set tank interval_seconds=10 rate_max=512K >/dev/null
hot_begins "$device" --size=64m --io_size=16m
xsanctl wear start tank >/dev/null
moves() { is_worn '.task.moves_running > 0'; }
for round in 1 2; do
    wait_until 180 moves
    kill_xsand
    start_xsand --config "$config"
    wait_until 60 shown tank .state
    is_worn '.task.state != "stopped" and .task.state != "paused"' || fail "round $round: the task is $(worn .task.state)"
    is_worn '.settings.interval_seconds == 10' || fail "round $round: settings are forgotten: $(worn .settings)"
    wait_until 60 seems_worn 1 75
done
xsanctl wear set tank rate_max=0 >/dev/null
goes_on() { is_worn '.task.moves_done > 0'; }
wait_until 180 goes_on
xsanctl wear pause tank >/dev/null
[ "$(worn .task.state)" = '"paused"' ] || fail "paused it is $(worn .task.state)"
xsanctl wear resume tank >/dev/null
xsanctl wear set tank schedule=$(date -u -d '3 hours' +%H:00)-$(date -u -d '4 hours' +%H:00) >/dev/null
wait_until 60 is_worn '.task.state == "waiting"'
xsanctl wear set tank schedule=always >/dev/null
xsanctl wear stop tank >/dev/null
wait_until 60 is_worn '.task.state == "stopped" and .task.moves_waiting == 0 and .task.moves_running == 0'
hot_ends
resynced tank
[ "$(member 1 .used_bytes)" -lt "$used" ] || fail "the task has not relieved member 1: $used, then $(member 1 .used_bytes)"
[ "$(cold)" = "$before" ] || fail "other data is read"
scrubbed tank
no_io_errors
took

say "wrong orders"
known() { worn '[.policy, .settings, .task.state, .task.moves_done, [.members[] | .endurance_bytes, .since]]'; }
state=$(known) last=$(events .last)
wrong() { expect_refused xsanctl "$@"; }
for verb in show history policy plan predict start stop pause resume balance reset; do wrong wear $verb tnak; done
wrong wear policy tank worst
wrong wear set tank
for change in spread_start=101 spread_start=-1 spread_start=abc spread_start= spread_start colour=1 gain_min=0.5 growth=0 \
    outlook_days=0 horizon_days=3651 fill_max=2 fill_slack=-1 gap=51 moves_max=0 moves_max=1.5 interval_seconds=9 \
    rate_max=12Q latency_factor=101 schedule=25:00-01:00 schedule=01:00 warn_at=90,80 warn_at= warn_at=101 prevent_days=-1; do
    wrong wear set tank $change
done
wrong wear set tank gap=20 colour=1
wrong wear set tank spread_start=1 spread_stop=2
wrong wear set tank endurance=1T
wrong wear set tank --member 17 endurance=1T
wrong wear set tank --member 0 endurance=12Q
wrong wear set tank --member 0 endurance=-1
for threshold in 0 101 x; do wrong wear predict tank --threshold $threshold; done
for days in 0 -1 x 36501; do wrong wear predict tank --within $days; done
wrong wear reset tank --member 17
wrong wear history tank --member 17
wrong wear export tank /nonexistent/x.json
wrong wear export tank /run/x.xml
wrong wear export tank /run/x.json --format xml
wrong wear export tank /run/x.json --what members
[ ! -e /run/x.xml ] && [ ! -e /run/x.json ] || fail "a refused export has left a file"
wrong wear watch tank --count 1 --interval 0
wrong events tnak
wrong events tank --since x
wrong wear start
[ "$(known)" = "$state" ] && [ "$(events .last)" = "$last" ] || fail "refused, but something has changed: $(known)"
took

say "predictions and thresholds, for scripts"
# checked: the exit status of predict --check
checked() {
    local status=0
    xsanctl wear predict tank --check >/dev/null 2>&1 || status=$?
    echo $status
}
last=$(events .last)
for case in 5:0 85:4 95:5; do
    age 5 3=${case%:*}
    wait_until 60 seems_worn 3 ${case%:*}
    [ "$(checked)" = ${case#*:} ] || fail "exit status $(checked) with a drive at ${case%:*}"
done
[ "$(happened wear_threshold "$last")" -ge 2 ] || fail "no event tells of thresholds: $(told_since "$last")"
age 5
wait_until 60 seems_worn 3 5
# A history that falls begins anew, with the next point.
is_young() { xsanctl --json wear history tank | jq -e '[.members[].points[-1].wear] | all(. < 6)' >/dev/null; }
wait_until 120 is_young
xsanctl wear export tank /run/export.json
jq -e '.show.pool == "tank" and (.history.members | length) == 6 and (.predict.members | length) == 6 and
       (.events.events | length) > 0' /run/export.json >/dev/null || fail "export: $(head -c 300 /run/export.json)"
xsanctl wear export tank /run/export.csv
[ "$(head -n 1 /run/export.csv)" = time,member,serial,wear ] || fail "export: $(head -n 2 /run/export.csv)"
xsanctl wear export tank /run/export.csv --what members
python3 -S - /run/export.csv <<'END' || fail "export: $(head -n 2 /run/export.csv)"
import csv, sys
rows = list(csv.DictReader(open(sys.argv[1], newline="")))
kinds = ("data", "parity", "rebuild", "relocation", "zeros", "log", "metadata")
assert [row["member"] for row in rows] == [str(i) for i in range(6)], rows
for row in rows:
    assert None not in row and None not in row.values(), row
    written = sum(int(row[kind + "_bytes"]) for kind in kinds)
    assert written == int(row["written_bytes"]), row
    data = int(row["data_bytes"])
    assert (row["write_amplification"] == "") == (data == 0), row
    assert data == 0 or abs(float(row["write_amplification"]) - written / data) < 1e-6, row
END
xsanctl wear export tank /run/export.csv --what events
[ "$(head -n 1 /run/export.csv)" = number,time,kind,text ] || fail "export: $(head -n 2 /run/export.csv)"
[ "$(tail -n 1 /run/export.csv | cut -d, -f1)" -gt "$last" ] || fail "export: $(tail -n 2 /run/export.csv)"
took

say "figures survive a stop"
xsanctl wear policy tank mixed >/dev/null
xsanctl wear set tank gap=13 >/dev/null
xsanctl --json wear set tank --member 2 endurance=1T >/dev/null
sleep 3
kept() { worn '[.policy, .settings, [.members[] | .endurance_bytes, .endurance_origin, .since]]'; }
history() { xsanctl --json wear history tank | jq -c '[.members[] | [.index, .points[0].time]]'; }
begin=$(($(events .last) - 20))
had=$(figures) state=$(kept) points=$(history) told=$(told_since $begin)
jq -e 'length == 20' <<<"$told" >/dev/null || fail "events: $told"
jq -e 'all(.[1] != null)' <<<"$points" >/dev/null || fail "history: $points"
same() { # the same policy, settings, history and events as before
    [ "$(kept)" = "$state" ] || fail "$1: from $state to $(kept)"
    [ "$(history)" = "$points" ] || fail "$1: history from $points to $(history)"
    begins_with "$(told_since $begin)" "$told" || fail "$1: events from $told to $(told_since $begin)"
}
xsanctl stop tank
xsanctl assemble tank --scan >/dev/null
same "after a stop"
[ "$(figures)" = "$had" ] || fail "from $had to $(figures)"
took

say "and a kill, but for what is younger than a minute"
dd if=/dev/urandom of="$device" bs=1M count=8 oflag=direct status=none
sleep 3
xsanctl wear set tank gap=12 >/dev/null # writes down all
had=$(figures) state=$(kept) told=$(told_since $begin)
kill_xsand
start_xsand --config "$config"
wait_until 60 shown tank .state
same "after a kill"
not_less "$had" "$(figures)" || fail "from $had to $(figures)"
dd if=/dev/urandom of="$device" bs=1M count=8 oflag=direct status=none
kill_xsand
start_xsand --config "$config"
wait_until 60 shown tank .state
same "after a kill behind writes"
not_less "$had" "$(figures)" || fail "figures have gone back: from $had to $(figures)"
took

say "a drive's copy of them is damaged"
# damage SOURCE DRIVE...: both places of the book (src/meta/book.h)
damage() {
    local source=$1 number place
    shift
    for number in "$@"; do
        for place in 1 17; do
            dd if="$source" of="$(dev "$number")" bs=4096 count=15 seek=$place oflag=direct conv=notrunc iflag=fullblock \
                status=none
        done
    done
}
whole=$(digest "$device")
xsanctl wear set tank gap=11 >/dev/null
sleep 1
had=$(figures) state=$(kept) told=$(told_since $begin)
for source in /dev/urandom /dev/zero; do
    xsanctl stop tank
    damage $source 2
    xsanctl assemble tank --scan >/dev/null
    is_state tank online || fail "tank is $(shown tank .state)"
    members_are tank in_sync 6
    without() { jq -c 'map(select(.index != 2))' <<<"$1"; }
    [ "$(without "$(figures)")" = "$(without "$had")" ] || fail "the others' figures: from $had to $(figures)"
    [ "$(member 2 .written.data.bytes)" = 0 ] || fail "member 2 begins with $(member 2 .written)"
    [ "$(worn '[.policy, .settings]')" = "$(jq -c '.[:2]' <<<"$state")" ] || fail "policy or settings are lost with one copy"
    begins_with "$(told_since $begin)" "$told" || fail "events are lost with one copy: from $told to $(told_since $begin)"
    [ "$(digest "$device")" = "$whole" ] || fail "other data is read"
done
xsanctl stop tank
damage /dev/urandom 0 1 2 3 4 5
xsanctl assemble tank --scan >/dev/null
is_state tank online || fail "tank is $(shown tank .state) without any copy"
is_worn '.policy as $p | (.policies | index($p)) != null' || fail "policy $(worn .policy)"
is_worn '[.members[].written.data.bytes] | add == 0' || fail "figures out of noise: $(figures)"
[ "$(digest "$device")" = "$whole" ] || fail "other data is read"
xsanctl wear policy tank least_worn >/dev/null
fio_verify "$device" --size=32m --io_size=32m
sleep 2
is_worn '[.members[].written.data.bytes] | add > 0' || fail "nothing is counted any more"
scrubbed tank
xsanctl destroy tank --yes >/dev/null
stop_xsand
kernel_is_content
took
