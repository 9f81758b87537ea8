#!/bin/bash
# The frame of the script in the test guest: waits for the drives, runs the script, hands its output and its status to
# the host, and turns the machine off. Process 1 after the initramfs, or a service in the systemd mode.
#
# Invariants: what the script wrote before it ended is in the host's files before `status` is; `started` exists before
# the script's first instruction and only then. As process 1 its end is a power cut: nothing is unmounted or synced,
# because a test may leave hung drives behind, and what it wants on its drives it has to flush itself. Under systemd
# the machine is shut down in order.
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

# The passthrough device is the last that appears of a drive.
drives_found() {
    local found=(/dev/ng*n*)
    [ ${#found[@]} -ge "$XSAN_VM_DRIVES" ]
}
until drives_found; do nap 0.02; done
[ $$ = 1 ] || udevadm settle

ulimit -S -n 1024
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
/bin/bash "$XSAN_REPO/tests/vm/guest/run-script.sh" </dev/null >&3 2>&4 3>&- 4>&- 9<&- &
wait $!
status=$?
exec 3>&- 4>&-

# What the script left behind still holds the pipes' other ends. Under systemd that is what is in this service.
if [ $$ = 1 ]; then
    everyone=(/proc/[0-9]*)
    everyone=("${everyone[@]#/proc/}")
else
    mapfile -t everyone <"/sys/fs/cgroup/$(sed -n 's/^0:://p' /proc/self/cgroup)/cgroup.procs"
fi
for process in "${everyone[@]}"; do
    case " $$ ${pumps[*]} " in *" $process "*) ;; *) kill -9 "$process" 2>/dev/null ;; esac
done
("$busybox" sleep 5; kill "${pumps[@]}") 2>/dev/null &
wait "${pumps[@]}"

echo "$status" >"$share/status.new"
"$busybox" mv "$share/status.new" "$share/status"
if [ $$ = 1 ]; then
    printf '\1' | "$busybox" dd of=/dev/port bs=1 seek=244 2>/dev/null
    "$busybox" sleep 5
    "$busybox" poweroff -f
else
    systemctl --no-block poweroff
fi
