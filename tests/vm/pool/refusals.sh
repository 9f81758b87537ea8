#!/usr/bin/env bash
# shellcheck disable=SC1091,SC2034,SC2046,SC2154
# What must be refused is refused with one clear line, and nothing is written: the drives' own counters say so.
# Drives: 6 of 256M.
set -euo pipefail
source "$XSAN_REPO/tests/vm/pool/lib.sh"

# count_writes: into `written`, writes and discards of all drives since they are there, as the kernel counts them, and
# when files were changed. (No process here and below but what is tried: a process costs much, and there are many tries.)
count_writes() {
    local path fields
    written=
    for path in /sys/block/nvme*n*/stat; do
        read -r -a fields <"$path"
        written+="$path ${fields[4]} ${fields[6]} ${fields[11]}"$'\n'
    done
    for path in /dev/shm/file*; do
        [ ! -e "$path" ] || written+=$(stat -c '%n %s %b %.9Y' "$path")
    done
}
# refused WORDS COMMAND...: refused with these words in its line (an extended regular expression), and nothing was written.
# What is wrong is told at once, and fails the script at its end.
wrong=0
not_so() {
    echo "WRONG: $*"
    wrong=$((wrong + 1))
}
refused() {
    local words=$1 before
    shift
    count_writes
    before=$written
    is_refused "$@" || { not_so "$refusal"; return 0; }
    echo "$refusal"
    [[ $refusal =~ $words ]] || not_so "it does not say '$words'"
    count_writes
    [ "$written" = "$before" ] || not_so "it wrote: $*"
}

say "without the module"
mkdir -p /run/xsan
xsand >>"$xsand_log" 2>&1 </dev/null & xsand_pid=$!
wait_until 30 xsanctl list
refused 'modprobe ublk_drv' xsanctl create tank --scheme 4+2 $(dev 0 1 2 3 4 5)
stop_xsand

say "no daemon"
status=0
xsanctl list 2>/dev/null || status=$?
[ "$status" = 3 ] || fail "exit status $status without a daemon"
start_xsand
mapfile -t drives < <(dev 0 1 2 3 4 5)

say "schemes, strips, sizes, names"
create() { xsanctl create tank "$@"; }
refused '6|members|drives' create --scheme 4+2 "${drives[@]:0:5}"
refused '4' create --scheme raid10 "${drives[@]:0:3}"
refused '3' create --scheme raid5 "${drives[@]:0:2}"
for scheme in 0+2 33+1 4+9 raid7 4-2 +2 4+ raid; do refused "scheme|strip|K|P" create --scheme "$scheme" "${drives[@]}"; done
for strip in 3K 0 1T 64X -4K; do refused "strip|size|$strip" create --scheme 4+2 --strip=$strip "${drives[@]}"; done
for size in 0 12Q x -1; do refused "size|$size" create --scheme 4+2 --size=$size "${drives[@]}"; done
refused 'size 512K is too small' create --scheme 4+2 --size 512K "${drives[@]}"
refused 'too large' create --scheme 4+2 --size 8000000T "${drives[@]}"
refused 'extent|power of two' create --scheme 4+2 --extent 3M "${drives[@]}"
refused 'block' create --scheme 4+2 --block 1024 "${drives[@]}"
refused 'consistency|maybe' create --scheme 4+2 --consistency maybe "${drives[@]}"
for name in '' _tank 'a b' 'a/b' "$(printf 'a%.0s' {1..33})" tänk; do
    refused 'name' xsanctl create "$name" --scheme 4+2 "${drives[@]}"
    refused 'name' create --volume "$name" --scheme 4+2 "${drives[@]}"
done

