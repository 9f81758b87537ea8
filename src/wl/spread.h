// Judgement: how uneven the wear of a pool is.
#pragma once

#include <span>

namespace xsan::wl {

struct Spread {
    double mean = 0;
    double deviation = 0;  // standard deviation of the members (all of them: divided by n)
    double cv = 0;         // deviation / mean; 0 where the mean is
    double low = 0;
    double high = 0;
    double ratio = 1;  // high / low; infinite where only low is 0
};

Spread spread_of(std::span<const double> wear);

}  // namespace xsan::wl
