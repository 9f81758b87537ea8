#!/usr/bin/env bash
# Gets the kernel for the test guest: downloads a Debian kernel package (never installs it), unpacks it and makes a
# small initramfs. Prints the directory of the result, which holds
#   vmlinuz          the kernel
#   initramfs        busybox, guest/initramfs-init and the few modules needed to reach the host's files and the drives
#   version          the kernel's release, as uname -r prints it in the guest
#   root/            the unpacked package; all other modules are loaded from root/usr/lib/modules or root/lib/modules
#   modules          a symbolic link to root's modules directory
#
# Invariants: a directory with a `complete` file is complete and is only replaced as a whole, under a lock; a second
# call without a change to its inputs does nothing but print. Nothing outside <repo>/build/vm is written.
set -euo pipefail

usage="usage: fetch-kernel.sh [PACKAGE]   (default: linux-image-6.12-amd64, else linux-image-amd64)"
case ${1-} in
    -h | --help) echo "$usage"; exit 0 ;;
    -*) echo "fetch-kernel.sh: unknown option $1; $usage" >&2; exit 2 ;;
esac
[ $# -le 1 ] || { echo "$usage" >&2; exit 2; }

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
repo=$(cd "$here/../.." && pwd -P)
cache=$repo/build/vm
wanted=${1-${XSAN_VM_KERNEL-}}
export PATH=$PATH:/usr/sbin:/sbin LC_ALL=C

# Loaded in the initramfs: the way to the host's files, the way to the emulator, and the drives, whose probing takes
# a while and overlaps with the rest of the boot when it starts here.
boot_modules=(virtio_pci nvme 9pnet_virtio 9p overlay virtio_console configfs)

die() { echo "fetch-kernel.sh: $*" >&2; exit 1; }

is_known_package() { apt-cache show --no-all-versions "$1" >/dev/null 2>&1; }

# A Debian 12 host has 6.12 under a name of its own; on Debian 13 it is what linux-image-amd64 stands for.
choose_package() {
    local candidate
    for candidate in ${wanted:-linux-image-6.12-amd64 linux-image-amd64}; do
        if is_known_package "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    return 1
}

# Follows a metapackage to the packages that hold files: PACKAGE itself and the versioned linux-* packages it needs.
resolve_packages() {
    local queue=("$1") seen=" " package
    while [ ${#queue[@]} -gt 0 ]; do
        package=${queue[0]}
        queue=("${queue[@]:1}")
        case $seen in *" $package "*) continue ;; esac
        seen+="$package "
        echo "$package"
        mapfile -t -O ${#queue[@]} queue < <(apt-cache depends "$package" |
            sed -n 's/^ *Depends: \(linux-\(image\|binary\|modules\)-[0-9].*\)/\1/p')
    done
}

# Copies a module to a directory, uncompressed: busybox's insmod does not know compressed ones.
place_module() {
    case $1 in
        *.xz) xz -dc "$1" >"$2/$(basename "$1" .xz)" ;;
        *.zst) zstd -qdc "$1" >"$2/$(basename "$1" .zst)" ;;
        *) cp "$1" "$2/" ;;
    esac
}

# make_initramfs DIR: the modules in the order of their loading, one name per line in /modules/order.
make_initramfs() {
    local dir=$1 version tree module file
    version=$(cat "$dir/version")
    tree=$(mktemp -d "$cache/tree.XXXXXX")
    mkdir -p "$tree"/{bin,dev,proc,sys,modules,host,upper,root}
    cp "$(command -v busybox)" "$tree/bin/busybox"
    ln -s busybox "$tree/bin/sh"
    install -m 755 "$here/guest/initramfs-init" "$tree/init"
    # Where modprobe and depmod look below a root directory depends on the host's release: both places.
    mkdir -p "$tree/lookup/usr/lib"
    ln -s "$dir/modules" "$tree/lookup/usr/lib/modules"
    ln -s usr/lib "$tree/lookup/lib"
    for module in "${boot_modules[@]}"; do
        # A module that this kernel has built in is simply not found here; what is truly missing fails at boot.
        modprobe -d "$tree/lookup" -S "$version" --show-depends "$module" 2>/dev/null |
            sed -n 's/^insmod \([^ ]*\).*/\1/p' || true
    done | awk '!seen[$0]++' >"$tree/files"
    while read -r file; do
        place_module "$file" "$tree/modules"
        basename "$file" | sed 's/\.\(xz\|zst\)$//'
    done <"$tree/files" >"$tree/modules/order"
    rm -r "$tree/lookup" "$tree/files"
    (cd "$tree" && find . | cpio --quiet -o -H newc) | zstd -q -3 >"$dir/initramfs.new"
    mv "$dir/initramfs.new" "$dir/initramfs"
    rm -r "$tree"
}

