#!/usr/bin/env bash
# shellcheck disable=SC2015  # A && B || misuse: misuse does not return
# shellcheck disable=SC2054  # QEMU's options have commas
# shellcheck disable=SC2317  # cleanup is called by a trap
# Runs a script in a QEMU guest that has a kernel with ublk, emulated NVMe drives, and the host's files. What the
# options mean is in usage() below; what the script finds in the guest is in README.md.
#
# Invariants: stdout and stderr carry only what the script prints, unless the guest itself fails. The exit status is
# the script's; 2 is bad usage, 124 a guest killed at its time limit, 125 a guest that never ran the script to its end,
# 137 one that ended by --cut.
# The script is started at most once: only a boot that had not reached it is tried again. The emulator does not
# outlive this program, and nothing of two runs is shared but the read-only kernel.
set -euo pipefail

usage() {
    cat <<'END'
usage: run.sh [OPTIONS] SCRIPT [ARGS...]
Runs SCRIPT as root in a test guest with NVMe drives (serials xsan0, xsan1, ...) and exits with its status.
  --drives N         number of drives, 0 to 24 (default 6)
  --size SIZE        size of a drive, with K, M, G or T (default 1G; images are sparse)
  --lba 512|4096     logical block size of the drives (default 512)
  --keep DIR         keep the images in DIR (xsan0.img, ...) and use those already there
  --write-log DIR    log what each drive is asked to write and flush, to DIR/xsan0.log, ... for replay_log.py
  --cut FILE         cut the power, by SIGKILL to the emulator, when FILE appears; exit 137
  --init systemd     boot systemd and udev of the host's files, run SCRIPT as a service
  --mem MiB          the guest's memory (default 3072)
  --smp N            the guest's CPUs, at least 2 (default 2)
  --timeout SECONDS  kill the guest that long after SCRIPT started, exit 124 (default 600)
  --append ARGS      more words for the kernel's command line, such as nvme.poll_queues=1
  --log FILE         write the guest's console there (default: a temporary file, shown when the guest fails)
Environment: XSAN_BUILD is the directory of the built programs (default build/release/tools, build/dev/tools, ... of
this repository); XSAN_VM_KERNEL another kernel package; XSAN_VM_ACCEL tcg or kvm instead of finding out;
XSAN_VM_BOOT_LIMIT the seconds of a boot on an idle machine (90). All XSAN_* variables are in SCRIPT's environment, too.
Exit status: SCRIPT's; 2 bad usage, 124 killed at --timeout, 125 the guest failed, 137 the power was cut by --cut.
END
}

die() { echo "run.sh: $*" >&2; exit 125; }
misuse() { echo "run.sh: $* (run.sh --help tells more)" >&2; exit 2; }

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
repo=$(cd "$here/../.." && pwd -P)
export PATH=$PATH:/usr/sbin:/sbin LC_ALL=C

is_number() { [[ $1 =~ ^[0-9]{1,9}$ ]]; }

# Directories that the guest has its own of, so that the host's are out of its sight.
is_hidden() { [[ $1/ =~ ^/(dev|proc|sys|run)/ ]]; }

# In QEMU's options a comma in a value is written twice.
quoted() { echo "${1//,/,,}"; }

