#!/usr/bin/env bash
# Builds everything in build/release, quietly: output only when it fails.
# build.sh [TARGET...]: only these targets.
set -euo pipefail
cd "$(dirname "$0")/.."
preset=${XSAN_PRESET-release}
mkdir -p "build/$preset"
log=build/$preset/build.log
if ! { cmake --preset "$preset" && cmake --build "build/$preset" ${1:+--target} "$@"; } >"$log" 2>&1; then
    grep -E 'error|FAILED|undefined|CMake Error' -A3 "$log" | head -n 40 >&2
    echo "build failed; all of it is in $log" >&2
    exit 1
fi
echo "built: build/$preset/tools"
