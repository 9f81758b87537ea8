#!/usr/bin/env bash
# make demo: xsan's main job, told on the terminal. Installs what is missing, builds, then runs the story
# (scripts/demo_story.sh) where it is safe: natively over sparse files, with a daemon of its own, when a block device can
# really be made here; else in a guest with emulated NVMe drives. Never touches a real drive or a pool that runs.
set -euo pipefail
repo=$(cd "$(dirname "$0")/.." && pwd)
cd "$repo"
began=$SECONDS

scripts/install-deps.sh
scripts/build.sh

# Whether a block device can be made here: a daemon apart from any other makes one of memory.
works_here() {
    local folder pid status=1
    [ "$(id -u)" = 0 ] || return 1
    [ -e /dev/ublk-control ] || modprobe ublk_drv 2>/dev/null || return 1
    folder=$(mktemp -d /tmp/xsan-probe.XXXXXX)
    : >"$folder/xsan.toml"
    build/release/tools/xsand --config "$folder/xsan.toml" --socket "$folder/sock" --run-folder "$folder/run" \
        >"$folder/log" 2>&1 &
    pid=$!
    local ctl=(timeout 60 build/release/tools/xsanctl --socket "$folder/sock")
    for _ in $(seq 50); do
        "${ctl[@]}" list >/dev/null 2>&1 && break
        kill -0 $pid 2>/dev/null || break
        sleep 0.1
    done
    if "${ctl[@]}" create probe --scheme 1+1 --size 16M mem:64M mem:64M >/dev/null 2>&1; then status=0; fi
    "${ctl[@]}" destroy probe --yes >/dev/null 2>&1 || true
    kill $pid 2>/dev/null || true
    wait $pid 2>/dev/null || true
    rm -rf "$folder"
    return $status
}

if [ "${XSAN_DEMO-}" != guest ] && works_here; then
    echo "block devices can be made here: the demo runs natively, over eight sparse files"
    PATH="$repo/build/release/tools:$PATH" scripts/demo_story.sh
else
    echo "the demo runs in a guest with eight emulated NVMe drives"
    tests/vm/run.sh --drives 8 --size 512M --timeout 900 scripts/demo_story.sh
fi
echo "make demo took $((SECONDS - began)) s"
