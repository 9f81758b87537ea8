# shellcheck shell=bash disable=SC1091,SC2034
# Words for the guest scripts of this folder: one xsan-ublk-check at a time, serving $file as $device.
source "$XSAN_REPO/tests/vm/lib.sh"

file=/dev/shm/exported
counts=/run/counts
server_log=/run/server.log
server=
device=

# The device's counts appear when the server writes them.
count() { # NAME: a count of the server's, as of now
    rm -f "$counts"
    kill -USR1 "$server"
    wait_until 10 test -s "$counts"
    tr ' ' '\n' <"$counts" | sed -n "s/^$1=//p"
}

serve() { # start|recover OPTIONS...: starts the server; returns when the device is there
    local answer=/run/server.out
    : >"$answer"
    xsan-ublk-check "$1" --file "$file" --counts "$counts" "${@:2}" >"$answer" 2>>"$server_log" &
    server=$!
    until [ -s "$answer" ]; do
        kill -0 "$server" 2>/dev/null || { wait "$server" || fail "server: $(tail -n 3 "$server_log")"; }
        sleep 0.05
    done
    device=$(cat "$answer")
    [ -b "$device" ] || fail "$device is no block device"
}

detach() { # the server must detach cleanly and end
    kill -TERM "$server"
    wait_until 20 eval "! kill -0 $server"
    wait "$server" || fail "detach: $(tail -n 3 "$server_log")"
    server=
    [ ! -e "$device" ] || fail "$device is still there"
}

expect_busy() { # WORDS: the server must refuse to detach, with these words, and go on serving
    local before
    before=$(wc -l <"$server_log")
    kill -TERM "$server"
    wait_until 20 eval "[ \$(wc -l <$server_log) -gt $before ]"
    tail -n 1 "$server_log" | grep -q -- "$*" || fail "refused with: $(tail -n 1 "$server_log")"
    kill -0 "$server" || fail "the server ended"
    echo "refused, as it must be: $(tail -n 1 "$server_log")"
}

crash() { # kill -9, and the device stays
    kill -KILL "$server"
    wait "$server" 2>/dev/null || true
    server=
    [ -b "$device" ] || fail "$device went with its server"
}