say "drives"
refused 'twice' create --scheme 1+1 "${drives[0]}" "${drives[0]}"
refused 'same drive' create --scheme 1+1 "${drives[0]}" "$(ng 0)"
refused 'nvme99|No such' create --scheme 1+1 "${drives[0]}" /dev/nvme99n1
refused 'null|zero|device' create --scheme 1+1 "${drives[0]}" /dev/zero
truncate -s 63M /dev/shm/file-small
refused 'small' create --scheme 1+1 "${drives[0]}" /dev/shm/file-small
rm /dev/shm/file-small
mkfs.ext4 -q -L precious "${drives[1]}"
refused 'filesystem \(ext4\).*precious' create --scheme 1+1 "${drives[0]}" "${drives[1]}"
mkdir -p /mnt/a
mount -o ro "${drives[1]}" /mnt/a # so that the filesystem itself writes nothing
refused 'mounted' create --scheme 1+1 "${drives[0]}" "${drives[1]}"
refused 'mounted' create --force --scheme 1+1 "${drives[0]}" "${drives[1]}"
refused 'mounted' create --force --scheme 1+1 "${drives[0]}" "$(ng 1)"
umount /mnt/a
echo 'label: gpt' | sfdisk -q "${drives[2]}" 2>/dev/null
refused 'partition table' create --scheme 1+1 "${drives[0]}" "${drives[2]}"
mkswap -q "${drives[3]}" 2>/dev/null
refused 'swap' create --scheme 1+1 "${drives[0]}" "${drives[3]}"
for drive in "${drives[@]:1:3}"; do wipefs -qa "$drive"; done

say "pools"
xsanctl create tank --scheme 1+1 --size 16M "${drives[0]}" "${drives[1]}" >/dev/null
refused 'tank' xsanctl create tank --scheme 1+1 "${drives[2]}" "${drives[3]}"
refused "in use|member|pool" xsanctl create other --scheme 1+1 "${drives[0]}" "${drives[2]}"
refused "in use|member|pool" xsanctl create other --force --scheme 1+1 "${drives[0]}" "${drives[2]}"
refused "in use|member|already" xsanctl add tank "${drives[0]}"
refused 'data' xsanctl volume create tank data --size 16M
refused 'name' xsanctl volume create tank 'da ta' --size 16M
refused "tnak" xsanctl show tnak
refused "member" xsanctl fail tank "${drives[4]}"
device=$(shown tank '.volumes[0].device')
dd if=/dev/urandom of="$device" bs=1M count=8 oflag=direct status=none
exec 5<"$device"
sleep 11 # the pool's own commits after a write: what is clean again, and counters
refused 'open|use' xsanctl stop tank
refused 'open|use' xsanctl destroy tank --yes
exec 5<&-
refused 'yes' xsanctl destroy tank
before=$(digest "$device")
xsanctl fail tank "${drives[0]}" >/dev/null
sleep 6
refused 'lose data' xsanctl fail tank "${drives[1]}"
[ "$(digest "$device")" = "$before" ] || fail "other data is read"
xsanctl add tank "${drives[0]}" >/dev/null
rebuilt tank
xsanctl stop tank
refused "pool 'tank'" xsanctl create other --scheme 1+1 "${drives[0]}" "${drives[2]}"

