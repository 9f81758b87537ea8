#!/bin/bash
# Runs the script of a test guest in its environment: the caller's directory, the tools first on PATH. Started by
# guest/init.sh or, in the systemd mode, by a service.
#
# Invariants: replaces itself by the script, so that the script's status is this one's; needs no executable bit.

# shellcheck source=/dev/null
source /run/xsan-vm/share/run.env
export XSAN_REPO XSAN_VM_DRIVES
# Without udev nobody would make the nodes that libdevmapper then waits for.
[ -d /run/systemd/system ] || export DM_DISABLE_UDEV=1
export XSAN_VM=1 HOME=/root USER=root LOGNAME=root SHELL=/bin/bash TERM=dumb LANG=C.UTF-8
export PATH=$XSAN_VM_TOOLS:$XSAN_REPO/tests/vm:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
cd "$XSAN_VM_DIRECTORY" 2>/dev/null || cd /

if [ -x "$XSAN_VM_SCRIPT" ]; then
    exec "$XSAN_VM_SCRIPT" "${XSAN_VM_ARGUMENTS[@]}"
fi
first=
IFS= read -r first <"$XSAN_VM_SCRIPT"
case $first in
    '#!'*) read -r -a interpreter <<<"${first#'#!'}" ;;
    *) interpreter=(bash) ;;
esac
exec "${interpreter[@]}" "$XSAN_VM_SCRIPT" "${XSAN_VM_ARGUMENTS[@]}"