# unpack PACKAGE DIR: DIR becomes what this file's head describes.
unpack() {
    local package=$1 dir=$2 packages deb modules
    mapfile -t packages < <(resolve_packages "$package")
    echo "fetching ${packages[*]}" >&2
    mkdir -p "$dir/debs" "$dir/root"
    # The sandbox user of apt cannot write to a directory of ours, and would only say so.
    (cd "$dir/debs" && apt-get -qq -o APT::Sandbox::User=root download "${packages[@]}") >&2 ||
        die "apt-get could not download ${packages[*]}"
    for deb in "$dir"/debs/*.deb; do
        dpkg-deb -x "$deb" "$dir/root"
    done
    rm -r "$dir/debs"
    modules=$(find "$dir/root" -type d -path '*lib/modules' | head -1)
    [ -n "$modules" ] || die "no modules in ${packages[*]}"
    ln -s "${modules#"$dir/"}" "$dir/modules"
    find "$modules" -mindepth 1 -maxdepth 1 -printf '%f\n' | head -1 >"$dir/version"
    [ -n "$(find "$modules/" -name 'ublk_drv.ko*')" ] || die "$package has no ublk_drv module"
    find "$dir/root" \( -path '*/boot/vmlinuz*' -o -path '*/lib/modules/*/vmlinuz' \) | head -1 >"$dir/kernel-path"
    ln -s "$(sed "s|^$dir/||" "$dir/kernel-path")" "$dir/vmlinuz"
    rm "$dir/kernel-path"
    # The package has its modules in lib or in usr/lib, and depmod looks in one of the two: make them one.
    mkdir -p "$dir/root/lib" "$dir/root/usr/lib"
    [ -e "$dir/root/lib/modules" ] || ln -s ../usr/lib/modules "$dir/root/lib/modules"
    [ -e "$dir/root/usr/lib/modules" ] || ln -s ../../lib/modules "$dir/root/usr/lib/modules"
    # depmod complains about files that only an installed kernel has; what it writes is complete all the same.
    depmod -b "$dir/root" "$(cat "$dir/version")" 2>/dev/null || die "depmod failed on $package"
}

mkdir -p "$cache"
fingerprint=$(cat "${BASH_SOURCE[0]}" "$here/guest/initramfs-init" | sha256sum | cut -c1-16)

result=$cache/${wanted:-default}
if [ "$(cat "$result/complete" 2>/dev/null)" = "$fingerprint" ]; then
    echo "$result"
    exit 0
fi

exec 9>"$cache/lock"
flock 9
if [ "$(cat "$result/complete" 2>/dev/null)" != "$fingerprint" ]; then
    for tool in apt-get dpkg-deb busybox modprobe cpio zstd; do
        command -v "$tool" >/dev/null || die "$tool is missing (apt-get install busybox-static kmod cpio zstd)"
    done
    ! ldd "$(command -v busybox)" >/dev/null 2>&1 || die "busybox is not the static one (apt-get install busybox-static)"
    rm -rf "$cache"/tree.* "$cache"/new.*
    if [ -e "$result/complete" ]; then
        # Only the way of making the initramfs changed: a run that has the old one open goes on with it.
        make_initramfs "$result"
    else
        package=$(choose_package) || { apt-get -qq update >&2 && package=$(choose_package); } ||
            die "apt knows no package ${wanted:-linux-image-6.12-amd64 or linux-image-amd64}"
        rm -rf "$result"
        new=$(mktemp -d "$cache/new.XXXXXX")
        chmod 755 "$new"
        unpack "$package" "$new"
        make_initramfs "$new"
        mv "$new" "$result"
    fi
    echo "$fingerprint" >"$result/complete"
fi
echo "$result"
