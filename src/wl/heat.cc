// Averages over time and over strips.
#include "wl/heat.h"

#include <cmath>

#include "base/assert.h"

namespace xsan::wl {

GroupHeat::GroupHeat(double half_life_seconds) : half_life_seconds_(half_life_seconds) {
    XSAN_ASSERT(half_life_seconds > 0);
}

void GroupHeat::fold(std::span<const GroupIo> written, double elapsed_seconds) {
    XSAN_ASSERT(elapsed_seconds > 0);
    const double kept = std::exp2(-elapsed_seconds / half_life_seconds_);
    for (double& rate : rates_)
        rate *= kept;
    for (const GroupIo& io : written) {
        if (rates_.size() <= io.group.get()) rates_.resize(std::size_t{io.group.get()} + 1);
        rates_[io.group.get()] +=
            (1 - kept) * static_cast<double>(io.written_bytes) / elapsed_seconds;
    }
}

double GroupHeat::rate(GroupIndex group) const {
    return group.get() < rates_.size() ? rates_[group.get()] : 0;
}

void GroupHeat::forget(GroupIndex group) {
    if (group.get() < rates_.size()) rates_[group.get()] = 0;
}

void GroupHeat::restore(GroupIndex group, double rate, double age_seconds) {
    XSAN_ASSERT(rate >= 0 && age_seconds >= 0);
    if (rates_.size() <= group.get()) rates_.resize(std::size_t{group.get()} + 1);
    rates_[group.get()] = rate * std::exp2(-age_seconds / half_life_seconds_);
}

std::vector<double> strip_write_shares(unsigned data_strips, unsigned parity_strips,
                                       bool parity_fixed, double small_part) {
    XSAN_ASSERT(data_strips > 0);
    const unsigned total = data_strips + parity_strips;
    std::vector<double> shares(total, 1.0 / total);
    if (!parity_fixed) return shares;
    // Bytes written to a strip for each user byte: in small writes and in full stripes.
    const double full = (1 - small_part) / data_strips;
    const double small = small_part;
    const double sum = full * total + small * (1 + parity_strips);
    for (unsigned slot = 0; slot < total; slot++) {
        shares[slot] = (full + (slot < data_strips ? small / data_strips : small)) / sum;
    }
    return shares;
}

}  // namespace xsan::wl