drives=6 size='' lba=512 keep='' init='' mem=3072 smp=2 limit=600 append='' log='' write_log='' cut=''
parse_options() {
    local option value
    while [ $# -gt 0 ]; do
        option=$1
        case $option in
            -h | --help) usage; exit 0 ;;
            --) shift; break ;;
            --*=*) value=${option#*=} option=${option%%=*}; shift ;;
            --*) [ $# -ge 2 ] || misuse "$option needs a value"; value=$2; shift 2 ;;
            -*) misuse "unknown option $option" ;;
            *) break ;;
        esac
        case $option in
            --drives) is_number "$value" && [ "$value" -le 24 ] || misuse "--drives is 0 to 24, not $value"
                      drives=$((10#$value)) ;;
            --size) size=$(numfmt --from=iec -- "${value^^}" 2>/dev/null) || misuse "--size $value is no size" ;;
            --lba) [[ $value =~ ^(512|4096)$ ]] || misuse "--lba is 512 or 4096, not $value"
                   lba=$value ;;
            --keep) [ -n "$value" ] || misuse "--keep needs a directory"
                    keep=$value ;;
            --write-log) [ -n "$value" ] || misuse "--write-log needs a directory"
                         write_log=$value ;;
            --cut) [ -n "$value" ] || misuse "--cut needs a file's name"
                   cut=$value ;;
            --init) [ "$value" = systemd ] || misuse "--init knows only systemd, not $value"
                    init=$value ;;
            --mem) is_number "$value" && [ "$value" -ge 512 ] || misuse "--mem is at least 512 MiB, not $value"
                   mem=$value ;;
            # With one CPU the emulator drops memory barriers and the drives' completions stall.
            --smp) is_number "$value" && [ "$value" -ge 2 ] || misuse "--smp is at least 2, not $value"
                   smp=$value ;;
            --timeout) is_number "$value" && [ "$value" -ge 1 ] || misuse "--timeout is a number of seconds, not $value"
                       limit=$value ;;
            --append) append=$value ;;
            --log) log=$value ;;
            *) misuse "unknown option $option" ;;
        esac
    done
    [ $# -ge 1 ] || misuse "which script?"
    # A pipe, as of <(...), is readable and has no real path.
    script=$(realpath -e -- "$1" 2>/dev/null) || script=$1
    [ -r "$script" ] && [ ! -d "$script" ] || misuse "cannot read $1"
    shift
    arguments=("$@")
}

# ---- what the run needs, and its end ------------------------------------------------------------------------------

qemu=
run=
temporary_images=
cleanup() {
    trap '' INT TERM HUP
    # Not asked to quit: that would flush, and an interrupted run is a power cut like any other end.
    [ -z "$qemu" ] || kill -9 "$qemu" 2>/dev/null || true
    # The images may be in use until the emulator is gone.
    [ -z "$qemu" ] || wait "$qemu" 2>/dev/null || true
    [ -z "$temporary_images" ] || rm -rf "$temporary_images"
    [ -z "$run" ] || rm -rf "$run"
}

