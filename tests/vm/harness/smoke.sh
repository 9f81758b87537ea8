#!/usr/bin/env bash
# shellcheck disable=SC1091,SC2015  # lib.sh is found in the guest; A && B || fail: fail does not return
# The guest hands its script everything: arguments, directory, environment, output, status. Without arguments this
# runs in the guest and checks what it finds there; `host` checks, on the host, what only a caller of run.sh can see.
# Invariant of run.sh that is checked: nothing but the script's output on stdout and stderr.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
fail() { echo "FAILED: $*" >&2; exit 1; }

check_guest() {
    [ "$(id -u)" = 0 ] || fail "not root"
    [ "$$" != 1 ] || fail "the script is process 1"
    [ "$DM_DISABLE_UDEV" = 1 ] || fail "DM_DISABLE_UDEV"
    [ "$XSAN_REPO" = "$(cd "$here/../../.." && pwd -P)" ] || fail "XSAN_REPO is $XSAN_REPO"
    command -v xsan-vm >/dev/null || fail "xsan-vm is not on PATH"
    local directory
    for directory in /proc /sys /dev /run /dev/shm /dev/pts /sys/fs/cgroup /sys/kernel/debug /sys/kernel/config; do
        mountpoint -q "$directory" || fail "$directory is not mounted"
    done
    [ "$(cat /sys/module/nvme_core/parameters/io_timeout)" = 5 ] || fail "io_timeout"
    ip -br link show lo | grep -qw UP || fail "lo is down"
    [ "$(hostname)" = xsan-guest ] || fail "hostname"
    echo scribble >/usr/xsan-vm-scribble || fail "the root directory is not writable"
    local module
    for module in null_blk brd loop ext4 xfs raid456 dm-mod dm-flakey dm-delay nvmet; do
        modprobe "$module" || fail "modprobe $module"
    done
    echo "the guest is complete"
}

# expect STATUS STDOUT STDERR COMMAND...: all three must be exactly so
expect() {
    local want_status=$1 want_out=$2 want_err=$3 status=0 out err errors
    shift 3
    errors=$(mktemp)
    out=$("$@" 2>"$errors") || status=$?
    err=$(cat "$errors")
    rm "$errors"
    [ "$status" = "$want_status" ] || fail "status $status, not $want_status: $* ($err)"
    [ "$out" = "$want_out" ] || fail "stdout '$out', not '$want_out': $*"
    [ "$err" = "$want_err" ] || fail "stderr '$err', not '$want_err': $*"
}

check_host() {
    local folder run=$here/../run.sh
    folder=$(mktemp -d)
    # shellcheck disable=SC2064  # the folder of now
    trap "rm -rf '$folder'" EXIT
    cd "$folder"
    # shellcheck disable=SC2016  # for the guest's shell
    echo 'echo "$PWD|$#|$1|$2"; echo oops >&2; exit 7' >"a script"
    expect 7 "$folder|2|one two|*" oops "$run" --drives 0 "a script" "one two" "*"
    printf '#!/usr/bin/python3\nimport sys\nsys.stdout.write("x" * 300000)\n' >big
    expect 0 "$(head -c 300000 /dev/zero | tr '\0' x)" "" "$run" --drives=0 ./big
    # What a script leaves running neither delays the end nor spoils the output; reopened outputs do not cut it short.
    printf 'echo a\necho b >/dev/stderr\necho c >/dev/stdout\nsleep 1000 & kill -9 $$\n' >left
    expect 137 $'a\nc' b "$run" --drives 0 left
    echo 'sleep 1000' >hang
    local status=0 started=$SECONDS
    "$run" --drives 0 --timeout 3 hang >hang.out 2>hang.err || status=$?
    [ "$status" = 124 ] && [ ! -s hang.out ] || fail "a hung guest gives status $status"
    [ $((SECONDS - started)) -lt 60 ] || fail "a hung guest took $((SECONDS - started)) s to kill"
    status=0
    "$run" --drives 0 <(echo 'echo c >/proc/sysrq-trigger; sleep 100') >crash.out 2>crash.err || status=$?
    [ "$status" = 125 ] && grep -q 'sysrq' crash.err || fail "a crashed guest gives status $status: $(cat crash.err)"
    local misuse
    for misuse in "" "--drives x hang" "--drives 99 hang" "--lba 520 hang" "--smp 1 hang" "--size 5000 hang" \
        "no-such-file" "--nonsense hang" "--timeout" "--init runit hang"; do
        status=0
        # shellcheck disable=SC2086  # several words
        "$run" $misuse >misuse.out 2>misuse.err || status=$?
        [ "$status" = 2 ] && [ "$(wc -l <misuse.err)" = 1 ] && [ ! -s misuse.out ] ||
            fail "'run.sh $misuse' gives status $status: $(cat misuse.err)"
    done
    # Drives that are kept, of either block size, and one run at a time on them.
    # shellcheck disable=SC2016  # for the guest's shell
    echo 'dd if=/proc/version of="$(xsan-vm dev xsan2)" conv=fsync status=none; blockdev --getss "$(xsan-vm dev xsan0)"' >first
    # shellcheck disable=SC2016
    echo 'cmp -n 64 /proc/version "$(xsan-vm dev xsan2)" && blockdev --getsize64 "$(xsan-vm dev xsan0)"
          echo $XSAN_SEED; sleep 2' >second
    expect 0 4096 "" "$run" --drives 3 --size 64M --lba 4096 --keep "kept, here" first
    XSAN_SEED=42 "$run" --drives 3 --lba 4096 --keep "kept, here" second >second.out &
    sleep 1
    expect 125 "" "run.sh: another run uses the drives in kept, here" "$run" --keep "kept, here" first
    wait $! || fail "the second run on kept drives failed"
    [ "$(cat second.out)" = $'67108864\n42' ] || fail "the second run on kept drives printed $(cat second.out)"
    # Some runs at once.
    local pids=() pid number
    for number in 1 2 3; do
        "$run" --drives 2 <(echo "xsan-vm pull xsan1; xsan-vm drives | wc -l; exit 1$number") >many.$number &
        pids+=($!)
    done
    for number in 1 2 3; do
        status=0
        wait "${pids[number - 1]}" || status=$?
        [ "$status" = 1$number ] && [ "$(cat many.$number)" = 2 ] || fail "run $number of 3 at once: status $status"
    done
    # An interrupted run takes its emulator with it.
    echo 'echo here; sleep 1000' >long
    "$run" --drives 1 long >long.out &
    pid=$!
    until [ -s long.out ]; do sleep 0.1; done
    kill -TERM $pid
    status=0
    wait $pid || status=$?
    [ "$status" = 143 ] || fail "an interrupted run gives status $status"
    ! pgrep -P $pid >/dev/null || fail "processes outlive their run"
    echo "the harness keeps its promises"
}

case ${1-guest} in
    guest) check_guest ;;
    host) check_host ;;
    *) echo "usage: smoke.sh [guest|host]" >&2; exit 2 ;;
esac
