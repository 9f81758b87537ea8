# shellcheck shell=bash disable=SC1091,SC2015,SC2016
# Words for the guest scripts of this folder: readings of wear, and what `wear` says of a pool.
source "$XSAN_REPO/tests/vm/pool/lib.sh"

readings=/run/wear.toml
config=/run/xsan-wear.toml

# configure [POLICY]: a configuration with a file of readings, for start_xsand --config "$config"
configure() { printf '[wear]\nreadings = "%s"\npolicy = "%s"\n' "$readings" "${1:-round_robin}" >"$config"; }

# age PERCENT [DRIVE=PERCENT]...: a new file of readings: all drives, but for those that are named
age() {
    local number one others=$1 percent
    shift
    for ((number = 0; number < XSAN_VM_DRIVES; number++)); do
        percent=$others
        for one in "$@"; do
            if [ "${one%%=*}" = "$number" ]; then percent=${one#*=}; fi
        done
        printf '[[drive]]\nserial = "xsan%s"\npercentage_used = %s\n' "$number" "$percent"
    done >"$readings.new"
    mv "$readings.new" "$readings"
}

# worn FILTER: a part of what `wear show` says of tank
worn() { xsanctl --json wear show tank | jq -c "$1"; }
is_worn() { worn "$1" | jq -e . >/dev/null; }
# member INDEX FILTER
member() { worn "[.members[] | select(.index == $1)][0] | $2"; }

# seems_worn INDEX PERCENT: within the point that the reading says
seems_worn() { is_worn "[.members[] | select(.index == $1)][0] | .wear >= $2 and .wear < $2 + 1"; }

# figures: what was written to each member, by kinds that only users, rebuilds and moves write
figures() { worn '[.members[] | {index, data: .written.data, parity: .written.parity, rebuild: .written.rebuild,
                                 relocation: .written.relocation}]'; }
# not_less BEFORE AFTER: figures that have not gone back
not_less() {
    jq -en --argjson before "$1" --argjson after "$2" '
        [$before[] as $b | ($after[] | select(.index == $b.index)) as $a |
         ("data", "parity", "rebuild", "relocation") | $a[.].bytes >= $b[.].bytes and $a[.].count >= $b[.].count] |
        length > 0 and all' >/dev/null
}

events() { xsanctl --json events tank | jq -c "$1"; }
# happened KIND SINCE: how many events of a kind there are, of those after number SINCE
happened() { xsanctl --json events tank --since "$2" | jq "[.events[] | select(.kind == \"$1\")] | length"; }
# told_since NUMBER: the events after it
told_since() { xsanctl --json events tank --since "$1" | jq -c .events; }
# begins_with NOW BEFORE: the second array is the beginning of the first
begins_with() { jq -en --argjson now "$1" --argjson before "$2" '$now[:($before | length)] == $before' >/dev/null; }

# Writes without end, verified: hot_begins RANGE..., then hot_ends, which fails if one of them did
hot_loop() {
    while [ -e /run/xsan-vm/hot ]; do fio_verify "$@"; done
}
hot_begins() {
    : >/run/xsan-vm/hot
    hot_loop "$@" & hot=$!
}
hot_ends() {
    rm -f /run/xsan-vm/hot
    wait "$hot" || fail "fio has failed"
}

# no_io_errors: none of our block devices has answered one
no_io_errors() { ! dmesg | grep -E 'I/O error, dev ublkb' || fail "a volume has answered errors"; }
