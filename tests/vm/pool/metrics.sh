#!/usr/bin/env bash
# shellcheck disable=SC1091,SC2046
# What Prometheus reads rises by what was done: fio's requests and bytes, flushes, discards; every request has a duration; a
# lost member shows; the port is there again after kill -9. Wrong and taken addresses are refused. Drives: 4 of 256M.
set -euo pipefail
source "$XSAN_REPO/tests/vm/pool/lib.sh"

config=/run/xsan-vm/metrics.toml
address=127.0.0.1:9750
# config_with ADDRESS: no group, whose absence would be warned of
config_with() { printf '[control]\ngroup = ""\n[metrics]\nlisten = "%s"\n' "$1"; }
config_with "$address" >"$config"

# scrape FILE: the metrics as they are now, not before: what was done until now is in them
scrape() {
    python3 -S - "http://$address/metrics" >"$1" <<'END'
import sys, time, urllib.request
start = time.monotonic()
while True:
    began = time.monotonic()
    with urllib.request.urlopen(sys.argv[1], timeout=30) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain"), answer.headers
        text = answer.read().decode()
    age = [float(line.split()[1]) for line in text.splitlines() if line.startswith("xsan_snapshot_age_seconds ")]
    if age and age[0] <= began - start:
        break
    assert began - start < 60, f"no new snapshot within a minute, age {age}"
    time.sleep(0.2)
print(text, end="")
END
}

# value FILE NAME [TEXT...]: the sum of the samples of that name whose labels contain all of the texts
value() {
    awk 'BEGIN { name = ARGV[2]; for (i = 3; i < ARGC; i++) texts[i] = ARGV[i]; ARGC = 2 }
        index($0, name "{") == 1 || index($0, name " ") == 1 {
            for (i in texts) if (!index($0, texts[i])) next
            sum += $NF; found = 1
        }
        END { if (found) printf(sum == int(sum) ? "%.0f\n" : "%.9f\n", sum); exit !found }' "$@" || fail "nothing is $*"
}

# rose BY NAME [TEXT...]: between the scrapes before and after; rose_at_least likewise
rise() { local was is; was=$(value before "$@") is=$(value after "$@") && echo $((is - was)); }
rose() {
    local by=$1 rise
    shift
    rise=$(rise "$@")
    [ "$rise" = "$by" ] || fail "$* rose by $rise, not $by"
}
rose_at_least() {
    local by=$1 rise
    shift
    rise=$(rise "$@")
    [ "$rise" -ge "$by" ] || fail "$* rose by $rise, not $by"
}
# 256 writes and 128 reads of 4 KiB. One request at a time: neither merged nor split by the kernel.
load() {
    local common=(--filename="$device" --ioengine=psync --direct=1 --bs=4k --size=32m --randrepeat=0)
    fio --clocksource=clock_gettime --name=writes "${common[@]}" --rw=randwrite --io_size=1m \
        --name=reads "${common[@]}" --rw=randread --io_size=512k --stonewall >fio.log 2>&1 || fail "$(tail -n 5 fio.log)"
}
cd /run/xsan-vm

say "addresses that are refused"
for wrong in 0.0.0.0:9750 9750 10.0.0.1:9750 127.0.0.1:0; do
    config_with "$wrong" >wrong.toml
    expect_refused xsand --config wrong.toml
    [[ $refusal == *metrics.listen* ]] || fail "the line does not name the key"
done
python3 -S -c 'import socket, time
s = socket.create_server(("127.0.0.1", 9750)); print("listens", flush=True); time.sleep(600)' >other & other=$!
wait_until 60 grep -q listens other
expect_refused xsand --config "$config"
[[ $refusal == *$address*taken* ]] || fail "the line does not say which address is taken"
kill $other
wait $other 2>/dev/null || true
took

