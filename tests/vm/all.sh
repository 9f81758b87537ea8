#!/usr/bin/env bash
# tests/vm/all.sh [NAME...]: on the host: runs the guest tests, two guests at a time, and prints one line for each; the output
# of one that failed follows it. Without names: all of them. Ends with `N passed, M failed`; status 1 when any failed.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
at_once=${XSAN_VM_AT_ONCE-2}

# name | options of run.sh | script and its arguments. Longest first, so that two at a time end together.
tests() {
    cat <<'END'
schemes-parity  | --drives 12 --size 256M --timeout 1500     | pool/schemes.sh 4+2 raid5 8+3
schemes-copies  | --drives 12 --size 256M --timeout 1500     | pool/schemes.sh raid0 raid1 raid10 raid4 1+1 3+3
wear-aged       | --drives 6 --size 256M --timeout 1800     | wear/aged.sh
demo            | --drives 8 --size 512M --timeout 900       | ../../scripts/demo_story.sh
lost_third      | --drives 6 --size 256M --timeout 900       | pool/lost_third.sh
declustered     | --drives 10 --size 256M --timeout 900      | pool/declustered.sh
power-cuts      | host                                       | power/cuts.sh 1 3
power-files     | host                                       | power/cuts.sh --first 3 1 2
files           | --drives 8 --size 512M --timeout 900       | pool/files.sh 1 6
stale           | --drives 6 --size 256M --timeout 900       | pool/stale.sh
healed          | --drives 8 --size 256M --timeout 900      | pool/healed.sh
relocate        | --drives 6 --size 256M --timeout 900       | pool/relocate.sh
refusals        | --drives 6 --size 256M --timeout 900      | pool/refusals.sh
scrub           | --drives 6 --size 256M --timeout 600      | pool/scrub.sh
kill9           | --drives 6 --size 128M --timeout 900       | pool/kill9.sh
mixed           | --drives 5 --size 256M --timeout 900       | pool/mixed.sh
reboot          | host                                       | pool/reboot_host.sh
wear-reboot     | host                                       | wear/reboot_host.sh
systemd         | --drives 6 --size 128M --init systemd --timeout 900 | systemd/units.sh
ublk-recover    | --drives 0 --timeout 900                   | ublk/recover.sh
ublk-handover   | --drives 0 --timeout 900                   | ublk/handover.sh
ublk-requests   | --drives 0 --timeout 900                   | ublk/requests.sh
ublk-export     | --drives 0 --timeout 900                   | ublk/export.sh
metrics         | --drives 4 --size 256M --timeout 600       | pool/metrics.sh
passthrough     | --drives 2 --timeout 900                   | dev/passthrough.sh
drives          | --drives 2 --timeout 600                   | harness/drives.sh
words           | --drives 1 --timeout 600                   | harness/words.sh
smoke           | --drives 1 --timeout 600                   | harness/smoke.sh
END
}

trim() { local text=$1; text=${text#"${text%%[![:space:]]*}"}; echo "${text%"${text##*[![:space:]]}"}"; }

# run_one NAME OPTIONS SCRIPT: leaves its output and a line for the report in the log folder
run_one() {
    local name=$1 options=$2 script=$3 began=$SECONDS status=0
    # A script that boots guests itself has `host` for options.
    local runner=./run.sh
    [ "$options" != host ] || { runner=bash; options=; }
    # shellcheck disable=SC2086  # options and arguments are words
    (cd "$here" && $runner $options $script) >"$logs/$name.log" 2>&1 || status=$?
    if [ "$status" = 0 ]; then
        echo "PASS vm/$name ($((SECONDS - began)) s)" >"$logs/$name.result"
    else
        { echo "FAIL vm/$name ($((SECONDS - began)) s, status $status)"; tail -n 40 "$logs/$name.log" | sed 's/^/  | /'; } \
            >"$logs/$name.result"
    fi
    cat "$logs/$name.result"
}

"$here/fetch-kernel.sh" >/dev/null || { echo "FAIL vm/kernel: the guest's kernel cannot be had"; echo "0 passed, 1 failed"; exit 1; }
while IFS='|' read -r name options script; do
    name=$(trim "$name")
    if [ $# -gt 0 ] && [[ " $* " != *" $name "* ]]; then continue; fi
    while [ "$(jobs -rp | wc -l)" -ge "$at_once" ]; do wait -n; done
    run_one "$name" "$(trim "$options")" "$(trim "$script")" &
done < <(tests)
wait
passed=$(grep -l '^PASS' "$logs"/*.result 2>/dev/null | wc -l)
failed=$(grep -l '^FAIL' "$logs"/*.result 2>/dev/null | wc -l)
echo "vm: $passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