# The directory of this run: share/ is what guest and host write to each other.
make_run_directory() {
    local parent
    parent=$(realpath -e "${TMPDIR:-/tmp}" 2>/dev/null) || parent=/tmp
    # Programs in it must be visible in the guest, and a socket's path has at most 107 bytes.
    if is_hidden "$parent" || [ ${#parent} -gt 70 ]; then parent=/tmp; fi
    run=$(mktemp -d "$parent/xsan-vm.XXXXXX")
    mkdir "$run/share" "$run/tools"
    : >"$run/share/stdout"
    : >"$run/share/stderr"
    mkfifo "$run/never"
    exec 8<>"$run/never"
}
nap() { read -r -t "$1" -u 8 _ || true; } # without a process

# Where temporary images go: memory when all of them fit in it even if they were full, and the guest too.
choose_image_directory() {
    local need_kib=$((drives * size / 1024)) free_kib available_kib parent=${TMPDIR:-/var/tmp}
    free_kib=$(df -k --output=avail /dev/shm 2>/dev/null | tail -1) || free_kib=0
    available_kib=$(awk '/^MemAvailable:/ {print $2}' /proc/meminfo)
    if [ -w /dev/shm ] && [ "$free_kib" -gt "$need_kib" ] &&
        [ "$available_kib" -gt $((need_kib + mem * 1024 + 1048576)) ]; then
        parent=/dev/shm
    fi
    temporary_images=$(mktemp -d "$parent/xsan-vm-images.XXXXXX")
    images=$temporary_images
}

make_images() {
    local index image have
    if [ -n "$keep" ]; then
        mkdir -p "$keep" || die "cannot make $keep"
        images=$(realpath -e "$keep")
        exec 7>"$images/.lock"
        flock -n 7 || die "another run uses the drives in $keep"
    fi
    local asked=$size
    size=${size:-1073741824}
    [ $((size % 4096)) -eq 0 ] && [ "$size" -gt 0 ] || misuse "--size is a multiple of 4096"
    [ -n "$keep" ] || choose_image_directory
    for ((index = 0; index < drives; index++)); do
        image=$images/xsan$index.img
        if [ -e "$image" ]; then
            have=$(stat -c %s "$image")
            [ -z "$asked" ] || [ "$have" = "$asked" ] || misuse "$image has $have bytes, not the $asked of --size"
        else
            truncate -s "$size" "$image"
        fi
    done
    [ -z "$write_log" ] || { mkdir -p "$write_log" && write_log=$(realpath -e "$write_log"); } ||
        die "cannot make $write_log"
}

# The programs as they are now: somebody may build while the guest runs. Links where possible, since a linker writes
# a new file.
take_tools() {
    local directory='' candidate file
    [ -z "${XSAN_BUILD-}" ] || [ -d "$XSAN_BUILD" ] || misuse "XSAN_BUILD=$XSAN_BUILD is no directory"
    for candidate in ${XSAN_BUILD:+"$XSAN_BUILD/tools" "$XSAN_BUILD"} \
        "$repo"/build/{release,dev,asan,tsan}/tools; do
        if [ -d "$candidate" ]; then directory=$candidate; break; fi
    done
    [ -n "$directory" ] || return 0
    for file in "$directory"/*; do
        if [ -f "$file" ] && [ -x "$file" ]; then
            ln "$file" "$run/tools/" 2>/dev/null || cp "$file" "$run/tools/"
        fi
    done
}

# ---- the emulator's command line ----------------------------------------------------------------------------------

# One drive: a file, a raw node over it that the guest's xsan-vm puts an error injector beneath, and the device. A
# write log stands between the two, under the name that the file has without it: errors are injected above it.
add_drive() {
    local index=$1 serial=xsan$1
    local file device="nvme,id=$serial,serial=$serial,drive=drive-$serial"
    device+=",logical_block_size=$lba,physical_block_size=$lba"
    file=$(quoted "$images/$serial.img")
    # no-flush: the host does not lose power, and a flush is still counted and still can fail.
    local options="filename=$file,cache.no-flush=on,discard=unmap"
    if [ -z "$write_log" ]; then
        qemu_options+=(-blockdev "driver=file,node-name=file-$serial,$options")
    else
        qemu_options+=(
            -blockdev "driver=file,node-name=image-$serial,$options"
            -blockdev "driver=file,node-name=log-$serial,filename=$(quoted "$write_log/$serial.log"),cache.no-flush=on"
            -blockdev "driver=blklogwrites,node-name=file-$serial,file=image-$serial,log=log-$serial,log-sector-size=512"
        )
    fi
    qemu_options+=(
        -blockdev "driver=raw,node-name=drive-$serial,file=file-$serial,discard=unmap"
        -device "$device"
    )
    # What xsan-vm needs to put the drive back.
    echo "$device" >>"$run/share/drives"
}

make_qemu_options() {
    local index cmdline cpu
    # norandmaps: emulated code is translated anew wherever it lies; a command starts in three quarters of the time.
    cmdline="console=ttyS0 quiet mitigations=off norandmaps panic=-1 oops=panic nvme_core.io_timeout=5"
    if [ "$init" = systemd ]; then
        # The host's own file systems and what only costs time here; its /tmp must not vanish behind an empty one.
        cmdline+=" fstab=no systemd.unit=xsan-vm.target"
        local unit
        for unit in tmp.mount timers.target systemd-binfmt.service systemd-timesyncd.service; do
            cmdline+=" systemd.mask=$unit"
        done
    fi
    cmdline+=${append:+" $append"}
    if [ "$accel" = kvm ]; then cpu=host; else cpu=max; fi
    qemu_options=(
        -accel "$(accel_option "$accel")" -cpu "$cpu" -smp "$smp" -m "$mem"
        -nodefaults -display none -no-reboot -net none -serial stdio
        -kernel "$kernel/vmlinuz" -initrd "$kernel/initramfs" -append "$cmdline"
        -virtfs "local,path=/,mount_tag=hostroot,security_model=none,readonly=on,multidevs=remap"
        -virtfs "local,path=$(quoted "$run/share"),mount_tag=share,security_model=none"
        -virtfs "local,path=$(quoted "$images"),mount_tag=images,security_model=none"
        # The guest drives its own emulator; a serial line would echo the greeting back into it.
        -chardev "socket,id=monitor,path=$(quoted "$run/monitor"),server=on,wait=off"
        -mon chardev=monitor,mode=control
        -chardev "socket,id=guest-monitor,path=$(quoted "$run/monitor")"
        -device virtio-serial-pci
        -device virtserialport,chardev=guest-monitor,name=qmp
        -device isa-debug-exit,iobase=0xf4,iosize=1
    )
    : >"$run/share/drives"
    for ((index = 0; index < drives; index++)); do add_drive "$index"; done
}

accel_option() { if [ "$1" = kvm ]; then echo kvm; else echo tcg,thread=multi; fi; }

# Whether the kernel boots under KVM is tried: a /dev/kvm may be there and the guest stall. The answer is kept until
# the host boots again or one of the parts changes.
choose_accel() {
    local key answer known="$repo/build/vm/accel" status=0
    case ${XSAN_VM_ACCEL-} in
        tcg | kvm) accel=$XSAN_VM_ACCEL; return ;;
        '') ;;
        *) misuse "XSAN_VM_ACCEL is tcg or kvm" ;;
    esac
    accel=tcg
    [ -r /dev/kvm ] && [ -w /dev/kvm ] || return 0
    key="$(cat /proc/sys/kernel/random/boot_id) $(cat "$kernel/version") $(qemu-system-x86_64 --version | head -1)"
    exec 6>"$known.lock"
    flock 6
    if [ "$(head -1 "$known" 2>/dev/null)" != "$key" ]; then
        # In a shell of its own, whose word about an aborted program nobody needs.
        (timeout -s KILL 20 qemu-system-x86_64 -accel kvm -cpu host -smp 2 -m 512 -nodefaults -display none \
            -no-reboot -kernel "$kernel/vmlinuz" -initrd "$kernel/initramfs" -append "quiet panic=-1 xsan.probe" \
            -device isa-debug-exit,iobase=0xf4,iosize=1; exit $?) </dev/null >/dev/null 2>&1 6>&- || status=$?
        if [ "$status" = 33 ]; then answer=kvm; else answer=tcg; fi
        printf '%s\n%s\n' "$key" "$answer" >"$known.new"
        mv "$known.new" "$known"
    fi
    accel=$(tail -1 "$known")
    exec 6>&-
}

# ---- the run ------------------------------------------------------------------------------------------------------

write_share() {
    local merge=0 program argument name
    # One order of lines for `run.sh ... 2>&1`.
    [ "$(readlink /proc/$$/fd/1)" != "$(readlink /proc/$$/fd/2)" ] || merge=1
    # What the guest cannot see, such as <(...), it gets a copy of.
    if [ ! -f "$script" ] || is_hidden "$script"; then
        cat "$script" >"$run/tools/.script"
        script=$run/tools/.script
    fi
    {
        # The caller's variables of ours, such as a seed; those of the harness itself come after them and win.
        for name in $(compgen -e XSAN_); do printf 'export %s=%q\n' "$name" "${!name}"; done
        printf '%s=%q\n' XSAN_REPO "$repo" XSAN_VM_TOOLS "$run/tools" XSAN_VM_DRIVES "$drives" \
            XSAN_VM_MERGE "$merge" XSAN_VM_DIRECTORY "$PWD" XSAN_VM_SCRIPT "$script"
        printf 'XSAN_VM_ARGUMENTS=('
        [ ${#arguments[@]} -eq 0 ] || printf '%q ' "${arguments[@]}"
        printf ')\n'
    } >"$run/share/run.env"
    if [ "$init" = systemd ]; then
        program=/lib/systemd/systemd argument=
        mkdir "$run/share/units"
        cp "$here/guest/systemd/xsan-vm.target" "$run/share/units/"
        sed "s|@REPO@|${repo//[&|\\]/\\&}|" "$here/guest/systemd/xsan-vm-script.service" \
            >"$run/share/units/xsan-vm-script.service"
    else
        program=/bin/bash argument=$here/guest/init.sh
    fi
    printf '%s\n' "$(realpath "$kernel/modules")" "$program" "$argument" >"$run/share/start"
}

qemu_runs() { kill -0 "$qemu" 2>/dev/null; }

reap_qemu() {
    kill -9 "$qemu" 2>/dev/null || true
    wait "$qemu" 2>/dev/null || true
    qemu=
}

show_log() {
    echo "run.sh: the end of the guest's console:" >&2
    tail -n "$1" "$log" | tr -d '\r' | sed 's/^/  | /' >&2
}

# Boots until the script has started. A boot under emulation may crash in self-modifying kernel code ("Oops: int3")
# or hang; neither says anything about the script, which has not run.
boot() {
    local index try tries=4 boot_limit=${XSAN_VM_BOOT_LIMIT:-90} deadline
    [ "$init" != systemd ] || { boot_limit=$((boot_limit * 2)) tries=2; }
    # A guest that shares its CPUs with builds and other guests is slow, not hung.
    boot_limit=$((boot_limit * (1 + $(cut -d. -f1 /proc/loadavg) / $(nproc))))
    for ((try = 1; try <= tries; try++)); do
        # A log of an earlier run, or try, would seem to go on after this one's end.
        for ((index = 0; index < drives; index++)); do
            [ -z "$write_log" ] || : >"$write_log/xsan$index.log"
        done
        # The death of this program, even by kill -9, is the emulator's.
        setpriv --pdeathsig KILL qemu-system-x86_64 "${qemu_options[@]}" </dev/null >"$log" 2>"$run/qemu-errors" 8>&- &
        qemu=$!
        deadline=$((SECONDS + boot_limit))
        while [ ! -e "$run/share/started" ] && qemu_runs && [ $SECONDS -lt $deadline ]; do nap 0.05; done
        [ ! -e "$run/share/started" ] || return 0
        reap_qemu
        if [ ! -s "$log" ] && [ -s "$run/qemu-errors" ]; then
            die "QEMU does not start: $(head -1 "$run/qemu-errors")"
        fi
        rm -f "$run/monitor"
    done
    show_log 30
    die "the guest did not boot in $tries tries"
}

# The power goes. The emulator is stopped before it is killed, since a thread killed within a write to the write log would
# leave a part of the entry there, which nobody could tell from a whole one.
cut_power() {
    local stat
    kill -STOP "$qemu"
    for stat in "/proc/$qemu/task"/*/stat; do
        while [[ $(sed 's/.*) //' "$stat" 2>/dev/null) == [RSD]* ]]; do nap 0.01; done
    done
    reap_qemu
}

# Waits for the guest's end and leaves with the script's status.
follow() {
    local deadline=$((SECONDS + limit)) status='' printers=()
    tail -n +1 -s 0.1 --pid="$qemu" -f "$run/share/stdout" 2>/dev/null 8>&- &
    printers+=($!)
    tail -n +1 -s 0.1 --pid="$qemu" -f "$run/share/stderr" >&2 2>/dev/null 8>&- &
    printers+=($!)
    while qemu_runs && [ $SECONDS -lt $deadline ]; do
        nap 0.1
        if [ -n "$cut" ] && [ -e "$cut" ] && [ -z "$status" ]; then
            cut_power
            wait "${printers[@]}" || true
            exit 137
        fi
        # What remains is the shutdown, which says nothing about the script any more.
        if [ -z "$status" ] && [ -e "$run/share/status" ]; then
            status=$(cat "$run/share/status")
            deadline=$((SECONDS + 60))
        fi
    done
    if qemu_runs && [ -n "$status" ]; then
        echo "run.sh: the guest did not power off within 60 seconds" >&2
    elif qemu_runs; then
        reap_qemu
        wait "${printers[@]}" || true
        show_log 30
        echo "run.sh: killed the guest after $limit seconds (--timeout)" >&2
        exit 124
    fi
    reap_qemu
    wait "${printers[@]}" || true
    status=$(cat "$run/share/status" 2>/dev/null) || status=
    if ! is_number "$status"; then
        show_log 60
        [ ! -s "$run/qemu-errors" ] || head -5 "$run/qemu-errors" >&2
        die "the guest ended before the script did"
    fi
    if [ "$status" != 0 ] && grep -aqE 'Oops|BUG:|WARNING:|blocked for more than' "$log"; then show_log 60; fi
    exit "$status"
}

# A function and a last line, so that bash has read all of this file before it does anything: it may be edited while
# a guest runs.
main() {
    local tool
    parse_options "$@"
    for tool in qemu-system-x86_64 setpriv flock python3; do
        command -v "$tool" >/dev/null || die "$tool is missing (apt-get install qemu-system-x86 util-linux python3)"
    done
    if [ "$init" = systemd ] && ! { [ -x /lib/systemd/systemd ] && command -v udevadm >/dev/null; }; then
        die "--init systemd needs this machine's systemd and udev (apt-get install systemd udev)"
    fi
    trap cleanup EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    kernel=$("$here/fetch-kernel.sh") || die "there is no kernel for the guest"
    choose_accel
    make_run_directory
    log=${log:-$run/console}
    make_images
    take_tools
    write_share
    make_qemu_options
    boot
    follow
}

main "$@"; exit