say "two scrapes around fio"
start_xsand --config "$config"
xsanctl create tank --scheme 2+1 --size 64M $(dev 0 1 2) >/dev/null
device=$(shown tank '.volumes[0].device')
scrape before
load
scrape after
rose 256 xsan_volume_requests_total 'operation="write"'
rose 1048576 xsan_volume_bytes_total 'operation="write"'
rose 128 xsan_volume_requests_total 'operation="read"'
rose 524288 xsan_volume_bytes_total 'operation="read"'
rose 0 xsan_volume_request_errors_total
rose_at_least 1048576 xsan_member_written_bytes_total 'kind="data"'
rose_at_least 256 xsan_member_writes_total 'kind="parity"'
rose_at_least 1 xsan_pool_engine_operations_total
python3 -S -c 'import os, sys; os.fsync(os.open(sys.argv[1], os.O_RDWR))' "$device"
blkdiscard -o 32M -l 8M "$device"
scrape after
rose_at_least 1 xsan_volume_requests_total 'operation="flush"'
rose 8388608 xsan_volume_bytes_total 'operation="discard"'
rose 256 xsan_volume_requests_total 'operation="write"'
diff <(sed -n 's/^xsan_volume_requests_total//p' after) <(sed -n 's/^xsan_volume_request_duration_seconds_count//p' after) ||
    fail "not every request has a duration"
seconds=$(value after xsan_volume_request_duration_seconds_sum 'operation="write"')
[[ $seconds =~ ^[0-9]{1,2}\.[0-9]+$ ]] || fail "writes took $seconds s"
grep -q "xsan_volume_info{pool=\"tank\",volume=\"data\",.*,device=\"$device\"} 1" after || fail "no info of the volume"
[ "$(value after xsan_volume_size_bytes)" = "$(shown tank '.volumes[0].size_bytes')" ] || fail "the size is wrong"
# Wear: what users have written is in the account and heats groups; the background task is off.
for member in 0 1 2; do
    [ "$(value after xsan_member_healthy "member=\"$member\"")" = 1 ] || fail "member $member is not healthy"
    [ "$(value after xsan_member_endurance_bytes "member=\"$member\"")" != 0 ] || fail "member $member is rated for nothing"
done
[ "$(value after xsan_pool_leveling_state)" = 1 ] || fail "the task is in no state, or in several"
[ "$(value after xsan_pool_leveling_state 'state="stopped"')" = 1 ] || fail "the task is not stopped"
value after xsan_pool_wear_max_points >/dev/null
[ "$(value after xsan_pool_fill_mean_ratio)" != 0 ] || fail "the members are empty"
# Heat is folded every ten seconds, and only then is user data known as such.
is_hot() { scrape after && grep -q '^xsan_group_heat_bytes_per_second{pool="tank",group="[0-9]*"} ' after; }
wait_until 60 is_hot
[ "$(grep -c '^xsan_group_heat_bytes_per_second' after)" -le 10 ] || fail "heat of more than ten groups"
[ "$(value after xsan_member_account_written_bytes_total 'kind="data"')" -ge 1048576 ] || fail "the accounts lack what was written"
value after xsan_pool_write_amplification_ratio >/dev/null
value after xsan_member_write_amplification_ratio >/dev/null
[ "$(grep -c '^# TYPE' after)" = "$(grep '^# TYPE' after | cut -d' ' -f3 | sort -u | wc -l)" ] || fail "a family is there twice"
took

say "a lost member, and an added one"
xsanctl fail tank 1 >/dev/null
scrape after
[ "$(value after xsan_pool_state 'state="degraded"')" = 1 ] || fail "the pool is not degraded"
[ "$(value after xsan_member_state 'member="1"' 'state="faulty"')" = 1 ] || fail "the member is not faulty"
[ "$(value after xsan_pool_events_total 'kind="member_lost"')" = 1 ] || fail "no event tells of it"
xsanctl add tank "$(dev 3)" >/dev/null
rebuilt tank
scrape after
[ "$(value after xsan_pool_state 'state="online"')" = 1 ] || fail "the pool is not online"
[ "$(value after xsan_member_written_bytes_total 'kind="rebuild"')" != 0 ] || fail "nothing was rebuilt"
[ "$(value after xsan_member_info 'serial="xsan3"')" = 1 ] || fail "no info of the new member"
took

say "killed and started again; a request that never ends does not hold the end up"
kill_xsand
start_xsand --config "$config"
scrape after
[ "$(value after xsan_volume_attached)" = 1 ] || fail "the volume is not attached"
exec 5<>/dev/tcp/127.0.0.1/9750
printf 'GET /metrics HT' >&5
xsanctl destroy tank --yes >/dev/null
scrape after
if grep -q 'pool="tank"' after; then fail "the pool is still there"; fi
stop_xsand
exec 5>&-
kernel_is_content
took
