# shellcheck shell=bash
# Drives that honour FUA, for guest scripts of this folder: the emulated controller takes FUA for a hint and passes it on
# to nothing, so that a write log does not show it and a replay loses what was promised. So each drive is served again, by
# the kernel's own NVMe target over a loop device, which has no FUA and gets a flush after the write instead. In the
# log such a write is followed by a flush: a little more than a drive owes.
# `honest_drives N`, then dev, ng, pull, insert mean these. Sourced after ../lib.sh, whose functions they replace.
honest_target=/sys/kernel/config/nvmet

honest_drives() { # N LBA: makes drives 0 to N-1
    local number loop subsystem
    modprobe -a loop nvmet nvme-loop
    mkdir $honest_target/ports/1
    echo loop >$honest_target/ports/1/addr_trtype
    # Their own names first: afterwards dev knows the others.
    local under=()
    mapfile -t under < <(dev_of xsan $(seq 0 $(($1 - 1))))
    for ((number = 0; number < $1; number++)); do
        loop=$(losetup --find --show --direct-io=on --sector-size "$2" "${under[$number]}")
        [ "$(cat "/sys/block/${loop##*/}/queue/fua")" = 0 ] || fail "$loop takes FUA"
        subsystem=$honest_target/subsystems/honest$number
        mkdir "$subsystem" "$subsystem/namespaces/1"
        echo 1 >"$subsystem/attr_allow_any_host"
        echo "honest$number" >"$subsystem/attr_serial"
        echo -n "$loop" >"$subsystem/namespaces/1/device_path"
        echo 1 >"$subsystem/namespaces/1/enable"
        ln -s "$subsystem" "$honest_target/ports/1/subsystems/honest$number"
        echo "transport=loop,nqn=honest$number" >/dev/nvme-fabrics
    done
    for ((number = 0; number < $1; number++)); do wait_until 20 has_nodes "$number"; done
}

# dev_of PREFIX N...: block devices by serial
dev_of() {
    local prefix=$1 number path serial found
    shift
    for number in "$@"; do
        found=
        for path in /sys/block/nvme*; do
            [[ ${path##*/} =~ ^nvme[0-9]+n[0-9]+$ ]] || continue
            read -r serial <"$path/device/serial" || continue
            if [ "$serial" = "$prefix$number" ]; then found=/dev/${path##*/}; fi
        done
        [ -n "$found" ] || { echo "$prefix$number is not in the guest" >&2; return 1; }
        echo "$found"
    done
}
dev() { dev_of honest "$@"; }
has_nodes() { [ -b "$(dev "$1")" ] && [ -c "$(ng "$1")" ]; }
has_none() { ! dev "$1"; }
pull() {
    echo 0 >"$honest_target/subsystems/honest$1/namespaces/1/enable"
    wait_until 20 has_none "$1"
}
insert() {
    echo 1 >"$honest_target/subsystems/honest$1/namespaces/1/enable"
    wait_until 20 has_nodes "$1"
}
