#!/usr/bin/env bash
# shellcheck disable=SC1091,SC2046
# Ten members under 4+2: the rebuild of one reads from and writes to all nine others, in shares within 1.5 of each
# other, as the drives' own counters say. Drives: 10 of 256M.
set -euo pipefail
source "$XSAN_REPO/tests/vm/pool/lib.sh"

start_xsand
xsanctl create tank --scheme 4+2 --extent 1M $(dev 0 1 2 3 4 5 6 7 8 9) >/dev/null
device=$(shown tank '.volumes[0].device')
say "100 groups of 4 MiB are filled"
fio --name=fill --filename="$device" --ioengine=io_uring --direct=1 --iodepth=4 --rw=write --bs=1m --size=400m \
    --refill_buffers --end_fsync=1 >/run/fill || fail "fio: $(cat /run/fill)"
before=$(digest "$device" 400)
took

# Bytes that a drive read and wrote, in that order.
moved() {
    local fields
    read -r -a fields <"/sys/block/${1##*/}/stat"
    echo $((fields[2] * 512)) $((fields[6] * 512))
}
say "the rebuild of one member"
lost=4
members=($(dev 0 1 2 3 5 6 7 8 9))
declare -A reads writes
for member in "${members[@]}"; do read -r "reads[$member]" "writes[$member]" < <(moved "$member"); done
xsanctl fail tank "$(dev $lost)" >/dev/null
rebuilt tank
took
most_read=0 least_read=$((1 << 60)) most_written=0 least_written=$((1 << 60)) all=0
for member in "${members[@]}"; do
    read -r read written < <(moved "$member")
    read=$((read - reads[$member])) written=$((written - writes[$member]))
    echo "$member: $((read >> 10)) KiB read, $((written >> 10)) KiB written"
    if [ $read -gt $most_read ]; then most_read=$read; fi
    if [ $read -lt $least_read ]; then least_read=$read; fi
    if [ $written -gt $most_written ]; then most_written=$written; fi
    if [ $written -lt $least_written ]; then least_written=$written; fi
    all=$((all + written))
done
[ $all -ge $((40 << 20)) ] || fail "only $all bytes were rebuilt: that is no measurement"
[ $((most_read * 2)) -le $((least_read * 3)) ] || fail "reads: $least_read to $most_read bytes of a member"
[ $((most_written * 2)) -le $((least_written * 3)) ] || fail "writes: $least_written to $most_written bytes of a member"

say "nothing was lost, and two more may go"
[ "$(digest "$device" 400)" = "$before" ] || fail "other data is read"
scrubbed tank
xsanctl rebuild tank pause >/dev/null
xsanctl fail tank "$(dev 0)" >/dev/null
xsanctl fail tank "$(dev 7)" >/dev/null
[ "$(digest "$device" 400)" = "$before" ] || fail "other data is read without two members"
xsanctl destroy tank --yes >/dev/null
stop_xsand
kernel_is_content
took
