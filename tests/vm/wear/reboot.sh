#!/usr/bin/env bash
# shellcheck disable=SC1091,SC2015,SC2016,SC2046,SC2154
# reboot.sh fill|again: two boots of one guest. In the first a pool is filled and wear is accounted for; then power goes
# without a stop. In the second everything that was written down is known again. Drives: 6 of 128M, kept between the boots.
set -euo pipefail
source "$XSAN_REPO/tests/vm/wear/lib.sh"
configure adaptive
age 5 0=70

# What is to be known again is kept in the pool itself: nothing else of the guest outlives it.
known() {
    local history told
    history=$(xsanctl --json wear history tank | jq -c '[.members[] | [.index, .points[0]]]')
    told=$(told_since 1)
    worn "{policy, settings, figures: [.members[] | {index, data: .written.data, parity: .written.parity,
           rebuild: .written.rebuild, relocation: .written.relocation}],
           members: [.members[] | {index, serial, endurance_bytes, endurance_origin, since}], task: .task.state,
           user: .user_written_bytes}" | jq -c --argjson history "$history" --argjson events "$told" \
        '. + {history: $history, events: $events}'
}

fill() {
    local device said
    start_xsand --config "$config"
    xsanctl create tank --scheme 2+1 --extent 2M --size 64M $(dev 0 1 2 3 4 5) >/dev/null
    device=$(shown tank '.volumes[0].device')
    wait_until 60 seems_worn 0 70
    fio_verify "$device" --size=48m --io_size=64m
    xsanctl wear policy tank staggered >/dev/null
    # Groups that move between `said` and the cut would make figures and events differ.
    xsanctl wear set tank schedule="$(date -u -d '6 hours' +%H:00)-$(date -u -d '7 hours' +%H:00)" >/dev/null
    xsanctl wear start tank >/dev/null
    xsanctl wear set tank --member 3 endurance=500G >/dev/null
    sleep 3
    xsanctl wear set tank gap=9 warn_at=60,75,90 >/dev/null # writes down all
    # The threshold that is reached by now is an event, which is written down within five seconds.
    sleep 8
    said=$(known)
    printf '%s\n' "$said" | dd of="$device" bs=64k seek=768 iflag=fullblock conv=sync,fsync oflag=direct status=none # at 48 MiB
    sync
    took
}

again() {
    local device said now
    # The drives are worn otherwise by now.
    age 6 0=71
    start_xsand --config "$config"
    xsanctl assemble tank --scan >/dev/null
    device=$(shown tank '.volumes[0].device')
    said=$(dd if="$device" bs=64k skip=768 count=8 iflag=direct status=none | tr -d '\0' | head -n 1)
    now=$(known)
    jq -en --argjson said "$said" --argjson now "$now" '
        ($said | {policy, settings, members, history}) == ($now | {policy, settings, members, history})' >/dev/null ||
        fail "from $said to $now"
    [ "$(jq -r .policy <<<"$now")" = staggered ] || fail "the policy is $(jq .policy <<<"$now")"
    is_worn '.task.state == "waiting"' || fail "the task is $(worn .task.state)"
    is_worn '.settings.gap == 9 and .settings.warn_at == "60,75,90"' || fail "settings: $(worn .settings)"
    not_less "$(jq -c .figures <<<"$said")" "$(jq -c .figures <<<"$now")" || fail "figures have gone back: $said, then $now"
    begins_with "$(jq -c .events <<<"$now")" "$(jq -c .events <<<"$said")" ||
        fail "events: from $(jq -c .events <<<"$said") to $(jq -c .events <<<"$now")"
    jq -en --argjson said "$said" --argjson now "$now" '$now.user >= $said.user and $said.user > 0' >/dev/null ||
        fail "users have written $(jq .user <<<"$said"), then $(jq .user <<<"$now")"
    wait_until 60 seems_worn 0 71
    say "and goes on"
    fio_verify "$device" --size=48m --io_size=32m
    sleep 2
    jq -en --argjson said "$said" --argjson now "$(figures)" \
        '([$now[].data.bytes] | add) > ([$said.figures[].data.bytes] | add)' >/dev/null || fail "nothing is counted: $(figures)"
    scrubbed tank
    xsanctl destroy tank --yes >/dev/null
    stop_xsand
    kernel_is_content
    took
}

case ${1-} in
    fill | again) "$1" ;;
    *) fail "reboot.sh fill|again: run reboot_host.sh on the host" ;;
esac
