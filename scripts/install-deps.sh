#!/usr/bin/env bash
# Installs what building and testing xsan needs on Debian 12 or newer, and nothing that is there already.
# Run as root, or as a user who may sudo. Idempotent; quiet when there is nothing to do.
# XSAN_PACKAGES=fuzz: also what scripts/fuzz.sh needs; =bench: what scripts/bench-instructions.sh needs.
set -euo pipefail

packages=(
    g++ cmake ninja-build pkg-config ccache git ca-certificates
    liburing-dev libisal-dev libnvme-dev libjson-c-dev libcli11-dev libtomlplusplus-dev libfmt-dev
    catch2 libgoogle-perftools-dev libblkid-dev nlohmann-json3-dev libspdlog-dev libsystemd-dev prometheus-cpp-dev
    # The guest in which the real thing is tested: emulator, boot parts, and what its scripts run.
    qemu-system-x86 busybox-static kmod cpio zstd python3 util-linux fdisk
    fio stress-ng nvme-cli xfsprogs e2fsprogs mdadm lvm2
    jq xz-utils systemd udev mount procps
)
[ "${XSAN_PACKAGES:-}" != fuzz ] || packages+=(clang llvm libclang-rt-dev)
[ "${XSAN_PACKAGES:-}" != bench ] || packages+=(valgrind)

missing=()
for package in "${packages[@]}"; do
    state=$(dpkg-query -W -f='${Status}' "$package" 2>/dev/null || true)
    [ "$state" = "install ok installed" ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || { echo "install-deps: missing ${missing[*]}; run as root or install sudo" >&2; exit 1; }
    as_root=(sudo)
fi
echo "installing: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
