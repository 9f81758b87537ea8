// Which of a member's four superblock copies count.
#include <fmt/format.h>

#include <algorithm>

#include "base/mutant.h"
#include "meta/superblock.h"

namespace xsan::meta {
namespace {

// One version of the superblock, and how many copies hold it.
struct Version {
    const DecodedCopy* content = nullptr;
    unsigned count = 0;
};

// By content: equal CRCs are no proof when someone has made them so.
bool is_same(const DecodedCopy& a, const DecodedCopy& b) {
    return a.crc == b.crc && a.superblock == b.superblock;
}

std::vector<Version> versions_of(const SuperblockCopies& copies) {
    std::vector<Version> versions;
    for (const auto& copy : copies) {
        if (!copy) continue;
        const auto same = std::find_if(versions.begin(), versions.end(), [&](const Version& v) {
            return is_same(*v.content, *copy);
        });
        if (same != versions.end()) {
            same->count++;
        } else {
            versions.push_back({&*copy, 1});
        }
    }
    return versions;
}

std::string describe(const SuperblockCopies& copies) {
    std::string text;
    for (unsigned i = 0; i < kSuperblockCopies; i++) {
        if (!text.empty()) text += ", ";
        text += copies[i] ? fmt::format("copy {}: version {}", i, copies[i]->superblock.sequence)
                          : fmt::format("copy {}: {}", i, copies[i].error().message);
    }
    return text;
}

Failure no_quorum(const SuperblockCopies& copies) {
    const auto count = [&copies](Errc code) {
        return std::count_if(copies.begin(), copies.end(),
                             [code](const auto& c) { return !c && c.error().code == code; });
    };
    if (count(Errc::version_mismatch) >= kSuperblockOpenQuorum) {
        const auto newer = std::find_if(copies.begin(), copies.end(), [](const auto& c) {
            return !c && c.error().code == Errc::version_mismatch;
        });
        return Failure(
            Errc::version_mismatch,
            fmt::format("its superblock was written by a newer xsan: {}; upgrade xsan to use it",
                        newer->error().message));
    }
    if (count(Errc::not_found) == kSuperblockCopies) {
        return Failure(Errc::not_found, "it carries no xsan superblock");
    }
    return Failure(Errc::corrupt, fmt::format("fewer than {} of its superblock copies agree ({})",
                                              kSuperblockOpenQuorum, describe(copies)));
}

Outcome<void> check_features(const Superblock& s) {
    const auto incompat = s.incompat & ~kKnownIncompat;
    const auto ro_compat = s.ro_compat & ~kKnownReadOnlyCompat;
    if (incompat == 0 && ro_compat == 0) return {};
    return Failure(
        Errc::version_mismatch,
        fmt::format("its superblock (format {}.{}) uses features that this xsan ({}.{}) does not "
                    "know (incompat {:#x}, ro_compat {:#x}); upgrade xsan to use it",
                    kFormatMajor, s.minor, kFormatMajor, kFormatMinor, incompat, ro_compat));
}

}  // namespace

Outcome<SuperblockChoice> choose_superblock(const SuperblockCopies& copies) {
    const auto versions = versions_of(copies);
    const Version* best = nullptr;
    for (const auto& version : versions) {
        if (version.count < kSuperblockOpenQuorum + (mutant(Mutant::superblock_quorum) ? 1 : 0)) continue;
        if (best == nullptr ||
            version.content->superblock.sequence > best->content->superblock.sequence) {
            best = &version;
        }
    }
    if (best == nullptr) return no_quorum(copies);
    const Superblock& chosen = best->content->superblock;
    XSAN_TRY_VOID(check_features(chosen));
    for (const auto& other : versions) {
        const Superblock& s = other.content->superblock;
        if (&other == best || other.count < kSuperblockOpenQuorum) continue;  // repaired
        if (s.sequence == chosen.sequence || s.pool_uuid != chosen.pool_uuid ||
            s.member_uuid != chosen.member_uuid) {
            return Failure(
                Errc::corrupt,
                fmt::format("its superblock copies contradict each other ({})", describe(copies)));
        }
    }

    SuperblockChoice choice;
    choice.superblock = chosen;
    choice.copies_valid = best->count;
    for (unsigned i = 0; i < kSuperblockCopies; i++) {
        choice.repair[i] = !copies[i] || !is_same(*copies[i], *best->content);
    }
    if (choice.copies_valid < kSuperblockCopies) choice.note = describe(copies);
    return choice;
}

bool is_valid_successor(const Superblock& old, const Superblock& next) {
    return next.pool_uuid == old.pool_uuid && next.member_uuid == old.member_uuid &&
           next.member_index == old.member_index && next.layout == old.layout &&
           next.extent_bytes == old.extent_bytes && next.extents_max == old.extents_max &&
           next.sequence == old.sequence + 1 && next.previous_crc == superblock_crc(old) &&
           next.epoch >= old.epoch && next.incompat == old.incompat;
}

}  // namespace xsan::meta
