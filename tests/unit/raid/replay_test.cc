// Replay of one record, in every state that a power cut can leave: which copies of it arrived, which strips
// were written in place, which members were lost with it. What is not touched stays, what is touched is old
// or new, and nothing that remains disagrees.
#include <bit>

#include "base/crc32c.h"
#include "base/endian.h"
#include "raid/replay.h"
#include "unit/raid/fixture.h"

namespace xsan::test {
namespace {

constexpr std::uint32_t kStrip = 4096;
using Content = std::vector<std::byte>;

std::vector<unsigned> strips_in(std::uint64_t mask) {
    std::vector<unsigned> strips;
    for (; mask != 0; mask &= mask - 1) strips.push_back(static_cast<unsigned>(std::countr_zero(mask)));
    return strips;
}

struct States {
    std::uint64_t seen = 0;
    std::uint64_t given_up = 0;
};

// One stripe, before and after a write of some of its data strips.
class OneWrite {
  public:
    OneWrite(Rig& rig, std::uint64_t touched, raid::LogKind kind)
        : rig_(rig), touched_(touched), kind_(kind), old_(all_strips(1)), new_(old_) {
        for (const unsigned s : strips_in(touched)) new_[s] = Rig::pattern(kStrip, 500 + s);
        encode(old_);
        encode(new_);
    }

    // Puts the stripe in that state, replays it, looks at all of it.
    void check(std::uint64_t copies, std::uint64_t written, std::uint64_t lost, States& states) {
        const unsigned total = rig_.total_strips();
        rig_.pool.set_lost(0);
        rig_.pool.clear_events();
        std::uint64_t lost_members = 0;
        for (unsigned s = 0; s < total; s++) {
            const unsigned member = rig_.member_of_strip(0, s);
            rig_.devices[member]->poke(rig_.place_on_member(0, 0), (written >> s & 1) != 0 ? new_[s] : old_[s]);
            if ((lost >> s & 1) != 0) lost_members |= 1ull << member;
        }
        rig_.pool.set_lost(lost_members);
        std::vector<raid::ReplayRecord> records;
        std::vector<Content> contents;
        const auto valid = strips_in(copies & ~lost);
        if (!valid.empty()) {
            auto& record = records.emplace_back();
            record.sequence = 1;
            record.kind = kind_;
            record.rows = {0, kStrip};
            record.touched = touched_;
            record.granule_bytes = kStrip;
            for (const unsigned s : valid) contents.push_back(content_of(s));
            for (std::size_t i = 0; i < valid.size(); i++) record.copies.push_back({valid[i], contents[i]});
            const auto done = rig_.world.run(
                rig_.engine.replay_stripe(rig_.group, StripeIndex{0}, records));
            REQUIRE(done.has_value());
        }
        CAPTURE(touched_, copies, written, lost);
        states.seen++;
        const bool gave_up = !rig_.pool.events().empty();
        states.given_up += gave_up;
        if (gave_up) {
            // Only a whole stripe that was logged without its payload, only when data is gone.
            REQUIRE(kind_ == raid::LogKind::overwrite);
            REQUIRE((lost & rig_.scheme().data_mask()) != 0);
        }
        REQUIRE(rig_.check(0).agrees);
        for (unsigned s = 0; s < rig_.data_strips(); s++) {
            if (gave_up && (lost >> s & 1) != 0) continue;
            Content found(kStrip);
            REQUIRE(rig_.read(std::uint64_t{s} * kStrip, found) == Errc::ok);
            const bool is_touched = (touched_ >> s & 1) != 0;
            REQUIRE((found == old_[s] || (is_touched && found == new_[s])));
        }
    }

  private:
    std::vector<Content> all_strips(std::uint64_t seed) const {
        std::vector<Content> strips;
        for (unsigned s = 0; s < rig_.total_strips(); s++) strips.push_back(Rig::pattern(kStrip, seed * 100 + s));
        return strips;
    }
    void encode(std::vector<Content>& strips) const {
        std::vector<const std::byte*> data;
        std::vector<std::byte*> parity;
        for (unsigned s = 0; s < rig_.total_strips(); s++) {
            if (s < rig_.data_strips()) data.push_back(strips[s].data());
            else parity.push_back(strips[s].data());
        }
        rig_.pool.codec().encode(data, parity, kStrip);
    }
    Content content_of(unsigned parity_strip) const {
        Content content;
        if (kind_ == raid::LogKind::payload) {
            for (const unsigned s : strips_in(touched_)) content.insert(content.end(), new_[s].begin(), new_[s].end());
            const auto& parity = new_[parity_strip];
            content.insert(content.end(), parity.begin(), parity.end());
            return content;
        }
        for (const Content& strip : new_) {
            const Le32 crc(crc32c(strip));
            const auto* bytes = reinterpret_cast<const std::byte*>(&crc);
            content.insert(content.end(), bytes, bytes + sizeof crc);
        }
        return content;
    }

    Rig& rig_;
    std::uint64_t touched_;
    raid::LogKind kind_;
    std::vector<Content> old_;
    std::vector<Content> new_;
};

// All states of one write: in place nothing is written before every copy is durable.
void check_all(Rig& rig, std::uint64_t touched, raid::LogKind kind, States& states) {
    OneWrite write(rig, touched, kind);
    const std::uint64_t parity = rig.scheme().parity_mask();
    const std::uint64_t places = touched | parity;
    std::vector<std::uint64_t> losses{0};
    rig.for_each_loss(rig.parity_strips(), [&](std::uint64_t lost) { losses.push_back(lost); });
    for (const std::uint64_t lost : losses) {
        for (std::uint64_t copies = parity;; copies = (copies - 1) & parity) {
            const std::uint64_t may_be_written = copies == parity ? places : 0;
            for (std::uint64_t written = may_be_written;; written = (written - 1) & may_be_written) {
                write.check(copies, written, lost, states);
                if (written == 0) break;
            }
            if (copies == 0) break;
        }
    }
}

}  // namespace

TEST_CASE("replay of one payload record is right in every state, with every loss") {
    for (const Shape& shape : {Shape{"2+1", 3}, Shape{"4+1", 5}, Shape{"2+2", 4}, Shape{"3+2", 5},
                               Shape{"4+2", 6}, Shape{"3+3", 6}}) {
        DYNAMIC_SECTION(shape.text) {
            Rig rig(shape, {.strip_bytes = kStrip, .stripes = 2});
            States states;
            for (std::uint64_t touched = 1; touched <= rig.scheme().data_mask(); touched++) {
                check_all(rig, touched, raid::LogKind::payload, states);
            }
            CHECK(states.seen > 50);
            CHECK(states.given_up == 0);
        }
    }
}

TEST_CASE("replay of an overwrite gives up only what nothing can give, in every state") {
    for (const Shape& shape : {Shape{"2+1", 3}, Shape{"2+2", 4}, Shape{"4+2", 6}, Shape{"3+3", 6}}) {
        DYNAMIC_SECTION(shape.text) {
            Rig rig(shape, {.strip_bytes = kStrip, .stripes = 2});
            States states;
            check_all(rig, rig.scheme().data_mask(), raid::LogKind::overwrite, states);
            CHECK(states.seen > 30);
            CHECK(states.given_up < states.seen);
        }
    }
}

}  // namespace xsan::test
