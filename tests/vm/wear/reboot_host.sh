#!/usr/bin/env bash
# On the host: the two boots of reboot.sh, with the same drives.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
drives=$(mktemp -d "${TMPDIR:-/tmp}/xsan-reboot.XXXXXX")
trap 'rm -rf "$drives"' EXIT
"$here/../run.sh" --drives 6 --size 128M --keep "$drives" "$here/reboot.sh" fill
"$here/../run.sh" --drives 6 --keep "$drives" "$here/reboot.sh" again