say "superblocks"
# change DEVICE COPIES KIND: zeroes, truncates to noise or raises the version of these superblock copies
change() {
    python3 -IS - "$@" <<'END'
import os, struct, sys
device, copies, kind = sys.argv[1], sys.argv[2].split(","), sys.argv[3]
def crc32c(data):
    table = []
    for n in range(256):
        for _ in range(8):
            n = n >> 1 ^ (0x82F63B78 if n & 1 else 0)
        table.append(n)
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ table[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF
with open(device, "r+b", buffering=0) as file:
    size = file.seek(0, 2) // 65536 * 65536
    for copy in copies:
        at = (0, 65536, size - 131072, size - 65536)[int(copy)]
        file.seek(at)
        block = bytearray(file.read(4096))
        if kind == "zero":
            block = bytearray(4096)
        elif kind == "tear":
            block[512:] = bytes(4096 - 512)
        elif kind == "major":
            block[8:10] = struct.pack("<H", 2)
        elif kind == "incompat":
            block[176:184] = struct.pack("<Q", 1 << 40)
        if kind in ("major", "incompat"):
            block[20:24] = struct.pack("<I", crc32c(block[64:]))
            block[12:16] = bytes(4)
            block[12:16] = struct.pack("<I", crc32c(block[:64]))
        file.seek(at)
        file.write(block)
    os.fsync(file.fileno())
END
}
head -c 131072 "${drives[0]}" >/run/head
tail -c 131072 "${drives[0]}" >/run/tail
restore() {
    dd if=/run/head of="${drives[0]}" conv=notrunc,fsync status=none
    dd if=/run/tail of="${drives[0]}" bs=64k seek=$(($(blockdev --getsize64 "${drives[0]}") / 65536 - 2)) conv=notrunc,fsync status=none
}
for kind in major incompat; do
    change "${drives[0]}" 0,1,2,3 $kind
    refused 'newer|upgrade' xsanctl assemble "${drives[0]}" "${drives[1]}"
    restore
done
for kind in zero tear; do
    change "${drives[0]}" 0,1,3 $kind
    refused "${drives[0]}.*superblock" xsanctl assemble "${drives[0]}" "${drives[1]}"
    refused "${drives[0]}" xsanctl create other --scheme 1+1 "${drives[0]}" "${drives[2]}"
    restore
done
for copies in 0 2 0,2 1,3; do
    change "${drives[0]}" $copies tear
    xsanctl assemble "${drives[0]}" "${drives[1]}" >/dev/null
    grep -q "copy ${copies%,*}: " "$xsand_log" || fail "damaged copies $copies were not reported"
    [ "$(digest "$device")" = "$before" ] || fail "other data is read"
    xsanctl stop tank
    # What was repaired may be the only ones left.
    change "${drives[0]}" "$([ $copies = 1,3 ] && echo 0,2 || echo 1,3)" zero
    xsanctl assemble "${drives[0]}" "${drives[1]}" >/dev/null
    is_state tank online || fail "tank is $(shown tank .state) after the repair of copies $copies"
    members_are tank in_sync 2
    : >"$xsand_log"
    xsanctl stop tank
done
xsanctl assemble "${drives[0]}" "${drives[1]}" >/dev/null
[ "$(digest "$device")" = "$before" ] || fail "other data is read"

say "requests"
# answer BYTES: what the socket says to a line, as its error's name
cat >/run/ask.py <<'END'
import json, socket, sys
line = {"text": "xyz", "long": '{"jsonrpc":"2.0","id":1,"method":"' + "a" * (1 << 20) + '"}',
        "deep": '{"jsonrpc":"2.0","id":1,"method":"list","params":{"a":' + "[" * 40 + "]" * 40 + "}}",
        "method": '{"jsonrpc":"2.0","id":1,"method":"explode"}',
        "type": '{"jsonrpc":"2.0","id":1,"method":"show","params":{"pool":7}}',
        "missing": '{"jsonrpc":"2.0","id":1,"method":"show","params":{}}',
        "unknown": '{"jsonrpc":"2.0","id":1,"method":"show","params":{"pool":"tank","x":1}}',
        "batch": '[{"jsonrpc":"2.0","id":1,"method":"list"}]'}[sys.argv[1]]
s = socket.socket(socket.AF_UNIX)
s.settimeout(20)
s.connect("/run/xsan/xsand.sock")
s.sendall(line.encode() + b"\n")
reply = s.makefile().readline()
error = json.loads(reply)["error"]
print(error["data"]["code"], "\t", error["message"])
END
rpc() { # NAME CODE
    local before answer
    count_writes
    before=$written
    answer=$(python3 -IS /run/ask.py "$1") || fail "no answer to $1"
    echo "$1: $answer"
    [ "${answer%%[[:space:]]*}" = "$2" ] || not_so "$1 is not $2"
    count_writes
    [ "$written" = "$before" ] || not_so "it wrote: $1"
}
sleep 6
rpc text parse_error
rpc long invalid_request
rpc deep parse_error
rpc method method_not_found
rpc type invalid_params
rpc missing invalid_params
rpc unknown invalid_params
rpc batch invalid_request
alive

say "a client without the right"
chmod 666 /run/xsan/xsand.sock # else the kernel does not let it connect at all
refused 'root|right|permi|may' setpriv --reuid 65534 --regid 65534 --clear-groups "$(command -v xsanctl)" list
refused 'root|right|permi|may' setpriv --reuid 65534 --regid 65534 --clear-groups "$(command -v xsanctl)" destroy tank --yes
chmod 660 /run/xsan/xsand.sock
refused '.' setpriv --reuid 65534 --regid 65534 --clear-groups "$(command -v xsanctl)" list
xsanctl destroy tank --yes
stop_xsand
kernel_is_content
[ $wrong = 0 ] || fail "$wrong answers are wrong"
