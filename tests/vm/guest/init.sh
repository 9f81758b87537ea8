#!/bin/bash
# Process 1 of the test guest after the initramfs (not in the systemd mode): waits for the drives, runs the script,
# hands its output and its status to the host, and turns the machine off.
#
# Invariants: what the script wrote before it ended is in the host's files before `status` is; `started` exists before
# the script's first instruction and only then. The end is a power cut: nothing is unmounted or synced, because a test
# may leave hung drives behind, and what it wants on its drives it has to flush itself.
set -u
shopt -s nullglob

vm=/run/xsan-vm
share=$vm/share
busybox=$vm/busybox
# shellcheck source=/dev/null
source "$share/run.env"

# A sleep without a process: nobody ever writes to this pipe.
"$busybox" mkfifo $vm/never
exec 9<>$vm/never
nap() { read -r -t "$1" -u 9 _ || true; }

drives_found() {
    local found=(/sys/class/nvme/nvme*/nvme*n*)
    [ ${#found[@]} -ge "$XSAN_VM_DRIVES" ]
}
until drives_found; do nap 0.02; done

ulimit -n 1024
ulimit -H -n 524288

# The output goes through pipes, as on any machine: a script may open /dev/stderr again, which would cut a file short.
pumps=()
pump() { # NAME: makes $vm/NAME a pipe into the host's file of that name
    "$busybox" mkfifo "$vm/$1"
    "$busybox" cat <"$vm/$1" >>"$share/$1" 9<&- &
    pumps+=($!)
}
pump stdout
exec 3>$vm/stdout
if [ "$XSAN_VM_MERGE" = 1 ]; then
    exec 4>&3
else
    pump stderr
    exec 4>$vm/stderr
fi

: >"$share/started"
"$XSAN_REPO/tests/vm/guest/run-script.sh" </dev/null >&3 2>&4 3>&- 4>&- 9<&- &
wait $!
status=$?
exec 3>&- 4>&-

# What the script left behind still holds the pipes' other ends.
for process in /proc/[0-9]*; do
    pid=${process#/proc/}
    case " 1 ${pumps[*]} " in *" $pid "*) ;; *) kill -9 "$pid" 2>/dev/null ;; esac
done
("$busybox" sleep 5; kill "${pumps[@]}") 2>/dev/null &
wait "${pumps[@]}"

echo "$status" >"$share/status"
printf '\1' | "$busybox" dd of=/dev/port bs=1 seek=244 2>/dev/null
"$busybox" sleep 5
"$busybox" poweroff -f
