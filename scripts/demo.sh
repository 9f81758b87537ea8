#!/usr/bin/env bash
# make demo: xsan's main job, told on the terminal. Installs what is missing, builds, then runs the story
# (scripts/demo_story.sh) where it is safe: natively over sparse files when this kernel has ublk and the caller is
# root, else in a guest with emulated NVMe drives. Never touches a real drive.
set -euo pipefail
repo=$(cd "$(dirname "$0")/.." && pwd)
cd "$repo"
began=$SECONDS

scripts/install-deps.sh
scripts/build.sh

if [ "${XSAN_DEMO-}" != guest ] && [ "$(id -u)" = 0 ] && [ ! -e /run/xsan/xsand.sock ] &&
    { [ -e /dev/ublk-control ] || modprobe ublk_drv 2>/dev/null; }; then
    echo "this kernel has ublk: the demo runs here, over six sparse files"
    PATH="$repo/build/release/tools:$PATH" scripts/demo_story.sh
else
    echo "the demo runs in a guest with eight emulated NVMe drives"
    tests/vm/run.sh --drives 8 --size 512M --timeout 900 scripts/demo_story.sh
fi
echo "make demo took $((SECONDS - began)) s"
