// Scrub of one stripe: whose strip is wrong where parity and data disagree, and putting it right.
//
// A strip is found to be wrong when the stripe agrees with itself once that strip, and no other,
// is computed from the others: with two parities or more, or three copies or more, there is at most
// one such strip. With less nothing can tell data from parity; then data is trusted, as a resync
// does, and that is counted apart.
#include <array>
#include <bit>
#include <cstring>
#include <optional>
#include <vector>

#include "raid/engine.h"

namespace xsan::raid {
namespace {

// The strips of one code word: all of them, or one pair of striped mirrors.
std::vector<ec::StripMask> code_words(const ec::Scheme& scheme) {
    std::vector<ec::StripMask> words;
    if (scheme.kind != ec::CodeKind::mirror_pairs) return {scheme.all_mask()};
    for (unsigned s = 0; s < scheme.data_strips; s++) {
        words.push_back(strip_mask(s) | strip_mask(scheme.data_strips + s));
    }
    return words;
}

class SliceCheck {
  public:
    SliceCheck(StripeOp& op, Scratch& scratch, Rows rows) : op_(op), scratch_(scratch), rows_(rows) {}

    // What strip s would have to hold, given the others; the same memory each time.
    const std::byte* computed(unsigned s) {
        const ec::StripMask lost = strip_mask(s);
        if (memory_ == nullptr) memory_ = scratch_.take(rows_.length());
        std::array<std::byte*, ec::kStripsMax> strips{};
        for (unsigned i = 0; i < op_.scheme().total_strips(); i++) strips[i] = op_.at(i, rows_.begin);
        strips[s] = memory_;
        const auto all = std::span(strips.data(), op_.scheme().total_strips());
        XSAN_ASSERT(op_.codec().decode(lost, all, rows_.length()).has_value());
        return memory_;
    }
    bool agrees(unsigned s) {
        return std::memcmp(computed(s), op_.at(s, rows_.begin), rows_.length()) == 0;
    }
    // Do the parities (or copies) of the word agree with its data?
    bool agrees_all(ec::StripMask word) {
        for (ec::StripMask left = word & op_.scheme().parity_mask(); left != 0; left &= left - 1) {
            if (!agrees(static_cast<unsigned>(std::countr_zero(left)))) return false;
        }
        return true;
    }
    // The only strip whose replacement makes the word agree; nullopt: none, or nobody can tell.
    std::optional<unsigned> find_wrong(ec::StripMask word) {
        const bool can_tell = std::popcount(word & op_.scheme().parity_mask()) >= 2;
        if (!can_tell) return std::nullopt;
        std::optional<unsigned> wrong;
        std::byte* const kept = scratch_.take(rows_.length());
        for (ec::StripMask left = word; left != 0; left &= left - 1) {
            const auto s = static_cast<unsigned>(std::countr_zero(left));
            std::byte* const place = op_.at(s, rows_.begin);
            std::memcpy(kept, place, rows_.length());
            std::memcpy(place, computed(s), rows_.length());
            const bool is_it = agrees_all(word);
            std::memcpy(place, kept, rows_.length());
            if (!is_it) continue;
            if (wrong) return std::nullopt;
            wrong = s;
        }
        return wrong;
    }
    // Puts what it should hold into the strip's buffer.
    void replace(unsigned s) { std::memcpy(op_.at(s, rows_.begin), computed(s), rows_.length()); }

  private:
    StripeOp& op_;
    Scratch& scratch_;
    Rows rows_;
    std::byte* memory_ = nullptr;
};

}  // namespace

Task<Result<StripeScrub>> Engine::scrub_stripe(GroupIndex group, StripeIndex stripe, bool repair) {
    Quiescence::Scope scope(quiescence_);
    co_await gate_.acquire(group.get(), KeyedLock::Mode::shared);
    KeyedLock::Guard gate(gate_, group.get(), KeyedLock::Mode::shared);
    co_await interlock_.acquire(key(group, stripe), KeyedLock::Mode::exclusive);
    KeyedLock::Guard interlock(interlock_, key(group, stripe), KeyedLock::Mode::exclusive);

    StripeScrub found;
    const GroupRow* row = map_.row(group);
    if (row == nullptr || map_.may_be_torn(group, stripe)) co_return found;
    if (doubts_.is_unsettled(key(group, stripe))) co_return found;
    const ec::Scheme& scheme = map_.codec(row->scheme()).scheme();
    if (scheme.parity_strips == 0) co_return found;
    StripeOp op(context(), *row, movers_.find(group), group, stripe, {0, scheme.strip_bytes});
    const RowMask want{op.rows(), scheme.all_mask()};
    if (op.view().present != want.strips) co_return found;
    XSAN_CO_TRY_VOID(op.load(std::span(&want, 1)));
    if (op.readable() != want.strips) co_return found;
    Scratch scratch(here().buffers);
    for (std::uint32_t begin = 0; begin < scheme.strip_bytes; begin += kSliceBytes) {
        const Rows slice{begin, std::min(begin + kSliceBytes, scheme.strip_bytes)};
        for (const ec::StripMask word : code_words(scheme)) {
            SliceCheck check(op, scratch, slice);
            if (check.agrees_all(word)) continue;
            const auto wrong = check.find_wrong(word);
            if (wrong) {
                found.wrong.push_back({op.view().at[*wrong].member, slice.length()});
            } else {
                found.untold_bytes += slice.length();
            }
            if (!repair) continue;
            const ec::StripMask targets = wrong ? strip_mask(*wrong) : word & scheme.parity_mask();
            for (ec::StripMask left = targets; left != 0; left &= left - 1) {
                const auto s = static_cast<unsigned>(std::countr_zero(left));
                check.replace(s);
                op.add_writes(s, slice, op.at(s, slice.begin), false);
            }
        }
    }
    const auto written = co_await op.run_writes();
    if (!written) co_return written.error();
    co_return found;
}

}  // namespace xsan::raid
