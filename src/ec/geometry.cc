// Every layout is a permutation of slots that depends on the stripe; both kinds that move are
// simple: a rotation by r K, and for pairs a rotation by K in odd stripes (which swaps the two
// halves).
#include "ec/geometry.h"

#include <numeric>

#include "base/assert.h"

namespace xsan::ec {
namespace {

// By how many slots strip 0 of the stripe is moved from slot 0; below n.
unsigned rotation(const Scheme& scheme, StripeIndex stripe) {
    const unsigned n = scheme.total_strips();
    switch (scheme.layout) {
        case Layout::fixed:
            return 0;
        case Layout::rotating:
            return stripe.get() % n * scheme.data_strips % n;
        case Layout::swapped_pairs:
            return stripe.get() % 2 * scheme.data_strips;
    }
    XSAN_UNREACHABLE("a scheme that was not validated");
}

}  // namespace

SlotIndex slot_of(const Scheme& scheme, StripeIndex stripe, StripIndex strip) {
    const unsigned n = scheme.total_strips();
    XSAN_ASSERT(strip.get() < n);
    const unsigned slot = strip.get() + rotation(scheme, stripe);
    return SlotIndex(slot < n ? slot : slot - n);
}

StripIndex strip_in(const Scheme& scheme, StripeIndex stripe, SlotIndex slot) {
    const unsigned n = scheme.total_strips();
    XSAN_ASSERT(slot.get() < n);
    const unsigned shift = rotation(scheme, stripe);
    return StripIndex(slot.get() >= shift ? slot.get() - shift : slot.get() + n - shift);
}

StripMask strips_in(const Scheme& scheme, StripeIndex stripe, SlotMask slots) {
    XSAN_ASSERT((slots & ~scheme.all_mask()) == 0);
    const unsigned shift = rotation(scheme, stripe);
    if (shift == 0) return slots;
    return ((slots >> shift) | (slots << (scheme.total_strips() - shift))) & scheme.all_mask();
}

unsigned layout_period(const Scheme& scheme) {
    const unsigned n = scheme.total_strips();
    switch (scheme.layout) {
        case Layout::fixed:
            return 1;
        case Layout::rotating:
            return n / std::gcd(unsigned{scheme.data_strips}, n);
        case Layout::swapped_pairs:
            return 2;
    }
    XSAN_UNREACHABLE("a scheme that was not validated");
}

}  // namespace xsan::ec
