# shellcheck shell=bash disable=SC2015
# Words for guest scripts: source "$XSAN_REPO/tests/vm/lib.sh" and write what happens, step by step.
#
# Invariants: a script that sources this ends at its first failing command and says which it was. Failures end with
# status 1 and show the end of xsand's log. Drives are numbers here: N is the drive with the serial xsanN. Functions
# that start or end xsand are called from the script's own shell, not from a subshell, because xsand is its child.
set -Eeuo pipefail
trap 'failed_at "${BASH_SOURCE[0]-$0}" "$LINENO" "$BASH_COMMAND"' ERR

[ "${XSAN_VM-}" = 1 ] || { echo "this script needs the test guest: tests/vm/run.sh $0" >&2; exit 2; }

xsand_log=/var/log/xsand.log
xsand_pid=

# say WORDS...: what the script is about to do
say() { echo "== $*"; }

# fail WORDS...: ends the script
fail() {
    trap - ERR
    echo "FAILED: $*" >&2
    show_xsand_log
    exit 1
}

failed_at() {
    local status=$?
    # A subshell, such as $(...), fails its caller, which then speaks.
    [ "$BASH_SUBSHELL" = 0 ] || exit "$status"
    fail "$1:$2: \`$3\` ended with status $status"
}

show_xsand_log() {
    [ -s "$xsand_log" ] || return 0
    echo "the end of xsand's log:" >&2
    tail -n 25 "$xsand_log" | sed 's/^/  | /' >&2
}

# wait_until SECONDS COMMAND...: tries the command until it succeeds; its output is not shown. Asking is work for an emulated
# CPU, which other guests want: after each try it sleeps for a tenth of what it has waited, 0.1 to 1 s.
wait_until() {
    local seconds=$1 began=${EPOCHREALTIME/[.,]/} waited=0 pause
    shift
    until "$@" >/dev/null 2>&1; do
        waited=$((${EPOCHREALTIME/[.,]/} - began))
        [ "$waited" -lt $((seconds * 1000000)) ] || fail "not within $seconds s: $*"
        pause=$((waited < 1000000 ? 100000 : waited < 10000000 ? waited / 10 : 1000000))
        printf -v pause '%d.%06d' $((pause / 1000000)) $((pause % 1000000))
        sleep "$pause"
    done
}

# is_refused COMMAND...: the command must fail, without a signal, with one line on stderr, which is left in `refusal`;
# else status 1, and what is wrong there. It starts no process but the command.
is_refused() {
    local status=0 output rest errors=/run/xsan-vm/refusal
    output=$("$@" 2>"$errors") || status=$?
    if [ "$status" = 0 ]; then
        refusal="not refused: $* (it printed: $output)"
    elif [ "$status" -ge 126 ]; then
        refusal="status $status is no refusal: $* ($(tail -n 3 "$errors"))"
    elif {
        IFS= read -r refusal && [[ $refusal == *[![:space:]]* ]] && ! IFS= read -r rest && [ -z "$rest" ]
    } <"$errors"; then
        return 0
    else
        refusal="refused with $(wc -l <"$errors") lines instead of one: $* ($(head -n 5 "$errors"))"
    fi
    return 1
}
# expect_refused COMMAND...: it is, and the line is printed
expect_refused() {
    is_refused "$@" || fail "$refusal"
    echo "refused, as it must be: $refusal"
}

# ---- drives -------------------------------------------------------------------------------------------------------

# dev N...: their block devices, one a line; the kernel numbers drives as it finds them, so a name is never guessed
dev() {
    local number path serial found
    for number in "$@"; do
        found=
        for path in /sys/block/nvme*; do
            # Not the paths of a multipath drive, such as nvme0c1n1.
            [[ ${path##*/} =~ ^nvme[0-9]+n[0-9]+$ ]] || continue
            read -r serial <"$path/device/serial" || continue
            if [ "$serial" = "xsan$number" ]; then found=/dev/${path##*/}; fi
        done
        [ -n "$found" ] || { echo "xsan$number is not in the guest" >&2; return 1; }
        echo "$found"
    done
}

# ng N...: their passthrough devices
ng() { dev "$@" | sed 's|/dev/nvme|/dev/ng|'; }

pull() { xsan-vm pull "xsan$1"; }
insert() { xsan-vm insert "xsan$1"; }

# ---- xsand --------------------------------------------------------------------------------------------------------

# start_xsand [ARGS...]: returns when it answers
start_xsand() {
    local deadline=$((SECONDS + 60))
    [ -z "$xsand_pid" ] || fail "xsand runs already"
    command -v xsand >/dev/null || fail "there is no xsand: build it, or point XSAN_BUILD to it"
    modprobe ublk_drv
    mkdir -p /run/xsan
    xsand "$@" >>"$xsand_log" 2>&1 </dev/null &
    xsand_pid=$!
    until xsanctl list >/dev/null 2>&1; do
        kill -0 "$xsand_pid" 2>/dev/null || { xsand_pid=; fail "xsand ended at its start"; }
        [ $SECONDS -lt $deadline ] || fail "xsand does not answer within 60 s"
        sleep 0.05
    done
}

# stop_xsand: asks it to end, as systemd would; it must end well
stop_xsand() {
    local status=0 pid=$xsand_pid
    [ -n "$pid" ] || fail "xsand does not run"
    kill -TERM "$pid"
    wait_until 60 eval "! kill -0 $pid"
    wait "$pid" || status=$?
    xsand_pid=
    [ "$status" = 0 ] || fail "xsand ended with status $status"
}

# kill_xsand: kill -9; returns when it is gone
kill_xsand() {
    [ -n "$xsand_pid" ] || fail "xsand does not run"
    kill -KILL "$xsand_pid"
    wait "$xsand_pid" 2>/dev/null || true
    xsand_pid=
}

# ---- load ---------------------------------------------------------------------------------------------------------

# fio_verify FILE [FIO OPTIONS...]: writes 64 MiB in random places and sizes from 4 KiB to 1 MiB, then reads all of it
# back and compares; options of the caller's, such as --io_size=256m, come last and win
fio_verify() {
    local target=$1 output
    shift
    # A clock that fio need not calibrate first.
    output=$(fio --clocksource=clock_gettime --name=verify --filename="$target" --ioengine=io_uring --direct=1 \
        --iodepth=16 --rw=randwrite --bsrange=4k-1m --blockalign=4k --size=100% --io_size=64m \
        --verify=crc32c --verify_fatal=1 --do_verify=1 --randrepeat=0 --allrandrepeat=0 "$@" 2>&1) ||
        fail "fio on $target: $output"
}
