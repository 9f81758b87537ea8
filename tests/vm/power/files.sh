# shellcheck shell=bash disable=SC2034,SC2086,SC2154
# Words for the cases with a filesystem (facts: fs=ext4 or fs=xfs): exercise_files for load.sh; for check.sh, whose
# functions of these names they replace, verified and same. Files 1 to 3 belong to xsan-file-check: what the last sync
# that it reported before the cut covered must be in them. The other files are stress-ng's; they are only asked to stay
# the same.
files="1 2 3"

# exercise_files FS DEVICE SEED: until the power goes; `report` tells that there is something to lose
exercise_files() {
    local fs=$1 device=$2 seed=$3 file
    if [ "$fs" = xfs ]; then mkfs.xfs -q "$device"; else mkfs.ext4 -q "$device"; fi 2>/dev/null
    mkdir -p /mnt/a
    mount "$device" /mnt/a
    mkdir /mnt/a/stress
    # What nobody syncs goes to the drives soon, so that it can be lost from there.
    echo 50 >/proc/sys/vm/dirty_writeback_centisecs
    echo 50 >/proc/sys/vm/dirty_expire_centisecs
    for file in $files; do
        xsan-file-check run /mnt/a/$file --seed $((seed * 10 + file)) --seconds 3600 --report "$beside/report.$file" &
    done
    # Direct writes, for most others are flushed at once: something shall be on the drives that no flush has covered.
    nice -n 5 stress-ng --quiet --temp-path /mnt/a/stress --timeout 3600 --hdd 1 --hdd-bytes 4m --hdd-opts direct,wr-rnd \
        --fallocate 1 --fallocate-bytes 4m --rename 1 --link 1 --dentry 1 --dentries 64 &
    wait_until 120 are_reported
    echo begun >"$beside/report"
    wait -n || true
}
# A few syncs of each: before them there is little to lose.
are_reported() {
    local file syncs
    for file in $files; do
        [ -e "$beside/report.$file" ] || return 1
        mapfile -t syncs <"$beside/report.$file"
        [ ${#syncs[@]} -ge 3 ] || return 1
    done
}

# mounted_and WHEN OPTIONS COMMAND...: does it while the pool's volume is mounted, and checks the filesystem then
mounted_and() {
    local when=$1 options=$2
    shift 2
    device=$(shown tank '.volumes[0].device')
    mount -o "$options" "$device" /mnt/a 2>/run/mount ||
        fail "state $state, $when: no $fs there: $(cat /run/mount) $(dmesg | tail -n 5)"
    "$@" "$when"
    umount /mnt/a
    if [ $fs = xfs ]; then xfs_repair -n "$device"; else e2fsck -fn "$device"; fi >/run/fsck 2>&1 ||
        fail "state $state, $when: $fs: $(cat /run/fsck)"
}
# synced_is_there WHEN: what each sync covered; what nothing covered is as large as it may be
synced_is_there() {
    local file result
    for file in $files; do
        result=$(xsan-file-check check /mnt/a/$file --seed $((seed * 10 + file)) --report $beside/report.$file 2>&1) ||
            fail "state $state, $1: $result"
        blocks=$((blocks + ${result%% *} / 4096))
    done
}
# tree_digest: names and contents of all files, read anew
tree_digest() {
    echo 3 >/proc/sys/vm/drop_caches
    (cd /mnt/a && find . -type f -print0 | sort -z | xargs -0 md5sum | md5sum)
}
verify_tree() {
    synced_is_there "$1"
    digest=$(tree_digest)
    is_same_tree "$1"
}
is_same_tree() {
    [ "$(tree_digest)" = "$digest" ] || fail "state $state, $1: other files than before"
}

# The first mount replays the journal.
verified() {
    mkdir -p /mnt/a
    mounted_and "$1" rw verify_tree
}
same() {
    mounted_and "$1" ro is_same_tree
}
