#!/usr/bin/env bash
# The story of make demo. In the guest: eight NVMe drives, two of which are pulled under load and two of which are
# added afterwards. Natively: eight sparse files, and `xsanctl fail` instead of pulling; the daemon has a socket, a run
# folder and an empty configuration of its own, and looks at no other device, so that nothing of this machine is touched.
set -euo pipefail

in_guest=${XSAN_VM-0}
work=$(mktemp -d /tmp/xsan-demo.XXXXXX)
mount_point=$work/mnt
mkdir -p "$mount_point"
daemon=(xsand)
if [ "$in_guest" != 1 ]; then
    : >"$work/xsan.toml"
    daemon=(xsand --config "$work/xsan.toml" --socket "$work/sock" --run-folder "$work/run")
    xsanctl() { command xsanctl --socket "$work/sock" "$@"; }
fi

# Words: what happens, in bold on a terminal; then the command that does it.
tell() { printf '\n\033[1m%s\033[0m\n' "$*"; }
run() { printf '  $ %s\n' "$*"; "$@"; }

cleanup() {
    umount "$mount_point" 2>/dev/null || true
    [ -z "${xsand_pid-}" ] || xsanctl destroy demo --yes 2>/dev/null || true
    [ -z "${xsand_pid-}" ] || kill "$xsand_pid" 2>/dev/null || true
    [ -z "${xsand_pid-}" ] || wait "$xsand_pid" 2>/dev/null || true
    rm -rf --one-file-system "$work"
}
trap 'status=$?; [ $status = 0 ] || { echo "the demo failed; the end of the daemon log:"; tail -n 20 "$work/xsand.log"; }; cleanup' EXIT

drives=()
for i in 0 1 2 3 4 5 6 7; do
    if [ "$in_guest" = 1 ]; then
        drives+=("$(xsan-vm dev "xsan$i")")
    else
        truncate -s 512M "$work/drive$i"
        drives+=("$work/drive$i")
    fi
done
lose() { # lose N: the drive goes away
    if [ "$in_guest" = 1 ]; then
        run xsan-vm pull "xsan$1"
    else
        run xsanctl fail demo "${drives[$1]}" >/dev/null
    fi
}

tell "1. The daemon starts"
[ -e /dev/ublk-control ] || modprobe ublk_drv
"${daemon[@]}" >"$work/xsand.log" 2>&1 &
xsand_pid=$!
for _ in $(seq 100); do xsanctl list >/dev/null 2>&1 && break; sleep 0.1; done

tell "2. Six drives become one fault-tolerant block device: any two may fail"
device=$(run xsanctl create demo --scheme 4+2 "${drives[@]:0:6}" | tee /dev/stderr | tail -n 1)

tell "3. A filesystem lives on it"
run mkfs.ext4 -q "$device"
run mount "$device" "$mount_point"
mkdir "$mount_point/files"
for i in 1 2 3 4 5 6; do
    dd if=/dev/urandom of="$mount_point/files/$i" bs=1M count=$((i * 3)) status=none
done
(cd "$mount_point" && sha256sum files/* >"$work/sums")
sync
echo "  six files of 3 to 18 MiB, checksums kept aside"

tell "4. Two drives are lost while a verifying load runs"
fio --name=load --directory="$mount_point" --size=96m --rw=randrw --bsrange=4k-256k --iodepth=8 \
    --ioengine=io_uring --direct=1 --verify=crc32c --verify_fatal=1 --do_verify=1 --time_based=0 --loops=2 \
    --output="$work/fio.log" &
fio_pid=$!
sleep 2
lose 1
sleep 1
lose 4
wait "$fio_pid" || { cat "$work/fio.log"; echo "the load saw an error"; exit 1; }
echo "  the load ended without an error; everything it wrote was read back and compared"
run xsanctl show demo

tell "5. All files are read back through the lost drives"
echo 3 2>/dev/null >/proc/sys/vm/drop_caches || true
(cd "$mount_point" && sha256sum -c --quiet "$work/sums")
echo "  checksums equal"

tell "6. Two drives are added; what was lost is rebuilt onto them"
run xsanctl add demo "${drives[6]}" "${drives[7]}" >/dev/null
run xsanctl rebuild demo wait
run xsanctl scrub demo check >/dev/null
run xsanctl scrub demo wait
run xsanctl show demo

tell "7. Stop, and start again from what the drives themselves say"
run umount "$mount_point"
run xsanctl stop demo
if [ "$in_guest" = 1 ]; then
    run xsanctl assemble demo --scan
else
    run xsanctl assemble "${drives[@]:0:1}" "${drives[@]:2:2}" "${drives[@]:5:3}"
fi
device=$(xsanctl --json show demo | python3 -c 'import json,sys; print(json.load(sys.stdin)["volumes"][0]["device"])')
run mount "$device" "$mount_point"
(cd "$mount_point" && sha256sum -c --quiet "$work/sums")
echo "  checksums equal"
run umount "$mount_point"
run xsanctl destroy demo --yes
kill "$xsand_pid" && wait "$xsand_pid"
xsand_pid=

tell "The story ends well: two of six drives were lost under load, and not one byte with them."
